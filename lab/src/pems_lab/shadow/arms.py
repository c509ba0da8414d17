"""Days of two arms of the laboratory as pairs: the same gate for people without a history of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_lab.comparison import fair_days, limit_seconds
from pems_lab.paired import DayPair, DayScore
from pems_optimizer.domain.profiles import weights_of

__all__ = ["arm_pairs"]


def arm_pairs(live: Home, one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> list[DayPair]:
    """Return the days of two runs as pairs.

    A day costs its fair cost against the live run's same day (`comparison.fair_days`), the live configuration's price
    of a peak above the month's so far, and its price of discomfort below the band.

    Args:
        live: The live configuration.
        one: Its results by stretch (`arms.run.run_arm`).
        other: The candidate's, of the same stretches, in the live configuration's house (`built`).

    Raises:
        PermanentError: The runs are of different days.
    """
    pairs: list[DayPair] = []
    for mine, theirs in zip(one, other, strict=True):
        if [day["to"] for day in mine["days"]] != [day["to"] for day in theirs["days"]]:
            raise PermanentError("the two runs are of different days", remedy="delete their results and start again")
        scored = [_scores(live, result, mine) for result in (mine, theirs)]
        days = [str(day["to"])[:10] for day in mine["days"]]
        pairs += [DayPair(*row) for row in zip(days, *scored, strict=True)]
    return pairs


def _scores(live: Home, result: Mapping[str, Any], reference: Mapping[str, Any]) -> list[DayScore]:
    weights, peak_w = weights_of(live), 0.0
    priority = sum(room.priority for room in live.rooms.values())
    days, month = result["days"], ""
    broken = {name: s for name, s in limit_seconds(result["truth"]).items() if name != "short_switchings"}
    switchings = sum(result["truth"]["switchings"].values()) / len(days)
    scores = []
    for day, fair_czk in zip(days, fair_days(live, result, reference), strict=True):
        if str(day["to"])[:7] != month:
            month, peak_w = str(day["to"])[:7], 0.0
        highest_w = float(day["peak_import_15min_w"])
        before_w = peak_w if live.grid.peak_is_monthly else 0.0
        peak_w = max(peak_w, highest_w)
        below = float(day["below_k_h_room"])
        cost = fair_czk + weights.peak_czk_kw * max(0.0, highest_w - before_w) / 1000.0
        cost += weights.below_czk_k_h * below * priority
        scores.append(DayScore(cost, below, highest_w, switchings, sum(broken.values()) / len(days)))
    return scores
