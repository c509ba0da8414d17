"""A running native stack: starting, waiting for house time, stopping; shared by `demo`, `up` and `drill`."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from pems_cli.memory import MemoryWatch
from pems_cli.observer import Observer
from pems_cli.run import Run
from pems_cli.stack import Stack
from pems_cli.supervisor import Supervisor

__all__ = ["Session"]

_STEP_S = 0.1
_MEMORY_EVERY_S = 5.0


class Session:
    """The supervisor, the observer and the signals of one run.

    The first Ctrl-C (or SIGTERM) asks for a clean stop, the second ends everything at once.

    Attributes:
        ready_s: Wall seconds from the start until every part answered, None before.
        not_ready: Parts that did not answer in time.
    """

    def __init__(self, run: Run, stack: Stack, *, tell: Callable[[str], None]) -> None:
        """Prepare; nothing is started yet."""
        self.run = run
        self.stack = stack
        self.supervisor = Supervisor(stack.parts, env=stack.env, directory=run.directory, tell=tell)
        self.observer = Observer(stack)
        self.memory = MemoryWatch()
        self.ready_s: float | None = None
        self.not_ready: list[str] = []
        self._tell = tell
        self._interrupts = 0
        self._memory_due = 0.0

    @property
    def interrupted(self) -> bool:
        """Whether a stop was asked for."""
        return self._interrupts > 0

    @staticmethod
    def now() -> float:
        """Wall seconds on the monotonic clock."""
        return time.monotonic()

    def start(self, wait_s: float) -> bool:
        """Start everything; true when every part became ready within `wait_s` wall seconds."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        begun = time.monotonic()
        self.run.start_clock()
        self.not_ready = self.supervisor.start_all(wait_s, lambda: self.interrupted)
        if self.not_ready or self.interrupted:
            return False
        self.ready_s = round(time.monotonic() - begun, 2)
        return True

    def step(self) -> None:
        """Keep the parts running for a moment, and look at their memory now and then."""
        self.supervisor.step()
        now = time.monotonic()
        if now >= self._memory_due:
            self.memory.sample(self.supervisor.pids())
            self._memory_due = now + _MEMORY_EVERY_S
        time.sleep(_STEP_S)

    def wait_until(self, done: Callable[[], bool], wait_s: float) -> float | None:
        """Keep everything running until `done()`.

        Returns:
            Wall seconds it took, or None when it did not come within `wait_s` or a stop was asked for.
        """
        begun = time.monotonic()
        while time.monotonic() - begun < wait_s and not self.interrupted:
            if done():
                return time.monotonic() - begun
            self.step()
        return None

    def stop(self) -> None:
        """Look at the memory a last time, then stop everything in order."""
        with suppress(OSError):
            self.memory.sample(self.supervisor.pids())
        self.supervisor.stop()
        self.observer.close()
        self.stack.chooser.close()
        self.run.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self._tell("stopping: the controller hands the devices back (again to end everything at once)")
            return
        self.supervisor.kill_all()
        sys.stderr.flush()
        os._exit(128 + number)
