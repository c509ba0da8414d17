"""From problem to verified plan: devices bid, the master prices and chooses, battery and car follow, all is simulated.

The steps are those of docs/planning-problem.md, "How it is solved": prices by column generation, one schedule per
device by a dive and a polish (`plan_search`), the car's power made real, the battery dispatched for the inverter that
is there (where it has modes, schedules are polished once more by what they really do, `intent_sweep`), then everything
simulated and accounted for. The time limit is looked at between steps; of HiGHS's programs only mixed ones have it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pems_optimizer.domain.bidders.car import realise
from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.house_lp import Dispatch, courses_of, expected_course
from pems_optimizer.domain.intent_sweep import run_for_real, sweep
from pems_optimizer.domain.judging import judged_czk
from pems_optimizer.domain.plan_search import Effort, PlanSearch
from pems_optimizer.domain.problem import Floats, PlanningProblem, Scenario
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scoring import Decision, Verified, controlled_load_w

__all__ = ["RESERVE_S", "NoPlan", "Solved", "SolverOptions", "solve"]

RESERVE_S = 0.4
_FEW = 6  # devices: so few are all polished, warm or not
_PEAK_SHARES = (1.0, 0.7, 0.5)  # of the rules' peak, which the running plan's is not above as a rule
_OFFERS_KEPT = 16  # of each device, where several courses are planned for


@dataclass(frozen=True)
class SolverOptions:
    """How hard to try.

    Attributes:
        limit_s: Wall seconds for everything.
        effort: Rounds, grids and sweeps of the search.
    """

    limit_s: float = 5.0
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True)
class Solved:
    """A verified plan.

    Attributes:
        best: The plan.
        rules: The rule plan on the same problem, simulated.
        complete: Whether everything was done before the time was up.
        price_czk_kwh: What one more kWh costs in each slot (T,): the shadow price of energy.
        relaxed: Objective of the relaxed master [CZK]: an estimate of what could be reached at best; None where there
            was no time for one.
        memory: Prices, path and columns for a bound, a question or the next plan.
    """

    best: Verified
    rules: Verified
    complete: bool
    price_czk_kwh: Floats
    relaxed: float | None
    memory: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class NoPlan:
    """No plan better than the rules was found in time."""

    rules: Verified
    why: str


def _car_power(search: PlanSearch, done: Dispatch) -> tuple[Floats, Dispatch]:
    """Make the car's relaxed power real, and solve again with it."""
    problem, lp = search.problem, search.market.lp
    if problem.ev is None:
        return np.zeros(problem.slots), done
    others = controlled_load_w(problem, search.decision(np.zeros(problem.slots)))
    most = problem.grid.import_max_w + problem.pv_w - others
    # The relaxed wish, what it does in the cheapest slots, and in few: the best of them by the whole house.
    price = done.prices.car
    wishes = [done.ev_w, np.zeros_like(price), np.where(done.ev_w >= problem.ev.power_min_w, done.ev_w, 0.0)]
    tried: list[tuple[float, Floats, Dispatch]] = []
    for wish in wishes:
        power = realise(problem.ev, wish, price, most, problem.dt_h)
        lp.limit_ev(power, power)
        if (found := lp.solve()) is not None:
            tried.append((found.objective, power, found))
    lp.free_ev()
    if not tried:
        return realise(problem.ev, done.ev_w, done.prices.car, most, problem.dt_h), done
    _, ev_w, found = min(tried, key=lambda one: one[0])
    return ev_w, found


def _for_real(search: PlanSearch, done: Dispatch) -> tuple[Verified, dict[int, int]]:
    """Return the plan of the offers that are fixed (device: number), and these."""
    ev_w, done = _car_power(search, done)
    return run_for_real(search, ev_w, done.flows[0].peak_w), dict(search.market.fixed)


@dataclass(frozen=True)
class _Found:
    """A verified plan, and the search and prices it came from."""

    plan: Verified
    search: PlanSearch
    priced: Dispatch


