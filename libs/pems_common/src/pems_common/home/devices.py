"""How the house's devices are reached: dialects and MQTT topics. `{room}` in a topic stands for the room's name."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pems_common.home.section import Section

__all__ = ["Charger", "Devices", "Heater", "Inverter", "RelayBank", "Sensors"]


class Inverter(Section):
    """A Growatt hybrid inverter behind MQTT (HOUSE.md)."""

    dialect: Literal["growatt_oig", "grott"] = "growatt_oig"
    state_topic: str = "energy/solar"
    command_topic: str = Field(default="energy/solar/command", description="commands go to topics below this one")
    result_topic: str = "energy/solar/result"
    writable: bool = Field(default=True, description="false for read-only dialects such as grott")

    @model_validator(mode="after")
    def _grott_is_read_only(self) -> Self:
        if self.dialect == "grott" and self.writable:
            raise ValueError("the grott dialect is read only: set writable: false")
        return self


class RelayBank(Section):
    """One relay per room behind the Loxone MQTT gateway."""

    set_topic: str = "pems/relay/{room}/set"
    enable_topic: str = "pems/relay/{room}/enable"
    watchdog_topic: str = Field(default="pems/active", description="pulse after each completed controller tick")
    command_spacing_s: float = Field(default=1.0, ge=0, description="least wall seconds between commands to a device")


class Sensors(Section):
    """Where readings come from. MQTT topics carry one scalar; UDP lines are taken by ingest."""

    temperature_topic: str = "loxone/temperature/{room}"
    humidity_topic: str = "loxone/humidity/{room}"
    target_topic: str = "loxone/target_temp/{room}"
    relay_topic: str = "loxone/relay/{room}"
    window_topic: str = "loxone/window/{room}"
    outdoor_topic: str = "loxone/outdoor/temperature"
    udp_port: int = Field(default=2000, ge=1, le=65535)
    republish_topic: str = Field(
        default="pems/{site}/sensor/{type}/{room}",
        description="ingest re-publishes UDP readings here, retained, so that the controller sees them",
    )


class Charger(Section):
    """An EV charger by MQTT: JSON state {connected, soc_pct?, power_w, session_wh}, command {power_w}."""

    state_topic: str = "ev/state"
    set_topic: str = "ev/set"


class Heater(Section):
    """A water heater by MQTT: JSON state {temperature_c?, power_w}, command 0 or 1."""

    state_topic: str = "water/state"
    set_topic: str = "water/set"


class Devices(Section):
    """All devices of the site."""

    simulated: bool = Field(default=True, description="true until real devices are named: starts the simulated house")
    inverter: Inverter = Inverter()
    relays: RelayBank = RelayBank()
    sensors: Sensors = Sensors()
    ev: Charger = Charger()
    water: Heater = Heater()
    home_assistant: bool = Field(default=True, description="announce PEMS by Home Assistant discovery")
