"""What numba is told about its own insides, so that a cold start is short; with other versions it only takes longer."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.np import numpy_support

from .cache import COMPILED, source_digest

__all__ = ["compiling", "layout"]

# Versions of numba whose internals `_LinkedLibrary` and `layout` were tried with; with others a cold start only takes longer.
_KNOWN_NUMBA = ((0, 68),)


class _NoEnvironment:
    """A code generator that has no place for a function's environment, which only functions that raise would read."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)


class _LinkedLibrary(JITCodeLibrary):
    """The code of an inner kernel: only ever linked into the code of an entry, which is optimised as a whole.

    numba would optimise every kernel with all that it calls and make machine code of it, again on each floor of the house;
    leaving that to the entries takes a third off a cold start.
    """

    def _optimize_final_module(self) -> None:
        """Leave the module as it is."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()  # type: ignore[no-untyped-call]
        self._finalized = True

    @property
    def codegen(self) -> Any:
        """The code generator."""
        return _NoEnvironment(self._codegen)

    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002 - numba fixes the signature
        """Return 0: there is no machine code, and nobody calls it."""
        return 0


compiling: list[str] = []  # names of the inner kernels being compiled, the innermost last


_layouts: dict[Any, str] = {}  # our record layouts and their short names
_records: dict[Any, Any] = {}  # numba's types for them


def layout(dtype: np.dtype[np.void], name: str) -> np.dtype[np.void]:
    """Give a record layout a short name and return it.

    numba spells every field of a record in the name of every function that takes one: thousands of letters to write, hash
    and compare for each.
    """
    _layouts[dtype] = f"{name}_{source_digest()}"
    return dtype


def _name_layouts() -> None:
    """Let numba's types of our layouts go by their short names."""
    plain = numpy_support.from_struct_dtype

    def from_struct_dtype(dtype: Any) -> Any:
        name = _layouts.get(dtype)
        if name is None:
            return plain(dtype)
        if dtype not in _records:
            record = plain(dtype)
            record.name = name
            _records[dtype] = record
        return _records[dtype]

    numpy_support.from_struct_dtype = from_struct_dtype


def _link_inner_kernels() -> None:
    """Give inner kernels a `_LinkedLibrary`."""
    create = JITCPUCodegen.create_library

    def create_library(self: Any, name: str, **keywords: Any) -> Any:
        library = create(self, name, **keywords)  # type: ignore[no-untyped-call]
        if compiling and name == compiling[-1] and type(library) is JITCodeLibrary:
            library.__class__ = _LinkedLibrary
        return library

    JITCPUCodegen.create_library = create_library  # type: ignore[method-assign]


if COMPILED and numba.version_info[:2] in _KNOWN_NUMBA:
    _name_layouts()
    _link_inner_kernels()
