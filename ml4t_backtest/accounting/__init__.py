"""Accounts by hand: cash, positions, what an account may do, and whether it can pay for an order.

The engine keeps its account in the ledger; `broker.account` shows it under the names used here.
"""

from __future__ import annotations

from ml4t_backtest.accounting.account import AccountState
from ml4t_backtest.accounting.gatekeeper import Gatekeeper
from ml4t_backtest.accounting.live import LedgerAccount, LedgerGatekeeper
from ml4t_backtest.accounting.policy import AccountPolicy, CashAccountPolicy, MarginAccountPolicy, UnifiedAccountPolicy, Verdict
from ml4t_backtest.accounting.position import Position

__all__ = [
    "AccountPolicy",
    "AccountState",
    "CashAccountPolicy",
    "Gatekeeper",
    "LedgerAccount",
    "LedgerGatekeeper",
    "MarginAccountPolicy",
    "Position",
    "UnifiedAccountPolicy",
    "Verdict",
]
