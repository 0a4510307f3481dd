"""What holds for a whole run: settings, contracts, costs, rules, events, portfolio limits."""

from __future__ import annotations

from typing import Any

from tests.cases.chooser import Chooser
from tests.cases.recipes import Recipe

__all__ = [
    "choose_contracts",
    "choose_costs",
    "choose_events",
    "choose_limits",
    "choose_rule",
    "choose_settings",
    "choose_simple_costs",
]

Options = dict[str, tuple[Any, ...]]

OF_ORDERS: Options = {
    "submission_bar_range": ("range", "close"),
    "limit_fill": ("limit", "better_open", "better_close"),
    "stop_gap_fill": ("gap_price", "stop_price"),
    "trigger_price": ("range", "close"),
    "beyond_limit": ("limit", "wait", "fill"),
    "trade_without_volume": (True, False),
    "implicit_reduce_only": (True, False),
    "exits_reduce_only": (True, True, False),
    "target_price_policy": ("skip", "use_last"),
    "tick_rounding": ("passive", "lenient"),
    "default_tick_size": (None, 0.25),
    "trail_update": ("after_bar", "close", "bar_first"),
    "fill_ordering": ("exit_first", "fifo", "sequential", "newest_exit_first"),
    "split_flips": (False, True),
    "slippage_fills": ("all", "opening"),
    "entry_order_priority": ("submission", "notional_desc", "notional_asc"),
    "round_to_tick": (False, True),
    "close_at_end": (False, True),
    "stop_limit_fill": ("close", "turned_bar", "at_stop"),
    "slippage_bound": ("none", "bar_range"),
}
OF_LINKS: Options = {
    "child_activation": ("after_open", "same_bar", "next_bar", "after_market"),
    "bracket_priority": ("stop_first", "limit_first", "nearest", "stop_always", "submission"),
    "linked_orders": ("by_quantity", "as_one"),
    "fill_ordering": ("exit_first", "newest_exit_first"),
    "split_flips": (False, True),
}
OF_MONEY: Options = {
    "partial_fills_allowed": (False, True),
    "reject_on_insufficient_cash": (True, False),
    "cash_buffer_pct": (0.0, 0.125, 0.03125),
    "settlement_delay": (0, 1, 2, 7),
    "settlement_reduces_buying_power": (True, False),
    "split_flips": (False, True),
    "slippage_fills": ("all", "opening"),
    "refused_reversal": ("reject", "close"),
    "next_bar_submission_precheck": (False, False, True),
    "buying_power_reservation": (False, False, False, True),
    "submission_check_orders": ("market", "all"),
    "max_positions": (None, 1, 2),
    "max_position_size": (None, 1_500.0, 4_000.0),
    "max_order_size": (None, 1_000.0, 3_000.0),
    "entry_order_priority": ("submission", "notional_desc", "notional_asc"),
    "close_at_end": (False, True),
}
OF_SPOT: Options = {
    "short_cash_policy": ("credit", "credit_proceeds", "lock_notional"),
    "next_bar_simple_cash_check": (False, False, True),
}
AGAINST_FREE_CASH = (
    *(
        "cash_buffer_pct",
        "settlement_delay",
        "settlement_reduces_buying_power",
        "next_bar_simple_cash_check",
        "slippage_bound",
        "refused_reversal",
        "next_bar_submission_precheck",
        "buying_power_reservation",
    ),
    *("split_flips", "slippage_fills", "beyond_limit"),
)
OF_LEVERAGE: Options = {
    "buying_power_basis": ("initial", "maintenance"),
    "margin_call": ("restore", "liquidate", "ignore"),
    "margin_call_check": ("close", "intrabar"),
    "initial_margin": (0.5, 0.25, 1.0),
    "long_maintenance_margin": (0.25, 0.125),
    "short_maintenance_margin": (0.25, 0.125),
}
OF_RULES: Options = {
    "stop_fill_mode": ("stop_price", "close_price", "bar_extreme", "next_bar_open"),
    "stop_level_basis": ("fill_price", "signal_price"),
    "trail_hwm_source": ("close", "bar_extreme"),
    "initial_hwm_source": ("fill_price", "bar_close", "bar_high", "signal_price"),
    "trail_stop_timing": ("lagged", "intrabar", "vbt_pro"),
    "allow_reentry_on_exit_bar": (False, True),
    "stop_slippage_rate": (0.0, 0.01),
    "rule_exit_slippage": (True, False),
    "stop_reset_on_add": (False, True),
}
OF_EVENTS: Options = {
    "split_accounting": ("market", "cost_basis"),
    "cash_interest_rate": (0.0, 0.05),
    "margin_interest_rate": (0.0, 0.09),
    "borrow_rate": (0.0, 0.04),
}


