"""Two managements on the same days: what one costs less than the other, how sure that is, and the gate before it acts.

Days are paired, so what both share (weather, prices, the simulator's own errors) falls out. Their differences are drawn
in blocks of a week out of the days as a ring (circular block bootstrap, Politis and Romano 1992; in a row the first and
the last days would be drawn less often). So few blocks spread too little: of 14 days that have nothing to do with each
other the plain 90 % interval holds the truth in 68 % of cases, of 28 in 80 %. It is widened by sqrt(n / (n - b)), what
the mean of overlapping blocks of b days lacks in variance, and by Student's quantile for n / b degrees of freedom over
the normal one: then it does in 95 % and 91 %, and in 94 % and 89 % where each day correlates by 0.3 with the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

__all__ = [
    "BLOCK_DAYS",
    "LEAST_DAYS",
    "DayPair",
    "DayScore",
    "GateTerms",
    "Interval",
    "Verdict",
    "judged",
    "mean_interval",
    "share_interval",
]

Floats = NDArray[np.float64]

BLOCK_DAYS = 7
LEAST_DAYS = 2 * BLOCK_DAYS
_DRAWS = 2_000
_NOTHING_CZK = 0.005  # a day: below it two managements cost the same
_LONGEST_DAYS = 730  # further ahead nothing is foretold


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that holds the true one with the asked probability."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class DayScore:
    """One management's day.

    Attributes:
        cost_czk: Comparable cost: energy, wear, peak and comfort, with what is stored at the end valued.
        below_k_h: Below the comfort band, mean over rooms [K h].
        peak_w: Highest 15-min import [W].
        switchings: Of relays, all rooms.
        broken_s: Seconds in which a hard limit was broken.
    """

    cost_czk: float
    below_k_h: float
    peak_w: float
    switchings: float
    broken_s: float = 0.0


@dataclass(frozen=True)
class DayPair:
    """A day (`YYYY-MM-DD`) as the live configuration and the candidate lived it."""

    day: str
    live: DayScore
    candidate: DayScore


@dataclass(frozen=True)
class GateTerms:
    """What a candidate has to show before it is worth promoting.

    Attributes:
        days: Days that both lived, at the least.
        confidence: Of the interval.
        gain_czk_day: The lower end of the gain has to be above this.
        comfort_k_h: It may be further below the band than the live one by so much, per room and day.
        peak_pct: Its highest import may be so much higher.
    """

    days: int = LEAST_DAYS
    confidence: float = 0.9
    gain_czk_day: float = 0.0
    comfort_k_h: float = 0.05
    peak_pct: float = 5.0

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: A term makes no sense, or so few days have no interval.
        """
        if self.days < LEAST_DAYS:
            raise ValueError(f"an interval of {self.days} days says nothing: {LEAST_DAYS} at the least")
        if not 0.5 <= self.confidence < 1.0:
            raise ValueError(f"confidence {self.confidence} is not between 0.5 and 1")
        if self.comfort_k_h < 0.0 or self.peak_pct < 0.0:
            raise ValueError("margins of comfort and peak are not negative")


@dataclass(frozen=True)
class Verdict:
    """What the days say of a candidate.

    Attributes:
        decision: `promote`; `not_yet`: more days may tell; `reject`: it is worse, or breaks what it may not.
        reasons: In plain words, the weightiest first.
        days: That both lived.
        gain_czk_day: What the candidate costs less, with its interval; the mean alone where there are too few days.
        gain_pct: The same as a share of what the live one costs; None where that is not above zero.
        below_k_h: The candidate's K h below the band more than the live one's, per room and day.
        peak_pct: Its highest import above the live one's.
        switchings: Its switchings of a day more.
        days_more: So many more days at the present mean and spread; None where no number of days would do.
    """

    decision: Literal["promote", "not_yet", "reject"]
    reasons: tuple[str, ...]
    days: int
    gain_czk_day: Interval | None
    gain_pct: Interval | None
    mean_czk_day: float
    below_k_h: float
    peak_pct: float
    switchings: float
    days_more: int | None


