"""Rooms of the simulated house: identified from three winter weeks of its own thermostats, judged on the days after.

The house of config/home.yaml lives 26 winter days without PEMS: each room's thermostat holds its comfort target by day
and by night, people live in it, the sun shines. What a real installation has of it is recorded: readings told on
change (0.1 K steps, noise, an offset), relays, window contacts, outdoor temperature, and the sun on the facades as the
forecaster expected it, slot by slot, never as it was. Rooms are identified from the first 21 days. On the 5 days after
them each room is foreseen for 24 h every 3 h, all rooms together, with the weather forecast that was there, and the
heat that was really given, as a plan knows it; the state comes from the filter on the past.

Beside it stand the same with the weather that came, the prior model, the same hour of yesterday (which a thermostat
makes good), and the last reading. The building is drawn by `pems_house`, with four nodes a room, ground under some,
wind and people: `loss_w_k` and `time_constant_h` are its own, with the ground taken as cold as outdoors. Both time
constants, its own and the model's, are the slowest of a room whose neighbours follow it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from benchmarks._gates import Gate, Row
from numpy.typing import NDArray

from pems_common.home import Home, load_home
from pems_common.messages import RoomModel, Thermal
from pems_common.thermal import DISTURBANCE_FADE_H
from pems_common.world import World
from pems_common.world.generated import GeneratedWorld
from pems_forecaster.domain.fine_weather import FineWeather, fine_weather
from pems_forecaster.domain.grid import SLOT_S, Floats, Grid, Ints, LocalCalendar, slot_no
from pems_forecaster.domain.observer import HouseObserver, RoomInputs
from pems_forecaster.domain.outdoor import outdoor_base
from pems_forecaster.domain.pv import facade_irradiance
from pems_forecaster.domain.room_fit.identify import RoomFit, identify_house
from pems_forecaster.domain.room_fit.intervals import time_constant_h
from pems_forecaster.domain.room_fit.predict import Beliefs
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.domain.rooms import prior_models
from pems_forecaster.domain.slot_history import SlotHistory
from pems_house.domain.building import Building
from pems_house.domain.plant import Plant
from pems_house.domain.prices import true_prices
from pems_house.reporting import Reporter
from pems_optimizer.domain.room_arrays import joint_step

HOME = load_home(Path(__file__).resolve().parents[1] / "config" / "home.yaml")
START = datetime(2026, 1, 5, 23, 0, tzinfo=UTC)
"""Local midnight."""
TRAIN_DAYS, TEST_DAYS = 21, 5
DAY = 96
AHEAD = 96
ORIGIN_EVERY = 12
METHODS = ("mae_24h_c", "measured_weather_c", "yesterday_c", "persistence_c", "prior_c")
ERROR_C, LOSS_PCT, TIME_CONSTANT_PCT = 0.5, 10.0, 20.0
_MINUTE = timedelta(minutes=1)
_HOURS_BEYOND = 3
"""The sun inside an hour is shaped by the hours beside it."""


# All 17 rooms: what may stay beside the goal of issue and TARGETS.
GATES: tuple[Gate, ...] = (
    Gate("house", "rooms_over_error", 2, 0),
    Gate("house", "rooms_not_control", 2, 0),
    Gate("house", "control_over_error", 0, 0),
    Gate("house", "control_loss_off_pct", LOSS_PCT, LOSS_PCT / 2.0),
    Gate("house", "control_rooms_loss_off", 0, 0),
    Gate("house", "control_rooms_time_constant_off", 0, 0),
)


@dataclass(frozen=True)
class Lived:
    """What a simulated house left behind.

    Attributes:
        series: As a real installation has it.
        building: The truth.
        world: Its weather, with the forecasts of it.
    """

    series: HouseSeries
    building: Building
    world: World


def generated_world(home: Home, seed: int) -> World:
    """Return the generated world of a seed."""
    return GeneratedWorld(seed=seed, latitude=home.site.latitude, longitude=home.site.longitude)


def live(home: Home, world: World, start: datetime, days: float, *, seed: int) -> Lived:
    """Let the house live on its own thermostats, and record what its devices say.

    Args:
        home: The site, as PEMS is told and as it is built.
        world: Weather and prices.
        start: First instant; a full hour.
        days: How long.
        seed: Of the building, its sensors, and the people.
    """
    plant = Plant(home, world.weather, true_prices(home, world), start, seed=seed)
    told = _Told(home, Reporter(home, plant))
    told.listen()
    steps, rooms, minutes = round(days * DAY), len(home.rooms), SLOT_S // 60
    air_c, minutes_on, outdoor_c = np.empty((steps, rooms)), np.zeros((steps, rooms)), np.zeros(steps)
    opened: NDArray[np.bool_] = np.zeros((steps, rooms), dtype=np.bool_)
    at = start
    for step in range(steps):
        air_c[step] = told.air_c
        for _ in range(minutes):
            at += _MINUTE
            plant.advance(at)
            told.listen()
            minutes_on[step] += told.relay_on
            outdoor_c[step] += told.outdoor_c / minutes
            opened[step] |= told.window_open
    first, calendar = slot_no(start), LocalCalendar(home.site.zone, home.site.country)
    column = {name: i for i, name in enumerate(home.rooms)}
    series = HouseSeries(
        start_s=first * SLOT_S,
        step_s=SLOT_S,
        air_c={name: air_c[:, i] for name, i in column.items()},
        heat_w={name: minutes_on[:, i] * home.rooms[name].heat_w / minutes for name, i in column.items()},
        outdoor_c=outdoor_c,
        solar_w_m2=expected_sun(home, world, start, steps),
        local_hour=np.array([calendar.hour(first + step) for step in range(steps)], dtype=np.int64),
        open_window={name: opened[:, i] for name, i in column.items() if home.rooms[name].windows_m2},
    )
    return Lived(series, plant.building, world)


class _Told:
    """What the house's devices said last."""

    def __init__(self, home: Home, reporter: Reporter) -> None:
        sensors, rooms = home.devices.sensors, len(home.rooms)
        self._reporter = reporter
        self.air_c, self.outdoor_c = np.full(rooms, np.nan), np.nan
        self.relay_on, self.window_open = (np.zeros(rooms, dtype=np.bool_) for _ in range(2))
        self._outdoor = sensors.outdoor_topic
        self._air, self._relay, self._window = (
            {topic.format(room=room): i for i, room in enumerate(home.rooms)}
            for topic in (sensors.temperature_topic, sensors.relay_topic, sensors.window_topic)
        )

    def listen(self) -> None:
        """Take what is due."""
        for due in self._reporter.due():
            if due.topic in self._air:
                self.air_c[self._air[due.topic]] = float(due.payload)
            elif due.topic in self._relay:
                self.relay_on[self._relay[due.topic]] = due.payload == "1"
            elif due.topic in self._window:
                self.window_open[self._window[due.topic]] = due.payload == "1"
            elif due.topic == self._outdoor:
                self.outdoor_c = float(due.payload)


