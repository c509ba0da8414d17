"""`./pems shadow` and `./pems compare`: what is told, kept and refused."""

import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pems_cli import compare as compare_verb
from pems_cli import shadow as verb
from pems_cli.compare import CompareOptions, run_compare
from pems_cli.shadow import ShadowOptions, make_options, run_shadow
from pems_common.errors import UnavailableError
from pems_common.home import load_home
from pems_lab.paired import DayPair, DayScore, GateTerms
from pems_lab.shadow.days import with_strategy
from pems_lab.shadow.sources import Skipped

HOME = Path(__file__).parents[3] / "config" / "home.yaml"
SCORE = DayScore(100.0, 0.1, 9_000.0, 10.0)


class Heard:
    """A console that remembers."""

    def __init__(self) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, width=200, force_terminal=False)

    @property
    def text(self) -> str:
        return self.file.getvalue()


class NewestCases:
    """A planner whose newest plan is of an instant."""

    damaged = 0

    def __init__(self, newest: datetime | None) -> None:
        self.newest = newest

    def newest_at(self) -> datetime | None:
        return self.newest


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    text = HOME.read_text(encoding="utf-8")
    path = tmp_path / "home-b.yaml"
    path.write_text(text.replace("strategy: point ", "strategy: robust "), encoding="utf-8")
    assert load_home(path).optimization.uncertainty.strategy == "robust"
    return path


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> dict[str, float | str]:
    """What each day brings: a gain, or why it cannot be lived; the newest plan is of 2025-02-10."""
    found: dict[str, float | str] = {}
    newest = datetime(2025, 2, 10, 12, tzinfo=UTC)

    class Day:
        site = None

        def __init__(self, name: str) -> None:
            self.name = name

    async def day_of(home, history, cases, day: date):
        told = found.get(day.isoformat(), 5.0)
        if told == "away":
            raise UnavailableError("ingest is away")
        return Skipped(day.isoformat(), told) if isinstance(told, str) else Day(day.isoformat())

    def pair(live, other, day):
        gain = float(found.get(day.name, 5.0))
        return DayPair(day.name, SCORE, replace(SCORE, cost_czk=100.0 - gain))

    monkeypatch.setattr(verb, "day_of", day_of)
    monkeypatch.setattr(verb, "shadow_pair", pair)
    monkeypatch.setattr(verb, "open_history", lambda *_, **__: None)
    monkeypatch.setattr(verb, "RestCases", lambda *_: NewestCases(newest))
    return found


def options(tmp_path: Path, **given) -> ShadowOptions:
    return ShadowOptions(**({"live": HOME, "book": tmp_path / "shadow.jsonl"} | given))


def test_a_better_candidate_is_promoted_by_a_person_who_is_told_how(tmp_path, candidate, days, heard) -> None:
    days["2025-02-01"] = "5 h without the meter"
    before = candidate.read_bytes(), HOME.read_bytes()
    assert run_shadow(options(tmp_path, candidate=candidate), heard.console) == 0
    assert "promote, after 27 days" in heard.text
    assert "left out: 2025-02-01, 5 h without the meter" in heard.text
    assert "strategy: robust" in heard.text
    assert (candidate.read_bytes(), HOME.read_bytes()) == before


def test_days_that_were_lived_are_not_lived_again(tmp_path, candidate, days, heard, monkeypatch) -> None:
    asked = options(tmp_path, candidate=candidate, first=date(2025, 2, 1), last=date(2025, 2, 5), as_json=True)
    assert run_shadow(asked, heard.console) == 0
    rows = [json.loads(row) for row in heard.text.splitlines()]
    assert [row["case"] for row in rows] == ["day"] * 5 + ["verdict"]
    assert (rows[-1]["decision"], rows[-1]["days_more"]) == ("not_yet", 9)

    def never(*_) -> None:
        raise AssertionError("lived twice")

    monkeypatch.setattr(verb, "shadow_pair", never)
    again = Heard()
    assert run_shadow(asked, again.console) == 0
    assert again.text == heard.text


