"""The forecaster as a service: what it issues when, what it survives, what it remembers, and that it sees no future."""

import json
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import (
    WINTER,
    calendar,
    grid_at,
    make_prices,
    make_telemetry,
    make_weather,
    the_home,
)

from pems_common.bus import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import UnavailableError
from pems_common.health import Health
from pems_common.messages import (
    Forecast,
    Quality,
    RoomReading,
    Telemetry,
    Thermal,
    read_body,
    wrap,
)
from pems_forecaster import lesson_reader
from pems_forecaster.adapters.trainers import InlineTrainer
from pems_forecaster.domain.forecast import Contests, Inputs, horizon_slots, make_forecast
from pems_forecaster.domain.grid import slot_no
from pems_forecaster.domain.learning import learn_prices
from pems_forecaster.domain.sampler import SlotSampler, uncontrolled_load_w
from pems_forecaster.domain.slot_history import SlotHistory
from pems_forecaster.handlers import ForecasterHandlers

HOME = the_home()
SITE = HOME.site.id


class World:
    """A bus, a clock, and a forecaster on them."""

    def __init__(self, history=None, state_dir=None, start=WINTER, trainer=None):
        self.clock = FakeClock(start)
        self.bus = MemoryBus(self.clock)
        self.health = Health(self.clock)
        self.handlers = ForecasterHandlers(
            HOME, self.clock, self.bus, history, state_dir=state_dir, trainer=trainer, health=self.health
        )
        self.issued: list[Forecast] = []

    async def tell(self, body):
        envelope = wrap(body, site=SITE, clock=self.clock, source="test")
        await self.bus.publish(envelope)
        return envelope

    async def forecast(self) -> Forecast | None:
        envelope = await self.bus.latest("forecast", SITE)
        return None if envelope is None else read_body(envelope, Forecast)

    async def minutes(self, count, *, step_s=60, **fields):
        """Telemetry and a tick each minute (or each `step_s`)."""
        for _ in range(count):
            await self.tell(make_telemetry(**fields))
            await self.handlers.tick()
            self.clock.advance(step_s)


async def test_nothing_is_known_nothing_is_issued_but_priors():
    world = World()
    await world.handlers.start()
    await world.handlers.tick()
    assert await world.forecast() is None
    thermal = await world.bus.latest_all("thermal", SITE)
    assert set(thermal) == set(HOME.rooms)
    body = read_body(thermal["obyvak"], Thermal)
    assert body.tier == "prior"
    assert body.state is None


async def test_telemetry_alone_gives_a_degraded_forecast():
    world = World()
    await world.minutes(2)
    forecast = await world.forecast()
    assert forecast is not None
    assert set(forecast.degraded) == {"no_weather", "no_prices"}
    assert forecast.horizon_s == 54 * 3600
    assert len(forecast.pv_power_w.p50.values) == 216
    assert forecast.load_power_w.p50.start == WINTER
    assert not world.health.checks["forecast"].ok


async def test_forecast_of_full_inputs_is_whole():
    world = World()
    weather = await world.tell(make_weather(WINTER, cloud_pct=10))
    prices = await world.tell(make_prices(WINTER))
    await world.minutes(1)
    forecast = await world.forecast()
    assert forecast is not None
    assert forecast.degraded == ()
    assert set(forecast.inputs) >= {weather.id, prices.id}
    assert set(forecast.solar_w_m2) == {"north", "east", "south", "west"}
    assert set(forecast.correlation) == {"pv", "load", "price"}
    for band in (
        forecast.pv_power_w,
        forecast.load_power_w,
        forecast.buy_czk_kwh,
        forecast.sell_czk_kwh,
        forecast.outdoor_temperature_c,
    ):
        p10, p50, p90 = (np.array(s.values, dtype=float) for s in (band.p10, band.p50, band.p90))
        assert len(p50) == horizon_slots(HOME)
        assert np.isfinite(p50).all()
        assert (p10 <= p50).all()
        assert (p50 <= p90).all()


