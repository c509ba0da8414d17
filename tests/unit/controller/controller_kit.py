"""What the controller's tests share: a small home, a scripted inverter, plans, prices."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.home import Home, load_home, parse_home
from pems_common.messages import BatteryPlan, Envelope, Plan, PlanCost, Prices, RoomPlan, Series, Solver, wrap
from pems_common.mqtt import MemoryBroker, MemoryMqtt, MqttMessage
from pems_controller.adapters.store import ControllerStore
from pems_controller.handlers import ControllerHandlers

START = datetime(2026, 1, 14, 11, 0, tzinfo=UTC)  # noon in Prague, a Wednesday in winter
ROOT = Path(__file__).parents[3]

HOME_TEXT = """
site: {id: test, latitude: 49.5, longitude: 17.4}
pv: {roofs: [{name: south, peak_w: 7000, tilt_deg: 35, azimuth_deg: 180}]}
battery: {capacity_wh: 10000}
ev: {}
water: {}
rooms:
  big: {relay_w: 3000, area_m2: 40, day_c: 22, night_c: 20}
  small: {relay_w: 1000, area_m2: 10, day_c: 21, night_c: 19}
tariff:
  versions:
    - valid_from: 2024-01-01
      low_windows: [{start: "00:00", end: "10:00"}]
      high_addition_czk_kwh: 0.9
      low_addition_czk_kwh: 0.3
