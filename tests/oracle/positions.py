"""What a fill does to a position and which trade it makes: "Positions and trades"."""

from __future__ import annotations

from tests.oracle.account import Account, price_return
from tests.oracle.numbers import Number
from tests.oracle.records import STOPPED, OracleFill, OracleOrder, OraclePosition, OracleTrade, TradeStatus
from tests.oracle.settings import Rules


def position_after(p: Number, q: Number, rules: Rules) -> Number:
    """`p + q`, or 0 when that is rounding dust compared with the position before."""
    new = p + q
    if p != 0 and abs(new) <= rules.dust * abs(p):
        return rules.zero
    return new


def apply_fill(account: Account, order: OracleOrder, fill: OracleFill) -> None:
    """Change the position by the fill; `fill.position` is the position after it."""
    asset, q, new = fill.asset, fill.quantity, fill.position
    position = account.positions.get(asset)
    if position is None:
        account.positions[asset] = _open(account, order, fill, new, fill.commission)
        return
    p, reason = position.quantity, exit_reason(order)
    if (p > 0) == (q > 0):
        _add(account, position, order, fill)
    elif new == 0:
        _record_exit(account, fill, position, p, position.entry_commission, fill.commission, "closed", reason)
        del account.positions[asset]
    elif (new > 0) == (p > 0):
        share = position.entry_commission * (abs(q) / abs(p))
        _record_exit(account, fill, position, -q, share, fill.commission, "partial", reason)
        position.entry_commission = position.entry_commission - share
        position.quantity = new
    else:
        exit_commission = fill.commission * (abs(p) / abs(q))
        _record_exit(account, fill, position, p, position.entry_commission, exit_commission, "closed", reason)
        # Assigning to the existing key keeps the place in position order.
        account.positions[asset] = _open(account, order, fill, new, fill.commission - exit_commission)


def exit_reason(order: OracleOrder) -> str:
    """Why a trade that this order ends was ended."""
    if order.exit_reason is not None:
        return order.exit_reason
    if order.reduce_only and order.order_type in STOPPED:
        return "stop_loss"
    if order.reduce_only and order.order_type == "trailing_stop":
        return "trailing_stop"
    return "take_profit" if order.target else "signal"


def _open(account: Account, order: OracleOrder, fill: OracleFill, quantity: Number, commission: Number) -> OraclePosition:
    account.positions_opened += 1
    zero = account.rules.zero
    high_mark, low_mark = _water_marks(account, order, fill)
    return OraclePosition(
        number=account.positions_opened,
        quantity=quantity,
        initial_quantity=quantity,
        entry_price=fill.price,
        entry_time=fill.time,
        entry_bar=fill.bar,
        entry_commission=commission,
        entry_slippage=fill.slippage,
        current_price=fill.price,
        basis=fill.price if fill.asset in account.rules.futures else zero,
        signal_price=order.signal_price,
        high_mark=high_mark,
        low_mark=low_mark,
        marks_bar=fill.bar,
        max_favorable_excursion=zero,
        max_adverse_excursion=zero,
    )


def _water_marks(account: Account, order: OracleOrder, fill: OracleFill) -> tuple[Number, Number]:
    source, bar = account.rules.settings.initial_hwm_source, account.last_bars[fill.asset]
    if source == "bar_high":
        return bar.high, bar.low
    price = fill.price
    if source == "bar_close" and fill.asset in account.bars:
        price = bar.close
    elif source == "signal_price" and order.signal_price is not None:
        price = order.signal_price
    return price, price


def widen(account: Account) -> None:
    """Step 8, after marking: water marks and excursions of the priced positions."""
    extreme = account.rules.settings.trail_hwm_source == "bar_extreme"
    for asset, position in account.positions.items():
        bar = account.bars.get(asset)
        if bar is None:
            continue
        whole = extreme and position.entry_bar < account.bar_index
        high, low = (bar.high, bar.low) if whole else (bar.close, bar.close)
        of_marks = (high, low) if position.marks_bar < account.bar_index else (bar.close, bar.close)
        position.high_mark = max(position.high_mark, of_marks[0])
        position.low_mark = min(position.low_mark, of_marks[1])
        best, worst = (high, low) if position.quantity > 0 else (low, high)
        good = price_return(position.quantity, position.entry_price, best)
        bad = price_return(position.quantity, position.entry_price, worst)
        if good is not None and bad is not None:
            position.max_favorable_excursion = max(position.max_favorable_excursion, good)
            position.max_adverse_excursion = min(position.max_adverse_excursion, bad)


def _add(account: Account, position: OraclePosition, order: OracleOrder, fill: OracleFill) -> None:
    p, q, new = position.quantity, fill.quantity, fill.position
    position.entry_price = (p * position.entry_price + q * fill.price) / new
    position.entry_slippage = (p * position.entry_slippage + q * fill.slippage) / new
    if fill.asset in account.rules.futures:
        settled = account.rules.settings.cash_check == "open_cash"
        position.basis = fill.price if settled else (p * position.basis + q * fill.price) / new
    position.entry_commission = position.entry_commission + fill.commission
    position.quantity = new
    if account.rules.settings.stop_reset_on_add:
        position.signal_price, position.marks_bar = order.signal_price, fill.bar
        position.high_mark, position.low_mark = _water_marks(account, order, fill)


def _record_exit(
    account: Account,
    fill: OracleFill,
    position: OraclePosition,
    quantity: Number,
    entry_share: Number,
    exit_commission: Number,
    status: TradeStatus,
    reason: str,
) -> None:
    m = account.rules.multipliers[fill.asset]
    pnl = (fill.price - position.entry_price) * quantity * m - entry_share - exit_commission
    commission = entry_share + exit_commission
    trade = _trade(fill.asset, position, quantity, m, fill.time, fill.price, fill.slippage, pnl, commission, status, reason)
    account.trades.append(trade)


def record_corporate_action(account: Account, asset: str, rest: Number, price: Number) -> None:
    """The trade of what a split paid out: without costs, and with its share of the entry commission."""
    position, m, zero = account.positions[asset], account.rules.multipliers[asset], account.rules.zero
    whole = abs(rest) >= abs(position.quantity)
    share = position.entry_commission * (abs(rest) / abs(position.quantity))
    pnl = (price - position.entry_price) * rest * m - share
    status: TradeStatus = "closed" if whole else "partial"
    account.trades.append(_trade(asset, position, rest, m, account.time, price, zero, pnl, share, status, "corporate_action"))
    position.entry_commission = position.entry_commission - share


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
    reason: str,
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
        exit_reason=reason,
    )
