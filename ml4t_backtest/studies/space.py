"""Which parameter sets a study runs: counted before anything is made, and made one at a time by their number."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ml4t_kernels.dtypes import IntArray

__all__ = ["Integers", "Listed", "Product", "Space", "Uniform", "random_search", "read_space", "values_of"]

_DRAWS_PER_SET = 50
_LOOKED_AT = 100  # sets that `where` may look at for each one that the limit lets through


class Space(Protocol):
    """Parameter sets by number, 0 to `len(space) - 1`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        ...

    def __len__(self) -> int: ...

    def at(self, number: int) -> dict[str, Any]:
        """Return the parameter set of a number."""
        ...

    def column(self, name: str, numbers: IntArray) -> list[Any]:
        """Return the values of one parameter in the sets of some numbers; None where a set lacks it."""
        ...

    def values(self, name: str) -> list[Any]:
        """Return the distinct values of one parameter, in the order of their first use."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Numbers from `low` to `high`, all equally likely; with `log` all magnitudes are. For `random_search` and `optuna_search`.

    Raises ValueError unless low < high, both finite, and low > 0 with `log`.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self)

    def draw(self, source: random.Random) -> float:
        """Return one number."""
        if self.log:
            return min(self.high, max(self.low, math.exp(source.uniform(math.log(self.low), math.log(self.high)))))
        return source.uniform(self.low, self.high)


@dataclass(frozen=True)
class Integers:
    """Whole numbers low, low + step, ... up to `high` (included), all equally likely. For `random_search` and `optuna_search`.

    Raises ValueError unless low < high and step >= 1, TypeError for what is no whole number.
    """

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"Integers({name}={value!r}): expected a whole number")
        _check_bounds(self)
        if self.step < 1:
            raise ValueError(f"Integers(step={self.step}): expected at least 1")

    def draw(self, source: random.Random) -> int:
        """Return one number."""
        return source.randrange(self.low, self.high + 1, self.step)


def _check_bounds(kind: Uniform | Integers) -> None:
    low, high = kind.low, kind.high
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{kind!r}: expected finite bounds with low < high")
    if getattr(kind, "log", False) and low <= 0:
        raise ValueError(f"{kind!r}: expected low > 0 for a logarithmic scale")


class Product:
    """Every combination of some values; the last name changes fastest. `kept`: the numbers that `where` let through, None for all."""

    def __init__(self, values: Mapping[str, Sequence[Any]]) -> None:
        self._values = {name: list(given) for name, given in values.items()}
        self.names = tuple(self._values)
        self.combinations = math.prod(len(given) for given in self._values.values())
        self.kept: IntArray | None = None
        steps, step = {}, 1
        for name in reversed(self.names):
            steps[name] = step
            step *= len(self._values[name])
        self._steps = steps

    def __len__(self) -> int:
        return self.combinations if self.kept is None else len(self.kept)

    def at(self, number: int) -> dict[str, Any]:
        """Return the parameter set of a number."""
        place = number if self.kept is None else int(self.kept[number])
        return {name: given[place // self._steps[name] % len(given)] for name, given in self._values.items()}

    def column(self, name: str, numbers: IntArray) -> list[Any]:
        """Return the values of one parameter in the sets of some numbers."""
        places = numbers if self.kept is None else self.kept[numbers]
        given = self._values[name]
        return [given[digit] for digit in (places // self._steps[name] % len(given)).tolist()]

    def values(self, name: str) -> list[Any]:
        """Return the values of one parameter."""
        return self._values[name]

    def keep(self, where: Callable[[dict[str, Any]], Any]) -> None:
        """Let only the sets through for which `where` is true."""
        kept = [number for number in range(self.combinations) if _decide(where, self.at(number))]
        self.kept = np.array(kept, dtype=np.int64)


class _Missing(Enum):
    """What a set does not name."""

    MISSING = "missing"


class Listed:
    """Parameter sets one by one. They may name different parameters; what a set lacks is left to the strategy's default."""

    def __init__(self, sets: Iterable[Mapping[str, Any]]) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._count = 0
        for one in sets:
            self.append(one)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, in the order of their first use."""
        return tuple(self._columns)

    def name(self, names: Iterable[str]) -> None:
        """Make room for parameters, which the sets so far lack."""
        for name in names:
            if name not in self._columns:
                self._columns[name] = [_Missing.MISSING] * self._count

    def append(self, one: Mapping[str, Any]) -> None:
        """Add a set at the end."""
        self.name(one)
        for name, column in self._columns.items():
            column.append(one.get(name, _Missing.MISSING))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def at(self, number: int) -> dict[str, Any]:
        """Return the parameter set of a number."""
        return {name: column[number] for name, column in self._columns.items() if column[number] is not _Missing.MISSING}

    def column(self, name: str, numbers: IntArray) -> list[Any]:
        """Return the values of one parameter in the sets of some numbers; None where a set lacks it."""
        column = self._columns[name]
        return [None if column[number] is _Missing.MISSING else column[number] for number in numbers.tolist()]

    def values(self, name: str) -> list[Any]:
        """Return the distinct values of one parameter."""
        return _distinct(value for value in self._columns[name] if value is not _Missing.MISSING)


def random_search(space: Mapping[str, Any], n: int, seed: int) -> list[dict[str, Any]]:
    """Return `n` different parameter sets drawn from a space, the same ones for the same seed.

    space: name to `Uniform`, `Integers` or a list of values to choose from; a single value stands for itself. A set that
    was drawn before is drawn again; a space that runs out of new ones gives fewer than `n`.

    Raises ValueError for n < 1, an empty space and bad values; TypeError for a seed that is no whole number.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"random_search(n={n!r}): expected a whole number >= 1")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"random_search(seed={seed!r}): expected a whole number, so that the study can be repeated")
    if not isinstance(space, Mapping) or not space:
        raise ValueError("random_search(): space was empty or no dict, expected names to Uniform(...), Integers(...) or lists")
    source = random.Random(seed)  # noqa: S311 - no secrets here
    kinds = {name: kind if isinstance(kind, (Uniform, Integers)) else values_of(name, kind) for name, kind in space.items()}
    found: dict[Any, dict[str, Any]] = {}
    for _ in range(_DRAWS_PER_SET * n):
        one = {name: source.choice(kind) if isinstance(kind, list) else kind.draw(source) for name, kind in kinds.items()}
        found.setdefault(_key(one), one)
        if len(found) == n:
            break
    return list(found.values())


