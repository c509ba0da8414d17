"""Watches what a process depends on (Redis, the broker, its own ticks) and reports it to health and log."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from pems_common.bus.redis_streams import RedisBus
from pems_common.service_loop import stacks

if TYPE_CHECKING:
    from pems_common.runner import Runtime

__all__ = ["watch_surroundings"]

_EVERY_S = 2.0
_GIVE_UP_AFTER = 3


async def watch_surroundings(rt: "Runtime", *, mqtt: bool, requires: Collection[str]) -> None:
    """Look around every 2 wall seconds, for ever.

    A service whose ticks have stopped for long is told to end, so that its supervisor starts a new one: a hung
    controller must not stay.
    """
    rt.health.declare("redis", required="redis" in requires)
    if mqtt:
        rt.health.declare("mqtt", required="mqtt" in requires)
    checked_server = False
    silent_looks = 0
    while True:
        if isinstance(rt.bus, RedisBus):
            up = await rt.bus.ping()
            rt.health.set("redis", up, "" if up else "the Redis server does not answer")
            if up and not checked_server:
                checked_server = True
                await _report_server(rt, rt.bus)
            elif not up:
                checked_server = False
            for name, text in rt.bus.lag_warnings().items():
                rt.health.set(f"lag:{name}", not text, text, required=False)
        if mqtt:
            rt.health.set("mqtt", rt.mqtt.connected, "" if rt.mqtt.connected else "no connection to the MQTT broker")
        silent = rt.health.silent()
        silent_looks = silent_looks + 1 if silent else 0
        if silent_looks >= _GIVE_UP_AFTER:  # not at once: this process may itself have been paused
            rt.log.critical("the service hangs, ending it", silent_s=silent, stacks=stacks())
            rt.stop.set()
            return
        await rt.clock.sleep_wall(_EVERY_S)


async def _report_server(rt: "Runtime", bus: RedisBus) -> None:
    problems = await bus.check_server()
    for text in problems:
        rt.log.error("the Redis server is not set up as the bus needs it", problem=text)
    rt.health.set("redis_setup", not problems, "; ".join(problems), required=False)
