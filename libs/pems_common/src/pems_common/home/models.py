"""The sections of home.yaml. Powers in W, energies in Wh, money in CZK, temperatures in C."""

import hashlib
import re
from itertools import pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from pems_common.home.consumers import Appliance, Ev, Hygiene, WaterHeater
from pems_common.home.devices import Devices
from pems_common.home.planning import Optimization, Uncertainty
from pems_common.home.section import Section
from pems_common.home.storage import Battery, Cold, Taper
from pems_common.home.tariff import Tariff, minutes_of

__all__ = [
    "CHARGE_MARGIN_W",
    "Appliance",
    "Battery",
    "Cold",
    "Comfort",
    "Control",
    "Ev",
    "Grid",
    "Home",
    "Hygiene",
    "Limits",
    "Optimization",
    "Pv",
    "Roof",
    "Room",
    "Site",
    "Taper",
    "Uncertainty",
    "WaterHeater",
]

CHARGE_MARGIN_W = 3_000.0
"""Kept free below the main breaker by the car and the battery [W]: a kettle and an oven come first, they can wait."""

_LEAST_PLANNED = 0.6
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class Site(Section):
    """Where the house stands."""

    id: str = Field(default="home", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    name: str = "Home"
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    altitude_m: float = Field(default=300, ge=-500, le=9000)
    timezone: str = "Europe/Prague"
    country: str = Field(default="CZ", pattern=r"^[A-Z]{2}$")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"unknown time zone {name!r}: use a name such as Europe/Prague") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)


_Azimuth = Annotated[float, Field(ge=0, lt=360)]
_Elevation = Annotated[float, Field(ge=0, le=90)]


