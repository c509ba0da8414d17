"""How good the forecasts are, as figures and words."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.browser.sample_house import SampleHouse
from tests.unit.monitor.conftest import NOW

from pems_common.home import Home
from pems_monitor.domain.forecast_quality import (
    band_verdict,
    error_text,
    forecast_rows,
    gain_text,
    method_text,
    scored_text,
)
from pems_monitor.domain.formats import UNKNOWN
from pems_monitor.domain.state import DayScore, HouseState


@pytest.fixture
def state(house: SampleHouse) -> HouseState:
    scores = {score.kind: DayScore(score, NOW) for score in house.scores()}
    return HouseState(forecast=house.forecast(), scores=scores)


def test_a_row_joins_what_forecast_and_score_tell_of_a_kind(state: HouseState) -> None:
    rows = {row.kind: row for row in forecast_rows(state)}
    assert list(rows) == ["pv", "load", "price", "temperature"]
    assert rows["price"].version == "similar-days-1"
    assert rows["price"].held_pct == (68.5, 74.0)
    assert (rows["price"].error, rows["price"].gain_pct) == (11.4, -8)
    assert (rows["pv"].version, rows["pv"].scored_version) == ("pv-20260114T013700", "physics-1")


def test_before_the_first_figure_there_are_no_rows(state: HouseState) -> None:
    assert forecast_rows(HouseState()) == ()
    assert state.forecast is not None
    young = state.forecast.model_copy(update={"coverage": {}})
    assert forecast_rows(HouseState(forecast=young)) == ()
    other = {"plan_risk": replace(state.scores["forecast.pv"])}
    assert forecast_rows(HouseState(scores=other)) == ()


def test_one_known_figure_leaves_the_others_unknown(state: HouseState, home: Home) -> None:
    assert state.forecast is not None
    half = state.forecast.model_copy(update={"coverage": {"load": {"1": 81.0}}})
    rows = {row.kind: row for row in forecast_rows(HouseState(forecast=half))}
    assert rows["load"].held_pct == (81.0, None)
    assert rows["pv"].held_pct == (None, None)
    assert {error_text(row, "en") for row in rows.values()} == {UNKNOWN}
    assert {gain_text(row.gain_pct, "en") for row in rows.values()} == {UNKNOWN}
    assert {scored_text(row, home.site.zone, "en") for row in rows.values()} == {""}
    alone = forecast_rows(HouseState(scores=state.scores))
    assert {method_text(row.version, home.site.zone, "en") for row in alone} == {UNKNOWN}


@pytest.mark.parametrize(
    ("held_pct", "verdict"),
    [(0.0, "narrow"), (71.9, "narrow"), (72.0, "kept"), (80.0, "kept"), (88.0, "kept"), (88.1, "wide")],
)
def test_only_a_band_near_its_promise_counts_as_kept(held_pct: float, verdict: str) -> None:
    assert band_verdict(held_pct) == verdict


@pytest.mark.parametrize(
    ("version", "english", "czech"),
    [
        ("physics-1", "physical model of the roofs", "fyzikální model střech"),
        ("climatology-1", "usual days", "obvyklé dny"),
        ("similar-days-1", "similar days", "podobné dny"),
        ("nwp-1", "weather service", "meteorologická služba"),
        ("pv-20260114T023000", "trained model of 14\u00a0Jan", "model naučený 14.\u00a01."),
        ("load-20260113T233000", "trained model of 14\u00a0Jan", "model naučený 14.\u00a01."),  # 00:30 in Prague
        ("magic <b>", "magic <b>", "magic <b>"),
        ("", UNKNOWN, UNKNOWN),
    ],
)
def test_methods_in_words(home: Home, version: str, english: str, czech: str) -> None:
    assert method_text(version, home.site.zone, "en") == english
    assert method_text(version, home.site.zone, "cs") == czech


def test_errors_have_the_unit_of_their_kind(state: HouseState) -> None:
    texts = {row.kind: error_text(row, "cs") for row in forecast_rows(state)}
    assert texts == {
        "pv": "410\u00a0W",
        "load": "140\u00a0W",
        "price": "11,4\u00a0EUR/MWh",
        "temperature": "0,8\u00a0°C",
    }


def test_an_error_names_its_day_and_the_method_that_made_it(state: HouseState, home: Home) -> None:
    pv, load, *_ = forecast_rows(state)
    assert scored_text(pv, home.site.zone, "en") == "Wed 14\u00a0Jan, physical model of the roofs"
    assert scored_text(load, home.site.zone, "en") == "Wed 14\u00a0Jan"
    just_after_midnight = replace(load, scored_at=NOW.replace(hour=23, minute=1) - timedelta(days=1))
    assert scored_text(just_after_midnight, home.site.zone, "cs") == "st 14.\u00a01."


def test_worse_than_yesterday_reads_as_worse() -> None:
    assert gain_text(38, "en") == "38\u00a0% better"
    assert gain_text(-8, "en") == "8\u00a0% worse"
    assert gain_text(-1500, "cs") == "o 1\u202f500\u00a0% horší"
    assert gain_text(0, "en") == "the same"
