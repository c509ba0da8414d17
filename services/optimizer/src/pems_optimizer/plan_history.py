"""The last plans and their certificates, as the bus has shown them to the planner."""

from collections import deque

from pems_common.bus import Bus
from pems_common.errors import PermanentError
from pems_common.logs import get_logger
from pems_common.messages import Certificate, Envelope, Plan, read_body

__all__ = ["KEPT_PLANS", "PlanHistory"]

KEPT_PLANS = 60
_log = get_logger("planner")


class PlanHistory:
    """Plans in the order of their numbers, newest last; certificates by plan."""

    def __init__(self, site: str, bus: Bus) -> None:
        """Begin without any.

        Args:
            site: Site id.
            bus: Where plans and certificates are read.
        """
        self._site, self._bus = site, bus
        self._plans: deque[Plan] = deque(maxlen=KEPT_PLANS)
        self._certificates: dict[str, Certificate] = {}
        self._newest: Certificate | None = None

    @property
    def plan(self) -> Plan | None:
        """The newest plan."""
        return self._plans[-1] if self._plans else None

    @property
    def plans(self) -> list[Plan]:
        """The last plans, newest first."""
        return list(reversed(self._plans))

    @property
    def newest_certificate(self) -> Certificate | None:
        """The last certificate; it may be of the plan before the newest."""
        return self._newest

    def certificate(self, plan_id: str) -> Certificate | None:
        """The certificate of one of the last plans; None where it has none (yet)."""
        return self._certificates.get(plan_id)

    async def look(self) -> Plan | None:
        """Look at the newest plan on the bus; returns it where it is new."""
        envelope = await self._bus.latest("plan", self._site)
        known = self.plan
        if envelope is None or (known is not None and envelope.body.get("plan_id") == known.plan_id):
            return None
        try:
            plan = read_body(envelope, Plan)
        except PermanentError as error:
            _log.error("unreadable plan on the bus", error=str(error))
            return None
        if known is not None and plan.plan_no < known.plan_no:
            _log.info("late older plan ignored", plan_no=plan.plan_no, newest=known.plan_no)
            return None
        self._plans.append(plan)
        return plan

    async def look_at_certificate(self, poke: Envelope | None = None) -> None:
        """Take note of a certificate: of a poke, or the newest on the bus."""
        envelope = poke or await self._bus.latest("certificate", self._site)
        if envelope is None:
            return
        try:
            certificate = read_body(envelope, Certificate)
        except PermanentError as error:
            _log.error("unreadable certificate on the bus", error=str(error))
            return
        self._newest = certificate
        self._certificates[certificate.plan_id] = certificate
        while len(self._certificates) > KEPT_PLANS:
            del self._certificates[next(iter(self._certificates))]
