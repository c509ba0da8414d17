"""The plan message: complete, readable again, stable, explained; the rules as stand-in."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, first_house, small_home, winter_case

from pems_common.messages import EvReading, Plan, PlanInputs
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.body import violations_of
from pems_optimizer.domain.month_peak import MonthPeak
from pems_optimizer.domain.planning import Ask, make_plan, make_rule_plan
from pems_optimizer.domain.risk import plan_risk
from pems_optimizer.domain.rules import rule_plan

INPUTS = PlanInputs(forecast_id="f", prices_id="p", telemetry_id="t")


def ask(at=START, no=1, **changes) -> Ask:
    return replace(Ask(f"plan-{no}", no, at, at, 30.0), **changes)


def plan_at(home, known, **changes) -> Plan:
    return make_plan(home, known, INPUTS, ask(**changes), elapsed_s=lambda: 0.0)


@pytest.fixture(scope="module")
def home():
    return small_home()


@pytest.fixture(scope="module")
def known(home):
    return winter_case(home, 1)


@pytest.fixture(scope="module")
def plan(home, known) -> Plan:
    return plan_at(home, known)


def test_it_survives_json_and_has_every_slot(home, plan):
    assert Plan.read(plan.model_dump(mode="json")) == plan
    assert plan.slots == 192
    series = [plan.pv_limit_w, plan.grid_power_w, plan.ev_power_w, plan.water_on]
    series += [plan.battery.intent, plan.battery.power_w, plan.battery.soc_pct]
    for room in plan.rooms.values():
        series += [room.relay_on, room.temperature_c, room.comfort_low_c, room.comfort_high_c]
    assert {len(s) for s in series} == {192}
    assert set(plan.rooms) == set(home.rooms)
    assert plan.valid_until - plan.issued_at == timedelta(hours=2)
    assert plan.control_until - plan.issued_at == timedelta(hours=24)
    assert plan.config_hash == home.config_hash()
    assert not plan.fallback_mode


@pytest.mark.parametrize("ev", [EvReading(connected=False), EvReading(connected=True, soc_pct=99.0), None])
def test_without_a_car_to_charge_the_plan_says_zero_and_without_a_charger_nothing(home, known, ev):
    telemetry = known.telemetry.model_copy(update={"ev": ev})
    body = make_plan(home, replace(known, telemetry=telemetry), INPUTS, ask(), elapsed_s=lambda: 0.0)
    assert body.ev_power_w == (() if ev is None else (0.0,) * body.slots)


def test_its_cost_is_the_sum_of_its_parts_and_below_the_baseline(plan):
    c = plan.cost
    assert c.total == pytest.approx(c.energy + c.wear + c.peak + c.comfort + c.switching, abs=1e-3)
    assert plan.solver.objective == c.total < plan.baseline_total_czk
    names = {s.name: s for s in plan.scenario_costs}
    assert names["good_day"].total < names["expected_day"].total < names["bad_day"].total
    assert sum(s.probability for s in plan.scenario_costs) == pytest.approx(1.0)


def test_slots_are_explained_by_known_codes(plan):
    codes = {r.code for reasons in plan.reasons.values() for r in reasons}
    assert {"cheap_price", "ev_deadline", "water_heat"} <= codes
    assert codes & {"battery_arbitrage", "battery_saved"}
    assert all(key == "plan" or 0 <= int(key) < plan.slots for key in plan.reasons)


def test_the_running_plan_is_kept_unless_the_new_one_gains_enough(home, known, plan):
    later = START + timedelta(hours=1)
    telemetry = known.telemetry.model_copy(
        update={
            "rooms": {
                n: r.model_copy(
                    update={"temperature_c": plan.rooms[n].temperature_c[3], "relay_on": plan.rooms[n].relay_on[3]}
                )
                for n, r in known.telemetry.rooms.items()
            },
            "battery_soc_pct": plan.battery.soc_pct[3],
        }
    )
    now_known = replace(known, running=plan, telemetry=telemetry)
    stubborn = home.optimization.model_copy(update={"keep_gain_czk": 1e6})
    kept = plan_at(home.model_copy(update={"optimization": stubborn}), now_known, at=later, no=2)
    assert not kept.diff  # another configuration: nothing to keep
    same = plan.model_copy(update={"config_hash": home.model_copy(update={"optimization": stubborn}).config_hash()})
    kept = plan_at(home.model_copy(update={"optimization": stubborn}), replace(now_known, running=same), at=later, no=2)
    assert kept.diff[0].startswith("kept")
    assert kept.plan_id == "plan-2"
    assert kept.replaces == plan.plan_id
    assert kept.issued_at == later
    for name, room in kept.rooms.items():
        assert room.relay_on[:150] == plan.rooms[name].relay_on[4:154]
    restless = home.optimization.model_copy(update={"keep_gain_czk": 0.0})
    eager = home.model_copy(update={"optimization": restless})
    other = plan_at(
        eager, replace(now_known, running=plan.model_copy(update={"config_hash": eager.config_hash()})), at=later, no=3
    )
    assert other.diff
    assert other.cost.total <= kept.cost.total + 0.5


def test_frozen_slots_follow_the_running_plan(home, known, plan):
    later = START + timedelta(minutes=52)
    body = make_plan(
        home,
        replace(known, running=plan),
        INPUTS,
        ask(no=2, now=later, decide_from=START + timedelta(hours=1)),
        elapsed_s=lambda: 0.0,
    )
    assert body.start == START + timedelta(minutes=45)
    for name, room in body.rooms.items():
        assert room.relay_on[0] == plan.rooms[name].relay_on[3]
    assert body.battery.intent[0] in {plan.battery.intent[3], "hold", "export_pv"}
    assert body.reasons["0"][0].code == "decided_before"


def test_no_time_means_the_rules_marked_as_such(home, known):
    body = make_plan(home, known, INPUTS, ask(limit_s=0.1), elapsed_s=lambda: 1.0)
    assert body.fallback_mode
    assert body.solver.status == "fallback"
    assert body.solver.name == "rules"
    assert body.reasons["plan"][0].code == "fallback"


def test_the_rule_plan_can_be_made_alone(home, known):
    body = make_rule_plan(home, known, INPUTS, ask(), "because")
    assert body.fallback_mode
    assert body.cost.total == body.baseline_total_czk
    assert set(body.battery.intent) <= {"self_consume", "charge_from_grid", "hold"}


def test_it_says_what_peak_it_keeps_below(home, known):
    peak_w = make_rule_plan(home, known, INPUTS, ask(), "because").peak_import_w
    month = MonthPeak(f"{START:%Y-%m}", peak_w + 1_000.0)
    higher = replace(known, remembered=replace(known.remembered, month_peak=month))
    assert make_rule_plan(home, known, INPUTS, ask(), "because").import_keep_w == peak_w
    assert make_rule_plan(home, higher, INPUTS, ask(), "because").import_keep_w == pytest.approx(peak_w + 1_000.0)
    accident = replace(known, remembered=replace(known.remembered, month_peak=replace(month, peak_w=16_500.0)))
    planned_w = home.grid.import_planned_w
    assert make_rule_plan(home, accident, INPUTS, ask(), "because").import_keep_w == max(peak_w, planned_w)
    free = home.model_copy(update={"grid": home.grid.model_copy(update={"peak_czk_kw": 0.0})})
    assert make_rule_plan(free, higher, INPUTS, ask(), "because").import_keep_w is None


def test_what_cannot_be_kept_is_named(home, known):
    telemetry = known.telemetry.model_copy(update={"battery_soc_pct": 5.0})
    thermals = {
        n: t.model_copy(update={"state": t.state.model_copy(update={"air_c": 15.0, "mass_c": 15.0})})
        for n, t in known.thermals.items()
    }
    rooms = {n: r.model_copy(update={"temperature_c": 15.0}) for n, r in telemetry.rooms.items()}
    telemetry = telemetry.model_copy(update={"rooms": rooms})
    body = plan_at(home, replace(known, telemetry=telemetry, thermals=thermals))
    rules = {v.rule for v in body.violations}
    assert "soc_below_min" in rules
    assert {f"comfort_below:{n}" for n in home.rooms} <= rules


def test_the_whole_house_has_no_violation_on_an_ordinary_day():
    home = first_house()
    body = make_plan(home, winter_case(home, 0), INPUTS, ask(), elapsed_s=lambda: 0.0)
    assert not [v for v in body.violations if v.rule.startswith("import") or v.rule.startswith("heating")]
    assert max((v.amount for v in body.violations if v.rule.startswith("comfort_below")), default=0.0) < 0.3
    assert 0.5 < body.self_consumption_rate <= 1.0


@pytest.mark.parametrize(("import_w", "told"), [(14_300.0, []), (17_200.0, []), (17_400.0, [150.0])])
def test_only_import_above_the_breaker_itself_is_a_violation(home, known, import_w, told):
    problem = assemble(home, known, now=START, decide_from=START)
    rules = rule_plan(problem)
    grid_w = np.zeros(problem.slots)
    grid_w[7] = import_w
    found = violations_of(problem, replace(rules, flow=replace(rules.flow, grid_w=grid_w)))
    over = [v for v in found if v.rule == "import_limit"]
    assert [(v.slot, v.amount) for v in over] == [(7, amount) for amount in told]


def test_a_plan_is_judged_on_sampled_days(home, known, plan):
    score = plan_risk(home, replace(known, running=plan), now=START, draws=12, has_time=lambda: True)
    m = score.metrics
    assert m["p10"] < m["p50"] < m["p90"] <= m["cvar90"] + 1e-6
    assert m["draws"] == 12
    assert abs(m["mean"] - plan.cost.total) < 0.3 * abs(plan.cost.total)
    assert plan_risk(home, known, now=START, draws=5, has_time=lambda: True) is None
    assert plan_risk(home, replace(known, running=plan), now=START, draws=5, has_time=lambda: False) is None


def test_the_reported_energy_balance_holds(home, known, plan):
    problem = assemble(home, known, now=START, decide_from=START)
    heat = np.array([r.relay_on for r in plan.rooms.values()]).T @ [home.rooms[n].heat_w for n in plan.rooms]
    water = np.array(plan.water_on) * home.water.power_w / home.water.cop
    load = problem.load_w + heat + water + np.array(plan.ev_power_w)
    limit = np.array([np.inf if v is None else v for v in plan.pv_limit_w])
    pv = np.minimum(problem.pv_w, limit)
    assert np.allclose(pv + plan.grid_power_w + np.array(plan.battery.power_w), load, atol=0.5)
