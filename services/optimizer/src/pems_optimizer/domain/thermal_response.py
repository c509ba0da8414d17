"""How temperatures answer to relays: all rooms together for the truth of a plan, one room for its bid."""

from dataclasses import dataclass

import numpy as np

from pems_optimizer.domain import thermal_kernel as kernel
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem, RoomSet, WaterSpec
from pems_optimizer.domain.relay_dp import RelayDevice

__all__ = ["RoomPath", "room_device", "simulate_rooms", "simulate_water", "water_device"]


@dataclass(frozen=True)
class RoomPath:
    """Temperatures of all rooms at the slot boundaries.

    Attributes:
        air_c: (T+1, R).
        mass_c: (T+1, R).
    """

    air_c: Floats
    mass_c: Floats

    def end_c(self, rooms: RoomSet) -> Floats:
        """Heat-weighted temperature of each room at the end (R,)."""
        share = rooms.capacity_wh_k / rooms.capacity_wh_k.sum(axis=1, keepdims=True)
        return np.asarray(share[:, 0] * self.air_c[-1] + share[:, 1] * self.mass_c[-1], dtype=np.float64)


def simulate_rooms(rooms: RoomSet, relay_on: Bools | Floats) -> RoomPath:
    """Simulate all rooms with their coupling, exactly for inputs that are constant over a slot.

    Args:
        rooms: The rooms.
        relay_on: Relays, or the share of each slot they are on (T, R).
    """
    slots, count = relay_on.shape
    heat = relay_on * rooms.heater_w
    inputs = np.concatenate(
        [rooms.air_input_w[:slots] + heat * (1.0 - rooms.heat_to_mass), heat * rooms.heat_to_mass], axis=1
    )
    pushed = inputs @ rooms.joint_b.T
    start = np.concatenate([rooms.air_c, rooms.mass_c]).astype(np.float64)
    states = kernel.room_states(start, np.ascontiguousarray(rooms.joint_a.T), np.ascontiguousarray(pushed))
    return RoomPath(states[:, :count], states[:, count:])


def _free_response(
    a: Floats, b_air: Floats, air_input_w: Floats, air_c: float, mass_c: float
) -> tuple[Floats, float, float]:
    (a00, a01), (a10, a11) = a.tolist()
    b0, b1 = b_air.tolist()
    x, m = air_c, mass_c
    free = np.empty(len(air_input_w))
    for t, q in enumerate(air_input_w.tolist()):
        x, m = a00 * x + a01 * m + b0 * q, a10 * x + a11 * m + b1 * q
        free[t] = x
    return free, x, m


