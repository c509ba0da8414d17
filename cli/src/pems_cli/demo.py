"""`./pems demo` and `./pems up`: run the native stack, say where the page is, and report what happened."""

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape

from pems_cli.embedded import ServerStartError
from pems_cli.paths import data_directory, data_sets_directory, home_file
from pems_cli.run import Run, RunError, open_run
from pems_cli.session import Session
from pems_cli.stack import SERVICES, Stack, StackOptions, build_stack
from pems_cli.world import choose_world
from pems_common.clock import SystemClock
from pems_common.home import Home, HomeError, load_home
from pems_common.world import WorldFile, write_world_file

__all__ = [
    "DemoOptions",
    "house_start",
    "load_home_or_explain",
    "make_world",
    "open_session",
    "report_can_be_written",
    "run_demo",
    "run_up",
]

_READY_WAIT_S = 240.0
_INTERRUPTED = 130  # as the shell has it for Ctrl-C
_DEFAULT_START = "2026-01-15T06:00"
_LIBRARIES = ("pems", "celery", "highspy", "nicegui", "numpy", "pulp", "pydantic", "redis", "xgboost-cpu")


@dataclass(frozen=True)
class DemoOptions:
    """What `./pems demo` was asked for.

    Attributes:
        hours: House hours to run once ready, None for no end.
        speed: House seconds per wall second.
        headless: Do not open the page.
        report: Where the JSON report goes.
        seed: Of the simulated house.
        only: Services to run.
        start: First local day, or day and time, None for the default winter morning (now at speed 1).
        sources: Of prices and weather: auto, live, replay or generated.
    """

    hours: float | None = None
    speed: float = 60.0
    headless: bool = False
    report: Path | None = None
    seed: int = 1
    only: frozenset[str] = frozenset(SERVICES)
    start: str | None = None
    sources: str = "auto"


