"""Local days on the slots of a plan: windows, cheap hours and missing prices through clock changes."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case

from pems_common.messages import Band, Prices, Series
from pems_common.timegrid import local_day_slots, local_midnight
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.horizon import Horizon

PRAGUE = ZoneInfo("Europe/Prague")
DAYS = {92: date(2025, 3, 30), 96: date(2025, 1, 15), 100: date(2025, 10, 26)}


def horizon(start=START, slots=192, frozen=0) -> Horizon:
    return Horizon(start, slots, frozen, PRAGUE)


@pytest.mark.parametrize(("count", "day"), DAYS.items())
def test_a_window_of_a_day_with_a_clock_change_begins_and_ends_at_local_times(count, day):
    midnight = local_midnight(day, PRAGUE)
    whole, *_ = horizon(midnight).day_windows("00:00", "24:00")
    assert (whole.day, whole.first, whole.end) == (day, 0, count)
    over_night = horizon(midnight - timedelta(hours=4)).day_windows("22:00", "06:00")[0]
    assert over_night.day == day - timedelta(days=1)
    assert (over_night.first, over_night.end) == (8, 16 + count - 72)
    h = horizon(midnight)
    for window in h.day_windows("05:00", "07:30"):
        opens, closes = (h.at(t).astimezone(PRAGUE) for t in (window.first, window.end))
        assert (opens.hour, opens.minute, closes.hour, closes.minute) == (5, 0, 7, 30)


def test_windows_have_whole_slots_and_only_those_that_are_not_over():
    h = horizon(START, 96)  # 14:00 local
    assert [(w.first, w.end) for w in h.day_windows("13:10", "14:40")] == [(-3, 2), (93, 98)]
    assert [(w.first, w.end) for w in h.day_windows("10:00", "14:00")] == [(80, 96)]
    assert [(w.first, w.end) for w in h.day_windows("14:05", "14:20")] == []  # no whole slot lies in it
    assert [(w.day.day, w.end) for w in h.day_windows("20:00", "20:00")] == [(13, 24), (14, 120)]


def test_the_same_local_time_of_the_day_before():
    for count, day in DAYS.items():
        h = horizon(local_midnight(day, PRAGUE), 250)
        assert h.same_time_before(count + 60) == 60 if count == 96 else h.same_time_before(count + 60) in {56, 60, 64}
        t = count + 60
        assert h.local[h.same_time_before(t)].time() == h.local[t].time()
    assert horizon().same_time_before(5) < 0


@pytest.mark.parametrize(("count", "day"), DAYS.items())
def test_every_local_day_has_its_own_cheap_hours(count, day):
    midnight = local_midnight(day, PRAGUE)
    h = horizon(midnight, count + 96)
    buy = np.concatenate([np.linspace(5.0, 9.0, count), np.linspace(1.0, 3.0, 96)])
    cheap = h.cheap_slots(buy)
    assert cheap[:count].sum() == pytest.approx(0.3 * count, abs=1)
    assert cheap[count:].sum() == pytest.approx(0.3 * 96, abs=1)
    assert cheap[0]
    assert not cheap[count - 1]


def test_a_day_of_one_price_has_no_cheap_hours_and_a_low_tariff_most_of_the_day_is_usual():
    h = horizon(local_midnight(DAYS[96], PRAGUE), 96)
    assert not h.cheap_slots(np.full(96, 3.0)).any()
    assert not h.cheap_slots(3.0 + 0.1 * np.sin(np.arange(96.0))).any()
    two = np.where(np.arange(96) < 80, 2.0, 3.0)
    assert not h.cheap_slots(two).any()
    assert np.flatnonzero(h.cheap_slots(np.where(np.arange(96) < 10, 1.0, two))).tolist() == list(range(10))


def test_a_few_slots_of_a_day_are_compared_with_the_day_around():
    h = horizon(START, 100)  # 14:00 to 15:00 of the day after
    buy = np.full(100, 5.0)
    buy[10:40] = 1.0
    buy[96:] = [5.0, 5.1, 5.2, 5.3]
    assert not h.cheap_slots(buy)[90:].any()


@pytest.mark.parametrize(("count", "day"), DAYS.items())
def test_a_house_is_planned_through_every_kind_of_day_without_the_last_prices(count, day):
    home = small_home()
    start = local_midnight(day, PRAGUE)
    assert len(local_day_slots(day, PRAGUE)) == count
    known = winter_case(home, 1, start=start, hours=52)
    forecast = known.forecast
    known_until = start + count * timedelta(minutes=15)

    def without_end(band: Band) -> Band:
        cut = {n: getattr(band, n).values[: count + 4] for n in ("p10", "p50", "p90")}
        return Band(**{n: Series.of(start, 900, [*v, *[None] * (208 - len(v))]) for n, v in cut.items()})

    forecast = forecast.model_copy(
        update={"buy_czk_kwh": without_end(forecast.buy_czk_kwh), "sell_czk_kwh": without_end(forecast.sell_czk_kwh)}
    )
    spot = Series.of(start, 900, np.linspace(1.0, 4.0, count).tolist())
    prices = Prices(
        spot_eur_mwh=spot, eur_czk=25, buy_czk_kwh=spot, sell_czk_kwh=spot, known_until=known_until, source="t",
        tariff_version="1",
    )  # fmt: skip
    problem = assemble(home, replace(known, forecast=forecast, prices=prices), now=start, decide_from=start)
    assert problem.slots == 192
    assert np.allclose(problem.buy[:count], np.linspace(1.0, 4.0, count), atol=1e-4)
    assert np.isfinite(problem.buy).all()
    assert np.isfinite(problem.sell).all()
    # Beyond what is known each slot has the price of the same local time a day before.
    h = horizon(start)
    for t in range(count + 8, 192, 7):
        assert problem.buy[t] == problem.buy[h.same_time_before(t)]
    low, high = problem.bands["buy"]
    assert np.allclose(high[:count], low[:count]), "a published price is known"
    assert (high >= low).all()


def test_instants_with_other_zones_are_the_same_slots():
    start = datetime(2025, 3, 29, 23, tzinfo=UTC)
    assert horizon(start).slots_until(datetime(2025, 3, 30, 3, tzinfo=PRAGUE)) == 8
    assert horizon(start).slots_until(start - timedelta(hours=1)) == 0
    assert horizon(start).slots_until(start + timedelta(minutes=1)) == 1
