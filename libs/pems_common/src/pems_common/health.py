"""Health of a process: readiness (are the things it needs there?) and liveness (does its own loop still turn?).

Readiness is a set of named checks. Liveness is a set of watchdogs that have to be fed in wall time.
"""

from dataclasses import dataclass

from pems_common.clock import Clock

__all__ = ["Check", "Health"]


@dataclass(frozen=True)
class Check:
    """Result of one readiness check.

    Attributes:
        ok: Whether all is well.
        detail: One plain sentence.
        required: Whether the service is not ready without it; others are only reported.
    """

    ok: bool
    detail: str = ""
    required: bool = True


class Health:
    """Collects what the parts of a service report about themselves."""

    def __init__(self, clock: Clock) -> None:
        """Start with no checks: ready and live."""
        self._clock = clock
        self._checks: dict[str, Check] = {}
        self._watchdogs: dict[str, tuple[float, float]] = {}

    def declare(self, check: str, *, required: bool, detail: str = "not checked yet") -> None:
        """Announce a check before its first result; it counts as failing until then."""
        self._checks.setdefault(check, Check(False, detail, required))

    def set(self, check: str, ok: bool, detail: str = "", *, required: bool | None = None) -> None:
        """Record the result of a check; `required` stays as it was when None (at first: required)."""
        known = self._checks.get(check)
        if required is None:
            required = known.required if known is not None else True
        self._checks[check] = Check(ok, detail, required)

    def drop(self, check: str) -> None:
        """Forget a check."""
        self._checks.pop(check, None)

    @property
    def checks(self) -> dict[str, Check]:
        """Every check by name."""
        return dict(self._checks)

    @property
    def ready(self) -> bool:
        """Whether all required checks are well."""
        return not self.failing()

    def failing(self) -> dict[str, Check]:
        """Required checks that fail."""
        return {name: check for name, check in self._checks.items() if check.required and not check.ok}

    def watchdog(self, name: str, max_silence_s: float) -> None:
        """Expect `beat(name)` at least every `max_silence_s` wall seconds from now on."""
        self._watchdogs[name] = (self._clock.monotonic(), max_silence_s)

    def beat(self, name: str) -> None:
        """Feed a watchdog; nothing happens where there is none of that name."""
        if name in self._watchdogs:
            self._watchdogs[name] = (self._clock.monotonic(), self._watchdogs[name][1])

    def silent(self) -> dict[str, float]:
        """Watchdogs that were not fed in time, with their silence [wall s]."""
        now = self._clock.monotonic()
        return {name: now - fed for name, (fed, allowed) in self._watchdogs.items() if now - fed > allowed}

    @property
    def live(self) -> bool:
        """Whether every watchdog was fed in time."""
        return not self.silent()
