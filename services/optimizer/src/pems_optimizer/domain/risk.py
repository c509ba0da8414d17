"""The cost of a plan in the fan of what may happen, as a score."""

from collections.abc import Callable
from datetime import datetime

import numpy as np

from pems_common.home import Home
from pems_common.messages import Score
from pems_optimizer.domain.assemble import Known, assemble
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.running import RunningPlan, moved_on
from pems_optimizer.domain.scenarios import sampled_costs

__all__ = ["plan_risk"]


def plan_risk(
    home: Home, known: Known, *, now: datetime, draws: int, has_time: Callable[[], bool], seed: int = 1
) -> Score | None:
    """Return mean, quantiles and the mean of the worst tenth (CVaR 90) of the running plan's cost [CZK].

    Relays, water and car stay as planned, battery and grid react. None where the plan does not fit the present
    state any more, or fewer than five days could be sampled in time.

    Raises:
        InputProblem: There is no usable forecast.
    """
    if known.running is None or known.forecast is None:
        return None
    problem = assemble(home, known, now=now, decide_from=now)
    decision = moved_on(problem, RunningPlan(known.running), rule_plan(problem).decision, with_car=True)
    if decision is None:
        return None
    totals = sampled_costs(
        problem,
        decision,
        known.running.peak_import_w,
        draws=draws,
        seed=seed,
        correlation=known.forecast.correlation,
        has_time=has_time,
    )
    if len(totals) < 5:
        return None
    worst = np.sort(totals)[-max(1, len(totals) // 10) :]
    metrics = {
        "mean": float(totals.mean()),
        "p10": float(np.quantile(totals, 0.1)),
        "p50": float(np.quantile(totals, 0.5)),
        "p90": float(np.quantile(totals, 0.9)),
        "cvar90": float(worst.mean()),
        "draws": float(len(totals)),
    }
    rounded = {name: round(value, 3) for name, value in metrics.items()}
    return Score(kind="plan_risk", window="48h", metrics=rounded, model=known.running.plan_id)