def test_days_of_another_version_are_left_aside_and_told(tmp_path, candidate, days, heard, monkeypatch) -> None:
    asked = options(tmp_path, candidate=candidate, first=date(2025, 2, 1), last=date(2025, 2, 5))
    assert run_shadow(asked, heard.console) == 0
    monkeypatch.setattr(verb, "code_version", lambda: "next")
    again = Heard()
    assert run_shadow(replace(asked, first=date(2025, 2, 4)), again.console) == 0
    assert "after 2 days" in again.text
    assert "left aside: 3 days that another version of PEMS lived" in again.text


def test_only_days_that_have_ended_are_lived(tmp_path, candidate, days, heard) -> None:
    asked = options(tmp_path, candidate=candidate, first=date(2025, 2, 8), last=date(2025, 3, 1))
    assert run_shadow(asked, heard.console) == 0
    kept = [json.loads(row)["day"] for row in (tmp_path / "shadow.jsonl").read_text().splitlines()]
    assert kept == ["2025-02-08", "2025-02-09"]


def test_where_no_day_can_be_lived_it_says_why(tmp_path, candidate, days, heard) -> None:
    days["2025-02-08"] = "no plan's inputs are kept"
    asked = options(tmp_path, candidate=candidate, first=date(2025, 2, 8), last=date(2025, 2, 8))
    assert run_shadow(asked, heard.console) == 1
    assert "no day could be lived again. 2025-02-08: no plan's inputs are kept" in heard.text


def test_the_meter_tells_weeks_and_publishes_what_plans_read(tmp_path, days, heard, monkeypatch) -> None:
    for k in range(28):
        days[(date(2025, 1, 13) + timedelta(days=k)).isoformat()] = -4.0
    published = []

    async def publish(score, home) -> None:
        published.append(score)

    monkeypatch.setattr(verb, "_publish", publish)
    assert run_shadow(options(tmp_path, meter="scenarios", publish=True), heard.console) == 0
    assert "2025-01-13" in heard.text
    assert "it does not pay, point plans instead" in heard.text
    assert published[0].metrics["gain_high_czk_day"] == -4.0
    early = Heard()
    asked = options(tmp_path, meter="robust", first=date(2025, 2, 1), publish=True)
    assert run_shadow(asked, early.console) == 0
    assert "needs 28 days" in early.text
    assert len(published) == 1


def test_it_follows_through_an_outage(tmp_path, days, heard) -> None:
    days["2025-02-09"] = "away"
    naps: list[float] = []

    class Enough(Exception):
        pass

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        days["2025-02-09"] = 3.0
        if len(naps) == 2:
            raise Enough

    asked = options(tmp_path, meter="robust", first=date(2025, 2, 8), follow=True)
    with pytest.raises(Enough):
        run_shadow(asked, heard.console, sleep=sleep)
    assert "tried again later" in heard.text
    kept = [json.loads(row)["day"] for row in (tmp_path / "shadow.jsonl").read_text().splitlines()]
    assert kept == ["2025-02-08", "2025-02-09"]
    once = Heard()
    days["2025-02-07"] = "away"
    assert run_shadow(replace(asked, first=date(2025, 2, 7), follow=False), once.console) == 1
    assert "ingest is away" in once.text


def test_a_planner_without_cases_is_told(tmp_path, days, heard, monkeypatch) -> None:
    monkeypatch.setattr(verb, "RestCases", lambda *_: NewestCases(None))
    assert run_shadow(options(tmp_path, meter="robust"), heard.console) == 1
    assert "let PEMS plan for a day" in heard.text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "what is to be compared?"),
        ({"candidate": HOME, "meter": "robust"}, "what is to be compared?"),
        ({"candidate": HOME}, "is the live configuration"),
        ({"candidate": Path("nowhere.yaml")}, "no such file"),
        ({"meter": "point"}, "measured against"),
        ({"meter": "robust", "first": date(2025, 2, 2), "last": date(2025, 2, 1)}, "is before"),
        ({"meter": "robust", "cases": Path("/nowhere")}, "does not exist"),
    ],
)
def test_wrong_input_is_told_with_what_to_do(tmp_path, given, said, heard) -> None:
    assert run_shadow(options(tmp_path, **given), heard.console) == 2
    assert said in heard.text


