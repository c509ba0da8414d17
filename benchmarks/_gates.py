"""Figures against their gates and goals, as every benchmark of forecasts prints them."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Gate", "Row", "told", "verdict"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Gate:
    """A figure has to be at most its gate; the goal is what we are after.

    Attributes:
        case: `case` of the row that holds it.
        figure: Its name there.
        most: The gate.
        goal: The goal.
    """

    case: str
    figure: str
    most: float
    goal: float


def told(rows: Iterable[Row], gates: Sequence[Gate]) -> list[str]:
    """Print each row as it comes, and after it how its gates are held; returns what to complain about."""
    failures = []
    for row in rows:
        print(json.dumps(row), flush=True)
        for gate in (gate for gate in gates if gate.case == row["case"]):
            value = row[gate.figure]
            state = "goal" if value <= gate.goal else "gate" if value <= gate.most else "FAILED"
            line = {"case": "gate", "of": gate.case, "figure": gate.figure, "value": value, "is": state}
            print(json.dumps(line), flush=True)
            if state == "FAILED":
                failures.append(f"{gate.case}: {gate.figure} is {value}, not at most {gate.most}")
    return failures


def verdict(failures: Sequence[str], *, check: bool) -> int:
    """Print what failed; returns the exit status."""
    print(json.dumps({"case": "all", "failures": list(failures)}), flush=True)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if check and failures else 0
