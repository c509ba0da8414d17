"""The ladder: which mode a device is in. Five rows, the first that matches wins; there is always a lower rung.

This is the heart of the controller's safety. It is a pure function of a few yes/no conditions, and a test walks
through every combination of them.
"""

from dataclasses import dataclass

from pems_common.messages import Mode

__all__ = ["Conditions", "Decision", "PlanTrust", "decide", "house_mode"]

MODEL_NOT_TRUSTED = "model_not_trusted"


@dataclass(frozen=True)
class PlanTrust:
    """Everything that has to hold before a plan is followed for a device.

    Attributes:
        present: There is a plan, and it says something about this device in this slot.
        same_config: It was made for the home.yaml in use.
        not_from_future: It was issued before now.
        fresh: Neither `issued_at` nor its first sight is 2 h ago or more.
        in_control: The slot lies before `control_until`.
        in_tolerance: What is measured is near what the plan expected.
        model_trusted: The device's model, where it has one, is of a tier that lets plans decide.
    """

    present: bool = False
    same_config: bool = False
    not_from_future: bool = False
    fresh: bool = False
    in_control: bool = False
    in_tolerance: bool = False
    model_trusted: bool = False

    def reason_against(self) -> str:
        """Code of the first condition that fails; empty when the plan is trusted."""
        checks = (
            (MODEL_NOT_TRUSTED, self.model_trusted),  # first: such a room is in no plan, and this is why
            ("no_plan", self.present),
            ("plan_for_other_config", self.same_config),
            ("plan_from_future", self.not_from_future),
            ("plan_too_old", self.fresh),
            ("plan_slot_is_outlook", self.in_control),
            ("state_off_plan", self.in_tolerance),
        )
        return next((code for code, holds in checks if not holds), "")


@dataclass(frozen=True)
class Conditions:
    """What decides about one device.

    Attributes:
        armed: Both keys are turned (home.yaml and environment) and nobody disarmed since.
        shadow: Decide and record only.
        in_rollout: The device is in the list of live devices, and can be commanded at all.
        stopping: PEMS is going down.
        outranked: A newer controller for this site is alive.
        state_known: The device's own state is known and fresh.
        limit_broken: A hard limit is broken for this device now.
        overridden: A person's override runs for it.
        plan: Trust in the plan.
    """

    armed: bool
    shadow: bool
    in_rollout: bool
    stopping: bool
    outranked: bool
    state_known: bool
    limit_broken: bool
    overridden: bool
    plan: PlanTrust


@dataclass(frozen=True)
class Decision:
    """Mode of a device.

    Attributes:
        mode: What it is in.
        acts_as: The mode it would be in if it were live (the same as `mode` when it is); in shadow and dry run
            this is what gets recorded.
        why: Code of the reason.
        live: Whether anything may be sent to it.
    """

    mode: Mode
    acts_as: Mode
    why: str
    live: bool


def _rung(c: Conditions) -> tuple[Mode, str]:
    """Rows 1 to 4."""
    if not c.state_known:
        return "safety", "state_unknown"
    if c.limit_broken:
        return "safety", "hard_limit_broken"
    if c.overridden:
        return "manual", "override"
    against = c.plan.reason_against()
    if not against:
        return "mpc", "plan"
    return "rule_based", against


def decide(c: Conditions) -> Decision:
    """Walk down the table: released, safety, manual, mpc, rule_based."""
    acts_as, why = _rung(c)
    not_live = (
        ("stopping", c.stopping),
        ("another_controller", c.outranked),
        ("not_armed", not c.armed),
        ("shadow", c.shadow),
        ("not_in_rollout", not c.in_rollout),
    )
    for code, holds in not_live:
        if holds:
            return Decision("released", acts_as, code, live=False)
    return Decision(acts_as, acts_as, why, live=True)


_WORST_FIRST: tuple[Mode, ...] = ("safety", "rule_based", "manual", "mpc")


def house_mode(decisions: list[Decision]) -> Mode:
    """Return the worst mode of the live devices; `released` when none is live.

    A room that is left to the rules because its model has not earned more does not count, unless there is nothing else.
    """
    live = [d for d in decisions if d.live]
    modes = {d.mode for d in live if d.why != MODEL_NOT_TRUSTED} or {d.mode for d in live}
    return next((mode for mode in _WORST_FIRST if mode in modes), "released")
