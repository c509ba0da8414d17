"""A house that behaves as the user's: identified rooms, its battery, and what people, sun and PV did by its history.

Rooms are the models that the forecaster identifies (two nodes a room, coupling where it was found), stepped like the
simulated house's own. Load, gains of the sun, hot water and the car's trips come slot by slot from what was measured;
so do weather and PV. Nothing here knows the parameters of the simulated house.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_common.messages import RoomModel
from pems_common.timegrid import SLOT
from pems_forecaster.domain.grid import LocalCalendar, slot_no
from pems_forecaster.domain.observer import HouseObserver
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.room_reader import walk
from pems_house.domain.battery import Battery
from pems_house.domain.building import AIR, COVER, FACADES, SCREED, STRUCTURE, Building
from pems_house.domain.household import HouseholdDay
from pems_house.domain.inverter import Inverter
from pems_house.domain.plant import Parts, StartState
from pems_house.domain.rooms import RoomInputs, Rooms
from pems_house.domain.sky import SkyDay
from pems_lab.backtest.own_house_stores import hot_water_w, trips
from pems_lab.measured.span import MeasuredSpan

__all__ = ["MeasuredPeople", "MeasuredSky", "OwnHouse", "OwnRooms", "house_series", "own_building"]

Floats = NDArray[np.float64]

_MINUTES, _SLOT_MIN, _DAY = 1440, 15, timedelta(days=1)
_IDLE_J_K, _IDLE_W_K = 1e3, 1e-6
"""Nodes that a room of two nodes does not have: they follow its air slowly, and hold and move nothing that counts."""
_WINDOW_SHARE = 0.2
_WARM_UP_SLOTS = 3 * 96


def house_series(span: MeasuredSpan) -> HouseSeries:
    """Return a span as rooms are identified from it: a slot's first temperature is that between two means."""
    first = slot_no(span.start)
    calendar = LocalCalendar(span.home.site.zone, span.home.site.country)

    def at_beginning(means: Floats) -> Floats:
        before = np.concatenate([[np.nan], means[:-1]])
        both = 0.5 * (before + means)
        return np.where(np.isfinite(both), both, np.where(np.isfinite(means), means, before))

    return HouseSeries(
        start_s=first * 900,
        step_s=900,
        air_c={room: at_beginning(values) for room, values in span.room_c.items()},
        heat_w={room: share * span.home.rooms[room].heat_w for room, share in span.relay.items()},
        outdoor_c=span.outdoor_c,
        solar_w_m2=span.solar_w_m2,
        local_hour=np.array([calendar.hour(first + k) for k in range(span.count)], dtype=np.int64),
        open_window={room: np.nan_to_num(share) > _WINDOW_SHARE for room, share in span.window_open.items()},
    )


def own_building(home: Home, models: Mapping[str, RoomModel]) -> Building:
    """Return identified rooms as the simulated house holds its own; both of a room's unused nodes are idle."""
    names = tuple(home.rooms)
    n = len(names)
    place = {name: i for i, name in enumerate(names)}
    each = [models[name] for name in names]
    capacity, outdoor = np.full((4, n), _IDLE_J_K), np.zeros((4, n))
    capacity[SCREED], capacity[AIR] = [m.cm_j_k for m in each], [m.ci_j_k for m in each]
    outdoor[AIR] = [1.0 / m.rea_k_w for m in each]
    matrix = np.zeros((4 * n, 4 * n))

    def leads(a: int, b: int, w_k: float) -> None:
        """Heat flows out of node `a` towards `b`."""
        matrix[a, a] += w_k
        matrix[a, b] -= w_k

    for i, (name, model) in enumerate(zip(names, each, strict=True)):
        air = AIR * n + i
        for kind, w_k in ((SCREED, 1.0 / model.ria_k_w), (COVER, _IDLE_W_K), (STRUCTURE, _IDLE_W_K)):
            leads(air, kind * n + i, w_k)
            leads(kind * n + i, air, w_k)
        for other, w_k in model.neighbours.items():
            if other in place and other != name:
                leads(air, AIR * n + place[other], w_k)
    return Building(
        names=names,
        capacity_j_k=capacity.ravel(),
        conductance_w_k=matrix,
        outdoor_w_k=outdoor.ravel(),
        ground_w_k=np.zeros(4 * n),
        heat_w=np.array([room.heat_w for room in home.rooms.values()]),
        heats_air=np.array([1.0 - m.heat_to_mass for m in each]),
        area_m2=np.array([room.area_m2 for room in home.rooms.values()]),
        air_exchange_w_k=np.zeros(n),
        window_open_w_k=np.zeros(n),
        glass_m2=np.zeros((n, len(FACADES))),
    )


