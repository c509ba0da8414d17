"""A world that stands still, and a house in it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pems_common.clock import FakeClock
from pems_common.home import Home, load_home
from pems_common.messages import Weather
from pems_common.mqtt import MemoryBroker, MemoryMqtt
from pems_common.world import WeatherSample
from pems_house.domain.plant import Plant, StartState
from pems_house.handlers import HouseHandlers

HOME_FILE = Path(__file__).parents[3] / "config" / "home.yaml"
WINTER = datetime(2026, 1, 12, 23, tzinfo=UTC)  # a Monday's end, local midnight


@dataclass
class StillWorld:
    """Constant weather and prices."""

    temperature_c: float = 0.0
    dni_w_m2: float = 0.0
    dhi_w_m2: float = 0.0
    spot: float | None = 100.0
    label: str = "still"

    def weather(self, at: datetime) -> WeatherSample:
        return WeatherSample(self.temperature_c, 100.0, self.dhi_w_m2, self.dni_w_m2, self.dhi_w_m2, 3.0, 80.0)

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        raise NotImplementedError

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        return self.spot

    def eur_czk(self, at: datetime) -> float | None:
        return 25.0

    def published_until(self, at: datetime) -> datetime:
        return at


def the_home() -> Home:
    return load_home(HOME_FILE)


def a_plant(
    world: StillWorld | None = None, *, start: datetime = WINTER, seed: int = 1, state: StartState | None = None
) -> Plant:
    world = world or StillWorld()
    return Plant(the_home(), world.weather, lambda slot: (4.0, 2.0), start, seed=seed, state=state)


class HouseRig:
    """The handlers on a memory broker with a fake clock."""

    def __init__(self, world: StillWorld | None = None, *, start: datetime = WINTER, **options: Any) -> None:
        self.home = the_home()
        self.clock = FakeClock(start)
        self.broker = MemoryBroker()
        self.pems: MemoryMqtt = self.broker.client()
        self.house = HouseHandlers(self.home, self.clock, self.broker.client(), world or StillWorld(), **options)
        self.plant = self.house.plant

    async def go(self, seconds: float, *, step_s: float = 60.0, each: Callable[[], Any] | None = None) -> None:
        """Let time pass, with a tick at each step."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            if each is not None:
                await each()
            self.clock.set(min(self.clock.now() + timedelta(seconds=step_s), end))
            await self.house.tick()

    async def pulse(self) -> None:
        await self.pems.publish("pems/active", "1")

    def retained(self, topic: str) -> bytes:
        return self.broker.retained[topic]
