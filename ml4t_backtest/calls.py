"""The compiled entry points, bound once per process. Nothing is compiled or loaded before its first use."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ml4t_kernels.codes import StepStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml4t_backtest.store import Store

__all__ = ["PARTS", "bar_call", "call", "clearing", "step"]

_SIGNATURES = {
    "advance": "int64(int64)",
    "advance_specially": "int64(int64)",
    "proceed": "int64(int64)",
    "proceed_specially": "int64(int64)",
    "run_events": "int64(int64)",
    "run_rules": "int64(int64)",
    "run_sorting": "int64(int64)",
    "run_margin_call": "int64(int64)",
    "run_limits": "int64(int64)",
    "run_pass": "int64(int64,int64)",
    "run_pass_specially": "int64(int64,int64)",
    "submit": "int64(int64,int64,float64,int64,float64,float64,int64)",
    "screen": "void(int64,int64)",
    "set_terms": "void(int64,int64,int64,int64,float64,float64,float64)",
    "link_child": "void(int64,int64,int64)",
    "join_siblings": "void(int64,int64,int64)",
    "update": "boolean(int64,int64,float64,float64,float64,float64,float64)",
    "cancel": "boolean(int64,int64,int64)",
    "cancel_since": "void(int64,int64,int64)",
    "submit_target_weight": "int64(int64,int64,float64)",
    "submit_target_weights": "int64(int64,int64,int64,int64)",
    "submit_quantities": "int64(int64,int64,int64,int64)",
}
_OF_BARS = ("advance", "proceed", "run_pass")  # there are two of each
# Entries that do the rare parts of a bar, by the StepStatus that asks for them.
PARTS = {
    StepStatus.RUN_EVENTS.value: "run_events",
    StepStatus.RUN_RULES.value: "run_rules",
    StepStatus.RUN_SORTING.value: "run_sorting",
    StepStatus.RUN_MARGIN_CALL.value: "run_margin_call",
    StepStatus.RUN_LIMITS.value: "run_limits",
}
_ROOMS = {
    StepStatus.GROW_FILLS.value: "grow_fills",
    StepStatus.GROW_TRADES.value: "grow_trades",
    StepStatus.GROW_ORDERS.value: "grow_orders",
    StepStatus.GROW_FLOWS.value: "grow_flows",
    StepStatus.GROW_ALERTS.value: "grow_alerts",
}


@cache
def call(name: str) -> Callable[..., Any]:
    """Return the compiled code of an entry point, compiling or loading it on first use."""
    from ml4t_kernels import entry
    from ml4t_kernels._jit import bind

    return bind(getattr(entry, name), _SIGNATURES[name])


def bar_call(name: str, store: Store) -> Callable[..., Any]:
    """Return the compiled code of an entry point that works through a bar: with special settings another than without."""
    return call(f"{name}_specially" if store.params["special"][0] else name)


def clearing() -> int:
    """Return the address of the kernel that clears orders in accounts that keep free cash."""
    from ml4t_kernels import entry
    from ml4t_kernels._jit import kernel_at

    return kernel_at(entry.clear_free_cash)


def step(name: str, store: Store, status: int | None = None, *arguments: int) -> int:
    """Call an entry point until it is through, doing what it asks for in between. Returns the StepStatus.

    status: what a call made by the host itself has asked for; None to begin with the call. arguments: of the entry point
    behind the address. Raises what a function of the user raised inside; the ledger is then as before that item.
    """
    kernel = bar_call(name, store) if name in _OF_BARS else call(name)
    while True:
        if status is None:
            status = int(kernel(store.address, *arguments))
        if status in _ROOMS:
            getattr(store, _ROOMS[status])()
        elif status in PARTS:
            step(PARTS[status], store)
        elif status == StepStatus.HOST_FAILED:
            raise store.host_failure()
        else:
            return status
        status = None
