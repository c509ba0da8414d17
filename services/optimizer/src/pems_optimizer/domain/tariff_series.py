"""Prices and PV ahead: what is known where it is known, the forecast's middle beyond; and as evcc's rates."""

from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from pems_common.messages import Forecast, Plan, Prices
from pems_common.timegrid import SLOT, slot_start
from pems_optimizer.domain.problem import Floats

__all__ = ["Usage", "forecast_or_known", "planner_rates", "rates_ahead"]

Usage = Literal["grid", "feedin", "solar"]

_DAYS_AHEAD = 4


def forecast_or_known(
    start: datetime, slots: int, step_s: int, forecast: Forecast | None, prices: Prices | None
) -> tuple[Floats, Floats]:
    """Return the prices of import and export [CZK/kWh] (T,), 0 where nothing is known."""
    buy, sell = np.zeros(slots), np.zeros(slots)
    for t in range(slots):
        at = start + timedelta(seconds=t * step_s)
        for out, value in ((buy, _price(at, "grid", forecast, prices)), (sell, _price(at, "feedin", forecast, prices))):
            out[t] = 0.0 if value is None else value
    return buy, sell


def _price(at: datetime, usage: Usage, forecast: Forecast | None, prices: Prices | None) -> float | None:
    if prices is not None and at < prices.known_until:
        value = (prices.buy_czk_kwh if usage == "grid" else prices.sell_czk_kwh).at(at)
        if value is not None:
            return value
    if forecast is None:
        return None
    return (forecast.buy_czk_kwh if usage == "grid" else forecast.sell_czk_kwh).p50.at(at)


def rates_ahead(
    usage: Usage, now: datetime, zone: ZoneInfo, forecast: Forecast | None, prices: Prices | None
) -> list[dict[str, Any]]:
    """Return evcc's rates from the slot that holds `now` on, as far as something is known, at most 4 days.

    Args:
        usage: `grid` and `feedin`: price per kWh; `solar`: mean PV power [W].
        now: House time.
        zone: Instants carry this zone's offset.
        forecast: The newest forecast.
        prices: The newest prices.

    Returns:
        `{start, end, value}` per slot, instants in RFC 3339, sorted; slots of which nothing is known are left out.
    """
    first, rates = slot_start(now), []
    for t in range(_DAYS_AHEAD * 96):
        start = first + t * SLOT
        if usage == "solar":
            value = None if forecast is None else forecast.pv_power_w.p50.at(start)
        else:
            value = _price(start, usage, forecast, prices)
        if value is not None:
            rates.append(_rate(start, SLOT, zone, value))
    return rates


def planner_rates(plan: Plan, now: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Return the plan's own price of energy as evcc's rates, from the slot that holds `now` on.

    It is what one more kWh would cost the house in that slot, battery, PV and peak counted: what a charger should
    plan with. Empty where the plan carries none, as that of the rules.
    """
    step = timedelta(seconds=plan.step_s)
    starts = [plan.start + t * step for t in range(len(plan.price_czk_kwh))]
    return [
        _rate(start, step, zone, value)
        for start, value in zip(starts, plan.price_czk_kwh, strict=True)
        if start + step > now
    ]


def _rate(start: datetime, step: timedelta, zone: ZoneInfo, value: float) -> dict[str, Any]:
    local = [at.astimezone(zone).isoformat() for at in (start, start + step)]
    return {"start": local[0], "end": local[1], "value": round(value, 4)}
