"""The answer to "why?" in one plain sentence, English and Czech."""

from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.scoring import Verified, controlled_load_w

__all__ = ["sentence"]


class _Ask(Protocol):
    """The part of a question that is told."""

    @property
    def device(self) -> str: ...
    @property
    def slot(self) -> int: ...
    @property
    def action(self) -> str: ...
    @property
    def zone(self) -> str: ...


_DEVICES = {"battery": ("The battery", "Baterie"), "ev": ("The car", "Auto"), "water": ("The water heater", "Bojler")}
_ACTIONS = {
    "on": ("on", "zapnuto"),
    "off": ("off", "vypnuto"),
    "self_consume": ("on self-consumption", "na vlastní spotřebu"),
    "charge_from_grid": ("charging from the grid", "nabíjet ze sítě"),
    "hold": ("holding", "držet"),
    "discharge_to_grid": ("discharging to the grid", "dodávat do sítě"),
    "export_pv": ("exporting PV", "dodávat výrobu FVE"),
}
_FAR_CZK = 0.02


def _local(problem: PlanningProblem, slot: int, zone: str) -> str:
    at: datetime = problem.start + slot * problem.step
    try:
        return at.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return at.strftime("%H:%M UTC")


def _moved_prices(problem: PlanningProblem, before: Verified, after: Verified) -> tuple[float, float] | None:
    """Mean price of the grid energy that is drawn less, and of that which is drawn more [CZK/kWh]."""
    moved = after.flow.grid_w - before.flow.grid_w
    less, more = np.maximum(-moved, 0.0), np.maximum(moved, 0.0)
    if less.sum() < 20.0 or more.sum() < 20.0:
        return None
    return float(less @ problem.buy / less.sum()), float(more @ problem.buy / more.sum())


def _coldest(problem: PlanningProblem, before: Verified, after: Verified) -> tuple[str, int, float] | None:
    """Room, slot and K of the greatest new lack of warmth."""
    low = problem.rooms.low_c
    if low.size == 0:
        return None
    worse = np.maximum(low - after.path.air_c[1:], 0.0) - np.maximum(low - before.path.air_c[1:], 0.0)
    t, room = np.unravel_index(int(np.argmax(worse)), worse.shape)
    return (problem.rooms.names[int(room)], int(t), float(worse[t, room])) if worse[t, room] > 0.02 else None


def sentence(
    problem: PlanningProblem, ask: _Ask, before: Verified, after: Verified | None, *, planned: bool = False
) -> dict[str, str]:
    """Return the sentence for what would be if `after` were done instead of `before`; None: it cannot be done."""
    clock = _local(problem, ask.slot, ask.zone)
    kind, _, name = ask.device.partition(":")
    device_en, device_cs = _DEVICES.get(kind, (name, name))
    action_en, action_cs = _ACTIONS.get(ask.action, (ask.action, ask.action))
    head_en, head_cs = f"{device_en} {action_en} at {clock}", f"{device_cs}: {action_cs} v {clock}"
    if after is None:
        return {
            "en": f"{head_en} is not possible: the slot is already decided, or minimum times do not allow it.",
            "cs": f"{head_cs} nejde: o čase už je rozhodnuto, nebo to nedovolí minimální doby.",
        }
    if planned:
        return {"en": f"{head_en} is what the plan does.", "cs": f"{head_cs} je právě to, co plán dělá."}
    total = after.cost.total - before.cost.total
    if abs(total) < _FAR_CZK:
        return {"en": f"{head_en} would make no difference.", "cs": f"{head_cs} by nic nezměnilo."}
    if total < 0.0:
        return {
            "en": f"{head_en} would save {-total:.2f} CZK, less than changing the running plan is worth.",
            "cs": f"{head_cs} by ušetřilo {_cs(-total)} Kč, méně než kolik stojí za změnu běžícího plánu.",
        }
    why_en, why_cs = _reason(problem, ask, before, after)
    return {
        "en": f"{head_en} would cost {total:.2f} CZK more: {why_en}.",
        "cs": f"{head_cs} by stálo o {_cs(total)} Kč více: {why_cs}.",
    }


def _cs(value: float, digits: int = 2) -> str:
    """Write a number with a decimal comma."""
    return f"{value:.{digits}f}".replace(".", ",")


def _reason(problem: PlanningProblem, ask: _Ask, before: Verified, after: Verified) -> tuple[str, str]:
    parts = {n: getattr(after.cost, n) - getattr(before.cost, n) for n in type(after.cost).model_fields if n != "total"}
    rule = max(parts, key=lambda n: parts[n])
    if rule == "comfort" and (cold := _coldest(problem, before, after)) is not None:
        room, slot, lack = cold
        clock = _local(problem, slot, ask.zone)
        return (
            f"{room} would be {lack:.1f} K colder than wanted at {clock}",
            f"{room} by v {clock} měl o {_cs(lack, 1)} K méně, než má být",
        )
    if rule == "peak":
        old, new = before.peak_w / 1000.0, after.peak_w / 1000.0
        return (
            f"the highest import would rise from {old:.1f} to {new:.1f} kW",
            f"nejvyšší odběr by stoupl z {_cs(old, 1)} na {_cs(new, 1)} kW",
        )
    if rule == "switching":
        return "it takes more switching", "znamenalo by to více spínání"
    if rule == "wear":
        return "the battery would work more for it", "baterie by se kvůli tomu více opotřebila"
    if rule == "energy" and (moved := _moved_prices(problem, before, after)) is not None and moved[1] > moved[0]:
        return (
            f"energy would move from hours at {moved[0]:.2f} to hours at {moved[1]:.2f} CZK/kWh",
            f"odběr by se přesunul z hodin za {_cs(moved[0])} do hodin za {_cs(moved[1])} Kč/kWh",
        )
    used = float((controlled_load_w(problem, after.decision) - controlled_load_w(problem, before.decision)).sum())
    kwh = used * problem.kwh
    if kwh > 0.05:
        return f"{kwh:.1f} kWh more would be used", f"spotřebovalo by se o {_cs(kwh, 1)} kWh více"
    return "less energy would be left at the end, or sold", "na konci by zbylo, nebo by se prodalo méně energie"
