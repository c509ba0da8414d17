"""The reference family of planning problems: generated winter days for rooms x slots, seeds 0-49 (TARGETS.md).

Rooms of one state (air), or of two with a slab, alone or in a row that warm each other; a 10 kWh battery that takes any
power, PV, spot prices with a night valley and two peaks, a 22 kW connection, a price on the import peak. The numbers
are those of the design's experiments, so that times and gaps can be compared with theirs.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from pems_common.messages import RoomModel, Thermal
from pems_common.thermal import discretise
from pems_optimizer.domain.problem import (
    BatterySpec,
    GridSpec,
    PlanningProblem,
    RoomSet,
    Weights,
)
from pems_optimizer.domain.room_arrays import joint_step

__all__ = ["Family", "reference_problem"]

START = datetime(2025, 1, 14, tzinfo=UTC)
_COST_WEIGHT = 0.7  # prices are money times this, as in the experiments


@dataclass(frozen=True)
class Family:
    """Which member of the family; the default is the gate's."""

    rooms: int = 16
    hours: int = 48
    step_minutes: float = 15.0
    slab: bool = False
    coupled: bool = False
    negative: bool = False
    import_max_w: float = 22_000.0


def _bump(hour: np.ndarray, at: float, width: float) -> np.ndarray:
    return np.asarray(np.exp(-(((hour - at) / width) ** 2)))


def _rooms(
    family: Family, rng: np.random.Generator, slots: int, dt_h: float, outdoor_c: np.ndarray, pv_kw: np.ndarray
) -> dict[str, Any]:
    """Draw the rooms: power, loss and capacity, gains, temperature now."""
    count = family.rooms
    power_kw = np.round(rng.uniform(0.5, 2.0, count), 1)
    time_constant_h = rng.uniform(15, 60, count)
    loss_kw_k = power_kw / (33 * rng.uniform(1.2, 1.7, count))
    gains_kw = rng.uniform(0.02, 0.12, count) + np.outer(pv_kw / 10, rng.uniform(0, 0.4, count))
    return {
        "power_w": 1000.0 * power_kw,
        "loss_w_k": 1000.0 * loss_kw_k,
        "capacity_wh_k": 1000.0 * loss_kw_k * time_constant_h,
        "gains_w": 1000.0 * gains_kw,
        "air_c": rng.uniform(19.0, 19.8, count),
    }


def _matrices(family: Family, drawn: dict[str, Any], step_s: float) -> dict[str, Any]:
    """Step matrices of the rooms, exact for inputs that are constant over a slot."""
    loss, capacity = drawn["loss_w_k"], drawn["capacity_wh_k"]
    count = family.rooms
    coupling = np.zeros((count, count))
    if family.coupled:
        for r in range(count - 1):
            coupling[r, r + 1] = coupling[r + 1, r] = 0.15 * np.sqrt(loss[r] * loss[r + 1])
    names = [f"room_{r}" for r in range(count)]
    if not family.slab and not family.coupled:
        keep = np.exp(-step_s / 3600.0 * loss / capacity)
        a = np.zeros((count, 2, 2))
        a[:, 0, 0], a[:, 1, 1] = keep, 1.0
        gain = (1.0 - keep) / loss
        zero = np.zeros(count)
        return {
            "a": a,
            "b_air": np.stack([gain, zero], axis=1),
            "b_mass": np.zeros((count, 2)),
            "joint_a": np.diag(np.concatenate([keep, np.ones(count)])),
            "joint_b": np.diag(np.concatenate([gain, zero])),
            "heat_to_mass": zero,
            "capacity_wh_k": np.stack([capacity, zero], axis=1),
            "coupling_w_k": coupling,
            "outward_w_k": loss,
        }
    # With a slab: a fifth of the capacity in the air, the rest and all heat in the slab, 0.15 K/W per kW of heater.
    air_share = 0.2
    thermals = [
        Thermal(
            room=names[r],
            version="",
            tier="control",
            model=RoomModel(
                ria_k_w=4.0 / drawn["power_w"][r] if family.slab else 0.2 / drawn["power_w"][r],
                rea_k_w=1.0 / loss[r],
                ci_j_k=3600.0 * capacity[r] * air_share,
                cm_j_k=3600.0 * capacity[r] * (1.0 - air_share),
                neighbours={names[k]: float(coupling[r, k]) for k in range(count) if coupling[r, k] > 0.0},
                heater_w=float(drawn["power_w"][r]),
                heat_to_mass=1.0 if family.slab else 0.0,
            ),
        )
        for r in range(count)
    ]
    joint_a, joint_b = joint_step(thermals, coupling, step_s)
    single = [discretise(t.model, step_s) for t in thermals]
    return {
        "a": np.array([[[s.a_aa, s.a_am], [s.a_ma, s.a_mm]] for s in single]),
        "b_air": np.array([[s.b_aa, s.b_ma] for s in single]),
        "b_mass": np.array([[s.b_am, s.b_mm] for s in single]),
        "joint_a": joint_a,
        "joint_b": joint_b,
        "heat_to_mass": np.full(count, 1.0 if family.slab else 0.0),
        "capacity_wh_k": np.stack([capacity * air_share, capacity * (1.0 - air_share)], axis=1),
        "coupling_w_k": coupling,
        "outward_w_k": loss,
    }


