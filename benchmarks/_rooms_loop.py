"""Rooms of the simulated house in closed loop: plans and rules that know them by what was identified, in a cold week.

The house lives three weeks on its own thermostats and is identified, as in `_rooms_house`. Then PEMS takes it over in
lockstep, in a week that is `COLDER_K` colder than the generated one: planner and controller are told the identified
models with their tiers, and states of a filter that has them, in place of the prior ones that a new forecaster begins
with. Each room has to be inside its comfort band, widened by 0.5 C, for 99 % of the time, whatever its tier: by the
house's true temperatures. Beside it stands the same week on rules alone, with the same models.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol, get_args

import structlog
from benchmarks import _rooms_house
from benchmarks._gates import Gate, Row
from benchmarks._rooms_house import DAY, HOME, START, TRAIN_DAYS, Rooms, generated_world, live

from pems_common.bus.memory import MemoryBus
from pems_common.clock import Clock
from pems_common.home import Home
from pems_common.messages import Envelope, Forecast, Mode, Series, Telemetry, Thermal, Weather, read_body, wrap
from pems_common.world import World
from pems_common.world.port import WeatherSample
from pems_forecaster.domain.grid import LocalCalendar
from pems_forecaster.domain.observer import HouseObserver
from pems_forecaster.domain.room_fit.identify import RoomFit, identify_house
from pems_forecaster.domain.rooms import prior_models
from pems_forecaster.room_watch import RoomWatch, sun_ratio
from pems_lab.comparison import limit_seconds
from pems_lab.house_run import HouseRun, RunAccount
from pems_lab.lockstep import Lockstep

COLDER_K = 10.0
FROM = START + timedelta(days=TRAIN_DAYS, hours=12)
"""Noon: the filter has an evening and a night before the first morning that has to be warm."""
INSIDE = 0.99

GATES: tuple[Gate, ...] = (
    Gate("loop", "rooms_outside", 0, 0),
    Gate("loop", "limits_broken", 0, 0),
)


class ColderWorld:
    """A world in which all is as in another one, but colder: the truth and the forecasts of it."""

    def __init__(self, world: World, by_k: float) -> None:
        """Take `by_k` off every temperature [K]."""
        self._world, self._by_k = world, by_k

    @property
    def label(self) -> str:
        """Where the data come from."""
        return f"{self._world.label}, {self._by_k:g} K colder"

    def weather(self, at: datetime) -> WeatherSample:
        """Return the true weather at an instant."""
        sample = self._world.weather(at)
        return WeatherSample(**{**vars(sample), "temperature_c": sample.temperature_c - self._by_k})

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return what a weather service would have said."""
        weather = self._world.weather_forecast(issued_at, hours)
        told = weather.temperature_c
        values = [None if value is None else value - self._by_k for value in told.values]
        return weather.model_copy(update={"temperature_c": Series.of(told.start, told.step_s, values)})

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        """Return the day-ahead price of a slot."""
        return self._world.spot_eur_mwh(slot_start)

    def eur_czk(self, at: datetime) -> float | None:
        """Return the exchange rate of the day."""
        return self._world.eur_czk(at)

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the public prices."""
        return self._world.published_until(at)


class IdentifiedRooms:
    """A service beside the forecaster: publishes identified models, tiers, and states of a filter that has them."""

    name = "rooms"
    tick_every = timedelta(minutes=1)
    watches: Collection[str] = ()

    def __init__(self, home: Home, fits: Mapping[str, RoomFit]) -> None:
        """Take what was identified; `attach` tells where."""
        self._home, self._fits = home, fits
        rooms = Rooms.of(fits)
        self._observer = HouseObserver(rooms.models, rooms.beliefs)
        self._watch = RoomWatch(home, LocalCalendar(home.site.zone, home.site.country), self.thermal)
        self._seen = ""

    def attach(self, clock: Clock, bus: MemoryBus) -> None:
        """Join a run."""
        self._clock, self._bus = clock, bus

    def thermal(self, room: str, observer: HouseObserver) -> Thermal:
        """Return what is told of a room."""
        fit = self._fits[room]
        return Thermal(
            room=room,
            model=fit.model,
            interval=fit.interval,
            tier=fit.tier(),
            evidence=fit.evidence,
            state=observer.state(room),
            version="identified",
        )

    def instead(self, thermal: Thermal) -> Thermal:
        """Return what the planner is told in place of the forecaster's word."""
        return self.thermal(thermal.room, self._observer)

    async def start(self) -> None:
        """Nothing is kept."""

    async def on_state(self, poke: Envelope) -> None:
        """Nothing is watched."""

    async def tick(self) -> None:
        """See what the house does, and tell."""
        now, site = self._clock.now(), self._home.site.id
        envelope, told = await self._bus.latest("telemetry", site), await self._bus.latest("forecast", site)
        if envelope is None or told is None:
            return
        telemetry, forecast = read_body(envelope, Telemetry), read_body(told, Forecast)
        if envelope.id != self._seen:
            self._seen = envelope.id
            self._watch.add(telemetry)
        limit_w, expected_w = self._home.pv.inverter_ac_limit_w, forecast.pv_power_w.p50.at(now)
        self._watch.observe(self._observer, now, forecast, sun_ratio(expected_w, telemetry.pv_power_w, None, limit_w))
        thermals = self._watch.due(self._observer, now)
        for thermal in thermals:
            await self._bus.publish(wrap(thermal, site=site, clock=self._clock, source="rooms@bench"))
        self._watch.told(self._observer, now, thermals)

    async def stop(self) -> None:
        """Nothing is kept."""


