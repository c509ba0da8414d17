"""Best on/off schedule of one device with two thermal states, by dynamic programming (a *bidder*).

The device answers a price per slot with its best schedule, minimum on/off times included. Its two-state linear
model is taken apart into its free response (relay off) and the response to the relay, whose two modes decay on
their own: `z' = lambda z + beta u`. So the grid needs only cover what heating adds, on a window that follows the
comfort band, and the second state costs one small matrix product. Interpolation smears the value a little in every
slot; a coordinate along which it changes most (`_Grid`) keeps that small on few points. Value iteration is
backward; the schedule is then read off forward with the exact states, so that no grid error piles up.
Bellman, Dynamic Programming (1957); on switched devices with minimum times as modes: docs/planning-problem.md.
"""

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pems_optimizer.domain import relay_kernel as kernel
from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["RelayBid", "RelayDevice", "RelayDp", "best_schedule", "follow"]

_SCRATCH = threading.local()
_MOST_SHAPES = 6  # two grids, of rooms and of the tank; another horizon begins anew
_AHEAD_SLOTS = 12  # heat may have to be stored ahead of a higher band
_FAST_IN_WARMTH = 0.6
# Edges of the window about the band [K].
_BELOW_K, _ABOVE_K, _RISE_K, _LEAST_WINDOW_K = 0.5, 0.5, 0.5, 1.0


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
        warmth_czk_k: Money per K of comfort temperature at the end of each slot: minus what its warmth is worth to
            others (T,).
        cap_c: Heat does not raise the comfort temperature beyond this, as a thermostat of the device's own cuts off;
            for devices of one mode that keeps its heat (decay 1); empty for none.
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
    warmth_czk_k: Floats
    cap_c: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def one_mode(self) -> bool:
        """Whether heat leaves the fast mode alone, or there is none."""
        return abs(float(self.push[1])) < 1e-12


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


def _terminal(device: RelayDevice, end_c: Floats) -> Floats:
    gap = end_c - device.end_reference_c
    return -device.end_value * np.minimum(gap, 0.0) - device.end_bonus * np.clip(gap, 0.0, 1.0)


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
    if len(device.free_c) == 0:  # nothing is left to decide
        return _Grid(np.zeros(1), np.ones(1), points, np.zeros(1))
    fast_limit = float(push[1]) / max(1e-9, 1.0 - float(decay[1])) if not device.one_mode else 0.0
    fast = np.linspace(min(0.0, fast_limit), max(0.0, fast_limit), fast_points) if fast_limit else np.zeros(1)
    reach = _always_on(device)
    lead = np.concatenate([device.low_c[:1], device.low_c])
    top = np.concatenate([device.high_c[:1], device.high_c])
    free = np.concatenate([device.free_c[:1], device.free_c])
    ahead = sliding_window_view(np.pad(lead, (0, _AHEAD_SLOTS), mode="edge"), _AHEAD_SLOTS + 1).max(axis=1)
    # Warmth differs from what the air has of it by this much where the fast mode is at its limit.
    behind = (1.0 - _FAST_IN_WARMTH) * fast_limit
    # A slot of heat, or of cooling, must land on the window: beyond it values are only continued in a straight line.
    gained = float(push[0] + _FAST_IN_WARMTH * push[1])
    cooled = float(np.max(-np.diff(free), initial=0.0))
    low = np.minimum(lead - free - max(0.0, behind) - max(_BELOW_K, cooled), reach - _RISE_K)
    low = np.clip(low, 0.0, None)
    high = np.maximum(top, ahead + _RISE_K) - free - min(0.0, behind) + max(_ABOVE_K, gained)
    high = np.maximum(np.minimum(high, reach + 0.1), low + _LEAST_WINDOW_K)
    return _Grid(low, (high - low) / (points - 1), points, fast)


def _money(device: RelayDevice) -> Floats:
    return np.array([device.below, device.above])


def _end_values(device: RelayDevice, grid: _Grid) -> NDArray[np.float32]:
    """Return the value of every end state (F, S)."""
    warmth = grid.warmth_from[-1] + grid.warmth_step[-1] * np.arange(grid.points)
    slow = warmth[None, :] - _FAST_IN_WARMTH * grid.fast[:, None]
    end_c = device.free_end_c + device.end_gain[0] * slow + device.end_gain[1] * grid.fast[:, None]
    return _terminal(device, end_c).astype(np.float32)


def follow(device: RelayDevice, on: Bools) -> RelayBid:
    """Account for a given schedule (T,)."""
    comfort, starts, slow, fast, air_c = kernel.account(
        np.ascontiguousarray(on),  # a column of a table would be another type to the kernel
        device.free_c,
        device.low_c,
        device.high_c,
        device.warmth_czk_k,
        device.cap_c,
        device.decay,
        device.push,
        _money(device),
        device.on_now,
    )
    end_c = device.free_end_c + device.end_gain[0] * slow + device.end_gain[1] * fast
    return RelayBid(on, air_c, comfort + float(_terminal(device, np.array([end_c]))[0]), starts)


