"""What the bus promises, on every adapter and server: in memory, on the embedded Valkey, on a system's Redis."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.bus_backends import (
    FAST,
    MemoryBackend,
    RedisBackend,
    Tasks,
    binaries,
    eventually,
    message,
)

from pems_common.errors import PermanentError, UnavailableError
from pems_common.messages import CATALOG, Envelope

Backend = MemoryBackend | RedisBackend
BINARIES = binaries()


@pytest.fixture(params=["memory", *BINARIES])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    made = MemoryBackend() if request.param == "memory" else RedisBackend(tmp_path, BINARIES[request.param])
    yield made
    await made.close()


@pytest.fixture(params=list(BINARIES))
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RedisBackend]:
    made = RedisBackend(tmp_path, BINARIES[request.param])
    yield made
    await made.close()


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    running = Tasks()
    yield running
    await running.stop()


# --- state --------------------------------------------------------------------------------------


async def test_a_late_older_plan_never_replaces_a_newer_one(backend: Backend) -> None:
    bus = backend.bus()
    newer, older = message("plan", 200), message("plan", 100)
    assert await bus.publish(newer)
    assert not await bus.publish(older)
    assert await bus.latest("plan", "home") == newer
    assert await backend.length("plan") == 1


async def test_equal_seq_with_another_id_replaces(backend: Backend) -> None:
    bus = backend.bus()
    first, second = message("plan", 5), message("plan", 5)
    assert await bus.publish(first)
    assert await bus.publish(second)
    assert await bus.latest("plan", "home") == second


async def test_the_same_id_twice_is_one_state(backend: Backend) -> None:
    bus = backend.bus()
    plan = message("plan", 5)
    assert await bus.publish(plan)
    assert await bus.publish(plan)
    assert await bus.latest("plan", "home") == plan
    assert await backend.length("plan") == 1


async def test_latest_values_are_kept_by_site_and_subject(backend: Backend) -> None:
    bus = backend.bus()
    kitchen, hall = message("thermal", subject="kitchen"), message("thermal", subject="hall")
    for state in (kitchen, hall, message("thermal", subject="kitchen", site="other")):
        await bus.publish(state)
    assert await bus.latest_all("thermal", "home") == {"hall": hall, "kitchen": kitchen}
    await bus.forget("thermal", "home", "kitchen")
    assert await bus.latest_all("thermal", "home") == {"hall": hall}
    assert await bus.latest("thermal", "home", "kitchen") is None
    assert await bus.latest("thermal", "home", "nowhere") is None


async def test_a_watcher_sees_the_present_state_first_and_then_changes(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    present = message("plan", 1)
    await bus.publish(present)
    await bus.publish(message("prices", 1))
    seen = tasks.watch(backend.bus(), "plan", "forecast")
    await eventually(lambda: seen == [present])
    changes = [message("forecast", 1), message("plan", 2), message("plan", 3)]
    for change in changes:
        await bus.publish(change)
    await eventually(lambda: len(seen) == 4)
    assert {envelope.id for envelope in seen[1:]} == {envelope.id for envelope in changes}
    assert [envelope.seq for envelope in seen if envelope.type == "plan"] == [1, 2, 3]


async def test_a_watcher_hears_nothing_of_other_sites_and_of_refused_states(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    seen = tasks.watch(backend.bus(), "plan")
    await bus.publish(message("plan", 1))
    await eventually(lambda: len(seen) == 1)
    await bus.publish(message("plan", 9, site="other"))
    await bus.publish(message("plan", 5))
    await bus.publish(message("plan", 4))
    await bus.publish(message("plan", 6))
    await eventually(lambda: len(seen) >= 3)
    assert [envelope.seq for envelope in seen] == [1, 5, 6]


async def test_a_large_plan_passes(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    plan = message("plan", 1, body={"values": ["0123456789" * 10] * 2000})
    seen = tasks.watch(backend.bus(), "plan")
    await bus.publish(plan)
    await eventually(lambda: seen == [plan])
    assert await bus.latest("plan", "home") == plan


async def test_a_stream_is_trimmed_at_its_retention(backend: Backend) -> None:
    bus = backend.bus()
    for seq in range(250):
        await bus.publish(message("plan", seq, body={"filling": "x" * 2000}))
    assert 100 <= await backend.length("plan") <= 200
    latest = await bus.latest("plan", "home")
    assert latest is not None
    assert latest.seq == 249


async def test_a_cleared_alert_deletes_its_key(backend: Backend) -> None:
    bus = backend.bus()
    raised = message("alert", 1, subject="price_missing", body={"cleared_at": None})
    await bus.publish(raised)
    assert await bus.latest_all("alert", "home") == {"price_missing": raised}
    await bus.publish(message("alert", 2, subject="price_missing", body={"cleared_at": "2026-01-01T00:00:00Z"}))
    assert await bus.latest_all("alert", "home") == {}
    assert await backend.length("alert") == 2


# --- work ---------------------------------------------------------------------------------------


async def test_competing_consumers_share_the_work_and_groups_see_all(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    done: dict[str, list[int]] = {"a": [], "b": [], "copy": []}

    def handler(name: str) -> "object":
        async def handle(envelope: Envelope) -> None:
            await asyncio.sleep(0.002)
            done[name].append(envelope.seq)

        return handle

    for seq in range(20):  # before any group: it begins at 0
        await bus.publish(message(seq=seq))
    tasks.run(backend.bus().work("score", group="page", consumer="a", handler=handler("a")))  # type: ignore[arg-type]
    tasks.run(backend.bus().work("score", group="page", consumer="b", handler=handler("b")))  # type: ignore[arg-type]
    tasks.run(
        backend.bus().copy_stream("score", group="history", consumer="c", handler=handler("copy"))  # type: ignore[arg-type]
    )
    for seq in range(20, 100):
        await bus.publish(message(seq=seq))
        await asyncio.sleep(0.001)
    await eventually(lambda: len(done["copy"]) == 100 and len(done["a"]) + len(done["b"]) == 100)
    assert sorted(done["a"] + done["b"]) == list(range(100))
    assert done["copy"] == list(range(100))
    assert done["a"]
    assert done["b"]


async def test_a_handler_that_fails_twice_gets_its_entry_again(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    tries: list[int] = []

    async def handle(envelope: Envelope) -> None:
        tries.append(envelope.seq)
        if envelope.seq == 7 and tries.count(7) < 3:
            raise RuntimeError("not yet")

    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    for seq in (6, 7, 8):
        await bus.publish(message(seq=seq))
    await eventually(lambda: len(tries) == 5)
    assert sorted(tries) == [6, 7, 7, 7, 8]
    assert await backend.dead_letters("score") == []


async def test_an_entry_that_always_fails_is_buried_after_five_deliveries(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    tries: list[int] = []

    async def handle(envelope: Envelope) -> None:
        tries.append(envelope.seq)
        if envelope.seq == 1:
            raise RuntimeError("never")

    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    await bus.publish(message(seq=1))
    await bus.publish(message(seq=2))
    letters: list[dict[str, str]] = []
    async with asyncio.timeout(10):
        while not letters:
            letters = await backend.dead_letters("score")
            await asyncio.sleep(0.02)
    assert tries.count(1) == 5
    assert tries.count(2) == 1
    assert letters[0]["reason"] == "failed: RuntimeError: never"
    assert letters[0]["deliveries"] == "5"
    assert letters[0]["seq"] == "1"


async def test_a_permanent_error_is_buried_at_once(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    tries: list[int] = []

    async def handle(envelope: Envelope) -> None:
        tries.append(envelope.seq)
        raise PermanentError("of a version from the future")

    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    await bus.publish(message(seq=1))
    letters: list[dict[str, str]] = []
    async with asyncio.timeout(10):
        while not letters:
            letters = await backend.dead_letters("score")
            await asyncio.sleep(0.02)
    assert tries == [1]
    assert letters[0]["reason"].startswith("permanent: of a version from the future")


async def test_poisoned_entries_are_buried_and_the_rest_is_handled(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    await backend.inject("score", {"nothing": "known"})
    await backend.inject("score", {**message().to_fields(), "body": "{no json"})
    await backend.inject("score", {**message().to_fields(), "at": "yesterday"})
    await bus.publish(message(seq=5))
    seen = tasks.watch(backend.bus(), "score")
    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    await eventually(lambda: done == [5])
    letters = await backend.dead_letters("score")
    assert len(letters) == 3
    assert all(letter["reason"].startswith("undecodable: ") for letter in letters)
    assert letters[0]["nothing"] == "known"
    await eventually(lambda: [envelope.seq for envelope in seen][:1] == [5])


async def test_handling_goes_on_after_its_stream_was_deleted(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    await bus.publish(message(seq=1))
    await eventually(lambda: done == [1])
    await asyncio.sleep(0.05)
    await backend.delete_stream("score")
    await bus.publish(message(seq=2))
    await eventually(lambda: done == [1, 2])
    await backend.wipe()
    await bus.publish(message(seq=3))
    await eventually(lambda: done == [1, 2, 3])


async def test_watching_goes_on_after_everything_was_wiped(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    seen = tasks.watch(backend.bus(), "plan")
    await bus.publish(message("plan", 10))
    await eventually(lambda: len(seen) == 1)
    await backend.wipe()
    assert await bus.latest("plan", "home") is None
    assert await bus.publish(message("plan", 3))  # nothing newer is there any more
    await eventually(lambda: seen[-1].seq == 3)
    await backend.delete_stream("plan")
    await bus.publish(message("plan", 4))
    await eventually(lambda: seen[-1].seq == 4)


async def test_a_cancelled_consumer_leaves_its_entry_to_others(backend: Backend, tasks: Tasks) -> None:
    bus = backend.bus()
    started: list[int] = []
    done: list[int] = []

    async def hang(envelope: Envelope) -> None:
        started.append(envelope.seq)
        await asyncio.sleep(60)

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    first = tasks.run(bus.work("score", group="g", consumer="a", handler=hang))
    await bus.publish(message(seq=1))
    await eventually(lambda: started == [1])
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    tasks.run(backend.bus().work("score", group="g", consumer="b", handler=handle))
    await eventually(lambda: done == [1])


# --- servers that fail --------------------------------------------------------------------------

CONSUMER = """
    import asyncio, sys
    from pems_common.bus.redis_streams import RedisBus
    from pems_common.clock import SystemClock

    async def handle(envelope):
        print(envelope.seq, flush=True)
        if envelope.seq == 3:
            await asyncio.sleep(60)

    bus = RedisBus(sys.argv[1], SystemClock())
    asyncio.run(bus.work("score", group="g", consumer="doomed", handler=handle))
