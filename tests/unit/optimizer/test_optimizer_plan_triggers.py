"""When the planner wants a plan: each event is a reason once, and none of them comes too often."""

from datetime import timedelta

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.test_optimizer_events import published
from tests.unit.optimizer.test_optimizer_planning import INPUTS

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.messages import EvReading, Override, wrap
from pems_optimizer.domain.planning import Ask, make_rule_plan
from pems_optimizer.plan_triggers import PlanTriggers

HOME = small_home("pokoj_1", "zachod")
SITE = HOME.site.id


class Watch:
    """A bus, a clock, and triggers after their first request."""

    def __init__(self) -> None:
        self.clock = FakeClock(START)
        self.bus = MemoryBus(self.clock)
        self.triggers = PlanTriggers(SITE, self.clock, self.bus)
        self.known = winter_case(HOME, 1)
        self.plan = make_rule_plan(HOME, self.known, INPUTS, Ask("p", 1, START, START, 5.0), "t")

    async def publish(self, *bodies):
        for body in bodies:
            await self.bus.publish(wrap(body, site=SITE, clock=self.clock, source="test"))
        for poke in self.bus.drain_pokes():
            await self.triggers.on_state(poke)

    async def asked(self):
        """A request is made with what is on the bus."""
        await self.triggers.remember_inputs(await self.bus.latest("forecast", SITE))
        return self.triggers.take(self.clock.now())

    async def begin(self):
        await self.publish(self.known.forecast, self.known.telemetry)
        self.triggers.want("restart", "")
        assert await self.asked() == "restart"
        return self

    async def look(self, minutes: float = 0.0, **reading):
        """Look at the house some time later; its SoC and rooms are as planned where not told otherwise."""
        self.clock.advance(timedelta(minutes=minutes))
        k = int((self.clock.now() - START) / timedelta(minutes=15))
        assert self.plan.battery is not None
        assert self.known.telemetry is not None
        usual: dict[str, object] = {"battery_soc_pct": self.plan.battery.soc_pct[max(0, k - 1)], "rooms": {}}
        await self.publish(self.known.telemetry.model_copy(update={**usual, **reading}))
        await self.triggers.look_at_the_house(self.plan)

    def wants(self) -> str:
        """What would be asked for now, empty where nothing may be."""
        now = self.clock.now()
        return self.triggers.take(now) if self.triggers.due(now) else ""


@pytest.fixture
async def watch():
    return await Watch().begin()


async def test_nothing_new_is_no_reason(watch):
    watch.clock.advance(timedelta(hours=5))
    await watch.publish(watch.known.forecast, published(0))
    await watch.asked()
    watch.clock.advance(timedelta(minutes=11))
    await watch.publish(watch.known.forecast.model_copy(update={"horizon_s": 1}), published(0))
    await watch.look()
    assert watch.wants() == ""


async def test_the_first_wish_is_asked_for_at_once():
    fresh = Watch()
    fresh.triggers.want("ev", "")
    assert fresh.wants() == "ev"


async def test_events_wait_for_ten_minutes_after_the_last_request(watch):
    watch.triggers.want("prices", "")
    watch.clock.advance(timedelta(minutes=9, seconds=59))
    assert watch.wants() == ""
    watch.triggers.want("ev", "")
    watch.clock.advance(timedelta(seconds=1))
    assert watch.wants() == "ev+prices"
    assert watch.wants() == "", "they are asked for once"


@pytest.mark.parametrize("trigger", ["hourly", "restart", "request", "retry"])
async def test_the_clock_a_person_and_a_failure_do_not_wait(watch, trigger):
    watch.triggers.want(trigger, "")
    assert watch.wants() == trigger


async def test_each_full_hour_is_a_reason_once(watch):
    watch.clock.advance(timedelta(minutes=20))
    watch.triggers.watch_the_clock(watch.clock.now())
    assert watch.wants() == "", "the first look only learns which hour it is"
    watch.clock.advance(timedelta(minutes=39))
    watch.triggers.watch_the_clock(watch.clock.now())
    assert watch.wants() == ""
    watch.clock.advance(timedelta(minutes=1))
    watch.triggers.watch_the_clock(watch.clock.now())
    assert watch.wants() == "hourly"
    watch.triggers.watch_the_clock(watch.clock.now())
    assert watch.wants() == ""


