"""The sections of home.yaml. Powers in W, energies in Wh, money in CZK, temperatures in C."""

import hashlib
import re
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from pems_common.home.devices import Devices
from pems_common.home.section import Section
from pems_common.home.tariff import Tariff, minutes_of

__all__ = [
    "Appliance",
    "Battery",
    "Comfort",
    "Control",
    "Ev",
    "Grid",
    "Home",
    "Limits",
    "Optimization",
    "Pv",
    "Roof",
    "Room",
    "Site",
    "WaterHeater",
]

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


class Roof(Section):
    """One plane of PV modules."""

    name: str
    peak_w: float = Field(gt=0, le=1e6, description="module power at standard test conditions [Wp]")
    tilt_deg: float = Field(ge=0, le=90)
    azimuth_deg: float = Field(ge=0, lt=360, description="0 north, 90 east, 180 south")


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


class Battery(Section):
    """The house battery behind the hybrid inverter."""

    capacity_wh: float = Field(gt=0)
    soc_min_pct: float = Field(default=20, ge=0, le=100)
    soc_max_pct: float = Field(default=100, ge=0, le=100)
    power_max_w: float = Field(default=5_300, gt=0)
    device_scale_w: float = Field(default=9_800, gt=0, description="power that the device calls 100 %")
    round_trip_efficiency: float = Field(default=0.85, gt=0.3, le=1)
    dispatch_min_w: float = Field(
        default=2_450, ge=0, description="least useful power when told to charge or discharge"
    )
    wear_czk_kwh: float = Field(default=1.0, ge=0, description="per kWh taken out")
    registers_per_day_max: int = Field(default=60, ge=4)

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.soc_min_pct >= self.soc_max_pct:
            raise ValueError(f"soc_min_pct {self.soc_min_pct} must be below soc_max_pct {self.soc_max_pct}")
        return self

    @property
    def leg_efficiency(self) -> float:
        """Efficiency of one way, the square root of the round trip."""
        return float(self.round_trip_efficiency**0.5)


class Grid(Section):
    """The connection to the public grid."""

    phases: Literal[1, 3] = 3
    breaker_a: float = Field(default=25, gt=0)
    voltage_v: float = Field(default=230, gt=90, lt=300)
    export_max_w: float = Field(default=10_000, ge=0)
    peak_czk_kw: float = Field(default=40.0, ge=0, description="what a kW of the plan's import peak counts as")

    @property
    def import_max_w(self) -> float:
        """What the main breaker lets through [W]."""
        return self.phases * self.breaker_a * self.voltage_v


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


class Ev(Section):
    """An electric car at a controllable charger. It is never charged from the house battery."""

    capacity_wh: float = Field(default=75_000, gt=0)
    power_min_w: float = Field(default=1_400, gt=0)
    power_max_w: float = Field(default=11_000, gt=0)
    efficiency: float = Field(default=0.9, gt=0.5, le=1)
    target_soc_pct: float = Field(default=80, ge=10, le=100)
    ready_by: str = "07:00"

    @model_validator(mode="after")
    def _limits(self) -> Self:
        minutes_of(self.ready_by)
        if self.power_min_w > self.power_max_w:
            raise ValueError(f"power_min_w {self.power_min_w} must not exceed power_max_w {self.power_max_w}")
        return self


class WaterHeater(Section):
    """A hot water tank with a switchable heat pump."""

    power_w: float = Field(default=2_000, gt=0, description="heat output while on")
    cop: float = Field(default=2.5, ge=1, le=6, description="heat per electricity: electric draw is power_w / cop")
    volume_l: float = Field(default=200, gt=0)
    target_c: float = Field(default=52, ge=30, le=70)
    min_c: float = Field(default=42, ge=20, le=65)
    standing_loss_w: float = Field(default=60, ge=0)
    use_wh_day: float = Field(default=8_000, ge=0)


class Appliance(Section):
    """A shiftable appliance that announces itself ready; for display and load in this version."""

    power_w: float = Field(gt=0)
    run_minutes: int = Field(gt=0, le=600)


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


class Optimization(Section):
    """How plans are made."""

    horizon_h: int = Field(default=48, ge=12, le=96)
    profile: Literal["economic", "balanced", "comfort", "green"] = "balanced"
    plan_min_on_minutes: int = Field(default=30, ge=15, le=120)
    plan_min_off_minutes: int = Field(default=30, ge=15, le=120)
    starts_per_48h_max: int = Field(default=24, ge=4)
    switching_czk: float = Field(default=0.05, ge=0, description="per relay start")
    self_consumption_czk_kwh: float = Field(
        default=2.5, ge=0, description="per kWh exported or curtailed, times weight"
    )
    time_limit_s: float = Field(default=5.0, gt=0.1, le=60)
    keep_gain_czk: float = Field(default=1.0, ge=0, description="a new plan must gain this much to replace the old one")


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
