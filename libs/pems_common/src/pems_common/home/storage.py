"""The house battery: capacity, limits, losses, and what it may do near full, in the cold and before an outage."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pems_common.home.section import Section

__all__ = ["Battery", "Cold", "Taper"]


class Taper(Section):
    """Near full the battery takes less: from `from_soc_pct` on in a straight line down to `full_w` at `soc_max_pct`."""

    from_soc_pct: float = Field(ge=0, lt=100)
    full_w: float = Field(ge=0, description="what it still takes when full")


class Cold(Section):
    """Power that is there by the battery's own temperature: all of it from `*_full_c` up, none from `*_zero_c` down."""

    charge_full_c: float = Field(default=10, ge=-30, le=30)
    charge_zero_c: float = Field(default=0, ge=-40, le=25)
    discharge_full_c: float = Field(default=-10, ge=-40, le=20)
    discharge_zero_c: float = Field(default=-20, ge=-50, le=15)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for way in ("charge", "discharge"):
            zero, full = getattr(self, f"{way}_zero_c"), getattr(self, f"{way}_full_c")
            if zero >= full:
                raise ValueError(f"{way}_zero_c {zero:g} must be below {way}_full_c {full:g}")
        return self

    def charge_share(self, temperature_c: float) -> float:
        """Part of the charging power that is there, 0..1."""
        return _rise(temperature_c, self.charge_zero_c, self.charge_full_c)

    def discharge_share(self, temperature_c: float) -> float:
        """Part of the discharging power that is there, 0..1."""
        return _rise(temperature_c, self.discharge_zero_c, self.discharge_full_c)


def _rise(x: float, zero: float, full: float) -> float:
    return min(1.0, max(0.0, (x - zero) / (full - zero)))


class Battery(Section):
    """The house battery behind the hybrid inverter."""

    capacity_wh: float = Field(gt=0)
    soc_min_pct: float = Field(default=20, ge=0, le=100)
    soc_max_pct: float = Field(default=100, ge=0, le=100)
    power_max_w: float = Field(default=5_300, gt=0)
    device_scale_w: float = Field(default=9_800, gt=0, description="power that the device calls 100 %")
    round_trip_efficiency: float = Field(
        default=0.85, gt=0.3, le=1, description="the product where both legs are given"
    )
    charge_efficiency: float | None = Field(
        default=None, gt=0.5, le=1, description="stored per Wh taken; default: square root of the round trip"
    )
    discharge_efficiency: float | None = Field(default=None, gt=0.5, le=1, description="given per stored Wh; the same")
    dispatch_min_w: float = Field(
        default=2_450, ge=0, description="least useful power when told to charge or discharge"
    )
    wear_czk_kwh: float = Field(default=1.0, ge=0, description="per kWh taken out")
    registers_per_day_max: int = Field(default=60, ge=4)
    taper: Taper | None = None
    cold: Cold | None = Field(default=None, description="needs the battery's temperature in telemetry")
    reserve_pct: float = Field(default=0, ge=0, le=100, description="SoC that should stay for an outage; soft")
    reserve_czk_kwh_h: float = Field(default=0.5, ge=0, description="per kWh below the reserve and hour")
    control: Literal["intents", "setpoint"] = Field(
        default="intents",
        description="intents: modes of a hybrid inverter; setpoint: plans may ask for any power in any slot, for "
        "inverters that something other than PEMS's Growatt adapter drives",
    )

    @model_validator(mode="before")
    @classmethod
    def _round_trip_of_legs(cls, data: Any) -> Any:
        """Keep one truth: where both legs are given, the round trip is their product."""
        if not isinstance(data, dict):
            return data
        legs = [data.get("charge_efficiency"), data.get("discharge_efficiency")]
        numbers = [leg for leg in legs if isinstance(leg, int | float)]
        if len(numbers) == 2 and "round_trip_efficiency" not in data:
            return {**data, "round_trip_efficiency": numbers[0] * numbers[1]}
        return data

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.soc_min_pct >= self.soc_max_pct:
            raise ValueError(f"soc_min_pct {self.soc_min_pct} must be below soc_max_pct {self.soc_max_pct}")
        charge, discharge = self.legs
        if max(charge, discharge) > 1.0:
            raise ValueError(
                f"round_trip_efficiency {self.round_trip_efficiency:g} is above the leg given: give both legs, or "
                "a round trip below it"
            )
        if abs(charge * discharge - self.round_trip_efficiency) > 0.005:
            raise ValueError(
                f"round_trip_efficiency {self.round_trip_efficiency:g} is not the product of the legs, "
                f"{charge * discharge:.3f}: leave it out"
            )
        if self.taper is not None and self.taper.from_soc_pct >= self.soc_max_pct:
            raise ValueError(f"taper.from_soc_pct {self.taper.from_soc_pct:g} must be below soc_max_pct")
        if self.reserve_pct > self.soc_max_pct:
            raise ValueError(f"reserve_pct {self.reserve_pct:g} must not exceed soc_max_pct {self.soc_max_pct:g}")
        return self

    @property
    def leg_efficiency(self) -> float:
        """Mean efficiency of one way, the square root of the round trip."""
        return float(self.round_trip_efficiency**0.5)

    @property
    def legs(self) -> tuple[float, float]:
        """Efficiency of charging and of discharging; a leg that is not given follows from the other."""
        charge, discharge = self.charge_efficiency, self.discharge_efficiency
        if charge is None and discharge is None:
            return self.leg_efficiency, self.leg_efficiency
        if charge is None:
            charge = self.round_trip_efficiency / float(discharge or 1.0)
        if discharge is None:
            discharge = self.round_trip_efficiency / charge
        return charge, discharge
