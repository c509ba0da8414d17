"""`./pems montecarlo plan` against a server of its own, and without any."""

import json
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.optimizer.plan_record_cases import a_record
from typer.testing import CliRunner

from pems_cli import montecarlo
from pems_cli.main import app
from pems_cli.paths import ROOT
from pems_optimizer.domain.plan_fan import fan_columns, fan_item, fan_summary
from pems_optimizer.study_kind import by_column

EXAMPLE = ROOT / "config" / "examples" / "two-rooms-and-a-battery.json"
runner = CliRunner()


@cache
def made() -> dict[str, Any]:
    record = a_record(1, rooms=2)
    work = fan_item(record, 1)
    values = by_column(fan_columns(record.problem), [work(i) for i in range(50)])
    values["below_k_h:zachod"] = values["below_k_h"] = np.linspace(0.0, 1.0, 50)
    summary = fan_summary(values)
    return {"summary": summary, "values": {name: of.tolist() for name, of in values.items()}}


class Optimizer(BaseHTTPRequestHandler):
    asked: list[dict[str, Any]]
    states: Iterator[str]

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append(wish)
        if self.headers["X-API-Key"] != "key":
            self._answer(401, {"detail": "a key is needed"})
        elif wish["params"].get("plan_id") == "older":
            self._answer(404, {"detail": "the making of plan older is not known any more", "remedy": "newer ones"})
        else:
            self._answer(202, {"study_id": "s1"})

    def do_GET(self) -> None:
        body: dict[str, Any] = {"study_id": "s1", "state": "done", "done_items": 50, "failures": {}, **made()}
        if "values=true" not in self.path:
            body |= {"state": next(type(self).states, "done"), "values": None}
        if body["state"] == "failed":
            body["failures"] = {"0": "item 3: ValueError: by design"}
        self._answer(200, body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(montecarlo, "_ASK_EVERY_S", 0.001)
    Optimizer.asked, Optimizer.states = [], iter(["running", "running"])
    server = HTTPServer(("127.0.0.1", 0), Optimizer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def call(*words: str, url: str = "", key: str = "key") -> Any:
    more = ["--url", url, "--key", key] if url else []
    return runner.invoke(app, ["montecarlo", "plan", *words, *more])


def test_the_newest_plan_of_a_running_house(url: str, tmp_path: Path) -> None:
    told = call("--draws", "50", "--seed", "9", "--relays", "guarded", "-o", str(tmp_path / "all.json"), url=url)
    assert told.exit_code == 0, told.output
    assert Optimizer.asked == [{"kind": "plan_fan", "params": {"seed": 9, "relays": "guarded"}, "items": 50}]
    for words in (
        "the newest plan: 50 possible courses",
        "at the meter [CZK]",
        "highest import [kW]",
        "zachod",
        "0.50",
    ):
        assert words in told.stdout
    assert "cold" not in told.stdout
    whole = json.loads((tmp_path / "all.json").read_text())
    assert (len(whole["values"]["cost_czk"]), whole["study_id"]) == (50, "s1")


def test_a_machine_gets_json_and_nothing_else(url: str) -> None:
    told = call("some-plan", "--draws", "50", "--json", url=url)
    assert told.exit_code == 0
    data = json.loads(told.stdout)
    assert data["summary"] == made()["summary"]
    assert (data["about"], data["currency"], data["relays"]) == ("plan some-plan", "CZK", "strict")
    assert Optimizer.asked[0]["params"]["plan_id"] == "some-plan"


def test_the_servers_own_words_are_told(url: str) -> None:
    wrong = call(url=url, key="none")
    assert wrong.exit_code == 1
    assert "a key is needed" in wrong.output
    assert "--key" in wrong.output
    older = call("older", url=url)
    assert older.exit_code == 2
    assert "not known any more (newer ones)" in older.output.replace("\n", " ")


def test_a_study_that_failed_says_why(url: str) -> None:
    Optimizer.states = iter(["running", "failed"])
    told = call(url=url)
    assert told.exit_code == 1
    assert "item 3: ValueError: by design" in told.output


def test_a_study_that_nobody_works_on_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(montecarlo, "_SLOW_AFTER_S", 0.01)
    monkeypatch.setattr(montecarlo, "_GIVE_UP_AFTER_S", 0.1)
    Optimizer.states = iter(["running"] * 10_000)
    told = call(url=url)
    assert told.exit_code == 1
    assert "No progress yet" in told.output
    assert "does a bulk worker run?" in told.output


def test_without_a_running_house_it_says_how_to_do_without() -> None:
    told = call(url="http://127.0.0.1:9")
    assert told.exit_code == 1
    assert "--case winter" in told.output


def test_a_problem_file_is_planned_and_studied_here(tmp_path: Path) -> None:
    picture = tmp_path / "fan.svg"
    problem = json.loads(EXAMPLE.read_text())
    problem["bands"] = {"load_w": {"p10": 300.0, "p90": 900.0}}
    case = tmp_path / "mine.json"
    case.write_text(json.dumps(problem))
    told = call("--case", str(case), "--draws", "20", "--json", "--picture", str(picture))
    assert told.exit_code == 0, told.output
    assert "no P10 and P90 of pv_w, buy, sell: taken as certain" in told.stderr.replace("\n", " ")
    data = json.loads(told.stdout)
    assert data["summary"]["bill"]["least_czk"] < data["summary"]["bill"]["most_czk"]
    assert picture.stat().st_size > 1000
    assert "always" in call("--case", str(EXAMPLE), "--draws", "4").stdout, "its bill is certain"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--case", "none.json"), "none.json: No such file"),
        (("--case", str(ROOT / "LICENSE")), "docs/solve.md"),
        (("--case", str(EXAMPLE), "--picture", "x.doc"), "no picture of this kind"),
        (("--case", str(EXAMPLE), "-o", "/nowhere/x.json"), "no such folder"),
        (("--relays", "loose"), "loose"),
        (("--draws", "0"), "--draws"),
    ],
)
def test_what_is_wrong_is_said(words: tuple[str, ...], told: str) -> None:
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert told in result.output.replace("\n", " ")
