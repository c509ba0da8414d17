"""The car at its charger and the hot water tank with its heat pump, each with a rule of its own without PEMS."""

from dataclasses import dataclass

from pems_common.home import Home
from pems_common.home.models import Ev as EvFacts
from pems_common.home.models import WaterHeater as WaterFacts

__all__ = ["Car", "Tank"]

_CAR_TAPER_FROM_PCT = 80.0
_OWN_CHARGE_W = 3_700.0  # 16 A on one phase
_OWN_HOURS = (22, 23, 0, 1, 2, 3, 4, 5)  # the charger's own timer, local
_WATER_J_L_K = 4186.0
_TANK_TOP_C = 60.0  # the heater's own limit
_COLD_WATER_C = 10.0


@dataclass
class Car:
    """An electric car. The charger obeys while PEMS lives and has said something, else follows its own timer."""

    facts: EvFacts
    energy_wh: float
    connected: bool = True
    commanded_w: float | None = None
    power_w: float = 0.0
    session_wh: float = 0.0
    charged_wh: float = 0.0
    missed_wh: float = 0.0

    @classmethod
    def of(cls, home: Home, soc_pct: float) -> "Car | None":
        """Return the home's car at a state of charge, None where it has none."""
        return None if home.ev is None else cls(home.ev, home.ev.capacity_wh * soc_pct / 100.0)

    @property
    def soc_pct(self) -> float:
        """State of charge."""
        return 100.0 * self.energy_wh / self.facts.capacity_wh

    def step(self, away: bool, drive_wh: float, pems_alive: bool, local_hour: int, step_s: float) -> float:
        """Advance and return the electric draw [W].

        Args:
            away: Whether it is away.
            drive_wh: What a trip uses; taken when it leaves.
            pems_alive: Whether PEMS pulses.
            local_hour: For the timer.
            step_s: Length.
        """
        if away and self.connected:
            used = min(drive_wh, self.energy_wh)
            self.missed_wh += drive_wh - used
            self.energy_wh -= used
        if self.connected == away:
            self.connected = not away
            self.session_wh = 0.0
        self.power_w = self._power_w(pems_alive, local_hour) if self.connected else 0.0
        hours = step_s / 3600.0
        room_wh = (self.facts.capacity_wh - self.energy_wh) / self.facts.efficiency
        self.power_w = min(self.power_w, room_wh / hours)
        self.energy_wh += self.power_w * hours * self.facts.efficiency
        self.session_wh += self.power_w * hours
        self.charged_wh += self.power_w * hours
        return self.power_w

    def _power_w(self, pems_alive: bool, local_hour: int) -> float:
        if pems_alive and self.commanded_w is not None:
            wanted = self.commanded_w
        else:
            own = max(self.facts.power_min_w, min(_OWN_CHARGE_W, self.facts.power_max_w))
            wanted = own if local_hour in _OWN_HOURS and self.soc_pct < self.facts.target_soc_pct else 0.0
        if wanted < self.facts.power_min_w or self.soc_pct > 99.9:
            return 0.0
        full = max(0.0, self.soc_pct - _CAR_TAPER_FROM_PCT) / (100.0 - _CAR_TAPER_FROM_PCT)
        taper = 1.0 - 0.88 * full
        return min(wanted, self.facts.power_max_w * taper)


@dataclass
class Tank:
    """A hot water tank, mixed. Obeys while PEMS lives and has said something, within its own limits."""

    facts: WaterFacts
    temperature_c: float
    commanded: bool | None = None
    heating: bool = False
    power_w: float = 0.0
    heat_wh: float = 0.0
    drawn_wh: float = 0.0
    lost_wh: float = 0.0
    cold_s: float = 0.0

    @classmethod
    def of(cls, home: Home, temperature_c: float | None) -> "Tank | None":
        """Return the home's tank, None where it has none; without a temperature it begins near its target."""
        if home.water is None:
            return None
        return cls(home.water, home.water.target_c - 3.0 if temperature_c is None else temperature_c)

    @property
    def capacity_wh_k(self) -> float:
        """Heat for one K."""
        return self.facts.volume_l * _WATER_J_L_K / 3600.0

    def step(self, draw_w: float, outdoor_c: float, pems_alive: bool, step_s: float) -> float:
        """Advance and return the electric draw [W].

        Args:
            draw_w: Heat that the household takes (at target; a cooler tank gives less).
            outdoor_c: Air that the heat pump takes its heat from.
            pems_alive: Whether PEMS pulses.
            step_s: Length.
        """
        self.heating = self._wants(pems_alive)
        cop = self.facts.cop * min(1.35, max(0.6, 1.0 + 0.018 * (outdoor_c - 7.0)))
        self.power_w = self.facts.power_w / self.facts.cop if self.heating else 0.0
        hours = step_s / 3600.0
        heat = self.power_w * cop
        lift = (self.temperature_c - _COLD_WATER_C) / (self.facts.target_c - _COLD_WATER_C)
        draw = draw_w * min(1.0, max(0.0, lift))
        loss = self.facts.standing_loss_w * (self.temperature_c - 18.0) / 34.0
        self.temperature_c += (heat - draw - loss) * hours / self.capacity_wh_k
        self.heat_wh += heat * hours
        self.drawn_wh += draw * hours
        self.lost_wh += loss * hours
        if self.temperature_c < self.facts.min_c:
            self.cold_s += step_s
        return self.power_w

    def _wants(self, pems_alive: bool) -> bool:
        if self.temperature_c < self.facts.min_c - 4.0:
            return True  # whatever was asked for: its own frost and comfort guard
        if self.temperature_c >= _TANK_TOP_C:
            return False
        if pems_alive and self.commanded is not None:
            return self.commanded
        if self.temperature_c < self.facts.target_c - 6.0:
            return True
        return self.heating and self.temperature_c < self.facts.target_c
