"""Load and price models on the slots of the running forecaster."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import SUMMER, calendar, grid_at, the_home

from pems_forecaster.domain import live_load, live_price
from pems_forecaster.domain.fine_weather import FineWeather, fine_weather
from pems_forecaster.domain.grid import slot_at, slot_no
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_load import LoadKind
from pems_forecaster.domain.live_model import Situation
from pems_forecaster.domain.live_price import PriceKind
from pems_forecaster.domain.load_model import LoadSettings
from pems_forecaster.domain.price_model import PriceSettings
from pems_forecaster.domain.slot_history import KEEP_DAYS, SlotHistory

HOME = the_home()
DAYS = 75
FIRST = slot_no(SUMMER)
SERIES = {"load": "load_w", "price": "spot_eur_mwh"}


def daily(seed: int, level: float, swing: float, noise: float) -> np.ndarray:
    slots = np.arange(DAYS * 96 + 240)
    wave = level + swing * np.sin(2.0 * np.pi * slots / 96.0)
    return np.asarray(wave + noise * np.random.default_rng(seed).standard_normal(len(slots)))


TRUTH = {"load": np.abs(daily(1, 500.0, 300.0, 60.0)), "price": daily(2, 60.0, 80.0, 8.0)}
LESSONS = Lessons(
    FIRST,
    {
        "pv_w": np.full(DAYS * 96, np.nan),
        "pv_limited": np.full(DAYS * 96, np.nan),
        "load_w": TRUTH["load"][: DAYS * 96],
        "spot_eur_mwh": TRUTH["price"][: DAYS * 96],
        "pv_snow": np.zeros(DAYS * 96),
    },
)


@pytest.fixture(scope="module")
def models():
    quick_load = LoadSettings(trees=replace(LoadSettings().trees, rounds=20))
    quick_price = PriceSettings(trees=replace(PriceSettings().trees, rounds=20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_load, "LoadSettings", lambda: quick_load)
        patch.setattr(live_price, "PriceSettings", lambda: quick_price)
        kinds = {"load": LoadKind(), "price": PriceKind()}
        yield {n: k.train(HOME, LESSONS, threads=1, progress=lambda share, what: None) for n, k in kinds.items()}


def the_weather(grid) -> FineWeather:
    site = HOME.site
    return fine_weather(
        grid, None, SlotHistory(), latitude=site.latitude, longitude=site.longitude, altitude_m=site.altitude_m
    )


def situation(*, released_h: int = 10, junk: float | None = None) -> Situation:
    """The forecast at the end of the lessons; what is not known then is junk, or missing."""
    now = FIRST + DAYS * 96
    history, released = SlotHistory(), now + 4 * released_h
    for slot in range(now - KEEP_DAYS * 96, now + 216):
        for kind, until in (("load", now), ("price", released)):
            history.put(SERIES[kind], slot, float(TRUTH[kind][slot - FIRST]) if slot < until else junk)
    grid = grid_at(slot_at(now))
    return Situation(HOME, calendar(), grid, the_weather(grid), history, released)


@pytest.mark.parametrize("kind", ["load", "price"])
def test_they_learn_the_shape_of_the_day_and_report_what_they_are(models, kind):
    trained = models[kind]
    said = trained.model.predict(situation())
    ahead = np.arange(60, 190)
    truth = TRUTH[kind][DAYS * 96 + ahead]
    assert np.abs(said.p50[ahead] - truth).mean() < 0.35 * np.abs(truth - truth.mean()).mean()
    assert (said.p10[ahead] <= said.p50[ahead]).all()
    assert (said.p50[ahead] <= said.p90[ahead]).all()
    assert trained.rows > 100
    assert {"pinball", "mae", "coverage"} <= trained.metrics.keys()
    assert sum(trained.model.importance().values()) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["load", "price"])
def test_what_is_not_known_yet_changes_nothing(models, kind):
    honest, spoiled = (models[kind].model.predict(situation(junk=junk)) for junk in (None, 7777.0))
    for part in ("p10", "p50", "p90"):
        np.testing.assert_array_equal(getattr(honest, part), getattr(spoiled, part))


def test_released_prices_are_said_as_they_are(models):
    said = models["price"].model.predict(situation(released_h=10))
    np.testing.assert_array_equal(said.p50[:40], TRUTH["price"][DAYS * 96 : DAYS * 96 + 40])
    assert (said.p90[:40] == said.p10[:40]).all()


@pytest.mark.parametrize("kind", ["load", "price"])
def test_with_too_little_history_a_model_is_silent_instead_of_guessing(models, kind):
    empty = replace(situation(), history=SlotHistory())
    assert np.isnan(models[kind].model.predict(empty).p50).all()


@pytest.mark.parametrize(("kind", "make"), [("load", LoadKind), ("price", PriceKind)])
def test_a_model_says_the_same_after_it_was_stored(models, kind, make, tmp_path):
    models[kind].model.save(tmp_path / "m")
    again = make().load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(situation()).p50, models[kind].model.predict(situation()).p50)
