"""What is fitted of a room: logarithms of positive parameters, each with a prior, and the model they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from pems_common.messages import RoomModel
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.modes import Noise

__all__ = [
    "GAIN_HOURS",
    "NOISE_NAMES",
    "PHYSICAL_NAMES",
    "Parameters",
    "Prior",
    "gain_shapes",
    "noise_of",
    "prior_of",
]

GAIN_HOURS = (2, 6, 10, 14, 18, 22)
"""Local hours at which gains are fitted; straight lines between."""
PHYSICAL_NAMES = ("ria_k_w", "rea_k_w", "ci_j_k", "cm_j_k")
NOISE_NAMES = ("air_noise", "mass_noise", "drift", "fade_h")
_NOISE_MIDDLE = (2e-3, 2e-3, 1e-3, 12.0)
_NOISE_SPREAD = (1.5, 1.5, 1.5, 0.7)
_FADE_MAX_H = 60.0
_SPREAD = {
    "ria_k_w": 0.29,
    "rea_k_w": 0.25,
    "ci_j_k": 0.36,
    "cm_j_k": 0.29,
}  # as rooms.prior_interval: factors in 9 of 10
_NEIGHBOUR_SPREAD, _OPEN_PLAN_SPREAD, _SOLAR_SPREAD, _GAIN_SPREAD = 0.45, 0.9, 0.8, 0.6
_OPEN_PLAN_W_K = 18.0
_TO_MASS_SPREAD, _TO_MASS_LEAST = 1.5, 0.05
_EFFECT_SPREAD = 0.5
_LEAST_SOLAR_M2, _LEAST_GAIN_W_K, _LEAST_NEIGHBOUR_W_K = 0.02, 0.5, 0.2
REACH = 4.0
"""A parameter stays within so many spreads of its prior."""


def gain_shapes() -> Floats:
    """Return how much of the gain at each of `GAIN_HOURS` counts at each local hour (6, 24); columns sum to 1."""
    shapes = np.zeros((len(GAIN_HOURS), 24))
    for hour in range(24):
        for k, at in enumerate(GAIN_HOURS):
            apart = min((hour - at) % 24, (at - hour) % 24)
            shapes[k, hour] = max(0.0, 1.0 - apart / 4.0)
    return shapes


@dataclass(frozen=True)
class Prior:
    """Normal priors of the logarithms (of the logit for `heat_to_mass`).

    Attributes:
        names: Names of the parameters: `ria_k_w`, ..., `neighbour:<room>`, `heat_to_mass`, `heat_effect`,
            `solar:<plane>`, `gains:<hour>`, and those of the filter.
        middle: Prior means (P,).
        spread: Prior standard deviations (P,).
        heater_w: Power of the heater.
        sensor_k2: Variance of a measurement [K2].
    """

    names: tuple[str, ...]
    middle: Floats
    spread: Floats
    heater_w: float
    sensor_k2: float


@dataclass(frozen=True)
class Parameters:
    """Values of the parameters of a prior."""

    prior: Prior
    values: Floats

    def of(self, name: str, default: float = 0.0) -> float:
        """Return a parameter in its unit; `default` where it is not fitted."""
        if name not in self.prior.names:
            return default
        value = float(self.values[self.prior.names.index(name)])
        return 1.0 / (1.0 + exp(-value)) if name == "heat_to_mass" else exp(value)

    def each(self, kind: str) -> dict[str, float]:
        """Return parameters `kind:<name>` by name."""
        return {
            name.partition(":")[2]: exp(float(value))
            for name, value in zip(self.prior.names, self.values, strict=True)
            if name.startswith(kind + ":")
        }

    def without(self, name: str) -> "Parameters":
        """Return the parameters without one."""
        keep = [k for k, other in enumerate(self.prior.names) if other != name]
        prior = Prior(
            tuple(self.prior.names[k] for k in keep),
            self.prior.middle[keep],
            self.prior.spread[keep],
            self.prior.heater_w,
            self.prior.sensor_k2,
        )
        return Parameters(prior, self.values[keep])

    def model(self) -> RoomModel:
        """Return the room model."""
        at = np.array(list(self.each("gains").values()))
        by_hour = at @ gain_shapes() if len(at) else np.zeros(24)
        return RoomModel(
            ria_k_w=self.of("ria_k_w"),
            rea_k_w=self.of("rea_k_w"),
            ci_j_k=self.of("ci_j_k"),
            cm_j_k=self.of("cm_j_k"),
            neighbours={name: round(value, 3) for name, value in self.each("neighbour").items()},
            solar_m2={name: round(value, 4) for name, value in self.each("solar").items()},
            gains_w={str(hour): round(float(value), 2) for hour, value in enumerate(by_hour)},
            heater_w=self.prior.heater_w,
            heat_to_mass=round(self.of("heat_to_mass", 1.0), 4),
        )


def prior_of(
    model: RoomModel,
    neighbours: Sequence[str],
    planes: Sequence[str],
    sensor_k2: float,
    *,
    vague: float = 1.0,
    doubt_heat: bool = False,
) -> Prior:
    """Return priors around a model.

    Args:
        model: The prior model.
        neighbours: Measured rooms that count as neighbours if the model couples them.
        planes: Planes whose irradiance is known; those without an aperture in the model get a small one.
        sensor_k2: Variance of a measurement [K2].
        vague: How much wider than usual the priors of room parameters are.
        doubt_heat: Whether the share of the told heat that really comes is fitted too (`heat_effect`).
    """
    loss = 1.0 / model.rea_k_w
    rows: list[tuple[str, float, float]] = [
        (name, log(getattr(model, name)), spread) for name, spread in _SPREAD.items()
    ]
    rows += [
        (
            f"neighbour:{name}",
            log(max(model.neighbours[name], _LEAST_NEIGHBOUR_W_K)),
            _OPEN_PLAN_SPREAD if model.neighbours[name] >= _OPEN_PLAN_W_K else _NEIGHBOUR_SPREAD,
        )
        for name in neighbours
        if name in model.neighbours
    ]
    rows += list(zip(NOISE_NAMES, np.log(_NOISE_MIDDLE), _NOISE_SPREAD, strict=True))
    if model.heater_w > 0.0:
        share = min(max(model.heat_to_mass, _TO_MASS_LEAST), 1.0 - _TO_MASS_LEAST)
        rows.append(("heat_to_mass", log(share / (1.0 - share)), _TO_MASS_SPREAD))
        if doubt_heat:
            rows.append(("heat_effect", 0.0, _EFFECT_SPREAD))
    rows += [
        (f"solar:{plane}", log(max(model.solar_m2.get(plane, 0.0), _LEAST_SOLAR_M2)), _SOLAR_SPREAD)
        for plane in planes
        if model.solar_m2.get(plane, 0.0) > 0.0
    ]
    shapes = gain_shapes()
    hourly = np.array([model.gains_w.get(str(hour), 0.0) for hour in range(24)])
    mean = shapes @ hourly / shapes.sum(axis=1)
    rows += [
        (f"gains:{hour}", log(max(value, _LEAST_GAIN_W_K * loss)), _GAIN_SPREAD)
        for hour, value in zip(GAIN_HOURS, mean, strict=True)
    ]
    names, middle, spread = zip(*rows, strict=True)
    # What people and appliances give is known to a factor of two, however little is known of the room.
    wider = [vague if name in PHYSICAL_NAMES or name.startswith(("solar:", "neighbour:")) else 1.0 for name in names]
    return Prior(tuple(names), np.array(middle), np.array(spread) * wider, model.heater_w, sensor_k2)


def noise_of(values: Mapping[str, Floats], sensor_k2: Floats) -> Noise:
    """Return the filter's beliefs from logarithms by name (N,)."""
    air, mass, drift, fade = (np.exp(values[name]) for name in NOISE_NAMES)
    return Noise(sensor_k2, air, mass, drift, np.minimum(fade, _FADE_MAX_H))
