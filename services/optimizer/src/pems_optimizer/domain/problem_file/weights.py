"""Weights of a problem file as money in CZK, PEMS's own defaults where the file names none."""

from pems_common.home.models import Comfort, Grid, Optimization
from pems_optimizer.domain.problem import Weights
from pems_optimizer.domain.problem_file.document import ProblemDocument
from pems_optimizer.domain.profiles import PROFILES, Profile

__all__ = ["weights_in_czk"]

# The bill and comfort alone: nothing for self-consumption or peaks.
_PLAIN = Profile(1.0, 0.0, 0.0)


def weights_in_czk(document: ProblemDocument) -> Weights:
    """Return the weights; the profiles' defaults are those of a home that names none."""
    given, money = document.weights, document.money
    profile = PROFILES.get(given.profile, _PLAIN)
    plan, comfort = Optimization(), Comfort()
    setpoint = document.battery is not None and document.battery.control == "setpoint"
    default = Weights()

    def czk(wish: float | None, otherwise: float) -> float:
        return otherwise if wish is None else wish * money

    return Weights(
        profile=given.profile,
        given={"cost": profile.cost, "self_consumption": profile.self_consumption, "peak": profile.peak},
        export_czk_kwh=czk(
            given.export_per_kwh, profile.self_consumption / profile.cost * plan.self_consumption_czk_kwh
        ),
        peak_czk_kw=czk(given.peak_per_kw, profile.peak / profile.cost * Grid().peak_czk_kw),
        below_czk_k_h=czk(given.below_per_k_h, comfort.below_czk_k_h * profile.comfort_factor),
        above_czk_k_h=czk(given.above_per_k_h, comfort.above_czk_k_h * profile.comfort_factor),
        start_czk=czk(given.start, plan.switching_czk),
        intent_czk=czk(given.intent_change, 0.0 if setpoint else default.intent_czk),
        overload_czk_kwh=czk(given.overload_per_kwh, default.overload_czk_kwh),
    )
