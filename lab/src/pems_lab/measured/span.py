"""What a house really did: every series of a span out of its stored history, with its gaps, on one 15-min grid.

Nothing is made up silently: short gaps are closed in a straight line and counted, a local day with a longer one is
told as unusable with its reason, and what a series lacks on the whole is told with what to do about it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.errors import PemsError, PermanentError
from pems_common.held_back import held_back
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.messages import Prices, read_body
from pems_common.timegrid import SLOT, local_midnight, require_utc, slot_range, slot_start
from pems_common.world import WeatherSample
from pems_common.world.recorded import HourlyWeather
from pems_common.world.sky import cos_zenith, split_beam_diffuse
from pems_forecaster.domain.facade_sun import facade_history
from pems_forecaster.domain.grid import slot_no
from pems_forecaster.domain.lessons import MEASURED, Lessons, WeatherRun
from pems_forecaster.domain.live_pv import taught

__all__ = ["Coverage", "Gap", "MeasuredDay", "MeasuredSpan", "Missing", "SpotSource", "read_span"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SpotSource = Callable[[datetime], float | None]
"""Day-ahead price [EUR/MWh] of the slot that begins at an instant, None where it is not known."""

_HOUR = timedelta(hours=1)
_CLOSED_SLOTS = 8
"""Gaps of at most two hours are closed in a straight line."""
_DAY_SHARE = 0.8
"""Of a day's slots that must be measured, not closed."""
_ROOM_SHARE = 0.5
"""Of the span in which a room must be measured to be one of the house."""
_MOST_GAPS = 50
_BRIGHT_W, _LEAST_BRIGHT_SLOTS = 200.0, 24
_AC_SHARES = (0.85, 1.1)
"""What PV on the AC side may be of its reading, that the balance is believed."""
_KNOWN = ("pv_power_w", "load_power_w", "grid_power_w", "battery_power_w", "battery_soc_pct", "outdoor_temperature_c")
_CAR = ("ev.power_w", "ev.connected", "ev.soc_pct")
_TANK = ("water.power_w", "water.temperature_c")
_WEATHER = ("temperature_c", "cloud_cover_pct", "ghi_w_m2", "dni_w_m2", "dhi_w_m2", "wind_m_s")
_USUAL_CLOUD_PCT, _USUAL_WIND_M_S, _USUAL_HUMIDITY_PCT = 70.0, 3.0, 75.0
_RUN_NAMES = {"ghi_w_m2": "ghi_w_m2", "temperature_c": "temperature_c", "cloud_pct": "cloud_cover_pct"}


