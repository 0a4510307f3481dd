"""Rules made of rules: `RuleChain` and `AnyOf` (the first that fires), `AllOf` (all of them)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml4t_backtest.risk.position.protocol import Considered, PositionRule, RememberingRule, consider, remembers
from ml4t_backtest.risk.types import PositionAction

if TYPE_CHECKING:
    from ml4t_backtest.risk.types import PositionState

__all__ = ["AllOf", "AnyOf", "RuleChain"]


@dataclass(frozen=True, slots=True, init=False)
class _Composite(RememberingRule):
    rules: tuple[PositionRule, ...]

    def __init__(self, *given: PositionRule | Iterable[PositionRule], rules: Iterable[PositionRule] | None = None) -> None:
        owner = type(self).__name__
        if rules is not None and given:
            raise TypeError(f"{owner}() got rules both by position and by keyword")
        if rules is not None:
            given = (rules,)
        only = given[0] if len(given) == 1 else None
        children = tuple(only) if isinstance(only, Iterable) and not callable(getattr(only, "evaluate", None)) else given
        for place, child in enumerate(children):
            if isinstance(child, type):
                raise TypeError(f"{owner}: rule {place} was the class {child.__name__}, expected an object: {child.__name__}(...)")
            if not isinstance(child, PositionRule):
                raise TypeError(f"{owner}: rule {place} was {child!r}, expected an object with evaluate(state)")
        object.__setattr__(self, "rules", children)

    def reset(self) -> None:
        """Let every rule inside forget its positions."""
        for rule in self.rules:
            forget = getattr(rule, "reset", None)
            if callable(forget):
                forget()


class RuleChain(_Composite):
    """The first rule, in order, that does not hold. `RuleChain([a, b])` or `RuleChain(a, b)`; without rules it holds.

    ADJUST_STOP counts as an answer. Rules behind it still see the bar when they remember (marks, first volatility);
    rules of your own behind it are not asked. Raises TypeError for what is no rule.
    """

    __slots__ = ()

    def consider(self, state: PositionState) -> Considered:
        """Return the first answer that does not hold."""
        looks: list[tuple[Considered, bool]] = []
        answer = PositionAction.hold()
        for rule in self.rules:
            if answer.fires and not remembers(rule):
                continue
            look = consider(rule, state)
            chosen = look.action.fires and not answer.fires
            looks.append((look, chosen))
            answer = look.action if chosen else answer

        def commit(taken: bool) -> None:  # noqa: FBT001 - the shape of `Considered.commit`
            for look, chosen in looks:
                look.commit(taken and chosen)

        return Considered(answer, commit)


class AnyOf(RuleChain):
    """The first rule, in order, that does not hold: `RuleChain` under the name that reads well inside `AllOf`."""

    __slots__ = ()


class AllOf(_Composite):
    """Fires when every rule fires: action, part and exit reason of the first, at the price of the pass, reasons joined with " AND ".

    Every rule is asked on every bar; a target of a `ScaledExit` inside counts as used only when all fire. Without rules
    it holds. Raises TypeError for what is no rule.
    """

    __slots__ = ()

    def consider(self, state: PositionState) -> Considered:
        """Return the joined answer when every rule fires, else hold."""
        looks = [consider(rule, state) for rule in self.rules]
        together = bool(looks) and all(look.action.fires for look in looks)

        def commit(taken: bool) -> None:  # noqa: FBT001 - the shape of `Considered.commit`
            for look in looks:
                look.commit(taken)

        if not together:
            return Considered(PositionAction.hold(), commit)
        first = looks[0].action
        reason = " AND ".join(look.action.reason for look in looks)
        return Considered(PositionAction(first.action, first.pct, reason=reason, exit_reason=first.exit_reason), commit)
