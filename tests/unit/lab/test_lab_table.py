"""The table of a comparison, from made-up results whose figures are known."""

from pathlib import Path
from typing import Any

import pytest

from pems_common.home import load_home
from pems_lab.arms.run import Arm
from pems_lab.arms.table import arm_rows, gained, habits, joined, readable
from pems_lab.comparison import fair_cost, fair_days

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")


def result(
    arm: Arm,
    cost: float,
    *,
    days: int = 2,
    mean_c: float = 20.0,
    peak_w: float = 10_000.0,
    month: str = "2026-01",
) -> dict[str, Any]:
    hours = 24.0 * days
    truth = {
        "elapsed_h": hours,
        "energy_cost_czk": cost,
        "bought_czk": cost,
        "wear_czk": 0.0,
        "cycles": 1.0 * days,
        "import_wh": 50_000.0 * days,
        "export_wh": 1_000.0 * days,
        "pv_possible_wh": 10_000.0 * days,
        "pv_used_wh": 8_000.0 * days,
        "self_consumption": 0.8,
        "monthly_peaks_w": {month: peak_w},
        "comfort_below_k_h": {"a": 0.5 * days, "b": 0.1 * days},
        "inside_wider_band_share": 0.99,
        "sun_warmed_share": 0.0,
        "inside_wider_band_least": 0.98,
        "mean_house_temperature_c": mean_c,
        "loss_w_k": 200.0,
        "rooms_stored_wh": 0.0,
        "battery_stored_wh": 0.0,
        "ev_stored_wh": 0.0,
        "water_stored_wh": 0.0,
        "switchings": {"a": 4.0 * days, "b": 10.0 * days},
        "heating_peaks_w": {"2026-01-02": 6_000.0, "2026-01-03": 9_000.0},
        "heating_peak_hours": {"09": 1, "22": 1},
        "violations_s": {"import_above_breaker": 0.0, "soc_below_min": 60.0},
        "short_switchings": 0,
    }
    day = {
        "elapsed_h": 24.0,
        "energy_cost_czk": cost / days,
        "wear_czk": 0.0,
        "mean_house_temperature_c": mean_c,
        "loss_w_k": 200.0,
        "rooms_stored_wh": 0.0,
        "battery_stored_wh": 0.0,
        "ev_stored_wh": 0.0,
        "water_stored_wh": 0.0,
    }
    return {
        "arm": arm,
        "truth": truth,
        "days": [dict(day) for _ in range(days)],
        "modes": {} if arm == "b1" else {"mpc": 0.9, "rule_based": 0.1},
        "plans": {"made": 48, "kept": 12, "rules": 0},
        "balance": {"worst": 1e-12},
        "took": {"wall_s": 3.0, "plan_s_median": None if arm == "b1" else 1.5},
    }


def test_savings_are_against_the_owners_rules_and_shares_against_foresight() -> None:
    rows = arm_rows(
        HOME, {"perfect": result("perfect", 150.0), "b1": result("b1", 200.0), "point": result("point", 160.0)}
    )
    assert [row.arm for row in rows] == ["b1", "point", "perfect"]
    point = rows[1]
    assert (point.cost_czk_day, point.fair_czk_day) == (80.0, 80.0)
    assert (point.saved_pct, point.of_perfect_pct) == (20.0, 80.0)
    assert (point.self_consumption_pct, point.peak_kw, point.switchings_room_day) == (80.0, 10.0, 7.0)
    assert (point.below_k_h_room_day, point.mpc_pct, rows[0].mpc_pct) == (0.3, 90.0, None)
    assert point.limits == {"soc_below_min": 60.0}


def test_a_colder_house_saves_nothing_by_being_colder() -> None:
    # One kelvin over 48 h at 200 W/K is 9.6 kWh, at B1's 2 CZK/kWh 19.2 CZK.
    cold = arm_rows(HOME, {"b1": result("b1", 200.0), "point": result("point", 180.8, mean_c=19.0)})[1]
    assert cold.fair_czk_day == pytest.approx(100.0)
    assert cold.saved_pct == pytest.approx(0.0)


