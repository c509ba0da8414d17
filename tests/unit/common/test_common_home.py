"""home.yaml: the default one is right, and each mistake is named by line, field, value and remedy."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pems_common.home import Grid, HomeError, load_home, parse_home

HOME_YAML = Path(__file__).parents[3] / "config" / "home.yaml"
TEXT = HOME_YAML.read_text()
PRAGUE = ZoneInfo("Europe/Prague")


def test_the_default_house_is_the_first_house():
    home = load_home(HOME_YAML)
    assert len(home.rooms) == 17
    assert home.pv.peak_w == 13_500
    assert home.grid.import_max_w == 17_250
    assert home.rooms["obyvak"].heat_w == 3_000
    assert home.device_names[-3:] == ("battery", "ev", "water")
    assert home.battery is not None
    assert home.battery.leg_efficiency**2 == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("phases", "breaker_a", "planned_w"), [(3, 25, 14_250), (3, 40, 24_600), (3, 16, 8_040), (1, 25, 3_450)]
)
def test_plans_leave_what_charging_leaves_free_but_most_of_a_small_connection_can_be_planned(
    phases, breaker_a, planned_w
):
    assert Grid(phases=phases, breaker_a=breaker_a).import_planned_w == pytest.approx(planned_w)


@pytest.mark.parametrize(
    ("old", "new", "line_of", "field", "says"),
    [
        ("relay_w: 1200", "relay_w: -5", "relay_w: -5", "rooms.loznice.relay_w", "greater than 0"),
        ("area_m2: 16", "aera_m2: 16", "aera_m2", "rooms.loznice.aera_m2", "spelling"),
        ("Europe/Prague", "Europe/Prag", "Europe/Prag", "site.timezone", "Europe/Prague"),
        ('day_start: "06:00"', 'day_start: "6 am"', "6 am", "comfort.day_start", "HH:MM"),
        ("soc_min_pct: 20", "soc_min_pct: 100", "battery:", "battery", "below soc_max_pct"),
        ("neighbours: [obyvak, spajz", "neighbours: [obyvk, spajz", "obyvk", "rooms.kuchyne.neighbours", "no room"),
        ('rollout: ["*"]', 'rollout: ["room:sauna"]', "sauna", "control.rollout", "known:"),
        ('end: "10:00"', 'end: "00:00"', 'end: "00:00"', "tariff.versions.0.low_windows.0", "split it at midnight"),
    ],
)
def test_a_mistake_is_named_with_line_field_and_remedy(old, new, line_of, field, says):
    text = TEXT.replace(old, new, 1)
    assert text != TEXT
    with pytest.raises(HomeError) as caught:
        parse_home(text)
    problem = next(p for p in caught.value.problems if p.field == field)
    assert says in str(problem)
    assert line_of in text.splitlines()[problem.line - 1]
    assert len(caught.value.problems) <= 2  # a misspelt field is also a missing one


def test_all_mistakes_are_told_at_once():
    text = TEXT.replace("relay_w: 1200", "relay_w: none", 1).replace("latitude: 49.5", "latitude: 149.5", 1)
    with pytest.raises(HomeError) as caught:
        parse_home(text)
    assert {p.field for p in caught.value.problems} >= {"rooms.loznice.relay_w", "site.latitude"}


@pytest.mark.parametrize(
    "text", ["", "- 1", "site: [", "site: {a: 1}\nsite: {a: 2}", "\tsite: x", "x: !!python/object:os.system 1"]
)
def test_what_is_no_home_yaml_is_refused_plainly(text):
    with pytest.raises(HomeError) as caught:
        parse_home(text)
    assert caught.value.problems


def test_an_absent_file_says_where_the_example_is(tmp_path):
    with pytest.raises(HomeError, match=r"config/home\.yaml"):
        load_home(tmp_path / "nowhere.yaml")
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * 1_000_001)
    with pytest.raises(HomeError, match="1 MB"):
        load_home(huge)


def test_a_plan_depends_on_the_house_not_on_arming():
    home = parse_home(TEXT)
    disarmed = parse_home(TEXT.replace("armed: true", "armed: false"))
    bigger = parse_home(TEXT.replace("capacity_wh: 10000", "capacity_wh: 12000"))
    assert home.config_hash() == disarmed.config_hash() != bigger.config_hash()


def test_the_tariff_knows_low_hours_negative_prices_and_versions():
    home = parse_home(TEXT)
    high = datetime(2026, 1, 12, 10, 30, tzinfo=PRAGUE)
    low = datetime(2026, 1, 12, 11, 0, tzinfo=PRAGUE)
    assert home.tariff.prices(2.0, high, PRAGUE) == pytest.approx((2.919, 1.5))
    assert home.tariff.prices(2.0, low, PRAGUE) == pytest.approx((2.281, 1.5))
    assert home.tariff.prices(-3.0, low, PRAGUE) == pytest.approx((-2.719, -3.5))
    free = parse_home(TEXT.replace("export_charged_when_negative: true", "export_charged_when_negative: false"))
    assert free.tariff.prices(-3.0, low, PRAGUE)[1] == 0.0
    assert home.tariff.at(datetime(2020, 1, 1, tzinfo=PRAGUE), PRAGUE) is home.tariff.versions[0]


def roof_with(horizon: str) -> str:
    return TEXT.replace("tilt_deg: 35, azimuth_deg: 226", f"tilt_deg: 35, azimuth_deg: 226, horizon_deg: {horizon}", 1)


def test_a_horizon_is_points_or_equally_spaced_elevations():
    points = parse_home(roof_with("[[10, 3], [90, 20.5], [350, 0]]")).pv.roofs[0].horizon_deg
    assert points == ((10, 3), (90, 20.5), (350, 0))
    spaced = parse_home(roof_with("[0, 10, 20, 10, 0, 0, 5, 5]")).pv.roofs[0].horizon_deg
    assert spaced[1:4] == ((45, 10), (90, 20), (135, 10))
    assert spaced[-1] == (315, 5)
    assert parse_home(TEXT).pv.roofs[0].horizon_deg == parse_home(roof_with("[]")).pv.roofs[0].horizon_deg == ()


@pytest.mark.parametrize(
    ("horizon", "field", "says"),
    [
        ("[[90, 20]]", "", "at least 2 [azimuth, elevation] points"),
        ("[90, 20]", "", "at least 4 elevations"),
        ("[[90, 20], [0, 5]]", "", "azimuth 0 follows 90: sort the points clockwise from north"),
        ("[[90, 20], [90, 5]]", "", "azimuth 90 follows 90"),
        ("[[0, 5], [360, 5]]", ".1.0", "less than 360"),
        ("[[-90, 5], [90, 5]]", ".0.0", "greater than or equal to 0"),
        ("[[0, 5], [90, 91]]", ".1.1", "less than or equal to 90"),
        ("[0, 5, -1, 5]", ".2.1", "greater than or equal to 0"),
        ("[[0, 5], [90, high]]", ".1.1", "valid number"),
        ("[[0, 5], [90]]", ".1.1", "needed"),
        ("20", "", "tuple"),
    ],
)
def test_a_wrong_horizon_is_named_with_line_field_and_remedy(horizon, field, says):
    text = roof_with(horizon)
    with pytest.raises(HomeError) as caught:
        parse_home(text)
    (problem,) = caught.value.problems
    assert problem.field == f"pv.roofs.0.horizon_deg{field}"
    assert says in problem.remedy
    assert "horizon_deg" in text.splitlines()[problem.line - 1]
