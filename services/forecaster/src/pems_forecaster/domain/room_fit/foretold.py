"""What identified rooms would have said of the days that have passed, to be held against what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.room_fit.identify import STEP_S, RoomFit
from pems_forecaster.domain.room_fit.predict import HousePredictor
from pems_forecaster.domain.room_fit.screening import filled
from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["Foretold", "foretold"]

_DAY = 86_400 // STEP_S


@dataclass(frozen=True)
class Foretold:
    """Predictions of all rooms together with the weather and heat that came.

    Attributes:
        names: Rooms, in the order of `air_c`.
        time_s: Beginning of each step [s since 1970, UTC] (T,).
        measured_c: Per room (T,).
        origins: Steps at whose beginning was predicted (O,).
        air_c: Air temperature 1.. steps after each origin (O, 96, n).
    """

    names: tuple[str, ...]
    time_s: Ints
    measured_c: Mapping[str, Floats]
    origins: Ints
    air_c: Floats


def foretold(fits: Mapping[str, RoomFit], series: HouseSeries, days: int) -> Foretold:
    """Predict 24 hours from each midnight (UTC) of the last days.

    Raises:
        ValueError: There is no whole day.
    """
    coarse = series.coarse(STEP_S)
    midnights = np.flatnonzero(coarse.time_s % 86_400 < STEP_S)
    origins = midnights[midnights + _DAY <= coarse.steps][-days:].astype(np.int64)
    if not len(origins):
        raise ValueError("no whole day is in the series")
    models = {room: fit.model for room, fit in fits.items()}
    predictor = HousePredictor.of(models, STEP_S, {room: fit.beliefs for room, fit in fits.items()})
    outdoor, _ = filled(coarse.outdoor_c, 0)
    heat_in = predictor.heat_in(outdoor, coarse.heat_w, coarse.solar_w_m2, coarse.local_hour)
    states = predictor.states(coarse.air_c, *heat_in, origins)
    return Foretold(
        predictor.names, coarse.time_s, coarse.air_c, origins, predictor.air_c(states, *heat_in, origins, _DAY)
    )
