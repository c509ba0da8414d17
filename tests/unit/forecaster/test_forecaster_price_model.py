"""Prices beyond the published horizon: better than similar days, blind to what is not released, never crossing."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_market import CALENDAR, QUICK, market, slot_of

from pems_common.errors import PermanentError
from pems_forecaster.domain.price_days import PriceDays
from pems_forecaster.domain.price_features import PriceUnits, quarter_shape
from pems_forecaster.domain.price_model import PriceModel, PriceSettings

FIRST, UNTIL = slot_of(2025, 8, 1), slot_of(2025, 11, 21)
SPOT, _ = market(FIRST, UNTIL)
TRAINED_DAYS = 80


def stacked(band):
    return np.column_stack([band.p10, band.p50, band.p90])


@pytest.fixture(scope="module")
def days():
    return PriceDays.of(FIRST, SPOT, CALENDAR)


@pytest.fixture(scope="module")
def model(days):
    return PriceModel.train(days.until(TRAINED_DAYS), QUICK)


def test_it_says_more_than_the_mean_of_such_days_and_may_be_negative(days, model):
    target = np.arange(TRAINED_DAYS, len(days))
    for ahead, least in ((1, 0.2), (2, 0.02)):
        said = model.bands(days, target - ahead, ahead)
        error = np.nanmean(np.abs(said[..., 1] - days.price[target]))
        usual = days.same_kind(days.price, target - ahead, target)
        assert error < (1.0 - least) * np.nanmean(np.abs(usual - days.price[target]))
        assert (np.diff(said, axis=2) >= 0.0).all()
        assert said.min() < -10.0


@pytest.mark.parametrize("future", [np.nan, 9999.0])
def test_what_is_not_released_does_not_matter(model, future):
    released, until = slot_of(2025, 11, 12), slot_of(2025, 11, 14)
    slots = np.arange(released - 20, until)
    told = [
        model.predict(FIRST, spot, released, slots, CALENDAR)
        for spot in (SPOT, np.where(np.arange(FIRST, UNTIL) >= released, future, SPOT))
    ]
    one, other = map(stacked, told)
    assert np.isfinite(one).all()
    assert np.array_equal(one, other)
    assert np.array_equal(one[:20, 0], SPOT[released - 20 - FIRST : released - FIRST]), "what is released is exact"
    assert np.array_equal(one[:20, 0], one[:20, 2])
    assert (one[20:, 0] < one[20:, 2]).all()


def test_a_day_released_in_part_is_said_to_its_end(model):
    released = slot_of(2025, 11, 12) + 40
    said = model.predict(FIRST, SPOT, released, np.arange(released - 1, released + 192), CALENDAR)
    assert np.isfinite(said.p50).all()
    assert said.p10[0] == said.p90[0]
    assert said.p10[1] < said.p90[1]


def test_with_four_weeks_it_says_the_same_as_with_all(model):
    released = slot_of(2025, 11, 12)
    slots = np.arange(released, released + 96)
    short = slot_of(2025, 10, 14)
    one = model.predict(FIRST, SPOT, released, slots, CALENDAR)
    other = model.predict(short, SPOT[short - FIRST :], released, slots, CALENDAR)
    np.testing.assert_allclose(one.p50, other.p50, rtol=1e-9)


@pytest.mark.parametrize(("known_days", "says"), [(0, False), (1, False), (3, False), (10, True)])
def test_it_says_nothing_where_too_little_is_known(model, known_days, says):
    released = slot_of(2025, 11, 12)
    first = slot_of(2025, 11, 12 - known_days)
    said = model.predict(first, SPOT[first - FIRST :], released, np.arange(released, released + 192), CALENDAR)
    assert np.isfinite(said.p50).all() == says
    assert np.isnan(said.p50).all() == (not says)


def test_prices_that_stay_away_for_days_are_done_without(model):
    released = slot_of(2025, 11, 7)
    slots = np.arange(released, slot_of(2025, 11, 20))
    said = model.predict(FIRST, SPOT, released, slots, CALENDAR)
    assert np.isfinite(said.p50[: 7 * 96]).all()
    assert np.isnan(said.p50[7 * 96 :]).all(), "more than a week after the last price"


def test_slots_outside_the_history_are_refused(model):
    with pytest.raises(ValueError, match="not among"):
        model.predict(FIRST, SPOT, UNTIL, np.arange(UNTIL, UNTIL + 4), CALENDAR)


@pytest.mark.parametrize(
    ("day", "after", "slots"), [((2026, 3, 29), (2026, 3, 30), 92), ((2025, 10, 26), (2025, 10, 27), 100)]
)
def test_days_of_23_and_25_hours(model, day, after, slots):
    released, until = slot_of(*day), slot_of(*after)
    first = released - 40 * 96
    spot, _ = market(first, until)
    said = model.predict(first, spot, released, np.arange(released, until), CALENDAR)
    assert len(said.p50) == slots
    assert np.isfinite(stacked(said)).all()
    if slots == 100:
        assert np.array_equal(said.p50[8:12], said.p50[12:16]), "02:00 comes twice"
    later = model.predict(first, market(first, until + 96)[0], until, np.arange(until, until + 96), CALENDAR)
    assert np.isfinite(stacked(later)).all(), "the day after has such a day before it"


def test_trained_again_without_a_future_and_read_again_it_says_the_same(days, model, tmp_path):
    base = np.arange(TRAINED_DAYS - 1, len(days) - 2)
    blank = replace(days, price=np.where(np.arange(len(days))[:, None] < TRAINED_DAYS, days.price, np.nan))
    PriceModel.train(blank, QUICK).save(tmp_path)
    read = PriceModel.load(tmp_path)
    for ahead in (1, 2):
        assert np.array_equal(read.bands(days, base, ahead), model.bands(days, base, ahead))
    assert read.importance() == model.importance()
    assert sum(read.importance().values()) == pytest.approx(1.0)
    lines = tmp_path / "1_days_ahead" / "lines.json"
    lines.write_text(lines.read_text().replace("middle", "muddle"))
    with pytest.raises(PermanentError, match="linear model"):
        PriceModel.load(tmp_path)
    lines.unlink()
    with pytest.raises(PermanentError, match="no price model"):
        PriceModel.load(tmp_path)


def test_the_unit_of_the_prices_does_not_matter(days, model):
    base = np.arange(TRAINED_DAYS, len(days) - 1)
    crowns = replace(days, price=0.025 * days.price)
    np.testing.assert_allclose(model.bands(crowns, base, 1), 0.025 * model.bands(days, base, 1), rtol=1e-3, atol=1e-3)


def test_forecasts_of_the_user_help_for_the_next_day_only():
    spot, wind = market(FIRST, UNTIL, wind_eur=80.0)
    told = PriceDays.of(FIRST, spot, CALENDAR, {"wind": wind})
    model = PriceModel.train(told.until(TRAINED_DAYS), QUICK)
    untold = replace(told, extras={"wind": np.full_like(told.extras["wind"], np.nan)})
    target = np.arange(TRAINED_DAYS, len(told))

    def error(table):
        return np.nanmean(np.abs(model.bands(table, target - 1, 1)[..., 1] - told.price[target]))

    assert error(told) < 0.9 * error(untold)
    assert np.array_equal(model.bands(told, target - 2, 2), model.bands(untold, target - 2, 2))


def test_too_few_days_are_told(days):
    with pytest.raises(ValueError, match="20 days are too few"):
        PriceModel.train(days.until(20), QUICK)
    with pytest.raises(ValueError, match="P10, P50 and P90"):
        PriceSettings(trees=replace(QUICK.trees, levels=(0.5,)))


def test_holes_are_filled_from_the_days_before_for_a_week():
    spot = SPOT[: 40 * 96].copy()
    spot[10 * 96 : 20 * 96] = np.nan
    table = PriceDays.of(FIRST, spot, CALENDAR)
    assert np.array_equal(table.carried[10:17], np.repeat(table.carried[9:10], 7, axis=0))
    assert np.isnan(table.carried[17:20]).all()
    assert np.isnan(table.hour_price[10:20]).all()
    assert table.known_days == 30


def test_days_are_told_apart():
    first = slot_of(2025, 12, 23)
    table = PriceDays.of(first, np.zeros(6 * 96), CALENDAR)
    assert table.rest.tolist() == [False, True, True, True, True, True, False]
    assert table.weekday.tolist() == [1, 6, 6, 6, 5, 6], "24 to 26 December are holidays"
    with pytest.raises(ValueError, match="no slot"):
        PriceDays.of(first, np.empty(0), CALENDAR)


def test_units_go_back_and_stand_constant_prices():
    table = PriceDays.of(FIRST, np.full(40 * 96, 100.0), CALENDAR)
    units = PriceUnits.of(table, np.array([39]))
    assert units.spread[0] == pytest.approx(5.0)
    price = np.array([[-500.0, 0.0, 100.0, 4000.0]])
    np.testing.assert_allclose(units.back(units.into(price)), price, atol=1e-9)


def test_shape_within_the_hour_comes_with_quarters():
    ramp = np.linspace(0.0, 95.0, 96)  # a straight line: 1 EUR/MWh from quarter to quarter
    flat = np.repeat(ramp.reshape(24, 4).mean(axis=1), 4)
    base, hours = np.array([29]), ramp.reshape(1, 24, 4).mean(axis=2)
    quarters, hourly = (PriceDays.of(FIRST, np.tile(day, 30), CALENDAR) for day in (ramp, flat))
    assert quarter_shape(quarters, base, hours)[0, 20:24] == pytest.approx([-1.5, -0.5, 0.5, 1.5], abs=0.1)
    assert (quarter_shape(hourly, base, hours) == 0.0).all()
    changed = PriceDays.of(FIRST, np.concatenate([np.tile(flat, 28), np.tile(ramp, 2)]), CALENDAR)
    assert quarter_shape(changed, base, hours)[0, 20:24] == pytest.approx([-1.5, -0.5, 0.5, 1.5], abs=0.1)
    assert (quarter_shape(changed, np.array([27]), hours) == 0.0).all()
