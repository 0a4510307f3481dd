"""The account of a run under the names of `AccountState`: a view of the ledger, and a gatekeeper for it."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, NoReturn

from ml4t_backtest.accounting.gatekeeper import Gatekeeper
from ml4t_backtest.accounting.policy import UnifiedAccountPolicy, Verdict
from ml4t_backtest.config import BacktestConfig
from ml4t_backtest.contracts import AssetClass
from ml4t_backtest.handles import PositionBook
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.models.checks import finite
from ml4t_backtest.types import OrderReason, OrderType
from ml4t_kernels import codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.accounting.gatekeeper import OrderLike
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.handles import Position
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store
    from ml4t_kernels.dtypes import Record

__all__ = ["LedgerAccount", "LedgerGatekeeper"]

# What an account by hand is told and the ledger does by itself.
_OWN_WORK = {
    "mark_to_market": "positions are marked by the run",
    "apply_fill": "fills come from orders: broker.submit_order",
    "add_settlement_hold": "settlement_delay in the config holds proceeds",
    "release_settled": "proceeds are released when their bar comes",
}


class LedgerAccount:
    """The account of a run: every attribute is read from the ledger at the moment it is asked for, none can be written.

    store, panels: of the run. policy: the settings of the run, or the policy made of them. book: the position objects of the run, so
    that a position is the same object here and in `broker.positions`; fresh ones without. contract_specs: asset to `ContractSpec`, for
    cost models that go by asset class.
    """

    def __init__(
        self,
        store: Store,
        panels: Panels,
        policy: UnifiedAccountPolicy | BacktestConfig,
        book: PositionBook | None = None,
        contract_specs: Mapping[str, ContractSpec] | None = None,
    ) -> None:
        self._store = store
        self._panels = panels
        self._policy = UnifiedAccountPolicy.from_config(policy) if isinstance(policy, BacktestConfig) else policy
        self._book = PositionBook(store, panels) if book is None else book
        self._specs = dict(contract_specs or {})

    @property
    def policy(self) -> UnifiedAccountPolicy:
        """What the account may do."""
        return self._policy

    @property
    def cash(self) -> float:
        """Cash, unsettled proceeds included [money]."""
        return float(self._store.columns.cash[0])

    @property
    def unsettled_cash(self) -> float:
        """Proceeds that have not settled: part of the cash [money]."""
        return float(self._store.columns.unsettled[0])

    @property
    def positions(self) -> Mapping[str, Position]:
        """Open positions by asset, in position order: a copy of the dict with live positions."""
        self._book.sync()
        return dict(self._book.open)

    @property
    def total_equity(self) -> float:
        """Account value at the last marking [money]."""
        return float(self._store.columns.equity[0])

    @property
    def initial_requirement(self) -> float:
        """Initial requirement of all positions, 0 without leverage [money]."""
        return float(self._store.columns.initial_requirement[0])

    @property
    def maintenance_requirement(self) -> float:
        """Maintenance requirement of all positions, 0 without leverage [money]."""
        return float(self._store.columns.maintenance_requirement[0])

    @property
    def is_margin_call(self) -> bool:
        """Whether the account value is below the maintenance requirement; never without leverage."""
        return self._policy.allow_leverage and self.total_equity < self.maintenance_requirement

    @property
    def buying_power(self) -> float:
        """Value of what can be opened now, costs aside (`UnifiedAccountPolicy.buying_power`, with the run's cash buffer) [money]."""
        params = self._store.params[0]
        buffer, hold = float(params["cash_buffer"]), bool(params["hold_unsettled"])
        return self._policy.buying_power(self, cash_buffer_pct=buffer, hold_unsettled=hold)

    def get_position(self, asset: str) -> Position | None:
        """Return the position of an asset, None when flat. Raises ValueError for an asset that the feed does not have."""
        self._column(asset)
        self._book.sync()
        return self._book.open.get(asset)

    def get_position_quantity(self, asset: str) -> float:
        """Return the signed quantity of an asset, 0.0 when flat. Raises ValueError for an asset that the feed does not have."""
        return float(self._store.position_columns.quantity[self._column(asset)])

    def holding(self, asset: str) -> Record:
        """Return the position row of an asset (position_dtype): a view, for reading."""
        return self._store.positions[self._column(asset)]

    def terms_of(self, asset: str) -> Record:
        """Return the contract row of an asset (contract_dtype): a view, for reading."""
        return self._store.contracts[self._column(asset)]

    def facts_of(self, asset: str) -> dict[str, Any]:
        """Return what cost models may ask for beside quantity and price, as of the current bar.

        asset_class, tick_size, volume, and bid and ask where the feed has them; None for what is unknown.
        """
        store, column = self._store, self._column(asset)
        spec, row, market = self._specs.get(asset), int(store.columns.row[0]), store.market
        facts: dict[str, Any] = {"asset_class": AssetClass.EQUITY if spec is None else spec.asset_class}
        facts["tick_size"] = None if spec is None else spec.tick_size
        for name, panel in (("volume", market.volume), ("bid", market.bid), ("ask", market.ask)):
            value = math.nan if panel is None or row < 0 else float(panel[row, column])
            facts[name] = None if math.isnan(value) else value
        return facts

    def shorts_value(self) -> float:
        """Return the value of all short positions at their entry prices, in position order [money]."""
        from ml4t_kernels.margin import locked_value

        value = 0.0
        for column in self._store.open_assets().tolist():
            value += float(locked_value(self._store.positions[column], self._store.contracts[column]))
        return value

    def _column(self, asset: str) -> int:
        column = self._panels.column_of.get(asset)
        if column is None:
            known = self._panels.assets
            raise ValueError(f"unknown asset {asset!r}; the feed has {shortened(known)}{did_you_mean(str(asset), known)}")
        return column

    def __getattr__(self, name: str) -> NoReturn:
        if name in _OWN_WORK:
            raise AttributeError(f"the account of a run has no {name}: {_OWN_WORK[name]}. AccountState keeps an account by hand")
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}{did_you_mean(name, dir(type(self)))}")

    def __repr__(self) -> str:
        return f"<LedgerAccount cash {self.cash:,.2f}, value {self.total_equity:,.2f}, {len(self.positions)} positions>"


