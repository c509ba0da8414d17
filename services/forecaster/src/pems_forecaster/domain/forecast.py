"""One forecast: everything that is known at the issue time in, the message body out.

Nothing in here looks at a measurement of the running slot or later, at a price that is not released, or at
weather that became available later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pems_common.home import Home
from pems_common.messages import Forecast, Prices, Series, Weather
from pems_forecaster.domain import load, outdoor, prices, pv, pv_bands
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.fine_weather import FineWeather, fine_weather
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Grid, LocalCalendar
from pems_forecaster.domain.residuals import ResidualBook
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["KINDS", "LIMITED_SHARE", "Books", "Inputs", "Made", "horizon_slots", "make_forecast", "remember"]

KINDS = ("pv", "load", "price", "temperature")
MARGIN_H = 6
VERSIONS = {"pv": "physics-1", "load": "climatology-1", "price": "similar-days-1", "temperature": "nwp-1"}
USUAL_CORRELATION = {"pv": 0.85, "load": 0.5, "price": 0.9}
RECENT_SLOTS = 4
LIMITED_SHARE = 0.3
"""A slot in which PV was held back for longer than this share teaches nothing."""


@dataclass(frozen=True)
class Inputs:
    """What a forecast is made from.

    Attributes:
        weather: Latest run, None where silent.
        prices: Latest published prices, None where silent.
        history: Slot means; also holds coming prices that are released.
        load_now_w: Uncontrolled load of the running slot so far.
        outdoor_now_c: Outdoor temperature measured last.
        ids: Ids of the messages.
        telemetry_silent: No telemetry lately.
    """

    weather: Weather | None
    prices: Prices | None
    history: SlotHistory
    load_now_w: float | None = None
    outdoor_now_c: float | None = None
    ids: tuple[str, ...] = ()
    telemetry_silent: bool = False


@dataclass
class Books:
    """Own errors per kind. Leads: nowcast, half a day, one and two days; prices only where unknown."""

    pv: ResidualBook = field(default_factory=lambda: ResidualBook((0.5, 4.0, 14.0, 38.0), slots_per_day=36.0))
    load: ResidualBook = field(default_factory=lambda: ResidualBook((0.5, 4.0, 14.0, 38.0)))
    price: ResidualBook = field(default_factory=lambda: ResidualBook((16.0, 26.0, 38.0)))
    temperature: ResidualBook = field(default_factory=lambda: ResidualBook((0.5, 4.0, 14.0, 38.0)))

    def of(self, kind: str) -> ResidualBook:
        """Return the book of a kind."""
        return {"pv": self.pv, "load": self.load, "price": self.price, "temperature": self.temperature}[kind]


@dataclass(frozen=True)
class Made:
    """A forecast, and what has to be remembered of it to learn from its errors."""

    body: Forecast
    grid: Grid
    weather: FineWeather
    pv_expected_w: Floats
    pv_clear_w: Floats
    base: Mapping[str, Floats]
    scale: Mapping[str, Floats]
    bands: Mapping[str, Quantiles]
    price_unknown: Floats


def horizon_slots(home: Home) -> int:
    """Slots of a forecast: the plan's horizon and a margin."""
    return (home.optimization.horizon_h + MARGIN_H) * 4


def _recent_pv_error(home: Home, history: SlotHistory, grid: Grid) -> tuple[float | None, float | None]:
    """Return (mean error relative to clear sky over the last hour, clear-sky index of the last day).

    What was expected of past slots is in the history as `pv_expected_w` and `pv_clear_w`.
    """
    slots = np.arange(grid.first - SLOTS_PER_DAY, grid.first, dtype=np.int64)
    expected = history.at("pv_expected_w", slots, before=grid.first)
    clear = history.at("pv_clear_w", slots, before=grid.first)
    measured = history.at("pv_w", slots, before=grid.first)
    limited = np.nan_to_num(history.at("pv_limited", slots, before=grid.first)) > LIMITED_SHARE
    known = np.isfinite(measured) & np.isfinite(clear) & np.isfinite(expected)
    good = known & ~limited & (np.nan_to_num(clear) > 0.03 * home.pv.inverter_ac_limit_w)
    index = None
    if good.sum() >= 8:
        index = float(np.clip(measured[good].sum() / clear[good].sum(), 0.05, 1.0))
    good[:-RECENT_SLOTS] = False
    if not good.any():
        return None, index
    return float(np.clip(np.mean((measured[good] - expected[good]) / clear[good]), -0.8, 0.8)), index


