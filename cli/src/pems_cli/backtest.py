"""`./pems backtest`: what PEMS would have saved in one's own house, over days of its own history (docs/backtest.md)."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from pems_cli.studies import FAILED, SUCCESS, WRONG_INPUT, WrongInput, check_targets, telling_wrong_input
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.home import Home, load_home

if TYPE_CHECKING:
    from pems_lab.backtest.study import BacktestResult, KnownHistory

__all__ = ["BacktestOptions", "run_pems_backtest", "tell"]

_INFLUX, _INFLUX_SINCE = "influx", 2013
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class BacktestOptions:
    """What the command line says.

    Attributes:
        first: First local day, `YYYY-MM-DD`.
        last: Last local day.
        history: `sqlite:PATH`, or `influx` for the user's own InfluxDB 2; empty for the file that PEMS keeps.
        site: home.yaml.
        arms: Names with commas.
        folder: Where finished parts go.
        jobs: Processes.
        seed: Of modelled forecast errors.
        learn: Whether models are trained on the way.
        data_sets: Folder with `ote_cz/`, for prices that the history lacks; None where there is none.
        default_history: The file that PEMS keeps.
        output: Where the JSON lines go; nowhere where None.
    """

    first: str
    last: str
    history: str
    site: Path
    arms: str
    folder: Path
    jobs: int
    seed: int
    learn: bool
    data_sets: Path | None
    default_history: Path
    output: Path | None = None


def run_pems_backtest(options: BacktestOptions, console: Console) -> int:
    """Backtest and tell; returns the exit status. Progress goes to `console`, where the table does."""
    from pems_lab.backtest.parts import BACKTEST_ARMS
    from pems_lab.backtest.study import BacktestRequest, run_backtest

    try:
        with telling_wrong_input(console):
            check_targets(options.output, None)
            home = load_home(options.site)
            first, last = _day(options.first, "--from"), _day(options.last, "--to")
            wanted = [part.strip() for part in options.arms.split(",") if part.strip()]
            if unknown := [arm for arm in wanted if arm not in BACKTEST_ARMS]:
                raise PermanentError(f"no arm {', '.join(unknown)}", remedy=f"there are {', '.join(BACKTEST_ARMS)}")
            if not wanted:
                raise PermanentError("no arm is named", remedy=f"there are {', '.join(BACKTEST_ARMS)}")
            history = None if options.history == _INFLUX else _opened(options, home)
    except WrongInput:
        return WRONG_INPUT
    try:
        if history is None:
            history = _copied(options, home, first, last, console)
        request = BacktestRequest(
            home=home,
            first=first,
            last=last,
            arms=tuple(arm for arm in BACKTEST_ARMS if arm in wanted),
            folder=options.folder,
            processes=options.jobs,
            seed=options.seed,
            learn=options.learn,
            market=_market(options.data_sets, home, options.seed),
        )
        result = run_backtest(request, history, lambda text: console.print(text, markup=False, style="dim"))
        tell(result, console)
        if options.output is not None:
            options.output.write_text("".join(f"{json.dumps(row)}\n" for row in json_rows(result)), encoding="utf-8")
            console.print(f"written to {options.output}", markup=False)
    except UnavailableError as error:
        console.print(f"{error.message}; {error.remedy}" if error.remedy else error.message, markup=False)
        return FAILED
    except PemsError as error:
        console.print(f"{error.message}; {error.remedy}", markup=False)
        return WRONG_INPUT
    except OSError as error:
        console.print(f"cannot be written: {error.strerror}", markup=False)
        return FAILED
    return SUCCESS


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PermanentError(f"{option} {text}: no day", remedy="write it as 2026-01-15") from error


def _opened(options: BacktestOptions, home: Home) -> "KnownHistory":
    """Open the history.

    Raises:
        PermanentError: There is no such history.
    """
    from pems_ingest.adapters.sqlite_history import SqliteHistory

    kind, _, place = options.history.partition(":")
    if options.history and (kind != "sqlite" or not place):
        raise PermanentError(f"--history {options.history}: not known", remedy="write sqlite:PATH, or influx")
    path = Path(place) if place else options.default_history
    if not path.is_file():
        raise PermanentError(
            f"there is no history in {path}",
            remedy="start PEMS (./pems up): it records from then on; or name a file: --history sqlite:PATH",
        )
    return SqliteHistory(path, home.site.id, read_only=True)


def _copied(options: BacktestOptions, home: Home, first: date, last: date, console: Console) -> "KnownHistory":
    """Copy what these days need of the user's InfluxDB, and open the copy.

    Raises:
        UnavailableError: The server is away; what was copied stays.
        PermanentError: The server or what is set of it cannot be used, or the days are none.
    """
    from pems_common.clock import SystemClock
    from pems_common.timegrid import local_midnight
    from pems_ingest.adapters.influx_copy import InfluxCopy
    from pems_ingest.adapters.influx_history import InfluxSettings
    from pems_ingest.adapters.sqlite_history import SqliteHistory
    from pems_lab.backtest.parts import AFTER_DAYS, TRAIN_DAYS

    if last < first:
        raise PermanentError(f"{last} is before {first}", remedy="give --to a later day than --from")
    if first.year < _INFLUX_SINCE:
        raise PermanentError(f"--from {first}: no InfluxDB is that old", remedy="give a later day")
    clock, zone = SystemClock(), home.site.zone
    buckets = InfluxSettings().buckets(clock)
    try:
        copy = InfluxCopy(buckets, home, options.default_history.parent, clock)
        since = local_midnight(first - (TRAIN_DAYS - AFTER_DAYS) * _DAY, zone)
        until = local_midnight(last + (AFTER_DAYS + 1) * _DAY, zone)
        fill = copy.fill(since, until, lambda text: console.print(text, markup=False, style="dim"))
        for text in asyncio.run(fill):
            console.print(f"missing: {text}", markup=False)
    finally:
        buckets.close()
    return SqliteHistory(copy.path, home.site.id, read_only=True)


def _market(data_sets: Path | None, home: Home, seed: int) -> Any:
    """Prices by date, where there are data sets."""
    from pems_lab.reference_world import reference_world

    if data_sets is None or not (data_sets / "ote_cz").is_dir():
        return None
    return reference_world(home, data_sets, seed=seed)


def json_rows(result: "BacktestResult") -> list[dict[str, Any]]:
    """Return the result as rows for a machine."""
    return [
        {
            "case": "backtest",
            "asked_days": result.asked_days,
            "left_out": dict(result.left_out),
            "missing": list(result.missing),
            "notes": list(result.notes),
            "modelled_forecasts_share": round(result.modelled_share, 4),
            "price_czk_kwh": result.verdict.price_czk_kwh,
        },
        {"case": "simulator_error", **asdict(result.verdict.error)},
        *({"case": "month", **row} for row in result.months),
        *(
            {
                "case": "day",
                "arm": arm,
                "measured": asdict(day.measured),
                "simulated": asdict(day.simulated),
                "lived": None if day.lived is None else asdict(day.lived),
            }
            for arm, days in result.days.items()
            for day in days
        ),
    ]


def tell(result: "BacktestResult", console: Console) -> None:
    """Print what came of it."""
    from pems_lab.backtest.verdict import LEAST_DAYS

    error, verdict = result.verdict.error, result.verdict
    for text in result.missing:
        console.print(f"missing: {text}", markup=False)
    for text in result.notes:
        console.print(text, markup=False)
    if result.left_out:
        days = sum(result.left_out.values())
        console.print(f"{days} of {result.asked_days} days do not count:", markup=False)
        for reason, count in result.left_out.items():
            console.print(f"  {count} x {reason}", markup=False)
    if result.modelled_share:
        share = f"{100.0 * result.modelled_share:.0f} %"
        console.print(f"{share} of the weather forecasts are modelled: none was archived for them", markup=False)
    console.print(_table(result.months))
    interval = "" if error.low_czk is None else f" (mean {error.low_czk:+.0f}..{error.high_czk:+.0f})"
    console.print(
        f"The simulator, driven as the house really was ({error.days} days), costs {error.bias_czk:+.0f} CZK a "
        f"day{interval} against what was measured, single days +-{error.spread_czk:.0f}; its rooms are "
        f"{error.warmer_k:+.2f} K off on the mean, {error.room_mae_k:.2f} K each. The mean is taken out of what "
        f"follows, its uncertainty is in the interval.",
        markup=False,
    )
    for arm in verdict.arms.values():
        console.print(arm.sentence(), markup=False, style="bold")
        console.print(
            f"  peak of a day {arm.peak_kw:.1f} kW (was {arm.measured_peak_kw:.1f}), {arm.below_k_h:.2f} K h below the "
            f"band per room and day (was {arm.measured_below_k_h:.2f}), {arm.warmer_k:+.2f} K on the mean",
            markup=False,
        )
        if arm.low_czk is None:
            console.print(f"Too few days for an interval: ask for at least {LEAST_DAYS}.", markup=False)
        elif arm.saved_low_pct is not None and arm.saved_low_pct <= 0.0 <= (arm.saved_high_pct or 0.0):
            console.print("The interval holds zero: these days do not show a saving.", markup=False)


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="CZK: energy and battery wear, at the same warmth and stores")
    for name in ("month", "arm", "days", "paid", "with PEMS", "P10..P90", "saved %", "P10..P90"):
        table.add_column(name, justify="left" if name in ("month", "arm") else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["month"],
            row["arm"],
            str(row["days"]),
            f"{row['paid_czk']:.0f}",
            f"{row['would_czk']:.0f}",
            _range(row["low_czk"], row["high_czk"], 0),
            f"{row['saved_pct']:.1f}",
            _range(row["saved_low_pct"], row["saved_high_pct"], 1),
        )
    return table


def _range(low: float | None, high: float | None, digits: int) -> str:
    return "-" if low is None or high is None else f"{low:.{digits}f}..{high:.{digits}f}"
