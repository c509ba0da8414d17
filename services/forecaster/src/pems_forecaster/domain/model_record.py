"""What is written down about a trained model, from candidate to retired."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self, get_args

from pems_common.errors import PermanentError

__all__ = ["ModelRecord", "ModelStatus"]

ModelStatus = Literal["candidate", "shadow", "active", "retired"]


@dataclass(frozen=True)
class ModelRecord:
    """One model.

    Attributes:
        version: Its name, unique at the site.
        kind: `pv`, `load` or `price`.
        status: `candidate` (trained), `shadow` (forecasts beside the active one, unpublished), `active`, `retired`.
        trained_at: House time.
        window: First and last instant of its data.
        rows: Rows it was trained on.
        data_hash: Of these rows.
        features: Names of its inputs.
        target: What it says, with its unit.
        parameters: How it was grown.
        metrics: On days that it was not trained on; later also of its comparison.
        parent: The version that was active when it was trained.
        why: Reason of the last change of status.
        changes: Instant and status of each change.
    """

    version: str
    kind: str
    status: ModelStatus
    trained_at: datetime
    window: tuple[datetime, datetime]
    rows: int
    data_hash: str
    features: tuple[str, ...]
    target: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    parent: str = ""
    why: str = ""
    changes: tuple[tuple[datetime, ModelStatus], ...] = ()

    def became(
        self, status: ModelStatus, at: datetime, why: str, metrics: Mapping[str, float] | None = None
    ) -> "ModelRecord":
        """Return the record after a change of status."""
        return replace(
            self,
            status=status,
            why=why,
            changes=(*self.changes, (at, status)),
            metrics={**self.metrics, **(metrics or {})},
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            **asdict(self),
            "trained_at": self.trained_at.isoformat(),
            "window": [instant.isoformat() for instant in self.window],
            "changes": [[at.isoformat(), status] for at, status in self.changes],
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            PermanentError: It is something else.
        """
        try:
            begin, end = map(datetime.fromisoformat, data["window"])
            record = cls(
                **{
                    **data,
                    "trained_at": datetime.fromisoformat(data["trained_at"]),
                    "window": (begin, end),
                    "features": tuple(map(str, data["features"])),
                    "metrics": {str(name): float(value) for name, value in data["metrics"].items()},
                    "changes": tuple((datetime.fromisoformat(at), status) for at, status in data["changes"]),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PermanentError(f"this is no record of a model: {error}", remedy="train the model anew") from error
        if record.status not in get_args(ModelStatus):
            raise PermanentError(f"{record.version}: no status {record.status!r}", remedy="train the model anew")
        return record
