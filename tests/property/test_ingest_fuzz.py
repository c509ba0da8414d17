"""Ten thousand odd payloads: nothing crashes, each is taken or counted with a reason, nothing impossible comes out."""

import json
import math
import os
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.dialects.generic import FieldMapping
from pems_common.home import Home, load_home
from pems_common.home.devices import Devices, Inverter
from pems_common.mqtt import MemoryBroker
from pems_common.world import open_world
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.domain.slot_means import slot_means
from pems_ingest.feeds import world_feeds
from pems_ingest.handlers import IngestHandlers
from pems_ingest.sources.open_meteo import parse_open_meteo
from pems_ingest.sources.ote_chart import parse_ote_chart
from pems_ingest.sources.ote_soap import parse_ote_soap
from pems_ingest.sources.port import SourceError

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data")
START = datetime(2026, 1, 15, 9, tzinfo=UTC)
COUNT = 10_000

OIG = {
    "InverterStatus": 1,
    "InputPower": 2000,
    "SOC": 55,
    "ChargePower": 500,
    "DischargePower": 0,
    "ACPowerToUser": 0,
    "ACPowerToGrid": 300,
    "INVPowerToLocalLoad": 1200,
    "BatteryTemperature": 21.5,
    "TodayGenerateEnergy": 4.2,
}
GROTT = {
    "device": "X",
    "time": "2026-01-15T10:00:00",
    "buffered": "no",
    "values": {"pvstatus": 6, "pvpowerin": 100, "pactouserr": 50, "SOC": 40, "etouser_tod": 20},
}
ODD: list[object] = [
    None, True, False, -1, 0, 1e308, -1e308, 2**32 - 1, 2**63, 10**400, "", "NaN", "1e999", "ě", "\u0000", [], {}, [1],
    {"a": {}}, 4294898079, -0.0, "21,5", "0x10", "\ud800",
]  # fmt: skip
TOPICS = [
    "energy/solar",
    "loxone/temperature/obyvak",
    "loxone/relay/kuchyne",
    "loxone/humidity/spajz",
    "loxone/temperature/attic",
    "loxone/outdoor/temperature",
    "ev/state",
    "water/state",
    "tele/x/SENSOR",
]


def _home(dialect: str) -> Home:
    home = load_home(ROOT / "config" / "home.yaml")
    inverter = Inverter(dialect=dialect, writable=dialect != "grott", state_topic="energy/solar")
    return home.model_copy(update={"devices": Devices(inverter=inverter)})


def _mutate(rng: random.Random, data: object) -> object:
    """Replace, drop or add something somewhere."""
    if isinstance(data, dict) and data:
        result = dict(data)
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(list(result) or ["x"])
            what = rng.random()
            if what < 0.3:
                result[key] = rng.choice(ODD)
            elif what < 0.5:
                result.pop(key, None)
            elif what < 0.8 and key in result:
                result[key] = _mutate(rng, result[key])
            else:
                result[rng.choice(["SOC", "time", "values", "x" * 200])] = rng.choice(ODD)
        return result
    if isinstance(data, int | float) and not isinstance(data, bool) and abs(data) < 1e300:
        return rng.choice([data * rng.uniform(-10, 10), data + rng.randint(-(10**9), 10**9), rng.choice(ODD)])
    return rng.choice(ODD)


def _payload(rng: random.Random, seeds: list[object]) -> bytes:
    kind = rng.random()
    if kind < 0.15:
        return rng.randbytes(rng.randint(0, 300))
    if kind < 0.25:
        return str(rng.choice(ODD)).encode("utf-8", "surrogatepass")
    if kind < 0.35:
        return f"{rng.uniform(-200, 200):.3f}".encode()
    text = json.dumps(_mutate(rng, rng.choice(seeds)))
    if kind < 0.5:
        cut = rng.randint(0, len(text))
        text = text[:cut] + rng.choice(["", "}", "\x00", "NaN", "[" * 2000])
    return text.encode()


