"""Functions of the user behind addresses that kernels call: cost models in Python, rules in Python, compiled functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml4t_backtest.store import Store

__all__ = ["HostCalls"]


class HostCalls:
    """Keeps the functions of a run alive, and the exception that one of them raised until the host asks for it.

    Kernels cannot pass exceptions on: a function that raises answers NaN, the step stops before it changes anything, and
    the host raises what is in `error`. `store` is set once the run has one.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.store: Store | None = None
        self._kept: list[object] = []
        self._addresses: dict[int, int] = {}

    def address(self, function: Callable[..., Any], owner: str) -> int:
        """Return the address of a function (int, float, float, float) -> float. owner: names it in errors."""
        key = id(function)
        if key not in self._addresses:
            from ml4t_kernels._jit import function_at

            compiled = hasattr(function, "py_func")
            address, kept = function_at(function if compiled else self._guarded(function, owner))
            self._kept += [kept, function]
            self._addresses[key] = address
        return self._addresses[key]

    def _guarded(self, function: Callable[..., Any], owner: str) -> Callable[..., float]:
        def guarded(number: int, first: float, second: float, third: float) -> float:
            try:
                answer = float(function(number, first, second, third))
                if not math.isfinite(answer):
                    raise ValueError(f"{owner} returned {answer!r}, expected a finite number")  # noqa: TRY301
            except BaseException as error:  # noqa: BLE001 - it must not cross the kernel; the host raises it
                self.error = error
                return math.nan
            return answer

        return guarded

    @property
    def the_store(self) -> Store:
        """The store of the run. Raises RuntimeError before there is one."""
        if self.store is None:
            raise RuntimeError("a function of the user was called before the run had a store")
        return self.store

    def failure(self) -> BaseException:
        """Return what to raise after a step has stopped for a function."""
        error, self.error = self.error, None
        return error or ValueError("a compiled cost model or rule returned NaN, expected a finite number")
