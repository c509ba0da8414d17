"""The init step of docker compose: secrets once, access lists, clock kept, simulated data never mixed with real."""

import base64
import hashlib
from pathlib import Path

import pytest

from pems_cli import container_init
from pems_common.clock import open_clock
from pems_common.home import load_home

HOME_YAML = Path(__file__).parents[3] / "config" / "home.yaml"


@pytest.fixture
def volumes(tmp_path, monkeypatch):
    for name in ("run", "data", "secrets", "redis", "mqtt"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PEMS_CLOCK_FILE", str(tmp_path / "run" / "clock.json"))
    monkeypatch.setenv("PEMS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PEMS_INTERNAL_KEY_FILE", str(tmp_path / "secrets" / "internal.key"))
    monkeypatch.setenv("PEMS_HOME", str(HOME_YAML))
    monkeypatch.setenv("PEMS_SPEED", "60")
    for name in ("PEMS_START", "PEMS_SOURCES", "PEMS_SEED", "PEMS_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(container_init, "REDIS_VOLUME", tmp_path / "redis")
    monkeypatch.setattr(container_init, "MQTT_VOLUME", tmp_path / "mqtt")
    return tmp_path


def test_a_password_line_can_be_checked_by_the_broker():
    line = container_init.mosquitto_password_line("ingest", "secret", b"0123456789ab")
    user, rest = line.split(":", 1)
    _, kind, rounds, salt, digest = rest.split("$")
    assert (user, kind) == ("ingest", "7")
    expected = hashlib.pbkdf2_hmac("sha512", b"secret", base64.b64decode(salt), int(rounds), 64)
    assert base64.b64decode(digest) == expected


def test_only_the_controller_may_write_commands():
    acl = container_init.mqtt_acl(load_home(HOME_YAML))
    writers: dict[str, set[str]] = {}
    for line in acl.splitlines():
        if line.startswith("user "):
            user = line.split()[1]
        elif line.startswith("topic write "):
            writers.setdefault(line.split()[2], set()).add(user)
    for topic in ("energy/solar/command/#", "pems/relay/+/set", "pems/relay/+/enable", "ev/set", "water/set"):
        assert writers[topic] == {"controller"}
    assert writers["energy/solar"] == {"house", "device"}
    assert writers["pems/home/sensor/+/+"] == {"ingest"}
    assert "#" not in writers


def test_a_second_start_keeps_secrets_clock_and_says_the_password_once(volumes, capsys):
    assert container_init.main() == 0
    first = capsys.readouterr().out
    files = {p: p.read_text() for p in volumes.rglob("*") if p.is_file() and p.suffix in {".password", ".key", ".json"}}
    assert container_init.main() == 0
    second = capsys.readouterr().out
    assert "shown this once" in first
    assert "shown this once" not in second
    assert {p: p.read_text() for p in files} == files
    assert open_clock(volumes / "run" / "clock.json").speed == 60.0
    for secret in (volumes / "secrets").iterdir():
        assert secret.stat().st_mode & 0o077 == 0
        assert secret.read_text().strip() not in (volumes / "redis" / "users.acl").read_text()


def test_the_house_hears_commands_and_nothing_else():
    acl = container_init.mqtt_acl(load_home(HOME_YAML))
    house = acl.split("user house\n")[1].split("\n\n")[0].splitlines()
    heard = {line.split()[2] for line in house if line.startswith("topic read ")}
    assert "pems/relay/+/set" in heard
    assert "#" not in heard
    assert not any(topic.startswith("homeassistant") for topic in heard)


def test_the_second_key_is_turned_for_a_simulated_house_only(volumes, tmp_path, monkeypatch):
    assert container_init.main() == 0
    assert (volumes / "run" / "arm").read_text() == "yes"
    for item in (volumes / "data").glob(".simulated-run"):
        item.unlink()
    real = tmp_path / "real.yaml"
    real.write_text(HOME_YAML.read_text().replace("simulated: true", "simulated: false"))
    monkeypatch.setenv("PEMS_HOME", str(real))
    assert container_init.main() == 0
    assert (volumes / "run" / "arm").read_text() == "no"


def test_a_simulated_house_in_real_time_has_no_clock_of_its_own_and_goes_on(volumes, monkeypatch, capsys):
    monkeypatch.setenv("PEMS_SPEED", "1")
    assert container_init.main() == 0
    assert "A new simulated run" in capsys.readouterr().out
    assert not (volumes / "run" / "clock.json").exists()
    assert not (volumes / "run" / "world.json").exists()
    (volumes / "data" / "history.sqlite").write_text("kept")
    assert container_init.main() == 0
    assert "A new simulated run" not in capsys.readouterr().out
    assert (volumes / "data" / "history.sqlite").read_text() == "kept"


def test_a_running_redis_is_emptied_by_a_user_that_can_do_nothing_else(volumes, monkeypatch):
    asked = []

    class Server:
        def __init__(self, host, *, username, password, **_):
            asked.append((host, username, password))

        def flushall(self):
            return True

        def close(self):
            pass

    monkeypatch.setattr(container_init, "Redis", Server)
    monkeypatch.setenv("PEMS_REDIS_URL", "redis://pems@redis:6379/0")
    (volumes / "redis" / "data").mkdir()
    (volumes / "redis" / "data" / "appendonly.aof").write_text("of the running server")
    assert container_init.main() == 0
    assert asked == [("redis", "init", (volumes / "secrets" / "redis-init.password").read_text().strip())]
    assert (volumes / "redis" / "data" / "appendonly.aof").exists()
    assert container_init.main() == 0
    assert len(asked) == 1


def test_a_reboot_starts_a_new_simulated_run_but_keeps_the_account(volumes, capsys):
    assert container_init.main() == 0
    (volumes / "data" / "history.sqlite").write_text("old")
    (volumes / "run" / "clock.json").write_text("{}")
    assert container_init.main() == 0
    assert not (volumes / "data" / "history.sqlite").exists()
    assert "shown this once" not in capsys.readouterr().out.split("volumes are ready")[1]


def test_data_of_real_devices_are_never_cleared_and_never_mixed(volumes, tmp_path, monkeypatch, capsys):
    real = tmp_path / "real.yaml"
    real.write_text(HOME_YAML.read_text().replace("simulated: true", "simulated: false"))
    monkeypatch.setenv("PEMS_HOME", str(real))
    (volumes / "data" / "history.sqlite").write_text("precious")
    assert container_init.main() == 0
    assert not (volumes / "run" / "clock.json").exists()
    monkeypatch.setenv("PEMS_HOME", str(HOME_YAML))
    assert container_init.main() == 1
    assert "real devices" in capsys.readouterr().err
    assert (volumes / "data" / "history.sqlite").read_text() == "precious"


def test_a_wrong_date_or_house_is_told_plainly(volumes, monkeypatch, capsys):
    monkeypatch.setenv("PEMS_START", "12.1.2026")
    assert container_init.main() == 1
    assert "YYYY-MM-DD" in capsys.readouterr().err
    monkeypatch.setenv("PEMS_HOME", str(volumes / "nowhere.yaml"))
    assert container_init.main() == 1
    assert "no such file" in capsys.readouterr().err
