"""`./pems report`: asks the running monitor how the house did and writes one HTML page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from pems_cli.report_page import report_page
from pems_monitor.domain.formats import LANGUAGES, Language

__all__ = ["ReportOptions", "run_report"]

_TIMEOUT_S = 120.0
_ROUNDS = 20
_HOURS_UP_TO_DAYS = 3
_SUCCESS, _FAILED, _WRONG_INPUT = 0, 1, 2

Params = dict[str, str | int | float | bool | None]


@dataclass(frozen=True)
class ReportOptions:
    """What the command line says.

    Attributes:
        first: First local day; None: 30 days before the last.
        last: Last local day; None: today.
        baseline_first: First day of a time without PEMS; None: the monitor finds days itself.
        baseline_last: Its last day.
        output: File of the page.
        url: Address of the monitor.
        key: API key of any scope.
        language: en or cs.
    """

    first: str | None
    last: str | None
    baseline_first: str | None
    baseline_last: str | None
    output: Path
    url: str
    key: str
    language: str


class _Refused(Exception):
    """The monitor's own words why it does not answer, and the exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def run_report(options: ReportOptions, console: Console) -> int:
    """Ask, write the page, say the recommendations; returns the exit status."""
    if options.language not in LANGUAGES:
        console.print(f"unknown language {options.language}; there are {', '.join(LANGUAGES)}", style="red")
        return _WRONG_INPUT
    lang: Language = "cs" if options.language == "cs" else "en"
    try:
        with httpx.Client(base_url=options.url, timeout=_TIMEOUT_S, headers=_headers(options.key)) as client:
            report = _report(client, options, console)
            hours = _hours(client, report)
    except httpx.HTTPError as error:
        console.print(f"no answer from {options.url}: {error}. Does PEMS run (./pems demo, ./pems up)?", style="red")
        return _FAILED
    except _Refused as error:
        console.print(f"{error}", style="red", markup=False)
        return error.status
    try:
        options.output.write_text(report_page(report, hours, lang), encoding="utf-8")
    except OSError as error:
        console.print(f"{options.output} cannot be written: {error}", style="red", markup=False)
        return _FAILED
    for one in report["recommendations"]:
        console.print(f"{one['severity']}: {one['text'][lang]}", markup=False, highlight=False)
    console.print(f"written: {options.output}", markup=False, highlight=False)
    return _SUCCESS


def _headers(key: str) -> dict[str, str]:
    return {"X-API-Key": key} if key else {}


def _get(client: httpx.Client, path: str, params: Params) -> dict[str, Any]:
    """Ask the monitor.

    Raises:
        _Refused: It does not tell.
        httpx.HTTPError: It does not answer.
    """
    reply = client.get(path, params={name: value for name, value in params.items() if value is not None})
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    if reply.status_code == httpx.codes.OK and isinstance(answer, dict):
        return answer
    told = answer.get("detail", "") if isinstance(answer, dict) else reply.text[:200]
    if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        told = f"{told}. Give a key that may read: --key, or PEMS_API_KEY."
    wrong = reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    raise _Refused(f"{reply.status_code}: {told}", _WRONG_INPUT if wrong else _FAILED)


def _report(client: httpx.Client, options: ReportOptions, console: Console) -> dict[str, Any]:
    """The report, asked again while days are still being counted."""
    params: Params = {
        "from": options.first,
        "to": options.last,
        "baseline_from": options.baseline_first,
        "baseline_to": options.baseline_last,
    }
    report = _get(client, "/v1/performance/report", params)
    for _ in range(_ROUNDS):
        if not report["pending_days"]:
            break
        console.print(f"{report['pending_days']} days are still to be counted", highlight=False)
        report = _get(client, "/v1/performance/report", params)
    return report


def _hours(client: httpx.Client, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures per hour of a short period; none of a longer one."""
    period = report["report_period"]
    first, last = (date.fromisoformat(period[name]) for name in ("start", "end"))
    if not report["detailed_metrics"] or (last - first).days >= _HOURS_UP_TO_DAYS:
        return []
    answer = _get(client, "/v1/performance", {"from": period["start"], "to": period["end"], "by": "hour"})
    rows: list[dict[str, Any]] = answer["rows"]
    return rows
