"""The stack gives every process the agreed environment, and a moved port to everyone who needs it."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pems_cli import stack as stack_module
from pems_cli.ports import PortChooser
from pems_cli.run import Run, open_run
from pems_cli.stack import SERVICES, StackOptions, build_stack
from pems_cli.supervisor import Stage


@pytest.fixture(autouse=True)
def _ports_given_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    choosers: list[PortChooser] = []

    class Remembered(PortChooser):
        def __init__(self) -> None:
            super().__init__()
            choosers.append(self)

    monkeypatch.setattr(stack_module, "PortChooser", Remembered)
    yield
    for chooser in choosers:
        chooser.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return open_run(tmp_path, speed=60.0, start_at=datetime(2026, 1, 15, 5, tzinfo=UTC))


def _options(*services: str, **more: object) -> StackOptions:
    return StackOptions(services or tuple(SERVICES), Path("/home.yaml"), armed=True, **more)  # type: ignore[arg-type]


def test_every_service_learns_where_everything_is(run: Run) -> None:
    stack = build_stack(run, _options(seed=7))
    env = stack.env
    assert env["PEMS_DATA"] == str(run.directory)
    assert env["PEMS_CLOCK_FILE"] == str(run.clock_file)
    assert env["PEMS_ARM"] == "yes"
    assert env["PEMS_SEED"] == "7"
    assert Path(env["PEMS_INTERNAL_KEY_FILE"]).read_text().strip() == stack.api_key
    for name in SERVICES:
        assert env[f"PEMS_{name.upper()}_URL"].endswith(":" + env[f"PEMS_{name.upper()}_PORT"])
    assert stack.redis is not None
    assert env["PEMS_REDIS_URL"] == stack.redis.url


def test_servers_start_first_and_the_house_outlives_the_controller(run: Run) -> None:
    stages = {part.name: part.stage for part in build_stack(run, _options()).parts}
    assert stages["redis"] == stages["broker"] == Stage.SERVER
    assert Stage.SERVER < stages["house"] < stages["controller"]
    assert {"worker", "bulk", "flower"} <= set(stages)


def test_only_what_is_wanted_runs(run: Run) -> None:
    names = {part.name for part in build_stack(run, _options("house", "controller")).parts}
    assert names == {"redis", "broker", "house", "controller"}


def test_a_busy_port_moves_for_everybody(run: Run) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", SERVICES["monitor"]))
            other.listen()
        except OSError:
            pass  # somebody else keeps it busy, which is as good
        stack = build_stack(run, _options())
    assert stack.moved["monitor"][0] == SERVICES["monitor"]
    assert stack.env["PEMS_MONITOR_PORT"] == str(stack.ports["monitor"]) != str(SERVICES["monitor"])


def test_secrets_are_on_no_command_line(run: Run) -> None:
    stack = build_stack(run, _options())
    words = [word for part in stack.parts for word in part.command]
    assert not [word for word in words if stack.api_key in word or stack.flower_password in word]


def test_outside_servers_are_used_when_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEMS_REDIS_URL", "redis://10.0.0.5:6379/0")
    monkeypatch.setenv("PEMS_MQTT_HOST", "10.0.0.5")
    stack = build_stack(run, _options(own_servers=False))
    assert stack.redis is None
    assert stack.broker is None
    assert "PEMS_REDIS_URL" not in stack.env
    own = build_stack(run, _options())
    assert own.env["PEMS_MQTT_HOST"] == "127.0.0.1"
