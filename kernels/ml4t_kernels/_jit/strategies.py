"""What compiled strategies are made of: the context that they are given, their parameters and arrays, and the function that is called.

A context is the address of a state record with a type of its own, so that reads of it compile to loads and verbs to calls by address:
a new strategy compiles without anything of the ledger. `reading`, `verb` and `named_reading` register functions of a context for
compiled code; `plain_context` makes a Python class with the same functions, for runs without compilation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CellType, CodeType, FunctionType
from typing import Any, NamedTuple, cast

import numba
from llvmlite import ir
from numba import extending, types
from numba.core import errors
from numba.core.datamodel import models
from numba.extending import intrinsic, register_jitable, register_model
from numba.np import arrayobj

from .cache import COMPILED
from .calling import address_of_entry, external
from .memory import array_at, plain_array_at, plain_table_at, table_at

__all__ = [
    "Strategy",
    "address_in",
    "compile_strategy",
    "external_call",
    "external_calls",
    "is_compiled",
    "named_reading",
    "plain_context",
    "reading",
    "shared",
    "verb",
]


# numba's hints for these are wrong or missing
_numba: Any = numba
_types: Any = types
overload_attribute: Any = extending.overload_attribute
overload_method: Any = extending.overload_method


class ContextType(types.Type):
    """The type of a context: it knows the names of signals and of inputs of rules, so that they are looked up when code is compiled."""

    def __init__(self, signals: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        super().__init__(f"ml4t_context({signals!r}, {inputs!r})")
        self.signals = signals
        self.inputs = inputs


# Only compiled code calls what is made here; wrappers for others take a third of the time that a strategy takes to compile.
_INSIDE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_attributes: dict[str, Callable[..., Any]] = {}
_methods: dict[str, Callable[..., Any]] = {}
_named: dict[str, tuple[Callable[..., Any], str]] = {}
# What compiled functions call, by identity: what plain ones call instead.
_plain: dict[int, Any] = {id(array_at): plain_array_at, id(table_at): plain_table_at}
_kept: list[Any] = []


class Strategy(NamedTuple):
    """A compiled strategy: the addresses of its functions of a state's address, 0 without, and what has to stay alive with them."""

    on_bar: int
    init: int
    kept: tuple[Any, ...]


