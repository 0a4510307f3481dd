"""Orders that depend on each other: "Linked orders"."""

from __future__ import annotations

from tests.oracle.account import Account
from tests.oracle.numbers import Number
from tests.oracle.offers import Offer, see, stop_level
from tests.oracle.records import OracleOrder


def after_fill(account: Account, order: OracleOrder, x: Number, at_open: bool, *, done: bool, wakes: bool) -> None:
    """What a fill of `x` units (unsigned) means for the children and the group of the order; done: the order is filled with it."""
    as_one = account.rules.settings.linked_orders == "as_one"
    for child in account.pending:
        if (done if as_one else wakes) and child.parent == order.order_id and child.dormant and child.status == "pending":
            wake(account, child, at_open)
    members = account.members(order)
    if as_one:
        if order.parent is None or done:
            account.stop(members, "cancelled", "SIBLING_FILLED")
        return
    for member in members:
        if member.status == "pending":
            member.taken = member.taken + x
            if member.left <= account.rules.flat_tolerance * abs(member.quantity):
                account.end(member, "cancelled", "SIBLING_FILLED")


def wake(account: Account, child: OracleOrder, at_open: bool) -> None:
    mode = account.rules.settings.child_activation
    parent = account.orders[(child.parent or 0) - 1]
    after_open = mode == "after_open" or (mode == "after_market" and parent.order_type == "market")
    now = mode == "same_bar" or (after_open and at_open)
    child.dormant = False
    child.due_bar = account.bar_index if now else account.bar_index + 1
    if now and not at_open:
        child.late_bar = account.bar_index
    if child.reduce_only:
        child.bound = account.position_number(child.asset)


def wake_at_submission(account: Account, child: OracleOrder) -> None:
    """A child is dormant unless its parent has traded already."""
    assert child.parent is not None
    parent = account.orders[child.parent - 1]
    as_one = account.rules.settings.linked_orders == "as_one"
    child.dormant = parent.filled_quantity == 0 or (as_one and parent.status != "filled")
    if child.reduce_only and not child.dormant:
        child.bound = account.position_number(child.asset)


def parent_ended(account: Account, child: OracleOrder) -> bool:
    """The parent was over without a fill before the child came."""
    return child.dormant and child.parent is not None and account.orders[child.parent - 1].status != "pending"


def parent_allows(account: Account, order: OracleOrder) -> Number | None:
    """How much more a child may fill now; None: its parent sets no limit."""
    if order.parent is None:
        return None
    parent = account.orders[order.parent - 1]
    if parent.status != "pending":
        return None
    return abs(parent.filled_quantity) - abs(order.filled_quantity)


def rank(account: Account, member: OracleOrder, seen: Offer) -> tuple[int, Number, bool]:
    """No level to reach first, then satisfied by the gap price, then by `bracket_priority`; members of the same rank are equal."""
    distance = account.rules.zero
    if member.order_type not in ("limit", "stop", "stop_limit", "trailing_stop"):
        return 0, distance, False
    acts_as_limit = member.order_type == "limit" or (member.triggered_bar is not None and member.triggered_bar < account.bar_index)
    priority = account.rules.settings.bracket_priority
    if priority == "nearest":
        view = see(account, member)
        level = member.limit_price if acts_as_limit else stop_level(account, member, view)
        assert level is not None
        distance = abs(level - view.gap)
    limit_goes_first = priority == "limit_first"
    by_gap = seen.satisfied and priority != "stop_always"
    return 1 if by_gap else 2, distance, acts_as_limit != limit_goes_first
