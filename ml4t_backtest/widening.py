"""What grows while a broker is stepped by hand: panels and market, bar by bar and asset by asset, and the terms of the assets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.contracts import ContractSpec
from ml4t_backtest.lowering import Extras, HostCalls, lower_terms
from ml4t_backtest.panels import Panels
from ml4t_backtest.store import Market
from ml4t_kernels.codes import CommissionKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.lowering import CostModels
    from ml4t_backtest.store import Store, Terms
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["FIELDS", "GrowingPanels", "Quotes", "Signals", "first_terms", "read_bars", "read_signals", "widen"]

FIELDS = ("open", "high", "low", "close", "volume", "vwap", "bid", "ask")
_PRICES = FIELDS[:5]
_FIRST_ROWS = 256
_ROUNDING = 1e-9  # as in the feed: a high this close below the low is equal to it
_SCHEDULES = ("fixed_margin_schedule", "margin_pct_schedule")
_TIERED = (CommissionKind.TIERED_VALUE, CommissionKind.TIERED_QUANTITY)

Quotes: TypeAlias = dict[str, dict[str, float]]
Signals: TypeAlias = dict[str, dict[str, float]]


class GrowingPanels(Panels):
    """Panels that take one bar after another, and new assets and signals on the way.

    Every panel has room for more rows than there are bars; those rows are NaN. `column_of` is one dict for ever, and `prices` are
    the arrays of `market`, so that what a kernel reads and what Python reads is the same memory. A new name copies all bars so far.
    `volatility`: by lookback, the sample standard deviation of the last changes of the closes. `repeats`: assets without a bar have their
    last one again.
    """

    market: Market
    repeats: bool
    volatility: dict[int, FloatArray]

    def __init__(self, *, repeats: bool = False) -> None:
        empty = np.zeros((0, 0), dtype=np.uint8)
        super().__init__(times=np.zeros(0, dtype=np.int64), timestamps=[], assets=(), prices={}, present=empty)
        self.__dict__.update(
            repeats=repeats,
            column_of={},
            market=_market([np.zeros(0, dtype=np.int64)] * 3, [np.zeros((0, 0))] * len(FIELDS)),
            volatility={},
        )
        self._allocate(_FIRST_ROWS, ())

    def make_room(self, assets: Iterable[str] = ()) -> bool:
        """Make columns for the new ones of some assets, and room for the next two bars. Returns whether arrays were replaced."""
        new = [asset for asset in dict.fromkeys(assets) if asset not in self.column_of]
        rows = len(self.market.times)
        if not new and self.bars + 2 <= rows:
            return False
        self._allocate(rows if self.bars + 2 <= rows else 2 * rows, (*self.assets, *new))
        return True

    def forget(self, assets: int) -> None:
        """Take the columns from number `assets` on away again; they have no prices yet."""
        for asset in self.assets[assets:]:
            del self.column_of[asset]
        self._allocate(len(self.market.times), self.assets[:assets])

    def _allocate(self, rows: int, assets: tuple[str, ...]) -> None:
        bars, market = self.bars, self.market

        def moved(panel: FloatArray) -> FloatArray:
            width = min(panel.shape[1], len(assets))
            larger = np.full((rows, len(assets)), math.nan)
            larger[:bars, :width] = panel[:bars, :width]
            return larger

        numbers = [np.zeros(rows, dtype=np.int64) for _ in range(3)]
        for larger, before in zip(numbers, (market.times, market.sessions, market.flags), strict=True):
            larger[:bars] = before[:bars]
        panels = [moved(getattr(market, name)) for name in FIELDS]
        self.__dict__.update(
            market=_market(numbers, panels),
            times=numbers[0][:bars],
            prices=dict(zip(_PRICES, panels, strict=False)),
            extras=dict(zip(FIELDS[5:], panels[5:], strict=True)),
            signals={name: moved(panel) for name, panel in self.signals.items()},
            volatility={lookback: moved(panel) for lookback, panel in self.volatility.items()},
            assets=assets,
        )
        self.column_of.update({asset: column for column, asset in enumerate(assets)})

    def add_signals(self, names: Iterable[str]) -> bool:
        """Make panels for the new ones of some signals. Returns whether there were any."""
        new = [name for name in dict.fromkeys(names) if name not in self.signals]
        self.signals.update({name: np.full(self.market.close.shape, math.nan) for name in new})
        return bool(new)

    def volatility_of(self, lookback: int) -> FloatArray:
        """Return the panel of a lookback, and keep it up from now on."""
        if lookback not in self.volatility:
            self.volatility[lookback] = np.full(self.market.close.shape, math.nan)
            for bars in range(1, self.bars + 1):
                self._measure(lookback, bars)
        return self.volatility[lookback]

    def _measure(self, lookback: int, bars: int) -> None:
        closes = self.market.close[max(0, bars - lookback - 1) : bars]
        if len(closes) > lookback:
            self.volatility[lookback][bars - 1] = np.diff(closes, axis=0).std(axis=0, ddof=1)

    def write(self, quotes: Quotes, signals: Signals) -> None:
        """Write prices and signals of the next bar; assets and signals without any have none."""
        row = self.bars
        columns = [self.column_of[asset] for asset in quotes]
        for name in FIELDS:
            panel: FloatArray = getattr(self.market, name)
            panel[row] = math.nan
            panel[row, columns] = [quote[name] for quote in quotes.values()]
        if self.repeats and row:
            self._repeat(row)
        for panel in self.signals.values():
            panel[row] = math.nan
        for asset, values in signals.items():
            for name, value in values.items():
                self.signals[name][row, self.column_of[asset]] = value
        for lookback in self.volatility:
            self._measure(lookback, row + 1)

    def _repeat(self, row: int) -> None:
        """Give an asset without a bar its last one again, its close as vwap, as `lower_market` does for all bars of a feed."""
        market = self.market
        vwap: FloatArray = getattr(market, "vwap")  # noqa: B009 - here it is never None
        missing = np.isnan(market.close[row])
        last_close = np.where(np.isnan(market.close[row - 1]), vwap[row - 1], market.close[row - 1])
        for name in ("open", "high", "low", "volume"):
            panel: FloatArray = getattr(market, name)
            panel[row, missing] = panel[row - 1, missing]
        vwap[row, missing] = last_close[missing]

    def begin(self, time: int, timestamp: datetime, session: int, flags: int, zone: str | None) -> None:
        """Let the bar that was written be the current one. time: ns UTC."""
        row, market = self.bars, self.market
        market.times[row], market.sessions[row], market.flags[row] = time, session, flags
        self.timestamps.append(timestamp)
        self.__dict__.update(times=market.times[: row + 1], zone=zone)

    def timestamp_of(self, time: int) -> datetime:
        """Return the datetime of a bar's time in ns. Raises LookupError before the first bar, which orders of before belong to."""
        if not self.timestamps:
            raise LookupError("there is no bar yet: what was submitted before the first one gets its time from update_time")
        return super().timestamp_of(time)


