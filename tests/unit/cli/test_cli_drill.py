"""Fire drills on a scripted house: what passes, and that each broken promise is found."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pems_cli.demo import report_can_be_written
from pems_cli.drill import DRILLS, Drill, DrillResult, follow, lost_series

_SPEED = 60.0


@dataclass
class ScriptedHouse:
    """A session and its observer in one: the wall clock moves on with each look.

    The plan is 10 min old at the kill; without its planner it ends at an age of `trusted_for_s`.
    """

    part: str
    trusted_for_s: float = 7200.0
    comes_back_after_s: float = 5.0
    loses: bool = False
    beyond: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0
    killed_at: float | None = None
    released_at: float | None = None
    interrupted: bool = False
    violations: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.run = SimpleNamespace(speed=_SPEED)
        self.observer = self.supervisor = self
        self.ended: list[Any] = []

    # the session
    def now(self) -> float:
        return self.wall_s

    def wait_until(self, done: Any, wait_s: float) -> float | None:
        begun = self.wall_s
        while self.wall_s - begun < wait_s:
            if done():
                return self.wall_s - begun
            self.wall_s += 0.5
        return None

    # the supervisor
    def kill(self, part: str, *, hold: bool) -> None:
        assert (part, hold) == (self.part, True)
        self.killed_at = self.wall_s

    def release(self, part: str) -> None:
        self.released_at = self.wall_s

    def is_ready(self, part: str) -> bool:
        return self.released_at is not None

    # the observer
    @property
    def _away_s(self) -> float:
        if self.killed_at is None or self._back:
            return 0.0
        return self.wall_s - self.killed_at

    @property
    def _back(self) -> bool:
        return self.released_at is not None and self.wall_s - self.released_at >= self.comes_back_after_s

    def begin(self) -> None:
        pass

    def sample(self) -> dict[str, Any]:
        age_s = 600.0 + self._away_s * _SPEED
        mode = "mpc" if age_s < self.trusted_for_s else "rule_based"
        return {"devices": {"room:one": {"mode": mode}, "battery": {"mode": mode}}, "plan_age_s": age_s}

    def get(self, service: str, path: str) -> Any:
        return {}

    def plan_status(self) -> str:
        return "incumbent"

    def bus(self) -> dict[str, Any]:
        return {"written": {"telemetry": int(self.wall_s)}}

    def stored(self) -> dict[str, int]:
        if self.loses and self.released_at is not None:
            return {"pv_power_w": 1, "load_power_w": 10_000 + int(self.wall_s)}
        return {"pv_power_w": 2 + int(self.wall_s)}

    def beyond_limits_s(self) -> dict[str, float]:
        return self.beyond


def _drill(house: ScriptedHouse, name: str = "optimizer") -> DrillResult:
    return follow(house, DRILLS[name], name, lambda _: None)  # type: ignore[arg-type]


def test_rules_after_two_hours_and_the_plan_again() -> None:
    result = _drill(ScriptedHouse("optimizer"))
    assert result.ok, result.failures
    assert result.safe_wall_s == pytest.approx(110.0, abs=1.0)  # 2 h less 10 min at 60x
    assert result.back_wall_s == pytest.approx(5.0, abs=1.0)
    assert result.lost == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trusted_for_s": 7500.0}, "a plan more than 2 h old was followed"),
        ({"trusted_for_s": 9e9}, "not within"),
        ({"comes_back_after_s": 70.0}, "not as before within 60 s"),
        ({"loses": True}, "stored points were lost: pv_power_w"),
        ({"beyond": {"heating_above_max": 61.0}}, "beyond limits for longer than a tick"),
        ({"violations": {"room_min_c:room:one"}}, "limits were broken: room_min_c:room:one"),
    ],
)
def test_each_broken_promise_is_told(changes: dict[str, Any], said: str) -> None:
    result = _drill(ScriptedHouse("optimizer", **changes))
    assert not result.ok
    assert any(said in failure for failure in result.failures)


def test_a_part_that_is_not_needed_is_safe_at_once_and_stays_away_for_a_while() -> None:
    result = _drill(ScriptedHouse("redis"), "redis")
    assert result.ok, result.failures
    assert result.safe_wall_s == 0.0
    assert (result.away_wall_s or 0.0) >= DRILLS["redis"].away_s


def test_no_plan_no_drill() -> None:
    result = _drill(ScriptedHouse("optimizer", trusted_for_s=0.0))
    assert result.failures == ["the house did not follow a plan before the drill"]


def test_every_drill_kills_the_part_it_is_named_after() -> None:
    assert all(isinstance(drill, Drill) and drill.part == name for name, drill in DRILLS.items())


def test_series_that_shrank_are_lost() -> None:
    assert lost_series({"a": 2, "b": 3, "c": 1}, {"a": 2, "b": 2}) == ["b", "c"]


def test_a_report_that_cannot_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    assert report_can_be_written(None, console)
    assert report_can_be_written(tmp_path / "new" / "out.json", console)
    (tmp_path / "file").write_text("")
    assert not report_can_be_written(tmp_path / "file" / "out.json", console)
    assert "cannot be written" in console.export_text()
