"""`./pems shadow`: a second configuration beside the live one on days that have been, and whether to promote it."""

import asyncio
import difflib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pems_cli.studies import FAILED, SUCCESS, WRONG_INPUT, WrongInput, telling_wrong_input
from pems_common.clock import open_clock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.home import Home, load_home
from pems_common.messages import Score, wrap
from pems_lab.arms.jobs import code_version
from pems_lab.paired import GateTerms, Verdict, judged
from pems_lab.shadow.book import BookLine, ShadowBook, pair_key
from pems_lab.shadow.data import Cases, FileCases, RestCases, day_of, open_history
from pems_lab.shadow.days import refuse_other_house, shadow_pair, verdict_score
from pems_lab.shadow.sources import Skipped, as_known
from pems_lab.shadow.strategy_meter import meter_homes, strategy_score, weeks
from pems_optimizer.domain.strategy_value import LEAST_DAYS, Strategy

__all__ = ["ShadowOptions", "make_options", "print_verdict", "run_shadow"]

_POLL_WALL_S = 600.0
_RETROSPECT = timedelta(days=28)
_METERS: dict[str, Strategy] = {"robust": "robust", "scenarios": "scenarios"}
_WORDS = {"promote": "promote", "not_yet": "not yet", "reject": "reject"}


@dataclass(frozen=True)
class ShadowOptions:
    """What the command line says.

    Attributes:
        live: The live configuration.
        candidate: The other one; None with `meter`.
        meter: The strategy to hold against `point` instead.
        first, last: Local days; the last 28 that have ended where None.
        follow: Go on each night.
        cases: The planner's file of cases, or a folder of them; None asks the optimizer.
        history: Ingest's SQLite file; None asks ingest.
        book: Where results are kept.
        terms: Of the gate.
        publish: Publish the verdict on the bus; plans read a meter's.
        as_json: Print JSON lines.
    """

    live: Path
    candidate: Path | None = None
    meter: Strategy | None = None
    first: date | None = None
    last: date | None = None
    follow: bool = False
    cases: Path | None = None
    history: Path | None = None
    book: Path = Path("shadow.jsonl")
    terms: GateTerms = field(default_factory=GateTerms)
    publish: bool = False
    url: str = ""
    ingest_url: str = ""
    key: str = ""
    ingest_key: str = ""
    as_json: bool = False


def run_shadow(options: ShadowOptions, console: Console, *, sleep: Callable[[float], None] = time.sleep) -> int:
    """Live the days that are open, and print the verdict; returns the exit status. With `follow` it does not return."""
    try:
        with telling_wrong_input(console):
            live, candidate = _homes(options)
            cases = RestCases(options.url, options.key) if options.cases is None else FileCases(options.cases)
            if options.first and options.last and options.last < options.first:
                raise PermanentError(
                    f"{options.last} is before {options.first}", remedy="let --from be the earlier day"
                )
            if options.history is not None:
                open_history(live, sqlite=options.history, url="", key="")
            book = ShadowBook(options.book)
            while True:
                _live_open_days(options, live, candidate, cases, book, console)
                told = _tell(options, live, candidate, book, console)
                if not options.follow:
                    return SUCCESS if told else FAILED
                sleep(_POLL_WALL_S)
    except WrongInput:
        return WRONG_INPUT
    except PemsError as error:
        console.print(str(error), style="red", markup=False)
        return FAILED


def _homes(options: ShadowOptions) -> tuple[Home, Home]:
    """Return the live configuration and the candidate."""
    if (options.candidate is None) == (options.meter is None):
        raise PermanentError("what is to be compared?", remedy="give --candidate FILE, or --meter robust or scenarios")
    live = load_home(options.live)
    if options.meter is not None:
        return meter_homes(live, options.meter)
    assert options.candidate is not None  # noqa: S101 - looked at above
    candidate = load_home(options.candidate)
    refuse_other_house(live, candidate)
    return live, candidate


def _asked_days(options: ShadowOptions, live: Home, cases: Cases) -> list[date]:
    """Return the local days that are asked for and have ended."""
    newest = cases.newest_at()
    if newest is None:
        raise UnavailableError(
            "no plan's inputs are kept yet", remedy="let PEMS plan for a day, then try again (docs/shadow.md)"
        )
    ended = newest.astimezone(live.site.zone).date() - timedelta(days=1)
    last = ended if options.last is None else min(ended, options.last)
    first = options.first or last - _RETROSPECT + timedelta(days=1)
    return [first + timedelta(days=k) for k in range((last - first).days + 1)]


