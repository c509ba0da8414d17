"""What a finished slot teaches: history, matched errors, and the scores of a finished day."""

from collections.abc import Mapping

import numpy as np

from pems_common.home import Home
from pems_common.messages import Prices, Score
from pems_forecaster.domain.contest import DayQuality
from pems_forecaster.domain.forecast import KINDS, Contests
from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Ints, slot_no
from pems_forecaster.domain.residuals import Matched, day_metrics
from pems_forecaster.domain.slot_history import LIMITED_SHARE, SlotHistory

__all__ = ["day_scores", "learn_prices", "learn_slot"]

_SERIES = {"pv": "pv_w", "load": "load_w", "temperature": "outdoor_c", "price": "spot_eur_mwh"}
_DAYLIGHT_SHARE = 0.03


def learn_prices(history: SlotHistory, prices: Prices) -> None:
    """Keep the released spot prices of a message [EUR/MWh]."""
    first, until = slot_no(prices.spot_eur_mwh.start), slot_no(prices.known_until)
    per_value = max(1, prices.spot_eur_mwh.step_s // 900)
    for i, value in enumerate(prices.spot_eur_mwh.values):
        for slot in range(first + i * per_value, first + (i + 1) * per_value):
            if slot < until:
                history.put("spot_eur_mwh", slot, value)


def learn_slot(home: Home, history: SlotHistory, contests: Contests, slot: int, means: Mapping[str, float]) -> None:
    """Take the means of a finished slot: keep them, and compare them with what was forecast.

    PV that was held back does not tell what the sun could have given: it trains nothing.
    """
    for name, value in means.items():
        history.put(name, slot, value)
    pv_w = means.get("pv_w")
    limited = means.get("pv_limited", 0.0) > LIMITED_SHARE
    snow = (history.get("pv_snow", slot, before=slot + 1) or 0.0) > 0.0
    contests.of("pv").match(slot, pv_w, train=not limited and not snow)
    contests.of("load").match(slot, means.get("load_w"))
    contests.of("temperature").match(slot, means.get("outdoor_c"))
    contests.of("price").match(slot, history.get("spot_eur_mwh", slot, before=slot + 1))
    clear_w = history.get("pv_clear_w", slot, before=slot + 1) or 0.0
    daylight = clear_w > _DAYLIGHT_SHARE * home.pv.inverter_ac_limit_w
    contests.consensus.pv.match(slot, pv_w if daylight and not limited else None, clear_w)
    contests.consensus.temperature.match(slot, means.get("outdoor_c"))
    for kind in KINDS:
        contests.of(kind).learn(slot + 1, lambda slots, kind=kind: _truth(history, kind, slots, slot + 1))  # type: ignore[misc]


def _truth(history: SlotHistory, kind: str, slots: Ints, before: int) -> Floats:
    """What was measured of slots, NaN where unknown or held back."""
    if kind == "pv":
        return history.free_pv_w(slots, before=before)
    return history.at(_SERIES[kind], slots, before=before)


def day_scores(history: SlotHistory, contests: Contests) -> list[Score]:
    """Score the slots matched since the last call, per kind, with persistence (same slot some days ago) beside it."""
    scores = []
    for kind in KINDS:
        metrics: dict[str, float] = {}
        for day, matched in sorted(contests.of(kind).close_day().items()):
            if not matched:
                continue
            metrics |= {f"{name}_day{day}": value for name, value in day_metrics(matched).items()}
            baseline = _persistence_mae(history, _SERIES[kind], matched, day)
            if baseline is not None:
                metrics[f"persistence_mae_day{day}"] = round(baseline, 4)
                if baseline > 0.0:
                    metrics[f"skill_day{day}"] = round(1.0 - metrics[f"mae_day{day}"] / baseline, 4)
        if "skill_day1" in metrics:
            contests.of(kind).note_quality(DayQuality(metrics["skill_day1"], metrics["mae_day1"]))
        if metrics:
            scores.append(
                Score(
                    kind=f"forecast.{kind}",
                    window="1d",
                    metrics=metrics,
                    model=contests.of(kind).active,
                    baseline="persistence",
                )
            )
    return scores


def _persistence_mae(history: SlotHistory, series: str, matched: list[Matched], day: int) -> float | None:
    slots = np.array([m.slot for m in matched], dtype=np.int64)
    actual = np.array([m.actual for m in matched])
    before = history.at(series, slots - day * SLOTS_PER_DAY, before=int(slots.max()) + 1)
    known = np.isfinite(before)
    return float(np.mean(np.abs(actual[known] - before[known]))) if known.sum() >= 0.8 * len(matched) else None
