"""What the house counts for its judges, from steps made up here."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pems_common.home import load_home
from pems_house.domain.inverter import Flows
from pems_house.domain.truth import Bands, Truth

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
START = datetime(2026, 7, 1, tzinfo=UTC)
ROOMS = len(HOME.rooms)
FLOWS = Flows("loadfirst", 0.0, 0.0, 0.0, False, 0.0, 0.0)


def lived(truth: Truth, hours: int, air_c: float, *, from_hour: int = 0) -> None:
    """Let every room have a temperature for some hours; the band is 20 to 23 C."""
    bands = Bands(np.full(ROOMS, 20.0), np.full(ROOMS, 23.0))
    for hour in range(from_hour, from_hour + hours):
        truth.add(
            START.timestamp() + 3600.0 * hour,
            3600.0,
            FLOWS,
            heating_w=0.0,
            household_w=0.0,
            ev_w=0.0,
            water_w=0.0,
            gains_w=0.0,
            sun_w=0.0,
            air_c=np.full(ROOMS, air_c),
            bands=bands,
            soc_pct=None,
        )


def heated(truth: Truth, hour: int, on: bool) -> None:
    """Switch the relay of every room."""
    truth.relays(START.timestamp() + 3600.0 * hour, np.full(ROOMS, on), np.zeros(ROOMS, dtype=np.bool_))


def truth() -> Truth:
    return Truth(HOME, lambda at: (5.0, 1.0), START)


def test_a_room_too_warm_that_was_not_heated_was_warmed_by_the_sun() -> None:
    counted = truth()
    lived(counted, 3, 24.0)
    lived(counted, 1, 23.4, from_hour=3)  # within the wider band
    assert counted.sun_warmed_s.tolist() == [3 * 3600.0] * ROOMS
    assert counted.inside_s.tolist() == [3600.0] * ROOMS
    assert counted.tell()["sun_warmed_share"] == pytest.approx(0.75)


def test_heat_of_the_last_day_is_not_blamed_on_the_sun() -> None:
    counted = truth()
    heated(counted, 0, True)
    lived(counted, 2, 24.0)
    heated(counted, 2, False)
    lived(counted, 30, 24.0, from_hour=2)  # its floor is warm until hour 26
    assert counted.sun_warmed_s.tolist() == [6 * 3600.0] * ROOMS


def test_a_cold_room_is_never_warmed_by_the_sun() -> None:
    counted = truth()
    lived(counted, 5, 19.0)
    assert counted.sun_warmed_s.tolist() == [0.0] * ROOMS
    assert counted.inside_s.tolist() == [0.0] * ROOMS
