"""Presets: the published table, the rules of the frameworks on examples by hand, other names, profiles."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ml4t_backtest import BacktestConfig, Engine
from ml4t_backtest.config import PRESETS_DIR, Mode, list_presets
from ml4t_backtest.profiles import get_profile_config, list_profiles
from ml4t_backtest.risk import StopLoss, TakeProfit, TrailingStop
from tests.facade.feeds import Calls, feed
from tests.facade.knobs import Knob, bracket, buy, cash, close, fills, last, prices, rule, states, weights

COLUMNS = ("default", "fast", "backtrader", "vectorbt", "zipline", "lean", "realistic")
# The published table, but Zipline's own fills at the close and VectorBT's own stops.
TABLE: dict[str, tuple[Any, ...]] = {
    "account_type": ("cash", "crypto", "margin", "crypto", "cash", "margin", "cash"),
    "execution_mode": ("next_bar", "same_bar", "next_bar", "same_bar", "next_bar", "next_bar", "next_bar"),
    "price_of_market_orders": ("open", "close", "open", "close", "close", "open", "open"),
    "share_type": ("fractional", "fractional", "integer", "fractional", "integer", "integer", "integer"),
    "commission_type": ("percentage", "none", "percentage", "none", "per_share", "per_share", "percentage"),
    "commission_rate": (0.001, None, 0.001, None, None, None, 0.002),
    "commission_per_share": (None, None, None, None, 0.005, 0.005, None),
    "commission_minimum": (0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0),
    "slippage_type": ("percentage", "none", "percentage", "none", "volume_based", "none", "percentage"),
    "slippage_rate": (0.001, None, 0.001, None, 0.1, None, 0.002),
    "stop_slippage_rate": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001),
    "fill_ordering": ("exit_first", "exit_first", "fifo", "fifo", "exit_first", "exit_first", "exit_first"),
    "reject_on_insufficient_cash": (True, False, True, False, True, True, True),
    "partial_fills_allowed": (False, False, False, True, True, False, False),
    "rebalance_mode": ("incremental", "snapshot", "snapshot", "hybrid", "snapshot", "snapshot", "incremental"),
    "rebalance_headroom_pct": (1.0, 1.0, 0.998, 1.0, 0.998, 0.9975, 1.0),
    "missing_price_policy": ("skip", "skip", "use_last", "use_last", "use_last", "use_last", "skip"),
    "late_asset_policy": ("allow", "allow", "require_history", "allow", "allow", "allow", "allow"),
    "late_asset_min_bars": (1, 1, 2, 1, 1, 1, 1),
    "stop_fill_mode": (*["stop_price"] * 6, "next_bar_open"),
    "stop_level_basis": ("fill_price", "fill_price", "signal_price", "signal_price", "fill_price", "fill_price", "fill_price"),
    "trail_hwm_source": ("close", "close", "close", "bar_extreme", "close", "close", "close"),
    "initial_hwm_source": ("fill_price", "fill_price", "fill_price", "bar_close", "fill_price", "fill_price", "fill_price"),
    "trail_stop_timing": ("lagged",) * 7,
    "cash_buffer_pct": (*[0.0] * 6, 0.02),
    "initial_cash": (100_000.0,) * 7,
    "entry_order_priority": ("submission",) * 7,
    "cash_ledger": ("standard", "standard", "standard", "free_cash", "standard", "standard", "standard"),
    "rule_exit_slippage": (True, True, True, False, True, True, True),
    "stop_reset_on_add": (False, False, False, True, False, False, False),
    "limit_fill": ("limit", "limit", "better_open", "limit", "limit", "limit", "limit"),
}
ZIPLINE = {
    "trigger_price": "close",
    "beyond_limit": "wait",
    "trade_without_volume": False,
    "round_to_tick": True,
    "tick_rounding": "lenient",
    "default_tick_size": 0.01,
    "split_accounting": "cost_basis",
    "lot_tolerance": 1e-4,
    "implicit_reduce_only": False,
    "target_price_policy": "use_last",
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "vectorbt_strict": ("vectorbt", {"short_cash_policy": "lock_notional", "reject_on_insufficient_cash": True}),
    "vectorbt_pro": ("vectorbt", {"stop_level_basis": "fill_price", "initial_hwm_source": "bar_high", "trail_stop_timing": "vbt_pro"}),
    "backtrader_strict": (
        "backtrader",
        {
            "allow_leverage": False,
            "next_bar_submission_precheck": True,
            "submission_check_orders": "all",
            "next_bar_simple_cash_check": True,
            "refused_reversal": "close",
            "bracket_priority": "submission",
            "linked_orders": "as_one",
            "implicit_reduce_only": False,
            "exits_reduce_only": False,
            "lot_tolerance": 0.0,
            "stop_limit_fill": "turned_bar",
            "missing_bar_orders": "last_bar",
            "slippage_bound": "bar_range",
        },
    ),
    "backtesting": (
        "default",
        {
            "account_type": "margin",
            "initial_margin": 1.0,
            "margin_call": "ignore",
            "execution_price": "open",
            "submission_bar_range": "close",
            "limit_fill": "better_open",
            "stop_limit_fill": "at_stop",
            "beyond_limit": "fill",
            "implicit_reduce_only": False,
            "child_activation": "after_market",
            "bracket_priority": "stop_always",
            "share_type": "integer",
            "commission_type": "none",
            "slippage_type": "none",
            "slippage_fills": "opening",
            "fill_ordering": "newest_exit_first",
            "split_flips": True,
        },
    ),
    "zipline_open": ("zipline", {"execution_price": "open"}),
    "zipline_strict": ("zipline", {"allow_short_selling": True, "skip_cash_validation": True, "fill_ordering": "fifo"}),
    "zipline_open_strict": ("zipline_strict", {"execution_price": "open"}),
    "lean_strict": ("lean", {"buying_power_reservation": True}),
}
OTHER_NAMES = {
    "vectorbt_oss": "vectorbt",
    "quantconnect": "lean",
    **{f"{name}_compare": f"{name}_strict" for name in ("vectorbt", "backtrader", "zipline", "lean")},
}


@pytest.mark.parametrize("setting", TABLE)
def test_the_table_of_presets(setting: str) -> None:
    for name, expected in zip(COLUMNS, TABLE[setting], strict=True):
        if expected is not None:
            assert getattr(BacktestConfig.from_preset(name), setting) == expected, name


def test_every_preset_is_in_a_table() -> None:
    assert list_presets() == sorted([*COLUMNS, *VARIANTS])
    assert list_presets() == sorted(path.stem for path in PRESETS_DIR.iterdir())


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_differ_from_their_base_by_these_settings_only(name: str) -> None:
    base, changes = VARIANTS[name]
    assert BacktestConfig.from_preset(name) == BacktestConfig.from_preset(base).replace(**changes, preset_name=name)


def test_only_zipline_has_what_only_zipline_does() -> None:
    plain, zipline = BacktestConfig(), BacktestConfig.from_preset("zipline")
    assert {name: getattr(zipline, name) for name in ZIPLINE} == ZIPLINE
    assert [name for name, value in ZIPLINE.items() if getattr(plain, name) == value] == []


def test_default_is_the_plain_config() -> None:
    assert BacktestConfig.from_preset("default") == BacktestConfig(preset_name="default")


def test_margin_rates_of_backtrader() -> None:
    config = BacktestConfig.from_preset("backtrader")
    assert (config.initial_margin, config.long_maintenance_margin, config.short_maintenance_margin) == (0.5, 0.25, 0.30)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names(name: str) -> None:
    assert BacktestConfig.from_preset(name) == BacktestConfig.from_preset(OTHER_NAMES[name])
    assert name not in list_presets()


@pytest.mark.parametrize("mode", Mode)
def test_modes_are_presets(mode: Mode) -> None:
    config = BacktestConfig.from_preset(mode.value)
    assert mode.to_config() == BacktestConfig.from_preset(mode) == BacktestConfig.from_preset(mode.name) == config
    quiet = Calls(lambda bar, data, broker: None)
    for given in (mode, mode.value):
        assert Engine(feed({"A": [10.0]}), quiet, given).config == config
    assert Engine.from_mode(feed({"A": [10.0]}), quiet, mode).config == config


@pytest.mark.parametrize("name", ["backtradr", "", "../settings", "default.yaml", None, 5])
def test_unknown_presets(name: Any) -> None:
    with pytest.raises(ValueError, match=rf"unknown preset {name!r}, expected one of \['backtesting', 'backtrader'"):
        BacktestConfig.from_preset(name)
    with pytest.raises(ValueError, match="unknown preset"):
        get_profile_config(name)
    if name == "backtradr":
        with pytest.raises(ValueError, match="did you mean 'backtrader'"):
            BacktestConfig.from_preset(name)


@pytest.mark.parametrize("name", list_presets())
def test_presets_are_data_and_can_be_written_and_read(name: str, tmp_path: Any) -> None:
    text = (PRESETS_DIR / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert isinstance(yaml.safe_load(text), dict)
    config = BacktestConfig.from_preset(name)
    config.to_yaml(tmp_path / f"{name}.yaml")
    assert BacktestConfig.from_yaml(tmp_path / f"{name}.yaml") == config


@pytest.mark.parametrize(
    ("name", "words"), [("vectorbt_pro", "unverified"), ("lean", "not against a running LEAN"), ("lean_strict", "not checked")]
)
def test_what_was_not_checked_says_so(name: str, words: str) -> None:
    assert words in (PRESETS_DIR / f"{name}.yaml").read_text(encoding="utf-8")


def test_profiles() -> None:
    assert list_profiles() == ["backtrader", "default", "lean", "realistic", "vectorbt", "zipline"]
    for name in [*list_presets(), "quantconnect"]:
        config = BacktestConfig.from_preset(name)
        assert BacktestConfig.from_dict(get_profile_config(name), config.preset_name) == config
    get_profile_config("default")["cash"]["initial"] = 5
    assert get_profile_config("default")["cash"]["initial"] == 100_000.0


# What the frameworks do, on bars that tell them from each other; costs off, 100,000 in cash ------------------------------------

GAP = [(10, 10, 10, 10), (11, 13, 10, 12), (12, 12, 9, 11), (11, 15, 11, 14)]
TEST = [(100, 100, 100, 100), (100, 110, 101, 108), (108, 108, 104, 105), (105, 105, 100, 100)]


def seen(name: str, bars: Any, actions: Any, look: Any, **settings: Any) -> Any:
    stored = BacktestConfig.from_preset(name).replace(commission_type="none", slippage_type="none", **settings)
    return Knob("preset_name", bars, actions, look, [], {**vars_of(stored)}).run(name)


def vars_of(config: BacktestConfig) -> dict[str, Any]:
    """Return the settings of a config as arguments."""
    return {name: value for name, value in vars(config).items() if not name.startswith("_") and name != "preset_name"}


@pytest.mark.parametrize(
    ("name", "price"),
    [("default", 11), ("backtrader", 11), ("zipline", 12), ("zipline_open", 11), ("vectorbt", 10), ("lean", 11), ("zipline_strict", 12)],
)
def test_where_a_market_order_fills(name: str, price: float) -> None:
    assert seen(name, GAP, {0: buy(10)}, prices) == [price]


@pytest.mark.parametrize(("name", "quantity"), [("vectorbt", 2.5), ("backtrader", 2.0), ("zipline", 2.0), ("lean", 2.0)])
def test_whole_units(name: str, quantity: float) -> None:
    assert seen(name, GAP, {0: buy(2.5)}, lambda result, _: [fill.quantity for fill in result.fills]) == [quantity]


def test_vectorbt_trails_by_the_bars_before() -> None:
    """Entry at the close of 100: the bar with high 110 and low 101 does not exit, the one with low 104 exits at 104.5."""
    entered = {0: (rule(TrailingStop(0.05)), buy(10))}
    assert seen("vectorbt", TEST, entered, prices) == [100.0, 104.5]
    # its commercial edition, as described, counts the entry bar's high and tests the close again
    spike = [(100, 120, 100, 100), (100, 110, 101, 108), (108, 108, 104, 105)]
    assert seen("vectorbt_pro", spike, entered, prices) == [100.0, 100.0]
    assert seen("vectorbt", spike, entered, prices) == [100.0, 104.5]


def test_vectorbt_counts_stops_from_the_close_of_the_entry_bar_whatever_the_fill() -> None:
    bars = [(100, 100, 100, 100), (100, 100, 92, 93)]
    entered = {0: (rule([StopLoss(0.05), TakeProfit(0.05)]), buy(10))}
    config = {"slippage_type": "fixed", "slippage_fixed": 1.0}
    base = {**vars_of(BacktestConfig.from_preset("vectorbt")), **config}
    assert Knob("preset_name", bars, entered, prices, [], base).run(None) == [101.0, 95.0]


def test_vectorbt_cuts_orders_to_the_cash_and_strict_rejects_shorts_on_locked_cash() -> None:
    assert seen("vectorbt", [10, 10], {0: buy(20_000)}, cash) == 0.0
    two = {"A": [10, 10], "B": [10, 10]}
    orders = {0: (buy(-4_000), buy(9_000, "B"))}
    assert seen("vectorbt", two, orders, lambda result, _: [fill.quantity for fill in result.fills]) == [4_000.0, 9_000.0]
    assert seen("vectorbt_strict", two, orders, lambda result, _: [fill.quantity for fill in result.fills]) == [4_000.0, 6_000.0]


def test_backtrader_fills_limits_at_a_better_open_and_trails_by_closes() -> None:
    assert seen("backtrader", GAP, {0: buy(10, order_type="limit", limit_price=11.5)}, prices) == [11.0]
    trail = [10, 10, (10, 14, 10, 12), (12, 12, 9.5, 11)]
    assert seen("backtrader", trail, {0: buy(10), 1: buy(-10, order_type="trailing_stop", trail_amount=1.5)}, last) == 10.5


def test_backtrader_wakes_legs_on_the_bar_after_the_entry() -> None:
    bars = [10, (10, 13, 10, 10), (10, 12, 9, 11)]
    assert seen("backtrader", bars, {0: bracket(11.5, 8)}, lambda result, _: [trade.bars_held for trade in result.trades]) == [1]


def test_backtrader_works_in_the_order_of_its_queue_and_never_calls_margin() -> None:
    two = {"A": [100] * 4, "B": [100] * 4}
    swap = {0: buy(1_900), 1: (buy(1_900, "B"), close())}
    assert seen("backtrader", two, swap, states) == ["filled", "rejected", "filled"]
    assert seen("default", two, {0: buy(900), 1: (buy(900, "B"), close())}, states) == ["filled"] * 3
    assert seen("backtrader", [100, 100, 60, 60, 60], {0: buy(1_900)}, fills) == 1
    assert seen("backtrader", [100, 100, 60, 60, 60], {0: buy(1_900)}, fills, margin_call="restore") == 2


def test_backtrader_strict_checks_cash_at_submission_and_at_the_open() -> None:
    # 10,000 in cash at a close of 101: the refused second order stays in the running cash and takes the third with it
    batch = {0: (buy(60), buy(60), buy(10))}
    assert seen("backtrader_strict", [101, 101], batch, states, initial_cash=10_000) == ["filled", "rejected", "rejected"]
    # a sale rescues itself
    assert seen("backtrader_strict", [101, 101], {0: (buy(100), buy(-90))}, states, initial_cash=10_000)[1] == "filled"
    # 98 fit at the close of 101, not at the open of 103
    assert seen("backtrader_strict", [101, 103], {0: buy(98)}, states, initial_cash=10_000) == ["rejected"]
    # shorts pay for longs
    pair = {"A": [100] * 2, "B": [100] * 2}
    assert seen("backtrader_strict", pair, {0: (buy(-1_000), buy(1_900, "B"))}, states) == ["filled", "filled"]


def test_zipline_strict_has_no_cash_check() -> None:
    assert seen("zipline_strict", [104, 104], {0: buy(10_000)}, cash) == -940_000.0
    assert seen("zipline", [104, 104], {0: buy(10_000)}, lambda result, _: result.fills[0].quantity) == 961.0


def test_lean_strict_reserves_what_orders_open() -> None:
    turn = {0: (buy(600), buy(600))}
    assert seen("lean", [100] * 4, turn, states) == ["filled"] * 2
    assert seen("lean_strict", [100] * 4, turn, states) == ["filled", "rejected"]


def test_realistic_fills_stops_at_the_next_open() -> None:
    bars = [100, 100, (100, 100, 90, 92), (91, 91, 91, 91)]
    assert seen("realistic", bars, {0: (rule(StopLoss(0.05)), buy(10))}, last) == 91.0
    assert seen("realistic", [100, 100], {0: buy(990)}, states) == ["rejected"]


def test_lean_holds_the_shares_of_its_published_example() -> None:
    # LEAN's daily template: 100,000, all of it into one stock at 144.77 with 0.25 % kept back makes 689 shares and a fee of 3.45.
    bars = [(144.0, 145.0, 143.0, 144.77), (144.5, 146.0, 144.0, 145.5)]
    look = lambda result, _: [(fill.quantity, fill.price, round(fill.commission, 3)) for fill in result.fills]
    base = vars_of(BacktestConfig.from_preset("lean"))
    assert Knob("preset_name", bars, {0: weights(A=1.0)}, look, [], base).run(None) == [(689.0, 144.5, 3.445)]