async def test_a_moved_forecast_is_a_reason_until_a_plan_was_asked_for_with_it(watch):
    new = winter_case(HOME, 9, sun=0.1).forecast
    watch.clock.advance(timedelta(minutes=11))
    await watch.publish(new)
    assert await watch.asked() == "forecast"
    watch.clock.advance(timedelta(minutes=11))
    await watch.publish(new)
    assert watch.wants() == ""


async def test_new_prices_are_a_reason_until_a_plan_was_asked_for_with_them(watch):
    watch.clock.advance(timedelta(minutes=11))
    await watch.publish(published(24))
    assert await watch.asked() == "prices"
    watch.clock.advance(timedelta(minutes=11))
    await watch.publish(published(24))
    assert watch.wants() == ""
    await watch.publish(published(24, buy=3.0))
    assert await watch.asked() == "prices"
    watch.clock.advance(timedelta(minutes=11))
    await watch.publish(published(36, buy=3.0))
    assert watch.wants() == "prices"


async def test_before_the_first_request_forecast_and_prices_are_no_reasons_of_their_own():
    fresh = Watch()
    await fresh.publish(fresh.known.forecast, published(24))
    assert fresh.wants() == ""


async def test_an_override_is_a_reason_while_it_is_news(watch):
    until = START + timedelta(hours=3)
    override = wrap(
        Override(device="battery", action="hold", until=until, by="me", revision=1),
        site=SITE, clock=watch.clock, source="test",
    )  # fmt: skip
    watch.clock.advance(timedelta(minutes=11))
    await watch.triggers.on_state(override)
    assert watch.wants() == "", "it was set eleven minutes ago: a replay"
    await watch.triggers.on_state(override.model_copy(update={"at": watch.clock.now()}))
    assert watch.wants() == "override"


async def test_the_car_that_comes_or_leaves_is_a_reason(watch):
    assert watch.known.telemetry.ev.connected
    await watch.look(11, ev=EvReading(connected=False))
    assert await watch.asked() == "ev"
    await watch.look(11, ev=EvReading(connected=False))
    assert watch.wants() == ""
    await watch.look(1, ev=None)
    assert watch.wants() == "", "a silent charger says nothing"
    await watch.look(11, ev=EvReading(connected=True))
    assert watch.wants() == "ev"


async def test_a_house_off_its_plan_is_a_reason(watch):
    await watch.look(16, battery_soc_pct=watch.plan.battery.soc_pct[0])
    assert watch.wants() == ""
    await watch.look(1, battery_soc_pct=watch.plan.battery.soc_pct[1] + 25.0)
    assert watch.wants() == "off_plan"


async def test_a_plan_from_before_the_last_request_is_not_compared_again(watch):
    watch.clock.advance(timedelta(minutes=20))
    await watch.asked()
    await watch.look(11, battery_soc_pct=0.0)
    assert watch.wants() == ""
    watch.plan = watch.plan.model_copy(update={"issued_at": watch.clock.now()})
    await watch.look(0, battery_soc_pct=0.0)
    assert watch.wants() == "off_plan"


async def test_old_telemetry_or_none_or_no_plan_is_no_reason(watch):
    await watch.publish(watch.known.telemetry.model_copy(update={"battery_soc_pct": 0.0}))
    watch.clock.advance(timedelta(minutes=21))
    await watch.triggers.look_at_the_house(watch.plan)
    assert watch.wants() == "", "it is 21 minutes old"
    await watch.triggers.look_at_the_house(None)
    lonely = Watch()
    await lonely.triggers.look_at_the_house(lonely.plan)
    assert lonely.wants() == ""


async def test_what_cannot_be_read_is_told_and_survived(watch):
    broken = (await watch.bus.latest("forecast", SITE)).model_copy(update={"body": {"issued_at": "never"}})
    watch.bus.latest = lambda *_: as_coroutine(broken)
    await watch.triggers.on_state(broken)
    await watch.triggers.remember_inputs(broken)
    assert watch.wants() == ""


async def as_coroutine(value):
    return value


async def test_a_reason_may_be_taken_back(watch):
    watch.triggers.want("request", "asked for by me")
    watch.triggers.drop("request")
    watch.triggers.drop("request")
    assert watch.wants() == ""
