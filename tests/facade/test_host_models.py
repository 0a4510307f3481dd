"""Cost models of the user's own in a run: objects with calculate(...), compiled functions, and what happens when one fails."""

from __future__ import annotations

import math
from typing import Any

import numba
import pytest

from ml4t_backtest import BacktestConfig, ContractSpec, Engine
from ml4t_backtest.execution import ExecutionResult
from ml4t_backtest.risk import PositionAction
from tests.facade.feeds import feed
from tests.facade.play import Plays, bars_feed, buy, play

SEEN: list[tuple[Any, ...]] = []
SPEC: dict[str, Any] = {"contract_specs": {"A": ContractSpec("A", multiplier=5)}}


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


class Fee:
    """Takes everything there is to know."""

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:
        SEEN.append((asset, quantity, price, multiplier))
        return 1.5


class PlainFee:
    """Takes the three arguments that every model takes."""

    def calculate(self, asset: str, quantity: float, price: float) -> float:
        SEEN.append((asset, quantity, price))
        return 0.01 * quantity * price


class Spread:
    """Slippage by volume."""

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:
        SEEN.append((asset, quantity, price, volume))
        return 0.25


class PlainSpread:
    """Slippage that needs no volume."""

    def calculate(self, asset: str, quantity: float, price: float) -> float:
        SEEN.append((asset, quantity, price))
        return 0.5


class Push:
    """Impact: a price per unit for the side."""

    def calculate(self, quantity: float, price: float, volume: float | None, is_buy: bool) -> float:
        SEEN.append((quantity, price, volume, is_buy))
        return 0.1 if is_buy else 0.2


class Half:
    """Fills half of what is left."""

    def calculate(self, quantity: float, volume: float | None, price: float) -> ExecutionResult:
        SEEN.append((quantity, volume, price))
        return ExecutionResult(quantity / 2, quantity / 2, price)


# What models are asked ----------------------------------------------------------------------------------------------------------


def test_a_commission_object_gets_unsigned_quantities_and_the_multiplier() -> None:
    run = play([10, 10, 11], {0: buy(4), 1: buy(-4)}, commission_model=Fee(), **SPEC)
    assert set(SEEN) == {("A", 4, 10, 5), ("A", 4, 11, 5)}
    assert [fill.commission for fill in run.result.fills] == [1.5, 1.5]
    assert run.cash[-1] == 10_000 + 20 - 3


def test_models_may_take_fewer_arguments() -> None:
    run = play([10, 10, 11], {0: buy(4), 1: buy(-4)}, commission_model=PlainFee(), slippage_model=PlainSpread())
    assert [(fill.price, fill.slippage, round(fill.commission, 9)) for fill in run.result.fills] == [(10.5, 0.5, 0.42), (10.5, 0.5, 0.42)]
    assert ("A", 4, 10) in SEEN  # slippage sees the price before it, the commission the price after
    assert ("A", 4, 10.5) in SEEN


def test_a_slippage_object_gets_the_volume_of_the_bar_and_none_without() -> None:
    run = play([10, (10, 10, 10, 10, 300), 10], {0: buy(4), 1: buy(-4)}, slippage_model=Spread())
    assert SEEN == [("A", 4, 10, 300), ("A", 4, 10, 1000)]
    assert [deal[2] for deal in run.deals] == [10.25, 9.75]
    SEEN.clear()
    Engine(feed({"A": [10, 10]}), Plays({0: buy(4)}), slippage_model=Spread()).run()
    assert SEEN == [("A", 4, 10, None)]


def test_an_impact_object_gets_the_side_and_moves_against_it() -> None:
    run = play([10, 10, 10], {0: buy(4), 1: buy(-4)}, market_impact_model=Push())
    assert SEEN == [(4, 10, 1000, True), (4, 10, 1000, False)]
    assert [(deal[2], round(fill.slippage, 9)) for deal, fill in zip(run.deals, run.result.fills, strict=True)] == [(10.1, 0.1), (9.8, 0.2)]


def test_impact_comes_before_slippage() -> None:
    run = play([10, 10], {0: buy(4)}, market_impact_model=Push(), slippage_model=PlainSpread())
    assert run.deals == [(1, 4, 10.6)]
    assert ("A", 4, 10.1) in SEEN


def test_an_object_of_limits_says_what_a_bar_fills() -> None:
    run = play([10] * 4, {0: buy(8)}, execution_limits=Half())
    assert run.deals == [(1, 4, 10), (2, 2, 10), (3, 1, 10)]
    assert SEEN == [(8, 1000, 10), (4, 1000, 10), (2, 1000, 10)]