async def test_issues_each_quarter_and_at_once_on_news_but_not_twice_for_the_same():
    world = World()
    await world.minutes(1)
    first = await world.bus.latest("forecast", SITE)
    await world.minutes(13)
    assert (await world.bus.latest("forecast", SITE)).id == first.id
    weather = await world.tell(make_weather(WINTER))
    await world.handlers.on_state(weather)
    second = await world.bus.latest("forecast", SITE)
    assert second.id != first.id
    await world.handlers.on_state(weather)
    assert (await world.bus.latest("forecast", SITE)).id == second.id
    await world.minutes(2)
    assert (await world.bus.latest("forecast", SITE)).id != second.id


async def test_at_most_one_forecast_in_five_wall_seconds():
    world = World()
    await world.minutes(1)
    before = (await world.bus.latest("forecast", SITE)).id
    weather = await world.tell(make_weather(WINTER))
    await world.handlers.on_state(weather)
    first = (await world.bus.latest("forecast", SITE)).id
    assert first != before
    await world.handlers.on_state(await world.tell(make_prices(WINTER)))
    assert (await world.bus.latest("forecast", SITE)).id == first
    world.clock.advance(5)
    await world.handlers.tick()
    assert (await world.bus.latest("forecast", SITE)).id != first


async def test_silent_weather_and_telemetry_are_said():
    world = World()
    await world.tell(make_weather(WINTER, hours=60))
    await world.tell(make_prices(WINTER))
    await world.minutes(1)
    world.clock.advance(13 * 3600)
    await world.handlers.tick()
    forecast = await world.forecast()
    assert set(forecast.degraded) == {"weather_stale", "weather_short", "no_telemetry"}


async def test_controlled_loads_are_taken_out():
    rooms = {name: RoomReading(temperature_c=21.0, relay_on=name == "obyvak") for name in HOME.rooms}
    telemetry = make_telemetry(
        load_power_w=8000.0,
        rooms=rooms,
        ev={"connected": True, "power_w": 2000.0},
        water={"power_w": 800.0},
    )
    assert uncontrolled_load_w(HOME, telemetry) == pytest.approx(8000 - 3000 - 2000 - 800)
    assert uncontrolled_load_w(HOME, make_telemetry(load_power_w=None)) is None
    stale = make_telemetry(quality={"load_power_w": Quality(age_s=999, score=0.1, flag="stale")})
    assert uncontrolled_load_w(HOME, stale) is None


def test_samples_at_a_switching_relay_are_left_out():
    sampler = SlotSampler()
    off = make_telemetry(load_power_w=500.0)
    rooms = {name: RoomReading(relay_on=name == "obyvak") for name in HOME.rooms}
    sampler.add(HOME, off)
    sampler.add(HOME, make_telemetry(load_power_w=500.0, rooms=rooms))  # the meter is late
    sampler.add(HOME, make_telemetry(load_power_w=3600.0, rooms=rooms))
    assert sampler.mean("load_w") == pytest.approx((500 + 600) / 2)
    assert sampler.finish()["pv_w"] == 0.0
    assert sampler.mean("pv_w") is None


async def test_learns_from_slots_and_scores_the_day():
    world = World(start=WINTER + timedelta(hours=8))
    await world.tell(make_weather(WINTER))
    await world.tell(make_prices(WINTER, hours=46))
    for _ in range(16 * 4):
        await world.minutes(5, step_s=180, load_power_w=700.0)
    scores = world.handlers.scores()
    assert {"forecast.load", "forecast.temperature"} <= set(scores)
    metrics = scores["forecast.load"].metrics
    assert metrics["coverage_day1"] >= 0
    assert metrics["mae_day1"] > 0
    forecast = await world.forecast()
    # Half a day at 700 W moved the level, and the nowcast has it at once.
    assert forecast.load_power_w.p50.values[0] == pytest.approx(700.0, rel=0.25)
    assert "load" in forecast.coverage
    kept = world.handlers._memory.history
    assert len(kept.series["load_w"]) == 63  # the last one still runs


