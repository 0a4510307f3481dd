"""Strategies that play the script of a case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ml4t_backtest import ArrayStrategy, Strategy
from tests.cases import Case
from tests.translation import engine_rule

__all__ = ["Scripted", "ScriptedArrays", "at"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def at(time: int) -> datetime:
    """Return a time in ns as a naive datetime."""
    return EPOCH + timedelta(microseconds=time // 1000)


class Scripted(Strategy):
    """Plays the script of a case through the per-asset broker."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.bar = 0
        made = {rule: engine_rule(rule) for rule in case.rules}  # an object remembers for itself, so equal rules are one
        self.rules = [made[rule] for rule in case.rules]
        self.answers: list[Any] = []

    def on_start(self, broker: Any) -> None:
        self.play(broker)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.play(broker)

    def play(self, broker: Any) -> None:
        """Do what the script says for this turn."""
        for action in self.case.script[self.bar]:
            self.answers.append(self.act(broker, *action))
        self.bar += 1

    def act(self, broker: Any, verb: str, *arguments: Any) -> Any:
        """Do one thing; returns the number of the order made, or whether something was changed."""
        if verb in ("update", "cancel"):
            return self._change(broker, verb, *arguments)
        made: Any = getattr(self, f"_{verb}")(broker, *arguments)
        return None if made is None else int(made.order_id[4:])

    def _submit(self, broker: Any, asset: str, quantity: float, kind: str, level: float | None, reduce_only: bool | None) -> Any:
        prices = {"limit": {"limit_price": level}, "stop": {"stop_price": level}, "market": {}}[kind]
        return broker.submit_order(asset, quantity, order_type=kind, reduce_only=reduce_only, **prices)

    def _order(self, broker: Any, asset: str, quantity: float, kind: str, given: dict[str, Any]) -> Any:
        options = dict(given)
        if "good_till" in options:
            options["good_till"] = at(options["good_till"])
        orders = broker.orders
        for name in ("parent", "oco"):
            if name in options:
                place = options.pop(name)
                if orders:
                    options[name] = orders[-1 - place % len(orders)]
        return broker.submit_order(asset, quantity, order_type=kind, **options)

    def _bracket(self, broker: Any, asset: str, quantity: float, kind: str, prices: dict[str, Any]) -> Any:
        made = broker.submit_bracket(asset, quantity, entry_type=kind, validate_prices=False, **prices)
        return None if made is None else made[0]

    def _close(self, broker: Any, asset: str) -> Any:
        return broker.close_position(asset)

    def _target(self, broker: Any, asset: str, weight: float) -> Any:
        return broker.order_target_percent(asset, weight)

    def _all(self, broker: Any, asset: str, fraction: float) -> Any:
        return broker.order_cash_percent(asset, fraction)

    def _reduce(self, broker: Any, asset: str, fraction: float) -> Any:
        return broker.reduce_position(asset, fraction)

    def _quantities(self, broker: Any, values: dict[str, float]) -> None:
        for asset in self.case.assets:
            broker.submit_order(asset, values.get(asset, 0.0))

    def _targets(self, broker: Any, values: dict[str, float]) -> None:
        for asset in self.case.assets:
            if asset in values:
                broker.order_target_percent(asset, values[asset])

    def _rule(self, broker: Any, scope: str, asset: str, number: int | None) -> None:
        rule = None if number is None else self.rules[number]
        if scope == "strategy":
            broker.set_position_rules(rule)
        elif scope == "asset":
            broker.set_position_rules(rule, asset)
        elif asset in broker.positions:
            broker.set_position_rules(rule, asset, position=True)

    def _context(self, broker: Any, asset: str, name: str, value: float | None) -> None:
        broker.update_position_context(asset, {name: value})

    def _change(self, broker: Any, verb: str, place: int, *changes: Any) -> bool:
        orders = broker.orders
        if not orders:
            return False
        order = orders[-1 - place % len(orders)]
        if verb == "cancel":
            return bool(broker.cancel_order(order.order_id))
        if len(changes) == 1:  # of the order's own kind only
            (given,) = changes
            wanted = {name: value for name, value in given.items() if name == "quantity" or getattr(order, name) is not None}
        else:
            kinds = {"limit": {"limit_price": changes[1]}, "stop": {"stop_price": changes[1]}, "market": {}}
            wanted = {"quantity": changes[0], **kinds[order.order_type.value]}
        try:
            return bool(broker.update_order(order.order_id, **wanted))
        except ValueError:  # a quantity that is filled already
            return False


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
