"""The rooms of a twin: their published models, stepped together exactly, heated by relays."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pems_common.comfort import comfort_band_c
from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import RoomState
from pems_common.timegrid import SLOT
from pems_controller.domain.state import RoomWish, Wish
from pems_lab.shadow.twin_day import DayTruth
from pems_optimizer.domain.room_arrays import AirInputs, air_input_w, joint_step

__all__ = ["TwinRooms"]

Floats = NDArray[np.float64]


class TwinRooms:
    """All rooms of a home through one day. Arrays are (R,).

    Attributes:
        names: Rooms, in the order of the home.
        air_c: Air temperature.
        mass_c: Temperature of the slab.
        relay_on: Relays.
        loss_w_k: Loss to outdoors.
        band_c: The home's comfort band in each slot, low and high (T, R, 2).
    """

    def __init__(self, home: Home, truth: DayTruth, tick: timedelta) -> None:
        """Begin with the states of the day's models.

        Raises:
            PermanentError: A room has no model or no state.
        """
        self.names = tuple(home.rooms)
        if missing := [n for n in self.names if n not in truth.thermals or truth.thermals[n].state is None]:
            raise PermanentError(
                f"{truth.day}: no model with a state of {', '.join(missing)}",
                remedy="rooms have models as soon as the forecaster runs: leave the day out",
            )
        thermals = [truth.thermals[name] for name in self.names]
        models, count = [thermal.model for thermal in thermals], len(thermals)
        index = {name: r for r, name in enumerate(self.names)}
        self._coupled_w_k = np.zeros((count, count))
        for r, model in enumerate(models):
            for other, w_k in model.neighbours.items():
                if other in index:
                    self._coupled_w_k[r, index[other]] = w_k
        self._a, self._b = joint_step(thermals, self._coupled_w_k, tick.total_seconds())
        inputs = AirInputs(truth.start, truth.slots, SLOT, truth.outdoor_c, truth.solar_w_m2)
        every = frozenset(self.names)
        flows = [air_input_w(home, thermal, inputs, every, {}, home.site.zone) for thermal in thermals]
        self._air_input_w = np.array(flows).T.reshape(truth.slots, count)
        self._heater_w = np.array([model.heater_w for model in models])
        self._to_mass = np.array([model.heat_to_mass for model in models])
        self.loss_w_k = np.array([1.0 / model.rea_k_w for model in models])
        # A room leaks to every neighbour it was told of; those that are none of this house stand for outdoors.
        self._leaves_w_k = self.loss_w_k + np.array([sum(model.neighbours.values()) for model in models])
        self._wh_k = np.array([[model.ci_j_k, model.cm_j_k] for model in models]).reshape(count, 2) / 3600.0
        states = [thermal.state for thermal in thermals if thermal.state is not None]
        self.air_c = np.array([state.air_c for state in states], dtype=np.float64)
        self.mass_c = np.array([state.mass_c for state in states], dtype=np.float64)
        self.relay_on = np.array([truth.relay_on.get(name, False) for name in self.names], dtype=np.bool_)
        self._since = [truth.start - timedelta(days=1)] * count
        starts = [truth.start + t * SLOT for t in range(truth.slots)]
        bands = np.array([[comfort_band_c(home, name, at) for name in self.names] for at in starts])
        self.band_c = bands.reshape(truth.slots, count, 2)

    @property
    def heat_w(self) -> Floats:
        """What each room's heater draws."""
        return np.asarray(self._heater_w * self.relay_on, dtype=np.float64)

    def stored_wh(self) -> float:
        """Return the heat in all air and slabs above 0 C."""
        return float(self._wh_k[:, 0] @ self.air_c + self._wh_k[:, 1] @ self.mass_c)

    def held_s(self, room: int, at: datetime) -> float:
        """Return how long a relay has been as it is [s]."""
        return (at - self._since[room]).total_seconds()

    def state(self, room: str, disturbance_w: float, at: datetime) -> RoomState:
        """Return a room's state as the forecaster would estimate it."""
        r = self.names.index(room)
        return RoomState(air_c=float(self.air_c[r]), mass_c=float(self.mass_c[r]), disturbance_w=disturbance_w, at=at)

    def switch(self, wishes: Mapping[str, Wish], at: datetime) -> NDArray[np.int64]:
        """Switch relays as wished, and return which were switched (0 or 1)."""
        switched = np.zeros(len(self.names), dtype=np.int64)
        for r, name in enumerate(self.names):
            wish = wishes.get(f"room:{name}")
            if isinstance(wish, RoomWish) and wish.on != bool(self.relay_on[r]):
                self.relay_on[r], self._since[r], switched[r] = wish.on, at, 1
        return switched

    def step(self, slot: int) -> tuple[float, float]:
        """Advance by one tick in a slot.

        Returns:
            Heat that all air lost, and that came in otherwise than by heaters [W].
        """
        if not self.names:
            return 0.0, 0.0
        given, heat_w, count = self._air_input_w[slot], self.heat_w, len(self.names)
        inputs = np.concatenate([given + heat_w * (1.0 - self._to_mass), heat_w * self._to_mass])
        before, after = self.air_c, self._a @ np.concatenate([self.air_c, self.mass_c]) + self._b @ inputs
        self.air_c, self.mass_c = after[:count], after[count:]
        middle = 0.5 * (before + self.air_c)
        lost = self._leaves_w_k * middle - self._coupled_w_k @ middle
        return float(lost.sum()), float(given.sum())
