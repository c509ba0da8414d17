"""Ingest's own settings beside those every service has: sources' addresses and the UDP port (`PEMS_*`)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from pems_ingest.sources.cnb import CNB_URL
from pems_ingest.sources.energy_charts import ENERGY_CHARTS_URL
from pems_ingest.sources.open_meteo import OPEN_METEO_URL
from pems_ingest.sources.ote_chart import OTE_CHART_URL
from pems_ingest.sources.ote_soap import OTE_URL

__all__ = ["IngestSettings"]


class IngestSettings(BaseSettings):
    """The machine's side of ingest.

    Attributes:
        loxone_udp_port: UDP port for Loxone's lines; None takes the one of home.yaml, 0 any free one.
        loxone_udp_bind: Address to listen on; None takes `PEMS_BIND_HOST`.
        ote_url: OTE's web service.
        ote_chart_url: Data of the chart on OTE's page.
        energy_charts_url: energy-charts' price API.
        cnb_url: The bank's rates.
        open_meteo_url: Open-Meteo's forecast API.
        history: The history's file; None puts it into the data directory.
        spool_max_mb: Largest buffer on disk while the history is away.
    """

    model_config = SettingsConfigDict(env_prefix="PEMS_", extra="ignore", frozen=True, env_ignore_empty=True)

    loxone_udp_port: int | None = Field(default=None, ge=0, le=65535)
    loxone_udp_bind: str | None = None
    ote_url: str = OTE_URL
    ote_chart_url: str = OTE_CHART_URL
    energy_charts_url: str = ENERGY_CHARTS_URL
    cnb_url: str = CNB_URL
    open_meteo_url: str = OPEN_METEO_URL
    history: Path | None = None
    spool_max_mb: int = Field(default=256, ge=1, le=10_000)
