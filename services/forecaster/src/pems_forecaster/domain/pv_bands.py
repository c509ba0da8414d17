"""PV bands: physics in the middle, and around it what clouds (day 0) and own errors (later) tell.

Width on day 0: `first_sigma`, from cloud cover c (0..1) in units of clear-sky power, `0.05 + 0.05 c + 0.40 c (1 - c)`:
broken skies (17 %) are the least certain, a clear sky is off by haze (5 %), an overcast one by its thickness (10 %).
That is how sure the sky itself is; a forecast of it errs 1.8 times as much, and by 2 % of the capacity at least: with
both, P10 to P90 of three plants near Canberra held 78 % a day ahead, without them 46 % (GEFCom2014, 2012-04 to
2013-06). It grows with lead time as `0.8 + 0.35 sqrt(days)`. Where the provider gives quantiles of irradiance, these
stand in for sigma; guessed weather is 1.6 times as wide.
"""

import numpy as np

from pems_common.home import Pv
from pems_forecaster.domain.bands import Z90, Quantiles
from pems_forecaster.domain.fine_weather import FineWeather
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.pv import PvPower
from pems_forecaster.domain.residuals import ResidualBook

__all__ = ["cloud_sigma", "first_sigma", "least_sigma", "nowcast", "pv_band", "pv_base"]

GUESS_WIDENS = 1.6
NOWCAST_H = 1.5
NOWCAST_SHARE = 0.7
CLEAR_TOP = 1.15
"""Reflections at cloud edges lift slot means a little above the clear sky."""


def cloud_sigma(cloud_pct: Floats) -> Floats:
    """Standard deviation of the error in units of clear-sky power, from cloud cover [%]."""
    c = np.clip(cloud_pct / 100.0, 0.0, 1.0)
    return 0.05 + 0.05 * c + 0.40 * c * (1.0 - c)


_TOLD_WIDENS = 1.8
_LEAST = 0.02  # share of the capacity: the sun's height and the horizon are told no better at dawn and dusk
_LOW_LIGHT = 0.05  # clear-sky share of the capacity below which that fades to nothing


def least_sigma(clear: Floats, capacity: float) -> Floats:
    """Least standard deviation, in the unit of `clear` and `capacity`."""
    return _LEAST * np.minimum(clear / _LOW_LIGHT, capacity)


def first_sigma(clear: Floats, cloud_pct: Floats, capacity: float) -> Floats:
    """Standard deviation before anything is learnt and without lead time, in the unit of `clear` and `capacity`.

    Args:
        clear: Power under a clear sky (N,).
        cloud_pct: Cloud cover as forecast (N,).
        capacity: Most that the plant gives.
    """
    return _TOLD_WIDENS * cloud_sigma(cloud_pct) * clear + least_sigma(clear, capacity)


def growth(lead_h: Floats) -> Floats:
    """How bands widen with lead time."""
    return 0.8 + 0.35 * np.sqrt(lead_h / 24.0)


def nowcast(power: PvPower, lead_h: Floats, recent_error: float | None) -> Floats:
    """Lean the first hours on the last measurements.

    Args:
        power: The physical forecast.
        lead_h: Lead time of each slot.
        recent_error: Mean of (measured - expected) / clear-sky power over the last hour, None where unknown.
    """
    if recent_error is None:
        return power.expected_w
    lean = NOWCAST_SHARE * recent_error * np.exp(-lead_h / NOWCAST_H)
    return np.clip(power.expected_w + lean * power.clear_w, 0.0, CLEAR_TOP * power.clear_w)


def pv_base(
    pv: Pv, power: PvPower, weather: FineWeather, lead_h: Floats, recent_error: float | None = None
) -> Quantiles:
    """Band before own residuals: nowcast physics, with the documented spread."""
    middle = np.minimum(nowcast(power, lead_h, recent_error), pv.inverter_ac_limit_w)
    clear = power.clear_w
    low = high = Z90 * first_sigma(clear, weather.cloud_pct, pv.inverter_ac_limit_w)
    if weather.ghi_spread_w_m2 is not None:
        ghi = np.maximum(weather.sun.clear_ghi_w_m2, 20.0)
        low, high = (np.minimum(s / ghi, 1.0) * clear for s in weather.ghi_spread_w_m2)
    widen = growth(lead_h) * np.where(weather.guessed, GUESS_WIDENS, 1.0)
    return Quantiles(
        np.maximum(middle - widen * low, 0.15 * middle),
        middle,
        np.maximum(np.minimum(middle + widen * high, CLEAR_TOP * clear), middle),
    )


def pv_band(pv: Pv, base: Quantiles, power: PvPower, lead_h: Floats, book: ResidualBook) -> Quantiles:
    """Band as published: corrected by own residuals, ordered, inside 0..AC limit, exactly 0 at night."""
    top = np.where(power.clear_w > 0.0, np.minimum(CLEAR_TOP * power.clear_w, pv.inverter_ac_limit_w), 0.0)
    top = np.maximum(top, np.where(power.clear_w > 0.0, base.p50, 0.0))
    return book.correct(base, power.clear_w, lead_h).tidy(0.0, top)
