"""A weather message on the 15-min grid, with holes filled by persistence.

Irradiance is refined by its clear-sky index, so that a day's shape appears inside the hour, and each hour's
mean stays what the provider said. Temperature, wind and cloud cover stand for the middle of their step and are
interpolated to the middle of each slot.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pems_common.messages import Series, Weather
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Grid, Ints, slot_no
from pems_forecaster.domain.slot_history import SlotHistory
from pems_forecaster.domain.snow import Snow, snow_now
from pems_forecaster.domain.sun import Sun, sun_at

__all__ = ["FineWeather", "fine_weather", "on_slots", "refine_irradiance"]

MARGIN = 2 * SLOTS_PER_DAY // 24
"""Slots computed beyond both ends of the grid, so that hours at its ends are whole there too."""
UNKNOWN_CLEAR_INDEX = 0.45
"""Mean clear-sky index of central Europe: used when neither weather nor own PV tell anything."""
STALE_H = 12.0


@dataclass(frozen=True)
class FineWeather:
    """Weather on the forecast grid, no NaN anywhere.

    Attributes:
        sun: Sun and clear sky on the same slots.
        temperature_c: Outdoor temperature.
        cloud_pct: Cloud cover, 0..100.
        ghi_w_m2: Global horizontal irradiance; exactly 0 at night.
        dhi_w_m2: Diffuse horizontal, None where it has to be estimated from GHI.
        wind_m_s: Wind speed.
        guessed: Slots where irradiance is persistence or a guess, not the provider's.
        temperature_guessed: The same for the temperature.
        ghi_spread_w_m2: (P50-P10, P90-P50) where the provider gives quantiles.
        temperature_spread_c: The same for the temperature.
        snow: On the ground, None where nobody knows.
        degraded: Reason codes.
    """

    sun: Sun
    temperature_c: Floats
    cloud_pct: Floats
    ghi_w_m2: Floats
    dhi_w_m2: Floats | None
    wind_m_s: Floats
    guessed: NDArray[np.bool_]
    temperature_guessed: NDArray[np.bool_]
    ghi_spread_w_m2: tuple[Floats, Floats] | None = None
    temperature_spread_c: tuple[Floats, Floats] | None = None
    snow: Snow | None = None
    degraded: tuple[str, ...] = ()


def refine_irradiance(coarse: Floats, first: int, per_value: int, slots: Ints, clear: Floats) -> Floats:
    """Spread means of long steps over slots by the clear-sky index.

    Args:
        coarse: Mean irradiance of each long step [W/m2], NaN where unknown.
        first: Slot number at which `coarse` begins.
        per_value: Slots per long step (4 for hourly data).
        slots: Slots wanted, consecutive.
        clear: Clear-sky irradiance of these slots [W/m2].

    Returns:
        Irradiance per slot: the mean over each long step that lies wholly in `slots` and sees the sun is the
        given one; 0 where `clear` is 0; NaN where `coarse` is unknown.
    """
    group = (slots - first) // per_value
    inside = (group >= 0) & (group < len(coarse))
    safe = np.where(inside, group, 0)
    wanted = np.where(inside, coarse[safe] if len(coarse) else np.nan, np.nan)
    if per_value == 1 or not len(coarse):
        return np.where(clear > 0.0, np.maximum(wanted, 0.0), np.where(np.isnan(wanted), np.nan, 0.0))

    def group_mean(values: Floats) -> Floats:
        total = np.bincount(safe[inside], values[inside], minlength=len(coarse))
        count = np.bincount(safe[inside], minlength=len(coarse))
        return np.asarray(total / np.maximum(count, 1), dtype=np.float64)

    clear_mean = group_mean(clear)
    index = np.where(clear_mean > 5.0, coarse / np.maximum(clear_mean, 5.0), np.nan)
    known = np.flatnonzero(np.isfinite(index))
    if known.size:
        centre = first + (known + 0.5) * per_value
        shape = np.interp(slots + 0.5, centre, np.clip(index[known], 0.0, 1.6)) * clear
    else:
        shape = clear
    # A thick cloud between two clear hours can leave a shape of 0 where the mean is not: lean on clear sky.
    shape = np.maximum(shape, 1e-6 * clear)
    shape_mean = group_mean(shape)
    scale = np.where(shape_mean > 0.0, np.maximum(coarse, 0.0) / np.where(shape_mean > 0.0, shape_mean, 1.0), 0.0)
    fine = np.where(clear > 0.0, shape * scale[safe], 0.0)
    return np.where(np.isnan(wanted), np.nan, fine)


def _linear(series: Series | None, slots: Ints) -> Floats:
    """Interpolate from the middles of steps to the middles of slots; NaN outside and where the step is unknown."""
    if series is None or not series.values:
        return np.full(len(slots), np.nan)
    values = np.array([np.nan if v is None else v for v in series.values], dtype=np.float64)
    at = series.start.timestamp() + (np.arange(len(values)) + 0.5) * series.step_s
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(slots), np.nan)
    middle = (slots + 0.5) * SLOT_S
    result = np.interp(middle, at[known], values[known])
    holder = np.floor((middle - series.start.timestamp()) / series.step_s).astype(np.int64)
    inside = (holder >= 0) & (holder < len(values))
    held = np.where(inside, known[np.clip(holder, 0, len(values) - 1)], False)
    return np.where(held, result, np.nan)


def on_slots(series: Series | None, slots: Ints, clear: Floats) -> Floats:
    """Put means of irradiance (or of power that follows it) on slots, shaped as a clear sky is; NaN where unknown."""
    if series is None or not series.values:
        return np.full(len(slots), np.nan)
    values = np.array([np.nan if v is None else v for v in series.values], dtype=np.float64)
    if series.step_s % SLOT_S or int(series.start.timestamp()) % SLOT_S:
        # An odd step: take the value that holds in the middle of the slot.
        index = ((slots + 0.5) * SLOT_S - series.start.timestamp()) // series.step_s
        inside = (index >= 0) & (index < len(values))
        held = np.where(inside, values[np.clip(index, 0, len(values) - 1).astype(np.int64)], np.nan)
        return np.where(np.isnan(held), np.nan, np.where(clear > 0, held, 0.0))
    return refine_irradiance(values, slot_no(series.start), series.step_s // SLOT_S, slots, clear)


def _fill_from_yesterday(values: Floats, slots: Ints, history: SlotHistory, name: str, before: int) -> Floats:
    """Fill NaN by the same slot one day earlier: of the array itself first, else of the last week's history."""
    filled = values.copy()
    kept = history.series.get(name, {})
    for i in np.flatnonzero(np.isnan(filled)):
        if i >= SLOTS_PER_DAY and np.isfinite(filled[i - SLOTS_PER_DAY]):
            filled[i] = filled[i - SLOTS_PER_DAY]
            continue
        for day in range(1, 9):
            slot = int(slots[i]) - day * SLOTS_PER_DAY
            if slot < before and slot in kept:
                filled[i] = kept[slot]
                break
    return filled


