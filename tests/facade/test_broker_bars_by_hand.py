"""Bars that are given to a `Broker` by hand: times, prices, signals, sessions, and arrays that grow with them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t_backtest import (
    AssetClass,
    Broker,
    ContractSpec,
    DataFeed,
    Engine,
    Order,
    PercentageCommission,
    SpreadSlippage,
    Strategy,
    TieredCommission,
)
from ml4t_backtest.risk import (
    PositionAction,
    SignalExit,
    StopLoss,
    TighteningTrailingStop,
    VolatilityStop,
)
from tests.facade.feeds import START, feed

HOUR = timedelta(hours=1)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def holding(quantity: float = 10.0, **keywords: Any) -> Broker:
    """Return a broker that has bought at 10 on day 0."""
    broker = Broker(10_000.0, **keywords)
    broker.update_time(day(0), {"AAPL": 10.0})
    broker.submit_order("AAPL", quantity)
    broker.process_orders()
    return broker


def test_times_ascend_in_one_zone() -> None:
    broker = Broker()
    broker.update_time(day(1), {"AAPL": 10.0})
    for when in (day(1), day(0), "2024-01-01"):
        with pytest.raises(ValueError, match="is not later than the bar before, 2024-01-02 00:00:00: times must ascend"):
            broker.update_time(when, {"AAPL": 10.0})
    with pytest.raises(ValueError, match="all must have a time zone, or none"):
        broker.update_time(day(2).replace(tzinfo=UTC), {"AAPL": 10.0})
    with pytest.raises(TypeError, match="timestamp was a int"):
        broker.update_time(5, {"AAPL": 10.0})
    with pytest.raises(ValueError, match="timestamp was None"):
        broker.update_time(None, {"AAPL": 10.0})
    broker.update_time(np.datetime64("2024-01-03"), {"AAPL": 11.0})
    assert [when for when, _ in broker.equity_curve] == [day(1), day(2)]


@pytest.mark.parametrize(
    ("prices", "columns", "message"),
    [
        ({"AAPL": math.inf}, {}, "close of 'AAPL' at 2024-01-02 00:00:00 was inf, expected a finite number, or NaN or None for no bar"),
        ({"AAPL": "10"}, {}, "close of 'AAPL' at .* was '10'"),
        ({"AAPL": True}, {}, "close of 'AAPL' at .* was True"),
        ({"AAPL": [10.0]}, {}, "close of 'AAPL' at"),
        ({"AAPL": -1.0}, {}, r"close of 'AAPL' at .* was -1.0: expected prices > 0 \(Broker\(allow_nonpositive_prices=True\)"),
        ({"AAPL": 10.0}, {"opens": {"AAPL": 0.0}}, "open of 'AAPL' at .* was 0.0: expected prices > 0"),
        ({"AAPL": 10.0}, {"highs": {"AAPL": 9.0}, "lows": {"AAPL": 9.5}}, "high of 'AAPL' at .* was 9.0: the low 9.5 is above it"),
        ({"AAPL": 10.0}, {"volumes": {"AAPL": -1.0}}, "volume of 'AAPL' at .* was -1.0: expected volumes >= 0"),
    ],
)
def test_bad_numbers_are_refused_and_nothing_has_changed(prices: dict[str, Any], columns: dict[str, Any], message: str) -> None:
    broker = holding()
    with pytest.raises(ValueError, match=message):
        broker.update_time(day(1), prices, **columns)
    assert broker.equity_curve == [(day(0), 10_000.0)]
    broker.update_time(day(1), {"AAPL": 11.0})
    assert broker.get_account_value() == 10_010.0


def test_bad_kinds_are_refused() -> None:
    broker = Broker(allow_nonpositive_prices=True)
    with pytest.raises(TypeError, match="prices was a list, expected a mapping"):
        broker.update_time(day(0), [10.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="open was a float, expected a mapping"):
        broker.update_time(day(0), {"AAPL": 10.0}, 9.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="have the asset 5, expected a text"):
        broker.update_time(day(0), {5: 10.0})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="asset was 5 at the start, expected a text"):
        broker.submit_order(5, 10.0)  # type: ignore[arg-type]
    broker.update_time(day(0), {"OIL": -37.0})
    broker.submit_order("OIL", 1)
    broker.process_orders()
    assert broker.fills[0].price == -37.0


@pytest.mark.parametrize("nothing", [{"AAPL": math.nan}, {"AAPL": None}, {}, {"MSFT": 5.0}, {"AAPL": {"open": 12.0, "close": None}}])
def test_without_a_close_there_is_no_bar(nothing: dict[str, Any]) -> None:
    broker = holding()
    order = broker.submit_order("AAPL", 5)
    broker.update_time(day(1), nothing, {"AAPL": 12.0})
    broker.process_orders()
    assert order is not None
    assert order.is_active
    assert broker.positions["AAPL"].current_price == 10.0
    assert broker.positions["AAPL"].bars_held == 1
    broker.update_time(day(2), {"AAPL": 11.0})
    broker.process_orders()
    assert order.filled_at == day(2)


def test_the_bars_of_a_feed_fit() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [day(0), day(1)],
            "symbol": ["AAPL"] * 2,
            "open": [9.0, 11.0],
            "high": [13.0] * 2,
            "low": [8.0] * 2,
            "close": [10.0, 12.0],
        }
    )
    broker = Broker(1_000.0, execution_mode="next_bar")
    for timestamp, data, _ in DataFeed(frame):
        broker.update_time(timestamp, data)
        broker.process_orders()
        broker.submit_order("AAPL", 1)
        broker.process_orders()
    assert [(fill.timestamp, fill.price) for fill in broker.fills] == [(day(1), 11.0)]
    assert broker.get_account_value() == 1_001.0


def test_quotes_and_vwap_come_in_whole_bars() -> None:
    broker = Broker(1_000.0, None, SpreadSlippage())
    broker.submit_order("AAPL", 1)
    broker.update_time(day(0), {"AAPL": 10.0})
    broker.process_orders()
    assert broker.fills == []  # no quote: the order waits
    broker.update_time(day(1), {"AAPL": {"close": 10.0, "bid": 9.5, "ask": 10.5}})
    broker.process_orders()
    assert broker.fills[0].price == 10.5
    with pytest.warns(UserWarning, match="look-ahead"):
        broker = Broker(1_000.0, execution_price="vwap")
    broker.submit_order("AAPL", 1)
    broker.update_time(day(0), {"AAPL": {"close": 10.0, "vwap": 9.75}})
    broker.process_orders()
    assert broker.fills[0].price == 9.75


def test_any_number_of_bars_and_assets_and_handles_stay_true() -> None:
    broker = Broker(1_000_000.0, PercentageCommission(0.001))
    engine_closes: dict[str, list[float | None]] = {
        f"A{number}": [None] * number + [10.0 + number] * (600 - number) for number in range(30)
    }
    kept: list[Order] = []
    for bar in range(600):
        closes = {asset: series[bar] for asset, series in engine_closes.items() if series[bar] is not None}
        broker.update_time(day(bar), closes)
        broker.process_orders()
        if bar % 50 == 0:
            order = broker.submit_order(f"A{bar % 30}", 10)
            assert order is not None
            kept.append(order)
        broker.process_orders()
    first = broker.positions["A0"]
    assert first.bars_held == 599
    assert [order.filled_at for order in kept] == [day(50 * number) for number in range(12)]
    assert len(broker.equity_curve) == 600
    assert broker.assets == tuple(engine_closes)
    broker.submit_order("NEW", 5)
    assert first.quantity == 40.0
    assert (first.entry_time, first.current_price) == (day(0), 10.0)
    assert math.isclose(broker.cash, 1_000_000.0 - sum(fill.price * fill.quantity + fill.commission for fill in broker.fills))


def test_rules_of_before_hold_when_assets_join() -> None:
    """Costs and rules keep their steps in one table; a new asset brings steps of its own."""
    broker = Broker(100_000.0, TieredCommission([(1_000.0, 0.01), (math.inf, 0.001)]))
    broker.set_position_rules(TighteningTrailingStop(((0.0, 0.2), (0.5, 0.05))))
    broker.set_position_rules(StopLoss(0.5), "MSFT")
    broker.update_time(day(0), {"AAPL": 10.0})
    broker.submit_order("AAPL", 10)
    broker.process_orders()
    broker.update_time(day(1), {"AAPL": 16.0, "MSFT": 20.0})
    broker.process_orders()
    broker.submit_order("MSFT", 100)
    broker.process_orders()
    broker.update_time(day(2), {"AAPL": 15.1, "MSFT": 17.0, "TSLA": 5.0})
    broker.process_orders()
    assert [fill.commission for fill in broker.fills] == [1.0, 2.0, pytest.approx(1.51)]
    assert list(broker.positions) == ["MSFT"]


def test_signals_of_a_bar_reach_the_rules() -> None:
    broker = holding()
    broker.set_position_rules(SignalExit("exit", 0.5))
    broker.update_time(day(1), {"AAPL": 11.0}, signals={"AAPL": {"exit": -1.0, "regime": "bear"}, "MSFT": {"exit": None}})
    assert [order.rule_reason for order in broker._process_pending_exits()] == ["signal_exit"]
    broker.process_orders()
    assert broker.positions == {}
    with pytest.raises(TypeError, match="signal 'exit' of 'AAPL' at .* was 'now', expected a number"):
        broker.update_time(day(2), {"AAPL": {"close": 11.0, "signals": {"exit": "now"}}})


def test_values_by_hand_win_over_signals_and_end_with_the_position() -> None:
    broker = holding()
    broker.set_position_rules(VolatilityStop(1.0, use_entry_atr=False))
    broker.update_position_context("AAPL", {"atr": 5.0})
    broker.update_time(day(1), {"AAPL": 8.0}, signals={"AAPL": {"atr": 1.0}})
    assert broker._process_pending_exits() == []
    broker.update_position_context("AAPL", {"atr": None})
    broker.update_time(day(2), {"AAPL": 8.0}, signals={"AAPL": {"atr": 1.0}})
    assert len(broker._process_pending_exits()) == 1


class Held(Strategy):
    """Buys on the first bar and follows a rule."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def on_start(self, broker: Any) -> None:
        broker.set_position_rules(self.rule)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        if not broker.orders:
            for asset in data:
                broker.submit_order(asset, 100)


