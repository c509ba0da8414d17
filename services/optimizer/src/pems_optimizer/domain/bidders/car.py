"""The car as a bidder: least power or nothing in each slot, the energy by its hour.

In the program its power is relaxed (any power up to the most); here the relaxed wish becomes what a charger can do.
"""

import numpy as np

from pems_optimizer.domain.problem import EvSpec, Floats

__all__ = ["charge", "realise"]


def charge(spec: EvSpec, price: Floats, most_w: Floats, dt_h: float) -> Floats:
    """Return the cheapest power per slot [W] (T,): full slots from the cheapest on, the rest in one that remains.

    Args:
        spec: The car.
        price: Of one W over each slot [CZK] (T,).
        most_w: What the connection leaves for it (T,).
        dt_h: Length of a slot [h].
    """
    return realise(spec, np.zeros_like(price), price, most_w, dt_h)


def realise(spec: EvSpec, wish_w: Floats, price: Floats, most_w: Floats, dt_h: float) -> Floats:
    """Turn a relaxed wish into power that is zero or at least the least, with the energy wanted where it fits.

    Args:
        spec: The car.
        wish_w: Relaxed power (T,).
        price: Of one W over each slot, to fill up and to give back by (T,).
        most_w: What the connection leaves for it (T,).
        dt_h: Length of a slot [h].
    """
    slots, first = len(wish_w), len(spec.forced_w)
    top_w = np.minimum(spec.power_max_w, most_w)
    wanted = (wish_w >= 0.5 * spec.power_min_w) & (top_w >= spec.power_min_w)
    power = np.where(wanted, np.minimum(np.maximum(wish_w, spec.power_min_w), top_w), 0.0)
    power[:first] = spec.forced_w[:slots]
    power[spec.deadline :] = 0.0
    missing = spec.need_wh - float(power.sum()) * dt_h
    for t in np.argsort(price, kind="stable").tolist():
        if missing <= 1.0:
            break
        if first <= t < spec.deadline and price[t] * 1000.0 < spec.short_czk_kwh * dt_h:
            top = min(spec.power_max_w, float(most_w[t]))
            more = min(top, max(power[t] + missing / dt_h, spec.power_min_w)) - power[t]
            if more > 0.0 and power[t] + more >= spec.power_min_w:
                power[t] += more
                missing -= more * dt_h
    for t in np.argsort(-price, kind="stable").tolist():  # too much: give back in the dearest slots
        if missing >= -1.0 or price[t] <= 0.0:  # where drawing is paid for it may have more (V3)
            break
        if first <= t < spec.deadline and power[t] > 0.0:
            less = min(-missing / dt_h, power[t] - spec.power_min_w)
            if -missing >= power[t] * dt_h:
                less = power[t]
            power[t] -= less
            missing += less * dt_h
    return np.asarray(power, dtype=np.float64)
