"""A planning problem on longer slots, and a decision made there brought back to the short ones.

A problem that is too large for the time there is (`size`) is solved coarse and verified fine: what a device does is
decided in steps of some slots, and what it costs is told on the true grid. Rooms are not approximated: the step
matrix of a long slot is the power of that of a short one. Forced slots come back exactly as they were.
"""

from dataclasses import replace

import numpy as np

from pems_optimizer.domain.coarse_prefix import coarse_states, relay_prefix
from pems_optimizer.domain.problem import (
    ApplianceSpec,
    BatterySpec,
    Bools,
    EvSpec,
    Floats,
    PlanningProblem,
    RoomSet,
    Scenario,
    WaterSpec,
)
from pems_optimizer.domain.refining import run_left

__all__ = ["coarsened"]


def _mean(series: Floats, factor: int, slots: int) -> Floats:
    """Mean over each long slot (T', ...)."""
    return np.asarray(series[: slots * factor].reshape(slots, factor, *series.shape[1:]).mean(axis=1))


def _most(series: Floats, factor: int, slots: int) -> Floats:
    return np.asarray(series[: slots * factor].reshape(slots, factor, *series.shape[1:]).max(axis=1))


def _least(series: Floats, factor: int, slots: int) -> Floats:
    return np.asarray(series[: slots * factor].reshape(slots, factor, *series.shape[1:]).min(axis=1))


def _power_and_sum(a: Floats, factor: int) -> tuple[Floats, Floats]:
    """Return A^f and I + A + ... + A^(f-1) of one or many matrices (..., n, n)."""
    unit = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    power, total = unit, np.zeros_like(a)
    for _ in range(factor):
        total = total + power
        power = power @ a
    return power, total


