"""The controller's working time, modes and broken limits, added up per slot from every status it told.

The figures come from the whole stream of statuses, so they do not depend on the monitor having run all the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from pems_common.messages import Status
from pems_common.timegrid import SLOT, slot_start
from pems_monitor.domain.performance_tally import Counter, Tally

__all__ = ["ControlSlot", "LastStatus", "count_control", "follow"]


@dataclass(frozen=True)
class ControlSlot:
    """What the controller did within one slot.

    Attributes:
        up_s: Time that its statuses stand for [s].
        mpc_s: Device seconds in `mpc`.
        live_s: Device seconds in any mode but `released`.
        switches: Changes of mode, of all devices.
        violations: Limits that began to be broken.
        violated_s: Time with any limit broken [s].
    """

    up_s: float = 0.0
    mpc_s: float = 0.0
    live_s: float = 0.0
    switches: int = 0
    violations: int = 0
    violated_s: float = 0.0

    def plus(self, other: "ControlSlot") -> "ControlSlot":
        """Add up two parts of one slot."""
        return ControlSlot(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))


@dataclass(frozen=True)
class LastStatus:
    """What has to be remembered of a status until the next one."""

    at: datetime
    modes: Mapping[str, str] = field(default_factory=dict)
    violations: frozenset[str] = frozenset()

    @classmethod
    def of(cls, at: datetime, status: Status) -> Self:
        """Reduce a status that was told at `at`."""
        return cls(at, {name: device.mode for name, device in status.devices.items()}, frozenset(status.violations))

    def to_json(self) -> dict[str, Any]:
        """Plain data to keep over a restart."""
        return {"at": self.at.isoformat(), "modes": dict(self.modes), "violations": sorted(self.violations)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: It is malformed.
        """
        try:
            return cls(datetime.fromisoformat(data["at"]), dict(data["modes"]), frozenset(data["violations"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no status: {error}") from error


def follow(
    last: LastStatus | None, here: LastStatus, *, tick: timedelta, silent_after: timedelta
) -> dict[datetime, ControlSlot]:
    """Return what the time between two statuses adds to each slot; nothing for a status that is not newer.

    A status stands for the time until the next one. After a longer silence than `silent_after` it stood for one
    tick only: the rest is down time. Switches and new violations belong to the slot of the newer status.

    Args:
        last: The status before; None at the first one.
        here: The new one.
        tick: House time between statuses.
        silent_after: House time after which a controller that said nothing counts as silent.
    """
    if last is None or here.at <= last.at:
        return {}
    end = here.at if here.at - last.at <= silent_after else last.at + tick
    mpc = sum(mode == "mpc" for mode in last.modes.values())
    live = sum(mode != "released" for mode in last.modes.values())
    found: dict[datetime, ControlSlot] = {}
    at = last.at
    while at < end:
        slot = slot_start(at)
        seconds = (min(end, slot + SLOT) - at).total_seconds()
        violated_s = seconds if last.violations else 0.0
        found[slot] = ControlSlot(seconds, mpc * seconds, live * seconds, 0, 0, violated_s)
        at = slot + SLOT
    switches = sum(last.modes.get(name, mode) != mode for name, mode in here.modes.items())
    begun = len(here.violations - last.violations)
    slot = slot_start(here.at)
    found[slot] = found.get(slot, ControlSlot()).plus(ControlSlot(switches=switches, violations=begun))
    return found


def count_control(
    slots: Sequence[datetime], control: Mapping[datetime, ControlSlot], since: datetime | None, until: datetime
) -> Tally:
    """Count the controller's slots.

    Args:
        slots: Starts of the slots to count.
        control: What was added up.
        since: When the first status of all was told: the time before is unknown, not down time. None if none was.
        until: The present; later time is not counted.
    """
    counter = Counter()
    for slot in slots:
        watched = min(slot + SLOT, until) - max(slot, since) if since is not None else timedelta(0)
        if watched <= timedelta(0):
            continue
        done = control.get(slot, ControlSlot())
        counter.add("watched_s", watched.total_seconds())
        counter.add("up_s", min(done.up_s, watched.total_seconds()))
        counter.add("mpc_s", done.mpc_s)
        counter.add("live_s", done.live_s)
        counter.add("switches", float(done.switches))
        counter.add("violations", float(done.violations))
        counter.add("violated_s", done.violated_s)
    return counter.done()
