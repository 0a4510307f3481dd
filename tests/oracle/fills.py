"""A fill pass: sweeps over the pending orders, and one turn of an order."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle import free_cash, links
from tests.oracle.account import Account
from tests.oracle.at_cost import basis_of
from tests.oracle.gate import Proposal, Refusal, cut_to_money, opposite, over_limits, propose, refuse
from tests.oracle.new_orders import exit_order
from tests.oracle.numbers import Number, signed
from tests.oracle.offers import Offer, favourable, may_move, offer, see, stop_level, trail_level, trailed
from tests.oracle.positions import apply_fill
from tests.oracle.prices import capped, price_of
from tests.oracle.records import ON_CLOSE, ON_OPEN, OracleFill, OracleOrder


@dataclass(frozen=True)
class Pass:
    account: Account
    price: str  # name of the pass price
    on_close: bool = False  # the pass of the on-close orders


def run_pass(account: Account, price: str, *, on_close: bool = False) -> None:
    """Exits first, then all that are still pending; or one sweep in order of submission."""
    settings = account.rules.settings
    this = Pass(account, price, on_close)
    queue = list(account.pending)
    if queue:
        start_totals(account, price)
    if settings.fill_ordering == "exit_first":
        for order in queue:
            if order.status == "pending" and is_exit(account, order):
                take_turn(this, order)
        queue = in_priority(account, [order for order in queue if order.status == "pending"], price)
    if settings.fill_ordering == "newest_exit_first":
        for order in reversed(queue):
            if order.status == "pending" and order.reduce_only and order.limit_price is None:
                take_turn(this, order)
    for order in queue:
        if order.status == "pending":
            take_turn(this, order)
    account.drop_finished_orders()


def start_totals(account: Account, price: str) -> None:
    """Where the gate asks for totals, every priced position is marked at the pass price before the first turn."""
    if not (account.rules.leveraged or account.rules.locks_cash):
        return
    account.mark(lambda bar: bar.price(price))
    account.pass_value = account.total_value()
    account.pass_requirement = account.total_requirement(account.rules.settings.buying_power_basis)
    account.pass_initial = account.total_requirement("initial")
    account.pass_short_value = account.total_short_value()


def in_priority(account: Account, orders: list[OracleOrder], price: str) -> list[OracleOrder]:
    """The order of the second sweep."""
    priority = account.rules.settings.entry_order_priority
    if priority == "submission":
        return orders

    def notional(order: OracleOrder) -> Number:
        reference = account.bars[order.asset].price(price)
        return abs(order.left * reference * account.rules.multipliers[order.asset])

    priced = [order for order in orders if order.asset in account.bars]
    priced.sort(key=notional, reverse=priority == "notional_desc")  # keeps equal ones in order, reversed or not
    return priced + [order for order in orders if order.asset not in account.bars]


def is_exit(account: Account, order: OracleOrder) -> bool:
    p = account.quantity(order.asset)
    return order.reduce_only or (opposite(order.quantity, p) and order.left <= abs(p))


def is_due(this: Pass, order: OracleOrder) -> bool:
    """Is this place in the pass a turn of the order?"""
    account = this.account
    if order.dormant or order.due_bar > account.bar_index or this.on_close != (order.order_type in ON_CLOSE):
        return False
    if order.order_type in (*ON_OPEN, *ON_CLOSE) and order.created_bar == account.bar_index:
        return False
    if this.on_close:
        return account.session.last
    return order.order_type not in ON_OPEN or account.session.first


def goes_second(this: Pass, order: OracleOrder, found: Offer) -> bool:
    """Would a member of the order's group trade in the same asset, judged by its price, and goes it before the order?"""
    account = this.account
    if order.group is None:
        return False
    if account.rules.settings.bracket_priority == "submission":
        return False
    mine = links.rank(account, order, found)
    for other in account.pending:
        rival = other is not order and other.group == order.group and other.asset == order.asset
        over = account.bar_index in (other.last_fill_bar, other.trail_moved_bar)
        if rival and other.status == "pending" and is_due(this, other) and not over:
            seen = offer(account, other, this.price)
            if seen.price is not None and links.rank(account, other, seen) < mine:
                return True
    return False


