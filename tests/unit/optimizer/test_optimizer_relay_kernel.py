"""The compiled loops of the relays' dynamic program: the same as their plain Python, and as what they mean."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.relay_cases import costs_of_all, random_device

from pems_optimizer.domain import relay_kernel as kernel
from pems_optimizer.domain.relay_dp import RelayDp, follow

LOOPS = ("values", "interpolate", "_band_money", "_add_landed", "_same_shift_until", "roll_out", "account")


def devices():
    one_state, price = random_device(3, slots=8)
    yield one_state, price
    yield random_device(4, slots=8)[0], price
    yield random_device(5, slots=8)[0], price
    yield replace(one_state, cap_c=np.full(8, 21.0), decay=np.array([1.0, 0.0])), price


@pytest.mark.parametrize("number", range(4))
def test_compiled_and_plain_agree(number, monkeypatch):
    d, price = list(devices())[number]

    def everything():
        dp = RelayDp(d, warmth_points=9, fast_points=4)
        free, wished = dp.answer(price, 0.05), dp.answer(price, 0.05, (5, not d.on_now))
        return dp.value(price, 0.05), free, wished

    compiled = everything()
    for name in LOOPS:
        monkeypatch.setattr(kernel, name, getattr(kernel, name).py_func)
    plain = everything()
    assert plain[0] == pytest.approx(compiled[0], rel=1e-5)
    for a, b in zip(plain[1:], compiled[1:], strict=True):
        assert a.on.tolist() == b.on.tolist()
        assert (a.comfort, a.starts) == (pytest.approx(b.comfort), b.starts)
        assert a.temperature_c == pytest.approx(b.temperature_c)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("ratio", [0.31, 0.97, 0.9999, 1.0, 1.0003, 1.08, 2.7])
@pytest.mark.parametrize("start_at", [-40.0, -0.3, 0.0, 0.4, 17.0, 29.0, 80.0])
def test_runs_of_points_land_as_each_does_alone(start_at, ratio, compiled):
    rng = np.random.default_rng(8)
    row = np.cumsum(rng.normal(size=30)).astype(np.float32)
    cost = rng.normal(size=30).astype(np.float32)
    to = np.full(30, np.nan, dtype=np.float32)
    land = kernel._add_landed if compiled else kernel._add_landed.py_func
    land(row, cost, start_at, ratio, 0.2, 0.5, np.arange(30, dtype=np.float32), to)
    for s in range(30):
        at = start_at + ratio * s
        k = min(max(int(at), 0), 28)
        alone = cost[s] + kernel._between(float(row[k]), float(row[k + 1]), at - k, 0.2, 0.5)
        assert to[s] == pytest.approx(alone, rel=2e-5, abs=2e-4)


def test_what_another_device_left_in_memory_changes_nothing():
    (d, price), (other, _) = random_device(3, slots=8), random_device(4, slots=8)
    dp, busy = RelayDp(d, warmth_points=9, fast_points=4), RelayDp(other, warmth_points=9, fast_points=4)
    before = dp.value(price, 0.05), dp.answer(price, 0.05)
    busy.answer(1e9 * price, 1e9)
    assert dp.value(price, 0.05) == before[0]
    assert dp.answer(price, 0.05).on.tolist() == before[1].on.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_what_the_program_thinks_is_near_the_best_of_everything(seed):
    d, price = random_device(seed)
    # Paid for heating, or with slots of heat wider than the grid's window, it leaves the grid: values only go on there.
    d, price = replace(d, push=0.3 * d.push), np.abs(price)
    best = min(cost for cost, _ in costs_of_all(d, price, 0.05))
    dp = RelayDp(d, warmth_points=200, fast_points=33)
    bid = dp.answer(price, 0.05)
    got = bid.comfort + float(price @ bid.on) + 0.05 * bid.starts
    assert best - 1e-9 <= got <= best + 0.05 + 0.02 * abs(best)
    assert dp.value(price, 0.05) == pytest.approx(best, abs=0.1 + 0.05 * abs(best))


def test_the_account_of_any_schedule_is_that_of_the_model():
    d, price = random_device(7)
    for cost, on in costs_of_all(d, price, 0.05)[::7]:
        bid = follow(d, on)
        assert bid.comfort + price @ on + 0.05 * bid.starts == pytest.approx(cost)


def test_a_wish_is_granted_where_minimum_times_allow_it():
    d, price = random_device(4)
    dp = RelayDp(d, warmth_points=30, fast_points=5)
    for slot in range(len(price)):
        for held in (False, True):
            on = dp.answer(price, 0.05, (slot, held)).on
            possible = any(s[slot] == held for _, s in costs_of_all(d, price, 0.05))
            assert on[slot] == held or not possible or slot < d.min_on + d.min_off


def test_a_thermostat_of_its_own_cuts_the_heat_off():
    d, _ = random_device(3, slots=8)
    d = replace(d, decay=np.array([1.0, 0.0]), push=np.array([2.0, 0.0]), cap_c=d.free_c + 3.0)
    on = np.ones(8, dtype=bool)
    assert (follow(d, on).temperature_c <= d.free_c + 3.0 + 1e-9).all()
    assert follow(d, on).temperature_c[0] == pytest.approx(d.free_c[0] + 2.0)
