"""An InfluxDB 2 of the tests: answers `/api/v2/query` over HTTP as the real one does, from points in memory."""

import csv
import io
import json
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["TOKEN", "FakeInflux", "Reply", "a_house", "csv_of", "literals", "slow"]

TOKEN = "a-secret-token-of-the-tests"
_LITERAL = re.compile(r'"((?:\\x[0-9a-f]{2}|\\["\\nrt]|[^"\\])*)"')
_POWERS = {
    "InputPower": 600.0,
    "INVPowerToLocalLoad": 900,
    "ACPowerToUser": 0.0,
    "ACPowerToGrid": 200.0,
    "ChargePower": 0.0,
    "DischargePower": 500.0,
    "SOC": 60,
}
_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}
Stored = tuple[Mapping[str, str], datetime, Any]
Reply = tuple[int, dict[str, str], bytes]


def literals(flux: str) -> list[str]:
    """Return the strings in a Flux text as its specification reads them; what begins an interpolation is refused."""
    found = []
    for raw in _LITERAL.findall(flux):
        assert "${" not in raw
        text = re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), raw.replace("\\\\", "\0"))
        found.append(text.replace('\\"', '"').replace("\0", "\\"))
    return found


def csv_of(tables: list[list[dict[str, Any]]]) -> bytes:
    """Return tables as annotated CSV, each with its own annotations."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    for number, rows in enumerate(tables):
        names = list(rows[0])
        types = ["dateTime:RFC3339" if n == "_time" else _TYPES[type(rows[0][n])] for n in names]
        lines.writerow(["#datatype", "string", "long", *types])
        lines.writerow(["#group", "false", "false", *("false" if n in ("_time", "_value") else "true" for n in names)])
        lines.writerow(["#default", "_result", "", *("" for _ in names)])
        lines.writerow(["", "result", "table", *names])
        for row in rows:
            cells = [str(v).lower() if isinstance(v, bool) else v for v in row.values()]
            lines.writerow(["", "", number, *cells])
        text.write("\r\n")
    return text.getvalue().encode() or b"\r\n"


@dataclass
class FakeInflux:
    """The server. Use as a context manager.

    Attributes:
        buckets: Points (tags, instant, value) by measurement and field, by bucket.
        replies: Answers that come first, instead of the right ones; None answers rightly.
        asked: The Flux of every question.
    """

    buckets: dict[str, dict[tuple[str, str], list[Stored]]] = field(default_factory=dict)
    replies: list[Callable[[], Reply] | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, bucket: str, measurement: str, name: str, at: datetime, value: Any, **tags: str) -> None:
        self.buckets.setdefault(bucket, {}).setdefault((measurement, name), []).append((tags, at, value))

    def __enter__(self) -> "FakeInflux":
        influx = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/api/v2/query?org=loxone"
                influx.asked.append(body["query"])
                ready = influx.replies.pop(0) if influx.replies else None
                if ready is not None:
                    status, headers, data = ready()
                elif self.headers["Authorization"] != f"Token {TOKEN}":
                    status, headers, data = 401, {}, b'{"code":"unauthorized","message":"unauthorized access"}'
                else:
                    status, headers, data = influx.answer(body["query"])
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(data)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # who asked has gone: a test of time limits
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, flux: str) -> Reply:
        """Answer the questions that PEMS asks, read by their text."""
        bucket, measurement, *names = literals(flux.split("drop(")[0].split("toFloat(")[0])
        tags: dict[str, str] = {}
        while len(tags) < flux.count(" and r["):
            value, tag = names.pop(), names.pop()
            tags[tag] = value
        if bucket not in self.buckets:
            text = json.dumps({"code": "not found", "message": f'could not find bucket "{bucket}"'})
            return 404, {}, text.encode()
        start, stop = (
            datetime.fromisoformat(text).replace(tzinfo=UTC) for text in re.findall(r"(\d{4}-[\dT:-]+)Z", flux)
        )
        stored = {
            name: [
                (has, at, value)
                for has, at, value in self.buckets[bucket].get((measurement, name), ())
                if start <= at < stop and all(has.get(tag) == wanted for tag, wanted in tags.items())
            ]
            for name in names
        }
        if (every := re.search(r"every: (\d+)s, fn: mean, createEmpty: false, timeSrc: \"_start\"", flux)) is not None:
            low, high = map(float, re.findall(r"_value [<>]= (-?[\d.]+)", flux))
            stored = {name: _windows(points, int(every[1]), low, high) for name, points in stored.items()}
        tables: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for name, points in stored.items():
            for has, at, value in points:
                row = {"_time": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", "_value": value, "_field": name, **has}
                tables.setdefault((name, type(value).__name__, str(has)), []).append(row)
        return 200, {}, csv_of(list(tables.values()))


def _windows(points: list[Stored], every_s: int, low: float, high: float) -> list[Stored]:
    windows: dict[float, list[float]] = {}
    for _, at, value in points:
        if low <= float(value) <= high:
            windows.setdefault(at.timestamp() // every_s * every_s, []).append(float(value))
    return [({}, datetime.fromtimestamp(at_s, UTC), sum(v) / len(v)) for at_s, v in windows.items()]


def a_house(server: FakeInflux, begin: datetime, days: int, silent: tuple[datetime, datetime] | None = None) -> None:
    """Fill in days of a house with one room, whose logger and gateway say nothing from `silent[0]` to `silent[1]`."""
    quarter, hour = timedelta(minutes=15), timedelta(hours=1)
    for number in range(days * 96):
        at = begin + number * quarter
        if silent is not None and silent[0] <= at < silent[1]:
            continue
        warm = 20.0 + math.sin(number / 30.0)
        server.add("loxone", "temperature", "temperature_spajz", at, round(warm, 2), room="spajz", tag1="_")
        server.add("loxone", "temperature", "temperature_venku", at, -2, room="venku", tag1="_")
        if number % 48 in (0, 8):  # twice in 24 h: on for two hours
            server.add("loxone", "relay", "spajz", at, int(number % 48 == 0), room="spajz", tag1="heating")
            server.add("loxone", "relay", "spajz", at, 1, room="spajz", tag1="shading")
        for name, value in _POWERS.items():
            server.add("solar", "solar", name, at + timedelta(seconds=2), value)
    for number in range(days * 24 + 1):
        at, eur = begin + number * hour, 80.0 + number % 24
        server.add("ote_prices", "electricity_prices", "price", at, eur)
        server.add("ote_prices", "electricity_prices", "price_czk_kwh", at, eur * 0.0245)
        for name, told in (("temperature_2m", -1.0), ("cloudcover", 50.0), ("shortwave_radiation", 120.0)):
            server.add("weather_forecast", "weather_forecast", name, at, told)


def slow(seconds: float) -> Callable[[], Reply]:
    """An answer that takes its time."""

    def reply() -> Reply:
        time.sleep(seconds)
        return 200, {}, b"\r\n"

    return reply
