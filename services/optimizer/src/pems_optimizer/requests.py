"""A plan request as it travels from the planner to a worker, and the port it is handed over by."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self

from pems_common.errors import PermanentError
from pems_common.timegrid import parse_instant
from pems_optimizer.domain.remembered import Remembered

__all__ = ["PlanRequest", "SolvePort"]


@dataclass(frozen=True)
class PlanRequest:
    """One wish for a plan.

    Attributes:
        request_id: Its own id.
        plan_id: Id that the plan will have.
        plan_no: Number that the plan will have.
        config_hash: Configuration that the planner saw.
        trigger: Why it is asked for.
        asked_at: House time of asking.
        decide_from: First slot boundary that the plan can still decide.
        expires_at: Wall time after which nobody waits for it.
        limit_s: Wall seconds for the work.
        remembered: What the planner has seen of telemetry.
    """

    request_id: str
    plan_id: str
    plan_no: int
    site: str
    config_hash: str
    trigger: str
    asked_at: datetime
    decide_from: datetime
    expires_at: datetime
    limit_s: float
    remembered: Remembered = field(default_factory=Remembered)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(self).items()}
        return plain | {"remembered": self.remembered.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read plain JSON data.

        Raises:
            PermanentError: Something is missing or malformed.
        """
        try:
            return cls(
                request_id=str(data["request_id"]),
                plan_id=str(data["plan_id"]),
                plan_no=int(data["plan_no"]),
                site=str(data["site"]),
                config_hash=str(data["config_hash"]),
                trigger=str(data["trigger"]),
                asked_at=parse_instant(data["asked_at"]),
                decide_from=parse_instant(data["decide_from"]),
                expires_at=parse_instant(data["expires_at"]),
                limit_s=float(data["limit_s"]),
                remembered=Remembered.from_json(data["remembered"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentError(f"malformed plan request: {error}") from error


class SolvePort(Protocol):
    """Where the planner sends its wishes; plans come back over the bus."""

    async def submit(self, request: PlanRequest) -> None:
        """Ask for a plan.

        Raises:
            UnavailableError: The request could not be handed over.
        """

    async def evaluate(self, site: str, plan_id: str) -> None:
        """Ask for a plan to be judged on sampled days; nobody waits for it, losing it is fine."""
