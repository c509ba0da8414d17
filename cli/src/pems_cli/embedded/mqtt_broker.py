"""An MQTT broker on 127.0.0.1: mosquitto where it is on PATH, else amqtt in a Python process of its own."""

import getpass
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Literal

from pems_cli.embedded.server import EmbeddedServer, bundled_wanted

__all__ = ["MqttBroker", "find_mosquitto"]

Kind = Literal["mosquitto", "amqtt"]

# CONNECT, MQTT 3.1.1, clean session, keep-alive 5 s, client id "probe"; answered by CONNACK 20 02 00 00.
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x05\x00\x05probe"
_DISCONNECT = b"\xe0\x00"


def find_mosquitto() -> str | None:
    """Path of mosquitto; Debian puts it into /usr/sbin, which a user's PATH may lack."""
    if bundled_wanted():
        return None
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class MqttBroker(EmbeddedServer):
    """A broker without accounts that only this machine can reach."""

    name = "mqtt"

    def __init__(self, directory: Path, port: int = 0, *, kind: Kind | None = None) -> None:
        """Prepare a broker.

        Args:
            directory: Its own directory; mosquitto keeps retained messages there.
            port: Port of 127.0.0.1, 0 for any free one.
            kind: Which broker; None takes mosquitto when found.
        """
        super().__init__(directory, port)
        self._mosquitto = find_mosquitto()
        self.kind: Kind = kind or ("mosquitto" if self._mosquitto else "amqtt")

    def command(self) -> list[str]:
        """Write the configuration and return the command."""
        if self.kind == "amqtt":
            return [sys.executable, "-P", "-m", "pems_cli.embedded.amqtt_broker", str(self.port)]
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [
            f"listener {self.port} {self.host}",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {self.directory}/",
            "autosave_interval 30",
            "max_inflight_messages 1000",
            "max_queued_messages 10000",
            "log_dest stderr",
            "log_type warning",
            "log_type error",
        ]
        if os.geteuid() == 0:  # it would become user `mosquitto`, who cannot write here
            lines.append(f"user {getpass.getuser()}")
        configuration = self.directory / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return [self._mosquitto or "mosquitto", "-c", str(configuration)]

    def answers(self) -> bool:
        """Whether it accepts an MQTT connection."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1.0) as connection:
                connection.settimeout(1.0)
                connection.sendall(_CONNECT)
                reply = connection.recv(4)
                connection.sendall(_DISCONNECT)
        except OSError:
            return False
        return reply == b"\x20\x02\x00\x00"
