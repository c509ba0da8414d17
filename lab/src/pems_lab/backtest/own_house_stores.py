"""What a history tells of the stores of a house: its battery, what was drawn from the tank, the car's trips."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pems_house.domain.battery import Battery
from pems_lab.measured.span import MeasuredSpan

__all__ = ["BatteryFound", "found_battery", "hot_water_w", "trips"]

Floats = NDArray[np.float64]

_WINDOW = 8  # slots: charge is told in whole percents, and over long windows what goes in comes out
_LEAST_CYCLES = 4.0
_COLD_WATER_C, _ROOM_C, _WATER_WH_L_K = 10.0, 18.0, 4186.0 / 3600.0


@dataclass(frozen=True)
class BatteryFound:
    """The battery of a history.

    Attributes:
        battery: Its parameters; home.yaml's where the history cannot tell.
        told: What was found, as a sentence.
    """

    battery: Battery
    told: str


def found_battery(span: MeasuredSpan) -> BatteryFound | None:
    """Return the battery as it behaved; None without one.

    The change of charge over windows of 2 h is a share of what went in less a share of what came out: dSoC = in x eta /
    capacity - out / (eta x capacity) - rest x hours, by least squares. Below 4 full cycles home.yaml is believed.
    """
    facts = span.home.battery
    if facts is None:
        return None
    label = Battery(facts.capacity_wh, facts.leg_efficiency, facts.power_max_w, facts.dispatch_min_w, 0.0)
    into = np.maximum(-span.battery_w, 0.0) / 4.0
    out = np.maximum(span.battery_w, 0.0) / 4.0
    at_beginning = 0.5 * (span.soc_pct[1:] + span.soc_pct[:-1])  # of slots 1, 2, ...
    rows, change = [], []
    for first in range(1, span.count - _WINDOW - 1, _WINDOW):
        cut = slice(first, first + _WINDOW)
        row = (float(into[cut].sum()), float(out[cut].sum()), _WINDOW / 4.0)
        delta = float(at_beginning[first + _WINDOW - 1] - at_beginning[first - 1])
        if np.isfinite([*row, delta]).all():
            rows.append(row)
            change.append(delta / 100.0)
    cycles = sum(row[1] for row in rows) / facts.capacity_wh
    if cycles < _LEAST_CYCLES:
        return BatteryFound(label, f"the battery is home.yaml's: {cycles:.1f} cycles tell too little of it")
    (a, b, _), *_ = np.linalg.lstsq(np.array(rows) * (1.0, -1.0, -1.0), np.array(change), rcond=None)
    if a <= 0.0 or b <= 0.0:
        return BatteryFound(label, "the battery is home.yaml's: its charge does not follow its power")
    capacity_wh, leg = float(1.0 / np.sqrt(a * b)), float(np.sqrt(a / b))
    if not 0.5 * facts.capacity_wh <= capacity_wh <= 1.2 * facts.capacity_wh or not 0.75 <= leg <= 1.0:
        told = f"the battery is home.yaml's: {capacity_wh:.0f} Wh at {leg:.3f} one way is not to be believed"
        return BatteryFound(label, told)
    battery = Battery(capacity_wh, min(leg, 0.99), facts.power_max_w, facts.dispatch_min_w, 0.0)
    return BatteryFound(battery, f"the battery holds {capacity_wh:.0f} Wh, {leg:.3f} one way, from {cycles:.0f} cycles")


def hot_water_w(span: MeasuredSpan) -> Floats:
    """Return the heat that was drawn from the tank by slot (T,) [W], as `pems_house` draws it at target temperature.

    It is what the heater gave and the tank did not keep. A tank told in tenths of a kelvin jitters: what was drawn up
    to each slot never falls.
    """
    facts = span.home.water
    if facts is None:
        return np.zeros(span.count)
    tank_c = np.where(np.isfinite(span.water_c), span.water_c, facts.target_c)
    beginning_c = np.concatenate([[tank_c[0]], 0.5 * (tank_c[1:] + tank_c[:-1]), [tank_c[-1]]])
    cop = facts.cop * np.clip(1.0 + 0.018 * (np.nan_to_num(span.outdoor_c) - 7.0), 0.6, 1.35)
    given_w = np.nan_to_num(span.water_w) * cop - facts.standing_loss_w * (tank_c - _ROOM_C) / 34.0
    kept_wh = facts.volume_l * _WATER_WH_L_K * (beginning_c - beginning_c[0])
    drawn_wh = np.concatenate([[0.0], np.cumsum(given_w) / 4.0]) - kept_wh
    steps_w = np.diff(np.maximum.accumulate(np.maximum(drawn_wh, 0.0))) * 4.0
    lift = np.clip((tank_c - _COLD_WATER_C) / (facts.target_c - _COLD_WATER_C), 0.1, 1.0)
    return np.asarray(steps_w / lift, dtype=np.float64)


def trips(span: MeasuredSpan) -> dict[int, float]:
    """Return what each trip of the car used [Wh], by the slot in which it left: its charge before less that after."""
    facts = span.home.ev
    if facts is None:
        return {}
    away = span.ev_connected < 0.5
    left = np.flatnonzero(away[1:] & ~away[:-1]) + 1
    back = np.flatnonzero(~away[1:] & away[:-1]) + 1
    soc, known = span.ev_soc_pct, np.isfinite(span.ev_soc_pct)
    found = {}
    for slot in left.tolist():
        returned = back[back > slot]
        before = np.flatnonzero(known[:slot])
        if len(returned) and len(before):
            after = np.flatnonzero(known[returned[0] :])
            if len(after):
                used = float(soc[before[-1]] - soc[returned[0] + after[0]]) / 100.0 * facts.capacity_wh
                found[slot] = max(used, 0.0)
    return found
