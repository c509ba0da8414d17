"""Announces PEMS to Home Assistant by device-based MQTT discovery. Reading only; overrides come by REST.

Format: Home Assistant documentation, "MQTT discovery", device discovery payload (`dev`, `o`, `cmps`).
"""

import json
from typing import Any

from pems_common.home import Home
from pems_common.messages import Status
from pems_common.mqtt import Mqtt, MqttMessage

__all__ = ["HomeAssistant", "availability_topic"]


def availability_topic(site: str) -> str:
    """Topic of `online` and `offline`; the latter is also the controller's last will."""
    return f"pems/{site}/availability"


class HomeAssistant:
    """Discovery, availability and state of the controller."""

    def __init__(self, home: Home, mqtt: Mqtt) -> None:
        """Announce again whenever Home Assistant comes up."""
        self._home, self._mqtt = home, mqtt
        self._site = home.site.id
        self._announced = False
        if home.devices.home_assistant:
            mqtt.subscribe("homeassistant/status", self._on_status)

    async def _on_status(self, message: MqttMessage) -> None:
        if message.payload == b"online":
            self._announced = False  # the next tick announces: nothing is published from inside a handler

    def forget(self) -> None:
        """Announce again at the next occasion (after a reconnect)."""
        self._announced = False

    def _component(self, name: str, title: str, template: str, **more: str) -> dict[str, Any]:
        unique = f"pems_{self._site}_{name}"
        return {
            "p": more.pop("platform", "sensor"),
            "name": title,
            "unique_id": unique,
            "default_entity_id": f"sensor.{unique}",
            "value_template": template,
            **more,
        }

    def discovery(self) -> dict[str, Any]:
        """Return the discovery payload."""
        components = {
            "mode": self._component("mode", "Mode", "{{ value_json.house_mode }}"),
            "plan_age": self._component(
                "plan_age", "Plan age", "{{ value_json.plan_age_s }}", unit_of_measurement="s", device_class="duration"
            ),
            "violations": self._component("violations", "Limits broken", "{{ value_json.violations | count }}"),
        }
        for device in self._home.device_names:
            key = device.replace(":", "_")
            template = f"{{{{ value_json.devices['{device}'].mode }}}}"
            components[f"mode_{key}"] = self._component(f"mode_{key}", f"Mode of {device}", template)
        return {
            "dev": {"ids": [f"pems_{self._site}"], "name": f"PEMS {self._home.site.name}", "mf": "PEMS"},
            "o": {"name": "PEMS"},
            "cmps": components,
            "state_topic": f"pems/{self._site}/status",
            "availability_topic": availability_topic(self._site),
        }

    async def tell(self, status: Status) -> None:
        """Publish the state, and discovery and availability where they are due."""
        if not self._announced:
            if self._home.devices.home_assistant:
                topic = f"homeassistant/device/pems_{self._site}/config"
                await self._mqtt.publish(topic, json.dumps(self.discovery()), retain=True)
            await self._mqtt.publish(availability_topic(self._site), "online", retain=True)
            self._announced = True
        short = status.model_dump(mode="json", include={"house_mode", "plan_age_s", "violations", "armed", "plan_id"})
        short["devices"] = {name: {"mode": mode.mode, "why": mode.why} for name, mode in status.devices.items()}
        await self._mqtt.publish(f"pems/{self._site}/status", json.dumps(short), retain=True)

    async def gone(self) -> None:
        """Say so on a clean stop."""
        await self._mqtt.publish(availability_topic(self._site), "offline", retain=True)
