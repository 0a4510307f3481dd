"""Cash, margin and futures accounts through the engine: what may trade, what it does to cash, and what is said of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t_backtest import AssetClass, ContractSpec, PercentageCommission, PerOrderCommission
from tests.facade.play import Action, buy, play, sessions

FILLED = ("filled", None)
CASH = ("rejected", "insufficient_cash")
POWER = ("rejected", "insufficient_buying_power")
CRYPTO: dict[str, Any] = {"account_type": "crypto"}
MARGIN: dict[str, Any] = {"account_type": "margin"}
SAME: dict[str, Any] = {"execution_mode": "same_bar"}
# One contract: 50 a point, 1,000 to open, 800 to keep.
FUTURES: dict[str, Any] = {
    "account_type": "futures",
    "contract_specs": {"A": ContractSpec("A", AssetClass.FUTURE, multiplier=50, margin=1000, maintenance_margin=800, lot_size=1)},
}


def reads(into: list[Any], look: Any) -> Action:
    """Return the action that keeps what a look at the broker gives."""
    return lambda broker: into.append(look(broker))


# Cash -------------------------------------------------------------------------------------------------------------------------


def test_an_order_may_cost_all_the_cash_and_no_more() -> None:
    run = play([10, 10, 11], {0: buy(1000)})
    assert (run.states, run.cash, run.equity) == ([FILLED], [10_000, 0, 0], [10_000, 10_000, 11_000])
    run = play([10, 10, 11], {0: buy(1000.01)})
    assert (run.states, run.cash) == ([CASH], [10_000] * 3)
    assert run.orders[0].rejection_reason == "Insufficient cash: need $10,000.10, have $10,000.00"


def test_costs_are_part_of_the_check() -> None:
    fee: dict[str, Any] = {"commission_model": PercentageCommission(0.01)}
    run = play([10, 10, 10], {0: [buy(995), buy(990)]}, **fee)
    assert run.states == [CASH, FILLED]
    assert run.orders[0].rejection_reason == "Insufficient cash: need $9,950.00, have $9,900.50"
    assert run.cash[-1] == 10_000 - 9_900 - 99


def test_the_open_after_the_order_decides() -> None:
    run = play([10, (11, 11, 10, 10), 10], {0: buy(1000)})
    assert run.orders[0].rejection_reason == "Insufficient cash: need $11,000.00, have $10,000.00"


def test_sales_pay_for_purchases_of_the_same_pass() -> None:
    bars: dict[str, Any] = {"A": [10, 10, 10, 10], "B": [20, 20, 20, 20]}
    swap: list[Action] = [buy(500, "B"), buy(-1000)]  # the exit goes first, though it was submitted last
    run = play(bars, {0: buy(1000), 1: swap})
    assert run.states == [FILLED] * 3
    run = play(bars, {0: buy(1000), 1: swap}, fill_ordering="fifo")
    assert run.states == [FILLED, CASH, FILLED]


def test_shorts_and_reversals_are_refused_with_a_sentence() -> None:
    run = play([10] * 4, {0: [buy(-5), buy(5)], 1: buy(-8)})
    assert run.states == [("rejected", "short_not_allowed"), FILLED, ("rejected", "reversal_not_allowed")]
    assert run.orders[0].rejection_reason == "Short selling not allowed in cash account"
    assert run.orders[2].rejection_reason == "Position reversal not allowed in cash account"


def test_a_sale_whose_costs_exceed_cash_and_proceeds_is_refused() -> None:
    run = play([10, 10, 10, 10], {0: buy(999.5), 1: buy(-0.01)}, commission_model=PerOrderCommission(5))
    assert run.states == [FILLED, CASH]
    assert run.orders[1].rejection_reason == "Insufficient cash: need $5.00, have $0.10"
    assert run.cash[-1] == 0


def test_the_cash_buffer_is_never_spent() -> None:
    run = play([10] * 3, {0: [buy(951), buy(950)]}, cash_buffer_pct=0.05)
    assert run.states == [CASH, FILLED]
    assert run.orders[0].rejection_reason == "Insufficient cash: need $9,510.00, have $9,500.00"


def test_proceeds_settle_after_the_delay() -> None:
    powers: list[float] = []
    look = reads(powers, lambda broker: broker.get_buying_power())
    actions: dict[int, Any] = {0: buy(1000), 1: buy(-1000), 2: [buy(100), look], 3: [buy(100), look], 4: look}
    run = play([10] * 6, actions, settlement_delay=2)
    # sold on bar 2, to be spent from bar 4 on
    assert run.states == [FILLED, FILLED, CASH, FILLED]
    assert run.deals[-1] == (4, 100, 10)
    assert powers == [0, 0, 9_000]
    assert run.orders[2].rejection_reason == "Insufficient cash: need $1,000.00, have $0.00"
    assert run.cash == [10_000, 0, 10_000, 10_000, 9_000, 9_000]
    free = play([10] * 6, actions, settlement_delay=2, settlement_reduces_buying_power=False)
    assert free.states == [FILLED] * 4


def test_orders_may_be_cut_to_what_can_be_paid() -> None:
    run = play([10, 10, 10], {0: buy(1500)}, partial_fills_allowed=True)
    assert (run.deals, run.states) == ([(1, 1000, 10)], [FILLED])
    assert (run.orders[0].quantity, run.orders[0].filled_quantity) == (1500, 1000)
    whole = play(
        [10, (10, 10, 10, 10), 10],
        {0: buy(1500)},
        partial_fills_allowed=True,
        share_type="integer",
        commission_rate=0.01,
        commission_type="percentage",
    )
    assert whole.deals == [(1, 990, 10)]  # 10,000 / 10.1
    fee = play([10, 10], {0: buy(1500)}, partial_fills_allowed=True, commission_type="per_trade", commission_per_trade=100)
    assert (fee.deals, fee.cash[-1]) == ([(1, 990, 10)], 0)  # (10,000 - 100) / 10


def test_refusals_may_be_cancellations() -> None:
    run = play([10, 10], {0: buy(2000)}, reject_on_insufficient_cash=False)
    assert run.states == [("cancelled", "insufficient_cash")]
    assert run.orders[0].rejection_reason == "Insufficient cash: need $20,000.00, have $10,000.00"


def test_limits_of_the_account() -> None:
    bars: dict[str, Any] = {"A": [10] * 4, "B": [10] * 4}
    run = play(bars, {0: [buy(60), buy(50)], 1: [buy(45), buy(1, "B")]}, max_order_size=500, max_position_size=900, max_positions=1)
    assert [order.rejection_reason for order in run.orders] == [
        "Order of $600.00 is above max_order_size $500.00",
        None,
        "Position of $950.00 would be above max_position_size $900.00",
        "2 open positions would be more than max_positions 1",
    ]
    run = play(bars, {0: buy(0.5)}, share_type="integer")
    assert run.states == [("rejected", "rounds_to_zero")]
    assert "below the smallest lot" in str(run.orders[0].rejection_reason)


def test_checks_at_submission() -> None:
    run = play([10, 10, 10], {0: [buy(600), buy(600), buy(400)]}, next_bar_submission_precheck=True)
    # the refused one leaves its trace
    assert run.states == [FILLED, ("rejected", "submission_check"), ("rejected", "submission_check")]
    assert run.orders[1].rejection_reason == "Insufficient cash (submission precheck): $-2,000.00 would be left"
    run = play([10, 10, 10], {0: [buy(600), buy(600), buy(400)]}, buying_power_reservation=True)
    assert run.states == [FILLED, ("rejected", "reservation"), FILLED]
    assert run.orders[1].rejection_reason == "Insufficient buying power: need $6,000.00, have $4,000.00 not reserved"


def test_the_simple_check_of_cash() -> None:
    run = play([10, 10, 10], {0: buy(1001)}, next_bar_simple_cash_check=True, partial_fills_allowed=True)
    assert run.states == [CASH]


# Shorts without leverage ----------------------------------------------------------------------------------------------------------


def test_a_short_in_a_crypto_account() -> None:
    run = play([10, 10, 8, 8, 8], {0: buy(-1000), 2: buy(1000)}, **CRYPTO)
    assert run.cash == [10_000, 20_000, 20_000, 12_000, 12_000]
    assert run.equity == [10_000, 10_000, 12_000, 12_000, 12_000]
    (trade,) = run.result.trades
    assert (trade.direction, trade.quantity, trade.pnl, trade.pnl_percent) == ("short", -1000, 2000, 0.2)


@pytest.mark.parametrize(("policy", "state"), [("credit", FILLED), ("credit_proceeds", FILLED), ("lock_notional", CASH)])
def test_what_shorts_lock(policy: str, state: tuple[str, str | None]) -> None:
    bars: dict[str, Any] = {"A": [10] * 4, "B": [10] * 4}
    run = play(bars, {0: buy(-500), 1: buy(1000, "B")}, short_cash_policy=policy, **CRYPTO)
    assert run.states[1] == state


def test_a_reversal_in_one_order_is_two_trades_worth_of_commission() -> None:
    run = play([10, 10, 12, 12], {0: buy(100), 1: buy(-300)}, commission_model=PercentageCommission(0.01), **CRYPTO)
    assert run.deals == [(1, 100, 10), (2, -300, 12)]
    closed, opened = run.result.trades
    # 36 of commission: a third belongs to the exit of the long, the rest to the entry of the short
    assert (closed.quantity, closed.commission, closed.pnl) == (100, 10 + 12, 200 - 22)
    assert (opened.quantity, opened.entry_price, opened.commission) == (-200, 12, 24)
    assert run.cash[-1] == 10_000 - 1_000 - 10 + 3_600 - 36


def test_without_the_check_of_cash_an_account_that_may_be_short_may_owe() -> None:
    run = play([10] * 3, {0: buy(1500)}, skip_cash_validation=True, **CRYPTO)
    assert (run.states, run.cash[-1]) == ([FILLED], -5_000)


# Margin ---------------------------------------------------------------------------------------------------------------------------


def test_regulation_t_buys_twice_the_account() -> None:
    powers: list[tuple[float, float]] = []
    look = reads(powers, lambda broker: (broker.get_buying_power(), broker.account.maintenance_requirement))
    run = play([10, 10, 10], {0: [buy(2001), buy(2000), look], 2: look}, **MARGIN)
    assert run.states == [POWER, FILLED]
    assert run.orders[0].rejection_reason == "Insufficient buying power: need $10,005.00, have $10,000.00"
    assert (run.cash, run.equity) == ([10_000, -10_000, -10_000], [10_000] * 3)
    assert powers == [(20_000, 0), (0, 5_000)]  # 25 % of 20,000 to keep


def test_shorts_need_the_same() -> None:
    run = play([10, 10, 11], {0: [buy(-2001), buy(-2000)]}, **MARGIN)
    assert run.states == [POWER, FILLED]
    assert (run.cash[-1], run.equity[-1]) == (30_000, 8_000)


@pytest.mark.parametrize(("basis", "power", "state"), [("initial", 10_000, POWER), ("maintenance", 15_000, FILLED)])
def test_both_bases_of_buying_power(basis: str, power: float, state: tuple[str, str | None]) -> None:
    powers: list[float] = []
    look = reads(powers, lambda broker: broker.get_buying_power())
    run = play([10] * 3, {0: buy(1000), 1: [buy(1500), look]}, buying_power_basis=basis, **MARGIN)
    assert powers == [power]
    assert run.states == [FILLED, state]


def test_gains_may_be_reinvested_and_losses_may_not() -> None:
    # 1,000 at 12: worth 12,000, needs 6,000 of it
    run = play([10, 10, 12, 12], {0: buy(1000), 2: [buy(1001), buy(1000)]}, **MARGIN)
    assert run.states == [FILLED, POWER, FILLED]
    run = play([10, 10, 9, 9], {0: buy(1000), 2: [buy(1001), buy(1000)]}, **MARGIN)
    assert run.orders[1].rejection_reason == "Insufficient buying power: need $4,504.50, have $4,500.00"


def test_a_reversal_is_judged_by_what_is_left() -> None:
    run = play([10] * 4, {0: buy(2000), 1: [buy(-4001), buy(-4000)]}, **MARGIN)
    assert run.states == [FILLED, POWER, FILLED]
    assert (run.deals[-1], run.cash[-1]) == ((2, -4000, 10), 30_000)


def test_orders_are_cut_to_the_buying_power() -> None:
    run = play([10] * 3, {0: buy(2500)}, partial_fills_allowed=True, **MARGIN)
    assert run.deals == [(1, 2000, 10)]


def test_a_margin_call_sells_what_restores_the_account() -> None:
    # 2,000 at 6.4: worth 12,800, owed 10,000: 2,800 against 3,200; 1.6 a unit, so 250
    run = play([10, 10, (10, 10, 6, 6.4), 6.4, 6.4], {0: buy(2000)}, **MARGIN)
    assert run.deals == [(1, 2000, 10), (3, -250, 6.4)]
    assert run.exits == [("margin_call", 250, 6.4)]
    assert run.alerts == [("margin_call", "reduce", 2800, 3200)]
    assert (run.cash[-1], run.equity[-1]) == (-8_400, 2_800)


def test_margin_calls_trade_on_the_same_bar_in_same_bar_mode() -> None:
    run = play([10, 6.4, 6.4], {0: buy(2000)}, **MARGIN, **SAME)
    assert run.deals == [(0, 2000, 10), (1, -250, 6.4)]


@pytest.mark.parametrize(("policy", "sold", "action"), [("liquidate", [(3, -2000, 6.4)], "liquidate"), ("ignore", [], "warn")])
def test_other_answers_to_a_margin_call(policy: str, sold: list[Any], action: str) -> None:
    called: list[bool] = []
    run = play([10, 10, 6.4, 6.4], {0: buy(2000), 2: reads(called, lambda broker: broker.is_margin_call)}, margin_call=policy, **MARGIN)
    assert run.deals[1:] == sold
    assert called == [True]
    assert run.alerts[0] == ("margin_call", action, 2800, 3200)


def test_margin_calls_within_the_bar_trade_at_its_worst_price() -> None:
    bars = [10, 10, (10, 10, 6.4, 9), 9]
    assert play(bars, {0: buy(2000)}, **MARGIN).deals == [(1, 2000, 10)]
    run = play(bars, {0: buy(2000)}, margin_call_check="intrabar", **MARGIN)
    assert run.deals[1:] == [(2, -250, 6.4)]
    # a short at its high of 12.5: 5,000 against 30 % of 25,000; 2,500 / 3.75 a unit
    short = play([10, 10, (10, 12.5, 10, 10), 10], {0: buy(-2000)}, margin_call_check="intrabar", share_type="integer", **MARGIN)
    assert short.deals[1:] == [(2, 667, 12.5)]


def test_the_largest_requirement_goes_first() -> None:
    bars: dict[str, Any] = {"A": [10, 10, 6, 6], "B": [10, 10, 6, 6]}
    run = play(bars, {0: [buy(800), buy(1200, "B")]}, **MARGIN)
    # worth 12,000, owed 10,000: 2,000 against 3,000; 1,000 / 1.5 = 667 of the 1,200 of B
    assert [(fill.asset, round(fill.signed_quantity)) for fill in run.result.fills[2:]] == [("B", -667)]


# Futures ----------------------------------------------------------------------------------------------------------------------------


def test_futures_post_margin_and_pay_variation() -> None:
    needs: list[tuple[float, float]] = []
    look = reads(needs, lambda broker: (broker.account.initial_requirement, broker.account.maintenance_requirement))
    run = play([100, (100, 101, 99, 101), 99, 99], {0: buy(2), 1: look, 2: buy(-2)}, **FUTURES)
    assert run.deals == [(1, 2, 100), (3, -2, 99)]
    assert needs == [(2_000, 1_600)]
    # no notional changes hands: 2 * 1 * 50 on the first day, -2 * 2 * 50 on the second
    assert run.cash == [10_000, 10_100, 9_900, 9_900]
    assert run.equity == run.cash
    (trade,) = run.result.trades
    assert (trade.pnl, trade.entry_price, trade.multiplier) == (-100, 100, 50)


def test_variation_settles_at_the_end_of_the_session() -> None:
    run = play([100, 100, 101, 103, 104, 104], {0: buy(2)}, times=sessions(2, 3), **FUTURES)
    assert run.cash == [10_000, 10_000, 10_100, 10_100, 10_100, 10_400]
    assert run.equity == [10_000, 10_000, 10_100, 10_300, 10_400, 10_400]


def test_adding_reducing_and_reversing_futures() -> None:
    run = play([100, 100, 102, 104, 101, 101], {0: buy(2), 1: buy(2), 2: buy(-1), 3: buy(-5)}, **FUTURES)
    assert run.deals == [(1, 2, 100), (2, 2, 102), (3, -1, 104), (4, -5, 101)]
    # bar 2: 2 from 100 to 102; bar 3: 4 from 102 to 104; bar 4: 3 closed from 104 to 101
    assert run.cash == [10_000, 10_000, 10_200, 10_600, 10_150, 10_150]
    first, second, third = run.result.trades
    assert [trade.pnl for trade in (first, second, third)] == [150, 0, 0]
    assert (first.entry_price, second.quantity, third.quantity) == (101, 3, -2)


def test_futures_are_refused_for_margin_and_called() -> None:
    run = play([100, 100, 100], {0: buy(11)}, **FUTURES)
    assert run.orders[0].rejection_reason == "Insufficient buying power: need $11,000.00, have $10,000.00"
    # 10 contracts lose 3,000: 7,000 against 8,000; 1,000 / 800 is 2 whole contracts
    run = play([100, 100, 94, 94], {0: buy(10)}, **FUTURES)
    assert run.deals[1:] == [(3, -2, 94)]
    assert run.exits == [("margin_call", 2, 94)]
    assert run.alerts == [("margin_call", "reduce", 7_000, 8_000)]
    assert play([100, 100, 94, 94], {0: buy(10)}, margin_call="liquidate", **FUTURES).exits == [("margin_call", 10, 94)]


def test_a_short_future_earns_when_the_price_falls() -> None:
    run = play([100, 100, 98, 98], {0: buy(-2), 2: buy(2)}, **FUTURES)
    assert run.cash == [10_000, 10_000, 10_200, 10_200]
    assert run.exits == [("signal", -2, 98)]


@pytest.mark.parametrize(
    "margins",
    [
        {"fixed_margin_schedule": {"A": (1000, 800)}},
        {"initial_margin_per_contract": 1000, "maintenance_margin_per_contract": 800},
        {"margin_pct_schedule": {"A": (0.2, 0.16)}},  # of 5,000
        {"futures_margin_rate": 0.2},
    ],
)
def test_where_margins_come_from(margins: dict[str, Any]) -> None:
    spec = {"A": ContractSpec("A", AssetClass.FUTURE, multiplier=50)}
    run = play([100, 100, 100], {0: [buy(11), buy(10)]}, account_type="futures", contract_specs=spec, **margins)
    assert run.states == [POWER, FILLED]
    assert run.broker.account.initial_requirement == 10_000


def test_a_contract_without_margin_is_refused_before_anything_runs() -> None:
    spec = {"A": ContractSpec("A", AssetClass.FUTURE, multiplier=50)}
    with pytest.raises(ValueError, match=r"no margin for 'A': exchanges change them weekly.*ContractSpec\(margin=...\)"):
        play([100], {}, account_type="futures", contract_specs=spec)
    with pytest.raises(ValueError, match="no margin for 'A'"):
        play([100], {}, account_type="futures")


def test_futures_beside_stocks_in_a_margin_account() -> None:
    bars: dict[str, Any] = {"A": [100, 100, 101], "B": [10, 10, 11]}
    run = play(bars, {0: [buy(2), buy(1000, "B")]}, **{**FUTURES, "account_type": "margin"})
    # the stock is paid for, the future is not: 2 * 50 of variation
    assert (run.cash, run.equity) == ([10_000, 0, 100], [10_000, 10_000, 11_100])
    assert run.broker.account.initial_requirement == 2_000 + 5_500