def expired(account: Account, order: OracleOrder) -> bool:
    if order.time_in_force == "GTD":
        assert order.good_till is not None
        if order.asset not in account.bars and account.rules.settings.missing_bar_orders == "last_bar":
            return False
        return account.time > order.good_till
    later = order.had_turn and order.first_session != account.session.number
    return order.time_in_force == "DAY" and later


def is_gone(account: Account, order: OracleOrder) -> bool:
    return order.bound is not None and order.bound != account.position_number(order.asset)


def take_turn(this: Pass, order: OracleOrder) -> None:
    account = this.account
    if not is_due(this, order):
        return
    if expired(account, order):
        account.end(order, "expired", "TIME_IN_FORCE")
        return
    if is_gone(account, order):
        account.end(order, "cancelled", "POSITION_CLOSED")
        return
    if not order.had_turn:
        order.had_turn, order.first_session = True, account.session.number
    if account.bar_of(order) is not None and order.last_fill_bar != account.bar_index:
        try_to_trade(this, order)
    if order.status == "pending" and order.time_in_force in ("IOC", "FOK"):
        account.end(order, "expired", "TIME_IN_FORCE")
    elif order.status == "pending":
        move_trail(account, order)
        order.saw_bar = order.saw_bar or order.asset in account.bars


def try_to_trade(this: Pass, order: OracleOrder) -> None:
    """Points 2 to 4."""
    account = this.account
    settings = account.rules.settings
    bar = account.bar_of(order)
    assert bar is not None
    if not settings.trade_without_volume and bar.volume == 0:
        return
    if settings.trigger_price == "close" and account.spent_bar.get(order.asset) == account.bar_index:
        return
    if order.order_type == "trailing_stop":
        if order.trail_moved_bar == account.bar_index:
            return
        start_or_tighten(account, order)
    found = offer(account, order, this.price)
    if found.triggered and order.triggered_bar is None:
        order.triggered_bar = account.bar_index
    order.reached = order.reached or found.reached
    if found.price is None or goes_second(this, order, found):
        return
    whole = wanted = order.left
    if order.reduce_only:
        p = account.quantity(order.asset)
        if not opposite(order.quantity, p):
            account.end(order, "cancelled", "POSITION_CLOSED")
            return
        wanted = min(wanted, abs(p))
    allowed = links.parent_allows(account, order)
    size = capped(account, order, wanted if allowed is None else min(wanted, allowed))
    if size == 0 and allowed != 0:
        account.spent_bar[order.asset] = account.bar_index
    if size > 0 and (order.time_in_force != "FOK" or size == whole):
        trade(account, order, found, size, complete=size == wanted)


def trade(account: Account, order: OracleOrder, found: Offer, size: Number, *, complete: bool) -> None:
    """Points 5 to 10, twice for the two parts of a flip where `split_flips` says so."""
    p, costs = account.quantity(order.asset), account.rules.costs[order.asset]
    flips = propose(account, order.asset, signed(size, order.quantity), found.price, lambda _: account.rules.zero)
    if not account.rules.settings.split_flips or flips.closing == 0 or flips.opening == 0 or order.time_in_force == "FOK":
        execute(account, order, found, size, complete=complete)
        return
    bar = account.bar_of(order)
    assert bar is not None
    if not costs.known(bar):
        return
    execute(account, order, found, abs(p), complete=False, wakes=False)
    if order.status == "pending":
        execute(account, order, found, size - abs(p), complete=complete)


def start_or_tighten(account: Account, order: OracleOrder) -> None:
    view = see(account, order)
    if order.stop_price is None:
        order.stop_price, order.trail_start_bar = trail_level(order, view.bar.close), account.bar_index
    elif account.rules.settings.trail_update == "bar_first" and may_move(account, order):
        order.stop_price, order.trail_moved_bar = stop_level(account, order, view), account.bar_index


