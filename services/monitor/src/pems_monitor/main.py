"""Wiring and start of the monitor: `python -m pems_monitor.main`."""

import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from fastapi import FastAPI

from pems_common.auth import Auth, KeyFile
from pems_common.clock import Clock
from pems_common.home import Home
from pems_common.runner import Running, Runtime, run_service
from pems_monitor.accounts import ensure_account
from pems_monitor.adapters.gateway import GATEWAY_SERVICES, Gateway
from pems_monitor.adapters.ingest_history import IngestHistory
from pems_monitor.adapters.performance_store import PerformanceStore, performance_path
from pems_monitor.adapters.services import ServiceClients
from pems_monitor.adapters.store import MonitorStore, store_path
from pems_monitor.domain.formats import Language
from pems_monitor.domain.state import ServiceHealth
from pems_monitor.handlers import MonitorHandlers
from pems_monitor.performance_book import PerformanceBook

__all__ = ["build", "house_language", "install", "look_around", "main"]

_HEALTH_EVERY_S = 3.0
_HISTORY_EVERY_S = 20.0
_POOL = httpx.Limits(max_connections=20, max_keepalive_connections=10)


def house_language(home: Home) -> Language:
    """The language to speak to a browser that names none we know: the house's own."""
    return "cs" if home.site.country in {"CZ", "SK"} else "en"


def install(
    app: FastAPI,
    *,
    handlers: MonitorHandlers,
    clients: ServiceClients,
    gateway: Gateway,
    store: MonitorStore,
    auth: Auth,
    keys: KeyFile,
    clock: Clock,
    book: PerformanceBook | None = None,
    page: bool = True,
) -> None:
    """Put guard, login, REST and page on an app; the page last, because it takes every other path."""
    from pems_monitor.api import api_router
    from pems_monitor.web.guard import PageGuard
    from pems_monitor.web.login import login_router

    language = house_language(handlers.home)
    app.add_middleware(PageGuard, store=store)
    app.include_router(login_router(store, clock, default_language=language))
    app.include_router(api_router(handlers, auth, gateway, book))
    if page:
        from pems_monitor.web.context import PageParts
        from pems_monitor.web.page import install_page

        install_page(app, PageParts(handlers, clients, store, keys), default_language=language)


async def look_around(
    handlers: MonitorHandlers, clients: ServiceClients, clock: Clock, bus_up: Callable[[], Awaitable[bool]]
) -> None:
    """Ask the services how they are, ingest for the past, the forecaster for the rooms, for ever (wall time)."""
    next_history_s = 0.0
    while True:
        services = [await clients.health(name) for name in clients.names]
        services.append(ServiceHealth("bus", "ready" if await bus_up() else "down"))
        handlers.set_services(services)
        if clock.monotonic() >= next_history_s:
            next_history_s = clock.monotonic() + _HISTORY_EVERY_S
            window: tuple[datetime, datetime] = handlers.history_window
            start = window[0] - timedelta(hours=1)
            handlers.set_history(start, await clients.history(start, window[1]))
            handlers.set_room_models(await clients.room_models())
        await clock.sleep_wall(_HEALTH_EVERY_S)


def _page_storage(data: Path) -> None:
    """NiceGUI writes below its storage path; in a read-only container only the data directory is writable."""
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(data / "monitor" / "nicegui"))


async def build(rt: Runtime) -> Running:
    """Wire the monitor."""
    settings = rt.settings
    _page_storage(settings.data)
    store = MonitorStore(store_path(settings.data), rt.clock)
    named = os.environ.get("PEMS_PAGE_PASSWORD_FILE")
    password = ensure_account(store, password_file=Path(named) if named else None)
    if password is not None:
        # The only time it is seen. On standard output, not in the log: logs are kept and passed around.
        print(f"page password created (shown once): {password}", flush=True)
        rt.log.info("page account created")
    handlers = MonitorHandlers(rt.home, rt.clock, rt.bus, store)
    client = httpx.AsyncClient(limits=_POOL, trust_env=False)
    urls = {name: settings.url_of(name) for name in GATEWAY_SERVICES}
    shown = {**urls, **({"house": settings.url_of("house")} if rt.home.devices.simulated else {})}
    clients = ServiceClients(client, shown, internal_key=rt.auth.internal_key, home=rt.home)
    history = IngestHistory(client, settings.url_of("ingest"), internal_key=rt.auth.internal_key)
    book = PerformanceBook(rt.home, rt.clock, history, PerformanceStore(performance_path(settings.data)))
    install(
        rt.app,
        handlers=handlers,
        clients=clients,
        gateway=Gateway(client, urls, internal_key=rt.auth.internal_key),
        store=store,
        auth=rt.auth,
        keys=KeyFile(settings.keys_file),
        clock=rt.clock,
        book=book,
    )

    async def bus_up() -> bool:
        check = rt.health.checks.get("redis")
        return check is not None and check.ok

    async def watch_services() -> None:
        await look_around(handlers, clients, rt.clock, bus_up)

    async def follow_alerts() -> None:
        await rt.bus.work("alert", group="monitor", consumer=rt.instance, handler=handlers.on_alert)

    async def follow_controller() -> None:
        await rt.bus.copy_stream("status", group="monitor", consumer=rt.instance, handler=book.on_status)

    return Running(service=handlers, background=(watch_services, follow_alerts, follow_controller, book.watch))


def main() -> None:
    """Run until told to stop."""
    run_service("monitor", build, mqtt=False, requires=())


if __name__ == "__main__":
    main()
