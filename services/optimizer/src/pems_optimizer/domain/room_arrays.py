"""From room models (2R2C) to the arrays of a planning problem."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log2
from zoneinfo import ZoneInfo

import numpy as np

from pems_common.comfort import comfort_band_c, comfort_target_c
from pems_common.home import Home
from pems_common.messages import Thermal
from pems_common.thermal import DISTURBANCE_FADE_H, discretise
from pems_optimizer.domain.problem import Bools, Floats, RoomSet

__all__ = ["AirInputs", "RelayHistory", "RoomInputs", "air_input_w", "build_rooms", "joint_step"]

# A model of which little is known yet keeps further from the band's edge. Other tiers are not planned.
_MARGIN_K = {"prior": 0.25, "control": 0.15}
_TAYLOR_TERMS = 15  # the rest is below 0.5^16 / 16!, 1e-18


@dataclass(frozen=True)
class RelayHistory:
    """State of a relay at the start of the horizon and what is already decided for it.

    Attributes:
        on: Whether it is on.
        slots_in_state: Slots it has been so; large where unknown.
        forced: First slots that are not free.
        forced_on: What happens in them.
    """

    on: bool = False
    slots_in_state: int = 1000
    forced: int = 0
    forced_on: tuple[bool, ...] = ()


@dataclass(frozen=True)
class AirInputs:
    """Slots, and what acts on the air of all rooms in them: weather (T,), sun on facades [W/m2] (T,)."""

    start: datetime
    slots: int
    step: timedelta
    outdoor_c: Floats
    solar_w_m2: Mapping[str, Floats]


@dataclass(frozen=True)
class RoomInputs(AirInputs):
    """What all planned rooms share over the horizon: also money."""

    heat_price_czk_kwh: float
    cheap_price_czk_kwh: float


def _exponential(matrix: Floats) -> Floats:
    """Matrix exponential, by scaling and squaring of its Taylor series.

    Moler and Van Loan 2003, doi:10.1137/S00361445024180. SciPy's would cost each worker 15 MB for this one call.
    """
    norm = float(np.abs(matrix).sum(axis=0).max(initial=0.0))
    halvings = max(0, ceil(log2(norm)) + 1) if norm > 0.0 else 0  # the scaled norm is at most 1/2
    scaled, unit = matrix / 2.0**halvings, np.eye(len(matrix))
    result = unit
    for k in range(_TAYLOR_TERMS, 0, -1):
        result = unit + scaled @ result / k
    for _ in range(halvings):
        result = result @ result
    return result


def joint_step(thermals: list[Thermal], coupling_w_k: Floats, step_s: float) -> tuple[Floats, Floats]:
    """Discretise all rooms together exactly (matrix exponential, inputs constant over the step).

    Returns:
        Step matrix (2R, 2R) and effect of 1 W into each node (2R, 2R); states: all air nodes, then all masses.
    """
    count = len(thermals)
    if count == 0:
        return np.zeros((0, 0)), np.zeros((0, 0))
    system = np.zeros((2 * count, 2 * count))
    air = np.array([t.model.ci_j_k for t in thermals])
    mass = np.array([t.model.cm_j_k for t in thermals])
    inside = np.array([1.0 / t.model.ria_k_w for t in thermals])
    outward = np.array([1.0 / t.model.rea_k_w + sum(t.model.neighbours.values()) for t in thermals])
    i = np.arange(count)
    system[i, i] = -(inside + outward) / air
    system[i, i + count] = inside / air
    system[i + count, i] = inside / mass
    system[i + count, i + count] = -inside / mass
    system[:count, :count] += coupling_w_k / air[:, None]
    # exp([[A, B], [0, 0]] h) holds the step matrix and the input matrix in one go (Van Loan 1978,
    # doi:10.1109/TAC.1978.1101743).
    block = np.zeros((4 * count, 4 * count))
    block[: 2 * count, : 2 * count] = system
    block[: 2 * count, 2 * count :] = np.diag(1.0 / np.concatenate([air, mass]))
    full = _exponential(block * step_s)
    return np.asarray(full[: 2 * count, : 2 * count]), np.asarray(full[: 2 * count, 2 * count :])


def _suns_w(thermal: Thermal, inputs: AirInputs) -> Iterator[Floats]:
    """Give what the sun brings into a room through each facade (T,) [W]."""
    for facade, aperture in thermal.model.solar_m2.items():
        if facade in inputs.solar_w_m2:
            yield aperture * inputs.solar_w_m2[facade]


def air_input_w(
    home: Home,
    thermal: Thermal,
    inputs: AirInputs,
    planned: frozenset[str],
    fixed_air_c: Mapping[str, float],
    zone: ZoneInfo,
) -> Floats:
    """Return everything that enters the air node but heating and planned neighbours (T,) [W].

    Neighbours are as warm as `fixed_air_c` says, else as they should be; what is no room of this house is outdoors.
    """
    model = thermal.model
    total = inputs.outdoor_c / model.rea_k_w
    for through_facade_w in _suns_w(thermal, inputs):
        total = total + through_facade_w
    starts = [inputs.start + k * inputs.step for k in range(inputs.slots)]
    gains = [model.gains_w.get(str(at.astimezone(zone).hour), 0.0) for at in starts]
    hours = (np.arange(inputs.slots) + 0.5) * inputs.step.total_seconds() / 3600.0
    disturbance = 0.0 if thermal.state is None else thermal.state.disturbance_w
    total = total + np.array(gains) + disturbance * np.exp(-hours / DISTURBANCE_FADE_H)
    for other, conductance in model.neighbours.items():
        if other in planned:
            continue
        if other in fixed_air_c:
            temperature: Floats | float = fixed_air_c[other]
        elif other in home.rooms:
            temperature = np.array([comfort_target_c(home, other, at) for at in starts])
        else:
            temperature = inputs.outdoor_c
        total = total + conductance * temperature
    return np.asarray(total, dtype=np.float64)


def _bands(home: Home, names: list[str], inputs: RoomInputs) -> tuple[Floats, Floats, Floats]:
    """Band at the end of each slot and target within it: low, high, target (T, R)."""
    low = np.empty((inputs.slots, len(names)))
    high, target = np.empty_like(low), np.empty_like(low)
    for t in range(inputs.slots):
        at = inputs.start + t * inputs.step
        for r, name in enumerate(names):
            low[t, r], high[t, r] = comfort_band_c(home, name, at)
            target[t, r] = comfort_target_c(home, name, at)
    return low, high, target


def build_rooms(
    home: Home,
    thermals: list[Thermal],
    air_c: Mapping[str, float],
    mass_c: Mapping[str, float],
    relays: Mapping[str, RelayHistory],
    inputs: RoomInputs,
    *,
    fixed_air_c: Mapping[str, float],
    held_target_c: Mapping[str, tuple[float, int]],
) -> RoomSet:
    """Build the arrays of all planned rooms.

    Args:
        home: The site.
        thermals: Models of the rooms to plan, in order.
        air_c: Air temperature now of each.
        mass_c: Mass temperature now of each.
        relays: Relay state of each.
        inputs: What all rooms share.
        fixed_air_c: Readings of rooms that are not planned.
        held_target_c: A person's target for a room [C], and for how many slots.
    """
    names = [t.room for t in thermals]
    count, slots, step_s = len(names), inputs.slots, inputs.step.total_seconds()
    index = {name: r for r, name in enumerate(names)}
    coupling = np.zeros((count, count))
    for r, thermal in enumerate(thermals):
        for other, conductance in thermal.model.neighbours.items():
            if other in index:
                coupling[r, index[other]] = conductance
    joint_a, joint_b = joint_step(thermals, coupling, step_s)
    singles = [discretise(t.model, step_s) for t in thermals]
    low, high, target = _bands(home, names, inputs)
    for name, (wish, until) in held_target_c.items():
        r = index[name]
        low[:until, r], high[:until, r], target[:until, r] = wish - 0.3, wish + 0.7, wish
    margin = np.array([_MARGIN_K[t.tier] for t in thermals])
    capacity = np.array([[t.model.ci_j_k, t.model.cm_j_k] for t in thermals]).reshape(count, 2) / 3600.0
    air_input, sun = np.zeros((slots, count)), np.zeros((slots, count))
    for r, thermal in enumerate(thermals):
        sun[:, r] = sum(_suns_w(thermal, inputs), np.zeros(slots))
        air_input[:, r] = air_input_w(home, thermal, inputs, frozenset(names), fixed_air_c, home.site.zone)
    history = [relays.get(name, RelayHistory()) for name in names]
    forced_on: Bools = np.zeros((slots, count), dtype=np.bool_)
    for r, relay in enumerate(history):
        n = min(relay.forced, slots)
        forced_on[:n, r] = relay.forced_on[:n]
    slot_minutes = step_s / 60.0
    plan = home.optimization
    starts = max(2, round(plan.starts_per_48h_max * slots * slot_minutes / (48 * 60)))
    # The room should end as warm as the band asks, with the slab as warm as holding that needs.
    hold = low[-1] + margin + 0.25 if slots else np.zeros(count)
    outward = np.array([1.0 / t.model.rea_k_w + sum(t.model.neighbours.values()) for t in thermals])
    heater = np.array([t.model.heater_w for t in thermals])
    share = np.array([t.model.heat_to_mass for t in thermals])
    need = np.clip(hold * outward - air_input.mean(axis=0) - coupling @ hold, 0.0, heater) if count else heater
    mass_hold = hold + np.array([t.model.ria_k_w for t in thermals]) * need * share
    weight = capacity / np.maximum(capacity.sum(axis=1, keepdims=True), 1e-9)
    to_kwh = capacity.sum(axis=1) / 1000.0
    return RoomSet(
        names=tuple(names),
        heater_w=heater,
        a=np.array([[[s.a_aa, s.a_am], [s.a_ma, s.a_mm]] for s in singles]).reshape(count, 2, 2),
        b_air=np.array([[s.b_aa, s.b_ma] for s in singles]).reshape(count, 2),
        b_mass=np.array([[s.b_am, s.b_mm] for s in singles]).reshape(count, 2),
        outward_w_k=np.array([1.0 / t.model.rea_k_w for t in thermals]),
        coupling_w_k=coupling,
        joint_a=joint_a,
        joint_b=joint_b,
        heat_to_mass=share,
        capacity_wh_k=capacity,
        air_c=np.array([air_c[n] for n in names], dtype=np.float64),
        mass_c=np.array([mass_c[n] for n in names], dtype=np.float64),
        air_input_w=air_input,
        low_c=low + margin,
        high_c=np.maximum(high - 0.1, low + margin + 0.3),
        band_low_c=low,
        band_high_c=high,
        target_c=target,
        priority=np.array([home.rooms[n].priority for n in names], dtype=np.float64),
        relay_on=np.array([h.on for h in history], dtype=np.bool_),
        slots_in_state=np.array([h.slots_in_state for h in history], dtype=np.int64),
        forced=np.array([min(h.forced, slots) for h in history], dtype=np.int64),
        forced_on=forced_on,
        min_on=max(1, round(plan.plan_min_on_minutes / slot_minutes)),
        min_off=max(1, round(plan.plan_min_off_minutes / slot_minutes)),
        starts_max=np.full(count, starts, dtype=np.int64),
        end_reference_c=weight[:, 0] * hold + weight[:, 1] * mass_hold,
        end_value_czk_k=inputs.heat_price_czk_kwh * to_kwh,
        end_bonus_czk_k=0.9 * inputs.cheap_price_czk_kwh * to_kwh,
        sun_w=sun,
    )
