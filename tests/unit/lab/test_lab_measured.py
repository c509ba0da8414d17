"""A span out of the history: what was measured, what was closed, what is missing, on days of every length."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.unit.lab.backtest_kit import BEGIN, FULL, SMALL, made_columns, read, stored

from pems_common.errors import PemsError
from pems_common.timegrid import SLOT, local_midnight
from pems_lab.measured.span import read_span


async def test_a_whole_past_is_read_as_it_was() -> None:
    span = await read(made_columns(2), 2)
    assert span.count == 192
    assert span.start == BEGIN
    assert [day.day for day in span.usable_days()] == [date(2026, 1, 6), date(2026, 1, 7)]
    assert span.household_w == pytest.approx(np.full(192, 400.0))
    assert span.heating_w() == pytest.approx(np.full(192, 500.0))
    # 100 EUR/MWh at the fallback rate 24.5, with the owner's additions by night (NT) and at 10:30 (VT).
    assert span.buy_czk_kwh[0] == pytest.approx(2.45 + 0.281)
    assert span.buy_czk_kwh[42] == pytest.approx(2.45 + 0.919)
    assert span.sell_czk_kwh[0] == pytest.approx(1.95)
    assert not span.missing
    assert any("no exchange rate" in note for note in span.notes)


async def test_a_short_gap_is_closed_and_counted_a_long_one_costs_the_day() -> None:
    columns = made_columns(3)
    load = columns["load_power_w"]
    load[10:14], load[14:18] = np.nan, 1300.0
    columns["room.loznice.temperature_c"][96 + 30 : 96 + 50] = np.nan
    span = await read(columns, 3)
    first, second, third = span.days
    assert first.usable
    assert first.closed_slots == 4
    assert span.load_w[10:14] == pytest.approx([980.0, 1060.0, 1140.0, 1220.0])
    assert not second.usable
    assert second.why == "no temperature of loznice for hours"
    assert third.usable
    (gap,) = span.coverage["room.loznice.temperature_c"].gaps
    assert (gap.start, gap.end) == (BEGIN + 126 * SLOT, BEGIN + 146 * SLOT)
    assert span.coverage["load_power_w"].share == pytest.approx(1 - 4 / 288)


async def test_many_short_gaps_cost_the_day_too() -> None:
    columns = made_columns(1)
    columns["grid_power_w"][::3] = np.nan
    span = await read(columns, 1)
    assert span.days[0].why == "grid power is mostly gaps"


@pytest.mark.parametrize(("day", "slots"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100)])
async def test_days_of_a_clock_change_have_their_own_length(day: date, slots: int) -> None:
    zone = SMALL.site.zone
    begin, end = local_midnight(day, zone), local_midnight(day + timedelta(days=1), zone)
    span = await read(made_columns(slots / 96), slots / 96, begin=begin)
    assert span.end == end
    assert [(found.day, found.until - found.first, found.usable) for found in span.days] == [(day, slots, True)]


async def test_a_part_keeps_what_lies_in_it() -> None:
    columns = made_columns(3)
    columns["load_power_w"] += np.arange(288.0)
    span = await read(columns, 3)
    part = span.part(50, 192)
    assert part.start == BEGIN + 50 * SLOT
    assert part.load_w[0] == pytest.approx(950.0)
    assert [(day.day, day.first, day.until) for day in part.days] == [(date(2026, 1, 7), 46, 142)]
    assert len(part.room_c["loznice"]) == len(part.weather["ghi_w_m2"]) == part.count == 142


async def test_what_is_missing_is_told_with_what_to_do() -> None:
    columns = made_columns(1)
    for name in ("battery_soc_pct", "weather.ghi_w_m2", "price.spot_eur_mwh"):
        columns[name][:] = np.nan
    span = await read(columns, 1)
    told = {missing.what: missing.remedy for missing in span.missing}
    assert "state of charge" in told
    assert "PEMS_DATA_DIR" in told["prices of 96 of 96 slots"]
    assert any("sun" in what for what in told)
    assert not span.days[0].usable


async def test_missing_prices_are_filled_in_from_another_source() -> None:
    columns = made_columns(1)
    columns["price.spot_eur_mwh"][40:] = np.nan
    span = await read(columns, 1, spot=lambda slot: 50.0, spot_label="a file", rate=lambda slot: 25.0)
    assert span.spot_eur_mwh[39:41] == pytest.approx([100.0, 50.0])
    assert span.eur_czk[0] == pytest.approx(25.0)
    assert "56 of 96 prices are filled in from a file" in span.notes
    assert span.days[0].usable


async def test_rooms_car_and_tank_that_nobody_recorded_are_left_to_the_household() -> None:
    home = FULL.model_copy(update={"rooms": {name: FULL.rooms[name] for name in ("loznice", "zachod")}})
    span = await read(made_columns(1), 1, home=home)
    assert list(span.home.rooms) == ["loznice"]
    assert span.home.rooms["loznice"].neighbours == ()
    assert span.home.ev is None
    assert span.home.water is None
    told = " ".join(missing.what for missing in span.missing)
    assert "temperature and relay of zachod" in told
    assert "the car" in told
    assert span.days[0].usable


async def test_the_meter_follows_from_the_inverter() -> None:
    columns = made_columns(1)
    columns["grid_power_w"][:] = np.nan
    columns["battery_power_w"][:] = 300.0
    span = await read(columns, 1)
    assert span.grid_w == pytest.approx(np.full(96, 600.0))
    assert "grid power follows from load, PV and battery" in span.notes


async def test_pv_that_was_held_back_is_rebuilt() -> None:
    sun = np.zeros(960)
    noon = np.arange(960) % 96
    sun[(noon >= 36) & (noon <= 60)] = 400.0
    pv = np.where(sun > 0, 2_000.0, 0.0)
    columns = made_columns(10, weather__ghi_w_m2=sun, pv_power_w=pv, grid_power_w=900.0 - pv)
    last = slice(9 * 96 + 44, 9 * 96 + 48)
    columns["pv_power_w"][last], columns["grid_power_w"][last] = 900.0, 0.0
    columns["battery_soc_pct"][last] = 100.0
    span = await read(columns, 10)
    assert span.held_back[last].all()
    assert span.days[9].held_back_slots == 4
    assert (span.pv_possible_w[last] > 1_200.0).all()
    free = ~span.held_back
    assert span.pv_possible_w[free] == pytest.approx(span.pv_w[free])


async def test_a_pv_reading_that_the_balance_does_not_bear_is_taken_as_it_is() -> None:
    pv = np.where(np.arange(96) % 96 > 40, 2_000.0, 0.0)
    span = await read(made_columns(1, pv_power_w=pv, grid_power_w=900.0 - pv / 2.0), 1)
    assert span.pv_ac_share == 1.0
    assert any("tell 0.50 of the PV reading" in note for note in span.notes)


async def test_a_day_that_is_still_recorded_is_left_out_but_for_its_prices() -> None:
    span = await read(made_columns(1.5), 1.5, measured_until=BEGIN + timedelta(days=1))
    assert np.isnan(span.load_w[100:]).all()
    assert np.isfinite(span.spot_eur_mwh).all()
    assert [day.usable for day in span.days] == [True]


async def test_weather_as_it_came_is_measured_temperature_and_told_sun() -> None:
    columns = made_columns(1, outdoor_temperature_c=np.full(96, -3.0))
    weather = (await read(columns, 1)).true_weather()
    assert weather.at(BEGIN + timedelta(hours=12)).temperature_c == pytest.approx(-3.0)
    assert weather.at(BEGIN + timedelta(hours=12)).cloud_cover_pct == pytest.approx(100.0)


async def test_an_empty_span_and_an_empty_history_are_refused() -> None:
    store = await stored(made_columns(1))
    with pytest.raises(PemsError, match="is no span"):
        await read_span(SMALL, store, BEGIN, BEGIN)
    with pytest.raises(PemsError, match="holds nothing"):
        await read_span(SMALL, store, datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC))
