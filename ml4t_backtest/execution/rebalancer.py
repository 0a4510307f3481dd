"""Rebalancing to target weights: `TargetWeightExecutor`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ml4t_backtest.config.choices import RebalanceMode
from ml4t_backtest.execution.planning import checked_weights, make_plan, plan_trade, read_account, trades_whole_shares
from ml4t_backtest.execution.result import RebalanceResult
from ml4t_backtest.models.checks import not_negative, positive
from ml4t_backtest.spelling import accepts
from ml4t_backtest.types import OrderStatus, member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ml4t_backtest.broker import Broker
    from ml4t_backtest.execution.planning import Plan, Trade

__all__ = ["RebalanceConfig", "RebalanceMode", "TargetWeightExecutor", "WeightProvider"]

_NOT_CALLED_FOR = ("weight_change_too_small", "trade_value_too_small", "rounds_to_zero_shares")


@runtime_checkable
class WeightProvider(Protocol):
    """An object that knows the target weights; `TargetWeightExecutor.execute` takes it in place of the weights."""

    def get_weights(self, data: Mapping[str, Any], broker: Broker) -> Mapping[str, float]:
        """Return the target weights by asset."""
        ...


@accepts()
@dataclass(frozen=True, slots=True)
class RebalanceConfig:
    """Settings of a rebalance. Weights are signed values as fractions of the account value at this bar's closes.

    min_trade_value: smaller trades are skipped [money]. min_weight_change: smaller changes are skipped. allow_fractional: False
    truncates trades to whole shares, None does as the broker. round_lots: round trades to the nearest `lot_size` shares.
    allow_short: False takes negative weights as 0. max_single_weight: largest weight, long or short. max_gross_leverage: largest sum
    of absolute weights; larger ones are scaled down together. cancel_before_rebalance: cancel all pending orders first, protective
    ones too. account_for_pending: count pending market orders as done. rebalance_mode: see `RebalanceMode`. allow_partial: cut a
    purchase to the funds that are left, False skips it. max_rebalance_pct: largest traded value of one rebalance as a fraction of
    the account value; beyond it all trades are scaled down together. Raises ValueError that names the setting.
    """

    min_trade_value: float = 100.0
    min_weight_change: float = 0.01
    allow_fractional: bool | None = None
    round_lots: bool = False
    lot_size: int = 100
    allow_short: bool = False
    max_single_weight: float = 1.0
    max_gross_leverage: float | None = None
    cancel_before_rebalance: bool = True
    account_for_pending: bool = True
    rebalance_mode: RebalanceMode | str = RebalanceMode.SNAPSHOT
    allow_partial: bool = True
    max_rebalance_pct: float | None = None

    def __post_init__(self) -> None:
        owner = "RebalanceConfig"
        not_negative(owner, min_trade_value=self.min_trade_value, min_weight_change=self.min_weight_change)
        positive(owner, lot_size=self.lot_size, max_single_weight=self.max_single_weight)
        for name in ("max_gross_leverage", "max_rebalance_pct"):
            if getattr(self, name) is not None:
                positive(owner, **{name: getattr(self, name)})
        object.__setattr__(self, "rebalance_mode", member(RebalanceMode, self.rebalance_mode, "rebalance_mode"))


class TargetWeightExecutor:
    """Submits the market orders that bring an account to target weights.

    A weight of 0 closes the position, and so does leaving out an asset that is held, whatever the thresholds. Other trades are
    `(account value * weight - (quantity * close) * multiplier) / (close * multiplier)` shares, as `broker.order_target_percent`.
    Orders go out in this order: assets whose weight falls, positions left out, the rest; each in the order of the weights or
    positions. Purchases are cut or skipped where they take more than the funds: buying power (cash, in an account without) plus what
    the sales free at this bar's closes. Costs are not foreseen, so leave them room: the account refuses an order that its cash does
    not cover when it trades.

    Reasons in `orders_skipped`: weight_change_too_small, trade_value_too_small, rounds_to_zero_shares (these are successes: nothing
    was to be done); no_price, price_is_zero, insufficient_funds, account_value_not_positive, not_submitted, or what the broker says
    of an order that it rejects.
    """

    def __init__(self, config: RebalanceConfig | None = None) -> None:
        if config is not None and not isinstance(config, RebalanceConfig):
            raise TypeError(f"config was a {type(config).__name__}, expected a RebalanceConfig")
        self.config = RebalanceConfig() if config is None else config

    def execute(self, weights: Mapping[str, float] | WeightProvider, data: Mapping[str, Any], broker: Broker) -> RebalanceResult:
        """Submit the orders and return them, a list with more to say (`RebalanceResult`).

        weights: asset to weight. data: the bars of `on_data`. Raises, before anything is cancelled or submitted: TypeError when
        the weights are no mapping, or the rebalance mode needs fill passes and the broker has no `process_orders`; ValueError for
        unknown assets and for weights that are no finite numbers.
        """
        checked = self._checked(weights, data, broker)
        fill_pass = self._fill_pass(broker)
        if self.config.cancel_before_rebalance:
            for order in broker.pending_orders:
                broker.cancel_order(order.order_id)
        plan = self._plan(checked, data, broker)
        result = RebalanceResult(projected_weights={asset: plan.account.weight(asset) for asset in plan.account.holdings})
        for number, planned in enumerate(plan.trades):
            trade = planned
            if self.config.rebalance_mode is RebalanceMode.INCREMENTAL:
                account = read_account(plan.targets, data, broker, broker.pending_orders, self.config)
                trade = plan_trade(
                    planned.asset,
                    planned.target_weight,
                    account,
                    self.config,
                    whole_shares=trades_whole_shares(broker, self.config.allow_fractional),
                )
                plan.trades[number] = trade
            reason = trade.skip_reason or self._submit(trade, broker, fill_pass, result)
            if reason is None:
                result.projected_weights[trade.asset] += trade.value / plan.account.equity
            else:
                result.orders_skipped.append((trade.asset, reason))
        result.projected_weights = {asset: weight for asset, weight in result.projected_weights.items() if abs(weight) > math.ulp(1.0)}
        result.success = all(reason in _NOT_CALLED_FOR for _, reason in result.orders_skipped)
        result.message = _message(result, plan)
        return result

    def preview(self, weights: Mapping[str, float] | WeightProvider, data: Mapping[str, Any], broker: Broker) -> list[dict[str, Any]]:
        """Return what `execute` would do, one dict per asset, and touch nothing.

        Keys: asset, current_weight, target_weight, weight_delta (fractions of the account value), shares (signed, 0 when skipped),
        value [money], skip_reason (None for an order), and action "close_position" for positions left out. Errors as `execute`.
        """
        plan = self._plan(self._checked(weights, data, broker), data, broker)
        return [_row(trade, plan) for trade in plan.trades]

    def _checked(self, weights: Mapping[str, float] | WeightProvider, data: Mapping[str, Any], broker: Broker) -> dict[str, float]:
        return checked_weights(weights.get_weights(data, broker) if isinstance(weights, WeightProvider) else weights, broker.assets)

    def _plan(self, weights: dict[str, float], data: Mapping[str, Any], broker: Broker) -> Plan:
        pending = [] if self.config.cancel_before_rebalance else broker.pending_orders
        account = read_account(weights, data, broker, pending, self.config)
        return make_plan(weights, account, self.config, whole_shares=trades_whole_shares(broker, self.config.allow_fractional))

    def _fill_pass(self, broker: Broker) -> Callable[[], object] | None:
        if self.config.rebalance_mode is RebalanceMode.SNAPSHOT:
            return None
        fill_pass = getattr(broker, "process_orders", None)
        if fill_pass is None:
            mode = RebalanceMode(self.config.rebalance_mode).value
            raise TypeError(
                f"rebalance_mode={mode!r} fills each order before the next, and this {type(broker).__name__} has no process_orders();"
                " use rebalance_mode='snapshot'"
            )
        return fill_pass  # type: ignore[no-any-return]

    @staticmethod
    def _submit(trade: Trade, broker: Broker, fill_pass: Callable[[], object] | None, result: RebalanceResult) -> str | None:
        """Submit one trade. Returns why it is none of the orders, None when it is."""
        order = broker.submit_order(trade.asset, trade.shares)
        if order is None:
            return "not_submitted"
        if fill_pass is not None:
            fill_pass()
        if order.status is OrderStatus.REJECTED:
            return f"rejected: {order.rejection_reason}"
        result.append(order)
        return None


def _row(trade: Trade, plan: Plan) -> dict[str, Any]:
    row: dict[str, Any] = {
        "asset": trade.asset,
        "current_weight": trade.current_weight,
        "target_weight": trade.target_weight,
        "weight_delta": trade.target_weight - trade.current_weight,
        "shares": trade.shares,
        "value": trade.value,
        "skip_reason": trade.skip_reason,
    }
    if trade.asset in plan.left_out and trade.target_weight == 0.0:
        row["action"] = "close_position"
    return row


def _message(result: RebalanceResult, plan: Plan) -> str:
    parts = [f"{len(result)} order{'' if len(result) == 1 else 's'} submitted"]
    failed = [f"{asset} ({reason})" for asset, reason in result.orders_skipped if reason not in _NOT_CALLED_FOR]
    if failed:
        parts.append(f"not submitted: {', '.join(failed)}")
    if len(result.orders_skipped) > len(failed):
        parts.append(f"{len(result.orders_skipped) - len(failed)} below a threshold")
    cut = [trade.asset for trade in plan.trades if trade.is_cut]
    if cut:
        parts.append(f"cut to the funds: {', '.join(cut)}")
    return "; ".join([*parts, *plan.notes])
