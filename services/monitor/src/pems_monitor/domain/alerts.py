"""Alerts: active until cleared, then kept for a while as history."""

from collections.abc import Iterable

from pems_common.messages import Alert

__all__ = ["AlertBook"]

_RANK = {"critical": 0, "warning": 1, "info": 2}


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
        key = (alert.code, alert.device or "")
        active = self._active.get(key)
        if alert.cleared_at is None:
            if active == alert or any(
                e.raised_at >= alert.raised_at and (e.code, e.device or "") == key for e in self._ended
            ):
                return False  # a repetition, or a late copy of one that ended already
            first = (
                alert
                if active is None
                else alert.model_copy(update={"raised_at": min(active.raised_at, alert.raised_at)})
            )
            self._active[key] = first
            return first != active
        if active is not None and active.raised_at <= alert.cleared_at:
            del self._active[key]
            alert = alert.model_copy(update={"raised_at": active.raised_at})
        if alert in self._ended:
            return False
        self._ended.append(alert)
        self._ended.sort(key=lambda a: a.cleared_at or a.raised_at, reverse=True)
        del self._ended[self._keep :]
        return True

    @property
    def active(self) -> tuple[Alert, ...]:
        """Running alerts, the worst and newest first."""
        return tuple(sorted(self._active.values(), key=lambda a: (_RANK[a.severity], -a.raised_at.timestamp())))

    @property
    def ended(self) -> tuple[Alert, ...]:
        """Cleared alerts, newest first."""
        return tuple(self._ended)