def _live_open_days(
    options: ShadowOptions, live: Home, candidate: Home, cases: Cases, book: ShadowBook, console: Console
) -> None:
    try:
        asked = _asked_days(options, live, cases)
    except UnavailableError:
        if not options.follow:
            raise
        return
    key, code, lived = pair_key(live, candidate), code_version(), 0
    waiting = book.open_days(key, [day.isoformat() for day in asked], code)
    began = time.monotonic()
    for number, day in enumerate(waiting, start=1):
        history = open_history(live, sqlite=options.history, url=options.ingest_url, key=options.ingest_key)
        try:
            line = asyncio.run(_line(live, candidate, history, cases, date.fromisoformat(day), key, code))
        except UnavailableError as error:
            if not options.follow:
                raise
            console.print(f"{day}: {error}; tried again later", markup=False, highlight=False)
            return
        book.add(line)
        lived += line.pair is not None
        left_s = (time.monotonic() - began) / number * (len(waiting) - number)
        said = line.why or "lived"
        if not options.as_json:
            console.print(f"{day}: {said} ({number} of {len(waiting)}, {left_s / 60:.0f} min left)", markup=False)


async def _line(live: Home, candidate: Home, history: Any, cases: Cases, day: date, key: str, code: str) -> BookLine:
    found = await day_of(live, history, cases, day)
    if isinstance(found, Skipped):
        return BookLine(key, found.day, None, found.why, code)
    known = found.site or live
    try:
        pair = shadow_pair(as_known(live, known), as_known(candidate, known), found)
    except PermanentError as error:
        return BookLine(key, found.name, None, error.message, code)
    return BookLine(key, found.name, pair, "", code)


# --- what is told ------------------------------------------------------------------------------------------------


def _tell(options: ShadowOptions, live: Home, candidate: Home, book: ShadowBook, console: Console) -> bool:
    """Print and publish the verdict; returns whether there is any day to judge by."""
    key, code = pair_key(live, candidate), code_version()
    lines, pairs, others = book.lines(key), book.pairs(key, code), book.others(key, code)
    skipped = [line for line in lines if line.pair is None]
    if not pairs:
        reasons = "; ".join(f"{line.day}: {line.why}" for line in skipped[:3])
        console.print(f"no day could be lived again. {reasons}".rstrip(), markup=False)
        if others:
            console.print(_of_others(others), markup=False)
        return False
    verdict = judged(pairs, options.terms)
    if options.meter is None:
        score: Score | None = verdict_score(verdict, f"{pairs[0].day}/{pairs[-1].day}", live, candidate)
    else:
        score = strategy_score(pairs, options.meter)
    if options.as_json:
        for pair in pairs:
            console.print_json(json.dumps({"case": "day", **asdict(pair)}), indent=None)
        for line in skipped:
            console.print_json(json.dumps({"case": "skipped", "day": line.day, "why": line.why}), indent=None)
        for week in weeks(pairs) if options.meter else ():
            console.print_json(json.dumps({"case": "week", **asdict(week)}), indent=None)
        if others:
            console.print_json(json.dumps({"case": "other_code", "days": others}), indent=None)
        told = None if score is None else score.model_dump(mode="json")
        console.print_json(json.dumps({"case": "verdict", **asdict(verdict), "score": told}), indent=None)
    else:
        print_verdict(verdict, console)
        for line in skipped:
            console.print(f"left out: {line.day}, {line.why}", markup=False, highlight=False)
        if others:
            console.print(_of_others(others), markup=False)
        if book.damaged:
            console.print(f"{book.damaged} lines of {book.path} could not be read", markup=False)
        if options.meter is not None:
            _print_weeks(options, pairs, score, console)
        elif verdict.decision == "promote" and options.candidate is not None:
            _print_diff(options.live, options.candidate, console)
    if options.publish and score is not None:
        asyncio.run(_publish(score, live))
        if not options.as_json:
            console.print(f"published as score {score.kind}", markup=False)
    return True


