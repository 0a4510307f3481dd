"""Laws of accounts by hand and of the view of the ledger: cash stays above zero, and every gatekeeper says what the engine's says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.accounting import (
    AccountState,
    CashAccountPolicy,
    Gatekeeper,
    LedgerAccount,
    LedgerGatekeeper,
    UnifiedAccountPolicy,
    Verdict,
)
from ml4t_backtest.config import BacktestConfig
from ml4t_backtest.contracts import AssetClass, ContractSpec
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.engine import Engine
from ml4t_backtest.execution import LinearImpact
from ml4t_backtest.handles import ORDER_REASONS, Order
from ml4t_backtest.lowering import CostModels, HostCalls, lower_terms
from ml4t_backtest.lowering.terms import Extras
from ml4t_backtest.models import PercentageCommission, PercentageSlippage, PerShareCommission, SpreadSlippage, VolumeShareSlippage
from ml4t_backtest.panels import Panels
from ml4t_backtest.store import Market, Store
from ml4t_backtest.strategy import Strategy
from ml4t_backtest.types import OrderReason, OrderStatus
from ml4t_kernels import gate
from ml4t_kernels.dtypes import order_dtype
from ml4t_kernels.ledger import Item

WHEN = datetime(2024, 1, 2, tzinfo=UTC)
ASSETS = ("A", "M", "ES")
SPECS = {
    "M": ContractSpec("M", multiplier=10.0),
    "ES": ContractSpec("ES", asset_class=AssetClass.FUTURE, multiplier=50.0, margin=700.0, maintenance_margin=600.0),
}
PRICES = st.floats(0.5, 300.0)
QUANTITIES = st.floats(-60.0, 60.0).filter(lambda quantity: abs(quantity) > 1e-6)


@dataclass
class Wish:
    asset: str
    quantity: float
    side: None = None


def ledger(config: BacktestConfig, account: AccountState, costs: CostModels) -> tuple[Store, Panels]:
    """A store in the state of an account by hand, on its first bar, and its panels."""
    one = np.full((1, len(ASSETS)), 100.0)
    market = Market(*(np.zeros(1, dtype=np.int64) for _ in range(3)), one, one, one, one, one * 10.0, bid=one - 0.5, ask=one + 0.5)
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), one)
    quotes = {"bid": one - 0.5, "ask": one + 0.5}
    panels = Panels(np.zeros(1, dtype=np.int64), [WHEN], ASSETS, prices, np.ones((1, len(ASSETS)), dtype=np.uint8), extras=quotes)
    hosts = HostCalls()
    store = Store(market, lower_terms(config, panels, costs, Extras(SPECS), hosts)[0], 1.0)
    hosts.store = store
    state = store.state[0]
    for place, (asset, position) in enumerate(account.positions.items()):
        row = store.positions[ASSETS.index(asset)]
        for name in ("quantity", "entry_price", "current_price", "basis"):
            row[name] = getattr(position, name)
        row["slot"] = place
        store.open_list[place] = ASSETS.index(asset)
    state["open_count"] = state["open_positions"] = len(account.positions)
    state["bar"] = state["row"] = 0
    state["cash"], state["equity"], state["unsettled"] = account.cash, account.total_equity, account.unsettled_cash
    state["short_value"] = account.shorts_value()
    for name in ("initial_requirement", "maintenance_requirement"):
        state[name] = getattr(account, name)
    return store, panels


def live(config: BacktestConfig, account: AccountState, **costs: Any) -> LedgerAccount:
    return LedgerAccount(*ledger(config, account, CostModels(**costs)), config, contract_specs=SPECS)


ORDERS = st.tuples(st.sampled_from(ASSETS), st.sampled_from(("all in", "part", "sell", "sell all", "any")), st.floats(0.0, 1.0), PRICES)


@given(
    st.floats(1.0, 1e6),
    st.lists(ORDERS, min_size=1, max_size=25),
    st.sampled_from((None, PercentageCommission(0.002), PerShareCommission(0.01, 2.0))),
    st.sampled_from((None, PercentageSlippage(0.001))),
)
def test_the_cash_of_a_cash_account_never_goes_below_zero(cash: float, orders: list[Any], commission: Any, slippage: Any) -> None:
    account = AccountState(cash, CashAccountPolicy(), SPECS)
    keeper = Gatekeeper(account, commission, slippage)
    paid = 0.0
    for asset, kind, part, price in orders:
        held, most = account.get_position_quantity(asset), account.cash / (price * account.terms_of(asset)["multiplier"])
        quantity = {"all in": most, "part": most * part, "sell": -held * part, "sell all": -held, "any": 100.0 * part - 50.0}[kind]
        if quantity == 0.0:
            continue
        fill_price, cost = keeper.costs(Wish(asset, quantity), price)
        if keeper.validate_order(Wish(asset, quantity), price)[0]:
            before = account.cash
            change = account.apply_fill(asset, quantity, fill_price, WHEN, commission=cost)
            assert math.isclose(before + change, account.cash, abs_tol=1e-9 * cash)
            paid += cost
        assert account.cash >= 0.0
        assert all(position.quantity > 0.0 for position in account.positions.values())
    assert paid >= 0.0


def account_of(config: BacktestConfig, fills: list[tuple[str, float, float]]) -> AccountState:
    """An account by hand that took every fill it may hold, whether it can pay for it or not."""
    account = AccountState(config.initial_cash, UnifiedAccountPolicy.from_config(config), SPECS)
    for asset, quantity, price in fills:
        if account.get_position_quantity(asset) + quantity >= 0.0 or account.policy.allows_short_selling():
            account.apply_fill(asset, quantity, price, WHEN)
    return account


CONFIGS = st.builds(
    lambda kind, policy, basis, buffer, hold: BacktestConfig(
        initial_cash=10_000.0,
        account_type=kind,
        short_cash_policy=policy,
        buying_power_basis=basis,
        cash_buffer_pct=buffer,
        settlement_reduces_buying_power=hold,
        commission_rate=0.001,
        slippage_type="none",
    ),
    st.sampled_from(("cash", "crypto", "margin")),
    st.sampled_from(("credit", "credit_proceeds", "lock_notional")),
    st.sampled_from(("initial", "maintenance")),
    st.sampled_from((0.0, 0.1)),
    st.booleans(),
)
FILLS = st.lists(st.tuples(st.sampled_from(ASSETS), QUANTITIES, PRICES), max_size=6)


@given(CONFIGS, FILLS, st.sampled_from(ASSETS), QUANTITIES, PRICES, st.sampled_from((0.0, 500.0)))
def test_by_hand_live_and_in_the_engine_the_gate_is_the_same(
    config: BacktestConfig, fills: list[tuple[str, float, float]], asset: str, quantity: float, price: float, unsettled: float
) -> None:
    account = account_of(config, fills)
    if unsettled:
        account.add_settlement_hold(unsettled, 9)
    view = live(config, account)
    column, store = ASSETS.index(asset), view._store
    commission = PercentageCommission(0.001)
    by_hand = Gatekeeper(
        account,
        commission,
        cash_buffer_pct=config.cash_buffer_pct,
        settlement_reduces_buying_power=config.settlement_reduces_buying_power,
    ).judge(Wish(asset, quantity), price)
    cost = commission.calculate(asset, quantity, price, account.terms_of(asset)["multiplier"])
    item = Item(np.zeros(1, dtype=order_dtype)[0], store.positions[column], store.contracts[column], None)
    code, need, have = gate.check_money(store.state[0], store.params[0], item, quantity, price, cost, store.params[0])
    assert LedgerGatekeeper(view).judge(Wish(asset, quantity), price) == by_hand
    assert (by_hand.ok, by_hand.reason, by_hand.need, by_hand.have) == (code == 0, ORDER_REASONS[code], need, have)
    assert view.total_equity == account.total_equity
    assert view.is_margin_call == account.is_margin_call
    assert view.policy == account.policy
    if not config.cash_buffer_pct and config.settlement_reduces_buying_power:
        assert view.buying_power == account.buying_power


@given(FILLS, PRICES)
def test_without_leverage_nothing_is_created_by_trading(fills: list[tuple[str, float, float]], price: float) -> None:
    account = account_of(BacktestConfig(initial_cash=10_000.0, account_type="crypto"), fills)
    account.mark_to_market(dict.fromkeys(ASSETS, price))
    multiplier = {asset: account.terms_of(asset)["multiplier"] for asset in ASSETS}
    profit = math.fsum((price - paid) * quantity * multiplier[asset] for asset, quantity, paid in fills)
    assert math.isclose(account.total_equity, 10_000.0 + profit, abs_tol=1e-6)


@given(FILLS, PRICES)
def test_margin_on_futures_gives_the_same_account_value_as_paying_in_full(fills: list[tuple[str, float, float]], price: float) -> None:
    values = []
    for kind in ("crypto", "margin"):
        account = account_of(BacktestConfig(initial_cash=10_000.0, account_type=kind), fills)
        account.mark_to_market(dict.fromkeys(ASSETS, price))
        values.append(account.total_equity)
    assert math.isclose(values[0], values[1], abs_tol=1e-6)


# The view of the ledger -------------------------------------------------------------------------------------------------


def test_the_view_reads_the_ledger_and_writes_nothing() -> None:
    config = BacktestConfig(initial_cash=10_000.0, account_type="margin")
    account = account_of(config, [("A", 20.0, 100.0), ("ES", -1.0, 100.0)])
    view = live(config, account)
    assert (view.cash, view.total_equity, view.unsettled_cash) == (8_000.0, 10_000.0, 0.0)
    assert (view.initial_requirement, view.maintenance_requirement, view.buying_power) == (1_700.0, 1_100.0, 16_600.0)
    assert view.get_position_quantity("ES") == -1.0
    assert view.get_position("M") is None
    assert view.facts_of("ES") == {"asset_class": AssetClass.FUTURE, "tick_size": 0.01, "volume": 1_000.0, "bid": 99.5, "ask": 100.5}
    view._store.state["cash"] = 7_000.0
    assert view.cash == 7_000.0
    for name in ("cash", "positions", "policy"):
        with pytest.raises(AttributeError):
            setattr(view, name, 1.0)
    with pytest.raises(AttributeError, match="no mark_to_market: positions are marked by the run"):
        view.mark_to_market({})
    with pytest.raises(AttributeError, match="did you mean 'buying_power'"):
        _ = view.buyingpower
    for ask in (view.get_position, view.get_position_quantity, view.terms_of):
        with pytest.raises(ValueError, match="unknown asset 'ESS'.*did you mean 'ES'"):
            ask("ESS")


class Fee:
    """A commission model of a user's own."""

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:
        if price > 1_000.0:
            raise LookupError(f"no fee for {asset} at {price}")
        return quantity * multiplier


