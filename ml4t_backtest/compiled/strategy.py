"""`CompiledStrategy`: a compiled function as a strategy."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ml4t_backtest.compiled.bundles import as_bundle, as_values, fit
from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["CompiledStrategy"]


class CompiledStrategy:
    """A strategy whose turn is a function compiled with numba: `Engine(feed, CompiledStrategy(on_bar, params={"window": 20}))`.

        @njit
        def on_bar(ctx, params):
            for asset in range(ctx.n_assets):
                signal = ctx.signal("prediction")[asset]
                if ctx.position(asset) == 0.0 and signal > params.threshold:
                    ctx.submit_market(asset, 100.0)
                elif ctx.position(asset) > 0.0 and signal < 0.0:
                    ctx.close_position(asset)

    on_bar: function (ctx, params), or (ctx, params, state) with `state`; called once a bar, after the bar's first fills, as `on_data`. A
    plain function is compiled with numba's defaults. `ctx` reads and orders as docs/compiled.md lists. params: numbers, booleans and
    arrays by name, read as `params.name`. init: function of the same arguments, called once before the first bar. state: arrays of the
    strategy's own, a dict, or a function (number of assets, params) that makes one; every run gets fresh copies. signals: names in the
    order of their numbers, all of the feed's without. rules: position rules that `ctx.set_position_rule` sets by number, or a function
    of the parameters that makes them. inputs: names that rules read and `ctx.set_rule_input` sets. debug: run uncompiled, under a
    debugger, with the same results.

    The first run compiles the function, later ones with the same kinds of parameters do not; it is never cached on disk. Raises TypeError
    for functions of other arguments and for parameters that are no numbers.
    """

    def __init__(
        self,
        on_bar: Callable[..., Any],
        params: Any = None,
        *,
        init: Callable[..., Any] | None = None,
        state: Mapping[str, Any] | Callable[..., Mapping[str, Any]] | None = None,
        signals: Sequence[str] | None = None,
        rules: Sequence[Any] | Callable[..., Sequence[Any]] = (),
        inputs: Sequence[str] = (),
        debug: bool = False,
    ) -> None:
        self.on_bar = on_bar
        self.init = init
        self.state = state
        self.signals = None if signals is None else tuple(signals)
        self.rules = rules
        self.inputs = tuple(inputs)
        self.debug = debug
        self._params = as_values("params", params)
        for name, function in (("on_bar", on_bar), ("init", init)):
            if function is not None or name == "on_bar":
                _check_arguments(name, function, 2 if state is None else 3)

    @property
    def name(self) -> str:
        """Name of the function."""
        return str(getattr(self.on_bar, "__name__", "on_bar"))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by name, a copy."""
        return dict(self._params)

    def with_params(self, **values: Any) -> CompiledStrategy:
        """Return the strategy with other values of its parameters; nothing is compiled again unless a kind of number changes.

        Raises TypeError for names that it does not have, and for values that are no numbers.
        """
        for name in values:
            if name not in self._params:
                known = shortened(self._params) if self._params else "none"
                raise TypeError(f"{self.name} has no parameter {name!r}{did_you_mean(name, self._params)}; it has {known}")
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._params = {key: fit(f"params[{key!r}]", values[key], old) if key in values else old for key, old in self._params.items()}
        return made

    def bundle(self) -> Any:
        """Return the parameters as the named tuple that functions read."""
        return as_bundle("Params", self._params)

    def made_rules(self) -> list[Any]:
        """Return the position rules by number."""
        rules = self.rules(self.bundle()) if callable(self.rules) else self.rules
        return list(rules)

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self._params.items())
        return f"CompiledStrategy({self.name}{', ' if params else ''}{params})"


def _check_arguments(name: str, function: Any, count: int) -> None:
    """Raise TypeError for what is no function of so many arguments."""
    plain = getattr(function, "py_func", function)
    if not callable(plain) or isinstance(plain, type):
        raise TypeError(f"{name} was {function!r}, expected a function compiled with numba: @njit def {name}(ctx, params): ...")
    takes = [item for item in inspect.signature(plain).parameters.values() if item.default is item.empty]
    if len(takes) != count or any(item.kind not in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in takes):
        wanted = "(ctx, params)" if count == 2 else "(ctx, params, state)"  # noqa: PLR2004 - without arrays
        hint = "" if count != 2 else "; arrays of its own need state={...}"  # noqa: PLR2004
        raise TypeError(f"{name} takes {inspect.signature(plain)}, expected {wanted}{hint}")
