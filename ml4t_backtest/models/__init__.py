"""Cost models: commission and slippage.

Each model is a small frozen object. The engine lowers it to a record that the kernels read; `calculate` gives the same
number by hand.
"""

from __future__ import annotations

from ml4t_backtest.models.commission import (
    AssetCommission,
    CombinedCommission,
    CommissionModel,
    FuturesCommission,
    MakerTakerCommission,
    NoCommission,
    PercentageCommission,
    PerOrderCommission,
    PerOrderPerShareCommission,
    PerShareCommission,
    TieredCommission,
)
from ml4t_backtest.models.slippage import (
    AssetSlippage,
    CumulativeVolumeShareSlippage,
    FixedSlippage,
    FuturesSlippage,
    NoSlippage,
    PercentageSlippage,
    SlippageModel,
    SpreadSlippage,
    VolatilityVolumeSlippage,
    VolumeShareSlippage,
)

__all__ = [
    "AssetCommission",
    "AssetSlippage",
    "CombinedCommission",
    "CommissionModel",
    "CumulativeVolumeShareSlippage",
    "FixedSlippage",
    "FuturesCommission",
    "FuturesSlippage",
    "MakerTakerCommission",
    "NoCommission",
    "NoSlippage",
    "PerOrderCommission",
    "PerOrderPerShareCommission",
    "PerShareCommission",
    "PercentageCommission",
    "PercentageSlippage",
    "SlippageModel",
    "SpreadSlippage",
    "TieredCommission",
    "VolatilityVolumeSlippage",
    "VolumeShareSlippage",
]
