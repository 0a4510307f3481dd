"""What must hold after every run, whatever the strategy did."""

from __future__ import annotations

import math

import numpy as np

from ml4t_backtest.engine import Engine
from ml4t_kernels.codes import EventKind, ExitReason, TradeStatus

__all__ = ["check_identities"]

_CLOSE = 1e-9


def check_identities(engine: Engine) -> None:
    """Assert the accounting identities of a finished run.

    Cash and positions make the account value; fills add up to positions; fills, cash flows, variation of futures and what splits
    pay out add up to cash; P&L of trades and open positions and cash flows are the change of the account value. Tolerances are for the order of summation only.
    """
    store, panels, result = engine._store, engine._panels, engine.result
    fills, contracts = store.used_fills(), store.contracts
    multiplier, settles = contracts["multiplier"], contracts["settles"] == 1
    notional = fills["quantity"] * fills["price"] * multiplier[fills["asset"]]
    held, basis, price = (store.positions[name] for name in ("quantity", "basis", "current_price"))
    flows = store.used_flows()["amount"]
    scale = float(np.sum(np.abs(notional))) + engine.config.initial_cash + float(np.sum(np.abs(flows)))
    exposure = float(np.sum(np.abs(held * price * multiplier)))
    close = _CLOSE * (scale + exposure)

    split = np.zeros(len(held), dtype=bool)
    split[store.terms.events["asset"][store.terms.events["kind"] == EventKind.SPLIT]] = True
    summed, moved = np.zeros(len(held)), np.zeros(len(held))
    np.add.at(summed, fills["asset"], fills["quantity"])
    np.add.at(moved, fills["asset"], np.abs(fills["quantity"]))
    assert np.all((np.abs(summed - held) <= _CLOSE * moved) | split), "sum of fills is not the position"

    done = result._trades[result._trades["status"] != TradeStatus.OPEN]
    paid_out = done[(done["exit_reason"] == ExitReason.CORPORATE_ACTION) & ~settles[done["asset"]]]
    varied = done[settles[done["asset"]]]
    cash = (
        engine.config.initial_cash
        - float(np.sum(notional[~settles[fills["asset"]]]))
        - float(np.sum(fills["commission"]))
        + float(np.sum(flows))
        + float(np.sum(paid_out["quantity"] * paid_out["exit_price"] * paid_out["multiplier"]))
        + float(np.sum(varied["pnl"] + varied["commission"]))
        + float(np.sum((held * (basis - store.positions["entry_price"]) * multiplier)[settles & (held != 0.0)]))
    )
    assert math.isclose(cash, store.columns.cash[0], abs_tol=close), "cash is not what fills, flows and variation left"

    value = store.columns.cash[0] + float(np.sum(held * (price - basis) * multiplier))
    assert math.isclose(value, store.columns.equity[0], abs_tol=close), "cash + positions is not equity"

    change = store.columns.equity[0] - engine.config.initial_cash
    profit = math.fsum(result._trades["pnl"]) + float(np.sum(flows))
    assert math.isclose(profit, change, abs_tol=close), "P&L of trades and cash flows are not the change of equity"

    if engine.config.account_type.value == "cash":  # type: ignore[union-attr]
        assert store.columns.cash[0] >= 0.0
        assert np.all(held >= 0.0)
        assert np.all(store.bars["cash"][: store.bar + 1] >= 0.0)
    assert set(engine.broker.positions) == {panels.assets[column] for column in np.flatnonzero(held)}