@dataclass(frozen=True)
class Gap:
    """A stretch `[start, end)` of slots in which a series is not known."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Coverage:
    """How much of a span a series covers.

    Attributes:
        share: Of the slots in which it was measured, 0..1.
        gaps: Stretches without it, oldest first, at most 50.
    """

    share: float
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class Missing:
    """Something that the history lacks: what, and what to do about it."""

    what: str
    remedy: str


@dataclass(frozen=True)
class MeasuredDay:
    """A local day of a span.

    Attributes:
        day: The local date.
        first: Index of its first slot.
        until: Index of the slot after its last one: 92, 96 or 100 slots further.
        why: Why it cannot be used; empty where it can.
        closed_slots: Slots in which something was closed in a straight line.
        held_back_slots: Slots in which PV may have been held back, and what the sun could have given was rebuilt.
    """

    day: date
    first: int
    until: int
    why: str = ""
    closed_slots: int = 0
    held_back_slots: int = 0

    @property
    def usable(self) -> bool:
        """Whether it can be used."""
        return not self.why


@dataclass(frozen=True)
class MeasuredSpan:
    """A span of a house's history in slots of 15 minutes. Arrays are (T,), NaN where nothing is known.

    Powers are means of slots [W]: grid + = import, battery + = discharge. Short gaps are closed (`day.closed_slots`).

    Attributes:
        home: The site with the rooms, car and tank that its history knows; the others' draw is part of `household_w`.
        start: Beginning of the first slot, UTC.
        pv_w: PV as it was, on the AC side: its reading times `pv_ac_share`.
        pv_possible_w: PV that could have been: rebuilt where it may have been held back, else as it was.
        held_back: Where it may have been.
        load_w: All that the house drew.
        household_w: Load without rooms, car and tank.
        grid_w: At the meter.
        battery_w: Of the battery; zero without one.
        soc_pct: State of charge.
        ev_w: The car's charger; zero where the home has none.
        ev_connected: Share of the slot in which the car was there.
        ev_soc_pct: The car's state of charge, known while it is there.
        water_w: The water heater; zero where the home has none.
        water_c: The tank.
        outdoor_c: Outdoor temperature, measured, else as the weather service told it.
        solar_w_m2: Irradiance by facade (see `facade_history`).
        weather: `temperature_c`, `cloud_cover_pct`, `ghi_w_m2`, `dni_w_m2`, `dhi_w_m2`, `wind_m_s` as the service told
            each slot shortly before.
        spot_eur_mwh: Day-ahead price.
        eur_czk: Exchange rate.
        buy_czk_kwh: What import cost, by the tariff of home.yaml.
        sell_czk_kwh: What export earned.
        room_c: Air temperature by room.
        relay: Share of the slot in which the room's relay was on.
        window_open: Share of the slot in which a window stood open; rooms without a contact are absent.
        coverage: By name of the stored series.
        days: Whole local days.
        missing: What the history lacks.
        notes: What was filled in, and from where.
        pv_ac_share: What of the inverter's PV reading, often its DC input, reached load, battery and grid.
    """

    home: Home
    start: datetime
    pv_w: Floats
    pv_possible_w: Floats
    held_back: Bools
    load_w: Floats
    household_w: Floats
    grid_w: Floats
    battery_w: Floats
    soc_pct: Floats
    ev_w: Floats
    ev_connected: Floats
    ev_soc_pct: Floats
    water_w: Floats
    water_c: Floats
    outdoor_c: Floats
    solar_w_m2: Mapping[str, Floats]
    weather: Mapping[str, Floats]
    spot_eur_mwh: Floats
    eur_czk: Floats
    buy_czk_kwh: Floats
    sell_czk_kwh: Floats
    room_c: Mapping[str, Floats]
    relay: Mapping[str, Floats]
    window_open: Mapping[str, Floats]
    coverage: Mapping[str, Coverage]
    days: tuple[MeasuredDay, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()
    pv_ac_share: float = 1.0

    @property
    def count(self) -> int:
        """Number of slots."""
        return len(self.grid_w)

    @property
    def end(self) -> datetime:
        """End of the last slot."""
        return self.start + self.count * SLOT

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the site."""
        return self.home.site.zone

    def index(self, at: datetime) -> int:
        """Index of the slot that holds an instant; may lie outside."""
        return (require_utc(at) - self.start) // SLOT

    def slot_starts(self) -> list[datetime]:
        """Beginning of each slot."""
        return slot_range(self.start, self.count)

    def heating_w(self) -> Floats:
        """Electric heat of all rooms (T,)."""
        total = np.zeros(self.count)
        for room, share in self.relay.items():
            total += np.nan_to_num(share) * self.home.rooms[room].heat_w
        return total

    def part(self, first: int, until: int) -> "MeasuredSpan":
        """Return slots `first..until` with the days that lie in them whole; coverage and what is missing stay."""
        cut = slice(first, until)
        parts: dict[str, Any] = {
            name: {key: values[cut] for key, values in getattr(self, name).items()}
            for name in ("solar_w_m2", "weather", "room_c", "relay", "window_open")
        }
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), np.ndarray):
                parts[field.name] = value[cut]
        days = tuple(
            replace(day, first=day.first - first, until=day.until - first)
            for day in self.days
            if first <= day.first and day.until <= until
        )
        return replace(self, start=self.start + first * SLOT, days=days, **parts)

    def usable_days(self) -> list[MeasuredDay]:
        """Days that can be used."""
        return [day for day in self.days if day.usable]

    def true_weather(self) -> HourlyWeather:
        """Return the weather that came: measured temperature, the service's sun and wind, hour by hour.

        Raises:
            PemsError: No hour of it is known.
        """
        hours = _hours(self)
        begin = self.start.replace(minute=0)
        site = self.home.site
        return HourlyWeather(begin, hours, latitude=site.latitude, longitude=site.longitude)


