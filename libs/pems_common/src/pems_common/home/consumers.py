"""What draws by choice besides the rooms: car, hot water, appliances."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from pems_common.home.section import Section
from pems_common.home.tariff import minutes_of

__all__ = ["Appliance", "Ev", "Hygiene", "WaterHeater"]


class Ev(Section):
    """An electric car at a controllable charger. It is never charged from the house battery."""

    capacity_wh: float = Field(default=75_000, gt=0)
    power_min_w: float = Field(default=1_400, gt=0)
    power_max_w: float = Field(default=11_000, gt=0)
    efficiency: float = Field(default=0.9, gt=0.5, le=1)
    target_soc_pct: float = Field(default=80, ge=10, le=100)
    ready_by: str = "07:00"
    usual_wh_day: float = Field(default=8_000, ge=0, description="wanted in the battery while the car tells no SoC")
    short_czk_kwh: float = Field(default=15.0, ge=0, description="per kWh missing when it should be ready")

    @model_validator(mode="after")
    def _limits(self) -> Self:
        minutes_of(self.ready_by)
        if self.power_min_w > self.power_max_w:
            raise ValueError(f"power_min_w {self.power_min_w} must not exceed power_max_w {self.power_max_w}")
        return self


class Hygiene(Section):
    """Heating the tank through against legionella, at the cheapest end within a daily window of local time.

    Where the planner has not yet seen the tank so warm, it is due on `weekday`.
    """

    temperature_c: float = Field(default=60, ge=50, le=75)
    hold_minutes: int = Field(default=30, ge=15, le=240)
    every_days: int = Field(default=7, ge=1, le=31, description="at the latest after so many days")
    weekday: int = Field(default=6, ge=0, le=6, description="0 = Monday")
    earliest: str = "10:00"
    ready_by: str = Field(default="18:00", description="may be before `earliest`: then of the next day")
    missing_czk_k: float = Field(default=5.0, ge=0, description="per K missing when it is due")

    @field_validator("earliest", "ready_by")
    @classmethod
    def _hh_mm(cls, text: str) -> str:
        minutes_of(text)
        return text


class WaterHeater(Section):
    """A hot water tank with a switchable heat pump."""

    power_w: float = Field(default=2_000, gt=0, description="heat output while on")
    cop: float = Field(default=2.5, ge=1, le=6, description="heat per electricity: electric draw is power_w / cop")
    volume_l: float = Field(default=200, gt=0)
    target_c: float = Field(default=52, ge=30, le=70)
    min_c: float = Field(default=42, ge=20, le=65)
    below_czk_k_h: float = Field(default=2.0, ge=0, description="per K h below the minimum")
    standing_loss_w: float = Field(default=60, ge=0)
    use_wh_day: float = Field(default=8_000, ge=0)
    hygiene: Hygiene | None = None

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.min_c >= self.target_c:
            raise ValueError(f"min_c {self.min_c:g} must be below target_c {self.target_c:g}")
        if self.hygiene is not None and self.hygiene.temperature_c <= self.target_c:
            raise ValueError(f"hygiene.temperature_c must be above target_c {self.target_c:g}; else leave hygiene out")
        return self


class Appliance(Section):
    """A machine with a run of its own: dishwasher, washing machine, pool pump.

    With `runs_daily` a run is planned in every daily window; without it the appliance is for display only.
    """

    power_w: float = Field(gt=0, description="mean while it runs")
    run_minutes: int = Field(gt=0, le=600)
    runs_daily: bool = False
    earliest: str = "00:00"
    ready_by: str = Field(default="24:00", description="not after `earliest`: of the next day")
    interruptible: bool = False
    missing_czk: float = Field(default=50.0, ge=0, description="per quarter of an hour of its run that has no place")

    @property
    def window_minutes(self) -> int:
        """Length of the daily window on a day without a clock change."""
        return (minutes_of(self.ready_by) - minutes_of(self.earliest) - 1) % 1440 + 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.runs_daily and self.run_minutes > self.window_minutes:
            raise ValueError(
                f"a run of {self.run_minutes} minutes does not fit between {self.earliest} and {self.ready_by}"
            )
        return self
