"""Battery, car, hot water, appliances and the grid in a problem file."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from pems_optimizer.domain.problem_file.fields import (
    Capacity,
    Energy,
    Flag,
    Instant,
    Minutes,
    Money,
    Name,
    Part,
    Percent,
    Power,
    PowerSeries,
    TemperatureSeries,
)

__all__ = ["Appliance", "Battery", "Car", "Grid", "Reserve", "Taper", "Water"]

_Efficiency = Annotated[float, Strict(), Field(ge=0.2, le=1.0)]
_DevicePower = Annotated[float, Strict(), Field(ge=1.0, le=1e7, description="[W]")]


class Taper(Part):
    """Charging power falls in a straight line from `from_soc_pct` on to `full_w` when full."""

    from_soc_pct: Percent
    full_w: Power


class Reserve(Part):
    """Energy that should stay for an outage: below it each kWh and hour costs."""

    soc_pct: Percent
    per_kwh_h: Money


class Battery(Part):
    """The house battery; powers are at its AC side."""

    capacity_wh: Capacity
    soc_pct: Percent = Field(description="at the start")
    soc_min_pct: Percent = 0.0
    soc_max_pct: Percent = 100.0
    charge_max_w: PowerSeries = Field(description="a series where it is less in the cold [W]")
    discharge_max_w: PowerSeries = Field(description="[W]")
    charge_efficiency: _Efficiency = Field(default=0.95, description="stored per Wh taken at the AC side")
    discharge_efficiency: _Efficiency = Field(default=0.95, description="given at the AC side per stored Wh")
    control: Literal["setpoint", "intents"] = Field(
        default="setpoint",
        description="setpoint: any power in any slot; intents: modes of a hybrid inverter, which charge from and "
        "discharge to the grid with dispatch_min_w at least",
    )
    dispatch_min_w: Power = Field(default=0.0, description="for intents only [W]")
    wear_per_kwh: Money = Field(default=0.0, description="per kWh given")
    end_value_per_kwh: Money | None = Field(
        default=None, description="worth of a stored kWh at the end; default: what it saves on a usual day; 0: nothing"
    )
    taper: Taper | None = None
    reserve: Reserve | None = None


class Car(Part):
    """A car to charge, never out of the house battery; 0 W or at least `power_min_w`."""

    need_wh: Energy = Field(description="at the plug")
    ready_at: Instant
    plugged_at: Instant | None = Field(default=None, description="default: from the start on")
    power_min_w: _DevicePower = 1400.0
    power_max_w: _DevicePower
    short_per_kwh: Money | None = Field(default=None, description="per kWh missing when ready; default: 15 CZK")


class Water(Part):
    """A hot water tank as one temperature, heated while on until its thermostat cuts off at `high_c`."""

    heat_w: _DevicePower = Field(description="heat while on [W]")
    electric_w: _DevicePower = Field(description="electricity while on [W]; heat_w / COP")
    volume_l: Annotated[float, Strict(), Field(ge=1.0, le=1e6)]
    temperature_c: Annotated[float, Strict(), Field(ge=0.0, le=100.0)] = Field(description="at the start [C]")
    low_c: TemperatureSeries = Field(description="least temperature wanted at the end of each slot [C]")
    high_c: Annotated[float, Strict(), Field(ge=1.0, le=99.0)] = Field(description="where it cuts off [C]")
    drain_w: PowerSeries = Field(description="mean heat taken by use and losses [W]")
    on_now: Flag = False
    minutes_in_state: Minutes | None = None
    min_on_minutes: Minutes = 30
    min_off_minutes: Minutes = 30
    below_per_k_h: Money | None = Field(default=None, description="per K h below low_c; default: 2 CZK")
    end_value_per_k: Money | None = Field(
        default=None, description="per K below high_c at the end; default: what the heat would cost; 0: nothing"
    )


class Appliance(Part):
    """A machine that has to run for a while in a window."""

    name: Name
    power_w: _DevicePower = Field(description="while it runs [W]")
    run_minutes: Annotated[int, Strict(), Field(ge=1, le=100_000)]
    earliest_at: Instant | None = Field(default=None, description="default: the start")
    ready_at: Instant | None = Field(default=None, description="default: the end of the horizon")
    interruptible: Flag = Field(default=False, description="whether it may pause")
    on_now: Flag = False
    per_start: Money = Field(default=0.0, description="money per start")
    missing_per_slot: Money | None = Field(default=None, description="per slot it did not get; default: 50 CZK")


class Grid(Part):
    """The connection; what is not given is no limit."""

    import_max_w: _DevicePower | None = Field(default=None, description="a soft wall: weights.overload_per_kwh [W]")
    export_max_w: Power | None = Field(default=None, description="[W]; 0 where nothing may be exported")
    heating_max_w: _DevicePower | None = Field(default=None, description="all relays of rooms together [W]")
    inverter_max_w: _DevicePower | None = Field(default=None, description="PV and battery together, AC side [W]")
    pv_curtailable: Flag = True
    peak_so_far_w: Power = Field(default=0.0, description="highest mean import of this month: only more costs [W]")
