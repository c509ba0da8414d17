"""`./pems report` against a server of its own: the page it writes, and what it says when it cannot."""

import json
import threading
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.monitor.performance_house import MadeHouse, two_rooms, utc
from typer.testing import CliRunner

from pems_cli.main import app
from pems_cli.report_charts import Line, Stack, bars, lines, nice_ticks
from pems_cli.report_page import report_page
from pems_cli.report_texts import TEXTS
from pems_common.clock import FakeClock
from pems_monitor.adapters.performance_store import PerformanceStore
from pems_monitor.domain.performance_report import BaselineWish, hour_row
from pems_monitor.performance_book import PerformanceBook

Answers = tuple[dict[str, Any], list[dict[str, Any]]]
VOID = {"br", "hr", "img", "meta", "link", "input"}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the monitor answers of three days of a made-up house, and of their hours."""
    import asyncio

    store = PerformanceStore(tmp_path_factory.mktemp("performance") / "performance.sqlite3")
    house = MadeHouse(two_rooms(), utc(2026, 1, 12, 23))
    house.fixed["room.kuchyne.temperature_c"] = 20.5
    book = PerformanceBook(house.home, FakeClock(utc(2026, 1, 15, 9)), house, store)

    async def ask() -> Answers:
        first, last = date(2026, 1, 13), date(2026, 1, 15)
        report = await book.report(first, last, BaselineWish())
        hours = [hour for record in (await book.period(first, last, hours=True)).records for hour in record.hours]
        return report, [hour_row(hour.start.isoformat(), hour.tally, house.home) for hour in hours]

    report, hours = asyncio.run(ask())
    store.close()
    return json.loads(json.dumps(report, default=str)), hours


class Strict(HTMLParser):
    """Checks that tags are closed in order; collects what would be loaded or run, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe", "object"} or any(
            name in {"src", "href"} or name.startswith("on") for name, _ in attrs
        ):
            self.outside.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Strict:
    parser = Strict()
    parser.feed(page)
    assert parser.open == []
    assert parser.outside == []
    assert "url(" not in page
    assert "@import" not in page
    return parser


@pytest.mark.parametrize("lang", ["en", "cs"])
def test_the_page_is_whole_and_loads_nothing(answers: Answers, lang: Any) -> None:
    report, hours = answers
    page = report_page(report, hours, lang)
    text = read(page).text
    assert report["recommendations"][0]["text"][lang] in text
    assert text.index(report["recommendations"][0]["text"][lang]) < text.index("kWh")  # first of all
    assert page.count("<svg") >= 6
    assert f'lang="{lang}"' in page
    assert "None" not in text
    assert "nan" not in text
    assert {"en": "Kitchen", "cs": "Kuchyně"}[lang] in text
    assert {"en": "13 Jan", "cs": "13. 1."}[lang] in text


def test_a_measured_baseline_and_a_trial_are_told(answers: Answers) -> None:
    report = json.loads(json.dumps(answers[0]))
    details = report["detailed_metrics"]
    fit = {"base_czk": 20.0, "slope_czk_k_d": 6.0, "r2": 0.9, "residual_czk": 8.0, "days": 12}
    details["baseline"] |= {"source": "period", "fit": fit}
    details["before_and_after"] = {
        "baseline_daily_cost": 120.0,
        "recent_daily_cost": 90.0,
        "daily_savings_czk": 30.0,
        "percentage_savings": 25.0,
        "monthly_savings_czk": 900.0,
        "annual_savings_czk": 10_950.0,
        "recent_days": 12,
        "corrected_daily_savings_czk": 22.0,
        "corrected_percentage": 19.6,
    }
    details["with_and_without"] = {
        "daily_savings_czk": 15.0,
        "low_czk": 9.0,
        "high_czk": 21.0,
        "percentage": 12.5,
        "days_with": 9,
        "days_without": 8,
        "equal_at": ["hdd"],
    }
    text = read(report_page(report, [], "en")).text
    assert "10\u202f950\u00a0Kč a year" in text
    assert "6.00\u00a0Kč per degree day" in text
    assert "between 9.0\u00a0Kč and 21.0\u00a0Kč; 9 days against 8" in text
    assert "assum" not in text


def test_an_empty_period_says_so(answers: Answers) -> None:
    report = {**answers[0], "detailed_metrics": {}, "recommendations": []}
    assert "No data available" in read(report_page(report, [], "en")).text


def test_text_from_outside_stays_text(answers: Answers) -> None:
    report = json.loads(json.dumps(answers[0]))
    report["site"]["name"] = "<script>alert(1)</script>"
    report["recommendations"] = [{"severity": "info", "text": {"en": "a <b> & c", "cs": ""}}]
    text = read(report_page(report, [], "en")).text
    assert "<script>alert(1)</script>" in text
    assert "a <b> & c" in text


def test_no_text_lacks_a_language() -> None:
    assert all(len(pair) == 2 and all(pair) for pair in TEXTS.values())


# --- charts


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 11.0), (0.0, 11_700.0), (0.0, 0.0), (-0.04, 0.03)])
def test_ticks_are_round_and_span_the_values(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
    assert 0.0 in ticks


def test_an_unknown_value_leaves_a_gap() -> None:
    chart = lines("x", list("abcde"), [Line("n", "c", [1.0, 2.0, None, 3.0, 4.0])], str)
    assert chart.count("<polyline") == 2
    assert chart.count("<circle") == 4
    assert bars("x", list("abc"), [Stack("n", "c", [1.0, None, -2.0])], str).count("<rect") == 2


# --- the verb


class Monitor(BaseHTTPRequestHandler):
    answers: Answers
    pending = 0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        if self.headers["X-API-Key"] != "key":
            self._answer(401, {"detail": "a valid API key is needed"})
        elif asked.get("from") == ["soon"]:
            self._answer(422, {"detail": "from='soon' is no day"})
        elif parts.path == "/v1/performance/report":
            left, Monitor.pending = Monitor.pending, max(0, Monitor.pending - 31)
            self._answer(200, {**self.answers[0], "pending_days": left})
        elif parts.path == "/v1/performance" and asked["by"] == ["hour"]:
            self._answer(200, {"rows": self.answers[1]})
        else:
            self._answer(404, "no")

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(answers: Answers) -> Iterator[str]:
    Monitor.answers, Monitor.pending = answers, 0
    server = HTTPServer(("127.0.0.1", 0), Monitor)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def report(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["report", *arguments])


def test_the_page_is_written_and_what_to_do_is_said(url: str, tmp_path: Path) -> None:
    Monitor.pending = 40
    file = tmp_path / "house.html"
    result = report("--from", "2026-01-13", "--to", "2026-01-15", "-o", str(file), "--url", url, "--key", "key")
    assert result.exit_code == 0, result.output
    assert "40 days are still to be counted" in result.output
    assert "warning: Kitchen" in result.output
    read(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--from", "soon", "--key", "key"], 2, "'soon' is no day"),
        (["--key", "wrong"], 1, "--key, or PEMS_API_KEY"),
        (["--key", "key", "--language", "de"], 2, "en, cs"),
        (["--key", "key", "-o", "/nowhere/at/all.html"], 1, "cannot be written"),
    ],
)
def test_what_is_wrong_is_said(url: str, tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    result = report("-o", str(tmp_path / "x.html"), "--url", url, *arguments)
    assert result.exit_code == code
    assert says in result.output


def test_nobody_answers(tmp_path: Path) -> None:
    result = report("-o", str(tmp_path / "x.html"), "--url", "http://127.0.0.1:9", "--key", "key")
    assert result.exit_code == 1
    assert "Does PEMS run" in result.output
