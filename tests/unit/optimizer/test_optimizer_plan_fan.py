"""The fan of a plan: the same to the last bit however it is cut, as wide as its inputs, as warm as its rooms."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, first_house, small_problem
from tests.unit.optimizer.plan_record_cases import a_record

from pems_common.clock import FakeClock
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.adapters.study_store import InMemoryStudies
from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.drawn_day import draw_seed, drawn_errors, drawn_problem
from pems_optimizer.domain.plan_fan import RELAYS, fan_columns, fan_item, fan_summary, guarded_relays
from pems_optimizer.domain.plan_record import read_record, record_bytes
from pems_optimizer.domain.problem_store import from_bytes, to_bytes
from pems_optimizer.domain.scoring import Decision
from pems_optimizer.domain.thermal_response import simulate_rooms
from pems_optimizer.study_keeper import StudyKeeper
from pems_optimizer.study_kind import by_column
from pems_optimizer.study_work import work_on_chunk

WARM = a_record(1, rooms=2)
HEATED = WARM.decision.relay_on & (np.arange(WARM.problem.slots) < 24)[:, None]
RECORD = replace(WARM, decision=replace(WARM.decision, relay_on=HEATED))  # two rooms that grow cold


def fan_of(record, draws, seed=1, relays="strict"):
    item = fan_item(record, seed, relays)
    return by_column(fan_columns(record.problem), [item(i) for i in range(draws)])


async def test_a_fan_is_the_same_however_it_is_cut_and_whoever_works_on_it():
    clock, plans = FakeClock(START), InMemoryPlans()
    await plans.keep(RECORD)
    alone = fan_of(RECORD, 12, seed=5, relays="guarded")
    for chunk_items in (1, 5, 12):
        store = InMemoryStudies(clock)

        async def sent(study, chunks):
            pass

        keeper = StudyKeeper("home", clock, store, plans, sent)
        params = {"seed": 5, "relays": "guarded"}
        study = await keeper.create("plan_fan", params, items=12, chunk_items=chunk_items)
        for chunk in reversed(range(study.chunks)):
            assert await work_on_chunk(clock, store, study.study_id, chunk, worker=f"bulk@{chunk % 2}")
        report = await keeper.report(study.study_id, with_values=True)
        assert study.columns == fan_columns(RECORD.problem)
        assert {name: of.tobytes() for name, of in report.values.items()} == {
            name: of.tobytes() for name, of in alone.items()
        }
        assert report.summary == fan_summary(alone)


@pytest.mark.parametrize("relays", RELAYS)
def test_a_draw_depends_on_its_number_alone_to_the_last_bit(relays):
    item = fan_item(RECORD, 7, relays)
    forwards = [item(i) for i in range(6)]
    elsewhere = fan_item(read_record(record_bytes(RECORD)), 7, relays)
    assert [elsewhere(i) for i in (5, 0, 3)] == [forwards[5], forwards[0], forwards[3]]
    assert len(set(forwards)) == 6
    assert fan_item(RECORD, 8, relays)(0) != forwards[0]
    assert len({draw_seed(seed, draw) for seed in range(20) for draw in range(20)}) == 400


def test_draws_come_in_mirror_pairs():
    one, other = (drawn_errors(3, draw, 50, {"pv": 0.9}) for draw in (8, 9))
    for name in ("sky", "load", "price", "warmth"):
        assert np.array_equal(getattr(one, name), -getattr(other, name))
    assert not np.array_equal(one.sky, drawn_errors(3, 10, 50, {"pv": 0.9}).sky)
    found = fan_of(RECORD, 40)
    assert found["outdoor_c"].mean() == pytest.approx(RECORD.problem.outdoor_c.mean(), abs=1e-5)


def test_without_uncertainty_every_day_is_the_planned_one():
    outdoor_c, rooms = RECORD.problem.outdoor_c, replace(RECORD.problem.rooms, sun_w=np.zeros((0, 0)))
    sure = replace(RECORD.problem, bands={"outdoor_c": (outdoor_c, outdoor_c + 1e-12)}, rooms=rooms)
    found = fan_of(replace(RECORD, problem=sure), 4)
    planned = run_decision(sure, RECORD.decision, RECORD.peak_w, thorough=False)
    assert found["cost_czk"] == pytest.approx([planned.cost.total] * 4, abs=1e-6)
    assert found["bill_czk"] == pytest.approx([planned.net_cost] * 4, abs=1e-6)
    assert np.ptp(found["pv_kwh"]) == 0.0


def test_the_numbers_of_a_draw_are_those_of_its_day():
    problem, decision = RECORD.problem, RECORD.decision
    day = drawn_problem(problem, drawn_errors(5, 3, problem.slots, RECORD.correlation))
    row = dict(zip(fan_columns(problem), fan_item(RECORD, 5)(3), strict=True))
    flow = run_decision(day, decision, RECORD.peak_w, thorough=False).flow
    heat_w = decision.relay_on @ problem.rooms.heater_w
    assert flow.grid_w == pytest.approx(day.load_w + heat_w - flow.pv_used_w - flow.battery_w, abs=1e-6)
    assert row["bill_czk"] == pytest.approx(
        ((np.maximum(flow.grid_w, 0) * day.buy - np.maximum(-flow.grid_w, 0) * day.sell).sum()) * day.kwh
    )
    assert row["peak_w"] == flow.grid_w.max()
    assert row["pv_kwh"] == pytest.approx(day.pv_w.sum() / 4000.0)
    assert row["load_kwh"] == pytest.approx(day.load_w.sum() / 4000.0)
    air = simulate_rooms(day.rooms, decision.relay_on).air_c[1:]
    below = np.maximum(day.rooms.band_low_c - air, 0.0)
    names = problem.rooms.names
    assert [row[f"below_k_h:{name}"] for name in names] == pytest.approx((below.sum(axis=0) / 4.0).tolist())
    assert row["below_k_h"] == pytest.approx(below.sum() / 4.0)
    assert row["coldest_below_k"] == below.max()
    assert row["cold_h"] == (below > 0.5).sum(axis=0).max() / 4.0
    assert row["below_k_h"] > 0.0, "a plan that stops heating leaves rooms cold"


def test_a_colder_world_is_colder_inside_by_what_the_models_say():
    problem = RECORD.problem
    errors = drawn_errors(1, 0, problem.slots, {})
    still = replace(errors, sky=0.0 * errors.sky, warmth=np.full(problem.slots, -1.2816))
    day = drawn_problem(problem, still)
    low, _ = problem.bands["outdoor_c"]
    assert day.outdoor_c == pytest.approx(low)
    lost = (problem.outdoor_c - low)[:, None] * problem.rooms.outward_w_k
    assert problem.rooms.air_input_w - day.rooms.air_input_w == pytest.approx(lost)
    on = RECORD.decision.relay_on
    assert (simulate_rooms(day.rooms, on).air_c[1:] < simulate_rooms(problem.rooms, on).air_c[1:]).all()


def test_one_sky_dims_pv_and_the_sun_in_the_rooms():
    problem = RECORD.problem
    errors = drawn_errors(1, 0, problem.slots, {})
    dull = replace(errors, sky=np.full(problem.slots, -1.2816), warmth=0.0 * errors.warmth)
    day = drawn_problem(problem, dull)
    sunny = problem.pv_w > 0.2 * problem.pv_w.max()
    assert sunny.sum() > 20
    share = day.pv_w[sunny] / problem.pv_w[sunny]
    assert share == pytest.approx(0.6), "the made case has a P10 of 60 %"
    lost = problem.rooms.air_input_w - day.rooms.air_input_w
    assert lost[sunny] == pytest.approx((1.0 - share)[:, None] * problem.rooms.sun_w[sunny])
    assert lost.max() > 10.0
    assert lost[problem.pv_w == 0.0] == pytest.approx(0.0, abs=1e-9)


def test_where_pv_tells_nothing_the_sun_keeps_a_usual_width():
    dark = replace(RECORD.problem, pv_w=0.0 * RECORD.problem.pv_w, bands={})
    errors = drawn_errors(1, 0, dark.slots, {})
    bright = replace(errors, sky=np.full(dark.slots, 1.2816), warmth=0.0 * errors.warmth)
    gained = drawn_problem(dark, bright).rooms.air_input_w - dark.rooms.air_input_w
    assert gained == pytest.approx(0.4 * dark.rooms.sun_w)
    darkest = drawn_problem(dark, replace(bright, sky=np.full(dark.slots, -9.0)))
    assert darkest.rooms.air_input_w == pytest.approx(dark.rooms.air_input_w - dark.rooms.sun_w), "no sun is the least"


def test_drawn_quantiles_are_those_of_the_bands():
    problem = RECORD.problem
    days = [drawn_problem(problem, drawn_errors(2, k, problem.slots, RECORD.correlation)) for k in range(800)]
    for name, of in (("outdoor_c", "outdoor_c"), ("pv_w", "pv_w"), ("load_w", "load_w"), ("buy", "buy")):
        drawn, (low, high) = np.array([getattr(day, of) for day in days]), problem.bands[name]
        told = high > low + 1e-9
        below, above = (drawn < low)[:, told].mean(axis=0), (drawn > high)[:, told].mean(axis=0)
        assert np.abs(below - 0.1).max() < 0.04, name
        assert np.abs(above - 0.1).max() < 0.04, name
        assert abs(below.mean() - 0.1) < 0.01, name
    outdoor = np.array([day.outdoor_c for day in days]) - problem.outdoor_c
    follows = np.mean([np.corrcoef(outdoor[:, t], outdoor[:, t + 1])[0, 1] for t in range(0, 190, 10)])
    assert follows == pytest.approx(0.99, abs=0.005)


def test_a_forecast_without_a_band_of_temperature_errs_more_with_lead():
    problem = replace(RECORD.problem, bands={})
    errors = [drawn_errors(4, k, problem.slots, {}) for k in range(800)]
    spread = np.std([drawn_problem(problem, e).outdoor_c - problem.outdoor_c for e in errors], axis=0)
    assert spread[[0, 96, 191]] == pytest.approx([0.4, 1.0, 1.6], rel=0.08)


def test_guarded_relays_do_what_the_controller_does():
    problem, planned = RECORD.problem, RECORD.decision.relay_on
    expected = simulate_rooms(problem.rooms, planned).air_c
    free = replace(problem.rooms, forced=np.zeros(2, dtype=np.int64))
    wide = replace(free, band_low_c=free.band_low_c - 20.0, band_high_c=free.band_high_c + 20.0)
    assert np.array_equal(guarded_relays(wide, planned, expected), planned)
    warm = replace(wide, air_input_w=wide.air_input_w + 500.0)
    assert guarded_relays(warm, planned, expected).sum() < planned.sum(), "warmer than planned by half a degree"
    assert not (guarded_relays(warm, planned, expected) & ~planned).any()
    cold = replace(free, air_input_w=free.air_input_w - 100.0)
    held = guarded_relays(cold, planned, expected)
    air = simulate_rooms(cold, held).air_c[:-1]
    low = air < cold.band_low_c
    assert (held & ~planned).sum() > 20
    assert held[~planned & low].all()
    assert not held[~planned & ~low].any()
    fixed = replace(cold, forced=np.full(2, 60))
    assert np.array_equal(guarded_relays(fixed, planned, expected)[:60], planned[:60])


def test_guarded_relays_keep_rooms_warmer_for_money():
    strict, guarded = (fan_of(RECORD, 20, relays=relays) for relays in RELAYS)
    assert guarded["below_k_h"].mean() < 0.5 * strict["below_k_h"].mean()
    assert guarded["bill_czk"].mean() > strict["bill_czk"].mean()
    assert np.array_equal(guarded["outdoor_c"], strict["outdoor_c"]), "the same days"


def test_a_plan_that_was_kept_before_weather_was_drawn_still_tells():
    data = to_bytes(RECORD)
    size = int.from_bytes(data[8:16], "little")
    header = json.loads(data[16 : 16 + size])
    del header["tree"]["problem"]["rooms"]["sun_w"]
    del header["tree"]["problem"]["bands"]["outdoor_c"]
    text = json.dumps(header).encode()
    text += b" " * (-(16 + len(text)) % 16)
    old = from_bytes(type(RECORD), data[:8] + len(text).to_bytes(8, "little") + text + data[16 + size :])
    assert old.problem.rooms.sun_w.shape == (0, 0)
    found = fan_of(old, 6)
    assert np.ptp(found["outdoor_c"]) > 0.1
    assert found["pv_kwh"] == pytest.approx(fan_of(RECORD, 6)["pv_kwh"])


def test_the_summary_tells_the_middle_the_bad_tail_the_cold_rooms_and_why():
    numbers = np.random.default_rng(1).permutation(np.arange(1000.0))
    columns = fan_columns(RECORD.problem)
    rows = np.zeros((1000, len(columns)))
    table = dict(zip(columns, rows.T, strict=True))
    table["cost_czk"] = numbers
    table["bill_czk"] = numbers / 2.0
    table["buy_czk_kwh"] = numbers + 7.0
    table["cold_h"] = np.where(numbers < 30.0, 1.25, 1.0)
    table["inside_share"] = np.full(1000, 0.98)
    first = f"below_k_h:{RECORD.problem.rooms.names[0]}"
    table[first] = table["below_k_h"] = numbers / 100.0
    found = fan_summary(table)
    assert (found["mean_czk"], found["p50_czk"], found["cvar90_czk"]) == (499.5, 499.5, 949.5)
    assert (found["least_czk"], found["most_czk"]) == (0.0, 999.0)
    assert found["p10_czk"] < found["p90_czk"] < found["p95_czk"]
    assert found["bill"]["cvar90_czk"] == 474.75
    assert (found["comfort"]["cold_share"], found["comfort"]["inside_share"]) == (0.03, 0.98)
    assert list(found["comfort"]["rooms"]) == list(RECORD.problem.rooms.names)
    assert found["comfort"]["rooms"][RECORD.problem.rooms.names[0]] == {"mean_k_h": 4.995, "p90_k_h": 8.991}
    assert found["drivers"]["cost"]["buy_czk_kwh"] > 0.99
    assert found["drivers"]["cost"]["pv_kwh"] == 0.0
    assert json.loads(json.dumps(found)) == found
    alone = fan_summary({name: values[:1] for name, values in table.items()})
    assert alone["cvar90_czk"] == alone["mean_czk"] == numbers[0]
    assert alone["drivers"]["cost"] == {}


def test_a_house_without_rooms_has_a_fan_too():
    problem = small_problem(first_house().model_copy(update={"rooms": {}}))
    decision = Decision(np.zeros((problem.slots, 0), dtype=np.bool_), RECORD.decision.water_on, RECORD.decision.ev_w)
    bare = replace(RECORD, problem=problem, decision=decision)
    for relays in RELAYS:
        found = fan_of(bare, 4, relays=relays)
        assert found["inside_share"].tolist() == [1.0] * 4
        assert found["below_k_h"].tolist() == [0.0] * 4
        assert fan_summary(found)["comfort"]["rooms"] == {}
