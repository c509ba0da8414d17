"""Figures of hours and days from slots whose answer is known by hand."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import pytest
from tests.unit.monitor.performance_house import (
    BUY,
    LOAD_ERROR_W,
    PV_ERROR_W,
    ROOM_ERROR_C,
    SELL,
    MadeHouse,
    two_rooms,
    utc,
)

from pems_common.held_back import held_back
from pems_common.home import Home
from pems_common.timegrid import SLOT, local_day_slots, slot_range
from pems_monitor.domain.performance import DayRecord, HourRecord, PerformanceMetrics, heating_degree_days, metrics_of
from pems_monitor.domain.performance_slots import Measured, count_plans, count_slots, series_of
from pems_monitor.domain.performance_tally import Tally
from pems_monitor.domain.performance_told import Told, read_forecast, read_plan

BEGUN = utc(2026, 1, 10)
DAY = date(2026, 1, 15)


@pytest.fixture(scope="module")
def rooms() -> Home:
    return two_rooms()


@pytest.fixture
def made(rooms: Home) -> MadeHouse:
    return MadeHouse(rooms, BEGUN)


async def counted(made: MadeHouse, slots: Sequence[datetime], *, told: bool = True) -> Tally:
    """Count slots as the book does."""
    before, end = slots[0] - timedelta(hours=28), slots[-1] + SLOT
    measured = Measured(before, await made.slots(series_of(made.home), before, end))
    forecasts = [read_forecast(e) for e in await made.messages("forecast", before, end)] if told else []
    plans = [read_plan(e) for e in await made.messages("plan", before, end)] if told else []
    return Tally.total(
        [
            count_slots(made.home, slots, measured, Told(forecasts), Told(plans), made.begun),
            count_plans(slots, Told(plans), made.begun),
        ]
    )


async def figures(
    made: MadeHouse, slots: Sequence[datetime] | None = None, *, told: bool = False
) -> PerformanceMetrics:
    slots = slots or local_day_slots(DAY, made.home.site.zone)
    return metrics_of(await counted(made, slots, told=told), made.home)


async def test_errors_of_forecasts_by_lead(made: MadeHouse) -> None:
    day = await figures(made, told=True)
    for lead in ("24h", "6h"):
        assert day.pv_prediction[lead].mae == pytest.approx(PV_ERROR_W, abs=0.01)
        assert day.pv_prediction[lead].rmse == pytest.approx(PV_ERROR_W, abs=0.01)
        assert day.pv_prediction[lead].bias == pytest.approx(PV_ERROR_W, abs=0.01)
        assert day.pv_prediction[lead].inside == 1.0
        assert day.load_prediction[lead].bias == pytest.approx(LOAD_ERROR_W, abs=0.01)
        assert day.load_prediction[lead].inside == 0.0  # the band is half as wide as the error
        assert day.thermal_prediction[lead].mae == pytest.approx(ROOM_ERROR_C, abs=1e-6)
        assert day.thermal_prediction[lead].judged > 0.9
    assert day.optimization_solve_time_s == day.optimization_solve_time_max_s == 1.5
    assert day.plans == 24
    assert day.planless_share == 0.0
    assert day.foreseen_savings_czk_day == pytest.approx(15.0)


async def test_a_forecast_told_too_late_judges_nothing(made: MadeHouse) -> None:
    made.begun = utc(2026, 1, 15, 1)  # nothing was told a day ahead of the 15th
    day = await figures(made, told=True)
    assert day.pv_prediction["24h"].mae is None
    assert day.pv_prediction["24h"].judged == 0.0
    assert day.pv_prediction["6h"].mae == pytest.approx(PV_ERROR_W, abs=0.01)
    assert day.pv_prediction["6h"].judged == pytest.approx(16 / 24)  # from 8 o'clock local


async def test_room_temperatures_count_only_where_it_was_heated_as_planned(made: MadeHouse) -> None:
    made.fixed["room.kuchyne.relay_on"] = 1.0
    tally = await counted(made, local_day_slots(DAY, made.home.site.zone))
    parts = tally.within("room")
    assert parts["loznice"].get("thermal_6h_n") == 96
    assert parts["kuchyne"].get("thermal_6h_n") < 20


async def test_money_and_energy_of_a_day_by_hand(made: MadeHouse) -> None:
    made.fixed |= {"grid_power_w": 1000.0, "pv_power_w": 500.0, "load_power_w": 1500.0}
    day = await figures(made)
    assert day.total_energy_cost_czk == pytest.approx(24 * BUY)
    assert day.pv_generation_wh == pytest.approx(12_000)
    assert day.self_consumption_rate == day.self_consumption_possible == 1.0
    assert day.self_sufficiency == pytest.approx(1 / 3)
    assert day.peak_import_w == 1000.0
    assert day.buy_czk_kwh == pytest.approx(BUY)
    assert day.sell_czk_kwh is None  # nothing was sold
    made.fixed |= {"grid_power_w": -300.0, "load_power_w": 200.0}
    day = await figures(made)
    assert day.total_energy_cost_czk == pytest.approx(-7.2 * SELL)
    assert day.self_consumption_rate == pytest.approx(0.4)
    assert day.peak_import_w == 0.0


async def test_battery_cycles_and_what_they_gained(made: MadeHouse) -> None:
    assert made.home.battery is not None
    made.fixed |= {"grid_power_w": 0.0, "battery_power_w": 1000.0, "load_power_w": 1000.0, "pv_power_w": 0.0}
    day = await figures(made)
    assert day.battery_cycles == pytest.approx(24_000 / made.home.battery.capacity_wh)
    assert day.battery_gain_czk == pytest.approx(24 * BUY)
    made.fixed |= {"battery_power_w": -500.0, "grid_power_w": 500.0, "load_power_w": 0.0}
    assert (await figures(made)).battery_gain_czk == pytest.approx(-12 * BUY)


async def test_heat_above_the_band_was_not_asked_for(made: MadeHouse) -> None:
    day = await figures(made)
    assert day.heating_efficiency == 1.0
    assert day.comfort_inside == 1.0
    made.fixed["room.kuchyne.temperature_c"] = 26.0
    day = await figures(made)
    kitchen, bedroom = (made.home.rooms[name].heat_w for name in ("kuchyne", "loznice"))
    assert day.heating_efficiency == pytest.approx(bedroom / (kitchen + bedroom))
    assert day.comfort_inside == 0.5
    made.fixed["room.kuchyne.temperature_c"] = 10.0
    assert (await figures(made)).comfort_k_h == pytest.approx(16 * (21.5 - 10) + 8 * (19.0 - 10))


async def test_pv_that_was_held_back_judges_no_forecast_and_could_have_been_more(made: MadeHouse) -> None:
    made.fixed |= {"battery_soc_pct": 100.0, "grid_power_w": 0.0, "pv_power_w": 400.0, "load_power_w": 400.0}
    slots = slot_range(utc(2026, 1, 15, 11), 4)
    hour = await figures(made, slots, told=True)
    assert hour.pv_prediction["6h"].mae is None
    assert hour.pv_held_back_share == 1.0
    assert hour.self_consumption_rate == 1.0
    foreseen_wh = sum(made.pv_w(slot) + PV_ERROR_W for slot in slots) / 4
    assert hour.self_consumption_possible == pytest.approx(400 / foreseen_wh, rel=1e-4)
    unforeseen = await figures(made, slots)
    assert unforeseen.self_consumption_possible is None  # what could have been made is not known


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({}, False),
        ({"pv_w": 9_900.0}, True),
        ({"sell_czk_kwh": -0.5, "pv_w": 5.0}, True),
        ({"grid_w": -9_900.0}, True),
        ({"grid_w": -3_000.0}, False),
        ({"grid_w": 0.0}, False),
        ({"grid_w": 0.0, "soc_pct": 100.0}, True),
        ({"grid_w": 0.0, "sell_czk_kwh": -0.5, "battery_w": -5_300.0}, True),
        ({"grid_w": 0.0, "sell_czk_kwh": -0.5, "battery_w": -500.0}, False),
        ({"grid_w": None, "soc_pct": 100.0}, False),
    ],
)
def test_when_pv_may_have_been_held_back(rooms: Home, changes: dict[str, float | None], held: bool) -> None:
    usual = {"pv_w": 2000.0, "grid_w": -500.0, "battery_w": 0.0, "soc_pct": 60.0, "sell_czk_kwh": 1.0}
    given = {**usual, **changes}
    pv_w = given.pop("pv_w")
    assert pv_w is not None
    assert held_back(rooms, pv_w=pv_w, **given) is held


async def test_gaps_are_told_and_nothing_is_invented(made: MadeHouse) -> None:
    made.begun = utc(2026, 1, 15, 11)  # noon local: half of the day
    day = await figures(made)
    assert day.known == day.priced == 0.5
    made.gone = {"grid_power_w", "room.kuchyne.temperature_c"}
    day = await figures(made)
    assert day.known == 0.0
    assert day.total_energy_cost_czk is None
    assert day.peak_import_w is None
    assert day.self_consumption_rate is None
    assert day.pv_generation_wh is not None
    made.gone = {"room.kuchyne.relay_on"}
    assert (await figures(made, told=True)).load_prediction["6h"].mae is None  # part of the load is unknown


async def test_hours_add_up_to_their_day(made: MadeHouse) -> None:
    slots = slot_range(utc(2026, 1, 15, 9), 20)
    whole = await counted(made, slots)
    hours = [await counted(made, slots[i : i + 4]) for i in range(0, 20, 4)]
    parts = [HourRecord(slots[4 * i], hour) for i, hour in enumerate(hours)]
    record = DayRecord.of_hours(DAY, parts, complete=True)
    assert record.tally.peaks == whole.peaks
    assert record.tally.sums == pytest.approx(dict(whole.sums))
    assert not any(hour.tally.within("room") for hour in record.hours)
    again = DayRecord.from_json(record.to_json(), [hour.to_json() for hour in record.hours])
    assert again.tally.sums == pytest.approx(dict(whole.sums), abs=1e-4)
    assert (again.day, again.complete, len(again.hours)) == (DAY, True, 5)


@pytest.mark.parametrize(("day", "slots"), [(date(2026, 3, 29), 92), (DAY, 96), (date(2026, 10, 25), 100)])
async def test_days_on_which_the_clock_is_changed(made: MadeHouse, day: date, slots: int) -> None:
    made.fixed |= {"grid_power_w": 1000.0, "pv_power_w": 0.0, "load_power_w": 1000.0}
    tally = await counted(made, local_day_slots(day, made.home.site.zone), told=False)
    assert tally.get("slots") == tally.get("known_slots") == slots
    assert tally.get("bought_czk") == pytest.approx(slots / 4 * BUY)


def test_degree_days() -> None:
    assert heating_degree_days(None) is None
    assert heating_degree_days(-2.0) == 20.0
    assert heating_degree_days(15.0) == 3.0
    assert heating_degree_days(15.1) == 0.0


@pytest.mark.parametrize("broken", [{}, {"sums": {}}, {"sums": {"a": "b"}, "peaks": {}}, {"sums": 3, "peaks": {}}])
def test_a_damaged_record_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Tally.from_json(broken)
    with pytest.raises(ValueError):
        DayRecord.from_json({"day": "2026-01-15", "complete": True, **broken})
