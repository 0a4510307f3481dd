"""What went wrong in a compiled strategy, in words: refused verbs, and code that does not compile."""

from __future__ import annotations

import inspect
import linecache
import re
from typing import Any

from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_kernels.codes import Refusal

__all__ = ["StrategyCompileError", "compile_error", "refusal_text"]

_TEXTS = {
    Refusal.HOST_FAILED: "a request of the strategy failed",
    Refusal.UNKNOWN_ASSET: "the asset is no column of the feed; columns are 0 to ctx.n_assets - 1",
    Refusal.UNKNOWN_ORDER: "no order has this id; ids are what submit verbs return",
    Refusal.UNKNOWN_TYPE: "order_type or time_in_force is no code of OrderType or TimeInForce",
    Refusal.BAD_QUANTITY: "quantity has to be a finite number; all that the account can pay (inf) needs cash_ledger='free_cash'",
    Refusal.BAD_PRICE: "a price has to be a finite number",
    Refusal.BAD_WEIGHT: "weight has to be a finite number",
    Refusal.BAD_VALUE: "value has to be a finite number",
    Refusal.BAD_FRACTION: "fraction has to be in (0, 1]",
    Refusal.BAD_CASH_FRACTION: "fraction has to be from -1 to 1",
    Refusal.BAD_DISPLAYED: "displayed_quantity has to be a finite number > 0",
    Refusal.BAD_TRAIL: "trail_amount and trail_percent have to be finite numbers > 0",
    Refusal.BAD_GOOD_TILL: "good_till belongs to time_in_force GTD",
    Refusal.NEEDS_LIMIT: "an order of this type needs a limit_price",
    Refusal.NEEDS_STOP: "an order of this type needs a stop_price",
    Refusal.NEEDS_TRAIL: "a trailing stop needs one of trail_amount and trail_percent",
    Refusal.TAKES_NO_LIMIT: "an order of this type takes no limit_price",
    Refusal.TAKES_NO_STOP: "an order of this type takes no stop_price",
    Refusal.TAKES_NO_TRAIL: "an order of this type takes no trail",
    Refusal.ALL_IS_PLAIN: "an order for all that the account can pay is a plain market order, without parent, group and terms",
    Refusal.NOT_FREE_CASH: "order_cash_percent needs cash_ledger='free_cash'",
    Refusal.BAD_BRACKET: "take_profit and stop_loss have to stand on the two sides of the reference price, unless validate_prices=False",
    Refusal.BAD_UPDATE: "quantity of an order has to be a finite number above what is filled",
    Refusal.FILLED_ALREADY: "the new quantity of the order leaves nothing to fill",
    Refusal.NO_QUANTITY: "the order is for all that the account can pay and has no quantity to change",
    Refusal.WRONG_LENGTH: "the array has to have one number for each asset",
    Refusal.SHORT_WINDOW: "the length of a window has to be at least 1",
    Refusal.BEFORE_START: "there are no prices and signals in init: it runs before the first bar",
    Refusal.UNKNOWN_SIGNAL: "the feed has no signal of this number",
}


def refusal_text(number: int) -> str | None:
    """Return what a refusal means, None for a number that is none."""
    return _TEXTS.get(Refusal(number)) if number in list(Refusal) else None


class StrategyCompileError(TypeError):
    """A strategy's function does not compile. `details` holds all that the compiler said."""

    def __init__(self, message: str, details: str) -> None:
        super().__init__(message)
        self.details = details


def compile_error(
    function: Any, error: BaseException, signals: tuple[str, ...], inputs: tuple[str, ...], verbs: list[str]
) -> StrategyCompileError:
    """Return an error that shows the user's line and what is wrong with it.

    function: of the user. error: the compiler's. signals, inputs: names that the strategy may use. verbs: what its context answers.
    """
    details = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    plain = getattr(function, "py_func", function)
    source = inspect.getsourcefile(plain) or plain.__code__.co_filename
    lines = [int(line) for file, line in re.findall(r'File "([^"]+)", line (\d+)', details) if _same_file(file, source)]
    lines = lines or _lines_with(plain, re.search(r"name '(\w+)' is not defined", details))
    where = f"{source}, line {lines[-1]}" if lines else source
    shown = linecache.getline(source, lines[-1]).strip() if lines else ""
    return StrategyCompileError(
        f"{plain.__name__} does not compile. {where}" + (f": `{shown}`\n" if shown else "\n") + _reason(details, signals, inputs, verbs),
        details,
    )


def _lines_with(function: Any, name: re.Match[str] | None) -> list[int]:
    """Return the number of the first line of a function that has a name, for errors that do not say where they are."""
    if name is None:
        return []
    try:
        text, first = inspect.getsourcelines(function)
    except OSError:
        return []
    return [number for number, line in enumerate(text, first) if re.search(rf"\b{name[1]}\b", line)][:1]


def _same_file(file: str, source: str) -> bool:
    return source.endswith(file.removeprefix("..").lstrip("./\\")) or file == source


def _reason(details: str, signals: tuple[str, ...], inputs: tuple[str, ...], verbs: list[str]) -> str:
    """Return what the compiler found, in the words of a strategy where that can be told."""
    unknown = re.search(r"\[unknown (signal|input)\] '([^']*)'", details)
    if unknown:
        known = signals if unknown[1] == "signal" else inputs
        return f"there is no {unknown[1]} {unknown[2]!r}, only {shortened(known)}{did_you_mean(unknown[2], known)}"
    attribute = re.search(r"Unknown attribute '(\w+)' of type (ml4t_context|Params|State|\w+)", details)
    if attribute:
        owner, choices = {"ml4t_context": ("ctx", verbs)}.get(attribute[2], (attribute[2], re.findall(r"'?(\w+)=", details)))
        return f"{owner} has no {attribute[1]!r}{did_you_mean(attribute[1], choices)}"
    name = re.search(r"NameError: name '(\w+)' is not defined|Untyped global name '([^']+)'", details)
    if name:
        return (
            f"the name {(name[1] or name[2])!r} is not known to compiled code: numbers, tuples, numpy and functions compiled with numba are"
        )
    for line in reversed(details.splitlines()):
        text = line.strip()
        if text and not text.startswith(("File ", "During:", "^", "-", "<source", "This error", "[", "def ")) and "Enable" not in text:
            return text.removeprefix("- ")
    return details.strip().splitlines()[0] if details.strip() else "the compiler gave no reason"
