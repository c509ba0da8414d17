"""The newest plan as EMHASS has it, and tariffs as evcc has them: names, signs, units, and the balance of each slot."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest
from fastapi import FastAPI
from tests.unit.optimizer.optimizer_cases import START
from tests.unit.optimizer.test_optimizer_planner import HOME, House, _quick_plans  # noqa: F401

from pems_common.messages import Prices, Series
from pems_common.problems import install_problems
from pems_optimizer.api import make_router
from pems_optimizer.api_formats import make_formats_router
from pems_optimizer.domain.emhass_plan import emhass_plan, emhass_sensors
from pems_optimizer.domain.tariff_series import planner_rates


async def anyone() -> None:
    return None


def client(house: House) -> httpx.AsyncClient:
    app = FastAPI()
    install_problems(app)
    app.include_router(make_formats_router(house.planner, HOME, house.bus, house.clock))
    app.include_router(make_router(house.planner, HOME, anyone))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


async def house_with_prices() -> House:
    house = House()
    start = house.clock.now()
    series = Series.of(start, 900, [2.0 + 0.01 * t for t in range(40)])
    spot = Series.of(start, 900, [80.0] * 40)
    sell = Series.of(start, 900, [-0.5] * 40)
    prices = Prices(
        spot_eur_mwh=spot,
        eur_czk=25.0,
        buy_czk_kwh=series,
        sell_czk_kwh=sell,
        known_until=start + timedelta(hours=10),
        source="test",
        tariff_version="1",
    )
    await house.publish(prices)
    return await house.begin()


async def test_before_any_plan_there_is_none():
    async with client(House()) as web:
        for path in ("/v1/plans/latest", "/v1/plans/latest?format=emhass", "/v1/tariffs/grid", "/v1/tariffs/solar"):
            answer = await web.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"


async def test_latest_is_the_plan_or_its_rows():
    house = await house_with_prices()
    async with client(house) as web:
        plan = (await web.get("/v1/plans/latest")).json()
        assert plan["plan_id"] == house.planner.plan.plan_id
        rows = (await web.get("/v1/plans/latest", params={"format": "schedule"})).json()
        assert rows == (await web.get("/v1/schedule")).json()
        assert (await web.get("/v1/plans/latest", params={"format": "csv"})).status_code == 422


async def test_an_emhass_plan_balances_in_every_slot():
    house = await house_with_prices()
    async with client(house) as web:
        answer = (await web.get("/v1/plans/latest", params={"format": "emhass"})).json()
    assert answer["status"] == "ok"
    assert answer["emhass_schema_version"] == "1.0"
    assert answer["deferrables"] == {
        "P_deferrable0": "room:pokoj_1",
        "P_deferrable1": "room:zachod",
        "P_deferrable2": "water",
    }
    records = answer["plan"]
    plan = house.planner.plan
    assert len(records) == plan.slots
    assert records[0]["timestamp"] == "2025-01-14T13:00:00Z"
    load = house.known.forecast.load_power_w.p50.values
    for t, record in enumerate(records):
        moved = sum(record[f"P_deferrable{k}"] for k in range(3))
        assert record["P_PV"] + record["P_batt"] + record["P_grid"] == pytest.approx(record["P_Load"] + moved, abs=0.5)
        assert record["P_Load"] == pytest.approx(load[t], abs=1.0)
        assert record["P_grid"] == record["P_grid_pos"] + record["P_grid_neg"]
        assert record["P_grid_neg"] <= 0 <= record["P_grid_pos"]
        assert record["SOC_opt"] == pytest.approx(plan.battery.soc_pct[t] / 100)
        assert record["P_batt"] == plan.battery.power_w[t]
        assert record["predicted_temp_heater0"] == plan.rooms["pokoj_1"].temperature_c[t]
        assert record["optim_status"] == "Optimal"
    on = plan.rooms["pokoj_1"].relay_on
    assert [r["P_deferrable0"] > 0 for r in records] == list(on)


async def test_emhass_money_is_negative_where_it_is_paid_and_sums_to_the_plans():
    house = await house_with_prices()
    records = emhass_plan(house.planner.plan, HOME, house.known.forecast, await newest_prices(house))["plan"]
    assert records[3]["unit_load_cost"] == pytest.approx(2.03)
    assert records[3]["unit_prod_price"] == -0.5
    assert records[60]["unit_load_cost"] == pytest.approx(house.known.forecast.buy_czk_kwh.p50.values[60], abs=1e-4)
    assert -sum(r["cost_profit"] for r in records) == pytest.approx(house.planner.plan.net_cost_czk, abs=0.05)
    assert all(r["cost_fun_cost"] <= 0 for r in records)


async def newest_prices(house: House) -> Prices:
    return Prices.read((await house.bus.latest("prices", HOME.site.id)).body)


async def test_a_stand_in_of_the_rules_is_no_optimum():
    house = await house_with_prices()
    rules = house.planner.plan.model_copy(update={"fallback_mode": True})
    assert emhass_plan(rules, HOME, None, None)["plan"][0]["optim_status"] == "Optimal_Inaccurate"


async def test_emhass_sensors_carry_what_publish_data_does():
    house = await house_with_prices()
    house.clock.advance(timedelta(minutes=40))
    async with client(house) as web:
        sensors = (await web.get("/v1/plans/latest", params={"format": "emhass_sensors"})).json()
    lists = {
        "p_pv_forecast": "forecasts",
        "p_load_forecast": "forecasts",
        "p_grid_forecast": "forecasts",
        "p_deferrable0": "deferrables_schedule",
        "temp_predicted0": "predicted_temperatures",
        "p_batt_forecast": "battery_scheduled_power",
        "soc_batt_forecast": "battery_scheduled_soc",
        "unit_load_cost": "unit_load_cost_forecasts",
        "unit_prod_price": "unit_prod_price_forecasts",
    }
    plan = house.planner.plan
    for name, attribute in lists.items():
        sensor = sensors[f"sensor.{name}"]
        rows = sensor["attributes"][attribute]
        assert len(rows) == plan.slots - 2
        assert rows[0] == {"date": "2025-01-14T14:30:00+01:00", name: sensor["state"]}
        assert isinstance(rows[0][name], str)
    soc = sensors["sensor.soc_batt_forecast"]
    assert float(soc["state"]) == pytest.approx(plan.battery.soc_pct[2], abs=0.01)
    assert soc["attributes"]["unit_of_measurement"] == "%"
    assert sensors["sensor.optim_status"]["state"] == "Optimal"
    assert float(sensors["sensor.total_cost_profit_value"]["state"]) < 0


async def test_emhass_sensors_of_an_old_plan_show_its_last_slot():
    house = await house_with_prices()
    late = house.clock.now() + timedelta(days=9)
    sensors = emhass_sensors(house.planner.plan, HOME, None, None, late)
    assert len(sensors["sensor.p_grid_forecast"]["attributes"]["forecasts"]) == 1


async def test_an_emhass_plan_holds_pv_back_and_stops_it_where_the_inverter_is_off():
    house = await house_with_prices()
    plan, forecast = house.planner.plan, house.known.forecast
    noon = max(range(plan.slots), key=lambda t: forecast.pv_power_w.p50.values[t])
    intents = ["self_consume"] * plan.slots
    intents[noon + 1] = "off"
    limits: list[float | None] = [None] * plan.slots
    limits[noon] = 123.0
    plan = plan.model_copy(
        update={"pv_limit_w": tuple(limits), "battery": plan.battery.model_copy(update={"intent": tuple(intents)})}
    )
    records = emhass_plan(plan, HOME, forecast, None)["plan"]
    assert records[noon]["P_PV"] == 123.0
    assert records[noon + 1]["P_PV"] == 0.0
    assert records[noon - 1]["P_PV"] > 123.0


async def test_tariffs_are_evccs_rates_known_prices_first_then_the_forecast():
    house = await house_with_prices()
    house.clock.advance(timedelta(minutes=20))
    async with client(house) as web:
        rates = (await web.get("/v1/tariffs/grid")).json()["rates"]
        bare = (await web.get("/v1/tariffs/grid", params={"format": "list"})).json()
        feedin = (await web.get("/v1/tariffs/feedin")).json()["rates"]
        solar = (await web.get("/v1/tariffs/solar", params={"format": "list"})).json()
    assert bare == rates
    assert rates[0] == {"start": "2025-01-14T14:15:00+01:00", "end": "2025-01-14T14:30:00+01:00", "value": 2.01}
    assert all(a["end"] == b["start"] for a, b in pairwise(rates))
    assert len(rates) == 191
    forecast = house.known.forecast
    assert rates[39]["value"] == pytest.approx(forecast.buy_czk_kwh.p50.values[40], abs=1e-3)
    assert feedin[0]["value"] == -0.5
    assert max(r["value"] for r in solar) == pytest.approx(max(forecast.pv_power_w.p50.values), abs=0.1)
    for row in (*rates, *solar):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00[+-]\d\d:\d\d", row["start"])
        assert set(row) == {"start", "end", "value"}


async def test_the_planner_tariff_is_the_plans_own_price_of_energy():
    house = await house_with_prices()
    plan = house.planner.plan
    prices = tuple(1.0 + 0.001 * t for t in range(plan.slots))
    rates = planner_rates(
        plan.model_copy(update={"price_czk_kwh": prices}), START + timedelta(minutes=20), HOME.site.zone
    )
    assert rates[0] == {"start": "2025-01-14T14:15:00+01:00", "end": "2025-01-14T14:30:00+01:00", "value": 1.001}
    assert len(rates) == plan.slots - 1
    late = START + timedelta(days=9)
    assert planner_rates(plan.model_copy(update={"price_czk_kwh": prices}), late, HOME.site.zone) == []
    later = {"plan_id": "later", "plan_no": plan.plan_no + 1, "price_czk_kwh": prices}
    await house.publish(plan.model_copy(update=later))
    async with client(house) as web:
        assert (await web.get("/v1/tariffs/planner")).json()["rates"][0]["value"] == 1.0


@pytest.mark.parametrize("usage", ["co2", "planner", "temperature"])
async def test_tariffs_that_are_not_there_say_so(usage):
    async with client(await house_with_prices()) as web:
        answer = await web.get(f"/v1/tariffs/{usage}")
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("tariff not available")
        assert (await web.get("/v1/tariffs/gas")).status_code == 422


async def test_unreadable_state_counts_as_absent():
    house = await house_with_prices()
    envelope = await house.bus.latest("prices", HOME.site.id)
    assert envelope is not None
    broken = envelope.model_copy(update={"body": {"spot": "?"}, "seq": envelope.seq + 1, "id": "0" * 32})
    await house.bus.publish(broken)
    async with client(house) as web:
        rates = (await web.get("/v1/tariffs/grid")).json()["rates"]
    assert rates[0]["value"] == pytest.approx(house.known.forecast.buy_czk_kwh.p50.values[0], abs=1e-4)


async def test_the_answers_are_plain_json_with_instants_in_utc():
    house = await house_with_prices()
    answer = emhass_plan(house.planner.plan, HOME, house.known.forecast, None)
    again = json.loads(json.dumps(answer, allow_nan=False))
    first = datetime.fromisoformat(again["plan"][0]["timestamp"])
    assert first == house.planner.plan.start
    assert first.utcoffset() == UTC.utcoffset(None)
