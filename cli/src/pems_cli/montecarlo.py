"""`./pems montecarlo plan`: one plan on many possible courses of its days (docs/montecarlo.md).

A running PEMS works on it, or, for a made case or a problem file, this process. The result goes to standard output,
progress and complaints to standard error.
"""

import importlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from pems_cli.paths import ROOT
from pems_cli.studies import FAILED, SUCCESS, WRONG_INPUT, WrongInput, check_targets, telling_wrong_input
from pems_common.errors import PermanentError

if TYPE_CHECKING:
    from pems_optimizer.domain.plan_record import PlanRecord
    from pems_optimizer.domain.problem import PlanningProblem

__all__ = ["FanOptions", "run_plan_fan"]

_TIMEOUT_S = 30.0
_ASK_EVERY_S = 0.5
_SLOW_AFTER_S, _GIVE_UP_AFTER_S = 30.0, 900.0  # without any progress
_SOLVE_S = 20.0
_BINS, _BAR = 14, 40
_SHOWN_ROOMS = 8
_BANDS = ("pv_w", "load_w", "buy", "sell")
_DRIVERS = {
    "pv_kwh": "PV (and sun)",
    "load_kwh": "household load",
    "buy_czk_kwh": "prices",
    "outdoor_c": "temperature outdoors",
    "rest": "when, and several together",
}


@dataclass(frozen=True)
class FanOptions:
    """What the command line says.

    Attributes:
        plan: Plan id; empty: the newest.
        draws: Possible courses of the days.
        seed: Of the draws.
        relays: How they are held: strict or guarded.
        case: `winter` or a problem file, to be planned and studied here; empty: a plan of a running PEMS.
        url: Address of the optimizer.
        key: API key that may write.
        as_json: Print JSON.
        output: File for everything, numbers of each draw included (JSON).
        picture: File for a picture.
    """

    plan: str = ""
    draws: int = 1000
    seed: int = 1
    relays: str = "strict"
    case: str = ""
    url: str = ""
    key: str = ""
    as_json: bool = False
    output: Path | None = None
    picture: Path | None = None


@dataclass(frozen=True)
class _Fan:
    """What came of it.

    Attributes:
        about: Which plan, in words.
        unit: Of money.
        summary: As `pems_optimizer.domain.plan_fan.fan_summary` gives it.
        values: Numbers of all draws, by column.
        study_id: Where PEMS ran it.
    """

    about: str
    summary: Mapping[str, Any]
    values: Mapping[str, list[float]]
    unit: str = "CZK"
    study_id: str = ""


