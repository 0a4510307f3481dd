"""Records and groups for kernel tests: zeros with some fields set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ml4t_kernels import dtypes
from ml4t_kernels.ledger import Bar, Item, Ledger, Quote

__all__ = ["NAN", "bar", "contract", "cost", "item", "ledger", "order", "params", "position", "quote", "record"]

NAN = math.nan


def record(layout: Any, **values: Any) -> Any:
    """Return one row of a layout."""
    row = np.zeros(1, dtype=dtypes.bare(layout))[0]
    for name, value in values.items():
        row[name] = value
    return row


def params(**values: Any) -> Any:
    """Return the settings of an account without limits."""
    none = {"max_order_size": math.inf, "max_position_size": math.inf, "max_positions": 1e18}
    return record(dtypes.params_dtype, **{**none, **values})


def order(**values: Any) -> Any:
    """Return an order without prices."""
    return record(dtypes.order_dtype, **{"limit_price": NAN, "stop_price": NAN, "signal_price": NAN, "rule_price": NAN, **values})


def cost(**values: Any) -> Any:
    """Return a row of cost models."""
    return record(dtypes.cost_dtype, **values)


def contract(**values: Any) -> Any:
    """Return a contract with margins by rate."""
    return record(dtypes.contract_dtype, **{"multiplier": 1.0, "initial_margin": NAN, "maintenance_margin": NAN, **values})


def position(**values: Any) -> Any:
    """Return a position."""
    return record(dtypes.position_dtype, **values)


def item(**rows: Any) -> Item:
    """Return the rows of one order's turn."""
    return Item(*(rows.get(name, made()) for name, made in zip(Item._fields, (order, position, contract, cost), strict=True)))


def quote(market: float, gap: float, high: float, low: float, close: float | None = None) -> Quote:
    """Return what an order sees of a bar; the open is the gap price, the close the market price unless given."""
    return Quote(*map(float, (market, gap, gap, high, low, market if close is None else close, 1000.0)))


def bar(**prices: float) -> Bar:
    """Return the bar of one asset."""
    close = prices.get("close", 10.0)
    rows = {name: np.array([float(prices.get(name, close))]) for name in Bar._fields[1:]}
    return Bar(record=np.zeros(1, dtype=dtypes.bare(dtypes.bar_dtype)), **rows)


def ledger(state: dict[str, Any], settings: Any) -> Ledger:
    """Return a ledger of one asset without orders."""
    layouts = {"contracts": "contract", "costs": "cost", "tiers": "tier", "positions": "position", "orders": "order"}
    layouts.update(fills="fill", trades="trade")
    arrays: dict[str, Any] = {name: np.zeros(1, dtype=dtypes.bare(getattr(dtypes, f"{layout}_dtype"))) for name, layout in layouts.items()}
    arrays.update({name: np.zeros(1, dtype=np.int64) for name in ("open_list", "live", "turns")})
    arrays["state"] = np.array([record(dtypes.state_dtype, **state)])
    arrays["params"] = np.array([settings])
    arrays["holds"] = np.zeros(8)
    return Ledger(**arrays)
