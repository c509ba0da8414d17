"""Watching the rooms: telemetry in, estimated states and `thermal` messages out."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pems_common.home import Home
from pems_common.messages import Forecast, Telemetry, Thermal
from pems_forecaster.domain.facade_sun import SUN_FLOOR, SUN_RATIO_MAX
from pems_forecaster.domain.grid import LocalCalendar, slot_no
from pems_forecaster.domain.observer import HouseObserver, RoomInputs
from pems_forecaster.domain.rooms import prior_interval, prior_version
from pems_forecaster.domain.sampler import RoomSampler

__all__ = ["OBSERVE_EVERY", "RoomWatch", "describe_prior", "sun_ratio"]

OBSERVE_EVERY = timedelta(minutes=5)


Describe = Callable[[str, HouseObserver], Thermal]


def describe_prior(room: str, observer: HouseObserver) -> Thermal:
    """Tell of a room when nothing is identified: its prior model and its state."""
    model = observer.models[room]
    return Thermal(
        room=room,
        model=model,
        interval=prior_interval(model),
        tier="prior",
        state=observer.state(room),
        version=prior_version(model),
    )


class RoomWatch:
    """Feeds the observer every five minutes of house time, and remembers what was published last."""

    def __init__(self, home: Home, calendar: LocalCalendar, describe: Describe) -> None:
        """Watch the rooms of a home; `describe` tells what is published of a room."""
        self._home, self._calendar, self._describe = home, calendar, describe
        self._sampler = RoomSampler()
        self._told = (-1, 0)
        self.published: dict[str, Thermal] = {}

    @property
    def outdoor_c(self) -> float | None:
        """Outdoor temperature measured last."""
        return self._sampler.outdoor_c

    def add(self, telemetry: Telemetry) -> None:
        """Take one telemetry message."""
        self._sampler.add(self._home, telemetry)

    def observe(
        self, observer: HouseObserver, now: datetime, forecast: Forecast | None, sun_ratio: float
    ) -> RoomInputs | None:
        """Advance the observer if five minutes have passed (the service ticks each minute, so a little less will do).

        Args:
            observer: Of all rooms.
            now: House time.
            forecast: The last one: for the sun, and for the outdoor temperature where no sensor tells.
            sun_ratio: What the PV plant sees of the sun relative to the forecast.

        Returns:
            What acted on the rooms since the last step; None where there was no step.
        """
        if observer.at is not None and now - observer.at < OBSERVE_EVERY - timedelta(seconds=30):
            return None
        outdoor = self.outdoor_c
        if outdoor is None and forecast is not None:
            outdoor = forecast.outdoor_temperature_c.p50.at(now)
        if outdoor is None:
            return None
        heat, air, windows = self._sampler.take()
        solar = {} if forecast is None else forecast.solar_w_m2
        sun = {name: (series.at(now) or 0.0) * sun_ratio for name, series in solar.items()}
        inputs = RoomInputs(outdoor, heat, air, sun, self._calendar.hour(slot_no(now)), windows)
        observer.step(now, inputs)
        return inputs

    def due(self, observer: HouseObserver, now: datetime) -> list[Thermal]:
        """Return what has to be published: all rooms at the start, when a room is first seen, and each slot."""
        stamp = (slot_no(now), observer.known)
        if stamp == self._told:
            return []
        return [self._describe(room, observer) for room in observer.models]

    def told(self, observer: HouseObserver, now: datetime, thermals: list[Thermal]) -> None:
        """Remember that these are published."""
        self._told = (slot_no(now), observer.known)
        self.published = {thermal.room: thermal for thermal in thermals}


def sun_ratio(expected_w: float | None, measured_w: float | None, limited: float | None, ac_limit_w: float) -> float:
    """Tell how much stronger than forecast the sun is, from the PV plant; 1 where it cannot tell."""
    if expected_w is None or measured_w is None or (limited or 0.0) > 0.3 or expected_w < SUN_FLOOR * ac_limit_w:
        return 1.0
    return min(max(measured_w / expected_w, 0.0), SUN_RATIO_MAX)
