"""From spot prices to what a kWh costs and earns: tariff, gaps, and yesterday's prices where today's never came."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pems_common.home.tariff import Tariff
from pems_common.messages import Prices, Series
from pems_common.timegrid import SLOT

__all__ = ["build_prices", "contiguous_until", "fill_gaps", "persisted"]

_DAY = timedelta(days=1)
_GAP_SLOTS_MAX = 4  # an hour: what the autumn clock change leaves out in some sources


def contiguous_until(spot: Mapping[datetime, float], start: datetime) -> datetime:
    """Return the end of the unbroken run of known slots that begins at `start`; `start` when there is none."""
    at = start
    while at in spot:
        at += SLOT
    return at


def fill_gaps(spot: Mapping[datetime, float], slots: Sequence[datetime]) -> dict[datetime, float]:
    """Return values for gaps of at most an hour between known slots: the price before the gap holds on."""
    filled: dict[datetime, float] = {}
    gap: list[datetime] = []
    before: float | None = None
    for slot in slots:
        value = spot.get(slot)
        if value is None:
            gap.append(slot)
            continue
        if before is not None and len(gap) <= _GAP_SLOTS_MAX:
            filled.update(dict.fromkeys(gap, before))
        before, gap = value, []
    return filled


def persisted(spot: Mapping[datetime, float], slots: Sequence[datetime], days: int = 7) -> dict[datetime, float]:
    """Return for each unknown slot the price at the same time of the nearest known day before, at most `days`."""
    found: dict[datetime, float] = {}
    for slot in slots:
        if slot in spot:
            continue
        earlier = (spot.get(slot - i * _DAY) for i in range(1, days + 1))
        value = next((v for v in earlier if v is not None), None)
        if value is not None:
            found[slot] = value
    return found


def build_prices(
    spot: Mapping[datetime, float],
    *,
    start: datetime,
    known_until: datetime,
    eur_czk: float,
    tariff: Tariff,
    zone: ZoneInfo,
    source: str,
) -> Prices:
    """Return the message for the slots of `[start, known_until)`.

    Args:
        spot: EUR/MWh by slot start; slots in between may be unknown (None in the series).
        start: First slot.
        known_until: End of the last slot.
        eur_czk: CZK per EUR.
        tariff: What is added to spot, by local time.
        zone: Local time of the tariff's windows.
        source: Where the prices come from.
    """
    count = (known_until - start) // SLOT
    slots = [start + i * SLOT for i in range(count)]
    buy: list[float | None] = []
    sell: list[float | None] = []
    for slot in slots:
        eur_mwh = spot.get(slot)
        if eur_mwh is None:
            buy.append(None)
            sell.append(None)
            continue
        buy_czk_kwh, sell_czk_kwh = tariff.prices(eur_mwh * eur_czk / 1000.0, slot, zone)
        buy.append(buy_czk_kwh)
        sell.append(sell_czk_kwh)
    version = tariff.at(slots[-1] if slots else start, zone)
    return Prices(
        spot_eur_mwh=Series.of(start, 900, [spot.get(slot) for slot in slots]),
        eur_czk=round(eur_czk, 4),
        buy_czk_kwh=Series.of(start, 900, buy, digits=5),
        sell_czk_kwh=Series.of(start, 900, sell, digits=5),
        known_until=known_until,
        source=source,
        tariff_version=f"{tariff.name}@{version.valid_from.isoformat()}",
    )
