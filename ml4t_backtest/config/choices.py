"""The choices of settings: every enum setting takes the member, its value or its name in any case."""

from __future__ import annotations

from enum import Enum

__all__ = [
    "AccountType",
    "BeyondLimit",
    "BracketPriority",
    "BuyingPowerBasis",
    "CashLedger",
    "ChildActivation",
    "CommissionType",
    "DataFrequency",
    "EntryOrderPriority",
    "FillOrdering",
    "FillTiming",
    "InitialHwmSource",
    "LateAssetPolicy",
    "LimitFill",
    "LinkedOrders",
    "MarginCallCheck",
    "MarginCallPolicy",
    "MissingBarOrders",
    "MissingPricePolicy",
    "RebalanceFrequency",
    "RebalanceMode",
    "RefusedReversal",
    "ShareType",
    "ShortCashPolicy",
    "SlippageBound",
    "SlippageFills",
    "SlippageType",
    "SplitAccounting",
    "StopGapFill",
    "StopLimitFill",
    "SubmissionBarRange",
    "SubmissionCheckOrders",
    "TickRounding",
    "TrailStopTiming",
    "TrailUpdate",
    "TriggerPrice",
    "WaterMarkSource",
]


class AccountType(str, Enum):
    """What the account may do: long only; long and short, both paid in full; with leverage; futures on margin."""

    CASH = "cash"
    CRYPTO = "crypto"
    MARGIN = "margin"
    FUTURES = "futures"


class CashLedger(str, Enum):
    """What is kept of cash: cash alone, or also the free cash that no short locks."""

    STANDARD = "standard"
    FREE_CASH = "free_cash"


class CommissionType(str, Enum):
    """Formula of the commission."""

    NONE = "none"
    PERCENTAGE = "percentage"
    PER_SHARE = "per_share"
    PER_TRADE = "per_trade"
    TIERED = "tiered"
    PER_CONTRACT = "per_share"  # noqa: PIE796 - an alias on purpose


class SlippageType(str, Enum):
    """Formula of the slippage."""

    NONE = "none"
    FIXED = "fixed"
    PERCENTAGE = "percentage"
    VOLUME_BASED = "volume_based"
    SPREAD = "spread"


class FillTiming(str, Enum):
    """Execution mode and price in one word."""

    SAME_BAR = "same_bar"
    CLOSE_ONLY = "close_only"
    NEXT_BAR_OPEN = "next_bar_open"
    NEXT_BAR_CLOSE = "next_bar_close"


class ShareType(str, Enum):
    """Whole units, or any quantity."""

    FRACTIONAL = "fractional"
    INTEGER = "integer"


class FillOrdering(str, Enum):
    """Exits before entries, all in order of submission (`sequential` is another word for `fifo`), or the newest closing order first."""

    EXIT_FIRST = "exit_first"
    FIFO = "fifo"
    SEQUENTIAL = "sequential"
    NEWEST_EXIT_FIRST = "newest_exit_first"


class EntryOrderPriority(str, Enum):
    """In which order entries have their turns."""

    SUBMISSION = "submission"
    NOTIONAL_DESC = "notional_desc"
    NOTIONAL_ASC = "notional_asc"


class ShortCashPolicy(str, Enum):
    """How much cash shorts lock in accounts without leverage: nothing, their proceeds, or twice that."""

    CREDIT = "credit"
    CREDIT_PROCEEDS = "credit_proceeds"
    LOCK_NOTIONAL = "lock_notional"


class BuyingPowerBasis(str, Enum):
    """Which requirement of the positions held counts against buying power."""

    INITIAL = "initial"
    MAINTENANCE = "maintenance"


class MarginCallPolicy(str, Enum):
    """Below the maintenance requirement: reduce until it is covered, close everything, or nothing."""

    RESTORE = "restore"
    LIQUIDATE = "liquidate"
    IGNORE = "ignore"


class MarginCallCheck(str, Enum):
    """At the close of each bar, or also at the worst prices within it."""

    CLOSE = "close"
    INTRABAR = "intrabar"


class SubmissionBarRange(str, Enum):
    """What an order sees of the bar on which it was submitted: its whole range, or the close only."""

    RANGE = "range"
    CLOSE = "close"


class LimitFill(str, Enum):
    """Where limit orders fill when the bar opens beyond the limit, or the close is beyond it when they are submitted."""

    LIMIT = "limit"
    BETTER_OPEN = "better_open"
    BETTER_CLOSE = "better_close"


class StopGapFill(str, Enum):
    """Where stop orders fill when the bar opens beyond the stop."""

    GAP_PRICE = "gap_price"
    STOP_PRICE = "stop_price"


class StopLimitFill(str, Enum):
    """When a stop-limit order whose limit is better than its stop fills on the bar that triggers it.

    close: as far as open, stop and close tell. turned_bar: the bar has to turn from the stop to its close as well. at_stop: only at its
    stop.
    """

    CLOSE = "close"
    TURNED_BAR = "turned_bar"
    AT_STOP = "at_stop"


