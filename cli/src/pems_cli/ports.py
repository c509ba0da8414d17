"""Ports on 127.0.0.1: which are free, and which one to take when the usual one is busy."""

import socket

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
    """Gives each server of one run its usual port or the next free one, and remembers what it moved."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self.moved: dict[str, tuple[int, int]] = {}
        """Name of the server -> (usual port, port given)."""

    def choose(self, name: str, usual: int, *, udp: bool = False) -> int:
        """The usual port when it is free, else the next free one above it."""
        for port in range(usual, min(usual + 200, 65536)):
            if port not in self._taken and port_is_free(port, udp=udp):
                break
        else:
            port = free_port()
        self._taken.add(port)
        if port != usual:
            self.moved[name] = (usual, port)
        return port
