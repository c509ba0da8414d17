"""Runs inside EMHASS's own environment: a problem a line on standard input, a schedule a line on standard output.

The first line is the setting (loads, house, `mip_rel_gap` or null for EMHASS's default, `kept`), answered with
versions; each further one is a day. EMHASS is used as its own day-ahead command uses it: its shipped defaults, then
`perform_dayahead_forecast_optim`. With `kept` one `Optimization` serves all days, so that only the first builds the
model; without, each day makes its own, and that is timed with the call.
"""

import csv
import json
import logging
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import emhass  # type: ignore[import-not-found]
import numpy as np
import pandas as pd
from emhass.optimization import Optimization  # type: ignore[import-not-found]

_COST, _PRICE = "unit_load_cost", "unit_prod_price"


def _defaults() -> dict[str, dict[str, Any]]:
    """EMHASS's shipped configuration, sorted into its three dictionaries by its own table."""
    root = Path(emhass.__file__).parent / "data"
    shipped = json.loads((root / "config_defaults.json").read_text(encoding="utf-8"))
    conf: dict[str, dict[str, Any]] = {"retrieve_hass_conf": {}, "optim_conf": {}, "plant_conf": {}}
    with (root / "associations.csv").open(encoding="utf-8") as file:
        for row in csv.reader(file):
            if row[0] in conf and row[2] in shipped:
                conf[row[0]][row[2]] = shipped[row[2]]
    return conf


def _configuration(setting: dict[str, Any]) -> dict[str, dict[str, Any]]:
    conf, house, loads = _defaults(), setting["house"], setting["loads"]
    conf["retrieve_hass_conf"] |= {"optimization_time_step": pd.Timedelta("30min"), "time_zone": setting["zone"]}
    n = len(loads)
    conf["optim_conf"] |= {
        "delta_forecast_daily": pd.Timedelta(days=1),
        "set_use_battery": True,
        "set_nodischarge_to_grid": False,
        # Its terminal value: what is left above `soc_final` is worth this share of the last slot's price.
        "battery_soc_final_reward_factor": house["end_value_share"],
        "number_of_deferrable_loads": n,
        "nominal_power_of_deferrable_loads": [load["power_w"] for load in loads],
        "minimum_power_of_deferrable_loads": [0.0] * n,
        "operating_hours_of_each_deferrable_load": [load["run_slots"] * 0.5 for load in loads],
        "start_timesteps_of_each_deferrable_load": [load["earliest"] for load in loads],
        "end_timesteps_of_each_deferrable_load": [load["deadline"] for load in loads],
        "treat_deferrable_load_as_semi_cont": [True] * n,
        "set_deferrable_load_single_constant": [load["one_piece"] for load in loads],
        "set_deferrable_startup_penalty": [0.0] * n,
        "set_deferrable_max_startups": [0] * n,
        "deferrable_load_max_cost": [0.0] * n,
        "def_minimum_on_time": [0] * n,
        "def_minimum_off_time": [0] * n,
        "cost_forecast_per_deferrable_load": [None] * n,
        "is_electric_load": [True] * n,
    }
    if setting["mip_rel_gap"] is not None:
        conf["optim_conf"]["lp_solver_mip_rel_gap"] = setting["mip_rel_gap"]
    conf["plant_conf"] |= {
        "maximum_power_from_grid": house["import_max_w"],
        "maximum_power_to_grid": house["export_max_w"],
        "compute_curtailment": True,
        "battery_charge_power_max": house["battery_max_w"],
        # EMHASS multiplies this by the efficiency: so it is the same power at the AC side as ours.
        "battery_discharge_power_max": house["battery_max_w"] / house["efficiency"],
        "battery_charge_efficiency": house["efficiency"],
        "battery_discharge_efficiency": house["efficiency"],
        "battery_nominal_energy_capacity": house["capacity_wh"],
        "battery_minimum_state_of_charge": house["min_wh"] / house["capacity_wh"],
        "battery_maximum_state_of_charge": house["max_wh"] / house["capacity_wh"],
    }
    return conf


class Planner:
    """EMHASS with one setting."""

    def __init__(self, setting: dict[str, Any]) -> None:
        self._setting = setting
        self._kept: Any = None
        self._logger = logging.getLogger("emhass")
        self._logger.addHandler(logging.NullHandler())
        self._logger.propagate = False

    def _make(self) -> Any:
        conf = _configuration(self._setting)
        return Optimization(
            conf["retrieve_hass_conf"],
            conf["optim_conf"],
            conf["plant_conf"],
            _COST,
            _PRICE,
            "profit",
            {},
            self._logger,
        )

    def plan(self, day: dict[str, Any]) -> dict[str, Any]:
        """Plan one day, timed."""
        house, stages = self._setting["house"], dict[str, float]()
        slots = pd.date_range(day["start"], periods=len(day["buy"]), freq="30min").tz_convert(self._setting["zone"])
        prices = pd.DataFrame({_COST: day["buy"], _PRICE: day["sell"]}, index=slots)
        pv, load = pd.Series(day["pv_w"], index=slots), pd.Series(day["load_w"], index=slots)
        wall, cpu = time.perf_counter(), time.process_time()
        if self._kept is None or not self._setting["kept"]:
            self._kept = self._make()
        result = self._kept.perform_dayahead_forecast_optim(
            prices,
            pv,
            load,
            soc_init=house["start_wh"] / house["capacity_wh"],
            soc_final=house["min_wh"] / house["capacity_wh"],
            stage_times=stages,
        )
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        answer = {"wall_s": wall_s, "cpu_s": cpu_s, "status": str(self._kept.optim_status), "stages_s": stages}
        if "P_batt" not in result:
            return answer
        return answer | {
            "battery_w": result["P_batt"].tolist(),
            "load_w": [result[f"P_deferrable{k}"].tolist() for k in range(len(self._setting["loads"]))],
            "planned_czk": -float(np.sum(result["cost_profit"])),
        }


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    planner = Planner(json.loads(sys.stdin.readline()))
    print(json.dumps({name: version(name) for name in ("emhass", "highspy", "cvxpy")}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(planner.plan(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
