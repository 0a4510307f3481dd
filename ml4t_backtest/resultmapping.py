"""The part of a result that reads like a dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView

__all__ = ["ResultMapping"]

_OBJECTS = ("trades", "fills", "equity_curve", "equity", "trade_analyzer")


class ResultMapping:
    """Metrics and objects of a run by name."""

    metrics: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics together with trades, fills, equity_curve (lists), equity and trade_analyzer."""
        return {**self.metrics, **{name: getattr(self, name) for name in _OBJECTS}}

    def __getitem__(self, key: str) -> Any:
        if key in self.metrics:
            return self.metrics[key]
        if key in _OBJECTS:
            return getattr(self, key)
        if key in getattr(self, "statistics", ()):
            raise KeyError(f"{key!r} is no metric but a statistic: result.statistics[{key!r}]")
        known = (*self.metrics, *_OBJECTS)
        raise KeyError(f"no metric {key!r}{did_you_mean(key, known)} Known: {', '.join(known)}")

    def __contains__(self, key: object) -> bool:
        return key in self.metrics or key in _OBJECTS

    def __iter__(self) -> Iterator[str]:
        return iter((*self.metrics, *_OBJECTS))

    def __len__(self) -> int:
        return len(self.metrics) + len(_OBJECTS)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a metric or object, or `default`."""
        return self[key] if key in self else default

    def keys(self) -> KeysView[str]:
        """Return the names of all metrics and objects."""
        return dict.fromkeys(self).keys()

    def items(self) -> ItemsView[str, Any]:
        """Return pairs of name and value."""
        return self.to_dict().items()
