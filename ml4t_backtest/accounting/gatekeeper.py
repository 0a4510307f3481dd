"""`Gatekeeper`: may an order trade, costs included? Asked by hand, of an account kept by hand or of the ledger's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from ml4t_backtest.accounting.policy import AccountPolicy, AccountView, Verdict
from ml4t_backtest.models.checks import call_with_known, finite, not_negative
from ml4t_backtest.types import OrderReason, OrderSide, member

if TYPE_CHECKING:
    from ml4t_backtest.execution.impact import MarketImpactModel
    from ml4t_backtest.models import CommissionModel, SlippageModel

__all__ = ["Gatekeeper", "GuardedAccount", "OrderLike"]

_NOTHING_LEFT = "Nothing left to reduce: the position was closed before"


class OrderLike(Protocol):
    """What the gatekeeper reads of an order; `filled_quantity`, `limit_price` and `reduce_only` are read where an order has them."""

    @property
    def asset(self) -> str:
        """Name of the asset."""
        ...

    @property
    def side(self) -> Any:
        """Buy or sell, None when the quantity is signed."""
        ...

    @property
    def quantity(self) -> float:
        """Ordered quantity; its magnitude counts when there is a side."""
        ...


class GuardedAccount(AccountView, Protocol):
    """What the gatekeeper reads of an account."""

    @property
    def policy(self) -> AccountPolicy:
        """What the account may do."""
        ...

    def facts_of(self, asset: str) -> dict[str, Any]:
        """Return what cost models may ask for beside quantity and price."""
        ...


class Gatekeeper:
    """Judges orders against an account, with the price and the commission at which they would trade.

    account: an `AccountState` or `LedgerAccount`. commission_model, slippage_model, market_impact_model: what the order will pay; None
    for nothing. An `AccountPolicy` in place of the commission model is asked instead of the account's own. cash_buffer_pct: fraction of
    free cash that is never spent. settlement_reduces_buying_power: unsettled proceeds cannot be spent.

    It asks about permissions and money only: lots, order limits, portfolio limits and volume are asked when an order trades. Raises
    TypeError for a model without `calculate`, ValueError for a buffer outside [0, 1].
    """

    def __init__(
        self,
        account: GuardedAccount,
        commission_model: CommissionModel | AccountPolicy | None = None,
        slippage_model: SlippageModel | None = None,
        *,
        market_impact_model: MarketImpactModel | None = None,
        cash_buffer_pct: float = 0.0,
        settlement_reduces_buying_power: bool = True,
    ) -> None:
        self.account = account
        self.policy = account.policy
        if isinstance(commission_model, AccountPolicy):
            self.policy, commission_model = commission_model, None
        models = {"commission_model": commission_model, "slippage_model": slippage_model, "market_impact_model": market_impact_model}
        for name, model in models.items():
            if model is not None and not callable(getattr(model, "calculate", None)):
                raise TypeError(f"Gatekeeper: {name} was {model!r}, which has no method calculate(...)")
        not_negative("Gatekeeper", cash_buffer_pct=cash_buffer_pct)
        if cash_buffer_pct > 1.0:
            raise ValueError(f"Gatekeeper(cash_buffer_pct={cash_buffer_pct!r}): expected a fraction from 0 to 1")
        self.commission_model: CommissionModel | None = commission_model
        self.slippage_model = slippage_model
        self.market_impact_model = market_impact_model
        self.cash_buffer_pct = cash_buffer_pct
        self.settlement_reduces_buying_power = settlement_reduces_buying_power

    def validate_order(self, order: OrderLike, price: float, volume: float | None = None) -> tuple[bool, str]:
        """Say whether an order may trade from a base price now: (ok, refusal); the refusal is "" when ok.

        price: before impact and slippage, which the models add. volume: of the bar, for models that ask; None or NaN is unknown. What
        is left of the order counts; a reduce-only order is cut to the position. Raises ValueError for a price or quantity that is not
        finite (a NaN price never trades).
        """
        verdict = self.judge(order, price, volume)
        return verdict.ok, verdict.text

    def judge(self, order: OrderLike, price: float, volume: float | None = None) -> Verdict:
        """As `validate_order`, with the numbers behind the answer."""
        quantity = self.signed_quantity(order)
        if quantity == 0.0:
            return Verdict(False, _NOTHING_LEFT, OrderReason.POSITION_CLOSED, 0.0, 0.0)
        fill_price, commission = self.costs(order, price, volume)
        return self._ask(order.asset, quantity, fill_price, commission)

    def costs(self, order: OrderLike, price: float, volume: float | None = None) -> tuple[float, float]:
        """Return the price after impact and slippage, and the commission [money], at which an order would trade now.

        Arguments and errors as `validate_order`. A limit price bounds the price; slippage alone makes no price negative.
        """
        from ml4t_kernels.codes import BeyondLimit
        from ml4t_kernels.slippage import fill_price

        asset, quantity = order.asset, self.signed_quantity(order)
        finite(f"order of {asset!r}", price=price)
        multiplier = float(self.account.terms_of(asset)["multiplier"])
        facts = self.account.facts_of(asset)
        traded = facts.pop("volume", None)
        volume = traded if volume is None else volume
        moved, slippage, commission = price, 0.0, 0.0
        if self.market_impact_model is not None:
            moved = price + self.market_impact_model.calculate(abs(quantity), price, volume, quantity > 0.0)
        if self.slippage_model is not None:
            slippage = call_with_known(self.slippage_model.calculate, asset, abs(quantity), moved, volume, **facts)
        limit = getattr(order, "limit_price", None)
        paid = float(fill_price(price, moved, slippage, quantity, math.nan if limit is None else limit, BeyondLimit.LIMIT))
        if self.commission_model is not None:
            commission = call_with_known(self.commission_model.calculate, asset, abs(quantity), paid, multiplier=multiplier, **facts)
        finite(f"costs of an order of {asset!r}", price=paid, commission=commission)
        return paid, float(commission)

    def signed_quantity(self, order: OrderLike) -> float:
        """Return what is left of an order, negative for a sale; 0.0 when nothing is, or when a reduce-only order has nothing to reduce.

        Raises ValueError for a quantity that is not finite, or that is 0.
        """
        finite(f"order of {order.asset!r}", quantity=order.quantity)
        if order.quantity == 0.0:
            raise ValueError(f"order of {order.asset!r}: quantity was 0, expected a number other than 0")
        left: float = max(0.0, abs(order.quantity) - abs(getattr(order, "filled_quantity", None) or 0.0))
        side = order.side
        buys = order.quantity > 0.0 if side is None else member(OrderSide, side, "side") is OrderSide.BUY
        if getattr(order, "reduce_only", False):
            held = float(self.account.holding(order.asset)["quantity"])
            left = min(left, abs(held)) if held * (1.0 if buys else -1.0) < 0.0 else 0.0
        return left if buys else -left

    def _ask(self, asset: str, quantity: float, price: float, commission: float) -> Verdict:
        return self.policy.judge(
            self.account,
            asset,
            quantity,
            price,
            commission,
            cash_buffer_pct=self.cash_buffer_pct,
            hold_unsettled=self.settlement_reduces_buying_power,
        )
