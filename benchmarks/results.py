"""The reference months in closed loop, as tables and pictures of docs/results.md.

    ./pems bench results --jobs 2                        # January, April, July, whole months: some hours
    ./pems bench results --first-day 8 --days 7 --jobs 2 # a week of each
    ./pems bench results --profiles --strategies --jobs 2
    ./pems bench results --year --stretch 16 --jobs 2    # every month, and the year: a night
    ./pems bench results --write                         # put tables and pictures into docs/ (finished runs are kept)
    ./pems bench results --out docs/results --of VERSION # the tables of runs of other code, from what is kept of them

Arms as in `./pems bench arms`; one configuration of PEMS (config/home.yaml) for all rows of the first table. A second
one has the other profiles, a third the strategies against `point` on the same days with a bootstrap interval. What was
finished before with the same code is not run again, so an interrupted run goes on. Runs can be finished on several
machines: the files of `--out`, named after days, arm and all that decides them, may be put together. `--check` exits 1
where a gate of TARGETS.md fails. The reference year needs PEMS_DATA_DIR.
"""

import argparse
import calendar
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from benchmarks._pictures import grouped_bars, lines_over_days
from benchmarks.arms import arms_of, gates

from pems_common.home import load_home
from pems_lab.arms.jobs import Job, WorldChoice, code_version, stretches
from pems_lab.arms.run import Arm, Stretch
from pems_lab.arms.table import ArmRow, arm_rows, gained, joined
from pems_lab.resumable import finish, result_file

ROOT = Path(__file__).resolve().parents[1]
MONTHS = ("2025-01", "2025-04", "2025-07")
YEAR = tuple(f"2025-{month:02d}" for month in range(1, 13))
PROFILES = ("economic", "balanced", "comfort", "green")
MAIN_ARMS: tuple[Arm, ...] = ("b0", "b1", "rules", "point", "perfect")
STRATEGIES: tuple[Arm, ...] = ("robust", "scenarios")
BALANCE = 1e-6
_MARK = "<!-- {name}: written by ./pems bench results -->"


@dataclass(frozen=True)
class Case:
    """Some days of one month, and the arms that live through them: label -> (arm, home file)."""

    month: str
    days: int
    arms: dict[str, tuple[Arm, Path]]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def with_profile(home_file: Path, profile: str, folder: Path) -> Path:
    """Write home.yaml with another profile, and return where."""
    data = yaml.safe_load(home_file.read_text())
    data.setdefault("optimization", {})["profile"] = profile
    path = folder / f"home-{profile}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False))
    return path


def _stretch(case: Case, first_day: int, seed: int) -> Stretch:
    year, month = (int(part) for part in case.month.split("-"))
    return Stretch(datetime(year, month, first_day, 11, tzinfo=UTC), case.days, 1, seed)


def run_case(
    case: Case, world: WorldChoice, options: argparse.Namespace, version: str
) -> dict[str, list[dict[str, Any]]]:
    """Return the results of each label of a case, stretch by stretch."""
    parts = stretches(_stretch(case, options.first_day, options.seed), options.stretch or case.days)
    jobs = {
        (label, k): Job(home, world, arm, part)
        for label, (arm, home) in case.arms.items()
        for k, part in enumerate(parts)
    }
    if options.of:
        keys = [job.key(version) for job in jobs.values()]
        if missing := [key for key in keys if not result_file(options.out, key).exists()]:
            sys.exit(f"{options.out} lacks {len(missing)} runs of version {version}, such as {missing[0]}")
    found = dict(finish(list(jobs.values()), options.out, processes=options.jobs, version=version, say=_say))
    return {label: [found[jobs[label, k]] for k in range(len(parts))] for label in case.arms}


def table(rows: Sequence[tuple[str, ArmRow]]) -> list[str]:
    """Return rows as a Markdown table."""
    head = (
        "| | CZK a day | fair CZK a day | saved % | of F % | import | export kWh | self-cons. % | peak kW | K h below "
        "| inside % | of heating % | mean C | cycles | switchings | mpc % |"
    )
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for label, row in rows:
        values = (
            row.cost_czk_day, row.fair_czk_day, row.saved_pct, row.of_perfect_pct, row.import_kwh_day,
            row.export_kwh_day, row.self_consumption_pct, row.peak_kw, row.below_k_h_room_day, row.inside_pct,
            row.inside_heating_pct, row.mean_c, row.cycles_day, row.switchings_room_day, row.mpc_pct,
        )  # fmt: skip
        lines.append(f"| {label} | " + " | ".join("" if value is None else f"{value:g}" for value in values) + " |")
    return lines


