"""Chooses the world a simulated house lives in: measured files where there are any, else generated days."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pems_common.world import WorldFile

__all__ = ["Sources", "choose_world"]

Sources = Literal["auto", "live", "replay", "generated"]

_RECORDED = ("weather/uccle_typical_year_60min.csv", "ote_cz/day_ahead_60min.csv", "ote_cz/day_ahead_15min.csv")
_PRICES_FROM, _PRICES_UNTIL = "2024-01-02", "2026-05-25"
_NEED = "a data set folder with weather/ and ote_cz/ (PEMS_DATA_DIR)"


def choose_world(
    sources: str, *, seed: int, start_at: datetime | None, data_sets: Path | None
) -> tuple[WorldFile | None, str]:
    """Choose the world of a run.

    Args:
        sources: `generated`, `replay` (measured files), `live`, or `auto` for the best there is.
        seed: Of generated days and of forecast errors.
        start_at: First house time; None for real time.
        data_sets: Folder of measured data sets, None where absent.

    Returns:
        The world file's content, None for the real world; and which it is, in words.

    Raises:
        ValueError: Measured files are asked for and not there.
    """
    if start_at is None and sources in ("live", "auto"):
        return None, "live prices and weather where they answer, else generated days"
    recorded = data_sets is not None and all((data_sets / name).is_file() for name in _RECORDED)
    day = "" if start_at is None else start_at.date().isoformat()
    covered = _PRICES_FROM <= day < _PRICES_UNTIL
    if sources == "replay" and not recorded:
        raise ValueError(f"there is nothing to replay: it needs {_NEED}")
    if recorded and data_sets is not None and (sources == "replay" or (sources == "auto" and covered)):
        words = "a measured year's weather and the day-ahead prices of the date"
        return WorldFile(kind="recorded", seed=seed, data_dir=str(data_sets)), words
    return WorldFile(kind="generated", seed=seed), "generated days (documented statistics, no measured data)"