def _chosen(search: PlanSearch, priced: Dispatch, effort: Effort) -> _Found | None:
    """Choose a schedule for every device and polish it; None where there was no time for one each."""
    dived = search.market.dive(priced, at_once=effort.at_once)
    if dived is None:
        return None
    # The market's battery takes any power: what it gains by polishing may be lost where the inverter has modes.
    battery = search.problem.battery
    modes = len(search.market.lp.courses) == 1 and battery is not None and battery.control == "intents"
    stages = [_for_real(search, dived)] if modes else []
    stages.append(_for_real(search, search.polish(dived, effort)))
    best, choices = min(stages, key=lambda stage: stage[0].cost.total)
    if modes:
        search.market.fix_all(choices)
        for _ in range(effort.intent_sweeps):
            best = sweep(search, best, search.polished(effort))
    return _Found(best, search, priced)


def _on_courses(first: _Found, courses: tuple[Scenario, ...], effort: Effort) -> _Found | None:
    """Search again, on all courses together, beginning with what was found for the expected one."""
    search = first.search.on_courses(courses, first.priced, most=_OFFERS_KEPT)
    search.offer(first.plan.decision)
    priced = search.market.trade(first.priced.prices, effort.course_rounds) or search.market.lp.solve()
    if priced is None:
        return None
    sweeps = min(effort.sweeps, effort.course_sweeps)
    return _chosen(search, priced, replace(effort, at_once=2 * effort.at_once, sweeps=sweeps))


def solve(
    problem: PlanningProblem,
    options: SolverOptions,
    elapsed_s: Callable[[], float],
    *,
    move_on: Callable[[Decision], Decision | None] = lambda _: None,
    warm: Mapping[str, np.ndarray] | None = None,
) -> Solved | NoPlan:
    """Find a plan.

    Args:
        problem: The problem.
        options: How hard to try.
        elapsed_s: Wall seconds since the work began.
        move_on: Gives the running plan's decision on this grid, its tail filled from the decision it gets; None
            where there is none.
        warm: Memory of an earlier plan on the same slots, moved on where time has passed: its schedules are offered
            first, and its prices replace the rough rounds.

    Returns:
        `Solved`, or `NoPlan` with the rule plan where there was no time or nothing better. Where the time is up before
        anything new is found, the running plan is `Solved`, not complete, if it is better than the rules.
    """
    rules = rule_plan(problem)
    running = move_on(rules.decision)
    effort = options.effort

    def left_s() -> float:
        return options.limit_s - RESERVE_S - elapsed_s()

    def out_of_time(before: str) -> Solved | NoPlan:
        why = f"the time limit was reached before {before}"
        if running is None:
            return NoPlan(rules, why)
        tried = (run_decision(problem, running, share * rules.peak_w) for share in _PEAK_SHARES)
        kept = min(tried, key=lambda plan: plan.cost.total)
        if judged_czk(problem, kept) >= judged_czk(problem, rules):
            return NoPlan(rules, why)
        here = {"air_c": kept.path.air_c, "mass_c": kept.path.mass_c}
        here["warmth_czk_k"] = np.zeros_like(problem.rooms.low_c)
        return Solved(kept, rules, False, problem.buy, None, {} if warm is None else {**warm, **here})

    if left_s() <= 0.0:
        return out_of_time("any device had a schedule")
    courses = courses_of(problem)
    search = PlanSearch(problem, left_s, courses=(expected_course(problem),), grid=effort.rough)
    search.offer(rules.decision)
    if running is not None:
        search.offer(running)
    prices = None if warm is None else search.recall(warm)
    if prices is not None:
        polished = 0.5 if len(search.market.bidders) > _FEW else 1.0
        effort = replace(
            effort, rounds=0, fine_rounds=effort.warm_rounds, at_once=2 * effort.at_once, polished=polished
        )
    priced = search.find_prices(effort, prices) or search.market.lp.solve()
    if priced is None:
        return out_of_time("prices were found")
    found = _chosen(search, priced, effort)
    if found is None:
        return out_of_time("every device had a schedule")
    if len(courses) > 1:
        # A plan for all courses is found from the expected one's; by the strategy's own measure it may be no better.
        tried = [found, _on_courses(found, courses, effort)]
        found = min((one for one in tried if one is not None), key=lambda one: judged_czk(problem, one.plan))
    complete = not search.out_of_time()
    if _is_dearer(judged_czk(problem, found.plan), judged_czk(problem, rules)):
        return NoPlan(rules, "the rules were cheaper on this forecast")
    price = found.priced.prices.load / problem.kwh
    return Solved(found.plan, rules, complete, price, found.priced.objective, found.search.memory(found.priced))


def _is_dearer(one: float, other: float) -> bool:
    return one > other + 1e-6 * abs(other)
