"""A run has a directory of its own, a lock, a clock and secrets nobody else can read."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pems_cli.run import RunBusyError, RunError, open_run, secret_file

_START = datetime(2026, 1, 15, 5, tzinfo=UTC)


def test_scaled_runs_have_directories_of_their_own(tmp_path: Path) -> None:
    first = open_run(tmp_path, speed=60.0, start_at=_START)
    second = open_run(tmp_path, speed=60.0, start_at=_START)
    assert first.directory != second.directory
    assert first.directory.parent == tmp_path
    first.close()
    second.close()


def test_real_time_runs_in_the_data_directory_and_only_once(tmp_path: Path) -> None:
    run = open_run(tmp_path, speed=1.0, start_at=None)
    assert run.directory == tmp_path
    with pytest.raises(RunBusyError, match="already runs"):
        open_run(tmp_path, speed=1.0, start_at=None)
    run.close()
    open_run(tmp_path, speed=1.0, start_at=None).close()


def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="set PEMS_DATA"):
        open_run(tmp_path / "file", speed=60.0, start_at=_START)


def test_the_clock_begins_when_told(tmp_path: Path) -> None:
    run = open_run(tmp_path, speed=60.0, start_at=_START)
    assert not run.clock_file.exists()
    run.start_clock()
    content = json.loads(run.clock_file.read_text())
    assert content["speed"] == 60.0
    assert datetime.fromisoformat(content["sim_start"]) == _START
    run.close()


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    secret, made = secret_file(tmp_path / "key")
    assert made
    assert len(secret) >= 32
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    assert secret_file(tmp_path / "key") == (secret, False)