@pytest.mark.parametrize("lookback", [3, 12])
def test_a_rolling_volatility_is_that_of_the_engine(lookback: int) -> None:
    walk = np.random.default_rng(4)
    closes = {asset: np.round(100.0 + walk.normal(0.0, 1.0, 400).cumsum(), 2).tolist() for asset in ("A", "B")}
    rule = VolatilityStop(2.5, lookback=lookback, use_entry_atr=False)
    engine = Engine(feed(closes), Held(rule), account_type="margin")
    engine.run()
    broker, strategy = Broker(account_type="margin"), Held(rule)
    for bar in range(400):
        broker.update_time(day(bar), {asset: series[bar] for asset, series in closes.items()})
        broker.process_orders()
        if bar == 1:
            strategy.on_start(broker)  # a rule that is set on the way has seen the bars before it
        strategy.on_data(day(bar), closes, {}, broker)
        broker.process_orders()
    assert broker.trades == engine.broker.trades
    assert len(broker.trades) == 2


def test_an_exception_of_a_rule_is_raised_and_the_bar_goes_on() -> None:
    class Breaks:
        def __init__(self) -> None:
            self.seen: list[dict[str, Any]] = []

        def evaluate(self, state: Any) -> PositionAction:
            self.seen.append(state.context)
            if len(self.seen) == 1:
                raise RuntimeError("no idea")
            return PositionAction.exit_full("done")

    broker = holding()
    rule = Breaks()
    broker.set_position_rules(rule)
    with pytest.raises(RuntimeError, match="no idea"):
        broker.update_time(day(1), {"AAPL": 11.0}, signals={"AAPL": {"score": 0.25}})
    assert broker.get_account_value() == 10_010.0
    broker.process_orders()
    broker.update_time(day(2), {"AAPL": 12.0})
    broker.process_orders()
    assert rule.seen[0]["score"] == 0.25
    assert math.isnan(rule.seen[1]["score"])
    assert [trade.exit_price for trade in broker.trades] == [12.0]


