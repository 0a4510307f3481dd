"""Contract specs: the arguments, prices on the tick, the bundled futures and the registry."""

from __future__ import annotations

import dataclasses
import inspect
import math
import pickle
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pandas_market_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import contracts
from ml4t_backtest.contracts import (
    AssetClass,
    ContractSpec,
    get_contract_spec,
    list_contract_specs,
    register_contract_spec,
    round_to_tick,
    unregister_contract_spec,
)
from ml4t_backtest.types import OrderSide, OrderType

# what one tick makes on one contract, in its currency, written down apart from multipliers and tick sizes
TICK_VALUES = {
    0.5: "MNQ M2K MYM",
    0.625: "M6B",
    1: "MCL MGC M6A",
    1.25: "MES MHG M6E",
    4.2: "HO RB",
    5: "NQ RTY YM SIL PL 6A 6C 6N 6M DX CT",
    6: "ZL",
    6.25: "6E 6J 6B 6S",
    7.5: "OJ",
    7.8125: "ZT ZF",
    10: "EMD CL BZ BRN NG GC ZM LE HE CC",
    11.2: "SB",
    12.5: "ES QM QG HG ZC ZW KE ZO ZS GF",
    15.625: "ZN TN",
    18.75: "KC",
    25: "NKD SI",
    31.25: "ZB UB",
    50: "VX PA",
    2500: "NIY",
}
TICK_VALUE = {symbol: value for value, symbols in TICK_VALUES.items() for symbol in symbols.split()}
# a price that was traded at some time and what one contract was worth then [thousands of its currency], to find units mixed up
WORTH: dict[str, tuple[float, float]] = {
    "ES": (5000, 250),
    "CL": (75, 75),
    "GC": (2000, 200),
    "ZN": (110, 110),
    "ZT": (102, 204),
    "ZC": (450, 22.5),
    "ZL": (50, 30),
    "ZM": (350, 35),
}
WORTH |= {
    "LE": (180, 72),
    "GF": (250, 125),
    "6E": (1.10, 137.5),
    "6J": (0.007, 87.5),
    "6B": (1.25, 78.125),
    "HG": (4, 100),
    "NG": (3, 30),
    "HO": (2.5, 105),
}
WORTH |= {
    "KC": (200, 75),
    "SB": (20, 22.4),
    "CT": (80, 40),
    "CC": (8000, 80),
    "OJ": (300, 45),
    "DX": (104, 104),
    "VX": (15, 15),
    "SI": (25, 125),
}


@pytest.fixture(autouse=True)
def _registry_as_before() -> Iterator[None]:
    before = dict(contracts._registered)
    yield
    contracts._registered.clear()
    contracts._registered.update(before)


def test_the_published_order_of_arguments_and_todays_form() -> None:
    full = ContractSpec("ES", AssetClass.FUTURE, 50, 0.25, 15_000, "USD")
    assert (full.symbol, full.asset_class, full.multiplier, full.tick_size) == ("ES", AssetClass.FUTURE, 50.0, 0.25)
    assert (full.margin, full.initial_margin, full.currency, full.tick_value) == (15_000.0, 15_000.0, "USD", 12.5)
    assert list(inspect.signature(ContractSpec).parameters)[:6] == [
        "symbol",
        "asset_class",
        "multiplier",
        "tick_size",
        "margin",
        "currency",
    ]
    short = ContractSpec("ES", multiplier=np.int64(50))  # type: ignore[arg-type]
    assert (short.asset_class, short.multiplier, short.tick_size, short.margin) == (AssetClass.EQUITY, 50.0, 0.01, None)
    assert isinstance(short.multiplier, float)
    assert ContractSpec("ES", initial_margin=9.0) == ContractSpec("ES", margin=9.0)  # type: ignore[call-arg]
    assert pickle.loads(pickle.dumps(full)) == full
    with pytest.raises(dataclasses.FrozenInstanceError):
        full.multiplier = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("spelling", [AssetClass.FOREX, "forex", "FOREX", " Forex "])
def test_asset_class_spellings(spelling: Any) -> None:
    assert ContractSpec("EURUSD", spelling).asset_class is AssetClass.FOREX


