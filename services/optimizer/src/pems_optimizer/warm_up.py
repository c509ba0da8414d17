"""A tiny plan that compiles or loads what plans are made with, so that a worker's first real plan is not its slowest.

`python -m pems_optimizer.warm_up` fills numba's cache after an installation: compiling takes some ten seconds. An
image brings a filled cache along (`PEMS_NUMBA_PREPARED`); it is copied to where numba may write.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np

from pems_optimizer.domain.appliance_kernel import best_run
from pems_optimizer.domain.battery_kernel import CHARGE, SELF, Rules, Slot, values, walk
from pems_optimizer.domain.relay_dp import RelayBid, RelayDevice, best_schedule
from pems_optimizer.domain.relay_floor import relay_floor
from pems_optimizer.domain.thermal_kernel import room_states, tank_c

__all__ = ["solve_something", "use_prepared_cache"]


def use_prepared_cache() -> None:
    """Copy the cache that an image brings along to `NUMBA_CACHE_DIR`, unless something is there."""
    prepared, cache = os.environ.get("PEMS_NUMBA_PREPARED", ""), os.environ.get("NUMBA_CACHE_DIR", "")
    if not prepared or not cache or not Path(prepared).is_dir() or Path(cache).exists():
        return
    own = Path(f"{cache}.{os.getpid()}")
    shutil.copytree(prepared, own)
    try:
        own.rename(cache)
    except OSError:  # another worker was faster
        shutil.rmtree(own, ignore_errors=True)


def solve_something(*, floor: bool = False) -> RelayBid:
    """Let an imaginary battery, machine and room plan a day; with `floor`, bound it too, as certificates do."""
    slots = 96
    _plan_battery(slots)
    room_states(np.zeros(2), np.eye(2), np.zeros((slots, 2)))
    tank_c(50.0, np.zeros(slots, dtype=np.bool_), np.zeros(slots), 0.5, np.full(slots, 55.0))
    free = np.ones(slots, dtype=np.bool_)
    best_run(np.zeros(slots), free, free, 4, 0.1, 50.0, False, 0, False)
    device = RelayDevice(
        free_c=np.linspace(21.0, 15.0, slots),
        free_end_c=15.0,
        decay=np.array([0.99, 0.8]),
        push=np.array([0.3, -0.2]),
        end_gain=np.array([1.0, 0.2]),
        low_c=np.full(slots, 20.0),
        high_c=np.full(slots, 22.0),
        below=2.0,
        above=1.0,
        end_reference_c=20.5,
        end_value=2.0,
        end_bonus=1.0,
        min_on=2,
        min_off=2,
        on_now=False,
        slots_in_state=10,
        warmth_czk_k=np.zeros(slots),
    )
    price = np.full(slots, 0.5)
    if floor:
        relay_floor(device, price, start_czk=0.05, fineness=20, fast_cells=8)
    return best_schedule(device, price, start_czk=0.05)


def _plan_battery(slots: int) -> None:
    """Plan a battery without limits and prices: two actions, two stored energies."""
    actions = (
        np.zeros((slots, len(Slot._fields))),
        np.array([SELF, CHARGE]),
        np.array([0.0, 1000.0]),
        np.full(slots, -1),
        np.array([0.0, 1000.0]),
    )
    rules = Rules(*[1.0] * len(Rules._fields))
    walk(values(*actions, 0.0, 0.1, rules), *actions, 0.1, rules, 0.0, -1)


if __name__ == "__main__":
    solve_something(floor=True)
    sys.exit(0)
