"""Rules whose level or size moves with the position: trailing stops, volatility stops, scaling out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.position import levels
from ml4t_backtest.risk.position.levels import Seen, below, exit_at, fill_mode, seen, stop_price
from ml4t_backtest.risk.position.protocol import Considered, RememberingRule, position_key
from ml4t_backtest.risk.types import ActionType, PositionAction
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ml4t_backtest.risk.types import PositionState

__all__ = ["ScaledExit", "TighteningTrailingStop", "TrailingStop", "VolatilityStop", "VolatilityTrailingStop", "volatility_of"]


def _memory() -> Any:
    return field(default_factory=dict, init=False, repr=False, compare=False)


@accepts(hwm_source="trail_hwm_source", timing="trail_stop_timing")
@dataclass(frozen=True, slots=True)
class TrailingStop(RememberingRule):
    """Close a long when the bar reaches `high mark * (1 - pct)`, a short when it reaches `low mark * (1 + pct)`; pct is between 0 and 1.

    trail_stop_timing (None: the context's, lagged without one): lagged tests the mark of the bars before. intrabar lets
    the mark take this bar's extreme in first. vbt_pro is lagged, then tests the close against the mark with this bar's
    extreme and fills at the close. An open at or beyond the lagged level fills at the open in every timing; else the
    context's `stop_fill_mode` decides as for `StopLoss`, and next_bar_open always defers. Touching the level is enough.

    trail_hwm_source (None: the marks of the state): close or bar_extreme makes the rule keep a mark of its own for each
    position, from the state's mark at its first evaluation on; bar_extreme is also called high.
    """

    pct: float
    trail_hwm_source: str | None = None
    trail_stop_timing: str | None = None
    _memory: dict[tuple[Hashable, ...], float] = _memory()
    exit_reason: ClassVar[str] = "TRAILING_STOP"

    def __post_init__(self) -> None:
        object.__setattr__(self, "pct", checks.fraction("TrailingStop", "pct", self.pct))
        if self.trail_hwm_source is not None:
            source = checks.choice("TrailingStop", "trail_hwm_source", self.trail_hwm_source, (*levels.HWM_SOURCES, "high"))
            object.__setattr__(self, "trail_hwm_source", "bar_extreme" if source == "high" else source)
        if self.trail_stop_timing is not None:
            timing = checks.choice("TrailingStop", "trail_stop_timing", self.trail_stop_timing, levels.TIMINGS)
            object.__setattr__(self, "trail_stop_timing", timing)

    @property
    def reason(self) -> str:
        """Text of the exit, as in "trailing_stop_5.0%"."""
        return f"trailing_stop_{self.pct:.1%}"

    def consider(self, state: PositionState) -> Considered:
        """Return the exit when the level is reached, else hold; the own mark moves when the bar is over."""
        bar = seen(state)
        if self.trail_hwm_source is None:
            return Considered(self._action(state, bar), lambda _: None)
        key = position_key(state)
        bar = bar._replace(mark=self._memory.get(key, bar.mark))
        reached = bar.best if self.trail_hwm_source == "bar_extreme" else bar.close

        def commit(taken: bool) -> None:  # noqa: FBT001, ARG001 - the mark moves either way
            self._memory[key] = max(bar.mark, reached)

        return Considered(self._action(state, bar), commit)

    def _action(self, state: PositionState, bar: Seen) -> PositionAction:
        when = self.trail_stop_timing or levels.timing(state)
        mode = fill_mode(state)
        lagged = below(bar.mark, self.pct)
        widened = below(max(bar.mark, bar.best), self.pct)
        level = widened if when == "intrabar" else lagged
        if bar.opening <= lagged:
            return exit_at(bar, lagged, bar.opening, mode, self.reason, self.exit_reason)
        if bar.worst <= level or bar.close <= level:
            return exit_at(bar, level, stop_price(bar, level, mode, gap=False), mode, self.reason, self.exit_reason)
        if when == "vbt_pro" and bar.close <= widened:
            return exit_at(bar, widened, bar.close, mode, self.reason, self.exit_reason)
        return PositionAction.hold()


@accepts(thresholds="schedule")
@dataclass(frozen=True, slots=True)
class TighteningTrailingStop:
    """A trailing stop on the close whose trail depends on the best return so far.

    schedule: pairs (return, trail); returns are distinct fractions of the entry price, trails between 0 and 1; sorted by
    return. The trail is that of the largest return that the mark has reached, below all of them the first one's. Closes
    a long when the close is at or below `high mark * (1 - trail)`, a short mirrored, at the price of the pass.
    """

    schedule: tuple[tuple[float, float], ...]
    exit_reason: ClassVar[str] = "TRAILING_STOP"

    def __post_init__(self) -> None:
        schedule = checks.pairs("TighteningTrailingStop", "schedule", self.schedule, (checks.finite, checks.fraction))
        object.__setattr__(self, "schedule", schedule)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Texts of the exits, one for each pair of the schedule, as in "tightening_trail_3.0%"."""
        return tuple(f"tightening_trail_{trail:.1%}" for _, trail in self.schedule)

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return the exit when the close is at or beyond the level, else hold."""
        bar = seen(state)
        reached = (bar.mark - bar.entry) / abs(bar.entry) if bar.entry else math.nan
        stage = max(sum(reached >= start for start, _ in self.schedule) - 1, 0)
        return _on_close(bar, below(bar.mark, self.schedule[stage][1]), self.reasons[stage], self.exit_reason)


@accepts(n_std="multiplier")
@dataclass(frozen=True, slots=True)
class VolatilityStop(RememberingRule):
    """Close a long when the close is at or below `entry price - multiplier * volatility`, a short mirrored, at the price of the pass.

    The volatility [price] is the context's value of `atr_key`; with a lookback (at least 2) it is the standard deviation
    of the last `lookback` changes of the closes in the context's value of `closes_key`, oldest first. use_entry_atr keeps
    the first one for the life of the position. A volatility that is missing or not a finite number above 0 holds.
    """

    multiplier: float = 2.0
    atr_key: str = "atr"
    use_entry_atr: bool = True
    lookback: int | None = None
    closes_key: str = "closes"
    _memory: dict[tuple[Hashable, ...], float] = _memory()
    exit_reason: ClassVar[str] = "VOLATILITY_STOP"

    def __post_init__(self) -> None:
        object.__setattr__(self, "multiplier", checks.positive("VolatilityStop", "multiplier", self.multiplier))
        checks.text("VolatilityStop", "atr_key", self.atr_key)
        checks.text("VolatilityStop", "closes_key", self.closes_key)
        if self.lookback is not None:
            object.__setattr__(self, "lookback", checks.whole("VolatilityStop", "lookback", self.lookback, least=2))

    @property
    def reason(self) -> str:
        """Text of the exit, as in "volatility_stop_2.0x_atr"."""
        return f"volatility_stop_{self.multiplier:.1f}x_atr"

    def consider(self, state: PositionState) -> Considered:
        """Return the exit when the close is at or beyond the level, else hold; the first volatility is kept."""
        key = position_key(state)
        kept = self._memory.get(key, math.nan) if self.use_entry_atr else math.nan
        now = kept if not math.isnan(kept) else self._volatility(state)

        def commit(taken: bool) -> None:  # noqa: FBT001, ARG001 - kept either way
            if not math.isnan(now):
                self._memory[key] = now

        bar = seen(state)
        return Considered(_on_close(bar, bar.entry - self.multiplier * now, self.reason, self.exit_reason), commit)

    def _volatility(self, state: PositionState) -> float:
        if self.lookback is None:
            return _known("VolatilityStop", self.atr_key, state.context.get(self.atr_key))
        closes = state.context.get(self.closes_key)
        if closes is None:
            return math.nan
        if isinstance(closes, str) or not isinstance(closes, Iterable):
            raise TypeError(f"VolatilityStop: context[{self.closes_key!r}] was {closes!r}, expected a sequence of closes")
        return volatility_of([float(close) for close in closes], self.lookback)


@accepts(volatility_key="atr_key")
@dataclass(frozen=True, slots=True)
class VolatilityTrailingStop:
    """Close a long when the close is at or below `high mark - multiplier * volatility`, a short mirrored, at the price of the pass.

    The volatility [price] is the context's value of `atr_key` on this bar; missing or not a finite number above 0 holds.
    """

    multiplier: float = 3.0
    atr_key: str = "atr"
    exit_reason: ClassVar[str] = "VOLATILITY_STOP"

    def __post_init__(self) -> None:
        object.__setattr__(self, "multiplier", checks.positive("VolatilityTrailingStop", "multiplier", self.multiplier))
        checks.text("VolatilityTrailingStop", "atr_key", self.atr_key)

    @property
    def reason(self) -> str:
        """Text of the exit, as in "vol_trailing_stop_3.0x_atr"."""
        return f"vol_trailing_stop_{self.multiplier:.1f}x_atr"

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return the exit when the close is at or beyond the level, else hold."""
        bar = seen(state)
        volatility = _known("VolatilityTrailingStop", self.atr_key, state.context.get(self.atr_key))
        return _on_close(bar, bar.mark - self.multiplier * volatility, self.reason, self.exit_reason)


@accepts(levels="targets")
@dataclass(frozen=True, slots=True)
class ScaledExit(RememberingRule):
    """Sell parts of a position at rising returns: one target a bar, the lowest that is not used yet, at the price of the pass.

    targets: pairs (return, part); returns are distinct fractions of the entry price and not negative, parts of the
    current quantity above 0 and at most 1; sorted by return. Which targets are used is remembered for each position.
    """

    targets: tuple[tuple[float, float], ...]
    _memory: dict[tuple[Hashable, ...], int] = _memory()
    exit_reason: ClassVar[str] = "SCALED_EXIT"

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", checks.pairs("ScaledExit", "targets", self.targets, (checks.not_negative, checks.part)))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Texts of the exits, one for each target, as in "scale_out_5%_25%"."""
        return tuple(f"scale_out_{target:.0%}_{part:.0%}" for target, part in self.targets)

    def consider(self, state: PositionState) -> Considered:
        """Return the partial exit of the next target when it is reached, else hold; a taken target is used."""
        key = position_key(state)
        used = self._memory.get(key, 0)
        if not state.is_priced or used == len(self.targets) or not state.unrealized_return >= self.targets[used][0]:
            return Considered(PositionAction.hold(), lambda _: None)

        def commit(taken: bool) -> None:  # noqa: FBT001 - the shape of `Considered.commit`
            if taken:
                self._memory[key] = used + 1

        part, reason = self.targets[used][1], self.reasons[used]
        return Considered(PositionAction(ActionType.EXIT_PARTIAL, pct=part, reason=reason, exit_reason=self.exit_reason), commit)


def volatility_of(closes: list[float], lookback: int) -> float:
    """Return the sample standard deviation of the last `lookback` changes of closes [price], NaN when there are too few."""
    changes = [after - before for before, after in zip(closes[-lookback - 1 : -1], closes[-lookback:], strict=False)]
    if len(changes) < lookback or not all(map(math.isfinite, changes)):
        return math.nan
    mean = math.fsum(changes) / lookback
    spread = math.sqrt(math.fsum((change - mean) ** 2 for change in changes) / (lookback - 1))
    return spread if spread > 0.0 else math.nan


def _known(owner: str, key: str, value: Any) -> float:
    """Return a volatility from a context, NaN when it is unknown or says nothing."""
    if value is None:
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: context[{key!r}] was {value!r}, expected a number") from None
    return number if 0.0 < number < math.inf else math.nan


def _on_close(bar: Seen, level: float, reason: str, exit_reason: str) -> PositionAction:
    if not bar.close <= level:
        return PositionAction.hold()
    return PositionAction(ActionType.EXIT_FULL, stop_price=bar.sign * level, reason=reason, exit_reason=exit_reason)
