"""`python -m ml4t_backtest`: the command line, for when the script `ml4t-backtest` is not on the path."""

from __future__ import annotations

import sys

from ml4t_backtest.cli import main

if __name__ == "__main__":
    sys.exit(main())
