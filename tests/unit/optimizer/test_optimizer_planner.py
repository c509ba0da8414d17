"""The planner loop: hours, events, deadlines, the rules as stand-in, late plans."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.plan_record_cases import quick_plan

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import PermanentError, UnavailableError
from pems_common.messages import Alert, Certificate, EvReading, Override, Plan, Prices, Series, wrap
from pems_optimizer.adapters.planner_memory import FileMemory, Memory, NoMemory
from pems_optimizer.adapters.queues import InlineQueue
from pems_optimizer.adapters.request_marks import InMemoryMarks
from pems_optimizer.handlers import PlannerHandlers
from pems_optimizer.plan_work import Worker, evaluate_plan, solve_request
from pems_optimizer.requests import PlanRequest

HOME = small_home("pokoj_1", "zachod", ev=None)
SITE = HOME.site.id


@pytest.fixture(autouse=True)
def _quick_plans(monkeypatch):
    """The loop is tested here, not the solver: plans are the rules' ones, signed by the solver."""

    monkeypatch.setattr("pems_optimizer.plan_work.plan_with_making", quick_plan)


class FastQueue(InlineQueue):
    """Solves inline and remembers what was asked."""

    def __init__(self, clock, bus):
        super().__init__(HOME, clock, bus)
        self.requests: list[PlanRequest] = []
        self.judged: list[str] = []

    async def submit(self, request):
        self.requests.append(request)
        await super().submit(request)

    async def evaluate(self, site, plan_id):
        self.judged.append(plan_id)


class SilentQueue(FastQueue):
    """Takes requests and never answers."""

    async def submit(self, request):
        self.requests.append(request)


class House:
    """Bus, clock and planner together."""

    def __init__(self, queue=FastQueue, memory=None):
        self.clock = FakeClock(START)
        self.bus = MemoryBus(self.clock)
        self.queue = queue(self.clock, self.bus)
        self.marks = InMemoryMarks()
        self.planner = PlannerHandlers(
            HOME, self.clock, self.bus, self.queue, memory=memory, marks=self.marks, inline=queue is FastQueue
        )
        self.known = winter_case(HOME, 1)

    async def publish(self, *bodies):
        for body in bodies:
            await self.bus.publish(wrap(body, site=SITE, clock=self.clock, source="test"))
        for poke in self.bus.drain_pokes():
            if poke.type in self.planner.watches:
                await self.planner.on_state(poke)

    async def begin(self):
        await self.publish(self.known.forecast, self.known.telemetry, *self.known.thermals.values())
        await self.planner.start()
        await self.planner.tick()
        return self

    async def pass_time(self, minutes: float, step: float = 1.0):
        """Time passes as planned: telemetry follows the plan."""
        for _ in range(round(minutes / step)):
            self.clock.advance(timedelta(minutes=step))
            await self.publish()
            await self.planner.tick()

    def alerts(self) -> list[Alert]:
        return [Alert.read(e.body) for e in self.bus.entries("alert")]

    @property
    def triggers(self):
        return [r.trigger for r in self.queue.requests]


async def test_a_plan_is_made_at_the_start_and_each_hour():
    house = await House().begin()
    assert house.triggers == ["restart"]
    plan = house.planner.plan
    assert plan is not None
    assert not plan.fallback_mode
    assert plan.start == START
    await house.pass_time(126, 7)
    assert len([t for t in house.triggers if "hourly" in t]) == 2
    numbers = [r.plan_no for r in house.queue.requests]
    assert numbers == sorted(set(numbers))
    assert house.queue.judged == [p.plan_id for p in reversed(house.planner.plans)]


async def test_without_a_forecast_it_waits_and_says_so():
    house = House()
    await house.planner.start()
    await house.planner.tick()
    assert house.triggers == []
    await house.pass_time(40, 10)
    assert [a.code for a in house.alerts()] == ["optimizer.no_forecast"]
    await house.publish(house.known.forecast, house.known.telemetry, *house.known.thermals.values())
    await house.planner.tick()
    assert house.planner.plan is not None
    assert house.alerts()[-1].cleared_at is not None


