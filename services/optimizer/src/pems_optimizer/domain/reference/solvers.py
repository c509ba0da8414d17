"""The reference model's solver as a setting: HiGHS in this process, CBC, or Gurobi where there is a licence."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import pulp

from pems_common.errors import PemsError

__all__ = ["Found", "NoReferenceError", "SolverMissingError", "SolverName", "run_solver"]

SolverName = Literal["highs", "cbc", "gurobi"]

_REMEDY = {
    "highs": "install highspy, or choose cbc",
    "cbc": "this PuLP brings no CBC for this machine: install cbc and put it on PATH, or choose highs",
    "gurobi": "install gurobipy and a Gurobi licence, or choose highs, which needs neither",
}


class SolverMissingError(PemsError):
    """The chosen solver is not on this machine, or has no licence."""


class NoReferenceError(PemsError):
    """The reference model has no solution, or none was found in time."""


@dataclass(frozen=True)
class Found:
    """What a solver found: money [CZK], the bound it proved, and whether it is the optimum within the gap."""

    objective: float
    bound: float
    optimal: bool


def run_solver(lp: pulp.LpProblem, solver: SolverName, *, gap: float, time_limit_s: float) -> Found:
    """Solve in place; the variables have their values afterwards.

    Args:
        lp: The model, with its objective.
        solver: Which solver.
        gap: Relative gap that is good enough.
        time_limit_s: Wall seconds.

    Raises:
        SolverMissingError: The solver is not there.
        NoReferenceError: There is no solution, or none was found in time.
    """
    command = _command(solver, gap, time_limit_s)
    lp.solve(command)
    if lp.sol_status not in {pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible}:
        reason = "contradicts itself" if lp.status == pulp.LpStatusInfeasible else "was not solved in time"
        raise NoReferenceError(
            f"the reference model {reason} ({pulp.LpStatus[lp.status]} by {solver})",
            remedy="give decisions that keep the hard rules, a smaller problem, or more time",
        )
    objective = float(pulp.value(lp.objective))
    optimal = lp.sol_status == pulp.LpSolutionOptimal
    if solver == "highs" and any(variable.cat == pulp.LpInteger for variable in lp.variables()):
        # PuLP hands HiGHS the objective without its constant.
        bound = float(lp.solverModel.getInfo().mip_dual_bound) + float(lp.objective.constant)
    else:
        bound = objective - gap * abs(objective) if optimal else float("-inf")
    return Found(objective, min(bound, objective), optimal)


def _command(solver: SolverName, gap: float, time_limit_s: float) -> Any:
    if solver == "highs":
        # Presolve stays on: without it HiGHS 1.15 called plans optimal that were five times as dear as the best
        # (config/examples/car-and-dishwasher.json; CBC agrees with presolve).
        command = pulp.HiGHS(msg=False, gapRel=gap, timeLimit=time_limit_s, threads=1)
    elif solver == "cbc":
        # PuLP's own CBC by path: its class of its own is on the way out in PuLP 4.
        path = pulp.PULP_CBC_CMD.pulp_cbc_path
        command = pulp.COIN_CMD(path=path, msg=False, gapRel=gap, timeLimit=time_limit_s, threads=1)
        if not command.available():
            command = pulp.COIN_CMD(msg=False, gapRel=gap, timeLimit=time_limit_s, threads=1)
    else:
        command = pulp.GUROBI(msg=False, gapRel=gap, timeLimit=time_limit_s)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a licence is missing is said below
        there = bool(command.available())
    if not there:
        raise SolverMissingError(f"the solver {solver} is not available", remedy=_REMEDY[solver])
    return command
