"""`Broker`: order entry, position rules and account reads, a thin face of the ledger; made by an engine, or built and stepped by hand."""

from __future__ import annotations

import dataclasses
import inspect
import math
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from ml4t_backtest.config import AccountType, BacktestConfig, WaterMarkSource
from ml4t_backtest.handbroker import ByHand
from ml4t_backtest.handles import Position, PositionBook
from ml4t_backtest.handparts import HandRules, settings_by_hand
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.lowering import CostModels, HostCalls, RuleTable
from ml4t_backtest.orderentry import OrderEntry
from ml4t_backtest.rebalancing import Rebalancing
from ml4t_backtest.records import fills_of, trades_of
from ml4t_backtest.store import Store
from ml4t_backtest.widening import GrowingPanels, first_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ml4t_backtest.accounting.live import LedgerAccount, LedgerGatekeeper
    from ml4t_backtest.config import Mode
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.sessions import SessionConfig
    from ml4t_backtest.trading_stats import AssetTradingStats, StatsBook
    from ml4t_backtest.types import Fill, Trade

__all__ = ["Broker", "HandBroker"]


class Broker(OrderEntry, Rebalancing):
    """Orders, positions, rules and cash of an account. The engine makes one for its strategy; `Broker(100_000.0, ...)` is stepped by hand.

    By hand the arguments are those of `HandBroker`, which also says how a bar is stepped. Every setting of `BacktestConfig` can be
    read as an attribute (`broker.execution_mode`); those of an engine's run cannot be assigned.
    """

    get_position: Callable[[str], Position | None]
    _table: type[RuleTable] = RuleTable

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            store: Store,
            panels: Panels,
            config: BacktestConfig | None = None,
            hosts: HostCalls | None = None,
            specs: Mapping[str, ContractSpec] | None = None,
        ) -> Broker: ...

        @overload
        def __new__(
            cls,
            initial_cash: float | None = None,
            commission_model: object | None = None,
            slippage_model: object | None = None,
            **keywords: Any,
        ) -> HandBroker: ...

        def __new__(cls, *arguments: Any, **keywords: Any) -> Any: ...  # noqa: D102 - for type checkers

    else:

        def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
            """Make a broker over a store of the engine, or one that is stepped by hand."""
            over_store = "store" in keywords or (arguments and isinstance(arguments[0], Store))
            if not over_store and not issubclass(cls, HandBroker) and cls is not Broker:
                raise TypeError(f"{cls.__name__} is built by hand: derive it from ml4t_backtest.broker.HandBroker")
            return super().__new__(cls if over_store or cls is not Broker else HandBroker)

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            self._bind(*arguments, **keywords)

    @classmethod
    def from_config(cls, config: BacktestConfig | Mode | str, **keywords: Any) -> HandBroker:
        """Return a broker to step by hand with the settings of a config or preset; keywords as `HandBroker`."""
        return HandBroker(config=config, **keywords)

    def _bind(
        self,
        store: Store,
        panels: Panels,
        config: BacktestConfig | None = None,
        hosts: HostCalls | None = None,
        specs: Mapping[str, ContractSpec] | None = None,
    ) -> None:
        """Be the face of a ledger."""
        self.config = config or BacktestConfig()
        self._store = store
        self._panels = panels
        self._hosts = hosts or HostCalls()
        self._hosts.store, self._hosts.panels = store, panels
        self._specs = dict(specs or {})
        self._book = PositionBook(store, panels)
        self._prepare_orders()
        self._ticks = {self._columns[asset]: spec.tick_size for asset, spec in self._specs.items()}
        self._positions: Mapping[str, Position] = MappingProxyType(self._book.open)
        self._cash: memoryview[float] = store.columns.cash
        self._equity: memoryview[float] = store.columns.equity
        source = self.config.trail_hwm_source
        self._rules = self._table(panels, self._hosts, store.terms.tiers, str(getattr(source, "value", WaterMarkSource.CLOSE.value)))
        self._rule_rows: dict[int, int] = {}
        self._stats: StatsBook | None = None
        store.order_columns.rule_text = self._rules.text_of
        # The bound dict method costs a third of a method of our own, and strategies call it for every asset on every bar.
        self.get_position = self._book.open.get

    # Account ---------------------------------------------------------------------------------------------------------

    @property
    def cash(self) -> float:
        """Cash [money]."""
        return self._cash[0]

    @property
    def account_value(self) -> float:
        """Cash plus the value of all positions at this bar's prices [money]."""
        return self._equity[0]

    def get_cash(self) -> float:
        """Return the cash [money]."""
        return self._cash[0]

    def get_account_value(self) -> float:
        """Return cash plus the value of all positions at this bar's prices [money]."""
        return self._equity[0]

    def get_buying_power(self) -> float:
        """Return the notional that could be opened now [money].

        Without leverage the cash that may be spent; with leverage the account value above the requirement of what is held
        (`buying_power_basis`), over `initial_margin`. Contracts with a margin in money are opened as long as
        that margin fits into the account value above `account.initial_requirement`.
        """
        columns, config = self._store.columns, self.config
        free = columns.cash[0] - columns.short_value[0] * float(self._store.params["short_cash_policy"][0])
        if config.settlement_reduces_buying_power:
            free -= columns.unsettled[0]
        available = free * (1.0 - config.cash_buffer_pct) if free > 0.0 else free
        if not config.allow_leverage:
            return max(0.0, float(available))
        held = columns.maintenance_requirement[0] if self._store.params["maintenance_basis"][0] else columns.initial_requirement[0]
        return max(0.0, float((columns.equity[0] - (columns.cash[0] - available) - held) / config.initial_margin))

    @property
    def account(self) -> LedgerAccount:
        """The account as a live, read-only view."""
        from ml4t_backtest.accounting.live import LedgerAccount

        return LedgerAccount(self._store, self._panels, self.config)

    @property
    def gatekeeper(self) -> LedgerGatekeeper:
        """Judges orders by hand, by the rules of this account."""
        from ml4t_backtest.accounting.live import LedgerGatekeeper

        return LedgerGatekeeper(self.account)

    @property
    def account_type(self) -> str:
        """Type of the account as text: cash, crypto, margin or futures."""
        return self.config.get_effective_account_type()

    @property
    def is_margin_call(self) -> bool:
        """Whether the account value is below the maintenance requirement, at this bar's prices."""
        leveraged = self.config.account_type in (AccountType.MARGIN, AccountType.FUTURES)
        return leveraged and bool(self._equity[0] < self._store.columns.maintenance_requirement[0])

    @property
    def positions(self) -> Mapping[str, Position]:
        """Open positions by asset, in position order; read-only and live."""
        self._book.sync()
        return self._positions

    @property
    def assets(self) -> tuple[str, ...]:
        """All assets of the feed."""
        return self._panels.assets

    @property
    def fills(self) -> list[Fill]:
        """All fills so far."""
        return fills_of(self._store.used_fills(), self._panels)

    @property
    def trades(self) -> list[Trade]:
        """Closed and partial trades so far."""
        return trades_of(self._store.used_trades(), self._panels)

    def get_contract_spec(self, asset: str) -> ContractSpec | None:
        """Return the contract spec that the run was given for an asset, None without."""
        self._column(asset)
        return self._specs.get(asset)

    def get_multiplier(self, asset: str) -> float:
        """Return the money per point of price and unit of an asset."""
        column = self._column(asset)
        return float(self._store.multipliers[column])

    # Statistics --------------------------------------------------------------------------------------------------------

    @property
    def stats(self) -> StatsBook:
        """Figures of the finished trades by asset."""
        if self._stats is None:
            from ml4t_backtest.trading_stats import StatsBook

            self._stats = StatsBook(self._store, self._panels)
        return self._stats

    def get_asset_stats(self, asset: str) -> AssetTradingStats:
        """Return the trading statistics of an asset so far."""
        self._column(asset)
        return self.stats.get_asset_stats(asset)

    def configure_stats(self, **settings: Any) -> None:
        """Change what statistics keep; arguments of `StatsBook.configure`."""
        self.stats.configure(**settings)

    def set_session_config(self, config: SessionConfig) -> None:
        """Keep the statistics of the session by the sessions of a `SessionConfig`; they start at 0 with each."""
        from ml4t_backtest.frames import time_series
        from ml4t_backtest.sessions import align_to_sessions

        times = time_series("timestamp", self._panels.times, self._panels.zone).to_frame()
        days = align_to_sessions(times, config)["session_date"].to_physical().to_numpy()
        self.stats.configure(track_session_stats=True)
        self.stats.set_sessions(days)

    def get_trades(self, asset: str | None = None, last_n: int | None = None) -> list[Trade]:
        """Return the finished trades so far, of an asset, the last n."""
        return self.stats.get_trades(asset, last_n)

    def get_last_trade(self, asset: str) -> Trade | None:
        """Return the last finished trade of an asset, None before the first."""
        return self.stats.get_last_trade(asset)

    # Position rules --------------------------------------------------------------------------------------------------------

    def set_position_rules(self, rule: Any, asset: str | None = None, *, position: bool = False) -> None:
        """Set the rule that positions follow: all of them, those of an asset, or (`position`) the asset's present one only.

        rule: a rule of `ml4t_backtest.risk`, any object with `evaluate(state)`, a list of them (the first that fires), or
        None for no rule. A position's own rule wins over its asset's, that over the global one. Raises ValueError for an
        unknown asset, and for `position` without an open position; TypeError for what is no rule.
        """
        if isinstance(rule, (list, tuple)):
            from ml4t_backtest.risk import RuleChain

            rule = RuleChain(*rule)
        column = None if asset is None else self._column(asset)
        if position and (column is None or not self._store.positions["quantity"][column]):
            raise ValueError(f"there is no open position of {asset!r} at {self._now()} to set a rule for")
        first = 0 if rule is None else self._row_of_rule(rule)
        if column is None:
            self._store.state["rule_set"] = first
        elif position:
            self._store.positions["rule_set"][column] = first
        else:
            self._store.contracts["rule_set"][column] = first

    def _row_of_rule(self, rule: Any) -> int:
        """Return the first row of a rule plus 1, appending it unless the same object is there already."""
        known = self._rule_rows.get(id(rule))
        if known is None:
            known = self._rules.add(rule)
            self._rule_rows[id(rule)] = known
            self._store.set_rules(*self._rules.records())
            for asset in self._rules.contexts:
                self._give_inputs(asset, known - 1)
        return known

    def _give_inputs(self, asset: str, first_row: int = 0) -> None:
        """Write the values given for an asset's present position where the rules from a row on read them."""
        column, store = self._columns[asset], self._store
        position = int(store.positions["position_id"][column])
        owner, values = self._rules.contexts[asset]
        if owner != position or not len(self._rules):
            return
        store.claim_rule_memory(column, position)
        for key, value in values.items():
            for row in self._rules.rows_reading(key):
                if row >= first_row:
                    store.inputs[column, row] = math.nan if value is None else float(value)

    def update_position_context(self, asset: str, context: Mapping[str, Any]) -> None:
        """Merge values into the context of an asset's position, for rules that read them by name (an ATR, a signal).

        They count before a signal column of that name and end with the position; None takes a value back. Without an open
        position nothing happens. Raises ValueError for an unknown asset.
        """
        column = self._column(asset)
        position = int(self._store.positions["position_id"][column])
        if position == 0:
            return
        owner, values = self._rules.contexts.get(asset, (0, {}))
        self._rules.contexts[asset] = position, {**(values if owner == position else {}), **context}
        self._give_inputs(asset)

    # For the engine --------------------------------------------------------------------------------------------------

    def _read_on_demand(self) -> None:
        """Make position objects only when they are asked for, instead of after every bar with fills."""

        def get_position(asset: str) -> Position | None:
            self._book.sync()
            return self._book.open.get(asset)

        self.get_position = get_position

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name in _settings():
            raise AttributeError(f"{name} cannot be assigned to this broker; give it to the constructor: {name}={value!r}")
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        fields = () if name.startswith("_") else _settings()
        if name in fields:
            return getattr(self.config, name)
        known = [*fields, *(entry for entry in dir(type(self)) if not entry.startswith("_"))]
        raise AttributeError(f"Broker has no attribute {name!r}{did_you_mean(name, known)}")