async def test_new_prices_an_override_and_a_car_are_reasons_but_not_too_often():
    house = await House().begin()
    flat = Series.of(START, 900, [3.0] * 192)
    prices = Prices(
        spot_eur_mwh=flat, eur_czk=25, buy_czk_kwh=flat, sell_czk_kwh=flat,
        known_until=START + timedelta(hours=20), source="t", tariff_version="1",
    )  # fmt: skip
    await house.publish(prices)
    await house.planner.tick()
    assert house.triggers == ["restart"], "within ten minutes of the last one"
    await house.pass_time(12, 4)
    assert house.triggers[-1].split("+")[-1] == "prices" or "prices" in house.triggers[-1]
    count = len(house.triggers)
    await house.publish(prices.model_copy(update={"source": "again"}))
    until = START + timedelta(hours=3)
    await house.publish(Override(device="room:pokoj_1", action="on", until=until, by="me", revision=1))
    await house.pass_time(12, 4)
    assert len(house.triggers) == count + 1
    assert "override" in house.triggers[-1]


async def test_a_forecast_that_moved_is_a_reason_and_a_similar_one_is_not():
    house = await House().begin()
    await house.publish(house.known.forecast.model_copy(update={"horizon_s": 1}))
    await house.pass_time(11, 11)
    assert len(house.triggers) == 1
    other = winter_case(HOME, 9, sun=0.1).forecast
    await house.publish(other)
    await house.pass_time(1)
    assert house.triggers[-1] == "forecast"


async def test_leaving_the_plan_is_a_reason():
    house = await House().begin()
    house.clock.advance(timedelta(minutes=20))
    telemetry = house.known.telemetry
    await house.publish(telemetry.model_copy(update={"battery_soc_pct": 99.0}))
    await house.planner.tick()
    assert house.triggers[-1] == "off_plan"
    house.clock.advance(timedelta(minutes=20))
    rooms = {n: r.model_copy(update={"temperature_c": 15.0}) for n, r in telemetry.rooms.items()}
    soc = house.planner.plan.battery.soc_pct[0]
    await house.publish(telemetry.model_copy(update={"rooms": rooms, "battery_soc_pct": soc}))
    await house.planner.tick()
    assert house.triggers[-1] == "off_plan"
    assert len(house.triggers) == 3


async def test_two_failures_bring_the_rules_and_an_alert_and_it_keeps_asking():
    house = await House(SilentQueue).begin()
    assert house.planner.plan is None
    await house.pass_time(1)  # beyond the deadline: asked again at once
    assert len(house.queue.requests) == 2
    assert house.planner.plan is None
    await house.pass_time(1)
    plan = house.planner.plan
    assert plan is not None
    assert plan.fallback_mode
    assert plan.solver.name == "rules"
    assert [a.code for a in house.alerts()] == ["optimizer.silent"]
    asked = len(house.queue.requests)
    await house.pass_time(3)
    assert len(house.queue.requests) > asked
    assert [p.plan_id for p in house.planner.plans] == [plan.plan_id], "one rule plan an hour is enough"
    await house.pass_time(60, 5)
    assert len(house.planner.plans) == 2
    # A worker is back and answers the request under way.
    await solve_request(HOME, house.clock, house.bus, house.queue.requests[-1], source="worker")
    await house.publish()
    assert not house.planner.plan.fallback_mode
    assert house.alerts()[-1].cleared_at is not None
    view = house.planner.request(house.queue.requests[-1].request_id)
    assert view.state == "done"
    assert house.planner.request(house.queue.requests[0].request_id).state == "failed"


