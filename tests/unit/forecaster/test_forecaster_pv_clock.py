"""A clock that is changed shows in the shape of the days; a roof that looks elsewhere does not count as one."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_pv_rows import DAY_S, START_S, on_days, rows

from pems_forecaster.domain.pv_history import judge
from pems_forecaster.domain.pv_quality import PvRows


def shifted(made: PvRows, hours: float, *days: int) -> PvRows:
    late = np.roll(made.measured, round(hours * 3600 / made.step_s))
    return replace(made, measured=np.where(on_days(made, *days), late, made.measured))


def judged(made: PvRows):
    return judge(made).clock


@pytest.mark.parametrize("step_s", [900, 3600])
@pytest.mark.parametrize("hours", [1.0, -1.0, 2.0])
def test_a_changed_clock_is_found_within_a_week_and_its_days_are_named(step_s, hours):
    made = shifted(rows(90, step_s=step_s), hours, 50, 80)
    assert judged(made.known_at(START_S + 50 * DAY_S)).off_h == 0.0
    assert judged(made.known_at(START_S + 57 * DAY_S)).off_h == pytest.approx(hours, abs=0.3)
    after = judged(made)
    assert after.off_h == 0.0
    assert after.wrong[on_days(made, 53, 77)].all()
    assert not after.wrong[on_days(made, 0, 46)].any()
    assert not after.wrong[on_days(made, 85, 90)].any()


def test_a_roof_that_looks_elsewhere_is_usual():
    made = shifted(rows(40), 1.0, 0, 40)
    found = judged(made)
    assert found.usual_h == pytest.approx(1.0, abs=0.3)
    assert found.off_h == 0.0
    assert not found.wrong.any()


def test_gaps_darkness_and_no_data_are_no_clock_faults():
    made = rows(30)
    keep = np.arange(len(made.day)) % 7 != 3
    holes = PvRows(
        made.start_s[keep], made.step_s, made.day[keep], made.measured[keep],
        made.physics[keep], made.clear[keep], made.limited[keep],
    )  # fmt: skip
    assert not judged(holes).wrong.any()
    dark = judged(replace(made, measured=0.0 * made.measured))
    assert (dark.usual_h, dark.off_h, dark.wrong.any()) == (0.0, 0.0, False)
    assert len(judged(made.known_at(START_S)).wrong) == 0