async def test_rooms_are_observed_and_published_each_quarter():
    world = World()
    await world.tell(make_weather(WINTER))
    await world.minutes(61)
    thermal = read_body(await world.bus.latest("thermal", SITE, "kuchyne"), Thermal)
    assert thermal.state is not None
    assert thermal.state.air_c == pytest.approx(21.0, abs=0.3)
    assert WINTER + timedelta(minutes=55) <= thermal.state.at <= WINTER + timedelta(minutes=61)
    assert world.handlers.thermals()["kuchyne"] == thermal


async def test_memory_survives_a_restart(tmp_path):
    world = World(state_dir=tmp_path)
    await world.handlers.start()
    await world.minutes(75)
    await world.handlers.stop()
    again = ForecasterHandlers(HOME, world.clock, world.bus, None, state_dir=tmp_path)
    await again.start()
    assert again._memory.history.series == world.handlers._memory.history.series
    assert again._memory.observer.state("obyvak") == world.handlers._memory.observer.state("obyvak")
    await again.tick()
    assert again.latest_forecast() is not None


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 99}', json.dumps({"version": 1, "history": {"a": 3}})])
async def test_damaged_memory_is_set_aside(tmp_path, text):
    path = tmp_path / f"forecaster-{SITE}.json"
    path.write_text(text)
    world = World(state_dir=tmp_path)
    await world.handlers.start()
    await world.minutes(2)
    assert await world.forecast() is not None
    assert path.with_suffix(".damaged").exists()
    await world.handlers.stop()
    assert json.loads(path.read_text())["version"] == 2


