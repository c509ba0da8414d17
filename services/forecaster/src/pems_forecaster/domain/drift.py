"""Whether forecasts have become worse for good: a change in their daily skill, not in their raw error.

Skill is measured against persistence, so a stormy month, which is hard for everybody, is no drift. The test is that of
Page (1954, doi:10.1093/biomet/41.1-2.100) and Hinkley, as `river` has it. With a daily skill that scatters by 0.2, a
fall of 0.4 is found after six days (median), and 2 of 100 quarters raise a false alarm (`./pems bench judging`).
"""

from collections.abc import Sequence

__all__ = ["LEAST_DAYS", "drifted", "error_rose"]

LEAST_DAYS = 10
_SLACK, _THRESHOLD, _FADE = 0.05, 2.0, 0.99
_WEEK = 7
_RISE = 1.2


def drifted(skills: Sequence[float]) -> bool:
    """Tell whether the skill has fallen within a series of days, the oldest first.

    Args:
        skills: Daily skills, 1 perfect, 0 as persistence; taken as -1..1.
    """
    from river.drift import PageHinkley  # 26 MB: only where it is needed

    test = PageHinkley(min_instances=LEAST_DAYS, delta=_SLACK, threshold=_THRESHOLD, alpha=_FADE, mode="down")
    for skill in skills:
        test.update(min(max(skill, -1.0), 1.0))  # type: ignore[no-untyped-call]
        if test.drift_detected:
            return True
    return False


def error_rose(errors: Sequence[float], skills: Sequence[float]) -> float | None:
    """Return how much the mean error of the last week exceeds that of the week before, where it is 20 % or more.

    A week that was as hard for persistence is passed over: errors scatter by more than that from week to week.

    Args:
        errors: Daily mean absolute errors, the oldest first; None with less than two weeks of them.
        skills: Daily skills of the same days.
    """
    if len(errors) < 2 * _WEEK or sum(skills[-_WEEK:]) >= sum(skills[-2 * _WEEK : -_WEEK]):
        return None
    now, before = sum(errors[-_WEEK:]), sum(errors[-2 * _WEEK : -_WEEK])
    return now / before - 1.0 if before > 0.0 and now > _RISE * before else None
