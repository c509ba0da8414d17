"""A backtest's work: the span cut into chunks, rooms identified on other days, each chunk replayed and lived anew.

A chunk is at most a week of consecutive days that can be used, with a day before it in which the house settles. Its
rooms are identified from the days around it, never from its own.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from hashlib import blake2b
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np

from pems_common.history import Point
from pems_common.home import Home
from pems_common.messages import RoomModel, Weather
from pems_common.timegrid import SLOT
from pems_forecaster.domain.room_fit.identify import identify_house
from pems_forecaster.domain.rooms import prior_models
from pems_lab.backtest.accounts import DayAccount, PlantWatch, accounts, measured_lived, replayed
from pems_lab.backtest.own_house import OwnHouse, house_series
from pems_lab.backtest.own_house_stores import BatteryFound, found_battery
from pems_lab.house_run import HouseRun
from pems_lab.measured.span import MeasuredDay, MeasuredSpan
from pems_lab.measured.world import MeasuredWorld
from pems_lab.resumable import Tell
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.plan_work import Worker

__all__ = [
    "BACKTEST_ARMS",
    "BacktestArm",
    "BaseTask",
    "Chunk",
    "LivedTask",
    "account_from_json",
    "chunks",
    "identified",
    "training_days",
]

BacktestArm = Literal["point", "rules", "robust", "scenarios"]
BACKTEST_ARMS: tuple[BacktestArm, ...] = get_args(BacktestArm)

CHUNK_DAYS = 7
TRAIN_DAYS = 60
AFTER_DAYS = TRAIN_DAYS // 4  # of them, at most, after the part that is judged
LEAST_TRAIN_DAYS = 10
_DAY_SLOTS, _BEFORE_DAYS, _AHEAD_DAYS = 96, 21, 3
_SCHEMA = 2
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Chunk:
    """Days that are lived in one go, by slots of the span that they were cut from.

    Attributes:
        settle: The day before them, which does not count.
        days: Consecutive days that do.
    """

    settle: MeasuredDay
    days: tuple[MeasuredDay, ...]

    @property
    def name(self) -> str:
        """First day and number of days."""
        return f"{self.days[0].day:%Y%m%d}-{len(self.days)}d"


def chunks(days: Sequence[MeasuredDay], wanted: Callable[[MeasuredDay], bool], most: int = CHUNK_DAYS) -> list[Chunk]:
    """Cut the usable days that are wanted into chunks; a day without a usable day before it only settles.

    Args:
        days: All days of a span, in their order.
        wanted: Whether a day is to count.
        most: Days of a chunk.
    """
    found: list[Chunk] = []
    running: list[MeasuredDay] = []
    settle: MeasuredDay | None = None

    def close() -> None:
        nonlocal running, settle
        if settle is not None and running:
            found.append(Chunk(settle, tuple(running)))
        running, settle = [], None

    before: MeasuredDay | None = None
    for day in days:
        follows = before is not None and before.usable and day.first == before.until
        if not (day.usable and wanted(day) and follows):
            close()
        else:
            if len(running) == most:
                close()
            if settle is None:
                settle = before
            running.append(day)
        before = day
    close()
    return found


def training_days(span: MeasuredSpan, chunk: Chunk) -> int:
    """Return how many usable days there are to identify the rooms of a chunk from."""
    first, until = _around(span, chunk)
    judged = {chunk.settle.day, *(day.day for day in chunk.days)}
    return sum(d.usable and d.day not in judged and first <= d.first and d.until <= until for d in span.days)


def _around(span: MeasuredSpan, chunk: Chunk) -> tuple[int, int]:
    """Slots within which rooms are identified: two months, mostly before the chunk."""
    until = min(span.count, chunk.days[-1].until + AFTER_DAYS * _DAY_SLOTS)
    return max(0, until - TRAIN_DAYS * _DAY_SLOTS), until


def identified(span: MeasuredSpan, chunk: Chunk) -> dict[str, RoomModel]:
    """Identify the rooms from the days around a chunk; of its own no temperature is seen."""
    first, until = _around(span, chunk)
    series = house_series(span).part(first, until)
    hidden = slice(chunk.settle.first - first, chunk.days[-1].until + 1 - first)
    air_c = {room: values.copy() for room, values in series.air_c.items()}
    for values in air_c.values():
        values[hidden] = np.nan
    fits = identify_house(prior_models(span.home), replace(series, air_c=air_c))
    priors = prior_models(span.home)
    return {room: fits[room].model if room in fits else priors[room] for room in span.home.rooms}


def _near(span: MeasuredSpan, chunk: Chunk) -> tuple[MeasuredSpan, Chunk]:
    """Return the part of a span that a chunk's days need: weeks before for habits, days behind for prices."""
    first = max(0, chunk.settle.first - _BEFORE_DAYS * _DAY_SLOTS)
    return _cut(span, chunk, first, min(span.count, chunk.days[-1].until + _AHEAD_DAYS * _DAY_SLOTS))


