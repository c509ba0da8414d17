"""The inner loops of a switched device's dynamic program, compiled by numba: values, schedule, account.

Plain loops over small tables; what they mean is told in `relay_dp`. Measured there against numpy: about ten times
faster for one room. Arrays: T slots, N slots-in-state, F fast-mode points, S warmth points.
"""

import numba as nb
import numpy as np
from numpy.typing import NDArray

from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["account", "interpolate", "roll_out", "values"]


@nb.njit(cache=True, nogil=True)
def _between(left: float, right: float, w: float, colder: float, warmer: float) -> float:
    """Interpolate between two grid points; beyond the window's ends being colder or warmer never pays.

    Continued in a straight line a slope that says "warmer is cheaper" would hold for ever: rooms were overheated for
    money that was not there (seen). `colder` and `warmer` are the band's money for one grid step.
    """
    if w > 1.0:
        return right + (w - 1.0) * max(right - left, warmer)
    if w < 0.0:
        return left - w * max(left - right, colder)
    return left + w * (right - left)


@nb.njit(cache=True, nogil=True)
def _band_money(c: float, low_c: float, high_c: float, money: Floats) -> float:
    """Money of one comfort temperature."""
    if c < low_c:
        return float(money[0] * (low_c - c))
    if c > high_c:
        return float(money[1] * (c - high_c))
    return 0.0


@nb.njit(nogil=True, inline="always")
def _same_shift_until(start_at: float, ratio: float, shift: int) -> int:
    """First point that no longer lands in the cell `shift` beyond its own number."""
    if ratio < 1.0:
        return int(np.floor((start_at - shift) / (1.0 - ratio))) + 1
    if ratio > 1.0:
        return int(np.ceil((shift + 1.0 - start_at) / (ratio - 1.0)))
    return 2**31


@nb.njit(nogil=True, inline="always")
def _add_landed(
    row: NDArray[np.float32],
    cost: NDArray[np.float32],
    start_at: float,
    ratio: float,
    colder: float,
    warmer: float,
    ramp: NDArray[np.float32],
    to: NDArray[np.float32],
) -> None:
    """Set `to` (S,) to `cost` plus the value where each point lands, at `start_at + ratio s` on the grid of `row`.

    As `_between` has it, but in loops without branches and look-ups, which compilers turn into vector instructions:
    points that land below the grid, beyond it, and on it in runs of the same shift. `ramp` is 0, 1, 2 ...: counters
    turned into float32 inside the loops took half of the time.
    """
    points = len(row)
    first = min(max(int(np.ceil(-start_at / ratio)), 0), points)
    last = min(max(int(np.ceil((points - 1.0 - start_at) / ratio)), first), points)
    edge, slope = row[0], max(row[0] - row[1], np.float32(colder))
    at, step = np.float32(start_at), np.float32(ratio)
    for s in range(first):
        to[s] = cost[s] + (edge - (at + step * ramp[s]) * slope)
    edge, slope = row[points - 1], max(row[points - 1] - row[points - 2], np.float32(warmer))
    at = np.float32(start_at + ratio * last - (points - 1.0))
    costs, into = cost[last:], to[last:]
    for i in range(len(into)):
        into[i] = costs[i] + (edge + (at + step * ramp[i]) * slope)
    drift = np.float32(ratio - 1.0)
    s = first
    while s < last:
        k = min(max(int(start_at + ratio * s), 0), points - 2)
        end = min(max(_same_shift_until(start_at, ratio, k - s), s + 1), last)
        at = np.float32(start_at + ratio * s - k)
        left, right, costs, into = row[k:], row[k + 1 :], cost[s:end], to[s:end]
        for i in range(len(into)):
            into[i] = costs[i] + (left[i] + (at + drift * ramp[i]) * (right[i] - left[i]))
        s = end


