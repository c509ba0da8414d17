"""Faults that can be switched on: each has a kind, perhaps a room and a value, and perhaps an end in house time."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from pems_common.errors import PemsError

__all__ = ["Fault", "FaultKind", "Faults"]

FaultKind = Literal[
    "sensor_silent",
    "sensor_stuck",
    "relay_stuck",
    "ack_lost",
    "nak",
    "inverter_offline",
    "inverter_clock",
    "broker_drop",
]
_OF_A_ROOM = {"sensor_silent", "sensor_stuck", "relay_stuck"}


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        id: Number of the fault.
        kind: What is wrong. `ack_lost`: commands are carried out, the answer is lost; `nak`: they are refused;
            `inverter_offline`: its gateway is gone, the inverter itself runs on; `broker_drop`: the house's own
            connection is gone, both ways.
        room: For sensors and relays.
        value: `relay_stuck`: 1 on (default), 0 off; `inverter_clock`: offset [s].
        until: End in house time, None for until it is taken back.
    """

    id: int
    kind: FaultKind
    room: str | None = None
    value: float | None = None
    until: datetime | None = None

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"until": None if self.until is None else self.until.isoformat()}


class Faults:
    """The faults that are on."""

    def __init__(self, rooms: Collection[str]) -> None:
        """No faults yet, in a house with these rooms."""
        self._rooms = tuple(rooms)
        self._on: dict[int, Fault] = {}
        self._next = 1

    def add(
        self,
        kind: str,
        now: datetime,
        *,
        room: str | None = None,
        value: float | None = None,
        minutes: float | None = None,
    ) -> Fault:
        """Switch a fault on.

        Raises:
            PemsError: There is no such kind or room, or a room is missing.
        """
        if kind not in get_args(FaultKind):
            raise PemsError(f"no such fault: {kind}", remedy=f"one of {', '.join(get_args(FaultKind))}")
        if kind in _OF_A_ROOM and room not in self._rooms:
            raise PemsError(f"fault {kind} needs a room of this house, not {room}")
        until = None if minutes is None else now + timedelta(minutes=minutes)
        fault = Fault(self._next, kind, room if kind in _OF_A_ROOM else None, value, until)  # type: ignore[arg-type]
        self._on[fault.id] = fault
        self._next += 1
        return fault

    def remove(self, fault_id: int) -> bool:
        """Take a fault back; False where there was none."""
        return self._on.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Take all faults back."""
        self._on.clear()

    def expire(self, now: datetime) -> None:
        """Take back what has ended."""
        for fault in list(self._on.values()):
            if fault.until is not None and now >= fault.until:
                del self._on[fault.id]

    @property
    def on(self) -> tuple[Fault, ...]:
        """All that are on."""
        return tuple(self._on.values())

    def has(self, kind: FaultKind) -> bool:
        """Tell whether a kind is on."""
        return any(fault.kind == kind for fault in self._on.values())

    def rooms(self, kind: FaultKind) -> dict[str, float | None]:
        """Rooms with a kind of fault, and its value."""
        return {f.room: f.value for f in self._on.values() if f.kind == kind and f.room is not None}

    def value(self, kind: FaultKind) -> float:
        """Sum of a kind's values."""
        return sum(fault.value or 0.0 for fault in self._on.values() if fault.kind == kind)
