"""PV quantiles before anything is learnt: physics in the middle, a width from cloud cover and lead time around it."""

from statistics import NormalDist

import numpy as np

from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.pv_bands import CLEAR_TOP, GUESS_WIDENS, first_sigma, growth, least_sigma
from pems_forecaster.domain.pv_quality import Flags

__all__ = ["physics_quantiles"]

_UNKNOWN_CLOUD_PCT = 50.0


def physics_quantiles(
    physics: Floats, clear: Floats, cloud_pct: Floats, lead_h: Floats, levels: Floats, *, guessed: Flags
) -> Floats:
    """Return quantiles (N, L) of the share of the capacity, rising, 0 at night and never far above a clear sky.

    Args:
        physics: Share expected (N,).
        clear: Share under a clear sky (N,).
        cloud_pct: Cloud cover as forecast (N,), NaN where unknown.
        lead_h: Hours since the weather was issued (N,).
        levels: Of the quantiles (L,), rising.
        guessed: Rows whose weather is a guess (N,).
    """
    cloud = np.where(np.isfinite(cloud_pct), cloud_pct, _UNKNOWN_CLOUD_PCT)
    sigma = first_sigma(clear, cloud, 1.0) * growth(lead_h) * np.where(guessed, GUESS_WIDENS, 1.0)
    away = np.array([NormalDist().inv_cdf(float(level)) for level in levels])
    top = np.clip(np.maximum(CLEAR_TOP * clear + 2.0 * least_sigma(clear, 1.0), physics), 0.0, 1.0)
    return np.asarray(np.clip(physics[:, None] + sigma[:, None] * away, 0.0, top[:, None]))