def room_device(
    problem: PlanningProblem, path: RoomPath, room: int, relay_on: Bools, warmth_czk_k: Floats | None = None
) -> RelayDevice:
    """Describe one room for its dynamic program, from the first slot that is its own to decide.

    Args:
        problem: The problem.
        path: Last iterate of all rooms; the neighbours' temperatures are taken from it.
        room: Index of the room.
        relay_on: Last iterate of all relays (T, R); the room's own forced slots are read from it.
        warmth_czk_k: Money per K of its air at the end of each slot: minus what its neighbours gain by it (T,).
    """
    rooms, weights, dt = problem.rooms, problem.weights, problem.dt_h
    first = int(rooms.forced[room])
    neighbours = 0.5 * (path.air_c[first:-1] + path.air_c[first + 1 :])
    inputs = rooms.air_input_w[first:, room] + neighbours @ rooms.coupling_w_k[room]
    a = rooms.a[room]
    free, end_air, end_mass = _free_response(
        a, rooms.b_air[room], inputs, float(path.air_c[first, room]), float(path.mass_c[first, room])
    )
    # Modes of the response to heat, scaled to their share of the air temperature; slow one first.
    share = rooms.heat_to_mass[room]
    push_state = rooms.heater_w[room] * (share * rooms.b_mass[room] + (1.0 - share) * rooms.b_air[room])
    if a[0, 1] == 0.0:  # a room of one state: its mass is no part of the air's world
        values, push, mass_share = np.array([a[0, 0], 0.0]), np.array([push_state[0], 0.0]), np.zeros(2)
    else:
        values, vectors = np.linalg.eig(a)
        order = np.argsort(-values.real)
        values, vectors = values.real[order], vectors.real[:, order]
        vectors = vectors / vectors[0]  # air component 1
        push, mass_share = np.linalg.solve(vectors, push_state), vectors[1]
    capacity = rooms.capacity_wh_k[room]
    weight = capacity / capacity.sum()
    on_now, slots = bool(rooms.relay_on[room]), max(1, int(rooms.slots_in_state[room]))
    for state in relay_on[:first, room]:
        slots = slots + 1 if bool(state) == on_now else 1
        on_now = bool(state)
    comfort = rooms.priority[room] * dt
    return RelayDevice(
        free_c=free,
        free_end_c=float(weight[0] * end_air + weight[1] * end_mass),
        decay=values,
        push=push,
        end_gain=weight[0] + weight[1] * mass_share,
        low_c=np.ascontiguousarray(rooms.low_c[first:, room]),
        high_c=np.ascontiguousarray(rooms.high_c[first:, room]),
        below=float(weights.below_czk_k_h * comfort),
        above=float(weights.above_czk_k_h * comfort),
        end_reference_c=float(rooms.end_reference_c[room]),
        end_value=float(rooms.end_value_czk_k[room]),
        end_bonus=float(rooms.end_bonus_czk_k[room]),
        min_on=rooms.min_on,
        min_off=rooms.min_off,
        on_now=on_now,
        slots_in_state=slots,
        warmth_czk_k=np.zeros(len(free)) if warmth_czk_k is None else np.ascontiguousarray(warmth_czk_k[first:]),
    )


def simulate_water(water: WaterSpec, on: Bools, dt_h: float) -> Floats:
    """Return the tank temperature at the slot boundaries (T+1,); its thermostat stops heating at the top."""
    per_w = dt_h / water.capacity_wh_k
    high_c = np.ascontiguousarray(water.high_c, dtype=np.float64)
    taken_k = np.ascontiguousarray(water.drain_w[: len(on)] * per_w)
    return np.asarray(
        kernel.tank_c(float(water.temperature_c), np.ascontiguousarray(on), taken_k, water.heat_w * per_w, high_c)
    )


def water_device(water: WaterSpec, dt_h: float) -> RelayDevice:
    """Describe the tank for its dynamic program: one mode that keeps what it gets."""
    first = water.forced
    prefix = np.array(water.forced_on[:first], dtype=np.bool_)
    start_c = float(simulate_water(water, prefix, dt_h)[-1])
    free = start_c - np.cumsum(water.drain_w[first:]) * dt_h / water.capacity_wh_k
    on_now, slots = water.on_now, max(1, water.slots_in_state)
    for state in prefix.tolist():
        slots = slots + 1 if state == on_now else 1
        on_now = state
    count = len(free)
    return RelayDevice(
        free_c=free,
        free_end_c=float(free[-1]) if count else start_c,
        decay=np.array([1.0, 0.0]),
        push=np.array([water.heat_w * dt_h / water.capacity_wh_k, 0.0]),
        end_gain=np.array([1.0, 0.0]),
        low_c=water.low_c[first:],
        high_c=water.high_c[first:],
        below=water.below_czk_k_h * dt_h,
        above=0.0,
        end_reference_c=float(water.high_c[-1]),
        end_value=water.end_value_czk_k,
        end_bonus=0.0,
        min_on=water.min_on,
        min_off=water.min_off,
        on_now=on_now,
        slots_in_state=slots,
        warmth_czk_k=np.zeros(count),
        cap_c=water.high_c[first:],
    )
