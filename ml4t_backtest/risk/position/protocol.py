"""What a position rule is, and how rules that remember keep what they saw apart for each position."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from ml4t_backtest.risk.types import PositionAction

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ml4t_backtest.risk.types import PositionState

__all__ = ["Considered", "PositionRule", "RememberingRule", "consider", "position_key", "remembers"]


@runtime_checkable
class PositionRule(Protocol):
    """Any object with `evaluate(state)`. It is asked once a bar for every open position, before the strategy."""

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return what to do with the position."""
        ...


class Considered(NamedTuple):
    """What a rule would do, and `commit(taken)`, which tells its memory that the bar is over and whether the answer was taken."""

    action: PositionAction
    commit: Callable[[bool], None]


def position_key(state: PositionState) -> tuple[Hashable, ...]:
    """Return what tells positions apart: asset, side, and the position id that a broker puts in (None by hand)."""
    return (state.asset, state.side, state.position_id)


class RememberingRule:
    """A rule with a memory for each position. Each `evaluate` is one bar.

    By hand, without a `position_id`, the memory belongs to the asset and the side: `reset` it before the next position.
    """

    __slots__ = ()
    _memory: dict[tuple[Hashable, ...], Any]

    @abstractmethod
    def consider(self, state: PositionState) -> Considered:
        """Return what the rule would do, without remembering anything yet."""

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return what to do with the position."""
        action, commit = self.consider(state)
        commit(action.fires)
        return action

    def reset(self) -> None:
        """Forget every position."""
        self._memory.clear()


def _nothing(taken: bool) -> None:  # noqa: FBT001 - the shape of `Considered.commit`
    """Plain rules have no memory to tell."""


def remembers(rule: PositionRule) -> bool:
    """Whether a rule can be considered without being told of it; a subclass with its own `evaluate` cannot."""
    return isinstance(rule, RememberingRule) and type(rule).evaluate is RememberingRule.evaluate


def consider(rule: PositionRule, state: PositionState) -> Considered:
    """Return what a rule would do and how to tell its memory. Raises TypeError when it answers anything but a PositionAction."""
    if isinstance(rule, RememberingRule) and remembers(rule):
        return rule.consider(state)
    action = rule.evaluate(state)
    if not isinstance(action, PositionAction):
        raise TypeError(f"{type(rule).__name__}.evaluate() returned {action!r}, expected a PositionAction")
    return Considered(action, _nothing)
