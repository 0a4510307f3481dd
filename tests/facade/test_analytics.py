"""Formulas against numbers by hand, the equity curve, and the analyzers of trades in both generations of their interface."""

from __future__ import annotations

import math
import statistics
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.analysis import BacktestAnalyzer, TradeStatistics
from ml4t_backtest.analytics import (
    EquityCurve,
    MAEMFEAnalyzer,
    TradeAnalyzer,
    cagr,
    calmar_ratio,
    max_drawdown,
    returns_from_values,
    sharpe_ratio,
    sortino_ratio,
    to_equity_dataframe,
    to_returns_series,
    to_trade_records,
    volatility,
)
from ml4t_backtest.analytics.annualization import get_annualization_factor
from ml4t_backtest.engine import Engine
from ml4t_backtest.models import FixedSlippage, PercentageCommission
from ml4t_backtest.result import _get_annualization_factor
from ml4t_backtest.types import ExitReason, Trade, TradeStatus
from tests.facade.feeds import START, Calls, feed

RETURNS = [0.1, -0.1, 0.05, -0.02]
VALUES = [100.0, 110.0, 99.0, 120.0, 90.0]


def trade(pnl: float, move: float, **fields: Any) -> Trade:
    """Return a trade of 10 units at 100 over two days."""
    given: dict[str, Any] = {
        "asset": "A",
        "entry_time": START,
        "exit_time": START + timedelta(days=2),
        "entry_price": 100.0,
        "exit_price": 100.0 * (1.0 + move),
        "quantity": 10.0,
        "bars_held": 2,
        **fields,
    }
    return Trade(pnl=pnl, pnl_percent=move, **given)


TRADES = [
    trade(98.0, 0.10, commission=2.0, slippage=3.0, mfe=0.15, mae=-0.02, bars_held=3),
    trade(-51.0, -0.05, commission=1.0, slippage=3.0, mfe=0.02, mae=-0.08),
    trade(29.0, 0.06, commission=1.0, mfe=0.06, mae=-0.01, quantity=-5.0, asset="B", exit_price=94.0, bars_held=5),
    trade(-11.0, -0.02, commission=1.0, mfe=0.0, mae=-0.03, quantity=-5.0, exit_price=102.0),
    trade(500.0, 0.5, mfe=0.9, mae=-0.9, status=TradeStatus.OPEN, exit_reason=ExitReason.END_OF_DATA),
]


def test_the_readme_calls() -> None:
    curve = EquityCurve(initial_cash=100_000)
    curve.update(timestamp=datetime(2024, 1, 1), equity=100_000)
    curve.update(timestamp=datetime(2024, 1, 2), equity=90_000)
    assert sharpe_ratio(RETURNS, risk_free_rate=0.02) < sharpe_ratio(RETURNS)
    assert sortino_ratio(RETURNS, target_return=0.0) == sortino_ratio(RETURNS)
    assert calmar_ratio(RETURNS) > 0.0
    max_dd, max_dd_pct = max_drawdown(curve)
    assert (max_dd, max_dd_pct) == pytest.approx((0.1, 10.0))
    assert cagr(100.0, 121.0, 2) == pytest.approx(0.1)
    assert volatility(RETURNS, periods_per_year=252) == pytest.approx(statistics.stdev(RETURNS) * math.sqrt(252))
    stats = TradeAnalyzer().analyze(TRADES)
    for name in ("num_trades", "winning_trades", "losing_trades", "win_rate", "profit_factor"):
        assert stats[name] > 0
    for name in ("avg_win", "avg_loss", "largest_win", "largest_loss", "avg_bars_held"):
        assert stats[name] != 0.0


