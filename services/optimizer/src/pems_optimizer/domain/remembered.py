"""What a planner has to remember of telemetry, because a plan needs it and nobody asks the history.

The planner feeds it with each reading, keeps it in its own file and hands it to the workers with each request.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from pems_common.home import Home
from pems_common.messages import Telemetry
from pems_common.timegrid import parse_instant
from pems_optimizer.domain.month_peak import MonthPeak

__all__ = ["Remembered"]

_NEARLY_K = 0.5


@dataclass(frozen=True)
class Remembered:
    """A summary of the past.

    Attributes:
        month_peak: Highest import of this month.
        hygienic_at: When the tank was last as warm as its hygiene asks, None where that was not seen.
    """

    month_peak: MonthPeak = field(default_factory=MonthPeak)
    hygienic_at: datetime | None = None

    def seen(self, home: Home, telemetry: Telemetry, at: datetime) -> Self:
        """Take in a reading made at an instant."""
        state = replace(self, month_peak=self.month_peak.seen(at, telemetry.grid_power_w, home.site.zone))
        hygiene = None if home.water is None else home.water.hygiene
        tank_c = None if telemetry.water is None else telemetry.water.temperature_c
        if hygiene is not None and tank_c is not None and tank_c >= hygiene.temperature_c - _NEARLY_K:
            state = replace(state, hygienic_at=at)
        return state

    def hygiene_before(self, now: datetime) -> datetime | None:
        """Return when the tank was last as warm as its hygiene asks; None where that is unknown, or not past."""
        return None if self.hygienic_at is None or self.hygienic_at > now else self.hygienic_at

    def peak_so_far_w(self, home: Home, now: datetime) -> float:
        """Return what a plan's peak is compared with [W]: 0 where each plan's own peak counts."""
        return self.month_peak.so_far_w(now, home.site.zone) if home.grid.peak_is_monthly else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "month_peak": self.month_peak.to_json(),
            "hygienic_at": None if self.hygienic_at is None else self.hygienic_at.isoformat(),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else: begin anew with `Remembered()`.
        """
        try:
            at = data["hygienic_at"]
            return cls(MonthPeak.from_json(data["month_peak"]), None if at is None else parse_instant(at))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no record of what a planner remembers: {error}") from error
