"""Savings by hand and by known truth; recommendations by the figures that call for them."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from tests.unit.monitor.performance_house import two_rooms

from pems_common.home import Home
from pems_monitor.domain.performance import DayRecord, metrics_of
from pems_monitor.domain.performance_report import BaselineWish, choose_baseline, day_cost
from pems_monitor.domain.performance_tally import Tally
from pems_monitor.domain.recommendations import Recommendation, recommendations
from pems_monitor.domain.savings import (
    ASSUMED,
    BeforeAfter,
    DayCost,
    NoComparison,
    WithAndWithout,
    baseline_of,
    before_and_after,
    days_without,
    fit_degree_days,
    with_and_without,
)

FIRST = date(2026, 1, 1)


@pytest.fixture(scope="module")
def rooms() -> Home:
    return two_rooms()


def days(
    costs: list[float], hdd: list[float] | None = None, *, planned: float | None = 0.0, after: int = 0
) -> list[DayCost]:
    weather = hdd or [10.0] * len(costs)
    return [
        DayCost(FIRST + timedelta(days=after + n), cost, 1.0, kd, planned, 0.4, 7000.0)
        for n, (cost, kd) in enumerate(zip(costs, weather, strict=True))
    ]


def winter(seed: int, count: int, saved: float, colder: float, planned: float) -> list[DayCost]:
    """Days of 20 + 6 * degree days CZK and noise, less what is saved."""
    random = Random(seed)
    weather = [max(0.0, random.gauss(15 + colder, 4)) for _ in range(count)]
    costs = [20 + 6 * kd + random.gauss(0, 8) - saved for kd in weather]
    return days(costs, weather, planned=planned, after=400 if planned else 0)


def test_a_day_in_shadow_is_one_without_plans_and_one_unwatched_says_nothing(rooms: Home) -> None:
    shadow = DayRecord(FIRST, Tally({"up_s": 86_000.0, "watched_s": 86_400.0}), complete=True)
    assert day_cost(shadow, rooms).planned_share == 0.0
    assert day_cost(replace(shadow, tally=Tally({})), rooms).planned_share is None
    live = Tally({**shadow.tally.sums, "live_s": 100.0, "mpc_s": 90.0, "plan_slots": 96.0, "planless_slots": 0.0})
    assert day_cost(replace(shadow, tally=live), rooms).planned_share == pytest.approx(0.9)


def test_before_and_after_by_hand() -> None:
    result = before_and_after(baseline_of(days([100.0, 140.0]), "period"), days([90.0], after=9))
    assert isinstance(result, BeforeAfter)
    assert (result.baseline_daily_cost, result.recent_daily_cost, result.daily_savings_czk) == (120.0, 90.0, 30.0)
    assert result.percentage_savings == pytest.approx(25.0)
    assert (result.monthly_savings_czk, result.annual_savings_czk) == (900.0, 30.0 * 365)
    assert result.corrected_daily_savings_czk is None  # two days carry no regression


def test_why_nothing_can_be_compared() -> None:
    before = baseline_of(days([100.0]), "period")
    assert before_and_after(None, days([90.0])) == NoComparison("no_baseline_data", "No baseline data available")
    assert before_and_after(before, []) == NoComparison("no_recent_data", "No recent data available")
    half = [DayCost(FIRST, 50.0, 0.5, 10.0, 0.0)]
    assert baseline_of(half, "period") is None  # half of a day is no day
    trial = with_and_without(days([100.0] * 9))
    assert isinstance(trial, NoComparison)
    assert trial.error == "too_few_days"
    assert "0 days with plans and 9 without" in trial.detail


def test_weather_is_taken_out_of_before_and_after() -> None:
    mild, cold = [10.0, 12.0, 14.0, 16.0, 18.0], [24.0, 26.0]
    baseline = baseline_of(days([20 + 6 * kd for kd in mild], mild), "period")
    assert baseline is not None
    assert baseline.fit is not None
    assert baseline.fit.base_czk == pytest.approx(20)
    assert baseline.fit.slope_czk_k_d == pytest.approx(6)
    assert baseline.fit.r2 == pytest.approx(1)
    result = before_and_after(baseline, days([20 + 6 * kd - 17 for kd in cold], cold, after=60))
    assert isinstance(result, BeforeAfter)
    assert result.daily_savings_czk < 0  # as it looks
    assert result.corrected_daily_savings_czk == pytest.approx(17)
    assert result.corrected_percentage == pytest.approx(100 * 17 / 170)


def test_days_of_one_weather_carry_no_regression() -> None:
    assert fit_degree_days(days([100.0, 101.0, 99.0, 100.0, 102.0])) is None
    assert fit_degree_days(days([100.0, 120.0, 140.0, 160.0], [5.0, 10.0, 15.0, 20.0])) is None


def test_savings_are_found_though_the_days_with_plans_were_colder() -> None:
    result = with_and_without([*winter(1, 25, 0, 0, 0.0), *winter(2, 25, 15, 5, 0.95)])
    assert isinstance(result, WithAndWithout)
    assert result.equal_at == ("hdd",)
    assert result.daily_savings_czk == pytest.approx(15, abs=5)
    assert 5 < result.low_czk < result.daily_savings_czk < result.high_czk < 30


def test_the_interval_holds_the_truth_about_nine_times_of_ten() -> None:
    held = 0
    for seed in range(30):
        result = with_and_without([*winter(2 * seed, 12, 0, 0, 0.0), *winter(2 * seed + 1, 12, 10, 3, 1.0)], seed=seed)
        assert isinstance(result, WithAndWithout)
        held += result.low_czk <= 10 <= result.high_czk
    assert 22 <= held <= 30


def test_days_that_follow_plans_of_the_rules_are_days_without() -> None:
    assert [day.planned_share for day in days_without([*days([1.0], planned=0.0), *days([1.0], planned=0.9)])] == [0.0]


def test_which_baseline_is_taken() -> None:
    history = [*days([100.0, 110.0], planned=0.0), *days([80.0], planned=1.0, after=5)]
    chosen, measured = choose_baseline(BaselineWish(), history)
    assert chosen is measured
    assert (chosen.source, chosen.daily_cost_czk, chosen.days) == ("days_without", 105.0, 2)
    chosen, _ = choose_baseline(BaselineWish(FIRST, FIRST), history)
    assert (chosen.source, chosen.daily_cost_czk) == ("period", 100.0)
    chosen, measured = choose_baseline(BaselineWish(), days([80.0], planned=1.0))
    assert measured is None
    assert chosen == ASSUMED
    assert (ASSUMED.daily_cost_czk, ASSUMED.self_consumption, ASSUMED.peak_import_w) == (150.0, 0.45, 8000.0)


# --- recommendations


GOOD = {
    "slots": 960.0,
    "recorded_slots": 960.0,
    "known_slots": 960.0,
    "plan_slots": 960.0,
    "planless_slots": 0.0,
    "plans": 240.0,
    "pv_24h_n": 900.0,
    "pv_24h_abs_w": 900.0 * 300,
    "pv_24h_sq_w2": 900.0 * 300**2,
    "pv_24h_band_n": 400.0,
    "pv_24h_inside": 320.0,
    "thermal_24h_n": 900.0,
    "thermal_24h_abs_c": 900.0 * 0.3,
    "room.kuchyne.thermal_24h_n": 900.0,
    "room.kuchyne.thermal_24h_abs_c": 900.0 * 0.3,
    "room.kuchyne.known_slots": 960.0,
    "room.kuchyne.comfort_n": 960.0,
    "room.kuchyne.below_n": 10.0,
    "pv_metered_wh": 100_000.0,
    "pv_used_wh": 40_000.0,
    "export_wh": 60_000.0,
    "priced_export_wh": 60_000.0,
    "sold_czk": 150.0,
    "priced_import_wh": 100_000.0,
    "bought_czk": 400.0,
    "discharge_wh": 60_000.0,
    "battery_gain_czk": 90.0,
    "watched_s": 864_000.0,
    "up_s": 863_000.0,
    "switches": 9.0,
    "violations": 0.0,
    "violated_s": 0.0,
    "heat_judged_wh": 9_000.0,
    "heat_asked_wh": 8_900.0,
}


def found(
    home: Home, changes: dict[str, float] | None = None, trial: WithAndWithout | None = None
) -> list[Recommendation]:
    sums = {**GOOD, **(changes or {})}
    tally = Tally(sums, {"import_w": sums.pop("peak_w", 9000.0)})
    return list(recommendations(tally, metrics_of(tally, home), home, trial))


def test_a_house_that_does_well_hears_nothing(rooms: Home) -> None:
    assert found(rooms) == []


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("pv_forecast_poor", {"pv_24h_abs_w": 900.0 * 501}),
        ("thermal_model_poor", {"thermal_24h_abs_c": 900.0 * 0.51}),
        ("pv_band_narrow", {"pv_24h_inside": 270.0}),
        (
            "load_band_wide",
            {"load_24h_n": 900.0, "load_24h_abs_w": 9.0, "load_24h_band_n": 900.0, "load_24h_inside": 890.0},
        ),
        ("self_consumption_low", {"sold_czk": 60.0}),
        ("peak_near_breaker", {"peak_w": 16_000.0}),
        ("plan_missing", {"planless_slots": 12.0}),
        ("room_cold", {"room.kuchyne.below_n": 100.0, "room.kuchyne.below_k_h": 12.0}),
        ("battery_idle_gain", {"battery_gain_czk": 30.0}),
        ("sensor_gaps", {"room.kuchyne.known_slots": 800.0}),
        ("sensor_gaps", {"known_slots": 800.0}),
        ("history_gaps", {"recorded_slots": 860.0, "known_slots": 860.0, "room.kuchyne.known_slots": 860.0}),
        ("controller_down", {"up_s": 850_000.0}),
        ("limits_broken", {"violations": 3.0, "violated_s": 600.0}),
        ("heat_wasted", {"heat_asked_wh": 6_000.0}),
    ],
)
def test_each_finding_says_what_to_do_in_both_languages(rooms: Home, code: str, changes: dict[str, float]) -> None:
    (one,) = found(rooms, changes)
    assert one.code == code
    assert one.evidence
    assert set(one.text) == {"en", "cs"}
    assert all("{" not in text and "None" not in text and len(text) > 40 for text in one.text.values())


def test_time_before_the_history_is_no_gap(rooms: Home) -> None:
    changes = {"recorded_slots": 500.0, "known_slots": 500.0, "room.kuchyne.known_slots": 500.0}
    assert found(rooms, {**changes, "before_slots": 460.0}) == []


def test_little_evidence_says_nothing(rooms: Home) -> None:
    assert found(rooms, {"pv_24h_n": 20.0, "pv_24h_abs_w": 20.0 * 900}) == []
    assert found(rooms, {"thermal_24h_n": 20.0, "thermal_24h_abs_c": 20.0 * 3}) == []
    assert found(rooms, {"pv_24h_band_n": 50.0, "pv_24h_inside": 0.0}) == []


def test_the_worst_comes_first(rooms: Home) -> None:
    codes = [one.code for one in found(rooms, {"peak_w": 18_000.0, "sold_czk": 60.0, "battery_gain_czk": 0.0})]
    assert codes == ["peak_near_breaker", "battery_idle_gain", "self_consumption_low"]


def test_plans_that_surely_cost_money_are_told(rooms: Home) -> None:
    sure = WithAndWithout(-12.0, -20.0, -4.0, -10.0, 9, 9, ("hdd",))
    (one,) = found(rooms, trial=sure)
    assert one.code == "plans_cost_money"
    assert one.evidence["daily_loss_czk"] == 12.0
    assert found(rooms, trial=WithAndWithout(-12.0, -30.0, 4.0, -10.0, 9, 9, ())) == []
