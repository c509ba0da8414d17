"""A realistic winter day of the first house, as messages: what the page shows in tests and in its pictures.

Nothing is random: the same instant gives the same house. Prices follow a Czech January workday in the tariff of
home.yaml; the plan heats in the cheap hours, charges the battery at night and empties it in the evening.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import cos, exp, pi, sin
from typing import Any

from pems_common.comfort import comfort_band_c, comfort_target_c
from pems_common.home import Home
from pems_common.messages import (
    Alert,
    Band,
    BatteryPlan,
    DeviceMode,
    EvReading,
    Forecast,
    Intent,
    Mode,
    OverrideEntry,
    Plan,
    PlanCost,
    Prices,
    Reason,
    RoomPlan,
    RoomReading,
    Score,
    Series,
    Solver,
    Status,
    Telemetry,
    WaterReading,
    Weather,
)
from pems_common.timegrid import SLOT, slot_range, slot_start

EUR_CZK = 24.6
STEP_S = 900
LEFT = {"hosti": "observe", "zadveri": "suggest", "zachod": "suggest"}  # rooms that the plan leaves to thermostats


@dataclass(frozen=True)
class Slot:
    """What happens in one slot of the made-up day [W, %, C]."""

    at: datetime
    pv_w: float
    load_w: float
    heating_w: float
    battery_w: float
    soc_pct: float
    intent: Intent
    ev_w: float
    water_on: bool
    relays: dict[str, bool]

    @property
    def grid_w(self) -> float:
        water_w = 2000.0 if self.water_on else 0.0
        return self.load_w + self.heating_w + self.ev_w + water_w - self.pv_w - self.battery_w


class SampleHouse:
    """The messages of the house around an instant."""

    def __init__(self, home: Home, now: datetime) -> None:
        self.home = home
        self.now = now
        self.start = slot_start(now) - timedelta(hours=36)
        self.slots = self._live(slot_range(self.start, 4 * (36 + 52)))

    # --- the made-up weather and people

    def hour(self, at: datetime) -> float:
        local = at.astimezone(self.home.site.zone)
        return local.hour + local.minute / 60

    def outdoor_c(self, at: datetime) -> float:
        return round(-2.4 + 3.4 * cos((self.hour(at) - 14.5) / 24 * 2 * pi) - 0.3 * sin(at.timestamp() / 40_000), 1)

    def clear_pv_w(self, at: datetime) -> float:
        hour = self.hour(at)
        if not 7.9 < hour < 16.3:
            return 0.0
        return 7_900 * max(0.0, sin((hour - 7.9) / 8.4 * pi)) ** 1.3

    def pv_w(self, at: datetime) -> float:
        minutes = at.timestamp() / 60
        clouds = 0.78 + 0.14 * sin(minutes / 37) + 0.08 * sin(minutes / 11)
        return self.clear_pv_w(at) * clouds

    def load_w(self, at: datetime) -> float:
        hour, minutes = self.hour(at), at.timestamp() / 60
        morning, evening = exp(-(((hour - 7.2) / 1.1) ** 2)), exp(-(((hour - 19.0) / 1.9) ** 2))
        noon = exp(-(((hour - 12.3) / 0.7) ** 2))
        return 380 + 620 * morning + 900 * evening + 420 * noon + 90 * sin(minutes / 23) + 60 * sin(minutes / 7)

    def spot_eur_mwh(self, at: datetime) -> float:
        hour = self.hour(at)
        morning, evening = exp(-(((hour - 8.2) / 1.5) ** 2)), exp(-(((hour - 18.3) / 2.0) ** 2))
        night = exp(-(((hour - 3.2) / 2.6) ** 2))
        return 92 + 62 * morning + 96 * evening - 34 * night + 6 * sin(hour * 4 * pi / 3)

    def price(self, at: datetime) -> tuple[float, float]:
        return self.home.tariff.prices(self.spot_eur_mwh(at) * EUR_CZK / 1000, at, self.home.site.zone)

    # --- living it

    def _live(self, instants: Sequence[datetime]) -> list[Slot]:
        battery, soc_pct = self.home.battery, 62.0
        slots = []
        for at in instants:
            hour, buy = self.hour(at), self.price(at)[0]
            relays = self._relays(at, buy)
            heating_w = sum(self.home.rooms[name].heat_w for name, on in relays.items() if on)
            water_on = 13.0 <= hour < 14.25 or 2.5 <= hour < 3.25
            ev_w = 3_700.0 if 1.0 <= hour < 3.5 else 0.0
            surplus_w = self.pv_w(at) - self.load_w(at) - heating_w - (2_000 if water_on else 0)
            intent: Intent = "self_consume"
            power_w = max(-5_000.0, min(4_500.0, -surplus_w))
            if 2.0 <= hour < 5.0:
                intent, power_w = "charge_from_grid", -2_600.0
            elif 5.0 <= hour < 6.5:
                intent, power_w = "hold", 0.0
            elif 18.0 <= hour < 18.75 and soc_pct > 55:
                intent, power_w = "discharge_to_grid", 4_600.0
            if battery is not None:
                if (power_w > 0 and soc_pct <= battery.soc_min_pct) or (power_w < 0 and soc_pct >= battery.soc_max_pct):
                    power_w = 0.0
                share = power_w / 4 / battery.capacity_wh * 100
                soc_pct -= share / battery.leg_efficiency if power_w > 0 else share * battery.leg_efficiency
                soc_pct = max(battery.soc_min_pct, min(battery.soc_max_pct, soc_pct))
            slots.append(
                Slot(at, self.pv_w(at), self.load_w(at), heating_w, power_w, soc_pct, intent, ev_w, water_on, relays)
            )
        return slots

    def _relays(self, at: datetime, buy: float) -> dict[str, bool]:
        """Rooms take turns of 45 min; more of them in cheap hours and under the sun, never more than 7 kW."""
        turn = int(at.timestamp() // STEP_S) // 3
        wish = 5 if buy < 2.5 else 4 if self.clear_pv_w(at) > 4_000 else 2 if buy < 3.4 else 1
        total_w, relays = 0.0, {}
        for index, (name, room) in enumerate(self.home.rooms.items()):
            on = (
                (turn * 4 + index * 7) % 17 < wish
                and not (name == "hosti" and turn % 2)
                and total_w + room.heat_w <= 7_000
            )
            total_w += room.heat_w if on else 0.0
            relays[name] = on
        return relays

    def slot(self, at: datetime) -> Slot:
        return self.slots[int((slot_start(at) - self.start) / SLOT)]

    def temperature_c(self, name: str, at: datetime) -> float:
        index = list(self.home.rooms).index(name)
        target_c = comfort_target_c(self.home, name, self.now)
        swing = 0.45 * sin(self.hour(at) / 24 * 2 * pi + index * 1.3) + 0.15 * sin(at.timestamp() / 9_000 + index)
        return round(target_c + 0.25 + swing - (0.75 if name == "zadveri" else 0.0), 1)

    # --- messages

    def telemetry(self, at: datetime) -> Telemetry:
        slot = self.slot(at)
        water_w = 1_960.0 if slot.water_on else 0.0
        load_w = slot.load_w + slot.heating_w + slot.ev_w + water_w
        wobble = 25 * sin(at.timestamp() / 13)
        return Telemetry(
            pv_power_w=round(max(0.0, slot.pv_w + (wobble if slot.pv_w > 100 else 0)), 1),
            load_power_w=round(load_w, 1),
            grid_power_w=round(load_w - slot.pv_w - slot.battery_w - wobble, 1),
            battery_power_w=round(slot.battery_w, 1),
            battery_soc_pct=round(slot.soc_pct),
            battery_temperature_c=19.5,
            inverter_mode="load_first",
            inverter_online=True,
            ev=EvReading(connected=True, soc_pct=64, power_w=slot.ev_w, session_wh=8_200),
            water=WaterReading(temperature_c=48.5, power_w=water_w),
            outdoor_temperature_c=self.outdoor_c(at),
            rooms={
                name: RoomReading(temperature_c=self.temperature_c(name, at), relay_on=slot.relays[name])
                for name in self.home.rooms
            },
        )

    def prices(self) -> Prices:
        zone = self.home.site.zone
        midnight = self.now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight.astimezone(self.now.tzinfo) - timedelta(days=1)
        slots = slot_range(start, 96 * 3)
        known_until = start + timedelta(hours=72)
        return Prices(
            spot_eur_mwh=Series.of(start, STEP_S, [self.spot_eur_mwh(at) for at in slots]),
            eur_czk=EUR_CZK,
            buy_czk_kwh=Series.of(start, STEP_S, [self.price(at)[0] for at in slots]),
            sell_czk_kwh=Series.of(start, STEP_S, [self.price(at)[1] for at in slots]),
            known_until=known_until,
            source="OTE day-ahead",
            tariff_version="2024-01-01",
        )

    def weather(self) -> Weather:
        start = slot_start(self.now, timedelta(hours=1))
        hours = [start + timedelta(hours=i) for i in range(72)]
        return Weather(
            provider="Open-Meteo",
            run_at=start - timedelta(hours=3),
            available_at=start - timedelta(hours=1),
            temperature_c=Series.of(start, 3600, [self.outdoor_c(at) for at in hours]),
            cloud_cover_pct=Series.of(start, 3600, [35.0 for _ in hours]),
            ghi_w_m2=Series.of(start, 3600, [self.clear_pv_w(at) / 14 for at in hours]),
        )

    def forecast(self) -> Forecast:
        start = slot_start(self.now)
        slots = slot_range(start, 192)

        def band(low: list[float], middle: list[float], high: list[float]) -> Band:
            return Band(
                p10=Series.of(start, STEP_S, low),
                p50=Series.of(start, STEP_S, middle),
                p90=Series.of(start, STEP_S, high),
            )

        clear = [self.clear_pv_w(at) for at in slots]
        load = [self.load_w(at) for at in slots]
        buy, sell = [self.price(at)[0] for at in slots], [self.price(at)[1] for at in slots]
        spread = [0.18 + 0.25 * i / 192 for i in range(192)]
        outdoor = [self.outdoor_c(at) for at in slots]
        return Forecast(
            issued_at=self.now - timedelta(minutes=9),
            available_at=self.now - timedelta(minutes=9),
            horizon_s=192 * STEP_S,
            pv_power_w=band(
                [0.74 * v * (1 - s) for v, s in zip(clear, spread, strict=True)],
                [0.76 * v for v in clear],
                [min(v * 1.05, 0.78 * v * (1 + s)) for v, s in zip(clear, spread, strict=True)],
            ),
            load_power_w=band([0.72 * v for v in load], [0.97 * v for v in load], [1.4 * v for v in load]),
            buy_czk_kwh=band([v - 0.45 for v in buy], buy, [v + 0.55 for v in buy]),
            sell_czk_kwh=band([v - 0.45 for v in sell], sell, [v + 0.55 for v in sell]),
            outdoor_temperature_c=band([v - 1 for v in outdoor], outdoor, [v + 1 for v in outdoor]),
            models={
                "pv": "pv-20260114T013700",
                "load": "climatology-1",
                "price": "similar-days-1",
                "temperature": "nwp-1",
            },
            coverage={
                "pv": {"1": 80.9, "2": 78.6},
                "load": {"1": 79.4, "2": 76.3},
                "price": {"1": 68.5, "2": 74.0},
                "temperature": {"1": 83.0, "2": 90.2},
            },
        )

    def scores(self) -> list[Score]:
        """Yesterday's forecasts: the price was worse than "as yesterday", the rest better."""
        days = (
            ("pv", "physics-1", 412.0, 0.38),
            ("load", "climatology-1", 138.0, 0.17),
            ("price", "similar-days-1", 11.4, -0.08),
            ("temperature", "nwp-1", 0.84, 0.55),
        )
        return [
            Score(
                kind=f"forecast.{kind}",
                window="1d",
                metrics={"mae_day1": mae, "skill_day1": skill},
                model=model,
                baseline="persistence",
            )
            for kind, model, mae, skill in days
        ]

    def room_models(self) -> dict[str, Any]:
        """What the forecaster's REST tells of all rooms; those with fewer fields test that nothing breaks."""
        rooms = [self._room_model(k, name) for k, name in enumerate(self.home.rooms)]
        return {"rooms": rooms, "identified_at": (self.now - timedelta(hours=7)).isoformat(), "job": None}

    def _room_model(self, k: int, name: str) -> dict[str, Any]:
        if name == "spajz":
            return {"room": name, "tier": "prior"}
        tier = LEFT.get(name, "control")
        mae_c = {"control": 0.18 + 0.01 * (k % 7), "suggest": 0.52, "observe": 0.91}[tier]
        warnings = {
            "hosti": ["the relay reports on, but the room does not get warmer: look at the heating circuit"],
            "zadveri": ["the sensor changes in steps of 0.5 C"],
        }
        return {
            "room": name,
            "tier": tier,
            "since": (self.now - timedelta(days=3 + k)).isoformat(),
            "version": "rooms-20260115T0213",
            "evidence": {"mae_24h_c": mae_c, "simple_mae_24h_c": 0.62, "days": 21.0, "excitation": 0.8 - 0.03 * k},
            "p95_24h_c": 2.4 * mae_c,
            "loss_w_k": 12.0 + 3 * (k % 9),
            "time_constant_h": 38.0 + 7 * (k % 11),
            "heater_w": self.home.rooms[name].heat_w,
            "warnings": warnings.get(name, []),
            "left_out_h": {"window open": 3.5, "stuck sensor": 0.2} if k % 3 == 0 else {},
            "methods": {"model": 0.7, "arx": 0.3},
        }

    def room_model(self, name: str) -> dict[str, Any]:
        """The same of one room, with its parameters and a picture of ten days."""
        base = next(m for m in self.room_models()["rooms"] if m["room"] == name)
        if name == "spajz":
            return base
        start = (self.now - timedelta(days=10)).replace(minute=0, second=0, microsecond=0)
        hours = [start + timedelta(hours=k) for k in range(240)]
        measured: list[float | None] = [self._told_c(name, at) for at in hours]
        off = base["evidence"]["mae_24h_c"]
        predicted = [round(self._told_c(name, at) + 1.4 * off * sin(at.timestamp() / 31_000), 2) for at in hours]
        yesterday = [None if k < 24 else measured[k - 24] for k in range(240)]
        measured[100:112] = [None] * 12
        parameters = {
            "rea_k_w": {"value": 0.0222, "low": 0.0205, "high": 0.0241, "unit": "K/W"},
            "ria_k_w": {"value": 0.0048, "low": 0.0031, "high": 0.0067, "unit": "K/W"},
            "ci_j_k": {"value": 1.9e6, "low": 1.2e6, "high": 2.8e6, "unit": "J/K"},
            "cm_j_k": {"value": 9.7e6, "low": 8.1e6, "high": 1.2e7, "unit": "J/K"},
        }
        picture = {
            "start": start.isoformat(),
            "step_s": 3600,
            "measured_c": measured,
            "predicted_c": predicted,
            "yesterday_c": yesterday,
        }
        return {**base, "parameters": parameters, "picture": picture}

    def _told_c(self, name: str, at: datetime) -> float:
        swing = 0.6 * cos((self.hour(at) - 16) / 24 * 2 * pi) + 0.5 * sin(at.timestamp() / 190_000)
        return round(self.home.rooms[name].day_c - 0.6 + swing, 2)

    def plan(self, *, fallback: bool = False, age: timedelta = timedelta(minutes=11)) -> Plan:
        issued_at = self.now - age
        start = slot_start(issued_at + timedelta(seconds=5))
        slots = [self.slot(at) for at in slot_range(start, 192)]
        rooms = {
            name: RoomPlan(
                relay_on=tuple(s.relays[name] for s in slots),
                temperature_c=tuple(self.temperature_c(name, s.at) for s in slots),
                comfort_low_c=tuple(comfort_band_c(self.home, name, s.at)[0] for s in slots),
                comfort_high_c=tuple(comfort_band_c(self.home, name, s.at)[1] for s in slots),
            )
            for name in self.home.rooms
            if name not in LEFT
        }
        money = sum(
            max(0.0, s.grid_w) / 4000 * self.price(s.at)[0] - max(0.0, -s.grid_w) / 4000 * self.price(s.at)[1]
            for s in slots
        )
        wear = sum(max(0.0, s.battery_w) / 4000 for s in slots)
        total = money + wear + 14.2
        return Plan(
            plan_id=f"plan-{int(issued_at.timestamp())}",
            plan_no=int(issued_at.timestamp() * 1000),
            config_hash=self.home.config_hash(),
            issued_at=issued_at,
            valid_until=issued_at + timedelta(hours=2),
            control_until=issued_at + timedelta(hours=24),
            start=start,
            step_s=STEP_S,
            slots=len(slots),
            rooms=rooms,
            battery=BatteryPlan(
                intent=tuple(s.intent for s in slots),
                power_w=tuple(s.battery_w for s in slots),
                soc_pct=tuple(s.soc_pct for s in slots),
            ),
            grid_power_w=tuple(s.grid_w for s in slots),
            ev_power_w=tuple(s.ev_w for s in slots),
            water_on=tuple(s.water_on for s in slots),
            cost=PlanCost(energy=money, wear=wear, peak=9.1, comfort=2.3, switching=2.8, total=total),
            net_cost_czk=money,
            peak_import_w=max(s.grid_w for s in slots),
            self_consumption_rate=0.83,
            baseline_total_czk=total * 1.24,
            solver=Solver(
                name="rules" if fallback else "relaxed-lp+dp",
                status="fallback" if fallback else "incumbent",
                objective=total,
                gap_rel=0.011,
                gap_czk=total * 0.011,
                bound_kind="estimate",
                solve_s=1.3,
                build_s=0.2,
            ),
            profile="balanced",
            reasons={
                str(i): (
                    Reason(code="pv_surplus", params={"pv_w": round(s.pv_w), "heat_w": round(s.heating_w)}),
                    Reason(code="preheat", params={"before": "dearer_hours", "buy_later_czk_kwh": 5.25}),
                )
                for i, s in enumerate(slots)
                if s.pv_w > 1_000
            },
            fallback_mode=fallback,
        )

    def status(self, overrides: Sequence[OverrideEntry] = (), *, mode: Mode = "mpc", why: str = "plan") -> Status:
        now, slot = self.now, self.slot(self.now)
        since = now - timedelta(hours=3, minutes=12)
        manual = {entry.device: entry for entry in overrides}
        devices: dict[str, DeviceMode] = {}
        for device in self.home.device_names:
            kind, _, name = device.partition(":")
            action: dict[str, object]
            if kind == "room":
                action = {"action": "on" if slot.relays[name] else "off"}
            elif kind == "battery":
                action = {"action": slot.intent}
                if slot.intent in {"charge_from_grid", "discharge_to_grid"}:
                    action["power_w"] = abs(slot.battery_w)
            elif kind == "ev":
                action = {"action": "charge", "power_w": slot.ev_w} if slot.ev_w else {"action": "off"}
            else:
                action = {"action": "on" if slot.water_on else "off"}
            if device in manual:
                entry = manual[device]
                devices[device] = DeviceMode(
                    mode="manual", since=now, why="override", until=entry.until, action={"action": entry.action}
                )
            else:
                left = name in LEFT and mode == "mpc"
                devices[device] = DeviceMode(
                    mode="rule_based" if left else mode,
                    since=since,
                    why="model_not_trusted" if left else why,
                    action=action,
                )
        worst: Mode = "rule_based" if mode == "mpc" else mode
        return Status(
            house_mode=worst,
            devices=devices,
            plan_id="plan",
            plan_age_s=660,
            telemetry_age_s=3,
            overrides=tuple(overrides),
            armed=True,
            shadow=False,
            rollout=("*",),
            tick_ms=14,
            uptime_s=11_000,
        )

    def alerts(self) -> list[Alert]:
        now = self.now
        return [
            Alert(
                code="state_unknown",
                severity="warning",
                text="no fresh state of room:zadveri",
                remedy="look after its sensor, the gateway and the broker",
                device="room:zadveri",
                raised_at=now - timedelta(minutes=18),
            ),
            Alert(
                code="plan_late",
                severity="info",
                text="Plans came late for 9 min; the house kept to the last one.",
                raised_at=now - timedelta(hours=7, minutes=40),
                cleared_at=now - timedelta(hours=7, minutes=31),
            ),
        ]

    def history(self, names: Sequence[str], start: datetime, end: datetime) -> dict[str, list[float | None]]:
        """Slot means of `[start, end)`, as ingest would answer."""
        found: dict[str, list[float | None]] = {name: [] for name in names}
        at = start
        while at < end:
            telemetry = self.telemetry(at) if self.start <= at < self.slots[-1].at else None
            for name in names:
                found[name].append(None if telemetry is None else _value(telemetry, name))
            at += SLOT
        return found


def _value(telemetry: Telemetry, name: str) -> float | None:
    if name.startswith("room."):
        _, room, what = name.split(".")
        reading = telemetry.rooms.get(room)
        value = getattr(reading, what, None) if reading else None
        return None if value is None else float(value)
    if name == "ev.power_w":
        return telemetry.ev.power_w if telemetry.ev else None
    if name == "water.power_w":
        return telemetry.water.power_w if telemetry.water else None
    value = getattr(telemetry, name, None)
    return float(value) if isinstance(value, int | float) else None


def switches(relays: Sequence[bool]) -> int:
    """How often a relay changes."""
    return sum(a != b for a, b in pairwise(relays))
