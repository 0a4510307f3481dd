"""Run a case in the engine and put the outcome into one comparable form; `run_oracle` and `oracle_outcome` do it in the oracle."""

from __future__ import annotations

import math
import warnings
from typing import Any

import polars as pl

from ml4t_backtest import DataFeed, Engine
from ml4t_backtest.records import open_trades
from ml4t_kernels import codes
from tests.cases import Case
from tests.oracle_runs import oracle_outcome, run_oracle
from tests.scripted import Scripted, ScriptedArrays, at
from tests.translation import engine_config, engine_contracts, engine_limits, engine_models

__all__ = ["Scripted", "ScriptedArrays", "build_engine", "engine_outcome", "feed_of", "oracle_outcome", "run_oracle", "store_outcome"]

PRICES = ("open", "high", "low", "close")
FLOWS = ("dividend", "funding", "interest", "interest", "borrow")


def feed_of(case: Case) -> DataFeed:
    """Return the feed of a case; bars on which no asset has a row come in through a context row."""
    times = [at(time) for time in case.times]
    rows = [
        (times[number], asset, *values)
        for number, bar in enumerate(case.bars)
        for asset, values in sorted(bar.items(), key=lambda item: case.assets.index(item[0]))
    ]
    schema: dict[str, Any] = {"timestamp": pl.Datetime("us"), "symbol": pl.String, **dict.fromkeys((*PRICES, *case.columns), pl.Float64)}
    return DataFeed(
        pl.DataFrame(rows, schema=schema, orient="row"),
        _signals_of(case, times),
        pl.DataFrame({"timestamp": times, "number": range(len(times))}),
        allow_nonpositive_prices=True,
    )


def _signals_of(case: Case, times: list[Any]) -> pl.DataFrame | None:
    """Return the signals of the assets that have a row."""
    rows = [
        (times[number], asset, *case.signals[number][asset].values())
        for number, bar in enumerate(case.bars)
        for asset in case.assets
        if case.signals and asset in bar
    ]
    names = list(next(iter(case.signals[0].values()))) if case.signals else []
    schema: dict[str, Any] = {"timestamp": pl.Datetime("us"), "symbol": pl.String, **dict.fromkeys(names, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else None


def _events_of(case: Case) -> pl.DataFrame | None:
    rows = [(at(case.times[bar]), asset, kind, value) for bar, kind, asset, value in case.events]
    schema: dict[str, Any] = {"timestamp": pl.Datetime("us"), "asset": pl.String, "kind": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else None


def build_engine(case: Case, *, arrays: bool = False, **keywords: Any) -> Engine:
    """Return the engine of a case, not run yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # SAME_BAR at the open is part of the tests
        return Engine(
            feed_of(case),
            ScriptedArrays(case) if arrays else Scripted(case),
            engine_config(case),
            contract_specs=engine_contracts(case),
            events=_events_of(case),
            **engine_models(case),
            **engine_limits(case),
            **keywords,
        )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def engine_outcome(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that a finished run left behind, NaN as None."""
    bars = [(float(bar["equity"]), float(bar["cash"])) for bar in engine._store.bars]
    return store_outcome(engine._store, engine._panels.assets, bars)


def store_outcome(store: Any, assets: tuple[str, ...], bars: list[tuple[float, float]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a run left behind in a store; bars: account value and cash of every bar."""
    fields = ("order_id", "asset", "quantity", "price", "timestamp", "bar", "commission", "slippage", "position")
    fills = [tuple(fill[name].item() for name in fields) for fill in store.used_fills()]
    names: tuple[str, ...] = ("entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "pnl_percent", "bars_held")
    names += ("commission", "entry_slippage", "exit_slippage", "slippage", "mfe", "mae", "multiplier")
    trades = [
        (
            assets[trade["asset"]],
            codes.TradeStatus(trade["status"]).name.lower(),
            _reason_of_exit(trade),
            *(_plain(trade[name].item()) for name in names),
        )
        for rows in (store.used_trades(), open_trades(store))
        for trade in rows
    ]
    return {
        "orders": [_order(order, assets) for order in store.used_orders()],
        "fills": [(fill[0], assets[fill[1]], *fill[2:]) for fill in fills],
        "trades": trades,
        "bars": bars,
        "flows": [
            (int(flow["bar"]), None if flow["asset"] < 0 else assets[flow["asset"]], FLOWS[flow["kind"]], float(flow["amount"]))
            for flow in store.used_flows()
        ],
        "alerts": [
            (
                *(int(alert["bar"]), int(alert["limit"]), float(alert["value"]), float(alert["threshold"])),
                codes.LimitAction(alert["action"]).name,
            )
            for alert in store.used_alerts()
        ],
        "positions": [_position(store.positions[column], assets[column], store.bar) for column in store.open_assets().tolist()],
    }


def _reason_of_exit(record: Any) -> str:
    return codes.ExitReason(record["exit_reason"]).name.lower()


def _position(position: Any, asset: str, bar: int) -> tuple[Any, ...]:
    names: tuple[str, ...] = (
        "quantity",
        "initial_quantity",
        "entry_price",
        "current_price",
        "basis",
        "entry_commission",
        "entry_slippage",
        "signal_price",
    )
    names += ("high_water_mark", "low_water_mark", "max_favorable_excursion", "max_adverse_excursion")
    return asset, *(_plain(position[name].item()) for name in names), bar - int(position["entry_bar"])


def _order(order: Any, assets: tuple[str, ...]) -> tuple[Any, ...]:
    reason = codes.OrderReason(order["reason"]).name
    return (
        *(assets[order["asset"]], float(order["quantity"]), codes.OrderType(order["order_type"]).name.lower()),
        *(_plain(float(order["limit_price"])), _plain(float(order["stop_price"])), bool(order["reduce_only"])),
        *(codes.OrderStatus(order["status"]).name.lower(), float(order["filled_quantity"]), _plain(float(order["filled_price"]))),
        *(None if reason == "NONE" else reason, float(order["need"]), float(order["have"]), float(order["commission"])),
        *(abs(float(order["released_quantity"])), float(order["trail_amount"]), float(order["trail_percent"])),
        *(float(order["displayed_quantity"]), _reason_of_exit(order), int(order["parent_id"]), bool(order["triggered"])),
        int(order["filled_at"]),
    )
