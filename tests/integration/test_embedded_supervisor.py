"""The supervisor starts in order, restarts what dies, holds what a drill holds, and leaves nobody behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pems_cli.child import start_child
from pems_cli.supervisor import Part, Stage, Supervisor

_SERVE = """
import pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def stop(*_):
    with (folder / "stopped").open("a") as file: file.write(name + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
with (folder / "started").open("a") as file: file.write(name + " ")
(folder / name).touch()
time.sleep(60)
"""


def _toy(name: str, folder: Path, stage: Stage = Stage.SERVICE, code: str = _SERVE) -> Part:
    return Part(name, [sys.executable, "-c", code, name, str(folder)], (folder / name).exists, stage, stop_s=3.0)


def _until(condition: Callable[[], bool], supervisor: Supervisor | None = None, wait_s: float = 10.0) -> bool:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if supervisor is not None:
            supervisor.step()
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, told: list[str]) -> Iterator[Supervisor]:
    parts = [
        _toy("controller", tmp_path),
        _toy("house", tmp_path, Stage.HOUSE),
        _toy("redis", tmp_path, Stage.SERVER),
    ]
    running = Supervisor(parts, env={"PEMS_TOY": "1"}, directory=tmp_path, tell=told.append)
    yield running
    running.kill_all()


def test_servers_start_first_and_stop_last(supervisor: Supervisor, tmp_path: Path) -> None:
    assert supervisor.start_all(10.0) == []
    assert (tmp_path / "started").read_text().split()[0] == "redis"
    assert set(supervisor.pids()) == {"controller", "house", "redis"}
    supervisor.stop()
    assert (tmp_path / "stopped").read_text().split() == ["controller", "house", "redis"]
    assert supervisor.pids() == {}
    assert supervisor.ended == []


def test_a_killed_part_comes_back_after_a_pause(supervisor: Supervisor, told: list[str]) -> None:
    supervisor.start_all(10.0)
    old = supervisor.pids()["controller"]
    os.kill(old, signal.SIGKILL)
    assert _until(lambda: supervisor.pids().get("controller", old) != old, supervisor)
    assert [(end.name, end.code) for end in supervisor.ended] == [("controller", -signal.SIGKILL)]
    assert supervisor.restarts()["controller"] == 1
    assert "controller ended with -9" in told[0]


def test_a_held_part_stays_away_until_released(supervisor: Supervisor) -> None:
    supervisor.start_all(10.0)
    supervisor.kill("controller", hold=True)
    for _ in range(40):
        supervisor.step()
        time.sleep(0.02)
    assert "controller" not in supervisor.pids()
    assert supervisor.ended == []
    supervisor.release("controller")
    assert _until(lambda: "controller" in supervisor.pids(), supervisor)


def test_a_part_that_always_dies_is_started_ever_more_seldom(tmp_path: Path) -> None:
    part = _toy("broken", tmp_path, code="raise SystemExit(3)")
    supervisor = Supervisor([part], env={}, directory=tmp_path)
    begun = time.monotonic()
    assert supervisor.start_all(2.5) == ["broken"]
    assert time.monotonic() - begun >= 2.0
    assert 2 <= len(supervisor.ended) <= 3
    assert supervisor.ended[0].code == 3
    supervisor.kill_all()


def test_a_part_that_ignores_the_request_is_killed(tmp_path: Path, told: list[str]) -> None:
    stubborn = "import signal, sys, pathlib, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    stubborn += "(pathlib.Path(sys.argv[2]) / sys.argv[1]).touch(); time.sleep(60)"
    part = Part("deaf", [sys.executable, "-c", stubborn, "deaf", str(tmp_path)], (tmp_path / "deaf").exists, stop_s=0.3)
    supervisor = Supervisor([part], env={}, directory=tmp_path, tell=told.append)
    assert supervisor.start_all(10.0) == []
    supervisor.stop()
    assert supervisor.pids() == {}
    assert "deaf did not stop" in told[-1]


def test_output_and_environment_reach_the_parts(tmp_path: Path) -> None:
    code = "import os, pathlib, sys, time; print('hello', os.environ['A'], os.environ['B'], flush=True)\n"
    code += "(pathlib.Path(sys.argv[2]) / sys.argv[1]).touch(); time.sleep(60)"
    part = Part(
        "talker", [sys.executable, "-c", code, "talker", str(tmp_path)], (tmp_path / "talker").exists, env={"B": "2"}
    )
    supervisor = Supervisor([part], env={"A": "1", "B": "1"}, directory=tmp_path)
    assert supervisor.start_all(10.0) == []
    supervisor.stop()
    assert supervisor.log_of("talker").read_text() == "hello 1 2\n"


def test_a_program_that_does_not_exist_is_told(tmp_path: Path, told: list[str]) -> None:
    part = Part("absent", [str(tmp_path / "no such program")], lambda: False)
    supervisor = Supervisor([part], env={}, directory=tmp_path, tell=told.append)
    assert supervisor.start_all(0.3) == ["absent"]
    assert "absent cannot be started" in told[0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from pems_cli.child import start_child\n"
        "child = start_child([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    pid_file = tmp_path / "pid"
    parent = start_child([sys.executable, "-c", code, str(pid_file)])
    assert _until(lambda: pid_file.is_file() and pid_file.read_text() != "")
    child = psutil.Process(int(pid_file.read_text()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert _until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_ctrl_c_in_the_terminal_reaches_only_the_parent() -> None:
    child = start_child([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    finally:
        child.kill()
        assert child.wait() == -signal.SIGKILL