def _fine(home: Home, world: World, issued_at: datetime, slots: int) -> FineWeather:
    """Return the weather as the forecaster puts it on slots, from what was known at an instant."""
    site = home.site
    weather = world.weather_forecast(issued_at, hours=slots // 4 + _HOURS_BEYOND)
    return fine_weather(
        Grid(issued_at, slots),
        weather,
        SlotHistory(),
        latitude=site.latitude,
        longitude=site.longitude,
        altitude_m=site.altitude_m,
    )


def expected_sun(home: Home, world: World, start: datetime, steps: int) -> dict[str, Floats]:
    """Return the irradiance on each facade as the forecast of its own hour expected it (steps,)."""
    hours = range(-(-steps // 4))
    parts = [facade_irradiance(_fine(home, world, start + timedelta(hours=hour), 4)) for hour in hours]
    return {side: np.concatenate([part[side] for part in parts])[:steps] for side in parts[0]}


@dataclass(frozen=True)
class Outlook:
    """Weather of the next 24 h as it was forecast at each origin.

    Attributes:
        origins: Steps at whose beginning rooms are foreseen (O,).
        outdoor_c: Outdoor temperature (O, AHEAD).
        solar_w_m2: Irradiance per facade (O, AHEAD).
    """

    origins: Ints
    outdoor_c: Floats
    solar_w_m2: Mapping[str, Floats]


def outlook(home: Home, world: World, series: HouseSeries, origins: Ints) -> Outlook:
    """Return the forecasts that were there at origins: the outdoor temperature leans on the own sensor at first."""
    outdoor, sun = [], []
    for origin in origins:
        issued_at = datetime.fromtimestamp(int(series.time_s[origin]), UTC)
        fine = _fine(home, world, issued_at, AHEAD)
        error_k = float(series.outdoor_c[origin - 1] - fine.temperature_c[0])
        outdoor.append(outdoor_base(fine, Grid(issued_at, AHEAD).lead_h, error_k).p50)
        sun.append(facade_irradiance(fine))
    return Outlook(origins, np.array(outdoor), {side: np.array([one[side] for one in sun]) for side in sun[0]})


def hindsight(series: HouseSeries, origins: Ints) -> Outlook:
    """Return the weather that came: the measured temperature, and the sun as the forecast of each hour had it."""
    steps = origins[:, None] + np.arange(AHEAD)
    return Outlook(origins, series.outdoor_c[steps], {side: sun[steps] for side, sun in series.solar_w_m2.items()})


@dataclass(frozen=True)
class Rooms:
    """Models of rooms, and what the filter believes of those that were identified."""

    models: Mapping[str, RoomModel]
    beliefs: Mapping[str, Beliefs]

    @classmethod
    def of(cls, fits: Mapping[str, RoomFit]) -> "Rooms":
        """Return identified rooms."""
        return cls({name: fit.model for name, fit in fits.items()}, {name: fit.beliefs for name, fit in fits.items()})


def states(rooms: Rooms, series: HouseSeries, origins: Ints) -> Floats:
    """Return what the house's filter knows of each room at origins: air, mass [C], disturbance [W] (O, R, 3).

    At step `k` it has seen the temperatures up to the beginning of `k`, and everything else up to `k - 1`.
    """
    observer, wanted = HouseObserver(rooms.models, rooms.beliefs), set(origins.tolist())
    found = []
    for step in range(int(origins[-1]) + 1):
        past = max(step - 1, 0)
        inputs = RoomInputs(
            outdoor_c=float(series.outdoor_c[past]),
            heat_w={room: float(values[past]) for room, values in series.heat_w.items()},
            air_c={room: float(values[step]) for room, values in series.air_c.items() if np.isfinite(values[step])},
            solar_w_m2={side: float(values[past]) for side, values in series.solar_w_m2.items()},
            hour=int(series.local_hour[past]),
            open_window=frozenset(room for room, values in series.open_window.items() if values[past]),
        )
        observer.step(datetime.fromtimestamp(int(series.time_s[step]), UTC), inputs)
        if step in wanted:
            told = [observer.state(room) for room in rooms.models]
            found.append([(s.air_c, s.mass_c, s.disturbance_w) if s else (np.nan,) * 3 for s in told])
    return np.array(found)


def foresee(rooms: Rooms, series: HouseSeries, ahead: Outlook) -> Floats:
    """Foresee all rooms together, as a plan does (`pems_optimizer.domain.room_arrays`): air at each step's end [C].

    Nothing is taken from the future but the heat that is given, and what `ahead` says.

    Returns:
        (O, AHEAD, R), in the order of `rooms.models`.
    """
    models = rooms.models
    names, count = tuple(models), len(models)
    thermals = [Thermal(room=name, model=model, tier="prior", version="bench") for name, model in models.items()]
    coupling = np.array([[models[a].neighbours.get(b, 0.0) for b in names] for a in names])
    step, effect = joint_step(thermals, coupling, float(series.step_s))
    state = states(rooms, series, ahead.origins)
    nodes, disturbance_w = np.concatenate([state[:, :, 0], state[:, :, 1]], axis=1), state[:, :, 2]
    loss_w_k = np.array([1.0 / model.rea_k_w for model in models.values()])
    to_mass = np.array([model.heat_to_mass for model in models.values()])
    aperture = np.array([[model.solar_m2.get(side, 0.0) for model in models.values()] for side in ahead.solar_w_m2])
    gains_w = np.array([[model.gains_w.get(str(hour), 0.0) for model in models.values()] for hour in range(24)])
    sun = np.stack(list(ahead.solar_w_m2.values()), axis=2)
    result = np.empty((len(ahead.origins), AHEAD, count))
    for k in range(AHEAD):
        at = ahead.origins + k
        heat_w = np.stack([series.heat_w[name][at] for name in names], axis=1)
        fade = np.exp(-(k + 0.5) * series.step_s / 3600.0 / DISTURBANCE_FADE_H)
        air_w = ahead.outdoor_c[:, k, None] * loss_w_k + sun[:, k] @ aperture + gains_w[series.local_hour[at]]
        air_w += (1.0 - to_mass) * heat_w + fade * disturbance_w
        nodes = nodes @ step.T + np.concatenate([air_w, to_mass * heat_w], axis=1) @ effect.T
        result[:, k] = nodes[:, :count]
    return result


def judge(home: Home, lived: Lived, fits: Mapping[str, RoomFit], train_steps: int, seed: int) -> list[Row]:
    """Hold identified rooms against the days after and against the building: a row per room, then the whole house."""
    series = lived.series
    origins = np.arange(train_steps, series.steps - AHEAD, ORIGIN_EVERY, dtype=np.int64)
    ahead = outlook(home, lived.world, series, origins)
    priors = prior_models(home)
    said = {
        "mae_24h_c": foresee(Rooms.of(fits), series, ahead),
        "measured_weather_c": foresee(Rooms.of(fits), series, hindsight(series, origins)),
        "prior_c": foresee(Rooms({name: priors[name] for name in fits}, {}), series, ahead),
    }
    rows = [
        {
            "case": "house_room",
            "seed": seed,
            "room": name,
            "tier": fit.tier(),
            **_errors(series.air_c[name], origins, {method: air_c[:, :, i] for method, air_c in said.items()}),
            **_against_truth(lived.building, fit, priors[name]),
            "nis": fit.nis,
            "warnings": list(fit.warnings),
        }
        for i, (name, fit) in enumerate(fits.items())
    ]
    return [*rows, _summary(rows, seed)]


def _errors(air_c: Floats, origins: Ints, said: Mapping[str, Floats]) -> Row:
    """Mean absolute errors over 24 h of each method [C], and what 95 % of the first one's stay below."""
    ends = origins[:, None] + 1 + np.arange(AHEAD)
    methods = {**said, "yesterday_c": air_c[ends - DAY], "persistence_c": air_c[origins][:, None]}
    errors = {method: np.abs(values - air_c[ends]) for method, values in methods.items()}
    return {
        **{method: round(float(error.mean()), 3) for method, error in errors.items()},
        "p95_24h_c": round(float(np.quantile(errors["mae_24h_c"], 0.95)), 3),
    }


def ground_pct(building: Building, place: int) -> float:
    """Share of a room's loss that goes to the ground, whose temperature stays [%]: weather cannot tell of it."""
    own = [place + kind * building.count for kind in range(4)]
    warmth_k = np.linalg.solve(building.room_matrix_w_k(place), np.array([1.0, 0.0, 0.0, 0.0]))
    return 100.0 * float(building.ground_w_k[own] @ warmth_k)


def _against_truth(building: Building, fit: RoomFit, prior: RoomModel) -> Row:
    """Loss to outdoors and slowest time constant beside the building's own."""
    place = building.names.index(fit.room)
    true_loss, true_h = float(building.loss_w_k()[place]), float(building.time_constant_h()[place])
    loss, hours = 1.0 / fit.model.rea_k_w, time_constant_h(fit.model)
    return {
        "loss_w_k": round(loss, 2),
        "true_loss_w_k": round(true_loss, 2),
        "ground_pct": round(ground_pct(building, place), 1),
        "loss_off_pct": round(100.0 * (loss / true_loss - 1.0), 1),
        "prior_loss_off_pct": round(100.0 * (1.0 / prior.rea_k_w / true_loss - 1.0), 1),
        "loss_in_interval": _inside(1.0 / true_loss, fit.interval.get("rea_k_w")),
        "time_constant_h": round(hours, 1),
        "true_time_constant_h": round(true_h, 1),
        "time_constant_off_pct": round(100.0 * (hours / true_h - 1.0), 1),
        "time_constant_in_interval": _inside(true_h, fit.interval.get("time_constant_h")),
    }


def _inside(value: float, interval: tuple[float, float] | None) -> bool | None:
    return None if interval is None else interval[0] <= value <= interval[1]


def _share(rows: Sequence[Row], figure: str) -> float | None:
    """Share of the rooms with an interval whose interval holds the truth."""
    known = [bool(row[figure]) for row in rows if row[figure] is not None]
    return round(sum(known) / len(known), 3) if known else None


def _summary(rows: Sequence[Row], seed: int) -> Row:
    control = [row for row in rows if row["tier"] == "control"]
    loss, truth = (sum(row[figure] for row in control) for figure in ("loss_w_k", "true_loss_w_k"))
    return {
        "case": "house",
        "seed": seed,
        "rooms": len(rows),
        **{method: round(sum(row[method] for row in rows) / len(rows), 3) for method in METHODS},
        "rooms_over_error": sum(row["mae_24h_c"] >= ERROR_C for row in rows),
        "rooms_not_control": len(rows) - len(control),
        "control_over_error": sum(row["mae_24h_c"] >= ERROR_C for row in control),
        "control_loss_off_pct": round(100.0 * abs(loss / truth - 1.0), 1) if control else 100.0,
        "control_rooms_loss_off": sum(abs(row["loss_off_pct"]) > LOSS_PCT for row in control),
        "control_rooms_time_constant_off": sum(
            abs(row["time_constant_off_pct"]) > TIME_CONSTANT_PCT for row in control
        ),
        "loss_in_interval": _share(rows, "loss_in_interval"),
        "time_constant_in_interval": _share(rows, "time_constant_in_interval"),
    }


class HouseOptions(Protocol):
    """What the command line says of `--only house`."""

    @property
    def seeds(self) -> int:
        """How many houses."""

    @property
    def first_seed(self) -> int:
        """Seed of the first."""


def house_case(options: HouseOptions) -> Iterator[Row]:
    """Live, identify and judge, seed by seed: another building, family, weather each."""
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        world = generated_world(HOME, seed)
        lived = live(HOME, world, START, TRAIN_DAYS + TEST_DAYS, seed=seed)
        begun = time.perf_counter()
        fits = identify_house(prior_models(HOME), lived.series.part(0, TRAIN_DAYS * DAY))
        took_s = time.perf_counter() - begun
        *rooms, house = judge(HOME, lived, fits, TRAIN_DAYS * DAY, seed)
        yield from rooms
        yield {**house, "fit_s": round(took_s, 1)}
