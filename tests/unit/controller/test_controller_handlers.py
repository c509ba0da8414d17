"""The controller as a whole, on memory ports with a scripted inverter."""

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.unit.controller.controller_kit import START, Rig, battery_plan, make_plan, prices, small_home, started

from pems_common.errors import PermanentError
from pems_common.messages import Alert, Status, Thermal
from pems_controller.adapters.store import ControllerStore
from pems_controller.domain.overrides import Override


async def test_a_cold_room_is_heated_by_the_rules():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    assert rig.mode("room:big") == "rule_based"
    assert rig.why("room:big") == "no_plan"
    assert rig.sent() == [
        ("pems/relay/big/set", "1"),
        ("pems/relay/big/enable", "1"),
        ("pems/relay/small/set", "1"),
        ("pems/relay/small/enable", "1"),
    ]
    await rig.tick(temperature_c=20.0)
    assert rig.sent() == []  # only changes are sent


@pytest.mark.parametrize(
    ("control", "armed_env", "why"),
    [
        ({"armed": False}, True, "not_armed"),
        ({}, False, "not_armed"),
        ({"shadow": True}, True, "shadow"),
        ({"rollout": ("ev",)}, True, "not_in_rollout"),
    ],
)
async def test_a_device_that_is_not_live_gets_nothing_but_its_decision_is_recorded(control, armed_env: bool, why: str):
    rig = await started(Rig(home=small_home(**control), armed_env=armed_env))
    for _ in range(5):
        await rig.tick(temperature_c=20.0)
    assert rig.mode("room:big") == "released"
    assert rig.why("room:big") == why
    assert rig.sent("pems/relay") == []
    assert rig.inverter.written == []
    rows = [row for row in rig.controller.audit(limit=50, device="room:big") if row.kind == "command"]
    assert len(rows) == 1
    assert (rows[0].data["action"], rows[0].data["dry_run"]) == ("on", True)
    assert "would be rule_based" in rows[0].data["reason"]


async def test_rollout_sends_to_the_listed_devices_only():
    rig = await started(Rig(home=small_home(rollout=("room:small",))))
    await rig.tick(temperature_c=20.0)
    assert {topic for topic, _ in rig.sent()} == {"pems/relay/small/set", "pems/relay/small/enable"}
    assert rig.controller.status is not None
    assert rig.controller.status.rollout == ("room:small",)


async def test_a_plan_is_followed_and_after_two_hours_not_any_more():
    rig = await started(Rig())
    plan = make_plan(rig.home, rig.clock.now())
    await rig.give(plan)
    for minute in range(1, 131):
        await rig.tick()
        assert (rig.mode("room:big") == "mpc") == (minute < 120), minute
    assert rig.why("room:big") == "plan_too_old"
    assert rig.relay("big") is True  # 21 C is enough for the plan, not for the rules
    await rig.give(make_plan(rig.home, rig.clock.now()))
    await rig.tick()
    assert rig.mode("room:big") == "mpc"


async def test_a_plan_sent_again_does_not_live_longer():
    rig = await started(Rig())
    plan = make_plan(rig.home, rig.clock.now())
    for _ in range(13):
        await rig.give(plan)
        await rig.tick(10)
    assert rig.why("battery") == "plan_too_old"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config_hash": "x"}, "plan_for_other_config"),
        ({"issued_at": START + timedelta(hours=1)}, "plan_from_future"),
        ({"issued_at": START - timedelta(hours=3)}, "plan_too_old"),
        ({"plan_no": 1, "plan_id": "older"}, "plan_not_newer"),
        ({"battery": battery_plan("hold", 3)}, "plan_malformed"),
    ],
)
async def test_a_bad_plan_does_not_replace_a_good_one(changes, reason: str):
    rig = await started(Rig())
    good = make_plan(rig.home, rig.clock.now())
    await rig.give(good)
    bad = {"plan_id": "bad", "plan_no": good.plan_no + 1, **changes}
    rig.controller._knowledge.take(rig_envelope(rig, make_plan(rig.home, rig.clock.now()).model_copy(update=bad)))
    await rig.tick()
    assert rig.mode("room:big") == "mpc"
    assert rig.controller.newest_plan == good
    assert rig.controller.counters[f"refused:{reason}"] == 1


def rig_envelope(rig: Rig, body):
    from pems_common.messages import wrap

    return wrap(body, site=rig.home.site.id, clock=rig.clock, source="test@1")


