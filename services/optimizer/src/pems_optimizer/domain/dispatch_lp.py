"""The relaxed dispatch: battery, PV, EV and grid against a given load, as a linear program in HiGHS.

Built once by arrays and re-solved warm while relays change. Its row duals are the prices at which devices bid:
`price[t]` is what one more W in slot `t` costs, battery and peak included. It is a relaxation (no least dispatch,
no intents); `battery_dp` makes the plan that the inverter can really do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from pems_optimizer.domain.problem import Floats, PlanningProblem

__all__ = ["Dispatch", "DispatchLp", "price_to_run"]


@dataclass(frozen=True)
class Dispatch:
    """A solution of the relaxed dispatch; powers [W] per slot (T,).

    Attributes:
        money: Objective [CZK]: energy, export term, wear, peak, EV shortfall, less the end value of the battery.
        price: Cost of one more W over the slot [CZK] (T,).
        energy_value: Value of one more Wh stored at the end of each slot [CZK/Wh] (T,).
        peak_w: Highest import.
        overload_w: Import above the breaker (T,).
    """

    money: float
    price: Floats
    energy_value: Floats
    import_w: Floats
    export_w: Floats
    curtail_w: Floats
    charge_w: Floats
    discharge_w: Floats
    ev_w: Floats
    overload_w: Floats
    peak_w: float


@dataclass(frozen=True)
class _ByRow:
    """A sparse matrix row by row: row `i` is `index`/`value`[start[i]:start[i + 1]]."""

    start: NDArray[np.int32]
    index: NDArray[np.int32]
    value: Floats


def _by_row(count: int, row: NDArray[np.int64], column: NDArray[np.int64], value: Floats) -> _ByRow:
    """Sort entries, of which no two share row and column, by row."""
    order = np.argsort(row, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=count))])
    return _ByRow(start.astype(np.int32), column[order].astype(np.int32), value[order])


class DispatchLp:
    """The linear program of one problem; `solve(load)` may be called again and again."""

    def __init__(self, problem: PlanningProblem, *, time_left_s: Callable[[], float] | None = None) -> None:
        """Build the arrays.

        Args:
            problem: The problem.
            time_left_s: Tells HiGHS how long it may take; None for no limit.
        """
        self.problem = problem
        self._time_left_s = time_left_s
        self._slots = problem.slots
        self._names = ("import", "export", "curtail", "charge", "discharge", "energy", "ev", "over")
        # The bindings' own types lack the overloads of their C++ side.
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._balance = np.arange(self._slots, dtype=np.int32)
        self._build()

    def _column(self, name: str) -> slice:
        k = self._names.index(name)
        return slice(k * self._slots, (k + 1) * self._slots)

    def _build(self) -> None:
        p, n, kwh = self.problem, self._slots, self.problem.kwh
        w, battery, ev = p.weights, p.battery, p.ev
        columns = len(self._names) * n + 2
        self._peak, self._short = columns - 2, columns - 1
        lower, upper, cost = np.zeros(columns), np.full(columns, np.inf), np.zeros(columns)
        col = self._column
        cost[col("import")] = p.buy * kwh
        upper[col("import")] = p.grid.import_max_w
        cost[col("over")] = (p.buy + w.overload_czk_kwh) * kwh
        cost[col("export")] = (w.export_czk_kwh - p.sell) * kwh
        upper[col("export")] = p.grid.export_max_w
        cost[col("curtail")] = w.export_czk_kwh * kwh
        upper[col("curtail")] = p.pv_w if p.grid.pv_curtailable else np.maximum(p.pv_w - p.grid.inverter_max_w, 0.0)
        cost[self._peak] = w.peak_czk_kw / 1000.0
        if battery is None:
            upper[col("charge")] = upper[col("discharge")] = upper[col("energy")] = 0.0
        else:
            upper[col("charge")] = battery.charge_max_w
            upper[col("discharge")] = battery.discharge_max_w
            cost[col("discharge")] = battery.wear_czk_kwh * kwh
            energy = np.arange(n)[None, :] + col("energy").start
            lower[energy] = min(battery.min_wh, battery.energy_wh)
            upper[energy] = max(battery.max_wh, battery.energy_wh)
            cost[energy[0, -1]] = -battery.end_value_czk_wh
        if ev is None:
            upper[col("ev")] = 0.0
            upper[self._short] = 0.0
        else:
            ev_upper = np.where(np.arange(n) < ev.deadline, ev.power_max_w, 0.0)
            ev_upper[: len(ev.forced_w)] = ev.forced_w
            upper[col("ev")] = ev_upper
            lower[col("ev").start + np.arange(len(ev.forced_w))] = ev.forced_w
            cost[self._short] = ev.short_czk_kwh / 1000.0
        self._ev_bounds = np.arange(n, dtype=np.int32) + col("ev").start
        matrix, row_lower, row_upper = self._rows()
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = columns, len(row_lower)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, lower, upper
        lp.row_lower_, lp.row_upper_ = row_lower, row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.start, matrix.index, matrix.value
        self._highs.passModel(lp)
        self._ready = False

    def _rows(self) -> tuple[_ByRow, Floats, Floats]:
        """Balance, energy, peak, EV-not-from-battery, EV energy, in this order; with lower and upper bounds."""
        p, n, battery, ev = self.problem, self._slots, self.problem.battery, self.problem.ev
        at = {name: np.arange(n) + self._column(name).start for name in self._names}
        rows, cols, data = [], [], []

        def put(first_row: int, name: str, value: float, shift: int = 0) -> None:
            rows.append(np.arange(n - shift) + first_row + shift)
            cols.append(at[name][: n - shift])
            data.append(np.full(n - shift, value))

        for name, sign in (
            ("import", 1.0),
            ("over", 1.0),
            ("export", -1.0),
            ("curtail", -1.0),
            ("charge", -1.0),
            ("discharge", 1.0),
            ("ev", -1.0),
        ):
            put(0, name, sign)
        into = 1.0 if battery is None else battery.charge_efficiency
        out = 1.0 if battery is None else battery.discharge_efficiency
        put(n, "energy", 1.0)
        put(n, "energy", -1.0, shift=1)
        put(n, "charge", -into * p.dt_h)
        put(n, "discharge", p.dt_h / out)
        put(2 * n, "import", -1.0)
        put(2 * n, "over", -1.0)
        rows.append(np.arange(n) + 2 * n)
        cols.append(np.full(n, self._peak))
        data.append(np.ones(n))
        put(3 * n, "import", 1.0)
        put(3 * n, "over", 1.0)
        put(3 * n, "curtail", -1.0)
        put(3 * n, "ev", -1.0)
        rows.append(np.full(n + 1, 4 * n))
        cols.append(np.concatenate([at["ev"], [self._short]]))
        data.append(np.concatenate([np.full(n, p.dt_h), [1.0]]))
        matrix = _by_row(4 * n + 1, np.concatenate(rows), np.concatenate(cols), np.concatenate(data))
        start = np.zeros(n)
        if battery is not None:
            start[0] = battery.energy_wh
        need = 0.0 if ev is None else ev.need_wh
        row_lower = np.concatenate([np.zeros(n), start, np.zeros(n), -p.pv_w, [need]])
        row_upper = np.concatenate([np.zeros(n), start, np.full(n, np.inf), np.full(n, np.inf), [np.inf]])
        return matrix, row_lower, row_upper

    def limit_ev(self, lower_w: Floats, upper_w: Floats) -> None:
        """Narrow the EV's power per slot (T,) [W]."""
        self._highs.changeColsBounds(self._slots, self._ev_bounds, lower_w, upper_w)

    def solve(self, load_w: Floats) -> Dispatch | None:
        """Solve against a load (T,) [W], EV and battery excluded.

        Returns:
            The dispatch, or None where HiGHS ran out of time or found nothing.
        """
        rhs = load_w - self.problem.pv_w
        self._highs.changeRowsBounds(self._slots, self._balance, rhs, rhs)
        if self._time_left_s is not None:
            # HiGHS counts its run time over all calls.
            left = max(0.05, self._time_left_s())
            self._highs.setOptionValue("time_limit", self._highs.getRunTime() + left)
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = self._highs.getSolution()
        x = np.asarray(solution.col_value)
        duals = np.asarray(solution.row_dual)
        n, col = self._slots, self._column
        return Dispatch(
            money=float(self._highs.getInfo().objective_function_value),
            price=duals[:n],
            # Row: energy[t] - energy[t-1] - ... = 0; one more Wh on the right side comes for nothing.
            energy_value=-duals[n : 2 * n],
            import_w=x[col("import")],
            export_w=x[col("export")],
            curtail_w=x[col("curtail")],
            charge_w=x[col("charge")],
            discharge_w=x[col("discharge")],
            ev_w=x[col("ev")],
            overload_w=x[col("over")],
            peak_w=float(x[self._peak]),
        )


