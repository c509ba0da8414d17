"""Plain words about a room: what is wrong with its data or its model, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass

from pems_common.messages import Evidence, RoomModel
from pems_forecaster.domain.room_fit.screening import Screened

__all__ = ["Doubt", "complaints"]

_COARSE_K = 0.25
_MISSING = 0.2
_ONE_ROOM_OF_LOSS, _LIVES_FROM_THEM = 4.0, 8.0
_FEW_DAYS, _LITTLE = 10.0, 0.3
_FAR = 3.0
_NOTICED_C = 0.3
_LEAST_HOURS = {
    "stuck sensor": 6.0,
    "window open": 1.0,
    "other heat": 0.5,
    "spike": 1.0,
    "jump": 0.2,
    "impossible value": 0.2,
    "outdoor temperature unknown": 6.0,
    "heat unknown": 6.0,
}
_SAYS = {
    "stuck sensor": "the sensor told the very same value for {hours:.0f} h: look at its battery and radio",
    "window open": "a window stood open for about {hours:.0f} h in all: these hours teach nothing",
    "other heat": "it warmed without heater or sun for {hours:.0f} h (a stove, an oven, many people): left out",
    "spike": "{hours:.1f} h of single readings far off the others: look at the sensor",
    "jump": "the temperature jumps by degrees at once: was the sensor moved or replaced?",
    "impossible value": "{hours:.1f} h of readings that no room has: look at the sensor",
    "outdoor temperature unknown": "the outdoor temperature is unknown for {hours:.0f} h",
    "heat unknown": "whether it was heated is unknown for {hours:.0f} h",
}


@dataclass(frozen=True)
class Doubt:
    """A relay that reports on, while the room does not warm.

    Attributes:
        effect: Share of the told heat that seems to come.
        days: For how many days.
        now: Whether it was so on the last days.
    """

    effect: float
    days: int
    now: bool


def complaints(
    room: str,
    model: RoomModel,
    prior: RoomModel,
    screened: Screened,
    evidence: Evidence,
    doubt: Doubt | None,
    hours: float,
) -> tuple[str, ...]:
    """Return what is to be said of a room, the gravest first.

    Args:
        room: Its name.
        model: As fitted.
        prior: Before any data.
        screened: What was left out.
        evidence: On held-out days.
        doubt: Whether its heater heats.
        hours: Length of the history.
    """
    return (
        *_of_heat(doubt),
        *_of_data(screened, hours),
        *_of_neighbours(model),
        *_of_model(model, prior, evidence, doubt),
    )


def _of_heat(doubt: Doubt | None) -> Iterator[str]:
    if doubt is not None:
        yield (
            f"the relay reports on, but the room does not warm (about {100 * max(doubt.effect, 0.0):.0f} % of the heat "
            f"arrives, {doubt.days} days): look at relay, fuse and thermal cut-out"
        )


def _of_data(screened: Screened, hours: float) -> Iterator[str]:
    missing = screened.hours.get("no measurement", 0.0)
    if missing > _MISSING * hours:
        yield (
            f"{100 * missing / hours:.0f} % of the time nothing was measured: let the sensor tell at least every hour"
        )
    if screened.resolution_k >= _COARSE_K:
        yield (
            f"the sensor tells steps of {screened.resolution_k:.1f} C only: intervals are wider, "
            "a finer sensor would help"
        )
    for reason, least in _LEAST_HOURS.items():
        if (left := screened.hours.get(reason, 0.0)) >= least:
            yield _SAYS[reason].format(hours=left)


def _of_neighbours(model: RoomModel) -> Iterator[str]:
    one = [name for name, w_k in model.neighbours.items() if w_k * model.rea_k_w > _ONE_ROOM_OF_LOSS]
    if one:
        yield (
            f"it exchanges air with {' and '.join(sorted(one))} so freely that they are nearly one room: "
            "the sum of their losses is surer than each"
        )
    elif sum(model.neighbours.values()) * model.rea_k_w > _LIVES_FROM_THEM:
        yield "it lives from its neighbours' heat: what it loses itself can hardly be told, its temperature can"


def _of_model(model: RoomModel, prior: RoomModel, evidence: Evidence, doubt: Doubt | None) -> Iterator[str]:
    if evidence.days < _FEW_DAYS:
        yield f"only {evidence.days:.0f} days can be used: wait for {_FEW_DAYS:.0f}"
    if evidence.excitation < _LITTLE and doubt is None:
        yield "it was hardly heated and left alone in turns: a setback at night tells more than a steady temperature"
    ratio = prior.rea_k_w / model.rea_k_w
    if doubt is None and not 1.0 / _FAR < ratio < _FAR:
        yield (
            f"it loses {ratio:.1f} times what its size suggests: check heater power and floor area in home.yaml, "
            "and for open vents"
        )
    error, simple = evidence.mae_24h_c, evidence.simple_mae_24h_c
    if error is not None and simple is not None and error > max(simple, _NOTICED_C):
        yield (
            f"foreseen worse ({error:.2f} C) than by yesterday ({simple:.2f} C): something acts that is not measured"
        )
