"""Who may do what over HTTP: API keys in the header X-API-Key.

Services use the internal key, made at the first start in a file that only its owner reads. People and scripts
get keys of their own with the scope `read` or `write`; of these only argon2 hashes are kept.
"""

import asyncio
import hashlib
import hmac
import json
import os
import secrets
from collections import OrderedDict, deque
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import HTTPException, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pems_common.clock import Clock
from pems_common.errors import PemsError
from pems_common.logs import get_logger
from pems_common.settings import ServiceSettings, read_secret

__all__ = ["ApiKey", "Auth", "KeyFile", "Principal", "Scope", "load_or_create_secret"]

Scope = Literal["read", "write"]
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_MAX_KEY_CHARS = 200
_FAILURES = 10
_WINDOW_S = 60.0
_MAX_CLIENTS = 1000
_CACHED_KEYS = 256
_log = get_logger("auth")


class Principal(BaseModel):
    """Who asks.

    Attributes:
        name: `internal`, or the name of the key; goes into audits.
        scope: What it may do; `write` includes `read`.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    scope: Scope


class ApiKey(BaseModel):
    """A stored key: everything but the key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^[a-z0-9]{8}$")
    name: str = Field(min_length=1, max_length=80)
    scope: Scope
    hash: str


_KEYS = TypeAdapter(tuple[ApiKey, ...])