@pytest.mark.parametrize("dialect", ["growatt_oig", "grott"])
async def test_ten_thousand_odd_payloads(dialect):
    rng = random.Random(2026)
    seeds: list[object] = [OIG, GROTT, {"connected": True, "power_w": 7000}, {"temperature_c": 50, "power_w": 0}]
    recorded = DATA / "replies" / "mqtt_payloads.jsonl"
    if recorded.exists():
        seeds += [json.loads(line)["payload"] for line in recorded.read_text().splitlines()]
    home, clock, broker = _home(dialect), FakeClock(START), MemoryBroker(log_max=10)
    store = SqliteHistory(":memory:", home.site.id)
    feeds = world_feeds(home, clock, open_world(None, latitude=49.5, longitude=17.4, seed=1))
    bus = MemoryBus(clock)
    handlers = IngestHandlers(
        home,
        clock,
        bus,
        broker.client(),
        store,
        feeds.prices,
        feeds.weather,
        inline=True,
        mappings=[FieldMapping("ev.power_w", "tele/+/SENSOR", "ENERGY.Power[*]")],
    )
    mqtt = broker.client()
    for i in range(COUNT):
        if rng.random() < 0.1:
            line = _payload(rng, seeds).decode("utf-8", "replace")
            prefix = "2026-01-15 10:00:00;temperature;" if rng.random() < 0.5 else ""
            await handlers.intake.udp_line(prefix + line)
        else:
            await mqtt.publish(rng.choice(TOPICS), _payload(rng, seeds))
        if i % 50 == 0:
            clock.advance(10)
            await handlers.tick()
            _check(handlers.latest["telemetry"].body)
    await handlers.tick()
    counts = handlers.rejections.counts
    assert handlers.intake.received == COUNT
    assert counts.total() > 0.3 * COUNT
    assert all(reason.isidentifier() and len(reason) < 30 for reason in counts)
    assert len(counts) < 25  # reasons label a metric: they must stay few
    assert handlers.intake.taken > 0.02 * COUNT
    for info in await store.info():
        assert len(info.series) < 60
    await store.close()


def _check(body: dict[str, Any]) -> None:
    for name, low, high in (("pv_power_w", 0, 50_000), ("grid_power_w", -60_000, 60_000), ("battery_soc_pct", 0, 100)):
        value = body[name]
        assert value is None or (math.isfinite(value) and low <= value <= high)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_sources_refuse_any_bytes_in_their_own_words(body):
    for parse in (
        parse_ote_soap,
        lambda b: parse_ote_chart(b, START.date()),
        lambda b: parse_open_meteo(b, START),
    ):
        with pytest.raises(SourceError):
            parse(body)


_POINTS = st.lists(
    st.tuples(st.integers(min_value=-2000, max_value=5000), st.floats(min_value=-1e4, max_value=1e4)),
    min_size=1,
    max_size=40,
    unique_by=lambda p: p[0],
)


@settings(max_examples=300, deadline=None)
@given(points=_POINTS, carry_s=st.sampled_from([300.0, 900.0]))
def test_slot_means_agree_with_counting_seconds(points, carry_s):
    import numpy as np

    points = sorted(points)
    got = slot_means(
        np.array([float(t) for t, _ in points]),
        np.array([v for _, v in points]),
        start_s=0.0,
        count=4,
        step_s=900.0,
        carry_s=carry_s,
    )
    for slot in range(4):
        values = []
        for second in range(slot * 900, (slot + 1) * 900):
            before = [(t, v) for t, v in points if t <= second]
            if before and second < before[-1][0] + carry_s:
                values.append(before[-1][1])
        if not values:
            assert got[slot] is None
        else:
            assert got[slot] == pytest.approx(sum(values) / len(values), abs=1e-6 * max(1.0, max(map(abs, values))))
