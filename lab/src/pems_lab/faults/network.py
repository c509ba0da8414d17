"""Messages that are lost, late or doubled, and servers that are away."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from pems_common.home import Home
from pems_lab.faults.model import BATTERY_LIMITS, ROOM_LIMITS, Active, Fault, FaultKind, Passed, Sent

__all__ = ["BrokerAway", "BusAway", "MqttDoubled", "MqttLate", "MqttLost"]


_DIRECTIONS = ("to controller", "to ingest", "from controller")


class _Network(FaultKind):
    """Spoils MQTT messages in one direction."""

    family = "network"
    hours = (0.1, 4.0)
    explains = ROOM_LIMITS | BATTERY_LIMITS | {"short_switchings"}

    def explained(self, fault: Fault) -> frozenset[str]:
        """Nothing where the controller hears and is heard."""
        return frozenset() if fault.target == "to ingest" else self.explains

    def ways(self, active: Active, sent: Sent) -> Sequence[Passed]:
        """Say how a message gets through."""
        raise NotImplementedError

    def mqtt(self, active: Active, sent: Sent, home: Home) -> Sequence[Passed]:
        """Spoil what goes in this direction."""
        if active.fault.target == f"{'to' if sent.arrives else 'from'} {sent.service}":
            return self.ways(active, sent)
        return (Passed(sent.message.payload),)

    def number(self, active: Active) -> str:
        """Name the next message, for `Active.chance`."""
        active.memory["count"] = active.memory.get("count", 0) + 1
        return str(active.memory["count"])


class MqttLost(_Network):
    """A share of the messages is lost."""

    name = "mqtt_lost"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the direction and the share."""
        return str(rng.choice(_DIRECTIONS)), float(rng.uniform(0.2, 1.0))

    def ways(self, active: Active, sent: Sent) -> Sequence[Passed]:
        """Through or not."""
        lost = active.chance(self.number(active)) < active.fault.strength
        return () if lost else (Passed(sent.message.payload),)


class MqttLate(_Network):
    """Messages come minutes late, and some overtake others."""

    name = "mqtt_late"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the direction and the longest delay [min]."""
        return str(rng.choice(_DIRECTIONS)), float(rng.uniform(1.0, 10.0))

    def ways(self, active: Active, sent: Sent) -> Sequence[Passed]:
        """Through, later."""
        minutes = active.fault.strength * active.chance(self.number(active))
        return (Passed(sent.message.payload, timedelta(minutes=minutes)),)


class MqttDoubled(_Network):
    """A share of the messages comes twice, the second time minutes later."""

    name = "mqtt_doubled"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the direction and the share."""
        return str(rng.choice(_DIRECTIONS)), float(rng.uniform(0.2, 1.0))

    def ways(self, active: Active, sent: Sent) -> Sequence[Passed]:
        """Through, and perhaps again."""
        once = Passed(sent.message.payload)
        if active.chance(self.number(active)) >= active.fault.strength:
            return (once,)
        return once, replace(once, delay=timedelta(minutes=5.0 * active.chance(self.number(active))))


class BrokerAway(FaultKind):
    """The MQTT broker is away for everybody, or for the controller alone."""

    name, family, hours = "broker_away", "network", (0.1, 4.0)
    explains = ROOM_LIMITS | BATTERY_LIMITS | {"short_switchings"}

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw for whom."""
        return str(rng.choice(("all", "controller"))), 0.0

    def without_broker(self, active: Active) -> frozenset[str]:
        """These."""
        return frozenset({"controller"} if active.fault.target == "controller" else {"house", "ingest", "controller"})


class BusAway(FaultKind):
    """Redis is away for everybody, or for the controller alone."""

    name, family, hours = "bus_away", "network", (0.1, 6.0)

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw for whom."""
        return str(rng.choice(("all", "controller"))), 0.0

    def without_bus(self, active: Active) -> frozenset[str]:
        """These."""
        everybody = {"ingest", "forecaster", "optimizer", "controller"}
        return frozenset({"controller"} if active.fault.target == "controller" else everybody)
