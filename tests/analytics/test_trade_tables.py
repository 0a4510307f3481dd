"""Figures of trades in groups against plain Python over the trades themselves, and against the published analyzers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import PercentageCommission, PercentageSlippage, StopLoss
from ml4t_backtest.analytics.trades import MAEMFEAnalyzer
from ml4t_backtest.analytics.tradetables import GROUPS, longest_runs
from tests.analytics.runs import made, random_prices, trade_at_random

COSTS = {"commission_model": PercentageCommission(0.001), "slippage_model": PercentageSlippage(0.001)}
KEYS: dict[str, Any] = {
    "asset": lambda trade: trade.asset,
    "exit_reason": lambda trade: trade.exit_reason.value,
    "side": lambda trade: trade.direction,
    "month": lambda trade: trade.exit_time.date().replace(day=1),
    "year": lambda trade: trade.exit_time.year,
    "weekday": lambda trade: trade.exit_time.isoweekday(),
    "hour": lambda trade: trade.exit_time.hour,
}


def run(seed: int = 3) -> Any:
    trade = trade_at_random(seed, short=True)

    def decide(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.set_position_rules(StopLoss(0.02))
        trade(bar, data, broker)

    return made(random_prices(seed), decide, account_type="margin", **COSTS)


def longest(trades: list[Any], won: bool) -> int:
    best = now = 0
    for trade in trades:
        now = now + 1 if (trade.pnl > 0.0 if won else trade.pnl < 0.0) else 0
        best = max(best, now)
    return best


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def check(row: dict[str, Any], trades: list[Any]) -> None:
    won, lost = [trade for trade in trades if trade.pnl > 0.0], [trade for trade in trades if trade.pnl < 0.0]
    gained, given_away = math.fsum(trade.pnl for trade in won), math.fsum(trade.pnl for trade in lost)
    mfe, mae = mean([trade.mfe for trade in trades]), mean([trade.mae for trade in trades])
    days = [(trade.exit_time - trade.entry_time).total_seconds() / 86_400 for trade in trades]
    expected = {
        "num_trades": len(trades),
        "winning_trades": len(won),
        "losing_trades": len(lost),
        "win_rate": len(won) / len(trades),
        "total_pnl": gained + given_away,
        "gross_profit": gained,
        "gross_loss": given_away,
        "profit_factor": gained / -given_away if lost else (math.inf if won else 0.0),
        "avg_trade": mean([trade.pnl_percent for trade in trades]),
        "avg_win": mean([trade.pnl_percent for trade in won]),
        "avg_loss": mean([trade.pnl_percent for trade in lost]),
        "largest_loss": min((trade.pnl_percent for trade in lost), default=0.0),
        "avg_mfe": mfe,
        "avg_mae": mae,
        "edge_ratio": mfe / -mae if mae else (math.inf if mfe else 0.0),
        "avg_days_held": mean(days),
        "max_days_held": max(days),
        "max_consecutive_wins": longest(trades, won=True),
        "max_consecutive_losses": longest(trades, won=False),
        "total_commission": math.fsum(trade.commission for trade in trades),
        "total_slippage": math.fsum(trade.slippage for trade in trades),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("by", GROUPS)
def test_groups_by_definition(by: str) -> None:
    result = run()
    frame = result.trade_statistics(by)
    groups: dict[Any, list[Any]] = {}
    for trade in result.trades:
        if not trade.is_open:
            groups.setdefault(KEYS[by](trade), []).append(trade)
    assert frame.columns[0] == by
    assert set(frame[by]) == set(groups)
    for row in frame.iter_rows(named=True):
        check(row, groups[row[by]])
    if by not in ("exit_reason", "side"):
        assert frame[by].to_list() == sorted(groups)
    assert frame["num_trades"].sum() == result["num_trades"] > 20


def test_all_trades_have_the_figures_of_the_metrics() -> None:
    result = run()
    (row,) = result.trade_statistics().iter_rows(named=True)
    check(row, [trade for trade in result.trades if not trade.is_open])
    shared = [name for name in row if name in result.metrics and not name.startswith("total_")]
    assert len(shared) > 14
    for name in shared:
        assert row[name] == pytest.approx(result[name], rel=1e-12), name
    analyzer = MAEMFEAnalyzer(result.trades)
    assert row["edge_ratio"] == pytest.approx(analyzer.edge_ratio)
    for name in ("edge_ratio", "avg_mfe", "max_consecutive_losses"):
        assert result.statistics[name] == row[name]


@given(marks=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=40))
def test_longest_runs_by_definition(marks: list[tuple[bool, int]]) -> None:
    expected = [0] * 4
    now = [0] * 4
    for chosen, group in marks:
        now[group] = now[group] + 1 if chosen else 0
        expected[group] = max(expected[group], now[group])
    chosen = np.array([mark for mark, _ in marks], dtype=bool)
    groups = np.array([group for _, group in marks], dtype=np.int64)
    assert longest_runs(chosen, groups, 4).tolist() == expected


def test_no_trades() -> None:
    result = made(random_prices(1, bars=20), lambda bar, data, broker: None)
    (row,) = result.trade_statistics().iter_rows(named=True)
    assert row.pop("avg_r_multiple") is None
    assert set(row.values()) == {0}
    for by in GROUPS:
        frame = result.trade_statistics(by)
        assert len(frame) == 0
        assert frame.columns == [by, *result.trade_statistics().columns]
    assert len(result.r_multiples()) == 0
    assert result.costs("asset").is_empty()
    assert result.costs().row(0) == (0.0,) * 9 + (0,)
    assert math.isnan(result.statistics["avg_r_multiple"])


def test_an_unknown_group_is_refused() -> None:
    result = made(random_prices(1, bars=5), lambda bar, data, broker: None)
    with pytest.raises(ValueError, match="by was 'assets', expected None or one of .* did you mean 'asset'"):
        result.trade_statistics("assets")
    with pytest.raises(ValueError, match="by was 'kind', expected None or one of"):
        result.costs("kind")


# Risk --------------------------------------------------------------------------------------------------------------------


def bracketed(change: str) -> Any:
    """Return a run of one bracket whose stop is 5 below the entry at 100; the last close is the exit."""
    closes = [100.0, 100.0, 103.0, 104.0, 104.0, 110.0, 110.0]
    frame = random_prices(1, bars=7, assets=("A",)).with_columns(pl.Series(name, closes) for name in ("open", "high", "low", "close"))
    kept: list[Any] = []

    def decide(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            kept.extend(broker.submit_bracket("A", 10, take_profit=110.0, stop_loss=95.0))
        if bar == 2 and change == "raised":
            broker.update_order(kept[2], stop_price=101.0)
        if bar == 2 and change == "another":
            broker.submit_order("A", -10, order_type="stop", stop_price=90.0)

    return made(frame, decide)


def test_risk_is_known_for_the_stop_of_a_bracket() -> None:
    result = bracketed("nothing")
    assert result.trades[0].pnl == 100.0
    assert result.r_multiples().to_list() == [2.0]
    assert result.trade_statistics()["avg_r_multiple"].item() == result.statistics["avg_r_multiple"] == 2.0
    assert bracketed("another").r_multiples().to_list() == [2.0]


def test_risk_is_not_known_for_a_stop_that_was_changed() -> None:
    result = bracketed("raised")
    assert result.r_multiples().to_list() == [None]
    assert result.trade_statistics()["num_r_multiples"].item() == 0


def test_risk_is_not_known_for_rules() -> None:
    assert run().r_multiples().null_count() == len(run().trades)


# Costs -------------------------------------------------------------------------------------------------------------------


def test_costs_add_up() -> None:
    result = run()
    (whole,) = result.costs().iter_rows(named=True)
    assert whole["commission"] == pytest.approx(result["total_commission"], rel=1e-12)
    assert whole["slippage"] == pytest.approx(result["total_slippage"], rel=1e-12)
    assert whole["total"] == pytest.approx(result["total_costs"], rel=1e-12)
    assert whole["num_fills"] == result["num_fills"]
    assert whole["traded"] == pytest.approx(result.turnover()["traded"].sum(), rel=1e-12)
    parts = result.costs("asset")
    assert parts["asset"].to_list() == ["A", "B"]
    for name, value in whole.items():
        assert parts[name].sum() == pytest.approx(value, rel=1e-12), name


def test_costs_hold_cash_flows() -> None:
    frame = random_prices(2, bars=60).with_columns(dividend=pl.when(pl.col("timestamp").dt.day() == 5).then(0.5).otherwise(0.0))

    def decide(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", 700)
            broker.submit_order("B", -100)

    result = made(frame, decide, account_type="margin", margin_interest_rate=0.05, cash_interest_rate=0.01, borrow_rate=0.02)
    flows = result.to_cash_flows_dataframe()
    (whole,) = result.costs().iter_rows(named=True)
    assert flows["kind"].n_unique() >= 3
    for kind in ("dividend", "funding", "cash_interest", "margin_interest", "borrow_fee"):
        assert whole[kind] == pytest.approx(-flows.filter(pl.col("kind") == kind)["amount"].sum(), abs=1e-12)
    assert whole["dividend"] < 0.0
    parts = result.costs("asset")
    assert parts["asset"].to_list() == ["A", "B", None]
    assert parts["total"].sum() == pytest.approx(whole["total"])
    account = parts.filter(pl.col("asset").is_null())
    assert account["margin_interest"].item() == pytest.approx(whole["margin_interest"])
    assert whole["margin_interest"] > 0.0
