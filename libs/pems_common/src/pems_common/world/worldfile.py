"""The world file: which world a run lives in. The launcher writes it, the simulated house and ingest read it.

Kinds: `generated` (nothing else needed), `recorded` (files of the data directory) and `live` (hours and prices
fetched once before the run, embedded in the file).
"""

import csv
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pems_common.errors import PemsError
from pems_common.timegrid import parse_instant
from pems_common.world.generated import GeneratedWorld
from pems_common.world.port import WeatherSample, World
from pems_common.world.recorded import HourlyWeather, RecordedWorld, TypicalYear

__all__ = ["WorldFile", "open_world", "write_world_file"]

_UCCLE_LONGITUDE, _UCCLE_UTC_OFFSET_H = 4.36, 1.0
_COLDER_K = 4.0


@dataclass(frozen=True)
class WorldFile:
    """Contents of a world file.

    Attributes:
        kind: Which world.
        seed: Of generated days and of forecast errors.
        data_dir: Where recorded files are (kind `recorded`).
        weather: `{"start": ISO, "hours": [[temperature, cloud, ghi, dni, dhi, wind, humidity], ...]}` (kind `live`).
        prices: `{"slot_start ISO": EUR/MWh}` on a 15-min grid (kind `live`).
        eur_czk: `{"YYYY-MM-DD": rate}` (kind `live`).
    """

    kind: Literal["generated", "recorded", "live"]
    seed: int = 0
    data_dir: str = ""
    weather: dict[str, Any] = field(default_factory=dict)
    prices: dict[str, float] = field(default_factory=dict)
    eur_czk: dict[str, float] = field(default_factory=dict)


def write_world_file(path: Path, content: WorldFile) -> None:
    """Write a world file, replacing it atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(asdict(content)))
    scratch.replace(path)


def open_world(path: Path | None, *, latitude: float, longitude: float, seed: int = 0) -> World:
    """Open the world of a run; generated days with `seed` where there is no file.

    Raises:
        PemsError: The file, or what it points to, cannot be read.
    """
    if path is None or not path.exists():
        return GeneratedWorld(seed=seed, latitude=latitude, longitude=longitude)
    try:
        content = WorldFile(**json.loads(path.read_text()))
        if content.kind == "generated":
            return GeneratedWorld(seed=content.seed, latitude=latitude, longitude=longitude)
        if content.kind == "recorded":
            return _recorded(Path(content.data_dir), content.seed, latitude, longitude)
        return _live(content, latitude, longitude)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PemsError(f"{path}: cannot be read as a world: {error}", remedy="delete it and start again") from error


def _recorded(data: Path, seed: int, latitude: float, longitude: float) -> RecordedWorld:
    hours = []
    with (data / "weather" / "uccle_typical_year_60min.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            hours.append(
                WeatherSample(
                    temperature_c=float(row["temperature_c"]) - _COLDER_K,
                    cloud_cover_pct=10.0 * float(row["cloud_tenths"]),
                    ghi_w_m2=float(row["ghi_w_m2"]),
                    dni_w_m2=float(row["dni_w_m2"]),
                    dhi_w_m2=float(row["dhi_w_m2"]),
                    wind_m_s=float(row["wind_m_s"]),
                    humidity_pct=float(row["relative_humidity_pct"]),
                )
            )
    spot: dict[datetime, float] = {}
    for name, quarters in (("day_ahead_60min.csv", 4), ("day_ahead_15min.csv", 1)):
        with (data / "ote_cz" / name).open(newline="") as lines:
            for row in csv.DictReader(lines):
                start = datetime.fromisoformat(row["slot_start"].replace("Z", "+00:00")).astimezone(UTC)
                for i in range(quarters):
                    spot[start + i * timedelta(minutes=15)] = float(row["price_eur_mwh"])
    with (data / "ote_cz" / "cnb_eur_czk.csv").open(newline="") as lines:
        rates = {date.fromisoformat(r["date"]): float(r["eur_czk_rate"]) for r in csv.DictReader(lines)}
    year = TypicalYear(
        hours,
        latitude=latitude,
        longitude=longitude,
        own_longitude=_UCCLE_LONGITUDE,
        utc_offset_h=_UCCLE_UTC_OFFSET_H,
    )
    return RecordedWorld(
        label="recorded: typical year of Uccle, 4 K colder; OTE day-ahead prices by date",
        weather=year,
        spot=spot,
        rates=rates,
        latitude=latitude,
        longitude=longitude,
        seed=seed,
    )


def _live(content: WorldFile, latitude: float, longitude: float) -> RecordedWorld:
    hours = [WeatherSample(*(float(v) for v in row)) for row in content.weather["hours"]]
    weather = HourlyWeather(parse_instant(content.weather["start"]), hours, latitude=latitude, longitude=longitude)
    return RecordedWorld(
        label="live: Open-Meteo weather and OTE prices, fetched at the start",
        weather=weather,
        spot={parse_instant(at): float(value) for at, value in content.prices.items()},
        rates={date.fromisoformat(day): float(rate) for day, rate in content.eur_czk.items()},
        latitude=latitude,
        longitude=longitude,
        seed=content.seed,
    )
