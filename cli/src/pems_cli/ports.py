"""Ports on 127.0.0.1: which are free, and which one to take when the usual one is busy."""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

__all__ = ["PortChooser", "free_port", "port_is_free"]

_HOST = "127.0.0.1"


def port_is_free(port: int, *, udp: bool = False) -> bool:
    """Whether a server could listen on this TCP (or UDP) port of 127.0.0.1 now."""
    with socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        if not udp:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Any free port, chosen by the system."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class PortChooser:
    """Gives each server of one run its usual port or the next free one, and remembers what it moved.

    A port stays claimed until `close`, also while its server is away: another PEMS of the same user on this
    machine passes it over.

    Attributes:
        moved: Name of the server -> (usual port, port given).
    """

    def __init__(self) -> None:
        self._claims: dict[int, int] = {}
        self._folder = Path(tempfile.gettempdir()) / f"pems-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.moved: dict[str, tuple[int, int]] = {}

    def choose(self, name: str, usual: int, *, udp: bool = False) -> int:
        """The usual port when it is free, else the next free one above it."""
        for port in range(usual, min(usual + 200, 65536)):
            if self._claim(port, udp=udp):
                break
        else:
            port = free_port()
        if port != usual:
            self.moved[name] = (usual, port)
        return port

    def close(self) -> None:
        """Give all ports free."""
        for descriptor in self._claims.values():
            os.close(descriptor)
        self._claims.clear()

    def _claim(self, port: int, *, udp: bool) -> bool:
        if port in self._claims:
            return False
        descriptor = os.open(self._folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        if not port_is_free(port, udp=udp):
            os.close(descriptor)
            return False
        self._claims[port] = descriptor
        return True
