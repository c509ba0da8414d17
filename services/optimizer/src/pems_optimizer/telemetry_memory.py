"""Keeps up to date what plans need of the past: every new reading of the house is taken in once."""

from pems_common.bus import Bus
from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import Telemetry, read_body
from pems_optimizer.domain.remembered import Remembered

__all__ = ["TelemetryMemory"]


class TelemetryMemory:
    """What is remembered of telemetry, as of the last look."""

    def __init__(self, home: Home, bus: Bus) -> None:
        """Begin with nothing seen."""
        self._home, self._bus = home, bus
        self._last_id = ""
        self.remembered = Remembered()

    async def look(self) -> bool:
        """Take in the newest reading; True where a quarter of an hour has ended, so that keeping it is worth a write.

        A reading that cannot be read is passed over: the planner's triggers and the workers meet it too, and tell it.
        """
        envelope = await self._bus.latest("telemetry", self._home.site.id)
        if envelope is None or envelope.id == self._last_id:
            return False
        self._last_id = envelope.id
        try:
            telemetry = read_body(envelope, Telemetry)
        except PermanentError:
            return False
        before = self.remembered
        self.remembered = before.seen(self._home, telemetry, envelope.at)
        return self.remembered.month_peak.slot != before.month_peak.slot
