"""Parsers of outside replies: recorded real ones where present, and hand-made broken ones everywhere."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pems_common.timegrid import SLOT, local_midnight
from pems_ingest.sources.cnb import parse_cnb
from pems_ingest.sources.day_prices import MARKET_ZONE
from pems_ingest.sources.energy_charts import parse_energy_charts
from pems_ingest.sources.open_meteo import parse_open_meteo
from pems_ingest.sources.ote_chart import parse_ote_chart
from pems_ingest.sources.ote_soap import parse_ote_soap
from pems_ingest.sources.port import SourceError

REPLIES = Path(os.environ.get("PEMS_DATA_DIR") or Path(__file__).parents[4] / "shared" / "data") / "replies"
DAY = date(2026, 1, 15)
NOW = datetime(2026, 1, 15, 10, 5, tzinfo=UTC)


def reply(name: str) -> bytes:
    path = REPLIES / name
    if not path.exists():
        pytest.skip(f"no recorded replies in {REPLIES}: set PEMS_DATA_DIR")
    return path.read_bytes()


def soap(items: str, name: str = "GetDamPricePeriodEResponse") -> bytes:
    return (
        '<?xml version="1.0"?><S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>'
        f'<{name} xmlns="http://www.ote-cr.cz/schema/service/public"><Result>{items}</Result></{name}>'
        "</S:Body></S:Envelope>"
    ).encode()


def item(index: int, price: object = 100.0, day: date = DAY, resolution: str = "PT15M") -> str:
    text = "" if price is None else f"<Price>{price}</Price>"
    return (
        f"<Item><Date>{day}</Date><PeriodResolution>{resolution}</PeriodResolution>"
        f"<PeriodIndex>{index}</PeriodIndex>{text}</Item>"
    )


# --- OTE --------------------------------------------------------------------------------------


def test_recorded_soap_replies():
    got = parse_ote_soap(reply("ote_dam_pt15m_2025-10-22.xml"))
    assert len(got.prices) == 288
    assert got.missing == ()
    midnight = local_midnight(date(2025, 10, 21), MARKET_ZONE)
    assert min(got.prices) == midnight == datetime(2025, 10, 20, 22, tzinfo=UTC)
    assert got.prices[midnight] == 86.15
    assert max(got.prices) == midnight + 287 * SLOT
    assert len(parse_ote_soap(reply("ote_dam_pt15m_today.xml")).prices) == 192


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 29), 92), (DAY, 96), (date(2026, 10, 25), 100)])
def test_period_index_counts_quarters_from_local_midnight(day, count):
    got = parse_ote_soap(soap("".join(item(i, i, day) for i in range(1, count + 1))))
    midnight = local_midnight(day, MARKET_ZONE)
    assert [got.prices[midnight + i * SLOT] for i in range(count)] == list(range(1, count + 1))
    assert midnight + count * SLOT == local_midnight(day + timedelta(days=1), MARKET_ZONE)


def test_missing_slots_are_named():
    got = parse_ote_soap(soap("".join(item(i, None if i == 3 else 1) for i in range(1, 95))))
    midnight = local_midnight(DAY, MARKET_ZONE)
    assert got.missing == (midnight + 2 * SLOT, midnight + 94 * SLOT, midnight + 95 * SLOT)


def test_hourly_items_fill_their_quarters_but_never_replace_them():
    got = parse_ote_soap(soap("".join(item(i, i, resolution="PT60M") for i in range(1, 25))))
    assert len(got.prices) == 96
    both = parse_ote_soap(soap(item(1, 5) + item(1, 9, resolution="PT60M")))
    assert both.prices[local_midnight(DAY, MARKET_ZONE)] == 5


def test_nothing_published_yet_is_no_error():
    assert parse_ote_soap(soap("")).prices == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed"),
        (b"<html><body>Maintenance</body></html>", "malformed"),
        (soap(item(1))[:-30], "malformed"),
        (soap(item(1), "SomethingElse"), "malformed"),
        (soap(item(97)), "malformed"),
        (soap(item(0)), "malformed"),
        (soap(item(1, "cheap")), "malformed"),
        (soap(item(1, "nan")), "impossible_value"),
        (soap(item(1, 99999)), "impossible_value"),
        (soap(item(1, 1, resolution="PT30M")), "wrong_units"),
        (soap("<Item><Date>soon</Date><PeriodIndex>1</PeriodIndex></Item>"), "malformed"),
        (soap("<Fault><faultstring>no</faultstring></Fault>"), "malformed"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "malformed"),
        ("<a/>".encode("utf-16-le"), "malformed"),
    ],
)
def test_broken_soap_is_refused(body, reason):
    with pytest.raises(SourceError) as caught:
        parse_ote_soap(body)
    assert caught.value.reason == reason


def chart(*lines: dict[str, object]) -> bytes:
    return json.dumps({"data": {"dataLine": list(lines)}}).encode()


def line(title: str, values: list[float]) -> dict[str, object]:
    return {"title": title, "point": [{"x": str(i + 1), "y": v} for i, v in enumerate(values)]}


def test_chart_takes_the_line_by_its_title():
    body = chart(
        line("Volume (MWh)", [1.0] * 96),
        line("60min price (EUR/MWh)", [7.0] * 96),
        line("15min price (EUR/MWh)", [float(i) for i in range(96)]),
    )
    got = parse_ote_chart(body, DAY)
    assert [got.prices[local_midnight(DAY, MARKET_ZONE) + i * SLOT] for i in range(3)] == [0, 1, 2]
    hourly = parse_ote_chart(chart(line("Množství (MWh)", [1.0] * 24), line("Cena (EUR/MWh)", [5.0] * 24)), DAY)
    assert len(hourly.prices) == 96
    assert parse_ote_chart(chart(), DAY).prices == {}
    assert parse_ote_chart(chart(line("Price (EUR/MWh)", [])), DAY).prices == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "malformed"),
        (b"{}", "malformed"),
        (b'{"data": {"dataLine": [1]}}', "malformed"),
        (chart(line("Volume (MWh)", [1.0] * 24)), "wrong_units"),
        (chart({"title": "Price (EUR/MWh)", "point": [{"x": "a", "y": 1}]}), "malformed"),
        (chart({"title": "Price (EUR/MWh)", "point": [3]}), "malformed"),
    ],
)
def test_broken_charts_are_refused(body, reason):
    with pytest.raises(SourceError) as caught:
        parse_ote_chart(body, DAY)
    assert caught.value.reason == reason


# --- energy-charts and CNB --------------------------------------------------------------------


def test_energy_charts():
    got = parse_energy_charts(reply("energy_charts_price.json"))
    assert len(got.prices) == 192
    assert got.prices[datetime.fromtimestamp(1733785200, UTC) + SLOT] == 92.85


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unit": "EUR/kWh"}, "wrong_units"),
        ({"price": [1.0]}, "malformed"),
        ({"unix_seconds": [0, 0]}, "malformed"),
        ({"unix_seconds": [0, 60]}, "malformed"),
        ({"unix_seconds": [0, 10**20]}, "malformed"),
        ({"price": [1e9, 1.0]}, "impossible_value"),
        ({"price": None}, "malformed"),
    ],
)
def test_broken_energy_charts_are_refused(change, reason):
    body = {"unix_seconds": [1733785200, 1733788800], "price": [1.0, None], "unit": "EUR / MWh", **change}
    with pytest.raises(SourceError) as caught:
        parse_energy_charts(json.dumps(body).encode())
    assert caught.value.reason == reason


def test_cnb():
    assert parse_cnb(reply("cnb_exrates_2025-10-22.json")) == 24.315
    assert parse_cnb(b'{"rates": [{"currencyCode": "EUR", "rate": 2431.5, "amount": 100}]}') == 24.315


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"rates": []}', b'{"rates": [{"currencyCode": "EUR", "rate": 1.1, "amount": 1}]}', b"<html>"],
)
def test_broken_rates_are_refused(body):
    with pytest.raises(SourceError):
        parse_cnb(body)


# --- Open-Meteo -------------------------------------------------------------------------------

UNITS = {
    "temperature_2m": "°C",
    "cloud_cover": "%",
    "shortwave_radiation": "W/m²",
    "wind_speed_10m": "km/h",
    "diffuse_radiation": "W/m²",
}


def forecast(hours: int = 30, units: dict[str, str] | None = None, **columns: object) -> bytes:
    start = datetime(2026, 1, 15)  # noqa: DTZ001 - as Open-Meteo says it
    hourly = {
        "time": [(start + timedelta(hours=i)).isoformat(timespec="minutes") for i in range(hours)],
        "temperature_2m": [float(i) for i in range(hours)],
        "cloud_cover": [50] * hours,
        "shortwave_radiation": [10.0 * i for i in range(hours)],
        "wind_speed_10m": [36.0] * hours,
        "diffuse_radiation": [1.0] * hours,
        **columns,
    }
    hourly = {name: column for name, column in hourly.items() if column is not None}
    return json.dumps({"utc_offset_seconds": 0, "hourly_units": {**UNITS, **(units or {})}, "hourly": hourly}).encode()


def test_recorded_forecast():
    got = parse_open_meteo(reply("open_meteo_forecast.json"), NOW)
    assert got.temperature_c.start == datetime(2026, 3, 1, 23, tzinfo=UTC)  # the reply is in Europe/Berlin
    assert len(got.temperature_c.values) == 71
    assert got.temperature_c.values[0] == pytest.approx((3.2 + 2.3) / 2)
    assert got.wind_m_s.values[0] == pytest.approx((4.3 + 4.6) / 2 / 3.6, abs=1e-3)
    assert got.dni_w_m2 is None
    assert got.dhi_w_m2 is not None
    noon = got.ghi_w_m2.at(datetime(2026, 3, 2, 11, tzinfo=UTC))
    assert noon is not None
    assert noon > 100


def test_slots_are_means_of_their_hour():
    got = parse_open_meteo(forecast(), NOW)
    assert got.temperature_c.values[:3] == (0.5, 1.5, 2.5)  # mean of both ends
    assert got.ghi_w_m2.values[:3] == (10.0, 20.0, 30.0)  # stamped at the end of the hour
    assert got.wind_m_s.values[0] == 10
    assert got.available_at == NOW
    assert got.run_at == NOW.replace(minute=0)


def test_fahrenheit_is_converted():
    body = forecast(units={"temperature_2m": "°F"}, temperature_2m=[32.0] * 30)
    assert parse_open_meteo(body, NOW).temperature_c.values[0] == pytest.approx(0, abs=1e-6)


def test_small_holes_are_filled_and_told():
    temperature = [float(i) for i in range(30)]
    temperature[10] = temperature[11] = None
    got = parse_open_meteo(forecast(temperature_2m=temperature), NOW)
    assert got.temperature_c.values[10] == pytest.approx(10.5)
    assert got.warnings == ("temperature_c: 2 h interpolated",)


def test_a_null_tail_stays_unknown():
    got = parse_open_meteo(forecast(temperature_2m=[1.0] * 26 + [None] * 4), NOW)
    assert got.temperature_c.values[-1] is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "malformed"),
        (b"{}", "malformed"),
        (b'{"hourly": [], "hourly_units": {}}', "malformed"),
        (forecast(hours=5), "malformed"),
        (forecast(units={"temperature_2m": "K"}), "wrong_units"),
        (forecast(units={"wind_speed_10m": "Bft"}), "wrong_units"),
        (forecast(temperature_2m=[1.0]), "malformed"),
        (forecast(temperature_2m=None), "malformed"),
        (forecast(temperature_2m=[None] * 30), "empty"),
        (forecast(temperature_2m=[None] * 12 + [1.0] * 18), "empty"),
        (forecast(temperature_2m=[900.0] * 30), "impossible_value"),
        (forecast(shortwave_radiation=[-500.0] * 30), "impossible_value"),
        (forecast(temperature_2m=["warm"] * 30), "malformed"),
        (forecast(time=["2026-01-15T00:00"] * 30), "malformed"),
        (forecast(time=["now"] * 30), "malformed"),
    ],
)
def test_broken_forecasts_are_refused(body, reason):
    with pytest.raises(SourceError) as caught:
        parse_open_meteo(body, NOW)
    assert caught.value.reason == reason
