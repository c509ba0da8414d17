"""Which rooms a plan decides over, from which state, and what those left to their thermostats draw.

The tier of a room's model says what is done with it. `prior` (too little evidence yet) and `control` (proven): the plan
decides. `suggest` (better than "same as yesterday", but not proven): the controller's rules run the room, with the
model; the plan counts what that model draws under them. `observe` (no better): nothing uses the model but its loss, for
the load of a room that is as warm as its schedule asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pems_common.comfort import is_day
from pems_common.home import Home
from pems_common.messages import OverrideEntry, Thermal
from pems_common.thermal import STATE_FRESH, STATE_NEAR_K
from pems_common.timegrid import SLOT
from pems_optimizer.domain.forecast_series import prices_ahead, series
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.known import Known, fixed_state
from pems_optimizer.domain.problem import Bools, Floats, Note
from pems_optimizer.domain.room_arrays import AirInputs, RelayHistory, air_input_w
from pems_optimizer.domain.running import RunningPlan
from pems_optimizer.domain.thermostats_ahead import rule_targets_c, thermostat_power_w

__all__ = ["LeftRoom", "RoomsFound", "find_rooms", "relay_history", "thermostat_load_w"]

# Share of the relay's time on of a room without a model: none at 20 C outdoors, 60 % at 15 C below zero.
_IDLE_OUTDOOR_C, _SPAN_K, _FULL_SHARE = 20.0, 35.0, 0.6
_LONG_SLOTS = 1000


@dataclass(frozen=True)
class LeftRoom:
    """A room left to its thermostat.

    Attributes:
        thermal: Its model, where there is one.
        state_c: Its air and slab now, where its model is on trial and simulated; None else.
    """

    thermal: Thermal | None
    state_c: tuple[float, float] | None = None


@dataclass(frozen=True)
class RoomsFound:
    """The rooms of a home, sorted.

    Attributes:
        thermals: Models of the rooms to plan.
        air_c: Their air temperatures now.
        mass_c: Their slabs'.
        fixed_air_c: Every reading there is.
        left: Rooms left to their thermostats.
        notes: Why they are: `no_model`, `model_not_trusted`, `model_on_trial`, `no_temperature`.
        solar_w_m2: Sun on facades (T,).
        buy: Price of import [CZK/kWh] (T,).
        cheap: Cheap slots (T,).
    """

    thermals: list[Thermal] = field(default_factory=list)
    air_c: dict[str, float] = field(default_factory=dict)
    mass_c: dict[str, float] = field(default_factory=dict)
    fixed_air_c: dict[str, float] = field(default_factory=dict)
    left: dict[str, LeftRoom] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    solar_w_m2: Mapping[str, Floats] = field(default_factory=dict)
    buy: Floats = field(default_factory=lambda: np.zeros(0))
    cheap: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))


def _why_left(thermal: Thermal | None, air_c: float | None) -> str:
    """Why a room is left to its thermostat; empty where it is planned."""
    if thermal is None:
        return "no_model"
    if thermal.tier == "observe":
        return "model_not_trusted"
    if air_c is None:
        return "no_temperature"
    return "model_on_trial" if thermal.tier == "suggest" else ""


def _slab_c(thermal: Thermal, air_c: float, outdoor_c: float) -> float:
    """Temperature of the slab: estimated, else as warm as holding the room takes."""
    if thermal.state is not None:
        return thermal.state.mass_c
    model = thermal.model
    need = max(0.0, (air_c - outdoor_c) / model.rea_k_w)
    return air_c + model.ria_k_w * min(need, model.heater_w) * model.heat_to_mass


def find_rooms(home: Home, known: Known, horizon: Horizon, outdoor_now_c: float) -> RoomsFound:
    """Sort rooms into those that are planned and those left to their thermostats."""
    found = RoomsFound()
    if known.forecast is not None:
        solar = {f: np.maximum(series(s, horizon), 0.0) for f, s in known.forecast.solar_w_m2.items()}
        buy = prices_ahead(known.forecast, known.prices, horizon).buy
        found = RoomsFound(solar_w_m2=solar, buy=buy, cheap=horizon.cheap_slots(buy))
    for name in home.rooms:
        thermal = known.thermals.get(name)
        reading = None if known.telemetry is None else known.telemetry.rooms.get(name)
        air = None if reading is None else reading.temperature_c
        state = None if thermal is None else thermal.state
        if state is not None and (
            air is None or (horizon.start - state.at < STATE_FRESH and abs(state.air_c - air) < STATE_NEAR_K)
        ):
            air = state.air_c
        if air is not None:
            found.fixed_air_c[name] = air
        why = _why_left(thermal, air)
        if why:
            found.notes.append(Note("room_left_to_thermostat", {"room": name, "why": why}))
        if thermal is None or air is None:
            found.left[name] = LeftRoom(thermal)
            continue
        mass = _slab_c(thermal, air, outdoor_now_c)
        if why:
            found.left[name] = LeftRoom(thermal, (air, mass) if why == "model_on_trial" else None)
            continue
        found.thermals.append(thermal)
        found.air_c[name], found.mass_c[name] = air, mass
    return found


def _trial_load_w(
    home: Home, thermal: Thermal, state_c: tuple[float, float], found: RoomsFound, comfort_c: Floats, inputs: AirInputs
) -> Floats:
    """Return what the rules make a room with a model on trial draw (T,) [W]."""
    model = thermal.model
    inflow_w = air_input_w(home, thermal, inputs, frozenset(), {}, home.site.zone)
    outward_w_k = 1.0 / model.rea_k_w + sum(model.neighbours.values())
    hold_w = float((comfort_c * outward_w_k - inflow_w).mean())
    target = rule_targets_c(model, comfort_c, model.heater_w - hold_w, found.buy, found.cheap)
    return thermostat_power_w(model, *state_c, target, inflow_w)


def thermostat_load_w(home: Home, found: RoomsFound, horizon: Horizon, outdoor_c: Floats) -> Floats:
    """Return the mean power of the rooms left to their thermostats at outdoor temperatures (T,) [W].

    A room with a model on trial is simulated under the controller's rules. Any other model gives the steady loss of a
    room as warm as its schedule asks. Where there is no model, the relay's time on goes by outdoor temperature.
    """
    load = np.zeros(horizon.slots)
    inputs = AirInputs(horizon.start, horizon.slots, SLOT, outdoor_c, found.solar_w_m2)
    by_day = np.array([is_day(home, horizon.at(t)) for t in range(horizon.slots if found.left else 0)])
    for name, room in found.left.items():
        heat_w = home.rooms[name].heat_w
        comfort_c = np.where(by_day, home.rooms[name].day_c, home.rooms[name].night_c)
        if room.thermal is None:
            load = load + np.clip((_IDLE_OUTDOOR_C - outdoor_c) / _SPAN_K, 0.0, 1.0) * _FULL_SHARE * heat_w
        elif room.state_c is None:
            load = load + np.clip((comfort_c - outdoor_c) / room.thermal.model.rea_k_w, 0.0, heat_w)
        else:
            load = load + _trial_load_w(home, room.thermal, room.state_c, found, comfort_c, inputs)
    return np.asarray(load, dtype=np.float64)


def relay_history(
    room: str, on_now: bool, running: RunningPlan | None, entry: OverrideEntry | None, horizon: Horizon
) -> RelayHistory:
    """Return what a relay does now, for how long it has, and what is already decided for it."""
    held = None if running is None else running.slots_in_state(room, horizon.start, on_now)
    prefix: list[bool] = []
    for t in range(horizon.frozen):
        planned = None if running is None else running.room_on(room, horizon.at(t))
        prefix.append(on_now if planned is None else planned)
    state = fixed_state(entry)
    if entry is not None and state is not None:
        prefix = [state] * max(horizon.frozen, horizon.slots_until(entry.until))
    return RelayHistory(on_now, _LONG_SLOTS if held is None else held, len(prefix), tuple(prefix))
