"""`./pems identify`: thermal models of rooms from a history of one's own (docs/rooms.md)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pems_cli.studies import FAILED, SUCCESS, WRONG_INPUT, WrongInput, check_targets, telling_wrong_input
from pems_common.errors import PermanentError
from pems_common.home import Home, load_home

if TYPE_CHECKING:
    from pems_common.messages import RoomModel
    from pems_forecaster.domain.room_fit.identify import RoomFit
    from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["IdentifyOptions", "run_identify"]

_SHOWN_DAYS = 5


@dataclass(frozen=True)
class IdentifyOptions:
    """What the command line says.

    Attributes:
        data: The CSV file.
        room: The room that is told of; all where None.
        site: home.yaml, for priors, neighbours and the clock; nothing is known of the rooms where None.
        heater_w: Power of a heater whose relay the file tells.
        output: Where the models go (JSON); nowhere where None.
        picture: Where the picture goes; nowhere where None.
    """

    data: Path
    room: str | None = None
    site: Path | None = None
    heater_w: float | None = None
    output: Path | None = None
    picture: Path | None = None


def run_identify(options: IdentifyOptions, console: Console) -> int:
    """Identify rooms; returns the exit status."""
    from pems_forecaster.backtest.room_csv import read_room_csv
    from pems_forecaster.domain.room_fit.identify import identify_house
    from pems_forecaster.domain.room_fit.plain_prior import PLAIN_VAGUE

    try:
        with telling_wrong_input(console):
            check_targets(options.output, options.picture)
            home = None if options.site is None else load_home(options.site)
            series = read_room_csv(
                options.data, zone=None if home is None else home.site.zone, heater_w=options.heater_w
            )
            priors = _priors(home, series, options)
    except WrongInput:
        return WRONG_INPUT
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("identifying", total=1.0)
        fits = identify_house(
            priors,
            series,
            vague=PLAIN_VAGUE if home is None else 1.0,
            progress=lambda share: progress.update(task, completed=share),
        )
    told = fits if options.room is None else {options.room: fits[options.room]}
    for room, fit in told.items():
        _tell(room, fit, console)
    try:
        if options.output is not None:
            body = {"data": options.data.name, "rooms": {room: _plain(fit) for room, fit in told.items()}}
            options.output.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
            console.print(f"written to {options.output}", markup=False)
        if options.picture is not None:
            _draw(fits, series, tuple(told), options.picture)
            console.print(f"drawn in {options.picture}", markup=False)
    except OSError as error:
        console.print(f"cannot be written: {error.strerror}", markup=False)
        return FAILED
    return SUCCESS


def _priors(home: Home | None, series: "HouseSeries", options: IdentifyOptions) -> "dict[str, RoomModel]":
    """Prior of each room of the file.

    Raises:
        PermanentError: A room is not in home.yaml, or the one asked for is not in the file.
    """
    from pems_forecaster.domain.room_fit.plain_prior import plain_prior
    from pems_forecaster.domain.rooms import prior_models

    if options.room is not None and options.room not in series.air_c:
        raise PermanentError(
            f"{options.data}: no room {options.room} is in it", remedy=f"there are {', '.join(series.air_c)}"
        )
    if home is None:
        return {room: plain_prior(series, room) for room in series.air_c}
    known = prior_models(home)
    if unknown := [room for room in series.air_c if room not in known]:
        raise PermanentError(
            f"{options.data}: {', '.join(unknown)} is no room of {options.site}",
            remedy=f"name its column after one of {', '.join(known)}, or leave --site out",
        )
    return {room: known[room] for room in series.air_c}


def _tell(room: str, fit: "RoomFit", console: Console) -> None:
    """Print a room."""
    from pems_forecaster.domain.room_fit.intervals import time_constant_h

    model = fit.model
    table = Table(title=f"{room}: tier {fit.tier()}")
    for name in ("", "value", "90 % interval", "unit"):
        table.add_column(name, justify="left" if name in {"", "unit"} else "right")
    rows = [
        ("loss to outdoors", 1.0 / model.rea_k_w, _turned(fit.interval["rea_k_w"]), "W/K"),
        ("air to mass", 1.0 / model.ria_k_w, _turned(fit.interval["ria_k_w"]), "W/K"),
        ("heat capacity of the air", model.ci_j_k / 3.6e6, _scaled(fit.interval["ci_j_k"]), "kWh/K"),
        ("heat capacity of the mass", model.cm_j_k / 3.6e6, _scaled(fit.interval["cm_j_k"]), "kWh/K"),
        ("slowest time constant", time_constant_h(model), fit.interval["time_constant_h"], "h"),
    ]
    if "heat_to_mass" in fit.interval:
        rows.append(("heat that enters the mass first", model.heat_to_mass, fit.interval["heat_to_mass"], "-"))
    rows += [
        (f"to {other}", value, fit.interval[f"neighbour:{other}"], "W/K")
        for other, value in model.neighbours.items()
        if f"neighbour:{other}" in fit.interval
    ]
    rows += [
        (f"sun, {plane}", value, fit.interval[f"solar:{plane}"], "m2")
        for plane, value in model.solar_m2.items()
        if f"solar:{plane}" in fit.interval
    ]
    for name, value, (low, high), unit in rows:
        table.add_row(name, f"{value:.3g}", f"{low:.3g} to {high:.3g}", unit)
    table.add_row("gains, mean of the day", f"{sum(model.gains_w.values()) / 24.0:.3g}", "", "W")
    console.print(table)
    for line in _errors(fit):
        console.print(line, markup=False)
    for reason, hours in fit.left_out.items():
        console.print(f"left out: {hours:.1f} h, {reason}", markup=False)
    for warning in fit.warnings:
        console.print(f"! {warning}", markup=False)


def _turned(interval: tuple[float, float]) -> tuple[float, float]:
    return 1.0 / interval[1], 1.0 / interval[0]


def _scaled(interval: tuple[float, float]) -> tuple[float, float]:
    return interval[0] / 3.6e6, interval[1] / 3.6e6


def _errors(fit: "RoomFit") -> list[str]:
    evidence = fit.evidence
    lines = [f"{evidence.days:.1f} days could be used; excitation {evidence.excitation:.2f} of 1"]
    if evidence.mae_24h_c is None:
        return [*lines, "24-h error: unknown, the history is too short to hold days back"]
    said = f"24-h error on days held back: {evidence.mae_24h_c:.2f} C"
    if fit.p95_24h_c is not None:
        said += f" (95 % below {fit.p95_24h_c:.2f} C)"
    if evidence.simple_mae_24h_c is not None:
        said += f"; the same as yesterday {evidence.simple_mae_24h_c:.2f} C"
    if fit.arx is not None:
        said += f"; regression (ARX) {fit.arx.mae_24h_c:.2f} C"
    return [*lines, said]


def _plain(fit: "RoomFit") -> dict[str, Any]:
    """Plain data of a room for the file."""
    return {
        "model": fit.model.model_dump(),
        "tier": fit.tier(),
        "interval_90": {name: list(ends) for name, ends in fit.interval.items()},
        "evidence": fit.evidence.model_dump(),
        "p95_24h_c": fit.p95_24h_c,
        "nis": fit.nis,
        "warnings": list(fit.warnings),
        "left_out_h": fit.left_out,
        "filter": asdict(fit.beliefs),
        "arx": None if fit.arx is None else fit.arx.to_json(),
    }


def _draw(fits: "Mapping[str, RoomFit]", series: "HouseSeries", shown: tuple[str, ...], path: Path) -> None:
    """Draw the last days of rooms: measured, and said at each midnight (UTC) for 24 hours.

    Raises:
        OSError: It cannot be written.
    """
    import numpy as np
    from matplotlib.figure import Figure  # no window system is needed

    from pems_forecaster.domain.room_fit.foretold import foretold

    said = foretold(fits, series, _SHOWN_DAYS)
    figure = Figure(figsize=(12.0, 0.6 + 2.6 * len(shown)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(shown), 1, sharex=True))
    for axes, room in zip(panels, shown, strict=True):
        for place, origin in enumerate(said.origins):
            times = said.time_s[origin + 1 : origin + 1 + said.air_c.shape[1]].astype("datetime64[s]")
            label = "said at midnight (UTC) for 24 h" if place == 0 else None
            axes.plot(times, said.air_c[place, : len(times), said.names.index(room)], color="#1f7a4d", label=label)
        first = int(said.origins[0])
        axes.plot(said.time_s[first:].astype("datetime64[s]"), said.measured_c[room][first:], color="#222222", lw=1.0)
        axes.set(title=f"{room}: measured (black) and foreseen with the weather and heat that came", ylabel="C")
        axes.grid(color="#e3e3e3", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=110)
