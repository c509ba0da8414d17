"""Alerts: active until cleared, then kept for a while as history."""

from collections.abc import Iterable
from datetime import datetime

from pems_common.messages import Alert

__all__ = ["AlertBook"]

_RANK = {"critical": 0, "warning": 1, "info": 2}


def _key(alert: Alert) -> tuple[str, str]:
    return alert.code, alert.device or ""


class AlertBook:
    """Active and ended alerts of one house. The same message twice changes nothing."""

    def __init__(self, alerts: Iterable[Alert] = (), *, keep: int = 100) -> None:
        """Start from stored alerts; keep at most `keep` ended ones."""
        self._keep = keep
        self._active: dict[tuple[str, str], Alert] = {}
        self._ended: list[Alert] = []
        for alert in alerts:
            self.put(alert)

    def put(self, alert: Alert) -> bool:
        """Take in an alert raised, repeated or cleared.

        Returns:
            True when something changed.
        """
        key = _key(alert)
        active = self._active.get(key)
        if alert.cleared_at is None:
            if any(_key(e) == key and (e.cleared_at or e.raised_at) >= alert.raised_at for e in self._ended):
                return False  # a late copy of one that ended already
            if active is not None:
                alert = alert.model_copy(update={"raised_at": min(active.raised_at, alert.raised_at)})
            self._active[key] = alert
            return alert != active
        if active is not None:
            if active.raised_at > alert.cleared_at:
                return False
            del self._active[key]
            # Who clears may not know any more what it was: keep the words it was raised with.
            alert = active.model_copy(update={"cleared_at": alert.cleared_at})
        if any(_key(e) == key and e.cleared_at == alert.cleared_at for e in self._ended):
            return False
        self._ended.append(alert)
        self._ended.sort(key=lambda a: a.cleared_at or a.raised_at, reverse=True)
        del self._ended[self._keep :]
        return True

    def dismiss(self, alert: Alert, at: datetime) -> bool:
        """End an alert by hand: whoever raised it may be gone. It comes back if it is raised again.

        Returns:
            True when it was active.
        """
        if _key(alert) not in self._active:
            return False
        return self.put(alert.model_copy(update={"cleared_at": max(at, alert.raised_at)}))

    @property
    def active(self) -> tuple[Alert, ...]:
        """Running alerts, the worst and newest first."""
        return tuple(sorted(self._active.values(), key=lambda a: (_RANK[a.severity], -a.raised_at.timestamp())))

    @property
    def ended(self) -> tuple[Alert, ...]:
        """Cleared alerts, newest first."""
        return tuple(self._ended)
