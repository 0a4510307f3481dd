"""Commission and slippage models by hand: formulas to the last bit, both spellings, choice by asset, bad settings."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.contracts import AssetClass
from ml4t_backtest.models import (
    AssetCommission,
    AssetSlippage,
    CombinedCommission,
    CommissionModel,
    CumulativeVolumeShareSlippage,
    FixedSlippage,
    FuturesCommission,
    FuturesSlippage,
    MakerTakerCommission,
    NoCommission,
    NoSlippage,
    PercentageCommission,
    PercentageSlippage,
    PerOrderCommission,
    PerOrderPerShareCommission,
    PerShareCommission,
    SlippageModel,
    SpreadSlippage,
    TieredCommission,
    VolatilityVolumeSlippage,
    VolumeShareSlippage,
)

INF, NAN = math.inf, math.nan
PRICED_BY_QUANTITY = [(0, 10_000, 0.01), (10_000, 100_000, 0.005), (100_000, INF, 0.001)]
PRICED_BY_VALUE = [(10_000.0, 0.002), (100_000.0, 0.001)]

quantities = st.floats(-1e6, 1e6).filter(lambda quantity: abs(quantity) > 1e-6)
prices = st.floats(0.01, 1e5)
volumes = st.floats(1.0, 1e9)

# of a sale of 3.1 contracts of multiplier 5 at 7
COMMISSIONS: list[tuple[Any, float]] = [
    (NoCommission(), 0.0),
    (PercentageCommission(), 3.1 * 7.0 * 5.0 * 0.001),
    (PercentageCommission(rate=0.01), 3.1 * 7.0 * 5.0 * 0.01),
    (PercentageCommission(0.02), 3.1 * 7.0 * 5.0 * 0.02),
    (PerShareCommission(), 1.0),
    (PerShareCommission(1.5), 3.1 * 1.5),
    (PerShareCommission(per_share=1.5, minimum=20.0), 20.0),
    (PerShareCommission(cost_per_share=0.01, min_cost=0.0), 3.1 * 0.01),
    (PerShareCommission(per_contract=2.5), 3.1 * 2.5),
    (CombinedCommission(0.001, 2.0), 3.1 * 7.0 * 5.0 * 0.001 + 2.0),
    (CombinedCommission(percentage=0.0001, per_share=0.005, min_cost=1.0), 1.0),
    (CombinedCommission(rate=0.01, per_share=0.5, per_trade=3.0, minimum=1.0), 3.1 * 7.0 * 5.0 * 0.01 + 3.1 * 0.5 + 3.0),
    (PerOrderCommission(4.95), 4.95),
    (PerOrderCommission(per_order=4.95), 4.95),
    (PerOrderPerShareCommission(1.0, 0.5), 3.1 * 0.5 + 1.0),
    (PerOrderPerShareCommission(fixed=1.0, per_share=0.5, min_cost=9.0), 9.0),
    (FuturesCommission(per_trade=1.0, per_block=0.5, percentage=0.01), 3.1 * 0.5),
    (FuturesCommission(per_trade=2.0, per_contract=0.5, rate=0.01), 2.0),
    (FuturesCommission(percentage=0.1), 3.1 * 7.0 * 5.0 * 0.1),
    (MakerTakerCommission(0.001, 0.002), 3.1 * 7.0 * 5.0 * 0.002),
]


@pytest.mark.parametrize(("model", "expected"), COMMISSIONS, ids=str)
def test_commission_of_an_order(model: Any, expected: float) -> None:
    assert model.calculate("ES", -3.1, 7.0, 5.0) == expected
    assert isinstance(model, CommissionModel)
    assert model == pickle.loads(pickle.dumps(model)) == copy.copy(model)


def test_the_multiplier_is_one_unless_said_otherwise() -> None:
    assert PercentageCommission(0.01).calculate("A", 10, 20.0) == 2.0
    assert MakerTakerCommission(-0.0001, 0.0005).calculate("A", 10, 100.0, is_maker=True) == -0.1


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [(100, 1.0), (10_000, 100.0), (10_001, 10_001 * 0.005), (100_000, 500.0), (-200_000, 200.0), (1e12, 1e9)],
)
def test_tiers_by_quantity_price_the_whole_order(quantity: float, expected: float) -> None:
    model = TieredCommission(tiers=PRICED_BY_QUANTITY)
    assert model.by_quantity
    assert model.calculate("A", quantity, 50.0, 7.0) == expected


@pytest.mark.parametrize(
    ("quantity", "multiplier", "expected"), [(100, 1.0, 20.0), (101, 1.0, 10_100 * 0.001), (-100, 2.0, 20.0), (5_000, 1.0, 500.0)]
)
def test_tiers_by_value_take_the_first_limit_not_below(quantity: float, multiplier: float, expected: float) -> None:
    model = TieredCommission(PRICED_BY_VALUE)
    assert not model.by_quantity
    assert model.calculate("A", quantity, 100.0, multiplier) == expected
    assert TieredCommission([[10_000, 0.002], [100_000, 0.001]]) == model  # as YAML gives them


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ([], "expected pairs .* or triples"),
        (5, "expected pairs"),
        ([(1.0,)], "expected pairs"),
        ([(0, 10, 0.1), (20, 0.1)], "not mixed"),
        ([("x", 0.1)], "expected pairs"),
        ([(0, 10, 0.1), (20, 30, 0.1)], r"starts at 20.0, expected 10, where the one before ends"),
        ([(5, 10, 0.1)], r"starts at 5.0, expected 0"),
        ([(10, 0.1), (10, 0.2)], r"limit of the tier \(10.0, 0.2\) is 10.0, expected more than 10"),
        ([(NAN, 0.1)], "expected more than 0"),
        ([(10, -0.1)], "rate=-0.1"),
        ([(10, NAN)], "rate=nan"),
        ([(INF, 0.1), (INF, 0.2)], "expected more than inf"),
    ],
)
def test_bad_tiers(tiers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TieredCommission(tiers)


@given(quantities, prices, volumes)
def test_slippage_formulas_hold_to_the_last_bit(quantity: float, price: float, volume: float) -> None:
    share = min(abs(quantity) / volume, 0.025)
    cumulated = min((50.0 + abs(quantity)) / volume, 0.025)
    for model, expected in (
        (NoSlippage(), 0.0),
        (FixedSlippage(amount=0.05), 0.05),
        (PercentageSlippage(percentage=0.0005), 0.0005 * price),
        (PercentageSlippage(rate=0.002), 0.002 * price),
        (VolumeShareSlippage(), price * 0.1 * share * share),
        (VolumeShareSlippage(volume_limit=0.025, price_impact=0.1), price * 0.1 * share * share),
        (VolumeShareSlippage(impact_factor=0.1), price * (abs(quantity) / volume) * 0.1),
        (VolatilityVolumeSlippage(0.5, 0.02), 0.5 * 0.02 * math.sqrt(abs(quantity) / volume) * price),
        (VolatilityVolumeSlippage(eta=0.5), 0.5 * 0.02 * math.sqrt(abs(quantity) / volume) * price),
        (SpreadSlippage(0.04), 0.02),
        (FuturesSlippage(points=0.25), 0.25),
        (FuturesSlippage(ticks=2, tick_size=0.25), 0.5),
    ):
        assert model.calculate("A", quantity, price, volume) == expected
        assert model.calculate("A", -quantity, price, np.float64(volume)) == expected
        assert isinstance(model, SlippageModel)
    assert CumulativeVolumeShareSlippage().calculate("A", quantity, price, volume, filled=50.0) == price * 0.1 * cumulated * cumulated
    assert CumulativeVolumeShareSlippage().calculate("A", quantity, price, volume) == VolumeShareSlippage().calculate(
        "A", quantity, price, volume
    )


@pytest.mark.parametrize("volume", [None, NAN, 0.0])
@pytest.mark.parametrize(
    "model",
    [VolumeShareSlippage(), VolumeShareSlippage(impact_factor=1.0), CumulativeVolumeShareSlippage(), VolatilityVolumeSlippage()],
    ids=str,
)
def test_no_known_volume_no_slippage_by_volume(model: Any, volume: float | None) -> None:
    assert model.calculate("A", 100.0, 10.0, volume) == 0.0


def test_two_orders_on_one_bar_cost_what_zipline_has() -> None:
    model = CumulativeVolumeShareSlippage()
    first = 104.0 + model.calculate("A", 100, 104.0, 10_000.0)
    second = 104.0 + model.calculate("A", 100, 104.0, 10_000.0, filled=100.0)
    assert (round(first, 5), round(second, 5)) == (104.00104, 104.00416)


def test_the_square_law_caps_the_fill_and_the_linear_law_does_not() -> None:
    assert VolumeShareSlippage().fillable(-400.0, 10_000.0) == 250.0
    assert VolumeShareSlippage().fillable(100.0, 10_000.0) == 100.0
    assert VolumeShareSlippage().fillable(100.0, 0.0) == 0.0
    assert VolumeShareSlippage().fillable(-100.0, None) == VolumeShareSlippage().fillable(100.0, NAN) == 100.0
    assert VolumeShareSlippage(impact_factor=0.1).fillable(-400.0, 10_000.0) == 400.0
    cumulative = CumulativeVolumeShareSlippage()
    assert [cumulative.fillable(100.0, 10_000.0, filled) for filled in (0.0, 200.0, 250.0, 300.0)] == [100.0, 50.0, 0.0, 0.0]
    assert cumulative.fillable(-100.0, None, 1e9) == 100.0


def test_spreads_come_from_the_asset_the_model_or_the_quotes() -> None:
    model = SpreadSlippage(spread_by_asset={"A": 0.10})
    assert model.calculate("A", 1, 10.0, bid=1.0, ask=9.0) == 0.05
    assert model.calculate("B", 1, 10.0, bid=9.5, ask=10.0) == 0.25
    assert SpreadSlippage(0.2, {"A": 0.1}).calculate("B", 1, 10.0) == 0.1
    assert SpreadSlippage(0.2, {"A": 0.1}).spread_of("A") == 0.1
    for quotes in ({}, {"bid": 9.0}, {"bid": NAN, "ask": 10.0}, {"bid": 9.0, "ask": None}):
        with pytest.raises(ValueError, match="no spread for 'B', and the bar no quote"):
            model.calculate("B", 1, 10.0, **quotes)
    with pytest.raises(ValueError, match=r"bid 10.0 of 'B' is above its ask 9.0"):
        model.calculate("B", 1, 10.0, bid=10.0, ask=9.0)


def test_ticks_need_a_tick_size() -> None:
    assert FuturesSlippage(ticks=2).calculate("ES", 1, 5000.0, tick_size=0.25) == 0.5
    assert FuturesSlippage(ticks=2, tick_size=0.5).calculate("ES", 1, 5000.0, tick_size=0.25) == 1.0
    with pytest.raises(ValueError, match=r"FuturesSlippage\(ticks=2\) needs the tick size of 'ES'"):
        FuturesSlippage(ticks=2).calculate("ES", 1, 5000.0)


class FlatFee:
    """A model of a user's own, with the arguments it needs and no others."""

    def calculate(self, asset: str, quantity: float, price: float) -> float:
        return 7.0


