"""What verbs that study a file have in common: where results go, and how wrong input is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from pems_common.errors import PermanentError
from pems_common.home import HomeError

__all__ = ["FAILED", "SUCCESS", "WRONG_INPUT", "WrongInput", "check_targets", "telling_wrong_input"]

SUCCESS, FAILED, WRONG_INPUT = 0, 1, 2
_PICTURES = (".png", ".svg", ".pdf")


class WrongInput(Exception):
    """What was given is wrong, and that has been told."""


def check_targets(output: Path | None, picture: Path | None) -> None:
    """Refuse what could not be written in the end, before minutes of work.

    Raises:
        PermanentError: A folder does not exist or stands in the file's place, or the picture's ending is unknown.
    """
    for path in (output, picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise PermanentError(f"{path}: there is no such folder", remedy="make it first")
        if path is not None and path.is_dir():
            raise PermanentError(f"{path} is a folder", remedy="name a file in it")
    if picture is not None and picture.suffix not in _PICTURES:
        known = ", ".join(_PICTURES)
        raise PermanentError(f"{picture}: no picture of this kind can be drawn", remedy=f"let it end in {known}")


@contextmanager
def telling_wrong_input(console: Console) -> Iterator[None]:
    """Tell what is wrong with the input, line by line.

    Raises:
        WrongInput: Something was.
    """
    try:
        yield
    except HomeError as error:
        console.print(f"{error.source}: {len(error.problems)} to correct", markup=False, emoji=False)
        for problem in error.problems:
            console.print(f"  {problem}", markup=False, emoji=False)
        raise WrongInput from error
    except PermanentError as error:
        console.print(f"{error.message}; {error.remedy}", markup=False, emoji=False)
        raise WrongInput from error