def test_a_multiplier_in_the_place_of_the_asset_class_is_explained() -> None:
    with pytest.raises(TypeError, match=r"ContractSpec\('ES'\): asset_class was the number 50.*multiplier=50$"):
        ContractSpec("ES", 50)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="asset_class was 'futures', expected one of .*did you mean 'future'"):
        ContractSpec("ES", "futures")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no argument 'multiplyr'; did you mean 'multiplier'"):
        ContractSpec("ES", multiplyr=50)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="got both 'margin' and its other spelling 'initial_margin'"):
        ContractSpec("ES", margin=1, initial_margin=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("field", ["multiplier", "tick_size", "margin", "maintenance_margin", "lot_size"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "5", True, 10**400])
def test_numbers_are_finite_and_positive(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"ContractSpec\('ES'\): {field} was .*, expected a finite number > 0"):
        ContractSpec("ES", **({"margin": 1.0} | {field: value}))


@pytest.mark.parametrize("field", ["multiplier", "tick_size", "currency"])
def test_none_is_refused_where_a_value_is_needed(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} was None"):
        ContractSpec("ES", **{field: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["currency", "exchange", "calendar", "name", "quoted_in"])
@pytest.mark.parametrize("value", ["", " ", 5])
def test_texts_are_not_empty(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"ContractSpec\('ES'\): {field} was {value!r}"):
        ContractSpec("ES", **{field: value})


@pytest.mark.parametrize("symbol", ["", " ", None, 5])
def test_a_spec_needs_a_symbol(symbol: Any) -> None:
    with pytest.raises(ValueError, match="symbol was"):
        ContractSpec(symbol)


def test_maintenance_margin_given_assumed_or_unknown() -> None:
    assert ContractSpec("ES", margin=100.0, maintenance_margin=90.0).effective_maintenance_margin == 90.0
    assert ContractSpec("ES", margin=100.0).effective_maintenance_margin == 50.0
    assert ContractSpec("ES").effective_maintenance_margin is None
    assert ContractSpec("ES", margin=100.0, maintenance_margin=100.0).effective_maintenance_margin == 100.0
    with pytest.raises(ValueError, match=r"ContractSpec\('ES'\): maintenance_margin was 101.0, expected at most the margin of 100.0"):
        ContractSpec("ES", margin=100.0, maintenance_margin=101.0)
    with pytest.raises(ValueError, match="maintenance_margin was 90.0 without a margin"):
        ContractSpec("ES", maintenance_margin=90.0)


@pytest.mark.parametrize(
    ("price", "tick", "down", "up"),
    [
        (5000.10, 0.25, 5000.0, 5000.25),
        (5000.25, 0.25, 5000.25, 5000.25),
        (0.1 + 0.2, 0.1, 0.3, 0.3),  # the sum lies above 0.3
        (0.7 - 0.1, 0.1, 0.6, 0.6),  # the difference lies below 0.6
        (0.35, 0.1, 0.3, 0.4),
        (110 + 3 / 64 + 1 / 256, 1 / 64, 110 + 3 / 64, 110 + 4 / 64),
        (118.6, 1 / 32, 118 + 19 / 32, 118 + 20 / 32),
        (0.00678912, 0.0000005, 0.006789, 0.0067895),
        (-37.634, 0.01, -37.64, -37.63),
        (-0.001, 0.01, -0.01, 0.0),
        (0, 5, 0.0, 0.0),
        (1e9 + 0.004, 0.01, 1e9, 1e9 + 0.01),  # 4e-12 of the price, yet four tenths of a tick
        (100.0 + 5e-8, 0.01, 100.0, 100.0),
        (100.0 + 2e-7, 0.01, 100.0, 100.01),
        (np.float64(4.35), np.float64(0.05), 4.35, 4.35),
    ],
)
def test_prices_go_to_the_tick(price: float, tick: float, down: float, up: float) -> None:
    assert (round_to_tick(price, tick, up=False), round_to_tick(price, tick, up=True)) == (down, up)


TICKS = st.sampled_from([0.01, 0.1, 0.25, 0.05, 0.025, 1 / 32, 1 / 64, 1 / 128, 1 / 256, 0.0005, 0.00005, 0.0000005, 1.0, 5.0])


@given(price=st.floats(-1e6, 1e6), tick=TICKS)
def test_rounding_stays_on_its_side_within_a_tick_and_is_settled(price: float, tick: float) -> None:
    down, up = (round_to_tick(price, tick, up=direction) for direction in (False, True))
    slack = 1e-9 * abs(price) + 1e-12
    assert down - slack <= price <= up + slack
    assert up - down <= tick + slack
    for rounded in (down, up):
        assert abs(price - rounded) < tick + slack
        ticks = Fraction(repr(rounded)) / Fraction(repr(tick))
        assert abs(ticks - round(ticks)) * Fraction(tick) <= math.ulp(rounded)
        assert round_to_tick(rounded, tick, up=True) == round_to_tick(rounded, tick, up=False) == rounded


@given(count=st.integers(-(10**6), 10**6), tick=TICKS)
def test_products_of_ticks_are_on_the_tick(count: int, tick: float) -> None:
    assert round_to_tick(count * tick, tick, up=True) == round_to_tick(count * tick, tick, up=False) == float(count * Fraction(repr(tick)))


@given(low=st.floats(-1e5, 1e5), high=st.floats(-1e5, 1e5), tick=TICKS, up=st.booleans())
def test_rounding_keeps_the_order_of_prices(low: float, high: float, tick: float, up: bool) -> None:
    low, high = sorted((low, high))
    assert round_to_tick(low, tick, up=up) <= round_to_tick(high, tick, up=up)


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf, "5", None, True])
def test_rounding_refuses_what_is_no_price(price: Any) -> None:
    with pytest.raises(ValueError, match="round_to_tick: price was"):
        round_to_tick(price, 0.01, up=True)
    with pytest.raises(ValueError, match="round_to_tick: tick_size was"):
        round_to_tick(5.0, price, up=True)


