"""One large case: 250 assets over 5,040 sessions, 25 of them long and 25 short by a score that is drawn anew on every bar."""

from __future__ import annotations

import numpy as np

from validation.runners.exchange import Instruction, Job
from validation.suite.markets import walk

__all__ = ["scale_job"]

ASSETS, BARS, PICKS, UNITS = 250, 5_040, 25, 100.0


def scale_job(assets: int = ASSETS, bars: int = BARS, picks: int = PICKS) -> Job:
    """Return the large case. The script asks for target positions where they change, in order of assets: over 200,000 trades."""
    market = walk("scale", seed=7, bars=bars, assets=assets, volatility=0.015, drift=0.0002, start=60.0)
    random = np.random.default_rng(11)
    held = np.zeros(assets)
    script = []
    times = market.times.tolist()
    for bar in range(bars - 1):
        ranked = np.argsort(random.random(assets))
        wanted = np.zeros(assets)
        wanted[ranked[-picks:]] = UNITS
        wanted[ranked[:picks]] = -UNITS
        for asset in np.flatnonzero(wanted != held).tolist():
            script.append(Instruction(times[bar], market.assets[asset], "target_quantity", float(wanted[asset])))
        held = wanted
    return Job("scale", market, {"cash": 1e6, "shorts": True}, tuple(script))
