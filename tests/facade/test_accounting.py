"""Accounts by hand: fills, permissions, money and messages, with numbers worked out on paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from ml4t_backtest.accounting import (
    AccountPolicy,
    AccountState,
    CashAccountPolicy,
    Gatekeeper,
    MarginAccountPolicy,
    Position,
    UnifiedAccountPolicy,
)
from ml4t_backtest.contracts import AssetClass, ContractSpec
from ml4t_backtest.execution import LinearImpact
from ml4t_backtest.models import AssetSlippage, FixedSlippage, PercentageCommission, PerShareCommission, VolumeShareSlippage
from ml4t_backtest.types import OrderReason, OrderSide

WHEN = datetime(2024, 1, 2, tzinfo=UTC)
ES = ContractSpec("ES", asset_class=AssetClass.FUTURE, multiplier=50.0, margin=5_000.0)
CRYPTO = UnifiedAccountPolicy(allow_short_selling=True)
OK = (True, "")


@dataclass
class Wish:
    """An order as the gatekeeper reads it."""

    asset: str
    quantity: float
    side: OrderSide | str | None = None
    limit_price: float | None = None
    reduce_only: bool = False
    filled_quantity: float = 0.0


def filled(
    policy: AccountPolicy, cash: float, *fills: tuple[str, float, float], specs: dict[str, ContractSpec] | None = None
) -> AccountState:
    account = AccountState(cash, policy, specs)
    for asset, quantity, price in fills:
        account.apply_fill(asset, quantity, price, WHEN)
    return account


def answer(account: AccountState, asset: str, quantity: float, price: float, **settings: Any) -> tuple[bool, str]:
    return Gatekeeper(account, **settings).validate_order(Wish(asset, quantity), price)


# Positions ------------------------------------------------------------------------------------------------------------


def test_a_position_reads_its_value_and_its_move() -> None:
    position = Position("X", 100, 150.0, WHEN)
    assert (position.current_price, position.initial_quantity, position.side) == (150.0, 100, "long")
    position.current_price = 165.0
    assert (position.market_value, position.cost_basis, position.notional_value) == (16_500.0, 15_000.0, 16_500.0)
    assert (position.unrealized_pnl, position.unrealized_pnl(), position.unrealized_pnl(140.0)) == (1_500.0, 1_500.0, -1_000.0)
    assert (position.pnl_percent, position.pnl_percent(135.0)) == (pytest.approx(0.1), pytest.approx(-0.1))
    assert position.notional_value(10.0) == 1_000.0


def test_a_short_position_gains_when_prices_fall() -> None:
    position = Position("X", -2, avg_entry_price=100.0, current_price=90.0, multiplier=50.0)
    assert (position.side, position.avg_entry_price) == ("short", 100.0)
    assert (position.market_value, position.notional_value) == (-9_000.0, 9_000.0)
    assert (position.unrealized_pnl, position.pnl_percent) == (1_000.0, pytest.approx(0.1))
    assert math.isnan(Position("X", 1, 0.0, WHEN).pnl_percent)


def test_water_marks_widen_from_the_close_or_the_range() -> None:
    long, short = Position("X", 1, 100.0, WHEN), Position("X", -1, 100.0, WHEN)
    for position in (long, short):
        position.update_water_marks(104.0, bar_high=110.0, bar_low=95.0)
        position.update_water_marks(90.0, bar_high=math.nan)
        assert (position.high_water_mark, position.low_water_mark, position.current_price) == (110.0, 90.0, 90.0)
    assert (long.max_favorable_excursion, long.max_adverse_excursion) == (pytest.approx(0.1), pytest.approx(-0.1))
    assert (short.max_favorable_excursion, short.max_adverse_excursion) == (pytest.approx(0.1), pytest.approx(-0.1))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("X", 0, 1.0), ValueError, "quantity was 0"),
        (("X", math.nan, 1.0), ValueError, "quantity=nan"),
        (("X", 1, math.inf), ValueError, "entry_price=inf"),
        (("X", 1, 1.0, 2.0), TypeError, "current_price="),
        (("X", 1, 1.0, None, math.inf), ValueError, "current_price=inf"),
    ],
)
def test_a_position_refuses_what_is_no_position(arguments: tuple[Any, ...], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Position(*arguments)


# Fills ----------------------------------------------------------------------------------------------------------------


def test_fills_move_cash_and_position() -> None:
    account = AccountState(10_000.0, CashAccountPolicy())
    assert account.apply_fill("A", 30, 100.0, WHEN) == -3_000.0
    assert account.apply_fill("A", 10, 120.0, WHEN) == -1_200.0
    assert (account.cash, account.get_position_quantity("A"), account.positions["A"].entry_price) == (5_800.0, 40, 105.0)
    assert account.total_equity == 5_800.0 + 40 * 120.0
    account.mark_to_market({"A": 110.0, "B": 7.0})
    account.mark_to_market({"A": math.nan})
    account.mark_to_market({"A": None})
    assert account.total_equity == 5_800.0 + 40 * 110.0
    assert account.apply_fill("A", -15, 110.0) == 1_650.0
    assert (account.get_position_quantity("A"), account.positions["A"].entry_price) == (25, 105.0)
    assert account.apply_fill("A", -25, 100.0) == 2_500.0
    assert (account.cash, account.total_equity, account.get_position("A"), account.get_position_quantity("A")) == (
        9_950.0,
        9_950.0,
        None,
        0.0,
    )
    with pytest.raises(ValueError, match="price=inf"):
        filled(CashAccountPolicy(), 100.0, ("A", 1, 1.0)).mark_to_market({"A": math.inf})


def test_a_flip_keeps_its_place_and_splits_the_commission() -> None:
    account = filled(CRYPTO, 10_000.0, ("A", 10, 100.0), ("B", 1, 50.0))
    assert account.apply_fill("A", -40, 110.0, WHEN, commission=8.0) == 4_392.0
    position = account.positions["A"]
    assert list(account.positions) == ["A", "B"]
    assert (position.quantity, position.entry_price, position.initial_quantity, position.entry_commission) == (-30, 110.0, -30, 6.0)
    account.apply_fill("A", 10, 100.0, commission=1.0)
    assert (position.quantity, position.entry_commission) == (-20, 4.0)
    account.apply_fill("A", -10, 100.0, commission=1.0)
    assert (position.quantity, position.entry_commission) == (-30, 5.0)


def test_rounding_leaves_no_dust_and_no_negative_cash() -> None:
    account = filled(CashAccountPolicy(), 100.0, ("A", 0.3, 10.0), ("A", -0.1, 10.0), ("A", -0.2, 10.0))
    assert account.positions == {}
    account = AccountState(1.0, CashAccountPolicy())
    assert account.apply_fill("A", 1.0, 1.0 + 2**-52) == -1.0
    assert account.cash == 0.0


@pytest.mark.parametrize(("quantity", "price"), [(0, 1.0), (math.nan, 1.0), (1, math.nan), (1, math.inf)])
def test_a_fill_without_numbers_moves_nothing(quantity: float, price: float) -> None:
    account = AccountState(10.0, CashAccountPolicy())
    with pytest.raises(ValueError, match="fill of 'A'"):
        account.apply_fill("A", quantity, price)
    assert (account.cash, account.positions) == (10.0, {})


def test_an_account_needs_cash_and_a_policy() -> None:
    with pytest.raises(ValueError, match="initial_cash=-1"):
        AccountState(-1, CashAccountPolicy())
    with pytest.raises(TypeError, match="policy was 'cash'"):
        AccountState(1, "cash")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="policy was <class"):
        AccountState(1, CashAccountPolicy)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"contract_specs\['A'\] was a float"):
        AccountState(1, CashAccountPolicy(), {"A": 50.0})  # type: ignore[dict-item]


# Cash accounts ----------------------------------------------------------------------------------------------------------


def test_a_cash_account_pays_in_full() -> None:
    account = AccountState(10_000.0, CashAccountPolicy())
    assert account.buying_power == 10_000.0
    assert answer(account, "A", 100, 100.0) == OK
    assert answer(account, "A", 101, 100.0) == (False, "Insufficient cash: need $10,100.00, have $10,000.00")
    assert answer(account, "A", -1, 100.0) == (False, "Short selling not allowed in cash account")
    account.apply_fill("A", 60, 100.0)
    assert answer(account, "A", 40, 100.0) == OK
    assert answer(account, "A", 41, 100.0) == (False, "Insufficient cash: need $4,100.00, have $4,000.00")
    assert answer(account, "A", -60, 100.0) == OK
    assert answer(account, "A", -61, 100.0) == (False, "Position reversal not allowed in cash account")
    assert account.initial_requirement == account.maintenance_requirement == 0.0
    assert not account.is_margin_call


def test_costs_and_multiplier_are_part_of_the_check() -> None:
    account = AccountState(10_000.0, CashAccountPolicy(), {"M": ContractSpec("M", multiplier=10.0)})
    assert answer(account, "M", 10, 100.0) == OK
    assert answer(account, "M", 11, 100.0) == (False, "Insufficient cash: need $11,000.00, have $10,000.00")
    assert answer(account, "A", 100, 100.0, commission_model=PerShareCommission(0.01)) == (
        False,
        "Insufficient cash: need $10,000.00, have $9,999.00",
    )
    assert answer(account, "A", 100, 100.0, slippage_model=FixedSlippage(0.01)) == (
        False,
        "Insufficient cash: need $10,001.00, have $10,000.00",
    )
    assert answer(account, "M", 9.99, 100.0, commission_model=PercentageCommission(0.001)) == OK
    assert not answer(account, "M", 9.991, 100.0, commission_model=PercentageCommission(0.001))[0]
    keeper = Gatekeeper(
        account,
        slippage_model=AssetSlippage({AssetClass.EQUITY: VolumeShareSlippage(impact_factor=1.0)}),
        market_impact_model=LinearImpact(1.0),
    )
    assert keeper.costs(Wish("A", 10), 100.0, volume=100.0) == (pytest.approx(121.0), 0.0)
    assert keeper.costs(Wish("A", -10), 100.0, volume=100.0) == (pytest.approx(81.0), 0.0)
    assert keeper.costs(Wish("A", 10), 100.0) == (100.0, 0.0)


def test_a_sale_must_pay_its_own_commission() -> None:
    account = filled(CashAccountPolicy(), 10.0, ("A", 10, 1.0))
    assert answer(account, "A", -1, 0.5, commission_model=PerShareCommission(0.0)) == (False, "Insufficient cash: need $1.00, have $0.50")


def test_what_is_left_of_an_order_counts() -> None:
    account = filled(CashAccountPolicy(), 1_000.0, ("A", 5, 100.0))
    keeper = Gatekeeper(account)
    assert keeper.validate_order(Wish("A", 9, "buy", filled_quantity=4), 100.0) == OK
    assert keeper.validate_order(Wish("A", 9, OrderSide.BUY, filled_quantity=3), 100.0)[0] is False
    assert keeper.signed_quantity(Wish("A", 8, OrderSide.SELL, reduce_only=True)) == -5.0
    assert keeper.judge(Wish("A", 8, "buy", reduce_only=True), 100.0).reason is OrderReason.POSITION_CLOSED
    slipping = Gatekeeper(account, slippage_model=FixedSlippage(10.0))
    assert slipping.costs(Wish("A", 5, limit_price=100.0), 100.0) == (100.0, 0.0)
    assert slipping.costs(Wish("A", -5), 4.0) == (0.0, 0.0)


def test_buffer_and_unsettled_cash_are_withheld() -> None:
    account = filled(CashAccountPolicy(), 10_000.0, ("A", 100, 100.0), ("A", -100, 100.0))
    account.add_settlement_hold(10_000.0, release_bar=5)
    assert (account.unsettled_cash, account.buying_power, account.total_equity) == (10_000.0, 0.0, 10_000.0)
    assert account.release_settled(4) == 0.0
    assert answer(account, "A", 1, 100.0) == (False, "Insufficient cash: need $100.00, have $0.00")
    assert answer(account, "A", 100, 100.0, settlement_reduces_buying_power=False) == OK
    assert account.release_settled(5) == 10_000.0
    assert answer(account, "A", 100, 100.0) == OK
    assert answer(account, "A", 100, 100.0, cash_buffer_pct=0.02) == (False, "Insufficient cash: need $10,000.00, have $9,800.00")
    for amount, bar in ((0.0, 1), (math.inf, 1), (1.0, 1.5), (1.0, True)):
        with pytest.raises(ValueError, match="add_settlement_hold"):
            account.add_settlement_hold(amount, bar)  # type: ignore[arg-type]


# Shorts without leverage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "free"), [("credit", 15_000.0), ("credit_proceeds", 10_000.0), ("LOCK_NOTIONAL", 5_000.0)])
def test_shorts_lock_cash_by_the_policy(policy: str, free: float) -> None:
    account = filled(UnifiedAccountPolicy(allow_short_selling=True, short_cash_policy=policy), 10_000.0, ("A", -50, 100.0))
    assert (account.cash, account.total_equity, account.buying_power) == (15_000.0, 10_000.0, free)
    assert answer(account, "B", free / 100.0, 100.0) == OK
    assert answer(account, "B", 160, 100.0) == (False, f"Insufficient cash for long: need $16,000.00, have ${free:,.2f}")
    assert answer(account, "B", -160, 100.0) == (False, f"Insufficient cash for short: need $16,000.00, have ${free:,.2f}")
    refusal = "Insufficient cash for reversal: need $11,000.00, have $9,500.00 after closing"
    assert answer(account, "A", 150, 110.0) == (False, refusal)
    assert answer(account, "A", 136, 110.0) == OK


def test_a_long_turns_short_within_its_cash() -> None:
    account = filled(CRYPTO, 10_000.0, ("A", 50, 100.0))
    assert answer(account, "A", -150, 100.0) == OK
    assert answer(account, "A", -151, 100.0) == (False, "Insufficient cash for reversal: need $10,100.00, have $10,000.00 after closing")


# Leverage ---------------------------------------------------------------------------------------------------------------


def test_half_margin_is_twofold_buying_power() -> None:
    account = AccountState(100_000.0, MarginAccountPolicy())
    assert account.buying_power == 200_000.0
    account.apply_fill("A", 1_000, 150.0)
    assert (account.cash, account.total_equity) == (-50_000.0, 100_000.0)
    assert (account.initial_requirement, account.maintenance_requirement, account.buying_power) == (75_000.0, 37_500.0, 50_000.0)
    assert answer(account, "B", 500, 100.0) == OK
    assert answer(account, "A", 400, 150.0) == (False, "Insufficient buying power: need $60,000.00, have $50,000.00 (IM=50.0%)")
    assert answer(account, "A", -2_333, 150.0) == OK
    assert answer(account, "A", -2_400, 150.0) == (False, "Insufficient buying power: need $210,000.00, have $200,000.00 (IM=50.0%)")
    by_maintenance = UnifiedAccountPolicy(True, True, buying_power_basis="maintenance")
    assert filled(by_maintenance, 100_000.0, ("A", 1_000, 150.0)).buying_power == 125_000.0


def test_margin_is_called_below_maintenance() -> None:
    long = filled(MarginAccountPolicy(), 100_000.0, ("A", 1_000, 150.0))
    short = filled(MarginAccountPolicy(), 100_000.0, ("A", -1_000, 150.0))
    assert short.maintenance_requirement == 45_000.0
    for account, safe, called in ((long, 67.0, 66.0), (short, 192.0, 193.0)):
        account.mark_to_market({"A": safe})
        assert not account.is_margin_call
        account.mark_to_market({"A": called})
        assert account.is_margin_call
        assert account.buying_power == 0.0
        assert answer(account, "A", -account.get_position_quantity("A"), called) == OK


def test_leverage_without_shorts_refuses_shorts() -> None:
    account = filled(UnifiedAccountPolicy(allow_leverage=True), 1_000.0, ("A", 1, 10.0))
    assert answer(account, "A", -2, 10.0) == (False, "Position reversal not allowed in this account")
    assert answer(account, "B", -2, 10.0) == (False, "Short selling not allowed in this account")


def test_futures_post_margin_and_settle_variation() -> None:
    account = AccountState(20_000.0, MarginAccountPolicy(), {"ES": ES})
    assert answer(account, "ES", 4, 4_000.0) == OK
    assert answer(account, "ES", 5, 4_000.0) == (
        False,
        "Insufficient buying power: need $25,000.00, have $20,000.00 (IM=$5,000.00 per contract)",
    )
    assert account.apply_fill("ES", 3, 4_000.0) == 0.0
    account.mark_to_market({"ES": 4_010.0})
    assert (account.total_equity, account.initial_requirement, account.maintenance_requirement) == (21_500.0, 15_000.0, 7_500.0)
    assert account.apply_fill("ES", -1, 4_010.0) == 500.0
    assert account.apply_fill("ES", 2, 4_020.0) == 0.0
    assert account.positions["ES"].basis == account.positions["ES"].entry_price == 4_010.0
    assert account.apply_fill("ES", -6, 4_030.0, commission=3.0) == 3_997.0
    assert (account.get_position_quantity("ES"), account.cash, account.total_equity) == (-2, 24_497.0, 24_497.0)
    assert account.apply_fill("ES", 2, 4_000.0) == 3_000.0
    scheduled = AccountState(20_000.0, MarginAccountPolicy(fixed_margin_schedule={"ES": (10_000, 8_000)}), {"ES": ES})
    assert not answer(scheduled, "ES", 3, 4_000.0)[0]
    paid_in_full = AccountState(100_000.0, CashAccountPolicy(), {"ES": ES})
    assert answer(paid_in_full, "ES", 30, 100.0) == (False, "Insufficient cash: need $150,000.00, have $100,000.00")


# Policies ---------------------------------------------------------------------------------------------------------------


def test_the_two_policies_are_the_unified_one_with_its_flags() -> None:
    cash, margin = CashAccountPolicy(), MarginAccountPolicy(0.4, 0.2, 0.25)
    assert (cash.allows_short_selling(), cash.allow_leverage, margin.allows_short_selling(), margin.allow_leverage) == (
        False,
        False,
        True,
        True,
    )
    assert isinstance(cash, UnifiedAccountPolicy)
    assert isinstance(margin, AccountPolicy)
    held = {"A": Position("A", 10, 100.0, WHEN, multiplier=2.0)}
    assert cash.calculate_buying_power(500.0, held) == 500.0
    assert margin.calculate_buying_power(-1_000.0, held) == pytest.approx((1_000.0 - 800.0) / 0.4)
    assert cash.validate_new_position("B", 5, 100.0, held, 500.0) == OK
    assert cash.validate_position_change("A", 10, 3, 100.0, held, 500.0) == (False, "Insufficient cash: need $600.00, have $500.00")
    with pytest.raises(ValueError, match="current_quantity was 9"):
        cash.validate_position_change("A", 9, 3, 100.0, held, 500.0)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"initial_margin": 0.0}, "initial_margin=0.0"),
        ({"initial_margin": 1.1}, "initial_margin was 1.1"),
        ({"long_maintenance_margin": math.nan}, "long_maintenance_margin=nan"),
        ({"allow_leverage": True, "long_maintenance_margin": 0.5}, "long_maintenance_margin was 0.5, expected less than initial_margin"),
        ({"short_cash_policy": "credits"}, "short_cash_policy was 'credits'.*did you mean 'credit'"),
        ({"buying_power_basis": "none"}, "buying_power_basis was 'none'"),
        ({"allow_short_selling": 1}, "allow_short_selling was 1"),
        ({"fixed_margin_schedule": {"ES": (1.0, 2.0)}}, r"fixed_margin_schedule\['ES'\] was \(1.0, 2.0\)"),
        ({"fixed_margin_schedule": {"ES": 5.0}}, "expected \\(initial, maintenance\\)"),
    ],
)
def test_a_policy_names_the_setting_it_refuses(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        UnifiedAccountPolicy(**settings)


def test_the_gatekeeper_names_what_it_refuses() -> None:
    account = AccountState(100.0, CashAccountPolicy())
    assert Gatekeeper(account, MarginAccountPolicy()).validate_order(Wish("A", -1), 100.0) == OK
    with pytest.raises(TypeError, match="slippage_model was 0.1"):
        Gatekeeper(account, None, 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cash_buffer_pct=1.5"):
        Gatekeeper(account, cash_buffer_pct=1.5)
    for quantity, price, side, match in (
        (1, math.nan, None, "price=nan"),
        (0, 1.0, None, "quantity was 0"),
        (1, 1.0, "bye", "did you mean 'buy'"),
    ):
        with pytest.raises(ValueError, match=match):
            Gatekeeper(account).validate_order(Wish("A", quantity, side), price)