def test_a_candidates_verdict_is_published_for_the_page(tmp_path, candidate, days, heard, monkeypatch) -> None:
    published = []

    async def publish(score, home) -> None:
        published.append(score)

    monkeypatch.setattr(verb, "_publish", publish)
    asked = options(tmp_path, candidate=candidate, first=date(2025, 1, 20), last=date(2025, 2, 5), publish=True)
    assert run_shadow(asked, heard.console) == 0
    score = published[0]
    assert (score.kind, score.window) == ("shadow", "2025-01-20/2025-02-05")
    assert score.metrics["decision"] == 1.0
    assert score.metrics["gain_low_czk_day"] == 5.0
    assert (score.model, score.baseline) == (load_home(candidate).config_hash(), load_home(HOME).config_hash())


def test_the_command_line_is_read(tmp_path, heard) -> None:
    given = {
        "live": HOME, "candidate": None, "meter": "robust", "first": "2025-01-01", "last": None, "follow": False,
        "cases": None, "history": None, "book": tmp_path / "b", "days": 21, "gain": 1.5, "publish": False,
        "urls": ("o", "i"), "keys": ("k", "l"), "as_json": True, "console": heard.console,
    }  # fmt: skip
    read = make_options(**given)
    assert read is not None
    assert (read.first, read.terms, read.key, read.ingest_key) == (
        date(2025, 1, 1),
        GateTerms(days=21, gain_czk_day=1.5),
        "k",
        "l",
    )
    assert make_options(**(given | {"first": "soon"})) is None
    assert make_options(**(given | {"meter": "best"})) is None
    assert "no such strategy" in heard.text


def comparison(tmp_path: Path, candidate: Path, **given) -> CompareOptions:
    told: dict[str, Any] = {
        "one": HOME, "other": candidate, "start": "2025-01-13", "days": 14, "stretch": 7, "seed": 0, "generated": True,
        "weather": "", "prices": "", "gain": 0.0, "jobs": 1, "out": tmp_path, "data": None, "as_json": True,
    }  # fmt: skip
    return CompareOptions(**(told | given))


def test_two_configurations_are_compared_on_the_days_of_a_world(tmp_path, candidate, heard, monkeypatch) -> None:
    seen = []

    def finish(jobs, folder, **_):
        seen.extend((job.home_file, job.arm, job.stretch.days) for job in jobs)
        return [(job, job) for job in jobs]

    def pairs(live, one, other):
        assert [job.home_file for job in one] == [HOME, HOME]
        assert [job.home_file for job in other] == [candidate, candidate]
        assert {job.built_file for job in (*one, *other)} == {HOME}
        days = [(date(2025, 1, 13) + timedelta(days=k)).isoformat() for k in range(14)]
        return [DayPair(day, SCORE, replace(SCORE, cost_czk=90.0)) for day in days]

    monkeypatch.setattr(compare_verb, "finish", finish)
    monkeypatch.setattr(compare_verb, "arm_pairs", pairs)
    assert run_compare(comparison(tmp_path, candidate), heard.console) == 0
    assert seen == [(HOME, "point", 7), (candidate, "robust", 7)] * 2
    verdict = json.loads(heard.text.splitlines()[-1])
    assert (verdict["decision"], verdict["world"], verdict["days"]) == ("promote", "generated", 14)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weather": "hours.csv"}, "belong together"),
        ({"weather": "hours.csv", "prices": "prices.csv"}, "does not exist"),
        ({"generated": False}, "PEMS_DATA_DIR"),
        ({"start": "soon"}, "is no day"),
        ({"other": HOME}, "is the live configuration"),
    ],
)
def test_a_comparison_that_cannot_be_run_is_refused(tmp_path, candidate, given, said, heard) -> None:
    assert run_compare(comparison(tmp_path, candidate, **given), heard.console) == 2
    assert said in heard.text


def test_a_strategy_keeps_its_other_wishes_only_where_they_fit() -> None:
    home = load_home(HOME)
    risky = with_strategy(home, "scenarios")
    wish = risky.optimization.uncertainty.model_copy(update={"cvar_share": 0.3})
    risky = risky.model_copy(update={"optimization": risky.optimization.model_copy(update={"uncertainty": wish})})
    assert with_strategy(risky, "point").optimization.uncertainty.cvar_share == 0.0