class _Refused(Exception):
    """What is in the way, and the exit status."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class _Watch:
    """Shows progress, and says when there is none."""

    console: Console
    progress: Progress
    total: int
    task: Any = field(init=False)
    done: int = -1
    since: float = field(default_factory=time.monotonic)
    told: bool = False

    def __post_init__(self) -> None:
        self.task = self.progress.add_task("courses", total=self.total)

    def see(self, done: int) -> None:
        """Take in how many are done.

        Raises:
            _Refused: Nothing was done for too long.
        """
        self.progress.update(self.task, completed=done)
        if done > self.done:
            self.done, self.since = done, time.monotonic()
            return
        quiet_s = time.monotonic() - self.since
        if quiet_s > _GIVE_UP_AFTER_S:
            raise _Refused(f"no progress for {_GIVE_UP_AFTER_S / 60:.0f} minutes: does a bulk worker run?")
        if quiet_s > _SLOW_AFTER_S and not self.told:
            self.told = True
            self.console.print("No progress yet: the bulk worker is busy, or none runs (./pems doctor).")


def run_plan_fan(options: FanOptions, console: Console) -> int:
    """Run it and tell; returns the exit status."""
    try:
        with telling_wrong_input(console):
            check_targets(options.output, options.picture)
            with Progress(console=console, transient=True) as progress:
                watch = _Watch(console, progress, options.draws)
                fan = _here(options, watch) if options.case else _by_pems(options, watch)
    except WrongInput:
        return WRONG_INPUT
    except httpx.HTTPError as error:
        console.print(f"no answer from {options.url}: {error}. Does PEMS run (./pems demo, ./pems up)?", style="red")
        console.print("Without it: ./pems montecarlo plan --case winter, or --case my-problem.json.")
        return FAILED
    except _Refused as error:
        console.print(str(error), style="red", markup=False)
        return error.status
    return _told(fan, options, console)


# --- by a running PEMS -----------------------------------------------------------------------------------------


def _by_pems(options: FanOptions, watch: _Watch) -> _Fan:
    params: dict[str, Any] = {"seed": options.seed, "relays": options.relays}
    if options.plan:
        params["plan_id"] = options.plan
    wish = {"kind": "plan_fan", "params": params, "items": options.draws}
    headers = {"X-API-Key": options.key}
    with httpx.Client(base_url=options.url, timeout=_TIMEOUT_S, headers=headers, follow_redirects=True) as client:
        begun = _answer(client.post("/v1/studies", json=wish), httpx.codes.ACCEPTED)
        where = f"/v1/studies/{begun['study_id']}"
        while (state := _answer(client.get(where)))["state"] == "running":
            watch.see(int(state["done_items"]))
            time.sleep(_ASK_EVERY_S)
        if state["state"] == "failed":
            reasons = "; ".join(f"part {chunk}: {why}" for chunk, why in state["failures"].items())
            raise _Refused(f"the study {begun['study_id']} failed: {reasons}")
        whole = _answer(client.get(where, params={"values": "true"}))
    about = f"plan {options.plan}" if options.plan else "the newest plan"
    return _Fan(about, whole["summary"], whole["values"], study_id=whole["study_id"])


def _answer(reply: httpx.Response, expected: int = httpx.codes.OK) -> dict[str, Any]:
    """Read an answer.

    Raises:
        _Refused: It says no, with its own words.
    """
    try:
        data = reply.json()
    except ValueError:
        data = None
    if reply.status_code == expected and isinstance(data, dict):
        return data
    detail = data.get("detail", "") if isinstance(data, dict) else reply.text[:200]
    remedy = data.get("remedy", "") if isinstance(data, dict) else ""
    text = ": ".join(str(part) for part in (reply.status_code, detail) if part) + (f" ({remedy})" if remedy else "")
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        text += ". Give a key that may write: --key, or PEMS_API_KEY"
    wrong = reply.status_code in (httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY)
    raise _Refused(text, WRONG_INPUT if wrong else FAILED)


# --- here ------------------------------------------------------------------------------------------------------


def _here(options: FanOptions, watch: _Watch) -> _Fan:
    from pems_optimizer.domain.plan_fan import RELAYS, fan_columns, fan_item, fan_summary
    from pems_optimizer.study_kind import by_column

    relays = next((name for name in RELAYS if name == options.relays), None)
    if relays is None:
        raise PermanentError(f"relays cannot be {options.relays}", remedy=f"there are {', '.join(RELAYS)}")
    record, unit = _winter() if options.case == "winter" else _planned_file(Path(options.case))
    if certain := [name for name in _BANDS if name not in record.problem.bands]:
        watch.console.print(f"no P10 and P90 of {', '.join(certain)}: taken as certain", markup=False)
    work, rows = fan_item(record, options.seed, relays), []
    for number in range(options.draws):
        rows.append(work(number))
        watch.see(number + 1)
    values = by_column(fan_columns(record.problem), rows)
    about = "the made winter day" if options.case == "winter" else f"the plan of {options.case}"
    return _Fan(about, fan_summary(values), {name: of.tolist() for name, of in values.items()}, unit)


def _winter() -> tuple["PlanRecord", str]:
    """Plan the benchmarks' made winter day of the house of config/home.yaml."""
    from pems_common.home import load_home
    from pems_optimizer.domain.assemble import assemble

    sys.path.append(str(ROOT))  # the benchmarks are part of the checkout and not of what is installed
    made = importlib.import_module("benchmarks._winter")
    home = load_home(made.HOME)
    known = made.winter_case(home, 1)
    problem = assemble(home, known, now=made.START, decide_from=made.START)
    return _planned(problem, known.forecast.correlation), "CZK"


def _planned_file(path: Path) -> tuple["PlanRecord", str]:
    """Plan the problem of a file (docs/solve.md).

    Raises:
        PermanentError: It cannot be read.
    """
    from pems_optimizer.domain.problem_file.errors import ProblemFileError
    from pems_optimizer.domain.problem_file.reading import parse_json, read_document
    from pems_optimizer.domain.problem_file.to_problem import planning_problem

    try:
        document = read_document(parse_json(path.read_bytes()))
        problem = planning_problem(document)
    except OSError as error:
        raise PermanentError(f"{path}: {error.strerror}", remedy="give winter, or a problem file") from error
    except ProblemFileError as error:
        mistakes = "; ".join(str(mistake) for mistake in error.problems[:5])
        raise PermanentError(f"{path}: {mistakes}", remedy="docs/solve.md says what belongs into a file") from error
    return _planned(problem, {}), document.currency if document.czk_per_currency is None else "CZK"


def _planned(problem: "PlanningProblem", correlation: Mapping[str, float]) -> "PlanRecord":
    from pems_optimizer.domain.plan_record import PlanRecord
    from pems_optimizer.domain.sized_solving import solve_sized
    from pems_optimizer.domain.solving import NoPlan, SolverOptions

    began = time.monotonic()
    outcome = solve_sized(problem, SolverOptions(limit_s=_SOLVE_S), lambda: time.monotonic() - began)
    best = outcome.rules if isinstance(outcome, NoPlan) else outcome.best
    return PlanRecord(
        site="here",
        plan_id="here",
        plan_no=1,
        config_hash="",
        issued_at=problem.start.astimezone(UTC),
        objective_czk=best.cost.total,
        peak_w=best.peak_w,
        problem=problem,
        decision=best.decision,
        correlation=dict(correlation),
    )


