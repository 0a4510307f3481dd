"""Every compile option and the compile cache, in one place. The only room that imports numba.

What only compiled strategies need stands in `strategies`, which a run without them does not load.

Numba's own cache looks only at the file of the function it caches, so an edited callee in another file, or an upgraded
package, can keep running old machine code. Here the cache folder is named after a digest of *all* kernel sources, the
numba version and the CPU: a change anywhere gives a new folder. That is sound because kernels call nothing outside this
package.

Environment: ``ML4T_KERNELS_CACHE`` names another cache folder; ``NUMBA_DISABLE_JIT=1`` runs every kernel as plain
Python.
"""

from __future__ import annotations

from .cache import COMPILED, cache_folder, source_digest
from .calling import address_of_entry, call_entry, call_entry_from_python, call_function, external, function_at, kernel_at
from .compiling import array_kernel, bind, entry, kernel, long_entry
from .linking import layout
from .memory import array_at, fetch, plain_array_at, plain_table_at, table_at

__all__ = [
    "COMPILED",
    "address_of_entry",
    "array_at",
    "array_kernel",
    "bind",
    "cache_folder",
    "call_entry",
    "call_entry_from_python",
    "call_function",
    "entry",
    "external",
    "fetch",
    "function_at",
    "kernel",
    "kernel_at",
    "layout",
    "long_entry",
    "plain_array_at",
    "plain_table_at",
    "source_digest",
    "table_at",
]
