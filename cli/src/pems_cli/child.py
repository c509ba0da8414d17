"""Starting child processes that cannot outlive this one, and sending signals to all of a child's processes.

Each child leads its own process group, so that Ctrl-C in a terminal reaches only the parent, which then stops
them in order. On Linux the kernel sends SIGTERM to a child whose parent dies, however it dies.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["signal_group", "start_child"]

_PR_SET_PDEATHSIG = 1


def _dies_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the request
            os._exit(1)

    return in_child


def start_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child process in a process group of its own.

    Must be called from the main thread: the kernel's parent-death signal follows the *thread* that forked.

    Args:
        command: Program and arguments.
        env: The whole environment; None for this process's own.
        log: Where its output is appended; None to discard it.
        cwd: Its working directory.

    Raises:
        OSError: The program cannot be started.
    """
    output: IO[bytes] | int = subprocess.DEVNULL
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("ab")
    try:
        return subprocess.Popen(
            list(command),
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            process_group=0,
            preexec_fn=_dies_with_parent(),
        )
    finally:
        if not isinstance(output, int):
            output.close()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a child and its own children; quietly nothing when they are gone."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