async def test_a_worker_that_died_is_known_before_the_deadline_and_tried_twice():
    house = await House(SilentQueue).begin()
    first = house.queue.requests[0].request_id
    await house.marks.begin(first, "plan@box")
    await house.pass_time(0.1, 0.1)
    assert len(house.queue.requests) == 1, "it may be at work"
    await house.marks.died(first, "signal 9 (SIGKILL)")
    await house.pass_time(0.1, 0.1)
    assert len(house.queue.requests) == 2, "asked again at once"
    assert house.planner.plan is None
    assert "SIGKILL" in house.planner.request(first).detail
    await house.marks.begin(house.queue.requests[1].request_id, "plan@box")
    await house.marks.died(house.queue.requests[1].request_id, "signal 9 (SIGKILL)")
    await house.pass_time(0.1, 0.1)
    assert house.planner.plan.fallback_mode
    assert "a worker died while solving" in str(house.planner.plan.reasons["plan"][0].params["why"])
    (alert,) = house.alerts()
    assert alert.code == "optimizer.worker_died"
    assert "plan@box: signal 9" in alert.text


async def test_requests_that_kill_their_workers_are_asked_for_ever_more_slowly():
    house = await House(SilentQueue).begin()
    asked_at = []
    while len(asked_at) < 8:
        if len(house.queue.requests) > len(asked_at):
            asked_at.append(house.clock.monotonic())
            await house.marks.begin(house.queue.requests[-1].request_id, "plan@box")
            await house.marks.died(house.queue.requests[-1].request_id, "signal 9")
        await house.pass_time(0.25, 0.25)
    waits = [later - before for before, later in pairwise(asked_at)]
    assert waits[0] <= 30
    assert waits[1:] == sorted(waits[1:])
    assert waits[1] >= 60
    assert 900 <= waits[-1] <= 930
    # One that lives ends it all.
    await solve_request(HOME, house.clock, house.bus, house.queue.requests[-1], source="worker")
    await house.publish()
    assert house.alerts()[-1].cleared_at is not None


async def test_a_mark_without_an_end_counts_as_a_death_at_the_deadline():
    house = await House(SilentQueue).begin()
    for k in range(2):
        await house.marks.begin(house.queue.requests[k].request_id, "plan@box")
        await house.pass_time(1)
    assert [a.code for a in house.alerts()] == ["optimizer.worker_died"]
    assert "began and never ended" in house.alerts()[0].text
    # The next one is taken up by nobody: another cause, another alert.
    await house.pass_time(3)
    assert [(a.code, a.cleared_at is None) for a in house.alerts()[1:3]] == [
        ("optimizer.silent", True),
        ("optimizer.worker_died", False),
    ]


async def test_a_worker_that_gives_up_says_why_and_is_not_waited_for():
    house = await House(SilentQueue).begin()
    for k in range(2):
        bad = replace(house.queue.requests[k], config_hash="0")
        with pytest.raises(PermanentError):
            await solve_request(HOME, house.clock, house.bus, bad, source="w", worker=Worker(marks=house.marks))
        await house.pass_time(0.1, 0.1)
    assert house.planner.plan.fallback_mode
    (alert,) = house.alerts()
    assert alert.code == "optimizer.gave_up"
    assert "another site or configuration" in alert.text


async def test_a_request_that_comes_twice_is_worked_on_once():
    house = await House(SilentQueue).begin()
    worker = Worker("plan@a", marks=house.marks)
    await solve_request(HOME, house.clock, house.bus, house.queue.requests[0], source="w", worker=worker)
    with pytest.raises(PermanentError, match="worked on already"):
        await solve_request(HOME, house.clock, house.bus, house.queue.requests[0], source="w", worker=worker)
    assert len(house.bus.entries("plan")) == 1


async def test_certificates_stand_beside_their_plans():
    house = await House().begin()
    first = house.planner.plan

    async def tell(plan, gap):
        body = Certificate(plan_id=plan.plan_id, bound=1.0, gap_czk=gap, kind="proven", took_s=1.0)
        message = wrap(body, site=SITE, clock=house.clock, source="w", cause=plan.plan_id, seq=plan.plan_no)
        taken = await house.bus.publish(message)
        await house.publish()
        return taken

    assert house.planner.certificate(first.plan_id) is None
    assert await tell(first, 0.5)
    await house.pass_time(60, 20)
    second = house.planner.plan
    assert second.plan_id != first.plan_id
    assert house.planner.newest_certificate.plan_id == first.plan_id
    assert await tell(second, 0.4)
    assert not await tell(first, 0.3), "that of an older plan never replaces it"
    assert house.planner.newest_certificate.plan_id == second.plan_id
    assert [house.planner.certificate(p.plan_id).gap_czk for p in (first, second)] == [0.5, 0.4]
    again = PlannerHandlers(HOME, house.clock, house.bus, house.queue)
    await again.start()
    assert again.certificate(second.plan_id).gap_czk == 0.4, "a restart finds the newest one"


