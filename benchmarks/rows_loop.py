"""Rows about the loop over bars: what a bar, an asset and a fill cost in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import floors
from dict_engine import DictEngine, DictFeed
from measure import Time, in_turn
from report import UNITS, Row
from workloads import ARRAY_STRATEGIES, INITIAL_CASH, STRATEGIES, Frames, Size, make_frames, make_strategy

from ml4t_backtest import DataFeed, Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from setting import Setting

    from ml4t_backtest import BacktestResult

_SAME_TRADES = {"array_signals": "every_asset"}  # the loop that makes the same trades


class Contest:
    """The contestants of one workload: this library, the dict engine and the published engine."""

    def __init__(self, setting: Setting, workload: str, frames: Frames) -> None:
        self.setting = setting
        self.workload = workload
        self.frames = frames
        self.opponent = _SAME_TRADES.get(workload, workload if workload in STRATEGIES else None)
        self._last: dict[str, Any] = {}
        warm_up()

    def ours(self, feed: DataFeed) -> Callable[[], Callable[[], None]]:
        """Return what prepares a run of this library."""

        def prepare() -> Callable[[], None]:
            self._last.pop("ours", None)
            engine = Engine(feed, make_strategy(self.workload), initial_cash=INITIAL_CASH)
            return lambda: self._last.update(ours=engine.run())

        return prepare

    def dicts(self, feed: DictFeed, workload: str) -> Callable[[], Callable[[], None]]:
        """Return what prepares a run of the dict engine."""

        def prepare() -> Callable[[], None]:
            self._last.pop("dicts", None)
            engine = DictEngine(feed, STRATEGIES[workload](), INITIAL_CASH)
            return lambda: self._last.update(dicts=engine.run())

        return prepare

    def times(self) -> tuple[Time, float | None, float | None]:
        """Run them; returns our time, and how many times as long the dict engine and the published engine take."""
        contestants = [self.ours(DataFeed(prices_df=self.frames.prices, signals_df=self.frames.signals))]
        if self.opponent:
            contestants.append(self.dicts(DictFeed(self.frames.prices, self.frames.signals), self.opponent))
        measured = in_turn(contestants, self.setting.repeats)
        if not self.opponent:
            return measured[0], None, None
        self._compare_dicts()
        return measured[0], measured[1].cpu / measured[0].cpu, self._published(measured[0])

    def _outcome(self) -> tuple[float, int]:
        result: BacktestResult = self._last["ours"]
        return float(result["final_value"]), self.fills

    def _compare_dicts(self) -> None:
        """Refuse to compare the speed of engines that do not do the same."""
        theirs = self._last["dicts"]
        differs = self.setting.check("the dict engine", self.workload, theirs.final_value, len(theirs.fills), self._outcome())
        if differs or theirs.rejected:
            raise AssertionError(differs or f"{self.workload}: the dict engine rejected {theirs.rejected} orders")

    def _published(self, ours: Time) -> float | None:
        if self.setting.published is None or self.opponent is None:
            return None
        theirs = self.setting.published.run(self.opponent, self.frames)
        differs = self.setting.check("the published engine", self.workload, theirs["final_value"], theirs["fills"], self._outcome())
        if differs:
            self.setting.remarks.append(differs)
        return float(theirs["run"]["cpu"]) / ours.cpu

    @property
    def fills(self) -> int:
        """Number of fills of the last run of this library."""
        return int(self._last["ours"]["num_fills"])


def warm_up() -> None:
    """Load the kernels, so that no row pays for it."""
    frames = make_frames(Size(assets=8, bars=30))
    feed = DataFeed(prices_df=frames.prices, signals_df=frames.signals)
    for workload in (*STRATEGIES, *ARRAY_STRATEGIES):
        Engine(feed, make_strategy(workload), initial_cash=INITIAL_CASH).run()


def _row(
    label: str,
    counted: str,
    unit: str,
    times: tuple[Time, float | None, float | None],
    count: int,
    must: float | None = None,
    aim: float | None = None,
) -> Row:
    each = times[0] / (count * UNITS[unit])
    return Row(label, counted, unit, each.cpu, each.wall, must, aim, times[1], times[2])


def empty(setting: Setting) -> list[Row]:
    """Return the cost of a bar with a strategy that does nothing."""
    frames = setting.many
    return [
        _row("empty strategy", f"per bar, {frames.size.assets} assets", "us", Contest(setting, "empty", frames).times(), frames.size.bars)
    ]


def one_asset(setting: Setting) -> list[Row]:
    """Return the cost of looking at one asset of many."""
    frames = setting.many
    times = Contest(setting, "one_asset", frames).times()
    label = f"one asset of {frames.size.assets}"
    return [_row(label, "per bar", "us", times, frames.size.bars), _row(label, "per asset-bar", "ns", times, frames.size.cells)]


def every_asset(setting: Setting) -> list[Row]:
    """Return the cost of looking at every asset."""
    contest = Contest(setting, "every_asset", setting.many)
    times = contest.times()
    label = f"every asset, {contest.fills:,} fills"
    floor = _row(
        "(its loop over ready plain dicts)", "per asset-bar", "ns", (floors.every_asset(setting.many, setting.repeats), None, None), 1
    )
    return [_row(label, "per asset-bar", "ns", times, setting.many.size.cells, must=350.0, aim=230.0), _whole(setting), floor]


def _whole(setting: Setting) -> Row:
    """Return the same from frames to result: a feed that prepares much could make its runs look cheap."""
    frames = setting.many
    make = STRATEGIES["every_asset"]
    measured = in_turn(
        [
            lambda: lambda: Engine(DataFeed(frames.prices, frames.signals), make(), initial_cash=INITIAL_CASH).run(),
            lambda: lambda: DictEngine(DictFeed(frames.prices, frames.signals), make(), INITIAL_CASH).run(),
        ],
        setting.repeats,
    )
    published = setting.published.report.get("every_asset") if setting.published else None
    theirs = published["feed"]["cpu"] + published["run"]["cpu"] if isinstance(published, dict) else None
    ratios = (measured[1].cpu / measured[0].cpu, None if theirs is None else theirs / measured[0].cpu)
    return _row("every asset, frames to result", "per asset-bar", "ns", (measured[0], *ratios), frames.size.cells)


def every_asset_heavy(setting: Setting) -> list[Row]:
    """Return the same with very many trades."""
    contest = Contest(setting, "every_asset_heavy", setting.many)
    times = contest.times()
    return [_row(f"every asset, {contest.fills:,} fills", "per asset-bar", "ns", times, setting.many.size.cells)]


def single_series(setting: Setting) -> list[Row]:
    """Return the cost of a bar of one long series."""
    bars = setting.single.size.bars
    times = Contest(setting, "single_series", setting.single).times()
    return [_row(f"one asset, {bars:,} bars", "per bar", "us", times, bars, must=1.5, aim=0.7)]


def array_signals(setting: Setting) -> list[Row]:
    """Return the cost of the trades of `every_asset` decided on whole rows."""
    times = Contest(setting, "array_signals", setting.many).times()
    floor = _row(
        "(its decisions on bare arrays)", "per asset-bar", "ns", (floors.array_signals(setting.many, setting.repeats), None, None), 1
    )
    return [_row("array signals", "per asset-bar", "ns", times, setting.many.size.cells, must=60.0, aim=30.0), floor]


def array_weights(setting: Setting) -> list[Row]:
    """Return the cost of target weights on whole rows."""
    rows = []
    for workload, label in (("array_weights_monthly", "array weights monthly"), ("array_weights_every_bar", "array weights every bar")):
        contest = Contest(setting, workload, setting.many)
        times = contest.times()
        rows.append(_row(f"{label}, {contest.fills:,} fills", "per asset-bar", "ns", times, setting.many.size.cells))
    return rows