def test_ratios_by_hand() -> None:
    mean, spread = statistics.mean(RETURNS), statistics.stdev(RETURNS)
    down = statistics.stdev([-0.1, -0.02])
    assert sharpe_ratio(RETURNS) == pytest.approx(mean / spread * math.sqrt(252))
    assert sharpe_ratio(RETURNS, 0.02) == pytest.approx((mean - 0.02 / 252) / spread * math.sqrt(252))
    assert sharpe_ratio(RETURNS, 0.02, False) == pytest.approx((mean - 0.02 / 252) / spread)
    assert sharpe_ratio(RETURNS, periods_per_year=12) == pytest.approx(mean / spread * math.sqrt(12))
    assert sortino_ratio(RETURNS) == pytest.approx(mean / down * math.sqrt(252))
    above = [value - 0.01 for value in RETURNS]
    expected = statistics.mean(above) / statistics.stdev([value for value in above if value < 0])
    assert sortino_ratio(RETURNS, annualize=False, target_return=0.01) == pytest.approx(expected)
    assert volatility(RETURNS, False) == pytest.approx(spread)
    assert volatility(RETURNS, 12) == volatility(RETURNS, periods_per_year=12) == pytest.approx(spread * math.sqrt(12))
    growth = math.prod(1.0 + value for value in RETURNS) ** (252 / 4) - 1.0
    assert calmar_ratio(RETURNS) == pytest.approx(growth / 0.1)
    assert calmar_ratio(0.1, 0.2) == calmar_ratio(0.1, -0.2) == calmar_ratio(cagr_value=0.1, max_dd=-0.2) == pytest.approx(0.5)
    assert cagr(100.0, 121.0, num_years=2) == cagr(100.0, 121.0, years=2.0)


def test_ratios_without_spread_losses_or_time() -> None:
    assert sharpe_ratio([]) == sharpe_ratio([0.01]) == sharpe_ratio([0.01] * 5) == volatility([]) == volatility([0.1]) == 0.0
    assert sortino_ratio([0.1, 0.2]) == sortino_ratio([0.5, -0.2]) == math.inf
    assert sortino_ratio([0.1, -0.2]) == sortino_ratio([]) == 0.0
    assert calmar_ratio(0.1, 0.0) == math.inf
    assert calmar_ratio(-0.1, 0.0) == calmar_ratio([]) == 0.0
    assert cagr(100.0, 0.0, 1) == -1.0
    assert cagr(100.0, 110.0, 0) == 0.0
    assert cagr(1.0, 2.0, 1e-6) == math.inf


@pytest.mark.parametrize("kind", [list, tuple, np.array, pl.Series, pd.Series])
def test_returns_come_in_any_container(kind: Any) -> None:
    assert sharpe_ratio(kind(RETURNS)) == sharpe_ratio(RETURNS)
    assert returns_from_values(kind(VALUES)).tolist() == pytest.approx([0.1, -0.1, 21 / 99, -0.25])


def test_what_is_no_finite_number_is_named() -> None:
    with pytest.raises(ValueError, match=r"returns\[1\] was nan.*1 are not"):
        sharpe_ratio([0.1, math.nan])
    with pytest.raises(ValueError, match=r"values\[0\] was inf"):
        max_drawdown([math.inf, 1.0])
    with pytest.raises(ValueError, match="returns was a list"):
        volatility(["a"])
    with pytest.raises(ValueError, match="2 dimensions"):
        sortino_ratio([[0.1]])
    with pytest.raises(ValueError, match="periods_per_year was -1"):
        volatility(RETURNS, periods_per_year=-1)
    for bad in ((0.0, 1.0, 1), (math.nan, 1.0, 1), (1.0, math.inf, 1), (1.0, 1.0, -1)):
        with pytest.raises(ValueError, match=r"cagr\(\)"):
            cagr(*bad)
    for call in (cagr, calmar_ratio):
        with pytest.raises(TypeError):
            call(1.0, *([2.0] if call is cagr else []))
    with pytest.raises(TypeError, match="expected a number beside max_dd"):
        calmar_ratio(RETURNS, 0.1)


