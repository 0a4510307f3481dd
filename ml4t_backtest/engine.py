"""`Engine`: the loop over bars between the ledger and a strategy."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ml4t_backtest.broker import Broker
from ml4t_backtest.calls import bar_call, call, step
from ml4t_backtest.compiled import CompiledStrategy
from ml4t_backtest.config import BacktestConfig, Mode
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.lowering import CostModels, Extras, HostCalls, lower_market, lower_terms, trading_bars
from ml4t_backtest.progress import bars_with_progress
from ml4t_backtest.result import BacktestResult
from ml4t_backtest.rows import Rows
from ml4t_backtest.store import Store
from ml4t_backtest.strategy import ArrayStrategy, Strategy
from ml4t_backtest.types import ExecutionMode
from ml4t_backtest.views import DataWindow, plain_bar
from ml4t_kernels.codes import ExitReason, OrderReason, OrderType, PriceField, Stage, StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.frames import FrameLike

__all__ = ["BacktestEngine", "Engine", "run_backtest"]

_ARGUMENTS = (
    "feed",
    "strategy",
    "config",
    "commission_model",
    "slippage_model",
    "market_impact_model",
    "execution_limits",
    "contract_specs",
    "limits",
    "risk_context",
    "events",
    "funding_df",
    "data",
)
_DATA_KINDS = ("views", "dict")
_SEED: dict[str, Any] = {"execution_mode": ExecutionMode.SAME_BAR, "commission_type": "none", "slippage_type": "none"}


class Engine:
    """Runs one strategy over one feed.

    Without a config the settings are: SAME_BAR at the close, no costs, a cash account of 100,000. With a config its
    values hold. Keyword arguments override either; every setting of `BacktestConfig` is one.

    feed (or datafeed): a `DataFeed`. strategy: a `Strategy`, `ArrayStrategy` or `CompiledStrategy` object. config: a `BacktestConfig`,
    a preset name or a `Mode`. commission_model, slippage_model, market_impact_model, execution_limits: model objects, objects with
    `calculate(...)`, or functions compiled with numba. contract_specs: asset to `ContractSpec`. limits: portfolio limits of
    `ml4t_backtest.risk` that the engine enforces; risk_context: what they read (asset_sectors, asset_betas, factor_loadings). events:
    frame of dividends, splits and funding (timestamp, asset, kind, value); funding_df: frame of funding rates (timestamp, asset, rate).
    data: "views" gives bars as lazy mappings, "dict" as fresh plain dicts (slower, for code that changes them).

    Raises TypeError for arguments of the wrong kind, ValueError for bad settings. Warns (UserWarning) when orders trade
    at a price from before the decision.
    """

    _buffers: ClassVar[dict[str, int]] = {}  # how the store starts, where not as usual

    def __init__(  # noqa: PLR0913 - the published constructor
        self,
        feed: DataFeed | None = None,
        strategy: Strategy | ArrayStrategy | CompiledStrategy | None = None,
        config: BacktestConfig | Mode | str | None = None,
        *,
        commission_model: object | None = None,
        slippage_model: object | None = None,
        market_impact_model: object | None = None,
        execution_limits: object | None = None,
        contract_specs: Mapping[str, ContractSpec] | None = None,
        limits: Sequence[object] = (),
        risk_context: Mapping[str, Any] | None = None,
        events: FrameLike | None = None,
        funding_df: FrameLike | None = None,
        data: str = "views",
        **settings: Any,
    ) -> None:
        feed = _one_feed(feed, settings)
        strategy = _checked_strategy(strategy)
        if data not in _DATA_KINDS:
            raise ValueError(f"data was {data!r}, expected one of {list(_DATA_KINDS)}")
        self.config = _settings_of(config, settings)
        if self.config.looks_ahead:
            warnings.warn(
                f"SAME_BAR with execution_price={self.config.price_of_market_orders.name} trades at a price from before the close that"
                " the strategy has seen: look-ahead",
                UserWarning,
                stacklevel=3,
            )
        self.feed = feed
        self.strategy = strategy
        self._data_kind = data
        self._panels = trading_bars(feed.panels, self.config)
        self.skipped_bars = feed.panels.bars - self._panels.bars
        hosts = HostCalls()
        costs = CostModels(commission_model, slippage_model, market_impact_model, execution_limits)
        if not isinstance(limits, Iterable):
            raise TypeError(f"limits was {limits!r}, expected a list of portfolio limits: limits=[{type(limits).__name__}(...)]")
        extras = Extras(contract_specs, events, funding_df, tuple(limits), risk_context)
        terms, self.limit_names = lower_terms(self.config, self._panels, costs, extras, hosts)
        self._store = Store(
            lower_market(self._panels, self.config, windows=isinstance(strategy, CompiledStrategy)),
            terms,
            self.config.initial_cash,
            **self._buffers,
        )
        self.broker = Broker(self._store, self._panels, self.config, hosts, contract_specs)
        self._contract_specs = dict(contract_specs or {})
        self._result: BacktestResult | None = None
        self.strategy_arrays: dict[str, Any] = {}  # a compiled strategy's own arrays, as its run left them
        self._started = False

    @classmethod
    def from_config(
        cls, feed: DataFeed, strategy: Strategy | ArrayStrategy | CompiledStrategy, config: BacktestConfig, **keywords: Any
    ) -> Engine:
        """Build an engine from a config; keywords as the constructor."""
        return cls(feed, strategy, config, **keywords)

    @classmethod
    def from_mode(cls, feed: DataFeed, strategy: Strategy | ArrayStrategy | CompiledStrategy, mode: Mode | str, **keywords: Any) -> Engine:
        """Build an engine from a preset; keywords as the constructor."""
        return cls(feed, strategy, mode, **keywords)

    @property
    def execution_mode(self) -> ExecutionMode | str:
        """When orders of a bar trade."""
        return self.config.execution_mode

    @property
    def result(self) -> BacktestResult:
        """The result; after a strategy raised or Ctrl-C, the run up to there. Raises RuntimeError before `run`."""
        if self._result is None:
            raise RuntimeError("there is no result before Engine.run()")
        return self._result

    @property
    def equity_curve(self) -> list[tuple[datetime, float]]:
        """Pairs of time and account value of the finished run."""
        return self.result.equity_curve

    def run_dict(self, *, progress: bool = False) -> dict[str, Any]:
        """Run and return metrics, trades, fills and equity curve as a plain dictionary."""
        return self.run(progress=progress).to_dict()

    def run(self, *, progress: bool = False) -> BacktestResult:
        """Run the strategy over all bars and return the result.

        progress: show a progress bar on a terminal or in a notebook (quiet elsewhere). Ctrl-C stops after the current
        bar and returns the run so far, with `status` "interrupted" and a warning. An exception in the strategy is
        raised as it is; `engine.result` then holds the run so far, with `status` "failed". An engine runs once; raises
        RuntimeError when called again.
        """
        if self._started:
            raise RuntimeError("this engine has run already; its outcome is engine.result. Make a new Engine (and strategy) to run again")
        self._started = True
        try:
            if isinstance(self.strategy, CompiledStrategy):
                self._run_compiled(self.strategy, progress=progress)
            else:
                self._run_turns(self.strategy, progress=progress)
        except KeyboardInterrupt:
            self._stop("interrupted")
            bars = self._store.bar + 1
            warnings.warn(f"interrupted: the result holds {bars} of {self._panels.bars} bars", UserWarning, stacklevel=2)
            return self.result
        except BaseException as error:
            self._stop("failed")
            error.add_note(f"raised in {type(self.strategy).__name__} at {self._when()}; engine.result holds the run up to there")
            raise
        self._result = self._make_result("completed")
        return self._result

    def _make_result(self, status: str) -> BacktestResult:
        return BacktestResult(
            self._store,
            self._panels,
            self.config,
            status,
            limit_names=self.limit_names,
            skipped_bars=self.skipped_bars,
            contract_specs=self._contract_specs,
            strategy_name=type(self.strategy).__name__,
        )

    def _run_compiled(self, strategy: CompiledStrategy, *, progress: bool) -> None:
        """Let a compiled strategy run; the host has control only where the kernels ask for something."""
        from ml4t_backtest.compiled.host import CompiledHost

        host = CompiledHost(strategy, self._store, self._panels, self.broker)
        self.strategy_arrays = host.arrays
        self.broker._read_on_demand()
        host.start()
        host.run(bars_with_progress(self._panels.bars, progress=progress))
        self._finish_bar(last=True)
        self.broker._book.sync()

    def _run_turns(self, strategy: Strategy | ArrayStrategy, *, progress: bool) -> None:
        """Give a Python strategy its turns: at the start, on every bar, at the end."""
        strategy.on_start(self.broker)
        host = strategy._compiled_host(self._store, self._panels, self.broker) if isinstance(strategy, ArrayStrategy) else None
        if host is not None:
            self.broker._read_on_demand()
            host.run(bars_with_progress(self._panels.bars, progress=progress))
        elif isinstance(strategy, ArrayStrategy):
            self._run_arrays(strategy, progress=progress)
        else:
            self._run_bars(strategy, progress=progress)
        self._finish_bar(last=True)
        self.broker._book.sync()
        strategy.on_end(self.broker)

    def _run_bars(self, strategy: Strategy, *, progress: bool) -> None:
        """Loop over the bars for a per-asset strategy: one kernel call and one call of the strategy per bar."""
        store, panels, broker = self._store, self._panels, self.broker
        timestamps, context = panels.timestamps, panels.context
        advance, address = bar_call("advance", store), store.address
        window = DataWindow(panels)
        show, settle = window.show, window.settle
        book = broker._book
        open_positions, settle_positions = book.open, book.settle
        on_data = strategy.on_data
        plain = self._data_kind == "dict"
        for bar in bars_with_progress(panels.bars, progress=progress):
            status = advance(address)
            if status:
                if status != StepStatus.OK_WITH_FILLS:
                    step("advance", store, status)
                book.sync()
            if plain:
                data: Any = {asset: plain_bar(view) for asset, view in show(bar).items()}
                on_data(timestamps[bar], data, {} if context is None else context.at(bar), broker)
            else:
                on_data(timestamps[bar], show(bar), {} if context is None else context.at(bar), broker)
                settle()
            if open_positions:
                settle_positions()

    def _run_arrays(self, strategy: ArrayStrategy, *, progress: bool) -> None:
        """Loop over the bars for an array strategy; positions become objects only when they are asked for."""
        store, panels, broker = self._store, self._panels, self.broker
        timestamps, context = panels.timestamps, panels.context
        advance, address = bar_call("advance", store), store.address
        broker._read_on_demand()
        book = broker._book
        on_arrays = strategy.on_arrays
        for bar in bars_with_progress(panels.bars, progress=progress):
            status = advance(address)
            if status > StepStatus.OK_WITH_FILLS:
                step("advance", store, status)
            on_arrays(timestamps[bar], Rows(panels, store, bar), {} if context is None else context.at(bar), broker)
            if book.open:
                book.settle()

    def _finish_bar(self, *, last: bool = False) -> None:
        store = self._store
        if last and self.config.close_at_end and store.columns.stage[0] == Stage.STRATEGY:
            self._close_positions()
        if store.columns.stage[0] != Stage.CLOSED:
            # On the last bar `advance`, which is compiled already, closes it and opens nothing.
            step("advance" if store.bar == self._panels.bars - 1 else "proceed", store)

    def _close_positions(self) -> None:
        """Trade what the last bar still may, cancel the rest, and close every priced position at the close."""
        store, broker = self._store, self.broker
        broker.process_orders()
        call("cancel_since")(store.address, 0, OrderReason.RUN_ENDED.value)
        for column in store.open_assets().tolist():
            if broker._close_now(self._panels.assets[column]) is not None:
                row = broker._place(column, -float(store.positions["quantity"][column]), OrderType.MARKET.value, math.nan, math.nan, 1)
                if row is not None:
                    store.orders["exit_reason"][row] = ExitReason.END_OF_DATA
        field = int(store.params["price_field"][0])
        store.params["price_field"] = PriceField.CLOSE
        step("run_pass", store, None, Stage.SECOND_TOTALS.value)
        store.params["price_field"] = field
        call("cancel_since")(store.address, 0, OrderReason.RUN_ENDED.value)

    def _stop(self, status: str) -> None:
        """Bring the ledger to the end of the current bar: what the strategy ordered on this bar is cancelled."""
        store = self._store
        try:
            if store.columns.stage[0] not in (Stage.CLOSED, Stage.STRATEGY):
                step("advance" if store.columns.stage[0] < Stage.STRATEGY else "proceed", store)
            if store.columns.stage[0] == Stage.STRATEGY:
                first = int(np.searchsorted(store.used_orders()["created_bar"], store.bar))
                call("cancel_since")(store.address, first, OrderReason.RUN_STOPPED.value)
            self._finish_bar()
        except Exception:  # noqa: BLE001 - a function of the user fails again; the bar ends without the rest of its pass
            store.state["stage"], store.state["cursor"] = Stage.MARKING, 0
            step("proceed", store)
        self.broker._book.sync()
        self._result = self._make_result(status)

    def _when(self) -> str:
        bar = self._store.bar
        return "the start" if bar < 0 else f"bar {bar} ({self._panels.timestamps[bar]})"


def _one_feed(feed: object, settings: dict[str, Any]) -> DataFeed:
    """Return the feed, given as `feed` or as `datafeed`."""
    if "datafeed" in settings:
        if feed is not None:
            raise TypeError("Engine() got both 'feed' and its other spelling 'datafeed'")
        feed = settings.pop("datafeed")
    if not isinstance(feed, DataFeed):
        raise TypeError(f"feed was a {type(feed).__name__}, expected a DataFeed: Engine(DataFeed(prices_df=...), strategy)")
    return feed


def _settings_of(config: BacktestConfig | Mode | str | None, settings: dict[str, Any]) -> BacktestConfig:
    """Return the config of a run: the given one or the plain defaults, with settings on top."""
    known = {entry.name for entry in dataclasses.fields(BacktestConfig)} | {"fill_timing", "fractional_shares"}
    for name in settings:
        if name not in known:
            arguments = [*_ARGUMENTS, *sorted(known)]
            raise TypeError(
                f"Engine() has no argument {name!r}{did_you_mean(name, arguments)} Arguments: {', '.join(_ARGUMENTS)}, and"
                " every setting of BacktestConfig"
            )
    if isinstance(config, (Mode, str)):
        config = config.to_config() if isinstance(config, Mode) else BacktestConfig.from_preset(config)
    if config is not None and not isinstance(config, BacktestConfig):
        raise TypeError(f"config was a {type(config).__name__}, expected a BacktestConfig, a preset name or a Mode")
    given = {name: value for name, value in settings.items() if value is not None}
    base = BacktestConfig(**_SEED) if config is None else config
    return base.replace(**given) if given else base


def _checked_strategy(strategy: object) -> Strategy | ArrayStrategy | CompiledStrategy:
    """Return the strategy. Raises TypeError for what is none."""
    if isinstance(strategy, (Strategy, ArrayStrategy, CompiledStrategy)):
        return strategy
    if strategy is None:
        raise TypeError("Engine() needs a strategy: Engine(feed, strategy)")
    if isinstance(strategy, type):
        raise TypeError(f"strategy was the class {strategy.__name__}, expected an object: {strategy.__name__}()")
    raise TypeError(f"strategy was a {type(strategy).__name__}, expected a Strategy, ArrayStrategy or CompiledStrategy object")


def run_backtest(
    prices: FrameLike,
    strategy: Strategy | ArrayStrategy | CompiledStrategy,
    signals: FrameLike | None = None,
    context: FrameLike | None = None,
    config: BacktestConfig | Mode | str | None = None,
    *,
    progress: bool = False,
    **keywords: Any,
) -> BacktestResult:
    """Build a feed and an engine and run: frames or Parquet paths in, result out.

    config: a `BacktestConfig`, the name of a preset, or None for the engine's defaults. keywords: as `Engine`.
    """
    return Engine(DataFeed(prices, signals, context), strategy, config, **keywords).run(progress=progress)


BacktestEngine = Engine
