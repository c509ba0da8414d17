"""From rows of the first user's buckets to points: signs, how long values hold, gaps, days of the clock change."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pems_common.dialects.growatt_oig import InverterReading, parse_state
from pems_common.history import Point
from pems_common.timegrid import local_day_slots
from pems_ingest.domain.influx_map import Feed, exchange_rates, house_feeds
from pems_ingest.domain.telemetry import inverter_values

PRAGUE = ZoneInfo("Europe/Prague")
DAY_S, HOUR_S = 86_400.0, 3_600.0
BEGIN_S = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
FEEDS: dict[str, Feed] = {feed.name: feed for feed in house_feeds(("spajz", "hosti"))}
Rows = dict[tuple[str, str], list[tuple[float, float]]]


def told(points: list[Point], series: str) -> dict[float, float]:
    return {p.at.timestamp() - BEGIN_S: p.value for p in points if p.series == series}


def rooms(rows: Rows, start_s: float = 0.0, end_s: float = DAY_S) -> list[Point]:
    shifted = {key: [(BEGIN_S + at_s, value) for at_s, value in values] for key, values in rows.items()}
    return FEEDS["rooms"].points(shifted, BEGIN_S + start_s, BEGIN_S + end_s)


def every(step_s: float, until_s: float, value: float = 20.0, since_s: float = 0.0) -> list[tuple[float, float]]:
    count = round((until_s - since_s) / step_s)
    return [(since_s + i * step_s, value + 0.1 * (i % 2)) for i in range(count + 1)]


@pytest.mark.parametrize("feed", FEEDS)
def test_of_nothing_comes_nothing(feed: str) -> None:
    assert FEEDS[feed].points({}, BEGIN_S, BEGIN_S + DAY_S) == []


# --- powers ---------------------------------------------------------------------------------------


def test_powers_have_the_signs_that_the_dialect_gives_them() -> None:
    record = {
        "InverterStatus": 5, "InputPower": 3000, "PV1InputPower": 1800, "PV2InputPower": 1200,
        "SOC": 57, "ACPowerToUser": -3, "ACPowerToGrid": 1100, "INVPowerToLocalLoad": 700,
        "ChargePower": 1150, "DischargePower": 0,
    }  # fmt: skip
    reading = parse_state(json.dumps(record).encode())
    assert isinstance(reading, InverterReading)
    rows = {("solar", name): [(BEGIN_S, float(value))] for name, value in record.items()}
    points = FEEDS["inverter"].points(rows, BEGIN_S, BEGIN_S + 300)
    assert {p.series: p.value for p in points} == inverter_values(reading)
    assert {p.series: p.value for p in points}["grid_power_w"] == -1100.0
    del rows["solar", "InputPower"], rows["solar", "ACPowerToUser"]
    known = {p.series: p.value for p in FEEDS["inverter"].points(rows, BEGIN_S, BEGIN_S + 300)}
    assert known["pv_power_w"] == 3000.0
    assert "grid_power_w" not in known


# --- values on change -----------------------------------------------------------------------------


def test_a_relay_that_rests_is_known_while_the_logger_speaks() -> None:
    points = rooms({("relay", "spajz"): [(100.0, 0.0)], ("temperature", "temperature_hosti"): every(1800.0, DAY_S)})
    relay = told(points, "room.spajz.relay_on")
    assert list(relay) == [100.0 + 900.0 * i for i in range(96)]
    assert set(relay.values()) == {0.0}


def test_a_silent_logger_leaves_a_gap_from_a_quarter_of_an_hour_after_its_last_word() -> None:
    air = every(1800.0, 6 * HOUR_S) + every(1800.0, DAY_S, since_s=20 * HOUR_S)
    points = rooms({("relay", "spajz"): [(0.0, 1.0)], ("temperature", "temperature_spajz"): air})
    relay = told(points, "room.spajz.relay_on")
    assert max(relay) == 6 * HOUR_S  # and holds for 900 s more; what it was later nobody knows
    air_told = told(points, "room.spajz.temperature_c")
    assert not [at_s for at_s in air_told if 6 * HOUR_S < at_s < 20 * HOUR_S]
    assert min(at_s for at_s in air_told if at_s > 6 * HOUR_S) == 20 * HOUR_S


@pytest.mark.parametrize(
    ("source", "series", "value", "days"),
    [
        (("relay", "spajz"), "room.spajz.relay_on", 1.0, 7),
        (("temperature", "temperature_spajz"), "room.spajz.temperature_c", 21.0, 1),
    ],
)
def test_nothing_holds_for_ever(source: tuple[str, str], series: str, value: float, days: int) -> None:
    alive = every(1800.0, 10 * DAY_S)
    points = rooms({source: [(0.0, value)], ("temperature", "temperature_hosti"): alive}, 0.0, 10 * DAY_S)
    assert max(told(points, series)) == days * DAY_S


def test_an_impossible_value_ends_the_one_before_it() -> None:
    air = [(0.0, 21.0), (HOUR_S, -1000.0), (3 * HOUR_S, 20.5), (4 * HOUR_S, float("nan"))]
    signs = every(1800.0, DAY_S)
    points = rooms({("temperature", "temperature_spajz"): air, ("temperature", "temperature_hosti"): signs})
    known = told(points, "room.spajz.temperature_c")
    assert sorted(known) == [0.0, 900.0, 1800.0, 2700.0, *(3 * HOUR_S + 900.0 * i for i in range(4))]
    assert "room.spajz.relay_on" not in {p.series for p in rooms({("relay", "spajz"): [(0.0, 0.4)]})}


def test_pages_together_are_the_whole() -> None:
    rows = {
        ("relay", "spajz"): [(50.0, 1.0), (9 * HOUR_S, 0.0)],
        ("temperature", "temperature_spajz"): [(77.0, 20.0), (30 * HOUR_S, 21.0)],
        ("temperature", "temperature_hosti"): every(1700.0, 2 * DAY_S),
    }
    whole = rooms(rows, 0.0, 2 * DAY_S)
    parts = rooms(rows, 0.0, DAY_S) + rooms(rows, DAY_S, 2 * DAY_S)
    assert sorted(parts, key=lambda p: (p.series, p.at)) == sorted(whole, key=lambda p: (p.series, p.at))


def test_outdoors_is_the_first_sensor_that_speaks() -> None:
    rows: Rows = {("current_weather", "temperature"): every(600.0, DAY_S, 3.0)}
    assert told(rooms(rows), "outdoor_temperature_c")[0.0] == 3.0
    rows["temperature", "temperature_venku"] = every(600.0, DAY_S, 4.0)
    assert told(rooms(rows), "outdoor_temperature_c")[0.0] == 4.0


# --- prices ---------------------------------------------------------------------------------------


def prices(values: list[tuple[float, float]], start_s: float = 0.0, end_s: float = DAY_S) -> dict[float, float]:
    rows = {("electricity_prices", "price"): [(BEGIN_S + at_s, value) for at_s, value in values]}
    return told(FEEDS["prices"].points(rows, BEGIN_S + start_s, BEGIN_S + end_s), "price.spot_eur_mwh")


def test_an_hourly_price_is_that_of_its_four_quarters() -> None:
    assert prices([(0.0, 90.0), (HOUR_S, -5.0)]) == {900.0 * i: 90.0 if i < 4 else -5.0 for i in range(8)}


def test_a_price_that_is_missing_is_not_made_up() -> None:
    hourly = prices([(0.0, 90.0), (HOUR_S, 80.0), (5 * HOUR_S, 70.0), (6 * HOUR_S, 60.0)])
    assert sorted(hourly) == [900.0 * i for i in (*range(8), *range(20, 28))]
    quarters = prices([(900.0 * i, float(i)) for i in range(12) if i not in (5, 6)])
    assert quarters == {900.0 * i: float(i) for i in range(12) if i not in (5, 6)}


def test_from_hours_to_quarters_nothing_is_told_twice() -> None:
    values = [(HOUR_S * i, 10.0) for i in range(3)] + [(3 * HOUR_S + 900.0 * i, 20.0 + i) for i in range(4)]
    found = prices(values)
    assert found == {900.0 * i: 10.0 if i < 12 else 20.0 + i - 12 for i in range(16)}


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 29), 92), (date(2025, 10, 26), 100), (date(2026, 1, 5), 96)])
def test_days_of_the_clock_change_are_whole(day: date, count: int) -> None:
    slots = local_day_slots(day, PRAGUE)
    rows = {("electricity_prices", "price"): [(slot.timestamp(), float(i)) for i, slot in enumerate(slots[::4])]}
    found = FEEDS["prices"].points(rows, slots[0].timestamp(), slots[-1].timestamp() + 900.0)
    assert [p.at for p in found] == slots
    assert len(found) == count


@pytest.mark.parametrize(
    ("czk", "rate"),
    [
        (lambda eur: eur * 25.1 / 1000.0, 25.1),
        (lambda eur: eur * 25.1 / 1000.0 + 0.9, None),
        (lambda eur: eur * 25.1 * 1.21 / 1000.0, None),
    ],
)
def test_a_rate_is_believed_where_all_prices_of_the_day_agree(
    czk: Callable[[float], float], rate: float | None
) -> None:
    noon = datetime(2026, 1, 5, 11, tzinfo=UTC).timestamp()
    eur = [(noon + HOUR_S * i, 60.0 + 10.0 * i) for i in range(8)]
    rows = {
        ("electricity_prices", "price"): [*eur, (noon + 9 * HOUR_S, 0.0)],
        ("electricity_prices", "price_czk_kwh"): [(at_s, czk(value)) for at_s, value in eur],
    }
    assert exchange_rates(rows, PRAGUE) == ({} if rate is None else {date(2026, 1, 5): rate})


# --- weather --------------------------------------------------------------------------------------


def test_irradiance_is_of_the_hour_before_its_stamp_and_temperature_the_mean_of_both_ends() -> None:
    begin = datetime.fromtimestamp(BEGIN_S, UTC)
    stamps = [(begin + timedelta(hours=i)).timestamp() for i in range(3)]
    rows = {
        ("weather_forecast", "shortwave_radiation"): list(zip(stamps, (0.0, 100.0, 2000.0), strict=True)),
        ("weather_forecast", "temperature_2m"): list(zip(stamps, (2.0, 4.0, 99.0), strict=True)),
        ("weather_forecast", "cloudcover"): list(zip(stamps, (10.0, 30.0, 50.0), strict=True)),
        ("weather_forecast", "cloud_cover"): [(stamps[1], 40.0)],
        ("weather_forecast", "windspeed_10m"): [(stamps[1], 40.0)],
    }
    points = FEEDS["weather"].points(rows, BEGIN_S, BEGIN_S + DAY_S)
    assert told(points, "weather.ghi_w_m2") == {900.0 * i: 100.0 for i in range(4)}
    assert told(points, "weather.temperature_c") == {900.0 * i: 3.0 for i in range(4)}
    assert told(points, "weather.cloud_cover_pct") == {900.0 * i: 25.0 if i < 4 else 45.0 for i in range(8)}
    assert not told(points, "weather.wind_m_s")