def _cut(span: MeasuredSpan, chunk: Chunk, first: int, until: int) -> tuple[MeasuredSpan, Chunk]:
    """Return slots `first..until` of a span, and the chunk by their numbers."""

    def moved(day: MeasuredDay) -> MeasuredDay:
        return replace(day, first=day.first - first, until=day.until - first)

    return span.part(first, until), Chunk(moved(chunk.settle), tuple(moved(day) for day in chunk.days))


@dataclass(frozen=True)
class BaseTask:
    """Identify the rooms of a chunk, tell it as it was, and drive its recorded actions through the simulator."""

    span: MeasuredSpan
    chunk: Chunk

    @property
    def weight(self) -> int:
        """Days of work, as the progress counts them."""
        return 1

    def key(self, version: str) -> str:
        """Name of its result."""
        near, chunk = _near(self.span, self.chunk)
        around, _ = _cut(self.span, self.chunk, *_around(self.span, self.chunk))
        return f"{self.chunk.name}-as-it-was-{_digest((near, around), chunk, version)}"

    def done(self, tell: Tell) -> dict[str, Any]:
        """Do it."""
        models = identified(self.span, self.chunk)
        tell(1)
        found = _battery(self.span, self.chunk)
        span, chunk = _near(self.span, self.chunk)
        house = OwnHouse(span, models, None if found is None else found.battery)
        first = chunk.settle.first
        measured = measured_lived(house, first, chunk.days)
        simulated = replayed(house, first, chunk.days)
        return {
            "models": {room: model.model_dump(mode="json") for room, model in models.items()},
            "measured": [asdict(day) for day in accounts(span, chunk.days, measured)],
            "replayed": [asdict(day) for day in accounts(span, chunk.days, simulated)],
            "loss_w_k": sum(1.0 / model.rea_k_w for model in models.values()),
            "battery": "" if found is None else found.told,
        }


