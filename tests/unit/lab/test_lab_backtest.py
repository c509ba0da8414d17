"""The backtest: days and parts, the simulator's error against a known one, the saving by hand, its work on disk."""

import asyncio
import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.lab.backtest_kit import BEGIN, MODEL, SMALL, made_columns, read, stored

from pems_common.errors import PemsError
from pems_common.messages import RoomModel, Series, Weather
from pems_common.timegrid import SLOT
from pems_house.domain.battery import Battery
from pems_house.domain.plant import Plant
from pems_lab.backtest import parts as backtest_run
from pems_lab.backtest.accounts import DayAccount, Lived, Stores, accounts, fair_czk, measured_lived, replayed
from pems_lab.backtest.own_house import OwnHouse
from pems_lab.backtest.parts import BacktestArm, BaseTask, Chunk, LivedTask, chunks, identified, training_days
from pems_lab.backtest.study import BacktestRequest, run_backtest
from pems_lab.backtest.verdict import JudgedDay, block_means, judged, month_rows
from pems_lab.measured.span import MeasuredDay

CELLS = Battery(10_000.0, 0.92, 5_300.0, 2_450.0, 0.0)


def days(count: int, spoilt: Sequence[int] = ()) -> list[MeasuredDay]:
    first = date(2026, 1, 6)
    return [
        MeasuredDay(first + timedelta(days=i), 96 * i, 96 * (i + 1), "gap" if i in spoilt else "") for i in range(count)
    ]


