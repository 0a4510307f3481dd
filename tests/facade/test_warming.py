"""`ml4t-backtest warmup`: nothing is left to be compiled."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import pytest

import ml4t_kernels
from ml4t_backtest.warming import warm_all
from ml4t_kernels._jit import COMPILED


@pytest.mark.skipif(not COMPILED, reason="plain runs compile nothing")
def test_no_entry_is_left_uncompiled() -> None:
    warm_all()
    entries: dict[str, Any] = {}
    for found in pkgutil.iter_modules(ml4t_kernels.__path__):
        module = import_module(f"ml4t_kernels.{found.name}")
        for name, made in vars(module).items():
            if type(made).__name__ == "CPUDispatcher" and made.py_func.__module__ == module.__name__:
                entries[f"{found.name}.{name}"] = made
    assert len(entries) > 40
    assert [name for name, made in entries.items() if not made.signatures] == []
