"""Two rooms that really are as their models say, under a thermostat: what a forecaster may find out about them."""

from collections.abc import Mapping

import numpy as np
from tests.unit.forecaster.forecaster_makers import the_home

from pems_common.home import Home
from pems_common.messages import RoomModel
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY
from pems_forecaster.domain.room_fit.predict import HousePredictor
from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["TrueRooms", "outdoor_c", "true_series", "two_room_home", "two_rooms"]

_STEPS = 3  # of five minutes in a slot


def two_rooms(loss: float = 1.0) -> dict[str, RoomModel]:
    """Return models of two neighbours; `loss` makes them lose more."""
    return {
        name: RoomModel(
            ria_k_w=0.010,
            rea_k_w=rea / loss,
            ci_j_k=1.5e6,
            cm_j_k=5.0e6,
            neighbours={other: 12.0},
            gains_w={str(hour): 60.0 for hour in range(24)},
            heater_w=heater,
        )
        for name, other, rea, heater in (("obyvak", "kuchyne", 0.030, 2200.0), ("kuchyne", "obyvak", 0.040, 1600.0))
    }


def outdoor_c(slot: int) -> float:
    """Return a winter's temperature that swings by the day and by the week."""
    day = slot / SLOTS_PER_DAY
    return float(-1.0 + 4.0 * np.sin(2 * np.pi * day) + 3.0 * np.sin(2 * np.pi * day / 4.3))


class TrueRooms:
    """The rooms themselves, five minutes at a time."""

    def __init__(self, models: Mapping[str, RoomModel], seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self.build(models)
        self.air = np.full(len(models), 20.5)
        self.mass = np.full(len(models), 23.0)
        self.on = np.zeros(len(models), dtype=np.bool_)
        self.stuck: dict[str, float] = {}

    def build(self, models: Mapping[str, RoomModel]) -> None:
        """Make them of these models from now on."""
        self.names = tuple(models)
        self._house = HousePredictor.of(dict(models), SLOT_S // _STEPS)
        self._heater = np.array([model.heater_w for model in models.values()])

    def step(self, slot: int, hour: int) -> tuple[dict[str, float], dict[str, float]]:
        """Go five minutes on; returns (heat meanwhile [W], readings at the end [C])."""
        target = 21.0 if 6 <= hour < 22 else 20.0
        self.on = np.where(self.air < target - 0.15, True, np.where(self.air > target + 0.15, False, self.on))
        heat = self._heater * self.on
        told = {name: np.array([watts]) for name, watts in zip(self.names, heat, strict=True)}
        air_in, mass_in = self._house.heat_in(np.array([outdoor_c(slot)]), told, {}, np.array([hour]))
        n = len(self.names)
        now = self._house.step @ np.concatenate([self.air, self.mass])
        now += self._house.air_in @ air_in[0] + self._house.mass_in @ mass_in[0]
        self.air, self.mass = now[:n], now[n:]
        readings = np.round(self.air + 0.03 * self._rng.standard_normal(n), 1)
        seen = dict(zip(self.names, readings.tolist(), strict=True)) | self.stuck
        return dict(zip(self.names, heat.tolist(), strict=True)), seen


def two_room_home() -> Home:
    """Return the first house with these two rooms only."""
    names = {"obyvak", "kuchyne"}
    rooms = {
        name: room.model_copy(update={"neighbours": tuple(names - {name})})
        for name, room in the_home().rooms.items()
        if name in names
    }
    return the_home().model_copy(update={"rooms": rooms})


def true_series(days: int, first: int) -> HouseSeries:
    """Return what their sensors and relays told from a slot on."""
    rooms = TrueRooms(two_rooms())
    air, heat = np.empty((2, days * SLOTS_PER_DAY)), np.empty((2, days * SLOTS_PER_DAY))
    now = np.round(rooms.air, 1)
    hours = (np.arange(days * SLOTS_PER_DAY, dtype=np.int64) % SLOTS_PER_DAY) // 4
    for k, hour in enumerate(hours.tolist()):
        air[:, k] = now
        parts = [rooms.step(first + k, hour) for _ in range(_STEPS)]
        heat[:, k] = [np.mean([told[name] for told, _ in parts]) for name in rooms.names]
        now = np.array([parts[-1][1][name] for name in rooms.names])
    outdoor = np.array([outdoor_c(first + k) for k in range(len(hours))])
    air_c, heat_w = (dict(zip(rooms.names, rows, strict=True)) for rows in (air, heat))
    return HouseSeries(first * SLOT_S, SLOT_S, air_c, heat_w, outdoor, {}, hours, {})
