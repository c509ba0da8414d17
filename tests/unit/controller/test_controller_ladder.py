"""The decision table, walked through completely."""

from itertools import product

from pems_controller.domain.ladder import Conditions, PlanTrust, decide, house_mode

FLAGS = (False, True)


def test_every_combination_of_conditions_gives_what_the_table_says():
    count = 0
    for armed, shadow, rollout, stopping, outranked in product(FLAGS, repeat=5):
        for known, broken, overridden in product(FLAGS, repeat=3):
            for parts in product(FLAGS, repeat=7):
                c = Conditions(
                    armed, shadow, rollout, stopping, outranked, known, broken, overridden, PlanTrust(*parts)
                )
                decision = decide(c)
                live = armed and rollout and not shadow and not stopping and not outranked
                # The table, written a second time and differently: each row by its own full condition.
                safety = not known or broken
                manual = not safety and overridden
                mpc = not safety and not overridden and all(parts)
                rules = not safety and not overridden and not all(parts)
                assert sum((safety, manual, mpc, rules)) == 1
                expected = {"safety": safety, "manual": manual, "mpc": mpc, "rule_based": rules}
                assert expected[decision.acts_as]
                assert decision.live is live
                assert decision.mode == (decision.acts_as if live else "released")
                assert decision.why
                count += 1
    assert count == 2**15


def test_the_reason_is_the_first_condition_that_fails():
    live = {"armed": True, "shadow": False, "in_rollout": True, "stopping": False, "outranked": False}
    well = {"state_known": True, "limit_broken": False, "overridden": False}
    trusted = PlanTrust(*(True,) * 7)
    assert decide(Conditions(**live, **well, plan=trusted)).why == "plan"
    assert decide(Conditions(**live, **{**well, "state_known": False}, plan=trusted)).why == "state_unknown"
    assert decide(Conditions(**{**live, "armed": False}, **well, plan=trusted)).why == "not_armed"
    parts = ("model_trusted", "present", "same_config", "not_from_future", "fresh", "in_control", "in_tolerance")
    reasons = [
        decide(Conditions(**live, **well, plan=PlanTrust(**{p: p != part for p in parts}))).why for part in parts
    ]
    assert reasons == [
        "model_not_trusted",
        "no_plan",
        "plan_for_other_config",
        "plan_from_future",
        "plan_too_old",
        "plan_slot_is_outlook",
        "state_off_plan",
    ]


def test_the_house_shows_the_worst_mode_of_its_live_devices():
    def one(known: bool, plan: bool, armed: bool = True, model: bool = True):
        trust = PlanTrust(*(plan,) * 6, model)
        return decide(Conditions(armed, False, True, False, False, known, False, False, trust))

    assert house_mode([one(True, True)]) == "mpc"
    assert house_mode([one(True, True), one(True, False)]) == "rule_based"
    assert house_mode([one(True, True), one(True, False), one(False, True)]) == "safety"
    assert house_mode([one(False, True, armed=False)]) == "released"
    assert house_mode([one(False, True, armed=False), one(True, True)]) == "mpc"
    left = one(True, True, model=False)
    assert left.mode == "rule_based"
    assert house_mode([one(True, True), left]) == "mpc", (
        "a room whose model has not earned more says nothing of the plan"
    )
    assert house_mode([one(True, False), left]) == "rule_based"
    assert house_mode([left]) == "rule_based"
