"""Statistics by asset: counted by hand, read once, the same however often they are asked for."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, Engine, SessionConfig, Strategy
from ml4t_backtest.config import BacktestConfig, StatsConfig
from ml4t_backtest.lowering.contracts import lower_contracts
from ml4t_backtest.lowering.params import lower_params
from ml4t_backtest.panels import Panels
from ml4t_backtest.store import Market, Store, Terms
from ml4t_backtest.trading_stats import AssetTradingStats, StatsBook
from ml4t_backtest.types import TradeStatus
from ml4t_kernels import codes
from ml4t_kernels.dtypes import cost_dtype

ASSETS = ("A", "B")
BARS = 12
SESSIONS = np.arange(BARS, dtype=np.int64) // 3


class Run:
    """A ledger whose bars and trades are written by hand: four sessions of three bars."""

    def __init__(self) -> None:
        panel = np.full((BARS, len(ASSETS)), 100.0)
        times = np.arange(BARS, dtype=np.int64) * 1_000
        config = BacktestConfig()
        terms = Terms(lower_params(config), lower_contracts(ASSETS, [None, None], config), np.zeros(1, dtype=cost_dtype))
        flags = np.zeros(BARS, dtype=np.int64)
        self.store = Store(Market(times, SESSIONS, flags, panel, panel, panel, panel, panel), terms, 1.0, capacity=64)
        stamps = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=bar) for bar in range(BARS)]
        prices = dict.fromkeys(("open", "high", "low", "close", "volume"), panel)
        self.panels = Panels(times, stamps, ASSETS, prices, np.ones((BARS, len(ASSETS)), dtype=np.uint8))

    def at(self, bar: int) -> None:
        self.store.state["bar"] = bar

    def close(self, asset: str, pnl: float, *, partly: bool = False) -> None:
        """Write the next trade, which exits on the current bar."""
        row = self.store.trades[int(self.store.columns.trade_count[0])]
        row["asset"], row["pnl"] = ASSETS.index(asset), pnl
        row["exit_time"] = self.panels.times[self.store.bar]
        row["status"] = codes.TradeStatus.PARTIAL if partly else codes.TradeStatus.CLOSED
        self.store.state["trade_count"] += 1

    def book(self, **settings: Any) -> StatsBook:
        return StatsBook(self.store, self.panels, config=StatsConfig(**settings))


@pytest.fixture
def run() -> Run:
    made = Run()
    made.at(0)
    return made


def session_figures(stats: AssetTradingStats) -> tuple[float, int, int]:
    return stats.session_pnl, stats.session_trades, stats.session_wins


def test_figures_of_a_few_trades(run: Run) -> None:
    book = run.book(recent_window_size=3)
    for pnl in (10.0, -4.0, 0.0, 6.0, -2.0):
        run.close("A", pnl, partly=pnl == 6.0)
    run.close("B", -1.0)
    stats = book.get_asset_stats("A")
    assert (stats.total_trades, stats.total_wins, stats.total_realized_pnl) == (5, 2, 10.0)
    assert (stats.win_rate, stats.avg_pnl) == (0.4, 2.0)
    assert list(stats.recent_pnls) == [0.0, 6.0, -2.0]
    assert (stats.recent_wins, stats.recent_win_rate, stats.recent_total_pnl) == (1, pytest.approx(1 / 3), 4.0)
    assert stats.recent_expectancy == pytest.approx(4 / 3)
    assert (book.get_asset_stats("B").total_trades, book.get_asset_stats("B").total_wins) == (1, 0)


def test_without_trades_all_is_zero(run: Run) -> None:
    stats = run.book().get_asset_stats("B")
    assert stats == AssetTradingStats()
    rates = (stats.win_rate, stats.avg_pnl, stats.recent_win_rate, stats.recent_expectancy, stats.session_win_rate, stats.recent_total_pnl)
    assert rates == (0.0,) * 6
    assert stats.recent_pnls.maxlen == 50


def test_a_trade_is_read_once(run: Run) -> None:
    book = run.book()
    run.close("A", 5.0)
    stats = book.get_asset_stats("A")
    run.store.trades["pnl"][0] = 1_000.0
    run.close("A", 7.0)
    assert stats.total_realized_pnl == 5.0
    assert book.get_asset_stats("A") is stats
    assert (stats.total_realized_pnl, stats.total_trades) == (12.0, 2)


def test_session_figures_start_anew_with_the_session(run: Run) -> None:
    book = run.book(track_session_stats=True)
    run.close("A", 3.0)
    run.at(2)
    run.close("A", -1.0)
    stats = book.get_asset_stats("A")
    assert (session_figures(stats), stats.session_win_rate) == ((2.0, 2, 1), 0.5)
    run.at(3)
    assert session_figures(book.get_asset_stats("A")) == (0.0, 0, 0)
    run.close("A", 4.0)
    run.at(7)
    run.close("A", 9.0)
    assert session_figures(book.get_asset_stats("A")) == (9.0, 1, 1)
    assert stats.total_realized_pnl == 15.0


def test_sessions_can_be_given_and_changed(run: Run) -> None:
    whole = np.zeros(BARS, dtype=np.int64)
    book = StatsBook(run.store, run.panels, whole, StatsConfig(track_session_stats=True))
    run.close("A", 3.0)
    run.at(11)
    run.close("A", 4.0)
    assert session_figures(book.get_asset_stats("A")) == (7.0, 2, 2)
    book.set_sessions(SESSIONS)
    assert session_figures(book.get_asset_stats("A")) == (0.0, 0, 0)
    run.close("A", 5.0)
    assert session_figures(book.get_asset_stats("A")) == (5.0, 1, 1)
    for wrong in (SESSIONS[1:], SESSIONS.astype(np.float64)):
        with pytest.raises(ValueError, match=r"expected \(12,\) integers"):
            book.set_sessions(wrong)  # type: ignore[arg-type]


def test_the_window_can_change_its_size(run: Run) -> None:
    book = run.book()
    for pnl in (1.0, 2.0, 3.0, 4.0):
        run.close("A", pnl)
    book.configure(recent_window_size=2)
    stats = book.get_asset_stats("A")
    assert (list(stats.recent_pnls), stats.total_trades) == ([3.0, 4.0], 4)
    book.configure(config=StatsConfig(recent_window_size=3))
    run.close("A", 5.0)
    run.close("B", 5.0)
    assert list(book.get_asset_stats("A").recent_pnls) == [3.0, 4.0, 5.0]
    assert book.get_asset_stats("B").recent_pnls.maxlen == 3
    assert book.config == StatsConfig(recent_window_size=3)


def test_what_is_switched_off_does_not_count(run: Run) -> None:
    book = run.book(enabled=False, track_session_stats=True)
    run.close("A", 1.0)
    assert book.get_asset_stats("A") == AssetTradingStats()
    book.configure(enabled=True)
    run.close("A", 2.0)
    book.configure(track_session_stats=False)
    run.close("A", 4.0)
    stats = book.get_asset_stats("A")
    assert (stats.total_realized_pnl, session_figures(stats)) == (6.0, (0.0, 0, 0))
    book.configure(track_session_stats=True)
    run.close("A", 8.0)
    assert session_figures(book.get_asset_stats("A")) == (8.0, 1, 1)
    assert [trade.pnl for trade in book.get_trades("A")] == [1.0, 2.0, 4.0, 8.0]


def test_trades_of_one_asset_and_of_all(run: Run) -> None:
    book = run.book()
    assert (book.get_trades(), book.get_trades("A"), book.get_last_trade("A"), book.get_last_trade()) == ([], [], None, None)
    for number, asset in enumerate("ABAAB"):
        run.close(asset, float(number), partly=number == 2)
    assert [trade.pnl for trade in book.get_trades("A")] == [0.0, 2.0, 3.0]
    assert [trade.pnl for trade in book.get_trades("A", last_n=2)] == [2.0, 3.0]
    assert [trade.pnl for trade in book.get_trades("A", last_n=9)] == [0.0, 2.0, 3.0]
    assert [trade.pnl for trade in book.get_trades(last_n=2)] == [3.0, 4.0]
    assert book.get_trades("A", last_n=0) == []
    assert book.get_trades("A")[1].status is TradeStatus.PARTIAL
    for asset, pnl in (("A", 3.0), ("B", 4.0), (None, 4.0)):
        last = book.get_last_trade(asset)
        assert last is not None
        assert last.pnl == pnl


def test_what_is_wrong_is_named(run: Run) -> None:
    book = run.book()
    for ask in (book.get_asset_stats, book.get_trades, book.get_last_trade):
        with pytest.raises(ValueError, match="unknown asset 'C'; the feed has 'A', 'B'"):
            ask("C")
    for last_n in (-1, 1.5, True):
        with pytest.raises(ValueError, match="last_n was"):
            book.get_trades("A", last_n)  # type: ignore[arg-type]
    for settings, match in (({"recent_window_size": 0}, "recent_window_size was 0"), ({"enabled": 1}, "enabled was 1")):
        with pytest.raises(ValueError, match=match):
            book.configure(**settings)
    with pytest.raises(ValueError, match="both config and recent_window_size"):
        book.configure(5, config=StatsConfig())
    with pytest.raises(TypeError, match="expected a StatsConfig"):
        book.configure(config={"enabled": True})  # type: ignore[arg-type]
    assert book.config == StatsConfig()


EVENTS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(ASSETS), st.floats(-100.0, 100.0), st.booleans(), st.booleans()), min_size=1, max_size=40
)


@given(EVENTS, st.integers(1, 6))
def test_asking_often_gives_what_asking_once_gives(events: list[tuple[int, str, float, bool, bool]], window: int) -> None:
    run = Run()
    book = run.book(recent_window_size=window, track_session_stats=True)
    bar, seen = 0, []
    for step, asset, pnl, trades, asks in events:
        bar = min(bar + step, BARS - 1)
        run.at(bar)
        if trades:
            run.close(asset, pnl)
            seen.append((asset, pnl, SESSIONS[bar]))
        if asks:
            book.get_asset_stats(asset)
    for asset in ASSETS:
        stats, pnls = book.get_asset_stats(asset), [pnl for name, pnl, _ in seen if name == asset]
        here = [pnl for name, pnl, session in seen if name == asset and session == SESSIONS[bar]]
        assert (stats.total_trades, stats.total_wins, stats.session_trades) == (len(pnls), sum(pnl > 0 for pnl in pnls), len(here))
        assert list(stats.recent_pnls) == pnls[-window:]
        assert math.isclose(stats.total_realized_pnl, math.fsum(pnls), abs_tol=1e-9)
        assert math.isclose(stats.session_realized_pnl, math.fsum(here), abs_tol=1e-9)
        assert [trade.pnl for trade in book.get_trades(asset)] == pnls


def test_sessions_of_a_calendar_through_the_broker() -> None:
    stamps = [datetime(2024, 1, 8, 16, 30), datetime(2024, 1, 8, 17, 30), datetime(2024, 1, 9, 10, 0), datetime(2024, 1, 9, 18, 0)]
    frame = pl.DataFrame({"timestamp": stamps, "asset": "A", "close": [10.0, 11.0, 12.0, 13.0]})
    seen = []

    class Daily(Strategy):
        def on_start(self, broker: Any) -> None:
            broker.set_session_config(SessionConfig("CME_Equity", timezone="America/Chicago", session_start_time="17:00"))

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            seen.append(broker.get_asset_stats("A").session_trades)
            if broker.get_position("A"):
                broker.close_position("A")
            else:
                broker.submit_order("A", 1)

    Engine(DataFeed(frame), Daily()).run()
    assert seen == [0, 0, 1, 0]  # sold at 17:30, in the session of the 9th; the bar of 18:00 belongs to the 10th
