"""The forecaster's memory of its own errors, per kind and lead time.

For a few lead times each issued forecast is remembered until its slot was measured; then three things are
learnt: the error itself (relative to a scale), whether the truth lay inside the band, and the day's score.
Bands are blended towards the empirical errors as days of them come together, and an adaptive conformal step
(Gibbs and Candes 2021, arXiv:2106.00170, on the band's width) leads P10..P90 to hold 80 %.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pems_forecaster.domain.bands import Quantiles, pinball
from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Ints

__all__ = ["Issued", "Matched", "ResidualBook", "day_metrics"]

STEP = 0.015
"""Step of the width's logarithm per measured slot: a coverage of 60 % widens by a third in a day."""
FACTOR_MIN, FACTOR_MAX = 0.4, 4.0
KEEP_DAYS = 21
FULL_TRUST_DAYS = 3.0
TRUST_MAX = 0.8
LEAST = 24
_FEW = (np.arange(2 * LEAST) + 0.5) / (2 * LEAST)


@dataclass(frozen=True)
class Issued:
    """What a forecast said about one slot.

    Attributes:
        base: Median of the simple method, uncorrected.
        scale: Errors are divided by it.
        p10: Published, as are the other two.
        p50: Median.
        p90: P90.
        lean: What a model would have added to the base, had it been believed wholly.
    """

    base: float
    scale: float
    p10: float
    p50: float
    p90: float
    lean: float = 0.0


@dataclass(frozen=True)
class Matched:
    """An issued value and its truth, at one of the kept leads [h]."""

    slot: int
    issued: Issued
    actual: float
    lead_h: float = 0.0

    @property
    def inside(self) -> bool:
        """Whether the truth lay inside the published band (with a hair's breadth of rounding)."""
        hair = 1e-6 + 1e-9 * abs(self.actual)
        return self.issued.p10 - hair <= self.actual <= self.issued.p90 + hair


@dataclass
class _Lead:
    pending: dict[int, Issued] = field(default_factory=dict)
    errors: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=KEEP_DAYS * SLOTS_PER_DAY))
    inside: deque[bool] = field(default_factory=lambda: deque(maxlen=KEEP_DAYS * SLOTS_PER_DAY))
    factor: float = 1.0
    today: list[Matched] = field(default_factory=list)


