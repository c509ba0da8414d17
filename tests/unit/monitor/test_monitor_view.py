"""What the page shows, from messages: flows, headline, plan arrays, rooms."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.browser.sample_house import LEFT, SampleHouse
from tests.unit.monitor.conftest import NOW

from pems_common.home import Home
from pems_common.messages import Certificate, OverrideEntry, RoomReading, Telemetry
from pems_common.timegrid import SLOT, local_day_slots, slot_start
from pems_monitor.domain.measured import SlotMeans, merged_past
from pems_monitor.domain.now import device_rows, flows, headline, plan_age, source_labels
from pems_monitor.domain.plan_reasons import reasons_now
from pems_monitor.domain.plan_view import plan_summary, plan_view, slot_labels
from pems_monitor.domain.rooms import override_rows, room_rows
from pems_monitor.domain.state import HouseState, PastSlots


@pytest.fixture
def state(house: SampleHouse) -> HouseState:
    return HouseState(
        telemetry=house.telemetry(NOW),
        telemetry_at=NOW,
        prices=house.prices(),
        forecast=house.forecast(),
        weather={"Open-Meteo": house.weather()},
        plan=house.plan(),
        status=house.status(),
        status_at=NOW,
    )


def test_nothing_known_yet_is_no_error(home: Home) -> None:
    empty = HouseState()
    assert flows(empty, home, NOW) is None
    assert plan_summary(empty) is None
    assert device_rows(empty) == []
    assert override_rows(empty, NOW) == []
    assert source_labels(empty) == ()
    view = plan_view(empty, home, NOW)
    assert (view.has_plan, view.has_prices, view.has_forecast) == (False, False, False)
    assert set(view.buy) == {None}
    assert view.intents == ()
    rows = room_rows(empty, home, NOW)
    assert [row.name for row in rows] == list(home.rooms)
    assert {row.comfort for row in rows} == {"unknown"}
    line = headline(empty, NOW, status_silent_after=timedelta(minutes=5))
    assert (line.mode, line.silent, line.plan) == (None, True, "none")


def test_flows_split_the_load_into_house_and_controlled_devices(state: HouseState, home: Home) -> None:
    found = flows(state, home, NOW)
    assert found is not None
    assert state.telemetry is not None
    assert state.telemetry.load_power_w is not None
    assert found.heating_w == sum(home.rooms[n].heat_w for n, r in state.telemetry.rooms.items() if r.relay_on)
    parts = (found.house_w or 0) + (found.heating_w or 0) + (found.ev_w or 0) + (found.water_w or 0)
    assert parts == pytest.approx(state.telemetry.load_power_w, abs=0.2)
    assert found.rooms_on == sum(bool(r.relay_on) for r in state.telemetry.rooms.values())
    assert not found.stale


def test_old_or_offline_readings_are_marked(state: HouseState, home: Home) -> None:
    later = flows(state, home, NOW + timedelta(minutes=4))
    assert later is not None
    assert later.stale
    assert state.telemetry is not None
    offline = replace(state, telemetry=state.telemetry.model_copy(update={"inverter_online": False}))
    found = flows(offline, home, NOW)
    assert found is not None
    assert found.stale


def test_unknown_readings_stay_unknown(home: Home) -> None:
    found = flows(HouseState(telemetry=Telemetry(), telemetry_at=NOW), home, NOW)
    assert found is not None
    assert (found.pv_w, found.grid_w, found.house_w, found.heating_w, found.soc_pct) == (None,) * 5


def test_plan_grows_late_and_expires(state: HouseState) -> None:
    assert state.plan is not None
    issued_at = state.plan.issued_at
    assert plan_age(state, issued_at + timedelta(minutes=30))[0] == "fresh"
    assert plan_age(state, issued_at + timedelta(minutes=80))[0] == "late"
    assert plan_age(state, issued_at + timedelta(minutes=121)) == ("expired", timedelta(minutes=121))


def test_fallback_plan_is_marked(state: HouseState, house: SampleHouse) -> None:
    fallback = replace(state, plan=house.plan(fallback=True))
    summary = plan_summary(fallback)
    assert summary is not None
    assert summary.fallback
    assert headline(fallback, NOW, status_silent_after=timedelta(minutes=5)).fallback


def test_one_device_on_rules_is_not_the_whole_house(state: HouseState, house: SampleHouse) -> None:
    status = house.status()
    car = status.devices["ev"].model_copy(update={"mode": "rule_based", "why": "no_plan"})
    mixed = status.model_copy(update={"house_mode": "rule_based", "devices": {**status.devices, "ev": car}})
    line = headline(replace(state, status=mixed), NOW, status_silent_after=timedelta(minutes=5))
    assert line.mostly_planned
    assert (line.by_plan, line.by_rules) == (len(status.devices) - 1 - len(LEFT), 1 + len(LEFT))
    rules = house.status(mode="rule_based", why="no_plan")
    alone = headline(replace(state, status=rules), NOW, status_silent_after=timedelta(minutes=5))
    assert not alone.mostly_planned


def test_silent_controller_is_seen(state: HouseState) -> None:
    line = headline(state, NOW + timedelta(minutes=6), status_silent_after=timedelta(minutes=5))
    assert line.silent


def test_plan_view_holds_past_and_future_apart(state: HouseState, home: Home) -> None:
    here = slot_start(NOW)
    past = PastSlots(here - timedelta(hours=12), 900, {"pv_power_w": tuple(float(i) for i in range(60))})
    view = plan_view(replace(state, past=past), home, NOW)
    assert view.count == 240
    assert view.slots[view.now_index] == here
    assert view.pv_past_w[0] == 0.0
    assert view.pv_past_w[view.now_index - 1] == 47.0
    assert set(view.pv_past_w[view.now_index :]) == {None}
    assert set(view.grid_w[: view.now_index]) == {None}
    assert view.grid_w[view.now_index + 4] is not None
    assert set(view.pv_p50_w[: view.now_index]) == {None}
    assert state.plan is not None
    assert view.outlook_index is not None
    assert view.slots[view.outlook_index] >= state.plan.control_until > view.slots[view.outlook_index - 1]


def test_price_forecast_begins_where_published_prices_end(state: HouseState, home: Home) -> None:
    assert state.prices is not None
    prices = state.prices.model_copy(update={"known_until": NOW + timedelta(hours=14)})
    view = plan_view(replace(state, prices=prices), home, NOW)
    assert view.known_index is not None
    assert view.buy[view.known_index] is None
    assert view.buy[view.known_index - 1] is not None
    assert view.buy_p50[view.known_index] is not None
    assert view.buy_p50[view.known_index - 1] is None
    without = plan_view(replace(state, prices=None), home, NOW)
    assert without.known_index is None
    assert without.buy_p50[without.now_index] is not None


def test_intents_become_spans_without_gaps(state: HouseState, home: Home) -> None:
    view = plan_view(state, home, NOW)
    assert view.intents[0].first == view.now_index
    for before, after in zip(view.intents, view.intents[1:], strict=False):
        assert after.first == before.last + 1
        assert after.intent != before.intent
    assert any(span.intent == "charge_from_grid" for span in view.intents)


def test_plan_of_hourly_steps_fits_the_grid(state: HouseState, home: Home) -> None:
    assert state.plan is not None
    plan = state.plan.model_copy(
        update={
            "start": slot_start(NOW, timedelta(hours=1)),
            "step_s": 3600,
            "slots": 48,
            "grid_power_w": tuple(range(48)),
        }
    )
    view = plan_view(replace(state, plan=plan), home, NOW)
    values = view.grid_w[view.now_index : view.now_index + 8]
    assert values == (0, 0, 0, 1, 1, 1, 1, 2)


def test_missing_parts_of_a_plan_show_nothing(state: HouseState, home: Home) -> None:
    assert state.plan is not None
    bare = state.plan.model_copy(update={"battery": None, "rooms": {}, "grid_power_w": (), "ev_power_w": ()})
    view = plan_view(replace(state, plan=bare), home, NOW)
    assert set(view.soc_pct) == set(view.grid_w) == set(view.heating_w) == {None}
    assert all(
        row.strip == () and row.next_switch_at is None for row in room_rows(replace(state, plan=bare), home, NOW)
    )


def test_certificate_of_this_plan_replaces_its_gap(state: HouseState) -> None:
    assert state.plan is not None
    mine = Certificate(plan_id=state.plan.plan_id, bound=1.0, gap_czk=0.7, kind="proven", took_s=3.0)
    other = mine.model_copy(update={"plan_id": "another", "gap_czk": 9.9})
    first, second = plan_summary(replace(state, certificate=mine)), plan_summary(replace(state, certificate=other))
    assert first is not None
    assert second is not None
    assert (first.gap_czk, first.bound_kind) == (0.7, "proven")
    assert second.gap_czk == state.plan.solver.gap_czk


def test_savings_are_baseline_less_expected(state: HouseState) -> None:
    summary = plan_summary(state)
    assert summary is not None
    assert summary.baseline is not None
    assert summary.savings == pytest.approx(summary.baseline - summary.expected)


@pytest.mark.parametrize(
    ("day", "count"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100), (date(2026, 1, 15), 96)]
)
def test_labels_of_a_clock_change_are_complete_and_unique(home: Home, day: date, count: int) -> None:
    slots = local_day_slots(day, home.site.zone)
    labels = slot_labels(slots, home.site.zone)
    assert len(labels) == len(set(labels)) == count
    assert labels[0].startswith(f"{day:%Y-%m-%d}T00:00")
    assert sum("T02:00" in label for label in labels) == {92: 0, 96: 1, 100: 2}[count]


def test_plan_view_on_the_day_the_clock_goes_back(house: SampleHouse, home: Home) -> None:
    now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    view = plan_view(HouseState(), home, now)
    assert view.count == 240
    assert {b - a for a, b in zip(view.slots, view.slots[1:], strict=False)} == {SLOT}


def test_room_row_tells_comfort_relay_and_next_switch(state: HouseState, home: Home) -> None:
    assert state.plan is not None
    assert state.telemetry is not None
    rows = {row.name: row for row in room_rows(state, home, NOW)}
    cold = rows["zadveri"]
    assert cold.comfort == "below"
    row = next(r for r in rows.values() if r.next_switch_at is not None)
    relays = state.plan.rooms[row.name].relay_on
    assert row.next_switch_at is not None
    index = int((row.next_switch_at - state.plan.start) / SLOT)
    assert relays[index] == row.next_on
    assert relays[index - 1] != row.next_on
    assert row.next_switch_at > NOW
    assert all(0 <= span.begin < span.end <= 1 for r in rows.values() for span in r.strip)


def test_expired_plan_promises_no_switch(state: HouseState, home: Home) -> None:
    rows = room_rows(state, home, NOW + timedelta(hours=3))
    assert all(row.next_switch_at is None and row.strip == () for row in rows)


def test_overrides_that_ended_are_not_shown(state: HouseState, house: SampleHouse, home: Home) -> None:
    entries = [
        OverrideEntry(
            device=device,
            action="heat",
            params={"target_c": 23},
            until=NOW + timedelta(minutes=m),
            by="page",
            revision=1,
        )
        for device, m in (("room:obyvak", 90), ("battery", 15), ("room:hosti", -1))
    ]
    overridden = replace(state, status=house.status(entries))
    assert [o.device for o in override_rows(overridden, NOW)] == ["battery", "room:obyvak"]
    row = next(r for r in room_rows(overridden, home, NOW) if r.name == "obyvak")
    assert row.override is not None
    assert row.mode is not None
    assert row.mode.mode == "manual"


def test_reasons_of_this_slot_become_sentences(state: HouseState) -> None:
    english, czech = reasons_now(state.plan, NOW, "en"), reasons_now(state.plan, NOW, "cs")
    assert english[0].endswith("from the sun")
    assert czech[0].endswith("ze slunce")
    assert reasons_now(None, NOW, "en") == []
    assert reasons_now(state.plan, NOW + timedelta(days=9), "en") == []


def test_own_means_come_first_and_history_fills_up(home: Home) -> None:
    start = slot_start(NOW) - timedelta(minutes=30)
    means = SlotMeans()
    for seconds in (0, 60):
        at = start + timedelta(minutes=15, seconds=seconds)
        reading = Telemetry(
            pv_power_w=100.0 + seconds, load_power_w=3_500, rooms={"obyvak": RoomReading(relay_on=True)}
        )
        means.add(at, reading, home)
    means.add(start, Telemetry(pv_power_w=9e9), home)  # late: ignored
    history: dict[str, list[float | None]] = {
        "pv_power_w": [7.0, 8.0],
        "load_power_w": [4_000.0, None],
        "room.obyvak.relay_on": [0.5, None],
    }
    past = merged_past(means, history, start, start + timedelta(minutes=30), home)
    assert past.series["pv_power_w"] == (7.0, 130.0)
    assert past.series["heating_power_w"] == (1_500.0, 3_000.0)
    assert past.series["base_load_w"] == (2_500.0, 500.0)
    assert past.at("pv_power_w", start - SLOT) is None
    assert past.at("nothing", start) is None
