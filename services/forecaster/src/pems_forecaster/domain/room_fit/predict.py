"""Open-loop prediction of all rooms together, and the states it begins from.

Neighbours are simulated too: nobody knows the neighbour's temperature of tomorrow. The whole house is one linear
system of two nodes a room, discretised exactly (matrix exponential), and predicted from many origins at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from pems_common.messages import RoomModel
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.room_fit.modes import Noise, modes_of

__all__ = ["Beliefs", "HousePredictor", "States"]


@dataclass(frozen=True)
class Beliefs:
    """What a room's filter believes of sensor, room and disturbance (`modes.Noise`, of one room)."""

    sensor_k2: float = 0.0036
    air_k2_h: float = 2e-3
    mass_k2_h: float = 2e-3
    drift_k2_h3: float = 1e-3
    fade_h: float = 12.0

    def scaled(self, factor: float) -> "Beliefs":
        """Return beliefs with all variances this many times as large."""
        return Beliefs(
            self.sensor_k2 * factor,
            self.air_k2_h * factor,
            self.mass_k2_h * factor,
            self.drift_k2_h3 * factor,
            self.fade_h,
        )


@dataclass(frozen=True)
class States:
    """Estimated states of all rooms at some steps, after the measurement of that step.

    Attributes:
        air_c: (O, n).
        mass_c: (O, n).
        disturbance_w: Heat into the air that the model does not explain (O, n).
        innovations: What each measurement of the whole history was off from one step before, over the standard
            deviation that the filter expects (T, n); NaN where there is none.
    """

    air_c: Floats
    mass_c: Floats
    disturbance_w: Floats
    innovations: Floats


