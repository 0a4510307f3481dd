"""The position rule that ended a trade: which one it was, and its level on the bar on which it fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml4t_backtest.config import TrailStopTiming
from ml4t_backtest.explaining.explanation import number_text
from ml4t_backtest.types import StopLevelBasis
from ml4t_kernels.codes import RuleKind

if TYPE_CHECKING:
    from ml4t_backtest.result import BacktestResult

__all__ = ["rule_words"]

_NAMES = {
    RuleKind.STOP_LOSS: "StopLoss",
    RuleKind.TAKE_PROFIT: "TakeProfit",
    RuleKind.TRAILING_STOP: "TrailingStop",
    RuleKind.TIME_EXIT: "TimeExit",
    RuleKind.TIGHTENING_TRAIL: "TighteningTrailingStop",
    RuleKind.VOLATILITY_STOP: "VolatilityStop",
    RuleKind.VOLATILITY_TRAIL: "VolatilityTrailingStop",
    RuleKind.SCALED_EXIT: "ScaledExit",
    RuleKind.SIGNAL_EXIT: "SignalExit",
    RuleKind.FUNCTION: "a rule of your own",
    RuleKind.ANY: "AnyOf",
    RuleKind.ALL: "AllOf",
}
_PLAIN = (RuleKind.VOLATILITY_STOP, RuleKind.VOLATILITY_TRAIL, RuleKind.SIGNAL_EXIT)


def rule_words(result: BacktestResult, row: Any, orders: tuple[Any, Any], mark: float | None) -> tuple[str, dict[str, Any]] | None:
    """Return the rule behind an exit as a line and as values; None where the result does not hold it.

    row: record of the trade. orders: records of entry (None where it is not known) and exit. mark: the water mark before the bar.
    """
    rules = getattr(result, "_rules", None)
    place = int(orders[1]["rule"]) - 1
    if rules is None or not 0 <= place < len(rules):
        return None
    rule = rules[place]
    kind = RuleKind(int(rule["kind"]))
    name = _NAMES[kind]
    if kind is RuleKind.TIME_EXIT:
        return f"{name}({int(rule['max_bars'])})", {"rule": name, "max_bars": int(rule["max_bars"])}
    threshold = float(rule["threshold"])
    if kind in _PLAIN:
        return f"{name}({number_text(threshold)})", {"rule": name, "threshold": threshold}
    if kind not in (RuleKind.STOP_LOSS, RuleKind.TAKE_PROFIT, RuleKind.TRAILING_STOP):
        return name, {"rule": name}
    values: dict[str, Any] = {"rule": name, "threshold": threshold}
    base = _base(result, row, orders[0], kind, mark)
    if base is None or base == 0.0:
        return f"{name}({number_text(threshold)})", values
    side = (1.0 if row["quantity"] > 0.0 else -1.0) * (1.0 if kind is RuleKind.TAKE_PROFIT else -1.0)
    fraction = threshold if base > 0.0 else -threshold
    level = base * (1.0 + side * fraction)
    sign = "+" if side * fraction > 0.0 else "-"
    text = f"{name}({number_text(threshold)}): level {number_text(level)} = {number_text(base)} * (1 {sign} {number_text(threshold)})"
    return text, {**values, "level": level}


def _base(result: BacktestResult, row: Any, entry_order: Any, kind: RuleKind, mark: float | None) -> float | None:
    """Return what the level counts from; None where it is not known."""
    config = result.config
    if config is None:
        return None
    if kind is RuleKind.TRAILING_STOP:
        return mark if config.trail_stop_timing is TrailStopTiming.LAGGED else None
    if config.stop_level_basis is StopLevelBasis.SIGNAL_PRICE:
        signal = None if entry_order is None else float(entry_order["signal_price"])
        if signal is None or signal == signal:  # noqa: PLR0124 - NaN counts as none
            return signal
    return float(row["entry_price"])
