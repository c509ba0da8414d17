"""Rows for load forecasts: nothing from the future, clock changes, holidays, similar days and away days."""

from dataclasses import fields, replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_household import AWAY_W, CALENDAR, DAY_S, FIRST_S, HOUR_S, household, midnight

from pems_forecaster.domain.load_features import LoadRows, load_rows
from pems_forecaster.domain.load_series import LoadSeries, day_table


def differing(one: LoadRows, other: LoadRows) -> list[str]:
    """Names of what differs between two sets of rows, but for the truth and the verdict on it."""
    told = [f.name for f in fields(LoadRows) if f.name not in ("features", "actual_w", "typical")]
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in told}
    pairs |= {name: (one.features[name], other.features[name]) for name in one.features}
    return [name for name, (a, b) in pairs.items() if not np.array_equal(a, b, equal_nan=True)]


@pytest.mark.parametrize("hour", [0.0, 13.0, 13.75])
@pytest.mark.parametrize("away", [(), (38, 39, 40)])
@pytest.mark.parametrize("future", [np.nan, 0.0, 99_999.0])
def test_the_future_may_be_anything(hour, away, future):
    """Also an issue on an away day, whose verdict must not know the rest of that day."""
    series = household(45, away=away)
    issue = np.array([midnight(40) + int(hour * HOUR_S)])
    known = int(issue[0] - FIRST_S) // HOUR_S
    garbled = series.power_w.copy()
    garbled[known:] = future
    one = load_rows(series, issue, 48)
    assert one.away[0] == bool(away)
    assert differing(one, load_rows(replace(series, power_w=garbled), issue, 48)) == []
    live = load_rows(replace(series, power_w=series.power_w[:known]), issue, 48)
    assert differing(one, live) == []
    assert np.isnan(live.actual_w).all()
    assert np.isfinite(one.actual_w).all()
    assert one.start_s[0] == midnight(40) + int(hour) * HOUR_S, "the first step holds the issue"