class ResidualBook:
    """Errors of one kind of forecast at a few lead times.

    Where a model is mixed into a simple method, the mixture's errors at any share follow from what both said: so the
    share may move, and what was learnt stays right.

    Attributes:
        share: Share of the model in what is corrected now.
    """

    def __init__(self, leads_h: tuple[float, ...], *, slots_per_day: float = SLOTS_PER_DAY) -> None:
        """Keep errors at `leads_h` [h]; `slots_per_day` says how many measured slots count as a day of experience."""
        self.leads_h = leads_h
        self._per_day = slots_per_day
        self._leads = [_Lead() for _ in leads_h]
        self.share = 0.0

    # --- writing ---------------------------------------------------------------------------------

    def remember(
        self,
        slots: Ints,
        base: Floats,
        scale: Floats,
        band: Quantiles,
        *,
        lean: Floats | None = None,
        usable: Floats | None = None,
    ) -> None:
        """Remember what was issued for the slots at the kept leads.

        Args:
            slots: The forecast's slots; the first one holds the issue time.
            base: Median of the simple method before any correction (so that errors never feed on themselves).
            scale: Errors are divided by this; slots with scale 0 are not remembered.
            band: As published.
            lean: What the model would have added to the base; None where there is no model.
            usable: 0 where a slot shall not be remembered (prices already known).
        """
        for lead, hours in zip(self._leads, self.leads_h, strict=True):
            i = int(hours * 4)
            if i >= len(slots) or scale[i] <= 0.0 or (usable is not None and not usable[i]):
                continue
            lead.pending[int(slots[i])] = Issued(
                round(float(base[i]), 3),
                round(float(scale[i]), 3),
                float(band.p10[i]),
                float(band.p50[i]),
                float(band.p90[i]),
                0.0 if lean is None else round(float(lean[i]), 3),
            )

    def match(self, slot: int, actual: float | None, *, train: bool = True) -> None:
        """Compare a measured slot with what was said about it; `train=False` (curtailed, faulty) only forgets."""
        for hours, lead in zip(self.leads_h, self._leads, strict=True):
            issued = lead.pending.pop(slot, None)
            for old in [n for n in lead.pending if n < slot - SLOTS_PER_DAY]:
                del lead.pending[old]
            if issued is None or actual is None or not train or not np.isfinite(actual):
                continue
            matched = Matched(slot, issued, actual, hours)
            lead.errors.append(((actual - issued.base) / issued.scale, issued.lean / issued.scale))
            lead.inside.append(matched.inside)
            lead.factor *= float(np.exp(STEP * (0.8 if not matched.inside else -0.2)))
            lead.factor = min(max(lead.factor, FACTOR_MIN), FACTOR_MAX)
            lead.today.append(matched)

    def adopt(self, other: "ResidualBook") -> None:
        """Begin with how far another method's errors scatter, but not with its bias: that is its own.

        A few errors stand for all of them, so that what this one says later takes their place within days.
        """
        for mine, theirs in zip(self._leads, other._leads, strict=True):
            errors = other._errors(theirs)
            few = np.quantile(errors - np.median(errors), _FEW) if len(errors) else errors
            mine.errors = deque(((float(e), 0.0) for e in few), maxlen=theirs.errors.maxlen)
            mine.factor = theirs.factor

    def _errors(self, lead: _Lead) -> Floats:
        """Errors of the mixture at today's share (N,)."""
        pairs = np.array(lead.errors, dtype=np.float64).reshape(-1, 2)
        return np.asarray(pairs[:, 0] - self.share * pairs[:, 1])

    # --- using -----------------------------------------------------------------------------------

    @property
    def days(self) -> float:
        """Days of experience at the lead that has most."""
        return max(len(lead.errors) for lead in self._leads) / self._per_day

    def correct(self, base: Quantiles, scale: Floats, lead_h: Floats) -> Quantiles:
        """Blend a band towards the errors seen, and scale its width by the adaptive step.

        Widths relative to the scale never shrink with the lead time.

        Args:
            base: The uncorrected band.
            scale: Scale of errors per slot.
            lead_h: Lead time of each slot [h].
        """
        low, high = base.p50 - base.p10, base.p90 - base.p50
        seen = [
            (hours, lead, np.quantile(self._errors(lead), (0.1, 0.5, 0.9)))
            for hours, lead in zip(self.leads_h, self._leads, strict=True)
            if len(lead.errors) >= LEAST
        ]
        middle = base.p50
        if seen:
            at = np.array([hours for hours, _, _ in seen])
            days = np.array([len(lead.errors) / self._per_day for _, lead, _ in seen])
            trust = np.interp(lead_h, at, np.minimum(days / (days + FULL_TRUST_DAYS), TRUST_MAX))
            q = np.array([quantiles for _, _, quantiles in seen])
            below = np.interp(lead_h, at, np.maximum.accumulate(q[:, 1] - q[:, 0])) * scale
            above = np.interp(lead_h, at, np.maximum.accumulate(q[:, 2] - q[:, 1])) * scale
            middle = base.p50 + trust * np.interp(lead_h, at, q[:, 1]) * scale
            low, high = (1.0 - trust) * low + trust * below, (1.0 - trust) * high + trust * above
        factor = np.interp(lead_h, np.array(self.leads_h), np.array([lead.factor for lead in self._leads]))
        return Quantiles(middle - factor * low, middle, middle + factor * high)

    # --- reporting -------------------------------------------------------------------------------

    def lead_day(self, day: int) -> list[int]:
        """Indices of the leads inside lead day 1, 2, ..."""
        return [i for i, h in enumerate(self.leads_h) if 24 * (day - 1) <= h < 24 * day]

    def coverage_pct(self, day: int) -> float | None:
        """Share of truth inside P10..P90 lately at a lead day; None with less than half a day of it."""
        hits = [hit for i in self.lead_day(day) for hit in self._leads[i].inside]
        return round(100.0 * sum(hits) / len(hits), 1) if len(hits) >= self._per_day / 2 else None

    def coverage_by_lead_pct(self) -> dict[float, float]:
        """Share of truth inside P10..P90 lately at each lead [h] that has half a day of it."""
        return {
            hours: round(100.0 * sum(lead.inside) / len(lead.inside), 1)
            for hours, lead in zip(self.leads_h, self._leads, strict=True)
            if len(lead.inside) >= self._per_day / 2
        }

    def correlation(self) -> float | None:
        """Lag-1 correlation of the errors at the middle lead; None with less than a day of them."""
        errors = self._errors(self._leads[len(self._leads) // 2])
        if len(errors) < self._per_day or float(np.std(errors)) < 1e-9:
            return None
        centred = errors - errors.mean()
        value = float(np.sum(centred[1:] * centred[:-1]) / np.sum(centred * centred))
        return round(min(max(value, -0.99), 0.99), 3)

    def take_today(self) -> dict[int, list[Matched]]:
        """Return and clear the matched slots since the last call, by lead day."""
        result: dict[int, list[Matched]] = {}
        for hours, lead in zip(self.leads_h, self._leads, strict=True):
            result.setdefault(int(hours // 24) + 1, []).extend(lead.today)
            lead.today = []
        return result

    def to_json(self) -> dict[str, Any]:
        """Return plain data for the state file."""
        return {
            str(hours): {
                "pending": {
                    str(n): [i.base, i.scale, round(i.p10, 3), round(i.p50, 3), round(i.p90, 3), i.lean]
                    for n, i in lead.pending.items()
                },
                "errors": [[round(e, 4), round(lean, 4)] for e, lean in lead.errors],
                "inside": "".join("1" if hit else "0" for hit in lead.inside),
                "factor": round(lead.factor, 5),
            }
            for hours, lead in zip(self.leads_h, self._leads, strict=True)
        }

    def load_json(self, data: Mapping[str, Any]) -> None:
        """Take plain data of the state file; leads that are no longer kept are dropped.

        Raises:
            ValueError, KeyError, TypeError: The data are damaged.
        """
        for hours, lead in zip(self.leads_h, self._leads, strict=True):
            kept = data.get(str(hours))
            if kept is None:
                continue
            lead.pending = {int(n): Issued(*map(float, row)) for n, row in kept["pending"].items()}
            lead.errors.extend(_pair(e) for e in kept["errors"])
            lead.inside.extend(c == "1" for c in kept["inside"])
            lead.factor = min(max(float(kept["factor"]), FACTOR_MIN), FACTOR_MAX)


def day_metrics(matched: list[Matched]) -> dict[str, float]:
    """Mean absolute error, RMSE, pinball loss, coverage [%] and width P90 - P10 of matched slots."""
    errors = np.array([m.actual - m.issued.p50 for m in matched])
    losses = [pinball(m.actual, m.issued.p10, m.issued.p50, m.issued.p90) for m in matched]
    return {
        "mae": round(float(np.mean(np.abs(errors))), 4),
        "rmse": round(float(np.sqrt(np.mean(errors**2))), 4),
        "pinball": round(float(np.mean(losses)), 4),
        "coverage": round(100.0 * float(np.mean([m.inside for m in matched])), 2),
        "width": round(float(np.mean([m.issued.p90 - m.issued.p10 for m in matched])), 4),
    }


def _pair(kept: Any) -> tuple[float, float]:
    """Read an error; before there were models it was a number alone."""
    if isinstance(kept, int | float):
        return float(kept), 0.0
    error, lean = kept
    return float(error), float(lean)
