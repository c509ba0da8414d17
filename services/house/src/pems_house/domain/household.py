"""What the people in the house do on a local day: where they are, what they switch on, when they air, wash and drive.

A day is drawn whole from (seed, date), by minute of the local wall clock (1440), so that it does not depend on how
the simulation is stepped. When the clock is put back an hour is lived twice, when it is put on one is left out.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_house.domain.chance import generator

__all__ = ["HouseholdDay", "draw_day", "room_use"]

Floats = NDArray[np.float64]

_PERSONS = 4
_PERSON_W, _PERSON_G_H = 80.0, 45.0
# Mean use without appliances below, relative to its mean, by local hour.
# fmt: off
_WORKDAY = (
    0.55, 0.5, 0.5, 0.5, 0.52, 0.7, 1.25, 1.35, 1.0, 0.8, 0.75, 0.8,
    0.9, 0.85, 0.8, 0.9, 1.15, 1.45, 1.65, 1.75, 1.7, 1.5, 1.15, 0.8,
)
_WEEKEND = (
    0.6, 0.52, 0.5, 0.5, 0.5, 0.52, 0.65, 0.95, 1.25, 1.3, 1.25, 1.3,
    1.35, 1.2, 1.1, 1.05, 1.15, 1.4, 1.6, 1.65, 1.6, 1.45, 1.15, 0.8,
)
# fmt: on
# Names of rooms, Czech and English, that tell their use.
_USES = {
    "living": ("obyvak", "living"),
    "kitchen": ("kuchyn", "kitchen"),
    "bedroom": ("loznice", "pokoj", "bedroom"),
    "office": ("pracovna", "office"),
    "bath": ("koupelna", "bath"),
    "utility": ("technick", "utility"),
}


@dataclass(frozen=True)
class HouseholdDay:
    """One local day by minutes.

    Attributes:
        load_w: Electricity of lights, standby and appliances (minutes).
        gains_w: Heat of people and appliances by room (minutes, n).
        moisture_g_h: Water vapour by room (minutes, n).
        window_open: 1 where somebody has opened a window (minutes, n).
        someone_home: Whether anybody is there (minutes).
        hot_water_w: Heat taken from the water tank (minutes).
        car_away: Whether the car is away (minutes).
        drive_wh: Energy the car uses on this day.
    """

    load_w: Floats
    gains_w: Floats
    moisture_g_h: Floats
    window_open: Floats
    someone_home: NDArray[np.bool_]
    hot_water_w: Floats
    car_away: NDArray[np.bool_]
    drive_wh: float


def room_use(name: str) -> str:
    """Return what a room is used for, `other` where its name does not tell."""
    return next((use for use, words in _USES.items() if any(word in name for word in words)), "other")


def draw_day(home: Home, day: date, seed: int) -> HouseholdDay:
    """Draw a local day of a home."""
    minutes = 1440
    rng = generator(seed, "household", day.toordinal())
    weekend = day.weekday() >= 5
    names = tuple(home.rooms)
    people = _presence(names, weekend, minutes, rng)
    home_share = people.sum(axis=1) / _PERSONS
    load_w, gains_w, moisture = _electricity(home, names, weekend, minutes, home_share, rng)
    gains_w += people * _PERSON_W
    moisture += people * _PERSON_G_H
    hot_water_w = _hot_water(home, weekend, minutes, rng)
    baths = [i for i, name in enumerate(names) if room_use(name) == "bath"]
    if baths:
        moisture[:, baths[0]] += np.minimum(hot_water_w, 20_000.0) * 0.12
    car_away, drive_wh = _car(weekend, minutes, rng)
    windows = _airing(home, names, weekend, minutes, home_share, rng)
    return HouseholdDay(load_w, gains_w, moisture, windows, home_share > 0, hot_water_w, car_away, drive_wh)


def _presence(names: tuple[str, ...], weekend: bool, minutes: int, rng: np.random.Generator) -> Floats:
    """Persons by minute and room."""
    people = np.zeros((minutes, len(names)))
    by_use: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        by_use.setdefault(room_use(name), []).append(i)
    living = by_use.get("living") or list(range(len(names)))
    kitchen = by_use.get("kitchen") or living
    bedrooms = by_use.get("bedroom") or living
    baths = by_use.get("bath") or living
    office = by_use.get("office") or living
    home_office = not weekend and rng.random() < 0.35
    outing = weekend and rng.random() < 0.4
    for person in range(_PERSONS):
        bed = bedrooms[(0, 0, 1, 2)[person] % len(bedrooms)]
        wakes = int(rng.normal(500 if weekend else 380, 25))
        sleeps = int(rng.normal(1380 if person < 2 else 1300, 30))
        leaves = int(rng.normal(780, 40)) if outing else int(rng.normal(445, 12))
        back = int(rng.normal(1050, 50)) if outing else int(rng.normal((1020, 960, 880, 900)[person], 30))
        away = outing or (not weekend and not (person == 1 and home_office))
        for begin in range(0, minutes, 15):
            if begin < wakes or begin >= sleeps:
                room = bed
            elif away and leaves <= begin < back:
                continue
            elif begin < wakes + 45:
                room = int(rng.choice([baths[person % len(baths)], kitchen[0], bed]))
            elif person == 1 and home_office and 510 <= begin < 960:
                room = office[0]
            else:
                room = int(rng.choice([living[0], living[0], kitchen[0], bed, office[0]]))
            people[begin : begin + 15, room] += 1.0
    return people


def _electricity(
    home: Home, names: tuple[str, ...], weekend: bool, minutes: int, home_share: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Electricity [W] (minutes), its heat by room [W] and moisture [g/h] (minutes, n)."""
    n = len(names)
    clock_h = np.arange(minutes) / 60.0
    shape = 0.45 + 0.55 * np.array(_WEEKEND if weekend else _WORKDAY)
    profile = np.interp(clock_h, np.arange(25), np.append(shape, shape[0])) / shape.mean()
    slow = np.repeat(rng.normal(0.0, 0.16, minutes // 20 + 1), 20)[:minutes]
    slow = np.convolve(np.pad(slow, 12, mode="edge"), np.ones(25) / 25, mode="valid")
    smooth_w = 0.77 * home.base_load_w * profile * np.exp(slow) * float(rng.normal(1.0, 0.07))
    fridge = np.where((np.arange(minutes) + int(rng.integers(0, 45))) % 45 < 16, 95.0, 0.0)
    smooth_w = np.maximum(smooth_w + fridge - 34.0, 0.3 * home.base_load_w)
    areas = np.array([room.area_m2 for room in home.rooms.values()])
    uses = [room_use(name) for name in names]
    weight = areas * np.array(
        [{"living": 3.0, "kitchen": 3.0, "office": 3.0, "utility": 4.0}.get(u, 0.6) for u in uses]
    )
    gains = 0.85 * smooth_w[:, None] * (weight / weight.sum())[None, :]
    moisture = np.zeros((minutes, n))
    load = smooth_w
    kitchen = uses.index("kitchen") if "kitchen" in uses else 0
    utility = uses.index("utility") if "utility" in uses else 0

    def run(
        start: float, steps: tuple[tuple[float, int], ...], room: int, warms: float, steam_g_h: float = 0.0
    ) -> None:
        at = int(start)
        for power_w, length in steps:
            end = min(at + length, minutes)
            if at < minutes and at >= 0:
                load[at:end] += power_w
                gains[at:end, room] += warms * power_w
                moisture[at:end, room] += steam_g_h
            at = end

    def times(mean: float) -> int:
        return int(rng.poisson(mean))

    for _ in range(times(0.9 if weekend else 0.5)):
        run(rng.normal(630 if weekend else 1080, 70), ((2000.0, 22), (250.0, 65), (500.0, 12)), utility, 0.4)
    for _ in range(times(0.85)):
        run(rng.normal(1210, 50), ((1900.0, 17), (120.0, 40), (1900.0, 14), (60.0, 30)), kitchen, 0.6, 150.0)
    if rng.random() < (0.6 if weekend else 0.35):
        run(rng.normal(690 if weekend else 1065, 30), ((2300.0, 14), (1100.0, 35)), kitchen, 0.9, 200.0)
    for meal in (690.0, 1080.0) if weekend else (1070.0,):
        if rng.random() < 0.85:
            run(rng.normal(meal, 25), ((1700.0, 8), (900.0, 22)), kitchen, 0.8, 700.0)
    present = np.flatnonzero((home_share > 0) & (np.arange(minutes) > 350) & (np.arange(minutes) < 1350))
    for at in rng.choice(present, size=min(times(5.0), len(present)), replace=False) if len(present) else ():
        run(float(at), ((2000.0, 3),), kitchen, 0.6, 300.0)
    return load, gains, moisture


def _hot_water(home: Home, weekend: bool, minutes: int, rng: np.random.Generator) -> Floats:
    """Heat drawn from the tank by minute [W]."""
    drawn = np.zeros(minutes)
    if home.water is None:
        return drawn
    total_wh = home.water.use_wh_day * float(np.clip(rng.normal(1.0, 0.2), 0.5, 1.6)) * (1.1 if weekend else 0.96)
    morning = 520.0 if weekend else 400.0
    centers = [morning, morning + 25, morning + 50, 760.0, 1090.0, 1170.0, 1230.0, 1290.0]
    shares = np.array([0.17, 0.13, 0.07, 0.06, 0.1, 0.14, 0.18, 0.15]) * rng.uniform(0.5, 1.5, len(centers))
    for center, share in zip(centers, shares / shares.sum(), strict=True):
        at = int(np.clip(rng.normal(center, 25), 0, minutes - 8))
        length = int(rng.integers(3, 8))
        drawn[at : at + length] += total_wh * share * 60.0 / length
    return drawn


def _car(weekend: bool, minutes: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], float]:
    away = np.zeros(minutes, dtype=np.bool_)
    if weekend:
        if rng.random() < 0.45:
            leave = int(rng.normal(610, 60))
            away[leave : leave + int(rng.normal(210, 50))] = True
            return away, float(np.clip(rng.normal(7000, 3000), 1000, 20000))
        return away, 0.0
    away[int(rng.normal(420, 8)) : int(rng.normal(1020, 25))] = True
    return away, float(np.clip(rng.normal(8000, 1500), 3000, 15000))


def _airing(
    home: Home, names: tuple[str, ...], weekend: bool, minutes: int, home_share: Floats, rng: np.random.Generator
) -> Floats:
    """Windows opened by habit: short, in the morning and the evening, when somebody is there."""
    opened = np.zeros((minutes, len(names)))
    for i, room in enumerate(home.rooms.values()):
        if not room.windows_m2:
            continue
        for _ in range(int(rng.poisson(0.55))):
            at = int(rng.normal((500 if weekend else 415) if rng.random() < 0.6 else 1150, 35))
            if 0 <= at < minutes and home_share[at] > 0:
                opened[at : at + int(rng.integers(4, 13)), i] = 1.0
    return opened
