"""Arguments of `from_signals`: VectorBT's names beside ours, what has no counterpart, and numbers given for each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_kernels.dtypes import FloatArray

__all__ = ["SPELLINGS", "UNSUPPORTED", "other_names", "per_column", "stops_of"]

# VectorBT's name -> ours. `sl_stop` stands for two of ours: `sl_trail` tells which.
SPELLINGS = {
    "init_cash": "initial_cash",
    "tp_stop": "target_pct",
    "long_entries": "entries",
    "long_exits": "exits",
    "commission_rate": "fees",
    "commission_per_order": "fixed_fees",
    "slippage_rate": "slippage",
}
_STOPS = ("sl_stop", "sl_trail")
UNSUPPORTED = {
    "price": "orders trade at the close, or as config says: BacktestConfig(execution_mode=..., execution_price=...)",
    "val_price": "sizes are taken at the close",
    "min_size": "leave out small entries in size (NaN is no entry)",
    "max_size": "give the size that you want, or config with max_order_size",
    "reject_prob": "leave out entries at random in the signals, with a seed of your own",
    "raise_reject": "rejected orders stand in result(column).to_orders_dataframe()",
    "log": "result(column).to_orders_dataframe() holds every order",
    "max_orders": "orders need no room of their own",
    "max_logs": "there are no logs to make room for",
    "init_temp_records": "records need no room of their own",
    "signal_func_nb": "write a strategy: Strategy, ArrayStrategy, or a compiled one",
    "signal_args": "write a strategy: Strategy, ArrayStrategy, or a compiled one",
    "adjust_sl_func_nb": "position rules of your own do that in an engine",
    "adjust_tp_func_nb": "position rules of your own do that in an engine",
    "stop_entry_price": "config decides: BacktestConfig(stop_level_basis=...); the preset counts from the close, as VectorBT",
    "stop_exit_price": "config decides: BacktestConfig(stop_fill_mode=...)",
    "upon_stop_exit": "a stop closes the position",
    "upon_stop_update": "config decides: BacktestConfig(stop_reset_on_add=...)",
    "use_stops": "stops are on when they are given",
    "ffill_val_price": "a bar without a close takes no orders",
    "update_value": "sizes are taken from the account at the start of the bar",
    "call_seq": "with cash_sharing run SignalStrategy(..., call_seq='auto') in an Engine",
    "group_by": "run SignalStrategy in an Engine per group; cash_sharing=True makes one group of all columns",
    "engine": "there is one engine",
    "seed": "nothing is random",
    "broadcast_kwargs": "arrays are broadcast by their shapes",
    "wrapper_kwargs": "the result has no wrapper",
    "attach_call_seq": "the order of submission stands in result(column).to_orders_dataframe()",
    "template_mapping": "there are no templates",
    "broadcast_named_args": "there are no templates",
}
_BY_BAR = 2


def other_names(given: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Return arguments under our names. Raises TypeError for unknown ones, with what to do about those that only VectorBT has."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name in _STOPS:
            made[name] = value
        elif name in SPELLINGS:
            if SPELLINGS[name] in made:
                raise TypeError(f"from_signals() got {SPELLINGS[name]!r} under two names")
            made[SPELLINGS[name]] = value
        elif name in UNSUPPORTED:
            raise TypeError(f"from_signals() has no argument {name!r}: {UNSUPPORTED[name]}")
        else:
            choices = [*known, *SPELLINGS, *_STOPS]
            raise TypeError(f"from_signals() has no argument {name!r}{did_you_mean(name, choices)} Arguments: {', '.join(known)}")
    return made


def stops_of(values: dict[str, Any]) -> None:
    """Replace `sl_stop` and `sl_trail` by `stop_pct` or `trail_pct`. Raises TypeError when one of those is there as well."""
    stop, trails = values.pop("sl_stop", None), values.pop("sl_trail", False)
    if not isinstance(trails, (bool, np.bool_)):
        raise ValueError(f"sl_trail was {trails!r}, expected True or False for all columns; trail_pct takes a number for each")
    if stop is None:
        return
    name = "trail_pct" if trails else "stop_pct"
    if values.get(name) is not None:
        raise TypeError(f"from_signals() got both {name!r} and its other spelling 'sl_stop'")
    values[name] = stop


def per_column(name: str, given: Any, columns: int, least: float, *, above: bool, blank: float) -> FloatArray:
    """Return a number for each column, float64[columns]; None and NaN become `blank`.

    least: smallest number, left out itself with `above`. Raises ValueError for other shapes and numbers.
    """
    if given is None:
        return np.full(columns, blank)
    if hasattr(given, "to_numpy"):
        given = given.to_numpy()
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} was {given!r}, expected a number, or one for each column: {error}") from error
    if values.ndim == _BY_BAR and len(values) == 1:
        values = values[0]
    if values.ndim > 1 or (values.ndim == 1 and len(values) not in (1, columns)):
        raise ValueError(
            f"{name} has the shape {values.shape}, expected a number, or one for each of the {columns} columns (not one per bar)"
        )
    values = np.broadcast_to(values, columns).copy()
    values[np.isnan(values)] = blank
    odd = np.flatnonzero(~((values > least if above else values >= least) & (np.isfinite(values) | (values == blank))))
    if len(odd):
        sign = ">" if above else ">="
        raise ValueError(f"{name} was {values[odd[0]]:g} for column {odd[0]}, expected a finite number {sign} {least:g}" + _percent(name))
    return values


def _percent(name: str) -> str:
    return " (0.05 is 5 %)" if name.endswith("_pct") or name in ("fees", "slippage") else ""
