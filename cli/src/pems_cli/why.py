"""`./pems why`: asks the running optimizer what it would cost if a device did something else."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.table import Table

__all__ = ["ask_why", "internal_key", "slot_at"]

_THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}

_TIMEOUT_S = 15.0


def slot_at(rows: list[dict[str, Any]], at: str) -> int | None:
    """Return the first slot of a schedule that holds a local time such as 14:05, or an instant; None where none does.

    Args:
        rows: Rows of `GET /v1/schedule`.
        at: `HH:MM`, or an instant in ISO form.
    """
    if "T" in at or "-" in at:
        instant = datetime.fromisoformat(at)
        starts = [datetime.fromisoformat(row["start"]) for row in rows]
        if instant.tzinfo is None or len(starts) < 2 or not starts[0] <= instant < starts[-1] + (starts[1] - starts[0]):
            return None
        return max(k for k, start in enumerate(starts) if start <= instant)
    hour, _, minute = at.partition(":")
    wanted = int(hour) * 60 + int(minute or 0)
    for k, row in enumerate(rows):
        clock = row["local_time"].split()[-1].split(":")
        begins = int(clock[0]) * 60 + int(clock[1])
        if begins <= wanted < begins + 15:
            return k
    return None


def ask_why(
    console: Console,
    *,
    url: str,
    key: str,
    plan: str,
    device: str,
    action: str,
    at: str,
    language: str,
    as_json: bool,
) -> int:
    """Ask and print; returns the exit status."""
    base = url.rstrip("/")
    try:
        schedule = httpx.get(f"{base}/v1/schedule", timeout=_TIMEOUT_S)
        if schedule.status_code != httpx.codes.OK:
            console.print(f"{schedule.status_code}: {_detail(schedule)}", style="red")
            return 1
        try:
            slot = slot_at(schedule.json(), at)
        except ValueError:
            slot = None
        if slot is None:
            console.print(f"{at!r} is no time of the plan: give a local time such as 14:00", style="red")
            return 2
        wish = {"device": device, "action": action, "at": schedule.json()[slot]["start"]}
        reply = httpx.post(f"{base}/v1/plans/{plan}/why", json=wish, headers={"X-API-Key": key}, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        console.print(f"no answer from {url}: {error}. Does PEMS run (./pems demo, ./pems up)?", style="red")
        return 1
    if reply.status_code != httpx.codes.OK:
        console.print(f"{reply.status_code}: {_detail(reply)}", style="red")
        if reply.status_code == httpx.codes.UNAUTHORIZED:
            console.print("Give a key that may write: --key, or PEMS_API_KEY.")
        return 1
    answer = reply.json()
    if as_json:
        console.print_json(json.dumps(answer))
        return 0
    console.print(answer["sentence"].get(language, answer["sentence"]["en"]))
    if answer["possible"] and answer["parts"]:
        table = Table("part", "CZK more")
        for name, value in answer["parts"].items():
            table.add_row(name, f"{value:+.2f}")
        table.add_row("together", f"{answer['total_czk']:+.2f}")
        console.print(table)
    return 0


def _detail(reply: httpx.Response) -> str:
    try:
        return str(reply.json().get("detail", reply.text))
    except (json.JSONDecodeError, AttributeError):
        return reply.text[:200]


def internal_key(data: Path, url: str) -> str:
    """Return the key that a native run on this machine made for itself; empty where there is none.

    It is for this machine only: another address gets none.
    """
    if urlsplit(url).hostname not in _THIS_MACHINE:
        return ""
    for file in sorted(data.glob("**/internal.key"), key=lambda f: f.stat().st_mtime, reverse=True):
        return file.read_text().strip()
    return ""
