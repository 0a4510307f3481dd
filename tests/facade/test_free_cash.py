"""The ledger that keeps free cash, with numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from ml4t_backtest import (
    BacktestConfig,
    CombinedCommission,
    ContractSpec,
    DataFeed,
    Engine,
    FixedSlippage,
    PerShareCommission,
    StopLoss,
    VolumeParticipationLimit,
    VolumeShareSlippage,
)
from tests.facade.feeds import Calls, days


def account(
    closes: list[float], actions: dict[int, Any], events: pl.DataFrame | None = None, volume: float = 1e6, **settings: Any
) -> Engine:
    """Run actions by bar over flat bars of one asset, in an account with 1,000 that keeps free cash."""
    frame = pl.DataFrame(
        {"timestamp": days(len(closes)), "asset": "A", **dict.fromkeys(("open", "high", "low", "close"), closes), "volume": volume}
    )
    models = {
        name: settings.pop(name)
        for name in ("commission_model", "slippage_model", "execution_limits", "contract_specs")
        if name in settings
    }
    config = BacktestConfig.from_preset("vectorbt").replace(initial_cash=1000.0, **settings)

    def act(bar: int, data: Any, broker: Any) -> None:
        if bar in actions:
            actions[bar](broker)

    engine = Engine(DataFeed(prices_df=frame, allow_nonpositive_prices=True), Calls(act), config, events=events, **models)
    engine.run()
    return engine


def fills(engine: Engine) -> list[float]:
    return [float(quantity) for quantity in engine._store.used_fills()["quantity"]]


def state(engine: Engine) -> list[float]:
    """Cash, free cash and debt."""
    store = engine._store
    return [float(store.state["cash"][0]), float(store.state["free_cash"][0]), float(store.positions["debt"][0])]


def all_in(broker: Any) -> None:
    broker.submit_order("A", math.inf)


def all_short(broker: Any) -> None:
    broker.submit_order("A", -math.inf)


def test_an_order_for_all_spends_all_the_cash_and_pays_its_commission_from_it() -> None:
    engine = account([10.0], {0: all_in}, commission_model=CombinedCommission(percentage=0.01, fixed=10.0))
    (fill,) = engine.broker.fills
    assert fill.quantity == (990.0 / 1.01) / 10.0  # of 1,000 the 10 and one per cent of the rest are commission
    assert fill.commission == 1000.0 - 990.0 / 1.01
    assert state(engine) == [0.0, 0.0, 0.0]
    (order,) = engine.broker.orders
    assert (order.quantity, order.filled_quantity, order.status.value) == (fill.quantity, fill.quantity, "filled")


def test_a_short_for_all_sells_what_free_cash_covers_and_turns_with_all_the_cash() -> None:
    engine = account([10.0, 8.0], {0: all_short})
    assert fills(engine) == [-100.0]
    assert state(engine) == [2000.0, 0.0, 1000.0]
    engine = account([10.0, 8.0], {0: all_short, 1: all_in})
    assert fills(engine) == [-100.0, 250.0]
    assert state(engine) == [0.0, 0.0, 0.0]
    assert [trade.pnl for trade in engine.broker.trades] == [200.0]


def test_long_and_then_short_for_all_is_one_order() -> None:
    engine = account([10.0, 12.0], {0: all_in, 1: all_short})
    assert fills(engine) == [100.0, -200.0]
    assert state(engine) == [2400.0, 0.0, 1200.0]


@pytest.mark.parametrize(("fraction", "quantity"), [(0.25, 25.0), (1.0, 100.0), (-0.25, -25.0), (-1.0, -100.0)])
def test_a_fraction_of_what_can_be_paid(fraction: float, quantity: float) -> None:
    assert fills(account([10.0], {0: lambda broker: broker.order_cash_percent("A", fraction)})) == [quantity]


def test_shorts_of_a_given_size_are_limited_only_where_they_lock_cash() -> None:
    sell = {0: lambda broker: broker.submit_order("A", -300.0)}
    engine = account([10.0], sell)
    assert fills(engine) == [-300.0]
    assert state(engine) == [4000.0, -2000.0, 3000.0]
    assert fills(account([10.0], sell, short_cash_policy="lock_notional")) == [-100.0]


def test_buying_back_releases_the_debt_at_its_average_and_never_spends_what_shorts_lock() -> None:
    # 60 sold at 10: cash 1,600, debt 600, free 400. 20 bought at 12 cost 240 and release a third of the debt, twice.
    actions: dict[int, Any] = {0: lambda broker: broker.submit_order("A", -60.0), 1: lambda broker: broker.submit_order("A", 20.0)}
    engine = account([10.0, 12.0], actions, short_cash_policy="lock_notional")
    assert state(engine) == [1360.0, 560.0, 400.0]
    # All in at 25: covering 60 would cost 1,500, free cash and twice the debt are 1,600: 64 are bought.
    engine = account([10.0, 25.0], {0: lambda broker: broker.submit_order("A", -60.0), 1: all_in}, short_cash_policy="lock_notional")
    assert fills(engine) == [-60.0, 64.0]
    # At 40 covering would cost 2,400: (400 - 0) / (40 - 2 * 10) = 20 can be bought back, for 800.
    engine = account([10.0, 40.0], {0: lambda broker: broker.submit_order("A", -60.0), 1: all_in}, short_cash_policy="lock_notional")
    assert fills(engine) == [-60.0, 20.0]
    assert state(engine) == [800.0, 0.0, 400.0]


def test_whole_units_leave_the_rest_in_cash() -> None:
    engine = account([300.0], {0: all_in}, share_type="integer", commission_model=CombinedCommission(percentage=0.01))
    assert fills(engine) == [3.0]
    assert state(engine)[0] == 1000.0 - 909.0


def test_an_order_is_cut_or_refused() -> None:
    buy = {0: lambda broker: broker.submit_order("A", 150.0)}
    assert fills(account([10.0], buy)) == [100.0]
    engine = account([10.0], buy, partial_fills_allowed=False, reject_on_insufficient_cash=True)
    (order,) = engine.broker.orders
    assert order.status.value == "rejected"
    assert "1,500" in str(order.rejection_reason)
    engine = account([10.0, 10.0], {0: all_in, 1: all_in})
    assert [order.status.value for order in engine.broker.orders] == ["filled", "cancelled"]
    engine = account([10.0], {0: lambda broker: broker.submit_order("A", 1.0)}, commission_model=CombinedCommission(fixed=1000.0))
    assert fills(engine) == []


def test_money_from_events_is_free() -> None:
    dividend = pl.DataFrame({"timestamp": days(3)[1:2], "asset": ["A"], "kind": ["dividend"], "value": [2.0]})
    engine = account([10.0, 10.0, 10.0], {0: lambda broker: broker.submit_order("A", 50.0), 2: all_in}, dividend)
    assert fills(engine) == [50.0, 60.0]  # 500 were left, 100 came
    assert state(engine) == [0.0, 0.0, 0.0]


def test_order_limits_hold_here_too_and_leave_no_trace() -> None:
    engine = account([10.0, 10.0], {0: lambda broker: broker.submit_order("A", 50.0), 1: all_in}, max_order_size=400.0)
    assert fills(engine) == []
    assert state(engine) == [1000.0, 1000.0, 0.0]


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"commission_model": PerShareCommission(0.01)}, "fraction of the value"),
        ({"commission_model": CombinedCommission(percentage=0.01, min_cost=1.0)}, "fraction of the value"),
        ({"slippage_model": VolumeShareSlippage()}, "fraction of the price"),
    ],
)
def test_costs_that_cannot_be_solved_for_the_quantity_are_refused(models: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        account([10.0], {}, **models)


@pytest.mark.parametrize(
    "settings",
    [
        {"settlement_delay": 1},
        {"cash_buffer_pct": 0.1},
        {"skip_cash_validation": True},
        {"next_bar_simple_cash_check": True},
        {"next_bar_submission_precheck": True},
        {"buying_power_reservation": True},
        {"short_cash_policy": "credit_proceeds"},
        {"account_type": "margin"},
    ],
)
def test_settings_that_decide_about_money_contradict_it(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cash_ledger='free_cash' decides what may be spent, which contradicts"):
        account([10.0], {}, **settings)


def test_bad_orders_say_what_to_do() -> None:
    def tried(quantity: Any, **order: Any) -> Any:
        return lambda broker: broker.submit_order("A", quantity, **order)

    for action, words in (
        (tried(math.nan), "expected a finite number"),
        (tried(math.inf, order_type="limit", limit_price=10.0), "plain market order"),
        (tried(math.inf, time_in_force="ioc"), "plain market order"),
        (tried(math.inf, displayed_quantity=5.0), "plain market order"),
        (lambda broker: broker.update_order(broker.submit_order("A", math.inf), quantity=5.0), "no quantity to change"),
        (lambda broker: broker.order_cash_percent("A", 1.5), "expected a number from -1 to 1"),
        (lambda broker: broker.order_cash_percent("B", 0.5), "unknown asset"),
    ):
        with pytest.raises(ValueError, match=words):
            account([10.0], {0: action})
    for action in (all_in, lambda broker: broker.order_cash_percent("A", 0.5)):
        with pytest.raises(ValueError, match="cash_ledger='free_cash'"):
            account([10.0], {0: action}, cash_ledger="standard")


def test_an_order_for_all_that_only_reduces_closes() -> None:
    sell = {0: lambda broker: broker.submit_order("A", 30.0), 1: lambda broker: broker.submit_order("A", -math.inf, reduce_only=True)}
    assert fills(account([10.0, 10.0], sell)) == [30.0, -30.0]
    nothing = {0: lambda broker: broker.submit_order("A", -math.inf, reduce_only=True)}
    assert fills(account([10.0], nothing)) == []


def test_a_cash_account_may_keep_free_cash_but_sells_nothing_short() -> None:
    engine = account([10.0, 10.0], {0: all_short, 1: all_in}, account_type="cash", allow_short_selling=False)
    assert fills(engine) == [100.0]
    assert [order.status.value for order in engine.broker.orders] == ["rejected", "filled"]


def test_where_shorts_are_not_allowed_an_order_for_all_sells_what_is_held() -> None:
    settings: dict[str, Any] = {"account_type": "cash", "allow_short_selling": False}
    assert fills(account([10.0, 10.0], {0: all_in, 1: all_short}, **settings)) == [100.0, -100.0]
    assert fills(account([10.0, 10.0], {0: all_in, 1: lambda broker: broker.order_cash_percent("A", -0.25)}, **settings)) == [100.0, -25.0]


def test_an_order_for_all_takes_no_more_of_the_volume_than_it_may() -> None:
    limits = VolumeParticipationLimit(0.1)
    for action, quantity in ((all_in, 40.0), (all_short, -40.0)):
        engine = account([10.0], {0: action}, volume=400.0, execution_limits=limits)
        assert fills(engine) == [quantity]
        (order,) = engine.broker.orders
        assert (order.status.value, order.quantity) == ("filled", abs(quantity))


def test_the_fixed_part_of_a_commission_is_paid_once_an_order() -> None:
    buy = {0: lambda broker: broker.submit_order("A", 30.0, displayed_quantity=20.0)}
    engine = account([10.0, 10.0], buy, commission_model=CombinedCommission(percentage=0.01, fixed=3.0))
    assert [(fill.quantity, fill.commission) for fill in engine.broker.fills] == [(20.0, 5.0), (10.0, 1.0)]
    assert state(engine)[0] == 694.0


def test_fill_or_kill_is_never_cut_and_immediate_or_cancel_ends_with_its_turn() -> None:
    engine = account(
        [10.0, 10.0], {0: lambda broker: broker.submit_order("A", 150.0, time_in_force="fok")}, reject_on_insufficient_cash=True
    )
    (order,) = engine.broker.orders
    assert (order.status.value, order.filled_quantity) == ("rejected", 0.0)
    assert "1,500" in str(order.rejection_reason)
    some = {0: lambda broker: broker.submit_order("A", 30.0, time_in_force="ioc", displayed_quantity=20.0)}
    engine = account([10.0, 10.0], some)
    (order,) = engine.broker.orders
    assert (order.status.value, order.filled_quantity) == ("expired", 20.0)


def test_what_a_split_pays_out_releases_its_part_of_the_debt() -> None:
    split = pl.DataFrame({"timestamp": days(3)[1:2], "asset": ["A"], "kind": ["split"], "value": [0.5]})
    sell = {0: lambda broker: broker.submit_order("A", -5.0)}
    # 5 sold at 10 become 2 and a half at 20; the half is bought back for 10 and with it goes a fifth of the debt.
    engine = account([10.0, 20.0, 20.0], sell, split, share_type="integer")
    assert state(engine) == [1040.0, 960.0, 40.0]
    engine = account([10.0, 20.0, 20.0], {0: lambda broker: broker.submit_order("A", -1.0)}, split, share_type="integer")
    assert state(engine) == [1000.0, 1000.0, 0.0]


@pytest.mark.parametrize("price", [0.0, -5.0])
@pytest.mark.parametrize("policy", ["credit", "lock_notional"])
def test_nothing_trades_at_a_price_that_is_not_above_zero(price: float, policy: str) -> None:
    def tries(broker: Any) -> None:
        for quantity in (math.inf, -math.inf, 10.0, -10.0):
            broker.submit_order("A", quantity)

    engine = account([price, 10.0], {0: tries}, short_cash_policy=policy)
    assert fills(engine) == []
    assert {order.status.value for order in engine.broker.orders} == {"cancelled"}


def test_lots_are_rounded_down_by_the_exact_quotient() -> None:
    # In doubles 23 * 0.3 is a hair less than 23 times what 0.3 is, which is a little less than three tenths: VectorBT makes 22 lots of it.
    order = {0: lambda broker: broker.submit_order("A", 6.9)}
    assert fills(account([10.0], order, contract_specs={"A": ContractSpec("A", lot_size=0.3)})) == [22 * 0.3]
    assert fills(account([10.0], order, contract_specs={"A": ContractSpec("A", lot_size=0.25)})) == [6.75]
    whole = {0: lambda broker: broker.submit_order("A", 6.9, time_in_force="fok")}
    engine = account([10.0], whole, contract_specs={"A": ContractSpec("A", lot_size=0.3)}, partial_fills_allowed=False)
    assert [(order.status.value, order.filled_quantity) for order in engine.broker.orders] == [("expired", 0.0)]


def test_exits_of_rules_at_their_price_take_slippage_or_not() -> None:
    def start(broker: Any) -> None:
        broker.submit_order("A", 10.0)
        broker.set_position_rules(StopLoss(0.1))

    for slips, price in ((False, 8.0), (True, 7.5)):  # the bars are flat, so the level is passed at the open
        engine = account([10.0, 8.0], {0: start}, slippage_model=FixedSlippage(0.5), rule_exit_slippage=slips)
        assert [fill.price for fill in engine.broker.fills] == [10.5, price]


def test_nothing_is_bought_back_at_twice_the_price_where_a_commission_is_missing() -> None:
    # 99.9 sold at 10 leave nothing free; at 20 each bought back takes as much as it releases, and there is no 1 for the commission.
    cost = CombinedCommission(fixed=1.0)
    for buy in (all_in, lambda broker: broker.submit_order("A", 50.0)):
        engine = account([10.0, 20.0], {0: all_short, 1: buy}, commission_model=cost, short_cash_policy="lock_notional")
        assert fills(engine) == [-99.9]
        assert engine.broker.orders[1].status.value == "cancelled"