def _market(numbers: Sequence[IntArray], panels: Sequence[FloatArray]) -> Market:
    times, sessions, flags = numbers
    return Market(times, sessions, flags, *panels)


def read_bars(
    when: object, prices: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any] | None], *, positive: bool
) -> tuple[Quotes, dict[str, dict[str, Any]]]:
    """Return the quotes of every asset that has a close, and the signals found in whole bars.

    prices: asset to close, or asset to a bar (a mapping with close and any of `FIELDS` and signals, as `on_data` gets). columns: by
    field, asset to number. A missing open, high or low is the close; other missing numbers are NaN. positive: refuse prices <= 0.
    Raises ValueError that names asset, time and field; TypeError for what is no mapping.
    """
    for name, given in (("prices", prices), *columns.items()):
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(f"{name} was a {type(given).__name__}, expected a mapping of assets to numbers")
    quotes: Quotes = {}
    signals: dict[str, dict[str, Any]] = {}
    for asset, value in prices.items():
        if not isinstance(asset, str):
            raise TypeError(f"prices at {when} have the asset {asset!r}, expected a text")
        bar = dict(value) if isinstance(value, Mapping) else {"close": value}
        if bar.get("signals"):
            signals[asset] = dict(bar["signals"])
        for name, given in columns.items():
            if given is not None and asset in given:
                bar[name] = given[asset]
        quote = _quote(asset, when, bar, positive=positive)
        if quote is not None:
            quotes[asset] = quote
    return quotes, signals


def read_signals(when: object, given: Mapping[str, Mapping[str, Any]], wanted: Iterable[str]) -> Signals:
    """Return the signals of a bar that are numbers, by asset and name; None and NaN are no signal, text is for strategies only.

    wanted: names that position rules read. Raises TypeError for text under such a name, and for values that are neither.
    """
    found: Signals = {}
    read = set(wanted)
    for asset, values in given.items():
        for name, value in values.items():
            if value is None or (isinstance(value, str) and name not in read):
                continue
            if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
                raise TypeError(f"signal {name!r} of {asset!r} at {when} was {value!r}, expected a number")
            found.setdefault(asset, {})[name] = float(value)
    return found


