"""What PEMS saves: against a period before it, against days without it, and what plans expect.

Weather differs between periods, so each comparison is also made at equal heating degree days, by a regression that
is told with the result. A figure that the days cannot carry is not given; the outcome says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt
from random import Random
from typing import Literal

__all__ = [
    "ASSUMED",
    "Baseline",
    "BeforeAfter",
    "DayCost",
    "DegreeDayFit",
    "NoComparison",
    "WithAndWithout",
    "baseline_of",
    "before_and_after",
    "days_without",
    "fit_degree_days",
    "with_and_without",
]

_MIN_KNOWN = 0.98  # what is missing counts nothing, so hardly any may be missing
_MIN_DAYS = 5
_SPREAD_K_D = 1.0
_WITH, _WITHOUT = 0.8, 0.05
_DRAWS = 1000


@dataclass(frozen=True)
class DayCost:
    """One whole day as savings see it; None where unknown.

    Attributes:
        priced: Share of its slots of which the cost is known, 0..1.
        hdd: Heating degree days [K d].
        planned_share: Share of device time in which plans of the optimizer were followed, 0..1.
    """

    day: date
    cost_czk: float | None
    priced: float
    hdd: float | None
    planned_share: float | None
    self_consumption: float | None = None
    peak_import_w: float | None = None

    @property
    def counts(self) -> bool:
        """Whether enough of its cost is known."""
        return self.cost_czk is not None and self.priced >= _MIN_KNOWN


@dataclass(frozen=True)
class DegreeDayFit:
    """Daily cost = base + slope * heating degree days, by least squares.

    The form is that of PRISM with a fixed reference temperature (Fels 1986, doi:10.1016/0378-7788(86)90003-4).

    Attributes:
        r2: Share of the variance it explains.
        residual_czk: Standard deviation of what it does not.
    """

    base_czk: float
    slope_czk_k_d: float
    r2: float
    residual_czk: float
    days: int

    def at(self, hdd: float) -> float:
        """Expected cost of a day [CZK]."""
        return self.base_czk + self.slope_czk_k_d * hdd


@dataclass(frozen=True)
class Baseline:
    """What the house was like without PEMS.

    Attributes:
        source: `period` given by a person, `days_without` PEMS that were measured, or `assumed` numbers.
        daily_cost_czk: Mean.
        self_consumption: Share, 0..1.
        peak_import_w: Mean of the days' highest 15-min means of import.
        days: Days it stands on; 0 where assumed.
        fit: Cost by degree days; None where the days cannot carry one.
    """

    source: Literal["period", "days_without", "assumed"]
    daily_cost_czk: float
    self_consumption: float | None
    peak_import_w: float | None
    days: int = 0
    first: date | None = None
    last: date | None = None
    fit: DegreeDayFit | None = None

    def expected_czk(self, hdd: float | None) -> float:
        """Cost of a day with such weather [CZK]; the mean where weather or fit is missing."""
        return self.daily_cost_czk if self.fit is None or hdd is None else self.fit.at(hdd)


ASSUMED = Baseline("assumed", daily_cost_czk=150.0, self_consumption=0.45, peak_import_w=8000.0)
"""Assumed where nothing was measured: numbers of the specification, not of this house."""


@dataclass(frozen=True)
class NoComparison:
    """Why nothing can be compared: `no_baseline_data`, `no_recent_data` or `too_few_days`."""

    error: Literal["no_baseline_data", "no_recent_data", "too_few_days"]
    detail: str


@dataclass(frozen=True)
class BeforeAfter:
    """Daily cost before and lately.

    Attributes:
        percentage_savings: None where the baseline costs nothing.
        corrected_daily_savings_czk: At the recent days' degree days; None without a fit or weather.
        corrected_percentage: Of what the baseline would have cost in that weather.
    """

    baseline_daily_cost: float
    recent_daily_cost: float
    daily_savings_czk: float
    percentage_savings: float | None
    monthly_savings_czk: float
    annual_savings_czk: float
    recent_days: int
    corrected_daily_savings_czk: float | None
    corrected_percentage: float | None


@dataclass(frozen=True)
class WithAndWithout:
    """Days in which plans were followed against days in which they were not, at equal weather.

    Attributes:
        daily_savings_czk: Expected; `low_czk` and `high_czk` bound it with 90 % (days drawn anew).
        percentage: Of the mean cost of the days without; None where that is not above 0.
        equal_at: What was made equal: `hdd`, or nothing where the days do not differ in it or do not know it.
    """

    daily_savings_czk: float
    low_czk: float
    high_czk: float
    percentage: float | None
    days_with: int
    days_without: int
    equal_at: tuple[str, ...]


def fit_degree_days(days: Sequence[DayCost]) -> DegreeDayFit | None:
    """Fit cost by degree days; None below five days, or where they hardly differ in them."""
    known = [(day.hdd, day.cost_czk) for day in days if day.counts and day.hdd is not None and day.cost_czk is not None]
    if len(known) < _MIN_DAYS:
        return None
    n = len(known)
    mean_x, mean_y = sum(x for x, _ in known) / n, sum(y for _, y in known) / n
    sxx = sum((x - mean_x) ** 2 for x, _ in known)
    if sqrt(sxx / n) < _SPREAD_K_D:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in known) / sxx
    base = mean_y - slope * mean_x
    rest = sum((y - base - slope * x) ** 2 for x, y in known)
    syy = sum((y - mean_y) ** 2 for _, y in known)
    return DegreeDayFit(base, slope, 1 - rest / syy if syy > 0 else 0.0, sqrt(rest / (n - 2)), n)


def baseline_of(days: Sequence[DayCost], source: Literal["period", "days_without"]) -> Baseline | None:
    """Return the baseline that these days give; None where no day's cost is known well enough."""
    known = sorted((day for day in days if day.counts), key=lambda day: day.day)
    if not known:
        return None
    rates = [day.self_consumption for day in known if day.self_consumption is not None]
    peaks = [day.peak_import_w for day in known if day.peak_import_w is not None]
    return Baseline(
        source,
        daily_cost_czk=sum(day.cost_czk or 0.0 for day in known) / len(known),
        self_consumption=sum(rates) / len(rates) if rates else None,
        peak_import_w=sum(peaks) / len(peaks) if peaks else None,
        days=len(known),
        first=known[0].day,
        last=known[-1].day,
        fit=fit_degree_days(known),
    )


