"""Everything that decided a plan, so that it can be made again, bit for bit (docs/replay.md).

The planner takes no random number that is not seeded by its inputs, and looks at the wall clock in one way only: it
asks how many seconds have gone by. What it was told is kept (`NotedTime`) and told again, so a plan that its time limit
cut short comes out the same too. The kept bytes are JSON of the messages and the home, in the versions of their day,
and the last search's arrays.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import (
    CATALOG,
    Body,
    Forecast,
    Plan,
    PlanInputs,
    Prices,
    Score,
    Status,
    Telemetry,
    Thermal,
    type_of,
)
from pems_common.timegrid import parse_instant
from pems_optimizer.domain.known import Known
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.planning import Ask, MadePlan, plan_with_making
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.problem_store import StoreError, from_bytes, to_bytes
from pems_optimizer.domain.remembered import Remembered
from pems_optimizer.domain.solving import RESERVE_S
from pems_optimizer.domain.warm_start import LastSearch

__all__ = [
    "MOST_BYTES",
    "Difference",
    "NotedTime",
    "PlanCase",
    "TimeTold",
    "case_bytes",
    "case_of",
    "differences",
    "is_whole",
    "plan_digest",
    "problem_digest",
    "read_case",
    "replayed",
]

B = TypeVar("B", bound=Body)

MOST_BYTES = 1_000_000
_MOST_UNPACKED_BYTES = 64_000_000
_MAGIC = b"PEMScase\n"
_VERSION = 1
_DIGEST_BYTES = 32
_LENGTH_BYTES = 8
_MOST_LATE = 10_000
_KNOWN: tuple[tuple[str, type[Body]], ...] = (
    ("forecast", Forecast),
    ("prices", Prices),
    ("telemetry", Telemetry),
    ("status", Status),
    ("running", Plan),
    ("strategy_value", Score),
)


@dataclass(frozen=True)
class TimeTold:
    """What a search was told of time.

    Attributes:
        calls: Times it asked while there was time left.
        late_s: Wall seconds it was told from then on, when its time was up; empty where everything was done in time.
    """

    calls: int = 0
    late_s: tuple[float, ...] = ()


class NotedTime:
    """Tells a search how many wall seconds have gone by, and remembers what it told."""

    def __init__(self, elapsed_s: Callable[[], float], limit_s: float) -> None:
        """Ask `elapsed_s`; the search has `limit_s`."""
        self._elapsed_s, self._late_from_s = elapsed_s, limit_s - RESERVE_S
        self._calls = 0
        self._late_s: list[float] = []

    def __call__(self) -> float:
        """Return the wall seconds since the work began."""
        now_s = self._elapsed_s()
        if now_s < self._late_from_s and not self._late_s:
            self._calls += 1
        elif len(self._late_s) < _MOST_LATE:
            self._late_s.append(now_s)
        return now_s

    def told(self) -> TimeTold:
        """Return what was told so far."""
        return TimeTold(self._calls, tuple(self._late_s))


class _ToldAgain:
    """Tells a search of time what another one was told."""

    def __init__(self, told: TimeTold) -> None:
        self._told, self._asked = told, 0

    def __call__(self) -> float:
        late = self._asked - self._told.calls
        self._asked += 1
        if late < 0 or not self._told.late_s:
            return 0.0
        return self._told.late_s[min(late, len(self._told.late_s) - 1)]


@dataclass(frozen=True)
class PlanCase:
    """A plan and everything that decided it.

    Attributes:
        home: The site; without its devices' addresses once it is kept, for they decide nothing.
        known: The messages the plan was made from, what the planner remembered, and the last search.
        inputs: Ids of the messages.
        ask: What was asked for.
        effort: How hard was searched; None for the usual.
        time: What the search was told of time.
        plan: What came of it.
        problem_digest: Of the problem that was solved: where it differs, the reading of the inputs does.
        made_by: Versions of everything that took part, and the processor.
    """

    home: Home
    known: Known
    inputs: PlanInputs
    ask: Ask
    effort: Effort | None
    time: TimeTold
    plan: Plan
    problem_digest: str
    made_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the search was over before its time was."""
        return not self.time.late_s

    @property
    def seed(self) -> int | None:
        """Seed of the sampled days (`assemble`); None where no forecast was known."""
        return None if self.known.forecast is None else int(self.known.forecast.issued_at.timestamp())


@dataclass(frozen=True)
class Difference:
    """A place where two plans differ: its path in the message, and both values as JSON."""

    path: str
    original: str
    replayed: str


