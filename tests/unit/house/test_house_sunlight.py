"""The house's own formulas of sun and modules against pvlib's."""

import numpy as np
import pandas as pd
import pvlib
import pytest

from pems_house.domain.sunlight import (
    cell_temperature_c,
    extraterrestrial_w_m2,
    incidence_deg,
    passed_by_glass,
    sky_diffuse,
    sun,
)

RNG = np.random.default_rng(7)


@pytest.mark.parametrize(("latitude", "longitude"), [(49.5, 17.4), (-33.9, 151.2), (64.1, -21.9), (0.1, -78.5)])
def test_the_sun_stands_where_pvlib_has_it(latitude, longitude):
    unix_s = pd.Timestamp("2022-01-01", tz="UTC").timestamp() + RNG.uniform(0, 12 * 365.25 * 86_400, 3000)
    theirs = pvlib.solarposition.get_solarposition(
        pd.DatetimeIndex(pd.to_datetime(unix_s, unit="s", utc=True)), latitude, longitude
    )
    zenith, azimuth = sun(unix_s, latitude, longitude)
    true_zenith = theirs["zenith"].to_numpy()
    off = np.abs(zenith - theirs["apparent_zenith"].to_numpy())
    apart = (azimuth - theirs["azimuth"].to_numpy() + 180.0) % 360.0 - 180.0
    assert off[true_zenith < 87.0].max() < 0.02
    assert off[true_zenith < 90.0].max() < 0.15  # at the horizon it is a matter of the day's air
    assert np.abs(apart * np.sin(np.radians(true_zenith)))[true_zenith < 90.0].max() < 0.02
    assert (zenith[true_zenith > 91.0] > 90.0).all()


def test_a_plane_gets_what_pvlib_gives_it():
    n = 5000
    tilt, facing, azimuth = RNG.uniform(0, 90, n), RNG.uniform(0, 360, n), RNG.uniform(0, 360, n)
    zenith, dni, dhi = RNG.uniform(0, 110, n), RNG.uniform(0, 1000, n), RNG.uniform(0, 400, n)
    angle = incidence_deg(tilt, facing, zenith, azimuth)
    assert np.allclose(angle, pvlib.irradiance.aoi(tilt, facing, zenith, azimuth), atol=1e-5)
    extra = extraterrestrial_w_m2(15)
    theirs = pvlib.irradiance.haydavies(tilt, facing, dhi, dni, extra, zenith, azimuth)
    assert np.allclose(sky_diffuse(tilt, angle, zenith, dhi, dni, extra), theirs, rtol=1e-4, atol=1e-3)
    assert np.allclose(passed_by_glass(np.minimum(angle, 89.9)), pvlib.iam.ashrae(np.minimum(angle, 89.9)))
    assert (passed_by_glass(angle)[angle >= 90.0] == 0.0).all()


def test_the_modules_are_as_warm_as_pvlib_says():
    poa, outdoor, wind = RNG.uniform(0, 1100, 50), RNG.uniform(-20, 35, 50), RNG.uniform(0, 12, 50)
    assert np.allclose(cell_temperature_c(poa, outdoor, wind), pvlib.temperature.faiman(poa, outdoor, wind))


@pytest.mark.parametrize("day", [1, 80, 172, 266, 365])
def test_above_the_atmosphere_it_is_pvlibs(day):
    assert extraterrestrial_w_m2(day) == pytest.approx(float(pvlib.irradiance.get_extra_radiation(day)))
