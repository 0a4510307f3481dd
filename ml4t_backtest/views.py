"""What a strategy sees of a bar: lazy mappings over the panels, re-pointed by one shared clock.

No dict is built per bar. A bar object is the same object on every bar and reads `column[clock[0]]`; the clock is one
list that the host moves. User code may keep such an object, so after every bar the host calls `settle`: whatever is
still referenced from outside gets a clock of its own that never moves again, and a fresh object takes its place.
"""

from __future__ import annotations

import sys
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from itertools import compress
from operator import attrgetter
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
_signals_of = attrgetter("_signals")


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


class Bar(Mapping[str, Any]):
    """Open, high, low, close, volume and signals of one asset on one bar. A missing price is None."""

    __slots__ = ("_asset", "_clock", "_columns", "_signals")

    def __init__(self, asset: str, clock: list[int], columns: dict[str, Any]) -> None:
        self._asset = asset
        self._clock = clock
        self._columns = columns
        self._signals: Mapping[str, Any] = _NO_SIGNALS

    def __getitem__(self, name: str) -> Any:
        if name == "signals":
            return self._signals
        try:
            value = self._columns[name][self._clock[0]]
        except KeyError:
            raise KeyError(self._unknown(name)) from None
        return value if value == value else None  # noqa: PLR0124 - NaN

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or `default` when bars have no such field."""
        if name == "signals":
            return self._signals
        column = self._columns.get(name)
        if column is None:
            return default
        value = column[self._clock[0]]
        return value if value == value else None  # noqa: PLR0124 - NaN

    def __iter__(self) -> Iterator[str]:
        yield from self._columns
        yield "signals"

    def __len__(self) -> int:
        return len(self._columns) + 1

    def __repr__(self) -> str:
        return f"Bar({self._asset!r}, {dict(self)!r})"

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (plain_bar(self),)  # copies and pickles are plain dicts

    def _unknown(self, name: str) -> str:
        if name in self._signals:
            return f"bar of {self._asset!r} has no field {name!r}; it is a signal: bar['signals'][{name!r}]"
        fields = (*self._columns, "signals")
        return (
            f"bar of {self._asset!r} has no field {name!r}, only {', '.join(fields)}{did_you_mean(str(name), fields)}"
            " Other columns belong into signals_df."
        )

    def _freeze(self, clock: list[int]) -> None:
        self._clock = clock
        if isinstance(self._signals, Signals):
            self._signals._clock = clock


class Data(Mapping[str, Bar]):
    """The bars of all assets that have one now: `data["AAPL"]["close"]`, `for asset, bar in data.items()`."""

    __slots__ = ("_bars", "_everything", "_touched")

    def __init__(self, bars: dict[str, Bar]) -> None:
        self._bars = bars
        self._touched: list[Bar] = []
        self._everything = False

    def __getitem__(self, asset: str) -> Bar:
        try:
            bar = self._bars[asset]
        except KeyError:
            hint = did_you_mean(str(asset), self._bars)
            raise KeyError(f"no bar of {asset!r} now; assets with one: {shortened(self._bars)}{hint}") from None
        self._touched.append(bar)
        return bar

    def get(self, asset: str, default: Any = None) -> Any:
        """Return the bar of an asset, or `default` when it has none now."""
        bar = self._bars.get(asset)
        if bar is None:
            return default
        self._touched.append(bar)
        return bar

    def __contains__(self, asset: object) -> bool:
        return asset in self._bars

    def __iter__(self) -> Iterator[str]:
        return iter(self._bars)

    def __len__(self) -> int:
        return len(self._bars)

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

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, ({asset: plain_bar(bar) for asset, bar in self._bars.items()},)

    def __repr__(self) -> str:
        return f"Data({dict(self._bars)!r})"


class DataWindow:
    """Makes the `Data` of each bar and protects what user code keeps of it. One per run."""

    def __init__(self, panels: Panels) -> None:
        self._panels = panels
        self._clock = [0]
        self._all: dict[str, Bar] = {}
        for column, asset in enumerate(panels.assets):
            self._all[asset] = self._new_bar(asset, column)
        self._columns = {asset: column for column, asset in enumerate(panels.assets)}
        self._complete = panels.complete
        self._has_signals = bool(panels.signals)
        self._few = len(panels.assets) // 2
        self._shown = -1  # the bar whose presence `data` shows
        self.data = Data(dict(self._all))
        self._calibrate()

    def _new_bar(self, asset: str, column: int) -> Bar:
        fields = {name: self._panels.price_views[name][column] for name in PRICE_FIELDS}
        bar = Bar(asset, self._clock, fields)
        if self._panels.signal_views:
            decoders = self._panels.decoders
            plain = {name: views[column] for name, views in self._panels.signal_views.items() if name not in decoders}
            coded = {name: (self._panels.signal_views[name][column], decode) for name, decode in decoders.items()}
            bar._signals = Signals(self._clock, plain, coded)
        return bar

    def _calibrate(self) -> None:
        """Learn the reference counts of objects that nobody keeps, by the very expressions that `settle` uses."""
        self._idle_bar = max(map(_references, self.data._bars.values()), default=0)
        self._idle_signals = max(map(_references, map(_signals_of, self._all.values())), default=0)
        self._idle_bars = _references(self.data._bars)
        self._idle_data = _references(self.data)

    def show(self, now: int) -> Data:
        """Move the clock to bar `now` and return the data of that bar."""
        self._clock[0] = now
        data = self.data
        if not self._complete and (self._shown < 0 or not self._panels.same_presence(self._shown, now)):
            data._bars = self._present(now)
            self._shown = now
        return data

    def _present(self, now: int) -> dict[str, Bar]:
        return dict(compress(self._all.items(), self._panels.presence_row(now)))

    def settle(self) -> None:
        """End the turn of user code: freeze what it kept of this bar. Call before anything moves."""
        if _references(self.data) > self._idle_data:
            self._replace_all()
            return
        touched = self.data._touched
        if self.data._everything or len(touched) > self._few:
            touched.clear()
            self.data._everything = False
            if _references(self.data._bars) > self._idle_bars:
                self._replace_all()
            elif self._any_kept():
                self._replace_kept(list(self.data._bars))
        elif touched:
            names = {bar._asset for bar in touched} if len(touched) > 1 else (touched[0]._asset,)
            touched.clear()
            for name in names:
                if _references(self._all[name]) > self._idle_bar or (
                    self._has_signals and _references(self._all[name]._signals) > self._idle_signals
                ):
                    self._replace_kept([name])

    def _any_kept(self) -> bool:
        """Tell whether any bar or signals of this bar is referenced from outside."""
        bars = self.data._bars.values()
        if not bars:
            return False
        if max(map(_references, bars)) > self._idle_bar:
            return True
        return self._has_signals and max(map(_references, map(_signals_of, bars))) > self._idle_signals

    def _replace_kept(self, names: list[str]) -> None:
        frozen = [self._clock[0]]
        for name in names:
            if _references(self._all[name]) > self._idle_bar or (
                self._has_signals and _references(self._all[name]._signals) > self._idle_signals
            ):
                self._all[name]._freeze(frozen)
                self._all[name] = self.data._bars[name] = self._new_bar(name, self._columns[name])

    def _replace_all(self) -> None:
        frozen = [self._clock[0]]
        for name in self.data._bars:
            self._all[name]._freeze(frozen)
            self._all[name] = self._new_bar(name, self._columns[name])
        self.data = Data({name: self._all[name] for name in self.data._bars})


def plain_bar(bar: Bar) -> dict[str, Any]:
    """Return a bar as a fresh plain dict with a plain dict of signals."""
    fields = dict(bar)
    fields["signals"] = dict(fields["signals"])
    return fields
