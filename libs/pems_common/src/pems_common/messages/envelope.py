"""The envelope of every stream entry, and how it is written to and read from the flat fields of a stream."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from pems_common.clock import Clock
from pems_common.ids import new_id
from pems_common.timegrid import parse_instant

__all__ = ["Envelope"]


class Envelope(BaseModel):
    """One message on the bus.

    Attributes:
        type: Name of the message type; its stream is `pems.<type>`.
        v: Version of the body.
        id: UUIDv7; the same id twice must lead to the same state.
        site: Site id.
        subject: Room, provider, code, kind or device; empty where there is only one.
        seq: What makes one message newer than another of the same type, site and subject:
            `plan_no` for plans, otherwise house time in ms.
        at: House time of writing.
        wall_at: Wall time of writing.
        source: `service@instance`.
        cause: Id of the message that led to this one, or empty.
        body: The body as plain JSON data.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    v: int
    id: str
    site: str
    subject: str = ""
    seq: int
    at: AwareDatetime
    wall_at: AwareDatetime
    source: str
    cause: str = ""
    body: dict[str, Any]

    @classmethod
    def write(
        cls,
        body: BaseModel,
        *,
        type: str,
        v: int,
        site: str,
        clock: Clock,
        source: str,
        subject: str = "",
        seq: int | None = None,
        cause: str = "",
    ) -> Self:
        """Wrap a body. `seq` defaults to house time in ms."""
        at = clock.now()
        return cls(
            type=type,
            v=v,
            id=new_id(clock.wall_now()),
            site=site,
            subject=subject,
            seq=int(at.timestamp() * 1000) if seq is None else seq,
            at=at,
            wall_at=clock.wall_now(),
            source=source,
            cause=cause,
            body=body.model_dump(mode="json"),
        )

    def to_fields(self) -> dict[str, str]:
        """Return the flat text fields of a stream entry."""
        return {
            "type": self.type,
            "v": str(self.v),
            "id": self.id,
            "site": self.site,
            "subject": self.subject,
            "seq": str(self.seq),
            "at": _text(self.at),
            "wall_at": _text(self.wall_at),
            "source": self.source,
            "cause": self.cause,
            "body": json.dumps(self.body, separators=(",", ":"), allow_nan=False),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read the flat fields of a stream entry.

        Raises:
            ValueError: A field is missing or malformed (pydantic's ValidationError is a ValueError).
        """
        try:
            body = json.loads(fields["body"])
            return cls(
                type=fields["type"],
                v=int(fields["v"]),
                id=fields["id"],
                site=fields["site"],
                subject=fields.get("subject", ""),
                seq=int(fields["seq"]),
                at=parse_instant(fields["at"]),
                wall_at=parse_instant(fields["wall_at"]),
                source=fields["source"],
                cause=fields.get("cause", ""),
                body=body,
            )
        except KeyError as error:
            raise ValueError(f"stream entry without field {error}") from error


def _text(at: datetime) -> str:
    return at.isoformat()
