"""The kinds of faults there are: one small class each, all of them in `KINDS`. A new one is a class and a line here.

Sizes are of the order in which such things happen in houses: a sensor a degree or two off, a broker away for minutes
to hours, a planner that nobody restarts before morning, a cold snap that forecasts missed by 8 to 15 K.
"""

from collections.abc import Mapping

from pems_lab.faults.devices import (
    InverterClock,
    InverterMute,
    InverterOffline,
    InverterRefuses,
    RelaysDeaf,
    RelayStuck,
)
from pems_lab.faults.model import FaultKind
from pems_lab.faults.network import BrokerAway, BusAway, MqttDoubled, MqttLate, MqttLost
from pems_lab.faults.outside import (
    ColdSnap,
    LoadBiased,
    PricesLate,
    PriceSpike,
    PvBiased,
    TemperatureBiased,
    WeatherOld,
    WeatherSilent,
)
from pems_lab.faults.processes import PlanNonsense, PlansLate, ProcessDead
from pems_lab.faults.sensors import (
    OutdoorWrong,
    RoomJumping,
    RoomOffset,
    RoomSilent,
    RoomStuck,
    SocAbsent,
    SocFrozen,
)

__all__ = ["FAMILIES", "KINDS"]

_KINDS: tuple[FaultKind, ...] = (
    RoomSilent(),
    RoomStuck(),
    RoomOffset(),
    RoomJumping(),
    OutdoorWrong(),
    SocAbsent(),
    SocFrozen(),
    MqttLost(),
    MqttLate(),
    MqttDoubled(),
    BrokerAway(),
    BusAway(),
    PriceSpike(),
    PricesLate(),
    ColdSnap(),
    PvBiased(),
    LoadBiased(),
    TemperatureBiased(),
    WeatherOld(),
    WeatherSilent(),
    ProcessDead(),
    PlansLate(),
    PlanNonsense(),
    RelayStuck(),
    InverterRefuses(),
    InverterMute(),
    InverterOffline(),
    InverterClock(),
    RelaysDeaf(),
)
KINDS: Mapping[str, FaultKind] = {kind.name: kind for kind in _KINDS}
"""All kinds by name."""

FAMILIES: Mapping[str, tuple[FaultKind, ...]] = {
    family: tuple(kind for kind in _KINDS if kind.family == family)
    for family in dict.fromkeys(kind.family for kind in _KINDS)
}
"""Kinds by family, in a fixed order."""
