"""The bus on a Redis or Valkey server (commands of Redis 7.0): state as latest value plus poke, work in groups.

Reading never raises because the server is away; publishing does, and soon, so that no tick hangs on it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

from redis.exceptions import RedisError

from pems_common.bus.port import WorkHandler
from pems_common.bus.redis_watch import Watcher
from pems_common.bus.redis_wire import AWAY, RedisClient, decode, make_client
from pems_common.bus.redis_work import Worker, WorkLimits
from pems_common.bus.scripts import PUBLISH
from pems_common.cancellation import Cancellation
from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.logs import get_logger
from pems_common.messages import CATALOG, Envelope
from pems_common.metrics import Metrics

__all__ = ["RedisBus", "latest_key", "subjects_key"]

T = TypeVar("T")
_log = get_logger("bus")
_LAG_WARNING = 0.7
_OLDEST_SERVER = 7


def latest_key(type: str, site: str, subject: str = "") -> str:
    """Name of the key of a latest value (a hash with the fields of the entry)."""
    return f"pems:latest:{type}:{site}:{subject}"


def subjects_key(type: str, site: str) -> str:
    """Name of the set of subjects of a type that have a latest value."""
    return f"pems:subjects:{type}:{site}"


class RedisBus:
    """Implements the `Bus` port."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        metrics: Metrics | None = None,
        limits: WorkLimits | None = None,
        homes: int = 1,
        publish_timeout_s: float = 2.0,
        probe_timeout_s: float = 0.5,
        probe_every_s: float = 2.0,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: The server, with password.
            clock: Gives wall time.
            metrics: Where the bus shows how it is.
            limits: Limits of handling work.
            homes: Homes that share this server: streams keep the catalogue's retention for each.
            publish_timeout_s: Wall time after which publishing gives up.
            probe_timeout_s: The same while the server is known to be away.
            probe_every_s: How often it is asked then; other calls fail at once.
        """
        self._url = url
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._limits = limits or WorkLimits()
        self._homes = max(1, homes)
        self._timeout_s, self._probe_timeout_s, self._probe_every_s = publish_timeout_s, probe_timeout_s, probe_every_s
        self._client = make_client(url, timeout_s=publish_timeout_s)
        self._publish = self._client.register_script(PUBLISH)
        self._down = False
        self._next_probe = 0.0
        self._lag_texts: dict[str, str] = {}
        counter = self._metrics.counter
        self._published = counter("bus_published", "Messages published", ["stream"])
        self._refused = counter("bus_refused", "States not published because a newer one was there", ["stream"])
        self._failures = counter("bus_failures", "Calls the server did not answer")
        self._unreadable = counter("bus_unreadable", "Entries and keys that could not be read", ["stream"])

    @property
    def connected(self) -> bool:
        """Whether the last call was answered."""
        return not self._down

    def retention(self, type: str) -> int:
        """MAXLEN of the stream of a type."""
        return CATALOG[type].retention * self._homes

    async def publish(self, envelope: Envelope) -> bool:
        """Publish a message; False when a newer state was there.

        Work types keep their latest value too (newest `seq`); a cleared alert deletes it.

        Raises:
            UnavailableError: The server did not take it (it may have, when it answered too late).
        """
        kind = CATALOG[envelope.type]
        mode: str = kind.kind
        if envelope.type == "alert" and envelope.body.get("cleared_at") is not None:
            mode = "clear"
        keys = [
            latest_key(envelope.type, envelope.site, envelope.subject),
            kind.stream,
            subjects_key(envelope.type, envelope.site),
        ]
        arguments: list[str | int] = [
            mode,
            self.retention(envelope.type),
            envelope.seq,
            envelope.id,
            envelope.subject,
        ]
        for name, value in envelope.to_fields().items():
            arguments += (name, value)
        taken = bool(await self._ask(lambda: self._publish(keys=keys, args=arguments)))
        (self._published if taken else self._refused).labels(kind.stream).inc()
        return taken

    async def latest(self, type: str, site: str, subject: str = "") -> Envelope | None:
        """Return the latest state of one subject; None when there is none, or the server is away."""
        try:
            fields = await self._ask(lambda: self._client.hgetall(latest_key(type, site, subject)))
        except UnavailableError:
            return None
        return self._read(type, fields)

    async def latest_all(self, type: str, site: str) -> dict[str, Envelope]:
        """Return the latest states of all subjects of a type, by subject; none when the server is away."""
        try:
            return await self._ask(lambda: self._read_keys(self._client, type, site))
        except UnavailableError:
            return {}

    async def forget(self, type: str, site: str, subject: str = "") -> None:
        """Delete a latest value.

        Raises:
            UnavailableError: The server did not take it.
        """

        async def delete() -> None:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.delete(latest_key(type, site, subject))
                pipe.srem(subjects_key(type, site), subject)
                await pipe.execute()

        await self._ask(delete)

    async def watch(self, types: Collection[str], site: str) -> AsyncIterator[Envelope]:
        """Yield the latest states, then each new one, for ever; after a reconnect the latest ones again."""
        watcher = Watcher(
            sorted(types),
            site,
            self._clock,
            self._metrics,
            connect=self._connect,
            read_keys=self._read_keys,
            block_s=self._limits.block_s,
        )
        async for envelope in watcher.states():
            yield envelope

    async def work(self, type: str, *, group: str, consumer: str, handler: WorkHandler) -> None:
        """Handle each entry at least once per group, for ever. Entries of every site come."""

        def report(group: str, lag: int, retention: int) -> None:
            near = lag > _LAG_WARNING * retention
            text = f"{lag} of {retention} entries wait unread: those beyond are lost" if near else ""
            name = f"{type}/{group}"
            if near and not self._lag_texts.get(name):
                _log.error("a stream is about to be trimmed unread", stream=type, group=group, lag=lag)
            self._lag_texts[name] = text

        await Worker(
            type,
            group,
            consumer,
            handler,
            self._clock,
            self._metrics,
            connect=self._connect,
            limits=self._limits,
            retention=self.retention(type),
            report_lag=report,
        ).run()

    async def copy_stream(self, type: str, *, group: str, consumer: str, handler: WorkHandler) -> None:
        """Like `work`, for a state stream: every entry of it."""
        await self.work(type, group=group, consumer=consumer, handler=handler)

    async def ping(self) -> bool:
        """Ask whether the server answers now (at most 1 wall second)."""
        try:
            await self._clock.wait_for(self._client.ping(), 1.0)
        except (RedisError, *AWAY):
            self._set_down()
            return False
        self._set_up()
        return True

    def lag_warnings(self) -> dict[str, str]:
        """Say for each `type/group` handled here what is wrong with its lag; empty text: nothing."""
        return dict(self._lag_texts)

    async def check_server(self) -> list[str]:
        """Say what about the server does not fit an unattended house; empty when all is well."""
        try:
            about: Mapping[str, Any] = await self._ask(self._client.info)
        except UnavailableError as error:
            return [error.message]
        found = []
        if (policy := about.get("maxmemory_policy")) != "noeviction":
            found.append(f"maxmemory-policy is {policy}: set it to noeviction, or the bus loses messages unseen")
        if not about.get("aof_enabled"):
            found.append("the append-only file is off: set appendonly yes, or a restart loses what was published")
        version = str(about.get("redis_version", "0"))
        if int(version.partition(".")[0] or 0) < _OLDEST_SERVER:
            found.append(f"the server speaks Redis {version}: 7.0 or newer is needed")
        return found

    async def close(self) -> None:
        """Release the shared connections; readers release theirs when cancelled."""
        await self._client.aclose()

    def _connect(self) -> RedisClient:
        return make_client(self._url, timeout_s=self._limits.block_s + self._limits.answer_s, single=True)

    def _read(self, type: str, fields: Mapping[bytes, bytes]) -> Envelope | None:
        if not fields:
            return None
        try:
            return decode(fields, type)
        except ValueError as error:
            self._unreadable.labels(CATALOG[type].stream).inc()
            _log.error("unreadable latest value", type=type, error=str(error)[:200])
            return None

    async def _read_keys(self, client: RedisClient, type: str, site: str) -> dict[str, Envelope]:
        subjects = sorted(raw.decode() for raw in await client.smembers(subjects_key(type, site)))
        if not subjects:
            return {}
        async with client.pipeline(transaction=False) as pipe:
            for subject in subjects:
                pipe.hgetall(latest_key(type, site, subject))
            answers = await pipe.execute()
        found = {subject: self._read(type, fields) for subject, fields in zip(subjects, answers, strict=True)}
        return {subject: envelope for subject, envelope in found.items() if envelope is not None}

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the server; retry shortly, but not while it is known to be away.

        Raises:
            UnavailableError: No answer, or it refused (out of memory, read-only, loading).
        """
        probing = self._down
        cancellation = Cancellation()
        now = self._clock.monotonic()
        if probing:
            if now < self._next_probe:
                raise UnavailableError("the Redis server is away")
            self._next_probe = now + self._probe_every_s
        deadline = now + (self._probe_timeout_s if probing else self._timeout_s)
        wait_s = 0.05
        while True:
            try:
                answer = await self._clock.wait_for(ask(), max(0.05, deadline - self._clock.monotonic()))
            except AWAY as error:
                if probing or self._clock.monotonic() + wait_s >= deadline:
                    self._set_down()
                    self._failures.inc()
                    reason = f"{type(error).__name__}: {error}".rstrip(": ")
                    raise UnavailableError(f"the Redis server is away: {reason}") from error
                await self._clock.sleep_wall(wait_s)
                wait_s *= 2
            except RedisError as error:
                self._failures.inc()
                raise UnavailableError(f"the Redis server refused: {error}") from error
            else:
                self._set_up()
                cancellation.check()
                return answer

    def _set_down(self) -> None:
        if not self._down:
            _log.warning("the Redis server is away")
        self._down = True
        self._next_probe = self._clock.monotonic() + self._probe_every_s

    def _set_up(self) -> None:
        if self._down:
            _log.info("the Redis server is back")
        self._down = False