def move_trail(account: Account, order: OracleOrder) -> None:
    """After a turn: the level of a trailing stop that did not trade moves, once per bar."""
    how = account.rules.settings.trail_update
    waited = order.asset in account.bars and (order.last_fill_bar != account.bar_index or how == "close")
    if order.order_type == "trailing_stop" and waited and may_move(account, order):
        view = see(account, order)
        order.stop_price = trailed(order, view.bar.close if how == "close" else favourable(order, view))
        order.trail_moved_bar = account.bar_index


def execute(account: Account, order: OracleOrder, found: Offer, size: Number, *, complete: bool, wakes: bool = True) -> None:
    """Points 5 to 10 for an unsigned quantity; complete: it is all that the order may still ask for; wakes: its children may wake."""
    assert found.price is not None
    costs, m = account.rules.costs[order.asset], account.rules.multipliers[order.asset]
    settings, q = account.rules.settings, signed(size, order.quantity)
    if account.rules.free_cash:
        clear(account, order, found, size, complete=complete)
        return
    price = price_of(account, order, found, q)
    if price is None:
        return
    pay = costs.commission_of(order, price, m, found.maker)
    proposal = propose(account, order.asset, q, price, pay)
    refusal = over_limits(account, proposal) or refuse(account, proposal)
    refused_rest = False
    if refusal is not None:
        smaller = None
        closes = settings.refused_reversal == "close" and proposal.closing > 0 and proposal.opening > 0
        cuts = settings.partial_fills_allowed and not refusal.final
        if refusal.for_money and cuts and order.time_in_force != "FOK":
            smaller = cut_to_money(account, proposal, refusal, pay)
        elif refusal.for_money and order.time_in_force != "FOK" and closes:
            smaller, refused_rest = propose(account, order.asset, -proposal.p, price, pay), True
        if smaller is None:
            turn_down(account, order, refusal)
            return
        proposal, complete = smaller, not refused_rest
    raw = costs.raw_commission(proposal.q, price, m, found.maker)
    order.raw_commission = order.raw_commission + raw
    fill(account, order, proposal, abs(price - found.price))
    finish(account, order, proposal, found, complete=complete, wakes=wakes)
    if refused_rest:
        assert refusal is not None
        turn_down(account, order, refusal)


def clear(account: Account, order: OracleOrder, found: Offer, size: Number, *, complete: bool) -> None:
    """The same where the account keeps free cash."""
    assert found.price is not None
    deal = free_cash.clear(account, order, found.price, size)
    if isinstance(deal, Refusal) and deal.reason == "TIME_IN_FORCE":
        return
    if isinstance(deal, Refusal):
        turn_down(account, order, deal)
        return
    proposal = propose(account, order.asset, signed(deal.size, order.quantity), deal.price, lambda _: deal.commission)
    refusal = over_limits(account, proposal)
    if refusal is not None:
        turn_down(account, order, refusal)
        return
    if order.fraction is not None:
        order.quantity = proposal.q
    fill(account, order, proposal, abs(deal.price - found.price), deal)
    finish(account, order, proposal, found, complete=complete or deal.size != size, wakes=True)


def turn_down(account: Account, order: OracleOrder, refusal: Refusal) -> None:
    soft = refusal.for_money and not account.rules.settings.reject_on_insufficient_cash
    order.need, order.have = refusal.need, refusal.have
    account.end(order, "cancelled" if soft else "rejected", refusal.reason)


def finish(account: Account, order: OracleOrder, proposal: Proposal, found: Offer, *, complete: bool, wakes: bool) -> None:
    """What the fill means for the order, its children and its group."""
    emptied = order.reduce_only and proposal.new == 0
    done = complete or emptied or order.left <= account.rules.flat_tolerance * abs(order.quantity)
    links.after_fill(account, order, abs(proposal.q), found.at_open, done=done, wakes=wakes)
    if emptied and order.parent is not None and account.orders[order.parent - 1].status == "pending":
        account.end(account.orders[order.parent - 1], "cancelled", "POSITION_CLOSED")
    if done:
        account.end(order, "filled", None)


