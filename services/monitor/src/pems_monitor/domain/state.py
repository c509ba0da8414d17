"""What the monitor knows of the house: the latest message of each type and when it was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pems_common.messages import (
    Alert,
    Certificate,
    Forecast,
    Plan,
    Prices,
    Score,
    Status,
    Telemetry,
    Thermal,
    Weather,
)

__all__ = ["DayScore", "HouseState", "PastSlots", "RoomFacts", "RoomModels", "ServiceHealth", "ServiceState"]

ServiceState = Literal["ready", "degraded", "down", "unknown"]


@dataclass(frozen=True)
class ServiceHealth:
    """Whether a service answers, and what it says is wrong."""

    name: str
    state: ServiceState
    detail: str = ""


@dataclass(frozen=True)
class PastSlots:
    """Means of measured series on a grid of slots beginning at `start`; None where nothing was measured.

    Attributes:
        series: By name, such as `pv_power_w`, `battery_soc_pct`, `heating_power_w`.
    """

    start: datetime
    step_s: int
    series: Mapping[str, tuple[float | None, ...]]

    def at(self, name: str, instant: datetime) -> float | None:
        """Mean of the slot that holds the instant; None outside or unknown."""
        values = self.series.get(name)
        if values is None:
            return None
        index = int((instant - self.start).total_seconds() // self.step_s)
        return values[index] if 0 <= index < len(values) else None


@dataclass(frozen=True)
class DayScore:
    """How good something was on a finished day, and the house time at which that was told."""

    score: Score
    at: datetime


@dataclass(frozen=True)
class RoomFacts:
    """What is known of a room's thermal model; None or empty where unknown.

    Attributes:
        tier: prior, observe, suggest or control.
        since: Since when it is of that tier.
        mae_c: Mean error of what it says 24 h ahead [K].
        simple_mae_c: That of "same as yesterday" [K].
        p95_c: Error that 95 % of the hours stay below [K].
        days: Days of data.
        excitation: How much the room was heated and left alone, 0..1.
        loss_w_k: Loss to outdoors [W/K].
        time_constant_h: How slowly it cools [h].
        heater_w: Power of its heating [W].
        warnings: What is wrong with sensor, heating or data, in words.
        left_out_h: Hours that taught nothing, by reason.
        methods: Share of each method in what is said of the room.
        parameters: `{value, low, high, unit}` by name.
    """

    tier: str = ""
    since: datetime | None = None
    mae_c: float | None = None
    simple_mae_c: float | None = None
    p95_c: float | None = None
    days: float | None = None
    excitation: float | None = None
    loss_w_k: float | None = None
    time_constant_h: float | None = None
    heater_w: float | None = None
    warnings: tuple[str, ...] = ()
    left_out_h: Mapping[str, float] = field(default_factory=dict)
    methods: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class RoomModels:
    """What the forecaster tells of all rooms, when it identified them last, and whether it does so now."""

    rooms: Mapping[str, RoomFacts] = field(default_factory=dict)
    identified_at: datetime | None = None
    running: bool = False


@dataclass(frozen=True)
class HouseState:
    """Latest messages; None or empty until the first one came.

    Attributes:
        telemetry_at: House time at which the telemetry was written.
        status_at: House time at which the controller's status was written.
        scores: By what was scored, such as `forecast.pv`.
        alerts: Active alerts by code and device.
        ended_alerts: Cleared ones, newest first.
    """

    telemetry: Telemetry | None = None
    telemetry_at: datetime | None = None
    prices: Prices | None = None
    forecast: Forecast | None = None
    weather: Mapping[str, Weather] = field(default_factory=dict)
    plan: Plan | None = None
    certificate: Certificate | None = None
    status: Status | None = None
    status_at: datetime | None = None
    thermal: Mapping[str, Thermal] = field(default_factory=dict)
    scores: Mapping[str, DayScore] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    ended_alerts: tuple[Alert, ...] = ()
    services: tuple[ServiceHealth, ...] = ()
    past: PastSlots | None = None
    room_models: RoomModels = RoomModels()
