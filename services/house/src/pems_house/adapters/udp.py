"""Sends lines by UDP, as Loxone's logger does: nobody answers, and nothing breaks when nobody listens."""

import socket
from contextlib import suppress

__all__ = ["UdpSender"]


class UdpSender:
    """Sends datagrams to one address."""

    def __init__(self, host: str, port: int) -> None:
        """Prepare to send to `host:port`; a host name is resolved at each sending."""
        self._address = (host, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __call__(self, line: bytes) -> None:
        """Send one datagram; a full buffer or an unknown host loses it."""
        with suppress(OSError):
            self._socket.sendto(line, self._address)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
