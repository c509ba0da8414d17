"""`./pems backtest --history influx`: what it copies, says and refuses."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.ingest.influx_kit import TOKEN, FakeInflux, a_house
from typer.testing import CliRunner

from pems_cli.main import app


@pytest.fixture
def influx() -> Iterator[FakeInflux]:
    with FakeInflux() as server:
        a_house(server, datetime(2026, 1, 5, tzinfo=UTC), 5)
        yield server


def run(environment: dict[str, str], first: str = "2026-01-06", last: str = "2026-01-08") -> tuple[int, str]:
    unset = {"PEMS_INFLUX_URL": "", "PEMS_INFLUX_ORG": "loxone", "PEMS_INFLUX_TOKEN": TOKEN, "COLUMNS": "220"}
    arguments = ["backtest", "--from", first, "--to", last, "--history", "influx"]
    done = CliRunner().invoke(app, arguments, env=unset | environment)
    return done.exit_code, " ".join(done.output.split())


def test_a_copy_goes_the_way_of_a_history_of_pems(influx: FakeInflux, tmp_path: Path) -> None:
    code, output = run({"PEMS_INFLUX_URL": influx.url, "PEMS_DATA": str(tmp_path)})
    assert "InfluxDB: week 1 of 10 (2025-11-17), 0 points" in output
    assert "the history is too short: rooms are identified from 10 usable days beside those judged" in output
    assert code == 2
    assert TOKEN not in output
    asked = len(influx.asked)
    run({"PEMS_INFLUX_URL": influx.url, "PEMS_DATA": str(tmp_path)})
    assert len(influx.asked) == asked
    assert [path.name.split("-")[0] for path in tmp_path.glob("*.sqlite3")] == ["influx"]


def test_what_is_wrong_is_told_with_what_to_do(influx: FakeInflux, tmp_path: Path) -> None:
    here = {"PEMS_INFLUX_URL": influx.url, "PEMS_DATA": str(tmp_path)}
    code, output = run({"PEMS_DATA": str(tmp_path)})
    assert (code, "PEMS_INFLUX_URL is not set; set them in the environment" in output) == (2, True)
    code, output = run(here | {"PEMS_INFLUX_TOKEN": "wrong"})
    assert (code, "refuses the token (HTTP 401); make one that may read the buckets" in output) == (2, True)
    code, output = run(here, "2026-01-08", "2026-01-06")
    assert (code, "2026-01-06 is before 2026-01-08; give --to a later day" in output) == (2, True)
    code, output = run(here, "0001-01-01", "0001-01-02")
    assert (code, "no InfluxDB is that old" in output) == (2, True)
    del influx.buckets["solar"]
    code, output = run(here)
    assert (code, "shows no bucket solar" in output) == (2, True)


def test_a_server_that_is_away_is_told(influx: FakeInflux, tmp_path: Path) -> None:
    influx.replies = [lambda: (503, {"Retry-After": "900"}, b"")]
    code, output = run({"PEMS_INFLUX_URL": influx.url, "PEMS_DATA": str(tmp_path)})
    assert (code, "HTTP 503; try again later: the same command goes on where it was" in output) == (1, True)
