"""Learning from own errors: coverage heads to 80 %, medians lose their bias, damage does not pass."""

import numpy as np
import pytest

from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.residuals import ResidualBook, day_metrics

SLOTS = np.arange(0, 200, dtype=np.int64)
ONES = np.ones(200)
LEAD = (SLOTS + 0.5) / 4


def live(book, rounds, *, half=1.0, bias=0.0, sd=1.0, seed=0):
    """Let a forecaster that says 0 +- half meet a truth of bias + sd * normal; returns hits."""
    rng = np.random.default_rng(seed)
    hits = []
    truth = {}
    for step in range(rounds):
        slots = SLOTS + step
        base = Quantiles(-half * ONES, 0 * ONES, half * ONES)
        band = book.correct(base, ONES, LEAD).tidy()
        book.remember(slots, base.p50, ONES, band)
        truth[step] = bias + sd * rng.standard_normal()
        issued = [lead.pending.get(step) for lead in book._leads]
        hits.append([np.nan if i is None else float(i.p10 <= truth[step] <= i.p90) for i in issued])
        book.match(step, truth[step])
    return np.array(hits)


@pytest.mark.parametrize("half", [0.2, 5.0])
def test_coverage_heads_to_80_percent(half):
    hits = live(ResidualBook((0.5, 14.0)), 1000, half=half)
    late = np.nanmean(hits[600:], axis=0)
    assert (np.abs(late - 0.8) < 0.06).all()


def test_bias_is_learnt_but_never_doubled():
    book = ResidualBook((0.5, 14.0))
    live(book, 900, half=1.3, bias=2.0)
    band = book.correct(Quantiles(-ONES, 0 * ONES, ONES), ONES, LEAD)
    assert 1.2 < band.p50[4] < 2.2


def test_widths_never_shrink_with_lead_by_the_errors_seen():
    book = ResidualBook((0.5, 14.0))
    rng = np.random.default_rng(2)
    for _ in range(400):
        book._leads[0].errors.append(rng.normal(0, 2.0))
        book._leads[1].errors.append(rng.normal(0, 0.5))
    band = book.correct(Quantiles(-ONES, 0 * ONES, ONES), ONES, LEAD)
    assert (np.diff(band.p90 - band.p10) >= -1e-9).all()


def test_few_errors_change_nothing():
    book = ResidualBook((0.5, 14.0))
    live(book, 10, bias=50.0)
    assert book.correct(Quantiles(-ONES, 0 * ONES, ONES), ONES, LEAD).p50[4] == 0.0


def test_unusable_slots_teach_nothing():
    book = ResidualBook((0.5,))
    base = Quantiles(-ONES, 0 * ONES, ONES)
    book.remember(SLOTS, base.p50, ONES, base)
    book.match(2, 99.0, train=False)
    book.remember(SLOTS, base.p50, 0 * ONES, base)
    book.match(2, 99.0)
    book.remember(SLOTS, base.p50, ONES, base, usable=0 * ONES)
    book.match(2, 99.0)
    book.remember(SLOTS, base.p50, ONES, base)
    book.match(2, None)
    assert book.days == 0
    assert book.take_today() == {1: []}


def test_pending_forecasts_do_not_pile_up():
    book = ResidualBook((0.5, 14.0, 38.0))
    live(book, 600)
    assert all(len(lead.pending) < 160 for lead in book._leads)


def test_state_survives_its_file():
    book = ResidualBook((0.5, 14.0))
    live(book, 300, half=0.5)
    other = ResidualBook((0.5, 14.0))
    other.load_json(book.to_json())
    base = Quantiles(-ONES, 0 * ONES, ONES)
    np.testing.assert_allclose(other.correct(base, ONES, LEAD).p90, book.correct(base, ONES, LEAD).p90, atol=1e-3)
    assert other.coverage_pct(1) == book.coverage_pct(1)
    assert book.correlation() is not None
    with pytest.raises(ValueError):
        other.load_json({"0.5": {"pending": {}, "errors": ["x"], "inside": "", "factor": 1.0}})


def test_day_metrics_are_what_they_say():
    book = ResidualBook((0.5,))
    base = Quantiles(-ONES, 0 * ONES, ONES)
    for slot, actual in ((2, 2.0), (3, -1.0)):
        book.remember(SLOTS + slot - 2, base.p50, ONES, base)
        book.match(slot, actual)
    metrics = day_metrics(book.take_today()[1])
    assert metrics["mae"] == pytest.approx(1.5)
    assert metrics["rmse"] == pytest.approx(np.sqrt(2.5), abs=1e-4)
    assert metrics["coverage"] == 50.0
    assert book.take_today() == {1: []}
