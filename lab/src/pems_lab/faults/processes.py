"""Processes that are dead, and plans that come late or are nonsense."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from pems_common.home import Home
from pems_common.messages import BatteryPlan, Envelope, Plan, read_body
from pems_lab.faults.model import BATTERY_LIMITS, Active, Fault, FaultKind

__all__ = ["PlanNonsense", "PlansLate", "ProcessDead"]


class ProcessDead(FaultKind):
    """A process is gone or stands still: ingest, the forecaster, the planner, its worker, or the controller."""

    name, family, hours = "process_dead", "worker", (0.25, 6.0)
    explains = BATTERY_LIMITS

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw which."""
        return str(rng.choice(("ingest", "forecaster", "optimizer", "worker", "controller"))), 0.0

    def explained(self, fault: Fault) -> frozenset[str]:
        """Nothing where the controller lives."""
        return self.explains if fault.target == "controller" else frozenset()

    def dead(self, active: Active) -> frozenset[str]:
        """This one."""
        return frozenset({active.fault.target})


class _PlanFault(FaultKind):
    """Spoils plans on their way from the worker."""

    family = "worker"
    hours = (0.5, 6.0)

    def plan(self, active: Active, plan: Plan) -> tuple[Plan, timedelta]:
        """Return the plan instead, and how much later it comes."""
        raise NotImplementedError

    def published(self, active: Active, service: str, envelope: Envelope) -> tuple[Envelope, timedelta]:
        """Change or delay a plan."""
        if envelope.type != "plan":
            return envelope, timedelta()
        plan, delay = self.plan(active, read_body(envelope, Plan))
        return envelope.model_copy(update={"body": plan.model_dump(mode="json")}), delay


class PlansLate(_PlanFault):
    """Plans come up to an hour and a half after they were asked for."""

    name = "plans_late"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the delay [min]."""
        return "", float(rng.uniform(5.0, 90.0))

    def plan(self, active: Active, plan: Plan) -> tuple[Plan, timedelta]:
        """As it is, later."""
        return plan, timedelta(minutes=active.fault.strength)


_SOC_STEP_PCT = 12.0  # a slot: near enough to what 10 kWh at 5 kW do to be believed
_NONSENSE = ("all_off", "all_on", "flicker", "drain", "overcharge")


class PlanNonsense(_PlanFault):
    """Plans that keep the contract and would ruin the house: clamps and ladder have to hold them."""

    name = "plan_nonsense"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw which nonsense, and whether it lies about temperatures to be believed (1) or not (0)."""
        return str(rng.choice(_NONSENSE)), float(rng.integers(0, 2))

    def plan(self, active: Active, plan: Plan) -> tuple[Plan, timedelta]:
        """Nonsense at once."""
        slots, kind = range(plan.slots), active.fault.target
        relays: Mapping[str, tuple[bool, ...]] = {
            "all_off": tuple(False for _ in slots),
            "all_on": tuple(True for _ in slots),
            "flicker": tuple(i % 2 == 0 for i in slots),
        }
        update: dict[str, Any] = {}
        if kind in relays:
            update["rooms"] = {
                name: room.model_copy(
                    update={"relay_on": relays[kind]}
                    | ({"temperature_c": room.temperature_c[:1] * plan.slots} if active.fault.strength > 0.0 else {})
                )
                for name, room in plan.rooms.items()
            }
            if plan.water_on:
                update["water_on"] = relays[kind]
        elif plan.battery is not None:
            charge, first_pct = kind == "overcharge", plan.battery.soc_pct[0]
            step_pct = _SOC_STEP_PCT if charge else -_SOC_STEP_PCT
            update["battery"] = BatteryPlan(
                intent=("charge_from_grid" if charge else "discharge_to_grid",) * plan.slots,
                power_w=(-1e5 if charge else 1e5,) * plan.slots,
                soc_pct=tuple(min(100.0, max(0.0, first_pct + i * step_pct)) for i in slots),
            )
            if charge and plan.ev_power_w:  # a car that charges would keep the battery from being emptied
                update["ev_power_w"] = (1e5,) * plan.slots
        return plan.model_copy(update=update), timedelta()
