"""The truth of a plan's horizon out of a history or a file, and a day of the laboratory whose plans come again."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home
from tests.unit.optimizer.plan_case_cases import a_case

from pems_common.errors import PemsError
from pems_common.world.generated import GeneratedWorld
from pems_lab.replay.courses import edges, executed_slots, happened_of, live_day, part, span_of, true_course
from pems_lab.replay.truth_file import TruthFile
from pems_optimizer.domain.plan_case import PlanCase
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.regret import regret_split
from pems_optimizer.plan_case_replay import replay_case

SLOT = timedelta(minutes=15)
QUICK = Effort(rounds=3, fine_rounds=2, fine=(60, 5), sweeps=0, intent_sweeps=0)


@pytest.fixture(scope="module")
def case() -> PlanCase:
    return a_case()


def test_parts_reach_over_the_ends_of_a_series_and_edges_lie_between_means() -> None:
    values = np.array([1.0, 2.0, 4.0])
    assert np.array_equal(part(values, -1, 5), [np.nan, 1.0, 2.0, 4.0, np.nan], equal_nan=True)
    assert np.isnan(part(values, 7, 2)).all()
    assert np.array_equal(edges(values, 0, 2), [1.0, 1.5, 3.0])
    assert np.array_equal(edges(values, 1, 3), [1.5, 3.0, 4.0, np.nan], equal_nan=True)


def test_a_plan_is_executed_until_the_next_one_decides(case: PlanCase) -> None:
    def later(minutes: int) -> PlanCase:
        at = START + timedelta(minutes=minutes)
        return replace(case, ask=replace(case.ask, now=at, decide_from=at + SLOT))

    assert executed_slots(case, later(45)) == 4
    assert executed_slots(case, later(-15)) == 1, "one that came at once"
    assert executed_slots(case, later(60 * 24 * 9)) == case.plan.slots
    assert executed_slots(case, None) == 4
    assert executed_slots(later(15), None) == 5, "the slot before it decides is in it"


def write(path: Path, lines: str) -> Path:
    path.write_text(lines)
    return path


def test_a_file_of_truth_is_put_on_the_slots_of_the_plan(tmp_path: Path, case: PlanCase) -> None:
    head = "slot_start,pv_power_w,buy_czk_kwh,solar_south_w_m2,grid_power_w,battery_power_w,pv_used_w,"
    head += "battery_soc_pct,room.pokoj_1.temperature_c,room.pokoj_1.relay\n"
    rows = [
        f"{(START + k * SLOT).isoformat()},{100 + k},{'' if k == 2 else 3.5},10,{k},-50,20,{40 + k},{20 + k},0.5\n"
        for k in (1, 0, 2, 3)
    ]
    file = TruthFile.read(write(tmp_path / "truth.csv", head + "".join(rows)))
    forecast = case.known.forecast
    assert forecast is not None
    course = file.course(forecast)
    assert course.pv_w[:4].tolist() == [100.0, 101.0, 102.0, 103.0]
    assert np.isnan(course.pv_w[4:]).all()
    assert np.isnan(course.buy[2])
    assert np.isnan(course.load_w).all()
    assert list(course.solar_w_m2) == ["south"]
    happened = file.happened(case)
    assert happened is not None
    assert happened.slots == 4
    assert happened.air_c[:5, 0].tolist() == [20.0, 20.5, 21.5, 22.5, 23.0]
    assert case.home.battery is not None
    assert happened.stored_wh[1] == pytest.approx(0.405 * case.home.battery.capacity_wh)
    assert happened.relay[:4, 0].tolist() == [0.5] * 4
    split = regret_split(case, forecast, happened, executed_slots=2, effort=QUICK)
    assert split.horizon.model is not None
    assert split.energy_kwh is not None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no rows"),
        ("slot_start,pv_power_w\n", "no rows"),
        ("at,pv_power_w\n2025-01-14T13:00:00Z,1\n", "no rows with a slot_start"),
        ("slot_start,pv_power_w\n2025-01-14T13:00:00,1\n", "line 2: slot_start"),
        ("pv_power_w,slot_start\n1\n", "line 2: slot_start"),
        ("slot_start,pv_power_w\n2025-01-14T13:07:00Z,1\n", "does not begin a quarter"),
        ("slot_start,pv_power_w\n2025-01-14T13:00:00Z,much\n", "line 2, pv_power_w: 'much'"),
        ("slot_start,pv_power_w\n2025-01-14T13:00:00Z,inf\n", "is no number"),
        ("slot_start,pv_power_w\n1025-01-14T13:00:00Z,1\n2025-01-14T13:00:00Z,1\n", "spans more than"),
    ],
)
def test_a_wrong_file_is_named_by_line_and_column(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(PemsError, match=why):
        TruthFile.read(write(tmp_path / "truth.csv", text))


def test_a_file_of_another_time_or_without_a_meter_is_told(tmp_path: Path, case: PlanCase) -> None:
    file = TruthFile.read(write(tmp_path / "t.csv", "slot_start,pv_power_w\n2024-01-14T13:00:00Z,1\n"))
    assert case.known.forecast is not None
    with pytest.raises(PemsError, match="knows nothing of"):
        file.course(case.known.forecast)
    assert file.happened(case) is None
    with pytest.raises(PemsError, match="cannot be read"):
        TruthFile.read(tmp_path / "absent.csv")


async def test_a_few_hours_of_the_laboratory(tmp_path: Path) -> None:
    """One room, forecasts that come true: its plans come again, and their forecasts cost nothing."""
    home = small_home("pokoj_1", water=None, ev=None)
    control = home.control.model_copy(update={"armed": True, "shadow": False, "rollout": ("*",)})
    home = home.model_copy(update={"control": control})
    world = GeneratedWorld(seed=3, latitude=home.site.latitude, longitude=home.site.longitude)
    day = await live_day(
        home,
        world,
        START,
        timedelta(minutes=75),
        tmp_path,
        seed=3,
        foreseen=True,
        settle=timedelta(minutes=30),
    )
    assert len(day.cases) >= 2
    first, second = day.cases[:2]
    assert day.following(first) is second
    assert day.following(day.cases[-1]) is None
    assert second.known.last is not None, "it began where the first one ended"
    for case in day.cases:
        assert replay_case(case).identical
    span = await span_of(first, day.run.store)
    assert span.end <= day.run.clock.now()
    forecast = first.known.forecast
    assert forecast is not None
    course = true_course(span, forecast)
    at = (first.plan.start - forecast.pv_power_w.p50.start) // SLOT
    foreseen = np.array(forecast.outdoor_temperature_c.p50.values[at : at + 4], dtype=float)
    assert course.outdoor_c[at : at + 4] == pytest.approx(foreseen, abs=1.5), "the sensor has its own offset"
    happened = happened_of(span, first)
    assert happened.slots >= 5
    assert np.isfinite(happened.air_c[:5]).all()
    split = regret_split(first, day.truth(first), happened, executed_slots=executed_slots(first, second), effort=QUICK)
    assert split.executed.forecast.total == split.horizon.forecast.total == 0.0
    assert split.executed.model is not None
    assert 0.0 < split.air_rmse_k["pokoj_1"] < 2.0, "the first plan is made before the rooms are measured"


async def test_a_history_that_knows_nothing_yet_is_told(case: PlanCase) -> None:
    class Empty:
        async def slots(self, series: list[str], *_: object) -> dict[str, list[float | None]]:
            return {name: [None] * 10 for name in series}

    with pytest.raises(PemsError, match="wait until some of its horizon is past"):
        await span_of(case, Empty())  # type: ignore[arg-type]
