"""Random switched devices of a few slots, and everything that each could do."""

import itertools

import numpy as np
from tests.unit.optimizer.test_optimizer_relay_dp import cost_of, device, keeps_minimum_times

from pems_optimizer.domain.relay_dp import RelayDevice

__all__ = ["costs_of_all", "random_device", "schedules_of"]


def random_device(seed: int, slots: int = 9) -> tuple[RelayDevice, np.ndarray]:
    """A device with its price of a slot on: one state or two, cold or warm, free to switch or not."""
    rng = np.random.default_rng(seed)
    two_states = seed % 3 > 0
    decay = np.array([rng.uniform(0.9, 0.999), rng.uniform(0.05, 0.8) if two_states else 0.0])
    push = np.array([rng.uniform(0.1, 1.5), rng.uniform(-0.6, 0.6) if two_states else 0.0])
    low = np.full(slots, 20.0) + (rng.random(slots) < 0.3)
    warm = rng.choice([-3.0, 0.0, 4.0])
    made = device(
        slots,
        free_c=20.0 + warm + np.cumsum(rng.normal(-0.1, 0.2, slots)),
        free_end_c=19.0 + warm,
        decay=decay,
        push=push,
        end_gain=np.array([1.0, rng.uniform(-0.2, 0.8) if two_states else 0.0]),
        low_c=low,
        high_c=low + rng.uniform(0.3, 2.0),
        below=rng.uniform(0.5, 5.0),
        above=rng.uniform(0.0, 3.0),
        end_value=rng.uniform(0.0, 3.0),
        end_bonus=rng.choice([0.0, 0.5]),
        min_on=int(rng.integers(1, 4)),
        min_off=int(rng.integers(1, 4)),
        on_now=bool(rng.random() < 0.5),
        slots_in_state=int(rng.integers(1, 5)),
        warmth_czk_k=rng.choice([0.0, -0.2, 0.2]) * rng.random(slots),
    )
    return made, rng.normal(0.5, 1.0, slots)  # some of the prices are negative


def schedules_of(d: RelayDevice) -> list[np.ndarray]:
    """Every schedule that keeps the minimum times."""
    every = (np.array(s, dtype=bool) for s in itertools.product([False, True], repeat=len(d.free_c)))
    return [on for on in every if keeps_minimum_times(on, d)]


def costs_of_all(d: RelayDevice, price: np.ndarray, start_czk: float) -> list[tuple[float, np.ndarray]]:
    """Cost and schedule of everything that the device could do, its warmth to others included."""
    found = []
    for on in schedules_of(d):
        z, warmth = np.zeros(2), 0.0
        for t, u in enumerate(on.tolist()):
            z = d.decay * z + d.push * u
            warmth += float(d.warmth_czk_k[t] * (d.free_c[t] + z.sum()))
        found.append((cost_of(on, d, price, start_czk) + warmth, on))
    return found
