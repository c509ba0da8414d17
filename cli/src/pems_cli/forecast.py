"""`./pems forecast backtest`: how good forecasts would have been on a history (docs/forecast-backtest.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pems_common.errors import PermanentError
from pems_common.home import HomeError, load_home

if TYPE_CHECKING:
    from pems_forecaster.backtest.pv import PvForecasts

__all__ = ["BacktestOptions", "run_backtest"]

_SUCCESS, _FAILED, _WRONG_INPUT = 0, 1, 2
_DAY_S = 86_400
_LEAST_DAYS = 14  # of history, before the first forecast


@dataclass(frozen=True)
class BacktestOptions:
    """What the command line says.

    Attributes:
        data: The CSV file.
        site: home.yaml of the plant.
        output: Where the forecasts go; nowhere where None.
        begin: First day that is forecast; after 60 % of the rows where None.
        every_days: Days between trainings.
        threads: Processor threads.
    """

    data: Path
    site: Path
    output: Path | None = None
    begin: datetime | None = None
    every_days: int = 30
    threads: int = 2


def run_backtest(options: BacktestOptions, console: Console) -> int:
    """Backtest PV forecasts; returns the exit status."""
    import numpy as np

    from pems_forecaster.backtest.pv import PvLearner, PvSettings, run_periods
    from pems_forecaster.backtest.pv_csv import read_pv_csv
    from pems_forecaster.backtest.pv_table import PvPlace

    try:
        home = load_home(options.site)
        if not home.pv.roofs:
            raise PermanentError(f"{options.site} has no PV", remedy="describe its roofs under pv.roofs")
        place = PvPlace(home.site.latitude, home.site.longitude, home.site.altitude_m, home.pv)
        table = read_pv_csv(options.data, place)
        bounds = _bounds(table.start_s.tolist(), table.step_s, options)
    except HomeError as error:
        console.print(f"{error.source}: {len(error.problems)} to correct", markup=False)
        for problem in error.problems:
            console.print(f"  {problem}", markup=False)
        return _WRONG_INPUT
    except PermanentError as error:
        console.print(f"{error.message}; {error.remedy}", markup=False)
        return _WRONG_INPUT
    usual = PvSettings()
    learner = PvLearner([table], replace(usual, trees=replace(usual.trees, threads=options.threads)))
    said: list[PvForecasts] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training and forecasting", total=len(bounds) - 1)
        for _, part in run_periods(learner, bounds):
            said.append(part)
            progress.advance(task)
    if all(np.isnan(part.actual).all() for part in said):
        console.print(f"{options.data}: no power was measured in the days to be forecast", markup=False)
        return _WRONG_INPUT
    console.print(_table(said, home.pv.inverter_ac_limit_w))
    if options.output is not None:
        try:
            _write(said, home.pv.inverter_ac_limit_w, options.output)
        except OSError as error:
            console.print(f"{options.output}: cannot be written: {error.strerror}", markup=False)
            return _FAILED
        console.print(f"written to {options.output}", markup=False)
    return _SUCCESS


def _bounds(start_s: list[int], step_s: int, options: BacktestOptions) -> list[int]:
    first, last = start_s[0], start_s[-1] + step_s
    begin = start_s[int(0.6 * len(start_s))] if options.begin is None else int(options.begin.timestamp())
    begin -= begin % _DAY_S
    if begin - first < _LEAST_DAYS * _DAY_S or begin >= last:
        raise PermanentError(
            f"the first forecast day has to be at least {_LEAST_DAYS} days after the first row, and before the last",
            remedy="give a longer history, or another --from",
        )
    return [*range(begin, last, options.every_days * _DAY_S), last]


def _table(said: Sequence["PvForecasts"], capacity_w: float) -> Table:
    """Scores of ours and of the simple methods, as shares of the inverter's limit."""
    import numpy as np

    from pems_forecaster.backtest.scores import score

    levels, day = said[0].levels, np.concatenate([part.daylight for part in said])
    actual = np.concatenate([part.actual for part in said])

    def joined(pick: str) -> Any:
        return np.concatenate([getattr(part, pick) for part in said])

    table = Table(title=f"{int(np.isfinite(actual).sum())} steps, in % of {capacity_w / 1000:g} kW")
    for name in ("method", "RMSE", "RMSE by day", "pinball", "P10-P90 holds", "width by day"):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=name == "method")
    for name, quantiles in (("PEMS", joined("quantiles")), ("trees alone", joined("raw")),
                            ("climatology", joined("climatology"))):  # fmt: skip
        whole = score(actual, quantiles, levels, 1.0)
        light = score(actual[day], quantiles[day], levels, 1.0)
        table.add_row(
            name, f"{100 * whole.rmse:.2f}", f"{100 * light.rmse:.2f}", f"{100 * whole.pinball:.2f}",
            f"{100 * light.coverage:.1f}", f"{100 * light.width:.1f}",
        )  # fmt: skip
    for name in said[0].medians:
        error = np.concatenate([part.medians[name] for part in said]) - actual
        rmse = [100 * float(np.sqrt(np.nanmean(part**2))) for part in (error, error[day])]
        table.add_row(name.replace("_", " "), f"{rmse[0]:.2f}", f"{rmse[1]:.2f}", "", "", "")
    return table


def _write(said: Sequence["PvForecasts"], capacity_w: float, output: Path) -> None:
    import pandas as pd

    from pems_forecaster.backtest.scores import band_of

    parts = [
        pd.DataFrame(
            {
                "start": pd.to_datetime(part.start_s, unit="s", utc=True).strftime("%Y-%m-%dT%H:%M:%SZ"),
                **{f"{name}_w": (capacity_w * side).round(1) for name, side in vars(band).items()},
                **{f"{name}_w": (capacity_w * median).round(1) for name, median in part.medians.items()},
                "measured_w": (capacity_w * part.actual).round(1),
            }
        )
        for part, band in ((part, band_of(part.quantiles, part.levels)) for part in said)
    ]
    pd.concat(parts).to_csv(output, index=False)
