"""Which minutes beyond a limit a fault explains: while it is on and a while after, a room's in that room alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from pems_common.home import load_home
from pems_house.domain.plant import Plant
from pems_lab.faults.blame import RECOVERY, SLOW_RECOVERY, Blame
from pems_lab.faults.model import Fault

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
NAMES = tuple(HOME.rooms)
START = datetime(2026, 1, 13, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SILENT = Fault("room_silent", START + 29 * MINUTE, START + 60 * MINUTE, NAMES[0])
LOST = Fault("mqtt_lost", START + 29 * MINUTE, START + 60 * MINUTE, "to controller", 1.0)


class House:
    """The parts of a plant that are looked at, in the hands of the test."""

    def __init__(self, *faults: Fault) -> None:
        n = len(NAMES)
        limits = ("room_below_min", "heated_above_max", "soc_below_min", "battery_above_max")
        self.truth = SimpleNamespace(violation_s=dict.fromkeys(limits, 0.0), short_switchings=0)
        self.rooms = SimpleNamespace(air_c=np.full(n, 20.0))
        self.loxone = SimpleNamespace(switchings=np.zeros(n, dtype=np.int64), relay_on=np.ones(n, dtype=np.bool_))
        self.building = SimpleNamespace(names=NAMES)
        self.now = START
        self.blame = Blame(HOME, cast(Plant, cast(Any, self)), faults)

    def minutes(self, count: int, **beyond: float) -> dict[str, float]:
        """Live on, beyond limits by so much a minute; returns all that is unexplained."""
        for _ in range(count):
            self.now += MINUTE
            self.truth.short_switchings += int(beyond.get("short_switchings", 0.0))
            for limit in self.truth.violation_s:
                self.truth.violation_s[limit] += beyond.get(limit, 0.0)
            self.blame.look(self.now)
        return dict(self.blame.unexplained)


@pytest.mark.parametrize("fault", [SILENT, LOST])
def test_a_fault_does_not_excuse_what_was_before_it(fault: Fault) -> None:
    house = House(fault)
    house.rooms.air_c[0] = 14.0
    assert house.minutes(60, room_below_min=60.0) == {"room_below_min": pytest.approx(29 * 60.0)}


@pytest.mark.parametrize(
    ("limit", "after"),
    [("room_below_min", SLOW_RECOVERY), ("soc_below_min", SLOW_RECOVERY), ("battery_above_max", RECOVERY)],
)
def test_nor_what_comes_long_after_it(limit: str, after: timedelta) -> None:
    house = House(LOST)
    house.rooms.air_c[0] = 14.0
    house.minutes(29)
    assert house.minutes(31 + int(after / MINUTE), **{limit: 60.0}) == {}
    assert house.minutes(5, **{limit: 60.0}) == {limit: 5 * 60.0}


@pytest.mark.parametrize(("limit", "air_c"), [("room_below_min", 14.0), ("heated_above_max", 40.0)])
def test_a_rooms_fault_excuses_that_room_alone(limit: str, air_c: float) -> None:
    house = House(SILENT)
    house.minutes(30)
    house.rooms.air_c[:2] = air_c
    assert house.minutes(10, **{limit: 120.0}) == {limit: 600.0}
    house.rooms.air_c[1] = 20.0
    house.minutes(1, **{limit: 60.0 + 20.0})  # the other one comes back within the minute
    assert house.minutes(10, **{limit: 60.0}) == {limit: 640.0}


def test_what_came_and_went_within_a_minute_is_of_no_known_room() -> None:
    house = House(SILENT)
    house.minutes(30)
    assert house.minutes(1, room_below_min=10.0) == {"room_below_min": 10.0}


def test_a_stuck_relay_excuses_its_own_switchings() -> None:
    house = House(Fault("relay_stuck", START, START + 60 * MINUTE, NAMES[2], 1.0))
    house.loxone.switchings[2] += 1
    assert house.minutes(1, short_switchings=1.0) == {"short_switchings": 0.0}
    house.loxone.switchings[3] += 1
    assert house.minutes(1, short_switchings=1.0) == {"short_switchings": 1.0}


def test_counting_can_begin_anew() -> None:
    house = House()
    house.minutes(3, soc_below_min=60.0)
    house.blame.begin()
    assert house.minutes(2, soc_below_min=60.0) == {"soc_below_min": 120.0}
