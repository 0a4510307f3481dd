"""backtesting.py: how its cases run here, and random cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml4t_backtest import BacktestConfig
from ml4t_backtest.models import PercentageCommission, PerShareCommission
from validation.runners.exchange import Instruction, Job, Market
from validation.suite.framework import Family, Framework, Plan
from validation.suite.markets import walk
from validation.suite.ours import FollowsScript

__all__ = ["FRAMEWORK"]

_VERBS = {"market", "limit", "stop", "stop_limit", "bracket", "close", "cancel"}


class _Plays(FollowsScript):
    """With `exclusive_orders` an order cancels what is pending and closes what is held before it is submitted."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._exclusive = job.settings.get("native", {}).get("exclusive_orders", False)

    def play(self, broker: Any, told: Instruction) -> None:
        """Play one instruction."""
        if self._exclusive and told.verb not in ("close", "cancel"):
            for order in broker.pending_orders:
                broker.cancel_order(order.order_id)
            broker.close_position(told.asset)
        super().play(broker, told)


@dataclass(frozen=True)
class _PerFill:
    """Its fixed commission is paid at the entry and at the exit of every trade, so by both parts of an order that flips."""

    fixed: float
    rate: float

    def calculate(self, asset: str, quantity: float, price: float) -> float:
        """Return the commission of a fill."""
        return self.fixed + abs(quantity) * price * self.rate


def _commission(told: dict[str, Any] | None) -> Any:
    if not told:
        return None
    if told["kind"] == "percentage" and not told.get("amount"):
        return PercentageCommission(told["rate"])
    if told["kind"] == "per_unit":
        return PerShareCommission(told["amount"], told.get("minimum", 0.0))
    return _PerFill(told["amount"], told.get("rate", 0.0))


def _plan(job: Job) -> Plan:
    settings = job.settings
    changes: dict[str, Any] = {"initial_cash": settings["cash"]}
    commission, slippage = _commission(settings.get("commission")), settings.get("slippage")
    if settings.get("fractional"):
        changes["share_type"] = "fractional"
    if commission is not None:
        changes["commission_model"] = commission
    if slippage:
        changes |= {"slippage_type": "percentage", "slippage_rate": slippage["rate"]}
    if settings.get("native", {}).get("trade_on_close"):
        changes |= {"execution_mode": "same_bar", "execution_price": "close", "submission_bar_range": "close"}
    config = BacktestConfig.from_preset("backtesting").replace(**changes, **settings.get("config", {}))
    return Plan(config, strategy=_Plays, flat_to_flat=True, average_entry=True, by_label=True)


def _refuses(job: Job) -> str | None:  # noqa: PLR0911 - one reason each
    settings, market = job.settings, job.market
    if len(market.assets) > 1:
        return "one asset only"
    if np.isnan(market.close).any():
        return "no missing bars"
    unknown = {told.verb for told in job.script} - _VERBS
    if unknown:
        return f"no {', '.join(sorted(unknown))} orders"
    if market.events:
        return "no splits and dividends"
    if settings.get("futures"):
        return "no futures"
    if settings.get("volume_limit"):
        return "no volume limit"
    if not settings.get("fractional") and any(
        told.quantity != round(told.quantity) for told in job.script if told.verb not in ("close", "cancel")
    ):
        return "whole units, but for fractional cases"
    if "trailing_stop" in settings.get("rules", {}):
        return "no trailing stops of a fraction of the price"
    slippage = settings.get("slippage")
    if slippage and not (slippage["kind"] == "percentage" and slippage.get("entries_only")):
        return "no slippage but a spread that entries pay"
    return None


class _Script:
    """A script in the making."""

    def __init__(self, seed: int, market: Market) -> None:
        self.random = np.random.default_rng([seed, 77])
        self.market = market
        self.told: list[Instruction] = []
        self.labels: list[str] = []

    def price(self, bar: int, least: float, most: float) -> float:
        """Return a price in cents, so many parts above the close of a bar."""
        return round(float(self.market.close[bar, 0] * (1.0 + self.random.uniform(least, most))), 2)

    def add(self, bar: int, verb: str, quantity: float = np.nan, **terms: Any) -> None:
        """Add an instruction."""
        label = "" if verb == "cancel" else f"o{len(self.told)}"
        self.told.append(Instruction(int(self.market.times[bar]), self.market.assets[0], verb, quantity, label=label, **terms))
        if label:
            self.labels.append(label)

    def order(self, bar: int, verb: str, quantity: float) -> None:
        """Add a market, limit, stop or stop-limit order around the close."""
        side = 1.0 if quantity > 0 else -1.0
        if verb == "limit":
            near, far = sorted((-0.03 * side, 0.01 * side))
            self.add(bar, verb, quantity, limit_price=self.price(bar, near, far))
        elif verb == "stop":
            near, far = sorted((0.03 * side, -0.01 * side))
            self.add(bar, verb, quantity, stop_price=self.price(bar, near, far))
        elif verb == "stop_limit":
            self.add(bar, verb, quantity, stop_price=self.price(bar, -0.02, 0.02), limit_price=self.price(bar, -0.02, 0.02))
        else:
            self.add(bar, verb, quantity)

    def bracket(self, bar: int, quantity: float, *, limit: bool) -> None:
        """Add a bracket around the close, its entry at the market or at a limit."""
        side = 1.0 if quantity > 0 else -1.0
        entry = {"limit_price": self.price(bar, *sorted((-0.02 * side, 0.0)))} if limit else {}
        target = self.price(bar, *sorted((0.005 * side, 0.05 * side)))
        stop = self.price(bar, *sorted((-0.025 * side, -0.06 * side)))
        self.add(bar, "bracket", quantity, take_profit=target, stop_loss=stop, **entry)

    def cancel(self, bar: int) -> None:
        """Cancel one of the last orders, whether it is still there or not."""
        if self.labels:
            self.add(bar, "cancel", target=self.labels[-int(self.random.integers(1, min(4, len(self.labels)) + 1))])

    def flip_a_coin(self, chance: float) -> bool:
        """Return yes with a chance."""
        return bool(self.random.random() < chance)


