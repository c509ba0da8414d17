"""What really happened since the start: money, energy, comfort, switchings, limits. Nobody but judges may read it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_house.domain.inverter import Flows

__all__ = ["Bands", "Truth"]

Floats = NDArray[np.float64]
Prices = Callable[[datetime], tuple[float, float]]

_SLOT_S = 900
_WIDER_K = 0.5
_HEAT_GONE_S = 86_400.0  # a heavy floor gives its heat back for most of a day
_NON_TRIPPING = 1.13
"""Times its rated current a breaker must carry for an hour without tripping (IEC 60898-1, table 7)."""
_TEMPERATURE_TOLERANCE_K = 0.05
_SENSOR_TOLERANCE_K = 0.3  # offset, noise and quantisation of a room sensor: nobody can act on less


@dataclass(frozen=True)
class Bands:
    """Comfort band of each room now (n)."""

    low_c: Floats
    high_c: Floats


class Truth:
    """Counts. Times are house time.

    `inside_s`: each room's time inside its band widened by 0.5 C; `sun_warmed_s`: above that, and not heated for a day,
    so that its own heating has not made it so (a neighbour's may have).
    """

    def __init__(self, home: Home, prices: Prices, start: datetime) -> None:
        """Begin at `start`; `prices` gives (buy, sell) [CZK/kWh] of the slot that begins at an instant."""
        n = len(home.rooms)
        self._home = home
        self._prices = prices
        self.start = start
        self._names = tuple(home.rooms)
        self._slot = -1
        self._buy = self._sell = 0.0
        self._slot_import_wh = self._slot_export_wh = 0.0
        self.energy_cost_czk = self.bought_czk = 0.0
        self.wh = dict.fromkeys(
            ("import", "export", "pv", "pv_possible", "load", "heating", "household", "ev", "water", "gains", "sun"),
            0.0,
        )
        self.wh |= {"battery_in": 0.0, "battery_out": 0.0}
        self.peak_import_15min_w = 0.0
        self.peak_import_w = 0.0
        self.elapsed_s = 0.0
        self.below_k_h, self.above_k_h, self.inside_s, self.mean_k_s = (np.zeros(n) for _ in range(4))
        self.sun_warmed_s = np.zeros(n)
        self.violation_s = dict.fromkeys(
            (
                "room_below_min",
                "room_above_max",
                "heated_above_max",
                "heating_above_max",
                "soc_below_min",
                "soc_above_max",
                "battery_above_max",
                "import_above_breaker",
                "breaker_overload",
                "export_above_max",
            ),
            0.0,
        )
        self.short_switchings = 0
        self._relays = np.zeros(n, dtype=np.bool_)
        self._switched_s = np.full(n, -np.inf)
        self._had_pems = np.zeros(n, dtype=np.bool_)
        self.priority_s: dict[str, float] = {}

    def add(
        self,
        at_s: float,
        step_s: float,
        flows: Flows,
        *,
        heating_w: float,
        household_w: float,
        ev_w: float,
        water_w: float,
        gains_w: float,
        sun_w: float,
        air_c: Floats,
        bands: Bands,
        soc_pct: float | None,
    ) -> None:
        """Count a step that began at `at_s` (Unix time) and lies in one slot."""
        slot = int(at_s // _SLOT_S)
        if slot != self._slot:
            self._close_slot()
            self._slot = slot
            self._buy, self._sell = self._prices(datetime.fromtimestamp(slot * _SLOT_S, UTC))
        hours = step_s / 3600.0
        imported, exported = max(0.0, flows.grid_w), max(0.0, -flows.grid_w)
        self._slot_import_wh += imported * hours
        self._slot_export_wh += exported * hours
        self.bought_czk += imported * self._buy * hours / 1000.0
        self.energy_cost_czk += (imported * self._buy - exported * self._sell) * hours / 1000.0
        wh = self.wh
        for name, power_w in (
            ("import", imported),
            ("export", exported),
            ("pv", flows.pv_w),
            ("pv_possible", flows.pv_possible_w),
            ("load", flows.load_w),
            ("battery_in", max(0.0, -flows.battery_w)),
            ("battery_out", max(0.0, flows.battery_w)),
            ("heating", heating_w),
            ("household", household_w),
            ("ev", ev_w),
            ("water", water_w),
            ("gains", gains_w),
            ("sun", sun_w),
        ):
            wh[name] += power_w * hours
        self.peak_import_w = max(self.peak_import_w, imported)
        self.priority_s[flows.priority] = self.priority_s.get(flows.priority, 0.0) + step_s
        self.elapsed_s += step_s
        self._comfort(at_s, air_c, bands, step_s)
        self._limits(flows, heating_w, air_c, soc_pct, step_s)

    def _close_slot(self) -> None:
        self.peak_import_15min_w = max(self.peak_import_15min_w, self._slot_import_wh * 3600.0 / _SLOT_S)
        self._slot_import_wh = self._slot_export_wh = 0.0

    def _comfort(self, at_s: float, air_c: Floats, bands: Bands, step_s: float) -> None:
        hours = step_s / 3600.0
        below, above = bands.low_c - air_c, air_c - bands.high_c
        self.below_k_h += np.maximum(below, 0.0) * hours
        self.above_k_h += np.maximum(above, 0.0) * hours
        self.inside_s += ((below <= _WIDER_K) & (above <= _WIDER_K)) * step_s
        unheated = ~self._relays & (at_s - self._switched_s >= _HEAT_GONE_S)
        self.sun_warmed_s += ((above > _WIDER_K) & unheated) * step_s
        self.mean_k_s += air_c * step_s

    def _limits(self, flows: Flows, heating_w: float, air_c: Floats, soc_pct: float | None, step_s: float) -> None:
        limits, facts = self._home.control.limits, self._home.battery
        v = self.violation_s
        v["room_below_min"] += step_s * int((air_c < limits.room_min_c - _TEMPERATURE_TOLERANCE_K).sum())
        v["room_above_max"] += step_s * int((air_c > limits.room_max_c + _TEMPERATURE_TOLERANCE_K).sum())
        v["heated_above_max"] += step_s * int(((air_c > limits.room_max_c + _SENSOR_TOLERANCE_K) & self._relays).sum())
        v["heating_above_max"] += step_s * (heating_w > limits.heating_max_w)
        v["import_above_breaker"] += step_s * (flows.grid_w > self._home.grid.import_max_w)
        v["breaker_overload"] += step_s * (flows.grid_w > _NON_TRIPPING * self._home.grid.import_max_w)
        v["export_above_max"] += step_s * (-flows.grid_w > self._home.grid.export_limit_w + 1.0)
        if soc_pct is not None and facts is not None:
            v["soc_below_min"] += step_s * (soc_pct < facts.soc_min_pct - 0.5)
            v["soc_above_max"] += step_s * (soc_pct > facts.soc_max_pct + 0.5)
            v["battery_above_max"] += step_s * (flows.told and abs(flows.battery_w) > limits.battery_max_w + 1.0)

    def relays(self, at_s: float, relay_on: NDArray[np.bool_], by_pems: NDArray[np.bool_]) -> None:
        """Count switchings by PEMS that come too soon after the one before, which PEMS did too."""
        changed = relay_on != self._relays
        if not changed.any():
            self._had_pems &= by_pems
            return
        limits = self._home.control.limits
        least = np.where(relay_on, limits.relay_min_off_minutes, limits.relay_min_on_minutes) * 60.0
        soon = changed & by_pems & self._had_pems & (at_s - self._switched_s < least - 1.0)
        self.short_switchings += int(soon.sum())
        self._switched_s = np.where(changed, at_s, self._switched_s)
        self._had_pems = np.where(changed, by_pems, self._had_pems & by_pems)
        self._relays = relay_on.copy()

    def tell(self) -> dict[str, Any]:
        """Return everything counted so far."""
        hours = self.elapsed_s / 3600.0

        def by_room(values: Floats, digits: int = 3) -> dict[str, float]:
            return {name: round(float(value), digits) for name, value in zip(self._names, values, strict=True)}

        seconds = max(self.elapsed_s, 1e-9)
        capacity = self._home.battery.capacity_wh if self._home.battery else 0.0
        running_w = self._slot_import_wh * 3600.0 / _SLOT_S
        mean_c = self.mean_k_s / seconds
        areas = np.array([room.area_m2 for room in self._home.rooms.values()])
        return {
            "since": self.start.isoformat(),
            "elapsed_h": round(hours, 4),
            "energy_cost_czk": round(self.energy_cost_czk, 4),
            "bought_czk": round(self.bought_czk, 4),
            **{f"{name}_wh": round(value, 1) for name, value in self.wh.items()},
            "cycles": round(self.wh["battery_out"] / capacity, 4) if capacity else 0.0,
            "wear_czk": round(self.wh["battery_out"] / 1000.0 * self._home.battery.wear_czk_kwh, 4)
            if self._home.battery
            else 0.0,
            "peak_import_15min_w": round(max(self.peak_import_15min_w, running_w), 1),
            "peak_import_w": round(self.peak_import_w, 1),
            "comfort_below_k_h": by_room(self.below_k_h),
            "comfort_above_k_h": by_room(self.above_k_h),
            "inside_wider_band": by_room(self.inside_s / seconds, 5),
            "inside_wider_band_share": round(float(self.inside_s.mean() / seconds), 5),
            "sun_warmed_share": round(float(self.sun_warmed_s.mean() / seconds), 5),
            "mean_temperature_c": by_room(mean_c),
            "mean_house_temperature_c": round(float(mean_c @ areas / areas.sum()), 4),
            "breaker_exceeded_s": round(self.violation_s["import_above_breaker"], 1),
            "violations_s": {name: round(float(value), 1) for name, value in self.violation_s.items()},
            "short_switchings": self.short_switchings,
            "priority_h": {name: round(value / 3600.0, 3) for name, value in self.priority_s.items()},
        }