def _json_bytes(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()


def _without_times(plan: Plan) -> dict[str, Any]:
    body = plan.model_dump(mode="json")
    del body["solver"]["solve_s"], body["solver"]["build_s"]
    return body


def plan_digest(plan: Plan) -> str:
    """Return the SHA-256 of a plan's message, without the seconds that it took."""
    return hashlib.sha256(json.dumps(_without_times(plan), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def problem_digest(problem: PlanningProblem) -> str:
    """Return the SHA-256 of a problem, every number to its last bit; 5 and 5.0 are the same number."""
    digest = hashlib.sha256()
    _take_in(digest, problem)
    return digest.hexdigest()


def _take_in(digest: "hashlib._Hash", value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value):
        for one in fields(value):
            digest.update(f"{one.name}:".encode())
            _take_in(digest, getattr(value, one.name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            digest.update(f"{name}=".encode())
            _take_in(digest, item)
    elif isinstance(value, tuple):
        digest.update(f"{len(value)} of ".encode())
        for item in value:
            _take_in(digest, item)
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        digest.update(f"{float(value) if number else value!r};".encode())


def case_of(
    home: Home,
    known: Known,
    inputs: PlanInputs,
    ask: Ask,
    time: TimeTold,
    made: MadePlan,
    *,
    made_by: Mapping[str, str],
    effort: Effort | None = None,
) -> PlanCase:
    """Put together what `plan_with_making` was given, what it was told of time, and what it made."""
    return PlanCase(home, known, inputs, ask, effort, time, made.plan, problem_digest(made.problem), made_by)


def replayed(case: PlanCase) -> MadePlan:
    """Make a plan again from everything that decided it, however fast this machine is.

    The seconds in the message are those of the original.

    Raises:
        InputProblem: There is no usable forecast.
    """
    made = plan_with_making(
        case.home, case.known, case.inputs, case.ask, elapsed_s=_ToldAgain(case.time), effort=case.effort
    )
    took = {"solve_s": case.plan.solver.solve_s, "build_s": case.plan.solver.build_s}
    plan = made.plan.model_copy(update={"solver": made.plan.solver.model_copy(update=took)})
    return MadePlan(plan, made.problem, made.chosen, made.memory)


def differences(original: Plan, again: Plan, *, most: int = 50) -> list[Difference]:
    """Return where two plans differ, without the seconds they took; at most `most` places."""
    found: list[Difference] = []
    _compare(_without_times(original), _without_times(again), "", found, most)
    return found


def _compare(one: Any, two: Any, path: str, found: list[Difference], most: int) -> None:
    if len(found) >= most or one == two:
        return
    if isinstance(one, dict) and isinstance(two, dict):
        for key in dict.fromkeys([*one, *two]):
            _compare(one.get(key), two.get(key), f"{path}.{key}" if path else key, found, most)
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for k, (a, b) in enumerate(zip(one, two, strict=True)):
            _compare(a, b, f"{path}[{k}]", found, most)
    else:
        found.append(Difference(path, json.dumps(one)[:200], json.dumps(two)[:200]))


# --- bytes -------------------------------------------------------------------------------------------------------


def case_bytes(case: PlanCase, *, most: int = MOST_BYTES) -> bytes:
    """Return a case as at most `most` bytes.

    Raises:
        StoreError: It is larger.
    """
    told = _json_bytes(_document(case))
    last = b"" if case.known.last is None else to_bytes(case.known.last)
    packed = zlib.compress(len(told).to_bytes(_LENGTH_BYTES, "little") + told + last)
    whole = _MAGIC + hashlib.sha256(packed).digest() + packed
    if len(whole) > most:
        raise StoreError(f"the case of plan {case.plan.plan_id} takes {len(whole)} bytes, at most {most} are kept")
    return whole


def is_whole(data: bytes) -> bool:
    """Whether bytes are those of a case that some version of this program wrote."""
    start = len(_MAGIC) + _DIGEST_BYTES
    return data[: len(_MAGIC)] == _MAGIC and hashlib.sha256(data[start:]).digest() == data[len(_MAGIC) : start]


def read_case(data: bytes) -> PlanCase:
    """Return the case that was packed.

    Raises:
        StoreError: The bytes are damaged, no case, or of a version that this program cannot read.
    """
    start = len(_MAGIC) + _DIGEST_BYTES
    if data[: len(_MAGIC)] != _MAGIC:
        raise StoreError("this is no plan's case")
    if not is_whole(data):
        raise StoreError("this plan's case is damaged: its bytes are not those that were written")
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data[start:], _MOST_UNPACKED_BYTES)
    except zlib.error as error:
        raise StoreError(f"this plan's case is damaged: {error}") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise StoreError("this plan's case is cut off, or larger than any")
    end = _LENGTH_BYTES + int.from_bytes(plain[:_LENGTH_BYTES], "little")
    try:
        return _case(json.loads(plain[_LENGTH_BYTES:end]), plain[end:])
    except StoreError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, PermanentError) as error:
        raise StoreError(f"this program cannot read this plan's case: {error}") from error


def _message(body: Body | None) -> dict[str, Any] | None:
    if body is None:
        return None
    kind = type_of(body)
    return {"type": kind.name, "v": kind.version, "body": body.model_dump(mode="json")}


def _body(data: Any, cls: type[B]) -> B | None:
    """Read a message.

    Raises:
        PermanentError: A newer program wrote it.
        ValueError: It is malformed.
    """
    if data is None:
        return None
    kind = CATALOG[str(data["type"])]
    if kind.body is not cls or data["v"] > kind.version:
        raise PermanentError(f"{data['type']} version {data['v']} is not known", remedy="update PEMS")
    return cls.read(data["body"])


def _exactly(remembered: Remembered) -> dict[str, Any]:
    """Return what a planner remembered with its peak unrounded: a plan is accounted for to the last bit."""
    told = remembered.to_json()
    return told | {"month_peak": told["month_peak"] | {"peak_w": remembered.month_peak.peak_w}}


def _document(case: PlanCase) -> dict[str, Any]:
    known, ask = case.known, case.ask
    return {
        "version": _VERSION,
        "plan_id": case.plan.plan_id,
        "seed": case.seed,
        "complete": case.complete,
        "made_by": dict(case.made_by),
        "problem_digest": case.problem_digest,
        "plan_digest": plan_digest(case.plan),
        # Addresses and topics decide nothing.
        "home": case.home.model_dump(mode="json", exclude={"devices"}),
        "known": {name: _message(getattr(known, name)) for name, _ in _KNOWN}
        | {
            "thermals": {room: _message(body) for room, body in known.thermals.items()},
            "remembered": _exactly(known.remembered),
        },
        "inputs": case.inputs.model_dump(mode="json"),
        "ask": {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(ask).items()},
        "effort": None if case.effort is None else asdict(case.effort),
        "time": {"calls": case.time.calls, "late_s": list(case.time.late_s)},
        "plan": _message(case.plan),
    }


def _case(told: Mapping[str, Any], last: bytes) -> PlanCase:
    if told["version"] != _VERSION:
        raise StoreError(f"a case of version {told['version']}; this program reads {_VERSION}")
    known, ask, plan = told["known"], told["ask"], _body(told["plan"], Plan)
    if plan is None or plan_digest(plan) != told["plan_digest"]:
        raise StoreError("the plan in this case is not the one it was written with")
    thermals = {room: _body(body, Thermal) for room, body in known["thermals"].items()}
    return PlanCase(
        home=Home.model_validate(told["home"]),
        known=Known(
            forecast=_body(known["forecast"], Forecast),
            prices=_body(known["prices"], Prices),
            telemetry=_body(known["telemetry"], Telemetry),
            thermals={room: body for room, body in thermals.items() if body is not None},
            status=_body(known["status"], Status),
            running=_body(known["running"], Plan),
            strategy_value=_body(known.get("strategy_value"), Score),
            remembered=Remembered.from_json(known["remembered"]),
            last=from_bytes(LastSearch, last) if last else None,
        ),
        inputs=PlanInputs.read(told["inputs"]),
        ask=Ask(
            plan_id=str(ask["plan_id"]),
            plan_no=int(ask["plan_no"]),
            now=parse_instant(ask["now"]),
            decide_from=parse_instant(ask["decide_from"]),
            limit_s=float(ask["limit_s"]),
        ),
        effort=_effort(told["effort"]),
        time=TimeTold(int(told["time"]["calls"]), tuple(float(s) for s in told["time"]["late_s"])),
        plan=plan,
        problem_digest=str(told["problem_digest"]),
        made_by={str(k): str(v) for k, v in told["made_by"].items()},
    )


def _effort(told: Mapping[str, Any] | None) -> Effort | None:
    if told is None:
        return None
    values: dict[str, Any] = {f.name: told[f.name] for f in fields(Effort) if f.name in told}
    for name in ("rough", "fine"):
        values[name] = tuple(values[name])
    return Effort(**values)