def _of_others(days: int) -> str:
    return f"left aside: {days} days that another version of PEMS lived (name them with --from to live them again)"


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print a verdict as a table and in words."""
    table = Table(title=f"{_WORDS[verdict.decision]}, after {verdict.days} days")
    for name in ("", "candidate against live", "90 % interval"):
        table.add_column(name, justify="left" if not name else "right")
    gain, share = verdict.gain_czk_day, verdict.gain_pct
    table.add_row("saves a day", f"{verdict.mean_czk_day:.2f} CZK", _interval(gain, "CZK"))
    if share is not None:
        table.add_row("saves", f"{share.mean:.2f} %", _interval(share, "%"))
    table.add_row("below the band, room and day", f"{verdict.below_k_h:+.3f} K h", "")
    table.add_row("highest import", f"{verdict.peak_pct:+.1f} %", "")
    table.add_row("switchings a day", f"{verdict.switchings:+.1f}", "")
    console.print(table)
    for reason in verdict.reasons:
        console.print(reason, markup=False, highlight=False)
    if verdict.decision == "not_yet":
        more = verdict.days_more
        console.print(
            f"about {more} more days would tell" if more else "more days may not tell: too little lies between them",
            markup=False,
            highlight=False,
        )


def _interval(found: Any, unit: str) -> str:
    return "" if found is None else f"{found.low:.2f} to {found.high:.2f} {unit}"


def _print_weeks(options: ShadowOptions, pairs: Any, score: Score | None, console: Console) -> None:
    table = Table(title=f"{options.meter} against point")
    for name in ("week of", "days", "saves, CZK a day"):
        table.add_column(name, justify="left" if name == "week of" else "right")
    for week in weeks(pairs):
        table.add_row(week.monday, str(week.days), f"{week.gain_czk_day:+.2f}")
    console.print(table)
    if score is None:
        console.print(f"a verdict needs {LEAST_DAYS} days within eight weeks", markup=False, highlight=False)
        return
    off = score.metrics["gain_high_czk_day"] <= 0.0
    console.print(
        f"{score.window}: {'it does not pay, point plans instead' if off else 'it is not known to cost more: it stays'}"
        " where only_if_it_pays is true",
        markup=False,
        highlight=False,
    )


def _print_diff(live: Path, candidate: Path, console: Console) -> None:
    """Print what a person would change: nothing is rewritten here."""
    one, other = (path.read_text(encoding="utf-8").splitlines() for path in (live, candidate))
    console.print("To promote it, change your home.yaml so and restart PEMS:", markup=False)
    for row in difflib.unified_diff(one, other, str(live), str(candidate), lineterm="", n=1):
        console.print(row, markup=False, highlight=False)


async def _publish(score: Score, home: Home) -> None:
    """Publish a verdict on the bus of the environment's settings.

    Raises:
        PemsError: The bus cannot be reached.
    """
    from pems_common.bus.redis_streams import RedisBus
    from pems_common.settings import ServiceSettings

    settings = ServiceSettings()
    clock = open_clock(settings.clock_file)
    bus = RedisBus(settings.redis_address(), clock)
    try:
        await bus.publish(wrap(score, site=home.site.id, clock=clock, source="shadow"))
    finally:
        await bus.close()


def make_options(
    *,
    live: Path,
    candidate: Path | None,
    meter: str | None,
    first: str | None,
    last: str | None,
    follow: bool,
    cases: Path | None,
    history: Path | None,
    book: Path,
    days: int,
    gain: float,
    publish: bool,
    urls: tuple[str, str],
    keys: tuple[str, ...],
    as_json: bool,
    console: Console,
) -> ShadowOptions | None:
    """Read what the command line says; None where something in it is wrong, which is told."""
    try:
        with telling_wrong_input(console):
            if meter is not None and meter not in _METERS:
                raise PermanentError(f"--meter {meter}: there is no such strategy", remedy="name robust or scenarios")
            return ShadowOptions(
                live=live,
                candidate=candidate,
                meter=None if meter is None else _METERS[meter],
                first=_day(first, "--from"),
                last=_day(last, "--to"),
                follow=follow,
                cases=cases,
                history=history,
                book=book,
                terms=GateTerms(days=days, gain_czk_day=gain),
                publish=publish,
                url=urls[0],
                ingest_url=urls[1],
                key=keys[0],
                ingest_key=keys[1],
                as_json=as_json,
            )
    except WrongInput:
        return None


def _day(text: str | None, option: str) -> date | None:
    """Read a local day.

    Raises:
        PermanentError: It is none.
    """
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise PermanentError(f"{option} {text!r} is no day", remedy="write it as 2025-01-31") from None