def price_to_run(problem: PlanningProblem, dispatch: Dispatch, power_w: float, *, peak_share: float = 0.05) -> Floats:
    """Return what running a device of `power_w` costs in each slot [CZK] (T,), given the dispatch without it.

    The dual holds for the first W only. Beyond the slot's surplus or the battery's headroom the next price is
    import (or what the battery's energy is worth elsewhere); beyond the peak so far a share of the peak price, and
    beyond the breaker a wall. Without this, devices of some kW herd into slots where only some W are cheap.

    Args:
        problem: The problem.
        dispatch: Its relaxed dispatch without the device.
        power_w: Power of the device.
        peak_share: Share of the peak price that each slot above the peak so far counts.
    """
    kwh, w, battery = problem.kwh, problem.weights, problem.battery
    buy = problem.buy * kwh
    price = dispatch.price
    surplus = dispatch.export_w + dispatch.curtail_w
    next_price = np.maximum(buy, price)
    room = np.full(problem.slots, np.inf)
    if battery is not None:
        spare = np.maximum(battery.discharge_max_w - dispatch.discharge_w, 0.0) + dispatch.charge_w
        worth = dispatch.energy_value * problem.dt_h / battery.discharge_efficiency + battery.wear_czk_kwh * kwh
        held = np.where(spare > 0.3 * power_w, np.minimum(next_price, np.maximum(worth, price)), next_price)
        room = np.where(price < buy - 1e-12, spare, room)
        next_price = np.where(surplus > 1.0, held, next_price)
    room = np.where(surplus > 1.0, surplus, room)
    first = np.minimum(power_w, room)
    cost = price * first + next_price * (power_w - first)
    over_peak = np.maximum(dispatch.import_w + power_w - np.maximum(dispatch.peak_w, 0.0), 0.0)
    binding = dispatch.import_w > dispatch.peak_w - 1.0  # there the dual holds the peak already
    cost = cost + np.where(binding, 0.0, peak_share * w.peak_czk_kw / 1000.0 * np.minimum(over_peak, power_w))
    above = np.maximum(dispatch.import_w + dispatch.overload_w + power_w - problem.grid.import_max_w, 0.0)
    return np.asarray(cost + w.overload_czk_kwh * kwh * np.minimum(above, power_w), dtype=np.float64)