def test_orders_round_to_the_safe_side() -> None:
    spec = ContractSpec("ES", tick_size=0.25)
    rounded = {(side, kind): spec.round_price(10.1, side, kind) for side in ("buy", "sell") for kind in ("limit", "stop")}
    assert rounded == {("buy", "limit"): 10.0, ("sell", "limit"): 10.25, ("buy", "stop"): 10.25, ("sell", "stop"): 10.0}
    assert spec.round_price(10.1, OrderSide.SELL, OrderType.STOP) == 10.0
    assert spec.round_price(10.1, "SELL", "Limit") == 10.25
    with pytest.raises(ValueError, match=r"kind was 'market', expected one of \['limit', 'stop'\]"):
        spec.round_price(10.1, "buy", OrderType.MARKET)
    with pytest.raises(ValueError, match="side was 'by', expected one of .*did you mean 'buy'"):
        spec.round_price(10.1, "by", "stop")


def test_bundled_futures_have_the_tick_values_of_the_exchanges() -> None:
    specs = {spec.symbol: spec for spec in list_contract_specs()}
    assert specs.keys() == TICK_VALUE.keys()
    for symbol, value in TICK_VALUE.items():
        assert specs[symbol].tick_value == pytest.approx(value, rel=1e-12), symbol


@pytest.mark.parametrize(("symbol", "price", "thousands"), [(symbol, *worth) for symbol, worth in WORTH.items()])
def test_bundled_futures_are_worth_what_their_unit_of_price_says(symbol: str, price: float, thousands: float) -> None:
    assert price * get_contract_spec(symbol).multiplier == pytest.approx(1000 * thousands, rel=1e-12)


def test_bundled_futures_are_described_and_carry_no_invented_margins() -> None:
    known = set(pandas_market_calendars.get_calendar_names())
    for spec in list_contract_specs():
        assert spec.asset_class is AssetClass.FUTURE
        assert spec.margin is spec.maintenance_margin is None
        assert spec.name
        assert spec.quoted_in
        assert spec.exchange in {"CME", "CBOT", "NYMEX", "COMEX", "ICE US", "ICE Europe", "Cboe"}
        assert spec.calendar in known or (spec.calendar is None and spec.exchange == "ICE Europe"), spec.symbol
        assert spec.currency == ("JPY" if spec.symbol == "NIY" else "USD")


FORMS = [
    ("ES", "ES"),
    (" es ", "ES"),
    ("ESH5", "ES"),
    ("esz24", "ES"),
    ("ESZ2024", "ES"),
    ("ES=F", "ES"),
    ("ES.c.0", "ES"),
    ("es.V.12", "ES"),
]


@pytest.mark.parametrize(("form", "root"), [*FORMS, ("6EU24", "6E"), ("M2KZ5", "M2K"), ("NGN5", "NG"), ("ZTH2025", "ZT")])
def test_forms_of_a_symbol(form: str, root: str) -> None:
    assert get_contract_spec(form).symbol == root


@pytest.mark.parametrize("symbol", ["ESA5", "ESH", "ESH255", "H5", "ES.x.0", "ES.c", "", "ES=X", "XXH5"])
def test_what_is_no_form_is_unknown(symbol: str) -> None:
    with pytest.raises(ValueError, match=f"'{symbol}' is none of the {len(TICK_VALUE)} known contracts"):
        get_contract_spec(symbol)


def test_unknown_symbols_get_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean 'MNQ'"):
        get_contract_spec("MNQQ")
    with pytest.raises(TypeError, match="symbol was a int"):
        get_contract_spec(5)  # type: ignore[arg-type]


def test_registering_overriding_and_forgetting() -> None:
    mine = ContractSpec("Ab", AssetClass.FUTURE, multiplier=7)
    register_contract_spec(mine)
    register_contract_spec(mine)
    assert get_contract_spec("aB") is get_contract_spec("ABZ5") is mine
    assert [spec.symbol for spec in list_contract_specs()] == sorted([*TICK_VALUE, "Ab"], key=str.upper)
    rich = dataclasses.replace(get_contract_spec("ES"), margin=15_000)
    with pytest.raises(ValueError, match="'ES' is known already.*overwrite=True"):
        register_contract_spec(rich)
    register_contract_spec(rich, overwrite=True)
    assert get_contract_spec("es").margin == get_contract_spec("ESH5").margin == 15_000
    unregister_contract_spec("es")
    unregister_contract_spec("AB")
    assert get_contract_spec("ES").margin is None
    with pytest.raises(ValueError, match="'ES' was not registered"):
        unregister_contract_spec("ES")
    with pytest.raises(TypeError, match="spec was a str"):
        register_contract_spec("ES")  # type: ignore[arg-type]


def test_only_futures_have_delivery_months() -> None:
    register_contract_spec(ContractSpec("ABC"))
    assert get_contract_spec("ABC").asset_class is AssetClass.EQUITY
    with pytest.raises(ValueError, match="did you mean 'ABC'"):
        get_contract_spec("ABCH5")
