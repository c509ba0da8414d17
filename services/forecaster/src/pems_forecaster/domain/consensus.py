"""Several providers, one expectation: a mean weighted by how well each has done lately.

What counts is the error half a day ahead, of PV power (in units of clear-sky power) and of the outdoor temperature, on
slots for which all of them spoke. Weights are inverse mean square errors (Bates and Granger 1969,
doi:10.1057/jors.1969.103), drawn towards equal ones while little is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Grid

__all__ = ["Consensus", "Track", "weighted"]

LEAD_SLOTS = 56
HALF_LIFE_SLOTS = 10 * SLOTS_PER_DAY
DRAWN_SLOTS = 2 * SLOTS_PER_DAY


@dataclass
class _Error:
    square: float = 0.0
    slots: float = 0.0


class Track:
    """Errors of providers of one quantity."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._pending: dict[int, dict[str, float]] = {}
        self._errors: dict[str, _Error] = {}

    def remember(self, slot: int, said: Mapping[str, float]) -> None:
        """Keep what each provider said of a slot; NaN is silence."""
        spoke = {name: float(value) for name, value in said.items() if np.isfinite(value)}
        if len(spoke) > 1:
            self._pending[slot] = spoke

    def match(self, slot: int, actual: float | None, scale: float = 1.0) -> None:
        """Learn from a measured slot; None only forgets what was said of it."""
        said = self._pending.pop(slot, None)
        for old in [n for n in self._pending if n < slot - SLOTS_PER_DAY]:
            del self._pending[old]
        if said is None or actual is None or not np.isfinite(actual) or scale <= 0.0:
            return
        fade = 0.5 ** (1.0 / HALF_LIFE_SLOTS)
        for name, value in said.items():
            error = self._errors.setdefault(name, _Error())
            error.square = fade * error.square + ((value - actual) / scale) ** 2
            error.slots = fade * error.slots + 1.0

    def weights(self, names: list[str]) -> dict[str, float]:
        """Return the weight of each provider; they add up to 1."""
        known = [self._errors[name] for name in names if name in self._errors]
        total = sum(error.slots for error in known)
        if not names or total <= 0.0:
            return dict.fromkeys(names, 1.0 / max(len(names), 1))
        usual = sum(error.square for error in known) / total
        raw = {}
        for name in names:
            error = self._errors.get(name, _Error())
            mean = (error.square + DRAWN_SLOTS * usual) / (error.slots + DRAWN_SLOTS)
            raw[name] = 1.0 / max(mean, 1e-9)
        return {name: value / sum(raw.values()) for name, value in raw.items()}

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "pending": {str(slot): said for slot, said in self._pending.items()},
            "errors": {name: [error.square, error.slots] for name, error in self._errors.items()},
        }

    def load_json(self, data: Mapping[str, Any]) -> None:
        """Take what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: It is damaged.
        """
        self._pending = {
            int(slot): {str(n): float(v) for n, v in said.items()} for slot, said in data["pending"].items()
        }
        self._errors = {
            str(name): _Error(float(square), float(slots)) for name, (square, slots) in data["errors"].items()
        }


class Consensus:
    """Both quantities."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.pv, self.temperature = Track(), Track()

    def remember(self, grid: Grid, pv_w: Mapping[str, Floats], temperature_c: Mapping[str, Floats]) -> None:
        """Keep what each provider said half a day ahead."""
        slot = grid.first + LEAD_SLOTS
        self.pv.remember(slot, {name: values[LEAD_SLOTS] for name, values in pv_w.items()})
        self.temperature.remember(slot, {name: values[LEAD_SLOTS] for name, values in temperature_c.items()})

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"pv": self.pv.to_json(), "temperature": self.temperature.to_json()}

    def load_json(self, data: Mapping[str, Any]) -> None:
        """Take what `to_json` wrote; see `Track.load_json` for errors."""
        self.pv.load_json(data["pv"])
        self.temperature.load_json(data["temperature"])


def weighted(said: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Mean over the providers that speak of each slot; NaN where none does."""
    values = np.stack(list(said.values()))
    weight = np.where(np.isfinite(values), np.array([weights[name] for name in said])[:, None], 0.0)
    total = weight.sum(axis=0)
    mean = (np.nan_to_num(values) * weight).sum(axis=0) / np.where(total > 0.0, total, 1.0)
    return np.where(total > 0.0, mean, np.nan)
