"""Results that others published, reproduced here from their own data and rules by ordinary strategies of this engine.

Nothing of theirs is kept here but the published numbers (and VectorBT's five-bar prices): prices are read at run time from the installed package
that brings them (`runners/sample_data.py`), and the rules are written down again. A number agrees when ours, rounded as theirs, is
theirs; where theirs is published unrounded they may differ by a hundred-millionth part, which is what its own test allows.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from ml4t_backtest import BacktestConfig, BacktestResult, ContractSpec, DataFeed, Engine, PercentageCommission, Strategy
from ml4t_backtest.models import CombinedCommission
from validation.setup import python_of
from validation.suite.outside_strategies import AverageCross, Dated, Sized, TrailingAverage
from validation.suite.outside_strategies import statistics as of

__all__ = ["Outside", "outside_numbers"]

_EXACT = 1e-8
_EVERYTHING = None  # digits of a number that is published unrounded
_PACKAGE = "backtesting.py 0.6.6"


@dataclass(frozen=True)
class Outside:
    """One published number. digits: to which it is published, None for all that a double has."""

    name: str
    source: str
    what: str
    theirs: float
    ours: float
    digits: int | None

    @property
    def agrees(self) -> bool:
        """Whether ours is theirs, as far as it is published."""
        if self.digits is None:
            return math.isclose(self.ours, self.theirs, rel_tol=_EXACT, abs_tol=1e-12)
        return abs(self.ours - self.theirs) <= 0.5 * 10.0**-self.digits * (1.0 + 1e-9)


@dataclass(frozen=True)
class _Published:
    """A listing. run: makes the same numbers here, from the prices by name. numbers: what to number and digits."""

    name: str
    source: str
    run: Callable[[dict[str, pl.DataFrame]], dict[str, float]]
    numbers: dict[str, tuple[float, int | None]]


def _run(prices: pl.DataFrame, strategy: Strategy, *, specs: Any = None, **changes: Any) -> BacktestResult:
    """Run a strategy by the rules of backtesting.py; orders that cost too much are cut to what the account can pay."""
    settings = {"initial_cash": 10_000.0, "partial_fills_allowed": True, **changes}
    model = settings.pop("commission_model", None)
    config = BacktestConfig.from_preset("backtesting").replace(**settings)
    extra = {} if model is None else {"commission_model": model}
    return Engine(DataFeed(prices_df=prices), strategy, config, contract_specs=specs, **extra).run()


def _spread(rate: float) -> dict[str, Any]:
    return {"slippage_type": "percentage", "slippage_rate": rate}


def _readme(prices: dict[str, pl.DataFrame]) -> dict[str, float]:
    return of(_run(prices["GOOG"], AverageCross(10, 20), **_spread(0.002)))


def _readme_now(prices: dict[str, pl.DataFrame]) -> dict[str, float]:
    return of(_run(prices["GOOG"], AverageCross(10, 20), commission_model=PercentageCommission(0.002)))


def _own_test(prices: dict[str, pl.DataFrame]) -> dict[str, float]:
    goog = prices["GOOG"]
    return of(_run(goog, AverageCross(10, 30, closes_on=goog["timestamp"][-2])))


def _short_runs(prices: dict[str, pl.DataFrame]) -> dict[str, float]:
    goog = prices["GOOG"].head(20)
    found = {}
    for name, settings in (("spread and commission", _spread(0.01)), ("commission", {})):
        result = _run(goog, Sized({1: 1e7, 2: None}), commission_model=PercentageCommission(0.01), **settings)
        for bar in (2, 3):
            found[f"{name}, account value on bar {bar}"] = result.equity_curve[bar][1]
    return found


def _stop_limits(prices: dict[str, pl.DataFrame]) -> dict[str, float]:
    """Return what is there before the second trade is ruined, which ends the run of backtesting.py."""
    result = _run(prices["GOOG"], Dated(), initial_margin=0.1, long_maintenance_margin=0.1, short_maintenance_margin=0.1)
    first, second = result.trades[0], result.trades[1]
    return {
        "P&L of the first trade": first.pnl,
        "entry of the first trade": _day(first.entry_time),
        "exit of the first trade": _day(first.exit_time),
        "entry of the second trade": _day(second.entry_time),
        "highest account value": max(value for _, value in result.equity_curve),
    }


def _day(when: Any) -> float:
    return float(f"{when:%Y%m%d}")


def _trailing(prices: dict[str, pl.DataFrame]) -> dict[str, float]:
    return {"trades": of(_run(prices["GOOG"], TrailingAverage(prices["GOOG"], average=10, ranges=40, multiple=3.0)))["trades"]}


def _fractions(prices: dict[str, pl.DataFrame]) -> dict[str, float]:
    bitcoin = prices["BTCUSD"].filter(pl.col("timestamp") >= datetime(2015, 1, 1))
    strategy = AverageCross(2, 3, closes_on=bitcoin["timestamp"][-2])
    specs = {"BTCUSD": ContractSpec("BTCUSD", lot_size=1e-6)}
    result = _run(bitcoin, strategy, specs=specs, initial_cash=100.0, share_type="fractional")
    return {"trades": of(result)["trades"], "entry price of the first trade": result.trades[0].entry_price}


def _shared_cash(_: dict[str, pl.DataFrame]) -> dict[str, float]:
    """VectorBT's group of a long-only column a and a short-only column b; the group's orders run from b to a, sizes 1, 0.1, -1, -0.1, 1."""
    sizes = [1.0, 0.1, -1.0, -0.1, 1.0]
    a, b, c = [None, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, None, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, None]
    found = {}
    for name, cash, columns, sides in (("first", 200.0, {"b": b, "a": a}, {"a": 1, "b": -1}), ("second", 100.0, {"c": c}, {"c": 0})):
        rows = [(datetime(2020, 1, 1 + bar), asset, closes[bar]) for bar in range(5) for asset, closes in columns.items()]
        frame = pl.DataFrame(rows, orient="row", schema=["timestamp", "asset", "close"]).filter(pl.col("close").is_not_null())
        costs = CombinedCommission(percentage=0.01, fixed=0.1)
        config = BacktestConfig.from_preset("vectorbt").replace(initial_cash=cash, **_spread(0.01))
        result = Engine(DataFeed(prices_df=frame), _OneSided(sizes, sides, tuple(columns)), config, commission_model=costs).run()
        table = result.to_equity_dataframe()
        for bar in range(len(table)):
            found[f"{name} group, cash on bar {bar}"] = table["cash"][bar]
            found[f"{name} group, value on bar {bar}"] = result.equity_curve[bar][1]
    return found


class _OneSided(Strategy):
    """Sends the same sizes to every asset that has a bar; one that may only be long or short trades away from 0 in its direction only."""

    def __init__(self, sizes: list[float], sides: dict[str, int], sequence: tuple[str, ...]) -> None:
        self.sizes = iter(sizes)
        self.sides = sides
        self.sequence = sequence

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Send the orders of a bar."""
        size = next(self.sizes)
        for asset in self.sequence:
            if asset not in data:
                continue
            side = self.sides[asset]
            signed = size * (side or 1)
            opens = side == 0 or signed * side > 0
            broker.submit_order(asset, signed, reduce_only=not opens)


