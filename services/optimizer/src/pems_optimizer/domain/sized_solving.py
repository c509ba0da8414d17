"""Solve a problem of any size: one that is too large for its time on longer slots, verified on its own.

The same call as `solving.solve`. What the solver remembers comes back on the true slots too, so a certificate, a
question or the next plan can begin from it.
"""

from collections.abc import Callable, Mapping

import numpy as np

from pems_optimizer.domain.coarsening import coarsened
from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.judging import judged_czk
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.refining import refined
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scoring import Decision, Verified
from pems_optimizer.domain.size import coarse_factor
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve

__all__ = ["solve_sized"]

_PER_SLOT = ("price", "heat_price", "car_price")  # money of one W over a slot


def _stretched(values: np.ndarray, factor: int, slots: int) -> np.ndarray:
    """Repeat each long slot's value (..., T'); what is left over at the end is as the last one (..., T)."""
    long = np.repeat(values, factor, axis=-1)
    return np.concatenate([long, np.repeat(long[..., -1:], slots, axis=-1)], axis=-1)[..., :slots]


def _memory(memory: Mapping[str, np.ndarray], best: Verified, factor: int) -> dict[str, np.ndarray]:
    """Return what the solver remembers of the long slots, for the true ones."""
    slots = len(best.decision.ev_w)
    fine = dict(memory)
    fine |= {name: _stretched(memory[name], factor, slots) / factor for name in _PER_SLOT}
    fine["on"] = _stretched(memory["on"], factor, slots)
    fine["warmth_czk_k"] = _stretched(memory["warmth_czk_k"].T, factor, slots).T / factor
    fine["air_c"], fine["mass_c"] = best.path.air_c, best.path.mass_c
    return fine


def solve_sized(
    problem: PlanningProblem,
    options: SolverOptions,
    elapsed_s: Callable[[], float],
    *,
    move_on: Callable[[Decision], Decision | None] = lambda _: None,
    warm: Mapping[str, np.ndarray] | None = None,
    factor: int | None = None,
) -> Solved | NoPlan:
    """Find a plan.

    Args:
        problem: The problem.
        options: How hard to try.
        elapsed_s: Wall seconds since the work began.
        move_on: As in `solve`; not asked where longer slots are taken.
        warm: As in `solve`; not used where longer slots are taken.
        factor: Slots that become one; as many as its size asks for where None.

    Returns:
        As `solve`: what costs less than the rules on the true slots, or `NoPlan`.
    """
    factor = coarse_factor(problem) if factor is None else factor
    if factor == 1:
        return solve(problem, options, elapsed_s, move_on=move_on, warm=warm)
    outcome = solve(coarsened(problem, factor), options, elapsed_s)
    rules = rule_plan(problem)
    if isinstance(outcome, NoPlan):
        return NoPlan(rules, outcome.why)
    decision = refined(problem, outcome.best.decision, factor)
    best = run_decision(problem, decision, outcome.best.peak_w)
    if judged_czk(problem, best) > judged_czk(problem, rules):
        return NoPlan(rules, "the rules were cheaper on this forecast")
    price = _stretched(outcome.price_czk_kwh, factor, problem.slots)
    memory = _memory(outcome.memory, best, factor)
    return Solved(best, rules, outcome.complete, price, outcome.relaxed, memory)
