"""Settings: both generations of names, files both ways, errors that say what to do, assignment, and the page about them."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import BacktestConfig, Engine, FixedSlippage, PerShareCommission
from ml4t_backtest.config import AccountType, CommissionModel, FillTiming, ShareType, SlippageModel, TrailHwmSource, WaterMarkSource
from ml4t_backtest.types import ExecutionMode, ExecutionPrice
from tests.facade.feeds import Calls, feed

CLOSES: dict[str, list[float | None]] = {"A": [10.0, 12.0, 11.0, 14.0]}
PUBLISHED = """
allow_short_selling allow_leverage initial_margin long_maintenance_margin short_maintenance_margin fixed_margin_schedule short_cash_policy
execution_price execution_mode stop_fill_mode stop_level_basis trail_hwm_source initial_hwm_source trail_stop_timing share_type commission_type
commission_rate commission_per_share commission_per_trade commission_minimum slippage_type slippage_rate slippage_fixed stop_slippage_rate
initial_cash cash_buffer_pct settlement_delay settlement_reduces_buying_power reject_on_insufficient_cash skip_cash_validation
partial_fills_allowed fill_ordering entry_order_priority next_bar_submission_precheck next_bar_simple_cash_check buying_power_reservation
immediate_fill rebalance_mode rebalance_headroom_pct missing_price_policy late_asset_policy late_asset_min_bars calendar timezone
data_frequency enforce_sessions preset_name
"""


def engine(config: Any, **settings: Any) -> Engine:
    return Engine(feed(CLOSES), Calls(lambda bar, data, broker: None), config, **settings)


def test_defaults_are_the_published_ones() -> None:
    config = BacktestConfig()
    assert set(PUBLISHED.split()) <= {entry.name for entry in dataclasses.fields(config)}
    stored = config.to_dict()
    assert stored["cash"] == {"initial": 100_000.0, "buffer_pct": 0.0}
    assert stored["settlement"] == {"delay": 0, "reduces_buying_power": True}
    assert stored["commission"] == {"model": "percentage", "rate": 0.001, "per_share": 0.0, "per_trade": 0.0, "minimum": 0.0}
    rest = {"fixed": 0.0, "spread": 0.0, "bound": "none", "fills": "all", "rule_exits": True, "stop_rate": 0.0}
    assert stored["slippage"] == {"model": "percentage", "rate": 0.001, **rest}
    assert stored["calendar"] == {"calendar": None, "timezone": "UTC", "data_frequency": "daily", "enforce_sessions": False}
    assert stored["position_sizing"] == {"share_type": "fractional", "lot_tolerance": 1e-9}
    assert stored["execution"]["execution_mode"] == "next_bar"
    account = config.get_effective_account_settings()
    assert account == stored["account"]
    assert [account[name] for name in ("initial_margin", "long_maintenance_margin", "short_maintenance_margin")] == [0.5, 0.25, 0.3]
    assert (config.allow_short_selling, config.allow_leverage, config.get_effective_account_type()) == (False, False, "cash")
    assert config.price_of_market_orders is ExecutionPrice.OPEN
    assert BacktestConfig(execution_mode="SAME_BAR").price_of_market_orders is ExecutionPrice.CLOSE


def test_members_values_and_names_in_any_case() -> None:
    for value in (ExecutionMode.SAME_BAR, "same_bar", "SAME_BAR", "Same_Bar"):
        assert BacktestConfig(execution_mode=value).execution_mode is ExecutionMode.SAME_BAR
    assert BacktestConfig(trail_hwm_source=TrailHwmSource.HIGH).trail_hwm_source is WaterMarkSource.BAR_EXTREME
    assert BacktestConfig(commission_type="PER_CONTRACT").commission_type is CommissionModel.PER_SHARE


def test_names_of_the_january_generation() -> None:
    config = BacktestConfig(
        execution_mode=ExecutionMode.SAME_BAR,
        fill_timing=FillTiming.CLOSE_ONLY,
        fractional_shares=True,
        initial_cash=100_000.0,
        account_type="cash",
        initial_margin=0.5,
        maintenance_margin=0.25,
        commission_model=PerShareCommission(0.01),
        slippage_model=FixedSlippage(0.05),
        max_positions=20,
        max_position_size=50_000.0,
        max_order_size=10_000.0,
        rebalance_frequency="monthly",
        target_weight_tolerance=0.05,
    )
    assert engine(config).execution_mode is ExecutionMode.SAME_BAR
    assert (config.price_of_market_orders, config.share_type) == (ExecutionPrice.CLOSE, ShareType.FRACTIONAL)
    enums = BacktestConfig(commission_model=CommissionModel.PER_TRADE, slippage_model=SlippageModel.FIXED, margin_requirement=0.4)
    assert (enums.commission_type, enums.commission_model, enums.slippage_type) == ("per_trade", None, "fixed")
    assert (enums.initial_margin, enums.margin_requirement) == (0.4, 0.4)
    for timing, mode, price in (
        ("same_bar", "same_bar", "close"),
        ("NEXT_BAR_OPEN", "next_bar", "open"),
        ("next_bar_close", "next_bar", "close"),
    ):
        timed = BacktestConfig(fill_timing=timing)
        assert (timed.execution_mode, timed.price_of_market_orders) == (mode, price)
    assert BacktestConfig(fractional_shares=False).share_type is ShareType.INTEGER


@pytest.mark.parametrize("name", ["sizing_method", "signal_processing", "allow_negative_cash"])
def test_settings_that_are_gone_say_so(name: str) -> None:
    assert not hasattr(BacktestConfig(), name)
    message = rf"{name}'.*'{name}' is gone: "
    with pytest.raises(ValueError, match=message):
        BacktestConfig.from_dict({"orders": {name: True}})
    with pytest.raises(ValueError, match=message):
        BacktestConfig.from_dict({name: {}})
    with pytest.raises(TypeError, match=message):
        BacktestConfig(**{name: True})
    with pytest.raises(AttributeError, match=message):
        setattr(BacktestConfig(), name, True)


def test_account_type_and_permissions_agree() -> None:
    kinds = {(False, False): "cash", (True, False): "crypto", (True, True): "margin", (False, True): "margin"}
    for (short, leverage), kind in kinds.items():
        config = BacktestConfig(allow_short_selling=short, allow_leverage=leverage)
        assert (config.get_effective_account_type(), config.allow_short_selling, config.allow_leverage) == (kind, short, leverage)
        assert BacktestConfig.from_dict(config.to_dict()) == config
    futures = BacktestConfig(account_type=AccountType.FUTURES)
    assert (futures.allow_short_selling, futures.allow_leverage) == (True, True)
    assert futures.replace(allow_short_selling=False).get_effective_account_type() == "futures"
    assert futures.replace(allow_leverage=False).get_effective_account_type() == "crypto"
    assert BacktestConfig().replace(account_type="margin").allow_leverage is True


NUMBERS = {"initial_cash": 5e3, "commission_rate": 1e-4, "initial_margin": 0.4, "cash_interest_rate": 0.02, "max_order_size": 7.5}
CHOICES = [
    entry for entry in dataclasses.fields(BacktestConfig) if "kind" in entry.metadata and entry.name not in ("account_type", "cash_ledger")
]


@given(
    numbers=st.fixed_dictionaries({}, optional={name: st.floats(value / 2, value) for name, value in NUMBERS.items()}),
    choices=st.fixed_dictionaries({}, optional={entry.name: st.sampled_from(list(entry.metadata["kind"])) for entry in CHOICES}),
    both=st.none() | st.floats(0.01, 0.1),
    schedule=st.none() | st.dictionaries(st.text(min_size=1), st.tuples(st.floats(0.5, 1.0), st.floats(0.01, 0.5))),
)
def test_from_dict_brings_back_what_to_dict_gives(numbers: Any, choices: Any, both: Any, schedule: Any) -> None:
    config = BacktestConfig(**numbers, **choices, maintenance_margin=both, fixed_margin_schedule=schedule, margin_pct_schedule=schedule)
    again = BacktestConfig.from_dict(config.to_dict())
    assert again == config == config.replace() == copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == dataclasses.replace(config)
    assert again.to_dict() == config.to_dict()


def test_yaml_both_ways(tmp_path: Path) -> None:
    schedules = {"fixed_margin_schedule": {"ES": (12_000, 11_000.0), "ON": [5, 5]}, "margin_pct_schedule": {"NO": (0.5, 0.25)}}
    config = BacktestConfig(initial_cash=5_000, execution_mode="SAME_BAR", commission_type="PER_SHARE", account_type="margin", **schedules)
    config.to_yaml(tmp_path / "mine.yaml")
    read = BacktestConfig.from_yaml(str(tmp_path / "mine.yaml"))
    assert read == config.replace(preset_name="mine")
    assert read.fixed_margin_schedule == {"ES": (12_000.0, 11_000.0), "ON": (5.0, 5.0)}
    (tmp_path / "number.yaml").write_text("commission: {rate: 1e-4}\ncash:\n")
    assert BacktestConfig.from_yaml(tmp_path / "number.yaml").commission_rate == 1e-4
    (tmp_path / "empty.yaml").write_text("")
    assert BacktestConfig.from_yaml(tmp_path / "empty.yaml").to_dict() == BacktestConfig().to_dict()
    with pytest.raises(ValueError, match="slippage_model is .* cannot be written"):
        config.replace(slippage_model=FixedSlippage(0.1)).to_yaml(tmp_path / "model.yaml")


def test_full_names_and_older_keys_are_keys_too() -> None:
    data = {
        "execution": {"fill_timing": "next_bar_close"},
        "commission": {"commission_rate": 0.02},
        "account": {"margin_requirement": 0.6},
        "position_sizing": {"fractional_shares": False},
    }
    config = BacktestConfig.from_dict(data, "named")
    assert (config.execution_price, config.commission_rate, config.initial_margin, config.share_type) == ("close", 0.02, 0.6, "integer")
    assert config.preset_name == "named"
    assert BacktestConfig.from_dict({"execution": {"mode": "same_bar", "price": "open"}}).looks_ahead
    with pytest.raises(ValueError, match="config section 'cash' gives initial_cash twice"):
        BacktestConfig.from_dict({"cash": {"initial": 1, "initial_cash": 2}})


def test_lenient_reading_leaves_out_what_it_does_not_know() -> None:
    assert BacktestConfig.from_dict({"feed": {"a": 1}, "cash": {"initial": 5, "x": 1}}, None, False).initial_cash == 5.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cash: {initil: 5}", r"bad.yaml: unknown key 'initil' in config section 'cash'.*did you mean 'initial'"),
        ("cahs: {initial: 5}", r"unknown config section 'cahs'.*did you mean 'cash'"),
        ("cash: 5", r"config section 'cash' was a int, expected a mapping"),
        ("[1, 2]", r"config was a list, expected a mapping"),
        ("cash: {initial: [", r"bad.yaml: "),
        ("cash: {initial: lots}", r"initial_cash was 'lots', expected a finite number > 0"),
        ("execution: {execution_mode: sometimes}", r"execution_mode was 'sometimes', expected one of \['same_bar', 'next_bar'\]"),
        ("account: {fixed_margin_schedule: {ON: [2, 1]}}", r"has the asset True, expected a text; in YAML .* need quotes"),
        ("account: {fixed_margin_schedule: {ES: 5}}", r"fixed_margin_schedule\['ES'\] was 5, expected two finite numbers"),
        ("account: {fixed_margin_schedule: {ES: '21'}}", r"was '21', expected two finite numbers"),
        ("account: {fixed_margin_schedule: {ES: [.inf, 1]}}", r"expected two finite numbers"),
        ("account: {margin_pct_schedule: {ES: [1.5, 1]}}", r"expected 0 < maintenance <= initial <= 1"),
        ("account: {margin_pct_schedule: [1, 2]}", r"margin_pct_schedule was a list, expected a mapping"),
        ("orders: {rebalance_frequency: fortnightly}", r"rebalance_frequency was 'fortnightly', expected one of \['daily', 'weekly'"),
    ],
)
def test_bad_yaml(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        BacktestConfig.from_yaml(tmp_path / "bad.yaml")


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "5", None, True, np.bool_(True), [5]])
def test_bad_cash(value: Any) -> None:
    with pytest.raises(ValueError, match="initial_cash was"):
        BacktestConfig(initial_cash=value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *((name, -0.1) for name in ("commission_rate", "slippage_rate", "commission_per_share", "borrow_rate", "cash_interest_rate")),
        *((name, value) for name in ("initial_margin", "long_maintenance_margin", "maintenance_margin") for value in (0.0, 1.01, math.nan)),
        *((name, value) for name in ("futures_margin_rate", "rebalance_headroom_pct") for value in (0.0, 1.5)),
        *(("settlement_delay", value) for value in (-1, 8, 1.5, True)),
        *(("late_asset_min_bars", value) for value in (0, None)),
        ("max_positions", 0),
        ("max_order_size", 0.0),
        ("cash_buffer_pct", 1.5),
        ("close_at_end", 1),
        ("allow_leverage", "yes"),
        ("fractional_shares", 1),
        ("timezone", None),
        ("calendar", " "),
        ("timezone", 5),
        ("fill_timing", "tomorrow"),
        ("commission_type", "free"),
    ],
)
def test_bad_values_name_the_setting(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{setting} was {re.escape(repr(value))}"):
        BacktestConfig(**{setting: value})
    config = BacktestConfig()
    with pytest.raises(ValueError, match=f"{setting} was"):
        setattr(config, setting, value)
    assert config == BacktestConfig()


def test_numbers_of_numpy_are_numbers() -> None:
    config = BacktestConfig(
        initial_cash=np.int64(5), settlement_delay=np.int32(2), close_at_end=np.bool_(True), commission_rate=np.float32(0.5)
    )
    assert [config.initial_cash, config.settlement_delay, config.close_at_end, config.commission_rate] == [5.0, 2, True, 0.5]
    assert all(type(value) in (int, float, bool) for value in (config.initial_cash, config.settlement_delay, config.close_at_end))


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"execution_mode": "next_bar", "fill_timing": "same_bar"}, "fill_timing 'same_bar' contradicts execution_mode 'next_bar'; give one"),
    ({"execution_price": "mid", "fill_timing": "next_bar_open"}, "fill_timing .* contradicts execution_price 'mid'"),
    ({"share_type": "integer", "fractional_shares": True}, "fractional_shares=True contradicts share_type 'integer'"),
    ({"account_type": "cash", "allow_short_selling": True}, "account_type 'cash' contradicts allow_short_selling=True; give one"),
    ({"account_type": "crypto", "allow_leverage": True}, "account_type 'crypto' contradicts allow_leverage=True"),
    ({"account_type": "crypto", "allow_short_selling": False}, "account_type 'crypto' contradicts allow_short_selling=False"),
    ({"account_type": "margin", "allow_leverage": False}, "account_type 'margin' contradicts allow_leverage=False"),
    ({"maintenance_margin": 0.2, "short_maintenance_margin": 0.1}, "maintenance_margin 0.2 contradicts short_maintenance_margin 0.1"),
    ({"account_type": "margin", "initial_margin": 0.2}, "long_maintenance_margin was 0.25, above initial_margin 0.2"),
    ({"maintenance_margin_per_contract": 5}, "maintenance_margin_per_contract was 5, expected one with initial_margin_per_contract"),
    ({"initial_margin_per_contract": 4, "maintenance_margin_per_contract": 5}, "was 5, expected at most initial_margin_per_contract 4"),
    ({"skip_cash_validation": True}, "skip_cash_validation would let a cash account go negative; allow short selling"),
    ({"allow_leverage": True, "next_bar_simple_cash_check": True}, "next_bar_simple_cash_check .* contradicts a margin account"),
    ({"immediate_fill": True}, "immediate_fill .* contradicts execution_mode NEXT_BAR; give SAME_BAR"),
    ({"enforce_sessions": True}, "enforce_sessions .* calendar; give one, for example calendar='NYSE'"),
]


@pytest.mark.parametrize(("settings", "message"), CONTRADICTIONS)
def test_contradictions(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BacktestConfig(**settings)
    with pytest.raises(ValueError, match=message):
        BacktestConfig().replace(**settings)


def test_unknown_settings_get_the_closest_name() -> None:
    with pytest.raises(TypeError, match="no argument 'comission_rate'; did you mean 'commission_rate'"):
        BacktestConfig(comission_rate=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no setting 'comission_rate'; did you mean 'commission_rate'"):
        BacktestConfig().replace(comission_rate=0.1)
    with pytest.raises(AttributeError, match="no setting 'inital_cash'; did you mean 'initial_cash'"):
        BacktestConfig().inital_cash = 5  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no setting 'execution_mod'; did you mean 'execution_mode'"):
        _ = BacktestConfig().execution_mod  # type: ignore[attr-defined]
    for both in ({"initial_capital": 1, "initial_cash": 2}, {"margin_requirement": 0.5, "initial_margin": 0.6}):
        for call in (BacktestConfig, BacktestConfig().replace):
            with pytest.raises(TypeError, match="got both 'initial_"):
                call(**both)  # type: ignore[arg-type]


def test_no_engine_for_an_unknown_calendar_or_time_zone() -> None:
    with pytest.raises(ValueError, match="NYSEE"):
        engine(BacktestConfig(calendar="NYSEE"))
    with pytest.raises(ValueError, match="Amerika"):
        engine(BacktestConfig(timezone="Amerika/Chicago"))
