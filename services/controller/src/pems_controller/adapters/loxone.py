"""Relays behind the Loxone MQTT gateway: set, enable, and the watchdog pulse. Commands are never retained."""

from pems_common.clock import Clock
from pems_common.dialects.loxone import format_bit
from pems_common.errors import UnavailableError
from pems_common.home import Home
from pems_common.mqtt import Mqtt
from pems_controller.adapters.live_state import LiveState
from pems_controller.domain.state import RoomWish, Wish
from pems_controller.ports import Outcome

__all__ = ["OFF_DELAY_WALL_S", "LoxoneRelay", "pulse"]

OFF_DELAY_WALL_S = 30.0
REPEAT_S = 600.0  # house seconds; commands are not retained, a restarted Loxone has to hear them again


class LoxoneRelay:
    """The relay of one room."""

    def __init__(self, home: Home, room: str, clock: Clock, mqtt: Mqtt, live: LiveState) -> None:
        """Command the relay of `room`."""
        self._room, self._clock, self._mqtt, self._live = room, clock, mqtt, live
        self._set_topic = home.devices.relays.set_topic.replace("{room}", room)
        self._enable_topic = home.devices.relays.enable_topic.replace("{room}", room)
        self._sent: bool | None = None
        self._sent_s = 0.0

    def due(self, wish: Wish) -> bool:
        """Whether the state differs, was never confirmed, or has to be repeated."""
        assert isinstance(wish, RoomWish)  # noqa: S101
        relay = self._live.relay(f"room:{self._room}")
        return (
            self._sent is not wish.on
            or relay.on is not wish.on
            or self._clock.house_monotonic() - self._sent_s >= REPEAT_S
        )

    async def apply(self, wish: Wish, *, exempt: bool) -> Outcome:
        """Remember the switching, then send state and enable."""
        assert isinstance(wish, RoomWish)  # noqa: S101
        changed = self._live.relay(f"room:{self._room}").on is not wish.on
        if changed:
            self._live.switching(f"room:{self._room}", wish.on)
        self._sent = None
        try:
            await self._mqtt.publish(self._set_topic, format_bit(wish.on))
            await self._mqtt.publish(self._enable_topic, "1")
        except UnavailableError as error:
            return Outcome("timeout", changed, detail=str(error))
        self._sent, self._sent_s = wish.on, self._clock.house_monotonic()
        return Outcome("success", changed, self._clock.now())

    async def release(self) -> Outcome:
        """Give the room back to Loxone's own control."""
        self._sent = None
        try:
            await self._mqtt.publish(self._enable_topic, "0")
        except UnavailableError as error:
            return Outcome("timeout", detail=str(error))
        return Outcome("success", ack_at=self._clock.now())

    def forget(self) -> None:
        """Send again at the next occasion."""
        self._sent = None


async def pulse(home: Home, mqtt: Mqtt) -> None:
    """Tell Loxone that a tick was completed lately; `OFF_DELAY_WALL_S` after the last pulse it releases every room."""
    await mqtt.publish(home.devices.relays.watchdog_topic, "1")
