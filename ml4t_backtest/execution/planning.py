"""The arithmetic of a rebalance: from target weights and an account to a list of trades. Reads a broker, submits nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.types import OrderSide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ml4t_backtest.broker import Broker
    from ml4t_backtest.execution.rebalancer import RebalanceConfig
    from ml4t_backtest.handles import Order

__all__ = [
    "Account",
    "Holding",
    "Plan",
    "Trade",
    "checked_weights",
    "make_plan",
    "multiplier_of",
    "plan_trade",
    "read_account",
    "trades_whole_shares",
    "truncated",
]

_CENT = 0.01  # targets nearer than this are reached, as in broker.order_target_percent
_DUST = 1e-12
_ROUNDING = 1e-10  # the gate of the ledger lets this relative shortfall through


@dataclass(frozen=True, slots=True)
class Holding:
    """One asset of an account. quantity: signed, pending orders included where they count. price: this bar's close or None."""

    quantity: float
    price: float | None
    mark: float
    multiplier: float

    @property
    def value(self) -> float:
        """Signed value at the last price [money]."""
        return self.quantity * self.mark * self.multiplier


@dataclass(slots=True)
class Account:
    """What a rebalance starts from. equity: account value [money]. funds: money that may open long positions."""

    equity: float
    funds: float
    holdings: dict[str, Holding]

    def weight(self, asset: str) -> float:
        """Value of an asset as a fraction of the account value, NaN when that is not positive."""
        return self.holdings[asset].value / self.equity if self.equity > 0.0 else math.nan


@dataclass(slots=True)
class Trade:
    """One line of a plan. shares: signed. value: signed [money]. skip_reason: why it is not submitted, None when it is."""

    asset: str
    current_weight: float
    target_weight: float
    shares: float = 0.0
    value: float = 0.0
    skip_reason: str | None = None
    is_cut: bool = False


@dataclass(slots=True)
class Plan:
    """The trades of a rebalance in the order of submission. notes: what was changed in the weights, and why."""

    account: Account
    targets: dict[str, float]
    left_out: frozenset[str]
    trades: list[Trade] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def multiplier_of(broker: Broker, asset: str) -> float:
    """Return the contract multiplier of an asset, 1 from a broker that knows none."""
    known = getattr(broker, "get_multiplier", None)
    return 1.0 if known is None else float(known(asset))


def trades_whole_shares(broker: Broker, allow_fractional: bool | None) -> bool:  # noqa: FBT001 - a setting handed on
    """Return whether trades are in whole shares: as the setting says, else as the broker, else not."""
    if allow_fractional is not None:
        return not allow_fractional
    share_type = getattr(broker, "share_type", None)
    return str(getattr(share_type, "value", share_type)).lower() == "integer"


def truncated(number: float) -> int:
    """Return a number truncated, where 999.9999999999999 counts as 1000: it is one but for rounding."""
    nearest = round(number)
    return nearest if abs(number - nearest) <= _DUST * abs(number) else math.trunc(number)


def checked_weights(weights: Any, assets: Iterable[str]) -> dict[str, float]:
    """Return weights as a dict of floats.

    Raises TypeError for what is no mapping, ValueError for unknown assets and for weights that are no finite numbers.
    """
    if not hasattr(weights, "keys"):
        raise TypeError(f"weights were a {type(weights).__name__}, expected a mapping of asset to weight: {{'AAPL': 0.6, 'MSFT': 0.4}}")
    known = frozenset(assets)
    checked: dict[str, float] = {}
    for asset in weights.keys():  # noqa: SIM118 - a pandas Series iterates its values
        if asset not in known:
            names = sorted(known)
            raise ValueError(f"weights name the unknown asset {asset!r}; the feed has {shortened(names)}{did_you_mean(str(asset), names)}")
        try:
            weight = float(weights[asset])
        except (TypeError, ValueError):
            weight = math.nan
        if not math.isfinite(weight):
            raise ValueError(f"the weight of {asset!r} was {weights[asset]!r}, expected a finite number")
        checked[asset] = weight
    return checked