def _write_private(path: Path, text: str, *, replace: bool) -> bool:
    """Write a file only its owner can read, whole or not at all; False when it stood and was not to be replaced."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            scratch.replace(path)
            return True
        try:
            path.hardlink_to(scratch)
        except FileExistsError:
            return False
        return True
    finally:
        scratch.unlink(missing_ok=True)


def load_or_create_secret(path: Path) -> str:
    """Return the secret in a file; when there is no file, make one with 256 random bits (mode 0600).

    Several processes may do this at once: all get the same secret.

    Raises:
        PemsError: The file can be neither read nor made.
    """
    try:
        if not path.exists():
            _write_private(path, secrets.token_urlsafe(32) + "\n", replace=False)
    except OSError as error:
        raise PemsError(f"{path} cannot be made: {error}", remedy="make its folder writable") from error
    return read_secret(path)


class KeyFile:
    """The stored keys: a small JSON file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`; it need not exist."""
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()
        # 19 MiB, two passes (OWASP's minimum): a key has 256 random bits, so this need not be slow.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """Every stored key; an unreadable file counts as empty and is logged."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
        except OSError:
            self._stamp, self._keys = None, ()
            return ()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._keys = _KEYS.validate_json(self.path.read_bytes())
            except (OSError, ValidationError) as error:
                self._keys = ()
                _log.error("the file of API keys cannot be read: no stored key works", error=type(error).__name__)
        return self._keys

    @property
    def stamp(self) -> tuple[int, int] | None:
        """Changes when the file does."""
        return self._stamp

    def add(self, name: str, scope: Scope) -> str:
        """Store a new key and return it: the only time it is seen.

        Raises:
            PemsError: The name is taken.
        """
        if any(key.name == name for key in self.keys):
            raise PemsError(f"there is a key named {name} already", remedy="choose another name, or remove it first")
        identifier = secrets.token_hex(4)
        key = f"pems_{identifier}_{secrets.token_urlsafe(32)}"
        self._save((*self.keys, ApiKey(id=identifier, name=name, scope=scope, hash=self._hasher.hash(key))))
        return key

    def remove(self, name: str) -> bool:
        """Remove a key by name; False when there was none."""
        rest = tuple(key for key in self.keys if key.name != name)
        if len(rest) == len(self.keys):
            return False
        self._save(rest)
        return True

    def find(self, key: str) -> ApiKey | None:
        """Return the stored key that this is, None when unknown. Takes some 20 ms of CPU."""
        parts = key.split("_", 2)
        if len(parts) != 3 or parts[0] != "pems":
            return None
        for known in self.keys:
            if known.id == parts[1]:
                with suppress(VerificationError, InvalidHashError):
                    self._hasher.verify(known.hash, key)
                    return known
        return None

    def _save(self, keys: tuple[ApiKey, ...]) -> None:
        _write_private(self.path, json.dumps([key.model_dump() for key in keys], indent=1) + "\n", replace=True)
        self._stamp = None


class Auth:
    """Checks keys. Its `require_read` and `require_write` are FastAPI dependencies that return a `Principal`."""

    def __init__(self, clock: Clock, *, internal_key: str, keys: KeyFile | None = None) -> None:
        """Accept the internal key, and the stored ones where a file is given."""
        self._clock = clock
        self._internal = internal_key.encode()
        self._keys = keys
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()
        self._verified_stamp: tuple[int, int] | None = None
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._verifying = asyncio.Semaphore(2)

    @classmethod
    def open(cls, settings: ServiceSettings, clock: Clock) -> "Auth":
        """Open with the key files of this machine; they are made when absent.

        Raises:
            PemsError: The internal key can be neither read nor made.
        """
        key = load_or_create_secret(settings.internal_key_file)
        return cls(clock, internal_key=key, keys=KeyFile(settings.keys_file))

    @property
    def internal_key(self) -> str:
        """The key for requests to other services; never log it."""
        return self._internal.decode()

    async def require_read(self, request: Request, key: Annotated[str | None, Security(_HEADER)]) -> Principal:
        """Let through who may read.

        Raises:
            HTTPException: 401 without a valid key, 429 after too many wrong ones.
        """
        return await self.check(key, client=request.client.host if request.client else "")

    async def require_write(self, request: Request, key: Annotated[str | None, Security(_HEADER)]) -> Principal:
        """Let through who may write.

        Raises:
            HTTPException: 401 without a valid key, 403 with a read-only one, 429 after too many wrong ones.
        """
        principal = await self.check(key, client=request.client.host if request.client else "")
        if principal.scope != "write":
            raise HTTPException(403, "this key may only read")
        return principal

    async def check(self, key: str | None, *, client: str = "") -> Principal:
        """Return whose key this is; `client` is the address whose failures are counted.

        Raises:
            HTTPException: 401 or 429.
        """
        if key is not None and hmac.compare_digest(key.encode(), self._internal):
            return Principal(name="internal", scope="write")
        if key and len(key) <= _MAX_KEY_CHARS and self._keys is not None:
            digest = hashlib.sha256(key.encode()).digest()
            stored = self._keys.keys
            if self._keys.stamp != self._verified_stamp:
                self._verified.clear()
                self._verified_stamp = self._keys.stamp
            if digest in self._verified:
                self._verified.move_to_end(digest)
                return self._verified[digest]
            self._refuse_if_limited(client)
            if stored:
                async with self._verifying:
                    found = await asyncio.to_thread(self._keys.find, key)
                if found is not None:
                    principal = Principal(name=found.name, scope=found.scope)
                    self._verified[digest] = principal
                    while len(self._verified) > _CACHED_KEYS:
                        self._verified.popitem(last=False)
                    return principal
        self._refuse_if_limited(client)
        if key:
            self._count_failure(client)
        raise HTTPException(
            401,
            {"detail": "a valid API key is needed", "remedy": "send it in the header X-API-Key"},
            headers={"WWW-Authenticate": 'ApiKey realm="pems"'},
        )

    def _refuse_if_limited(self, client: str) -> None:
        times = self._failures.get(client)
        if times is None:
            return
        oldest = self._clock.monotonic() - _WINDOW_S
        while times and times[0] < oldest:
            times.popleft()
        if len(times) >= _FAILURES:
            wait_s = max(1, int(times[0] - oldest) + 1)
            raise HTTPException(429, "too many wrong keys from this address", headers={"Retry-After": str(wait_s)})

    def _count_failure(self, client: str) -> None:
        times = self._failures.setdefault(client, deque(maxlen=_FAILURES))
        times.append(self._clock.monotonic())
        self._failures.move_to_end(client)
        while len(self._failures) > _MAX_CLIENTS:
            self._failures.popitem(last=False)
        _log.warning("wrong API key", client=client, failures=len(times))
