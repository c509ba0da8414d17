"""Settings that every service reads from its environment (`PEMS_*`), the same way everywhere.

What belongs to the site stands in home.yaml; what belongs to the machine stands here.
"""

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pems_common.errors import PemsError

__all__ = ["SERVICE_PORTS", "ServiceSettings", "read_secret"]

SERVICE_PORTS = {
    "monitor": 8080,
    "ingest": 8081,
    "forecaster": 8082,
    "optimizer": 8083,
    "controller": 8084,
    "house": 8085,
}
_MAX_SECRET_BYTES = 4096


def read_secret(path: Path) -> str:
    """Read a secret from a file that holds nothing else; surrounding white space is dropped.

    Raises:
        PemsError: The file is absent, unreadable, too large or empty.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_SECRET_BYTES + 1)
        text = raw.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PemsError(f"secret file {path} cannot be read: {error}", remedy="check the path and its owner") from error
    if not text or len(raw) > _MAX_SECRET_BYTES:
        raise PemsError(f"secret file {path} is empty or too large", remedy="write one secret into it")
    return text


class ServiceSettings(BaseSettings):
    """The machine's side of a service's configuration; each field is the variable `PEMS_<FIELD>`.

    Attributes:
        data: Directory that everything kept stands under (one backup); a scaled run has its own.
        home: The site's home.yaml.
        clock_file: Clock file of a scaled run; None or absent means real time.
        world_file: World file of a simulated or replayed run (weather and prices); None for the real world.
        run_id: Names the run.
        seed: Seed of everything random in a simulated run.
        sources: Where ingest takes prices and weather from (`auto`, or names).
        arm: The environment's key of the two that arm the controller.
        data_dir: Folder of measured data sets (`PEMS_DATA_DIR`), or None.
        redis_url: Address of the bus, without password (see `redis_address`).
        mqtt_host: Broker; `mqtt_port` its port.
        internal_key_file: The key services use among each other; made at first start.
        keys_file: Further API keys, hashed.
        bind_host: Address that HTTP listens on.
        allowed_hosts: Further names that the Host header may carry, separated by commas; `*` allows all.
        log_level: debug, info, warning or error.
        log_format: auto (console on a terminal, else JSON), json or console.
        instance: Name of this process among its like; made from host name and process id when empty.
    """

    model_config = SettingsConfigDict(env_prefix="PEMS_", extra="ignore", frozen=True, env_ignore_empty=True)

    data: Path = Path("var")
    home: Path = Path("config/home.yaml")
    clock_file: Path | None = None
    world_file: Path | None = None
    run_id: str = ""
    seed: int = 1
    sources: str = "auto"
    arm: bool = False
    data_dir: Path | None = None

    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    redis_password_file: Path | None = None
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = Field(default=1883, ge=1, le=65535)
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_password_file: Path | None = None

    internal_key_file: Path = Field(default_factory=lambda known: known["data"] / "secrets" / "internal.key")
    keys_file: Path = Field(default_factory=lambda known: known["data"] / "secrets" / "keys.json")
    bind_host: str = "127.0.0.1"
    allowed_hosts: str = ""
    log_level: str = "info"
    log_format: str = Field(default="auto", pattern="^(auto|json|console)$")
    instance: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}"[:60])

    monitor_port: int = SERVICE_PORTS["monitor"]
    ingest_port: int = SERVICE_PORTS["ingest"]
    forecaster_port: int = SERVICE_PORTS["forecaster"]
    optimizer_port: int = SERVICE_PORTS["optimizer"]
    controller_port: int = SERVICE_PORTS["controller"]
    house_port: int = SERVICE_PORTS["house"]

    monitor_url: str = ""
    ingest_url: str = ""
    forecaster_url: str = ""
    optimizer_url: str = ""
    controller_url: str = ""
    house_url: str = ""

    @model_validator(mode="before")
    @classmethod
    def _fill_urls(cls, given: Any) -> Any:
        """Address the other services on this machine unless told otherwise."""
        if isinstance(given, dict):
            for name, port in SERVICE_PORTS.items():
                if not given.get(f"{name}_url"):
                    given[f"{name}_url"] = f"http://127.0.0.1:{given.get(f'{name}_port', port)}"
        return given

    def port_of(self, service: str) -> int:
        """Return the HTTP port of a service (`PEMS_<SERVICE>_PORT`).

        Raises:
            KeyError: There is no such service.
        """
        if service not in SERVICE_PORTS:
            raise KeyError(service)
        return int(getattr(self, f"{service}_port"))

    def url_of(self, service: str) -> str:
        """Return the base URL of a service, without a slash at its end.

        Raises:
            KeyError: There is no such service.
        """
        if service not in SERVICE_PORTS:
            raise KeyError(service)
        return str(getattr(self, f"{service}_url")).rstrip("/")

    def redis_address(self) -> str:
        """Return the URL of the bus with its password; never log it.

        Raises:
            PemsError: The password file cannot be read.
        """
        password = _secret(self.redis_password, self.redis_password_file)
        parts = urlsplit(self.redis_url)
        if password is None or parts.password:
            return self.redis_url
        user = quote(self.redis_username or parts.username or "", safe="")
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))

    def mqtt_secret(self) -> str | None:
        """Return the broker's password, None where there is none; never log it.

        Raises:
            PemsError: The password file cannot be read.
        """
        return _secret(self.mqtt_password, self.mqtt_password_file)


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    if value is not None:
        return value.get_secret_value()
    return read_secret(file) if file is not None else None
