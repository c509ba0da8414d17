"""`./pems replay`: makes a kept plan again, says whether it is the same to the last bit, and what the plan lost."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from pems_common.errors import PemsError, PermanentError
from pems_common.messages import Forecast
from pems_lab.replay.courses import executed_slots, happened_of, span_of, true_course
from pems_lab.replay.truth_file import TruthFile
from pems_optimizer.domain.plan_case import PlanCase, read_case
from pems_optimizer.domain.problem_store import StoreError
from pems_optimizer.domain.regret import Happened, RegretSplit, SpanSplit, regret_split, with_truth
from pems_optimizer.plan_case_replay import Replay, replay_case

__all__ = ["ReplayOptions", "run_replay"]

_TIMEOUT_S = 15.0
_SHOWN = 20
_MOST_BYTES = 10_000_000
_SUCCESS, _FAILED, _WRONG_INPUT = 0, 1, 2
_PARTS = {
    "forecast": "forecasts that erred",
    "model": "house not as modelled",
    "execution": "done otherwise",
    "solver": "not searched well enough",
    "total": "together",
}


@dataclass(frozen=True)
class ReplayOptions:
    """What the command line says.

    Attributes:
        plan: Plan id or `latest`; empty lists what can be made again.
        file: A kept case, instead of a running PEMS.
        save: Where to write the case.
        truth: Whether to split what the plan lost, with the truth of ingest's history.
        truth_file: The truth in a CSV instead.
        executed_slots: Quarters of an hour until the next plan; found where None.
        url: Address of the optimizer.
        ingest_url: Address of ingest.
        key: API key of any scope, for the optimizer.
        ingest_key: The same for ingest.
        as_json: Print JSON.
    """

    plan: str = ""
    file: Path | None = None
    save: Path | None = None
    truth: bool = False
    truth_file: Path | None = None
    executed_slots: int | None = None
    url: str = ""
    ingest_url: str = ""
    key: str = ""
    ingest_key: str = ""
    as_json: bool = False


class _WrongInput(PemsError):
    """The command line, or a file it names, is not as it has to be."""


def run_replay(options: ReplayOptions, console: Console) -> int:
    """Make the plan again and print what came of it; returns the exit status: 0 where it is identical."""
    try:
        if options.file is None and not options.plan:
            return _list(options, console)
        case, packed, following = _found(options)
        if options.save is not None:
            _save(options.save, packed)
        replay = replay_case(case)
        truth = _truth(options, case)
        if truth is None:
            _print(options, console, case, replay, None)
            return _SUCCESS if replay.identical else _FAILED
        slots = options.executed_slots or executed_slots(case, following)
        split = _split(case, truth, slots, Console(stderr=True))
        _print(options, console, case, replay, split)
    except (_WrongInput, PermanentError) as error:
        console.print(str(error), style="red", markup=False)
        return _WRONG_INPUT
    except httpx.HTTPError as error:
        console.print(f"no answer: {error}. Does PEMS run (./pems demo, ./pems up)?", style="red", markup=False)
        return _FAILED
    except PemsError as error:
        console.print(str(error), style="red", markup=False)
        return _FAILED
    return _SUCCESS if replay.identical else _FAILED


# --- finding the case --------------------------------------------------------------------------------------------


def _found(options: ReplayOptions) -> tuple[PlanCase, bytes, PlanCase | None]:
    """Return the case, its bytes, and that of the next plan where it is kept."""
    if options.file is not None:
        if options.plan:
            raise _WrongInput("both a plan and a file were named", remedy="name one of them")
        packed = _read(options.file)
        return _case(packed, str(options.file)), packed, None
    with _client(options) as client:
        plan_id = _newest(client) if options.plan == "latest" else options.plan
        packed = _get(client, f"/v1/plans/{plan_id}/case").content
        case = _case(packed, f"plan {plan_id}")
        return case, packed, _following(client, case) if options.truth or options.truth_file else None


def _following(client: httpx.Client, case: PlanCase) -> PlanCase | None:
    rows = _get(client, "/v1/plans/cases", {"from": case.plan.issued_at.isoformat(), "limit": 5}).json()
    later = [row for row in rows if row["plan_no"] > case.plan.plan_no]
    if not later:
        return None
    plan_id = later[0]["plan_id"]
    return _case(_get(client, f"/v1/plans/{plan_id}/case").content, f"plan {plan_id}")


def _newest(client: httpx.Client) -> str:
    plan = _get(client, "/v1/plan").json()
    return str(plan["plan_id"])


def _client(options: ReplayOptions) -> httpx.Client:
    headers = {"X-API-Key": options.key} if options.key else {}
    return httpx.Client(base_url=options.url.rstrip("/"), timeout=_TIMEOUT_S, headers=headers)


def _get(client: httpx.Client, path: str, params: Mapping[str, str | int] | None = None) -> httpx.Response:
    """Ask.

    Raises:
        PemsError: The answer is a refusal.
        httpx.HTTPError: There is none.
    """
    reply = client.get(path, params=params)
    if reply.status_code == httpx.codes.OK:
        return reply
    try:
        told = reply.json()
    except ValueError:
        told = {}
    detail = told.get("detail", reply.text[:200]) if isinstance(told, dict) else reply.text[:200]
    remedy = str(told.get("remedy", "")) if isinstance(told, dict) else ""
    if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        remedy = "give a key that may read: --key, or PEMS_API_KEY"
    raise PemsError(f"{reply.status_code}: {detail}", remedy=remedy)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _WrongInput(f"{path} cannot be read: {error.strerror}", remedy="name a file of --save") from error
    return packed


def _case(packed: bytes, name: str) -> PlanCase:
    try:
        return read_case(packed)
    except StoreError as error:
        raise _WrongInput(f"{name}: {error}", remedy="get it anew with --save, by the version that kept it") from error


def _save(path: Path, packed: bytes) -> None:
    try:
        path.write_bytes(packed)
    except OSError as error:
        raise PemsError(f"{path} cannot be written: {error.strerror}", remedy="choose another place") from error


# --- truth -------------------------------------------------------------------------------------------------------


def _truth(options: ReplayOptions, case: PlanCase) -> tuple[Forecast, Happened | None] | None:
    """Return the plan's forecast as it should have been, and what happened; None where it is not asked for."""
    if options.truth_file is None and not options.truth:
        return None
    forecast = case.known.forecast
    if forecast is None:
        raise PemsError(f"plan {case.plan.plan_id} was made without a forecast", remedy="choose another plan")
    if options.truth_file is None:
        return asyncio.run(_measured(options, case, forecast))
    try:
        file = TruthFile.read(options.truth_file)
        return with_truth(forecast, file.course(forecast)), file.happened(case)
    except PemsError as error:
        raise _WrongInput(error.message, remedy=error.remedy) from error