def _market(name: str, seed: int) -> Market:
    """Return bars; those of every fourth case open far away and reach far, so that one bar satisfies several orders."""
    random = np.random.default_rng([seed, 5])
    wild = 3.0 if seed % 4 == 1 else 1.0
    return walk(
        f"{name}-{seed}",
        seed=seed,
        bars=int(random.integers(30, 90)),
        start=float(random.choice([12.0, 60.0, 100.0, 400.0])),
        volatility=float(random.uniform(0.008, 0.03)),
        gap=wild * float(random.uniform(0.001, 0.02)),
        spread=wild * float(random.uniform(0.003, 0.03)),
    )


_RATES = (0.0, 0.0005, 0.002, 0.01)


def _costs(script: _Script) -> dict[str, Any]:
    """Return a commission in parts of the value, or none."""
    rate = float(script.random.choice(_RATES))
    return {"commission": {"kind": "percentage", "rate": rate}} if rate else {}


def _small(script: _Script, orders: int) -> int:
    """Return a size that so many orders on one side can pay."""
    return max(1, int(100_000.0 / (3.5 * orders * float(script.market.close.max())) * script.random.uniform(0.1, 1.0)))


def _orders(verbs: tuple[str, ...], name: str) -> Callable[[int], Job]:
    """Return a maker of cases in which both sides trade and nothing is too expensive: adding, reducing, flipping."""

    def make(seed: int) -> Job:
        script = _Script(seed, _market(name, seed))
        last = len(script.market.times)
        count = int(script.random.integers(5, 30))
        for bar in sorted(script.random.integers(0, last, count).tolist()):
            if script.flip_a_coin(0.15):
                script.add(bar, "close")
            elif script.flip_a_coin(0.15):
                script.cancel(bar)
            else:
                side = 1 if script.flip_a_coin(0.5) else -1
                script.order(bar, str(script.random.choice(verbs)), side * _small(script, count))
        return Job(f"{name}-{seed}", script.market, {"cash": 100_000.0, **_costs(script)}, tuple(script.told))

    return make


def _tight(seed: int) -> Job:
    """Return a case whose orders are often too expensive: long entries and exits, shorts from flat, or flips by ever larger orders.

    Nothing is added to a short: backtesting.py judges that by the close of the bar on which it trades.
    """
    script = _Script(seed, _market("tight", seed))
    last, cash = len(script.market.times), 100_000.0
    full = cash / float(script.market.close[0, 0])
    kind = ("longs", "shorts", "flips")[seed % 3]
    count = int(script.random.integers(5, 20))
    size = full * 0.3
    for place, bar in enumerate(sorted(script.random.choice(last, count, replace=False).tolist())):
        if kind == "longs":
            if script.flip_a_coin(0.3):
                script.add(bar, "close")
            script.order(bar, str(script.random.choice(["market", "limit", "stop"])), int(full * script.random.uniform(0.1, 1.1)))
        elif kind == "shorts":
            script.add(bar, "close")
            script.order(bar, "market", -int(full * script.random.uniform(0.5, 1.1)))
        else:
            size = int(size * script.random.uniform(1.05, 1.6)) + 1
            script.order(bar, "market", size if place % 2 else -size)
    return Job(f"tight-{seed}", script.market, {"cash": cash, **_costs(script)}, tuple(script.told))


