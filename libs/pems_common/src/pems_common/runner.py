"""Runs a service as a process: HTTP, bus, MQTT, the tick in house time, background tasks, and a clean stop.

A service starts and stays up whether or not Redis and the MQTT broker are there; readiness tells.
"""

import asyncio
import inspect
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from fastapi import APIRouter, FastAPI

from pems_common.aio_mqtt import AioMqtt
from pems_common.api import create_app
from pems_common.auth import Auth
from pems_common.bus import Bus
from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import Clock, open_clock
from pems_common.errors import PemsError
from pems_common.health import Health
from pems_common.home import Home, load_home
from pems_common.http_server import HttpServer
from pems_common.logs import Logger, setup_logging
from pems_common.metrics import Metrics
from pems_common.service import Service
from pems_common.service_loop import ServiceLoop
from pems_common.settings import ServiceSettings
from pems_common.surroundings import watch_surroundings

__all__ = ["BackgroundTask", "Running", "Runtime", "run_service", "serve"]

BackgroundTask = Callable[[], Coroutine[Any, Any, None]]

_STOP_S = 10.0
_START_TRIES_S = (1.0, 2.0, 5.0, 10.0)


@dataclass
class Runtime:
    """What a service's `build` gets to wire itself with.

    Attributes:
        name: Name of the service.
        settings: The machine's configuration.
        home: The site's configuration.
        clock: House and wall time.
        bus: The bus; never raises because its server is away, except when publishing.
        mqtt: The broker's client; not started when the service was run with `mqtt=False`.
        health: Where to report checks.
        metrics: Where to count.
        auth: Checks API keys.
        app: The FastAPI app; routers are better given by `Running`.
        log: This service's logger.
        instance: Name of this process.
        stop: Set when the process is to end.
    """

    name: str
    settings: ServiceSettings
    home: Home
    clock: Clock
    bus: Bus
    mqtt: AioMqtt
    health: Health
    metrics: Metrics
    auth: Auth
    app: FastAPI
    log: Logger
    instance: str
    stop: asyncio.Event

    @property
    def source(self) -> str:
        """The `source` of this process' messages: `service@instance`."""
        return f"{self.name}@{self.instance}"


@dataclass
class Running:
    """What a service's `build` returns.

    Attributes:
        service: Its logic.
        routers: Its HTTP routes.
        background: Functions that return coroutines which run for ever (copying streams, serving UDP);
            one that crashes is started again, one that returns is done.
    """

    service: Service
    routers: Sequence[APIRouter] = ()
    background: Sequence[BackgroundTask] = ()


Build = Callable[[Runtime], Running | Awaitable[Running]]


def run_service(
    name: str,
    build: Build,
    *,
    mqtt: bool = True,
    requires: Collection[str] = ("redis", "mqtt"),
    settings: ServiceSettings | None = None,
) -> None:
    """Run a service until SIGTERM or SIGINT; exits with 1 when it cannot go on, 2 on wrong settings or a taken port.

    Args:
        name: Name of the service, as in `PEMS_<NAME>_PORT`.
        build: Wires the service; must not need Redis or the broker yet.
        mqtt: Whether the service speaks MQTT.
        requires: Which of `redis` and `mqtt` it is not ready without; the other is only reported.
        settings: Instead of reading them from the environment.
    """
    try:
        code = asyncio.run(serve(name, build, mqtt=mqtt, requires=requires, settings=settings))
    except PemsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = 2
    except ValueError as error:  # pydantic: a PEMS_ variable is wrong
        print(f"{name}: wrong settings: {error}", file=sys.stderr)
        code = 2
    if code:
        sys.exit(code)


async def serve(
    name: str,
    build: Build,
    *,
    mqtt: bool = True,
    requires: Collection[str] = ("redis", "mqtt"),
    settings: ServiceSettings | None = None,
    stop: asyncio.Event | None = None,
) -> int:
    """Run a service inside a running loop until `stop` is set or a signal comes; returns the exit code.

    Raises:
        PemsError: The settings or home.yaml are wrong.
    """
    rt = _make_runtime(name, settings or ServiceSettings(), stop or asyncio.Event())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
            loop.add_signal_handler(number, rt.stop.set)
    try:
        return await _run(rt, build, mqtt=mqtt, requires=requires)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)


