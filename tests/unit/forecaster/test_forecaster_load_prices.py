"""Load climatology and price bands: local days of any length, holidays, exact where published."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import (
    SUMMER,
    WINTER,
    calendar,
    grid_at,
    make_prices,
    the_home,
)
from tests.unit.forecaster.test_forecaster_pv import fine

from pems_common.timegrid import local_day_slots
from pems_forecaster.domain.bands import Quantiles, column_quantiles
from pems_forecaster.domain.grid import LocalCalendar, slot_at, slot_no
from pems_forecaster.domain.learning import learn_prices
from pems_forecaster.domain.load import load_band, load_base, load_profile, prior_shape
from pems_forecaster.domain.outdoor import outdoor_band, outdoor_base
from pems_forecaster.domain.prices import price_bands, released_slot, spot_band, spot_base
from pems_forecaster.domain.residuals import ResidualBook
from pems_forecaster.domain.slot_history import SlotHistory

HOME = the_home()
ZONE = HOME.site.zone


def filled_load(before: datetime, days: int, of_slot) -> SlotHistory:
    """History with `of_slot(calendar place)` watts in each slot of the last days."""
    history, cal = SlotHistory(), calendar()
    last = slot_no(before)
    for slot in range(last - days * 96, last):
        history.put("load_w", slot, of_slot(cal.place(slot)))
    return history


def test_prior_profile_has_mean_one_and_two_peaks():
    for rest in (False, True):
        shape = prior_shape(rest)
        assert shape.mean() == pytest.approx(1.0)
        assert shape[76] > shape[60]
        assert shape[12] < 0.7


def test_without_history_the_prior_is_the_base_load():
    profiles = load_profile(SlotHistory(), calendar(), slot_no(WINTER), HOME.base_load_w)
    assert profiles[False].mean_w.mean() == pytest.approx(HOME.base_load_w)
    assert profiles[False].days == 0


def test_history_takes_over_day_by_day():
    errors = []
    for days in (0, 3, 14, 28):
        history = filled_load(WINTER, days, lambda place: 1000.0 if place[1] < 48 else 200.0)
        profile = load_profile(history, calendar(), slot_no(WINTER), HOME.base_load_w)[False]
        errors.append(abs(profile.mean_w[20] - 1000.0) + abs(profile.mean_w[70] - 200.0))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 250.0


def test_weekends_and_working_days_are_told_apart():
    history = filled_load(WINTER, 28, lambda place: 900.0 if place[2] else 300.0)
    cal, grid = calendar(), grid_at(WINTER)  # a Wednesday
    profiles = load_profile(history, cal, grid.first, HOME.base_load_w)
    assert profiles[True].mean_w.mean() > 1.8 * profiles[False].mean_w.mean()


@pytest.mark.parametrize(("day", "slots"), [(date(2026, 3, 29), 92), (date(2026, 6, 1), 96), (date(2026, 10, 25), 100)])
def test_days_of_92_96_and_100_slots(day, slots):
    """The evening peak stands at the same local hour before, on and after a clock change."""
    starts = local_day_slots(day, ZONE)
    assert len(starts) == slots
    history = filled_load(starts[0], 28, lambda place: 2000.0 if 72 <= place[1] < 76 else 200.0)
    grid = grid_at(starts[0], 200)
    cal = calendar()
    base = load_base(grid, history, cal, load_profile(history, cal, grid.first, 300.0), None)
    for i in range(200):
        local = slot_at(int(grid.slots[i])).astimezone(ZONE)
        if local.hour == 18:
            assert base.band.p50[i] > 900.0
        elif local.hour not in (17, 19):
            assert base.band.p50[i] < 900.0


def test_holidays_count_as_rest_days():
    cal = LocalCalendar(ZONE, "CZ")
    assert cal.is_rest_day(date(2026, 12, 24))
    assert cal.is_rest_day(date(2026, 7, 6))
    assert not cal.is_rest_day(date(2026, 7, 7))
    assert cal.is_rest_day(date(2026, 7, 11))
    assert not LocalCalendar(ZONE, "XX").is_rest_day(date(2026, 12, 24))


def test_load_bands_are_ordered_and_first_hours_lean_on_measurements():
    cal, grid = calendar(), grid_at(WINTER + timedelta(hours=12))
    history = filled_load(WINTER + timedelta(hours=12), 14, lambda place: 400.0 + 10 * (place[0] % 7))
    for slot in range(grid.first - 4, grid.first):
        history.put("load_w", slot, 2400.0)
    profiles = load_profile(history, cal, grid.first, HOME.base_load_w)
    base = load_base(grid, history, cal, profiles, 2400.0)
    band = load_band(base.band, base.scale_w, grid.lead_h, ResidualBook((0.5, 4.0)))
    assert (band.p10 >= 0).all()
    assert (band.p10 <= band.p50).all()
    assert (band.p50 <= band.p90).all()
    assert band.p50[0] > 1200.0
    assert band.p50[60] < 800.0


def test_published_prices_are_exact():
    prices = make_prices(WINTER, hours=36)
    grid = grid_at(WINTER + timedelta(hours=10))
    history = SlotHistory()
    learn_prices(history, prices)
    base = spot_base(grid, history, calendar(), released_slot(grid, prices))
    spot = spot_band(base, grid.lead_h, ResidualBook((16.0, 26.0)))
    bands = price_bands(grid, prices, spot, HOME.tariff, ZONE)
    known = 26 * 4
    assert bands.known[:known].all()
    assert not bands.known[known:].any()
    for band, series in ((bands.buy, prices.buy_czk_kwh), (bands.sell, prices.sell_czk_kwh)):
        given = np.array(series.values[40:144], dtype=float)
        for part in (band.p10, band.p50, band.p90):
            np.testing.assert_array_equal(part[:known], given)
        assert (band.p90[known:] > band.p10[known:]).all()
    assert bands.degraded == ()


def test_unknown_prices_follow_similar_days_and_the_tariff():
    history, cal = SlotHistory(), calendar()
    last = slot_no(WINTER)
    for slot in range(last - 20 * 96, last):
        history.put("spot_eur_mwh", slot, 300.0 if cal.place(slot)[1] in range(72, 80) else 50.0)
    grid = grid_at(WINTER)
    base = spot_base(grid, history, cal, last)
    local = np.array([cal.place(int(n))[1] for n in grid.slots])
    assert base.p50[(local >= 73) & (local < 79)].min() > 200.0
    assert base.p50[(local > 4) & (local < 60)].max() < 100.0
    spot = spot_band(base, grid.lead_h, ResidualBook((16.0, 26.0)))
    bands = price_bands(grid, None, spot, HOME.tariff, ZONE)
    assert bands.degraded == ("no_prices",)
    version = HOME.tariff.versions[0]
    for i in (3, 40, 150):
        at = slot_at(int(grid.slots[i])).astimezone(ZONE)
        czk = spot.p50[i] * HOME.tariff.fallback_eur_czk / 1000
        assert bands.buy.p50[i] == pytest.approx(version.buy_czk_kwh(czk, at))
    width = spot.p90 - spot.p10
    assert width[96:192].mean() > width[:96].mean()


def test_prices_that_are_not_released_are_not_learnt():
    prices = make_prices(WINTER, hours=36)
    limited = prices.model_copy(update={"known_until": WINTER + timedelta(hours=24)})
    history = SlotHistory()
    learn_prices(history, limited)
    assert len(history.series["spot_eur_mwh"]) == 96


def test_no_price_history_gives_a_plausible_day():
    grid = grid_at(WINTER)
    spot = spot_base(grid, SlotHistory(), calendar(), released_slot(grid, None))
    bands = price_bands(grid, None, spot, HOME.tariff, ZONE)
    assert 1.0 < bands.buy.p50.mean() < 5.0
    assert (bands.buy.p10 < bands.buy.p90).all()


def test_outdoor_bands_lean_on_the_sensor_and_widen():
    weather = fine()
    lead = grid_at(SUMMER).lead_h
    base = outdoor_base(weather, lead, 2.0)
    assert base.p50[0] - weather.temperature_c[0] == pytest.approx(1.6, abs=0.1)
    assert abs(base.p50[100] - weather.temperature_c[100]) < 0.1
    band = outdoor_band(base, lead, ResidualBook((0.5, 4.0)))
    width = band.p90 - band.p10
    assert (np.diff(width) >= -1e-9).all()


def test_column_quantiles_agree_with_numpy_and_skip_gaps():
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(500, 4))
    samples[::7, 2] = np.nan
    samples[:, 3] = np.nan
    q = column_quantiles(samples, np.ones(500), (0.1, 0.5, 0.9))
    for column in range(3):
        known = samples[:, column][np.isfinite(samples[:, column])]
        np.testing.assert_allclose(q[:, column], np.quantile(known, (0.1, 0.5, 0.9)), atol=0.03)
    assert np.isnan(q[:, 3]).all()
    assert column_quantiles(np.array([[5.0]]), np.ones(1), (0.1, 0.9))[:, 0].tolist() == [5.0, 5.0]


def test_tidy_sorts_and_clips():
    band = Quantiles(np.array([3.0, -1.0]), np.array([2.0, 5.0]), np.array([1.0, 20.0])).tidy(0.0, 10.0)
    assert band.p10.tolist() == [1.0, 0.0]
    assert band.p90.tolist() == [3.0, 10.0]


def test_history_forgets_and_survives_its_file():
    history = SlotHistory()
    now = slot_no(datetime(2026, 1, 1, tzinfo=UTC))
    for slot in (now - 70 * 96, now - 96, now - 1):
        history.put("load_w", slot, 100.0)
    history.put("load_w", now - 2, float("nan"))
    history.prune(now)
    assert sorted(history.series["load_w"]) == [now - 96, now - 1]
    assert SlotHistory.from_json(history.to_json()).series == history.series
    assert history.put_missing("load_w", now - 3, [1.0, None, 2.0]) == 1
    assert history.get("load_w", now - 1, before=now - 1) is None
