"""The init step of `docker compose up`: secrets, server configurations, clock and world into the volumes.

It runs before everything else, as the same unprivileged user, and may run again at any time: what exists stays.
A simulated run starts anew only after a reboot of the host, when its clock cannot go on; then its data, and only
then, are cleared (they carry a marker; the data of real devices never do).
"""

import base64
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pems_cli.run import secret_file
from pems_common.clock import open_clock, write_clock_file
from pems_common.errors import PemsError
from pems_common.home import Home, load_home
from pems_common.world import WorldFile, write_world_file

__all__ = ["MQTT_USERS", "main", "mosquitto_password_line", "mqtt_acl"]

MQTT_USERS = ("controller", "ingest", "house", "device")
"""Accounts of the broker: services, and one for real devices (Loxone gateway, inverter stick, Home Assistant)."""

REDIS_VOLUME = Path("/volumes/redis")
MQTT_VOLUME = Path("/volumes/mqtt")
_DEFAULT_START = datetime(2026, 1, 12, tzinfo=UTC)
_MARKER = ".scaled-run"


def mosquitto_password_line(user: str, password: str, salt: bytes | None = None) -> str:
    """Return a line of mosquitto's password file (PBKDF2-HMAC-SHA512, format `$7$`)."""
    salt = secrets.token_bytes(12) if salt is None else salt
    rounds = 101
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 64)
    return f"{user}:$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def mqtt_acl(home: Home) -> str:
    """Return mosquitto's ACL: only the controller may write command topics; devices write their own state."""
    devices = home.devices
    relays, sensors = devices.relays, devices.sensors
    commands = [f"{devices.inverter.command_topic}/#", relays.set_topic, relays.enable_topic, relays.watchdog_topic]
    commands += [devices.ev.set_topic, devices.water.set_topic, f"pems/{home.site.id}/#", "homeassistant/#"]
    states = [devices.inverter.state_topic, devices.inverter.result_topic, sensors.temperature_topic]
    states += [sensors.humidity_topic, sensors.target_topic, sensors.relay_topic, sensors.window_topic]
    states += [sensors.outdoor_topic, devices.ev.state_topic, devices.water.state_topic, "homeassistant/status"]
    readings = sensors.republish_topic.replace("{site}", home.site.id).replace("{type}", "+")
    writers = {"controller": commands, "ingest": [readings], "house": states, "device": states}
    lines = ["# written by pems_cli.container_init"]
    for user, topics in writers.items():
        lines += ["", f"user {user}", "topic read #"]
        lines += [f"topic write {topic.replace('{room}', '+')}" for topic in topics]
    return "\n".join(lines) + "\n"


def _redis_config(directory: Path, password: str) -> None:
    digest = hashlib.sha256(password.encode()).hexdigest()
    (directory / "users.acl").write_text(
        f"user default off\nuser pems on #{digest} ~* &* +@all -@dangerous +info +config|get +keys +client|list\n"
    )
    (directory / "data").mkdir(exist_ok=True)
    (directory / "redis.conf").write_text(
        "bind 0.0.0.0\nprotected-mode yes\nport 6379\n"
        f"aclfile {directory}/users.acl\ndir {directory}/data\n"
        'appendonly yes\nappendfsync everysec\nmaxmemory 384mb\nmaxmemory-policy noeviction\nsave ""\n'
    )


def _mqtt_config(directory: Path, passwords: dict[str, str], home: Home) -> None:
    known = directory / "passwords"
    known.write_text("".join(mosquitto_password_line(u, p) + "\n" for u, p in passwords.items()))
    known.chmod(0o600)
    (directory / "acl").write_text(mqtt_acl(home))
    (directory / "acl").chmod(0o600)
    (directory / "data").mkdir(exist_ok=True)
    (directory / "mosquitto.conf").write_text(
        "listener 1883\nallow_anonymous false\n"
        f"password_file {known}\nacl_file {directory}/acl\n"
        f"persistence true\npersistence_location {directory}/data/\nmax_queued_messages 2000\nlog_dest stdout\n"
    )


def _start_time(text: str) -> datetime:
    if not text:
        return _DEFAULT_START
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise PemsError(f"PEMS_START={text!r} is no date", remedy="write YYYY-MM-DD, for example 2026-01-12") from None


def _clock_goes_on(path: Path) -> bool:
    with suppress(PemsError):
        return path.exists() and bool(open_clock(path))
    return False


def _new_run(data: Path, redis: Path) -> None:
    """Clear the last simulated run; refuse where data of real devices lie.

    Raises:
        PemsError: The data carry no marker of a simulated run.
    """
    left = [item for item in data.iterdir() if item.name not in {"monitor", _MARKER}]
    if left and not (data / _MARKER).exists():
        raise PemsError(
            "these volumes hold data of real devices, and home.yaml asks for the simulated house",
            remedy="give the simulation its own volumes: COMPOSE_PROJECT_NAME=pems-demo docker compose up",
        )
    for item in left:
        shutil.rmtree(item, ignore_errors=True) if item.is_dir() else item.unlink(missing_ok=True)
    shutil.rmtree(redis / "data", ignore_errors=True)
    (data / _MARKER).touch()


def main() -> int:
    """Prepare the volumes; returns the exit status."""
    run = Path(os.environ["PEMS_CLOCK_FILE"]).parent
    data = Path(os.environ["PEMS_DATA"])
    own = Path(os.environ["PEMS_INTERNAL_KEY_FILE"]).parent
    redis, mqtt = REDIS_VOLUME, MQTT_VOLUME
    try:
        home = load_home(Path(os.environ["PEMS_HOME"]))
        speed = float(os.environ.get("PEMS_SPEED") or "60") if home.devices.simulated else 1.0
        clock_file = run / "clock.json"
        if home.devices.simulated and not _clock_goes_on(clock_file):
            _new_run(data, redis)
            start = _start_time(os.environ.get("PEMS_START", ""))
            run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
            write_clock_file(clock_file, run_id=run_id, sim_start=start, speed=speed)
            seed = int(os.environ.get("PEMS_SEED") or "1")
            write_world_file(run / "world.json", WorldFile(kind="generated", seed=seed))
        elif not home.devices.simulated:
            if (data / _MARKER).exists():
                raise PemsError(
                    "these volumes hold a simulated run, and home.yaml names real devices",
                    remedy="remove the simulated data first: docker compose down -v",
                )
            clock_file.unlink(missing_ok=True)
            (run / "world.json").unlink(missing_ok=True)
        secret_file(own / "internal.key")
        secret_file(own / "flower.password")
        _redis_config(redis, secret_file(redis_password := own / "redis.password")[0])
        passwords = {user: secret_file(own / f"mqtt-{user}.password")[0] for user in MQTT_USERS}
        _mqtt_config(mqtt, passwords, home)
        redis_password.chmod(0o600)
    except (PemsError, OSError, ValueError) as error:
        print(f"init: {error}", file=sys.stderr)
        return 1
    password = subprocess.run(
        [sys.executable, "-P", "-m", "pems_monitor.accounts", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    if password.returncode:
        print(f"init: no page account: {password.stderr.strip()}", file=sys.stderr)
        return 1
    if password.stdout.strip():
        print(f"The page's password, shown this once: {password.stdout.strip()}")
    flower = (own / "flower.password").read_text().strip()
    anchor = json.loads(clock_file.read_text()) if clock_file.exists() else {}
    print(f"Flower: user pems, password {flower}" if password.stdout.strip() else "Flower: password as before")
    print(f"House time: {anchor.get('sim_start') or 'real'} at {anchor.get('speed', 1)}x. The volumes are ready.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
