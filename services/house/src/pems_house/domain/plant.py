"""The whole plant, stepped in house time: weather, people, relays, rooms, car, tank, inverter and meter together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_common.timegrid import require_utc
from pems_house.domain.appliances import Car, Tank
from pems_house.domain.battery import Battery
from pems_house.domain.building import Building, make_building
from pems_house.domain.chance import generator
from pems_house.domain.faults import Faults
from pems_house.domain.household import HouseholdDay, draw_day, room_use
from pems_house.domain.inverter import Inverter
from pems_house.domain.loxone import Loxone
from pems_house.domain.rooms import RoomInputs, Rooms, settled
from pems_house.domain.sensors import Sensors
from pems_house.domain.sky import Sky, SkyDay, WeatherAt
from pems_house.domain.truth import Bands, Prices, Truth

__all__ = ["DaySky", "Parts", "People", "Plant", "StartState"]

_STEP_S = 60
_DAY_S = 86_400
_BLINDS_FROM_C, _AIRING_FROM_C = 23.4, 23.9


@dataclass(frozen=True)
class StartState:
    """How the house begins.

    Attributes:
        soc_pct: Battery.
        ev_soc_pct: Car.
        water_c: Tank; None for near its target.
        rooms_c: Air by room; rooms that are not named begin at their comfort target.
    """

    soc_pct: float = 50.0
    ev_soc_pct: float = 70.0
    water_c: float | None = None
    rooms_c: Mapping[str, float] = field(default_factory=dict)


class DaySky(Protocol):
    """What the plant needs of `Sky`."""

    def day(self, day: date) -> SkyDay:
        """Return a UTC day."""


class People(Protocol):
    """What people do."""

    def at(self, utc: datetime, local: datetime) -> tuple[HouseholdDay, int]:
        """Return the day that holds an instant, and the number of its minute there."""


class _DrawnPeople:
    """People whose local days are drawn from a seed."""

    def __init__(self, home: Home, seed: int) -> None:
        self._home, self._seed = home, seed
        self._today: tuple[date, HouseholdDay] | None = None

    def at(self, utc: datetime, local: datetime) -> tuple[HouseholdDay, int]:
        day = local.date()
        if self._today is None or self._today[0] != day:
            self._today = (day, draw_day(self._home, day, self._seed))
        return self._today[1], local.hour * 60 + local.minute


@dataclass(frozen=True)
class Parts:
    """Parts of a house that are known instead of drawn: those of a real one, out of its history.

    Its sensors have no offsets of their own: what was measured has them in it already.

    Attributes:
        building: Its rooms (`heat_w`, areas and names are read of it beside what `rooms` does with it).
        rooms: Their state.
        sky: Weather, and what PV could give.
        people: Household load, gains, hot water and the car's trips.
        battery: None for none.
    """

    building: Building
    rooms: Rooms
    sky: DaySky
    people: People
    battery: Battery | None


class Plant:
    """The simulated house without its messages."""

    def __init__(
        self,
        home: Home,
        weather: Callable[[datetime], WeatherAt],
        prices: Prices,
        start: datetime,
        *,
        seed: int = 0,
        state: StartState | None = None,
        parts: Parts | None = None,
    ) -> None:
        """Begin at `start` (aware).

        Args:
            home: The site.
            weather: The true weather.
            prices: (buy, sell) [CZK/kWh] of the slot that begins at an instant.
            start: House time.
            seed: Of everything random.
            state: How it begins.
            parts: What is known of it; None draws all of it.
        """
        state = state or StartState()
        self.home = home
        self.at = require_utc(start)
        self._at_s = self.at.timestamp()
        self._zone = home.site.zone
        self.sky: DaySky = Sky(home, weather, seed) if parts is None else parts.sky
        self.building = make_building(home, seed) if parts is None else parts.building
        self.loxone = Loxone(home)
        self.sensors = (
            Sensors(self.building.count, seed) if parts is None else Sensors(parts.building.count, seed, offset_c=0.0)
        )
        self.inverter = Inverter(home, seed, state.soc_pct)
        if parts is not None:
            self.inverter.battery = parts.battery
        self.car = Car.of(home, state.ev_soc_pct)
        self.tank = Tank.of(home, state.water_c)
        self.faults = Faults(self.building.names)
        self.truth = Truth(home, prices, self.at)
        self.rooms = Rooms(self.building, self._first_temperatures(state, weather)) if parts is None else parts.rooms
        self.window_open: NDArray[np.bool_] = np.zeros(self.building.count, dtype=np.bool_)
        self.outdoor_c = weather(self.at).temperature_c
        self.outdoor_humidity_pct = weather(self.at).humidity_pct
        self._outdoor_offset_c = 0.0 if parts is not None else float(generator(seed, "outdoor").normal(0.0, 0.2))
        self._day_c = np.array([room.day_c for room in home.rooms.values()])
        self._can_air = np.array([bool(room.windows_m2) for room in home.rooms.values()])
        names = self.building.names
        self._utility = next((i for i, name in enumerate(names) if room_use(name) == "utility"), 0)
        self._tank_warms = parts is None  # a known house's gains have its tank's in them
        self._index = {name: i for i, name in enumerate(names)}
        self.other_load_w = 0.0
        self._people: People = _DrawnPeople(home, seed) if parts is None else parts.people
        self._measured_minute = -1
        self._measure()
        self.truth.relays(self._at_s, self.loxone.relay_on, self.loxone.by_pems(self._at_s))

    def _first_temperatures(self, state: StartState, weather: Callable[[datetime], WeatherAt]) -> NDArray[np.float64]:
        recent = [weather(self.at - timedelta(hours=3 * i)).temperature_c for i in range(16)]
        targets = self.loxone.targets_c(self.at.astimezone(self._zone))
        air = np.array([state.rooms_c.get(n, targets[i]) for i, n in enumerate(self.building.names)], dtype=np.float64)
        return settled(self.building, air, sum(recent) / len(recent), self.sky.day(self.at.date()).ground_c)

    @property
    def outdoor_reading_c(self) -> float:
        """What the outdoor sensor shows."""
        return round(self.outdoor_c + self._outdoor_offset_c, 1)

    @property
    def local(self) -> datetime:
        """Local time."""
        return self.at.astimezone(self._zone)

    def advance(self, until: datetime) -> None:
        """Advance to an instant in steps that end on full minutes; an instant in the past changes nothing."""
        until_s = require_utc(until).timestamp()
        while self._at_s < until_s - 1e-6:
            end_s = min((self._at_s // _STEP_S + 1) * _STEP_S, until_s)
            self._step(end_s - self._at_s)
            self._at_s = end_s
        if until_s >= self._at_s:
            self.at = require_utc(until)
        minute = int(self._at_s // _STEP_S)
        if minute != self._measured_minute:
            self._measure()

    def _measure(self) -> None:
        self._measured_minute = int(self._at_s // _STEP_S)
        stuck = [self._index[room] for room in self.faults.rooms("sensor_stuck")]
        self.sensors.measure(self.rooms.air_c, stuck)

    def _step(self, step_s: float) -> None:
        at_s = self._at_s
        utc = datetime.fromtimestamp(at_s, UTC)
        local = utc.astimezone(self._zone)
        self.faults.expire(utc)
        self.inverter.registers.fault_offset_s = self.faults.value("inverter_clock")
        sky = self.sky.day(utc.date())
        minute = int(at_s % _DAY_S) // 60
        people, clock = self._people.at(utc, local)
        if int(at_s // _STEP_S) != self._measured_minute:
            self._measure()
        relay_on, alive = self._relays(at_s, local)
        self.outdoor_c, self.outdoor_humidity_pct = float(sky.outdoor_c[minute]), float(sky.humidity_pct[minute])

        car_w = 0.0
        if self.car is not None:
            car_w = self.car.step(bool(people.car_away[clock]), people.drive_wh, alive, local.hour, step_s)
        water_w = tank_loss_w = 0.0
        if self.tank is not None:
            before = self.tank.lost_wh
            water_w = self.tank.step(float(people.hot_water_w[clock]), self.outdoor_c, alive, step_s)
            tank_loss_w = (self.tank.lost_wh - before) * 3600.0 / step_s
        air = self.rooms.air_c
        heat_w = self.building.heat_w * relay_on
        gains_w = people.gains_w[clock].copy()
        if self._tank_warms:
            gains_w[self._utility] += tank_loss_w
        blinds = np.clip(1.0 - 0.55 * (air - _BLINDS_FROM_C), 0.25, 1.0)
        sun_w = (self.building.glass_m2 @ sky.facade_w_m2[minute]) * blinds
        opened = self._windows(people, clock, air)
        self.window_open = opened > 0.1
        inputs = RoomInputs(
            self.outdoor_c,
            sky.ground_c,
            float(sky.wind_m_s[minute]),
            self.outdoor_humidity_pct,
            heat_w,
            gains_w,
            sun_w,
            opened,
            people.moisture_g_h[clock],
        )
        self.rooms.step(inputs, step_s)
        heating_w, household_w = float(heat_w.sum()), float(people.load_w[clock])
        self.other_load_w = household_w + car_w + water_w
        load_w = heating_w + self.other_load_w
        roofs_w = sky.pv_dc_w[minute]
        dc_w = float(roofs_w.sum())
        if dc_w > 1.0:
            self.inverter.string_share = [float(w) / dc_w for w in roofs_w]
        flows = self.inverter.step(dc_w, load_w, local, 9.0 + 0.45 * self.outdoor_c, step_s)
        battery = self.inverter.battery
        self.truth.add(
            at_s,
            step_s,
            flows,
            heating_w=heating_w,
            household_w=household_w,
            ev_w=car_w,
            water_w=water_w,
            gains_w=float(gains_w.sum()),
            sun_w=float(sun_w.sum()),
            air_c=self.rooms.air_c,
            bands=self.bands(local),
            soc_pct=None if battery is None else battery.soc_pct,
        )

    def _relays(self, at_s: float, local: datetime) -> tuple[NDArray[np.bool_], bool]:
        """Relays (n) and whether PEMS pulses."""
        lox = self.loxone
        lox.stuck = {self._index[r]: v is None or v > 0 for r, v in self.faults.rooms("relay_stuck").items()}
        relay_on = lox.step(at_s, local, self.sensors.reading_c, self.outdoor_c, self.other_load_w)
        self.truth.relays(at_s, relay_on, lox.by_pems(at_s))
        return relay_on, at_s < lox.alive_until_s

    def _windows(self, people: HouseholdDay, clock: int, air: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far windows are open (n): by habit, and against heat."""
        timid = min(1.0, max(0.2, 0.4 + 0.04 * self.outdoor_c))  # in the cold less wide and shorter
        opened: NDArray[np.float64] = people.window_open[clock] * timid
        if people.someone_home[clock] and self.outdoor_c > 8.0:
            hot = np.clip((air - _AIRING_FROM_C) / 0.8, 0.0, 1.0) * (air > self.outdoor_c + 1.5) * self._can_air
            opened = np.maximum(opened, hot)
        return opened

    def bands(self, local: datetime) -> Bands:
        """Comfort bands of all rooms at a local time: a floor heated at night for the morning is comfortable."""
        targets = self.loxone.targets_c(local)
        comfort = self.home.comfort
        return Bands(targets - comfort.band_below_k, np.maximum(targets, self._day_c) + comfort.band_above_k)

    def tell(self) -> dict[str, Any]:
        """Return the truth since the start and the state that it has led to."""
        battery, registers = self.inverter.battery, self.inverter.registers
        stored = self.rooms.stored_wh(20.0)
        names = self.building.names
        return {
            "at": self.at.isoformat(),
            **self.truth.tell(),
            "switchings": {name: int(c) for name, c in zip(names, self.loxone.switchings, strict=True)},
            "register_writes": registers.writes,
            "register_writes_unchanged": registers.writes_unchanged,
            "rooms_stored_wh": round(float(stored.sum()), 1),
            "rooms_stored_by_room_wh": {n: round(float(w), 1) for n, w in zip(names, stored, strict=True)},
            "rooms_lost_wh": round(self.rooms.lost_wh, 1),
            "loss_w_k": round(float(self.building.loss_w_k().sum()), 1),
            "battery_stored_wh": 0.0 if battery is None else round(battery.energy_wh, 1),
            "soc_pct": None if battery is None else round(battery.soc_pct, 2),
            "ev_stored_wh": None if self.car is None else round(self.car.energy_wh, 1),
            "ev_soc_pct": None if self.car is None else round(self.car.soc_pct, 2),
            "ev_missed_wh": None if self.car is None else round(self.car.missed_wh, 1),
            "water_stored_wh": None
            if self.tank is None
            else round((self.tank.temperature_c - 20.0) * self.tank.capacity_wh_k, 1),
            "water_c": None if self.tank is None else round(self.tank.temperature_c, 2),
            "water_cold_s": None if self.tank is None else round(self.tank.cold_s, 1),
            "temperature_c": {n: round(float(t), 3) for n, t in zip(names, self.rooms.air_c, strict=True)},
        }
