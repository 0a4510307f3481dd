"""The compile cache: keyed by all kernel sources, so that an edited callee in another file is never missed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import ml4t_kernels
from ml4t_kernels._jit import COMPILED, array_at, bind, source_digest
from ml4t_kernels.entry import advance

SOURCES = Path(ml4t_kernels.__file__).parent

PROGRAM = """
from ml4t_kernels import entry
from ml4t_kernels._jit import bind
f = bind(entry.probe, "float64(float64)")
print(f(10.0), sum(entry.probe.stats.cache_hits.values()))
"""


@pytest.mark.skipif(not COMPILED, reason="needs the compiler")
def test_an_edited_callee_in_another_file_gives_the_new_result(tmp_path: Path) -> None:
    package = tmp_path / "ml4t_kernels"
    shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns("__pycache__"))
    entry = package / "entry.py"
    entry.write_text(entry.read_text() + "\n\nfrom .pnl import probe_callee\n\n\n@entry\ndef probe(x):\n    return probe_callee(x)\n")
    callee = package / "pnl.py"
    original = callee.read_text()

    def run(factor: int) -> list[str]:
        callee.write_text(f"{original}\n\n@kernel\ndef probe_callee(x):\n    return x * {factor}\n")
        # Python's own cache of byte code would miss an edit of the same length within the same second.
        environment = {
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "ML4T_KERNELS_CACHE": str(tmp_path / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert run(2) == ["20.0", "0"]
    assert run(2) == ["20.0", "1"]  # the second process loads what the first has compiled
    assert run(3) == ["30.0", "0"]


def test_the_digest_sees_every_source(tmp_path: Path) -> None:
    shutil.copytree(SOURCES, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    before = source_digest(tmp_path / "copy")
    assert before == source_digest()
    for path in sorted((tmp_path / "copy").rglob("*.py")):
        text = path.read_text()
        path.write_text(text + "\n# changed\n")
        assert source_digest(tmp_path / "copy") != before
        path.write_text(text)
    assert source_digest(tmp_path / "copy") == before


def test_an_unwritable_cache_is_replaced_by_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ml4t_kernels._jit import cache_folder

    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("ML4T_KERNELS_CACHE", str(blocked / "cache"))
    folder = cache_folder()
    assert folder.is_dir()
    assert tmp_path not in folder.parents
    monkeypatch.setenv("ML4T_KERNELS_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" / source_digest()


@pytest.mark.skipif(not COMPILED, reason="plain runs cache nothing")
def test_threads_that_leave_the_cache_one_after_the_other_leave_it_as_it_was() -> None:
    from ml4t_kernels._jit.cache import own_cache

    settings: Any = numba.config
    before, both, first_out = settings.CACHE_DIR, threading.Barrier(2), threading.Event()
    seen: list[str] = []

    def first() -> None:
        with own_cache():
            both.wait()
        first_out.set()

    def second() -> None:
        with own_cache():
            both.wait()
            first_out.wait()
            seen.append(settings.CACHE_DIR)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Path(seen[0]).name == source_digest()
    assert before == settings.CACHE_DIR


def test_bind_gives_a_callable() -> None:
    assert callable(bind(advance, "int64(int64)"))


def test_array_at_shares_memory() -> None:
    def write(address: int) -> None:
        array_at(address, 5, np.float64)[2] = 9.0

    numbers = np.arange(5.0)
    (numba.njit(write) if COMPILED else write)(numbers.ctypes.data)
    assert numbers.tolist() == [0.0, 1.0, 9.0, 3.0, 4.0]
