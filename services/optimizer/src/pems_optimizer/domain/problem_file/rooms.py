"""A heated room in a problem file: its relay, its thermal model, its comfort band, its state."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from pems_optimizer.domain.problem_file.fields import (
    Flag,
    MinuteOfDay,
    Minutes,
    Money,
    Name,
    Part,
    Power,
    PowerSeries,
    RoomPower,
    RoomTemperature,
    Share,
    TemperatureSeries,
)

__all__ = ["BandFrom", "OneCapacity", "Room", "RoomModelPart", "TwoCapacities"]

_Resistance = Annotated[float, Strict(), Field(ge=1e-5, le=100.0)]
_Conductance = Annotated[float, Strict(), Field(ge=0.0, le=1e4)]
_HeatCapacity = Annotated[float, Strict(), Field(ge=1e4, le=1e12)]
_Aperture = Annotated[float, Strict(), Field(ge=0.0, le=1e3)]


class TwoCapacities(Part):
    """2R2C: air and mass (slab), `pems_common.messages.RoomModel` has the equations."""

    kind: Literal["2R2C"]
    ria_k_w: _Resistance = Field(description="resistance between air and mass [K/W]")
    rea_k_w: _Resistance = Field(description="resistance between air and outdoors [K/W]")
    ci_j_k: _HeatCapacity = Field(description="heat capacity of air and furniture [J/K]")
    cm_j_k: _HeatCapacity = Field(description="heat capacity of the mass [J/K]")
    heat_to_mass: Share = Field(default=1.0, description="share of the heat that enters the mass first")


class OneCapacity(Part):
    """1R1C: one temperature, one loss; the heat acts at once."""

    kind: Literal["1R1C"]
    loss_w_k: Annotated[float, Strict(), Field(ge=0.01, le=1e5, description="loss to outdoors [W/K]")]
    capacity_wh_k: Annotated[float, Strict(), Field(ge=3.0, le=1e8, description="heat capacity [Wh/K]")]


RoomModelPart = Annotated[TwoCapacities | OneCapacity, Field(discriminator="kind")]


class BandFrom(Part):
    """From this local time on, each day, until the next entry of the schedule."""

    start: MinuteOfDay
    low_c: RoomTemperature
    high_c: RoomTemperature


class Room(Part):
    """A room that one relay heats, off or on for whole slots.

    Its comfort band is either `low_c` and `high_c` (a number or a series) or `schedule`.
    """

    name: Name
    heater_w: RoomPower = Field(description="power while the relay is on [W], at most 100 kW")
    model: RoomModelPart
    neighbours: dict[str, _Conductance] = Field(
        default={}, max_length=64, description="conductance to other rooms of the file [W/K]; saying it once is enough"
    )
    solar_m2: dict[str, _Aperture] = Field(
        default={}, max_length=16, description="effective aperture per facade of solar_w_m2 [m2]"
    )
    gains_w: PowerSeries = Field(default=0.0, description="people and appliances [W]")
    gains_by_hour_w: tuple[Power, ...] = Field(default=(), description="24 numbers by local hour, added to gains_w [W]")
    air_c: RoomTemperature = Field(description="air temperature at the start [C]")
    mass_c: RoomTemperature | None = Field(
        default=None, description="mass temperature at the start [C]; default: what holding air_c needs"
    )
    low_c: TemperatureSeries | None = Field(default=None, description="lower edge of comfort, end of each slot [C]")
    high_c: TemperatureSeries | None = Field(default=None, description="upper edge [C]")
    schedule: tuple[BandFrom, ...] = Field(default=(), max_length=48, description="the band by local time")
    margin_k: Annotated[float, Strict(), Field(ge=0.0, le=2.0)] = Field(
        default=0.0, description="planned this much above the lower edge [K]"
    )
    priority: Annotated[float, Strict(), Field(ge=0.01, le=100.0)] = Field(default=1.0, description="of its comfort")
    relay_on: Flag = Field(default=False, description="state of the relay at the start")
    minutes_in_state: Minutes | None = Field(default=None, description="how long it has been so; default: long enough")
    starts_max: Annotated[int, Strict(), Field(ge=0, le=10_000)] | None = Field(
        default=None, description="starts over the horizon; default: no limit"
    )
    end_c: RoomTemperature | None = Field(
        default=None, description="heat-weighted temperature to end with; default: what holding the lower edge needs"
    )
    end_value_per_k: Money | None = Field(
        default=None, description="money per K missing at the end; default: what the heat would cost; 0: it is worth 0"
    )