async def test_malformed_bodies_are_refused_and_counted():
    rig = await started(Rig())
    envelope = rig_envelope(rig, make_plan(rig.home, rig.clock.now()))
    rig.controller._knowledge.take(envelope.model_copy(update={"body": {"plan_id": 1}}))
    rig.controller._knowledge.take(envelope.model_copy(update={"v": 99}))
    assert rig.controller.counters["refused:plan_malformed"] == 2
    await rig.controller.on_state(envelope.model_copy(update={"site": "elsewhere"}))
    assert rig.controller.newest_plan is None


async def test_while_a_new_plan_has_not_begun_the_old_one_runs():
    rig = await started(Rig())
    await rig.give(make_plan(rig.home, rig.clock.now(), plan_id="old"))
    await rig.tick(5)
    for name in ("new", "newer"):
        begins = START + timedelta(minutes=15)
        await rig.give(make_plan(rig.home, rig.clock.now(), plan_id=name, start=begins))
        await rig.tick(1)
        assert rig.controller.status is not None
        assert rig.controller.status.plan_id == "old"
        assert rig.mode("room:big") == "mpc"
    await rig.tick(8)
    assert rig.controller.status.plan_id == "newer"


async def test_the_plan_survives_a_restart_with_its_first_sight_and_dead_bus():
    rig = await started(Rig())
    await rig.give(make_plan(rig.home, rig.clock.now()))
    await rig.tick(60)
    await rig.bus.forget("plan", rig.home.site.id)
    await rig.restart()
    await rig.tick(59)
    assert rig.mode("battery") == "mpc"
    assert rig.controller.status is not None
    assert rig.controller.status.plan_age_s == pytest.approx(119 * 60)
    await rig.tick(1)
    assert rig.why("battery") == "plan_too_old"


async def test_silence_of_a_room_and_of_the_inverter_is_safety():
    rig = await started(Rig())
    await rig.tick()
    rig.clock.advance(timedelta(minutes=2, seconds=1))
    await rig.controller.tick()
    assert (rig.mode("battery"), rig.mode("room:big")) == ("safety", "rule_based")
    rig.clock.advance(timedelta(minutes=13))
    await rig.room("small", 21.0)
    await rig.controller.tick()
    assert (rig.mode("room:big"), rig.mode("room:small")) == ("safety", "rule_based")
    assert rig.why("room:big") == "state_unknown"
    alerts = {a.code for a in rig.controller._reporter.alerts}
    assert "state_unknown" in alerts
    await rig.tick()
    assert rig.mode("room:big") == "rule_based"
    assert "state_unknown" not in {a.code for a in rig.controller._reporter.alerts}


async def test_retained_readings_fill_values_but_are_never_fresh():
    rig = Rig()
    await rig.sense()  # before the controller subscribes: only retained copies are left
    rig.kill()
    rig.build()
    await rig.controller.start()
    await rig.mqtt.start()
    await rig.controller.tick()
    for device in ("room:big", "battery", "ev", "water"):
        assert rig.mode(device) == "safety", device
    state = rig.controller._live.house()
    assert state.rooms["big"].temperature_c == 21.0
    assert not state.rooms["big"].fresh


async def test_a_restart_does_not_forget_what_was_just_seen():
    rig = await started(Rig())
    await rig.tick()
    await rig.restart()
    await rig.controller.tick()
    assert rig.mode("room:big") == "rule_based"
    rig.clock.advance(timedelta(minutes=16))
    await rig.controller.tick()
    assert rig.mode("room:big") == "safety"


async def test_the_inverters_last_will_makes_the_battery_unknown_at_once():
    rig = await started(Rig())
    await rig.tick()
    await rig.outside.publish("energy/solar", '{"InverterStatus": -1}', retain=True)
    await rig.controller.tick()
    assert rig.mode("battery") == "safety"


async def test_hard_limits_bring_a_room_into_safety_whatever_was_asked():
    rig = await started(Rig())
    rig.controller.desk.give("room:big", "on", {}, START + timedelta(hours=5), "me")
    await rig.tick(temperature_c=24.0)
    assert (rig.mode("room:big"), rig.relay("big")) == ("manual", True)
    await rig.tick(temperature_c=25.2)  # a minute later: inside the minimum on time, and off all the same
    assert (rig.mode("room:big"), rig.relay("big")) == ("safety", False)
    await rig.tick(temperature_c=24.9)
    assert rig.mode("room:big") == "safety"
    await rig.tick(temperature_c=24.7)
    assert (rig.mode("room:big"), rig.relay("big")) == ("manual", False)  # minimum off time
    await rig.tick(8, temperature_c=24.7)
    assert rig.relay("big") is True


