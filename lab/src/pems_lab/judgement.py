"""Whether a run was good enough: the living loop's acceptance, as a list of what was not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pems_common.home import Home
from pems_lab.comparison import comfort_below_k_h, fair_cost, limit_seconds
from pems_lab.house_run import RunAccount

__all__ = ["COMFORT_SLACK_K_H", "Verdict", "hourly_plans", "judge", "prediction_error_k"]

MPC_SHARE_MIN = 0.95
HOURLY_PLANS_MISSING_PER_DAY = 1
PREDICTION_AHEAD = timedelta(hours=4)
PREDICTION_ERROR_MAX_K = 0.35
COMFORT_SLACK_K_H = 0.05


@dataclass(frozen=True)
class Verdict:
    """Figures of a run against its reference, and what fails.

    Attributes:
        cost_czk: Comparable cost of the run (see `fair_cost`).
        reference_czk: Cost of the reference run (rules).
        comfort_k_h: Below the band, mean per room, of the run.
        reference_comfort_k_h: The same of the reference.
        prediction_k: Mean error of room temperatures that plans foresaw four hours ahead [K].
        failures: What is not good enough, in words; empty when all is.
    """

    cost_czk: float
    reference_czk: float
    comfort_k_h: float
    reference_comfort_k_h: float
    prediction_k: float | None
    failures: tuple[str, ...]


def hourly_plans(account: RunAccount, start: datetime, hours: int) -> int:
    """Return in how many of the hours at least one plan of the optimizer was published."""
    return len({int((at - start).total_seconds() // 3600) for at, _ in account.plans} & set(range(hours + 1)))


def prediction_error_k(account: RunAccount) -> float | None:
    """Return the mean error of temperatures foreseen four hours ahead, over rooms and plans; None without any."""
    errors: list[float] = []
    for _, plan in account.plans:
        i = int(PREDICTION_AHEAD.total_seconds() // plan.step_s) - 1
        if i >= plan.slots:
            continue
        measured = account.rooms_c.get(plan.start + (i + 1) * timedelta(seconds=plan.step_s))
        if measured is None:
            continue
        errors += [abs(room.temperature_c[i] - measured[name]) for name, room in plan.rooms.items()]
    return sum(errors) / len(errors) if errors else None


def judge(home: Home, account: RunAccount, reference: Mapping[str, Any], start: datetime) -> Verdict:
    """Judge a run against the truth of a run of the same world on rules only."""
    truth = account.truth
    hours = int(truth["elapsed_h"])
    failures = []
    for prefix in ("room:", "battery"):
        share = account.share("mpc", prefix)
        if share < MPC_SHARE_MIN:
            failures.append(f"{prefix.strip(':')} in mpc {share:.1%} of ticks, wanted {MPC_SHARE_MIN:.0%}")
    planned, wanted = hourly_plans(account, start, hours), hours - HOURLY_PLANS_MISSING_PER_DAY * max(1, hours // 24)
    if planned < wanted:
        failures.append(f"a plan in {planned} of {hours} hours, wanted {wanted}")
    fair = fair_cost(home, truth, reference)
    rules = fair_cost(home, reference, reference)
    if fair.total >= rules.total:
        failures.append(f"cost {fair.total:.1f} CZK, rules {rules.total:.1f} CZK")
    failures += [f"limit {name} broken: {amount:g}" for name, amount in limit_seconds(truth).items()]
    comfort, known = comfort_below_k_h(truth), comfort_below_k_h(reference)
    if comfort > known + COMFORT_SLACK_K_H:
        failures.append(f"comfort {comfort:.2f} K h below the band, rules {known:.2f}")
    error = prediction_error_k(account)
    if error is None or error > PREDICTION_ERROR_MAX_K:
        failures.append(f"rooms foreseen 4 h ahead err by {error} K, wanted {PREDICTION_ERROR_MAX_K}")
    return Verdict(fair.total, rules.total, comfort, known, error, tuple(failures))
