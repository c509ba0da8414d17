"""The inverter's adapter against a scripted inverter."""

import json
from datetime import timedelta

import pytest
from tests.unit.controller.controller_kit import START, Rig, battery_plan, make_plan, started

from pems_controller.dispatch import RELEASE_BOUND_WALL_S


async def planned(intent: str, **changes) -> Rig:
    rig = await started(Rig())
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=battery_plan(intent, **changes)))
    return rig


def last_command(rig: Rig) -> dict:
    rows = [r for r in rig.controller.audit(limit=50, device="battery") if r.kind == "command"]
    return rows[0].data


@pytest.mark.parametrize(
    ("intent", "mode", "stop"),
    [
        ("self_consume", "load_first", None),
        ("charge_from_grid", "batteryfirst", 61),
        ("hold", "batteryfirst", 60),
        ("discharge_to_grid", "gridfirst", 59),
        ("export_pv", "gridfirst", 100),
    ],
)
async def test_a_planned_intent_reaches_the_inverter_and_is_read_back(intent: str, mode: str, stop: int | None):
    rig = await planned(intent)
    await rig.tick()
    assert rig.mode("battery") == "mpc"
    assert rig.inverter.mode == mode
    if stop is not None:
        assert rig.inverter.registers.get(f"{mode}/stopsoc", 100) == stop
        told = last_command(rig)
        assert told["ack"] == "success"
        assert told["read_back"][mode]["stop_soc_pct"] == stop
        assert told["read_back"][mode]["slot"]["enabled"] is True
    written = len(rig.inverter.written)
    for _ in range(30):
        await rig.tick()
    assert len(rig.inverter.written) == written


async def test_only_one_slot_is_ever_enabled_while_intents_change():
    rig = await started(Rig())
    for i, intent in enumerate(["hold", "export_pv", "charge_from_grid", "discharge_to_grid", "self_consume"] * 2):
        plan = make_plan(rig.home, rig.clock.now(), plan_id=str(i), battery=battery_plan(intent))
        await rig.give(plan)
        await rig.tick(5)
        assert rig.inverter.mode in {"load_first", "batteryfirst", "gridfirst"}  # asserts one at most
    assert rig.inverter.mode == "load_first"


async def test_a_timeout_is_repeated_four_times():
    rig = await planned("hold")
    seen: list[str] = []

    def silent_for_stopsoc(name, params, count):
        seen.append(name)
        return None if name.endswith("stopsoc") else {"success": True, "message": ""}

    rig.inverter.script = silent_for_stopsoc
    await rig.tick()
    assert seen.count("batteryfirst/set/stopsoc") == 5
    assert "batteryfirst/set/timeslot" not in rig.inverter.names()[-1:]  # parameters first: no slot without them
    assert last_command(rig)["ack"] == "timeout"
    assert "inverter_silent" in {a.code for a in rig.controller._reporter.alerts}
    rig.inverter.script = None
    await rig.tick(2)
    assert rig.inverter.mode == "batteryfirst"
    assert "inverter_silent" not in {a.code for a in rig.controller._reporter.alerts}


async def test_a_nak_is_final_after_two_tries_and_means_load_first():
    rig = await planned("charge_from_grid")

    def refuse_rate(name, params, count):
        return {"success": not name.endswith("powerrate"), "message": "out of range"}

    rig.inverter.script = refuse_rate
    await rig.tick()
    assert rig.inverter.names().count("batteryfirst/set/powerrate") == 2
    assert rig.inverter.mode == "load_first"
    assert last_command(rig)["ack"] == "nak"
    assert "inverter_nak" in {a.code for a in rig.controller._reporter.alerts}
    for _ in range(10):
        await rig.tick()
    assert rig.inverter.names().count("batteryfirst/set/powerrate") == 2
    rig.inverter.script = None
    await rig.tick(6)
    assert rig.inverter.mode == "batteryfirst"


async def test_foreign_retained_and_broken_answers_are_ignored():
    rig = await planned("hold")
    answer = {"correlationId": "somebody-else", "command": "x", "success": False, "message": ""}
    await rig.outside.publish("energy/solar/result", json.dumps(answer), retain=True)
    await rig.outside.publish("energy/solar/result", b"\xff")
    await rig.mqtt.start()  # the retained one once more
    await rig.tick()
    assert rig.inverter.mode == "batteryfirst"
    assert rig.controller.counters["foreign_results"] == 1
    assert rig.controller.counters["rejected:inverter_result:not_json"] == 1


