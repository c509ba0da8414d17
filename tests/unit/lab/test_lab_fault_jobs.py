"""Many days: finished ones are not lived through again, summaries name the worst, a study runs them on workers."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from pems_cli import montecarlo_days
from pems_cli.main import app
from pems_common.errors import PemsError
from pems_common.home import load_home
from pems_lab.arms.jobs import WorldChoice
from pems_lab.faults import day as fault_day
from pems_lab.faults import jobs as fault_jobs
from pems_lab.faults.day import DayResult
from pems_lab.faults.draw import FaultDay, draw_day
from pems_lab.faults.figures import COLUMNS, DayFigures, summarise
from pems_lab.faults.jobs import DayStudy, finish_days, summary_of, worst_cases
from pems_lab.faults.study import CLOSED_LOOP_DAYS
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.study import StudyError
from pems_optimizer.study_kind import by_column
from pems_optimizer.study_kinds import KINDS

HOME_FILE = Path(__file__).parents[3] / "config" / "home.yaml"
HOME = load_home(HOME_FILE)
STUDY = DayStudy(HOME, WorldChoice("generated"), seed=1)


def figures(number: int, **changed: float) -> DayFigures:
    """Made-up numbers of a day: the higher the number, the dearer and the warmer."""
    made = dict.fromkeys(COLUMNS, 0.0) | {"cost_czk": 100.0 + number, "coldest_c": 17.0 + number, "mpc_pct": 99.0}
    return DayFigures(**{**made, "back_min": float("nan"), **changed})


def made_up(home: Any, world: Any, day: FaultDay, **_: Any) -> DayResult:
    frost = {"frost_min": 7.0} if day.number == 2 else {}
    return DayResult(day, figures(day.number, **frost), {}, {}, (), (), {})


@pytest.fixture
def lived(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Days are made up; tells which were lived through."""
    numbers: list[int] = []

    def run(home: Any, world: Any, day: FaultDay, **options: Any) -> DayResult:
        numbers.append(day.number)
        return made_up(home, world, day, **options)

    monkeypatch.setattr(fault_jobs, "run_day", run)
    return numbers


def test_a_finished_day_is_read_and_an_interrupted_run_goes_on(tmp_path: Path, lived: list[int]) -> None:
    said: list[str] = []
    first = list(finish_days(STUDY, range(2), tmp_path, processes=1, say=said.append))
    both = list(finish_days(STUDY, range(3), tmp_path, processes=1, say=said.append))
    assert lived == [0, 1, 2]
    assert both[:2] == [json.loads(json.dumps(day)) for day in first]
    assert "2 of 3 parts were finished before" in said
    assert any(line.startswith("day 2 (") for line in said)
    assert any(line.startswith("1 of 1 days") for line in said)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["00000.json", "00001.json", "00002.json"]


def test_a_broken_result_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "00000.json").write_text("{")
    with pytest.raises(PemsError, match=r"00000\.json is broken"):
        list(finish_days(STUDY, range(1), tmp_path, processes=1, say=lambda _: None))


def test_results_belong_to_what_they_were_made_from() -> None:
    key = STUDY.key("v1")
    assert key == DayStudy(HOME, WorldChoice("generated"), 1).key("v1")
    others = (
        DayStudy(HOME, WorldChoice("generated"), 2),
        DayStudy(HOME, WorldChoice("generated"), 1, "winter"),
        DayStudy(HOME.model_copy(update={"base_load_w": 700.0}), WorldChoice("generated"), 1),
    )
    assert len({key, STUDY.key("v2"), *(other.key("v1") for other in others)}) == 5


def test_a_summary_names_the_worst_days_of_each_number_and_counts_the_bad(tmp_path: Path, lived: list[int]) -> None:
    days = list(finish_days(STUDY, range(10, 18), tmp_path, processes=1, say=lambda _: None))
    days[3]["figures"]["frost_min"] = 5.0
    summary = summary_of(days)
    assert summary["items"] == len(lived) == 8
    assert summary["worst"]["cost_czk"] == [(17, 117.0), (16, 116.0), (15, 115.0), (14, 114.0), (13, 113.0)]
    assert summary["worst"]["coldest_c"][0] == (10, 27.0)
    assert summary["worst"]["frost_min"][0] == (13, 5.0)
    assert summary["days_with"] == {
        "frost": 1,
        "frost_unheated": 0,
        "sent_beyond": 0,
        "beyond_unexplained": 0,
        "exceptions": 0,
    }
    assert summary["distribution"]["cost_czk"]["p50"] == pytest.approx(113.5)
    assert summary["distribution"]["back_min"] is None
    assert summary["worst"]["back_min"] == []
    kept = worst_cases(days, summary)
    numbers = [day["day"]["number"] for day in kept]
    assert numbers == sorted(numbers)
    assert {10, 13, 17} <= set(numbers)


