"""The order in which entries have their turns when a priority is set."""

from __future__ import annotations

from math import inf, isnan

import numpy as np

from ._jit import array_kernel
from .codes import EntryPriority, PriceField, Stage
from .fill import market_price
from .ledger import Bar, Ledger
from .orders import remaining_quantity

__all__ = ["sort_entries"]


@array_kernel
def sort_entries(ledger: Ledger, bar: Bar) -> None:
    """Write the live orders into `turns` by notional at the pass price, unpriced ones last, and go on to the next stage.

    ledger: in-out. bar: in. Orders of equal notional stay in order of submission.
    """
    state, params = ledger.state[0], ledger.params[0]
    count = state["live_count"]
    field = PriceField.CLOSE.value if state["stage"] == Stage.CLOSING_SORTING else params["price_field"]
    descending = params["entry_priority"] == EntryPriority.NOTIONAL_DESC
    keys = np.empty(count, dtype=np.float64)
    for place in range(count):
        order = ledger.orders[ledger.live[place]]
        asset = order["asset"]
        price = market_price(field, bar, asset, bar.close[asset])
        value = abs(remaining_quantity(order) * price * ledger.contracts[asset]["multiplier"])
        keys[place] = inf if isnan(value) else (-value if descending else value)
    places = np.argsort(keys, kind="mergesort")
    for place in range(count):
        ledger.turns[place] = ledger.live[places[place]]
    state["stage"] += 1