class ByMultiplier:
    def calculate(self, asset: str, quantity: float, price: float, **facts: Any) -> float:
        return facts["multiplier"]


def test_a_model_is_chosen_by_asset_then_class_then_default() -> None:
    by_asset = AssetCommission(
        {"ES": PerShareCommission(2.5), AssetClass.EQUITY: PercentageCommission(0.01), "OWN": FlatFee(), "ALL": ByMultiplier()},
        default=MakerTakerCommission(0.0, 0.001),
    )
    assert by_asset.calculate("ES", 2, 5000.0, 50.0, asset_class=AssetClass.EQUITY) == 5.0
    assert by_asset.calculate("AAPL", 2, 100.0, asset_class=AssetClass.EQUITY) == 2.0
    assert by_asset.calculate("AAPL", 2, 100.0) == 0.2
    assert by_asset.calculate("AAPL", 2, 100.0, is_maker=True) == 0.0
    assert by_asset.calculate("OWN", 2, 100.0, 50.0) == 7.0
    assert by_asset.calculate("ALL", 2, 100.0, 50.0) == 50.0
    assert isinstance(FlatFee(), CommissionModel)

    slippage = AssetSlippage({"ES": FuturesSlippage(ticks=1), "Q": SpreadSlippage()}, default=PercentageSlippage(0.01))
    assert slippage.calculate("ES", 1, 5000.0, tick_size=0.25, bid=1.0) == 0.25
    assert slippage.calculate("Q", 1, 10.0, None, bid=9.0, ask=11.0) == 1.0
    assert slippage.calculate("X", 1, 10.0, 5.0, filled=3.0) == 0.1
    assert slippage.model_for("Q") == SpreadSlippage()


