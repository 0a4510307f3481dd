"""Event-driven backtesting on compiled kernels.

    from ml4t_backtest import DataFeed, Engine, Strategy

Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml4t_backtest.broker import Broker
    from ml4t_backtest.config import AccountType, BacktestConfig, CommissionType, SlippageType
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.engine import Engine, run_backtest
    from ml4t_backtest.handles import Order, Position
    from ml4t_backtest.models import (
        FixedSlippage,
        NoCommission,
        NoSlippage,
        PercentageCommission,
        PercentageSlippage,
        PerShareCommission,
    )
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.rows import Rows
    from ml4t_backtest.strategy import ArrayStrategy, Strategy
    from ml4t_backtest.types import (
        ExecutionMode,
        ExecutionPrice,
        ExitReason,
        Fill,
        OrderReason,
        OrderSide,
        OrderStatus,
        OrderType,
        Trade,
        TradeStatus,
    )

__version__ = "0.1.0"

_HOMES = {
    "broker": ("Broker",),
    "config": ("AccountType", "BacktestConfig", "CommissionType", "SlippageType"),
    "contracts": ("ContractSpec",),
    "datafeed": ("DataFeed",),
    "engine": ("Engine", "run_backtest"),
    "handles": ("Order", "Position"),
    "models": (
        "FixedSlippage",
        "NoCommission",
        "NoSlippage",
        "PerShareCommission",
        "PercentageCommission",
        "PercentageSlippage",
    ),
    "result": ("BacktestResult",),
    "rows": ("Rows",),
    "strategy": ("ArrayStrategy", "Strategy"),
    "types": (
        "ExecutionMode",
        "ExecutionPrice",
        "ExitReason",
        "Fill",
        "OrderReason",
        "OrderSide",
        "OrderStatus",
        "OrderType",
        "Trade",
        "TradeStatus",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccountType",
    "ArrayStrategy",
    "BacktestConfig",
    "BacktestResult",
    "Broker",
    "CommissionType",
    "ContractSpec",
    "DataFeed",
    "Engine",
    "ExecutionMode",
    "ExecutionPrice",
    "ExitReason",
    "Fill",
    "FixedSlippage",
    "NoCommission",
    "NoSlippage",
    "Order",
    "OrderReason",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "PerShareCommission",
    "PercentageCommission",
    "PercentageSlippage",
    "Position",
    "Rows",
    "SlippageType",
    "Strategy",
    "Trade",
    "TradeStatus",
    "run_backtest",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        from ml4t_backtest.hints import did_you_mean

        raise AttributeError(f"module 'ml4t_backtest' has no attribute {name!r}{did_you_mean(name, _HOME_OF)}")
    value = getattr(import_module(f"ml4t_backtest.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