async def _week(world: World, fits: Mapping[str, RoomFit], seed: int, days: float, *, planned: bool) -> RunAccount:
    """Run the house from `FROM` on, with plans or on rules."""
    rooms = IdentifiedRooms(HOME, fits)
    run = HouseRun(HOME, world, FROM, seed=seed, planner="on" if planned else "mute", thermal=rooms.instead)
    rooms.attach(run.clock, run.bus)
    planners = [run.planner] if planned else []
    # The planner and the controller act after the rooms are told of, and never on the forecaster's own word.
    run.lockstep = Lockstep(
        run.clock, run.bus, [run.house, run.ingest, run.forecaster, rooms, *planners, run.controller]
    )
    account = await run.run(timedelta(days=days))
    await run.stop()
    return account


class LoopOptions(_rooms_house.HouseOptions, Protocol):
    """What the command line says of `--only loop`."""

    @property
    def days(self) -> float:
        """How long PEMS runs the house."""


def loop_case(options: LoopOptions) -> Iterator[Row]:
    """Identify, then live a cold week on plans and one on rules, seed by seed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        world = generated_world(HOME, seed)
        past = live(HOME, world, START, TRAIN_DAYS, seed=seed).series.part(0, TRAIN_DAYS * DAY)
        fits = identify_house(prior_models(HOME), past)
        cold = ColderWorld(world, COLDER_K)
        begun = time.perf_counter()
        account = asyncio.run(_week(cold, fits, seed, options.days, planned=True))
        took_s = time.perf_counter() - begun
        rules = asyncio.run(_week(cold, fits, seed, options.days, planned=False))
        rows = [_room_row(name, fit, account, rules, seed) for name, fit in fits.items()]
        yield from rows
        hours = [cold.weather(FROM + timedelta(hours=hour)).temperature_c for hour in range(round(24 * options.days))]
        yield {
            **_house_row(rows, account, rules, seed),
            "days": options.days,
            "outdoor_mean_c": round(sum(hours) / len(hours), 1),
            "outdoor_least_c": round(min(hours), 1),
            "took_s": round(took_s, 1),
        }


def _room_row(name: str, fit: RoomFit, account: RunAccount, rules: RunAccount, seed: int) -> Row:
    truth = account.truth
    return {
        "case": "loop_room",
        "seed": seed,
        "room": name,
        "tier": fit.tier(),
        "inside": truth["inside_wider_band"][name],
        "rules_inside": rules.truth["inside_wider_band"][name],
        "below_k_h": truth["comfort_below_k_h"][name],
        "above_k_h": truth["comfort_above_k_h"][name],
        "mean_c": truth["mean_temperature_c"][name],
        "rules_mean_c": rules.truth["mean_temperature_c"][name],
        "mpc": round(account.share("mpc", f"room:{name}"), 4),
    }


def _house_row(rows: list[Row], account: RunAccount, rules: RunAccount, seed: int) -> Row:
    broken = limit_seconds(account.truth)
    return {
        "case": "loop",
        "seed": seed,
        "rooms": len(rows),
        "rooms_outside": sum(row["inside"] < INSIDE for row in rows),
        "inside": account.truth["inside_wider_band_share"],
        "least_inside": min(row["inside"] for row in rows),
        "rules_rooms_outside": sum(row["rules_inside"] < INSIDE for row in rows),
        "rules_inside": rules.truth["inside_wider_band_share"],
        "mean_c": account.truth["mean_house_temperature_c"],
        "rules_mean_c": rules.truth["mean_house_temperature_c"],
        "modes": {mode: round(account.share(mode, "room:"), 4) for mode in get_args(Mode)},
        "plans": len(account.plans),
        "rule_plans": account.rule_plans,
        "cost_czk": account.truth["energy_cost_czk"],
        "rules_cost_czk": rules.truth["energy_cost_czk"],
        "limits_broken": len(broken),
        "broken": broken,
        "rules_broken": limit_seconds(rules.truth),
    }
