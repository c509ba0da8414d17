"""What is known when a plan is asked for, and what persons have fixed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pems_common.messages import Forecast, OverrideEntry, Plan, Prices, Score, Status, Telemetry, Thermal
from pems_optimizer.domain.remembered import Remembered
from pems_optimizer.domain.warm_start import LastSearch

__all__ = ["Known", "fixed_state", "running_overrides"]


@dataclass(frozen=True)
class Known:
    """Everything known when a plan is asked for; only the forecast is indispensable.

    Attributes:
        strategy_value: What the meter found of the strategy that home.yaml asks for, see `strategy_value`.
        last: What the search for the last plan left: its columns and prices are where the next one begins.
    """

    forecast: Forecast | None
    prices: Prices | None = None
    telemetry: Telemetry | None = None
    thermals: Mapping[str, Thermal] = field(default_factory=dict)
    status: Status | None = None
    running: Plan | None = None
    remembered: Remembered = field(default_factory=Remembered)
    strategy_value: Score | None = None
    last: LastSearch | None = None


def running_overrides(status: Status | None, now: datetime) -> dict[str, OverrideEntry]:
    """Return the overrides that have not ended, by device."""
    entries = () if status is None else status.overrides
    return {entry.device: entry for entry in entries if entry.until > now}


def fixed_state(entry: OverrideEntry | None) -> bool | None:
    """Return what an override holds a relay at; None where it does not."""
    if entry is None:
        return None
    if entry.action in {"on", "off"}:
        return entry.action == "on"
    return None
