"""A kept plan made once more, and held against the original: identical, or what differs and why that may be."""

from collections.abc import Mapping
from dataclasses import dataclass

from pems_optimizer.domain.plan_case import Difference, PlanCase, differences, plan_digest, problem_digest, replayed
from pems_optimizer.plan_case_versions import this_program

__all__ = ["Replay", "replay_case"]

_NAMES = {
    "pems_source": "source of PEMS",
    "cpu": "processor",
    "machine": "kind of machine",
    "threads": "threads of the linear algebra",
}


@dataclass(frozen=True)
class Replay:
    """What came of making a plan again.

    Attributes:
        digest: SHA-256 of the original, without the seconds it took.
        digest_again: Of what was made now.
        same_problem: Whether the same problem was put together from the inputs.
        complete: Whether the original's search was over before its time was.
        differences: Where both differ, at most fifty places; empty where they are identical.
        reasons: Why they may; empty where they are identical.
    """

    plan_id: str
    digest: str
    digest_again: str
    same_problem: bool
    complete: bool
    differences: tuple[Difference, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether both plans are the same to the last bit."""
        return self.digest == self.digest_again


def replay_case(case: PlanCase, *, here: Mapping[str, str] | None = None) -> Replay:
    """Make a plan again and compare.

    Args:
        case: The plan.
        here: Versions of this program and machine; found where None.

    Raises:
        InputProblem: There is no usable forecast.
    """
    again = replayed(case)
    same_problem = problem_digest(again.problem) == case.problem_digest
    digest, digest_again = plan_digest(case.plan), plan_digest(again.plan)
    found = tuple(differences(case.plan, again.plan))
    reasons = () if digest == digest_again else _reasons(case, this_program() if here is None else here, same_problem)
    return Replay(case.plan.plan_id, digest, digest_again, same_problem, case.complete, found, reasons)


def _reasons(case: PlanCase, here: Mapping[str, str], same_problem: bool) -> tuple[str, ...]:
    reasons = [
        f"another {_NAMES.get(name, name)}: {case.made_by.get(name, 'unknown')} then, {here.get(name, 'unknown')} now"
        for name in dict.fromkeys([*case.made_by, *here])
        if case.made_by.get(name) != here.get(name)
    ]
    if not same_problem:
        reasons.append("the inputs lead to another problem: they are read otherwise than then, or were changed")
    if not case.complete:
        reasons.append("its time was up: a program with binaries that the clock cut short inside does not come again")
    if case.home.battery is not None and case.home.battery.control == "setpoint":
        reasons.append("the battery takes any power: where prices are negative its program ends by the wall clock")
    return tuple(reasons) or ("nothing known: the kept plan was changed, or PEMS has a fault",)
