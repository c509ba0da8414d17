"""`./pems why` against a server of its own: finds the slot, prints the sentence, says what is wrong."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pems_cli.main import app
from pems_cli.why import internal_key, slot_at

ROWS = [
    {
        "start": f"2025-01-14T{13 + k // 4:02d}:{15 * (k % 4):02d}:00+00:00",
        "local_time": f"Tue {14 + k // 4}:{15 * (k % 4):02d}",
    }
    for k in range(12)
]


class Optimizer(BaseHTTPRequestHandler):
    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._answer(200, ROWS)

    def do_POST(self) -> None:
        wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-API-Key"] != "key":
            self._answer(401, {"detail": "a key is needed"})
            return
        parts = {"energy": 1.0, "comfort": 0.5}
        sentence = {"en": f"{wish['device']} at {wish['at']}", "cs": "česky"}
        self._answer(200, {"possible": True, "total_czk": 1.5, "parts": parts, "sentence": sentence})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Optimizer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_slot_of_a_local_time_or_an_instant() -> None:
    assert slot_at(ROWS, "14:20") == 1
    assert slot_at(ROWS, "16:00") == 8
    assert slot_at(ROWS, "2025-01-14T14:31:00+00:00") == 6
    assert slot_at(ROWS, "09:00") is None
    assert slot_at(ROWS, "2025-01-14T14:31:00") is None


def test_it_tells_the_sentence_and_the_parts(url: str) -> None:
    done = CliRunner().invoke(app, ["why", "battery", "hold", "15:00", "--url", url, "--key", "key"])
    assert done.exit_code == 0, done.output
    assert "battery at 2025-01-14T14:00:00+00:00" in done.output
    assert "+1.50" in done.output


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["battery", "hold", "nonsense", "--key", "key"], 2, "no time of the plan"),
        (["battery", "hold", "15:00", "--key", "wrong"], 1, "PEMS_API_KEY"),
    ],
)
def test_what_is_wrong_is_said(url: str, arguments: list[str], status: int, text: str) -> None:
    done = CliRunner().invoke(app, ["why", *arguments, "--url", url])
    assert done.exit_code == status
    assert text in done.output


def test_without_a_server_it_says_what_to_start() -> None:
    done = CliRunner().invoke(app, ["why", "ev", "on", "15:00", "--url", "http://127.0.0.1:9", "--key", "k"])
    assert done.exit_code == 1
    assert "./pems demo" in done.output


def test_the_key_of_a_run_on_this_machine_is_found(tmp_path: Path) -> None:
    assert internal_key(tmp_path, "http://127.0.0.1:8083") == ""
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "internal.key").write_text("secret\n")
    assert internal_key(tmp_path, "http://localhost:8083") == "secret"
    assert internal_key(tmp_path, "http://elsewhere.example:8083") == "", "it does not leave this machine"
