"""Portfolio limits: measured once a bar at the close, before the strategy; actions and every breach are recorded."""

from __future__ import annotations

from math import inf, isnan

import numpy as np

from ._jit import array_at, array_kernel, kernel
from .codes import BarFlag, ExitReason, LimitAction, LimitKind, OrderReason, OrderStatus, Stage, StepStatus
from .dtypes import NO_PRICE, FloatArray, Record, Records
from .ledger import Bar, Ledger
from .liquidation import pending_exit, write_alert
from .orders import LEAST_QUANTITY, end, submit_exit
from .participation import rounded_up

__all__ = ["run_limits"]


@kernel
def _weight(limit: Record, assets: int, asset: int) -> float:
    """Return the weight of an asset in a factor limit, 1 in the others (all in)."""
    if limit["factor_address"] == 0:
        return 1.0
    return array_at(limit["factor_address"], assets, np.float64)[asset]  # type: ignore[no-any-return]


@kernel
def _exposure(ledger: Ledger, limit: Record) -> float:
    """Return gross, net or largest exposure as a multiple of the account value; inf without value (all in)."""
    state = ledger.state[0]
    kind, equity = limit["kind"], state["equity"]
    total = 0.0
    for place in range(state["open_count"]):
        asset = ledger.open_list[place]
        if asset < 0:
            continue
        position = ledger.positions[asset]
        value = position["quantity"] * position["current_price"] * ledger.contracts[asset]["multiplier"]
        value *= _weight(limit, state["assets"], asset)
        if kind == LimitKind.LARGEST_POSITION:
            total = max(total, abs(value))
        elif kind == LimitKind.NET_EXPOSURE or kind == LimitKind.FACTOR_NET:
            total += value
        else:
            total += abs(value)
    if equity <= 0.0:
        return inf if total != 0.0 else 0.0
    return total / equity  # type: ignore[no-any-return]


@array_kernel
def _value_at_risk(limit: Record, equities: FloatArray) -> float:
    """Return the (conditional) value at risk of the last returns as a positive fraction; 0 while there are too few.

    limit: in. equities: float64[bars so far], account values, the current one last (in). The quantile is interpolated
    linearly between order statistics.
    """
    count = limit["lookback"]
    if len(equities) <= count:
        return 0.0
    returns = np.empty(count, dtype=np.float64)
    for place in range(count):
        after = len(equities) - count + place
        before = equities[after - 1]
        returns[place] = equities[after] / before - 1.0 if before > 0.0 else 0.0
    returns.sort()
    spot = (1.0 - limit["confidence"]) * (count - 1)
    low = int(spot)
    high = min(low + 1, count - 1)
    quantile = returns[low] + (returns[high] - returns[low]) * (spot - low)
    if limit["kind"] == LimitKind.VALUE_AT_RISK:
        return -quantile  # type: ignore[no-any-return]
    total, members = 0.0, 0
    for place in range(count):
        if returns[place] <= quantile:
            total += returns[place]
            members += 1
    return -total / members if members > 0 else 0.0


@kernel
def _measure(ledger: Ledger, limit: Record, equities: FloatArray) -> float:
    """Return what a limit measures (all in; equities: account values so far)."""
    state, kind = ledger.state[0], limit["kind"]
    equity = state["equity"]
    if kind == LimitKind.POSITIONS:
        return float(state["open_positions"])
    if kind == LimitKind.DAILY_LOSS:
        loss = state["session_equity"] - equity
        return (loss / equity if equity > 0.0 else inf) if loss > 0.0 else 0.0
    if kind == LimitKind.DRAWDOWN:
        return 1.0 - equity / state["peak_equity"]  # type: ignore[no-any-return]
    if kind == LimitKind.VALUE_AT_RISK or kind == LimitKind.CONDITIONAL_VALUE_AT_RISK:
        return _value_at_risk(limit, equities)
    return _exposure(ledger, limit)