async def read_span(
    home: Home,
    reader: HistoryReader,
    start: datetime,
    end: datetime,
    *,
    spot: SpotSource | None = None,
    spot_label: str = "",
    rate: Callable[[datetime], float | None] | None = None,
    measured_until: datetime | None = None,
) -> MeasuredSpan:
    """Read `[start, end)` of a house's history.

    Args:
        home: The site.
        reader: The history.
        start: Aware; the slot that holds it is the first.
        end: Aware.
        spot: Day-ahead prices for slots that the history has none of.
        spot_label: Where these come from, for people.
        rate: Exchange rates [CZK/EUR] for days that the history has none of.
        measured_until: What was measured from then on is left out, prices are not; None takes all.

    Raises:
        UnavailableError: The history is away.
        PemsError: The span is empty, or the history holds nothing of it.
    """
    start, end = slot_start(start), require_utc(end)
    if end - start < SLOT:
        raise PemsError(f"{start.isoformat()} to {end.isoformat()} is no span", remedy="give a later end")
    rooms = [s for room in home.rooms for s in (_sensor(room), _relay(room), _window(room))]
    stored = (*_KNOWN, *_CAR, *_TANK, *(f"weather.{name}" for name in _WEATHER), "price.spot_eur_mwh", *rooms)
    columns = await reader.slots(stored, start, end)
    table = {name: _floats(columns.get(name, ()), start, end) for name in stored}
    if measured_until is not None:
        over = max(0, (require_utc(measured_until) - start) // SLOT)
        for name in stored:
            if not name.startswith("price."):
                table[name][over:] = np.nan
    if not any(np.isfinite(table[name]).any() for name in (*_KNOWN, *rooms)):
        raise PemsError(
            f"the history holds nothing of {start:%Y-%m-%d} to {end:%Y-%m-%d}",
            remedy="choose days in which PEMS, or whatever fills this history, was recording",
        )
    rates = await _rates(reader, home, start, end)
    coverage = {name: _coverage(values, start) for name, values in table.items()}
    notes: list[str] = []
    missing = _what_is_missing(home, table)
    known = _known_home(home, table, missing)
    closed = {name: _closed(values) for name, values in table.items() if not name.startswith("price.")}
    share = _pv_ac_share(known, table, notes)
    flows = _flows(known, closed | {"pv_power_w": share * closed["pv_power_w"]}, notes)
    prices = _prices(known, table["price.spot_eur_mwh"], start, rates, spot, spot_label, rate, notes, missing)
    weather = {name: closed[f"weather.{name}"] for name in _WEATHER}
    outdoor_c = np.where(
        np.isfinite(closed["outdoor_temperature_c"]), closed["outdoor_temperature_c"], weather["temperature_c"]
    )
    held = _held(known, flows, prices["sell_czk_kwh"])
    solar, possible_w = _sun(known, start, flows["pv_w"], held, flows["household_w"], prices["spot_eur_mwh"], weather)
    span = MeasuredSpan(
        home=known,
        start=start,
        pv_w=flows["pv_w"],
        load_w=flows["load_w"],
        household_w=flows["household_w"],
        grid_w=flows["grid_w"],
        battery_w=flows["battery_w"],
        soc_pct=flows["soc_pct"],
        ev_w=flows["ev_w"],
        ev_connected=flows["ev_connected"],
        ev_soc_pct=flows["ev_soc_pct"],
        water_w=flows["water_w"],
        water_c=flows["water_c"],
        pv_possible_w=possible_w,
        held_back=held,
        outdoor_c=outdoor_c,
        solar_w_m2=solar,
        weather=weather,
        spot_eur_mwh=prices["spot_eur_mwh"],
        eur_czk=prices["eur_czk"],
        buy_czk_kwh=prices["buy_czk_kwh"],
        sell_czk_kwh=prices["sell_czk_kwh"],
        room_c={room: closed[_sensor(room)] for room in known.rooms},
        relay={room: closed[_relay(room)] for room in known.rooms},
        window_open={r: closed[_window(r)] for r in known.rooms if np.isfinite(closed[_window(r)]).any()},
        coverage=coverage,
        missing=tuple(missing),
        notes=tuple(notes),
        pv_ac_share=share,
    )
    return replace(span, days=_judged(span, table))


# --- reading -------------------------------------------------------------------------------------


def _sensor(room: str) -> str:
    return f"room.{room}.temperature_c"


def _relay(room: str) -> str:
    return f"room.{room}.relay_on"


def _window(room: str) -> str:
    return f"room.{room}.window_open"


def _floats(values: Sequence[float | None], start: datetime, end: datetime) -> Floats:
    count = -((start - end) // SLOT)
    found = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return found if len(found) == count else np.full(count, np.nan)


def _runs(unknown: Bools) -> list[tuple[int, int]]:
    """Return (first, until) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], unknown, [False])).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _coverage(values: Floats, start: datetime) -> Coverage:
    unknown = ~np.isfinite(values)
    gaps = tuple(Gap(start + a * SLOT, start + b * SLOT) for a, b in _runs(unknown)[:_MOST_GAPS])
    return Coverage(float(1.0 - unknown.mean()), gaps)


def _closed(values: Floats) -> Floats:
    """Close gaps of at most two hours in a straight line; at an end the nearest value holds."""
    known = np.isfinite(values)
    if not known.any() or known.all():
        return values
    at = np.arange(len(values))
    line = np.interp(at, at[known], values[known])
    result = values.copy()
    for first, until in _runs(~known):
        if until - first <= _CLOSED_SLOTS:
            result[first:until] = line[first:until]
    return result


async def _rates(reader: HistoryReader, home: Home, start: datetime, end: datetime) -> dict[date, float]:
    """Read the exchange rate of each local day: that of the last prices told in it."""
    zone = home.site.zone
    found: dict[date, float] = {}
    day = start.astimezone(zone).date()
    while local_midnight(day, zone) < end:
        begin, over = local_midnight(day, zone), local_midnight(day + timedelta(days=1), zone)
        for envelope in await reader.messages("prices", begin, over, limit=1):
            try:
                found[day] = read_body(envelope, Prices).eur_czk
            except PermanentError:
                continue  # a damaged message: the day takes the rate of another source
        day += timedelta(days=1)
    return found


# --- putting together ----------------------------------------------------------------------------


def _has(table: Mapping[str, Floats], name: str, least: float = 0.0) -> bool:
    known = np.isfinite(table[name])
    return bool(known.any()) and float(known.mean()) >= least


def _what_is_missing(home: Home, table: Mapping[str, Floats]) -> list[Missing]:
    missing = []
    told = {name: _has(table, name) for name in table}
    if sum(told[name] for name in ("pv_power_w", "load_power_w", "grid_power_w")) < 2 and home.pv.roofs:
        missing.append(Missing("two of PV, load and grid power", "record the inverter (pv, load and grid power)"))
    elif not told["load_power_w"] and not told["grid_power_w"]:
        missing.append(Missing("load and grid power", "record the inverter or the meter"))
    if home.battery is not None:
        if not told["battery_power_w"]:
            missing.append(Missing("battery power", "record the inverter's charge and discharge power"))
        if not told["battery_soc_pct"]:
            missing.append(Missing("state of charge", "record the inverter's SOC"))
    if not told["outdoor_temperature_c"] and not told["weather.temperature_c"]:
        missing.append(Missing("outdoor temperature", "record an outdoor sensor, or the weather PEMS asks for"))
    if not told["weather.ghi_w_m2"]:
        missing.append(
            Missing("the sun (weather.ghi_w_m2)", "let ingest ask a weather service: it stores what it told")
        )
    return missing


def _known_home(home: Home, table: Mapping[str, Floats], missing: list[Missing]) -> Home:
    """Return the home with only what its history knows; what goes is told."""
    rooms = {}
    for name, room in home.rooms.items():
        lacks = [
            what
            for series, what in ((_sensor(name), "temperature"), (_relay(name), "relay"))
            if not _has(table, series, _ROOM_SHARE)
        ]
        if lacks:
            missing.append(
                Missing(f"{' and '.join(lacks)} of {name}: the room is left out", "record its sensor and its relay")
            )
        else:
            rooms[name] = room
    kept = {
        name: room.model_copy(update={"neighbours": tuple(n for n in room.neighbours if n in rooms)})
        for name, room in rooms.items()
    }
    update: dict[str, object] = {"rooms": kept}
    if home.ev is not None and not all(_has(table, name) for name in _CAR):
        missing.append(
            Missing(
                "power, presence or charge of the car: it charges as it did", "record the charger and the car's SoC"
            )
        )
        update["ev"] = None
    if home.water is not None and not all(_has(table, name) for name in _TANK):
        missing.append(Missing("power or temperature of the tank: it heats as it did", "record the water heater"))
        update["water"] = None
    return home.model_copy(update=update)


def _pv_ac_share(home: Home, table: Mapping[str, Floats], notes: list[str]) -> float:
    """Return PV by balance (load - grid - battery) over the PV reading, of bright slots; 1 where the history is silent.

    Inverters tell the DC input of their modules; what the house gets of it is what load, grid and battery tell.
    """
    battery_w = 0.0 if home.battery is None else table["battery_power_w"]
    read_w = table["pv_power_w"]
    by_balance_w = table["load_power_w"] - table["grid_power_w"] - battery_w
    bright = np.isfinite(by_balance_w) & (read_w > _BRIGHT_W)
    if not home.pv.roofs or bright.sum() < _LEAST_BRIGHT_SLOTS:
        return 1.0
    share = float(by_balance_w[bright].sum() / read_w[bright].sum())
    least, most = _AC_SHARES
    if not least <= share <= most:
        notes.append(
            f"load, grid and battery tell {share:.2f} of the PV reading: not to be believed, it is taken as AC"
        )
        return 1.0
    notes.append(f"PV is {share:.3f} of the inverter's reading, by the balance of load, grid and battery")
    return share


def _flows(home: Home, closed: Mapping[str, Floats], notes: list[str]) -> dict[str, Floats]:
    """Powers that balance: of PV, load, battery and grid what is not measured follows from the others."""
    count = len(closed["grid_power_w"])
    nothing = np.zeros(count)
    battery_w = nothing if home.battery is None else closed["battery_power_w"]
    soc = np.full(count, np.nan) if home.battery is None else closed["battery_soc_pct"]
    pv_w = closed["pv_power_w"] if home.pv.roofs else nothing
    load_w, grid_w = closed["load_power_w"], closed["grid_power_w"]
    if not np.isfinite(pv_w).any():
        pv_w = np.maximum(load_w - grid_w - battery_w, 0.0)
        notes.append("PV follows from load, grid and battery")
    if not np.isfinite(grid_w).any():
        grid_w = load_w - pv_w - battery_w
        notes.append("grid power follows from load, PV and battery")
    if not np.isfinite(load_w).any():
        load_w = grid_w + pv_w + battery_w
        notes.append("load follows from grid, PV and battery")
    ev_w = nothing if home.ev is None else np.where(np.isfinite(closed["ev.power_w"]), closed["ev.power_w"], 0.0)
    water_w = nothing if home.water is None else closed["water.power_w"]
    heating_w = sum((closed[_relay(room)] * facts.heat_w for room, facts in home.rooms.items()), start=nothing)
    return {
        "pv_w": pv_w,
        "load_w": load_w,
        "grid_w": grid_w,
        "battery_w": battery_w,
        "soc_pct": soc,
        "ev_w": ev_w,
        "ev_connected": nothing if home.ev is None else np.nan_to_num(_held_on(closed["ev.connected"])),
        "ev_soc_pct": np.full(count, np.nan) if home.ev is None else closed["ev.soc_pct"],
        "water_w": water_w,
        "water_c": np.full(count, np.nan) if home.water is None else closed["water.temperature_c"],
        "household_w": np.maximum(load_w - heating_w - ev_w - water_w, 0.0),
    }


def _held_on(values: Floats) -> Floats:
    """Let the last known value hold on."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan)


def _prices(
    home: Home,
    stored: Floats,
    start: datetime,
    rates: Mapping[date, float],
    spot: SpotSource | None,
    spot_label: str,
    rate: Callable[[datetime], float | None] | None,
    notes: list[str],
    missing: list[Missing],
) -> dict[str, Floats]:
    zone, values = home.site.zone, stored.copy()
    slots = slot_range(start, len(values))
    unknown = np.flatnonzero(~np.isfinite(values))
    filled = 0
    if spot is not None:
        for i in unknown.tolist():
            price = spot(slots[i])
            if price is not None:
                values[i], filled = price, filled + 1
    if filled:
        notes.append(f"{filled} of {len(values)} prices are filled in from {spot_label or 'another source'}")
    left = int((~np.isfinite(values)).sum())
    if left:
        missing.append(
            Missing(
                f"prices of {left} of {len(values)} slots",
                "set PEMS_DATA_DIR to data sets with ote_cz/, or choose days whose prices were recorded",
            )
        )
    czk = np.empty(len(values))
    unrated = set()
    for i, slot in enumerate(slots):
        day = slot.astimezone(zone).date()
        told = rates.get(day) or (None if rate is None else rate(slot))
        if told is None:
            unrated.add(day)
        czk[i] = told or home.tariff.fallback_eur_czk
    if unrated:
        notes.append(f"{len(unrated)} days have no exchange rate: {home.tariff.fallback_eur_czk} CZK/EUR is taken")
    both = [home.tariff.prices(float(values[i]) * czk[i] / 1000.0, slot, zone) for i, slot in enumerate(slots)]
    return {
        "spot_eur_mwh": values,
        "eur_czk": czk,
        "buy_czk_kwh": np.array([buy for buy, _ in both]),
        "sell_czk_kwh": np.array([sell for _, sell in both]),
    }


def _held(home: Home, flows: Mapping[str, Floats], sell: Floats) -> Bools:
    """Where PV may have been held back while there was light."""

    def told(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    rows = zip(flows["pv_w"], flows["grid_w"], flows["battery_w"], flows["soc_pct"], sell, strict=True)
    return np.array(
        [
            np.isfinite(pv)
            and held_back(
                home,
                pv_w=told(pv),
                grid_w=told(grid),
                battery_w=told(battery),
                soc_pct=told(soc),
                sell_czk_kwh=told(price),
            )
            for pv, grid, battery, soc, price in rows
        ],
        dtype=np.bool_,
    )


def _sun(
    home: Home,
    start: datetime,
    pv_w: Floats,
    held: Bools,
    household_w: Floats,
    spot: Floats,
    weather: Mapping[str, Floats],
) -> tuple[dict[str, Floats], Floats]:
    """Return irradiance by facade, and the PV power that could have been.

    Where PV was held back its power is that of the plant's physics under the weather told, scaled as the plant taught
    (`live_pv.taught`), and never less than what was measured.
    """
    count, first = len(pv_w), slot_no(start)
    run = {own: weather[told] for own, told in _RUN_NAMES.items()}
    run["wind_m_s"] = np.where(np.isfinite(weather["wind_m_s"]), weather["wind_m_s"], _USUAL_WIND_M_S)
    run["cloud_pct"] = np.where(np.isfinite(run["cloud_pct"]), run["cloud_pct"], _USUAL_CLOUD_PCT)
    measured = dict.fromkeys(MEASURED, np.full(count, np.nan)) | {
        "pv_w": pv_w,
        "pv_limited": np.where(np.isfinite(pv_w), held.astype(np.float64), np.nan),
        "load_w": household_w,
        "spot_eur_mwh": spot,
    }
    lessons = Lessons(first, measured, (WeatherRun(first * 900, first, run),))
    if not np.isfinite(run["ghi_w_m2"]).any():
        return {}, np.where(held, np.nan, pv_w)
    possible = pv_w.copy()
    if home.pv.roofs and held.any():
        plant = taught(home, lessons)
        rebuilt = np.minimum(plant.strength * plant.physics_w, home.pv.inverter_ac_limit_w)
        possible = np.where(held, np.where(np.isfinite(rebuilt), np.maximum(rebuilt, pv_w), np.nan), pv_w)
    return facade_history(home, lessons), possible


def _judged(span: MeasuredSpan, table: Mapping[str, Floats]) -> tuple[MeasuredDay, ...]:
    """Judge each whole local day."""
    needed: dict[str, tuple[Floats, Floats]] = {
        "grid power": (table["grid_power_w"], span.grid_w),
        "load": (table["load_power_w"], span.household_w),
        "outdoor temperature": (span.outdoor_c, span.outdoor_c),
        "weather": (table["weather.ghi_w_m2"], span.weather["ghi_w_m2"]),
        "price": (span.spot_eur_mwh, span.spot_eur_mwh),
    }
    if span.home.pv.roofs:
        needed["PV"] = (table["pv_power_w"], span.pv_w)
        needed["PV without being held back"] = (span.pv_possible_w, span.pv_possible_w)
    if span.home.battery is not None:
        needed["battery power"] = (table["battery_power_w"], span.battery_w)
        needed["state of charge"] = (table["battery_soc_pct"], span.soc_pct)
    for room in span.home.rooms:
        needed[f"temperature of {room}"] = (table[_sensor(room)], span.room_c[room])
        needed[f"relay of {room}"] = (table[_relay(room)], span.relay[room])
    # What was derived from other series is as good as they are.
    raw = {n: np.isfinite(full if not np.isfinite(stored).any() else stored) for n, (stored, full) in needed.items()}
    whole = {name: np.isfinite(full) for name, (_, full) in needed.items()}
    days = []
    day = span.start.astimezone(span.zone).date()
    while (over := local_midnight(day + timedelta(days=1), span.zone)) <= span.end:
        first, until = span.index(local_midnight(day, span.zone)), span.index(over)
        if first >= 0:
            cut = slice(first, until)
            why = next((f"no {n} for hours" for n, known in whole.items() if not known[cut].all()), "")
            thin = next((n for n, known in raw.items() if known[cut].mean() < _DAY_SHARE), "")
            closed = np.zeros(until - first, dtype=np.bool_)
            for name, known in raw.items():
                closed |= whole[name][cut] & ~known[cut]
            days.append(
                MeasuredDay(
                    day,
                    first,
                    until,
                    why or (f"{thin} is mostly gaps" if thin else ""),
                    int(closed.sum()),
                    int(span.held_back[cut].sum()),
                )
            )
        day += timedelta(days=1)
    return tuple(days)


# --- weather -------------------------------------------------------------------------------------


def _hours(span: MeasuredSpan) -> list[WeatherSample]:
    """Means of consecutive hours; an hour that nobody told takes that of the day before."""
    site = span.home.site
    found: list[WeatherSample | None] = []
    first: int = -(span.start.minute // 15)
    at = span.start.replace(minute=0)
    while first < span.count:
        cut = slice(max(first, 0), min(first + 4, span.count))
        means = {name: _mean(values[cut]) for name, values in span.weather.items()}
        temperature, ghi = _mean(span.outdoor_c[cut]), means["ghi_w_m2"]
        if temperature is None or ghi is None:
            found.append(None)
        else:
            middle = at + _HOUR / 2
            cosine = cos_zenith(middle, site.latitude, site.longitude)
            dni, dhi = split_beam_diffuse(ghi, cosine, middle.timetuple().tm_yday)
            told_dni, told_dhi = means["dni_w_m2"], means["dhi_w_m2"]
            cloud, wind = means["cloud_cover_pct"], means["wind_m_s"]
            found.append(
                WeatherSample(
                    temperature_c=temperature,
                    cloud_cover_pct=_USUAL_CLOUD_PCT if cloud is None else cloud,
                    ghi_w_m2=ghi,
                    dni_w_m2=dni if told_dni is None else told_dni,
                    dhi_w_m2=dhi if told_dhi is None else told_dhi,
                    wind_m_s=_USUAL_WIND_M_S if wind is None else wind,
                    humidity_pct=_USUAL_HUMIDITY_PCT,
                )
            )
        at, first = at + _HOUR, first + 4
    known = [hour for hour in found if hour is not None]
    if not known:
        raise PemsError(
            "the history tells of no hour's weather",
            remedy="let ingest ask a weather service: it stores temperature and irradiance of each slot",
        )
    return [hour or _like_before(found, i, known[0]) for i, hour in enumerate(found)]


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _like_before(hours: Sequence[WeatherSample | None], index: int, otherwise: WeatherSample) -> WeatherSample:
    for days in range(1, 8):
        for other in (index - 24 * days, index + 24 * days):
            if 0 <= other < len(hours) and (found := hours[other]) is not None:
                return found
    return otherwise
