"""One forecast: everything that is known at the issue time in, the message body out.

Nothing in here looks at a measurement of the running slot or later, at a price that is not released, or at
weather that became available later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pems_common.home import Home
from pems_common.messages import Forecast, Prices, Series, Weather
from pems_forecaster.domain import load, outdoor, prices, pv, pv_bands
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.consensus import Consensus
from pems_forecaster.domain.contest import Contest
from pems_forecaster.domain.fine_weather import fine_weather
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Grid, LocalCalendar
from pems_forecaster.domain.live_model import LiveModel, Situation
from pems_forecaster.domain.residuals import ResidualBook
from pems_forecaster.domain.slot_history import SlotHistory
from pems_forecaster.domain.snow import remember_snow
from pems_forecaster.domain.voices import Voices, listen_to

__all__ = ["KINDS", "SIMPLE", "Contests", "Inputs", "Made", "Said", "horizon_slots", "make_forecast", "remember"]

KINDS = ("pv", "load", "price", "temperature")
MARGIN_H = 6
SIMPLE = {"pv": "physics-1", "load": "climatology-1", "price": "similar-days-1", "temperature": "nwp-1"}
USUAL_CORRELATION = {"pv": 0.85, "load": 0.5, "price": 0.9}
RECENT_SLOTS = 4

Finish = Callable[[Quantiles, ResidualBook], Quantiles]
"""Makes of a base band the one that is published: corrected by own errors, inside its limits."""


@dataclass(frozen=True)
class Inputs:
    """What a forecast is made from.

    Attributes:
        weather: Latest run of the leading provider, None where silent.
        prices: Latest published prices, None where silent.
        history: Slot means; also holds coming prices that are released.
        load_now_w: Uncontrolled load of the running slot so far.
        outdoor_now_c: Outdoor temperature measured last.
        ids: Ids of the messages.
        telemetry_silent: No telemetry lately.
        others: Latest runs of other providers.
    """

    weather: Weather | None
    prices: Prices | None
    history: SlotHistory
    load_now_w: float | None = None
    outdoor_now_c: float | None = None
    ids: tuple[str, ...] = ()
    telemetry_silent: bool = False
    others: tuple[Weather, ...] = ()


_LEADS_H = (0.5, 4.0, 14.0, 38.0)


class Contests:
    """The methods of each kind, and how far each provider of weather is believed.

    Leads: nowcast, half a day, one and two days; prices only where unknown.
    """

    def __init__(self) -> None:
        """Begin with the simple methods."""
        books: dict[str, Callable[[], ResidualBook]] = {
            "pv": lambda: ResidualBook(_LEADS_H, slots_per_day=36.0),
            "load": lambda: ResidualBook(_LEADS_H),
            "price": lambda: ResidualBook((16.0, 26.0, 38.0)),
            "temperature": lambda: ResidualBook(_LEADS_H),
        }
        self.consensus = Consensus()
        self._of = {kind: Contest(SIMPLE[kind], make) for kind, make in books.items()}

    def of(self, kind: str) -> Contest:
        """Return the methods of a kind."""
        return self._of[kind]


@dataclass(frozen=True)
class Said:
    """What one method said.

    Attributes:
        base: What is mixed: the simple method, and a model by its share.
        band: The same, corrected by its own errors.
        model: What the trained model itself said, None for the simple method.
    """

    base: Quantiles
    band: Quantiles
    model: Quantiles | None = None


@dataclass(frozen=True)
class Made:
    """A forecast, and what has to be remembered of it to learn from its errors.

    Attributes:
        body: As published.
        grid: Its slots.
        voices: What each provider expects, and all together.
        said: By kind and version of the method.
        scale: What errors are divided by, by kind; 0 where nothing is learnt.
        price_unknown: 1 where the price is not public, else 0.
        failed: Why models could not be used, by version.
    """

    body: Forecast
    grid: Grid
    voices: Voices
    said: Mapping[str, Mapping[str, Said]]
    scale: Mapping[str, Floats]
    price_unknown: Floats
    failed: Mapping[str, str]


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
    measured = history.free_pv_w(slots, before=grid.first)
    known = np.isfinite(measured) & np.isfinite(clear) & np.isfinite(expected)
    good = known & (np.nan_to_num(clear) > 0.03 * home.pv.inverter_ac_limit_w)
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
    contests: Contests,
    models: Mapping[str, LiveModel] | None = None,
) -> Made:
    """Make one forecast, by all methods that take part; those that are active are published.

    Args:
        home: The site.
        calendar: Local days of the site.
        grid: Slots, with the issue time.
        inputs: What is known.
        contests: Methods, with their own errors so far.
        models: Trained models by version.
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
    lead_h, released = grid.lead_h, prices.released_slot(grid, inputs.prices)
    voices = listen_to(home, grid, inputs.weather, inputs.others, inputs.history, fine, contests.consensus)
    fine, power = voices.weather, voices.power
    profiles = load.load_profile(inputs.history, calendar, grid.first, home.base_load_w)
    load_base = load.load_base(grid, inputs.history, calendar, profiles, inputs.load_now_w)
    error_k = None if inputs.outdoor_now_c is None else inputs.outdoor_now_c - float(fine.temperature_c[0])
    simple: dict[str, tuple[Quantiles, Finish]] = {
        "pv": (
            pv_bands.pv_base(home.pv, power, fine, lead_h, recent_pv),
            lambda band, book: pv_bands.pv_band(home.pv, band, power, lead_h, book),
        ),
        "load": (load_base.band, lambda band, book: load.load_band(band, load_base.scale_w, lead_h, book)),
        "price": (
            prices.spot_base(grid, inputs.history, calendar, released),
            lambda band, book: prices.spot_band(band, lead_h, book),
        ),
        "temperature": (
            outdoor.outdoor_base(fine, lead_h, error_k),
            lambda band, book: outdoor.outdoor_band(band, lead_h, book),
        ),
    }
    situation = Situation(home, calendar, grid, fine, inputs.history, released)
    failed: dict[str, str] = {}
    said = {
        kind: _all_say(contests.of(kind), base, finish, situation, models or {}, failed)
        for kind, (base, finish) in simple.items()
    }
    versions = {kind: _published(contests.of(kind), said[kind]) for kind in KINDS}
    best = {kind: said[kind][version].band for kind, version in versions.items()}
    bands = prices.price_bands(grid, inputs.prices, best["price"], home.tariff, home.site.zone)
    degraded = [*fine.degraded, *bands.degraded]
    if (power.bare < 1.0)[power.clear_w > 0.0].any():
        degraded.append("snow_on_roof")
    if inputs.telemetry_silent:
        degraded.append("no_telemetry")
    start = grid.start
    body = Forecast(
        issued_at=grid.issued_at,
        available_at=grid.issued_at,
        horizon_s=grid.count * SLOT_S,
        pv_power_w=best["pv"].message(start, 1),
        load_power_w=best["load"].message(start, 1),
        buy_czk_kwh=bands.buy.message(start, 5),
        sell_czk_kwh=bands.sell.message(start, 5),
        outdoor_temperature_c=best["temperature"].message(start, 2),
        solar_w_m2={
            name: Series.of(start, SLOT_S, values.tolist(), 1) for name, values in pv.facade_irradiance(fine).items()
        },
        correlation={kind: contests.of(kind).book.correlation() or usual for kind, usual in USUAL_CORRELATION.items()},
        models=versions,
        coverage=_coverage(contests),
        inputs=inputs.ids,
        degraded=tuple(degraded),
    )
    ones = np.ones(grid.count)
    return Made(
        body=body,
        grid=grid,
        voices=voices,
        said=said,
        scale={
            # Twilight errors relative to almost nothing teach nothing: those slots are not remembered.
            "pv": np.where(power.clear_w > 0.02 * home.pv.inverter_ac_limit_w, power.clear_w, 0.0),
            "load": load_base.scale_w,
            "temperature": ones,
            "price": ones,
        },
        price_unknown=np.where(bands.known, 0.0, 1.0),
        failed=failed,
    )


