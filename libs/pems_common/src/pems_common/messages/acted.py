"""Bodies of what was done and told: commands, status, overrides, alerts, scores."""

from typing import Any, Literal

from pydantic import AwareDatetime

from pems_common.messages.series import Body

__all__ = [
    "Alert",
    "Clamp",
    "Command",
    "DeviceMode",
    "Mode",
    "ModeSwitch",
    "Override",
    "OverrideEntry",
    "Score",
    "Status",
]

Mode = Literal["manual", "mpc", "rule_based", "safety", "released"]


class Clamp(Body):
    """A limit that changed what was asked."""

    limit: str
    asked: float | str
    sent: float | str


class Command(Body):
    """One command and what became of it."""

    command_id: str
    device: str
    action: str
    params: dict[str, Any] = {}
    decided_by: Literal["override", "plan", "rules", "limits", "hand_back"]
    reason: str
    clamp: tuple[Clamp, ...] = ()
    dry_run: bool
    sent_at: AwareDatetime
    ack: Literal["success", "nak", "timeout", "none"]
    ack_at: AwareDatetime | None = None
    read_back: dict[str, Any] | None = None


class DeviceMode(Body):
    """Mode of one device, since when (house time) and why; `until` where it has an end."""

    mode: Mode
    since: AwareDatetime
    why: str
    until: AwareDatetime | None = None
    action: dict[str, Any] = {}


class ModeSwitch(Body):
    """A change of one device's mode."""

    device: str
    at: AwareDatetime
    old: Mode
    new: Mode
    why: str


class OverrideEntry(Body):
    """A running override."""

    device: str
    action: str
    params: dict[str, Any] = {}
    until: AwareDatetime
    by: str
    revision: int


class Status(Body):
    """The controller's own account of itself. `house_mode` is the worst mode of the live devices."""

    house_mode: Mode
    devices: dict[str, DeviceMode]
    plan_id: str = ""
    plan_age_s: float | None = None
    telemetry_age_s: float | None = None
    overrides: tuple[OverrideEntry, ...] = ()
    violations: tuple[str, ...] = ()
    last_actions: tuple[Command, ...] = ()
    mode_switches: tuple[ModeSwitch, ...] = ()
    armed: bool
    shadow: bool
    rollout: tuple[str, ...] = ()
    tick_ms: float
    uptime_s: float


class Override(Body):
    """The controller's announcement of an override accepted or removed by its REST."""

    device: str
    action: str
    params: dict[str, Any] = {}
    until: AwareDatetime
    by: str
    revision: int
    removed: bool = False


class Alert(Body):
    """Something a person should know. A cleared alert deletes its key."""

    code: str
    severity: Literal["info", "warning", "critical"]
    text: str
    remedy: str = ""
    device: str | None = None
    raised_at: AwareDatetime
    cleared_at: AwareDatetime | None = None


class Score(Body):
    """How good something was lately."""

    kind: str
    window: str
    metrics: dict[str, float]
    model: str = ""
    baseline: str = ""
