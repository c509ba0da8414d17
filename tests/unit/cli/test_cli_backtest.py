"""`./pems backtest`: what it prints and writes of a result, and wrong input told with what to do."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.unit.lab.backtest_kit import SMALL
from tests.unit.lab.test_lab_backtest import made_days
from typer.testing import CliRunner

from pems_cli.backtest import json_rows, tell
from pems_cli.main import app
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_lab.backtest.study import BacktestResult
from pems_lab.backtest.verdict import judged, month_rows

WIDE = {"COLUMNS": "220"}


def result(days: int, saving: float) -> BacktestResult:
    arms = {"point": made_days(days, bias=2.0, saving=saving, noise=3.0)}
    return BacktestResult(
        verdict=judged(SMALL, arms),
        months=month_rows(SMALL, arms),
        days=arms,
        asked_days=days + 2,
        left_out={"no load for hours": 2},
        missing=("the car: record it",),
        notes=("the battery holds 9900 Wh",),
        modelled_share=0.25,
    )


def printed(found: BacktestResult) -> str:
    console = Console(width=200)
    with console.capture() as caught:
        tell(found, console)
    return " ".join(caught.get().split())


def test_a_result_is_told_in_plain_words() -> None:
    said = printed(result(14, 20.0))
    assert "missing: the car: record it" in said
    assert "2 of 16 days do not count: 2 x no load for hours" in said
    assert "25 % of the weather forecasts are modelled" in said
    assert "point: on these 14 days PEMS would have paid" in said
    assert "instead of 1530 CZK" in said
    assert "holds zero" not in said
    assert "2026-01" in said


def test_a_doubtful_result_says_so() -> None:
    assert "The interval holds zero: these days do not show a saving." in printed(result(14, 0.2))
    assert "Too few days for an interval: ask for at least 7." in printed(result(6, 20.0))


def test_every_line_for_a_machine_is_json() -> None:
    rows = [json.loads(json.dumps(row)) for row in json_rows(result(5, 20.0))]
    assert [row["case"] for row in rows] == ["backtest", "simulator_error", "month", "month", *["day"] * 5]
    assert rows[-1]["lived"]["day"] == "2026-01-24"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["backtest", *arguments], env=WIDE)
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--from": "January"}, "--from January: no day; write it as 2026-01-15"),
        ({"--history": "influx:8086"}, "--history influx:8086: not known; write sqlite:PATH"),
        ({"--history": "sqlite:/none/of/it"}, "there is no history in /none/of/it; start PEMS (./pems up)"),
        ({"--arms": "point,perfect"}, "no arm perfect; there are point, rules, robust, scenarios"),
        ({"--arms": ","}, "no arm is named"),
        ({"--output": "/none/of/it/rows.jsonl"}, "there is no such folder"),
    ],
)
def test_wrong_input_is_told_with_what_to_do(changed: dict[str, str], said: str) -> None:
    arguments = {"--from": "2026-01-05", "--to": "2026-01-06", **changed}
    code, output = run(*(word for pair in arguments.items() for word in pair))
    assert code == 2
    assert said in output


def test_an_empty_history_and_one_of_other_days_are_told(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"

    async def make() -> None:
        store = SqliteHistory(path, "home")
        store.open()
        await store.close()

    asyncio.run(make())
    days: tuple[Any, ...] = ("--from", "2026-01-05", "--to", str(date(2026, 1, 6)))
    code, output = run(*days, "--history", f"sqlite:{path}", "--out", str(tmp_path / "out"))
    assert code == 2
    assert "the history is empty; start PEMS" in output
    (tmp_path / "text").write_text("no database")
    code, output = run(*days, "--history", f"sqlite:{tmp_path / 'text'}")
    assert code != 0
    assert "no database" in output
