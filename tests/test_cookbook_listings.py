"""The listings at the end of docs/cookbook.md are true: names, arguments and defaults are those of the code."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

import ml4t_backtest as bt
from tests.recipes import ASSETS, LISTINGS, Regular, engine_of, price_frame, run_block, run_live, times, usual_names

DEFAULT = re.compile(r"^    (\w+): ([^=#]+?)(?: = (.+?))?,(?:  #.*)?$", flags=re.MULTILINE)


def test_engine_listing() -> None:
    listed = DEFAULT.findall(LISTINGS["Engine"])
    assert [name for name, _, _ in listed[:2]] == ["datafeed", "strategy"]
    names = usual_names()
    defaults = {name: eval(text, names) for name, _, text in listed[2:]}
    assert set(defaults) >= {
        "initial_cash",
        "account_type",
        "execution_mode",
        "commission_model",
        "execution_limits",
        "market_impact_model",
    }
    given = bt.Engine(datafeed=names["feed"], strategy=Regular(), **defaults).run()
    assert given.to_trades_dataframe().equals(bt.Engine(names["feed"], Regular()).run().to_trades_dataframe())
    for name in ("initial_cash", "account_type", "initial_margin", "execution_mode"):
        assert getattr(bt.Engine(names["feed"], Regular()).config, name) == defaults[name]


def test_strategy_listing() -> None:
    names = {**usual_names(), "Strategy": None}
    run_block(LISTINGS["Strategy"], names)
    for method in ("on_start", "on_data", "on_end"):
        assert list(inspect.signature(getattr(names["Strategy"], method)).parameters) == list(
            inspect.signature(getattr(bt.Strategy, method)).parameters
        )


def test_broker_listing() -> None:
    lines = [line.partition("#")[0].strip() for line in LISTINGS["Broker"].splitlines() if line.startswith("broker.")]
    calls = [line for line in lines if "->" not in line]
    for line in calls:
        call = ast.parse(line, mode="eval").body
        assert isinstance(call, ast.Call)
        method = getattr(bt.Broker, call.func.attr)  # type: ignore[attr-defined]
        wanted = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
        assert list(inspect.signature(method).parameters)[1 : len(wanted) + 1] == wanted
    queries = [line.partition("->") for line in lines if "->" in line]
    _, values, _ = run_live("\n".join(query.strip() for query, _, _ in queries))
    position, account_value, cash, positions, pending = values
    assert isinstance(position, bt.Position)
    assert isinstance(account_value, float)
    assert isinstance(cash, float)
    assert list(positions) == ["AAPL"]
    assert [type(order) for order in pending] == [bt.Order]
    run_live("\n".join(calls))


def test_datafeed_listing() -> None:
    constructor, loop = LISTINGS["DataFeed"].split("# Iterate\n")
    signature = inspect.signature(bt.DataFeed)
    listed = DEFAULT.findall(constructor)
    assert [name for name, _, _ in listed] == list(signature.parameters)[: len(listed)]
    assert all(signature.parameters[name].default is None and default == "None" for name, _, default in listed)
    names = usual_names()
    run_block(loop, names)
    assert names["timestamp"] == times()[-1]
    assert set(names["data"]) == set(ASSETS)
    assert names["data"]["AAPL"]["close"] == price_frame().filter(asset="AAPL")["close"][-1]
    assert names["context"] == {}


def test_trade_listing() -> None:
    trade = engine_of(commission_model=bt.PerShareCommission(0.01)).run().trades[0]
    asset, entry_time, exit_time, entry_price, exit_price, quantity, pnl, pnl_pct, bars_held, commission, slippage = run_block(
        LISTINGS["Trade"], {"trade": trade}
    )
    assert (asset, entry_time, entry_price, quantity, slippage) == ("AAPL", times()[0], 150.0, 100.0, 0.0)
    assert exit_time == times()[bars_held]
    assert commission == pytest.approx(2.0)
    assert pnl == pytest.approx((exit_price - entry_price) * quantity - commission)
    assert pnl_pct == pytest.approx(exit_price / entry_price - 1)


def test_every_listing_is_tested() -> None:
    # Position and Order run with the recipes of a strategy.
    assert set(LISTINGS) == {"Engine", "Strategy", "Broker", "DataFeed", "Position", "Order", "Trade"}