def read_account(
    assets: Iterable[str], data: Mapping[str, Any], broker: Broker, pending: Iterable[Order], config: RebalanceConfig
) -> Account:
    """Return the account as the strategy sees it now.

    pending: orders that will stay; market orders among them use or free funds, and count as held when the config says so.
    """
    positions = broker.positions
    buying_power = getattr(broker, "get_buying_power", None)
    account = Account(broker.get_account_value(), broker.get_cash() if buying_power is None else buying_power(), {})
    waiting = [order for order in pending if order.order_type.name.startswith("MARKET")]
    for asset in dict.fromkeys([*assets, *positions, *(order.asset for order in waiting)]):
        position = positions.get(asset)
        quantity, last = (0.0, 0.0) if position is None else (position.quantity, position.current_price)
        price = _close(data, asset)
        account.holdings[asset] = Holding(quantity, price, last if price is None else price, multiplier_of(broker, asset))
    held = dict(account.holdings)
    for order in waiting:
        before = account.holdings[order.asset]
        signed = order.remaining_quantity if order.side is OrderSide.BUY else -order.remaining_quantity
        account.funds -= _funds_needed(before, signed)
        account.holdings[order.asset] = Holding(before.quantity + signed, before.price, before.mark, before.multiplier)
    if not config.account_for_pending:
        account.holdings = held
    return account


def _close(data: Mapping[str, Any], asset: str) -> float | None:
    bar = data.get(asset)
    close = None if bar is None else bar["close"]
    return None if close is None or math.isnan(close) else float(close)


def _funds_needed(holding: Holding, shares: float) -> float:
    """Return the money that a trade takes to open long (positive) or frees by closing long (negative); shorts neither."""
    before = max(holding.quantity, 0.0)
    after = max(holding.quantity + shares, 0.0)
    return (after - before) * holding.mark * holding.multiplier


def make_plan(weights: dict[str, float], account: Account, config: RebalanceConfig, *, whole_shares: bool) -> Plan:
    """Return the trades that bring an account to weights: falling weights first, then positions left out, then the rest."""
    left_out = [asset for asset, holding in account.holdings.items() if asset not in weights and holding.quantity != 0.0]
    plan = Plan(account, {}, frozenset(left_out))
    wanted = _within_limits(weights, config, plan.notes)
    falling = [asset for asset, target in wanted.items() if target < account.weight(asset)]
    rest = [asset for asset in wanted if asset not in set(falling)]
    plan.targets = {asset: wanted.get(asset, 0.0) for asset in (*falling, *left_out, *rest)}
    if account.equity > 0.0:
        _limit_turnover(plan, config)
    for asset, target in plan.targets.items():
        plan.trades.append(plan_trade(asset, target, account, config, whole_shares=whole_shares))
    return plan


def _within_limits(weights: dict[str, float], config: RebalanceConfig, notes: list[str]) -> dict[str, float]:
    """Return the weights after the limits of the config: short selling, gross, single, in this order."""
    targets = dict(weights)
    if not config.allow_short:
        negative = [asset for asset, weight in targets.items() if weight < 0.0]
        targets.update(dict.fromkeys(negative, 0.0))
        if negative:
            notes.append(f"negative weights of {shortened(negative)} taken as 0 (allow_short=False)")
    gross = math.fsum(map(abs, targets.values()))
    if config.max_gross_leverage is not None and gross > config.max_gross_leverage:
        targets = {asset: weight * config.max_gross_leverage / gross for asset, weight in targets.items()}
        notes.append(f"weights scaled from gross {gross:g} to {config.max_gross_leverage:g} (max_gross_leverage)")
    large = [asset for asset, weight in targets.items() if abs(weight) > config.max_single_weight]
    targets.update({asset: math.copysign(config.max_single_weight, targets[asset]) for asset in large})
    if large:
        notes.append(f"weights of {shortened(large)} cut to {config.max_single_weight:g} (max_single_weight)")
    return targets


