"""From telemetry messages to what the forecaster learns from: slot means, and what acted on the rooms.

Samples in which a relay has just switched are left out of the load: the meter and the relay's report are then
of different moments.
"""

from dataclasses import dataclass, field

import numpy as np

from pems_common.held_back import held_back
from pems_common.home import Home
from pems_common.messages import Telemetry

__all__ = ["RoomSampler", "SlotSampler", "uncontrolled_load_w"]

_DISTRUSTED = ("stale", "missing")


def _fresh(telemetry: Telemetry, name: str) -> bool:
    quality = telemetry.quality.get(name)
    return quality is None or quality.flag not in _DISTRUSTED


def uncontrolled_load_w(home: Home, telemetry: Telemetry) -> float | None:
    """Load without what PEMS controls (heating relays, EV, water heater) [W]; None where the load is unknown."""
    if telemetry.load_power_w is None or not _fresh(telemetry, "load_power_w"):
        return None
    heating = sum(
        home.rooms[name].heat_w for name, room in telemetry.rooms.items() if room.relay_on and name in home.rooms
    )
    ev = 0.0 if telemetry.ev is None else telemetry.ev.power_w
    water = 0.0 if telemetry.water is None else telemetry.water.power_w
    return max(0.0, telemetry.load_power_w - heating - ev - water)


@dataclass
class SlotSampler:
    """Collects the samples of the slot that runs now."""

    slot: int = -1
    _values: dict[str, list[float]] = field(default_factory=dict)
    _relays: frozenset[str] | None = None

    def add(self, home: Home, telemetry: Telemetry, sell_czk_kwh: float | None = None) -> None:
        """Take one telemetry message into the running slot; what export earns tells whether PV may be held back."""
        relays = frozenset(name for name, room in telemetry.rooms.items() if room.relay_on)
        switched = self._relays is not None and relays != self._relays
        self._relays = relays
        if not switched:
            self._put("load_w", uncontrolled_load_w(home, telemetry))
        if _fresh(telemetry, "pv_power_w"):
            self._put("pv_w", telemetry.pv_power_w)
        if _fresh(telemetry, "outdoor_temperature_c"):
            self._put("outdoor_c", telemetry.outdoor_temperature_c)
        limited = held_back(
            home,
            pv_w=telemetry.pv_power_w,
            grid_w=telemetry.grid_power_w,
            battery_w=telemetry.battery_power_w,
            soc_pct=telemetry.battery_soc_pct,
            sell_czk_kwh=sell_czk_kwh,
        )
        self._put("pv_limited", float(limited))

    def _put(self, name: str, value: float | None) -> None:
        if value is not None and np.isfinite(value):
            self._values.setdefault(name, []).append(value)

    def mean(self, name: str) -> float | None:
        """Mean of the running slot so far, None without samples."""
        values = self._values.get(name)
        return sum(values) / len(values) if values else None

    def finish(self) -> dict[str, float]:
        """Return the means of the slot that ended, and begin anew."""
        means = {name: sum(values) / len(values) for name, values in self._values.items()}
        self._values = {}
        return means


@dataclass
class RoomSampler:
    """Collects heat and temperature of the rooms between two steps of the observer."""

    _heat_w: dict[str, list[float]] = field(default_factory=dict)
    _air_c: dict[str, float] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)
    outdoor_c: float | None = None

    def add(self, home: Home, telemetry: Telemetry) -> None:
        """Take one telemetry message."""
        for name, room in telemetry.rooms.items():
            if name not in home.rooms:
                continue
            if room.relay_on is not None:
                self._heat_w.setdefault(name, []).append(home.rooms[name].heat_w if room.relay_on else 0.0)
            if room.temperature_c is not None and _fresh(telemetry, f"room.{name}.temperature_c"):
                self._air_c[name] = room.temperature_c
            if room.window_open:
                self._open.add(name)
        if _fresh(telemetry, "outdoor_temperature_c") and telemetry.outdoor_temperature_c is not None:
            self.outdoor_c = telemetry.outdoor_temperature_c

    def take(self) -> tuple[dict[str, float], dict[str, float], frozenset[str]]:
        """Return (mean heat [W], last temperature, open windows) since the last call, and begin anew."""
        heat = {name: sum(values) / len(values) for name, values in self._heat_w.items()}
        taken = heat, self._air_c, frozenset(self._open)
        # The last relay state holds on until somebody says otherwise.
        self._heat_w = {name: values[-1:] for name, values in self._heat_w.items()}
        self._air_c, self._open = {}, set()
        return taken
