"""The EV charger and the water heater: a command is one message, the device's state topic is the read-back.

Hand-back: the charger is told `{"power_w": null}`, which gives it back to its own timer, and the heater is switched
on under its own thermostat. What a program left off before it went would stay off for ever.
"""

import json

from pems_common.clock import Clock
from pems_common.dialects.loxone import format_bit
from pems_common.errors import UnavailableError
from pems_common.home import Home
from pems_common.mqtt import Mqtt
from pems_controller.adapters.live_state import LiveState
from pems_controller.domain.state import EvWish, WaterWish, Wish
from pems_controller.ports import Outcome

__all__ = ["Charger", "Heater"]

_REPEAT_S = 600.0  # house seconds
_EV_STEP_W = 50.0


class _OneTopic:
    """A device commanded by one message; repeats it every 10 min, since commands are not retained."""

    def __init__(self, topic: str, clock: Clock, mqtt: Mqtt) -> None:
        self._topic, self._clock, self._mqtt = topic, clock, mqtt
        self._sent: str | None = None
        self._sent_s = 0.0

    def _repeat_due(self) -> bool:
        return self._sent is None or self._clock.house_monotonic() - self._sent_s >= _REPEAT_S

    async def _send(self, payload: str, *, changed: bool) -> Outcome:
        self._sent = None
        try:
            await self._mqtt.publish(self._topic, payload)
        except UnavailableError as error:
            return Outcome("timeout", changed, detail=str(error))
        self._sent, self._sent_s = payload, self._clock.house_monotonic()
        return Outcome("success", changed, self._clock.now())

    def forget(self) -> None:
        """Send again at the next occasion."""
        self._sent = None


class Charger(_OneTopic):
    """An EV charger."""

    def __init__(self, home: Home, clock: Clock, mqtt: Mqtt) -> None:
        """Command the charger of the site."""
        super().__init__(home.devices.ev.set_topic, clock, mqtt)
        self._power_w: float | None = None

    def due(self, wish: Wish) -> bool:
        """Whether the power differs by 50 W or more, or on/off differs."""
        assert isinstance(wish, EvWish)  # noqa: S101
        last = self._power_w
        differs = last is None or (last > 0) != (wish.power_w > 0) or abs(last - wish.power_w) >= _EV_STEP_W
        return differs or self._repeat_due()

    async def apply(self, wish: Wish, *, exempt: bool) -> Outcome:
        """Set the charging power."""
        assert isinstance(wish, EvWish)  # noqa: S101
        power_w = int(wish.power_w)
        changed = self._power_w is None or int(self._power_w) != power_w
        outcome = await self._send(json.dumps({"power_w": power_w}), changed=changed)
        self._power_w = wish.power_w if outcome.ack == "success" else None
        return outcome

    async def release(self) -> Outcome:
        """Give it back to its own timer."""
        self._power_w = None
        return await self._send(json.dumps({"power_w": None}), changed=True)


class Heater(_OneTopic):
    """A water heater."""

    def __init__(self, home: Home, clock: Clock, mqtt: Mqtt, live: LiveState) -> None:
        """Command the heater of the site."""
        super().__init__(home.devices.water.set_topic, clock, mqtt)
        self._live = live

    def due(self, wish: Wish) -> bool:
        """Whether the state differs, was never confirmed, or has to be repeated."""
        assert isinstance(wish, WaterWish)  # noqa: S101
        return self._live.relay("water").on is not wish.on or self._sent != format_bit(wish.on) or self._repeat_due()

    async def apply(self, wish: Wish, *, exempt: bool) -> Outcome:
        """Remember the switching, then send it."""
        assert isinstance(wish, WaterWish)  # noqa: S101
        changed = self._live.relay("water").on is not wish.on
        if changed:
            self._live.switching("water", wish.on)
        return await self._send(format_bit(wish.on), changed=changed)

    async def release(self) -> Outcome:
        """Leave it to its own thermostat."""
        if self._live.relay("water").on is not True:
            self._live.switching("water", True)
        return await self._send(format_bit(True), changed=True)
