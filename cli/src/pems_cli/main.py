"""The verbs of `./pems`. What a verb needs is imported only when it runs, so that the help comes at once."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app", "main"]

app = typer.Typer(
    name="pems",
    help="Predictive energy management for a house. Start with: ./pems demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)
config_app = typer.Typer(help="The site's description, home.yaml.", no_args_is_help=True)
app.add_typer(config_app, name="config")
forecast_app = typer.Typer(help="Forecasts on a history of your own.", no_args_is_help=True)
app.add_typer(forecast_app, name="forecast")
montecarlo_app = typer.Typer(help="What may happen: many possible courses of the days ahead.", no_args_is_help=True)
app.add_typer(montecarlo_app, name="montecarlo")

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command()
def demo(
    hours: Annotated[float | None, typer.Option(help="House hours to run, then stop.", min=0.0)] = None,
    speed: Annotated[float, typer.Option(help="House seconds per second; 1 is real time.", min=0.1, max=600)] = 60.0,
    headless: Annotated[bool, typer.Option("--headless", help="Do not open the page.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report here.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated house.")] = 1,
    only: Annotated[str, typer.Option(help="Services to run, with commas: house,controller")] = "",
    start: Annotated[str | None, typer.Option(help="First local day of the house: 2026-01-15")] = None,
    sources: Annotated[str, typer.Option(help="Prices and weather: auto, live, replay or generated.")] = "auto",
) -> None:
    """Run a simulated house with everything around it, and the page."""
    from rich.console import Console

    from pems_cli.demo import DemoOptions, run_demo
    from pems_cli.stack import SERVICES

    services = frozenset(part.strip() for part in only.split(",") if part.strip()) or frozenset(SERVICES)
    if unknown := services - set(SERVICES):
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(SERVICES)}")
    if sources not in ("auto", "live", "replay", "generated"):
        raise typer.BadParameter(f"unknown sources {sources}; there are auto, live, replay, generated")
    options = DemoOptions(hours, speed, headless, report, seed, services, start, sources)
    raise typer.Exit(run_demo(options, Console(soft_wrap=True)))


@app.command()
def up() -> None:
    """Run the house of home.yaml on this machine, in real time.

    Nothing is switched until it is armed by two keys: `control: armed` in home.yaml and PEMS_ARM=yes.
    """
    from rich.console import Console

    from pems_cli.demo import run_up

    raise typer.Exit(run_up(Console(soft_wrap=True)))


@app.command()
def drill(
    name: Annotated[str, typer.Argument(help="optimizer, worker, redis, broker, ingest or controller")],
    speed: Annotated[float, typer.Option(help="House seconds per second.", min=1.0, max=600)] = 60.0,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report here.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated house.")] = 1,
) -> None:
    """Kill one part of a simulated house and measure how long it takes to be safe, and to be back."""
    from rich.console import Console

    from pems_cli.drill import DRILLS, run_drill

    if name not in DRILLS:
        raise typer.BadParameter(f"unknown drill {name}; there are {', '.join(DRILLS)}")
    raise typer.Exit(run_drill(name, Console(soft_wrap=True), speed=speed, report=report, seed=seed))


@app.command("test", context_settings=_PASS_ON)
def run_the_tests(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Only what needs no servers.")] = False,
    coverage: Annotated[float, typer.Option(help="Least line coverage in percent.")] = 85.0,
) -> None:
    """Run the tests; further arguments go to pytest."""
    from rich.console import Console

    from pems_cli.checks import run_tests

    raise typer.Exit(run_tests(Console(), context.args, fast=fast, least_pct=coverage))


@app.command()
def check(fix: Annotated[bool, typer.Option("--fix", help="Mend what ruff can mend.")] = False) -> None:
    """Run ruff, mypy, import-linter and shellcheck."""
    from rich.console import Console

    from pems_cli.checks import run_checks

    raise typer.Exit(run_checks(Console(soft_wrap=True), fix=fix))


@app.command(context_settings=_PASS_ON)
def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which benchmark; without one, they are listed.")] = "",
) -> None:
    """Measure speed or accuracy: one JSON line a case. Further arguments go to the benchmark."""
    from pems_cli.bench import run_bench

    raise typer.Exit(run_bench(name, context.args))


@app.command()
def solve(
    problem: Annotated[str, typer.Argument(help="A problem file (docs/solve.md), or - for standard input.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the plan here, not to stdout.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds, instead of the file's own.")] = None,
    strategy: Annotated[str | None, typer.Option(help="point, robust or scenarios.")] = None,
    certificate: Annotated[bool, typer.Option("--certificate", help="Say how far the plan is from the best.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a problem.")] = False,
    answer_schema: Annotated[bool, typer.Option("--answer-schema", help="Print the one of a plan.")] = False,
) -> None:
    """Solve a planning problem given as JSON: prices, battery, rooms, a car; no PEMS house is needed."""
    from rich.console import Console

    from pems_cli.solve import SolveOptions, print_schema, run_solve

    if schema or answer_schema:
        raise typer.Exit(print_schema(answer=answer_schema))
    if not problem:
        raise typer.BadParameter("name a problem file, such as config/examples/car-and-dishwasher.json")
    options = SolveOptions(output, time_limit, strategy, certificate)
    raise typer.Exit(run_solve(problem, options, Console(stderr=True, soft_wrap=True)))


@app.command()
def why(
    device: Annotated[str, typer.Argument(help="room:<name>, water, appliance:<name>, ev or battery")],
    action: Annotated[str, typer.Argument(help="on, off; for the battery an intent such as charge_from_grid")],
    at: Annotated[str, typer.Argument(help="Local time, today or later: 14:00, or a whole instant with its offset.")],
    plan: Annotated[str, typer.Option(help="Plan id.")] = "latest",
    url: Annotated[str, typer.Option(help="Address of the optimizer.", envvar="PEMS_OPTIMIZER_URL")] = "",
    key: Annotated[str, typer.Option(help="API key; a local run's own is found.", envvar="PEMS_API_KEY")] = "",
    language: Annotated[str, typer.Option(help="en or cs.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer.")] = False,
) -> None:
    """Ask what it would cost if a device did something else: ./pems why room:obyvak on 14:00."""
    from rich.console import Console

    from pems_cli.paths import data_directory
    from pems_cli.why import ask_why, internal_key

    url = url or "http://127.0.0.1:8083"
    raise typer.Exit(
        ask_why(
            Console(soft_wrap=True),
            url=url,
            key=key or internal_key(data_directory(), url),
            plan=plan,
            device=device,
            action=action,
            at=at,
            language=language,
            as_json=as_json,
        )
    )


@app.command()
def replay(
    plan: Annotated[str, typer.Argument(help="A plan id, or latest; without one, plans that can be made again.")] = "",
    file: Annotated[Path | None, typer.Option(help="A file of --save, instead of a running PEMS.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write everything that decided the plan here.")] = None,
    truth: Annotated[bool, typer.Option("--truth", help="Split what it lost, with the history of ingest.")] = False,
    truth_file: Annotated[Path | None, typer.Option(help="The same, with a CSV (docs/replay.md).")] = None,
    executed_slots: Annotated[int | None, typer.Option(help="Quarters of an hour to the next plan.", min=1)] = None,
    url: Annotated[str, typer.Option(help="Address of the optimizer.", envvar="PEMS_OPTIMIZER_URL")] = "",
    ingest_url: Annotated[str, typer.Option(help="Address of ingest.", envvar="PEMS_INGEST_URL")] = "",
    key: Annotated[str, typer.Option(help="API key; a local run's own is found.", envvar="PEMS_API_KEY")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a plan again, bit for bit, and say what it lost by forecasts, by models and by the search."""
    from rich.console import Console

    from pems_cli.paths import data_directory
    from pems_cli.replay import ReplayOptions, run_replay
    from pems_cli.why import internal_key

    url, ingest_url = url or "http://127.0.0.1:8083", ingest_url or "http://127.0.0.1:8081"
    own, ingest_own = (key or internal_key(data_directory(), address) for address in (url, ingest_url))
    options = ReplayOptions(
        plan, file, save, truth, truth_file, executed_slots, url, ingest_url, own, ingest_own, as_json
    )
    raise typer.Exit(run_replay(options, Console(soft_wrap=True)))


