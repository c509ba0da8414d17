"""Prices as the rules see them: what a kWh costs now, which slots of the day are cheap, what comes later."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from pems_common.messages import Prices
from pems_common.timegrid import SLOT, local_day_slots, slot_range, slot_start

__all__ = ["PriceView", "view_prices"]

_CHEAP_SHARE = 0.25
_SPREAD_MIN_CZK_KWH = 0.3


@dataclass(frozen=True)
class PriceView:
    """Known purchase prices around an instant [CZK/kWh].

    Attributes:
        slot: The slot that holds now.
        now: Its price, None where unknown.
        today: Known (slot, price) of the local day.
        ahead: Known (slot, price) from now on for at most 24 h, the present slot first.
    """

    slot: datetime
    now: float | None
    today: tuple[tuple[datetime, float], ...] = ()
    ahead: tuple[tuple[datetime, float], ...] = ()

    @property
    def known(self) -> bool:
        """Whether the present slot has a price."""
        return self.now is not None

    @cached_property
    def cheap_now(self) -> bool:
        """Whether now belongs to the cheapest quarter of a day whose prices differ enough to matter."""
        prices = sorted(price for _, price in self.today)
        if self.now is None or not prices or prices[-1] - prices[0] < _SPREAD_MIN_CZK_KWH:
            return False
        return self.now <= prices[max(0, int(len(prices) * _CHEAP_SHARE) - 1)]

    def cheapest_today(self, count: int) -> frozenset[datetime]:
        """Return the `count` cheapest slots of the local day (the earlier of equals)."""
        return frozenset(slot for slot, _ in sorted(self.today, key=lambda item: (item[1], item[0]))[:count])

    def dearest_later(self, count: int) -> float | None:
        """Return the mean price of the `count` dearest slots after the present one; None where none is known."""
        dear = sorted((price for slot, price in self.ahead if slot > self.slot), reverse=True)[:count]
        return sum(dear) / len(dear) if dear else None

    def mean_until(self, end: datetime) -> float | None:
        """Return the mean of the known prices from now to `end`."""
        prices = [price for slot, price in self.ahead if slot < end]
        return sum(prices) / len(prices) if prices else None


def view_prices(prices: Prices | None, now: datetime, zone: ZoneInfo) -> PriceView:
    """Pick from a prices message what the rules need at an instant."""
    slot = slot_start(now)
    if prices is None:
        return PriceView(slot, None)
    series = prices.buy_czk_kwh

    def known(slots: list[datetime]) -> tuple[tuple[datetime, float], ...]:
        pairs = ((at, series.at(at)) for at in slots if at < prices.known_until)
        return tuple((at, price) for at, price in pairs if price is not None)

    ahead = known(slot_range(slot, timedelta(hours=24) // SLOT))
    today = known(local_day_slots(now.astimezone(zone).date(), zone))
    return PriceView(slot, ahead[0][1] if ahead and ahead[0][0] == slot else None, today, ahead)