def write_between(path: Path, name: str, lines: Sequence[str]) -> None:
    """Put lines between the two marks of `name` in a Markdown file.

    Raises:
        SystemExit: The file has no such marks.
    """
    text, mark = path.read_text(), _MARK.format(name=name)
    parts = text.split(mark)
    if len(parts) != 3:
        sys.exit(f"{path} needs the line {mark} twice: before and after what is written there")
    path.write_text(mark.join([parts[0], "\n\n" + "\n".join(lines) + "\n\n", parts[2]]))


def _months(options: argparse.Namespace, world: WorldChoice, version: str) -> tuple[list[str], list[str]]:
    """Run the reference months; returns lines of Markdown and what fails."""
    home = world.home(load_home(options.home))
    lines: list[str] = []
    failures: list[str] = []
    rows_of: dict[str, dict[str, ArmRow]] = {}
    whole: dict[str, list[dict[str, Any]]] = {arm: [] for arm in options.arms}
    for month in options.months:
        case = Case(month, _days(month, options), {arm: (arm, options.home) for arm in options.arms})
        found = run_case(case, world, options, version)
        results = {label: joined(parts) for label, parts in found.items()}
        for label, parts in found.items():
            whole[label] += parts
        rows = arm_rows(home, {arm: results[arm] for arm in options.arms})
        rows_of[month] = {row.arm: row for row in rows}
        for row in rows:
            print(json.dumps({**row.told(), "month": month, "days": case.days}), flush=True)
        worst = max(result["balance"]["worst"] for result in results.values())
        failures += [f"{month}: {failure}" for failure in gates(rows)]
        if worst > BALANCE:
            failures.append(f"{month}: the house's energy balance is off by {worst:.2g}")
        last = options.first_day + case.days - 1
        lines += [f"### {month}, days {options.first_day} to {last}", "", *table([(row.arm, row) for row in rows])]
        lines += ["", f"Energy balance of the house: off by at most {worst:.1g} of what flowed.", ""]
        if options.write:
            days = [day["to"][5:10] for day in results[options.arms[0]]["days"]]
            costs = {arm: [d["energy_cost_czk"] for d in results[arm]["days"]] for arm in options.arms if arm != "b0"}
            picture = lines_over_days(f"Cost of each day, {month}", "CZK", days, costs)
            (ROOT / "docs" / "img" / f"results-{month}.svg").write_text(picture)
            lines += [f"![Cost of each day](img/results-{month}.svg)", ""]
    if tuple(options.months) == YEAR:
        year = {arm: joined(whole[arm]) for arm in options.arms}
        rows = arm_rows(home, year)
        for row in rows:
            print(json.dumps({**row.told(), "month": "year", "days": len(year[row.arm]["days"])}), flush=True)
        failures += [f"year: {failure}" for failure in gates(rows)]
        lines += ["### The year", "", *table([(row.arm, row) for row in rows]), ""]
    if options.write:
        for name, unit, figure in (("fair", "CZK a day", "fair_czk_day"), ("peak", "kW", "peak_kw")):
            series = {arm: [getattr(rows_of[m].get(arm), figure, None) for m in options.months] for arm in options.arms}
            title = "Comparable cost" if name == "fair" else "Highest import (15 min) of the month"
            picture = grouped_bars(title, unit, list(options.months), series)
            (ROOT / "docs" / "img" / f"results-{name}.svg").write_text(picture)
            lines += [f"![{title}](img/results-{name}.svg)", ""]
    return lines, failures


