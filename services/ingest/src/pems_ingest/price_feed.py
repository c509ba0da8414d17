"""Keeps the known day-ahead prices: asks the sources in order, when something should be known and is not.

Times are house time; outside simulations that is wall time.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from pems_common.clock import Clock
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.messages import Prices
from pems_common.timegrid import SLOT, local_day_slots, local_midnight, slot_start
from pems_ingest.domain.prices import build_prices, contiguous_until, fill_gaps, persisted
from pems_ingest.sources.day_prices import MARKET_ZONE
from pems_ingest.sources.port import RateSource, SourceError, SourceHealth, SpotSource

__all__ = ["PriceFeed"]

_log = get_logger("prices")
_PUBLISHED_FROM = time(12, 45)  # the market may publish the next day from here on
_OTHERS_FROM = time(14, 15)  # the first source should have it by now: ask the others too
_OVERDUE_FROM = time(16, 0)
_DAY = timedelta(days=1)
_KEEP = timedelta(days=9)
_RATE_RETRY = timedelta(minutes=10)
_BACKOFF = (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=15))


class PriceFeed:
    """Prices of yesterday, today and, once published, tomorrow."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        sources: Sequence[SpotSource],
        rate: RateSource,
        *,
        poll: timedelta,
        provisional: Collection[str] = (),
    ) -> None:
        """Ask `sources` in this order every `poll` while something is missing; `rate` once a day.

        What a source named in `provisional` gives is used, but asked for again from the others.
        """
        self._provisional = frozenset(provisional)
        self._home, self._clock, self._sources, self._rate_source = home, clock, sources, rate
        self._poll = poll
        self._spot: dict[datetime, float] = {}
        self._from: dict[date, str] = {}
        self._given_up: set[date] = set()
        self._completed: dict[date, tuple[int, bool]] = {}
        self._rate: float | None = None
        self._rate_day: date | None = None
        self._next_rate_at: datetime | None = None
        self._next_at: datetime | None = None
        self._failed_rounds = 0
        self.health = [SourceHealth(s.name) for s in sources]
        self.rate_health = SourceHealth(rate.name)
        self.revision = 0

    def seed(self, prices: Prices) -> None:
        """Take over what an earlier run knew; guesses are left behind."""
        if "persistence" in prices.source:
            return
        series = prices.spot_eur_mwh
        for i, value in enumerate(series.values):
            if value is not None:
                self._spot.setdefault(series.start + i * series.step, value)
        self._rate = self._rate or prices.eur_czk
        self._from.setdefault(series.start.astimezone(MARKET_ZONE).date(), prices.source)
        self.revision += 1

    def due(self, now: datetime) -> bool:
        """Whether something should be asked for now."""
        if self._next_at is not None and now < self._next_at:
            return False
        return bool(self._wanted(now)) or self._rate_due(now)

    async def refresh(self, now: datetime) -> None:
        """Ask for what is missing. Never raises for a source that fails."""
        if self._rate_due(now):
            await self._refresh_rate(now)
        failed = False
        for source, health in zip(self._sources, self.health, strict=True):
            wanted = self._wanted(now)
            if not wanted:
                break
            try:
                got = await source.spot(wanted[0], wanted[-1])
            except SourceError as error:
                failed = True
                health.failed(now, error)
                _log.warning("a source of prices failed", source=source.name, error=error.message)
                if error.retry_after_s is not None:
                    self._next_at = now + timedelta(seconds=error.retry_after_s)
                continue
            health.worked(now, f"{len(got.missing)} slots missing, first {got.missing[0]}" if got.missing else "")
            self._take(got.prices, source.name, wanted, now)
            local = now.astimezone(MARKET_ZONE)
            if self._complete(local.date()) and local.time() < _OTHERS_FROM:
                break  # tomorrow is simply not published yet
        today = now.astimezone(MARKET_ZONE).date()
        if not self._complete(today - _DAY):
            self._given_up = {today - _DAY}  # asked once: it will not come any more
        self._failed_rounds = self._failed_rounds + 1 if failed and self._wanted(now) else 0
        pause = _BACKOFF[min(self._failed_rounds, len(_BACKOFF)) - 1] if self._failed_rounds else self._poll
        self._next_at = max(now + pause, self._next_at or now)

    def message(self, now: datetime) -> Prices | None:
        """Return what is known from yesterday's midnight on; None when nothing is known of this slot at all.

        Gaps of an hour are filled; when today is not known, the same times of the days before stand in, up to the end
        of today. The source's name says so.
        """
        today = now.astimezone(MARKET_ZONE).date()
        spot = dict(self._spot)
        slots = [s for d in (today - _DAY, today, today + _DAY) for s in local_day_slots(d, MARKET_ZONE)]
        gaps = fill_gaps(spot, slots)
        spot.update(gaps)
        guesses = persisted(spot, local_day_slots(today, MARKET_ZONE))
        spot.update(guesses)
        current = slot_start(now)
        until = contiguous_until(spot, current)
        if until == current:
            return None
        start = current
        while start - SLOT in spot and start - SLOT >= slots[0]:
            start -= SLOT
        source = self._from.get(today) or next(reversed(self._from.values()), "unknown")
        if guesses:
            source = f"{source}+persistence"
        elif gaps:
            source = f"{source}+{len(gaps)} slots filled"
        return build_prices(
            spot,
            start=start,
            known_until=until,
            eur_czk=self.eur_czk,
            tariff=self._home.tariff,
            zone=self._home.site.zone,
            source=source,
        )

    @property
    def asked(self) -> bool:
        """Whether any source has been asked yet."""
        return any(h.asked for h in self.health)

    @property
    def eur_czk(self) -> float:
        """The newest known rate, else the one of the configuration."""
        return self._rate if self._rate is not None else self._home.tariff.fallback_eur_czk

    def stale(self, now: datetime) -> str:
        """Return what is overdue, in one sentence; empty when all is well."""
        local = now.astimezone(MARKET_ZONE)
        if slot_start(now) not in self._spot:
            return "no prices for today have come: the prices of the days before stand in"
        if self._from.get(local.date()) in self._provisional:
            return "no prices have come from the internet: generated ones stand in"
        if local.time() >= _OVERDUE_FROM and not self._complete(local.date() + _DAY):
            return "tomorrow's prices should have come by now"
        return ""

    def _take(self, prices: Mapping[datetime, float], name: str, wanted: list[date], now: datetime) -> None:
        for day in wanted:
            if local_midnight(day, MARKET_ZONE) in prices:
                self._from[day] = name
        fresh = {slot: price for slot, price in prices.items() if self._spot.get(slot) != price}
        if not fresh:
            return
        self._spot.update(fresh)
        oldest = now - _KEEP
        self._spot = {slot: price for slot, price in self._spot.items() if slot >= oldest}
        self._completed.clear()
        self._from = {day: source for day, source in self._from.items() if day >= oldest.date()}
        self.revision += 1
        _log.info("new prices", source=name, slots=len(fresh), until=max(fresh).isoformat())

    def _complete(self, day: date) -> bool:
        known = self._completed.get(day)
        if known is None or known[0] != self.revision:
            slots = local_day_slots(day, MARKET_ZONE)
            gaps = fill_gaps(self._spot, slots)
            known = self._completed[day] = (self.revision, all(s in self._spot or s in gaps for s in slots))
        return known[1]

    def _wanted(self, now: datetime) -> list[date]:
        """Days that should be known and are not."""
        local = now.astimezone(MARKET_ZONE)
        today = local.date()
        days = [today - _DAY, today]
        if local.time() >= _PUBLISHED_FROM:
            days.append(today + _DAY)
        return [
            day
            for day in days
            if (day not in self._given_up and not self._complete(day))
            or (day >= today and self._from.get(day) in self._provisional)
        ]

    def _rate_due(self, now: datetime) -> bool:
        if self._next_rate_at is not None and now < self._next_rate_at:
            return False
        return self._rate_day != now.astimezone(MARKET_ZONE).date()

    async def _refresh_rate(self, now: datetime) -> None:
        """Ask the bank once a day; a failure keeps the last rate and asks again in ten minutes."""
        today = now.astimezone(MARKET_ZONE).date()
        try:
            rate = await self._rate_source.eur_czk(today)
        except SourceError as error:
            self.rate_health.failed(now, error)
            self.rate_health.note = f"using {self.eur_czk:g} CZK/EUR"
            self._next_rate_at = now + _RATE_RETRY
            return
        self.rate_health.worked(now)
        self._rate_day, self._next_rate_at = today, None
        if rate != self._rate:
            self._rate = rate
            self.revision += 1
