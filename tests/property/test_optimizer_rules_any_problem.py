"""Whatever is wrong with a house or its inputs, the rules have a plan that devices can follow."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.optimizer.optimizer_cases import small_problem

from pems_optimizer.domain.problem import ApplianceSpec, EvSpec, PlanningProblem
from pems_optimizer.domain.rules import rule_plan

SLOTS = 40
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.large_base_example])

states = st.lists(st.booleans(), max_size=6) | st.just([True] * SLOTS)


def series(draw, low: float, high: float) -> np.ndarray:
    """Return a rough series (SLOTS,) between limits that may be narrow."""
    a, b = sorted((draw(st.floats(low, high)), draw(st.floats(low, high))))
    # uniform(0.0, -0.0) is an error in numpy, and hypothesis draws that.
    return np.asarray(a + (b - a) * np.random.default_rng(draw(st.integers(0, 999))).random(SLOTS))


_BY_SLOT = ("air_input_w", "low_c", "high_c", "band_low_c", "band_high_c", "target_c", "forced_on")


@cache
def houses() -> dict[int, PlanningProblem]:
    """Ten hours of a house with three rooms and of the same with none, by the number of rooms."""
    problem = small_problem()
    rooms = replace(problem.rooms, **{name: getattr(problem.rooms, name)[:SLOTS] for name in _BY_SLOT})
    arrays = {name: value for name, value in vars(rooms).items() if isinstance(value, np.ndarray)}
    none: dict[str, Any] = {name: value[:, :0] if name in _BY_SLOT else value[:0] for name, value in arrays.items()}
    none |= {name: np.zeros((0, 0)) for name in ("joint_a", "joint_b", "coupling_w_k")}
    day = replace(problem, slots=SLOTS, bands={}, outdoor_c=problem.outdoor_c[:SLOTS], rooms=rooms)
    return {3: day, 0: replace(day, rooms=replace(rooms, names=(), **none))}


@st.composite
def machines(draw):
    earliest = draw(st.integers(0, SLOTS + 5))
    forced = draw(states)
    return ApplianceSpec(
        "m",
        draw(st.floats(1.0, 30_000.0)),
        draw(st.integers(0, 30)),
        earliest,
        draw(st.integers(0, SLOTS + 5)),
        interruptible=draw(st.booleans()),
        forced=len(forced),
        forced_on=tuple(forced),
        on_now=draw(st.booleans()),
    )


@st.composite
def cars(draw):
    forced = draw(st.lists(st.floats(0.0, 11_000.0), max_size=5))
    least = draw(st.floats(1.0, 11_000.0))
    return EvSpec(draw(st.floats(0.0, 90_000.0)), draw(st.integers(0, SLOTS)), least, 11_000.0, np.array(forced))


@st.composite
def odd_problems(draw):
    count = draw(st.sampled_from([0, 3]))
    air, mass = draw(st.floats(-20.0, 45.0)), draw(st.floats(-20.0, 60.0))
    forced = draw(st.integers(0, SLOTS))
    forced_on = draw(st.integers(0, 2**SLOTS - 1))
    held, on = draw(st.integers(0, 5)), draw(st.booleans())
    buy, spread = series(draw, -5.0, 12.0), draw(st.floats(-3.0, 3.0))
    battery = draw(st.sampled_from(["none", "intents", "setpoint"]))
    energy, intents = (
        draw(st.floats(0.0, 10_000.0)),
        draw(st.lists(st.sampled_from(["hold", "charge_from_grid", "off"]))),
    )
    water = draw(st.none() | st.tuples(st.floats(2.0, 95.0), states, st.floats(20.0, 90.0), st.floats(0.0, 9_000.0)))
    extras = {
        "pv_w": series(draw, 0.0, 20_000.0),
        "load_w": series(draw, 0.0, 20_000.0),
        "buy": buy,
        "sell": buy - spread,
        "cheap": series(draw, -1.0, 1.0) > 0.0,
        "heating_season": draw(st.booleans()),
        "ev": draw(st.none() | cars()),
        "appliances": tuple(replace(m, name=f"m{k}") for k, m in enumerate(draw(st.lists(machines(), max_size=2)))),
    }
    grid = {
        "import_max_w": draw(st.floats(10.0, 30_000.0)),
        "export_max_w": draw(st.sampled_from([0.0, 10_000.0])),
        "heating_max_w": draw(st.floats(0.0, 20_000.0)),
        "peak_so_far_w": draw(st.sampled_from([0.0, 500.0, 9_000.0])),
        "pv_curtailable": draw(st.booleans()),
    }

    house = houses()[count]
    pattern = np.array([forced_on >> t & 1 for t in range(SLOTS)], dtype=bool)[:, None].repeat(count, axis=1)
    rooms = replace(
        house.rooms,
        air_c=np.full(count, air),
        mass_c=np.full(count, mass),
        forced=np.full(count, forced),
        forced_on=pattern & (np.arange(SLOTS)[:, None] < forced),
        slots_in_state=np.full(count, held),
        relay_on=np.full(count, on),
    )
    spec, tank = house.battery, house.water
    if battery == "none":
        spec = None
    else:
        spec = replace(spec, control=battery, energy_wh=energy, forced=len(intents), forced_intent=tuple(intents))
    if water is None:
        tank = None
    else:
        temperature, prefix, low, drain = water
        tank = replace(
            tank, temperature_c=temperature, forced=len(prefix), forced_on=tuple(prefix), slots_in_state=held,
            low_c=np.full(SLOTS, low), high_c=tank.high_c[:SLOTS], drain_w=np.full(SLOTS, drain),
        )  # fmt: skip
    return replace(house, rooms=rooms, battery=spec, water=tank, grid=replace(house.grid, **grid), **extras)


def keeps_times(on, before, held, first, min_on, min_off) -> bool:
    """Whether no change from slot `first` on comes before its time."""
    state, run = before, max(1, held)
    for t, now in enumerate(on.tolist()):
        if now == state:
            run += 1
            continue
        if t >= first and run < (min_on if state else min_off):
            return False
        state, run = now, 1
    return True


@QUICK
@given(odd_problems())
def test_the_rules_always_have_a_plan(problem):
    plan = rule_plan(problem)
    decision, flow, rooms = plan.decision, plan.flow, problem.rooms
    assert all(np.isfinite(value) for value in plan.cost.model_dump().values())
    assert decision.relay_on.shape == (SLOTS, rooms.count)
    for r in range(rooms.count):
        first = int(rooms.forced[r])
        assert np.array_equal(decision.relay_on[:first, r], rooms.forced_on[:first, r])
        held = int(rooms.slots_in_state[r])
        on = decision.relay_on[:, r]
        assert keeps_times(on, bool(rooms.relay_on[r]), held, first, rooms.min_on, rooms.min_off)
    water = problem.water
    if water is not None:
        assert decision.water_on[: water.forced].tolist() == list(water.forced_on)
        held = water.slots_in_state
        assert keeps_times(decision.water_on, water.on_now, held, water.forced, water.min_on, water.min_off)
    assert np.allclose(flow.pv_used_w + flow.grid_w + flow.battery_w, _load(problem, decision), atol=1e-6)
    battery = problem.battery
    if battery is not None:
        low, high = min(battery.min_wh, battery.energy_wh), max(battery.max_wh, battery.energy_wh)
        assert low - 1e-6 <= flow.soc_wh.min()
        assert flow.soc_wh.max() <= high + 1e-6


@QUICK
@given(odd_problems())
def test_the_rules_charge_and_run_as_cars_and_machines_can(problem):
    decision = rule_plan(problem).decision
    ev = problem.ev
    if ev is not None:
        n = min(len(ev.forced_w), SLOTS)
        free = decision.ev_w[n:]
        assert np.array_equal(decision.ev_w[:n], ev.forced_w[:n])
        assert ((free == 0.0) | ((free >= ev.power_min_w - 1e-6) & (free <= ev.power_max_w + 1e-6))).all()
        assert not decision.ev_w[max(n, ev.deadline) :].any()
    for spec, on in zip(problem.appliances, decision.appliances, strict=True):
        forced = min(spec.forced, SLOTS)
        assert on[:forced].tolist() == list(spec.forced_on[:forced])
        free = np.flatnonzero(on[forced:]) + forced
        if len(free) == 0:
            continue
        assert free.min() >= spec.earliest
        assert free.max() < spec.deadline
        left = spec.run_slots - int(on[:forced].sum())
        assert len(free) <= left
        if not spec.interruptible:
            assert free.max() - free.min() + 1 == len(free) == left


def _load(problem, decision):
    load = problem.load_w + decision.relay_on @ problem.rooms.heater_w + decision.ev_w
    if problem.water is not None:
        load = load + decision.water_on * problem.water.electric_w
    for spec, on in zip(problem.appliances, decision.appliances, strict=True):
        load = load + on * spec.power_w
    return load
