"""`./pems bench arms`: prints the table, goes on where it was, and says which gates fail."""

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from benchmarks import arms, results
from tests.unit.lab.test_lab_table import result

from pems_lab.arms import run as arm_run
from pems_lab.arms.jobs import Job, WorldChoice
from pems_lab.arms.table import ArmRow

BASE = ArmRow(
    arm="b1",
    cost_czk_day=200.0,
    wear_czk_day=10.0,
    fair_czk_day=210.0,
    saved_pct=0.0,
    of_perfect_pct=0.0,
    import_kwh_day=50.0,
    export_kwh_day=1.0,
    self_consumption_pct=50.0,
    peak_kw=10.0,
    below_k_h_room_day=0.2,
    inside_pct=99.5,
    inside_least_pct=99.0,
    inside_heating_pct=99.5,
    mean_c=20.0,
    cycles_day=1.0,
    switchings_room_day=8.0,
    mpc_pct=None,
    plans=0,
    kept=0,
    rule_plans=0,
    plan_s=None,
    limits={},
)
GOOD = replace(
    BASE, arm="point", of_perfect_pct=85.0, self_consumption_pct=65.0, peak_kw=8.0, below_k_h_room_day=0.1, mpc_pct=99.9
)


@pytest.fixture
def short_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_run, "_DAY", timedelta(minutes=20))


def figures(text: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in text.splitlines() if line.startswith('{"case"')]
    return [{name: value for name, value in row.items() if name not in ("wall_s", "plan_s")} for row in rows]


@pytest.mark.usefixtures("short_days")
def test_two_arms_are_compared_and_a_second_call_only_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["--generated", "--arms", "b1,b0", "--days", "2", "--stretch", "1", "--out", str(tmp_path)]
    assert arms.main(call) == 0
    first = capsys.readouterr()
    rows = figures(first.out)
    assert [row["arm"] for row in rows if row["case"] == "arm"] == ["b0", "b1"]
    assert [row["saved_pct"] for row in rows if row.get("arm") == "b1" and row["case"] == "arm"] == [0.0]
    assert [row["worst"] < 1e-6 for row in rows if row["case"] == "balance"] == [True]
    assert {row["arm"] for row in rows if row["case"] == "habits"} == {"b0", "b1"}
    assert "8 of 8 days" in first.err
    assert arms.main(call) == 0
    second = capsys.readouterr()
    assert figures(second.out) == rows
    assert "days, " not in second.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"of_perfect_pct": 79.0}, "perfect foresight"),
        ({"self_consumption_pct": 55.0}, "self-consumption"),
        ({"peak_kw": 8.6}, "peak"),
        ({"below_k_h_room_day": 0.3}, "below the band"),
        ({"inside_heating_pct": 98.9}, "wider band"),
        ({"inside_pct": 82.0}, None),  # a July whose sun is too warm
        ({"mpc_pct": 99.0}, "mpc"),
    ],
)
def test_each_gate_of_the_closed_loop_can_fail(change: dict[str, Any], said: str | None) -> None:
    found = list(arms.gates([BASE, replace(GOOD, **change)]))
    assert len(found) == (0 if said is None else 1)
    assert said is None or said in found[0]


def test_without_baseline_or_point_no_gate_is_judged() -> None:
    assert list(arms.gates([GOOD])) == []


def test_arms_that_do_not_exist_are_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="b9"):
        arms.arms_of("b0,b9")
    assert arms.arms_of("point,b0") == ["b0", "point"]


@pytest.mark.parametrize(
    ("given", "said"),
    [(["--arms", "foo"], "no arm foo"), (["--arms", "b1,foo"], "no arm foo"), (["--months", "2025-13"], "is no month")],
)
def test_wrong_arms_and_months_of_the_results_are_told(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        results.main(given)
    assert said in capsys.readouterr().err


def test_the_year_is_its_months_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, int]] = []

    def run_case(case: results.Case, *_: Any) -> dict[str, list[dict[str, Any]]]:
        """Months of which each costs 1 CZK a day more than the one before, with B1 twice as dear."""
        asked.append((case.month, case.days))
        cost = float(case.month[5:]) * case.days
        return {
            label: [result(arm, cost * (2.0 if arm == "b1" else 1.0), days=case.days, month=case.month)]
            for label, (arm, _) in case.arms.items()
        }

    monkeypatch.setattr(results, "run_case", run_case)
    monkeypatch.setenv("PEMS_DATA_DIR", str(tmp_path))
    assert results.main(["--year", "--arms", "b1,point"]) == 0
    assert asked[1] == ("2025-02", 28)
    assert sum(days for _, days in asked) == 365
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"case": "arm"')]
    (year,) = (row for row in told if row["month"] == "year" and row["arm"] == "point")
    assert year["days"] == 365
    mean = sum(month * days for month, (_, days) in enumerate(asked, start=1)) / 365
    assert year["cost_czk_day"] == pytest.approx(mean, abs=0.01)
    assert year["saved_pct"] == 50.0
    assert year["peak_kw"] == 10.0


def test_tables_of_another_version_are_made_of_what_is_kept_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEMS_DATA_DIR", str(tmp_path))  # no weather in it: a run would fail
    kept = tmp_path / "kept"
    kept.mkdir()
    call = ["--months", "2025-02", "--arms", "b1,point", "--days", "2", "--out", str(kept), "--of", "abc"]
    with pytest.raises(SystemExit, match="lacks 2 runs of version abc, such as 20250201-2d-s0-b1-"):
        results.main(call)
    world = WorldChoice("reference", data=str(tmp_path))
    costs: dict[arm_run.Arm, float] = {"b1": 200.0, "point": 150.0}
    for arm, cost in costs.items():
        stretch = arm_run.Stretch(datetime(2025, 2, 1, 11, tzinfo=UTC), 2, 1, 0)
        job = Job(results.ROOT / "config" / "home.yaml", world, arm, stretch)
        (kept / f"{job.key('abc')}.json").write_text(json.dumps(result(arm, cost, month="2025-02")))
    assert results.main(call) == 0
    told = capsys.readouterr().out
    assert "| point | 75 | 75 | 25 |" in told
    assert "Code version `abc`, 2025-02, seed 0." in told
