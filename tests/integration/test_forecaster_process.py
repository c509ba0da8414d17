"""The forecaster as a process on a real Redis: ready soon, forecasts, answers REST, stays small, stops cleanly."""

import asyncio
import os
import signal
import socket
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
from tests.unit.forecaster.forecaster_makers import make_prices, make_telemetry, make_weather

from pems_cli.embedded import RedisServer
from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import SystemClock
from pems_common.messages import Forecast, Thermal, read_body, wrap
from pems_common.timegrid import slot_start

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_process_forecasts_and_stops_cleanly(own_redis_server: RedisServer, tmp_path: Path) -> None:
    clock = SystemClock()
    bus = RedisBus(own_redis_server.url, clock)
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    for given in (make_weather(hour), make_prices(slot_start(hour) - timedelta(hours=2)), make_telemetry()):
        await bus.publish(wrap(given, site="home", clock=clock, source="test"))
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PEMS_")},
        "PEMS_DATA": str(tmp_path / "data"),
        "PEMS_HOME": str(ROOT / "config" / "home.yaml"),
        "PEMS_REDIS_URL": own_redis_server.url,
        "PEMS_FORECASTER_PORT": str(port),
        "PEMS_INGEST_PORT": str(free_port()),
    }
    log = tmp_path / "log.txt"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pems_forecaster.main", env=environment, stdout=out, stderr=out
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            forecast = None
            for _ in range(600):
                assert process.returncode is None, log.read_text()
                forecast = await bus.latest("forecast", "home")
                if forecast is not None:
                    break
                await asyncio.sleep(0.1)
            assert forecast is not None, log.read_text()
            body = read_body(forecast, Forecast)
            assert body.degraded == ()
            for _ in range(100):  # room models follow the forecast one by one
                rooms = await bus.latest_all("thermal", "home")
                if len(rooms) == 17:
                    break
                await asyncio.sleep(0.1)
            assert len(rooms) == 17
            assert read_body(rooms["obyvak"], Thermal).state is not None
            assert (await client.get("/v1/forecast")).json()["id"] == forecast.id
            for _ in range(100):
                ready = await client.get("/health/ready")
                if ready.status_code == 200:
                    break
                await asyncio.sleep(0.1)
            assert ready.status_code == 200, ready.text
            assert (await client.post("/v1/forecasts")).status_code == 401
            key = (tmp_path / "data" / "secrets" / "internal.key").read_text().strip()
            asked = await client.post("/v1/forecasts", headers={"X-API-Key": key})
            assert asked.status_code == 202
            assert (await client.get(asked.headers["Location"])).status_code in (200, 202)
            assert psutil.Process(process.pid).memory_info().rss < 350e6
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0, log.read_text()
        assert (tmp_path / "data" / "forecaster" / "forecaster-home.json").exists()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await bus.close()
