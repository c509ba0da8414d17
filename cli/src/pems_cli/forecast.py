"""`./pems forecast backtest`: how good forecasts would have been on a history (docs/forecast-backtest.md)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pems_cli.studies import FAILED, SUCCESS, WRONG_INPUT, WrongInput, check_targets, telling_wrong_input
from pems_common.home import load_home

if TYPE_CHECKING:
    from pems_forecaster.backtest.kinds import Backtest
    from pems_forecaster.backtest.told import Told

__all__ = ["BacktestOptions", "run_backtest"]


@dataclass(frozen=True)
class BacktestOptions:
    """What the command line says.

    Attributes:
        kind: `pv`, `load` or `price`.
        data: The CSV file.
        site: home.yaml of the site.
        output: Where the forecasts go; nowhere where None.
        picture: Where the picture goes; nowhere where None.
        begin: First day that is forecast; after 60 % of the history where None.
        every_days: Days between trainings.
        threads: Processor threads.
    """

    kind: str
    data: Path
    site: Path
    output: Path | None = None
    picture: Path | None = None
    begin: datetime | None = None
    every_days: int = 30
    threads: int = 2


def run_backtest(options: BacktestOptions, console: Console) -> int:
    """Backtest forecasts; returns the exit status."""
    import numpy as np

    from pems_forecaster.backtest.kinds import KINDS, BacktestPeriod
    from pems_forecaster.backtest.told import joined

    try:
        with telling_wrong_input(console):
            check_targets(options.output, options.picture)
            home = load_home(options.site)
            period = BacktestPeriod(options.begin, options.every_days, options.threads)
            backtest = KINDS[options.kind](options.data, home, period)
    except WrongInput:
        return WRONG_INPUT
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training and forecasting", total=backtest.periods)
        parts = []
        for part in backtest.parts:
            parts.append(part)
            progress.advance(task)
    told = joined(parts)
    if not np.isfinite(told.actual).any():
        console.print(f"{options.data}: nothing was measured in the days to be forecast", markup=False)
        return WRONG_INPUT
    console.print(_table(told, backtest))
    for line in _energy(told):
        console.print(line, markup=False)
    try:
        if options.output is not None:
            _write(told, backtest.unit, options.output)
            console.print(f"written to {options.output}", markup=False)
        if options.picture is not None:
            _draw(told, backtest, options.picture)
            console.print(f"drawn in {options.picture}", markup=False)
    except OSError as error:
        console.print(f"cannot be written: {error.strerror}", markup=False)
        return FAILED
    return SUCCESS


def _table(told: "Told", backtest: "Backtest") -> Table:
    """Scores of ours and of the simple methods."""
    import numpy as np

    from pems_forecaster.backtest.told import method_scores

    table = Table(title=f"{int(np.isfinite(told.actual).sum())} steps: {backtest.title}")
    for name in ("", "method", "RMSE", "MAE", "pinball", "P10-P90 holds", "width"):
        table.add_column(name, justify="left" if name in {"", "method"} else "right", no_wrap=name != "P10-P90 holds")
    last = ""
    for row in method_scores(told):
        if last and row.group != last:
            table.add_section()
        figures = [value / backtest.scale for value in (row.rmse, row.mae, row.pinball)]
        cells = [
            *(f"{value:.2f}" for value in figures),
            f"{row.coverage_pct:.1f} %",
            f"{row.width / backtest.scale:.1f}",
        ]
        shown = ["" if cell.startswith("nan") else cell for cell in cells]
        table.add_row("" if row.group == last else row.group, row.method, *shown)
        last = row.group
    return table


def _energy(told: "Told") -> Iterator[str]:
    """Errors of a day's energy, where means are said apart from medians."""
    from pems_forecaster.backtest.told import energy_errors

    errors = energy_errors(told)
    if errors:
        said = ", ".join(f"{method} {100 * error:.0f} %" for method, error in errors.items())
        yield f"energy of the first day, RMSE in % of the mean: {said}"


def _write(told: "Told", unit: str, output: Path) -> None:
    import pandas as pd

    from pems_forecaster.backtest.told import OURS

    columns: dict[str, Any] = {"start": pd.to_datetime(told.start_s, unit="s", utc=True).strftime("%Y-%m-%dT%H:%M:%SZ")}
    for name, mine in told.groups.items():
        columns[name.replace(" ", "_")] = mine.astype(int)
    for k, quantile in enumerate(("p10", "p50", "p90")):
        columns[f"{quantile}_{unit}"] = told.bands[OURS][:, k].round(2)
    for method, band in told.bands.items():
        if method != OURS:
            columns[f"{method.replace(' ', '_')}_{unit}"] = band[:, 1].round(2)
    for method, median in told.medians.items():
        columns[f"{method.replace(' ', '_')}_{unit}"] = median.round(2)
    columns[f"measured_{unit}"] = told.actual.round(2)
    pd.DataFrame(columns).to_csv(output, index=False)


def _draw(told: "Told", backtest: "Backtest", path: Path) -> None:
    from pems_forecaster.backtest.picture import draw

    draw(told, backtest.title.split(" in ")[0], backtest.unit.replace("eur_mwh", "EUR/MWh").replace("w", "W"), path)
