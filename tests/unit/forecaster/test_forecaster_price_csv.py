"""Prices are read by hours, by quarters and mixed; what cannot be right is named by line."""

from datetime import UTC, datetime

import numpy as np
import pytest

from pems_common.errors import PermanentError
from pems_forecaster.backtest.price_csv import read_price_csv

START = 1_759_269_600  # 2025-10-01 00:00 in Prague
DAYS = 15


def row(start_s, value):
    return f"{datetime.fromtimestamp(start_s, UTC):%Y-%m-%dT%H:%M:%SZ},{value}"


@pytest.fixture
def written(tmp_path):
    def write(rows, header="start,spot_eur_mwh"):
        path = tmp_path / "prices.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def hours(count=24 * DAYS):
    return [row(START + 3600 * k, k - 50) for k in range(count)]


def test_an_hour_stands_for_its_quarters_and_quarters_for_themselves(written):
    quarters = [row(START + 3600 * 24 * DAYS + 900 * k, 1000 + k) for k in range(8)]
    table = read_price_csv(written([*reversed(hours()), *quarters]))
    assert table.first == START // 900
    assert table.spot_eur_mwh[:8].tolist() == [-50.0] * 4 + [-49.0] * 4
    assert table.spot_eur_mwh[96 * DAYS :].tolist() == [1000.0 + k for k in range(8)]
    assert table.extras == {}


def test_gaps_stay_gaps_and_other_columns_come_along(written):
    rows = [line + f",{k / 10}" for k, line in enumerate(hours()) if k != 30]
    rows[5] = rows[5].rsplit(",", 1)[0] + ","
    table = read_price_csv(written(rows, header="start,spot_eur_mwh,wind_gw"))
    assert np.flatnonzero(np.isnan(table.spot_eur_mwh)).tolist() == [120, 121, 122, 123]
    assert np.isnan(table.extras["wind_gw"][20:24]).all()
    assert table.extras["wind_gw"][24:28].tolist() == [0.6] * 4


@pytest.mark.parametrize(
    ("line", "text", "what"),
    [
        (3, "yesterday,4", "line 5, start = yesterday: is no ISO 8601 time"),
        (3, "2025-10-01T03:00:00,4", "line 5, start = 2025-10-01T03:00:00: is no ISO 8601 time with an offset"),
        (3, row(START + 60, 4), "line 5, .* quarter of an hour"),
        (3, row(START, 4), "line 5, start = .* is there twice"),
        (3, row(START + 10_800, "dear"), "line 5, spot_eur_mwh = dear: is no number"),
        (3, row(START + 10_800, 250_000), "line 5, spot_eur_mwh = 250000: is not within .* check its unit"),
    ],
)
def test_mistakes_are_named_by_line(written, line, text, what):
    rows = hours()
    rows[line] = text
    with pytest.raises(PermanentError, match=what):
        read_price_csv(written(rows))


def test_files_that_are_no_history_are_refused(written, tmp_path):
    with pytest.raises(PermanentError, match="24 rows are too few"):
        read_price_csv(written(hours(24)))
    with pytest.raises(PermanentError, match="columns are missing: spot_eur_mwh"):
        read_price_csv(written(hours(), header="start,price"))
    with pytest.raises(PermanentError, match="cannot be read as CSV"):
        read_price_csv(tmp_path / "nothing.csv")
