"""Rooms of a problem file as the arrays of a planning problem.

A 1R1C room becomes a 2R2C room whose mass is a hundredth of its capacity in close contact with the air: after a
slot the two have one temperature, so it behaves as one capacity (within about 0.01 K while it is heated), and every
part of the solver keeps its two states. A mass without any contact would not do: the modes of `room_device` need
one that shows in the air.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np

from pems_common.messages import RoomModel, Thermal
from pems_common.thermal import discretise
from pems_optimizer.domain.problem import Floats, RoomSet
from pems_optimizer.domain.problem_file.document import ProblemDocument
from pems_optimizer.domain.problem_file.rooms import OneCapacity, Room
from pems_optimizer.domain.problem_file.series import as_array
from pems_optimizer.domain.room_arrays import joint_step

__all__ = ["HeatWorth", "room_set"]

_CONTACT_SHARE = 0.01
_CONTACTS_PER_SLOT = 60.0
_LONG_SLOTS = 1000
_HOLD_ABOVE_K = 0.25


class HeatWorth:
    """What a kWh of heat left at the end is worth [CZK]: below the reference, and above it."""

    def __init__(self, missing_czk_kwh: float, extra_czk_kwh: float) -> None:
        """Keep both."""
        self.missing_czk_kwh, self.extra_czk_kwh = missing_czk_kwh, extra_czk_kwh


def _model(room: Room, neighbours: dict[str, float], step_s: float) -> RoomModel:
    model = room.model
    if isinstance(model, OneCapacity):
        whole = model.capacity_wh_k * 3600.0
        mass = whole * _CONTACT_SHARE
        return RoomModel(
            ria_k_w=step_s / _CONTACTS_PER_SLOT / (mass * (1.0 - _CONTACT_SHARE)),
            rea_k_w=1.0 / model.loss_w_k,
            ci_j_k=whole - mass,
            cm_j_k=mass,
            neighbours=neighbours,
            solar_m2=room.solar_m2,
            heater_w=room.heater_w,
            heat_to_mass=0.0,
        )
    return RoomModel(
        ria_k_w=model.ria_k_w,
        rea_k_w=model.rea_k_w,
        ci_j_k=model.ci_j_k,
        cm_j_k=model.cm_j_k,
        neighbours=neighbours,
        solar_m2=room.solar_m2,
        heater_w=room.heater_w,
        heat_to_mass=model.heat_to_mass,
    )


def _both_ways(rooms: tuple[Room, ...]) -> list[dict[str, float]]:
    """Return each room's neighbours; a wall that one of the two names is there for both."""
    index = {room.name: k for k, room in enumerate(rooms)}
    out = [dict(room.neighbours) for room in rooms]
    for room in rooms:
        for other, conductance in room.neighbours.items():
            out[index[other]].setdefault(room.name, conductance)
    return out


def _band(room: Room, minutes: list[int], slots: int) -> tuple[Floats, Floats]:
    """Return lower and upper edge per slot (T,)."""
    if not room.schedule:
        return as_array(room.low_c, slots), as_array(room.high_c, slots)
    starts = [entry.start for entry in room.schedule]
    # Before the first entry of a day the last one of the day before holds.
    held = [room.schedule[int(np.searchsorted(starts, minute, side="right")) - 1] for minute in minutes]
    return np.array([entry.low_c for entry in held]), np.array([entry.high_c for entry in held])


def _suns_w(document: ProblemDocument, room: Room) -> Iterator[Floats]:
    """Give what the sun brings into a room through each facade (T,)."""
    for facade, aperture in room.solar_m2.items():
        yield aperture * as_array(document.solar_w_m2[facade], document.slots)


