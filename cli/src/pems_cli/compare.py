"""`./pems compare`: two configurations run the simulated house through the same days of one world."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from pems_cli.shadow import print_verdict
from pems_cli.studies import FAILED, SUCCESS, WRONG_INPUT, WrongInput, telling_wrong_input
from pems_common.errors import PemsError, PermanentError
from pems_common.home import load_home
from pems_lab.arms.jobs import Job, WorldChoice, code_version, stretches
from pems_lab.arms.run import Arm, Stretch
from pems_lab.paired import GateTerms, judged
from pems_lab.resumable import finish
from pems_lab.shadow.arms import arm_pairs
from pems_lab.shadow.days import refuse_other_house

__all__ = ["CompareOptions", "run_compare"]


@dataclass(frozen=True)
class CompareOptions:
    """What the command line says.

    Attributes:
        one: The live configuration.
        other: The candidate.
        start: First day that counts.
        days: Days that count.
        stretch: Days of one run; each settles anew.
        seed: Of house, household and forecast errors.
        generated: Generated days in place of the reference year.
        weather, prices: CSVs of an own record, both or none.
        gain: The gate's least gain [CZK a day].
        jobs: Processes.
        out: Where finished runs stay.
        data: Folder of data sets; None where there is none.
        as_json: Print JSON lines.
    """

    one: Path
    other: Path
    start: str
    days: int
    stretch: int
    seed: int
    generated: bool
    weather: str
    prices: str
    gain: float
    jobs: int
    out: Path
    data: Path | None
    as_json: bool = False


def run_compare(options: CompareOptions, console: Console) -> int:
    """Run what has no result yet, and print the verdict; returns the exit status."""
    try:
        with telling_wrong_input(console):
            world, whole = _world(options), _stretch(options)
            live, candidate = load_home(options.one), load_home(options.other)
            refuse_other_house(live, candidate)
        results = _results(options, world, whole, console)
        pairs = arm_pairs(world.home(live), *results)
        verdict = judged(pairs, GateTerms(gain_czk_day=options.gain))
    except WrongInput:
        return WRONG_INPUT
    except PemsError as error:
        console.print(str(error), style="red", markup=False)
        return FAILED
    if options.as_json:
        for pair in pairs:
            console.print_json(json.dumps({"case": "day", **asdict(pair)}), indent=None)
        console.print_json(json.dumps({"case": "verdict", "world": world.kind, **asdict(verdict)}), indent=None)
    else:
        print_verdict(verdict, console)
    return SUCCESS


def _world(options: CompareOptions) -> WorldChoice:
    if bool(options.weather) != bool(options.prices):
        raise PermanentError("--weather and --prices belong together", remedy="give both, or none")
    if options.weather:
        if missing := [name for name in (options.weather, options.prices) if not Path(name).is_file()]:
            raise PermanentError(f"{missing[0]} does not exist", remedy="docs/laboratory.md says how it looks")
        return WorldChoice("own", weather=options.weather, prices=options.prices)
    if options.generated:
        return WorldChoice("generated")
    if options.data is None:
        raise PermanentError("the reference year's files are not here", remedy="set PEMS_DATA_DIR, or use --generated")
    return WorldChoice("reference", data=str(options.data))


def _stretch(options: CompareOptions) -> Stretch:
    try:
        start = datetime.fromisoformat(options.start).replace(hour=11, tzinfo=UTC)
    except ValueError:
        raise PermanentError(f"--start {options.start!r} is no day", remedy="write it as 2025-01-31") from None
    return Stretch(start, options.days, seed=options.seed)


def _results(
    options: CompareOptions, world: WorldChoice, whole: Stretch, console: Console
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """Return each configuration's results by stretch."""
    parts = stretches(whole, options.stretch)
    files = options.one, options.other
    arms: list[Arm] = [load_home(file).optimization.uncertainty.strategy for file in files]
    # The live house for both: its bands, limits and prices count what each of them did.
    jobs = [Job(file, world, arm, part, options.one) for part in parts for file, arm in zip(files, arms, strict=True)]

    def say(text: str) -> None:
        if not options.as_json:
            console.print(text, markup=False, highlight=False)

    found = dict(finish(jobs, options.out, processes=options.jobs, version=code_version(), say=say))
    one, other = ([found[job] for job in jobs if job.home_file == file] for file in files)
    return one, other
