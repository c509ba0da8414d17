"""The shared problem as PEMS has it, solved and timed: building it is part of the time, as it is for EMHASS."""

import time

import numpy as np
from benchmarks.emhass.case import SLOTS, STEP, Day, House, Load
from benchmarks.emhass.simulator import Schedule

from pems_optimizer.domain.problem import ApplianceSpec, BatterySpec, GridSpec, PlanningProblem, RoomSet, Weights
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve

__all__ = ["plan_ours", "problem_of"]

_LIMIT_S = 45.0  # as EMHASS has it
_NO_LIMIT_W = 1e6


def _no_rooms() -> RoomSet:
    none, table, square = np.empty(0), np.empty((SLOTS, 0)), np.empty((0, 0))
    return RoomSet(
        names=(),
        heater_w=none,
        a=np.empty((0, 2, 2)),
        b_air=np.empty((0, 2)),
        b_mass=np.empty((0, 2)),
        outward_w_k=none,
        coupling_w_k=square,
        joint_a=square,
        joint_b=square,
        heat_to_mass=none,
        capacity_wh_k=np.empty((0, 2)),
        air_c=none,
        mass_c=none,
        air_input_w=table,
        low_c=table,
        high_c=table,
        band_low_c=table,
        band_high_c=table,
        target_c=table,
        priority=none,
        relay_on=np.empty(0, dtype=np.bool_),
        slots_in_state=np.empty(0, dtype=np.int64),
        forced=np.empty(0, dtype=np.int64),
        forced_on=np.empty((SLOTS, 0), dtype=np.bool_),
        min_on=1,
        min_off=1,
        starts_max=np.empty(0, dtype=np.int64),
        end_reference_c=none,
        end_value_czk_k=none,
        end_bonus_czk_k=none,
    )


def problem_of(day: Day, house: House, loads: tuple[Load, ...]) -> PlanningProblem:
    """Return a day as a planning problem: pure money, no rooms."""
    return PlanningProblem(
        start=day.start,
        slots=SLOTS,
        frozen=0,
        pv_w=day.pv_w,
        load_w=day.load_w,
        buy=day.buy,
        sell=day.sell,
        outdoor_c=np.zeros(SLOTS),
        cheap=np.zeros(SLOTS, dtype=np.bool_),
        heating_season=False,
        rooms=_no_rooms(),
        battery=BatterySpec(
            capacity_wh=house.capacity_wh,
            energy_wh=house.start_wh,
            min_wh=house.min_wh,
            max_wh=house.max_wh,
            charge_max_w=house.battery_max_w,
            discharge_max_w=house.battery_max_w,
            dispatch_min_w=0.0,
            charge_efficiency=house.efficiency,
            discharge_efficiency=house.efficiency,
            wear_czk_kwh=0.0,
            end_value_czk_wh=house.end_value_share * float(day.buy[-1]) / 1000.0,
            control="setpoint",
        ),
        ev=None,
        water=None,
        grid=GridSpec(
            import_max_w=house.import_max_w,
            export_max_w=house.export_max_w,
            heating_max_w=_NO_LIMIT_W,
            inverter_max_w=_NO_LIMIT_W,
            pv_curtailable=True,
        ),
        weights=Weights(profile="economic", export_czk_kwh=0.0, peak_czk_kw=0.0, start_czk=0.0, intent_czk=0.0),
        step=STEP,
        appliances=tuple(
            ApplianceSpec(
                name=f"machine-{k}",
                power_w=load.power_w,
                run_slots=load.run_slots,
                earliest=load.earliest,
                deadline=load.deadline,
                interruptible=not load.one_piece,
            )
            for k, load in enumerate(loads)
        ),
    )


def plan_ours(day: Day, house: House, loads: tuple[Load, ...]) -> tuple[Schedule, float, float, str]:
    """Plan a day; returns the schedule, wall and CPU seconds, and a status."""
    wall, cpu = time.perf_counter(), time.process_time()
    problem = problem_of(day, house, loads)
    outcome = solve(problem, SolverOptions(_LIMIT_S), lambda: time.perf_counter() - wall)
    plan = outcome.best if isinstance(outcome, Solved) else outcome.rules
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    on = np.array(plan.decision.appliances, dtype=np.bool_).reshape(len(loads), SLOTS)
    status = "rules: " + outcome.why if isinstance(outcome, NoPlan) else "solved" if outcome.complete else "incomplete"
    return Schedule(on, plan.flow.battery_w), wall_s, cpu_s, status
