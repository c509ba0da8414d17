"""Plans with everything that decided them, for tests of replay."""

from dataclasses import replace
from datetime import timedelta

from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case

from pems_common.home import Home
from pems_common.messages import PlanInputs
from pems_optimizer.domain.assemble import Known
from pems_optimizer.domain.plan_case import NotedTime, PlanCase, case_of
from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.planning import Ask, MadePlan, plan_with_making
from pems_optimizer.domain.warm_start import LastSearch

__all__ = ["INPUTS", "MADE_BY", "a_case", "made_case", "record_of", "warm_known", "with_strategy"]

INPUTS = PlanInputs(forecast_id="f", prices_id="p", telemetry_id="t", thermal={"pokoj_1": "v1"})
MADE_BY = {"pems_source": "0123456789abcdef", "cpu": "toaster"}


def made_case(
    home: Home,
    known: Known,
    *,
    no: int = 1,
    at=START,
    limit_s: float = 30.0,
    elapsed_s=lambda: 0.0,
    effort: Effort | None = None,
) -> tuple[PlanCase, MadePlan]:
    ask = Ask(f"plan-{no}", no, at, at, limit_s)
    time = NotedTime(elapsed_s, limit_s)
    made = plan_with_making(home, known, INPUTS, ask, elapsed_s=time, effort=effort)
    return case_of(home, known, INPUTS, ask, time.told(), made, made_by=MADE_BY, effort=effort), made


def a_case(no: int = 1, **given) -> PlanCase:
    """A small plan of one room."""
    home = small_home("pokoj_1", water=None, ev=None)
    return made_case(home, winter_case(home, 1), no=no, **given)[0]


def record_of(home: Home, made: MadePlan) -> PlanRecord:
    plan = made.plan
    return PlanRecord(
        site=home.site.id,
        plan_id=plan.plan_id,
        plan_no=plan.plan_no,
        config_hash=plan.config_hash,
        issued_at=plan.issued_at,
        objective_czk=made.chosen.cost.total,
        peak_w=made.chosen.peak_w,
        problem=made.problem,
        decision=made.chosen.decision,
        solver_memory=made.memory,
    )


def warm_known(home: Home, known: Known, made: MadePlan) -> Known:
    """What is known an hour after a plan, by the same forecast."""
    return replace(known, running=made.plan, last=LastSearch.of(record_of(home, made)))


def with_strategy(home: Home, strategy: str) -> Home:
    uncertainty = home.optimization.uncertainty.model_copy(update={"strategy": strategy})
    return home.model_copy(update={"optimization": home.optimization.model_copy(update={"uncertainty": uncertainty})})


LATER = START + timedelta(hours=1)
