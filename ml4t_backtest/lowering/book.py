"""Position rules to rows. Rules may be set while a run goes on, so the table can grow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.memory import address_of
from ml4t_backtest.risk.position import composite, dynamic, signal, static
from ml4t_backtest.risk.types import ActionType, PositionAction, PositionState
from ml4t_kernels.codes import ExitReason, RuleKind, TrailTiming
from ml4t_kernels.dtypes import rule_dtype, tier_dtype

if TYPE_CHECKING:
    from ml4t_backtest.lowering.hosts import HostCalls
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, Record, Records

__all__ = ["RuleTable"]

_PLAIN = -1
_VOLATILITY = (dynamic.VolatilityStop, dynamic.VolatilityTrailingStop, signal.VolatilityTrailingStop)


class RuleTable:
    """Rule rows of a run, the names of the signals they read, and the texts of their exits."""

    def __init__(self, panels: Panels, hosts: HostCalls, tiers: Records, mark_source: str) -> None:
        self._panels = panels
        self._hosts = hosts
        self._mark_source = mark_source
        self._tiers: list[tuple[float, float]] = [(float(tier["limit"]), float(tier["rate"])) for tier in tiers]
        self._rows: list[Record] = []
        self._objects: list[Any] = []
        self._keys: list[str | None] = []
        self._said: dict[tuple[int, int, int], str] = {}
        self._panels_kept: dict[Any, FloatArray] = {}
        self.contexts: dict[str, tuple[int, dict[str, Any]]] = {}  # asset to position and the values given for it

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rule: Any) -> int:
        """Append a rule with everything inside it. Returns its first row plus 1. Raises TypeError for what is no rule."""
        first = len(self._rows)
        self._append(rule)
        return first + 1

    def records(self) -> tuple[Records, Records]:
        """Return the rule rows and the tier rows."""
        tiers = (
            np.array(self._tiers, dtype=[("limit", "f8"), ("rate", "f8")]).view(tier_dtype)
            if self._tiers
            else np.zeros(0, dtype=tier_dtype)
        )
        return np.concatenate(self._rows), tiers

    def rows_reading(self, key: str) -> list[int]:
        """Return the rows that read a value of this name."""
        return [row for row, name in enumerate(self._keys) if name == key]

    def text_of(self, rule: int, asset: int, bar: int) -> str | None:
        """Return the reason text of an exit made by a rule row (from 0) for an asset on a bar."""
        said = self._said.get((rule, asset, bar))
        if said is not None:
            return said
        owner = self._objects[rule]
        if isinstance(owner, composite.AllOf):
            inside = [self.text_of(child, asset, bar) for child in self._children(rule)]
            return " AND ".join(text for text in inside if text)
        if isinstance(owner, signal.SignalExit):
            return "signal_exit"
        if isinstance(owner, (dynamic.ScaledExit, dynamic.TighteningTrailingStop)):
            # Which step fired is not kept; without it the text says what they have in common.
            return owner.reasons[0] if len(owner.reasons) == 1 else owner.reasons[0].rstrip("0123456789.%_")
        return getattr(owner, "reason", type(owner).__name__)

    def _children(self, row: int) -> list[int]:
        inside, end = row + 1, row + int(self._rows[row]["rows"][0])
        found = []
        while inside < end:
            found.append(inside)
            inside += int(self._rows[inside]["rows"][0])
        return found

    def _append(self, rule: Any) -> None:
        record = np.zeros(1, dtype=rule_dtype)
        row = record[0]
        number = len(self._rows)
        self._rows.append(record)
        self._objects.append(rule)
        self._keys.append(None)
        row["rows"], row["part"], row["timing"] = 1, 1.0, _PLAIN
        row["exit_reason"] = ExitReason[getattr(rule, "exit_reason", "SIGNAL")] if not isinstance(rule, type) else 0
        kind = type(rule)
        if kind in (composite.RuleChain, composite.AnyOf, composite.AllOf):
            row["kind"] = RuleKind.ALL if kind is composite.AllOf else RuleKind.ANY
            for child in rule.rules:
                self._append(child)
            row["rows"] = len(self._rows) - number
            row["simple"] = kind is not composite.AllOf and all(record["simple"][0] for record in self._rows[number + 1 :])
            if kind is composite.AllOf and len(rule.rules):
                row["exit_reason"] = self._rows[number + 1]["exit_reason"][0]
        elif not self._lower_known(row, rule, kind):
            self._lower_own(row, rule, number)
        else:
            row["simple"] = row["kind"] <= RuleKind.TIME_EXIT

    def _lower_known(self, row: Record, rule: Any, kind: type) -> bool:
        """Fill the row of one of the library's rules. Returns False for any other."""
        if kind in (static.StopLoss, static.TakeProfit):
            row["kind"] = RuleKind.STOP_LOSS if kind is static.StopLoss else RuleKind.TAKE_PROFIT
            row["threshold"] = rule.pct
        elif kind is dynamic.TrailingStop and rule.trail_hwm_source in (None, self._mark_source):
            row["kind"], row["threshold"] = RuleKind.TRAILING_STOP, rule.pct
            if rule.trail_stop_timing is not None:
                row["timing"] = TrailTiming[rule.trail_stop_timing.upper()]
        elif kind is static.TimeExit:
            row["kind"], row["max_bars"] = RuleKind.TIME_EXIT, rule.max_bars
        elif kind is dynamic.TighteningTrailingStop:
            row["kind"] = RuleKind.TIGHTENING_TRAIL
            self._steps(row, rule.schedule)
        elif kind is dynamic.ScaledExit:
            row["kind"] = RuleKind.SCALED_EXIT
            self._steps(row, rule.targets)
        elif kind is signal.SignalExit:
            row["kind"], row["threshold"] = RuleKind.SIGNAL_EXIT, rule.threshold
            self._read(row, rule.signal_name)
        elif kind in _VOLATILITY:
            row["kind"] = RuleKind.VOLATILITY_STOP if kind is dynamic.VolatilityStop else RuleKind.VOLATILITY_TRAIL
            row["threshold"] = rule.multiplier
            row["keep_first"] = kind is dynamic.VolatilityStop and rule.use_entry_atr
            if getattr(rule, "lookback", None) is not None:
                row["signal_address"] = address_of(self._rolling_volatility(rule.lookback))
            else:
                self._read(row, rule.atr_key)
        else:
            return False
        return True

    def _steps(self, row: Record, steps: Any) -> None:
        row["first_step"], row["steps"] = len(self._tiers), len(steps)
        self._tiers.extend((float(limit), float(rate)) for limit, rate in steps)

    def _read(self, row: Record, name: str) -> None:
        """Let a row read a signal column, or values given by hand under the same name."""
        self._keys[-1] = name
        panel = self._panels.signals.get(name)
        if panel is None:
            return
        if self._panels.is_text(name):
            raise TypeError(f"signal {name!r} is text, which a position rule cannot compare; encode it as numbers in signals_df")
        row["signal_address"] = address_of(panel)

    def _rolling_volatility(self, lookback: int) -> FloatArray:
        """Return the sample standard deviation of the last `lookback` changes of the closes, float64[bars, assets]."""
        if lookback not in self._panels_kept:
            closes = self._panels.prices["close"]
            panel = np.full(closes.shape, math.nan)
            changes = np.diff(closes, axis=0)
            if len(changes) >= lookback:
                windows = np.lib.stride_tricks.sliding_window_view(changes, lookback, axis=0)
                panel[lookback:] = windows.std(axis=-1, ddof=1)
            self._panels_kept[lookback] = panel
        return self._panels_kept[lookback]

    def _lower_own(self, row: Record, rule: Any, number: int) -> None:
        """Let the kernel ask a rule of the user's own."""
        if isinstance(rule, type) or not callable(getattr(rule, "evaluate", None)):
            hint = f": {rule.__name__}(...)" if isinstance(rule, type) else ""
            raise TypeError(f"rule was {rule!r}, expected a position rule: an object with evaluate(state){hint}")
        row["kind"] = RuleKind.FUNCTION

        def ask(asset: int, row_number: float, close: float, _: float) -> float:  # noqa: ARG001
            return self._ask(rule, number, asset)

        row["function"] = self._hosts.address(ask, f"{type(rule).__name__}.evaluate")

    def _ask(self, rule: Any, number: int, asset: int) -> float:
        """Evaluate a rule of the user's own for a position; write its price and timing, return the part to exit."""
        store = self._hosts.the_store
        action = rule.evaluate(self._state(asset))
        if not isinstance(action, PositionAction):
            raise TypeError(f"{type(rule).__name__}.evaluate() returned {action!r}, expected a PositionAction")
        if action.fill_price is not None and not math.isfinite(action.fill_price):
            raise ValueError(f"{type(rule).__name__}.evaluate() gave fill_price {action.fill_price!r}, expected a finite number or None")
        answer = store.answers[number]
        answer[1] = math.nan if action.fill_price is None else action.fill_price
        answer[2] = 1.0 if action.defer_fill else (2.0 if action.fill_price is None else 0.0)
        if action.action in (ActionType.HOLD, ActionType.ADJUST_STOP):
            return 0.0
        if action.exit_reason not in ExitReason.__members__:
            known = list(ExitReason.__members__)
            raise ValueError(
                f"{type(rule).__name__} gave exit_reason {action.exit_reason!r}{did_you_mean(action.exit_reason, known)}"
                f"; known: {shortened(known)}"
            )
        store.terms.rules["exit_reason"][number] = ExitReason[action.exit_reason]
        self._said[number, asset, store.bar] = action.reason
        return 1.0 if action.action is ActionType.EXIT_FULL else action.pct

    def _state(self, asset: int) -> PositionState:
        store, panels = self._hosts.the_store, self._panels
        bar, position = store.bar, store.positions[asset]
        prices = {name: float(panels.prices[name][bar, asset]) for name in ("open", "high", "low", "close")}
        quantity, entry = float(position["quantity"]), float(position["entry_price"])
        name, side = panels.assets[asset], 1.0 if quantity > 0 else -1.0
        owner, given = self.contexts.get(name, (0, {}))
        context = {
            **{key: float(panel[bar, asset]) for key, panel in panels.signals.items() if not panels.is_text(key)},
            **(given if owner == position["position_id"] else {}),
            "signal_price": float(position["signal_price"]),
        }
        return PositionState(
            asset=name,
            side="long" if quantity > 0 else "short",
            entry_price=entry,
            current_price=prices["close"],
            quantity=abs(quantity),
            initial_quantity=abs(float(position["initial_quantity"])),
            unrealized_pnl=(prices["close"] - entry) * quantity * float(store.multipliers[asset]),
            unrealized_return=math.nan if entry == 0.0 else side * (prices["close"] - entry) / abs(entry),
            bars_held=bar - int(position["entry_bar"]),
            high_water_mark=float(position["high_water_mark"]),
            low_water_mark=float(position["low_water_mark"]),
            bar_open=prices["open"],
            bar_high=prices["high"],
            bar_low=prices["low"],
            max_favorable_excursion=float(position["max_favorable_excursion"]),
            max_adverse_excursion=float(position["max_adverse_excursion"]),
            entry_time=panels.timestamp_of(int(position["entry_time"])),
            current_time=panels.timestamps[bar],
            context=context,
            position_id=(id(store), int(position["position_id"])),
        )
