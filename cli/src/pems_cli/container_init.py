"""The init step of `docker compose up`: secrets, server configurations, clock and world into the volumes.

It runs before everything else, as the same unprivileged user, and may run again at any time: what exists stays.
A simulated run in scaled time starts anew only after a reboot of the host, when its clock cannot go on; then its
data, and only then, are cleared (they carry a marker; the data of real devices never do).
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
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from redis import Redis
from redis.exceptions import RedisError

from pems_cli.demo import house_start
from pems_cli.run import secret_file
from pems_cli.world import choose_world
from pems_common.clock import open_clock, write_clock_file
from pems_common.errors import PemsError
from pems_common.home import Home, load_home
from pems_common.world import write_world_file

__all__ = ["MQTT_USERS", "main", "mosquitto_password_line", "mqtt_acl"]

MQTT_USERS = ("controller", "ingest", "house", "device")
"""Accounts of the broker: services, and one for real devices (Loxone gateway, inverter stick, Home Assistant)."""

REDIS_VOLUME = Path("/volumes/redis")
MQTT_VOLUME = Path("/volumes/mqtt")
_MARKER = ".simulated-run"
_REAL_TIME = "real time"


def mosquitto_password_line(user: str, password: str, salt: bytes | None = None) -> str:
    """Return a line of mosquitto's password file (PBKDF2-HMAC-SHA512, format `$7$`)."""
    salt = secrets.token_bytes(12) if salt is None else salt
    rounds = 101
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 64)
    return f"{user}:$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def mqtt_acl(home: Home) -> str:
    """Return mosquitto's ACL: only the controller may write command topics; devices write their own state.

    The simulated house reads commands only; an account of real devices reads everything, for Home Assistant.
    """
    devices = home.devices
    relays, sensors = devices.relays, devices.sensors
    commands = [f"{devices.inverter.command_topic}/#", relays.set_topic, relays.enable_topic, relays.watchdog_topic]
    commands += [devices.ev.set_topic, devices.water.set_topic]
    announcements = [f"pems/{home.site.id}/#", "homeassistant/#"]
    states = [devices.inverter.state_topic, devices.inverter.result_topic, sensors.temperature_topic]
    states += [sensors.humidity_topic, sensors.target_topic, sensors.relay_topic, sensors.window_topic]
    states += [sensors.outdoor_topic, devices.ev.state_topic, devices.water.state_topic, "homeassistant/status"]
    readings = sensors.republish_topic.replace("{site}", home.site.id).replace("{type}", "+")
    writers = {"controller": commands + announcements, "ingest": [readings], "house": states, "device": states}
    readers = {"house": commands}
    lines = ["# written by pems_cli.container_init"]
    for user, topics in writers.items():
        lines += ["", f"user {user}"]
        lines += [f"topic read {topic.replace('{room}', '+')}" for topic in readers.get(user, ["#"])]
        lines += [f"topic write {topic.replace('{room}', '+')}" for topic in topics]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """Write a server's file whole, readable by its owner only: the server may start at this moment."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    scratch.replace(path)


def _redis_config(directory: Path, password: str, init_password: str) -> None:
    digest, init_digest = (hashlib.sha256(text.encode()).hexdigest() for text in (password, init_password))
    _write(
        directory / "users.acl",
        "user default off\n"
        f"user pems on #{digest} ~* &* +@all -@dangerous +info +config|get +keys +client|list\n"
        f"user init on #{init_digest} +flushall\n",
    )
    (directory / "data").mkdir(exist_ok=True)
    _write(
        directory / "redis.conf",
        "bind 0.0.0.0\nprotected-mode yes\nport 6379\n"
        f"aclfile {directory}/users.acl\ndir {directory}/data\n"
        'appendonly yes\nappendfsync everysec\nmaxmemory 384mb\nmaxmemory-policy noeviction\nsave ""\n',
    )


def _mqtt_config(directory: Path, passwords: dict[str, str], home: Home) -> None:
    known = directory / "passwords"
    _write(known, "".join(mosquitto_password_line(u, p) + "\n" for u, p in passwords.items()))
    _write(directory / "acl", mqtt_acl(home))
    (directory / "data").mkdir(exist_ok=True)
    _write(
        directory / "mosquitto.conf",
        "listener 1883\nallow_anonymous false\n"
        f"password_file {known}\nacl_file {directory}/acl\n"
        f"persistence true\npersistence_location {directory}/data/\nmax_queued_messages 2000\nlog_dest stderr\n",
    )


def _goes_on(data: Path, clock_file: Path) -> bool:
    """Tell whether a simulated run lies here whose house time can go on."""
    marker = data / _MARKER
    if not marker.exists():
        return False
    if marker.read_text() == _REAL_TIME:
        return True
    with suppress(PemsError):
        return clock_file.exists() and bool(open_clock(clock_file))
    return False


def _empty_running_redis(init_password: str) -> bool:
    """Empty the Redis server if it runs: after a reboot of the host it does, with the last run's future in it."""
    host = urlsplit(os.environ.get("PEMS_REDIS_URL", "")).hostname
    if host is None:
        return False
    client = Redis(host, username="init", password=init_password, socket_timeout=5, socket_connect_timeout=2)
    try:
        return bool(client.flushall())
    except RedisError:
        return False
    finally:
        client.close()


