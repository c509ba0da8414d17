"""Reading InfluxDB 2 by the real client: questions, answers of every kind, and every failure with its remedy."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ingest.influx_kit import TOKEN, FakeInflux, Reply, csv_of, literals, slow

from pems_common.clock import SystemClock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_ingest.adapters.influx_history import (
    InfluxBuckets,
    InfluxSettings,
    MissingBucketError,
    flux_question,
    flux_text,
)
from pems_ingest.domain.influx_map import Question

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
ASKED = Question("temperature", ("temperature_spajz",))
KEY = ("temperature", "temperature_spajz")


class ImpatientClock(SystemClock):
    """Notes how long it was to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    async def sleep_wall(self, seconds: float) -> None:
        self.waited.append(seconds)


@pytest.fixture
async def influx() -> AsyncIterator[FakeInflux]:
    with FakeInflux() as server:
        server.add("loxone", *KEY, BEGIN, 21.5)
        yield server


async def ask(influx: FakeInflux, question: Question = ASKED, bucket: str = "loxone", **more: Any) -> Any:
    clock = more.pop("clock", None) or ImpatientClock()
    buckets = InfluxBuckets(influx.url, "loxone", more.pop("token", TOKEN), clock, **more)
    try:
        return await buckets.rows(bucket, question, BEGIN, END)
    finally:
        buckets.close()


def replying(status: int, body: bytes = b"", **headers: str) -> Callable[[], Reply]:
    return lambda: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


async def test_tables_of_every_type_come_as_numbers(influx: FakeInflux) -> None:
    for minute, value in enumerate((True, 22, "22.5", "broken"), start=1):
        influx.add("loxone", *KEY, BEGIN + timedelta(minutes=minute), value, room="spajz", tag1="_")
    found = (await ask(influx))[KEY]
    assert [at_s - BEGIN.timestamp() for at_s, _ in sorted(found)] == [0.0, 60.0, 120.0, 180.0, 240.0]
    values = [value for _, value in sorted(found)]
    assert values[:4] == [21.5, 1.0, 22.0, 22.5]
    assert isnan(values[4])


async def test_nothing_found_is_nothing(influx: FakeInflux) -> None:
    assert await ask(influx, Question("temperature", ("temperature_none",))) == {}
    assert await ask(influx, Question("relay", ())) == {}
    assert len(influx.asked) == 1


async def test_means_of_windows_leave_the_impossible_out_and_are_told_by_their_beginning(influx: FakeInflux) -> None:
    for second, value in ((0, 100), (100, 200), (299, 4_294_967_295), (300, 50)):
        influx.add("solar", "solar", "InputPower", BEGIN + timedelta(seconds=second), value)
    found = await ask(influx, Question("solar", ("InputPower",), window_s=300, low=-50, high=50_000), "solar")
    start_s = BEGIN.timestamp()
    assert found == {("solar", "InputPower"): [(start_s, 150.0), (start_s + 300.0, 50.0)]}
    assert 'timeSrc: "_start"' in influx.asked[0]


@pytest.mark.parametrize(
    "name", ['a"b', "a\\", '") |> to(bucket: "x")', "${1 + 1}", "$", "a\nb\tc", "ložnice", "\\x41", "\x7f"]
)
async def test_hostile_names_stay_names(influx: FakeInflux, name: str) -> None:
    assert literals(flux_text(name)) == [name]
    influx.add("loxone", "relay", name, BEGIN, 1, tag1="heating")
    assert (await ask(influx, Question("relay", (name,))))[("relay", name)] == [(BEGIN.timestamp(), 1.0)]
    assert len(influx.asked[0].split("\n")) == 4


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_is_no_text_is_refused(name: str) -> None:
    with pytest.raises(PermanentError, match="cannot be asked for"):
        flux_text(name)


def test_a_question_is_exactly_this() -> None:
    question = Question("relay", ("obyvak", "hosti"), (("tag1", "heating"),))
    assert flux_question("loxone", question, BEGIN, END) == (
        'from(bucket: "loxone")\n'
        "  |> range(start: 2026-01-05T00:00:00Z, stop: 2026-01-06T00:00:00Z)\n"
        '  |> filter(fn: (r) => r._measurement == "relay" and (r._field == "obyvak" or r._field == "hosti")'
        ' and r["tag1"] == "heating")\n'
        '  |> drop(columns: ["_start", "_stop", "_measurement"])'
    )


async def test_a_busy_server_is_asked_again_when_it_says_so(influx: FakeInflux) -> None:
    clock = ImpatientClock()
    influx.replies = [replying(429, b'{"message":"slow down"}', Retry_After="7"), replying(503), None]
    assert await ask(influx, clock=clock) == {KEY: [(BEGIN.timestamp(), 21.5)]}
    assert clock.waited[0] == 7.0
    assert 1.0 <= clock.waited[1] <= 3.0


