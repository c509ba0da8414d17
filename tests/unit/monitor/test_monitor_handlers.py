"""The monitor's use cases on the memory bus, its account, and its chart options."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from tests.browser.sample_house import SampleHouse

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import PemsError, PermanentError
from pems_common.home import Home
from pems_common.messages import Alert, Body, OverrideEntry, wrap
from pems_monitor import accounts
from pems_monitor.adapters.store import MonitorStore, new_password, store_path
from pems_monitor.domain.now import Flows
from pems_monitor.domain.state import ServiceHealth
from pems_monitor.handlers import MonitorHandlers
from pems_monitor.main import house_language
from pems_monitor.web.flow_diagram import flow_props
from pems_monitor.web.plan_chart import plan_chart_options


class Memory:
    """Documents in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def document(self, name: str) -> object:
        return json.loads(self.kept[name]) if name in self.kept else None

    def keep(self, name: str, content: object) -> None:
        self.kept[name] = json.dumps(content)


async def _tell(handlers: MonitorHandlers, bus: MemoryBus, clock: FakeClock, *bodies: Body) -> None:
    for body in bodies:
        envelope = wrap(body, site="home", clock=clock, source="test@1")
        await bus.publish(envelope)
        if isinstance(body, Alert):
            await handlers.on_alert(envelope)
        else:
            await handlers.on_state(envelope)


@pytest.fixture
def documents() -> Memory:
    return Memory()


@pytest.fixture
def bus(clock: FakeClock) -> MemoryBus:
    return MemoryBus(clock)


@pytest.fixture
def handlers(home: Home, clock: FakeClock, bus: MemoryBus, documents: Memory) -> MonitorHandlers:
    return MonitorHandlers(home, clock, bus, documents)


async def test_every_message_lands_in_the_state(
    handlers: MonitorHandlers, house: SampleHouse, bus: MemoryBus, clock: FakeClock
) -> None:
    await handlers.start()
    before = handlers.version
    await _tell(handlers, bus, clock, house.prices(), house.weather(), house.forecast(), house.plan(), house.status())
    await _tell(handlers, bus, clock, house.telemetry(clock.now()))
    state = handlers.state
    assert None not in (state.telemetry, state.prices, state.forecast, state.plan, state.status)
    assert "Open-Meteo" in state.weather
    assert handlers.version > before
    assert state.telemetry_at == clock.now()


async def test_foreign_sites_and_damaged_messages_change_nothing(
    handlers: MonitorHandlers, house: SampleHouse, bus: MemoryBus, clock: FakeClock
) -> None:
    other = wrap(house.status(), site="elsewhere", clock=clock, source="test@1")
    await bus.publish(other)
    await handlers.on_state(other)
    newer = wrap(house.status(), site="home", clock=clock, source="test@1").model_copy(update={"v": 99})
    await bus.publish(newer)
    await handlers.on_state(newer)
    assert handlers.state.status is None
    with pytest.raises(PermanentError):
        await handlers.on_alert(newer)
    await handlers.on_alert(wrap(house.alerts()[0], site="elsewhere", clock=clock, source="test@1"))
    assert handlers.state.alerts == ()


async def test_what_came_while_the_bus_could_not_be_read_is_shown_and_asked_for_again(
    home: Home, house: SampleHouse, clock: FakeClock, bus: MemoryBus, documents: Memory
) -> None:
    poke = wrap(house.prices(), site="home", clock=clock, source="test@1")
    handlers = MonitorHandlers(home, clock, bus, documents)
    await handlers.on_state(poke)  # its key is not there (any more)
    assert handlers.state.prices is not None
    await bus.publish(wrap(house.weather(), site="home", clock=clock, source="test@1"))  # no poke came
    assert not handlers.state.weather
    await handlers.tick()
    assert handlers.state.weather


async def test_the_last_score_of_each_kind_is_kept_with_its_time(
    handlers: MonitorHandlers, house: SampleHouse, bus: MemoryBus, clock: FakeClock
) -> None:
    assert "score" in handlers.watches
    first = house.scores()
    await _tell(handlers, bus, clock, *first)
    told_at = clock.now()
    clock.advance(timedelta(days=1))
    better = first[0].model_copy(update={"metrics": {"mae_day1": 1.0}})
    await bus.publish(wrap(better, site="home", clock=clock, source="test@1"))
    await handlers.on_state(wrap(first[0], site="home", clock=clock, source="test@1"))  # the key tells the truth
    scores = handlers.state.scores
    assert set(scores) == {score.kind for score in first}
    assert (scores["forecast.pv"].score, scores["forecast.pv"].at) == (better, clock.now())
    assert (scores["forecast.load"].score, scores["forecast.load"].at) == (first[1], told_at)