async def test_a_queue_that_is_away_counts_as_a_failure():
    class Away(SilentQueue):
        async def submit(self, request):
            self.requests.append(request)
            raise UnavailableError("no broker")

    house = await House(Away).begin()
    await house.pass_time(2)
    assert house.planner.plan.fallback_mode


async def test_a_late_older_plan_is_ignored():
    house = await House(SilentQueue).begin()
    await house.pass_time(1)
    first, second = house.queue.requests
    new = await solve_request(HOME, house.clock, house.bus, second, source="worker")
    late = replace(first, expires_at=house.clock.wall_now() + timedelta(seconds=10))
    await solve_request(HOME, house.clock, house.bus, late, source="worker")
    await house.publish()
    assert house.planner.plan.plan_id == new.plan_id
    assert Plan.read((await house.bus.latest("plan", SITE)).body).plan_id == new.plan_id


async def test_numbers_grow_over_a_restart_even_when_the_clock_is_behind(tmp_path):
    memory = FileMemory(tmp_path / "optimizer" / "planner.json")
    memory.save(Memory(9_000_000_000_000))
    house = await House(memory=memory).begin()
    assert house.planner.plan.plan_no == 9_000_000_000_001
    await house.planner.stop()
    assert FileMemory(tmp_path / "optimizer" / "planner.json").load().plan_no == 9_000_000_000_001
    assert NoMemory().load() == Memory()


@pytest.mark.parametrize(
    ("written", "plan_no"),
    [
        ("{", 0),
        ("[]", 0),
        ('{"plan_no": Infinity}', 0),
        ('{"plan_no": "x"}', 0),
        ('{"plan_no": 7}', 7),
        ('{"plan_no": 7, "remembered": {}}', 7),
    ],
)
def test_of_a_damaged_file_what_can_be_read_is_used(tmp_path, written, plan_no):
    (tmp_path / "planner.json").write_text(written)
    assert FileMemory(tmp_path / "planner.json").load() == Memory(plan_no)


async def draw(house, import_w: float, minutes: int) -> None:
    """The house draws a constant power, told once a minute."""
    reading = house.known.telemetry.model_copy(update={"grid_power_w": import_w})
    for _ in range(minutes):
        await house.publish(reading)
        await house.planner.tick()
        house.clock.advance(timedelta(minutes=1))


async def test_the_months_peak_outlives_a_restart_and_goes_with_each_request(tmp_path, monkeypatch):
    memory = FileMemory(tmp_path / "planner.json")
    house = await House(memory=memory).begin()
    assert house.queue.requests[-1].remembered.peak_so_far_w(HOME, house.clock.now()) == 0
    await draw(house, 6200.0, 31)
    # No stop(): the process dies.
    queue = SilentQueue(house.clock, house.bus)
    planner = PlannerHandlers(HOME, house.clock, house.bus, queue, memory=memory)
    await planner.start()
    await planner.tick()
    request = PlanRequest.from_json(queue.requests[0].to_json())
    assert request.remembered.month_peak.peak_w == pytest.approx(6200.0)
    problems = []

    def make(home, known, inputs, ask, **rest):
        problems.append(quick_plan(home, known, inputs, ask, **rest))
        return problems[-1]

    monkeypatch.setattr("pems_optimizer.plan_work.plan_with_making", make)
    await solve_request(HOME, house.clock, house.bus, request, source="worker")
    assert problems[0].problem.grid.peak_so_far_w == pytest.approx(6200.0)


