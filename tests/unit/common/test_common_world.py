"""The world: the same in every process, plausible, and its forecasts know no more than they may."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, pstdev

import pytest

from pems_common.errors import PemsError
from pems_common.world import WorldFile, open_world, write_world_file

START = datetime(2026, 1, 12, tzinfo=UTC)
PLACE = {"latitude": 49.5, "longitude": 17.4}
DATA = Path(os.environ.get("PEMS_DATA_DIR", Path(__file__).parents[4] / "shared" / "data"))


def hours(world, start, count):
    return [world.weather(start + timedelta(hours=i)) for i in range(count)]


def test_two_processes_see_the_same_world(tmp_path):
    write_world_file(tmp_path / "w.json", WorldFile(kind="generated", seed=3))
    one, two = (open_world(tmp_path / "w.json", **PLACE) for _ in range(2))
    at = START + timedelta(hours=31, minutes=7)
    assert one.weather(at) == two.weather(at)
    assert one.weather_forecast(at) == two.weather_forecast(at)
    assert one.spot_eur_mwh(at) == two.spot_eur_mwh(at)
    other = open_world(None, **PLACE, seed=4)
    assert other.weather(at) != one.weather(at)


@pytest.mark.parametrize("seed", range(4))
def test_generated_winters_and_summers_are_plausible(seed):
    world = open_world(None, **PLACE, seed=seed)
    winter = hours(world, START, 24 * 28)
    summer = hours(world, datetime(2026, 7, 1, tzinfo=UTC), 24 * 28)
    assert -8 < mean(w.temperature_c for w in winter) < 3
    assert 15 < mean(w.temperature_c for w in summer) < 23
    assert 0.3 < sum(w.ghi_w_m2 for w in winter) / 28_000 < 1.6  # kWh/m2 and day
    assert 3.5 < sum(w.ghi_w_m2 for w in summer) / 28_000 < 7
    assert all(0 <= w.cloud_cover_pct <= 100 and w.ghi_w_m2 >= 0 for w in winter + summer)
    midnight = hours(world, datetime(2026, 1, 12, 23, tzinfo=UTC), 1)[0]
    assert midnight.ghi_w_m2 == midnight.dni_w_m2 == 0
    prices = [world.spot_eur_mwh(START + timedelta(minutes=15 * i)) for i in range(96 * 28)]
    assert 70 < mean(prices) < 160
    assert 25 < pstdev(prices) < 90


def test_forecasts_err_more_with_lead_time_but_not_wildly():
    world = open_world(None, **PLACE, seed=1)
    near, far = [], []
    for day in range(20):
        issued = START + timedelta(days=day, hours=6, minutes=20)
        forecast = world.weather_forecast(issued, 48)
        assert forecast.run_at <= issued == forecast.available_at
        for lead, errors in ((1, near), (40, far)):
            at = forecast.run_at + timedelta(hours=lead, minutes=30)
            errors.append(abs((forecast.temperature_c.at(at) or 0.0) - world.weather(at).temperature_c))
    assert mean(near) < 0.8 < mean(far) < 2.5


def test_prices_are_published_in_the_early_afternoon():
    world = open_world(None, **PLACE, seed=1)
    noon = START.replace(hour=11)  # 12:00 in Prague
    assert world.published_until(noon) == datetime(2026, 1, 12, 23, tzinfo=UTC)
    assert world.published_until(noon + timedelta(hours=2)) == datetime(2026, 1, 13, 23, tzinfo=UTC)
    assert world.published_until(START - timedelta(minutes=30)) == datetime(2026, 1, 12, 23, tzinfo=UTC)


def test_a_live_world_embeds_what_was_fetched(tmp_path):
    rows = [[float(i), 50.0, 100.0, 200.0, 50.0, 3.0, 70.0] for i in range(48)]
    prices = {(START + timedelta(minutes=15 * i)).isoformat(): 50.0 + i for i in range(8)}
    weather = {"start": START.isoformat(), "hours": rows}
    content = WorldFile(kind="live", weather=weather, prices=prices, eur_czk={"2026-01-10": 24.2})
    write_world_file(tmp_path / "w.json", content)
    world = open_world(tmp_path / "w.json", **PLACE)
    assert world.weather(START + timedelta(hours=5, minutes=30)).temperature_c == pytest.approx(5.0)
    assert world.spot_eur_mwh(START + timedelta(minutes=20)) == 51.0
    assert world.spot_eur_mwh(START + timedelta(days=3)) is None
    assert world.eur_czk(START) == 24.2
    assert world.eur_czk(START - timedelta(days=9)) is None
    assert world.weather(START + timedelta(days=9)).temperature_c is not None


def test_a_damaged_world_file_says_what_to_do(tmp_path):
    (tmp_path / "w.json").write_text('{"kind": "recorded", "data_dir": "nowhere"}')
    with pytest.raises(PemsError, match="delete it"):
        open_world(tmp_path / "w.json", **PLACE)


@pytest.mark.skipif(not (DATA / "ote_cz").exists(), reason=f"no data sets in {DATA}: set PEMS_DATA_DIR")
def test_the_recorded_world_is_a_real_january_week(tmp_path):
    write_world_file(tmp_path / "w.json", WorldFile(kind="recorded", data_dir=str(DATA)))
    world = open_world(tmp_path / "w.json", **PLACE)
    week = hours(world, START, 24 * 7)
    assert -10 < mean(w.temperature_c for w in week) < 5
    brightest = max(range(24), key=lambda h: sum(week[d * 24 + h].ghi_w_m2 for d in range(7)))
    assert brightest in {10, 11, 12}  # UTC: the sun of 17 degrees east, not of Uccle
    assert world.spot_eur_mwh(START) is not None
    assert world.spot_eur_mwh(START) != world.spot_eur_mwh(START + timedelta(minutes=15))
    assert world.eur_czk(START) == pytest.approx(24.3, abs=0.5)
