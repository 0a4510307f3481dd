"""Portfolio limits that the engine enforces: what each measures, what each action does, and the alerts that are recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ml4t_backtest.risk import (
    BetaLimit,
    CVaRLimit,
    DailyLossLimit,
    FactorExposureLimit,
    GrossExposureLimit,
    MaxDrawdownLimit,
    MaxExposureLimit,
    MaxPositionsLimit,
    NetExposureLimit,
    SectorExposureLimit,
    StopLoss,
    VaRLimit,
)
from tests.facade.play import Action, Run, buy, play, sessions

FILLED = ("filled", None)
BLOCKED = ("rejected", "risk_blocked")
CRYPTO: dict[str, Any] = {"account_type": "crypto"}
CONTEXT: dict[str, Any] = {
    "asset_sectors": {"A": "tech", "B": "tech", "C": "oil"},
    "asset_betas": {"A": 2.0, "B": 0.5},
    "factor_loadings": {"A": {"value": 1.0}, "B": {"value": -1.0}},
}


def hold(limits: list[Any], *quantities: float, prices: tuple[float, ...] = (10, 10, 10, 10), **arguments: Any) -> Run:
    """Hold quantities of A, B and C from bar 1 on, with 1,000 in the account; a price counts for all."""
    bars = {"A": list(prices), "B": list(prices), "C": list(prices)}
    orders: list[Action] = [buy(quantity, asset) for quantity, asset in zip(quantities, bars, strict=False)]
    return play(bars, {0: orders}, limits=limits, risk_context=CONTEXT, initial_cash=1000, **{**CRYPTO, **arguments})


# What is measured ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "name", "value", "bound"),
    [
        (MaxPositionsLimit(2, action="warn"), "MaxPositionsLimit", 2, 2),  # reached counts
        (MaxExposureLimit(0.3), "MaxExposureLimit", 0.4, 0.3),
        (GrossExposureLimit(0.5, action="warn"), "GrossExposureLimit", 0.6, 0.5),
        (NetExposureLimit(0.1), "NetExposureLimit", 0.2, 0.1),
        (SectorExposureLimit(0.5), "SectorExposureLimit[tech]", 0.6, 0.5),
        (BetaLimit(0.5), "BetaLimit", 0.7, 0.5),  # 0.4 * 2 - 0.2 * 0.5
        (FactorExposureLimit("value", 0.5), "FactorExposureLimit[value]", 0.6, 0.5),  # 0.4 + 0.2
    ],
)
def test_measures_of_40_long_and_20_short(limit: Any, name: str, value: float, bound: float) -> None:
    run = hold([limit], 40, -20)
    assert run.alerts == [(name, "warn", value, bound)] * 3
    assert run.result.to_alerts_dataframe()["timestamp"].to_list() == [datetime(2024, 1, day) for day in (2, 3, 4)]


@pytest.mark.parametrize(
    "limit",
    [
        MaxPositionsLimit(3, action="warn"),
        MaxExposureLimit(0.4),  # at a bound is inside
        GrossExposureLimit(0.6, action="warn"),
        NetExposureLimit(0.2),
        SectorExposureLimit(0.6),
        BetaLimit(0.7),
        FactorExposureLimit("value", 0.61),
        MaxDrawdownLimit(0.1, action="warn"),
        DailyLossLimit(0.1, action="warn"),
        VaRLimit(0.1),
    ],
)
def test_inside_its_bounds_a_limit_says_nothing(limit: Any) -> None:
    assert hold([limit], 40, -20).alerts == []


def test_lower_bounds() -> None:
    run = hold([NetExposureLimit(1.0, -0.1), BetaLimit(1.0, -0.3), FactorExposureLimit("value", 1.0, -0.2)], -20, 0)
    # the factor stays at its bound
    assert run.alerts[:2] == [("NetExposureLimit", "warn", -0.2, -0.1), ("BetaLimit", "warn", -0.4, -0.3)]
    assert len(run.alerts) == 6


def test_each_sector_is_a_limit_of_its_own() -> None:
    run = hold([SectorExposureLimit(0.25)], 20, 10, 30)
    assert run.alerts[:2] == [("SectorExposureLimit[oil]", "warn", 0.3, 0.25), ("SectorExposureLimit[tech]", "warn", 0.3, 0.25)]


def test_a_drawdown_counts_from_the_peak_and_may_warn_before() -> None:
    # account values 1,000, 1,000, 1,500, 1,300, 1,125
    limits = [MaxDrawdownLimit(0.25, action="block", warn_threshold=0.125)]
    run = hold(limits, 50, 50, prices=(10, 10, 15, 13, 11.25))
    assert run.alerts == [
        ("MaxDrawdownLimit", "warn", round(200 / 1500, 9), 0.125),
        ("MaxDrawdownLimit", "block", 0.25, 0.25),
        ("MaxDrawdownLimit", "warn", 0.25, 0.125),
    ]


def test_a_daily_loss_counts_from_the_end_of_the_session_before() -> None:
    limit = [DailyLossLimit(0.25, action="warn")]
    # account values 1,000, 1,000, 750, 700: 250 / 750 on the third bar, and 50 / 700 on a day of its own
    assert hold(limit, 50, prices=(10, 10, 5, 4)).alerts == [("DailyLossLimit", "warn", round(250 / 750, 9), 0.25)]
    whole = hold(limit, 50, prices=(10, 10, 5, 4), times=sessions(2, 2))
    assert [value for _, _, value, _ in whole.alerts] == [round(250 / 750, 9), round(300 / 700, 9)]


def test_tails_of_the_returns() -> None:
    # returns 0, -0.2, 0.25, -0.1: the quarter quantile is three quarters of the way from -0.2 to -0.1
    limits = [VaRLimit(0.1, 0.75, 4), CVaRLimit(0.1, 0.75, 4)]
    run = play([10, 10, 8, 10, 9], {-1: buy(100)}, initial_cash=1000, limits=limits)
    assert run.alerts == [("VaRLimit", "warn", 0.125, 0.1), ("CVaRLimit", "warn", 0.2, 0.1)]


def test_contracts_count_with_their_multiplier_and_an_account_without_value_is_beyond_every_exposure() -> None:
    run = hold([GrossExposureLimit(0.5, action="warn")], -100, prices=(10, 10, 20))
    # 2,000 of cash and 2,000 owed: no value is left
    assert [value for _, _, value, _ in run.alerts] == [1.0, float("inf")]


# What is done ------------------------------------------------------------------------------------------------------------------


def test_block_refuses_new_risk_until_the_next_check() -> None:
    both: list[Action] = [buy(1), buy(-10)]
    run = play([10] * 5, {0: buy(40), 1: both, 2: buy(-20), 3: both}, initial_cash=1000, limits=[GrossExposureLimit(0.25, action="block")])
    assert run.alerts == [("GrossExposureLimit", "block", 0.4, 0.25), ("GrossExposureLimit", "block", 0.3, 0.25)]
    assert run.states == [FILLED, BLOCKED, FILLED, FILLED, FILLED, FILLED]
    assert run.orders[1].rejection_reason == "A portfolio limit refuses new risk"


def test_block_in_same_bar_mode_counts_for_the_orders_of_the_same_bar() -> None:
    run = play(
        [10] * 3,
        {0: buy(40), 1: buy(1), 2: buy(1)},
        initial_cash=1000,
        limits=[GrossExposureLimit(0.25, action="block")],
        execution_mode="same_bar",
    )
    assert run.states == [FILLED, BLOCKED, BLOCKED]


def test_reduce_takes_the_excess_off_every_position_that_counts() -> None:
    def sold(limit: Any, *quantities: float, **arguments: Any) -> list[tuple[str, float, float]]:
        fills = hold([limit], *quantities, **arguments).result.fills
        return [(fill.asset, fill.signed_quantity, fill.price) for fill in fills if fill.timestamp != datetime(2024, 1, 2)]

    assert sold(GrossExposureLimit(0.25, action="reduce"), 30, 20) == [("A", -15, 10), ("B", -10, 10)]
    assert sold(GrossExposureLimit(0.25, action="reduce"), 25, 25, share_type="integer") == [("A", -13, 10), ("B", -13, 10)]
    assert sold(MaxExposureLimit(0.25, action="reduce"), 40, 20) == [("A", -15, 10)]
    assert sold(SectorExposureLimit(0.3, action="reduce"), 40, 20, 10) == [("A", -20, 10), ("B", -10, 10)]
    assert sold(NetExposureLimit(0.1, action="reduce"), 40, -20) == [("A", -20, 10), ("B", 10, 10)]
    assert sold(BetaLimit(0.4, action="reduce"), 40, 0, 0) == [("A", -20, 10)]
    assert sold(DailyLossLimit(0.25, action="reduce", reduction_pct=0.25), 40, 20, prices=(10, 10, 5, 5)) == [("A", -10, 5), ("B", -5, 5)]
    assert sold(MaxDrawdownLimit(0.25, action="reduce", reduction_pct=0.5), 40, 20, prices=(10, 10, 5, 5)) == [("A", -20, 5), ("B", -10, 5)]


def test_liquidate_closes_everything_and_says_why() -> None:
    run = hold([MaxDrawdownLimit(0.25, action="liquidate")], 40, -10, prices=(10, 10, 1, 1, 1))
    # 1,000 - 270: a drawdown of 27 %
    assert run.alerts[0] == ("MaxDrawdownLimit", "liquidate", 0.27, 0.25)
    assert run.exits == [("risk_liquidation", 40, 1), ("risk_liquidation", -10, 1)]
    assert not run.broker.positions


def test_halt_cancels_what_may_add_and_blocks_for_good() -> None:
    actions: dict[int, Any] = {
        0: [buy(50), buy(5, order_type="limit", limit_price=1)],
        1: buy(-50, order_type="limit", limit_price=20),
        3: buy(1),
    }
    run = play([10, 10, 5, 10, 20], actions, initial_cash=1000, limits=[MaxDrawdownLimit(0.25)])
    assert run.alerts == [("MaxDrawdownLimit", "halt", 0.25, 0.25)]
    assert run.states == [FILLED, ("cancelled", "halted"), FILLED, BLOCKED]
    assert run.orders[1].rejection_reason == "A portfolio limit halted trading"


def test_several_limits_act_in_their_order() -> None:
    limits = [GrossExposureLimit(0.5, action="reduce"), MaxPositionsLimit(1, action="block"), MaxExposureLimit(0.1, action="none")]
    run = hold(limits, 60, 0)
    assert [alert[:2] for alert in run.alerts[:3]] == [
        ("GrossExposureLimit", "reduce"),
        ("MaxPositionsLimit", "block"),
        ("MaxExposureLimit", "none"),
    ]
    assert run.deals[1:] == [(2, -10, 10)]


def test_a_limit_leaves_alone_what_a_rule_is_closing_already() -> None:
    actions: dict[int, Any] = {-1: [lambda broker: broker.set_position_rules(StopLoss(0.05)), buy(50)]}
    run = play([10, 9, 9], actions, initial_cash=1000, limits=[GrossExposureLimit(0.1, action="liquidate")], stop_fill_mode="next_bar_open")
    assert [reason for reason, _, _ in run.exits] == ["risk_liquidation"]  # on bar 1, before the rule could
    run = play([10, 9, 9], actions, initial_cash=1000, limits=[MaxDrawdownLimit(0.04, action="liquidate")], stop_fill_mode="next_bar_open")
    assert run.exits == [("stop_loss", 50, 9)]


# Bad input ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ([0.2], TypeError, r"limits holds 0.2, expected a portfolio limit of ml4t_backtest.risk; use RiskManager in the strategy"),
        ([MaxDrawdownLimit], TypeError, r"limits holds <class .*MaxDrawdownLimit'>, .*: MaxDrawdownLimit\(...\)"),
        ([StopLoss(0.1)], TypeError, r"limits holds StopLoss\(pct=0.1\), expected a portfolio limit.*set_position_rules"),
        ([MaxPositionsLimit(2, action="reduce")], ValueError, "MaxPositionsLimit: action 'reduce' sells parts, which closes no position"),
        ([SectorExposureLimit(0.2)], ValueError, r"SectorExposureLimit needs risk_context\['asset_sectors'\], a mapping by asset"),
        ([BetaLimit(0.2)], ValueError, r"BetaLimit needs risk_context\['asset_betas'\]"),
        ([FactorExposureLimit("value", 0.2)], ValueError, r"FactorExposureLimit needs risk_context\['factor_loadings'\]"),
    ],
)
def test_limits_of_the_wrong_kind_and_missing_context(limits: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        play([10], {}, limits=limits)


@pytest.mark.parametrize(
    ("limit", "context", "error", "message"),
    [
        (BetaLimit(0.2), {"asset_betas": {"A": float("nan")}}, ValueError, "BetaLimit: the value of 'A' was nan, expected a finite number"),
        (BetaLimit(0.2), {"asset_betas": {"A": "high"}}, ValueError, "BetaLimit: the value of 'A' was 'high', expected a finite number"),
        (BetaLimit(0.2), {"asset_betas": [1.0]}, TypeError, r"BetaLimit: risk_context\['asset_betas'\] was \[1.0\], expected a mapping"),
        (
            SectorExposureLimit(0.2),
            {"asset_sectors": "tech"},
            TypeError,
            r"SectorExposureLimit: risk_context\['asset_sectors'\] was 'tech'",
        ),
        (
            FactorExposureLimit("value", 0.2),
            {"factor_loadings": {"A": 1.0}},
            TypeError,
            "FactorExposureLimit: the loadings of 'A' were 1.0, expected a mapping of factors",
        ),
        (
            FactorExposureLimit("value", 0.2),
            {"factor_loadings": {"value": 1.0}},
            TypeError,
            "FactorExposureLimit: the loadings of 'value' were 1.0, expected a mapping of assets",
        ),
        (BetaLimit(0.2), {"betas": {}}, ValueError, r"BetaLimit needs risk_context\['asset_betas'\].*it has 'betas'"),
        (BetaLimit(0.2), 3, TypeError, "risk_context was 3, expected a mapping"),
    ],
)
def test_bad_context(limit: Any, context: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        play([10], {}, limits=[limit], risk_context=context)


def test_assets_without_a_weight() -> None:
    run = hold([BetaLimit(0.3), FactorExposureLimit("value", 0.1)], 0, 0, 40)
    assert run.alerts == [("BetaLimit", "warn", 0.4, 0.3)] * 3  # a missing beta is 1, a missing loading 0
    context = {"asset_betas": {"A": None}, "factor_loadings": {"value": {"A": 0.5}}}
    both = [BetaLimit(0.3), FactorExposureLimit("value", 0.1)]
    assert (
        play([10, 10], {-1: buy(400)}, limits=both, risk_context=context).alerts
        == [
            ("BetaLimit", "warn", 0.4, 0.3),
            ("FactorExposureLimit[value]", "warn", 0.2, 0.1),
        ]
        * 2
    )
