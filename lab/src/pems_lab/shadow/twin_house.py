"""The house of a twin: rooms by their published models, the battery as a plan counts with it, car and tank.

It lives through a day that has been: PV, household, prices, weather and the car's trips are what they really were. What
it does otherwise than the real house it does alike for every configuration that lives in it, so that it falls out of
their difference. A step is a tick of the controller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import EvReading, RoomReading, Telemetry, WaterReading
from pems_common.timegrid import SLOT
from pems_controller.domain import state as seen
from pems_controller.domain.state import BatteryWish, EvWish, HouseState, RelayState, WaterWish, Wish
from pems_lab.shadow.twin_day import DayTruth
from pems_lab.shadow.twin_rooms import TwinRooms
from pems_optimizer.domain.battery_flow import way_of
from pems_optimizer.domain.battery_kernel import CHARGE, DISCHARGE, HOLD, OFF, Rules, Slot, follow
from pems_optimizer.domain.flexible_devices import battery_spec
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.known import Known
from pems_optimizer.domain.problem import BatterySpec

__all__ = ["TwinAccount", "TwinHouse"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_WH_L_K = 1.163  # heat capacity of water
_ABOVE_TOP_K = 0.5
_PAUSED = BatteryWish("self_consume")


@dataclass
class TwinAccount:
    """What a twin's day amounted to. Room arrays are (R,).

    Attributes:
        wh: Energies: `import`, `export`, `pv_possible`, `pv_used`, `battery_in`, `battery_out` (AC side), `heating`,
            `ev`, `water`, `household`, and of the rooms' nodes `rooms_lost`, `rooms_gained` (all but their heaters).
        cost_czk, bought_czk: Paid at the meter, and for import alone.
        slot_import_wh: Import by slot (T,).
        below_k_h, above_k_h: Outside the live configuration's comfort band.
        air_k_h: Air temperature times time.
        switchings: Of the relays.
        broken_s: Seconds beyond hard limits.
        cold_water_k_h: Below the tank's least temperature.
        ev_missed_wh: Missing to the car's target when it left.
    """

    wh: dict[str, float]
    slot_import_wh: Floats
    below_k_h: Floats
    above_k_h: Floats
    air_k_h: Floats
    switchings: NDArray[np.int64]
    cost_czk: float = 0.0
    bought_czk: float = 0.0
    broken_s: float = 0.0
    cold_water_k_h: float = 0.0
    ev_missed_wh: float = 0.0


class TwinHouse:
    """One house through one day, told at each tick what to do."""

    def __init__(self, home: Home, truth: DayTruth, *, tick: timedelta = timedelta(minutes=1)) -> None:
        """Begin at the day's first instant.

        Raises:
            PermanentError: A room has no model or no state, or the tick is no part of a slot.
        """
        if tick <= timedelta() or SLOT % tick:
            raise PermanentError(f"a slot has no whole number of ticks of {tick}")
        self.home, self.truth, self.at, self.tick = home, truth, truth.start, tick
        self._hours = tick / timedelta(hours=1)
        self.rooms = TwinRooms(home, truth, tick)
        known = Known(forecast=None, telemetry=Telemetry(battery_soc_pct=truth.soc_pct))
        self.battery, _ = battery_spec(home, known, None, None, Horizon(truth.start, 1, 0, home.site.zone), 0.0)
        self.energy_wh = 0.0 if self.battery is None else self.battery.energy_wh
        self.car_wh = self._car_begin_wh()
        self.session_wh = 0.0
        self.tank_c = 0.0 if truth.tank is None else truth.tank.temperature_c
        self.water_on, self._water_since = False, truth.start - timedelta(days=1)
        self.ev_w = self.battery_w = self.grid_w = self.pv_used_w = self._load_w = 0.0
        count = len(self.rooms.names)
        self.account = TwinAccount(
            wh=dict.fromkeys(
                (
                    "import", "export", "pv_possible", "pv_used", "battery_in", "battery_out", "heating", "ev", "water",
                    "household", "rooms_lost", "rooms_gained",
                ),
                0.0,
            ),
            slot_import_wh=np.zeros(truth.slots),
            below_k_h=np.zeros(count),
            above_k_h=np.zeros(count),
            air_k_h=np.zeros(count),
            switchings=np.zeros(count, dtype=np.int64),
        )  # fmt: skip
        self.begun = self.stored_wh()

    def _car_begin_wh(self) -> float:
        ev, car = self.home.ev, self.truth.car
        return 0.0 if ev is None or car is None or car.soc_pct is None else car.soc_pct / 100.0 * ev.capacity_wh

    @property
    def slot(self) -> int:
        """The slot that holds this instant."""
        return int((self.at - self.truth.start) // SLOT)

    @property
    def soc_pct(self) -> float | None:
        """State of charge of the battery; None without one."""
        return None if self.battery is None else 100.0 * self.energy_wh / self.battery.capacity_wh

    def stored_wh(self) -> dict[str, float]:
        """Return what rooms (above 0 C), battery, car and tank hold."""
        water = self.home.water
        tank = 0.0 if water is None or self.truth.tank is None else water.volume_l * _WH_L_K * self.tank_c
        return {"rooms": self.rooms.stored_wh(), "battery": self.energy_wh, "ev": self.car_wh, "water": tank}

    # --- what is seen --------------------------------------------------------------------------

    def _car_here(self) -> bool:
        car = self.truth.car
        return (
            self.home.ev is not None and car is not None and bool(car.connected[min(self.slot, self.truth.slots - 1)])
        )

    def _car_soc_pct(self) -> float | None:
        ev, car = self.home.ev, self.truth.car
        return None if ev is None or car is None or car.soc_pct is None else 100.0 * self.car_wh / ev.capacity_wh

    def _water_w(self) -> float:
        water = self.home.water
        return water.power_w / water.cop if water is not None and self.water_on else 0.0

    def house_state(self) -> HouseState:
        """Return the house as a controller sees it."""
        rooms = self.rooms
        seen_rooms = {
            name: seen.RoomState(
                float(rooms.air_c[r]), True, RelayState(bool(rooms.relay_on[r]), rooms.held_s(r, self.at))
            )
            for r, name in enumerate(rooms.names)
        }
        slot = min(self.slot, self.truth.slots - 1)
        draws = {f"room:{name}": float(w) for name, w in zip(rooms.names, rooms.heat_w, strict=True)}
        battery = seen.BatteryState()
        if self.battery is not None:
            battery = seen.BatteryState(
                True, self.soc_pct, self.battery_w, self.grid_w, self.pv_used_w, self._load_w, None
            )
        tank = self.truth.tank is not None and self.home.water is not None
        relay = RelayState(self.water_on, (self.at - self._water_since).total_seconds())
        return HouseState(
            at=self.at,
            rooms=seen_rooms,
            battery=battery,
            ev=seen.EvState(self.home.ev is not None, self._car_here(), self._car_soc_pct(), self.ev_w),
            water=seen.WaterState(tank, self.tank_c if tank else None, self._water_w(), relay),
            outdoor_c=float(self.truth.outdoor_c[slot]),
            controlled_w=draws | {"ev": self.ev_w, "water": self._water_w()},
        )

    def telemetry(self) -> Telemetry:
        """Return the house as a planner sees it."""
        slot = min(self.slot, self.truth.slots - 1)
        tank = self.truth.tank is not None and self.home.water is not None
        return Telemetry(
            pv_power_w=self.pv_used_w,
            load_power_w=self._load_w,
            grid_power_w=self.grid_w,
            battery_power_w=self.battery_w,
            battery_soc_pct=self.soc_pct,
            inverter_online=True,
            ev=EvReading(
                connected=self._car_here(), soc_pct=self._car_soc_pct(), power_w=self.ev_w, session_wh=self.session_wh
            )
            if self.home.ev is not None and self.truth.car is not None
            else None,
            water=WaterReading(temperature_c=self.tank_c, power_w=self._water_w()) if tank else None,
            outdoor_temperature_c=float(self.truth.outdoor_c[slot]),
            rooms={
                name: RoomReading(temperature_c=float(self.rooms.air_c[r]), relay_on=bool(self.rooms.relay_on[r]))
                for r, name in enumerate(self.rooms.names)
            },
        )

    # --- what happens --------------------------------------------------------------------------

    def step(self, wishes: Mapping[str, Wish]) -> None:
        """Live through one tick; devices that nothing is wished of stay as they are, the battery at load first.

        Raises:
            ValueError: The day is over.
        """
        if self.at >= self.truth.end:
            raise ValueError(f"{self.truth.day} is over")
        slot = self.slot
        self._switch(wishes)
        heat_w = self.rooms.heat_w
        self._step_car(wishes, slot)
        water_w = self._water_w()
        load_w = float(self.truth.load_w[slot] + heat_w.sum()) + self.ev_w + water_w
        wish = wishes.get("battery", _PAUSED)
        self._settle(wish if isinstance(wish, BatteryWish) else _PAUSED, load_w, slot)
        lost_w, gained_w = self.rooms.step(slot)
        self.account.wh["rooms_lost"] += lost_w * self._hours
        self.account.wh["rooms_gained"] += gained_w * self._hours
        self._step_tank(slot)
        self._count(slot, heat_w, water_w)
        self.at += self.tick

    def _switch(self, wishes: Mapping[str, Wish]) -> None:
        self.account.switchings += self.rooms.switch(wishes, self.at)
        wish = wishes.get("water")
        water, tank = self.home.water, self.truth.tank
        if water is None or tank is None:
            return
        top = max(water.target_c, 0.0 if water.hygiene is None else water.hygiene.temperature_c) + _ABOVE_TOP_K
        on = (wish.on if isinstance(wish, WaterWish) else self.water_on) and self.tank_c < top
        if on != self.water_on:
            self.water_on, self._water_since = on, self.at

    def _step_car(self, wishes: Mapping[str, Wish], slot: int) -> None:
        ev, car, wish = self.home.ev, self.truth.car, wishes.get("ev")
        self.ev_w = 0.0
        if ev is None or car is None:
            return
        if self.at == self.truth.start + slot * SLOT and slot > 0:
            was, here = bool(car.connected[slot - 1]), bool(car.connected[slot])
            if was and not here:
                self.account.ev_missed_wh += self._missing_wh()
            if here and not was:
                self.car_wh, self.session_wh = self.car_wh - float(car.driven_wh[slot]), 0.0
        if not car.connected[slot] or not isinstance(wish, EvWish) or wish.power_w < ev.power_min_w:
            return
        power = min(wish.power_w, ev.power_max_w)
        if car.soc_pct is not None:
            power = min(power, max(0.0, ev.capacity_wh - self.car_wh) / ev.efficiency / self._hours)
        self.ev_w = power
        self.session_wh += power * self._hours
        self.car_wh += power * self._hours * ev.efficiency

    def _missing_wh(self) -> float:
        """What the car lacks at the plug when it leaves."""
        ev = self.home.ev
        if ev is None:
            return 0.0
        if self._car_soc_pct() is None:
            return max(0.0, ev.usual_wh_day / ev.efficiency - self.session_wh)
        return max(0.0, ev.target_soc_pct / 100.0 * ev.capacity_wh - self.car_wh) / ev.efficiency

    def _settle(self, wish: BatteryWish, load_w: float, slot: int) -> None:
        """Let battery, PV and grid follow a wish."""
        home, truth = self.home, self.truth
        pv_w = float(truth.pv_w[slot])
        export_w = home.grid.export_limit_w if wish.export else 0.0
        cap_w = export_w if home.pv.curtailable else np.inf
        power_w, way = 0.0, way_of(wish.intent)
        if self.battery is not None:
            way = self._arrived(wish, way)
            power_w = self._battery_power_w(self.battery, way, wish.power_w, (load_w, pv_w, cap_w), slot)
        need_w = load_w - power_w
        used_w = 0.0 if way == OFF else min(pv_w, max(need_w, 0.0) + cap_w)
        self.battery_w, self.pv_used_w, self.grid_w, self._load_w = power_w, used_w, need_w - used_w, load_w

    def _arrived(self, wish: BatteryWish, way: int) -> int:
        """Return what the inverter does: a mode with a stop SoC leaves the battery alone once it is reached."""
        soc, stop = self.soc_pct, wish.stop_soc_pct
        if soc is None or stop is None:
            return way
        done = (way == CHARGE and soc >= stop) or (way == DISCHARGE and soc <= stop)
        return HOLD if done else way

    def _battery_power_w(
        self, battery: BatterySpec, way: int, level_w: float, flows: tuple[float, float, float], slot: int
    ) -> float:
        load_w, pv_w, cap_w = flows
        if way == OFF:
            return 0.0
        limits = float(battery.charge_limit_w(1)[0]), float(battery.discharge_limit_w(1)[0])
        prices = float(self.truth.buy[slot]), float(self.truth.sell[slot])
        row = Slot(load_w, pv_w, 0.0, *prices, cap_w, -np.inf, *limits)
        power_w, _, after = follow(way, level_w, row, self.energy_wh, self._rules(battery))
        most_w = max(load_w - pv_w, 0.0) + self.home.grid.export_limit_w
        if way == DISCHARGE and power_w > most_w:
            power_w, _, after = follow(way, most_w, row, self.energy_wh, self._rules(battery))
        self.energy_wh = after
        return power_w

    def _rules(self, battery: BatterySpec) -> Rules:
        return Rules(
            dt_h=self._hours,
            kwh=self._hours / 1000.0,
            min_wh=battery.min_wh,
            max_wh=battery.max_wh,
            charge_efficiency=battery.charge_efficiency,
            discharge_efficiency=battery.discharge_efficiency,
            full_charge_w=battery.charge_max_w,
            taper_from_wh=battery.taper_from_wh,
            taper_per_h=battery.taper_per_h,
            wear_czk_kwh=0.0,
            reserve_wh=0.0,
            reserve_czk_kwh_h=0.0,
            inverter_max_w=self.home.pv.inverter_ac_limit_w,
            import_max_w=np.inf,
            export_max_w=self.home.grid.export_limit_w,
            export_czk_kwh=0.0,
            overload_czk_kwh=0.0,
            peak_w=np.inf,
            peak_czk_w=0.0,
        )

    def _step_tank(self, slot: int) -> None:
        water, tank = self.home.water, self.truth.tank
        if water is None or tank is None:
            return
        heat_w = water.power_w if self.water_on else 0.0
        self.tank_c += (heat_w - float(tank.drain_w[slot])) * self._hours / (water.volume_l * _WH_L_K)
        self.account.cold_water_k_h += max(0.0, water.min_c - self.tank_c) * self._hours

    def _count(self, slot: int, heat_w: Floats, water_w: float) -> None:
        told, hours, truth = self.account, self._hours, self.truth
        imported, exported = max(self.grid_w, 0.0), max(-self.grid_w, 0.0)
        flows = {
            "import": imported,
            "export": exported,
            "pv_possible": float(truth.pv_w[slot]),
            "pv_used": self.pv_used_w,
            "battery_in": max(-self.battery_w, 0.0),
            "battery_out": max(self.battery_w, 0.0),
            "heating": float(heat_w.sum()),
            "ev": self.ev_w,
            "water": water_w,
            "household": float(truth.load_w[slot]),
        }
        for name, power_w in flows.items():
            told.wh[name] += power_w * hours
        bought = imported * hours / 1000.0 * float(truth.buy[slot])
        told.bought_czk += bought
        told.cost_czk += bought - exported * hours / 1000.0 * float(truth.sell[slot])
        told.slot_import_wh[slot] += imported * hours
        air_c = self.rooms.air_c
        low, high = self.rooms.band_c[slot, :, 0], self.rooms.band_c[slot, :, 1]
        told.below_k_h += np.maximum(low - air_c, 0.0) * hours
        told.above_k_h += np.maximum(air_c - high, 0.0) * hours
        told.air_k_h += air_c * hours
        told.broken_s += self._broken(heat_w) * self.tick.total_seconds()
        over = told.slot_import_wh[slot] / (SLOT / timedelta(hours=1)) > self.home.grid.import_max_w
        if over and self.at + self.tick == truth.start + (slot + 1) * SLOT:
            told.broken_s += SLOT.total_seconds()

    def _broken(self, heat_w: Floats) -> int:
        """Hard limits that this tick breaks: frost, heat while heating, too many heaters at once."""
        limits = self.home.control.limits
        rooms = self.rooms
        cold = int((rooms.air_c < limits.room_min_c).sum())
        hot = int(((rooms.air_c > limits.room_max_c) & rooms.relay_on).sum())
        return cold + hot + int(float(heat_w.sum()) > limits.heating_max_w)