def _make_runtime(name: str, settings: ServiceSettings, stop: asyncio.Event) -> Runtime:
    clock = open_clock(settings.clock_file)
    instance = settings.instance
    log = setup_logging(name, instance, level=settings.log_level, form=settings.log_format, clock=clock)
    if settings.clock_file is not None and not settings.clock_file.exists():
        log.warning("no clock file: house time is real time", path=str(settings.clock_file))
    metrics, health = Metrics(process=True), Health(clock)
    try:
        version = metadata.version("pems")
    except metadata.PackageNotFoundError:
        version = ""
    hosts = {part.strip() for part in settings.allowed_hosts.split(",") if part.strip()}
    return Runtime(
        name=name,
        settings=settings,
        home=load_home(settings.home),
        clock=clock,
        bus=RedisBus(settings.redis_address(), clock, metrics=metrics),
        mqtt=AioMqtt(
            settings.mqtt_host,
            settings.mqtt_port,
            f"pems-{name}-{instance}-{secrets.token_hex(3)}",
            settings.mqtt_username,
            settings.mqtt_secret(),
            clock,
            metrics=metrics,
        ),
        health=health,
        metrics=metrics,
        auth=Auth.open(settings, clock),
        app=create_app(name, health=health, metrics=metrics, version=version, allowed_hosts=hosts),
        log=log,
        instance=instance,
        stop=stop,
    )


async def _run(rt: Runtime, build: Build, *, mqtt: bool, requires: Collection[str]) -> int:
    built = build(rt)
    running = await built if inspect.isawaitable(built) else built
    for router in running.routers:
        rt.app.include_router(router)
    rt.health.declare("started", required=True)
    server = HttpServer(rt.app, rt.settings.bind_host, rt.settings.port_of(rt.name))
    loop = ServiceLoop(rt.name, running.service, rt.home.site.id, rt.clock, rt.bus, rt.health, rt.metrics)
    tasks: list[asyncio.Task[Any]] = []
    code = 0
    try:
        await server.start()
        rt.log.info("listening", host=rt.settings.bind_host, port=rt.settings.port_of(rt.name), speed=rt.clock.speed)
        if not await _start(rt, running.service):
            return 1
        if mqtt:
            await rt.mqtt.start()
        tasks += [
            asyncio.create_task(loop.tick_for_ever(rt.stop), name="tick"),
            asyncio.create_task(loop.watch_for_ever(), name="watch"),
            asyncio.create_task(watch_surroundings(rt, mqtt=mqtt, requires=requires), name="surroundings"),
            *(asyncio.create_task(loop.keep_running(work), name="background") for work in running.background),
        ]
        ended = asyncio.create_task(server.ended(), name="http")
        stopping = asyncio.create_task(rt.stop.wait(), name="stop")
        tasks += [ended, stopping]
        done, _ = await asyncio.wait({ended, stopping, *tasks[:1]}, return_when=asyncio.FIRST_COMPLETED)
        if stopping not in done:
            rt.log.critical("the service cannot go on", ended=sorted(task.get_name() for task in done))
            code = 1
        elif rt.health.silent():
            code = 1
    finally:
        await _stop(rt, running.service, server, tasks)
    return code


async def _start(rt: Runtime, service: Service) -> bool:
    """Start the service; what is unavailable now is tried again a few times."""
    for wait_s in (*_START_TRIES_S, None):
        try:
            await service.start()
        except Exception as error:
            rt.health.set("started", False, "the service could not start; its log tells more")
            rt.log.error("the service could not start", again_in_s=wait_s, exc_info=error)
            if wait_s is None:
                return False
            with suppress(TimeoutError):
                await rt.clock.wait_for(rt.stop.wait(), wait_s)
            if rt.stop.is_set():
                return False
        else:
            rt.health.set("started", True)
            return True
    return False


async def _stop(rt: Runtime, service: Service, server: HttpServer, tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Stop in order: no new ticks, hand back while MQTT still works, then the connections."""
    rt.stop.set()
    rt.log.info("stopping")
    ticking = [task for task in tasks if task.get_name() == "tick"]
    if ticking:
        await asyncio.wait(ticking, timeout=_STOP_S / 2)  # a tick that began may end
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_STOP_S / 2)
    parts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("service", service.stop),
        ("mqtt", rt.mqtt.stop),
        ("http", server.stop),
        ("bus", rt.bus.close),
    ]
    if "started" in rt.health.failing():
        del parts[0]
    for what, stop in parts:
        try:
            await asyncio.wait_for(stop(), _STOP_S)
        except Exception as error:
            rt.log.error("could not stop cleanly", part=what, exc_info=error)
    rt.log.info("stopped")
