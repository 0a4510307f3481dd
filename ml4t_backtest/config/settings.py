"""`BacktestConfig`: every setting of a run, checked when it is made, readable from YAML and from presets."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, cast

from ml4t_backtest.config import choices as c
from ml4t_backtest.config.fields import choice, flag, number, optional_number, plain, schedule, text, whole
from ml4t_backtest.config.presets import Mode, preset_settings
from ml4t_backtest.config.reading import SPELLINGS, farewell, loosened, read_settings, setting_name, translate
from ml4t_backtest.config.review import describe, doubts, review
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.spelling import accepts
from ml4t_backtest.types import ExecutionMode, ExecutionPrice, StopFillMode, StopLevelBasis

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BacktestConfig", "StatsConfig"]

_presets: dict[tuple[type[Any], str], Any] = {}  # as they were read; everybody gets a copy


@dataclass(frozen=True)
class StatsConfig:
    """What `Broker.get_asset_stats` keeps: how many recent P&Ls, and whether figures of the session are kept apart."""

    recent_window_size: int = 50
    track_session_stats: bool = False
    enabled: bool = True


@accepts(**SPELLINGS)
@dataclass
class BacktestConfig:
    """Settings of a run. Enum settings take the member, its value or its name in any case. docs/configuration.md explains each.

    The account is given by `account_type`, or by `allow_short_selling` and `allow_leverage`. `maintenance_margin` sets the rate
    of longs and shorts at once. The arguments `fill_timing` and `fractional_shares` stand for execution mode and price, and
    for the share type. `commission_model` and `slippage_model` take model objects, which win over the types and rates.

    Settings may be assigned. Each value is checked at once, and settings that belong together follow each other as in
    `replace`; contradictions between others are looked for when an engine is made (`check`). Raises ValueError that names
    the setting, TypeError for unknown arguments, AttributeError for assigning to what is no setting.
    """

    # Account
    initial_cash: float = number("cash.initial", 100_000.0, above=True)
    cash_buffer_pct: float = number("cash.buffer_pct", 0.0, most=1.0)
    account_type: c.AccountType | str | None = choice("account.type", c.AccountType, None)
    allow_short_selling: bool | None = flag("account.allow_short_selling", None)
    allow_leverage: bool | None = flag("account.allow_leverage", None)
    initial_margin: float = number("account.initial_margin", 0.5, most=1.0, above=True)
    maintenance_margin: float | None = optional_number("account.maintenance_margin", most=1.0)
    long_maintenance_margin: float = number("account.long_maintenance_margin", 0.25, most=1.0, above=True)
    short_maintenance_margin: float = number("account.short_maintenance_margin", 0.30, most=1.0, above=True)
    initial_margin_per_contract: float | None = optional_number("account.initial_margin_per_contract")
    maintenance_margin_per_contract: float | None = optional_number("account.maintenance_margin_per_contract")
    futures_margin_rate: float | None = optional_number("account.futures_margin_rate", most=1.0)
    fixed_margin_schedule: dict[str, tuple[float, float]] | None = schedule("account.fixed_margin_schedule")
    margin_pct_schedule: dict[str, tuple[float, float]] | None = schedule("account.margin_pct_schedule", most=1.0)
    short_cash_policy: c.ShortCashPolicy | str = choice("account.short_cash_policy", c.ShortCashPolicy, c.ShortCashPolicy.CREDIT)
    cash_ledger: c.CashLedger | str = choice("account.cash_ledger", c.CashLedger, c.CashLedger.STANDARD)
    buying_power_basis: c.BuyingPowerBasis | str = choice("account.buying_power_basis", c.BuyingPowerBasis, c.BuyingPowerBasis.INITIAL)
    margin_call: c.MarginCallPolicy | str = choice("account.margin_call", c.MarginCallPolicy, c.MarginCallPolicy.RESTORE)
    margin_call_check: c.MarginCallCheck | str = choice("account.margin_call_check", c.MarginCallCheck, c.MarginCallCheck.CLOSE)
    cash_interest_rate: float = number("financing.cash_interest_rate", 0.0)
    margin_interest_rate: float = number("financing.margin_interest_rate", 0.0)
    borrow_rate: float = number("financing.borrow_rate", 0.0)
    settlement_delay: int = whole("settlement.delay", 0, 0, 7)
    settlement_reduces_buying_power: bool = flag("settlement.reduces_buying_power", True)
    # Execution
    execution_mode: ExecutionMode | str = choice("execution.execution_mode", ExecutionMode, None)
    execution_price: ExecutionPrice | str | None = choice("execution.execution_price", ExecutionPrice, None)
    close_at_end: bool = flag("execution.close_at_end", False)
    submission_bar_range: c.SubmissionBarRange | str = choice(
        "execution.submission_bar_range", c.SubmissionBarRange, c.SubmissionBarRange.RANGE
    )
    limit_fill: c.LimitFill | str = choice("execution.limit_fill", c.LimitFill, c.LimitFill.LIMIT)
    stop_gap_fill: c.StopGapFill | str = choice("execution.stop_gap_fill", c.StopGapFill, c.StopGapFill.GAP_PRICE)
    stop_limit_fill: c.StopLimitFill | str = choice("execution.stop_limit_fill", c.StopLimitFill, c.StopLimitFill.CLOSE)
    trigger_price: c.TriggerPrice | str = choice("execution.trigger_price", c.TriggerPrice, c.TriggerPrice.RANGE)
    beyond_limit: c.BeyondLimit | str = choice("execution.beyond_limit", c.BeyondLimit, c.BeyondLimit.LIMIT)
    trade_without_volume: bool = flag("execution.trade_without_volume", True)
    trail_update: c.TrailUpdate | str = choice("execution.trail_update", c.TrailUpdate, c.TrailUpdate.AFTER_BAR)
    child_activation: c.ChildActivation | str = choice("execution.child_activation", c.ChildActivation, c.ChildActivation.AFTER_OPEN)
    bracket_priority: c.BracketPriority | str = choice("execution.bracket_priority", c.BracketPriority, c.BracketPriority.STOP_FIRST)
    missing_bar_orders: c.MissingBarOrders | str = choice("execution.missing_bar_orders", c.MissingBarOrders, c.MissingBarOrders.WAIT)
    linked_orders: c.LinkedOrders | str = choice("execution.linked_orders", c.LinkedOrders, c.LinkedOrders.BY_QUANTITY)
    round_to_tick: bool = flag("execution.round_to_tick", False)
    tick_rounding: c.TickRounding | str = choice("execution.tick_rounding", c.TickRounding, c.TickRounding.PASSIVE)
    default_tick_size: float | None = optional_number("execution.default_tick_size")
    split_accounting: c.SplitAccounting | str = choice("execution.split_accounting", c.SplitAccounting, c.SplitAccounting.MARKET)
    share_type: c.ShareType | str = choice("position_sizing.share_type", c.ShareType, None)
    lot_tolerance: float = number("position_sizing.lot_tolerance", 1e-9, most=0.5)
    # Position rules
    stop_fill_mode: StopFillMode | str = choice("stops.stop_fill_mode", StopFillMode, StopFillMode.STOP_PRICE)
    stop_level_basis: StopLevelBasis | str = choice("stops.stop_level_basis", StopLevelBasis, StopLevelBasis.FILL_PRICE)
    trail_hwm_source: c.WaterMarkSource | str = choice("stops.trail_hwm_source", c.WaterMarkSource, c.WaterMarkSource.CLOSE)
    initial_hwm_source: c.InitialHwmSource | str = choice("stops.initial_hwm_source", c.InitialHwmSource, c.InitialHwmSource.FILL_PRICE)
    trail_stop_timing: c.TrailStopTiming | str = choice("stops.trail_stop_timing", c.TrailStopTiming, c.TrailStopTiming.LAGGED)
    stop_reset_on_add: bool = flag("stops.stop_reset_on_add", False)
    allow_reentry_on_exit_bar: bool = flag("stops.allow_reentry_on_exit_bar", False)
    # Costs
    commission_type: c.CommissionType | str = choice("commission.model", c.CommissionType, c.CommissionType.PERCENTAGE)
    commission_rate: float = number("commission.rate", 0.001)
    commission_per_share: float = number("commission.per_share", 0.0)
    commission_per_trade: float = number("commission.per_trade", 0.0)
    commission_minimum: float = number("commission.minimum", 0.0)
    slippage_type: c.SlippageType | str = choice("slippage.model", c.SlippageType, c.SlippageType.PERCENTAGE)
    slippage_rate: float = number("slippage.rate", 0.001)
    slippage_fixed: float = number("slippage.fixed", 0.0)
    slippage_spread: float = number("slippage.spread", 0.0)
    slippage_bound: c.SlippageBound | str = choice("slippage.bound", c.SlippageBound, c.SlippageBound.NONE)
    rule_exit_slippage: bool = flag("slippage.rule_exits", True)
    slippage_fills: c.SlippageFills | str = choice("slippage.fills", c.SlippageFills, c.SlippageFills.ALL)
    stop_slippage_rate: float = number("slippage.stop_rate", 0.0, most=1.0)
    # Orders
    reject_on_insufficient_cash: bool = flag("orders.reject_on_insufficient_cash", True)
    skip_cash_validation: bool = flag("orders.skip_cash_validation", False)
    partial_fills_allowed: bool = flag("orders.partial_fills_allowed", False)
    refused_reversal: c.RefusedReversal | str = choice("orders.refused_reversal", c.RefusedReversal, c.RefusedReversal.REJECT)
    fill_ordering: c.FillOrdering | str = choice("orders.fill_ordering", c.FillOrdering, c.FillOrdering.EXIT_FIRST)
    entry_order_priority: c.EntryOrderPriority | str = choice(
        "orders.entry_order_priority", c.EntryOrderPriority, c.EntryOrderPriority.SUBMISSION
    )
    split_flips: bool = flag("orders.split_flips", False)
    next_bar_submission_precheck: bool = flag("orders.next_bar_submission_precheck", False)
    next_bar_simple_cash_check: bool = flag("orders.next_bar_simple_cash_check", False)
    submission_check_orders: c.SubmissionCheckOrders | str = choice(
        "orders.submission_check_orders", c.SubmissionCheckOrders, c.SubmissionCheckOrders.MARKET
    )
    buying_power_reservation: bool = flag("orders.buying_power_reservation", False)
    immediate_fill: bool = flag("orders.immediate_fill", False)
    implicit_reduce_only: bool = flag("orders.implicit_reduce_only", True)
    exits_reduce_only: bool = flag("orders.exits_reduce_only", True)
    max_positions: int | None = whole("limits.max_positions", None, 1)
    max_position_size: float | None = optional_number("limits.max_position_size")
    max_order_size: float | None = optional_number("limits.max_order_size")
    # Rebalancing
    rebalance_mode: c.RebalanceMode | str = choice("orders.rebalance_mode", c.RebalanceMode, c.RebalanceMode.INCREMENTAL)
    rebalance_headroom_pct: float = number("orders.rebalance_headroom_pct", 1.0, most=1.0, above=True)
    rebalance_frequency: c.RebalanceFrequency | str | None = choice("orders.rebalance_frequency", c.RebalanceFrequency, None)
    target_weight_tolerance: float = number("orders.target_weight_tolerance", 0.0, most=1.0)
    missing_price_policy: c.MissingPricePolicy | str = choice(
        "orders.missing_price_policy", c.MissingPricePolicy, c.MissingPricePolicy.SKIP
    )
    target_price_policy: c.MissingPricePolicy | str = choice("orders.target_price_policy", c.MissingPricePolicy, c.MissingPricePolicy.SKIP)
    late_asset_policy: c.LateAssetPolicy | str = choice("orders.late_asset_policy", c.LateAssetPolicy, c.LateAssetPolicy.ALLOW)
    late_asset_min_bars: int = whole("orders.late_asset_min_bars", 1, 1)
    # Calendar
    calendar: str | None = text("calendar.calendar", None)
    timezone: str = text("calendar.timezone", "UTC")
    data_frequency: c.DataFrequency | str = choice("calendar.data_frequency", c.DataFrequency, c.DataFrequency.DAILY)
    enforce_sessions: bool = flag("calendar.enforce_sessions", False)
    # Objects and names, which stand in no file
    commission_model: Any = plain(None)
    slippage_model: Any = plain(None)
    fill_timing: dataclasses.InitVar[Any] = None
    fractional_shares: dataclasses.InitVar[Any] = None
    preset_name: str | None = plain(None)

    def __post_init__(self, fill_timing: Any, fractional_shares: Any) -> None:
        translate(self, fill_timing, fractional_shares)
        self.check()
        self.__dict__["_settled"] = True

    # Hidden from type checkers, which else would let every name and argument pass.
    if not TYPE_CHECKING:

        def __new__(cls, *_: Any, **settings: Any) -> Self:
            """Refuse settings of an older generation with a word on what became of them."""
            for name in settings:
                if setting_name(cls, name) is None:
                    raise TypeError(f"{cls.__name__}() has no argument {name!r}{farewell(cls, name)}")
            return super().__new__(cls)

        def __getattr__(self, name: str) -> Any:
            if name in SPELLINGS:
                return getattr(self, SPELLINGS[name])
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}{farewell(type(self), name)}")

        def __setattr__(self, name: str, value: Any) -> None:
            if "_settled" not in self.__dict__:
                super().__setattr__(name, value)
                return
            if setting_name(type(self), name) is None:
                raise AttributeError(f"{type(self).__name__} has no setting {name!r}{farewell(type(self), name)}")
            self.__dict__.update(self._changed({name: value}).__dict__)

    def check(self) -> None:
        """Check every setting, and all of them against each other; making a config and making an engine do it.

        Raises ValueError that names the setting, TypeError for a margin schedule that is no mapping.
        """
        self._check_fields()
        review(self)

    def _check_fields(self) -> None:
        for entry in dataclasses.fields(self):
            if "check" in entry.metadata:
                self.__dict__[entry.name] = entry.metadata["check"](entry.name, getattr(self, entry.name))

    def _changed(self, changes: dict[str, Any]) -> BacktestConfig:
        """Return a copy with changed settings, each of them checked by itself."""
        made = copy.copy(self)
        del made.__dict__["_settled"]
        values = loosened(self, {setting_name(type(self), name) or name: value for name, value in changes.items()})
        arguments = [values.pop(name, None) for name in ("fill_timing", "fractional_shares")]
        made.__dict__.update(values)
        translate(made, *arguments)
        made._check_fields()
        made.__dict__["_settled"] = True
        return made

    @property
    def price_of_market_orders(self) -> ExecutionPrice:
        """`execution_price`, or what follows from the mode when it is None."""
        if self.execution_price is not None:
            return cast("ExecutionPrice", self.execution_price)
        return ExecutionPrice.CLOSE if self.execution_mode is ExecutionMode.SAME_BAR else ExecutionPrice.OPEN

    @property
    def looks_ahead(self) -> bool:
        """Whether market orders trade at a price from before the decision: SAME_BAR at anything but the close."""
        return self.execution_mode is ExecutionMode.SAME_BAR and self.price_of_market_orders is not ExecutionPrice.CLOSE

    def get_effective_account_type(self) -> str:
        """Return the account type as text: cash, crypto, margin or futures."""
        return str(cast("c.AccountType", self.account_type).value)

    def get_effective_account_settings(self) -> dict[str, Any]:
        """Return the settings of the account section as they hold, in plain values."""
        return cast("dict[str, Any]", self.to_dict()["account"])

    def section(self, name: str) -> Mapping[str, Any]:
        """Return the settings of one section by their keys, read-only: `config.section("commission")["rate"]`.

        Raises ValueError for an unknown section.
        """
        entries = [entry for entry in dataclasses.fields(self) if "section" in entry.metadata]
        found = {entry.metadata["key"]: getattr(self, entry.name) for entry in entries if entry.metadata["section"] == name}
        if not found:
            known = sorted({entry.metadata["section"] for entry in entries})
            raise ValueError(f"unknown config section {name!r}, expected one of {known}{did_you_mean(str(name), known)}")
        return MappingProxyType(found)

    def replace(self, **changes: object) -> BacktestConfig:
        """Return a copy with some settings changed. Raises TypeError for an unknown setting, else as the constructor.

        Settings that belong together follow: a changed account type brings its own permissions for shorts and leverage and the
        other way round, `fill_timing` mode and price, `maintenance_margin` both rates; a changed cost type drops a model object.
        """
        for name in changes:
            if setting_name(type(self), name) is None:
                raise TypeError(f"BacktestConfig has no setting {name!r}{farewell(type(self), name)}")
        for name, canonical in SPELLINGS.items():
            if name in changes and canonical in changes:
                raise TypeError(f"replace() got both {canonical!r} and its other spelling {name!r}")
        made = self._changed(changes)
        made.check()
        return made

    def validate(self, warn: bool = True) -> list[str]:  # noqa: FBT001, FBT002 - published
        """Return what is wrong or doubtful about the settings, as sentences; with `warn` also as UserWarning each."""
        return doubts(self, warn=warn)

    def describe(self) -> str:
        """Return the settings as text, section by section, those that differ from the defaults marked."""
        return describe(self)

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Return the settings nested by section, in plain values, as `from_dict` and YAML take them (model objects left out)."""
        nested: dict[str, dict[str, object]] = {}
        for entry in dataclasses.fields(self):
            if "section" in entry.metadata:
                value = getattr(self, entry.name)
                nested.setdefault(entry.metadata["section"], {})[entry.metadata["key"]] = _plain_value(value)
        return nested

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], preset_name: str | None = None, strict: bool = True) -> BacktestConfig:  # noqa: FBT001, FBT002 - published
        """Build a config from settings nested by section, under their keys or full names; what is missing takes the default.

        strict: unknown sections and keys raise ValueError; otherwise they are left out. Raises TypeError when `data` or a
        section is no mapping.
        """
        return cls(**read_settings(cls, data, strict=strict), preset_name=preset_name)

    @classmethod
    def from_yaml(cls, path: str | Path) -> BacktestConfig:
        """Read a config from a YAML file; `preset_name` becomes the file's stem. Errors as `from_dict`, naming the file."""
        import yaml

        try:
            loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            return cls.from_dict({} if loaded is None else loaded, preset_name=Path(path).stem)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text file: {error}") from error
        except (TypeError, ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{path}: {error}") from error

    def to_yaml(self, path: str | Path) -> None:
        """Write the settings as YAML. Raises ValueError for a model object, which has no place in a file."""
        import yaml

        for name in ("commission_model", "slippage_model"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} is {getattr(self, name)!r}, which cannot be written to a file; use the types and rates")
        Path(path).write_text(yaml.safe_dump(self.to_dict(), sort_keys=False), encoding="utf-8")

    @classmethod
    def from_preset(cls, name: Mode | str) -> BacktestConfig:
        """Return the settings of a preset, by name in any case or as a `Mode`. Raises ValueError that lists the presets for another."""
        settings, stem = preset_settings(name)
        if (cls, stem) not in _presets:
            _presets[cls, stem] = cls.from_dict(settings, preset_name=stem)
        made: BacktestConfig = copy.deepcopy(_presets[cls, stem])
        return made


def _plain_value(value: Any) -> object:
    """Return a value as YAML writes it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {name: list(pair) for name, pair in value.items()}
    return value
