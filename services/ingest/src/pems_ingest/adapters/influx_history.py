"""Read access to a user's own InfluxDB 2: questions in Flux, paged by the caller, bounded, with retries.

InfluxDB 2 takes no Flux parameters (its Cloud does), so every value in a question is a literal made by `flux_text` or
out of a number or an instant. The token is in the request's header and nowhere else.
"""

import asyncio
import io
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from math import isfinite, nan
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from influxdb_client.client.flux_csv_parser import (
    FluxCsvParser,
    FluxCsvParserException,
    FluxQueryException,
    FluxSerializationMode,
)
from influxdb_client.client.flux_table import FluxRecord
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from urllib3.exceptions import HTTPError, ReadTimeoutError

from pems_common.clock import Clock
from pems_common.dialects.result import shorten
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.settings import read_secret
from pems_common.timegrid import require_utc
from pems_ingest.domain.influx_map import Question

__all__ = ["Found", "InfluxBuckets", "InfluxSettings", "MissingBucketError", "flux_question", "flux_text"]

Found = dict[tuple[str, str], list[tuple[float, float]]]
"""(time [s since 1970], value) by (measurement, field)."""

_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_RETRY_AFTER_MAX_S = 60.0
_CHUNK_BYTES = 65_536


class MissingBucketError(PermanentError):
    """There is no such bucket, or the token may not read it."""


class InfluxSettings(BaseSettings):
    """Where the user's InfluxDB is (`PEMS_INFLUX_*`).

    Attributes:
        url: Its address, such as `http://nas:8086`.
        org: The organization.
        token: A token that may read the buckets; or `token_file`, a file that holds nothing else.
    """

    model_config = SettingsConfigDict(env_prefix="PEMS_INFLUX_", extra="ignore", frozen=True, env_ignore_empty=True)

    url: str = ""
    org: str = ""
    token: SecretStr | None = None
    token_file: Path | None = None

    def buckets(self, clock: Clock) -> "InfluxBuckets":
        """Return the reader; `clock` waits between tries.

        Raises:
            PermanentError: Something is not set or wrong.
        """
        secret = "" if self.token is None else self.token.get_secret_value().strip()
        if not secret and self.token_file is not None:
            try:
                secret = read_secret(self.token_file)
            except PemsError as error:
                raise PermanentError(error.message, remedy=error.remedy) from error
        known = {"PEMS_INFLUX_URL": self.url, "PEMS_INFLUX_ORG": self.org, "PEMS_INFLUX_TOKEN": secret}
        if lacking := [name for name, value in known.items() if not value]:
            raise PermanentError(
                f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not set",
                remedy="set them in the environment (PEMS_INFLUX_TOKEN_FILE for a file; see .env.example)",
            )
        return InfluxBuckets(self.url, self.org, secret, clock)


def flux_text(text: str) -> str:
    r"""Return a Flux string literal that means exactly this text.

    Quotes and backslashes are escaped, `$` (it begins an interpolation) and control characters become `\xHH`. (Source:
    Flux language specification, "String literals".)

    Raises:
        PermanentError: The text is not UTF-8, or holds a NUL.
    """
    parts = []
    for character in text:
        code = ord(character)
        if code == 0 or 0xD800 <= code <= 0xDFFF:
            raise PermanentError(f"{shorten(text)} cannot be asked for", remedy="use another name")
        if character in '"\\':
            parts.append(f"\\{character}")
        elif code < 0x20 or code == 0x7F or character == "$":
            parts.append(f"\\x{code:02x}")
        else:
            parts.append(character)
    return f'"{"".join(parts)}"'


def flux_question(bucket: str, question: Question, start: datetime, stop: datetime) -> str:
    """Return the Flux of a question about `[start, stop)`; windows are labelled by their beginning."""
    wanted = " or ".join(f"r._field == {flux_text(field)}" for field in question.fields)
    tags = "".join(f" and r[{flux_text(tag)}] == {flux_text(value)}" for tag, value in question.tags)
    steps = [
        f"from(bucket: {flux_text(bucket)})",
        f"range(start: {_flux_time(start)}, stop: {_flux_time(stop)})",
        f"filter(fn: (r) => r._measurement == {flux_text(question.measurement)} and ({wanted}){tags})",
    ]
    if question.window_s:
        # The impossible is left out before the mean: one such value would spoil its window.
        steps += [
            "toFloat()",
            f"filter(fn: (r) => r._value >= {question.low:.1f} and r._value <= {question.high:.1f})",
            'group(columns: ["_field"])',
            f'aggregateWindow(every: {question.window_s}s, fn: mean, createEmpty: false, timeSrc: "_start")',
        ]
    else:
        steps.append('drop(columns: ["_start", "_stop", "_measurement"])')
    return "\n  |> ".join(steps)


