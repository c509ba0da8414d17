"""Twins: the house they live in, and what the real planner and controller make of it."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from tests.unit.lab.twin_kit import QUICK, TICK, made_day, tiny_home
from tests.unit.optimizer.optimizer_cases import small_home

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import Intent
from pems_controller.domain.state import BatteryWish, EvWish, RoomWish, WaterWish
from pems_lab.shadow.days import ShadowDay, changes, refuse_other_house, score, shadow_pair, with_strategy
from pems_lab.shadow.twin import LivedDay, live_through
from pems_lab.shadow.twin_house import TwinHouse


@pytest.fixture(scope="module")
def home() -> Home:
    return tiny_home()


def balance_wh(wh: dict[str, float]) -> float:
    came = wh["import"] - wh["export"] + wh["pv_used"] + wh["battery_out"] - wh["battery_in"]
    return came - (wh["heating"] + wh["ev"] + wh["water"] + wh["household"])


def test_energy_is_neither_made_nor_lost() -> None:
    house = small_home()
    home = tiny_home("pokoj_1", "pokoj_2", ev=house.ev, water=house.water)
    day = made_day(home)
    twin = TwinHouse(home, day.truth, tick=TICK)
    intents: tuple[Intent, ...] = ("charge_from_grid", "self_consume", "hold", "discharge_to_grid", "export_pv", "off")
    step = 0
    while twin.at < day.truth.end:
        intent = intents[step // 24 % len(intents)]
        twin.step(
            {
                "battery": BatteryWish(intent, 4_000.0),
                "ev": EvWish(6_000.0),
                "water": WaterWish(step // 6 % 2 == 0),
                "room:pokoj_1": RoomWish(step // 12 % 2 == 0),
            }
        )
        step += 1
    wh, battery = twin.account.wh, home.battery
    assert battery is not None
    stored = {name: value - twin.begun[name] for name, value in twin.stored_wh().items()}
    assert min(wh["battery_in"], wh["battery_out"], wh["heating"], wh["ev"], wh["water"], wh["export"]) > 100.0
    assert balance_wh(wh) == pytest.approx(0.0, abs=1e-6)
    charge, discharge = battery.legs
    assert stored["battery"] == pytest.approx(wh["battery_in"] * charge - wh["battery_out"] / discharge, abs=1e-6)
    assert stored["rooms"] == pytest.approx(wh["heating"] + wh["rooms_gained"] - wh["rooms_lost"], abs=1.0)
    assert house.ev is not None
    assert stored["ev"] == pytest.approx(wh["ev"] * house.ev.efficiency - 8_000.0, abs=1e-6)
    # What it is paid for is what flowed.
    assert twin.account.slot_import_wh.sum() == pytest.approx(wh["import"])
    with pytest.raises(ValueError, match="is over"):
        twin.step({})


def test_the_inverter_stops_where_it_is_told_and_holds_pv_back(home: Home) -> None:
    day = made_day(home)
    truth = replace(day.truth, soc_pct=50.0, pv_w=np.full(day.truth.slots, 6_000.0))
    full = TwinHouse(home, truth, tick=TICK)
    for _ in range(48):
        full.step({"battery": BatteryWish("charge_from_grid", 3_000.0, stop_soc_pct=60.0)})
    assert full.soc_pct == pytest.approx(60.0, abs=3.0)
    kept = TwinHouse(home, truth, tick=TICK)
    for _ in range(48):
        kept.step({"battery": BatteryWish("hold", export=False)})
    assert kept.account.wh["export"] == 0.0
    assert kept.account.wh["pv_used"] < 0.5 * kept.account.wh["pv_possible"]
    assert kept.soc_pct == pytest.approx(50.0)


@pytest.fixture(scope="module")
def day(home: Home) -> ShadowDay:
    return made_day(home, load_share=1.2)


@pytest.fixture(scope="module")
def lived(home: Home, day: ShadowDay) -> LivedDay:
    return live_through(home, day.truth, day.replans, tick=TICK, effort=QUICK)


def test_twins_of_one_configuration_are_alike_to_the_last_bit(home: Home, day: ShadowDay, lived: LivedDay) -> None:
    one, other = lived, live_through(home, day.truth, day.replans, tick=TICK, effort=QUICK)
    assert one.plans == 12
    assert one.failed == 0
    assert one.followed > 0.5
    assert (one.account.wh, one.account.cost_czk, one.stored_wh) == (
        other.account.wh,
        other.account.cost_czk,
        other.stored_wh,
    )
    assert np.array_equal(one.account.slot_import_wh, other.account.slot_import_wh)
    assert score(home, day.truth, one, one) == score(home, day.truth, one, other)


def test_a_candidate_that_does_not_care_for_warmth_is_colder_and_scored_by_the_live_bands(home: Home) -> None:
    careless = home.model_copy(update={"comfort": home.comfort.model_copy(update={"below_czk_k_h": 0.0})})
    day = made_day(home, outdoor_c=-12.0, sun=0.1)
    pair = shadow_pair(home, careless, day, tick=TICK, effort=QUICK)
    assert pair.candidate.below_k_h > pair.live.below_k_h + 0.5
    assert pair.candidate.cost_czk > pair.live.cost_czk


def test_a_candidate_that_leaves_the_battery_alone_pays_for_it(home: Home) -> None:
    assert home.battery is not None
    idle = home.model_copy(update={"battery": home.battery.model_copy(update={"wear_czk_kwh": 500.0})})
    day = made_day(home)
    pair = shadow_pair(home, idle, replace(day, truth=replace(day.truth, soc_pct=80.0)), tick=TICK, effort=QUICK)
    assert pair.candidate.cost_czk > pair.live.cost_czk + 5.0


def test_what_is_left_in_store_counts(home: Home, day: ShadowDay, lived: LivedDay) -> None:
    fuller = replace(lived, stored_wh=lived.stored_wh | {"battery": lived.stored_wh["battery"] + 1_000.0})
    price = lived.account.bought_czk / lived.account.wh["import"]
    leg = 0.0 if home.battery is None else home.battery.leg_efficiency
    gained = score(home, day.truth, lived, lived).cost_czk - score(home, day.truth, lived, fuller).cost_czk
    assert gained == pytest.approx(1_000.0 * leg * price)


def test_a_twin_without_plans_follows_the_rules_and_is_refused_as_a_day(home: Home) -> None:
    day = made_day(home)
    blind = tuple(replace(r, known=replace(r.known, forecast=None)) for r in day.replans[:2])
    lived = live_through(home, day.truth, blind, tick=TICK, effort=QUICK)
    assert (lived.plans, lived.failed, lived.followed) == (0, 2, 0.0)
    other = with_strategy(home, "robust")
    with pytest.raises(PermanentError, match="no plan could be made"):
        shadow_pair(home, other, replace(day, replans=blind), tick=TICK, effort=QUICK)
    with pytest.raises(PermanentError, match="no plan's inputs"):
        shadow_pair(home, other, replace(day, replans=()), tick=TICK, effort=QUICK)


def test_a_day_begins_with_what_was_known_shortly_before_it(home: Home) -> None:
    day = made_day(home)
    first = day.replans[0]
    before = replace(first, now=first.now - timedelta(minutes=30), decide_from=first.now)
    long_ago = replace(first, now=first.now - timedelta(hours=3), decide_from=first.now)
    late = day.replans[6:7]
    with_it = live_through(home, day.truth, (before, *late), tick=timedelta(minutes=15), effort=QUICK)
    without = live_through(home, day.truth, (long_ago, *late), tick=timedelta(minutes=15), effort=QUICK)
    assert (with_it.plans, without.plans) == (2, 1)


@pytest.mark.parametrize("day", [date(2025, 3, 30), date(2025, 10, 26)])
def test_days_of_23_and_25_hours_are_lived_whole(home: Home, day: date) -> None:
    made = made_day(home, day=day)
    house = TwinHouse(home, made.truth, tick=timedelta(minutes=15))
    while house.at < made.truth.end:
        house.step({})
    assert house.account.wh["household"] == pytest.approx(made.truth.load_w.sum() / 4.0)
    assert made.truth.slots == (92 if day.month == 3 else 100)


def test_what_cannot_be_lived_is_refused(home: Home) -> None:
    truth = made_day(home).truth
    with pytest.raises(PermanentError, match="PV is not known"):
        replace(truth, pv_w=np.where(np.arange(truth.slots) == 5, np.nan, truth.pv_w))
    with pytest.raises(PermanentError, match="load is not known"):
        replace(truth, load_w=truth.load_w[:-1])
    with pytest.raises(PermanentError, match="no model with a state of pokoj_1"):
        TwinHouse(home, replace(truth, thermals={}))
    with pytest.raises(PermanentError, match="ticks"):
        TwinHouse(home, truth, tick=timedelta(minutes=7))


def test_a_candidate_may_change_what_is_decided_and_not_the_house(home: Home) -> None:
    with pytest.raises(PermanentError, match="is the live configuration"):
        refuse_other_house(home, home)
    assert home.battery is not None
    bigger = home.model_copy(update={"battery": home.battery.model_copy(update={"capacity_wh": 20_000.0})})
    with pytest.raises(PermanentError, match=r"another house: battery\.capacity_wh"):
        refuse_other_house(home, bigger)
    warmer = home.rooms["pokoj_1"].model_copy(update={"day_c": 23.0})
    candidate = with_strategy(home.model_copy(update={"rooms": {"pokoj_1": warmer}}), "scenarios")
    refuse_other_house(home, candidate)
    assert set(changes(home, candidate)) == {
        "rooms.pokoj_1.day_c",
        "optimization.uncertainty.strategy",
        "optimization.uncertainty.only_if_it_pays",
    }
