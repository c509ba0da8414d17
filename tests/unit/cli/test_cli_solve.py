"""`./pems solve`: the plan as JSON, a summary for people, and plain words where the input is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pems_cli.main import app
from pems_cli.paths import ROOT

_runner = CliRunner()
_EXAMPLE = ROOT / "config" / "examples" / "two-rooms-and-a-battery.json"


def test_a_file_becomes_a_plan_and_a_summary(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    result = _runner.invoke(app, ["solve", str(_EXAMPLE), "-o", str(plan)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    answer = json.loads(plan.read_text())
    assert answer["format"] == "pems-plan/1"
    assert answer["slots"] == 96
    for text in (
        "Two rooms and a battery",
        f"objective {answer['cost']['total']:.2f} CZK",
        f"simple rules come to {answer['rules_total']:.2f}",
        "SoC %",
    ):
        assert text in result.stderr
    assert "Thu 00:00" in result.stderr
    assert answer["start"] == "2026-01-15T00:00:00+01:00"


def test_a_certificate_is_told() -> None:
    result = _runner.invoke(app, ["solve", str(_EXAMPLE), "--certificate"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["solver"]["bound"] is not None
    assert "from the best" in result.stderr


def test_standard_input_to_standard_output_with_nothing_else_there() -> None:
    result = _runner.invoke(app, ["solve", "-"], input=_EXAMPLE.read_bytes())
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["rooms"].keys() == {"living", "bedroom"}


def test_every_mistake_is_listed_without_a_traceback(tmp_path: Path) -> None:
    data = json.loads(_EXAMPLE.read_text())
    data["rooms"][1]["heater_w"] = 1_000_000
    data["battery"]["capacity_wh"] = -1
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(data))
    result = _runner.invoke(app, ["solve", str(wrong)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "2 to correct" in result.stderr
    assert "rooms[1].heater_w = 1000000: must be at most 100000" in result.stderr
    assert "battery.capacity_wh = -1: must be at least 1" in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve", "none.json"], "cannot be read"),
        (["solve", str(ROOT)], "cannot be read"),
        (["solve", "README.md"], "is no JSON"),
        (["solve", str(_EXAMPLE), "--strategy", "hope"], "uncertainty.strategy"),
        (["solve", str(_EXAMPLE), "--time-limit", "0.1"], "solver.time_limit_s = 0.1: must be at least 0.5"),
        (["solve"], "name a problem file"),
    ],
)
def test_wrong_input_ends_with_2_and_says_why(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = _runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    result = _runner.invoke(app, ["solve", str(_EXAMPLE), "-o", str(tmp_path / "no" / "plan.json")])
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_names_from_the_file_are_no_markup(tmp_path: Path) -> None:
    data = json.loads(_EXAMPLE.read_text()) | {"name": "[red]hot[/wrong]"}
    data["rooms"][1]["name"] = "[/x]"
    del data["rooms"][0]["neighbours"]
    file = tmp_path / "names.json"
    file.write_text(json.dumps(data))
    result = _runner.invoke(app, ["solve", str(file)])
    assert result.exit_code == 0
    assert "[red]hot[/wrong]" in result.stderr
    assert "[/x]" in result.stderr


def test_the_schemas_are_printed() -> None:
    problem = _runner.invoke(app, ["solve", "--schema"])
    answer = _runner.invoke(app, ["solve", "--answer-schema"])
    assert json.loads(problem.stdout)["title"] == "PEMS planning problem"
    assert json.loads(answer.stdout)["title"] == "PEMS plan for a problem"
