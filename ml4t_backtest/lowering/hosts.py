"""Functions of the user behind addresses that kernels call: cost models in Python, rules in Python, compiled functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ml4t_kernels.codes import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store

__all__ = ["HostCalls"]

_EXITS = (Stage.FIRST_EXITS, Stage.CLOSING_EXITS, Stage.SECOND_EXITS)
_ENTRIES = (Stage.FIRST_ENTRIES, Stage.CLOSING_ENTRIES, Stage.SECOND_ENTRIES)
_FUNCTIONS = ("commission_function", "slippage_function", "impact_function", "participation_function")


class _Failure(NamedTuple):
    """Which function failed, with what it raised, or with its answer that is no finite number."""

    owner: str
    error: BaseException | None
    answer: object = None


class HostCalls:
    """Keeps the functions of a run alive, and what went wrong in one of them until the host asks for it.

    Kernels cannot pass exceptions on: a function that raises answers NaN, the step stops before it changes anything, and
    the host raises `failure()`. `store` and `panels` are set once the run has them.
    """

    def __init__(self) -> None:
        self.store: Store | None = None
        self.panels: Panels | None = None
        self._failed: _Failure | None = None
        self._kept: list[object] = []
        self._addresses: dict[int, int] = {}
        self._compiled: dict[int, str] = {}

    def address(self, function: Callable[..., Any], owner: str) -> int:
        """Return the address of a function (int, float, float, float) -> float. owner: names it in errors."""
        key = id(function)
        if key not in self._addresses:
            from ml4t_kernels._jit import function_at

            compiled = hasattr(function, "py_func")
            address, kept = function_at(function if compiled else self._guarded(function, owner))
            self._kept += [kept, function]
            self._addresses[key] = address
            if compiled:
                self._compiled[address] = owner
        return self._addresses[key]

    def _guarded(self, function: Callable[..., Any], owner: str) -> Callable[..., float]:
        def guarded(number: int, first: float, second: float, third: float) -> float:
            try:
                answer = function(number, first, second, third)
            except BaseException as error:  # noqa: BLE001 - it must not cross the kernel; the host raises it
                self._failed = _Failure(owner, error)
                return math.nan
            value = _number(answer)
            if not math.isfinite(value):
                self._failed = _Failure(owner, None, answer)
                return math.nan
            return value

        return guarded

    @property
    def the_store(self) -> Store:
        """The store of the run. Raises RuntimeError before there is one."""
        if self.store is None:
            raise RuntimeError("a function of the user was called before the run had a store")
        return self.store

    @property
    def has_failed(self) -> bool:
        """Whether a function has failed and nobody has asked for it yet."""
        return self._failed is not None

    def failure(self, column: int | None = None) -> BaseException:
        """Return what to raise after a step has stopped for a function: what it raised, else a ValueError with its answer.

        column: of the asset that it was asked about; None finds it where a pass has stopped. Either names the function,
        the asset and the time.
        """
        column = self._column_now() if column is None else column
        where = "" if column is None or self.panels is None else f" for {self.panels.assets[column]!r}{self._time_now()}"
        failed, self._failed = self._failed, None
        if failed is None:
            failed = _Failure(self._compiled_owner(column), None, math.nan)
        if failed.error is None:
            return ValueError(f"{failed.owner} returned {failed.answer!r}{where}: expected a finite number")
        failed.error.add_note(f"raised in {failed.owner}{where}")
        return failed.error

    def _column_now(self) -> int | None:
        """Return the asset whose order or position has stopped a pass, None between passes."""
        if self.store is None:
            return None
        state = self.store.state[0]
        stage, cursor = state["stage"], state["cursor"]
        if stage == Stage.RULES:
            return int(self.store.open_list[cursor])
        if stage in _EXITS or stage in _ENTRIES:
            listed = self.store.live if stage in _EXITS else self.store.turns
            return int(self.store.orders["asset"][listed[cursor]])
        return None

    def _time_now(self) -> str:
        if self.panels is None or self.store is None or self.store.bar < 0:
            return ""
        return f" at {self.panels.timestamps[self.store.bar]}"

    def _compiled_owner(self, column: int | None) -> str:
        """Name the compiled functions that an asset's costs come from: one of them has answered NaN."""
        owners = list(dict.fromkeys(self._compiled.values()))
        if column is not None and self.store is not None:
            row = self.store.terms.costs[self.store.contracts["costs"][column]]
            owners = [self._compiled[row[name]] for name in _FUNCTIONS if row[name] in self._compiled] or owners
        return " or ".join(owners) or "a function of the user"


def _number(answer: object) -> float:
    """Return an answer as a number, NaN for what is none."""
    if isinstance(answer, (str, bytes)):
        return math.nan
    try:
        return float(answer)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
