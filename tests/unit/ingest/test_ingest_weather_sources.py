"""Ensembles, archived forecasts, Bright Sky, Solcast and Forecast.Solar: what their answers mean, and broken ones."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pems_common.home.models import Pv, Roof, Site
from pems_common.messages import Series, Weather
from pems_ingest.domain.weather_check import check_weather
from pems_ingest.sources.bright_sky import parse_bright_sky
from pems_ingest.sources.forecast_solar import ForecastSolar, parse_forecast_solar
from pems_ingest.sources.open_meteo import COLUMNS, parse_open_meteo
from pems_ingest.sources.open_meteo_ensemble import parse_ensemble
from pems_ingest.sources.open_meteo_previous import PreviousRuns, parse_previous_runs
from pems_ingest.sources.port import SourceError
from pems_ingest.sources.solcast import Solcast, parse_solcast

REPLIES = Path(os.environ.get("PEMS_DATA_DIR") or Path(__file__).parents[4] / "shared" / "data") / "replies"
NOW = datetime(2026, 1, 15, 10, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PRAGUE = ZoneInfo("Europe/Prague")
PV = Pv(
    roofs=(
        Roof(name="south_west", peak_w=7000, tilt_deg=35, azimuth_deg=226),
        Roof(name="south_east", peak_w=6500, tilt_deg=35, azimuth_deg=136),
    ),
    inverter_ac_limit_w=10_000,
)
UNITS = {"temperature_2m": "°C", "relative_humidity_2m": "%", "cloud_cover": "%", "wind_speed_10m": "m/s"}


def reply(name: str) -> bytes:
    path = REPLIES / name
    if not path.exists():
        pytest.skip(f"no recorded replies in {REPLIES}: set PEMS_DATA_DIR")
    return path.read_bytes()


def table(start: datetime, columns: dict[str, list[object]]) -> bytes:
    """An answer of Open-Meteo."""
    hours = len(next(iter(columns.values())))
    times = [f"{start + i * HOUR:%Y-%m-%dT%H:%M}" for i in range(hours)]
    units = {name: next((u for base, u in UNITS.items() if name.startswith(base)), "W/m²") for name in columns}
    return json.dumps(
        {"utc_offset_seconds": 0, "hourly_units": {"time": "iso8601", **units}, "hourly": {"time": times, **columns}}
    ).encode()


def refused(reason: str, parse, *args, **more) -> None:
    with pytest.raises(SourceError) as caught:
        parse(*args, **more)
    assert caught.value.reason == reason


# --- ensemble ---------------------------------------------------------------------------------


def members(count: int = 11, hours: int = 30, hole: int = 0) -> dict[str, list[object]]:
    """Member i says 10 i W/m2 and i degrees at every hour; the last `hole` know nothing from hour 20 on."""
    columns: dict[str, list[object]] = {}
    for base, scale in (("temperature_2m", 1.0), ("shortwave_radiation", 10.0)):
        for i in range(count):
            known = 20 if i >= count - hole else hours
            column: list[object] = [scale * i] * known + [None] * (hours - known)
            columns[base if i == 0 else f"{base}_member{i:02d}"] = column
    return columns


def test_members_become_quantiles():
    got = parse_ensemble(table(NOW.replace(hour=0, minute=0), members()))
    assert got.ghi_w_m2.p10.start == NOW.replace(hour=0, minute=0)
    assert len(got.ghi_w_m2.p50.values) == 29
    assert (got.ghi_w_m2.p10.values[3], got.ghi_w_m2.p50.values[3], got.ghi_w_m2.p90.values[3]) == (10, 50, 90)
    assert (got.temperature_c.p10.values[3], got.temperature_c.p90.values[3]) == (1, 9)


def test_irradiance_of_members_is_stamped_at_the_end_of_its_hour():
    columns = members()
    for name, column in columns.items():
        if name.startswith("shortwave"):
            column[12] = 700.0
        else:
            column[12] = 20.0
    got = parse_ensemble(table(NOW, columns))
    assert got.ghi_w_m2.p50.values[11:13] == (700.0, 50.0)
    assert got.temperature_c.p50.values[11:13] == (12.5, 12.5)  # mean of both ends


def test_hours_of_too_few_members_are_unknown():
    got = parse_ensemble(table(NOW, members(count=12, hole=3)))
    assert got.ghi_w_m2.p50.values[10] == 55
    assert got.ghi_w_m2.p10.values[25] is got.ghi_w_m2.p90.values[25] is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "malformed"),
        (table(NOW, members(count=9)), "empty"),
        (table(NOW, {n: c for n, c in members().items() if n.startswith("temp")}), "empty"),
        (table(NOW, members(hours=5)), "malformed"),
        (table(NOW, members(count=40)).replace(b"\\u00b0C", b"K"), "wrong_units"),
        (table(NOW, {**members(), "shortwave_radiation_member05": [9000.0] * 30}), "impossible_value"),
        (table(NOW, {**members(), "shortwave_radiation_member05": [1.0] * 29}), "malformed"),
    ],
)
def test_broken_ensembles_are_refused(body, reason):
    refused(reason, parse_ensemble, body)


# --- forecasts of the past --------------------------------------------------------------------

FIRST = date(2025, 6, 10)
MIDNIGHT = datetime(2025, 6, 10, tzinfo=UTC)


def archive(days: int = 5, value=lambda field, lead, stamp: 10.0 * lead + stamp.hour / 100) -> dict[str, list[object]]:
    stamps = [MIDNIGHT + i * HOUR for i in range(24 * days)]
    return {
        f"{there}_previous_day{lead}": [value(field, lead, stamp) for stamp in stamps]
        for field, there in COLUMNS.items()
        if field != "snow_depth_m"
        for lead in (1, 2, 3)
    }


def test_a_day_holds_the_newest_lead_that_could_be_read():
    got = parse_previous_runs(table(MIDNIGHT, archive()), FIRST, FIRST + DAY)
    assert [w.available_at for w in got] == [MIDNIGHT, MIDNIGHT + DAY]
    assert [w.run_at for w in got] == [MIDNIGHT - 6 * HOUR, MIDNIGHT + DAY - 6 * HOUR]
    assert {w.provider for w in got} == {"open_meteo_previous_runs"}
    leads = [round(v / 10) for v in got[0].ghi_w_m2.values]
    assert leads == [1] * 18 + [2] * 24 + [3] * 24
    assert got[0].temperature_c.start == got[0].available_at
    assert got[0].ghi_w_m2.values[9] == pytest.approx(10.10)  # stamped at the end of its hour
    assert got[0].temperature_c.values[9] == pytest.approx(10.095)  # mean of both ends
    assert got[0].dni_w_m2 is not None
    assert got[0].snow_depth_m is None


@pytest.mark.parametrize("garbage", [None, 0.0, 55.0])
def test_nothing_in_a_forecast_of_the_past_was_said_later(garbage):
    def known(field, lead, stamp):
        return (17.0 * lead + 3.0 * stamp.hour + stamp.day) % 50

    def told_until(at):
        def value(field, lead, stamp):
            readable_at = stamp - lead * DAY + 6 * HOUR
            return known(field, lead, stamp) if readable_at <= at else garbage

        return value

    before = parse_previous_runs(table(MIDNIGHT, archive(value=known)), FIRST, FIRST + DAY)
    for i, at in enumerate([MIDNIGHT, MIDNIGHT + DAY]):
        again = parse_previous_runs(table(MIDNIGHT, archive(value=told_until(at))), FIRST, FIRST + DAY)
        assert [w for w in again if w.available_at == at] == [before[i]]


def test_days_without_an_archive_are_absent_and_holes_stay():
    def value(field, lead, stamp):
        if stamp == MIDNIGHT + 5 * HOUR and field == "ghi_w_m2":
            return None
        return None if stamp >= MIDNIGHT + 3 * DAY else 5.0

    got = parse_previous_runs(table(MIDNIGHT, archive(value=value)), FIRST, FIRST + 2 * DAY)
    assert [w.available_at for w in got] == [MIDNIGHT]
    assert got[0].ghi_w_m2.values[4] is None  # what would fill it was said later
    assert got[0].warnings == ()


def test_optional_columns_may_be_missing_or_undefined():
    columns = archive()
    del columns["wind_speed_10m_previous_day2"]
    columns |= {f"diffuse_radiation_previous_day{n}": [None] * 120 for n in (1, 2, 3)}
    body = json.loads(table(MIDNIGHT, columns))
    body["hourly_units"] |= {f"diffuse_radiation_previous_day{n}": "undefined" for n in (1, 2, 3)}
    (got,) = parse_previous_runs(json.dumps(body).encode(), FIRST, FIRST)
    assert got.wind_m_s is got.dhi_w_m2 is None
    assert got.humidity_pct is not None
    del body["hourly"]["temperature_2m_previous_day3"]
    refused("malformed", parse_previous_runs, json.dumps(body).encode(), FIRST, FIRST)


async def test_a_request_for_the_past_is_bounded_and_asks_for_three_leads():
    asked: list[dict[str, str]] = []

    class Fetch:
        async def get(self, url, *, params):
            asked.append(params)
            return table(MIDNIGHT, archive())

    runs = PreviousRuns(Fetch(), latitude=49.5, longitude=17.4)
    assert len(await runs.history(FIRST, FIRST + DAY)) == 2
    assert asked[0]["start_date"] == "2025-06-10"
    assert asked[0]["end_date"] == "2025-06-14"
    assert "shortwave_radiation_previous_day3" in asked[0]["hourly"].split(",")
    for last in (FIRST - DAY, FIRST + 90 * DAY):
        with pytest.raises(ValueError, match="2025-06-10"):
            await runs.history(FIRST, last)


# --- Bright Sky -------------------------------------------------------------------------------


def bright_sky(hours: int = 30, **columns: object) -> bytes:
    start = datetime(2026, 1, 15, tzinfo=UTC)
    records = [
        {
            "timestamp": (start + i * HOUR).isoformat(),
            "temperature": float(i),
            "cloud_cover": 50,
            "solar": 0.01 * i,
            "wind_speed": 3.6 * i,
            "relative_humidity": 80,
            **columns,
        }
        for i in range(hours)
    ]
    return json.dumps({"weather": records, "sources": []}).encode()


def test_bright_sky_in_the_messages_units_and_slots():
    got = parse_bright_sky(bright_sky(), NOW)
    assert got.provider == "bright_sky"
    assert got.temperature_c.start == datetime(2026, 1, 15, tzinfo=UTC)
    assert got.temperature_c.values[:2] == (0.5, 1.5)
    assert got.ghi_w_m2.values[:2] == (10.0, 20.0)  # kWh/m2 of the hour before
    assert got.wind_m_s.values[:2] == (1.0, 2.0)
    assert got.available_at == NOW
    assert got.run_at == NOW.replace(hour=9, minute=0)


def test_recorded_bright_sky_over_the_end_of_summer_time():
    recorded = json.loads(reply("brightsky_weather.json"))
    refused("empty", parse_bright_sky, json.dumps(recorded).encode(), NOW)  # the station measures no irradiance
    for record in recorded["weather"]:
        record["solar"] = 0.1
    got = parse_bright_sky(json.dumps(recorded).encode(), NOW)
    assert got.temperature_c.start == datetime(2024, 10, 25, 22, tzinfo=UTC)
    assert got.temperature_c.end == datetime(2024, 10, 27, 23, tzinfo=UTC)  # 49 hours
    assert got.temperature_c.values[0] == pytest.approx((6.2 + 6.6) / 2)
    assert got.wind_m_s.values[0] == pytest.approx(6.1 / 3.6, abs=1e-3)
    assert check_weather(got).status == "valid"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "malformed"),
        (b'{"weather": []}', "malformed"),
        (b'{"weather": [1, 2]}', "malformed"),
        (bright_sky(hours=10), "malformed"),
        (bright_sky(timestamp="2026-01-15T00:00:00"), "malformed"),
        (bright_sky(timestamp="2026-01-15T00:00:00+00:00"), "malformed"),
        (bright_sky(solar=None), "empty"),
        (bright_sky(cloud_cover=None), "empty"),
        (bright_sky(cloud_cover=140), "impossible_value"),
        (bright_sky(temperature=280.0), "impossible_value"),
        (bright_sky(solar=100_000.0), "impossible_value"),
        (bright_sky(temperature="mild"), "malformed"),
    ],
)
def test_broken_bright_sky_is_refused(body, reason):
    refused(reason, parse_bright_sky, body, NOW)


# --- Solcast ----------------------------------------------------------------------------------


def solcast(powers: list[tuple[float, float, float] | None], **more: object) -> bytes:
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    rows = [
        {
            "pv_estimate10": p[0],
            "pv_estimate": p[1],
            "pv_estimate90": p[2],
            "period_end": f"{start + (i + 1) * timedelta(minutes=30):%Y-%m-%dT%H:%M:%S}.0000000Z",
            "period": "PT30M",
            **more,
        }
        for i, p in enumerate(powers)
        if p is not None
    ]
    return json.dumps({"forecasts": rows}).encode()


def test_recorded_solcast():
    got = parse_solcast([reply("solcast_forecasts.json")], NOW, peak_w=13_500)
    assert got.p50.start == datetime(2024, 12, 26, 17, tzinfo=UTC)  # the first period ends half an hour later
    assert got.p50.step_s == 1800
    assert len(got.p50.values) == 97
    assert got.p50.at(datetime(2024, 12, 28, 15, 0, tzinfo=UTC)) == pytest.approx(15.3)
    assert got.p90.at(datetime(2024, 12, 28, 15, 0, tzinfo=UTC)) == pytest.approx(58.9)
    assert all(a <= b <= c for a, b, c in zip(got.p10.values, got.p50.values, got.p90.values, strict=True))


def test_sites_are_added_and_what_one_lacks_is_unknown():
    west, east = solcast([(0.5, 1, 2), (1, 2, 3), (0, 1, 1)]), solcast([(1, 1, 1), None, (0.1, 0.2, 0.3)])
    got = parse_solcast([west, east], NOW, peak_w=13_500)
    assert got.p10.values == (1500, None, 100)
    assert got.p50.values == (2000, None, 1200)
    assert got.p90.values == (3000, None, 1300)
    assert got.available_at == NOW


def test_crossed_quantiles_are_put_in_order():
    got = parse_solcast([solcast([(2, 1, 3)])], NOW, peak_w=13_500)
    assert (got.p10.values, got.p50.values, got.p90.values) == ((1000,), (2000,), (3000,))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "malformed"),
        (b"[]", "malformed"),
        (b'{"forecasts": []}', "wrong_units"),
        (b'{"response_status": {"error_code": "TooManyRequests"}}', "malformed"),
        (solcast([(0, 0, 0)], period="P1D"), "wrong_units"),
        (solcast([(0, 0, 0)], period_end="soon"), "malformed"),
        (solcast([(0, 0, 0)], period_end="2026-06-01T10:00:00"), "malformed"),
        (solcast([(0, 0, 0)], pv_estimate=None), "malformed"),
        (solcast([(0, 100, 2000)]), "impossible_value"),  # W where kW were meant
        (solcast([(-1, 0, 0)]), "impossible_value"),
        (solcast([(0, 0, float("nan"))]), "impossible_value"),
    ],
)
def test_broken_solcast_is_refused(body, reason):
    refused(reason, parse_solcast, [body], NOW, peak_w=13_500)


def test_sites_that_do_not_fit_together_are_refused():
    shifted = json.loads(solcast([(0, 0, 0)]))
    shifted["forecasts"][0]["period_end"] = "2026-06-01T10:40:00Z"
    refused("malformed", parse_solcast, [solcast([(0, 0, 0)]), json.dumps(shifted).encode()], NOW, peak_w=13_500)
    far = solcast([(0, 0, 0)], period_end="2099-06-01T10:30:00Z")
    refused("malformed", parse_solcast, [solcast([(0, 0, 0)]), far], NOW, peak_w=13_500)


async def test_solcast_is_asked_once_per_site_with_the_key_in_a_header():
    asked: list[tuple[str, dict[str, object]]] = []

    class Fetch:
        async def get(self, url, **more):
            asked.append((url, more))
            return solcast([(1, 1, 1)])

    one = Solcast(Fetch(), sites=["aa-11", "bb-22"], key="hush", peak_w=13_500)
    assert (await one.power(NOW)).p50.values == (2000,)
    assert [url.split("/")[-2] for url, _ in asked] == ["aa-11", "bb-22"]
    assert all(more["headers"] == {"Authorization": "Bearer hush"} and more["attempts"] == 1 for _, more in asked)
    assert not any("hush" in url or "hush" in str(more["params"]) for url, more in asked)
    assert one.every == timedelta(hours=5)  # ten questions a day, both sites together


# --- Forecast.Solar ---------------------------------------------------------------------------


def forecast_solar(day: date, watts: dict[float, float], *, utc: bool = True, days: int = 1) -> bytes:
    """Watts by hour of the UTC day, stamped in UTC or in local time."""
    result = {}
    for d in range(days):
        for hour, value in watts.items():
            at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=d, hours=hour)
            stamp = at.isoformat() if utc else f"{at.astimezone(PRAGUE):%Y-%m-%d %H:%M:%S}"
            result[stamp] = value
    return json.dumps({"result": result, "message": {"code": 0, "type": "success", "text": ""}}).encode()


SHAPE = {5.7: 0, 6: 200, 7: 1000, 8: 3000, 16: 0}


def test_instants_become_means_of_slots_and_roofs_are_added():
    day = date(2026, 6, 1)
    one = forecast_solar(day, SHAPE)
    got = parse_forecast_solar([one, one], NOW, pv=PV, zone=PRAGUE)
    at = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
    assert got.p50.start == datetime(2026, 6, 1, 5, 30, tzinfo=UTC)
    assert got.p50.at(at) == pytest.approx(2 * (200 + 100))  # 200 to 400 W
    assert got.p50.at(at + timedelta(minutes=45)) == pytest.approx(2 * 900)
    assert got.p50.values[0] == pytest.approx(2 * 0.5 * 0.05 / 0.3 * 200 * 0.05 / 0.25, rel=0.01)  # sunrise in the slot
    energy_wh = sum(v for v in got.p50.values) / 4
    assert energy_wh == pytest.approx(2 * (0.3 * 100 + 600 + 2000 + 8 * 1500), rel=1e-3)
    assert got.p10 is got.p90 is None


def test_nights_are_dark_and_the_inverter_limits():
    one = forecast_solar(date(2026, 6, 1), {**SHAPE, 8: 7000}, days=2)
    got = parse_forecast_solar([one, one], NOW, pv=PV, zone=PRAGUE)
    night = [got.p50.at(datetime(2026, 6, 1, 16, tzinfo=UTC) + i * timedelta(minutes=15)) for i in range(52)]
    assert set(night) == {0.0}
    assert max(got.p50.values) == 10_000


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 1)])
def test_local_stamps_mean_the_same_instants_when_the_clock_changes(day):
    before = day - timedelta(days=1)
    local = parse_forecast_solar([forecast_solar(before, SHAPE, utc=False, days=3)], NOW, pv=PV, zone=PRAGUE)
    utc = parse_forecast_solar([forecast_solar(before, SHAPE, days=3)], NOW, pv=PV, zone=PRAGUE)
    assert local == utc
    assert max(utc.p50.values) == utc.p50.at(datetime(day.year, day.month, day.day, 8, tzinfo=UTC))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "malformed"),
        (b'{"result": null, "message": {"code": 429, "type": "error"}}', "malformed"),
        (b'{"result": {}}', "malformed"),
        (b'{"result": {"2026-06-01T10:00:00+00:00": 5}}', "malformed"),
        (b'{"result": {"soon": 5, "later": 6}}', "malformed"),
        (b'{"result": {"2026-06-01T10:00:00+00:00": 5, "2036-06-01T10:00:00+00:00": 6}}', "malformed"),
        (forecast_solar(date(2026, 6, 1), {8: 0, 9: -5}), "impossible_value"),
        (forecast_solar(date(2026, 6, 1), {8: 0, 9: 3e6}), "impossible_value"),
        (forecast_solar(date(2026, 6, 1), {8: 0, 9: float("nan")}), "impossible_value"),
    ],
)
def test_broken_forecast_solar_is_refused(body, reason):
    refused(reason, parse_forecast_solar, [body], NOW, pv=PV, zone=PRAGUE)


async def test_forecast_solar_is_asked_for_each_roof_with_south_at_zero():
    asked: list[str] = []

    class Fetch:
        async def get(self, url, **more):
            asked.append(url)
            assert more["params"] == {"time": "utc"}
            return forecast_solar(date(2026, 6, 1), SHAPE)

    source = ForecastSolar(Fetch(), site=Site(latitude=49.5, longitude=17.4), pv=PV, url="http://x")
    assert (await source.power(NOW)).available_at == NOW
    assert asked == [
        "http://x/estimate/watts/49.5000/17.4000/35/46/7",
        "http://x/estimate/watts/49.5000/17.4000/35/-44/6.5",
    ]


# --- all of them ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_the_sources_own_words(body):
    for parse in (
        parse_ensemble,
        lambda b: parse_previous_runs(b, FIRST, FIRST),
        lambda b: parse_bright_sky(b, NOW),
        lambda b: parse_solcast([b], NOW, peak_w=1e4),
        lambda b: parse_forecast_solar([b], NOW, pv=PV, zone=PRAGUE),
    ):
        with pytest.raises(SourceError):
            parse(body)


def weather(temperature: list[float | None], cloud: list[float | None]) -> Weather:
    series: dict[str, list[float | None]] = {
        "temperature_c": temperature,
        "cloud_cover_pct": cloud,
        "ghi_w_m2": [0.0],
    }
    columns = {name: Series.of(NOW, 3600, values) for name, values in series.items()}
    return Weather(provider="x", run_at=NOW, available_at=NOW, **columns)


def test_a_usual_forecast_is_valid():
    got = check_weather(weather([1.0, None, 30.0], [0.0, 100.0, None]))
    assert (got.status, got.warnings, got.errors) == ("valid", (), ())
    assert check_weather(parse_open_meteo(reply("open_meteo_forecast.json"), NOW)).status == "valid"


def test_odd_temperatures_warn_but_a_single_one_does_not():
    assert "-30.0 to" in check_weather(weather([-30.0] * 10, [50.0])).warnings[0]
    assert "to 55.0" in check_weather(weather([55.0] * 10, [50.0])).warnings[0]
    assert check_weather(weather([10.0] * 299 + [-30.0], [50.0])).warnings == ()


def test_impossible_or_missing_columns_are_errors():
    for cloud in (-1.0, 100.5):
        got = check_weather(weather([1.0], [50.0, cloud]))
        assert got.status == "invalid"
        assert "cloud_cover_pct" in got.errors[0]
    assert check_weather(weather([None], [50.0])).errors == ("temperature_c: nothing is known",)
    assert check_weather(weather([1.0], [])).errors == ("cloud_cover_pct: nothing is known",)
