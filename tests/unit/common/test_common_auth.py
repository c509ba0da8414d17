"""API keys: the internal one, stored ones with scopes, what is refused, and the limit on guessing."""

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import HTTPException

from pems_common.auth import ApiKey, Auth, KeyFile, Principal, load_or_create_secret
from pems_common.clock import FakeClock
from pems_common.errors import PemsError
from pems_common.settings import ServiceSettings
from pems_common.timegrid import parse_instant


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(parse_instant("2026-01-05T00:00:00+00:00"))


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def status_of(error: pytest.ExceptionInfo[HTTPException]) -> int:
    return error.value.status_code


def test_the_internal_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "internal.key"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(load_or_create_secret, [path] * 32))
    assert len(made) == 1
    assert len(made.pop()) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PemsError, match="cannot be made"):
        load_or_create_secret(tmp_path / "file" / "internal.key")


async def test_the_internal_key_may_write(clock: FakeClock, tmp_path: Path) -> None:
    settings = ServiceSettings(data=tmp_path)
    auth = Auth.open(settings, clock)
    assert await auth.check(auth.internal_key) == Principal(name="internal", scope="write")
    assert Auth.open(settings, clock).internal_key == auth.internal_key


async def test_stored_keys_have_scopes_and_are_kept_as_hashes(clock: FakeClock, keys: KeyFile) -> None:
    auth = Auth(clock, internal_key="internal", keys=keys)
    reader, writer = keys.add("grafana", "read"), keys.add("script", "write")
    text = keys.path.read_text()
    assert reader not in text
    assert "$argon2id$" in text
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert await auth.check(reader) == Principal(name="grafana", scope="read")
    assert await auth.check(writer) == Principal(name="script", scope="write")
    with pytest.raises(PemsError, match="already"):
        keys.add("grafana", "write")


async def test_a_verified_key_is_remembered_until_it_is_removed(
    clock: FakeClock, keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = Auth(clock, internal_key="internal", keys=keys)
    key = keys.add("script", "write")
    found: list[str] = []
    find = keys.find

    def counted(text: str) -> ApiKey | None:
        found.append(text)
        return find(text)

    monkeypatch.setattr(keys, "find", counted)
    for _ in range(3):
        await auth.check(key)
    assert len(found) == 1
    assert keys.remove("script")
    assert not keys.remove("script")
    with pytest.raises(HTTPException) as error:
        await auth.check(key)
    assert status_of(error) == 401


@pytest.mark.parametrize("key", [None, "", "wrong", "pems_00000000_x", "x" * 10_000, "ключ", "pems__"])
async def test_wrong_keys_are_refused(clock: FakeClock, keys: KeyFile, key: str | None) -> None:
    keys.add("script", "write")
    auth = Auth(clock, internal_key="internal", keys=keys)
    with pytest.raises(HTTPException) as error:
        await auth.check(key)
    assert status_of(error) == 401


async def test_guessing_is_limited_by_address_and_never_locks_out_the_internal_key(
    clock: FakeClock, keys: KeyFile
) -> None:
    auth = Auth(clock, internal_key="internal", keys=keys)
    good = keys.add("script", "write")
    for _ in range(10):
        with pytest.raises(HTTPException) as error:
            await auth.check("wrong", client="10.0.0.9")
        assert status_of(error) == 401
    with pytest.raises(HTTPException) as error:
        await auth.check(good, client="10.0.0.9")
    assert status_of(error) == 429
    assert error.value.headers is not None
    assert 1 <= int(error.value.headers["Retry-After"]) <= 61
    assert (await auth.check("internal", client="10.0.0.9")).name == "internal"
    assert (await auth.check(good, client="10.0.0.1")).name == "script"
    clock.advance(61)
    assert (await auth.check(good, client="10.0.0.9")).name == "script"


async def test_a_missing_key_does_not_count_as_guessing(clock: FakeClock, keys: KeyFile) -> None:
    auth = Auth(clock, internal_key="internal", keys=keys)
    for _ in range(20):
        with pytest.raises(HTTPException) as error:
            await auth.check(None, client="10.0.0.9")
        assert status_of(error) == 401


async def test_a_broken_key_file_lets_nobody_in_but_the_internal_key(clock: FakeClock, keys: KeyFile) -> None:
    key = keys.add("script", "write")
    keys.path.write_text("{broken")
    auth = Auth(clock, internal_key="internal", keys=keys)
    with pytest.raises(HTTPException):
        await auth.check(key)
    assert (await auth.check("internal")).scope == "write"


async def test_many_checks_at_once_are_answered(clock: FakeClock, keys: KeyFile) -> None:
    key = keys.add("script", "read")
    auth = Auth(clock, internal_key="internal", keys=keys)
    found = await asyncio.gather(*(auth.check(key) for _ in range(4)))
    assert {principal.name for principal in found} == {"script"}
