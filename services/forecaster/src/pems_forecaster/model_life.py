"""The life of trained models: lessons are kept, models trained at night or on demand, tried unpublished, and judged.

candidate (trained) -> shadow (forecasts beside the active method, unpublished) -> active (published) -> retired. What
decides is the paired comparison of `Contest`; nothing a model does can keep the simple method from forecasting.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.standing_alerts import StandingAlerts
from pems_forecaster.adapters.lesson_store import LessonStore
from pems_forecaster.adapters.model_registry import ModelRegistry
from pems_forecaster.domain.contest import Contest, Pairing, Verdict
from pems_forecaster.domain.drift import LEAST_DAYS, error_rose
from pems_forecaster.domain.forecast import Made
from pems_forecaster.domain.grid import slot_at, slot_no
from pems_forecaster.domain.lessons import run_of
from pems_forecaster.domain.live_model import LiveModel
from pems_forecaster.domain.model_record import ModelRecord, ModelStatus
from pems_forecaster.jobs import Beside, Job, Jobs
from pems_forecaster.lesson_reader import LessonReader
from pems_forecaster.memory import Memory
from pems_forecaster.ports import Trainer
from pems_forecaster.training import LIVE_KINDS, TrainingResult

__all__ = ["ModelLife"]

RUN_EVERY_SLOTS = 24
NIGHT_H = 2
RETRY_WALL_S = 600.0
DRIFT_AGAIN_DAYS = 21
_SHOWN = 20
_TOLD = {"pv": "solar", "load": "load", "price": "price"}
_WORSE = 1.3  # a candidate that loses so much more on held-out days than the simple method is not even tried
_log = get_logger("forecaster.models")


class ModelLife:
    """Models of one site."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        memory: Memory,
        lessons: LessonStore,
        registry: ModelRegistry,
        trainer: Trainer,
        alerts: StandingAlerts,
        reader: LessonReader | None,
        save: Callable[[], None],
        *,
        background: bool,
    ) -> None:
        """Wire it.

        Args:
            home: The site.
            clock: House and wall time.
            memory: Holds the contests.
            lessons: What models learn from.
            registry: Where models are kept.
            trainer: Who trains.
            alerts: What people should know.
            reader: Fills the lessons from the stored history; None where there is none.
            save: Saves the memory: called when a contest has changed, so that registry and memory agree.
            background: True trains beside everything else; False within `tick` (lockstep, tests).
        """
        self._home, self._clock, self._memory = home, clock, memory
        self._lessons, self.registry, self._trainer, self._alerts = lessons, registry, trainer, alerts
        self._reader, self._save = reader, save
        self._beside = Beside(background=background)
        self.models: dict[str, LiveModel] = {}
        self.jobs = Jobs(clock)
        self._night: int | None = None
        self._all_read = reader is None
        self._not_before = self._read_not_before = 0.0

    # --- beginning -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring registry and contests together after a restart; what cannot be used any more is retired."""
        self.registry.sweep()
        for kind in LIVE_KINDS:
            contest = self._contest(kind)
            for version in contest.models:
                record = self.registry.get(version)
                over = record is None or (record.status == "retired" and version != contest.former)
                if over or not self._load(kind, version):
                    contest.leave(version)
            kept = sorted(self.registry.all(kind), key=lambda record: record.status != "active")
            for record in kept:
                if record.status in {"shadow", "active"} and record.version not in contest.arms:
                    self._take_back(contest, record)
                elif record.status == "active" and contest.challenger == record.version:
                    contest.promote()
                elif record.status == "candidate":
                    self._set(record.version, "retired", "never tried: the forecaster ended")
        with suppress(UnavailableError):
            await self._alerts.take_over("forecast.")

    def _take_back(self, contest: Contest, record: ModelRecord) -> None:
        """The memory of a model was lost: it is tried anew."""
        if contest.challenger or not self._load(record.kind, record.version):
            self._set(record.version, "retired", "its errors were lost, or its files")
            return
        contest.challenge(record.version)
        self._set(record.version, "shadow", "its errors were lost: tried anew")

    def _set(self, version: str, status: ModelStatus, why: str, evidence: Mapping[str, float] | None = None) -> None:
        """Change a model's status; what takes part in a contest keeps its files."""
        record = self.registry.get(version)
        if record is not None:
            taking_part = self._contest(record.kind).arms
            self.registry.change(version, status, self._clock.now(), why, evidence, keep=taking_part)

    def _load(self, kind: str, version: str) -> bool:
        try:
            self.models[version] = LIVE_KINDS[kind].load(self.registry.folder_of(version))
        except PermanentError as error:
            _log.error("a model cannot be loaded", version=version, error=error.message)
            return False
        return True

    def _contest(self, kind: str) -> Contest:
        return self._memory.contests.of(kind)

    # --- lessons ---------------------------------------------------------------------------------

    def learn(self, slot: int, means: Mapping[str, float]) -> None:
        """Keep a finished slot."""
        try:
            self._lessons.put(slot, means)
        except UnavailableError as error:
            _log.error("a lesson is lost", error=error.message)

    def listen(self, made: Made) -> None:
        """Keep the weather as it was told, four times a day, and drop models that could not speak."""
        if made.grid.first % RUN_EVERY_SLOTS == 0 and not made.voices.weather.guessed.any():
            try:
                self._lessons.put_run(run_of(made.grid, made.voices.weather))
            except UnavailableError as error:
                _log.error("a lesson is lost", error=error.message)
        for kind in LIVE_KINDS:
            for version in made.failed.keys() & set(self._contest(kind).models):
                self._retire(kind, version, f"it cannot be used: {made.failed[version]}")

    # --- training --------------------------------------------------------------------------------

    def retrain(self, kind: str, why: str) -> Job:
        """Ask for a training; one that waits already is returned.

        Raises:
            KeyError: There are no models of this kind.
        """
        LIVE_KINDS[kind]
        return self.jobs.ask(kind, why)

    async def tick(self) -> None:
        """Read what is stored, ask for what is due this night, and work on what was asked for."""
        self._beside.look()
        now = self._clock.monotonic()
        if not self._all_read and now >= self._read_not_before:
            await self._beside.do("reading", self._read_stored())
        self._ask_at_night()
        waiting = self.jobs.waiting()
        if waiting is not None and now >= self._not_before:
            await self._beside.do("training", self._work(waiting))

    async def _read_stored(self) -> None:
        self._read_not_before = self._clock.monotonic() + RETRY_WALL_S
        if self._reader is not None:
            self._all_read = await self._reader.read_all()

    def _ask_at_night(self) -> None:
        """Once a night, at a minute of the site's own; a kind whose last model is still on trial waits for its end."""
        local = self._clock.now().astimezone(self._home.site.zone)
        minute = crc32(self._home.site.id.encode()) % 60
        since = timedelta(hours=local.hour, minutes=local.minute) - timedelta(hours=NIGHT_H, minutes=minute)
        if not timedelta(0) <= since < timedelta(hours=3) or self._night == local.toordinal():
            return
        self._night = local.toordinal()
        with suppress(UnavailableError):
            self._lessons.prune(slot_no(self._clock.now()))
        for kind in LIVE_KINDS:
            if not self._contest(kind).challenger and (kind != "pv" or self._home.pv.roofs):
                self.retrain(kind, "night")

    async def _work(self, job: Job) -> None:
        """Train; whatever happens, the job comes to an end."""
        job.state, now = "running", self._clock.now()
        version = f"{job.kind}-{now:%Y%m%dT%H%M%S}"
        while self.registry.get(version) is not None:  # a house that lives through the same second again
            version += "b"
        try:
            if self._reader is not None:
                with suppress(UnavailableError):  # what is there is enough
                    await self._reader.read_past_weather()
            lessons = await asyncio.to_thread(self._lessons.lessons, slot_no(now))
            folder = self.registry.folder_of(version)
            result = await self._trainer.train(job.kind, self._home, lessons, folder, job.progress)
        except UnavailableError as error:
            job.state, job.what = "queued", error.message
            self._not_before = self._clock.monotonic() + RETRY_WALL_S
        except PemsError as error:
            job.failed(f"{error.message}; {error.remedy}")
            _log.info("no model was trained", kind=job.kind, why=job.what)
        except Exception as error:
            job.failed(f"a fault in the program: {error!r}")
            _log.error("a training failed", kind=job.kind, exc_info=error)
        else:
            job.state, job.share, job.version = "done", 1.0, version
            self._enter(job.kind, version, (slot_at(lessons.first), slot_at(lessons.until)), result)
        self.registry.discard(version)

    def _enter(self, kind: str, version: str, window: tuple[datetime, datetime], result: TrainingResult) -> None:
        """Write a new model down, and let it forecast unpublished."""
        now, contest = self._clock.now(), self._contest(kind)
        self.registry.add(
            ModelRecord(
                version=version,
                kind=kind,
                status="candidate",
                trained_at=now,
                window=window,
                rows=result.rows,
                data_hash=result.data_hash,
                features=result.features,
                target=result.target,
                parameters=result.parameters,
                metrics=result.metrics,
                parent=contest.active,
                why="trained",
            )
        )
        worse = result.metrics.get("simple_pinball")
        if worse is not None and result.metrics["pinball"] > _WORSE * worse:
            self._set(version, "retired", "far worse than the simple method on held-out days")
            return
        if not self._load(kind, version):
            self._set(version, "retired", "its files cannot be read")
            return
        displaced = contest.challenge(version)
        if displaced:
            self.models.pop(displaced, None)
            self._set(displaced, "retired", f"displaced by {version} before it was judged")
        self._set(version, "shadow", "on trial beside the active method")
        self._save()
        _log.info("a model is on trial", version=version, rows=result.rows, metrics=dict(result.metrics))

    # --- what the API shows ----------------------------------------------------------------------

    def published(self) -> dict[str, dict[str, Any]]:
        """What is published of each kind, what is on trial beside it, and how they compare."""
        result: dict[str, dict[str, Any]] = {}
        for kind in LIVE_KINDS:
            contest = self._contest(kind)
            rival = contest.challenger or (contest.simple if contest.active != contest.simple else "")
            result[kind] = {
                "active": contest.active,
                "on_trial": contest.challenger or None,
                "former": contest.former or None,
                "compared": None
                if not rival
                else {"of": rival, "with": contest.active, **_shown(contest.paired(rival, contest.active))},
                "believed": {version: contest.arms[version].blend.share for version in contest.models},
                "coverage_pct_by_lead_h": contest.book.coverage_by_lead_pct(),
            }
        return result

    def details(self, record: ModelRecord) -> dict[str, Any]:
        """Importance of the features of a model that is loaded, and its errors against the simple method."""
        model, contest = self.models.get(record.version), self._contest(record.kind)
        if model is None or record.version not in contest.arms:
            return {}
        return {
            "importance": {name: round(share, 4) for name, share in list(model.importance().items())[:_SHOWN]},
            "against_simple": _shown(contest.paired(record.version, contest.simple)),
        }

    # --- judging ---------------------------------------------------------------------------------

    async def on_day(self) -> None:
        """Judge after a day was scored: promote, reject, roll back; look for drift."""
        for kind in LIVE_KINDS:
            verdict = self._contest(kind).verdict()
            if verdict is not None:
                self._carry_out(kind, verdict)
        await self._beside.do("watching", self._watch_all())

    async def _watch_all(self) -> None:
        for kind in LIVE_KINDS:
            await self._watch(kind)

    def _carry_out(self, kind: str, verdict: Verdict) -> None:
        contest = self._contest(kind)
        _log.info("models were judged", kind=kind, act=verdict.act, why=verdict.why)
        if verdict.act == "promote":
            version, before = contest.challenger, contest.active
            dropped = contest.promote()
            self.models.pop(dropped, None)
            self._set(version, "active", verdict.why, verdict.evidence)
            if before != contest.simple:
                self._set(before, "retired", f"followed by {version}")
            self._save()
        elif verdict.act == "reject":
            self._retire(kind, contest.challenger, verdict.why, verdict.evidence)
        else:
            self._back(kind, verdict.to, verdict.why, verdict.evidence)

    def _back(self, kind: str, to: str, why: str, evidence: Mapping[str, float] | None = None) -> None:
        """Return from the active model to the former one or the simple method."""
        contest = self._contest(kind)
        former = contest.former
        if former not in {"", to, contest.simple}:
            self._retire(kind, former, "no longer the way back")
        if to != contest.simple:
            self._set(to, "active", f"came back: {why}")
        self._retire(kind, contest.active, f"rolled back: {why}", evidence)

    def roll_back(self, kind: str) -> str:
        """Return to the former method because a person says so; returns what is active then.

        Raises:
            KeyError: There are no models of this kind.
            PermanentError: No model is active.
        """
        LIVE_KINDS[kind]
        contest = self._contest(kind)
        if contest.active == contest.simple:
            raise PermanentError(
                f"no {kind} model is active, there is nothing to roll back", remedy="see GET /v1/models"
            )
        self._back(kind, contest.former or contest.simple, "asked for")
        return contest.active

    def _retire(self, kind: str, version: str, why: str, evidence: Mapping[str, float] | None = None) -> None:
        self._contest(kind).leave(version)
        self.models.pop(version, None)
        self._set(version, "retired", why, evidence)
        self._save()

    async def _watch(self, kind: str) -> None:
        """Look for a lasting fall of skill, and for an error that rose within a week."""
        contest = self._contest(kind)
        rise = error_rose([day.mae for day in contest.quality], [day.skill for day in contest.quality])
        code = f"forecast.error_{kind}"
        if rise is None:
            await self._alerts.clear(code)
        else:
            text = f"The error of the {_TOLD[kind]} forecast rose by {100 * rise:.0f} % within a week."
            await self._alerts.raise_once(code, text, "Check meters and weather sources.")
        skills = contest.skills_since_drift()
        code = f"forecast.drift_{kind}"
        if len(skills) < LEAST_DAYS:
            return
        try:
            found = await self._trainer.drifted(skills)
        except UnavailableError as error:
            _log.warning("drift was not looked for", kind=kind, error=error.message)
            return
        if not found:
            if contest.days_since_drift > DRIFT_AGAIN_DAYS:
                await self._alerts.clear(code)
            return
        again = 0 <= contest.days_since_drift <= DRIFT_AGAIN_DAYS
        contest.days_since_drift = 0
        _log.warning("the skill of forecasts has fallen", kind=kind, again=again)
        if not contest.challenger:
            self.retrain(kind, "drift")
        if again:
            text = f"The {_TOLD[kind]} forecast has become worse for good, and training anew did not mend it."
            await self._alerts.raise_once(
                code, text, "Look for a changed plant or household, a faulty meter or source."
            )

    async def stop(self) -> None:
        """End what is under way."""
        await self._beside.stop()
        self._lessons.close()


def _shown(pair: Pairing) -> dict[str, float]:
    return {"days": pair.days, "loss_ratio": round(pair.ratio, 4), "t": round(pair.t, 2)}
