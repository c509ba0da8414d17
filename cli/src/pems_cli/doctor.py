"""`./pems doctor`: looks at this machine and says in plain words what is well and what to do about the rest."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.markup import escape

from pems_cli.embedded.mqtt_broker import find_mosquitto
from pems_cli.embedded.redis_server import find_redis_binary
from pems_cli.paths import data_directory, data_sets_directory, home_file
from pems_cli.ports import port_is_free
from pems_cli.stack import SERVICES
from pems_common.home import HomeError, load_home

__all__ = ["Finding", "examine", "run_doctor"]

_NEEDED_MB = 900
_NEEDED_DISK_MB = 500


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        subject: What.
        level: ok, note (works, but worth knowing) or problem (does not work).
        text: What was found.
        remedy: What to do, empty when nothing.
    """

    subject: str
    level: Literal["ok", "note", "problem"]
    text: str
    remedy: str = ""


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")


def _home() -> Finding:
    path = home_file()
    try:
        home = load_home(path)
    except HomeError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        return Finding("home.yaml", "problem", problems, f"correct {path}, then run ./pems config check")
    kind = "simulated devices" if home.devices.simulated else "real devices"
    return Finding("home.yaml", "ok", f"{path}: {len(home.rooms)} rooms, {kind}")


def _data() -> Finding:
    path = data_directory()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        return Finding("data", "problem", f"cannot write to {existing}", "set PEMS_DATA to a directory of yours")
    free_mb = shutil.disk_usage(existing).free // 2**20
    if free_mb < _NEEDED_DISK_MB:
        return Finding("data", "problem", f"only {free_mb} MB free at {existing}", "make room there")
    return Finding("data", "ok", f"{path}, {free_mb // 1024} GB free")


def _redis() -> Finding:
    found = find_redis_binary()
    if found is None:
        return Finding("redis", "problem", "no server found", "apt-get install redis-server")
    return Finding("redis", "ok", f"{found[0]} ({found[1]})")


def _broker() -> Finding:
    if path := find_mosquitto():
        return Finding("mqtt", "ok", f"mosquitto ({path})")
    return Finding("mqtt", "note", "amqtt, which came with PEMS", "for many devices: apt-get install mosquitto")


def _ports() -> Finding:
    usual = {**SERVICES, "redis": 6379, "mqtt": 1883, "flower": 5555}
    busy = [f"{port} ({name})" for name, port in usual.items() if not port_is_free(port)]
    if busy:
        return Finding("ports", "note", f"busy: {', '.join(busy)}", "the next free ones are taken instead")
    return Finding("ports", "ok", "all usual ones are free")


def _memory() -> Finding:
    import psutil

    free_mb = psutil.virtual_memory().available // 2**20
    if free_mb < _NEEDED_MB:
        return Finding("memory", "note", f"{free_mb} MB free", f"all services together take up to {_NEEDED_MB} MB")
    return Finding("memory", "ok", f"{free_mb} MB free")


def _data_sets() -> Finding:
    if (folder := data_sets_directory()) is None:
        return Finding(
            "data sets", "note", "absent: faster demos use generated days", "set PEMS_DATA_DIR to have real ones"
        )
    return Finding("data sets", "ok", str(folder))


def _docker() -> Finding:
    path = shutil.which("docker")
    if path is None:
        return Finding("docker", "note", "not installed", "only needed for docker compose up")
    try:
        done = subprocess.run([path, "info"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Finding("docker", "note", "installed, does not answer", "start its service, or do without")
    if done.returncode != 0:
        return Finding("docker", "note", "installed, its engine is not reachable", "start it, or do without")
    return Finding("docker", "ok", path)


_EXAMINATIONS: tuple[Callable[[], Finding], ...] = (
    _python,
    _home,
    _data,
    _memory,
    _redis,
    _broker,
    _ports,
    _data_sets,
    _docker,
)


def examine() -> list[Finding]:
    """Look at everything."""
    return [examination() for examination in _EXAMINATIONS]


def run_doctor(console: Console) -> int:
    """Print the findings; returns 1 when there is a problem."""
    colours = {"ok": "green", "note": "yellow", "problem": "red"}
    findings = examine()
    for finding in findings:
        mark = f"[{colours[finding.level]}]{finding.level:<8}[/]"
        console.print(f"{mark}{finding.subject:<10} {escape(finding.text)}", highlight=False)
        if finding.remedy:
            console.print(f"{'':<19}-> {escape(finding.remedy)}", highlight=False)
    return 1 if any(finding.level == "problem" for finding in findings) else 0
