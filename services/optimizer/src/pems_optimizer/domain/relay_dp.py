"""Best on/off schedule of one device with two thermal states, by dynamic programming (a *bidder*).

The device answers a price per slot with its best schedule, minimum on/off times included. Its two-state linear
model is taken apart into its free response (relay off) and the response to the relay, whose two modes decay on
their own: `z' = lambda z + beta u`. So the grid needs only cover what heating adds, on a window that follows the
comfort band, and the second state costs one small matrix product. Value iteration is backward with linear
interpolation; the schedule is then read off forward with the exact states, so that no grid error piles up.
Bellman, Dynamic Programming (1957); on switched devices with minimum times as modes: docs/planning-problem.md.
"""

from dataclasses import dataclass

import numpy as np

from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["RelayBid", "RelayDevice", "best_schedule"]


@dataclass(frozen=True)
class RelayDevice:
    """One switched device as the dynamic program sees it; arrays run over the slots still to be decided.

    Attributes:
        free_c: Comfort temperature at the end of each slot if the relay stays off (T,).
        free_end_c: Heat-weighted temperature at the end of the horizon if the relay stays off.
        decay: Eigenvalues of the two response modes, slow first (2,).
        push: What one slot on adds to each mode, measured in comfort temperature (2,).
        end_gain: Heat-weighted temperature per unit of each mode (2,).
        low_c: Lower edge of the band (T,).
        high_c: Upper edge (T,).
        below: Money per K below for one slot.
        above: Money per K above for one slot.
        end_reference_c: Heat-weighted temperature to end with.
        end_value: Money per K below the reference.
        end_bonus: Money per K above it, up to 1 K.
        min_on: Least slots on.
        min_off: Least slots off.
        on_now: State before the first slot.
        slots_in_state: Slots it has been so.
    """

    free_c: Floats
    free_end_c: float
    decay: Floats
    push: Floats
    end_gain: Floats
    low_c: Floats
    high_c: Floats
    below: float
    above: float
    end_reference_c: float
    end_value: float
    end_bonus: float
    min_on: int
    min_off: int
    on_now: bool
    slots_in_state: int


@dataclass(frozen=True)
class RelayBid:
    """Answer to a price: the schedule, its temperatures, and what it costs the device itself.

    Attributes:
        on: Relay per slot (T,).
        temperature_c: Comfort temperature at the end of each slot (T,).
        comfort: Money for leaving the band, and for the end state.
        starts: Number of starts.
    """

    on: Bools
    temperature_c: Floats
    comfort: float
    starts: int


@dataclass(frozen=True)
class _Grid:
    """Grid of the slow mode per boundary (T+1 windows) and of the fast mode (fixed)."""

    slow_from: Floats  # (T+1,)
    slow_step: Floats  # (T+1,)
    slow_count: int
    fast: Floats  # (F,)


def _terminal(device: RelayDevice, end_c: Floats) -> Floats:
    gap = end_c - device.end_reference_c
    return -device.end_value * np.minimum(gap, 0.0) - device.end_bonus * np.clip(gap, 0.0, 1.0)


def _comfort(device: RelayDevice, air_c: Floats, low_c: Floats, high_c: Floats) -> Floats:
    return device.below * np.maximum(low_c - air_c, 0.0) + device.above * np.maximum(air_c - high_c, 0.0)


def _make_grid(device: RelayDevice, slow_points: int, fast_points: int) -> _Grid:
    slots = len(device.free_c)
    lam, beta = device.decay, device.push
    fast_limit = beta[1] / max(1e-9, 1.0 - lam[1]) if abs(beta[1]) > 1e-12 else 0.0
    fast = np.linspace(min(0.0, fast_limit), max(0.0, fast_limit), fast_points) if fast_limit else np.zeros(1)
    reach = np.zeros(slots + 1)  # slow mode with the relay always on
    for t in range(slots):
        reach[t + 1] = lam[0] * reach[t] + beta[0]
    lead = np.concatenate([device.low_c[:1], device.low_c])
    top = np.concatenate([device.high_c[:1], device.high_c])
    free = np.concatenate([device.free_c[:1], device.free_c])
    # Heat may have to be stored ahead of a higher band: the window opens up to 12 slots early.
    ahead = np.array([lead[i : i + 13].max() for i in range(slots + 1)])
    low = np.minimum(lead - free - max(0.0, fast_limit) - 1.0, reach - 4.0 * beta[0])
    high = np.maximum(top, ahead + 0.5) - free - min(0.0, fast_limit) + 0.5
    low = np.clip(low, 0.0, None)
    high = np.minimum(np.maximum(high, low + 8.0 * beta[0] + 0.2), reach + beta[0])
    high = np.maximum(high, low + 1e-3)
    return _Grid(low, (high - low) / (slow_points - 1), slow_points, fast)