def make_forecast(
    home: Home,
    calendar: LocalCalendar,
    grid: Grid,
    inputs: Inputs,
    books: Books,
) -> Made:
    """Make one forecast.

    Args:
        home: The site.
        calendar: Local days of the site.
        grid: Slots, with the issue time.
        inputs: What is known.
        books: Own errors so far.
    """
    recent_pv, clear_index = _recent_pv_error(home, inputs.history, grid)
    fine = fine_weather(
        grid,
        inputs.weather,
        inputs.history,
        latitude=home.site.latitude,
        longitude=home.site.longitude,
        altitude_m=home.site.altitude_m,
        clear_index=clear_index,
    )
    lead_h = grid.lead_h
    power = pv.pv_power(home.pv, fine)
    pv_base = pv_bands.pv_base(home.pv, power, fine, lead_h, recent_pv)
    pv_band = pv_bands.pv_band(home.pv, pv_base, power, lead_h, books.pv)
    profiles = load.load_profile(inputs.history, calendar, grid.first, home.base_load_w)
    load_base = load.load_base(grid, inputs.history, calendar, profiles, inputs.load_now_w)
    load_band = load.load_band(load_base, lead_h, books.load)
    error_k = None if inputs.outdoor_now_c is None else inputs.outdoor_now_c - float(fine.temperature_c[0])
    air_base = outdoor.outdoor_base(fine, lead_h, error_k)
    air_band = outdoor.outdoor_band(air_base, lead_h, books.temperature)
    bands = prices.price_bands(grid, inputs.prices, inputs.history, calendar, home.tariff, home.site.zone, books.price)
    degraded = [*fine.degraded, *bands.degraded]
    if inputs.telemetry_silent:
        degraded.append("no_telemetry")
    start = grid.start
    body = Forecast(
        issued_at=grid.issued_at,
        available_at=grid.issued_at,
        horizon_s=grid.count * SLOT_S,
        pv_power_w=pv_band.message(start, 1),
        load_power_w=load_band.message(start, 1),
        buy_czk_kwh=bands.buy.message(start, 5),
        sell_czk_kwh=bands.sell.message(start, 5),
        outdoor_temperature_c=air_band.message(start, 2),
        solar_w_m2={
            name: Series.of(start, SLOT_S, values.tolist(), 1) for name, values in pv.facade_irradiance(fine).items()
        },
        correlation={kind: books.of(kind).correlation() or usual for kind, usual in USUAL_CORRELATION.items()},
        models=VERSIONS,
        coverage=_coverage(books),
        inputs=inputs.ids,
        degraded=tuple(degraded),
    )
    ones = np.ones(grid.count)
    return Made(
        body=body,
        grid=grid,
        weather=fine,
        pv_expected_w=power.expected_w,
        pv_clear_w=power.clear_w,
        base={
            "pv": pv_base.p50,
            "load": load_base.band.p50,
            "temperature": air_base.p50,
            "price": bands.spot_base_eur.p50,
        },
        scale={
            # Twilight errors relative to almost nothing teach nothing: those slots are not remembered.
            "pv": np.where(power.clear_w > 0.02 * home.pv.inverter_ac_limit_w, power.clear_w, 0.0),
            "load": load_base.scale_w,
            "temperature": ones,
            "price": ones,
        },
        bands={"pv": pv_band, "load": load_band, "temperature": air_band, "price": bands.spot_eur},
        price_unknown=np.where(bands.known, 0.0, 1.0),
    )


def _coverage(books: Books) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        days = {str(day): books.of(kind).coverage_pct(day) for day in (1, 2)}
        known = {day: share for day, share in days.items() if share is not None}
        if known:
            result[kind] = known
    return result


def remember(made: Made, books: Books, history: SlotHistory) -> None:
    """Remember what a forecast said, to compare it with the truth later."""
    for kind in KINDS:
        books.of(kind).remember(
            made.grid.slots,
            made.base[kind],
            made.scale[kind],
            made.bands[kind],
            usable=made.price_unknown if kind == "price" else None,
        )
    first = made.grid.first
    history.put("pv_expected_w", first, float(made.pv_expected_w[0]))
    history.put("pv_clear_w", first, float(made.pv_clear_w[0]))
    if not made.weather.guessed[0]:
        history.put("ghi_w_m2", first, float(made.weather.ghi_w_m2[0]))
        history.put("cloud_pct", first, float(made.weather.cloud_pct[0]))