def shape(parts: Sequence[Chunk]) -> list[tuple[int, list[int]]]:
    return [(part.settle.first // 96, [day.first // 96 for day in part.days]) for part in parts]


# --- parts ---------------------------------------------------------------------------------------


def test_days_are_cut_into_parts_each_with_a_day_to_settle() -> None:
    assert shape(chunks(days(6), lambda day: True)) == [(0, [1, 2, 3, 4, 5])]
    assert shape(chunks(days(6), lambda day: day.first >= 3 * 96)) == [(2, [3, 4, 5])]
    assert shape(chunks(days(6), lambda day: True, most=2)) == [(0, [1, 2]), (2, [3, 4]), (4, [5])]
    assert shape(chunks(days(7, spoilt=[3]), lambda day: True)) == [(0, [1, 2]), (4, [5, 6])]
    assert chunks(days(3, spoilt=[1]), lambda day: True) == []


async def test_a_part_is_never_identified_from_its_own_days(monkeypatch: pytest.MonkeyPatch) -> None:
    span = await read(made_columns(20), 20)
    (part,) = chunks(span.days, lambda day: date(2026, 1, 12) <= day.day <= date(2026, 1, 14))
    assert training_days(span, part) == 16
    seen: dict[str, Any] = {}

    def look(priors: Any, series: Any) -> dict[str, Any]:
        seen["known"] = np.isfinite(series.air_c["loznice"])
        return {}

    monkeypatch.setattr(backtest_run, "identify_house", look)
    models = identified(span, part)
    hidden = slice(part.settle.first, part.days[-1].until + 1)
    assert not seen["known"][hidden].any()
    assert seen["known"].sum() == 20 * 96 - (hidden.stop - hidden.start)
    assert set(models) == {"loznice"}, "a room that cannot be identified is its prior"


# --- accounts ------------------------------------------------------------------------------------


async def test_a_day_is_counted_by_hand() -> None:
    span = await read(made_columns(3), 3)
    day = span.days[1]
    grid = np.where(np.arange(96) < 40, 1_000.0, -500.0)
    battery = np.where(np.arange(96) < 8, 500.0, -100.0)
    stores = {day.first: Stores(1_000.0, 5_000.0, 0.0, 0.0), day.until: Stores(1_600.0, 4_000.0, 0.0, 0.0)}
    lived = Lived(day.first, grid, battery, np.full(96, 500.0), np.full((96, 1), 20.0), stores)
    (account,) = accounts(span, [day], lived)
    assert account.import_wh == pytest.approx(10_000.0)
    assert account.export_wh == pytest.approx(7_000.0)
    # The first ten hours are low tariff: 2.731 CZK; export earns 1.95.
    assert account.bought_czk == pytest.approx(27.31)
    assert account.energy_cost_czk == pytest.approx(27.31 - 7.0 * 1.95)
    assert account.wear_czk == pytest.approx(1.0)
    assert account.peak_w == pytest.approx(1_000.0)
    assert account.rooms_wh == pytest.approx(600.0)
    assert account.battery_wh == pytest.approx(-1_000.0)
    night_c, day_c = SMALL.rooms["loznice"].night_c, SMALL.rooms["loznice"].day_c
    below = 8 * max(night_c - 0.5 - 20.0, 0.0) + 16 * max(day_c - 0.5 - 20.0, 0.0)
    assert account.below_k_h == pytest.approx(below)


def account(cost: float, *, day: str = "2026-01-06", mean_c: float = 20.0, rooms_wh: float = 0.0) -> DayAccount:
    return DayAccount(
        day, 24.0, cost, cost, 1_000.0 * cost / 4.0, 0.0, 0.0, 1e4, 5e3, mean_c, 0.1, rooms_wh, 0.0, 0.0, 0.0
    )


def test_a_saving_is_not_bought_by_cooling_the_house() -> None:
    base, cold = account(100.0), account(90.0, mean_c=19.0, rooms_wh=-1_000.0)
    fair = fair_czk(SMALL, cold, base, price_czk_kwh=4.0, loss_w_k=25.0)
    # Warmth: 1 K x 25 W/K x 24 h; stored: 1 kWh. Each kWh at 4 CZK.
    assert fair == pytest.approx(90.0 + 0.6 * 4.0 + 1.0 * 4.0)


# --- the simulator's error -----------------------------------------------------------------------


async def simulated(model: RoomModel) -> list[JudgedDay]:
    """A steady house of 25 W/K, driven as it was through a simulator that believes in a model."""
    span = await read(made_columns(12), 12)
    house, judged_days = OwnHouse(span, {"loznice": model}, None), span.days[4:11]
    first = span.days[3].first
    measured = accounts(span, judged_days, measured_lived(house, first, judged_days))
    replay = accounts(span, judged_days, replayed(house, first, judged_days))
    return [JudgedDay(a, b, None, 1.0 / model.rea_k_w) for a, b in zip(measured, replay, strict=True)]


async def test_a_true_simulator_has_no_error() -> None:
    error = judged(SMALL, {"as it was": await simulated(MODEL)}).error
    assert abs(error.bias_czk) < 0.1
    assert error.room_mae_k < 0.05
    assert error.low_czk is not None
    assert error.high_czk is not None
    assert error.low_czk <= error.bias_czk <= error.high_czk


@pytest.mark.parametrize("factor", [0.8, 1.2])
async def test_the_error_of_a_simulator_that_loses_too_much_is_recovered(factor: float) -> None:
    wrong = MODEL.model_copy(update={"rea_k_w": MODEL.rea_k_w / factor})
    error = judged(SMALL, {"as it was": await simulated(wrong)}).error
    # It loses (factor - 1) x 25 W/K x 20 K too much all day long, each kWh at 2.73 to 3.37 CZK.
    price = (20 * 2.731 + 4 * 3.369) / 24
    wanted = (factor - 1.0) * 25.0 * 20.0 * 24.0 / 1000.0 * price
    assert error.bias_czk == pytest.approx(wanted, rel=0.12)


async def test_a_battery_that_holds_less_shows_in_its_charge() -> None:
    power = np.where(np.arange(12 * 96) % 96 < 16, -2_000.0, 0.0)
    columns = made_columns(12, battery_power_w=power, grid_power_w=900.0 - power)
    columns["battery_soc_pct"][:] = 20.0
    span = await read(columns, 12)
    house = OwnHouse(span, {"loznice": MODEL}, replace(CELLS, capacity_wh=4_000.0))
    lived = replayed(house, span.days[4].first, [span.days[5]])
    assert lived.battery_w.sum() / 4.0 > -16_000.0, "it is full before the day is over"
    assert lived.grid_w.sum() < np.nansum(span.grid_w[lived.first : span.days[5].until])


async def test_what_the_meters_do_not_add_up_to_shows_in_the_error() -> None:
    columns = made_columns(12)
    columns["load_power_w"] += 100.0
    span = await read(columns, 12)
    house, (day,) = OwnHouse(span, {"loznice": MODEL}, None), span.days[5:6]
    (measured,) = accounts(span, [day], measured_lived(house, span.days[4].first, [day]))
    (replay,) = accounts(span, [day], replayed(house, span.days[4].first, [day]))
    assert replay.import_wh - measured.import_wh == pytest.approx(2_400.0)


async def test_pv_told_before_the_inverter_is_not_given_away() -> None:
    noon = np.arange(12 * 96) % 96
    pv_w = np.where((noon > 30) & (noon < 66), 4_000.0, 0.0)
    columns = made_columns(12, pv_power_w=pv_w / 0.94, grid_power_w=900.0 - pv_w)
    span = await read(columns, 12)
    assert span.pv_ac_share == pytest.approx(0.94)
    house, judged_days = OwnHouse(span, {"loznice": MODEL}, None), span.days[5:6]
    first, until = span.days[4].first, span.days[5].until
    (measured,) = accounts(span, judged_days, measured_lived(house, first, judged_days))
    (replay,) = accounts(span, judged_days, replayed(house, first, judged_days))
    assert replay.import_wh == pytest.approx(measured.import_wh, rel=1e-3)
    assert replay.export_wh == pytest.approx(measured.export_wh, rel=1e-3)
    plant = Plant(
        span.home,
        span.true_weather().at,
        lambda slot: (4.0, 2.0),
        span.start + first * SLOT,
        seed=0,
        state=house.begun(first),
        parts=house.parts(first, seed=0),
    )
    plant.advance(span.start + until * SLOT)
    wh = plant.truth.wh
    metered_wh = float(span.grid_w[first:until].sum()) / 4.0
    heated_wh = float(span.heating_w()[first:until].sum()) / 4.0
    assert wh["household"] + heated_wh - wh["pv_possible"] == pytest.approx(metered_wh, rel=5e-3)
    past = {point.at: point.value for point in backtest_run._points(span) if point.series == "pv_power_w"}
    assert past[span.start + 50 * SLOT] == pytest.approx(4_000.0 / 0.94), "PEMS sees what its inverter told"


# --- the verdict ---------------------------------------------------------------------------------


def made_days(count: int, *, bias: float, saving: float, noise: float = 0.0) -> list[JudgedDay]:
    rng = np.random.default_rng(7)
    result = []
    for i in range(count):
        day = (date(2026, 1, 20) + timedelta(days=i)).isoformat()
        paid, common = 100.0 + 10.0 * (i % 3), float(rng.normal(0.0, noise))
        simulated_cost = paid + bias + common
        lived = simulated_cost - saving + float(rng.normal(0.0, noise / 2))
        measured, replay, own = (account(cost, day=day) for cost in (paid, simulated_cost, lived))
        result.append(JudgedDay(measured, replay, own, 25.0))
    return result


def test_the_saving_is_what_both_simulations_differ_by() -> None:
    told = judged(SMALL, {"point": made_days(9, bias=7.0, saving=20.0)})
    verdict = told.arms["point"]
    assert told.error.bias_czk == pytest.approx(7.0)
    assert verdict.paid_czk == pytest.approx(990.0)
    assert verdict.would_czk == pytest.approx(990.0 - 180.0)
    assert verdict.saved_pct == pytest.approx(100.0 * 180.0 / 990.0)
    assert verdict.low_czk == pytest.approx(810.0), "days that are all alike leave no doubt"
    assert verdict.high_czk == pytest.approx(810.0)
    assert "would have paid 810 (810..810) CZK instead of 990 CZK" in verdict.sentence()


def test_the_interval_holds_the_true_saving_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        errors, own = rng.normal(3.0, 10.0, 14), rng.normal(0.0, 8.0, 14)
        made = [
            JudgedDay(account(100.0), account(100.0 + e), account(100.0 + e - 15.0 + o), 25.0)
            for e, o in zip(errors, own, strict=True)
        ]
        verdict = judged(SMALL, {"point": made}, seed=seed).arms["point"]
        assert verdict.saved_low_pct is not None
        assert verdict.saved_high_pct is not None
        held += verdict.saved_low_pct <= 15.0 <= verdict.saved_high_pct
    assert held >= 0.75 * 120


@pytest.mark.parametrize(("count", "least"), [(7, 0.70), (14, 0.72)])
def test_the_interval_of_days_that_resemble_the_day_before_is_not_much_too_narrow(count: int, least: float) -> None:
    held, trials, warm_up = 0, 800, 30
    for seed in range(trials):
        new = np.random.default_rng(seed).normal(size=count + warm_up)
        values = np.zeros(count + warm_up)
        for i in range(1, count + warm_up):
            values[i] = 0.3 * values[i - 1] + new[i]
        low, high = np.quantile(block_means(values[warm_up:], seed=seed, draws=400), (0.1, 0.9))
        held += low <= 0.0 <= high
    assert least <= held / trials <= 0.85


def test_less_than_a_week_has_no_interval() -> None:
    told = judged(SMALL, {"point": made_days(6, bias=0.0, saving=5.0)})
    assert told.error.low_czk is None
    assert told.arms["point"].low_czk is None
    assert "(" not in told.arms["point"].sentence()
    assert judged(SMALL, {"point": made_days(7, bias=0.0, saving=5.0)}).arms["point"].low_czk is not None


def test_blocks_keep_what_days_beside_each_other_have_in_common() -> None:
    slow = np.repeat([0.0, 10.0, 0.0, 10.0], 7)
    alone, together = block_means(slow, seed=1, block=1), block_means(slow, seed=1)
    assert together.std() > 1.5 * alone.std()
    assert together.mean() == pytest.approx(5.0)


def test_months_are_told_apart_and_together() -> None:
    rows = month_rows(SMALL, {"point": made_days(20, bias=2.0, saving=10.0)})
    assert [(row["month"], row["days"]) for row in rows] == [("2026-01", 12), ("2026-02", 8), ("total", 20)]
    assert rows[-1]["saved_czk"] == pytest.approx(rows[0]["saved_czk"] + rows[1]["saved_czk"])
    json.dumps(rows)


def test_no_day_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="no day"):
        judged(SMALL, {})


# --- its work ------------------------------------------------------------------------------------


async def test_a_result_belongs_to_what_it_was_made_from() -> None:
    span = await read(made_columns(4), 4)
    (part,) = chunks(span.days, lambda day: True)
    base = BaseTask(span, part)
    other = made_columns(4)
    other["outdoor_temperature_c"][5] = 1.0
    warmer = BaseTask(await read(other, 4), part)
    point = LivedTask(span, part, {}, "point")
    keys = {task.key("v") for task in (base, warmer, point, replace(point, arm="rules"), replace(point, seed=1))}
    assert len(keys | {base.key("w")}) == 6
    assert base.key("v") == BaseTask(span, part).key("v")
    for task in (base, point):
        assert pickle.loads(pickle.dumps(task)).key("v") == task.key("v"), "it goes to another process"


async def test_a_result_is_kept_when_what_it_does_not_use_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest_run, "TRAIN_DAYS", 4)
    monkeypatch.setattr(backtest_run, "AFTER_DAYS", 1)
    monkeypatch.setattr(backtest_run, "_BEFORE_DAYS", 1)
    monkeypatch.setattr(backtest_run, "_AHEAD_DAYS", 1)
    span = await read(made_columns(9), 9)
    (part,) = chunks(span.days, lambda day: day.day == date(2026, 1, 12))
    tasks: list[BaseTask | LivedTask] = [BaseTask(span, part), LivedTask(span, part, {}, "rules")]
    for day, same in ((0, True), (4, False), (8, True)):
        outdoor_c = span.outdoor_c.copy()
        outdoor_c[96 * day + 50] += 1.0
        changed = replace(span, outdoor_c=outdoor_c)
        for task in tasks:
            assert (replace(task, span=changed).key("v") == task.key("v")) == same, (day, task)


