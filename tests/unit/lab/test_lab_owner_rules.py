"""The owner's old rules, seen at the simulated inverter and relays that obey them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.house.house_fakes import StillWorld

from pems_common.home import load_home
from pems_common.timegrid import slot_start
from pems_lab.arms.owner_rules import OldHabits, cheapest_slots
from pems_lab.arms.owner_thermostats import night_targets
from pems_lab.arms.run import BaselineRun

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
NIGHT = datetime(2026, 1, 12, 23, tzinfo=UTC)  # local midnight
SUMMER = datetime(2026, 7, 12, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class PricedWorld(StillWorld):
    """Dear but for some slots."""

    cheap: dict[datetime, float] = field(default_factory=dict)

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        return self.cheap.get(slot_start, self.spot)


async def told_to_charge(world: Any, start: datetime, hours: float) -> set[datetime]:
    run = BaselineRun(HOME, world, start, habits=OldHabits())
    slots: set[datetime] = set()

    def look(now: datetime) -> None:
        if run.house.plant.inverter.flows.priority == "batteryfirst":
            slots.add(slot_start(now - MINUTE))

    await run.run(timedelta(hours=hours), look)
    return slots


def test_cheapest_slots_are_the_cheapest_and_of_equal_ones_the_earlier() -> None:
    prices = {NIGHT + k * timedelta(minutes=15): price for k, price in enumerate((3.0, 1.0, 2.0, 1.0, 1.0))}
    slots = list(prices)
    assert cheapest_slots(prices, 2) == {slots[1], slots[3]}


async def test_the_battery_is_charged_in_just_the_cheap_quarters_of_the_day() -> None:
    cheap = {NIGHT + timedelta(minutes=m): 5.0 for m in (60, 75, 90, 105, 180, 195, 210, 225)}
    assert await told_to_charge(PricedWorld(cheap=cheap), NIGHT, 5) == set(cheap)


async def test_in_summer_the_battery_only_serves_the_house() -> None:
    assert await told_to_charge(PricedWorld(cheap={SUMMER + timedelta(hours=1): 5.0}), SUMMER, 2) == set()


@pytest.mark.parametrize(("spot", "flows"), [(100.0, True), (-20.0, False)])
async def test_export_flows_only_above_its_price(spot: float, flows: bool) -> None:
    noon = datetime(2026, 7, 12, 10, tzinfo=UTC)
    world = StillWorld(temperature_c=20.0, dni_w_m2=800.0, dhi_w_m2=100.0, spot=spot)
    run = BaselineRun(HOME, world, noon, habits=OldHabits())
    run.house.plant.inverter.battery.energy_wh = run.house.plant.inverter.battery.capacity_wh  # type: ignore[union-attr]
    await run.run(timedelta(minutes=20))
    assert (run.house.truth()["export_wh"] > 100.0) is flows


async def test_thermostats_keep_the_owners_night_targets() -> None:
    heating_wh = []
    for share in (0.0, 1.0):
        habits = OldHabits(night_share=share, boosted=(), boost_k=0.0)
        run = BaselineRun(HOME, StillWorld(temperature_c=-5.0), NIGHT, seed=1, habits=habits)
        await run.run(timedelta(hours=3))
        heating_wh.append(run.house.truth()["heating_wh"])
    assert heating_wh[1] > heating_wh[0] + 5_000.0


async def test_without_habits_rooms_and_battery_are_left_to_the_house() -> None:
    run = BaselineRun(HOME, StillWorld(), NIGHT)
    await run.run(timedelta(hours=1))
    assert not run.house.plant.loxone.enabled.any()
    assert run.house.truth()["priority_h"] == {"loadfirst": pytest.approx(1.0)}


def test_night_targets_boost_some_rooms_and_lift_the_others_part_of_the_way() -> None:
    changed = night_targets(HOME, 0.5, ("obyvak",), 0.7)
    assert changed.rooms["obyvak"].night_c == pytest.approx(23.2)
    assert changed.rooms["loznice"].night_c == pytest.approx(19.75)
    assert np.isclose(HOME.rooms["obyvak"].night_c, 20.0)
