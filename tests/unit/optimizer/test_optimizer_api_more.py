"""REST of certificates and studies."""

import httpx
import pytest
from fastapi import FastAPI
from tests.unit.optimizer.test_optimizer_api import only_with_key
from tests.unit.optimizer.test_optimizer_planner import House, _quick_plans  # noqa: F401
from tests.unit.optimizer.test_optimizer_study import Rig

from pems_common.messages import Certificate
from pems_common.problems import install_problems
from pems_optimizer.api_certificates import make_certificate_router
from pems_optimizer.api_studies import make_study_router

KEY = {"X-API-Key": "key"}


def client(router) -> httpx.AsyncClient:
    app = FastAPI()
    install_problems(app)
    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


async def test_a_certificate_is_there_as_soon_as_it_is_found():
    house = await House().begin()
    plan = house.planner.plan
    async with client(make_certificate_router(house.planner)) as web:
        early = await web.get(f"/v1/plans/{plan.plan_id}/certificate")
        assert (early.status_code, early.headers["content-type"]) == (404, "application/problem+json")
        assert "follows a plan" in early.json()["detail"]
        assert (await web.get("/v1/certificate")).status_code == 404
        assert "not among the last" in (await web.get("/v1/plans/x/certificate")).json()["detail"]
        body = Certificate(plan_id=plan.plan_id, bound=3.5, gap_czk=0.5, gap_rel=0.1, kind="proven", took_s=2.0)
        await house.publish(body)
        found = (await web.get(f"/v1/plans/{plan.plan_id}/certificate")).json()
        assert found == (await web.get("/v1/certificate")).json()
        assert (found["bound"], found["kind"], found["gap_rel"]) == (3.5, "proven", 0.1)


async def test_a_study_is_begun_with_a_key_and_read_by_its_address():
    rig = Rig()
    async with client(make_study_router(rig.keeper, only_with_key)) as web:
        wish = {"kind": "squares", "items": 10, "chunk_items": 4}
        assert (await web.post("/v1/studies", json=wish)).status_code == 401
        answer = await web.post("/v1/studies", json=wish, headers=KEY)
        assert answer.status_code == 202
        where = answer.headers["Location"]
        assert where == f"/v1/studies/{answer.json()['study_id']}"
        study = await rig.store.study(answer.json()["study_id"])
        await rig.work(study, 0)
        part = (await web.get(where)).json()
        assert (part["state"], part["done_items"], part["done_chunks"], part["summary"]) == ("running", 4, 1, None)
        for chunk in (1, 2):
            await rig.work(study, chunk)
        whole = (await web.get(where)).json()
        assert (whole["state"], whole["summary"], whole["values"]) == ("done", {"sum": 385.0}, None)
        told = (await web.get(where, params={"values": "true"})).json()
        assert told["columns"] == ["square", "root"]
        assert told["values"]["square"] == [i * i + 10.0 for i in range(10)]
        assert (told["values"]["root"][0], told["values"]["root"][4]) == (None, 2.0), "JSON has no NaN"
        assert (await web.get("/v1/studies/none")).status_code == 404


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"kind": "cubes"}, "no kind of study"),
        ({"kind": "squares", "items": 100_001}, "fields are missing or wrong"),
        ({"kind": "squares", "chunk_items": 0}, "fields are missing or wrong"),
        ({"kind": "squares", "items": 90_000}, "chunks are more than"),
        ({"kind": "squares", "itmes": 3}, "fields are missing or wrong"),
        ({}, "fields are missing or wrong"),
    ],
)
async def test_a_wrong_study_is_refused_in_words(wish, words):
    async with client(make_study_router(Rig().keeper, only_with_key)) as web:
        answer = await web.post("/v1/studies", json=wish, headers=KEY)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
