"""Arms over hours of house time: the same seeds give the same figures, energy closes, periods are counted apart."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pems_common.home import load_home
from pems_common.world.generated import GeneratedWorld
from pems_lab.arms import run as arm_run
from pems_lab.arms.owner_rules import OldHabits
from pems_lab.arms.run import Arm, BaselineRun, Stretch, run_arm
from pems_lab.house_balance import Stores, balance
from pems_lab.tally import MinuteWatch, Tally, period_truth

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
NOON = datetime(2026, 1, 13, 11, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def world(seed: int = 0) -> GeneratedWorld:
    return GeneratedWorld(seed=seed, latitude=HOME.site.latitude, longitude=HOME.site.longitude)


@pytest.fixture
def short_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days of 20 minutes, so that a test of two of them is quick."""
    monkeypatch.setattr(arm_run, "_DAY", timedelta(minutes=20))


async def told(arm: Arm, seed: int) -> dict[str, Any]:
    result = await run_arm(HOME, world(seed), arm, Stretch(NOON, days=1, settle_days=1, seed=seed))
    result.pop("took")
    return result


@pytest.mark.usefixtures("short_days")
@pytest.mark.parametrize("arm", ["b1", "rules"])
async def test_the_same_seed_gives_the_same_figures_to_the_last_bit(arm: Arm) -> None:
    assert await told(arm, 2) == await told(arm, 2)


@pytest.mark.usefixtures("short_days")
async def test_another_seed_gives_others() -> None:
    first, other = await told("b1", 2), await told("b1", 3)
    assert first["truth"]["energy_cost_czk"] != other["truth"]["energy_cost_czk"]


@pytest.mark.usefixtures("short_days")
async def test_only_the_days_that_count_are_counted_and_progress_tells_them_all() -> None:
    done: list[int] = []
    stretch = Stretch(NOON, days=2, settle_days=1)
    result = await run_arm(HOME, world(), "b0", stretch, day_done=done.append)
    assert done == [1, 2, 3]
    assert result["truth"]["elapsed_h"] == pytest.approx(40.0 / 60.0)
    assert len(result["days"]) == 2
    assert result["days"][-1]["to"] == (NOON + timedelta(minutes=40)).isoformat()
    assert sum(day["import_wh"] for day in result["days"]) == pytest.approx(result["truth"]["import_wh"])
    assert result["plans"] == {"made": 0, "kept": 0, "rules": 0}
    assert result["modes"] == {}


@pytest.mark.usefixtures("short_days")
async def test_a_candidate_is_counted_by_the_bands_and_wear_price_of_the_house() -> None:
    assert HOME.battery is not None
    wear = HOME.battery.wear_czk_kwh
    live = HOME.model_copy(
        update={
            "comfort": HOME.comfort.model_copy(update={"band_below_k": 0.0}),
            "battery": HOME.battery.model_copy(update={"wear_czk_kwh": wear + 10.0}),
        }
    )
    lax = HOME.model_copy(update={"comfort": HOME.comfort.model_copy(update={"band_below_k": 3.0})})
    stretch = Stretch(NOON, days=1, settle_days=0)
    mine = (await run_arm(live, world(), "rules", stretch))["truth"]
    theirs = (await run_arm(lax, world(), "rules", stretch, built=live))["truth"]
    below, of_candidate = (sum(truth["comfort_below_k_h"].values()) for truth in (mine, theirs))
    assert of_candidate >= below > 0.0
    assert theirs["wear_czk"] == pytest.approx(theirs["battery_out_wh"] / 1000.0 * (wear + 10.0))
    assert theirs["battery_out_wh"] > 0.0


async def test_the_houses_energy_closes_and_a_leak_would_show() -> None:
    run = BaselineRun(HOME, world(), NOON, habits=OldHabits())
    begun = Stores.of(run.house.plant)
    await run.run(timedelta(hours=4))
    closed = balance(run.house.plant, begun)
    assert closed.throughput_wh > 5_000.0
    assert closed.worst < 1e-9
    run.house.plant.rooms.temperature_c[0] += 0.01
    assert balance(run.house.plant, begun).worst > 1e-6
    run.house.plant.rooms.temperature_c[0] -= 0.01
    run.house.plant.truth.wh["battery_out"] += 1.0
    assert balance(run.house.plant, begun).worst > 1e-6


async def test_a_period_is_what_the_meter_says_between_two_instants() -> None:
    run = BaselineRun(HOME, world(), NOON)
    plant, watch = run.house.plant, MinuteWatch()
    await run.run(timedelta(minutes=30))
    before, truth_before = Tally.of(plant), run.house.truth()
    await run.run(timedelta(hours=1), lambda _: watch.look(plant))
    truth = period_truth(HOME, plant, Tally.of(plant) - before, watch)
    after = run.house.truth()
    assert truth["import_wh"] == pytest.approx(after["import_wh"] - truth_before["import_wh"], abs=0.2)
    assert truth["battery_stored_wh"] == pytest.approx(
        after["battery_stored_wh"] - truth_before["battery_stored_wh"], abs=0.2
    )
    assert sum(watch.import_wh.values()) == pytest.approx(truth["import_wh"], abs=1e-6)
    assert max(truth["monthly_peaks_w"].values()) == pytest.approx(4.0 * max(watch.import_wh.values()), abs=0.1)
    assert truth["pv_used_wh"] <= truth["pv_possible_wh"] + 1e-9
    assert truth["elapsed_h"] == pytest.approx(1.0)


def test_a_days_heating_peak_is_told_with_its_local_hour() -> None:
    midnight = datetime(2026, 1, 12, 23, tzinfo=UTC)
    watch = MinuteWatch(heating_wh={midnight + k * timedelta(minutes=15): 100.0 for k in range(96)})
    watch.heating_wh[midnight + timedelta(hours=9, minutes=30)] = 2_000.0
    (day, (hour, power_w)) = next(iter(watch.heating_peaks(HOME.site.zone).items()))
    assert (day.isoformat(), hour, power_w) == ("2026-01-13", 9, 8_000.0)
    watch.heating_wh.pop(midnight)
    for k in range(1, 5):
        watch.heating_wh.pop(midnight + k * timedelta(minutes=15))
    assert watch.heating_peaks(HOME.site.zone) == {}, "a day that is not whole has no peak"


def test_the_hours_of_a_month_at_an_end_are_no_month() -> None:
    watch = MinuteWatch()
    first = datetime(2025, 1, 1, 11, tzinfo=UTC)
    for k in range(31 * 96):
        watch.import_wh[first + k * timedelta(minutes=15)] = 3000.0 if k == 50 else 1000.0
    assert watch.monthly_peaks_w(ZoneInfo("Europe/Prague")) == {"2025-01": 12_000.0}
    few = MinuteWatch(import_wh={first: 1000.0})
    assert few.monthly_peaks_w(ZoneInfo("Europe/Prague")) == {"2025-01": 4_000.0}
