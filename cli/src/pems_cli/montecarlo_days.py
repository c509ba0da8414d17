"""`./pems montecarlo days` and `replay-day`: days of the simulated house with random faults (docs/montecarlo.md).

Days are lived through by processes of this machine, or, with an address, by the bulk workers of a running PEMS. The
result goes to standard output, progress and complaints to standard error.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pems_cli.paths import data_directory, data_sets_directory, home_file
from pems_cli.studies import FAILED, SUCCESS, WRONG_INPUT, WrongInput, check_targets, telling_wrong_input
from pems_common.errors import PemsError, PermanentError
from pems_common.home import Home, load_home
from pems_lab.arms.jobs import WorldChoice, code_version
from pems_lab.faults.day import DayResult, run_day
from pems_lab.faults.draw import Season, draw_day
from pems_lab.faults.jobs import DayStudy, finish_days, summary_of, worst_cases

__all__ = ["DaysOptions", "ReplayOptions", "World", "complaints", "replay_day", "run_days"]

World = Literal["generated", "reference"]

_TIMEOUT_S = 30.0
_ASK_EVERY_S = 5.0
_PATIENT_TRIES = 60
_LABELS = {
    "faults": "faults",
    "cost_czk": "cost and wear [CZK]",
    "peak_w": "peak import, 15 min [W]",
    "below_worst_k_h": "below the band, worst room [K h]",
    "below_sum_k_h": "below the band, all rooms [K h]",
    "coldest_c": "coldest air of any room [C]",
    "frost_min": "below the lower hard limit [min]",
    "frost_unheated_min": "  with that room's relay off [min]",
    "sent_beyond": "sent beyond a hard limit [ticks]",
    "beyond_s": "house beyond a limit [s]",
    "beyond_unexplained_s": "  not explained by a fault [s]",
    "mpc_pct": "in mpc [% of ticks]",
    "stand_in_pct": "  by a plan of the rules [% of ticks]",
    "rules_pct": "on rules [% of ticks]",
    "safety_pct": "in safety [% of ticks]",
    "silent_pct": "controller dead [% of ticks]",
    "back_min": "back on the solver's plans [min]",
    "soc_min_pct": "lowest state of charge [%]",
    "plans": "plans",
    "rule_plans": "plans of the rules",
    "exceptions": "unhandled exceptions",
}
_GATES = {
    "frost": "a room below the lower hard limit",
    "sent_beyond": "commands beyond a hard limit",
    "beyond_unexplained": "the house beyond a limit with no fault to explain it",
    "exceptions": "unhandled exceptions",
}


@dataclass(frozen=True)
class DaysOptions:
    """What the command line says.

    Attributes:
        days: How many.
        first: Number of the first.
        seed: Of the study.
        workers: Processes.
        world: Which world.
        season: Which dates.
        home: The site's home.yaml.
        output: File for the worst cases, or, with `url`, for the summary; None for one beside the days' results, or
            for none.
        url: Address of the optimizer of a running PEMS whose bulk workers are to do it; empty: here.
        key: API key that may write.
        as_json: Print JSON.
        check: Exit 1 where a day had frost, something sent beyond a limit, a house beyond one for no reason of the
            faults, or an exception unhandled.
    """

    days: int
    first: int
    seed: int
    workers: int
    world: World
    season: Season
    home: Path
    output: Path | None = None
    url: str = ""
    key: str = ""
    as_json: bool = False
    check: bool = False


@dataclass(frozen=True)
class ReplayOptions:
    """What the command line says.

    Attributes:
        seed: Of the study.
        number: Of the day.
        world: Which world.
        season: Which dates.
        home: The site's home.yaml.
        rules: Whether no plan is ever made: the same day on rules.
        as_json: Print JSON.
    """

    seed: int
    number: int
    world: World
    season: Season
    home: Path
    rules: bool = False
    as_json: bool = False


def _choose(world: World, path: Path) -> tuple[Home, WorldChoice]:
    """Return the site, standing in its world.

    Raises:
        PermanentError: There are no data sets.
        HomeError: home.yaml is wrong.
    """
    folder = data_sets_directory()
    if world == "reference" and folder is None:
        raise PermanentError(
            "there are no data sets of the reference year here", remedy="set PEMS_DATA_DIR, or take --world generated"
        )
    choice = WorldChoice(world, data=str(folder or ""))
    return choice.home(load_home(path)), choice


# --- many days ---------------------------------------------------------------------------------


def run_days(options: DaysOptions, console: Console, talk: Console) -> int:
    """Live through the days, print what they say, keep the worst; returns the exit status.

    Args:
        options: What is wanted.
        console: For the result.
        talk: For progress and complaints.
    """
    try:
        with telling_wrong_input(talk):
            check_targets(options.output, None)
            if options.url:
                if options.first:
                    raise PermanentError("a study of a running PEMS begins with day 0", remedy="leave --first out")
                summary = _by_workers(options, talk)
            else:
                summary = _by_processes(options, talk)
    except WrongInput:
        return WRONG_INPUT
    except PemsError as error:
        talk.print(str(error), style="red", markup=False)
        return FAILED
    if options.as_json:
        console.print_json(json.dumps(summary))
    else:
        console.print(_table(summary))
        again = f"./pems montecarlo replay-day {options.seed} NUMBER{_same_world(options)}"
        talk.print(f"see one: {again}", markup=False, highlight=False)
    failures = complaints(summary)
    for failure in failures:
        talk.print(failure, style="red")
    return FAILED if failures and options.check else SUCCESS


def complaints(summary: Mapping[str, Any]) -> list[str]:
    """Say what must not happen on any day, and did."""
    days_with = summary["days_with"]
    return [
        f"{text} on {days_with[name]} of {summary['items']} days" for name, text in _GATES.items() if days_with[name]
    ]


def _same_world(options: DaysOptions) -> str:
    season = "" if options.season == "year" else f" --season {options.season}"
    site = "" if options.home == home_file() else f" --site {options.home}"
    return f" --world {options.world}{season}{site}"


def _by_processes(options: DaysOptions, talk: Console) -> dict[str, Any]:
    home, choice = _choose(options.world, options.home)
    study = DayStudy(home, choice, options.seed, options.season)
    folder = data_directory() / "montecarlo" / study.key(code_version())
    numbers = range(options.first, options.first + options.days)

    def say(text: str) -> None:
        talk.print(text, markup=False, highlight=False)

    days = sorted(
        finish_days(study, numbers, folder, processes=options.workers, say=say), key=lambda day: day["day"]["number"]
    )
    summary = summary_of(days)
    kept = options.output or folder / "worst.json"
    kept.write_text(json.dumps({"summary": summary, "days": worst_cases(days, summary)}, indent=1))
    say(f"the worst days are in {kept}")
    return summary


def _by_workers(options: DaysOptions, talk: Console) -> dict[str, Any]:
    """Begin a study, wait for it, and return its summary.

    Raises:
        PemsError: The study cannot be made or failed, or nobody answers.
    """
    base = options.url.rstrip("/")
    params = {"seed": options.seed, "world": options.world, "season": options.season}
    wish = {"kind": "closed_loop_days", "params": params, "items": options.days, "chunk_items": 1}
    with httpx.Client(base_url=base, timeout=_TIMEOUT_S, headers={"X-API-Key": options.key}) as client:
        study = _answer(client, "POST", "/v1/studies", wish)
        began, said = time.monotonic(), -1
        while study["state"] == "running":
            if study["done_items"] != said:
                said = study["done_items"]
                left = _time_left(time.monotonic() - began, said, study["items"])
                talk.print(f"study {study['study_id']}: {said} of {study['items']} days{left}", highlight=False)
            time.sleep(_ASK_EVERY_S)
            study = _answer(client, "GET", f"/v1/studies/{study['study_id']}", None)
    if study["state"] != "done":
        why = "; ".join(f"day {number}: {reason}" for number, reason in study["failures"].items())
        raise PemsError(f"the study failed: {why}", remedy="see the log of the bulk workers")
    summary: dict[str, Any] = study["summary"]
    if options.output is not None:
        options.output.write_text(json.dumps({"summary": summary}, indent=1))
        talk.print(f"the summary, with the numbers of the worst days, is in {options.output}", markup=False)
    return summary


def _time_left(took_s: float, done: int, total: int) -> str:
    return f", {took_s / done * (total - done) / 60.0:.0f} min left" if done else ""


def _answer(client: httpx.Client, method: str, path: str, wish: Mapping[str, Any] | None) -> dict[str, Any]:
    """Ask; a running study is asked for again while the optimizer is away."""
    for tries in range(1, _PATIENT_TRIES + 1):
        try:
            reply = client.request(method, path, json=wish)
        except httpx.HTTPError as error:
            if method == "POST" or tries == _PATIENT_TRIES:
                raise PemsError(
                    f"no answer from {client.base_url}: {error}", remedy="does PEMS run (./pems demo, ./pems up)?"
                ) from error
            time.sleep(_ASK_EVERY_S)
            continue
        if reply.is_success:
            answer: dict[str, Any] = reply.json()
            return answer
        detail = reply.json().get("detail", "") if "json" in reply.headers.get("content-type", "") else reply.text[:200]
        remedy = "give a key that may write: --key, or PEMS_API_KEY" if reply.status_code == 401 else ""
        raise PemsError(f"{reply.status_code}: {detail}", remedy=remedy)
    raise AssertionError("unreachable")


def _table(summary: Mapping[str, Any]) -> Table:
    table = Table(title=f"{summary['items']} days with faults")
    table.add_column("")
    for head in ("mean", "P10", "P50", "P90", "worst", "on day"):
        table.add_column(head, justify="right")
    for name, label in _LABELS.items():
        told = summary["distribution"][name]
        worst = summary["worst"].get(name)
        if told is None:
            table.add_row(escape(label), *["-"] * 6)
            continue
        cells = [_short(told[key]) for key in ("mean", "p10", "p50", "p90", "worst")]
        table.add_row(escape(label), *cells, str(worst[0][0]) if worst else "")
    return table


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1_000.0 else f"{value:.2f}"


# --- one day -----------------------------------------------------------------------------------


def replay_day(options: ReplayOptions, console: Console, talk: Console) -> int:
    """Live through one day again and tell its story; returns the exit status."""
    try:
        with telling_wrong_input(talk):
            home, choice = _choose(options.world, options.home)
            day = draw_day(home, options.seed, options.number, season=options.season)
            world = choice.open(home, day.house_seed)
    except WrongInput:
        return WRONG_INPUT
    talk.print(f"day {options.number} of seed {options.seed} in the world: {world.label}", markup=False)
    result = run_day(home, world, day, planner="mute" if options.rules else "on", story=True)
    if options.as_json:
        story = [{"at": line.at.isoformat(), "text": line.text} for line in result.story]
        console.print_json(json.dumps({**result.told(), "story": story}))
        return SUCCESS
    _tell(result, home, console)
    return SUCCESS


def _tell(result: DayResult, home: Home, console: Console) -> None:
    zone = home.site.zone

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    say(f"counted: 24 h from {result.day.start.astimezone(zone):%Y-%m-%d %H:%M} local time")
    for fault in result.day.faults:
        begins, ends = fault.begins.astimezone(zone), fault.ends.astimezone(zone)
        say(f"fault {fault.kind} {fault.target} {fault.strength:g}: {begins:%d. %H:%M} to {ends:%d. %H:%M}")
    for line in result.story:
        say(f"{line.at.astimezone(zone):%d. %H:%M}  {line.text}")
    table = Table("number", "value")
    for name, value in zip(_LABELS, result.figures.values(), strict=True):
        table.add_row(escape(_LABELS[name]), "-" if value != value else _short(value))
    console.print(table)
    for limit, seconds in result.limits.items():
        say(f"house beyond {limit}: {seconds:g} s")
    for why, ticks in result.why.items():
        say(f"not in mpc, {ticks} ticks: {why}")
