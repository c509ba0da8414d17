"""The 2R2C room model in discrete time, as used by plans, room models and rules (pure Python, no numpy).

Equations and parameters: `pems_common.messages.RoomModel`. Exact discretisation of the two-node system by
the matrix exponential in closed form (eigenvalues of a 2x2 matrix with real, negative spectrum), inputs held
constant over the step (e.g. Franklin, Powell, Workman: Digital Control of Dynamic Systems, ch. 4.3).
"""

from dataclasses import dataclass
from datetime import timedelta
from math import exp

from pems_common.messages import RoomModel

__all__ = ["DISTURBANCE_FADE_H", "STATE_FRESH", "STATE_NEAR_K", "DiscreteRoom", "discretise"]

STATE_FRESH, STATE_NEAR_K = timedelta(minutes=35), 1.0
"""An estimated state that is older, or further from the measured air, counts as none."""

DISTURBANCE_FADE_H = 24.0
"""With this time constant an estimated disturbance is taken to fade in the hours ahead."""


@dataclass(frozen=True)
class DiscreteRoom:
    """One step of a room: `air' = a_aa*air + a_am*mass + b_a*q_air + c_a*q_mass` and the same for the mass.

    `q_air` [W] is everything that goes into the air node, including conductance times the outdoor and neighbour
    temperatures; `q_mass` [W] is the heat into the mass. `loss_w_k` is the sum of conductances that leave the
    air node to outdoors and neighbours [W/K].
    """

    a_aa: float
    a_am: float
    a_ma: float
    a_mm: float
    b_aa: float
    b_am: float
    b_ma: float
    b_mm: float
    loss_w_k: float

    def step(self, air_c: float, mass_c: float, q_air_w: float, q_mass_w: float) -> tuple[float, float]:
        """Advance air and mass temperature by one step."""
        return (
            self.a_aa * air_c + self.a_am * mass_c + self.b_aa * q_air_w + self.b_am * q_mass_w,
            self.a_ma * air_c + self.a_mm * mass_c + self.b_ma * q_air_w + self.b_mm * q_mass_w,
        )


def discretise(model: RoomModel, step_s: float, *, with_neighbours: bool = True) -> DiscreteRoom:
    """Discretise a room exactly for a step [s].

    With `A` the 2x2 system matrix and `l1 != l2` its eigenvalues, `exp(A h) = p I + q A` with
    `q = (e1 - e2)/(l1 - l2)`, `p = e1 - q l1`; the input matrix is `A^-1 (exp(A h) - I) diag(1/ci, 1/cm)`.
    """
    g_mass = 1.0 / model.ria_k_w
    loss = 1.0 / model.rea_k_w + (sum(model.neighbours.values()) if with_neighbours else 0.0)
    a, b = -(g_mass + loss) / model.ci_j_k, g_mass / model.ci_j_k
    c, d = g_mass / model.cm_j_k, -g_mass / model.cm_j_k
    mean, det = (a + d) / 2.0, a * d - b * c
    root = max(mean * mean - det, 1e-30) ** 0.5
    l1, l2 = mean + root, mean - root
    e1, e2 = exp(l1 * step_s), exp(l2 * step_s)
    q = (e1 - e2) / (l1 - l2)
    p = e1 - q * l1
    f_aa, f_am, f_ma, f_mm = p + q * a, q * b, q * c, p + q * d
    # A^-1 = 1/det * [[d, -b], [-c, a]]
    g_aa, g_am, g_ma, g_mm = f_aa - 1.0, f_am, f_ma, f_mm - 1.0
    b_aa = (d * g_aa - b * g_ma) / det / model.ci_j_k
    b_am = (d * g_am - b * g_mm) / det / model.cm_j_k
    b_ma = (-c * g_aa + a * g_ma) / det / model.ci_j_k
    b_mm = (-c * g_am + a * g_mm) / det / model.cm_j_k
    return DiscreteRoom(f_aa, f_am, f_ma, f_mm, b_aa, b_am, b_ma, b_mm, loss)
