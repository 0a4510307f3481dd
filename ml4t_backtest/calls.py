"""The compiled entry points, bound once per process. Nothing is compiled or loaded before its first use."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ml4t_kernels.codes import StepStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml4t_backtest.store import Store

__all__ = ["call", "step"]

_SIGNATURES = {
    "advance": "int64(int64)",
    "open_bar": "int64(int64)",
    "close_bar": "int64(int64)",
    "submit": "int64(int64,int64,float64,int64,float64,float64,int64)",
    "update": "boolean(int64,int64,float64,float64,float64)",
    "cancel": "boolean(int64,int64,int64)",
    "cancel_since": "void(int64,int64,int64)",
    "submit_target_weight": "int64(int64,int64,float64)",
    "submit_target_weights": "int64(int64,int64,int64,int64)",
    "submit_quantities": "int64(int64,int64,int64,int64)",
}


@cache
def call(name: str) -> Callable[..., Any]:
    """Return the compiled code of an entry point, compiling or loading it on first use."""
    from ml4t_kernels import entry
    from ml4t_kernels._jit import bind

    return bind(getattr(entry, name), _SIGNATURES[name])


def step(name: str, store: Store, status: int | None = None) -> int:
    """Call `advance`, `open_bar` or `close_bar` until it is through, growing buffers as it asks. Returns the StepStatus.

    status: what a call made by the host itself has asked for; None to begin with the call.
    """
    kernel = call(name)
    while True:
        if status is None:
            status = int(kernel(store.address))
        if status == StepStatus.GROW_FILLS:
            store.grow_fills()
            status = None
        elif status == StepStatus.GROW_TRADES:
            store.grow_trades()
            status = None
        else:
            return status
