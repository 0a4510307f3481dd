"""After `import ml4t_backtest.dropin`, `ml4t.backtest` is another name of this package.

    import ml4t_backtest.dropin
    from ml4t.backtest import Engine
    from ml4t.backtest.risk import StopLoss

Every module and every object is the same one under both names. Import it before anything that imports `ml4t.backtest`; afterwards
it raises ImportError when that is another package. Other packages of the `ml4t` namespace are found as before. Importing it again
changes nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["install"]

_NAMESPACE = "ml4t"
_PUBLISHED = "ml4t.backtest"
_OURS = "ml4t_backtest"


class _Alias(MetaPathFinder, Loader):
    """Finds `ml4t.backtest` and everything below it; loading puts our own module in the place of the empty one."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - the protocol
        if fullname != _PUBLISHED and not fullname.startswith(f"{_PUBLISHED}."):
            return None
        ours = find_spec(_own_name(fullname))
        if ours is None:
            return None
        return ModuleSpec(fullname, self, origin=ours.origin, is_package=ours.submodule_search_locations is not None)

    def exec_module(self, module: ModuleType) -> None:
        # The import system hands out what stands in sys.modules after loading.
        sys.modules[module.__name__] = import_module(_own_name(module.__name__))


class _Namespace(MetaPathFinder):
    """Asked last: an empty `ml4t` where no package of that name is installed, and its other packages if they come later."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == _NAMESPACE:
            return ModuleSpec(_NAMESPACE, None, is_package=True)
        if fullname.startswith(f"{_NAMESPACE}.") and fullname.count(".") == 1 and not list(path or ()):
            return PathFinder.find_spec(fullname, [str(Path(entry) / _NAMESPACE) for entry in sys.path], target)
        return None


def _own_name(fullname: str) -> str:
    return _OURS + fullname.removeprefix(_PUBLISHED)


def install() -> None:
    """Let `ml4t.backtest` mean this package. Done on import; a second call changes nothing. Errors as the import."""
    loaded = sys.modules.get(_PUBLISHED)
    if loaded is not None and loaded is not sys.modules[_OURS]:
        where = getattr(loaded, "__file__", None) or "an unknown place"
        raise ImportError(f"ml4t.backtest was imported before, from {where}; import ml4t_backtest.dropin first", name=_PUBLISHED)
    others = [finder for finder in sys.meta_path if type(finder).__module__ != __name__]
    sys.meta_path[:] = [_Alias(), *others, _Namespace()]


install()
