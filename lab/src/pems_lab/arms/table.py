"""The table of a comparison: every arm against the owner's old rules and against perfect foresight."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import numpy as np

from pems_common.home import Home
from pems_lab.arms.run import ARMS, Arm
from pems_lab.comparison import comfort_below_k_h, fair_cost, fair_days, limit_seconds
from pems_lab.paired import share_interval

__all__ = ["ArmRow", "Habits", "arm_rows", "gained", "habits", "joined", "readable"]

_REFERENCE: Arm = "b1"
_BEST: Arm = "perfect"


@dataclass(frozen=True)
class ArmRow:
    """An arm's figures over the days that count.

    Attributes:
        arm: Who ran the house.
        cost_czk_day: Paid at the meter.
        wear_czk_day: Of the battery.
        fair_czk_day: Both, with what is stored at the end valued, at B1's mean temperature (`comparison.fair_cost`).
        saved_pct: Of B1's fair cost; None without B1.
        of_perfect_pct: Of what perfect foresight saves against B1; None without both, or where that saves nothing.
        import_kwh_day, export_kwh_day: At the meter.
        self_consumption_pct: PV used or stored, of PV that could have been made; None without sun.
        peak_kw: Mean over the months of the highest 15-min import.
        below_k_h_room_day: Below the comfort band.
        inside_pct, inside_least_pct: Share of room-time inside the band widened by 0.5 C; of all rooms, of the worst.
        inside_heating_pct: The same without the time in which rooms were above it, unheated for a day.
        mean_c: Mean temperature of the house.
        cycles_day: Of the battery.
        switchings_room_day: Of relays.
        mpc_pct: Share of ticks of devices that followed a plan; None without PEMS.
        plans, kept, rule_plans: Plans made, those among them that kept the relays of the one before, the rules' own.
        plan_s: Median wall time of making a plan; the only figure that depends on the machine.
        limits: What was beyond limits, with seconds.
    """

    arm: Arm
    cost_czk_day: float
    wear_czk_day: float
    fair_czk_day: float
    saved_pct: float | None
    of_perfect_pct: float | None
    import_kwh_day: float
    export_kwh_day: float
    self_consumption_pct: float | None
    peak_kw: float
    below_k_h_room_day: float
    inside_pct: float
    inside_least_pct: float
    inside_heating_pct: float
    mean_c: float
    cycles_day: float
    switchings_room_day: float
    mpc_pct: float | None
    plans: int
    kept: int
    rule_plans: int
    plan_s: float | None
    limits: Mapping[str, float]

    def told(self) -> dict[str, Any]:
        """As a JSON line."""
        return {"case": "arm", **asdict(self)}


@dataclass(frozen=True)
class Habits:
    """What the thermostats did, to be held against what was seen in the first house.

    Attributes:
        switchings: A day, of the least and the most switched room.
        peaks_w: Highest heating of a day (15-min mean): the least and the greatest day.
        hours: How often a local hour held it, the most frequent first.
    """

    switchings: tuple[float, float]
    peaks_w: tuple[float, float]
    hours: Mapping[str, int]


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join an arm's results over stretches that follow each other into one result."""
    if len(parts) == 1:
        return dict(parts[0])
    truths = [part["truth"] for part in parts]
    hours = [truth["elapsed_h"] for truth in truths]
    weighed = {"mean_house_temperature_c", "inside_wider_band_share", "sun_warmed_share", "loss_w_k"}
    truth: dict[str, Any] = {}
    for name, value in truths[0].items():
        values = [each[name] for each in truths]
        if name == "self_consumption":
            continue
        if name in weighed:
            truth[name] = float(np.average(values, weights=hours))
        elif name == "inside_wider_band_least":
            truth[name] = min(values)
        elif name == "monthly_peaks_w":
            truth[name] = _most(values)
        elif isinstance(value, Mapping):
            truth[name] = {key: sum(each.get(key, 0.0) for each in values) for key in _keys(values)}
        else:
            truth[name] = sum(values)
    possible = truth["pv_possible_wh"]
    truth["self_consumption"] = truth["pv_used_wh"] / possible if possible > 0.0 else None
    plans = {name: sum(part["plans"][name] for part in parts) for name in parts[0]["plans"]}
    medians = [part["took"]["plan_s_median"] for part in parts if part["took"]["plan_s_median"] is not None]
    modes = {
        mode: float(np.average([part["modes"].get(mode, 0.0) for part in parts], weights=hours))
        for mode in _keys([part["modes"] for part in parts])
    }
    return {
        "arm": parts[0]["arm"],
        "truth": truth,
        "days": [day for part in parts for day in part["days"]],
        "modes": modes,
        "plans": plans,
        "balance": {"worst": max(part["balance"]["worst"] for part in parts)},
        "took": {
            "wall_s": sum(part["took"]["wall_s"] for part in parts),
            "plan_s_median": float(np.median(medians)) if medians else None,
        },
    }