def _fast_weights(grid: _Grid, lam: float, beta: float) -> tuple[Floats, Floats]:
    """Return interpolation matrices of the fast mode for relay off and on, each (F, F)."""
    count = len(grid.fast)
    out = []
    for u in (0.0, 1.0):
        matrix = np.zeros((count, count))
        if count == 1:
            matrix[0, 0] = 1.0
        else:
            step = grid.fast[1] - grid.fast[0]
            at = np.clip((lam * grid.fast + beta * u - grid.fast[0]) / step, 0.0, count - 1.0)
            k = np.minimum(at.astype(np.int64), count - 2)
            rows = np.arange(count)
            matrix[rows, k] = 1.0 - (at - k)
            matrix[rows, k + 1] = at - k
        out.append(matrix)
    return out[0], out[1]


def _values(device: RelayDevice, price_on: Floats, start_czk: float, grid: _Grid) -> Floats:
    """Return the value of every (boundary, mode, fast, slow) state: (T+1, modes, F, S)."""
    slots, n_on, n_off = len(device.free_c), device.min_on, device.min_off
    points, fast = grid.slow_count, grid.fast
    offsets = np.arange(points)
    values = np.empty((slots + 1, n_on + n_off, len(fast), points))
    slow_end = grid.slow_from[-1] + grid.slow_step[-1] * offsets
    end_c = device.free_end_c + device.end_gain[0] * slow_end[None, :] + device.end_gain[1] * fast[:, None]
    values[-1] = _terminal(device, end_c)
    off_mix, on_mix = _fast_weights(grid, device.decay[1], device.push[1])
    # Where each (slot, action, slow point) lands on the next window, and what the air is then worth.
    slow = grid.slow_from[:-1, None] + grid.slow_step[:-1, None] * offsets
    landing = device.decay[0] * slow[:, None, :] + device.push[0] * np.array([0.0, 1.0])[None, :, None]
    at = (landing - grid.slow_from[1:, None, None]) / grid.slow_step[1:, None, None]
    index = np.clip(at.astype(np.int64), 0, points - 2)
    weight = at - index  # outside the window the end cells are continued in a straight line
    fast_next = device.decay[1] * fast[None, :] + device.push[1] * np.array([0.0, 1.0])[:, None]
    air = device.free_c[:, None, None, None] + landing[:, :, None, :] + fast_next[None, :, :, None]
    cost = _comfort(device, air, device.low_c[:, None, None, None], device.high_c[:, None, None, None])
    cost[:, 1] += price_on[:, None, None]
    for t in range(slots - 1, -1, -1):
        later = values[t + 1]
        k, w = index[t, 1], weight[t, 1]
        mixed = on_mix @ later[:n_on]
        left = mixed.take(k, axis=2)
        on = left + w * (mixed.take(k + 1, axis=2) - left) + cost[t, 1]
        k, w = index[t, 0], weight[t, 0]
        mixed = off_mix @ later[n_on:]
        left = mixed.take(k, axis=2)
        off = left + w * (mixed.take(k + 1, axis=2) - left) + cost[t, 0]
        here = values[t]
        here[: n_on - 1] = on[1:]
        np.minimum(on[-1], off[0], out=here[n_on - 1])
        here[n_on:-1] = off[1:]
        np.minimum(off[-1], on[0] + start_czk, out=here[-1])
    return values