def _limit_turnover(plan: Plan, config: RebalanceConfig) -> None:
    """Move all targets towards the current weights by one factor, so that the traded value stays within `max_rebalance_pct`."""
    current = {asset: plan.account.weight(asset) for asset in plan.targets}
    turnover = math.fsum(abs(target - current[asset]) for asset, target in plan.targets.items())
    if config.max_rebalance_pct is None or turnover <= config.max_rebalance_pct:
        return
    part = config.max_rebalance_pct / turnover
    plan.targets = {asset: current[asset] + part * (target - current[asset]) for asset, target in plan.targets.items()}
    plan.notes.append(f"trades scaled from a turnover of {turnover:g} to {config.max_rebalance_pct:g} (max_rebalance_pct)")


def plan_trade(asset: str, target: float, account: Account, config: RebalanceConfig, *, whole_shares: bool) -> Trade:
    """Return the trade of one asset and book its funds in the account."""
    holding = account.holdings[asset]
    trade = Trade(asset, account.weight(asset), target)
    trade.skip_reason = _size(trade, holding, account.equity, config, whole_shares=whole_shares)
    if trade.skip_reason is None:
        _fit_to_funds(trade, holding, account, config, whole_shares=whole_shares)
    if trade.skip_reason is None and holding.price is not None:
        account.funds -= _funds_needed(holding, trade.shares)
        trade.value = trade.shares * holding.price * holding.multiplier
    else:
        trade.shares = 0.0
    return trade


def _size(trade: Trade, holding: Holding, equity: float, config: RebalanceConfig, *, whole_shares: bool) -> str | None:  # noqa: PLR0911 - one return per reason
    """Set the shares that reach the target. Returns why there is no trade, None when there is one."""
    if not equity > 0.0:
        return "account_value_not_positive"
    if trade.target_weight == 0.0 and holding.quantity == 0.0:
        return "weight_change_too_small"
    if not holding.price:
        return "no_price" if holding.price is None else "price_is_zero"
    if trade.target_weight == 0.0:
        trade.shares = -holding.quantity
        return None
    trade.value = equity * trade.target_weight - (holding.quantity * holding.price) * holding.multiplier
    if abs(trade.target_weight - trade.current_weight) < config.min_weight_change:
        return "weight_change_too_small"
    if abs(trade.value) < max(config.min_trade_value, _CENT):
        return "trade_value_too_small"
    trade.shares = _rounded(trade.value / (holding.price * holding.multiplier), config, whole_shares=whole_shares)
    return "rounds_to_zero_shares" if trade.shares == 0.0 else None


def _rounded(shares: float, config: RebalanceConfig, *, whole_shares: bool, down: bool = False) -> float:
    """Return shares in whole lots (the nearest, or down), truncated to whole shares, or as they are."""
    if config.round_lots:
        lots = abs(shares) / config.lot_size
        count = truncated(lots) if down else math.floor(lots + 0.5)
        return math.copysign(count * config.lot_size, shares) if count else 0.0
    return float(truncated(shares)) if whole_shares else shares


def _fit_to_funds(trade: Trade, holding: Holding, account: Account, config: RebalanceConfig, *, whole_shares: bool) -> None:
    """Cut or skip a purchase that takes more than the funds."""
    need = _funds_needed(holding, trade.shares)
    if need <= 0.0 or need - account.funds <= _ROUNDING * need:
        return
    if config.allow_partial:
        unit = holding.mark * holding.multiplier
        covering = max(-holding.quantity, 0.0)
        shares = _rounded(covering + max(account.funds, 0.0) / unit, config, whole_shares=whole_shares, down=True)
        if shares > 0.0 and shares * unit >= max(config.min_trade_value, _CENT):
            trade.shares, trade.is_cut = shares, True
            return
    trade.skip_reason = "insufficient_funds"