def _air_input_w(document: ProblemDocument, room: Room, model: RoomModel, minutes: list[int]) -> Floats:
    """Everything that enters the air but heating and neighbours (T,)."""
    slots = document.slots
    total = as_array(document.outdoor_c, slots) / model.rea_k_w + as_array(room.gains_w, slots)
    for through_facade_w in _suns_w(document, room):
        total = total + through_facade_w
    if room.gains_by_hour_w:
        total = total + np.array([room.gains_by_hour_w[minute // 60] for minute in minutes])
    return np.asarray(total, dtype=np.float64)


def _local_minutes(document: ProblemDocument) -> list[int]:
    """Minutes since local midnight at the start of each slot."""
    zone: ZoneInfo = document.timezone
    local = [(document.start + t * document.step).astimezone(zone) for t in range(document.slots)]
    return [at.hour * 60 + at.minute for at in local]


def _whole_slots(minutes: int, step_minutes: int) -> int:
    """Slots that last at least this long, at least one."""
    return max(1, -(-minutes // step_minutes))


def room_set(document: ProblemDocument, worth: HeatWorth) -> RoomSet:
    """Build the arrays of all rooms.

    Args:
        document: A checked file.
        worth: What heat left at the end is worth where a room does not say.
    """
    rooms, slots, step_s = document.rooms, document.slots, document.step.total_seconds()
    count, minutes, money = len(rooms), _local_minutes(document), document.money
    models = [_model(room, walls, step_s) for room, walls in zip(rooms, _both_ways(rooms), strict=True)]
    thermals = [
        Thermal(room=room.name, model=model, tier="control", version="file")
        for room, model in zip(rooms, models, strict=True)
    ]
    coupling = np.array([[m.neighbours.get(other.name, 0.0) for other in rooms] for m in models]).reshape(count, count)
    joint_a, joint_b = joint_step(thermals, coupling, step_s)
    singles = [discretise(m, step_s) for m in models]
    bands = [_band(room, minutes, slots) for room in rooms]
    low = np.array([band[0] for band in bands]).T.reshape(slots, count)
    high = np.array([band[1] for band in bands]).T.reshape(slots, count)
    planned_low = np.minimum(low + np.array([room.margin_k for room in rooms]), high - 0.1)
    air_input = np.array(
        [_air_input_w(document, room, m, minutes) for room, m in zip(rooms, models, strict=True)]
    ).T.reshape(slots, count)
    suns = [sum(_suns_w(document, room), np.zeros(slots)) for room in rooms]
    heater = np.array([m.heater_w for m in models])
    share = np.array([m.heat_to_mass for m in models])
    ria = np.array([m.ria_k_w for m in models])
    capacity = np.array([[m.ci_j_k, m.cm_j_k] for m in models]).reshape(count, 2) / 3600.0
    outward = np.array([1.0 / m.rea_k_w for m in models])
    loss = outward + coupling.sum(axis=1)
    air = np.array([room.air_c for room in rooms], dtype=np.float64)
    # Steady heat that holds a temperature, and the slab's temperature with it.
    held_w = np.clip(air * loss - air_input[:1].sum(axis=0) - coupling @ air, 0.0, heater)
    mass = np.array(
        [
            (a if isinstance(room.model, OneCapacity) else a + r * w * s) if room.mass_c is None else room.mass_c
            for room, a, r, w, s in zip(rooms, air, ria, held_w, share, strict=True)
        ],
        dtype=np.float64,
    )
    hold = planned_low[-1] + _HOLD_ABOVE_K
    hold_w = np.clip(hold * loss - air_input.mean(axis=0) - coupling @ hold, 0.0, heater)
    weight = capacity / capacity.sum(axis=1, keepdims=True)
    end_c = weight[:, 0] * hold + weight[:, 1] * (hold + ria * hold_w * share)
    to_kwh = capacity.sum(axis=1) / 1000.0
    given = [room.end_value_per_k for room in rooms]
    most_starts = slots + 1
    return RoomSet(
        names=tuple(room.name for room in rooms),
        heater_w=heater,
        a=np.array([[[s.a_aa, s.a_am], [s.a_ma, s.a_mm]] for s in singles]).reshape(count, 2, 2),
        b_air=np.array([[s.b_aa, s.b_ma] for s in singles]).reshape(count, 2),
        b_mass=np.array([[s.b_am, s.b_mm] for s in singles]).reshape(count, 2),
        outward_w_k=outward,
        coupling_w_k=coupling,
        joint_a=joint_a,
        joint_b=joint_b,
        heat_to_mass=share,
        capacity_wh_k=capacity,
        air_c=air,
        mass_c=mass,
        air_input_w=air_input,
        low_c=planned_low,
        high_c=high,
        band_low_c=low,
        band_high_c=high,
        target_c=np.minimum(low + 0.5, 0.5 * (low + high)),
        priority=np.array([room.priority for room in rooms], dtype=np.float64),
        relay_on=np.array([room.relay_on for room in rooms], dtype=np.bool_),
        slots_in_state=np.array(
            [
                _LONG_SLOTS if room.minutes_in_state is None else room.minutes_in_state // document.step_minutes
                for room in rooms
            ],
            dtype=np.int64,
        ),
        forced=np.zeros(count, dtype=np.int64),
        forced_on=np.zeros((slots, count), dtype=np.bool_),
        min_on=_whole_slots(document.min_on_minutes, document.step_minutes),
        min_off=_whole_slots(document.min_off_minutes, document.step_minutes),
        starts_max=np.array(
            [most_starts if room.starts_max is None else room.starts_max for room in rooms], dtype=np.int64
        ),
        end_reference_c=np.array(
            [e if room.end_c is None else room.end_c for room, e in zip(rooms, end_c, strict=True)], dtype=np.float64
        ),
        end_value_czk_k=np.array(
            [
                worth.missing_czk_kwh * kwh if wish is None else wish * money
                for wish, kwh in zip(given, to_kwh, strict=True)
            ],
            dtype=np.float64,
        ),
        end_bonus_czk_k=np.array(
            [worth.extra_czk_kwh * kwh if wish is None else 0.0 for wish, kwh in zip(given, to_kwh, strict=True)],
            dtype=np.float64,
        ),
        sun_w=np.array(suns).T.reshape(slots, count),
    )
