"""Best on/off schedule of one device with two thermal states, by dynamic programming (a *bidder*).

The device answers a price per slot with its best schedule, minimum on/off times included. Its two-state linear
model is taken apart into its free response (relay off) and the response to the relay, whose two modes decay on
their own: `z' = lambda z + beta u`. So the grid needs only cover what heating adds, on a window that follows the
comfort band, and the second state costs one small matrix product. Interpolation smears the value a little in every
slot; a coordinate along which it changes most (`_Grid`) keeps that small on few points. Value iteration is
backward; the schedule is then read off forward with the exact states, so that no grid error piles up.
Bellman, Dynamic Programming (1957); on switched devices with minimum times as modes: docs/planning-problem.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["RelayBid", "RelayDevice", "best_schedule"]

_AHEAD_SLOTS = 12  # heat may have to be stored ahead of a higher band
_FAST_IN_WARMTH = 0.6
# Tables are made for some slots at a time: they stay in the processor's cache, and the allocator does not hand
# megabytes back to the system after every bid (a third of the time went into page faults).
_BLOCK_SLOTS = 16
# Edges of the window about the band [K].
_BELOW_K, _ABOVE_K, _RISE_K, _LEAST_WINDOW_K = 0.5, 0.5, 0.5, 1.0
_ON = np.array([0.0, 1.0])[:, None]


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
    """Grid of the warmth (a window per boundary) and of the fast mode (fixed).

    Warmth = slow mode + `_FAST_IN_WARMTH` x fast mode: what the heating so far adds to the comfort temperature an
    hour or two from now. The value hangs on it far more than on either mode, so few points of each are enough.
    """

    warmth_from: Floats  # (T+1,)
    warmth_step: Floats  # (T+1,)
    points: int
    fast: Floats  # (F,)


@dataclass(frozen=True)
class _Stages:
    """Where every (slot, action, fast, warmth) state goes and what that costs, without the price of a start.

    Attributes:
        left: Flat index of the grid point below the landing on the next window (T, 2 F S).
        weight: Share of the next grid point; outside 0..1 the end cells are continued in a straight line (T, 2 F S).
        cost: Money for comfort and energy in the slot (T, 2 F S).
    """

    left: NDArray[np.int64]
    weight: NDArray[np.float32]
    cost: NDArray[np.float32]


def _terminal(device: RelayDevice, end_c: Floats) -> Floats:
    gap = end_c - device.end_reference_c
    return -device.end_value * np.minimum(gap, 0.0) - device.end_bonus * np.clip(gap, 0.0, 1.0)


def _comfort(device: RelayDevice, air_c: Floats, low_c: Floats, high_c: Floats) -> Floats:
    return device.below * np.maximum(low_c - air_c, 0.0) + device.above * np.maximum(air_c - high_c, 0.0)


def _always_on(device: RelayDevice) -> Floats:
    """Return the warmth that heating without a pause gives at each boundary (T+1,)."""
    (lam0, lam1), (push0, push1) = device.decay.tolist(), device.push.tolist()
    slow = fast = 0.0
    reach = [0.0]
    for _ in range(len(device.free_c)):
        slow, fast = lam0 * slow + push0, lam1 * fast + push1
        reach.append(slow + _FAST_IN_WARMTH * fast)
    return np.array(reach)


def _make_grid(device: RelayDevice, points: int, fast_points: int) -> _Grid:
    decay, push = device.decay, device.push
    fast_limit = float(push[1]) / max(1e-9, 1.0 - float(decay[1])) if abs(push[1]) > 1e-12 else 0.0
    fast = np.linspace(min(0.0, fast_limit), max(0.0, fast_limit), fast_points) if fast_limit else np.zeros(1)
    reach = _always_on(device)
    lead = np.concatenate([device.low_c[:1], device.low_c])
    top = np.concatenate([device.high_c[:1], device.high_c])
    free = np.concatenate([device.free_c[:1], device.free_c])
    ahead = sliding_window_view(np.pad(lead, (0, _AHEAD_SLOTS), mode="edge"), _AHEAD_SLOTS + 1).max(axis=1)
    # Warmth differs from what the air has of it by this much where the fast mode is at its limit.
    behind = (1.0 - _FAST_IN_WARMTH) * fast_limit
    low = np.minimum(lead - free - max(0.0, behind) - _BELOW_K, reach - _RISE_K)
    low = np.clip(low, 0.0, None)
    high = np.maximum(top, ahead + _RISE_K) - free - min(0.0, behind) + _ABOVE_K
    high = np.maximum(np.minimum(high, reach + 0.1), low + _LEAST_WINDOW_K)
    return _Grid(low, (high - low) / (points - 1), points, fast)


def _fast_mix(grid: _Grid, lam: float, beta: float) -> Floats:
    """Return interpolation matrices of the fast mode, relay off and on (2, F, F)."""
    fast = grid.fast
    count = len(fast)
    mix = np.zeros((2, count, count))
    if count == 1:
        mix[:] = 1.0
        return mix
    rows = np.arange(count)
    for u in range(2):
        landing = np.clip(lam * fast + beta * u, fast[0], fast[-1])
        at = (landing - fast[0]) / (fast[1] - fast[0])
        k = np.minimum(at.astype(np.int64), count - 2)
        weight = at - k
        mix[u, rows, k] = 1.0 - weight
        mix[u, rows, k + 1] = weight
    return mix


def _stages(device: RelayDevice, price_on: Floats, grid: _Grid, first: int, end: int) -> _Stages:
    """Describe slots `first` to `end`."""
    points, fast = grid.points, grid.fast
    (lam0, lam1), (push0, push1) = device.decay.tolist(), device.push.tolist()
    mixed_push = push0 + _FAST_IN_WARMTH * push1
    # slow' + share fast' = lam0 warmth + share (lam1 - lam0) fast + (push0 + share push1) on
    turn = _FAST_IN_WARMTH * (lam1 - lam0) * fast + mixed_push * _ON  # (2, F)
    here, after = slice(first, end), slice(first + 1, end + 1)
    warmth = grid.warmth_from[here, None] + grid.warmth_step[here, None] * np.arange(points)
    landing = ((lam0 * warmth)[:, None, :] + turn.reshape(-1, 1)).reshape(end - first, -1)
    at = (landing - grid.warmth_from[after, None]) / grid.warmth_step[after, None]
    index = np.clip(at.astype(np.int64), 0, points - 2)
    rest = (1.0 - _FAST_IN_WARMTH) * (lam1 * fast + push1 * _ON)
    air = landing + np.repeat(rest.ravel(), points) + device.free_c[here, None]
    cost = _comfort(device, air, device.low_c[here, None], device.high_c[here, None])
    cost[:, cost.shape[1] // 2 :] += price_on[here, None]
    rows = np.repeat(np.arange(turn.size) * points, points)
    return _Stages(index + rows, (at - index).astype(np.float32), cost.astype(np.float32))


def _values(device: RelayDevice, price_on: Floats, start_czk: float, grid: _Grid) -> NDArray[np.float32]:
    """Return the value of every state: (T+1, N, 2, F, S).

    The axes are boundary, slots in this state so far (the last of N is free to switch), relay off or on, fast mode,
    warmth. The shorter of the two minimum times enters later in N.
    """
    slots, steps = len(device.free_c), max(device.min_on, device.min_off)
    enter_off, enter_on = steps - device.min_off, steps - device.min_on
    points, fast = grid.points, grid.fast
    start = np.float32(start_czk)
    values = np.empty((slots + 1, steps, 2, len(fast), points), dtype=np.float32)
    warmth = grid.warmth_from[-1] + grid.warmth_step[-1] * np.arange(points)
    slow = warmth[None, :] - _FAST_IN_WARMTH * fast[:, None]
    end_c = device.free_end_c + device.end_gain[0] * slow + device.end_gain[1] * fast[:, None]
    values[-1] = _terminal(device, end_c)
    mix = _fast_mix(grid, float(device.decay[1]), float(device.push[1])).astype(np.float32)
    for end in range(slots, 0, -_BLOCK_SLOTS):
        first = max(0, end - _BLOCK_SLOTS)
        stages = _stages(device, price_on, grid, first, end)
        right = stages.left + 1
        for t in range(end - 1, first - 1, -1):
            i = t - first
            later = np.matmul(mix, values[t + 1]).reshape(steps, -1)
            worth = later.take(stages.left[i], axis=1)
            rise = later.take(right[i], axis=1)
            rise -= worth
            rise *= stages.weight[i]
            worth += rise
            worth += stages.cost[i]
            ahead, here = worth.reshape(values.shape[1:]), values[t]
            here[:-1] = ahead[1:]
            np.minimum(ahead[-1, 0], ahead[enter_on, 1] + start, out=here[-1, 0])
            np.minimum(ahead[-1, 1], ahead[enter_off, 0], out=here[-1, 1])
    return values


def _roll_out(
    device: RelayDevice, price_on: Floats, start_czk: float, grid: _Grid, values: NDArray[np.float32]
) -> RelayBid:
    """Read the schedule off with the exact states; plain floats, as this is one state at a time."""
    steps = values.shape[1]
    least = (device.min_off, device.min_on)
    (lam0, lam1), (push0, push1) = device.decay.tolist(), device.push.tolist()
    below, above = device.below, device.above
    froms, widths, fasts = grid.warmth_from.tolist(), grid.warmth_step.tolist(), grid.fast.tolist()
    points, rows = grid.points, len(fasts)
    value_at = values.item
    slow = fast = 0.0
    heat = device.on_now
    held = min(max(device.slots_in_state, 1), least[heat])
    starts = 0
    on: list[bool] = []
    air: list[float] = []

    def later(t: int, run: int, u: int, slow: float, fast: float) -> float:
        at = (slow + _FAST_IN_WARMTH * fast - froms[t]) / widths[t]
        k = min(max(int(at), 0), points - 2)
        w = at - k
        base = (((t * steps + run) * 2 + u) * rows) * points + k
        if rows == 1:
            return float(value_at(base) * (1.0 - w) + value_at(base + 1) * w)
        across = (fast - fasts[0]) / (fasts[1] - fasts[0])
        j = min(max(int(across), 0), rows - 2)
        v = across - j
        base += j * points
        first = value_at(base) * (1.0 - w) + value_at(base + 1) * w
        second = value_at(base + points) * (1.0 - w) + value_at(base + points + 1) * w
        return float(first * (1.0 - v) + second * v)

    for t, (free, low, high, price) in enumerate(
        zip(device.free_c.tolist(), device.low_c.tolist(), device.high_c.tolist(), price_on.tolist(), strict=True)
    ):
        if held >= least[heat]:
            worth = [0.0, 0.0]
            for u in (0, 1):
                z0, z1 = lam0 * slow + push0 * u, lam1 * fast + push1 * u
                c = free + z0 + z1
                run = steps - 1 if u == heat else steps - least[u]
                worth[u] = (
                    below * max(0.0, low - c)
                    + above * max(0.0, c - high)
                    + (price if u else 0.0)
                    + (start_czk if u and not heat else 0.0)
                    + later(t + 1, run, u, z0, z1)
                )
            wanted = worth[1] <= worth[0] if heat else worth[1] < worth[0]
            if wanted != heat:
                heat, held = wanted, 0
                starts += wanted
        held += 1
        slow, fast = lam0 * slow + push0 * heat, lam1 * fast + push1 * heat
        on.append(heat)
        air.append(free + slow + fast)
    temperature_c = np.array(air)
    end_c = device.free_end_c + device.end_gain[0] * slow + device.end_gain[1] * fast
    comfort = float(_comfort(device, temperature_c, device.low_c, device.high_c).sum()) + float(
        _terminal(device, np.array([end_c]))[0]
    )
    return RelayBid(np.array(on, dtype=np.bool_), temperature_c, comfort, starts)


def best_schedule(
    device: RelayDevice,
    price_on: Floats,
    *,
    start_czk: float,
    starts_max: int | None = None,
    warmth_points: int = 28,
    fast_points: int = 5,
) -> RelayBid:
    """Return the device's best answer to `price_on`, the money for being on in each slot (T,).

    Args:
        device: The device.
        price_on: Money for one slot on.
        start_czk: Money per start.
        starts_max: Starts allowed; where the free answer has more, the price of a start is raised by bisection.
        warmth_points: Grid points of the warmth.
        fast_points: Grid points of the fast mode.
    """
    if abs(device.push[1]) < 1e-12:
        fast_points = 1
    grid = _make_grid(device, warmth_points, fast_points)

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
