"""Comparing two runs of one world fairly: at equal mean temperature, with what is stored at the end valued."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pems_common.home import Home

__all__ = ["FairCost", "comfort_below_k_h", "fair_cost", "fair_days", "limit_seconds"]


@dataclass(frozen=True)
class FairCost:
    """Cost of a run and what makes it comparable [CZK].

    Attributes:
        energy: Paid at the meter.
        wear: Of the battery.
        stored: Value of heat, battery, car and hot water at the end, beyond the reference run's; subtracted.
        warmth: Value of the warmth enjoyed beyond the reference run's mean temperature; subtracted.
    """

    energy: float
    wear: float
    stored: float
    warmth: float

    @property
    def total(self) -> float:
        """Comparable cost."""
        return self.energy + self.wear - self.stored - self.warmth


def _price_czk_wh(reference: Mapping[str, Any]) -> float:
    return float(reference["bought_czk"]) / max(float(reference["import_wh"]), 1.0)


def fair_cost(
    home: Home, truth: Mapping[str, Any], reference: Mapping[str, Any], *, price_czk_wh: float | None = None
) -> FairCost:
    """Return a run's cost, made comparable with a reference run of the same world and length.

    Every stored kWh is valued at the reference run's mean price of import, or at `price_czk_wh` where given; heat made
    by direct heating one to one, hot water by the heat pump's COP, the battery and the car by their one-way efficiency.
    Warmth: the house's mean temperature above the reference's, times the house's measured loss per kelvin.
    """
    price = _price_czk_wh(reference) if price_czk_wh is None else price_czk_wh

    def more(name: str) -> float:
        return float(truth.get(name) or 0.0) - float(reference.get(name) or 0.0)

    stored_wh = more("rooms_stored_wh")
    if home.battery is not None:
        stored_wh += more("battery_stored_wh") * home.battery.leg_efficiency
    if home.ev is not None:
        stored_wh += more("ev_stored_wh") / home.ev.efficiency
    if home.water is not None:
        stored_wh += more("water_stored_wh") / home.water.cop
    warmer_k = more("mean_house_temperature_c")
    warmth_wh = warmer_k * float(reference["loss_w_k"]) * float(reference["elapsed_h"])
    return FairCost(
        energy=float(truth["energy_cost_czk"]),
        wear=float(truth.get("wear_czk") or 0.0),
        stored=stored_wh * price,
        warmth=warmth_wh * price,
    )


def fair_days(home: Home, result: Mapping[str, Any], reference: Mapping[str, Any]) -> list[float]:
    """Return the fair cost of each day of a run against the same day of a reference run [CZK]; they sum to the run's.

    Args:
        home: The site whose stores are valued.
        result: Of the run (`arms.run.run_arm`).
        reference: Of the reference run, whose mean price of import counts on every day.
    """
    price = _price_czk_wh(reference["truth"])
    days = zip(result["days"], reference["days"], strict=True)
    return [fair_cost(home, mine, theirs, price_czk_wh=price).total for mine, theirs in days]


def comfort_below_k_h(truth: Mapping[str, Any]) -> float:
    """Return the discomfort below the band, mean over rooms [K h]."""
    rooms = truth["comfort_below_k_h"]
    return float(sum(rooms.values())) / max(len(rooms), 1)


def limit_seconds(truth: Mapping[str, Any]) -> dict[str, float]:
    """Return the limits that were broken, with seconds (and premature switchings).

    A minute a little above the breaker's rating is not among them: what the family switches on between two ticks is
    not PEMS's to stop, and a breaker carries 1.13 times its rating for an hour. More than that counts, and so does
    more than 0.5 % of the time above the rating. A room above its upper limit counts only while it is heated: what
    the sun and the oven do is not PEMS's doing.
    """
    broken = {name: float(value) for name, value in truth["violations_s"].items() if value > 0}
    broken.pop("room_above_max", None)
    if broken.get("import_above_breaker", 0.0) <= 0.005 * 3600.0 * float(truth["elapsed_h"]):
        broken.pop("import_above_breaker", None)
    if truth["short_switchings"]:
        broken["short_switchings"] = float(truth["short_switchings"])
    return broken
