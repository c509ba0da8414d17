"""What makes a new plan worth asking for."""

from datetime import timedelta

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.test_optimizer_planning import INPUTS

from pems_common.messages import Band, Prices, Series
from pems_optimizer.domain.events import forecast_moved, off_plan, prices_moved
from pems_optimizer.domain.planning import Ask, make_rule_plan

HOME = small_home("pokoj_1", "zachod")


@pytest.fixture(scope="module")
def known():
    return winter_case(HOME, 1)


def scaled(band, factor):
    values = [None if v is None else v * factor for v in band.p50.values]
    return band.model_copy(update={"p50": Series.of(band.p50.start, 900, values)})


def test_the_same_forecast_has_not_moved(known):
    assert forecast_moved(known.forecast, known.forecast, START) == ""


KINDS = {
    "pv": "pv_power_w",
    "load": "load_power_w",
    "price": "buy_czk_kwh",
    "outdoor temperature": "outdoor_temperature_c",
}


def shifted(band, by, slots):
    values = [v + by if k in slots else v for k, v in enumerate(band.p50.values)]
    return band.model_copy(update={"p50": Series.of(band.p50.start, 900, values)})


def banded(known, field, width):
    """The forecast with a band of one width around a course of zero net energy."""
    middle = [10.0] * 192
    band = Band(
        **{n: Series.of(START, 900, [m + d for m in middle]) for n, d in (("p10", -width), ("p50", 0), ("p90", width))}
    )
    return known.forecast.model_copy(update={field: band})


@pytest.mark.parametrize(("name", "field"), KINDS.items())
def test_what_leaves_its_band_for_a_quarter_of_the_next_half_day_has_moved(known, name, field):
    old = banded(known, field, 5.0)
    band = getattr(old, field)

    def new(by, slots):
        return old.model_copy(update={field: shifted(band, by, slots)})

    assert f"{name} left its band" in forecast_moved(old, new(6.0, range(13)), START)
    assert f"{name} left its band" in forecast_moved(old, new(-6.0, range(13)), START)
    assert forecast_moved(old, new(4.0, range(48)), START) == "", "inside its band"
    assert forecast_moved(old, new(6.0, range(12)), START) == "", "a quarter is not more than a quarter"
    assert forecast_moved(old, new(6.0, range(48, 192)), START) == "", "later than half a day"
    assert name in forecast_moved(old, new(6.0, range(48, 192)), START + timedelta(hours=4))


@pytest.mark.parametrize(
    ("field", "narrow"),
    [("pv_power_w", 0.4), ("load_power_w", 0.4), ("buy_czk_kwh", 0.009), ("outdoor_temperature_c", 0.09)],
)
def test_what_was_as_good_as_known_has_no_band_to_leave(known, field, narrow):
    for width, moved in ((narrow, False), (3 * narrow, True)):
        old = banded(known, field, width)
        new = old.model_copy(update={field: shifted(getattr(old, field), 4 * narrow, range(192))})
        assert bool(forecast_moved(old, new, START)) is moved


def test_a_few_slots_of_a_band_prove_nothing(known):
    old = banded(known, "pv_power_w", 5.0)
    new = old.model_copy(update={"pv_power_w": shifted(old.pv_power_w, 50.0, range(192))})
    near_the_end = START + timedelta(hours=48) - timedelta(minutes=15 * 7)
    assert forecast_moved(old, new, near_the_end) == ""
    assert "pv left" in forecast_moved(old, new, near_the_end - timedelta(minutes=15))


@pytest.mark.parametrize(("field", "sign"), [("load_power_w", 1), ("pv_power_w", -1)])
def test_energy_that_moved_inside_the_band_counts_too(known, field, sign):
    old = banded(known, field, 2_000.0)

    def why(watts, slots=range(192)):
        new = old.model_copy(update={field: shifted(getattr(old, field), watts, slots)})
        return forecast_moved(old, new, START)

    assert why(400.0) == f"net energy of the next 6 h moved by {sign * 2400} Wh"
    assert why(-400.0) == f"net energy of the next 6 h moved by {-sign * 2400} Wh"
    assert why(320.0) == "", "below 2 kWh"
    assert why(1_000.0, range(24, 192)) == "", "later than 6 h"


def test_a_forecast_that_has_ended_says_nothing(known):
    assert forecast_moved(known.forecast, known.forecast, START + timedelta(days=9)) == ""


@pytest.fixture(scope="module")
def plan(known):
    return make_rule_plan(HOME, known, INPUTS, Ask("p", 1, START, START, 5.0), "t")


def as_planned(known, plan, soc_off=0.0, room_off=0.0):
    """Telemetry 37 minutes into the plan, off it by so much."""
    share = 7 / 15

    def between(values):
        return values[1] + share * (values[2] - values[1])

    rooms = {
        n: r.model_copy(update={"temperature_c": between(plan.rooms[n].temperature_c)})
        for n, r in known.telemetry.rooms.items()
    }
    last = list(rooms)[-1]
    rooms[last] = rooms[last].model_copy(update={"temperature_c": rooms[last].temperature_c + room_off})
    soc = between(plan.battery.soc_pct) + soc_off
    return known.telemetry.model_copy(update={"battery_soc_pct": soc, "rooms": rooms})


@pytest.mark.parametrize(("off", "named"), [(9.9, False), (10.1, True), (-9.9, False), (-10.1, True)])
def test_a_battery_more_than_ten_points_off_is_off_the_plan(known, plan, off, named):
    why = off_plan(plan, as_planned(known, plan, soc_off=off), START + timedelta(minutes=37))
    assert ("SoC" in why) is named


@pytest.mark.parametrize(("off", "named"), [(0.95, False), (1.05, True), (-0.95, False), (-1.05, True)])
def test_a_room_more_than_a_degree_off_is_off_the_plan(known, plan, off, named):
    why = off_plan(plan, as_planned(known, plan, room_off=off), START + timedelta(minutes=37))
    assert (list(known.telemetry.rooms)[-1] in why) is named


def test_what_is_not_known_or_not_planned_is_not_off(known, plan):
    now = START + timedelta(minutes=37)
    silent = known.telemetry.model_copy(update={"battery_soc_pct": None, "rooms": {}})
    assert off_plan(plan, silent, now) == ""
    assert off_plan(plan, as_planned(known, plan, 50.0, 9.0), START + timedelta(days=5)) == ""
    assert off_plan(plan.model_copy(update={"battery": None}), as_planned(known, plan, 50.0), now) == ""


def published(hours=24.0, buy=2.0, sell=1.0, slots=192):
    buying, selling = (Series.of(START, 900, [v] * slots) for v in (buy, sell))
    return Prices(
        spot_eur_mwh=buying, eur_czk=25, buy_czk_kwh=buying, sell_czk_kwh=selling,
        known_until=START + timedelta(hours=hours), source="t", tariff_version="1",
    )  # fmt: skip


def test_prices_that_are_known_for_longer_are_new():
    assert "known until" in prices_moved(None, published(), START)
    assert "known until" in prices_moved(published(), published(48), START)
    assert prices_moved(published(48), published(48), START) == ""
    assert prices_moved(published(48), published(24), START) == ""


def test_prices_that_were_corrected_are_new():
    assert "import" in prices_moved(published(), published(buy=2.2), START)
    assert "export" in prices_moved(published(), published(sell=0.8), START)
    assert prices_moved(published(), published(buy=2.05, sell=0.95), START) == ""
    past = START + timedelta(hours=48)
    assert prices_moved(published(), published(buy=9.0), past) == "", "what is over does not matter"
