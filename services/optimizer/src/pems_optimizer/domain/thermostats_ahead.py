"""What a room on its thermostat will draw: its model under the controller's rules, as mean power per slot.

A relay's own sequence cannot be foreseen over two days, its mean can. So the thermostat is made proportional here:
it gives what holding the target takes, and more or less by how far the air is from it.
"""

import numpy as np

from pems_common.messages import RoomModel
from pems_common.thermal import discretise
from pems_common.timegrid import SLOT
from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["rule_targets_c", "thermostat_power_w"]

# As the controller's rules do it.
_CHEAP_BOOST_K = 0.5
_LONGEST_LEAD_H, _LEAST_LEAD_H = 8.0, 1.0
_CHEAPER_CZK_KWH = 0.05
# From nothing to full power within so much around the target: wide enough that a slab that answers after an hour does
# not swing, narrow enough that the mean air is that of a thermostat.
_BAND_K = 1.0


def _lead_slots(model: RoomModel, rise_k: float, spare_w: float) -> int:
    """Slots that a rise takes at full power: its heat over what the heater has to spare, 1 to 8 h."""
    seconds = rise_k * (model.ci_j_k + model.cm_j_k) / max(spare_w, 1.0)
    hours = min(max(seconds / 3600.0, _LEAST_LEAD_H), _LONGEST_LEAD_H)
    return int(np.ceil(hours * 3600.0 / SLOT.total_seconds()))


def rule_targets_c(model: RoomModel, comfort_c: Floats, spare_w: float, buy: Floats, cheap: Bools) -> Floats:
    """Return what the rules let a thermostat aim at (T,) [C]: more in cheap slots, a rise ahead.

    Args:
        model: Of the room.
        comfort_c: Target by the schedule (T,).
        spare_w: Heater power beyond what holding the room takes, on the mean.
        buy: Price of import [CZK/kWh] (T,).
        cheap: Cheap slots (T,).
    """
    target = comfort_c + _CHEAP_BOOST_K * cheap
    for rise in (np.flatnonzero(np.diff(comfort_c) > 0.0) + 1).tolist():
        lead = _lead_slots(model, comfort_c[rise] - comfort_c[rise - 1], spare_w)
        for t in range(max(0, rise - 2 * lead), rise):
            if t >= rise - lead or buy[t] < buy[t:rise].mean() - _CHEAPER_CZK_KWH:
                target[t] = max(target[t], comfort_c[rise])
    return np.asarray(target, dtype=np.float64)


def thermostat_power_w(model: RoomModel, air_c: float, mass_c: float, target_c: Floats, air_input_w: Floats) -> Floats:
    """Return the mean power of a room's heater in each slot (T,) [W].

    Args:
        model: Of the room.
        air_c: Its air now.
        mass_c: Its slab now.
        target_c: What its thermostat aims at (T,).
        air_input_w: What enters its air beside heating, with what neighbours and outdoors give by conductance (T,).
    """
    room, share, most_w = discretise(model, SLOT.total_seconds()), model.heat_to_mass, model.heater_w
    power = np.empty(len(target_c))
    for t, (aim_c, inflow_w) in enumerate(zip(target_c.tolist(), air_input_w.tolist(), strict=True)):
        wanted_w = aim_c * room.loss_w_k - inflow_w + (aim_c - air_c) / _BAND_K * most_w
        power_w = min(max(wanted_w, 0.0), most_w)
        air_c, mass_c = room.step(air_c, mass_c, inflow_w + (1.0 - share) * power_w, share * power_w)
        power[t] = power_w
    return power
