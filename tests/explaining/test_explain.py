"""`result.explain`: the P&L adds up to the last bit, the chain is that of the ledger, and every way to name a trade works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import BacktestConfig, BacktestResult, ContractSpec, DataFeed, Engine, StopLoss, Strategy, TrailingStop
from ml4t_backtest.contracts import AssetClass
from tests.cases import FAMILIES, family_cases
from tests.honesty.strategies import PRICES, Averages, honest_signals
from tests.outcomes import build_engine
from tests.profiles import some

FEED = DataFeed(PRICES, honest_signals(PRICES))
COSTS = BacktestConfig(execution_mode="next_bar", slippage_rate=0.001, commission_rate=0.001)


class Ruled(Averages):
    """Holds with stops, and remembers the water marks that rules saw."""

    def __init__(self, rule: Any) -> None:
        super().__init__()
        self.rule = rule
        self.marks: dict[tuple[str, Any], tuple[float, float]] = {}

    def on_start(self, broker: Any) -> None:
        broker.set_position_rules(self.rule)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for asset, position in broker.positions.items():
            self.marks[asset, timestamp] = (position.high_water_mark, position.low_water_mark)
        super().on_data(timestamp, data, context, broker)


def ran(rule: Any = None, **settings: Any) -> tuple[BacktestResult, Ruled]:
    strategy = Ruled(rule or StopLoss(0.02))
    return Engine(FEED, strategy, COSTS, **settings).run(), strategy


def total(explanation: Any) -> float:
    made = explanation.arithmetic[0][1]
    for _, amount in explanation.arithmetic[1:]:
        made += amount
    return float(made)


@some
@given(case=st.sampled_from(FAMILIES).flatmap(family_cases))
def test_the_lines_add_up_to_the_profit(case: Any) -> None:
    engine = build_engine(case)
    result = engine.run()
    split = any(kind == "split" for _, kind, _, _ in case.events)
    for number, trade in enumerate(result.trades):
        explanation = result.explain(number)
        if np.isnan(trade.pnl):
            continue
        assert total(explanation) == trade.pnl, (explanation.arithmetic, trade)
        texts = [text for text, _ in explanation.arithmetic]
        assert split or "rounding" not in texts
        assert split or texts[1:] == ["entry commission", "exit commission"]
        assert str(explanation).count("\n") > 5


def test_the_chain_is_that_of_the_ledger() -> None:
    result, _ = ran()
    stopped = [number for number, trade in enumerate(result.trades) if trade.exit_reason.value == "stop_loss"]
    assert stopped
    for number in stopped:
        trade, explained = result.trades[number], result.explain(number).to_dict()
        steps = {step["name"]: step for step in explained["steps"]}
        assert list(steps) == ["entry decided", "entered", "held", "exit decided", "left"]
        assert steps["entered"]["timestamp"] == trade.entry_time
        assert steps["entry decided"]["timestamp"] < trade.entry_time
        assert steps["entry decided"]["order_id"] == trade.entry_order
        assert "mean" in steps["left"]["bar_prices"]["signals"]
        (fill,) = steps["entered"]["fills"]
        assert fill["price_before_slippage"] == pytest.approx(steps["entered"]["bar_prices"]["open"], rel=1e-12)
        decided = steps["exit decided"]
        assert (decided["rule"], decided["threshold"]) == ("StopLoss", 0.02)
        assert decided["level"] == trade.entry_price * (1.0 - 0.02)
        assert decided["rule_price"] == min(decided["level"], decided["bar_prices"]["open"])
        assert steps["left"]["fill"]["price"] == trade.exit_price
        held = steps["held"]
        assert (held["mfe"], held["mae"]) == (trade.mfe, trade.mae)
        assert held["mae_time"] == trade.exit_time
        assert explained["pnl"] == trade.pnl


@pytest.mark.parametrize("initial", ["fill_price", "bar_close", "bar_high", "signal_price"])
@pytest.mark.parametrize("source", ["close", "bar_extreme"])
def test_water_marks_are_those_that_the_rules_saw(initial: str, source: str) -> None:
    result, strategy = ran(TrailingStop(0.03), initial_hwm_source=initial, trail_hwm_source=source)
    seen = 0
    for number, trade in enumerate(result.trades):
        steps = {step.name: step for step in result.explain(number).steps}
        decided = steps.get("exit decided")
        if decided is None or "water_mark" not in decided.values or trade.bars_held < 2:
            continue
        bar = decided.bar
        assert bar is not None
        # what the strategy saw two bars before, and the bar between widened it once more
        high, _ = strategy.marks[trade.asset, FEED.panels.timestamps[bar - 1]]
        between = FEED.panels.prices["close" if source == "close" else "high"][bar - 1, FEED.assets.index(trade.asset)]
        assert decided.values["water_mark"] == max(high, between)
        assert decided.values["level"] == decided.values["water_mark"] * (1.0 - 0.03)
        assert decided.values["rule_price"] == min(decided.values["level"], decided.values["bar_prices"]["open"])
        seen += 1
    assert seen


def test_every_way_to_name_a_trade() -> None:
    result, _ = ran()
    frame = result.to_trades_dataframe()
    rows = [3, 3 - len(frame), np.int64(3), result.trades[3], frame[3], frame.row(3), frame.row(3, named=True), frame.to_pandas().iloc[3]]
    assert {result.explain(row).number for row in rows} == {3}
    assert result.explain(-1).number == len(frame) - 1


def test_what_is_no_trade() -> None:
    result, _ = ran()
    count = len(result.trades)
    other = Engine(FEED, Averages(), COSTS, initial_cash=777.0).run()
    for wrong, error, text in [
        (count, IndexError, f"no trade {count}; there are {count}"),
        (True, TypeError, "was a bool"),
        ("AAPL", TypeError, "was a str"),
        ((1, 2), TypeError, "tuple of 2 values"),
        (result.to_trades_dataframe(), TypeError, "expected one row"),
        ({"asset": "A0"}, TypeError, "whole row"),
        ({**result.to_trades_dataframe().row(0, named=True), "pnl": 1.5}, KeyError, "pnl=1.5"),
    ]:
        with pytest.raises(error, match=text):
            result.explain(wrong)
    assert other is not result
    empty = Engine(FEED, Idle(), COSTS).run()
    with pytest.raises(IndexError, match="there are none"):
        empty.explain(0)


class Idle(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        pass


def test_a_future_shows_its_multiplier() -> None:
    class Once(Strategy):
        def __init__(self) -> None:
            self.bar = -1

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            self.bar += 1
            if self.bar == 2:
                broker.submit_order("A0", -2)
            if self.bar == 6:
                broker.submit_order("A0", 3)  # flips

    specs = {name: ContractSpec(name, asset_class=AssetClass.FUTURE, multiplier=50.0, margin=100.0) for name in ("A0", "A1")}
    result = Engine(FEED, Once(), COSTS, contract_specs=specs, account_type="futures").run()
    explanation = result.explain(0)
    assert "* 50 (multiplier)" in explanation.arithmetic[0][0]
    assert total(explanation) == result.trades[0].pnl
    still_open = result.explain(1)
    assert still_open.steps[-1].name == "still open"
    assert total(still_open) == result.trades[1].pnl


def test_a_loaded_result_says_what_it_lacks(tmp_path: Path) -> None:
    result, _ = ran()
    result.to_parquet(tmp_path / "all")
    result.to_parquet(tmp_path / "few", include=["trades", "equity"])
    loaded, few = BacktestResult.from_parquet(tmp_path / "all"), BacktestResult.from_parquet(tmp_path / "few")
    here, there = result.explain(0), loaded.explain(0)
    assert there.arithmetic == here.arithmetic
    assert [step.name for step in there.steps] == [step.name for step in here.steps]
    assert any("prices and signals" in text for text in there.missing)
    assert not here.missing
    assert total(few.explain(0)) == result.trades[0].pnl
    assert any("orders:" in text for text in few.explain(0).missing)


def test_html_is_escaped() -> None:
    import polars as pl

    name = "<script>alert(1)</script>"
    prices = PRICES.with_columns(symbol=pl.lit(name) + pl.col("symbol"))
    result = Engine(DataFeed(prices), Averages(), COSTS).run()
    page = result.explain(0)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