class Roof(Section):
    """One plane of PV modules."""

    name: str
    peak_w: float = Field(gt=0, le=1e6, description="module power at standard test conditions [Wp]")
    tilt_deg: float = Field(ge=0, le=90)
    azimuth_deg: float = Field(ge=0, lt=360, description="0 north, 90 east, 180 south")
    horizon_deg: tuple[tuple[_Azimuth, _Elevation], ...] = Field(
        default=(),
        description="line below which the sun is hidden: [azimuth, elevation] points round the compass, straight lines "
        "between them; or elevations only, equally spaced from north clockwise; none: flat",
    )

    @field_validator("horizon_deg", mode="before")
    @classmethod
    def _equally_spaced(cls, given: object) -> object:
        """Give plain elevations their azimuths."""
        if not isinstance(given, list | tuple) or not given or not all(isinstance(v, int | float) for v in given):
            return given
        if len(given) < 4:
            raise ValueError("give at least 4 elevations (north, east, south, west), or [azimuth, elevation] points")
        return [(360.0 * k / len(given), elevation) for k, elevation in enumerate(given)]

    @field_validator("horizon_deg")
    @classmethod
    def _round_the_compass(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if len(points) == 1:
            raise ValueError("one point is no line: give at least 2 [azimuth, elevation] points")
        for (before, _), (azimuth, _) in pairwise(points):
            if azimuth <= before:
                raise ValueError(f"azimuth {azimuth:g} follows {before:g}: sort the points clockwise from north")
        return points


class Pv(Section):
    """The PV plant."""

    roofs: tuple[Roof, ...] = ()
    inverter_ac_limit_w: float = Field(default=10_000, gt=0)
    gamma_per_k: float = Field(default=-0.004, ge=-0.02, le=0, description="power change per K of cell temperature")
    inverter_efficiency: float = Field(default=0.96, gt=0.5, le=1)
    curtailable: bool = True

    @property
    def peak_w(self) -> float:
        """Power of all roofs [Wp]."""
        return sum(roof.peak_w for roof in self.roofs)


class Grid(Section):
    """The connection to the public grid."""

    phases: Literal[1, 3] = 3
    breaker_a: float = Field(default=25, gt=0)
    voltage_v: float = Field(default=230, gt=90, lt=300)
    export_max_w: float = Field(default=10_000, ge=0)
    export_allowed: bool = Field(default=True, description="false: nothing may flow to the grid, PV is held back")
    peak_czk_kw: float = Field(default=40.0, ge=0, description="what a kW of the plan's import peak counts as")
    peak_is_monthly: bool = Field(
        default=True, description="only what goes above this month's highest quarter of an hour so far counts"
    )

    @property
    def import_max_w(self) -> float:
        """What the main breaker lets through [W]."""
        return self.phases * self.breaker_a * self.voltage_v

    @property
    def import_planned_w(self) -> float:
        """What a plan may import [W]: what the controller lets a car and a battery charge up to.

        Charging that is planned above it would be cut, and made up for later at some other price. Of a connection
        below 7.5 kW it is a fixed share, more than the controller lets charge.
        """
        return max(self.import_max_w - CHARGE_MARGIN_W, _LEAST_PLANNED * self.import_max_w)

    @property
    def export_limit_w(self) -> float:
        """What may flow to the grid [W]."""
        return self.export_max_w if self.export_allowed else 0.0


class Room(Section):
    """A heated room with one relay."""

    relay_w: float = Field(gt=0)
    usable_w: float | None = Field(default=None, gt=0, description="what the relay really draws, if less")
    area_m2: float = Field(gt=1, le=1000)
    construction: Literal["light", "medium", "heavy"] = "medium"
    floor: Literal["screed", "radiator"] = "screed"
    outer_walls: int = Field(default=1, ge=0, le=4)
    windows_m2: dict[Literal["north", "east", "south", "west"], float] = {}
    day_c: float = Field(ge=10, le=28)
    night_c: float = Field(ge=10, le=28)
    neighbours: tuple[str, ...] = ()
    priority: float = Field(default=1.0, gt=0, description="weight of comfort in this room")

    @property
    def heat_w(self) -> float:
        """Power while the relay is on [W]."""
        return self.relay_w if self.usable_w is None else self.usable_w


class Comfort(Section):
    """The comfort schedule and what missing it is worth."""

    day_start: str = "06:00"
    night_start: str = "22:00"
    band_below_k: float = Field(default=0.5, ge=0, le=3)
    band_above_k: float = Field(default=1.0, ge=0.2, le=5)
    below_czk_k_h: float = Field(default=8.0, ge=0, description="per K h below the band")
    above_czk_k_h: float = Field(default=3.0, ge=0, description="per K h above the band")

    @field_validator("day_start", "night_start")
    @classmethod
    def _hh_mm(cls, text: str) -> str:
        minutes_of(text)
        return text


class Limits(Section):
    """Hard limits on everything that is sent, whatever asked for it."""

    room_min_c: float = Field(default=16, ge=5, le=20)
    room_max_c: float = Field(default=25, ge=20, le=32)
    heating_max_w: float = Field(default=20_000, gt=0)
    battery_max_w: float = Field(default=5_000, gt=0)
    relay_min_on_minutes: int = Field(default=10, ge=1, le=120)
    relay_min_off_minutes: int = Field(default=10, ge=1, le=120)


class Control(Section):
    """Arming, shadow and rollout, and the ladder's tolerances."""

    armed: bool = Field(default=False, description="first key; the environment PEMS_ARM=yes is the second")
    shadow: bool = Field(default=False, description="decide and record, send nothing")
    rollout: tuple[str, ...] = Field(default=("*",), description="live devices: room:<name>, battery, ev, water, or *")
    tick_s: float = Field(default=60, ge=5, le=300)
    soc_tolerance_pct: float = Field(default=15, gt=0)
    room_tolerance_c: float = Field(default=1.5, gt=0)
    battery_silence_s: float = Field(default=120, gt=0)
    room_silence_s: float = Field(default=900, gt=0)
    limits: Limits = Limits()


class Home(Section):
    """The whole of home.yaml."""

    site: Site
    pv: Pv = Pv()
    battery: Battery | None = None
    grid: Grid = Grid()
    rooms: dict[str, Room]
    comfort: Comfort = Comfort()
    ev: Ev | None = None
    water: WaterHeater | None = None
    appliances: dict[str, Appliance] = {}
    base_load_w: float = Field(default=600, ge=50, description="mean load without controlled devices, before history")
    tariff: Tariff
    devices: Devices = Devices()
    control: Control = Control()
    optimization: Optimization = Optimization()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for name, room in self.rooms.items():
            if not _NAME.match(name):
                raise ValueError(f"rooms.{name}: use lower-case ASCII letters, digits and _ (they become MQTT topics)")
            for other in room.neighbours:
                if other not in self.rooms:
                    raise ValueError(f"rooms.{name}.neighbours: {other!r} is no room of this house")
        for name in self.appliances:
            if not _NAME.match(name):
                raise ValueError(f"appliances.{name}: use lower-case ASCII letters, digits and _")
        known = {*self.device_names, "*"}
        for name in self.control.rollout:
            if name not in known:
                raise ValueError(f"control.rollout: {name!r} is no device; known: {', '.join(sorted(known))}")
        return self

    @property
    def device_names(self) -> tuple[str, ...]:
        """Controllable devices: `room:<name>` for each room, then battery, ev and water where present."""
        extra = [n for n, d in (("battery", self.battery), ("ev", self.ev), ("water", self.water)) if d is not None]
        return (*(f"room:{name}" for name in self.rooms), *extra)

    def config_hash(self) -> str:
        """Hash of everything a plan depends on: a plan for another configuration is not trusted."""
        text = self.model_dump_json(exclude={"control", "devices"})
        return hashlib.sha256(text.encode()).hexdigest()[:16]