def _brackets(seed: int) -> Job:
    """Return a case of brackets.

    Those that are open together are on one side, because legs there belong to a part of the position, and have entries of one kind:
    backtesting.py walks its whole queue once more after a market entry with legs, which wakes the legs of limit entries early. Several brackets stand on a plain position that keeps the round trip open: targets have
    their turns after the orders that were submitted before the entry traded, which says whether the position is flat in between.
    """
    script = _Script(seed, _market("brackets", seed))
    last = len(script.market.times)
    bar = int(script.random.integers(0, 4))
    while bar < last - 1:
        side = 1 if script.flip_a_coin(0.5) else -1
        entries, limit = [], script.flip_a_coin(0.4)
        count = int(script.random.integers(1, 4))
        if count > 1:
            script.order(bar, "market", side * _small(script, 4))
        for _ in range(count):
            script.bracket(min(bar, last - 1), side * _small(script, 4), limit=limit)
            entries.append(script.labels[-1])
            bar += int(script.random.integers(0, 5))
        bar = min(bar + int(script.random.integers(0, 12)), last - 1)
        for label in entries:
            script.add(bar, "cancel", target=label)
        if script.flip_a_coin(0.1):
            script.add(bar, "cancel", target=entries[0] + (".stop" if script.flip_a_coin(0.5) else ".target"))
            bar = min(bar + 3, last - 1)
        script.add(bar, "close")
        bar += int(script.random.integers(0, 3))
    return Job(f"brackets-{seed}", script.market, {"cash": 100_000.0, **_costs(script)}, tuple(script.told))


def _spreads(seed: int) -> Job:
    """Return a case with a spread and a fixed commission: orders and brackets after closing what there is."""
    script = _Script(seed, _market("spreads", seed))
    last = len(script.market.times)
    for bar in sorted(script.random.choice(last, int(script.random.integers(4, 14)), replace=False).tolist()):
        size = _small(script, 4)
        if script.labels:  # what waits, so that there is one entry at a time: each pays the fixed commission when it is closed
            script.add(bar, "cancel", target=script.labels[-1])
        if script.flip_a_coin(0.5):
            script.add(bar, "close")
            script.order(bar, str(script.random.choice(["market", "limit", "stop"])), size if script.flip_a_coin(0.5) else -size)
        else:
            script.add(bar, "close")
            script.bracket(bar, size if script.flip_a_coin(0.5) else -size, limit=script.flip_a_coin(0.3))
    costs = {
        "slippage": {"kind": "percentage", "rate": float(script.random.choice([0.0002, 0.001, 0.004])), "entries_only": True},
        "commission": {
            "kind": "percentage",
            "rate": float(script.random.choice(_RATES)),
            "amount": float(script.random.choice([1.0, 7.5])),
        },
    }
    return Job(f"spreads-{seed}", script.market, {"cash": 100_000.0, **costs}, tuple(script.told))


def _options(seed: int) -> Job:
    """Return a case of `exclusive_orders`, of `trade_on_close`, of exits that follow from the entry's price, or of parts of a unit.

    With `trade_on_close` there are no costs, since the account value of a bar is written down before its orders trade, and nothing happens
    on the last bar, whose orders would trade on the next. Exits of the position's own are tried on one entry, since they
    belong to a part of the position there.
    """
    script = _Script(seed, _market("options", seed))
    last, settings = len(script.market.times), {"cash": 100_000.0}
    kind = ("exclusive_orders", "trade_on_close", "rules", "fractional")[seed // 4 % 4]
    count = 1 if kind == "rules" else int(script.random.integers(4, 14))
    for bar in sorted(script.random.choice(last - 1, count, replace=False).tolist()):
        size = _small(script, count) + (float(script.random.integers(10**6)) / 10**6 if kind == "fractional" else 0)
        if kind != "rules" and script.flip_a_coin(0.2):
            script.add(bar, "close")
        else:
            script.order(bar, "market", size if script.flip_a_coin(0.5) else -size)
    if kind == "rules":
        settings |= {
            "rules": {"stop_loss": float(script.random.uniform(0.01, 0.06)), "take_profit": float(script.random.uniform(0.01, 0.06))}
        }
    else:
        settings |= {"fractional": True} if kind == "fractional" else {"native": {kind: True}}
    return Job(f"options-{seed}", script.market, settings | ({} if kind == "trade_on_close" else _costs(script)), tuple(script.told))


FRAMEWORK = Framework(
    name="backtesting",
    title="backtesting.py",
    package="backtesting",
    preset="backtesting",
    plan=_plan,
    refuses=_refuses,
    not_reported={
        "fills.slippage": "it tells prices only",
        "equity.cash": "its cash is not lowered by what positions cost",
    },
    notes=(
        "trades are compared as round trips from flat to flat; it tells one trade per entry, first in, first out",
        (
            "what no setting reaches and no case tries: an addition to a short that the close of the bar on which it trades would refuse; legs of"
            " a bracket when another order closes a part of the position; a fixed commission for each of several entries that one order closes;"
            " legs of limit entries that wake because a market bracket entered on the same bar; stop orders with `trade_on_close`; the end of the run at an account value of 0"
        ),
    ),
    families=(
        Family("orders", 160, _orders(("market", "limit", "stop"), "orders")),
        Family("stop_limits", 80, _orders(("market", "stop_limit"), "stop_limits")),
        Family("tight", 90, _tight),
        Family("brackets", 110, _brackets),
        Family("spreads", 60, _spreads),
        Family("options", 80, _options),
    ),
)
