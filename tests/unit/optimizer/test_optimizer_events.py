"""What makes a new plan worth asking for."""

from datetime import timedelta

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.test_optimizer_planning import INPUTS

from pems_common.messages import Series
from pems_optimizer.domain.events import forecast_moved, off_plan, prices_known_longer
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


def test_a_load_outside_its_band_has_moved(known):
    new = known.forecast.model_copy(update={"load_power_w": scaled(known.forecast.load_power_w, 1.5)})
    assert "load left its band" in forecast_moved(known.forecast, new, START)


def test_energy_that_moved_inside_the_band_counts_too(known):
    wide = known.forecast.load_power_w.model_copy(
        update={
            "p90": scaled(known.forecast.load_power_w, 5.0).p50,
            "p10": scaled(known.forecast.load_power_w, 0.0).p50,
        }
    )
    old = known.forecast.model_copy(update={"load_power_w": wide})
    new = old.model_copy(update={"load_power_w": scaled(wide, 1.8)})
    assert "net energy" in forecast_moved(old, new, START)


def test_a_forecast_that_has_ended_says_nothing(known):
    assert forecast_moved(known.forecast, known.forecast, START + timedelta(days=9)) == ""


def test_off_plan_names_what_has_left(known):
    plan = make_rule_plan(HOME, known, INPUTS, Ask("p", 1, START, START, 5.0), "t")
    now = START + timedelta(minutes=37)
    share = 7 / 15
    soc = plan.battery.soc_pct[1] + share * (plan.battery.soc_pct[2] - plan.battery.soc_pct[1])
    rooms = {
        n: r.model_copy(update={"temperature_c": plan.rooms[n].temperature_c[1]})
        for n, r in known.telemetry.rooms.items()
    }
    good = known.telemetry.model_copy(update={"battery_soc_pct": soc, "rooms": rooms})
    assert off_plan(plan, good, now) == ""
    assert "SoC" in off_plan(plan, good.model_copy(update={"battery_soc_pct": soc - 11}), now)
    cold = {n: r.model_copy(update={"temperature_c": r.temperature_c - 1.5}) for n, r in rooms.items()}
    assert "pokoj_1" in off_plan(plan, good.model_copy(update={"rooms": cold}), now)
    assert off_plan(plan, good.model_copy(update={"battery_soc_pct": None, "rooms": {}}), now) == ""
    assert off_plan(plan, good, START + timedelta(days=5)) == ""


def test_prices_known_longer():
    from pems_common.messages import Prices

    flat = Series.of(START, 900, [1.0])
    prices = Prices(
        spot_eur_mwh=flat, eur_czk=25, buy_czk_kwh=flat, sell_czk_kwh=flat,
        known_until=START, source="t", tariff_version="1",
    )  # fmt: skip
    later = prices.model_copy(update={"known_until": START + timedelta(days=1)})
    assert prices_known_longer(None, prices)
    assert prices_known_longer(prices, later)
    assert not prices_known_longer(later, later)
    assert not prices_known_longer(later, prices)
