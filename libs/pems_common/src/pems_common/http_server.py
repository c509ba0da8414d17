"""The HTTP server of a service, inside the service's own event loop; signals stay with the runner."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from pems_common.errors import PemsError

__all__ = ["HttpServer"]

_GRACE_S = 3


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class HttpServer:
    """Serves one app on one port."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        """Prepare; `start` binds the port."""
        self._host, self._port = host, port
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                timeout_keep_alive=30,
                limit_concurrency=200,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind the port and serve; returns when requests are answered.

        Raises:
            PemsError: The port is taken, or the app did not start.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listening = socket.create_server((self._host, self._port), family=family, backlog=128)
        except OSError as error:
            raise PemsError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}",
                remedy="another program may use the port: choose another, or stop that program",
            ) from error
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name="http")
        while not self._server.started:
            if self._task.done():
                listening.close()
                raise PemsError("the HTTP server did not start", remedy="its log tells more") from (
                    self._task.exception()
                )
            await asyncio.sleep(0.01)

    async def ended(self) -> None:
        """Wait until the server has ended, for whatever reason."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def stop(self) -> None:
        """Stop: open requests get a few seconds."""
        if self._task is not None:
            self._server.should_exit = True
            await asyncio.wait({self._task}, timeout=_GRACE_S + 2)
            self._task.cancel()