def _quote(asset: str, when: object, bar: Mapping[str, Any], *, positive: bool) -> dict[str, float] | None:
    """Return the checked numbers of one bar, None without a close."""
    quote = {name: _number(asset, when, name, bar.get(name)) for name in FIELDS}
    close = quote["close"]
    if math.isnan(close):
        return None
    for name in ("open", "high", "low"):
        if math.isnan(quote[name]):
            quote[name] = close
    for name in ("close", *FIELDS):
        if name != "volume" and positive and quote[name] <= 0.0:
            advice = "expected prices > 0 (Broker(allow_nonpositive_prices=True) admits zero and negative ones)"
            raise ValueError(f"{name} of {asset!r} at {when} was {quote[name]!r}: {advice}")
    if quote["high"] < quote["low"] - _ROUNDING * abs(quote["low"]):
        raise ValueError(f"high of {asset!r} at {when} was {quote['high']!r}: the low {quote['low']!r} is above it")
    if quote["volume"] < 0.0:
        raise ValueError(f"volume of {asset!r} at {when} was {quote['volume']!r}: expected volumes >= 0")
    return quote


def _number(asset: str, when: object, name: str, value: Any) -> float:
    if value is None:
        return math.nan
    try:
        number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
        wrong = math.isinf(number) or isinstance(value, (str, bytes, bool))
    except (TypeError, ValueError):
        wrong, number = True, math.nan
    if wrong:
        raise ValueError(f"{name} of {asset!r} at {when} was {value!r}, expected a finite number, or NaN or None for no bar")
    return number


def first_terms(
    config: BacktestConfig, panels: GrowingPanels, costs: CostModels, specs: Mapping[str, ContractSpec], hosts: HostCalls
) -> Terms:
    """Return the terms of an account without assets. Raises TypeError for what is no model or no contract spec, before any asset comes."""
    for asset, spec in specs.items():
        if not isinstance(spec, ContractSpec):
            raise TypeError(f"contract_specs[{asset!r}] was a {type(spec).__name__}, expected a ContractSpec")
    trial = GrowingPanels()
    trial.make_room(["any"])
    with suppress(ValueError):  # depends on the asset: a margin, a spread of its own
        lower_terms(config.replace(**dict.fromkeys(_SCHEDULES)), trial, costs, Extras(), HostCalls())
    return lower_terms(config.replace(**dict.fromkeys(_SCHEDULES)), panels, costs, Extras(), hosts)[0]


def widen(
    store: Store,
    panels: GrowingPanels,
    assets: Iterable[str],
    config: BacktestConfig,
    costs: CostModels,
    specs: Mapping[str, ContractSpec],
    hosts: HostCalls,
) -> bool:
    """Make room for the next bar and for new assets, in panels and store. Returns whether arrays were replaced.

    specs: of any assets; those of the known ones count. Errors as `lower_terms` (no margin for a future, a model that has nothing for
    the asset); nothing has changed then.
    """
    before, terms = len(panels.assets), store.terms
    if not panels.make_room(assets):
        return False
    try:
        if len(panels.assets) > before:
            terms = _widened(terms, panels, config, costs, specs, hosts)
    except Exception:
        panels.forget(before)
        raise
    finally:
        store.extend(panels.market, terms)
    return True


def _widened(
    before: Terms, panels: GrowingPanels, config: BacktestConfig, costs: CostModels, specs: Mapping[str, ContractSpec], hosts: HostCalls
) -> Terms:
    """Return the terms of all assets of the panels; settings, rules, and what is set for the assets of before stay."""
    own = {asset: spec for asset, spec in specs.items() if asset in panels.column_of}
    schedules = {
        name: {asset: pair for asset, pair in getattr(config, name).items() if asset in panels.column_of} or None
        for name in _SCHEDULES
        if getattr(config, name)
    }
    terms, _ = lower_terms(config.replace(**schedules) if schedules else config, panels, costs, Extras(contract_specs=own), hosts)
    known = len(before.contracts)
    terms.contracts["rule_set"][:known] = before.contracts["rule_set"]
    # Rules know their steps by the row, so what the costs need is put behind what there is.
    terms.costs["first_tier"][np.isin(terms.costs["commission_kind"], _TIERED)] += len(before.tiers)
    terms.tiers = np.concatenate([before.tiers, terms.tiers])
    terms.params, terms.rules, terms.rule_set = before.params, before.rules, before.rule_set
    terms.keep = [*before.keep, *terms.keep]
    return terms
