"""Reading CSV files of people: every mistake is named by line, column and value, with a remedy."""

from pathlib import Path

import numpy as np
import pandas as pd

from pems_common.errors import PermanentError
from pems_forecaster.domain.grid import SLOT_S, Floats, Ints

__all__ = ["mistake", "numbers_of", "read_frame", "seconds_of", "step_of"]


def read_frame(path: Path, needed: tuple[str, ...], least_rows: int) -> pd.DataFrame:
    """Read a file with a header.

    Raises:
        PermanentError: It cannot be read, a needed column is missing, or there are too few rows.
    """
    try:
        frame = pd.read_csv(path, skipinitialspace=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise PermanentError(
            f"{path}: cannot be read as CSV: {error}", remedy="give a CSV file with a header"
        ) from error
    if missing := [name for name in needed if name not in frame.columns]:
        raise PermanentError(
            f"{path}: columns are missing: {', '.join(missing)}", remedy=f"needed are {', '.join(needed)}"
        )
    if len(frame) < least_rows:
        raise PermanentError(f"{path}: {len(frame)} rows are too few", remedy=f"give at least {least_rows}")
    return frame


def seconds_of(path: Path, frame: pd.DataFrame, name: str) -> Ints:
    """Return a column of times [s since 1970, UTC]; those of `start` begin with a quarter of an hour.

    Raises:
        PermanentError: One is no time with an offset, or no quarter of an hour.
    """
    stamps = np.empty(len(frame), dtype=np.int64)
    for row, text in enumerate(frame[name].astype(str)):
        try:
            time = pd.Timestamp(text)
            stamps[row] = int(time.timestamp()) if time.tzinfo is not None else -1
        except (ValueError, TypeError):
            stamps[row] = -1
        if stamps[row] < 0:
            raise mistake(path, frame, name, row, "is no ISO 8601 time with an offset, as 2026-01-15T06:00:00Z is")
        if name == "start" and stamps[row] % SLOT_S:
            raise mistake(path, frame, name, row, "does not begin with a quarter of an hour")
    return stamps


def numbers_of(path: Path, frame: pd.DataFrame, name: str, limits: tuple[float, float] = (-np.inf, np.inf)) -> Floats:
    """Return a column of numbers, NaN where it is empty.

    Raises:
        PermanentError: One is no number, or beyond the limits.
    """
    numbers = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(np.isnan(numbers) & frame[name].notna().to_numpy())
    if len(wrong):
        raise mistake(path, frame, name, int(wrong[0]), "is no number")
    low, high = limits
    wrong = np.flatnonzero((numbers < low) | (numbers > high))
    if len(wrong):
        raise mistake(path, frame, name, int(wrong[0]), f"is not within {low:g} to {high:g}: check its unit")
    return np.asarray(numbers)


def step_of(path: Path, frame: pd.DataFrame, start_s: Ints) -> tuple[int, Ints]:
    """Return the length of a step [s] and the order of the rows in time (N,).

    Raises:
        PermanentError: Steps are no multiples of a quarter of an hour, or a time is there twice.
    """
    order = np.argsort(start_s, kind="stable")
    steps = np.diff(start_s[order])
    step_s = int(np.median(steps))
    if step_s <= 0 or step_s % SLOT_S:
        raise PermanentError(
            f"{path}: rows are {step_s} s apart", remedy="give steps of 15 minutes or a multiple, each time once"
        )
    if (twice := np.flatnonzero(steps <= 0)).size:
        raise mistake(path, frame, "start", int(order[twice[0] + 1]), "is there twice")
    return step_s, order


def mistake(path: Path, frame: pd.DataFrame, name: str, row: int, what: str) -> PermanentError:
    """Name what is wrong as a person finds it: the header is line 1."""
    return PermanentError(
        f"{path}, line {row + 2}, {name} = {frame[name].iloc[row]!s}: {what}", remedy="correct the file"
    )