def fill(account: Account, order: OracleOrder, proposal: Proposal, slippage: Number, deal: free_cash.Deal | None = None) -> None:
    """Point 10, with "The fill" and "Positions and trades"."""
    rules, asset, q = account.rules, order.asset, proposal.q
    v0, short, before = account.value(asset), account.short_value(asset), account.cash
    kind = rules.settings.buying_power_basis
    r0 = account.marked_requirement(asset, kind) if rules.leveraged else rules.zero
    i0 = account.marked_requirement(asset, "initial") if rules.leveraged else rules.zero
    if deal is None:
        account.cash = cash_after(account, proposal)
    else:
        account.cash, account.free, account.debt[asset] = deal.cash, deal.free, deal.debt
    change = account.cash - before
    if change > 0 and not rules.leveraged and rules.settings.settlement_delay > 0:
        account.settle_later(change)
    book(order, account, proposal)
    record = OracleFill(
        *(order.order_id, asset, q, proposal.price, account.time, account.bar_index),
        *(proposal.commission, slippage, proposal.new),
    )
    account.fills.append(record)
    if rules.settings.split_accounting == "cost_basis":
        with basis_of(account, asset, record):
            apply_fill(account, order, record)
    else:
        apply_fill(account, order, record)
    if rules.leveraged:
        if asset in account.positions:
            account.positions[asset].current_price = proposal.price
        account.pass_value = account.pass_value - v0 + account.value(asset) + change
        account.pass_requirement = account.pass_requirement - r0 + account.marked_requirement(asset, kind)
        account.pass_initial = account.pass_initial - i0 + account.marked_requirement(asset, "initial")
    if rules.locks_cash:
        account.pass_short_value = account.pass_short_value - short + account.short_value(asset)
    if order.rule and proposal.new == 0 and order.created_bar == account.bar_index:
        account.rule_exit_bar[asset] = account.bar_index


def book(order: OracleOrder, account: Account, proposal: Proposal) -> None:
    """What the order remembers of the fill."""
    q, price = proposal.q, proposal.price
    filled = order.filled_quantity + q
    if order.filled_price is None or order.filled_quantity == 0:  # a split may have left nothing of what had filled
        order.filled_price = price
    else:
        order.filled_price = (order.filled_quantity * order.filled_price + q * price) / filled
    order.filled_quantity = filled
    order.commission = order.commission + proposal.commission
    order.last_fill_bar, order.filled_time = account.bar_index, account.time


def cash_after(account: Account, proposal: Proposal) -> Number:
    """Cash after the fill: "The fill"."""
    rules, asset, q, price = account.rules, proposal.asset, proposal.q, proposal.price
    m = rules.multipliers[asset]
    if asset in rules.futures:
        paid = rules.zero
        if proposal.closing > 0:
            position = account.positions[asset]
            closed = proposal.p if proposal.new == 0 else signed(proposal.closing, proposal.p)
            paid = closed * (price - position.basis) * m
        elif proposal.p != 0 and rules.settings.cash_check == "open_cash":
            paid = proposal.p * (price - account.positions[asset].basis) * m
        return account.cash + paid - proposal.commission
    cash = account.cash - (q * price) * m - proposal.commission
    if q > 0 and proposal.opening > 0 and not rules.leveraged:
        slack = rules.clamp_tolerance * proposal.opening * price * m
        if -slack <= cash < 0:
            return rules.zero
    return cash


def close_everything(account: Account) -> None:
    """The end of the data with `close_at_end`: every order is cancelled, every priced position closed at the close."""
    for order in account.pending:
        order.dormant = False
        account.end(order, "cancelled", "RUN_ENDED")
    account.drop_finished_orders()
    start_totals(account, "close")
    exits = [
        exit_order(account, asset, abs(account.quantity(asset)), "end_of_data") for asset in account.positions if asset in account.bars
    ]
    if account.rules.settings.fill_ordering == "newest_exit_first":
        exits.reverse()
    for order in exits:
        if account.rules.costs[order.asset].known(account.bars[order.asset]):
            execute(account, order, Offer(account.bars[order.asset].close), order.left, complete=True)
        else:
            account.end(order, "cancelled", "RUN_ENDED")
    account.drop_finished_orders()