async def test_scores_whose_poke_was_missed_are_asked_for(
    handlers: MonitorHandlers, house: SampleHouse, bus: MemoryBus, clock: FakeClock
) -> None:
    for score in house.scores():
        await bus.publish(wrap(score, site="home", clock=clock, source="test@1"))
    await handlers.tick()
    assert len(handlers.state.scores) == 4


async def test_alerts_and_sums_survive_a_restart(
    home: Home, house: SampleHouse, clock: FakeClock, bus: MemoryBus, documents: Memory
) -> None:
    first = MonitorHandlers(home, clock, bus, documents)
    await first.start()
    await _tell(first, bus, clock, house.prices())
    for _ in range(5):
        await _tell(first, bus, clock, house.telemetry(clock.now()))
        clock.advance(60)
    await _tell(first, bus, clock, *house.alerts())
    await first.tick()
    await first.stop()
    second = MonitorHandlers(home, clock, bus, documents)
    await second.start()
    assert second.state.alerts == first.state.alerts
    assert second.state.ended_alerts == first.state.ended_alerts
    assert second.kpi() == first.kpi() is not None
    second.dismiss_alert(second.state.alerts[0])
    assert second.state.alerts == ()
    documents.kept["alerts"] = json.dumps([{"code": 1}, "x"])
    documents.kept["day"] = json.dumps([1])
    third = MonitorHandlers(home, clock, bus, documents)
    await third.start()
    assert third.state.alerts == ()
    assert third.kpi() is None


async def test_chart_is_computed_once_until_something_changes(
    handlers: MonitorHandlers, house: SampleHouse, bus: MemoryBus, clock: FakeClock
) -> None:
    await _tell(handlers, bus, clock, house.prices(), house.plan())
    first = handlers.plan_chart()
    assert handlers.plan_chart()[1] is first[1]
    clock.advance(timedelta(minutes=15))
    moved = handlers.plan_chart()
    assert moved[0] != first[0]
    await _tell(handlers, bus, clock, house.forecast())
    assert handlers.plan_chart()[0] != moved[0]


async def test_history_is_shifted_to_the_present_window(handlers: MonitorHandlers, clock: FakeClock) -> None:
    start, end = handlers.history_window
    begin = start - timedelta(hours=1)
    values = [float(i) for i in range(int((end - begin) / timedelta(minutes=15)))]
    handlers.set_history(begin, {"pv_power_w": values})
    assert handlers.state.past is not None
    assert handlers.state.past.series["pv_power_w"][0] == 4.0
    clock.advance(timedelta(minutes=15))
    await handlers.tick()
    assert handlers.state.past.series["pv_power_w"][0] == 5.0
    assert handlers.state.past.series["pv_power_w"][-1] is None
    handlers.set_history(begin, {})  # ingest is away: keep what is known
    assert handlers.state.past.series["pv_power_w"][0] == 5.0


async def test_services_and_ended_overrides(
    handlers: MonitorHandlers, house: SampleHouse, bus: MemoryBus, clock: FakeClock
) -> None:
    handlers.set_services([ServiceHealth("ingest", "ready")])
    version = handlers.version
    handlers.set_services([ServiceHealth("ingest", "ready")])
    assert handlers.version == version
    entry = OverrideEntry(
        device="battery", action="hold", until=clock.now() + timedelta(hours=1), by="page", revision=1
    )
    await _tell(handlers, bus, clock, house.status([entry]))
    handlers.set_status_after_override("battery", ended=True)
    assert handlers.state.status is not None
    assert handlers.state.status.overrides == ()
    assert handlers.name == "monitor"
    assert handlers.tick_every == timedelta(minutes=1)
    assert handlers.status_silent_after == timedelta(minutes=5)
    assert "plan" in handlers.watches


@pytest.mark.parametrize("dark", [False, True])
async def test_chart_options_are_numbers_and_own_texts(
    handlers: MonitorHandlers, house: SampleHouse, bus: MemoryBus, clock: FakeClock, home: Home, dark: bool
) -> None:
    plan = house.plan().model_copy(update={"plan_id": "<script>", "profile": "<b>"})
    await _tell(handlers, bus, clock, house.prices(), house.forecast(), plan, house.telemetry(clock.now()))
    _, view = handlers.plan_chart()
    options = plan_chart_options(view, "cs", home.site.zone, dark=dark, phone=dark, chart_id=7, zoom=True)
    text = json.dumps(options, allow_nan=False)
    assert "<script>" not in text
    assert "<b>" not in text
    lengths = {len(s["data"]) for s in options["series"] if s["type"] != "custom"}
    assert lengths == {view.count}
    assert len({s["id"] for s in options["series"]}) == len(options["series"])
    assert options["dataZoom"][0]["start"] < options["dataZoom"][0]["end"]
    kept = plan_chart_options(view, "en", home.site.zone, dark=dark, phone=dark, chart_id=7, zoom=False)
    assert "start" not in kept["dataZoom"][0]


