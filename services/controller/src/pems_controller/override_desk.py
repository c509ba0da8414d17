"""Overrides of persons: given, ended, kept over restarts, announced."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pems_common.clock import Clock
from pems_common.home import Home
from pems_common.messages import Override as OverrideMessage
from pems_controller.adapters.reporter import Reporter
from pems_controller.adapters.store import ControllerStore
from pems_controller.domain.overrides import LONGEST, Override, OverrideProblem, check

__all__ = ["OverrideDesk"]


class OverrideDesk:
    """The running overrides of a site."""

    def __init__(self, home: Home, clock: Clock, store: ControllerStore, reporter: Reporter) -> None:
        """Start without overrides; `load` brings the kept ones."""
        self._home, self._clock, self._store, self._reporter = home, clock, store, reporter
        self._overrides: dict[str, Override] = {}

    def load(self) -> None:
        """Bring back what was kept, but not what this house or this program cannot do any more."""
        self._overrides = {}
        latest = self._clock.now() + LONGEST  # one that ends later was given by a clock that was ahead
        for override in self._store.overrides().values():
            try:
                if override.until > latest:
                    raise OverrideProblem("an override lasts at most 7 days")
                check(self._home, override.device, override.action, override.params)
            except (KeyError, OverrideProblem):
                self._store.remove_override(override.device)
            else:
                self._overrides[override.device] = override

    def running(self) -> tuple[Override, ...]:
        """Running overrides."""
        return tuple(self._overrides.values())

    def by_device(self) -> Mapping[str, Override]:
        """Running overrides by device."""
        return self._overrides

    def give(self, device: str, action: str, params: Mapping[str, Any], until: datetime, by: str) -> Override:
        """Take an override: kept first, then announced; the next tick acts on it.

        Raises:
            KeyError: No such device.
            OverrideProblem: Not possible; the text says why.
        """
        full = check(self._home, device, action, params)
        now = self._clock.now()
        if until <= now:
            raise OverrideProblem(f"the override would end in the past: it is {now.isoformat(timespec='seconds')}")
        if until - now > LONGEST:
            raise OverrideProblem("an override lasts at most 7 days")
        with self._store.together():
            override = Override(device, action, full, until, by, self._store.next_revision())
            self._store.put_override(override)
            data = {"action": action, "params": full, "until": until.isoformat(), "by": by}
            self._store.audit(now, "override", device, data)
        self._overrides[device] = override
        self._reporter.post(OverrideMessage(**vars(override)))
        return override

    def end(self, device: str, *, by: str) -> bool:
        """End an override; False when there was none."""
        override = self._overrides.get(device)
        if override is None:
            return False
        with self._store.together():
            revision = self._store.next_revision()
            self._store.remove_override(device)
            self._store.audit(self._clock.now(), "override_removed", device, {"by": by})
        del self._overrides[device]
        self._reporter.post(OverrideMessage(**{**vars(override), "by": by, "revision": revision, "removed": True}))
        return True

    def end_those_over(self) -> None:
        """End every override whose time is over."""
        for override in self.running():
            if override.until <= self._clock.now():
                self.end(override.device, by="end of its time")
