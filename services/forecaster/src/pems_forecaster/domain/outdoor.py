"""Bands of the outdoor temperature: the provider's median, leaning on the own sensor in the first hours.

Error of weather models: standard deviation `0.5 + 0.7 sqrt(days)` K (about 1.2 K a day ahead, 1.5 K two days
ahead, as national services publish for 2 m temperature), 3 K more where the weather is guessed.
"""

import numpy as np

from pems_forecaster.domain.bands import Z90, Quantiles
from pems_forecaster.domain.fine_weather import FineWeather
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.residuals import ResidualBook

__all__ = ["outdoor_band", "outdoor_base"]

NOWCAST_H = 6.0
LEAN_MAX_K = 5.0


def outdoor_base(weather: FineWeather, lead_h: Floats, measured_error_k: float | None) -> Quantiles:
    """Band before own residuals.

    Args:
        weather: On the grid.
        lead_h: Lead time of each slot.
        measured_error_k: Measured less expected temperature now, None where there is no sensor.
    """
    lean = 0.0 if measured_error_k is None else float(np.clip(measured_error_k, -LEAN_MAX_K, LEAN_MAX_K))
    middle = weather.temperature_c + 0.8 * lean * np.exp(-lead_h / NOWCAST_H)
    if weather.temperature_spread_c is not None:
        low, high = (np.maximum(s, 0.2) for s in weather.temperature_spread_c)
    else:
        low = high = Z90 * (0.5 + 0.7 * np.sqrt(lead_h / 24.0))
    extra = np.where(weather.temperature_guessed, 3.0 * np.minimum(lead_h / 12.0, 1.0), 0.0)
    return Quantiles(middle - low - extra, middle, middle + high + extra)


def outdoor_band(base: Quantiles, lead_h: Floats, book: ResidualBook) -> Quantiles:
    """Band as published."""
    return book.correct(base, np.ones(len(base.p50)), lead_h).tidy(-60.0, 60.0)