if COMPILED:

    @register_model(ContextType)
    class _ContextModel(models.PrimitiveModel):
        def __init__(self, manager: Any, kind: ContextType) -> None:
            super().__init__(manager, kind, ir.IntType(64))  # type: ignore[no-untyped-call]

    @intrinsic
    def _address_in(typing_context: Any, context: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
        """Return the address that a context stands for."""
        if not isinstance(context, ContextType):
            return None
        return types.int64(context), lambda _context, _builder, _signature, arguments: arguments[0]

    address_in = cast("Callable[[Any], int]", _address_in)  # pyright: ignore[reportAssignmentType]

else:

    def address_in(context: Any) -> int:
        """Return the address that a context stands for."""
        return int(context.address)


def _plain_address(context: Any) -> int:
    return int(context.address)


_plain[id(address_in)] = _plain_address


def external_call(function: Callable[..., Any], signature: str) -> Any:
    """Return what functions of a context call to run an entry by its address; signature: numba's text form."""
    made = external(function, signature)
    _plain[id(made.compiled)] = made
    _kept.append(made)
    return made.compiled


def external_calls() -> list[external]:
    """Return all that `external_call` has made."""
    return [one for one in _kept if isinstance(one, external)]


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let functions of a context call a function that works on plain numbers only."""
    made: Callable[..., Any] = register_jitable(function)
    return made


def reading(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function of a context as an attribute of it."""
    _attributes[function.__name__] = function
    if COMPILED:
        overload_attribute(ContextType, function.__name__, strict=False, jit_options=_INSIDE)(lambda _: function)
    return function


def verb(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function of a context and more arguments as a method of it."""
    _methods[function.__name__] = function
    if COMPILED:
        overload_method(ContextType, function.__name__, strict=False, jit_options=_INSIDE)(_answering(function))
    return function


def _answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the same arguments that answers with `function`, whatever their types."""

    def answer(*_: Any, **__: Any) -> Callable[..., Any]:
        return function

    answer.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return answer


def named_reading(field: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a method whose first argument is a number, or a name that a field of the context's type has, found when code is compiled."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _named[function.__name__] = function, field
        if COMPILED:
            overload_method(ContextType, function.__name__, strict=False, prefer_literal=True, jit_options=_INSIDE)(
                _choosing(function, field)
            )
        return function

    return register


def _choosing(function: Callable[..., Any], field: str) -> Callable[..., Any]:
    """Return a function that looks a name up and answers with `function`, for a name with its number in place of the name."""
    parameters = inspect.signature(function).parameters
    names = ", ".join(parameters)
    context, _, *rest = parameters
    called = _numba.njit(**_INSIDE)(function)

    def choose(*arguments: Any) -> Callable[..., Any]:
        if not isinstance(arguments[1], (types.StringLiteral, types.UnicodeType)):
            return function
        space: dict[str, Any] = {"called": called, "number": _number_of(arguments[0], arguments[1], field)}
        passed = ", ".join([context, "number", *rest])
        exec(f"def answer({names}):\n    return called({passed})", space)  # noqa: S102 - numba goes by the names of arguments
        answer: Callable[..., Any] = space["answer"]
        return answer

    choose.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return choose


def _number_of(context: Any, name: Any, field: str) -> int:
    """Return the place of a name. Raises numba's error for a name that is no constant or not there."""
    if not isinstance(name, types.StringLiteral):
        raise errors.RequireLiteralValue(f"the name of {field[:-1]} has to be written out")
    known: tuple[str, ...] = getattr(context, field)
    if name.literal_value not in known:
        raise errors.NumbaTypeError(f"[unknown {field[:-1]}] {name.literal_value!r}")
    return known.index(name.literal_value)


def plain_context(name: str) -> type:
    """Return a class whose objects answer as a context does, in plain Python: attributes address, signals and inputs are to be set."""
    members: dict[str, Any] = {key: property(_plain_form(function)) for key, function in _attributes.items()}
    members |= {key: _plain_form(function) for key, function in _methods.items()}
    for key, (function, field) in _named.items():
        members[key] = _with_names(_plain_form(function), field)
    return type(name, (), members)


def _with_names(function: Callable[..., Any], field: str) -> Callable[..., Any]:
    def call(context: Any, chosen: Any, *rest: Any) -> Any:
        known = getattr(context, field)
        if isinstance(chosen, str):
            if chosen not in known:
                raise KeyError(f"[unknown {field[:-1]}] {chosen!r}")
            chosen = known.index(chosen)
        return function(context, chosen, *rest)

    return call


def _plain_form(function: Any) -> Callable[..., Any]:
    """Return a function with plain forms in the places of what only compiled code can call."""
    changed = {key: _plain[id(value)] for key, value in function.__globals__.items() if id(value) in _plain}
    made = FunctionType(
        function.__code__, {**function.__globals__, **changed}, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    return made


def is_compiled(function: object) -> bool:
    """Tell whether a function was compiled with numba."""
    return hasattr(function, "py_func")


def uncompiled(function: Callable[..., Any], made: dict[int, Any] | None = None) -> Callable[..., Any]:
    """Return the plain form of a function, with the plain forms of the compiled functions that it calls: a debugger steps into them all."""
    made = {} if made is None else made
    plain: Any = getattr(function, "py_func", function)
    if not isinstance(plain, FunctionType) or id(plain) in made:
        return made.get(id(plain), plain)  # type: ignore[no-any-return]
    space = dict(plain.__globals__)
    cells = tuple(CellType() for _ in plain.__closure__ or ())
    copy = FunctionType(plain.__code__, space, plain.__name__, plain.__defaults__, cells or None)
    copy.__kwdefaults__ = plain.__kwdefaults__
    made[id(plain)] = copy
    for name in _names_in(plain.__code__):
        if is_compiled(space.get(name)):
            space[name] = uncompiled(space[name], made)
    for cell, old in zip(cells, plain.__closure__ or (), strict=True):
        value = old.cell_contents
        cell.cell_contents = uncompiled(value, made) if is_compiled(value) else value
    return copy


def _names_in(code: CodeType) -> set[str]:
    """Return the names that code and the functions inside it look up."""
    return set(code.co_names).union(*(_names_in(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def compile_strategy(
    functions: tuple[Callable[..., Any] | None, Callable[..., Any] | None],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    bundles: tuple[Any, Any],
    layouts: tuple[Any, Any],
) -> Strategy:
    """Compile a strategy's functions of context, parameters and arrays into functions of a state's address.

    functions: on_bar and init, None without. names: of the signals and of the inputs of rules. bundles: named tuples of example values of
    the parameters and of the arrays, None for a strategy without arrays. layouts: of the state and of the host record. User code is never
    cached on disk: numba would not see a change of what it refers to. Raises numba's errors.
    """
    kind = ContextType(*names)

    @intrinsic
    def context_at(typing_context: Any, address: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
        return kind(types.int64), lambda _context, _builder, _signature, arguments: arguments[0]

    readers = [None if bundle is None else _reader(bundle) for bundle in bundles]
    made = [None if function is None else _called(function, context_at, readers, layouts) for function in functions]
    addresses = [0 if wrapper is None else address_of_entry(wrapper, "int64(int64)") for wrapper in made]
    return Strategy(addresses[0], addresses[1], (made, functions))


def _called(function: Any, context_at: Any, readers: list[Any], layouts: tuple[Any, Any]) -> Any:
    """Return the compiled function of a state's address that calls a function of the user."""
    state_layout, host_layout = layouts
    read, recall = readers
    options = {name: value for name, value in getattr(function, "targetoptions", {}).items() if name not in ("nopython", "cache")}
    call: Any = _numba.njit(**{**options, **_INSIDE})(getattr(function, "py_func", function))
    kind_at: Any = context_at
    if recall is None:

        def turn(address: int) -> int:
            host = array_at(array_at(address, 1, state_layout)[0]["host_address"], 1, host_layout)[0]
            call(kind_at(address), read(host["params_table"]))
            return 0

    else:

        def turn(address: int) -> int:
            host = array_at(array_at(address, 1, state_layout)[0]["host_address"], 1, host_layout)[0]
            call(kind_at(address), read(host["params_table"]), recall(host["memory_table"]))
            return 0

    wrapper = _numba.njit(**_INSIDE)(turn)
    wrapper.compile("int64(int64)")
    return wrapper


def _reader(bundle: Any) -> Any:
    """Return an intrinsic that makes a named tuple out of a table of eight-byte slots: numbers as they are, arrays as address and shape."""
    kinds = [_numba.typeof(value) for value in bundle]
    kinds = [types.Array(kind.dtype, kind.ndim, "C") if isinstance(kind, types.Array) else kind for kind in kinds]
    made = _types.NamedTuple(kinds, type(bundle))

    @intrinsic
    def read(typing_context: Any, table: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            word = ir.IntType(64)
            slots = builder.inttoptr(arguments[0], word.as_pointer())
            place, values = 0, []
            for kind in kinds:
                if isinstance(kind, types.Array):
                    words = [_slot(builder, slots, place + number) for number in range(kind.ndim + 1)]
                    values.append(_array_of(context, builder, kind, words))
                    place += kind.ndim + 1
                else:
                    values.append(_number_in(builder, kind, _slot(builder, slots, place)))
                    place += 1
            return context.make_tuple(builder, made, values)

        return made(types.int64), codegen

    return read


def _slot(builder: Any, slots: Any, place: int) -> Any:
    return builder.load(builder.gep(slots, [ir.Constant(ir.IntType(64), place)]))


def _number_in(builder: Any, kind: Any, word: Any) -> Any:
    """Return the number that a slot holds."""
    if isinstance(kind, types.Float):
        return builder.bitcast(word, ir.DoubleType())
    return builder.trunc(word, ir.IntType(1)) if isinstance(kind, types.Boolean) else word


def _array_of(context: Any, builder: Any, kind: Any, words: list[Any]) -> Any:
    """Return the array in order of rows whose address and shape are given."""
    array = context.make_array(kind)(context, builder)
    size = context.get_constant(types.intp, arrayobj.get_itemsize(context, kind))  # type: ignore[no-untyped-call]
    strides: list[Any] = []
    stride = size
    for length in reversed(words[1:]):
        strides.insert(0, stride)
        stride = builder.mul(stride, length)
    data = builder.inttoptr(words[0], array.data.type)
    arrayobj.populate_array(array, data=data, shape=words[1:], strides=strides, itemsize=size, meminfo=None)  # type: ignore[no-untyped-call]
    return array._getvalue()