async def test_the_dead_mans_slot_ends_within_two_hours_and_is_renewed():
    rig = await planned("hold", slots=96)
    for minute in range(1, 24 * 60, 5):
        if minute % 60 == 1:
            rows = battery_plan("hold")
            await rig.give(make_plan(rig.home, rig.clock.now(), plan_id=str(minute), battery=rows))
        await rig.tick(5)
        local = rig.clock.now().astimezone(rig.home.site.zone)
        slot = rig.inverter.registers["batteryfirst/timeslot"]
        assert slot["start"] < slot["stop"]
        now = local.strftime("%H:%M")
        assert slot["start"] <= now < slot["stop"]
        ahead = (int(slot["stop"][:2]) - local.hour) * 60 + int(slot["stop"][3:]) - local.minute
        assert ahead <= 120
    assert rig.store.registers_written(rig.clock.now().astimezone(rig.home.site.zone).date()) <= 60


async def test_register_budget_then_load_first_and_an_alert():
    rig = await started(Rig())
    day = START.astimezone(rig.home.site.zone).date()
    for _ in range(57):
        rig.store.count_register(day)
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=battery_plan("charge_from_grid")))
    await rig.tick()
    assert rig.inverter.mode == "load_first"
    assert rig.inverter.written == []
    assert "register_budget" in {a.code for a in rig.controller._reporter.alerts}
    await rig.restart()
    await rig.tick()
    assert rig.inverter.mode == "load_first"  # the counter survives
    await rig.give(make_plan(rig.home, rig.clock.now(), plan_id="b", battery=battery_plan("charge_from_grid")))
    await rig.tick(12.5 * 60)  # next local day
    await rig.give(make_plan(rig.home, rig.clock.now(), plan_id="c", battery=battery_plan("charge_from_grid")))
    await rig.tick()
    assert rig.inverter.mode == "batteryfirst"
    assert "register_budget" not in {a.code for a in rig.controller._reporter.alerts}


async def test_near_its_lower_limit_a_charge_without_budget_becomes_a_hold():
    rig = await started(Rig())
    day = START.astimezone(rig.home.site.zone).date()
    for _ in range(60):
        rig.store.count_register(day)
    rows = battery_plan("charge_from_grid", soc_pct=22.0)
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=rows))
    await rig.tick(SOC=25)
    assert rig.inverter.mode == "load_first"  # far enough above
    await rig.tick(SOC=24)
    assert rig.inverter.mode == "batteryfirst"
    assert rig.inverter.registers["batteryfirst/stopsoc"] == 24
    assert not rig.inverter.registers.get("batteryfirst/acchargeenabled", 0)
    assert "register_budget" in {a.code for a in rig.controller._reporter.alerts}
    written = len(rig.inverter.written)
    for _ in range(10):
        await rig.tick(SOC=24)
    assert len(rig.inverter.written) == written


async def test_near_its_lower_limit_a_refused_charge_becomes_a_hold():
    rig = await started(Rig())
    rows = battery_plan("charge_from_grid", soc_pct=22.0)
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=rows))

    def refuse_charging(name, params, count):
        return {"success": not name.endswith("acchargeenabled"), "message": "out of range"}

    rig.inverter.script = refuse_charging
    await rig.tick(SOC=23)
    await rig.tick(SOC=23)
    assert rig.inverter.mode == "batteryfirst"
    assert rig.inverter.registers["batteryfirst/stopsoc"] == 23


async def test_safety_and_the_lower_limit_are_exempt_from_the_budget():
    rig = await planned("charge_from_grid")
    await rig.tick()
    day = rig.clock.now().astimezone(rig.home.site.zone).date()
    while rig.store.registers_written(day) < 60:
        rig.store.count_register(day)
    rig.clock.advance(timedelta(minutes=3))
    await rig.controller.tick()  # the inverter is silent: safety
    assert rig.mode("battery") == "safety"
    assert rig.inverter.mode == "load_first"
    await rig.tick(SOC=20.5, temperature_c=21.0)
    assert rig.inverter.mode == "batteryfirst"
    assert rig.inverter.registers["batteryfirst/stopsoc"] == 22


async def test_a_planned_hold_near_the_lower_limit_is_exempt_too():
    # Seen in a winter week: the budget was gone, load_first took the battery to 10 % under a plan that said hold.
    rig = await started(Rig())
    day = START.astimezone(rig.home.site.zone).date()
    while rig.store.registers_written(day) < 60:
        rig.store.count_register(day)
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=battery_plan("hold", soc_pct=23.0)))
    await rig.tick(SOC=30.0, temperature_c=21.0)
    assert rig.inverter.mode == "load_first"
    await rig.tick(SOC=23.0, temperature_c=21.0)
    assert rig.inverter.mode == "batteryfirst"


