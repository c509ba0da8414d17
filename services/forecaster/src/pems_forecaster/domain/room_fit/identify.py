"""Identifies the rooms of a house from their history: models, intervals, evidence, and what is wrong.

Rooms are fitted on the first part of the history with their neighbours as measured, tested on the last part with all
rooms simulated together, and fitted once more on the whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from pems_common.messages import Evidence, RoomModel
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.arx import ArxModel, fit_arx
from pems_forecaster.domain.room_fit.complaints import Doubt, complaints
from pems_forecaster.domain.room_fit.errors import RoomRecord
from pems_forecaster.domain.room_fit.excitation import excitation
from pems_forecaster.domain.room_fit.fit import Fitted, Task, daily_effects, fit_rooms
from pems_forecaster.domain.room_fit.intervals import difference_k, intervals
from pems_forecaster.domain.room_fit.parameters import (
    Parameters,
    gain_shapes,
    prior_of,
)
from pems_forecaster.domain.room_fit.predict import Beliefs, HousePredictor
from pems_forecaster.domain.room_fit.screening import Screened, filled, screen
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.domain.room_fit.trust import Tier, tier_of

__all__ = ["STEP_S", "RoomFit", "identify_house"]

STEP_S = 900
_DAY = 86_400 // STEP_S
_AHEAD = np.array([1, 3, 6, 11, 17, 25, 34, 44, 55, 68, 82, 96])
_EVERY = 8  # steps between origins of the fit
_TEST_EVERY = 12
_SETTLE = 144  # steps after which the filter is believed
_TEST_SHARE, _TEST_DAYS = 0.3, 10
_LEAST_FIT_DAYS, _LEAST_TEST_DAYS = 3, 2
_SENSOR_K = 0.03
_STARTS = 2
_DEAD = 0.35  # share of the told heat below which a heater does not heat
_LATELY = 3
_RECOVER = 24  # steps
_LEAST_COUPLING_SD = 0.15


@dataclass(frozen=True)
class RoomFit:
    """What is known of a room after looking at its history.

    Attributes:
        room: Its name.
        model: Fitted on the whole history.
        interval: 90 % interval per scalar parameter, per neighbour (`neighbour:<room>`), aperture (`solar:<plane>`),
            and of the slowest time constant (`time_constant_h`).
        evidence: On the days that the model was not fitted on, with all rooms simulated together.
        arx: Challenger; None where there is too little to fit it on.
        p95_24h_c: 95 % of the errors there are smaller.
        nis: Mean squared innovation over its variance there; 1 where the filter believes the right things.
        warnings: What is wrong with data or model, and what to do.
        left_out: Hours that were left out, by reason.
        faulty: Whether something is wrong that the error may not show, such as a relay that does not heat.
        beliefs: Of the filter that goes with the model.
    """

    room: str
    model: RoomModel
    interval: dict[str, tuple[float, float]]
    evidence: Evidence
    arx: ArxModel | None
    p95_24h_c: float | None
    nis: float | None
    warnings: tuple[str, ...]
    left_out: dict[str, float]
    faulty: bool = False
    beliefs: Beliefs = field(default_factory=Beliefs)

    def tier(self, before: Tier | None = None) -> Tier:
        """Return how far the model is trusted, given the tier that the room had before."""
        low, high = self.interval["rea_k_w"]
        return tier_of(self.evidence, loss_interval_ratio=high / low, nis=self.nis, faulty=self.faulty, before=before)


@dataclass(frozen=True)
class _House:
    """Series without holes in the inputs, and the rooms' screened histories."""

    series: HouseSeries
    rooms: Mapping[str, Screened]
    near_c: Mapping[str, Floats]
    priors: Mapping[str, RoomModel]
    vague: float


