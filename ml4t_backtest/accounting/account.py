"""`AccountState`: cash and positions kept by hand, by the arithmetic of docs/execution.md ("The fill", "Positions and trades")."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ml4t_backtest.accounting.policy import AccountPolicy
from ml4t_backtest.accounting.position import Position
from ml4t_backtest.contracts import AssetClass, ContractSpec
from ml4t_backtest.models.checks import finite, not_negative, positive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["AccountState"]


class AccountState:
    """An account without an engine: fills go in, cash and positions come out. It checks no permission: `Gatekeeper` does.

    initial_cash: money, >= 0. policy: what the account may do. contract_specs: asset to `ContractSpec`; assets without one have
    multiplier 1. `cash` and `positions` (asset to `Position`, in order of their opening) are plain attributes and may be written.

    Raises ValueError for cash that is not a finite number >= 0, TypeError for what is no policy and no `ContractSpec`.
    """

    def __init__(self, initial_cash: float, policy: AccountPolicy, contract_specs: Mapping[str, ContractSpec] | None = None) -> None:
        not_negative("AccountState", initial_cash=initial_cash)
        if not isinstance(policy, AccountPolicy) or isinstance(policy, type):
            raise TypeError(f"AccountState: policy was {policy!r}, expected an AccountPolicy such as CashAccountPolicy()")
        for asset, spec in (contract_specs or {}).items():
            if not isinstance(spec, ContractSpec):
                raise TypeError(f"AccountState: contract_specs[{asset!r}] was a {type(spec).__name__}, expected a ContractSpec")
        self.initial_cash = float(initial_cash)
        self.cash = float(initial_cash)
        self.positions: dict[str, Position] = {}
        self.policy = policy
        self._specs = dict(contract_specs or {})
        self._holds: list[tuple[int, float]] = []

    # What the account is worth ------------------------------------------------------------------------------------------

    @property
    def total_equity(self) -> float:
        """Cash and the value of all positions at their last marks, in position order [money]."""
        equity = self.cash
        for position in self.positions.values():
            equity += position.account_value
        return equity

    @property
    def buying_power(self) -> float:
        """Value of what can be opened now, unsettled cash and costs aside (`UnifiedAccountPolicy.buying_power`) [money]."""
        return self.policy.buying_power(self)

    @property
    def initial_requirement(self) -> float:
        """Initial requirement of all positions at their marks, 0 without leverage [money]."""
        from ml4t_kernels.margin import initial_requirement

        return self._required(initial_requirement)

    @property
    def maintenance_requirement(self) -> float:
        """Maintenance requirement of all positions at their marks, 0 without leverage [money]."""
        from ml4t_kernels.margin import maintenance_requirement

        return self._required(maintenance_requirement)

    @property
    def is_margin_call(self) -> bool:
        """Whether the account value is below the maintenance requirement; never without leverage."""
        return self.policy.allow_leverage and self.total_equity < self.maintenance_requirement

    def mark_to_market(self, prices: Mapping[str, float | None]) -> None:
        """Set the current price of positions. prices: by asset; None and NaN leave the mark, assets that are not held count for nothing.

        Raises ValueError for an infinite price, before any mark is set.
        """
        known = {asset: price for asset in self.positions if (price := prices.get(asset)) is not None and not math.isnan(price)}
        for asset, price in known.items():
            finite(f"mark_to_market({asset!r})", price=price)
        for asset, price in known.items():
            self.positions[asset].current_price = float(price)

    # Positions ----------------------------------------------------------------------------------------------------------

    def get_position(self, asset: str) -> Position | None:
        """Return the position of an asset, None when flat."""
        return self.positions.get(asset)

    def get_position_quantity(self, asset: str) -> float:
        """Return the signed quantity of an asset, 0.0 when flat."""
        position = self.positions.get(asset)
        return 0.0 if position is None else position.quantity

    def apply_fill(
        self, asset: str, quantity_delta: float, fill_price: float, timestamp: datetime | None = None, *, commission: float = 0.0
    ) -> float:
        """Move cash and position by a fill. Returns the change of cash [money]: without commission, unless one is given.

        quantity_delta: signed, not 0. fill_price: after slippage. timestamp: becomes the entry time of a position that it opens.
        commission: money, paid with the fill and kept as the entry commission of what it opens. A purchase in an account without
        leverage that misses the cash by rounding only (1e-10 of its value) leaves 0, not a negative trace.

        Raises ValueError for numbers that are not finite and a quantity of 0, before anything moves.
        """
        from ml4t_kernels.margin import opening_quantity

        finite(f"fill of {asset!r}", quantity_delta=quantity_delta, fill_price=fill_price, commission=commission)
        if quantity_delta == 0.0:
            raise ValueError(f"fill of {asset!r}: quantity_delta was 0, expected a signed number")
        terms, position = self.terms_of(asset), self.positions.get(asset)
        held = 0.0 if position is None else position.quantity
        opening = opening_quantity(held, quantity_delta)
        if terms["settles"]:
            moved = self._variation(position, quantity_delta, opening, fill_price, terms["multiplier"])
        else:
            moved = -(quantity_delta * fill_price * terms["multiplier"])
        change = moved - commission
        cash = self.cash + moved - commission
        if self._is_rounding(cash, opening * fill_price * terms["multiplier"]) and quantity_delta > 0.0:
            change, cash = -self.cash, 0.0
        self.cash = cash
        self._change(asset, quantity_delta, opening, (fill_price, commission, timestamp), terms)
        return change

    def _is_rounding(self, cash: float, opened: float) -> bool:
        from ml4t_kernels.margin import CASH_TOLERANCE

        return not self.policy.allow_leverage and 0.0 < -cash <= 2.0 * CASH_TOLERANCE * opened

    @staticmethod
    def _variation(position: Position | None, quantity: float, opening: float, price: float, multiplier: float) -> float:
        """Return what a future's fill pays for the part that it closes [money]."""
        if position is None or position.quantity * quantity > 0.0:
            return 0.0
        whole = opening > 0.0 or _is_dust(position.quantity, position.quantity + quantity)
        closed = position.quantity if whole else -quantity
        return closed * (price - position.basis) * multiplier

    def _change(
        self, asset: str, quantity: float, opening: float, fill: tuple[float, float, datetime | None], terms: dict[str, Any]
    ) -> None:
        """Open, add to, reduce, close or flip a position. fill: price, commission, time."""
        price, commission, when = fill
        position = self.positions.get(asset)
        held = 0.0 if position is None else position.quantity
        new = held + quantity
        if position is None or held * quantity < 0.0 < opening:
            # The commission of a flip belongs to the closed and the opened part by their sizes, as in the ledger.
            share = commission if position is None else commission - commission * (abs(held) / abs(quantity))
            basis = price if terms["settles"] else 0.0
            self.positions[asset] = Position(asset, new, price, when, multiplier=terms["multiplier"], entry_commission=share, basis=basis)
            return
        if _is_dust(held, new):
            del self.positions[asset]
            return
        if held * quantity > 0.0:
            position.entry_price = (held * position.entry_price + quantity * price) / new
            if terms["settles"]:
                position.basis = (held * position.basis + quantity * price) / new
            position.entry_commission += commission
        else:
            position.entry_commission -= position.entry_commission * (abs(quantity) / abs(held))
        position.quantity = new
        position.current_price = price

    # Settlement ---------------------------------------------------------------------------------------------------------

    @property
    def unsettled_cash(self) -> float:
        """Held proceeds [money]: part of the cash and of the account value that cannot be spent yet."""
        return math.fsum(amount for _, amount in self._holds)

    def add_settlement_hold(self, amount: float, release_bar: int) -> None:
        """Hold proceeds until a bar. amount: money, > 0. release_bar: number of the bar on which they can be spent again.

        With a settlement delay of N, proceeds of bar b are held until bar b + N.
        """
        positive("add_settlement_hold", amount=amount)
        if isinstance(release_bar, bool) or not isinstance(release_bar, int):
            raise ValueError(f"add_settlement_hold(release_bar={release_bar!r}): expected the number of a bar")
        self._holds.append((release_bar, float(amount)))

    def release_settled(self, bar: int) -> float:
        """Release what settles on a bar or before. bar: number of the current bar. Returns the money released."""
        released = math.fsum(amount for due, amount in self._holds if due <= bar)
        self._holds = [hold for hold in self._holds if hold[0] > bar]
        return released

    # For policies and the gatekeeper ------------------------------------------------------------------------------------

    def holding(self, asset: str) -> dict[str, float]:
        """Return quantity, entry_price, current_price, basis and multiplier of an asset by name, all 0 when flat."""
        names = ("quantity", "entry_price", "current_price", "basis", "multiplier")
        position = self.positions.get(asset)
        return {name: 0.0 if position is None else float(getattr(position, name)) for name in names}

    def terms_of(self, asset: str) -> dict[str, Any]:
        """Return what the policy says of one unit of an asset: multiplier, margins and rates by name."""
        position = self.positions.get(asset)
        return self.policy.terms(asset, self._specs.get(asset), 1.0 if position is None else position.multiplier)

    def facts_of(self, asset: str) -> dict[str, Any]:
        """Return what cost models may ask for beside quantity and price: asset_class and tick_size."""
        spec = self._specs.get(asset)
        if spec is None:
            return {"asset_class": AssetClass.EQUITY, "tick_size": None}
        return {"asset_class": spec.asset_class, "tick_size": spec.tick_size}

    def shorts_value(self) -> float:
        """Return the value of all short positions at their entry prices, in position order [money]."""
        value = 0.0
        for position in self.positions.values():
            if position.quantity < 0.0:
                value += -position.quantity * position.entry_price * position.multiplier
        return value

    def _required(self, formula: Any) -> float:
        if not self.policy.allow_leverage:
            return 0.0
        required = 0.0
        for asset, position in self.positions.items():
            required += formula(self.terms_of(asset), position.quantity, position.current_price)
        return required


def _is_dust(held: float, new: float) -> bool:
    """Tell whether what a fill leaves is rounding (docs/execution.md, "Positions and trades")."""
    from ml4t_kernels.margin import DUST

    return abs(new) <= DUST * abs(held)
