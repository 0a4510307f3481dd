"""Every kernel in its forms: as plain Python, and compiled behind a wrapper that Python can call."""

from __future__ import annotations

from typing import Any

import numba

from ml4t_kernels._jit import COMPILED

__all__ = ["both", "compiled", "plain"]


def plain(kernel: Any) -> Any:
    """Return the Python function behind a kernel."""
    return getattr(kernel, "py_func", kernel)


def compiled(kernel: Any) -> Any:
    """Return a compiled function that calls a kernel; inner kernels have no entry for Python of their own."""
    if not COMPILED:
        return kernel
    count = plain(kernel).__code__.co_argcount
    names = ", ".join(f"x{number}" for number in range(count))
    made: dict[str, Any] = {"kernel": kernel}
    exec(f"def call({names}): return kernel({names})", made)
    return numba.njit(error_model="numpy")(made["call"])


def both(kernel: Any) -> list[Any]:
    """Return the plain and the compiled form."""
    return [plain(kernel), compiled(kernel)]