@pytest.mark.parametrize(("answer", "fills"), [(0.0, []), (3.0, [(1, 3, 10), (2, 3, 10), (3, 2, 10)]), (99.0, [(1, 8, 10)])])
def test_a_function_of_limits(answer: float, fills: list[Any]) -> None:
    assert play([10] * 4, {0: buy(8)}, execution_limits=lambda asset, quantity, volume, price: answer).deals == fills


def test_models_may_stand_in_the_config() -> None:
    config = BacktestConfig(commission_model=PlainFee(), slippage_model=PlainSpread(), execution_mode="next_bar")
    engine = Engine(bars_feed([10, 10]), Plays({0: buy(4)}), config)
    assert [(fill.price, round(fill.commission, 9)) for fill in engine.run().fills] == [(10.5, 0.42)]


# Compiled functions --------------------------------------------------------------------------------------------------------------


@numba.njit
def fee(asset: int, quantity: float, price: float, multiplier: float) -> float:
    return asset + 0.01 * quantity * price * multiplier


@numba.njit
def slip(asset: int, quantity: float, price: float, volume: float) -> float:
    return 0.25 + 0.25 * asset


@numba.njit
def push(side: int, quantity: float, price: float, volume: float) -> float:
    return 0.1 if side > 0 else 0.2


def test_compiled_functions_take_the_column_and_three_numbers() -> None:
    bars: dict[str, Any] = {"A": [10, 10, 10], "B": [20, 20, 20]}
    actions: dict[int, Any] = {0: [buy(4), buy(2, "B")], 1: buy(-4)}
    run = play(bars, actions, commission_model=fee, slippage_model=slip, market_impact_model=push, **SPEC)
    got = [(fill.asset, round(fill.price, 9), round(fill.commission, 9)) for fill in run.result.fills]
    assert got == [("A", 10.35, 2.07), ("B", 20.6, 1.412), ("A", 9.55, 1.91)]


def test_plain_functions_do_as_well() -> None:
    run = play([10, 10], {0: buy(4)}, commission_model=lambda asset, quantity, price, multiplier: 2.0)
    assert run.result.fills[0].commission == 2


# Failures --------------------------------------------------------------------------------------------------------------------------


