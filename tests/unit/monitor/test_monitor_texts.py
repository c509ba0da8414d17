"""Numbers, words and names in both languages."""

import string
from datetime import UTC, datetime, timedelta

import pytest

from pems_common.home import Home
from pems_common.messages import Alert, DeviceMode, OverrideEntry, Reason
from pems_monitor.domain import formats
from pems_monitor.domain.alert_texts import alert_remedy, alert_text
from pems_monitor.domain.override_form import DURATIONS_MIN, choices, default_value
from pems_monitor.domain.plan_reasons import REASONS, reason_text
from pems_monitor.domain.room_names import device_title, room_title
from pems_monitor.domain.texts import TEXTS, t
from pems_monitor.domain.why import WHY, action_text, override_text, until_text, why_text

AT = datetime(2026, 1, 15, 13, 5, tzinfo=UTC)


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("catalogue", [TEXTS, REASONS, WHY])
def test_every_text_has_both_languages_with_the_same_parameters(catalogue: dict[str, tuple[str, str]]) -> None:
    for key, (english, czech) in catalogue.items():
        assert english, key
        assert czech, key
        assert _fields(english) == _fields(czech), key


def test_numbers_have_units_and_the_languages_decimals() -> None:
    assert formats.power(3_456, "en") == "3.5\u00a0kW"
    assert formats.power(3_456, "cs") == "3,5\u00a0kW"
    assert formats.power(-437, "cs") == "\u2212440\u00a0W"
    assert formats.power(0.2, "en") == "0\u00a0W"
    assert formats.power(-0.2, "en") == "0\u00a0W"
    assert formats.temperature(-0.04, "cs") == "0,0\u00a0°C"
    assert formats.energy(12_345, "en") == "12.3\u00a0kWh"
    assert formats.money(1234.5, "cs") == "1\u202f234,5\u00a0Kč"
    assert formats.price(-0.123, "en") == "\u22120.12\u00a0Kč/kWh"
    for shown in (formats.power, formats.energy, formats.temperature, formats.percent, formats.money, formats.price):
        assert shown(None, "en") == formats.UNKNOWN


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (45, "45\u00a0s"),
        (720, "12\u00a0min"),
        (7_260, "2\u00a0h 1\u00a0min"),
        (180_000, "2\u00a0d 2\u00a0h"),
        (-5, "0\u00a0s"),
    ],
)
def test_durations(span: int, text: str) -> None:
    assert formats.duration(timedelta(seconds=span), "en") == text


def test_times_are_local(home: Home) -> None:
    zone = home.site.zone
    assert formats.clock_time(AT, zone) == "14:05"
    assert formats.day_and_time(AT, zone, "en", relative_to=AT) == "14:05"
    assert formats.day_and_time(AT + timedelta(hours=12), zone, "en", relative_to=AT) == "Fri\u00a002:05"
    assert formats.date_text(AT, zone, "cs") == "čt 15.\u00a01."
    assert formats.date_text(AT, zone, "en") == "Thu 15\u00a0Jan"
    assert formats.short_date(AT + timedelta(hours=10), zone, "en") == "16\u00a0Jan"


def test_rooms_have_names_people_use() -> None:
    assert room_title("koupelna_dole", "cs") == "Koupelna dole"
    assert room_title("pokoj_1", "en") == "Room 1"
    assert room_title("loznice", "cs") == "Ložnice"
    assert room_title("my_den", "en") == "My den"
    assert device_title("room:obyvak", "en") == "Living room"
    assert device_title("battery", "cs") == "Baterie"


def test_reasons_of_the_controller_are_all_known() -> None:
    for code in ("plan", "override", "no_plan", "plan_too_old", "state_unknown", "hard_limit_broken", "not_armed"):
        assert why_text(code, "en") == WHY[code][0]
    assert why_text("some_new_code", "en") == "Some new code"
    assert why_text("", "en") == formats.UNKNOWN


def test_actions_in_words(home: Home) -> None:
    def mode(**action: object) -> DeviceMode:
        return DeviceMode(mode="mpc", since=AT, why="plan", action=action)

    assert (
        action_text("battery", mode(action="charge_from_grid", power_w=2_600), "en")
        == "Charging from the grid, 2.6\u00a0kW"
    )
    assert action_text("ev", mode(action="off"), "cs") == "Vypnuto"
    assert action_text("water", mode(action="on"), "en") == "Heating"
    assert action_text("room:obyvak", mode(action="something_new"), "en") == "something new"
    assert action_text("battery", None, "en") == action_text("battery", mode(), "en") == ""
    entry = OverrideEntry(
        device="room:hosti", action="heat", params={"target_c": 21.5}, until=AT, by="page", revision=1
    )
    assert override_text(entry, "en") == "Keep a temperature 21.5\u00a0°C"
    assert until_text(AT, home.site.zone, "en") == "until 14:05"
    assert until_text(None, home.site.zone, "en") == ""


def test_plan_reasons_survive_missing_and_unknown_parts() -> None:
    text = reason_text(Reason(code="comfort_floor", params={"room": "obyvak", "temperature_c": 21.1}), "en")
    assert text == "Living room would get too cold"
    assert "–" in reason_text(Reason(code="cheap_price"), "en")
    assert reason_text(Reason(code="never_heard_of"), "en") == ""
    assert reason_text(Reason(code="preheat", params={"before": "{heat_w.__class__}"}), "en") == ""


def test_known_alerts_are_translated_and_others_kept() -> None:
    known = Alert(code="prices_stale", severity="warning", text="stale", remedy="do", raised_at=AT)
    other = known.model_copy(update={"code": "new"})
    assert (alert_text(known, "en"), alert_remedy(known, "en")) == ("Stale", "do")
    assert alert_text(known, "cs") != "stale"
    assert (alert_text(other, "cs"), alert_remedy(other, "cs")) == ("Stale", "do")
    silent = known.model_copy(update={"code": "state_unknown", "text": "no fresh state of room:obyvak, battery"})
    assert alert_text(silent, "en") == "No fresh state of living room, battery"
    assert "Obývák" in alert_text(silent, "cs")


@pytest.mark.parametrize("trouble", ["error", "drift"])
@pytest.mark.parametrize(("kind", "named"), [("pv", "slunce"), ("load", "spotřeby"), ("price", "cen")])
def test_alerts_of_forecasts_are_translated(trouble: str, kind: str, named: str) -> None:
    alert = Alert(
        code=f"forecast.{trouble}_{kind}", severity="warning", text=f"{kind} is worse", remedy="look", raised_at=AT
    )
    assert named in alert_text(alert, "cs")
    assert alert_remedy(alert, "cs") != "look"
    assert alert_text(alert, "en") == f"{kind} is worse".capitalize()


def test_every_device_has_choices_within_its_limits(home: Home) -> None:
    for device in home.device_names:
        found = choices(home, device)
        assert found
        for choice in found:
            assert t(choice.text, "cs") != choice.text
            value = default_value(choice)
            if choice.setting is not None:
                assert value is not None
                assert choice.setting.low <= value <= choice.setting.high
            else:
                assert value is None
    assert choices(home, "room:nowhere") == ()
    assert min(DURATIONS_MIN) == 15
    assert max(DURATIONS_MIN) == 24 * 60
    assert t("no.such.key", "en") == "no.such.key"
