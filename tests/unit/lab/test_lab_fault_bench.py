"""The benchmark of many days in a row with faults: its gates fail where they should, and it says so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks import fault_days

from pems_common.home import Home, load_home
from pems_lab.faults.day import DayResult
from pems_lab.faults.draw import FaultDay, draw_day
from pems_lab.faults.figures import COLUMNS, DayFigures

HOME_FILE = Path(__file__).parents[3] / "config" / "home.yaml"
GOOD = DayFigures(**{**dict.fromkeys(COLUMNS, 0.0), "mpc_pct": 99.0, "coldest_c": 18.0})


def result(figures: DayFigures, day: FaultDay) -> DayResult:
    return DayResult(day, figures, {}, {"room_max_c": 2} if figures.sent_beyond else {}, (), (), {})


@pytest.mark.parametrize(
    ("changed", "failure"),
    [
        ({}, ""),
        ({"mpc_pct": 97.0}, "solver 97.00 %"),
        (
            {"mpc_pct": 99.9, "stand_in_pct": 4.0, "silent_pct": 1.5},
            "95.90 % of ticks (in mpc 99.90 %",
        ),
        ({"beyond_s": 90.0, "beyond_unexplained_s": 60.0}, "for 60 s with no fault"),
        ({"beyond_s": 90.0}, ""),
        ({"mpc_pct": float("nan")}, "solver nan %"),
        ({"sent_beyond": 2.0}, "room_max_c"),
        ({"frost_min": 1.0, "coldest_c": 15.9}, "coldest 15.90 C"),
        ({"exceptions": 3.0}, "3 unhandled"),
    ],
)
def test_gates(changed: dict[str, float], failure: str) -> None:
    home = load_home(HOME_FILE)
    found = list(fault_days.failures(result(replace(GOOD, **changed), draw_day(home, 1, 1))))
    assert len(found) == bool(failure)
    assert failure in "".join(found)


def test_it_lives_through_all_days_at_once_and_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lived: list[FaultDay] = []

    async def live(home: Home, world: Any, day: FaultDay, *, hour_done: Any) -> DayResult:
        lived.append(day)
        hour_done(6)
        return result(replace(GOOD, mpc_pct=90.0), day)

    monkeypatch.setattr(fault_days, "live_day", live)
    assert fault_days.main(["--generated", "--days", "20", "--faults", "2", "--check"]) == 1
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(lived) == 1
    assert lived[0].length.days == 20
    assert 20 <= len(lived[0].faults) <= 60
    count = len(lived[0].faults)
    assert [row["case"] for row in rows] == ["fault"] * count + [f"20 days, {count} faults"]
    assert len(rows[-1]["failures"]) == 1
    assert "solver 90.00 % of ticks" in rows[-1]["failures"][0]
    assert (rows[-1]["mpc_pct"], rows[-1]["solver_pct"], rows[-1]["silent_pct"]) == (90.0, 90.0, 0.0)
    assert "6 of 486 h" in err
    assert fault_days.main(["--generated", "--days", "20"]) == 0