def test_a_model_that_fails_stops_the_pass_and_the_next_call_goes_on() -> None:
    class Moody:
        calls = 0

        def calculate(self, asset: str, quantity: float, price: float) -> float:
            self.calls += 1
            if asset == "MSFT" and self.calls < 3:
                raise RuntimeError("closed")
            return 1.0

    broker = Broker(1_000.0, Moody())
    broker.submit_order("AAPL", 1)
    broker.submit_order("MSFT", 1)
    broker.update_time(day(0), {"AAPL": 10.0, "MSFT": 20.0})
    with pytest.raises(RuntimeError, match="closed"):
        broker.process_orders()
    assert [fill.asset for fill in broker.fills] == ["AAPL"]
    broker.process_orders()
    assert [fill.asset for fill in broker.fills] == ["AAPL", "MSFT"]
    assert broker.cash == 1_000.0 - 30.0 - 2.0


def test_sessions_say_when_on_close_orders_trade_and_futures_settle() -> None:
    specs = {"ES": ContractSpec("ES", asset_class=AssetClass.FUTURE, multiplier=50.0, margin=1_000.0), "NEVER": ContractSpec("NEVER")}
    broker = Broker(100_000.0, account_type="margin", data_frequency="1h", contract_specs=specs)
    broker.update_time(START, {"ES": 100.0})
    assert broker.get_multiplier("ES") == 50.0
    broker.submit_order("ES", 1)
    broker.process_orders()
    broker.update_time(START + HOUR, {"ES": 101.0})
    close = broker.submit_order("ES", 1, order_type="market_on_close")
    broker.process_orders()
    assert broker.cash == 100_000.0
    broker.update_time(START + 2 * HOUR, {"ES": 102.0}, last_of_session=True)
    broker.process_orders()
    assert close is not None
    assert close.filled_price == 102.0
    broker.update_time(day(1), {"ES": 103.0})
    assert broker.cash == 100_000.0 + 2.0 * 50.0
    broker.update_time(day(1) + HOUR, {"ES": 104.0})
    assert broker.cash == 100_000.0 + 2.0 * 50.0  # the same session
    broker.update_time(day(2), {"ES": 104.0})
    assert broker.cash == 100_000.0 + 2.0 * 50.0 + 2 * 2.0 * 50.0