def _rooms(rooms: RoomSet, factor: int, slots: int) -> RoomSet:
    a, own_sum = _power_and_sum(rooms.a, factor)
    joint_a, joint_sum = _power_and_sum(rooms.joint_a, factor)
    min_on, min_off = -(-rooms.min_on // factor), -(-rooms.min_off // factor)
    prefixes = [
        relay_prefix(
            rooms.forced_on[: int(rooms.forced[r]), r].tolist(),
            on_now=bool(rooms.relay_on[r]),
            held=int(rooms.slots_in_state[r]),
            least=(rooms.min_off, rooms.min_on),
            factor=factor,
            slots=slots,
        )
        for r in range(rooms.count)
    ]
    forced_on: Bools = np.zeros((slots, rooms.count), dtype=np.bool_)
    for r, prefix in enumerate(prefixes):
        forced_on[: len(prefix), r] = prefix
    low, band_low = _most(rooms.low_c, factor, slots), _most(rooms.band_low_c, factor, slots)
    return replace(
        rooms,
        a=a,
        b_air=np.einsum("rij,rj->ri", own_sum, rooms.b_air),
        b_mass=np.einsum("rij,rj->ri", own_sum, rooms.b_mass),
        joint_a=joint_a,
        joint_b=joint_sum @ rooms.joint_b,
        air_input_w=_mean(rooms.air_input_w, factor, slots),
        sun_w=_mean(rooms.sun_w, factor, slots) if len(rooms.sun_w) else rooms.sun_w,
        low_c=low,
        high_c=np.maximum(_least(rooms.high_c, factor, slots), low),
        band_low_c=band_low,
        band_high_c=np.maximum(_least(rooms.band_high_c, factor, slots), band_low),
        target_c=_most(rooms.target_c, factor, slots),
        slots_in_state=rooms.slots_in_state // factor,
        forced=np.array([len(prefix) for prefix in prefixes], dtype=np.int64),
        forced_on=forced_on,
        min_on=min_on,
        min_off=min_off,
    )


def _battery(battery: BatterySpec, factor: int, slots: int) -> BatterySpec:
    def share(of: Floats) -> Floats:
        return _mean(of, factor, slots) if len(of) else of

    intents = battery.forced_intent[: battery.forced]
    # The last intent of a long slot is the one that goes on.
    forced = tuple(intents[min(k + factor, len(intents)) - 1] for k in range(0, len(intents), factor))[:slots]
    return replace(
        battery,
        forced=len(forced),
        forced_intent=forced,
        charge_share=share(battery.charge_share),
        discharge_share=share(battery.discharge_share),
    )


def _car(ev: EvSpec, factor: int, slots: int) -> EvSpec:
    forced = ev.forced_w[: slots * factor]
    padded = np.append(forced, np.full(-len(forced) % factor, forced[-1] if len(forced) else 0.0))
    return replace(ev, deadline=min(slots, ev.deadline // factor), forced_w=padded.reshape(-1, factor).mean(axis=1))


def _water(water: WaterSpec, factor: int, slots: int) -> WaterSpec:
    prefix = relay_prefix(
        list(water.forced_on[: water.forced]),
        on_now=water.on_now,
        held=water.slots_in_state,
        least=(water.min_off, water.min_on),
        factor=factor,
        slots=slots,
    )
    low = _most(water.low_c, factor, slots)
    return replace(
        water,
        low_c=low,
        high_c=np.maximum(_least(water.high_c, factor, slots), low),
        drain_w=_mean(water.drain_w, factor, slots),
        slots_in_state=water.slots_in_state // factor,
        min_on=-(-water.min_on // factor),
        min_off=-(-water.min_off // factor),
        forced=len(prefix),
        forced_on=tuple(prefix),
    )


def _appliance(spec: ApplianceSpec, factor: int, slots: int) -> ApplianceSpec:
    """Return the machine with as many long slots as its run needs, at a power that keeps its energy."""
    forced = list(spec.forced_on[: spec.forced])
    left = run_left(spec)
    padded = forced + [bool(forced and forced[-1]) and left > 0] * (-len(forced) % factor)
    prefix = coarse_states(padded, factor)[:slots]
    left = max(0, left - sum(padded[len(forced) :]))
    long_left = -(-left // factor)
    run = sum(prefix) + long_left
    earliest, deadline = -(-spec.earliest // factor), min(slots, spec.deadline // factor)
    if deadline - max(earliest, len(prefix)) < long_left:
        earliest, deadline = spec.earliest // factor, min(slots, -(-spec.deadline // factor))
    share = spec.run_slots / (run * factor) if run else 1.0
    return replace(
        spec,
        power_w=spec.power_w * share,
        run_slots=run,
        earliest=earliest,
        deadline=deadline,
        missing_czk=spec.missing_czk * share * factor,
        forced=len(prefix),
        forced_on=tuple(prefix),
    )


def _scenario(of: Scenario, factor: int, slots: int) -> Scenario:
    pv_w, load_w, buy, sell = (_mean(series, factor, slots) for series in (of.pv_w, of.load_w, of.buy, of.sell))
    return Scenario(of.name, of.probability, pv_w, load_w, buy, sell)


def coarsened(problem: PlanningProblem, factor: int) -> PlanningProblem:
    """Return the problem on slots that are `factor` times as long.

    Powers and prices are means: what is drawn evenly over a long slot costs the mean price. Edges of bands are the
    tightest within a long slot, minimum times are rounded up, and a run of a machine keeps its energy. Slots at the
    end that do not fill a long one are left out.

    Args:
        problem: The problem.
        factor: How many slots become one; 1 gives the problem as it is.

    Raises:
        ValueError: The factor is below 1, or leaves fewer than two slots.
    """
    slots = problem.slots // max(1, factor)
    if factor < 1 or slots < 2:
        raise ValueError(f"{problem.slots} slots cannot be taken {factor} at a time: take fewer")
    if factor == 1:
        return problem

    def mean(series: Floats) -> Floats:
        return _mean(series, factor, slots)

    known = problem.uncertainty
    return replace(
        problem,
        slots=slots,
        step=problem.step * factor,
        frozen=-(-problem.frozen // factor),
        pv_w=mean(problem.pv_w),
        load_w=mean(problem.load_w),
        buy=mean(problem.buy),
        sell=mean(problem.sell),
        outdoor_c=mean(problem.outdoor_c),
        cheap=mean(problem.cheap.astype(np.float64)) >= 0.5,
        rooms=_rooms(problem.rooms, factor, slots),
        battery=None if problem.battery is None else _battery(problem.battery, factor, slots),
        ev=None if problem.ev is None else _car(problem.ev, factor, slots),
        water=None if problem.water is None else _water(problem.water, factor, slots),
        bands={name: (mean(low), mean(high)) for name, (low, high) in problem.bands.items()},
        appliances=tuple(_appliance(spec, factor, slots) for spec in problem.appliances),
        uncertainty=replace(
            known,
            scenarios=tuple(_scenario(of, factor, slots) for of in known.scenarios),
            shared_slots=-(-known.shared_slots // factor),
        ),
    )