def reference_problem(seed: int, family: Family | None = None) -> PlanningProblem:
    """Return one problem of the family."""
    family = family or Family()
    rng = np.random.default_rng(seed)
    dt_h = family.step_minutes / 60.0
    slots = round(family.hours / dt_h)
    hour = (np.arange(slots) + 0.5) * dt_h
    local, day = hour % 24, (hour // 24).astype(int)
    days = int(np.ceil(family.hours / 24)) + 1
    outdoor_c = 4.0 * np.sin((local - 9) / 24 * 2 * np.pi) + np.sin(hour / 37.0)
    cloud = rng.uniform(0.35, 0.75, size=days)
    noise = rng.normal(0, 0.12, slots)
    for t in range(1, slots):
        noise[t] += 0.8 * noise[t - 1]
    light = np.clip(np.sin((local - 8) / 8.5 * np.pi), 0, None) * ((local > 8) & (local < 16.5))
    pv_kw = 7.5 * light * np.clip(cloud[day] + noise, 0.05, 1)
    load_kw = 0.35 + 0.5 * _bump(local, 7, 1.2) + 1.3 * _bump(local, 18.5, 2.0) + 0.25 * _bump(local, 12.5, 1.0)
    load_kw = load_kw * rng.lognormal(0, 0.2, slots)
    shape = 2.2 + 1.5 * _bump(local, 8, 1.8) + 2.0 * _bump(local, 18.5, 2.2)
    shape = shape - 0.9 * _bump(local, 13, 2.0) - 0.8 * _bump(local, 3, 2.5)
    spot = shape * (1 + 0.15 * rng.normal(size=days)[day]) + 0.15 * rng.normal(size=slots)
    if family.negative:
        spot = spot - 2.8 * _bump(local, 13, 2.0)
    buy = spot + np.where(np.isin(local.astype(int), [9, 12, 16, 19]), 0.9, 0.35) + 0.4
    drawn = _rooms(family, rng, slots, dt_h, outdoor_c, pv_kw)
    matrices = _matrices(family, drawn, dt_h * 3600.0)
    low = np.where((local >= 6) & (local < 22), 20.0, 18.0)[:, None] * np.ones(family.rooms)
    zero = np.zeros(family.rooms)
    half_hour = max(1, round(0.5 / dt_h))
    two_state = family.slab or family.coupled
    rooms = RoomSet(
        names=tuple(f"room_{r}" for r in range(family.rooms)),
        heater_w=drawn["power_w"],
        air_c=drawn["air_c"],
        mass_c=drawn["air_c"] + 1.0 if two_state else zero,
        air_input_w=drawn["loss_w_k"] * outdoor_c[:, None] + drawn["gains_w"],
        low_c=low,
        high_c=low + 2.0,
        band_low_c=low,
        band_high_c=low + 2.0,
        target_c=low + 0.5,
        priority=np.ones(family.rooms),
        relay_on=np.zeros(family.rooms, dtype=np.bool_),
        slots_in_state=np.full(family.rooms, 1000),
        forced=np.zeros(family.rooms, dtype=np.int64),
        forced_on=np.zeros((slots, family.rooms), dtype=np.bool_),
        min_on=half_hour,
        min_off=half_hour,
        starts_max=np.full(family.rooms, round(family.hours / 2)),
        end_reference_c=low[-1] + 0.8,
        end_value_czk_k=drawn["capacity_wh_k"] / 1000.0 * _COST_WEIGHT * float(buy.mean()),
        end_bonus_czk_k=zero,
        **matrices,
    )
    battery = BatterySpec(
        capacity_wh=10_000.0,
        energy_wh=5_000.0,
        min_wh=500.0,
        max_wh=10_000.0,
        charge_max_w=5_000.0,
        discharge_max_w=5_000.0,
        dispatch_min_w=0.0,
        charge_efficiency=0.95,
        discharge_efficiency=0.95,
        wear_czk_kwh=0.02,
        end_value_czk_wh=_COST_WEIGHT * float(buy.mean()) * 0.95 / 1000.0,
        control="setpoint",
    )
    return PlanningProblem(
        start=START,
        slots=slots,
        frozen=0,
        pv_w=1000.0 * pv_kw,
        load_w=1000.0 * load_kw,
        buy=_COST_WEIGHT * buy,
        sell=_COST_WEIGHT * (spot - 0.45),
        outdoor_c=outdoor_c,
        cheap=buy <= np.quantile(buy, 0.3),
        heating_season=True,
        rooms=rooms,
        battery=battery,
        ev=None,
        water=None,
        grid=GridSpec(family.import_max_w, 10_000.0, 1e6, 1e9, pv_curtailable=True),
        weights=Weights(
            profile="balanced",
            export_czk_kwh=0.2 * 2.5,
            peak_czk_kw=0.1 * 40.0,
            below_czk_k_h=20.0,
            above_czk_k_h=5.0,
            start_czk=1e-3,
            intent_czk=0.0,
            overload_czk_kwh=20.0,
        ),
        step=timedelta(hours=dt_h),
    )
