"""The account of a run under the names of `AccountState`: a view of the ledger, and a gatekeeper for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ml4t_backtest.accounting.gatekeeper import Gatekeeper
from ml4t_backtest.accounting.policy import Verdict
from ml4t_backtest.contracts import AssetClass
from ml4t_backtest.handles import PositionBook
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.types import OrderReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.accounting.policy import UnifiedAccountPolicy
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.execution.impact import MarketImpactModel
    from ml4t_backtest.handles import Position
    from ml4t_backtest.models import CommissionModel, SlippageModel
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

    store, panels: of the run. policy: `UnifiedAccountPolicy.from_config` of its settings. book: the position objects of the run, so
    that a position is the same object here and in `broker.positions`; fresh ones without. contract_specs: asset to `ContractSpec`, for
    cost models that go by asset class.
    """

    def __init__(
        self,
        store: Store,
        panels: Panels,
        policy: UnifiedAccountPolicy,
        book: PositionBook | None = None,
        contract_specs: Mapping[str, ContractSpec] | None = None,
    ) -> None:
        self._store = store
        self._panels = panels
        self._policy = policy
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
            value = np.nan if panel is None or row < 0 else float(panel[row, column])
            facts[name] = None if np.isnan(value) else value
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
    """A `Gatekeeper` for the account of a run, with the settings of that run: buffer, settlement, `skip_cash_validation`, `cash_check`.

    account: the `LedgerAccount`. The models are those of the run. A price asked about trades with the volume and quotes of the
    current bar, unless a volume is given.
    """

    account: LedgerAccount

    def __init__(
        self,
        account: LedgerAccount,
        commission_model: CommissionModel | None = None,
        slippage_model: SlippageModel | None = None,
        *,
        market_impact_model: MarketImpactModel | None = None,
    ) -> None:
        params = account._store.params[0]
        super().__init__(
            account,
            commission_model,
            slippage_model,
            market_impact_model=market_impact_model,
            cash_buffer_pct=float(params["cash_buffer"]),
            settlement_reduces_buying_power=bool(params["hold_unsettled"]),
        )

    def _ask(self, asset: str, quantity: float, price: float, commission: float) -> Verdict:
        from ml4t_kernels.margin import opening_quantity

        verdict = super()._ask(asset, quantity, price, commission)
        params = self.account._store.params[0]
        if verdict.reason in (OrderReason.SHORT_NOT_ALLOWED, OrderReason.REVERSAL_NOT_ALLOWED):
            return verdict
        if params["skip_cash_check"]:
            return Verdict(True, "", OrderReason.NONE, 0.0, 0.0)
        if params["open_cash_check"]:
            multiplier = float(self.account.terms_of(asset)["multiplier"])
            have = self.account.cash - quantity * price * multiplier - commission
            if opening_quantity(self.account.get_position_quantity(asset), quantity) > 0.0 and have < 0.0:
                text = f"Insufficient cash (open cash check): it would leave ${have:,.2f}"
                return Verdict(False, text, OrderReason.INSUFFICIENT_CASH, 0.0, have)
            return Verdict(True, "", OrderReason.NONE, 0.0, have)
        return verdict
