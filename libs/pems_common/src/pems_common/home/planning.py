"""How plans are made: horizon, goals, limits of relays, and how far the unknown counts."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pems_common.home.section import Section

__all__ = ["Optimization", "Uncertainty"]


class Uncertainty(Section):
    """How a plan deals with what is not known.

    `point` plans for the middle of the forecast, `robust` for the worst of base, less PV, more load and dearer
    import, `scenarios` for the expectation over sampled days.
    """

    strategy: Literal["point", "robust", "scenarios"] = "point"
    spread: float = Field(default=0.1, ge=0, le=0.9, description="by which share `robust` moves each input")
    scenarios: int = Field(default=6, ge=3, le=10, description="days that the sampled ones are reduced to")
    samples: int = Field(default=300, ge=50, le=2_000, description="days sampled from the forecast's bands")
    cvar_share: float = Field(default=0.0, ge=0, le=1, description="weight of the bad tail against the expectation")
    cvar_tail: float = Field(default=0.1, gt=0, le=1, description="probability of the bad tail")
    shared_slots: int = Field(default=4, ge=0, le=96, description="first slots in which all scenarios act alike")

    only_if_it_pays: bool = Field(
        default=True, description="where `./pems shadow --meter` found that the strategy costs more, `point` plans"
    )

    @model_validator(mode="after")
    def _tail_needs_scenarios(self) -> Self:
        if self.cvar_share > 0 and self.strategy != "scenarios":
            raise ValueError("cvar_share belongs to strategy: scenarios; leave it out, or change the strategy")
        return self


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
    uncertainty: Uncertainty = Uncertainty()