async def test_the_rules_that_stand_in_know_the_months_peak_too():
    house = await House(SilentQueue).begin()
    await draw(house, 50_000.0, 70)
    newest, first = house.planner.plans[0], house.planner.plans[-1]
    assert newest.fallback_mode
    assert first.cost.peak > 0
    assert newest.cost.peak == 0, "nothing that this house can draw is more than the month's peak"


async def test_a_reading_from_the_future_is_not_remembered():
    house = await House().begin()
    far = wrap(house.known.telemetry, site=SITE, clock=house.clock, source="test")
    await house.bus.publish(far.model_copy(update={"at": START + timedelta(days=90)}))
    await house.planner.tick()
    assert house.planner._past.remembered.month_peak.last_at == START


async def test_a_reading_that_cannot_be_read_is_no_reason_to_stop():
    house = await House().begin()
    broken = wrap(house.known.telemetry, site=SITE, clock=house.clock, source="test")
    await house.bus.publish(broken.model_copy(update={"body": {"grid_power_w": "much"}}))
    house.clock.advance(timedelta(minutes=16))
    await house.planner.tick()
    assert house.planner.plan is not None


async def test_a_person_may_ask_and_joins_what_is_under_way():
    house = await House(SilentQueue).begin()
    view = await house.planner.ask_now("me")
    assert view.request_id == house.queue.requests[0].request_id
    quick = await House().begin()
    view = await quick.planner.ask_now("me")
    assert view.state == "done"
    assert view.trigger == "request"
    lonely = House()
    with pytest.raises(UnavailableError, match="no forecast"):
        await lonely.planner.ask_now("me")


async def test_the_car_coming_is_a_reason():
    house = House()
    telemetry = house.known.telemetry.model_copy(update={"ev": EvReading(connected=False)})
    house.known = replace(house.known, telemetry=telemetry)
    await house.begin()
    house.clock.advance(timedelta(minutes=11))
    soc = house.planner.plan.battery.soc_pct[0]
    coming = telemetry.model_copy(update={"ev": EvReading(connected=True, soc_pct=50), "battery_soc_pct": soc})
    await house.publish(coming)
    await house.planner.tick()
    assert "ev" in house.triggers[-1].split("+")


async def test_a_worker_refuses_what_is_late_foreign_or_malformed():
    house = await House(SilentQueue).begin()
    request = house.queue.requests[0]
    assert PlanRequest.from_json(request.to_json()) == request
    for bad in (
        replace(request, expires_at=START - timedelta(seconds=1)),
        replace(request, site="elsewhere"),
        replace(request, config_hash="0"),
    ):
        with pytest.raises(PermanentError):
            await solve_request(HOME, house.clock, house.bus, bad, source="worker")
    with pytest.raises(PermanentError, match="malformed"):
        PlanRequest.from_json({"plan_id": 3})


async def test_an_error_in_planning_gives_the_rules(monkeypatch):
    house = await House(SilentQueue).begin()

    def broken(*_, **__):
        raise ZeroDivisionError("by design")

    monkeypatch.setattr("pems_optimizer.plan_work.plan_with_making", broken)
    plan = await solve_request(HOME, house.clock, house.bus, house.queue.requests[0], source="worker")
    assert plan.fallback_mode
    assert "ZeroDivisionError" in str(plan.reasons["plan"][0].params["why"])


async def test_the_newest_plan_is_judged_and_an_older_one_is_not():
    house = await House().begin()
    plan = house.planner.plan
    score = await evaluate_plan(HOME, house.clock, house.bus, plan.plan_id, source="w", draws=6, limit_s=60)
    assert score.kind == "plan_risk"
    assert house.bus.entries("score")
    assert await evaluate_plan(HOME, house.clock, house.bus, "old", source="w", draws=6, limit_s=60) is None


async def test_the_same_request_twice_publishes_the_same_plan():
    house = await House(SilentQueue).begin()
    request = house.queue.requests[0]
    first = await solve_request(HOME, house.clock, house.bus, request, source="worker")
    second = await solve_request(HOME, house.clock, house.bus, request, source="worker")
    assert (first.plan_id, first.plan_no) == (second.plan_id, second.plan_no)
    assert first.rooms == second.rooms
