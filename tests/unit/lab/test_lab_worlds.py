"""Worlds of a comparison: the reference year laid out as its files say, and a record of the user's own."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pems_common.errors import PemsError
from pems_common.home import load_home
from pems_lab.reference_world import at_uccle, own_world, reference_world

ROOT = Path(__file__).resolve().parents[3]
HOME = load_home(ROOT / "config" / "home.yaml")
DATA = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data")

needs_data = pytest.mark.skipif(
    not all((DATA / part).is_dir() for part in ("weather", "ote_cz")), reason="no data sets: set PEMS_DATA_DIR"
)


def hours(path: Path, rows: list[tuple[str, float, float]]) -> Path:
    lines = [f"{start},{temperature},{ghi}" for start, temperature, ghi in rows]
    path.write_text("\n".join(["slot_start,temperature_c,ghi_w_m2", *lines]) + "\n")
    return path


def prices(path: Path, rows: list[tuple[str, float]]) -> Path:
    path.write_text("\n".join(["slot_start,price_eur_mwh", *(f"{start},{price}" for start, price in rows)]) + "\n")
    return path


def test_the_house_stands_where_the_year_was_measured_and_keeps_its_market() -> None:
    home = at_uccle(HOME)
    assert (round(home.site.latitude, 1), round(home.site.longitude, 1)) == (50.8, 4.4)
    assert home.site.timezone == HOME.site.timezone
    assert home.rooms == HOME.rooms


@needs_data
def test_the_reference_year_is_four_kelvin_colder_and_hours_end_at_utc_plus_one() -> None:
    world = reference_world(at_uccle(HOME), DATA, seed=0)
    # The row of hour 0 is the mean from 00:00 to 01:00 at UTC+1: its middle is 23:30 UTC of the day before.
    first = next(iter((DATA / "weather" / "uccle_typical_year_60min.csv").read_text().splitlines()[1:])).split(",")
    assert world.weather(datetime(2024, 12, 31, 23, 30, tzinfo=UTC)).temperature_c == pytest.approx(
        float(first[1]) - 4.0
    )


@needs_data
def test_reference_prices_are_hourly_before_october_and_the_lost_hour_stays_lost() -> None:
    world = reference_world(at_uccle(HOME), DATA, seed=0)
    january = [world.spot_eur_mwh(datetime(2025, 1, 15, 8, 15 * k, tzinfo=UTC)) for k in range(4)]
    november = [world.spot_eur_mwh(datetime(2025, 11, 15, 7, 15 * k, tzinfo=UTC)) for k in range(4)]
    assert len(set(january)) == 1
    assert len(set(november)) == 4
    assert world.spot_eur_mwh(datetime(2025, 10, 26, 22, 45, tzinfo=UTC)) is None


def test_forecast_errors_depend_on_the_seed_alone_and_grow_with_lead(tmp_path: Path) -> None:
    weather = hours(tmp_path / "w.csv", [(f"2024-02-01T{h:02d}:00:00+00:00", 5.0, 0.0) for h in range(24)])
    market = prices(tmp_path / "p.csv", [("2024-02-01T00:00:00+00:00", 80.0)])

    def errors(seed: int) -> list[float]:
        world = own_world(HOME, weather, market, seed=seed)
        told = world.weather_forecast(datetime(2024, 2, 1, 6, tzinfo=UTC), 72).temperature_c
        return [abs(float(value or 0.0) - 5.0) for value in told.values]

    assert errors(3) == errors(3)
    assert errors(3) != errors(4)
    many = [errors(seed) for seed in range(8)]
    early, late = (sum(sum(row[part]) for row in many) for part in (slice(0, 12), slice(60, 72)))
    assert late > 1.5 * early


def test_an_own_record_holds_what_its_files_say(tmp_path: Path) -> None:
    weather = hours(
        tmp_path / "w.csv", [(f"2024-02-01T{h:02d}:00:00+00:00", float(h), 60.0 * (h == 11)) for h in range(24)]
    )
    market = prices(
        tmp_path / "p.csv",
        [("2024-02-01T00:00:00+00:00", 80.0), ("2024-02-01T01:00:00+00:00", 90.0), ("2024-02-01T01:15:00+00:00", -5.0)],
    )
    world = own_world(HOME, weather, market, seed=1)
    assert world.weather(datetime(2024, 2, 1, 5, 30, tzinfo=UTC)).temperature_c == pytest.approx(5.0)
    noon = world.weather(datetime(2024, 2, 1, 11, 30, tzinfo=UTC))
    assert noon.ghi_w_m2 == pytest.approx(60.0, rel=0.1)
    assert noon.dhi_w_m2 > 0.0
    assert world.spot_eur_mwh(datetime(2024, 2, 1, 0, 45, tzinfo=UTC)) == 80.0
    assert world.spot_eur_mwh(datetime(2024, 2, 1, 1, 0, tzinfo=UTC)) == 90.0
    assert world.spot_eur_mwh(datetime(2024, 2, 1, 1, 15, tzinfo=UTC)) == -5.0
    assert world.spot_eur_mwh(datetime(2024, 2, 1, 2, 15, tzinfo=UTC)) is None


@pytest.mark.parametrize("fault", ["gap", "column", "missing"])
def test_an_own_record_that_cannot_be_read_says_what_and_where(tmp_path: Path, fault: str) -> None:
    rows = [("2024-02-01T00:00:00+00:00", 1.0, 0.0), ("2024-02-01T02:00:00+00:00", 1.0, 0.0)]
    weather = hours(tmp_path / "w.csv", rows if fault == "gap" else rows[:1])
    market = prices(tmp_path / "p.csv", [("2024-02-01T00:00:00+00:00", 80.0)])
    if fault == "column":
        market.write_text("when,price\n2024,1\n")
    if fault == "missing":
        market = tmp_path / "nowhere.csv"
    with pytest.raises(PemsError, match=r"w\.csv.*does not follow|no column slot_start|nowhere\.csv"):
        own_world(HOME, weather, market, seed=1)
