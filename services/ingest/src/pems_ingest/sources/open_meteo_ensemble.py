"""How sure the weather is: the members of Open-Meteo's ensembles, as quantiles per hour.

A member's values stand in columns of their own: `shortwave_radiation` (the control run), `shortwave_radiation_member01`
and so on. (Source: documentation of the Ensemble API.) ICON's ensembles are computed every three to six hours.
"""

import re
from datetime import datetime, timedelta

import numpy as np

from pems_common.messages import Band, Series, WeatherQuantiles
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.open_meteo import COLUMNS, Table, place_params, read_table
from pems_ingest.sources.port import SourceError

__all__ = ["OPEN_METEO_ENSEMBLE_URL", "OpenMeteoEnsemble", "parse_ensemble"]

OPEN_METEO_ENSEMBLE_URL = "https://ensemble-api.open-meteo.com/v1/ensemble"
_MODEL = "icon_seamless"
_LEAST_MEMBERS = 10


class OpenMeteoEnsemble:
    """`SpreadSource` on Open-Meteo's ensemble API."""

    name = "open_meteo_ensemble"
    every = timedelta(hours=3)

    def __init__(
        self, fetcher: Fetcher, *, latitude: float, longitude: float, url: str = OPEN_METEO_ENSEMBLE_URL
    ) -> None:
        """Ask at `url` for a place [deg]."""
        self._fetcher, self._url = fetcher, url
        self._params = {
            **place_params(latitude, longitude),
            "hourly": f"{COLUMNS['temperature_c']},{COLUMNS['ghi_w_m2']}",
            "models": _MODEL,
            "forecast_days": "4",
        }

    async def spread(self, now: datetime) -> WeatherQuantiles:
        """Return the newest run's quantiles."""
        return parse_ensemble(await self._fetcher.get(self._url, params=self._params), name=self.name)


def parse_ensemble(body: bytes, *, name: str = "open_meteo_ensemble") -> WeatherQuantiles:
    """Read members and return P10, P50 and P90 of each hour; None where fewer than ten members are known.

    Raises:
        SourceError: Too few members, or columns of another unit, length or range.
    """
    table = read_table(body, name)
    return WeatherQuantiles(temperature_c=_band(table, "temperature_c"), ghi_w_m2=_band(table, "ghi_w_m2"))


def _band(table: Table, field: str) -> Band:
    member = re.compile(rf"{COLUMNS[field]}(_member\d+)?")
    rows = [table.slots(field, column)[0] for column in table.columns if member.fullmatch(column)]
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(table.times) - 1)
    enough = np.isfinite(values).sum(axis=0) >= _LEAST_MEMBERS
    if not enough.any():
        raise SourceError("empty", f"{table.name}: fewer than {_LEAST_MEMBERS} members of {COLUMNS[field]}")
    quantiles = np.full((3, values.shape[1]), np.nan)
    quantiles[:, enough] = np.nanquantile(values[:, enough], (0.1, 0.5, 0.9), axis=0)
    p10, p50, p90 = (Series.of(table.times[0], 3600, row.tolist(), digits=3) for row in quantiles)
    return Band(p10=p10, p50=p50, p90=p90)
