"""What a strategy sees of a bar: lazy mappings over the panels, re-pointed by one shared clock.

No dict is built per bar. A bar object is the same object on every bar and reads `column[clock[0]]`; the clock is one
list that the host moves. User code may keep such an object, so after every bar the host calls `settle`: whatever is
still referenced from outside gets a clock of its own that never moves again, and a fresh object takes its place.
"""

from __future__ import annotations

import sys
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from itertools import compress
from math import isnan
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml4t_backtest.panels import Panels

__all__ = ["Bar", "Data", "DataWindow", "Signals", "plain_bar"]

_ABSENT = object()
_NO_SIGNALS: Mapping[str, Any] = MappingProxyType({})

PRICE_FIELDS = ("open", "high", "low", "close", "volume")

_references = sys.getrefcount
_FEW_ASSETS = 16  # up to here a look at all of them is cheaper than a note of those asked for


class Signals(Mapping[str, Any]):
    """The signals of one asset on one bar. A missing signal (null or NaN) is an absent key, so `get` gives its default."""

    __slots__ = ("_clock", "_coded", "_columns")

    def __init__(self, clock: list[int], columns: dict[str, Any], coded: dict[str, tuple[Any, Callable[[float], Any]]]) -> None:
        self._clock = clock
        self._columns = columns  # plain floats
        self._coded = coded  # all else: the column of numbers, and what turns a number into the user's value

    def __getitem__(self, name: str) -> Any:
        value = self.get(name, _ABSENT)
        if value is _ABSENT:
            raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return the signal, or `default` when this bar has none of that name."""
        column = self._columns.get(name)
        if column is not None:
            value = column[self._clock[0]]
            return value if value == value else default  # noqa: PLR0124 - NaN
        if name not in self._coded:
            return default
        column, decode = self._coded[name]
        value = column[self._clock[0]]
        return decode(value) if value == value else default  # noqa: PLR0124 - NaN

    def __iter__(self) -> Iterator[str]:
        for name in (*self._columns, *self._coded):
            if self.get(name, _ABSENT) is not _ABSENT:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (dict(self),)  # copies and pickles are plain dicts


class _Constant:
    """A column that has the same value on every bar."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getitem__(self, bar: int) -> Any:
        return self._value


