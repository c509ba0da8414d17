"""Names of the runs of an appliance: one per daily window in a planning problem, all in one schedule in the message."""

from collections.abc import Mapping, Sequence
from datetime import date

from pems_optimizer.domain.problem import ApplianceSpec, Bools

__all__ = ["appliance_of", "merged_schedules", "run_name"]

_SEPARATOR = "@"  # not allowed in names of home.yaml


def run_name(appliance: str, day: date) -> str:
    """Return the name of an appliance's run in the window that begins on a day: `dishwasher@2025-01-14`."""
    return f"{appliance}{_SEPARATOR}{day.isoformat()}"


def appliance_of(run: str) -> str:
    """Return the appliance that a run belongs to; a name without a day is the appliance's own."""
    return run.partition(_SEPARATOR)[0]


def merged_schedules(runs: Sequence[ApplianceSpec], schedules: Sequence[Bools]) -> Mapping[str, Bools]:
    """Return one schedule (T,) per appliance, as the plan message has them, from those of its runs."""
    merged: dict[str, Bools] = {}
    for run, on in zip(runs, schedules, strict=True):
        name = appliance_of(run.name)
        merged[name] = on | merged[name] if name in merged else on
    return merged