async def test_overrides_act_survive_a_restart_and_end():
    rig = await started(Rig())
    until = START + timedelta(minutes=30)
    given = rig.controller.desk.give("room:big", "on", {}, until, "me")
    await rig.tick(temperature_c=23.0)
    assert (rig.mode("room:big"), rig.relay("big")) == ("manual", True)
    await rig.restart()
    await rig.tick(temperature_c=23.0)
    assert rig.mode("room:big") == "manual"
    status = rig.controller.status
    assert status is not None
    assert status.overrides[0].revision == given.revision
    assert status.devices["room:big"].until == until
    await rig.tick(30, temperature_c=23.0)
    assert (rig.mode("room:big"), rig.relay("big")) == ("rule_based", False)
    assert rig.store.overrides() == {}
    announced = await rig.bus.latest("override", rig.home.site.id, "room:big")
    assert announced is not None
    assert announced.body["removed"] is True
    assert announced.body["revision"] > given.revision


async def test_a_kill_9_loop_cannot_shorten_a_minimum_time():
    rig = await started(Rig())
    end = START + timedelta(days=1)
    switches: list[float] = []
    on = False
    for step in range(200):
        rig.controller.desk.give("room:big", "off" if on else "on", {}, end, "me")
        rig.broker.log.clear()
        await rig.tick(0.5)
        for _, payload in [m for m in rig.sent() if m[0] == "pems/relay/big/set"]:
            if (payload == "1") != on:
                on = payload == "1"
                switches.append(step * 30.0)
        await rig.restart()
    assert len(switches) >= 8
    gaps = [b - a for a, b in pairwise(switches)]
    assert min(gaps) >= 600


async def test_the_switch_is_written_before_it_is_published(monkeypatch: pytest.MonkeyPatch):
    rig = await started(Rig())
    order: list[str] = []
    wrapped = rig.store.switched

    def note(*args):
        order.append("stored")
        wrapped(*args)

    monkeypatch.setattr(rig.store, "switched", note)

    async def heard(message):
        order.append("published")

    rig.outside.subscribe("pems/relay/big/set", heard)
    await rig.tick(temperature_c=20.0)
    assert order.index("stored") < order.index("published")


async def test_a_relay_switched_by_somebody_else_starts_its_minimum_time():
    rig = await started(Rig())
    await rig.tick(temperature_c=23.0)
    assert rig.relay("big") is False
    rig.clock.advance(timedelta(minutes=20))
    await rig.outside.publish("loxone/relay/big", "1")
    await rig.tick(temperature_c=23.0)
    assert rig.relay("big") is True  # locked for ten minutes
    assert rig.store.switches()["room:big"].on is True
    await rig.tick(10, temperature_c=23.0)
    assert rig.relay("big") is False


@pytest.mark.parametrize(("away_min", "locked"), [(13, True), (0, False)])
async def test_while_loxone_was_alone_a_relay_may_have_been_switched_at_any_time(away_min: int, locked: bool):
    """Without pulses rooms run by themselves; on again a minute before the broker is back looks like never off."""
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    await rig.controller.beat()
    assert rig.relay("big") is True
    if not away_min:
        await rig.tick(13, temperature_c=20.0)
    rig.broker.down = True
    for _ in range(away_min):
        rig.clock.advance(timedelta(minutes=1))
        await rig.controller.tick()
        await rig.controller.beat()
    rig.broker.down = False
    rig.broker.retained["loxone/relay/big"] = b"1"
    await rig.mqtt.start()
    await rig.tick(temperature_c=23.0)
    assert rig.relay("big") is locked
    await rig.tick(9.5, temperature_c=23.0)
    assert rig.relay("big") is False
    await rig.outside.publish("loxone/relay/big", "0")
    await rig.tick(15, temperature_c=20.0)
    assert rig.relay("big") is True, "what is heard again counts as ever"


