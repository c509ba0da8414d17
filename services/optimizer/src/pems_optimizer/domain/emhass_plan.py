"""A plan in the words of EMHASS, so that dashboards made for it can read PEMS.

Columns, signs and units are those of EMHASS's published plan schema 1.0 (its docs/plan_output_schema.md and
docs/publish_data.md): powers in W, `P_batt` + = discharge, `P_grid` + = import, `P_grid_neg` <= 0, `SOC_opt` a
fraction at the end of the slot, `cost_*` negative where money is paid, instants in UTC. In each slot
`P_PV + P_batt + P_grid = P_Load + sum of P_deferrable`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from pems_common.home import Home
from pems_common.messages import Forecast, Plan, Prices
from pems_optimizer.domain.problem import Floats
from pems_optimizer.domain.tariff_series import forecast_or_known

__all__ = ["SCHEMA_VERSION", "emhass_plan", "emhass_sensors"]

SCHEMA_VERSION = "1.0"


def _deferrables(plan: Plan, home: Home) -> dict[str, Floats]:
    """Return the power of everything that the plan moves, by PEMS's name of the device, in a fixed order."""
    out: dict[str, Floats] = {}
    for name, room in plan.rooms.items():
        power = home.rooms[name].heat_w if name in home.rooms else 0.0
        out[f"room:{name}"] = np.array(room.relay_on, dtype=np.float64) * power
    if plan.water_on and home.water is not None:
        out["water"] = np.array(plan.water_on, dtype=np.float64) * home.water.power_w / home.water.cop
    if plan.ev_power_w:
        out["ev"] = np.array(plan.ev_power_w, dtype=np.float64)
    for name, on in plan.appliances.items():
        power = home.appliances[name].power_w if name in home.appliances else 0.0
        out[f"appliance:{name}"] = np.array(on, dtype=np.float64) * power
    return out


def _pv_w(plan: Plan, home: Home, forecast: Forecast | None) -> Floats:
    """Return PV as the plan uses it: the forecast's middle, held back where the plan says so."""
    if forecast is None:
        return np.zeros(plan.slots)
    expected = forecast.pv_power_w.p50.window(plan.start, plan.slots, plan.step_s)
    pv = np.array([min(max(value or 0.0, 0.0), home.pv.inverter_ac_limit_w) for value in expected])
    for t, limit in enumerate(plan.pv_limit_w):
        if limit is not None:
            pv[t] = min(pv[t], limit)
    if plan.battery is not None:
        pv[np.array([intent == "off" for intent in plan.battery.intent])] = 0.0
    return pv


class _Columns:
    """The plan as EMHASS's columns (T,)."""

    def __init__(self, plan: Plan, home: Home, forecast: Forecast | None, prices: Prices | None) -> None:
        """Work them out."""
        slots, kwh = plan.slots, plan.step_s / 3600.0 / 1000.0
        self.devices = _deferrables(plan, home)
        grid = np.array(plan.grid_power_w) if plan.grid_power_w else np.zeros(slots)
        battery = np.zeros(slots) if plan.battery is None else np.array(plan.battery.power_w)
        pv = _pv_w(plan, home, forecast)
        moved = sum(self.devices.values(), np.zeros(slots))
        buy, sell = forecast_or_known(plan.start, slots, plan.step_s, forecast, prices)
        bought, sold = np.maximum(grid, 0.0), np.minimum(grid, 0.0)
        self.of: dict[str, Floats] = {
            "P_PV": pv,
            "P_Load": np.maximum(grid + pv + battery - moved, 0.0),
            **{f"P_deferrable{k}": power for k, power in enumerate(self.devices.values())},
            "P_grid_pos": bought,
            "P_grid_neg": sold,
            "P_grid": grid,
        }
        if plan.battery is not None:
            self.of |= {"P_batt": battery, "SOC_opt": np.array(plan.battery.soc_pct) / 100.0}
        self.of |= {f"predicted_temp_heater{k}": np.array(r.temperature_c) for k, r in enumerate(plan.rooms.values())}
        self.of |= {
            "unit_load_cost": buy,
            "unit_prod_price": sell,
            "cost_profit": -kwh * (buy * bought + sell * sold),
            "cost_fun_cost": -kwh * buy * bought,
        }
        # A plan of the solver counts as EMHASS counts one within its gap; the rules' stand-in proves nothing.
        self.status = "Optimal_Inaccurate" if plan.fallback_mode else "Optimal"


