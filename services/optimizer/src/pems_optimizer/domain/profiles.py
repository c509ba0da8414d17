"""Profiles: how the goals weigh against each other, as money.

The specification's weights 0.7 / 0.2 / 0.1 for cost, self-consumption and peak are `balanced`. They are taken
relative to cost, so the objective stays CZK. Comfort, wear and switching are prices and never scaled down.
"""

from dataclasses import dataclass

from pems_common.home import Home
from pems_optimizer.domain.problem import Weights

__all__ = ["PROFILES", "Profile", "weights_of"]


@dataclass(frozen=True)
class Profile:
    """Weights of one profile; `comfort_factor` >= 1 multiplies the price of being too cold or too warm."""

    cost: float
    self_consumption: float
    peak: float
    comfort_factor: float = 1.0


PROFILES = {
    "economic": Profile(0.95, 0.0, 0.05),
    "balanced": Profile(0.7, 0.2, 0.1),
    "comfort": Profile(0.7, 0.2, 0.1, comfort_factor=2.5),
    "green": Profile(0.5, 0.4, 0.1),
}


def weights_of(home: Home) -> Weights:
    """Return the weights of the home's profile in money."""
    plan, profile = home.optimization, PROFILES[home.optimization.profile]
    return Weights(
        profile=plan.profile,
        given={"cost": profile.cost, "self_consumption": profile.self_consumption, "peak": profile.peak},
        export_czk_kwh=profile.self_consumption / profile.cost * plan.self_consumption_czk_kwh,
        peak_czk_kw=profile.peak / profile.cost * home.grid.peak_czk_kw,
        below_czk_k_h=home.comfort.below_czk_k_h * profile.comfort_factor,
        above_czk_k_h=home.comfort.above_czk_k_h * profile.comfort_factor,
        start_czk=plan.switching_czk,
    )