async def test_a_wrong_clock_is_set_before_a_slot_is_used():
    rig = await planned("hold")
    rig.inverter.clock_text = "2020-01-01 00:00:00"
    await rig.tick()
    assert ("datetime/set", {"value": "2026-01-14 12:01:00"}) in rig.inverter.written
    assert rig.inverter.names().index("datetime/set") < rig.inverter.names().index("batteryfirst/set/timeslot")


async def test_a_right_clock_is_left_alone():
    rig = await planned("hold")
    rig.inverter.clock_text = "2026-01-14 12:00:30"
    await rig.tick()
    assert "datetime/set" not in rig.inverter.names()


async def test_without_a_sure_clock_no_slot_is_used():
    rig = await planned("hold")
    rig.inverter.script = lambda name, params, count: {"success": not name.startswith("datetime"), "message": ""}
    await rig.tick()
    assert rig.inverter.mode == "load_first"
    assert "inverter_clock" in {a.code for a in rig.controller._reporter.alerts}


async def test_a_kill_in_the_middle_of_a_sequence_is_repaired():
    rig = await planned("charge_from_grid")

    class KilledError(BaseException):
        pass

    def die(name, params, count):
        if name.endswith("powerrate"):
            raise KilledError
        return {"success": True, "message": ""}

    rig.inverter.script = die
    with pytest.raises(KilledError):
        await rig.tick()
    rig.inverter.script = None
    rig.inverter.written.clear()
    await rig.restart()
    await rig.tick()
    assert rig.inverter.mode == "batteryfirst"
    assert rig.inverter.registers["batteryfirst/powerrate"] == 30


async def test_registers_changed_by_the_owner_are_found_by_reading_back_after_a_restart():
    rig = await planned("self_consume")
    await rig.tick()
    rig.inverter.registers["gridfirst/timeslot"] = {"start": "00:00", "stop": "23:59", "enabled": True}
    await rig.restart()
    await rig.tick()
    assert rig.inverter.mode == "load_first"


async def test_switching_the_inverter_off_and_on_again():
    rig = await planned("off")
    await rig.tick()
    assert ("modbus/set", {"id": 0, "type": "16b", "registerType": "H", "value": 0}) in rig.inverter.written
    await rig.controller.stop()
    assert rig.inverter.written[-1] == ("modbus/set", {"id": 0, "type": "16b", "registerType": "H", "value": 1})


async def test_an_inverter_that_does_not_answer_does_not_keep_the_stop_waiting():
    rig = await planned("hold")
    await rig.tick()
    rig.inverter.answers = False
    await rig.controller.stop()
    assert "battery" in rig.controller._dispatcher.live  # remembered: the next start hands it back
    rig.inverter.answers = True
    rig.armed_env = False
    await rig.restart()
    await rig.tick(2)
    assert rig.inverter.mode == "load_first"


async def test_a_hand_back_that_got_lost_is_said_again_before_the_process_ends():
    rig = await planned("hold")
    await rig.tick()
    waited_s: list[float] = []
    plain = rig.clock.wait_for

    async def wait_for(awaitable, wall_s):
        waited_s.append(wall_s)
        return await plain(awaitable, wall_s)

    rig.clock.wait_for = wait_for
    sent: list[str] = []

    def reconnecting(name, params, count):
        sent.append(name)
        return None if len(sent) <= 2 else {"success": True, "message": "ok"}

    rig.inverter.script = reconnecting
    await rig.controller.stop()
    assert sent[:3] == ["batteryfirst/set/timeslot"] * 3
    assert rig.inverter.mode == "load_first"
    assert "battery" not in rig.controller._dispatcher.live
    assert sum(waited_s[:2]) < RELEASE_BOUND_WALL_S  # both silences fit into what a stopping process has


async def test_power_that_was_switched_off_comes_back_after_another_controller_had_its_turn():
    rig = await planned("off")
    await rig.tick()
    on = ("modbus/set", {"id": 0, "type": "16b", "registerType": "H", "value": 1})
    claim = {"instance": "two", "since": (START + timedelta(minutes=1)).isoformat(), "beat": "x"}
    await rig.outside.publish("pems/test/controller", json.dumps(claim), retain=True)
    await rig.tick(minutes=0.2)
    assert rig.why("battery") == "another_controller"
    assert on not in rig.inverter.written
    await rig.give(make_plan(rig.home, rig.clock.now()))  # self-consumption, once that controller is gone
    await rig.tick()
    assert rig.mode("battery") == "mpc"
    assert on in rig.inverter.written
