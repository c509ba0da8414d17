"""The floor of a switched device: below everything it could do, and near the best of it on a fine grid."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import tank
from tests.unit.optimizer.relay_cases import costs_of_all, random_device, schedules_of
from tests.unit.optimizer.test_optimizer_relay_dp import device

from pems_optimizer.domain import relay_floor as module
from pems_optimizer.domain.relay_floor import relay_floor
from pems_optimizer.domain.scoring import water_money
from pems_optimizer.domain.thermal_response import simulate_water, water_device

START_CZK = 0.05


def floor(d, price, fineness=40, fast_cells=16):
    return relay_floor(d, price, start_czk=START_CZK, fineness=fineness, fast_cells=fast_cells)


@pytest.mark.parametrize("seed", range(60))
def test_no_schedule_costs_less(seed):
    d, price = random_device(seed)
    best = min(cost for cost, _ in costs_of_all(d, price, START_CZK))
    for fineness in (3, 40):
        assert floor(d, price, fineness) <= best + 1e-9


def test_it_is_near_the_best_on_a_fine_grid_and_tighter_than_on_a_rough_one():
    far = {fineness: [] for fineness in (5, 50, 400)}
    for seed in range(30):
        d, price = random_device(seed)
        best = min(cost for cost, _ in costs_of_all(d, price, START_CZK))
        for fineness, gaps in far.items():
            gaps.append(best - floor(d, price, fineness, fast_cells=64))
    rough, fine, finest = (float(np.mean(gaps)) for gaps in far.values())
    assert finest < fine < rough
    assert finest < 0.3


def test_without_a_fast_mode_a_fine_grid_leaves_next_to_nothing():
    for seed in range(0, 30, 3):  # devices of one state
        d, price = random_device(seed)
        assert d.push[1] == 0.0
        best = min(cost for cost, _ in costs_of_all(d, price, START_CZK))
        assert best - floor(d, price, 2000) < 0.02 + 5e-3 * abs(best)


def test_units_that_begin_anew_stay_below_too():
    """The slow mode of these devices decays so fast that its units are changed within the horizon."""
    for seed in range(12):
        d, price = random_device(seed, slots=10)
        d = replace(d, decay=np.array([0.8, min(0.3, d.decay[1])]))
        best = min(cost for cost, _ in costs_of_all(d, price, START_CZK))
        assert best - 1.0 - 0.05 * abs(best) < floor(d, price, 200) <= best + 1e-9


def test_far_outside_its_band_it_does_not_make_not_heating_look_cheap():
    cold = device(10, free_c=np.full(10, 5.0), free_end_c=5.0)
    price = np.full(10, 0.3)
    best = min(cost for cost, _ in costs_of_all(cold, price, START_CZK))
    assert best - 3.0 < floor(cold, price, 200) <= best
    hot = device(10, free_c=np.full(10, 35.0), free_end_c=35.0)
    best = min(cost for cost, _ in costs_of_all(hot, price, START_CZK))
    assert best - 1.0 < floor(hot, price, 200) <= best + 1e-9, "135 CZK of heat that nobody can take away"


def test_a_running_minimum_time_is_part_of_it():
    hot = device(8, free_c=np.full(8, 30.0), free_end_c=30.0, on_now=True, slots_in_state=1, min_on=4)
    free = replace(hot, slots_in_state=4)
    price = np.full(8, 2.0)
    assert floor(hot, price) > floor(free, price) + 3 * 2.0, "three more slots have to be paid for"


def test_nothing_left_to_decide_leaves_the_end():
    nothing = device(0, free_end_c=18.0)
    assert floor(nothing, np.empty(0)) == pytest.approx(2.0 * 1.5)


@pytest.mark.parametrize("seed", range(12))
def test_a_tank_with_its_own_thermostat(seed):
    rng = np.random.default_rng(seed)
    slots = 9
    water = tank(
        slots,
        low=rng.uniform(45.0, 52.0, slots),
        high=rng.uniform(52.0, 56.0, slots),
        drain_w=rng.uniform(0.0, 1500.0, slots),
        end_value_czk_k=0.5,
        min_on=2,
        min_off=2,
        temperature_c=rng.uniform(44.0, 58.0),
    )
    d, price = water_device(water, 1.0), rng.normal(1.0, 1.5, slots)

    def cost(on):
        starts = int(on[0]) + int((on[1:] & ~on[:-1]).sum())
        return sum(water_money(water, simulate_water(water, on, 1.0), 1.0)) + price @ on + START_CZK * starts

    best = min(map(cost, schedules_of(d)))
    assert best - 1.0 < floor(d, price, 500) <= best + 1e-9


# --- the compiled loops as plain Python ---------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3, 8])
def test_the_compiled_loops_do_what_they_say(seed, monkeypatch):
    d, price = random_device(seed, slots=6)
    if seed == 3:
        d = replace(d, cap_c=np.full(6, 20.5), decay=np.array([1.0, 0.0]), push=np.array([0.7, 0.0]))
    compiled = floor(d, price, 4, fast_cells=8)
    for name in ("_image", "_step", "_choose", "_floor"):
        monkeypatch.setattr(module, name, getattr(module, name).py_func)
    assert floor(d, price, 4, fast_cells=8) == pytest.approx(compiled, abs=1e-9)
