"""The split of a plan's regret, against cases whose answer is known by hand."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.plan_case_cases import made_case

from pems_common.messages import Band, Series
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.regret import Account, Happened, TrueCourse, regret_split, with_truth
from pems_optimizer.domain.thermal_response import simulate_rooms

QUICK = Effort(rounds=3, fine_rounds=2, fine=(60, 5), sweeps=0, intent_sweeps=0)
NOTHING = Account()


@pytest.fixture(scope="module")
def home():
    return small_home("pokoj_1", "pokoj_2", water=None, ev=None)


@pytest.fixture(scope="module")
def made(home):
    return made_case(home, winter_case(home, 1), effort=QUICK)


def as_planned(made, slots=8) -> Happened:
    """A house that did what the plan said, and is as it was modelled."""
    problem, plan = made.problem, made.chosen
    relay = plan.decision.relay_on[:slots].astype(float)
    flow = plan.flow
    return Happened(
        air_c=simulate_rooms(problem.rooms, relay).air_c,
        relay=relay,
        grid_w=flow.grid_w[:slots],
        battery_w=flow.battery_w[:slots],
        stored_wh=np.concatenate([[problem.battery.energy_wh], flow.soc_wh[:slots]]),
        pv_used_w=flow.pv_used_w[:slots],
        ev_w=plan.decision.ev_w[:slots],
        water_on=plan.decision.water_on[:slots].astype(float),
    )


def split_of(made_one, happened=None, *, truth=None, slots=4, effort=QUICK):
    case, _ = made_one
    return regret_split(case, truth or case.known.forecast, happened, executed_slots=slots, effort=effort)


def parts(account: Account) -> list[float]:
    return [account.energy, account.wear, account.peak, account.comfort, account.switching, account.below_k_h]


@pytest.fixture(scope="module")
def perfect(made):
    """Forecasts came true, the house is as modelled, and everything was done as planned."""
    return split_of(made, as_planned(made[1]))


def test_with_forecasts_that_come_true_and_true_models_only_the_solver_is_left(perfect):
    for span in (perfect.executed, perfect.horizon):
        assert span.forecast == NOTHING
        assert parts(span.model) == pytest.approx([0.0] * 6, abs=1e-3)
        assert parts(span.execution) == pytest.approx([0.0] * 6, abs=1e-3)
        assert span.total.total == pytest.approx(span.solver.total, abs=1e-3)
        assert 0.0 <= span.solver.total < 2.0
    # It was told the truth: the same problem, on which the split searches once more often.
    assert 0.0 <= perfect.solver_as_told.total <= perfect.horizon.solver.total
    assert perfect.executed.solver.total <= perfect.horizon.solver.total
    assert max(map(abs, perfect.air_bias_k.values())) < 1e-9
    assert perfect.energy_kwh == pytest.approx(0.0, abs=1e-9)


def test_what_the_meter_shows_more_is_the_models_part_to_the_crown(made, perfect):
    problem, was = made[1].problem, as_planned(made[1])
    assert (was.grid_w > -1e-6).all()
    more = split_of(made, replace(was, grid_w=was.grid_w + 400.0))
    for span, slots in ((more.executed, 4), (more.horizon, 8)):
        assert span.model.energy == pytest.approx(0.1 * problem.buy[:slots].sum(), abs=1e-3)
        assert parts(span.execution) == pytest.approx([0.0] * 6, abs=1e-3)
    assert more.energy_kwh == pytest.approx(0.8)
    told = perfect.horizon.total.total + 0.1 * problem.buy[:8].sum()
    assert more.horizon.total.total == pytest.approx(told, abs=1e-3), "the parts add up to the whole"


def test_a_room_that_stays_cooler_than_modelled_costs_comfort_and_stored_heat(made):
    problem, was = made[1].problem, as_planned(made[1])
    air = was.air_c.copy()
    low = problem.rooms.band_low_c[:8, 0]
    air[1:, 0] = low - 1.0
    cold = split_of(made, replace(was, air_c=air))
    below = 8 * 0.25 - np.maximum(low - was.air_c[1:, 0], 0.0).sum() * 0.25
    assert cold.horizon.model.below_k_h == pytest.approx(below)
    assert cold.horizon.model.comfort > 7.0 * below
    assert cold.horizon.model.energy > 0.0, "less warmth is left in the walls"
    assert cold.air_bias_k["pokoj_1"] == pytest.approx((low - 1.0 - was.air_c[1:, 0]).mean())
    assert cold.air_rmse_k["pokoj_2"] == pytest.approx(0.0, abs=1e-9)
    assert parts(cold.horizon.execution) == pytest.approx([0.0] * 6, abs=1e-3)


def test_what_was_not_measured_is_taken_as_modelled(made):
    was = as_planned(made[1])
    air, stored = was.air_c.copy(), was.stored_wh.copy()
    air[:, 1], stored[:] = np.nan, np.nan
    grid = was.grid_w.copy()
    grid[6:] = np.nan
    told = split_of(made, replace(was, air_c=air, stored_wh=stored, grid_w=grid))
    assert list(told.air_bias_k) == ["pokoj_1"]
    assert told.horizon.model.total == pytest.approx(0.0, abs=1e-3)
    nothing = split_of(made, replace(was, grid_w=np.full(8, np.nan)))
    assert nothing.horizon.model is None
    assert nothing.energy_kwh is None


def test_relays_that_did_otherwise_are_execution_and_no_fault_of_the_models(made):
    problem, was = made[1].problem, as_planned(made[1])
    relay = 1.0 - was.relay
    heat = relay @ problem.rooms.heater_w
    as_modelled = replace(
        was,
        relay=relay,
        air_c=simulate_rooms(problem.rooms, relay).air_c,
        grid_w=problem.load_w[:8] + heat - was.battery_w - was.pv_used_w,
    )
    other = split_of(made, as_modelled)
    assert parts(other.horizon.model) == pytest.approx([0.0] * 6, abs=1e-3)
    assert other.horizon.execution.switching != 0.0
    assert other.horizon.execution.energy != pytest.approx(0.0, abs=0.01)


def prices(start, at_slot: dict[int, float], usual: float, slots=192) -> Band:
    values = [at_slot.get(k, usual) for k in range(slots)]
    series = Series.of(start, 900, values)
    return Band(p10=series, p50=series, p90=series)


@pytest.fixture(scope="module")
def charging():
    """A car is all there is to decide: 2.5 kWh, an hour's full power; no peak price, no sun, no battery."""
    home = small_home("pokoj_1", water=None, battery=None)
    home = home.model_copy(update={"grid": home.grid.model_copy(update={"peak_czk_kw": 0.0})})
    need_wh = home.ev.power_max_w
    known = winter_case(home, 1, sun=0.0, ev_missing_wh=need_wh)
    dear = prices(START, dict.fromkeys(range(20, 24), 1.0), 5.0)
    forecast = known.forecast.model_copy(update={"buy_czk_kwh": dear})
    known = replace(known, forecast=forecast, thermals={})
    return made_case(home, known), need_wh / 1000.0