def read_space(grid: Any, where: Callable[[dict[str, Any]], Any] | None, max_sets: int | None) -> Space:
    """Return the parameter sets that a grid means. Raises ValueError and TypeError that name parameter, value and what to do.

    A product that is too large is returned without `where`: the caller counts it and refuses.
    """
    if where is not None and not callable(where):
        raise TypeError(f"where was {where!r}, expected a function of a parameter set: where=lambda p: p['fast'] < p['slow']")
    if isinstance(grid, Mapping):
        if not grid:
            raise ValueError("grid is empty, expected names and their values: {'fast': [5, 10], 'slow': [20, 50]}")
        product = Product({_name(name): _different(name, values_of(name, given)) for name, given in grid.items()})
        if where is not None and (max_sets is None or product.combinations <= _LOOKED_AT * max_sets):
            product.keep(where)
            _refuse_nothing(product, f"where refused all {product.combinations} parameter sets")
        return product
    if isinstance(grid, (str, bytes)) or not isinstance(grid, Iterable):
        raise TypeError(f"grid was a {type(grid).__name__}, expected a dict of names and values, a list of dicts, or random_search(...)")
    sets = list(grid)
    for place, one in enumerate(sets):
        if not isinstance(one, Mapping) or not one:
            raise TypeError(f"grid[{place}] was {one!r}, expected a dict of parameters that is not empty")
        for name in one:
            _name(name)
    _refuse_nothing(sets, "grid is empty")
    _refuse_twins(sets)
    chosen = sets if where is None else [one for one in sets if _decide(where, dict(one))]
    _refuse_nothing(chosen, f"where refused all {len(sets)} parameter sets")
    return Listed(chosen)


def values_of(name: str, given: Any) -> list[Any]:
    """Return the values of one parameter as plain Python ones; a single value stands for itself.

    Raises ValueError for no values at all and arrays of several dimensions, TypeError for sets, which have no order, and dicts.
    """
    if isinstance(given, (set, frozenset, Mapping)):
        raise TypeError(f"grid[{name!r}] was a {type(given).__name__}, expected a list: its order is that of the rows")
    if isinstance(given, (str, bytes, type)) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        given = [given]
    listed: Any = given
    if hasattr(listed, "to_list"):
        listed = listed.to_list()
    if getattr(listed, "ndim", 1) != 1:
        raise ValueError(f"grid[{name!r}] has {listed.ndim} dimensions, expected one list of values")
    values = [value.item() if isinstance(value, np.generic) else value for value in listed]
    if not values:
        raise ValueError(f"grid[{name!r}] is empty, expected at least one value")
    return values


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"grid has the name {name!r}, expected a text")
    return name


def _different(name: str, values: list[Any]) -> list[Any]:
    if len(_distinct(values)) < len(values):
        keys = [_value_key(value) for value in values]
        twice = next(value for place, value in enumerate(values) if keys[place] in keys[:place])
        raise ValueError(f"grid[{name!r}] has the value {twice!r} twice; every set is run once: list(dict.fromkeys(values))")
    return values


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: dict[Any, Any] = {}
    for value in values:
        found.setdefault(_value_key(value), value)
    return list(found.values())


def _refuse_twins(sets: list[Mapping[str, Any]]) -> None:
    seen: dict[Any, int] = {}
    for place, one in enumerate(sets):
        first = seen.setdefault(_key(one), place)
        if first != place:
            raise ValueError(f"grid[{place}] is the same parameter set as grid[{first}]: {dict(one)!r}; every set is run once")


def _refuse_nothing(space: Any, problem: str) -> None:
    if not len(space):
        raise ValueError(f"{problem}, expected at least one to run")


def _key(one: Mapping[str, Any]) -> Any:
    return tuple(sorted((name, _value_key(value)) for name, value in one.items()))


def _value_key(value: Any) -> tuple[str, str]:
    """Return what two equal values share: numbers by value (1 is 1.0 but not True), others by type and text, objects by identity."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number", repr(float(value)) if abs(value) < 2**53 else repr(value)
    if isinstance(value, Enum) or type(value).__module__ in ("builtins", "datetime"):
        return type(value).__name__, repr(value)
    return "object", str(id(value))


def _decide(where: Callable[[dict[str, Any]], Any], one: dict[str, Any]) -> bool:
    try:
        return bool(where(one))
    except Exception as error:
        error.add_note(f"raised by where on {one!r}")
        raise
