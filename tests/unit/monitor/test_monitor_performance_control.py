"""Uptime, modes, switches and broken limits from the stream of statuses."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from tests.unit.monitor.performance_house import status, utc

from pems_common.messages import Mode
from pems_common.timegrid import SLOT, slot_range
from pems_monitor.domain.performance_control import ControlSlot, LastStatus, count_control, follow

AT = utc(2026, 1, 15, 10)
TICK, SILENT = timedelta(minutes=1), timedelta(minutes=5)


def run(*told: tuple[float, dict[str, Mode]], broken: Sequence[tuple[str, ...]] = ()) -> dict[datetime, ControlSlot]:
    """Follow statuses at so many minutes after ten."""
    found: dict[datetime, ControlSlot] = {}
    last: LastStatus | None = None
    for n, (minutes, modes) in enumerate(told):
        at = AT + timedelta(minutes=minutes)
        here = LastStatus.of(at, status(at, modes, broken[n] if broken else ()))
        for slot, part in follow(last, here, tick=TICK, silent_after=SILENT).items():
            found[slot] = found.get(slot, ControlSlot()).plus(part)
        last = here if last is None or at > last.at else last
    return found


def test_a_status_stands_for_the_time_until_the_next_one() -> None:
    found = run((13, {"battery": "mpc", "ev": "rule_based", "water": "released"}), (17, {"battery": "mpc"}))
    assert found[AT] == ControlSlot(120, 120, 240)
    assert found[AT + SLOT] == ControlSlot(120, 120, 240)


def test_after_a_silence_it_stood_for_one_tick() -> None:
    found = run((0, {"battery": "mpc"}), (40, {"battery": "mpc"}))
    assert found[AT].up_s == 60
    tally = count_control(slot_range(AT, 4), found, AT, AT + timedelta(hours=1))
    assert tally.ratio("up_s", "watched_s") == pytest.approx(60 / 3600)


def test_an_old_status_adds_nothing() -> None:
    assert run((1, {"battery": "mpc"}), (2, {"battery": "mpc"}), (2, {"battery": "mpc"}), (1, {"ev": "mpc"})) == run(
        (1, {"battery": "mpc"}), (2, {"battery": "mpc"})
    )


def test_switches_and_broken_limits_are_counted_once() -> None:
    found = run(
        (0, {"battery": "mpc", "ev": "mpc"}),
        (1, {"battery": "rule_based", "ev": "safety"}),
        (2, {"battery": "rule_based", "ev": "safety"}),
        (3, {"battery": "rule_based", "ev": "mpc", "water": "mpc"}),
        broken=[(), ("import_max_w",), ("import_max_w",), ()],
    )
    assert found[AT].switches == 3  # a device that appears has not switched
    assert found[AT].violations == 1
    assert found[AT].violated_s == 120


def test_time_before_the_first_status_and_after_now_is_unknown() -> None:
    slots = slot_range(AT, 4)
    assert count_control(slots, {}, None, AT + timedelta(hours=1)).sums == {}
    tally = count_control(slots, {}, AT + timedelta(minutes=20), AT + timedelta(minutes=50))
    assert tally.get("watched_s") == 30 * 60


def test_a_status_survives_being_kept() -> None:
    last = LastStatus.of(AT, status(AT, {"battery": "mpc"}, ("a", "b")))
    assert LastStatus.from_json(last.to_json()) == last
    with pytest.raises(ValueError):
        LastStatus.from_json({"at": "2026-01-15T10:00:00+00:00"})
