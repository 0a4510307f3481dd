"""Run a case in the oracle and put the outcome into the form of `engine_outcome`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.cases import Case
from tests.oracle import Broker, Oracle, OracleResult
from tests.oracle.positions import exit_reason
from tests.translation import oracle_rule, oracle_settings

__all__ = ["oracle_outcome", "run_oracle"]

COLUMNS = ("volume", "bid", "ask", "vwap")


def _raw_bars(case: Case) -> list[dict[str, tuple[Any, ...]]]:
    """Return the bars with all columns in the oracle's order; a missing volume of a feed with volumes is 0."""
    made = []
    for bar in case.bars:
        rows = {}
        for asset, values in bar.items():
            extra = dict(zip(case.columns, values[4:], strict=True))
            if "volume" in extra and extra["volume"] is None:
                extra["volume"] = 0.0
            rows[asset] = (*values[:4], *(extra.get(name) for name in COLUMNS))
        made.append(rows)
    return made


class _Player:
    """Does in the oracle what `Scripted` does in the engine."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rules = [oracle_rule(rule) for rule in case.rules]
        self.answers: list[Any] = []

    def play(self, broker: Broker, turn: int) -> None:
        for verb, *arguments in self.case.script[turn]:
            self.answers.append(getattr(self, f"_{verb}")(broker, *arguments))

    def _submit(self, broker: Broker, asset: str, quantity: float, kind: Any, level: float | None, reduce_only: bool | None) -> Any:
        limit, stop = (level if kind == name else None for name in ("limit", "stop"))
        return broker.submit(asset, quantity, kind, limit, stop, reduce_only)

    def _order(self, broker: Broker, asset: str, quantity: float, kind: Any, given: dict[str, Any]) -> Any:
        options, count = dict(given), len(broker.orders)
        for name in ("parent", "oco"):
            if name in options:
                place = options.pop(name)
                if count:
                    options[name] = count - place % count
        return broker.submit(asset, quantity, kind, **options)

    def _bracket(self, broker: Broker, asset: str, quantity: float, kind: Any, prices: dict[str, Any]) -> Any:
        made = broker.bracket(asset, quantity, entry_type=kind, **prices)
        return None if made is None else made[0]

    def _close(self, broker: Broker, asset: str) -> Any:
        return broker.close(asset)

    def _target(self, broker: Broker, asset: str, weight: float) -> Any:
        return broker.target_percent(asset, weight)

    def _all(self, broker: Broker, asset: str, fraction: float) -> Any:
        return broker.cash_percent(asset, fraction)

    def _reduce(self, broker: Broker, asset: str, fraction: float) -> Any:
        held = broker.positions[asset].quantity if asset in broker.positions else 0
        return broker.submit(asset, -held * fraction, reduce_only=True) if held else None

    def _quantities(self, broker: Broker, values: dict[str, float]) -> None:
        for asset in self.case.assets:
            broker.submit(asset, values.get(asset, 0.0))

    def _targets(self, broker: Broker, values: dict[str, float]) -> None:
        broker.target_weights(values)

    def _rule(self, broker: Broker, scope: str, asset: str, number: int | None) -> None:
        rule = None if number is None else self.rules[number]
        if scope == "strategy":
            broker.set_rules(rule)
        elif scope == "asset":
            broker.set_rules(rule, asset)
        elif asset in broker.positions:
            broker.set_rules(rule, asset, position=True)

    def _context(self, broker: Broker, asset: str, name: str, value: float | None) -> None:
        broker.update_position_context(asset, {name: value})

    def _cancel(self, broker: Broker, place: int) -> bool:
        count = len(broker.orders)
        return broker.cancel(count - place % count) if count else False

    def _update(self, broker: Broker, place: int, *changes: Any) -> bool:
        count = len(broker.orders)
        if not count:
            return False
        order = broker.orders[count - place % count - 1]
        if len(changes) == 1:
            wanted = {name: value for name, value in changes[0].items() if name == "quantity" or getattr(order, name) is not None}
        else:
            wanted = {"quantity": changes[0]}
            if order.order_type in ("limit", "stop"):
                wanted[f"{order.order_type}_price"] = changes[1]
        return broker.update(order.order_id, **wanted)


def run_oracle(case: Case, number: Any = float) -> OracleResult:
    """Run a case in the oracle with floats or fractions."""
    player = _Player(case)
    events: dict[int, list[Any]] = {}
    for bar, kind, asset, value in case.events:
        events.setdefault(bar, []).append((kind, asset, value))
    result = Oracle(oracle_settings(case), case.assets, number).run(
        case.times,
        _raw_bars(case),
        lambda bar, broker: player.play(broker, bar + 1),
        lambda broker: player.play(broker, 0),
        sessions=case.days or None,
        signals=case.signals or None,
        events=events,
    )
    return replace(result, answers=player.answers)


def oracle_outcome(result: OracleResult) -> dict[str, list[tuple[Any, ...]]]:
    """Return an oracle result in the form of `engine_outcome`."""
    return {
        "orders": [_order(order) for order in result.orders],
        "fills": [
            (
                *(fill.order_id, fill.asset, fill.quantity, fill.price, fill.time, fill.bar),
                *(fill.commission, fill.slippage, fill.position),
            )
            for fill in result.fills
        ],
        "trades": [
            (
                *(trade.asset, trade.status, trade.exit_reason, trade.entry_time, trade.exit_time, trade.entry_price, trade.exit_price),
                *(trade.quantity, trade.pnl, trade.pnl_percent, trade.bars_held, trade.commission, trade.entry_slippage),
                *(trade.exit_slippage, trade.slippage, trade.mfe, trade.mae, trade.multiplier),
            )
            for trade in result.trades
        ],
        "bars": list(zip(result.equity, result.cash, strict=True)),
        "flows": [(flow.bar, flow.asset, flow.kind, flow.amount) for flow in result.cash_flows],
        "alerts": [(alert.bar, alert.limit, alert.measure, alert.bound, alert.action) for alert in result.alerts],
        "positions": [
            (
                *(asset, position.quantity, position.initial_quantity, position.entry_price, position.current_price, position.basis),
                *(position.entry_commission, position.entry_slippage, position.signal_price, position.high_mark, position.low_mark),
                *(position.max_favorable_excursion, position.max_adverse_excursion, position.bars_held),
            )
            for asset, position in result.positions.items()
        ],
    }


def _order(order: Any) -> tuple[Any, ...]:
    return (
        *(order.asset, order.quantity, order.order_type, order.limit_price, order.stop_price, order.reduce_only),
        *(order.status, order.filled_quantity, order.filled_price, order.reason, order.need or 0.0, order.have or 0.0),
        *(order.commission, order.taken, order.trail_amount or 0.0, order.trail_percent or 0.0, order.displayed_quantity or 0.0),
        *(exit_reason(order), order.parent or 0, order.reached or order.triggered_bar is not None, order.filled_time or 0),
    )