class OwnRooms(Rooms):
    """Rooms of two nodes: gains, and the sun among them, warm the air. Humidity stays as it is."""

    def __init__(self, building: Building, air_c: Floats, mass_c: Floats) -> None:
        """Begin at temperatures of air and mass (n)."""
        nodes = np.tile(air_c, (4, 1))
        nodes[SCREED] = mass_c
        super().__init__(building, nodes.ravel())

    def step(self, inputs: RoomInputs, step_s: float) -> None:
        """Advance all rooms by a step of at most 60 s."""
        b, t, n = self.building, self.temperature_c, self.building.count
        flow = b.outdoor_w_k * inputs.outdoor_c - self._matrix @ t
        lost_w = float(b.outdoor_w_k @ (t - inputs.outdoor_c))
        flow[AIR * n : (AIR + 1) * n] += inputs.heat_w * b.heats_air + inputs.gains_w + inputs.sun_w
        flow[SCREED * n : (SCREED + 1) * n] += inputs.heat_w * (1.0 - b.heats_air)
        self.temperature_c = t + flow * (step_s / b.capacity_j_k)
        self.lost_wh += lost_w * step_s / 3600.0


class MeasuredPeople:
    """Implements `People` from a span: household, gains of models and sun, hot water, and the car's trips.

    Its days are UTC days, so that the hours of a clock change are lived once each, as they were.
    """

    def __init__(self, span: MeasuredSpan, models: Mapping[str, RoomModel]) -> None:
        """Prepare the slots of the span; outside of it its first and last slot hold."""
        home = span.home
        self._start = span.start
        self._household_w = np.nan_to_num(span.household_w)
        self._gains_w = gains_w(span, models)
        self._hot_water_w = hot_water_w(span)
        self._away = span.ev_connected < 0.5
        self._trips = trips(span)
        self._rooms = len(home.rooms)
        self._days: dict[date, HouseholdDay] = {}

    def at(self, utc: datetime, local: datetime) -> tuple[HouseholdDay, int]:
        """Return the UTC day that holds an instant, and the number of its minute there."""
        day = utc.date()
        found = self._days.get(day)
        if found is None:
            self._days = {day: self._made(day)}
            found = self._days[day]
        return found, utc.hour * 60 + utc.minute

    def _made(self, day: date) -> HouseholdDay:
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        slots = (begin - self._start) // SLOT + np.arange(_MINUTES) // _SLOT_MIN
        at = np.clip(slots, 0, len(self._household_w) - 1)
        nothing = np.zeros((_MINUTES, self._rooms))
        leaving = [wh for slot, wh in self._trips.items() if begin <= self._start + slot * SLOT < begin + _DAY]
        return HouseholdDay(
            load_w=self._household_w[at],
            gains_w=self._gains_w[at],
            moisture_g_h=nothing,
            window_open=nothing,
            someone_home=np.zeros(_MINUTES, dtype=np.bool_),
            hot_water_w=self._hot_water_w[at],
            car_away=self._away[at],
            drive_wh=sum(leaving) / max(len(leaving), 1),
        )


def gains_w(span: MeasuredSpan, models: Mapping[str, RoomModel]) -> Floats:
    """Return gains of people and sun by slot and room (T, n) [W], as the models have them."""
    calendar = LocalCalendar(span.home.site.zone, span.home.site.country)
    first = slot_no(span.start)
    hours = [str(calendar.hour(first + k)) for k in range(span.count)]
    columns = []
    for name in span.home.rooms:
        model = models[name]
        by_hour = np.array([model.gains_w.get(hour, 0.0) for hour in hours])
        for side, aperture_m2 in model.solar_m2.items():
            if side in span.solar_w_m2:
                by_hour = by_hour + aperture_m2 * np.nan_to_num(span.solar_w_m2[side])
        columns.append(by_hour)
    return np.stack(columns, axis=1) if columns else np.zeros((span.count, 0))


