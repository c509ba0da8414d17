"""Appliances with a daily run as machines of a planning problem, one for each of their windows.

Telemetry says nothing of appliances, so what is left of a window that has begun is what the running plan still has
in it: a plan carries the rest of a run to the next one.
"""

from pems_common.home import Appliance, Home
from pems_common.timegrid import SLOT
from pems_optimizer.domain.horizon import DayWindow, Horizon
from pems_optimizer.domain.problem import ApplianceSpec
from pems_optimizer.domain.run_names import run_name
from pems_optimizer.domain.running import RunningPlan

__all__ = ["daily_runs"]


def daily_runs(home: Home, running: RunningPlan | None, horizon: Horizon) -> tuple[ApplianceSpec, ...]:
    """Return every run of every daily window that ends within the horizon."""
    found = []
    for name, appliance in home.appliances.items():
        if not appliance.runs_daily:
            continue
        for window in horizon.day_windows(appliance.earliest, appliance.ready_by):
            run = None if window.end > horizon.slots else _run(name, appliance, running, window, horizon)
            if run is not None:
                found.append(run)
    return tuple(found)


def _slots_left(
    name: str, appliance: Appliance, running: RunningPlan | None, window: DayWindow, horizon: Horizon
) -> int:
    """Slots of its run that an appliance still has to get in a window."""
    whole = -(-appliance.run_minutes * 60 // int(SLOT.total_seconds()))
    if window.first >= horizon.frozen:
        return whole
    planned = None if running is None else [running.appliance_on(name, horizon.at(t)) for t in range(window.end)]
    if planned is not None and None not in planned:
        return sum(map(bool, planned))
    # Nobody knows whether it has run: a whole run where there is time for it, none that could not end.
    return whole if window.end - max(window.first, horizon.frozen) >= whole else 0


def _run(
    name: str, appliance: Appliance, running: RunningPlan | None, window: DayWindow, horizon: Horizon
) -> ApplianceSpec | None:
    """Return the run of one window, None where nothing of it is left."""
    left = _slots_left(name, appliance, running, window, horizon)
    if left == 0:
        return None
    forced: list[bool] = []
    on_now = False
    if running is not None and window.first < horizon.frozen:
        first = max(0, window.first)
        forced = [False] * first
        forced += [bool(running.appliance_on(name, horizon.at(t))) for t in range(first, horizon.frozen)]
        on_now = window.first < 0 and bool(running.appliance_on(name, horizon.at(-1)))
    if (forced[-1] if forced else on_now) and not appliance.interruptible:
        forced += [True] * (left - sum(forced))  # once begun it goes through to its end
    return ApplianceSpec(
        name=run_name(name, window.day),
        power_w=appliance.power_w,
        run_slots=left,
        earliest=max(0, window.first),
        deadline=window.end,
        interruptible=appliance.interruptible,
        missing_czk=appliance.missing_czk,
        forced=len(forced),
        forced_on=tuple(forced),
        on_now=on_now,
    )
