"""Longer slots: the same physics, the same energy, nothing forced lost, and a decision that comes back feasible."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_problem
from tests.unit.optimizer.test_optimizer_scenario_reduction import CORRELATION

from pems_optimizer.domain.battery_flow import follow_intents
from pems_optimizer.domain.coarse_prefix import coarse_states, relay_prefix
from pems_optimizer.domain.coarsening import coarsened
from pems_optimizer.domain.day_sampler import sample_days
from pems_optimizer.domain.problem import ApplianceSpec, EvSpec, Uncertainty
from pems_optimizer.domain.refining import refined
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scenario_reduction import reduce_days
from pems_optimizer.domain.scoring import Decision, controlled_load_w, verify
from pems_optimizer.domain.size import LARGEST_WORK, coarse_factor, work_of
from pems_optimizer.domain.thermal_response import simulate_rooms, simulate_water

SLOTS = 192


@pytest.fixture(scope="module")
def problem():
    return small_problem()


def steady(problem, factor):
    """The same problem with inputs that are constant within each long slot."""
    rooms = problem.rooms
    even = rooms.air_input_w[::factor].repeat(factor, axis=0)[:SLOTS]
    return replace(problem, rooms=replace(rooms, air_input_w=even))


def decision_for(coarse, seed=1) -> Decision:
    rng = np.random.default_rng(seed)
    relay = rng.random((coarse.slots // 4 + 1, coarse.rooms.count)).repeat(4, axis=0)[: coarse.slots] < 0.4
    runs = tuple(np.zeros(coarse.slots, dtype=bool) for _ in coarse.appliances)
    return Decision(relay, relay[:, 0], np.full(coarse.slots, 0.0), runs)


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_temperatures_at_the_ends_of_long_slots_are_exact(problem, factor):
    fine = steady(problem, factor)
    coarse = coarsened(fine, factor)
    decision = decision_for(coarse)
    back = refined(fine, decision, factor)
    path, coarse_path = simulate_rooms(fine.rooms, back.relay_on), simulate_rooms(coarse.rooms, decision.relay_on)
    ends = slice(factor, coarse.slots * factor + 1, factor)
    assert np.allclose(path.air_c[ends], coarse_path.air_c[1:], atol=1e-9)
    assert np.allclose(path.mass_c[ends], coarse_path.mass_c[1:], atol=1e-9)
    free = (replace(tank, high_c=np.full(n, 99.0)) for tank, n in ((fine.water, SLOTS), (coarse.water, coarse.slots)))
    tank, long_tank = (
        simulate_water(tank, on, dt_h)
        for tank, on, dt_h in zip(free, (back.water_on, decision.water_on), (fine.dt_h, coarse.dt_h), strict=True)
    )
    assert np.allclose(tank[ends], long_tank[1:], atol=1e-9), "what is drawn has no influence on what is lost"


def test_inputs_that_change_within_a_long_slot_move_temperatures_little(problem):
    coarse = coarsened(problem, 2)
    decision = decision_for(coarse)
    path = simulate_rooms(problem.rooms, refined(problem, decision, 2).relay_on)
    long_path = simulate_rooms(coarse.rooms, decision.relay_on)
    assert np.abs(path.air_c[2::2] - long_path.air_c[1:]).max() < 0.05


def test_the_own_step_of_a_room_is_that_of_two(problem):
    coarse, rooms = coarsened(problem, 2), problem.rooms
    state, push = np.array([21.0, 23.0]), 500.0
    for _ in range(2):
        state = rooms.a[1] @ state + rooms.b_air[1] * push + rooms.b_mass[1] * 2 * push
    once = coarse.rooms.a[1] @ [21.0, 23.0] + coarse.rooms.b_air[1] * push + coarse.rooms.b_mass[1] * 2 * push
    assert np.allclose(state, once, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 4])
def test_energy_and_money_of_an_even_load_are_the_same(problem, factor):
    coarse = coarsened(problem, factor)
    assert coarse.step == factor * problem.step
    for name in ("pv_w", "load_w"):
        assert getattr(coarse, name).sum() * coarse.dt_h == pytest.approx(getattr(problem, name).sum() * problem.dt_h)
    even = 1000.0
    assert (coarse.buy * even).sum() * coarse.kwh == pytest.approx((problem.buy * even).sum() * problem.kwh)
    for name, (low, high) in coarse.bands.items():
        assert low.mean() == pytest.approx(problem.bands[name][0].mean())
        assert (high >= low).all()


def test_bands_are_the_tightest_and_never_crossed(problem):
    rooms = problem.rooms
    low, high = rooms.low_c.copy(), rooms.high_c.copy()
    low[5], high[9], low[12], high[13] = 23.5, 20.5, 25.0, 20.0
    coarse = coarsened(replace(problem, rooms=replace(rooms, low_c=low, high_c=high)), 4)
    assert (coarse.rooms.low_c[1] == 23.5).all()
    assert (coarse.rooms.high_c[2] == np.maximum(20.5, low[8:12].max(axis=0))).all()
    assert (coarse.rooms.high_c >= coarse.rooms.low_c).all()
    assert coarse.rooms.low_c.shape == coarse.rooms.target_c.shape == (48, 3)


def test_times_are_rounded_up_and_starts_kept(problem):
    quick = replace(problem, rooms=replace(problem.rooms, min_on=5, min_off=3), frozen=3)
    coarse = coarsened(quick, 2)
    assert (coarse.rooms.min_on, coarse.rooms.min_off) == (3, 2)
    assert coarse.rooms.starts_max.tolist() == problem.rooms.starts_max.tolist()
    assert coarse.frozen == 2
    assert coarse.water.min_on == 1


def test_one_is_the_problem_itself_and_nonsense_is_refused(problem):
    assert coarsened(problem, 1) is problem
    for factor in (0, 97):
        with pytest.raises(ValueError, match="cannot be taken"):
            coarsened(problem, factor)


def test_slots_that_do_not_fill_a_long_one_go_on_as_before(problem):
    coarse = coarsened(problem, 5)
    assert coarse.slots == 38
    decision = decision_for(coarse)
    back = refined(problem, decision, 5)
    assert back.relay_on.shape == (SLOTS, 3)
    assert np.array_equal(back.relay_on[190:], decision.relay_on[-1:].repeat(2, axis=0))


@pytest.mark.parametrize(
    ("states", "long"),
    [
        ([], []),
        ([True, True, False], [False]),
        ([True, True, False, False, False, True], [True, True]),
        ([True, False, False, True, True, False, True, True, True], [False, True, True]),
    ],
)
def test_long_slots_do_what_most_of_them_does_and_the_last_one_what_goes_on(states, long):
    assert coarse_states(states, 3) == long


def least_times_kept(on, before, held, least, first=0):
    state, run = before, max(1, held)
    for t, now in enumerate(on):
        if now == state:
            run += 1
            continue
        if t >= first and run < least[state]:
            return False
        state, run = now, 1
    return True


@pytest.mark.parametrize("seed", range(40))
def test_whatever_was_before_minimum_times_hold_on_the_true_slots(problem, seed):
    """A relay that switches as early as the long slots allow never breaks its times on the short ones."""
    rng = np.random.default_rng(seed)
    factor = int(rng.integers(2, 5))
    least = (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    forced = (rng.random(int(rng.integers(0, 9))) < 0.5).tolist()
    on_now, held, slots = bool(rng.random() < 0.5), int(rng.integers(0, 9)), 60
    prefix = relay_prefix(forced, on_now=on_now, held=held, least=least, factor=factor, slots=slots)
    long_least = tuple(-(-n // factor) for n in least)
    state, run = on_now, max(1, held // factor)
    on = []
    for k in range(slots):
        now = state if run < long_least[state] else not state
        now = prefix[k] if k < len(prefix) else now
        state, run = (state, run + 1) if now == state else (now, 1)
        on.append(now)
    fine = np.repeat(on, factor)
    fine[: len(forced)] = forced
    assert least_times_kept(fine.tolist(), on_now, held, least, len(forced))


def test_forced_slots_come_back_as_they_were(problem):
    rooms = problem.rooms
    forced_on = np.zeros((SLOTS, 3), dtype=bool)
    forced_on[:5, 0] = [True, True, False, True, True]
    forced = replace(rooms, forced=np.array([5, 0, 3]), forced_on=forced_on)
    water = replace(problem.water, forced=3, forced_on=(True, False, True))
    battery = replace(problem.battery, forced=5, forced_intent=("hold", "hold", "self_consume", "hold", "off"))
    house = replace(problem, rooms=forced, water=water, battery=battery)
    coarse = coarsened(house, 2)
    assert coarse.battery.forced_intent == ("hold", "hold", "off")
    assert coarse.rooms.forced[0] >= 3
    assert coarse.rooms.forced_on[2, 0]
    back = refined(house, decision_for(coarse), 2)
    assert np.array_equal(back.relay_on[:5, 0], forced_on[:5, 0])
    assert not back.relay_on[:3, 2].any()
    assert back.water_on[:3].tolist() == [True, False, True]


def test_the_car_keeps_its_energy_and_its_deadline(problem):
    ev = EvSpec(9000.0, 41, 1400.0, 11_000.0, np.array([2000.0, 4000.0, 6000.0]))
    house = replace(problem, ev=ev)
    coarse = coarsened(house, 4)
    assert coarse.ev.deadline == 10
    assert coarse.ev.forced_w.tolist() == [4500.0]
    power = np.zeros(coarse.slots)
    power[0], power[5] = 4500.0, 3000.0
    back = refined(house, replace(decision_for(coarse), ev_w=power), 4)
    assert back.ev_w[:4].tolist() == [2000.0, 4000.0, 6000.0, 4500.0]
    assert back.ev_w[20:24].tolist() == [3000.0] * 4
    assert not back.ev_w[40:].any()
    none = coarsened(replace(house, ev=replace(ev, forced_w=np.empty(0))), 4)
    assert len(none.ev.forced_w) == 0


def machine_back(problem, long_slots, factor=4, **facts):
    usual = {"name": "dish", "power_w": 1000.0, "run_slots": 6, "earliest": 10, "deadline": 60}
    spec = ApplianceSpec(**{**usual, **facts})
    house = replace(problem, appliances=(spec,))
    coarse = coarsened(house, factor)
    on = np.isin(np.arange(coarse.slots), list(long_slots))
    back = refined(house, replace(decision_for(coarse), appliances=(on,)), factor)
    return coarse.appliances[0], np.flatnonzero(back.appliances[0]).tolist()


def test_a_machine_keeps_its_energy_and_runs_whole_in_its_window(problem):
    spec, on = machine_back(problem, (5, 6))
    assert (spec.run_slots, spec.earliest, spec.deadline) == (2, 3, 15)
    assert spec.power_w * spec.run_slots * 4 == pytest.approx(6 * 1000.0)
    assert spec.missing_czk * spec.run_slots == pytest.approx(6 * 50.0)
    assert on == [20, 21, 22, 23, 24, 25]
    assert machine_back(problem, (13, 14))[1] == [52, 53, 54, 55, 56, 57]
    assert machine_back(problem, (13, 14), deadline=56)[1] == [50, 51, 52, 53, 54, 55]
    assert machine_back(problem, ())[1] == []
    spec, on = machine_back(problem, (2, 3), earliest=10, deadline=16)
    assert on == [10, 11, 12, 13, 14, 15], "its window is no wider than its run"
    spec, on = machine_back(problem, (4, 9), interruptible=True)
    assert len(on) == 6
    assert set(on) <= {*range(16, 20), *range(36, 40)}


def test_a_machine_that_runs_goes_on(problem):
    spec, on = machine_back(problem, (0, 1), earliest=0, forced=3, forced_on=(False, True, True))
    assert spec.forced_on == (True,)
    assert on == [1, 2, 3, 4, 5, 6]
    spec, on = machine_back(problem, (0, 1), earliest=0, on_now=True)
    assert (spec.on_now, on) == (True, [0, 1, 2, 3, 4, 5])
    spec, on = machine_back(problem, (0, 1), earliest=0, forced=6, forced_on=(True,) * 6)
    assert on == [0, 1, 2, 3, 4, 5]


def test_scenarios_are_coarse_too(problem):
    few = reduce_days(problem, sample_days(problem, draws=40, seed=1, correlation=CORRELATION), 3).scenarios
    coarse = coarsened(replace(problem, uncertainty=Uncertainty("scenarios", scenarios=few, shared_slots=5)), 2)
    assert coarse.uncertainty.shared_slots == 3
    for a, b in zip(few, coarse.uncertainty.scenarios, strict=True):
        assert b.probability == a.probability
        assert b.pv_w.mean() == pytest.approx(a.pv_w.mean())
        assert len(b.buy) == 96


def test_a_rule_plan_made_coarse_costs_about_the_same_on_the_true_slots(problem):
    coarse = coarsened(problem, 2)
    plan = rule_plan(coarse)
    decision = refined(problem, plan.decision, 2)
    load = controlled_load_w(problem, decision)
    intents = tuple(i for i in plan.flow.intent for _ in range(2))
    power = plan.flow.battery_w.repeat(2)
    fine = verify(problem, decision, follow_intents(problem, load, decision.ev_w, intents, power))
    assert fine.cost.total == pytest.approx(plan.cost.total, rel=0.05)
    heat = [(v.decision.relay_on @ problem.rooms.heater_w).sum() for v in (plan, fine)]
    assert heat[1] == 2 * heat[0]


def test_a_house_without_rooms_or_devices_is_coarse_too(problem):
    bare = replace(problem, battery=None, ev=None, water=None)
    coarse = coarsened(bare, 3)
    assert coarse.battery is coarse.ev is coarse.water is None
    assert np.isfinite(rule_plan(coarse).cost.total)


def test_work_is_slots_times_devices_times_courses(problem):
    assert work_of(problem) == SLOTS * 4
    assert work_of(replace(problem, water=None)) == SLOTS * 3
    few = reduce_days(problem, sample_days(problem, draws=40, seed=1, correlation={}), 6).scenarios
    many = replace(problem, uncertainty=Uncertainty("scenarios", scenarios=few))
    assert work_of(many) == pytest.approx(SLOTS * 4 * 3.0)


def test_a_problem_is_made_only_as_coarse_as_it_has_to_be(problem):
    assert work_of(problem) < LARGEST_WORK
    assert coarse_factor(problem) == 1
    assert coarse_factor(problem, largest=400) == 2
    assert coarse_factor(problem, largest=10) == 4, "an hour at most"
    fine = replace(problem, step=timedelta(minutes=5))
    assert coarse_factor(fine, largest=10) == 12
    assert coarse_factor(replace(problem, slots=12), largest=1) == 3, "four slots at least"
    for largest in (100, 200, 400):
        factor = coarse_factor(fine, largest)
        assert work_of(coarsened(fine, factor)) <= largest
