"""A plan is made again bit for bit from its case, whatever the machine's speed; what differs is told."""

import hashlib
import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.plan_case_cases import LATER, a_case, made_case, warm_known, with_strategy

from pems_common.home import Home
from pems_optimizer.domain.month_peak import MonthPeak
from pems_optimizer.domain.plan_case import (
    NotedTime,
    PlanCase,
    TimeTold,
    case_bytes,
    differences,
    plan_digest,
    problem_digest,
    read_case,
    replayed,
)
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.planning import MadePlan
from pems_optimizer.domain.problem_store import StoreError
from pems_optimizer.domain.remembered import Remembered
from pems_optimizer.plan_case_versions import this_program

SPRING = datetime(2025, 3, 29, 22, 0, tzinfo=UTC)  # 30 March has 23 hours


@pytest.fixture(scope="module")
def home() -> Home:
    return small_home("pokoj_1", "pokoj_2", water=None, ev=None)


@pytest.fixture(scope="module")
def cold(home) -> tuple[PlanCase, MadePlan]:
    return made_case(home, winter_case(home, 1))


@pytest.fixture(scope="module")
def small_case() -> PlanCase:
    return a_case()


def assert_comes_again(case: PlanCase) -> PlanCase:
    kept = read_case(case_bytes(case))
    again = replayed(kept)
    assert differences(case.plan, again.plan) == []
    assert again.plan == case.plan
    assert plan_digest(again.plan) == plan_digest(case.plan)
    assert problem_digest(again.problem) == case.problem_digest
    return kept


def test_a_cold_and_a_warm_plan_come_again_bit_for_bit(home, cold):
    case, made = cold
    assert assert_comes_again(case).complete
    warm, _ = made_case(home, warm_known(home, case.known, made), no=2, at=LATER)
    kept = assert_comes_again(warm)
    assert kept.known.last is not None
    assert warm.plan.replaces == "plan-1"
    # What was remembered took part: without it the search is another one.
    forgetful = replayed(replace(kept, known=replace(kept.known, last=None))).plan
    assert plan_digest(forgetful) != plan_digest(warm.plan)


@pytest.mark.parametrize("strategy", ["robust", "scenarios"])
def test_plans_for_many_courses_of_the_days_come_again(strategy):
    home = with_strategy(small_home("pokoj_1", water=None, ev=None), strategy)
    kept = assert_comes_again(made_case(home, winter_case(home, 2))[0])
    assert kept.seed == int(START.timestamp())


def test_a_plan_over_the_change_of_clocks_comes_again():
    home = small_home("pokoj_1")
    assert_comes_again(made_case(home, winter_case(home, 3, start=SPRING), at=SPRING)[0])


def test_a_plan_with_car_and_tank_and_any_power_of_the_battery_comes_again(home):
    battery = home.battery.model_copy(update={"control": "setpoint"})
    other = small_home("pokoj_1", battery=battery)
    assert_comes_again(made_case(other, winter_case(other, 4))[0])


@pytest.mark.parametrize("calls", [0, 20, 60])
def test_a_plan_that_its_time_cut_short_comes_again_as_it_was(home, cold, calls):
    asked = []

    def late() -> float:
        asked.append(1)
        return 0.0 if len(asked) <= calls else 4.61

    case, _ = made_case(home, winter_case(home, 1), limit_s=5.0, elapsed_s=late)
    assert not case.complete
    assert case.time.calls == calls
    assert not assert_comes_again(case).complete
    assert plan_digest(cold[0].plan) != plan_digest(case.plan), "it would have been another plan with more time"


def test_how_long_it_took_is_no_difference(small_case):
    slow = small_case.plan.model_copy(
        update={"solver": small_case.plan.solver.model_copy(update={"solve_s": 9.0, "build_s": 1.0})}
    )
    assert plan_digest(slow) == plan_digest(small_case.plan)
    assert differences(slow, small_case.plan) == []


def test_a_peak_between_two_tenths_of_a_watt_is_kept_to_the_last_bit(small_case):
    remembered = Remembered(MonthPeak("2025-01", 1234.56789, watched_s=60.0, import_ws=0.1 + 0.2), START)
    known = replace(small_case.known, remembered=remembered)
    assert read_case(case_bytes(replace(small_case, known=known))).known.remembered == remembered