def fine_weather(
    grid: Grid,
    weather: Weather | None,
    history: SlotHistory,
    *,
    latitude: float,
    longitude: float,
    altitude_m: float,
    clear_index: float | None = None,
) -> FineWeather:
    """Put the weather on the grid.

    Args:
        grid: Slots wanted; a message that became available after `grid.issued_at` is not looked at.
        weather: The provider's latest run, None where silent.
        history: For persistence where the weather does not reach.
        latitude: Degrees north.
        longitude: Degrees east.
        altitude_m: Above the sea.
        clear_index: Own estimate of the clear-sky index lately (from PV), for slots nobody knows.
    """
    degraded: list[str] = []
    if weather is not None and weather.available_at > grid.issued_at:
        weather = None
    wide = np.arange(grid.first - MARGIN, grid.first + grid.count + MARGIN, dtype=np.int64)
    core = slice(MARGIN, MARGIN + grid.count)
    sun = sun_at(wide, latitude=latitude, longitude=longitude, altitude_m=altitude_m)
    nothing = np.full(len(wide), np.nan)
    before = grid.first
    ghi = on_slots(weather.ghi_w_m2, wide, sun.clear_ghi_w_m2) if weather else nothing
    cloud = _linear(weather.cloud_cover_pct, wide) if weather else nothing
    temperature = _linear(weather.temperature_c, wide) if weather else nothing
    wind = _linear(weather.wind_m_s, wide) if weather else nothing
    dhi = _diffuse(weather, wide, sun, ghi) if weather else None
    snow_depth = None if weather is None else weather.snow_depth_m
    guessed = np.isnan(ghi)
    temperature_guessed = np.isnan(temperature)
    if weather is None:
        degraded.append("no_weather")
    else:
        if (grid.issued_at - weather.run_at).total_seconds() > STALE_H * 3600:
            degraded.append("weather_stale")
        if guessed[core].any() or temperature_guessed[core].any():
            degraded.append("weather_short")
    day = grid.issued_at.timestamp() / 86_400
    warm = 9.0 - 10.0 * np.cos(2 * np.pi * (day % 365.25 - 20.0) / 365.25)
    ghi = _fill_from_yesterday(ghi, wide, history, "ghi_w_m2", before)
    index = UNKNOWN_CLEAR_INDEX if clear_index is None else clear_index
    ghi = np.where(np.isnan(ghi), index * sun.clear_ghi_w_m2, ghi)
    ghi = np.where(sun.up, np.maximum(ghi, 0.0), 0.0)
    cloud = _fill_from_yesterday(cloud, wide, history, "cloud_pct", before)
    temperature = _fill_from_yesterday(temperature, wide, history, "outdoor_c", before)
    if dhi is not None:
        dhi = np.where(np.isnan(dhi) | guessed, np.minimum(ghi, _erbs_fill(ghi, sun)), dhi)[core]
    spreads = _spreads(weather, wide, core) if weather else (None, None)
    return FineWeather(
        sun=sun[core],
        temperature_c=np.where(np.isnan(temperature), warm, temperature)[core],
        cloud_pct=np.clip(np.where(np.isnan(cloud), 60.0, cloud), 0.0, 100.0)[core],
        ghi_w_m2=ghi[core],
        dhi_w_m2=dhi,
        wind_m_s=np.where(np.isnan(wind), 2.0, np.maximum(wind, 0.0))[core],
        guessed=guessed[core],
        temperature_guessed=temperature_guessed[core],
        ghi_spread_w_m2=spreads[0],
        temperature_spread_c=spreads[1],
        snow=snow_now(lambda slots: _linear(snow_depth, slots), grid.slots, history),
        degraded=tuple(degraded),
    )


