"""Rooms with faults (issue of the rooms, "Faults"): does identification say so in plain words, and stay sane?

Three rooms of the model class live 28 winter days under a thermostat with a night setback. One of them is then spoilt
in one way: its sensor tells steps of 0.5 C; 58 % of its readings are missing; it is stuck for four days; a window
stands open for an afternoon; a stove is lit on three evenings; its relay reports on but the room is not heated, all the
time or from day 14 on. Each case tells the warnings, the error on held-out days, and how far loss and time constant are
off.

`said`: a warning has the words that belong to the fault. `sane`: loss within a factor of 1.5 of the truth (of 3 where
no heat arrives, where nothing can be known and the tier is `observe`), and the other rooms within 15 % of what they
were without the fault.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from benchmarks._gates import Gate, Row

from pems_common.messages import RoomModel
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.identify import RoomFit, identify_house
from pems_forecaster.domain.room_fit.intervals import time_constant_h
from pems_forecaster.domain.room_fit.predict import HousePredictor
from pems_forecaster.domain.room_fit.series import HouseSeries

STEP_S, DAY = 900, 96
DAYS, SEED, ROOM = 28, 11, "study"
START_S = 1_767_571_200  # 2026-01-05
_SPREAD = 0.25
_GAINS = {str(hour): 60.0 for hour in range(24)}
TRUE: Mapping[str, RoomModel] = {
    "study": RoomModel(
        ria_k_w=1 / 110,
        rea_k_w=1 / 22,
        ci_j_k=1.4e6,
        cm_j_k=3.2e6,
        neighbours={"hall": 9.0},
        solar_m2={"south": 1.2},
        gains_w=_GAINS,
        heater_w=1200.0,
        heat_to_mass=0.95,
    ),
    "hall": RoomModel(
        ria_k_w=1 / 90,
        rea_k_w=1 / 18,
        ci_j_k=1.0e6,
        cm_j_k=2.6e6,
        neighbours={"study": 9.0, "bath": 7.0},
        solar_m2={"west": 0.4},
        gains_w=_GAINS,
        heater_w=1000.0,
        heat_to_mass=0.95,
    ),
    "bath": RoomModel(
        ria_k_w=1 / 60,
        rea_k_w=1 / 12,
        ci_j_k=0.6e6,
        cm_j_k=1.5e6,
        neighbours={"hall": 7.0},
        solar_m2={"west": 0.3},
        gains_w=_GAINS,
        heater_w=700.0,
        heat_to_mass=0.95,
    ),
}


@dataclass(frozen=True)
class Fault:
    """A way to go wrong.

    Attributes:
        name: Of the case.
        words: Of which one has to be in a warning.
        extra_w: Heat into the air besides (T,).
        window_w_k: Conductance to outdoors besides (T,).
        arrives: Share of the heat that arrives (T,).
        tells: What the sensor makes of the truth.
    """

    name: str
    words: tuple[str, ...]
    extra_w: Floats
    window_w_k: Floats
    arrives: Floats
    tells: Callable[[Floats], Floats]


def drawn_house(priors: Mapping[str, RoomModel], seed: int) -> dict[str, RoomModel]:
    """Draw true rooms around priors."""
    rng = np.random.default_rng(seed)

    def off(value: float) -> float:
        return value * float(np.exp(rng.normal(0.0, _SPREAD)))

    names = ("ria_k_w", "rea_k_w", "ci_j_k", "cm_j_k")
    return {
        room: model.model_copy(
            update={
                **{name: off(getattr(model, name)) for name in names},
                "heat_to_mass": min(model.heat_to_mass, 0.95),
            }
        )
        for room, model in priors.items()
    }


def weather(days: int, seed: int) -> tuple[Floats, dict[str, Floats]]:
    """Make winter weather: outdoor temperature, and irradiance to the south and west."""
    rng = np.random.default_rng(seed)
    steps = days * DAY
    hour = np.arange(steps) / 4.0 % 24.0
    slow = np.convolve(rng.normal(0.0, 0.5, steps + 4 * DAY), np.exp(-np.arange(4 * DAY) / DAY), mode="valid")[:steps]
    outdoor = 0.5 + 3.0 * np.sin((hour - 9.0) / 24.0 * 2.0 * np.pi) + slow
    clear = np.repeat(rng.uniform(0.05, 1.0, days), DAY)
    south = 450.0 * clear * np.clip(np.sin((hour - 7.5) / 9.0 * np.pi), 0.0, None) * ((hour > 7.5) & (hour < 16.5))
    west = 200.0 * clear * np.clip(np.sin((hour - 11.0) / 5.5 * np.pi), 0.0, None) * ((hour > 11.0) & (hour < 16.5))
    return outdoor, {"south": south, "west": west}


def lived_by_model(models: Mapping[str, RoomModel], days: int, seed: int, fault: Fault | None = None) -> HouseSeries:
    """Let rooms of the model class live under thermostats: 20.5 C, 18.5 C at night; a fault befalls `ROOM`."""
    rng = np.random.default_rng(seed + 1)
    outdoor, solar = weather(days, seed)
    steps, names, n = days * DAY, tuple(models), len(models)
    hour = (np.arange(steps) // 4 % 24).astype(np.int64)
    predictor = HousePredictor.of(models, STEP_S)
    to_air, to_mass = predictor.heat_in(outdoor, {}, solar, hour)
    heater = np.array([model.heater_w for model in models.values()])
    share = np.array([model.heat_to_mass for model in models.values()])
    loss = np.array([1.0 / model.rea_k_w for model in models.values()])
    goal = 20.5 + 0.4 * (np.arange(n) % 3) - 2.0 * ((hour < 5) | (hour >= 22))[:, None]
    spoilt = names.index(ROOM) if fault is not None else 0
    now, on, drift = np.concatenate([np.full(n, 20.0), np.full(n, 21.5)]), np.zeros(n, dtype=np.bool_), np.zeros(n)
    air, heat = np.empty((steps, n)), np.zeros((steps, n))
    for k in range(steps):
        air[k] = now[:n]
        on = np.where(air[k] < goal[k] - 0.15, True, np.where(air[k] > goal[k] + 0.15, False, on))
        heat[k] = on * heater
        given, extra = heat[k].copy(), np.zeros(n)
        if fault is not None:
            given[spoilt] *= fault.arrives[k]
            extra[spoilt] = fault.extra_w[k] + fault.window_w_k[k] * (outdoor[k] - air[k, spoilt])
        drift = 0.97 * drift + rng.normal(0.0, 0.15, n) * loss
        now = predictor.step @ now + predictor.air_in @ (to_air[k] + drift + extra + (1.0 - share) * given)
        now = now + predictor.mass_in @ (to_mass[k] + share * given)
    told = np.round(air + rng.normal(0.0, 0.04, air.shape), 1)
    series = {name: told[:, i] for i, name in enumerate(names)}
    if fault is not None:
        series[ROOM] = fault.tells(air[:, spoilt] + rng.normal(0.0, 0.04, steps))
    return HouseSeries(
        START_S, STEP_S, series, {name: heat[:, i] for i, name in enumerate(names)}, outdoor, solar, hour, {}
    )


def _fine(air: Floats) -> Floats:
    return np.round(air, 1)


def _coarse(air: Floats) -> Floats:
    return np.round(2.0 * air) / 2.0


def _rare(air: Floats) -> Floats:
    gone = np.random.default_rng(3).random(len(air)) < 0.58
    return np.where(gone, np.nan, _fine(air))


def _stuck(air: Floats) -> Floats:
    told = _fine(air)
    told[12 * DAY : 16 * DAY] = told[12 * DAY]
    return told


def faults() -> tuple[Fault, ...]:
    """Return all faults."""
    none, whole = np.zeros(DAYS * DAY), np.ones(DAYS * DAY)

    def at(days: tuple[int, ...], first_h: int, until_h: int, value: float) -> Floats:
        result = none.copy()
        for day in days:
            result[day * DAY + 4 * first_h : day * DAY + 4 * until_h] = value
        return result

    late = np.where(np.arange(DAYS * DAY) < 14 * DAY, 1.0, 0.0)
    return (
        Fault("quantised", ("steps of 0.5",), none, none, whole, _coarse),
        Fault("missing", ("% of the time nothing was measured",), none, none, whole, _rare),
        Fault("stuck", ("very same value",), none, none, whole, _stuck),
        Fault("window", ("window",), none, at((10,), 13, 17, 90.0), whole, _fine),
        Fault("stove", ("without heater or sun",), at((8, 15, 20), 18, 22, 2500.0), none, whole, _fine),
        Fault("dead_relay", ("relay reports on",), none, none, none, _fine),
        Fault("dying_relay", ("relay reports on",), none, none, late, _fine),
    )


GATES: tuple[Gate, ...] = tuple(
    Gate(fault.name, figure, 0, 0) for fault in faults() for figure in ("not_said", "not_sane", "wrongly_trusted")
)


def cases() -> Iterator[Row]:
    """Identify without a fault, then with each."""
    priors = drawn_house(TRUE, SEED)
    usual = identify_house(priors, lived_by_model(TRUE, DAYS, SEED))
    yield _row("no_fault", None, usual, usual)
    for fault in faults():
        found = identify_house(priors, lived_by_model(TRUE, DAYS, SEED, fault))
        yield _row(fault.name, fault, found, usual)


def _row(name: str, fault: Fault | None, found: Mapping[str, RoomFit], usual: Mapping[str, RoomFit]) -> Row:
    fit, truth = found[ROOM], TRUE[ROOM]
    ratio = truth.rea_k_w / fit.model.rea_k_w
    dead = fault is not None and not fault.arrives.any()
    others = max(abs(found[room].model.rea_k_w / usual[room].model.rea_k_w - 1.0) for room in TRUE if room != ROOM)
    said = fault is None or any(word in warning for warning in fit.warnings for word in fault.words)
    limit = 3.0 if dead else 1.5
    error = fit.evidence.mae_24h_c
    return {
        "case": name,
        "mae_24h_c": error,
        "loss_ratio": round(ratio, 2),
        "time_constant_ratio": round(time_constant_h(fit.model) / time_constant_h(truth), 2),
        "others_off_pct": round(100.0 * others, 1),
        "tier": fit.tier(),
        "not_said": int(not said),
        "not_sane": int(not 1.0 / limit <= ratio <= limit or others > 0.15),
        "wrongly_trusted": int(fit.tier() == "control" and (dead or error is None or error > 0.5)),
        "warnings": list(fit.warnings),
        "left_out_h": fit.left_out,
    }
