"""From the data of a problem file to the data of its answer: one pure function, for CLI, REST and queue alike."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pems_optimizer.domain.certificate import Bound, certify
from pems_optimizer.domain.problem import Note, PlanningProblem
from pems_optimizer.domain.problem_file.reading import read_document
from pems_optimizer.domain.problem_file.result import SolverAnswer, answer_of
from pems_optimizer.domain.problem_file.to_problem import planning_problem
from pems_optimizer.domain.size import LARGEST_WORK, coarse_factor
from pems_optimizer.domain.sized_solving import solve_sized
from pems_optimizer.domain.solving import RESERVE_S, NoPlan, Solved, SolverOptions

__all__ = ["solve_problem_file"]

_TINY_CZK = 1.0  # below it a gap in per cent says nothing
_ROUNDING = 1e-6
_OPTIMAL_GAP = 1e-4
_LEAST_S = 0.05


@dataclass(frozen=True)
class _Found:
    """A plan as the solver left it, and its bound."""

    outcome: Solved | NoPlan
    bound: Bound | None

    @property
    def why(self) -> str:
        """Why the rules stand in; empty where they do not."""
        return self.outcome.why if isinstance(self.outcome, NoPlan) else ""

    @property
    def complete(self) -> bool:
        """Whether everything was tried in time."""
        return isinstance(self.outcome, Solved) and self.outcome.complete

    def solver_answer(self, objective_czk: float, money: float, took_s: float) -> SolverAnswer:
        """Tell how the plan was found, in the file's currency (`money` CZK)."""
        answer = SolverAnswer(
            name="rules" if self.why else "bidders",
            status="fallback" if self.why else "incumbent",
            why=self.why,
            complete=self.complete,
            objective=round(objective_czk / money, 4),
            solve_s=round(took_s, 3),
        )
        if self.bound is None:
            return answer
        gap, size = max(0.0, objective_czk - self.bound.value_czk), abs(objective_czk)
        best = self.bound.kind == "proven" and gap <= _OPTIMAL_GAP * max(size, _TINY_CZK)
        return answer.model_copy(
            update={
                "status": "optimal" if best else "incumbent",
                "bound": round(self.bound.value_czk / money, 4),
                "gap": round(gap / money, 4),
                "gap_rel": round(gap / size, 6) if size >= _TINY_CZK else None,
                "bound_kind": self.bound.kind,
            }
        )


def _bound(problem: PlanningProblem, solved: Solved, elapsed_s: Callable[[], float], limit_s: float) -> Bound | None:
    """Look for a bound; None where there was no time, or it is above the plan it bounds and so cannot be right."""
    if limit_s <= 0.0:
        return None
    began, objective = elapsed_s(), solved.best.cost.total
    bound = certify(problem, solved.best.decision, solved.memory, objective, lambda: elapsed_s() - began, limit_s)
    above = bound.value_czk > objective + _ROUNDING * max(1.0, abs(objective))
    return None if not math.isfinite(bound.value_czk) or (above and bound.kind == "proven") else bound


def solve_problem_file(data: Any, elapsed_s: Callable[[], float], limit_s: float | None = None) -> dict[str, Any]:
    """Solve a problem given as parsed JSON.

    Args:
        data: The problem (docs/solve.md).
        elapsed_s: Wall seconds since the work began.
        limit_s: Most wall seconds for everything, whatever the file's own limits say.

    Returns:
        The answer as JSON data (`ProblemAnswer`).

    Raises:
        ProblemFileError: The file holds no problem that can be solved; it names every mistake.
    """
    document = read_document(data)
    problem = planning_problem(document)
    wish, most_s = document.solver, math.inf if limit_s is None else limit_s
    limit = min(wish.time_limit_s, most_s)
    options = SolverOptions(limit_s=limit)
    share = max(limit - RESERVE_S, _LEAST_S) / (SolverOptions().limit_s - RESERVE_S)
    factor = coarse_factor(problem, LARGEST_WORK * share)
    outcome = solve_sized(problem, options, elapsed_s, factor=factor)
    took_s, bound = elapsed_s(), None
    best = outcome.rules
    if isinstance(outcome, Solved):
        best = outcome.best
        bound = _bound(problem, outcome, elapsed_s, min(wish.certificate_limit_s, most_s - took_s))
    found = _Found(outcome, bound)
    notes = []
    if found.why:
        notes.append(Note("fallback", {"why": found.why}))
    elif not found.complete:
        notes.append(Note("time_limit", {"limit_s": limit}))
    if factor > 1 and not found.why:
        notes.append(Note("longer_slots", {"minutes": factor * document.step_minutes, "limit_s": limit}))
    return answer_of(
        document,
        problem,
        best,
        outcome.rules.cost.total,
        found.solver_answer(best.cost.total, document.money, took_s),
        tuple(notes),
        price_czk_kwh=outcome.price_czk_kwh if isinstance(outcome, Solved) else None,
    ).model_dump(mode="json")
