"""The meter's verdict switches a strategy off and on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case

from pems_common.bus import MemoryBus
from pems_common.clock import FakeClock
from pems_common.home import Home
from pems_common.messages import Score, wrap
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.strategy_value import strategy_to_use
from pems_optimizer.plan_work import read_known


def asking(strategy: str = "scenarios", **more) -> Home:
    home = small_home("pokoj_1", ev=None, water=None)
    uncertainty = home.optimization.uncertainty.model_copy(update={"strategy": strategy, **more})
    return home.model_copy(update={"optimization": home.optimization.model_copy(update={"uncertainty": uncertainty})})


def verdict(low: float, high: float, *, days: float = 28.0, model: str = "scenarios", ended_days_ago: int = 1) -> Score:
    last = (START - timedelta(days=ended_days_ago)).date()
    window = f"{last - timedelta(days=27)}/{last}"
    metrics = {"gain_czk_day": (low + high) / 2, "gain_low_czk_day": low, "gain_high_czk_day": high, "days": days}
    return Score(kind="strategy_value", window=window, metrics=metrics, model=model, baseline="point")


LOSES = verdict(-3.0, 0.0)


def test_a_strategy_that_does_not_pay_is_off_and_the_plan_says_so() -> None:
    home = asking()
    known = replace(winter_case(home, 1), strategy_value=LOSES)
    problem = assemble(home, known, now=START, decide_from=START)
    assert problem.uncertainty.strategy == "point"
    assert problem.uncertainty.scenarios == ()
    note = next(note for note in problem.notes if note.code == "strategy_off")
    assert note.params == {"strategy": "scenarios", "days": 28.0, "low_czk_day": -3.0, "high_czk_day": 0.0}


def test_it_comes_back_when_the_verdict_turns() -> None:
    home = asking()
    known = replace(winter_case(home, 1), strategy_value=verdict(-1.0, 2.0))
    problem = assemble(home, known, now=START, decide_from=START)
    assert problem.uncertainty.strategy == "scenarios"
    assert len(problem.uncertainty.scenarios) >= 3
    assert not [note for note in problem.notes if note.code == "strategy_off"]


@pytest.mark.parametrize(
    ("home", "value"),
    [
        (asking(), None),
        (asking(only_if_it_pays=False), LOSES),
        (asking(), verdict(-3.0, -1.0, days=27.0)),
        (asking(), verdict(-3.0, -1.0, model="robust")),
        (asking(), verdict(-3.0, -1.0, ended_days_ago=61)),
        (asking(), LOSES.model_copy(update={"window": "4 weeks"})),
        (asking(), LOSES.model_copy(update={"metrics": {"days": 40.0}})),
        (asking(), LOSES.model_copy(update={"baseline": "rules"})),
        (asking(), LOSES.model_copy(update={"kind": "plan_risk"})),
    ],
)
def test_what_says_nothing_of_it_changes_nothing(home: Home, value: Score | None) -> None:
    assert strategy_to_use(home, value, START) == ("scenarios", ())


def test_point_is_never_switched() -> None:
    assert strategy_to_use(asking("point"), verdict(-9.0, -8.0, model="point"), START) == ("point", ())


async def test_a_worker_reads_the_newest_verdict() -> None:
    home, clock = asking(), FakeClock(START)
    bus = MemoryBus(clock)
    for score in (LOSES, Score(kind="plan_risk", window="48h", metrics={"mean": 1.0})):
        await bus.publish(wrap(score, site=home.site.id, clock=clock, source="test"))
    known, _ = await read_known(bus, home.site.id)
    assert known.strategy_value == LOSES