# --- telling ---------------------------------------------------------------------------------------------------


def _told(fan: _Fan, options: FanOptions, console: Console) -> int:
    head = {
        "about": fan.about,
        "study_id": fan.study_id,
        "draws": options.draws,
        "seed": options.seed,
        "relays": options.relays,
        "currency": fan.unit,
        "summary": fan.summary,
    }
    try:
        if options.output is not None:
            whole = {**head, "made_at": datetime.now(UTC).isoformat(), "values": fan.values}
            options.output.write_text(json.dumps(whole) + "\n", encoding="utf-8")
        if options.picture is not None:
            _draw(fan, options.picture)
    except OSError as error:
        console.print(f"cannot be written: {error.strerror}", markup=False)
        return FAILED
    if options.as_json:
        print(json.dumps(head))
        return SUCCESS
    out = Console(soft_wrap=True)
    title = f"{fan.about}: {options.draws} possible courses of its days, relays {options.relays}"
    out.print(title, style="bold", markup=False, highlight=False)
    out.print(_money_table(fan))
    _print_histogram(fan.values["bill_czk"], f"at the meter [{fan.unit}]", out)
    _print_comfort(fan.summary["comfort"], out)
    out.print(_driver_table(fan.summary["drivers"]))
    return SUCCESS


def _money_table(fan: _Fan) -> Table:
    table = Table("", "mean", "P10", "P50", "P90", "worst tenth")
    rows: list[tuple[str, Mapping[str, Any], str, float, int]] = [
        (f"all that the plan counts [{fan.unit}]", fan.summary, "_czk", 1.0, 1),
        (f"at the meter [{fan.unit}]", fan.summary["bill"], "_czk", 1.0, 1),
        ("highest import [kW]", fan.summary["peak"], "_w", 1e-3, 2),
        ("K h below the bands, all rooms", fan.summary["comfort"], "_k_h", 1.0, 2),
    ]
    for name, of, unit, scale, digits in rows:
        told = (f"{of[f'{part}{unit}'] * scale:.{digits}f}" for part in ("mean", "p10", "p50", "p90", "cvar90"))
        table.add_row(escape(name), *told)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _print_comfort(comfort: Mapping[str, Any], out: Console) -> None:
    cold, inside = comfort["cold_share"], comfort["inside_share"]
    out.print(
        f"A room is more than 0.5 K below its band for over an hour in {cold:.1%} of the courses; "
        f"inside the bands widened by 0.5 K: {inside:.2%} of room-time.",
        highlight=False,
    )
    rooms = sorted(comfort["rooms"].items(), key=lambda item: -float(item[1]["mean_k_h"]))
    rooms = [(name, of) for name, of in rooms if of["p90_k_h"] >= 0.01 or of["mean_k_h"] >= 0.01]
    if not rooms:
        return
    table = Table("room", "K h below, mean", "P90")
    for name, of in rooms[:_SHOWN_ROOMS]:
        table.add_row(name, f"{of['mean_k_h']:.2f}", f"{of['p90_k_h']:.2f}")
    for column in table.columns[1:]:
        column.justify = "right"
    out.print(table)
    if len(rooms) > _SHOWN_ROOMS:
        out.print(f"and {len(rooms) - _SHOWN_ROOMS} rooms with less", highlight=False)


def _driver_table(drivers: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table("share of the spread by", "cost", "at the meter", "comfort")
    for name, words in _DRIVERS.items():
        shares = [drivers[of].get(name) for of in ("cost", "bill", "comfort")]
        table.add_row(words, *("-" if share is None else f"{share:.0%}" for share in shares))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _print_histogram(values: list[float], title: str, out: Console) -> None:
    """Print how often a result falls into each of some ranges of equal width."""
    least, most = min(values), max(values)
    width = (most - least) / _BINS
    if width <= 0.0:
        out.print(f"{title}: always {least:.1f}", highlight=False, markup=False)
        return
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int((value - least) / width))] += 1
    out.print(title, highlight=False, markup=False)
    for k, count in enumerate(counts):
        bar = "█" * round(count / max(counts) * _BAR)
        out.print(f"{least + k * width:>9.1f}  {bar} {count}", highlight=False, markup=False)


def _draw(fan: _Fan, path: Path) -> None:
    from matplotlib.figure import Figure  # no window system is needed

    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    panels = (
        ("bill_czk", f"at the meter [{fan.unit}]"),
        ("cost_czk", f"all that the plan counts [{fan.unit}]"),
        ("below_k_h", "K h below the bands, all rooms"),
    )
    for axes, (column, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.hist(fan.values[column], bins=40, color="#3465a4")
        axes.set_title(title, fontsize=9)
        axes.set_yticks([])
    figure.savefig(path)