@pytest.mark.parametrize(("away_min", "locked"), [(13, True), (1, False)])
async def test_a_controller_that_was_dead_for_longer_does_not_believe_its_stored_times(away_min: int, locked: bool):
    """Loxone ran the rooms meanwhile: a relay found as it was left may have been switched twice."""
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    await rig.tick(20, temperature_c=20.0)
    assert rig.relay("big") is True
    rig.kill()
    rig.clock.advance(timedelta(minutes=away_min))
    await rig.restart()
    await rig.outside.publish("loxone/relay/big", "1")
    await rig.tick(temperature_c=23.0)
    assert rig.relay("big") is locked
    await rig.tick(10, temperature_c=23.0)
    assert rig.relay("big") is False


async def test_an_echo_just_after_a_command_is_not_taken_for_a_switch():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    await rig.outside.publish("loxone/relay/big", "0")  # sent before the command arrived
    assert rig.relay("big") is True
    await rig.outside.publish("loxone/relay/big", "maybe")
    assert rig.controller.counters["rejected:relay:not_number"] == 1


async def test_disarming_hands_back_and_arming_takes_over_again():
    rig = await started(Rig())
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=battery_plan("charge_from_grid")))
    await rig.tick(temperature_c=21.0)
    assert rig.inverter.mode == "batteryfirst"
    rig.sent()
    assert rig.controller.set_armed(False, by="me") is False
    await rig.tick()
    released = rig.sent("")
    for topic, payload in [("pems/relay/big/enable", "0"), ("ev/set", '{"power_w": null}'), ("water/set", "1")]:
        assert (topic, payload) in released
    assert not [m for m in released if m[0] == "pems/relay/big/set"]
    assert rig.inverter.mode == "load_first"
    await rig.tick()
    assert rig.sent("pems/relay") == []
    await rig.restart()
    assert rig.controller.armed is False  # kept
    assert rig.controller.set_armed(True, by="me") is True
    await rig.tick()
    assert ("pems/relay/big/enable", "1") in rig.sent()


async def test_a_clean_stop_hands_everything_back():
    rig = await started(Rig())
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=battery_plan("charge_from_grid")))
    await rig.tick(temperature_c=20.0)
    rig.sent()
    await rig.controller.stop()
    sent = rig.sent("")
    assert ("pems/relay/big/enable", "0") in sent
    assert ("pems/test/availability", "offline") in sent
    assert ("pems/test/controller", "") in sent
    assert rig.inverter.mode == "load_first"
    assert rig.mode("room:big") == "released"
    assert rig.controller._dispatcher.live == frozenset()


async def test_who_comes_up_unarmed_after_a_crash_hands_back_first():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    rig.armed_env = False
    rig.sent()
    await rig.restart()
    await rig.tick()
    assert ("pems/relay/big/enable", "0") in rig.sent()
    await rig.tick()
    assert rig.sent() == []


async def test_a_dead_broker_and_a_dead_bus_disturb_nothing():
    rig = await started(Rig())
    rig.broker.down = True

    async def fail(*args, **kwargs):
        raise OSError("gone")

    rig.bus.publish = fail
    rig.bus.latest = fail
    rig.clock.advance(timedelta(minutes=1))
    await rig.controller.tick()
    await rig.controller.on_state(rig_envelope(rig, make_plan(rig.home, rig.clock.now())))
    assert rig.controller.counters["bus_dropped"] > 0
    assert rig.controller.newest_plan is not None  # the poke itself carried it
    rig.broker.down = False
    await rig.tick(temperature_c=20.0)
    assert ("pems/relay/big/set", "1") in rig.sent()


async def test_after_the_broker_came_back_everything_is_told_again():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    rig.sent()
    await rig.controller.on_mqtt_connect()
    await rig.tick(temperature_c=20.0)
    again = rig.sent("")
    assert ("pems/relay/big/set", "1") in again
    assert any(topic == "homeassistant/device/pems_test/config" for topic, _ in again)


async def test_commands_are_repeated_every_ten_minutes_without_a_word_in_the_audit():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    before = len(rig.controller.audit(limit=1000))
    rig.sent()
    for _ in range(10):
        await rig.tick(temperature_c=20.0)
    assert rig.sent().count(("pems/relay/big/set", "1")) == 1
    assert len(rig.controller.audit(limit=1000)) == before


async def test_the_pulse_comes_from_completed_ticks_and_stops_with_them():
    rig = await started(Rig())
    await rig.controller.beat()
    assert rig.sent("pems/active") == []  # no tick yet
    await rig.tick()
    assert rig.sent("pems/active") == [("pems/active", "1")]
    rig.clock.advance(10)
    await rig.controller.beat()
    assert rig.sent("pems/active") == [("pems/active", "1")]
    rig.clock.advance(170)
    await rig.controller.beat()
    assert rig.sent("pems/active") == []


