"""Sensors that say nothing, or something else than the truth."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from pems_common.home import Home
from pems_lab.faults.model import (
    BATTERY_LIMITS,
    ROOM_LIMITS,
    Active,
    FaultKind,
    HouseFault,
    Passed,
    RoomFault,
    Sent,
    a_room,
    either_way,
)

__all__ = ["OutdoorWrong", "RoomJumping", "RoomOffset", "RoomSilent", "RoomStuck", "SocAbsent", "SocFrozen"]


class RoomSilent(RoomFault):
    """A room's sensor says nothing."""

    name, family, hours = "room_silent", "sensor", (0.5, 12.0)

    def at_house(self, active: Active) -> HouseFault:
        """The house has this fault itself."""
        return HouseFault("sensor_silent", active.fault.target)


class RoomStuck(RoomFault):
    """A room's sensor repeats its last reading."""

    name, family, hours = "room_stuck", "sensor", (0.5, 12.0)

    def at_house(self, active: Active) -> HouseFault:
        """The house has this fault itself."""
        return HouseFault("sensor_stuck", active.fault.target)


class _Reading(FaultKind):
    """Changes what one sensor says to PEMS; the house's own control sees the true reading."""

    def topic(self, active: Active, home: Home) -> str:
        """Topic of the sensor."""
        raise NotImplementedError

    def shown(self, active: Active, payload: bytes, at: datetime) -> bytes:
        """Payload instead."""
        raise NotImplementedError

    def mqtt(self, active: Active, sent: Sent, home: Home) -> Sequence[Passed]:
        """Change the reading where the house sends it."""
        payload = sent.message.payload
        if sent.service == "house" and not sent.arrives and sent.message.topic == self.topic(active, home):
            payload = self.shown(active, payload, sent.at)
        return (Passed(payload),)


class RoomOffset(_Reading):
    """A room's sensor shows up to 2 K too much or too little."""

    name, family, hours, explains = "room_offset", "sensor", (0.5, 12.0), ROOM_LIMITS
    of_a_room = True

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the room and the offset [K]."""
        return a_room(rng, home), either_way(rng, 0.5, 2.0)

    def topic(self, active: Active, home: Home) -> str:
        """Of the room's temperature."""
        return home.devices.sensors.temperature_topic.format(room=active.fault.target)

    def shown(self, active: Active, payload: bytes, at: datetime) -> bytes:
        """The reading and the offset."""
        return f"{float(payload) + active.fault.strength:.1f}".encode()


class RoomJumping(RoomOffset):
    """A room's sensor jumps about the truth, up to 5 K away."""

    name = "room_jumping"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the room and how far it jumps [K]."""
        return a_room(rng, home), float(rng.uniform(1.5, 5.0))

    def shown(self, active: Active, payload: bytes, at: datetime) -> bytes:
        """A number around the reading."""
        share = 2.0 * active.chance(at.isoformat()) - 1.0
        return f"{float(payload) + active.fault.strength * share:.1f}".encode()


class OutdoorWrong(_Reading):
    """The outdoor sensor hangs in the sun, or in the neighbour's freezer."""

    name, family, hours = "outdoor_wrong", "sensor", (1.0, 24.0)

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the offset [K]."""
        return "", either_way(rng, 5.0, 15.0)

    def topic(self, active: Active, home: Home) -> str:
        """Of the outdoor temperature."""
        return home.devices.sensors.outdoor_topic

    def shown(self, active: Active, payload: bytes, at: datetime) -> bytes:
        """The reading and the offset."""
        return f"{float(payload) + active.fault.strength:.1f}".encode()


class _InverterReading(_Reading):
    def topic(self, active: Active, home: Home) -> str:
        """Of the inverter's state."""
        return home.devices.inverter.state_topic


class SocAbsent(_InverterReading):
    """The inverter tells everything but the state of charge.

    It explains no limit: PEMS knows that it does not know, and what it knew last.
    """

    name, family = "soc_absent", "sensor"

    def shown(self, active: Active, payload: bytes, at: datetime) -> bytes:
        """The state without it."""
        state: dict[str, Any] = json.loads(payload)
        state.pop("SOC", None)
        return json.dumps(state).encode()


class SocFrozen(_InverterReading):
    """The inverter repeats the state of charge of the moment when it began."""

    name, family, explains = "soc_frozen", "sensor", BATTERY_LIMITS

    def shown(self, active: Active, payload: bytes, at: datetime) -> bytes:
        """The state with the old one."""
        state: dict[str, Any] = json.loads(payload)
        if "SOC" in state:
            state["SOC"] = active.memory.setdefault("soc_pct", state["SOC"])
        return json.dumps(state).encode()