async def test_a_result_belongs_to_what_was_forecast() -> None:
    span = await read(made_columns(4), 4)
    (part,) = chunks(span.days, lambda day: True)

    def key(temperature_c: float) -> str:
        hours = {name: Series.of(BEGIN, 3600, [temperature_c] * 48) for name in ("temperature_c", "ghi_w_m2")}
        cloud = Series.of(BEGIN, 3600, [50.0] * 48)
        told = Weather(provider="x", run_at=BEGIN, available_at=BEGIN, cloud_cover_pct=cloud, **hours)
        return LivedTask(span, part, {}, "rules", (told,)).key("v")

    assert key(1.0) == key(1.0)
    assert key(1.0) != key(2.0)


def test_a_house_that_goes_on_recording_resumes_its_last_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def counted(task: BaseTask | LivedTask, tell: Any) -> dict[str, Any]:
        ran.append(type(task).__name__)
        found = real(BaseTask(task.span, task.chunk), tell)
        return found | {"days": found["replayed"], "forecasts": 0, "modelled_forecasts": 0}

    real = BaseTask.done
    monkeypatch.setattr(backtest_run, "identified", lambda span, part: {"loznice": MODEL})
    monkeypatch.setattr(BaseTask, "done", counted)
    monkeypatch.setattr(LivedTask, "done", counted)
    verdicts = []
    for recorded in (14.25, 14.5):
        store = asyncio.run(stored(made_columns(recorded)))
        verdicts.append(run_backtest(request(tmp_path, date(2026, 1, 18), date(2026, 1, 19)), store, lambda text: None))
    assert ran == ["BaseTask", "LivedTask"]
    assert verdicts[0].verdict == verdicts[1].verdict


