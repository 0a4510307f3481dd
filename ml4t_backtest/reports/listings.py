"""The sections of a report that are lists: orders, alerts, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml4t_backtest.reports.parts import Section, Table
from ml4t_backtest.reports.wording import count, cut, exact, stamps, worded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.contracts import ContractSpec

__all__ = ["alert_section", "order_section", "settings_rows", "settings_section"]

_ENDS = 15
_WIDE = 300
_ORDER_HEADS = {
    "order_id": "Order",
    "asset": "Asset",
    "side": "Side",
    "order_type": "Type",
    "status": "Status",
    "reason": "Reason",
    "created_at": "Created",
    "filled_at": "Filled",
    "quantity": "Quantity",
    "filled_quantity": "Filled",
    "limit_price": "Limit",
    "stop_price": "Stop",
    "filled_price": "Price",
}
_CODES = ("order_type", "status", "reason", "limit", "action")  # which are words with underscores
_CONTRACT_HEADS = {
    "multiplier": "Multiplier",
    "tick_size": "Tick",
    "lot_size": "Lot",
    "margin": "Margin",
    "maintenance_margin": "Maintenance margin",
}
_ALERT_HEADS = {"timestamp": "Time", "limit": "Limit", "action": "Action", "value": "Value", "threshold": "Threshold"}


def _rows(frame: pl.DataFrame, names: list[str]) -> list[tuple[str, ...]]:
    """Return the first and the last rows of a frame as texts; a row of one cell says how many are left out."""
    ends = frame if frame.height <= 2 * _ENDS else frame.head(_ENDS).vstack(frame.tail(_ENDS))
    columns = [_texts(ends[name]) for name in names]
    rows: list[tuple[str, ...]] = list(zip(*columns, strict=True))
    if frame.height > len(rows):
        rows.insert(_ENDS, (f"{count(frame.height - len(rows))} more",))
    return rows


def _texts(column: pl.Series) -> list[str]:
    """Return a column as texts; what has no value is empty."""
    if column.dtype.is_temporal():
        return ["" if text is None else text for text in stamps(column)]
    form: Callable[[Any], str] = exact if column.dtype.is_float() else cut
    words = column.replace("none", "") if column.name == "reason" else column
    return ["" if value is None else form(worded(value) if column.name in _CODES else value) for value in words]


def order_section(orders: pl.DataFrame) -> Section:
    """Return how many orders ended how, and the first and the last of them."""
    title = "Orders"
    if not orders.height:
        return Section("orders", title, empty="No order was placed, or the orders were not saved.", wide=True)
    counted = orders.group_by("status", "reason").len().sort("len", "status", "reason", descending=[True, False, False])
    counts = Table(
        ("Status", "Reason", "Orders"),
        [(worded(status), "" if reason == "none" else worded(reason), count(total)) for status, reason, total in counted.iter_rows()],
        texts=2,
    )
    names = list(_ORDER_HEADS)
    every = orders.height
    caption = (
        ("One order" if every == 1 else f"All {count(every)} orders")
        if every <= 2 * _ENDS
        else f"The first and last {_ENDS} of {count(every)} orders"
    )
    table = Table(list(_ORDER_HEADS.values()), _rows(orders, names), texts=8, caption=caption, folded=every > _ENDS)
    return Section("orders", title, tables=[counts, table], wide=True)


def alert_section(alerts: pl.DataFrame) -> Section:
    """Return how often which limit was crossed, and the first and last times."""
    title = "Alerts"
    if not alerts.height:
        return Section("alerts", title, empty="No portfolio limit was crossed, and there was no margin call.", wide=True)
    counted = alerts.group_by("limit", "action").len().sort("len", "limit", "action", descending=[True, False, False])
    rows = [(cut(worded(limit)), worded(action), count(total)) for limit, action, total in counted.iter_rows()]
    names = list(_ALERT_HEADS)
    table = Table(
        list(_ALERT_HEADS.values()), _rows(alerts, names), texts=3, caption=f"Times of {count(alerts.height)} alerts", folded=True
    )
    return Section("alerts", title, tables=[Table(("Limit", "Action", "Alerts"), rows, texts=2), table], wide=True)


def settings_section(config: BacktestConfig | None, contracts: Mapping[str, ContractSpec]) -> Section:
    """Return the settings of the run: those that differ from the defaults, all of them, and the contracts."""
    title = "Settings"
    terms = _contract_tables(contracts)
    if config is None:
        return Section("settings", title, tables=terms, note="The settings of this run were not saved.", wide=True)
    own, plain = settings_rows(config), settings_rows(type(config)())
    rows = [(".".join(key), value) for key, value in own.items()]
    changed = [(".".join(key), value) for key, value in own.items() if value != plain.get(key)]
    preset = f" of preset {cut(config.preset_name, 60)!r}" if config.preset_name else ""
    everything = Table((), rows, caption=f"All {len(rows)} settings", kind="pairs", folded=True)
    if not changed:
        return Section("settings", title, tables=[everything, *terms], note="Every setting is the default.", wide=True)
    differing = Table((), changed, caption=f"Settings{preset} that differ from the defaults", kind="pairs")
    return Section("settings", title, tables=[differing, everything, *terms], wide=True)


def _contract_tables(contracts: Mapping[str, ContractSpec]) -> list[Table]:
    """Return a table of the contracts that the run was given, none without any."""
    if not contracts:
        return []
    rows: list[tuple[str, ...]] = [
        (cut(asset), spec.asset_class.value, cut(spec.currency), *(exact(getattr(spec, name)) for name in _CONTRACT_HEADS))
        for asset, spec in list(contracts.items())[: 2 * _ENDS]
    ]
    if len(contracts) > len(rows):
        rows.append((f"{count(len(contracts) - len(rows))} more",))
    heads = ("Asset", "Class", "Currency", *_CONTRACT_HEADS.values())
    return [Table(heads, rows, texts=3, caption=f"Contracts of {count(len(contracts))} assets", kind="side", folded=True)]


def settings_rows(config: BacktestConfig | None) -> dict[tuple[str, str], str]:
    """Return the settings as texts by section and name, cost models that are objects first; nothing for None."""
    if config is None:
        return {}
    models = {("object", name): getattr(config, name) for name in ("commission_model", "slippage_model")}
    made = {key: cut(repr(model), _WIDE) for key, model in models.items() if model is not None}
    return made | {(section, name): _setting(value) for section, values in config.to_dict().items() for name, value in values.items()}


def _setting(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,}".removesuffix(".0")  # all digits: settings that differ must look different
    return "none" if value is None else cut(str(value), _WIDE)
