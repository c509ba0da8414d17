"""Rolling 24-hour errors of room models in the running house: what each said a day before, against what was measured.

Every three hours the estimated states and the weather forecast of the day ahead are kept. A day later each model is
driven from its own state, by that forecast and by the heat that was really given, and compared with the sensor. The
errors of the models of a room are compared on the same origins only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pems_common.messages import RoomModel
from pems_common.thermal import DISTURBANCE_FADE_H
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats
from pems_forecaster.domain.room_fit.predict import Beliefs, HousePredictor, States

__all__ = ["LEAST_ORIGINS", "ORIGIN_SLOTS", "YESTERDAY", "Origin", "RoomTrial", "Side"]

ORIGIN_SLOTS = 12
LEAST_ORIGINS = 16
"""Two days of them, before models of a room are compared and errors in the house count as evidence."""
KEPT_ORIGINS = 56
"""A week of them."""
YESTERDAY = "yesterday"
_LEAST_SHARE = 0.6
"""Of a day that has to be measured for its error to count."""
_MOVES_K = 0.2
_BRIDGED_SLOTS = 8
"""Slots of a day that may be missing (a restart); what the relays did before them is taken to have gone on."""
_SHOWN = 7 * SLOTS_PER_DAY


@dataclass(frozen=True)
class Side:
    """One model per room, that know each other's rooms.

    Attributes:
        versions: By room.
        models: By room.
    """

    versions: Mapping[str, str]
    models: Mapping[str, RoomModel]


@dataclass(frozen=True)
class Origin:
    """What was known when a day was predicted.

    Attributes:
        slot: The first one predicted.
        outdoor_c: Forecast of the day ahead (96,).
        solar_w_m2: Likewise, by facade.
        states: Air [C], mass [C] and disturbance [W] by side and room.
        versions: By side and room.
    """

    slot: int
    outdoor_c: tuple[float, ...]
    solar_w_m2: Mapping[str, tuple[float, ...]]
    states: Mapping[str, Mapping[str, tuple[float, float, float]]]
    versions: Mapping[str, Mapping[str, str]]


@dataclass
class RoomTrial:
    """Predictions under way, and the errors of those that ended.

    Attributes:
        errors: Mean absolute error [K] by room, version and origin's slot.
        said: What the active model said a day before, by room and slot.
    """

    errors: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    said: dict[str, dict[int, float]] = field(default_factory=dict)
    _origins: list[Origin] = field(default_factory=list)
    _air_c: dict[int, dict[str, float]] = field(default_factory=dict)
    _heat_w: dict[int, dict[str, float]] = field(default_factory=dict)
    _hour: dict[int, int] = field(default_factory=dict)

    def note(self, slot: int, hour: int, air_c: Mapping[str, float], heat_w: Mapping[str, float]) -> None:
        """Take what was measured of a slot: temperatures at its beginning, mean heat over it."""
        self._air_c[slot], self._heat_w[slot], self._hour[slot] = dict(air_c), dict(heat_w), hour
        for kept in (self._air_c, self._heat_w, self._hour):
            for old in [n for n in kept if n < slot - _SHOWN - SLOTS_PER_DAY]:
                del kept[old]

    def due(self, slot: int) -> bool:
        """Tell whether a day ahead is to be predicted from this slot on."""
        return slot % ORIGIN_SLOTS == 0 and not any(origin.slot == slot for origin in self._origins)

    def begin(self, origin: Origin) -> None:
        """Predict a day; it is compared when it is over."""
        self._origins.append(origin)

    def compare(self, slot: int, sides: Mapping[str, Side]) -> bool:
        """Compare the days that are over; tells whether there were any.

        Args:
            slot: The one that runs now.
            sides: Those whose predictions are compared; the first one is what is shown.
        """
        over = [origin for origin in self._origins if origin.slot + SLOTS_PER_DAY <= slot]
        self._origins = [origin for origin in self._origins if origin.slot + SLOTS_PER_DAY > slot]
        for origin in over:
            self._compare(origin, sides)
        return bool(over)

    def _compare(self, origin: Origin, sides: Mapping[str, Side]) -> None:
        day = range(origin.slot, origin.slot + SLOTS_PER_DAY)
        if sum(slot not in self._heat_w for slot in day) > _BRIDGED_SLOTS:
            return  # the forecaster was away
        for room in {room for side in sides.values() for room in side.models}:
            measured = self._measured(room, (slot + 1 for slot in day))
            before = self._measured(room, (slot + 1 - SLOTS_PER_DAY for slot in day))
            self._put(room, YESTERDAY, origin.slot, before - measured)
        shown = next(iter(sides), "")
        for name, side in sides.items():
            for room, path in self._predicted(origin, name, side).items():
                version = side.versions[room]
                if version != origin.versions.get(name, {}).get(room):
                    continue  # models have changed places meanwhile
                if name != shown and version == sides[shown].versions.get(room):
                    continue  # the same model, among neighbours that are not published
                self._put(room, version, origin.slot, path - self._measured(room, (slot + 1 for slot in day)))
                if name == shown:
                    self._show(room, origin.slot, path)

    def _show(self, room: str, slot: int, path: Floats) -> None:
        """Keep the last hours of a day's prediction: what was said a day before."""
        said = self.said.setdefault(room, {})
        for k in range(SLOTS_PER_DAY - ORIGIN_SLOTS, SLOTS_PER_DAY):
            said[slot + k + 1] = round(float(path[k]), 2)
        for old in [n for n in said if n < slot + SLOTS_PER_DAY - _SHOWN]:
            del said[old]

    def _predicted(self, origin: Origin, name: str, side: Side) -> dict[str, Floats]:
        """Air temperature of each room at the end of each slot of the day (96,); NaN where its heat is unknown."""
        states = origin.states.get(name, {})
        models = {room: model for room, model in side.models.items() if room in states}
        if not models:
            return {}
        day = range(origin.slot, origin.slot + SLOTS_PER_DAY)
        heat_w = {room: self._heat(room, day) for room in models}
        house = HousePredictor.of(models, SLOT_S, dict.fromkeys(models, Beliefs(fade_h=DISTURBANCE_FADE_H)))
        air, mass = house.heat_in(
            np.array(origin.outdoor_c),
            {room: np.nan_to_num(heat) for room, heat in heat_w.items()},
            {facade: np.array(values) for facade, values in origin.solar_w_m2.items()},
            np.array([self._hour.get(slot, 0) for slot in day], dtype=np.int64),
        )
        first = np.array([states[room] for room in models])
        begin = States(first[None, :, 0], first[None, :, 1], first[None, :, 2], np.full(len(models), np.nan))
        said = house.air_c(begin, air, mass, [0], SLOTS_PER_DAY)[0]
        return {
            room: said[:, k] if np.isfinite(heat_w[room]).all() else np.full(SLOTS_PER_DAY, np.nan)
            for k, room in enumerate(models)
        }

    def _heat(self, room: str, day: range) -> Floats:
        """Mean heat of each slot, missing slots bridged by the one before (96,); NaN where the relay did not tell."""
        values: list[float] = []
        for slot in day:
            kept = self._heat_w.get(slot)
            values.append((values[-1] if values else 0.0) if kept is None else kept.get(room, float("nan")))
        return np.array(values)

    def _measured(self, room: str, slots: Iterable[int]) -> Floats:
        return np.array([self._air_c.get(slot, {}).get(room, np.nan) for slot in slots])

    def _put(self, room: str, version: str, slot: int, error_k: Floats) -> None:
        known = np.isfinite(error_k)
        if known.mean() < _LEAST_SHARE:
            return
        kept = self.errors.setdefault(room, {}).setdefault(version, {})
        kept[slot] = float(np.abs(error_k[known]).mean())
        for old in sorted(kept)[:-KEPT_ORIGINS]:
            del kept[old]

    def mae(self, room: str, version: str) -> tuple[float, float | None] | None:
        """Return a model's error [K] in a room, and that of "same as yesterday" meanwhile.

        Over the last week or its last two days, whichever is worse: trust goes faster than it comes. None before
        `LEAST_ORIGINS`.
        """
        kept = self.errors.get(room, {}).get(version, {})
        if len(kept) < LEAST_ORIGINS:
            return None
        simple = self.errors[room].get(YESTERDAY, {})
        found = []
        for slots in (sorted(kept), sorted(kept)[-LEAST_ORIGINS:]):
            both = [simple[slot] for slot in slots if slot in simple]
            found.append((_mean([kept[slot] for slot in slots]), _mean(both) if both else None))
        return max(found, key=lambda pair: pair[0])

    def stands_still(self, room: str, before: bool = False) -> bool:
        """Tell whether a sensor has shown one value for a day, which it did on no day of the week before.

        Args:
            room: Whose.
            before: Whether that was told already: then it is told until the sensor moves.
        """
        known = sorted(slot for slot, air in self._air_c.items() if room in air)
        ranges = []
        for days_ago in range(len(known) // SLOTS_PER_DAY):
            end = len(known) - days_ago * SLOTS_PER_DAY
            day = [self._air_c[slot][room] for slot in known[end - SLOTS_PER_DAY : end]]
            ranges.append(max(day) - min(day))
        if before and ranges:
            return ranges[0] == 0.0
        return len(ranges) > 2 and ranges[0] == 0.0 and min(ranges[2:]) >= _MOVES_K

    def ratio(self, room: str, version: str, other: str) -> tuple[float, int]:
        """Return (error of a model over that of another, origins that both predicted)."""
        ours, theirs = (self.errors.get(room, {}).get(name, {}) for name in (version, other))
        both = ours.keys() & theirs.keys()
        below = sum(theirs[slot] for slot in both)
        return (sum(ours[slot] for slot in both) / below if below > 0.0 else float("inf"), len(both))

    def forget(self, room: str, keep: Sequence[str]) -> None:
        """Drop the errors of models that are gone."""
        kept = self.errors.get(room, {})
        for version in kept.keys() - {*keep, YESTERDAY}:
            del kept[version]

    def picture(self, room: str, slot: int, hours: int = 7 * 24) -> dict[str, list[float | None]]:
        """Return hourly series up to a slot: measured, said a day before, and measured a day before [C]."""
        slots = [slot - 4 * k for k in range(hours - 1, -1, -1)]

        def rounded(values: Iterable[float | None]) -> list[float | None]:
            return [None if value is None else round(value, 2) for value in values]

        said = [self.said.get(room, {}).get(at) for at in slots]
        air = [self._air_c.get(at, {}).get(room) for at in slots]
        before = [self._air_c.get(at - SLOTS_PER_DAY, {}).get(room) for at in slots]
        return {"measured_c": rounded(air), "predicted_c": rounded(said), "yesterday_c": rounded(before)}

    # --- file ------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "errors": _keys_to_text(self.errors, 2),
            "said": _keys_to_text(self.said, 1),
            "origins": [vars(origin) for origin in self._origins],
            "air_c": _keys_to_text(self._air_c, 0),
            "heat_w": _keys_to_text(self._heat_w, 0),
            "hour": _keys_to_text(self._hour, 0),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RoomTrial":
        """Read plain data.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: The data are damaged.
        """
        return cls(
            errors={
                room: {version: _slots(kept) for version, kept in versions.items()}
                for room, versions in data["errors"].items()
            },
            said={room: _slots(kept) for room, kept in data["said"].items()},
            _origins=[
                Origin(
                    int(one["slot"]),
                    tuple(map(float, one["outdoor_c"])),
                    {name: tuple(map(float, values)) for name, values in one["solar_w_m2"].items()},
                    {
                        side: {room: (float(a), float(m), float(d)) for room, (a, m, d) in states.items()}
                        for side, states in one["states"].items()
                    },
                    {side: dict(versions) for side, versions in one["versions"].items()},
                )
                for one in data["origins"]
            ],
            _air_c={int(slot): dict(kept) for slot, kept in data["air_c"].items()},
            _heat_w={int(slot): dict(kept) for slot, kept in data["heat_w"].items()},
            _hour={int(slot): int(hour) for slot, hour in data["hour"].items()},
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _keys_to_text(data: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    """Return nested mappings with the slots at some depth as text, as JSON has them."""
    if depth == 0:
        return {str(slot): value for slot, value in data.items()}
    return {name: _keys_to_text(inner, depth - 1) for name, inner in data.items()}


def _slots(kept: Mapping[str, Any]) -> dict[int, float]:
    return {int(slot): float(value) for slot, value in kept.items()}
