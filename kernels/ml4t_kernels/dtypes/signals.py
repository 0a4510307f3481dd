"""Layouts of signal runs: conditions on indicators, parameter sets, and what a set leaves behind."""

from __future__ import annotations

import numpy as np

from ml4t_kernels.arrays import titled

__all__ = ["condition_dtype", "job_dtype", "outcome_dtype", "set_dtype", "signal_dtype", "turn_dtype"]

condition_dtype = titled(
    ("left", "row of the indicator", np.int64),
    ("right", "row of the indicator that it is compared with, -1: the level", np.int64),
    ("level", "level that it is compared with", np.float64),
    ("kind", "code ConditionKind", np.int64),
    ("bit", "code SignalBit that the condition switches on", np.int64),
)

signal_dtype = titled(
    ("codes", "row of ready signals, -1: by conditions", np.int64),
    ("first_condition", "first row of the conditions", np.int64),
    ("conditions", "number of conditions", np.int64),
)

set_dtype = titled(
    ("prices", "row of the prices", np.int64),
    ("signals", "row of the signals", np.int64),
    ("sizes", "row of sizes by bar, -1: one size", np.int64),
    ("size", "size of an entry in the unit of its kind, inf for all that the account can pay", np.float64),
    ("size_kind", "code SizeKind", np.int64),
    ("actions", "row of the tables of actions", np.int64),
    ("stop_pct", "stop loss, fraction of the price, inf without", np.float64),
    ("trail_pct", "trailing stop, fraction of the price, inf without", np.float64),
    ("target_pct", "profit target, fraction of the price, inf without", np.float64),
    ("max_bars", "bars after which a position is closed, a huge number without", np.int64),
    ("initial_cash", "cash at the start [money]", np.float64),
    ("commission_rate", "fraction of the notional", np.float64),
    ("commission_per_order", "money once per order", np.float64),
    ("slippage_rate", "fraction of the price", np.float64),
    ("own_costs", "1: the three costs above count instead of the cost row's", np.int64),
)

outcome_dtype = titled(
    ("final_value", "account value at the end [money]", np.float64),
    ("max_drawdown", "deepest fall below the highest account value, fraction <= 0", np.float64),
    ("first", "sum of the returns", np.float64),
    ("second", "sum of the squares of the returns", np.float64),
    ("third", "sum of the cubes of the returns", np.float64),
    ("fourth", "sum of the fourth powers of the returns", np.float64),
    ("losses", "number of negative returns", np.int64),
    ("loss_first", "sum of the negative returns", np.float64),
    ("loss_second", "sum of the squares of the negative returns", np.float64),
    ("num_trades", "closed and partial trades", np.int64),
    ("num_open_trades", "positions open at the end", np.int64),
    ("winning_trades", "trades that made money", np.int64),
    ("losing_trades", "trades that lost money", np.int64),
    ("total_pnl", "profit of the trades [money]", np.float64),
    ("gross_profit", "profit of the winners [money]", np.float64),
    ("gross_loss", "loss of the losers, <= 0 [money]", np.float64),
    ("won", "sum of the returns of the winners, fractions of their entry prices", np.float64),
    ("lost", "sum of the returns of the losers", np.float64),
    ("moved", "sum of the returns of all trades", np.float64),
    ("largest_win", "largest return of a winner, -inf without", np.float64),
    ("largest_loss", "smallest return of a loser, inf without", np.float64),
    ("bars_held", "bars between entries and exits, added up", np.int64),
    ("total_gross_pnl", "profit before commission [money]", np.float64),
    ("gained_gross", "profit before commission of the trades that had one [money]", np.float64),
    ("lost_gross", "loss before commission of the trades that had one [money]", np.float64),
    ("cost_drag", "sum of the costs over the entry notional", np.float64),
    ("num_fills", "number of fills", np.int64),
    ("total_commission", "commission of the fills [money]", np.float64),
    ("total_slippage", "slippage of the fills [money]", np.float64),
)

job_dtype = titled(
    ("state_address", "address of the state record of an account with one asset", np.int64),
    ("bars", "number of bars", np.int64),
    ("opens_address", "address of the open prices, float64[rows, bars]", np.int64),
    ("highs_address", "address of the high prices, likewise", np.int64),
    ("lows_address", "address of the low prices", np.int64),
    ("closes_address", "address of the close prices", np.int64),
    ("volumes_address", "address of the volumes", np.int64),
    ("vwaps_address", "address of the volume-weighted average prices; the closes without", np.int64),
    ("sets_address", "address of the parameter sets", np.int64),
    ("set_count", "number of parameter sets", np.int64),
    ("outcomes_address", "address of what they leave behind, a row for each", np.int64),
    ("signals_address", "address of the distinct signals", np.int64),
    ("signal_count", "number of distinct signals", np.int64),
    ("conditions_address", "address of the conditions", np.int64),
    ("condition_count", "number of conditions", np.int64),
    ("indicators_address", "address of the indicators, float64[rows, bars]", np.int64),
    ("codes_address", "address of the ready signals, uint8[rows, bars], codes SignalBit added up", np.int64),
    ("sizes_address", "address of the sizes by bar, float64[rows, bars]", np.int64),
    ("actions_address", "address of the tables of actions, uint8[rows, 48]: by position (flat, long, short) and signals", np.int64),
    ("scratch_address", "address of the signals of one set, uint8[bars]", np.int64),
    ("events_address", "address of the bars with any signal, int32[bars]", np.int64),
    ("advance_address", "address of the compiled entry point that works through a bar", np.int64),
    ("rules_address", "address of the compiled entry point that evaluates the position rules, 0 without", np.int64),
    ("keeps", "1: orders, fills, trades and the account value of every bar stay in the account's records", np.int64),
    ("status", "code StepStatus of what the last call asks for", np.int64),
)

turn_dtype = titled(
    ("codes_address", "address of the signals, uint8[bars, assets], codes SignalBit added up", np.int64),
    ("sizes_address", "address of the sizes of entries, float64[bars or 1, assets]", np.int64),
    ("sizes_step", "numbers from one bar's sizes to the next, 0 where they stay the same", np.int64),
    ("size_kind", "code SizeKind", np.int64),
    ("actions_address", "address of the table of actions, uint8[48]", np.int64),
    ("acting", "the actions that do something, one bit for each row of that table", np.int64),
    ("candidates_address", "address of scratch for the assets that may be ordered, int64[assets]", np.int64),
    ("rows_address", "address of where in that table each asset's actions begin, uint8[assets]", np.int64),
    ("stopped_address", "address of the bar plus 1 on which a rule last made an order, int64[assets]", np.int64),
    ("orders", "orders when the last turn ended", np.int64),
    ("fills", "fills when the last turn began", np.int64),
)