def emhass_plan(plan: Plan, home: Home, forecast: Forecast | None, prices: Prices | None) -> dict[str, Any]:
    """Return the plan as EMHASS's `GET /api/v1/plan` does: one record per slot.

    `deferrables` says which device is which `P_deferrable`; EMHASS has no such field, its readers ignore it.
    """
    columns = _Columns(plan, home, forecast, prices)
    rounded = {name: np.round(values + 0.0, 5).tolist() for name, values in columns.of.items()}
    records = []
    for t in range(plan.slots):
        at = (plan.start + timedelta(seconds=t * plan.step_s)).astimezone(UTC)
        record: dict[str, Any] = {"timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        record |= {name: values[t] for name, values in rounded.items()}
        records.append(record | {"optim_status": columns.status})
    return {
        "status": "ok",
        "generated_at": plan.issued_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "emhass_schema_version": SCHEMA_VERSION,
        "plan": records,
        "deferrables": {f"P_deferrable{k}": name for k, name in enumerate(columns.devices)},
    }


def emhass_sensors(
    plan: Plan, home: Home, forecast: Forecast | None, prices: Prices | None, now: datetime
) -> dict[str, Any]:
    """Return the plan as the sensors that EMHASS's `publish-data` makes in Home Assistant.

    State: value of the slot that holds `now`; attribute: that slot and all later ones as `{date, <sensor>: text}`.
    """
    columns = _Columns(plan, home, forecast, prices)
    first = min(max(0, (now - plan.start) // timedelta(seconds=plan.step_s)), plan.slots - 1)
    dates = [
        (plan.start + timedelta(seconds=t * plan.step_s)).astimezone(home.site.zone).isoformat()
        for t in range(first, plan.slots)
    ]
    sensors: dict[str, Any] = {}

    def add(
        sensor: str, column: str, attribute: str, name: str, unit: str, device_class: str, scale: float = 1.0
    ) -> None:
        digits = 4 if unit.endswith("/kWh") else 2
        texts = [f"{value * scale + 0.0:.{digits}f}" for value in columns.of[column][first:].tolist()]
        sensors[f"sensor.{sensor}"] = {
            "state": texts[0],
            "attributes": {
                "device_class": device_class,
                "unit_of_measurement": unit,
                "friendly_name": name,
                attribute: [{"date": date, sensor: text} for date, text in zip(dates, texts, strict=True)],
            },
        }

    add("p_pv_forecast", "P_PV", "forecasts", "PV Power Forecast", "W", "power")
    add("p_load_forecast", "P_Load", "forecasts", "Load Power Forecast", "W", "power")
    add("p_grid_forecast", "P_grid", "forecasts", "Grid Power Forecast", "W", "power")
    for k, device in enumerate(columns.devices):
        name = f"Deferrable Load {k} ({device})"
        add(f"p_deferrable{k}", f"P_deferrable{k}", "deferrables_schedule", name, "W", "power")
    for k, room in enumerate(plan.rooms):
        name, column = f"Predicted temperature {k} ({room})", f"predicted_temp_heater{k}"
        add(f"temp_predicted{k}", column, "predicted_temperatures", name, "°C", "temperature")
    if plan.battery is not None:
        add("p_batt_forecast", "P_batt", "battery_scheduled_power", "Battery Power Forecast", "W", "power")
        add("soc_batt_forecast", "SOC_opt", "battery_scheduled_soc", "Battery SOC Forecast", "%", "battery", 100.0)
    add("unit_load_cost", "unit_load_cost", "unit_load_cost_forecasts", "Unit Load Cost", "CZK/kWh", "monetary")
    add("unit_prod_price", "unit_prod_price", "unit_prod_price_forecasts", "Unit Prod Price", "CZK/kWh", "monetary")
    for sensor, column in (("total_cost_profit_value", "cost_profit"), ("total_cost_fun_value", "cost_fun_cost")):
        sensors[f"sensor.{sensor}"] = {
            "state": f"{float(columns.of[column][first:].sum()) + 0.0:.2f}",
            "attributes": {"device_class": "monetary", "unit_of_measurement": "CZK", "friendly_name": sensor},
        }
    sensors["sensor.optim_status"] = {
        "state": columns.status,
        "attributes": {"friendly_name": "EMHASS optimization status"},
    }
    return sensors