@dataclass(frozen=True)
class HousePredictor:
    """The rooms of a house as one system.

    Attributes:
        names: Rooms, in the order of all arrays.
        models: Of each.
        beliefs: Of each.
        step_s: Length of a step.
        step: Transition of (air, mass) of all rooms (2n, 2n).
        air_in: Effect of 1 W into each room's air (2n, n).
        mass_in: Effect of 1 W into each room's mass (2n, n).
    """

    names: tuple[str, ...]
    models: tuple[RoomModel, ...]
    beliefs: tuple[Beliefs, ...]
    step_s: int
    step: Floats
    air_in: Floats
    mass_in: Floats

    @classmethod
    def of(
        cls, models: Mapping[str, RoomModel], step_s: int, beliefs: Mapping[str, Beliefs] | None = None
    ) -> "HousePredictor":
        """Put rooms together; neighbours that are not among them are left out."""
        names = tuple(models)
        n, at = len(names), {name: i for i, name in enumerate(names)}
        rate = np.zeros((2 * n, 2 * n))
        entry = np.zeros((2 * n, 2 * n))
        for i, model in enumerate(models.values()):
            g = 1.0 / model.ria_k_w
            rate[i, i] -= (g + 1.0 / model.rea_k_w) / model.ci_j_k
            rate[i, n + i] += g / model.ci_j_k
            rate[n + i, i] += g / model.cm_j_k
            rate[n + i, n + i] -= g / model.cm_j_k
            for other, conductance in model.neighbours.items():
                if other in at:
                    rate[i, at[other]] += conductance / model.ci_j_k
                    rate[i, i] -= conductance / model.ci_j_k
            entry[i, i], entry[n + i, n + i] = 1.0 / model.ci_j_k, 1.0 / model.cm_j_k
        whole = expm(np.block([[rate, entry], [np.zeros((2 * n, 4 * n))]]) * step_s)
        told = beliefs or {}
        return cls(
            names,
            tuple(models.values()),
            tuple(told.get(name, Beliefs()) for name in names),
            step_s,
            whole[: 2 * n, : 2 * n],
            whole[: 2 * n, 2 * n : 3 * n],
            whole[: 2 * n, 3 * n :],
        )

    def heat_in(
        self, outdoor_c: Floats, heat_w: Mapping[str, Floats], solar_w_m2: Mapping[str, Floats], local_hour: Ints
    ) -> tuple[Floats, Floats]:
        """Return heat into air and mass of each room that does not depend on their temperatures [W], (T, n) each.

        Args:
            outdoor_c: (T,).
            heat_w: Electric heat per room (T,); rooms that are absent have none.
            solar_w_m2: Irradiance per plane (T,); planes that are absent are dark.
            local_hour: (T,).
        """
        steps, n = len(outdoor_c), len(self.names)
        air, mass = np.zeros((steps, n)), np.zeros((steps, n))
        for i, (name, model) in enumerate(zip(self.names, self.models, strict=True)):
            heat = np.nan_to_num(heat_w.get(name, np.zeros(steps)))
            gains = np.array([model.gains_w.get(str(hour), 0.0) for hour in range(24)])
            air[:, i] = outdoor_c / model.rea_k_w + (1.0 - model.heat_to_mass) * heat + gains[local_hour]
            mass[:, i] = model.heat_to_mass * heat
            for plane, area in model.solar_m2.items():
                if plane in solar_w_m2:
                    air[:, i] += area * np.nan_to_num(solar_w_m2[plane])
        return air, mass

    def air_c(
        self, states: States, heat_air_w: Floats, heat_mass_w: Floats, origins: Sequence[int] | Ints, count: int
    ) -> Floats:
        """Predict from each origin.

        Args:
            states: At the origins (O, n).
            heat_air_w: Of `heat_in` (T, n).
            heat_mass_w: Likewise.
            origins: Steps of the states (O,).
            count: Steps to predict.

        Returns:
            Air temperature 1..`count` steps after each origin (O, count, n).
        """
        at, n = np.asarray(origins, dtype=np.int64), len(self.names)
        fade = np.array([np.exp(-self.step_s / 3600.0 / belief.fade_h) for belief in self.beliefs])
        now = np.concatenate([states.air_c, states.mass_c], axis=1)
        disturbance = states.disturbance_w.copy()
        said = np.empty((len(at), count, n))
        for k in range(count):
            now = now @ self.step.T + (heat_air_w[at + k] + disturbance) @ self.air_in.T
            now += heat_mass_w[at + k] @ self.mass_in.T
            said[:, k] = now[:, :n]
            disturbance *= fade
        return said

    def states(
        self, air_c: Mapping[str, Floats], heat_air_w: Floats, heat_mass_w: Floats, keep: Sequence[int] | Ints
    ) -> States:
        """Filter measurements (a steady-state Kalman filter per room, `modes`), holes are coasted over.

        Args:
            air_c: Measured, per room (T,), NaN where unknown.
            heat_air_w: Of `heat_in` (T, n).
            heat_mass_w: Likewise.
            keep: Steps to return, ascending (O,).
        """
        n, steps = len(self.names), len(heat_air_w)
        measured = np.stack([air_c.get(name, np.full(steps, np.nan)) for name in self.names], axis=1)
        gain, variance = self._gains()
        fade = np.array([np.exp(-self.step_s / 3600.0 / belief.fade_h) for belief in self.beliefs])
        first = np.array([c[np.isfinite(c)][0] if np.isfinite(c).any() else 20.0 for c in measured.T])
        now, disturbance = np.concatenate([first, first]), np.zeros(n)
        seen = np.isfinite(measured)
        innovations = np.where(seen, measured, np.nan)
        kept, place, wanted = np.empty((len(keep), 3, n)), 0, np.asarray(keep).tolist()
        for k in range(steps):
            innovations[k] -= now[:n]
            miss = np.where(seen[k], innovations[k], 0.0)
            now[:n] += gain[0] * miss
            now[n:] += gain[1] * miss
            disturbance += gain[2] * miss
            if place < len(wanted) and wanted[place] == k:
                kept[place, 0], kept[place, 1], kept[place, 2] = now[:n], now[n:], disturbance
                place += 1
            now = self.step @ now + self.air_in @ (heat_air_w[k] + disturbance) + self.mass_in @ heat_mass_w[k]
            disturbance *= fade
        return States(kept[:, 0], kept[:, 1], kept[:, 2], innovations / np.sqrt(variance))

    def _gains(self) -> tuple[Floats, Floats]:
        """Kalman gains (3, n) of air, mass and disturbance, and the innovations' variance (n,)."""
        told = {
            name: np.array([getattr(model, name) for model in self.models]) for name in ("ria_k_w", "ci_j_k", "cm_j_k")
        }
        loss = np.array([1.0 / model.rea_k_w + sum(model.neighbours.values()) for model in self.models])
        noise = Noise(
            *(
                np.array([getattr(belief, name) for belief in self.beliefs])
                for name in ("sensor_k2", "air_k2_h", "mass_k2_h", "drift_k2_h3", "fade_h")
            )
        )
        modes = modes_of(told["ria_k_w"], loss, told["ci_j_k"], told["cm_j_k"], noise, float(self.step_s))
        gain = np.einsum("nij,jn->in", modes.states, modes.gain)
        return gain, modes.variance
