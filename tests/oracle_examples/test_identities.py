"""Random runs over the whole rule book: what they earned adds up exactly in fractions, and what they did stays within the rules."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.oracle import (
    AllOf,
    AnyOf,
    Broker,
    Chain,
    Commission,
    ConditionalValueAtRisk,
    Contract,
    DailyLoss,
    Drawdown,
    FactorExposure,
    GrossExposure,
    LargestPosition,
    NetExposure,
    OracleResult,
    PositionsLimit,
    ScaledExit,
    SectorExposure,
    SignalExit,
    StopLoss,
    TakeProfit,
    Tightening,
    TimeExit,
    TrailingStop,
    ValueAtRisk,
    VolatilityStop,
    VolatilityTrailingStop,
)
from tests.oracle.limit_types import ACTIONS
from tests.oracle.records import ORDER_TYPES
from tests.oracle.settings import CHOICES
from tests.oracle_examples.running import F, run

BARS = 14
REBATE = Commission(rate=F(1, 50), maker_rate=-F(1, 100))


def rule(rng: random.Random, depth: int = 0) -> Any:
    part = F(rng.randrange(1, 8), 16)
    keep = rng.random() < 0.5
    plain = [StopLoss(part), TakeProfit(part), TrailingStop(part), TimeExit(rng.randrange(1, 4)), SignalExit("score", 1)]
    plain += [VolatilityStop(2, "score", keep), VolatilityTrailingStop(2, "score", keep)]
    plain += [Tightening(((part, F(1, 8)), (0, F(1, 4)))), ScaledExit(((part / 2, F(1, 2)), (part, 1)))]
    if depth < 2 and rng.random() < 0.4:
        return rng.choice((Chain, AnyOf, AllOf))((rule(rng, depth + 1), rule(rng, depth + 1)))
    return rng.choice(plain)


def submit(rng: random.Random, b: Broker) -> None:
    asset, count = rng.choice("ABC"), len(b._account.orders)
    quantity = rng.choice((-1, 1)) * F(rng.randrange(1, 80), rng.choice((1, 1, 2)))
    kind: Any = rng.choice(("market", *ORDER_TYPES))
    linked: dict[str, Any] = {name: rng.randrange(1, count + 1) for name in ("parent", "oco") if count and rng.random() < 0.15}
    b.submit(
        *(asset, quantity, kind, F(rng.randrange(20, 80), 4), F(rng.randrange(20, 80), 4), rng.choice((None, None, True, False))),
        trail_amount=F(rng.randrange(1, 9), 4) if kind == "trailing_stop" else None,
        time_in_force=rng.choice(("GTC", "GTC", "DAY", "IOC", "FOK", "GTD")),
        good_till=100 + rng.randrange(BARS),
        displayed_quantity=rng.choice((None, None, 5)),
        **linked,
    )


def act(rng: random.Random, b: Broker) -> None:
    for _ in range(rng.randrange(4)):
        asset, level = rng.choice("ABC"), F(rng.randrange(20, 80), 4)
        choice = rng.randrange(11)
        if choice < 5:
            submit(rng, b)
        elif choice == 5:
            b.bracket(asset, rng.choice((-20, 20)), level, F(rng.randrange(20, 80), 4))
        elif choice == 6:
            b.close(asset)
        elif choice == 7:
            b.update(rng.randrange(1, 30), quantity=rng.randrange(1, 90), limit_price=level, stop_price=level)
        elif choice == 8:
            b.cancel(rng.randrange(1, 30))
        elif choice == 10 and b._rules.free_cash:
            b.cash_percent(asset, F(rng.randrange(-4, 5), 4))
        elif asset in b.positions:
            b.set_rules(rule(rng), asset, position=True)


def bars(rng: random.Random) -> list[dict[str, Any]]:
    def bar() -> Any:
        prices = sorted(F(rng.randrange(20, 80), 4) for _ in range(4))
        ohlc = [rng.choice(prices), prices[-1], prices[0], rng.choice(prices)]
        some = [None if i < 3 and rng.random() < 0.05 else price for i, price in enumerate(ohlc)]
        bid_ask = (prices[1], rng.choice((None, *[prices[2]] * 9)))
        return (*some, rng.choice((None, 0, 50, 400)), *bid_ask, rng.choice((None, prices[1])))

    return [{asset: bar() for asset in "ABC" if rng.random() < 0.85} for _ in range(BARS)]


def limit(rng: random.Random) -> Any:
    bound, action, weights = F(rng.randrange(1, 12), 8), rng.choice(ACTIONS), {"A": F(1, 2), "B": -1}
    return rng.choice(
        (
            *(PositionsLimit(rng.randrange(1, 4), action), LargestPosition(bound, action), GrossExposure(bound, action)),
            *(NetExposure(bound, action, -bound), SectorExposure(bound, action, weights)),
            *(FactorExposure(bound, action, weights, -bound), DailyLoss(bound / 8, action, F(1, 3)), Drawdown(bound / 4, action)),
            *(ValueAtRisk(bound / 8, action, F(4, 5), 4), ConditionalValueAtRisk(bound / 8, action, F(4, 5), 4)),
        )
    )


def settings(rng: random.Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {name: rng.choice(values) for name, values in CHOICES.items()}
    contracts = {
        "B": Contract(multiplier=5, lot_size=rng.choice((None, 2)), initial_margin=rng.choice((None, 20)), future=rng.random() < 0.5),
        "C": Contract(tick_size=F(1, 8)),
    }
    account = rng.choice(("cash", "crypto", "margin", "futures"))
    kinds = ("dividend", "split", "funding") if account != "cash" else ("dividend", "split")
    events = {t: [(rng.choice(kinds), rng.choice("ABC"), F(rng.randrange(1, 8), 4))] for t in (3, 6, 9)}
    made = {
        **chosen,
        "account": account,
        "initial_cash": rng.choice((300, 1000, 5000)),
        "execution_price": rng.choice((None, "open", "close", "mid", "vwap")),
        "commission": rng.choice((("none",), ("percentage", F(1, 100)), Commission(per_unit=F(1, 20), per_order=1, minimum=2), REBATE)),
        "slippage": rng.choice((("none",), ("percentage", F(1, 50)), ("volume_share", F(1, 8)), ("bid_ask",))),
        "impact": rng.choice((("none",), ("linear", F(1, 8)))),
        "participation": rng.choice((None, F(1, 8))),
        "contracts": contracts,
        "events": events,
        "sessions": sorted(rng.randrange(6) for _ in range(BARS)),
        "times": [t * 86400 * 10**9 for t in range(BARS)],
        "signals": [{asset: {"score": rng.choice((None, -2, 0, 1, 2))} for asset in "ABC"} for _ in range(BARS)],
        "cash_interest_rate": F(1, 10),
        "margin_interest_rate": F(1, 5),
        "borrow_rate": F(1, 5),
        "settlement_delay": rng.randrange(3),
        "limits": [limit(rng) for _ in range(rng.choice((0, 0, 1, 2)))],
        **{name: rng.random() < 0.3 for name in ("partial_fills_allowed", "close_at_end", "round_to_tick", "skip_cash_validation")},
    }
    if account in ("margin", "futures"):
        return made | {"cash_ledger": "standard"}
    return made | with_free_cash(rng) if made["cash_ledger"] == "free_cash" else made


def with_free_cash(rng: random.Random) -> dict[str, Any]:
    return {
        "commission": rng.choice((("none",), ("percentage", F(1, 100)), Commission(rate=F(1, 50), per_order=2))),
        "slippage": rng.choice((("none",), ("percentage", F(1, 50)), ("fixed", F(1, 8)))),
        "impact": ("none",),
        "short_cash_policy": rng.choice(("credit", "lock_notional")),
        "cash_check": "standard",
        "settlement_delay": 0,
        "skip_cash_validation": False,
    }


def random_run(seed: int, number: Any) -> tuple[dict[str, Any], OracleResult]:
    rng = random.Random(seed)
    chosen = settings(rng)
    market = bars(rng)

    def start(b: Broker) -> None:
        b.set_rules(rng.choice((None, rule(rng))))
        act(rng, b)

    actions: dict[int, Any] = {-1: start, **dict.fromkeys(range(BARS), lambda b: act(rng, b))}
    return chosen, run(market, actions, number, **chosen)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_everything_that_was_earned_is_accounted_for(seed: int) -> None:
    chosen, result = random_run(seed, Fraction)
    if chosen["account"] in ("cash", "crypto"):
        m = {"A": 1, "B": 5, "C": 1}
        spent = sum((fill.quantity * fill.price * m[fill.asset] + fill.commission for fill in result.fills), F(0))
        paid_out = [trade for trade in result.trades if trade.exit_reason == "corporate_action"]
        received = sum((trade.quantity * trade.exit_price * m[trade.asset] for trade in paid_out), F(0))
        received += sum((flow.amount for flow in result.cash_flows), F(0))
        assert result.cash[-1] == chosen["initial_cash"] - spent + received
    earned = sum((trade.pnl for trade in result.trades), F(0)) + sum((flow.amount for flow in result.cash_flows), F(0))
    assert earned == result.equity[-1] - chosen["initial_cash"]
    paid = sum((fill.commission for fill in result.fills), F(0))
    assert paid == sum((trade.commission for trade in result.trades), F(0))
    assert paid == sum((order.commission for order in result.orders), F(0))


@hypothesis_settings(max_examples=300, deadline=None)
@example(12456063, float)
@given(st.integers(0, 2**32), st.sampled_from([float, Fraction]))
def test_invariants(seed: int, number: Any) -> None:
    chosen, result = random_run(seed, number)
    if chosen["account"] == "cash":
        assert all(fill.position >= 0 for fill in result.fills)
        assert min(result.cash) >= 0
    for order in result.orders:
        assert (order.status == "pending") == (order.ended_time is None) == (order.reason is None and order.status != "filled")
        # A part of the cash is no quantity until it trades, so what siblings have taken says nothing of it.
        assert order.left >= -1e-9 or order.status != "filled" or order.fraction is not None
        if chosen["close_at_end"] and order.exit_reason != "end_of_data":
            assert order.status != "pending"
    for alert in result.alerts:
        assert (alert.limit == -1) <= (chosen["account"] in ("margin", "futures"))
        assert alert.limit == -1 or alert.action == chosen["limits"][alert.limit].action.upper()
    for trade in result.trades:
        assert trade.mae <= 0 <= trade.mfe
        assert trade.pnl_percent is None or trade.mae <= trade.pnl_percent <= trade.mfe
