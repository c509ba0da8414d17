"""What a room's model says of the next hours: how long heating takes, and how far the slab's heat still carries.

A model may be wrong. One whose figures no room has is not used at all; what the rules do with the others is bounded
there (`rules`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, exp

from pems_common.comfort import comfort_target_c
from pems_common.home import Home
from pems_common.messages import RoomModel, Thermal
from pems_common.thermal import DISTURBANCE_FADE_H, STATE_FRESH, STATE_NEAR_K, DiscreteRoom, discretise
from pems_common.timegrid import SLOT
from pems_controller.domain.state import HouseState, RoomState

__all__ = ["LONGEST_LEAD", "RoomAhead", "foresee"]

LONGEST_LEAD = timedelta(hours=8)
# Wider than any room: from a cupboard to a hall, from a blanket to a castle wall.
_RESISTANCE_K_W = (1e-4, 10.0)
_CAPACITY_J_K = (1e3, 1e10)
_POWER_W = (1.0, 1e5)
_CONDUCTANCE_W_K = (0.0, 1e4)
_TEMPERATURE_C = (-60.0, 100.0)


@dataclass(frozen=True)
class RoomAhead:
    """A room as its model sees it now.

    Attributes:
        model: Its parameters.
        step: One slot of it.
        air_c: Air temperature, measured.
        mass_c: Slab temperature: estimated, or the air's where there is no estimate of now.
        slab_known: Whether it is an estimate of now.
        inflow_w: What enters the air beside heating in each slot of the longest lead: conductance times outdoor and
            neighbour temperatures, gains, disturbance [W]. The sun is no part of it: the controller knows no forecast.
    """

    model: RoomModel
    step: DiscreteRoom
    air_c: float
    mass_c: float
    slab_known: bool
    inflow_w: tuple[float, ...]

    def lead_time(self, target_c: float) -> timedelta:
        """How long the room heats at full power until its air reaches the target, at most 8 h."""
        air_c, mass_c, share = self.air_c, self.mass_c, self.model.heat_to_mass
        heat_w = self.model.heater_w
        for k, inflow_w in enumerate(self.inflow_w):
            if air_c >= target_c:
                return k * SLOT
            air_c, mass_c = self.step.step(air_c, mass_c, inflow_w + (1 - share) * heat_w, share * heat_w)
        return LONGEST_LEAD

    def peak_c(self, within: timedelta) -> float:
        """Return the warmest that the air is within a time (at most 8 h) if heating stops now [C]."""
        air_c, mass_c = peak_c, _ = self.air_c, self.mass_c
        for inflow_w in self.inflow_w[: max(1, ceil(within / SLOT))]:
            air_c, mass_c = self.step.step(air_c, mass_c, inflow_w, 0.0)
            peak_c = max(peak_c, air_c)
        return peak_c


def _within(bounds: tuple[float, float], *values: float) -> bool:
    """Whether all values lie within bounds; a NaN does not."""
    return all(bounds[0] <= value <= bounds[1] for value in values)


def _plausible(model: RoomModel) -> bool:
    return (
        _within(_RESISTANCE_K_W, model.ria_k_w, model.rea_k_w)
        and _within(_CAPACITY_J_K, model.ci_j_k, model.cm_j_k)
        and _within(_POWER_W, model.heater_w)
        and _within((0.0, 1.0), model.heat_to_mass)
        and _within(_CONDUCTANCE_W_K, *model.neighbours.values())
        and _within((0.0, _POWER_W[1]), *model.gains_w.values())
    )


def _neighbour_c(home: Home, name: str, rooms: Mapping[str, RoomState], outdoor_c: float, at: datetime) -> float:
    """Temperature next door: measured, else what it should be; outdoors for what is no room of this house."""
    room = rooms.get(name)
    if room is not None and room.fresh and room.temperature_c is not None:
        return room.temperature_c
    return comfort_target_c(home, name, at) if name in home.rooms else outdoor_c


def _inflow_w(
    home: Home, model: RoomModel, state: HouseState, outdoor_c: float, disturbance_w: float
) -> tuple[float, ...]:
    """What enters the air in each slot of the longest lead; neighbours and outdoors stay as they are."""
    steady_w = outdoor_c / model.rea_k_w
    for other, conductance in model.neighbours.items():
        steady_w += conductance * _neighbour_c(home, other, state.rooms, outdoor_c, state.at)
    hour_h = SLOT / timedelta(hours=1)
    local = state.at.astimezone(home.site.zone)
    inflow = []
    for k in range(LONGEST_LEAD // SLOT):
        hour = int((local.hour + local.minute / 60 + k * hour_h) % 24)
        fading = exp(-(k + 0.5) * hour_h / DISTURBANCE_FADE_H)
        inflow.append(steady_w + model.gains_w.get(str(hour), 0.0) + disturbance_w * fading)
    return tuple(inflow)


def foresee(home: Home, name: str, state: HouseState, thermal: Thermal | None) -> RoomAhead | None:
    """Return what a room's model makes of the present; None where nothing can be said.

    Nothing can be said without a model, of tier `observe` (no better than "same as yesterday"), of a model with
    figures that no room has, without the room's temperature, and without that outdoors. An estimate of the state that
    is old or far from the measured air counts as none. A disturbance is taken for no more than the room's heater.

    Raises:
        KeyError: No such room.
    """
    air_c, outdoor_c = state.rooms[name].temperature_c, state.outdoor_c
    if thermal is None or thermal.tier == "observe" or air_c is None or outdoor_c is None:
        return None
    model, estimate = thermal.model, thermal.state
    if not _plausible(model) or not _within(_TEMPERATURE_C, air_c, outdoor_c):
        return None
    mass_c, disturbance_w, known = air_c, 0.0, False
    if (
        estimate is not None
        and abs(state.at - estimate.at) < STATE_FRESH
        and abs(estimate.air_c - air_c) < STATE_NEAR_K
        and _within(_TEMPERATURE_C, estimate.mass_c)
    ):
        mass_c, known = estimate.mass_c, True
        disturbance_w = max(-model.heater_w, min(model.heater_w, estimate.disturbance_w))
    inflow_w = _inflow_w(home, model, state, outdoor_c, disturbance_w)
    return RoomAhead(model, discretise(model, SLOT.total_seconds()), air_c, mass_c, known, inflow_w)
