"""Run a case in the engine or in the oracle and put the outcome into one comparable form."""

from __future__ import annotations

import math
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from ml4t_backtest import (
    ArrayStrategy,
    BacktestConfig,
    ContractSpec,
    DataFeed,
    Engine,
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentageCommission,
    PercentageSlippage,
    PerShareCommission,
    Strategy,
)
from ml4t_backtest.records import open_trades
from ml4t_backtest.types import OrderStatus, TradeStatus
from tests.cases import Case
from tests.oracle import Broker as OracleBroker
from tests.oracle import Oracle, OracleResult, Settings

__all__ = ["build_engine", "engine_outcome", "feed_of", "oracle_outcome", "run_oracle"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
COSTS = {
    ("none", "c"): NoCommission,
    ("percentage", "c"): PercentageCommission,
    ("per_share", "c"): PerShareCommission,
    ("none", "s"): NoSlippage,
    ("fixed", "s"): FixedSlippage,
    ("percentage", "s"): PercentageSlippage,
}


def feed_of(case: Case) -> DataFeed:
    """Return the feed of a case; bars on which no asset has a row come in through a context row."""
    times = [EPOCH + timedelta(microseconds=time // 1000) for time in case.times]
    rows = [
        (times[number], asset, *ohlc)
        for number, bar in enumerate(case.bars)
        for asset, ohlc in sorted(bar.items(), key=lambda item: case.assets.index(item[0]))
    ]
    schema = {"timestamp": pl.Datetime("us"), "symbol": pl.String, **dict.fromkeys(("open", "high", "low", "close"), pl.Float64)}
    return DataFeed(
        pl.DataFrame(rows, schema=schema, orient="row"), context_df=pl.DataFrame({"timestamp": times, "number": range(len(times))})
    )


class Scripted(Strategy):
    """Plays the script of a case through the per-asset broker."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.bar = 0

    def on_start(self, broker: Any) -> None:
        self.play(broker)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.play(broker)

    def play(self, broker: Any) -> None:
        """Do what the script says for this turn."""
        for action in self.case.script[self.bar]:
            self.act(broker, *action)
        self.bar += 1

    def act(self, broker: Any, verb: str, *arguments: Any) -> None:
        """Do one thing."""
        orders = broker.orders
        if verb == "submit":
            asset, quantity, kind, level, reduce_only = arguments
            prices = {"limit": {"limit_price": level}, "stop": {"stop_price": level}, "market": {}}[kind]
            broker.submit_order(asset, quantity, order_type=kind, reduce_only=reduce_only, **prices)
        elif verb == "close":
            broker.close_position(arguments[0])
        elif verb == "target":
            broker.order_target_percent(*arguments)
        elif verb == "quantities":
            for asset in self.case.assets:
                broker.submit_order(asset, arguments[0].get(asset, 0.0))
        elif verb == "targets":
            for asset in self.case.assets:
                if asset in arguments[0]:
                    broker.order_target_percent(asset, arguments[0][asset])
        elif orders:
            order = orders[arguments[0] % len(orders)]
            if verb == "cancel":
                broker.cancel_order(order.order_id)
            else:
                level = {"limit": {"limit_price": arguments[2]}, "stop": {"stop_price": arguments[2]}, "market": {}}
                broker.update_order(order.order_id, quantity=arguments[1], **level[order.order_type.value])


class ScriptedArrays(ArrayStrategy):
    """Plays a script of quantities and targets through whole rows."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.bar = 0

    def on_start(self, broker: Any) -> None:
        self.play(broker)

    def on_arrays(self, timestamp: Any, rows: Any, context: Any, broker: Any) -> None:
        self.play(broker)

    def play(self, broker: Any) -> None:
        """Do what the script says for this turn."""
        for verb, values in self.case.script[self.bar]:
            row = [values.get(asset, 0.0) for asset in self.case.assets]
            where = [asset in values for asset in self.case.assets]
            if verb == "quantities":
                broker.submit_orders(row, where=where)
            else:
                broker.order_target_weights(row, where=where)
        self.bar += 1


def build_engine(case: Case, *, arrays: bool = False, **keywords: Any) -> Engine:
    """Return the engine of a case, not run yet."""
    kind, *numbers = case.commission
    slip, *amounts = case.slippage
    config = BacktestConfig(
        initial_cash=case.initial_cash,
        account_type="crypto" if case.allow_short else "cash",
        execution_mode=case.execution_mode,
        execution_price=case.execution_price,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # SAME_BAR at the open is part of the tests
        return Engine(
            feed_of(case),
            ScriptedArrays(case) if arrays else Scripted(case),
            config,
            commission_model=COSTS[kind, "c"](*numbers),
            slippage_model=COSTS[slip, "s"](*amounts),
            contract_specs={asset: ContractSpec(asset, multiplier=multiplier) for asset, multiplier in case.multipliers.items()},
            **keywords,
        )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def engine_outcome(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that a finished run left behind, NaN as None."""
    store, assets = engine._store, engine._panels.assets
    orders = [
        (
            order.asset,
            float(store.orders["quantity"][row]),
            order.order_type.value,
            order.limit_price,
            order.stop_price,
            order.reduce_only,
            order.status.value,
            float(store.orders["filled_quantity"][row]),
            order.filled_price,
            order.reason.name if order.reason else None,
            *((float(store.orders[name][row]) for name in ("need", "have")) if _short_of_cash(order) else (None, None)),
        )
        for row, order in enumerate(engine.broker.orders)
    ]
    fields = ("order_id", "asset", "quantity", "price", "timestamp", "bar", "commission", "slippage", "position")
    fills = [tuple(fill[name].item() for name in fields) for fill in store.used_fills()]
    names = ("entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "pnl_percent", "bars_held")
    names += ("commission", "entry_slippage", "exit_slippage", "slippage", "mfe", "mae", "multiplier")
    trades = [
        (assets[trade["asset"]], TRADE_STATUSES[trade["status"]], *(_plain(trade[name].item()) for name in names))
        for rows in (store.used_trades(), open_trades(store))
        for trade in rows
    ]
    return {
        "orders": orders,
        "fills": [(fill[0], assets[fill[1]], *fill[2:]) for fill in fills],
        "trades": trades,
        "bars": [(float(bar["equity"]), float(bar["cash"])) for bar in store.bars],
        "positions": [(asset, store.positions["quantity"][assets.index(asset)].item()) for asset in engine.broker.positions],
    }


TRADE_STATUSES = [status.value for status in (TradeStatus.CLOSED, TradeStatus.PARTIAL, TradeStatus.OPEN)]


def _short_of_cash(order: Any) -> bool:
    return order.status is OrderStatus.REJECTED and order.reason.name == "INSUFFICIENT_CASH"


def run_oracle(case: Case, number: Any = float) -> OracleResult:
    """Run a case in the oracle with floats or fractions."""
    settings = Settings(
        initial_cash=case.initial_cash,
        execution_mode=case.execution_mode,  # type: ignore[arg-type]
        execution_price=case.execution_price,  # type: ignore[arg-type]
        commission=case.commission,
        slippage=case.slippage,
        allow_short=case.allow_short,
        multipliers=case.multipliers,
    )
    count = 0

    def play(broker: OracleBroker, turn: int) -> None:
        nonlocal count
        for verb, *arguments in case.script[turn]:
            made: list[Any] = []
            if verb == "submit":
                asset, quantity, kind, level, reduce_only = arguments
                limit, stop = (level if kind == name else None for name in ("limit", "stop"))
                made = [broker.submit(asset, quantity, kind, limit, stop, reduce_only)]
            elif verb == "close":
                made = [broker.close(arguments[0])]
            elif verb == "target":
                made = [broker.target_percent(*arguments)]
            elif verb == "quantities":
                made = [broker.submit(asset, arguments[0].get(asset, 0.0)) for asset in case.assets]
            elif verb == "targets":
                made = [broker.target_percent(asset, arguments[0][asset]) for asset in case.assets if asset in arguments[0]]
            elif count:
                order_id = arguments[0] % count + 1
                if verb == "cancel":
                    broker.cancel(order_id)
                else:
                    kinds = {order.order_id: order.order_type for order in broker.pending}
                    kind = kinds.get(order_id, "market")
                    level = {f"{kind}_price": arguments[2]} if kind != "market" else {}
                    broker.update(order_id, quantity=arguments[1], **level)
            count += sum(order_id is not None for order_id in made)

    return Oracle(settings, case.assets, number).run(
        case.times, case.bars, lambda bar, broker: play(broker, bar + 1), lambda broker: play(broker, 0)
    )


def oracle_outcome(result: OracleResult) -> dict[str, list[tuple[Any, ...]]]:
    """Return an oracle result in the form of `engine_outcome`."""
    return {
        "orders": [
            (
                *(order.asset, order.quantity, order.order_type, order.limit_price, order.stop_price, order.reduce_only),
                *(order.status, order.filled_quantity, order.filled_price, order.reason, order.need, order.have),
            )
            for order in result.orders
        ],
        "fills": [
            (
                *(fill.order_id, fill.asset, fill.quantity, fill.price, fill.time, fill.bar),
                *(fill.commission, fill.slippage, fill.position),
            )
            for fill in result.fills
        ],
        "trades": [
            (
                *(trade.asset, trade.status, trade.entry_time, trade.exit_time, trade.entry_price, trade.exit_price),
                *(trade.quantity, trade.pnl, trade.pnl_percent, trade.bars_held, trade.commission, trade.entry_slippage),
                *(trade.exit_slippage, trade.slippage, trade.mfe, trade.mae, trade.multiplier),
            )
            for trade in result.trades
        ],
        "bars": list(zip(result.equity, result.cash, strict=True)),
        "positions": [(asset, position.quantity) for asset, position in result.positions.items()],
    }
