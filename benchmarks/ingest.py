"""Telemetry through a real broker and the ingest process into SQLite: messages a second, and whether all arrive.

`python -m benchmarks.ingest [--rates 500 2000] [--seconds 10] [--check]`: one JSON line per case. Every message
carries a changed value, so each must be one point of the history; lost = sent - stored. The peer in the same run is
the bare broker with a subscriber that only counts.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import httpx

from pems_cli.embedded import MqttBroker, RedisServer
from pems_common.history import Point
from pems_common.home import load_home
from pems_ingest.adapters.sqlite_history import SqliteHistory

ROOT = Path(__file__).parents[1]
GATE_RATE = 500.0
BEHIND_S = 3.0  # ingest stores once a second
WORKERS = 20


def _free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _send(port: int, rate: float, seconds: float, offset: int) -> tuple[int, float]:
    """Publish at a rate with QoS 1; returns (messages the broker confirmed, wall seconds it took)."""
    rooms = list(load_home(ROOT / "config" / "home.yaml").rooms)
    count = int(rate * seconds)
    began = time.monotonic()
    numbers = iter(range(count))
    async with aiomqtt.Client("127.0.0.1", port, max_inflight_messages=1000, max_queued_outgoing_messages=0) as client:

        async def work() -> None:
            for i in numbers:
                ahead_s = began + i / rate - time.monotonic()
                if ahead_s > 0:
                    await asyncio.sleep(ahead_s)
                turn = offset + i // len(rooms)
                value = f"{20 + (turn % 100) / 100:.2f}"
                await client.publish(f"loxone/temperature/{rooms[i % len(rooms)]}", value, qos=1)

        await asyncio.gather(*(work() for _ in range(WORKERS)))
    return count, time.monotonic() - began


async def _until_steady(count: Callable[[], Awaitable[int]], wanted: int) -> tuple[int, float]:
    """Wait until `wanted` is reached or nothing has come for five seconds; returns (count, wall seconds waited)."""
    began = last = time.monotonic()
    seen = -1
    while time.monotonic() - last < 5.0:
        now = await count()
        if now != seen:
            seen, last = now, time.monotonic()
        if seen >= wanted:
            break
        await asyncio.sleep(0.1)
    return seen, last - began


def _row(case: str, kind: str, rate: float, sent: int, took_s: float, got: int, drain_s: float) -> dict[str, Any]:
    return {
        "bench": "ingest",
        "case": case,
        "broker": kind,
        "asked_per_s": rate,
        "sent": sent,
        "sent_per_s": round(sent / took_s, 1),
        "arrived": got,
        "lost": sent - got,
        "arrived_per_s": round(got / (took_s + drain_s), 1),
        "behind_s": round(drain_s, 2),
    }


async def _bare(broker: MqttBroker, rate: float, seconds: float) -> dict[str, Any]:
    """The peer: the broker and a subscriber that only counts."""
    got = 0
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("loxone/#", qos=1)

        async def count() -> None:
            nonlocal got
            async for _ in client.messages:
                got += 1

        counting = asyncio.create_task(count())
        sent, took_s = await _send(broker.port, rate, seconds, 0)

        async def so_far() -> int:
            return got

        arrived, drain_s = await _until_steady(so_far, sent)
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
    return _row("broker_only", broker.kind, rate, sent, took_s, arrived, drain_s)


async def _through_ingest(
    broker: MqttBroker, redis: RedisServer, scratch: Path, rates: list[float], seconds: float
) -> list[dict[str, Any]]:
    port = _free_port()
    environment = {
        **os.environ,
        "PEMS_DATA": str(scratch / "data"),
        "PEMS_HOME": str(ROOT / "config" / "home.yaml"),
        "PEMS_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
        "PEMS_MQTT_PORT": str(broker.port),
        "PEMS_INGEST_PORT": str(port),
        "PEMS_LOXONE_UDP_PORT": str(_free_port(socket.SOCK_DGRAM)),
        "PEMS_SOURCES": "generated",
        "PEMS_LOG_LEVEL": "warning",
    }
    rows = []
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pems_ingest.main", env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def stored() -> int:
                series = (await client.get("/v1/series")).json()["series"]
                return sum(s["count"] for s in series if s["series"].startswith("room."))

            for _ in range(150):
                try:
                    if (await client.get("/health/ready")).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)
            offset = 0
            for rate in rates:
                before = await stored()
                sent, took_s = await _send(broker.port, rate, seconds, offset)
                offset += 50 + sent
                after, drain_s = await _until_steady(stored, before + sent)
                rejected = (await client.get("/v1/rejected")).json()["counts"]
                row = _row("broker_ingest_sqlite", broker.kind, rate, sent, took_s, after - before, drain_s)
                rows.append({**row, "rejected": rejected})
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)
    return rows


async def _store_alone(scratch: Path, rows: int = 300_000) -> dict[str, Any]:
    """Rows a second into SQLite in batches, and reading 28 days of one series as slot means."""
    store = SqliteHistory(scratch / "alone.sqlite3", "home")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    points = [Point(f"s{i % 60}", start + timedelta(seconds=i // 60 * 10), float(i % 977)) for i in range(rows)]
    began = time.monotonic()
    for i in range(0, rows, 10_000):
        await store.write("home", points[i : i + 10_000])
    write_s = time.monotonic() - began
    await store.write(
        "home", [Point("pv_power_w", start + timedelta(seconds=10 * i), i % 5000) for i in range(241_920)]
    )
    began = time.monotonic()
    await store.slots(["pv_power_w"], start, start + timedelta(days=28))
    read_s = time.monotonic() - began
    await store.close()
    return {
        "bench": "ingest",
        "case": "sqlite",
        "rows": rows,
        "rows_per_s": round(rows / write_s),
        "slots_28_days_s": round(read_s, 2),
    }


async def _run(rates: list[float], seconds: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with MqttBroker(scratch / "mqtt") as broker, RedisServer(scratch / "redis") as redis:
            for row in [
                await _bare(broker, rates[-1], seconds),
                *await _through_ingest(broker, redis, scratch, rates, seconds),
                await _store_alone(scratch),
            ]:
                rows.append(row)
                print(json.dumps(row), flush=True)
    return rows


def main() -> int:
    """Run; with --check exit 1 where 500 messages/s are not sustained or one is lost."""
    parser = argparse.ArgumentParser(prog="benchmarks.ingest", description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[500.0, 1000.0, 2000.0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # it counts pending calls aloud
    rows = asyncio.run(_run(sorted(given.rates), given.seconds))
    if not given.check:
        return 0
    gated = [r for r in rows if r["case"] == "broker_ingest_sqlite" and r["asked_per_s"] <= GATE_RATE]
    failed = [r for r in gated if r["lost"] or r["sent_per_s"] < 0.9 * r["asked_per_s"] or r["behind_s"] > BEHIND_S]
    for row in failed:
        print(f"gate failed: {row['asked_per_s']:g} messages/s sustained, none lost: {row}", file=sys.stderr)
    return 1 if failed or not gated else 0


if __name__ == "__main__":
    sys.exit(main())
