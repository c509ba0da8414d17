"""Settings: defaults, ports and addresses, passwords from files, and nothing secret on a screen."""

import io
import json
import logging
from pathlib import Path

import pytest
import structlog

from pems_common.clock import FakeClock
from pems_common.errors import PemsError
from pems_common.logs import get_logger, setup_logging
from pems_common.settings import SERVICE_PORTS, ServiceSettings, read_secret
from pems_common.timegrid import parse_instant


def test_defaults_fit_one_machine() -> None:
    settings = ServiceSettings()
    assert {name: settings.port_of(name) for name in SERVICE_PORTS} == SERVICE_PORTS
    assert settings.ingest_url == "http://127.0.0.1:8081"
    assert settings.url_of("controller") == "http://127.0.0.1:8084"
    assert settings.redis_address() == "redis://127.0.0.1:6379/0"
    assert settings.mqtt_secret() is None
    assert settings.internal_key_file == Path("var/secrets/internal.key")
    assert settings.clock_file is None
    assert settings.world_file is None
    assert not settings.arm
    assert settings.instance


def test_the_environment_changes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATA": "/srv/pems",
        "INGEST_PORT": "9001",
        "FORECASTER_URL": "http://forecaster:8082/",
        "WORLD_FILE": "/srv/world.json",
        "ARM": "1",
        "CLOCK_FILE": "",
        "NO_SUCH_SETTING": "x",
    }.items():
        monkeypatch.setenv(f"PEMS_{name}", value)
    settings = ServiceSettings()
    assert settings.internal_key_file == Path("/srv/pems/secrets/internal.key")
    assert settings.port_of("ingest") == 9001
    assert settings.url_of("ingest") == "http://127.0.0.1:9001"
    assert settings.url_of("forecaster") == "http://forecaster:8082"
    assert settings.world_file == Path("/srv/world.json")
    assert settings.clock_file is None
    assert settings.arm


def test_unknown_services_have_no_port() -> None:
    with pytest.raises(KeyError):
        ServiceSettings().port_of("redis")
    with pytest.raises(KeyError):
        ServiceSettings().url_of("redis")


def test_passwords_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "redis").write_text("s3/cr@t\n")
    (tmp_path / "mqtt").write_text("other")
    monkeypatch.setenv("PEMS_REDIS_URL", "redis://redis:6379/0")
    monkeypatch.setenv("PEMS_REDIS_USERNAME", "pems")
    monkeypatch.setenv("PEMS_REDIS_PASSWORD_FILE", str(tmp_path / "redis"))
    monkeypatch.setenv("PEMS_MQTT_PASSWORD_FILE", str(tmp_path / "mqtt"))
    settings = ServiceSettings()
    assert settings.redis_address() == "redis://pems:s3%2Fcr%40t@redis:6379/0"
    assert settings.mqtt_secret() == "other"
    monkeypatch.setenv("PEMS_MQTT_PASSWORD", "hidden")
    assert ServiceSettings().mqtt_secret() == "hidden"
    assert "hidden" not in repr(ServiceSettings())


@pytest.mark.parametrize("content", [b"", b"  \n", b"x" * 5000, b"\xff\xfe"])
def test_files_that_hold_no_secret_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(PemsError, match="secret file"):
        read_secret(file)


def test_log_lines_are_json_with_service_instance_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    monkeypatch.setattr("sys.stderr", stream)
    handlers, level = logging.getLogger().handlers, logging.getLogger().level

    class Scaled(FakeClock):
        speed = 60.0

    try:
        log = setup_logging("ingest", "host-1", form="json", clock=Scaled(parse_instant("2026-01-05T12:00:00+00:00")))
        log.info("hello", password="pa55", api_key="k3y", url="redis://u:pa55@host:1/0", n=3)
        get_logger("part").debug("unheard")
        logging.getLogger("library").warning("from %s", "elsewhere")
        try:
            raise ValueError("odd")
        except ValueError as error:
            log.error("failed", exc_info=error)
    finally:
        logging.getLogger().handlers, logging.getLogger().level = handlers, level
        structlog.configure(**before)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["hello", "from elsewhere", "failed"]
    assert all((line["service"], line["instance"]) == ("ingest", "host-1") for line in lines)
    assert lines[0]["house_at"] == "2026-01-05T12:00:00+00:00"
    assert lines[0]["password"] == lines[0]["api_key"] == "***"
    assert lines[0]["url"] == "redis://u:***@host:1/0"
    assert "ValueError: odd" in lines[2]["exception"]
    assert "pa55" not in stream.getvalue()