def test_another_effort_is_kept_and_used(cold):
    effort = Effort(rounds=1, fine_rounds=1, fine=(40, 5), sweeps=0, intent_sweeps=0)
    kept = read_case(case_bytes(replace(cold[0], effort=effort)))
    assert kept.effort == effort
    assert plan_digest(replayed(kept).plan) != plan_digest(cold[0].plan)


def test_a_changed_input_is_seen(small_case):
    forecast = small_case.known.forecast
    load = forecast.load_power_w
    values = list(load.p50.values)
    values[40] += 0.1
    warmer = forecast.model_copy(
        update={"load_power_w": load.model_copy(update={"p50": load.p50.model_copy(update={"values": tuple(values)})})}
    )
    again = replayed(replace(small_case, known=replace(small_case.known, forecast=warmer)))
    assert problem_digest(again.problem) != small_case.problem_digest
    assert plan_digest(again.plan) != plan_digest(small_case.plan)
    told = differences(small_case.plan, again.plan)
    assert told
    assert any(one.path.startswith("grid_power_w[40]") for one in told)
    assert len(differences(small_case.plan, again.plan, most=2)) == 2


def test_a_list_of_another_length_is_one_difference(small_case):
    plan = small_case.plan
    shorter = plan.model_copy(update={"diff": ("new",), "grid_power_w": plan.grid_power_w[:-1]})
    assert {one.path for one in differences(plan, shorter)} == {"diff", "grid_power_w"}


def test_addresses_are_left_out_and_the_configuration_is_the_same(home):
    inverter = home.devices.inverter.model_copy(update={"state_topic": "x/y"})
    devices = home.devices.model_copy(update={"inverter": inverter})
    case = replace(a_case(), home=home.model_copy(update={"devices": devices}))
    kept = read_case(case_bytes(case))
    assert kept.home.devices.inverter.state_topic == "energy/solar"
    assert kept.home.config_hash() == case.home.config_hash()
    assert list(kept.home.rooms) == list(case.home.rooms), "their order decides ties"


def test_damaged_foreign_and_too_large_bytes_are_refused(small_case):
    data = case_bytes(small_case)
    assert len(data) < 60_000
    for at in (0, 12, 60, len(data) - 1):
        broken = bytearray(data)
        broken[at] ^= 1
        with pytest.raises(StoreError, match=r"no plan's case|damaged"):
            read_case(bytes(broken))
    for cut in (b"", data[:8], data[:100], data[:-1], data + b"x"):
        with pytest.raises(StoreError):
            read_case(cut)
    with pytest.raises(StoreError, match="at most 1000"):
        case_bytes(small_case, most=1000)


def _rewritten(small_case, change) -> bytes:
    """The bytes of a case as another program would have written them."""
    head = len(b"PEMScase\n") + 32
    data = case_bytes(small_case)
    plain = zlib.decompress(data[head:])
    end = 8 + int.from_bytes(plain[:8], "little")
    document = json.loads(plain[8:end])
    change(document)
    told = json.dumps(document).encode()
    packed = zlib.compress(len(told).to_bytes(8, "little") + told + plain[end:])
    return data[:9] + hashlib.sha256(packed).digest() + packed


def test_cases_of_other_programs_are_read_where_they_can_be_and_named_where_not(small_case):
    def later(document):
        document["known"]["forecast"]["body"]["something_new"] = 1
        document["something_new"] = 1

    assert replayed(read_case(_rewritten(small_case, later))).plan == small_case.plan
    for change, why in (
        (lambda d: d.update(version=2), "version 2"),
        (lambda d: d["known"]["forecast"].update(v=99), "forecast version 99"),
        (lambda d: d["known"].pop("prices"), "prices"),
        (lambda d: d["home"].update(rooms="none"), "rooms"),
        (lambda d: d["plan"]["body"].update(net_cost_czk=0.0), "not the one it was written with"),
    ):
        with pytest.raises(StoreError, match=why):
            read_case(_rewritten(small_case, change))


def test_time_is_told_again_as_it_was_told():
    at = iter([0.1, 4.5, 4.6, 4.7, 9.0])
    noted = NotedTime(lambda: next(at), 5.0)
    assert [noted() for _ in range(5)] == [0.1, 4.5, 4.6, 4.7, 9.0]
    assert noted.told() == TimeTold(2, (4.6, 4.7, 9.0))


def test_versions_name_what_takes_part():
    made_by = this_program()
    assert {"pems_source", "python", "numpy", "highspy", "numba", "cpu", "threads"} <= set(made_by)
    assert all(made_by.values())