def _keys(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _most(mappings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: max(each.get(key, 0.0) for each in mappings) for key in _keys(mappings)}


def arm_rows(home: Home, results: Mapping[Arm, Mapping[str, Any]]) -> list[ArmRow]:
    """Return the table of one case, in the order of `ARMS`.

    Args:
        home: The site.
        results: Of each arm of the case (`arm_run.run_arm`, or `joined`); without B1 the first of them stands in as
            the reference of fair costs.
    """
    arms = [arm for arm in ARMS if arm in results]
    reference = results[_REFERENCE if _REFERENCE in results else arms[0]]["truth"]
    fair = {arm: fair_cost(home, results[arm]["truth"], reference).total for arm in arms}
    saved = {arm: fair[_REFERENCE] - fair[arm] for arm in arms} if _REFERENCE in results else {}
    best = saved.get(_BEST, 0.0)
    return [
        _row(
            arm,
            results[arm],
            fair[arm],
            100.0 * saved[arm] / fair[_REFERENCE] if saved and fair[_REFERENCE] > 0.0 else None,
            100.0 * saved[arm] / best if best > 0.0 else None,
        )
        for arm in arms
    ]


def _row(
    arm: Arm, result: Mapping[str, Any], fair_czk: float, saved_pct: float | None, of_perfect_pct: float | None
) -> ArmRow:
    truth, plans, modes = result["truth"], result["plans"], result["modes"]
    days = truth["elapsed_h"] / 24.0
    used, inside = truth["self_consumption"], truth["inside_wider_band_share"]
    limits = limit_seconds(truth)
    if not modes:  # the least on and off times are PEMS's own promise
        limits.pop("short_switchings", None)
    return ArmRow(
        arm=arm,
        cost_czk_day=round(truth["energy_cost_czk"] / days, 2),
        wear_czk_day=round(truth["wear_czk"] / days, 2),
        fair_czk_day=round(fair_czk / days, 2),
        saved_pct=_rounded(saved_pct),
        of_perfect_pct=_rounded(of_perfect_pct),
        import_kwh_day=round(truth["import_wh"] / days / 1000.0, 2),
        export_kwh_day=round(truth["export_wh"] / days / 1000.0, 2),
        self_consumption_pct=_rounded(None if used is None else 100.0 * used),
        peak_kw=round(mean(truth["monthly_peaks_w"].values()) / 1000.0, 2),
        below_k_h_room_day=round(comfort_below_k_h(truth) / days, 3),
        inside_pct=round(100.0 * inside, 2),
        inside_least_pct=round(100.0 * truth["inside_wider_band_least"], 2),
        inside_heating_pct=round(100.0 * inside / max(1.0 - truth["sun_warmed_share"], inside, 1e-9), 2),
        mean_c=round(truth["mean_house_temperature_c"], 2),
        cycles_day=round(truth["cycles"] / days, 2),
        switchings_room_day=round(mean(truth["switchings"].values()) / days, 1),
        mpc_pct=_rounded(100.0 * modes.get("mpc", 0.0)) if modes else None,
        plans=plans["made"],
        kept=plans["kept"],
        rule_plans=plans["rules"],
        plan_s=_rounded(result["took"]["plan_s_median"]),
        limits=limits,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def habits(result: Mapping[str, Any]) -> Habits:
    """Return what the thermostats of an arm did."""
    truth = result["truth"]
    days = truth["elapsed_h"] / 24.0
    switchings = [count / days for count in truth["switchings"].values()]
    peaks = list(truth["heating_peaks_w"].values()) or [0.0]
    hours = sorted(truth["heating_peak_hours"].items(), key=lambda item: -item[1])
    return Habits((round(min(switchings), 1), round(max(switchings), 1)), (min(peaks), max(peaks)), dict(hours))


def gained(
    home: Home, better: Mapping[str, Any], than: Mapping[str, Any], *, seed: int = 0
) -> tuple[float, float, float] | None:
    """Return what one arm costs less than another [% of the other], with a 90 % interval; None below two blocks.

    Of the fair cost of each day against the other's (`comparison.fair_days`). Of the interval see `paired`.
    """
    found = share_interval(fair_days(home, better, than), fair_days(home, than, than), seed=seed)
    return None if found is None else (found.mean, found.low, found.high)


_COLUMNS = (
    ("arm", "arm"),
    ("cost", "cost_czk_day"),
    ("wear", "wear_czk_day"),
    ("fair", "fair_czk_day"),
    ("saved %", "saved_pct"),
    ("of F %", "of_perfect_pct"),
    ("import", "import_kwh_day"),
    ("export", "export_kwh_day"),
    ("self %", "self_consumption_pct"),
    ("peak kW", "peak_kw"),
    ("K h", "below_k_h_room_day"),
    ("inside %", "inside_pct"),
    ("mean C", "mean_c"),
    ("cycles", "cycles_day"),
    ("switch", "switchings_room_day"),
    ("mpc %", "mpc_pct"),
    ("plans", "plans"),
    ("kept", "kept"),
    ("plan s", "plan_s"),
)


def readable(rows: Sequence[ArmRow]) -> str:
    """Return the table as text: CZK, kWh and cycles a day, K h below the band and switchings a room and day."""
    cells = [[head for head, _ in _COLUMNS]]
    for row in rows:
        values = [getattr(row, name) for _, name in _COLUMNS]
        cells.append(["-" if value is None else str(value) for value in values])
    widths = [max(len(line[k]) for line in cells) for k in range(len(_COLUMNS))]
    lines = [
        "  ".join(
            text.ljust(width) if k == 0 else text.rjust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    broken = [f"{row.arm}: beyond limits {dict(row.limits)}" for row in rows if row.limits]
    return "\n".join([*lines, *broken])
