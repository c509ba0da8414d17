"""Alerts of a service that are raised once and cleared once."""

from contextlib import suppress

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PermanentError, UnavailableError
from pems_common.messages import Alert, read_body, wrap

__all__ = ["StandingAlerts"]


class StandingAlerts:
    """Remembers which alerts stand, so that each is told once."""

    def __init__(self, site: str, clock: Clock, bus: Bus, source: str) -> None:
        """Begin without any.

        Args:
            site: Site id.
            clock: House time.
            bus: Where alerts go.
            source: Name of this process in messages.
        """
        self._site, self._clock, self._bus, self._source = site, clock, bus, source
        self._standing: set[str] = set()

    @property
    def standing(self) -> frozenset[str]:
        """Codes of the alerts that stand."""
        return frozenset(self._standing)

    async def take_over(self, prefix: str) -> None:
        """Take over alerts that an earlier run raised and that still stand, by the beginning of their codes.

        Raises:
            UnavailableError: The bus is away.
        """
        for envelope in (await self._bus.latest_all("alert", self._site)).values():
            with suppress(PermanentError):
                alert = read_body(envelope, Alert)
                if alert.code.startswith(prefix) and alert.cleared_at is None:
                    self._standing.add(alert.code)

    async def raise_once(self, code: str, text: str, remedy: str) -> None:
        """Raise an alert unless it stands."""
        if code in self._standing:
            return
        alert = Alert(code=code, severity="warning", text=text, remedy=remedy, raised_at=self._clock.now())
        if await self._tell(alert):
            self._standing.add(code)

    async def clear(self, code: str) -> None:
        """Clear an alert if it stands."""
        if code not in self._standing:
            return
        now = self._clock.now()
        alert = Alert(code=code, severity="info", text="All is well again.", raised_at=now, cleared_at=now)
        if await self._tell(alert):
            self._standing.discard(code)

    async def _tell(self, alert: Alert) -> bool:
        try:
            await self._bus.publish(wrap(alert, site=self._site, clock=self._clock, source=self._source))
        except UnavailableError:
            return False
        return True
