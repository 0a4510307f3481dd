"""What a broker that is stepped by hand is made of: its settings, rules that read what comes with the bar, positions that refuse writes."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml4t_backtest.config import AccountType, BacktestConfig, Mode
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.lowering import RuleTable
from ml4t_backtest.memory import address_of
from ml4t_backtest.models import NoCommission, NoSlippage
from ml4t_backtest.types import ExecutionMode, member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml4t_backtest.handles import Position
    from ml4t_backtest.store import Store
    from ml4t_backtest.widening import GrowingPanels
    from ml4t_kernels.dtypes import FloatArray

__all__ = ["HandRules", "OpenPositions", "settings_by_hand"]

_ARGUMENTS = (
    "initial_cash",
    "commission_model",
    "slippage_model",
    "config",
    "market_impact_model",
    "execution_limits",
    "contract_specs",
    "allow_nonpositive_prices",
)
_FREE: dict[str, Any] = {
    "commission_type": "none",
    "slippage_type": "none",
    "commission_model": NoCommission(),
    "slippage_model": NoSlippage(),
}


def settings_by_hand(config: BacktestConfig | Mode | str | None, settings: Mapping[str, Any]) -> BacktestConfig:
    """Return the config of a broker by hand: the given one or the published defaults, with settings other than None on top."""
    known = [*(entry.name for entry in dataclasses.fields(BacktestConfig)), "fill_timing", "fractional_shares"]
    for name in settings:
        if name not in known:
            arguments = [*_ARGUMENTS, *known]
            raise TypeError(
                f"Broker() has no argument {name!r}{did_you_mean(name, arguments)} Arguments: {', '.join(_ARGUMENTS)}, and every"
                " setting of BacktestConfig"
            )
    if isinstance(config, (Mode, str)):
        config = config.to_config() if isinstance(config, Mode) else BacktestConfig.from_preset(config)
    if config is not None and not isinstance(config, BacktestConfig):
        raise TypeError(f"config was a {type(config).__name__}, expected a BacktestConfig, a preset name or a Mode")
    given = {name: value for name, value in settings.items() if value is not None}
    try:
        member(AccountType, given.get("account_type", AccountType.CASH), "account_type")
    except ValueError as error:
        raise ValueError(f"Unknown account_type {given['account_type']!r}: {error}") from None
    chosen = (config or BacktestConfig(execution_mode=ExecutionMode.SAME_BAR, **_FREE)).replace(**given)
    for name in ("close_at_end", "enforce_sessions"):
        if getattr(chosen, name):
            raise ValueError(
                f"{name} was True: it needs all bars, which an Engine has; by hand, close positions or leave bars out yourself"
            )
    if chosen.looks_ahead:
        price = chosen.price_of_market_orders.name
        warnings.warn(
            f"SAME_BAR with execution_price={price} trades at a price from before the decision: look-ahead", UserWarning, stacklevel=3
        )
    return chosen


class HandRules(RuleTable):
    """Rules over panels that grow: whatever moves in memory is pointed to anew."""

    _panels: GrowingPanels

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lookbacks: dict[int, int] = {}

    @property
    def keys(self) -> list[str]:
        """Names of the signals that rules read."""
        return [key for key in self._keys if key is not None]

    def _rolling_volatility(self, lookback: int) -> FloatArray:
        self._lookbacks[len(self._rows) - 1] = lookback
        return self._panels.volatility_of(lookback)

    def follow(self, store: Store) -> None:
        """Point to where the panels are now, and take over the tier rows, which assets that came later have made longer."""
        self._tiers = [(float(tier["limit"]), float(tier["rate"])) for tier in store.terms.tiers]
        panels = {row: self._panels.volatility[lookback] for row, lookback in self._lookbacks.items()}
        panels |= {row: self._panels.signals[key] for row, key in enumerate(self._keys) if key is not None and key in self._panels.signals}
        for row, panel in panels.items():
            self._rows[row]["signal_address"] = store.terms.rules["signal_address"][row] = address_of(panel)


class OpenPositions(Mapping[str, Any]):
    """The open positions by asset, in position order; live, and not to be written."""

    def __init__(self, held: Mapping[str, Position]) -> None:
        self._held = held

    def __getitem__(self, asset: str) -> Position:
        return self._held[asset]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return repr(dict(self._held))

    def _refuse(self, asset: str, _: object = None) -> None:
        raise TypeError(
            f"broker.positions[{asset!r}] cannot be written: positions come from fills. Submit an order; money: broker.cash = x"
        )

    __setitem__ = __delitem__ = _refuse
