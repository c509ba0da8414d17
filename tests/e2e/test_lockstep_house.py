"""The living loop in lockstep: real handlers, real solver, simulated house, two winter days, no file needed.

The judgement must be able to fail: a planner with wrong room models and a mute planner turn it red.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean

import pytest

from pems_common.home import load_home
from pems_common.messages import Thermal
from pems_common.world import open_world
from pems_lab.house_run import HouseRun
from pems_lab.judgement import COMFORT_SLACK_K_H, judge

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

HOME = load_home(Path(__file__).parents[2] / "config" / "home.yaml")
# Noon: the room observers have the evening and the night before the first morning that has to be warm.
START = datetime(2026, 1, 12, 11, tzinfo=UTC)


def house(seed: int, **faults) -> HouseRun:
    site = HOME.site
    world = open_world(None, latitude=site.latitude, longitude=site.longitude, seed=seed)
    return HouseRun(HOME, world, START, seed=seed, **faults)


async def test_two_winter_days_on_plans_are_cheaper_than_on_rules_and_no_less_comfortable():
    verdicts = []
    for seed in (0, 1):
        rules = await house(seed, planner="mute").run(timedelta(days=2))
        run = house(seed)
        account = await run.run(timedelta(days=2))
        verdict = judge(HOME, account, rules.truth, START)
        # Plans of equal worth differ by some 0.03 K h in two days: comfort is judged on both houses together.
        assert not [failure for failure in verdict.failures if not failure.startswith("comfort")], verdict
        assert account.rule_plans == 0
        await run.stop()
        state = run.house.state()
        assert not any(room["by_pems"] for room in state["rooms"].values()), "a clean stop hands every room back"
        verdicts.append(verdict)
    comfort, rules_comfort = (
        mean(getattr(verdict, name) for verdict in verdicts) for name in ("comfort_k_h", "reference_comfort_k_h")
    )
    assert comfort <= rules_comfort + COMFORT_SLACK_K_H, verdicts


def wrong(thermal: Thermal) -> Thermal:
    """Halved capacity, doubled loss."""
    model = thermal.model
    changed: dict[str, object] = {"ci_j_k": model.ci_j_k / 2, "cm_j_k": model.cm_j_k / 2, "rea_k_w": model.rea_k_w / 2}
    changed["neighbours"] = {name: 2 * w_k for name, w_k in model.neighbours.items()}
    return thermal.model_copy(update={"model": model.model_copy(update=changed)})


@pytest.mark.parametrize("fault", [{"thermal": wrong}, {"planner": "mute"}], ids=["wrong room models", "mute planner"])
async def test_the_judgement_turns_red_when_the_planner_is_wrong_or_mute(fault):
    half_a_day = timedelta(hours=12)
    rules = await house(0, planner="mute").run(half_a_day)
    account = await house(0, **fault).run(half_a_day)
    assert judge(HOME, account, rules.truth, START).failures