@pytest.fixture(scope="module")
def history() -> Any:
    columns = made_columns(14)
    noon = np.arange(14 * 96) % 96
    columns["room.loznice.temperature_c"] += 0.3 * np.sin(2.0 * np.pi * noon / 96)
    return asyncio.run(stored(columns))


def request(folder: Path, first: date, last: date, **changed: Any) -> BacktestRequest:
    return BacktestRequest(SMALL, first, last, ("rules",), folder, **changed)


@pytest.mark.parametrize("arm", ["rules", "point"])
async def test_some_hours_of_a_small_house_are_lived_by_the_real_controller(arm: BacktestArm) -> None:
    span = await read(made_columns(4), 4)
    noon = span.days[2].first + 48
    hour = MeasuredDay(date(2026, 1, 8), noon, noon + 4)
    part = Chunk(MeasuredDay(date(2026, 1, 8), noon - 2, noon), (hour,))
    assert SMALL.battery is not None
    task = LivedTask(span, part, {"loznice": MODEL.model_dump(mode="json")}, arm)
    done: list[int] = []
    told = await asyncio.to_thread(task.done, done.append)
    assert done == [1, 2]
    assert (told["plans"]["made"] > 0) == (arm == "point")
    (lived,) = told["days"]
    assert lived["heating_wh"] > 0.0, "20 C is below the target"
    assert lived["hours"] == 1.0
    given_wh = lived["heating_wh"] + 400.0 - lived["import_wh"]
    standby_wh = 9.0
    assert given_wh > 0.0, "the battery serves the house"
    assert lived["battery_wh"] == pytest.approx(-given_wh / SMALL.battery.leg_efficiency - standby_wh, abs=5.0)
    assert told["modelled_forecasts"] == told["forecasts"] > 0, "nothing was archived"


