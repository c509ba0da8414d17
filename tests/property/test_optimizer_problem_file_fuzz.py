"""Whatever is done to a problem file: it is solved, or its mistakes are named; nothing else is ever raised."""

import copy
import json
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.optimizer.problem_file_cases import example, small_file

from pems_optimizer.domain.problem_file.errors import ProblemFileError
from pems_optimizer.domain.problem_file.reading import parse_json, read_document
from pems_optimizer.domain.problem_file.solve_file import solve_problem_file
from pems_optimizer.domain.problem_file.to_problem import planning_problem

_FILES = [small_file(), example("car-and-dishwasher"), example("two-rooms-and-a-battery")]
_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.floats(0.0, 1e5),
    st.floats(-60.0, 60.0),
    st.integers(0, 100),
    st.text(max_size=5),
    st.sampled_from(
        ["2026-01-15T06:00:00+01:00", "2026-01-15", "Europe/Prague", "06:00", "setpoint", "1R1C", "living"]
    ),
    st.lists(st.floats(-10.0, 10.0), max_size=9),
    st.just({}),
    st.just([]),
    st.dictionaries(st.sampled_from(["living", "study", "south", "kind", "p10"]), st.floats(0, 50), max_size=2),
)


def _places(node: Any, path: tuple = ()) -> list[tuple]:
    """Every place in the file; of a series, its ends."""
    if isinstance(node, dict):
        inner = list(node.items())
    elif isinstance(node, list):
        inner = [(k, node[k]) for k in sorted({0, 1, len(node) - 1}) if 0 <= k < len(node)]
    else:
        return [path]
    return [path, *(place for key, value in inner for place in _places(value, (*path, key)))]


@st.composite
def mutated(draw, files=_FILES, values=_ODD, most: int = 3):
    data = copy.deepcopy(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from([p for p in _places(data) if p]))
        node: Any = data
        for step in path[:-1]:
            node = node[step]
        what = draw(st.sampled_from(["replace", "remove", "repeat", "rename"]))
        if what == "remove":
            del node[path[-1]]
        elif what == "repeat" and isinstance(node, list):
            node.append(copy.deepcopy(node[path[-1]]))
        elif what == "rename" and isinstance(node, dict):
            node[draw(st.text(min_size=1, max_size=4))] = node.pop(path[-1])
        else:
            node[path[-1]] = draw(values)
    return data


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_a_mutated_file_is_read_or_its_mistakes_are_named(data):
    try:
        document = read_document(data)
    except ProblemFileError as error:
        mistakes = error.problems
    else:
        assert planning_problem(document).slots >= 2
        return
    assert mistakes
    for mistake in mistakes:
        assert mistake.field
        assert mistake.message
        assert len(mistake.value) <= 60


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200) | mutated().map(lambda d: json.dumps(d)[:-7]))
def test_broken_text_is_refused_as_no_json(text):
    try:
        read_document(parse_json(text))
    except ProblemFileError:
        return
    raise AssertionError("a broken text was taken for a problem")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(files=[small_file()], most=2))
def test_a_mutated_file_is_solved_or_its_mistakes_are_named(data):
    began = time.monotonic()
    try:
        answer = solve_problem_file(data, lambda: time.monotonic() - began, 1.5)
    except ProblemFileError:
        return
    assert answer["slots"] >= 2
    json.dumps(answer, allow_nan=False)
