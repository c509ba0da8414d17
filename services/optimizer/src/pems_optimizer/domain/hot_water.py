"""The hot water tank of a planning problem: what is drawn, what is wanted, and when it is heated through."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import numpy as np

from pems_common.home import Home, Hygiene, WaterHeater
from pems_common.messages import OverrideEntry
from pems_optimizer.domain.horizon import DayWindow, Horizon
from pems_optimizer.domain.known import Known, fixed_state
from pems_optimizer.domain.problem import Floats, Note, WaterSpec
from pems_optimizer.domain.running import RunningPlan

__all__ = ["HeatThrough", "TankMoney", "heat_through", "water_spec"]

# Share of the day's hot water by local hour of use: mornings, noon, evenings.
_WATER_USE = {6: 0.12, 7: 0.16, 8: 0.07, 12: 0.05, 13: 0.05, 18: 0.10, 19: 0.15, 20: 0.15, 21: 0.10, 22: 0.05}
_WH_L_K = 1.163  # heat capacity of water
_MARGIN_K = 1.0  # wanted above the minimum
_ABOVE_HYGIENE_K = 0.5


@dataclass(frozen=True)
class TankMoney:
    """Prices that tank heating is timed by.

    Attributes:
        mean_czk_kwh: Mean price of electricity, for the heat left at the end.
        slot_czk_kwh: What electricity is worth in each slot (T,): the price of import, or of the export forgone.
    """

    mean_czk_kwh: float
    slot_czk_kwh: Floats


@dataclass(frozen=True)
class HeatThrough:
    """When the tank is heated through: by the end of slot `last`, which takes about so many slots up to it."""

    last: int
    slots: int


def _due(hygiene: Hygiene, windows: list[DayWindow], hygienic_at: datetime | None, horizon: Horizon) -> list[DayWindow]:
    """Return the windows of which one has to see the tank heated through."""
    whole = [window for window in windows if window.end <= horizon.slots and window.end > horizon.frozen]
    if hygienic_at is None:
        return [window for window in whole if window.day.weekday() == hygiene.weekday][:1]
    due = hygienic_at.astimezone(horizon.zone).date() + timedelta(days=hygiene.every_days)
    later = [window for window in whole if window.begins_at > hygienic_at and window.day >= due - timedelta(days=1)]
    # Up to a day early where it is cheaper; overdue, in the first window there is.
    return [window for window in later if window.day <= due] or later[:1]


def heat_through(
    heater: WaterHeater,
    hygiene: Hygiene,
    temperature_c: float,
    drain_w: Floats,
    hygienic_at: datetime | None,
    price: Floats,
    horizon: Horizon,
) -> HeatThrough | None:
    """Choose the slot by whose end the tank has been heated through and held so.

    Args:
        heater: The tank.
        hygiene: What is asked for.
        temperature_c: Now.
        drain_w: Heat taken by use and losses (T,).
        hygienic_at: When it was last so warm; None where unknown.
        price: Of electricity (T,).
        horizon: The slots.

    Returns:
        The cheapest end within the windows in which it is due; the end of the first one where the time is too short;
        None where nothing is due.
    """
    windows = _due(hygiene, horizon.day_windows(hygiene.earliest, hygiene.ready_by), hygienic_at, horizon)
    if not windows:
        return None
    gain_k = (heater.power_w - float(drain_w.mean())) * horizon.dt_h / (heater.volume_l * _WH_L_K)
    if gain_k <= 0.0:
        return HeatThrough(windows[0].end - 1, horizon.slots)
    hold = _hold_slots(hygiene, horizon)

    def heating(from_c: float) -> int:
        return max(1, ceil((hygiene.temperature_c - from_c) / gain_k)) + hold - 1

    # It may begin from where the tank is now; the cost is of a usual start, between its minimum and its target.
    soonest, usual = horizon.frozen + heating(temperature_c), heating(0.5 * (heater.min_c + heater.target_c))
    ends = [t for window in windows for t in range(max(window.first + hold - 1, soonest - 1), window.end)]
    if not ends:
        return HeatThrough(windows[0].end - 1, usual)
    cost = np.concatenate([[0.0], np.cumsum(price)])
    spent = [float(cost[t + 1] - cost[max(0, t + 1 - usual)]) for t in ends]
    return HeatThrough(ends[int(np.argmin(spent))], usual)


def water_spec(
    home: Home,
    known: Known,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    horizon: Horizon,
    money: TankMoney,
) -> tuple[WaterSpec | None, Floats, list[Note]]:
    """Return the tank, or the load it probably is where its temperature is unknown."""
    heater, nothing = home.water, np.zeros(horizon.slots)
    if heater is None:
        return None, nothing, []
    reading = None if known.telemetry is None else known.telemetry.water
    drain = np.array([_WATER_USE.get(at.hour, 0.0) for at in horizon.local]) * heater.use_wh_day
    drain = drain + heater.standing_loss_w
    electric = heater.power_w / heater.cop
    if reading is None or reading.temperature_c is None:
        mean = heater.use_wh_day / 24.0 + heater.standing_loss_w
        return (
            None,
            np.full(horizon.slots, mean / heater.cop),
            [Note("water_left_to_thermostat", {"why": "no_temperature"})],
        )
    on_now = reading.power_w > 0.2 * electric
    forced = [running.water_on(horizon.at(t)) if running is not None else None for t in range(horizon.frozen)]
    prefix = [on_now if w is None else w for w in forced]
    state = fixed_state(entry)
    if entry is not None and state is not None:
        prefix = [state] * max(horizon.frozen, horizon.slots_until(entry.until))
    held = None if running is None else running.water_slots_in_state(horizon.start, on_now)
    capacity = heater.volume_l * _WH_L_K
    low, high = np.full(horizon.slots, heater.min_c + _MARGIN_K), np.full(horizon.slots, heater.target_c)
    below, notes = heater.below_czk_k_h, []
    if heater.hygiene is not None:
        hygienic_at = known.remembered.hygiene_before(horizon.at(1))  # a reading of the running slot counts
        when = heat_through(
            heater, heater.hygiene, reading.temperature_c, drain, hygienic_at, money.slot_czk_kwh, horizon
        )
        if when is not None:
            hold = _hold_slots(heater.hygiene, horizon)
            _let_it_heat_through(low, high, drain, heater.hygiene.temperature_c, when, hold, horizon.dt_h / capacity)
            below = max(below, heater.hygiene.missing_czk_k / (hold * horizon.dt_h))
            notes.append(Note("water_hygiene", {"until": horizon.at(when.last + 1).isoformat()}))
    spec = WaterSpec(
        heat_w=heater.power_w,
        electric_w=electric,
        capacity_wh_k=capacity,
        temperature_c=reading.temperature_c,
        low_c=low,
        high_c=high,
        drain_w=drain,
        on_now=on_now,
        slots_in_state=1000 if held is None else held,
        end_value_czk_k=money.mean_czk_kwh * capacity / 1000.0 / heater.cop,
        below_czk_k_h=below,
        forced=len(prefix),
        forced_on=tuple(prefix),
    )
    return spec, nothing, notes


def _hold_slots(hygiene: Hygiene, horizon: Horizon) -> int:
    return ceil(hygiene.hold_minutes / 60.0 / horizon.dt_h)


def _let_it_heat_through(
    low: Floats, high: Floats, drain_w: Floats, hygiene_c: float, when: HeatThrough, hold: int, k_per_w: float
) -> None:
    """Want the tank hot by the end of a slot, let it get there, and let it cool down afterwards."""
    last, top = when.last, hygiene_c + _ABOVE_HYGIENE_K
    low[max(0, last - hold + 1) : last + 1] = hygiene_c
    high[max(0, last + 1 - 2 * when.slots) : last + 1] = top
    high[last + 1 :] = np.maximum(high[last + 1 :], top - np.cumsum(drain_w[last + 1 :]) * k_per_w)