class Failing:
    """Fails on the second call, in the way that it was made for."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.calls = answer, 0

    def calculate(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls < 2:
            return self.ok(*arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def ok(self, *_: Any) -> Any:
        """The answer of the first call."""
        return 1.0


class FailingLimits(Failing):
    """Limits that fail."""

    def ok(self, *arguments: Any) -> Any:
        return ExecutionResult(arguments[0], 0.0, 1.0)


MODELS: list[tuple[str, type[Failing]]] = [
    ("commission_model", Failing),
    ("slippage_model", Failing),
    ("market_impact_model", Failing),
    ("execution_limits", FailingLimits),
]


def broken(argument: str, model: Any, **more: Any) -> Engine:
    """Return an engine that buys 4 on bar 1, and 4 more on bar 2, where the model fails."""
    actions: dict[int, Any] = {0: buy(4), 1: [buy(4), buy(4, "B")]}
    arguments: dict[str, Any] = {argument: model, **more}
    bars = {"A": [10, 10, 10, 10], "B": [20, 20, 20, 20]}
    return Engine(bars_feed(bars), Plays(actions), initial_cash=10_000, execution_mode="next_bar", **arguments)


def check_ledger(engine: Engine, price: float, paid: float) -> None:
    """Check that the run stands where it was before the fill that failed."""
    result = engine.result
    assert result.status == "failed"
    assert [(fill.asset, fill.quantity, fill.price, fill.commission) for fill in result.fills] == [("A", 4, price, paid)]
    assert len(result.equity_curve) == 3
    assert engine.broker.cash == 10_000 - 4 * price - paid
    assert engine.broker.account_value == 10_000 - 4 * price - paid + 40
    assert engine.broker.positions["A"].quantity == 4
    assert [order.status.value for order in engine.broker.orders] == ["filled", "pending", "pending"]


@pytest.mark.parametrize(("argument", "kind"), MODELS)
def test_an_exception_of_a_model_is_raised_as_it_is_and_the_ledger_is_whole(argument: str, kind: type[Failing]) -> None:
    engine = broken(argument, kind(ZeroDivisionError("no volume")))
    with pytest.raises(ZeroDivisionError, match="no volume") as caught:
        engine.run()
    notes = "\n".join(caught.value.__notes__)
    assert f"raised in {kind.__name__}.calculate for 'A' at 2024-01-03 00:00:00" in notes
    assert "bar 2 (2024-01-03 00:00:00); engine.result holds the run up to there" in notes
    check_ledger(engine, *{"commission_model": (10, 1), "execution_limits": (10, 0)}.get(argument, (11, 0)))


@pytest.mark.parametrize(("argument", "kind"), MODELS[:3])
@pytest.mark.parametrize("answer", [math.nan, math.inf, None, "1"])
def test_an_answer_that_is_no_finite_number_names_the_model(argument: str, kind: type[Failing], answer: Any) -> None:
    engine = broken(argument, kind(answer))
    with pytest.raises(
        ValueError, match=rf"Failing.calculate returned {answer!r} for 'A' at 2024-01-03 00:00:00: expected a finite number"
    ):
        engine.run()
    check_ledger(engine, *((10, 1) if argument == "commission_model" else (11, 0)))


def test_limits_that_return_no_result_name_the_model() -> None:
    engine = broken("execution_limits", FailingLimits(7.0))
    with pytest.raises(TypeError, match=r"FailingLimits.calculate returned 7.0, expected an ExecutionResult\(fillable_quantity"):
        engine.run()
    check_ledger(engine, 10, 0)
    with pytest.raises(ValueError, match="FailingLimits.calculate returned nan for 'A' at .*: expected a finite number"):
        broken("execution_limits", FailingLimits(ExecutionResult(math.nan, 0.0, 1.0))).run()


@pytest.mark.parametrize("limits", [FailingLimits(ExecutionResult(-1.0, 0.0, 1.0)), lambda *_: -1.0])
def test_limits_never_turn_an_order(limits: Any) -> None:
    engine = broken("execution_limits", limits)
    with pytest.raises(ValueError, match=r"lets -1.0 units fill, expected a number >= 0"):
        engine.run()
    assert all(fill.quantity == 4 for fill in engine.result.fills)


@numba.njit
def sometimes(asset: int, quantity: float, price: float, multiplier: float) -> float:
    return math.nan if asset == 1 else 1.0


def test_a_compiled_function_that_answers_nan_is_named() -> None:
    engine = broken("commission_model", sometimes)
    with pytest.raises(ValueError, match=r"commission_model returned nan for 'B' at 2024-01-03 00:00:00: expected a finite number"):
        engine.run()
    assert [fill.asset for fill in engine.result.fills] == ["A", "A"]


@pytest.mark.parametrize("setting", ["next_bar_submission_precheck", "buying_power_reservation"])
def test_a_commission_that_fails_at_submission(setting: str) -> None:
    engine = broken("commission_model", Failing(ZeroDivisionError("no rate")), **{setting: True})
    with pytest.raises(ZeroDivisionError, match="no rate") as caught:
        engine.run()
    # the first call is at the submission of the first order, the second at its fill
    assert "raised in Failing.calculate for 'A' at 2024-01-02 00:00:00" in caught.value.__notes__
    with pytest.raises(ValueError, match="commission_model returned nan for 'B' at 2024-01-02 00:00:00: expected a finite number"):
        broken("commission_model", sometimes, **{setting: True}).run()


def test_a_model_that_fails_while_the_run_closes_its_positions() -> None:
    engine = broken("commission_model", Failing(ZeroDivisionError()), close_at_end=True)
    engine.strategy = Plays({0: buy(4)})
    with pytest.raises(ZeroDivisionError):
        engine.run()
    assert engine.result.status == "failed"
    assert engine.broker.positions["A"].quantity == 4


class BadRule:
    """A position rule that fails or answers nonsense."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def evaluate(self, state: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_rule_that_fails_is_named() -> None:
    for answer, kind, message in (
        (RuntimeError("broken"), RuntimeError, "broken"),
        (True, TypeError, r"BadRule.evaluate\(\) returned True, expected a PositionAction"),
        (
            PositionAction.exit_full(fill_price=math.nan),
            ValueError,
            r"BadRule.evaluate\(\) gave fill_price nan, expected a finite number or None",
        ),
    ):
        rule = BadRule(answer)
        strategy = Plays({0: [buy(4), lambda broker, rule=rule: broker.set_position_rules(rule)]})  # type: ignore[misc]
        engine = Engine(bars_feed([10, 10, 10, 10]), strategy, execution_mode="next_bar")
        with pytest.raises(kind, match=message) as caught:
            engine.run()
        assert "raised in BadRule.evaluate for 'A' at 2024-01-03 00:00:00" in caught.value.__notes__
        assert engine.result.status == "failed"
        assert engine.broker.positions["A"].quantity == 4


@pytest.mark.parametrize(
    ("argument", "model", "message"),
    [
        ("commission_model", 0.001, "commission_model was 0.001, expected an object with calculate"),
        ("commission_model", Fee, r"commission_model was <class .*Fee'>, .*: Fee\(...\)"),
        ("slippage_model", "fixed", "slippage_model was 'fixed', expected an object with calculate"),
        ("market_impact_model", 0.1, "market_impact_model was 0.1, expected an object with calculate"),
        ("execution_limits", 0.1, "execution_limits was 0.1, expected an object with calculate"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_runs(argument: str, model: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        play([10], {}, **{argument: model})
