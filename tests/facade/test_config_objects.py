"""A config as an object: assignment, copies, doubts, what it tells about itself, and its page in the docs."""

from __future__ import annotations

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from ml4t_backtest import BacktestConfig, Engine, FixedSlippage, NoCommission, PercentageCommission
from ml4t_backtest.config import ExecutionPrice, list_presets
from tests.facade.feeds import Calls, feed

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
FIELDS = [entry for entry in dataclasses.fields(BacktestConfig) if "section" in entry.metadata]
LOOK_AHEAD = "just seen: look-ahead"
WHOLE_BAR = "whole bar: look-ahead"


def engine(config: Any, **settings: Any) -> Engine:
    return Engine(feed({"A": [10.0, 12.0]}), Calls(lambda bar, data, broker: None), config, **settings)


def test_settings_can_be_assigned_and_are_checked_at_once() -> None:
    config = BacktestConfig()
    config.initial_cash = 5
    config.execution_mode = "SAME_BAR"
    config.margin_requirement = 0.6  # type: ignore[attr-defined]
    assert config == BacktestConfig(initial_cash=5.0, execution_mode="same_bar", initial_margin=0.6)
    assert config.execution_mode is not "same_bar"  # noqa: F632 - a member, whatever was assigned
    assert engine(config).config.initial_cash == 5.0


def test_settings_that_belong_together_follow_an_assignment() -> None:
    config = BacktestConfig.from_preset("zipline")
    config.allow_short_selling = True
    assert config.get_effective_account_type() == "crypto"
    config.account_type = "margin"
    assert (config.allow_short_selling, config.allow_leverage) == (True, True)
    config.allow_leverage = False
    assert config.get_effective_account_type() == "crypto"
    config.maintenance_margin = 0.2
    assert (config.long_maintenance_margin, config.short_maintenance_margin) == (0.2, 0.2)
    config.short_maintenance_margin = 0.3
    assert (config.maintenance_margin, config.long_maintenance_margin) == (None, 0.2)
    config.fill_timing = "next_bar_open"  # type: ignore[misc]
    assert config.price_of_market_orders is ExecutionPrice.OPEN
    config.fractional_shares = True  # type: ignore[misc]
    assert config.share_type == "fractional"
    config.commission_model = NoCommission()
    config.commission_type = "per_trade"
    assert config.commission_model is None
    config.slippage_model = "fixed"
    assert (config.slippage_type, config.slippage_model) == ("fixed", None)
    assert config.preset_name == "zipline"


def test_contradictions_between_assignments_are_found_when_an_engine_is_made() -> None:
    config = BacktestConfig()
    config.enforce_sessions = True
    assert any("enforce_sessions" in sentence for sentence in config.validate(False))
    with pytest.raises(ValueError, match="enforce_sessions"):
        engine(config)
    config.calendar = "NYSE"
    assert engine(config).config.enforce_sessions
    schedule = BacktestConfig(account_type="margin", fixed_margin_schedule={"A": (2, 1)})
    assert schedule.fixed_margin_schedule is not None
    schedule.fixed_margin_schedule["A"] = (1, 2)
    with pytest.raises(ValueError, match=r"fixed_margin_schedule\['A'\] was \(1, 2\)"):
        engine(schedule)


def test_replace_makes_a_copy() -> None:
    config = BacktestConfig(account_type="margin", fixed_margin_schedule={"A": (2, 1)}, commission_model=NoCommission())
    other = config.replace(initial_capital=7, commission_type="per_share")
    assert (other.initial_cash, other.commission_model, config.initial_cash) == (7.0, None, 100_000.0)
    assert other.fixed_margin_schedule == config.fixed_margin_schedule
    assert other.fixed_margin_schedule is not config.fixed_margin_schedule


DOUBTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"execution_mode": "same_bar"}, [LOOK_AHEAD, WHOLE_BAR]),
    ({"execution_mode": "same_bar", "submission_bar_range": "close"}, [LOOK_AHEAD]),
    (
        {"execution_mode": "same_bar", "execution_price": "open", "submission_bar_range": "close"},
        ["at the open trades at a price from before"],
    ),
    ({"commission_type": "none", "slippage_type": "none"}, ["both off"]),
    ({"commission_model": NoCommission(), "slippage_type": "none"}, []),
    ({"commission_rate": 0.0, "slippage_rate": 0.0}, ["both off"]),
    ({"commission_type": "per_trade", "slippage_type": "fixed"}, ["both off"]),
    ({"slippage_type": "volume_based"}, ["volume-based slippage without partial_fills_allowed"]),
    ({"slippage_type": "volume_based", "partial_fills_allowed": True, "slippage_rate": 0.1}, []),
    ({"slippage_rate": 0.008, "commission_rate": 0.003}, ["add up to 1.10% a fill"]),
    ({"preset_name": "realistic"}, ["'realistic' with fractional shares"]),
    ({"account_type": "margin", "initial_margin": 0.3}, ["maintenance at the initial margin"]),
    ({"settlement_delay": 6}, ["settlement_delay of 6 bars"]),
    ({"commission_per_share": 0.01}, ["commission_per_share has no effect with commission_type 'percentage', only with 'per_share'"]),
    ({"initial_margin": 0.4}, ["initial_margin has no effect with account_type 'cash', only with 'margin' or 'futures'"]),
    ({"late_asset_min_bars": 3}, ["late_asset_min_bars has no effect with late_asset_policy 'allow'"]),
    ({"fill_ordering": "fifo", "entry_order_priority": "notional_asc"}, ["entry_order_priority has no effect with fill_ordering 'fifo'"]),
    ({"slippage_model": FixedSlippage(0.1), "slippage_rate": 0.5}, ["slippage_rate: no effect beside slippage_model"]),
]


@pytest.mark.parametrize(("settings", "expected"), DOUBTS)
def test_doubts(settings: dict[str, Any], expected: list[str]) -> None:
    config = BacktestConfig(**settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = config.validate(warn=False)
        assert not caught
        assert config.validate() == found
    assert [str(entry.message) for entry in caught] == found
    assert all(entry.category is UserWarning and entry.filename == __file__ for entry in caught)
    assert len(found) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, found, strict=True))


@pytest.mark.parametrize("name", list_presets())
def test_no_preset_has_settings_without_effect(name: str) -> None:
    assert not [sentence for sentence in BacktestConfig.from_preset(name).validate(False) if "no effect" in sentence]


def test_describe_marks_what_differs() -> None:
    config = BacktestConfig(initial_cash=7, slippage_model=FixedSlippage(0.1), preset_name="mine")
    lines = config.describe().splitlines()
    assert lines[0] == "BacktestConfig 'mine' (* differs from the default)"
    assert "  * initial_cash: 7.0" in lines
    assert "    execution_mode: next_bar" in lines
    assert any(line.startswith("  * slippage_model: FixedSlippage") for line in lines)
    assert all(sum(f" {entry.name}: " in line for line in lines) == 1 for entry in FIELDS)
    headings = [line for line in lines[1:] if re.fullmatch(r"  \w+", line)]
    assert len(set(headings)) == len(headings) == len({entry.metadata["section"] for entry in FIELDS})


def test_sections_are_read_only_views() -> None:
    config = BacktestConfig(commission_rate=0.5)
    section: Any = config.section("commission")
    assert section["rate"] == 0.5
    assert section["model"] is config.commission_type
    with pytest.raises(TypeError):
        section["rate"] = 1.0
    with pytest.raises(ValueError, match="unknown config section 'commissions'.*did you mean 'commission'"):
        config.section("commissions")


def test_model_objects_win_and_keyword_arguments_win_over_the_config() -> None:
    config = BacktestConfig.from_dict({"cash": {"initial": 7}})
    made = Engine.from_config(feed({"A": [10.0, 12.0]}), Calls(lambda bar, data, broker: None), config)
    assert made.run()["final_value"] == 7.0
    assert made.execution_mode == "next_bar"
    assert engine(config, initial_cash=9, commission_model=PercentageCommission(0.1)).config.initial_cash == 9.0
    assert config.initial_cash == 7.0
    assert engine(None).config.price_of_market_orders is ExecutionPrice.CLOSE


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")]
    return [[cell.replace("`", "") for cell in row] for row in rows]


def test_the_page_lists_every_setting_with_key_default_and_choices() -> None:
    defaults = BacktestConfig().to_dict()
    listed = {row[0]: row[1:4] for row in rows_of("Settings")}
    expected = {}
    for entry in FIELDS:
        section, key = entry.metadata["section"], entry.metadata["key"]
        choices = ", ".join(dict.fromkeys(choice.value for choice in entry.metadata.get("kind", ())))
        expected[entry.name] = [f"{section}.{key}", _written(defaults[section][key]), choices]
    assert {name: [row[0], row[1], row[2] if expected[name][2] else ""] for name, row in listed.items()} == expected


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "none" if value is None else "yes" if value else "no"
    return f"{value:.0f}" if isinstance(value, float) and value >= 1000 else f"{value:g}" if isinstance(value, float) else str(value)


def test_the_page_lists_every_preset() -> None:
    assert sorted(row[0] for row in rows_of("Presets")) == list_presets()
