"""Solving problem files: the answer balances, adds up, is in the file's currency, and says when it is a stand-in."""

import json

import numpy as np
import pytest
from tests.unit.optimizer.problem_file_cases import EXAMPLES, ROOT, changed, example, small_file

from pems_optimizer.domain.problem_file.errors import ProblemFileError
from pems_optimizer.domain.problem_file.reading import read_document
from pems_optimizer.domain.problem_file.result import ProblemAnswer, answer_schema
from pems_optimizer.domain.problem_file.series import as_array
from pems_optimizer.domain.problem_file.solve_file import solve_problem_file


def no_clock() -> float:
    return 0.0


def solved(data) -> ProblemAnswer:
    answer = solve_problem_file(data, no_clock)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    return ProblemAnswer.model_validate(answer)


def assert_balanced(data, answer: ProblemAnswer) -> None:
    """What comes from PV, battery and grid is what everything draws."""
    document = read_document(data)
    drawn: np.ndarray = as_array(document.load_w, answer.slots)
    for room in document.rooms:
        drawn = drawn + np.array(answer.rooms[room.name].relay_on) * room.heater_w
    if document.water is not None:
        assert answer.water is not None
        drawn = drawn + np.array(answer.water.on) * document.water.electric_w
    if document.ev is not None:
        drawn = drawn + np.array(answer.ev_power_w)
    for appliance in document.appliances:
        drawn = drawn + np.array(answer.appliances[appliance.name]) * appliance.power_w
    battery = np.zeros(answer.slots) if answer.battery is None else np.array(answer.battery.power_w)
    assert np.allclose(np.array(answer.pv_used_w) + battery + np.array(answer.grid_power_w), drawn, atol=0.5)


def test_more_slots_than_the_time_allows_are_solved_in_longer_ones():
    minutes = 2 * 24 * 60
    windows = {"earliest_at": "2026-04-14T14:00:00+02:00", "ready_at": "2026-04-16T08:00:00+02:00"}
    data = {
        "format": "pems-problem/1",
        "start": "2026-04-14T12:00:00+02:00",
        "step_minutes": 1,
        "timezone": "Europe/Paris",
        "buy_per_kwh": [round(3.0 + 2.0 * np.sin(t / 230), 3) for t in range(minutes)],
        "load_w": 400,
        "battery": {
            "capacity_wh": 7000,
            "soc_pct": 60,
            "soc_min_pct": 10,
            "charge_max_w": 3500,
            "discharge_max_w": 3500,
        },
        "appliances": [
            {"name": f"machine_{k}", "power_w": 800, "run_minutes": 60 + 15 * k, **windows} for k in range(4)
        ],
        "solver": {"time_limit_s": 0.9},  # of which 0.4 s are kept for what comes after
    }
    answer = solved(data)
    assert_balanced(data, answer)
    assert (answer.slots, answer.solver.complete) == (minutes, True)
    (note,) = answer.reasons["plan"]
    assert (note.code, note.params) == ("longer_slots", {"minutes": 9, "limit_s": 0.9})
    assert answer.cost.total < answer.rules_total
    for k in range(4):
        on = np.array(answer.appliances[f"machine_{k}"])
        assert on.sum() >= 60 + 15 * k
        assert np.argmax(on) % 9 == 0, "begun with a slot of nine minutes"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_shipped_examples_are_solved_better_than_by_rules(path):
    data = json.loads(path.read_text())
    answer = solved(data)
    assert_balanced(data, answer)
    assert answer.solver.status in ("incumbent", "optimal")
    assert answer.cost.total < answer.rules_total
    assert answer.cost.total == answer.solver.objective
    cost = answer.cost
    assert cost.energy + cost.wear + cost.peak + cost.comfort + cost.switching == pytest.approx(cost.total, abs=1e-3)
    assert answer.name == data["name"]


def test_a_small_house_with_one_of_everything_is_planned():
    data = small_file()
    answer = solved(data)
    assert_balanced(data, answer)
    run = np.flatnonzero(answer.appliances["dishwasher"])
    assert len(run) == 3
    assert run[-1] - run[0] == 2
    assert 1999 <= sum(answer.ev_power_w[:8]) * 0.25 <= 2000 + 350  # a slot at least power more
    assert answer.violations == ()
    bought = np.maximum(answer.grid_power_w, 0) @ np.array(data["buy_per_kwh"]) / 4000
    sold = np.maximum(-np.array(answer.grid_power_w), 0).sum() * 1.0 / 4000
    assert answer.net_cost == pytest.approx(bought - sold, abs=1e-3)


def test_prices_and_a_battery_alone_are_a_problem_too():
    data = small_file(rooms=[], ev=None, water=None, appliances=[], pv_w=0, weights={"start": 0})
    answer = solved(data)
    assert_balanced(data, answer)
    assert answer.rooms == {}
    assert answer.self_consumption_rate is None


