"""`Engine`: the loop over bars between the ledger and a strategy."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.broker import Broker
from ml4t_backtest.calls import call, step
from ml4t_backtest.config import BacktestConfig
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.lowering import CostModels, lower_contracts, lower_params
from ml4t_backtest.progress import bars_with_progress
from ml4t_backtest.result import BacktestResult
from ml4t_backtest.rows import Rows
from ml4t_backtest.spelling import accepts
from ml4t_backtest.store import Market, Store
from ml4t_backtest.strategy import ArrayStrategy, Strategy
from ml4t_backtest.types import ExecutionMode, ExecutionPrice
from ml4t_backtest.views import DataWindow, plain_bar
from ml4t_kernels.codes import OrderReason, Stage, StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.config import AccountType
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.frames import FrameLike

__all__ = ["Engine", "run_backtest"]

_DATA_KINDS = ("views", "dict")


@accepts(datafeed="feed")
class Engine:
    """Runs one strategy over one feed.

    Without a config the settings are: SAME_BAR at the close, no costs, a cash account of 100,000. With a config its
    values hold. Keyword arguments override either.

    feed: a `DataFeed`. strategy: a `Strategy` or `ArrayStrategy` object. initial_cash: money. account_type: "cash" or
    "crypto". execution_mode, execution_price: members or their names. commission_model, slippage_model: model objects.
    contract_specs: asset to `ContractSpec`. data: "views" gives bars as lazy mappings, "dict" as fresh plain dicts
    (slower, for code that changes them).

    Raises TypeError for arguments of the wrong kind, ValueError for bad settings. Warns (UserWarning) when orders trade
    at a price from before the decision.
    """

    def __init__(  # noqa: PLR0913 - the published constructor
        self,
        feed: DataFeed,
        strategy: Strategy | ArrayStrategy,
        config: BacktestConfig | None = None,
        *,
        initial_cash: float | None = None,
        account_type: AccountType | str | None = None,
        execution_mode: ExecutionMode | str | None = None,
        execution_price: ExecutionPrice | str | None = None,
        commission_model: object | None = None,
        slippage_model: object | None = None,
        contract_specs: Mapping[str, ContractSpec] | None = None,
        data: str = "views",
    ) -> None:
        if not isinstance(feed, DataFeed):
            raise TypeError(f"feed was a {type(feed).__name__}, expected a DataFeed: Engine(DataFeed(prices_df=...), strategy)")
        _check_strategy(strategy)
        if data not in _DATA_KINDS:
            raise ValueError(f"data was {data!r}, expected one of {list(_DATA_KINDS)}")
        if config is not None and not isinstance(config, BacktestConfig):
            raise TypeError(f"config was a {type(config).__name__}, expected a BacktestConfig")
        base = config or BacktestConfig(execution_mode=ExecutionMode.SAME_BAR, commission_type="none", slippage_type="none")
        overrides = {
            "initial_cash": initial_cash,
            "account_type": account_type,
            "execution_mode": execution_mode,
            "execution_price": execution_price,
        }
        self.config = base.replace(**{name: value for name, value in overrides.items() if value is not None})
        if self.config.looks_ahead:
            warnings.warn(
                "SAME_BAR with execution_price=OPEN trades at the open of the bar whose close the strategy has seen: look-ahead",
                UserWarning,
                stacklevel=3,
            )
        self.feed = feed
        self.strategy = strategy
        self._data_kind = data
        self._panels = feed.panels
        prices = self._panels.prices
        self._store = Store(
            Market(self._panels.times, prices["open"], prices["high"], prices["low"], prices["close"]),
            lower_params(self.config, self._costs(commission_model, slippage_model)),
            lower_contracts(self._panels.assets, contract_specs),
            self.config.initial_cash,
        )
        self.broker = Broker(self._store, self._panels)
        self._result: BacktestResult | None = None
        self._started = False

    def _costs(self, commission: object | None, slippage: object | None) -> CostModels:
        return CostModels(
            self.config.commission_model if commission is None else commission,
            self.config.slippage_model if slippage is None else slippage,
        )

    @classmethod
    def from_config(cls, feed: DataFeed, strategy: Strategy | ArrayStrategy, config: BacktestConfig, **keywords: Any) -> Engine:
        """Build an engine from a config; keywords as the constructor."""
        return cls(feed, strategy, config, **keywords)

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
            self.strategy.on_start(self.broker)
            if isinstance(self.strategy, ArrayStrategy):
                self._run_arrays(self.strategy, progress=progress)
            else:
                self._run_bars(self.strategy, progress=progress)
            self._finish_bar()
            self.broker._book.sync()
            self.strategy.on_end(self.broker)
        except KeyboardInterrupt:
            self._stop("interrupted")
            bars = self._store.bar + 1
            warnings.warn(f"interrupted: the result holds {bars} of {self._panels.bars} bars", UserWarning, stacklevel=2)
            return self.result
        except BaseException as error:
            self._stop("failed")
            error.add_note(f"raised in {type(self.strategy).__name__} at {self._when()}; engine.result holds the run up to there")
            raise
        self._result = BacktestResult(self._store, self._panels, self.config, "completed")
        return self._result

    def _run_bars(self, strategy: Strategy, *, progress: bool) -> None:
        """Loop over the bars for a per-asset strategy: one kernel call and one call of the strategy per bar."""
        store, panels, broker = self._store, self._panels, self.broker
        timestamps, context = panels.timestamps, panels.context
        advance, address = call("advance"), store.address
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
        advance, address = call("advance"), store.address
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

    def _finish_bar(self) -> None:
        if self._store.columns.stage[0] != Stage.CLOSED:
            # On the last bar `advance`, which is compiled already, closes it and opens nothing.
            last = self._store.bar == self._panels.bars - 1
            step("advance" if last else "close_bar", self._store)

    def _stop(self, status: str) -> None:
        """Bring the ledger to the end of the current bar: what the strategy ordered on this bar is cancelled."""
        store = self._store
        if store.columns.stage[0] not in (Stage.CLOSED, Stage.STRATEGY):
            step("advance" if store.columns.stage[0] < Stage.STRATEGY else "close_bar", store)
        if store.columns.stage[0] == Stage.STRATEGY:
            first = int(np.searchsorted(store.used_orders()["created_bar"], store.bar))
            call("cancel_since")(store.address, first, OrderReason.RUN_STOPPED.value)
        self._finish_bar()
        self.broker._book.sync()
        self._result = BacktestResult(store, self._panels, self.config, status)

    def _when(self) -> str:
        bar = self._store.bar
        return "the start" if bar < 0 else f"bar {bar} ({self._panels.timestamps[bar]})"


def _check_strategy(strategy: object) -> None:
    if isinstance(strategy, (Strategy, ArrayStrategy)):
        return
    if isinstance(strategy, type):
        raise TypeError(f"strategy was the class {strategy.__name__}, expected an object: {strategy.__name__}()")
    raise TypeError(f"strategy was a {type(strategy).__name__}, expected a Strategy or ArrayStrategy object")


def run_backtest(
    prices: FrameLike,
    strategy: Strategy | ArrayStrategy,
    signals: FrameLike | None = None,
    context: FrameLike | None = None,
    config: BacktestConfig | str | None = None,
    *,
    progress: bool = False,
    **keywords: Any,
) -> BacktestResult:
    """Build a feed and an engine and run: frames or Parquet paths in, result out.

    config: a `BacktestConfig`, the name of a preset, or None for the engine's defaults. keywords: as `Engine`.
    """
    settings = BacktestConfig.from_preset(config) if isinstance(config, str) else config
    return Engine(DataFeed(prices, signals, context), strategy, settings, **keywords).run(progress=progress)
