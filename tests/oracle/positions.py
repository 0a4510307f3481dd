"""What a fill does to a position and which trade it makes: "Positions and trades"."""

from __future__ import annotations

from tests.oracle.account import Account, price_return
from tests.oracle.numbers import Number
from tests.oracle.records import ExitReason, OracleFill, OraclePosition, OracleTrade, TradeStatus
from tests.oracle.settings import Rules


def position_after(p: Number, q: Number, rules: Rules) -> Number:
    """`p + q`, or 0 when that is rounding dust compared with the position before."""
    new = p + q
    if p != 0 and abs(new) <= rules.flat_tolerance * abs(p):
        return rules.zero
    return new


def apply_fill(account: Account, fill: OracleFill) -> None:
    """Change the position by the fill; `fill.position` is the position after it."""
    asset, q, new = fill.asset, fill.quantity, fill.position
    position = account.positions.get(asset)
    if position is None:
        account.positions[asset] = _open(account, fill, new, fill.commission)
        return
    p = position.quantity
    if (p > 0) == (q > 0):
        _add(position, fill)
    elif new == 0:
        _record_exit(account, fill, position, p, position.entry_commission, fill.commission, "closed")
        del account.positions[asset]
    elif (new > 0) == (p > 0):
        share = position.entry_commission * (abs(q) / abs(p))
        _record_exit(account, fill, position, -q, share, fill.commission, "partial")
        position.entry_commission = position.entry_commission - share
        position.quantity = new
    else:
        exit_commission = fill.commission * (abs(p) / abs(q))
        _record_exit(account, fill, position, p, position.entry_commission, exit_commission, "closed")
        # Assigning to the existing key keeps the place in position order.
        account.positions[asset] = _open(account, fill, new, fill.commission - exit_commission)


def _open(account: Account, fill: OracleFill, quantity: Number, commission: Number) -> OraclePosition:
    return OraclePosition(
        quantity=quantity,
        entry_price=fill.price,
        entry_time=fill.time,
        entry_commission=commission,
        entry_slippage=fill.slippage,
        current_price=fill.price,
        max_favorable_excursion=account.rules.zero,
        max_adverse_excursion=account.rules.zero,
    )


def _add(position: OraclePosition, fill: OracleFill) -> None:
    p, q, new = position.quantity, fill.quantity, fill.position
    position.entry_price = (p * position.entry_price + q * fill.price) / new
    position.entry_slippage = (p * position.entry_slippage + q * fill.slippage) / new
    position.entry_commission = position.entry_commission + fill.commission
    position.quantity = new


def _record_exit(
    account: Account,
    fill: OracleFill,
    position: OraclePosition,
    quantity: Number,
    entry_share: Number,
    exit_commission: Number,
    status: TradeStatus,
) -> None:
    m = account.rules.multipliers[fill.asset]
    pnl = (fill.price - position.entry_price) * quantity * m - entry_share - exit_commission
    commission = entry_share + exit_commission
    trade = _trade(fill.asset, position, quantity, m, fill.time, fill.price, fill.slippage, pnl, commission, status, "signal")
    account.trades.append(trade)


def open_trade(account: Account, asset: str, position: OraclePosition) -> OracleTrade:
    """How a position that is still open after the last bar is listed."""
    m = account.rules.multipliers[asset]
    price, quantity = position.current_price, position.quantity
    pnl = (price - position.entry_price) * quantity * m - position.entry_commission
    commission = position.entry_commission
    zero = account.rules.zero
    return _trade(asset, position, quantity, m, account.time, price, zero, pnl, commission, "open", "end_of_data")


def _trade(
    asset: str,
    position: OraclePosition,
    quantity: Number,
    m: Number,
    exit_time: int,
    exit_price: Number,
    exit_slippage: Number,
    pnl: Number,
    commission: Number,
    status: TradeStatus,
    exit_reason: ExitReason,
) -> OracleTrade:
    pnl_percent = price_return(quantity, position.entry_price, exit_price)
    mfe, mae = position.max_favorable_excursion, position.max_adverse_excursion
    if pnl_percent is not None:
        mfe, mae = max(mfe, pnl_percent), min(mae, pnl_percent)
    return OracleTrade(
        asset=asset,
        entry_time=position.entry_time,
        exit_time=exit_time,
        entry_price=position.entry_price,
        exit_price=exit_price,
        quantity=quantity,
        pnl=pnl,
        pnl_percent=pnl_percent,
        bars_held=position.bars_held,
        commission=commission,
        entry_slippage=position.entry_slippage,
        exit_slippage=exit_slippage,
        slippage=(position.entry_slippage + exit_slippage) * abs(quantity) * m,
        mfe=mfe,
        mae=mae,
        multiplier=m,
        status=status,
        exit_reason=exit_reason,
    )
