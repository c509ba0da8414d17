"""Series of a forecast on the slots of a plan: gaps filled, published prices first, bands around what is planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from pems_common.messages import Band, Forecast, Prices, Series
from pems_common.timegrid import SLOT
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["PricesAhead", "band_around", "covered_slots", "prices_ahead", "series"]


def covered_slots(forecast: Forecast, horizon: Horizon) -> int:
    """Return the slots from the first one on for which PV, load and weather are forecast; prices may be missing."""
    needed = (forecast.pv_power_w.p50, forecast.load_power_w.p50, forecast.outdoor_temperature_c.p50)
    for t in range(horizon.slots):
        if any(values.at(horizon.at(t)) is None for values in needed):
            return t
    return horizon.slots


def _filled(values: Sequence[float | None], horizon: Horizon) -> Floats:
    """Fill unknown values with those of the same local time a day before, else with the mean."""
    known = [v for v in values if v is not None]
    mean = sum(known) / len(known) if known else 0.0
    out = np.empty(len(values))
    for t, value in enumerate(values):
        if value is None:
            before = horizon.same_time_before(t)
            value = out[before] if 0 <= before < t else mean
        out[t] = value
    return out


def _window(of: Series, horizon: Horizon) -> list[float | None]:
    return of.window(horizon.start, horizon.slots, int(SLOT.total_seconds()))


def series(of: Series, horizon: Horizon) -> Floats:
    """Return a series on the slots of the horizon (T,)."""
    return _filled(_window(of, horizon), horizon)


@dataclass(frozen=True)
class PricesAhead:
    """Prices of import and export [CZK/kWh] (T,), and which of them are published (T,)."""

    buy: Floats
    sell: Floats
    buy_known: Bools
    sell_known: Bools


def _price_series(
    forecast: Band, published: Series | None, known_until: datetime, horizon: Horizon
) -> tuple[Floats, Bools]:
    values = _window(forecast.p50, horizon)
    known: Bools = np.zeros(horizon.slots, dtype=np.bool_)
    if published is not None:
        for t in range(horizon.slots_until(known_until)):
            price = published.at(horizon.at(t))
            if price is not None:
                values[t], known[t] = price, True
    return _filled(values, horizon), known


def prices_ahead(forecast: Forecast, prices: Prices | None, horizon: Horizon) -> PricesAhead:
    """Take published prices where they are, else the middle of the forecast, else what is known of the day before."""
    until = horizon.start if prices is None else prices.known_until
    bought, sold = (None, None) if prices is None else (prices.buy_czk_kwh, prices.sell_czk_kwh)
    buy, buy_known = _price_series(forecast.buy_czk_kwh, bought, until, horizon)
    sell, sell_known = _price_series(forecast.sell_czk_kwh, sold, until, horizon)
    return PricesAhead(buy, sell, buy_known, sell_known)


def band_around(middle: Floats, band: Band, horizon: Horizon, *, known: Bools | None = None) -> tuple[Floats, Floats]:
    """Return P10 and P90 (T,) of a quantity, around the course that is planned with.

    The distance of each to the forecast's own middle is kept, because what is planned with may be that middle plus
    something that is as good as certain. Where a value is `known` there is no distance.
    """
    low, own, high = (series(of, horizon) for of in (band.p10, band.p50, band.p90))
    down, up = np.maximum(own - low, 0.0), np.maximum(high - own, 0.0)
    if known is not None:
        down, up = np.where(known, 0.0, down), np.where(known, 0.0, up)
    return middle - down, middle + up
