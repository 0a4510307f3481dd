"""The script of a case as a compiled strategy: actions as rows of a table, played by one compiled function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from ml4t_backtest.compiled import CompiledStrategy
from ml4t_kernels import codes
from tests.cases import Case
from tests.translation import engine_rule

__all__ = ["compiled_script", "play"]

VERBS = ("submit", "order", "bracket", "close", "target", "all", "reduce", "quantities", "targets", "rule", "context", "update", "cancel")
TERMS = ("limit_price", "stop_price", "trail_amount", "trail_percent", "displayed_quantity")
BRACKET = ("entry_limit", "entry_stop", "take_profit", "stop_loss")
CHANGES = ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent")
INPUTS = ("atr", "exit")
WIDTH = 16


def compiled_script(case: Case, **keywords: Any) -> CompiledStrategy:
    """Return the strategy that plays the script of a case; keywords: of `CompiledStrategy`."""
    rows: list[list[float]] = []
    arrays: list[list[float]] = []
    starts = []
    for actions in case.script:
        starts.append(len(rows))
        rows += [_encoded(case, action, arrays) for action in actions]
    table = np.array(rows or [[0.0] * WIDTH])
    params = {
        "table": table,
        "starts": np.array([*starts, len(rows)]),
        "rows": np.array(arrays or [[0.0] * len(case.assets)]),
        "empty": np.zeros(len(case.assets)),
    }
    made = {rule: engine_rule(rule) for rule in case.rules}
    return CompiledStrategy(play, params, init=play, rules=[made[rule] for rule in case.rules], inputs=INPUTS, **keywords)


def _encoded(case: Case, action: tuple[Any, ...], arrays: list[list[float]]) -> list[float]:
    verb, *rest = action
    row = [float(VERBS.index(verb)), *[math.nan] * (WIDTH - 1)]
    if verb in ("quantities", "targets"):
        row[1] = len(arrays)
        (values,) = rest
        arrays.append([values.get(asset, math.nan) for asset in case.assets])
    elif verb in ("update", "cancel"):
        place, *changes = rest
        row[1] = place
        given: dict[str, float] = {}
        if len(changes) == 1:
            (given,) = changes
        elif changes:
            given = {"quantity": changes[0], "limit_price": changes[1], "stop_price": changes[1]}
        row[2:7] = [given.get(name, math.nan) for name in CHANGES]
    elif verb == "rule":
        scope, asset, number = rest
        row[1:4] = [case.assets.index(asset), -1 if number is None else number, ("strategy", "asset", "position").index(scope)]
    else:
        row[1] = case.assets.index(rest[0])
        row[2:] = _numbers(verb, rest[1:])
    return row


def _numbers(verb: str, rest: list[Any]) -> list[float]:
    """Return what stands behind verb and asset."""
    numbers = [math.nan] * (WIDTH - 2)
    if verb == "context":
        numbers[:2] = [INPUTS.index(rest[0]), math.nan if rest[1] is None else rest[1]]
    elif verb in ("target", "all", "reduce"):
        numbers[0] = rest[0]
    elif verb == "bracket":
        quantity, kind, prices = rest
        numbers[:6] = [quantity, codes.OrderType[kind.upper()], *(prices.get(name, math.nan) for name in BRACKET)]
    elif verb == "submit":
        quantity, kind, level, reduce_only = rest
        limits = {"limit": (level, math.nan), "stop": (math.nan, level), "market": (math.nan, math.nan)}
        numbers[:4] = [quantity, codes.OrderType[kind.upper()], *limits[kind]]
        numbers[7:12] = [0, 0, math.nan, math.nan, -1 if reduce_only is None else int(reduce_only)]
    elif verb == "order":
        quantity, kind, given = rest
        numbers[:7] = [quantity, codes.OrderType[kind.upper()], *(given.get(name, math.nan) for name in TERMS)]
        reduce_only = given.get("reduce_only")
        numbers[7] = codes.TimeInForce[given.get("time_in_force", "gtc").upper()]
        numbers[8:12] = [
            given.get("good_till", 0),
            given.get("parent", math.nan),
            given.get("oco", math.nan),
            -1 if reduce_only is None else int(reduce_only),
        ]
    return numbers


@njit
def chosen(ctx, place):
    """Return the id of the order that a script means, 0 without orders."""
    count = ctx.order_count
    return count - place % count if count > 0 and place >= 0 else 0


@njit
def link(ctx, place):
    return 0 if math.isnan(place) else chosen(ctx, int(place))


@njit
def order(ctx, row):
    asset = int(row[1])
    ctx.submit_order(
        asset,
        row[2],
        order_type=int(row[3]),
        limit_price=row[4],
        stop_price=row[5],
        trail_amount=row[6],
        trail_percent=row[7],
        displayed_quantity=row[8],
        time_in_force=int(row[9]),
        good_till=int(row[10]),
        parent=link(ctx, row[11]),
        oco=link(ctx, row[12]),
        reduce_only=int(row[13]),
    )


@njit
def change(ctx, row):
    order_id = chosen(ctx, int(row[1]))
    if order_id == 0:
        return
    limit = row[3] if not math.isnan(ctx.limit_price(order_id)) else math.nan
    stop = row[4] if not math.isnan(ctx.stop_price(order_id)) else math.nan
    amount = row[5] if ctx.trail_amount(order_id) != 0.0 else math.nan
    percent = row[6] if ctx.trail_percent(order_id) != 0.0 else math.nan
    try:  # noqa: SIM105
        ctx.update_order(order_id, quantity=row[2], limit_price=limit, stop_price=stop, trail_amount=amount, trail_percent=percent)
    except Exception:  # noqa: BLE001 - compiled code has no other way; a quantity that is filled already
        pass


@njit
def set_rule(ctx, row):
    asset, number, scope = int(row[1]), int(row[2]), int(row[3])
    if scope == 0:
        ctx.set_position_rule(number)
    elif scope == 1:
        ctx.set_position_rule(number, asset)
    elif ctx.position(asset) != 0.0:
        ctx.set_position_rule(number, asset, position=True)


@njit
def set_input(ctx, row):
    asset = int(row[1])
    if row[2] == 0.0:
        ctx.set_rule_input("atr", asset, row[3])
    else:
        ctx.set_rule_input("exit", asset, row[3])


@njit
def whole_row(ctx, values, weights, row):
    given = values[int(row)]
    full = True
    for asset in range(len(given)):
        full = full and not math.isnan(given[asset])
    if not weights:
        ctx.submit_orders(np.where(np.isnan(given), 0.0, given))
    elif full:
        ctx.order_target_weights(given)
    else:
        for asset in range(len(given)):
            if not math.isnan(given[asset]):
                ctx.order_target_percent(asset, given[asset])


@njit
def act(ctx, row, values):
    verb = int(row[0])
    asset = int(row[1])
    if verb < 2:
        order(ctx, row)
    elif verb == 2:
        ctx.submit_bracket(asset, row[2], row[6], row[7], int(row[3]), row[4], row[5], False)
    elif verb == 3:
        ctx.close_position(asset)
    elif verb == 4:
        ctx.order_target_percent(asset, row[2])
    elif verb == 5:
        ctx.order_cash_percent(asset, row[2])
    elif verb == 6:
        ctx.reduce_position(asset, row[2])
    elif verb < 9:
        whole_row(ctx, values, verb == 8, row[1])
    elif verb == 9:
        set_rule(ctx, row)
    elif verb == 10:
        set_input(ctx, row)
    elif verb == 11:
        change(ctx, row)
    else:
        order_id = chosen(ctx, asset)
        if order_id > 0:
            ctx.cancel_order(order_id)


@njit
def play(ctx, params):
    """Do what the script says for this turn."""
    turn = ctx.bar + 1
    for number in range(params.starts[turn], params.starts[turn + 1]):
        act(ctx, params.table[number], params.rows)
