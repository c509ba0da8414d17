"""What a day with faults is drawn from: a study's seed and a number, nothing else.

The same seed and number give the same date, house, household, forecast errors, first state and faults on any machine.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from math import exp, log
from typing import Any, Literal, Self, get_args

import numpy as np

from pems_common.comfort import comfort_target_c
from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.timegrid import local_midnight, parse_instant
from pems_house.domain.plant import StartState
from pems_lab.faults.kinds import FAMILIES
from pems_lab.faults.model import Fault

__all__ = ["FaultDay", "Season", "draw_day", "draw_faults"]

Season = Literal["year", "winter"]
"""Which dates: any of the year, or of November to March."""

YEAR = 2025  # of the reference world's prices
SETTLE = timedelta(hours=6)
_DAY = timedelta(days=1)
_WINTER = frozenset({11, 12, 1, 2, 3})
_COUNT_SHARES = (0.1, 0.3, 0.35, 0.25)  # of days with 0, 1, 2, 3 faults
_LAST_BEGIN_H = 6.0  # before the end: what a fault does is to be seen


@dataclass(frozen=True)
class FaultDay:
    """A day that a house is to live through.

    Attributes:
        seed: Of the study.
        number: Of the item.
        start: When counting begins.
        length: How long is counted.
        house_seed: Of house, household, sensors and forecast errors.
        state: How the house begins, `SETTLE` before `start`.
        faults: By beginning.
    """

    seed: int
    number: int
    start: datetime
    length: timedelta
    house_seed: int
    state: StartState
    faults: tuple[Fault, ...]

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "seed": self.seed,
            "number": self.number,
            "start": self.start.isoformat(),
            "hours": self.length / timedelta(hours=1),
            "house_seed": self.house_seed,
            "state": asdict(self.state),
            "faults": [fault.told() for fault in self.faults],
        }

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """Read what `told` wrote."""
        return cls(
            told["seed"],
            told["number"],
            parse_instant(told["start"]),
            timedelta(hours=told["hours"]),
            told["house_seed"],
            StartState(**told["state"]),
            tuple(Fault.read(fault) for fault in told["faults"]),
        )


def draw_day(home: Home, seed: int, number: int, *, season: Season = "year") -> FaultDay:
    """Draw the day of an item: a local day of `YEAR`, and 0 to 3 faults that begin in it.

    Raises:
        PemsError: There is no such season.
    """
    if season not in get_args(Season):
        raise PemsError(f"there is no season {season!r:.40}", remedy=f"there are {', '.join(get_args(Season))}")
    rng = np.random.default_rng([seed, number])
    days = [date(YEAR, 1, 3) + i * _DAY for i in range(360)]  # prices of the day before and after are known too
    days = [day for day in days if season == "year" or day.month in _WINTER]
    start = local_midnight(days[int(rng.integers(len(days)))], home.site.zone)
    house_seed = int(rng.integers(2**31))
    state = _draw_state(rng, home, start - SETTLE)
    count = int(rng.choice(len(_COUNT_SHARES), p=_COUNT_SHARES))
    return FaultDay(seed, number, start, _DAY, house_seed, state, draw_faults(rng, home, start, _DAY, count))


def draw_faults(
    rng: np.random.Generator, home: Home, start: datetime, length: timedelta, count: int
) -> tuple[Fault, ...]:
    """Draw faults that begin in a time, by beginning: the family, then the kind, are equally likely."""
    families = tuple(FAMILIES)
    faults = []
    for _ in range(count):
        kinds = FAMILIES[families[int(rng.integers(len(families)))]]
        kind = kinds[int(rng.integers(len(kinds)))]
        last_h = max(0.0, length / timedelta(hours=1) - _LAST_BEGIN_H)
        begins = start + timedelta(minutes=round(60.0 * rng.uniform(0.0, last_h)))
        shortest, longest = kind.hours
        hours = exp(rng.uniform(log(shortest), log(longest)))
        target, strength = kind.aim(rng, home)
        ends = begins + timedelta(minutes=max(1, round(60.0 * hours)))
        faults.append(Fault(kind.name, begins, ends, target, round(strength, 4)))
    return tuple(sorted(faults, key=lambda fault: (fault.begins, fault.kind, fault.target)))


def _draw_state(rng: np.random.Generator, home: Home, at: datetime) -> StartState:
    rooms = {name: round(comfort_target_c(home, name, at) + float(rng.normal(0.0, 0.5)), 2) for name in home.rooms}
    soc_min, soc_max = (20.0, 100.0) if home.battery is None else (home.battery.soc_min_pct, home.battery.soc_max_pct)
    return StartState(
        soc_pct=round(float(rng.uniform(soc_min + 3.0, soc_max)), 1),
        ev_soc_pct=round(float(rng.uniform(35.0, 90.0)), 1),
        water_c=round(float(rng.uniform(44.0, 54.0)), 1),
        rooms_c=rooms,
    )