@nb.njit(cache=True, nogil=True)
def values(
    free_c: Floats,
    low_c: Floats,
    high_c: Floats,
    price_on: Floats,
    warmth_czk_k: Floats,
    cap_c: Floats,
    decay: Floats,
    push: Floats,
    money: Floats,
    start_czk: float,
    min_on: int,
    min_off: int,
    terminal: NDArray[np.float32],
    warmth_from: Floats,
    warmth_step: Floats,
    fast: Floats,
    share: float,
    out: NDArray[np.float32],
) -> None:
    """Set `out` to the value of every state (T+1, N, 2, F, S).

    Axes: boundary, slots in this state so far (the last of N is free to switch), relay off or on, fast mode, warmth.
    The shorter of the two minimum times enters later in N.

    Args:
        free_c: Comfort temperature at the end of each slot without heat (T,).
        low_c: Lower edge of the band (T,).
        high_c: Upper edge (T,).
        price_on: Money for one slot on (T,).
        warmth_czk_k: Money per K of comfort temperature at the end of each slot (T,).
        cap_c: Where heat is cut off (T,), or empty.
        decay: Of the two modes, slow first (2,).
        push: What one slot on adds to each mode (2,).
        money: Money per K below and above the band, for one slot (2,).
        start_czk: Money per start.
        min_on: Least slots on.
        min_off: Least slots off.
        terminal: Value of the end state (F, S).
        warmth_from: First warmth of the grid at each boundary (T+1,).
        warmth_step: Its step (T+1,).
        fast: Grid of the fast mode (F,).
        share: Weight of the fast mode in the warmth.
        out: Any numbers.
    """
    slots, fasts, points = len(free_c), len(fast), terminal.shape[1]
    steps = max(min_on, min_off)
    enter_off, enter_on, free = steps - min_off, steps - min_on, steps - 1
    for n in range(steps):
        for u in range(2):
            out[slots, n, u] = terminal
    ahead = np.empty((steps, 2, fasts, points), dtype=np.float32)
    row, cost, ramp = np.empty_like(terminal[0]), np.empty_like(terminal[0]), np.arange(points).astype(np.float32)
    below, above, start, zero = np.float32(money[0]), np.float32(money[1]), np.float32(start_czk), np.float32(0.0)
    for t in range(slots - 1, -1, -1):
        rise = decay[0] * warmth_step[t]  # of the landing, from point to point
        ratio = rise / warmth_step[t + 1]
        colder, warmer = money[0] * warmth_step[t + 1], money[1] * warmth_step[t + 1]
        if t == slots - 1:  # the end's value is a straight line, also outside the window
            colder, warmer = -np.inf, -np.inf
        for u in range(2):
            energy = price_on[t] if u else 0.0
            heat = (push[0] + share * push[1]) * u
            for f in range(fasts):
                z1 = decay[1] * fast[f] + push[1] * u
                # slow' + share fast' = decay0 warmth + share (decay1 - decay0) fast + (push0 + share push1) on
                base = decay[0] * warmth_from[t] + share * (decay[1] - decay[0]) * fast[f] + heat
                rest = (1.0 - share) * z1 + free_c[t]
                start_at = (base - warmth_from[t + 1]) / warmth_step[t + 1]
                if u and len(cap_c):  # one mode, and what lands above the cap stays there
                    for s in range(points):
                        landing = min(base + rise * s, max(base + rise * s - heat, cap_c[t] - free_c[t]))
                        at = (landing - warmth_from[t + 1]) / warmth_step[t + 1]
                        k = min(max(int(at), 0), points - 2)
                        air = landing + rest
                        own = energy + warmth_czk_k[t] * air + _band_money(air, low_c[t], high_c[t], money)
                        for n in range(steps):
                            left, right = out[t + 1, n, u, f, k], out[t + 1, n, u, f, k + 1]
                            ahead[n, u, f, s] = np.float32(own + _between(left, right, at - k, colder, warmer))
                    continue
                air = base + rest
                own, per_point = np.float32(energy + warmth_czk_k[t] * air), np.float32(warmth_czk_k[t] * rise)
                under, over, up = np.float32(low_c[t] - air), np.float32(air - high_c[t]), np.float32(rise)
                for s in range(points):
                    x = ramp[s]
                    low, high = under - up * x, over + up * x
                    comfort = below * (low if low > zero else zero) + above * (high if high > zero else zero)
                    cost[s] = own + per_point * x + comfort
                j, v = 0, zero
                if fasts > 1:
                    across = min(max((z1 - fast[0]) / (fast[1] - fast[0]), 0.0), fasts - 1.0)
                    j = min(int(across), fasts - 2)
                    v = np.float32(across - j)
                for n in range(steps):
                    if fasts > 1:
                        slower, faster = out[t + 1, n, u, j], out[t + 1, n, u, j + 1]
                        for s in range(points):
                            row[s] = slower[s] + v * (faster[s] - slower[s])
                    else:
                        row[:] = out[t + 1, n, u, 0]
                    _add_landed(row, cost, start_at, ratio, colder, warmer, ramp, ahead[n, u, f])
        for n in range(free):
            out[t, n] = ahead[n + 1]
        for f in range(fasts):
            off, on, to_off, to_on = ahead[free, 0, f], ahead[free, 1, f], out[t, free, 0, f], out[t, free, 1, f]
            begun, ended = ahead[enter_on, 1, f], ahead[enter_off, 0, f]
            for s in range(points):
                begin = begun[s] + start
                to_off[s] = off[s] if off[s] <= begin else begin
                to_on[s] = on[s] if on[s] <= ended[s] else ended[s]


