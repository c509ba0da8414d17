"""A search hears of time only once it is up, so that no linear program ends by the wall clock."""

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.plan_case_cases import INPUTS

from pems_optimizer.domain import planning
from pems_optimizer.domain.planning import Ask, plan_with_making
from pems_optimizer.domain.solving import NoPlan


def test_early_seconds_are_none_and_late_ones_as_they_are(monkeypatch):
    heard = []

    def search(problem, options, elapsed_s, **_):
        heard.extend(elapsed_s() for _ in range(4))
        return NoPlan(planning.rule_plan(problem), "tried")

    monkeypatch.setattr(planning, "solve_sized", search)
    clock = iter([0.2, 0.7, 4.5, 4.6, 5.1, 5.2])
    home = small_home("pokoj_1", water=None, ev=None)
    made = plan_with_making(
        home, winter_case(home, 1), INPUTS, Ask("p", 1, START, START, 5.0), elapsed_s=lambda: next(clock)
    )
    assert heard == [0.0, 0.0, 4.6, 5.1]
    assert made.plan.solver.build_s == 0.2
    assert made.plan.solver.solve_s == pytest.approx(5.0)
