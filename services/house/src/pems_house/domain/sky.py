"""Weather, sun and PV of a UTC day on a one-minute grid: computed once a day, then only read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import cos, pi
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_house.domain.building import FACADES
from pems_house.domain.chance import generator
from pems_house.domain.sunlight import (
    cell_temperature_c,
    extraterrestrial_w_m2,
    incidence_deg,
    passed_by_glass,
    sky_diffuse,
    sun,
)

__all__ = ["Sky", "SkyDay", "WeatherAt"]

Floats = NDArray[np.float64]

_GRID_MIN = 5
_FACADE_AZIMUTH_DEG = {"north": 0.0, "east": 90.0, "south": 180.0, "west": 270.0}
_ALBEDO = 0.2


class WeatherAt(Protocol):
    """Weather at an instant (`pems_common.world.WeatherSample`)."""

    @property
    def temperature_c(self) -> float:
        """Air temperature."""

    @property
    def dni_w_m2(self) -> float:
        """Direct normal irradiance."""

    @property
    def dhi_w_m2(self) -> float:
        """Diffuse horizontal irradiance."""

    @property
    def wind_m_s(self) -> float:
        """Wind."""

    @property
    def humidity_pct(self) -> float:
        """Relative humidity."""


@dataclass(frozen=True)
class SkyDay:
    """One UTC day by minutes (1440).

    Attributes:
        outdoor_c: Air temperature.
        wind_m_s: Wind.
        humidity_pct: Relative humidity.
        facade_w_m2: Irradiance on the four facades (1440, 4).
        pv_dc_w: DC power that each roof's modules could give (1440, roofs).
        ground_c: Ground temperature of the day.
    """

    outdoor_c: Floats
    wind_m_s: Floats
    humidity_pct: Floats
    facade_w_m2: Floats
    pv_dc_w: Floats
    ground_c: float


class Sky:
    """Gives the days of a place."""

    def __init__(self, home: Home, weather: Callable[[datetime], WeatherAt], seed: int) -> None:
        """Keep the place; the modules' true properties are drawn from the seed."""
        rng = generator(seed, "pv")
        self._site = home.site
        self._weather = weather
        roofs = home.pv.roofs
        self._peak_w = np.array([roof.peak_w for roof in roofs])
        # soiling, mismatch, wiring, ageing; the true temperature coefficient
        self._performance = np.clip(rng.normal(0.92, 0.02, len(roofs)), 0.86, 0.97)
        self._gamma_per_k = home.pv.gamma_per_k * float(np.clip(rng.normal(1.0, 0.08), 0.8, 1.2))
        self._tilt_deg = np.array([roof.tilt_deg for roof in roofs] + [90.0] * 4)
        self._azimuth_deg = np.array(
            [roof.azimuth_deg for roof in roofs] + [_FACADE_AZIMUTH_DEG[side] for side in FACADES]
        )
        self._hill_deg = float(rng.uniform(2.0, 5.0)), float(rng.uniform(0.0, 360.0))
        self._days: dict[date, SkyDay] = {}

    def day(self, day: date) -> SkyDay:
        """Return a UTC day; the last few are kept."""
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = self._compute(day)
            while len(self._days) > 3:
                del self._days[next(iter(self._days))]
        return found

    def _compute(self, day: date) -> SkyDay:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        grid = np.arange(0, 24 * 60 + 1, _GRID_MIN)
        samples = [self._weather(start + timedelta(minutes=int(m))) for m in grid]
        outdoor, wind, humidity, dni, dhi = (
            np.array([getattr(s, name) for s in samples], dtype=np.float64)
            for name in ("temperature_c", "wind_m_s", "humidity_pct", "dni_w_m2", "dhi_w_m2")
        )
        unix_s: Floats = start.timestamp() + 60.0 * grid.astype(np.float64)
        planes, angle_deg = self._irradiance(unix_s, day, dni, dhi)
        roofs = len(self._peak_w)
        pv = self._modules(planes[:, :roofs], angle_deg[:, :roofs], dhi, outdoor, wind)
        minutes = np.arange(24 * 60) + 0.5

        def fine(values: Floats) -> Floats:
            if values.ndim == 1:
                return np.asarray(np.interp(minutes, grid, values), dtype=np.float64)
            columns = [np.interp(minutes, grid, values[:, i]) for i in range(values.shape[1])]
            return np.stack(columns, axis=1) if columns else np.zeros((len(minutes), 0))

        season = cos(2.0 * pi * (day.timetuple().tm_yday - 50.0) / 365.25)  # a month behind the air
        return SkyDay(fine(outdoor), fine(wind), fine(humidity), fine(planes[:, roofs:]), fine(pv), 10.5 - 3.0 * season)

    def _irradiance(self, unix_s: Floats, day: date, dni: Floats, dhi: Floats) -> tuple[Floats, Floats]:
        """Irradiance on roofs and facades [W/m2] and angle of incidence [deg] (times, planes)."""
        zenith, azimuth = (a[:, None] for a in sun(unix_s, self._site.latitude, self._site.longitude))
        height, towards = self._hill_deg
        horizon = 1.0 + height * (1.0 + np.cos(np.radians(azimuth - towards))) / 2.0
        beam = np.where(zenith < 90.0 - horizon, dni[:, None], 0.0)
        diffuse = dhi[:, None]
        extra = extraterrestrial_w_m2(day.timetuple().tm_yday)
        tilt, facing = self._tilt_deg[None, :], self._azimuth_deg[None, :]
        incidence = incidence_deg(tilt, facing, zenith, azimuth)
        direct = beam * np.clip(np.cos(np.radians(incidence)), 0.0, None)
        sky = np.clip(sky_diffuse(tilt, incidence, zenith, diffuse, beam, extra), 0.0, 1.5 * diffuse + 0.5 * beam)
        level = beam * np.clip(np.cos(np.radians(zenith)), 0.0, None) + diffuse
        ground = level * _ALBEDO * (1.0 - np.cos(np.radians(tilt))) / 2.0
        return direct + sky + ground, incidence

    def _modules(self, plane: Floats, angle_deg: Floats, dhi: Floats, outdoor: Floats, wind: Floats) -> Floats:
        """DC power of the modules [W] (times, roofs): reflection, cell temperature, PVWatts DC."""
        if plane.shape[1] == 0:
            return plane
        diffuse = np.minimum(dhi[:, None], plane)
        effective = (plane - diffuse) * passed_by_glass(angle_deg) + 0.96 * diffuse
        cell_c = cell_temperature_c(plane, outdoor[:, None], wind[:, None])
        power = self._peak_w * self._performance * effective / 1000.0
        warm: Floats = np.clip(power * (1.0 + self._gamma_per_k * (cell_c - 25.0)), 0.0, None)
        return warm