class FakeHistory:
    """Ingest's history: away at first, then with days of data."""

    def __init__(self, away=1):
        self.away, self.calls = away, 0

    async def slots(self, series, start, end, *, step_s=900):
        self.calls += 1
        if self.calls <= self.away:
            raise UnavailableError("away")
        count = int((end - start).total_seconds() // step_s)
        columns = {}
        for name in series:
            if name == "load_power_w":
                columns[name] = [1500.0] * count
            elif name == "room.obyvak.relay_on":
                columns[name] = [0.2] * count
            elif name == "room.obyvak.temperature_c":
                columns[name] = [22.0] * count
            elif name == "outdoor_temperature_c":
                columns[name] = [0.0] * (count - 1) + [None]
            else:
                columns[name] = [None] * count
        return columns

    async def messages(self, type, start, end, *, subject=None, limit=1000):
        """A run of each day of the last weeks, known at midnight."""
        self.calls += 1
        assert (type, subject) == ("weather", "open_meteo_previous_runs")
        days = [WINTER - timedelta(days=k) for k in range(20, 0, -1)]
        kept = [wrap(make_weather(day, 66), site=SITE, clock=FakeClock(day), source="t") for day in days]
        return [envelope for envelope in kept if start <= envelope.at < end][-limit:]


async def test_history_fills_the_memory_once_ingest_is_there():
    history = FakeHistory()
    world = World(history=history)
    await world.minutes(3)
    memory = world.handlers._memory.history
    assert len(memory.series["load_w"]) >= 28 * 96
    assert memory.series["load_w"][slot_no(WINTER) - 50] == pytest.approx(1500 - 0.2 * 3000)
    state = world.handlers._memory.observer.state("obyvak")
    assert state is not None
    assert state.mass_c > 22.3
    calls = history.calls
    await world.minutes(3)
    assert history.calls == calls


async def test_models_learn_from_what_was_stored_before_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(lesson_reader, "KEEP_DAYS", 90)
    history = FakeHistory()
    world = World(history=history, state_dir=tmp_path, trainer=InlineTrainer())
    await world.minutes(3)
    lessons = world.handlers.life._lessons.lessons(slot_no(WINTER))
    assert lessons.days("load_w") > 85
    assert lessons.at("load_w", np.array([slot_no(WINTER) - 80 * 96]))[0] == pytest.approx(1500 - 0.2 * 3000)
    assert len(lessons.runs) == 20
    assert np.isfinite(lessons.runs[0].columns["ghi_w_m2"]).all()
    calls = history.calls
    await world.minutes(3)
    assert history.calls == calls


class DeafBus(MemoryBus):
    deaf = False

    async def publish(self, envelope):
        if self.deaf:
            raise UnavailableError("gone")
        return await super().publish(envelope)


async def test_a_bus_that_is_away_is_waited_for():
    world = World()
    world.bus = DeafBus(world.clock)
    world.handlers = ForecasterHandlers(HOME, world.clock, world.bus, None)
    await world.tell(make_telemetry())
    world.bus.deaf = True
    await world.handlers.tick()
    world.bus.deaf = False
    assert await world.forecast() is None
    world.clock.advance(60)
    await world.handlers.tick()
    assert await world.forecast() is not None


async def test_malformed_messages_are_passed_over():
    world = World()
    good = wrap(make_telemetry(), site=SITE, clock=world.clock, source="t")
    await world.bus.publish(good.model_copy(update={"body": {"rooms": 3}}))
    weather = wrap(make_weather(WINTER), site=SITE, clock=world.clock, source="t")
    await world.bus.publish(weather.model_copy(update={"body": {"provider": "x"}, "subject": "x"}))
    prices = wrap(make_prices(WINTER), site=SITE, clock=world.clock, source="t")
    await world.bus.publish(prices.model_copy(update={"body": {}}))
    await world.handlers.tick()
    assert await world.forecast() is None
    await world.minutes(2)
    assert await world.forecast() is not None


def inputs_from(history, *, weather, prices):
    return Inputs(weather=weather, prices=prices, history=history, load_now_w=400.0, outdoor_now_c=4.0, ids=("a",))


@pytest.mark.parametrize("hour", [0, 9, 14, 20])
def test_no_look_into_the_future(hour):
    """Everything after the issue time removed, or turned into nonsense: the forecast is the same to the bit."""
    at = WINTER + timedelta(days=10, hours=hour, minutes=7)
    grid = grid_at(at)
    rng = np.random.default_rng(5)
    whole, cut = SlotHistory(), SlotHistory()
    prices = make_prices(at.replace(minute=0, hour=0), hours=24 if hour < 13 else 48)
    until = slot_no(prices.known_until)
    for name in ("load_w", "pv_w", "outdoor_c", "ghi_w_m2", "cloud_pct", "pv_expected_w", "pv_clear_w", "pv_limited"):
        for slot in range(grid.first - 12 * 96, grid.first + 216):
            value = float(rng.uniform(0, 900)) if name != "pv_limited" else 0.0
            whole.put(name, slot, value)
            if slot < grid.first:
                cut.put(name, slot, value)
    for slot in range(grid.first - 12 * 96, grid.first + 216):
        value = float(rng.uniform(0, 900))
        whole.put("spot_eur_mwh", slot, value)
        if slot < until:
            cut.put("spot_eur_mwh", slot, value)
    for history in (whole, cut):
        learn_prices(history, prices)
    late = make_weather(at.replace(minute=0), index=0.2, available_at=at + timedelta(minutes=5))
    for early in (None, make_weather(at.replace(minute=0) - timedelta(hours=1))):
        bodies = []
        for history, weather in ((whole, early if early is not None else late), (cut, early)):
            junk = prices
            if history is whole:
                values = prices.buy_czk_kwh.values + (99.0,) * 50
                junk = prices.model_copy(
                    update={"buy_czk_kwh": prices.buy_czk_kwh.model_copy(update={"values": values})}
                )
            inputs = inputs_from(history, weather=weather, prices=junk)
            bodies.append(make_forecast(HOME, calendar(), grid, inputs, Contests()).body)
        assert bodies[0].model_dump_json() == bodies[1].model_dump_json()


async def test_same_telemetry_twice_changes_nothing():
    world = World()
    await world.tell(make_telemetry())
    await world.handlers.tick()
    before = world.handlers._slot._values
    snapshot = {name: list(values) for name, values in before.items()}
    await world.handlers.tick()
    assert world.handlers._slot._values == snapshot


async def test_old_telemetry_on_the_bus_is_not_news():
    world = World()
    await world.tell(make_telemetry(load_power_w=9000.0))
    world.clock.advance(3600)
    await world.tell(make_weather(WINTER))
    await world.handlers.tick()
    forecast = await world.forecast()
    assert "no_telemetry" in forecast.degraded
    assert forecast.load_power_w.p50.values[0] < 1500
    assert isinstance(make_telemetry(), Telemetry)
