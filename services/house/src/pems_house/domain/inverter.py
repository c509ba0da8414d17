"""The hybrid inverter: which way power flows under each priority, as measured by the owner of the first house."""

from dataclasses import dataclass
from datetime import datetime

from pems_common.home import Home
from pems_house.domain.battery import Battery
from pems_house.domain.chance import generator
from pems_house.domain.registers import Registers

__all__ = ["COUNTERS", "Flows", "Inverter"]

_RESUME_PCT = 1.0  # charging or discharging to a stop SoC begins again when it is missed by this much
_OVERSHOOT_PCT = 0.05
_SELF_W = 28.0
COUNTERS = (
    "TodayGenerateEnergy",
    "EnergyToUserToday",
    "EnergyToGridToday",
    "ChargeEnergyToday",
    "DischargeEnergyToday",
    "LocalLoadEnergyToday",
)


@dataclass(frozen=True)
class Flows:
    """Powers during a step [W], AC side. Battery + = discharge, grid + = import.

    Attributes:
        priority: `batteryfirst`, `gridfirst` or `loadfirst`; `off` where the inverter is off.
        pv_w: PV that is used.
        pv_possible_w: PV that could have been.
        battery_w: Battery.
        told: Whether the battery's power was told by rate.
        load_w: House.
        grid_w: Meter.
    """

    priority: str
    pv_w: float
    pv_possible_w: float
    battery_w: float
    told: bool
    load_w: float
    grid_w: float