class SlippageFills(str, Enum):
    """Which fills have slippage."""

    ALL = "all"
    OPENING = "opening"


class TriggerPrice(str, Enum):
    """What limit, stop and stop-limit orders are tested against: the range of the bar, or its close."""

    RANGE = "range"
    CLOSE = "close"


class BeyondLimit(str, Enum):
    """What an order does whose price after slippage is beyond its limit: trade at the limit, wait, or trade at that price."""

    LIMIT = "limit"
    WAIT = "wait"
    FILL = "fill"


class TickRounding(str, Enum):
    """How prices of orders are rounded to ticks: never more aggressive, or so up to 5 % of a tick beside one."""

    PASSIVE = "passive"
    LENIENT = "lenient"


class SplitAccounting(str, Enum):
    """What a split does with fractions: paid out at the market and prices exact, or at the cost basis and all in whole cents."""

    MARKET = "market"
    COST_BASIS = "cost_basis"


class MissingBarOrders(str, Enum):
    """What orders with a level do while their asset has no bar: wait, or be tested against its last bar again."""

    WAIT = "wait"
    LAST_BAR = "last_bar"


class SlippageBound(str, Enum):
    """What holds slippage back: nothing but a limit, or the range of the bar."""

    NONE = "none"
    BAR_RANGE = "bar_range"


class LinkedOrders(str, Enum):
    """How linked orders follow each other: by the quantities that fill, or as one that lives and ends together."""

    BY_QUANTITY = "by_quantity"
    AS_ONE = "as_one"


class RefusedReversal(str, Enum):
    """What a reversal does that cannot pay for its new side: nothing, or close the old one."""

    REJECT = "reject"
    CLOSE = "close"


class SubmissionCheckOrders(str, Enum):
    """Which orders the checks at submission judge."""

    MARKET = "market"
    ALL = "all"


class TrailUpdate(str, Enum):
    """When trailing stop orders move: after the bar from its extreme, from its close, or before the test."""

    AFTER_BAR = "after_bar"
    CLOSE = "close"
    BAR_FIRST = "bar_first"


class ChildActivation(str, Enum):
    """When children wake: on the entry bar if the entry (a market order) traded at its open, on the same bar, or on the next."""

    AFTER_OPEN = "after_open"
    SAME_BAR = "same_bar"
    NEXT_BAR = "next_bar"
    AFTER_MARKET = "after_market"


class BracketPriority(str, Enum):
    """Which leg goes first when one bar touches both; `submission` looks at the queue alone, where a bracket's stop stands first."""

    STOP_FIRST = "stop_first"
    LIMIT_FIRST = "limit_first"
    NEAREST = "nearest"
    STOP_ALWAYS = "stop_always"
    SUBMISSION = "submission"


class WaterMarkSource(str, Enum):
    """Prices that water marks and excursions take in."""

    CLOSE = "close"
    BAR_EXTREME = "bar_extreme"
    HIGH = "bar_extreme"  # noqa: PIE796 - an older name


class InitialHwmSource(str, Enum):
    """Where the water marks of a new position start."""

    FILL_PRICE = "fill_price"
    BAR_CLOSE = "bar_close"
    BAR_HIGH = "bar_high"
    SIGNAL_PRICE = "signal_price"


class TrailStopTiming(str, Enum):
    """Which water mark a trailing stop rule sees: that of the bars before, or this bar's too."""

    LAGGED = "lagged"
    INTRABAR = "intrabar"
    VBT_PRO = "vbt_pro"


class RebalanceMode(str, Enum):
    """When the orders of one rebalance trade, in an account that fills on the same bar.

    snapshot: all are sized and submitted first. hybrid: all are sized first, and each is filled before the next is submitted.
    incremental: as hybrid, and each is sized from the account as it is by then.
    """

    SNAPSHOT = "snapshot"
    INCREMENTAL = "incremental"
    HYBRID = "hybrid"


class RebalanceFrequency(str, Enum):
    """Periods, counted in session dates, on whose first bar `rebalance_to_weights` acts."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class MissingPricePolicy(str, Enum):
    """What a rebalance does with assets that have no price on the bar."""

    SKIP = "skip"
    USE_LAST = "use_last"


class LateAssetPolicy(str, Enum):
    """Whether a rebalance takes assets that have only just appeared."""

    ALLOW = "allow"
    REQUIRE_HISTORY = "require_history"


class DataFrequency(str, Enum):
    """Length of a bar; with `enforce_sessions` daily bars are checked by day, shorter ones by minute."""

    DAILY = "daily"
    MINUTE_1 = "1m"
    MINUTE_5 = "5m"
    MINUTE_15 = "15m"
    MINUTE_30 = "30m"
    HOURLY = "1h"
    IRREGULAR = "irregular"
