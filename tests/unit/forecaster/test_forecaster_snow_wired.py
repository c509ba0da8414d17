"""Snow on the roof, from the weather message to the forecast and what is learnt under it."""

import numpy as np
from tests.unit.forecaster.forecaster_makers import (
    WINTER,
    calendar,
    grid_at,
    hourly,
    make_prices,
    make_weather,
    the_home,
)

from pems_forecaster.domain.forecast import Contests, Inputs, make_forecast, remember
from pems_forecaster.domain.learning import learn_slot
from pems_forecaster.domain.slot_history import SlotHistory

HOME = the_home()


def told(depth_m, history):
    """One provider of two tells of snow, or none."""
    weather = make_weather(WINTER, index=0.4, temperature_c=-5.0)
    other = weather.model_copy(update={"provider": "other"})
    if depth_m is not None:
        weather = weather.model_copy(update={"snow_depth_m": hourly(WINTER, [depth_m] * 72)})
    inputs = Inputs(weather, make_prices(WINTER), history, others=(other,))
    return make_forecast(HOME, calendar(), grid_at(WINTER), inputs, Contests())


def test_under_snow_no_sun_is_promised_and_that_is_told():
    white, green = told(0.2, SlotHistory()), told(None, SlotHistory())
    assert "snow_on_roof" in white.body.degraded
    assert "snow_on_roof" not in green.body.degraded
    assert max(white.body.pv_power_w.p50.values) == 0.0
    assert max(green.body.pv_power_w.p50.values) > 1000.0


def test_what_is_measured_under_snow_teaches_nothing():
    errors = {}
    for name, depth_m in (("white", 0.2), ("green", None)):
        history, contests = SlotHistory(), Contests()
        made = told(depth_m, history)
        remember(made, contests, history)
        slot = made.grid.first + 56  # what was said 14 hours before is compared
        history.put("pv_snow", slot, 0.0 if depth_m is None else 1.0)
        learn_slot(HOME, history, contests, slot, {"pv_w": 700.0})
        errors[name] = sum(len(lead["errors"]) for lead in contests.of("pv").book.to_json().values())
        kept = history.get("pv_snow", made.grid.first, before=made.grid.first + 1)
        assert np.isclose(kept or 0.0, 0.0 if depth_m is None else 1.0)
    assert errors == {"white": 0, "green": 1}