async def _measured(options: ReplayOptions, case: PlanCase, forecast: Forecast) -> tuple[Forecast, Happened]:
    from pems_forecaster.adapters.history_http import HistoryHttp

    history = HistoryHttp(options.ingest_url, api_key=options.ingest_key)
    try:
        span = await span_of(case, history)
    finally:
        await history.close()
    return with_truth(forecast, true_course(span, forecast)), happened_of(span, case)


def _split(case: PlanCase, truth: tuple[Forecast, Happened | None], slots: int, console: Console) -> RegretSplit:
    true, happened = truth
    with console.status("") as status:
        return regret_split(case, true, happened, executed_slots=slots, progress=status.update)


# --- telling -----------------------------------------------------------------------------------------------------


def _list(options: ReplayOptions, console: Console) -> int:
    if options.save or options.truth or options.truth_file:
        raise _WrongInput("no plan is named", remedy="./pems replay latest, or a plan id of ./pems replay")
    with _client(options) as client:
        rows: list[dict[str, Any]] = _get(client, "/v1/plans/cases", {"limit": 5_000}).json()
    if options.as_json:
        console.print_json(json.dumps(rows))
        return _SUCCESS
    if not rows:
        console.print("no plan is kept yet: one is some seconds after it was made")
        return _SUCCESS
    table = Table("plan", "issued", "kB")
    for row in rows[-_SHOWN:]:
        issued = datetime.fromisoformat(row["issued_at"])
        table.add_row(row["plan_id"], f"{issued:%Y-%m-%d %H:%M} UTC", f"{row['bytes'] / 1000:.0f}")
    console.print(table)
    return _SUCCESS


def _print(options: ReplayOptions, console: Console, case: PlanCase, replay: Replay, split: RegretSplit | None) -> None:
    if options.as_json:
        told = {**asdict(replay), "identical": replay.identical, "made_by": dict(case.made_by)}
        console.print_json(json.dumps({**told, "regret": None if split is None else split.to_json()}))
        return
    issued = case.plan.issued_at.astimezone(case.home.site.zone)
    words = "[green]identical[/green]" if replay.identical else "[red]not identical[/red]"
    console.print(f"plan {replay.plan_id} of {issued:%Y-%m-%d %H:%M}: {words}", highlight=False)
    if not replay.complete:
        console.print("its search was stopped by its time limit", highlight=False)
    if replay.differences:
        table = Table("where", "original", "now")
        for one in replay.differences[:_SHOWN]:
            table.add_row(one.path, one.original[:40], one.replayed[:40])
        console.print(table)
    for reason in replay.reasons:
        console.print(f"perhaps because of {reason}", markup=False, highlight=False)
    if split is not None:
        _print_split(split, console)


def _print_split(split: RegretSplit, console: Console) -> None:
    table = Table(title="what the plan lost against the best there was")
    table.add_column("by")
    for span, name in ((split.executed, "until the next plan"), (split.horizon, "followed to its end")):
        for head in (f"{name}, {span.slots / 4:g} h: CZK", "comfort in it", "K h below"):
            table.add_column(head, justify="right")
    for part, words in _PARTS.items():
        table.add_row(words, *_cells(split.executed, part), *_cells(split.horizon, part))
    console.print(table)
    console.print(
        f"the search lost {split.solver_as_told.total:.2f} CZK on the problem as it was told", highlight=False
    )
    if split.energy_kwh is None:
        console.print("nothing was measured: what the house did otherwise is not known")
        return
    rmse = list(split.air_rmse_k.values())
    rooms = f"rooms erred by {sum(rmse) / len(rmse):.2f} K (rms), " if rmse else ""
    console.print(f"{rooms}the meter showed {split.energy_kwh:+.2f} kWh against the models", highlight=False)


def _cells(span: SpanSplit, part: str) -> list[str]:
    account = getattr(span, part)
    if account is None:
        return ["-", "-", "-"]
    return [f"{account.total:+.2f}", f"{account.comfort:+.2f}", f"{account.below_k_h:+.2f}"]
