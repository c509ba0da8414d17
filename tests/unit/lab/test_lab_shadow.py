"""Days of a shadow run: from histories and cases, kept in a book, and the meter of strategies."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.unit.lab.test_lab_table import HOME, result
from tests.unit.lab.twin_kit import DAY, made_day, tiny_home
from tests.unit.optimizer.optimizer_cases import small_home
from tests.unit.optimizer.plan_case_cases import made_case

from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.home import Home
from pems_lab.measured.span import MeasuredDay, MeasuredSpan
from pems_lab.paired import DayPair, DayScore
from pems_lab.shadow.arms import arm_pairs
from pems_lab.shadow.book import BookLine, ShadowBook, pair_key
from pems_lab.shadow.data import FileCases, RestCases
from pems_lab.shadow.days import ShadowDay, with_strategy
from pems_lab.shadow.sources import as_known, measured_days
from pems_lab.shadow.strategy_meter import meter_homes, strategy_score, weeks
from pems_optimizer.adapters.case_memory import FolderCases
from pems_optimizer.adapters.case_store import SqliteCases
from pems_optimizer.domain.plan_case import PlanCase, case_bytes


@pytest.fixture(scope="module")
def home() -> Home:
    return tiny_home()


@pytest.fixture(scope="module")
def case(home: Home) -> PlanCase:
    day = made_day(home)
    return made_case(home, day.replans[0].known, at=day.truth.start)[0]


def at(case: PlanCase, now, no: int = 1) -> PlanCase:
    plan = case.plan.model_copy(update={"plan_id": f"plan-{no}", "plan_no": no, "issued_at": now})
    return replace(case, ask=replace(case.ask, now=now, decide_from=now), plan=plan)


def span_of(home: Home, day: ShadowDay, **other) -> MeasuredSpan:
    """A day as a history measured it, with half the load in its rooms."""
    truth, slots = day.truth, day.truth.slots
    zeros = np.zeros(slots)
    given: dict[str, Any] = {
        "home": home,
        "start": truth.start,
        "pv_w": 0.5 * truth.pv_w,
        "pv_possible_w": truth.pv_w,
        "held_back": np.zeros(slots, dtype=np.bool_),
        "load_w": 2.0 * truth.load_w,
        "household_w": truth.load_w,
        "grid_w": zeros,
        "battery_w": zeros,
        "soc_pct": np.full(slots, 41.0),
        "ev_w": zeros,
        "ev_connected": zeros,
        "ev_soc_pct": np.full(slots, np.nan),
        "water_w": zeros,
        "water_c": np.full(slots, np.nan),
        "outdoor_c": truth.outdoor_c,
        "solar_w_m2": dict(truth.solar_w_m2),
        "weather": {},
        "spot_eur_mwh": zeros,
        "eur_czk": np.full(slots, 25.0),
        "buy_czk_kwh": truth.buy,
        "sell_czk_kwh": truth.sell,
        "room_c": {name: np.full(slots, 21.0) for name in home.rooms},
        "relay": {name: np.ones(slots) for name in home.rooms},
        "window_open": {},
        "coverage": {},
        "days": (MeasuredDay(truth.day, 0, slots),),
        "missing": (),
        "notes": (),
    }
    return MeasuredSpan(**(given | other))


def hourly(case: PlanCase, day: ShadowDay, first_h: int = -1) -> list[PlanCase]:
    hours = range(first_h, 24)
    return [at(case, day.truth.start + timedelta(hours=h, minutes=5), no=h + 10) for h in hours]


def test_a_measured_day_is_lived_with_what_came_and_what_was_known(home: Home, case: PlanCase) -> None:
    day = made_day(home)
    found, skipped = measured_days(span_of(home, day), hourly(case, day))
    assert not skipped
    truth = found[0].truth
    assert np.array_equal(truth.pv_w, day.truth.pv_w)
    assert np.array_equal(truth.load_w, day.truth.load_w)
    assert truth.soc_pct == 41.0
    assert truth.relay_on == {"pokoj_1": True}
    assert len(found[0].replans) == 25  # the one of the hour before among them
    assert found[0].replans[0].now == day.truth.start - timedelta(minutes=55)
    assert found[0].site is home


def test_days_that_cannot_be_lived_say_why(home: Home, case: PlanCase) -> None:
    day = made_day(home)
    hours, slots = hourly(case, day), day.truth.slots

    def why(span: MeasuredSpan, cases: list[PlanCase]) -> str:
        found, skipped = measured_days(span, cases)
        assert not found
        return skipped[0].why

    span = span_of(home, day)
    assert why(span, []) == "no plan's inputs are kept"
    assert why(span, hours[:8] + hours[14:]).startswith("for 7.0 h no plan's")
    closed = span_of(home, day, days=(MeasuredDay(DAY, 0, slots, why="5 h without the meter"),))
    assert why(closed, hours) == "5 h without the meter"
    dark = span_of(home, day, pv_possible_w=np.full(slots, np.nan))
    assert "PV is not known" in why(dark, hours)


def test_a_trip_takes_what_the_car_came_back_without(case: PlanCase) -> None:
    home = tiny_home(ev=small_home().ev)
    day = made_day(home)
    here = np.ones(day.truth.slots)
    here[30:70] = 0.0
    soc = np.where(np.arange(day.truth.slots) < 50, 80.0, 68.0)
    found, _ = measured_days(span_of(home, day, ev_connected=here, ev_soc_pct=soc), hourly(case, day))
    car = found[0].truth.car
    assert car is not None
    assert home.ev is not None
    assert car.soc_pct == 80.0
    assert car.driven_wh.sum() == pytest.approx(0.12 * home.ev.capacity_wh)
    assert np.flatnonzero(car.driven_wh).tolist() == [70]


def test_a_tank_is_drawn_by_what_it_did_not_keep(case: PlanCase) -> None:
    home = tiny_home(water=small_home().water)
    assert home.water is not None
    day = made_day(home)
    slots = day.truth.slots
    heated = np.zeros(slots)
    heated[8:12] = home.water.power_w / home.water.cop
    level = np.full(slots, 50.0)
    found, _ = measured_days(span_of(home, day, water_w=heated, water_c=level), hourly(case, day))
    tank = found[0].truth.tank
    assert tank is not None
    assert tank.drain_w.sum() / 4.0 == pytest.approx(home.water.power_w)
    assert tank.drain_w.min() >= 0.0
    gap, skipped = measured_days(span_of(home, day, water_w=heated), hourly(case, day))
    assert not gap
    assert "tank" in skipped[0].why


def test_what_the_history_does_not_know_is_no_part_of_the_house() -> None:
    home = tiny_home("pokoj_1", "pokoj_2", ev=small_home().ev)
    known = tiny_home("pokoj_1")
    less = as_known(home, known)
    assert list(less.rooms) == ["pokoj_1"]
    assert less.rooms["pokoj_1"].neighbours == ()
    assert less.ev is None


SCORE = DayScore(100.0, 0.1, 9_000.0, 10.0)


def line(day: str, key: str = "k", why: str = "", gain: float = 1.0) -> BookLine:
    pair = None if why else DayPair(day, SCORE, replace(SCORE, cost_czk=100.0 - gain))
    return BookLine(key, day, pair, why, "c0de")


def test_a_book_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "shadow.jsonl"
    book = ShadowBook(path)
    for one in (line("2025-01-02"), line("2025-01-01"), line("2025-01-03", why="no history"), line("2025-01-09", "x")):
        book.add(one)
    again = ShadowBook(path)
    assert [pair.day for pair in again.pairs("k", "c0de")] == ["2025-01-01", "2025-01-02"]
    assert again.open_days("k", ["2025-01-01", "2025-01-03", "2025-01-04"], "c0de") == ["2025-01-03", "2025-01-04"]
    again.add(line("2025-01-03", gain=7.0))
    assert ShadowBook(path).pairs("k", "c0de")[-1].candidate.cost_czk == 93.0
    assert again.damaged == 0


def test_days_of_other_code_are_not_scored_and_lived_again(tmp_path: Path) -> None:
    book = ShadowBook(tmp_path / "shadow.jsonl")
    book.add(line("2025-01-01"))
    book.add(replace(line("2025-01-02"), code="old"))
    assert [pair.day for pair in book.pairs("k", "c0de")] == ["2025-01-01"]
    assert book.others("k", "c0de") == 1
    assert book.open_days("k", ["2025-01-01", "2025-01-02"], "c0de") == ["2025-01-02"]


def test_a_damaged_book_is_told_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "shadow.jsonl"
    whole = json.dumps(line("2025-01-01").plain())
    odd = [json.dumps(line("2025-01-02").plain() | change) for change in ({"v": 9}, {"day": "soon"}, {"live": 3})]
    path.write_text("\n".join([whole, *odd, "[]", whole[:40]]))  # the last one was cut off
    book = ShadowBook(path)
    assert (len(book.pairs("k", "c0de")), book.damaged) == (1, 5)
    book.add(line("2025-01-02"))
    assert [pair.day for pair in ShadowBook(path).pairs("k", "c0de")] == ["2025-01-01", "2025-01-02"]
    folder = ShadowBook(tmp_path / "a" / "b")
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(PemsError, match="cannot be written"):
        folder.add(line("2025-01-01"))


def test_a_file_that_is_no_book_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "home.yaml"
    path.write_text("site:\n  id: home\n")
    with pytest.raises(PermanentError, match="no book of shadow runs"):
        ShadowBook(path)
    path.write_text("")
    assert ShadowBook(path).pairs("k", "c0de") == []


def test_each_comparison_has_its_own_key(home: Home) -> None:
    robust = with_strategy(home, "robust")
    assert pair_key(home, robust) == pair_key(home, with_strategy(home, "robust"))
    assert len({pair_key(home, robust), pair_key(robust, home), pair_key(home, home)}) == 3


async def test_cases_are_found_in_folders_and_damaged_ones_counted(tmp_path: Path, home: Home, case: PlanCase) -> None:
    day = made_day(home)
    folder = FolderCases(tmp_path / "cases")
    kept = hourly(case, day)[:3]
    for one in kept:
        await folder.keep(one)
    (tmp_path / "cases" / "99-broken.case").write_bytes(b"no case")
    cases = FileCases(tmp_path / "cases")
    found = cases.between(kept[0].ask.now, kept[2].ask.now)
    assert [one.plan.plan_id for one in found] == [one.plan.plan_id for one in kept[:2]]
    assert cases.newest_at() == kept[2].ask.now
    assert cases.damaged == 1
    with pytest.raises(PermanentError, match="does not exist"):
        FileCases(tmp_path / "nowhere")


def test_the_planners_own_file_is_read_and_never_written(tmp_path: Path, home: Home, case: PlanCase) -> None:
    path = tmp_path / "cases.sqlite3"
    store = SqliteCases(path, most_days=400, most_bytes=10**9)
    kept = hourly(case, made_day(home))[:3]
    for one in kept:
        store.keep(one, case_bytes(one))
    store.keep(at(case, kept[2].ask.now + timedelta(hours=1), no=77), b"no case")
    store.close()
    cases = FileCases(path)
    found = cases.between(kept[0].ask.now, kept[2].ask.now + timedelta(hours=2))
    assert [one.plan.plan_id for one in found] == [one.plan.plan_id for one in kept]
    assert cases.newest_at() == kept[2].ask.now + timedelta(hours=1)
    assert cases.damaged == 1
    cases.close()


def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text, other = tmp_path / "home.yaml", tmp_path / "other.sqlite3"
    text.write_text("site: {}")
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE mine (a)")
        db.commit()
    before = other.read_bytes()
    for path in (text, other):
        with pytest.raises(PermanentError, match="holds no cases of plans"):
            FileCases(path)
    assert text.read_text() == "site: {}"
    assert other.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home.yaml", "other.sqlite3"]


def test_cases_come_from_a_running_planner(home: Home, case: PlanCase) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("X-API-Key") != "k":
            return httpx.Response(401)
        if request.url.path == "/v1/plans/cases":
            return httpx.Response(200, json=[{"plan_id": "good"}, {"plan_id": "bad"}])
        if request.url.path == "/v1/plan":
            return httpx.Response(200, json={"issued_at": "2025-01-15T10:00:00+00:00"})
        return httpx.Response(200, content=case_bytes(case) if "good" in request.url.path else b"junk")

    def client(key: str) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://pems", headers={"X-API-Key": key})

    with client("k") as http:
        cases = RestCases("http://pems", client=http)
        found = cases.between(case.ask.now, case.ask.now)
        assert [one.plan.plan_id for one in found] == [case.plan.plan_id]
        assert cases.damaged == 1
        newest = cases.newest_at()
        assert newest is not None
        assert newest.day == 15
    with client("") as http, pytest.raises(PermanentError, match="key"):
        RestCases("http://pems", client=http).between(case.ask.now, case.ask.now)


def test_a_planner_that_is_away_is_told() -> None:
    def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with (
        httpx.Client(transport=httpx.MockTransport(nobody), base_url="http://pems") as http,
        pytest.raises(UnavailableError, match="no answer from the optimizer"),
    ):
        RestCases("http://pems", client=http).newest_at()


def lived(gains: list[float], first: date = date(2025, 1, 6)) -> list[DayPair]:
    days = [(first + timedelta(days=k)).isoformat() for k in range(len(gains))]
    return [DayPair(day, SCORE, replace(SCORE, cost_czk=100.0 - gain)) for day, gain in zip(days, gains, strict=True)]


def test_the_meter_tells_weeks_and_after_four_of_them_a_verdict() -> None:
    pairs = lived([-2.0] * 7 + [1.0] * 7 + [-3.0] * 14)
    told = weeks(pairs)
    assert [(week.monday, week.days, week.gain_czk_day) for week in told][:2] == [
        ("2025-01-06", 7, -2.0),
        ("2025-01-13", 7, 1.0),
    ]
    assert strategy_score(pairs[:27], "scenarios") is None
    assert strategy_score([], "scenarios") is None
    score = strategy_score(pairs, "scenarios")
    assert score is not None
    assert (score.kind, score.model, score.baseline) == ("strategy_value", "scenarios", "point")
    assert score.window == "2025-01-06/2025-02-02"
    assert score.metrics["days"] == 28.0
    assert score.metrics["gain_czk_day"] == pytest.approx(-1.75)
    assert score.metrics["gain_low_czk_day"] < -1.75 < score.metrics["gain_high_czk_day"]


def test_a_verdict_is_of_the_last_eight_weeks() -> None:
    score = strategy_score(lived([-9.0] * 30 + [2.0] * 56), "robust")
    assert score is not None
    assert score.metrics["days"] == 56.0
    assert score.metrics["gain_low_czk_day"] == pytest.approx(2.0)


def test_the_meter_holds_a_strategy_against_point_whether_it_pays_or_not(home: Home) -> None:
    point, scenarios = meter_homes(home, "scenarios")
    assert point.optimization.uncertainty.strategy == "point"
    assert scenarios.optimization.uncertainty.strategy == "scenarios"
    assert not scenarios.optimization.uncertainty.only_if_it_pays
    with pytest.raises(PermanentError, match="measured against"):
        meter_homes(home, "point")


def test_arms_of_the_laboratory_are_paired_day_by_day() -> None:
    def run(cost: float) -> dict:
        told = result("point", cost, days=3)
        for k, day in enumerate(told["days"]):
            day |= {"to": f"2025-01-{10 + k}T11:00:00+00:00", "peak_import_15min_w": 8_000.0 + k, "below_k_h_room": 0.0}
        return told

    pairs = arm_pairs(HOME, [run(300.0)], [run(270.0)])
    assert [pair.day for pair in pairs] == ["2025-01-10", "2025-01-11", "2025-01-12"]
    assert [pair.live.cost_czk - pair.candidate.cost_czk for pair in pairs] == pytest.approx([10.0] * 3)
    # The month's first day pays for the whole peak, later ones for what is above it.
    assert pairs[0].live.cost_czk - pairs[1].live.cost_czk == pytest.approx(
        (pairs[0].live.cost_czk - 100.0) * (1.0 - 1.0 / 8_000.0), rel=1e-3
    )
    other = run(300.0)
    other["days"][0]["to"] = "2025-02-10T11:00:00+00:00"
    with pytest.raises(PermanentError, match="different days"):
        arm_pairs(HOME, [run(300.0)], [other])