class Bar(Mapping[str, Any]):
    """Open, high, low, close, volume and signals of one asset on one bar."""

    __slots__ = ("_asset", "_clock", "_columns", "_signals")

    def __init__(self, asset: str, clock: list[int], columns: dict[str, Any], signals: Mapping[str, Any]) -> None:
        self._asset = asset
        self._clock = clock
        self._signals = signals
        self._columns = {**columns, "signals": _Constant(signals)}

    def __getitem__(self, name: str) -> Any:
        try:
            return self._columns[name][self._clock[0]]
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or `default` when bars have no such field."""
        if name == "signals":
            return self._signals
        column = self._columns.get(name)
        return default if column is None else column[self._clock[0]]

    def __iter__(self) -> Iterator[str]:
        yield from self._columns

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Bar({self._asset!r}, {dict(self)!r})"

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (plain_bar(self),)  # copies and pickles are plain dicts

    def _unknown(self, name: str) -> str:
        if name in self._signals:
            return f"bar of {self._asset!r} has no field {name!r}; it is a signal: bar['signals'][{name!r}]"
        fields = tuple(self._columns)
        return (
            f"bar of {self._asset!r} has no field {name!r}, only {', '.join(fields)}{did_you_mean(str(name), fields)}"
            " Other columns belong into signals_df."
        )

    def _freeze(self, clock: list[int]) -> None:
        self._clock = clock
        if isinstance(self._signals, Signals):
            self._signals._clock = clock


class GappyBar(Bar):
    """A bar of a feed in which some rows have no price: a missing price is None."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return None if isinstance(value, float) and isnan(value) else value

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, None for a missing price, or `default` when bars have no such field."""
        value = super().get(name, default)
        return None if isinstance(value, float) and isnan(value) and name in self._columns else value


class Data(Mapping[str, Bar]):
    """The bars of all assets that have one now: `data["AAPL"]["close"]`, `for asset, bar in data.items()`."""

    __slots__ = ("_bars",)

    def __init__(self, bars: dict[str, Bar]) -> None:
        self._bars = bars

    def __getitem__(self, asset: str) -> Bar:
        try:
            return self._bars[asset]
        except KeyError:
            raise KeyError(self._missing(asset)) from None

    def get(self, asset: str, default: Any = None) -> Any:
        """Return the bar of an asset, or `default` when it has none now."""
        return self._bars.get(asset, default)

    def __contains__(self, asset: object) -> bool:
        return asset in self._bars

    def __iter__(self) -> Iterator[str]:
        return iter(self._bars)

    def __len__(self) -> int:
        return len(self._bars)

    def keys(self) -> KeysView[str]:
        """Return the assets that have a bar now."""
        return self._bars.keys()

    def values(self) -> ValuesView[Bar]:
        """Return the bars."""
        return self._bars.values()

    def items(self) -> ItemsView[str, Bar]:
        """Return pairs of asset and bar."""
        return self._bars.items()

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, ({asset: plain_bar(bar) for asset, bar in self._bars.items()},)

    def __repr__(self) -> str:
        return f"Data({dict(self._bars)!r})"

    def _missing(self, asset: str) -> str:
        return f"no bar of {asset!r} now; assets with one: {shortened(self._bars)}{did_you_mean(str(asset), self._bars)}"


class TrackingData(Data):
    """Data of many assets: notes which bars were asked for, so that only those need a look afterwards."""

    __slots__ = ("_everything", "_touched")

    def __init__(self, bars: dict[str, Bar]) -> None:
        super().__init__(bars)
        self._touched: list[Bar] = []
        self._everything = False

    def __getitem__(self, asset: str) -> Bar:
        try:
            bar = self._bars[asset]
        except KeyError:
            raise KeyError(self._missing(asset)) from None
        self._touched.append(bar)
        return bar

    def get(self, asset: str, default: Any = None) -> Any:
        """Return the bar of an asset, or `default` when it has none now."""
        bar = self._bars.get(asset)
        if bar is None:
            return default
        self._touched.append(bar)
        return bar

    def keys(self) -> KeysView[str]:
        """Return the assets that have a bar now."""
        self._everything = True
        return self._bars.keys()

    def values(self) -> ValuesView[Bar]:
        """Return the bars."""
        self._everything = True
        return self._bars.values()

    def items(self) -> ItemsView[str, Bar]:
        """Return pairs of asset and bar."""
        self._everything = True
        return self._bars.items()


class DataWindow:
    """Makes the `Data` of each bar and protects what user code keeps of it. One per run."""

    def __init__(self, panels: Panels) -> None:
        self._panels = panels
        self._clock = [0]
        self._columns = panels.column_of
        self._all = {asset: self._new_bar(asset) for asset in panels.assets}
        self._complete = panels.complete
        self._tracks = len(panels.assets) > _FEW_ASSETS
        self._most = len(panels.assets) // 2
        self._shown = -1  # the bar whose presence `data` shows
        self.data = self._new_data(dict(self._all))
        self._guard()

    def _new_data(self, bars: dict[str, Bar]) -> Data:
        return TrackingData(bars) if self._tracks else Data(bars)

    def _new_bar(self, asset: str) -> Bar:
        panels, column = self._panels, self._columns[asset]
        fields = {name: panels.price_views[name][column] for name in PRICE_FIELDS}
        signals: Mapping[str, Any] = _NO_SIGNALS
        if panels.signals:
            decoders = panels.decoders
            plain = {name: views[column] for name, views in panels.signal_views.items() if name not in decoders}
            coded = {name: (panels.signal_views[name][column], decode) for name, decode in decoders.items()}
            signals = Signals(self._clock, plain, coded)
        return (Bar if panels.priced else GappyBar)(asset, self._clock, fields, signals)

    def _guard(self) -> None:
        """List what user code may keep, and learn the reference counts that these objects have when nobody keeps them.

        All bars are in `data` here; a bar that is not, for want of a row, has one reference less.
        """
        names = list(self._all)
        self._guarded: list[Any] = [self.data, self.data._bars, *self._all.values()]
        if self._panels.signals:
            self._guarded.extend([self._all[name]._signals for name in names])
        self._idle_data, self._idle_bars = map(_references, self._guarded[:2])
        self._idle_of = dict(zip(names, map(self._held, names), strict=True))
        self._idle = sum(map(_references, self._guarded))

    def _held(self, name: str) -> int:
        """Count the references to the bar of an asset and to its signals."""
        bar = self._all[name]
        return _references(bar) + (_references(bar._signals) if self._panels.signals else 0)

    def show(self, now: int) -> Data:
        """Move the clock to bar `now` and return the data of that bar."""
        self._clock[0] = now
        if not self._complete and (self._shown < 0 or not self._panels.same_presence(self._shown, now)):
            self._idle -= len(self.data._bars)
            self.data._bars = self._guarded[1] = dict(compress(self._all.items(), self._panels.presence_row(now)))
            self._idle += len(self.data._bars)
            self._shown = now
        return self.data

    def settle(self) -> None:
        """End the turn of user code: freeze what it kept of this bar. Call before anything moves.

        The common case is one sum over the reference counts of everything that can be kept.
        """
        if not self._tracks:
            if sum(map(_references, self._guarded)) != self._idle:
                self._freeze_kept(list(self.data._bars))
            return
        data: Any = self.data
        if data._everything or len(data._touched) > self._most:
            data._touched.clear()
            data._everything = False
            del data  # a reference of our own
            if sum(map(_references, self._guarded)) != self._idle:
                self._freeze_kept(list(self.data._bars))
        elif data._touched:
            names = [bar._asset for bar in data._touched]
            data._touched.clear()
            del data
            self._freeze_kept(names)
        else:
            del data
            self._freeze_kept([])

    def _freeze_kept(self, names: list[str]) -> None:
        """Freeze the data of this bar if it was kept, else those of the named bars that were, or whose signals were."""
        data, bars = map(_references, self._guarded[:2])
        if data > self._idle_data or bars > self._idle_bars:
            self.data = self._new_data({name: self._replace(name) for name in self.data._bars})
            self._guarded[:2] = [self.data, self.data._bars]
            return
        for name in names:
            if self._held(name) > self._idle_of[name]:
                self.data._bars[name] = self._replace(name)

    def _replace(self, name: str) -> Bar:
        """Freeze a bar and return the fresh one that takes its place on the next bars."""
        column = self._columns[name]
        self._all[name]._freeze([self._clock[0]])
        bar = self._new_bar(name)
        self._all[name] = self._guarded[2 + column] = bar
        if self._panels.signals:
            self._guarded[2 + len(self._columns) + column] = bar._signals
        return bar


def plain_bar(bar: Bar) -> dict[str, Any]:
    """Return a bar as a fresh plain dict with a plain dict of signals."""
    fields = dict(bar)
    fields["signals"] = dict(fields["signals"])
    return fields
