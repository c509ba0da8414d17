"""The performance report of a period in the specification's form: summary, detailed metrics, recommendations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from pems_common.home import Home
from pems_monitor.domain.performance import DayRecord, PerformanceMetrics, heating_degree_days, metrics_of
from pems_monitor.domain.performance_tally import Tally
from pems_monitor.domain.recommendations import recommendations
from pems_monitor.domain.room_names import room_title
from pems_monitor.domain.savings import (
    ASSUMED,
    Baseline,
    DayCost,
    WithAndWithout,
    baseline_of,
    before_and_after,
    days_without,
    with_and_without,
)

__all__ = ["BaselineWish", "choose_baseline", "day_cost", "day_row", "hour_row", "performance_report"]

_RECENT_DAYS = 30


@dataclass(frozen=True)
class BaselineWish:
    """What a person asks to compare with: days of a time without PEMS, or else numbers.

    Attributes:
        first: First local day; None where no period is given.
        last: Last local day.
        assumed: Numbers for when no measured day can serve.
    """

    first: date | None = None
    last: date | None = None
    assumed: Baseline = ASSUMED


def day_cost(record: DayRecord, home: Home) -> DayCost:
    """Return a day as savings see it; a day that has not ended counts nothing."""
    metrics = metrics_of(record.tally, home)
    planned_share = None
    if metrics.mpc_share is None and metrics.control_loop_uptime:
        planned_share = 0.0  # the controller was there and moved nothing: shadow, or not armed
    elif metrics.mpc_share is not None and metrics.planless_share is not None:
        planned_share = metrics.mpc_share * (1 - metrics.planless_share)  # in mpc, a plan of the rules is the rules
    return DayCost(
        day=record.day,
        cost_czk=metrics.total_energy_cost_czk if record.complete else None,
        priced=metrics.priced,
        hdd=heating_degree_days(metrics.outdoor_temperature_c),
        planned_share=planned_share,
        self_consumption=metrics.self_consumption_rate,
        peak_import_w=metrics.peak_import_w,
    )


def choose_baseline(wish: BaselineWish, days: Sequence[DayCost]) -> tuple[Baseline, Baseline | None]:
    """Return the baseline for daily figures, and the measured one for before and after (None without).

    A period that was asked for goes first; else the days on which the controller ran without following plans; else
    the assumed numbers.
    """
    if wish.first is not None and wish.last is not None:
        first, last = wish.first, wish.last
        chosen: Sequence[DayCost] = [day for day in days if first <= day.day <= last]
        source: Literal["period", "days_without"] = "period"
    else:
        chosen, source = days_without(days), "days_without"
    measured = baseline_of(chosen, source)
    return measured or wish.assumed, measured


def _figures(metrics: PerformanceMetrics) -> dict[str, Any]:
    return asdict(metrics)


def hour_row(start: str, tally: Tally, home: Home) -> dict[str, Any]:
    """Figures of an hour; savings belong to days."""
    return {"start": start, **_figures(metrics_of(tally, home))}


def day_row(record: DayRecord, home: Home, baseline: Baseline) -> dict[str, Any]:
    """Figures of a day with what it saved and by how much its peak was lower; a day of the baseline saved nothing."""
    cost, metrics = day_cost(record, home), metrics_of(record.tally, home)
    own = _in_baseline(cost, baseline)
    saved = lower_w = None
    if not own and cost.counts and cost.cost_czk is not None:
        saved = baseline.expected_czk(cost.hdd) - cost.cost_czk
    whole = record.complete and cost.counts
    if whole and not own and baseline.peak_import_w is not None and metrics.peak_import_w is not None:
        lower_w = baseline.peak_import_w - metrics.peak_import_w
    return {
        "day": record.day.isoformat(),
        "complete": record.complete,
        "slots": int(record.tally.get("slots")),
        "heating_degree_days": cost.hdd,
        "cost_savings_vs_baseline_czk": saved,
        "peak_reduction_w": lower_w,
        **_figures(metrics),
    }


def performance_report(
    home: Home,
    first: date,
    last: date,
    records: Sequence[DayRecord],
    history: Sequence[DayCost],
    wish: BaselineWish,
) -> dict[str, Any]:
    """Return the report of `[first, last]`.

    Args:
        home: The site.
        first: First local day.
        last: Last local day.
        records: Days of the period of which anything is kept, in order.
        history: All kept days, for baseline and savings.
        wish: What to compare with.
    """
    report: dict[str, Any] = {
        "report_period": {"start": first.isoformat(), "end": last.isoformat()},
        "summary": {"error": "No data available for specified period"},
        "detailed_metrics": {},
        "recommendations": [],
    }
    tally = Tally.total(record.tally for record in records)
    if not tally.get("known_slots"):
        return report
    metrics = metrics_of(tally, home)
    baseline, measured = choose_baseline(wish, history)
    rows = [day_row(record, home, baseline) for record in records]
    trial = with_and_without(history)
    recent = sorted((day for day in history if first <= day.day <= last), key=lambda day: day.day)[-_RECENT_DAYS:]
    if measured is not None:
        recent = [day for day in recent if not _in_baseline(day, measured)]
    report["summary"] = _summary(rows, metrics, baseline)
    report["detailed_metrics"] = {
        "period": _figures(metrics),
        "days": rows,
        "rooms": _rooms(tally),
        "baseline": asdict(baseline),
        "before_and_after": asdict(before_and_after(measured, recent)),
        "with_and_without": asdict(trial),
    }
    found = recommendations(tally, metrics, home, trial if isinstance(trial, WithAndWithout) else None)
    report["recommendations"] = [asdict(one) for one in found]
    return report


def _in_baseline(day: DayCost, baseline: Baseline) -> bool:
    if baseline.first is None or baseline.last is None or not baseline.first <= day.day <= baseline.last:
        return False
    return baseline.source == "period" or bool(days_without([day]))


def _mean(rows: Sequence[Mapping[str, Any]], *path: str) -> float | None:
    values = []
    for row in rows:
        value: Any = row
        for name in path:
            value = value[name]
        if value is not None:
            values.append(float(value))
    return sum(values) / len(values) if values else None


def _summary(rows: Sequence[Mapping[str, Any]], metrics: PerformanceMetrics, baseline: Baseline) -> dict[str, Any]:
    """The specification's summary: means of days, each where it is known, and sums."""
    rate, usual = metrics.self_consumption_rate, baseline.self_consumption
    savings = [row["cost_savings_vs_baseline_czk"] for row in rows if row["cost_savings_vs_baseline_czk"] is not None]
    return {
        "average_pv_prediction_mae": _mean(rows, "pv_prediction", "24h", "mae"),
        "average_thermal_prediction_mae": _mean(rows, "thermal_prediction", "24h", "mae"),
        "average_load_prediction_mae": _mean(rows, "load_prediction", "24h", "mae"),
        "average_optimization_time": _mean(rows, "optimization_solve_time_s"),
        "total_cost_savings": sum(savings) if savings else None,
        "average_self_consumption": _mean(rows, "self_consumption_rate"),
        "self_consumption_above_baseline": None if rate is None or usual is None else rate - usual,
        "average_peak_reduction": _mean(rows, "peak_reduction_w"),
        "system_uptime": metrics.control_loop_uptime,
        "total_safety_violations": metrics.safety_violations,
        "total_energy_cost": metrics.total_energy_cost_czk,
        "days": len(rows),
        "days_with_known_savings": len(savings),
    }


def _rooms(tally: Tally) -> dict[str, dict[str, Any]]:
    slots = tally.get("slots")
    return {
        name: {
            "title": {"en": room_title(name, "en"), "cs": room_title(name, "cs")},
            "known": room.get("known_slots") / slots,
            "comfort_inside": room.ratio("comfort_inside", "comfort_n"),
            "below_share": room.ratio("below_n", "comfort_n"),
            "below_k_h": room.sums.get("below_k_h"),
            "heating_wh": room.sums.get("heat_wh"),
            "thermal_mae_24h_c": room.ratio("thermal_24h_abs_c", "thermal_24h_n"),
            "thermal_mae_6h_c": room.ratio("thermal_6h_abs_c", "thermal_6h_n"),
        }
        for name, room in tally.within("room").items()
    }
