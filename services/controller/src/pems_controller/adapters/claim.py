"""One controller per site: a lock on this host, and a retained claim that controllers on other hosts see.

The claim is `pems/<site>/controller` with `{instance, since, beat}` in wall time. Who sees a newer live instance stays
silent until it has heard nothing of it for 30 wall seconds.
"""

import fcntl
import json
from pathlib import Path
from typing import IO

from pems_common.clock import Clock
from pems_common.dialects.result import Rejected, parse_object
from pems_common.errors import PemsError, UnavailableError
from pems_common.home import Home
from pems_common.mqtt import Mqtt, MqttMessage

__all__ = ["Claim", "HostLock"]

SILENCE_WALL_S = 30.0


class HostLock:
    """A lock file: two controllers of one site on one host cannot run at once."""

    def __init__(self, path: Path) -> None:
        """Take the lock; the system releases it when the process ends, however it ends.

        Raises:
            PemsError: Another controller holds it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise PemsError(
                f"another controller of this site runs on this host (it holds {path})",
                remedy="stop it first, or give this one its own PEMS_DATA and site",
            ) from error

    def release(self) -> None:
        """Give the lock back."""
        self._file.close()


class Claim:
    """Announces this controller and watches for a newer one."""

    def __init__(self, home: Home, instance: str, clock: Clock, mqtt: Mqtt) -> None:
        """Begin to watch; the claim counts from now."""
        self._topic = f"pems/{home.site.id}/controller"
        self._instance, self._clock, self._mqtt = instance, clock, mqtt
        self._since = clock.wall_now().isoformat()
        self._newer: tuple[str, str] | None = None
        self._newer_beat = ""
        self._newer_heard_s = 0.0
        mqtt.subscribe(self._topic, self._on_claim)

    async def _on_claim(self, message: MqttMessage) -> None:
        data = parse_object(message.payload)
        if isinstance(data, Rejected) or message.retained:  # a kept claim says nothing about who is alive
            return
        instance, since, beat = (data.get(key) for key in ("instance", "since", "beat"))
        if not (isinstance(instance, str) and isinstance(since, str) and isinstance(beat, str)):
            return
        if instance == self._instance or (since, instance) <= (self._since, self._instance):
            return
        if beat != self._newer_beat:
            self._newer, self._newer_beat = (since, instance), beat
            self._newer_heard_s = self._clock.monotonic()

    @property
    def outranked(self) -> bool:
        """Whether a newer controller was heard in the last 30 wall seconds."""
        return self._newer is not None and self._clock.monotonic() - self._newer_heard_s < SILENCE_WALL_S

    async def beat(self) -> None:
        """Say that this controller lives, unless a newer one does."""
        if self.outranked:
            return
        beat = {"instance": self._instance, "since": self._since, "beat": self._clock.wall_now().isoformat()}
        await self._mqtt.publish(self._topic, json.dumps(beat), retain=True)

    async def withdraw(self) -> None:
        """Remove the claim on a clean stop."""
        if not self.outranked:
            try:
                await self._mqtt.publish(self._topic, b"", retain=True)
            except UnavailableError:
                return
