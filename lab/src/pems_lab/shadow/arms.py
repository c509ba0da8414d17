"""Days of two arms of the laboratory as pairs: the same gate for people without a history of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_lab.comparison import limit_seconds
from pems_lab.paired import DayPair, DayScore
from pems_optimizer.domain.profiles import weights_of

__all__ = ["arm_pairs"]


def arm_pairs(live: Home, one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> list[DayPair]:
    """Return the days of two runs as pairs.

    A day costs what was paid at the meter, wear, the live configuration's price of a peak above the month's so far, and
    its price of discomfort below the band; what rooms and battery hold more at its end is valued at the live run's mean
    price of import.

    Args:
        live: The live configuration.
        one: Its results by stretch (`arm_run.run_arm`).
        other: The candidate's, of the same stretches.

    Raises:
        PermanentError: The runs are of different days.
    """
    pairs: list[DayPair] = []
    for mine, theirs in zip(one, other, strict=True):
        truth = mine["truth"]
        price = float(truth["bought_czk"]) / max(float(truth["import_wh"]), 1.0)
        if [day["to"] for day in mine["days"]] != [day["to"] for day in theirs["days"]]:
            raise PermanentError("the two runs are of different days", remedy="delete their results and start again")
        scored = [_scores(live, result, price) for result in (mine, theirs)]
        days = [str(day["to"])[:10] for day in mine["days"]]
        pairs += [DayPair(*row) for row in zip(days, *scored, strict=True)]
    return pairs


def _scores(live: Home, result: Mapping[str, Any], price_czk_wh: float) -> list[DayScore]:
    weights, peak_w = weights_of(live), 0.0
    priority = sum(room.priority for room in live.rooms.values())
    days, month = result["days"], ""
    broken = {name: s for name, s in limit_seconds(result["truth"]).items() if name != "short_switchings"}
    switchings = sum(result["truth"]["switchings"].values()) / len(days)
    scores = []
    for day in days:
        if str(day["to"])[:7] != month:
            month, peak_w = str(day["to"])[:7], 0.0
        highest_w = float(day["peak_import_15min_w"])
        before_w = peak_w if live.grid.peak_is_monthly else 0.0
        peak_w = max(peak_w, highest_w)
        stored_wh = float(day["rooms_stored_wh"])
        if live.battery is not None:
            stored_wh += float(day.get("battery_stored_wh", 0.0)) * live.battery.leg_efficiency
        below = float(day["below_k_h_room"])
        cost = float(day["energy_cost_czk"]) + float(day["wear_czk"]) - stored_wh * price_czk_wh
        cost += weights.peak_czk_kw * max(0.0, highest_w - before_w) / 1000.0
        cost += weights.below_czk_k_h * below * priority
        scores.append(DayScore(cost, below, highest_w, switchings, sum(broken.values()) / len(days)))
    return scores
