"""Methods of forecasting one quantity, side by side: each keeps its own errors, one is published, paired days decide.

The simple method (physics, climatology, similar days) is always among them. A trained model is mixed with it by the
share that did best lately, and corrected by its own errors, so that what is compared is what would be published.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np

from pems_forecaster.domain.bands import BAND_LEVELS, Quantiles, pinball
from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Ints
from pems_forecaster.domain.residuals import Matched, ResidualBook
from pems_forecaster.domain.rolling_blend import BlendSettings, RollingBlend, mix

__all__ = ["Arm", "Contest", "ContestRules", "DayQuality", "Pairing", "Verdict"]

_BATCH_SLOTS = SLOTS_PER_DAY // 2
_BATCHES_KEPT = 4
_DAYS_KEPT = 60


@dataclass(frozen=True)
class ContestRules:
    """When a model is taken, and when it is dropped again.

    Attributes:
        blend_start: Share of a model before its own errors tell more.
        least_days: Paired days without which nothing is decided.
        sure_t: Paired t value that counts as sure. It is looked at every day, so it has to be higher than for one look:
            with these rules 35 % of models that are no better are published within three weeks, and 96 % of those that
            lose 5 % less, where daily gaps scatter by a tenth (`./pems bench judging`).
        long_days: Days after which `likely_t` suffices with `long_gain`, and before which no model is given up.
        likely_t: Paired t value that counts as likely.
        long_gain: An advantage worth having, as a share.
        most_days: Days after which a model that is not better is dropped.
        rollback_loss: How much worse than the simple method the active model may be, as a share.
    """

    blend_start: float = 0.5
    least_days: int = 5
    sure_t: float = 2.0
    long_days: int = 12
    likely_t: float = 1.0
    long_gain: float = 0.01
    most_days: int = 21
    rollback_loss: float = 0.03


@dataclass(frozen=True)
class _Said:
    """What the simple method and a model said at one issue about the next day (N, 3)."""

    first: int
    simple: Floats
    model: Floats


@dataclass
class Arm:
    """One method: its errors, and how much of it is believed.

    Attributes:
        book: Own errors of what would be published.
        blend: Share against the simple method.
        waiting: What was said and is not measured yet.
    """

    book: ResidualBook
    blend: RollingBlend
    waiting: list[_Said] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether it is known how much of it to believe: before that it is not compared."""
        return self.blend.settled

    def mixed(self, simple: Quantiles, model: Quantiles) -> Quantiles:
        """Mix a model's band with the simple one."""
        share = self.book.share = self.blend.share
        return Quantiles(*(mix(getattr(simple, q), getattr(model, q), share) for q in ("p10", "p50", "p90")))

    def listen(self, slots: Ints, simple: Quantiles, model: Quantiles, usable: Floats) -> None:
        """Remember, twice a day, what both said about the next day; slots that are not usable teach nothing."""
        first, count = int(slots[0]), min(SLOTS_PER_DAY, len(slots))
        if self.waiting and self.waiting[-1].first // _BATCH_SLOTS == first // _BATCH_SLOTS:
            return
        both = [band.columns()[:count] for band in (simple, model)]
        unusable = usable[:count] <= 0.0
        both[1][unusable] = np.nan
        self.waiting = [*self.waiting, _Said(first, both[0], both[1])][-_BATCHES_KEPT:]

    def learn(self, now_slot: int, actual: Callable[[Ints], Floats]) -> None:
        """Learn from what is wholly measured."""
        for said in [w for w in self.waiting if w.first + len(w.simple) <= now_slot]:
            self.waiting.remove(said)
            truth = actual(np.arange(said.first, said.first + len(said.simple), dtype=np.int64))
            scale = float(np.nanmean(np.abs(truth))) if np.isfinite(truth).any() else 0.0
            if scale > 0.0:
                self.blend.learn(said.simple, said.model, truth, BAND_LEVELS, scale)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        waiting = [[w.first, np.round(w.simple, 2).tolist(), np.round(w.model, 2).tolist()] for w in self.waiting]
        for _, _, model in waiting:
            for row in model:
                row[:] = [None if value != value else value for value in row]
        return {"book": self.book.to_json(), "blend": self.blend.to_json(), "waiting": waiting}

    def load_json(self, data: Mapping[str, Any]) -> None:
        """Take what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError, PermanentError: It is damaged.
        """
        self.book.load_json(data["book"])
        self.blend.load_json(data["blend"])
        self.waiting = [
            _Said(int(first), np.array(simple, dtype=np.float64), np.array(model, dtype=np.float64))
            for first, simple, model in data["waiting"]
        ]


