"""Alerts from raised to ended, and the limit on password tries."""

from datetime import UTC, datetime, timedelta

from pems_common.messages import Alert
from pems_monitor.domain.alerts import AlertBook
from pems_monitor.domain.login_limit import LoginLimit

AT = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


def _alert(
    code: str = "a", severity: str = "warning", minutes: int = 0, cleared: int | None = None, **more: object
) -> Alert:
    data = {"code": code, "severity": severity, "text": f"text of {code}", "raised_at": AT + timedelta(minutes=minutes)}
    if cleared is not None:
        data["cleared_at"] = AT + timedelta(minutes=cleared)
    return Alert.model_validate({**data, **more})


def test_worst_comes_first_and_twice_is_once() -> None:
    book = AlertBook()
    assert book.put(_alert("a"))
    assert not book.put(_alert("a"))
    assert book.put(_alert("b", "critical"))
    assert book.put(_alert("c", "info"))
    assert [a.code for a in book.active] == ["b", "a", "c"]


def test_a_repeated_alert_keeps_its_first_time() -> None:
    book = AlertBook([_alert("a")])
    assert not book.put(_alert("a", minutes=5))
    assert book.active[0].raised_at == AT


def test_the_end_keeps_the_words_it_was_raised_with() -> None:
    book = AlertBook([_alert("a")])
    assert book.put(_alert("a", "info", minutes=9, cleared=9, text="All is well again."))
    assert book.active == ()
    (ended,) = book.ended
    assert (ended.text, ended.severity, ended.raised_at) == ("text of a", "warning", AT)
    assert ended.cleared_at == AT + timedelta(minutes=9)
    assert not book.put(_alert("a", minutes=9, cleared=9))
    assert not book.put(_alert("a", minutes=3))  # delivered late
    assert book.put(_alert("a", minutes=20))
    assert len(book.active) == 1


def test_devices_are_told_apart_and_history_is_bounded() -> None:
    book = AlertBook(keep=3)
    book.put(_alert("a", device="battery"))
    book.put(_alert("a", device="ev"))
    assert len(book.active) == 2
    for i in range(10):
        book.put(_alert(f"x{i}", minutes=i, cleared=i + 1))
    assert [a.code for a in book.ended] == ["x9", "x8", "x7"]


def test_an_alert_can_be_dismissed_and_comes_back() -> None:
    book = AlertBook([_alert("a")])
    assert book.dismiss(book.active[0], AT + timedelta(minutes=3))
    assert not book.dismiss(book.ended[0], AT + timedelta(minutes=3))
    assert book.active == ()
    assert book.put(_alert("a", minutes=4))


def test_five_wrong_tries_lock_an_address_and_waits_double() -> None:
    limit = LoginLimit()
    for _ in range(4):
        limit.failed("1.1.1.1", 0.0)
        assert limit.wait_s("1.1.1.1", 0.0) == 0
    limit.failed("1.1.1.1", 0.0)
    assert limit.wait_s("1.1.1.1", 0.0) == 30
    assert limit.wait_s("2.2.2.2", 0.0) == 0
    assert limit.wait_s("1.1.1.1", 30.0) == 0
    limit.failed("1.1.1.1", 30.0)
    assert limit.wait_s("1.1.1.1", 30.0) == 60
    for _ in range(10):
        limit.failed("1.1.1.1", 31.0)
    assert limit.wait_s("1.1.1.1", 31.0) == 900
    limit.succeeded("1.1.1.1")
    assert limit.wait_s("1.1.1.1", 31.0) == 0


def test_old_failures_are_forgotten_and_addresses_bounded() -> None:
    limit = LoginLimit()
    for _ in range(6):
        limit.failed("a", 0.0)
    assert limit.wait_s("a", 3_700.0) == 0
    for i in range(2_000):
        limit.failed(f"10.0.{i}", 0.0)
    assert len(limit._tries) <= 1_000
