"""From messages to a problem: what is missing is replaced and named, wrong times and persons' wishes are respected."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, small_problem, winter_case

from pems_common.messages import EvReading, OverrideEntry, Prices, Series, Status
from pems_optimizer.domain.assemble import InputProblem, Known, assemble
from pems_optimizer.domain.thermal_response import simulate_rooms


@pytest.fixture(scope="module")
def home():
    return small_home()


@pytest.fixture(scope="module")
def known(home):
    return winter_case(home, 1)


def build(home, known, **changes):
    now = changes.pop("now", START)
    return assemble(home, replace(known, **changes), now=now, decide_from=now)


def status(*entries):
    return Status(house_mode="mpc", devices={}, overrides=entries, armed=True, shadow=False, tick_ms=1, uptime_s=1)


def held(device, action, hours=2.0, **params):
    until = START + timedelta(hours=hours)
    return OverrideEntry(device=device, action=action, params=params, until=until, by="me", revision=1)


def test_without_a_forecast_there_is_no_plan(home, known):
    with pytest.raises(InputProblem, match="no forecast"):
        build(home, known, forecast=None)
    with pytest.raises(InputProblem, match="covers only"):
        build(home, known, now=START + timedelta(hours=44))


def test_an_older_forecast_gives_a_shorter_horizon(home, known):
    assert build(home, known).slots == 192
    assert build(home, known, now=START + timedelta(hours=10)).slots == 152


def test_a_room_without_model_is_left_to_its_thermostat_and_counted_as_load(home, known):
    thermals = {k: v for k, v in known.thermals.items() if k != "pokoj_1"}
    problem = build(home, known, thermals=thermals)
    assert problem.rooms.names == ("pokoj_2", "chodba_nahore")
    assert ("room_left_to_thermostat", "no_model") in [(n.code, n.params.get("why")) for n in problem.notes]
    assert problem.load_w.mean() > build(home, known).load_w.mean() + 50


def test_a_room_whose_model_is_not_trusted_is_left_alone(home, known):
    thermals = dict(known.thermals)
    thermals["pokoj_1"] = thermals["pokoj_1"].model_copy(update={"tier": "observe"})
    problem = build(home, known, thermals=thermals)
    assert "pokoj_1" not in problem.rooms.names
    assert problem.notes[-1].params["why"] == "model_not_trusted"


def test_a_room_without_any_temperature_is_left_alone(home, known):
    thermals = {k: v.model_copy(update={"state": None}) for k, v in known.thermals.items()}
    rooms = dict(known.telemetry.rooms)
    rooms["pokoj_1"] = rooms["pokoj_1"].model_copy(update={"temperature_c": None})
    telemetry = known.telemetry.model_copy(update={"rooms": rooms})
    problem = build(home, known, thermals=thermals, telemetry=telemetry)
    assert "pokoj_1" not in problem.rooms.names
    # Without an estimate the slab is guessed warmer than the air of a heated house.
    assert (problem.rooms.mass_c > problem.rooms.air_c).all()


def test_without_telemetry_or_soc_a_plan_is_made_on_assumptions(home, known):
    problem = build(home, known, telemetry=None)
    assert {"no_telemetry", "soc_unknown"} <= {n.code for n in problem.notes}
    assert problem.battery.energy_wh == 5000.0
    assert problem.ev is None
    assert problem.water is None
    assert problem.load_w.mean() > known_load(known)


def known_load(known):
    return np.mean(known.forecast.load_power_w.p50.values)


def test_published_prices_win_over_the_forecast(home, known):
    flat = Series.of(START, 900, [9.0] * 192)
    prices = Prices(
        spot_eur_mwh=flat,
        eur_czk=25,
        buy_czk_kwh=flat,
        sell_czk_kwh=flat,
        known_until=START + timedelta(hours=10),
        source="t",
        tariff_version="1",
    )
    problem = build(home, known, prices=prices)
    assert (problem.buy[:40] == 9.0).all()
    assert (problem.buy[40:] != 9.0).any()


def test_no_car_no_need(home, known):
    for ev in (None, EvReading(connected=False, soc_pct=20), EvReading(connected=True, soc_pct=95)):
        assert build(home, known, telemetry=known.telemetry.model_copy(update={"ev": ev})).ev is None


def test_the_cars_deadline_is_the_next_morning_local_time(home, known):
    ev = build(home, known).ev
    ready = (START + ev.deadline * timedelta(minutes=15)).astimezone(home.site.zone)
    assert (ready.hour, ready.minute) == (7, 0)
    assert ready - START.astimezone(home.site.zone) < timedelta(days=1)
    assert ev.need_wh == pytest.approx(8000.0, rel=1e-6)


def test_a_car_that_does_not_tell_its_soc_gets_a_days_worth(home, known):
    ev = EvReading(connected=True, session_wh=2000.0)
    problem = build(home, known, telemetry=known.telemetry.model_copy(update={"ev": ev}))
    assert 6000 < problem.ev.need_wh < 8000


@pytest.mark.parametrize(
    ("start", "slots_to_morning"),
    [
        (datetime(2025, 3, 29, 18, tzinfo=UTC), 40),  # 19:00 to 06:00 in a night of one hour less
        (datetime(2025, 10, 25, 18, tzinfo=UTC), 44),  # 20:00 to 06:00 in a night of one hour more
        (datetime(2025, 1, 14, 18, tzinfo=UTC), 44),
    ],
)
def test_bands_follow_local_time_over_a_clock_change(home, start, slots_to_morning):
    problem = small_problem(home, start=start)
    low = problem.rooms.band_low_c[:, 0]
    warmer = np.flatnonzero(np.diff(low) > 0) + 1
    assert warmer.tolist() == [slots_to_morning, slots_to_morning + 96]


def test_a_person_who_heats_a_room_is_planned_with(home, known):
    problem = build(home, known, status=status(held("room:pokoj_1", "heat", target_c=24.0)))
    assert problem.rooms.target_c[0, 0] == 24.0
    assert problem.rooms.target_c[8, 0] < 24.0
    on = build(home, known, status=status(held("room:pokoj_2", "on", hours=1)))
    r = on.rooms.names.index("pokoj_2")
    assert on.rooms.forced[r] == 4
    assert on.rooms.forced_on[:4, r].all()


def test_overrides_of_battery_car_and_water_are_planned_with(home, known):
    problem = build(
        home,
        known,
        status=status(held("battery", "hold"), held("ev", "charge", power_w=3000.0), held("water", "on", hours=0.5)),
    )
    assert problem.battery.forced_intent == ("hold",) * 8
    assert problem.ev.forced_w.tolist() == [3000.0] * 8
    assert problem.water.forced_on == (True, True)
    off = build(home, known, status=status(held("ev", "off", hours=30)))
    assert off.ev.need_wh == 0.0


def test_an_ended_override_means_nothing(home, known):
    problem = build(home, known, status=status(held("battery", "hold", hours=-0.1)))
    assert problem.battery.forced == 0


def test_slots_before_the_plan_can_act_keep_the_present_state(home, known):
    now = START + timedelta(minutes=9)
    problem = assemble(home, known, now=now, decide_from=START + timedelta(minutes=30))
    assert problem.start == START
    assert problem.frozen == 2
    on = [known.telemetry.rooms[n].relay_on for n in problem.rooms.names]
    assert problem.rooms.forced_on[:2].tolist() == [on, on]


def test_the_coupled_step_keeps_an_isothermal_house_isothermal():
    """With everything at one temperature and no gains nothing moves, neighbours or not."""
    problem = small_problem()
    rooms = problem.rooms
    still = replace(
        rooms,
        air_c=np.full(3, 20.0),
        mass_c=np.full(3, 20.0),
        air_input_w=np.tile(20.0 * _outside(problem), (problem.slots, 1)),
    )
    path = simulate_rooms(still, np.zeros((problem.slots, 3), dtype=bool))
    assert np.allclose(path.air_c, 20.0, atol=1e-6)


def _outside(problem):
    # Neighbours that are not planned are inputs; here all are planned, so only the outdoor conductance is left.
    return problem.rooms.outward_w_k


def test_profiles_change_the_weights(home):
    weights = {}
    for profile in ("economic", "balanced", "comfort", "green"):
        plan = home.optimization.model_copy(update={"profile": profile})
        weights[profile] = small_problem(home.model_copy(update={"optimization": plan})).weights
    assert (
        weights["economic"].export_czk_kwh == 0.0 < weights["balanced"].export_czk_kwh < weights["green"].export_czk_kwh
    )
    assert weights["comfort"].below_czk_k_h > weights["balanced"].below_czk_k_h == weights["green"].below_czk_k_h
    assert weights["balanced"].export_czk_kwh == pytest.approx(0.2 / 0.7 * 2.5)


def test_nothing_known_at_all_is_refused(home):
    with pytest.raises(InputProblem):
        assemble(home, Known(forecast=None), now=START, decide_from=START)