class MeasuredSky:
    """Gives the UTC days of a span: measured temperature, and PV that makes the inverter give what it gave."""

    def __init__(self, span: MeasuredSpan, inverter: Inverter) -> None:
        """Keep the slots; outside of the span its first and last hold."""
        possible = np.where(np.isfinite(span.pv_possible_w), span.pv_possible_w, span.pv_w)
        self._start = span.start
        self._dc_w = np.array([inverter.needed_dc_w(float(w)) for w in np.nan_to_num(possible)])
        self._outdoor_c = _bridged(span.outdoor_c)
        self._wind_m_s = _bridged(span.weather["wind_m_s"])
        self._facades = np.stack([np.nan_to_num(span.solar_w_m2.get(s, np.zeros(span.count))) for s in FACADES], axis=1)
        self._days: dict[date, SkyDay] = {}

    def day(self, day: date) -> SkyDay:
        """Return a UTC day."""
        found = self._days.get(day)
        if found is None:
            self._days = {day: self._made(day)}
            found = self._days[day]
        return found

    def _made(self, day: date) -> SkyDay:
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        first, last = (begin - self._start) // SLOT, len(self._dc_w) - 1
        minute = np.arange(_MINUTES)
        at = np.clip(first + minute // _SLOT_MIN, 0, last)
        middle = first + (minute + 0.5) / _SLOT_MIN - 0.5  # slot means stand for the middles of slots
        slots = np.arange(last + 1)
        return SkyDay(
            outdoor_c=np.interp(middle, slots, self._outdoor_c),
            wind_m_s=np.interp(middle, slots, self._wind_m_s),
            humidity_pct=np.full(_MINUTES, 75.0),
            facade_w_m2=self._facades[at],
            pv_dc_w=self._dc_w[at][:, None],
            ground_c=10.0,
        )


def _bridged(values: Floats) -> Floats:
    """Draw straight lines over what is unknown; zero where nothing is known."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    at = np.arange(len(values))
    return np.asarray(np.interp(at, at[known], values[known]), dtype=np.float64)


@dataclass(frozen=True)
class OwnHouse:
    """What is known of the user's house for some days.

    Attributes:
        span: History that holds the days, with some days before them: the filter wants three.
        models: Identified rooms.
        battery: Its battery as the history tells it, at any charge; None without one.
    """

    span: MeasuredSpan
    models: Mapping[str, RoomModel]
    battery: Battery | None

    def building(self) -> Building:
        """Return the rooms' parameters."""
        return own_building(self.span.home, self.models)

    def states(self, indices: list[int]) -> Floats:
        """Return air and mass temperatures at the beginning of slots (len, 2, n) [C].

        They are what the forecaster's filter makes of all that was measured before.

        Args:
            indices: Increasing, in slots of the span.
        """
        series, observer = house_series(self.span), HouseObserver(self.models)
        seen = max(0, indices[0] - _WARM_UP_SLOTS)
        found = np.full((len(indices), 2, len(self.span.home.rooms)), np.nan)
        for row, index in enumerate(indices):
            until = min(index + 1, series.steps)
            walk(observer, series.part(seen, until))
            seen = until - 1
            for i, room in enumerate(self.span.home.rooms):
                state = observer.state(room)
                if state is not None:
                    found[row, :, i] = state.air_c, state.mass_c
        return found

    def battery_at(self, index: int) -> Battery | None:
        """Return the battery with the charge that was measured at a slot."""
        if self.battery is None:
            return None
        b, soc = self.battery, float(_bridged(self.span.soc_pct)[index])
        return Battery(
            b.capacity_wh, b.leg_efficiency, b.power_max_w, b.dispatch_min_w, b.capacity_wh * min(soc, 100.0) / 100.0
        )

    def parts(self, index: int, seed: int) -> Parts:
        """Return the house as it was at the beginning of a slot, for a plant of a seed that begins there."""
        building = self.building()
        (air_c, mass_c), *_ = self.states([index])
        battery = self.battery_at(index)
        return Parts(
            building=building,
            rooms=OwnRooms(building, air_c, mass_c),
            sky=MeasuredSky(self.span, Inverter(self.span.home, seed, 50.0)),
            people=MeasuredPeople(self.span, self.models),
            battery=battery,
        )

    def begun(self, index: int) -> StartState:
        """Return the state of battery, car and tank at a slot; rooms are among the parts."""
        span = self.span
        soc, ev, tank = (_bridged(v)[index] for v in (span.soc_pct, span.ev_soc_pct, span.water_c))
        return StartState(
            soc_pct=float(soc),
            ev_soc_pct=float(ev) if np.isfinite(span.ev_soc_pct).any() else 70.0,
            water_c=float(tank) if np.isfinite(span.water_c).any() else None,
        )