"""


async def test_kill_9_in_the_middle_loses_nothing(served: RedisBackend, tasks: Tasks) -> None:
    bus = served.bus()
    for seq in range(10):
        await bus.publish(message(seq=seq))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(CONSUMER), served.server.url, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    by_child = [int(await asyncio.wait_for(child.stdout.readline(), 30)) for _ in range(4)]
    child.send_signal(signal.SIGKILL)
    await child.wait()
    assert by_child == [0, 1, 2, 3]
    assert await served.pending("score", "g") > 0
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    tasks.run(bus.work("score", group="g", consumer="heir", handler=handle))
    await bus.publish(message(seq=10))
    await eventually(lambda: {*by_child[:3], *done} == set(range(11)))
    assert 3 in done
    assert not {0, 1, 2} & set(done)


async def test_a_consumer_started_anew_takes_its_own_entries_at_once(served: RedisBackend, tasks: Tasks) -> None:
    slow = FAST.__class__(handler_s=30, idle_margin_s=15, block_s=0.2, answer_s=0.5)
    bus = served.bus(slow)
    started: list[int] = []

    async def hang(envelope: Envelope) -> None:
        started.append(envelope.seq)
        await asyncio.sleep(60)

    first = tasks.run(bus.work("score", group="g", consumer="me", handler=hang))
    for seq in (1, 2, 3):
        await bus.publish(message(seq=seq))
    await eventually(lambda: started == [1])
    first.cancel()
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    tasks.run(bus.work("score", group="g", consumer="me", handler=handle))
    await eventually(lambda: sorted(done) == [1, 2, 3], 3)


async def test_a_handler_over_its_limit_is_cancelled(served: RedisBackend, tasks: Tasks) -> None:
    bus = served.bus()
    tries: list[int] = []

    async def handle(envelope: Envelope) -> None:
        tries.append(envelope.seq)
        if len(tries) == 1:
            await asyncio.sleep(60)

    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    await bus.publish(message(seq=1))
    await eventually(lambda: tries == [1, 1], 5)
    assert served.metrics.value("bus_retries_total", {"stream": "pems.score", "group": "g"}) == 1


async def test_a_full_batch_of_slow_handlers_is_not_taken_over(served: RedisBackend, tasks: Tasks) -> None:
    done: list[tuple[str, int]] = []

    def handler(name: str):
        async def handle(envelope: Envelope) -> None:
            await asyncio.sleep(0.12)
            done.append((name, envelope.seq))

        return handle

    bus = served.bus()
    for seq in range(16):  # one batch, together longer than the idle time
        await bus.publish(message(seq=seq))
    tasks.run(served.bus().work("score", group="g", consumer="a", handler=handler("a")))
    await asyncio.sleep(0.1)
    tasks.run(served.bus().work("score", group="g", consumer="b", handler=handler("b")))
    await eventually(lambda: len(done) >= 16)
    assert sorted(seq for _, seq in done) == list(range(16))


async def test_an_entry_whose_consumer_always_dies_is_buried(served: RedisBackend, tasks: Tasks) -> None:
    bus = served.bus()
    await bus.publish(message(seq=1))
    raw = served.raw
    await raw.xgroup_create("pems.score", "g", id="0")
    for n in range(5):
        if n == 0:
            await raw.xreadgroup("g", "dead", {"pems.score": ">"})
        else:
            await raw.xautoclaim("pems.score", "g", "dead", 0)

    async def handle(envelope: Envelope) -> None:
        raise AssertionError("it must not be handled a sixth time")

    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    letters: list[dict[str, str]] = []
    async with asyncio.timeout(10):
        while not letters:
            letters = await served.dead_letters("score")
            await asyncio.sleep(0.05)
    assert letters[0]["reason"] == "its consumer died each time it was handled"
    assert await served.pending("score", "g") == 0


async def test_bytes_that_are_no_text_are_buried(served: RedisBackend, tasks: Tasks) -> None:
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    await served.inject("score", {**message().to_fields(), b"\xff\xfe": b"\x80"})
    bus = served.bus()
    await bus.publish(message(seq=2))
    seen = tasks.watch(bus, "score")
    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    await eventually(lambda: done == [2] and len(seen) == 1)
    assert len(await served.dead_letters("score")) == 1


async def test_nothing_is_lost_when_the_server_is_restarted(served: RedisBackend, tasks: Tasks) -> None:
    bus = served.bus()
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    seen = tasks.watch(served.bus(), "plan")
    working = tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    plan = message("plan", 1)
    await bus.publish(plan)
    for seq in (1, 3):
        await bus.publish(message(seq=seq))
    await eventually(lambda: done == [1, 3] and seen == [plan])
    while await served.pending("score", "g"):  # what is handled and not yet acknowledged comes again, rightly
        await asyncio.sleep(0.01)
    served.server.stop()
    with pytest.raises(UnavailableError):
        await bus.publish(message("plan", 2))
    assert not bus.connected
    assert await bus.latest("plan", "home") is None
    assert await bus.latest_all("plan", "home") == {}
    assert not await bus.ping()
    served.server.start()
    await eventually(lambda: len(seen) >= 2)  # the state comes again after a reconnect
    assert seen[-1] == plan
    await asyncio.sleep(0.25)
    assert await bus.publish(message("plan", 2))
    await bus.publish(message(seq=4))
    await eventually(lambda: seen[-1].seq == 2 and done == [1, 3, 4])
    assert await bus.ping()
    assert not working.done()


async def test_a_server_that_hangs_beyond_the_timeouts_and_goes_on(served: RedisBackend, tasks: Tasks) -> None:
    bus = served.bus()
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    seen = tasks.watch(served.bus(), "plan")
    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    await bus.publish(message("plan", 1))
    await bus.publish(message(seq=1))
    await eventually(lambda: done == [1] and len(seen) == 1)
    served.server.pause()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(UnavailableError):
        await bus.publish(message("plan", 2))
    assert loop.time() - began < 1.0
    began = loop.time()
    for _ in range(20):  # a controller goes on publishing: that must not hold it up
        with pytest.raises(UnavailableError):
            await bus.publish(message("plan", 2))
    assert loop.time() - began < 0.5
    await asyncio.sleep(1.0)
    served.server.resume()
    await eventually(lambda: len(seen) >= 2)
    await asyncio.sleep(0.25)
    await bus.publish(message("plan", 5))
    await bus.publish(message(seq=2))
    await eventually(lambda: seen[-1].seq == 5 and done[-1] == 2)


async def test_a_bus_made_before_its_server_works_when_it_comes(served: RedisBackend, tasks: Tasks) -> None:
    served.server.kill()
    bus = served.bus()
    seen = tasks.watch(bus, "plan")
    done: list[int] = []

    async def handle(envelope: Envelope) -> None:
        done.append(envelope.seq)

    tasks.run(bus.work("score", group="g", consumer="c", handler=handle))
    with pytest.raises(UnavailableError):
        await bus.publish(message("plan", 1))
    served.server.start()
    await asyncio.sleep(0.25)
    await bus.publish(message("plan", 1))
    await bus.publish(message(seq=1))
    await eventually(lambda: len(seen) >= 1 and done == [1])


async def test_a_state_is_written_whole_or_not_at_all_when_memory_is_short(served: RedisBackend) -> None:
    bus = served.bus()
    plan = message("plan", 1)
    await bus.publish(plan)
    await served.raw.config_set("maxmemory", "1")
    with pytest.raises(UnavailableError, match="refused"):
        await bus.publish(message("plan", 2))
    assert await bus.latest("plan", "home") == plan
    assert await served.length("plan") == 1
    await served.raw.config_set("maxmemory", "0")
    assert await bus.publish(message("plan", 2))


async def test_the_servers_setup_is_checked(served: RedisBackend) -> None:
    bus = served.bus()
    assert await bus.check_server() == []
    await served.raw.config_set("maxmemory-policy", "allkeys-lru")
    await served.raw.config_set("appendonly", "no")
    problems = await bus.check_server()
    assert len(problems) == 2
    assert "noeviction" in problems[0]
    served.server.kill()
    assert len(await bus.check_server()) == 1


async def test_lag_pending_and_the_danger_of_trimming_are_shown(served: RedisBackend, tasks: Tasks) -> None:
    bus = served.bus()
    for seq in range(750):
        await bus.publish(message("alert", seq))
    assert CATALOG["alert"].retention == 1000
    go_on = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        await go_on.wait()

    working = served.bus(FAST.__class__(handler_s=30, block_s=0.2, answer_s=0.5, stats_s=0.1))
    tasks.run(working.work("alert", group="g", consumer="c", handler=handle))
    await eventually(lambda: "alert/g" in working.lag_warnings())
    assert "wait unread" in working.lag_warnings()["alert/g"]
    assert served.metrics.value("bus_lag", {"stream": "pems.alert", "group": "g"}) == 750
    go_on.set()
    await eventually(lambda: working.lag_warnings()["alert/g"] == "")
    handled = {"stream": "pems.alert", "group": "g"}
    await eventually(lambda: served.metrics.value("bus_handled_total", handled) == 750)