@dataclass(frozen=True)
class LivedTask:
    """Let a chunk be lived under an arm.

    Attributes:
        span: The history.
        chunk: The days.
        models: Identified rooms, by room, as JSON.
        arm: Who runs the house.
        archive: Forecasts as they became known.
        scale: Size of errors of temperature where none was archived.
        seed: Of modelled forecast errors and of noise.
        learn: Whether forecast and room models are trained on the way.
    """

    span: MeasuredSpan
    chunk: Chunk
    models: Mapping[str, Any]
    arm: BacktestArm
    archive: tuple[Weather, ...] = ()
    scale: float = 1.0
    seed: int = 0
    learn: bool = False

    @property
    def weight(self) -> int:
        """Days of work."""
        return len(self.chunk.days) + 1

    def key(self, version: str) -> str:
        """Name of its result."""
        near, chunk = _near(self.span, self.chunk)
        how = (version, dumps(self.models, sort_keys=True), [weather.model_dump_json() for weather in self.archive])
        battery = _battery(self.span, self.chunk)
        told = _digest((near,), chunk, how, battery, round(self.scale, 6), self.seed, self.learn)
        return f"{self.chunk.name}-{self.arm}-{told}"

    def done(self, tell: Tell) -> dict[str, Any]:
        """Do it."""
        with ExitStack() as folders:
            kept = Path(folders.enter_context(TemporaryDirectory())) if self.learn else None
            return asyncio.run(self._live(tell, kept))

    async def _live(self, tell: Tell, kept: Path | None) -> dict[str, Any]:
        span, chunk = _near(self.span, self.chunk)
        found = _battery(self.span, self.chunk)
        models = {room: RoomModel.read(model) for room, model in self.models.items()}
        house = OwnHouse(span, models, None if found is None else found.battery)
        first = chunk.settle.first
        world = MeasuredWorld(span, self.archive, scale=self.scale, seed=self.seed)
        run = HouseRun(
            _armed(span.home, self.arm),
            world,
            span.start + first * SLOT,
            seed=self.seed,
            planner="mute" if self.arm == "rules" else "on",
            models=kept,
            worker=Worker(plans=InMemoryPlans()),
            parts=house.parts(first, self.seed),
            state=house.begun(first),
        )
        await run.store.write(span.home.site.id, _points(span.part(0, first)))
        plant, watch = run.house.plant, PlantWatch(span, first, chunk.days)
        watch.begin(plant)
        made = by_rules = 0
        for number, day in enumerate((chunk.settle, *chunk.days)):
            account = await run.run((day.until - day.first) * SLOT, lambda _: watch.look(plant))
            made, by_rules = made + len(account.plans), by_rules + account.rule_plans
            account.forget()
            tell(number + 1)
        await run.stop()
        return {
            "days": [asdict(day) for day in accounts(span, chunk.days, watch.lived())],
            "plans": {"made": made, "rules": by_rules},
            "forecasts": world.told,
            "modelled_forecasts": world.modelled,
        }


def _battery(span: MeasuredSpan, chunk: Chunk) -> BatteryFound | None:
    """Return the battery as it behaved in the days around a chunk."""
    return found_battery(span.part(*_around(span, chunk)))


def _armed(home: Home, arm: BacktestArm) -> Home:
    """Return the site with PEMS acting by an arm's strategy; an owner's file may begin in shadow."""
    strategy = arm if arm in ("robust", "scenarios") else "point"
    uncertainty = home.optimization.uncertainty.model_copy(update={"strategy": strategy})
    return home.model_copy(
        update={
            "optimization": home.optimization.model_copy(update={"uncertainty": uncertainty}),
            "control": home.control.model_copy(update={"armed": True, "shadow": False, "rollout": ("*",)}),
        }
    )


def _points(past: MeasuredSpan) -> list[Point]:
    """Return the past as the history of a house that PEMS has watched: one point per slot and series."""
    columns = {
        "pv_power_w": past.pv_w / past.pv_ac_share,
        "load_power_w": past.load_w,
        "grid_power_w": past.grid_w,
        "battery_power_w": past.battery_w,
        "battery_soc_pct": past.soc_pct,
        "ev.power_w": past.ev_w,
        "water.power_w": past.water_w,
        "outdoor_temperature_c": past.outdoor_c,
        "price.spot_eur_mwh": past.spot_eur_mwh,
        "price.sell_czk_kwh": past.sell_czk_kwh,
        **{f"room.{room}.temperature_c": values for room, values in past.room_c.items()},
        **{f"room.{room}.relay_on": values for room, values in past.relay.items()},
    }
    slots = past.slot_starts()
    return [
        Point(name, slots[i], float(values[i]))
        for name, values in columns.items()
        for i in np.flatnonzero(np.isfinite(values)).tolist()
    ]


def account_from_json(told: Mapping[str, Any]) -> DayAccount:
    """Read an account that was written as JSON."""
    return DayAccount(**{field.name: told[field.name] for field in fields(DayAccount)})


def _digest(used: Sequence[MeasuredSpan], chunk: Chunk, *how: object) -> str:
    """Digest of everything that decides a result: of a history only the parts that are used."""
    digest = blake2b(digest_size=6)
    digest.update(repr((_SCHEMA, chunk, how)).encode())
    for span in used:
        digest.update(dumps(span.home.model_dump(mode="json"), sort_keys=True).encode())
        digest.update(repr((span.start, span.pv_ac_share)).encode())
        for field in fields(span):
            value = getattr(span, field.name)
            arrays = list(value.values()) if isinstance(value, Mapping) else [value]
            for array in arrays:
                if isinstance(array, np.ndarray):
                    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
