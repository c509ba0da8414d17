"""How far a room's model is trusted: observe, suggest or control, from evidence on days that it was not fitted on.

A room rises when it holds the stricter limits, and falls when it breaks the looser ones, so that a room at the border
does not change every night.
"""

from dataclasses import dataclass
from typing import Literal

from pems_common.messages import Evidence

__all__ = ["CONTROL_EXCITATION", "Limits", "Tier", "tier_of"]

Tier = Literal["observe", "suggest", "control"]
_ORDER: tuple[Tier, ...] = ("observe", "suggest", "control")


@dataclass(frozen=True)
class Limits:
    """What a tier asks for.

    Attributes:
        error_c: 24-h error at most.
        of_simple: That error relative to "same as yesterday" at most.
        days: Days of data at least.
        excitation: Excitation at least.
        interval_ratio: Width (upper over lower end) of the loss's interval at most.
        surprise: Mean squared innovation over its variance at most: above, something acts that is not measured.
    """

    error_c: float
    of_simple: float
    days: float
    excitation: float
    interval_ratio: float
    surprise: float


CONTROL_EXCITATION = 0.3
_ASKS: dict[Tier, Limits] = {
    "suggest": Limits(0.8, 1.5, 5.0, 0.15, 6.0, 8.0),
    "control": Limits(0.5, 1.0, 10.0, CONTROL_EXCITATION, 3.0, 2.0),
}
_GRACE = 1.15
_SMALL_C = 0.35
"""Below this error it does not matter that yesterday was better: a room repeats itself under its thermostat, not under
a plan."""


def tier_of(
    evidence: Evidence,
    *,
    loss_interval_ratio: float | None = None,
    nis: float | None = None,
    faulty: bool = False,
    before: Tier | None = None,
) -> Tier:
    """Return the tier of a room.

    Args:
        evidence: On held-out days.
        loss_interval_ratio: Upper over lower end of the interval of the resistance to outdoors; None where unknown.
        nis: Mean squared innovation over its variance; None where unknown.
        faulty: Whether something is wrong that the error does not show, such as a relay that does not heat.
        before: The tier that it had; None at first.
    """
    if faulty:
        return "observe"
    tier: Tier = "observe"
    for candidate in _ORDER[1:]:
        held = before is not None and _ORDER.index(before) >= _ORDER.index(candidate)
        if not _holds(evidence, loss_interval_ratio, nis, _ASKS[candidate], _GRACE if held else 1.0):
            break
        tier = candidate
    return tier


def _holds(evidence: Evidence, ratio: float | None, nis: float | None, asks: Limits, grace: float) -> bool:
    error, simple = evidence.mae_24h_c, evidence.simple_mae_24h_c
    if error is None:
        return False
    # Above the specification's 0.5 C no room controls, grace or not.
    limit = asks.error_c if asks.error_c <= _ASKS["control"].error_c else asks.error_c * grace
    good = error <= _SMALL_C * grace or (simple is not None and error <= simple * asks.of_simple * grace)
    return (
        error <= limit
        and good
        and evidence.days * grace >= asks.days
        and evidence.excitation * grace >= asks.excitation
        and (ratio is None or ratio <= asks.interval_ratio * grace)
        and (nis is None or nis <= asks.surprise * grace)
    )