@kernel
def _reduce(ledger: Ledger, limit: Record, part: float) -> None:
    """Submit exits for a part of every position that the limit counts, rounded up to lots; a part of 1 closes.

    ledger: in-out. limit: in. part: fraction of each position; for the largest position each is cut to the threshold.
    """
    state = ledger.state[0]
    for place in range(state["open_count"]):
        asset = ledger.open_list[place]
        if asset < 0:
            continue
        position, contract = ledger.positions[asset], ledger.contracts[asset]
        counts = limit["action"] == LimitAction.LIQUIDATE or _weight(limit, state["assets"], asset) != 0.0
        size, own = abs(position["quantity"]), part
        leaving = pending_exit(ledger, position)
        if not counts or leaving >= size or (leaving > 0.0 and limit["action"] != LimitAction.LIQUIDATE):
            continue
        if isnan(limit["part"]) and part < 1.0 and limit["kind"] == LimitKind.LARGEST_POSITION:
            value = size * abs(position["current_price"]) * contract["multiplier"]
            own = 1.0 - limit["threshold"] * state["equity"] / value if value > 0.0 else 0.0
        if own <= 0.0:
            continue
        units = size if own >= 1.0 else min(size, rounded_up(size * own, contract["lot_size"]))
        if units <= LEAST_QUANTITY:
            continue
        submit_exit(ledger, asset, -units if position["quantity"] > 0.0 else units, ExitReason.RISK_LIQUIDATION, 0, NO_PRICE)


@kernel
def _act(ledger: Ledger, limit: Record, value: float, bound: float) -> None:
    """Do what a breached limit asks for (ledger: in-out; limit: in; value, bound: measured and allowed)."""
    state, action = ledger.state[0], limit["action"]
    if action >= LimitAction.BLOCK and state["blocked"] == 0:
        state["blocked"] = 1
    if action == LimitAction.REDUCE:
        part = limit["part"]
        if isnan(part):
            part = 1.0 if isnan(bound / value) or value == inf else 1.0 - bound / value
        _reduce(ledger, limit, part)
    elif action == LimitAction.LIQUIDATE:
        _reduce(ledger, limit, 1.0)
    elif action == LimitAction.HALT:
        state["blocked"] = 2
        for place in range(state["live_count"]):
            order = ledger.orders[ledger.live[place]]
            if order["status"] == OrderStatus.PENDING and order["reduce_only"] == 0:
                end(ledger, order, OrderStatus.CANCELLED, OrderReason.HALTED, ledger.params[0])


@kernel
def run_limits(ledger: Ledger, bar: Bar, limits: Records, alerts: Records, equities: FloatArray) -> int:
    """Measure every limit, act on the breached ones and go on to the strategy (stage READY: the step itself gives it the turn).

    ledger, alerts (alert_dtype rows): in-out. bar: in. limits: limit_dtype rows (in). equities: float64[bars so far], the
    current one last (in). Returns OK, GROW_ORDERS or GROW_ALERTS, the latter two before any change.
    """
    state = ledger.state[0]
    if state["order_count"] + (state["open_count"] + 1) * len(limits) > state["order_capacity"]:
        return StepStatus.GROW_ORDERS.value
    if state["alert_count"] + len(limits) > state["alert_capacity"]:
        return StepStatus.GROW_ALERTS.value
    if bar.record[0]["flags"] & BarFlag.FIRST_OF_SESSION.value:
        state["session_equity"] = state["checked_equity"]
    state["checked_equity"] = state["equity"]
    state["peak_equity"] = max(state["peak_equity"], state["equity"])
    if state["blocked"] == 1:
        state["blocked"] = 0
    for row in range(len(limits)):
        limit = limits[row]
        value, bound = _measure(ledger, limit, equities), limit["threshold"]
        inclusive = limit["kind"] == LimitKind.POSITIONS or limit["kind"] == LimitKind.DRAWDOWN
        breached = value > bound or (inclusive and value == bound)
        if value < limit["least"]:
            breached, bound = True, limit["least"]
        if breached:
            write_alert(state, alerts[state["alert_count"]], row, value, bound, limit["action"])
            _act(ledger, limit, value, bound)
    state["stage"] = Stage.READY
    return StepStatus.OK.value
