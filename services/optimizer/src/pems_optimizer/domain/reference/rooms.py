"""Rules R1, R2, R9 and R10: rooms that exchange heat, comfort bands, and the heat left at the end."""

from pems_optimizer.domain.reference.model import Model, Series, total
from pems_optimizer.domain.reference.switching import Switch, add_switch

__all__ = ["add_rooms"]

_SPAN_K = 1000.0  # no room is so far from what it should be


def add_rooms(model: Model) -> list[Series]:
    """Add all rooms; returns each relay's series."""
    rooms, slots = model.problem.rooms, model.problem.slots
    relays = []
    for r in range(rooms.count):
        first = min(int(rooms.forced[r]), slots)
        relays.append(
            add_switch(
                model,
                f"room{r}",
                Switch(
                    on_now=bool(rooms.relay_on[r]),
                    slots_in_state=int(rooms.slots_in_state[r]),
                    forced_on=rooms.forced_on[:first, r].tolist(),
                    min_on=rooms.min_on,
                    min_off=rooms.min_off,
                    starts_max=int(rooms.starts_max[r]),
                ),
            )
        )
    air, mass = _add_temperatures(model, relays)
    for r in range(rooms.count):
        _charge_comfort(model, r, air[r])
        _charge_end(model, r, air[r][-1], mass[r][-1])
    return relays


def _add_temperatures(model: Model, relays: list[Series]) -> tuple[list[Series], list[Series]]:
    """Add air and mass of every room at the end of each slot, all rooms in one step (R1, R2)."""
    rooms, count = model.problem.rooms, model.problem.rooms.count
    air = [model.numbers(f"room{r}_air", None) for r in range(count)]
    mass = [model.numbers(f"room{r}_mass", None) for r in range(count)]
    step, push = rooms.joint_a.tolist(), rooms.joint_b.tolist()
    to_air = (rooms.heater_w * (1.0 - rooms.heat_to_mass)).tolist()
    to_mass = (rooms.heater_w * rooms.heat_to_mass).tolist()
    state = [*rooms.air_c.tolist(), *rooms.mass_c.tolist()]
    for t, gains_w in enumerate(rooms.air_input_w.tolist()):
        inputs_w = [gains_w[r] + to_air[r] * relays[r][t] for r in range(count)]
        inputs_w += [to_mass[r] * relays[r][t] for r in range(count)]
        after = [*(series[t] for series in air), *(series[t] for series in mass)]
        for k in range(2 * count):
            kept = total([step[k][j] * state[j] for j in range(2 * count)])
            added = total([push[k][j] * inputs_w[j] for j in range(2 * count)])
            model.demand(after[k] == kept + added)
        state = after
    return air, mass


def _charge_comfort(model: Model, r: int, air: Series) -> None:
    """Charge each K h outside the planning band (R9)."""
    p, rooms, w = model.problem, model.problem.rooms, model.problem.weights
    below, above = model.numbers(f"room{r}_below"), model.numbers(f"room{r}_above")
    low, high = rooms.low_c[:, r].tolist(), rooms.high_c[:, r].tolist()
    for t in range(p.slots):
        model.demand(below[t] >= low[t] - air[t], above[t] >= air[t] - high[t])
    price = float(rooms.priority[r]) * p.dt_h
    model.own_money.append(price * w.below_czk_k_h * total(below) + price * w.above_czk_k_h * total(above))


def _charge_end(model: Model, r: int, air: object, mass: object) -> None:
    """Charge each K of heat that is short at the end, and pay for up to one K that is there beyond (R10)."""
    rooms = model.problem.rooms
    of_air, of_mass = (rooms.capacity_wh_k[r] / rooms.capacity_wh_k[r].sum()).tolist()
    reference = float(rooms.end_reference_c[r])
    short, beyond = model.number(f"room{r}_short"), model.number(f"room{r}_beyond", 0.0, 1.0)
    value, bonus = float(rooms.end_value_czk_k[r]), float(rooms.end_bonus_czk_k[r])
    model.demand(total([of_air * air, of_mass * mass]) + short - beyond >= reference)
    if bonus > value:  # or it would pay to be short and beyond at once
        warm = model.choice(f"room{r}_warm")
        model.demand(beyond <= warm, short <= _SPAN_K * (1 - warm))
    model.own_money.append(value * short - bonus * beyond)