def _clear_last_run(data: Path, redis_running: bool) -> None:
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
    if not redis_running:
        shutil.rmtree(REDIS_VOLUME / "data", ignore_errors=True)
    (MQTT_VOLUME / "data" / "mosquitto.db").unlink(missing_ok=True)


def _new_run(home: Home, run: Path, data: Path, init_password: str) -> None:
    """Begin a simulated run: clear the last one, choose time and world.

    Raises:
        PemsError: The data are of real devices, or PEMS_START is no date.
        ValueError: PEMS_SPEED or PEMS_SEED is no number, or there is no world as PEMS_SOURCES wants it.
    """
    speed = float(os.environ.get("PEMS_SPEED") or "60")
    text = os.environ.get("PEMS_START") or None
    try:
        start = house_start(text, speed, ZoneInfo(home.site.timezone))
    except ValueError:
        raise PemsError(f"PEMS_START={text!r} is no date", remedy="write YYYY-MM-DD, for example 2026-01-12") from None
    seed, sources = int(os.environ.get("PEMS_SEED") or "1"), os.environ.get("PEMS_SOURCES") or "auto"
    world, words = choose_world(sources, seed=seed, start_at=start, data_sets=None)
    _clear_last_run(data, _empty_running_redis(init_password))
    (data / _MARKER).write_text("scaled" if start is not None else _REAL_TIME)
    clock_file, world_file = run / "clock.json", run / "world.json"
    world_file.unlink(missing_ok=True)
    if world is not None:
        write_world_file(world_file, world)
    if start is None:
        clock_file.unlink(missing_ok=True)
    else:
        write_clock_file(clock_file, run_id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}", sim_start=start, speed=speed)
    print(f"A new simulated run: the house lives with {words}.")


def _real_house(run: Path, data: Path) -> None:
    """Make sure that nothing of a simulation reaches real devices.

    Raises:
        PemsError: The volumes hold a simulated run.
    """
    if (data / _MARKER).exists():
        raise PemsError(
            "these volumes hold a simulated run, and home.yaml names real devices",
            remedy="remove the simulated data first: docker compose down -v",
        )
    (run / "clock.json").unlink(missing_ok=True)
    (run / "world.json").unlink(missing_ok=True)


def main() -> int:
    """Prepare the volumes; returns the exit status."""
    run = Path(os.environ["PEMS_CLOCK_FILE"]).parent
    data = Path(os.environ["PEMS_DATA"])
    own = Path(os.environ["PEMS_INTERNAL_KEY_FILE"]).parent
    clock_file = run / "clock.json"
    try:
        home = load_home(Path(os.environ["PEMS_HOME"]))
        init_password, _ = secret_file(own / "redis-init.password")
        if not home.devices.simulated:
            _real_house(run, data)
        elif not _goes_on(data, clock_file):
            _new_run(home, run, data, init_password)
        # The second arming key where PEMS_ARM is not set: a simulated house may always be acted upon, a real one not.
        _write(run / "arm", "yes" if home.devices.simulated else "no")
        secret_file(own / "internal.key")
        secret_file(own / "flower.password")
        _redis_config(REDIS_VOLUME, secret_file(own / "redis.password")[0], init_password)
        passwords = {user: secret_file(own / f"mqtt-{user}.password")[0] for user in MQTT_USERS}
        _mqtt_config(MQTT_VOLUME, passwords, home)
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
