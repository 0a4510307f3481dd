"""Strategies that are compiled functions: a whole run in one call, the same orders and results as a Python strategy.

`OrderType`, `OrderStatus` and `TimeInForce` here are the codes that compiled code compares and passes.
"""

from __future__ import annotations

from ml4t_backtest.compiled.messages import StrategyCompileError
from ml4t_backtest.compiled.strategy import CompiledStrategy
from ml4t_kernels.codes import OrderStatus, OrderType, TimeInForce

__all__ = ["CompiledStrategy", "OrderStatus", "OrderType", "StrategyCompileError", "TimeInForce"]
