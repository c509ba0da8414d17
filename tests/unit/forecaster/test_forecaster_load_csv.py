"""Load histories from CSV files: gaps, any order, controlled loads taken out, and mistakes named by their line."""

import numpy as np
import pandas as pd
import pytest
from tests.unit.forecaster.forecaster_household import CALENDAR

from pems_common.errors import PermanentError
from pems_forecaster.backtest.load_csv import read_load_csv

ROWS = 43 * 24


@pytest.fixture
def frame() -> pd.DataFrame:
    start = pd.date_range("2025-01-06", periods=ROWS, freq="h", tz="Europe/Prague")
    return pd.DataFrame({"start": [stamp.isoformat() for stamp in start], "power_w": 500.0 + np.arange(ROWS)})


def read(frame: pd.DataFrame, tmp_path):
    frame.to_csv(tmp_path / "load.csv", index=False)
    return read_load_csv(tmp_path / "load.csv", CALENDAR)


def test_rows_in_any_order_with_gaps(frame, tmp_path):
    frame.loc[5, "power_w"] = np.nan
    series = read(frame.drop(index=[7, 8]).sample(frac=1.0, random_state=1), tmp_path)
    assert (series.first_s, series.step_s) == (1_736_118_000, 3600)
    assert np.flatnonzero(np.isnan(series.power_w)).tolist() == [5, 7, 8]
    assert series.power_w[[0, 9, -1]].tolist() == [500.0, 509.0, 500.0 + ROWS - 1]
    assert series.calendar == CALENDAR


def test_what_is_controlled_is_taken_out(frame, tmp_path):
    frame["controlled_heating_w"] = 300.0
    frame["controlled_ev_w"] = 0.0
    frame["controlled_note"] = "not a power"
    frame["pv_w"] = 4000.0
    frame.loc[3, "controlled_ev_w"] = np.nan
    frame.loc[4, "controlled_ev_w"] = 204.5
    series = read(frame, tmp_path)
    assert series.power_w[:3].tolist() == [200.0, 201.0, 202.0]
    assert np.isnan(series.power_w[3]), "unknown where a part of it is"
    assert series.power_w[4] == 0.0, "half a watt less than nothing is a meter's rounding"


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (2, "start", "2025-01-06 02:00", r"line 4, start = 2025-01-06 02:00: is no ISO 8601 time with an offset"),
        (2, "start", "2025-01-06T02:10:00+01:00", r"line 4.*quarter of an hour"),
        (2, "start", "2025-01-06T02:15:00+01:00", r"line 4.*does not begin with a step of 3600 s"),
        (2, "start", "2025-01-06T01:00:00+01:00", r"line 4.*is there twice"),
        (9, "power_w", "much", r"line 11, power_w = much: is no number"),
        (9, "power_w", "-5", r"line 11, power_w = -5.*is not within 0 to 200000: check its unit"),
        (9, "controlled_heating_w", "700", r"line 11, controlled_heating_w = 700.*more than is left of power_w"),
    ],
)
def test_mistakes_are_named_with_line_and_value(frame, tmp_path, row, column, value, message):
    frame["controlled_heating_w"] = 0.0
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    with pytest.raises(PermanentError, match=message) as caught:
        read(frame, tmp_path)
    assert caught.value.remedy


def test_files_that_cannot_be_used_say_why(frame, tmp_path):
    with pytest.raises(PermanentError, match="columns are missing: power_w"):
        read(frame[["start"]], tmp_path)
    with pytest.raises(PermanentError, match="1000 rows are too few"):
        read(frame[:1000], tmp_path)
    with pytest.raises(PermanentError, match="rows are 7200 s apart") as caught:
        read(frame[::2], tmp_path)
    assert "15, 30 or 60 minutes" in caught.value.remedy
    with pytest.raises(PermanentError, match="cannot be read as CSV"):
        read_load_csv(tmp_path / "none.csv", CALENDAR)
