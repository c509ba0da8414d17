"""The world of a run is the best there is: measured files for days they cover, else generated days."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pems_cli.world import choose_world

_WINTER = datetime(2026, 1, 15, 5, tzinfo=UTC)
_FUTURE = datetime(2031, 1, 15, 5, tzinfo=UTC)


@pytest.fixture
def data_sets(tmp_path: Path) -> Path:
    for name in (
        "weather/uccle_typical_year_60min.csv",
        "ote_cz/day_ahead_60min.csv",
        "ote_cz/day_ahead_15min.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_measured_files_where_they_cover_the_day(data_sets: Path) -> None:
    world, words = choose_world("auto", seed=3, start_at=_WINTER, data_sets=data_sets)
    assert world is not None
    assert (world.kind, world.seed, world.data_dir) == ("recorded", 3, str(data_sets))
    assert "measured" in words


@pytest.mark.parametrize("start_at", [_WINTER, _FUTURE])
def test_generated_days_without_them(start_at: datetime, data_sets: Path) -> None:
    world, words = choose_world("auto", seed=3, start_at=start_at, data_sets=data_sets if start_at == _FUTURE else None)
    assert world is not None
    assert world.kind == "generated"
    assert "generated" in words


def test_the_real_world_in_real_time() -> None:
    assert choose_world("auto", seed=3, start_at=None, data_sets=None)[0] is None
    assert choose_world("live", seed=3, start_at=None, data_sets=None)[0] is None


def test_what_was_asked_for_wins(data_sets: Path, tmp_path: Path) -> None:
    world, _ = choose_world("generated", seed=3, start_at=_WINTER, data_sets=data_sets)
    assert world is not None
    assert world.kind == "generated"
    with pytest.raises(ValueError, match="nothing to replay"):
        choose_world("replay", seed=3, start_at=_WINTER, data_sets=tmp_path / "none")
