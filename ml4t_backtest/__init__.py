"""Event-driven backtesting on compiled kernels.

    from ml4t_backtest import DataFeed, Engine, Strategy

Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# Three lists of the same names: for type checkers, for loading, for `import *`. A test keeps them equal. Packed, they can be read.
# fmt: off
# isort: off
if TYPE_CHECKING:
    from ml4t_backtest.accounting import (
        AccountPolicy, AccountState, CashAccountPolicy, Gatekeeper, MarginAccountPolicy, Position, UnifiedAccountPolicy,
    )
    from ml4t_backtest.analysis import BacktestAnalyzer, TradeStatistics
    from ml4t_backtest.analytics import (
        EquityCurve, MAEMFEAnalyzer, TradeAnalyzer, cagr, calmar_ratio, max_drawdown, returns_from_values, sharpe_ratio, sortino_ratio,
        to_equity_dataframe, to_returns_series, to_trade_record, to_trade_records, volatility,
    )
    from ml4t_backtest.analytics.annualization import get_annualization_factor
    from ml4t_backtest.broker import Broker
    from ml4t_backtest.calendar import (
        filter_to_trading_days, filter_to_trading_sessions, generate_trading_minutes, get_calendar, get_early_closes, get_holidays,
        get_schedule, get_trading_days, is_market_open, is_trading_day, list_calendars, next_trading_day, previous_trading_day,
    )
    from ml4t_backtest.compiled import CompiledStrategy, StrategyCompileError
    from ml4t_backtest.config import (
        AccountType, BacktestConfig, BeyondLimit, BracketPriority, BuyingPowerBasis, ChildActivation, CommissionType, DataFrequency,
        EntryOrderPriority, FillOrdering, FillTiming, InitialHwmSource, LateAssetPolicy, LimitFill, MarginCallCheck, MarginCallPolicy,
        MissingPricePolicy, Mode, RebalanceFrequency, RebalanceMode, ShareType, ShortCashPolicy, SlippageType, StatsConfig,
        SplitAccounting, SubmissionBarRange, TickRounding, TrailHwmSource, TrailStopTiming, TrailUpdate, TriggerPrice, WaterMarkSource,
        list_presets,
    )
    from ml4t_backtest.contracts import (
        AssetClass, ContractSpec, apply_margins, get_contract_spec, list_contract_specs, load_contract_specs, load_margin_table,
        register_contract_spec, round_to_tick, unregister_contract_spec,
    )
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.engine import BacktestEngine, Engine, run_backtest
    from ml4t_backtest.enrichment import enrich_trades_with_signals
    from ml4t_backtest.execution import (
        AdaptiveParticipationLimit, AssetExecutionLimits, ExecutionLimits, ExecutionResult, LinearImpact, MarketImpactModel, NoImpact,
        NoLimits, PositiveVolumeLimit, PowerLawImpact, RebalanceCadence, RebalanceClock, RebalanceConfig, RebalanceResult,
        RebalanceSchedule, SharedVolumeParticipationLimit, SquareRootImpact, TargetWeightExecutor, VolumeParticipationLimit,
        WeightProvider, is_rebalance_timestamp, resolve_rebalance_timestamps,
    )
    from ml4t_backtest.export import BacktestExporter
    from ml4t_backtest.honesty import check_determinism, check_lookahead, check_warmup
    from ml4t_backtest.indicators import with_indicators
    from ml4t_backtest.models import (
        AssetCommission, AssetSlippage, CombinedCommission, CommissionModel, CumulativeVolumeShareSlippage, FixedSlippage,
        FuturesCommission, FuturesSlippage, MakerTakerCommission, NoCommission, NoSlippage, PerOrderCommission,
        PerOrderPerShareCommission, PerShareCommission, PercentageCommission, PercentageSlippage, SlippageModel, SpreadSlippage,
        TieredCommission, VolatilityVolumeSlippage, VolumeShareSlippage,
    )
    from ml4t_backtest.orderhandle import Order
    from ml4t_backtest.overfitting import (
        bootstrap_interval, deflated_sharpe_ratio, probabilistic_sharpe_ratio, probability_of_backtest_overfitting,
    )
    from ml4t_backtest.profiles import get_profile_config, list_profiles
    from ml4t_backtest.reports import compare
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.risk import (
        ActionType, AllOf, AnyOf, BetaLimit, CVaRLimit, DailyLossLimit, FactorExposureLimit, GrossExposureLimit, LimitResult,
        MaxDrawdownLimit, MaxExposureLimit, MaxPositionsLimit, NetExposureLimit, PortfolioLimit, PortfolioState, PositionAction,
        PositionRule, PositionState, RiskManager, RuleChain, ScaledExit, SectorExposureLimit, SignalExit, StopLoss, TakeProfit,
        TighteningTrailingStop, TimeExit, TrailingStop, VaRLimit, VolatilityStop, VolatilityTrailingStop,
    )
    from ml4t_backtest.rows import Rows
    from ml4t_backtest.sessions import SessionConfig, align_to_sessions, assign_session_date, compute_session_pnl
    from ml4t_backtest.splitting import CalendarWindows, CombinatorialPurged, ExpandingWindows, RollingWindows, purged_k_fold
    from ml4t_backtest.signals import SignalResult, SignalStrategy, from_signals
    from ml4t_backtest.strategies import LongShortStrategy, MeanReversionStrategy, MomentumStrategy, SignalFollowingStrategy
    from ml4t_backtest.strategy import ArrayStrategy, Strategy
    from ml4t_backtest.studies import (
        CrossValidation, Integers, Study, Uniform, WalkForward, cross_validate, optuna_search, random_search, sweep, walk_forward,
    )
    from ml4t_backtest.trading_stats import AssetTradingStats
    from ml4t_backtest.types import (
        ExecutionMode, ExecutionPrice, ExitReason, Fill, OrderReason, OrderSide, OrderStatus, OrderType, StopFillMode, StopLevelBasis,
        TimeInForce, Trade, TradeStatus,
    )
# isort: on

__version__ = "0.1.0"

_HOMES = {
    "accounting": "AccountPolicy AccountState CashAccountPolicy Gatekeeper MarginAccountPolicy Position UnifiedAccountPolicy",
    "analysis": "BacktestAnalyzer TradeStatistics",
    "analytics": (
        "EquityCurve MAEMFEAnalyzer TradeAnalyzer cagr calmar_ratio max_drawdown returns_from_values sharpe_ratio sortino_ratio "
        "to_equity_dataframe to_returns_series to_trade_record to_trade_records volatility"
    ),
    "analytics.annualization": "get_annualization_factor",
    "broker": "Broker",
    "calendar": (
        "filter_to_trading_days filter_to_trading_sessions generate_trading_minutes get_calendar get_early_closes get_holidays "
        "get_schedule get_trading_days is_market_open is_trading_day list_calendars next_trading_day previous_trading_day"
    ),
    "compiled": "CompiledStrategy StrategyCompileError",
    "config": (
        "AccountType BacktestConfig BeyondLimit BracketPriority BuyingPowerBasis ChildActivation CommissionType DataFrequency "
        "EntryOrderPriority "
        "FillOrdering FillTiming InitialHwmSource LateAssetPolicy LimitFill MarginCallCheck MarginCallPolicy MissingPricePolicy Mode "
        "RebalanceFrequency RebalanceMode ShareType ShortCashPolicy SlippageType SplitAccounting StatsConfig SubmissionBarRange "
        "TickRounding TrailHwmSource TrailStopTiming TrailUpdate TriggerPrice WaterMarkSource list_presets"
    ),
    "contracts": (
        "AssetClass ContractSpec apply_margins get_contract_spec list_contract_specs load_contract_specs load_margin_table "
        "register_contract_spec round_to_tick unregister_contract_spec"
    ),
    "datafeed": "DataFeed",
    "engine": "BacktestEngine Engine run_backtest",
    "enrichment": "enrich_trades_with_signals",
    "execution": (
        "AdaptiveParticipationLimit AssetExecutionLimits ExecutionLimits ExecutionResult LinearImpact MarketImpactModel NoImpact "
        "NoLimits PositiveVolumeLimit PowerLawImpact RebalanceCadence RebalanceClock RebalanceConfig RebalanceResult RebalanceSchedule "
        "SharedVolumeParticipationLimit SquareRootImpact TargetWeightExecutor VolumeParticipationLimit WeightProvider "
        "is_rebalance_timestamp resolve_rebalance_timestamps"
    ),
    "export": "BacktestExporter",
    "honesty": "check_determinism check_lookahead check_warmup",
    "indicators": "with_indicators",
    "models": (
        "AssetCommission AssetSlippage CombinedCommission CommissionModel CumulativeVolumeShareSlippage FixedSlippage FuturesCommission "
        "FuturesSlippage MakerTakerCommission NoCommission NoSlippage PerOrderCommission PerOrderPerShareCommission PerShareCommission "
        "PercentageCommission PercentageSlippage SlippageModel SpreadSlippage TieredCommission VolatilityVolumeSlippage "
        "VolumeShareSlippage"
    ),
    "orderhandle": "Order",
    "overfitting": "bootstrap_interval deflated_sharpe_ratio probabilistic_sharpe_ratio probability_of_backtest_overfitting",
    "profiles": "get_profile_config list_profiles",
    "reports": "compare",
    "result": "BacktestResult",
    "risk": (
        "ActionType AllOf AnyOf BetaLimit CVaRLimit DailyLossLimit FactorExposureLimit GrossExposureLimit LimitResult MaxDrawdownLimit "
        "MaxExposureLimit MaxPositionsLimit NetExposureLimit PortfolioLimit PortfolioState PositionAction PositionRule PositionState "
        "RiskManager RuleChain ScaledExit SectorExposureLimit SignalExit StopLoss TakeProfit TighteningTrailingStop TimeExit "
        "TrailingStop VaRLimit VolatilityStop VolatilityTrailingStop"
    ),
    "rows": "Rows",
    "sessions": "SessionConfig align_to_sessions assign_session_date compute_session_pnl",
    "splitting": "CalendarWindows CombinatorialPurged ExpandingWindows RollingWindows purged_k_fold",
    "signals": "SignalResult SignalStrategy from_signals",
    "strategies": "LongShortStrategy MeanReversionStrategy MomentumStrategy SignalFollowingStrategy",
    "strategy": "ArrayStrategy Strategy",
    "studies": "CrossValidation Integers Study Uniform WalkForward cross_validate optuna_search random_search sweep walk_forward",
    "trading_stats": "AssetTradingStats",
    "types": (
        "ExecutionMode ExecutionPrice ExitReason Fill OrderReason OrderSide OrderStatus OrderType StopFillMode StopLevelBasis "
        "TimeInForce Trade TradeStatus"
    ),
}

__all__ = [
    "AccountPolicy", "AccountState", "AccountType", "ActionType", "AdaptiveParticipationLimit", "AllOf", "AnyOf", "ArrayStrategy",
    "AssetClass", "AssetCommission", "AssetExecutionLimits", "AssetSlippage", "AssetTradingStats", "BacktestAnalyzer",
    "BacktestConfig", "BacktestEngine", "BacktestExporter", "BacktestResult", "BetaLimit", "BeyondLimit", "BracketPriority",
    "Broker", "BuyingPowerBasis", "CVaRLimit", "CalendarWindows", "CashAccountPolicy", "ChildActivation", "CombinatorialPurged",
    "CombinedCommission", "CommissionModel", "CommissionType", "CompiledStrategy", "ContractSpec", "CrossValidation",
    "CumulativeVolumeShareSlippage", "DailyLossLimit", "DataFeed", "DataFrequency", "Engine", "EntryOrderPriority", "EquityCurve",
    "ExecutionLimits", "ExecutionMode", "ExecutionPrice", "ExecutionResult", "ExitReason", "ExpandingWindows",
    "FactorExposureLimit", "Fill", "FillOrdering", "FillTiming", "FixedSlippage", "FuturesCommission", "FuturesSlippage",
    "Gatekeeper", "GrossExposureLimit", "InitialHwmSource", "Integers", "LateAssetPolicy", "LimitFill", "LimitResult",
    "LinearImpact", "LongShortStrategy", "MAEMFEAnalyzer", "MakerTakerCommission", "MarginAccountPolicy", "MarginCallCheck",
    "MarginCallPolicy", "MarketImpactModel", "MaxDrawdownLimit", "MaxExposureLimit", "MaxPositionsLimit", "MeanReversionStrategy",
    "MissingPricePolicy", "Mode", "MomentumStrategy", "NetExposureLimit", "NoCommission", "NoImpact", "NoLimits", "NoSlippage",
    "Order", "OrderReason", "OrderSide", "OrderStatus", "OrderType", "PerOrderCommission", "PerOrderPerShareCommission",
    "PerShareCommission", "PercentageCommission", "PercentageSlippage", "PortfolioLimit", "PortfolioState", "Position",
    "PositionAction", "PositionRule", "PositionState", "PositiveVolumeLimit", "PowerLawImpact", "RebalanceCadence",
    "RebalanceClock", "RebalanceConfig", "RebalanceFrequency", "RebalanceMode", "RebalanceResult", "RebalanceSchedule",
    "RiskManager", "RollingWindows", "Rows", "RuleChain", "ScaledExit", "SectorExposureLimit", "SessionConfig", "ShareType",
    "SharedVolumeParticipationLimit", "ShortCashPolicy", "SignalExit", "SignalFollowingStrategy", "SignalResult", "SignalStrategy",
    "SlippageModel", "SlippageType", "SplitAccounting", "SpreadSlippage", "SquareRootImpact", "StatsConfig", "StopFillMode",
    "StopLevelBasis", "StopLoss", "Strategy", "StrategyCompileError", "Study", "SubmissionBarRange", "TakeProfit",
    "TargetWeightExecutor", "TickRounding", "TieredCommission", "TighteningTrailingStop", "TimeExit", "TimeInForce", "Trade",
    "TradeAnalyzer", "TradeStatistics", "TradeStatus", "TrailHwmSource", "TrailStopTiming", "TrailUpdate", "TrailingStop",
    "TriggerPrice", "UnifiedAccountPolicy", "Uniform", "VaRLimit", "VolatilityStop", "VolatilityTrailingStop",
    "VolatilityVolumeSlippage", "VolumeParticipationLimit", "VolumeShareSlippage", "WalkForward", "WaterMarkSource",
    "WeightProvider", "align_to_sessions", "apply_margins", "assign_session_date", "bootstrap_interval", "cagr", "calmar_ratio",
    "check_determinism", "check_lookahead", "check_warmup",
    "compare", "compute_session_pnl", "cross_validate", "deflated_sharpe_ratio", "enrich_trades_with_signals", "filter_to_trading_days",
    "filter_to_trading_sessions", "from_signals", "generate_trading_minutes", "get_annualization_factor", "get_calendar",
    "get_contract_spec", "get_early_closes", "get_holidays", "get_profile_config", "get_schedule", "get_trading_days",
    "is_market_open", "is_rebalance_timestamp", "is_trading_day", "list_calendars", "list_contract_specs", "list_presets",
    "list_profiles", "load_contract_specs", "load_margin_table", "max_drawdown", "next_trading_day", "optuna_search",
    "previous_trading_day", "probabilistic_sharpe_ratio", "probability_of_backtest_overfitting", "purged_k_fold", "random_search",
    "register_contract_spec", "resolve_rebalance_timestamps", "returns_from_values", "round_to_tick", "run_backtest",
    "sharpe_ratio", "sortino_ratio", "sweep", "to_equity_dataframe", "to_returns_series", "to_trade_record", "to_trade_records",
    "unregister_contract_spec", "volatility", "walk_forward", "with_indicators",
]
# fmt: on

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_ROOMS = {home.partition(".")[0] for home in _HOMES}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if name in _ROOMS:
        return import_module(f"ml4t_backtest.{name}")
    if home is None:
        from ml4t_backtest.hints import did_you_mean

        raise AttributeError(f"module 'ml4t_backtest' has no attribute {name!r}{did_you_mean(name, _HOME_OF)}")
    value = getattr(import_module(f"ml4t_backtest.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