async def test_a_tick_that_cannot_write_its_store_does_not_complete():
    rig = await started(Rig())
    await rig.tick()
    rig.sent("")
    rig.store.close()
    with pytest.raises(Exception, match="closed"):
        await rig.tick(temperature_c=20.0)
    assert rig.sent("pems/active") == []


async def test_a_store_that_can_be_read_but_not_written_ends_the_pulse():
    rig = await started(Rig())
    await rig.tick()
    rig.sent("")
    rig.store._db.execute("PRAGMA query_only=ON")
    for _ in range(6):
        with pytest.raises(Exception, match="readonly"):
            await rig.tick()
        await rig.controller.beat()
    assert len(rig.sent("pems/active")) <= 3, "beats of the last tick that completed, and no more"


async def test_a_newer_controller_silences_the_older_one_until_it_is_gone():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    rig.sent("")
    rig.clock.advance(5)

    async def other_beats():
        now = rig.clock.wall_now().isoformat()
        since = (START + timedelta(minutes=1)).isoformat()
        claim = {"instance": "two", "since": since, "beat": now}
        await rig.outside.publish("pems/test/controller", json.dumps(claim), retain=True)

    await other_beats()
    await rig.sense(temperature_c=26.0)
    await rig.controller.tick()
    assert (rig.mode("room:big"), rig.why("room:big")) == ("released", "another_controller")
    assert rig.sent("pems/relay") == []
    assert "another_controller" in {a.code for a in rig.controller._reporter.alerts}
    rig.clock.advance(31)
    await rig.sense(temperature_c=20.0)
    await rig.controller.tick()
    assert rig.mode("room:big") == "rule_based"
    assert ("pems/relay/big/enable", "1") in rig.sent()


async def test_an_older_a_retained_or_a_broken_claim_silences_nobody():
    rig = await started(Rig())
    claims = [
        {"instance": "two", "since": (START - timedelta(days=1)).isoformat(), "beat": "x"},
        {"instance": 5, "since": None},
        [],
    ]
    for claim in claims:
        await rig.outside.publish("pems/test/controller", json.dumps(claim))
    newer = {"instance": "two", "since": (START + timedelta(days=1)).isoformat(), "beat": "x"}
    rig.broker.retained["pems/test/controller"] = json.dumps(newer).encode()
    await rig.mqtt.start()
    assert not rig.controller._claim.outranked


async def test_two_controllers_the_one_that_started_later_rules():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    old = rig.controller
    second = rig.build("two")
    await second.start()
    rig.clock.advance(60)
    await rig.sense(temperature_c=20.0)
    await second.tick()
    await old.tick()
    assert old.status is not None
    assert old.status.devices["room:big"].why == "another_controller"
    assert second.status is not None
    assert second.status.devices["room:big"].mode == "rule_based"


async def test_nothing_is_published_outside_the_allow_list():
    rig = await started(Rig())
    with pytest.raises(PermanentError):
        await rig.controller._mqtt.publish("somebody/elses/topic", "1")
    with pytest.raises(PermanentError):
        await rig.controller._mqtt.publish("energy/solar/command/#", "1")
    for _ in range(3):
        await rig.tick(temperature_c=20.0)
    allowed = ("pems/", "energy/solar", "ev/", "water/", "loxone/", "homeassistant/device/pems_test/config")
    assert all(topic.startswith(allowed) for topic, _ in rig.sent(""))


async def test_status_tells_what_happened():
    rig = await started(Rig())
    await rig.tick(temperature_c=20.0)
    await rig.tick(temperature_c=20.0)
    envelope = await rig.bus.latest("status", rig.home.site.id)
    assert envelope is not None
    status = Status.read(envelope.body)
    assert status.house_mode == "rule_based"
    assert status.armed is True
    assert status.telemetry_age_s == 0
    assert {c.device for c in status.last_actions} <= set(rig.home.device_names)
    assert status.devices["room:big"].since == START + timedelta(minutes=1)
    assert status.devices["room:big"].action["action"] == "on"
    rig.clock.advance(timedelta(minutes=16))
    await rig.controller.tick()
    switches = rig.controller.status.mode_switches if rig.controller.status else ()
    assert ("rule_based", "safety") in {(s.old, s.new) for s in switches}


