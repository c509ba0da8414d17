"""The verbs say plainly what is wrong, and list what there is."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from pems_cli import bench, checks, doctor
from pems_cli.demo import house_start
from pems_cli.main import app
from pems_cli.paths import ROOT

_PRAGUE = ZoneInfo("Europe/Prague")
_runner = CliRunner()


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    result = _runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    for verb in ("demo", "up", "drill", "test", "check", "bench", "doctor", "config"):
        assert verb in result.stdout


def test_the_shipped_home_is_good() -> None:
    result = _runner.invoke(app, ["config", "check", str(ROOT / "config" / "home.yaml")])
    assert result.exit_code == 0, result.output
    assert "17 rooms" in result.stdout


def test_each_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    wrong = tmp_path / "home.yaml"
    text = (ROOT / "config" / "home.yaml").read_text()
    wrong.write_text(text.replace("relay_w: 4800", "relay_w: -4800"))
    line = text[: text.index("relay_w: 4800")].count("\n") + 1
    result = _runner.invoke(app, ["config", "check", str(wrong)])
    assert result.exit_code == 1
    assert f"line {line}: rooms.obyvak.relay_w = -4800" in result.output


def test_show_can_be_read_again(tmp_path: Path) -> None:
    shown = _runner.invoke(app, ["config", "show", str(ROOT / "config" / "home.yaml")])
    assert shown.exit_code == 0
    again = tmp_path / "again.yaml"
    again.write_text(shown.stdout)
    assert _runner.invoke(app, ["config", "show", str(again)]).stdout == shown.stdout


def test_a_missing_home_says_what_to_do(tmp_path: Path) -> None:
    result = _runner.invoke(app, ["config", "show", str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert "no such file" in result.output


def test_unknown_services_and_drills_are_refused() -> None:
    assert "unknown: kitchen" in _runner.invoke(app, ["demo", "--only", "kitchen"]).output
    assert "unknown drill kitchen" in _runner.invoke(app, ["drill", "kitchen"]).output


def test_bench_lists_what_there_is_and_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "toy.py").write_text("import sys; sys.exit(len(sys.argv))")
    (folder / "_shared.py").write_text("")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert bench.benchmark_names() == ["toy"]
    assert bench.run_bench("toy", ["--days", "1"]) == 3
    assert bench.run_bench("toys", []) == 2
    assert bench.run_bench("", []) == 0


@pytest.mark.parametrize(
    ("text", "speed", "expected"),
    [
        ("2026-01-15", 60.0, datetime(2026, 1, 14, 23, tzinfo=UTC)),
        ("2026-07-01T06:00", 60.0, datetime(2026, 7, 1, 4, tzinfo=UTC)),
        (None, 60.0, datetime(2026, 1, 15, 5, tzinfo=UTC)),
        (None, 1.0, None),
        ("2026-01-15", 1.0, datetime(2026, 1, 14, 23, tzinfo=UTC)),
    ],
)
def test_the_house_starts_at_local_time(text: str | None, speed: float, expected: datetime | None) -> None:
    assert house_start(text, speed, _PRAGUE) == expected


def test_a_wrong_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PEMS_DATA", str(tmp_path))
    result = _runner.invoke(app, ["demo", "--start", "yesterday"])
    assert result.exit_code == 2
    assert "is no date" in result.output


def test_doctor_names_a_remedy_for_every_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PEMS_HOME", str(tmp_path / "none.yaml"))
    findings = doctor.examine()
    assert {finding.subject for finding in findings} >= {"python", "home.yaml", "data", "redis", "mqtt", "ports"}
    assert [f.subject for f in findings if f.level == "problem"] == ["home.yaml"]
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    result = _runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "home.yaml" in result.stdout


def test_every_shell_script_is_checked() -> None:
    scripts = checks.shell_scripts()
    assert {"pems", ".ci/run"} <= set(scripts)
    assert not [name for name in scripts if name.endswith(".py")]


def test_check_runs_all_and_fails_when_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setattr(checks, "_tool", lambda name: "false" if name == "mypy" else "true")
    console = Console(record=True, width=200)
    assert checks.run_checks(console) == 1
    text = console.export_text()
    assert text.count("ok") == 4
    assert "failed: mypy" in text
    monkeypatch.setattr(checks, "_tool", lambda name: "true")
    assert checks.run_checks(Console(quiet=True)) == 0


def test_test_hands_arguments_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def pytest_asked(arguments: Sequence[str]) -> int:
        asked.append(list(arguments))
        return 0

    monkeypatch.setattr(checks, "_pytest", pytest_asked)
    assert _runner.invoke(app, ["test", "tests/unit/cli", "-k", "ports"]).exit_code == 0
    assert _runner.invoke(app, ["test", "--fast"]).exit_code == 0
    assert asked[0] == ["tests/unit/cli", "-k", "ports"]
    assert "tests/unit" in asked[1]
    assert "tests/integration" not in asked[1]


def test_help_is_quick_because_imports_wait() -> None:
    import subprocess

    code = "import sys, pems_cli.main; print([m for m in ('redis','httpx','psutil','yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
