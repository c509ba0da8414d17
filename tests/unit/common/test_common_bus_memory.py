"""What the bus in memory offers beyond the port: pokes, pumping and looking inside, for lockstep runs."""

import asyncio

import pytest

from pems_common.bus import MemoryBus
from pems_common.clock import FakeClock
from pems_common.messages import Envelope
from pems_common.timegrid import parse_instant

NOON = parse_instant("2026-01-05T12:00:00+00:00")


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(FakeClock(NOON))


def message(type: str, seq: int, **more: str) -> Envelope:
    return Envelope(
        type=type,
        v=1,
        id=f"{type}-{seq}",
        seq=seq,
        at=NOON,
        wall_at=NOON,
        source="t@1",
        body={},
        **{"site": "home", **more},
    )


async def test_pokes_are_the_accepted_states_in_order(bus: MemoryBus) -> None:
    for envelope in (message("plan", 2), message("plan", 1), message("score", 1), message("prices", 1)):
        await bus.publish(envelope)
    await bus.publish(message("plan", 2))  # the same id again
    assert [poke.id for poke in bus.drain_pokes()] == ["plan-2", "prices-1"]
    assert bus.drain_pokes() == []


async def test_pump_handles_everything_that_waits_even_what_comes_meanwhile(bus: MemoryBus) -> None:
    done: list[str] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.id)
        await asyncio.sleep(0)
        if envelope.id == "alert-1":
            await bus.publish(message("score", 1))

    async def fail_once(envelope: Envelope) -> None:
        done.append("copy " + envelope.id)
        if done.count("copy " + envelope.id) == 1:
            raise RuntimeError("once")

    await bus.publish(message("alert", 1))
    await bus.publish(message("plan", 1))
    tasks = [
        asyncio.ensure_future(bus.work("alert", group="g", consumer="c", handler=handle)),
        asyncio.ensure_future(bus.work("score", group="g", consumer="c", handler=handle)),
        asyncio.ensure_future(bus.copy_stream("plan", group="h", consumer="c", handler=fail_once)),
    ]
    await bus.pump()
    assert sorted(done) == ["alert-1", "copy plan-1", "copy plan-1", "score-1"]
    await bus.publish(message("alert", 2))
    await bus.pump()
    assert done[-1] == "alert-2"
    assert await bus.pump() == 0
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert bus.connected
    await bus.close()


async def test_it_keeps_the_newest_entries_of_each_stream(bus: MemoryBus) -> None:
    for seq in range(150):
        await bus.publish(message("plan", seq))
    entries = bus.entries("plan")
    assert [entries[0].seq, entries[-1].seq, len(entries)] == [50, 149, 100]
    seen: list[int] = []

    async def handle(envelope: Envelope) -> None:
        seen.append(envelope.seq)

    task = asyncio.ensure_future(bus.copy_stream("plan", group="h", consumer="c", handler=handle))
    await bus.pump()
    task.cancel()
    assert seen == list(range(50, 150))
