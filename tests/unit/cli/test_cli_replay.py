"""`./pems replay` from a file and from a server of its own: identical or not, what it lost, and what is wrong."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.unit.optimizer.plan_case_cases import a_case
from typer.testing import CliRunner, Result

from pems_cli import replay as verb
from pems_cli.main import app
from pems_optimizer.domain.plan_case import PlanCase, case_bytes
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.regret import RegretSplit, regret_split

SAVED = "plan.case"


@pytest.fixture(scope="module")
def case() -> PlanCase:
    return a_case()


@pytest.fixture(scope="module")
def packed(case: PlanCase) -> bytes:
    return case_bytes(case)


@pytest.fixture
def file(tmp_path: Path, packed: bytes) -> Path:
    path = tmp_path / SAVED
    path.write_bytes(packed)
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def split(*arguments: Any, **named: Any) -> RegretSplit:
        effort = Effort(rounds=2, fine_rounds=1, fine=(40, 5), sweeps=0, intent_sweeps=0)
        return regret_split(*arguments, **named, effort=effort)

    monkeypatch.setattr(verb, "regret_split", split)


class Optimizer(BaseHTTPRequestHandler):
    packed = b""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if self.headers["X-API-Key"] != "key" and path != "/v1/plan":
            self._answer(401, b'{"detail": "a valid API key is needed"}')
        elif path == "/v1/plan":
            self._answer(200, b'{"plan_id": "plan-1"}')
        elif path == "/v1/plans/cases":
            row = {"plan_id": "plan-1", "plan_no": 1, "issued_at": "2025-01-14T13:00:00+00:00", "bytes": 17_000}
            self._answer(200, json.dumps([row]).encode())
        elif path == "/v1/plans/plan-1/case":
            self._answer(200, self.packed)
        else:
            self._answer(404, b'{"detail": "the case of plan x is not kept", "remedy": "look at the list"}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(packed: bytes) -> Iterator[str]:
    Optimizer.packed = packed
    server = HTTPServer(("127.0.0.1", 0), Optimizer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)], env={"COLUMNS": "200"})


def test_a_kept_file_comes_again(file: Path) -> None:
    done = call("--file", file)
    assert done.exit_code == 0, done.output
    assert "plan plan-1 of 2025-01-14 14:00: identical" in done.output
    told = json.loads(call("--file", file, "--json").output)
    assert told["identical"]
    assert told["digest"] == told["digest_again"]
    assert told["regret"] is None


def test_a_plan_of_a_running_pems_comes_again_and_is_saved(url: str, tmp_path: Path, packed: bytes) -> None:
    saved = tmp_path / SAVED
    done = call("latest", "--url", url, "--key", "key", "--save", saved)
    assert done.exit_code == 0, done.output
    assert "identical" in done.output
    assert saved.read_bytes() == packed
    assert "plan-1" in call("--url", url, "--key", "key").output
    assert json.loads(call("--url", url, "--key", "key", "--json").output)[0]["bytes"] == 17_000


def test_what_differs_is_shown_with_its_reason(file: Path, case: PlanCase) -> None:
    other = case.plan.model_copy(update={"net_cost_czk": 1.0})
    file.write_bytes(case_bytes(PlanCase(**{**vars(case), "plan": other})))
    done = call("--file", file)
    assert done.exit_code == 1
    assert "not identical" in done.output
    assert "net_cost_czk" in done.output
    assert "perhaps because of another source of PEMS" in done.output


def test_the_truth_of_a_file_splits_what_it_lost(file: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    rows = [f"2025-01-14T{13 + k // 4}:{15 * (k % 4):02d}:00Z,{4 + k % 3},1000,0,0,50\n" for k in range(24)]
    head = "slot_start,buy_czk_kwh,grid_power_w,battery_power_w,pv_used_w,battery_soc_pct\n"
    truth.write_text(head + "".join(rows))
    told = json.loads(call("--file", file, "--truth-file", truth, "--executed-slots", "6", "--json").stdout)
    split = told["regret"]
    assert split["executed"]["slots"] == 6
    for span in (split["executed"], split["horizon"]):
        parts = [span[name]["total_czk"] for name in ("forecast", "model", "execution", "solver")]
        assert sum(parts) == pytest.approx(span["total"]["total_czk"], abs=0.005)
    done = call("--file", file, "--truth-file", truth)
    assert done.exit_code == 0, done.output
    for words in ("forecasts that erred", "house not as modelled", "until the next plan, 1 h", "followed to its end"):
        assert words in done.output
    truth.write_text("slot_start,buy_czk_kwh\n2025-01-14T13:00:00Z,4\n")
    assert "nothing was measured" in call("--file", file, "--truth-file", truth).output


def test_wrong_inputs_are_told_with_their_remedy(file: Path, tmp_path: Path, url: str) -> None:
    broken = tmp_path / "broken.case"
    broken.write_bytes(file.read_bytes()[:-1])
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("slot_start,buy_czk_kwh\nnoon,1\n")
    for arguments, status, words in (
        (["--file", tmp_path / "absent"], 2, "cannot be read"),
        (["--file", broken], 2, "damaged"),
        (["--file", file, "latest"], 2, "name one of them"),
        (["--file", file, "--truth-file", wrong], 2, "line 2"),
        (["--file", file, "--truth-file", tmp_path / "absent.csv"], 2, "name a CSV file"),
        (["--file", file, "--save", tmp_path / "no" / "where"], 1, "choose another place"),
        (["--file", file, "--executed-slots", "0"], 2, ""),
        (["--truth", "--url", url], 2, "no plan is named"),
        (["other", "--url", url, "--key", "key"], 1, "look at the list"),
        (["latest", "--url", url, "--key", "bad"], 1, "give a key that may read"),
        (["latest", "--url", "http://127.0.0.1:9"], 1, "Does PEMS run"),
        (["--file", file, "--truth", "--ingest-url", "http://127.0.0.1:9"], 1, ""),
    ):
        done = call(*arguments)
        assert done.exit_code == status, (arguments, done.output)
        assert words in done.output.replace("\n", " "), (arguments, done.output)
        assert "Traceback" not in done.output