def test_an_asset_without_a_model_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"AssetCommission has no model for 'AAPPL' and no default; it has models for 'AAPL'; did you mean 'AAPL'"
    ):
        AssetCommission({"AAPL": NoCommission()}).calculate("AAPPL", 1, 1.0)
    with pytest.raises(ValueError, match=r"AssetSlippage has no model for 'A'.*'future'"):
        AssetSlippage({AssetClass.FUTURE: NoSlippage()}).calculate("A", 1, 1.0, asset_class=AssetClass.EQUITY)


def test_changing_the_mapping_afterwards_changes_nothing() -> None:
    given_models: dict[Any, Any] = {"A": NoCommission()}
    model = AssetCommission(given_models)
    given_models["A"] = FlatFee()
    assert model.calculate("A", 1, 1.0) == 0.0


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: PercentageCommission(-0.1), ValueError, r"PercentageCommission\(percentage=-0.1\): expected a finite number >= 0"),
    (lambda: PercentageCommission(rate=NAN), ValueError, "percentage=nan"),
    (lambda: PercentageCommission("0.1"), ValueError, "percentage='0.1'"),
    (lambda: PercentageCommission(True), ValueError, "percentage=True"),
    (lambda: PercentageCommission(rate=0.1, percentage=0.1), TypeError, "both 'percentage' and its other spelling 'rate'"),
    (lambda: PerShareCommission(0.1, INF), ValueError, "min_cost=inf"),
    (lambda: PerShareCommission(min_cos=1.0), TypeError, "no argument 'min_cos'; did you mean 'min_cost'"),
    (lambda: CombinedCommission(fixed=-1.0), ValueError, "fixed=-1.0"),
    (lambda: PerOrderCommission(-1.0), ValueError, "amount=-1.0"),
    (lambda: PerOrderPerShareCommission(1.0, -1.0), ValueError, "per_share=-1.0"),
    (lambda: FuturesCommission(per_block=NAN), ValueError, "per_block=nan"),
    (lambda: MakerTakerCommission(INF, 0.1), ValueError, r"maker=inf\): expected a finite number$"),
    (lambda: MakerTakerCommission(0.1, -0.1), ValueError, "taker=-0.1"),
    (lambda: FixedSlippage(-0.1), ValueError, "amount=-0.1"),
    (lambda: VolumeShareSlippage(volume_limit=0.0), ValueError, "volume_limit=0.0.*> 0"),
    (lambda: VolumeShareSlippage(0.1, impact_factor=0.1), ValueError, "two laws"),
    (lambda: VolumeShareSlippage(impact_factor=-0.1), ValueError, "impact_factor=-0.1"),
    (lambda: CumulativeVolumeShareSlippage(0.1, NAN), ValueError, "price_impact=nan"),
    (lambda: VolatilityVolumeSlippage(volatility=-1.0), ValueError, "volatility=-1.0"),
    (lambda: SpreadSlippage(-1.0), ValueError, "spread=-1.0"),
    (lambda: SpreadSlippage(None, {"A": NAN}), ValueError, r"spread_by_asset\['A'\]=nan"),
    (FuturesSlippage, ValueError, "expected one of the two"),
    (lambda: FuturesSlippage(points=1.0, ticks=1.0), ValueError, "expected one of the two"),
    (lambda: FuturesSlippage(points=1.0, tick_size=0.25), ValueError, "belongs to ticks"),
    (lambda: FuturesSlippage(ticks=1.0, tick_size=0.0), ValueError, "tick_size=0.0"),
    (lambda: FuturesSlippage(ticks=-1.0), ValueError, "ticks=-1.0"),
    (lambda: FuturesSlippage(points=-1.0), ValueError, "points=-1.0"),
    (lambda: AssetCommission({}), ValueError, "AssetCommission was given no model at all"),
    (lambda: AssetCommission(5), TypeError, "expected a mapping"),
    (lambda: AssetCommission({1: NoCommission()}), TypeError, "the key 1 is neither"),
    (lambda: AssetCommission({"A": 0.1}), TypeError, "the model of 'A' was 0.1, which has no method calculate"),
    (lambda: AssetSlippage({"A": NoSlippage()}, default=5), TypeError, "the model of 'default' was 5"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_settings_are_refused_with_a_message(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_numbers_may_come_from_numpy() -> None:
    assert PerShareCommission(np.int64(2)).calculate("A", 3, 1.0) == 6.0
    assert PercentageSlippage(np.float32(0.5)).calculate("A", 3, 1.0) == 0.5


@given(quantities, prices, st.floats(0.1, 1e3))
def test_sign_never_matters_and_more_never_costs_less(quantity: float, price: float, multiplier: float) -> None:
    for model, _ in COMMISSIONS:
        cost = model.calculate("A", quantity, price, multiplier)
        assert cost == model.calculate("A", -quantity, price, multiplier) >= 0.0
        assert model.calculate("A", 2.0 * quantity, price, multiplier) >= cost
