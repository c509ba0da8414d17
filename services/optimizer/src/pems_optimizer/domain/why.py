"""Why a slot is as it is: the other action is forced, the house plans around it, and the difference is told.

The plan's schedules are the beginning; the device bids with its wish, the others may change their mind while there is
time, battery and grid react. What costs most of the difference is the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from pems_common.errors import PemsError
from pems_common.messages import Intent
from pems_optimizer.domain.battery_flow import HouseFlow
from pems_optimizer.domain.bidders.car import realise
from pems_optimizer.domain.bidders.port import Wish
from pems_optimizer.domain.dispatch import dispatch_battery, run_decision
from pems_optimizer.domain.plan_search import PlanSearch
from pems_optimizer.domain.problem import Floats, PlanningProblem
from pems_optimizer.domain.scoring import Decision, Verified, controlled_load_w, verify
from pems_optimizer.domain.thermal_response import RoomPath
from pems_optimizer.domain.why_sentences import sentence

__all__ = ["Question", "WishError", "explain_other", "read_wish"]

_GRID = (56, 9)
_REBIDS = 2
_PARTS = ("energy", "wear", "peak", "comfort", "switching")
_SEARCH_SHARE = 0.6  # of the time, for the others to change their mind
_LEFT = {
    "no_model": "there is no model of it yet",
    "model_not_trusted": 'its model is no better than "same as yesterday"',
    "model_on_trial": "its model is on trial, and the controller's rules run it meanwhile",
    "no_temperature": "its temperature is not known",
}


class WishError(PemsError):
    """The question cannot be asked of this plan."""


@dataclass(frozen=True)
class Question:
    """What should be otherwise.

    Attributes:
        device: `room:<name>`, `water`, `appliance:<name>`, `ev` or `battery`.
        slot: Slot of the plan.
        action: `on`, `off`, or an intent for the battery.
        zone: Time zone for the sentence.
    """

    device: str
    slot: int
    action: str
    zone: str = "UTC"


def _devices(problem: PlanningProblem) -> list[str]:
    names = [f"room:{name}" for name in problem.rooms.names]
    names += ["water"] * (problem.water is not None)
    return names + [f"appliance:{spec.name}" for spec in problem.appliances]


def _why_left(problem: PlanningProblem, device: str) -> str | None:
    """Why a room is left to its thermostat, in words; None where it is planned, or no room."""
    for note in problem.notes:
        if note.code == "room_left_to_thermostat" and device == f"room:{note.params['room']}":
            return _LEFT.get(str(note.params["why"]), str(note.params["why"]))
    return None


def read_wish(problem: PlanningProblem, wish: Mapping[str, Any]) -> Question:
    """Read `{device, slot, action, zone?}`.

    Raises:
        WishError: Unknown device, slot or action.
    """
    device, slot, action = str(wish.get("device", "")), wish.get("slot"), str(wish.get("action", ""))
    known = _devices(problem) + ["ev"] * (problem.ev is not None) + ["battery"] * (problem.battery is not None)
    if device not in known:
        if (left := _why_left(problem, device)) is not None:
            raise WishError(f"{device} is left to its thermostat: {left}", remedy=f"ask for one of {', '.join(known)}")
        raise WishError(f"device {device!r} is not part of this plan", remedy=f"ask for one of {', '.join(known)}")
    if isinstance(slot, bool) or not isinstance(slot, int) or not 0 <= slot < problem.slots:
        raise WishError(f"slot {slot!r} is not in this plan", remedy=f"ask for a slot from 0 to {problem.slots - 1}")
    actions = get_args(Intent) if device == "battery" else ("on", "off")
    if action not in actions:
        raise WishError(f"action {action!r} is not for {device}", remedy=f"ask for one of {', '.join(actions)}")
    return Question(device, slot, action, str(wish.get("zone") or "UTC"))


def _search(problem: PlanningProblem, memory: Mapping[str, np.ndarray], left_s: Callable[[], float]) -> PlanSearch:
    if "air_c" not in memory:
        return PlanSearch(problem, left_s, grid=_GRID)
    path = RoomPath(memory["air_c"], memory["mass_c"])
    search = PlanSearch(problem, left_s, path=path, warmth_czk_k=memory["warmth_czk_k"], grid=_GRID)
    search.recall(memory)
    return search


def _planned(problem: PlanningProblem, plan: Verified, ask: Question) -> bool:
    """Whether the plan does so already."""
    decision, t = plan.decision, ask.slot
    if ask.device == "battery":
        planned = plan.flow.intent[t]
        return planned == ask.action or {planned, ask.action} == {"hold", "export_pv"}
    if ask.device == "ev":
        on = bool(decision.ev_w[t] > 1.0)
    elif ask.device == "water":
        on = bool(decision.water_on[t])
    else:
        kind, _, name = ask.device.partition(":")
        if kind == "room":
            on = bool(decision.relay_on[t, problem.rooms.names.index(name)])
        else:
            on = bool(decision.appliances[[spec.name for spec in problem.appliances].index(name)][t])
    return on == (ask.action == "on")


def _other_schedules(
    problem: PlanningProblem,
    decision: Decision,
    memory: Mapping[str, np.ndarray],
    ask: Question,
    left_s: Callable[[], float],
) -> Decision | None:
    """Return the decision with the wish granted and the house planned around it; None where it cannot be."""
    search = _search(problem, memory, left_s)
    search.fix(decision)
    market, device = search.market, _devices(problem).index(ask.device)
    market.lp.limit_ev(decision.ev_w, decision.ev_w)
    done = market.lp.solve()
    wish = Wish(ask.slot, ask.action == "on")
    chosen: int | None = None
    for _ in range(_REBIDS):
        if done is None:
            break
        bidder = market.bidders[device]
        column = bidder.bid(bidder.price(done.prices), wish)
        if bool(column.power_w[ask.slot] > 0.0) != wish.on:
            return None
        market.offer(device, column)
        number = market.find(device, column.power_w > 0.0)
        if number == chosen:
            break
        chosen = number
        market.fix(device, number)
        done = market.lp.solve() or done
    if done is None or chosen is None:
        return None
    market.polish(done, [other for other in search.order if other != device])
    return search.decision(decision.ev_w)


def _other_car(problem: PlanningProblem, decision: Decision, ask: Question) -> Decision | None:
    ev = problem.ev
    if ev is None or ask.slot >= ev.deadline or ask.slot < len(ev.forced_w):
        return None
    others = controlled_load_w(problem, replace(decision, ev_w=np.zeros(problem.slots)))
    most = problem.grid.import_max_w + problem.pv_w - others
    wish, price = decision.ev_w.copy(), problem.buy * problem.kwh
    if ask.action == "on":
        wish[ask.slot], price = max(wish[ask.slot], ev.power_min_w), price.copy()
        price[ask.slot] = -1e3  # the last slot to give back
    else:
        wish[ask.slot] = most[ask.slot] = 0.0
    return replace(decision, ev_w=realise(ev, wish, price, most, problem.dt_h))


def _battery_flow(problem: PlanningProblem, load_w: Floats, plan: Verified, ask: Question) -> HouseFlow | None:
    if problem.battery is None or ask.slot < problem.battery.forced:
        return None
    return dispatch_battery(problem, load_w, plan.decision.ev_w, plan.peak_w, wish=(ask.slot, ask.action))


def explain_other(
    problem: PlanningProblem,
    decision: Decision,
    memory: Mapping[str, np.ndarray],
    wish: Mapping[str, Any],
    elapsed_s: Callable[[], float],
    limit_s: float,
) -> dict[str, Any]:
    """Say what the plan would cost if something were otherwise.

    Args:
        problem: The plan's problem.
        decision: What it decided.
        memory: What its solver remembers; may be empty.
        wish: `{device, slot, action, zone?}`, see `Question`.
        elapsed_s: Wall seconds since the work began.
        limit_s: Wall seconds for the work.

    Returns:
        Plain JSON data: `possible`; differences of money and comfort (positive: the other way costs more) in CZK and
        in K h below the bands; the deciding `rule`; one `sentence` in `en` and `cs`.

    Raises:
        WishError: The question makes no sense for this plan.
    """
    ask = read_wish(problem, wish)
    load = controlled_load_w(problem, decision)
    before = run_decision(problem, decision, float(load.max()))
    before = run_decision(problem, decision, before.peak_w)
    told = {"device": ask.device, "slot": ask.slot, "action": ask.action}
    if _planned(problem, before, ask):
        none = dict.fromkeys(_PARTS, 0.0)
        same = {"total_czk": 0.0, "money_czk": 0.0, "comfort_czk": 0.0, "below_k_h": 0.0, "parts": none}
        words = sentence(problem, ask, before, before, planned=True)
        return {**told, "possible": True, **same, "rule": "as_planned", "sentence": words}
    other: Decision | None = decision
    flow: HouseFlow | None = None
    if ask.device == "battery":
        flow = _battery_flow(problem, load, before, ask)
        other = None if flow is None else decision
    elif ask.device == "ev":
        other = _other_car(problem, decision, ask)
    else:
        other = _other_schedules(problem, decision, memory, ask, lambda: _SEARCH_SHARE * limit_s - elapsed_s())
    if other is None:
        return {**told, "possible": False, "rule": "fixed", "sentence": sentence(problem, ask, before, None)}
    after = run_decision(problem, other, before.peak_w) if flow is None else verify(problem, other, flow)
    parts = {name: round(getattr(after.cost, name) - getattr(before.cost, name), 4) for name in _PARTS}
    total = after.cost.total - before.cost.total
    below = _below_k_h(problem, after) - _below_k_h(problem, before)
    return {
        **told,
        "possible": True,
        "total_czk": round(total, 4),
        "money_czk": round(total - parts["comfort"], 4),
        "comfort_czk": parts["comfort"],
        "below_k_h": round(below, 4),
        "parts": parts,
        "rule": _rule(total, parts),
        "sentence": sentence(problem, ask, before, after),
    }


def _below_k_h(problem: PlanningProblem, plan: Verified) -> float:
    rooms = problem.rooms
    return float(np.maximum(rooms.band_low_c - plan.path.air_c[1:], 0.0).sum()) * problem.dt_h


def _rule(total: float, parts: Mapping[str, float]) -> str:
    """Name what costs most of the difference."""
    if abs(total) < 0.02:
        return "no_difference"
    if total < 0.0:
        return "kept_for_stability"
    return max(parts, key=lambda name: parts[name])
