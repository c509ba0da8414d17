"""Watches all rooms: estimates each slab's temperature and a disturbance, so that plans have no steady offset.

A Kalman filter per room on the state (air, mass, disturbance): the room model's equations, and a disturbance [W]
into the air that wanders slowly (random walk). What a wrong prior gets wrong (loss, gains, sun) gathers in the
disturbance, and with it the model's prediction ends where the room really goes. Steps may be of any length,
measurements may be missing; the filter is the time-varying one, for all rooms at once in numpy.
Kalman (1960), doi:10.1115/1.3662552; offset-free by disturbance: Pannocchia and Rawlings (2003),
doi:10.1002/aic.690490213.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from pems_common.messages import RoomModel, RoomState
from pems_common.thermal import discretise
from pems_common.timegrid import parse_instant
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.predict import Beliefs

__all__ = ["HouseObserver", "RoomInputs"]

SENSOR_SD_K = 0.12
"""Noise and quantisation of a room sensor (0.1 K steps and some draught)."""
SENSOR_LEAST_K = 0.08
"""At least so much of single readings: models are fitted on means of quarters of an hour, which are smoother."""
AIR_SD_K_H = 0.3
MASS_SD_K_H = 0.15
DISTURBANCE_SHARE_H = 0.02
"""Random walk of the disturbance per square root of an hour, relative to its bound."""
BOUND_K = 12.0
"""The disturbance is at most what the room loses at so many K, or 40 % of its heater."""
INNOVATION_SIGMAS = 4.0
LONGEST_STEP = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=12)
SURPRISE_COUNT, SURPRISE_LEAST = 600.0, 36.0
RESTART_K = 2.5
RESTART_COUNT = 4
"""Measurements that are this far off so often in a row start the room anew (a sensor was moved, a door left open)."""


@dataclass(frozen=True)
class RoomInputs:
    """What acted on the rooms since the last step.

    Attributes:
        outdoor_c: Outdoor temperature.
        heat_w: Mean electric heat per room.
        air_c: Measured air temperature per room; absent where there is none to trust.
        solar_w_m2: Irradiance per facade.
        hour: Local hour, for the gains.
        open_window: Rooms whose window stands open: their disturbance is not learnt from.
    """

    outdoor_c: float
    heat_w: Mapping[str, float]
    air_c: Mapping[str, float]
    solar_w_m2: Mapping[str, float]
    hour: int
    open_window: frozenset[str] = frozenset()


class HouseObserver:
    """Estimated state of all rooms. Rooms without any measurement so far have none."""

    def __init__(self, models: Mapping[str, RoomModel], beliefs: Mapping[str, Beliefs] | None = None) -> None:
        """Watch rooms with these models.

        Args:
            models: By room.
            beliefs: What was found of sensor, room and disturbance with the model; rooms that are absent get what
                suits a model that may be wrong by a third.
        """
        self.models = dict(models)
        self.names = tuple(self.models)
        n = len(self.names)
        self._row = {name: i for i, name in enumerate(self.names)}
        self._x = np.full((n, 3), np.nan)
        self._p = np.zeros((n, 3, 3))
        self._at: datetime | None = None
        self._far = np.zeros(n, dtype=np.int64)
        loss = np.array([1.0 / m.rea_k_w for m in self.models.values()])
        heater = np.array([m.heater_w for m in self.models.values()])
        self.bound_w = np.maximum(BOUND_K * loss, 0.4 * heater)
        self._g_out = loss
        told = beliefs or {}
        usual = Beliefs(SENSOR_SD_K**2, AIR_SD_K_H**2, MASS_SD_K_H**2, float("nan"), float("inf"))
        each = [told.get(name, usual) for name in self.names]
        self._sensor_k2 = np.maximum([b.sensor_k2 for b in each], SENSOR_LEAST_K**2)
        self._air_k2_h = np.array([b.air_k2_h for b in each])
        self._mass_k2_h = np.array([b.mass_k2_h for b in each])
        drift = np.sqrt([b.drift_k2_h3 for b in each]) * np.array([m.ci_j_k for m in self.models.values()]) / 3600.0
        self._drift_w2_h = np.where(np.isfinite(drift), drift, DISTURBANCE_SHARE_H * self.bound_w) ** 2
        self._fade_h = np.array([b.fade_h for b in each])
        self._surprise, self._surprises = np.zeros(n), np.zeros(n)
        self._ria = np.array([m.ria_k_w for m in self.models.values()])
        self._to_mass = np.array([m.heat_to_mass for m in self.models.values()])
        self._g_near = np.zeros((n, n))
        for name, model in self.models.items():
            for other, conductance in model.neighbours.items():
                if other in self._row:
                    self._g_near[self._row[name], self._row[other]] = conductance
        facades = sorted({f for m in self.models.values() for f in m.solar_m2})
        self._facades = facades
        self._aperture = np.array([[m.solar_m2.get(f, 0.0) for f in facades] for m in self.models.values()])
        self._aperture = self._aperture.reshape(n, len(facades))
        self._gains = np.array([[m.gains_w.get(str(h), 0.0) for h in range(24)] for m in self.models.values()])
        self._steps: dict[float, tuple[Floats, Floats]] = {}

    @property
    def at(self) -> datetime | None:
        """Time of the last step."""
        return self._at

    @property
    def known(self) -> int:
        """Number of rooms whose state is estimated."""
        return int(np.isfinite(self._x[:, 0]).sum()) if self._at is not None else 0

    def state(self, name: str) -> RoomState | None:
        """Estimated state of a room, None before its first measurement."""
        i = self._row[name]
        if self._at is None or not np.isfinite(self._x[i, 0]):
            return None
        air, mass, disturbance = (round(float(v), 3) for v in self._x[i])
        return RoomState(air_c=air, mass_c=mass, disturbance_w=disturbance, at=self._at)

    def step(self, at: datetime, inputs: RoomInputs) -> None:
        """Advance to `at` with the inputs that held since the last step, then correct by the measurements.

        Long steps are walked in pieces of at most a quarter of an hour; after half a day of silence the
        filter starts anew.
        """
        measured = np.array([inputs.air_c.get(name, np.nan) for name in self.names])
        if self._at is not None:
            if at - self._at > FORGET_AFTER:
                self._x[:] = np.nan
            else:
                while self._at < at:
                    piece = min(at - self._at, LONGEST_STEP)
                    self._predict(piece.total_seconds(), inputs, measured)
                    self._at += piece
        self._at = at if self._at is None else max(at, self._at)
        fresh = np.isnan(self._x[:, 0]) & np.isfinite(measured)
        if fresh.any():
            self._begin(fresh, measured, inputs)
        self._correct(measured, inputs)

    # --- the filter ------------------------------------------------------------------------------

    def _matrices(self, step_s: float) -> tuple[Floats, Floats]:
        """Transition (n,3,3) and input (n,3,2) matrices for a step."""
        found = self._steps.get(step_s)
        if found is None:
            a = np.zeros((len(self.names), 3, 3))
            b = np.zeros((len(self.names), 3, 2))
            for i, model in enumerate(self.models.values()):
                d = discretise(model, step_s)
                fade = np.exp(-step_s / 3600.0 / self._fade_h[i])
                a[i] = ((d.a_aa, d.a_am, d.b_aa), (d.a_ma, d.a_mm, d.b_ma), (0.0, 0.0, fade))
                b[i] = ((d.b_aa, d.b_am), (d.b_ma, d.b_mm), (0.0, 0.0))
            if len(self._steps) > 64:
                self._steps.clear()
            found = self._steps[step_s] = (a, b)
        return found

    def _air_heat_w(self, inputs: RoomInputs, measured: Floats) -> tuple[Floats, Floats]:
        """Heat into air and mass nodes that does not depend on the room's own state [W]."""
        heat = np.array([inputs.heat_w.get(name, 0.0) for name in self.names])
        solar = self._aperture @ np.array([inputs.solar_w_m2.get(f, 0.0) for f in self._facades])
        own = np.where(np.isfinite(self._x[:, 0]), self._x[:, 0], measured)
        # A neighbour that nobody measures is taken as warm as the room itself: no heat flows.
        near = np.where(np.isfinite(own)[None, :], own[None, :], np.where(np.isfinite(own), own, 0.0)[:, None])
        flow = (self._g_near * near).sum(axis=1)
        q_air = self._g_out * inputs.outdoor_c + flow + (1.0 - self._to_mass) * heat + solar
        return q_air + self._gains[:, inputs.hour], self._to_mass * heat

    def _predict(self, step_s: float, inputs: RoomInputs, measured: Floats) -> None:
        a, b = self._matrices(step_s)
        q = np.stack(self._air_heat_w(inputs, measured), axis=1)[:, :, None]
        self._x = (a @ self._x[:, :, None] + b @ q)[:, :, 0]
        hours = step_s / 3600.0
        noise = np.zeros_like(self._p)
        noise[:, 0, 0] = self._air_k2_h * hours
        noise[:, 1, 1] = self._mass_k2_h * hours
        noise[:, 2, 2] = self._drift_w2_h * hours
        self._p = a @ self._p @ a.transpose(0, 2, 1) + noise

    def _begin(self, rooms: np.ndarray[Any, np.dtype[np.bool_]], measured: Floats, inputs: RoomInputs) -> None:
        """Start rooms in balance: the slab as warm as it must be to hold the room where it is."""
        self._far[rooms] = 0
        gains = self._gains[:, inputs.hour]
        need = np.clip(self._g_out * (measured - inputs.outdoor_c) - gains, 0.0, None)
        mass = measured + self._ria * need * self._to_mass
        self._x[rooms, 0] = measured[rooms]
        self._x[rooms, 1] = mass[rooms]
        self._x[rooms, 2] = 0.0
        spread = np.stack([np.full(len(measured), 0.2), 0.5 + 0.5 * self._ria * need, 0.35 * self.bound_w], axis=1)
        start = spread[:, :, None] * np.eye(3) * spread[:, None, :]
        self._p[rooms] = start[rooms]

    def _correct(self, measured: Floats, inputs: RoomInputs) -> None:
        seen = np.isfinite(measured) & np.isfinite(self._x[:, 0])
        if not seen.any():
            return
        innovation = np.where(seen, measured - self._x[:, 0], 0.0)
        self._far = np.where(seen, np.where(np.abs(innovation) > RESTART_K, self._far + 1, 0), self._far)
        variance = self._p[:, 0, 0] + self._sensor_k2
        self._watch(seen, innovation**2 / variance)
        limit = INNOVATION_SIGMAS * np.sqrt(variance)
        innovation = np.clip(innovation, -limit, limit)
        gain = np.where(seen[:, None], self._p[:, :, 0] / variance[:, None], 0.0)
        held = np.array([name in inputs.open_window for name in self.names])
        gain[held, 2] = 0.0
        self._x = self._x + gain * innovation[:, None]
        self._x[:, 2] = np.clip(self._x[:, 2], -self.bound_w, self.bound_w)
        # Joseph form: stays symmetric and positive also with the clipped gains.
        keep = np.broadcast_to(np.eye(3), self._p.shape).copy()
        keep[:, :, 0] -= gain
        noise = gain[:, :, None] * gain[:, None, :] * self._sensor_k2[:, None, None]
        self._p = keep @ self._p @ keep.transpose(0, 2, 1) + noise
        again = seen & (self._far >= RESTART_COUNT)
        if again.any():
            self._begin(again, measured, inputs)

    def _watch(self, seen: np.ndarray[Any, np.dtype[np.bool_]], squares: Floats) -> None:
        """Average squared innovations over their variance, the last few hundred most."""
        self._surprises = np.where(seen, np.minimum(self._surprises + 1.0, SURPRISE_COUNT), self._surprises)
        share = np.where(seen, 1.0 / np.maximum(self._surprises, 1.0), 0.0)
        self._surprise += share * (squares - self._surprise)

    def surprise(self, name: str) -> float | None:
        """Mean squared innovation over its variance lately: about 1 where the filter believes the right things.

        None before some hours of measurements.
        """
        i = self._row[name]
        return float(self._surprise[i]) if self._surprises[i] >= SURPRISE_LEAST else None

    def adopt(self, other: "HouseObserver", rooms: Collection[str]) -> None:
        """Take the states of rooms from another observer."""
        for name in rooms:
            if name in self._row and name in other._row:
                mine, theirs = self._row[name], other._row[name]
                for own, others in zip(self._by_room(), other._by_room(), strict=True):
                    own[mine] = others[theirs]
        if other._at is not None and self._at is None:
            self._at = other._at

    def _by_room(self) -> tuple[np.ndarray[Any, np.dtype[Any]], ...]:
        return self._x, self._p, self._far, self._surprise, self._surprises

    # --- state file ------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return plain data for the state file."""
        rooms = {
            name: {"x": self._x[i].tolist(), "p": self._p[i].ravel().tolist()}
            for name, i in self._row.items()
            if np.isfinite(self._x[i]).all()
        }
        return {"at": None if self._at is None else self._at.isoformat(), "rooms": rooms}

    def load_json(self, data: Mapping[str, Any], now: datetime) -> None:
        """Take plain data of the state file, unless it is older than half a day or from the future.

        Raises:
            ValueError, KeyError, TypeError: The data are damaged.
        """
        if not data.get("at"):
            return
        at = parse_instant(data["at"])
        if not timedelta(0) <= now - at <= FORGET_AFTER:
            return
        for name, kept in data["rooms"].items():
            x = np.array(kept["x"], dtype=np.float64).reshape(3)
            p = np.array(kept["p"], dtype=np.float64).reshape(3, 3)
            if name in self._row and np.isfinite(x).all() and np.isfinite(p).all():
                self._x[self._row[name]], self._p[self._row[name]] = x, p
        self._at = at
