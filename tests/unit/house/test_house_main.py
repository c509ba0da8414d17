"""The simulated house's process: it ends at once, and well, where the devices are real."""

from pathlib import Path

import pytest

from pems_house import main as house_main

HOME_YAML = Path(__file__).parents[3] / "config" / "home.yaml"


@pytest.fixture
def runs(monkeypatch):
    calls = []
    monkeypatch.setattr(house_main, "run_service", lambda name, *_, **__: calls.append(name))
    return calls


def test_it_ends_quietly_where_the_devices_are_real(runs, tmp_path, monkeypatch, capsys):
    real = tmp_path / "home.yaml"
    real.write_text(HOME_YAML.read_text().replace("simulated: true", "simulated: false"))
    monkeypatch.setenv("PEMS_HOME", str(real))
    house_main.main()
    assert runs == []
    assert "real devices" in capsys.readouterr().err


@pytest.mark.parametrize("path", [HOME_YAML, Path("/nowhere/home.yaml")])
def test_otherwise_it_runs_or_lets_the_runner_tell_what_is_wrong(path, runs, monkeypatch):
    monkeypatch.setenv("PEMS_HOME", str(path))
    house_main.main()
    assert runs == ["house"]
