"""The page's account from the command line: `python -m pems_monitor.accounts --data DIR`.

Creates the account where there is none and prints its password on standard output, the only time it is seen;
prints nothing when it exists. Where PEMS_PAGE_PASSWORD_FILE names a file, the password in it is used instead.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pems_common.clock import Clock, SystemClock
from pems_common.errors import PemsError
from pems_common.settings import read_secret
from pems_monitor.adapters.store import MonitorStore, new_password, store_path

__all__ = ["ensure_account", "main"]

_MIN_CHARS = 8


def ensure_account(store: MonitorStore, *, password_file: Path | None = None, reset: bool = False) -> str | None:
    """Make sure that there is a password.

    Args:
        store: Where it is kept, hashed.
        password_file: A file whose content is the password; a changed file changes it and ends all sessions.
        reset: Replace an existing password by a new one.

    Returns:
        The new password where one was generated: show it once. None otherwise.

    Raises:
        PemsError: The file cannot be read, or its password is too short.
    """
    if password_file is not None:
        password = read_secret(password_file)
        if len(password) < _MIN_CHARS:
            raise PemsError(
                f"the page's password in {password_file} is too short", remedy=f"use at least {_MIN_CHARS} characters"
            )
        if not store.check_password(password):
            store.set_password(password)
        return None
    if store.has_account and not reset:
        return None
    password = new_password()
    if reset:
        store.set_password(password)
        return password
    return password if store.create_account(password) else None


def main(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pems_monitor.accounts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PEMS_DATA") or "var"), help="data directory")
    parser.add_argument("--reset", action="store_true", help="replace a forgotten password and end all sessions")
    options = parser.parse_args(arguments)
    named = os.environ.get("PEMS_PAGE_PASSWORD_FILE")
    try:
        store = MonitorStore(store_path(options.data), clock or SystemClock())
        try:
            password = ensure_account(store, password_file=Path(named) if named else None, reset=options.reset)
        finally:
            store.close()
    except PemsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if password is not None:
        print(password, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
