"""Settings: every one changes an outcome, every wrong one has a message, YAML and presets round trip."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ml4t_backtest import BacktestConfig, Engine
from ml4t_backtest.config import list_presets
from tests.facade.feeds import Calls, feed

CLOSES: dict[str, list[float | None]] = {"A": [10.0, 12.0, 11.0, 14.0]}
OPENS: list[float | None] = [9.0, 11.5, 12.5, 13.0]
BASE = BacktestConfig(commission_type="none", slippage_type="none", execution_mode="same_bar")
CHANGES: list[tuple[BacktestConfig, dict[str, Any]]] = [
    (BASE, {"initial_cash": 500.0}),
    (BASE, {"account_type": "crypto"}),
    (BASE, {"execution_mode": "next_bar"}),
    (BASE.replace(execution_mode="next_bar"), {"execution_price": "close"}),
    (BASE, {"commission_type": "percentage"}),
    (BASE.replace(commission_type="percentage"), {"commission_rate": 0.02}),
    (BASE.replace(commission_type="per_share"), {"commission_per_share": 0.5}),
    (BASE.replace(commission_type="per_share"), {"commission_minimum": 5.0}),
    (BASE, {"slippage_type": "percentage"}),
    (BASE.replace(slippage_type="percentage"), {"slippage_rate": 0.02}),
    (BASE.replace(slippage_type="fixed"), {"slippage_fixed": 0.5}),
]


def outcome(config: BacktestConfig) -> list[Any]:
    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", 100)
        if bar == 2:
            broker.submit_order("A", -150)

    result = Engine(feed(CLOSES, open=OPENS), Calls(trade), config).run()
    return [result.fills, result.equity_curve]


@pytest.mark.parametrize(("base", "change"), CHANGES)
def test_every_setting_changes_an_outcome(base: BacktestConfig, change: dict[str, Any]) -> None:
    assert outcome(base) != outcome(base.replace(**change))


def test_no_setting_is_left_out_of_the_list_above() -> None:
    fields = {entry.name for entry in dataclasses.fields(BacktestConfig)} - {"preset_name"}
    assert fields == {name for _, change in CHANGES for name in change}


def test_defaults() -> None:
    config = BacktestConfig()
    assert config.to_dict() == {
        "cash": {"initial": 100_000.0},
        "account": {"type": "cash"},
        "execution": {"mode": "next_bar", "price": None},
        "commission": {"model": "percentage", "rate": 0.001, "per_share": 0.0, "minimum": 0.0},
        "slippage": {"model": "percentage", "rate": 0.001, "fixed": 0.0},
    }
    assert config.price_of_market_orders == "open"
    assert BacktestConfig(execution_mode="SAME_BAR").price_of_market_orders == "close"


def test_yaml_round_trip(tmp_path: Path) -> None:
    config = BacktestConfig(initial_cash=5_000, execution_mode="SAME_BAR", commission_type="PER_SHARE", commission_per_share=0.01)
    config.to_yaml(tmp_path / "mine.yaml")
    read = BacktestConfig.from_yaml(tmp_path / "mine.yaml")
    assert read == config.replace(preset_name="mine")
    (tmp_path / "number.yaml").write_text("commission: {rate: 1e-4}")
    assert BacktestConfig.from_yaml(tmp_path / "number.yaml").commission_rate == 1e-4
    (tmp_path / "empty.yaml").write_text("")
    assert BacktestConfig.from_yaml(tmp_path / "empty.yaml").to_dict() == BacktestConfig().to_dict()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cash: {initil: 5}", r"bad.yaml: unknown key 'initil' in config section 'cash'.*did you mean 'initial'"),
        ("cahs: {initial: 5}", r"unknown config section 'cahs'.*did you mean 'cash'"),
        ("cash: 5", r"config section 'cash' was a int, expected a mapping"),
        ("[1, 2]", r"config was a list, expected a mapping"),
        ("cash: {initial: [", r"bad.yaml: "),
        ("cash: {initial: lots}", r"initial_cash was 'lots', expected a finite number"),
        ("execution: {mode: sometimes}", r"execution_mode was 'sometimes', expected one of \['same_bar', 'next_bar'\]"),
    ],
)
def test_bad_yaml(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        BacktestConfig.from_yaml(tmp_path / "bad.yaml")


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "5", None, True])
def test_bad_cash(value: Any) -> None:
    with pytest.raises(ValueError, match="initial_cash was"):
        BacktestConfig(initial_cash=value)


def test_bad_rates_and_unknown_settings() -> None:
    with pytest.raises(ValueError, match="commission_rate was -0.1"):
        BacktestConfig(commission_rate=-0.1)
    with pytest.raises(TypeError, match="no argument 'comission_rate'; did you mean 'commission_rate'"):
        BacktestConfig(comission_rate=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no setting 'comission_rate'; did you mean 'commission_rate'"):
        BacktestConfig().replace(comission_rate=0.1)


def test_presets() -> None:
    assert list_presets() == ["default", "fast"]
    assert BacktestConfig.from_preset("fast").preset_name == "fast"
    assert BacktestConfig.from_preset("default").to_dict() == BacktestConfig().to_dict()
    with pytest.raises(ValueError, match="unknown preset 'backtradr'"):
        BacktestConfig.from_preset("backtradr")


def test_from_dict_and_from_config() -> None:
    config = BacktestConfig.from_dict({"cash": {"initial": 7}})
    engine = Engine.from_config(feed(CLOSES), Calls(lambda bar, data, broker: None), config)
    assert engine.run()["final_value"] == 7.0
    assert engine.execution_mode == "next_bar"
