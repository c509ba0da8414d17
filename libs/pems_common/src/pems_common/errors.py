"""Exceptions that cross module borders. Each carries what happened and what to do about it."""

__all__ = ["PemsError", "PermanentError", "UnavailableError"]


class PemsError(Exception):
    """Base of PEMS's own errors.

    Attributes:
        remedy: What the user or caller can do, in one plain sentence; may be empty.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep the message and its remedy."""
        super().__init__(message if not remedy else f"{message} ({remedy})")
        self.message = message
        self.remedy = remedy


class PermanentError(PemsError):
    """Trying again cannot help: a bus handler that raises this sends its entry to the dead letters at once."""


class UnavailableError(PemsError):
    """Something outside did not answer; the same call may succeed later."""