# --- as a study --------------------------------------------------------------------------------


def test_the_kind_is_plugged_in() -> None:
    assert KINDS["closed_loop_days"] is CLOSED_LOOP_DAYS
    assert CLOSED_LOOP_DAYS.item_limit_s > 600.0


async def test_the_study_gives_the_same_numbers_as_the_day_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEMS_HOME", str(HOME_FILE))
    params = {"seed": 5, "world": "generated"}
    given = await CLOSED_LOOP_DAYS.prepare(InMemoryPlans(), HOME.site.id, params)
    assert given.columns == COLUMNS
    seen: list[FaultDay] = []

    def run(home: Any, world: Any, day: FaultDay, **options: Any) -> DayResult:
        assert home == HOME
        seen.append(day)
        return made_up(home, world, day)

    monkeypatch.setattr(fault_day, "run_day", run)
    item = CLOSED_LOOP_DAYS.open(given.data, params)
    rows = [item(number) for number in range(4)]
    assert seen == [draw_day(HOME, 5, number) for number in range(4)]
    summary = CLOSED_LOOP_DAYS.summarise(by_column(given.columns, rows))
    assert summary["days_with"]["frost"] == 1
    assert summary["worst"]["frost_min"][0] == (2, 7.0)
    assert summary == summarise({name: np.array([row[k] for row in rows]) for k, name in enumerate(COLUMNS)})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sed": 1}, "no parameter sed"),
        ({"seed": -1}, "params.seed is -1"),
        ({"seed": True}, "params.seed is True"),
        ({"world": "mars"}, "params.world is 'mars'"),
        ({"season": "spring"}, "params.season is 'spring'"),
    ],
)
async def test_wrong_parameters_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        await CLOSED_LOOP_DAYS.prepare(InMemoryPlans(), HOME.site.id, params)


async def test_another_site_and_a_worker_without_data_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PEMS_HOME", str(HOME_FILE))
    with pytest.raises(StudyError, match="not 'elsewhere'"):
        await CLOSED_LOOP_DAYS.prepare(InMemoryPlans(), "elsewhere", {})
    monkeypatch.setenv("PEMS_DATA_DIR", str(tmp_path))
    with pytest.raises(PemsError, match="no data sets of the reference year"):
        CLOSED_LOOP_DAYS.open(HOME.model_dump_json().encode(), {"world": "reference"})


# --- on the command line -----------------------------------------------------------------------


