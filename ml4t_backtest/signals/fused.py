"""The fused kernel from Python: a batch of parameter sets over arrays of bars, on several threads, and what it does not take."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.config import MissingBarOrders
from ml4t_backtest.lowering import CostModels, Extras, HostCalls, RuleTable, lower_terms
from ml4t_backtest.memory import address_of, packed_rows
from ml4t_backtest.panels import Panels
from ml4t_backtest.risk import RuleChain, StopLoss, TakeProfit, TimeExit, TrailingStop
from ml4t_backtest.store import Market, Store
from ml4t_kernels.codes import CommissionKind, ImpactKind, ParticipationKind, SlippageKind, StepStatus
from ml4t_kernels.dtypes import bar_dtype, condition_dtype, job_dtype, outcome_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ml4t_backtest.config import BacktestConfig
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["NEVER", "Bars", "Batch", "Setting", "replay", "run_batch", "why_not"]

NEVER = 1 << 40  # bars of a time exit that never comes
_CELLS = 500_000  # bars times sets below which a task is not worth a thread: about a millisecond
_TASKS = 4  # tasks a thread, so that the last ones end together
_ROOMS = {StepStatus.GROW_ORDERS: "grow_orders", StepStatus.GROW_FILLS: "grow_fills", StepStatus.GROW_TRADES: "grow_trades"}


@dataclass(frozen=True)
class Bars:
    """Bars of several assets, each on its own: prices float64[assets, bars], NaN close without a bar, times int64[bars] ns UTC.

    The arrays may be views of bars by assets; `packed` has each asset's bars in a row.
    """

    times: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray | None = None  # unknown
    vwap: FloatArray | None = None
    events: bool = False  # the feed has dividends, splits or funding rates

    def panels(self) -> list[FloatArray]:
        """Return the distinct arrays among the prices."""
        return list({id(panel): panel for panel in (self.close, self.open, self.high, self.low)}.values())

    @cached_property
    def packed(self) -> dict[str, FloatArray]:
        """The columns as kernels take them, by name; arrays that are one stay one."""
        made: dict[int, FloatArray] = {}
        given = {name: getattr(self, name) for name in ("open", "high", "low", "close", "vwap")}
        given = {name: self.close if panel is None else panel for name, panel in given.items()}
        for panel in given.values():
            if id(panel) not in made:
                made[id(panel)] = np.ascontiguousarray(panel)
        volume = np.full(1, math.nan) if self.volume is None else np.ascontiguousarray(self.volume)
        return {**{name: made[id(panel)] for name, panel in given.items()}, "volume": volume}


@dataclass
class Batch:
    """Parameter sets as records: set_dtype[sets], the signals they choose from, and tables of actions uint8[rows, 48].

    Signals are rows of codes (uint8[rows, bars]) or conditions on indicators (float64[rows, bars]); sizes: float64[rows, bars] by bar.
    """

    sets: Records
    actions: npt.NDArray[np.uint8]
    signals: Records
    conditions: Records = field(default_factory=lambda: np.zeros(0, dtype=condition_dtype))
    indicators: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    codes: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint8))
    sizes: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    def pack(self) -> None:
        """Put each row of signals and sizes into one piece, as kernels take them."""
        self.codes, self.sizes = packed_rows(self.codes), np.ascontiguousarray(self.sizes)

    @property
    def has_rules(self) -> bool:
        """Whether any set has a stop, a trail, a target or a time exit."""
        sets = self.sets
        levels = [np.isfinite(sets[name]).any() for name in ("stop_pct", "trail_pct", "target_pct")]
        return bool(any(levels) or (sets["max_bars"] < NEVER).any())


@dataclass(frozen=True)
class Setting:
    """The account of a batch: settings, and cost models that win over the config's."""

    config: BacktestConfig
    commission: Any = None
    slippage: Any = None


def why_not(setting: Setting, bars: Bars) -> str | None:
    """Return why the fused kernel does not take a run, None when it does."""
    config = setting.config
    models = (config.commission_model, config.slippage_model, setting.commission, setting.slippage)
    reasons = {
        "dividends, splits or funding rates": bars.events,
        "cost models by asset": any(hasattr(model, "model_for") for model in models),
        "a leveraged account": config.allow_leverage,
        "close_at_end": config.close_at_end,
        "settlement_delay": config.settlement_delay,
        "interest or borrow fees": any((config.cash_interest_rate, config.margin_interest_rate, config.borrow_rate)),
        "immediate_fill": config.immediate_fill,
        "checks at submission": config.next_bar_submission_precheck or config.buying_power_reservation,
        "entry_order_priority": config.entry_order_priority != "submission",
        "missing_bar_orders": config.missing_bar_orders is MissingBarOrders.LAST_BAR,
        "trade_without_volume": not config.trade_without_volume,
        "enforce_sessions": config.enforce_sessions,
        "execution_price 'vwap' without a column": config.price_of_market_orders.value == "vwap" and bars.vwap is None,
        "prices that are not positive": any((panel <= 0.0).any() for panel in bars.panels()),
    }
    reason = next((reason for reason, applies in reasons.items() if applies), None)
    return reason or _odd_costs(setting)


