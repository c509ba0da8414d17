"""A tiny plan that wakes the numeric libraries, so that a worker's first real plan is not its slowest."""

import numpy as np

from pems_optimizer.domain.relay_dp import RelayBid, RelayDevice, best_schedule

__all__ = ["solve_something"]


def solve_something() -> RelayBid:
    """Let one imaginary room bid on a day, and load the linear-program solver."""
    import highspy

    highspy.Highs()  # type: ignore[no-untyped-call]
    slots = 96
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
    return best_schedule(device, np.full(slots, 0.5), start_czk=0.05)
