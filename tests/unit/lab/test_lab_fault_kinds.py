"""Each kind of fault alone: what it does to a small house, its borders or its world, and that it ends."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pems_common.clock import FakeClock
from pems_common.home import Home, load_home
from pems_common.messages import BatteryPlan, Forecast, Plan, PlanCost, RoomPlan, Solver, Telemetry, read_body, wrap
from pems_common.mqtt import MemoryBroker, MqttMessage
from pems_common.timegrid import next_slot_start
from pems_common.world.generated import GeneratedWorld
from pems_ingest.sources.port import SourceError
from pems_lab.faults.border import FaultBorders
from pems_lab.faults.kinds import FAMILIES, KINDS
from pems_lab.faults.model import Fault
from pems_lab.faults.watch import SentWatch
from pems_lab.house_run import HouseRun

WHOLE = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
ROOM = "spajz"
START = datetime(2026, 1, 13, 5, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def small_home() -> Home:
    """One room, a battery, PV; neither car nor tank."""
    rooms = {ROOM: WHOLE.rooms[ROOM].model_copy(update={"neighbours": ()})}
    return WHOLE.model_copy(update={"rooms": rooms, "ev": None, "water": None})


HOME = small_home()


def world() -> GeneratedWorld:
    return GeneratedWorld(seed=1, latitude=HOME.site.latitude, longitude=HOME.site.longitude)


def fault(kind: str, minutes: tuple[float, float], target: str = "", strength: float = 0.0) -> Fault:
    """A fault between two minutes of the run."""
    return Fault(kind, START + minutes[0] * MINUTE, START + minutes[1] * MINUTE, target, strength)


def borders_of(*faults: Fault) -> FaultBorders:
    return FaultBorders([(each, KINDS[each.kind]) for each in faults])


def house(*faults: Fault) -> tuple[HouseRun, FaultBorders]:
    borders = borders_of(*faults)
    return HouseRun(HOME, world(), START, seed=1, planner="mute", borders=borders), borders


def mode(run: HouseRun, device: str) -> tuple[str, str]:
    status = run.controller.status
    assert status is not None
    return status.devices[device].mode, status.devices[device].why


def shown(run: HouseRun, topic: str) -> bytes:
    return run.broker.retained[topic]


def test_every_family_has_kinds_and_each_aims_at_something_of_the_house() -> None:
    assert set(FAMILIES) == {"sensor", "network", "price", "cold", "forecast", "worker", "device"}
    for kind in KINDS.values():
        target, strength = kind.aim(np.random.default_rng(0), HOME)
        shortest, longest = kind.hours
        assert 0.0 < shortest < longest
        assert np.isfinite(strength)
        assert isinstance(target, str)


@pytest.mark.parametrize(
    ("kind", "target", "limit", "explained"),
    [
        ("process_dead", "controller", "soc_below_min", True),
        ("process_dead", "worker", "soc_below_min", False),
        ("mqtt_lost", "from controller", "short_switchings", True),
        ("mqtt_lost", "to ingest", "short_switchings", False),
        ("soc_frozen", "", "soc_below_min", True),
        ("soc_absent", "", "soc_below_min", False),
        ("relay_stuck", ROOM, "heated_above_max", True),
        ("cold_snap", "", "heated_above_max", False),
        ("plan_nonsense", "drain", "soc_below_min", False),
    ],
)
def test_a_fault_explains_what_nobody_could_prevent(kind: str, target: str, limit: str, explained: bool) -> None:
    assert (limit in KINDS[kind].explained(fault(kind, (0, 1), target))) is explained


# --- sensors -----------------------------------------------------------------------------------


async def test_a_silent_room_goes_to_safety_and_comes_back() -> None:
    run, _ = house(fault("room_silent", (2, 25), ROOM))
    await run.run(20 * MINUTE)
    assert mode(run, f"room:{ROOM}") == ("safety", "state_unknown")
    await run.run(10 * MINUTE)
    assert mode(run, f"room:{ROOM}")[0] == "rule_based"


async def test_a_reading_off_by_two_kelvin_reaches_everybody_and_the_truth_stays() -> None:
    run, _ = house(fault("room_offset", (1, 12), ROOM, 2.0))
    topic = HOME.devices.sensors.temperature_topic.format(room=ROOM)
    await run.run(10 * MINUTE)
    true_c = float(run.house.plant.sensors.reading_c[0])
    assert float(shown(run, topic)) == pytest.approx(true_c + 2.0, abs=0.25)
    envelope = await run.bus.latest("telemetry", HOME.site.id)
    assert envelope is not None
    assert read_body(envelope, Telemetry).rooms[ROOM].temperature_c == pytest.approx(true_c + 2.0, abs=0.25)
    await run.run(10 * MINUTE)
    assert float(shown(run, topic)) == pytest.approx(float(run.house.plant.sensors.reading_c[0]), abs=0.05)


async def test_a_stuck_reading_stays_and_a_jumping_one_does_not() -> None:
    run, _ = house(fault("room_stuck", (1, 40), ROOM))
    await run.run(2 * MINUTE)
    stuck_c = float(run.house.plant.sensors.reading_c[0])
    run.house.plant.rooms.temperature_c[0] -= 1.5
    await run.run(4 * MINUTE)
    assert float(run.house.plant.sensors.reading_c[0]) == stuck_c
    jumping, _ = house(fault("room_jumping", (0, 30), ROOM, 5.0))
    heard: list[float] = []
    jumping.broker.add(
        HOME.devices.sensors.temperature_topic.format(room=ROOM),
        lambda message: _keep(heard, float(message.payload)),
    )
    await jumping.run(20 * MINUTE)
    assert max(heard) - min(heard) > 2.0


async def _keep(kept: list[float], value: float) -> None:
    kept.append(value)


async def test_an_outdoor_sensor_in_the_freezer() -> None:
    run, _ = house(fault("outdoor_wrong", (0, 10), "", -15.0))
    await run.run(3 * MINUTE)
    told = float(shown(run, HOME.devices.sensors.outdoor_topic))
    assert told == pytest.approx(run.house.plant.outdoor_reading_c - 15.0, abs=0.3)


async def test_without_a_state_of_charge_the_battery_is_in_safety_and_a_frozen_one_is_believed() -> None:
    run, _ = house(fault("soc_absent", (1, 30)))
    await run.run(6 * MINUTE)
    assert mode(run, "battery") == ("safety", "state_unknown")
    frozen, _ = house(fault("soc_frozen", (1, 30)))
    await frozen.run(3 * MINUTE)
    battery = frozen.house.plant.inverter.battery
    assert battery is not None
    before = json.loads(shown(frozen, HOME.devices.inverter.state_topic))["SOC"]
    battery.energy_wh *= 0.8
    await frozen.run(3 * MINUTE)
    assert json.loads(shown(frozen, HOME.devices.inverter.state_topic))["SOC"] == before
    assert battery.soc_pct < before - 5.0


# --- network -----------------------------------------------------------------------------------


async def test_messages_lost_on_the_way_to_the_controller_are_lost_to_it_alone() -> None:
    run, borders = house(fault("mqtt_lost", (2, 40), "to controller", 1.0))
    await run.run(20 * MINUTE)
    assert mode(run, "battery")[0] == mode(run, f"room:{ROOM}")[0] == "safety"
    assert set(borders.lost) == {"to controller"}
    envelope = await run.bus.latest("telemetry", HOME.site.id)
    assert envelope is not None
    assert read_body(envelope, Telemetry).rooms[ROOM].temperature_c is not None


async def passing(kind: str, target: str, strength: float) -> tuple[list[tuple[float, bytes]], FaultBorders]:
    """Twenty messages of one minute on the way to the controller, as (minutes until heard, payload)."""
    clock = FakeClock(START)
    borders = borders_of(fault(kind, (0, 1), target, strength))
    borders.open(HOME, clock)
    broker, heard = MemoryBroker(), list[tuple[float, bytes]]()

    async def hear(message: MqttMessage) -> None:
        heard.append(((clock.now() - START) / MINUTE, message.payload))

    borders.mqtt("controller", broker.client()).subscribe("a/b", hear)
    sender = borders.mqtt("house", broker.client())
    for number in range(20):
        await sender.publish("a/b", str(number))
    for _ in range(15):
        clock.advance(MINUTE)
        await borders.deliver_late()
    return heard, borders


async def test_late_messages_all_come_within_their_delay_and_some_overtake_others() -> None:
    heard, _ = await passing("mqtt_late", "to controller", 8.0)
    assert sorted(int(payload) for _, payload in heard) == list(range(20))
    assert [int(payload) for _, payload in heard] != list(range(20))
    assert all(0.0 < minutes <= 9.0 for minutes, _ in heard)


async def test_doubled_messages_come_twice_and_other_directions_are_left_alone() -> None:
    heard, _ = await passing("mqtt_doubled", "to controller", 1.0)
    assert sorted(int(payload) for _, payload in heard) == sorted([*range(20), *range(20)])
    untouched, borders = await passing("mqtt_lost", "from controller", 1.0)
    assert len(untouched) == 20
    assert not borders.lost


async def test_without_a_broker_loxone_takes_its_room_back_and_pems_comes_again() -> None:
    run, borders = house(fault("broker_away", (5, 25), "controller"))
    await run.run(4 * MINUTE)
    assert run.house.state()["rooms"][ROOM]["by_pems"]
    await run.run(6 * MINUTE)
    assert not run.house.state()["rooms"][ROOM]["by_pems"]
    await run.run(19 * MINUTE)
    assert run.house.state()["rooms"][ROOM]["by_pems"]
    assert not borders.mishaps


async def test_without_the_bus_the_controller_goes_on_and_nothing_unexpected_is_raised() -> None:
    run, borders = house(fault("bus_away", (2, 12), "all"))
    await run.run(8 * MINUTE)
    assert mode(run, f"room:{ROOM}")[0] == "rule_based"
    assert run.house.state()["rooms"][ROOM]["by_pems"]
    kept = await run.bus.latest("status", HOME.site.id)
    assert kept is not None
    assert run.clock.now() - kept.at > 4 * MINUTE
    await run.run(8 * MINUTE)
    fresh = await run.bus.latest("status", HOME.site.id)
    assert fresh is not None
    assert run.clock.now() - fresh.at <= MINUTE
    assert all(mishap.expected for mishap in borders.mishaps)


# --- prices, weather, forecasts ----------------------------------------------------------------


def worlds(*faults: Fault, at: float) -> tuple[FaultBorders, FakeClock]:
    borders, clock = borders_of(*faults), FakeClock(START + at * MINUTE)
    borders.open(HOME, clock)
    return borders, clock


def test_a_spike_is_in_the_price_that_is_paid_and_in_the_one_that_is_told() -> None:
    borders, _ = worlds(fault("price_spike", (60, 120), "", 900.0), at=0)
    honest, true, told = world(), borders.truth(world()), borders.told(world())
    inside, after = START + HOUR, START + 2 * HOUR
    assert true.spot_eur_mwh(inside) == pytest.approx((honest.spot_eur_mwh(inside) or 0.0) + 900.0)
    assert told.spot_eur_mwh(inside) == true.spot_eur_mwh(inside)
    assert true.spot_eur_mwh(after) == honest.spot_eur_mwh(after)


def test_prices_that_are_not_published_come_once_it_is_over() -> None:
    noon_to_night = fault("prices_late", (60, 16 * 60))
    borders, clock = worlds(noon_to_night, at=0)
    told, honest = borders.told(world()), world()
    clock.set(START + 12 * HOUR)
    evening = clock.now()
    assert told.published_until(evening) < honest.published_until(evening)
    clock.set(START + 17 * HOUR)
    assert told.published_until(clock.now()) == honest.published_until(clock.now())


def test_a_cold_snap_comes_over_hours_and_no_forecast_knows() -> None:
    borders, _ = worlds(fault("cold_snap", (60, 1200), "", 12.0), at=600)
    true, told, honest = borders.truth(world()), borders.told(world()), world()

    def colder_k(hours: float) -> float:
        at = START + hours * HOUR
        return honest.weather(at).temperature_c - true.weather(at).temperature_c

    assert [colder_k(hours) for hours in (0.5, 2.5, 10.0, 30.0)] == pytest.approx([0.0, 6.0, 12.0, 0.0])
    issued = START + 10 * HOUR
    assert told.weather_forecast(issued, 24) == honest.weather_forecast(issued, 24)


def test_an_old_run_is_told_again_and_a_silent_service_says_nothing() -> None:
    borders, clock = worlds(fault("weather_old", (0, 300), "", 12.0), at=60)
    told, honest = borders.told(world()), world()
    assert told.weather_forecast(clock.now(), 24).run_at == START - 12 * HOUR
    clock.set(START + 6 * HOUR)
    assert told.weather_forecast(clock.now(), 24) == honest.weather_forecast(clock.now(), 24)
    silent, silent_clock = worlds(fault("weather_silent", (0, 300)), at=60)
    with pytest.raises(SourceError):
        silent.told(world()).weather_forecast(silent_clock.now(), 24)


async def forecast_with(*faults: Fault) -> Forecast:
    run, _ = house(*faults)
    await run.run(2 * MINUTE)
    envelope = await run.bus.latest("forecast", HOME.site.id)
    assert envelope is not None
    return read_body(envelope, Forecast)


async def test_biased_forecasts_keep_their_bands_and_are_wrong_by_what_was_drawn() -> None:
    honest = await forecast_with()
    wrong = await forecast_with(
        fault("pv_biased", (0, 60), "", 0.5),
        fault("load_biased", (0, 60), "", 2.0),
        fault("temperature_biased", (0, 60), "", -6.0),
    )
    noon = START + 6 * HOUR
    pv_w, load_w, outdoor_c = (
        [getattr(body, name).p50.at(noon) for body in (honest, wrong)]
        for name in ("pv_power_w", "load_power_w", "outdoor_temperature_c")
    )
    assert pv_w[0] > 100.0
    assert pv_w[1] == pytest.approx(0.5 * pv_w[0], rel=1e-3)
    assert load_w[1] == pytest.approx(2.0 * load_w[0], rel=1e-3)
    assert outdoor_c[1] == pytest.approx(outdoor_c[0] - 6.0, abs=1e-3)
    assert wrong.buy_czk_kwh == honest.buy_czk_kwh


# --- processes and plans -----------------------------------------------------------------------


async def test_a_dead_controller_gives_the_room_to_loxone_and_takes_it_again() -> None:
    run, _ = house(fault("process_dead", (3, 10), "controller"))
    await run.run(8 * MINUTE)
    assert not run.house.state()["rooms"][ROOM]["by_pems"]
    await run.run(4 * MINUTE)
    assert run.house.state()["rooms"][ROOM]["by_pems"]


async def test_a_dead_ingest_and_a_dead_forecaster_say_nothing_new() -> None:
    run, _ = house(fault("process_dead", (3, 40), "ingest"), fault("process_dead", (3, 40), "forecaster"))
    await run.run(25 * MINUTE)
    for type in ("telemetry", "forecast"):
        envelope = await run.bus.latest(type, HOME.site.id)
        assert envelope is not None
        assert run.clock.now() - envelope.at > 20 * MINUTE, type
    assert mode(run, f"room:{ROOM}")[0] == "rule_based"


async def test_a_dead_worker_takes_no_request() -> None:
    borders, _ = worlds(fault("process_dead", (0, 60), "worker"), at=10)
    queue = borders.queue(None)  # type: ignore[arg-type]  # nothing may reach it
    await queue.submit(None)  # type: ignore[arg-type]
    assert borders.lost["requests"] == 1


def a_plan(now: datetime) -> Plan:
    """A modest plan of four hours: heating in each second hour, the battery left alone."""
    slots = 16
    room = RoomPlan(
        relay_on=tuple(i // 4 % 2 == 0 for i in range(slots)),
        temperature_c=(21.0,) * slots,
        comfort_low_c=(20.5,) * slots,
        comfort_high_c=(22.0,) * slots,
    )
    cost = PlanCost(energy=0.0, wear=0.0, peak=0.0, comfort=0.0, switching=0.0, total=0.0)
    battery = BatteryPlan(intent=("self_consume",) * slots, power_w=(0.0,) * slots, soc_pct=(50.0,) * slots)
    return Plan(
        plan_id="p1",
        plan_no=int(now.timestamp() * 1000),
        config_hash=HOME.config_hash(),
        issued_at=now,
        valid_until=now + 2 * HOUR,
        control_until=now + 24 * HOUR,
        start=next_slot_start(now) - timedelta(minutes=15),
        step_s=900,
        slots=slots,
        rooms={ROOM: room},
        battery=battery,
        cost=cost,
        net_cost_czk=0.0,
        peak_import_w=0.0,
        solver=Solver(name="test", status="optimal", objective=0.0, solve_s=0.0, build_s=0.0),
        profile="balanced",
    )


@pytest.mark.parametrize("nonsense", ["all_off", "all_on", "flicker", "drain", "overcharge"])
async def test_a_nonsense_plan_is_followed_only_as_far_as_the_limits_allow(nonsense: str) -> None:
    run, borders = house(fault("plan_nonsense", (0, 60), nonsense, 1.0))
    watch = SentWatch(HOME, START)
    borders.watch_sent = lambda service, message: watch.sent(service, message, run.clock.now())
    borders.watch_heard = lambda service, message: watch.heard(service, message, run.clock.now())
    rates: list[float] = []
    top = f"{HOME.devices.inverter.command_topic}/+/set/powerrate"
    run.broker.add(top, lambda message: _keep(rates, json.loads(message.payload)["value"]))
    await run.run(2 * MINUTE)
    plan = a_plan(run.clock.now())
    published = borders.bus("optimizer", run.bus)
    await published.publish(wrap(plan, site=HOME.site.id, clock=run.clock, source="test"))
    kept = await run.bus.latest("plan", HOME.site.id)
    assert kept is not None
    assert read_body(kept, Plan) != plan
    await run.run(25 * MINUTE, lambda now: watch.look(now, run.controller))
    assert mode(run, "battery") == ("mpc", "plan")
    assert not watch.beyond
    assert HOME.battery is not None
    assert bool(rates) == (nonsense in ("drain", "overcharge"))
    assert all(rate * HOME.battery.device_scale_w / 100.0 <= HOME.control.limits.battery_max_w for rate in rates)


async def test_late_plans_come_late() -> None:
    clock = FakeClock(START)
    borders = borders_of(fault("plans_late", (0, 60), "", 30.0))
    run = HouseRun(HOME, world(), START, planner="mute")
    borders.open(HOME, clock)
    await borders.bus("optimizer", run.bus).publish(wrap(a_plan(START), site=HOME.site.id, clock=clock, source="test"))
    clock.advance(29 * MINUTE)
    await borders.deliver_late()
    assert await run.bus.latest("plan", HOME.site.id) is None
    clock.advance(2 * MINUTE)
    await borders.deliver_late()
    assert await run.bus.latest("plan", HOME.site.id) is not None


# --- devices -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "at_house"),
    [
        ("relay_stuck", "relay_stuck"),
        ("inverter_refuses", "nak"),
        ("inverter_mute", "ack_lost"),
        ("inverter_offline", "inverter_offline"),
        ("inverter_clock", "inverter_clock"),
    ],
)
async def test_the_houses_own_faults_begin_and_end(kind: str, at_house: str) -> None:
    run, _ = house(fault(kind, (1, 3), ROOM if kind == "relay_stuck" else "", 1.0))
    await run.run(2 * MINUTE)
    assert [each.kind for each in run.house.faults.on] == [at_house]
    await run.run(2 * MINUTE)
    assert run.house.faults.on == ()


async def test_deaf_relays_hear_nothing_while_the_inverter_does() -> None:
    run, _ = house(fault("relays_deaf", (0, 30)))
    await run.run(5 * MINUTE)
    assert not run.house.state()["rooms"][ROOM]["by_pems"]
    assert any(topic.startswith(HOME.devices.inverter.command_topic) for topic, _, _ in run.broker.log)