def test_drawdown_in_both_conventions() -> None:
    assert max_drawdown(VALUES) == (-0.25, 3, 4)
    assert max_drawdown([1.0, 2.0]) == max_drawdown([5.0]) == max_drawdown([]) == (0.0, 0, 0)
    assert max_drawdown([-1.0, -2.0]) == (0.0, 0, 0)
    pairs = [(START + timedelta(days=day), value) for day, value in enumerate(VALUES)]
    assert max_drawdown(pairs) == (0.25, 25.0)
    curve = EquityCurve([when for when, _ in pairs], VALUES)
    assert max_drawdown(curve) == (0.25, 25.0)
    assert max_drawdown(EquityCurve([START], [90.0], initial_cash=100.0)) == pytest.approx((0.1, 10.0))
    assert max_drawdown(EquityCurve()) == (0.0, 0.0)


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40))
def test_the_drawdown_is_the_worst_of_all_pairs(values: list[float]) -> None:
    worst = min(later / earlier - 1.0 for place, earlier in enumerate(values) for later in values[place:])
    depth, peak, bottom = max_drawdown(values)
    assert depth == pytest.approx(worst)
    assert depth == 0.0 or (peak < bottom and values[bottom] / values[peak] - 1.0 == pytest.approx(depth))


def test_the_equity_curve() -> None:
    curve = EquityCurve(initial_cash=100.0)
    for day, value in enumerate(VALUES):
        curve.append(START + timedelta(days=day), value)
    assert len(curve) == 5
    assert curve.to_list()[1] == (START + timedelta(days=1), 110.0)
    assert curve.returns.tolist() == pytest.approx([0.1, -0.1, 21 / 99, -0.25])
    assert curve.cumulative_returns.tolist() == pytest.approx([0.0, 0.1, -0.01, 0.2, -0.1])
    assert curve.drawdown_series().tolist() == pytest.approx([0.0, 0.0, -0.1, 0.0, -0.25])
    assert curve.max_drawdown_info() == (-0.25, 3, 4)
    assert curve.years == pytest.approx(4 / 365.25)
    assert curve.periods_per_year == pytest.approx(365.25)
    figures = curve.to_dict()
    assert figures["total_return"] == pytest.approx(-0.1)
    assert figures["max_drawdown"] == curve.max_dd == -0.25
    assert figures["sharpe"] == pytest.approx(sharpe_ratio(curve.returns, periods_per_year=365.25))
    assert figures["sortino"] == pytest.approx(sortino_ratio(curve.returns, periods_per_year=365.25))
    assert figures["volatility"] == pytest.approx(volatility(curve.returns, periods_per_year=365.25))
    assert figures["cagr"] == pytest.approx(cagr(100.0, 90.0, 4 / 365.25))
    assert figures["calmar"] == pytest.approx(figures["cagr"] / 0.25)
    assert figures["trading_days"] == 5
    frame = curve.to_dataframe()
    assert frame.columns == ["timestamp", "equity", "return", "cumulative_return", "drawdown", "high_water_mark"]
    assert frame.schema == EquityCurve().to_dataframe().schema
    assert frame["return"].to_list() == pytest.approx([0.0, *curve.returns])
    assert EquityCurve(periods_per_year=12).periods_per_year == 12
    assert repr(curve) == "EquityCurve(5 points, 100.00 to 90.00)"


def test_a_curve_refuses_what_is_no_curve() -> None:
    curve = EquityCurve([START], [1.0])
    curve.append(START, 2.0)
    with pytest.raises(ValueError, match="comes before the last one"):
        curve.append(START - timedelta(days=1), 1.0)
    with pytest.raises(ValueError, match="expected a finite number"):
        curve.update(START, math.nan)
    with pytest.raises(ValueError, match="time zone, or none"):
        curve.append(START.astimezone(), 1.0)
    with pytest.raises(ValueError, match="2 timestamps and 1 values"):
        EquityCurve([START, START], [1.0])
    with pytest.raises(ValueError, match="initial_cash was 0"):
        EquityCurve(initial_cash=0)
    assert [value for _, value in curve.to_list()] == [1.0, 2.0]


