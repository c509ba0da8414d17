"""Reading home.yaml so that each mistake is named by line, field, value and remedy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from pems_common.errors import PemsError
from pems_common.home.models import Home

__all__ = ["HomeError", "HomeProblem", "load_home", "parse_home"]

_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class HomeProblem:
    """One mistake in home.yaml.

    Attributes:
        line: 1-based line, 0 where no line can be named.
        field: Dotted path, such as `rooms.obyvak.relay_w`.
        value: What stands there, shortened.
        remedy: What to write instead.
    """

    line: int
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        """One line for a screen."""
        where = f"line {self.line}: " if self.line else ""
        value = f" = {self.value}" if self.value else ""
        return f"{where}{self.field}{value}: {self.remedy}"


class HomeError(PemsError):
    """home.yaml cannot be used.

    Attributes:
        problems: Every mistake found, in order of lines.
    """

    def __init__(self, source: str, problems: Sequence[HomeProblem]) -> None:
        """Keep where and what."""
        self.source = source
        self.problems = sorted(problems, key=lambda p: (p.line, p.field))
        super().__init__(f"{source}: " + "; ".join(str(p) for p in self.problems))


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice (YAML keeps the last one silently)."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[object, object]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark)
        seen.add(key)
    result: dict[object, object] = {}
    result.update(loader.construct_mapping(node, deep=True))
    return result


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _line_of(node: yaml.Node | None, path: Sequence[int | str]) -> int:
    """Find the line of a field; of its nearest parent where the field itself is missing."""
    line = 0 if node is None else node.start_mark.line + 1
    for part in path:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                if key_node.value == str(part):
                    found, line = value_node, key_node.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return line


_NAMED_FIELD = re.compile(r"([a-z_]+(?:\.\w+)+): (.*)", re.DOTALL)
_REMEDIES = {
    "missing": "this field is needed: add it",
    "extra_forbidden": "unknown field: remove it, or correct its spelling",
}


def parse_home(text: str, source: str = "home.yaml") -> Home:
    """Parse and check the text of a home.yaml.

    Raises:
        HomeError: With every problem found.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problem = HomeProblem(line, "(file)", "", f"not valid YAML: {error.problem}; mind the indentation")
        raise HomeError(source, [problem]) from error
    except yaml.YAMLError as error:
        raise HomeError(source, [HomeProblem(0, "(file)", "", f"not valid YAML: {error}")]) from error
    if not isinstance(data, dict):
        raise HomeError(source, [HomeProblem(1, "(file)", "", "write sections such as site:, rooms:, tariff:")])
    try:
        return Home.model_validate(data)
    except ValidationError as error:
        raise HomeError(source, _problems(error, node)) from error


def _problems(error: ValidationError, node: yaml.Node | None) -> list[HomeProblem]:
    items = [
        (tuple(part for part in item["loc"] if not str(part).startswith("function-")), item) for item in error.errors()
    ]
    problems = []
    for path, item in items:
        # A list is also "too short" for each wrong entry in it, which is named by itself.
        inner = any(other[: len(path)] == path and len(other) > len(path) for other, _ in items)
        if item["type"] == "too_short" and inner:
            continue
        value = "" if item["type"] == "missing" or isinstance(item["input"], dict) else repr(item["input"])[:60]
        remedy = _REMEDIES.get(item["type"], item["msg"].removeprefix("Value error, "))
        if not path and (named := _NAMED_FIELD.match(remedy)):  # found when all fields were seen together
            path, remedy = tuple(named[1].split(".")), named[2]
        field = ".".join(str(part) for part in path) or "(file)"
        problems.append(HomeProblem(_line_of(node, path), field, value, remedy))
    return problems


def load_home(path: Path) -> Home:
    """Read and check a home.yaml.

    Raises:
        HomeError: It is absent, unreadable, or wrong.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise HomeError(str(path), [HomeProblem(0, "(file)", "", "larger than 1 MB: not a home.yaml")])
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = "no such file: copy config/home.yaml and change it, or set PEMS_HOME to yours"
        raise HomeError(str(path), [HomeProblem(0, "(file)", "", remedy)]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise HomeError(str(path), [HomeProblem(0, "(file)", "", f"cannot be read: {error}")]) from error
    return parse_home(text, str(path))
