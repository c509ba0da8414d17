"""Which message types there are, how each is kept, and how its body is read and written."""

from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import BaseModel

from pems_common.clock import Clock
from pems_common.errors import PermanentError
from pems_common.messages.acted import Alert, Command, Override, Score, Status
from pems_common.messages.decided import Certificate, Plan
from pems_common.messages.envelope import Envelope
from pems_common.messages.expected import Forecast, Thermal
from pems_common.messages.observed import Prices, Telemetry, Weather
from pems_common.messages.series import Body

__all__ = ["CATALOG", "MessageType", "read_body", "subject_of", "type_of", "wrap"]


@dataclass(frozen=True)
class MessageType:
    """One type of message.

    Attributes:
        name: Its name; the stream is `pems.<name>`.
        version: Version of the body written now.
        body: Model of that version.
        kind: `state` (latest value counts) or `work` (each entry is handled).
        retention: Entries kept per home (MAXLEN ~).
        subject_field: Field of the body that tells one latest value from another, empty where there is one.
    """

    name: str
    version: int
    body: type[Body]
    kind: Literal["state", "work"]
    retention: int
    subject_field: str = ""

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return f"pems.{self.name}"

    @property
    def dead_letters(self) -> str:
        """Name of the dead-letter stream."""
        return f"pems.{self.name}.dlq"


B = TypeVar("B", bound=Body)

CATALOG: dict[str, MessageType] = {
    t.name: t
    for t in (
        MessageType("telemetry", 1, Telemetry, "state", 9_000),
        MessageType("prices", 1, Prices, "state", 100),
        MessageType("weather", 1, Weather, "state", 20, "provider"),
        MessageType("forecast", 1, Forecast, "state", 100),
        MessageType("thermal", 1, Thermal, "state", 500, "room"),
        MessageType("plan", 1, Plan, "state", 100),
        MessageType("certificate", 1, Certificate, "state", 100),
        MessageType("status", 1, Status, "state", 2_000),
        MessageType("command", 1, Command, "work", 10_000, "device"),
        MessageType("override", 1, Override, "state", 1_000, "device"),
        MessageType("alert", 1, Alert, "work", 1_000, "code"),
        MessageType("score", 1, Score, "work", 2_000, "kind"),
    )
}
_BY_BODY: dict[type[Body], MessageType] = {t.body: t for t in CATALOG.values()}


def type_of(body: BaseModel | type[BaseModel]) -> MessageType:
    """Return the message type of a body or body class.

    Raises:
        KeyError: It is no message body.
    """
    cls = body if isinstance(body, type) else type(body)
    return _BY_BODY[cls]  # type: ignore[index]


def subject_of(body: Body) -> str:
    """Return the subject of a body: the value of its type's subject field, or empty."""
    field = type_of(body).subject_field
    return str(getattr(body, field)) if field else ""


def wrap(body: Body, *, site: str, clock: Clock, source: str, cause: str = "", seq: int | None = None) -> Envelope:
    """Wrap a body in its envelope; a plan's `seq` is its `plan_no`, anything else's house time in ms."""
    kind = type_of(body)
    if seq is None and isinstance(body, Plan):
        seq = body.plan_no
    return Envelope.write(
        body,
        type=kind.name,
        v=kind.version,
        site=site,
        clock=clock,
        source=source,
        subject=subject_of(body),
        seq=seq,
        cause=cause,
    )


def read_body(envelope: Envelope, cls: type[B]) -> B:
    """Read the body of an envelope as `cls`.

    Raises:
        PermanentError: Wrong type, unknown version, or a malformed body.
    """
    kind = type_of(cls)
    if envelope.type != kind.name:
        raise PermanentError(f"message {envelope.id} is of type {envelope.type}, not {kind.name}")
    if envelope.v > kind.version:
        raise PermanentError(
            f"message {envelope.id}: {envelope.type} version {envelope.v} is newer than this program's {kind.version}",
            remedy="update this service",
        )
    try:
        return cls.read(envelope.body)
    except ValueError as error:
        raise PermanentError(f"message {envelope.id}: malformed {envelope.type} body: {error}") from error
