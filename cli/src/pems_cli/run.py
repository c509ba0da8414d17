"""A run: its directory, clock, secrets, and the promise that nobody else runs in the same directory."""

import fcntl
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pems_common.clock import write_clock_file

__all__ = ["Run", "RunBusyError", "RunError", "open_run", "secret_file"]


class RunError(Exception):
    """A run cannot be kept in this directory."""


class RunBusyError(RunError):
    """Another PEMS runs in this directory."""


@dataclass(frozen=True)
class Run:
    """One run of the native stack.

    Attributes:
        run_id: Its name.
        directory: Everything it keeps; `var/run-<id>` when scaled, else the data directory itself.
        clock_file: House time for all processes.
        speed: House seconds per wall second.
        start_at: First house time, None for real time.
        lock: Open file descriptor that holds the directory's lock.
    """

    run_id: str
    directory: Path
    clock_file: Path
    speed: float
    start_at: datetime | None
    lock: int

    @property
    def world_file(self) -> Path:
        """True weather and prices of a simulated run; absent in the real world."""
        return self.directory / "world.json"

    def start_clock(self) -> None:
        """Let house time begin now."""
        write_clock_file(self.clock_file, run_id=self.run_id, sim_start=self.start_at, speed=self.speed)

    def close(self) -> None:
        """Give the directory free."""
        os.close(self.lock)


def open_run(data: Path, *, speed: float, start_at: datetime | None) -> Run:
    """Make or open the directory of a run and lock it.

    Args:
        data: The data directory.
        speed: House seconds per wall second.
        start_at: First house time; None for real time, which continues what is in `data`.

    Raises:
        RunBusyError: Another PEMS runs there.
        RunError: The directory cannot be written.
    """
    if start_at is None:
        run_id, directory = "live", data
    else:
        run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        directory = data / f"run-{run_id}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "pems.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RunError(f"cannot write to {data} ({error.strerror}): set PEMS_DATA to a directory of yours") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise RunBusyError(
            f"PEMS already runs in {directory} (process {owner}): stop it first, or set PEMS_DATA to another place"
        ) from None
    os.truncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return Run(run_id, directory, directory / "clock.json", speed, start_at, lock)


def secret_file(path: Path) -> tuple[str, bool]:
    """Read a random secret, making it at first use, readable by its owner only.

    Returns:
        The secret, and whether it was made now.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip(), False
    secret = secrets.token_urlsafe(24)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    return secret, True
