"""What was held at the end of each bar, against the account's own identity and against the positions that the strategy saw."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t_backtest import BacktestResult, ContractSpec, DataFeed, Engine
from ml4t_backtest.analytics import exposure as module
from tests.analytics.runs import made, random_prices, random_run, trade_at_random
from tests.facade.feeds import Calls


def net_by_cash(result: Any) -> Any:
    """Return the value of all positions per bar from the account's books: account value less cash."""
    frame = result.to_equity_dataframe()
    return (frame["equity"] - frame["cash"]).to_numpy()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block", [1, 1 << 21])
def test_net_exposure_is_account_value_less_cash(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    result = random_run(seed, short=seed % 2 == 1, missing=0.2)
    frame = result.exposure()
    np.testing.assert_allclose(frame["net"].to_numpy(), net_by_cash(result), atol=1e-7)
    np.testing.assert_array_equal(frame["gross"], frame["long"] - frame["short"])
    assert (frame["short"] <= 0.0).all()
    assert (frame["long"] >= 0.0).all()
    assert bool((frame["short"] < 0.0).any()) == (seed % 2 == 1)
    assert frame["leverage"].to_numpy() == pytest.approx(frame["gross"].to_numpy() / result.to_equity_dataframe()["equity"].to_numpy())


def test_positions_are_those_that_the_strategy_saw() -> None:
    seen: list[tuple[float, int]] = []
    decide = trade_at_random(7, short=True)

    def watch(bar: int, data: Any, broker: Any) -> None:
        held = broker.positions
        seen.append((sum(abs(position.quantity) for position in held.values()), len(held)))
        decide(bar, data, broker)

    # orders trade on the next bar's open, so what the strategy sees is what the bar ends with
    result = made(random_prices(7), watch, account_type="margin", execution_mode="next_bar")
    assert result.exposure()["num_positions"].to_list() == [count for _, count in seen]
    assert max(count for _, count in seen) == 2


def test_futures_count_with_their_notional() -> None:
    specs = {name: ContractSpec(symbol=name, asset_class="future", multiplier=50.0, margin=500.0) for name in ("A", "B")}
    result = random_run(3, short=True, account_type="futures", initial_cash=1e6, contract_specs=specs)
    frame, held, prices = result.exposure(), {}, {}
    fills = result.to_fills_dataframe()
    for row in range(len(frame)):
        when = frame["timestamp"][row]
        for fill in fills.filter(pl.col("timestamp") == when).iter_rows(named=True):
            held[fill["asset"]] = fill["position"]
        for bar in random_prices(3).filter(pl.col("timestamp") == when).iter_rows(named=True):
            prices[bar["symbol"]] = bar["close"]
        gross = sum(abs(quantity * prices[asset] * 50.0) for asset, quantity in held.items())
        assert frame["gross"][row] == pytest.approx(gross)
    assert frame["gross"].max() > 1e5


@pytest.mark.parametrize("by_frame", [False, True])
@pytest.mark.parametrize("lots", [False, True])
def test_splits_convert_what_is_held(by_frame: bool, lots: bool) -> None:
    frame = random_prices(5, bars=120, missing=0.3)
    days = frame.filter(pl.col("symbol") == "A")["timestamp"]
    ratios = {days[20]: 2.0, days[50]: 0.3, days[51]: 3.0}
    factor = pl.lit(1.0)
    for when, ratio in ratios.items():
        factor = pl.when((pl.col("symbol") == "A") & (pl.col("timestamp") >= when)).then(factor / ratio).otherwise(factor)
    frame = frame.with_columns((pl.col(name) * factor).alias(name) for name in ("open", "high", "low", "close"))
    events = pl.DataFrame({"timestamp": list(ratios), "asset": ["A"] * 3, "kind": ["split"] * 3, "value": list(ratios.values())})
    extra: dict[str, Any] = {"events": events} if by_frame else {}
    if not by_frame:
        rows = pl.DataFrame({"timestamp": list(ratios), "symbol": ["A"] * 3, "split": list(ratios.values())})
        frame = frame.join(rows, on=["timestamp", "symbol"], how="left")

    def decide(bar: int, data: Any, broker: Any) -> None:
        if "A" in data and broker.get_position("A") is None and bar < 40:
            broker.submit_order("A", 37)
        if bar == 90:
            broker.close_position("A")

    share = "integer" if lots else "fractional"
    result = Engine(DataFeed(frame), Calls(decide), initial_cash=50_000.0, share_type=share, **extra).run()
    assert len(result.trades) == (2 if lots else 1)
    np.testing.assert_allclose(result.exposure()["net"].to_numpy(), net_by_cash(result), atol=1e-7)


def saved_before(result: Any, folder: Any) -> BacktestResult:
    """Save a result as versions did that kept no exposure, and read it."""
    paths = result.to_parquet(folder / "run")
    pl.read_parquet(paths["equity"]).drop("long", "short", "num_positions").write_parquet(paths["equity"])
    manifest = folder / "run" / "manifest.json"
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**values, "schema_version": 1, "files": list(values["files"])}))
    return BacktestResult.from_parquet(folder / "run")