def test_a_future_without_a_margin_is_refused_and_leaves_no_trace() -> None:
    schedule = {"ES": (1_000.0, 900.0), "NEVER": (5.0, 4.0)}
    broker = Broker(100_000.0, account_type="futures", fixed_margin_schedule=schedule)
    broker.update_time(day(0), {"ES": 100.0})
    with pytest.raises(ValueError, match="no margin for 'NQ'"):
        broker.submit_order("NQ", 1)
    with pytest.raises(ValueError, match="no margin for 'NQ'"):
        broker.update_time(day(1), {"NQ": 10.0})
    assert broker.assets == ("ES",)
    broker.submit_order("ES", 1)
    broker.process_orders()
    assert broker.positions["ES"].quantity == 1.0
    broker.update_time(day(1), {"ES": 101.0})
    assert broker.get_account_value() == 100_001.0


def test_margin_calls_come_with_the_bar_or_after_its_first_pass() -> None:
    for other in (False, True):
        broker = holding(1_500.0, account_type="margin")
        if other:
            broker.submit_order("AAPL", 1, order_type="limit", limit_price=1.0)
        broker.update_time(day(1), {"AAPL": 4.0})
        assert len(broker.pending_orders) == 1
        broker.process_orders()
        assert len(broker.fills) == 1
        broker.process_orders()
        assert broker.fills[-1].price == 4.0
        assert broker.trades[0].exit_reason.value == "margin_call"


def test_interest_statistics_and_late_assets_by_hand() -> None:
    broker = holding(cash_interest_rate=0.365, late_asset_policy="require_history", late_asset_min_bars=2, missing_price_policy="use_last")
    broker.update_time(day(1), {"AAPL": 11.0, "MSFT": 5.0})
    assert broker.cash == pytest.approx(9_900.0 * 1.001)
    assert broker.rebalance_to_weights({"MSFT": 0.5, "AAPL": 0.0})[0].asset == "AAPL"
    broker.process_orders()
    assert broker.get_asset_stats("AAPL").total_realized_pnl == 10.0
    for bar in range(2, 300):
        broker.update_time(day(bar), {"AAPL": 11.0} if bar > 2 else {"MSFT": 6.0})
    broker.configure_stats(track_session_stats=True)
    (order,) = broker.rebalance_to_weights({"MSFT": 0.5})
    assert order.quantity == pytest.approx(broker.get_account_value() * 0.5 / 6.0)
    assert broker.get_asset_stats("MSFT").total_trades == 0


def test_a_fixed_offset_is_a_time_zone_and_dates_follow_it() -> None:
    from zoneinfo import ZoneInfo

    broker = Broker(1_000.0)
    zone = ZoneInfo("America/New_York")
    broker.update_time(datetime(2024, 1, 2, 9, 30, tzinfo=zone), {"AAPL": 10.0})
    order = broker.submit_order("AAPL", 1, order_type="limit", limit_price=5.0, good_till=datetime(2024, 1, 2).date())
    broker.update_time(datetime(2024, 1, 2, 15, 30, tzinfo=zone), {"AAPL": 10.0})
    broker.process_orders()
    assert order is not None
    assert order.is_active
    broker.update_time(datetime(2024, 1, 3, 9, 30, tzinfo=zone), {"AAPL": 4.0})
    broker.process_orders()
    assert order.status.value == "expired"
