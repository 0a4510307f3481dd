"""Every import path and name that user code of the published engine has, and what importing them loads."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import ml4t_backtest
from tests.facade.feeds import Calls, feed

ROOT = Path(__file__).parents[2]

RULES = "StopLoss TakeProfit TimeExit TrailingStop TighteningTrailingStop ScaledExit VolatilityStop VolatilityTrailingStop SignalExit"
CHAINS = "RuleChain AllOf AnyOf"
LIMITS = (
    "MaxDrawdownLimit MaxPositionsLimit MaxExposureLimit DailyLossLimit GrossExposureLimit NetExposureLimit VaRLimit CVaRLimit BetaLimit"
    " SectorExposureLimit FactorExposureLimit"
)
ACCOUNTS = "AccountState AccountPolicy UnifiedAccountPolicy Gatekeeper Position CashAccountPolicy MarginAccountPolicy"
COSTS = (
    "CommissionModel SlippageModel NoCommission PercentageCommission PerShareCommission TieredCommission CombinedCommission"
    " FuturesCommission NoSlippage FixedSlippage PercentageSlippage VolumeShareSlippage FuturesSlippage"
)
METRICS = "sharpe_ratio sortino_ratio calmar_ratio max_drawdown cagr volatility returns_from_values"
BRIDGE = "to_trade_record to_trade_records to_returns_series to_equity_dataframe"
CALENDAR = (
    "get_calendar get_schedule get_trading_days is_trading_day is_market_open next_trading_day previous_trading_day list_calendars"
    " get_holidays filter_to_trading_days filter_to_trading_sessions generate_trading_minutes get_early_closes"
)
SCHEDULES = "RebalanceCadence RebalanceSchedule is_rebalance_timestamp resolve_rebalance_timestamps"
TEMPLATES = "SignalFollowingStrategy MomentumStrategy MeanReversionStrategy LongShortStrategy"

SURFACE = {
    "": (
        "DataFeed Broker Strategy Engine run_backtest BacktestConfig BacktestResult CommissionType OrderType OrderSide OrderStatus"
        " ExecutionMode ExitReason StopFillMode StopLevelBasis Order Position Fill Trade AssetClass ContractSpec RebalanceConfig"
        " TargetWeightExecutor StopLoss TakeProfit TrailingStop RuleChain"
        " NoCommission NoSlippage PercentageCommission PercentageSlippage PerShareCommission LinearImpact VolumeParticipationLimit"
        " WaterMarkSource InitialHwmSource TrailHwmSource"
        " BacktestExporter enrich_trades_with_signals TieredCommission CombinedCommission FixedSlippage VolumeShareSlippage"
        " SquareRootImpact EquityCurve TradeAnalyzer FillTiming Mode BacktestEngine BacktestAnalyzer TradeStatistics TimeInForce"
        " CommissionModel SlippageModel SlippageType ShareType ExecutionPrice AssetTradingStats MAEMFEAnalyzer SessionConfig"
        " compute_session_pnl assign_session_date align_to_sessions"
        f" {METRICS} {CALENDAR} {SCHEDULES} {RULES} {CHAINS} {LIMITS} RiskManager {COSTS} {TEMPLATES} {ACCOUNTS}"
    ),
    "types": (
        "OrderType OrderSide OrderStatus ExecutionMode StopFillMode StopLevelBasis AssetClass ContractSpec ExitReason Order Position"
        " Fill Trade AssetTradingStats"
    ),
    "config": (
        "BacktestConfig StatsConfig ExecutionMode ExecutionPrice ShareType FillOrdering EntryOrderPriority ShortCashPolicy RebalanceMode"
        " MissingPricePolicy LateAssetPolicy CommissionType SlippageType DataFrequency WaterMarkSource InitialHwmSource TrailStopTiming"
        " StopFillMode StopLevelBasis CommissionModel SlippageModel FillTiming TrailHwmSource PRESETS_DIR Mode"
    ),
    "profiles": "get_profile_config list_profiles",
    "engine": "Engine run_backtest BacktestEngine",
    "broker": "Broker",
    "strategy": "Strategy",
    "datafeed": "DataFeed",
    "models": COSTS,
    "accounting": ACCOUNTS,
    "accounting.account": "AccountState",
    "accounting.policy": "AccountPolicy UnifiedAccountPolicy CashAccountPolicy MarginAccountPolicy",
    "accounting.gatekeeper": "Gatekeeper",
    "risk": (
        f"{RULES} {CHAINS} {LIMITS} PositionRule RiskManager PortfolioState LimitResult PortfolioLimit PositionState PositionAction ActionType"
    ),
    "risk.types": "PositionState PositionAction ActionType",
    "risk.position": f"{RULES} {CHAINS} PositionRule",
    "risk.position.static": "StopLoss TakeProfit TimeExit",
    "risk.position.dynamic": "TrailingStop TighteningTrailingStop ScaledExit VolatilityStop VolatilityTrailingStop",
    "risk.position.signal": "SignalExit VolatilityStop VolatilityTrailingStop",
    "risk.position.composite": CHAINS,
    "risk.position.protocol": "PositionRule",
    "risk.portfolio": f"{LIMITS} RiskManager",
    "risk.portfolio.limits": f"{LIMITS} PortfolioLimit PortfolioState LimitResult",
    "risk.portfolio.manager": "RiskManager",
    "execution": (
        "MarketImpactModel NoImpact LinearImpact SquareRootImpact ExecutionLimits NoLimits VolumeParticipationLimit RebalanceConfig"
        " TargetWeightExecutor ExecutionResult"
    ),
    "execution.impact": "MarketImpactModel NoImpact LinearImpact SquareRootImpact PowerLawImpact",
    "execution.limits": "ExecutionLimits NoLimits VolumeParticipationLimit AdaptiveParticipationLimit",
    "execution.rebalancer": "RebalanceConfig TargetWeightExecutor WeightProvider",
    "execution.result": "ExecutionResult",
    "execution.schedule": SCHEDULES,
    "analytics": f"EquityCurve TradeAnalyzer MAEMFEAnalyzer {METRICS} {BRIDGE}",
    "analytics.metrics": METRICS,
    "analytics.equity": "EquityCurve",
    "analytics.trades": "TradeAnalyzer MAEMFEAnalyzer",
    "analytics.bridge": BRIDGE,
    "analytics.annualization": "get_annualization_factor",
    "result": "BacktestResult enrich_trades_with_signals _get_annualization_factor",
    "export": "BacktestExporter",
    "analysis": "BacktestAnalyzer TradeStatistics",
    "sessions": "SessionConfig assign_session_date compute_session_pnl align_to_sessions",
    "calendar": f"{CALENDAR} CALENDAR_ALIASES",
    "strategies": TEMPLATES,
    "strategies.templates": TEMPLATES,
    "_validation_imports": (
        "Broker BacktestConfig DataFeed Engine ExecutionMode Strategy Order OrderSide OrderStatus OrderType StopFillMode StopLevelBasis"
        " NoCommission PercentageCommission PerShareCommission NoSlippage FixedSlippage PercentageSlippage VolumeParticipationLimit"
        " LinearImpact RebalanceConfig TargetWeightExecutor WaterMarkSource InitialHwmSource TrailHwmSource"
    ),
}

# Path of a name or module that the published engine has and this one leaves out -> why.
LEFT_OUT = {
    "types.PartialExit": "a partial exit is a trade of status 'partial'",
    "execution.fill_executor": "fills happen in the kernels; nothing of it could be called from Python",
    "core": "the inside of the published engine, which nobody imports",
}
# Two things that both generations call by one name, told apart by the module.
NAMESAKES = {
    ("config", "CommissionModel"): "the setting; in the root the protocol of cost models",
    ("config", "SlippageModel"): "likewise",
    ("risk.position.signal", "VolatilityTrailingStop"): "the older arguments and defaults",
}


def path_of(module: str) -> str:
    return f"ml4t_backtest.{module}" if module else "ml4t_backtest"


@pytest.mark.parametrize("module", SURFACE, ids=path_of)
def test_names_are_where_user_code_looks_for_them(module: str) -> None:
    home = import_module(path_of(module))
    missing = [name for name in SURFACE[module].split() if not hasattr(home, name)]
    assert not missing


@pytest.mark.parametrize("path", LEFT_OUT)
def test_what_is_left_out_is_not_there_by_accident(path: str) -> None:
    owner, _, name = path.rpartition(".")
    home = import_module(path_of(owner))
    assert not hasattr(home, name)
    assert not hasattr(home, "__path__") or find_spec(path_of(path)) is None


def test_the_cost_protocols_of_the_root_are_not_the_settings_of_that_name() -> None:
    from ml4t_backtest import config, models

    assert ml4t_backtest.CommissionModel is models.CommissionModel
    assert ml4t_backtest.SlippageModel is models.SlippageModel
    assert config.CommissionModel is config.CommissionType
    assert config.SlippageModel is config.SlippageType


def test_one_object_per_name_wherever_it_is_imported_from() -> None:
    for module, names in SURFACE.items():
        for name in names.split():
            if name in ml4t_backtest.__all__ and (module, name) not in NAMESAKES:
                assert getattr(import_module(path_of(module)), name) is getattr(ml4t_backtest, name), f"{module}.{name}"


def test_positions_of_a_run_are_positions() -> None:
    seen: list[object] = []

    def buy(bar: int, data: object, broker: ml4t_backtest.Broker) -> None:
        broker.submit_order("A", 1)
        seen.append(broker.get_position("A"))

    ml4t_backtest.Engine(feed({"A": [10.0, 11.0, 12.0]}), Calls(buy)).run()
    assert [isinstance(position, ml4t_backtest.Position) for position in seen] == [False, True, True]
    assert isinstance(ml4t_backtest.Position("A", 1, 10.0), ml4t_backtest.types.Position)


def test_modules_are_attributes_of_the_root() -> None:
    program = (
        "import ml4t_backtest as bt; print(bt.analytics.sharpe_ratio.__name__, bt.risk.position.StopLoss.__name__, bt.types.Fill.__name__)"
    )
    assert run(program) == "sharpe_ratio StopLoss Fill"


def test_unknown_names_of_a_module_get_a_suggestion() -> None:
    from ml4t_backtest import types

    with pytest.raises(AttributeError, match="did you mean 'Position'"):
        _ = types.Positions  # type: ignore[attr-defined]


HEAVY = ("numba", "pandas", "polars", "pyarrow", "pandas_market_calendars", "yaml", "tqdm", "matplotlib", "plotly")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import ml4t_backtest", ("numpy", *HEAVY)),
        ("from ml4t_backtest import types, config, models, contracts", ("numpy", *HEAVY)),
        ("from ml4t_backtest.risk import StopLoss, RiskManager", ("numpy", *HEAVY)),
        ("from ml4t_backtest import BacktestConfig, OrderType, StopLoss, PerShareCommission", ("numpy", *HEAVY)),
        ("from ml4t_backtest import Engine, DataFeed, Strategy", ("numba", "pandas", "pandas_market_calendars", "polars")),
        ("import ml4t_backtest.dropin; from ml4t.backtest import Engine, DataFeed, Strategy", ("numba", "pandas", "polars")),
        ("from ml4t_backtest import *", ("numba", "pandas", "pandas_market_calendars")),
    ],
)
def test_importing_loads_nothing_heavy(statement: str, absent: tuple[str, ...]) -> None:
    loaded = run(f"{statement}\nimport sys; print(*sys.modules)").split()
    assert not set(absent) & set(loaded)


def run(program: str) -> str:
    path = f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": path})
    return done.stdout.strip()
