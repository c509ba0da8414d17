"""A plant's history for training and backtests: archived weather forecasts, when they were issued, and the power."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Pv
from pems_forecaster.domain.fine_weather import UNKNOWN_CLEAR_INDEX, FineWeather
from pems_forecaster.domain.grid import SLOT_S, Floats, Ints
from pems_forecaster.domain.pv import pv_power
from pems_forecaster.domain.snow import Snow
from pems_forecaster.domain.sun import Sun, sun_at

__all__ = ["Physics", "PvPlace", "PvTable", "features_of", "physics_of"]

_NEIGHBOURS = (-2, -1, 1, 2)
_LEAST_CLEAR_W_M2 = 5.0
_CLEAR_INDEX_MAX = 1.6
_SNOW = "snow_depth_m"
_SHIFTED = ("ghi_w_m2", "clear_index", "physics_w", "cloud_pct")


@dataclass(frozen=True)
class PvPlace:
    """Where a plant stands, and what it is."""

    latitude: float
    longitude: float
    altitude_m: float
    pv: Pv


@dataclass(frozen=True)
class PvTable:
    """Rows in time order, one per step.

    Attributes:
        place: The plant.
        start_s: Start of each step [s since 1970, UTC] (T,).
        issued_s: When its weather was issued (T,).
        step_s: Length of a step, a multiple of a quarter of an hour.
        weather: Columns (T,): `ghi_w_m2` and `temperature_c` are needed, `cloud_pct`, `wind_m_s` and `snow_depth_m`
            help, others are features by their own names.
        power_w: Mean power measured (T,), NaN where unknown or not to be learnt from.
        limited: Steps in which the plant was told to hold back (T,); none where left out.
    """

    place: PvPlace
    start_s: Ints
    issued_s: Ints
    step_s: int
    weather: Mapping[str, Floats]
    power_w: Floats
    limited: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        """Check what can be checked.

        Raises:
            ValueError: A column is missing or of another length, or times are not in order.
        """
        if self.step_s <= 0 or self.step_s % SLOT_S:
            raise ValueError(f"a step of {self.step_s} s: it has to be a multiple of {SLOT_S} s")
        for name in ("ghi_w_m2", "temperature_c"):
            if name not in self.weather:
                raise ValueError(f"the weather column {name} is missing")
        if not len(self.limited):
            object.__setattr__(self, "limited", np.zeros(len(self.start_s), dtype=np.bool_))
        columns = {"issued_s": self.issued_s, "power_w": self.power_w, "limited": self.limited, **self.weather}
        for name, column in columns.items():
            if len(column) != len(self.start_s):
                raise ValueError(f"{name} has {len(column)} rows, not {len(self.start_s)}")
        if np.any(np.diff(self.start_s) <= 0):
            raise ValueError("the rows are not in the order of time, or a step is there twice")
        if np.any(self.issued_s > self.start_s):
            raise ValueError("a weather forecast was issued after the step it is for: it would know the future")


@dataclass(frozen=True)
class Physics:
    """What the physical chain says of each step (T,).

    Attributes:
        power_w: With the forecast irradiance.
        clear_w: Under a cloudless sky.
        elevation_deg: Mean height of the sun.
        azimuth_deg: Of the sun in the middle.
        clear_ghi_w_m2: Clear-sky irradiance.
        clear_index: Forecast irradiance in units of it.
        bare: Share of the modules that is free of snow; 1 where no snow depth is known.
    """

    power_w: Floats
    clear_w: Floats
    elevation_deg: Floats
    azimuth_deg: Floats
    clear_ghi_w_m2: Floats
    clear_index: Floats
    bare: Floats


def physics_of(table: PvTable) -> Physics:
    """Run the physical chain on quarters of an hour, and take the means of the steps; unknown irradiance is usual."""
    per, place = table.step_s // SLOT_S, table.place
    slots = (table.start_s[:, None] // SLOT_S + np.arange(per)[None, :]).ravel()
    sun = sun_at(slots, latitude=place.latitude, longitude=place.longitude, altitude_m=place.altitude_m)

    def mean(fine: Floats) -> Floats:
        return np.asarray(fine.reshape(-1, per).mean(axis=1))

    clear_ghi = mean(sun.clear_ghi_w_m2)
    index = np.where(
        clear_ghi > _LEAST_CLEAR_W_M2, table.weather["ghi_w_m2"] / np.maximum(clear_ghi, _LEAST_CLEAR_W_M2), 0.0
    )
    index = np.clip(np.nan_to_num(index, nan=UNKNOWN_CLEAR_INDEX), 0.0, _CLEAR_INDEX_MAX)
    power = pv_power(place.pv, _fine_weather(table, sun, index, per))
    return Physics(
        power_w=mean(power.expected_w),
        clear_w=mean(power.clear_w),
        elevation_deg=mean(90.0 - sun.zenith_deg),
        azimuth_deg=np.asarray(sun.azimuth_deg.reshape(-1, per)[:, per // 2]),
        clear_ghi_w_m2=clear_ghi,
        clear_index=index,
        bare=mean(power.bare),
    )


def _fine_weather(table: PvTable, sun: Sun, index: Floats, per: int) -> FineWeather:
    def fine(name: str, usual: float) -> Floats:
        column = table.weather.get(name)
        values = np.full(len(index), usual) if column is None else np.nan_to_num(column, nan=usual)
        return np.asarray(np.repeat(values, per), dtype=np.float64)

    guessed = np.zeros(len(index) * per, dtype=np.bool_)
    return FineWeather(
        sun=sun,
        temperature_c=fine("temperature_c", 10.0),
        cloud_pct=fine("cloud_pct", 50.0),
        ghi_w_m2=np.repeat(index, per) * sun.clear_ghi_w_m2,
        dhi_w_m2=None,
        wind_m_s=fine("wind_m_s", 2.0),
        guessed=guessed,
        temperature_guessed=guessed,
        snow=_snow(table.weather.get(_SNOW), per),
    )


def _snow(depth_m: Floats | None, per: int) -> Snow | None:
    """Depth on quarters of an hour, in straight lines from one step's middle to the next one's."""
    if depth_m is None or not np.isfinite(depth_m).any():
        return None
    at = (np.arange(len(depth_m) * per) + 0.5) / per - 0.5
    return Snow(np.interp(at, np.arange(len(depth_m)), depth_m))


def features_of(table: PvTable, physics: Physics) -> dict[str, Floats]:
    """Return what a learner sees of each step: sun, physics, weather, its neighbours within the same run, and day sums.

    Nothing in it was known later than the weather's issue. Of snow there is nothing: rows under it never teach.
    """
    middle = table.start_s + table.step_s // 2
    hour = (middle % 86_400) / 3600.0
    day = (middle / 86_400.0) % 365.2425
    run = _runs(table.issued_s)
    base: dict[str, Floats] = {
        name: np.asarray(column, dtype=np.float64) for name, column in table.weather.items() if name != _SNOW
    }
    base |= {
        "physics_w": physics.power_w,
        "clear_w": physics.clear_w,
        "elevation_deg": physics.elevation_deg,
        "azimuth_deg": physics.azimuth_deg,
        "clear_ghi_w_m2": physics.clear_ghi_w_m2,
        "clear_index": physics.clear_index,
        "hour": hour,
        "day_of_year": day,
        "lead_h": (table.start_s - table.issued_s) / 3600.0,
    }
    features = dict(base)
    for name in _SHIFTED:
        if name in base:
            for steps in _NEIGHBOURS:
                features[f"{name}_{steps:+d}"] = _shifted(base[name], run, steps)
    light = _sums(physics.clear_ghi_w_m2, run)
    features["run_ghi_w_m2"] = _sums(base["ghi_w_m2"], run)
    features["run_clear_index"] = features["run_ghi_w_m2"] / np.maximum(light, 1.0)
    features["run_physics_w"] = _sums(physics.power_w, run)
    if "cloud_pct" in base:
        features["run_cloud_pct"] = _sums(base["cloud_pct"], run) / np.bincount(run)[run]
    return features


def _runs(issued_s: Ints) -> NDArray[np.int64]:
    return np.asarray(np.unique(issued_s, return_inverse=True)[1], dtype=np.int64)


def _shifted(values: Floats, run: NDArray[np.int64], steps: int) -> Floats:
    """Value `steps` later in the same run, NaN beyond its ends."""
    result = np.full(len(values), np.nan)
    here = slice(max(0, -steps), len(values) - max(0, steps))
    there = slice(max(0, steps), len(values) + min(0, steps))
    result[here] = np.where(run[here] == run[there], values[there], np.nan)
    return result


def _sums(values: Floats, run: NDArray[np.int64]) -> Floats:
    return np.asarray(np.bincount(run, weights=np.nan_to_num(values))[run])
