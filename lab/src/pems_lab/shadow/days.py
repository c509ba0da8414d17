"""A second configuration beside the live one: both live through the same days in the same simulator, and are compared.

Each day begins anew with the measured state, so a day's score knows nothing of the day before, and what a configuration
leaves behind (warm slabs, a full battery) is valued as docs/laboratory.md values it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import Score
from pems_lab.comparison import fair_cost
from pems_lab.paired import DayPair, DayScore, Verdict
from pems_lab.shadow.twin import LivedDay, Replan, live_through
from pems_lab.shadow.twin_day import DayTruth
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.profiles import weights_of

__all__ = [
    "DECIDED",
    "ShadowDay",
    "changes",
    "refuse_other_house",
    "score",
    "shadow_pair",
    "verdict_score",
    "with_strategy",
]

DECIDED = ("optimization", "comfort", "control")
"""Sections of home.yaml that say what PEMS decides. Beside them a candidate may change rooms' targets and priority, and
what a battery's wear and reserve and a peak are worth."""

_DECIDED_OF_A_ROOM = frozenset({"day_c", "night_c", "priority"})
_DECIDED_OF_THE_BATTERY = frozenset({"reserve_pct", "reserve_czk_kwh_h", "wear_czk_kwh"})
_DECIDED_OF_THE_GRID = frozenset({"peak_czk_kw", "peak_is_monthly"})


@dataclass(frozen=True)
class ShadowDay:
    """A day that has been.

    Attributes:
        truth: What it brought.
        replans: What was known at each plan.
        site: The part of the house that its history knows; None where it knows all.
    """

    truth: DayTruth
    replans: tuple[Replan, ...]
    site: Home | None = None

    @property
    def name(self) -> str:
        """Its local date, `YYYY-MM-DD`."""
        return self.truth.day.isoformat()


def _plain(home: Home) -> dict[str, Any]:
    return home.model_dump(mode="json")


def changes(live: Home, candidate: Home) -> dict[str, tuple[Any, Any]]:
    """Return what a candidate has otherwise: (live, candidate) by dotted path."""
    found: dict[str, tuple[Any, Any]] = {}
    _compare(_plain(live), _plain(candidate), "", found)
    return found


def _compare(one: Any, other: Any, path: str, found: dict[str, tuple[Any, Any]]) -> None:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            _compare(one.get(key), other.get(key), f"{path}.{key}" if path else key, found)
    elif one != other:
        found[path] = (one, other)


def _is_decided(path: str) -> bool:
    section, _, rest = path.partition(".")
    if section in DECIDED:
        return True
    field = rest.rpartition(".")[2]
    if section == "rooms":
        return field in _DECIDED_OF_A_ROOM and rest.count(".") == 1
    return (section == "battery" and rest in _DECIDED_OF_THE_BATTERY) or (
        section == "grid" and rest in _DECIDED_OF_THE_GRID
    )


def refuse_other_house(live: Home, candidate: Home) -> None:
    """Refuse a candidate that describes another house.

    Raises:
        PermanentError: It does; or it is the live configuration.
    """
    found = changes(live, candidate)
    if other := [path for path in found if not _is_decided(path)]:
        raise PermanentError(
            f"the candidate is another house: {', '.join(other[:5])}{' and more' if len(other) > 5 else ''}",
            remedy=f"change only what PEMS decides: {', '.join(DECIDED)}, rooms' day_c, night_c and priority, "
            "battery.reserve_pct, reserve_czk_kwh_h and wear_czk_kwh, grid.peak_czk_kw and peak_is_monthly",
        )
    if not found:
        raise PermanentError("the candidate is the live configuration", remedy="change something in it")


def _told(home: Home, day: LivedDay, hours: float) -> dict[str, Any]:
    """A day as the house tells a run (see `comparison.fair_cost`)."""
    account, battery = day.account, home.battery
    loss = np.array(day.loss_w_k)
    mean_c = account.air_k_h / hours
    return {
        "elapsed_h": hours,
        "energy_cost_czk": account.cost_czk,
        "bought_czk": account.bought_czk,
        "import_wh": account.wh["import"],
        "wear_czk": 0.0 if battery is None else account.wh["battery_out"] / 1000.0 * battery.wear_czk_kwh,
        "loss_w_k": float(loss.sum()),
        # Weighed by what a kelvin of a room costs.
        "mean_house_temperature_c": float(mean_c @ loss / loss.sum()) if len(loss) else 0.0,
        **{f"{name}_stored_wh": wh for name, wh in day.stored_wh.items()},
    }


