"""A day with faults: drawn from seed and number alone, lived through alike twice, told truly."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pems_common.errors import PemsError
from pems_common.home import Home, load_home
from pems_common.messages import Envelope, Status
from pems_common.world.generated import GeneratedWorld
from pems_controller.domain.state import HouseState, Limited, Wish
from pems_controller.handlers import ControllerHandlers
from pems_forecaster.handlers import ForecasterHandlers
from pems_house.domain.plant import StartState
from pems_lab.faults import day as fault_day
from pems_lab.faults.day import DayResult, live_day, run_day
from pems_lab.faults.draw import FaultDay, draw_day, draw_faults
from pems_lab.faults.figures import COLUMNS
from pems_lab.faults.kinds import FAMILIES, KINDS
from pems_lab.faults.model import Fault

WHOLE = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
ROOM = "obyvak"
HOME = WHOLE.model_copy(
    update={"rooms": {ROOM: WHOLE.rooms[ROOM].model_copy(update={"neighbours": ()})}, "ev": None, "water": None}
)
START = datetime(2026, 1, 13, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CONTROLLER_DEAD = Fault("process_dead", START + 10 * MINUTE, START + 20 * MINUTE, "controller")
DAY = FaultDay(3, 4, START, 30 * MINUTE, 5, StartState(soc_pct=60.0, rooms_c={ROOM: 21.0}), (CONTROLLER_DEAD,))


@pytest.fixture(autouse=True)
def _settles_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_day, "SETTLE", 5 * MINUTE)


async def lived(day: FaultDay, *, story: bool = False) -> DayResult:
    world = GeneratedWorld(seed=day.house_seed, latitude=HOME.site.latitude, longitude=HOME.site.longitude)
    return await live_day(HOME, world, day, planner="mute", story=story)


# --- drawing -----------------------------------------------------------------------------------


def test_a_day_depends_on_seed_and_number_and_can_be_written_down() -> None:
    day = draw_day(WHOLE, 1, 17)
    assert day == draw_day(WHOLE, 1, 17)
    assert day == FaultDay.read(json.loads(json.dumps(day.told())))
    assert day != draw_day(WHOLE, 1, 18)
    assert day != draw_day(WHOLE, 2, 17)


def test_drawn_days_cover_the_year_all_families_and_none_to_three_faults() -> None:
    days = [draw_day(WHOLE, 1, number) for number in range(400)]
    assert {day.start.astimezone(WHOLE.site.zone).month for day in days} == set(range(1, 13))
    counts = np.bincount([len(day.faults) for day in days], minlength=4) / len(days)
    assert counts == pytest.approx([0.1, 0.3, 0.35, 0.25], abs=0.07)
    faults = [fault for day in days for fault in day.faults]
    assert {fault.kind for fault in faults} == set(KINDS)
    of_families = [sum(KINDS[fault.kind].family == family for fault in faults) for family in FAMILIES]
    assert min(of_families) > 0.5 * max(of_families)
    for day in days:
        for fault in day.faults:
            shortest, longest = KINDS[fault.kind].hours
            assert day.start <= fault.begins <= day.start + 18 * timedelta(hours=1)
            assert shortest - 0.02 <= (fault.ends - fault.begins) / timedelta(hours=1) <= longest + 0.02
        assert day.start.astimezone(WHOLE.site.zone).hour == 0


def test_winter_days_are_of_winter_and_there_is_no_third_season() -> None:
    months = {
        draw_day(WHOLE, 1, number, season="winter").start.astimezone(WHOLE.site.zone).month for number in range(90)
    }
    assert months == {11, 12, 1, 2, 3}
    with pytest.raises(PemsError, match="no season 'spring'"):
        draw_day(WHOLE, 1, 0, season="spring")  # type: ignore[arg-type]


def test_faults_of_a_month_are_dealt_out_over_it() -> None:
    faults = draw_faults(np.random.default_rng(1), WHOLE, START, timedelta(days=30), 45)
    assert list(faults) == sorted(faults, key=lambda fault: fault.begins)
    thirds = np.bincount([int((fault.begins - START) / timedelta(days=10)) for fault in faults], minlength=3)
    assert thirds.min() >= 7


# --- living ------------------------------------------------------------------------------------


async def test_the_same_day_twice_gives_the_same_numbers_to_the_last_bit() -> None:
    first, again = await lived(DAY), await lived(DAY)
    assert np.array(first.figures.values()).tobytes() == np.array(again.figures.values()).tobytes()
    other = await lived(replace(DAY, house_seed=6))
    assert other.figures.cost_czk != first.figures.cost_czk


async def test_figures_tell_what_was_lived_through() -> None:
    result = await lived(DAY)
    figures = result.figures
    assert tuple(vars(figures)) == COLUMNS
    assert (figures.faults, figures.plans, figures.mpc_pct, figures.exceptions) == (1.0, 0.0, 0.0, 0.0)
    assert figures.silent_pct == pytest.approx(100.0 / 3.0, abs=1e-3)
    assert figures.rules_pct == pytest.approx(100.0)
    assert figures.back_min == pytest.approx(10.0), "never in mpc: the rest of the time"
    assert figures.frost_min == figures.sent_beyond == 0.0
    assert 15.0 < figures.coldest_c < 21.5
    assert figures.cost_czk != 0.0
    assert result.why == {
        "battery rule_based: no_plan": 20,
        "battery silent: controller dead": 10,
        "room rule_based: no_plan": 20,
        "room silent: controller dead": 10,
    }


async def test_a_day_without_faults_ends_none() -> None:
    figures = (await lived(replace(DAY, faults=()))).figures
    assert isnan(figures.back_min)
    assert figures.silent_pct == 0.0


async def test_frost_is_seen_and_whether_it_was_heated_against() -> None:
    off = Fault("relay_stuck", START - 5 * MINUTE, START + 60 * MINUTE, ROOM, 0.0)
    cold = replace(DAY, state=StartState(rooms_c={ROOM: 14.0}))
    unheated = (await lived(replace(cold, faults=(off,)))).figures
    assert unheated.frost_min == unheated.frost_unheated_min == 30.0
    assert unheated.coldest_c < 15.9
    assert unheated.beyond_s > 0.0
    assert unheated.beyond_unexplained_s == 0.0
    heated = (await lived(replace(cold, faults=()))).figures
    assert heated.frost_min > 0.0
    assert heated.frost_unheated_min < 3.0
    assert heated.beyond_unexplained_s > 0.0
    late = Fault("room_silent", START + 29 * MINUTE, START + 60 * MINUTE, ROOM)
    silent = (await lived(replace(cold, faults=(late,)))).figures
    assert 0.0 < heated.beyond_unexplained_s - 60.0 <= silent.beyond_unexplained_s < silent.beyond_s


async def test_a_stand_in_is_not_back_on_the_solvers_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """The house is in mpc all the time, by a plan of the rules or of the solver."""
    for stand_in, back_min in ((True, 10.0), (False, 0.0)):
        with monkeypatch.context() as patches:
            _in_mpc(patches, stand_in=stand_in)
            assert (await lived(DAY)).figures.back_min == pytest.approx(back_min)


def _in_mpc(monkeypatch: pytest.MonkeyPatch, *, stand_in: bool) -> None:
    really = vars(ControllerHandlers)["status"].fget

    def seen(self: ControllerHandlers) -> Status | None:
        status = really(self)
        return status and status.model_copy(update={"house_mode": "mpc", "plan_id": "p"})

    plan = SimpleNamespace(plan_id="p", fallback_mode=stand_in)
    monkeypatch.setattr(ControllerHandlers, "status", property(seen))
    monkeypatch.setattr(ControllerHandlers, "newest_plan", property(lambda self: plan))


async def test_the_story_tells_faults_modes_and_hours() -> None:
    told = [line.text for line in (await lived(DAY, story=True)).story]
    assert "fault process_dead controller: on" in told
    assert "fault process_dead controller: over" in told
    assert "house: rule_based" in told
    assert any(line.startswith("outdoor ") and "coldest obyvak" in line for line in told)
    assert not (await lived(DAY)).story


async def test_an_exception_of_a_service_is_counted_and_does_not_end_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: ForecasterHandlers) -> None:
        raise ValueError("by design")

    monkeypatch.setattr(ForecasterHandlers, "tick", broken)
    result = await lived(replace(DAY, faults=()))
    assert result.figures.exceptions >= 10.0
    assert "ValueError: by design" in result.told()["mishaps"][0]


async def test_a_command_beyond_a_limit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller without limits is found out."""
    monkeypatch.setattr("pems_controller.domain.decide.apply_limits", _no_limits)
    hot = replace(DAY, state=StartState(rooms_c={ROOM: 20.0}), faults=())
    wrong = Fault("plan_nonsense", START, START + MINUTE, "all_on", 1.0)  # of no plan: nothing to spoil
    monkeypatch.setattr("pems_controller.domain.rules.thermostat", lambda *_: True)
    result = await lived(replace(hot, state=StartState(rooms_c={ROOM: 25.6}), faults=(wrong,)))
    assert result.sent.get("room_max_c", 0) == 0, "safety holds by itself"
    monkeypatch.setattr("pems_controller.domain.decide.safety.room_limit_broken", lambda *_, **__: False)
    result = await lived(replace(hot, state=StartState(rooms_c={ROOM: 25.6})))
    assert result.figures.sent_beyond > 5.0
    assert set(result.sent) == {"room_max_c"}


