"""Wiring and start of ingest."""

from typing import cast

import httpx

from pems_common.history import HistoryStore
from pems_common.runner import BackgroundTask, Running, Runtime, run_service
from pems_ingest.adapters.loxone_udp import LoxoneUdp
from pems_ingest.adapters.spool import Spool
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.api import make_router
from pems_ingest.feeds import choose_feeds
from pems_ingest.handlers import IngestHandlers
from pems_ingest.past_weather import PastWeather
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.fetch import Fetcher

__all__ = ["build", "main"]


def build(rt: Runtime) -> Running:
    """Wire the service; nothing outside is needed yet."""
    own = IngestSettings()
    client = httpx.AsyncClient(follow_redirects=True, limits=httpx.Limits(max_connections=8))
    feeds = choose_feeds(rt.settings, own, rt.home, rt.clock, Fetcher(client, rt.clock))
    rt.log.info("prices and weather", source=feeds.label)
    store = SqliteHistory(own.history or rt.settings.data / "history.sqlite3", rt.home.site.id)
    handlers = _Service(
        rt.home,
        rt.clock,
        rt.bus,
        rt.mqtt,
        cast(HistoryStore, store),
        feeds.prices,
        feeds.weather,
        inline=feeds.inline,
        spool=Spool(rt.settings.data / "history.spool", max_bytes=own.spool_max_mb * 1_000_000),
        metrics=rt.metrics,
        instance=rt.instance,
        label=feeds.label,
    )
    handlers.owns(client, store)
    sensors = rt.home.devices.sensors
    udp = LoxoneUdp(
        own.loxone_udp_bind or rt.settings.bind_host,
        sensors.udp_port if own.loxone_udp_port is None else own.loxone_udp_port,
        handlers.intake.udp_line,
        handlers.intake.udp_dropped,
    )
    background: list[BackgroundTask] = [udp.run, *handlers.background()]
    if feeds.past is not None:
        past = PastWeather(feeds.past, store, handlers.history, rt.clock, site=rt.home.site.id, source=rt.source)
        background.append(past.run)
    return Running(handlers, routers=[make_router(handlers, store, rt.home, rt.clock)], background=background)


class _Service(IngestHandlers):
    """The handlers together with what this process opened for them."""

    _client: httpx.AsyncClient
    _store: SqliteHistory

    def owns(self, client: httpx.AsyncClient, store: SqliteHistory) -> None:
        """Remember what to close."""
        self._client, self._store = client, store

    async def stop(self) -> None:
        """Store what is in hand, then close."""
        await super().stop()
        await self._client.aclose()
        await self._store.close()


def main() -> None:
    """Run ingest."""
    run_service("ingest", build)


if __name__ == "__main__":
    main()