def test_flow_diagram_follows_signs_and_devices() -> None:
    flows = Flows(5_000, -2_500, -1_200, 55, 400, 0, 0, 0, False, None, 30, 51, 3, False)
    props = flow_props(flows, "en", has_battery=True, has_ev=True, has_water=True)
    links = {link["id"]: link for link in props["links"]}
    assert links["grid"]["color"] == "export"
    assert links["grid"]["back"]
    assert links["battery"]["back"]
    assert links["heating"]["speed"] == links["water"]["speed"] == 0
    assert 0 < links["battery"]["speed"] < links["pv"]["speed"]
    nodes = {node["id"]: node for node in props["nodes"]}
    assert nodes["ev"]["below"] == "away"
    assert nodes["grid"]["value"] == "2.5\u00a0kW"
    small = flow_props(flows, "en", has_battery=False, has_ev=False, has_water=False)
    assert {node["id"] for node in small["nodes"]} == {"pv", "grid", "house", "heating"}


def test_house_language(home: Home) -> None:
    assert house_language(home) == "cs"
    assert house_language(home.model_copy(update={"site": home.site.model_copy(update={"country": "DE"})})) == "en"


# --- account and sessions


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> MonitorStore:
    return MonitorStore(store_path(tmp_path), clock)


def test_password_is_hashed_and_checked(store: MonitorStore, tmp_path: Path) -> None:
    assert not store.has_account
    assert not store.check_password("anything")
    assert store.create_account("correct horse")
    assert not store.create_account("another")
    assert store.check_password("correct horse")
    assert not store.check_password("another")
    assert not store.check_password("x" * 1000)
    assert b"correct horse" not in store_path(tmp_path).read_bytes()
    assert store_path(tmp_path).stat().st_mode & 0o077 == 0


def test_sessions_live_over_a_restart_and_end(store: MonitorStore, tmp_path: Path, clock: FakeClock) -> None:
    token, session = store.open_session(language="cs")
    store.prefer(session.key, theme="dark")
    again = MonitorStore(store_path(tmp_path), clock)
    found = again.session(token)
    assert found is not None
    assert (found.language, found.theme, found.csrf) == ("cs", "dark", session.csrf)
    assert again.session("wrong") is again.session(None) is again.session("x" * 500) is None
    clock.advance(timedelta(days=31))
    assert again.session(token) is None
    token, session = store.open_session()
    store.set_password("a new password")
    assert store.session(token) is None
    store.prefer("gone", theme="dark")


def test_sessions_are_bounded(store: MonitorStore, clock: FakeClock) -> None:
    first, _ = store.open_session()
    for _ in range(200):
        clock.advance(1)
        store.open_session()
    assert store.session(first) is None


def test_documents_survive_damage(store: MonitorStore) -> None:
    assert store.document("x") is None
    store.keep("x", {"a": 1})
    assert store.document("x") == {"a": 1}
    store._db.execute("UPDATE document SET content = '{'")
    assert store.document("x") is None


def test_store_that_cannot_be_opened_says_so(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PemsError, match="cannot be opened"):
        MonitorStore(tmp_path / "file" / "x.sqlite3", clock)


def test_accounts_command_prints_the_password_once(
    tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--data", str(tmp_path)]
    assert accounts.main(arguments, clock) == 0
    first = capsys.readouterr().out.strip()
    assert accounts.main(arguments, clock) == 0
    assert capsys.readouterr().out == ""
    store = MonitorStore(store_path(tmp_path), clock)
    assert store.check_password(first)
    assert accounts.main([*arguments, "--reset"], clock) == 0
    second = capsys.readouterr().out.strip()
    assert second != first
    assert store.check_password(second)
    file = tmp_path / "password"
    file.write_text("chosen-by-me\n")
    monkeypatch.setenv("PEMS_PAGE_PASSWORD_FILE", str(file))
    assert accounts.main(arguments, clock) == 0
    assert capsys.readouterr().out == ""
    assert store.check_password("chosen-by-me")
    file.write_text("short")
    assert accounts.main(arguments, clock) == 1
    assert "too short" in capsys.readouterr().err


def test_passwords_are_readable_and_differ() -> None:
    found = {new_password() for _ in range(50)}
    assert len(found) == 50
    assert all(len(p) == 19 and not set(p) & set("01lio") for p in found)


def test_making_an_account_does_not_load_the_page() -> None:
    import subprocess

    code = "import sys, pems_monitor.accounts; sys.exit('nicegui' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
