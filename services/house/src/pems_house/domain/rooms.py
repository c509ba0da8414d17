"""Temperatures and humidity of all rooms together, stepped explicitly so that the energy balance closes exactly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pems_house.domain.building import AIR, COVER, SCREED, STRUCTURE, Building, infiltration_factor

__all__ = ["RoomInputs", "Rooms", "settled"]

Floats = NDArray[np.float64]

_SUN_ON_COVER, _SUN_ON_STRUCTURE, _SUN_ON_AIR = 0.55, 0.30, 0.15
_MOISTURE_BUFFER = 3.0  # plaster and furniture take part
_HEIGHT_M = 2.6


@dataclass
class RoomInputs:
    """What acts on the rooms during a step. Arrays are by room (n).

    Attributes:
        outdoor_c: Outdoor air.
        ground_c: Ground under the house.
        wind_m_s: Wind.
        outdoor_humidity_pct: Relative humidity outdoors.
        heat_w: Electric heat given to the rooms' relays.
        gains_w: Heat of people and appliances, half of it radiant.
        sun_w: Sun through the windows.
        window_open: Share 0..1 that windows are open.
        moisture_g_h: Water vapour set free.
    """

    outdoor_c: float
    ground_c: float
    wind_m_s: float
    outdoor_humidity_pct: float
    heat_w: Floats
    gains_w: Floats
    sun_w: Floats
    window_open: Floats
    moisture_g_h: Floats


class Rooms:
    """State of all rooms."""

    def __init__(self, building: Building, temperature_c: Floats) -> None:
        """Start with the temperatures of all nodes (4n)."""
        self.building = building
        self.temperature_c = temperature_c.astype(np.float64).copy()
        n = building.count
        self.vapour_g_m3 = np.full(n, 8.5)
        self.lost_wh = 0.0
        self._matrix = building.conductance_w_k + np.diag(building.outdoor_w_k + building.ground_w_k)
        self._volume_m3 = building.area_m2 * _HEIGHT_M
        self._at = tuple(building.node(kind) for kind in range(4))

    @property
    def air_c(self) -> Floats:
        """Air temperatures (n)."""
        return self.temperature_c[self._at[AIR]]

    def stored_wh(self, reference_c: float = 20.0) -> Floats:
        """Heat stored in each room relative to a temperature [Wh] (n)."""
        heat = self.building.capacity_j_k * (self.temperature_c - reference_c) / 3600.0
        by_room: Floats = heat.reshape(4, -1).sum(axis=0)
        return by_room

    def humidity_pct(self) -> Floats:
        """Relative humidity (n)."""
        return np.clip(100.0 * self.vapour_g_m3 / _saturation_g_m3(self.air_c), 5.0, 100.0)

    def step(self, inputs: RoomInputs, step_s: float) -> None:
        """Advance all rooms by a step of at most 60 s."""
        b, at, t = self.building, self._at, self.temperature_c
        air = t[at[AIR]]
        flow = b.outdoor_w_k * inputs.outdoor_c + b.ground_w_k * inputs.ground_c - self._matrix @ t
        leak_k = float(air.mean()) - inputs.outdoor_c
        exchange = b.air_exchange_w_k * infiltration_factor(inputs.wind_m_s, leak_k)
        exchange = exchange + inputs.window_open * b.window_open_w_k
        aired = exchange * (air - inputs.outdoor_c)
        lost_w = float(b.outdoor_w_k @ (t - inputs.outdoor_c) + b.ground_w_k @ (t - inputs.ground_c) + aired.sum())
        flow[at[AIR]] += inputs.heat_w * b.heats_air + 0.5 * inputs.gains_w + _SUN_ON_AIR * inputs.sun_w - aired
        flow[at[SCREED]] += inputs.heat_w * (1.0 - b.heats_air)
        flow[at[COVER]] += _SUN_ON_COVER * inputs.sun_w
        flow[at[STRUCTURE]] += _SUN_ON_STRUCTURE * inputs.sun_w + 0.5 * inputs.gains_w
        self.temperature_c = t + flow * (step_s / b.capacity_j_k)
        self.lost_wh += lost_w * step_s / 3600.0
        self._moisture(inputs, exchange, step_s)

    def _moisture(self, inputs: RoomInputs, exchange_w_k: Floats, step_s: float) -> None:
        outdoor = float(_saturation_g_m3(np.array(inputs.outdoor_c))) * inputs.outdoor_humidity_pct / 100.0
        fresh_m3_h = exchange_w_k * (3600.0 / 1206.0)
        change = inputs.moisture_g_h - fresh_m3_h * (self.vapour_g_m3 - outdoor)
        step_h = step_s / 3600.0
        self.vapour_g_m3 = np.maximum(self.vapour_g_m3 + change * step_h / (self._volume_m3 * _MOISTURE_BUFFER), 1.0)


def _saturation_g_m3(temperature_c: Floats) -> Floats:
    """Water vapour that air can hold [g/m3] (Magnus formula, Sonntag 1990)."""
    return 216.7 * 6.112 * np.exp(17.62 * temperature_c / (243.12 + temperature_c)) / (273.15 + temperature_c)


def settled(building: Building, air_c: Floats, outdoor_c: float, ground_c: float) -> Floats:
    """Temperatures of all nodes when each room's air has been held at `air_c` for long (4n).

    The heat that this takes enters by the floor; where none is needed, the room starts evenly warm.
    """
    n = building.count
    result = np.empty((4, n))
    for i in range(n):
        own = [i + kind * n for kind in range(4)]
        matrix = building.room_matrix_w_k(i)
        leak = building.air_exchange_w_k[i] * infiltration_factor(3.0, 20.0)
        outer = building.outdoor_w_k[own] * outdoor_c + building.ground_w_k[own] * ground_c
        outer[AIR] += leak * outdoor_c
        base = np.linalg.solve(matrix, outer)
        per_watt = np.linalg.solve(matrix, np.array([1.0, 0.0, 0.0, 0.0]))
        heat_w = (air_c[i] - base[AIR]) / per_watt[AIR]
        limit = 0.95 * building.heat_w[i]
        result[:, i] = air_c[i] if heat_w <= 0 else base + per_watt * min(heat_w, limit)
        if heat_w > limit:  # neighbours help: keep the air where it is wanted
            result[:, i] += air_c[i] - result[AIR, i]
    return result.ravel()
