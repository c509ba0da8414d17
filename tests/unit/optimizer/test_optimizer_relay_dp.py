"""The relay bidder: minimum times, starts, and optimality against every possible schedule."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pems_optimizer.domain.relay_dp import RelayDevice, best_schedule
from pems_optimizer.warm_up import solve_something


def device(slots: int = 12, **changes) -> RelayDevice:
    base = RelayDevice(
        free_c=np.linspace(20.3, 18.0, slots),
        free_end_c=18.0,
        decay=np.array([0.98, 0.7]),
        push=np.array([0.5, -0.3]),
        end_gain=np.array([1.1, 0.3]),
        low_c=np.full(slots, 20.0),
        high_c=np.full(slots, 21.5),
        below=2.0,
        above=1.0,
        end_reference_c=20.0,
        end_value=1.5,
        end_bonus=0.2,
        min_on=2,
        min_off=2,
        on_now=False,
        slots_in_state=10,
        warmth_czk_k=np.zeros(slots),
    )
    return replace(base, **changes)


def keeps_minimum_times(on: np.ndarray, d: RelayDevice) -> bool:
    state, run = d.on_now, d.slots_in_state
    for now in on.tolist():
        if now == state:
            run += 1
        else:
            if run < (d.min_on if state else d.min_off):
                return False
            state, run = now, 1
    return True


def cost_of(on: np.ndarray, d: RelayDevice, price: np.ndarray, start_czk: float) -> float:
    z, total, state = np.zeros(2), 0.0, d.on_now
    for t, u in enumerate(on.tolist()):
        z = d.decay * z + d.push * u
        air = d.free_c[t] + z.sum()
        total += d.below * max(0.0, float(d.low_c[t] - air)) + d.above * max(0.0, float(air - d.high_c[t]))
        total += price[t] * u + (start_czk if u and not state else 0.0)
        state = u
    gap = float(d.free_end_c + d.end_gain @ z - d.end_reference_c)
    return total - d.end_value * min(gap, 0.0) - d.end_bonus * min(max(gap, 0.0), 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_finds_the_best_of_all_schedules(seed):
    rng = np.random.default_rng(seed)
    d = device(on_now=bool(seed % 2), slots_in_state=1 + seed % 3, min_on=1 + seed % 3)
    price = rng.uniform(0.1, 1.0, 12)
    all_schedules = (np.array(s, dtype=bool) for s in itertools.product([False, True], repeat=12))
    best = min(cost_of(s, d, price, 0.05) for s in all_schedules if keeps_minimum_times(s, d))
    bid = best_schedule(d, price, start_czk=0.05)
    assert keeps_minimum_times(bid.on, d)
    got = cost_of(bid.on, d, price, 0.05)
    assert got <= best + 0.02 * abs(best) + 0.02
    assert got == pytest.approx(bid.comfort + price @ bid.on + 0.05 * bid.starts)


def test_its_temperatures_are_exact():
    d = device()
    bid = best_schedule(d, np.full(12, 0.3), start_czk=0.05)
    z, air = np.zeros(2), []
    for t in range(12):
        z = d.decay * z + d.push * bid.on[t]
        air.append(d.free_c[t] + z.sum())
    assert bid.temperature_c == pytest.approx(air)


def test_a_running_minimum_time_is_finished_first():
    hot = device(free_c=np.full(12, 30.0), on_now=True, slots_in_state=1, min_on=4)
    assert best_schedule(hot, np.ones(12), start_czk=0.0).on.tolist() == [True] * 3 + [False] * 9
    cold = device(free_c=np.full(12, 10.0), on_now=False, slots_in_state=1, min_off=3)
    on = best_schedule(cold, np.zeros(12), start_czk=0.0).on
    assert on.tolist() == [False] * 2 + [True] * 10


def test_the_number_of_starts_is_kept():
    slots = 96
    d = device(
        slots,
        free_c=np.full(slots, 19.0),
        low_c=np.full(slots, 20.0),
        high_c=np.full(slots, 20.2),
        decay=np.array([0.8, 0.3]),
    )
    price = np.tile([0.1, 0.1, 0.9, 0.9], 24)
    free = best_schedule(d, price, start_czk=0.0)
    bound = best_schedule(d, price, start_czk=0.0, starts_max=6)
    assert free.starts > 6 >= bound.starts


def test_a_very_cold_room_is_heated_though_it_lies_far_below_the_grid():
    d = device(free_c=np.full(12, 12.0), free_end_c=12.0)
    assert best_schedule(d, np.full(12, 0.2), start_czk=0.05).on.all()


def test_one_mode_devices_work():
    d = device(decay=np.array([1.0, 0.0]), push=np.array([0.4, 0.0]), end_gain=np.array([1.0, 0.0]))
    bid = best_schedule(d, np.full(12, 0.3), start_czk=0.05)
    assert keeps_minimum_times(bid.on, d)
    assert bid.on.any()


def test_warm_up_gives_a_plan():
    assert solve_something().on.any()


def test_warm_up_compiles_what_plans_use():
    """In a process of its own: after it no kernel is compiled for other types."""
    code = """
from tests.unit.optimizer.optimizer_cases import small_problem
from pems_optimizer.domain import appliance_kernel, battery_kernel, relay_kernel, thermal_kernel
from pems_optimizer.domain.solving import SolverOptions, solve
from pems_optimizer.warm_up import solve_something
kernels = (battery_kernel.values, battery_kernel.walk, relay_kernel.values, relay_kernel.roll_out,
           relay_kernel.account, appliance_kernel.best_run, thermal_kernel.room_states, thermal_kernel.tank_c)
solve_something(floor=True)
warm = [set(kernel.signatures) for kernel in kernels]
assert all(warm), warm
solve(small_problem(), SolverOptions(60.0), lambda: 0.0)
for kernel, known in zip(kernels, warm):
    assert set(kernel.signatures) == known, (kernel, set(kernel.signatures) - known)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