def _flux_time(at: datetime) -> str:
    return f"{require_utc(at):%Y-%m-%dT%H:%M:%S}Z"


class InfluxBuckets:
    """The buckets of one InfluxDB 2. Reads only."""

    def __init__(
        self,
        url: str,
        org: str,
        token: str,
        clock: Clock,
        *,
        connect_s: float = 10.0,
        read_s: float = 120.0,
        total_s: float = 300.0,
        attempts: int = 4,
        backoff_s: float = 1.0,
        max_bytes: int = 256_000_000,
    ) -> None:
        """Name the server; nothing is asked yet.

        Args:
            url: Its address.
            org: The organization.
            token: A token that may read.
            clock: For pauses and time limits, wall time.
            connect_s: Limit of connecting.
            read_s: Limit of each silence in an answer.
            total_s: Limit of one whole answer (a slow drip ends too).
            attempts: Tries in all.
            backoff_s: First pause; doubles each time, with jitter of half.
            max_bytes: Largest accepted answer.

        Raises:
            PermanentError: The address or the token cannot be one.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in url:
            raise PermanentError(
                "PEMS_INFLUX_URL is no address", remedy="write it as http://host:8086, without secrets"
            )
        if not token.isascii() or not token.isprintable():
            raise PermanentError("the InfluxDB token holds characters that no token has", remedy="copy it anew")
        self.place = f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        self.org = org
        self._token = token
        self._total_s, self._attempts, self._backoff_s = total_s, attempts, backoff_s
        self._max_bytes, self._clock = max_bytes, clock
        self._client = InfluxDBClient(
            url=self.place,
            token=token,
            org=org,
            timeout=(round(connect_s * 1000), round(read_s * 1000)),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    async def rows(self, bucket: str, question: Question, start: datetime, stop: datetime) -> Found:
        """Return (time [s since 1970], value) by (measurement, field) of `[start, stop)`; booleans are 0 and 1.

        A text that is no number is told as NaN.

        Raises:
            UnavailableError: Away, slow, overloaded or broken off, after all tries.
            MissingBucketError: There is no such bucket.
            PermanentError: The token is refused, or the question.
        """
        if not question.fields:
            return {}
        flux = flux_question(bucket, question, start, stop)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await asyncio.to_thread(self._asked, flux, bucket, question.measurement)
            except _Again as again:
                if attempt >= self._attempts or again.after_s > _RETRY_AFTER_MAX_S:
                    raise UnavailableError(f"InfluxDB {self.place}: {again}", remedy=again.remedy) from again.__cause__
                backoff_s = self._backoff_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                await self._clock.sleep_wall(max(again.after_s, backoff_s))

    def _asked(self, flux: str, bucket: str, measurement: str) -> Found:
        return self._parsed(self._answer(flux, bucket), measurement)

    def _answer(self, flux: str, bucket: str) -> bytes:
        """Return the whole body of an answer."""
        begun, body, answered = self._clock.monotonic(), bytearray(), False
        try:
            with closing(self._client.query_api().query_raw(flux)) as response:
                answered = True
                for chunk in response.stream(_CHUNK_BYTES):
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise PermanentError(
                            f"InfluxDB {self.place}: an answer of bucket {bucket} is larger than "
                            f"{self._max_bytes // 1_000_000} MB",
                            remedy="look whether something writes there far too often",
                        )
                    if self._clock.monotonic() - begun > self._total_s:
                        raise _Again(f"no whole answer within {self._total_s:g} s", remedy=_SLOW)
        except ApiException as error:
            raise self._refused(error, bucket) from error
        except ReadTimeoutError as error:
            raise _Again("does not answer in time", remedy=_SLOW) from error
        except (HTTPError, OSError) as error:
            raise _Again(
                "an answer broke off" if answered else f"cannot be reached ({type(error).__name__})", remedy=_AWAY
            ) from error
        return bytes(body)

    def _refused(self, error: ApiException, bucket: str) -> Exception:
        """Turn a refusal into an error with its remedy."""
        status, said = error.status or 0, self._said(error)
        if status in _RETRIED_STATUS:
            return _Again(f"HTTP {status}{said}", after_s=_retry_after_s(error), remedy=_SLOW)
        if status == 401:
            return PermanentError(
                f"InfluxDB {self.place} refuses the token (HTTP 401)",
                remedy="make one that may read the buckets, and set PEMS_INFLUX_TOKEN or PEMS_INFLUX_TOKEN_FILE",
            )
        if status == 403:
            return PermanentError(
                f"InfluxDB {self.place}: the token may not read bucket {bucket} (HTTP 403)",
                remedy="make one that may read it",
            )
        if status == 404 and "organization" in said:
            return PermanentError(
                f"InfluxDB {self.place} has no organization {self.org}", remedy="set PEMS_INFLUX_ORG to its name"
            )
        if status == 404:
            return MissingBucketError(
                f"InfluxDB {self.place} shows no bucket {bucket} (HTTP 404{said})",
                remedy="look at its name, and whether the token may read it",
            )
        if status == 0:
            return PermanentError(
                f"InfluxDB {self.place}: the connection is not secure",
                remedy="give it a certificate that this machine knows",
            )
        return PermanentError(
            f"InfluxDB {self.place} refuses the question about bucket {bucket} (HTTP {status}{said})",
            remedy="it has to be an InfluxDB 2 with Flux",
        )

    def _said(self, error: ApiException) -> str:
        """Return what the server said, without the token, should it have said that."""
        body = error.body or b""
        try:
            text = json.loads(body).get("message", "")
        except (ValueError, AttributeError):
            text = ""
        text = "".join(c if c.isprintable() else " " for c in str(text)).replace(self._token, "***").strip()
        return f": {text[:200]}" if text else ""

    def _parsed(self, body: bytes, measurement: str) -> Found:
        """Read annotated CSV.

        Raises:
            _Again: It ends early, or is none, or tells of a failure on the way.
        """
        if body and not body.endswith(b"\n"):
            raise _Again("an answer broke off", remedy=_AWAY)
        found: Found = {}
        try:
            for record in _records(body):
                values: dict[str, Any] = record.values
                at, value = values["_time"], _number(values["_value"])
                if value is not None:
                    found.setdefault((measurement, values["_field"]), []).append((at.timestamp(), value))
        except FluxQueryException as error:
            text = str(error.message).replace(self._token, "***")
            if "could not find bucket" in text:
                raise MissingBucketError(
                    f"InfluxDB {self.place} shows no bucket: {shorten(text, 160)}",
                    remedy="look at its name, and whether the token may read it",
                ) from error
            raise _Again(f"an answer ends in an error: {shorten(text, 160)}", remedy=_SLOW) from error
        except (FluxCsvParserException, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _Again(
                "an answer is not what InfluxDB 2 gives", remedy="look whether PEMS_INFLUX_URL is an InfluxDB 2"
            ) from error
        return found


_AWAY = "look whether it runs and whether PEMS_INFLUX_URL is right; the same command goes on where it was"
_SLOW = "try again later: the same command goes on where it was"


class _Again(Exception):
    """Trying again may help, after so many seconds."""

    def __init__(self, text: str, *, after_s: float = 0.0, remedy: str) -> None:
        super().__init__(text)
        self.after_s, self.remedy = after_s, remedy


def _records(body: bytes) -> Iterator[FluxRecord]:
    parser = FluxCsvParser(io.BytesIO(body), FluxSerializationMode.stream)
    yield from parser.generator()  # type: ignore[no-untyped-call]


def _retry_after_s(error: ApiException) -> float:
    headers: Mapping[str, str] = error.headers or {}
    text = headers.get("Retry-After", "").strip()
    return float(text[:9]) if text.isdigit() else 0.0


def _number(raw: Any) -> float | None:
    """Return a value as a number, NaN for what is none; None where nothing was told."""
    if raw is None:
        return None
    if isinstance(raw, str):
        try:
            raw = float(raw)
        except ValueError:
            return nan
    value = float(raw)
    return value if isfinite(value) else nan
