"""Properties of the forecaster's pure parts, whatever comes in."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.forecaster.forecaster_makers import the_home

from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.fine_weather import refine_irradiance
from pems_forecaster.domain.observer import HouseObserver, RoomInputs
from pems_forecaster.domain.residuals import ResidualBook
from pems_forecaster.domain.rooms import prior_model

finite = st.floats(-1e4, 1e4)
T0 = datetime(2026, 1, 10, tzinfo=UTC)


@given(
    ghi=st.lists(st.floats(0, 1200) | st.just(float("nan")), min_size=1, max_size=24),
    clear=st.lists(st.floats(0, 1100), min_size=96, max_size=96),
)
@settings(deadline=None, max_examples=100)
def test_refined_irradiance_keeps_means_and_nights(ghi, clear):
    coarse, sky = np.array(ghi), np.array(clear)
    sky = np.where(sky < 1.0, 0.0, sky)
    fine = refine_irradiance(coarse, 0, 4, np.arange(96), sky)
    for i, mean in enumerate(coarse):
        part, light = fine[4 * i : 4 * i + 4], sky[4 * i : 4 * i + 4]
        if np.isnan(mean):
            assert np.isnan(part).all()
            continue
        assert (part[light == 0.0] == 0.0).all()
        assert (part >= 0.0).all()
        if (light > 0).any():
            np.testing.assert_allclose(part.mean(), mean, rtol=1e-6, atol=1e-6)
    assert np.isnan(fine[4 * len(coarse) :]).all()


@given(rows=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=40), low=finite, span=st.floats(0, 1e4))
def test_tidy_bands_are_ordered_and_inside(rows, low, span):
    p10, p50, p90 = (np.array(column) for column in zip(*rows, strict=True))
    band = Quantiles(p10, p50, p90).tidy(low, low + span)
    assert (band.p10 <= band.p50).all()
    assert (band.p50 <= band.p90).all()
    assert (band.p10 >= low).all()
    assert (band.p90 <= low + span).all()


@given(errors=st.lists(st.floats(-50, 50), max_size=300), half=st.floats(0, 5))
@settings(deadline=None, max_examples=50)
def test_corrected_bands_stay_ordered_whatever_was_seen(errors, half):
    book = ResidualBook((0.5, 6.0))
    slots, ones = np.arange(48), np.ones(48)
    base = Quantiles(-half * ones, 0 * ones, half * ones)
    for i, error in enumerate(errors):
        book.remember(slots + i, base.p50, ones, base)
        book.match(i, error)
    band = book.correct(base, ones, (slots + 0.5) / 4)
    assert np.isfinite(band.p50).all()
    assert (band.p10 <= band.p50 + 1e-12).all()
    assert (band.p50 <= band.p90 + 1e-12).all()


readings = st.none() | st.floats(-10, 60)


@given(steps=st.lists(st.tuples(st.floats(1, 40_000), readings, st.floats(-30, 45), st.booleans()), max_size=60))
@settings(deadline=None, max_examples=40)
def test_observer_stays_finite_and_bounded(steps):
    model = prior_model(the_home(), "pokoj_1")
    observer = HouseObserver({"pokoj_1": model})
    at = T0
    for step_s, reading, outdoor, on in steps:
        at += timedelta(seconds=step_s)
        air = {} if reading is None else {"pokoj_1": reading}
        heat = {"pokoj_1": model.heater_w if on else 0.0}
        observer.step(at, RoomInputs(outdoor, heat, air, {"south": 100.0}, at.hour))
        state = observer.state("pokoj_1")
        if state is not None:
            assert -60 < state.air_c < 90
            assert -60 < state.mass_c < 150
            assert abs(state.disturbance_w) <= observer.bound_w[0] + 1e-3
            eigenvalues = np.linalg.eigvalsh(observer._p[0])
            assert eigenvalues.min() > -1e-6 * max(1.0, eigenvalues.max())
