"""What the monitor keeps: the page's account, sessions, and small JSON documents, in one SQLite file (WAL).

Passwords are kept as argon2id hashes, session tokens as SHA-256 (they have 256 random bits themselves).
"""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pems_common.clock import Clock
from pems_common.errors import PemsError

__all__ = ["MonitorStore", "Session", "new_password", "store_path"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, hash TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (
  token_sha256 TEXT PRIMARY KEY, csrf TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
  language TEXT NOT NULL, theme TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS document (name TEXT PRIMARY KEY, content TEXT NOT NULL);
"""
_ACCOUNT = "home"
_LIFE = timedelta(days=30)  # wall time
_MAX_SESSIONS = 200
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0/o, 1/l/i: people type it from a screen
_MAX_PASSWORD_CHARS = 256


@dataclass(frozen=True)
class Session:
    """A browser that is logged in.

    Attributes:
        key: SHA-256 of the token; the token itself is only in the browser.
        csrf: Token that state-changing HTTP requests carry.
        language: en, cs, or empty for the browser's own.
        theme: light, dark, or auto.
        expires_at: Wall time.
    """

    key: str
    csrf: str
    created_at: datetime
    expires_at: datetime
    language: str = ""
    theme: str = "auto"


def store_path(data: Path) -> Path:
    """Where the file stands below the data directory."""
    return data / "monitor" / "monitor.sqlite3"


def new_password() -> str:
    """A password of 16 random characters (79 bits) in four groups, easy to read and type."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class MonitorStore:
    """Account, sessions and documents. Calls are short; sessions are also held in memory."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open or create the file (mode 0600).

        Raises:
            PemsError: It cannot be opened.
        """
        self._clock = clock
        self._hasher = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise PemsError(f"{path} cannot be opened: {error}", remedy="check its folder and owner") from error
        self._sessions = {session.key: session for session in self._load_sessions()}

    # --- account

    @property
    def has_account(self) -> bool:
        """Whether a password was set."""
        return self._hash() is not None

    def create_account(self, password: str) -> bool:
        """Set the first password; False when there is an account already (two processes may try at once)."""
        with self._write() as db:
            row = (_ACCOUNT, self._hasher.hash(password), self._clock.wall_now().isoformat())
            return db.execute("INSERT OR IGNORE INTO account VALUES (?, ?, ?)", row).rowcount == 1

    def set_password(self, password: str) -> None:
        """Replace the password and end every session."""
        with self._write() as db:
            row = (_ACCOUNT, self._hasher.hash(password), self._clock.wall_now().isoformat())
            db.execute("INSERT OR REPLACE INTO account VALUES (?, ?, ?)", row)
            db.execute("DELETE FROM session")
        self._sessions.clear()

    def check_password(self, password: str) -> bool:
        """Compare with the stored hash. Takes some 50 ms of CPU: call it in a thread."""
        stored = self._hash()
        if stored is None or not 0 < len(password) <= _MAX_PASSWORD_CHARS:
            return False
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    def _hash(self) -> str | None:
        with closing(self._db.execute("SELECT hash FROM account WHERE name = ?", (_ACCOUNT,))) as rows:
            row = rows.fetchone()
        return None if row is None else str(row[0])

    # --- sessions

    def open_session(self, *, language: str = "") -> tuple[str, Session]:
        """Start a session; returns its token (for the cookie) and the session."""
        token = secrets.token_urlsafe(32)
        now = self._clock.wall_now()
        session = Session(_digest(token), secrets.token_urlsafe(32), now, now + _LIFE, language)
        self._sessions[session.key] = session
        self._put(session)
        for old in sorted(self._sessions.values(), key=lambda s: s.created_at)[:-_MAX_SESSIONS]:
            self.close_session(old.key)
        return token, session

    def session(self, token: str | None) -> Session | None:
        """The live session of a token, None where unknown or expired."""
        if not token or len(token) > 100:
            return None
        return self.session_by_key(_digest(token))

    def session_by_key(self, key: str) -> Session | None:
        """The live session of a key, None where it ended."""
        session = self._sessions.get(key)
        if session is not None and session.expires_at <= self._clock.wall_now():
            self.close_session(key)
            return None
        return session

    def prefer(self, key: str, *, language: str | None = None, theme: str | None = None) -> None:
        """Keep what a browser chose."""
        session = self._sessions.get(key)
        if session is None:
            return
        session = replace(
            session,
            language=session.language if language is None else language,
            theme=session.theme if theme is None else theme,
        )
        self._sessions[key] = session
        self._put(session)

    def close_session(self, key: str) -> None:
        """End a session."""
        self._sessions.pop(key, None)
        with self._write() as db:
            db.execute("DELETE FROM session WHERE token_sha256 = ?", (key,))

    def _put(self, s: Session) -> None:
        row = (s.key, s.csrf, s.created_at.isoformat(), s.expires_at.isoformat(), s.language, s.theme)
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?)", row)

    def _load_sessions(self) -> Iterator[Session]:
        with closing(self._db.execute("SELECT * FROM session")) as rows:
            for key, csrf, created_at, expires_at, language, theme in rows:
                yield Session(
                    key, csrf, datetime.fromisoformat(created_at), datetime.fromisoformat(expires_at), language, theme
                )

    # --- documents

    def document(self, name: str) -> Any:
        """A kept JSON document, None where there is none or it is damaged."""
        with closing(self._db.execute("SELECT content FROM document WHERE name = ?", (name,))) as rows:
            row = rows.fetchone()
        if row is None:
            return None
        try:
            return json.loads(row[0])
        except ValueError:
            return None

    def keep(self, name: str, content: Any) -> None:
        """Keep a JSON document."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (name, json.dumps(content)))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._db:
            yield self._db
