"""`check_lookahead`: whether anything that was decided on a bar depends on what came after it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.compiled import CompiledStrategy
from ml4t_backtest.honesty.arguments import checked_count, checked_fraction, checked_names, chosen_settings, listed_bars
from ml4t_backtest.honesty.bytime import cut_data, turned_data
from ml4t_backtest.honesty.comparing import Difference, comparable_until, first_difference
from ml4t_backtest.honesty.futures import columns_of, cut_feed, groups_of, turned_feed
from ml4t_backtest.honesty.held import altered, places_of, places_outside
from ml4t_backtest.honesty.making import Maker, checked_feed, read_maker
from ml4t_backtest.honesty.reports import DIFFERENCE_COLUMNS, CheckReport, frame_of, where_text
from ml4t_backtest.honesty.samebar import early_fills
from ml4t_backtest.honesty.sources import leaking_signals, published_ahead
from ml4t_backtest.honesty.watching import Trace, watched_run
from ml4t_backtest.progress import counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import polars as pl

    from ml4t_backtest.config import BacktestConfig, Mode
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.frames import FrameLike
    from ml4t_backtest.honesty.held import Place
    from ml4t_backtest.panels import Panels

__all__ = ["LookaheadReport", "check_lookahead"]

_COLUMNS: dict[str, Any] = {
    "source": str,
    "column": str,
    **DIFFERENCE_COLUMNS,
    "future_from": "time",
}
_OWN, _OUTSIDE = "data of the strategy", "data outside the strategy"
_STANDING = ("fill", "signal column", "not deterministic")  # found without another future
_FEWEST_RUNS = 4


class LookaheadReport(CheckReport):
    """What `check_lookahead` found. True when nothing did.

    leaks: a frame of one row per way in which the future comes in, its earliest trace: source ("prices", "signals", "context",
    "end of the data", "data of the strategy", "data outside the strategy", "signals function", "signal column", "fill"), column (the
    signal or variable, null for a group as a whole), bar, timestamp, asset, what ("order", "fill", "account", "exception",
    "value"), field, order_id, expected (with the true future), found (with another one), future_from (from then on the future was
    another one).
    """

    title = "check_lookahead"

    def __init__(
        self, label: str, runs: int, rows: Sequence[dict[str, Any]], notes: Sequence[str], cuts: Sequence[int], zone: str | None
    ) -> None:
        super().__init__(label, runs, rows, notes, zone)
        self.cuts = tuple(cuts)
        count = "one bar" if len(self.cuts) == 1 else f"any of {len(self.cuts)} bars"
        self._clean = f"nothing that was decided up to {count} changed with what came after"

    @cached_property
    def leaks(self) -> pl.DataFrame:
        """The leaks as a frame; empty when the check passed."""
        return frame_of(self._rows, _COLUMNS, self._zone)

    def _lines(self) -> list[str]:
        lines = []
        for row in self._rows:
            source = row["source"] + ("" if row["column"] is None else f" {row['column']!r}")
            where = where_text(row)
            other = " with another future" if row["source"] not in _STANDING else ""
            lines.append(f"{source}: {where}: {row['what']} {row['field']} {row['expected']}, {row['found']}{other}")
        return lines


@dataclass
class _Plan:
    """One check: what is run, and how often it was."""

    maker: Maker
    feed: DataFeed
    config: BacktestConfig
    keywords: dict[str, Any]
    known: tuple[str, ...]
    show: Any
    runs: int = 0
    left_out: dict[str, list[int]] = field(default_factory=dict)  # bars by what was raised when a strategy was made for them

    def run(self, feed: DataFeed, cuts: Iterable[int] = (), change: Callable[[Any], Any] | None = None, places: str = "") -> Trace:
        """Run the strategy on a feed. change: of data that the strategy holds at `places`: its own, outside, one by name, or all."""
        whole = self.feed.panels
        last = [int(whole.times[bar]) for bar in cuts]
        outside = [place for place in self.outside if change is not None and places in ("", _OUTSIDE, place.name)]
        all_of_it = change is not None and not places
        keywords = {name: _or(change(value), value) if change and all_of_it else value for name, value in self.keywords.items()}

        def strategy() -> Any:
            made = self.maker.make(feed, whole.bars)
            if change is not None and places != _OUTSIDE:
                own = [place for place in places_of(made, whole, self.known) if places in ("", _OWN, place.name)]
                stack.enter_context(altered(own, change if not isinstance(made, CompiledStrategy) else _of_one_length(change)))
            return made

        def watched(panels: Panels) -> list[int]:
            bars = [int(np.searchsorted(panels.times, time, side="right")) - 1 for time in last]
            return [near for bar in bars for near in (bar - 1, bar)]

        with ExitStack() as stack:
            stack.enter_context(altered(outside, change or (lambda value: value)))
            trace, _ = watched_run(feed, strategy, self.config, keywords, watched=watched, loud=self.runs == 0)
        self.runs += 1
        self.show.update(1)
        return trace

    @cached_property
    def outside(self) -> list[Place]:
        """Data that functions of the user read from elsewhere."""
        return places_outside(self.maker.source, self.feed.panels, self.known)

    def own(self) -> list[Place]:
        """Return data in the attributes of a strategy that did not come from the feed of its run."""
        if self.maker.takes_feed:
            return []
        return places_of(self.maker.make(self.feed, self.feed.n_bars), self.feed.panels, self.known)


def check_lookahead(  # noqa: PLR0913 - what there is to say about a check
    strategy: Any,
    feed: DataFeed,
    config: BacktestConfig | Mode | str | None = None,
    *,
    signals: Callable[[Any], FrameLike] | None = None,
    prices: FrameLike | None = None,
    tolerance: float = 0.0,
    runs: int = 40,
    bars: Iterable[Any] | None = None,
    seed: int = 0,
    known: Iterable[str] = (),
    progress: bool = False,
    **keywords: Any,
) -> LookaheadReport:
    """Run a strategy with other futures and tell whether anything that it did before changes.

    After some bars the feed ends, or its prices, its signals, its context are turned round (what rose falls); orders, fills, account
    value and cash up to that bar have to be equal with ==. Data by time that the strategy holds or that its functions read (frames with
    a column timestamp, arrays as long as the feed) loses its future in the same way.

    strategy: a class, a function that makes a strategy (of no argument, or of the feed of the run, so that indicators are computed
    anew), or an object, which is copied for every run; None to check `signals` alone. config, keywords: as `Engine`; `close_at_end`
    is left out. signals: the function (prices) -> frame that made the signals; it is called with the prices up to each bar, and a
    value that then is another one is a leak. prices: the frame that it takes; without, one is made of the feed (timestamp,
    symbol, open, high, low, close, volume). tolerance: by which values of `signals` may differ, relative to the larger one. runs: most
    runs of the engine for finding leaks, at least 4: two with the true future, the others are spread over bars; naming the column that
    leaks takes one more for each. bars: after which the future changes, numbers or times; None for the first, the last but one, and
    random ones (`seed`), half of them bars with orders. known: names of attributes and variables that are known in advance
    (calendars). progress: show a bar.

    Raises TypeError and ValueError for bad arguments; what the strategy raises on the whole feed. Ctrl-C is passed on.
    """
    feed = checked_feed(feed, "check_lookahead")
    runs, tolerance = checked_count("runs", runs, _FEWEST_RUNS), checked_fraction("tolerance", tolerance)
    settings, others = chosen_settings(check_lookahead, config, keywords)
    if strategy is None and signals is None:
        raise TypeError("strategy was None; give a strategy, or signals=make_signals to check that function alone")
    if signals is not None and not callable(signals):
        raise TypeError(f"signals was a {type(signals).__name__}, expected the function (prices) -> frame that made the signals")
    cuts = None if bars is None else listed_bars(bars, feed)
    rng = np.random.default_rng(checked_count("seed", seed, 0))
    found: list[dict[str, Any]] = []
    notes: list[str] = []
    count = 0
    label = "signals"
    if strategy is not None:
        show = counter(runs, progress=progress, label="check_lookahead", unit="run")
        plan = _Plan(read_maker(strategy, "check_lookahead"), feed, settings, others, checked_names("known", known), show)
        label = plan.maker.label
        try:
            cuts, found, notes = _search(plan, cuts, runs, rng)
        finally:
            show.close()
        count = plan.runs
    if cuts is None:
        cuts = _chosen_cuts(feed.n_bars, np.zeros(0, dtype=np.int64), max(runs - 2, 1), rng)
    if signals is not None:
        leaks, problems = leaking_signals(signals, prices, feed, cuts, tolerance)
        found += leaks
        notes += [_left_out("signals could not be made", error, bars) for error, bars in problems.items()]
    elif feed.panels.signals:
        notes.append("how the signal columns were made cannot be seen from here; give signals=make_signals to test that, too")
    found += published_ahead(feed)
    found.sort(key=lambda row: row["bar"])
    return LookaheadReport(label, count, found, notes, cuts, feed.panels.zone)


def _search(plan: _Plan, cuts: list[int] | None, runs: int, rng: Any) -> tuple[list[int], list[dict[str, Any]], list[str]]:
    """Return the bars after which the future was changed, the leaks and the notes."""
    feed = plan.feed
    own, outside = plan.own(), plan.outside
    modes = [*groups_of(feed), *([_OWN] if own else []), *([_OUTSIDE] if outside else [])]
    full = plan.run(feed)
    if full.error is not None:
        raise full.error
    if cuts is None:
        ordered = full.orders["created_bar"][(full.orders["rule"] == 0) & (full.orders["created_bar"] >= 0)]
        times = full.panels.times[np.unique(ordered)]
        cuts = _chosen_cuts(feed.n_bars, np.searchsorted(feed.panels.times, times), max((runs - 2) // (1 + len(modes)), 1), rng)
    again = plan.run(feed, cuts)
    differs = first_difference(full, again, full.bars - 1, shot=False)
    if differs is not None:
        return cuts, [_row("not deterministic", None, differs, None)], ["two runs with the same data differ; see check_determinism"]
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for bar in cuts:
        for source in ("end of the data", *modes):
            difference = _compare(plan, again, bar, source, None)
            if difference is not None:
                for named, column, one in _named(plan, again, bar, source, difference):
                    key = named, column
                    if key not in found or one.bar < found[key]["bar"]:
                        found[key] = _row(named, column, one, feed.panels.timestamps[bar + 1])
    notes = _notes(plan, own, outside)
    early = early_fills(full, plan.config)
    return cuts, [*found.values(), *early], notes


def _compare(plan: _Plan, full: Trace, bar: int, source: str, column: str | None) -> Difference | None:
    """Return the first difference up to a bar to a run with another future of one source."""
    panels = plan.feed.panels
    try:
        other = _other_run(plan, bar, source, column)
    except Exception as error:  # noqa: BLE001 - of the function that makes the strategy: nothing was decided
        plan.left_out.setdefault(f"{type(error).__name__}: {error}", []).append(bar)
        return None
    last = int(np.searchsorted(full.panels.times, panels.times[bar], side="right")) - 1
    if other.error is not None and other.error_bar < last:
        return first_difference(full, other, other.error_bar) if last >= 0 else None
    until = comparable_until(full, other, last)
    return None if until < 0 else first_difference(full, other, until)


def _other_run(plan: _Plan, bar: int, source: str, column: str | None) -> Trace:
    """Return a run with another future of one source after a bar."""
    panels = plan.feed.panels
    if source == "end of the data":
        return plan.run(cut_feed(plan.feed, bar), [bar], lambda value: cut_data(value, panels, bar))
    if column is not None and source in (_OWN, _OUTSIDE):
        return plan.run(plan.feed, [bar], lambda value: cut_data(value, panels, bar), column)
    if source in (_OWN, _OUTSIDE):
        return plan.run(plan.feed, [bar], lambda value: turned_data(value, panels, bar), source)
    return plan.run(turned_feed(plan.feed, bar, source, column), [bar])


def _named(plan: _Plan, full: Trace, bar: int, source: str, difference: Difference) -> list[tuple[str, str | None, Difference]]:
    """Return what makes the difference by itself, as source, column and difference; the source as a whole where nothing does."""
    if source in (_OWN, _OUTSIDE, "end of the data"):
        held = [(_OWN, place.name) for place in plan.own()] + [(_OUTSIDE, place.name) for place in plan.outside]
        parts = [part for part in held if source in (part[0], "end of the data")]
    elif source in ("signals", "context"):
        parts = [(source, column) for column in columns_of(plan.feed, source)]
    else:
        parts = []
    if len(parts) == 1 and source == parts[0][0]:
        return [(*parts[0], difference)]
    alone = [(*part, _compare(plan, full, bar, *part)) for part in parts]
    named: list[tuple[str, str | None, Difference]] = [(kind, column, one) for kind, column, one in alone if one is not None]
    return [(source, None, difference), *named] if source == "end of the data" or not named else named


def _notes(plan: _Plan, own: Sequence[Place], outside: Sequence[Place]) -> list[str]:
    notes = [_left_out("the strategy could not be made", error, bars) for error, bars in plan.left_out.items()]
    if own or outside:
        names = ", ".join(dict.fromkeys(place.name for place in (*own, *outside)))
        notes.append(
            f"data from outside the feed: {names}. Its future was taken away, but what was computed from later bars before the check"
            " cannot be seen; give a function of the feed that computes it: check_lookahead(lambda feed: ..., feed)"
        )
    if type(plan.maker.source).__name__ == "SignalStrategy":
        notes.append(
            "the signals of a SignalStrategy object were computed before the check; give a function of the feed that computes them:"
            " check_lookahead(lambda feed: SignalStrategy(...), feed)"
        )
    notes += [doubt for doubt in plan.config.validate(warn=False) if "look-ahead" in doubt and not plan.config.looks_ahead]
    return notes


def _left_out(what: str, error: str, bars: Sequence[int]) -> str:
    return f"{what} with another future after bar {', '.join(map(str, sorted(set(bars))))}, which was left out ({error})"


def _chosen_cuts(bars: int, busy: Any, count: int, rng: Any) -> list[int]:
    """Return bars to end the known part with: some with orders, the last but one and the first, and random ones."""
    made: list[int] = []
    ends = [0, bars - 2]
    pools = [list(rng.permutation(np.unique(busy[busy < bars - 1]))), list(rng.permutation(bars - 1))]
    while len(set(made)) < min(count, bars - 1) and any(pools):
        for pool in (pools[0], ends, pools[1]):
            while pool and len(set(made)) < count:
                bar = int(pool.pop())
                if bar not in made:
                    made.append(bar)
                    break
    return sorted(set(made))


def _row(source: str, column: str | None, difference: Difference, since: Any) -> dict[str, Any]:
    return {"source": source, "column": column, **asdict(difference), "future_from": since}


def _of_one_length(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a change that leaves alone what it would make shorter: compiled code reads arrays without looking at their length."""

    def changed(value: Any) -> Any:
        made = change(value)
        return made if made is not None and len(made) == len(value) else None

    return changed


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value
