"""PV physics: energy against pvlib, nights, hourly means, bands."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pvlib
import pytest
from tests.unit.forecaster.forecaster_makers import (
    SUMMER,
    WINTER,
    grid_at,
    hourly,
    make_weather,
    sun_of,
    the_home,
)

from pems_common.messages import Band, WeatherQuantiles
from pems_forecaster.domain.fine_weather import MARGIN, fine_weather, refine_irradiance
from pems_forecaster.domain.grid import slot_at
from pems_forecaster.domain.pv import beam_and_diffuse, facade_irradiance, pv_power
from pems_forecaster.domain.pv_bands import cloud_sigma, pv_band, pv_base
from pems_forecaster.domain.residuals import ResidualBook
from pems_forecaster.domain.slot_history import SlotHistory

PLACE = {"latitude": 49.5, "longitude": 17.4, "altitude_m": 300.0}


def fine(at=SUMMER, weather=None, slots=216):
    return fine_weather(grid_at(at, slots), weather, SlotHistory(), **PLACE)


def test_energy_agrees_with_pvlib_chain():
    """The same weather through pvlib's own ModelChain-like steps gives the day's energy within 3 %."""
    home = the_home()
    weather = fine(weather=make_weather(SUMMER), slots=96)
    power = pv_power(home.pv, weather)
    times = pd.DatetimeIndex([slot_at(int(n)) + timedelta(minutes=7.5) for n in grid_at(SUMMER, 96).slots])
    position = pvlib.solarposition.get_solarposition(times, 49.5, 17.4, altitude=300)
    ghi = pd.Series(weather.ghi_w_m2, index=times)
    split = pvlib.irradiance.erbs(ghi, position["zenith"], times)
    total = 0.0
    for roof in home.pv.roofs:
        plane = pvlib.irradiance.get_total_irradiance(
            roof.tilt_deg,
            roof.azimuth_deg,
            position["apparent_zenith"],
            position["azimuth"],
            split["dni"],
            ghi,
            split["dhi"],
            dni_extra=pvlib.irradiance.get_extra_radiation(times),
            model="haydavies",
            albedo=0.2,
        )
        angle = pvlib.irradiance.aoi(roof.tilt_deg, roof.azimuth_deg, position["apparent_zenith"], position["azimuth"])
        absorbed = plane["poa_direct"] * pvlib.iam.ashrae(angle) + 0.95 * plane["poa_diffuse"]
        cell = pvlib.temperature.faiman(plane["poa_global"], 5.0, 2.0)
        total += pvlib.pvsystem.pvwatts_dc(absorbed, cell, roof.peak_w, home.pv.gamma_per_k) * 0.96
    expected_wh = float(np.minimum(total * home.pv.inverter_efficiency, home.pv.inverter_ac_limit_w).sum() / 4)
    assert power.expected_w.sum() / 4 == pytest.approx(expected_wh, rel=0.03)
    assert 40_000 < expected_wh < 90_000


def test_erbs_split_is_pvlibs():
    sun = sun_of(SUMMER, 96)
    ghi = 0.6 * sun.clear_ghi_w_m2
    dni, dhi = beam_and_diffuse(ghi, None, sun)
    times = pd.DatetimeIndex([slot_at(int(n)) + timedelta(minutes=7.5) for n in grid_at(SUMMER, 96).slots])
    theirs = pvlib.irradiance.erbs(ghi, sun.zenith_deg, times)
    high = sun.zenith_deg < 85
    np.testing.assert_allclose(dhi[high], theirs["dhi"][high], rtol=1e-3, atol=0.5)
    np.testing.assert_allclose(dni[high], theirs["dni"][high], rtol=5e-3, atol=1.0)


@pytest.mark.parametrize("at", [SUMMER, WINTER])
def test_night_is_exactly_zero(at):
    weather = fine(at, make_weather(at))
    power = pv_power(the_home().pv, weather)
    night = ~weather.sun.up
    assert night.any()
    assert (power.expected_w[night] == 0.0).all()
    base = pv_base(the_home().pv, power, weather, grid_at(at).lead_h, recent_error=0.3)
    band = pv_band(the_home().pv, base, power, grid_at(at).lead_h, ResidualBook((0.5, 4.0)))
    for part in (band.p10, band.p50, band.p90):
        assert (part[night] == 0.0).all()
    for facade in facade_irradiance(weather).values():
        assert (facade[night] == 0.0).all()


@pytest.mark.parametrize("minute", [0, 15, 33, 45])
def test_hourly_means_are_kept(minute):
    rng = np.random.default_rng(1)
    hours = 72
    clear = sun_of(SUMMER, hours * 4).clear_ghi_w_m2.reshape(-1, 4).mean(axis=1)
    ghi = clear * rng.uniform(0.0, 1.1, hours)
    weather = make_weather(SUMMER).model_copy(update={"ghi_w_m2": hourly(SUMMER, ghi)})
    at = SUMMER + timedelta(minutes=minute)
    grid = grid_at(at)
    result = fine(at, weather)
    offset = grid.first - grid_at(SUMMER).first
    lead = (-offset) % 4
    whole = result.ghi_w_m2[lead : lead + (len(result.ghi_w_m2) - lead) // 4 * 4].reshape(-1, 4).mean(axis=1)
    first_hour = (offset + lead) // 4
    given = ghi[first_hour : first_hour + len(whole)]
    sees_sun = clear[first_hour : first_hour + len(whole)] > 0
    np.testing.assert_allclose(whole[sees_sun], given[sees_sun], rtol=1e-3, atol=0.01)


def test_refinement_follows_the_suns_path_inside_the_hour():
    sun = sun_of(SUMMER, 96)
    coarse = sun.clear_ghi_w_m2.reshape(-1, 4).mean(axis=1)
    first = grid_at(SUMMER).first
    slots = np.arange(first, first + 96)
    refined = refine_irradiance(coarse, first, 4, slots, sun.clear_ghi_w_m2)
    np.testing.assert_allclose(refined, sun.clear_ghi_w_m2, rtol=0.02, atol=1.0)


def test_bands_are_ordered_inside_limits_and_widen_with_lead():
    home = the_home()
    weather = fine(weather=make_weather(SUMMER, index=0.9))
    grid = grid_at(SUMMER)
    power = pv_power(home.pv, weather)
    book = ResidualBook((0.5, 4.0, 14.0, 38.0), slots_per_day=36)
    band = pv_band(home.pv, pv_base(home.pv, power, weather, grid.lead_h), power, grid.lead_h, book)
    assert (band.p10 >= 0).all()
    assert (band.p10 <= band.p50).all()
    assert (band.p50 <= band.p90).all()
    assert (band.p90 <= home.pv.inverter_ac_limit_w).all()
    width = (band.p90 - band.p10)[:192].reshape(2, 96).mean(axis=1)
    assert width[1] > width[0]


def test_broken_clouds_are_the_least_certain():
    clear, broken, overcast = cloud_sigma(np.array([0.0, 55.0, 100.0]))
    assert clear < overcast < broken


def test_missing_weather_falls_back_on_yesterday_and_says_so():
    weather = make_weather(SUMMER, hours=30, index=0.4)
    result = fine(SUMMER + timedelta(hours=2), weather)
    assert result.degraded == ("weather_short",)
    assert np.isfinite(result.ghi_w_m2).all()
    late = 28 * 4 + 40
    assert result.guessed[late]
    assert result.ghi_w_m2[late] == pytest.approx(result.ghi_w_m2[late - 96], rel=0.02)
    widened = pv_base(the_home().pv, pv_power(the_home().pv, result), result, grid_at(SUMMER).lead_h)
    known = fine(SUMMER + timedelta(hours=2), make_weather(SUMMER, index=0.4))
    usual = pv_base(the_home().pv, pv_power(the_home().pv, known), known, grid_at(SUMMER).lead_h)
    day = slice(28 * 4, 48 * 4)
    assert (widened.p90 - widened.p10)[day].sum() > 1.2 * (usual.p90 - usual.p10)[day].sum()


def test_no_weather_at_all_still_gives_days_and_nights():
    result = fine_weather(grid_at(WINTER), None, SlotHistory(), clear_index=0.3, **PLACE)
    assert result.degraded == ("no_weather",)
    assert result.ghi_w_m2.max() > 50.0
    assert result.guessed.all()
    assert -15 < result.temperature_c.mean() < 10


def test_weather_of_the_future_is_not_looked_at():
    weather = make_weather(SUMMER, available_at=SUMMER + timedelta(hours=5))
    assert fine(SUMMER + timedelta(hours=4), weather).degraded == ("no_weather",)
    assert fine(SUMMER + timedelta(hours=5), weather).degraded == ()


def test_old_run_is_called_stale():
    assert "weather_stale" in fine(SUMMER + timedelta(hours=13), make_weather(SUMMER)).degraded


def test_holes_in_the_series_are_filled():
    weather = make_weather(SUMMER)
    values = list(weather.ghi_w_m2.values)
    values[35] = None
    temperature: list[float | None] = [5.0] * 72
    temperature[30] = None
    holey = weather.model_copy(
        update={
            "ghi_w_m2": weather.ghi_w_m2.model_copy(update={"values": tuple(values)}),
            "temperature_c": weather.temperature_c.model_copy(update={"values": tuple(temperature)}),
        }
    )
    result = fine(weather=holey)
    assert result.guessed.sum() == 4
    assert np.isfinite(result.ghi_w_m2).all()
    assert np.isfinite(result.temperature_c).all()


def test_given_diffuse_and_beam_are_used():
    clear = sun_of(SUMMER, 288)
    dhi = 0.9 * 0.7 * clear.clear_ghi_w_m2.reshape(-1, 4).mean(axis=1)
    cloudy = fine(weather=make_weather(SUMMER, dhi_w_m2=hourly(SUMMER, dhi)))
    beam = 0.95 * clear.clear_dni_w_m2.reshape(-1, 4).mean(axis=1)
    sunny = fine(weather=make_weather(SUMMER, dni_w_m2=hourly(SUMMER, beam)))
    assert cloudy.dhi_w_m2 is not None
    assert sunny.dhi_w_m2 is not None
    noon = 44
    assert cloudy.dhi_w_m2[noon] > 0.8 * cloudy.ghi_w_m2[noon]
    assert sunny.dhi_w_m2[noon] < 0.4 * sunny.ghi_w_m2[noon]


def test_quarter_hourly_and_odd_steps_are_understood():
    weather = make_weather(SUMMER)
    fine_values = 0.7 * sun_of(SUMMER, 288).clear_ghi_w_m2
    quarter = weather.ghi_w_m2.model_copy(update={"step_s": 900, "values": tuple(fine_values.tolist())})
    result = fine(weather=weather.model_copy(update={"ghi_w_m2": quarter}))
    np.testing.assert_allclose(result.ghi_w_m2, fine_values[:216], atol=0.01)
    odd = weather.ghi_w_m2.model_copy(update={"step_s": 600, "values": tuple([100.0] * 432)})
    result = fine(weather=weather.model_copy(update={"ghi_w_m2": odd}))
    assert result.ghi_w_m2[result.sun.up].max() == pytest.approx(100.0)


def test_quantiles_of_the_provider_set_the_width():
    weather = make_weather(SUMMER)
    ghi = np.array([v or 0.0 for v in weather.ghi_w_m2.values])

    def around(share):
        return Band(
            p10=hourly(SUMMER, ghi * (1 - share)), p50=hourly(SUMMER, ghi), p90=hourly(SUMMER, ghi * (1 + share))
        )

    air = Band(p10=hourly(SUMMER, [4] * 72), p50=hourly(SUMMER, [5] * 72), p90=hourly(SUMMER, [6] * 72))
    widths = []
    for share in (0.05, 0.3):
        result = fine(
            weather=weather.model_copy(
                update={"quantiles": WeatherQuantiles(temperature_c=air, ghi_w_m2=around(share))}
            )
        )
        assert result.temperature_spread_c is not None
        base = pv_base(the_home().pv, pv_power(the_home().pv, result), result, grid_at(SUMMER).lead_h)
        widths.append(float((base.p90 - base.p10).sum()))
    assert widths[1] > 2 * widths[0]


def test_facades_see_the_sun_in_their_turn():
    facades = facade_irradiance(fine(weather=make_weather(SUMMER, index=1.0)))
    east, south, west = (int(np.argmax(facades[f][:96])) for f in ("east", "south", "west"))
    assert east < south < west
    assert facades["south"].max() > facades["north"].max()


def test_margin_covers_whole_hours():
    assert MARGIN % 4 == 0


def test_nowcast_leans_and_lets_go():
    weather = fine(SUMMER + timedelta(hours=9), make_weather(SUMMER))
    power = pv_power(the_home().pv, weather)
    lead = grid_at(SUMMER + timedelta(hours=9)).lead_h
    low = pv_base(the_home().pv, power, weather, lead, recent_error=-0.3)
    plain = pv_base(the_home().pv, power, weather, lead)
    day = power.expected_w > 1000
    share = (plain.p50 - low.p50)[day] / plain.p50[day]
    assert share[0] > 0.15
    assert all(a >= b - 0.02 for a, b in pairwise(share[:24]))
    assert abs(low.p50[96] - plain.p50[96]) < 1.0
