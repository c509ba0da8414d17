"""home.yaml for plans: legs, cold, taper, reserve, peak, hygiene, appliances, uncertainty; wrong ones are named."""

import pytest
from pydantic import ValidationError
from tests.unit.common.test_common_home import TEXT

from pems_common.home import Appliance, Battery, Cold, Grid, HomeError, Hygiene, Uncertainty, WaterHeater, parse_home


def battery(**facts):
    return Battery(capacity_wh=10_000, **facts)


def test_legs_follow_from_the_round_trip_or_from_each_other():
    assert battery().legs == pytest.approx((0.85**0.5, 0.85**0.5))
    both = battery(charge_efficiency=0.95, discharge_efficiency=0.9)
    assert both.legs == (0.95, 0.9)
    assert both.round_trip_efficiency == pytest.approx(0.855)
    assert battery(charge_efficiency=0.95).legs == pytest.approx((0.95, 0.85 / 0.95))
    assert battery(discharge_efficiency=0.95, round_trip_efficiency=0.9).legs == pytest.approx((0.9 / 0.95, 0.95))


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"charge_efficiency": 0.95, "discharge_efficiency": 0.9, "round_trip_efficiency": 0.8}, "not the product"),
        ({"charge_efficiency": 0.8}, "above the leg given"),
        ({"taper": {"from_soc_pct": 95, "full_w": 300}, "soc_max_pct": 95}, "taper.from_soc_pct"),
        ({"reserve_pct": 90, "soc_max_pct": 80}, "reserve_pct"),
        ({"cold": {"charge_full_c": 0, "charge_zero_c": 5}}, "charge_zero_c 5 must be below"),
        ({"control": "guess"}, "intents"),
    ],
)
def test_a_battery_that_contradicts_itself_is_refused(facts, says):
    with pytest.raises(ValidationError, match=says):
        battery(**facts)


def test_cold_takes_power_away_in_a_straight_line():
    cold = Cold(charge_full_c=10, charge_zero_c=0, discharge_full_c=-10, discharge_zero_c=-20)
    assert [cold.charge_share(c) for c in (-5, 0, 2.5, 10, 30)] == [0, 0, 0.25, 1, 1]
    assert [cold.discharge_share(c) for c in (-25, -15, 0)] == [0, 0.5, 1]


def test_a_house_that_may_not_export_has_no_export_limit_but_zero():
    assert Grid(export_max_w=5_000).export_limit_w == 5_000
    assert Grid(export_max_w=5_000, export_allowed=False).export_limit_w == 0
    assert Grid().peak_is_monthly


def test_the_tank_has_to_have_room_for_hygiene():
    assert WaterHeater(hygiene=Hygiene()).hygiene.temperature_c == 60
    with pytest.raises(ValidationError, match="above target_c"):
        WaterHeater(target_c=60, hygiene=Hygiene(temperature_c=60))
    with pytest.raises(ValidationError, match="below target_c"):
        WaterHeater(target_c=45, min_c=45)
    with pytest.raises(ValidationError, match="HH:MM"):
        Hygiene(earliest="noon")


@pytest.mark.parametrize(
    ("earliest", "ready_by", "minutes"),
    [("08:00", "16:00", 480), ("20:00", "07:00", 660), ("00:00", "24:00", 1440), ("10:00", "10:00", 1440)],
)
def test_a_window_that_ends_before_it_begins_ends_the_next_day(earliest, ready_by, minutes):
    assert Appliance(power_w=1, run_minutes=1, earliest=earliest, ready_by=ready_by).window_minutes == minutes


def test_a_daily_run_has_to_fit_its_window():
    with pytest.raises(ValidationError, match="does not fit between 10:00 and 11:00"):
        Appliance(power_w=900, run_minutes=90, runs_daily=True, earliest="10:00", ready_by="11:00")
    Appliance(power_w=900, run_minutes=90, earliest="10:00", ready_by="11:00")  # for display only


def test_a_tail_belongs_to_scenarios():
    assert Uncertainty(strategy="scenarios", cvar_share=0.3).cvar_tail == 0.1
    with pytest.raises(ValidationError, match="strategy: scenarios"):
        Uncertainty(strategy="point", cvar_share=0.3)


def test_mistakes_are_told_at_their_line():
    text = TEXT.replace("    strategy: point", "    strategy: gamble\n    scenarios: 2").replace(
        "comfort:\n", "appliances:\n  Dish Washer: {power_w: 900, run_minutes: 60}\ncomfort:\n", 1
    )
    with pytest.raises(HomeError) as caught:
        parse_home(text)
    fields = {p.field: text.splitlines()[p.line - 1] for p in caught.value.problems}
    assert "gamble" in fields["optimization.uncertainty.strategy"]
    assert "scenarios: 2" in fields["optimization.uncertainty.scenarios"]
    named = TEXT.replace("comfort:\n", "appliances:\n  Dish: {power_w: 900, run_minutes: 60}\ncomfort:\n", 1)
    with pytest.raises(HomeError, match=r"appliances\.Dish: use lower-case"):
        parse_home(named)


def test_the_commented_examples_of_the_default_file_are_right():
    wanted = (
        "# charge_eff",
        "# discharge_eff",
        "# reserve_",
        "# hygiene",
        "# appliances",
        "#   dishwasher",
        "# spread",
    )
    lines = [
        line.replace("# ", "", 1) if line.strip().startswith(wanted) else line
        for line in TEXT.replace("  round_trip_efficiency: 0.85\n", "").splitlines()
    ]
    home = parse_home("\n".join(lines))
    assert home.battery.legs == (0.93, 0.92)
    assert home.battery.reserve_pct == 40
    assert home.water.hygiene.hold_minutes == 30
    assert home.appliances["dishwasher"].runs_daily
