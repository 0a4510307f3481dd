"""What an account may do, and what an order needs: the rules of docs/execution.md, "Accounts", asked by hand.

The arithmetic is that of the kernels (`ml4t_kernels.margin`), run as plain Python; it is loaded with the first question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from ml4t_backtest.config import AccountType, BuyingPowerBasis, ShortCashPolicy
from ml4t_backtest.contracts import AssetClass
from ml4t_backtest.handles import ORDER_REASONS
from ml4t_backtest.models.checks import finite, positive
from ml4t_backtest.types import OrderReason, member
from ml4t_kernels import codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.accounting.account import AccountState
    from ml4t_backtest.accounting.position import Position
    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_kernels.dtypes import Record

__all__ = ["AccountPolicy", "AccountView", "CashAccountPolicy", "MarginAccountPolicy", "UnifiedAccountPolicy", "Verdict"]


class Verdict(NamedTuple):
    """An answer about an order. need, have: what it needs and what the account has for it [money], 0 where money was not the question.

    text: the refusal as a sentence, empty when ok.
    """

    ok: bool
    text: str
    reason: OrderReason
    need: float
    have: float


class AccountView(Protocol):
    """What a policy reads of an account: `AccountState` and `LedgerAccount` have it."""

    @property
    def cash(self) -> float:
        """Cash, unsettled proceeds included [money]."""
        ...

    @property
    def unsettled_cash(self) -> float:
        """Proceeds that have not settled [money]."""
        ...

    @property
    def total_equity(self) -> float:
        """Cash and the value of all positions [money]."""
        ...

    @property
    def initial_requirement(self) -> float:
        """Initial requirement of all positions at their marks [money]."""
        ...

    @property
    def maintenance_requirement(self) -> float:
        """Maintenance requirement of all positions at their marks [money]."""
        ...

    def holding(self, asset: str) -> Record:
        """Return quantity, entry_price, current_price and basis of an asset by name, all 0 when flat."""
        ...

    def terms_of(self, asset: str) -> Record:
        """Return multiplier, margins (NaN: by rate) and rates of an asset by name."""
        ...

    def shorts_value(self) -> float:
        """Return the value of all short positions at their entry prices [money]."""
        ...


@runtime_checkable
class AccountPolicy(Protocol):
    """What a policy of your own needs. `UnifiedAccountPolicy` is the one of the engine."""

    @property
    def allow_leverage(self) -> bool:
        """Whether positions are held on margin instead of paid in full."""
        ...

    def allows_short_selling(self) -> bool:
        """Whether the account may hold short positions."""
        ...

    def terms(self, asset: str, spec: ContractSpec | None = None, multiplier: float = 1.0) -> dict[str, Any]:
        """Return what the policy says of one unit of an asset, for `AccountView.terms_of`."""
        ...

    def buying_power(self, account: AccountView) -> float:
        """Return the value of what the account can open now [money]."""
        ...

    def judge(
        self,
        account: AccountView,
        asset: str,
        quantity: float,
        price: float,
        commission: float = 0.0,
        *,
        cash_buffer_pct: float = 0.0,
        hold_unsettled: bool = True,
    ) -> Verdict:
        """Say whether the account can pay for an order."""
        ...


@dataclass(frozen=True)
class UnifiedAccountPolicy:
    """One policy for every account: no shorts and no leverage (cash), shorts (crypto), or leverage with or without shorts (margin).

    initial_margin, long_maintenance_margin, short_maintenance_margin: fractions of the notional in (0, 1], used with leverage.
    fixed_margin_schedule: asset to (initial, maintenance) money per contract, which replace the rates. short_cash_policy: what shorts
    lock without leverage (credit, credit_proceeds, lock_notional). buying_power_basis: which requirement of the positions held counts
    against buying power (initial, maintenance).

    Raises ValueError, naming the argument, for rates outside (0, 1], with leverage for a maintenance rate that is not below the
    initial one, for a schedule without 0 < maintenance <= initial, and for unknown choices.
    """

    allow_short_selling: bool = False
    allow_leverage: bool = False
    initial_margin: float = 0.5
    long_maintenance_margin: float = 0.25
    short_maintenance_margin: float = 0.30
    fixed_margin_schedule: Mapping[str, tuple[float, float]] | None = field(default=None, hash=False)
    short_cash_policy: ShortCashPolicy | str = ShortCashPolicy.CREDIT
    buying_power_basis: BuyingPowerBasis | str = BuyingPowerBasis.INITIAL

    def __post_init__(self) -> None:
        self._settle()
        for name in ("long_maintenance_margin", "short_maintenance_margin"):
            if self.allow_leverage and getattr(self, name) >= self.initial_margin:
                raise ValueError(f"{name} was {getattr(self, name)!r}, expected less than initial_margin, which is {self.initial_margin!r}")

    def _settle(self) -> None:
        """Check every field by itself, and turn names of choices into members."""
        owner = type(self).__name__
        for name in ("allow_short_selling", "allow_leverage"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{owner}: {name} was {getattr(self, name)!r}, expected True or False")
        for name in ("initial_margin", "long_maintenance_margin", "short_maintenance_margin"):
            rate = getattr(self, name)
            positive(owner, **{name: rate})
            if rate > 1.0:
                raise ValueError(f"{owner}: {name} was {rate!r}, expected a fraction in (0, 1]")
        object.__setattr__(self, "fixed_margin_schedule", _checked_schedule(owner, self.fixed_margin_schedule))
        object.__setattr__(self, "short_cash_policy", member(ShortCashPolicy, self.short_cash_policy, "short_cash_policy"))
        object.__setattr__(self, "buying_power_basis", member(BuyingPowerBasis, self.buying_power_basis, "buying_power_basis"))

    @classmethod
    def from_config(cls, config: BacktestConfig) -> UnifiedAccountPolicy:
        """Return the policy that the settings of a run describe.

        A config may put maintenance and initial rates at the same number; the policy of a run takes that over.
        """
        made = object.__new__(UnifiedAccountPolicy)
        values = {
            "allow_short_selling": bool(config.allow_short_selling),
            "allow_leverage": config.account_type in (AccountType.MARGIN, AccountType.FUTURES),
            "initial_margin": config.initial_margin,
            "long_maintenance_margin": config.long_maintenance_margin,
            "short_maintenance_margin": config.short_maintenance_margin,
            "fixed_margin_schedule": config.fixed_margin_schedule,
            "short_cash_policy": config.short_cash_policy,
            "buying_power_basis": config.buying_power_basis,
        }
        for name, value in values.items():
            object.__setattr__(made, name, value)
        made._settle()
        return made

    def allows_short_selling(self) -> bool:
        """Whether the account may hold short positions."""
        return self.allow_short_selling

    def terms(self, asset: str, spec: ContractSpec | None = None, multiplier: float = 1.0) -> dict[str, Any]:
        """Return multiplier, margins and rates of an asset, by the field names of the kernels' contract rows.

        The schedule wins over the margins of the spec. multiplier: used without a spec. `settles` is 1 for a future in an account with
        leverage: it settles variation instead of paying notional.
        """
        initial = maintenance = math.nan
        fixed = (self.fixed_margin_schedule or {}).get(asset)
        if fixed is not None:
            initial, maintenance = fixed
        elif spec is not None and spec.margin is not None:
            initial = spec.margin
            effective = spec.effective_maintenance_margin
            maintenance = initial if effective is None else effective
        return {
            "multiplier": multiplier if spec is None else spec.multiplier,
            "initial_margin": initial,
            "maintenance_margin": maintenance,
            "initial_rate": self.initial_margin,
            "long_rate": self.long_maintenance_margin,
            "short_rate": self.short_maintenance_margin,
            "settles": int(self.allow_leverage and spec is not None and spec.asset_class is AssetClass.FUTURE),
        }

    def available_cash(
        self, account: AccountView, *, cash_buffer_pct: float = 0.0, hold_unsettled: bool = True, freed: float = 0.0
    ) -> float:
        """Return the cash that may be spent: less what shorts lock, what is unsettled, and the buffer [money].

        freed: value at entry of a short that the order closes. The buffer is a fraction of what is left, when that is positive.
        """
        from ml4t_kernels.margin import available_cash

        code = 0 if self.allow_leverage else int(codes.ShortCashPolicy[ShortCashPolicy(self.short_cash_policy).name])
        params = {"short_cash_policy": code, "hold_unsettled": int(hold_unsettled), "cash_buffer": cash_buffer_pct}
        locked = account.shorts_value() - freed if code else 0.0
        return float(available_cash(params, account.cash, locked, account.unsettled_cash))

    def buying_power(self, account: AccountView, *, cash_buffer_pct: float = 0.0, hold_unsettled: bool = True) -> float:
        """Return the value of what the account can open now, never below 0 [money].

        Without leverage the available cash. With leverage `(account value - withheld cash - requirement) / initial_margin`, the
        requirement of the positions being the initial one, or that of `buying_power_basis`.
        """
        available = self.available_cash(account, cash_buffer_pct=cash_buffer_pct, hold_unsettled=hold_unsettled)
        if not self.allow_leverage:
            return max(0.0, available)
        by_maintenance = self.buying_power_basis is BuyingPowerBasis.MAINTENANCE
        requirement = account.maintenance_requirement if by_maintenance else account.initial_requirement
        return max(0.0, (account.total_equity - (account.cash - available) - requirement) / self.initial_margin)

    def judge(
        self,
        account: AccountView,
        asset: str,
        quantity: float,
        price: float,
        commission: float = 0.0,
        *,
        cash_buffer_pct: float = 0.0,
        hold_unsettled: bool = True,
    ) -> Verdict:
        """Say whether the account may take a fill and can pay for it (docs/execution.md, "Accounts").

        quantity: signed. price: after slippage. commission: money. cash_buffer_pct: fraction of free cash that is never spent.
        hold_unsettled: unsettled proceeds cannot be spent.
        """
        from ml4t_kernels import margin

        holding, terms = account.holding(asset), account.terms_of(asset)
        held = holding["quantity"]
        opening = margin.opening_quantity(held, quantity)
        code = margin.check_short(held, quantity, opening, self.allow_short_selling)
        if code:
            return Verdict(False, self._refusal(code, held, quantity, terms, 0.0, 0.0), ORDER_REASONS[code], 0.0, 0.0)
        flips = opening > 0.0 and held < 0.0 < quantity
        freed = margin.locked_value(holding, terms) if flips else 0.0
        available = self.available_cash(account, cash_buffer_pct=cash_buffer_pct, hold_unsettled=hold_unsettled, freed=freed)
        if self.allow_leverage:
            state = {name: getattr(account, name) for name in ("initial_requirement", "maintenance_requirement")}
            state["equity"] = account.total_equity
            basis = int(self.buying_power_basis is BuyingPowerBasis.MAINTENANCE)
            withheld = account.cash - available
            code, need, have = margin.check_buying_power(state, holding, terms, quantity, price, commission, withheld, basis)
        else:
            short, multiplier = self.allow_short_selling, terms["multiplier"]
            code, need, have = margin.check_cash(held, quantity, price, multiplier, commission, account.cash, available, short)
        text = self._refusal(code, held, quantity, terms, float(need), float(have)) if code else ""
        return Verdict(not code, text, ORDER_REASONS[code], float(need), float(have))

    def _refusal(self, code: int, held: float, quantity: float, terms: Record, need: float, have: float) -> str:
        where = "in this account" if self.allow_leverage else "in cash account"
        reason = ORDER_REASONS[code]
        if reason is OrderReason.REVERSAL_NOT_ALLOWED:
            return f"Position reversal not allowed {where}"
        if reason is OrderReason.SHORT_NOT_ALLOWED:
            return f"Short selling not allowed {where}"
        if reason is OrderReason.INSUFFICIENT_BUYING_POWER:
            # Requirements as the value of what they allow to open, so that they compare with `buying_power`.
            by_rate = math.isnan(terms["initial_margin"])
            rate = terms["initial_rate"] if by_rate else 1.0
            how = f"{rate:.1%}" if by_rate else f"${terms['initial_margin']:,.2f} per contract"
            return f"Insufficient buying power: need ${need / rate:,.2f}, have ${have / rate:,.2f} (IM={how})"
        amounts = f"need ${need:,.2f}, have ${have:,.2f}"
        if held * quantity < 0.0 and abs(quantity) > abs(held):
            return f"Insufficient cash for reversal: {amounts} after closing"
        if self.allow_short_selling:
            return f"Insufficient cash for {'long' if quantity > 0.0 else 'short'}: {amounts}"
        return f"Insufficient cash: {amounts}"

    # Questions about positions that no account keeps ------------------------------------------------------------------

    def calculate_buying_power(self, cash: float, positions: Mapping[str, Position]) -> float:
        """Return the buying power of cash and positions [money]; the positions carry their multipliers."""
        return self._account(cash, positions).buying_power

    def validate_new_position(
        self, asset: str, quantity: float, price: float, current_positions: Mapping[str, Position], cash: float
    ) -> tuple[bool, str]:
        """Say whether a signed quantity may be opened at a price, costs aside: (ok, refusal). A position of the asset is added to."""
        return self._ask(asset, quantity, price, self._account(cash, current_positions))

    def validate_position_change(
        self,
        asset: str,
        current_quantity: float,
        quantity_delta: float,
        price: float,
        current_positions: Mapping[str, Position],
        cash: float,
    ) -> tuple[bool, str]:
        """Say whether a position may change by a signed quantity at a price, costs aside: (ok, refusal).

        Raises ValueError when `current_quantity` is not that of `current_positions`.
        """
        account = self._account(cash, current_positions)
        held = account.get_position_quantity(asset)
        if held != current_quantity:
            raise ValueError(f"current_quantity was {current_quantity!r} for {asset!r}, but current_positions has {held!r}")
        return self._ask(asset, quantity_delta, price, account)

    def _ask(self, asset: str, quantity: float, price: float, account: AccountState) -> tuple[bool, str]:
        finite(f"order of {asset!r}", quantity=quantity, price=price)
        verdict = self.judge(account, asset, quantity, price)
        return verdict.ok, verdict.text

    def _account(self, cash: float, positions: Mapping[str, Position]) -> AccountState:
        from ml4t_backtest.accounting.account import AccountState

        finite(type(self).__name__, cash=cash)
        account = AccountState(0.0, self)
        account.cash, account.positions = cash, dict(positions)
        return account


class CashAccountPolicy(UnifiedAccountPolicy):
    """The policy of a cash account: long only, everything paid in full."""

    def __init__(self) -> None:
        super().__init__()


class MarginAccountPolicy(UnifiedAccountPolicy):
    """The policy of a margin account: leverage and shorts. Arguments and errors as `UnifiedAccountPolicy`."""

    def __init__(
        self,
        initial_margin: float = 0.5,
        long_maintenance_margin: float = 0.25,
        short_maintenance_margin: float = 0.30,
        fixed_margin_schedule: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(
            allow_short_selling=True,
            allow_leverage=True,
            initial_margin=initial_margin,
            long_maintenance_margin=long_maintenance_margin,
            short_maintenance_margin=short_maintenance_margin,
            fixed_margin_schedule=fixed_margin_schedule,
        )


def _checked_schedule(owner: str, schedule: Any) -> dict[str, tuple[float, float]] | None:
    """Return a copy of a margin schedule. Raises ValueError that names the asset."""
    if schedule is None:
        return None
    checked = {}
    for asset, pair in dict(schedule).items():
        try:
            initial, maintenance = (float(part) for part in pair)
        except (TypeError, ValueError):
            raise ValueError(f"{owner}: fixed_margin_schedule[{asset!r}] was {pair!r}, expected (initial, maintenance)") from None
        if not (0.0 < maintenance <= initial < math.inf):
            raise ValueError(f"{owner}: fixed_margin_schedule[{asset!r}] was {pair!r}, expected 0 < maintenance <= initial")
        checked[asset] = (initial, maintenance)
    return checked