def house_start(text: str | None, speed: float, zone: ZoneInfo) -> datetime | None:
    """First house time (UTC) from a local day or time; None means real time.

    Raises:
        ValueError: Not a date.
    """
    if text is None and speed == 1.0:
        return None
    local = datetime.fromisoformat(text or _DEFAULT_START)
    return (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(UTC)


def load_home_or_explain(console: Console) -> Home | None:
    """The site, or None after telling every problem."""
    try:
        return load_home(home_file())
    except HomeError as error:
        console.print(f"[red]{escape(error.source)} cannot be used:[/red]")
        for problem in error.problems:
            console.print(f"  {escape(str(problem))}")
        return None


def report_can_be_written(report: Path | None, console: Console) -> bool:
    """Whether the report's place is good; told now, not after hours of running."""
    if report is None:
        return True
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("a"):
            return True
    except OSError as error:
        console.print(f"[red]--report {escape(str(report))} cannot be written: {escape(str(error.strerror))}[/red]")
        return False


def _last_days(options: DemoOptions, home: Home, console: Console) -> tuple[WorldFile | None, datetime | None]:
    """The last days as they were, and when to start in them; (None, None) where others are wanted or none come."""
    if options.speed == 1.0 or options.start is not None or options.sources not in ("auto", "live"):
        return None, None
    from pems_cli.prefetch import fetch_last_days, last_days_start

    world, why = fetch_last_days(home, seed=options.seed)
    if world is None:
        console.print(f"[dim]no prices and weather of the last days: {escape(why)}[/dim]")
        return None, None
    return world, last_days_start(SystemClock().wall_now(), home.site.zone)


def make_world(console: Console, run: Run, sources: str, seed: int, live: WorldFile | None = None) -> bool:
    """Write the run's world file and say which world it is; false after telling why it cannot be."""
    try:
        if live is not None:
            chosen: tuple[WorldFile | None, str] = live, "the last days' weather and prices, fetched just now"
        else:
            chosen = choose_world(sources, seed=seed, start_at=run.start_at, data_sets=data_sets_directory())
    except ValueError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        run.close()
        return False
    world, words = chosen
    if world is None:
        run.world_file.unlink(missing_ok=True)
    else:
        write_world_file(run.world_file, world)
    console.print(f"the house lives with {words}")
    return True


def open_session(console: Console, run: Run, options: StackOptions) -> Session | None:
    """Build the stack and say which ports moved; None after telling why it cannot be."""
    try:
        stack = build_stack(run, options)
    except ServerStartError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        run.close()
        return None
    for name, (usual, port) in stack.moved.items():
        console.print(f"port {usual} ({name}) is busy: using {port}")
    return Session(run, stack, tell=lambda line: console.print(f"[dim]{escape(line)}[/dim]"))


def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the simulated house with everything around it; returns the exit status."""
    home = load_home_or_explain(console)
    if home is None or not report_can_be_written(options.report, console):
        return 2
    live, start_at = _last_days(options, home, console)
    if live is None and options.sources == "live" and options.speed != 1.0:
        return 2
    try:
        if live is None:
            start_at = house_start(options.start, options.speed, ZoneInfo(home.site.timezone))
        run = open_run(data_directory(), speed=options.speed, start_at=start_at)
    except ValueError:
        console.print(f"[red]--start {escape(str(options.start))} is no date: write 2026-01-15[/red]")
        return 2
    except RunError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 2
    if not make_world(console, run, options.sources, options.seed, live):
        return 2
    wanted = StackOptions(options.only, home_file(), armed=True, sources=options.sources, seed=options.seed)
    session = open_session(console, run, wanted)
    if session is None:
        return 2
    return _drive(session, console, hours=options.hours, report=options.report, open_page=not options.headless)


def run_up(console: Console) -> int:
    """Run the site natively in real time; returns the exit status."""
    home = load_home_or_explain(console)
    if home is None:
        return 2
    try:
        run = open_run(data_directory(), speed=1.0, start_at=None)
    except RunError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 2
    services = set(SERVICES) if home.devices.simulated else set(SERVICES) - {"house"}
    armed = os.environ.get("PEMS_ARM", "") == "yes"
    options = StackOptions(services, home_file(), armed, os.environ.get("PEMS_SOURCES", "auto"), own_servers=False)
    session = open_session(console, run, options)
    if session is None:
        return 2
    return _drive(session, console, hours=None, report=None, open_page=False)


def _drive(session: Session, console: Console, *, hours: float | None, report: Path | None, open_page: bool) -> int:
    run = session.run
    when = "in real time" if run.start_at is None else f"from {run.start_at:%Y-%m-%d %H:%M} UTC at {run.speed:g}x"
    console.print(f"starting PEMS {when}; logs in {run.directory / 'log'}")
    summary: dict[str, Any] = {}
    try:
        password = _first_password(session)
        if session.start(_READY_WAIT_S):
            console.print(f"everything is ready after {session.ready_s} s")
            _tell_addresses(session, console, password)
            if open_page and "monitor" in session.supervisor.parts:
                import typer

                typer.launch(session.stack.url("monitor"))
            _watch(session, console, hours)
            summary = session.observer.report()
        elif session.not_ready and not session.interrupted:
            for name in session.not_ready:
                log = session.supervisor.log_of(name)
                tail = log.read_text(errors="replace")[-1500:] if log.is_file() else ""
                console.print(f"[red]{name} did not become ready[/red]; the end of {log}:\n{escape(tail)}")
    finally:
        session.stop()
    cut_short = session.interrupted and hours is not None
    ok = session.ready_s is not None and not session.supervisor.ended and not cut_short
    if report is not None:
        report.write_text(json.dumps(_full_report(session, summary, ok=ok), indent=1) + "\n")
        console.print(f"report: {report}")
    if session.interrupted and not session.supervisor.ended:
        return _INTERRUPTED if cut_short else 0  # without --hours, Ctrl-C is how it ends
    return 0 if ok else 1


def _tell_addresses(session: Session, console: Console, password: str | None) -> None:
    stack = session.stack
    if "monitor" in session.supervisor.parts:
        console.print(f"page:   [bold]{stack.url('monitor')}[/bold]")
        if password is not None:
            console.print(f"        password (shown once): [bold]{escape(password)}[/bold]")
    if "flower" in session.supervisor.parts:
        console.print(f"tasks:  {stack.url('flower')} (user pems, password {stack.flower_password})")
    console.print("stop with Ctrl-C")


def _first_password(session: Session) -> str | None:
    """Make the page's account where there is none; returns the password then, the only time it is seen."""
    if "monitor" not in session.supervisor.parts:
        return None
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pems_monitor.accounts", "--data", str(session.run.directory)],
        env={**os.environ, **session.stack.env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None


def _watch(session: Session, console: Console, hours: float | None) -> None:
    """Sample each house minute until `hours` of house time are over, a stop is asked for, or for ever."""
    speed = session.run.speed
    begun = time.monotonic()
    minute_s, hour_s = 60.0 / speed, 3600.0 / speed
    end = None if hours is None else begun + hours * hour_s
    next_sample, next_line = begun, begun + hour_s
    session.observer.begin()
    while not session.interrupted and (end is None or time.monotonic() < end):
        now = time.monotonic()
        if now >= next_sample:
            status = session.observer.sample()
            next_sample += max(minute_s, 0.2)
            if now >= next_line:
                next_line += hour_s
                console.print(_hour_line(status, (now - begun) * speed / 3600.0))
        session.step()


def _hour_line(status: dict[str, Any] | None, hours: float) -> str:
    if status is None:
        return f"{hours:5.1f} h  the controller does not answer"
    plan = "no plan" if not status.get("plan_id") else f"plan {float(status.get('plan_age_s') or 0) / 60:.0f} min old"
    return f"{hours:5.1f} h  mode {status.get('house_mode')}, {plan}, {len(status.get('violations') or [])} violations"


def _full_report(session: Session, summary: dict[str, Any], *, ok: bool) -> dict[str, Any]:
    stack: Stack = session.stack
    return {
        "ok": ok,
        "run_id": session.run.run_id,
        "speed": session.run.speed,
        "start_at": None if session.run.start_at is None else session.run.start_at.isoformat(),
        "ready_s": session.ready_s,
        "ready_after_s": session.supervisor.ready_after_s,
        "not_ready": session.not_ready,
        "interrupted": session.interrupted,
        **summary,
        "ended": [{"name": e.name, "code": e.code, "after_s": e.after_s} for e in session.supervisor.ended],
        "restarts": session.supervisor.restarts(),
        "memory_peak_mb": session.memory.peak_mb,
        "memory_pss_mb": session.memory.pss_mb,
        "ports_moved": {name: list(pair) for name, pair in stack.moved.items()},
        "versions": _versions(stack),
    }


def _versions(stack: Stack) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except ImportError:
            continue
    if stack.redis is not None:
        found["redis_server"] = stack.redis.kind
    if stack.broker is not None:
        found["mqtt_broker"] = stack.broker.kind
    return found
