"""Noticing a cancellation that a library swallowed.

`asyncio.wait_for` before Python 3.12 drops a cancellation that comes in the moment its result does (CPython
issue 86296); redis-py sends every command through it. A loop that runs for ever would then never end.
"""

import asyncio

__all__ = ["Cancellation"]


class Cancellation:
    """Remembers how often the current task had been asked to end, and raises when it was asked again."""

    def __init__(self) -> None:
        """Begin to watch the task that runs now."""
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task is not None else 0

    def check(self) -> None:
        """Raise when the task was cancelled since.

        Raises:
            asyncio.CancelledError: It was.
        """
        task = asyncio.current_task()
        if task is not None and task is self._task and task.cancelling() > self._before:
            raise asyncio.CancelledError
