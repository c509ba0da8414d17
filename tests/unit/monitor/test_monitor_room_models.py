"""How well rooms are known: what the forecaster tells, read with care, joined with messages, and put in words."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.browser.sample_house import SampleHouse
from tests.unit.monitor.conftest import NOW

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.home import Home
from pems_common.messages import Evidence, RoomModel, Thermal
from pems_monitor.adapters.services import ServiceClients
from pems_monitor.domain.formats import UNKNOWN
from pems_monitor.domain.room_models import (
    evidence_texts,
    figures,
    left_out_text,
    parameter_texts,
    read_picture,
    read_room_facts,
    read_room_models,
    room_facts,
    short_text,
    summary_text,
    tier_key,
)
from pems_monitor.domain.rooms import room_rows
from pems_monitor.domain.state import HouseState, RoomFacts
from pems_monitor.handlers import MonitorHandlers
from pems_monitor.web.room_model_chart import room_model_options

MODEL = RoomModel(ria_k_w=0.004, rea_k_w=0.02, ci_j_k=2e6, cm_j_k=1e7, heater_w=1_500)


def thermal(room: str, tier: Any = "suggest", **evidence: float) -> Thermal:
    return Thermal(room=room, model=MODEL, tier=tier, evidence=Evidence(**evidence), version="1")


@pytest.fixture
def state(house: SampleHouse) -> HouseState:
    return HouseState(room_models=read_room_models(house.room_models()))


def test_all_that_is_told_of_a_room_is_read(house: SampleHouse) -> None:
    models = read_room_models(house.room_models())
    assert len(models.rooms) == 17
    assert models.identified_at == NOW - timedelta(hours=7)
    assert not models.running
    facts = models.rooms["hosti"]
    assert (facts.tier, facts.mae_c, facts.simple_mae_c, facts.days) == ("observe", 0.91, 0.62, 21.0)
    assert facts.warnings[0].startswith("the relay reports on")
    assert facts.left_out_h == {"window open": 3.5, "stuck sensor": 0.2}
    assert read_room_models({"job": {"id": "1", "state": "running"}}).running
    assert not read_room_models({"job": {"id": "1", "state": "done"}}).running


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"tier": "emperor", "since": "yesterday", "evidence": None, "warnings": "none", "left_out_h": [1]},
        {"tier": 7, "since": 3, "evidence": {"mae_24h_c": "small", "days": True}, "methods": {"arx": None}},
        {"evidence": {"mae_24h_c": float("nan"), "simple_mae_24h_c": float("inf")}, "parameters": {"rea_k_w": 3}},
    ],
)
def test_what_is_missing_or_malformed_is_unknown(data: dict[str, Any]) -> None:
    assert read_room_facts(data) == RoomFacts()


def test_malformed_answers_are_no_rooms() -> None:
    for answer in ({"rooms": None}, {"rooms": [3, {"tier": "control"}]}, {"identified_at": 5}):
        assert read_room_models(answer).rooms == {}
        assert read_room_models(answer).identified_at is None


def test_the_message_says_the_tier_and_fills_what_the_forecaster_does_not_tell(state: HouseState) -> None:
    state = HouseState(
        room_models=state.room_models,
        thermal={
            "obyvak": thermal("obyvak", "observe", mae_24h_c=0.9, days=3.0),
            "spajz": thermal("spajz", "prior", days=2.0),
        },
    )
    fallen, guessed = room_facts(state, "obyvak"), room_facts(state, "spajz")
    assert (fallen.tier, fallen.since) == ("observe", None)  # the message is newer: `since` was of the other tier
    assert (fallen.mae_c, fallen.loss_w_k) == (0.18, 12.0)
    assert (guessed.tier, guessed.days, guessed.mae_c, guessed.heater_w) == ("prior", 2.0, None, 1_500)
    assert tier_key(room_facts(HouseState(), "obyvak")) == "unknown"
    alone = room_facts(HouseState(thermal={"obyvak": thermal("obyvak", "control", mae_24h_c=0.3)}), "obyvak")
    assert (alone.tier, alone.mae_c) == ("control", 0.3)


def test_the_evidence_in_words(state: HouseState, home: Home) -> None:
    zone = home.site.zone
    said = " ".join(evidence_texts(room_facts(state, "obyvak"), zone, "en"))
    assert said == (
        "So since Mon 12\u00a0Jan. A day ahead it is 0.18\u00a0°C off on the mean; “same as yesterday” 0.62\u00a0°C: "
        "71\u00a0% better. 19 of 20 hours are within 0.43\u00a0°C. Learnt from 21 days; heating and cooling were both "
        "seen."
    )
    worse = " ".join(evidence_texts(room_facts(state, "hosti"), zone, "cs"))
    assert "Takto od út 6.\u00a01. Den předem" in worse
    assert "o 47\u00a0% horší" in worse
    assert evidence_texts(RoomFacts(tier="prior"), zone, "en") == ["How good it is has not been measured yet."]
    assert "the same" in " ".join(evidence_texts(RoomFacts(mae_c=0.5, simple_mae_c=0.501), zone, "en"))
    for unknown in (None, 0.0):
        alone = evidence_texts(RoomFacts(mae_c=0.5, simple_mae_c=unknown), zone, "en")
        assert alone == ["A day ahead it is 0.50\u00a0°C off on the mean."]
    for excitation, words in ((0.1, "hardly changed"), (0.2, "a little"), (0.3, "both seen")):
        assert words in evidence_texts(RoomFacts(days=9, excitation=excitation), zone, "en")[-1]
    assert evidence_texts(RoomFacts(days=9), zone, "en")[-1] == "Learnt from 9 days."


def test_short_texts_and_figures(state: HouseState, home: Home) -> None:
    obyvak, spajz = room_facts(state, "obyvak"), room_facts(state, "spajz")
    assert short_text(obyvak, "cs") == "den předem chyba 0,18\u00a0°C"
    assert short_text(spajz, "en") == "not measured yet"
    assert [value for _, value in figures(obyvak, "en")] == ["12\u00a0W/K", "38\u00a0h", "3.0\u00a0kW"]
    assert {value for _, value in figures(RoomFacts(), "en")} == {UNKNOWN}
    assert left_out_text(obyvak, "en") == "open window 4\u00a0h"
    assert (
        left_out_text(RoomFacts(left_out_h={"moon": 2.0, "window": 7.0}), "cs")
        == "otevřené okno 7\u00a0h, moon 2\u00a0h"
    )
    assert (
        summary_text(state, home, "en")
        == "models: 13\u00a0proven, 2\u00a0on trial, 1\u00a0learning, 1\u00a0not trusted"
    )
    assert summary_text(HouseState(), home, "en") == ""


def test_parameters_come_with_interval_and_unit(house: SampleHouse) -> None:
    rows = dict(parameter_texts(read_room_facts(house.room_model("obyvak")), "cs"))
    assert rows["vzduch – venku"] == "0,0222 (0,0205 – 0,0241)\u00a0K/W"
    assert rows["tepelná kapacita podlahy"] == "9,7·10⁶ (8,1·10⁶ – 1,2·10⁷)\u00a0J/K"
    odd = read_room_facts({"parameters": {"new_w": {"value": 1520.4}, "none": {"low": 1}, "bad": 7}})
    assert parameter_texts(odd, "en") == [("new_w", "1520")]


def test_the_picture_has_three_lines_of_one_length_and_local_times(house: SampleHouse, home: Home) -> None:
    picture = read_picture(house.room_model("obyvak"))
    assert picture is not None
    options = room_model_options(picture, "en", home.site.zone, dark=True)
    lines = {line["name"]: line["data"] for line in options["series"]}
    assert list(lines) == ["as yesterday", "said a day before", "measured"]
    assert {len(values) for values in lines.values()} == {240}
    assert lines["measured"][100:112] == [None] * 12
    assert lines["as yesterday"][24] == lines["measured"][0]
    assert options["xAxis"]["data"][0] == "Mon\u00a010:00"  # 09:00 UTC
    assert options["xAxis"]["axisLabel"][":interval"].startswith("index => [14, 38, ")  # local midnights
    phone = room_model_options(picture, "en", home.site.zone, dark=False, phone=True)
    assert phone["xAxis"]["axisLabel"][":interval"].startswith("index => [14, 62, ")
    assert json.dumps(options)


@pytest.mark.parametrize(
    "picture",
    [
        None,
        {},
        {"start": NOW.isoformat(), "step_s": 3600},
        {"start": NOW.isoformat(), "step_s": 0, "measured_c": [20.0]},
        {"start": "soon", "step_s": 3600, "measured_c": [20.0]},
        {"start": NOW.isoformat(), "step_s": 3600, "measured_c": [None, "warm"]},
    ],
)
def test_without_anything_to_draw_there_is_no_picture(picture: Any) -> None:
    assert read_picture({"picture": picture}) is None


def test_a_picture_without_all_of_its_lines_has_gaps() -> None:
    half = {"start": NOW.isoformat(), "step_s": 3600, "measured_c": [20.0, 21.0], "predicted_c": [20.5]}
    picture = read_picture({"picture": half})
    assert picture is not None
    assert picture.predicted_c == (20.5, None)
    assert picture.yesterday_c == (None, None)


def test_a_room_that_the_plan_leaves_out_is_on_its_thermostat(house: SampleHouse, home: Home) -> None:
    state = HouseState(plan=house.plan(), status=house.status())
    rows = {row.name: row for row in room_rows(state, home, NOW)}
    assert [name for name, row in rows.items() if row.left] == ["hosti", "zachod", "zadveri"]
    late = {row.name: row for row in room_rows(state, home, NOW + timedelta(hours=3))}
    assert not any(row.left for row in late.values())  # nobody follows a plan as old as that


class Documents:
    """Keeps nothing."""

    def document(self, name: str) -> None:
        return None

    def keep(self, name: str, content: object) -> None:
        pass


def test_an_empty_answer_keeps_what_was_told_last(home: Home, clock: FakeClock, house: SampleHouse) -> None:
    handlers = MonitorHandlers(home, clock, MemoryBus(clock), Documents())
    handlers.set_room_models(house.room_models())
    version = handlers.version
    handlers.set_room_models({})
    handlers.set_room_models(house.room_models())
    assert handlers.version == version
    assert handlers.state.room_models.identified_at == datetime(2026, 1, 15, 2, 22, tzinfo=UTC)


def clients(home: Home, answer: Any, urls: tuple[str, ...] = ("forecaster",)) -> ServiceClients:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return ServiceClients(client, {name: f"http://{name}" for name in urls}, internal_key="k", home=home)


async def test_clients_ask_the_forecaster(home: Home, house: SampleHouse) -> None:
    seen: list[tuple[str, str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, request.headers.get("x-api-key")))
        if request.method == "POST":
            return httpx.Response(202, json={"id": "1"})
        return httpx.Response(200, json=house.room_models())

    asking = clients(home, answer)
    assert len((await asking.room_models())["rooms"]) == 17
    assert await asking.room_model("obyvak")
    assert await asking.room_model("../models") == {}  # no room of this house
    assert (await asking.identify_rooms()).ok
    paths = [("GET", "/v1/rooms"), ("GET", "/v1/rooms/obyvak"), ("POST", "/v1/rooms/identify")]
    assert seen == [(*path, "k") for path in paths]


async def test_a_forecaster_that_is_away_or_refuses_is_told_apart(home: Home) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, json={"detail": "the rooms are being identified already"})

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")

    busy = await clients(home, refuse).identify_rooms()
    assert (busy.ok, busy.reachable, busy.reason) == (False, True, "the rooms are being identified already")
    assert await clients(home, refuse).room_models() == {}
    assert not (await clients(home, away).identify_rooms()).reachable
    assert await clients(home, away).room_model("obyvak") == {}
    assert await clients(home, lambda _: httpx.Response(200, text="[1]")).room_models() == {}
    assert not (await clients(home, away, urls=()).identify_rooms()).reachable
    assert await clients(home, away, urls=()).room_models() == {}
