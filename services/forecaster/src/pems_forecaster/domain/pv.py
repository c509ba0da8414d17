"""PV power and facade irradiance from weather: the physical chain, roof by roof (pvlib).

Global to beam and diffuse (given, or Erbs), transposition by Hay and Davies above the roof's horizon line, snow, module
temperature by Faiman, PVWatts DC, inverter efficiency and AC limit. Night is exactly 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pvlib import irradiance, temperature

from pems_common.home import Pv
from pems_forecaster.domain.fine_weather import FineWeather
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.horizon import FLAT, Outlook, outlook_of
from pems_forecaster.domain.snow import Snow, cover_of
from pems_forecaster.domain.sun import Sun

__all__ = ["FACADES", "PvPower", "beam_and_diffuse", "facade_irradiance", "plane_irradiance", "pv_power"]

FACADES = {"north": 0.0, "east": 90.0, "south": 180.0, "west": 270.0}
ALBEDO = 0.2
SYSTEM_LOSS = 0.04
"""Soiling, wiring and mismatch; what a plant really does comes from its own residuals."""
ASHRAE_B = 0.05
DIFFUSE_TRANSMISSION = 0.95


@dataclass(frozen=True)
class PvPower:
    """AC power of the plant, W.

    Attributes:
        expected_w: With the forecast weather, and snow where its depth is known.
        clear_w: Under a cloudless sky, without snow: what errors are measured against.
        snow_cover: Share of each roof under snow (R, T), 0 where no depth is known.
        bare: Share of the modules' peak power that is free of snow (T,).
    """

    expected_w: Floats
    clear_w: Floats
    snow_cover: Floats
    bare: Floats


def beam_and_diffuse(ghi: Floats, dhi: Floats | None, sun: Sun) -> tuple[Floats, Floats]:
    """Split global irradiance into (direct normal, diffuse horizontal), consistent with it.

    Below 3 degrees of sun height, and beyond what a clear sky lets through, the beam counts as diffuse: dividing
    by the cosine there makes irradiance that does not exist. Without DHI: Erbs et al. (1982),
    doi:10.1016/0038-092X(82)90302-4, with the clearness index of each slot.
    """
    cosine = np.maximum(np.cos(np.radians(sun.zenith_deg)), 0.0)
    if dhi is None:
        kt = np.clip(ghi / np.maximum(sun.extra_w_m2 * np.maximum(cosine, 0.065), 1.0), 0.0, 1.0)
        middle = 0.9511 - 0.1604 * kt + 4.388 * kt**2 - 16.638 * kt**3 + 12.336 * kt**4
        share = np.where(kt <= 0.22, 1.0 - 0.09 * kt, np.where(kt <= 0.8, middle, 0.165))
        dhi = share * ghi
    low = sun.zenith_deg > 87.0
    dni = np.where(low, 0.0, (ghi - dhi) / np.maximum(cosine, 0.05))
    dni = np.clip(dni, 0.0, np.maximum(1.1 * sun.clear_dni_w_m2, 0.0))
    return dni, np.where(sun.up, np.maximum(ghi - dni * cosine, 0.0), 0.0)


def plane_irradiance(
    tilt_deg: float, azimuth_deg: float, sun: Sun, ghi: Floats, dni: Floats, dhi: Floats, outlook: Outlook = FLAT
) -> tuple[Floats, Floats, Floats]:
    """Irradiance on a plane: (beam, diffuse from sky and ground, cosine of the angle of incidence) [W/m2, -].

    Hay and Davies (1980), as in `pvlib.irradiance.haydavies`; ground albedo 0.2. A horizon line hides what comes from
    around the sun together with it.
    """
    projection = irradiance.aoi_projection(tilt_deg, azimuth_deg, sun.zenith_deg, sun.azimuth_deg)
    cosine = np.maximum(np.asarray(projection, dtype=np.float64), 0.0)
    parts = irradiance.haydavies(
        tilt_deg,
        azimuth_deg,
        dhi,
        dni,
        sun.extra_w_m2,
        solar_zenith=sun.zenith_deg,
        solar_azimuth=sun.azimuth_deg,
        return_components=True,
    )
    sky = outlook.sky * parts["poa_isotropic"] + outlook.beam * parts["poa_circumsolar"]
    direct = np.clip(1.0 - dhi / np.maximum(ghi, 1e-9), 0.0, 1.0)
    lit = outlook.ground_sky + (outlook.beam - outlook.ground_sky) * direct
    ground = irradiance.get_ground_diffuse(tilt_deg, ghi * lit, ALBEDO)
    diffuse = np.where(sun.up, np.nan_to_num(np.asarray(sky)) + np.asarray(ground), 0.0)
    return np.where(sun.up, outlook.beam * dni * cosine, 0.0), np.maximum(diffuse, 0.0), cosine


def facade_irradiance(weather: FineWeather) -> dict[str, Floats]:
    """Global irradiance on vertical planes to the four quarters [W/m2]."""
    dni, dhi = beam_and_diffuse(weather.ghi_w_m2, weather.dhi_w_m2, weather.sun)
    result = {}
    for name, azimuth in FACADES.items():
        beam, diffuse, _ = plane_irradiance(90.0, azimuth, weather.sun, weather.ghi_w_m2, dni, dhi)
        result[name] = beam + diffuse
    return result


def _plant_w(
    pv: Pv,
    outlooks: Sequence[Outlook],
    sun: Sun,
    light: tuple[Floats, Floats, Floats],
    air_c: Floats,
    wind: Floats,
    snow: Snow | None = None,
) -> tuple[Floats, Floats]:
    """Return AC power (T,) [W] and the share of each roof under snow (R, T); `light` is GHI, DNI, DHI."""
    dc, cover = np.zeros(len(light[0])), np.zeros((len(pv.roofs), len(light[0])))
    for k, (roof, outlook) in enumerate(zip(pv.roofs, outlooks, strict=True)):
        beam, diffuse, cosine = plane_irradiance(roof.tilt_deg, roof.azimuth_deg, sun, *light, outlook)
        if snow is not None:
            cover[k] = cover_of(snow, k, roof.tilt_deg, air_c, beam + diffuse)
        # ASHRAE incidence angle modifier, Souka and Safwat (1966), as in pvlib.iam.ashrae.
        modifier = np.clip(1.0 - ASHRAE_B * (1.0 / np.maximum(cosine, 0.05) - 1.0), 0.0, 1.0)
        # A roof holds rows of modules, one above another: what snow covers gives nothing, and the rest all it can.
        absorbed = (beam * modifier + diffuse * DIFFUSE_TRANSMISSION) * (1.0 - cover[k])
        cell = np.asarray(temperature.faiman(beam + diffuse, air_c, wind), dtype=np.float64)
        # PVWatts version 5 (Dobos 2014, NREL/TP-6A20-62641), equation 6.
        factor = 1.0 + pv.gamma_per_k * (cell - 25.0)
        dc += roof.peak_w * absorbed / 1000.0 * np.maximum(factor, 0.0) * (1.0 - SYSTEM_LOSS)
    ac = np.minimum(dc * pv.inverter_efficiency, pv.inverter_ac_limit_w)
    return np.where(sun.up, np.maximum(ac, 0.0), 0.0), cover


def pv_power(pv: Pv, weather: FineWeather) -> PvPower:
    """Compute AC power of the plant over the grid of the weather."""
    sun = weather.sun
    dni, dhi = beam_and_diffuse(weather.ghi_w_m2, weather.dhi_w_m2, sun)
    air, wind = weather.temperature_c, weather.wind_m_s
    outlooks = [outlook_of(roof.horizon_deg, roof.tilt_deg, roof.azimuth_deg, sun) for roof in pv.roofs]
    clear = sun.clear_ghi_w_m2, sun.clear_dni_w_m2, sun.clear_dhi_w_m2
    expected_w, cover = _plant_w(pv, outlooks, sun, (weather.ghi_w_m2, dni, dhi), air, wind, weather.snow)
    share = np.array([roof.peak_w for roof in pv.roofs]) / max(pv.peak_w, 1.0)
    return PvPower(
        expected_w=expected_w,
        clear_w=_plant_w(pv, outlooks, sun, clear, air, wind)[0],
        snow_cover=cover,
        bare=np.maximum(1.0 - share @ cover, 0.0),
    )
