"""The battery cells behind the inverter: energy, limits, losses, temperature."""

from dataclasses import dataclass

from pems_common.home import Battery as BatteryFacts
from pems_house.domain.chance import generator

__all__ = ["BMS_FLOOR_PCT", "Battery"]

BMS_FLOOR_PCT = 10.0
_RELEASE_PCT = 12.0  # after the floor was reached, discharge is allowed again from here on
_STANDBY_W = 9.0
_TAPER_FROM_PCT = 92.0
_LEAST_TAPER = 0.08
_COLD_FULL_C, _COLD_LEAST_C = 10.0, -5.0


@dataclass
class Battery:
    """State and true parameters. Powers are on the AC side of the inverter [W].

    Attributes:
        capacity_wh: True capacity (a used battery has less than its label).
        leg_efficiency: Of one way.
        power_max_w: Most that it takes or gives.
        dispatch_min_w: Below this power, when told a power, conversion is poor.
        energy_wh: Stored now.
        temperature_c: Of the cells.
    """

    capacity_wh: float
    leg_efficiency: float
    power_max_w: float
    dispatch_min_w: float
    energy_wh: float
    temperature_c: float = 18.0
    empty: bool = False
    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    lost_wh: float = 0.0

    @classmethod
    def drawn(cls, facts: BatteryFacts, seed: int, soc_pct: float) -> "Battery":
        """Draw the true battery of a home at a state of charge."""
        rng = generator(seed, "battery")
        capacity = facts.capacity_wh * float(rng.uniform(0.94, 1.0))
        efficiency = min(0.99, facts.leg_efficiency * float(rng.uniform(0.985, 1.01)))
        return cls(capacity, efficiency, facts.power_max_w, facts.dispatch_min_w, capacity * soc_pct / 100.0)

    @property
    def soc_pct(self) -> float:
        """State of charge."""
        return 100.0 * self.energy_wh / self.capacity_wh

    def _efficiency(self, power_w: float, told: bool) -> float:
        """Of one way at a power; below the least useful dispatch a told power is converted badly."""
        if not told or power_w >= self.dispatch_min_w or self.dispatch_min_w <= 0:
            return self.leg_efficiency
        short = 1.0 - power_w / self.dispatch_min_w
        return self.leg_efficiency * (1.0 - 0.45 * short * short)

    def charge_limit_w(self, step_s: float) -> float:
        """Most that can be charged during a step: taper near full and in the cold."""
        soc = self.soc_pct
        near_full = _ramp(soc, _TAPER_FROM_PCT, 100.0, 1.0, _LEAST_TAPER)
        cold = _ramp(self.temperature_c, _COLD_LEAST_C, _COLD_FULL_C, 0.1, 1.0)
        room_w = max(0.0, self.capacity_wh - self.energy_wh) / self.leg_efficiency * 3600.0 / step_s
        return min(self.power_max_w * min(near_full, cold), room_w)

    def discharge_limit_w(self, step_s: float) -> float:
        """Most that can be discharged during a step: nothing below the floor of the battery's own management."""
        if self.empty and self.soc_pct < _RELEASE_PCT:
            return 0.0
        self.empty = False
        above_wh = self.energy_wh - self.capacity_wh * BMS_FLOOR_PCT / 100.0
        if above_wh <= 0.0:
            self.empty = True
            return 0.0
        cold = _ramp(self.temperature_c, -15.0, 0.0, 0.3, 1.0)
        return min(self.power_max_w * cold, above_wh * self.leg_efficiency * 3600.0 / step_s)

    def step(self, power_w: float, told: bool, ambient_c: float, step_s: float) -> None:
        """Charge (negative) or discharge (positive) within the limits, and lose a little.

        Args:
            power_w: AC side, + = discharge.
            told: Whether the power was told by rate (poor below the least useful dispatch).
            ambient_c: Around the battery.
            step_s: Length.
        """
        hours = step_s / 3600.0
        before = self.energy_wh
        if power_w < 0:
            gained = -power_w * hours * self._efficiency(-power_w, told)
            self.energy_wh = min(self.capacity_wh, self.energy_wh + gained)
            self.charged_wh += -power_w * hours
        elif power_w > 0:
            drawn = power_w * hours / self._efficiency(power_w, told)
            self.energy_wh = max(0.0, self.energy_wh - drawn)
            self.discharged_wh += power_w * hours
        if self.soc_pct > BMS_FLOOR_PCT + 0.02:
            self.energy_wh -= _STANDBY_W * hours
        loss_wh = -power_w * hours - (self.energy_wh - before)
        self.lost_wh += loss_wh
        warmed = loss_wh / (100.0 * 1000.0 / 3600.0)  # some 100 kg at 1 kJ/kgK
        self.temperature_c += 0.8 * warmed + (ambient_c - self.temperature_c) * min(1.0, step_s / (6 * 3600.0))


def _ramp(x: float, x0: float, x1: float, y0: float, y1: float) -> float:
    """Return y0 below x0, y1 above x1, a straight line between."""
    share = min(1.0, max(0.0, (x - x0) / (x1 - x0)))
    return y0 + (y1 - y0) * share
