"""What one unit of an asset is worth: contract specs, the common futures, margins, and prices on the tick.

Nothing here is applied by itself: a run uses the specs it is given (`Engine(..., contract_specs={"ES": get_contract_spec("ES")})`),
so a stock whose ticker is also a future's (CL, SI) keeps its multiplier of 1.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from numbers import Real
from typing import Any

from ml4t_backtest.contract_data import is_missing, named_rows, published_futures
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.spelling import accepts

__all__ = [
    "AssetClass",
    "ContractSpec",
    "apply_margins",
    "get_contract_spec",
    "list_contract_specs",
    "load_contract_specs",
    "load_margin_table",
    "register_contract_spec",
    "round_to_tick",
    "unregister_contract_spec",
]

# what the published engine assumes of a contract whose maintenance margin is not said
_MAINTENANCE_SHARE = 0.5
# how far from a tick a price may lie and still stand on it: floating error of a sum or product of prices, never a real step
_ON_TICK, _ON_TICK_SHARE = Fraction(1, 10**9), Fraction(1, 100)
_NEAR_TICK = 0.95  # part of a tick from which a price is the next tick
_NUMBERS = ("multiplier", "tick_size", "margin", "maintenance_margin", "lot_size")
_TEXTS = ("exchange", "calendar", "name", "quoted_in")
_ROUNDS_UP = {("buy", "limit"): False, ("sell", "limit"): True, ("buy", "stop"): True, ("sell", "stop"): False}
_FORMS = (re.compile(r"(.+)[FGHJKMNQUVXZ](?:\d{1,2}|\d{4})"), re.compile(r"(.+)=F"), re.compile(r"(.+)\.[CNV]\.\d+"))
_MARGIN_COLUMNS = {"initial": ("initial", "initial_margin", "margin"), "maintenance": ("maintenance", "maintenance_margin")}


class AssetClass(Enum):
    """What kind of thing is traded."""

    EQUITY = "equity"
    FUTURE = "future"
    FOREX = "forex"
    CRYPTO = "crypto"


@accepts(initial_margin="margin")
@dataclass(frozen=True, slots=True)
class ContractSpec:
    """The contract behind a symbol. Only the symbol is required; `ContractSpec("ES", multiplier=50)` is enough for right P&L.

    symbol: the name of the contract. asset_class: an `AssetClass` or its name. multiplier: money that one point of price
    makes on one unit (50 for the E-mini S&P 500). tick_size: smallest step of the price. margin (or `initial_margin`) and
    maintenance_margin: money per contract, None when unknown. currency: of the multiplier and the margins. exchange: its
    name. calendar: a name of pandas_market_calendars, looked up when it is used. lot_size: smallest step of the quantity,
    None for that of the account's share type. name, quoted_in: for people; what one point of price is ("cents per bushel").

    Raises ValueError, naming symbol, field and value, for a number that is not finite and > 0, a maintenance margin above
    `margin` or without one, an empty text or an unknown asset class; TypeError for a number as asset class.
    """

    symbol: str
    asset_class: AssetClass = AssetClass.EQUITY
    multiplier: float = 1.0
    tick_size: float = 0.01
    margin: float | None = None
    currency: str = "USD"
    maintenance_margin: float | None = None
    exchange: str | None = None
    calendar: str | None = None
    lot_size: float | None = None
    name: str | None = None
    quoted_in: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.symbol, str) or not self.symbol.strip():
            raise ValueError(f"ContractSpec: symbol was {self.symbol!r}, expected a text that is not empty")
        owner = f"ContractSpec({self.symbol!r})"
        object.__setattr__(self, "asset_class", _asset_class(self.asset_class, owner))
        for field in _NUMBERS:
            value = getattr(self, field)
            if value is not None or field in ("multiplier", "tick_size"):
                object.__setattr__(self, field, _positive(value, field, owner))
        for field in ("currency", *_TEXTS):
            value = getattr(self, field)
            if (value is not None or field == "currency") and not (isinstance(value, str) and value.strip()):
                raise ValueError(f"{owner}: {field} was {value!r}, expected a text that is not empty")
        _check_margins(self.margin, self.maintenance_margin, owner)

    @property
    def initial_margin(self) -> float | None:
        """`margin`, under its other common name [money per contract]."""
        return self.margin

    @property
    def effective_maintenance_margin(self) -> float | None:
        """The maintenance margin [money per contract]: the one given, else half of `margin`, as the published engine has it."""
        if self.maintenance_margin is not None or self.margin is None:
            return self.maintenance_margin
        return self.margin * _MAINTENANCE_SHARE

    @property
    def tick_value(self) -> float:
        """What one tick makes on one contract [money]: 12.50 for the E-mini S&P 500."""
        return self.tick_size * self.multiplier

    def round_price(self, price: float, side: str | Enum, kind: str | Enum) -> float:
        """Return `price` on the tick, in the direction in which an order promises no more than it was asked to.

        side: buy or sell. kind: limit or stop, as text or as member of `OrderSide` and `OrderType`. Buy limits and sell
        stops round down, sell limits and buy stops up: a limit never pays more, a stop never fires earlier. A stop-limit
        order has one price of each kind. Raises ValueError for another side or kind, and as `round_to_tick`.
        """
        chosen = (_choice(side, "side", ("buy", "sell")), _choice(kind, "kind", ("limit", "stop")))
        return round_to_tick(price, self.tick_size, up=_ROUNDS_UP[chosen])


def round_to_tick(price: float, tick_size: float, *, up: bool) -> float:
    """Return the nearest multiple of `tick_size` at or above (`up`) or at or below `price`, as the float that prints so.

    The numbers are taken as they print, so ticks of 0.1 and of 1/32 are exact: 0.1 + 0.2 is on the tick 0.1 and gives 0.3.
    A price within 1e-9 of itself from a tick, and within a hundredth of a tick, is that tick. Prices may be zero or
    negative (up is towards plus infinity). Raises ValueError when `price` is not finite or `tick_size` not finite and > 0.
    """
    exact_tick = Fraction(repr(_positive(tick_size, "tick_size", "round_to_tick")))
    if isinstance(price, bool) or not isinstance(price, Real) or not math.isfinite(price):
        raise ValueError(f"round_to_tick: price was {price!r}, expected a finite number")
    exact = Fraction(repr(float(price)))
    ticks = exact / exact_tick
    nearest = round(ticks)
    if abs(exact - nearest * exact_tick) > min(abs(exact) * _ON_TICK, exact_tick * _ON_TICK_SHARE):
        nearest = math.ceil(ticks) if up else math.floor(ticks)
    return float(nearest * exact_tick)


def round_near_tick(price: float, tick_size: float, *, up: bool) -> float:
    """Return the multiple of `tick_size` above (`up`) or below `price`, or the one on the other side within 5 % of a tick of it.

    Plain float arithmetic, as Zipline's: the result is the tick times a whole number, which may miss the float that prints so by
    rounding. Half ticks after the shift go up.
    """
    places = max(0, -int(Decimal(repr(tick_size)).as_tuple().exponent))
    shift = (_NEAR_TICK - 0.5) * 10.0**-places * round(tick_size * 10**places) - 10.0 * sys.float_info.epsilon
    ticks = (price + shift if up else price - shift) / tick_size
    return tick_size * float(math.floor(ticks) + (1 if ticks % 1 >= 0.5 else 0))  # noqa: PLR2004 - half a tick


def _asset_class(value: object, owner: str) -> AssetClass:
    if isinstance(value, AssetClass):
        return value
    if isinstance(value, Real):
        raise TypeError(
            f"{owner}: asset_class was the number {value!r}; the second argument is an AssetClass,"
            f" the multiplier goes by name: multiplier={value!r}"
        )
    choices = [candidate.value for candidate in AssetClass]
    return AssetClass(_choice(value, f"{owner}: asset_class", choices))


def _choice(value: object, argument: str, choices: list[str] | tuple[str, ...]) -> str:
    text = str(value.value if isinstance(value, Enum) else value)
    if text.strip().lower() not in choices:
        raise ValueError(f"{argument} was {text!r}, expected one of {list(choices)}{did_you_mean(text, choices)}")
    return text.strip().lower()


def _positive(value: object, field: str, owner: str) -> float:
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{owner}: {field} was {value!r}, expected a finite number > 0")
    return number


def _check_margins(margin: float | None, maintenance: float | None, owner: str) -> None:
    if maintenance is not None and margin is None:
        raise ValueError(f"{owner}: maintenance_margin was {maintenance!r} without a margin, expected both")
    if maintenance is not None and margin is not None and maintenance > margin:
        raise ValueError(f"{owner}: maintenance_margin was {maintenance!r}, expected at most the margin of {margin!r}")


_registered: dict[str, ContractSpec] = {}


@functools.cache
def _published() -> dict[str, ContractSpec]:
    rows = published_futures()
    return {symbol: ContractSpec(symbol, AssetClass.FUTURE, lot_size=1.0, **_fields(row, symbol)) for symbol, row in rows.items()}


def _known(symbol: str) -> ContractSpec | None:
    name = symbol.strip().upper()
    exact = _registered.get(name) or _published().get(name)
    if exact is not None:
        return exact
    for form in _FORMS:
        match = form.fullmatch(name)
        root = match and (_registered.get(match[1]) or _published().get(match[1]))
        if root and root.asset_class is AssetClass.FUTURE:
            return root
    return None


def _unknown(symbol: str) -> str:
    every = {**_published(), **_registered}
    return f"{symbol!r} is none of the {len(every)} known contracts{did_you_mean(symbol, every)}"


def get_contract_spec(symbol: str) -> ContractSpec:
    """Return the spec of a common future, or of what was registered under this name in this process.

    symbol: in any case, one of: the name itself ("ES"); a future with its delivery month, that is one of FGHJKMNQUVXZ and
    one, two or four digits of the year ("ESH5", "ESZ2024"); "ES=F"; "ES.c.0" (or .n. or .v., and any number). The name
    itself goes first. The spec of the last three is that of the root: its symbol is "ES".

    The bundled futures carry no margins; see `load_margin_table` and `register_contract_spec`. Raises TypeError for what is
    no text and ValueError for an unknown symbol, with the closest known one.
    """
    if not isinstance(symbol, str):
        raise TypeError(f"symbol was a {type(symbol).__name__}, expected text")
    spec = _known(symbol)
    if spec is None:
        raise ValueError(f"{_unknown(symbol)}; list_contract_specs() returns them, register_contract_spec(...) adds one")
    return spec


def list_contract_specs() -> list[ContractSpec]:
    """Return every known spec, bundled and registered, sorted by symbol: a list of its own, of frozen specs."""
    every = {**_published(), **_registered}
    return [every[name] for name in sorted(every)]


def register_contract_spec(spec: ContractSpec, *, overwrite: bool = False) -> None:
    """Let `get_contract_spec` find `spec` under its symbol, whatever the case, from now on in this process.

    Other processes, such as workers that are started later, know the bundled futures only. An equal spec may be registered
    again. Raises ValueError when another spec has the symbol and `overwrite` is False, TypeError for what is no spec.
    """
    if not isinstance(spec, ContractSpec):
        raise TypeError(f"spec was a {type(spec).__name__}, expected a ContractSpec")
    name = spec.symbol.strip().upper()
    former = _registered.get(name) or _published().get(name)
    if former not in (None, spec) and not overwrite:
        raise ValueError(f"{spec.symbol!r} is known already, as {former!r}; overwrite=True replaces it")
    _registered[name] = spec


def unregister_contract_spec(symbol: str) -> None:
    """Forget what was registered under `symbol`; a bundled future of that name is found again. Raises ValueError if nothing was."""
    if _registered.pop(symbol.strip().upper(), None) is None:
        raise ValueError(f"{symbol!r} was not registered{did_you_mean(symbol, _registered)}")


def load_contract_specs(source: object) -> dict[str, ContractSpec]:
    """Return specs from a table, symbol as written to spec, ready for `contract_specs`. Nothing is registered.

    source: a mapping of symbol to fields; a path to such a YAML or JSON file, or to CSV or Parquet; or a frame. Tables have
    one column of symbols (symbol, asset, product or ticker) and one per field. Fields are those of `ContractSpec`, and
    `initial_margin`; null, NaN and empty cells say nothing. Numbers may be text, and fractions ("1/32").

    A symbol that `get_contract_spec` knows takes the fields that are given, and the others of the known contract:
    `ES: {margin: 15000, maintenance_margin: 13500}`. A symbol that is unknown, or known as another `asset_class`, is a new
    contract: it has to give `asset_class`, and a future `multiplier` and `tick_size`, too.

    Raises ValueError for an unknown field or a missing one, TypeError when fields are no mapping, and as `ContractSpec`.
    """
    return {symbol: _spec(symbol, row) for symbol, row in named_rows(source, "contract specs").items()}


def _spec(symbol: str, row: object) -> ContractSpec:
    owner = f"contract spec of {symbol!r}"
    values = _fields(row, owner)
    kind = _asset_class(values["asset_class"], owner) if "asset_class" in values else None
    base = _known(symbol)
    if base is not None and kind in (None, base.asset_class):
        return dataclasses.replace(base, symbol=symbol, **values)
    if kind is None:
        raise ValueError(f"{owner}: {_unknown(symbol)}; a new one has to give asset_class")
    for field in ("multiplier", "tick_size") if kind is AssetClass.FUTURE else ():
        if field not in values:
            raise ValueError(f"{owner}: a new future has to give {field}")
    return ContractSpec(symbol, **values)


def _fields(row: object, owner: str) -> dict[str, Any]:
    """Return the arguments of a `ContractSpec` that a row gives: numbers read, empty cells dropped, one spelling each."""
    if not isinstance(row, Mapping):
        raise TypeError(f"{owner} was {row!r}, expected a mapping of fields")
    fields = [*(field.name for field in dataclasses.fields(ContractSpec) if field.name != "symbol"), "initial_margin"]
    values: dict[str, Any] = {}
    for field, value in row.items():
        if field not in fields:
            raise ValueError(f"{owner}: unknown field {field!r}, expected one of {fields}{did_you_mean(str(field), fields)}")
        if is_missing(value):
            continue
        name = "margin" if field == "initial_margin" else field
        if name in values:
            raise ValueError(f"{owner}: got both 'margin' and its other spelling 'initial_margin'")
        values[name] = _from_text(value) if name in _NUMBERS else value
    return values


def _from_text(value: object) -> object:
    """Return the number that a text says, "1/32" included; all else as it is, for the checks of the spec to refuse."""
    if not isinstance(value, str):
        return value
    try:
        above, _, below = value.partition("/")
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return value


def load_margin_table(source: object) -> dict[str, tuple[float, float]]:
    """Return margins as symbol to (initial, maintenance) [money per contract], the form of `fixed_margin_schedule`.

    source: a mapping of symbol to a pair or to {"initial": ..., "maintenance": ...}; a path to such a YAML or JSON file, or
    to CSV or Parquet; or a frame. Columns, in any case: symbol (asset, product, ticker), initial (initial_margin, margin),
    maintenance (maintenance_margin); others are ignored. An empty maintenance is half of the initial margin.

    Raises ValueError for a missing column, a number that is not finite and > 0, a maintenance above the initial margin, or
    a symbol that comes twice; TypeError for a row that is neither a pair nor a mapping.
    """
    return {symbol: _margins(symbol, row) for symbol, row in named_rows(source, "margin table").items()}


def _margins(symbol: str, row: object) -> tuple[float, float]:
    owner = f"margins of {symbol!r}"
    if isinstance(row, (tuple, list)) and len(row) == len(_MARGIN_COLUMNS):
        row = dict(zip(_MARGIN_COLUMNS, row, strict=True))
    if not isinstance(row, Mapping):
        raise TypeError(f"{owner} were {row!r}, expected a pair (initial, maintenance) or a mapping with these names")
    given = {str(name).strip().lower().replace(" ", "_"): value for name, value in row.items()}
    cells = []
    for role, names in _MARGIN_COLUMNS.items():
        found = [name for name in names if name in given]
        if len(found) != 1:
            others = set(given).difference(*_MARGIN_COLUMNS.values()) if not found else ()
            hint = next(filter(None, (did_you_mean(name, names) for name in sorted(others))), "")
            raise ValueError(f"{owner}: expected one of {list(names)} for the {role} margin, got {found or list(given)}{hint}")
        cells.append(given[found[0]])
    initial = _positive(_from_text(cells[0]), "initial", owner)
    maintenance = initial * _MAINTENANCE_SHARE if is_missing(cells[1]) else _positive(_from_text(cells[1]), "maintenance", owner)
    _check_margins(initial, maintenance, owner)
    return initial, maintenance


def apply_margins(specs: Mapping[str, ContractSpec], table: object) -> dict[str, ContractSpec]:
    """Return `specs` with the margins of `table`, anything that `load_margin_table` takes; the arguments stay as they are.

    A spec takes the row of its key in `specs`, else that of its own symbol, in any case; without one it keeps its margins.
    Rows that no spec asks for are ignored, as clearing houses list every product. Raises ValueError when no row is used,
    TypeError for what is no spec.
    """
    rows = {symbol.upper(): margins for symbol, margins in load_margin_table(table).items()}
    result = dict(specs)
    for asset, spec in specs.items():
        if not isinstance(spec, ContractSpec):
            raise TypeError(f"specs[{asset!r}] was a {type(spec).__name__}, expected a ContractSpec")
        margins = rows.get(asset.upper()) or rows.get(spec.symbol.upper())
        if margins is not None:
            result[asset] = dataclasses.replace(spec, margin=margins[0], maintenance_margin=margins[1])
    if rows and result and not any(spec is not specs[asset] for asset, spec in result.items()):
        raise ValueError(f"the margin table has {sorted(rows)}, none of the specs {sorted(specs)}")
    return result