def identify_house(
    priors: Mapping[str, RoomModel],
    series: HouseSeries,
    *,
    vague: float = 1.0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, RoomFit]:
    """Identify all rooms that were measured.

    Args:
        priors: Model of each room before any data.
        series: Their history, in steps of 5 or 15 minutes.
        vague: How much wider than usual the priors are; 2 where they are not made from what is known of the room.
        progress: Told the share that is done.

    Raises:
        ValueError: The steps are of another length.
    """
    house = _prepared(priors, series, vague)
    names = tuple(house.rooms)
    steps = house.series.steps
    days = steps // _DAY
    test_days = min(_TEST_DAYS, int(_TEST_SHARE * days))
    tell = progress or (lambda _: None)
    split = steps - test_days * _DAY if test_days >= _LEAST_TEST_DAYS and days - test_days >= _LEAST_FIT_DAYS else None
    scores: dict[str, _Score] = {}
    first = _fit(house, _tasks(house, split or steps, {}, _STARTS), lambda share: tell(0.5 * share))
    house, doubts = _without_dead_heat(house, first)
    if split is not None:
        first = _fit(house, _tasks(house, split, first, 0), lambda share: tell(0.5 + 0.2 * share))
        scores = _scores(house, first, split)
    final = _fit(house, _tasks(house, steps, first, 0), lambda share: tell(0.7 + 0.25 * share))
    beliefs = dict(zip(names, _calibrated(house, final, steps).beliefs, strict=True))
    result = {
        room: _told(room, house, final[room], scores.get(room), beliefs[room], doubts.get(room)) for room in names
    }
    tell(1.0)
    return result


def _prepared(priors: Mapping[str, RoomModel], series: HouseSeries, vague: float) -> _House:
    coarse = series.coarse(STEP_S)
    outdoor, _ = filled(coarse.outdoor_c, 0)
    solar = {plane: np.nan_to_num(values) for plane, values in coarse.solar_w_m2.items()}
    rooms = {room: screen(coarse, room) for room in priors if room in coarse.air_c}
    near = {room: filled(screened.air_c, 0)[0] for room, screened in rooms.items() if np.isfinite(screened.air_c).any()}
    heat = {room: screened.heat_w for room, screened in rooms.items()}
    return _House(replace(coarse, outdoor_c=outdoor, solar_w_m2=solar, heat_w=heat), rooms, near, priors, vague)