@nb.njit(cache=True, nogil=True)
def interpolate(
    table: NDArray[np.float32],
    slow: float,
    fast_now: float,
    start: float,
    step: float,
    fast: Floats,
    share: float,
    money: Floats,
) -> float:
    """Interpolate a value table (F, S) at one state; `money` per K below and above the band, for one slot."""
    fasts, points = table.shape
    at = (slow + share * fast_now - start) / step
    k = min(max(int(at), 0), points - 2)
    w = at - k
    colder, warmer = money[0] * step, money[1] * step
    if fasts == 1:
        return float(_between(table[0, k], table[0, k + 1], w, colder, warmer))
    across = (fast_now - fast[0]) / (fast[1] - fast[0])
    j = min(max(int(across), 0), fasts - 2)
    v = across - j
    first = _between(table[j, k], table[j, k + 1], w, colder, warmer)
    second = _between(table[j + 1, k], table[j + 1, k + 1], w, colder, warmer)
    return float(first * (1.0 - v) + second * v)


@nb.njit(cache=True, nogil=True)
def roll_out(
    table: NDArray[np.float32],
    free_c: Floats,
    low_c: Floats,
    high_c: Floats,
    price_on: Floats,
    warmth_czk_k: Floats,
    cap_c: Floats,
    decay: Floats,
    push: Floats,
    money: Floats,
    start_czk: float,
    min_on: int,
    min_off: int,
    on_now: bool,
    slots_in_state: int,
    warmth_from: Floats,
    warmth_step: Floats,
    fast: Floats,
    share: float,
    forced_slot: int,
    forced_on: bool,
) -> Bools:
    """Read the schedule off forward with the exact states, so that no grid error piles up (T,).

    In slot `forced_slot` (-1 for none) the relay does what `forced_on` says where its minimum times allow.
    """
    slots, steps = len(free_c), table.shape[1]
    on = np.empty(slots, dtype=np.bool_)
    straight = np.full(2, -np.inf)  # the value at the end has no bend
    slow = fast_now = 0.0
    heat = 1 if on_now else 0
    held = min(max(slots_in_state, 1), min_on if heat else min_off)
    for t in range(slots):
        if held >= (min_on if heat else min_off):
            best = np.inf
            wanted = heat
            for k in range(2):
                u = heat if k == 0 else 1 - heat  # staying wins a draw
                if t == forced_slot and (u == 1) != forced_on:
                    continue
                z0, z1 = decay[0] * slow + push[0] * u, decay[1] * fast_now + push[1] * u
                if u and len(cap_c):
                    z0 = min(z0, max(decay[0] * slow, cap_c[t] - free_c[t]))
                c = free_c[t] + z0 + z1
                run = steps - 1 if u == heat else steps - (min_on if u else min_off)
                worth = _band_money(c, low_c[t], high_c[t], money) + warmth_czk_k[t] * c
                if u:
                    worth += price_on[t]
                    if not heat:
                        worth += start_czk
                worth += interpolate(
                    table[t + 1, run, u], z0, z1, warmth_from[t + 1], warmth_step[t + 1], fast, share,
                    money if t < slots - 1 else straight,
                )  # fmt: skip
                if worth < best:
                    best, wanted = worth, u
            if wanted != heat:
                heat, held = wanted, 0
        held += 1
        before = decay[0] * slow
        slow, fast_now = before + push[0] * heat, decay[1] * fast_now + push[1] * heat
        if heat and len(cap_c):
            slow = min(slow, max(before, cap_c[t] - free_c[t]))
        on[t] = heat == 1
    return on


@nb.njit(cache=True, nogil=True)
def account(
    on: Bools,
    free_c: Floats,
    low_c: Floats,
    high_c: Floats,
    warmth_czk_k: Floats,
    cap_c: Floats,
    decay: Floats,
    push: Floats,
    money: Floats,
    on_now: bool,
) -> tuple[float, int, float, float, Floats]:
    """Follow a schedule: comfort money, starts, end modes (slow, fast), and comfort temperatures (T,)."""
    slow = fast_now = 0.0
    comfort = 0.0
    starts = 0
    before = on_now
    air = np.empty(len(on))
    for t in range(len(on)):
        u = 1.0 if on[t] else 0.0
        kept = decay[0] * slow
        slow, fast_now = kept + push[0] * u, decay[1] * fast_now + push[1] * u
        if on[t] and len(cap_c):
            slow = min(slow, max(kept, cap_c[t] - free_c[t]))
        air[t] = free_c[t] + slow + fast_now
        comfort += _band_money(air[t], low_c[t], high_c[t], money) + warmth_czk_k[t] * air[t]
        if on[t] and not before:
            starts += 1
        before = on[t]
    return comfort, starts, slow, fast_now, air
