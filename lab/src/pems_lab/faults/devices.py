"""Relays and an inverter that do not do as they are told."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pems_common.home import Home
from pems_common.mqtt import topic_matches
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

__all__ = ["InverterClock", "InverterMute", "InverterOffline", "InverterRefuses", "RelayStuck", "RelaysDeaf"]


class RelayStuck(RoomFault):
    """A room's relay sticks, on or off."""

    name, family, hours = "relay_stuck", "device", (0.5, 12.0)
    explains = ROOM_LIMITS | {"heating_above_max", "import_above_breaker", "breaker_overload", "short_switchings"}

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the room, and on (1) or off (0)."""
        return a_room(rng, home), float(rng.integers(0, 2))

    def at_house(self, active: Active) -> HouseFault:
        """The house has this fault itself."""
        return HouseFault("relay_stuck", active.fault.target, active.fault.strength)


class _InverterFault(FaultKind):
    family = "device"
    hours = (0.1, 6.0)
    explains = BATTERY_LIMITS
    house_kind: ClassVar[str]

    def at_house(self, active: Active) -> HouseFault:
        """The house has this fault itself."""
        return HouseFault(self.house_kind, value=active.fault.strength)


class InverterRefuses(_InverterFault):
    """The inverter says no to every command."""

    name, house_kind = "inverter_refuses", "nak"


class InverterMute(_InverterFault):
    """The inverter does as it is told, and its answers are lost."""

    name, house_kind = "inverter_mute", "ack_lost"


class InverterOffline(_InverterFault):
    """The inverter's gateway is gone; the inverter goes on by itself."""

    name, house_kind = "inverter_offline", "inverter_offline"


class InverterClock(_InverterFault):
    """The inverter's clock is wrong."""

    name, house_kind = "inverter_clock", "inverter_clock"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw by how much [s]."""
        return "", either_way(rng, 120.0, 7_200.0)


class RelaysDeaf(FaultKind):
    """Nothing that the controller says reaches the rooms' relays; the inverter hears it."""

    name, family, hours = "relays_deaf", "device", (0.1, 4.0)
    explains = ROOM_LIMITS | {"short_switchings"}

    def mqtt(self, active: Active, sent: Sent, home: Home) -> Sequence[Passed]:
        """Lose commands of relays, and the pulse."""
        relays = home.devices.relays
        deaf = (relays.set_topic.format(room="+"), relays.enable_topic.format(room="+"), relays.watchdog_topic)
        lost = sent.service == "controller" and not sent.arrives
        if lost and any(topic_matches(topic, sent.message.topic) for topic in deaf):
            return ()
        return (Passed(sent.message.payload),)