def _lookup(values: Floats, grid: _Grid, boundary: int, mode: int, slow: float, fast: float) -> float:
    at = (slow - float(grid.slow_from[boundary])) / float(grid.slow_step[boundary])
    k = min(max(int(at), 0), grid.slow_count - 2)
    w = at - k
    table = values[boundary, mode]
    if len(grid.fast) == 1:
        return float(table[0, k] * (1 - w) + table[0, k + 1] * w)
    f = (fast - float(grid.fast[0])) / float(grid.fast[1] - grid.fast[0])
    j = min(max(int(f), 0), len(grid.fast) - 2)
    v = f - j
    upper = table[j, k] * (1 - w) + table[j, k + 1] * w
    lower = table[j + 1, k] * (1 - w) + table[j + 1, k + 1] * w
    return float(upper * (1 - v) + lower * v)


def _first_mode(device: RelayDevice) -> int:
    if device.on_now:
        return min(max(device.slots_in_state, 1), device.min_on) - 1
    return device.min_on + min(max(device.slots_in_state, 1), device.min_off) - 1


def _roll_out(device: RelayDevice, price_on: Floats, start_czk: float, grid: _Grid, values: Floats) -> RelayBid:
    slots, n_on = len(device.free_c), device.min_on
    last = n_on + device.min_off - 1
    lam0, lam1 = float(device.decay[0]), float(device.decay[1])
    push0, push1 = float(device.push[0]), float(device.push[1])
    slow = fast = 0.0
    mode = _first_mode(device)
    on = np.zeros(slots, dtype=np.bool_)
    air = np.empty(slots)
    starts = 0

    def worth(t: int, heat: bool, next_mode: int) -> float:
        u = 1.0 if heat else 0.0
        z0, z1 = lam0 * slow + push0 * u, lam1 * fast + push1 * u
        c = float(device.free_c[t]) + z0 + z1
        money: float = device.below * max(0.0, float(device.low_c[t]) - c) + device.above * max(
            0.0, c - float(device.high_c[t])
        )
        return money + (float(price_on[t]) if heat else 0.0) + _lookup(values, grid, t + 1, next_mode, z0, z1)

    for t in range(slots):
        if mode < n_on - 1:
            heat = True
        elif mode == n_on - 1:
            heat = worth(t, True, n_on - 1) <= worth(t, False, n_on)
        elif mode < last:
            heat = False
        else:
            heat = worth(t, True, 0) + start_czk < worth(t, False, last)
        if heat:
            starts += mode >= n_on
            mode = min(mode + 1, n_on - 1) if mode < n_on else 0
        else:
            mode = n_on if mode < n_on else min(mode + 1, last)
        u = 1.0 if heat else 0.0
        slow, fast = lam0 * slow + push0 * u, lam1 * fast + push1 * u
        on[t] = heat
        air[t] = float(device.free_c[t]) + slow + fast
    end_c = device.free_end_c + device.end_gain[0] * slow + device.end_gain[1] * fast
    comfort = float(_comfort(device, air, device.low_c, device.high_c).sum()) + float(
        _terminal(device, np.array([end_c]))[0]
    )
    return RelayBid(on, air, comfort, int(starts))


def best_schedule(
    device: RelayDevice,
    price_on: Floats,
    *,
    start_czk: float,
    starts_max: int | None = None,
    slow_points: int = 80,
    fast_points: int = 7,
) -> RelayBid:
    """Return the device's best answer to `price_on`, the money for being on in each slot (T,).

    Args:
        device: The device.
        price_on: Money for one slot on.
        start_czk: Money per start.
        starts_max: Starts allowed; where the free answer has more, the price of a start is raised by bisection.
        slow_points: Grid points of the slow mode.
        fast_points: Grid points of the fast mode.
    """
    if abs(device.push[1]) < 1e-12:
        fast_points = 1
    grid = _make_grid(device, slow_points, fast_points)

    def answer(per_start: float) -> RelayBid:
        return _roll_out(device, price_on, per_start, grid, _values(device, price_on, per_start, grid))

    bid = answer(start_czk)
    if starts_max is None or bid.starts <= starts_max:
        return bid
    low, high = start_czk, max(1.0, 4.0 * start_czk)
    best: RelayBid | None = None
    for _ in range(12):
        if best is None:
            middle, high = high, high * 4.0
        else:
            middle = 0.5 * (low + high)
        bid = answer(middle)
        if bid.starts <= starts_max:
            best, high = bid, middle
        else:
            low = middle
        if best is not None and high - low < 0.1 * high:
            break
    return bid if best is None else best
