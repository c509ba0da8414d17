"""How much of the plans' cases is kept (`PEMS_PLAN_CASES_*`)."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["CaseSettings"]


class CaseSettings(BaseSettings):
    """The machine's side of it; whichever limit is reached first drops the oldest.

    Attributes:
        plan_cases_days: Days, in house time, before the newest plan.
        plan_cases_max_mb: Megabytes of all cases together.
    """

    model_config = SettingsConfigDict(env_prefix="PEMS_", extra="ignore", frozen=True, env_ignore_empty=True)

    plan_cases_days: int = Field(default=400, ge=1, le=10_000)
    plan_cases_max_mb: int = Field(default=2_000, ge=1, le=1_000_000)
