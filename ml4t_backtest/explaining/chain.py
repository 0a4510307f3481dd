"""From one trade of a result to its explanation: entry order, entry fills, the time it was held, exit order, exit fill, P&L."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ml4t_backtest.analytics.tables import ORDER_WORDS
from ml4t_backtest.explaining.arithmetic import profit_lines
from ml4t_backtest.explaining.bars import bar_of, bar_values, bar_words, held_step, water_mark
from ml4t_backtest.explaining.explanation import Explanation, Step, number_text
from ml4t_backtest.explaining.finding import number_of
from ml4t_backtest.explaining.levels import rule_words
from ml4t_backtest.explaining.shares import play
from ml4t_backtest.records import trades_of

if TYPE_CHECKING:
    from ml4t_backtest.explaining.shares import Played
    from ml4t_backtest.result import BacktestResult

__all__ = ["explained"]

_PRICES = ("limit_price", "stop_price", "trail_amount", "trail_percent", "displayed_quantity")
_ENDS = {
    "signal": "an order of the strategy",
    "end_of_data": "the end of the data",
    "margin_call": "a margin call",
    "risk_liquidation": "a portfolio limit",
    "corporate_action": "a split that paid out a fraction",
}


def explained(result: Any, trade: Any) -> Explanation:
    """Return the explanation of a trade. trade: as `BacktestResult.explain` takes it."""
    run = cast("BacktestResult", result)
    number = number_of(run, trade)
    row = run._trades[number]
    (chosen,) = trades_of(run._trades[number : number + 1], run._panels)
    played = play(run, row)
    entry_order, exit_order = _order(run, int(row["entry_order"])), _order(run, int(row["exit_order"]))
    steps = [] if entry_order is None else [_decision(run, entry_order, "entry decided")]
    steps.append(_entry(run, row, played))
    steps.append(held_step(run, row))
    if exit_order is not None:
        decided = _decision(run, exit_order, "exit decided")
        steps.append(_with_level(run, row, played, (entry_order, exit_order), decided) if exit_order["rule"] else decided)
    steps.append(_exit(run, row, played))
    return Explanation(chosen, number, tuple(steps), profit_lines(row, played), tuple(_missing(run, row, played)))


def _order(result: BacktestResult, order_id: int) -> Any | None:
    places = np.flatnonzero((result._orders["order_id"] == order_id) & (order_id != 0))
    return result._orders[places[0]] if len(places) else None


def _order_words(order: Any) -> tuple[list[str], dict[str, Any]]:
    """Return an order as lines and as values; prices as they stood at its end."""
    kind = ORDER_WORDS["order_type"][int(order["order_type"])]
    side = "buy" if order["quantity"] > 0.0 else "sell"
    values: dict[str, Any] = {"order_id": f"ORD-{order['order_id']}", "order_type": kind, "side": side}
    values["quantity"] = abs(float(order["quantity"]))
    prices = {name: float(order[name]) for name in _PRICES if not math.isnan(order[name]) and order[name] != 0.0}
    terms = [f"{name.replace('_', ' ')} {number_text(value)}" for name, value in prices.items()]
    lasting = ORDER_WORDS["time_in_force"][int(order["time_in_force"])]
    if lasting != "gtc":
        terms.append(lasting)
    if order["reduce_only"]:
        terms.append("reduce-only")
    if order["parent_id"]:
        terms.append(f"waited for ORD-{order['parent_id']}")
    amount = "all that the account can pay" if math.isinf(values["quantity"]) else number_text(values["quantity"])
    head = f"{values['order_id']}: {kind.replace('_', ' ')} {side} {amount}" + (f", {', '.join(terms)}" if terms else "")
    values |= {**prices, "time_in_force": lasting, "reduce_only": bool(order["reduce_only"])}
    values["parent_id"] = f"ORD-{order['parent_id']}" if order["parent_id"] else None
    values["exit_reason"] = ORDER_WORDS["exit_reason"][int(order["exit_reason"])]
    return [head], values


def _decision(result: BacktestResult, order: Any, name: str) -> Step:
    """Return the step of an order's submission: the bar as it was then, and the order."""
    lines, values = _order_words(order)
    panels = result._panels
    if order["created_bar"] < 0:
        return Step(name, None, None, ("before the first bar", *lines), values)
    bar = bar_of(panels, int(order["created_at"]))
    when = None if bar is None else panels.timestamps[bar]
    seen = bar_values(panels, bar, int(order["asset"]))
    if order["rule"]:
        lines.insert(0, f"a position rule fired: {values['exit_reason'].replace('_', ' ')}")
        values["by_rule"] = True
        if not math.isnan(order["rule_price"]):
            values["rule_price"] = float(order["rule_price"])
            lines.append(f"the rule's price on this bar: {number_text(values['rule_price'])}")
    elif not math.isnan(order["signal_price"]):
        values["signal_price"] = float(order["signal_price"])
        lines.append(f"close at the decision {number_text(values['signal_price'])}")
    return Step(name, when, bar, (*bar_words(seen), *lines), {**values, "bar_prices": seen})