class LedgerGatekeeper(Gatekeeper):
    """A `Gatekeeper` for the account of a run: with its costs, its buffer, and its checks of cash.

    account: the `LedgerAccount`. Costs are those of the ledger, as a whole order of a taker pays them, with the volume and quotes of
    the current bar unless a volume is given. An exception of a cost model in Python is raised as it is.
    """

    account: LedgerAccount

    def __init__(self, account: LedgerAccount) -> None:
        params = account._store.params[0]
        buffer, hold = float(params["cash_buffer"]), bool(params["hold_unsettled"])
        super().__init__(account, cash_buffer_pct=buffer, settlement_reduces_buying_power=hold)

    def costs(self, order: OrderLike, price: float, volume: float | None = None) -> tuple[float, float]:
        """Return the price after impact and slippage, and the commission [money], at which an order would trade now.

        Arguments and errors as `validate_order`. A limit price bounds the price; slippage alone makes no price negative.
        """
        from ml4t_kernels.slippage import fill_price

        quantity, column = self.signed_quantity(order), self.account._column(order.asset)
        finite(f"order of {order.asset!r}", price=price)
        facts = self.account.facts_of(order.asset)
        known = facts["volume"] if volume is None else volume
        moved, slippage = self._moved(column, quantity, price, math.nan if known is None else known)
        limit = getattr(order, "limit_price", None)
        in_range = bool(self.account._store.params[0]["slippage_in_range"])
        if in_range and getattr(order, "order_type", None) is OrderType.STOP_LIMIT and price == getattr(order, "stop_price", None):
            limit = None
        if in_range:
            free = float(fill_price(price, moved, slippage, quantity, math.nan, codes.BeyondLimit.LIMIT))
            moved, slippage = self._in_range(column, free, price, quantity, bounded=limit is not None), 0.0
        # An order that would wait for a better price would then trade at its limit at most.
        beyond = codes.BeyondLimit(int(self.account._store.params["beyond_limit"][0]))
        beyond = codes.BeyondLimit.LIMIT if beyond is codes.BeyondLimit.WAIT else beyond
        paid = float(fill_price(price, moved, slippage, quantity, math.nan if limit is None else limit, beyond))
        commission = self._commission(column, quantity, paid)
        finite(f"costs of an order of {order.asset!r}", price=paid, commission=commission)
        return paid, commission

    def _in_range(self, column: int, paid: float, price: float, quantity: float, *, bounded: bool) -> float:
        """Return a price that slippage has not moved out of the range of the bar; of a sale bounded by a limit that is enough."""
        market, row = self.account._store.market, int(self.account._store.columns.row[0])
        if row < 0 or math.isnan(market.close[row, column]):
            return paid
        if quantity > 0.0:
            return min(paid, max(float(market.high[row, column]), price))
        return paid if bounded else max(paid, min(float(market.low[row, column]), price))

    def _moved(self, column: int, quantity: float, price: float, volume: float) -> tuple[float, float]:
        """Return the price after impact, and the slippage per unit from there."""
        from ml4t_kernels.impact import impact
        from ml4t_kernels.slippage import per_unit

        store, cost = self.account._store, self._cost(column)
        size = abs(quantity)
        if cost["impact_kind"] == codes.ImpactKind.FUNCTION:
            shift = abs(self._called(cost["impact_function"], 1 if quantity > 0.0 else -1, size, price, volume))
        else:
            shift = float(impact(cost, quantity, price, volume))
        moved = price + shift if quantity > 0.0 else price - shift
        if cost["slippage_kind"] == codes.SlippageKind.FUNCTION:
            return moved, self._called(cost["slippage_function"], column, size, moved, volume)
        bid, ask, row = store.market.bid, store.market.ask, int(store.columns.row[0])
        spread = float(ask[row, column] - bid[row, column]) if bid is not None and ask is not None and row >= 0 else 0.0
        return moved, float(per_unit(cost, column, quantity, moved, volume, spread))

    def _commission(self, column: int, quantity: float, price: float) -> float:
        from ml4t_kernels.commission import commission, raw_commission

        store, cost = self.account._store, self._cost(column)
        multiplier = float(store.contracts[column]["multiplier"])
        if cost["commission_kind"] == codes.CommissionKind.FUNCTION:
            raw = self._called(cost["commission_function"], column, abs(quantity), price, multiplier)
        else:
            raw = raw_commission(cost, store.terms.tiers, column, quantity, price, multiplier, False)
        return float(commission(cost, {"raw_commission": 0.0, "commission": 0.0}, raw))

    def _cost(self, column: int) -> Record:
        store = self.account._store
        return store.terms.costs[store.contracts[column]["costs"]]

    def _called(self, address: int, number: int, *values: float) -> float:
        """Call a function of the user, and raise what it raised: it answers NaN then."""
        from ml4t_kernels._jit import COMPILED, call_function

        if COMPILED:
            kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, ctypes.c_double, ctypes.c_double, ctypes.c_double)
            answer = float(kind(int(address))(number, *values))
        else:
            answer = call_function(address, number, *values)
        failure = self.account._store.terms.failure
        if math.isnan(answer) and failure is not None:
            raise failure()
        return answer

    def _ask(self, asset: str, quantity: float, price: float, commission: float) -> Verdict:
        from ml4t_kernels.margin import free_margin, opening_quantity

        verdict = super()._ask(asset, quantity, price, commission)
        params = self.account._store.params[0]
        if verdict.reason in (OrderReason.SHORT_NOT_ALLOWED, OrderReason.REVERSAL_NOT_ALLOWED):
            return verdict
        if params["skip_cash_check"]:
            return Verdict(True, "", OrderReason.NONE, 0.0, 0.0)
        if params["open_cash_check"]:
            terms = self.account.terms_of(asset)
            have = self.account.cash - quantity * price * float(terms["multiplier"]) - commission
            if params["leverage"]:
                have = float(free_margin(self.account._store.state[0], self.account.holding(asset), terms, quantity, price, commission))
            if opening_quantity(self.account.get_position_quantity(asset), quantity) > 0.0 and have < 0.0:
                text = f"Insufficient cash (open cash check): it would leave ${have:,.2f}"
                return Verdict(False, text, OrderReason.INSUFFICIENT_CASH, 0.0, have)
            return Verdict(True, "", OrderReason.NONE, 0.0, have)
        return verdict
