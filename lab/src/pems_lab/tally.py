"""What a stretch of a run amounted to: the house's own account between two instants, and what each minute showed.

The account of `pems_house` counts from the start of the run; differences of tallies leave out the time in which the
arms settle, and give single days.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_common.timegrid import SLOT, slot_start
from pems_house.domain.plant import Plant

__all__ = ["MinuteWatch", "Tally", "period_truth"]

Floats = NDArray[np.float64]

_MINUTE = timedelta(minutes=1)
_STORED_ABOVE_C = 20.0
_LEAST_OF_MONTH = 0.25


@dataclass(frozen=True)
class Tally:
    """Sums from the start of a run to an instant, or (a difference) of a period. Room arrays are (n).

    Attributes:
        elapsed_s: House time.
        energy_cost_czk: Paid at the meter, less what export earned.
        bought_czk: Paid for import.
        wh: Energies by name, as `pems_house` counts them.
        below_k_h: Below the comfort band.
        inside_s: Inside the band widened by 0.5 C.
        sun_warmed_s: Above that in a room that was not heated for a day.
        mean_k_s: Air temperature times time.
        switchings: Of the relays.
        violation_s: Beyond each limit.
        short_switchings: By PEMS, sooner than the least on or off time.
        stored_wh: In `rooms`, `battery`, `ev`, `water` (of a difference: its change).
    """

    elapsed_s: float
    energy_cost_czk: float
    bought_czk: float
    wh: Mapping[str, float]
    below_k_h: Floats
    inside_s: Floats
    sun_warmed_s: Floats
    mean_k_s: Floats
    switchings: Floats
    violation_s: Mapping[str, float]
    short_switchings: int
    stored_wh: Mapping[str, float]

    @classmethod
    def of(cls, plant: Plant) -> Self:
        """Read a house at this moment."""
        truth, battery, car, tank = plant.truth, plant.inverter.battery, plant.car, plant.tank
        stored = {"rooms": float(plant.rooms.stored_wh(_STORED_ABOVE_C).sum())}
        if battery is not None:
            stored["battery"] = battery.energy_wh
        if car is not None:
            stored["ev"] = car.energy_wh
        if tank is not None:
            stored["water"] = (tank.temperature_c - _STORED_ABOVE_C) * tank.capacity_wh_k
        return cls(
            truth.elapsed_s,
            truth.energy_cost_czk,
            truth.bought_czk,
            dict(truth.wh),
            truth.below_k_h.copy(),
            truth.inside_s.copy(),
            truth.sun_warmed_s.copy(),
            truth.mean_k_s.copy(),
            plant.loxone.switchings.astype(np.float64),
            {name: float(value) for name, value in truth.violation_s.items()},
            truth.short_switchings,
            stored,
        )

    def __sub__(self, earlier: "Tally") -> "Tally":
        return Tally(
            self.elapsed_s - earlier.elapsed_s,
            self.energy_cost_czk - earlier.energy_cost_czk,
            self.bought_czk - earlier.bought_czk,
            _less(self.wh, earlier.wh),
            self.below_k_h - earlier.below_k_h,
            self.inside_s - earlier.inside_s,
            self.sun_warmed_s - earlier.sun_warmed_s,
            self.mean_k_s - earlier.mean_k_s,
            self.switchings - earlier.switchings,
            _less(self.violation_s, earlier.violation_s),
            self.short_switchings - earlier.short_switchings,
            _less(self.stored_wh, earlier.stored_wh),
        )


def _less(more: Mapping[str, float], than: Mapping[str, float]) -> dict[str, float]:
    return {name: value - than[name] for name, value in more.items()}


@dataclass
class MinuteWatch:
    """What only single minutes tell. `look` is called after each minute of house time.

    Attributes:
        pv_used_wh: PV that was used in the house or stored; of what flows to the grid, PV counts first.
        import_wh: By start of the slot.
        heating_wh: Of the rooms' relays, likewise.
    """

    pv_used_wh: float = 0.0
    import_wh: dict[datetime, float] = field(default_factory=dict)
    heating_wh: dict[datetime, float] = field(default_factory=dict)

    def look(self, plant: Plant) -> None:
        """Count the minute that has just ended."""
        flows, slot = plant.inverter.flows, slot_start(plant.at - _MINUTE)
        self.pv_used_wh += (flows.pv_w - min(flows.pv_w, max(0.0, -flows.grid_w))) / 60.0
        heating_w = float(plant.building.heat_w @ plant.loxone.relay_on)
        self.import_wh[slot] = self.import_wh.get(slot, 0.0) + max(0.0, flows.grid_w) / 60.0
        self.heating_wh[slot] = self.heating_wh.get(slot, 0.0) + heating_w / 60.0

    def monthly_peaks_w(self, zone: ZoneInfo) -> dict[str, float]:
        """Highest 15-min mean of import by local month (`YYYY-MM`) [W]; the few hours of one at an end are no month."""
        months: dict[str, list[float]] = {}
        for slot, wh in self.import_wh.items():
            months.setdefault(f"{slot.astimezone(zone):%Y-%m}", []).append(wh * 4.0)
        most = max(map(len, months.values()), default=0)
        return {month: round(max(w), 1) for month, w in months.items() if len(w) >= _LEAST_OF_MONTH * most}

    def heating_peaks(self, zone: ZoneInfo) -> dict[date, tuple[int, float]]:
        """Local hour and 15-min mean power [W] of the highest heating of each whole local day."""
        by_day: dict[date, list[tuple[float, datetime]]] = {}
        for slot, wh in self.heating_wh.items():
            local = slot.astimezone(zone)
            by_day.setdefault(local.date(), []).append((wh * 4.0, local))
        whole = {day: slots for day, slots in by_day.items() if len(slots) >= timedelta(hours=23) / SLOT}
        tops = {day: max(slots, key=lambda slot: (slot[0], -slot[1].timestamp())) for day, slots in whole.items()}
        return {day: (local.hour, power_w) for day, (power_w, local) in tops.items()}

    def heating_peak_hours(self, zone: ZoneInfo) -> dict[int, int]:
        """How often each local hour held a day's highest heating."""
        return dict(Counter(hour for hour, _ in self.heating_peaks(zone).values()).most_common())