def test_exposure_is_saved(tmp_path: Any) -> None:
    result = random_run(2, short=True)
    result.to_parquet(tmp_path / "run")
    loaded = BacktestResult.from_parquet(tmp_path / "run")
    assert loaded.exposure().equals(result.exposure())
    assert loaded.statistics["avg_leverage"] == result.statistics["avg_leverage"] > 0.0


def test_without_prices_only_the_number_of_positions_is_known(tmp_path: Any) -> None:
    result = random_run(2, short=True)
    loaded = saved_before(result, tmp_path)
    frame = loaded.exposure()
    assert frame["num_positions"].to_list() == result.exposure()["num_positions"].to_list()
    assert all(frame[name].null_count() == len(frame) for name in ("long", "short", "gross", "net", "leverage"))
    assert loaded.statistics["time_in_market"] == result.statistics["time_in_market"] > 0.0
    assert math.isnan(loaded.statistics["avg_leverage"])
    assert loaded.turnover().equals(result.turnover())
    assert loaded.costs("asset").equals(result.costs("asset"))
    assert loaded.trade_statistics("asset").equals(result.trade_statistics("asset"))


def test_without_prices_the_books_of_a_cash_account_say_what_was_held(tmp_path: Any) -> None:
    result = random_run(2)
    known, loaded = result.exposure(), saved_before(result, tmp_path).exposure()
    for name in ("long", "gross", "net", "leverage"):
        np.testing.assert_allclose(loaded[name].to_numpy(), known[name].to_numpy(), rtol=1e-9, atol=1e-9)
    assert loaded["short"].to_list() == [0.0] * 300
    assert (loaded["long"] == 0.0).sum() == (known["num_positions"] == 0).sum()


def test_leverage_on_no_value_is_infinite() -> None:
    times = np.arange(3, dtype=np.int64) * 86_400_000_000_000
    held = module.Exposure(np.array([100.0, 50.0, 0.0]), np.array([-20.0, 0.0, 0.0]), np.array([2, 1, 0]))
    frame = module.exposure_frame(held, times, np.array([60.0, 0.0, -10.0]), None)
    assert frame["leverage"].to_list() == [2.0, math.inf, 0.0]


def test_a_bankrupt_account() -> None:
    closes = [100.0, 100.0, 160.0, 220.0]
    frame = random_prices(1, bars=4, assets=("A",)).with_columns(pl.Series(name, closes) for name in ("open", "high", "low", "close"))

    def short_once(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", -19)

    result = made(frame, short_once, account_type="margin", initial_cash=1_000.0)
    assert result["final_value"] < 0.0
    assert math.isnan(result.statistics["stability"])
    assert result.statistics["cagr"] == -1.0
    assert result.statistics["max_drawdown"] == result["max_drawdown"] > 1.0
    assert result.turnover()["turnover"].null_count() == 1
    assert all(isinstance(value, float) for value in result.statistics.values())


def test_turnover_is_half_of_what_traded() -> None:
    result = random_run(4, short=True)
    frame, fills = result.turnover(), result.to_fills_dataframe()
    assert len(frame) == len(result.equity_curve)
    assert frame["traded"].sum() == pytest.approx((fills["quantity"] * fills["price"]).sum())
    assert frame["num_fills"].sum() == len(fills)
    bought = fills.filter(pl.col("side") == "buy")
    assert frame["bought"].sum() == pytest.approx((bought["quantity"] * bought["price"]).sum())
    equity = result.to_equity_dataframe()["equity"]
    assert frame["turnover"].to_numpy() == pytest.approx((frame["traded"] / 2.0 / equity).to_numpy())
    years = (result.equity_curve[-1][0] - result.equity_curve[0][0]).days / 365.25
    assert result.statistics["annual_turnover"] == pytest.approx(frame["traded"].sum() / 2.0 / equity.mean() / years)
