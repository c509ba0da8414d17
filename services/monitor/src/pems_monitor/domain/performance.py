"""Performance of a stretch of time: forecasts, plans, control, energy, money and comfort in one record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import sqrt
from typing import Any

from pems_common.home import Home
from pems_monitor.domain.performance_tally import Tally
from pems_monitor.domain.performance_told import LEADS_H

__all__ = ["DayRecord", "ForecastError", "HourRecord", "PerformanceMetrics", "heating_degree_days", "metrics_of"]

_WORTH_A_RATE_WH = 200.0
_HEATING_LIMIT_C, _DEGREE_DAY_BASE_C = 15.0, 18.0


@dataclass(frozen=True)
class ForecastError:
    """How far off a forecast was that was known so long before; None where nothing was judged.

    Attributes:
        mae: Mean absolute error of the median.
        rmse: Root mean square error; None where it is not kept.
        bias: Mean of the median less the truth; None where it is not kept.
        inside: Share of truth between P10 and P90, 0..1; None where there is no band.
        judged: Share of the slots that could be judged, 0..1.
    """

    mae: float | None
    rmse: float | None
    bias: float | None
    inside: float | None
    judged: float


@dataclass(frozen=True)
class PerformanceMetrics:
    """Figures of an hour, a day or a longer time; None where unknown.

    Attributes:
        known: Share of the slots in which PV, load and grid were measured, 0..1.
        priced: Share of the slots of which the cost is known, 0..1.
        pv_prediction: Error of PV forecasts by lead, `24h` and `6h` [W]; slots with PV held back are left out.
        load_prediction: Of the load without controlled loads, by lead [W].
        thermal_prediction: Of room temperatures that plans foresaw, by lead [C], where they were followed.
        optimization_solve_time_s: Mean time that a plan was solved for [s].
        optimization_solve_time_max_s: The longest [s].
        plans: Plans made.
        planless_share: Share of the slots without a plan of the optimizer younger than 2 h, 0..1.
        foreseen_savings_czk_day: What plans expected to save against the rules, per day [CZK]: foreseen, not measured.
        self_consumption_rate: PV that was not exported over PV made, 0..1; None below 0.2 kWh.
        self_consumption_possible: The same over PV that could have been made, where that is known, 0..1.
        self_sufficiency: Share of the load that was not imported, 0..1.
        pv_held_back_share: Share of the slots in which PV may have been held back, 0..1.
        peak_import_w: Highest 15-min mean of import.
        control_loop_uptime: Share of the watched time with a status of the controller, 0..1.
        mpc_share: Share of device time in `mpc`, of all live devices, 0..1.
        mode_switches: Changes of mode, of all devices.
        safety_violations: Times that a hard limit began to be broken.
        violated_s: Time with any of them broken [s].
        total_energy_cost_czk: Import at the buying price less export at the selling price, of the priced slots.
        buy_czk_kwh: Mean price of import; `sell_czk_kwh` of export: as bought and sold, weighted by energy.
        battery_cycles: Energy taken out over capacity.
        battery_gain_czk: By what the battery made the meter's cost smaller, its losses counted, its wear not.
        heating_efficiency: Heat given to rooms not above their comfort band over all heat given, 0..1.
        comfort_k_h: Degree hours below the comfort band, of all rooms.
        comfort_inside: Share of room time inside the band, 0..1.
        outdoor_temperature_c: Mean.
    """

    known: float
    priced: float
    pv_prediction: dict[str, ForecastError]
    load_prediction: dict[str, ForecastError]
    thermal_prediction: dict[str, ForecastError]
    optimization_solve_time_s: float | None
    optimization_solve_time_max_s: float | None
    plans: int
    planless_share: float | None
    foreseen_savings_czk_day: float | None
    self_consumption_rate: float | None
    self_consumption_possible: float | None
    self_sufficiency: float | None
    pv_held_back_share: float | None
    peak_import_w: float | None
    control_loop_uptime: float | None
    mpc_share: float | None
    mode_switches: int | None
    safety_violations: int | None
    violated_s: float | None
    total_energy_cost_czk: float | None
    buy_czk_kwh: float | None
    sell_czk_kwh: float | None
    pv_generation_wh: float | None
    load_wh: float | None
    import_wh: float | None
    export_wh: float | None
    heating_wh: float | None
    battery_discharge_wh: float | None
    battery_cycles: float | None
    battery_gain_czk: float | None
    heating_efficiency: float | None
    comfort_k_h: float | None
    comfort_inside: float | None
    outdoor_temperature_c: float | None


@dataclass(frozen=True)
class HourRecord:
    """One hour of a day."""

    start: datetime
    tally: Tally

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"start": self.start.isoformat(), **self.tally.to_json()}


@dataclass(frozen=True)
class DayRecord:
    """One local day: 23, 24 or 25 hours.

    Attributes:
        tally: Of the whole day, with its rooms.
        complete: Whether the day had ended when it was counted.
        hours: In order, without rooms; empty where only the day was asked for.
    """

    day: date
    tally: Tally
    complete: bool
    hours: tuple[HourRecord, ...] = ()

    @classmethod
    def of_hours(cls, day: date, hours: Sequence[HourRecord], *, complete: bool) -> "DayRecord":
        """Add up the hours of a day."""
        slim = tuple(HourRecord(hour.start, hour.tally.without("room")) for hour in hours)
        return cls(day, Tally.total(hour.tally for hour in hours), complete, slim)

    def to_json(self) -> dict[str, Any]:
        """Plain data of the day to keep, without its hours."""
        return {"day": self.day.isoformat(), "complete": self.complete, **self.tally.to_json()}

    @classmethod
    def from_json(cls, data: Any, hours: Any = ()) -> "DayRecord":
        """Read what `to_json` gave, of the day and of each of its hours.

        Raises:
            ValueError: It is malformed.
        """
        try:
            read = tuple(HourRecord(datetime.fromisoformat(h["start"]), Tally.from_json(h)) for h in hours)
            return cls(date.fromisoformat(data["day"]), Tally.from_json(data), bool(data["complete"]), read)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no record of a day: {error}") from error


def heating_degree_days(mean_c: float | None) -> float | None:
    """Heating degree days of a day [K d]: 18 C less the day's mean outdoors, 0 on days warmer than 15 C.

    Eurostat's definition (Energy statistics, cooling and heating degree days, nrg_chdd).
    """
    if mean_c is None:
        return None
    return _DEGREE_DAY_BASE_C - mean_c if mean_c <= _HEATING_LIMIT_C else 0.0


def metrics_of(tally: Tally, home: Home) -> PerformanceMetrics:
    """Return the figures that follow from sums and peaks."""
    made_wh, possible_wh = tally.get("pv_metered_wh"), tally.get("pv_possible_wh")
    load_wh = _sum(tally, "load_wh")
    discharge_wh = _sum(tally, "discharge_wh") if home.battery else None
    switches, violations = _sum(tally, "switches"), _sum(tally, "violations")
    bought_czk = _sum(tally, "bought_czk")
    imported = tally.ratio("load_imported_wh", "load_metered_wh")
    return PerformanceMetrics(
        known=tally.ratio("known_slots", "slots") or 0.0,
        priced=tally.ratio("priced_slots", "slots") or 0.0,
        pv_prediction=_errors(tally, "pv", "w"),
        load_prediction=_errors(tally, "load", "w"),
        thermal_prediction=_errors(tally, "thermal", "c", each=max(1, len(home.rooms))),
        optimization_solve_time_s=tally.ratio("solve_s", "plans"),
        optimization_solve_time_max_s=tally.peaks.get("solve_s"),
        plans=int(tally.get("plans")),
        planless_share=tally.ratio("planless_slots", "plan_slots"),
        foreseen_savings_czk_day=tally.ratio("foreseen_saving_czk_day", "foreseen_n"),
        self_consumption_rate=tally.ratio("pv_used_wh", "pv_metered_wh") if made_wh >= _WORTH_A_RATE_WH else None,
        self_consumption_possible=(
            tally.ratio("pv_possible_used_wh", "pv_possible_wh") if possible_wh >= _WORTH_A_RATE_WH else None
        ),
        self_sufficiency=None if imported is None else 1 - imported,
        pv_held_back_share=tally.ratio("held_back_slots", "slots") if "held_back_slots" in tally.sums else None,
        peak_import_w=tally.peaks.get("import_w"),
        control_loop_uptime=tally.ratio("up_s", "watched_s"),
        mpc_share=tally.ratio("mpc_s", "live_s"),
        mode_switches=None if switches is None else int(switches),
        safety_violations=None if violations is None else int(violations),
        violated_s=_sum(tally, "violated_s"),
        total_energy_cost_czk=None if bought_czk is None else bought_czk - tally.get("sold_czk"),
        buy_czk_kwh=_per_kwh(tally, "bought_czk", "priced_import_wh"),
        sell_czk_kwh=_per_kwh(tally, "sold_czk", "priced_export_wh"),
        pv_generation_wh=_sum(tally, "pv_wh"),
        load_wh=load_wh,
        import_wh=_sum(tally, "import_wh"),
        export_wh=_sum(tally, "export_wh"),
        heating_wh=_sum(tally, "heat_wh"),
        battery_discharge_wh=discharge_wh,
        battery_cycles=discharge_wh / home.battery.capacity_wh if home.battery and discharge_wh is not None else None,
        battery_gain_czk=_sum(tally, "battery_gain_czk"),
        heating_efficiency=tally.ratio("heat_asked_wh", "heat_judged_wh"),
        comfort_k_h=_sum(tally, "below_k_h"),
        comfort_inside=tally.ratio("comfort_inside", "comfort_n"),
        outdoor_temperature_c=tally.ratio("outdoor_c", "outdoor_n"),
    )


def _sum(tally: Tally, name: str) -> float | None:
    return tally.sums.get(name)


def _per_kwh(tally: Tally, money: str, energy: str) -> float | None:
    rate = tally.ratio(money, energy)
    return None if rate is None else 1000 * rate


def _errors(tally: Tally, kind: str, unit: str, each: int = 1) -> dict[str, ForecastError]:
    found = {}
    for lead_h in LEADS_H:
        name = f"{kind}_{lead_h}h"
        square = tally.ratio(f"{name}_sq_{unit}2", f"{name}_n") if f"{name}_sq_{unit}2" in tally.sums else None
        found[f"{lead_h}h"] = ForecastError(
            mae=tally.ratio(f"{name}_abs_{unit}", f"{name}_n"),
            rmse=None if square is None else sqrt(square),
            bias=tally.ratio(f"{name}_bias_{unit}", f"{name}_n") if f"{name}_bias_{unit}" in tally.sums else None,
            inside=tally.ratio(f"{name}_inside", f"{name}_band_n"),
            judged=tally.get(f"{name}_n") / (each * tally.get("slots")) if tally.get("slots") else 0.0,
        )
    return found