control: {armed: true}
"""


def small_home(**control: Any) -> Home:
    home = parse_home(HOME_TEXT)
    return home.model_copy(update={"control": home.control.model_copy(update=control)})


def first_house() -> Home:
    home = load_home(ROOT / "config" / "home.yaml")
    return home.model_copy(update={"control": home.control.model_copy(update={"armed": True})})


def inverter_state(**changes: Any) -> str:
    state = {
        "InverterStatus": 6,
        "InputPower": 0,
        "SOC": 60,
        "ChargePower": 0,
        "DischargePower": 500,
        "ACPowerToUser": 0,
        "ACPowerToGrid": 0,
        "INVPowerToLocalLoad": 500,
        "BatteryTemperature": 20,
    }
    return json.dumps({**state, **changes})


def prices(start: datetime, values: list[float]) -> Prices:
    buy = Series.of(start, 900, values)
    return Prices(
        spot_eur_mwh=buy,
        eur_czk=24.5,
        buy_czk_kwh=buy,
        sell_czk_kwh=buy,
        known_until=buy.end,
        source="test",
        tariff_version="1",
    )


def make_plan(home: Home, at: datetime, **changes: Any) -> Plan:
    """A plan of 96 slots from the quarter hour that holds `at`: rooms off near 21 C, battery self-consuming at 60 %."""
    slots = int(changes.pop("slots", 96))
    start = at - timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
    room = RoomPlan(
        relay_on=(False,) * slots,
        temperature_c=(21.0,) * slots,
        comfort_low_c=(20.5,) * slots,
        comfort_high_c=(23.0,) * slots,
    )
    fields: dict[str, Any] = {
        "plan_id": f"plan-{at.isoformat()}",
        "plan_no": int(at.timestamp() * 1000),
        "config_hash": home.config_hash(),
        "issued_at": at,
        "valid_until": at + timedelta(hours=2),
        "control_until": at + timedelta(hours=24),
        "start": start,
        "step_s": 900,
        "slots": slots,
        "rooms": dict.fromkeys(home.rooms, room),
        "battery": BatteryPlan(intent=("self_consume",) * slots, power_w=(0.0,) * slots, soc_pct=(60.0,) * slots),
        "ev_power_w": (0.0,) * slots,
        "water_on": (False,) * slots,
        "cost": PlanCost(energy=0, wear=0, peak=0, comfort=0, switching=0, total=0),
        "net_cost_czk": 0.0,
        "peak_import_w": 0.0,
        "solver": Solver(name="test", status="optimal", objective=0, solve_s=0, build_s=0),
        "profile": "balanced",
    }
    return Plan(**{**fields, **changes})


def battery_plan(intent: str, slots: int = 96, *, power_w: float = 3000.0, soc_pct: float = 60.0) -> BatteryPlan:
    intents: Any = (intent,) * slots
    return BatteryPlan(intent=intents, power_w=(power_w,) * slots, soc_pct=(soc_pct,) * slots)


@dataclass
class ScriptedInverter:
    """Answers commands as the first house's Growatt does; `script` may change or swallow an answer."""

    mqtt: MemoryMqtt
    written: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    registers: dict[str, Any] = field(default_factory=dict)
    clock_text: str | None = None
    script: Callable[[str, dict[str, Any], int], dict[str, Any] | None] | None = None
    answers: bool = True

    def __post_init__(self) -> None:
        self.mqtt.subscribe("energy/solar/command/#", self._on_command)

    async def _on_command(self, message: MqttMessage) -> None:
        name = message.topic.removeprefix("energy/solar/command/")
        params = json.loads(message.payload)
        correlation_id = params.pop("correlationId")
        if "get" in name:
            self.asked.append(name)
        else:
            self.written.append((name, params))
        answer: dict[str, Any] | None = {"success": True, "message": "ok"}
        if self.script is not None:
            answer = self.script(name, params, len(self.written))
        if answer is None or not self.answers:
            return
        if answer["success"]:
            answer = {**answer, **self._do(name, params)}
        body = {"correlationId": correlation_id, "command": name, **answer}
        await self.mqtt.publish("energy/solar/result", json.dumps(body), retain=True)

    def _do(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        kind, _, rest = name.partition("/")
        if rest == "get" and kind == "datetime":
            return {"value": self.clock_text} if self.clock_text else {"success": False}
        if rest == "get":
            slot = self.registers.get(f"{kind}/timeslot", {"start": "00:00", "stop": "00:00", "enabled": False})
            return {
                "powerRate": self.registers.get(f"{kind}/powerrate", 100),
                "stopSOC": self.registers.get(f"{kind}/stopsoc", 100),
                "acChargeEnabled": self.registers.get(f"{kind}/acchargeenabled", 0),
                "timeSlots": [{k: slot[k] for k in ("start", "stop", "enabled")}],
            }
        what = rest.removeprefix("set/")
        self.registers[f"{kind}/{what}"] = params if what in {"timeslot", "set", ""} else params.get("value")
        return {}

    @property
    def mode(self) -> str:
        """Mode by the enabled timeslot."""
        on = [k for k in ("batteryfirst", "gridfirst") if self.registers.get(f"{k}/timeslot", {}).get("enabled")]
        assert len(on) <= 1, "only one timeslot may be enabled"
        return on[0] if on else "load_first"

    def names(self) -> list[str]:
        return [name for name, _ in self.written]


@dataclass
class Rig:
    """A controller on memory ports, with a scripted inverter."""

    home: Home = field(default_factory=small_home)
    start: datetime = START
    store: ControllerStore = field(default_factory=lambda: ControllerStore(None))
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    armed_env: bool = True
    instance: str = "one"
    background: bool = False
    clock: FakeClock = field(init=False)
    bus: MemoryBus = field(init=False)
    inverter: ScriptedInverter = field(init=False)
    controller: ControllerHandlers = field(init=False)

    def __post_init__(self) -> None:
        self.clock = FakeClock(self.start)
        self.bus = MemoryBus(self.clock)
        self.inverter = ScriptedInverter(self.broker.client())
        self.outside = self.broker.client()
        self.build()

    def build(self, instance: str | None = None) -> ControllerHandlers:
        """Make a new controller on the same store and broker (a restarted process)."""
        self.mqtt = self.broker.client()
        self.controller = ControllerHandlers(
            self.home,
            self.clock,
            self.bus,
            self.mqtt,
            self.store,
            armed_env=self.armed_env,
            instance=instance or self.instance,
            background=self.background,
        )
        return self.controller

    def kill(self) -> None:
        """The process dies: nothing of it hears MQTT any more."""
        own = {handler for _, handler in self.mqtt._own}
        self.broker.handlers[:] = [(f, h) for f, h in self.broker.handlers if h not in own]

    async def restart(self) -> ControllerHandlers:
        """Kill -9 and start again."""
        self.kill()
        controller = self.build()
        await controller.start()
        await self.mqtt.start()
        return controller

    async def sense(self, *, temperature_c: float | None = 21.0, **inverter: Any) -> None:
        """Every device speaks once."""
        if temperature_c is not None:
            for room in self.home.rooms:
                await self.room(room, temperature_c)
        await self.outside.publish("loxone/outdoor/temperature", "0.0", retain=True)
        await self.outside.publish("energy/solar", inverter_state(**inverter), retain=True)
        await self.outside.publish("ev/state", '{"connected": false, "power_w": 0, "session_wh": 0}', retain=True)
        await self.outside.publish("water/state", '{"temperature_c": 50, "power_w": 0}', retain=True)

    async def room(self, room: str, temperature_c: float) -> None:
        await self.outside.publish(f"loxone/temperature/{room}", f"{temperature_c}", retain=True)

    async def give(self, body: Any) -> None:
        """A message comes by the bus."""
        envelope = wrap(body, site=self.home.site.id, clock=self.clock, source="test@1")
        await self.bus.publish(envelope)
        await self.controller.on_state(envelope)

    async def tick(self, minutes: float = 1.0, **sense: Any) -> None:
        """Time goes on, devices speak, the controller ticks."""
        self.clock.advance(timedelta(minutes=minutes))
        await self.sense(**sense)
        await self.controller.tick()

    def sent(self, prefix: str = "pems/relay/") -> list[tuple[str, str]]:
        """Commands so far, and forget them."""
        found = [(t, p.decode()) for t, p, _ in self.broker.log if t.startswith(prefix)]
        self.broker.log.clear()
        return found

    def mode(self, device: str) -> str:
        status = self.controller.status
        assert status is not None
        return status.devices[device].mode

    def why(self, device: str) -> str:
        status = self.controller.status
        assert status is not None
        return status.devices[device].why

    def relay(self, room: str) -> bool | None:
        return self.controller._live.relay(f"room:{room}").on


async def started(rig: Rig) -> Rig:
    """Start the rig's controller with everything sensed."""
    await rig.controller.start()
    await rig.mqtt.start()
    await rig.sense()
    return rig


def envelope_of(rig: Rig, body: Any) -> Envelope:
    return wrap(body, site=rig.home.site.id, clock=rig.clock, source="test@1")
