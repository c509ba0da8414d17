"""Key figures of the day: sums of what was seen, and nothing invented."""

from datetime import UTC, date, datetime, timedelta

import pytest

from pems_common.home import Home
from pems_common.messages import Prices, RoomReading, Series, Telemetry
from pems_monitor.domain.kpi import DayLedger

NOON = datetime(2026, 1, 15, 11, 0, tzinfo=UTC)


def _prices(buy: float | None = 4.0, sell: float | None = 1.0) -> Prices:
    start = NOON - timedelta(days=1)
    return Prices(
        spot_eur_mwh=Series.of(start, 900, [100.0] * 288),
        eur_czk=25,
        buy_czk_kwh=Series.of(start, 900, [buy] * 288),
        sell_czk_kwh=Series.of(start, 900, [sell] * 288),
        known_until=start + timedelta(days=3),
        source="test",
        tariff_version="1",
    )


def _run(
    home: Home, ledger: DayLedger, start: datetime, minutes: int, telemetry: Telemetry, prices: Prices | None
) -> datetime:
    for i in range(minutes + 1):
        ledger.add(start + timedelta(minutes=i), telemetry, prices, home)
    return start + timedelta(minutes=minutes)


def test_an_hour_of_import_and_export(home: Home) -> None:
    ledger = DayLedger()
    importing = Telemetry(grid_power_w=2_000, pv_power_w=0, load_power_w=2_000, battery_power_w=0)
    exporting = Telemetry(grid_power_w=-1_000, pv_power_w=4_000, load_power_w=2_000, battery_power_w=-1_000)
    at = _run(home, ledger, NOON, 60, importing, _prices())
    at = _run(home, ledger, at + timedelta(minutes=1), 59, exporting, _prices())
    kpi = ledger.kpi(at, home)
    assert kpi is not None
    assert kpi.import_wh == pytest.approx(2_000)
    assert kpi.export_wh == pytest.approx(1_000)
    assert kpi.cost_czk == pytest.approx(2 * 4.0 - 1 * 1.0)
    assert kpi.priced == pytest.approx(1.0)
    assert kpi.self_consumption == pytest.approx(0.75)
    assert kpi.self_sufficiency == pytest.approx(0.5)
    assert kpi.peak_import_w == pytest.approx(2_000, rel=0.07)
    assert kpi.charge_wh == pytest.approx(1_000)
    assert kpi.covered == pytest.approx(2 / 14)


def test_a_silence_is_a_gap_and_energy_without_price_has_no_cost(home: Home) -> None:
    ledger = DayLedger()
    telemetry = Telemetry(grid_power_w=6_000)
    ledger.add(NOON, telemetry, None, home)
    ledger.add(NOON + timedelta(hours=2), telemetry, None, home)
    ledger.add(NOON + timedelta(hours=2, minutes=1), telemetry, None, home)
    ledger.add(NOON + timedelta(hours=1), telemetry, None, home)  # from the past: ignored
    kpi = ledger.kpi(NOON + timedelta(hours=2, minutes=1), home)
    assert kpi is not None
    assert kpi.import_wh == pytest.approx(100)
    assert (kpi.cost_czk, kpi.priced) == (0.0, 0.0)
    assert kpi.self_consumption is None
    assert kpi.comfort_inside is None


def test_comfort_counts_degree_hours_below_the_band(home: Home) -> None:
    ledger = DayLedger()
    rooms = {
        "obyvak": RoomReading(temperature_c=21.0),
        "hosti": RoomReading(temperature_c=19.0),
        "x": RoomReading(temperature_c=1),
    }
    at = _run(home, ledger, NOON, 60, Telemetry(rooms=rooms), None)
    kpi = ledger.kpi(at, home)
    assert kpi is not None
    assert kpi.comfort_k_h == pytest.approx(1.0)
    assert kpi.comfort_inside == pytest.approx(0.5)


@pytest.mark.parametrize("day", [date(2026, 1, 15), date(2026, 3, 29), date(2026, 10, 25)])
def test_the_page_turns_at_local_midnight(home: Home, day: date) -> None:
    zone = home.site.zone
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    ledger = DayLedger()
    at = _run(home, ledger, midnight - timedelta(minutes=31), 29, Telemetry(grid_power_w=1_000), None)
    at = _run(home, ledger, midnight + timedelta(minutes=2), 28, Telemetry(grid_power_w=500), None)
    kpi = ledger.kpi(at, home)
    assert kpi is not None
    assert kpi.day == day
    assert kpi.import_wh == pytest.approx(500 * 0.5)
    assert kpi.covered == pytest.approx(1.0)
    assert ledger.kpi(at + timedelta(days=2), home) is None


def test_ledger_survives_a_restart_and_refuses_rubbish(home: Home) -> None:
    ledger = DayLedger()
    at = _run(home, ledger, NOON, 30, Telemetry(grid_power_w=1_000), _prices())
    again = DayLedger.from_json(ledger.to_json())
    assert again == ledger
    assert again.kpi(at, home) == ledger.kpi(at, home)
    for rubbish in ({}, {**ledger.to_json(), "seen_s": "x"}, {**ledger.to_json(), "last_at": "yesterday"}):
        assert DayLedger.from_json(rubbish) == DayLedger()
