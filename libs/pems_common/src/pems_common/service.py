"""What every service is to the program that runs it: a clock-driven tick and reactions to new state."""

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from pems_common.messages import Envelope

__all__ = ["Service"]


class Service(Protocol):
    """Implemented by the `handlers.py` of every service; run by `runner.run_service` or in lockstep.

    MQTT handlers are subscribed in the constructor (they get the `Mqtt` port).
    """

    @property
    def name(self) -> str:
        """Name of the service."""

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""

    @property
    def watches(self) -> Collection[str]:
        """State message types whose change should call `on_state`."""

    async def start(self) -> None:
        """Load what is kept; called once, before the first tick. Outside servers may still be away."""

    async def on_state(self, poke: Envelope) -> None:
        """Some state changed; the bus's latest-value keys hold the truth."""

    async def tick(self) -> None:
        """Do what is due now. Must not raise for expected trouble."""

    async def stop(self) -> None:
        """Hand back and save; called once on a clean stop."""