class HandBroker(ByHand, Broker):  # type: ignore[misc]
    """A broker that is built and stepped by hand: give it a bar, ask for fill passes, read what became of the orders.

        broker = Broker(100_000.0, PercentageCommission(0.001), execution_mode="same_bar")
        for timestamp, prices in bars:  # prices: asset to close, or asset to bar
            broker.update_time(timestamp, prices)
            broker.process_orders()  # what was pending, and exits of position rules
            if "AAPL" not in broker.positions:
                broker.submit_order("AAPL", 100)
            broker.process_orders()  # SAME_BAR: at this bar's close. NEXT_BAR: the order waits for the next bar
        broker.equity_curve, broker.fills, broker.trades

    The same orders on the same bars give the same fills, trades and values as in an engine. Without a config the settings are
    SAME_BAR at the close, no costs, a cash account; with one its values hold, and keywords override either. config: a
    `BacktestConfig`, a preset name or a `Mode`. initial_cash: money. commission_model, slippage_model, market_impact_model,
    execution_limits: as `Engine`. contract_specs: asset to `ContractSpec`, also of assets that never come. allow_nonpositive_prices:
    admit prices <= 0. settings: every setting of `BacktestConfig`.

    Assets are known when they are named first, by `update_time` or an order; a misspelled one waits for ever. After it was made,
    cash, execution_mode, execution_price, stop_fill_mode, stop_level_basis and trail_stop_timing may be assigned. Positions that are
    kept stay live. Dividends, splits and portfolio limits are the engine's.

    Raises TypeError for unknown arguments and for what is no model, ValueError for bad settings, and for close_at_end and
    enforce_sessions, which need all bars. Warns (UserWarning) when orders trade at a price from before the decision.
    """

    _table = HandRules

    def __init__(
        self,
        initial_cash: float | None = None,
        commission_model: object | None = None,
        slippage_model: object | None = None,
        *,
        config: BacktestConfig | Mode | str | None = None,
        market_impact_model: object | None = None,
        execution_limits: object | None = None,
        contract_specs: Mapping[str, ContractSpec] | None = None,
        allow_nonpositive_prices: bool = False,
        **settings: Any,
    ) -> None:
        given = {"initial_cash": initial_cash, "commission_model": commission_model, "slippage_model": slippage_model, **settings}
        chosen = settings_by_hand(config, given)
        panels, hosts = GrowingPanels(repeats=chosen.missing_bar_orders == "last_bar"), HostCalls()
        self.market_impact_model, self.execution_limits = market_impact_model, execution_limits
        self._costs = CostModels(impact=market_impact_model, limits=execution_limits)
        self._given_specs = dict(contract_specs or {})
        self._positive = not allow_nonpositive_prices
        terms = first_terms(chosen, panels, self._costs, self._given_specs, hosts)
        self._bind(Store(panels.market, terms, chosen.initial_cash), panels, chosen, hosts)


def _public_signature() -> inspect.Signature:
    """Return the arguments that users give to `Broker`: those of `HandBroker`."""
    own = inspect.signature(HandBroker.__init__)
    return own.replace(parameters=list(own.parameters.values())[1:], return_annotation=inspect.Signature.empty)


Broker.__signature__ = _public_signature()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


@cache
def _settings() -> tuple[str, ...]:
    """Return the names of all settings."""
    return tuple(entry.name for entry in dataclasses.fields(BacktestConfig))
