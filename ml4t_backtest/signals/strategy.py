"""`SignalStrategy`: entries and exits, long and short, in any engine, and many parameter sets of it at once.

Protocol for parameter studies: `params` (dict of all parameters), `parameter_names`, `with_params(**values)` (a cheap copy), and
`run_sets(feed, config, sets)`, which answers one dict of metrics per set, in their order.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.risk import RuleChain, StopLoss, TakeProfit, TimeExit, TrailingStop
from ml4t_backtest.signals.conflicts import FLAT, LONG, SHORT, Conflicts
from ml4t_backtest.signals.sources import SIGNAL_NAMES, Sources
from ml4t_backtest.strategy import ArrayStrategy
from ml4t_kernels.codes import SignalAction, SignalBit, SizeKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.broker import Broker
    from ml4t_backtest.config import BacktestConfig, Mode
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.rows import Rows
    from ml4t_backtest.store import Store

__all__ = ["SIZE_TYPES", "SignalStrategy", "check_account", "check_percent", "rules_of"]

SIZE_TYPES = {"amount": SizeKind.AMOUNT, "value": SizeKind.VALUE, "equity": SizeKind.EQUITY, "percent": SizeKind.PERCENT}
_NUMBERS = ("stop_pct", "trail_pct", "target_pct")
_CALL_SEQUENCES = ("default", "auto")
_COMBINATIONS = 16


class SignalStrategy(ArrayStrategy):
    """Follows entries and exits, long and short, with VectorBT's rules for signals that contradict each other.

    entries, exits, short_entries, short_exits: each a boolean array or wide frame (bars by assets), or a condition on indicators
    (`crosses_above(...)`), or several of which any holds; missing is no signal. All are arrays, or all are conditions.

    size: of an entry; infinity is all that the account can pay. It may be an array of bars (by assets), where NaN is no entry.
    size_type: "amount" (units), "value" (money at the close), "equity" (part of the account value), "percent" (part of what the
    account can pay, as VectorBT; needs cash_ledger="free_cash"). Infinity needs that ledger too, or `partial_fills_allowed`.

    stop_pct, trail_pct, target_pct, max_bars: position rules `StopLoss`, `TrailingStop`, `TakeProfit`, `TimeExit`, looked at in this
    order; None leaves one out. On a bar on which a rule made an order for an asset its signals are dropped.

    conflicts: how contradictions are settled; see `Conflicts`. call_seq: "default" submits in the order of the assets, "auto" by the
    value of the orders, sales first. column: of signal arrays with several columns the one to follow in a feed of one asset. params:
    values of the parameters that conditions read.

    Raises TypeError and ValueError that name the argument. Signals trade as the config says; docs/signals.md has the details.
    """

    def __init__(  # noqa: PLR0913 - what there is to say about signals
        self,
        entries: Any = None,
        exits: Any = None,
        short_entries: Any = None,
        short_exits: Any = None,
        *,
        size: Any = math.inf,
        size_type: str = "amount",
        stop_pct: float | None = None,
        trail_pct: float | None = None,
        target_pct: float | None = None,
        max_bars: int | None = None,
        conflicts: Conflicts | None = None,
        call_seq: str = "default",
        column: int | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.sources = Sources(dict(zip(SIGNAL_NAMES, (entries, exits, short_entries, short_exits), strict=True)))
        self.conflicts = Conflicts() if conflicts is None else conflicts
        if not isinstance(self.conflicts, Conflicts):
            raise TypeError(f"conflicts was {conflicts!r}, expected Conflicts(...)")
        self.size_kind = _word("size_type", size_type, SIZE_TYPES)
        self.call_seq = _CALL_SEQUENCES[_word("call_seq", call_seq, {name: place for place, name in enumerate(_CALL_SEQUENCES)})]
        self.params: dict[str, Any] = {
            "size": size,
            "stop_pct": stop_pct,
            "trail_pct": trail_pct,
            "target_pct": target_pct,
            "max_bars": max_bars,
            "column": column,
        }
        wanted = self.sources.parameters()
        clash = sorted(set(wanted) & set(self.params))
        if clash:
            raise ValueError(f"a condition reads the parameter {clash[0]!r}, which is an argument of SignalStrategy; give it another name")
        self.params |= dict.fromkeys(wanted)
        self._take(dict(params or {}), "params")
        self._check_kinds()

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names that `with_params` takes."""
        return tuple(self.params)

    def with_params(self, **values: Any) -> SignalStrategy:
        """Return a copy with other values of some parameters; signals and tables are shared. Raises TypeError for unknown names."""
        made = copy.copy(self)
        made.params = dict(self.params)
        made._take(values, "with_params")
        made._check_kinds()
        return made

    def between(self, first: int, last: int) -> SignalStrategy:
        """Return the strategy for a feed of the bars from `first` to before `last`: signals, tables and sizes per bar are cut to them."""
        made = copy.copy(self)
        made.sources = self.sources.between(first, last)
        size = self.params["size"]
        made.params = {**self.params, "size": size[first:last] if isinstance(size, np.ndarray) else size}
        return made

    def _take(self, values: dict[str, Any], where: str) -> None:
        for name, value in values.items():
            if name not in self.params:
                raise TypeError(
                    f"{where}: SignalStrategy has no parameter {name!r}{did_you_mean(name, self.params)} It has: {', '.join(self.params)}"
                )
            self.params[name] = value
        for name in _NUMBERS:
            value = self.params[name]
            if value is not None and not (_is_number(value) and 0.0 < value < math.inf):
                raise ValueError(f"{name} was {value!r}, expected a number > 0 (0.05 is 5 %), or None")
        bars = self.params["max_bars"]
        if bars is not None and not (_is_number(bars) and bars >= 1 and int(bars) == bars):
            raise ValueError(f"max_bars was {bars!r}, expected a whole number >= 1, or None")
        self.params["size"] = _checked_size(self.params["size"])
        self.sources.check(self.params)

    def _check_kinds(self) -> None:
        if self.size_kind is SizeKind.PERCENT:
            check_percent(self.params["size"], self.sources.codes(), self.conflicts)

    # In an engine ----------------------------------------------------------------------------------------------------------

    def on_start(self, broker: Broker) -> None:
        """Read the signals for the feed, and set the position rules."""
        panels, config = broker._panels, broker.config
        shape = panels.bars, len(panels.assets)
        self._codes = self.sources.matrix(self.params, panels.assets, shape)
        self._sizes = _sizes_for(self.params["size"], shape)
        self._actions = self.conflicts.table()
        self._pays_all = bool(broker._store.params["clearing"][0])
        check_account(self.size_kind, self.params["size"], config)
        rule = rules_of(self.params)
        if rule is not None:
            broker.set_position_rules(rule)
        self._bar = -1
        self._orders = 0

    def on_arrays(self, timestamp: Any, rows: Rows, context: Any, broker: Broker) -> None:  # noqa: ARG002 - the callback's
        """Submit what the signals of the bar come to."""
        self._bar += 1
        store = broker._store
        codes, before = self._codes[self._bar], self._orders
        self._orders = int(store.columns.order_count[0])
        if not codes.any():
            return
        held = rows.positions
        places = np.where(held > 0.0, _COMBINATIONS, np.where(held < 0.0, 2 * _COMBINATIONS, 0))
        actions = self._actions[places + codes]
        actions[np.isnan(rows.close)] = SignalAction.NOTHING
        if self._orders > before:  # where a rule had its turn, filled or refused, signals are dropped
            actions[store.orders["asset"][before : self._orders]] = SignalAction.NOTHING
        wanted = [self._order(column, int(actions[column]), held[column], rows, broker) for column in np.flatnonzero(actions).tolist()]
        if self.call_seq == "auto":
            wanted.sort(key=lambda order: order[1] * rows.close[order[0]])
        for column, quantity, only_closes in wanted:
            if quantity and not math.isnan(quantity):
                self.submit(broker, rows.assets[column], quantity, only_closes=only_closes)
        self._orders = int(store.columns.order_count[0])

    def _order(self, column: int, action: int, held: float, rows: Rows, broker: Broker) -> tuple[int, float, bool]:
        """Return column and signed quantity of an order, infinite for all that the account can pay, and whether it can only close."""
        size = float(self._sizes[self._bar if len(self._sizes) > 1 else 0, column])
        price = float(rows.close[column]) * float(broker._store.multipliers[column])
        from ml4t_kernels.signals_orders import order_of

        quantity, closes = order_of(action, float(held), size, self.size_kind, price, broker.get_account_value(), self._pays_all)
        if self.size_kind is SizeKind.PERCENT and math.isinf(quantity):
            quantity = math.copysign(min(size, 1.0), quantity)
        return column, quantity, bool(closes)

    def submit(self, broker: Broker, asset: str, quantity: float, *, only_closes: bool) -> Any:
        """Submit one order and return it; quantity: signed, with size_type "percent" the part of what the account can pay."""
        if self.size_kind is SizeKind.PERCENT and not only_closes:
            return broker.order_cash_percent(asset, quantity)
        return broker.submit_order(asset, quantity, reduce_only=only_closes)

    def _compiled_host(self, store: Store, panels: Panels, broker: Broker) -> Any:
        """Return what runs the strategy by its compiled turn; orders in another sequence than that of the assets take the Python turn."""
        changed = type(self).on_arrays is not SignalStrategy.on_arrays or type(self).submit is not SignalStrategy.submit
        if changed or self.call_seq != "default":
            return None
        from ml4t_backtest.signals.hosting import SignalHost

        return SignalHost(self, store, panels, broker)

    # Many sets -------------------------------------------------------------------------------------------------------------

    def run_sets(
        self, feed: DataFeed, config: BacktestConfig | Mode | str, sets: Sequence[Mapping[str, Any]], *, threads: int | None = None
    ) -> list[dict[str, float]]:
        """Run many parameter sets and return the metrics of each, in their order, without keeping anything else.

        feed: of one asset for the fused kernel; with several, or where the config asks for what only the engine does, every set runs in
        an engine: the same metrics, slower. config: as `Engine`. sets: dicts of parameters, the others stay as they are. threads: at
        most so many.
        """
        from ml4t_backtest.signals.running import run_sets

        return run_sets(self, feed, config, sets, threads)