def test_without_a_baseline_nothing_is_said_of_savings() -> None:
    (row,) = arm_rows(HOME, {"point": result("point", 160.0)})
    assert (row.saved_pct, row.of_perfect_pct) == (None, None)


def test_stretches_are_joined_by_sums_means_and_monthly_peaks() -> None:
    first, second = result("point", 100.0, mean_c=20.0), result("point", 300.0, days=6, mean_c=21.0, peak_w=8_000.0)
    second["truth"]["monthly_peaks_w"] = {"2026-01": 8_000.0, "2026-02": 6_000.0}
    both = joined([first, second])
    assert both["truth"]["energy_cost_czk"] == 400.0
    assert both["truth"]["mean_house_temperature_c"] == pytest.approx(20.75)
    assert both["truth"]["monthly_peaks_w"] == {"2026-01": 10_000.0, "2026-02": 6_000.0}
    assert both["truth"]["self_consumption"] == pytest.approx(0.8)
    assert both["truth"]["switchings"] == {"a": 32.0, "b": 80.0}
    assert both["plans"] == {"made": 96, "kept": 24, "rules": 0}
    assert len(both["days"]) == 8
    assert joined([first])["truth"] == first["truth"]


def test_habits_tell_switchings_and_peaks() -> None:
    found = habits(result("b1", 1.0))
    assert found.switchings == (4.0, 10.0)
    assert found.peaks_w == (6_000.0, 9_000.0)
    assert dict(found.hours) == {"09": 1, "22": 1}


def test_a_strategys_gain_is_paired_by_days_and_needs_two_weeks() -> None:
    base, better = result("point", 2_000.0, days=20), result("scenarios", 1_960.0, days=20)
    for k, (mine, other) in enumerate(zip(better["days"], base["days"], strict=True)):
        mine["energy_cost_czk"] += 50.0 * (k % 3)
        other["energy_cost_czk"] += 50.0 * (k % 3)
    found = gained(HOME, better, base)
    assert found is not None
    middle, low, high = found
    assert low <= middle <= high
    assert 0.5 < low < high < 3.0, "the days' own swings are shared, and do not widen the interval"
    assert gained(HOME, result("scenarios", 1.0, days=13), result("point", 1.0, days=13)) is None


@pytest.mark.parametrize("store", ["rooms", "battery", "ev", "water"])
def test_what_is_taken_out_of_a_store_gains_nothing_and_days_sum_to_the_run(store: str) -> None:
    base, empty = result("point", 200.0), result("robust", 200.0)
    empty["days"][0][f"{store}_stored_wh"] = empty["truth"][f"{store}_stored_wh"] = -5_000.0
    days = fair_days(HOME, empty, base)
    assert days[0] > 100.0
    assert days[1] == 100.0
    assert sum(days) == pytest.approx(fair_cost(HOME, empty["truth"], base["truth"]).total)


def test_a_strategy_gains_nothing_by_a_colder_house() -> None:
    # One kelvin is 9.6 CZK a day (see above): as much as it pays less.
    cold = result("robust", 20 * 90.4, days=20, mean_c=19.0)
    found = gained(HOME, cold, result("point", 20 * 100.0, days=20))
    assert found is not None
    assert found[0] == pytest.approx(0.0, abs=1e-9)


def test_the_readable_table_has_a_line_for_each_arm_and_names_broken_limits() -> None:
    text = readable(arm_rows(HOME, {"b1": result("b1", 200.0), "point": result("point", 160.0)})).splitlines()
    assert len(text) == 5
    assert len({len(line) for line in text[:3]}) == 1
    assert "20.0" in text[2]
    assert "soc_below_min" in text[3]


@pytest.mark.parametrize(("inside", "sun_warmed", "told"), [(0.79, 0.2, 98.75), (0.99, 0.0, 99.0), (0.0, 1.0, 0.0)])
def test_what_the_sun_alone_did_is_taken_off_the_time_that_heating_is_judged_by(
    inside: float, sun_warmed: float, told: float
) -> None:
    made = result("b1", 200.0)
    made["truth"] |= {"inside_wider_band_share": inside, "sun_warmed_share": sun_warmed}
    (row,) = arm_rows(HOME, {"b1": made})
    assert (row.inside_pct, row.inside_heating_pct) == (100.0 * inside, told)
