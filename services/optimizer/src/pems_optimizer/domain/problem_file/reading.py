"""Reading a problem file: every mistake is named, and nothing but `ProblemFileError` comes out."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from pems_optimizer.domain.problem_file.checks import mistakes_of
from pems_optimizer.domain.problem_file.document import ProblemDocument
from pems_optimizer.domain.problem_file.errors import FieldProblem, ProblemFileError, problems_of

__all__ = ["parse_json", "read_document"]


def parse_json(text: bytes | str) -> Any:
    """Parse JSON; `NaN` and `Infinity` are taken here, so that they are named by their field later.

    Raises:
        ProblemFileError: It is no JSON.
    """
    try:
        return from_json(text, allow_inf_nan=True)
    except ValueError as error:
        raise ProblemFileError([FieldProblem("(file)", "", f"is no JSON: {error}")]) from error


def read_document(data: Any) -> ProblemDocument:
    """Read a problem from parsed JSON.

    Raises:
        ProblemFileError: With every mistake found; ranges and spelling first, then what fields mean to each other.
    """
    if not isinstance(data, dict):
        raise ProblemFileError([FieldProblem("(file)", "", 'must be an object: {"format": "pems-problem/1", ...}')])
    try:
        document = ProblemDocument.model_validate(data)
    except ValidationError as error:
        raise ProblemFileError(problems_of(error, data)) from error
    mistakes = mistakes_of(document)
    if mistakes:
        raise ProblemFileError(mistakes)
    return document
