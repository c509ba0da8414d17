"""The planning problem as frozen arrays: everything a solver may know, and nothing else.

Slots have equal length; powers are means over a slot [W], prices [CZK/kWh], temperatures [C]. `T` is the number
of slots, `R` the number of planned rooms. Grid + = import, battery + = discharge.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ApplianceSpec",
    "BatterySpec",
    "Bools",
    "EvSpec",
    "Floats",
    "GridSpec",
    "Note",
    "PlanningProblem",
    "RoomSet",
    "Scenario",
    "Uncertainty",
    "WaterSpec",
    "Weights",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Note:
    """Something about the whole plan that a person should see, as a reason code with its parameters."""

    code: str
    params: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Weights:
    """What counts how much, in money. Comfort, wear and switching are prices, never scaled down by a profile.

    Attributes:
        profile: Name of the profile these come from.
        given: The profile's own weights, for display.
        export_czk_kwh: Charged per kWh exported or curtailed (self-consumption).
        peak_czk_kw: Charged for the highest mean import of a slot, as far as it is above the month's peak so far.
        below_czk_k_h: Per K h below a room's planning band.
        above_czk_k_h: Per K h above it.
        start_czk: Per relay start.
        intent_czk: Per change of the battery's intent (register writes).
        overload_czk_kwh: Per kWh of import above the breaker: a soft wall.
    """

    profile: str = "balanced"
    given: dict[str, float] = field(default_factory=dict)
    export_czk_kwh: float = 0.7
    peak_czk_kw: float = 5.7
    below_czk_k_h: float = 8.0
    above_czk_k_h: float = 3.0
    start_czk: float = 0.05
    intent_czk: float = 0.25
    overload_czk_kwh: float = 50.0


@dataclass(frozen=True)
class RoomSet:
    """All planned rooms as arrays; room `r` has air and mass (slab) as its two states.

    Attributes:
        names: `R` names.
        heater_w: Power of each relay (R,).
        a: Own two-state step matrix, losses to neighbours included (R, 2, 2).
        b_air: Effect of 1 W into the air on (air, mass) over one step (R, 2).
        b_mass: Effect of 1 W into the mass (R, 2).
        outward_w_k: Conductance of each air node to outdoors (R,).
        coupling_w_k: Conductance between air nodes (R, R), symmetric, zero diagonal.
        joint_a: Step matrix of all rooms together, states ordered air 0..R-1, mass 0..R-1 (2R, 2R).
        joint_b: Effect of 1 W into each node over one step (2R, 2R).
        heat_to_mass: Share of the heat that goes into the mass (R,).
        capacity_wh_k: Heat capacity of air and mass (R, 2).
        air_c: Air temperature now (R,).
        mass_c: Mass temperature now (R,).
        air_input_w: Outdoor, sun, gains, disturbance and unplanned neighbours into the air node (T, R).
        low_c: Lower edge to plan with, safety margin included, at the end of each slot (T, R).
        high_c: Upper edge to plan with (T, R).
        band_low_c: The home's own lower edge (T, R).
        band_high_c: The home's own upper edge (T, R).
        target_c: Thermostat target (T, R), for rules.
        priority: Weight of comfort (R,).
        relay_on: Whether the relay is on now (R,).
        slots_in_state: Full slots the relay has been as it is (R,), large where unknown.
        forced: Slots from the first one on that are not the optimizer's to decide (R,).
        forced_on: What happens in them (T, R).
        min_on: Least slots on.
        min_off: Least slots off.
        starts_max: Starts allowed over the horizon (R,).
        end_reference_c: Heat-weighted temperature the room should end with (R,).
        end_value_czk_k: Value of one K of it below the reference (R,).
        end_bonus_czk_k: Value of one K above it, up to 1 K (R,).
        sun_w: The sun's part of `air_input_w` (T, R); empty where it is not known apart.
    """

    names: tuple[str, ...]
    heater_w: Floats
    a: Floats
    b_air: Floats
    b_mass: Floats
    outward_w_k: Floats
    coupling_w_k: Floats
    joint_a: Floats
    joint_b: Floats
    heat_to_mass: Floats
    capacity_wh_k: Floats
    air_c: Floats
    mass_c: Floats
    air_input_w: Floats
    low_c: Floats
    high_c: Floats
    band_low_c: Floats
    band_high_c: Floats
    target_c: Floats
    priority: Floats
    relay_on: Bools
    slots_in_state: NDArray[np.int64]
    forced: NDArray[np.int64]
    forced_on: Bools
    min_on: int
    min_off: int
    starts_max: NDArray[np.int64]
    end_reference_c: Floats
    end_value_czk_k: Floats
    end_bonus_czk_k: Floats
    sun_w: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def count(self) -> int:
        """Number of planned rooms."""
        return len(self.names)


@dataclass(frozen=True)
class BatterySpec:
    """The house battery. Energies are stored energy [Wh], powers at the AC side [W].

    Attributes:
        min_wh: Never planned below this.
        charge_max_w: Most charging power.
        discharge_max_w: Most discharging power.
        dispatch_min_w: Least power when charging from or discharging to the grid.
        charge_efficiency: Stored per Wh taken at the AC side.
        discharge_efficiency: Given at the AC side per stored Wh.
        wear_czk_kwh: Per kWh given.
        end_value_czk_wh: Value of a stored Wh at the end of the horizon.
        control: What the inverter understands: `intents` (HOUSE.md: modes, with a least power to and from the grid)
            or `setpoint` (any power in either direction, in every slot).
        intent_now: Intent of the running slot, empty where unknown.
        forced: First slots whose intent is not free.
        forced_intent: Intent in each of them.
        charge_share: Part of `charge_max_w` that is there in each slot, less in the cold (T,); empty means all.
        discharge_share: The same for discharging.
        taper_from_wh: From this stored energy on charging power falls in a straight line ...
        taper_full_w: ... to this at `max_wh`. No taper where `taper_from_wh` is not below `max_wh`.
        reserve_wh: Stored energy that should stay for an outage: below it, each kWh and hour costs
            `reserve_czk_kwh_h`.
        reserve_czk_kwh_h: That price.
    """

    capacity_wh: float
    energy_wh: float
    min_wh: float
    max_wh: float
    charge_max_w: float
    discharge_max_w: float
    dispatch_min_w: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_czk_kwh: float
    end_value_czk_wh: float
    control: Literal["intents", "setpoint"] = "intents"
    intent_now: str = ""
    forced: int = 0
    forced_intent: tuple[str, ...] = ()
    charge_share: Floats = field(default_factory=lambda: np.empty(0))
    discharge_share: Floats = field(default_factory=lambda: np.empty(0))
    taper_from_wh: float = np.inf
    taper_full_w: float = 0.0
    reserve_wh: float = 0.0
    reserve_czk_kwh_h: float = 0.0

    @property
    def tapers(self) -> bool:
        """Whether charging power falls near full."""
        return self.taper_from_wh < self.max_wh

    @property
    def taper_per_h(self) -> float:
        """Fall of the charging power per stored energy above `taper_from_wh` [1/h], 0 without a taper."""
        if not self.tapers:
            return 0.0
        return (self.charge_max_w - self.taper_full_w) / (self.max_wh - self.taper_from_wh)

    def can_be_off(self, buy: Floats) -> bool:
        """Whether switching the inverter off is an intent to think of: where drawing is paid for."""
        return self.control == "intents" and bool(buy.min(initial=0.0) < 0.0)

    def charge_limit_w(self, slots: int) -> Floats:
        """Most charging power in each slot, taper aside (T,)."""
        share = self.charge_share if len(self.charge_share) else np.ones(slots)
        return np.asarray(self.charge_max_w * share, dtype=np.float64)

    def discharge_limit_w(self, slots: int) -> Floats:
        """Most discharging power in each slot (T,)."""
        share = self.discharge_share if len(self.discharge_share) else np.ones(slots)
        return np.asarray(self.discharge_max_w * share, dtype=np.float64)


@dataclass(frozen=True)
class EvSpec:
    """The car: energy at the plug [Wh] wanted by the end of slot `deadline - 1`; never out of the house battery.

    Attributes:
        power_min_w: It charges with 0 or at least this.
        forced_w: Power in the first slots that are not free (n,).
        short_czk_kwh: Charged per kWh missing at the deadline.
    """

    need_wh: float
    deadline: int
    power_min_w: float
    power_max_w: float
    forced_w: Floats
    short_czk_kwh: float = 15.0


@dataclass(frozen=True)
class WaterSpec:
    """The hot water tank as one temperature.

    Attributes:
        heat_w: Heat while on.
        electric_w: Electricity while on.
        capacity_wh_k: Of the tank.
        temperature_c: Now.
        low_c: Least temperature wanted at the end of each slot (T,); the hygiene temperature where it is due.
        high_c: Where its own thermostat cuts off (T,).
        drain_w: Mean heat taken by use and losses in each slot (T,).
        end_value_czk_k: Value of one K at the end.
    """

    heat_w: float
    electric_w: float
    capacity_wh_k: float
    temperature_c: float
    low_c: Floats
    high_c: Floats
    drain_w: Floats
    on_now: bool
    slots_in_state: int
    end_value_czk_k: float
    below_czk_k_h: float = 2.0
    min_on: int = 2
    min_off: int = 2
    forced: int = 0
    forced_on: tuple[bool, ...] = ()


@dataclass(frozen=True)
class ApplianceSpec:
    """A machine that has to run for some slots in a window: dishwasher, washing machine, pump.

    Attributes:
        power_w: While it runs.
        run_slots: Slots it has to run, from the start of the horizon on.
        earliest: First slot in which it may run.
        deadline: It has to be done by the end of slot `deadline - 1`.
        interruptible: Whether it may pause.
        start_czk: Per start.
        missing_czk: Per slot it did not get.
        forced: First slots that are not free.
        forced_on: What happens in them.
        on_now: Whether it runs now.
    """

    name: str
    power_w: float
    run_slots: int
    earliest: int
    deadline: int
    interruptible: bool = False
    start_czk: float = 0.0
    missing_czk: float = 50.0
    forced: int = 0
    forced_on: tuple[bool, ...] = ()
    on_now: bool = False


@dataclass(frozen=True)
class GridSpec:
    """Limits of the connection and of the inverter [W].

    Attributes:
        import_max_w: What may be planned: the main breaker with its margin.
        export_max_w: 0 where nothing may be exported.
        heating_max_w: All relays together.
        inverter_max_w: PV and battery together, at the AC side.
        peak_so_far_w: Highest 15-min mean import of this month: only what goes above it costs.
        breaker_w: The main breaker itself; None where `import_max_w` has no margin.
    """

    import_max_w: float
    export_max_w: float
    heating_max_w: float
    inverter_max_w: float
    pv_curtailable: bool
    peak_so_far_w: float = 0.0
    breaker_w: float | None = None


@dataclass(frozen=True)
class Scenario:
    """One possible course of the days ahead, with its probability."""

    name: str
    probability: float
    pv_w: Floats
    load_w: Floats
    buy: Floats
    sell: Floats


@dataclass(frozen=True)
class Uncertainty:
    """How a plan deals with what is not known.

    Attributes:
        strategy: `point` plans for the expected course; `robust` for the worst of base, PV less, load more and price
            more by `spread`; `scenarios` for the expectation over `scenarios`, with a share of its bad tail.
        spread: Share by which the robust strategy moves each input.
        scenarios: Courses with probabilities that sum to 1.
        shared_slots: First slots in which battery and grid do the same in all scenarios.
        cvar_share: Weight of the mean of the worst `cvar_tail` of the probability against the expectation.
    """

    strategy: Literal["point", "robust", "scenarios"] = "point"
    spread: float = 0.1
    scenarios: tuple[Scenario, ...] = ()
    shared_slots: int = 4
    cvar_share: float = 0.0
    cvar_tail: float = 0.1


@dataclass(frozen=True)
class PlanningProblem:
    """One house, one horizon.

    Attributes:
        start: Start of the first slot.
        frozen: First slots that are already decided (running plan or present state) because solving takes time.
        pv_w: Expected PV (T,).
        load_w: Expected load without planned devices (T,); rooms that are not planned are in it.
        buy: Price of import [CZK/kWh] (T,).
        sell: Money for export [CZK/kWh] (T,).
        bands: P10 and P90 of `pv_w`, `load_w`, `buy`, `sell`, `outdoor_c` where the forecast has them.
        outdoor_c: Outdoor temperature (T,).
        cheap: Slots that the rules call cheap (T,).
        heating_season: Whether the rules charge the battery from the grid at all.
        ev: The car to charge; None where none is plugged in or it has enough.
        charger_known: Whether there is a charger that reports; without a car to charge its plan is 0 W.
        appliances: Machines that have to run in a window.
        uncertainty: How the plan deals with what is not known.
        notes: What is worse than usual in these inputs.
    """

    start: datetime
    slots: int
    frozen: int
    pv_w: Floats
    load_w: Floats
    buy: Floats
    sell: Floats
    outdoor_c: Floats
    cheap: Bools
    heating_season: bool
    rooms: RoomSet
    battery: BatterySpec | None
    ev: EvSpec | None
    water: WaterSpec | None
    grid: GridSpec
    weights: Weights
    bands: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    step: timedelta = timedelta(minutes=15)
    charger_known: bool = False
    appliances: tuple[ApplianceSpec, ...] = ()
    uncertainty: Uncertainty = field(default_factory=Uncertainty)

    @property
    def dt_h(self) -> float:
        """Length of a slot [h]."""
        return self.step.total_seconds() / 3600.0

    @property
    def kwh(self) -> float:
        """What 1 W over one slot is in kWh."""
        return self.dt_h / 1000.0
