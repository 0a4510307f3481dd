"""A process with compilation disabled: reads pickled cases from stdin, writes pickled outcomes to stdout."""

from __future__ import annotations

import pickle
import sys

from ml4t_kernels._jit import COMPILED
from tests.outcomes import build_engine, engine_outcome


def main() -> None:
    """Answer cases until stdin closes."""
    assert not COMPILED, "this worker is the run without compilation"
    while True:
        try:
            case, arrays = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        engine = build_engine(case, arrays=arrays)
        engine.run()
        pickle.dump(engine_outcome(engine), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