def _discomfort_czk(site: Home, day: LivedDay) -> float:
    """Money of what was too cold or too warm, and of a car that left with too little."""
    weights, account = weights_of(site), day.account
    priority = np.array([room.priority for room in site.rooms.values()])
    rooms = weights.below_czk_k_h * account.below_k_h @ priority + weights.above_czk_k_h * account.above_k_h @ priority
    water = 0.0 if site.water is None else site.water.below_czk_k_h * account.cold_water_k_h
    car = 0.0 if site.ev is None else site.ev.short_czk_kwh * account.ev_missed_wh / 1000.0
    return float(rooms) + water + car


def score(site: Home, truth: DayTruth, live: LivedDay, mine: LivedDay) -> DayScore:
    """Score a day by the live configuration's prices, comparable with how the live configuration lived it.

    Args:
        site: The live configuration.
        truth: The day.
        live: As it lived it.
        mine: As it is to be scored; the live one itself for the live one's score.
    """
    hours, account = truth.slots / 4.0, mine.account
    fair = fair_cost(site, _told(site, mine, hours), _told(site, live, hours)).total
    peak_w = 4.0 * float(account.slot_import_wh.max(initial=0.0))
    before_w = truth.peak_so_far_w if site.grid.peak_is_monthly else 0.0
    peak_czk = weights_of(site).peak_czk_kw * max(0.0, peak_w - before_w) / 1000.0
    below = float(account.below_k_h.mean()) if len(account.below_k_h) else 0.0
    cost = fair + peak_czk + _discomfort_czk(site, mine)
    return DayScore(cost, below, peak_w, float(account.switchings.sum()), account.broken_s)


def shadow_pair(
    live: Home,
    candidate: Home,
    day: ShadowDay,
    *,
    tick: timedelta = timedelta(minutes=1),
    effort: Effort | None = None,
) -> DayPair:
    """Let both configurations live through a day (`refuse_other_house` says which may be compared).

    Args:
        live: The live configuration: the house is its, and its prices and bands count for both.
        candidate: The other one.
        day: The day.
        tick: Of the controller.
        effort: How hard searches try; the usual where None.

    Raises:
        PermanentError: The day cannot be lived again.
    """
    if not day.replans:
        raise PermanentError(f"{day.name}: no plan's inputs are kept", remedy="leave the day out")
    one, other = (
        live_through(home, day.truth, day.replans, site=live, tick=tick, effort=effort) for home in (live, candidate)
    )
    for lived in (one, other):
        if lived.plans == 0:
            raise PermanentError(
                f"{day.name}: no plan could be made", remedy="leave the day out: forecasts are missing"
            )
    return DayPair(day.name, score(live, day.truth, one, one), score(live, day.truth, one, other))


def with_strategy(home: Home, strategy: str) -> Home:
    """Return a home that plans with a strategy (`point`, `robust` or `scenarios`), whether it pays or not."""
    uncertainty = home.optimization.uncertainty.model_dump() | {"strategy": strategy, "only_if_it_pays": False}
    if strategy != "scenarios":
        uncertainty["cvar_share"] = 0.0
    optimization = home.optimization.model_dump() | {"uncertainty": uncertainty}
    return home.model_copy(update={"optimization": type(home.optimization).model_validate(optimization)})


def verdict_score(verdict: Verdict, window: str, live: Home, candidate: Home) -> Score:
    """Return a verdict as a score of kind `shadow`, for the page and whoever asks.

    Its metrics: `decision` (1 promote, 0 not yet, -1 reject), `days`, `gain_czk_day` with `gain_low_czk_day` and
    `gain_high_czk_day` once there are enough days, `below_k_h`, `peak_pct`, `switchings`.

    Args:
        verdict: What was found.
        window: First and last day, `2025-01-06/2025-02-02`.
        live: The live configuration; its hash is the score's `baseline`.
        candidate: The other one; its hash is the score's `model`.
    """
    metrics = {
        "decision": {"promote": 1.0, "not_yet": 0.0, "reject": -1.0}[verdict.decision],
        "days": float(verdict.days),
        "gain_czk_day": verdict.mean_czk_day,
        "below_k_h": verdict.below_k_h,
        "peak_pct": verdict.peak_pct,
        "switchings": verdict.switchings,
    }
    if verdict.gain_czk_day is not None:
        metrics |= {"gain_low_czk_day": verdict.gain_czk_day.low, "gain_high_czk_day": verdict.gain_czk_day.high}
    rounded = {name: round(value, 4) for name, value in metrics.items()}
    return Score(
        kind="shadow", window=window, metrics=rounded, model=candidate.config_hash(), baseline=live.config_hash()
    )
