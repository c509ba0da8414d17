"""The life of room models: identified from the history, tried beside the published ones, trusted by their errors.

What was identified is first watched beside what is published (`RoomTrial`); in each room the better of the two is
published and the other one watched on, so that a step back needs no rule of its own.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from zlib import crc32

from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.messages import Evidence, Forecast, RoomModel, Series, Thermal
from pems_common.standing_alerts import StandingAlerts
from pems_common.timegrid import parse_instant
from pems_forecaster.adapters.lesson_store import LessonStore
from pems_forecaster.adapters.state_file import StateFile
from pems_forecaster.domain.grid import SLOTS_PER_DAY, LocalCalendar, slot_at, slot_no
from pems_forecaster.domain.observer import HouseObserver, RoomInputs
from pems_forecaster.domain.room_fit.identify import RoomFit
from pems_forecaster.domain.room_fit.intervals import time_constant_h
from pems_forecaster.domain.room_fit.kept import fit_from_json, fit_to_json
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.domain.room_fit.trust import CONTROL_EXCITATION, tier_of
from pems_forecaster.domain.room_trial import LEAST_ORIGINS, Origin, RoomTrial, Side
from pems_forecaster.domain.rooms import prior_interval, prior_models, prior_version
from pems_forecaster.jobs import Beside, Job, Jobs
from pems_forecaster.ports import Trainer
from pems_forecaster.room_reader import WARM_UP_SLOTS, read_house, walk

__all__ = ["RoomLife"]

RoomTier = Literal["prior", "observe", "suggest", "control"]
HISTORY_DAYS = 60
EVERY_DAYS = 3
NIGHT_H = 3
RETRY_WALL_S = 600.0
BETTER = 0.97
"""What is published gives way to what has so much less error."""
PRIOR_MOST_C = 1.0
"""With a 24-h error above this the rules do better than a plan, even where nothing else is known."""
_STATE_VERSION = 1
_RANK: dict[RoomTier, int] = {"observe": 0, "suggest": 1, "prior": 1, "control": 2}
_STUCK = "The sensor has shown one value for a day."
_STUCK_REMEDY = "See its battery and its connection; its thermostat heats blindly."
_PUBLISHED, _WATCHED = "published", "watched"
_log = get_logger("forecaster.rooms")


@dataclass
class _Known:
    """A room's models.

    Attributes:
        fits: Identified models by version; the prior one is not among them.
        published: Version of the model that is published.
        watched: Version of the one beside it; empty where there is none.
        tier: Of the published one.
        since: House time from which the tier holds.
        found: What the last identification said, whether it is watched or not.
    """

    published: str
    watched: str = ""
    tier: RoomTier = "prior"
    since: datetime | None = None
    fits: dict[str, RoomFit] = field(default_factory=dict)
    found: RoomFit | None = None


class RoomLife:
    """Models of the rooms of one site."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        calendar: LocalCalendar,
        trainer: Trainer,
        alerts: StandingAlerts,
        reader: HistoryReader,
        lessons: LessonStore,
        file: StateFile,
        *,
        background: bool,
    ) -> None:
        """Wire it.

        Args:
            home: The site.
            clock: House and wall time.
            calendar: Local hours of the site.
            trainer: Who identifies.
            alerts: What people should know.
            reader: The stored history.
            lessons: The weather as it was told: the sun of the past.
            file: What is kept over restarts; trainings use its folder.
            background: True identifies beside everything else; False within `tick` (lockstep, tests).
        """
        self._home, self._clock, self._calendar = home, clock, calendar
        self._trainer, self._alerts, self._reader, self._lessons = trainer, alerts, reader, lessons
        self._file, self._beside = file, Beside(background=background)
        self._priors = prior_models(home)
        self.jobs = Jobs(clock)
        self.identified_at: datetime | None = None
        self._asked_day: int | None = None
        self._not_before = 0.0
        self._begin()

    def _begin(self) -> None:
        self._rooms = {room: _Known(prior_version(model)) for room, model in self._priors.items()}
        self._trial = RoomTrial()
        self._watcher: HouseObserver | None = None
        self._heat: dict[str, list[float]] = {}
        self._stuck: set[str] = set()
        self._judged = False
        self._slot = -1
        self._air_c: dict[str, float] = {}

    # --- models ----------------------------------------------------------------------------------

    def _model(self, room: str, version: str) -> RoomModel:
        fit = self._rooms[room].fits.get(version)
        return self._priors[room] if fit is None else fit.model

    def _version(self, room: str, side: str) -> str:
        known = self._rooms[room]
        return known.watched or known.published if side == _WATCHED else known.published

    def _side(self, side: str) -> Side:
        versions = {room: self._version(room, side) for room in self._rooms}
        return Side(versions, {room: self._model(room, version) for room, version in versions.items()})

    def observer(self, side: str = _PUBLISHED) -> HouseObserver:
        """Return a new observer of the published models, or of those beside them."""
        chosen = self._side(side)
        beliefs = {
            room: fit.beliefs
            for room, version in chosen.versions.items()
            if (fit := self._rooms[room].fits.get(version)) is not None
        }
        return HouseObserver(chosen.models, beliefs)

    def thermal(self, room: str, observer: HouseObserver) -> Thermal:
        """Return what is published of a room."""
        known = self._rooms[room]
        fit = known.fits.get(known.published)
        model = self._model(room, known.published)
        interval = prior_interval(model)
        if fit is not None:
            interval = {name: ends for name, ends in fit.interval.items() if name in interval}
        return Thermal(
            room=room,
            model=model,
            interval=interval,
            tier=known.tier,
            evidence=self._evidence(room, known.published),
            state=observer.state(room),
            version=known.published,
        )

    def _evidence(self, room: str, version: str) -> Evidence:
        """Errors in the running house, those of the held-out days until there are enough."""
        fit = self._rooms[room].fits.get(version)
        evidence = Evidence() if fit is None else fit.evidence
        lived = self._trial.mae(room, version)
        if lived is None:
            return evidence
        own, simple = lived
        errors = {"mae_24h_c": round(own, 3), "simple_mae_24h_c": None if simple is None else round(simple, 3)}
        return evidence.model_copy(update=errors)

    # --- beginning and file ----------------------------------------------------------------------

    async def start(self) -> None:
        """Load what was found before; a damaged file is set aside."""
        try:
            document = self._file.load()
            if document is not None:
                self._take(document)
        except (PermanentError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("what is known of rooms is damaged, it is set aside", error=repr(error))
            self._file.set_aside()
            self._begin()
        except OSError as error:
            _log.error("what is known of rooms cannot be read", error=repr(error))

    def _take(self, document: Mapping[str, Any]) -> None:
        if document["version"] != _STATE_VERSION:
            raise ValueError(f"version {document['version']!r} is not {_STATE_VERSION}")
        for room, kept in document["rooms"].items():
            if room not in self._rooms or kept["prior"] != prior_version(self._priors[room]):
                continue  # another house: it is identified anew
            try:
                self._rooms[room] = _Known(
                    published=kept["published"],
                    watched=kept["watched"],
                    tier=kept["tier"],
                    since=None if kept["since"] is None else parse_instant(kept["since"]),
                    fits={version: fit_from_json(fit) for version, fit in kept["fits"].items()},
                    found=None if kept["found"] is None else fit_from_json(kept["found"]),
                )
            except (PermanentError, ValueError, KeyError, TypeError, AttributeError) as error:
                _log.error("what is known of a room cannot be read", room=room, error=repr(error))
        self._stuck = {room for room in document.get("stuck", ()) if room in self._rooms}
        self._trial = RoomTrial.from_json(document["trial"])
        self.identified_at = None if document["identified_at"] is None else parse_instant(document["identified_at"])
        self._watcher = self.observer(_WATCHED) if any(known.watched for known in self._rooms.values()) else None
        if self._watcher is not None:
            self._watcher.load_json(document["watcher"] or {}, self._clock.now())

    def save(self) -> None:
        """Keep what is known; trouble with the disk is logged, nothing else stops for it."""
        try:
            self._file.save(
                {
                    "version": _STATE_VERSION,
                    "stuck": sorted(self._stuck),
                    "rooms": {
                        room: {
                            "prior": prior_version(self._priors[room]),
                            "published": known.published,
                            "watched": known.watched,
                            "tier": known.tier,
                            "since": None if known.since is None else known.since.isoformat(),
                            "fits": {version: fit_to_json(fit) for version, fit in known.fits.items()},
                            "found": None if known.found is None else fit_to_json(known.found),
                        }
                        for room, known in self._rooms.items()
                    },
                    "trial": self._trial.to_json(),
                    "identified_at": None if self.identified_at is None else self.identified_at.isoformat(),
                    "watcher": None if self._watcher is None else self._watcher.to_json(),
                }
            )
        except (OSError, ValueError) as error:
            _log.error("what is known of rooms cannot be saved", error=repr(error))

    # --- identification --------------------------------------------------------------------------

    async def tick(self) -> None:
        """Ask for what is due this night, and work on what was asked for."""
        self._beside.look()
        if self._due():
            self.identify("night")
        if self._judged:
            self._judged = not await self._tell_faults()
        waiting = self.jobs.waiting()
        if waiting is not None and self._clock.monotonic() >= self._not_before:
            await self._beside.do("identifying", self._work(waiting))

    def _due(self) -> bool:
        """Whether rooms are to be identified: some nights after the last time, when that has been judged."""
        now = self._clock.now()
        local = now.astimezone(self._home.site.zone)
        minute = crc32(self._home.site.id.encode()) % 60
        night = (NIGHT_H, minute) <= (local.hour, local.minute) < (NIGHT_H + 3, 0)
        if not night or self._asked_day == local.toordinal():
            return False
        self._asked_day = local.toordinal()
        if self.identified_at is None:
            return True
        on_trial = any(
            0 < self._trial.ratio(room, known.watched, known.published)[1] < LEAST_ORIGINS
            for room, known in self._rooms.items()
            if known.watched
        )
        nights = (local.date() - self.identified_at.astimezone(self._home.site.zone).date()).days
        return nights >= EVERY_DAYS and not on_trial

    def identify(self, why: str) -> Job:
        """Ask for an identification of all rooms; one that waits already is returned."""
        return self.jobs.ask("rooms", why)

    async def _work(self, job: Job) -> None:
        """Identify; whatever happens, the job comes to an end."""
        job.state, job.what = "running", "reading the history"
        now = slot_no(self._clock.now())
        try:
            series = await self._history(now, HISTORY_DAYS)
            folder = self._file.path.with_name("identifying")
            fits = await self._trainer.identify(self._home, series, folder, job.progress)
            job.version = f"rooms-{self._clock.now():%Y%m%dT%H%M%S}"
            self._enter(job.version, fits, series)
            job.state, job.share = "done", 1.0
        except UnavailableError as error:
            job.state, job.what = "queued", error.message
            self._not_before = self._clock.monotonic() + RETRY_WALL_S
        except PemsError as error:
            job.failed(f"{error.message}; {error.remedy}")
            _log.info("no room was identified", why=job.what)
        except Exception as error:
            job.failed(f"a fault in the program: {error!r}")
            _log.error("an identification failed", exc_info=error)

    async def _history(self, now: int, days: int) -> HouseSeries:
        first = now - days * SLOTS_PER_DAY
        lessons = await asyncio.to_thread(self._lessons.lessons, now)
        return await read_house(self._home, self._reader, self._calendar, lessons.since(first), first, now)

    def _enter(self, version: str, fits: Mapping[str, RoomFit], series: HouseSeries) -> None:
        """Watch new models beside the published ones."""
        self.identified_at = self._clock.now()
        for room, fit in fits.items():
            known = self._rooms[room]
            known.found = fit
            former = known.fits.get(known.published)
            if former is not None and fit.evidence.excitation < CONTROL_EXCITATION <= former.evidence.excitation:
                continue  # a summer without heating teaches nothing of heating
            known.fits = {name: old for name, old in known.fits.items() if name == known.published} | {version: fit}
            known.watched = version
            self._trial.forget(room, [known.published, version])
        self._watcher = self.observer(_WATCHED)
        walk(self._watcher, series.part(max(0, series.steps - WARM_UP_SLOTS), series.steps))
        self._judged = True
        _log.info("rooms were identified", version=version, rooms=len(fits))
        self.save()

    async def _tell_faults(self) -> bool:
        """Raise and clear what people should know of rooms; tells whether all of it was told."""
        standing = {}
        for room, known in self._rooms.items():
            if room in self._stuck:
                standing[f"forecast.sensor_{room}"] = (f"{room}: {_STUCK}", _STUCK_REMEDY)
            if known.found is not None and known.found.faulty and known.found.warnings:
                standing[f"forecast.room_{room}"] = (f"{room}: {known.found.warnings[0]}", "See the room on the page.")
        for code, (text, remedy) in standing.items():
            await self._alerts.raise_once(code, text, remedy)
        codes = {code for code in self._alerts.standing if code.startswith(("forecast.sensor_", "forecast.room_"))}
        for code in codes - standing.keys():
            await self._alerts.clear(code)
        return standing.keys() <= self._alerts.standing

    # --- watching --------------------------------------------------------------------------------

    def follow(self, observer: HouseObserver, now: datetime, inputs: RoomInputs, forecast: Forecast | None) -> bool:
        """Go on with what the observer of the published models has just seen.

        Args:
            observer: After its step to `now`.
            now: House time.
            inputs: Of that step.
            forecast: The last one.

        Returns:
            Whether published models have changed: then the observer is to be made anew.
        """
        if self._watcher is not None:
            self._watcher.step(now, inputs)
        for room, heat_w in inputs.heat_w.items():  # of the time before `now`
            self._heat.setdefault(room, []).append(heat_w)
        slot = slot_no(now)
        changed = False
        if slot != self._slot:
            self._finish_slot()
            self._slot, self._air_c = slot, dict(inputs.air_c)
            if self._trial.due(slot) and forecast is not None:
                self._predict(slot, observer, forecast)
            sides = {name: self._side(name) for name in self._sides()}
            if self._trial.compare(slot, sides):
                changed = self._judge(now)
        return changed

    def _sides(self) -> tuple[str, ...]:
        return (_PUBLISHED,) if self._watcher is None else (_PUBLISHED, _WATCHED)

    def _finish_slot(self) -> None:
        if self._slot >= 0:
            heat = {room: sum(values) / len(values) for room, values in self._heat.items()}
            self._trial.note(self._slot, self._calendar.hour(self._slot), self._air_c, heat)
        self._heat = {}

    def _predict(self, slot: int, observer: HouseObserver, forecast: Forecast) -> None:
        """Keep what is known now of the day ahead."""

        def ahead(series: Series) -> tuple[float, ...] | None:
            values = [series.at(slot_at(n)) for n in range(slot, slot + SLOTS_PER_DAY)]
            return None if any(value is None for value in values) else tuple(float(v) for v in values if v is not None)

        outdoor = ahead(forecast.outdoor_temperature_c.p50)
        if outdoor is None:
            return
        solar = {facade: values for facade, series in forecast.solar_w_m2.items() if (values := ahead(series))}
        states: dict[str, dict[str, tuple[float, float, float]]] = {}
        for side in self._sides():
            source = observer if side == _PUBLISHED or self._watcher is None else self._watcher
            found = {room: source.state(room) for room in self._rooms}
            states[side] = {
                room: (state.air_c, state.mass_c, state.disturbance_w)
                for room, state in found.items()
                if state is not None
            }
        versions = {side: {room: self._version(room, side) for room in self._rooms} for side in states}
        self._trial.begin(Origin(slot, outdoor, solar, states, versions))

    def _judge(self, now: datetime) -> bool:
        """Publish the better model of each room, and set its tier; tells whether models have changed."""
        changed = False
        self._judged = True
        self._stuck = {room for room in self._rooms if self._trial.stands_still(room, room in self._stuck)}
        for room, known in self._rooms.items():
            tier = self._tier(room, known.published)
            if known.watched:
                ratio, origins = self._trial.ratio(room, known.watched, known.published)
                other = self._tier(room, known.watched)
                if origins >= LEAST_ORIGINS and ratio < BETTER and _RANK[other] >= _RANK[tier]:
                    _log.info("a room has another model", room=room, version=known.watched, ratio=round(ratio, 3))
                    known.published, known.watched, tier = known.watched, known.published, other
                    changed = True
            if tier != known.tier or known.since is None:
                _log.info("a room's tier", room=room, tier=tier, before=known.tier)
                known.tier, known.since = tier, now
        return changed

    def _tier(self, room: str, version: str) -> RoomTier:
        """How far a model is trusted.

        A prior model is taken as it is only until a room was identified: where it does better than what was found, or
        where a sensor has gone mad, its errors in the house decide as well. A heater that was found not to heat, or a
        sensor that stands still, is observed whichever model is there.
        """
        known = self._rooms[room]
        if room in self._stuck:
            return "observe"
        before = None if known.tier == "prior" else known.tier
        fit, evidence, found = known.fits.get(version), self._evidence(room, version), known.found
        faulty = found is not None and found.faulty
        if fit is not None:
            return replace(fit, evidence=evidence, faulty=faulty).tier(before)
        lately = self._trial.mae(room, version)
        if lately is None:
            return "prior"
        if found is None:
            return "observe" if lately[0] > PRIOR_MOST_C else "prior"
        lived = {"days": found.evidence.days, "excitation": found.evidence.excitation}
        return tier_of(evidence.model_copy(update=lived), faulty=faulty, before=before)

    def exchanged(self, observer: HouseObserver) -> HouseObserver:
        """Return an observer of the models published now, with the states of those that saw them before."""
        watcher = self._watcher
        result = self.observer()
        changed = [room for room in self._rooms if observer.models[room] != result.models[room]]
        result.adopt(observer, [room for room in self._rooms if room not in changed])
        if watcher is not None:
            result.adopt(watcher, changed)
            self._watcher = self.observer(_WATCHED)
            self._watcher.adopt(watcher, [room for room in self._rooms if room not in changed])
            self._watcher.adopt(observer, changed)
        return result

    # --- what the API shows ----------------------------------------------------------------------

    def told(self, observer: HouseObserver) -> dict[str, Any]:
        """Return all rooms, and how the identification stands."""
        jobs = self.jobs.all()
        return {
            "rooms": [self.room(room, observer) for room in self._rooms],
            "identified_at": None if self.identified_at is None else self.identified_at.isoformat(),
            "job": vars(jobs[0]) if jobs else None,
        }

    def room(self, room: str, observer: HouseObserver) -> dict[str, Any]:
        """Return what is known of a room.

        Raises:
            KeyError: There is no such room.
        """
        known = self._rooms[room]
        fit, model = known.fits.get(known.published), self._model(room, known.published)
        surprise = observer.surprise(room)
        return {
            "room": room,
            "tier": known.tier,
            "since": None if known.since is None else known.since.isoformat(),
            "version": known.published,
            "watched": known.watched or None,
            "evidence": self._evidence(room, known.published).model_dump(mode="json"),
            "p95_24h_c": None if fit is None else fit.p95_24h_c,
            "nis": None if surprise is None else round(surprise, 2),
            "loss_w_k": round(1.0 / model.rea_k_w, 1),
            "time_constant_h": round(time_constant_h(model), 1),
            "heater_w": model.heater_w,
            "warnings": [*([_STUCK] if room in self._stuck else []), *(() if fit is None else fit.warnings)],
            "left_out_h": {} if fit is None else {name: round(hours, 1) for name, hours in fit.left_out.items()},
            "methods": self._believed(room, fit),
        }

    def _believed(self, room: str, fit: RoomFit | None) -> dict[str, float]:
        """Weight of each method of predicting a room, by its error; the plan uses the model alone."""
        evidence = self._evidence(room, self._rooms[room].published)
        errors = {
            "model": evidence.mae_24h_c,
            "yesterday": evidence.simple_mae_24h_c,
            "arx": None if fit is None or fit.arx is None else fit.arx.mae_24h_c,
        }
        inverse = {name: 1.0 / error**2 for name, error in errors.items() if error}
        return {name: round(value / sum(inverse.values()), 2) for name, value in inverse.items()}

    def details(self, room: str, observer: HouseObserver) -> dict[str, Any]:
        """Return all that is known of a room, with a picture of its last week.

        Raises:
            KeyError: There is no such room.
        """
        known = self._rooms[room]
        fit, model = known.fits.get(known.published), self._model(room, known.published)
        interval = prior_interval(model) if fit is None else fit.interval
        slot = slot_no(self._clock.now())
        picture = self._trial.picture(room, slot)
        first = slot - 4 * (len(picture["measured_c"]) - 1)
        return {
            **self.room(room, observer),
            "parameters": {
                name: {"value": getattr(model, name), "low": low, "high": high, "unit": _UNITS[name]}
                for name, (low, high) in interval.items()
                if name in _UNITS
            },
            "picture": {"start": slot_at(first).isoformat(), "step_s": 3600, **picture},
        }

    async def stop(self) -> None:
        """End what is under way."""
        await self._beside.stop()


_UNITS = {"ria_k_w": "K/W", "rea_k_w": "K/W", "ci_j_k": "J/K", "cm_j_k": "J/K", "heat_to_mass": ""}
