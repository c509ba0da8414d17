"""Long work in processes of this machine whose finished parts stay on disk, so that an interrupted run goes on.

Each task's result is one JSON file, named after all that decides it. A task whose file is there is not done again.
"""

import gc
import json
import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from pems_common.errors import PemsError

__all__ = ["Tell", "finish", "result_file", "silence"]

_POLL_S = 2.0
_COLLECT_AT = (50_000, 20, 20)
_TASKS_OF_A_PROCESS = 8  # an arm of weeks leaves much memory behind, and a new process compiles and imports anew

Tell = Callable[[int], None]
"""Is told how many of its days a task has done."""


class Task(Protocol):
    """Something long. It must go to another process (`pickle`)."""

    @property
    def weight(self) -> int:
        """Days of work, as the progress counts them."""

    def key(self, version: str) -> str:
        """Name of its result; `version` is of the code."""

    def done(self, tell: Tell) -> dict[str, Any]:
        """Do it, and return what JSON can hold."""


T = TypeVar("T", bound=Task)


def finish(
    tasks: Sequence[T], folder: Path, *, processes: int, version: str, say: Callable[[str], None]
) -> Iterator[tuple[T, dict[str, Any]]]:
    """Do the tasks that have no result yet, and yield each with its result as it is there.

    Args:
        tasks: What is wanted.
        folder: Where results are and go.
        processes: How many run at once; 1 runs them in this process.
        version: Of the code, for the tasks' keys.
        say: Is told how far it is.

    Raises:
        PemsError: A result on disk is broken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting: list[tuple[T, str]] = []
    for task in tasks:
        key = task.key(version)
        found = _read(folder, key)
        if found is None:
            waiting.append((task, key))
        else:
            yield task, found
    if len(waiting) < len(tasks):
        say(f"{len(tasks) - len(waiting)} of {len(tasks)} parts were finished before")
    progress = _Progress(folder, waiting, say)
    if processes <= 1:
        for task, key in waiting:
            yield task, _work(task, folder, key, progress.look)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=_TASKS_OF_A_PROCESS) as pool:
        running: dict[Future[dict[str, Any]], T] = {pool.submit(_work, t, folder, key): t for t, key in waiting}
        try:
            while running:
                done, _ = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                progress.look()
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def silence() -> Iterator[None]:
    """Leave out the log of this whole process for a while: it is written for one house, not for months of many."""
    level, structured = logging.root.manager.disable, structlog.get_config()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        logging.disable(level)
        structlog.configure(**structured)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage in circles rarely: each plan makes many objects, and half a million others are there to stay."""
    usual = gc.get_threshold()
    gc.collect()  # what the task before left in circles would be frozen for good
    gc.freeze()
    gc.set_threshold(*_COLLECT_AT)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def result_file(folder: Path, key: str) -> Path:
    """Return where a task's result is, once it is done."""
    return folder / f"{key}.json"


def _read(folder: Path, key: str) -> dict[str, Any] | None:
    path = result_file(folder, key)
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PemsError(f"{path} is broken: {error}", remedy="delete it and start again") from error
    return found


def _mark(folder: Path, key: str) -> Path:
    """Where a running task says how many days it has done."""
    return folder / f"{key}.days"


def _work(task: Task, folder: Path, key: str, look: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Do a task and write its result; runs in a process of its own, or in the caller's."""
    mark = _mark(folder, key)

    def tell(days: int) -> None:
        mark.write_text(str(days))
        look()

    with silence(), _rare_collections():
        result = task.done(tell)
    scratch = folder / f"{key}.tmp"
    scratch.write_text(json.dumps(result))
    scratch.replace(result_file(folder, key))
    mark.unlink(missing_ok=True)
    look()
    return result


class _Progress:
    """Tells how many days are done and how long the rest will take."""

    def __init__(self, folder: Path, waiting: Sequence[tuple[Task, str]], say: Callable[[str], None]) -> None:
        self._folder, self._waiting, self._say = folder, waiting, say
        self._total = sum(task.weight for task, _ in waiting)
        self._began, self._told = time.perf_counter(), 0
        for _, key in waiting:
            _mark(folder, key).unlink(missing_ok=True)

    def look(self) -> None:
        """Say something if a day has been finished since the last look."""
        done = sum(self._days(task, key) for task, key in self._waiting)
        if done <= self._told:
            return
        self._told = done
        each_s = (time.perf_counter() - self._began) / done
        left_s = each_s * (self._total - done)
        left = f"{left_s / 60.0:.0f} min" if left_s >= 60.0 else f"{left_s:.0f} s"
        self._say(f"{done} of {self._total} days, {each_s:.1f} s each, {left} left")

    def _days(self, task: Task, key: str) -> int:
        if result_file(self._folder, key).exists():
            return task.weight
        try:
            return int(_mark(self._folder, key).read_text() or 0)
        except FileNotFoundError:
            return 0
