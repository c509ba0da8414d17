"""The Monte Carlo of a plan's cost: its relays, water and car as planned on sampled days, battery and grid react.

Each draw has its own seed, made from the study's and its number, so that draws may be made anywhere, in any order
and in any portions, and are the same to the last bit.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.scenarios import sampled_costs

__all__ = ["draw_seed", "fan_item", "fan_summary"]


def draw_seed(seed: int, draw: int) -> int:
    """Return the seed of one draw of a study."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0])


def fan_item(record: PlanRecord, seed: int) -> Callable[[int], float]:
    """Return what gives the cost of the plan on the day of a draw [CZK]."""

    def cost_czk(draw: int) -> float:
        costs = sampled_costs(
            record.problem,
            record.decision,
            record.peak_w,
            draws=1,
            seed=draw_seed(seed, draw),
            correlation=record.correlation,
        )
        return float(costs[0])

    return cost_czk


def fan_summary(costs_czk: Sequence[float]) -> dict[str, float]:
    """Return mean, spread, quantiles and the mean of the worst tenth (CVaR 90) of all draws [CZK]."""
    costs = np.sort(np.asarray(costs_czk, dtype=np.float64))
    worst = costs[-max(1, len(costs) // 10) :]
    p05, p10, p50, p90, p95 = np.quantile(costs, [0.05, 0.1, 0.5, 0.9, 0.95])
    found = {
        "mean_czk": costs.mean(),
        "standard_deviation_czk": costs.std(),
        "p05_czk": p05,
        "p10_czk": p10,
        "p50_czk": p50,
        "p90_czk": p90,
        "p95_czk": p95,
        "cvar90_czk": worst.mean(),
        "least_czk": costs[0],
        "most_czk": costs[-1],
    }
    return {name: round(float(value), 4) for name, value in found.items()}
