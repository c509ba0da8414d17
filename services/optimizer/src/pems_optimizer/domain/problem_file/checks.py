"""What the fields of a problem file mean to each other: lengths, orders, names, windows."""

from collections.abc import Iterator
from typing import Any

from pems_optimizer.domain.problem_file.device_checks import device_mistakes
from pems_optimizer.domain.problem_file.document import SLOTS_LEAST, SLOTS_MOST, PowerBand, PriceBand, ProblemDocument
from pems_optimizer.domain.problem_file.errors import FieldProblem, shown
from pems_optimizer.domain.problem_file.room_checks import room_mistakes
from pems_optimizer.domain.problem_file.series import at_slot, first_below

__all__ = ["mistakes_of"]


def mistakes_of(document: ProblemDocument) -> list[FieldProblem]:
    """Return everything that is wrong between fields; empty where the file can be solved."""
    horizon = list(_horizon(document))
    if horizon:
        return horizon
    found = [
        *_lengths(document),
        *room_mistakes(document),
        *device_mistakes(document),
        *_uncertainty(document),
    ]
    if document.currency != "CZK" and document.czk_per_currency is None:
        message = f"say what one {document.currency} is in CZK, about 25 for EUR: it scales PEMS's default prices"
        found.append(FieldProblem("czk_per_currency", "", message))
    return found


def _horizon(document: ProblemDocument) -> Iterator[FieldProblem]:
    if not isinstance(document.buy_per_kwh, tuple):
        yield FieldProblem(
            "buy_per_kwh", shown(document.buy_per_kwh), "must be a series: its length is the length of the horizon"
        )
        return
    slots = document.slots
    if slots < SLOTS_LEAST:
        yield FieldProblem("buy_per_kwh", f"{slots} values", f"a horizon has at least {SLOTS_LEAST} slots")
    if slots > SLOTS_MOST:
        message = f"a horizon has at most {SLOTS_MOST} slots: shorten it, or take longer slots (step_minutes)"
        yield FieldProblem("buy_per_kwh", f"{slots} values", message)
    starts = document.slot_starts
    if not starts:
        return
    if len(starts) != slots:
        yield FieldProblem("slot_starts", f"{len(starts)} values", f"must have one entry per slot: {slots}")
    for k, at in enumerate(starts):
        due = document.start + k * document.step
        if at != due:
            message = f"must be {due.isoformat()}: slots follow each other without gaps, sorted"
            yield FieldProblem(f"slot_starts[{k}]", shown(at.isoformat()), message)
            return


def _length(field: str, value: Any, slots: int) -> Iterator[FieldProblem]:
    if isinstance(value, tuple) and len(value) != slots:
        message = f"must be one number, or {slots} as in buy_per_kwh"
        yield FieldProblem(field, f"{len(value)} values", message)


def _lengths(document: ProblemDocument) -> Iterator[FieldProblem]:
    """Compare every series with the horizon."""
    slots = document.slots
    series: dict[str, Any] = {name: getattr(document, name) for name in ("sell_per_kwh", "pv_w", "load_w", "outdoor_c")}
    series |= {f"solar_w_m2.{facade}": values for facade, values in document.solar_w_m2.items()}
    for k, room in enumerate(document.rooms):
        series |= {f"rooms[{k}].{name}": getattr(room, name) for name in ("gains_w", "low_c", "high_c")}
    if document.battery is not None:
        series |= {f"battery.{name}": getattr(document.battery, name) for name in ("charge_max_w", "discharge_max_w")}
    if document.water is not None:
        series |= {f"water.{name}": getattr(document.water, name) for name in ("low_c", "drain_w")}
    for name in ("pv_w", "load_w", "buy_per_kwh", "sell_per_kwh"):
        band = getattr(document.bands, name)
        if band is not None:
            series |= {f"bands.{name}.p10": band.p10, f"bands.{name}.p90": band.p90}
        for k, scenario in enumerate(document.uncertainty.scenarios):
            series[f"uncertainty.scenarios[{k}].{name}"] = getattr(scenario, name)
    for field, value in series.items():
        yield from _length(field, value, slots)


def _uncertainty(document: ProblemDocument) -> Iterator[FieldProblem]:
    for name in ("pv_w", "load_w", "buy_per_kwh", "sell_per_kwh"):
        band: PowerBand | PriceBand | None = getattr(document.bands, name)
        if band is None:
            continue
        t = first_below(band.p10, band.p90)
        if t is not None:
            message = f"must not be below p10, which is {at_slot(band.p10, t):g} in slot {t}"
            yield FieldProblem(f"bands.{name}.p90", shown(at_slot(band.p90, t)), message)
    uncertainty = document.uncertainty
    given = uncertainty.scenarios
    if given and uncertainty.strategy != "scenarios":
        message = 'belongs to a list of scenarios: write "scenarios", or leave the list out'
        yield FieldProblem("uncertainty.strategy", shown(uncertainty.strategy), message)
    total = sum(scenario.probability for scenario in given)
    if given and abs(total - 1.0) > 1e-6:
        yield FieldProblem("uncertainty.scenarios", "", f"probabilities must sum to 1, not {total:g}")
    if uncertainty.strategy == "scenarios" and not given and document.bands == type(document.bands)():
        message = "scenarios are needed: add the list uncertainty.scenarios, or bands to make them from"
        yield FieldProblem("uncertainty.strategy", shown(uncertainty.strategy), message)
