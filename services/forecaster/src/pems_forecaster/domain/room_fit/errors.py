"""24-hour errors of rooms, and how they change with every parameter, for many rooms and candidates in one pass.

The whole history is simulated once from rest; what the measurements are off, `r = y - z`, is filtered (Kalman, steady
state, holes in the measurements are coasted over), and the filtered state is carried `h` steps ahead from each origin:
`e(o, h) = r(o + h) - C A^h x(o)`. By linearity this is the error of the room simulated open loop from its estimated
state, and derivatives by apertures, gains and heat need no second simulation. Those by resistances, capacities and
the filter's beliefs are differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.room_fit.modes import Modes, modes_of
from pems_forecaster.domain.room_fit.parameters import NOISE_NAMES, PHYSICAL_NAMES, Prior, noise_of

__all__ = ["Problem", "RoomRecord", "errors_of"]

_NUDGE = 1e-4
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RoomRecord:
    """What a room is fitted on; no holes but in `air_c`.

    Attributes:
        air_c: Measured (T,), NaN where unknown or set aside.
        outdoor_c: (T,).
        near_c: Air of neighbours by name (T,).
        heat_w: (T,).
        solar_w_m2: By plane (T,).
        shapes: How much each of the fitted gains counts over time (6, T).
        origins: Steps from which is predicted (O,).
        ahead: Steps ahead that are compared (H,).
        wanted: Whether origin and horizon count (O, H); they do not go beyond the record.
        step_s: Length of a step.
    """

    air_c: Floats
    outdoor_c: Floats
    near_c: dict[str, Floats]
    heat_w: Floats
    solar_w_m2: dict[str, Floats]
    shapes: Floats
    origins: Ints
    ahead: Ints
    wanted: Mask
    step_s: int

    @cached_property
    def rest_c(self) -> float:
        """Temperature from which the simulation begins: the first that was measured."""
        known = self.air_c[np.isfinite(self.air_c)]
        return float(known[0]) if len(known) else 20.0


class Problem:
    """A room's record and prior, with what does not change between candidates.

    Parameters fall in two: those that change the modes (moved: resistances, capacities, couplings, beliefs), and those
    that only scale an input (direct: apertures, gains, the share of heat that goes into the mass).
    """

    def __init__(self, record: RoomRecord, prior: Prior) -> None:
        """Prepare."""
        self.record, self.prior = record, prior
        names = prior.names
        moving = {*PHYSICAL_NAMES, *NOISE_NAMES, "neighbour"}
        self.moved = [k for k, name in enumerate(names) if name.partition(":")[0] in moving]
        self.direct = [k for k in range(len(names)) if k not in self.moved]
        self.couplings = [k for k, name in enumerate(names) if name.startswith("neighbour:")]
        gains = [k for k, name in enumerate(names) if name.startswith("gains:")]
        self.scaled = [k for k, name in enumerate(names) if name.partition(":")[0] in {"neighbour", "solar", "gains"}]
        rows = []
        for k in self.scaled:
            kind, _, what = names[k].partition(":")
            if kind == "neighbour":
                rows.append(record.near_c[what] - record.rest_c)
            elif kind == "solar":
                rows.append(record.solar_w_m2[what])
            else:
                rows.append(record.shapes[gains.index(k)])
        self.series = np.stack([*rows, record.outdoor_c - record.rest_c, record.heat_w])
        self.loss = names.index("rea_k_w")
        self.share = names.index("heat_to_mass") if "heat_to_mass" in names else None
        self.effect = names.index("heat_effect") if "heat_effect" in names else None
        self.seen = np.isfinite(record.air_c)
        self.measured = np.where(self.seen, record.air_c - record.rest_c, 0.0)
        ends = np.minimum(record.origins[:, None] + record.ahead[None, :], len(record.air_c) - 1)
        self.row_origin, self.row_ahead = np.nonzero(record.wanted)
        self.row_end = ends[record.wanted]

    def points(self, values: Floats) -> Floats:
        """Return the candidate itself, then each moved parameter nudged (P, 1 + moved)."""
        points = np.repeat(values[:, None], 1 + len(self.moved), axis=1)
        points[self.moved, np.arange(1, 1 + len(self.moved))] += _NUDGE
        return points

    def to_mass(self, values: Floats) -> float:
        """Return the share of heat that goes into the mass."""
        return 1.0 if self.share is None else 1.0 / (1.0 + float(np.exp(-values[self.share])))

    def heat(self, values: Floats) -> tuple[float, float]:
        """Return the shares of the told heat that reach air and mass."""
        effect = 1.0 if self.effect is None else float(np.exp(values[self.effect]))
        to_mass = self.to_mass(values)
        return effect * (1.0 - to_mass), effect * to_mass

    def weights(self, values: Floats) -> Floats:
        """Return what each of `series` counts in the air."""
        return np.array([*np.exp(values[self.scaled]), np.exp(-values[self.loss]), self.heat(values)[0]])

    def columns(self, values: Floats, points: Floats, modes: Modes) -> Floats:
        """Return what measurements are off, and its derivatives or nudged likes (1 + P, T), moved ones first.

        Args:
            values: The candidate (P,).
            points: Of `points`.
            modes: Of these points.
        """
        result = np.empty((1 + len(self.prior.names), len(self.measured)))
        waves = [_carried(modes.decay[mode, 0], self.series) for mode in range(2)]
        air = modes.air_in[0, 0] * waves[0] + modes.air_in[1, 0] * waves[1]
        heat_mass = modes.mass_in[0, 0] * waves[0][-1] + modes.mass_in[1, 0] * waves[1][-1]
        to_air, to_mass = self.heat(values)
        weights = self.weights(values)
        result[0] = self.measured - weights @ air - to_mass * heat_mass
        both = np.empty((2, len(self.measured)))
        both[1] = to_mass * self.series[-1]
        for place, k in enumerate(self.moved, start=1):
            if self.prior.names[k] in NOISE_NAMES:
                result[place] = result[0]
                continue
            both[0] = self.weights(points[:, place]) @ self.series
            simulated = np.zeros(len(self.measured))
            for mode in range(2):
                wave = _carried(modes.decay[mode, place], both)
                simulated += modes.air_in[mode, place] * wave[0] + modes.mass_in[mode, place] * wave[1]
            result[place] = self.measured - simulated
        for place, k in enumerate(self.direct, start=1 + len(self.moved)):
            if k == self.share:
                result[place] = -to_air * self.to_mass(values) * (heat_mass - air[-1])
            elif k == self.effect:
                result[place] = -(to_mass * heat_mass + to_air * air[-1])
            else:
                row = self.scaled.index(k)
                result[place] = -weights[row] * air[row]
        result[:, ~self.seen] = 0.0
        return result


def _carried(decay: float, series: Floats) -> Floats:
    """Accumulate series (J, T) in a mode; entry `k` is before step `k` acts."""
    return np.asarray(lfilter([0.0, 1.0], [1.0, -float(decay)], series, axis=-1))


def _modes(problems: Sequence[Problem], points: Sequence[Floats]) -> Modes:
    """Bring the points of all problems into modal form, one after another."""

    def all_of(name: str) -> Floats:
        return np.concatenate(
            [own[problem.prior.names.index(name)] for problem, own in zip(problems, points, strict=True)]
        )

    ria, rea, ci, cm = (np.exp(all_of(name)) for name in PHYSICAL_NAMES)
    coupling = np.concatenate(
        [np.exp(own[problem.couplings]).sum(axis=0) for problem, own in zip(problems, points, strict=True)]
    )
    sensor = np.concatenate(
        [np.full(own.shape[1], problem.prior.sensor_k2) for problem, own in zip(problems, points, strict=True)]
    )
    noise = noise_of({name: all_of(name) for name in NOISE_NAMES}, sensor)
    return modes_of(ria, 1.0 / rea + coupling, ci, cm, noise, problems[0].record.step_s)


def _taken(modes: Modes, at: Ints) -> Modes:
    """Return some of a batch."""
    axis = {"variance": 0, "states": 0}
    return Modes(*(np.take(getattr(modes, f.name), at, axis=axis.get(f.name, 1)) for f in fields(Modes)))


def _filtered(off: Floats, modes: Modes, seen: Floats, keep: Ints) -> Floats:
    """Filter columns of what measurements are off; returns modal states after the kept steps (O, 3, N).

    Args:
        off: Columns (T, N), 0 where not seen.
        modes: Of each column (N,).
        seen: 1 where a measurement counts (T, N), else 0.
        keep: Steps whose filtered state is kept, ascending (O,).
    """
    state, innovation = np.zeros((3, off.shape[1])), np.zeros(off.shape[1])
    kept = np.empty((len(keep), 3, off.shape[1]))
    place, wanted = 0, [*keep.tolist(), -1]
    decay, gain = modes.decay, modes.gain
    moved = np.empty_like(state)
    for k in range(wanted[-2] + 1 if len(keep) else 0):
        np.add(state[0], state[1], out=innovation)
        innovation += state[2]
        np.subtract(off[k], innovation, out=innovation)
        innovation *= seen[k]
        np.multiply(gain, innovation, out=moved)
        state += moved
        if wanted[place] == k:
            kept[place] = state
            place += 1
        state *= decay
    return kept


def errors_of(problems: Sequence[Problem], values: Sequence[Floats]) -> list[tuple[Floats, Floats]]:
    """Return for each candidate its errors (K,) [K] and their derivatives (K, P), of what is wanted.

    All records have the same steps, origins and horizons. Errors are measured less predicted.
    """
    points = [problem.points(own) for problem, own in zip(problems, values, strict=True)]
    modes = _modes(problems, points)
    first_point = np.cumsum([0, *(own.shape[1] for own in points)])
    counts = [1 + len(problem.prior.names) for problem in problems]
    first = np.cumsum([0, *counts])
    steps = len(problems[0].measured)
    off, seen = np.empty((steps, first[-1])), np.empty((steps, first[-1]))
    order = np.empty(first[-1], dtype=np.int64)
    for i, (problem, own) in enumerate(zip(problems, values, strict=True)):
        at = np.arange(first_point[i], first_point[i + 1])
        off[:, first[i] : first[i + 1]] = problem.columns(own, points[i], _taken(modes, at)).T
        seen[:, first[i] : first[i + 1]] = problem.seen[:, None]
        order[first[i] : first[i + 1]] = [*at, *([at[0]] * len(problem.direct))]
    spread = _taken(modes, order)
    kept = _filtered(off, spread, seen, problems[0].record.origins)
    return [
        _assembled(problem, off[:, a:b], kept[:, :, a:b], spread.decay[:, a:b])
        for problem, a, b in zip(problems, first[:-1], first[1:], strict=True)
    ]


def _assembled(problem: Problem, off: Floats, state: Floats, decay: Floats) -> tuple[Floats, Floats]:
    """Errors and derivatives from what is off, filtered states and decays of the columns."""
    found = off[problem.row_end]
    powers = decay[None] ** problem.record.ahead[:, None, None]  # (H, 3, C)
    for h in range(len(powers)):
        rows = problem.row_ahead == h
        from_origin = problem.row_origin[rows]
        found[rows] -= (state[from_origin] * powers[h]).sum(axis=1)
    error = found[:, 0]
    jacobian = np.empty((len(error), len(problem.prior.names)))
    count = len(problem.moved)
    jacobian[:, problem.moved] = (found[:, 1 : 1 + count] - error[:, None]) / _NUDGE
    jacobian[:, problem.direct] = found[:, 1 + count :]
    return error, jacobian
