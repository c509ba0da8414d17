"""What is wrong with a problem file: each mistake with its field, the value there, and what to do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pems_common.errors import PemsError

__all__ = ["FieldProblem", "ProblemFileError", "field_path", "problems_of", "shown"]

_SHOWN_PROBLEMS = 50
_UNITS = {
    "wh": "Wh",
    "w": "W",
    "c": "C",
    "pct": "%",
    "minutes": "minutes",
    "kwh": "currency per kWh",
    "k_w": "K/W",
    "w_k": "W/K",
    "j_k": "J/K",
    "wh_k": "Wh/K",
    "w_m2": "W/m2",
    "m2": "m2",
    "l": "litres",
    "s": "s",
}
_HINTS = {"heater_w": "100 kW on one relay is the most that is taken for a room; for more, write several rooms"}


@dataclass(frozen=True)
class FieldProblem:
    """One mistake.

    Attributes:
        field: Path, such as `rooms[2].heater_w`; `(file)` for the whole.
        value: What stands there as JSON, shortened; empty where nothing stands.
        message: What is wrong and what to do.
    """

    field: str
    value: str
    message: str

    def __str__(self) -> str:
        """One line for a screen."""
        return f"{self.field}{' = ' + self.value if self.value else ''}: {self.message}"


class ProblemFileError(PemsError):
    """The file holds no problem that can be solved.

    Attributes:
        problems: The mistakes found, at most 50.
    """

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        """Keep the mistakes."""
        self.problems = tuple(problems[:_SHOWN_PROBLEMS])
        many = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"the planning problem has {many}: " + "; ".join(str(p) for p in self.problems[:5]))


def shown(value: Any) -> str:
    """Return a value as short JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = str(type(value).__name__)
    return text if len(text) <= 60 else text[:57] + "..."


def field_path(parts: Sequence[int | str]) -> str:
    """Join the steps to a field: `rooms[2].heater_w`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "(file)"


def _has(node: Any, part: int | str) -> bool:
    if isinstance(part, int):
        return isinstance(node, list | tuple) and part < len(node)
    return isinstance(node, Mapping) and part in node


def _steps(location: Sequence[int | str], data: Any, missing: bool) -> tuple[list[int | str], Any]:
    """Follow a location through the data; steps that only pydantic knows (names of alternatives) fall out."""
    steps: list[int | str] = []
    node = data
    for k, part in enumerate(location):
        if _has(node, part):
            node = node[part]
        elif missing and k == len(location) - 1:
            node = None
        else:
            continue
        steps.append(part)
    return steps, node


def _unit(field: str) -> str:
    words = field.split("_")
    for start in range(max(0, len(words) - 2), len(words)):
        unit = _UNITS.get("_".join(words[start:]))
        if unit:
            return f" (in {unit})"
    return ""


def _message(item: Mapping[str, Any], name: str) -> str:
    context = item.get("ctx", {})
    limits = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("above", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("below", "lt"),
    }
    kind = str(item["type"])
    if kind in limits:
        words, key = limits[kind]
        hint = _HINTS.get(name, "")
        return f"must be {words} {context[key]:g}{_unit(name)}" + (f": {hint}" if hint and key == "le" else "")
    plain = {
        "missing": "this field is needed: add it",
        "extra_forbidden": "unknown field: remove it, or correct its spelling",
        "finite_number": "is not a finite number: fill in what is unknown before you plan",
        "float_type": f"must be a number{_unit(name)}, not text",
        "int_type": f"must be a whole number{_unit(name)}",
        "int_from_float": f"must be a whole number{_unit(name)}",
        "bool_type": "must be true or false",
        "string_type": "must be a text",
        "dict_type": "must be an object: {...}",
        "model_type": "must be an object: {...}",
        "tuple_type": "must be a list: [...]",
        "too_long": f"has more than {context.get('max_length')} entries",
        "string_too_long": f"is longer than {context.get('max_length')} characters",
        "string_too_short": "must not be empty",
        "union_tag_not_found": 'needs a field "kind"',
        "union_tag_invalid": f"its kind must be one of {context.get('expected_tags')}",
        "literal_error": f"must be {context.get('expected')}",
    }
    text = plain.get(kind, str(item["msg"]).removeprefix("Value error, "))
    return text


def problems_of(error: ValidationError, data: Any) -> list[FieldProblem]:
    """Turn what pydantic found into mistakes of the file."""
    found = []
    for item in error.errors(include_url=False):
        missing = item["type"] == "missing"
        steps, value = _steps(item["loc"], data, missing)
        name = next((str(step) for step in reversed(steps) if isinstance(step, str)), "")
        text = "" if missing else shown(item["input"] if not steps else value)
        found.append(FieldProblem(field_path(steps), text, _message(item, name)))
    return found
