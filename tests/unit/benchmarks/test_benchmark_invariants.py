"""The benchmark of invariants: its problems are the same each time, and what looks at plans sees what is wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.invariants import __main__ as bench
from benchmarks.invariants.check_devices import device_faults
from benchmarks.invariants.check_flow import flow_faults
from benchmarks.invariants.judge import Finding, judge, plan_faults
from benchmarks.invariants.random_house import FAMILIES, random_problem
from tests.unit.optimizer.reference_cases import appliance, battery, car, rooms, tank, toy

from pems_optimizer.domain.solving import Solved, SolverOptions, solve

SLOTS = 8


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_problem(family):
    one, same, other = (random_problem(family, seed) for seed in (3, 3, 4))
    for name in ("pv_w", "load_w", "buy", "sell"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
    assert one.rooms.names == same.rooms.names
    assert str(one.battery) == str(same.battery)
    assert not np.array_equal(one.load_w, other.load_w)
    assert one.load_w.shape == (one.slots,)


def test_families_are_what_they_are_called():
    for seed in range(20):
        assert random_problem("negative_prices", seed).buy.min() < 0.0
        assert not random_problem("no_pv", seed).pv_w.any()
        assert random_problem("no_battery", seed).battery is None
        assert random_problem("one_room", seed).rooms.count == 1
        assert random_problem("thirty_rooms", seed).rooms.count == 30
        outside = random_problem("soc_outside", seed).battery
        assert not outside.min_wh <= outside.energy_wh <= outside.max_wh
        cold, hot = (random_problem(family, seed).rooms for family in ("cold_rooms", "hot_rooms"))
        assert (cold.air_c < cold.low_c[0]).all()
        assert (hot.air_c > hot.low_c[0]).all()
    days = [random_problem("clock_change", seed) for seed in range(6)]
    assert {day.start.month for day in days} <= {3, 10}
    assert {random_problem("missing_prices", seed).slots for seed in range(6)} <= {96, 97, 98, 192, 193, 194}


@pytest.fixture(scope="module")
def planned():
    problem = toy(
        SLOTS, buy=[3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0], sell=0.5, load=700.0, pv=[0, 0, 2500, 2500, 0, 0, 0, 0],
        heated=rooms(SLOTS, 2, low=20.0, high=21.0, start=20.5, air_in_w=-400.0, min_on=2, min_off=2),
        water=tank(SLOTS, low=48.0, drain_w=400.0), ev=car(4000.0, 6), appliances=(appliance(2, 6),),
        battery=battery(energy_wh=4000.0, charge_efficiency=0.9, wear_czk_kwh=0.1),
    )  # fmt: skip
    outcome = solve(problem, SolverOptions(limit_s=60.0), lambda: 0.0)
    assert isinstance(outcome, Solved)
    assert plan_faults(problem, outcome.best) == []
    return problem, outcome.best


def rules_broken(faults):
    return {fault.split(":")[0].split(" ")[0].rstrip(",") for fault in faults}


def with_decision(plan, **change):
    return replace(plan, decision=replace(plan.decision, **change))


def with_flow(plan, **change):
    return replace(plan, flow=replace(plan.flow, **change))


def test_switching_too_soon_or_too_often_and_wrong_temperatures_are_seen(planned):
    problem, plan = planned
    on = np.zeros((SLOTS, 2), dtype=bool)
    on[2, 0] = on[5:7, 1] = True
    assert rules_broken(device_faults(problem, with_decision(plan, relay_on=on))) == {"R4", "R1"}
    on = np.tile([[True], [True], [False], [False]], (2, 2))
    few = replace(problem, rooms=replace(problem.rooms, starts_max=np.ones(2, dtype=int)))
    assert "R7" in rules_broken(device_faults(few, with_decision(plan, relay_on=on)))
    forced = replace(problem, rooms=replace(problem.rooms, forced=np.array([3, 3]), forced_on=~plan.decision.relay_on))
    assert "R3" in rules_broken(device_faults(forced, plan))
    warmer = replace(plan, path=replace(plan.path, air_c=plan.path.air_c + 1e-5))
    assert rules_broken(device_faults(problem, warmer)) == {"R1"}
    assert rules_broken(device_faults(problem, replace(plan, water_c=plan.water_c + 1e-5))) == {"W1"}
    assert rules_broken(device_faults(problem, with_decision(plan, relay_on=on[1:]))) == {"T1"}


@pytest.mark.parametrize(
    ("power", "rule"),
    [([500.0] + [0.0] * 7, "V1"), ([9000.0] + [0.0] * 7, "V1"), ([0.0] * 7 + [2000.0], "V2")],
)
def test_a_car_that_does_what_it_cannot_is_seen(planned, power, rule):
    problem, plan = planned
    assert rules_broken(device_faults(problem, with_decision(plan, ev_w=np.array(power)))) == {rule}
    given = replace(problem, ev=car(4000.0, 6, forced=[2222.0]))
    assert rules_broken(device_faults(given, with_decision(plan, ev_w=np.zeros(SLOTS)))) == {"V2"}


@pytest.mark.parametrize(("slots", "rule"), [([6, 7], "A1"), ([1, 2, 3], "A3"), ([1, 3], "A4"), ([1], "A4")])
def test_a_machine_that_does_what_it_must_not_is_seen(planned, slots, rule):
    problem, plan = planned
    on = np.isin(np.arange(SLOTS), slots)
    assert rule in rules_broken(device_faults(problem, with_decision(plan, appliances=(on,))))
    begun = replace(problem, appliances=(appliance(3, 6, forced=1, forced_on=(True,)),))
    late = np.isin(np.arange(SLOTS), [0, 2, 3])
    assert "A4" in rules_broken(device_faults(begun, with_decision(plan, appliances=(late,))))
    assert "A2" in rules_broken(device_faults(begun, with_decision(plan, appliances=(~late,))))
    assert rules_broken(device_faults(problem, with_decision(plan, appliances=()))) == {"A"}


def test_flows_that_cannot_be_are_seen(planned):
    problem, plan = planned
    flow = plan.flow
    assert "G1" in rules_broken(flow_faults(problem, with_flow(plan, grid_w=flow.grid_w + 1.0)))
    assert "B1" in rules_broken(flow_faults(problem, with_flow(plan, soc_wh=flow.soc_wh + 1.0)))
    assert "B2" in rules_broken(flow_faults(problem, with_flow(plan, battery_w=flow.battery_w + 9000.0)))
    small = replace(problem, battery=replace(problem.battery, max_wh=float(flow.soc_wh.max()) - 500.0))
    assert "B3" in rules_broken(flow_faults(small, plan))
    taper = replace(problem, battery=replace(problem.battery, taper_from_wh=0.0, taper_full_w=0.0))
    assert "B5" in rules_broken(flow_faults(taper, with_flow(plan, battery_w=flow.battery_w - 4900.0)))
    held = with_flow(plan, pv_used_w=np.maximum(flow.pv_used_w - 1000.0, 0.0))
    fixed = replace(problem, grid=replace(problem.grid, pv_curtailable=False))
    assert "G5" in rules_broken(flow_faults(fixed, held))
    tight = replace(problem, grid=replace(problem.grid, inverter_max_w=100.0))
    assert "G6" in rules_broken(flow_faults(tight, plan))
    sold = with_flow(plan, grid_w=flow.grid_w - 5000.0)
    assert "G3" in rules_broken(flow_faults(replace(problem, grid=replace(problem.grid, export_max_w=100.0)), sold))
    fed = with_flow(plan, grid_w=np.zeros(SLOTS), battery_w=flow.battery_w + flow.grid_w)
    assert "V4" in rules_broken(flow_faults(problem, fed))
    assert rules_broken(flow_faults(replace(problem, battery=None), plan)) >= {"B"}


@pytest.mark.parametrize(
    ("intent", "power_w", "rule"),
    [
        ("hold", 500.0, "I3"), ("charge_from_grid", -100.0, "I4"), ("charge_from_grid", 100.0, "I4"),
        ("discharge_to_grid", 100.0, "I5"), ("self_consume", -500.0, "I2"), ("off", 0.0, "I6"),
    ],
)  # fmt: skip
def test_powers_that_are_not_their_intents_are_seen(intent, power_w, rule):
    problem = toy(1, load=1000.0, pv=500.0, battery=battery(energy_wh=5000.0, control="intents"))
    plan = solve(problem, SolverOptions(limit_s=60.0), lambda: 0.0).rules
    power = np.array([power_w])
    told = with_flow(
        plan, intent=(intent,), battery_w=power, grid_w=plan.flow.grid_w - power + plan.flow.battery_w,
        soc_wh=5000.0 - power,
    )  # fmt: skip
    assert rule in rules_broken(flow_faults(problem, told))
    forced = replace(problem, battery=replace(problem.battery, forced=1, forced_intent=("hold",)))
    assert ("I8" in rules_broken(flow_faults(forced, told))) == (intent != "hold")


def test_a_car_that_charges_while_the_battery_gives_is_seen():
    problem = toy(1, load=1000.0, ev=car(2000.0, 1), battery=battery(energy_wh=5000.0, control="intents"))
    plan = solve(problem, SolverOptions(limit_s=60.0), lambda: 0.0).rules
    fed = replace(with_decision(plan, ev_w=np.array([2000.0])), flow=replace(plan.flow, battery_w=np.array([500.0])))
    assert "I9" in rules_broken(flow_faults(problem, fed))


@pytest.mark.parametrize("part", ["energy", "wear", "peak", "comfort", "switching"])
def test_money_that_does_not_add_up_is_seen(planned, part):
    problem, plan = planned
    cost = plan.cost.model_copy(update={part: getattr(plan.cost, part) + 0.01})
    assert any(f.startswith(f"O1: {part}") for f in plan_faults(problem, replace(plan, cost=cost)))
    total = plan.cost.model_copy(update={"total": plan.cost.total + 0.1})
    assert plan_faults(problem, replace(plan, cost=total)) == ["O1: the parts are not the total"]


def test_one_instance_is_planned_certified_and_compared():
    finding = judge("one_room", 23)
    assert finding.faults == []
    assert finding.plan_s > 0.0
    assert (finding.solved, finding.why == "") == (True, True)
    assert finding.kind in {"proven", "estimate"}
    assert finding.gap_czk >= -1e-3


def test_what_raises_is_a_finding(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("benchmarks.invariants.judge.solve", broken)
    assert judge("one_room", 1).faults == ["T4: no plan, but ZeroDivisionError()"]


def test_a_bound_above_its_plan_is_a_finding(monkeypatch):
    class TooHigh:
        value_czk, kind = 1e9, "proven"

    monkeypatch.setattr("benchmarks.invariants.judge.certify", lambda *_: TooHigh())
    faults = judge("one_room", 23).faults
    assert any("above the plan's" in fault for fault in faults)


def test_a_line_tells_faults_first_and_gaps_by_their_median():
    findings = [
        Finding("no_pv", 1, solved=True, kind="proven", gap_pct=1.0, gap_czk=2.0, plan_s=0.5),
        Finding("no_pv", 2, ["B1: off"], solved=True, kind="proven", gap_pct=3.0, gap_czk=4.0, plan_s=0.7),
        Finding("no_pv", 3, why="the rules were cheaper"),
    ]
    line = bench.summary("no_pv", findings)
    assert (line["instances"], line["solved"], line["faulty"]) == (3, 2, 1)
    assert line["rules"] == {"the rules were cheaper": 1}
    assert (line["median_proven_gap_pct"], line["max_plan_s"]) == (2.0, 0.7)
    assert line["faults"] == ["no_pv 2: B1: off"]
    assert json.loads(json.dumps(line)) == line


@pytest.mark.parametrize("wrong", [["--only", "castles"], ["--instances", "0"], ["--processes", "0"], ["--only", ","]])
def test_wrong_options_are_told(wrong, capsys):
    with pytest.raises(SystemExit):
        bench.main(wrong)
    assert "usage" in capsys.readouterr().err
