"""The small ports through which devices are commanded."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from pems_controller.domain.state import Wish

__all__ = ["Actuator", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    Attributes:
        ack: `success`: confirmed by the device, or by the broker where the device has no answers.
        changed: False where it only repeated what was told before.
        ack_at: House time of the confirmation.
        read_back: What the device says it holds now, where it can be asked.
        trouble: Code of an alert to raise; empty when all is well.
        detail: For a person.
    """

    ack: Literal["success", "nak", "timeout", "none"]
    changed: bool = True
    ack_at: datetime | None = None
    read_back: dict[str, Any] | None = field(default=None)
    trouble: str = ""
    detail: str = ""


class Actuator(Protocol):
    """One device: relay of a room, inverter, charger or heater."""

    def due(self, wish: Wish) -> bool:
        """Whether anything has to be sent so that the device does what is wished."""

    async def apply(self, wish: Wish, *, exempt: bool) -> Outcome:
        """Make the device do it; `exempt` from the budget of register writes (safety). Does not raise for trouble."""

    async def release(self) -> Outcome:
        """Give the device back to its own control."""

    def forget(self) -> None:
        """Somebody else may have commanded the device: what was sent is not known to hold any more."""
