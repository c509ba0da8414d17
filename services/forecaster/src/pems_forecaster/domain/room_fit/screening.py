"""What of a room's history may teach, and why the rest may not.

A value that is wrong (a spike, a stuck sensor) is taken as missing. A time in which something acted that the model does
not know (an open window, a stove) also spoils every prediction that runs through it. The hours are counted by reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["REASONS", "Screened", "filled", "resolution_of", "screen"]

Mask = NDArray[np.bool_]
REASONS = (
    "no measurement",
    "impossible value",
    "spike",
    "stuck sensor",
    "jump",
    "window open",
    "other heat",
    "outdoor temperature unknown",
    "heat unknown",
    "heat without effect",
)
_AIR_C = (-30.0, 60.0)
_SPIKE_K, _AGREE_K = 1.2, 0.6
_STUCK_H, _STUCK_COARSE_H, _COARSE_K = 18.0, 60.0, 0.2
_JUMP_K = 2.5
_FALL_K, _RISE_K, _USUAL = 0.7, 1.0, 6.0
_BEYOND_K = 2.5
_COLDER_K = 4.0
_DARK_W_M2 = 40.0
_UNHEATED = 0.05  # of the most heat
_AFTER_H = {"window open": 2.0, "other heat": 6.0, "jump": 0.0}
_OUTDOOR_GAP_H, _HEAT_GAP_H = 3.0, 1.0


@dataclass(frozen=True)
class Screened:
    """A room's history for the fit.

    Attributes:
        air_c: Measured, NaN where it may not teach (T,).
        heat_w: Without holes (T,).
        spoilt: Steps in which something unknown acted (T,).
        hours: Hours left out, by reason.
        resolution_k: Step of the sensor [K].
    """

    air_c: Floats
    heat_w: Floats
    spoilt: Mask
    hours: Mapping[str, float]
    resolution_k: float

    def with_spoilt(self, reason: str, mask: Mask, step_s: int) -> "Screened":
        """Return it with further steps set aside."""
        more = float((mask & ~self.spoilt).sum()) * step_s / 3600.0
        hours = {**self.hours, reason: round(self.hours.get(reason, 0.0) + more, 2)}
        return Screened(self.air_c, self.heat_w, self.spoilt | mask, hours, self.resolution_k)


def filled(values: Floats, most_steps: int) -> tuple[Floats, Mask]:
    """Fill holes by straight lines; returns also which steps are in holes longer than `most_steps` (T,)."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values)), np.ones(len(values), dtype=np.bool_)
    at = np.arange(len(values))
    line = np.interp(at, at[known], values[known])
    far = np.zeros(len(values), dtype=np.bool_)
    for first, until in _runs(~known):
        if until - first > most_steps:
            far[first:until] = True
    return line, far


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """Begin and end of runs of true steps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def resolution_of(air_c: Floats) -> float:
    """Return the usual least step between different values [K]; 0 where nothing changes."""
    known = air_c[np.isfinite(air_c)]
    steps = np.abs(np.diff(np.unique(np.round(known, 3))))
    return float(np.median(steps)) if len(steps) else 0.0


def screen(series: HouseSeries, room: str) -> Screened:
    """Look through a room's history."""
    per_hour = 3600.0 / series.step_s
    air = np.array(series.air_c[room], dtype=np.float64)
    steps = len(air)
    hours = dict.fromkeys(REASONS, 0.0)
    spoilt = np.zeros(steps, dtype=np.bool_)

    def drop(reason: str, mask: Mask) -> None:
        hours[reason] += float((mask & np.isfinite(air)).sum()) / per_hour
        air[mask] = np.nan

    hours["no measurement"] = float(np.isnan(air).sum()) / per_hour
    outdoor, far = filled(series.outdoor_c, int(_OUTDOOR_GAP_H * per_hour))
    spoilt |= far
    hours["outdoor temperature unknown"] = float(far.sum()) / per_hour
    told = series.heat_w.get(room, np.zeros(steps))
    known_heat = np.isfinite(told)
    heat = np.where(known_heat, told, 0.0)
    for first, until in _runs(~known_heat):
        if until - first > _HEAT_GAP_H * per_hour:
            spoilt[first:until] = True
            hours["heat unknown"] += (until - first) / per_hour
    drop("impossible value", (air < _AIR_C[0]) | (air > _AIR_C[1]))
    drop("spike", _spikes(air))
    resolution = resolution_of(air)
    drop("stuck sensor", _stuck(air, per_hour, resolution))
    for reason, mask in _strange(series, room, air, outdoor, heat, resolution).items():
        mask = _with_after(mask, int(_AFTER_H[reason] * per_hour))
        spoilt |= mask
        drop(reason, mask)
    return Screened(air, heat, spoilt, {reason: round(h, 2) for reason, h in hours.items() if h > 0.0}, resolution)


