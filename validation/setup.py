"""Makes the environments of the frameworks, and of the libraries that read results: python validation/setup.py [NAME ...], all without a name.

Each is installed from `requirements/NAME.txt`, every version pinned, into `validation/.environments/NAME`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["FRAMEWORKS", "READERS", "python_of"]

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = Path(os.environ.get("ML4T_VALIDATION_ENVIRONMENTS", HERE / ".environments"))
# Framework to the Python that it runs under.
FRAMEWORKS = {
    "vectorbt": "3.11",
    "backtrader": "3.11",
    "zipline": "3.11",
    "backtesting": "3.11",
    "nautilus": "3.12",
    "ml4t": "3.12",
}
# Libraries that results are handed to, likewise; see handover.py.
READERS = {"diagnostic": "3.12", "pyfolio": "3.12"}


def python_of(framework: str) -> Path:
    """Return the interpreter of a framework's environment. Raises FileNotFoundError when it was not made."""
    python = ENVIRONMENTS / framework / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"there is no environment for {framework}: run `python validation/setup.py {framework}`")
    return python


def make(framework: str) -> None:
    """Make the environment of a framework, or leave one alone that was made from the same requirements."""
    requirements = HERE / "requirements" / f"{framework}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = ENVIRONMENTS / framework
    made_from = folder / "made_from"
    if made_from.exists() and made_from.read_text() == wanted:
        print(f"{framework}: up to date")
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"{framework}: installing into {folder}", flush=True)
    subprocess.run([_interpreter({**FRAMEWORKS, **READERS}[framework]), "-m", "venv", str(folder)], check=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, "-r", str(requirements)], check=True)
    made_from.write_text(wanted)


def _interpreter(version: str) -> str:
    """Return an interpreter of a version: this one, or python3.x on the path, pyenv's among them."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    for candidate in (shutil.which(f"python{version}"), *_pyenv(version)):
        if candidate and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    raise FileNotFoundError(f"no python{version} found; install it, or put it on the path")


def _pyenv(version: str) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted(str(path) for path in root.glob(f"versions/{version}.*/bin/python"))


def main() -> None:
    """Make what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "frameworks", nargs="*", metavar="NAME", choices=[*FRAMEWORKS, *READERS, []], help=", ".join([*FRAMEWORKS, *READERS])
    )
    for framework in parser.parse_args().frameworks or [*FRAMEWORKS, *READERS]:
        make(framework)


if __name__ == "__main__":
    main()
