"""The house as a linear program: battery, PV, car and grid in each course of the days, and the devices' columns.

It is the *master* of the decomposition: each device offers schedules (columns), the program mixes them, and its row
duals are the prices at which the devices bid again. With every device fixed it is the relaxed dispatch. Battery
intents and the car's least power are relaxed here, so its value bounds the true one from below. Rules: B, V, G, U and
D of docs/planning-problem.md. Dantzig and Wolfe 1960, doi:10.1287/opre.8.1.101.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import ArrayLike

from pems_optimizer.domain.battery_lp import battery_columns, battery_rows, keep_inside, leaves_limits
from pems_optimizer.domain.lp_arrays import Indices, LpArrays
from pems_optimizer.domain.problem import EvSpec, Floats, PlanningProblem, Scenario

__all__ = ["Dispatch", "Flow", "HouseLp", "Prices", "courses_of", "expected_course"]

_MISSING_CZK = 1e6  # for a device without any column yet
_TINY_W = 1e-3
_MIXED_S = 1.0  # wall seconds for the mixed programs of a problem: the best answer by then serves
_ITERATIONS = 1_000  # of a linear program at a time; one of several courses takes some thousands, others hundreds
_MOST_TURNS = 200  # should it go in circles
_FEASIBLE = 2  # HiGHS's name of a feasible primal solution
_DUAL, _PRIMAL = 1, 4  # HiGHS's names of its strategies
_KW = 1e-3  # inside the program powers are kW and energies kWh: in W HiGHS took five times as long


@dataclass(frozen=True)
class Flow:
    """Relaxed flows of one course [W] per slot (T,)."""

    import_w: Floats  # breaker overload included
    export_w: Floats
    curtail_w: Floats
    charge_w: Floats
    discharge_w: Floats
    energy_wh: Floats
    peak_w: float


@dataclass(frozen=True)
class Prices:
    """Duals: what one more W over a slot costs [CZK] (T,).

    Attributes:
        load: For any load.
        heat: On top of it for relays, where all heating together is at its limit.
        car: For the car, which may not draw from the house battery.
        device: Dual of each device's convexity row (D,).
    """

    load: Floats
    heat: Floats
    car: Floats
    device: Floats


@dataclass(frozen=True)
class Dispatch:
    """A solution: objective [CZK], duals, flows of each course, car power [W] (T,), weights of the columns."""

    objective: float
    prices: Prices
    flows: tuple[Flow, ...]
    ev_w: Floats
    weights: Floats


def _car_bounds_w(ev: EvSpec, slots: int) -> tuple[Floats, Floats]:
    """Return the least and the most power of the car per slot [W]."""
    lower, upper = np.zeros(slots), np.where(np.arange(slots) < ev.deadline, ev.power_max_w, 0.0)
    lower[: len(ev.forced_w)] = upper[: len(ev.forced_w)] = ev.forced_w[:slots]
    return lower, upper


def courses_of(problem: PlanningProblem) -> tuple[Scenario, ...]:
    """Return the courses of the days that a plan counts with: one, or the scenarios."""
    known = problem.uncertainty
    if known.strategy == "point" or not known.scenarios:
        return (expected_course(problem),)
    return known.scenarios


def expected_course(problem: PlanningProblem) -> Scenario:
    """Return the expected course alone."""
    return Scenario("expected", 1.0, problem.pv_w, problem.load_w, problem.buy, problem.sell)


@dataclass(frozen=True)
class _Course:
    """Columns and rows of one course."""

    flow: dict[str, Indices]
    peak: int
    balance: Indices
    car: Indices
    cost_columns: Indices
    cost: Floats


class HouseLp:
    """The program of one problem. Loads, columns and bounds change; HiGHS goes on from its last basis."""

    def __init__(
        self,
        problem: PlanningProblem,
        devices: int = 0,
        *,
        courses: Sequence[Scenario] | None = None,
        time_left_s: Callable[[], float] | None = None,
    ) -> None:
        """Build the arrays.

        Args:
            problem: The problem.
            devices: Number of devices that will offer columns.
            courses: Courses of the days; those of the problem where None.
            time_left_s: Tells how long it may take; None for no limit. Linear programs are asked to stop between
                turns of some iterations, never by the clock, so that a plan that was cut short comes again.
        """
        self.problem, self._time_left_s = problem, time_left_s
        self.hurried = False
        self.courses = tuple(courses_of(problem) if courses is None else courses)
        # The bindings' own types lack the overloads of their C++ side.
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in (
            ("output_flag", False),
            ("threads", 1),
            ("presolve", "off"),
            ("mip_rel_gap", 1e-6),
            ("simplex_scale_strategy", 0),
            ("simplex_iteration_limit", _ITERATIONS),
        ):
            self._highs.setOptionValue(option, value)
        lp = LpArrays()
        n, ev = problem.slots, problem.ev
        # The car is the same in all courses: it is decided before they part.
        self._ev = self._short = np.empty(0, dtype=np.int64)
        if ev is not None:
            lower, upper = _car_bounds_w(ev, n)
            self._ev = lp.add_columns(n, lower=_KW * lower, upper=_KW * upper)
            self._short = lp.add_columns(1, cost=ev.short_czk_kwh)
            lp.add_sum(
                np.concatenate([self._ev, self._short]),
                np.concatenate([np.full(n, problem.dt_h), [1.0]]),
                lower=_KW * ev.need_wh,
            )
        self._courses = [self._add_course(lp, course) for course in self.courses]
        self._heat_rows = np.empty(0, dtype=np.int64)
        limit = problem.grid.heating_max_w
        if devices and problem.rooms.heater_w.sum() > limit:
            over = lp.add_columns(n, cost=problem.weights.overload_czk_kwh * problem.dt_h)
            self._heat_rows = lp.add_rows(n, [(over, -1.0)], upper=_KW * limit)
        self._add_shared(lp)
        self._add_risk(lp)
        missing = lp.add_columns(devices, cost=_MISSING_CZK)
        self._device_rows = lp.add_rows(devices, [(missing, 1.0)], lower=1.0, upper=1.0)
        lp.pass_to(self._highs)
        self._first_column = lp.columns
        self.column_device: list[int] = []

    # --- building -----------------------------------------------------------------------------

    def _add_course(self, lp: LpArrays, course: Scenario) -> _Course:
        p, n, dt = self.problem, self.problem.slots, self.problem.dt_h
        w, battery, grid, risk = p.weights, p.battery, p.grid, p.uncertainty
        expected = 0.0 if risk.strategy == "robust" and len(self.courses) > 1 else 1.0 - risk.cvar_share
        share = course.probability * expected if len(self.courses) > 1 else 1.0
        first = lp.columns
        costs: list[Floats] = []

        def add(count: int, cost: Floats | float = 0.0, lower: Floats | float = 0.0, upper: Any = np.inf) -> Indices:
            full = np.broadcast_to(np.asarray(cost, dtype=np.float64), (count,))
            costs.append(full)
            return lp.add_columns(count, lower=lower, upper=upper, cost=share * full)

        flow = {
            "import": add(n, course.buy * dt, upper=_KW * grid.import_max_w),
            "over": add(n, (course.buy + w.overload_czk_kwh) * dt),
            # Where PV cannot be held back there is no means to keep the limit (G3).
            "export": add(n, (w.export_czk_kwh - course.sell) * dt, upper=_KW * grid.export_max_w)
            if grid.pv_curtailable
            else add(n, (w.export_czk_kwh - course.sell) * dt),
        }
        # An inverter that can be switched off takes the roofs with it (I6), whether or not they can be held back.
        can_be_off = battery is not None and battery.can_be_off(np.minimum(p.buy, course.buy))
        all_of_it = grid.pv_curtailable or can_be_off
        held_back = course.pv_w if all_of_it else np.maximum(course.pv_w - grid.inverter_max_w, 0.0)
        flow["curtail"] = add(n, w.export_czk_kwh * dt, upper=_KW * held_back)
        flow |= battery_columns(p, add)
        peak = add(1, w.peak_czk_kw)
        signs = (("import", 1.0), ("over", 1.0), ("export", -1.0), ("curtail", -1.0), ("charge", -1.0))
        terms = [(flow[name], sign) for name, sign in signs] + [(flow["discharge"], 1.0)]
        if len(self._ev):
            terms.append((self._ev, -1.0))
        need = _KW * (course.load_w - course.pv_w)
        balance = lp.add_rows(n, terms, lower=need, upper=need)
        lp.add_rows(
            n,
            [(np.full(n, peak[0]), 1.0), (flow["import"], -1.0), (flow["over"], -1.0)],
            lower=-_KW * grid.peak_so_far_w,
        )
        if battery is not None:
            battery_rows(lp, p, course.pv_w, flow, add)
        car = np.empty(0, dtype=np.int64)
        if len(self._ev):
            drawn = [(flow["import"], 1.0), (flow["over"], 1.0), (flow["curtail"], -1.0), (self._ev, -1.0)]
            least = -_KW * course.pv_w
            if battery is not None and battery.control == "intents":
                least[: battery.forced] = -np.inf  # a forced intent may feed the car (I8)
            car = lp.add_rows(n, drawn, lower=least)
        if np.any(course.sell - w.export_czk_kwh > course.buy):
            # Where selling pays more than buying costs, only what PV and battery give can be sold.
            given = [(flow["export"], -1.0), (flow["curtail"], -1.0), (flow["discharge"], 1.0)]
            lp.add_rows(n, given, lower=-_KW * course.pv_w)
        columns = np.arange(first, lp.columns)
        return _Course(flow, int(peak[0]), balance, car, columns, np.concatenate(costs))

    def _add_shared(self, lp: LpArrays) -> None:
        """In the first slots battery and PV do the same in all courses."""
        shared = min(self.problem.uncertainty.shared_slots, self.problem.slots)
        if len(self._courses) < 2 or self.problem.battery is None or shared <= 0:
            return
        one = self._courses[0].flow
        for course in self._courses[1:]:
            for name in ("charge", "discharge"):
                lp.add_rows(
                    shared, [(course.flow[name][:shared], 1.0), (one[name][:shared], -1.0)], lower=0.0, upper=0.0
                )

    def _add_risk(self, lp: LpArrays) -> None:
        """The worst course (robust), or the mean of the worst tail (CVaR; Rockafellar and Uryasev 2000)."""
        risk = self.problem.uncertainty
        if len(self._courses) < 2 or (risk.strategy != "robust" and risk.cvar_share <= 0.0):
            return
        robust = risk.strategy == "robust"
        level = lp.add_columns(1, lower=-np.inf, cost=1.0 if robust else risk.cvar_share)
        for course, given in zip(self._courses, self.courses, strict=True):
            columns, factors = [level, course.cost_columns], [np.ones(1), -course.cost]
            if not robust:
                beyond = risk.cvar_share * given.probability / risk.cvar_tail
                columns.append(lp.add_columns(1, cost=beyond))
                factors.append(np.ones(1))
            lp.add_sum(np.concatenate(columns), np.concatenate(factors), lower=0.0)

    # --- changing -----------------------------------------------------------------------------

    def add_column(self, device: int, power_w: Floats, own_czk: float, *, heats: bool) -> int:
        """Offer a schedule of a device: its power (T,), and what it costs the device itself. Returns its number."""
        on = np.flatnonzero(np.abs(power_w) > _TINY_W)
        rows = [course.balance[on] for course in self._courses]
        factors = [-_KW * power_w[on]] * len(rows)
        if heats and len(self._heat_rows):
            rows.append(self._heat_rows[on])
            factors.append(_KW * power_w[on])
        rows.append(self._device_rows[device : device + 1])
        factors.append(np.ones(1))
        index, value = np.concatenate(rows).astype(np.int32), np.concatenate(factors)
        self._highs.addCol(own_czk, 0.0, np.inf, len(index), index, value)
        self.column_device.append(device)
        return len(self.column_device) - 1

    def change_column_cost(self, column: int, own_czk: float) -> None:
        """Give a column another cost."""
        self._highs.changeColCost(self._first_column + column, own_czk)

    def limit_columns(self, columns: Indices, upper: ArrayLike) -> None:
        """Bound the weight of columns: 0 forbids, inf frees."""
        at = (self._first_column + columns).astype(np.int32)
        bounds = np.broadcast_to(np.asarray(upper, dtype=np.float64), at.shape).copy()
        self._highs.changeColsBounds(len(at), at, np.zeros(len(at)), bounds)

    def limit_ev(self, lower_w: Floats, upper_w: Floats) -> None:
        """Narrow the car's power per slot (T,) [W]."""
        if len(self._ev):
            self._highs.changeColsBounds(len(self._ev), self._ev.astype(np.int32), _KW * lower_w, _KW * upper_w)

    def free_ev(self) -> None:
        """Let the car have any power again that the problem allows."""
        if self.problem.ev is not None:
            self.limit_ev(*_car_bounds_w(self.problem.ev, self.problem.slots))

    def limit_battery(self, slot: int, intent: str) -> None:
        """Let the battery charge or discharge with at least half its power in a slot, or rest in it."""
        battery = self.problem.battery
        if battery is None or intent == "self_consume":
            return
        for name, most, wanted in (
            ("charge", battery.charge_max_w, "charge_from_grid"),
            ("discharge", battery.discharge_max_w, "discharge_to_grid"),
        ):
            lower, upper = (0.5 * most, most) if intent == wanted else (0.0, 0.0)
            for course in self._courses:
                self._highs.changeColBounds(int(course.flow[name][slot]), _KW * lower, _KW * upper)

    def set_load(self, load_w: Sequence[Floats]) -> None:
        """Set the load of each course (T,) [W], battery and car excluded."""
        for course, given, load in zip(self._courses, self.courses, load_w, strict=True):
            need = _KW * (load - given.pv_w)
            self._highs.changeRowsBounds(len(need), course.balance.astype(np.int32), need, need)

    def expect_columns(self, coming: bool) -> None:
        """Tell whether columns come (primal simplex goes on from the last basis) or bounds change (dual does)."""
        self._highs.setOptionValue("simplex_strategy", _PRIMAL if coming else _DUAL)

    # --- solving ------------------------------------------------------------------------------

    def solve(self) -> Dispatch | None:
        """Solve from the last basis.

        Returns:
            The solution, or None where HiGHS ran out of time or found nothing.
        """
        if not self._run():
            return None
        solution = self._highs.getSolution()
        x, duals = np.asarray(solution.col_value), np.asarray(solution.row_dual)
        load = np.sum([duals[course.balance] for course in self._courses], axis=0)
        heat = -duals[self._heat_rows] if len(self._heat_rows) else np.zeros_like(load)
        car = load + np.sum([duals[c.car] if len(c.car) else 0.0 * load for c in self._courses], axis=0)
        prices = Prices(_KW * load, _KW * np.maximum(heat, 0.0), _KW * car, duals[self._device_rows])
        objective = float(self._highs.getInfo().objective_function_value)
        ev_w = x[self._ev] / _KW if len(self._ev) else np.zeros_like(load)
        return Dispatch(objective, prices, tuple(map(self._flow(x), self._courses)), ev_w, x[self._first_column :])

    def solve_physical(self, rounds: int = 4) -> Dispatch | None:
        """Solve so that nothing is charged and discharged, or imported and exported, at once (rules B4, G4).

        The program does so by itself but where prices are negative or selling pays more than buying costs; only in
        those slots binaries are added. A battery outside its limits does not go further out (B3): where that would
        pay, binaries say so. Columns stay continuous: fix them first. Where the time was too short for the best answer,
        `hurried` is true afterwards.
        """
        done, kept_inside = self.solve(), False
        began_s = self._highs.getRunTime()
        for number in range(rounds):
            if done is None:
                return None
            pairs, leaves = self._at_once(done), self._leaves_limits(done)
            if not pairs and not leaves:
                return done
            if leaves and not kept_inside:
                for course in self._courses:
                    keep_inside(self._highs, self.problem, course.flow)
                kept_inside = True
            if number == rounds - 1:
                pairs = self._at_once(done, above_w=-1.0)  # it goes from slot to slot: everywhere
            for first, second, top in pairs:
                self._exclude(first, second, top)
            done = self._solve_mip(_MIXED_S - (self._highs.getRunTime() - began_s))
        if done is None or self._leaves_limits(done):
            return None
        if any(np.minimum(flow.charge_w, flow.discharge_w).max() > 1.0 for flow in done.flows):
            return None
        return done  # importing and exporting at once comes out as the difference

    def _run(self) -> bool:
        for _ in range(_MOST_TURNS):
            self._highs.run()
            status = self._highs.getModelStatus()
            if status != highspy.HighsModelStatus.kIterationLimit:
                return bool(status == highspy.HighsModelStatus.kOptimal)
            if self._time_left_s is not None and self._time_left_s() <= 0.0:
                return False
        return False

    def _solve_mip(self, left_s: float) -> Dispatch | None:
        """Solve with the binaries; a mixed program has no duals, so prices are zero.

        With presolve: without it HiGHS 1.15 called answers optimal that were not. Its best when the time is up serves.
        """
        left = left_s if self._time_left_s is None else min(left_s, self._time_left_s())
        self._highs.setOptionValue("presolve", "on")
        self._highs.setOptionValue("simplex_iteration_limit", _MOST_TURNS * _ITERATIONS)
        # Unlike the simplex a mixed program counts its own time only (measured with HiGHS 1.15).
        self._highs.setOptionValue("time_limit", max(0.05, left))
        self._highs.run()
        self._highs.setOptionValue("presolve", "off")
        self._highs.setOptionValue("simplex_iteration_limit", _ITERATIONS)
        self._highs.setOptionValue("time_limit", float("inf"))
        self.hurried = self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal
        if self._highs.getInfo().primal_solution_status != _FEASIBLE:
            return None
        x = np.asarray(self._highs.getSolution().col_value)
        zero = np.zeros(self.problem.slots)
        prices = Prices(zero, zero, zero, np.zeros(len(self._device_rows)))
        ev_w = x[self._ev] / _KW if len(self._ev) else zero
        objective = float(self._highs.getInfo().objective_function_value)
        weights = x[self._first_column : self._first_column + len(self.column_device)]
        return Dispatch(objective, prices, tuple(map(self._flow(x), self._courses)), ev_w, weights)

    def _flow(self, x: Floats) -> Callable[[_Course], Flow]:
        def read(course: _Course) -> Flow:
            at = {name: np.maximum(x[index], 0.0) / _KW for name, index in course.flow.items()}
            return Flow(
                import_w=at["import"] + at["over"],
                export_w=at["export"],
                curtail_w=at["curtail"],
                charge_w=at["charge"],
                discharge_w=at["discharge"],
                energy_wh=at["energy"],
                peak_w=float(x[course.peak]) / _KW + self.problem.grid.peak_so_far_w,
            )

        return read

    def _leaves_limits(self, done: Dispatch) -> bool:
        battery = self.problem.battery
        return battery is not None and any(
            leaves_limits(battery, flow.charge_w, flow.discharge_w, flow.energy_wh) for flow in done.flows
        )

    def _at_once(self, done: Dispatch, *, above_w: float = 1.0) -> list[tuple[int, int, float]]:
        """Pairs of columns that are both in use, with a bound on either."""
        pairs: list[tuple[int, int, float]] = []
        grid, battery = self.problem.grid, self.problem.battery
        given_w = 0.0 if battery is None else battery.discharge_max_w
        for course, known, flow in zip(self._courses, self.courses, done.flows, strict=True):
            for name, other, one, two in (
                ("charge", "discharge", flow.charge_w, flow.discharge_w),
                ("import", "export", flow.import_w, flow.export_w),
            ):
                top = grid.import_max_w + float(known.pv_w.max()) + given_w
                if name == "charge" and battery is not None:
                    top = battery.charge_max_w + battery.discharge_max_w
                for t in np.flatnonzero(np.minimum(one, two) > above_w).tolist():
                    pairs.append((int(course.flow[name][t]), int(course.flow[other][t]), top))
        return pairs

    def _exclude(self, first: int, second: int, top: float) -> None:
        """Let only one of two columns be above zero."""
        self._highs.addCol(0.0, 0.0, 1.0, 0, np.empty(0, np.int32), np.empty(0))
        choice = self._highs.getNumCol() - 1
        self._highs.changeColIntegrality(choice, highspy.HighsVarType.kInteger)
        self._highs.addRow(-np.inf, 0.0, 2, np.array([first, choice], np.int32), np.array([1.0, -_KW * top]))
        self._highs.addRow(-np.inf, _KW * top, 2, np.array([second, choice], np.int32), np.array([1.0, _KW * top]))
