"""Series on a fixed step, and bands of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

__all__ = ["Band", "Body", "Series"]


class Body(BaseModel):
    """Base of every message body: frozen; writing refuses unknown fields, NaN and infinities.

    Reading ignores unknown fields: see `read`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, data: object) -> Self:
        """Read data written by this or a later minor revision: unknown fields are ignored.

        Raises:
            pydantic.ValidationError: Known fields are missing or malformed.
        """
        return cls.model_validate(data, extra="ignore")


class Series(Body):
    """Values of consecutive half-open slots.

    Attributes:
        start: Start of the first slot, UTC.
        step_s: Length of a slot [s].
        values: One per slot; None where unknown.
    """

    start: AwareDatetime
    step_s: int = Field(gt=0, le=86_400)
    values: tuple[float | None, ...]

    @property
    def step(self) -> timedelta:
        """Length of a slot."""
        return timedelta(seconds=self.step_s)

    @property
    def end(self) -> datetime:
        """End of the last slot."""
        return self.start + self.step * len(self.values)

    def index(self, instant: datetime) -> int:
        """Index of the slot that holds the instant; may lie outside."""
        return (instant - self.start) // self.step

    def at(self, instant: datetime) -> float | None:
        """Value of the slot that holds the instant; None outside or unknown."""
        i = self.index(instant)
        return self.values[i] if 0 <= i < len(self.values) else None

    def window(self, start: datetime, count: int, step_s: int = 900) -> list[float | None]:
        """Values at `count` slot starts of another grid: the value that holds there, no averaging."""
        return [self.at(start + timedelta(seconds=i * step_s)) for i in range(count)]

    @classmethod
    def of(cls, start: datetime, step_s: int, values: Sequence[float | None], digits: int = 4) -> Self:
        """Build a series of rounded plain floats (numpy scalars and NaN are welcome; NaN becomes None)."""
        clean = tuple(None if v is None or v != v else round(float(v), digits) for v in values)
        return cls(start=start, step_s=step_s, values=clean)


class Band(Body):
    """P10, P50 and P90 of a quantity on one grid: p10 <= p50 <= p90 in each slot.

    For money received (sell) and paid (buy) alike, P90 is the high price.
    """

    p10: Series
    p50: Series
    p90: Series
