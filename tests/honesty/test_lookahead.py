"""`check_lookahead`: every kind of planted leak is found and named, honest strategies pass."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import BacktestConfig, CompiledStrategy, DataFeed, SignalStrategy, StopLoss, Strategy, TrailingStop, check_lookahead
from tests.cases import FAMILIES, family_cases
from tests.honesty.strategies import NEXT, PRICES, Averages, GlobalPeek, HeldPeek, RowPeek, SignalPeek, honest_signals, trade
from tests.outcomes import _events_of, build_engine, feed_of
from tests.profiles import few
from tests.scripted import Scripted
from tests.translation import engine_contracts, engine_limits, engine_models

FEED = DataFeed(PRICES)


def sources(report: Any) -> set[str]:
    return set(report.leaks["source"].to_list())


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(HeldPeek(PRICES), id="object"),
        pytest.param(lambda: HeldPeek(PRICES), id="function over a global"),
        pytest.param(functools.partial(HeldPeek, PRICES), id="partial"),
    ],
)
def test_a_frame_that_is_held_and_peeked_into(strategy: Any) -> None:
    report = check_lookahead(strategy, FEED, NEXT, runs=16)
    assert not report
    first = report.leaks.row(0, named=True)
    assert first["what"] == "order"
    assert first["order_id"] is not None
    assert first["timestamp"] < first["future_from"]
    assert "end of the data" in sources(report)
    assert any(str(name).startswith(("HeldPeek.frame", "PRICES", "an argument")) for name in report.leaks["column"])
    with pytest.raises(AssertionError, match="FAILED"):
        report.raise_if_failed()


def test_a_global_is_put_back_after_the_check() -> None:
    before = PRICES.clone()
    report = check_lookahead(GlobalPeek, FEED, NEXT, runs=16)
    assert "PRICES" in report.leaks["column"].to_list()
    assert PRICES.equals(before)


def _enclosing(data: Any, read: Any) -> Any:
    """Return a strategy class whose turns read an enclosed variable: `read(data, timestamp, bar)`."""

    class Enclosed(Strategy):
        def __init__(self) -> None:
            self.bar = -1

        def on_data(self, timestamp: Any, bars: Any, context: Any, broker: Any) -> None:
            self.bar += 1
            trade(broker, "A0", read(data, timestamp, self.bar) > bars["A0"]["close"])

    return Enclosed


CLOSES = FEED.panels.prices["close"][:, 0]
TIMES = FEED.panels.timestamps
BY_TIME = dict(zip(TIMES, CLOSES.tolist(), strict=True))
INDEXED = pd.Series(CLOSES, index=pd.DatetimeIndex(TIMES))
NEXT_BAR_IN = {
    "array": (CLOSES, lambda data, time, bar: data[min(bar + 1, len(data) - 1)]),
    "list": (CLOSES.tolist(), lambda data, time, bar: data[min(bar + 1, len(data) - 1)]),
    "polars series": (pl.Series(CLOSES), lambda data, time, bar: data[min(bar + 1, len(data) - 1)]),
    "dict by time": (BY_TIME, lambda data, time, bar: data.get(time + timedelta(days=1), 0.0)),
    "pandas series": (INDEXED, lambda data, time, bar: data.asof(time + timedelta(days=1))),
    "pandas frame": (INDEXED.to_frame("c"), lambda data, time, bar: data["c"].asof(time + timedelta(days=1))),
    "feed": (FEED, lambda data, time, bar: data.panels.prices["close"][min(bar + 1, data.n_bars - 1), 0]),
    "mean of a lazy frame": (PRICES.lazy(), lambda data, time, bar: data.collect()["close"].mean()),
}


@pytest.mark.parametrize("kind", NEXT_BAR_IN)
def test_enclosed_data_of_every_kind(kind: str) -> None:
    data, read = NEXT_BAR_IN[kind]
    report = check_lookahead(_enclosing(data, read), FEED, NEXT, runs=20)
    assert "data" in report.leaks["column"].to_list()
    assert "end of the data" in sources(report)


def test_enclosed_data_read_in_time_passes() -> None:
    for kind in ("array", "list", "polars series"):
        assert check_lookahead(_enclosing(NEXT_BAR_IN[kind][0], lambda data, time, bar: 1.1 * data[max(bar - 1, 0)]), FEED, NEXT, runs=12)


def test_a_signal_read_early_is_named() -> None:
    frame = PRICES.select("timestamp", "symbol", mean=pl.col("close").rolling_mean(2).over("symbol"), close_too=pl.col("close") * 1.01)
    feed = DataFeed(PRICES, frame)
    report = check_lookahead(lambda feed: SignalPeek(feed, "mean"), feed, NEXT)
    assert ("signals", "mean") in report.leaks.select("source", "column").rows()
    assert "close_too" not in report.leaks["column"].to_list()
    assert "end of the data" in sources(report)


def test_rows_read_early() -> None:
    report = check_lookahead(RowPeek, FEED, NEXT)
    assert "prices" in sources(report)
    assert "prices: bar" in str(report)


def test_an_array_of_signals_made_with_later_bars() -> None:
    def ahead(feed: DataFeed) -> SignalStrategy:
        close = feed.panels.prices["close"]
        later = np.vstack([close[1:], close[-1:]])
        return SignalStrategy(later > close, later < close, size=5.0)

    def honest(feed: DataFeed) -> SignalStrategy:
        close = feed.panels.prices["close"]
        before = np.vstack([close[:1], close[:-1]])
        return SignalStrategy(close > before, close < before, size=5.0)

    assert {"prices", "end of the data"} <= sources(check_lookahead(ahead, FEED, NEXT, runs=16))
    assert check_lookahead(honest, FEED, NEXT, runs=16).passed
    given_object = check_lookahead(honest(FEED), FEED, NEXT, runs=10)
    assert given_object.passed
    assert "computed before the check" in str(given_object)


def _hold_above(ctx: Any, params: Any) -> None:
    for asset in range(ctx.n_assets):
        up = params.levels[ctx.bar] > ctx.close[asset]
        if up and ctx.position(asset) == 0.0:
            ctx.submit_market(asset, 5.0)
        elif not up and ctx.position(asset) > 0.0:
            ctx.close_position(asset)


def _hold_before_it_rises(ctx: Any, params: Any) -> None:
    ahead = min(ctx.bar + 1, len(params.levels) - 1)
    up = params.levels[ahead] > ctx.close[0]
    if up and ctx.position(0) == 0.0:
        ctx.submit_market(0, 5.0)
    elif not up and ctx.position(0) > 0.0:
        ctx.close_position(0)


def test_compiled_strategies() -> None:
    def ahead(feed: DataFeed) -> CompiledStrategy:
        close = feed.panels.prices["close"][:, 0]
        return CompiledStrategy(_hold_above, {"levels": np.append(close[1:], close[-1])})

    def honest(feed: DataFeed) -> CompiledStrategy:
        close = feed.panels.prices["close"][:, 0]
        return CompiledStrategy(_hold_above, {"levels": np.append(close[:1], close[:-1])})

    one = FEED
    assert "prices" in sources(check_lookahead(ahead, one, NEXT, runs=12))
    assert check_lookahead(honest, one, NEXT, runs=12).passed
    given_object = honest(one)
    assert check_lookahead(given_object, one, NEXT, runs=12).passed
    assert len(given_object.params["levels"]) == 40
    blind = check_lookahead(ahead(one), one, NEXT, runs=12)
    assert blind.passed  # what is in the array already cannot be seen
    assert "CompiledStrategy.params.levels" in str(blind) or "CompiledStrategy.params['levels']" in str(blind)
    held = check_lookahead(CompiledStrategy(_hold_before_it_rises, {"levels": np.append(CLOSES, CLOSES[-1])[:40]}), one, NEXT, runs=24)
    assert held.leaks["source"].to_list() == ["data of the strategy"]


def test_what_the_user_holds_is_as_before() -> None:
    shared = {"closes": FEED.panels.prices["close"][:, 0].copy(), "nested": [PRICES]}

    class Sharing(Strategy):
        def __init__(self) -> None:
            self.shared, self.bar = shared, -1

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            self.bar += 1
            trade(broker, "A0", self.shared["closes"][min(self.bar + 1, len(self.shared["closes"]) - 1)] > data["A0"]["close"])

    before = shared["closes"].copy()
    report = check_lookahead(Sharing, FEED, NEXT, runs=12)
    assert not report
    assert (shared["closes"] == before).all()
    assert shared["nested"][0] is PRICES
    signals = SignalStrategy(before > 100.0, before < 100.0, size=np.full(40, 2.0), column=0)
    check_lookahead(signals, DataFeed(PRICES.filter(pl.col("symbol") == "A0")), NEXT, runs=8).raise_if_failed()
    assert len(signals.params["size"]) == 40


def test_context_read_early_is_named() -> None:
    context = pl.DataFrame({"timestamp": PRICES["timestamp"].unique().sort()}).with_columns(
        vix=pl.int_range(pl.len()).cast(pl.Float64).sin(), name=pl.lit("x"), flag=pl.int_range(pl.len()) % 3 == 0
    )

    class Early(Strategy):
        def __init__(self, feed: DataFeed) -> None:
            self.values = [row[2].get("vix") for row in feed]
            self.bar = -1

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            self.bar += 1
            trade(broker, "A0", self.values[min(self.bar + 1, len(self.values) - 1)] > context["vix"])

    report = check_lookahead(Early, DataFeed(PRICES, None, context), NEXT)
    assert ("context", "vix") in report.leaks.select("source", "column").rows()
    assert "flag" not in report.leaks["column"].to_list()


def test_functions_of_signals() -> None:
    def make(prices: pl.DataFrame) -> pl.DataFrame:
        close = pl.col("close")
        return prices.select(
            "timestamp",
            "symbol",
            mean=close.rolling_mean(3).over("symbol"),
            centred=close.rolling_mean(3, center=True).over("symbol"),
            scaled=((close - close.mean()) / close.std()).over("symbol"),
            tomorrow=close.shift(-1).over("symbol"),
            word=pl.when(close > close.max()).then(pl.lit("top")).otherwise(pl.lit("below")),
        )

    report = check_lookahead(Averages, DataFeed(PRICES, make(PRICES)), NEXT, signals=make)
    rows = report.leaks.select("source", "column").rows()
    assert set(rows) == {(kind, name) for kind, name in rows if name in ("centred", "scaled", "tomorrow")}
    assert {("signals function", "centred"), ("signals function", "scaled"), ("signal column", "tomorrow")} <= set(rows)
    scaled = report.leaks.filter(pl.col("column") == "scaled").row(0, named=True)
    assert (scaled["bar"], scaled["expected"] == scaled["found"]) == (0, False)
    alone = check_lookahead(None, FEED, signals=make, runs=6)
    assert {row[1] for row in alone.leaks.select("source", "column").rows()} == {"centred", "scaled", "tomorrow"}
    assert check_lookahead(Averages, FEED, NEXT, signals=honest_signals).passed


def test_the_users_own_frame_reaches_the_function() -> None:
    own = PRICES.rename({"symbol": "ticker"}).to_pandas()

    def make(prices: Any) -> Any:
        made = prices[["timestamp", "ticker"]].copy()
        made["change"] = prices.groupby("ticker")["close"].diff(-1)
        return made

    report = check_lookahead(None, FEED, signals=make, prices=own, runs=6)
    assert report.leaks["column"].to_list() == ["change"]
    assert report.runs == 0


def test_rounding_of_signals_may_be_allowed() -> None:
    def make(prices: pl.DataFrame) -> pl.DataFrame:
        return prices.select("timestamp", "symbol", x=pl.col("close") * (1.0 + 1e-15 * pl.len()))

    assert not check_lookahead(None, FEED, signals=make)
    assert check_lookahead(None, FEED, signals=make, tolerance=1e-12)


def test_fills_at_prices_from_before_the_decision() -> None:
    at_open = check_lookahead(Averages, FEED, BacktestConfig(execution_mode="same_bar", execution_price="open"), runs=6)
    row = at_open.leaks.row(0, named=True)
    assert (row["source"], row["what"]) == ("fill", "fill")
    assert "earlier in the bar" in row["found"]

    class Limits(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            broker.submit_order("A0", 1, order_type="limit", limit_price=data["A0"]["close"] * 0.99)

    touched = check_lookahead(Limits, FEED, BacktestConfig(execution_mode="same_bar"), runs=6)
    assert sources(touched) == {"fill"}
    assert "submission_bar_range='close'" in str(touched)
    assert check_lookahead(Limits, FEED, BacktestConfig(execution_mode="same_bar", submission_bar_range="close"), runs=6)
    assert check_lookahead(Limits, FEED, NEXT, runs=6)


def test_a_strategy_that_is_not_deterministic_is_told() -> None:
    class Counting(Averages):
        runs = 0

        def on_start(self, broker: Any) -> None:
            type(self).runs += 1
            broker.submit_order("A0", type(self).runs)

    report = check_lookahead(Counting, FEED, NEXT, runs=6)
    assert sources(report) == {"not deterministic"}
    assert "check_determinism" in str(report)


def test_global_random_numbers_begin_anew() -> None:
    import random

    class Drawing(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            if random.random() + np.random.random() > 1.5:  # noqa: NPY002
                broker.submit_order("A0", 1)

    state = random.getstate()
    assert check_lookahead(Drawing, FEED, NEXT, runs=8)
    assert random.getstate() == state


def test_what_is_known_in_advance_may_be_named() -> None:
    times = PRICES["timestamp"].unique().sort()

    class Expiries(Strategy):
        def __init__(self) -> None:
            self.expiries = dict.fromkeys(times.to_list()[::5], 1.0)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            trade(broker, "A0", timestamp + timedelta(days=1) in self.expiries)

    report = check_lookahead(Expiries, FEED, NEXT)
    assert "end of the data" in sources(report)
    assert check_lookahead(Expiries, FEED, NEXT, known=["expiries", "times"])


def test_changed_orders_are_compared_as_they_stood() -> None:
    class Moving(Strategy):
        """Moves the limit of one order every bar, from a frame that it holds; in the honest form from the present bar."""

        def __init__(self, ahead: int) -> None:
            self.closes, self.ahead, self.bar = FEED.panels.prices["close"][:, 0].copy(), ahead, -1

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            self.bar += 1
            level = self.closes[min(self.bar + self.ahead, len(self.closes) - 1)] * 0.5
            if self.bar == 0:
                broker.submit_order("A0", 1, order_type="limit", limit_price=level)
            else:
                broker.update_order("ORD-1", limit_price=level)

    assert check_lookahead(lambda: Moving(0), FEED, NEXT, runs=20)
    report = check_lookahead(lambda: Moving(1), FEED, NEXT, runs=20)
    assert report.leaks["field"][0] == "limit_price"


@few
@given(case=st.sampled_from(FAMILIES).flatmap(family_cases))
def test_honest_scripts_pass(case: Any) -> None:
    engine = build_engine(case)
    feed = feed_of(case)
    if feed.n_bars < 3:
        return
    report = check_lookahead(
        lambda: Scripted(case),
        feed,
        engine.config,
        runs=8,
        contract_specs=engine_contracts(case),
        events=_events_of(case),
        **engine_models(case),
        **engine_limits(case),
    )
    assert report.leaks.filter(pl.col("source") != "fill").is_empty(), str(report)


def test_rules_and_costs_of_the_engine() -> None:
    class Ruled(Averages):
        def on_start(self, broker: Any) -> None:
            broker.set_position_rules([StopLoss(0.02), TrailingStop(0.03)])

    costly = {"commission_type": "percentage", "commission_rate": 0.001, "slippage_type": "percentage", "slippage_rate": 0.001}
    report = check_lookahead(Ruled, FEED, "realistic", runs=10, **costly)
    assert report.passed
    assert report.runs <= 10