_READ = f"README of {_PACKAGE} (its listing dates from releases that took a commission as part of the entry price, so it is a spread of 0.2 % here)"
_TESTS = f"{_PACKAGE}, backtesting/test/_test.py"
_LISTINGS = (
    _Published(
        "SmaCross(10, 20) on GOOG, 0.2 %",
        _READ,
        _readme,
        {
            "final account value": (68935.12, 2),
            "highest account value": (68991.22, 2),
            "return %": (589.35, 2),
            "trades": (93, 0),
            "win rate %": (53.76, 2),
            "best trade %": (57.12, 2),
            "worst trade %": (-16.63, 2),
            "average trade %": (1.96, 2),
            "largest drawdown %": (-33.08, 2),
            "profit factor": (2.13, 2),
            "system quality number": (1.78, 2),
            "exposure %": (94.27, 2),
            "yearly return, the first bar counted %": (25.42, 2),
            "yearly volatility %": (38.43, 2),
        },
    ),
    _Published(
        "SmaCross(10, 30) on GOOG",
        f"{_TESTS}, test_compute_stats",
        _own_test,
        {
            "final account value": (51422.98999999996, _EVERYTHING),
            "highest account value": (75787.44, _EVERYTHING),
            "return %": (414.2298999999996, _EVERYTHING),
            "trades": (66, 0),
            "win rate %": (46.96969696969697, _EVERYTHING),
            "best trade %": (53.59595229490424, _EVERYTHING),
            "worst trade %": (-18.39887353835481, _EVERYTHING),
            "average trade %": (2.531715975158555, _EVERYTHING),
            "expectancy %": (3.2748078066748834, _EVERYTHING),
            "largest drawdown %": (-47.98012705007589, _EVERYTHING),
            "profit factor": (2.167945974262033, _EVERYTHING),
            "system quality number": (1.0766187356697705, _EVERYTHING),
            "exposure %": (96.74115456238361, _EVERYTHING),
            "yearly return %": (21.191099249053224, _EVERYTHING),
            "yearly volatility %": (36.49716090702389, _EVERYTHING),
        },
    ),
    _Published(
        "one trade with costs on 20 bars of GOOG",
        f"{_TESTS}, test_spread_commission",
        _short_runs,
        {
            "spread and commission, account value on bar 2": (9685.31, 2),
            "spread and commission, account value on bar 3": (9749.33, 2),
            "commission, account value on bar 2": (9781.28, 2),
            "commission, account value on bar 3": (9846.04, 2),
        },
    ),
    _Published(
        "stop-limit orders on GOOG, tenfold leverage",
        f"{_TESTS}, test_wellknown",
        _stop_limits,
        {
            "P&L of the first trade": (23469, 0),
            "entry of the first trade": (20061101, 0),
            "exit of the first trade": (20071031, 0),
            "entry of the second trade": (20081114, 0),
            "highest account value": (46961.0, _EVERYTHING),
        },
    ),
    _Published("TrailingStrategy on GOOG", f"{_TESTS}, test_TrailingStrategy", _trailing, {"trades": (57, 0)}),
    _Published(
        "SmaCross(2, 3) on BTCUSD in millionths",
        f"{_TESTS}, test_FractionalBacktest",
        _fractions,
        {"trades": (42, 0), "entry price of the first trade": (236.69, _EVERYTHING)},
    ),
    _Published(
        "orders of a group that shares cash, with missing prices",
        "source release of vectorbt 1.2.0, tests/test_portfolio.py, test_cash and test_value",
        _shared_cash,
        {
            f"{group} group, {what} on bar {bar}": (number, _EVERYTHING)
            for group, what, numbers in (
                ("first", "cash", (200.8801, 200.6721, 200.86613, 200.35809, 199.95809)),
                ("first", "value", (199.8801, 198.6721, 198.66613, 196.35809, 194.95809)),
                ("second", "cash", (98.8799, 98.57588, 101.41618, 101.70822)),
                ("second", "value", (99.8799, 100.77588, 101.71618, 101.70822)),
            )
            for bar, number in enumerate(numbers)
        },
    ),
)


