"""Hand-computed examples of docs/execution.md: futures, their settlement, and contracts that are paid in full."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.oracle import Contract
from tests.oracle_examples.running import Action, F, run

FUTURE = Contract(multiplier=10, initial_margin=100, maintenance_margin=80, future=True)
KWARGS: dict[str, Any] = {"account": "futures", "initial_cash": 1000, "contracts": {"A": FUTURE}}


def test_opening_moves_no_cash_and_each_session_settles() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 2), 3: lambda b: b.close("A")}
    result = run([50, 50, 52, 51, (54, 54, 54, 54)], actions, commission=("per_share", 1, 0), **KWARGS)
    assert result.cash == [1000, 998, 998 + 40, 1038 - 20, 1018 + 60 - 2]
    assert result.equity == result.cash
    (trade,) = result.trades
    assert (trade.pnl, trade.commission) == (4 * 2 * 10 - 4, 4)


def test_within_a_session_the_gain_is_not_cash_yet() -> None:
    result = run([50, 50, 52, 51], {0: lambda b: b.submit("A", 2)}, sessions=[1, 1, 1, 2], **KWARGS)
    assert result.cash == [1000, 1000, 1040, 1020]
    result = run([50, 50, 52, 51], {0: lambda b: b.submit("A", 2)}, sessions=[1, 1, 2, 2], **KWARGS)
    assert (result.cash, result.equity) == ([1000, 1000, 1000, 1020], [1000, 1000, 1040, 1020])


def test_the_basis_is_averaged_on_adding_and_kept_on_reducing() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 1), 1: lambda b: b.submit("A", 3), 2: lambda b: b.submit("A", -2)}
    result = run([50, 50, 54, 56, 60], actions, Fraction, sessions=[1, 1, 1, 1, 1], **KWARGS)
    # Basis (50 + 3 * 54) / 4 = 53; 2 * 3 * 10 are paid on bar 3, the rest of 2 settles at 60 at the end.
    assert result.cash == [1000, 1000, 1000, 1060, 1060 + 2 * 7 * 10]
    assert result.positions["A"].basis == 60
    assert result.positions["A"].entry_price == F(53)


def test_a_flip_pays_the_old_side_and_starts_a_new_basis() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 1), 1: lambda b: b.submit("A", -3)}
    result = run([50, 50, 54], actions, sessions=[1, 1, 1], **KWARGS)
    assert result.cash[-1] == 1040
    position = result.positions["A"]
    assert (position.quantity, position.basis) == (-2, 54)


def test_a_short_future() -> None:
    result = run([50, 50, 47], {0: lambda b: b.submit("A", -2)}, **KWARGS)
    assert result.cash == [1000, 1000, 1060]


def test_buying_power_is_margin_in_money() -> None:
    order = run([50, 50], {0: lambda b: b.submit("A", 11)}, **KWARGS).orders[0]
    assert (order.reason, order.need, order.have) == ("INSUFFICIENT_BUYING_POWER", 1100, 1000)


def test_have_counts_the_gain_since_the_settlement() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 2), 2: lambda b: b.submit("A", 100)}
    order = run([50, 50, 52, 53], actions, **KWARGS).orders[1]
    # Cash 1000 + 40 after bar 2, and 2 * 1 * 10 at the fill price.
    assert (order.need, order.have) == (10000, 1040 + 20 - 200)


def test_a_margin_account_holds_both_kinds() -> None:
    contracts = {"A": FUTURE, "B": Contract(multiplier=2)}

    def both(b: Any) -> None:
        b.submit("A", 1)
        b.submit("B", 1)

    bars = [{"A": (50,) * 4, "B": (10,) * 4}] * 2 + [{"A": (51,) * 4, "B": (11,) * 4}]
    result = run(bars, {0: both}, account="margin", initial_cash=1000, contracts=contracts)
    assert result.cash == [1000, 980, 990]
    assert result.equity == [1000, 1000, 1012]


def test_contracts_in_a_cash_account_are_paid_in_full() -> None:
    result = run([50, 50], {0: lambda b: b.submit("A", 1)}, initial_cash=1000, contracts={"A": FUTURE})
    assert result.cash == [1000, 500]
