"""`./pems solve`: solves the planning problem of a JSON file; for people who have no PEMS house (docs/solve.md).

The answer goes to a file or to standard output, everything for people to standard error.
"""

import json
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["SolveOptions", "print_schema", "run_solve"]

_MOST_BYTES = 50_000_000
_HOURS_SHOWN = 8
_CERTIFICATE_S = 30.0
_SUCCESS, _FAILED, _WRONG_INPUT = 0, 1, 2


@dataclass(frozen=True)
class SolveOptions:
    """What the command line says: where the answer goes, and what holds instead of the file's own.

    Attributes:
        output: File of the answer; standard output where there is none.
        time_limit_s: Wall seconds for solving.
        strategy: point, robust or scenarios.
        certificate: Whether to look for a bound too.
    """

    output: Path | None = None
    time_limit_s: float | None = None
    strategy: str | None = None
    certificate: bool = False


def print_schema(*, answer: bool = False) -> int:
    """Print the JSON Schema of a problem file, or of its answer; returns the exit status."""
    from pems_optimizer.domain.problem_file.document import document_schema
    from pems_optimizer.domain.problem_file.result import answer_schema

    print(json.dumps(answer_schema() if answer else document_schema(), indent=2, ensure_ascii=False))
    return _SUCCESS


def run_solve(source: str, options: SolveOptions, console: Console) -> int:
    """Solve the problem of a file, or of standard input where `source` is `-`; returns the exit status."""
    from pems_optimizer.domain.problem_file.errors import ProblemFileError
    from pems_optimizer.domain.problem_file.reading import parse_json
    from pems_optimizer.domain.problem_file.solve_file import solve_problem_file

    text = _read(source, console)
    if text is None:
        return _WRONG_INPUT
    began = time.monotonic()
    try:
        data = _with_options(parse_json(text), options)
        answer = solve_problem_file(data, lambda: time.monotonic() - began)
    except ProblemFileError as error:
        console.print(f"{source}: {len(error.problems)} to correct", markup=False)
        for mistake in error.problems:
            console.print(f"  {mistake}", markup=False)
        return _WRONG_INPUT
    written = json.dumps(answer, ensure_ascii=False)
    try:
        if options.output is None:
            print(written)
        else:
            options.output.write_text(written + "\n", encoding="utf-8")
    except OSError as error:
        console.print(f"{options.output}: cannot be written: {error.strerror}", markup=False)
        return _FAILED
    _summary(answer, options.output, console)
    return _SUCCESS


def _read(source: str, console: Console) -> bytes | None:
    """Read the file; what is in the way is told."""
    try:
        if source == "-":
            text = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        console.print(f"{source}: cannot be read: {error.strerror}", markup=False)
        return None
    if len(text) > _MOST_BYTES:
        console.print(f"{source}: is larger than {_MOST_BYTES // 1_000_000} MB: no planning problem", markup=False)
        return None
    return text


def _with_options(data: Any, options: SolveOptions) -> Any:
    """Put what the command line says into the file's data."""
    if not isinstance(data, dict):
        return data
    for part, field, value in (
        ("solver", "time_limit_s", options.time_limit_s),
        ("solver", "certificate_limit_s", _CERTIFICATE_S if options.certificate else None),
        ("uncertainty", "strategy", options.strategy),
    ):
        inner = data.get(part, {})
        if value is not None and isinstance(inner, dict):
            data = {**data, part: {**inner, field: value}}
    return data


def _summary(answer: dict[str, Any], output: Path | None, console: Console) -> None:
    """Tell people the main things."""
    unit, solver, cost = answer["currency"], answer["solver"], answer["cost"]
    step_h = answer["step_minutes"] / 60.0
    title = answer["name"] or "plan"
    console.print(f"{title}: {answer['slots']} slots of {answer['step_minutes']} min", style="bold", markup=False)
    parts = ", ".join(f"{name} {cost[name]:.2f}" for name in ("energy", "wear", "peak", "comfort", "switching"))
    console.print(f"  objective {cost['total']:.2f} {unit} ({parts})", markup=False)
    console.print(f"  simple rules come to {answer['rules_total']:.2f} {unit}", markup=False)
    console.print(f"  paid for energy {answer['net_cost']:.2f} {unit}", markup=False)
    found = f"  found by {solver['name']} in {solver['solve_s']:.2f} s: {solver['status']}{_gap(solver, unit)}"
    console.print(found, markup=False)
    if solver["why"]:
        console.print(f"  {solver['why']}", style="yellow", markup=False)
    for violation in answer["violations"]:
        at = _local(answer, violation["slot"])
        told = f"  not kept: {violation['rule']} by {violation['amount']:g} at {at}"
        console.print(told, style="yellow", markup=False)
    console.print(_hours(answer, max(1, round(1.0 / step_h))))
    if output is not None:
        console.print(f"  written to {output}", markup=False)


def _gap(solver: dict[str, Any], unit: str) -> str:
    if solver["gap"] is None:
        return ""
    share = "" if solver["gap_rel"] is None else f" ({100.0 * solver['gap_rel']:.2f} %)"
    return f", at most {solver['gap']:.2f} {unit}{share} from the best, {solver['bound_kind']}"


def _local(answer: dict[str, Any], slot: int) -> str:
    at = datetime.fromisoformat(answer["start"]) + timedelta(minutes=slot * answer["step_minutes"])
    return at.strftime("%a %H:%M")


def _hours(answer: dict[str, Any], slots_an_hour: int) -> Table:
    """The first hours as a table: means of power, share of the hour for what is on or off."""
    table = Table(box=None, padding=(0, 2))
    table.add_column("from", no_wrap=True)
    for name in ("PV W", "grid W", "battery W", "SoC %", "car W", "on"):
        table.add_column(name, justify="left" if name == "on" else "right")
    battery = answer["battery"]
    switched = {name: room["relay_on"] for name, room in answer["rooms"].items()} | answer["appliances"]
    if answer["water"] is not None:
        switched["water"] = answer["water"]["on"]
    for first in range(0, min(answer["slots"], _HOURS_SHOWN * slots_an_hour), slots_an_hour):
        hour = slice(first, first + slots_an_hour)

        def mean(values: list[float], hour: slice = hour) -> str:
            part = values[hour]
            return f"{sum(part) / len(part):.0f}" if part else "-"

        on = [name for name, states in switched.items() if any(states[hour])]
        table.add_row(
            _local(answer, first),
            mean(answer["pv_used_w"]),
            mean(answer["grid_power_w"]),
            mean(battery["power_w"]) if battery else "-",
            f"{battery['soc_pct'][hour][-1]:.0f}" if battery else "-",
            mean(answer["ev_power_w"]),
            escape(", ".join(on)) or "-",
        )
    return table
