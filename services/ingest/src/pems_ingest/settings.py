"""Ingest's own settings beside those every service has: sources' addresses and the UDP port (`PEMS_*`)."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from pems_common.settings import read_secret
from pems_ingest.sources.bright_sky import BRIGHT_SKY_URL
from pems_ingest.sources.cnb import CNB_URL
from pems_ingest.sources.energy_charts import ENERGY_CHARTS_URL
from pems_ingest.sources.forecast_solar import FORECAST_SOLAR_URL
from pems_ingest.sources.open_meteo import OPEN_METEO_URL
from pems_ingest.sources.open_meteo_ensemble import OPEN_METEO_ENSEMBLE_URL
from pems_ingest.sources.open_meteo_previous import PREVIOUS_RUNS_URL
from pems_ingest.sources.ote_chart import OTE_CHART_URL
from pems_ingest.sources.ote_soap import OTE_URL
from pems_ingest.sources.solcast import SOLCAST_URL

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
        open_meteo_ensemble_url: Its ensemble API.
        open_meteo_previous_url: Its archive of forecasts.
        bright_sky_url: Bright Sky's weather API.
        solcast_url: Solcast's API.
        solcast_sites: Resource ids of the plant's rooftop sites there, separated by commas; empty asks Solcast nothing.
        solcast_key: API key for Solcast; or `solcast_key_file`, a file that holds nothing else.
        forecast_solar_url: Forecast.Solar's API.
        forecast_solar: Whether to ask Forecast.Solar; it is told the place and the roofs.
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
    open_meteo_ensemble_url: str = OPEN_METEO_ENSEMBLE_URL
    open_meteo_previous_url: str = PREVIOUS_RUNS_URL
    bright_sky_url: str = BRIGHT_SKY_URL
    solcast_url: str = SOLCAST_URL
    solcast_sites: str = Field(default="", pattern=r"^[A-Za-z0-9-]*( *, *[A-Za-z0-9-]+)*$")
    solcast_key: SecretStr | None = None
    solcast_key_file: Path | None = None
    forecast_solar_url: str = FORECAST_SOLAR_URL
    forecast_solar: bool = False
    history: Path | None = None
    spool_max_mb: int = Field(default=256, ge=1, le=10_000)

    @property
    def solcast_site_ids(self) -> tuple[str, ...]:
        """Resource ids of the plant's sites at Solcast."""
        return tuple(part.strip() for part in self.solcast_sites.split(",") if part.strip())

    def solcast_secret(self) -> str | None:
        """Return the key for Solcast, None where there is none; never log it.

        Raises:
            PemsError: The key's file cannot be read.
        """
        if self.solcast_key is not None:
            return self.solcast_key.get_secret_value()
        return read_secret(self.solcast_key_file) if self.solcast_key_file is not None else None