@pytest.mark.parametrize("framed", [False, True])
def test_the_trade_analyzer(framed: bool) -> None:
    trades: Any = TRADES
    if framed:
        trades = pl.DataFrame([{**record, "quantity": record["signed_quantity"]} for record in to_trade_records(TRADES)])
    analyzer = TradeAnalyzer(trades)
    expected = {
        "num_trades": 4,
        "num_winners": 2,
        "num_losers": 2,
        "win_rate": 0.5,
        "gross_profit": 127.0,
        "gross_loss": -62.0,
        "net_profit": 65.0,
        "profit_factor": 127 / 62,
        "avg_win": 0.08,
        "avg_loss": -0.035,
        "avg_trade": 0.0225,
        "expectancy": 0.5 * 0.08 - 0.5 * 0.035,
        "largest_win": 0.1,
        "largest_loss": -0.05,
        "payoff_ratio": 0.08 / 0.035,
        "avg_bars_held": 3.0,
        "total_fees": 5.0,
        "total_slippage": 6.0,
        "total_costs": 11.0,
        "total_gross_pnl": 70.0,
        "avg_cost_drag": (5 / 1000 + 4 / 1000 + 1 / 500 + 1 / 500) / 4,
        "gross_profit_factor": 130 / 60,
        "avg_mfe": 0.0575,
        "avg_mae": -0.035,
        "mfe_capture_ratio": (0.1 / 0.15 - 0.05 / 0.02 + 1.0) / 3,
        "mae_recovery_ratio": (0.03 / 0.08 + 0.01 / 0.03) / 2,
    }
    for name, value in expected.items():
        assert getattr(analyzer, name) == pytest.approx(value), name
        assert analyzer.to_dict()[name] == getattr(analyzer, name)
    assert TradeAnalyzer().analyze(trades) == analyzer.to_dict()
    assert len(analyzer) == 4
    assert analyzer.by_side("short").num_trades == 2
    assert analyzer.by_side("long").total_pnl == 47.0
    assert analyzer.by_symbol("B").net_profit == analyzer.by_asset("B").net_profit == 29.0
    assert len(analyzer.by_asset("B").trades) == 1
    assert analyzer.by_side("long").by_asset("B").num_trades == 0


def test_analyzers_without_trades_and_wrong_questions() -> None:
    assert set(TradeAnalyzer().to_dict().values()) == {0.0}
    assert set(MAEMFEAnalyzer([]).to_dict().values()) == {0.0}
    with pytest.raises(AttributeError, match="did you mean 'win_rate'"):
        _ = TradeAnalyzer(TRADES).win_rat
    with pytest.raises(ValueError, match="side was 'up'"):
        TradeAnalyzer(TRADES).by_side("up")
    with pytest.raises(ValueError, match="no column 'pnl'"):
        TradeAnalyzer(pl.DataFrame({"asset": ["A"]}))
    with pytest.raises(AttributeError, match="has no attribute 'pnl'"):
        TradeAnalyzer([object()])
    free = TradeAnalyzer([trade(1.0, math.nan, entry_price=0.0)])
    assert (free.avg_trade, free.avg_cost_drag, free.num_winners) == (0.0, 0.0, 1)


def test_excursions() -> None:
    analyzer = MAEMFEAnalyzer(TRADES)
    figures = analyzer.to_dict()
    mae, mfe = [-0.02, -0.08, -0.01, -0.03], [0.15, 0.02, 0.06, 0.0]
    assert analyzer.distribution_data() == {"mae": mae, "mfe": mfe}
    assert figures["mae_mean"] == pytest.approx(statistics.mean(mae))
    assert figures["mfe_std"] == pytest.approx(statistics.pstdev(mfe))
    assert figures["mae_median"] == figures["mae_p50"] == pytest.approx(-0.025)
    assert figures["edge_ratio"] == pytest.approx(statistics.mean(mfe) / -statistics.mean(mae))
    assert figures["efficiency"] == pytest.approx((0.1 / 0.15 - 0.05 / 0.02 + 1.0) / 3)
    assert analyzer.suggest_stop_loss(100) == -0.02
    assert analyzer.suggest_stop_loss() == pytest.approx(-0.019)
    assert analyzer.suggest_take_profit(100) == 0.0
    assert analyzer.suggest_take_profit(75) == pytest.approx(0.015)
    assert analyzer.optimal_exit_levels()["risk_reward"] == pytest.approx(0.015 / 0.019)
    with pytest.raises(ValueError, match="percentile was 101"):
        analyzer.suggest_stop_loss(101)


def traded() -> Any:
    """Return an engine that has won, lost a part, and holds the rest."""
    orders = {0: 10, 1: -10, 2: 10, 3: -4}
    closes: list[float | None] = [10.0, 12.0, 12.0, 9.0, 11.0]
    engine = Engine(
        feed({"A": closes}),
        Calls(lambda bar, data, broker: bar in orders and broker.submit_order("A", orders[bar])),
        initial_cash=1_000.0,
        commission_model=PercentageCommission(0.01),
        slippage_model=FixedSlippage(0.1),
    )
    engine.run()
    return engine


