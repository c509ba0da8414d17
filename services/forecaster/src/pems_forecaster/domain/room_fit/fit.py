"""Fitting rooms: many starts and rooms in lockstep, a robust loss of 24-hour errors, priors on every parameter.

Levenberg-Marquardt (Marquardt 1963, doi:10.1137/0111030) on `sum rho(e) + sum ((p - prior) / spread)^2`, with the
pseudo-Huber loss. Errors of overlapping predictions say the same thing many times: they are weighted as if there were
`PIECES_PER_DAY` independent ones a day.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.errors import Problem, RoomRecord, errors_of
from pems_forecaster.domain.room_fit.parameters import REACH, Parameters, Prior

__all__ = ["Fitted", "Task", "daily_effects", "fit_rooms"]

PIECES_PER_DAY = 4.0
_LEAST_SCALE_K = 0.03
_DAMPING, _EASIER, _HARDER = 1e-2, 0.25, 6.0
_STUCK = 1e6
_ENOUGH = 3e-3  # of the cost, gained in a round
_START_SPREAD = 0.8
_AWAY = 20.0  # errors beyond are cut [K]
_NOTICED_K = 0.4  # what a day's heat has to do to the air to be noticed


@dataclass(frozen=True)
class Task:
    """A room to fit.

    Attributes:
        record: What happened.
        prior: Of its parameters.
        starts: Where to begin besides the prior: how many.
        begin: Where to begin first; the prior's middle where None.
    """

    record: RoomRecord
    prior: Prior
    starts: int = 2
    begin: Floats | None = None


@dataclass(frozen=True)
class Fitted:
    """A fitted room.

    Attributes:
        parameters: Best ones found.
        scale_k: Robust size of the errors [K].
        covariance: Of the parameters' logarithms, with the correlation of errors by day taken into account (P, P).
        mae_k: Mean absolute error in the fit [K].
        cost: What was minimised.
        informed: Share of each parameter's precision that comes from data, not prior (P,).
    """

    parameters: Parameters
    scale_k: float
    covariance: Floats
    mae_k: float
    cost: float
    informed: Floats


@dataclass
class _Run:
    """A start of a task on its way."""

    task: int
    values: Floats
    trial: Floats
    damping: float = _DAMPING
    cost: float = np.inf
    normal: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    slope: Floats = field(default_factory=lambda: np.zeros(0))
    done: bool = False


def _weight(record: RoomRecord, rows: int, scale_k: float) -> float:
    """How much one squared error counts."""
    days = record.wanted.any(axis=1).sum() * float(np.median(np.diff(record.origins))) * record.step_s / 86_400.0
    return float(PIECES_PER_DAY * days / max(rows, 1) / scale_k**2)


def _loss(error: Floats, scale_k: float) -> tuple[Floats, Floats]:
    """Pseudo-Huber loss, quadratic below twice the scale, and weight of each row in the normal equations."""
    z = error / (2.0 * scale_k)
    root = np.sqrt(1.0 + z * z)
    return 2.0 * (2.0 * scale_k) ** 2 * (root - 1.0), 1.0 / root


def _scale(error: Floats) -> float:
    return max(_LEAST_SCALE_K, 1.4826 * float(np.median(np.abs(error))) if len(error) else 1.0)


def fit_rooms(
    tasks: Sequence[Task], *, rounds: int = 40, seed: int = 0, progress: Callable[[float], None] | None = None
) -> list[Fitted]:
    """Fit rooms whose records share steps, origins and horizons.

    Args:
        tasks: The rooms.
        rounds: Evaluations of every start at most, in each of two passes.
        seed: For the further starts.
        progress: Told the share that is done.
    """
    rng = np.random.default_rng(seed)
    problems = [Problem(task.record, task.prior) for task in tasks]
    runs: list[_Run] = []
    for number, task in enumerate(tasks):
        first = task.prior.middle if task.begin is None else task.begin
        for start in range(1 + task.starts):
            away = rng.normal(0.0, _START_SPREAD, len(first)) * task.prior.spread if start else 0.0
            values = _held(first + away, task.prior)
            runs.append(_Run(number, values, values.copy()))
    begun = [run for run in runs if np.array_equal(run.values, runs[_first(runs, run.task)].values)]
    found = errors_of(*_arguments(problems, begun))
    scales = {run.task: _scale(error) for run, (error, _) in zip(begun, found, strict=True)}
    total = 2.0 * rounds
    for again in range(2):
        for number in range(rounds):
            active = [run for run in runs if not run.done]
            if not active:
                break
            for run, (error, jacobian) in zip(active, errors_of(*_arguments(problems, active)), strict=True):
                _step(run, tasks[run.task], error, jacobian, scales[run.task])
            if not again and number == rounds // 3:
                _drop(runs)
            if progress is not None:
                progress((again * rounds + number) / total)
        runs = [_best(runs, number) for number in range(len(tasks))]
        found = errors_of(*_arguments(problems, runs))
        scales = {run.task: _scale(error) for run, (error, _) in zip(runs, found, strict=True)}
        for run in runs:
            run.done, run.cost, run.damping = False, np.inf, _DAMPING
            run.trial = run.values.copy()
    return [
        _fitted(problems[run.task], run.values, error, jacobian)
        for run, (error, jacobian) in zip(runs, found, strict=True)
    ]


def _arguments(problems: Sequence[Problem], runs: Sequence[_Run]) -> tuple[list[Problem], list[Floats]]:
    return [problems[run.task] for run in runs], [run.trial for run in runs]


def _first(runs: Sequence[_Run], task: int) -> int:
    return next(k for k, run in enumerate(runs) if run.task == task)


def _held(values: Floats, prior: Prior) -> Floats:
    reach = REACH * prior.spread
    return np.clip(values, prior.middle - reach, prior.middle + reach)


def _step(run: _Run, task: Task, error: Floats, jacobian: Floats, scale_k: float) -> None:
    """Take or refuse a trial, and set the next one."""
    prior, clean = task.prior, np.clip(np.nan_to_num(error, nan=_AWAY), -_AWAY, _AWAY)
    loss, rows = _loss(clean, scale_k)
    weight = _weight(task.record, len(error), scale_k)
    away = (run.trial - prior.middle) / prior.spread
    cost = weight * float(loss.sum()) + float(away @ away)
    if cost < run.cost and np.isfinite(jacobian).all():
        run.done = run.cost - cost < _ENOUGH * cost
        run.cost, run.values = cost, run.trial.copy()
        weighted = jacobian * (weight * rows)[:, None]
        run.normal = weighted.T @ jacobian + np.diag(prior.spread**-2.0)
        run.slope = weighted.T @ clean + away / prior.spread
        run.damping = max(run.damping * _EASIER, 1e-6)
    else:
        run.damping *= _HARDER
        run.done = run.damping > _STUCK
    if not run.done and len(run.slope):
        damped = run.normal + run.damping * np.diag(np.diag(run.normal))
        run.trial = _held(run.values - np.linalg.solve(damped, run.slope), prior)


def _best(runs: Sequence[_Run], task: int) -> _Run:
    best = min((run for run in runs if run.task == task), key=lambda run: run.cost)
    best.trial = best.values.copy()
    return best


def _drop(runs: list[_Run]) -> None:
    """End starts that are far behind the best of their room."""
    for run in runs:
        best = min(other.cost for other in runs if other.task == run.task)
        run.done = run.done or run.cost > 1.1 * best + 1.0


def _fitted(problem: Problem, values: Floats, error: Floats, jacobian: Floats) -> Fitted:
    """Sum up: intervals from the Gauss-Newton Hessian, corrected by how days agree (sandwich of day blocks)."""
    scale_k = _scale(error)
    _, rows = _loss(error, scale_k)
    weight = _weight(problem.record, len(error), scale_k)
    prior_precision = np.diag(problem.prior.spread**-2.0)
    weighted = jacobian * (weight * rows)[:, None]
    data = weighted.T @ jacobian
    inverse = np.linalg.inv(data + prior_precision)
    origin = problem.record.origins[problem.row_origin]
    _, day = np.unique((origin * problem.record.step_s) // 86_400, return_inverse=True)
    count = int(day.max()) + 1 if len(day) else 1
    slopes = np.zeros((count, len(values)))
    np.add.at(slopes, day, weighted * error[:, None])
    # Neighbouring days share half of their windows: Bartlett weights over two lags (Newey and West 1987).
    meat = slopes.T @ slopes
    for lag, share in ((1, 2.0 / 3.0), (2, 1.0 / 3.0)):
        if count > lag:
            cross = slopes[lag:].T @ slopes[:-lag]
            meat += share * (cross + cross.T)
    covariance = inverse @ (meat + prior_precision) @ inverse
    informed = 1.0 - np.clip(np.diag(inverse) / problem.prior.spread**2, 0.0, 1.0)
    return Fitted(
        Parameters(problem.prior, values),
        scale_k,
        0.5 * (covariance + covariance.T),
        float(np.abs(error).mean()) if len(error) else float("nan"),
        weight * float(_loss(error, scale_k)[0].sum()),
        informed,
    )


def daily_effects(tasks: Sequence[Task]) -> list[Floats]:
    """Return for each room, as it is where its task begins, the share of the told heat that explains each day best.

    Days on which the heat can hardly be noticed are NaN (days,).
    """
    problems = [Problem(task.record, task.prior) for task in tasks]
    values = [task.prior.middle if task.begin is None else task.begin for task in tasks]
    return [
        _daily_effect(*each) for each in zip(problems, *zip(*errors_of(problems, values), strict=True), strict=True)
    ]


def _daily_effect(problem: Problem, error: Floats, jacobian: Floats) -> Floats:
    days = -(-len(problem.measured) * problem.record.step_s // 86_400)
    effect = np.full(days, np.nan)
    if problem.effect is None:
        return effect
    response = -jacobian[:, problem.effect]
    day = problem.row_end * problem.record.step_s // 86_400
    power = np.bincount(day, response**2, days)
    rows = np.bincount(day, minlength=days)
    enough = power > rows * _NOTICED_K**2
    effect[enough] = 1.0 + (np.bincount(day, error * response, days) / np.maximum(power, 1e-9))[enough]
    return effect