def _profiles(options: argparse.Namespace, world: WorldChoice, version: str) -> list[str]:
    home = world.home(load_home(options.home))
    lines: list[str] = []
    for month in options.months:
        files = {profile: with_profile(options.home, profile, options.out) for profile in PROFILES}
        arms: dict[str, tuple[Arm, Path]] = {"B1": ("b1", options.home)}
        arms |= {profile: ("point", path) for profile, path in files.items()}
        case = Case(month, _days(month, options), arms)
        results = {label: joined(parts) for label, parts in run_case(case, world, options, version).items()}
        told = []
        for label, result in results.items():
            found = arm_rows(home, {"b1": results["B1"], "point": result} if label != "B1" else {"b1": result})
            told.append((label, found[-1]))
            print(json.dumps({**found[-1].told(), "month": month, "days": case.days, "profile": label}), flush=True)
        lines += [f"### {month}, {case.days} days", "", *table(told), ""]
    return lines


def _strategies(options: argparse.Namespace, world: WorldChoice, version: str) -> list[str]:
    home = world.home(load_home(options.home))
    lines: list[str] = []
    for month in options.months:
        names: tuple[Arm, ...] = ("b1", "point", *STRATEGIES)
        case = Case(month, _days(month, options), {arm: (arm, options.home) for arm in names})
        results = {arm: joined(parts) for arm, parts in run_case(case, world, options, version).items()}
        rows = arm_rows(home, {arm: results[arm] for arm in names})
        lines += [f"### {month}, {case.days} days", "", *table([(row.arm, row) for row in rows]), ""]
        for arm in STRATEGIES:
            found = gained(home, results[arm], results["point"])
            print(json.dumps({"case": "strategy", "month": month, "arm": arm, "gained_pct": found}), flush=True)
            if found is not None:
                lines += [
                    f"{arm}: gains {found[0]:.2f} % on point (90 % interval {found[1]:.2f} to {found[2]:.2f}).",
                    "",
                ]
    return lines


def _days(month: str, options: argparse.Namespace) -> int:
    year, number = (int(part) for part in month.split("-"))
    rest = calendar.monthrange(year, number)[1] - int(options.first_day) + 1
    return int(options.days) or rest


def _months_of(text: str) -> list[str]:
    months = text.split(",")
    for month in months:
        try:
            if f"{datetime.strptime(month, '%Y-%m').replace(tzinfo=UTC):%Y-%m}" != month:
                raise ValueError(month)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{month!r} is no month: write it as 2025-01") from None
    return months


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="pems bench results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, default=ROOT / "config" / "home.yaml")
    parser.add_argument("--months", type=_months_of, default=list(MONTHS))
    parser.add_argument(
        "--year", dest="months", action="store_const", const=list(YEAR), help="all months of 2025, and the year"
    )
    parser.add_argument("--arms", type=arms_of, default=list(MAIN_ARMS))
    parser.add_argument("--first-day", type=int, default=1)
    parser.add_argument("--days", type=int, default=0, help="of each month; 0 for the rest of it")
    parser.add_argument("--stretch", type=int, default=0, help="cut the days into runs of so many; 0 does not")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profiles", action="store_true", help="the other profiles too")
    parser.add_argument("--strategies", action="store_true", help="robust and scenarios too")
    parser.add_argument("--no-months", action="store_true", help="without the first table")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "arms", help="where finished arms stay")
    parser.add_argument("--of", default="", help="tables of kept runs of this version of the code; runs nothing")
    parser.add_argument("--write", action="store_true", help="put tables and pictures into docs/")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data")
    if not data.is_dir():
        sys.exit(f"no data sets in {data}: set PEMS_DATA_DIR")
    world, version = WorldChoice("reference", data=str(data)), options.of or code_version()
    _say(f"code version {version}")
    found: dict[str, list[str]] = {}
    failures: list[str] = []
    if not options.no_months:
        found["months"], failures = _months(options, world, version)
    if options.profiles:
        found["profiles"] = _profiles(options, world, version)
    if options.strategies:
        found["strategies"] = _strategies(options, world, version)
    for name, lines in found.items():
        lines.append(f"Code version `{version}`, {', '.join(options.months)}, seed {options.seed}.")
        print("\n".join(lines), flush=True)
        if options.write:
            write_between(ROOT / "docs" / "results.md", name, lines)
    print(json.dumps({"case": "all", "failures": failures}), flush=True)
    return 1 if failures and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