class RelayDp:
    """The dynamic program of one device: its grid is made once, prices come and go."""

    def __init__(self, device: RelayDevice, *, warmth_points: int = 56, fast_points: int = 9) -> None:
        """Make the grid.

        Args:
            device: The device.
            warmth_points: Grid points of the warmth.
            fast_points: Grid points of the fast mode.
        """
        self.device = device
        self._grid = _make_grid(device, warmth_points, 1 if device.one_mode else fast_points)
        self._end = _end_values(device, self._grid)
        self._per_start: tuple[float, float] | None = None  # too little, enough: prices that keep the starts' limit

    def answer(self, price_on: Floats, per_start: float, forced: tuple[int, bool] | None = None) -> RelayBid:
        """Return the best answer to `price_on` (T,) and a price per start, however many starts it takes."""
        slot, held = (-1, False) if forced is None else forced
        device, grid = self.device, self._grid
        on = kernel.roll_out(
            self._table(price_on, per_start),
            device.free_c,
            device.low_c,
            device.high_c,
            price_on,
            device.warmth_czk_k,
            device.cap_c,
            device.decay,
            device.push,
            _money(device),
            per_start,
            device.min_on,
            device.min_off,
            device.on_now,
            device.slots_in_state,
            grid.warmth_from,
            grid.warmth_step,
            grid.fast,
            _FAST_IN_WARMTH,
            slot,
            held,
        )
        return follow(device, on)

    def value(self, price_on: Floats, per_start: float) -> float:
        """Return what the program thinks the best answer costs: near the truth, on neither side for sure."""
        device = self.device
        if len(device.free_c) == 0:
            return follow(device, np.zeros(0, dtype=np.bool_)).comfort
        table, grid = self._table(price_on, per_start), self._grid
        least = device.min_on if device.on_now else device.min_off
        held = min(max(device.slots_in_state, 1), least)
        run = table.shape[1] - 1 - (least - held)
        now = table[0, run, int(device.on_now)]
        return float(
            kernel.interpolate(
                now, 0.0, 0.0, grid.warmth_from[0], grid.warmth_step[0], grid.fast, _FAST_IN_WARMTH, _money(device)
            )
        )

    def best(
        self,
        price_on: Floats,
        *,
        start_czk: float,
        starts_max: int | None = None,
        forced: tuple[int, bool] | None = None,
        thorough: bool = False,
    ) -> tuple[RelayBid, float]:
        """Return the best answer to `price_on` that keeps the limit of starts, and the price per start it was made at.

        Where the free answer has too many starts their price is raised by bisection. What was learnt stays: the next
        bid, at almost the same prices, begins there with two tries, or goes on to the end if `thorough`.
        """
        free = start_czk if self._per_start is None else self._per_start[1]
        bid = self.answer(price_on, free, forced)
        if starts_max is None or (bid.starts <= starts_max and self._per_start is None):
            return bid, free
        low, high = (start_czk, max(1.0, 4.0 * start_czk)) if self._per_start is None else self._per_start
        best: tuple[RelayBid, float] | None = None
        if self._per_start is not None:
            if bid.starts <= starts_max:
                best, low = (bid, free), max(start_czk, 2.0 * low - high)
            else:
                low, high = free, 1.5 * free
        for _ in range(14):
            middle = high if best is None else 0.5 * (low + high)
            bid = self.answer(price_on, middle, forced)
            if bid.starts <= starts_max:
                best, high = (bid, middle), middle
            else:
                low = middle
                if best is None:
                    high = 4.0 * high
            if best is not None and (high - low < 0.05 * high or (self._per_start is not None and not thorough)):
                break
        if best is None:
            return bid, high  # minimum times and the state before leave no choice
        self._per_start = (low, high) if high > start_czk * 1.001 else None
        return best

    def _table(self, price_on: Floats, per_start: float) -> NDArray[np.float32]:
        """Return the value of every state; the next call of this thread overwrites it."""
        device, grid = self.device, self._grid
        table = _scratch((len(device.free_c) + 1, max(device.min_on, device.min_off), 2, *self._end.shape))
        kernel.values(
            device.free_c,
            device.low_c,
            device.high_c,
            price_on,
            device.warmth_czk_k,
            device.cap_c,
            device.decay,
            device.push,
            _money(device),
            per_start,
            device.min_on,
            device.min_off,
            self._end,
            grid.warmth_from,
            grid.warmth_step,
            grid.fast,
            _FAST_IN_WARMTH,
            table,
        )
        return table


def _scratch(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return memory for a table of values: 5 MB on a fine grid, of which new pages took a tenth of the time."""
    known: dict[tuple[int, ...], NDArray[np.float32]] | None = getattr(_SCRATCH, "tables", None)
    if known is None or len(known) > _MOST_SHAPES:
        known = _SCRATCH.tables = {}
    if shape not in known:
        known[shape] = np.empty(shape, dtype=np.float32)
    return known[shape]


def best_schedule(
    device: RelayDevice,
    price_on: Floats,
    *,
    start_czk: float,
    starts_max: int | None = None,
    warmth_points: int = 56,
    fast_points: int = 9,
) -> RelayBid:
    """Return the device's best answer to `price_on`, the money for one slot on (T,), for one time only.

    Args:
        device: The device.
        price_on: Money for one slot on (T,).
        start_czk: Money per start.
        starts_max: Starts allowed.
        warmth_points: Grid points of the warmth.
        fast_points: Grid points of the fast mode.
    """
    program = RelayDp(device, warmth_points=warmth_points, fast_points=fast_points)
    return program.best(price_on, start_czk=start_czk, starts_max=starts_max, thorough=True)[0]
