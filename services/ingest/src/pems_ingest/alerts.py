"""Alerts that ingest raises and clears: each change is published once, and again until the bus took it."""

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.messages import Alert, wrap

__all__ = ["AlertBook"]


class AlertBook:
    """What should be known to people now."""

    def __init__(self, bus: Bus, clock: Clock, *, site: str, source: str) -> None:
        """Publish through `bus`."""
        self._bus, self._clock, self._site, self._source = bus, clock, site, source
        self._open: dict[str, Alert] = {}
        self._unsent: dict[str, Alert] = {}

    @property
    def open(self) -> dict[str, Alert]:
        """Alerts that are raised, by code."""
        return dict(self._open)

    def set(self, code: str, text: str, *, severity: str = "warning", remedy: str = "") -> None:
        """Raise the alert with this text, or clear it where the text is empty."""
        known = self._open.get(code)
        now = self._clock.now()
        if not text:
            if known is not None:
                del self._open[code]
                self._unsent[code] = known.model_copy(update={"cleared_at": now})
            return
        if known is None:
            alert = Alert.model_validate(
                {"code": code, "severity": severity, "text": text, "remedy": remedy, "raised_at": now}
            )
            self._open[code] = self._unsent[code] = alert

    async def publish(self) -> None:
        """Publish what changed; what the bus does not take now waits for the next call."""
        for code, alert in list(self._unsent.items()):
            try:
                await self._bus.publish(wrap(alert, site=self._site, clock=self._clock, source=self._source))
            except UnavailableError:
                return
            if self._unsent.get(code) is alert:
                del self._unsent[code]