@dataclass(frozen=True)
class DayQuality:
    """How good what was published was on a day, at leads up to a day.

    Attributes:
        skill: Against persistence, 1 is perfect.
        mae: Mean absolute error, in the unit of the kind.
    """

    skill: float
    mae: float


@dataclass(frozen=True)
class Pairing:
    """Two methods on the same slots, day by day.

    Attributes:
        days: Days on which both were measured.
        ratio: Loss of the first over that of the second: below 1 is better.
        t: Paired t value of the daily differences: below 0 is better.
    """

    days: int
    ratio: float
    t: float


@dataclass(frozen=True)
class Verdict:
    """What paired days say should be done.

    Attributes:
        act: `promote` the challenger, `reject` it, or `roll_back` from the active model to `to`.
        why: In one sentence.
        evidence: Numbers behind it.
        to: Version to return to.
    """

    act: Literal["promote", "reject", "roll_back"]
    why: str
    evidence: Mapping[str, float]
    to: str = ""


class Contest:
    """The methods of one kind."""

    def __init__(self, simple: str, make_book: Callable[[], ResidualBook], rules: ContestRules | None = None) -> None:
        """Begin with the simple method alone.

        Args:
            simple: Its version.
            make_book: Makes an empty book of errors.
            rules: When to decide.
        """
        self.simple, self._make_book, self._rules = simple, make_book, rules or ContestRules()
        self.arms: dict[str, Arm] = {simple: self._arm()}
        self.active = simple
        self.challenger = ""
        self.former = ""
        self._losses: deque[dict[tuple[str, str], tuple[float, float]]] = deque(maxlen=_DAYS_KEPT)
        self.quality: deque[DayQuality] = deque(maxlen=_DAYS_KEPT)
        self.days_since_drift = -1

    def _arm(self) -> Arm:
        return Arm(self._make_book(), RollingBlend(BlendSettings(start=self._rules.blend_start)))

    @property
    def book(self) -> ResidualBook:
        """Errors of what is published."""
        return self.arms[self.active].book

    @property
    def models(self) -> list[str]:
        """Versions of trained models that take part."""
        return [version for version in self.arms if version != self.simple]

    # --- who takes part --------------------------------------------------------------------------

    def challenge(self, version: str) -> str:
        """Let a new model take part, unpublished; returns the challenger that it displaces, if any.

        It begins with the scatter of the published method's errors, and with the share of the active model: a band that
        has yet to learn its width would lose to one that has, however good the model is.
        """
        displaced = self.challenger
        if displaced:
            self.leave(displaced)
        arm = self._arm()
        arm.book.adopt(self.book)
        if self.active != self.simple:
            arm.blend.load_json(self.arms[self.active].blend.to_json())
        self.arms[version] = arm
        self.challenger = version
        return displaced

    def promote(self) -> str:
        """Publish the challenger; returns the model that was dropped for good, if any.

        What was active stays beside it as the way back.
        """
        dropped, self.former, self.active = self.former, self.active, self.challenger
        self.challenger = ""
        if dropped and dropped != self.simple:
            self.arms.pop(dropped, None)
            return dropped
        return ""

    def leave(self, version: str) -> None:
        """Take a model out; where it was active, the former one or the simple method is."""
        if version == self.simple or version not in self.arms:
            return
        del self.arms[version]
        if version == self.challenger:
            self.challenger = ""
        if version == self.former:
            self.former = ""
        if version == self.active:
            self.active, self.former = self.former or self.simple, ""

    # --- learning --------------------------------------------------------------------------------

    def match(self, slot: int, actual: float | None, *, train: bool = True) -> None:
        """Compare a measured slot with what each method said."""
        for arm in self.arms.values():
            arm.book.match(slot, actual, train=train)

    def learn(self, now_slot: int, actual: Callable[[Ints], Floats]) -> None:
        """Let models learn how much of them to believe, from what is measured before a slot."""
        for version in self.models:
            self.arms[version].learn(now_slot, actual)

    def close_day(self) -> dict[int, list[Matched]]:
        """End a day: keep the losses of each pair on the slots that both have; returns what the active one said."""
        today = {version: arm.book.take_today() for version, arm in self.arms.items()}
        losses = {
            version: {
                (m.lead_h, m.slot): pinball(m.actual, m.issued.p10, m.issued.p50, m.issued.p90)
                for matched in today[version].values()
                for m in matched
            }
            for version, arm in self.arms.items()
            if version == self.simple or arm.settled
        }
        day = {}
        for one, other in combinations(losses, 2):
            common = losses[one].keys() & losses[other].keys()
            if common:
                means = (float(np.mean([losses[v][key] for key in common])) for v in (one, other))
                day[one, other] = next(means), next(means)
        if day:
            self._losses.append(day)
        return today[self.active]

    def note_quality(self, quality: DayQuality) -> None:
        """Keep how good a day was."""
        self.quality.append(quality)
        if self.days_since_drift >= 0:
            self.days_since_drift += 1

    def skills_since_drift(self) -> list[float]:
        """Daily skills since the last drift, the oldest first."""
        skills = [day.skill for day in self.quality]
        return skills if self.days_since_drift < 0 else skills[len(skills) - min(self.days_since_drift, len(skills)) :]

    def paired(self, one: str, other: str, days: int = _DAYS_KEPT) -> Pairing:
        """Compare two methods on the last days that have both."""
        both = [day[one, other] for day in self._losses if (one, other) in day]
        both += [day[other, one][::-1] for day in self._losses if (other, one) in day]
        both = both[-days:]
        if not both:
            return Pairing(0, 1.0, 0.0)
        ours, theirs = np.array(both).T
        gap = ours - theirs
        spread = float(gap.std(ddof=1)) if len(gap) > 1 else 0.0
        t = float(gap.mean() / (spread / np.sqrt(len(gap)))) if spread > 0.0 else float(np.sign(gap.mean())) * 99.0
        return Pairing(len(both), float(ours.sum() / max(theirs.sum(), 1e-12)), t)

    def verdict(self) -> Verdict | None:
        """Say what the paired days call for, None where nothing."""
        return self._of_active() or self._of_challenger()

    def _of_active(self) -> Verdict | None:
        if self.active == self.simple:
            return None
        rules, pair = self._rules, self.paired(self.active, self.simple, self._rules.long_days)
        if pair.days < rules.least_days or pair.ratio < 1.0 + rules.rollback_loss or pair.t < rules.sure_t:
            return None
        to = self.simple
        if self.former in self.arms and self.paired(self.former, self.simple, rules.long_days).ratio < 1.0:
            to = self.former
        why = f"{100 * (pair.ratio - 1):.1f} % more loss than {self.simple} over {pair.days} days"
        return Verdict("roll_back", why, _evidence(pair), to)

    def _of_challenger(self) -> Verdict | None:
        if not self.challenger:
            return None
        rules, pair = self._rules, self.paired(self.challenger, self.active)
        if pair.days < rules.least_days:
            return None
        gain = 1.0 - pair.ratio
        told = f"{abs(100 * gain):.1f} % {'less' if gain > 0 else 'more'} loss than {self.active} over {pair.days} days"
        sure = gain > 0.0 and pair.t <= -rules.sure_t
        likely = pair.days >= rules.long_days and gain >= rules.long_gain and pair.t <= -rules.likely_t
        # With nothing of it in the mixture it is the simple method.
        heard = self.arms[self.challenger].blend.share > 0.0
        if heard and (sure or likely):
            return Verdict("promote", told, _evidence(pair))
        hopeless = pair.days >= rules.long_days and gain < -rules.rollback_loss and pair.t >= rules.sure_t
        if hopeless or pair.days >= rules.most_days:
            return Verdict("reject", told, _evidence(pair))
        return None

    # --- over restarts ---------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "active": self.active,
            "challenger": self.challenger,
            "former": self.former,
            "arms": {version: arm.to_json() for version, arm in self.arms.items()},
            "losses": [
                [[*pair, *(float(f"{loss:.6g}") for loss in losses)] for pair, losses in day.items()]
                for day in self._losses
            ],
            "quality": [[round(day.skill, 4), float(f"{day.mae:.6g}")] for day in self.quality],
            "days_since_drift": self.days_since_drift,
        }

    def load_json(self, data: Mapping[str, Any]) -> None:
        """Take what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError, PermanentError: It is damaged.
        """
        for version, kept in data["arms"].items():
            arm = self._arm()
            arm.load_json(kept)
            self.arms[str(version)] = arm
        for name in ("active", "challenger", "former"):
            version = str(data[name])
            if version and version not in self.arms:
                raise ValueError(f"{name} is {version}, of which nothing is known")
            setattr(self, name, version)
        self.quality.extend(DayQuality(float(skill), float(mae)) for skill, mae in data["quality"])
        self.days_since_drift = int(data["days_since_drift"])
        for day in data["losses"]:
            self._losses.append({(str(a), str(b)): (float(x), float(y)) for a, b, x, y in day})


def _evidence(pair: Pairing) -> dict[str, float]:
    return {"paired_days": float(pair.days), "loss_ratio": round(pair.ratio, 4), "paired_t": round(pair.t, 2)}
