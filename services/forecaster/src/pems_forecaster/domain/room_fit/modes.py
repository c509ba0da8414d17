"""A room and its disturbance as three decaying modes, so that many candidates of parameters are tried at once.

The two-node room of `messages.RoomModel` has two real negative eigenvalues; a disturbance that fades (an AR(1) heat
into the air) adds a third. In modal coordinates with an output of ones a step is one multiplication, and `h` steps are
one power: this is what makes 24-hour errors from hundreds of origins cheap. All arrays are over a batch (N,).
"""

from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.grid import Floats

__all__ = ["Modes", "Noise", "modes_of", "riccati"]

_HOUR_S = 3600.0
_DOUBLINGS = 14
_APART = 1e-7  # of two decays, so that the modes can be told apart


@dataclass(frozen=True)
class Noise:
    """What the filter believes of sensor, room and disturbance, each (N,).

    Attributes:
        sensor_k2: Variance of a measurement [K2].
        air_k2_h: What the air gains of variance in an hour [K2/h].
        mass_k2_h: The mass likewise [K2/h].
        drift_k2_h3: The disturbance, as the rise of the air that it drives, likewise [(K/h)2/h].
        fade_h: Time constant with which the disturbance is expected to fade [h].
    """

    sensor_k2: Floats
    air_k2_h: Floats
    mass_k2_h: Floats
    drift_k2_h3: Floats
    fade_h: Floats


@dataclass(frozen=True)
class Modes:
    """Batch of rooms in modal form.

    Attributes:
        decay: What is left of each mode after a step: fast, slow, disturbance (3, N).
        air_in: What 1 W into the air during a step adds to the air's first two modes [K/W] (2, N).
        mass_in: What 1 W into the mass adds [K/W] (2, N).
        gain: What of an innovation goes into each mode (3, N).
        variance: Of an innovation [K2] (N,).
        states: Physical state (air [K], mass [K], disturbance [W]) of each mode at output 1 (N, 3, 3).
    """

    decay: Floats
    air_in: Floats
    mass_in: Floats
    gain: Floats
    variance: Floats
    states: Floats


def modes_of(ria_k_w: Floats, loss_w_k: Floats, ci_j_k: Floats, cm_j_k: Floats, noise: Noise, step_s: float) -> Modes:
    """Bring rooms into modal form, with the steady-state Kalman gain.

    `exp(A t)` of a 2x2 matrix with eigenvalues `l1 != l2` is `e1 (A - l2 I)/(l1 - l2) + e2 (A - l1 I)/(l2 - l1)`
    (Sylvester's formula).

    Args:
        ria_k_w: Resistance between air and mass (N,).
        loss_w_k: All conductances from the air to outdoors and neighbours (N,).
        ci_j_k: Heat capacity of the air node (N,).
        cm_j_k: Of the mass (N,).
        noise: For the filter.
        step_s: Length of a step.
    """
    hours = step_s / _HOUR_S
    g = 1.0 / ria_k_w
    a, b = -(g + loss_w_k) / ci_j_k * _HOUR_S, g / ci_j_k * _HOUR_S
    c = g / cm_j_k * _HOUR_S
    d = -c
    mean, det = (a + d) / 2.0, a * d - b * c
    root = np.sqrt(np.maximum(mean * mean - det, 1e-18))
    rate = np.stack([mean - root, mean + root])  # fast, slow [1/h]
    other = rate[::-1]
    decay = np.exp(rate * hours)
    held = (decay - 1.0) / rate
    apart = rate - other
    air_in = (a - other) / apart * held * (_HOUR_S / ci_j_k)
    mass_in = b / apart * held * (_HOUR_S / cm_j_k)
    # A disturbance of 1 K/h in the air; it fades, but within a step it is held.
    fade = np.exp(-hours / noise.fade_h)
    for mode in decay:
        fade = np.where(np.abs(fade - mode) < _APART, mode - 2.0 * _APART, fade)
    share = np.stack([(a - rate[1]), (a - rate[0])]) / apart  # (A - l I)/(...) [0, 0]
    driven_air = (share * held).sum(axis=0)
    driven_mass = (np.stack([c, c]) / apart * held).sum(axis=0)
    n = len(ria_k_w)
    step = np.zeros((n, 3, 3))
    step[:, 0, 0] = (share * decay).sum(axis=0)
    step[:, 0, 1] = (b / apart * decay).sum(axis=0)
    step[:, 1, 0] = (c / apart * decay).sum(axis=0)
    step[:, 1, 1] = ((d - other) / apart * decay).sum(axis=0)
    step[:, 0, 2], step[:, 1, 2], step[:, 2, 2] = driven_air, driven_mass, fade
    wander = np.zeros((n, 3, 3))
    wander[:, 0, 0] = noise.air_k2_h * hours
    wander[:, 1, 1] = noise.mass_k2_h * hours
    wander[:, 2, 2] = noise.drift_k2_h3 * hours
    covariance = riccati(step, wander, noise.sensor_k2)
    variance = covariance[:, 0, 0] + noise.sensor_k2
    gain = covariance[:, :, 0] / variance[:, None]
    # Columns: state of each mode, scaled to an air temperature of 1.
    vectors = np.ones((n, 3, 3))
    vectors[:, 1, 0], vectors[:, 1, 1] = (rate[0] - a) / b, (rate[1] - a) / b
    vectors[:, 2, 0] = vectors[:, 2, 1] = 0.0
    m00, m01, m10, m11 = step[:, 0, 0], step[:, 0, 1], step[:, 1, 0], step[:, 1, 1]
    # (M - fade) (1, v) + driven * w = 0
    low = m01 * driven_mass - (m11 - fade) * driven_air
    v = ((m10) * driven_air - (m00 - fade) * driven_mass) / low
    w = -((m00 - fade) + m01 * v) / driven_air
    vectors[:, 1, 2], vectors[:, 2, 2] = v, w
    modal_gain = np.linalg.solve(vectors, gain[:, :, None])[:, :, 0]
    vectors[:, 2, :] *= (ci_j_k / _HOUR_S)[:, None]
    return Modes(
        np.concatenate([decay, fade[None]]), air_in, mass_in, np.ascontiguousarray(modal_gain.T), variance, vectors
    )


def riccati(step: Floats, wander: Floats, sensor_k2: Floats) -> Floats:
    """Return the steady covariance before a measurement of the first state (N, 3, 3).

    Structure-preserving doubling (Chu, Fan and Lin 2005, doi:10.1016/j.laa.2004.10.010): each round looks twice as far.

    Args:
        step: Transition matrices (N, 3, 3).
        wander: Process noise of a step (N, 3, 3).
        sensor_k2: Variance of the measurement (N,).
    """
    eye = np.eye(3)
    a = step.transpose(0, 2, 1)
    g = np.zeros_like(step)
    g[:, 0, 0] = 1.0 / sensor_k2
    h = wander.copy()
    for _ in range(_DOUBLINGS):
        inverse = np.linalg.inv(eye + g @ h)
        at = a.transpose(0, 2, 1)
        a_inverse = a @ inverse
        a, g, h = a_inverse @ a, g + a_inverse @ g @ at, h + at @ h @ inverse @ a
        h = 0.5 * (h + h.transpose(0, 2, 1))
    return h