def _with_level(result: BacktestResult, row: Any, played: Played, orders: tuple[Any, Any], step: Step) -> Step:
    """Return the step of a rule's exit with where its price was, seen from the entry price and from the water mark."""
    values, lines = dict(step.values), list(step.lines)
    entry, price = float(row["entry_price"]), values.get("rule_price")
    mark = None
    if len(played.entries) == 1 and played.whole and step.bar is not None:
        mark = water_mark(result, row, played.entries[0], step.bar)
    if mark is not None:
        values["water_mark"] = mark
        lines.append(
            f"{'highest' if row['quantity'] > 0.0 else 'lowest'} price of the rules before this bar (water mark): {number_text(mark)}"
        )
    rule = rule_words(result, row, orders, mark)
    if rule is not None:
        lines.append(rule[0])
        values |= rule[1]
    if price is not None:
        seen = values["bar_prices"]
        places = [f"{price / one - 1.0:+.4%} from the {name}" for name, one in (("entry", entry), ("water mark", mark)) if one]
        lines.append(", ".join(places) + (", the open of the bar" if seen.get("open") == price else ""))
    return Step(step.name, step.timestamp, step.bar, tuple(lines), values)


def _fill_words(result: BacktestResult, fill: Any) -> tuple[list[str], dict[str, Any]]:
    """Return a fill as lines and values: price before and after slippage, commission."""
    price, slippage, quantity = float(fill["price"]), float(fill["slippage"]), float(fill["quantity"])
    before = price - slippage if quantity > 0.0 else price + slippage
    sign = "+" if quantity > 0.0 else "-"
    price_text = number_text(price) + (f" = {number_text(before)} {sign} {number_text(slippage)} slippage and impact" if slippage else "")
    verb = "bought" if quantity > 0.0 else "sold"
    lines = [f"{verb} {number_text(abs(quantity))} at {price_text}, commission {number_text(float(fill['commission']))}"]
    bar = bar_of(result._panels, int(fill["timestamp"]))
    values = {"order_id": f"ORD-{fill['order_id']}", "quantity": quantity, "price": price, "price_before_slippage": before}
    values |= {"slippage": slippage, "commission": float(fill["commission"])}
    values["timestamp"] = None if bar is None else result._panels.timestamps[bar]
    return lines, values


def _entry(result: BacktestResult, row: Any, played: Played) -> Step:
    """Return the step of the fills that built the position."""
    panels = result._panels
    bar = bar_of(panels, int(row["entry_time"]))
    seen = bar_values(panels, bar, int(row["asset"]))
    lines = bar_words({name: value for name, value in seen.items() if name != "signals"})
    fills = []
    for fill in played.entries:
        words, values = _fill_words(result, fill)
        if fill["timestamp"] != row["entry_time"]:
            words = [f"{values['timestamp']}: {words[0]}"]
        lines += words
        fills.append(values)
    entry = float(row["entry_price"])
    if len(fills) != 1:
        lines.append(f"average entry price {number_text(entry)}")
    values = {"price": entry, "fills": fills, "bar_prices": seen, "commission": played.entry_commission}
    return Step("entered", None if bar is None else panels.timestamps[bar], bar, tuple(lines), values)


def _exit(result: BacktestResult, row: Any, played: Played) -> Step:
    """Return the step of what ended the trade."""
    panels = result._panels
    bar = bar_of(panels, int(row["exit_time"]))
    seen = bar_values(panels, bar, int(row["asset"]))
    when = None if bar is None else panels.timestamps[bar]
    trade_price = float(row["exit_price"])
    reason = ORDER_WORDS["exit_reason"][int(row["exit_reason"])]
    values: dict[str, Any] = {"price": trade_price, "exit_reason": reason, "bar_prices": seen}
    words = bar_words({name: value for name, value in seen.items() if name != "signals"})
    if not row["exit_order"] and reason == "end_of_data":
        return Step("still open", when, bar, (*words, f"marked at {number_text(trade_price)}"), values)
    lines = [*words, f"ended by {_ENDS.get(reason, 'a ' + reason.replace('_', ' '))}"]
    if played.exit is not None:
        made, fill = _fill_words(result, played.exit)
        lines += made
        values |= {"fill": fill, "commission": played.exit_commission}
    else:
        lines.append(f"at {number_text(trade_price)}")
    return Step("left", when, bar, tuple(lines), values)


def _missing(result: BacktestResult, row: Any, played: Played) -> list[str]:
    """Return what the result does not hold, in sentences."""
    texts = []
    if not result._panels.prices:
        texts.append("prices and signals of the bars: a result that was loaded from a folder does not have them")
    if not len(result._orders):
        texts.append("orders: the result was saved without them")
    if not len(result._fills):
        texts.append("fills: the result was saved without them; slippage and commissions are those of the trade")
    elif not played.whole:
        texts.append("the fills of a position whose quantity a split changed do not add up to it")
    order = _order(result, int(row["exit_order"]))
    if order is not None and order["rule"] and getattr(result, "_rules", None) is None:
        texts.append("the settings of the position rule: they are not saved, only the price at which it made the exit")
    return texts