def _erbs_fill(ghi: Floats, sun: Sun) -> Floats:
    """Diffuse share for slots without the provider's: a straight line in the clear-sky index."""
    index = ghi / np.maximum(sun.clear_ghi_w_m2, 1.0)
    return ghi * np.clip(1.15 - 0.95 * index, 0.12, 1.0)


def _diffuse(weather: Weather, slots: Ints, sun: Sun, ghi: Floats) -> Floats | None:
    """Diffuse irradiance from the provider's DHI, or from its DNI; None where it gives neither."""
    if weather.dhi_w_m2 is not None:
        dhi = on_slots(weather.dhi_w_m2, slots, np.where(sun.up, np.maximum(sun.clear_dhi_w_m2, 1e-3), 0.0))
    elif weather.dni_w_m2 is not None:
        cosine = np.where(sun.up, np.maximum(np.cos(np.radians(sun.zenith_deg)), 0.0), 0.0)
        dni = on_slots(weather.dni_w_m2, slots, np.where(sun.up, np.maximum(sun.clear_dni_w_m2, 1e-3), 0.0))
        dhi = ghi - dni * cosine
    else:
        return None
    return np.clip(dhi, 0.0, np.where(np.isnan(ghi), np.inf, ghi))


def _spreads(
    weather: Weather, slots: Ints, core: slice
) -> tuple[tuple[Floats, Floats] | None, tuple[Floats, Floats] | None]:
    """Distances P50-P10 and P90-P50 of irradiance and temperature, where the provider has them throughout."""
    if weather.quantiles is None:
        return None, None
    found: list[tuple[Floats, Floats] | None] = []
    for band in (weather.quantiles.ghi_w_m2, weather.quantiles.temperature_c):
        p10, p50, p90 = (_linear(s, slots)[core] for s in (band.p10, band.p50, band.p90))
        low, high = np.maximum(p50 - p10, 0.0), np.maximum(p90 - p50, 0.0)
        whole = bool(np.isfinite(low).all() and np.isfinite(high).all())
        found.append((low, high) if whole else None)
    return found[0], found[1]