def _odd_costs(setting: Setting) -> str | None:
    try:
        costs = _terms(setting).costs
    except ValueError:  # a model that reads columns of the feed; whether it can, the engine says
        return "cost models that read columns of the feed"
    if (costs["commission_kind"] == CommissionKind.FUNCTION).any() or (costs["slippage_kind"] >= SlippageKind.QUOTED_SPREAD).any():
        return "cost models that are functions or need quotes"
    odd = (costs["impact_kind"] != ImpactKind.NONE) | (costs["participation_kind"] != ParticipationKind.NONE)
    return "market impact or volume limits" if odd.any() else None


def _terms(setting: Setting) -> Any:
    panels = Panels(np.zeros(0, dtype=np.int64), [], ("asset",), {}, np.zeros((0, 1), dtype=np.uint8))
    return lower_terms(setting.config, panels, CostModels(setting.commission, setting.slippage), Extras(), HostCalls())[0]


class _Account:
    """One account with its job record: what a thread works with. Holds every array whose address it wrote."""

    def __init__(self, setting: Setting, bars: Bars, batch: Batch, outcomes: Records, *, keeps: bool = False) -> None:
        terms = _terms(setting)
        count = bars.close.shape[1]
        none, empty = np.zeros(0, dtype=np.int64), np.zeros((0, 1))
        market = Market(none, none, none, empty, empty, empty, empty, None if bars.volume is None else empty)
        self.store = Store(market, terms, setting.config.initial_cash)
        self.store.bars = np.zeros(count, dtype=bar_dtype)  # memory that only bars with orders touch; sessions are nothing to signals
        if keeps:
            self.store.bars["time"] = bars.times
            self.store.market.times = bars.times
        self.store._write_addresses()
        if batch.has_rules:
            table = RuleTable(_NO_PANELS, HostCalls(), terms.tiers, str(getattr(setting.config.trail_hwm_source, "value", "")))
            table.add(RuleChain([StopLoss(0.5), TrailingStop(0.5), TakeProfit(0.5), TimeExit(1)]))
            self.store.set_rules(*table.records())
            self.store.state["rule_set"] = 1
        self.scratch, self.events = np.zeros(count, dtype=np.uint8), np.zeros(count, dtype=np.int32)
        self.job = np.zeros(1, dtype=job_dtype)
        self._kept = [bars, batch, outcomes]
        job = self.job[0]
        job["keeps"] = keeps
        job["state_address"], job["bars"] = self.store.address, count
        job["set_count"], job["signal_count"], job["condition_count"] = len(batch.sets), len(batch.signals), len(batch.conditions)
        arrays: dict[str, Any] = {f"{name}s": panel for name, panel in bars.packed.items()}
        arrays |= {"outcomes": outcomes, "scratch": self.scratch, "events": self.events}
        arrays |= {name: getattr(batch, name) for name in ("sets", "signals", "conditions", "indicators", "codes", "sizes", "actions")}
        for name, array in arrays.items():
            job[f"{name}_address"] = address_of(array)
        job["advance_address"] = _address("advance_specially" if terms.params["special"][0] else "advance")
        job["rules_address"] = _address("run_rules") if batch.has_rules else 0
        self._run = _entry()

    def run(self, first: int, last: int) -> None:
        """Run the sets from `first` to before `last`."""
        address = address_of(self.job)
        while first < last:
            first = int(self._run(address, first, last))
            status = int(self.job["status"][0])
            if status:
                getattr(self.store, _ROOMS[StepStatus(status)])()


_NO_PANELS = Panels(np.zeros(0, dtype=np.int64), [], ("asset",), {}, np.zeros((0, 1), dtype=np.uint8))


@cache
def _entry() -> Callable[[int, int, int], int]:
    """Return the compiled entry point, compiling or loading it on first use."""
    from ml4t_kernels import signals_entry
    from ml4t_kernels._jit import bind

    return bind(signals_entry.run_signals, "int64(int64,int64,int64)")


@cache
def _address(name: str) -> int:
    """Return the address of an entry point of the ledger, compiling or loading it on first use."""
    from ml4t_kernels import entry
    from ml4t_kernels._jit import address_of_entry

    return address_of_entry(getattr(entry, name), "int64(int64)")


def run_batch(setting: Setting, bars: Bars, batch: Batch, threads: int | None = None) -> Records:
    """Run all sets and return what they leave behind, outcome_dtype[sets]; memory beside it is that of one account a thread.

    threads: at most so many; None for one a processor. Sets of the same signals should stand together.
    """
    count = len(batch.sets)
    outcomes = np.zeros(count, dtype=outcome_dtype)
    batch.pack()
    cells = count * bars.close.shape[1]
    workers = max(1, min(threads or _processors(), cells // _CELLS, count))
    accounts = [_Account(setting, bars, batch, outcomes) for _ in range(workers)]
    if workers == 1:
        accounts[0].run(0, count)
        return outcomes
    tasks = max(workers, min(workers * _TASKS, cells // _CELLS, count))
    edges = np.linspace(0, count, tasks + 1).astype(int).tolist()
    free = list(accounts)

    def work(place: int) -> None:
        account = free.pop()
        try:
            account.run(edges[place], edges[place + 1])
        finally:
            free.append(account)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(tasks)))
    return outcomes


def replay(setting: Setting, bars: Bars, batch: Batch, number: int) -> Store:
    """Run one set again with all its records: orders, fills, trades, and account value and cash of every bar."""
    batch.pack()
    account = _Account(setting, bars, batch, np.zeros(len(batch.sets), dtype=outcome_dtype), keeps=True)
    account.run(number, number + 1)
    return account.store


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