def test_trade_records() -> None:
    result = traded().result
    records = result.to_trade_records()
    assert records == to_trade_records(result.trades)
    assert [record["status"] for record in records] == ["closed", "partial", "open"]
    for record, made in zip(records, result.trades, strict=True):
        assert record["duration"] == made.exit_time - made.entry_time
        assert (record["timestamp"], record["entry_timestamp"]) == (made.exit_time, made.entry_time)
        assert record["quantity"] > 0.0
        assert "slippage" not in record
        signed = 1.0 if record["direction"] == "long" else -1.0
        move = signed * (record["exit_price"] - record["entry_price"]) * record["quantity"] * record["multiplier"]
        assert record["pnl"] == pytest.approx(move - record["fees"])


def test_series_and_frames_of_plain_values() -> None:
    assert to_returns_series([100.0, 110.0, 99.0]).to_list() == pytest.approx([0.1, -0.1])
    assert to_returns_series([]).dtype == pl.Float64
    frame = to_equity_dataframe([100.0, 110.0])
    assert frame.to_dict(as_series=False) == {"equity": [100.0, 110.0], "returns": [0.0, pytest.approx(0.1)], "bar": [0, 1]}
    assert to_equity_dataframe([1.0], [START])["timestamp"].to_list() == [START]
    assert to_equity_dataframe([], []).is_empty()
    with pytest.raises(ValueError, match="1 values and 2 timestamps"):
        to_equity_dataframe([1.0], [START, START])


def test_the_first_analyzer() -> None:
    engine = traded()
    analyzer = BacktestAnalyzer(engine)
    result = engine.result
    won, lost = (each.pnl for each in result.trades[:2])
    figures = analyzer.trade_statistics
    assert (figures.n_trades, figures.n_winners, figures.n_losers, figures.win_rate) == (2, 1, 1, 0.5)
    assert figures.total_pnl == pytest.approx(won + lost)
    assert figures.pnl_std == pytest.approx(statistics.stdev([won, lost]))
    assert (figures.avg_winner, figures.max_winner, figures.avg_loser, figures.max_loser) == (won, won, lost, lost)
    assert figures.profit_factor == figures.payoff_ratio == pytest.approx(won / -lost)
    assert figures.expectancy == pytest.approx((won + lost) / 2)
    assert figures.total_commission == pytest.approx(sum(each.commission for each in result.trades[:2]))
    assert figures.total_slippage == pytest.approx(sum(each.slippage for each in result.trades[:2]))
    assert figures.to_dict()["expectancy"] == figures.expectancy
    assert "2 (1 won, 1 lost)" in figures.summary()
    assert analyzer.equity_history == [value for _, value in result.equity_curve]
    assert analyzer.get_trades_dataframe()["status"].to_list() == ["closed", "partial"]
    assert analyzer.get_trade_records() == result.to_trade_records()[:2]
    assert len(analyzer.get_returns_series()) == 4
    assert analyzer.get_equity_dataframe()["timestamp"].to_list() == [when for when, _ in result.equity_curve]
    assert f"{result['final_value']:,.2f}" in analyzer.summary()
    assert BacktestAnalyzer(result).trade_statistics == figures
    assert set(TradeStatistics.from_trades([]).to_dict().values()) == {0}
    assert TradeStatistics.from_trades(TRADES).n_trades == 4
    with pytest.raises(RuntimeError, match="no result"):
        BacktestAnalyzer(Engine(feed({"A": [1.0]}), Calls(lambda bar, data, broker: None)))


def test_sessions_per_year() -> None:
    assert _get_annualization_factor is get_annualization_factor
    assert [get_annualization_factor(name) for name in (None, "NYSE", "CRYPTO", "LSE", "JPX")] == [252, 252, 365, 253, 245]
    assert 240 < get_annualization_factor("XETR") < 262
    with pytest.raises(ValueError, match="NYS3"):
        get_annualization_factor("NYS3")
