"""A feed of some bars: the same bars over the same memory, and a run on it equals one on a feed built from those rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ml4t_backtest import DataFeed, Engine, Strategy

START = datetime(2024, 1, 1)


def prices(bars: int = 30, zone: str | None = None) -> pl.DataFrame:
    rng = np.random.default_rng(4)
    times = pl.datetime_range(START, START + timedelta(days=bars - 1), "1d", eager=True, time_zone=zone)
    parts = []
    for asset in "AB":
        close = 100.0 + rng.normal(0.0, 1.0, bars).cumsum()
        parts.append(pl.DataFrame({"timestamp": times, "symbol": [asset] * bars, "close": close, "open": close + 0.5}))
    return pl.concat(parts)


class Swings(Strategy):
    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            broker.order_target_percent(asset, 0.4 * (context["phase"] % 2) * (bar["signals"]["side"] > 0))


def whole(zone: str | None = None) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    frame = prices(zone=zone)
    signals = frame.select("timestamp", "symbol", side=pl.col("close").sin())
    context = frame.filter(symbol="A").select("timestamp", phase=pl.col("close").floor())
    return frame, signals, context


def test_a_run_on_a_part_is_a_run_on_its_rows() -> None:
    frames = whole()
    first, last = START + timedelta(days=7), START + timedelta(days=21)
    part = DataFeed(*frames).between(first, last)
    rows = DataFeed(*(frame.filter(pl.col("timestamp").is_between(first, last, closed="left")) for frame in frames))
    results = [Engine(feed, Swings(), execution_mode="next_bar", commission_rate=0.001).run() for feed in (part, rows)]
    assert part.n_bars == 14
    assert results[0].metrics == results[1].metrics
    assert results[0]["num_trades"] >= 3
    for name in ("trades", "fills", "orders", "equity"):
        one, other = (getattr(result, f"to_{name}_dataframe")() for result in results)
        assert one.equals(other)


def test_nothing_is_copied() -> None:
    feed = DataFeed(prices())
    part = feed.between(3, 9).panels
    assert np.shares_memory(part.prices["close"], feed.panels.prices["close"])
    assert part.prices["high"] is part.prices["high"]
    assert (part.prices["high"] is part.prices["close"]) == (feed.panels.prices["high"] is feed.panels.prices["close"])
    assert part.timestamps == feed.panels.timestamps[3:9]
    assert feed.between().n_bars == feed.n_bars
    assert feed.between(end=2).n_bars == feed.between("2024-01-03", "2024-01-05").n_bars == 2


def test_times_with_a_zone() -> None:
    feed = DataFeed(prices(zone="America/New_York"))
    part = feed.between(datetime(2024, 1, 3, 5, tzinfo=UTC), datetime(2024, 1, 4, 5, 0, 1, tzinfo=UTC))
    assert [str(time) for time in part.panels.timestamps] == ["2024-01-03 00:00:00-05:00", "2024-01-04 00:00:00-05:00"]


@pytest.mark.parametrize(
    ("start", "end", "error", "message"),
    [
        (5, 5, ValueError, "no bar from start=5 to before end=5"),
        (-3, None, ValueError, "no bar from start=-3"),
        (0, 31, ValueError, "before end=31; the feed has DataFeed"),
        (START + timedelta(days=90), None, ValueError, "no bar from start=2024-03-31"),
        (START.replace(tzinfo=UTC), None, ValueError, "expected a datetime with no time zone"),
        (True, None, TypeError, "start was a bool, expected a date"),
        (1.5, None, TypeError, "start was a float, expected a date"),
        ("tomorrow", None, ValueError, "start was 'tomorrow', expected an ISO date"),
    ],
)
def test_bad_bounds(start: object, end: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DataFeed(prices()).between(start, end)  # type: ignore[arg-type]


def test_a_feed_with_a_zone_wants_one() -> None:
    with pytest.raises(ValueError, match=r"with a time zone, as the feed \(UTC\)"):
        DataFeed(prices(zone="UTC")).between(START)