class Drift:
    """Slippage and impact of a user's own, by what is asked."""

    def __init__(self, per_unit: float) -> None:
        self.per_unit = per_unit

    def calculate(self, *facts: Any) -> float:
        return self.per_unit


@pytest.mark.parametrize(
    ("costs", "wish", "volume", "expected"),
    [
        ({}, Wish("A", 100.0), None, (10.0, 0.0)),
        ({"slippage": VolumeShareSlippage(impact_factor=1.0)}, Wish("A", 100.0), None, (11.0, 0.0)),
        ({"slippage": VolumeShareSlippage(impact_factor=1.0)}, Wish("A", 100.0), 500.0, (12.0, 0.0)),
        ({"slippage": SpreadSlippage()}, Wish("A", -1.0), None, (9.5, 0.0)),
        ({"impact": LinearImpact(1.0), "slippage": PercentageSlippage(0.1)}, Wish("A", -100.0), None, (8.1, 0.0)),
        ({"commission": PerShareCommission(0.01, 2.0)}, Wish("M", -100.0), None, (10.0, 2.0)),
        ({"commission": PercentageCommission(0.01)}, Wish("M", 100.0), None, (10.0, 100.0)),
        ({"commission": Fee()}, Wish("M", -3.0), None, (10.0, 30.0)),
        ({"slippage": Drift(0.5), "impact": Drift(0.25)}, Wish("A", 3.0), None, (10.75, 0.0)),
    ],
)
def test_the_live_gatekeeper_takes_the_costs_of_the_run(
    costs: Any, wish: Wish, volume: float | None, expected: tuple[float, float]
) -> None:
    config = BacktestConfig(account_type="crypto", commission_type="none", slippage_type="none")
    view = live(config, account_of(config, []), **costs)
    assert LedgerGatekeeper(view).costs(wish, 10.0, volume) == pytest.approx(expected, rel=1e-15)
    models = {
        "commission_model": costs.get("commission"),
        "slippage_model": costs.get("slippage"),
        "market_impact_model": costs.get("impact"),
    }
    if "impact" not in costs or not isinstance(costs["impact"], Drift):
        assert Gatekeeper(view, **models).costs(wish, 10.0, volume) == LedgerGatekeeper(view).costs(wish, 10.0, volume)


