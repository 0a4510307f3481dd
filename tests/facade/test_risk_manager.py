"""Portfolio limits and `RiskManager` by hand: worked examples, halts and refusals, bad arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml4t_backtest.risk import (
    BetaLimit,
    CVaRLimit,
    DailyLossLimit,
    FactorExposureLimit,
    GrossExposureLimit,
    LimitResult,
    MaxDrawdownLimit,
    MaxExposureLimit,
    MaxPositionsLimit,
    NetExposureLimit,
    PortfolioLimit,
    PortfolioState,
    RiskManager,
    SectorExposureLimit,
    VaRLimit,
)
from tests.facade.positions import portfolio

START = datetime(2024, 1, 2, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def verdict(limit: PortfolioLimit, *args: Any, **more: Any) -> str:
    result = limit.check(portfolio(*args, **more))
    return result.action if result.breached else "ok"


def test_drawdown_is_breached_at_its_threshold() -> None:
    limit = MaxDrawdownLimit(0.2, warn_threshold=0.1)
    assert [verdict(limit, current_drawdown=drawdown) for drawdown in (0.0999, 0.1, 0.1999, 0.2)] == ["ok", "warn", "warn", "halt"]
    assert limit.check(portfolio(current_drawdown=0.25)).reason == "Drawdown 25.0% reached limit 20.0%"
    assert MaxDrawdownLimit(0.2, "reduce", reduction_pct=0.3).check(portfolio(current_drawdown=0.2)).reduction_pct == 0.3
    assert verdict(MaxDrawdownLimit(), current_drawdown=0.1999) == "ok"


def test_positions_are_breached_at_their_number() -> None:
    assert [verdict(MaxPositionsLimit(3), num_positions=count) for count in (2, 3, 4)] == ["ok", "halt", "halt"]
    assert MaxPositionsLimit(3, "reduce").check(portfolio(num_positions=4)).reduction_pct == 0.25
    assert [verdict(MaxPositionsLimit(), num_positions=count) for count in (9, 10)] == ["ok", "halt"]


def test_exposures_are_breached_above_their_threshold() -> None:
    assert [verdict(MaxExposureLimit(0.5), 1000.0, {"A": value}) for value in (500.0, 501.0, -501.0)] == ["ok", "warn", "warn"]
    assert [verdict(GrossExposureLimit(), 1000.0, {"A": 600.0, "B": value}) for value in (400.0, -400.0, -401.0)] == ["ok", "ok", "halt"]
    net = NetExposureLimit(1.0, -0.5)
    assert [verdict(net, 1000.0, {"A": value}) for value in (1000.0, 1001.0, -500.0, -501.0)] == ["ok", "warn", "ok", "warn"]
    assert [verdict(DailyLossLimit(), 1000.0, daily_pnl=pnl) for pnl in (50.0, -20.0, -20.5)] == ["ok", "ok", "halt"]


def test_reductions_bring_the_exposure_back() -> None:
    held = {"A": 1500.0, "B": -500.0, "C": 200.0}
    gross = GrossExposureLimit(1.1, "reduce").check(portfolio(1000.0, held))
    assert (gross.action, gross.reduction_pct, gross.assets) == ("reduce", 0.5, ())
    largest = MaxExposureLimit(0.3, "reduce").check(portfolio(1000.0, held))
    assert (largest.reduction_pct, largest.assets) == (0.8, ("A", "B"))
    assert largest.reason == "Position A 150.0% above limit 30.0%"
    net = NetExposureLimit(0.3, -0.3, "reduce").check(portfolio(1000.0, held))
    assert net.reduction_pct == 0.75
    assert MaxExposureLimit(0.3, "warn").check(portfolio(1000.0, held)).reduction_pct == 0.0


def test_sectors_sum_absolute_values() -> None:
    limit, held = SectorExposureLimit(0.3, "reduce"), {"A": 200.0, "B": -200.0, "C": 310.0, "D": 50.0}
    result = limit.check(portfolio(1000.0, held, context={"asset_sectors": {"A": "Tech", "B": "Tech", "D": "Energy"}}))
    assert (result.reduction_pct, result.assets) == (pytest.approx(0.25), ("A", "B", "C"))
    assert result.reason == "Sector Tech 40.0% above limit 30.0%"
    assert limit.check(portfolio(1000.0, {"C": 310.0})).reason == "Sector Unknown 31.0% above limit 30.0%"
    assert verdict(limit, 1000.0, {"C": 300.0}) == "ok"


def test_betas_and_factors_weigh_signed_values() -> None:
    held = {"A": 500.0, "B": -500.0, "C": 400.0}
    beta = BetaLimit(1.5, -0.5)
    assert beta.measure(portfolio(1000.0, held, context={"asset_betas": {"A": 2.0, "B": 0.5}})) == 1.0 - 0.25 + 0.4
    assert verdict(beta, 1000.0, {"A": 800.0}, context={"asset_betas": {"A": 2.0}}) == "warn"
    factor = FactorExposureLimit("value", 0.2, -0.2, "reduce")
    by_asset = {"A": {"value": 1.0, "size": 9.0}, "B": {"size": 1.0}, "C": {"value": -0.25}}
    by_factor = {"value": {"A": 1.0, "C": -0.25}, "size": {"A": 9.0}}
    results = [factor.check(portfolio(1000.0, held, context={"factor_loadings": loadings})) for loadings in (by_asset, by_factor)]
    assert results[0] == results[1] == LimitResult.reduce("Exposure to value 0.40 above limit 0.20", 0.5)
    assert verdict(factor, 1000.0, held) == "ok"
    with pytest.raises(TypeError, match="loadings of 'A' were 3.0"):
        factor.check(portfolio(1000.0, held, context={"factor_loadings": {"A": 3.0}}))
    with pytest.raises(TypeError, match=r"context\['asset_betas'\] was 3"):
        beta.check(portfolio(1000.0, held, context={"asset_betas": 3}))


def test_tails_of_returns() -> None:
    returns = [-0.10, -0.06, *[0.01] * 19]  # 21 returns: the 5 % quantile is the second smallest
    context = {"historical_returns": returns}
    var, cvar = VaRLimit(0.05, 0.95, 21), CVaRLimit(0.07, 0.95, 21)
    assert var.measure(portfolio(context=context)) == pytest.approx(0.06)
    assert cvar.measure(portfolio(context=context)) == pytest.approx(0.08)
    assert VaRLimit(0.05, 0.975, 21).measure(portfolio(context=context)) == pytest.approx(0.08)
    assert [verdict(limit, context=context) for limit in (var, cvar)] == ["warn", "warn"]
    assert [verdict(limit, context=context) for limit in (VaRLimit(0.061, lookback_days=21), CVaRLimit(0.081, lookback_days=21))] == [
        "ok",
        "ok",
    ]
    assert VaRLimit(0.03, 0.95, 21, "reduce").check(portfolio(context=context)).reduction_pct == pytest.approx(0.5)
    assert VaRLimit().measure(portfolio(context={"historical_returns": [-0.9, *[0.01] * 20]})) == pytest.approx(-0.01)
    edge = {"historical_returns": [-0.4, -0.2, *[0.0] * 9]}  # 11 returns: the 10 % quantile is the second smallest
    assert CVaRLimit(0.1, 0.9, 11).measure(portfolio(context=edge)) == pytest.approx(0.3)


def test_tails_wait_for_enough_returns() -> None:
    for returns in (None, [], [-0.5] * 19, [math.nan, None, *[-0.5] * 19]):
        result = VaRLimit().check(portfolio(context={"historical_returns": returns}))
        assert result == LimitResult.ok("VaR needs 20 returns in context['historical_returns']")
    assert verdict(VaRLimit(), context={"historical_returns": [-0.5] * 20}) == "warn"
    with pytest.raises(ValueError, match="infinite return"):
        VaRLimit().check(portfolio(context={"historical_returns": [-math.inf] * 20}))
    with pytest.raises(TypeError, match="expected a sequence of returns"):
        CVaRLimit().check(portfolio(context={"historical_returns": 0.1}))


@pytest.mark.parametrize("equity", [0.0, -5.0])
def test_without_equity_every_exposure_is_too_much(equity: float) -> None:
    held = {"A": 10.0, "B": -1.0}
    limits: list[Any] = [GrossExposureLimit(9.0, "reduce"), MaxExposureLimit(9.0, "reduce"), NetExposureLimit(9.0, -9.0, "reduce")]
    assert [limit.check(portfolio(equity, held)).reduction_pct for limit in limits] == [1.0, 1.0, 1.0]
    assert [verdict(limit, equity) for limit in limits] == ["ok", "ok", "ok"]
    assert verdict(DailyLossLimit(), equity, daily_pnl=-1.0) == "halt"


def test_published_spellings() -> None:
    pairs: list[tuple[Any, Any]] = [
        (MaxExposureLimit(max_exposure=0.2), MaxExposureLimit(0.2)),
        (DailyLossLimit(max_daily_loss=0.03), DailyLossLimit(0.03)),
        (GrossExposureLimit(max_gross=2.0), GrossExposureLimit(2.0)),
        (NetExposureLimit(min_net=-0.5, max_net=0.5), NetExposureLimit(0.5, -0.5)),
        (VaRLimit(max_var=0.03, confidence=0.99), VaRLimit(0.03, 0.99)),
        (CVaRLimit(max_cvar=0.03), CVaRLimit(0.03)),
        (SectorExposureLimit(max_sector_weight=0.4), SectorExposureLimit(0.4)),
        (FactorExposureLimit("size", max_factor_exposure=0.4), FactorExposureLimit("size", 0.4)),
        (MaxDrawdownLimit(action="HALT"), MaxDrawdownLimit()),
    ]
    assert [first for first, _ in pairs] == [second for _, second in pairs]
    assert len({hash(first) for first, _ in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxDrawdownLimit(20), r"MaxDrawdownLimit\(max_drawdown=20\): expected a fraction"),
        (lambda: MaxDrawdownLimit(0.2, "stop"), "action='stop'"),
        (lambda: MaxDrawdownLimit(0.2, "hault"), "did you mean 'halt'"),
        (lambda: MaxDrawdownLimit(0.2, warn_threshold=0.2), "warn_threshold=0.2"),
        (lambda: MaxDrawdownLimit(0.2, reduction_pct=0.0), "reduction_pct=0.0"),
        (lambda: MaxPositionsLimit(0), "max_positions=0"),
        (lambda: MaxPositionsLimit(2.5), "max_positions=2.5"),
        (lambda: MaxExposureLimit(0.0), "max_exposure=0.0"),
        (lambda: DailyLossLimit(math.nan), "max_daily_loss=nan"),
        (lambda: GrossExposureLimit(-1.0), "max_gross_exposure=-1.0"),
        (lambda: NetExposureLimit(-1.0, 1.0), "expected min_net_exposure < max_net_exposure"),
        (lambda: BetaLimit(1.5, 0.5, "reduce"), "needs 0 between"),
        (lambda: VaRLimit(0.05, 95), "confidence_level=95"),
        (lambda: CVaRLimit(0.05, lookback_days=1), "lookback_days=1"),
        (lambda: FactorExposureLimit(""), "factor_name=''"),
        (lambda: SectorExposureLimit(math.inf), "max_sector_exposure=inf"),
        (lambda: portfolio(math.nan), "equity=nan"),
        (lambda: portfolio(positions={"A": math.inf}), r"PortfolioState\(positions\['A'\]=inf\)"),
        (lambda: LimitResult(True, "reduce", reduction_pct=1.5), "reduction_pct=1.5"),
        (lambda: RiskManager(day_start="open"), "day_start='open'"),
        (lambda: RiskManager().initialize(math.nan), "equity=nan"),
        (lambda: RiskManager().update(1.0, {"A": math.nan}), r"RiskManager\(positions\['A'\]=nan\)"),
    ],
)
def test_bad_values_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_limit_is_named() -> None:
    class Silent:
        def check(self, state: PortfolioState) -> Any:
            return None

    for limits in (MaxPositionsLimit(), 3):
        with pytest.raises(TypeError, match="expected a list of limits"):
            RiskManager(limits)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="limit 1 was"):
        RiskManager([MaxPositionsLimit(), MaxPositionsLimit])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"Silent.check\(\) returned None"):
        RiskManager([Silent()]).update(1.0, {})


def test_a_halt_stays_and_warnings_do_not() -> None:
    manager = RiskManager([MaxDrawdownLimit(0.2, warn_threshold=0.1)])
    manager.initialize(1000.0, START)
    assert (manager.is_halted, manager.current_drawdown, manager.can_open_position()) == (False, 0.0, (True, ""))
    assert manager.update(1100.0, {}, START + DAY) == []
    assert [result.action for result in manager.update(990.0, {}, START + 2 * DAY)] == ["warn"]
    assert manager.warnings == ["Drawdown 10.0% reached warning level 10.0%"]
    assert [result.action for result in manager.update(880.0, {}, START + 3 * DAY)] == ["halt"]
    assert (manager.warnings, manager.halt_reason, manager.current_drawdown) == ([], "Drawdown 20.0% reached limit 20.0%", 0.2)
    assert manager.update(1200.0, {}, START + 4 * DAY) == []
    assert manager.can_open_position() == (False, "Trading halted: Drawdown 20.0% reached limit 20.0%")
    assert manager.can_increase_position("A", 1.0)[0] is False
    manager.reset_halt()
    assert (manager.halted, manager.halt_reason, manager.can_open_position()) == (False, "", (True, ""))
    assert (manager.get_state().high_water_mark, manager.get_state().initial_equity) == (1200.0, 1000.0)


def test_halts_at_once_are_all_named_and_later_ones_are_not() -> None:
    manager = RiskManager([MaxPositionsLimit(1), GrossExposureLimit(1.0), NetExposureLimit(3.0, -3.0, "halt")])
    manager.update(1000.0, {"A": 2000.0}, START)
    both = "1 positions reached limit 1; Gross exposure 200.0% above limit 100.0%"
    assert manager.halt_reason == both
    assert len(manager.update(1000.0, {"A": 4000.0}, START)) == 3
    assert manager.halt_reason == both


def test_a_block_lasts_while_it_is_breached_and_liquidation_halts() -> None:
    manager = RiskManager([GrossExposureLimit(1.0, "block"), NetExposureLimit(2.0, -2.0, "liquidate"), MaxExposureLimit(0.5, "reduce")])
    manager.update(1000.0, {"A": 1001.0, "B": 0.0}, START)
    assert (manager.get_state().num_positions, manager.halted, len(manager.reductions)) == (1, False, 1)
    assert manager.can_open_position() == (False, "New risk blocked: Gross exposure 100.1% above limit 100.0%")
    assert manager.can_increase_position("A", -100.0) == (True, "")
    assert manager.can_increase_position("A", -1002.0)[0] is False
    manager.update(1000.0, {"A": 400.0}, START)
    assert (manager.can_open_position(), manager.blocked, manager.reductions) == ((True, ""), "", [])
    manager.update(1000.0, {"A": 3000.0}, START)
    assert (manager.halted, manager.liquidating) == (True, True)
    manager.update(1000.0, {}, START)
    assert (manager.halted, manager.liquidating) == (True, True)
    manager.initialize(500.0)
    assert (manager.halted, manager.liquidating, manager.blocked, manager.get_state().equity) == (False, False, "", 500.0)


def test_an_increase_is_refused_when_it_breaches_and_not_for_what_was_there() -> None:
    manager = RiskManager([MaxExposureLimit(0.3, "block"), MaxPositionsLimit(3, "block"), NetExposureLimit(0.4, -1.0, "warn")])
    with pytest.raises(RuntimeError, match="call initialize"):
        manager.can_increase_position("A", 1.0)
    manager.update(1000.0, {"A": 250.0, "B": 100.0}, START)
    assert manager.can_increase_position("A", 50.0) == (True, "")
    assert manager.can_increase_position("A", 51.0) == (False, "Position A 30.1% above limit 30.0%")
    assert manager.can_increase_position("A", -600.0)[0] is False
    assert manager.can_increase_position("C", 200.0) == (True, "")
    reducing = RiskManager([MaxExposureLimit(0.3, "reduce")])
    reducing.update(1000.0, {"A": 400.0, "B": 100.0}, START)
    assert [
        reducing.can_increase_position(asset, amount)[0] for asset, amount in [("B", 100.0), ("B", 250.0), ("A", 1.0), ("A", -1.0)]
    ] == [
        True,
        False,
        False,
        True,
    ]
    broke = RiskManager([GrossExposureLimit(1.0, "reduce")])
    broke.update(-1.0, {"A": 10.0}, START)
    assert broke.can_increase_position("A", 1.0)[0] is False


def test_a_limit_of_ones_own_needs_only_check() -> None:
    class Few:
        def check(self, state: PortfolioState) -> LimitResult:
            return LimitResult.halt("two are enough") if state.num_positions > 2 else LimitResult.ok()

    few = RiskManager([Few()])
    few.update(1000.0, {"A": 1.0, "B": 1.0})
    assert [few.can_increase_position(asset, 1.0) for asset in "AC"] == [(True, ""), (False, "two are enough")]
    few.update(1000.0, {"A": 1.0, "B": 1.0, "C": 1.0})
    assert (few.halted, few.liquidating) == (True, False)

    class NoFridays:
        def check(self, state: PortfolioState) -> LimitResult:
            friday = state.timestamp is not None and state.timestamp.weekday() == 4
            return LimitResult.block("it is Friday") if friday else LimitResult.ok()

    manager = RiskManager([NoFridays()])
    assert [(manager.update(1000.0, {}, START + day * DAY) != [], manager.can_increase_position("A", 1.0)) for day in range(2, 5)] == [
        (False, (True, "")),
        (True, (False, "New risk blocked: it is Friday")),
        (False, (True, "")),
    ]


@pytest.mark.parametrize(
    ("day_start", "daily"), [("previous_close", [0.0, -10.0, -15.0, 5.0, 5.0]), ("first_update", [0.0, -10.0, 0.0, 20.0, 0.0])]
)
def test_daily_profit_counts_from_the_day_start(day_start: str, daily: list[float]) -> None:
    manager = RiskManager(day_start=day_start)
    manager.initialize(1000.0, START)
    seen = []
    for equity, hours in [(1000.0, 1), (990.0, 2), (975.0, 24), (995.0, 25), (1000.0, 48)]:
        manager.update(equity, {}, START + timedelta(hours=hours))
        seen.append(manager.get_state().daily_pnl)
    assert seen == daily


def test_daily_bars_can_breach_a_daily_loss() -> None:
    manager = RiskManager([DailyLossLimit(0.02)])
    actions = [
        [result.action for result in manager.update(equity, {}, START + day * DAY)] for day, equity in enumerate((1000.0, 981.0, 960.0))
    ]
    assert actions == [[], [], ["halt"]]


def test_time_goes_forward_in_one_kind_of_zone() -> None:
    manager = RiskManager()
    manager.update(1000.0, {}, START)
    manager.update(1000.0, {})
    assert manager.get_state().timestamp == START
    with pytest.raises(ValueError, match="before the last one"):
        manager.update(1000.0, {}, START - DAY)
    with pytest.raises(ValueError, match="one has a time zone"):
        manager.update(1000.0, {}, START.replace(tzinfo=None))