def check_account(kind: SizeKind, size: Any, config: BacktestConfig) -> None:
    """Raise ValueError where an account cannot do what a size asks for."""
    if config.cash_ledger == "free_cash":
        return
    if kind is SizeKind.PERCENT:
        raise ValueError("size_type 'percent' needs cash_ledger='free_cash' (preset 'vectorbt'); 'equity' works in every account")
    if np.isinf(size).any() and not config.partial_fills_allowed:
        raise ValueError(
            "an infinite size (all that the account can pay) needs partial_fills_allowed=True or cash_ledger='free_cash';"
            " or give a finite size, for example size=0.95, size_type='equity'"
        )


def check_percent(size: Any, codes: Sequence[int], conflicts: Conflicts) -> None:
    """Raise ValueError where a size of kind PERCENT would have to reduce or turn a position (codes: combinations that may come up)."""
    sides = {LONG: SignalBit.LONG_ENTRY, SHORT: SignalBit.SHORT_ENTRY}
    places = [FLAT, *(place for place, entry in sides.items() if any(code & entry for code in codes))]
    odd = {conflicts.action(code, place) for code in codes for place in places} & {SignalAction.REDUCE, SignalAction.REVERSE}
    if odd:
        verb = "reduce" if SignalAction.REDUCE in odd else "turn"
        raise ValueError(
            f"size_type 'percent' cannot {verb} a position; use 'equity' or 'amount', or upon_opposite_entry='close' without accumulate"
        )
    sizes = np.asarray(size)
    if (sizes[np.isfinite(sizes)] > 1.0).any():
        raise ValueError(f"size was {size!r}, expected at most 1 with size_type 'percent' (0.5 is 50 %)")


