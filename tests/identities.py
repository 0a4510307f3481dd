"""What must hold after every run, whatever the strategy did."""

from __future__ import annotations

import math

import numpy as np

from ml4t_backtest.engine import Engine

__all__ = ["check_identities"]

_CLOSE = 1e-9


def check_identities(engine: Engine) -> None:
    """Assert the accounting identities of a finished run.

    Cash and positions make the account value; fills add up to positions and to cash; P&L of trades and open positions is the
    change of the account value. Tolerances are for the order of summation only.
    """
    store, panels, result = engine._store, engine._panels, engine.result
    fills, multiplier = store.used_fills(), store.contracts["multiplier"]
    notional = fills["quantity"] * fills["price"] * multiplier[fills["asset"]]
    turnover = float(np.sum(np.abs(notional))) + engine.config.initial_cash
    held = store.positions["quantity"]

    summed = np.zeros(len(held))
    np.add.at(summed, fills["asset"], fills["quantity"])
    moved = np.zeros(len(held))
    np.add.at(moved, fills["asset"], np.abs(fills["quantity"]))
    assert np.all(np.abs(summed - held) <= _CLOSE * moved), "sum of fills is not the position"

    cash = engine.config.initial_cash - float(np.sum(notional)) - float(np.sum(fills["commission"]))
    assert math.isclose(cash, store.columns.cash[0], abs_tol=_CLOSE * turnover), "cash is not what the fills left"

    value = store.columns.cash[0] + float(np.sum(held * store.positions["current_price"] * multiplier))
    exposure = float(np.sum(np.abs(held * store.positions["current_price"] * multiplier)))
    assert math.isclose(value, store.columns.equity[0], abs_tol=_CLOSE * (turnover + exposure)), "cash + positions is not equity"

    change = store.columns.equity[0] - engine.config.initial_cash
    profit = math.fsum(result._trades["pnl"])
    assert math.isclose(profit, change, abs_tol=_CLOSE * (turnover + exposure)), "P&L of trades is not the change of equity"

    if engine.config.account_type.value == "cash":  # type: ignore[union-attr]
        assert store.columns.cash[0] >= 0.0
        assert np.all(held >= 0.0)
        assert np.all(store.bars["cash"][: store.bar + 1] >= 0.0)
    assert set(engine.broker.positions) == {panels.assets[column] for column in np.flatnonzero(held)}
