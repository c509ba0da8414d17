"""REST of "why?": needs a key, knows plans, slots and instants, and passes on what is wrong with a wish."""

from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from tests.unit.optimizer.test_optimizer_api import only_with_key
from tests.unit.optimizer.test_optimizer_planner import HOME, House, _quick_plans  # noqa: F401

from pems_common.errors import PemsError, UnavailableError
from pems_common.problems import install_problems
from pems_optimizer.api_why import make_why_router
from pems_optimizer.why import PlanForgottenError

KEY = {"X-API-Key": "key"}


class Answers:
    """Notes what was asked, and answers."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.error = error

    async def ask_why(self, plan_id: str, wish: dict, wait_s: float = 5.0) -> dict:
        self.asked.append((plan_id, wish))
        if self.error is not None:
            raise self.error
        told = {"device": wish["device"], "slot": wish["slot"], "action": wish["action"]}
        return {**told, "possible": True, "total_czk": 1.5, "rule": "energy", "sentence": {"en": "e", "cs": "c"}}


def client(house: House, why: Answers) -> httpx.AsyncClient:
    app = FastAPI()
    install_problems(app)
    app.include_router(make_why_router(house.planner, HOME, why, only_with_key))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver", headers=KEY)


async def test_a_slot_or_an_instant_is_asked_about():
    house, why = await House().begin(), Answers()
    plan = house.planner.plan
    async with client(house, why) as web:
        wish = {"device": "battery", "action": "hold"}
        first = await web.post(f"/v1/plans/{plan.plan_id}/why", json={**wish, "slot": 7})
        assert first.status_code == 200
        assert first.json()["total_czk"] == 1.5
        at = (plan.start + timedelta(minutes=15 * 7 + 3)).isoformat()
        await web.post("/v1/plans/latest/why", json={**wish, "at": at})
    assert [(plan_id, asked["slot"], asked["zone"]) for plan_id, asked in why.asked] == [
        (plan.plan_id, 7, "Europe/Prague")
    ] * 2


@pytest.mark.parametrize(
    "wish",
    [
        {"device": "battery", "action": "hold"},
        {"device": "battery", "action": "hold", "slot": 1, "at": "2025-01-14T14:00:00Z"},
        {"device": "battery", "action": "hold", "at": "2020-01-14T14:00:00Z"},
        {"device": "battery", "action": "hold", "slot": -1},
        {"device": "battery", "action": "hold", "slot": 1, "other": 1},
    ],
)
async def test_an_unclear_wish_is_refused(wish):
    house, why = await House().begin(), Answers()
    async with client(house, why) as web:
        answer = await web.post("/v1/plans/latest/why", json=wish)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert not why.asked


@pytest.mark.parametrize(
    ("error", "status"),
    [(PlanForgottenError("gone"), 404), (UnavailableError("busy"), 503), (PemsError("no such device"), 422)],
)
async def test_what_goes_wrong_is_told(error, status):
    house = await House().begin()
    async with client(house, Answers(error)) as web:
        answer = await web.post("/v1/plans/latest/why", json={"device": "x", "action": "on", "slot": 1})
        assert answer.status_code == status
        assert (await web.post("/v1/plans/x/why", json={"device": "x", "action": "on", "slot": 1})).status_code == 404


async def test_it_needs_a_key():
    house = await House().begin()
    async with client(house, Answers()) as web:
        answer = await web.post(
            "/v1/plans/latest/why", json={"device": "x", "action": "on", "slot": 1}, headers={"X-API-Key": "no"}
        )
    assert answer.status_code == 401
