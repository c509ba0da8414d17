"""The demo and the drills over toy services: readiness, report, exit status, loss and violations."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from rich.console import Console

from pems_cli import demo, drill, session, stack
from pems_cli.demo import DemoOptions, run_demo, run_up
from pems_cli.drill import DRILLS, Drill, follow, lost_series, run_drill
from pems_cli.observer import Observer
from pems_cli.run import Run, open_run
from pems_cli.session import Session
from pems_cli.stack import Stack, StackOptions
from pems_cli.supervisor import Part

_TOY = Path(__file__).with_name("toy_service.py")
_START = "2026-01-15T06:00"  # a given start asks no live source
_SERVICES = ("house", "controller", "ingest", "optimizer")


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def _toy_stack(run: Run, options: StackOptions, **env: str) -> Stack:
    """The real stack, with a toy behind the address of each service."""
    real = stack.build_stack(run, replace(options, services=[s for s in _SERVICES if s in options.services]))
    parts = [
        replace(part, command=[sys.executable, str(_TOY), part.name]) if part.name in _SERVICES else part
        for part in real.parts
        if part.name not in ("worker", "bulk", "flower")
    ]
    return replace(real, parts=tuple(parts), env={**real.env, **env})


@pytest.fixture
def toy_session(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    opened: list[Session] = []

    def open_one(**env: str) -> Session:
        run = open_run(tmp_path, speed=600.0, start_at=datetime(2026, 1, 15, 5, tzinfo=UTC))
        toys = _toy_stack(run, StackOptions(_SERVICES, Path("/home.yaml"), armed=True), **env)
        opened.append(Session(run, toys, tell=lambda _: None))
        return opened[-1]

    yield open_one
    for one in opened:
        one.supervisor.kill_all()
        one.stack.chooser.close()


def _demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[int, dict[str, Any], str]:
    monkeypatch.setenv("PEMS_DATA", str(tmp_path / "var"))
    monkeypatch.setattr(demo, "build_stack", _toy_stack)
    console = Console(record=True, width=200, file=io.StringIO())
    path = tmp_path / "out" / "report.json"
    code = run_demo(DemoOptions(speed=600.0, headless=True, report=path, start=_START, **options), console)
    return code, json.loads(path.read_text()), console.export_text()


def test_a_demo_runs_its_hours_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, report, screen = _demo(tmp_path, monkeypatch, hours=0.5)
    assert code == 0, screen
    assert report["ok"]
    assert 0 < report["ready_s"] < 30
    assert report["modes"]["obyvak"] == {"mpc": 1.0}
    assert report["modes"]["ev"] == {"released": 1.0}
    assert report["house_modes"] == {"mpc": 1.0}
    assert report["samples"] >= 5
    assert 2 < report["cost_czk"] < 20  # what came after ready, not the 10 CZK from before
    assert report["comfort_below_band_k_h"] > 0
    assert report["dead_letters"] == 0
    assert report["messages"]["telemetry"] > 5
    assert report["ended"] == []
    assert set(report["memory_peak_mb"]) == {"redis", "broker", "supervisor", *_SERVICES}
    assert report["memory_pss_mb"] > 10
    assert report["versions"]["pems"]
    assert "everything is ready" in screen


def test_a_part_that_dies_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled = 0
    real = Observer.sample

    def sample_and_kill(self: Any) -> Any:
        nonlocal sampled
        sampled += 1
        if sampled == 3:
            (tmp_path / "kill").touch()
        return real(self)

    real_step = session.Session.step

    def step(self: Session) -> None:
        if (tmp_path / "kill").exists():
            (tmp_path / "kill").unlink()
            self.supervisor._states["ingest"].process.kill()  # type: ignore[union-attr]
        real_step(self)

    monkeypatch.setattr(Observer, "sample", sample_and_kill)
    monkeypatch.setattr(session.Session, "step", step)
    code, report, screen = _demo(tmp_path, monkeypatch, hours=0.5)
    assert code == 1
    assert [end["name"] for end in report["ended"]] == ["ingest"]
    assert report["restarts"]["ingest"] == 1
    assert "ingest ended with -9" in screen


def test_a_part_that_never_gets_ready_is_shown_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Run, options: StackOptions) -> Stack:
        toys = _toy_stack(run, options)
        failing = Part("monitor", [sys.executable, "-c", "raise SystemExit('no such page')"], lambda: False)
        return replace(toys, parts=(*toys.parts, failing))

    monkeypatch.setattr(demo, "_READY_WAIT_S", 2.0)
    monkeypatch.setattr(demo, "build_stack", broken)
    monkeypatch.setenv("PEMS_DATA", str(tmp_path / "var"))
    console = Console(record=True, width=200, file=io.StringIO())
    assert run_demo(DemoOptions(hours=1, speed=600.0, headless=True, start=_START), console) == 1
    text = console.export_text()
    assert "monitor did not become ready" in text
    assert "no such page" in text


@pytest.mark.parametrize(("hours", "status"), [(None, 0), (5.0, 130)])
def test_ctrl_c_stops_cleanly(
    hours: float | None, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Observer.begin

    def interrupt(self: Any) -> None:
        real(self)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Observer, "begin", interrupt)
    code, report, screen = _demo(tmp_path, monkeypatch, hours=hours)
    assert code == status
    assert report["interrupted"]
    assert report["ok"] == (status == 0)
    assert report["ended"] == []
    assert "hands the devices back" in screen


def test_dead_letters_are_counted(toy_session: Callable[..., Session]) -> None:
    one = toy_session()
    assert one.start(30.0)
    with redis.Redis.from_url(one.stack.env["PEMS_REDIS_URL"]) as client:
        client.xadd("pems.command.dlq", {"reason": "toy"})
    one.observer.begin()
    report = one.observer.report()
    assert report["dead_letters"] == 1
    assert report["dead_letters_by_stream"] == {"pems.command.dlq": 1}
    one.stop()


_QUICK: dict[str, Any] = {"safe_house_s": 0.0, "safe_wall_s": 10.0, "away_s": 1.0, "back_s": 15.0}


def test_the_optimizer_drill_measures_both_ways(
    toy_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "_LOOK_EVERY_S", 0.1)
    one = toy_session()
    assert one.start(30.0)
    said: list[str] = []
    quick = replace(DRILLS["optimizer"], **_QUICK)
    result = follow(one, quick, "optimizer", said.append)
    one.stop()
    assert result.ok, result
    assert result.safe_wall_s is not None
    assert result.safe_wall_s < 10
    assert result.safe_house_s == pytest.approx(result.safe_wall_s * 600)
    assert result.back_wall_s is not None
    assert result.lost == []
    assert said[0].startswith("killing optimizer; 2 devices")


def test_a_drill_that_breaks_its_promise_fails(
    toy_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "_LOOK_EVERY_S", 0.1)
    one = toy_session(TOY_VIOLATIONS="room_too_hot")
    assert one.start(30.0)
    never = Drill("ingest", lambda _: False, "pigs fly", **{**_QUICK, "safe_wall_s": 1.0})
    result = follow(one, never, "ingest", lambda _: None)
    one.stop()
    assert not result.ok
    text = " ".join(result.failures)
    assert "pigs fly" in text
    assert "room_too_hot" in text
    assert result.lost == ["forgotten"]


def test_lost_series_names_what_shrank() -> None:
    assert lost_series({"a": 3, "b": 2, "c": 1}, {"a": 3, "b": 1}) == ["b", "c"]


def test_a_drill_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEMS_DATA", str(tmp_path / "var"))
    monkeypatch.setattr(demo, "build_stack", _toy_stack)
    monkeypatch.setattr(drill, "_LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(drill, "DRILLS", {"ingest": replace(DRILLS["ingest"], **_QUICK)})
    console = Console(record=True, width=400, file=io.StringIO())
    path = tmp_path / "drill.json"
    code = run_drill("ingest", console, speed=600.0, report=path, seed=1)
    result = json.loads(path.read_text())
    assert code == 1
    assert result["failures"] == ["stored points were lost: forgotten"]
    assert result["back_wall_s"] < 15
    assert "killing ingest" in console.export_text()


def test_up_runs_in_real_time_and_is_not_armed_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Stack] = []

    def toys(run: Run, options: StackOptions) -> Stack:
        seen.append(_toy_stack(run, options))
        return seen[-1]

    monkeypatch.setenv("PEMS_DATA", str(tmp_path / "var"))
    monkeypatch.setattr(demo, "build_stack", toys)
    monkeypatch.setattr(Observer, "begin", lambda self: signal.raise_signal(signal.SIGTERM))
    console = Console(record=True, width=200, file=io.StringIO())
    assert run_up(console) == 0
    assert "in real time" in console.export_text()
    assert seen[0].env["PEMS_ARM"] == "no"
    assert seen[0].env["PEMS_DATA"] == str(tmp_path / "var")
