"""Rules I1 to I9: what an inverter that knows intents does in a slot, instead of any power that one may wish."""

from dataclasses import dataclass

from pems_optimizer.domain.problem import BatterySpec
from pems_optimizer.domain.reference.battery import Battery
from pems_optimizer.domain.reference.car import Car
from pems_optimizer.domain.reference.grid import CourseFlow
from pems_optimizer.domain.reference.model import Model, Series, Term, total

__all__ = ["CLASSES", "add_intents", "class_of"]

CLASSES = ("self_consume", "hold", "charge_from_grid", "discharge_to_grid", "off")
_LAST_CHARGE, _LAST_DISCHARGE = 0.5, 0.9  # of the least power, where the battery takes or gives no more
_EXPORT_LEAST_W = 100.0


def class_of(intent: str) -> str:
    """Return the intent's class: exporting PV is holding with the sun out; what is unknown is self-consumption."""
    if intent == "export_pv":
        return "hold"
    return intent if intent in CLASSES else "self_consume"


@dataclass(frozen=True)
class _Slot:
    """One slot of one course: intents by class, and whether the battery takes or gives all it can."""

    t: int
    by_class: dict[str, Term]
    takes_all: Term
    gives_all: Term

    def is_any(self, *classes: str) -> Term:
        return total([0.0, *(self.by_class[c] for c in classes if c in self.by_class)])


def add_intents(model: Model, name: str, flow: CourseFlow, spec: BatterySpec, car: Car | None) -> list[dict[str, Term]]:
    """Bind one course's battery to intents; returns 1 for the intent's class, per slot."""
    p, battery = model.problem, flow.battery
    assert battery is not None  # noqa: S101  (its spec is there)
    known = [c for c in CLASSES if c != "off" or bool(flow.given.buy.min() < 0.0)]
    slots: list[_Slot] = []
    lacks = model.choices(f"{name}_lacks")
    for t in range(p.slots):
        by_class = {c: model.choice(f"{name}_{c}_{t}") for c in known}
        model.demand(total(list(by_class.values())) == 1)  # I1
        slot = _Slot(t, by_class, *_at_its_limit(model, name, flow, battery, spec, t))
        forced = t < min(spec.forced, len(spec.forced_intent)) and class_of(spec.forced_intent[t]) in known
        if forced:
            model.demand(by_class[class_of(spec.forced_intent[t])] == 1)  # I8
        elif car is not None:
            model.demand(battery.discharge_w[t] <= battery.discharge_max_w[t] * (1 - car.charges[t]))  # I9
        _bound_power(model, flow, battery, slot)
        _self_consumption(model, flow, battery, slot, lacks[t])
        _least_power(model, flow, battery, spec, slot, forced=forced)
        slots.append(slot)
    flow.money.append(_changes(model, name, [slot.by_class for slot in slots], spec.intent_now))
    return [slot.by_class for slot in slots]


def _at_its_limit(
    model: Model, name: str, flow: CourseFlow, battery: Battery, spec: BatterySpec, t: int
) -> tuple[Term, Term]:
    """Return 1 only where the battery takes all it can (energy, power or taper); the same for giving."""
    charge, discharge, stored = battery.charge_w[t], battery.discharge_w[t], battery.stored_wh[t]
    out_max = min(battery.discharge_max_w[t], max(model.problem.grid.inverter_max_w - float(flow.given.pv_w[t]), 0.0))
    full, in_limit = model.choice(f"{name}_full_{t}"), model.choice(f"{name}_in_limit_{t}")
    empty, out_limit = model.choice(f"{name}_empty_{t}"), model.choice(f"{name}_out_limit_{t}")
    model.demand(
        charge >= battery.charge_max_w[t] * in_limit,
        stored >= spec.max_wh - (spec.max_wh - battery.low_wh) * (1 - full),
        discharge <= out_max,  # G6, with all that the roof could give
        discharge >= out_max * out_limit,
        stored <= spec.min_wh + (battery.high_wh - spec.min_wh) * (1 - empty),
    )
    takes = [full, in_limit]
    if battery.tapered_w:
        tapered = model.choice(f"{name}_tapered_{t}")
        fall = (spec.charge_max_w - spec.taper_full_w) / (spec.max_wh - spec.taper_from_wh)
        most = spec.charge_max_w + fall * max(0.0, spec.taper_from_wh - battery.low_wh)
        model.demand(charge >= battery.tapered_w[t] - most * (1 - tapered))
        takes.append(tapered)
    takes_all, gives_all = total(takes), total([empty, out_limit])
    model.demand(takes_all <= 1, gives_all <= 1)  # one reason is enough
    return takes_all, gives_all


