"""`RiskManager`: asks the limits at every update and remembers whether trading is halted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.portfolio.limits import PortfolioLimit
from ml4t_backtest.risk.types import LimitResult, PortfolioState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["DAY_STARTS", "RiskManager"]

DAY_STARTS = ("previous_close", "first_update")
_REFUSING = ("reduce", "block", "halt", "liquidate")


class RiskManager:
    """Portfolio limits for a strategy to ask: `update` once a bar, then `can_open_position` before new risk.

    limits: objects with `check(state)`. day_start: the equity that a day's profit counts from, `previous_close` (the last
    update of the day before, so that daily bars have a profit) or `first_update` (the first of the day). Attributes:
    `halted` and `halt_reason` stay until `reset_halt`; `blocked`, `warnings`, `reductions` are those of the last update;
    `liquidating` stays like a halt. Raises TypeError for what is no limit.
    """

    def __init__(self, limits: Iterable[PortfolioLimit] = (), *, day_start: str = "previous_close") -> None:
        if isinstance(limits, PortfolioLimit) or not isinstance(limits, Iterable):
            raise TypeError(f"RiskManager(limits={limits!r}): expected a list of limits")
        self.limits = tuple(limits)
        for place, limit in enumerate(self.limits):
            if isinstance(limit, type) or not isinstance(limit, PortfolioLimit):
                raise TypeError(f"RiskManager: limit {place} was {limit!r}, expected an object with check(state)")
        self._day_start = checks.choice("RiskManager", "day_start", day_start, DAY_STARTS)
        self.halted = False
        self.liquidating = False
        self.halt_reason = ""
        self.blocked = ""
        self.warnings: list[str] = []
        self.reductions: list[LimitResult] = []
        self._state: PortfolioState | None = None
        self._day_equity = math.nan

    def initialize(self, equity: float, timestamp: datetime | None = None) -> None:
        """Start a run: equity is the first high mark and the start of the first day [money, finite]; a halt is lifted."""
        start = checks.finite("RiskManager.initialize", "equity", equity)
        self.reset_halt()
        self.blocked, self.warnings, self.reductions = "", [], []
        self._day_equity = start
        self._state = PortfolioState(start, start, start, 0.0, 0, {}, 0.0, 0.0, 0.0, timestamp)

    def update(
        self, equity: float, positions: Mapping[str, float], timestamp: datetime | None = None, context: Mapping[str, Any] | None = None
    ) -> list[LimitResult]:
        """Take in a bar and return the results of the breached limits, in order of the limits.

        equity: account value [money]. positions: asset to signed market value [money]; zeros are no position. timestamp:
        not before the last one; a new date (in its own time zone) starts a new day. context: for limits that need more.
        The first update initialises when nobody has. Raises ValueError for numbers that are not finite and times that go back.
        """
        value = checks.finite("RiskManager.update", "equity", equity)
        if self._state is None:
            self.initialize(value, timestamp)
        self._state = self._next_state(value, positions, timestamp, context or {})
        results = [result for result in (self._ask(limit, self._state) for limit in self.limits) if result.breached]
        self._take(results)
        return results

    def can_open_position(self) -> tuple[bool, str]:
        """Return whether new risk is allowed, and why not. A halt and the "block" of the last update refuse it."""
        if self.halted:
            return False, f"Trading halted: {self.halt_reason}"
        if self.blocked:
            return False, f"New risk blocked: {self.blocked}"
        return True, ""

    def can_increase_position(self, asset: str, amount: float) -> tuple[bool, str]:
        """Return whether a position may change by `amount` of market value, and why not.

        amount: signed [money], positive buys. A change that makes the position smaller without turning it is always
        allowed. Otherwise new risk must be allowed, and no limit with an action beyond "warn" may be breached by the
        portfolio after the change unless the change brings it no further beyond its bounds. Raises RuntimeError before
        the first `initialize` or `update`.
        """
        change = checks.finite("RiskManager.can_increase_position", "amount", amount)
        state = self.get_state()
        before = state.positions.get(asset, 0.0)
        if abs(before + change) <= abs(before) and (before + change) * before >= 0.0:
            return True, ""
        allowed, reason = self.can_open_position()
        if not allowed:
            return False, reason
        after = _changed(state, {**state.positions, asset: before + change})
        for limit in self.limits:
            result = self._ask(limit, after)
            if result.breached and result.action in _REFUSING and _goes_further(limit, state, after):
                return False, result.reason
        return True, ""

    @property
    def is_halted(self) -> bool:
        """Whether trading is halted."""
        return self.halted

    @property
    def current_drawdown(self) -> float:
        """Loss from the high mark at the last update, a fraction of the high mark; 0 before."""
        return 0.0 if self._state is None else self._state.current_drawdown

    def reset_halt(self) -> None:
        """Lift a halt. The next update halts again if a limit is still breached."""
        self.halted = self.liquidating = False
        self.halt_reason = ""

    def get_state(self) -> PortfolioState:
        """Return the portfolio at the last update. Raises RuntimeError before the first `initialize` or `update`."""
        if self._state is None:
            raise RuntimeError("RiskManager has no state yet: call initialize(equity, timestamp) or update(...) first")
        return self._state

    @staticmethod
    def _ask(limit: PortfolioLimit, state: PortfolioState) -> LimitResult:
        result = limit.check(state)
        if not isinstance(result, LimitResult):
            raise TypeError(f"{type(limit).__name__}.check() returned {result!r}, expected a LimitResult")
        return result

    def _next_state(
        self, equity: float, positions: Mapping[str, float], timestamp: datetime | None, context: Mapping[str, Any]
    ) -> PortfolioState:
        last = self.get_state()
        if timestamp is not None and last.timestamp is not None:
            _in_order(last.timestamp, timestamp)
            if timestamp.date() != last.timestamp.date():
                self._day_equity = last.equity if self._day_start == "previous_close" else equity
        high = max(last.high_water_mark, equity)
        state = replace(
            last,
            equity=equity,
            high_water_mark=high,
            current_drawdown=(high - equity) / high if high > 0.0 else 0.0,
            daily_pnl=equity - self._day_equity,
            timestamp=timestamp or last.timestamp,
            context=dict(context),
        )
        return _changed(state, positions)

    def _take(self, results: list[LimitResult]) -> None:
        self.warnings = [result.reason for result in results if result.action == "warn"]
        self.reductions = [result for result in results if result.action == "reduce"]
        self.blocked = "; ".join(sorted(result.reason for result in results if result.action == "block"))
        halting = sorted(result.reason for result in results if result.action in ("halt", "liquidate"))
        if halting and not self.halted:
            self.halted, self.halt_reason = True, "; ".join(halting)
        self.liquidating = self.liquidating or any(result.action == "liquidate" for result in results)


def _changed(state: PortfolioState, positions: Mapping[str, float]) -> PortfolioState:
    values = {asset: checks.finite("RiskManager", f"positions[{asset!r}]", value) for asset, value in positions.items()}
    held = {asset: value for asset, value in values.items() if value != 0.0}
    gross = math.fsum(abs(value) for value in held.values())
    return replace(state, positions=held, num_positions=len(held), gross_exposure=gross, net_exposure=math.fsum(held.values()))


def _goes_further(limit: Any, before: PortfolioState, after: PortfolioState) -> bool:
    """Whether a breach is the change's doing; limits of users without `overshoot` cannot tell and count as yes."""
    if not callable(getattr(limit, "overshoot", None)):
        return True
    beyond = float(limit.overshoot(after))
    return math.isinf(beyond) or beyond > max(float(limit.overshoot(before)), 0.0)


def _in_order(last: datetime, now: datetime) -> None:
    if (last.tzinfo is None) != (now.tzinfo is None):
        raise ValueError(f"timestamp was {now!r} after {last!r}: one has a time zone, the other has none")
    if now < last:
        raise ValueError(f"timestamp was {now!r}, before the last one {last!r}; call initialize() to start again")