async def test_a_long_pause_is_handed_to_the_caller(influx: FakeInflux) -> None:
    clock = ImpatientClock()
    influx.replies = [replying(429, b'{"message":"slow down"}', Retry_After="3600")]
    with pytest.raises(UnavailableError, match="HTTP 429: slow down"):
        await ask(influx, clock=clock)
    assert clock.waited == []


WHOLE = csv_of([[{"_time": "2026-01-05T00:00:00Z", "_value": 21.5, "_field": "temperature_spajz"}]])
FAILED = b"#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,engine: it failed,897\r\n"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (replying(200, WHOLE[:-9]), "an answer broke off"),
        (replying(200, WHOLE, Content_Length=str(len(WHOLE) + 10)), "an answer broke off"),
        (replying(200, WHOLE + FAILED), "an answer ends in an error: 'engine: it failed'"),
        (replying(200, b"<html>a router's page</html>\n"), "not what InfluxDB 2 gives"),
        (replying(200, WHOLE.replace(b"21.5", b"warm")), "not what InfluxDB 2 gives"),
        (replying(500, b"no json"), "HTTP 500"),
        (slow(0.6), "does not answer in time"),
    ],
)
async def test_what_may_pass_is_tried_again_and_then_told(
    influx: FakeInflux, reply: Callable[[], Reply], said: str
) -> None:
    influx.replies = [reply, None]
    assert await ask(influx, read_s=0.3) == {KEY: [(BEGIN.timestamp(), 21.5)]}
    influx.replies = [reply, reply]
    with pytest.raises(UnavailableError) as caught:
        await ask(influx, read_s=0.3, attempts=2)
    assert said in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (replying(403, b'{"message":"forbidden"}'), PermanentError, "may not read bucket loxone"),
        (replying(404, b'{"message":"organization name \\"x\\" not found"}'), PermanentError, "no organization loxone"),
        (replying(404, b'{"message":"could not find bucket"}'), MissingBucketError, "shows no bucket loxone"),
        (
            replying(200, FAILED.replace(b"engine: it failed", b'"could not find bucket ""x"""')),
            MissingBucketError,
            "shows no bucket",
        ),
        (replying(400, b'{"message":"Token %s is odd"}' % TOKEN.encode()), PermanentError, "Token *** is odd"),
    ],
)
async def test_what_cannot_pass_is_told_at_once(
    influx: FakeInflux, reply: Callable[[], Reply], kind: type[PemsError], said: str
) -> None:
    influx.replies = [reply]
    with pytest.raises(kind) as caught:
        await ask(influx)
    assert said in caught.value.message
    assert caught.value.remedy
    assert TOKEN not in str(caught.value)
    assert len(influx.asked) == 1


async def test_a_wrong_token_is_told_without_it(influx: FakeInflux) -> None:
    with pytest.raises(PermanentError, match="refuses the token") as caught:
        await ask(influx, token="another-token")
    assert "another-token" not in repr(caught.value) + str(caught.value.__cause__)


async def test_a_missing_bucket_is_told_by_its_name(influx: FakeInflux) -> None:
    with pytest.raises(MissingBucketError, match="no bucket ote_prices"):
        await ask(influx, bucket="ote_prices")


async def test_an_answer_without_end_is_refused(influx: FakeInflux) -> None:
    influx.replies = [replying(200, b",\r\n" * 50_000)]
    with pytest.raises(PermanentError, match="larger than"):
        await ask(influx, max_bytes=100_000)


async def test_a_server_that_is_not_there_is_told(influx: FakeInflux) -> None:
    away = FakeInflux()
    with away:
        pass
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await ask(away)


@pytest.mark.parametrize(
    "url", ["", "nas:8086", "ftp://nas", "http://", "http://u:p@nas:8086", "http://nas?token=x", "http://nas:port"]
)
def test_an_address_is_checked(url: str) -> None:
    with pytest.raises(PermanentError, match="PEMS_INFLUX_URL is no address"):
        InfluxBuckets(url, "loxone", TOKEN, SystemClock())


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URL", "ORG", "TOKEN", "TOKEN_FILE"):
        monkeypatch.delenv(f"PEMS_INFLUX_{name}", raising=False)
    with pytest.raises(PermanentError, match="PEMS_INFLUX_URL and PEMS_INFLUX_ORG and PEMS_INFLUX_TOKEN are not set"):
        InfluxSettings().buckets(SystemClock())
    monkeypatch.setenv("PEMS_INFLUX_URL", "http://nas:8086/")
    monkeypatch.setenv("PEMS_INFLUX_ORG", "loxone")
    monkeypatch.setenv("PEMS_INFLUX_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(PermanentError, match="cannot be read"):
        InfluxSettings().buckets(SystemClock())
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("PEMS_INFLUX_TOKEN_FILE", str(tmp_path / "token"))
    buckets = InfluxSettings().buckets(SystemClock())
    buckets.close()
    assert (buckets.place, buckets.org) == ("http://nas:8086", "loxone")
    monkeypatch.setenv("PEMS_INFLUX_TOKEN", "two\nlines")
    with pytest.raises(PermanentError, match="characters that no token has"):
        InfluxSettings().buckets(SystemClock())