def choose_settings(pick: Chooser, recipe: Recipe, account: str) -> dict[str, Any]:
    """Return settings of `BacktestConfig`; most cases differ from the defaults in some of them."""
    leveraged = account in ("margin", "futures")
    options: Options = {}
    for wanted, some in (
        (recipe.order_types or recipe.time_in_force, OF_ORDERS),
        (recipe.links, OF_LINKS),
        (recipe.money, OF_MONEY),
        (recipe.money and not leveraged, OF_SPOT),
        (leveraged, OF_LEVERAGE),
        (recipe.rules, OF_RULES),
        (recipe.events and not pick.dyadic, OF_EVENTS),
    ):
        options |= some if wanted else {}
    chosen = {name: pick.one_of(values) for name, values in options.items() if pick.chance(50)}
    chosen["account_type"] = account
    if pick.dyadic:  # these divide
        chosen.pop("partial_fills_allowed", None)
        chosen.pop("split_flips", None)
        chosen.pop("short_cash_policy", None)
        chosen |= {"margin_call": "ignore"} if leveraged else {}
    if not leveraged and pick.chance(recipe.free_cash):
        chosen = _with_free_cash(pick, chosen)
    if leveraged:
        chosen.setdefault("short_maintenance_margin", 0.25)
    if account == "futures":
        chosen["futures_margin_rate"] = pick.one_of([0.125, 0.5])
        if recipe.money and pick.chance(25):
            chosen["next_bar_simple_cash_check"] = True
    if not recipe.events and pick.chance(25):  # splits would move the prices that are seen again
        chosen["missing_bar_orders"] = "last_bar"
    if recipe.money and account == "crypto" and "cash_ledger" not in chosen and pick.chance(10):
        chosen["skip_cash_validation"] = True
    if recipe.lots and pick.chance(30):
        chosen["share_type"] = "integer"
    if recipe.lots and pick.chance(20):
        chosen["lot_tolerance"] = 0.125
    chosen["execution_mode"] = pick.one_of(["next_bar", "same_bar"])
    return chosen


def _with_free_cash(pick: Chooser, chosen: dict[str, Any]) -> dict[str, Any]:
    """Return settings for an account that keeps free cash."""
    chosen = {name: value for name, value in chosen.items() if name not in AGAINST_FREE_CASH}
    chosen |= {"cash_ledger": "free_cash", "partial_fills_allowed": not pick.dyadic and pick.chance(60)}
    chosen["short_cash_policy"] = "lock_notional" if not pick.dyadic and pick.chance(50) else "credit"
    return chosen


