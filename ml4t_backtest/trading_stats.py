"""Running statistics per asset, for strategies that size or stop by how their last trades went. Read from the ledger's trades on demand."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.config import StatsConfig
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.records import trades_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store
    from ml4t_backtest.types import Trade
    from ml4t_kernels.dtypes import IntArray, Records

__all__ = ["AssetTradingStats", "StatsBook"]

_WINDOW = 50


@dataclass
class AssetTradingStats:
    """How the trades of one asset went. Every close, flip or reduction is one trade; its pnl is after commission [money].

    total_*: since the start. recent_pnls: of the last trades, oldest first, as many as the window holds. recent_wins: how many of them
    made money. session_*: of the current session. A win is a pnl above 0. Rates are fractions, and 0.0 without trades.
    """

    total_realized_pnl: float = 0.0
    total_trades: int = 0
    total_wins: int = 0
    recent_pnls: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    session_realized_pnl: float = 0.0
    session_trades: int = 0
    session_wins: int = 0

    @property
    def recent_wins(self) -> int:
        """How many of the recent trades made money."""
        return sum(pnl > 0.0 for pnl in self.recent_pnls)

    @property
    def win_rate(self) -> float:
        """Wins as a fraction of all trades."""
        return _ratio(self.total_wins, self.total_trades)

    @property
    def avg_pnl(self) -> float:
        """Average profit of all trades [money]."""
        return _ratio(self.total_realized_pnl, self.total_trades)

    @property
    def recent_win_rate(self) -> float:
        """Wins as a fraction of the recent trades."""
        return _ratio(self.recent_wins, len(self.recent_pnls))

    @property
    def recent_total_pnl(self) -> float:
        """Sum of the recent trades [money]."""
        return math.fsum(self.recent_pnls)

    @property
    def recent_expectancy(self) -> float:
        """Average profit of the recent trades [money]."""
        return _ratio(self.recent_total_pnl, len(self.recent_pnls))

    @property
    def session_win_rate(self) -> float:
        """Wins as a fraction of the trades of this session."""
        return _ratio(self.session_wins, self.session_trades)

    @property
    def session_pnl(self) -> float:
        """`session_realized_pnl`, under its shorter name [money]."""
        return self.session_realized_pnl

    def record_trade(self, pnl: float) -> None:
        """Take one trade into the figures of the run and the window; those of the session are counted apart. pnl: money."""
        self.total_realized_pnl += pnl
        self.total_trades += 1
        self.total_wins += pnl > 0.0
        self.recent_pnls.append(pnl)

    def record_session_trade(self, pnl: float) -> None:
        """Take one trade into the figures of the session. pnl: money."""
        self.session_realized_pnl += pnl
        self.session_trades += 1
        self.session_wins += pnl > 0.0

    def reset_session(self) -> None:
        """Start a session: its figures are 0 again."""
        self.session_realized_pnl = 0.0
        self.session_trades = self.session_wins = 0


@dataclass
class _Entry:
    """What the book keeps of one asset: its stats, the session they stand for, and the rows of its trades."""

    stats: AssetTradingStats
    session: int = -1
    rows: list[int] = field(default_factory=list)


class StatsBook:
    """Statistics and trades by asset. Nothing is done until it is asked; each trade is then read once.

    store, panels: of the run. sessions: int64[bars], the session number of each bar; those of the market when not given. config: as
    `configure`.
    """

    def __init__(self, store: Store, panels: Panels, sessions: IntArray | None = None, config: StatsConfig | None = None) -> None:
        self._store = store
        self._panels = panels
        self._sessions = store.market.sessions
        self._config = _checked(StatsConfig() if config is None else config)
        self._entries: dict[str, _Entry] = {}
        self._seen = 0
        if sessions is not None:
            self.set_sessions(sessions)

    @property
    def config(self) -> StatsConfig:
        """The settings in force."""
        return self._config

    def configure(
        self,
        recent_window_size: int | None = None,
        track_session_stats: bool | None = None,  # noqa: FBT001 - published
        enabled: bool | None = None,  # noqa: FBT001 - published
        config: StatsConfig | None = None,
    ) -> None:
        """Change settings; None leaves one as it is, `config` gives all at once.

        recent_window_size: how many trades the recent figures cover, >= 1; a smaller window keeps the latest. track_session_stats:
        whether session figures are kept; they start at 0 when it is switched on. enabled: trades made while it is off never count.
        Raises ValueError for other values, and for a `config` beside single settings.
        """
        given = {"recent_window_size": recent_window_size, "track_session_stats": track_session_stats, "enabled": enabled}
        changes = {name: value for name, value in given.items() if value is not None}
        if config is not None and changes:
            raise ValueError(f"configure() got both config and {', '.join(changes)}; give one of them")
        chosen = _checked(replace(self._config, **changes) if config is None else config)  # type: ignore[arg-type]
        self._read_trades()
        for entry in self._entries.values():
            entry.stats.recent_pnls = deque(entry.stats.recent_pnls, maxlen=chosen.recent_window_size)
            if chosen.track_session_stats is not self._config.track_session_stats:
                entry.stats.reset_session()
        self._config = chosen

    def set_sessions(self, sessions: IntArray) -> None:
        """Follow other sessions from now on: int64[bars], the session number of each bar. Session figures start at 0.

        Raises ValueError for another shape or type.
        """
        numbers = np.asarray(sessions)
        if numbers.shape != (self._panels.bars,) or numbers.dtype.kind != "i":
            raise ValueError(f"sessions have shape {numbers.shape} and type {numbers.dtype}, expected ({self._panels.bars},) integers")
        self._read_trades()
        self._sessions = numbers
        for entry in self._entries.values():
            entry.stats.reset_session()
            entry.session = self._session_now()

    def get_asset_stats(self, asset: str) -> AssetTradingStats:
        """Return the statistics of an asset up to now: the same object at every call, brought up to date by the call.

        All zeros without trades. Raises ValueError for an asset that the feed does not have.
        """
        self._check(asset)
        self._read_trades()
        entry = self._entry(asset)
        if self._config.track_session_stats:
            self._enter_session(entry, self._session_now())
        return entry.stats

    def get_trades(self, asset: str | None = None, last_n: int | None = None) -> list[Trade]:
        """Return closed and partial trades, oldest first. asset: None for all. last_n: only the last ones, None for all.

        Raises ValueError for an asset that the feed does not have and for a negative or fractional `last_n`.
        """
        if last_n is not None and (isinstance(last_n, bool) or not isinstance(last_n, int) or last_n < 0):
            raise ValueError(f"last_n was {last_n!r}, expected a whole number >= 0 or None")
        trades = self._store.used_trades()
        if asset is None:
            return trades_of(trades[_last(len(trades), last_n) :], self._panels)
        self._check(asset)
        self._read_trades()
        rows = self._entry(asset).rows
        return trades_of(trades[rows[_last(len(rows), last_n) :]], self._panels)

    def get_last_trade(self, asset: str | None = None) -> Trade | None:
        """Return the last closed or partial trade (of an asset), None without. Errors as `get_trades`."""
        trades = self.get_trades(asset, 1)
        return trades[0] if trades else None

    def _check(self, asset: str) -> None:
        if asset not in self._panels.column_of:
            known = self._panels.assets
            raise ValueError(f"unknown asset {asset!r}; the feed has {shortened(known)}{did_you_mean(str(asset), known)}")

    def _entry(self, asset: str) -> _Entry:
        entry = self._entries.get(asset)
        if entry is None:
            recent: deque[float] = deque(maxlen=self._config.recent_window_size)
            entry = self._entries[asset] = _Entry(AssetTradingStats(recent_pnls=recent))
        return entry

    def _session_now(self) -> int:
        bar = self._store.bar
        return int(self._sessions[bar]) if bar >= 0 else -1

    def _read_trades(self) -> None:
        """Take the trades since the last call to their assets."""
        first, self._seen = self._seen, int(self._store.columns.trade_count[0])
        if first == self._seen:
            return
        new, config = self._store.trades[first : self._seen], self._config
        names = self._panels.assets
        sessions = self._sessions_of(new) if config.track_session_stats else [-1] * len(new)
        for row, (column, pnl, session) in enumerate(zip(new["asset"].tolist(), new["pnl"].tolist(), sessions, strict=True), first):
            entry = self._entry(names[column])
            entry.rows.append(row)
            if config.enabled:
                entry.stats.record_trade(pnl)
                if config.track_session_stats:
                    self._enter_session(entry, session)
                    entry.stats.record_session_trade(pnl)

    def _sessions_of(self, trades: Records) -> Sequence[int]:
        bars = np.searchsorted(self._panels.times, trades["exit_time"])
        numbers: list[int] = self._sessions[bars].tolist()
        return numbers

    @staticmethod
    def _enter_session(entry: _Entry, session: int) -> None:
        if session != entry.session:
            entry.stats.reset_session()
            entry.session = session


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _last(count: int, wanted: int | None) -> int:
    """Return where the last `wanted` of `count` items begin."""
    return 0 if wanted is None else max(0, count - wanted)


def _checked(config: StatsConfig) -> StatsConfig:
    """Return a config as it is. Raises ValueError that names the setting, TypeError for what is no StatsConfig."""
    if not isinstance(config, StatsConfig):
        raise TypeError(f"config was {config!r}, expected a StatsConfig")
    size = config.recent_window_size
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"recent_window_size was {size!r}, expected a whole number >= 1")
    for name in ("track_session_stats", "enabled"):
        if not isinstance(getattr(config, name), bool):
            raise ValueError(f"{name} was {getattr(config, name)!r}, expected True or False")
    return config
