"""Keeps up to date what plans need of the past: every new reading of the house is taken in once."""

from datetime import timedelta

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import Telemetry, read_body
from pems_common.timegrid import SLOT
from pems_optimizer.domain.remembered import Remembered

__all__ = ["TelemetryMemory"]

_FUTURE = timedelta(minutes=5)  # readings from later than this say more about a clock than about the house


class TelemetryMemory:
    """What is remembered of telemetry, as of the last look."""

    def __init__(self, home: Home, clock: Clock, bus: Bus) -> None:
        """Begin with nothing seen."""
        self._home, self._clock, self._bus = home, clock, bus
        self._last_id = ""
        self.remembered = Remembered()

    async def look(self) -> bool:
        """Take in the newest reading; True where something came of it that is worth a write.

        A reading that cannot be read is passed over: the planner's triggers and the workers meet it too, and tell it.
        So is one from the future.
        """
        envelope = await self._bus.latest("telemetry", self._home.site.id)
        if envelope is None or envelope.id == self._last_id or envelope.at > self._clock.now() + _FUTURE:
            return False
        self._last_id = envelope.id
        try:
            telemetry = read_body(envelope, Telemetry)
        except PermanentError:
            return False
        before = self.remembered
        self.remembered = now = before.seen(self._home, telemetry, envelope.at)
        hot_again = now.hygienic_at is not None and (
            before.hygienic_at is None or now.hygienic_at - before.hygienic_at > SLOT
        )
        return hot_again or now.month_peak.slot != before.month_peak.slot
