"""`./pems forecast backtest` on a made-up plant: a table, a file of forecasts, mistakes by line and column."""

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from pems_cli.main import app
from pems_common.home.models import Pv
from pems_forecaster.backtest import kinds
from pems_forecaster.backtest.pv import PvSettings
from pems_forecaster.backtest.pv_csv import read_pv_csv
from pems_forecaster.domain.load_model import LoadSettings
from pems_forecaster.domain.pv_table import PvPlace

START = datetime(2025, 5, 1, tzinfo=UTC)
HEADER = ["start", "issued_at", "ghi_w_m2", "temperature_c", "cloud_pct", "power_w"]


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def rows(days=40):
    rng = np.random.default_rng(1)
    for day in range(days):
        sky = rng.uniform(0.3, 1.0)
        for hour in range(24):
            start = START + timedelta(days=day, hours=hour)
            sun = max(0.0, np.sin((hour - 4) / 16 * np.pi)) * 800
            told = sky * sun * rng.uniform(0.9, 1.1)
            yield [stamp(start), stamp(START + timedelta(days=day)), round(told, 1), 18, 50, round(5.0 * sky * sun, 1)]


@pytest.fixture
def written(tmp_path):
    def write(lines, header=HEADER):
        path = tmp_path / "plant.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *lines])
        return path

    return write


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    """What is tested here is the command, not how good forecasts are."""

    def fewer(settings):
        return replace(settings, trees=replace(settings.trees, rounds=15))

    monkeypatch.setattr(kinds, "PvSettings", lambda: fewer(PvSettings()))
    monkeypatch.setattr(kinds, "LoadSettings", lambda: fewer(LoadSettings()))


def backtest(*arguments: str):
    return CliRunner().invoke(app, ["forecast", "backtest", "--threads", "1", *arguments])


def test_a_history_is_forecast_and_scored(written, tmp_path):
    out = tmp_path / "out.csv"
    result = backtest("--data", str(written(rows(25))), "-o", str(out))
    assert result.exit_code == 0, result.output
    for word in ("PEMS", "climatology", "physics", "smart persistence", "240 steps", "by day", "day and night"):
        assert word in result.output
    told = list(csv.DictReader(out.read_text().splitlines()))
    assert len(told) == 10 * 24
    assert all(float(r["p10_w"]) <= float(r["p50_w"]) <= float(r["p90_w"]) for r in told)
    assert told[0]["start"] == stamp(START + timedelta(days=15))


def test_a_load_is_forecast_with_its_energy_and_drawn(written, tmp_path):
    rng = np.random.default_rng(2)
    lines = [
        [stamp(START + timedelta(hours=h)), round(300 + 200 * (7 <= h % 24 < 22) + 50 * rng.random(), 1), 100.0]
        for h in range(24 * 60)
    ]
    out, picture = tmp_path / "out.csv", tmp_path / "load.svg"
    data = written(lines, ["start", "power_w", "controlled_boiler_w"])
    result = backtest("--kind", "load", "--data", str(data), "--from", "2025-06-20", "-o", str(out),
                      "--picture", str(picture))  # fmt: skip
    assert result.exit_code == 0, result.output
    for word in ("first day", "second day", "PEMS", "persistence", "energy of the first day"):
        assert word in result.output
    told = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["first_day"] for row in told} == {"0", "1"}
    assert max(float(row["measured_w"]) for row in told if row["measured_w"]) < 500  # the boiler is taken out
    assert picture.read_text().count("<svg") == 1


def test_prices_are_forecast_beyond_what_is_published(written, tmp_path):
    rng = np.random.default_rng(3)
    lines = [
        [stamp(START + timedelta(hours=h)), round(80 + 60 * np.sin(h / 12 * np.pi) + 10 * rng.random(), 2)]
        for h in range(24 * 30)
    ]
    out = tmp_path / "out.csv"
    result = backtest("--kind", "price", "--data", str(written(lines, ["start", "spot_eur_mwh"])), "-o", str(out))
    assert result.exit_code == 0, result.output
    for word in ("EUR/MWh", "next day", "day after", "similar days", "same kind", "weekly"):
        assert word in result.output
    told = list(csv.DictReader(out.read_text().splitlines()))
    assert all(float(r["p10_eur_mwh"]) <= float(r["p50_eur_mwh"]) <= float(r["p90_eur_mwh"]) for r in told)


def test_what_could_not_be_written_is_refused_before_anything_is_trained(written, tmp_path):
    data = str(written(rows(25)))
    odd = backtest("--data", data, "--picture", str(tmp_path / "x.docx"))
    assert (odd.exit_code, "let it end in .png, .svg, .pdf" in odd.output) == (2, True)
    nowhere = backtest("--data", data, "-o", str(tmp_path / "none" / "x.csv"))
    assert (nowhere.exit_code, "there is no such folder" in nowhere.output) == (2, True)


def changed(row: int, column: int, value: object):
    lines = list(rows(30))
    lines[row][column] = value
    return lines


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (changed(3, 0, "2025-05-01 03:00"), "line 5, start = 2025-05-01 03:00: is no ISO 8601 time with an offset"),
        (changed(3, 0, "yesterday"), "line 5, start = yesterday: is no ISO 8601"),
        (changed(3, 0, "2025-05-01T03:07:00Z"), "line 5, start = 2025-05-01T03:07:00Z: does not begin with a quarter"),
        (changed(3, 0, "2025-05-01T02:00:00Z"), "line 5, start = 2025-05-01T02:00:00Z: is there twice"),
        (changed(3, 1, "2025-05-02T00:00:00Z"), "line 5, issued_at = 2025-05-02T00:00:00Z: is after the start"),
        (changed(9, 2, 2.3e6), "line 11, ghi_w_m2 = 2300000.0: is not within 0 to 1500: check its unit"),
        (changed(9, 3, 291.0), "line 11, temperature_c = 291.0: is not within -60 to 60"),
        (changed(9, 4, "many"), "line 11, cloud_pct = many: is no number"),
        (list(rows(1)), "24 rows are too few"),
        (list(rows(15)), "at least 14 days after the first row"),
    ],
)
def test_a_mistake_is_named_by_line_column_and_value(written, lines, what):
    result = backtest("--data", str(written(lines)))
    assert result.exit_code == 2
    assert what in result.output
    assert "Traceback" not in result.output


def test_missing_columns_files_and_sites_are_named(written, tmp_path):
    bare = backtest("--data", str(written([r[:5] for r in rows()], HEADER[:5])))
    assert (bare.exit_code, "columns are missing: power_w" in bare.output) == (2, True)
    assert "cannot be read as CSV" in backtest("--data", str(tmp_path / "none.csv")).output
    (tmp_path / "home.yaml").write_text("site: 3\n")
    wrong = backtest("--data", str(written(rows())), "--site", str(tmp_path / "home.yaml"))
    assert (wrong.exit_code, "to correct" in wrong.output) == (2, True)


def test_what_was_not_measured_or_not_forecast_teaches_nothing(written):
    lines = list(rows(3))
    lines[12][5] = ""
    lines[13][2] = ""
    table = read_pv_csv(written([*reversed(lines)]), PvPlace(49.8, 15.5, 400.0, Pv()))
    assert np.flatnonzero(np.isnan(table.power_w)).tolist() == [12, 13]
    assert (np.diff(table.start_s) == 3600).all(), "in the order of time again"
