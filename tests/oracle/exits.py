"""The rules of open positions, evaluated: "Position rules"."""

from __future__ import annotations

from tests.oracle.account import Account


def follow_rules(account: Account) -> None:
    """Step 3."""
