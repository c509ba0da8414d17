"""Whether a weather forecast can be used: what is missing or impossible is an error, what is odd a warning."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pems_common.messages import Series, Weather

__all__ = ["WeatherCheck", "check_weather"]

_USUAL_C = (-20.0, 50.0)
_NEEDED = ("temperature_c", "cloud_cover_pct")


@dataclass(frozen=True)
class WeatherCheck:
    """What was found.

    Attributes:
        status: `invalid` where there are errors.
        warnings: What is odd, one sentence each.
        errors: Why it must not be used.
    """

    status: Literal["valid", "invalid"]
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def check_weather(weather: Weather) -> WeatherCheck:
    """Check a forecast: temperature and cloud cover are there, cloud cover is 0..100 %, temperature is not unheard of.

    The coldest and the warmest hundredth of the temperatures are left out, so that a single value does not warn.
    """
    errors = [f"{field}: nothing is known" for field in _NEEDED if not len(_known(getattr(weather, field)))]
    warnings = []
    temperature, cloud = _known(weather.temperature_c), _known(weather.cloud_cover_pct)
    if len(temperature):
        low, high = np.quantile(temperature, (0.01, 0.99))
        if low < _USUAL_C[0] or high > _USUAL_C[1]:
            warnings.append(f"temperature_c: {low:.1f} to {high:.1f} C is outside -20 to 50 C")
    if len(cloud) and (cloud.min() < 0.0 or cloud.max() > 100.0):
        errors.append(f"cloud_cover_pct: {cloud.min():g} to {cloud.max():g} % is outside 0 to 100 %")
    return WeatherCheck("invalid" if errors else "valid", tuple(warnings), tuple(errors))


def _known(series: Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([v for v in series.values if v is not None], dtype=np.float64)
