"""Problem files for tests: the shipped examples, and a small one whose parts can be replaced."""

import copy
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))

__all__ = ["EXAMPLES", "ROOT", "changed", "example", "small_file"]


def example(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "config" / "examples" / f"{name}.json").read_text())


def small_file(slots: int = 8, **update: Any) -> dict[str, Any]:
    """Two hours of a house with one of everything."""
    data = {
        "format": "pems-problem/1",
        "start": "2026-01-15T06:00:00+01:00",
        "step_minutes": 15,
        "timezone": "Europe/Prague",
        "buy_per_kwh": [3.0, 2.0] * (slots // 2),
        "sell_per_kwh": 1.0,
        "pv_w": [1000.0] * slots,
        "load_w": 300,
        "outdoor_c": -2,
        "solar_w_m2": {"south": 100},
        "rooms": [
            {
                "name": "living",
                "heater_w": 2000,
                "model": {"kind": "2R2C", "ria_k_w": 0.003, "rea_k_w": 0.02, "ci_j_k": 2e6, "cm_j_k": 2e7},
                "neighbours": {"study": 20},
                "solar_m2": {"south": 2},
                "air_c": 20.4,
                "low_c": 20,
                "high_c": 22,
            },
            {
                "name": "study",
                "heater_w": 1000,
                "model": {"kind": "1R1C", "loss_w_k": 25, "capacity_wh_k": 1500},
                "air_c": 19.5,
                "schedule": [
                    {"start": "06:30", "low_c": 19.5, "high_c": 22},
                    {"start": "22:00", "low_c": 18, "high_c": 22},
                ],
            },
        ],
        "battery": {"capacity_wh": 5000, "soc_pct": 50, "charge_max_w": 2500, "discharge_max_w": 2500},
        "ev": {"need_wh": 2000, "ready_at": "2026-01-15T08:00:00+01:00", "power_max_w": 7000},
        "water": {
            "heat_w": 2000,
            "electric_w": 1000,
            "volume_l": 150,
            "temperature_c": 48,
            "low_c": 45,
            "high_c": 55,
            "drain_w": 300,
        },
        "appliances": [{"name": "dishwasher", "power_w": 1200, "run_minutes": 45}],
        "grid": {"import_max_w": 12000},
    }
    return data | update


def changed(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy with the value at a dotted path replaced (numbers are list indices)."""
    data = copy.deepcopy(data)
    node: Any = data
    *steps, last = path.split(".")
    for step in steps:
        node = node[int(step) if isinstance(node, list) else step]
    node[int(last) if isinstance(node, list) else last] = value
    return data