def _record(house: _House, room: str, neighbours: tuple[str, ...], planes: tuple[str, ...], until: int) -> RoomRecord:
    screened, series = house.rooms[room], house.series
    air = screened.air_c[:until]
    origins = np.arange(min(_SETTLE, until // 6), until - 1, _EVERY, dtype=np.int64)
    ends = origins[:, None] + _AHEAD[None, :]
    inside = ends < until
    ends = np.minimum(ends, until - 1)
    spoilt = np.concatenate([[0], np.cumsum(screened.spoilt[:until])])
    clean = spoilt[ends + 1] - spoilt[origins][:, None] == 0
    known = np.concatenate([[0], np.cumsum(np.isfinite(air))])
    lately = known[origins + 1] - known[np.maximum(origins - _DAY, 0)] >= _DAY // 4
    fresh = known[origins + 1] - known[np.maximum(origins - 3, 0)] > 0
    return RoomRecord(
        air,
        series.outdoor_c[:until],
        {name: house.near_c[name][:until] for name in neighbours},
        screened.heat_w[:until],
        {plane: series.solar_w_m2[plane][:until] for plane in planes},
        gain_shapes()[:, series.local_hour[:until]],
        origins,
        _AHEAD,
        inside & clean & np.isfinite(air[ends]) & (lately & fresh)[:, None],
        STEP_S,
    )


def _tasks(house: _House, until: int, before: Mapping[str, Fitted], starts: int) -> list[Task]:
    """Rooms to fit on the steps before `until`; after a first fit, both sides of a wall agree on what it conducts."""
    agreed = _agreed_couplings(before)
    tasks = []
    for room, screened in house.rooms.items():
        prior_model = house.priors[room]
        near = tuple(name for name in prior_model.neighbours if name in house.near_c)
        planes = tuple(plane for plane in prior_model.solar_m2 if plane in house.series.solar_w_m2)
        sensor_k2 = _SENSOR_K**2 + screened.resolution_k**2 / 12.0
        prior = prior_of(prior_model, near, planes, sensor_k2, vague=house.vague, doubt_heat=not before)
        middle, spread = prior.middle.copy(), prior.spread.copy()
        for k, name in enumerate(prior.names):
            if (pair := frozenset({room, name.partition(":")[2]})) in agreed and name.startswith("neighbour:"):
                middle[k], spread[k] = agreed[pair]
        begin = before[room].parameters.without("heat_effect").values if room in before else None
        record = _record(house, room, near, planes, until)
        tasks.append(Task(record, replace(prior, middle=middle, spread=spread), starts, begin))
    return tasks


def _without_dead_heat(house: _House, first: Mapping[str, Fitted]) -> tuple[_House, dict[str, Doubt]]:
    """Set days aside on which a relay reported on, but the room did not warm; say which rooms cannot be heated."""
    rooms, doubts = dict(house.rooms), {}
    tasks = _tasks(house, house.series.steps, {}, 0)
    begun = [replace(task, begin=one.parameters.values) for task, one in zip(tasks, first.values(), strict=True)]
    for (room, fitted), daily in zip(first.items(), daily_effects(begun), strict=True):
        effect = fitted.parameters.of("heat_effect", 1.0)
        told = np.nan_to_num(daily, nan=1.0) * effect
        dead = _in_a_row(told < _DEAD)
        if effect < _DEAD:
            doubts[room] = Doubt(effect, len(told), now=True)
        elif dead.any():
            doubts[room] = Doubt(float(told[dead].mean()), int(dead.sum()), now=bool(dead[-_LATELY:].any()))
            steps = np.repeat(dead, _DAY)[: house.series.steps]
            mask = np.zeros(house.series.steps, dtype=np.bool_)
            mask[: len(steps)] = steps
            rooms[room] = rooms[room].with_spoilt("heat without effect", mask, STEP_S)
    return replace(house, rooms=rooms), doubts


def _in_a_row(days: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Days that are not alone."""
    beside = np.zeros(len(days), dtype=np.bool_)
    beside[1:] |= days[:-1]
    beside[:-1] |= days[1:]
    return days & beside


def _agreed_couplings(fitted: Mapping[str, Fitted]) -> dict[frozenset[str], tuple[float, float]]:
    """Return logarithm and spread of the conductance between each two rooms, from what both say of it."""
    said: dict[frozenset[str], list[tuple[float, float]]] = {}
    for room, one in fitted.items():
        for k, name in enumerate(one.parameters.prior.names):
            if name.startswith("neighbour:"):
                pair = frozenset({room, name.partition(":")[2]})
                said.setdefault(pair, []).append((float(one.parameters.values[k]), float(one.covariance[k, k])))
    agreed = {}
    for pair, sides in said.items():
        weights = [1.0 / max(variance, _LEAST_COUPLING_SD**2) for _, variance in sides]
        middle = sum(w * value for w, (value, _) in zip(weights, sides, strict=True)) / sum(weights)
        agreed[pair] = (middle, sqrt(1.0 / sum(weights)))
    return agreed


def _fit(house: _House, tasks: list[Task], progress: Callable[[float], None]) -> dict[str, Fitted]:
    return dict(zip(house.rooms, fit_rooms(tasks, progress=progress), strict=True))


@dataclass(frozen=True)
class _Score:
    """How a room was predicted on the days that it was not fitted on."""

    mae_c: float | None
    simple_mae_c: float | None
    p95_c: float | None
    surprise: float | None


def beliefs_of(parameters: Parameters) -> Beliefs:
    """Return what a fitted room's filter believes."""
    return Beliefs(
        parameters.prior.sensor_k2,
        parameters.of("air_noise"),
        parameters.of("mass_noise"),
        parameters.of("drift"),
        min(parameters.of("fade_h"), 60.0),
    )


def _predictor(house: _House, fitted: Mapping[str, Fitted]) -> HousePredictor:
    models = {room: one.parameters.model() for room, one in fitted.items()}
    return HousePredictor.of(models, STEP_S, {room: beliefs_of(one.parameters) for room, one in fitted.items()})


def _heat_in(house: _House, predictor: HousePredictor) -> tuple[Floats, Floats]:
    series = house.series
    return predictor.heat_in(series.outdoor_c, series.heat_w, series.solar_w_m2, series.local_hour)


def _calibrated(house: _House, fitted: Mapping[str, Fitted], until: int) -> HousePredictor:
    """Scale what each filter believes, so that its innovations before `until` are as large as it expects.

    All variances grow alike, so the filter itself stays as it was fitted. Innovations beyond four standard deviations
    count as four.
    """
    predictor = _predictor(house, fitted)
    air, mass = _heat_in(house, predictor)
    measured = {room: screened.air_c[:until] for room, screened in house.rooms.items()}
    innovations = predictor.states(measured, air[:until], mass[:until], []).innovations[_DAY:]
    beliefs = []
    for belief, own in zip(predictor.beliefs, innovations.T, strict=True):
        known = own[np.isfinite(own)]
        size = float(np.median(np.abs(known))) * 1.4826 if len(known) > _DAY else 1.0
        factor = 1.0
        if size > 0.0 and len(known) > _DAY:
            factor = float((np.clip(known, -4.0 * max(size, 1.0), 4.0 * max(size, 1.0)) ** 2).mean())
        beliefs.append(belief.scaled(factor))
    return replace(predictor, beliefs=tuple(beliefs))


def _scores(house: _House, fitted: Mapping[str, Fitted], split: int) -> dict[str, _Score]:
    """Predict all rooms together from origins after the split."""
    predictor = _calibrated(house, fitted, split)
    air, mass = _heat_in(house, predictor)
    origins = np.arange(split, house.series.steps - _DAY, _TEST_EVERY, dtype=np.int64)
    measured = {room: screened.air_c for room, screened in house.rooms.items()}
    states = predictor.states(measured, air, mass, origins)
    said = predictor.air_c(states, air, mass, origins, _DAY)
    ends = origins[:, None] + 1 + np.arange(_DAY)
    scores = {}
    for i, (room, screened) in enumerate(house.rooms.items()):
        spoilt = np.concatenate([[0], np.cumsum(screened.spoilt)])
        clean = spoilt[ends + 1] - spoilt[origins][:, None] == 0
        truth, yesterday = screened.air_c[ends], screened.air_c[ends - _DAY]
        good = clean & np.isfinite(truth)
        if good.sum() < _DAY:
            scores[room] = _Score(None, None, None, None)
            continue
        error = np.abs(said[:, :, i] - truth)[good]
        both = good & np.isfinite(yesterday)
        simple = np.abs(yesterday - truth)[both]
        innovations = states.innovations[split:, i]
        # After a stove or an open window the filter needs hours to find the room again.
        lately = spoilt[split + 1 :] - spoilt[np.maximum(np.arange(split, house.series.steps) - _RECOVER, 0)] > 0
        known = innovations[np.isfinite(innovations) & ~lately]
        scores[room] = _Score(
            float(error.mean()),
            float(simple.mean()) if len(simple) else None,
            float(np.quantile(error, 0.95)),
            float((known**2).mean()) if len(known) else None,
        )
    return scores


def _told(
    room: str, house: _House, fitted: Fitted, score: _Score | None, beliefs: Beliefs, doubt: Doubt | None
) -> RoomFit:
    screened, series = house.rooms[room], house.series
    known = np.isfinite(screened.air_c)
    said = score or _Score(None, None, None, None)
    evidence = Evidence(
        mae_24h_c=_rounded(said.mae_c),
        simple_mae_24h_c=_rounded(said.simple_mae_c),
        days=round(float((known & ~screened.spoilt).sum()) / _DAY, 2),
        excitation=excitation(screened.air_c, screened.heat_w, screened.spoilt, STEP_S),
    )
    arx = None
    if known.any():
        inputs = {"outdoor": series.outdoor_c, "heat": screened.heat_w, **series.solar_w_m2}
        arx = fit_arx(house.near_c[room], known & ~screened.spoilt, inputs, _DAY)
    model = fitted.parameters.model()
    complaint = complaints(room, model, house.priors[room], screened, evidence, doubt, series.steps * STEP_S / 3600.0)
    return RoomFit(
        room,
        model,
        intervals(fitted, difference_k(screened.air_c, series.outdoor_c)),
        evidence,
        arx,
        _rounded(said.p95_c),
        _rounded(said.surprise),
        complaint,
        dict(screened.hours),
        doubt is not None and doubt.now,
        beliefs,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