def rules_of(params: Mapping[str, Any]) -> Any:
    """Return the position rule of a parameter set, None without one."""
    kinds = {"stop_pct": StopLoss, "trail_pct": TrailingStop, "target_pct": TakeProfit, "max_bars": TimeExit}
    rules = [kind(params[name]) for name, kind in kinds.items() if params[name] is not None]
    return None if not rules else (rules[0] if len(rules) == 1 else RuleChain(rules))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _word(name: str, given: Any, choices: Mapping[str, Any]) -> Any:
    word = str(getattr(given, "name", given)).lower()
    if word not in choices:
        raise ValueError(f"{name} was {given!r}, expected one of {list(choices)}{did_you_mean(word, choices)}")
    return choices[word]


def _checked_size(size: Any) -> Any:
    """Return a size as a number or an array of bars by columns. Raises ValueError for negative ones, and for NaN alone."""
    if _is_number(size):
        if not size > 0.0:
            raise ValueError(f"size was {size!r}, expected a number > 0; the signals tell the side")
        return float(size)
    from ml4t_backtest.signals.wide import read_wide

    values = read_wide("size", size).values
    if (values < 0.0).any():
        bar, column = np.argwhere(values < 0.0)[0].tolist()
        raise ValueError(
            f"size was {values[bar, column]:g} at bar {bar}, column {column}, expected numbers >= 0; the signals tell the side"
        )
    return values


def _sizes_for(size: Any, shape: tuple[int, int]) -> Any:
    """Return sizes as an array of bars (or one row) by assets."""
    if isinstance(size, float):
        return np.full((1, shape[1]), size)
    if size.shape not in (shape, (shape[0], 1)):
        raise ValueError(f"size has the shape {size.shape}, the feed has {shape} (bars, assets)")
    return np.broadcast_to(size, shape)
