"""Hands results to the libraries that read them, and compares: python validation/handover.py [diagnostic] [pyfolio], both without a name.

`python validation/setup.py diagnostic pyfolio` makes their environments: the real packages, pinned, with what our engine needs. The exit code
is 0 when every figure agrees to 1e-9 relative, 1 when one does not, 2 when an environment is missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

from validation.setup import READERS, python_of  # noqa: E402

__all__ = ["hand_over", "main"]


def hand_over(reader: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a reader in its environment. Raises FileNotFoundError when that was not made."""
    python = python_of(reader)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]), "MPLBACKEND": "agg"}
    script = ROOT / "validation" / "readers" / f"{reader}_handover.py"
    return subprocess.run([str(python), str(script)], env=environment, capture_output=True, text=True, check=False)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", choices=[*READERS, []], help=", ".join(READERS))
    code = 0
    for reader in parser.parse_args(arguments).readers or READERS:
        try:
            ran = hand_over(reader)
        except FileNotFoundError as missing:
            print(missing, file=sys.stderr)
            return 2
        print(ran.stdout, end="")
        if ran.returncode:
            print(ran.stderr, file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