async def test_home_assistant_is_told_and_told_again_when_it_comes_up():
    rig = await started(Rig())
    await rig.tick()
    told = dict(rig.sent(""))
    discovery = json.loads(told["homeassistant/device/pems_test/config"])
    assert {"dev", "o", "cmps"} <= discovery.keys()
    assert discovery["cmps"]["mode"]["default_entity_id"] == "sensor.pems_test_mode"
    assert all("object_id" not in c for c in discovery["cmps"].values())
    assert told["pems/test/availability"] == "online"
    assert json.loads(told["pems/test/status"])["house_mode"] == "rule_based"
    await rig.outside.publish("homeassistant/status", "online")
    await rig.tick()
    assert "homeassistant/device/pems_test/config" in dict(rig.sent(""))


async def test_prices_and_models_come_by_the_bus_and_are_kept():
    rig = await started(Rig())
    cheap = [1.0] * 48 + [5.0] * 48
    await rig.give(prices(START - timedelta(minutes=60), cheap))
    model = {"ria_k_w": 0.003, "rea_k_w": 0.012, "ci_j_k": 3e6, "cm_j_k": 1.5e7, "heater_w": 3_000}
    await rig.give(Thermal.read({"room": "big", "model": model, "tier": "prior", "version": "1"}))
    await rig.restart()
    assert rig.controller._knowledge.prices is not None
    assert "big" in rig.controller._knowledge.thermal
    await rig.tick(temperature_c=22.2)  # above the target of 22, but cheap
    assert rig.relay("big") is True


async def test_what_cannot_be_read_from_the_store_is_dropped():
    rig = Rig()
    rig.store.keep("plans", [{"first_seen_at": "nonsense"}])
    await started(rig)
    assert rig.controller.counters["kept_unreadable"] == 1


async def test_commands_and_alerts_go_to_the_bus():
    rig = await started(Rig())
    rig.inverter.answers = False
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=battery_plan("hold")))
    await rig.tick()
    assert "inverter_silent" in {a.code for a in rig.controller._reporter.alerts}
    published = await rig.bus.latest("alert", rig.home.site.id, "inverter_silent")
    if published is not None:
        assert Alert.read(published.body).severity == "critical"


async def test_the_store_says_what_is_wrong_with_its_file(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(Exception, match="cannot be opened"):
        ControllerStore(path)


async def test_the_store_on_disk_survives(tmp_path):
    path = tmp_path / "deep" / "store.sqlite"
    store = ControllerStore(path)
    store.switched("room:big", True, START)
    store.keep("a", {"b": 1})
    store.audit(START, "kind", "device", {"x": 1})
    store.close()
    store = ControllerStore(path)
    assert store.switches()["room:big"].at == START
    assert store.kept("a") == {"b": 1}
    with pytest.raises(Exception, match="append-only"):
        store._db.execute("DELETE FROM audit")
    with pytest.raises(Exception, match="append-only"):
        store._db.execute("UPDATE audit SET kind = 'x'")

    def fail_inside():
        with store.together():
            store.keep("a", 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    assert store.kept("a") == {"b": 1}
    store.close()


async def test_what_was_left_live_but_is_no_longer_in_home_yaml_stops_nothing():
    rig = Rig()
    rig.store.keep("live", ["room:big", "room:sold"])
    await started(rig)
    assert rig.controller._dispatcher.live == {"room:big"}
    await rig.controller.stop()
    assert ("pems/relay/big/enable", "0") in rig.sent()
    assert not rig.controller._dispatcher.live


async def test_readings_kept_by_another_version_do_not_keep_the_controller_from_starting():
    rig = Rig()
    seen_at = START.isoformat()
    rig.store.keep("readings", {"ev": ({"plugged": True}, seen_at), "temperature:big": (20.0, seen_at)})
    await rig.controller.start()
    assert rig.controller.counters["kept_unreadable"] == 1
    assert rig.controller._live.age_s("temperature:big") == 0.0


async def test_an_override_given_by_a_clock_that_was_years_ahead_does_not_last_for_years():
    rig = Rig()
    ahead = START + timedelta(days=900)
    rig.store.put_override(Override("room:big", "off", {}, ahead, "person", 1))
    rig.store.put_override(Override("room:small", "off", {}, START + timedelta(days=6), "person", 2))
    await started(rig)
    assert [o.device for o in rig.controller.desk.running()] == ["room:small"]
    assert set(rig.store.overrides()) == {"room:small"}