def test_the_whole_way_from_history_to_verdict(tmp_path: Path, history: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest_run, "identified", lambda span, part: {"loznice": MODEL})

    def cheaper(task: LivedTask, tell: Any) -> dict[str, Any]:
        base = BaseTask(task.span, task.chunk).done(tell)
        days = [{**day, "energy_cost_czk": day["energy_cost_czk"] - 6.0} for day in base["replayed"]]
        return {"days": days, "plans": {}, "forecasts": 2, "modelled_forecasts": 1}

    monkeypatch.setattr(LivedTask, "done", cheaper)
    said: list[str] = []
    asked = request(tmp_path, date(2026, 1, 16), date(2026, 1, 18))
    told = run_backtest(asked, history, said.append)
    assert (told.asked_days, dict(told.left_out), told.modelled_share) == (3, {}, 0.5)
    verdict = told.verdict.arms["rules"]
    assert verdict.saved_czk == pytest.approx(18.0)
    assert verdict.paid_czk == pytest.approx(3 * 0.9 * (20 * 2.731 + 4 * 3.369), rel=1e-6)
    assert [row["month"] for row in told.months] == ["2026-01", "total"]
    assert len(told.days["rules"]) == 3

    def never(task: LivedTask, tell: Any) -> dict[str, Any]:
        raise AssertionError("it is on disk")

    monkeypatch.setattr(LivedTask, "done", never)
    assert run_backtest(asked, history, said.append).verdict == told.verdict


def test_what_cannot_be_done_is_refused_with_what_to_do(tmp_path: Path, history: Any) -> None:
    def refused(first: date, last: date) -> PemsError:
        with pytest.raises(PemsError) as caught:
            run_backtest(request(tmp_path, first, last), history, lambda text: None)
        return caught.value

    assert "is before" in refused(date(2026, 1, 9), date(2026, 1, 8)).message
    assert "nothing of 2020" in refused(date(2020, 1, 1), date(2020, 1, 2)).message
    short = refused(date(2026, 1, 8), date(2026, 1, 14))
    assert "too short" in short.message
    assert "in 4 days of recording: from 2026-01-" in short.remedy
    alone = refused(date(2026, 1, 6), date(2026, 1, 6))
    assert "a house has to settle" in alone.message


def test_a_history_without_rooms_is_refused(tmp_path: Path) -> None:
    columns = made_columns(14)
    columns["room.loznice.relay_on"][:] = np.nan
    store = asyncio.run(stored(columns))
    with pytest.raises(PemsError, match="no room has both") as caught:
        run_backtest(request(tmp_path, date(2026, 1, 17), date(2026, 1, 17)), store, lambda text: None)
    assert "record its sensor and its relay" in caught.value.remedy


def test_an_empty_history_says_how_to_begin(tmp_path: Path) -> None:
    store = asyncio.run(stored({}))
    with pytest.raises(PemsError, match="empty") as caught:
        run_backtest(request(tmp_path, date(2026, 1, 17), date(2026, 1, 17)), store, lambda text: None)
    assert "./pems up" in caught.value.remedy
