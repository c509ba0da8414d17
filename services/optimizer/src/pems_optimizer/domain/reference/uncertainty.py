"""Rules U2 to U4: the worst course or the expectation with its bad tail, and what the courses share."""

from collections.abc import Sequence

from pems_optimizer.domain.reference.grid import CourseFlow
from pems_optimizer.domain.reference.model import Model, Term, total

__all__ = ["money_of_courses", "share_first_slots"]


def share_first_slots(model: Model, flows: Sequence[CourseFlow], intents: Sequence[list[dict[str, Term]]]) -> None:
    """Let the battery do the same in all courses in the first slots (U4): the same intent, or the same power."""
    one = flows[0].battery
    for k, flow in enumerate(flows[1:], start=1):
        for t in range(min(model.problem.uncertainty.shared_slots, model.problem.slots)):
            if intents:
                here, there = intents[0][t], intents[k][t]
                for c in {**here, **there}:
                    model.demand(total([there.get(c, 0.0)]) == total([here.get(c, 0.0)]))
            elif one is not None and flow.battery is not None:
                model.demand(flow.battery.charge_w[t] == one.charge_w[t])
                model.demand(flow.battery.discharge_w[t] == one.discharge_w[t])


def money_of_courses(model: Model, flows: Sequence[CourseFlow]) -> Term:
    """Return what the courses count as: that of the worst one (U2), or the mean with a share of its tail (U3)."""
    money = [total(flow.money) for flow in flows]
    if len(flows) == 1:
        return money[0]
    risk = model.problem.uncertainty
    if risk.strategy == "robust":
        worst = model.number("worst_czk", None)
        for czk in money:
            model.demand(worst >= czk)
        return worst
    mean = total([flow.given.probability * czk for flow, czk in zip(flows, money, strict=True)])
    if risk.cvar_share <= 0.0:
        return mean
    # Rockafellar and Uryasev 2000, doi:10.21314/JOR.2000.038: the least level plus the mean of what lies beyond.
    level, beyond = model.number("tail_from_czk", None), []
    for k, (flow, czk) in enumerate(zip(flows, money, strict=True)):
        excess = model.number(f"tail_excess_{k}")
        model.demand(excess >= czk - level)
        beyond.append(flow.given.probability / risk.cvar_tail * excess)
    return (1.0 - risk.cvar_share) * mean + risk.cvar_share * (level + total(beyond))