def _no_limits(home: Home, state: HouseState, wishes: Mapping[str, Wish], **_: Any) -> dict[str, Limited]:
    return {device: Limited(wish) for device, wish in wishes.items()}


async def test_what_was_said_while_a_service_was_cut_off_is_heard_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Envelope] = []
    really = ControllerHandlers.on_state

    async def listening(self: ControllerHandlers, poke: Envelope) -> None:
        heard.append(poke)
        await really(self, poke)

    monkeypatch.setattr(ControllerHandlers, "on_state", listening)
    away = Fault("bus_away", START - 10 * MINUTE, START + 10 * MINUTE, "controller")
    await lived(replace(DAY, length=9 * MINUTE, faults=(away,)))
    assert not heard
    await lived(replace(DAY, length=12 * MINUTE, faults=(away,)))
    assert {"prices", "thermal"} <= {poke.type for poke in heard}


async def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(PemsError, match="no fault 'meteor'"):
        await lived(replace(DAY, faults=(replace(CONTROLLER_DEAD, kind="meteor"),)))


def test_a_run_leaves_logging_as_it_was() -> None:
    before = logging.root.manager.disable
    world = GeneratedWorld(seed=1, latitude=HOME.site.latitude, longitude=HOME.site.longitude)
    run_day(HOME, world, replace(DAY, length=MINUTE), planner="mute")
    assert logging.root.manager.disable == before
