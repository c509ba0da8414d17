"""The bus with every stream full: memory of the server, publish rate, and how soon a state is seen.

`python -m benchmarks.bus [--homes 1] [--check]`: one JSON line per case. The bodies are those of a house with
17 rooms: telemetry of all rooms, plans of 192 slots, forecasts in bands. The peer in the same run is plain XADD of
the same entries in the same order, without latest values, comparison or retries.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import redis.asyncio

from pems_cli.embedded import RedisServer
from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import FakeClock, SystemClock
from pems_common.home import load_home
from pems_common.messages import (
    CATALOG,
    Alert,
    Band,
    BatteryPlan,
    Body,
    Certificate,
    Command,
    DeviceMode,
    Envelope,
    Forecast,
    Override,
    Plan,
    PlanCost,
    Prices,
    Quality,
    Reason,
    RoomModel,
    RoomPlan,
    RoomReading,
    RoomState,
    Score,
    Series,
    Solver,
    Status,
    Telemetry,
    Thermal,
    Weather,
    WeatherQuantiles,
    wrap,
)
from pems_common.timegrid import parse_instant

SLOTS = 192
START = parse_instant("2026-01-05T00:00:00+00:00")
GATE_MEMORY_MB = 200.0
GATE_P99_MS = 100.0
ROOMS = tuple(load_home(Path(__file__).parents[1] / "config" / "home.yaml").rooms)


def _series(at: datetime, low: float, high: float, count: int = SLOTS, step_s: int = 900) -> Series:
    return Series.of(at, step_s, [random.uniform(low, high) for _ in range(count)], 3)


def _band(at: datetime, low: float, high: float, count: int = SLOTS, step_s: int = 900) -> Band:
    return Band(**{name: _series(at, low, high, count, step_s) for name in ("p10", "p50", "p90")})


def _plan(at: datetime, number: int) -> Plan:
    def values(low: float, high: float) -> tuple[float, ...]:
        return tuple(round(random.uniform(low, high), 3) for _ in range(SLOTS))

    rooms = {
        room: RoomPlan(
            relay_on=tuple(random.random() < 0.3 for _ in range(SLOTS)),
            temperature_c=values(20, 23),
            comfort_low_c=values(20, 21),
            comfort_high_c=values(22, 23),
        )
        for room in ROOMS
    }
    return Plan(
        plan_id=f"plan-{number}",
        plan_no=number,
        config_hash="0" * 16,
        issued_at=at,
        valid_until=at + timedelta(hours=2),
        control_until=at + timedelta(hours=24),
        start=at,
        step_s=900,
        slots=SLOTS,
        rooms=rooms,
        battery=BatteryPlan(intent=("self_consume",) * SLOTS, power_w=values(-5e3, 5e3), soc_pct=values(20, 100)),
        pv_limit_w=(None,) * SLOTS,
        grid_power_w=values(-1e4, 2e4),
        ev_power_w=values(0, 1.1e4),
        water_on=(False,) * SLOTS,
        cost=PlanCost(energy=100, wear=3, peak=0, comfort=1, switching=0, total=104),
        net_cost_czk=100,
        peak_import_w=2e4,
        solver=Solver(name="dw", status="incumbent", objective=104, solve_s=1, build_s=0.1),
        profile="balanced",
        reasons={str(slot): (Reason(code="cheap_hour", params={"price": 2.5}),) for slot in range(0, SLOTS, 2)},
    )


def _body(type: str, at: datetime, n: int) -> Body:
    if type == "telemetry":
        return Telemetry(
            pv_power_w=random.random() * 1e4,
            load_power_w=500.0,
            grid_power_w=300.0,
            battery_power_w=-200.0,
            battery_soc_pct=55.0,
            battery_temperature_c=21.0,
            inverter_mode="load_first",
            inverter_online=True,
            outdoor_temperature_c=1.5,
            rooms={
                room: RoomReading(temperature_c=21.5, humidity_pct=45.0, target_c=21.5, relay_on=False)
                for room in ROOMS
            },
            quality={room: Quality(age_s=42.0, score=1.0) for room in (*ROOMS, "battery", "grid", "pv")},
        )
    if type == "prices":
        return Prices(
            spot_eur_mwh=_series(at, 20, 200),
            eur_czk=25.1,
            buy_czk_kwh=_series(at, 2, 9),
            sell_czk_kwh=_series(at, 0, 4),
            known_until=at,
            source="ote",
            tariff_version="2026",
        )
    if type == "weather":
        hourly: dict[str, Any] = {
            name: _series(at, 0, 100, 72, 3600)
            for name in (
                "temperature_c",
                "cloud_cover_pct",
                "ghi_w_m2",
                "dni_w_m2",
                "dhi_w_m2",
                "wind_m_s",
                "humidity_pct",
            )
        }
        quantiles = WeatherQuantiles(temperature_c=_band(at, -5, 5, 72, 3600), ghi_w_m2=_band(at, 0, 800, 72, 3600))
        return Weather(provider="open-meteo", run_at=at, available_at=at, quantiles=quantiles, **hourly)
    if type == "forecast":
        return Forecast(
            issued_at=at,
            available_at=at,
            horizon_s=SLOTS * 900,
            pv_power_w=_band(at, 0, 1e4),
            load_power_w=_band(at, 200, 3e3),
            buy_czk_kwh=_band(at, 2, 9),
            sell_czk_kwh=_band(at, 0, 4),
            outdoor_temperature_c=_band(at, -10, 10),
            solar_w_m2={side: _series(at, 0, 700) for side in ("north", "east", "south", "west")},
        )
    if type == "thermal":
        model = RoomModel(
            ria_k_w=0.01, rea_k_w=0.05, ci_j_k=4e5, cm_j_k=6e6, neighbours={ROOMS[0]: 12.0}, heater_w=1000.0
        )
        state = RoomState(air_c=21.0, mass_c=23.0, at=at)
        return Thermal(room=ROOMS[n % len(ROOMS)], model=model, tier="prior", state=state, version="1")
    if type == "plan":
        return _plan(at, n)
    if type == "certificate":
        return Certificate(plan_id=f"plan-{n}", bound=100.0, gap_rel=0.006, gap_czk=0.6, kind="proven", took_s=3.0)
    if type == "status":
        devices = {
            name: DeviceMode(mode="mpc", since=at, why="plan trusted", action={"relay_on": True})
            for name in (*(f"room:{room}" for room in ROOMS), "battery", "ev", "water")
        }
        actions = tuple(_command(at, n - i) for i in range(5))
        return Status(
            house_mode="mpc",
            devices=devices,
            plan_id=f"plan-{n}",
            last_actions=actions,
            armed=True,
            shadow=False,
            tick_ms=4.0,
            uptime_s=float(n),
        )
    if type == "command":
        return _command(at, n)
    if type == "override":
        return Override(device=f"room:{ROOMS[n % len(ROOMS)]}", action="on", until=at, by="page", revision=n)
    if type == "alert":
        return Alert(code=f"code_{n % 50}", severity="warning", text="a sentence " * 8, remedy="do this", raised_at=at)
    return Score(kind="pv", window="24h", metrics={"mae": 1.0, "nrmse": 0.08, "pinball": 0.01}, model="pv-3")


def _command(at: datetime, n: int) -> Command:
    return Command(
        command_id=f"0198-{n}",
        device=f"room:{ROOMS[n % len(ROOMS)]}",
        action="relay",
        params={"on": True},
        decided_by="plan",
        reason="planned on: cheap hour",
        dry_run=False,
        sent_at=at,
        ack="success",
        ack_at=at,
        read_back={"on": True},
    )


def entries(homes: int) -> Iterator[Envelope]:
    """Entries that fill every stream to its retention and a bit beyond, oldest first in each stream."""
    clock = FakeClock(START)
    for type, kind in CATALOG.items():
        body, made = _body(type, START, 1), 0
        for n in range(1, int(kind.retention * 1.05) + 1):
            clock.advance(1)
            # Fresh random bodies for what is large; telemetry and commands change little in truth as well.
            if kind.retention <= 500 or n % 50 == 0 or kind.subject_field:
                body, made = _body(type, clock.now(), n), made + 1
            for home in range(homes):
                yield wrap(body, site=f"home{home}", clock=clock, source="bench@1", seq=n)


async def _fill(bus: RedisBus, homes: int) -> dict[str, Any]:
    counts: dict[str, int] = dict.fromkeys(CATALOG, 0)
    sizes: dict[str, int] = dict.fromkeys(CATALOG, 0)
    spent_s = 0.0
    for envelope in entries(homes):
        began = time.perf_counter()
        await bus.publish(envelope)
        spent_s += time.perf_counter() - began
        counts[envelope.type] += 1
        sizes[envelope.type] += sum(len(value) for value in envelope.to_fields().values())
    count = sum(counts.values())
    return {
        "case": "publish",
        "messages": count,
        "per_s": round(count / spent_s),
        "mean_bytes": {type: round(sizes[type] / counts[type]) for type in counts},
    }


async def _peer(raw: Any) -> dict[str, Any]:
    count, spent_s = 0, 0.0
    for envelope in entries(1):
        fields: Any = envelope.to_fields()
        began = time.perf_counter()
        await raw.xadd(f"peer.{envelope.type}", fields, maxlen=CATALOG[envelope.type].retention, approximate=True)
        spent_s += time.perf_counter() - began
        count += 1
    await raw.delete(*(f"peer.{type}" for type in CATALOG))
    return {"case": "publish", "peer": "plain XADD", "messages": count, "per_s": round(count / spent_s)}


async def _memory(raw: Any, homes: int) -> dict[str, Any]:
    about = await raw.info("memory")
    streams = {type: (await raw.memory_usage(kind.stream, samples=0) or 0) for type, kind in CATALOG.items()}
    lengths = {type: await raw.xlen(kind.stream) for type, kind in CATALOG.items()}
    return {
        "case": "memory at full retention",
        "homes": homes,
        "used_mb": round(about["used_memory"] / 1e6, 1),
        "rss_mb": round(about["used_memory_rss"] / 1e6, 1),
        "streams_mb": {type: round(size / 1e6, 2) for type, size in streams.items()},
        "lengths": lengths,
    }


async def _latency(publisher: RedisBus, reader: RedisBus, type: str, count: int) -> dict[str, Any]:
    """Time from before publishing to the poke in another connection's watcher [ms]."""
    clock = SystemClock()
    sent: dict[str, float] = {}
    took: list[float] = []
    ready = asyncio.Event()

    async def watch() -> None:
        async for poke in reader.watch([type], "home0"):
            ready.set()
            if poke.id in sent:
                took.append((time.perf_counter() - sent[poke.id]) * 1000)

    watching = asyncio.create_task(watch())
    await ready.wait()
    await asyncio.sleep(0.1)
    body = _body(type, START, 1)
    for _ in range(count):
        envelope = wrap(body, site="home0", clock=clock, source="bench@1", seq=int(clock.wall_now().timestamp() * 1000))
        sent[envelope.id] = time.perf_counter()
        await publisher.publish(envelope)
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.2)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    took.sort()
    return {
        "case": f"state latency, {type}",
        "messages": count,
        "seen": len(took),
        "p50_ms": round(took[len(took) // 2], 2),
        "p99_ms": round(took[int(len(took) * 0.99)], 2),
    }


async def run(homes: int) -> list[dict[str, Any]]:
    """Run every case on a server of its own."""
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        clock = SystemClock()
        publisher, reader = RedisBus(server.url, clock, homes=homes), RedisBus(server.url, clock)
        raw: Any = redis.asyncio.Redis.from_url(server.url)
        rows = [await _peer(raw), await _fill(publisher, homes), await _memory(raw, homes)]
        rows += [await _latency(publisher, reader, "telemetry", 500), await _latency(publisher, reader, "plan", 100)]
        for closing in (publisher.close, reader.close, raw.aclose):
            await closing()
        return [{"bench": "bus", "server": server.kind, **row} for row in rows]


def main() -> int:
    """Print the rows; 1 when `--check` is given and a gate fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    random.seed(1)
    rows = asyncio.run(run(options.homes))
    failed = []
    for row in rows:
        print(json.dumps(row), flush=True)
        if row.get("used_mb", 0) > GATE_MEMORY_MB * options.homes:
            failed.append(f"memory {row['used_mb']} MB, at most {GATE_MEMORY_MB * options.homes} MB")
        if row.get("p99_ms", 0) > GATE_P99_MS:
            failed.append(f"{row['case']}: p99 {row['p99_ms']} ms, at most {GATE_P99_MS} ms")
        if row.get("seen", 0) != row.get("messages", 0) and "seen" in row:
            failed.append(f"{row['case']}: {row['seen']} of {row['messages']} seen")
    for text in failed:
        print(f"gate failed: {text}", file=sys.stderr)
    return 1 if failed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