def _picked(count: int, seed: int) -> NDArray[np.int64]:
    """Days of each draw, in blocks (draws, count)."""
    starts = np.random.default_rng(seed).integers(0, count, (_DRAWS, -(-count // BLOCK_DAYS)))
    return ((starts[:, :, None] + np.arange(BLOCK_DAYS)) % count).reshape(_DRAWS, -1)[:, :count]


def _interval(value: float, drawn: Floats, count: int, confidence: float) -> Interval:
    """Quantiles of what was drawn, around the value and widened."""
    tail = (1.0 - confidence) / 2.0
    wider = float(np.sqrt(count / (count - BLOCK_DAYS)))
    wider *= float(stdtrit(count / BLOCK_DAYS, 1.0 - tail) / ndtri(1.0 - tail))
    middle = float(drawn.mean())
    low, high = (value + wider * (float(edge) - middle) for edge in np.quantile(drawn, (tail, 1.0 - tail)))
    return Interval(value, low, high)


def mean_interval(values: ArrayLike, *, confidence: float = 0.9, seed: int = 0) -> Interval | None:
    """Return the mean of days (n,) that follow each other, with its interval; None below two blocks."""
    days = np.asarray(values, dtype=np.float64)
    if len(days) < LEAST_DAYS:
        return None
    return _interval(float(days.mean()), days[_picked(len(days), seed)].mean(axis=1), len(days), confidence)


def share_interval(mine: ArrayLike, other: ArrayLike, *, confidence: float = 0.9, seed: int = 0) -> Interval | None:
    """Return what `mine` is less than `other` [% of the other's sum], with its interval.

    Args:
        mine: Of each day (n,).
        other: Of the same days (n,).
        confidence: Of the interval.
        seed: Of the draws.

    Returns:
        None below two blocks, where the days differ in number, or where the other's sum is not above zero in any draw.
    """
    a, b = np.asarray(mine, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if len(b) < LEAST_DAYS or len(a) != len(b):
        return None
    picked = _picked(len(b), seed)
    against = b[picked].sum(axis=1)
    if float(against.min()) <= 0.0 or float(b.sum()) <= 0.0:
        return None
    drawn = 100.0 * (1.0 - a[picked].sum(axis=1) / against)
    return _interval(float(100.0 * (1.0 - a.sum() / b.sum())), drawn, len(b), confidence)


def judged(pairs: Sequence[DayPair], terms: GateTerms | None = None) -> Verdict:
    """Judge a candidate by the days that it and the live configuration lived.

    Raises:
        ValueError: There is no day, or a day is there twice.
    """
    terms = terms or GateTerms()
    days = sorted(pairs, key=lambda pair: pair.day)
    if not days or len({pair.day for pair in days}) < len(days):
        raise ValueError("no day was given, or one of them twice")
    live = np.array([pair.live.cost_czk for pair in days])
    mine = np.array([pair.candidate.cost_czk for pair in days])
    gain, share = live - mine, share_interval(mine, live, confidence=terms.confidence)
    interval = mean_interval(gain, confidence=terms.confidence)
    below = np.array([pair.candidate.below_k_h - pair.live.below_k_h for pair in days])
    peaks = [
        max(score.peak_w for score in scores) for scores in zip(*((p.live, p.candidate) for p in days), strict=True)
    ]
    peak_pct = 100.0 * (peaks[1] / peaks[0] - 1.0) if peaks[0] > 0.0 else 0.0
    broken = [
        sum(score.broken_s for score in scores) for scores in zip(*((p.live, p.candidate) for p in days), strict=True)
    ]
    against, waiting, more = [], [], None
    if broken[1] > broken[0]:
        against.append(f"it breaks hard limits for {broken[1]:.0f} s, the live one for {broken[0]:.0f} s")
    if interval is None or len(days) < terms.days:
        waiting.append(f"{len(days)} days are there, {terms.days} are needed")
        more = terms.days - len(days)
    else:
        comfort = mean_interval(below, confidence=terms.confidence)
        if comfort is not None and comfort.low > terms.comfort_k_h:
            against.append(f"rooms are {comfort.mean:.2f} K h a day further below their bands")
        elif float(below.mean()) > terms.comfort_k_h:
            waiting.append(f"rooms were {below.mean():.2f} K h a day further below their bands, which may be chance")
        if peak_pct > terms.peak_pct:
            against.append(
                f"its highest import is {peak_pct:.1f} % above the live one's, {terms.peak_pct:g} are allowed"
            )
        worth, needed = _worth(interval, gain, terms)
        if worth == "against":
            against.append(f"it costs {-interval.mean:.2f} CZK a day more ({_told(interval)})")
        elif worth:
            waiting.append(worth)
            more = needed
    switchings = float(np.mean([pair.candidate.switchings - pair.live.switchings for pair in days]))
    decision: Literal["promote", "not_yet", "reject"] = "reject" if against else "not_yet" if waiting else "promote"
    won = (
        ()
        if interval is None or against or waiting
        else (f"it saves {interval.mean:.2f} CZK a day ({_told(interval)})",)
    )
    return Verdict(
        decision,
        (*won, *against, *waiting),
        len(days),
        interval,
        share,
        float(gain.mean()),
        float(below.mean()),
        peak_pct,
        switchings,
        None if decision != "not_yet" else more,
    )


def _told(interval: Interval) -> str:
    return f"{interval.low:.2f} to {interval.high:.2f}"


def _worth(interval: Interval, gain: Floats, terms: GateTerms) -> tuple[str, int | None]:
    """Why the gain is not enough (empty where it is, `against` for a loss), and how many more days would tell."""
    if interval.low > terms.gain_czk_day:
        return "", None
    if float(np.abs(gain).max()) < _NOTHING_CZK:
        return "both cost the same on every day", None
    if interval.high < min(0.0, terms.gain_czk_day):
        return "against", None
    said = (
        f"the gain of {interval.mean:.2f} CZK a day ({_told(interval)}) is not sure to be above {terms.gain_czk_day:g}"
    )
    ahead = interval.mean - terms.gain_czk_day
    if ahead <= 0.0:
        return said, None
    # The interval's half shrinks with the root of the days.
    needed = ceil(len(gain) * ((interval.mean - interval.low) / ahead) ** 2)
    return said, needed - len(gain) if needed <= _LONGEST_DAYS else None