def test_an_exception_of_a_cost_model_comes_through() -> None:
    config = BacktestConfig(initial_cash=10_000.0, slippage_type="none")
    keeper = LedgerGatekeeper(live(config, account_of(config, []), commission=Fee()))
    with pytest.raises(LookupError, match="no fee for A at 2000"):
        keeper.validate_order(Wish("A", 1.0), 2_000.0)
    assert keeper.validate_order(Wish("A", 100.0), 100.0) == (False, "Insufficient cash: need $10,000.00, have $9,900.00")
    with pytest.raises(ValueError, match="price=nan"):
        keeper.validate_order(Wish("A", 1.0), math.nan)


def test_the_live_gatekeeper_knows_the_settings_of_the_run() -> None:
    settings: dict[str, Any] = {"initial_cash": 10_000.0, "account_type": "crypto", "commission_type": "none", "slippage_type": "none"}
    free = live(BacktestConfig(**settings, skip_cash_validation=True), account_of(BacktestConfig(**settings), []))
    assert LedgerGatekeeper(free).judge(Wish("A", 1_000.0), 100.0) == (True, "", OrderReason.NONE, 0.0, 0.0)
    config = BacktestConfig(**settings, next_bar_simple_cash_check=True)
    plain = LedgerGatekeeper(live(config, account_of(config, [("A", -200.0, 100.0)])))
    assert plain.validate_order(Wish("A", 200.0), 160.0) == (True, "")
    assert plain.validate_order(Wish("A", 201.0), 150.0) == (False, "Insufficient cash (open cash check): it would leave $-150.00")
    assert plain.validate_order(Wish("M", 30.0), 100.0) == (True, "")
    assert plain.validate_order(Wish("M", -1_000.0), 100.0) == (True, "")


