"""A small plan record, and plans made quickly: real problems with the rules' decision."""

from functools import cache

import numpy as np
from tests.unit.optimizer.optimizer_cases import START, small_home, small_problem

from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.planning import MadePlan, make_rule_plan
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scoring import Decision

__all__ = ["a_record", "quick_plan"]

_ROOMS = ("pokoj_1", "zachod", "pokoj_2")


@cache
def a_record(plan_no: int = 1, *, site: str = "home", rooms: int = 1, plan_id: str = "") -> PlanRecord:
    """Return a record of a house with few rooms, every third slot heated."""
    problem = small_problem(small_home(*_ROOMS[:rooms]))
    on = np.zeros((problem.slots, rooms), dtype=np.bool_)
    on[::12] = on[1::12] = True
    decision = Decision(on, np.zeros(problem.slots, dtype=np.bool_), np.zeros(problem.slots))
    return PlanRecord(
        site=site,
        plan_id=plan_id or f"plan-{plan_no}",
        plan_no=plan_no,
        config_hash="c",
        issued_at=START,
        objective_czk=123.456789,
        peak_w=4000.0,
        problem=problem,
        decision=decision,
        correlation={"pv": 0.9, "load": 0.8},
    )


def quick_plan(home, known, inputs, ask, *, elapsed_s) -> MadePlan:
    """Make the rules' plan, signed by the solver: where the loop is tested, not the solver."""
    plan = make_rule_plan(home, known, inputs, ask, "test")
    solver = plan.solver.model_copy(update={"name": "bidders", "status": "incumbent"})
    plan = plan.model_copy(update={"solver": solver, "fallback_mode": False})
    problem = assemble(home, known, now=ask.now, decide_from=ask.decide_from)
    return MadePlan(plan, problem, rule_plan(problem), {"duals": np.arange(3.0)})
