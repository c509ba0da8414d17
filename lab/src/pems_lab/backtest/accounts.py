"""Days of a house as accounts: measured ones, the recorded actions driven through the simulator, and those under PEMS.

All three are counted by the same rules from the same few series, so that they differ only in what happened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_common.timegrid import SLOT, slot_start
from pems_house.domain.building import AIR, SCREED
from pems_house.domain.loxone import Loxone
from pems_house.domain.plant import Plant
from pems_house.domain.rooms import RoomInputs
from pems_lab.backtest.own_house import OwnHouse, OwnRooms, gains_w
from pems_lab.comparison import fair_cost
from pems_lab.measured.span import MeasuredDay, MeasuredSpan

__all__ = ["DayAccount", "Lived", "PlantWatch", "Stores", "accounts", "fair_czk", "measured_lived", "replayed"]

Floats = NDArray[np.float64]

_MINUTE = timedelta(minutes=1)
_STORED_ABOVE_C = 20.0


@dataclass(frozen=True)
class Stores:
    """Energy stored at an instant [Wh]: rooms above 20 C, battery, car, water above 20 C."""

    rooms: float
    battery: float
    ev: float
    water: float


@dataclass(frozen=True)
class Lived:
    """What a house did from slot `first` of a span on. Arrays are (T,) slot means [W].

    Attributes:
        first: Slot of the span in which they begin.
        grid_w: At the meter, + = import.
        battery_w: + = discharge.
        heating_w: Of all rooms.
        air_c: Room temperatures (T, n) [C].
        stores: At the beginning of slots, by their number.
    """

    first: int
    grid_w: Floats
    battery_w: Floats
    heating_w: Floats
    air_c: Floats
    stores: Mapping[int, Stores]


@dataclass(frozen=True)
class DayAccount:
    """One local day.

    Attributes:
        day: ISO date.
        hours: 23, 24 or 25.
        energy_cost_czk: Paid at the meter less what export earned.
        bought_czk: Paid for import.
        import_wh: Bought.
        export_wh: Sold.
        wear_czk: Of the battery.
        heating_wh: Given to the rooms.
        peak_w: Highest 15-min mean of import.
        mean_c: Mean temperature of the house, by floor area.
        below_k_h: Below the comfort band, mean over rooms.
        rooms_wh: Change of what rooms store.
        battery_wh: Change of what the battery stores.
        ev_wh: Of the car.
        water_wh: Of the tank.
        room_c: Mean temperature by room.
    """

    day: str
    hours: float
    energy_cost_czk: float
    bought_czk: float
    import_wh: float
    export_wh: float
    wear_czk: float
    heating_wh: float
    peak_w: float
    mean_c: float
    below_k_h: float
    rooms_wh: float
    battery_wh: float
    ev_wh: float
    water_wh: float
    room_c: Mapping[str, float] = field(default_factory=dict)

    @property
    def paid_czk(self) -> float:
        """Energy and wear."""
        return self.energy_cost_czk + self.wear_czk


def accounts(span: MeasuredSpan, days: Sequence[MeasuredDay], lived: Lived) -> list[DayAccount]:
    """Return the accounts of days that were lived.

    Args:
        span: Prices and comfort.
        days: Days inside what was lived, with the stores known at both ends.
        lived: What happened.
    """
    home = span.home
    areas = np.array([room.area_m2 for room in home.rooms.values()])
    low_c = _lower_band_c(span)
    wear = 0.0 if home.battery is None else home.battery.wear_czk_kwh
    result = []
    for day in days:
        own = slice(day.first - lived.first, day.until - lived.first)
        known = slice(day.first, day.until)
        grid_wh = lived.grid_w[own] / 4.0
        bought, sold = np.maximum(grid_wh, 0.0), np.maximum(-grid_wh, 0.0)
        bought_czk = float(bought @ span.buy_czk_kwh[known]) / 1000.0
        sold_czk = float(sold @ span.sell_czk_kwh[known]) / 1000.0
        air_c = lived.air_c[own]
        before, after = lived.stores[day.first], lived.stores[day.until]
        mean_c = air_c.mean(axis=0) if air_c.size else np.zeros(0)
        result.append(
            DayAccount(
                day=day.day.isoformat(),
                hours=(day.until - day.first) / 4.0,
                energy_cost_czk=bought_czk - sold_czk,
                bought_czk=bought_czk,
                import_wh=float(bought.sum()),
                export_wh=float(sold.sum()),
                wear_czk=float(np.maximum(lived.battery_w[own], 0.0).sum()) / 4000.0 * wear,
                heating_wh=float(lived.heating_w[own].sum()) / 4.0,
                peak_w=float(bought.max()) * 4.0,
                mean_c=float(mean_c @ areas / areas.sum()) if len(areas) else 0.0,
                below_k_h=float(np.maximum(low_c[known] - air_c, 0.0).mean(axis=1).sum()) / 4.0 if len(areas) else 0.0,
                rooms_wh=after.rooms - before.rooms,
                battery_wh=after.battery - before.battery,
                ev_wh=after.ev - before.ev,
                water_wh=after.water - before.water,
                room_c=dict(zip(home.rooms, mean_c.tolist(), strict=True)),
            )
        )
    return result


def _lower_band_c(span: MeasuredSpan) -> Floats:
    """Lower end of the comfort band by slot and room (T, n)."""
    rules = Loxone(span.home)
    targets = [rules.targets_c(slot.astimezone(span.zone)) for slot in span.slot_starts()]
    return np.array(targets) - span.home.comfort.band_below_k


def fair_czk(home: Home, own: DayAccount, base: DayAccount, *, price_czk_kwh: float, loss_w_k: float) -> float:
    """Return what a day cost, made comparable with the same day as it was (see `comparison.fair_cost`).

    Args:
        home: The site.
        own: The day to be told.
        base: The day as it was.
        price_czk_kwh: What a stored kWh is worth: the mean price of import of the whole backtest.
        loss_w_k: What the house loses per kelvin.
    """

    def told(account: DayAccount) -> dict[str, Any]:
        return {
            "energy_cost_czk": account.energy_cost_czk,
            "wear_czk": account.wear_czk,
            "rooms_stored_wh": account.rooms_wh,
            "battery_stored_wh": account.battery_wh,
            "ev_stored_wh": account.ev_wh,
            "water_stored_wh": account.water_wh,
            "mean_house_temperature_c": account.mean_c,
        }

    reference = told(base) | {
        "bought_czk": price_czk_kwh,
        "import_wh": 1000.0,
        "loss_w_k": loss_w_k,
        "elapsed_h": base.hours,
    }
    return fair_cost(home, told(own), reference).total


# --- as it was -----------------------------------------------------------------------------------


def measured_lived(house: OwnHouse, first: int, days: Sequence[MeasuredDay]) -> Lived:
    """Return what was measured from a slot on until the end of the days."""
    span, until = house.span, days[-1].until
    cut = slice(first, until)
    return Lived(
        first=first,
        grid_w=np.nan_to_num(span.grid_w[cut]),
        battery_w=np.nan_to_num(span.battery_w[cut]),
        heating_w=span.heating_w()[cut],
        air_c=_columns(span.room_c, span)[cut],
        stores=_measured_stores(house, _ends(days)),
    )


def _columns(by_room: Mapping[str, Floats], span: MeasuredSpan) -> Floats:
    return np.stack([by_room[r] for r in span.home.rooms], axis=1) if span.home.rooms else np.zeros((span.count, 0))


def _ends(days: Sequence[MeasuredDay]) -> list[int]:
    return sorted({index for day in days for index in (day.first, day.until)})


def _measured_stores(house: OwnHouse, indices: list[int]) -> dict[int, Stores]:
    building = house.building()
    capacity = building.capacity_j_k.reshape(4, -1)
    states = house.states(indices)
    result = {}
    for (air_c, mass_c), index in zip(states, indices, strict=True):
        heat_j = capacity[AIR] @ (air_c - _STORED_ABOVE_C) + capacity[SCREED] @ (mass_c - _STORED_ABOVE_C)
        result[index] = _stores(house, index, float(heat_j) / 3600.0)
    return result


def _stores(house: OwnHouse, index: int, rooms_wh: float) -> Stores:
    """Stores as they were measured at the beginning of a slot, but for the rooms."""
    begun, home = house.begun(min(index, house.span.count - 1)), house.span.home
    battery = house.battery_at(min(index, house.span.count - 1))
    water = home.water
    kept = 0.0 if water is None or begun.water_c is None else begun.water_c - _STORED_ABOVE_C
    return Stores(
        rooms=rooms_wh,
        battery=0.0 if battery is None else battery.energy_wh,
        ev=0.0 if home.ev is None else home.ev.capacity_wh * begun.ev_soc_pct / 100.0,
        water=0.0 if water is None else kept * water.volume_l * 4186.0 / 3600.0,
    )


# --- the recorded actions, simulated -------------------------------------------------------------


def replayed(house: OwnHouse, first: int, days: Sequence[MeasuredDay]) -> Lived:
    """Drive what the relays and the battery really did through the simulator, from the state measured at a slot.

    What comes out differs from what was measured by what the simulator gets wrong: rooms drift from their measured
    temperatures, and the battery from its charge; where that is at an end, the grid takes the rest. The meter is the
    balance of the same load and PV that a plant of the house is given: what does not add up there shows here.
    """
    span, until = house.span, days[-1].until
    building = house.building()
    (air_c, mass_c), *_ = house.states([first])
    rooms, battery = OwnRooms(building, air_c, mass_c), house.battery_at(first)
    gains, ends = gains_w(span, house.models), set(_ends(days))
    outdoor_c = _between(span.outdoor_c)
    duty = np.nan_to_num(_columns(span.relay, span))
    others_w = np.sum([np.nan_to_num(w) for w in (span.household_w, span.ev_w, span.water_w, -span.pv_w)], axis=0)
    nothing, n = np.zeros(building.count), until - first
    grid_w, battery_w, air = np.zeros(n), np.zeros(n), np.zeros((n, building.count))
    stores: dict[int, Stores] = {}

    def note(index: int) -> None:
        if index in ends:
            kept = _stores(house, index, float(rooms.stored_wh(_STORED_ABOVE_C).sum()))
            charge = 0.0 if battery is None else battery.energy_wh
            stores[index] = Stores(kept.rooms, charge, kept.ev, kept.water)

    for index in range(first, until):
        note(index)
        heat_w = duty[index] * building.heat_w
        inputs = RoomInputs(outdoor_c[index], 10.0, 0.0, 75.0, heat_w, gains[index], nothing, nothing, nothing)
        asked_w, row = float(np.nan_to_num(span.battery_w[index])), index - first
        for _ in range(15):
            air[row] += rooms.air_c / 15.0
            rooms.step(inputs, 60.0)
            if battery is not None:
                given_w = float(np.clip(asked_w, -battery.charge_limit_w(60.0), battery.discharge_limit_w(60.0)))
                battery.step(given_w, False, 9.0 + 0.45 * float(outdoor_c[index]), 60.0)
                battery_w[row] += given_w / 15.0
        grid_w[row] = others_w[index] + heat_w.sum() - battery_w[row]
    note(until)
    return Lived(first, grid_w, battery_w, (duty @ building.heat_w)[first:until], air, stores)


def _between(values: Floats) -> Floats:
    known = np.isfinite(values)
    at = np.arange(len(values))
    return np.asarray(np.interp(at, at[known], values[known])) if known.any() else np.zeros(len(values))


# --- under PEMS ----------------------------------------------------------------------------------


class PlantWatch:
    """Collects what a plant does, minute by minute, into slots. `look` is called after each minute of house time."""

    def __init__(self, span: MeasuredSpan, first: int, days: Sequence[MeasuredDay]) -> None:
        """Prepare for the slots from `first` until the end of the days."""
        self._span, self._first, self._ends = span, first, set(_ends(days))
        count, rooms = days[-1].until - first, len(span.home.rooms)
        self._grid_w, self._battery_w, self._heating_w = (np.zeros(count) for _ in range(3))
        self._air_c = np.zeros((count, rooms))
        self._minutes = np.zeros(count)
        self._stores: dict[int, Stores] = {}

    def begin(self, plant: Plant) -> None:
        """Note the stores with which it begins."""
        self._note(plant, self._first)

    def look(self, plant: Plant) -> None:
        """Count the minute that has just ended."""
        at: datetime = plant.at
        row = self._span.index(slot_start(at - _MINUTE)) - self._first
        if 0 <= row < len(self._grid_w):
            flows = plant.inverter.flows
            self._grid_w[row] += flows.grid_w
            self._battery_w[row] += flows.battery_w
            self._heating_w[row] += float(plant.building.heat_w @ plant.loxone.relay_on)
            self._air_c[row] += plant.rooms.air_c
            self._minutes[row] += 1.0
        if (at - self._span.start) % SLOT == timedelta(0):
            self._note(plant, self._span.index(at))

    def _note(self, plant: Plant, index: int) -> None:
        if index in self._ends:
            battery, car, tank = plant.inverter.battery, plant.car, plant.tank
            self._stores[index] = Stores(
                rooms=float(plant.rooms.stored_wh(_STORED_ABOVE_C).sum()),
                battery=0.0 if battery is None else battery.energy_wh,
                ev=0.0 if car is None else car.energy_wh,
                water=0.0 if tank is None else (tank.temperature_c - _STORED_ABOVE_C) * tank.capacity_wh_k,
            )

    def lived(self) -> Lived:
        """Return what was collected."""
        minutes = np.maximum(self._minutes, 1.0)
        return Lived(
            self._first,
            self._grid_w / minutes,
            self._battery_w / minutes,
            self._heating_w / minutes,
            self._air_c / minutes[:, None],
            self._stores,
        )
