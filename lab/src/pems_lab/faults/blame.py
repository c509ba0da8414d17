"""What was beyond a limit with no fault to explain it, minute by minute and, where it can be told, room by room."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_house.domain.plant import Plant
from pems_lab.faults.kinds import KINDS
from pems_lab.faults.model import BATTERY_LIMITS, ROOM_LIMITS, Fault

__all__ = ["RECOVERY", "SLOW_RECOVERY", "Blame"]

RECOVERY = timedelta(minutes=15)
"""How long after its end a fault still explains powers and switchings: messages come up to 10 min late."""
SLOW_RECOVERY = timedelta(hours=3)
"""The same for what is stored, temperatures of rooms and charge; a cold snap takes as long to go."""

_MINUTE = timedelta(minutes=1)
_BELOW_K, _ABOVE_K = 0.05, 0.3  # from where the house counts a room (pems_house.domain.truth)
_SLOW = ROOM_LIMITS | BATTERY_LIMITS - {"battery_above_max"}
_SHORT = "short_switchings"


class Blame:
    """Looks at the house after each minute.

    A limit is explained while a fault that can break it is on, and for a while after. A fault of one room explains
    temperatures and switchings of that room alone.

    Attributes:
        unexplained: Beyond each limit without such a fault [s] (`short_switchings`: how many).
    """

    def __init__(self, home: Home, plant: Plant, faults: Sequence[Fault]) -> None:
        """Begin at this moment of the house."""
        self._home, self._plant = home, plant
        self._explained = [(fault, limit) for fault in faults for limit in KINDS[fault.kind].explained(fault)]
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self.unexplained: defaultdict[str, float] = defaultdict(float)
        self._counted, self._switchings = self._counts(), self._plant.loxone.switchings.copy()
        self._beyond = self._rooms_beyond()

    def look(self, now: datetime) -> None:
        """Look at the minute that has just ended."""
        counted, switchings, beyond = self._counts(), self._plant.loxone.switchings.copy(), self._rooms_beyond()
        for limit, value in counted.items():
            new = value - self._counted[limit]
            if new <= 0.0:
                continue
            everywhere, rooms = self._excuses(limit, now)
            if everywhere:
                continue
            if limit == _SHORT:
                new = max(0.0, new - float((switchings - self._switchings)[rooms].sum()))
            elif limit in ROOM_LIMITS:
                there = beyond[limit] | self._beyond[limit]
                new *= float((there & ~rooms).sum() / there.sum()) if there.any() else 1.0
            self.unexplained[limit] += new
        self._counted, self._switchings, self._beyond = counted, switchings, beyond

    def _excuses(self, limit: str, now: datetime) -> tuple[bool, NDArray[np.bool_]]:
        """Tell whether the minute before `now` is explained for the whole house, and for which rooms (n)."""
        rooms = np.zeros(len(self._home.rooms), dtype=np.bool_)
        after, names = SLOW_RECOVERY if limit in _SLOW else RECOVERY, self._plant.building.names
        for fault, explains in self._explained:
            if explains != limit or not fault.begins < now < fault.ends + after + _MINUTE:
                continue
            if not KINDS[fault.kind].of_a_room or not (limit in ROOM_LIMITS or limit == _SHORT):
                return True, rooms
            rooms[names.index(fault.target)] = True
        return False, rooms

    def _counts(self) -> dict[str, float]:
        truth = self._plant.truth
        return {**truth.violation_s, _SHORT: float(truth.short_switchings)}

    def _rooms_beyond(self) -> Mapping[str, NDArray[np.bool_]]:
        """Say which rooms are beyond their limits now (n), by limit."""
        air_c, limits = self._plant.rooms.air_c, self._home.control.limits
        return {
            "room_below_min": air_c < limits.room_min_c - _BELOW_K,
            "heated_above_max": (air_c > limits.room_max_c + _ABOVE_K) & self._plant.loxone.relay_on,
        }
