"""The MILP under construction: named variables, demands, and the money that is the same whatever the days bring."""

from collections.abc import Sequence
from typing import Any

import pulp

from pems_optimizer.domain.problem import PlanningProblem

__all__ = ["Model", "Series", "Term", "total"]

# PuLP has no types: a term is a number, a variable, or a linear expression of them.
Term = Any
Series = list[Any]


def total(terms: Sequence[Term]) -> Term:
    """Add terms up."""
    return pulp.lpSum(terms)


class Model:
    """A MILP that minimises money [CZK].

    Attributes:
        problem: What it is about.
        lp: The MILP in PuLP.
        own_money: Money of the devices themselves, the same in every course of the days.
    """

    def __init__(self, problem: PlanningProblem) -> None:
        """Begin with nothing decided and nothing demanded."""
        self.problem = problem
        self.lp = pulp.LpProblem("planning_problem", pulp.LpMinimize)
        self.own_money: list[Term] = []

    def number(self, name: str, low: float | None = 0.0, high: float | None = None) -> Term:
        """Return a new continuous variable."""
        return self.lp.add_variable(name, low, high)

    def choice(self, name: str) -> Term:
        """Return a new variable that is 0 or 1."""
        return self.lp.add_variable(name, cat="Binary")

    def numbers(self, name: str, low: float | None = 0.0, high: float | None = None) -> Series:
        """Return a continuous variable per slot."""
        return [self.number(f"{name}_{t}", low, high) for t in range(self.problem.slots)]

    def choices(self, name: str) -> Series:
        """Return a 0/1 variable per slot."""
        return [self.choice(f"{name}_{t}") for t in range(self.problem.slots)]

    def demand(self, *constraints: Term) -> None:
        """Demand what has to hold."""
        for constraint in constraints:
            self.lp += constraint

    def fix(self, series: Series, values: Sequence[float | bool]) -> None:
        """Demand a value for each of the first variables."""
        for variable, value in zip(series, values, strict=False):
            self.demand(variable == float(value))