def _spikes(air: Floats) -> Mask:
    """Single values away from both of their neighbours, which agree."""
    mask = np.zeros(len(air), dtype=np.bool_)
    at = np.flatnonzero(np.isfinite(air))
    if len(at) < 3:
        return mask
    known = air[at]
    before, here, after = known[:-2], known[1:-1], known[2:]
    off = (np.abs(here - before) > _SPIKE_K) & (np.abs(here - after) > _SPIKE_K) & (np.abs(before - after) < _AGREE_K)
    mask[at[1:-1][off]] = True
    return mask


def _stuck(air: Floats, per_hour: float, resolution: float) -> Mask:
    """The very same value for longer than rooms keep one."""
    mask = np.zeros(len(air), dtype=np.bool_)
    at = np.flatnonzero(np.isfinite(air))
    if len(at) < 2:
        return mask
    least = (_STUCK_COARSE_H if resolution >= _COARSE_K else _STUCK_H) * per_hour
    same = np.concatenate([[False], np.diff(air[at]) == 0.0])
    for first, until in _runs(same):
        begin, end = int(at[first - 1]), int(at[until - 1])
        if end - begin >= least:
            mask[begin : end + 1] = True
    return mask


def _strange(
    series: HouseSeries, room: str, air: Floats, outdoor: Floats, heat: Floats, resolution: float
) -> dict[str, Mask]:
    """Times in which something acts that the model does not know."""
    per_hour = 3600.0 / series.step_s
    line, far = filled(air, int(2.0 * per_hour))
    half, hour = max(1, round(0.5 * per_hour)), max(1, round(per_hour))
    result = {reason: np.zeros(len(air), dtype=np.bool_) for reason in _AFTER_H}
    cooling, warming = (np.zeros(len(air), dtype=np.bool_) for _ in range(2))

    def change(steps: int) -> Floats:
        moved = np.zeros(len(air))
        moved[steps:] = line[steps:] - line[:-steps]
        moved[far] = 0.0
        return moved

    def usual(moved: Floats) -> float:
        active = np.abs(moved[moved != 0.0])
        return 1.4826 * float(np.median(active)) if len(active) else 0.0

    quick, slow = change(half), change(hour)
    one = np.abs(np.diff(line, prepend=line[:1]))
    result["jump"] = (one > max(_JUMP_K, 2.0 * resolution)) & ~far
    lately = int(3 * per_hour)
    unheated = _highest(heat, lately) <= _UNHEATED * max(float(heat.max()), 1.0)
    sun = np.zeros(len(air))
    for values in series.solar_w_m2.values():
        sun = np.maximum(sun, np.nan_to_num(values))
    dark = _highest(sun, hour) < _DARK_W_M2
    rise = max(_RISE_K + resolution, _USUAL * usual(slow))
    beyond = max(_BEYOND_K, 2.0 * rise)  # what no floor or radiator does in an hour
    rising = ((slow > rise) & unheated | (slow > beyond)) & dark & ~result["jump"]
    fall = max(_FALL_K + resolution, _USUAL * usual(quick))
    falling = (quick < -fall) & (outdoor < line - _COLDER_K) & ~result["jump"]
    # What comes first names the episode: a room cools after a stove, and warms again after a window.
    for first, until, window in sorted(
        [(*run, False) for run in _runs(rising)] + [(*run, True) for run in _runs(falling)]
    ):
        if window and not cooling[first]:
            end = _closed(line, first, until, per_hour)
            result["window open"][max(first - half, 0) : end] = True
            warming[first : end + int(_AFTER_H["window open"] * per_hour)] = True
        elif not window and not warming[first]:
            result["other heat"][max(first - hour, 0) : until] = True
            cooling[first : until + int(_AFTER_H["other heat"] * per_hour)] = True
    if room in series.open_window:
        result["window open"] |= series.open_window[room]
    return result


def _closed(line: Floats, first: int, until: int, per_hour: float) -> int:
    """When a window that let the air fall is closed: half of the fall is back, or six hours have passed."""
    top = float(line[max(first - int(per_hour), 0) : first + 1].max())
    last = min(len(line), until + int(6 * per_hour))
    bottom = float(line[first:last].min()) if last > first else top
    low = first + int(np.argmin(line[first:last])) if last > first else until
    back = np.flatnonzero(line[low:last] > 0.5 * (top + bottom))
    return int(low + back[0]) if len(back) else last


def _highest(values: Floats, steps: int) -> Floats:
    """Highest of the last steps, this one included."""
    padded = np.concatenate([np.full(steps, values[0] if len(values) else 0.0), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, steps + 1)
    return np.asarray(windows.max(axis=1))


def _with_after(mask: Mask, steps: int) -> Mask:
    """Mask with the steps that follow each run."""
    longer = mask.copy()
    for _, until in _runs(mask):
        longer[until : until + steps] = True
    return longer
