"""`Position`: one holding of an account that is kept by hand."""

from __future__ import annotations

import math
from abc import ABCMeta
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from ml4t_backtest.handles import Position as LedgerPosition
from ml4t_backtest.handles import UnrealizedPnl
from ml4t_backtest.models.checks import finite, positive
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Position"]

_UNSAID = math.nan


@accepts(avg_entry_price="entry_price")
@dataclass
class Position(metaclass=ABCMeta):
    """A holding of one asset, as plain mutable fields: `Position("X", 100, 150.0, entry_time)`.

    quantity: signed, negative for a short. entry_price: average of the entries. entry_time: a datetime, None when unknown. current_price:
    last mark; the entry price when it is not given. bars_held: counted by whoever keeps the account. high_water_mark, low_water_mark:
    the entry price when not given. max_favorable_excursion (>= 0), max_adverse_excursion (<= 0): fractions of the entry price.
    initial_quantity: signed, of the first entry. context: values of your own. multiplier: money per point of price and unit.
    entry_commission: money, of the quantity still held. entry_slippage: price per unit. basis: price that is paid for already,
    0 except for futures on margin (docs/execution.md, "Futures").

    The positions of a run, which read the ledger, are instances of this class too.

    Raises ValueError for numbers that are not finite, a quantity of 0 and a multiplier that is not > 0, TypeError for a number as time.
    """

    asset: str
    quantity: float
    entry_price: float
    entry_time: datetime | None = None
    current_price: float = _UNSAID
    bars_held: int = 0
    high_water_mark: float = _UNSAID
    low_water_mark: float = _UNSAID
    max_favorable_excursion: float = 0.0
    max_adverse_excursion: float = 0.0
    initial_quantity: float = _UNSAID
    context: dict[str, Any] = field(default_factory=dict)
    multiplier: float = 1.0
    entry_commission: float = 0.0
    entry_slippage: float = 0.0
    basis: float = 0.0

    def __post_init__(self) -> None:
        owner = f"Position({self.asset!r})"
        if isinstance(self.entry_time, Real):
            raise TypeError(f"{owner}: entry_time was {self.entry_time!r}, expected a datetime; a mark is given as current_price=")
        finite(owner, quantity=self.quantity, entry_price=self.entry_price)
        if self.quantity == 0.0:
            raise ValueError(f"{owner}: quantity was 0, expected a signed number; a flat asset has no position")
        for name in ("current_price", "high_water_mark", "low_water_mark", "initial_quantity"):
            value = getattr(self, name)
            if value is None or (isinstance(value, Real) and math.isnan(value)):
                setattr(self, name, self.quantity if name == "initial_quantity" else self.entry_price)
        names = ("current_price", "high_water_mark", "low_water_mark", "initial_quantity", "entry_commission", "entry_slippage", "basis")
        finite(owner, **{name: getattr(self, name) for name in names})
        positive(owner, multiplier=self.multiplier)

    @property
    def side(self) -> str:
        """Either "long" or "short"."""
        return "long" if self.quantity > 0.0 else "short"

    @property
    def avg_entry_price(self) -> float:
        """Average entry price, under its other common name."""
        return self.entry_price

    @property
    def market_value(self) -> float:
        """Signed value at the current price, multiplier included [money]."""
        return self.quantity * self.current_price * self.multiplier

    @property
    def cost_basis(self) -> float:
        """Signed value at the entry price, multiplier included [money]."""
        return self.quantity * self.entry_price * self.multiplier

    @property
    def account_value(self) -> float:
        """What the position adds to the account value: `market_value`, less what is paid for already (`basis`) [money]."""
        return self.quantity * (self.current_price - self.basis) * self.multiplier

    @property
    def notional_value(self) -> UnrealizedPnl:
        """Unsigned value at the current price [money]; call it with a price for the value there."""
        return self._at_price(lambda price: abs(self.quantity * price) * self.multiplier)

    @property
    def unrealized_pnl(self) -> UnrealizedPnl:
        """Profit at the current price before costs [money]; call it with a price for the profit there."""
        return self._at_price(lambda price: (price - self.entry_price) * self.quantity * self.multiplier)

    @property
    def pnl_percent(self) -> UnrealizedPnl:
        """Move since the entry as a fraction of the entry price, positive when favourable; NaN for an entry at 0.

        Call it with a price for the move to there.
        """
        return self._at_price(self._move_to)

    def update_water_marks(self, current_price: float, bar_high: float | None = None, bar_low: float | None = None) -> None:
        """Mark the position at the end of a bar and widen its water marks and excursions (docs/execution.md, step 8).

        current_price: the close. bar_high, bar_low: the range that counts, None (or NaN) for the close alone. Raises ValueError for a
        close that is not finite.
        """
        finite(f"Position({self.asset!r}).update_water_marks", current_price=current_price)
        high = current_price if bar_high is None or math.isnan(bar_high) else bar_high
        low = current_price if bar_low is None or math.isnan(bar_low) else bar_low
        self.current_price = current_price
        self.high_water_mark = max(self.high_water_mark, high)
        self.low_water_mark = min(self.low_water_mark, low)
        best, worst = (high, low) if self.quantity > 0.0 else (low, high)
        # An entry at 0 makes the move NaN, which widens nothing as the second argument of max and min.
        self.max_favorable_excursion = max(self.max_favorable_excursion, self._move_to(best))
        self.max_adverse_excursion = min(self.max_adverse_excursion, self._move_to(worst))

    def _move_to(self, price: float) -> float:
        if self.entry_price == 0.0:
            return math.nan
        move = (price - self.entry_price) / abs(self.entry_price)
        return move if self.quantity > 0.0 else -move

    def _at_price(self, formula: Any) -> UnrealizedPnl:
        return UnrealizedPnl(formula(self.current_price), formula)


Position.register(LedgerPosition)