def _bound_power(model: Model, flow: CourseFlow, battery: Battery, slot: _Slot) -> None:
    """Keep each class to its direction (I2 to I6); hold is what is left: no power at all."""
    t, pv = slot.t, float(flow.given.pv_w[slot.t])
    ins, outs = slot.is_any("self_consume", "charge_from_grid"), slot.is_any("self_consume", "discharge_to_grid")
    model.demand(battery.charge_w[t] <= battery.charge_max_w[t] * ins)
    model.demand(battery.discharge_w[t] <= battery.discharge_max_w[t] * outs)
    model.demand(flow.held_back_w[t] >= pv * slot.is_any("off"))  # I6
    if not model.problem.grid.pv_curtailable:
        model.demand(flow.held_back_w[t] <= pv * slot.is_any("off"))  # G5, I6


def _self_consumption(model: Model, flow: CourseFlow, battery: Battery, slot: _Slot, lacks: Term) -> None:
    """Let the battery follow the house (I2): the grid comes in only where the battery takes or gives all it can."""
    t, other = slot.t, 1 - slot.is_any("self_consume")
    fed = flow.export_w[t] + flow.held_back_w[t]
    model.demand(
        # The house lacks power: nothing is stored, fed in or held back.
        battery.charge_w[t] <= battery.charge_max_w[t] * (other + 1 - lacks),
        fed <= flow.feed_max_w[t] * (other + 1 - lacks),
        flow.import_w[t] <= flow.draw_max_w[t] * (other + slot.gives_all),
        # It has power over: nothing is drawn.
        battery.discharge_w[t] <= battery.discharge_max_w[t] * (other + lacks),
        flow.import_w[t] <= flow.draw_max_w[t] * (other + lacks),
        fed <= flow.feed_max_w[t] * (other + slot.takes_all),
    )


def _least_power(
    model: Model, flow: CourseFlow, battery: Battery, spec: BatterySpec, slot: _Slot, *, forced: bool
) -> None:
    """Keep charging from and discharging to the grid at their least power (I4, I5); less in forced slots (I8)."""
    t, charges, gives = slot.t, slot.is_any("charge_from_grid"), slot.is_any("discharge_to_grid")
    least_in, least_out = min(spec.dispatch_min_w, spec.charge_max_w), min(spec.dispatch_min_w, spec.discharge_max_w)
    last_in, last_out = (0.0, 0.0) if forced else (_LAST_CHARGE, _LAST_DISCHARGE)
    model.demand(battery.charge_w[t] >= least_in * charges - (1.0 - last_in) * least_in * slot.takes_all)
    model.demand(battery.discharge_w[t] >= least_out * gives - (1.0 - last_out) * least_out * slot.gives_all)
    if forced:
        return
    exporting = flow.net_load_w[t] + _EXPORT_LEAST_W
    most = flow.draw_max_w[t] + _EXPORT_LEAST_W
    model.demand(
        exporting <= spec.discharge_max_w + most * (1 - gives),
        battery.discharge_w[t] >= _LAST_DISCHARGE * exporting - most * (1 - gives),
        battery.discharge_w[t] >= exporting - most * (1 - gives) - most * slot.gives_all,
    )


def _changes(model: Model, name: str, by_class: list[dict[str, Term]], intent_now: str) -> Term:
    """Return the money of changing the class (I7)."""
    changed: Series = model.numbers(f"{name}_changed", 0.0, 1.0)
    for t, here in enumerate(by_class):
        for c, chosen in here.items():
            if t:
                model.demand(changed[t] >= chosen - by_class[t - 1][c])
            elif intent_now:
                model.demand(changed[t] >= chosen - int(c == class_of(intent_now)))
    return model.problem.weights.intent_czk * total(changed)
