"""The monitor's page over a made-up house, for browser tests and pictures: `python -m tests.browser.page_server`.

Real page, login, gateway and handlers; the bus is in memory, and a small app plays ingest, the forecaster and the
controller.
"""

import argparse
import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Query
from tests.browser.sample_house import SampleHouse

from pems_common.api import create_app
from pems_common.auth import Auth, KeyFile
from pems_common.bus.memory import MemoryBus
from pems_common.clock import ClockFile, SystemClock
from pems_common.health import Health
from pems_common.home import Home, load_home
from pems_common.logs import setup_logging
from pems_common.messages import Body, OverrideEntry, wrap
from pems_common.metrics import Metrics
from pems_common.timegrid import parse_instant

PASSWORD = "winter-day-at-home"
ROOT = Path(__file__).parents[2]
INTERNAL_KEY = "internal-key-of-the-test"


def start_clock(start: datetime, speed: float) -> SystemClock:
    """A clock that shows `start` now."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    mono = SystemClock().monotonic()
    return SystemClock(
        ClockFile(run_id="test", boot_id=boot, mono_start=mono, sim_start=start.isoformat(), speed=speed)
    )


class Backends:
    """Plays ingest, the forecaster and the controller, and publishes what they would."""

    def __init__(self, home: Home, clock: SystemClock, bus: MemoryBus, *, empty: bool, scene: str) -> None:
        self.home, self.clock, self.bus, self.empty, self.scene = home, clock, bus, empty, scene
        self.house = SampleHouse(home, clock.now())
        self.overrides: dict[str, OverrideEntry] = {}
        self.identifying = False
        self.app = FastAPI()
        self._routes()
        if scene == "alert":
            until = clock.now() + timedelta(hours=2, minutes=25)
            self.overrides["room:pracovna"] = OverrideEntry(
                device="room:pracovna", action="heat", params={"target_c": 23.0}, until=until, by="page", revision=1
            )

    def _routes(self) -> None:
        app = self.app

        def check(key: str | None) -> None:
            if key != INTERNAL_KEY:
                raise HTTPException(401, "a valid API key is needed")

        @app.get("/health/ready")
        async def ready() -> dict[str, Any]:
            return {"ready": True, "failing": []}

        @app.get("/v1/history")
        async def history(series: list[str] = Query(), start: str = "", end: str = "") -> dict[str, Any]:
            found = self.house.history(series, parse_instant(start), parse_instant(end))
            return {"start": start, "step_s": 900, "series": {} if self.empty else found}

        @app.get("/v1/rooms")
        async def rooms() -> dict[str, Any]:
            if self.empty:
                raise HTTPException(404, "no such route")
            job = {"id": "1", "state": "running" if self.identifying else "done"}
            return {**self.house.room_models(), "job": job}

        @app.get("/v1/rooms/{room}")
        async def room(room: str) -> dict[str, Any]:
            if self.empty:
                raise HTTPException(404, "no such route")
            return self.house.room_model(room)

        @app.post("/v1/rooms/identify", status_code=202)
        async def identify(x_api_key: str | None = Header(None)) -> dict[str, Any]:
            check(x_api_key)
            self.identifying = True
            return {"id": "1", "state": "queued"}

        @app.get("/v1/status")
        async def status() -> dict[str, Any]:
            return self.house.status(tuple(self.overrides.values())).model_dump(mode="json")

        @app.put("/v1/overrides/{device}")
        async def put(device: str, body: dict[str, Any], x_api_key: str | None = Header(None)) -> dict[str, Any]:
            check(x_api_key)
            if body["action"] == "off" and device == "water":
                raise HTTPException(422, "<img src=x onerror=alert(1)> the water is too cold")
            self.overrides[device] = OverrideEntry(
                device=device,
                action=body["action"],
                params=body["params"],
                until=self.clock.now() + timedelta(minutes=body["minutes"]),
                by=body["by"],
                revision=len(self.overrides) + 1,
            )
            await self.publish_status()
            return {"ok": True}

        @app.delete("/v1/overrides/{device}")
        async def delete(device: str, x_api_key: str | None = Header(None)) -> dict[str, Any]:
            check(x_api_key)
            self.overrides.pop(device, None)
            await self.publish_status()
            return {"ok": True}

    async def _say(self, body: Body) -> None:
        await self.bus.publish(wrap(body, site=self.home.site.id, clock=self.clock, source="test@1"))

    async def publish_status(self) -> None:
        running = tuple(o for o in self.overrides.values() if o.until > self.clock.now())
        if self.scene == "rules":
            await self._say(self.house.status(running, mode="rule_based", why="plan_too_old"))
        else:
            await self._say(self.house.status(running))

    async def live(self) -> None:
        """Publish everything once, then telemetry every second."""
        if self.empty:
            return
        house = self.house
        await self._say(house.prices())
        await self._say(house.weather())
        await self._say(house.forecast())
        for score in house.scores():
            await self._say(score)
        if self.scene == "rules":
            await self._say(house.plan(fallback=True, age=timedelta(hours=2, minutes=20)))
        else:
            await self._say(house.plan())
        for alert in house.alerts():
            if self.scene == "markup":
                alert = alert.model_copy(update={"text": "<script>window.pwned=1</script><b>bold</b>"})
            if self.scene != "calm" or alert.cleared_at is not None:
                await self._say(alert)
        while True:
            await self._say(house.telemetry(self.clock.now()))
            await self.publish_status()
            await asyncio.sleep(1.0)


def seed_day(handlers: Any, house: SampleHouse) -> None:
    """Feed the day so far, minute by minute, as if the monitor had been running since midnight."""
    zone = house.home.site.zone
    at = house.now.astimezone(zone).replace(hour=0, minute=0, second=0).astimezone(UTC)
    prices = house.prices()
    while at < house.now:
        handlers._ledger.add(at, house.telemetry(at), prices, house.home)
        at += timedelta(minutes=2)


async def serve(
    port: int, backend_port: int, data: Path, *, empty: bool, scene: str, start: datetime, speed: float
) -> None:
    """Run page and backends until stopped."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(data / "nicegui")
    from pems_monitor.adapters.gateway import Gateway
    from pems_monitor.adapters.services import ServiceClients
    from pems_monitor.adapters.store import MonitorStore, store_path
    from pems_monitor.handlers import MonitorHandlers
    from pems_monitor.main import install, look_around

    home = load_home(ROOT / "config" / "home.yaml")
    clock = start_clock(start, speed)
    setup_logging("monitor", level="warning", clock=clock)
    bus = MemoryBus(clock)
    store = MonitorStore(store_path(data), clock)
    store.create_account(PASSWORD)
    handlers = MonitorHandlers(home, clock, bus, store)
    backends = Backends(home, clock, bus, empty=empty, scene=scene)
    app = create_app("monitor", health=Health(clock), metrics=Metrics())
    urls = dict.fromkeys(("ingest", "forecaster", "optimizer", "controller"), f"http://127.0.0.1:{backend_port}")
    if scene == "rules":
        urls["optimizer"] = "http://127.0.0.1:9"
    client = httpx.AsyncClient(trust_env=False)
    keys = KeyFile(data / "secrets" / "keys.json")
    clients = ServiceClients(client, urls, internal_key=INTERNAL_KEY, home=home)
    install(
        app,
        handlers=handlers,
        clients=clients,
        gateway=Gateway(client, urls, internal_key=INTERNAL_KEY),
        store=store,
        auth=Auth(clock, internal_key=INTERNAL_KEY, keys=keys),
        keys=keys,
        clock=clock,
    )
    await handlers.start()
    if not empty:
        seed_day(handlers, backends.house)

    async def watch() -> None:
        async for poke in bus.watch(handlers.watches, home.site.id):
            await handlers.on_state(poke)

    async def bus_up() -> bool:
        return True

    async def tick() -> None:
        while True:
            await handlers.tick()
            await asyncio.sleep(1.0)

    backend = uvicorn.Server(uvicorn.Config(backends.app, host="127.0.0.1", port=backend_port, log_level="warning"))
    page = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    await asyncio.gather(
        backend.serve(),
        page.serve(),
        watch(),
        backends.live(),
        tick(),
        bus.work("alert", group="monitor", consumer="1", handler=handlers.on_alert),
        look_around(handlers, clients, clock, bus_up),
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--backend-port", type=int, default=8098)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--scene", choices=["calm", "alert", "rules", "markup"], default="calm")
    parser.add_argument("--start", type=parse_instant, default=datetime(2026, 1, 15, 9, 22, tzinfo=UTC))
    parser.add_argument("--speed", type=float, default=1.0)
    o = parser.parse_args()
    asyncio.run(serve(o.port, o.backend_port, o.data, empty=o.empty, scene=o.scene, start=o.start, speed=o.speed))


if __name__ == "__main__":
    main()