def days_without(days: Sequence[DayCost]) -> list[DayCost]:
    """Days in which the controller ran and plans were (nearly) not followed."""
    return [day for day in days if day.planned_share is not None and day.planned_share <= _WITHOUT]


def before_and_after(baseline: Baseline | None, recent: Sequence[DayCost]) -> BeforeAfter | NoComparison:
    """Compare recent days with the baseline, as they are and at equal degree days."""
    if baseline is None:
        return NoComparison("no_baseline_data", "No baseline data available")
    known = [day for day in recent if day.counts]
    if not known:
        return NoComparison("no_recent_data", "No recent data available")
    mean_czk = sum(day.cost_czk or 0.0 for day in known) / len(known)
    saved_czk = baseline.daily_cost_czk - mean_czk
    at_weather = [(day.cost_czk, day.hdd) for day in known if day.cost_czk is not None and day.hdd is not None]
    corrected_czk = corrected_pct = None
    if baseline.fit is not None and at_weather:
        expected_czk = sum(baseline.fit.at(hdd) for _, hdd in at_weather) / len(at_weather)
        corrected_czk = expected_czk - sum(cost for cost, _ in at_weather) / len(at_weather)
        corrected_pct = 100 * corrected_czk / expected_czk if expected_czk > 0 else None
    return BeforeAfter(
        baseline_daily_cost=baseline.daily_cost_czk,
        recent_daily_cost=mean_czk,
        daily_savings_czk=saved_czk,
        percentage_savings=100 * saved_czk / baseline.daily_cost_czk if baseline.daily_cost_czk > 0 else None,
        monthly_savings_czk=30 * saved_czk,
        annual_savings_czk=365 * saved_czk,
        recent_days=len(known),
        corrected_daily_savings_czk=corrected_czk,
        corrected_percentage=corrected_pct,
    )


def with_and_without(days: Sequence[DayCost], *, seed: int = 1) -> WithAndWithout | NoComparison:
    """Estimate what following plans saves per day, with a 90 % interval from days drawn anew (Efron 1979).

    Cost is regressed on whether plans were followed and, where it differs between days, on heating degree days. Days
    are drawn within each kind (doi:10.1214/aos/1176344552), so that both stay as many as they were.
    """
    known = [day for day in days if day.counts and day.planned_share is not None]
    ours = [day for day in known if (day.planned_share or 0.0) >= _WITH]
    theirs = days_without(known)
    if min(len(ours), len(theirs)) < _MIN_DAYS:
        detail = f"{len(ours)} days with plans and {len(theirs)} without; {_MIN_DAYS} of each are needed"
        return NoComparison("too_few_days", detail)
    weather = all(day.hdd is not None for day in (*ours, *theirs))
    with_plans, without = [_pair(day) for day in ours], [_pair(day) for day in theirs]
    saved_czk, corrected = _saving(with_plans, without, weather)
    random = Random(seed)
    drawn = []
    for _ in range(_DRAWS):
        some, others = (random.choices(kind, k=len(kind)) for kind in (with_plans, without))
        drawn.append(_saving(some, others, weather)[0])
    drawn.sort()
    wider = _wider(len(ours) + len(theirs))
    mean_czk = sum(cost for _, cost in without) / len(without)
    return WithAndWithout(
        daily_savings_czk=saved_czk,
        low_czk=saved_czk + wider * (drawn[round(0.05 * (_DRAWS - 1))] - saved_czk),
        high_czk=saved_czk + wider * (drawn[round(0.95 * (_DRAWS - 1))] - saved_czk),
        percentage=100 * saved_czk / mean_czk if mean_czk > 0 else None,
        days_with=len(ours),
        days_without=len(theirs),
        equal_at=("hdd",) if corrected else (),
    )


Pair = tuple[float, float]


def _wider(days: int) -> float:
    """By what an interval of drawn days is too narrow: three numbers were fitted, and Student's t is wider than normal.

    The second factor is the first term of t's expansion at 90 % (Abramowitz and Stegun 26.7.5).
    """
    free = days - 3
    return sqrt(days / free) * (1 + (1.645**2 + 1) / (4 * free))


def _pair(day: DayCost) -> Pair:
    return day.hdd or 0.0, day.cost_czk or 0.0


def _saving(ours: Sequence[Pair], theirs: Sequence[Pair], weather: bool) -> tuple[float, bool]:
    """Mean cost without less mean cost with, at equal degree days where their slope can be told within the kinds."""
    means = []
    sxx = sxy = 0.0
    for kind in (ours, theirs):
        x0, y0 = sum(x for x, _ in kind) / len(kind), sum(y for _, y in kind) / len(kind)
        means.append((x0, y0))
        sxx += sum((x - x0) ** 2 for x, _ in kind)
        sxy += sum((x - x0) * (y - y0) for x, y in kind)
    (x_with, y_with), (x_without, y_without) = means
    if not weather or sqrt(sxx / (len(ours) + len(theirs))) < _SPREAD_K_D:
        return y_without - y_with, False
    return y_without - y_with - sxy / sxx * (x_without - x_with), True
