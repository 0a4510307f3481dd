"""The run's arrays: allocate, grow, and keep every address in the state record true.

Kernels see memory only through those addresses, so this is the one file that writes them, and whoever holds a store
holds every array that an address points to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.memory import address_of, view_of
from ml4t_kernels.dtypes import (
    alert_dtype,
    bar_dtype,
    contract_dtype,
    cost_dtype,
    event_dtype,
    fill_dtype,
    flow_dtype,
    limit_dtype,
    order_dtype,
    params_dtype,
    position_dtype,
    rule_dtype,
    state_dtype,
    tier_dtype,
    trade_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["Columns", "Market", "Store", "Terms", "grown_capacity"]

FIRST_CAPACITY = 4_096  # pages are taken when they are written to; larger buffers cost time to map, smaller ones to copy as they grow
_CELLS, _MOST = 48, 65_536  # a market has room for an order in so many bars and assets from the start, up to so many orders
_FEW = 64
_NEVER = 1 << 62
# Arrays whose address the state record holds, under their own names: those of the store, and those of the terms.
_OWN = (
    *("params", "contracts", "positions", "orders", "live", "turns", "fills", "trades", "flows", "alerts"),
    *("memory", "inputs", "answers", "remembered", "holds", "shadow", "bars"),
)
_TERMS = ("costs", "tiers", "rules", "events", "limits")


def grown_capacity(capacity: int) -> int:
    """Return the capacity that replaces a full one."""
    return capacity * 2


class Columns:
    """One memoryview per field of a record array, as attributes: indexing gives plain Python numbers.

    Views hold the `Columns`, not the memoryviews, so that a grown buffer reaches all of them at once.
    """

    rule_text: Callable[[int, int, int], str | None] | None = None

    def __init__(self, records: Records) -> None:
        self.bind(records)

    def bind(self, records: Records) -> None:
        """Point every attribute at a (new) record array."""
        for name in records.dtype.names or ():
            setattr(self, name, view_of(records[name]))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> memoryview[Any]: ...


@dataclass(slots=True)
class Market:
    """The bars that a run reads: times and sessions int64[rows], flags int64[rows] (codes BarFlag), prices float64[rows, assets].

    A live host keeps one row and rewrites it. Without columns for them vwap, bid and ask are the closes; a volume of NaN
    is unknown, None are volumes that are unknown throughout.
    """

    times: IntArray
    sessions: IntArray
    flags: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray | None
    vwap: FloatArray | None = None
    bid: FloatArray | None = None
    ask: FloatArray | None = None


@dataclass(slots=True)
class Terms:
    """All settings of a run as records, made by `lowering`.

    params: params_dtype[1]. contracts: contract_dtype[assets]. costs: cost_dtype rows. tiers: tier_dtype rows, steps of rules
    among them. rules: rule_dtype rows; rule_set: first row of the global rule plus 1, 0 without. events: event_dtype rows
    in order of their bars. limits: limit_dtype rows. keep: objects behind addresses in those rows. failure: gives the exception that a
    function of the user raised.
    """

    params: Records
    contracts: Records
    costs: Records
    tiers: Records = field(default_factory=lambda: np.zeros(0, dtype=tier_dtype))
    rules: Records = field(default_factory=lambda: np.zeros(0, dtype=rule_dtype))
    rule_set: int = 0
    events: Records = field(default_factory=lambda: np.zeros(0, dtype=event_dtype))
    limits: Records = field(default_factory=lambda: np.zeros(0, dtype=limit_dtype))
    keep: list[object] = field(default_factory=list)
    failure: Callable[[], BaseException] | None = None


class Store:
    """All arrays of one account over one market, and the state record through which kernels find them."""

    def __init__(self, market: Market, terms: Terms, initial_cash: float, capacity: int = FIRST_CAPACITY) -> None:
        bars, assets = market.close.shape
        capacity = max(capacity, min(bars * assets // _CELLS, _MOST))
        self.market = market
        self.terms = terms
        for records, dtype in ((terms.params, params_dtype), (terms.contracts, contract_dtype), (terms.costs, cost_dtype)):
            _exactly(records, dtype)
        self.params, self.contracts = terms.params, terms.contracts
        self.state = np.zeros(1, dtype=state_dtype)
        self.positions = np.zeros(assets, dtype=position_dtype)
        self.positions["slot"] = -1
        self.positions["multiplier"] = terms.contracts["multiplier"]
        self.open_list = np.zeros(2 * assets + 8, dtype=np.int64)
        self.orders = np.zeros(capacity, dtype=order_dtype)
        self.live = np.zeros(capacity, dtype=np.int64)
        self.turns = np.zeros(capacity, dtype=np.int64) if terms.params["entry_priority"][0] else self.live
        self.fills = np.zeros(capacity, dtype=fill_dtype)
        self.trades = np.zeros(capacity, dtype=trade_dtype)
        self.flows = np.zeros(_FEW, dtype=flow_dtype)
        self.alerts = np.zeros(_FEW, dtype=alert_dtype)
        self.bars = np.zeros(bars, dtype=bar_dtype)
        self.bars["time"], self.bars["session"], self.bars["flags"] = market.times, market.sessions, market.flags
        self.holds = np.zeros(8)
        self.shadow = np.zeros(assets if terms.params["precheck"][0] or terms.params["reserve"][0] else 0)
        self._make_rule_memory(assets)
        self._make_scratch(assets)
        self._start(initial_cash, bars, assets)
        self._write_addresses()
        self.address = address_of(self.state)
        self.columns = Columns(self.state)
        self.order_columns = Columns(self.orders)
        self.position_columns = Columns(self.positions)
        self._look_at_positions()

    def _start(self, initial_cash: float, bars: int, assets: int) -> None:
        """Write the state before the first bar."""
        state, terms = self.state[0], self.terms
        for name in ("cash", "free_cash", "equity", "peak_equity", "session_equity", "checked_equity"):
            state[name] = initial_cash
        state["time"] = self.market.times[0] if bars else 0
        state["bar"] = state["row"] = state["shadow_bar"] = state["first_order_bar"] = -1
        state["row_step"] = state["marks_for_turn"] = 1
        state["rows"], state["assets"] = bars, assets
        state["open_capacity"] = len(self.open_list)
        state["settling"] = bool(np.any(terms.contracts["settles"]))
        state["event_count"] = len(terms.events)
        state["next_event_bar"] = terms.events["bar"][0] if len(terms.events) else _NEVER
        state["rule_set"] = terms.rule_set
        state["limit_count"] = len(terms.limits)
        state["cost_count"], state["tier_count"] = len(terms.costs), len(terms.tiers)

    def _make_scratch(self, assets: int) -> None:
        """Make one row each of numbers, choices and order ids, for orders given as arrays; their addresses stay until assets join."""
        self.scratch_values = np.zeros(assets, dtype=np.float64)
        self.scratch_where = np.ones(assets, dtype=np.uint8)
        self.scratch_ids = np.zeros(assets, dtype=np.int64)
        self._no_volumes = np.full(assets, np.nan)
        rows: tuple[npt.NDArray[Any], ...] = (self.scratch_values, self.scratch_where, self.scratch_ids)
        self.scratch_addresses = tuple(address_of(row) for row in rows)

    def _look_at_positions(self) -> None:
        """Point the views of positions and contracts at the present arrays."""
        self.held = self.positions["quantity"]
        self.marked_at = self.positions["current_price"]
        self.multipliers = np.ascontiguousarray(self.contracts["multiplier"])

    def _make_rule_memory(self, assets: int) -> None:
        """Make what rules need beside their rows; kept small without rules."""
        count = len(self.terms.rules)
        self.memory = np.full((assets if count else 0, count), np.nan)
        self.inputs = np.full((assets if count else 0, count), np.nan)
        self.answers = np.zeros((count, 4))
        self.remembered = np.zeros(assets if count else 0, dtype=np.int64)

    def claim_rule_memory(self, column: int, position: int) -> None:
        """Make what rules remember of an asset, and the values given by hand, belong to a position; what another one had is gone."""
        if self.remembered[column] != position:
            self.remembered[column] = position
            self.memory[column] = self.inputs[column] = np.nan

    def set_rules(self, rules: Records, tiers: Records) -> None:
        """Replace the rule rows by a longer list that begins with them, and keep what they remember.

        rules: rule_dtype rows. tiers: tier_dtype rows that begin with those of before.
        """
        self.terms.rules, self.terms.tiers = _exactly(rules, rule_dtype), _exactly(tiers, tier_dtype)
        self._widen_rule_memory()
        self.params["has_rules"] = 1
        self.state["tier_count"] = len(tiers)
        self._write_addresses()

    def _widen_rule_memory(self) -> None:
        """Make the memory of rules for the present assets and rules, and take over what was in it."""
        memory, inputs, remembered = self.memory, self.inputs, self.remembered
        self._make_rule_memory(len(self.positions))
        assets, rules = memory.shape
        self.memory[:assets, :rules], self.inputs[:assets, :rules], self.remembered[:assets] = memory, inputs, remembered

    def extend(self, market: Market, terms: Terms) -> None:
        """Go on with a market of more rows or assets, and with the terms of all its assets; what was there keeps its row and column.

        market: holds the bars so far in the same rows. terms: params and rules are those of before, tiers begin with them.
        """
        before, (rows, assets) = len(self.positions), market.close.shape
        self.market, self.terms = market, terms
        self.params, self.contracts = _exactly(terms.params, params_dtype), _exactly(terms.contracts, contract_dtype)
        self.bars = _enlarged(self.bars, rows)
        if assets > before:
            self.positions = _enlarged(self.positions, assets)
            self.positions["slot"][before:] = -1
            self.open_list = _enlarged(self.open_list, 2 * assets + 8)
            if terms.params["precheck"][0] or terms.params["reserve"][0]:
                self.shadow = _enlarged(self.shadow, assets)
            self._widen_rule_memory()
            self._make_scratch(assets)
        self.positions["multiplier"] = terms.contracts["multiplier"]
        self.position_columns.bind(self.positions)
        self._look_at_positions()
        counts = {"rows": rows, "assets": assets, "open_capacity": len(self.open_list)}
        counts |= {"settling": bool(np.any(terms.contracts["settles"])), "cost_count": len(terms.costs), "tier_count": len(terms.tiers)}
        for name, count in counts.items():
            self.state[name] = count
        self._write_addresses()

    def _write_addresses(self) -> None:
        state, terms, market = self.state[0], self.terms, self.market
        state["order_capacity"] = len(self.orders)
        state["fill_capacity"] = len(self.fills)
        state["trade_capacity"] = len(self.trades)
        state["flow_capacity"] = len(self.flows)
        state["alert_capacity"] = len(self.alerts)
        state["rule_count"] = len(terms.rules)
        close = market.close
        arrays: dict[str, npt.NDArray[Any]] = {
            **{name: getattr(self, name) for name in _OWN},
            **{name: getattr(terms, name) for name in _TERMS},
            "open": self.open_list,
            "opens": market.open,
            "highs": market.high,
            "lows": market.low,
            "closes": close,
            "volumes": self._no_volumes if market.volume is None else market.volume,
            "vwaps": close if market.vwap is None else market.vwap,
            "bids": close if market.bid is None else market.bid,
            "asks": close if market.ask is None else market.ask,
        }
        for name, array in arrays.items():
            state[f"{name}_address"] = address_of(array)
        state["volume_step"] = market.volume is not None
        state["own_address"] = address_of(self.state)

    def grow_orders(self, needed: int = 1) -> None:
        """Make room for at least `needed` more orders, pending ones included, and for one more than there was.

        A kernel that asks for room does not say how much it needs: it asks again until it is enough.
        """
        capacity = len(self.orders)
        target = max(int(self.columns.order_count[0]) + needed, int(self.columns.live_count[0]) + needed, capacity + 1)
        while capacity < target:
            capacity = grown_capacity(capacity)
        self.orders = _enlarged(self.orders, capacity)
        ordered = self.turns is not self.live
        self.live = _enlarged(self.live, capacity)
        self.turns = _enlarged(self.turns, capacity) if ordered else self.live
        self.order_columns.bind(self.orders)
        self._write_addresses()

    def grow_fills(self) -> None:
        """Make room for more fills."""
        self.fills = _enlarged(self.fills, grown_capacity(len(self.fills)))
        self._write_addresses()

    def grow_trades(self) -> None:
        """Make room for more trades."""
        self.trades = _enlarged(self.trades, grown_capacity(len(self.trades)))
        self._write_addresses()

    def grow_flows(self) -> None:
        """Make room for more cash flows: at least one per asset."""
        self.flows = _enlarged(self.flows, grown_capacity(len(self.flows)))
        self._write_addresses()

    def grow_alerts(self) -> None:
        """Make room for more alerts."""
        self.alerts = _enlarged(self.alerts, grown_capacity(len(self.alerts)))
        self._write_addresses()

    def host_failure(self) -> BaseException:
        """Return what to raise after a function of the user has failed inside a kernel."""
        return RuntimeError("a function of the user failed") if self.terms.failure is None else self.terms.failure()

    @property
    def bar(self) -> int:
        """Number of the current bar, -1 before the first."""
        return int(self.columns.bar[0])

    def used_orders(self) -> Records:
        """Return the orders so far, a view."""
        return self.orders[: int(self.columns.order_count[0])]

    def used_fills(self) -> Records:
        """Return the fills so far, a view."""
        return self.fills[: int(self.columns.fill_count[0])]

    def used_trades(self) -> Records:
        """Return the trades so far, a view."""
        return self.trades[: int(self.columns.trade_count[0])]

    def used_flows(self) -> Records:
        """Return the cash flows so far, a view."""
        return self.flows[: int(self.columns.flow_count[0])]

    def used_alerts(self) -> Records:
        """Return the alerts so far, a view."""
        return self.alerts[: int(self.columns.alert_count[0])]

    def used_trades_and(self, more: Records) -> Records:
        """Return the trades so far followed by more rows, a view where the buffer has room; its own count stays."""
        count = int(self.columns.trade_count[0])
        if count + len(more) > len(self.trades):
            joined: Records = np.concatenate([self.trades[:count], more])
            return joined
        self.trades[count : count + len(more)] = more
        return self.trades[: count + len(more)]

    def open_assets(self) -> IntArray:
        """Return the columns of open positions in position order."""
        listed = self.open_list[: int(self.columns.open_count[0])]
        return listed[listed >= 0]


def _exactly(records: Records, dtype: np.dtype[np.void]) -> Records:
    """Refuse an array whose layout is not the declared one: compiled code would read it at wrong offsets."""
    if records.dtype != dtype:
        raise TypeError(f"record layout {records.dtype} is not the declared layout {dtype}")
    return records


def _enlarged(array: npt.NDArray[Any], capacity: int) -> npt.NDArray[Any]:
    """Return a copy with more rows. Bytes are copied, not records: numpy copies a record field by field."""
    larger = np.zeros(capacity, dtype=array.dtype)
    larger.view(np.uint8)[: array.nbytes] = array.view(np.uint8)
    return larger
