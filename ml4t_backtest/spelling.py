"""Other spellings of arguments, kept because user code has them. One decorator, applied where the argument is declared."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["accepts"]

C = TypeVar("C", bound=type)


def accepts(**spellings: str) -> Callable[[C], C]:
    """Let the constructor of a class take other spellings: `@accepts(rate="percentage")`.

    An unknown argument raises TypeError with the closest name; both spellings at once do too.
    """

    def decorate(owner: C) -> C:
        plain: Callable[..., None] = owner.__init__  # type: ignore[misc]
        known = [name for name in inspect.signature(plain).parameters if name != "self"]

        @functools.wraps(plain)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            for name in list(kwargs):
                target = spellings.get(name)
                if target is not None:
                    if target in kwargs:
                        raise TypeError(f"{owner.__name__}() got both {target!r} and its other spelling {name!r}")
                    kwargs[target] = kwargs.pop(name)
                elif name not in known:
                    hint = did_you_mean(name, [*known, *spellings])
                    raise TypeError(f"{owner.__name__}() has no argument {name!r}{hint} Arguments: {', '.join(known)}")
            plain(self, *args, **kwargs)

        owner.__init__ = init  # type: ignore[misc]
        return owner

    return decorate
