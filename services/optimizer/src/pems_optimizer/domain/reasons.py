"""Why a slot is as it is: short codes with parameters; the page makes sentences of them.

Codes: `cheap_price`, `pv_surplus`, `preheat`, `comfort_floor`, `peak_avoid`, `battery_arbitrage`, `battery_saved`,
`sell_high`, `curtail_negative_price`, `inverter_off`, `ev_deadline`, `water_heat`, `decided_before`. Under the key
`plan` stand the notes on the whole plan.
"""

import numpy as np

from pems_common.messages import Reason
from pems_optimizer.domain.problem import Note, PlanningProblem
from pems_optimizer.domain.scoring import Verified

__all__ = ["explain"]

_NEAR_FLOOR_K = 0.25
_PREHEAT_SLOTS = 24


def _heating(problem: PlanningProblem, plan: Verified, t: int) -> list[Reason]:
    rooms, on = problem.rooms, plan.decision.relay_on[t]
    if not on.any():
        return []
    reasons = []
    air = plan.path.air_c[t]
    heat_w = round(float(on @ rooms.heater_w))
    floor = on & (air < rooms.low_c[t] + _NEAR_FLOOR_K)
    if floor.any():
        coldest = int(np.argmin(np.where(floor, air - rooms.low_c[t], np.inf)))
        reasons.append(
            Reason(
                code="comfort_floor",
                params={"room": rooms.names[coldest], "temperature_c": round(float(air[coldest]), 2)},
            )
        )
    if problem.pv_w[t] > problem.load_w[t] + 200.0:
        reasons.append(Reason(code="pv_surplus", params={"pv_w": round(float(problem.pv_w[t])), "heat_w": heat_w}))
    elif problem.cheap[t]:
        reasons.append(
            Reason(code="cheap_price", params={"buy_czk_kwh": round(float(problem.buy[t]), 3), "heat_w": heat_w})
        )
    ahead = problem.buy[t + 1 : t + 1 + _PREHEAT_SLOTS]
    rising = rooms.low_c[t + 1 : t + 1 + _PREHEAT_SLOTS]
    if len(ahead) and not floor.all():
        if len(rising) and bool((rising.max(axis=0) > rooms.low_c[t] + 0.5)[on].any()):
            reasons.append(Reason(code="preheat", params={"before": "warmer_band", "heat_w": heat_w}))
        elif ahead.max() > 1.15 * problem.buy[t]:
            dearer = round(float(ahead.max()), 3)
            reasons.append(Reason(code="preheat", params={"before": "dearer_hours", "buy_later_czk_kwh": dearer}))
    return reasons


def _battery(problem: PlanningProblem, plan: Verified, t: int) -> list[Reason]:
    flow = plan.flow
    if not flow.intent:
        return []
    intent, buy = flow.intent[t], round(float(problem.buy[t]), 3)
    ahead = problem.buy[t + 1 : t + 97]
    dearest = round(float(ahead.max()), 3) if len(ahead) else buy
    if intent == "charge_from_grid":
        return [Reason(code="battery_arbitrage", params={"buy_czk_kwh": buy, "dearest_later_czk_kwh": dearest})]
    if intent == "discharge_to_grid":
        return [Reason(code="sell_high", params={"sell_czk_kwh": round(float(problem.sell[t]), 3)})]
    if intent == "off":
        return [Reason(code="inverter_off", params={"buy_czk_kwh": buy})]
    if intent == "hold":
        return [Reason(code="battery_saved", params={"buy_czk_kwh": buy, "dearest_later_czk_kwh": dearest})]
    if flow.battery_w[t] > 100.0 and flow.grid_w[t] > 0.9 * plan.peak_w:
        return [
            Reason(
                code="peak_avoid", params={"peak_w": round(plan.peak_w), "battery_w": round(float(flow.battery_w[t]))}
            )
        ]
    return []


def explain(problem: PlanningProblem, plan: Verified, notes: tuple[Note, ...] = ()) -> dict[str, tuple[Reason, ...]]:
    """Return the reasons of each slot that has some, and the notes on the whole plan."""
    out: dict[str, tuple[Reason, ...]] = {}
    every = (*problem.notes, *notes)
    if every:
        out["plan"] = tuple(Reason(code=n.code, params=n.params) for n in every)
    for t in range(problem.slots):
        if t < problem.frozen:
            out[str(t)] = (Reason(code="decided_before"),)
            continue
        reasons = _heating(problem, plan, t) + _battery(problem, plan, t)
        if plan.flow.limited[t]:
            sell = round(float(problem.sell[t]), 3)
            reasons.append(Reason(code="curtail_negative_price", params={"sell_czk_kwh": sell}))
        if plan.decision.ev_w[t] > 0.0 and problem.ev is not None:
            reasons.append(Reason(code="ev_deadline", params={"slot": problem.ev.deadline}))
        if plan.decision.water_on[t] and problem.water is not None:
            reasons.append(Reason(code="water_heat", params={"tank_c": round(float(plan.water_c[t]), 1)}))
        if reasons:
            out[str(t)] = tuple(reasons)
    return out
