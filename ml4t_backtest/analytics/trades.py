"""Figures of trades: `trade_figures` over columns, and the analyzers over lists of `Trade` or their frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.types import Trade
    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["FIGURED", "MAEMFEAnalyzer", "TradeAnalyzer", "trade_figures"]

# Each column and where else it may be found.
_COLUMNS = {
    "pnl": (),
    "pnl_percent": ("pnl_pct",),
    "commission": ("fees",),
    "slippage": ("total_slippage_cost",),
    "bars_held": (),
    "entry_price": (),
    "quantity": (),
    "multiplier": (),
    "mfe": ("max_favorable_excursion",),
    "mae": ("max_adverse_excursion",),
}
_TEXTS = {"asset": ("symbol",), "status": ()}
_DEFAULTS = {"commission": 0.0, "slippage": 0.0, "multiplier": 1.0, "mfe": 0.0, "mae": 0.0, "bars_held": 0.0, "status": "closed"}
_SIDES = ("long", "short")


# What figures are made of.
FIGURED = ("pnl", "pnl_percent", "commission", "slippage", "entry_price", "quantity", "multiplier", "bars_held")


def trade_figures(trades: Mapping[str, Any] | Records) -> dict[str, float]:
    """Return the figures of finished trades.

    trades: equally long columns (a mapping or record rows) pnl, commission, slippage [money], pnl_percent (fraction of
    the entry price), bars_held, entry_price, quantity, multiplier. Money: total_pnl, gross_profit, gross_loss (<= 0),
    total_gross_pnl (before commission), total_commission, total_slippage, total_costs, avg_pnl. Fractions: avg_trade,
    avg_win, avg_loss (<= 0), largest_win, largest_loss, expectancy (win rate times average win plus loss rate times
    average loss), avg_cost_drag (costs over entry notional). A trade without a percentage (entry price 0) is left out
    of the fractions. Factors are infinite without losses.
    """
    pnl, move = trades["pnl"], trades["pnl_percent"]
    commission, slippage = trades["commission"], trades["slippage"]
    notional = np.abs(trades["entry_price"] * trades["quantity"]) * trades["multiplier"]
    count = len(pnl)
    won, lost = pnl > 0.0, pnl < 0.0
    gained, given = float(np.sum(pnl[won])), float(np.sum(pnl[lost]))
    gross = pnl + commission
    average_win, average_loss = _mean(move[won]), _mean(move[lost])
    wins, losses = int(np.count_nonzero(won)), int(np.count_nonzero(lost))
    return {
        "num_trades": count,
        "winning_trades": wins,
        "losing_trades": losses,
        "win_rate": wins / count if count else 0.0,
        "total_pnl": float(np.sum(pnl)),
        "avg_pnl": _mean(pnl),
        "gross_profit": gained,
        "gross_loss": given,
        "profit_factor": _factor(gained, given),
        "expectancy": (wins * average_win + losses * average_loss) / count if count else 0.0,
        "avg_trade": _mean(move),
        "avg_win": average_win,
        "avg_loss": average_loss,
        "largest_win": _extreme(np.max, move[won]),
        "largest_loss": _extreme(np.min, move[lost]),
        "payoff_ratio": average_win / -average_loss if average_loss < 0.0 else 0.0,
        "avg_bars_held": _mean(trades["bars_held"]),
        "total_gross_pnl": float(np.sum(gross)),
        "gross_profit_factor": _factor(float(np.sum(gross[gross > 0.0])), float(np.sum(gross[gross < 0.0]))),
        "avg_cost_drag": _mean((commission + slippage)[notional > 0.0] / notional[notional > 0.0]),
        "total_commission": float(np.sum(commission)),
        "total_slippage": float(np.sum(slippage)),
        "total_costs": float(np.sum(commission) + np.sum(slippage)),
    }


def _factor(gained: float, given: float) -> float:
    if given < 0.0:
        return gained / -given
    return math.inf if gained > 0.0 else 0.0


def _known(values: Any) -> Any:
    return values[~np.isnan(values)]


def _mean(values: Any) -> float:
    known = _known(values)
    return float(np.mean(known)) if len(known) else 0.0


def _extreme(pick: Any, values: Any) -> float:
    known = _known(values)
    return float(pick(known)) if len(known) else 0.0


class TradeAnalyzer:
    """Figures of finished trades, in both ways of the published interface.

    `TradeAnalyzer(trades)` answers by property, `TradeAnalyzer().analyze(trades)` returns the same figures as a dict.

    trades: a list of `Trade` (or objects with its attributes), or a trades frame. Positions still open (status "open")
    do not count. The figures are those of `trade_figures`; money where the name says profit, pnl, commission, slippage
    or costs, fractions elsewhere. Raises ValueError for a frame without a needed column, AttributeError for objects
    without one.
    """

    def __init__(self, trades: Sequence[Trade] | Any = ()) -> None:
        self.trades = trades
        self._columns = _finished(trades)
        self._figures = trade_figures(self._columns)

    def analyze(self, trades: Sequence[Trade] | Any) -> dict[str, float]:
        """Return the figures of other trades as `to_dict` does."""
        return TradeAnalyzer(trades).to_dict()

    def __len__(self) -> int:
        return int(self._figures["num_trades"])

    def __getattr__(self, name: str) -> float:
        figures: dict[str, float] = self.__dict__.get("_figures", {})
        name = _OTHER_NAMES.get(name, name)
        if name in figures:
            return figures[name]
        raise AttributeError(f"TradeAnalyzer has no figure {name!r}{did_you_mean(name, [*figures, *_OTHER_NAMES])}")

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._figures, *_OTHER_NAMES])

    @property
    def avg_mfe(self) -> float:
        """Mean favourable excursion, a fraction >= 0."""
        return _mean(self._columns["mfe"])

    @property
    def avg_mae(self) -> float:
        """Mean adverse excursion, a fraction <= 0."""
        return _mean(self._columns["mae"])

    @property
    def mfe_capture_ratio(self) -> float:
        """Mean part of the favourable excursion that the exit kept, over trades that had one; 1 exits at the best price."""
        return _captured(self._columns)

    @property
    def mae_recovery_ratio(self) -> float:
        """Mean part of the adverse excursion that losing trades had won back when they closed; 0 exits at the worst price."""
        mae, move = self._columns["mae"], self._columns["pnl_percent"]
        some = (self._columns["pnl"] < 0.0) & (mae < 0.0)
        return _mean((move[some] - mae[some]) / -mae[some])

    def by_side(self, side: str) -> TradeAnalyzer:
        """Return the analyzer of the "long" or the "short" trades. Raises ValueError for another side."""
        if side not in _SIDES:
            raise ValueError(f"side was {side!r}, expected one of {list(_SIDES)}{did_you_mean(str(side), _SIDES)}")
        return self._part((self._columns["quantity"] < 0.0) == (side == "short"))

    def by_asset(self, asset: str) -> TradeAnalyzer:
        """Return the analyzer of the trades of one asset; it has none for an asset never traded."""
        return self._part(self._columns["asset"] == asset)

    def by_symbol(self, symbol: str) -> TradeAnalyzer:
        """Return the analyzer of the trades of one asset, as `by_asset`."""
        return self.by_asset(symbol)

    def _part(self, mask: Any) -> TradeAnalyzer:
        part = TradeAnalyzer()
        part._columns = {name: column[mask] for name, column in self._columns.items()}
        part._figures = trade_figures(part._columns)
        rows = self._columns["row"][mask]
        part.trades = self.trades[rows] if hasattr(self.trades, "get_column") else [self.trades[row] for row in rows.tolist()]
        return part

    def to_dict(self) -> dict[str, float]:
        """Return all figures by name, those with two names under both."""
        excursions = {name: getattr(self, name) for name in ("avg_mfe", "avg_mae", "mfe_capture_ratio", "mae_recovery_ratio")}
        return {**self._figures, **{name: self._figures[other] for name, other in _OTHER_NAMES.items()}, **excursions}


_OTHER_NAMES = {
    "num_winners": "winning_trades",
    "num_losers": "losing_trades",
    "net_profit": "total_pnl",
    "total_fees": "total_commission",
}


class MAEMFEAnalyzer:
    """How far finished trades went for and against their position, and the exit levels this suggests.

    trades: as `TradeAnalyzer`. Excursions are fractions of the entry price: MFE >= 0, MAE <= 0. Without trades all
    figures are 0. Percentiles are linear interpolations, standard deviations those of the population (ddof 0).
    """

    def __init__(self, trades: Sequence[Trade] | Any) -> None:
        columns = _finished(trades)
        known = ~(np.isnan(columns["mae"]) | np.isnan(columns["mfe"]))
        self.trades = trades
        self._columns = {name: column[known] for name, column in columns.items()}
        self._mae: FloatArray = self._columns["mae"]
        self._mfe: FloatArray = self._columns["mfe"]

    @property
    def num_trades(self) -> int:
        """Number of finished trades with excursions."""
        return len(self._mae)

    @property
    def mae_mean(self) -> float:
        """Mean adverse excursion."""
        return _mean(self._mae)

    @property
    def mae_median(self) -> float:
        """Median adverse excursion."""
        return self.mae_percentile(50.0)

    @property
    def mae_std(self) -> float:
        """Standard deviation of the adverse excursions."""
        return float(np.std(self._mae)) if len(self._mae) else 0.0

    @property
    def mfe_mean(self) -> float:
        """Mean favourable excursion."""
        return _mean(self._mfe)

    @property
    def mfe_median(self) -> float:
        """Median favourable excursion."""
        return self.mfe_percentile(50.0)

    @property
    def mfe_std(self) -> float:
        """Standard deviation of the favourable excursions."""
        return float(np.std(self._mfe)) if len(self._mfe) else 0.0

    def mae_percentile(self, q: float) -> float:
        """Return a percentile (0 to 100) of the adverse excursions; the 0th is the worst."""
        return _percentile(self._mae, q)

    def mfe_percentile(self, q: float) -> float:
        """Return a percentile (0 to 100) of the favourable excursions; the 100th is the best."""
        return _percentile(self._mfe, q)

    @property
    def edge_ratio(self) -> float:
        """Mean favourable over mean adverse excursion; infinite when nothing went against the trades."""
        if self.mae_mean < 0.0:
            return self.mfe_mean / -self.mae_mean
        return math.inf if self.mfe_mean > 0.0 else 0.0

    @property
    def efficiency(self) -> float:
        """Mean part of the favourable excursion that the exit kept, over trades that had one."""
        return _captured(self._columns)

    def suggest_stop_loss(self, percentile: float = 90) -> float:
        """Return the stop level (fraction <= 0) that this percentage of the winners never reached."""
        return _percentile(self._mae[self._columns["pnl"] > 0.0], 100.0 - percentile, given=percentile)

    def suggest_take_profit(self, percentile: float = 75) -> float:
        """Return the target level (fraction >= 0) that this percentage of all trades reached."""
        return _percentile(self._mfe, 100.0 - percentile, given=percentile)

    def optimal_exit_levels(self, stop_percentile: float = 90, target_percentile: float = 75) -> dict[str, float]:
        """Return stop_loss, take_profit, and risk_reward (target over stop distance, infinite without a stop distance)."""
        stop, target = self.suggest_stop_loss(stop_percentile), self.suggest_take_profit(target_percentile)
        reward = target / -stop if stop < 0.0 else (math.inf if target > 0.0 else 0.0)
        return {"stop_loss": stop, "take_profit": target, "risk_reward": reward}

    def distribution_data(self) -> dict[str, list[float]]:
        """Return the excursions as lists mae and mfe, in order of the trades."""
        return {"mae": self._mae.tolist(), "mfe": self._mfe.tolist()}

    def to_dict(self) -> dict[str, float]:
        """Return all figures by name, with the percentiles 10, 25, 50, 75 and 90 of both excursions."""
        made: dict[str, float] = {"num_trades": self.num_trades}
        for kind, percentile in (("mae", self.mae_percentile), ("mfe", self.mfe_percentile)):
            made.update({f"{kind}_{name}": getattr(self, f"{kind}_{name}") for name in ("mean", "median", "std")})
            made.update({f"{kind}_p{q}": percentile(q) for q in (10, 25, 50, 75, 90)})
        made["edge_ratio"] = self.edge_ratio
        made["efficiency"] = self.efficiency
        made["suggested_stop_loss"] = self.suggest_stop_loss()
        made["suggested_take_profit"] = self.suggest_take_profit()
        return made


def _captured(columns: Mapping[str, Any]) -> float:
    some = columns["mfe"] > 0.0
    return _mean(columns["pnl_percent"][some] / columns["mfe"][some])


def _percentile(values: Any, q: float, given: float | None = None) -> float:
    if not 0.0 <= q <= 100.0:  # noqa: PLR2004 - percent
        raise ValueError(f"percentile was {q if given is None else given!r}, expected a number from 0 to 100")
    return float(np.percentile(values, q)) if len(values) else 0.0


def _finished(trades: Any) -> dict[str, Any]:
    """Return the columns of the trades that are not open, as arrays, with their row numbers."""
    read = _from_frame if hasattr(trades, "get_column") else _from_objects
    columns: dict[str, Any] = {name: np.asarray(read(trades, (name, *other)), dtype=np.float64) for name, other in _COLUMNS.items()}
    for name, other in _TEXTS.items():
        columns[name] = np.asarray(read(trades, (name, *other)), dtype=object)
    columns["row"] = np.arange(len(columns["pnl"]))
    done = columns["status"] != "open"
    return {name: column[done] for name, column in columns.items()}


def _from_frame(frame: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if name in frame.columns:
            return frame.get_column(name).to_numpy()
    if names[0] in _DEFAULTS:
        return [_DEFAULTS[names[0]]] * len(frame)
    raise ValueError(f"the trades have no column {names[0]!r}, only {', '.join(frame.columns)}")


def _from_objects(trades: Sequence[Any], names: tuple[str, ...]) -> Any:
    return [_attribute(trade, names) for trade in trades]


def _attribute(trade: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if hasattr(trade, name):
            value = getattr(trade, name)
            return getattr(value, "value", value)
    if names[0] in _DEFAULTS:
        return _DEFAULTS[names[0]]
    raise AttributeError(f"{type(trade).__name__} has no attribute {names[0]!r}, which a trade needs")
