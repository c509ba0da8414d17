"""Turning a truth into what a weather service would have said: the documented error model of PEMS's worlds.

Errors are smooth in valid time and grow with lead: temperature 0.4 K + 0.025 K/h (at most 2.5 K), cloud cover
6 % + 0.45 %/h (at most 30 %). 64 % of the variance is common to all runs for the same hour (the weather is hard
to forecast that day), the rest belongs to the run. Irradiance follows the cloud error by Kasten and Czeplak.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from pems_common.messages import Series, Weather
from pems_common.world.noise import smooth
from pems_common.world.port import WeatherSample
from pems_common.world.sky import clear_sky_ghi_w_m2, cloud_factor, cos_zenith, split_beam_diffuse

__all__ = ["forecast_from_truth", "hourly_mean"]

_COMMON, _OWN = 0.8, 0.6


def hourly_mean(truth: Callable[[datetime], WeatherSample], hour: datetime) -> WeatherSample:
    """Return the mean of an hour from four samples at the middles of its quarters."""
    samples = [truth(hour + timedelta(minutes=7.5 + 15 * i)) for i in range(4)]

    def mean(name: str) -> float:
        return sum(float(getattr(s, name)) for s in samples) / len(samples)

    return WeatherSample(**{name: mean(name) for name in WeatherSample.__dataclass_fields__})


def forecast_from_truth(
    truth: Callable[[datetime], WeatherSample],
    issued_at: datetime,
    hours: int,
    *,
    key: str,
    provider: str,
    latitude: float,
    longitude: float,
) -> Weather:
    """Return the forecast run of the last full hour, known at `issued_at`.

    Args:
        truth: True weather by instant.
        issued_at: When it is asked for.
        hours: Length.
        key: Names the random errors.
        provider: Name in the message.
        latitude: Of the site [deg].
        longitude: Of the site [deg].
    """
    run_at = issued_at.replace(minute=0, second=0, microsecond=0)
    columns: dict[str, list[float]] = {name: [] for name in WeatherSample.__dataclass_fields__}
    for lead_h in range(hours):
        hour = run_at + timedelta(hours=lead_h)
        true = hourly_mean(truth, hour)
        run = f"{key}:{run_at:%Y%m%d%H}"
        error_t = _COMMON * smooth(f"{key}:t", hour, 9.0) + _OWN * smooth(f"{run}:t", hour, 9.0)
        error_c = _COMMON * smooth(f"{key}:c", hour, 5.0) + _OWN * smooth(f"{run}:c", hour, 5.0)
        cloud = true.cloud_cover_pct + error_c * min(30.0, 6.0 + 0.45 * lead_h)
        cloud = min(100.0, max(0.0, cloud))
        middle = hour + timedelta(minutes=30)
        cosz = cos_zenith(middle, latitude, longitude)
        ghi = true.ghi_w_m2 * cloud_factor(cloud) / cloud_factor(true.cloud_cover_pct)
        ghi = min(ghi, max(true.ghi_w_m2, 1.05 * clear_sky_ghi_w_m2(cosz)))
        dni, dhi = split_beam_diffuse(ghi, cosz, middle.timetuple().tm_yday)
        columns["temperature_c"].append(true.temperature_c + error_t * min(2.5, 0.4 + 0.025 * lead_h))
        columns["cloud_cover_pct"].append(cloud)
        columns["ghi_w_m2"].append(ghi)
        columns["dni_w_m2"].append(dni)
        columns["dhi_w_m2"].append(dhi)
        columns["wind_m_s"].append(true.wind_m_s)
        columns["humidity_pct"].append(true.humidity_pct)
    series = {name: Series.of(run_at, 3600, values, digits=2) for name, values in columns.items()}
    return Weather(provider=provider, run_at=run_at, available_at=issued_at, **series)
