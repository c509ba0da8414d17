"""The controller as in a real process: commands and reports run beside the tick, bounded."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.controller.controller_kit import Rig, battery_plan, make_plan, started

from pems_common.errors import PemsError
from pems_controller.adapters.claim import HostLock


async def let_run() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def real_rig() -> Rig:
    rig = await started(Rig(background=True))
    await rig.give(make_plan(rig.home, rig.clock.now(), battery=battery_plan("hold")))
    return rig


class Stuck:
    """A clock whose waits for answers end only when told: acks take their ten seconds."""

    def __init__(self, rig: Rig) -> None:
        self.released = asyncio.Event()
        plain = rig.clock.wait_for

        async def wait_for(awaitable, wall_s):
            if wall_s < 10:
                return await plain(awaitable, wall_s)
            await self.released.wait()
            awaitable.cancel()
            raise TimeoutError

        rig.clock.wait_for = wait_for  # type: ignore[method-assign]


async def test_a_silent_inverter_does_not_hold_up_the_tick_or_the_rooms():
    rig = await real_rig()
    rig.inverter.answers = False
    stuck = Stuck(rig)
    await rig.tick(temperature_c=19.0)
    assert ("pems/relay/big/set", "1") in rig.sent("pems/")
    assert rig.controller.status is not None
    asked = len(rig.inverter.asked)
    await rig.tick(temperature_c=19.0)
    assert len(rig.inverter.asked) == asked  # one command at a time for a device
    assert rig.sent("pems/active") == [("pems/active", "1")]
    stuck.released.set()
    await let_run()
    await rig.controller.stop()


async def test_a_stop_interrupts_what_is_under_way_and_hands_back():
    rig = await real_rig()
    rig.inverter.answers = False
    Stuck(rig)
    await rig.tick(temperature_c=19.0)
    rig.sent()
    rig.inverter.answers = True
    await rig.controller.stop()
    assert ("pems/relay/big/enable", "0") in rig.sent("")
    assert rig.inverter.mode == "load_first"
    assert len(asyncio.all_tasks()) == 1  # nothing is left behind


async def test_a_fault_of_our_own_in_a_command_fails_the_tick(monkeypatch: pytest.MonkeyPatch):
    rig = await real_rig()

    async def broken(*args, **kwargs):
        raise RuntimeError("a fault in the program")

    monkeypatch.setattr(rig.controller._actuators["water"], "apply", broken)
    with pytest.raises(RuntimeError, match="a fault in the program"):
        await rig.tick()
    assert rig.sent("pems/active") == []
    await rig.controller.stop()


async def test_reports_go_out_beside_the_tick():
    rig = await real_rig()
    sending = asyncio.create_task(rig.controller.report_for_ever())
    beating = asyncio.create_task(rig.controller.beat_for_ever())
    await rig.tick()
    assert await rig.bus.latest("status", rig.home.site.id) is None
    await let_run()
    assert await rig.bus.latest("status", rig.home.site.id) is not None
    rig.sent("")
    for _ in range(3):
        rig.clock.advance(10)
        await let_run()
    assert rig.sent("pems/active") == [("pems/active", "1")] * 3
    for task in (sending, beating):
        task.cancel()
    await asyncio.gather(sending, beating, return_exceptions=True)
    await rig.controller.stop()


def test_one_controller_of_a_site_per_host(tmp_path: Path):
    path = tmp_path / "deep" / "home.lock"
    first = HostLock(path)
    with pytest.raises(PemsError, match="another controller"):
        HostLock(path)
    first.release()
    HostLock(path).release()


async def test_a_command_under_way_is_broken_off_when_its_device_stops_being_live():
    rig = await real_rig()
    rig.inverter.script = lambda name, _params, _count: {"success": True, "message": "ok"} if "get" in name else None
    stuck = Stuck(rig)
    await rig.tick()
    rig.inverter.script = None
    rig.controller.set_armed(False, by="test")
    await rig.tick()
    await let_run()
    stuck.released.set()
    await let_run()
    assert "batteryfirst/set/timeslot" not in [n for n, p in rig.inverter.written if p.get("enabled")]
    assert rig.inverter.mode == "load_first"
    assert "battery" not in rig.controller._dispatcher.live  # handed back in the very tick that found it disarmed
    await rig.controller.stop()


async def test_a_hand_back_under_way_is_not_broken_off_by_the_next_tick():
    rig = await real_rig()
    await rig.tick()
    await let_run()
    assert rig.inverter.mode == "batteryfirst"
    rig.inverter.answers = False
    Stuck(rig)
    rig.controller.set_armed(False, by="test")
    await rig.tick()
    under_way = rig.controller._dispatcher._running["battery"]
    await rig.tick()
    assert rig.controller._dispatcher._running["battery"] is under_way
    await rig.controller.stop()
