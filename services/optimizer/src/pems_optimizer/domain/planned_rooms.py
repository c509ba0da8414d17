"""Which rooms a plan decides over, from which state, and what those left to their thermostats draw."""

from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from pems_common.comfort import comfort_target_c
from pems_common.home import Home
from pems_common.messages import OverrideEntry, Thermal
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.known import Known, fixed_state
from pems_optimizer.domain.problem import Floats, Note
from pems_optimizer.domain.room_arrays import RelayHistory
from pems_optimizer.domain.running import RunningPlan

__all__ = ["RoomsFound", "find_rooms", "relay_history", "thermostat_load_w"]

_STATE_FRESH = timedelta(minutes=35)
_STATE_NEAR_K = 1.0
# Share of the relay's time on of a room without a model: none at 20 C outdoors, 60 % at 15 C below zero.
_IDLE_OUTDOOR_C, _SPAN_K, _FULL_SHARE = 20.0, 35.0, 0.6
_LONG_SLOTS = 1000


@dataclass(frozen=True)
class RoomsFound:
    """The rooms of a home, sorted.

    Attributes:
        thermals: Models of the rooms to plan.
        air_c: Their air temperatures now.
        mass_c: Their slabs'.
        fixed_air_c: Every reading there is.
        left: Rooms left to their thermostats, with their model where there is one.
        notes: Why they are.
    """

    thermals: list[Thermal] = field(default_factory=list)
    air_c: dict[str, float] = field(default_factory=dict)
    mass_c: dict[str, float] = field(default_factory=dict)
    fixed_air_c: dict[str, float] = field(default_factory=dict)
    left: dict[str, Thermal | None] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def find_rooms(home: Home, known: Known, horizon: Horizon, outdoor_now_c: float) -> RoomsFound:
    """Sort rooms into those that are planned and those left to their thermostats."""
    found = RoomsFound()
    for name in home.rooms:
        thermal = known.thermals.get(name)
        reading = None if known.telemetry is None else known.telemetry.rooms.get(name)
        air = None if reading is None else reading.temperature_c
        state = None if thermal is None else thermal.state
        if state is not None and (
            air is None or (horizon.start - state.at < _STATE_FRESH and abs(state.air_c - air) < _STATE_NEAR_K)
        ):
            air = state.air_c
        if air is not None:
            found.fixed_air_c[name] = air
        why = ""
        if thermal is None:
            why = "no_model"
        elif thermal.tier == "observe":
            why = "model_not_trusted"
        elif air is None:
            why = "no_temperature"
        if why or thermal is None or air is None:
            found.notes.append(Note("room_left_to_thermostat", {"room": name, "why": why}))
            found.left[name] = thermal
            continue
        model = thermal.model
        if state is not None:
            mass = state.mass_c
        else:
            need = max(0.0, (air - outdoor_now_c) / model.rea_k_w)
            mass = air + model.ria_k_w * min(need, model.heater_w) * model.heat_to_mass
        found.thermals.append(thermal)
        found.air_c[name], found.mass_c[name] = air, mass
    return found


def thermostat_load_w(home: Home, found: RoomsFound, horizon: Horizon, outdoor_c: Floats) -> Floats:
    """Return the mean power of the rooms left to their thermostats at outdoor temperatures (T,) [W]."""
    load = np.zeros(horizon.slots)
    for name, thermal in found.left.items():
        heat_w = home.rooms[name].heat_w
        if thermal is None:
            share = np.clip((_IDLE_OUTDOOR_C - outdoor_c) / _SPAN_K, 0.0, 1.0) * _FULL_SHARE
        else:
            lift = comfort_target_c(home, name, horizon.start) - outdoor_c
            share = np.clip(lift / thermal.model.rea_k_w / heat_w, 0.0, 1.0)
        load = load + share * heat_w
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
