"""The planner's process serves every route, and none hides another."""

from types import SimpleNamespace

import httpx
from fastapi import FastAPI
from tests.unit.optimizer.optimizer_cases import START, small_home

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.problems import install_problems
from pems_common.settings import ServiceSettings
from pems_optimizer.main import build


async def anyone() -> None:
    return None


async def test_the_newest_plan_is_not_taken_for_the_id_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PEMS_DATA", str(tmp_path))
    clock = FakeClock(START)
    rt = SimpleNamespace(
        home=small_home("pokoj_1"),
        clock=clock,
        bus=MemoryBus(clock),
        settings=ServiceSettings(),
        auth=SimpleNamespace(require_write=anyone, require_read=anyone),
        source="optimizer@test",
    )
    app = FastAPI()
    install_problems(app)
    for router in build(rt).routers:
        app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as web:
        assert (await web.get("/v1/plans/cases")).json() == []
        assert (await web.get("/v1/plans/latest")).json()["detail"] == "no plan has been made yet"
        assert "is not among the last plans" in (await web.get("/v1/plans/other")).json()["detail"]
        assert (await web.get("/v1/solve/schema")).status_code == 200
        assert (await web.post("/v1/solve", content=b"[]")).status_code == 422
