"""Worlds to compare arms in: the reference year, and a record of the user's own.

Errors of weather forecasts are the documented model of `pems_common.world.outlook`: they grow with lead, are smooth in
valid time, and are partly common to all runs for the same hour. Prices are known as the market publishes them.
"""

import csv
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.timegrid import SLOT, parse_instant
from pems_common.world import WeatherSample, World, WorldFile, open_world, write_world_file
from pems_common.world.recorded import HourlyWeather, RecordedWorld
from pems_common.world.sky import cos_zenith, split_beam_diffuse

__all__ = ["at_uccle", "own_world", "reference_world"]

_UCCLE_LATITUDE, _UCCLE_LONGITUDE = 50.797, 4.36
_HOUR = timedelta(hours=1)
_USUAL_CLOUD_PCT, _USUAL_WIND_M_S, _USUAL_HUMIDITY_PCT = 70.0, 3.0, 75.0


def at_uccle(home: Home) -> Home:
    """Return the house standing where the reference year was measured; its time zone and market stay."""
    site = home.site.model_copy(update={"latitude": _UCCLE_LATITUDE, "longitude": _UCCLE_LONGITUDE})
    return home.model_copy(update={"site": site})


def reference_world(home: Home, data: Path, *, seed: int) -> World:
    """Open the typical year of Uccle, 4 K colder, with OTE's prices by date.

    Args:
        home: The site (see `at_uccle`).
        data: Folder with `weather/` and `ote_cz/`.
        seed: Of forecast errors and of the minute of publication.

    Raises:
        PemsError: A file is missing or cannot be read.
    """
    return _opened(home, WorldFile(kind="recorded", seed=seed, data_dir=str(data)))


def own_world(home: Home, weather: Path, prices: Path, *, seed: int) -> World:
    """Open a record of the user's own.

    Args:
        home: The site.
        weather: CSV of consecutive hours: `slot_start` (ISO with offset), `temperature_c`, `ghi_w_m2`; where measured
            `dni_w_m2`, `dhi_w_m2`, `cloud_cover_pct`, `wind_m_s`, `humidity_pct`.
        prices: CSV: `slot_start` (ISO with offset), `price_eur_mwh`, hours or quarters of an hour.
        seed: Of forecast errors and of the minute of publication.

    Raises:
        PemsError: A file cannot be read, or its hours have a gap.
    """
    site = home.site
    rows = _rows(weather, ("slot_start", "temperature_c", "ghi_w_m2"))
    starts = [parse_instant(row["slot_start"]) for row in rows]
    gap = next((b for a, b in pairwise(starts) if b - a != _HOUR), None)
    if gap is not None:
        raise PemsError(f"{weather}: {gap.isoformat()} does not follow an hour later", remedy="fill the gap")
    hours = [_sample(row, at, site.latitude, site.longitude) for row, at in zip(rows, starts, strict=True)]
    return RecordedWorld(
        label=f"own record: {weather.name}, {prices.name}",
        weather=HourlyWeather(starts[0], hours, latitude=site.latitude, longitude=site.longitude),
        spot=_quarters(prices),
        rates={},
        latitude=site.latitude,
        longitude=site.longitude,
        seed=seed,
    )


def _opened(home: Home, content: WorldFile) -> World:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "world.json"
        write_world_file(path, content)
        return open_world(path, latitude=home.site.latitude, longitude=home.site.longitude, seed=content.seed)


def _rows(path: Path, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a CSV that must have some columns and at least one row."""
    try:
        with path.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise PemsError(f"{path}: {error.strerror}", remedy="name a readable CSV file") from error
    missing = [name for name in wanted if not rows or name not in rows[0]]
    if missing:
        raise PemsError(f"{path}: no rows, or no column {', '.join(missing)}", remedy="see docs/laboratory.md")
    return rows


def _sample(row: Mapping[str, str], start: datetime, latitude: float, longitude: float) -> WeatherSample:
    middle = start + _HOUR / 2
    ghi = float(row["ghi_w_m2"])
    dni, dhi = split_beam_diffuse(ghi, cos_zenith(middle, latitude, longitude), middle.timetuple().tm_yday)
    return WeatherSample(
        temperature_c=float(row["temperature_c"]),
        cloud_cover_pct=float(row.get("cloud_cover_pct") or _USUAL_CLOUD_PCT),
        ghi_w_m2=ghi,
        dni_w_m2=float(row.get("dni_w_m2") or dni),
        dhi_w_m2=float(row.get("dhi_w_m2") or dhi),
        wind_m_s=float(row.get("wind_m_s") or _USUAL_WIND_M_S),
        humidity_pct=float(row.get("humidity_pct") or _USUAL_HUMIDITY_PCT),
    )


def _quarters(path: Path) -> dict[datetime, float]:
    """Read prices onto the 15-min grid; a row holds until the next one, at most an hour."""
    rows = _rows(path, ("slot_start", "price_eur_mwh"))
    starts = [parse_instant(row["slot_start"]) for row in rows]
    spot: dict[datetime, float] = {}
    for row, start, after in zip(rows, starts, [*starts[1:], starts[-1] + _HOUR], strict=True):
        at = start
        while at < min(after, start + _HOUR):
            spot[at] = float(row["price_eur_mwh"])
            at += SLOT
    return spot