def choose_contracts(pick: Chooser, recipe: Recipe, account: str, assets: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return contracts by asset: multipliers, lots, ticks, margins in money, futures."""
    contracts: dict[str, dict[str, Any]] = {}
    for asset in assets:
        chosen: dict[str, Any] = {}
        if pick.chance(30):
            chosen["multiplier"] = pick.one_of([2.0, 0.5, 10.0])
        if recipe.lots and pick.chance(50):
            chosen["lot_size"] = pick.one_of([1.0, 10.0, 0.5, 2.5] if pick.dyadic else [1.0, 10.0, 0.1, 0.3, 0.001])
        if recipe.order_types and pick.chance(30):
            chosen["tick_size"] = pick.one_of([0.25, 0.5] if pick.dyadic else [0.05, 0.25, 0.01])
        if account in ("margin", "futures") and pick.chance(40):
            chosen["margin"] = pick.one_of([4.0, 8.0, 1.5])
            chosen["maintenance_margin"] = chosen["margin"] * pick.one_of([0.5, 1.0])
        if account == "margin" and not pick.dyadic and pick.chance(40):
            chosen["future"] = True
        if chosen:
            contracts[asset] = chosen
    return contracts


def _commission(pick: Chooser) -> tuple[Any, ...]:
    rate, amount = pick.fraction(0.0005, 0.02), pick.one_of([0.25, 0.5, 2.0])
    return pick.one_of(
        [
            ("none",),
            ("percentage", rate),
            ("per_share", amount / 8, 4 * amount),
            ("combined", rate, amount, amount / 16, 8 * amount),
            ("per_order", amount),
            ("order_share", amount, amount / 16, 4 * amount),
            ("value_tiers", ((300.0, 2 * rate), (900.0, rate), (2_000.0, rate / 2))),
            ("quantity_tiers", ((30.0, amount / 4), (90.0, amount / 8))),
            ("largest", 4 * amount, amount / 8, rate),
            ("maker_taker", -rate / 4, rate),
        ]
    )


def _slippage(pick: Chooser, columns: tuple[str, ...]) -> tuple[Any, ...]:
    rate, amount = pick.fraction(0.0005, 0.03), pick.one_of([0.25, 0.5])
    kinds: list[tuple[Any, ...]] = [("none",), ("fixed", amount), ("percentage", rate), ("spread", amount)]
    if not pick.dyadic:
        kinds += [("volume_share", rate), ("squared_volume_share", 0.2, 0.1)]
    if "bid" in columns:
        kinds += [("bid_ask",), ("bid_ask",)]
    return pick.one_of(kinds)


def _impact(pick: Chooser) -> tuple[Any, ...]:
    if pick.dyadic or pick.chance(50):
        return ("none",)
    return pick.one_of([("linear", 0.01), ("square_root", 0.1, 0.02, 2.0), ("power", 0.02, 0.7, 0.01)])


def choose_simple_costs(pick: Chooser) -> dict[str, Any]:
    """Return costs that an account which keeps free cash can have."""
    rate, amount = pick.fraction(0.0005, 0.02), pick.one_of([0.25, 0.5, 2.0])
    return {
        "commission": pick.one_of([("none",), ("percentage", rate), ("per_order", amount), ("combined", rate, amount, 0.0, 0.0)]),
        "slippage": pick.one_of([("none",), ("fixed", amount / 2), ("percentage", rate)]),
        "impact": ("none",),
        "participation": None if pick.dyadic else pick.one_of([None, None, (0.5, 0.0), (0.25, 60.0)]),  # a mean price divides
    }


def choose_costs(pick: Chooser, columns: tuple[str, ...]) -> dict[str, Any]:
    """Return commission, slippage, impact and participation of an asset."""
    return {
        "commission": _commission(pick),
        "slippage": _slippage(pick, columns),
        "impact": _impact(pick),
        "participation": pick.one_of([None, (0.5, 0.0), (0.25, 60.0), (0.1, 0.0)]) if pick.chance(50) else None,
    }


def choose_rule(pick: Chooser, *, depth: int = 2) -> tuple[Any, ...]:
    """Return a position rule, with rules inside down to `depth`."""
    if depth and pick.chance(40):
        return pick.one_of(["chain", "any", "all"]), tuple(choose_rule(pick, depth=depth - 1) for _ in pick.several(1, 3))
    pct = pick.one_of([0.01, 0.03, 0.1])
    return pick.one_of(
        [
            ("stop_loss", pct),
            ("take_profit", pct),
            ("trailing_stop", pct),
            ("time_exit", pick.integer(1, 4)),
            ("tightening", ((0.0, 0.1), (0.02, 0.03), (0.08, pct))),
            ("volatility_stop", pick.one_of([1.0, 0.5]), pick.chance(50)),
            ("volatility_trail", pick.one_of([1.0, 0.5])),
            ("scaled", ((0.01, 0.5), (0.03, 0.3), (0.06, 1.0))),
            ("signal", pick.one_of([0.0, 0.5])),
        ]
    )


def choose_events(pick: Chooser, account: str, assets: tuple[str, ...], bars: int) -> list[tuple[int, str, str, float]]:
    """Return events in the order in which they happen."""
    found: dict[tuple[int, str, str], float] = {}
    kinds = ["dividend", "split", "split"] + ([] if account == "cash" else ["funding"])
    for _ in pick.several(1, 3 + bars // 8, percent=80):
        bar, asset, kind = pick.integer(0, bars - 1), pick.one_of(assets), pick.one_of(kinds)
        values = {
            "dividend": [0.5, 0.25, 0.125 if account == "cash" else -0.125],
            "funding": [1 / 1024, -1 / 256],
            "split": [2.0, 0.5] if pick.dyadic else [2.0, 0.5, 1.5, 1 / 3, 0.01],
        }
        found[bar, asset, kind] = pick.one_of(values[kind])
    order = ("dividend", "split", "funding")
    keys = sorted(found, key=lambda key: (*key[:2], order.index(key[2])))
    return [(bar, kind, asset, found[bar, asset, kind]) for bar, asset, kind in keys]


def choose_limits(pick: Chooser) -> tuple[tuple[Any, ...], ...]:
    """Return portfolio limits."""
    made: list[tuple[Any, ...]] = []
    for _ in pick.several(1, 3):
        action = pick.one_of(["warn", "block", "reduce", "liquidate", "halt"])
        made.append(
            pick.one_of(
                [
                    ("positions", pick.integer(1, 2), "block" if action == "reduce" else action),
                    ("largest", pick.one_of([0.1, 0.3]), action),
                    ("gross", pick.one_of([0.2, 0.6]), action),
                    ("net", 0.3, pick.one_of([-0.2, -0.05]), action),
                    ("sector", pick.one_of([0.1, 0.4]), action),
                    ("beta", 0.3, -0.1, action),
                    ("factor", 0.2, -0.2, action),
                    ("daily_loss", 0.01, action, 0.5),
                    ("drawdown", pick.one_of([0.005, 0.02]), action, 0.3),
                    ("value_at_risk", 0.01, 0.9, 3, action),
                    ("conditional", 0.01, 0.75, 4, action),
                ]
            )
        )
    return tuple(made)
