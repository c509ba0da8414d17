"""A training in a process of its own: `python -m pems_forecaster.train_child JOB`, started by `ProcessTrainer`.

Tells its progress as JSON lines. Exit codes: 0 done, 3 too little to learn from, 4 another training runs.
"""

import fcntl
import json
import os
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.room_fit.kept import fit_to_json, series_of_arrays
from pems_forecaster.training import identify_rooms, train_model

__all__ = ["BUSY", "ROOMS", "TOO_LITTLE", "main"]

TOO_LITTLE, BUSY = 3, 4
ROOMS = "rooms"

_NICE = 10


def _tell(**said: object) -> None:
    print(json.dumps(said), flush=True)


def main(path: Path) -> int:
    """Train what the job file says, into the file's folder."""
    with np.load(path, allow_pickle=False) as file:
        head = json.loads(str(file["head"]))
        arrays = {name: file[name] for name in file.files if name != "head"}
    os.nice(_NICE)
    bound = int(head["memory_mb"]) * 1_000_000
    with suppress(ValueError, OSError):  # systems that know no such bound
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    with Path(head["lock"]).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return BUSY
        try:
            result = _result(head, arrays, path.parent)
        except PermanentError as error:
            print(error.message)
            return TOO_LITTLE
    _tell(result=result)
    return 0


def _result(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]], folder: Path) -> Mapping[str, Any]:
    """Do the work; returns plain data."""
    home = Home.model_validate(head["home"])

    def progress(share: float, what: str) -> None:
        _tell(share=share, what=what)

    if head["kind"] == ROOMS:
        fits = identify_rooms(home, series_of_arrays(arrays), progress=progress)
        return {room: fit_to_json(fit) for room, fit in fits.items()}
    lessons, threads = Lessons.of_arrays(arrays), int(head["threads"])
    return train_model(head["kind"], home, lessons, folder, threads=threads, progress=progress).to_json()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