@app.command()
def shadow(
    candidate: Annotated[Path | None, typer.Option(help="home.yaml of the other configuration.")] = None,
    meter: Annotated[str | None, typer.Option(help="robust or scenarios, held against point, instead.")] = None,
    live: Annotated[Path | None, typer.Option(help="The live one. Default: PEMS_HOME, else config/home.yaml.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First local day; 28 days back without.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last local day; the last that has ended without.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with each day that ends.")] = False,
    cases: Annotated[Path | None, typer.Option(help="The planner's cases.sqlite3, or a folder of cases.")] = None,
    history: Annotated[Path | None, typer.Option(help="Ingest's history.sqlite3, instead of its REST.")] = None,
    book: Annotated[Path | None, typer.Option(help="Where results are kept, one JSON line a day.")] = None,
    days: Annotated[int, typer.Option(help="Least days of the gate.", min=14)] = 14,
    gain: Annotated[float, typer.Option(help="The gain has to be surely above this, CZK a day.")] = 0.0,
    publish: Annotated[bool, typer.Option("--publish", help="Publish the verdict; plans read a meter's.")] = False,
    url: Annotated[str, typer.Option(help="Address of the optimizer.", envvar="PEMS_OPTIMIZER_URL")] = "",
    ingest_url: Annotated[str, typer.Option(help="Address of ingest.", envvar="PEMS_INGEST_URL")] = "",
    key: Annotated[str, typer.Option(help="API key; a local run's own is found.", envvar="PEMS_API_KEY")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Let another configuration live the days that have been beside the live one, and say whether to promote it."""
    from rich.console import Console

    from pems_cli.paths import data_directory, home_file
    from pems_cli.shadow import make_options, run_shadow
    from pems_cli.why import internal_key

    console = Console(soft_wrap=True)
    urls = url or "http://127.0.0.1:8083", ingest_url or "http://127.0.0.1:8081"
    keys = tuple(key or internal_key(data_directory(), address) for address in urls)
    options = make_options(
        live=live or home_file(), candidate=candidate, meter=meter, first=first, last=last, follow=follow, cases=cases,
        history=history, book=book or data_directory() / "shadow.jsonl", days=days, gain=gain, publish=publish,
        urls=urls, keys=keys, as_json=as_json, console=console,
    )  # fmt: skip
    raise typer.Exit(2 if options is None else run_shadow(options, console))


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="home.yaml of the live configuration.")],
    other: Annotated[Path, typer.Argument(help="home.yaml of the candidate.")],
    start: Annotated[str, typer.Option(help="First day that counts.")] = "2025-01-13",
    days: Annotated[int, typer.Option(help="Days that count; an interval needs 14.", min=1)] = 28,
    stretch: Annotated[int, typer.Option(help="Cut the days into runs of so many.", min=1)] = 7,
    seed: Annotated[int, typer.Option(help="Of house, household and forecast errors.")] = 0,
    generated: Annotated[bool, typer.Option("--generated", help="Generated days, not the reference year.")] = False,
    weather: Annotated[str, typer.Option(help="CSV of your own hours (docs/laboratory.md).")] = "",
    prices: Annotated[str, typer.Option(help="CSV of their prices.")] = "",
    gain: Annotated[float, typer.Option(help="The gain has to be surely above this, CZK a day.")] = 0.0,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    out: Annotated[Path | None, typer.Option(help="Where finished runs stay.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Let two configurations run the simulated house through the same days, and say whether to promote the other."""
    from rich.console import Console

    from pems_cli.compare import CompareOptions, run_compare
    from pems_cli.paths import data_directory, data_sets_directory

    options = CompareOptions(
        one, other, start, days, stretch, seed, generated, weather, prices, gain, jobs,
        out or data_directory() / "compare", data_sets_directory(), as_json,
    )  # fmt: skip
    raise typer.Exit(run_compare(options, Console(soft_wrap=True)))


@app.command()
def doctor() -> None:
    """Look at this machine and say what is missing, and what to do about it."""
    from rich.console import Console

    from pems_cli.doctor import run_doctor

    raise typer.Exit(run_doctor(Console(soft_wrap=True)))


@app.command()
def lock(upgrade: Annotated[bool, typer.Option("--upgrade", help="Take the newest versions.")] = False) -> None:
    """Write the lock files anew from pyproject.toml (for developers)."""
    import subprocess

    from pems_cli.lock import write_locks

    try:
        write_locks(upgrade=upgrade)
    except subprocess.CalledProcessError as error:
        typer.echo(error.stderr, err=True)
        raise typer.Exit(1) from None


@forecast_app.command("backtest")
def forecast_backtest(
    data: Annotated[Path, typer.Option(help="CSV of the history (docs/forecast-backtest.md).")],
    kind: Annotated[Literal["pv", "load", "price"], typer.Option(help="What the file holds.")] = "pv",
    site: Annotated[Path | None, typer.Option(help="home.yaml of the site; PEMS_HOME's where absent.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the forecasts here (CSV).")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw reliability and the last days here (PNG, SVG).")] = None,
    begin: Annotated[datetime | None, typer.Option("--from", help="First day to forecast, UTC: 2025-06-01.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Days between trainings.")] = 30,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 2,
) -> None:
    """Say how good forecasts would have been: each from what was known when it was made."""
    from rich.console import Console

    from pems_cli.forecast import BacktestOptions, run_backtest
    from pems_cli.paths import home_file

    first = None if begin is None else begin.replace(tzinfo=UTC)
    options = BacktestOptions(kind, data, site or home_file(), output, picture, first, every, threads)
    raise typer.Exit(run_backtest(options, Console(soft_wrap=True)))


@app.command()
def identify(
    data: Annotated[Path, typer.Option(help="CSV of the rooms' history (docs/rooms.md).")],
    room: Annotated[str | None, typer.Option(help="Tell of this room only; the others are its neighbours.")] = None,
    site: Annotated[Path | None, typer.Option(help="home.yaml, where the rooms are in it.")] = None,
    heater_w: Annotated[float | None, typer.Option(min=1.0, help="Heater's power, for columns `relay` [W].")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the models here (JSON).")] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the last days beside the models (PNG).")] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw them here instead (PNG, SVG, PDF).")] = None,
) -> None:
    """Identify a thermal model of each room from its own history."""
    from rich.console import Console

    from pems_cli.identify import IdentifyOptions, run_identify

    drawn = picture or ((output or Path(data.name)).with_suffix(".png") if plot else None)
    options = IdentifyOptions(data, room, site, heater_w, output, drawn)
    raise typer.Exit(run_identify(options, Console(soft_wrap=True)))


@app.command()
def report(
    first: Annotated[str | None, typer.Option("--from", help="First local day: 2026-01-15. Default: 30 days.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last local day. Default: today.")] = None,
    baseline_from: Annotated[str | None, typer.Option(help="First day of a time without PEMS.")] = None,
    baseline_to: Annotated[str | None, typer.Option(help="Its last day.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Write the page here.")] = Path("report.html"),
    url: Annotated[str, typer.Option(help="Address of the monitor.", envvar="PEMS_MONITOR_URL")] = "",
    key: Annotated[str, typer.Option(help="API key; a local run's own is found.", envvar="PEMS_API_KEY")] = "",
    language: Annotated[str, typer.Option(help="en or cs.")] = "en",
) -> None:
    """Write how the house did as one HTML page: costs, savings, forecasts, rooms, and what to do."""
    from rich.console import Console

    from pems_cli.paths import data_directory
    from pems_cli.report import ReportOptions, run_report
    from pems_cli.why import internal_key

    url = url or "http://127.0.0.1:8080"
    key = key or internal_key(data_directory(), url)
    options = ReportOptions(first, last, baseline_from, baseline_to, output, url, key, language)
    raise typer.Exit(run_report(options, Console(soft_wrap=True)))


@app.command()
def backtest(
    first: Annotated[str, typer.Option("--from", help="First local day: 2026-01-15")],
    last: Annotated[str, typer.Option("--to", help="Last local day.")],
    history: Annotated[str, typer.Option(help="sqlite:PATH, or influx. Default: what PEMS keeps.")] = "",
    home: Annotated[Path | None, typer.Option("--home", help="The site. Default: this checkout's home.yaml.")] = None,
    arms: Annotated[str, typer.Option(help="Who runs the house: point, rules, robust, scenarios.")] = "point",
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where finished parts are kept.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of forecast errors where none were archived.")] = 0,
    learn: Annotated[bool, typer.Option("--learn", help="Train forecast and room models on the way.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write JSON lines here.")] = None,
) -> None:
    """What PEMS would have saved in your own house, over days of its own history (docs/backtest.md)."""
    from rich.console import Console

    from pems_cli.backtest import BacktestOptions, run_pems_backtest
    from pems_cli.paths import data_directory, data_sets_directory, home_file

    data = data_directory()
    options = BacktestOptions(
        first,
        last,
        history,
        home or home_file(),
        arms,
        out or data / "backtest",
        jobs,
        seed,
        learn,
        data_sets_directory(),
        data / "history.sqlite3",
        output,
    )
    raise typer.Exit(run_pems_backtest(options, Console(soft_wrap=True)))


@montecarlo_app.command("plan")
def montecarlo_plan(
    plan: Annotated[str, typer.Argument(help="Plan id; the newest where absent.")] = "",
    draws: Annotated[int, typer.Option(min=1, max=10_000, help="Possible courses of the days.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same courses.")] = 1,
    relays: Annotated[Literal["strict", "guarded"], typer.Option(help="As planned, or as the controller.")] = "strict",
    case: Annotated[str, typer.Option(help="Without a running PEMS: winter, or a problem file (docs/solve.md).")] = "",
    url: Annotated[str, typer.Option(help="Address of the optimizer.", envvar="PEMS_OPTIMIZER_URL")] = "",
    key: Annotated[str, typer.Option(help="API key; a local run's own is found.", envvar="PEMS_API_KEY")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write all draws here (JSON).")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw them here (PNG, SVG, PDF).")] = None,
) -> None:
    """Say what a plan costs and how warm it keeps the rooms if PV, load, prices and weather turn out otherwise."""
    from rich.console import Console

    from pems_cli.montecarlo import FanOptions, run_plan_fan
    from pems_cli.paths import data_directory
    from pems_cli.why import internal_key

    url = url or "http://127.0.0.1:8083"
    key = key or ("" if case else internal_key(data_directory(), url))
    options = FanOptions(plan, draws, seed, relays, case, url, key, as_json, output, picture)
    raise typer.Exit(run_plan_fan(options, Console(stderr=True, soft_wrap=True)))


@montecarlo_app.command("days")
def montecarlo_days(
    days: Annotated[int, typer.Option(min=1, max=100_000, help="How many days.")] = 100,
    first: Annotated[int, typer.Option(min=0, help="Number of the first.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same days.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    world: Annotated[Literal["generated", "reference"], typer.Option(help="Weather and prices.")] = "generated",
    season: Annotated[Literal["year", "winter"], typer.Option(help="Any date, or November to March.")] = "year",
    site: Annotated[Path | None, typer.Option(help="home.yaml of the site; PEMS_HOME's where absent.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the worst days here (JSON).")] = None,
    url: Annotated[str, typer.Option(help="Optimizer of a running PEMS whose bulk workers do it.")] = "",
    key: Annotated[str, typer.Option(help="API key; a local run's own is found.", envvar="PEMS_API_KEY")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 where a day went wrong.")] = False,
) -> None:
    """Let the simulated house live through days with random faults, and tell the worst."""
    from rich.console import Console

    from pems_cli.montecarlo_days import DaysOptions, run_days
    from pems_cli.paths import data_directory, home_file
    from pems_cli.why import internal_key

    key = key or (internal_key(data_directory(), url) if url else "")
    options = DaysOptions(
        days, first, seed, workers, world, season, site or home_file(), output, url, key, as_json, check
    )
    raise typer.Exit(run_days(options, Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)))


@montecarlo_app.command("replay-day")
def montecarlo_replay_day(
    seed: Annotated[int, typer.Argument(min=0, help="Seed of the days.")],
    number: Annotated[int, typer.Argument(min=0, help="Number of the day.")],
    world: Annotated[Literal["generated", "reference"], typer.Option(help="Weather and prices.")] = "generated",
    season: Annotated[Literal["year", "winter"], typer.Option(help="Any date, or November to March.")] = "year",
    site: Annotated[Path | None, typer.Option(help="home.yaml of the site; PEMS_HOME's where absent.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="The same day without a planner.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Live through one of these days again, and tell its story."""
    from rich.console import Console

    from pems_cli.montecarlo_days import ReplayOptions, replay_day
    from pems_cli.paths import home_file

    options = ReplayOptions(seed, number, world, season, site or home_file(), rules, as_json)
    raise typer.Exit(replay_day(options, Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)))


@config_app.command("check")
def config_check(
    file: Annotated[Path | None, typer.Argument(help="Default: PEMS_HOME, else config/home.yaml.")] = None,
) -> None:
    """Check home.yaml; each mistake with its line, field, value and remedy."""
    from pems_cli.config import check_home

    raise typer.Exit(check_home(file))


@config_app.command("show")
def config_show(
    file: Annotated[Path | None, typer.Argument(help="Default: PEMS_HOME, else config/home.yaml.")] = None,
) -> None:
    """Print home.yaml as PEMS understands it, with every default filled in."""
    from pems_cli.config import show_home

    raise typer.Exit(show_home(file))


def main() -> None:
    """Entry point of `./pems`."""
    from pems_common.errors import PemsError

    try:
        app(prog_name="./pems")
    except PemsError as error:
        typer.echo(f"pems: {error}", err=True)
        sys.exit(1)