def said(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["montecarlo", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PEMS_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("PEMS_HOME", str(HOME_FILE))
    return tmp_path


def test_days_print_a_table_keep_the_worst_and_check(place: Path, lived: list[int]) -> None:
    code, out, err = said("days", "--days", "4", "--seed", "3")
    assert code == 0
    assert lived == [0, 1, 2, 3]
    assert "below the lower hard limit [min]" in out
    assert "a room below the lower hard limit on 1 of 4 days" in err
    assert "replay-day 3 NUMBER --world generated" in err
    kept = json.loads(next(place.glob("montecarlo/generated-year-s3-*/worst.json")).read_text())
    assert kept["summary"]["worst"]["frost_min"][0] == [2, 7.0]
    assert any(day["day"]["number"] == 2 for day in kept["days"])
    code, out, _ = said("days", "--days", "4", "--seed", "3", "--json", "--check", "-o", str(place / "w.json"))
    assert code == 1
    assert json.loads(out)["items"] == 4
    assert (place / "w.json").is_file()
    assert lived == [0, 1, 2, 3], "nothing was lived through again"


def test_a_house_beyond_a_limit_for_no_reason_of_the_faults_fails_the_check(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(home: Any, world: Any, day: FaultDay, **_: Any) -> DayResult:
        return DayResult(day, figures(day.number, beyond_s=90.0, beyond_unexplained_s=60.0), {}, {}, (), (), {})

    monkeypatch.setattr(fault_jobs, "run_day", run)
    code, _, err = said("days", "--days", "1", "--check")
    assert code == 1
    assert "no fault to explain it on 1 of 1 days" in err


def test_wrong_input_is_told_with_a_remedy(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(montecarlo_days, "data_sets_directory", lambda: None)
    code, _, err = said("days", "--days", "1", "--world", "reference")
    assert (code, "set PEMS_DATA_DIR" in err) == (2, True)
    code, _, err = said("days", "--days", "1", "-o", str(place / "nowhere" / "w.json"))
    assert (code, "there is no such folder" in err) == (2, True)
    code, _, err = said("days", "--days", "1", "-o", str(place))
    assert (code, "is a folder; name a file in it" in err) == (2, True)
    code, _, err = said("days", "--days", "1", "--first", "3", "--url", "http://127.0.0.1:1")
    assert (code, "leave --first out" in err) == (2, True)
    code, _, err = said("days", "--days", "1", "--site", str(place / "none.yaml"))
    assert code in (1, 2)
    assert "none.yaml" in err
    assert said("days", "--days", "0")[0] == 2


def test_a_study_is_begun_waited_for_and_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [figures(number).values() for number in range(3)]
    summary = summarise({name: np.array([row[k] for row in rows]) for k, name in enumerate(COLUMNS)})
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        state = {"state": "running", "done_items": 1} if len(asked) < 3 else {"state": "done", "done_items": 3}
        return httpx.Response(202, json={"study_id": "s1", "items": 3, "summary": summary, "failures": {}, **state})

    client = httpx.Client
    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "pems_cli.montecarlo_days.httpx.Client", lambda **options: client(transport=transport, **options)
    )
    monkeypatch.setattr("pems_cli.montecarlo_days.time.sleep", lambda _: None)
    code, out, err = said("days", "--days", "3", "--url", "http://127.0.0.1:8083", "--key", "k", "--json")
    assert code == 0
    assert json.loads(out)["items"] == 3
    assert "study s1: 1 of 3 days" in err
    wish = json.loads(asked[0].content)
    assert wish == {
        "kind": "closed_loop_days",
        "params": {"seed": 1, "world": "generated", "season": "year"},
        "items": 3,
        "chunk_items": 1,
    }
    assert asked[0].headers["X-API-Key"] == "k"
    target = place / "s.json"
    code, _, err = said("days", "--days", "3", "--url", "http://127.0.0.1:8083", "-o", str(target))
    assert code == 0
    assert "the summary, with the numbers of the worst days, is in" in err
    assert json.loads(target.read_text()) == {"summary": json.loads(out)}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (httpx.Response(401, json={"detail": "no key"}), "give a key that may write"),
        (httpx.Response(422, json={"detail": "no such kind"}), "no such kind"),
        (
            httpx.Response(
                202,
                json={"study_id": "s", "state": "failed", "done_items": 0, "items": 1, "failures": {"0": "no data"}},
            ),
            "day 0: no data",
        ),
    ],
)
def test_a_study_that_cannot_be_made_says_why(
    place: Path, monkeypatch: pytest.MonkeyPatch, reply: httpx.Response, message: str
) -> None:
    client, transport = httpx.Client, httpx.MockTransport(lambda _: reply)
    monkeypatch.setattr(
        "pems_cli.montecarlo_days.httpx.Client", lambda **options: client(transport=transport, **options)
    )
    code, _, err = said("days", "--days", "1", "--url", "http://127.0.0.1:8083")
    assert code == 1
    assert message in err


def test_nobody_there_is_told(place: Path) -> None:
    code, _, err = said("days", "--days", "1", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "does PEMS run" in err


def test_one_day_is_told_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = fault_day.live_day

    async def short(home: Any, world: Any, day: FaultDay, **options: Any) -> DayResult:
        return await really(home, world, FaultDay(**{**vars(day), "length": timedelta(minutes=3)}), **options)

    monkeypatch.setattr(fault_day, "SETTLE", timedelta(minutes=1))
    monkeypatch.setattr(fault_day, "live_day", short)
    code, out, err = said("replay-day", "1", "0", "--rules")
    assert code == 0
    assert "day 0 of seed 1" in err
    assert "house: rule_based" in out
    assert "coldest air of any room [C]" in out
    code, out, _ = said("replay-day", "1", "0", "--rules", "--json")
    told = json.loads(out)
    assert told["day"]["number"] == 0
    assert told["figures"]["mpc_pct"] == 0.0
    assert any("rule_based" in line["text"] for line in told["story"])


def test_a_planner_that_knows_the_kind_imports_no_laboratory() -> None:
    heavy = "any(name.startswith(('pems_house', 'pems_forecaster', 'pems_controller')) for name in sys.modules)"
    code = f"import sys; import pems_lab.faults.study; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