def period_truth(home: Home, plant: Plant, period: Tally, watch: MinuteWatch) -> dict[str, Any]:
    """Return a period as the house tells a run (`comparison` reads it), with what the minutes told beside it.

    Stored heat and charge are the period's changes, which compare as well as states do.
    """
    seconds, hours = max(period.elapsed_s, 1e-9), period.elapsed_s / 3600.0
    names, zone = plant.building.names, home.site.zone
    mean_c = period.mean_k_s / seconds
    areas = np.array([room.area_m2 for room in home.rooms.values()])
    battery, out_wh = home.battery, period.wh["battery_out"]
    possible = period.wh["pv_possible"]
    heating = watch.heating_peaks(zone)
    return {
        "elapsed_h": hours,
        "energy_cost_czk": period.energy_cost_czk,
        "bought_czk": period.bought_czk,
        "wear_czk": out_wh / 1000.0 * battery.wear_czk_kwh if battery is not None else 0.0,
        "cycles": out_wh / battery.capacity_wh if battery is not None else 0.0,
        **{f"{name}_wh": value for name, value in period.wh.items()},
        **{f"{name}_stored_wh": value for name, value in period.stored_wh.items()},
        "pv_used_wh": watch.pv_used_wh,
        "self_consumption": watch.pv_used_wh / possible if possible > 0.0 else None,
        "monthly_peaks_w": watch.monthly_peaks_w(zone),
        "comfort_below_k_h": dict(zip(names, period.below_k_h.tolist(), strict=True)),
        "inside_wider_band_share": float(period.inside_s.mean() / seconds),
        "sun_warmed_share": float(period.sun_warmed_s.mean() / seconds),
        "inside_wider_band_least": float(period.inside_s.min() / seconds),
        "mean_house_temperature_c": float(mean_c @ areas / areas.sum()),
        "loss_w_k": float(plant.building.loss_w_k().sum()),
        "switchings": dict(zip(names, period.switchings.tolist(), strict=True)),
        "heating_peaks_w": {day.isoformat(): round(power_w, 1) for day, (_, power_w) in heating.items()},
        "heating_peak_hours": {f"{hour:02d}": count for hour, count in watch.heating_peak_hours(zone).items()},
        "violations_s": dict(period.violation_s),
        "short_switchings": period.short_switchings,
    }
