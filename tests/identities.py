"""What must hold after every run, whatever the strategy did and whatever the account."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ml4t_backtest.config import CashLedger
from ml4t_backtest.engine import Engine
from ml4t_kernels.codes import EventKind, ExitReason

__all__ = ["check_identities"]

_CLOSE = 1e-9


def check_identities(engine: Engine) -> None:
    """Assert the accounting identities of a finished run.

    Fills add up to positions; fills, commissions, cash flows and what splits paid out to cash; cash and positions make the
    account value; P&L of trades, open ones included, and cash flows are the change of the account value; a cash account is
    never below zero; free cash is cash less twice the debt of shorts, where it is kept. Tolerances are for the order of summation only.
    """
    store, panels = engine._store, engine._panels
    books = _Books(engine)
    _check_positions(engine, books)
    if not np.any(store.contracts["settles"]):
        assert math.isclose(books.cash_by_fills(), store.columns.cash[0], abs_tol=books.tolerance), "cash is not what the fills left"

    if engine.config.cash_ledger is CashLedger.FREE_CASH:
        _check_free_cash(engine, books)
    value = store.columns.cash[0] + float(np.sum(books.values))
    assert math.isclose(value, store.columns.equity[0], abs_tol=books.tolerance), "cash + positions is not equity"

    change = store.columns.equity[0] - engine.config.initial_cash
    profit = math.fsum(engine.result._trades["pnl"]) + books.flows
    assert math.isclose(profit, change, abs_tol=books.tolerance), "P&L of trades and flows is not the change of equity"

    if engine.config.account_type.value == "cash":  # type: ignore[union-attr]
        assert store.columns.cash[0] >= 0.0
        assert np.all(books.held >= 0.0)
        assert np.all(store.bars["cash"][: store.bar + 1] >= 0.0)
    if engine.config.allow_leverage and store.bar >= 0:
        needed = store.columns.maintenance_requirement[0]
        assert math.isclose(books.maintenance_requirement(), needed, rel_tol=_CLOSE, abs_tol=_CLOSE), "requirements do not add up"
    assert list(engine.broker.positions) == [panels.assets[column] for column in store.open_assets().tolist()]
    assert set(engine.broker.positions) == {panels.assets[column] for column in np.flatnonzero(books.held)}


def _check_free_cash(engine: Engine, books: _Books) -> None:
    """Compare free cash with cash less what shorts lock, and what they lock with what they were sold for."""
    store = engine._store
    debt, entry = store.positions["debt"], store.positions["entry_price"]
    sold = np.where(books.held < 0.0, -books.held * entry * books.multiplier, 0.0)
    assert np.all(np.abs(debt - sold) <= books.tolerance), "debt is not what shorts were sold for"
    assert math.isclose(store.state["free_cash"][0], store.columns.cash[0] - 2.0 * debt.sum(), abs_tol=books.tolerance), "free cash is off"


class _Books:
    """The sums of a run."""

    def __init__(self, engine: Engine) -> None:
        store = engine._store
        self.initial = engine.config.initial_cash
        self.fills: Any = store.used_fills()
        self.contracts: Any = store.contracts
        self.multiplier: Any = store.contracts["multiplier"]
        self.held: Any = store.positions["quantity"]
        self.price: Any = store.positions["current_price"]
        self.values = self.held * (self.price - store.positions["basis"]) * self.multiplier
        self.notional = self.fills["quantity"] * self.fills["price"] * self.multiplier[self.fills["asset"]]
        self.flows = math.fsum(store.used_flows()["amount"])
        trades = store.used_trades()
        self.paid_out: Any = trades[trades["exit_reason"] == ExitReason.CORPORATE_ACTION]
        moved = np.abs(store.used_flows()["amount"]).sum() + np.abs(self.held * self.price * self.multiplier).sum()
        self.tolerance = _CLOSE * float(np.abs(self.notional).sum() + moved + self.initial)
        events = store.terms.events
        self.split = np.isin(np.arange(len(self.held)), events["asset"][events["kind"] == EventKind.SPLIT])

    def cash_by_fills(self) -> float:
        """Return the cash that fills, commissions, flows and splits leave."""
        paid = math.fsum(self.paid_out["quantity"] * self.paid_out["exit_price"] * self.multiplier[self.paid_out["asset"]])
        return self.initial - math.fsum(self.notional) - math.fsum(self.fills["commission"]) + self.flows + paid

    def maintenance_requirement(self) -> float:
        """Return the maintenance requirement of all positions at their marks [money]."""
        rate = np.where(self.held > 0.0, self.contracts["long_rate"], self.contracts["short_rate"])
        by_rate = np.abs(self.held * self.price) * self.multiplier * rate
        margin = self.contracts["maintenance_margin"]
        return float(np.sum(np.where(np.isnan(margin), by_rate, np.abs(self.held) * margin)))


def _check_positions(engine: Engine, books: _Books) -> None:
    """Compare positions with sums of fills, where no split changed the quantities."""
    summed, moved = np.zeros(len(books.held)), np.zeros(len(books.held))
    np.add.at(summed, books.fills["asset"], books.fills["quantity"])
    np.add.at(moved, books.fills["asset"], np.abs(books.fills["quantity"]))
    fits = np.abs(summed - books.held) <= _CLOSE * moved
    assert np.all(fits | books.split), "sum of fills is not the position"
    assert np.all(engine._store.positions["slot"][books.held == 0.0] == -1)