class Inverter:
    """Inverter with its registers, the battery and the counters of the day."""

    def __init__(self, home: Home, seed: int, soc_pct: float) -> None:
        """Draw the true device."""
        rng = generator(seed, "inverter")
        self.registers = Registers(drift_s_day=float(rng.uniform(-2.0, 2.0)))
        self.battery = None if home.battery is None else Battery.drawn(home.battery, seed, soc_pct)
        self.counters_wh = dict.fromkeys(COUNTERS, 0.0)
        self.flows = Flows("loadfirst", 0.0, 0.0, 0.0, False, 0.0, 0.0)
        self.string_share = [0.5, 0.5]
        self._scale_w = home.battery.device_scale_w if home.battery else 0.0
        self._ac_limit_w = home.pv.inverter_ac_limit_w
        self._export_max_w = home.grid.export_limit_w
        self._efficiency = min(0.985, home.pv.inverter_efficiency * float(rng.uniform(0.99, 1.005)))
        self._reached: tuple[str, float] | None = None
        self._day: str | None = None

    @property
    def efficiency(self) -> float:
        """DC to AC, at usual powers."""
        return self._efficiency

    def possible_pv_w(self, dc_w: float) -> float:
        """AC power from so much DC power, with the inverter's own need and its limit."""
        return 0.0 if dc_w < 2 * _SELF_W else min((dc_w - _SELF_W) * self._efficiency, self._ac_limit_w)

    def needed_dc_w(self, ac_w: float) -> float:
        """DC power that gives so much AC power: what `possible_pv_w` takes back."""
        return ac_w / self._efficiency + _SELF_W if ac_w > 0.0 else 0.0

    def step(self, dc_w: float, load_w: float, local: datetime, ambient_c: float, step_s: float) -> Flows:
        """Decide the flows of a step and carry them out.

        Args:
            dc_w: What the modules could give.
            load_w: What the house draws.
            local: Local time at the beginning of the step.
            ambient_c: Around the battery.
            step_s: Length, at most 60 s.
        """
        flows = self._flows(dc_w, load_w, local, step_s)
        if self.battery is not None:
            self.battery.step(flows.battery_w, flows.told, ambient_c, step_s)
        self._count(flows, local, step_s)
        self.flows = flows
        return flows

    def _flows(self, dc_w: float, load_w: float, local: datetime, step_s: float) -> Flows:
        possible = self.possible_pv_w(dc_w)
        r = self.registers
        if not r.inverter_on:
            return Flows("off", 0.0, possible, 0.0, False, load_w, load_w)
        priority = r.priority(local)
        pv, battery_w, told = possible, 0.0, False
        if self.battery is not None:
            battery_w, told = self._battery_w(priority, pv - load_w, step_s)
            if battery_w > 0:  # PV goes first through the inverter
                battery_w = min(battery_w, max(0.0, self._ac_limit_w - pv))
        limit_w = self._export_max_w if r.export_enabled else 0.0
        excess = pv + battery_w - load_w - limit_w
        if excess > 0 and battery_w > 0:
            less = min(excess, battery_w)
            battery_w, excess = battery_w - less, excess - less
        if excess > 0:
            pv = max(0.0, pv - excess)
        return Flows(priority, pv, possible, battery_w, told, load_w, load_w - pv - battery_w)

    def _battery_w(self, priority: str, surplus_w: float, step_s: float) -> tuple[float, bool]:
        """Power of the battery and whether it was told by rate."""
        battery = self.battery
        assert battery is not None  # noqa: S101 - the caller has looked
        charge, discharge = battery.charge_limit_w(step_s), battery.discharge_limit_w(step_s)
        if priority == "loadfirst":
            self._reached = None
            return (-min(surplus_w, charge), False) if surplus_w > 0 else (min(-surplus_w, discharge), False)
        mode = self.registers.batteryfirst if priority == "batteryfirst" else self.registers.gridfirst
        stop, rate_w = mode.stop_soc_pct, mode.power_rate_pct / 100.0 * self._scale_w
        missing = stop - battery.soc_pct
        if priority == "gridfirst" and stop >= 100.0:
            return 0.0, False  # PV goes out, the battery keeps its charge
        if self._arrived(priority, stop, missing):
            return 0.0, False
        beyond = abs(missing) + _OVERSHOOT_PCT
        way_w = beyond / 100.0 * battery.capacity_wh * 3600.0 / step_s  # what leads just to the stop SoC
        if missing > 0:  # from PV, and from the grid with or without AC charge
            return -min(rate_w, charge, way_w / battery.leg_efficiency), True
        return min(rate_w, discharge, way_w * battery.leg_efficiency), True

    def _arrived(self, priority: str, stop: float, missing: float) -> bool:
        """Tell whether the stop SoC is reached, with hysteresis; battery first never discharges."""
        near = missing <= 0.0 if priority == "batteryfirst" else abs(missing) <= 0.1
        if near:
            self._reached = (priority, stop)
            return True
        if self._reached == (priority, stop) and abs(missing) < _RESUME_PCT:
            return True
        self._reached = None
        return False

    def _count(self, flows: Flows, local: datetime, step_s: float) -> None:
        day = self.registers.clock(local).date().isoformat()
        if day != self._day:
            self._day = day
            self.counters_wh = dict.fromkeys(COUNTERS, 0.0)
        hours = step_s / 3600.0
        c = self.counters_wh
        c["TodayGenerateEnergy"] += flows.pv_w * hours
        c["EnergyToUserToday"] += max(0.0, flows.grid_w) * hours
        c["EnergyToGridToday"] += max(0.0, -flows.grid_w) * hours
        c["ChargeEnergyToday"] += max(0.0, -flows.battery_w) * hours
        c["DischargeEnergyToday"] += max(0.0, flows.battery_w) * hours
        c["LocalLoadEnergyToday"] += flows.load_w * hours

    def state(self) -> dict[str, float | int]:
        """State as on `energy/solar` [SI units; counters in kWh; powers of the strings are DC]."""
        f = self.flows
        dc_w = f.pv_w / self._efficiency + (_SELF_W if f.pv_w > 0 else 0.0)
        strings = [round(dc_w * share, 1) for share in self.string_share]
        on = self.registers.inverter_on
        state: dict[str, float | int] = {
            "InverterStatus": 0 if not on else 5 if f.pv_w > 0 else 6,
            "InputPower": round(sum(strings), 1),
            "PV1InputPower": strings[0],
            "PV2InputPower": round(sum(strings[1:]), 1),
            "OutputPower": round(max(0.0, f.pv_w + f.battery_w), 1),
            "ACPowerToUser": round(max(0.0, f.grid_w), 1),
            "ACPowerToGrid": round(max(0.0, -f.grid_w), 1),
            "INVPowerToLocalLoad": round(f.load_w, 1),
            "ChargePower": round(max(0.0, -f.battery_w), 1),
            "DischargePower": round(max(0.0, f.battery_w), 1),
        }
        if self.battery is not None:
            state["SOC"] = int(self.battery.soc_pct + 1e-6)
            state["BatteryTemperature"] = round(self.battery.temperature_c, 1)
            state["BatteryState"] = 1 if f.battery_w < -10 else 2 if f.battery_w > 10 else 0
        return state | {name: round(wh / 1000.0, 2) for name, wh in self.counters_wh.items()}