def _all_say(
    contest: Contest,
    simple: Quantiles,
    finish: Finish,
    situation: Situation,
    models: Mapping[str, LiveModel],
    failed: dict[str, str],
) -> dict[str, Said]:
    """Let each method speak; a model that cannot is passed over, and told in `failed`."""
    said = {contest.simple: Said(simple, finish(simple, contest.arms[contest.simple].book))}
    for version in contest.models:
        arm = contest.arms[version]
        try:
            own = models[version].predict(situation)
        except Exception as error:  # whatever is wrong with a model, the house needs its forecast
            failed[version] = f"{type(error).__name__}: {error}"
            continue
        own = own.filled(simple)
        base = arm.mixed(simple, own)
        said[version] = Said(base, finish(base, arm.book), own)
    return said


def _published(contest: Contest, said: Mapping[str, Said]) -> str:
    """The active method, or the simple one where it could not speak."""
    return contest.active if contest.active in said else contest.simple


def _coverage(contests: Contests) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        days = {str(day): contests.of(kind).book.coverage_pct(day) for day in (1, 2)}
        known = {day: share for day, share in days.items() if share is not None}
        if known:
            result[kind] = known
    return result


def remember(made: Made, contests: Contests, history: SlotHistory) -> None:
    """Remember what each method said, to compare it with the truth later."""
    for kind in KINDS:
        contest, scale = contests.of(kind), made.scale[kind]
        usable = made.price_unknown if kind == "price" else np.ones(made.grid.count)
        simple = made.said[kind][contest.simple].base
        for version, said in made.said[kind].items():
            arm = contest.arms.get(version)
            if arm is None:  # it was taken out while the forecast was published
                continue
            lean = None if said.model is None else said.model.p50 - simple.p50
            arm.book.remember(made.grid.slots, simple.p50, scale, said.band, lean=lean, usable=usable)
            if said.model is not None:
                arm.listen(made.grid.slots, simple, said.model, np.where(scale > 0.0, usable, 0.0))
    first, voices = made.grid.first, made.voices
    contests.consensus.remember(made.grid, voices.pv_w, voices.temperature_c)
    remember_snow(history, first, voices.weather.snow, voices.power.snow_cover, voices.power.bare)
    history.put("pv_expected_w", first, float(voices.power.expected_w[0]))
    history.put("pv_clear_w", first, float(voices.power.clear_w[0]))
    if not voices.weather.guessed[0]:
        history.put("ghi_w_m2", first, float(voices.weather.ghi_w_m2[0]))
        history.put("cloud_pct", first, float(voices.weather.cloud_pct[0]))
