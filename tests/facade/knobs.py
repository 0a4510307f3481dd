"""One setting, one small run, and what each of its values makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from ml4t_backtest import BacktestConfig, BacktestResult, DataFeed, Engine
from tests.facade.feeds import Calls, days

__all__ = [
    "Action",
    "Knob",
    "bars_held",
    "bars_run",
    "bracket",
    "buy",
    "cash",
    "close",
    "commission",
    "dates",
    "deals",
    "fills",
    "final",
    "held",
    "last",
    "prices",
    "rule",
    "states",
    "weights",
]

Action = Callable[[Any], object]
Look = Callable[[BacktestResult, Engine], Any]
FREE = {"initial_cash": 1000.0, "commission_type": "none", "slippage_type": "none"}
COLUMNS = ("open", "high", "low", "close", "volume", "vwap")


@dataclass(frozen=True)
class Knob:
    """`outcomes` pairs each value of the setting with what `look` sees after the run.

    bars: of each asset, a price for a flat bar, (open, high, low, close, volume, vwap) with the last two optional, None for no
    bar; a list belongs to asset A. actions: by bar. base: the other settings. engine: other arguments.
    """

    setting: str
    bars: Mapping[str, Sequence[Any]] | Sequence[Any]
    actions: Mapping[int, Action | Sequence[Action]]
    look: Look
    outcomes: Sequence[tuple[Any, Any]]
    base: Mapping[str, Any] = field(default_factory=dict)
    times: Sequence[datetime] | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)

    def run(self, value: Any) -> Any:
        """Run with a value of the setting and return what is seen."""
        config = BacktestConfig(**{**FREE, **self.base, self.setting: value})

        def act(bar: int, _: Any, broker: Any) -> None:
            actions = self.actions.get(bar, ())
            for action in [actions] if callable(actions) else actions:
                action(broker)

        engine = Engine(self.feed(), Calls(act), config, **self.engine)
        return self.look(engine.run(), engine)

    def feed(self) -> DataFeed:
        """Return the bars as a feed."""
        bars = self.bars if isinstance(self.bars, Mapping) else {"A": self.bars}
        times = self.times or days(max(map(len, bars.values())))
        rows = []
        for asset, series in bars.items():
            for when, bar in zip(times, series, strict=False):
                if bar is not None:
                    numbers = tuple(bar) if isinstance(bar, tuple) else (bar, bar, bar, bar)
                    rows.append((when, asset, *numbers, *[1000.0, 1.0][len(numbers) - 4 :]))
        schema: Any = {"timestamp": pl.Datetime("us"), "symbol": pl.String, **dict.fromkeys(COLUMNS, pl.Float64)}
        return DataFeed(pl.DataFrame(rows, schema=schema, orient="row").sort("timestamp", maintain_order=True))


def buy(quantity: float, asset: str = "A", **terms: Any) -> Action:
    """Return the action that submits an order."""
    return lambda broker: broker.submit_order(asset, quantity, **terms)


def close(asset: str = "A") -> Action:
    """Return the action that closes a position."""
    return lambda broker: broker.close_position(asset)


def bracket(target: float, stop: float, **entry: Any) -> Action:
    """Return the action that buys 10 of A with a target and a stop."""
    return lambda broker: broker.submit_bracket("A", 10, target, stop, **entry)


def rule(made: Any) -> Action:
    """Return the action that sets a rule for all positions."""
    return lambda broker: broker.set_position_rules(made)


def weights(**targets: float) -> Action:
    """Return the action that rebalances."""
    return lambda broker: broker.rebalance_to_weights(targets)


def final(result: BacktestResult, _: Engine) -> float:
    """See the last account value."""
    return float(round(result["final_value"], 9))


def cash(_: BacktestResult, engine: Engine) -> float:
    """See the cash at the end."""
    return round(engine.broker.cash, 9)


def held(_: BacktestResult, engine: Engine) -> float:
    """See the quantity of A at the end."""
    position = engine.broker.get_position("A")
    return 0.0 if position is None else round(position.quantity, 9)


def fills(result: BacktestResult, _: Engine) -> int:
    """See the number of fills."""
    return len(result.fills)


def prices(result: BacktestResult, _: Engine) -> list[float]:
    """See the prices of the fills."""
    return [round(fill.price, 9) for fill in result.fills]


def last(result: BacktestResult, engine: Engine) -> float:
    """See the price of the last fill."""
    return prices(result, engine)[-1]


def deals(result: BacktestResult, _: Engine) -> list[tuple[str, float]]:
    """See asset and signed quantity of the fills."""
    return [(fill.asset, round(fill.signed_quantity, 9)) for fill in result.fills]


def states(_: BacktestResult, engine: Engine) -> list[str]:
    """See what became of the orders."""
    return [order.status.value for order in engine.broker.orders]


def dates(result: BacktestResult, _: Engine) -> list[str]:
    """See month, day and hour of the fills."""
    return [f"{fill.timestamp:%m-%d %H}" for fill in result.fills]


def commission(result: BacktestResult, _: Engine) -> float:
    """See the commission of all fills."""
    return round(sum(fill.commission for fill in result.fills), 9)


def bars_held(result: BacktestResult, _: Engine) -> list[int]:
    """See for how many bars each trade was held."""
    return [trade.bars_held for trade in result.trades]


def bars_run(result: BacktestResult, _: Engine) -> int:
    """See the number of bars."""
    return len(result.equity_curve)
