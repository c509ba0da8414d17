"""Settings of the simulated house beside those of every service."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["HouseSettings"]


class HouseSettings(BaseSettings):
    """Where Loxone's logger sends its UDP lines.

    Attributes:
        loxone_udp_host: Host of ingest.
        loxone_udp_port: Its port; 0 means the one of home.yaml.
    """

    model_config = SettingsConfigDict(env_prefix="PEMS_", extra="ignore", frozen=True, env_ignore_empty=True)

    loxone_udp_host: str = "127.0.0.1"
    loxone_udp_port: int = Field(default=0, ge=0, le=65535)
