"""An embedded server: a child process on one port of 127.0.0.1 that can be stopped, killed and paused."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from pems_cli.child import signal_group, start_child
from pems_cli.ports import free_port

__all__ = ["EmbeddedServer", "ServerStartError", "bundled_wanted"]


class ServerStartError(Exception):
    """An embedded server did not come up; the text names it and shows the end of its log."""


def bundled_wanted() -> bool:
    """Whether `PEMS_EMBEDDED=bundled` asks for the servers that came as packages, whatever is on PATH."""
    return os.environ.get("PEMS_EMBEDDED", "") == "bundled"


class EmbeddedServer(ABC):
    """A server run as a child of this process.

    Attributes:
        directory: Where it keeps its data, configuration and log.
        port: The port of 127.0.0.1 it listens on; it stays the same over restarts.
    """

    name: str

    def __init__(self, directory: Path, port: int = 0) -> None:
        """Keep the place and choose the port (0: any free one)."""
        self.directory = directory
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Write the configuration and return the command that starts the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests now (waits at most a second)."""

    @property
    def log(self) -> Path:
        """The file that its output is appended to."""
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, wait_s: float = 15.0) -> Self:
        """Start it and wait until it answers; nothing happens when it already runs.

        Raises:
            ServerStartError: It ended or did not answer within `wait_s` wall seconds.
        """
        if self.pid is not None:
            return self
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = start_child(self.command(), log=self.log)
        deadline = time.monotonic() + wait_s
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self.log.read_text(errors="replace")[-1500:]
                raise ServerStartError(f"{self.name} on port {self.port} did not start:\n{tail}")
            time.sleep(0.02)
        return self

    def stop(self, wait_s: float = 10.0) -> None:
        """Stop it cleanly, so that it saves what it has; killed when it takes longer than `wait_s`."""
        if self._process is None:
            return
        signal_group(self._process, signal.SIGCONT)
        signal_group(self._process, signal.SIGTERM)
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            signal_group(self._process, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        if self._process is not None:
            signal_group(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        if self._process is not None:
            signal_group(self._process, signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()