# What the package calls its numbers.
_PRINTED = {
    "final account value": "Equity Final [$]",
    "highest account value": "Equity Peak [$]",
    "commission": "Commissions [$]",
    "return %": "Return [%]",
    "trades": "# Trades",
    "win rate %": "Win Rate [%]",
    "best trade %": "Best Trade [%]",
    "worst trade %": "Worst Trade [%]",
    "average trade %": "Avg. Trade [%]",
    "expectancy %": "Expectancy [%]",
    "largest drawdown %": "Max. Drawdown [%]",
    "profit factor": "Profit Factor",
    "system quality number": "SQN",
    "exposure %": "Exposure Time [%]",
    "yearly return %": "Return (Ann.) [%]",
    "yearly volatility %": "Volatility (Ann.) [%]",
}


def _sample_data() -> tuple[dict[str, pl.DataFrame], dict[str, float]]:
    """Return the prices that come with backtesting.py, and what the program of its README prints."""
    script = Path(__file__).parents[1] / "runners" / "sample_data.py"
    with TemporaryDirectory(prefix="validation-") as folder:
        subprocess.run([str(python_of("backtesting")), str(script), folder], check=True)
        prices = {path.stem: _with_asset(pl.read_ipc(path.read_bytes()), path.stem) for path in Path(folder).glob("*.arrow")}
        return prices, json.loads((Path(folder) / "readme.json").read_text())


def _with_asset(frame: pl.DataFrame, asset: str) -> pl.DataFrame:
    stamps = frame["time"].cast(pl.Datetime("ns")).cast(pl.Datetime("us")).alias("timestamp")
    return frame.drop("time").with_columns(stamps, pl.lit(asset).alias("asset"))


def outside_numbers() -> Iterator[Outside]:
    """Yield every published number beside ours."""
    prices, printed = _sample_data()
    numbers = {what: (printed[name], _EVERYTHING) for what, name in _PRINTED.items()}
    program = _Published("program of the README, 0.2 % twice", f"printed by the installed {_PACKAGE}", _readme_now, numbers)
    for listing in (*_LISTINGS, program):
        ours = listing.run(prices)
        for what, (number, digits) in listing.numbers.items():
            yield Outside(listing.name, listing.source, what, number, float(np.float64(ours[what])), digits)


def main() -> None:
    """Print what agrees and what does not."""
    for row in outside_numbers():
        print(f"{'agrees' if row.agrees else 'DIFFERS':8}{row.name}: {row.what}: {row.theirs} there, {row.ours:.10g} here")


if __name__ == "__main__":
    main()
