"""From objects to records: the only place where settings, contracts, cost models, rules, limits and events become codes and numbers."""

from __future__ import annotations

from ml4t_backtest.lowering.book import RuleTable
from ml4t_backtest.lowering.hosts import HostCalls
from ml4t_backtest.lowering.market import lower_market, trading_bars
from ml4t_backtest.lowering.terms import CostModels, Extras, lower_terms

__all__ = ["CostModels", "Extras", "HostCalls", "RuleTable", "lower_market", "lower_terms", "trading_bars"]
