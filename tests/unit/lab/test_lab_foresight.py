"""Perfect forecasts are what the same house then lives through, and honest ones are not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pems_common.home import load_home
from pems_common.messages import Forecast, read_body
from pems_common.timegrid import SLOT, slot_start
from pems_common.world.generated import GeneratedWorld
from pems_lab.foresight import ForeseenWorld
from pems_lab.house_run import HouseRun

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
NOON = datetime(2026, 3, 10, 11, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def world() -> GeneratedWorld:
    return GeneratedWorld(seed=4, latitude=HOME.site.latitude, longitude=HOME.site.longitude)


async def foretold_and_lived(*, foreseen: bool) -> tuple[Forecast, dict[datetime, list[float]]]:
    """A forecast issued in the first minutes, and (pv, load, outdoor, buy) of the slots after it."""
    run = HouseRun(HOME, world(), NOON, seed=4, planner="mute", foreseen=foreseen)
    await run.run(2 * MINUTE)
    envelope = await run.bus.latest("forecast", HOME.site.id)
    assert envelope is not None
    plant, seen = run.house.plant, dict[datetime, list[list[float]]]()

    def look(now: datetime) -> None:
        flows = plant.inverter.flows
        heating_w = float(plant.building.heat_w @ plant.loxone.relay_on)
        assert plant.car is not None
        assert plant.tank is not None
        household_w = flows.load_w - heating_w - plant.car.power_w - plant.tank.power_w
        minute = [flows.pv_possible_w, household_w, plant.outdoor_c]
        seen.setdefault(slot_start(now - MINUTE), []).append(minute)

    await run.run(timedelta(minutes=28), look)
    lived = {slot: np.mean(minutes, axis=0).tolist() for slot, minutes in seen.items() if len(minutes) == 15}
    return read_body(envelope, Forecast), lived


async def test_perfect_forecasts_come_true_and_have_no_width() -> None:
    forecast, lived = await foretold_and_lived(foreseen=True)
    assert len(lived) == 1
    for slot, (pv_w, load_w, outdoor_c) in lived.items():
        assert forecast.pv_power_w.p50.at(slot) == pytest.approx(pv_w, abs=0.01)
        assert forecast.load_power_w.p50.at(slot) == pytest.approx(load_w, abs=0.01)
        assert forecast.outdoor_temperature_c.p50.at(slot) == pytest.approx(outdoor_c, abs=0.01)
    assert forecast.pv_power_w.p10 == forecast.pv_power_w.p90
    beyond = forecast.buy_czk_kwh.p50
    prices = [
        HOME.tariff.prices(float(world().spot_eur_mwh(slot) or 0.0) * 24.3 / 1000.0, slot, HOME.site.zone)[0]
        for slot in (beyond.start + k * SLOT for k in range(len(beyond.values)))
    ]
    assert list(beyond.values) == pytest.approx(prices, abs=1e-3)


async def test_honest_forecasts_err() -> None:
    forecast, lived = await foretold_and_lived(foreseen=False)
    errors = [abs(float(forecast.load_power_w.p50.at(slot) or 0.0) - load_w) for slot, (_, load_w, _) in lived.items()]
    assert min(errors) > 5.0


def test_a_foreseen_world_tells_the_true_weather_and_two_days_of_prices() -> None:
    foreseen = ForeseenWorld(HOME, world())
    told = foreseen.weather_forecast(NOON, 48).temperature_c
    late = NOON + timedelta(hours=40)
    true = np.mean([world().weather(late + timedelta(minutes=7.5 + 15 * k)).temperature_c for k in range(4)])
    assert told.at(late) == pytest.approx(float(true), abs=0.01)
    assert foreseen.published_until(NOON) == datetime(2026, 3, 12, 23, tzinfo=UTC)
