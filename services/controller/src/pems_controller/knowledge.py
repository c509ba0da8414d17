"""What comes by the bus and is kept over restarts: plans with their first sight, prices, room models."""

from collections import Counter
from collections.abc import Mapping

from pydantic import ValidationError

from pems_common.clock import Clock
from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import Envelope, Plan, Prices, Thermal, read_body
from pems_common.timegrid import parse_instant, slot_start
from pems_controller.adapters.store import ControllerStore
from pems_controller.domain.plan_follow import HeldPlan, choose, refuse
from pems_controller.domain.prices import PriceView, view_prices

__all__ = ["Knowledge"]


class Knowledge:
    """The last plans, prices and models. Works from its own file when the bus is dead."""

    def __init__(self, home: Home, clock: Clock, store: ControllerStore, counters: Counter[str]) -> None:
        """Start empty; `load` brings back what was kept."""
        self._home, self._clock, self._store, self._counters = home, clock, store, counters
        self.config_hash = home.config_hash()
        self._plans: list[HeldPlan] = []
        self._highest_no = 0
        self.prices: Prices | None = None
        self._thermal: dict[str, Thermal] = {}
        self._view: PriceView | None = None
        self._viewed: Prices | None = None
        self.refused_plan = ""

    @property
    def thermal(self) -> Mapping[str, Thermal]:
        """Room models by room."""
        return self._thermal

    def load(self) -> None:
        """Bring back what was kept; a plan keeps its first sight. What cannot be read is dropped and counted."""
        now, now_s = self._clock.now(), self._clock.house_monotonic()
        self._highest_no = int(self._store.kept("highest_plan_no", 0))
        try:
            for item in self._store.kept("plans", []):
                seen_at = parse_instant(item["first_seen_at"])
                age_s = max(0.0, (now - seen_at).total_seconds())
                self._plans.append(HeldPlan(Plan.read(item["plan"]), seen_at, now_s - age_s))
            prices = self._store.kept("prices")
            self.prices = None if prices is None else Prices.read(prices)
            models = self._store.kept("thermal", {})
            self._thermal = {room: Thermal.read(item) for room, item in models.items() if room in self._home.rooms}
        except (ValidationError, ValueError, KeyError, TypeError):
            self._counters["kept_unreadable"] += 1

    def take(self, envelope: Envelope) -> bool:
        """Take over a message from the bus; False when it was refused. Never raises for its content."""
        try:
            if envelope.type == "plan":
                return self._take_plan(read_body(envelope, Plan))
            if envelope.type == "prices":
                self.prices = read_body(envelope, Prices)
                self._store.keep("prices", self.prices.model_dump(mode="json"))
            elif envelope.type == "thermal":
                thermal = read_body(envelope, Thermal)
                if thermal.room in self._home.rooms:
                    self._thermal[thermal.room] = thermal
                    kept = {room: item.model_dump(mode="json") for room, item in self._thermal.items()}
                    self._store.keep("thermal", kept)
        except PermanentError:
            self._counters[f"refused:{envelope.type}_malformed"] += 1
            return False
        return True

    def _take_plan(self, plan: Plan) -> bool:
        if any(held.plan.plan_id == plan.plan_id for held in self._plans):
            return True  # seen before: its first sight stands
        reason = refuse(plan, self.config_hash, self._clock.now())
        if not reason and plan.plan_no <= self._highest_no:
            reason = "plan_not_newer"
        if reason:
            self._counters[f"refused:{reason}"] += 1
            self.refused_plan = reason
            self._store.audit(self._clock.now(), "plan_refused", "", {"plan_id": plan.plan_id, "reason": reason})
            return False
        self.refused_plan = ""
        held = HeldPlan(plan, self._clock.now(), self._clock.house_monotonic())
        running = self.plan()  # stays beside the new one, whose first slot may be still to come
        self._plans = [held] if running is None else [held, running]
        self._highest_no = plan.plan_no
        with self._store.together():
            self._store.keep("highest_plan_no", self._highest_no)
            kept = [
                {"first_seen_at": h.first_seen_at.isoformat(), "plan": h.plan.model_dump(mode="json")}
                for h in self._plans
            ]
            self._store.keep("plans", kept)
            self._store.audit(self._clock.now(), "plan", "", {"plan_id": plan.plan_id, "plan_no": plan.plan_no})
        return True

    def price_view(self) -> PriceView:
        """Known prices around this moment."""
        slot = slot_start(self._clock.now())
        if self._view is None or self._view.slot != slot or self._viewed is not self.prices:
            self._view, self._viewed = view_prices(self.prices, slot, self._home.site.zone), self.prices
        return self._view

    def plan(self) -> HeldPlan | None:
        """The plan that applies now."""
        return choose(self._plans, self._clock.now(), self._clock.house_monotonic())

    def newest_plan(self) -> Plan | None:
        """The plan with the highest number, begun or not."""
        return self._plans[0].plan if self._plans else None