def test_a_car_that_charged_in_the_wrong_hour_costs_the_difference_of_both_prices(charging):
    made_one, kwh = charging
    case, made = made_one
    assert np.flatnonzero(made.chosen.decision.ev_w).tolist() == [20, 21, 22, 23]
    came = prices(START, {**dict.fromkeys(range(20, 24), 4.0), **dict.fromkeys(range(40, 44), 2.0)}, 5.0)
    truth = case.known.forecast.model_copy(update={"buy_czk_kwh": came})
    split = split_of(made_one, truth=truth, slots=30)
    for span in (split.executed, split.horizon):
        assert span.forecast.total == pytest.approx(kwh * (4.0 - 2.0), abs=1e-3)
        assert span.forecast.energy == pytest.approx(span.forecast.total)
        assert span.solver.total == pytest.approx(0.0, abs=1e-3)
    # The next plan came before the wrong hour: nothing was lost that could not be made good.
    soon = split_of(made_one, truth=truth, slots=4)
    assert soon.executed.forecast == NOTHING
    assert soon.horizon.forecast.total == pytest.approx(kwh * 2.0, abs=1e-3)
    # Two of its four slots were executed.
    half = split_of(made_one, truth=truth, slots=22)
    assert half.executed.forecast.total == pytest.approx(kwh / 2 * 2.0, abs=1e-3)
    assert split.executed.model is None
    assert split.executed.total.total == pytest.approx(kwh * 2.0, abs=1e-3)


def test_what_a_time_limit_cost_is_the_solvers_part_though_forecasts_came_true(home):
    asked = []

    def late() -> float:
        asked.append(1)
        return 0.0 if len(asked) <= 2 else 4.61

    cut = made_case(home, winter_case(home, 1), limit_s=5.0, elapsed_s=late)
    assert not cut[0].complete
    split = split_of(cut, effort=Effort(rounds=6, fine_rounds=3))
    assert split.horizon.forecast == split.executed.forecast == NOTHING
    assert split.horizon.solver.total > 0.5
    assert split.solver_as_told.total > 0.3


def test_the_plan_as_it_was_published_counts_where_it_does_not_come_again(made):
    """Its battery did nothing: whatever another version would plan now, that is what was followed."""
    case, _ = made
    idle = case.plan.battery.model_copy(update={"intent": ("hold",) * case.plan.slots})
    other = replace(case, plan=case.plan.model_copy(update={"battery": idle}))
    split, before = split_of((other, None)), split_of(made)
    assert split.solver_as_told.wear < before.solver_as_told.wear
    assert split.horizon.total.total > before.horizon.total.total + 1.0


def test_truth_takes_the_place_of_every_quantile_and_gaps_stay_as_forecast(made):
    forecast = made[0].known.forecast
    slots = len(forecast.pv_power_w.p50.values)
    pv = np.full(slots, 123.0)
    pv[5] = np.nan
    none = np.full(10, np.nan)
    told = with_truth(forecast, TrueCourse(pv, none, none, none, none + 1.0, {"south": np.full(slots, 7.0)}))
    assert {told.pv_power_w.p10.values[0], told.pv_power_w.p90.values[0]} == {123.0}
    assert told.pv_power_w.p10.values[5] == forecast.pv_power_w.p10.values[5]
    assert told.load_power_w == forecast.load_power_w
    assert set(told.solar_w_m2["south"].values) == {7.0}
    assert told.solar_w_m2["north"] == forecast.solar_w_m2["north"]
    assert len(told.outdoor_temperature_c.p50.values) == slots


def test_a_plan_of_which_nothing_was_executed_has_no_split(made):
    with pytest.raises(ValueError, match="at least one slot"):
        split_of(made, slots=0)


def test_progress_is_told(made):
    told = []
    regret_split(
        made[0], made[0].known.forecast, executed_slots=int(timedelta(hours=1) / timedelta(minutes=15)), effort=QUICK,
        progress=told.append,
    )  # fmt: skip
    assert told[0] == "the plan as it was"
    assert len(told) == 5, told
