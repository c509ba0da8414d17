"""Random rooms: of one state or with a slab, alone or in a row that warm each other, cold, hot or as they should be."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pems_common.messages import RoomModel, Thermal
from pems_common.thermal import discretise
from pems_optimizer.domain.problem import Floats, RoomSet
from pems_optimizer.domain.room_arrays import joint_step

__all__ = ["Slots", "random_rooms"]


@dataclass(frozen=True)
class Slots:
    """The slots of a problem: how many, how long, the hour of the day in each (T,), how many are decided already."""

    count: int
    dt_h: float
    hour: Floats
    frozen: int


def _one_state(loss_w_k: Floats, capacity_wh_k: Floats, dt_h: float) -> dict[str, Any]:
    """Matrices of rooms whose mass is no part of the air's world."""
    count, keep = len(loss_w_k), np.exp(-dt_h * loss_w_k / capacity_wh_k)
    gain, zero = (1.0 - keep) / loss_w_k, np.zeros(len(loss_w_k))
    a = np.zeros((count, 2, 2))
    a[:, 0, 0], a[:, 1, 1] = keep, 1.0
    return {
        "a": a,
        "b_air": np.stack([gain, zero], axis=1),
        "b_mass": np.zeros((count, 2)),
        "joint_a": np.diag(np.concatenate([keep, np.ones(count)])),
        "joint_b": np.diag(np.concatenate([gain, zero])),
        "heat_to_mass": zero,
        "capacity_wh_k": np.stack([capacity_wh_k, zero], axis=1),
    }


def _two_states(
    rng: np.random.Generator, heater_w: Floats, loss_w_k: Floats, capacity_wh_k: Floats, coupling: Floats, dt_h: float
) -> dict[str, Any]:
    """Matrices of rooms with a slab or heavy walls, and of all of them together."""
    count = len(heater_w)
    air_share, to_mass = rng.uniform(0.1, 0.4, count), rng.choice([0.0, 0.6, 1.0], count)
    names = [f"room_{r}" for r in range(count)]
    models = [
        RoomModel(
            ria_k_w=float(rng.uniform(0.5, 4.0) / heater_w[r]),
            rea_k_w=float(1.0 / loss_w_k[r]),
            ci_j_k=float(3600.0 * capacity_wh_k[r] * air_share[r]),
            cm_j_k=float(3600.0 * capacity_wh_k[r] * (1.0 - air_share[r])),
            neighbours={names[k]: float(coupling[r, k]) for k in np.flatnonzero(coupling[r]).tolist()},
            heater_w=float(heater_w[r]),
            heat_to_mass=float(to_mass[r]),
        )
        for r in range(count)
    ]
    thermals = [
        Thermal(room=name, version="", tier="control", model=model) for name, model in zip(names, models, strict=True)
    ]
    joint_a, joint_b = joint_step(thermals, coupling, 3600.0 * dt_h)
    single = [discretise(model, 3600.0 * dt_h) for model in models]
    return {
        "a": np.array([[[s.a_aa, s.a_am], [s.a_ma, s.a_mm]] for s in single]),
        "b_air": np.array([[s.b_aa, s.b_ma] for s in single]),
        "b_mass": np.array([[s.b_am, s.b_mm] for s in single]),
        "joint_a": joint_a,
        "joint_b": joint_b,
        "heat_to_mass": to_mass,
        "capacity_wh_k": capacity_wh_k[:, None] * np.stack([air_share, 1.0 - air_share], axis=1),
    }


def random_rooms(
    rng: np.random.Generator, count: int, slots: Slots, outdoor_c: Floats, *, start_k: tuple[float, float]
) -> RoomSet:
    """Draw rooms.

    Args:
        rng: Where chance comes from.
        count: Number of rooms.
        slots: The slots.
        outdoor_c: Outdoor temperature (T,).
        start_k: How far above its lower edge each room's air is now, from and to.
    """
    heater = np.round(rng.uniform(300.0, 3000.0, count), -1)
    loss = heater / rng.uniform(22.0, 60.0, count)  # some heaters are too weak for a cold night
    capacity = loss * rng.uniform(10.0, 80.0, count)
    coupling = np.zeros((count, count))
    if count > 1 and rng.random() < 0.4:
        for r in range(count - 1):
            coupling[r, r + 1] = coupling[r + 1, r] = rng.uniform(0.05, 0.4) * np.sqrt(loss[r] * loss[r + 1])
    if coupling.any() or rng.random() < 0.6:
        matrices = _two_states(rng, heater, loss, capacity, coupling, slots.dt_h)
    else:
        matrices = _one_state(loss, capacity, slots.dt_h)
    day = (slots.hour >= 6.0) & (slots.hour < 22.0)
    low = np.where(day[:, None], rng.uniform(19.0, 22.0, count), rng.uniform(17.0, 19.0, count))
    high = low + rng.uniform(0.5, 2.5, count)
    air = low[0] + rng.uniform(*start_k, count)
    forced = np.full(count, slots.frozen)
    if count and rng.random() < 0.15:  # a person's order for one room
        forced[rng.integers(count)] = min(slots.count, slots.frozen + int(rng.integers(1, 9)))
    relay_on = rng.random(count) < 0.3
    forced_on = np.zeros((slots.count, count), dtype=np.bool_)
    for r in range(count):  # mostly as it is now
        forced_on[: forced[r], r] = relay_on[r] if rng.random() < 0.7 else not relay_on[r]
    fine = slots.dt_h <= 0.25
    mean_buy = rng.uniform(0.0, 5.0)
    return RoomSet(
        names=tuple(f"room_{r}" for r in range(count)),
        heater_w=heater,
        air_c=air,
        mass_c=air + rng.uniform(-0.5, 2.0, count),
        outward_w_k=loss,
        coupling_w_k=coupling,
        air_input_w=loss * outdoor_c[:, None] + rng.uniform(0.0, 0.1, count) * heater,
        low_c=low,
        high_c=high,
        band_low_c=low - 0.2,
        band_high_c=high + 0.1,
        target_c=low + 0.3,
        priority=rng.choice([0.5, 1.0, 2.0], count),
        relay_on=relay_on,
        slots_in_state=rng.choice([0, 1, 2, 1000], count),
        forced=forced,
        forced_on=forced_on,
        min_on=int(rng.integers(1, 4)) if fine else 1,
        min_off=int(rng.integers(1, 4)) if fine else 1,
        starts_max=np.full(count, max(1, round(slots.count * slots.dt_h * rng.choice([0.1, 0.5, 2.0])))),
        end_reference_c=low[-1] + rng.uniform(0.0, 1.0, count),
        end_value_czk_k=capacity / 1000.0 * mean_buy,
        end_bonus_czk_k=capacity / 1000.0 * mean_buy * rng.choice([0.0, 0.6]),
        **matrices,
    )
