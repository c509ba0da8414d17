"""Rooms of two measured houses, 24 hours open loop (TARGETS.md "Forecasts"): fitted on the first 60 %, then judged.

`sml_dining`, `sml_bedroom`: rooms of the solar house SML2010, part 1 (Zamora-Martinez et al. 2014,
doi:10.1016/j.enbuild.2014.04.034): 15 min, sun by pyranometer and on the south facade, no heating told.
`flexhouse`: electrically heated test house with random heating (Bacher and Madsen 2011,
doi:10.1016/j.enbuild.2011.02.005): 5 min, six days. Nothing but the series is known of them: the prior is
`plain_prior`. From origins every 3 h of the rest, 24 h are said with weather and heat as they were measured.

Beside the model stand the last reading, the same time yesterday, a one-node model (1R1C), the ARX challenger, and the
mixture of model and ARX whose shares follow the errors of predictions that were over before each origin.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks._gates import Gate, Row
from scipy.optimize import least_squares

from pems_cli.paths import data_sets_directory
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.rolling_blend import BlendSettings, RollingBlend, mix
from pems_forecaster.domain.room_fit.identify import STEP_S, RoomFit, identify_house
from pems_forecaster.domain.room_fit.intervals import time_constant_h
from pems_forecaster.domain.room_fit.plain_prior import PLAIN_VAGUE, plain_prior
from pems_forecaster.domain.room_fit.predict import HousePredictor
from pems_forecaster.domain.room_fit.series import HouseSeries

GATES: tuple[Gate, ...] = (
    Gate("sml_dining", "mae_24h_c", 0.28, 0.23),
    Gate("sml_bedroom", "mae_24h_c", 0.28, 0.23),
    Gate("flexhouse", "mae_24h_c", 0.50, 0.38),
    *(Gate(case, "nis_off", 2.0, 1.5) for case in ("sml_dining", "sml_bedroom", "flexhouse")),
)
ROOM = "room"
FIT_SHARE = 0.6
DAY = 86_400 // STEP_S
ORIGIN_EVERY = 3 * 3600 // STEP_S
_MIX = BlendSettings(start=0.25, half_life=40.0, least_batches=4)


@dataclass(frozen=True)
class Case:
    """A measured room."""

    name: str
    series: HouseSeries


def sml(folder: Path, name: str, column: str) -> Case:
    """Read a room of SML2010; its clock is taken as local."""
    frame = pd.read_csv(folder / "sml2010" / "part1_15min.csv", parse_dates=["time"]).set_index("time")
    frame = frame.resample("15min").mean(numeric_only=True).interpolate()
    sun = {
        "horizontal": frame["Meteo_Exterior_Piranometro"].clip(lower=0.0).to_numpy(),
        "south": frame["Meteo_Exterior_Sol_Sud"].clip(lower=0.0).to_numpy() / 100.0,  # lux to about W/m2
    }
    return Case(name, _series(frame, frame[column], 0.0 * frame[column], frame["Temperature_Exterior_Sensor"], sun))


def flexhouse(folder: Path) -> Case:
    """Read the heated test house."""
    frame = pd.read_csv(folder / "flexhouse" / "prbs_5min.csv", parse_dates=["time"]).set_index("time")
    frame = frame.astype(float).resample("15min").mean().interpolate()
    sun = {"horizontal": 1000.0 * frame["solar_kw_m2"].to_numpy()}
    return Case("flexhouse", _series(frame, frame["indoor_c"], 1000.0 * frame["heating_kw"], frame["outdoor_c"], sun))


def _series(
    frame: pd.DataFrame,
    air: "pd.Series[float]",
    heat: "pd.Series[float]",
    outdoor: "pd.Series[float]",
    sun: dict[str, Floats],
) -> HouseSeries:
    index = pd.DatetimeIndex(frame.index)
    return HouseSeries(
        int(index[0].timestamp()),
        STEP_S,
        {ROOM: np.asarray(air, dtype=np.float64)},
        {ROOM: np.asarray(heat, dtype=np.float64)},
        np.asarray(outdoor, dtype=np.float64),
        sun,
        np.asarray(index.hour, dtype=np.int64),
        {},
    )


def cases() -> Iterator[Row]:
    """Judge all rooms; data sets that are not there are skipped with a message."""
    folder = data_sets_directory()
    if folder is None or not all((folder / name).is_dir() for name in ("sml2010", "flexhouse")):
        print("real is skipped: no sml2010, flexhouse in the data sets (set PEMS_DATA_DIR)", file=sys.stderr)
        return
    yield _judged(sml(folder, "sml_dining", "Temperature_Comedor_Sensor"))
    yield _judged(sml(folder, "sml_bedroom", "Temperature_Habitacion_Sensor"))
    yield _judged(flexhouse(folder))


def _judged(case: Case) -> Row:
    series = case.series
    split = int(FIT_SHARE * series.steps)
    past = series.part(0, split)
    begun = time.perf_counter()
    fit = identify_house({ROOM: plain_prior(past, ROOM)}, past, vague=PLAIN_VAGUE)[ROOM]
    took = time.perf_counter() - begun
    origins = np.arange(max(split, DAY), series.steps - DAY - 1, ORIGIN_EVERY, dtype=np.int64)
    air = series.air_c[ROOM]
    ends = origins[:, None] + 1 + np.arange(DAY)
    truth = air[ends]
    predictor = HousePredictor.of({ROOM: fit.model}, STEP_S, {ROOM: fit.beliefs})
    heat_in = predictor.heat_in(series.outdoor_c, series.heat_w, series.solar_w_m2, series.local_hour)
    states = predictor.states(series.air_c, *heat_in, origins)
    said = predictor.air_c(states, *heat_in, origins, DAY)[:, :, 0]
    others = {
        "yesterday": air[ends - DAY],
        "persistence": np.repeat(air[origins][:, None], DAY, axis=1),
        "one_node": _one_node(series, split, origins),
    }
    if fit.arx is not None:
        inputs = {"outdoor": series.outdoor_c, "heat": series.heat_w[ROOM], **series.solar_w_m2}
        others["arx"] = fit.arx.predict(air, inputs, origins, DAY)
        others["mix_with_arx"] = _mixed(said, others["arx"], truth, origins)
    error = np.abs(said - truth)
    nis = float((states.innovations[split:, 0] ** 2).mean())
    return {
        "case": case.name,
        "days_fitted": round(split / DAY, 1),
        "origins": len(origins),
        "mae_24h_c": _mean(error),
        "p95_24h_c": round(float(np.quantile(error, 0.95)), 3),
        "rmse_24h_c": round(float(np.sqrt((error**2).mean())), 3),
        **{f"{name}_mae_24h_c": _mean(np.abs(other - truth)) for name, other in others.items()},
        "nis": round(nis, 2),
        "nis_off": round(max(nis, 1.0 / nis), 2),
        **_parameters(fit),
        "fit_s": round(took, 2),
    }


def _mean(values: Floats) -> float:
    return round(float(values.mean()), 4)


def _parameters(fit: RoomFit) -> Row:
    model = fit.model
    return {
        "loss_w_k": round(1.0 / model.rea_k_w, 1),
        "time_constant_h": round(time_constant_h(model), 1),
        "loss_interval_w_k": [round(1.0 / value, 1) for value in reversed(fit.interval["rea_k_w"])],
    }


def _mixed(first: Floats, second: Floats, truth: Floats, origins: Ints) -> Floats:
    """Mixture whose share at each origin follows the predictions that were over by then."""
    blend, done = RollingBlend(_MIX), 0
    result = np.empty_like(first)
    for k, origin in enumerate(origins):
        while origins[done] + DAY <= origin:
            blend.learn(first[done][:, None], second[done][:, None], truth[done], np.array([0.5]))
            done += 1
        result[k] = mix(first[k], second[k], blend.share)
    return result


def _one_node(series: HouseSeries, split: int, origins: Ints) -> Floats:
    """Room of one node (1R1C), fitted on 24-hour errors from every third hour of the past; begins at the reading."""
    air = series.air_c[ROOM]
    driven = np.stack([series.heat_w[ROOM] / 1000.0, *(v / 1000.0 for v in series.solar_w_m2.values())])
    driven = driven[driven.std(axis=1) > 0.0]

    def run(values: Floats, starts: Ints) -> Floats:
        left = np.exp(-STEP_S / 3600.0 / np.exp(values[0]))
        rise = np.exp(values[1 : 1 + len(driven)]) @ driven + values[-1]
        now, said = air[starts], np.empty((len(starts), DAY))
        for k in range(DAY):
            now = left * now + (1.0 - left) * (series.outdoor_c[starts + k] + rise[starts + k])
            said[:, k] = now
        return said

    starts = np.arange(DAY // 4, split - DAY - 1, ORIGIN_EVERY)
    goal = air[starts[:, None] + 1 + np.arange(DAY)]
    begin = np.array([np.log(30.0), *np.zeros(len(driven)), 1.0])

    def off(values: Floats) -> Floats:
        return np.asarray((run(values, starts) - goal).ravel())

    return run(least_squares(off, begin, loss="soft_l1", max_nfev=60).x, origins)