def test_a_config_with_equal_rates_has_a_policy() -> None:
    config = BacktestConfig(account_type="margin", initial_margin=1.0, maintenance_margin=1.0)
    policy = UnifiedAccountPolicy.from_config(config)
    assert (policy.initial_margin, policy.short_maintenance_margin) == (1.0, 1.0)
    with pytest.raises(ValueError, match="less than initial_margin"):
        UnifiedAccountPolicy(True, True, 1.0, 1.0)


# With the engine --------------------------------------------------------------------------------------------------------


class Asks(Strategy):
    """Asks the gatekeeper about every order it submits, and looks at the next bar whether it was right."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.asked: list[tuple[Order, Verdict]] = []
        self.counts = {True: 0, False: 0}

    def on_data(self, timestamp: datetime, data: Any, context: Any, broker: Any) -> None:
        view = LedgerAccount(broker._store, broker._panels, broker.config, broker._book, SPECS)
        assert view.total_equity == broker.get_account_value()
        for order, verdict in self.asked:
            row = broker._store.orders[int(order.order_id[4:]) - 1]
            assert (order.status is OrderStatus.FILLED) == verdict.ok
            assert verdict.ok or (verdict.reason, verdict.need, verdict.have) == (order.reason, row["need"], row["have"])
            self.counts[verdict.ok] += 1
        asset = str(self.random.choice(ASSETS))
        order = broker.submit_order(asset, float(self.random.uniform(-90.0, 90.0)))
        self.asked = [(order, LedgerGatekeeper(view).judge(order, data[asset]["close"]))]


@pytest.mark.parametrize("kind", ["cash", "crypto", "margin"])
@pytest.mark.parametrize(
    "settings", [{}, {"buying_power_basis": "maintenance", "short_cash_policy": "lock_notional", "cash_buffer_pct": 0.05}]
)
def test_the_engine_fills_what_the_gatekeeper_accepts(kind: str, settings: dict[str, Any]) -> None:
    walk = 100.0 * np.exp(np.random.default_rng(7).normal(0.0, 0.02, (80, len(ASSETS))).cumsum(axis=0))
    rows = {
        "timestamp": [WHEN + timedelta(days=bar) for bar in range(80) for _ in ASSETS],
        "asset": ASSETS * 80,
        "close": walk.ravel(),
        "volume": np.full(walk.size, 1_000.0),
    }
    config = BacktestConfig(initial_cash=20_000.0, account_type=kind, execution_mode="same_bar", margin_call="ignore", **settings)
    strategy = Asks(11)
    Engine(DataFeed(prices_df=pl.DataFrame(rows)), strategy, config, slippage_model=PercentageSlippage(0.002), contract_specs=SPECS).run()
    assert min(strategy.counts.values()) >= 5
