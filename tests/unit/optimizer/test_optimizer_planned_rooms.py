"""Which rooms are planned by the tier of their model, and what the others are expected to draw."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, first_house, small_home, winter_case

from pems_common.comfort import comfort_target_c
from pems_common.messages import PlanInputs, RoomState
from pems_common.thermal import discretise
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.planned_rooms import RoomsFound, find_rooms, thermostat_load_w
from pems_optimizer.domain.planning import Ask, make_plan
from pems_optimizer.domain.why import WishError, read_wish

HOME = small_home()
KNOWN = winter_case(HOME, 1)
HORIZON = Horizon(START, 192, 0, HOME.site.zone)
OUTDOOR = np.full(192, -5.0)


def with_tiers(known=KNOWN, **tiers):
    """What is known, with other tiers of some rooms."""
    changed = {room: known.thermals[room].model_copy(update={"tier": tier}) for room, tier in tiers.items()}
    return replace(known, thermals={**known.thermals, **changed})


def find(known) -> RoomsFound:
    return find_rooms(HOME, known, HORIZON, -5.0)


def load(known, outdoor_c=OUTDOOR) -> np.ndarray:
    return thermostat_load_w(HOME, find(known), HORIZON, outdoor_c)


def only(room: str, tier: str, **state: float):
    """One room with a tier; the others planned."""
    known = with_tiers(**{room: tier})
    if state:
        thermal = known.thermals[room]
        here = RoomState(at=START, **{"air_c": 21.0, "mass_c": 22.0, **state})
        known = replace(known, thermals={**known.thermals, room: thermal.model_copy(update={"state": here})})
        rooms = {room: known.telemetry.rooms[room].model_copy(update={"temperature_c": here.air_c})}
        telemetry = known.telemetry.model_copy(update={"rooms": {**known.telemetry.rooms, **rooms}})
        known = replace(known, telemetry=telemetry)
    return known


@pytest.mark.parametrize(
    ("tier", "why"),
    [("prior", None), ("control", None), ("suggest", "model_on_trial"), ("observe", "model_not_trusted")],
)
def test_the_tier_says_who_decides_and_the_note_says_why(tier: str, why: str | None):
    found = find(with_tiers(pokoj_1=tier))
    assert ("pokoj_1" in found.left) is (why is not None)
    assert ("pokoj_1" in [t.room for t in found.thermals]) is (why is None)
    notes = [(n.code, n.params["room"], n.params["why"]) for n in found.notes]
    assert notes == ([] if why is None else [("room_left_to_thermostat", "pokoj_1", why)])
    assert "pokoj_1" in found.fixed_air_c  # its neighbours are planned beside it


def test_a_trial_without_a_temperature_is_counted_by_its_loss():
    known = with_tiers(pokoj_1="suggest")
    blind = known.thermals["pokoj_1"].model_copy(update={"state": None})
    telemetry = known.telemetry.model_copy(update={"rooms": {}})
    found = find(replace(known, thermals={**known.thermals, "pokoj_1": blind}, telemetry=telemetry))
    assert found.left["pokoj_1"].state_c is None
    assert {n.params["why"] for n in found.notes} == {"no_temperature"}
    assert (thermostat_load_w(HOME, found, HORIZON, OUTDOOR) > 0).all()


def test_observed_rooms_follow_the_schedule_over_the_horizon():
    drawn = load(only("pokoj_1", "observe"))
    target = np.array([comfort_target_c(HOME, "pokoj_1", HORIZON.at(t)) for t in range(192)])
    assert len(set(target)) == 2
    model = KNOWN.thermals["pokoj_1"].model
    assert drawn == pytest.approx((target + 5.0) / model.rea_k_w)


def rule_thermostat_w(thermal, air_c: float, mass_c: float, target_c: np.ndarray, inflow_w: np.ndarray) -> np.ndarray:
    """Mean power per slot of a relay with hysteresis, minute by minute."""
    model, step = thermal.model, discretise(thermal.model, 60.0)
    on, power = False, []
    for minute in range(len(target_c) * 15):
        t = minute // 15
        on = air_c < target_c[t] + (0.15 if on else -0.15)
        heat = model.heater_w * on
        inflow = inflow_w[t] + (1 - model.heat_to_mass) * heat
        air_c, mass_c = step.step(air_c, mass_c, inflow, model.heat_to_mass * heat)
        power.append(heat)
    return np.array(power).reshape(-1, 15).mean(axis=1)


@pytest.mark.parametrize("outdoor_c", [-10.0, 5.0])
def test_the_mean_of_a_room_on_trial_is_that_of_a_relay_on_the_same_model(outdoor_c: float):
    known = only("pokoj_1", "suggest", air_c=21.0, mass_c=23.0)
    flat = known.forecast.buy_czk_kwh
    flat = type(flat)(**{q: s.model_copy(update={"values": (2.0,) * len(s.values)}) for q, s in flat})
    known = replace(known, forecast=known.forecast.model_copy(update={"buy_czk_kwh": flat, "solar_w_m2": {}}))
    drawn = load(known, np.full(192, outdoor_c))
    thermal = known.thermals["pokoj_1"]
    model = thermal.model
    target = np.array([comfort_target_c(HOME, "pokoj_1", HORIZON.at(t)) for t in range(192)])
    beside = sum(
        g * (comfort_target_c(HOME, n, START) if n in HOME.rooms else outdoor_c) for n, g in model.neighbours.items()
    )
    gains = [model.gains_w.get(str(at.hour), 0.0) for at in HORIZON.local]
    inflow = np.full(192, outdoor_c / model.rea_k_w + beside) + gains
    relay = rule_thermostat_w(thermal, 21.0, 23.0, target, inflow)
    assert drawn.sum() == pytest.approx(relay.sum(), rel=0.1)
    assert drawn.max() <= model.heater_w


def test_what_is_foreseen_of_a_room_on_trial_is_not_brittle():
    one, other = (load(only("pokoj_1", "suggest", air_c=a)) for a in (20.9, 21.0))
    model = KNOWN.thermals["pokoj_1"].model
    assert np.abs(one - other).max() < 0.15 * model.heater_w  # a relay's sequences differ by all of it


def test_a_room_on_trial_draws_less_when_it_is_warm_sunny_or_otherwise_heated():
    cold, warm = (load(only("pokoj_1", "suggest", air_c=a, mass_c=a + 1)) for a in (19.5, 22.5))
    assert cold[:16].sum() > warm[:16].sum() + 100
    disturbed = load(only("pokoj_1", "suggest", disturbance_w=300.0))
    assert disturbed.sum() < load(only("pokoj_1", "suggest", disturbance_w=0.0)).sum() - 1_000
    known = with_tiers(pokoj_1="suggest")
    dark = replace(known, forecast=known.forecast.model_copy(update={"solar_w_m2": {}}))
    assert load(known).sum() < load(dark).sum() - 100


def test_cheap_slots_and_the_hours_before_the_morning_draw_more():
    known = only("pokoj_1", "suggest", air_c=20.0, mass_c=21.0)
    found = find(known)
    drawn = thermostat_load_w(HOME, found, HORIZON, OUTDOOR)
    never = replace(found, cheap=np.zeros(192, dtype=bool))
    plain = thermostat_load_w(HOME, never, HORIZON, OUTDOOR)
    assert drawn[found.cheap].mean() > plain[found.cheap].mean()
    morning = next(t for t in range(1, 192) if (HORIZON.local[t].hour, HORIZON.local[t].minute) == (6, 0))
    cheap_first = replace(never, buy=np.where(np.arange(192) < morning - 8, 1.0, 2.0))
    dear = replace(never, buy=np.where(np.arange(192) < morning, 9.0, 2.0) - np.arange(192) * 1e-3)
    early, late = slice(morning - 12, morning - 8), slice(morning - 4, morning)
    even, spared = (thermostat_load_w(HOME, found, HORIZON, OUTDOOR) for found in (cheap_first, dear))
    assert even[early].mean() > spared[early].mean() + 50, "before the lead only what is not dear is taken"
    assert spared[late].mean() > spared[early].mean() + 50, "in the lead the room is heated, whatever it costs"


def test_a_cold_day_raises_the_upper_edge_of_the_load():
    problem = assemble(HOME, only("pokoj_1", "suggest"), now=START, decide_from=START)
    planned = assemble(HOME, KNOWN, now=START, decide_from=START)
    low, high = problem.bands["load_w"]
    narrow_low, narrow_high = planned.bands["load_w"]
    assert (high - low).mean() > (narrow_high - narrow_low).mean()


def test_the_import_limit_holds_with_several_rooms_on_their_thermostats():
    names = ("pokoj_1", "pokoj_2", "loznice", "pracovna", "hosti", "chodba_nahore", "chodba_dole")
    home = small_home(*names)
    home = home.model_copy(update={"grid": home.grid.model_copy(update={"breaker_a": 13.0})})
    assert home.grid.import_max_w == 8_970.0
    known = winter_case(home, 2, outdoor_c=-8.0)
    tiers = dict.fromkeys(("pokoj_1", "pokoj_2", "loznice"), "suggest") | {"pracovna": "observe"}
    known = with_tiers(known, **tiers)
    ask = Ask("plan-1", 1, START, START, 30.0)
    inputs = PlanInputs(forecast_id="f", prices_id="p", telemetry_id="t")
    plan = make_plan(home, known, inputs, ask, elapsed_s=lambda: 0.0)
    assert set(plan.rooms) == {"hosti", "chodba_nahore", "chodba_dole"}
    assert max(plan.grid_power_w) <= home.grid.import_max_w
    assert not [v for v in plan.violations if v.rule == "import_limit"]
    problem = assemble(home, known, now=START, decide_from=START)
    bare = assemble(home, winter_case(home, 2, outdoor_c=-8.0), now=START, decide_from=START)
    assert problem.load_w.mean() > bare.load_w.mean() + 1_000  # the limit was honoured with them, not without
    whys = sorted(n.params["why"] for n in problem.notes if n.code == "room_left_to_thermostat")
    assert whys == ["model_not_trusted"] + 3 * ["model_on_trial"]


@pytest.mark.parametrize(("tier", "words"), [("suggest", "on trial"), ("observe", "no better than")])
def test_asked_why_a_room_is_not_planned_the_answer_is_its_model(tier: str, words: str):
    problem = assemble(HOME, only("pokoj_1", tier), now=START, decide_from=START)
    with pytest.raises(WishError, match=words):
        read_wish(problem, {"device": "room:pokoj_1", "slot": 30, "action": "on"})
    with pytest.raises(WishError, match="not part of this plan"):
        read_wish(problem, {"device": "room:cellar", "slot": 30, "action": "on"})


def test_a_whole_house_on_trial_is_assembled_without_a_room_to_plan():
    home = first_house()
    known = winter_case(home, 3)
    known = with_tiers(known, **dict.fromkeys(home.rooms, "suggest"))
    problem = assemble(home, known, now=START, decide_from=START + timedelta(minutes=15))
    assert problem.rooms.count == 0
    assert len([n for n in problem.notes if n.params.get("why") == "model_on_trial"]) == 17
    assert np.isfinite(problem.load_w).all()
