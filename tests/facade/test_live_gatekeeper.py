"""The gatekeeper of a run on settings that decide about price and money by the bar and by what has settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from ml4t_backtest import ContractSpec, FixedSlippage
from ml4t_backtest.types import OrderType
from tests.facade.play import play


@dataclass(frozen=True)
class Wish:
    quantity: float
    limit_price: float | None = None
    stop_price: float | None = None
    order_type: OrderType = OrderType.MARKET
    asset: str = "A"
    side: None = None


@pytest.mark.parametrize(
    ("wish", "price", "free", "bounded"),
    [
        # the bar reaches from 9 to 10.5
        (Wish(1), 10, 12, 10.5),
        (Wish(-1), 10, 8, 9),
        (Wish(1), 11, 13, 11),  # not better than the price itself
        (Wish(1, limit_price=10.2), 10, 10.2, 10.2),
        (Wish(-1, limit_price=8.5), 10, 8.5, 8.5),  # a sale with a limit has no other bound
        (Wish(1, limit_price=10.2, stop_price=10.1, order_type=OrderType.STOP_LIMIT), 10.1, 10.2, 10.5),
    ],
)
def test_slippage_within_the_bar(wish: Wish, price: float, free: float, bounded: float) -> None:
    for bound, expected in (("none", free), ("bar_range", bounded)):
        seen: list[Any] = []
        ask = {0: lambda broker, seen=seen: seen.append(broker.gatekeeper.costs(wish, price))}
        play([(10, 10.5, 9, 10)], ask, account_type="crypto", slippage_model=FixedSlippage(2.0), slippage_bound=bound)
        assert seen == [(expected, 0.0)]


def test_before_the_first_bar_nothing_bounds_slippage() -> None:
    seen: list[Any] = []
    ask = {-1: lambda broker: seen.append(broker.gatekeeper.costs(Wish(1), 10))}
    play([(10, 10.5, 9, 10)], ask, slippage_model=FixedSlippage(2.0), slippage_bound="bar_range")
    assert seen == [(12, 0.0)]


def test_futures_need_settled_cash_above_their_margins() -> None:
    seen: list[Any] = []

    def ask(broker: Any) -> None:
        seen.extend(broker.gatekeeper.validate_order(Wish(quantity), 12.0) for quantity in (5.0, 6.0, -16.0, -17.0))

    settings: dict[str, Any] = {"account_type": "futures", "initial_margin_per_contract": 100.0, "initial_cash": 1000.0}
    specs = {"A": ContractSpec("A", "future", multiplier=10)}  # type: ignore[arg-type]
    actions = {0: lambda broker: broker.submit_order("A", 5.0), 1: ask}
    play([10, 10, 10], actions, contract_specs=specs, next_bar_simple_cash_check=True, **settings)
    # 5 contracts at 10 hold 500 of 1,000; a flip is paid 5 * 2 * 10 first
    refused = (False, "Insufficient cash (open cash check): it would leave $-100.00")
    assert seen == [(True, ""), refused, (True, ""), refused]