def test_a_house_without_a_battery_is_planned():
    data = small_file(battery=None, ev=None, appliances=[])
    answer = solved(data)
    assert_balanced(data, answer)
    assert answer.battery is None


def test_prices_in_euro_give_the_same_plan_with_costs_in_euro():
    czech = example("two-rooms-and-a-battery")
    euro = changed(czech, "currency", "EUR") | {"czk_per_currency": 25}
    for name in ("buy_per_kwh", "sell_per_kwh"):
        euro[name] = [price / 25 for price in czech[name]]
    euro["battery"]["wear_per_kwh"] /= 25
    a, b = solved(czech), solved(euro)
    assert b.currency == "EUR"
    assert b.rooms["living"].relay_on == a.rooms["living"].relay_on
    assert b.cost.total * 25 == pytest.approx(a.cost.total, abs=0.01)
    assert b.rules_total * 25 == pytest.approx(a.rules_total, abs=0.01)
    params = [r.params for reasons in b.reasons.values() for r in reasons if "buy_per_kwh" in r.params]
    assert params
    assert all(p["buy_per_kwh"] <= max(euro["buy_per_kwh"]) + 1e-3 for p in params)
    assert not any("czk" in name for reasons in b.reasons.values() for r in reasons for name in r.params)


def test_out_of_time_the_rules_stand_in_and_it_says_so():
    answer = ProblemAnswer.model_validate(solve_problem_file(small_file(), lambda: 1e6))
    assert answer.solver.status == "fallback"
    assert answer.solver.why
    assert answer.cost.total == answer.rules_total
    assert any(reason.code == "fallback" for reason in answer.reasons["plan"])


def test_the_callers_limit_caps_the_files_own():
    data = small_file(solver={"time_limit_s": 600})
    assert solve_problem_file(data, lambda: 100.0, 5.0)["solver"]["status"] == "fallback"


def test_a_cold_house_still_gets_a_plan_with_its_violations_named():
    answer = solved(changed(small_file(weights={"below_per_k_h": 100}), "rooms.0.air_c", 10))
    (worst,) = [v for v in answer.violations if v.rule == "comfort_below:living"]
    assert worst.amount > 5
    assert all(answer.rooms["living"].relay_on[:2])


def test_a_certificate_bounds_the_very_plan():
    data = example("two-rooms-and-a-battery") | {"battery": None, "weights": {}}
    data = changed(data, "rooms", data["rooms"][1:])
    solver = solved(data | {"solver": {"certificate_limit_s": 5}}).solver
    assert solver.bound_kind == "proven"
    assert solver.bound <= solver.objective
    assert solver.gap == pytest.approx(solver.objective - solver.bound, abs=2e-4)
    assert solver.gap_rel == pytest.approx(solver.gap / solver.objective, abs=1e-4)
    assert solver.gap_rel < 0.02


def test_rooms_that_share_a_wall_get_an_estimate():
    data = small_file(solver={"certificate_limit_s": 5}, ev=None, water=None, appliances=[])
    assert solved(data).solver.bound_kind == "estimate"


def test_what_is_proven_to_be_the_best_is_called_optimal():
    data = small_file(rooms=[], ev=None, water=None, appliances=[], solver={"certificate_limit_s": 5})
    answer = solved(data)
    assert answer.solver.status == "optimal"
    assert answer.solver.gap == pytest.approx(0.0, abs=1e-3)


def test_a_certificate_is_only_looked_for_when_asked():
    assert solved(example("two-rooms-and-a-battery")).solver.bound is None


def test_the_price_of_energy_is_between_what_export_brings_and_import_costs():
    data = small_file(rooms=[], ev=None, water=None, appliances=[], battery=None, load_w=[300] * 4 + [2000] * 4)
    data["buy_per_kwh"] = [2.0, 3.0, 2.5, 2.2, 2.0, 3.0, 2.5, 2.2]
    assert solved(data).price_per_kwh == pytest.approx((1.0,) * 4 + (2.0, 3.0, 2.5, 2.2), abs=1e-3)
    euro = data | {"currency": "EUR", "czk_per_currency": 25}
    assert solved(euro).price_per_kwh[4:] == pytest.approx((2.0, 3.0, 2.5, 2.2), abs=1e-3)


def test_a_file_with_mistakes_is_not_solved():
    with pytest.raises(ProblemFileError) as caught:
        solve_problem_file(changed(small_file(), "battery.capacity_wh", -1), no_clock)
    assert caught.value.problems[0].field == "battery.capacity_wh"


def test_the_published_schema_of_the_answer_is_up_to_date():
    """Write it anew with `./pems solve --answer-schema > docs/plan.schema.json`."""
    assert json.loads((ROOT / "docs" / "plan.schema.json").read_text()) == answer_schema()
