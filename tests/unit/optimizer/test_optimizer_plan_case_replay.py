"""A replay says whether a plan came again, and where not, why that may be; what cannot be kept costs no plan."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.plan_case_cases import MADE_BY, a_case

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import UnavailableError
from pems_common.messages import wrap
from pems_optimizer import plan_work
from pems_optimizer.adapters.case_memory import FolderCases
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.domain.plan_case import TimeTold, plan_digest, read_case
from pems_optimizer.domain.problem_store import StoreError
from pems_optimizer.plan_case_replay import replay_case
from pems_optimizer.plan_case_versions import this_program
from pems_optimizer.plan_work import Worker, solve_request
from pems_optimizer.requests import PlanRequest


@pytest.fixture(scope="module")
def case():
    return a_case()


def colder(case):
    """The same with another state of a room."""
    thermals = {
        name: body.model_copy(update={"state": body.state.model_copy(update={"air_c": body.state.air_c - 1.0})})
        for name, body in case.known.thermals.items()
    }
    return replace(case, known=replace(case.known, thermals=thermals))


def test_a_plan_that_comes_again_is_identical_on_another_machine_too(case):
    told = replay_case(case, here={**MADE_BY, "cpu": "another"})
    assert told.identical
    assert told.same_problem
    assert (told.differences, told.reasons) == ((), ())
    assert told.digest == plan_digest(case.plan)


def test_an_altered_input_is_told_with_what_it_changed(case):
    told = replay_case(colder(case), here=MADE_BY)
    assert not told.identical
    assert not told.same_problem
    assert any(one.path.startswith("rooms.pokoj_1.temperature_c") for one in told.differences)
    assert told.reasons == ("the inputs lead to another problem: they are read otherwise than then, or were changed",)


def test_an_altered_plan_is_told(case):
    plan = case.plan.model_copy(update={"net_cost_czk": 0.0})
    told = replay_case(replace(case, plan=plan), here=MADE_BY)
    assert not told.identical
    assert told.same_problem
    assert [one.path for one in told.differences] == ["net_cost_czk"]
    assert "PEMS has a fault" in told.reasons[0]


def test_versions_time_and_battery_are_named_as_reasons(case):
    battery = case.home.battery.model_copy(update={"control": "setpoint"})
    other = replace(
        case, home=case.home.model_copy(update={"battery": battery}), time=TimeTold(0, (40.0,)), made_by=MADE_BY
    )
    told = replay_case(other, here={"cpu": "oven", "numpy": "9"})
    words = " / ".join(told.reasons)
    for part in (
        "source of PEMS: 0123456789abcdef then, unknown now",
        "processor: toaster then, oven now",
        "numpy: unknown then, 9 now",
        "its time was up",
        "any power",
    ):
        assert part in words


# --- workers -----------------------------------------------------------------------------------------------------


async def solved(cases, **worker):
    home = small_home("pokoj_1", water=None, ev=None)
    known = winter_case(home, 1)
    clock = FakeClock(START)
    bus = MemoryBus(clock)
    for body in (known.forecast, known.telemetry, *known.thermals.values()):
        await bus.publish(wrap(body, site=home.site.id, clock=clock, source="test"))
    request = PlanRequest(
        request_id="r-1",
        plan_id="plan-1",
        plan_no=1,
        site=home.site.id,
        config_hash=home.config_hash(),
        trigger="test",
        asked_at=START,
        decide_from=START,
        expires_at=START + timedelta(seconds=60),
        limit_s=5.0,
    )
    return await solve_request(home, clock, bus, request, source="w", worker=Worker(cases=cases, **worker))


async def test_a_worker_keeps_the_case_of_the_plan_it_published(tmp_path):
    cases = FolderCases(tmp_path)
    plan = await solved(cases, plans=InMemoryPlans())
    (file,) = cases.files()
    kept = read_case(file.read_bytes())
    assert kept.plan == plan
    assert kept.made_by == this_program()
    assert kept.inputs.forecast_id
    assert kept.inputs.thermal == {"pokoj_1": "prior-1"}
    told = replay_case(kept)
    assert told.identical, told.differences


@pytest.mark.parametrize("error", [StoreError("too large"), UnavailableError("disk full"), ValueError("no JSON")])
async def test_a_case_that_cannot_be_kept_costs_no_plan(error):
    class Full:
        async def keep(self, case):
            raise error

    assert not (await solved(Full())).fallback_mode


async def test_a_program_that_cannot_tell_its_version_makes_plans_all_the_same(tmp_path, monkeypatch):
    def unreadable():
        raise PermissionError("half of an upgrade")

    monkeypatch.setattr(plan_work, "this_program", unreadable)
    assert not (await solved(FolderCases(tmp_path))).fallback_mode
    assert FolderCases(tmp_path).files() == []


async def test_rules_that_stand_in_for_an_error_leave_no_case(tmp_path):
    def broken(*_, **__):
        raise RuntimeError("boom")

    assert (await solved(FolderCases(tmp_path), make=broken)).fallback_mode
    assert FolderCases(tmp_path).files() == []
