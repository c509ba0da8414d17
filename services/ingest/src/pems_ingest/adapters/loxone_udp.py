"""Loxone's UDP logger: datagrams of lines are queued (bounded) and taken one by one."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pems_common.errors import PemsError
from pems_common.logs import get_logger

__all__ = ["LoxoneUdp"]

_log = get_logger("loxone")
_DATAGRAM_MAX = 8_192
_QUEUE_MAX = 10_000

LineHandler = Callable[[str], Awaitable[None]]


class LoxoneUdp:
    """Listens on one UDP port. `dropped` counts lines refused because more came than could be taken."""

    def __init__(self, host: str, port: int, handler: LineHandler, on_dropped: Callable[[str], None]) -> None:
        """Prepare to listen.

        Args:
            host: Address to bind, 127.0.0.1 unless configured.
            port: UDP port, 0 for any.
            handler: Called with each line.
            on_dropped: Called with the reason when something is refused unread (`udp_queue_full`, `too_large`).
        """
        self._host, self._port = host, port
        self._handler, self._on_dropped = handler, on_dropped
        self._lines: asyncio.Queue[str] = asyncio.Queue(maxsize=_QUEUE_MAX)
        self._bound = asyncio.Event()
        self.port = port

    async def bound(self) -> int:
        """Wait until the port is open; returns its number."""
        await self._bound.wait()
        return self.port

    async def run(self) -> None:
        """Listen and handle lines until cancelled.

        Raises:
            PemsError: The port cannot be opened.
        """
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Protocol(self._received), local_addr=(self._host, self._port)
            )
        except OSError as error:
            raise PemsError(
                f"UDP port {self._host}:{self._port} cannot be opened: {error}",
                remedy="set PEMS_LOXONE_UDP_PORT to a free port and send there",
            ) from error
        self.port = transport.get_extra_info("sockname")[1]
        self._bound.set()
        _log.info("listening for Loxone", address=f"{self._host}:{self.port}")
        try:
            while True:
                await self._handler(await self._lines.get())
        finally:
            self._bound.clear()
            transport.close()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # lets the transport close before the loop ends

    def _received(self, data: bytes) -> None:
        if len(data) > _DATAGRAM_MAX:
            self._on_dropped("too_large")
            return
        for line in data.decode("utf-8", errors="replace").splitlines():
            if line.strip():
                try:
                    self._lines.put_nowait(line)
                except asyncio.QueueFull:
                    self._on_dropped("udp_queue_full")


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._received(data)

    def error_received(self, exc: Exception) -> None:
        _log.warning("UDP error", error=str(exc))