@pytest.mark.parametrize("step_s", [900, 1800, 3600])
def test_a_house_that_is_always_the_same(step_s):
    per_day = DAY_S // step_s
    profile_w = 300.0 + 100.0 * np.arange(per_day) / per_day
    series = LoadSeries(FIRST_S, step_s, np.tile(profile_w, 40), CALENDAR)
    rows = load_rows(series, np.array([midnight(35)]), 2 * per_day)
    tomorrow = rows.lead_day == 1
    assert tomorrow.sum() == per_day
    assert rows.scale_w == pytest.approx(profile_w.mean())
    for said_w in (rows.yesterday_w, rows.last_week_w, rows.month_quantiles_w[:, 1]):
        assert said_w[tomorrow] == pytest.approx(profile_w)
    inner = slice(1, per_day - 1)
    assert rows.usual_w[tomorrow][inner] == pytest.approx(profile_w[inner]), "neighbours are weighed on both sides"
    assert rows.features["last_2_h"][0] == pytest.approx(profile_w[-7200 // step_s :].mean() / profile_w.mean())


def test_recent_days_of_the_same_kind_count_most():
    """All days say 100 W but for one; how much that one moves the forecast is its weight."""

    def moved(odd_day: int, target_day: int) -> float:
        power_w = np.full(60 * 24, 100.0)
        power_w[odd_day * 24 : (odd_day + 1) * 24] = 200.0
        rows = load_rows(LoadSeries(FIRST_S, HOUR_S, power_w, CALENDAR), np.array([midnight(target_day)]), 24)
        return float(rows.usual_w[12]) - 100.0

    tuesday = 57
    last_week, weeks_ago = moved(tuesday - 7, tuesday), moved(tuesday - 28, tuesday)
    assert moved(tuesday - 1, tuesday) > moved(tuesday - 2, tuesday) > 0.0, "newer counts more"
    assert last_week > 1.5 * moved(tuesday - 5, tuesday), "the same weekday counts more than a newer other one"
    assert last_week == pytest.approx(weeks_ago * 2 ** (21 / 10), rel=0.02)
    assert moved(tuesday - 3, tuesday) < 0.7 * moved(tuesday - 4, tuesday), "a Saturday says little about a Tuesday"


def test_clock_changes_keep_the_time_on_the_wall():
    """At 2025-03-30 two o'clock is left out in Prague; at 2025-10-26 it comes twice."""
    series = household(310)
    spring, autumn = 83 * DAY_S + FIRST_S, FIRST_S + 293 * DAY_S - HOUR_S  # their local midnights
    for issue_s, hours in ((spring, 23), (autumn, 25)):
        rows = load_rows(series, np.array([issue_s - DAY_S, issue_s]), 48)
        wall = rows.features["time_of_day_h"]
        mine = (rows.issued_s == issue_s) & (rows.lead_day == 0)
        assert mine.sum() == hours
        assert wall[mine].tolist() == ([0.0, 1.0] + [float(h) for h in range(3, 24)] if hours == 23 else
                                       [0.0, 1.0, 2.0] + [float(h) for h in range(2, 24)])  # fmt: skip
        assert np.isfinite(rows.usual_w).all()
        assert np.isfinite(rows.yesterday_w).all()
        at_19 = mine & (wall == 19.0)
        at_13 = mine & (wall == 13.0)
        assert rows.usual_w[at_19][0] > 2.0 * rows.usual_w[at_13][0]
    table = day_table(series, 310 * 24)
    assert table.step[83].tolist().count(-1) == 1
    assert table.step[83][2] == -1


def test_holidays_are_rest_days():
    """May 1st and 8th of 2025 were Thursdays and holidays."""
    series = household(130)
    may = FIRST_S + 115 * DAY_S - HOUR_S
    rows = load_rows(series, np.array([may, may + 5 * DAY_S]), 24)
    assert rows.features["weekday_no"].tolist() == [3.0] * 24 + [1.0] * 24
    assert rows.features["rest"].tolist() == [1.0] * 24 + [0.0] * 24


def test_issues_are_local_hours_after_some_weeks():
    series = household(120)
    midnights = series.issues()
    assert midnights[0] == midnight(28)
    assert set(np.diff(midnights).tolist()) == {DAY_S, 23 * HOUR_S}
    assert series.issues(hours=(0, 12))[1] == midnight(28) + 12 * HOUR_S
    assert midnights[-1] <= series.until_s


def test_away_days_are_found_and_not_confused_with_quiet_ones():
    gone = (30, 31, 32, 50)
    table = day_table(household(80, away=gone), 80 * 24)
    assert np.flatnonzero(table.away).tolist() == list(gone)
    wrong = [day_table(household(100, seed=seed), 100 * 24).away.sum() for seed in range(1, 9)]
    assert sum(wrong) <= 1, "a quiet day in 800, weekends among them, may look like an absence, but not more"


def test_who_stays_away_for_good_is_the_new_normal():
    table = day_table(household(120, away=tuple(range(40, 120))), 120 * 24)
    assert table.away[40:60].all()
    assert not table.away[90:].any()


def test_while_away_the_forecast_leans_on_away_days_and_is_back_at_once():
    """The longer they have been away, the more it leans: a first away day is often the only one."""
    gone = (36, 37, 38)
    series, home = household(45, away=gone), household(45)

    def told(of: LoadSeries, day: float) -> LoadRows:
        return load_rows(of, np.array([midnight(0) + int(day * DAY_S)]), 48)

    at = {day: told(series, day) for day in (36, 37, 38, 39, 40)}
    assert [bool(rows.away[0]) for rows in at.values()] == [False, True, True, True, False]
    evenings = np.flatnonzero(at[39].features["time_of_day_h"] == 19.0)
    ordinary = told(home, 39).usual_w[evenings]
    first, third = at[37].usual_w[evenings], at[39].usual_w[evenings]
    assert AWAY_W < third[0] < 0.4 * ordinary[0]
    assert third[0] < third[1] < 0.5 * ordinary[1], "the day after tomorrow they are more likely back"
    assert third[0] < 0.6 * first[0]
    _, median, high = at[39].usual_quantiles_w[evenings[0]]
    assert median < 1.5 * AWAY_W, "the median is that of an empty house"
    assert high > 2.0 * AWAY_W, "P90 knows that they may come home"

    never_left = told(home, 40).usual_w
    assert np.abs(at[40].usual_w / never_left - 1.0).mean() < 0.25, "away days are no similar days"
    assert at[36].typical.tolist() == [False] * 48

    assert told(series, 37 + 20 / 24).away[0]
    came_home = series.power_w.copy()
    came_home[37 * 24 + 18] = 2500.0
    assert not told(replace(series, power_w=came_home), 37 + 20 / 24).away[0], "one dinner tells that they are back"


def test_gaps_and_a_short_history_are_survived():
    series = household(40)
    holes = series.power_w.copy()
    holes[np.random.default_rng(0).random(len(holes)) < 0.3] = np.nan
    holes[30 * 24 : 34 * 24] = np.nan
    rows = load_rows(replace(series, power_w=holes), np.array([midnight(34)]), 48)
    assert np.isfinite(rows.usual_w).all()
    assert np.isfinite(rows.scale_w).all()
    young = load_rows(replace(series, power_w=series.power_w[:30]), np.array([FIRST_S, FIRST_S + 30 * HOUR_S]), 48)
    assert np.isnan(young.usual_w[:48]).all(), "nothing is known"
    assert np.isfinite(young.usual_w[48:]).all(), "one day is"


def test_what_cannot_be_is_refused():
    series = household(30)
    with pytest.raises(ValueError, match="one of"):
        replace(series, step_s=600)
    with pytest.raises(ValueError, match="no multiple"):
        replace(series, first_s=FIRST_S + 900)
    for issues in ([], [FIRST_S - 1], [series.until_s + HOUR_S]):
        with pytest.raises(ValueError, match="issued within what was measured"):
            load_rows(series, np.array(issues, dtype=np.int64), 48)
