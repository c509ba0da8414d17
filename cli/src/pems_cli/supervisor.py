"""Runs the parts of a native PEMS as real processes: starts them, restarts what dies, stops them in order.

It does its work in `step()`, called again and again from the main thread: a child's parent-death signal
follows the thread that forked it.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from pems_cli.child import signal_group, start_child

__all__ = ["Ended", "Part", "Stage", "Supervisor"]

_FIRST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_STEADY_AFTER_S = 60.0
_LOOK_EVERY_S = 0.15


class Stage(IntEnum):
    """When a part starts and stops: servers start first and stop last, services the other way round."""

    SERVER = 0
    HOUSE = 1
    SERVICE = 2


@dataclass(frozen=True)
class Part:
    """One process of the run.

    Attributes:
        name: Its name in logs, reports and drills.
        command: Program and arguments.
        answers: Whether it is ready; quick, never raising.
        stage: When it starts and stops.
        env: Environment beyond the run's common one.
        stop_s: Wall seconds it may take for a clean stop.
    """

    name: str
    command: Sequence[str]
    answers: Callable[[], bool]
    stage: Stage = Stage.SERVICE
    env: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 20.0


@dataclass(frozen=True)
class Ended:
    """A process that ended although nobody asked it to.

    Attributes:
        name: Which part.
        code: Its exit status, negative for a signal.
        after_s: Wall seconds it had run.
    """

    name: str
    code: int
    after_s: float


@dataclass
class _State:
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff_s: float = _FIRST_BACKOFF_S
    due: float | None = None
    held: bool = False
    restarts: int = 0


class Supervisor:
    """Keeps a set of parts running.

    Attributes:
        ended: Every unexpected end so far, in order.
        ready_after_s: Wall seconds from `start_all` until each part was ready.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        env: Mapping[str, str],
        directory: Path,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the parts; nothing is started yet.

        Args:
            parts: What to run, in the order of starting within a stage.
            env: Environment of all.
            directory: Of the run: logs go to `log/<name>.log`, process ids to `pids.json`.
            tell: Called with one line for each event a person wants to see.
        """
        self.parts = {part.name: part for part in parts}
        self.ended: list[Ended] = []
        self.ready_after_s: dict[str, float] = {}
        self._env = dict(env)
        self._directory = directory
        self._tell = tell
        self._states = {part.name: _State() for part in parts}

    def log_of(self, name: str) -> Path:
        """The file with this part's output."""
        return self._directory / "log" / f"{name}.log"

    def pids(self) -> dict[str, int]:
        """Process ids of the parts that run now."""
        running = {}
        for name, state in self._states.items():
            if state.process is not None and state.process.poll() is None:
                running[name] = state.process.pid
        return running

    def restarts(self) -> dict[str, int]:
        """How often each part was started again."""
        return {name: state.restarts for name, state in self._states.items()}

    def start_all(self, wait_s: float, interrupted: Callable[[], bool] = lambda: False) -> list[str]:
        """Start the servers, wait for them, start everything else, wait for that.

        Args:
            wait_s: Wall seconds altogether.
            interrupted: Asked again and again; true gives up.

        Returns:
            Names of the parts that are not ready (empty when all are).
        """
        begun = time.monotonic()
        deadline = begun + wait_s
        servers = [part for part in self.parts.values() if part.stage is Stage.SERVER]
        others = [part for part in self.parts.values() if part.stage is not Stage.SERVER]
        waiting: list[Part] = []
        for group in (servers, others):
            for part in group:
                self._start(part)
            waiting = list(group)
            while waiting and time.monotonic() < deadline and not interrupted():
                self.step()
                ready = {part.name for part in waiting if self.is_ready(part.name)}
                self.ready_after_s |= dict.fromkeys(ready, round(time.monotonic() - begun, 2))
                waiting = [part for part in waiting if part.name not in ready]
                if waiting:
                    time.sleep(_LOOK_EVERY_S)
            if waiting:
                break
        return [part.name for part in waiting]

    def is_ready(self, name: str) -> bool:
        """Whether the part runs and answers."""
        return name in self.pids() and self.parts[name].answers()

    def step(self) -> None:
        """Notice what ended and start what is due; call it several times a second."""
        now = time.monotonic()
        for name, state in self._states.items():
            if state.process is not None and (code := state.process.poll()) is not None:
                state.process = None
                after_s = now - state.started
                if state.held:
                    continue
                self.ended.append(Ended(name, code, round(after_s, 1)))
                if after_s > _STEADY_AFTER_S:
                    state.backoff_s = _FIRST_BACKOFF_S
                state.due = now + state.backoff_s
                self._tell(
                    f"{name} ended with {code} after {after_s:.0f} s, starting it again in "
                    f"{state.backoff_s:g} s (log: {self.log_of(name)})"
                )
                state.backoff_s = min(state.backoff_s * 2, _LONGEST_BACKOFF_S)
            if state.due is not None and now >= state.due and not state.held:
                state.restarts += 1
                self._start(self.parts[name])

    def kill(self, name: str, *, hold: bool = False) -> None:
        """End a part at once, as a crash would; with `hold` it stays away until `release`."""
        state = self._states[name]
        state.held = hold
        if state.process is not None:
            signal_group(state.process, signal.SIGKILL)
            state.process.wait()

    def release(self, name: str) -> None:
        """Start a part that was held."""
        state = self._states[name]
        state.held = False
        if name not in self.pids():
            state.restarts += 1
            self._start(self.parts[name])

    def stop(self) -> None:
        """Stop everything cleanly: services (the controller hands back), the house, then the servers."""
        for stage in sorted(Stage, reverse=True):
            names = [name for name, part in self.parts.items() if part.stage is stage]
            for name in names:
                self._states[name].held = True
                if (process := self._states[name].process) is not None:
                    signal_group(process, signal.SIGCONT)
                    # Only the first process of a group: it stops its own children in order.
                    if process.poll() is None:
                        process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            for name in names:
                if (process := self._states[name].process) is None:
                    continue
                try:
                    process.wait(max(0.1, begun + self.parts[name].stop_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self._tell(f"{name} did not stop within {self.parts[name].stop_s:g} s: killed")
                    signal_group(process, signal.SIGKILL)
                    process.wait()
                self._states[name].process = None
        self._write_pids()

    def kill_all(self) -> None:
        """End everything at once."""
        for state in self._states.values():
            state.held = True
            if state.process is not None:
                signal_group(state.process, signal.SIGKILL)
        for state in self._states.values():
            if state.process is not None:
                state.process.wait()
                state.process = None

    def _start(self, part: Part) -> None:
        state = self._states[part.name]
        state.due = None
        state.started = time.monotonic()
        try:
            state.process = start_child(
                part.command,
                env={**os.environ, **self._env, **part.env},
                log=self.log_of(part.name),
                cwd=self._directory,
            )
        except OSError as error:
            self._tell(f"{part.name} cannot be started: {error}")
            state.due = state.started + state.backoff_s
            state.backoff_s = min(state.backoff_s * 2, _LONGEST_BACKOFF_S)
        self._write_pids()

    def _write_pids(self) -> None:
        path = self._directory / "pids.json"
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps({"pems": os.getpid(), **self.pids()}, indent=1))
        scratch.replace(path)
