"""Certificates: the gap is that of the very plan, a stale plan gets none, nonsense is not published."""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.plan_record_cases import a_record, quick_plan

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.messages import Certificate, wrap
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.adapters.queues import InlineQueue
from pems_optimizer.certificates import certificate_of, certify_plan
from pems_optimizer.plan_work import Worker
from pems_optimizer.requests import PlanRequest


@dataclass(frozen=True)
class Found:
    value_czk: float
    kind: str = "proven"


class Certifier:
    """A stand-in for the domain's: takes two seconds and finds a bound one crown below."""

    def __init__(self, clock, below_czk=1.0):
        self.clock, self.below_czk, self.asked = clock, below_czk, []

    def __call__(self, problem, decision, memory, objective, elapsed_s, limit_s):
        self.clock.advance(2.0)
        self.asked.append((problem, decision, memory, objective, elapsed_s(), limit_s))
        return Found(objective - self.below_czk)


class Place:
    def __init__(self):
        self.clock = FakeClock(START)
        self.bus = MemoryBus(self.clock)
        self.plans = InMemoryPlans()
        self.certifier = Certifier(self.clock)

    async def certify(self, plan_id):
        return await certify_plan(
            self.clock, self.bus, self.plans, "home", plan_id, certify=self.certifier, source="bulk", limit_s=30.0
        )


async def test_the_certificate_of_a_plan_is_published_under_its_number():
    place = Place()
    record = replace(a_record(7), solver_memory={"duals": np.array([1.0])})
    await place.plans.keep(record)
    found = await place.certify("plan-7")
    (message,) = place.bus.entries("certificate")
    assert Certificate.read(message.body) == found
    assert (message.seq, message.cause, message.source) == (7, "plan-7", "bulk")
    assert (found.bound, found.gap_czk, found.took_s) == (122.4568, 1.0, 2.0)
    assert found.gap_rel == pytest.approx(1 / 123.456789, abs=1e-6)
    (asked,) = place.certifier.asked
    assert asked[3:] == (record.objective_czk, 2.0, 30.0)
    assert asked[2]["duals"].tolist() == [1.0]
    assert np.array_equal(asked[1].relay_on, record.decision.relay_on)


async def test_a_superseded_plan_is_not_worked_on_and_never_replaces_a_newer_ones():
    place = Place()
    for plan_no in (1, 2):
        await place.plans.keep(a_record(plan_no))
    assert await place.certify("plan-1") is None
    assert place.certifier.asked == []
    newer = await place.certify("plan-2")
    late = wrap(newer.model_copy(update={"plan_id": "plan-1"}), site="home", clock=place.clock, source="x", seq=1)
    assert not await place.bus.publish(late)
    assert await place.certify("never heard of") is None


@pytest.mark.parametrize(
    ("objective", "bound", "kind", "gap_rel"),
    [(0.3, -0.2, "proven", None), (-200.0, -202.0, "proven", 0.01), (100.0, 100.5, "estimate", -0.005)],
)
def test_a_gap_in_per_cent_is_of_the_size_of_the_cost_and_left_out_near_zero(objective, bound, kind, gap_rel):
    found = certificate_of("p", objective, Found(bound, kind), 1.0)
    assert found.gap_rel == gap_rel
    assert found.gap_czk == pytest.approx(objective - bound)


def test_no_bound_and_a_proven_bound_above_the_cost_give_no_certificate():
    assert certificate_of("p", 10.0, Found(-np.inf, "estimate"), 1.0) is None
    assert certificate_of("p", 10.0, Found(10.1), 1.0) is None
    assert certificate_of("p", 10.0, Found(10.0 + 1e-9), 1.0).gap_czk == 0.0


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_run_in_one_process_has_certificates_only_where_they_are_wanted(wanted):
    home, clock = small_home("pokoj_1"), FakeClock(START)
    bus = MemoryBus(clock)
    known = winter_case(home, 1)
    for body in (known.forecast, known.telemetry, *known.thermals.values()):
        await bus.publish(wrap(body, site="home", clock=clock, source="test"))
    certify = Certifier(clock) if wanted else None
    queue = InlineQueue(home, clock, bus, worker=Worker(make=quick_plan), certify=certify)
    site = home.site.id
    for number in (3, 4):
        until = clock.wall_now() + timedelta(seconds=9)
        await queue.submit(
            PlanRequest(f"r{number}", f"p{number}", number, site, home.config_hash(), "t", START, START, until, 5)
        )
    found = [Certificate.read(e.body).plan_id for e in bus.entries("certificate")]
    assert found == (["p3", "p4"] if wanted else [])
