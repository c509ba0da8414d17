"""Counts the slots of a stretch of time: measured means beside prices, comfort, forecasts and plans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from pems_common.comfort import comfort_band_c
from pems_common.held_back import held_back
from pems_common.home import Home
from pems_common.timegrid import SLOT
from pems_monitor.domain.performance_tally import Counter, Tally
from pems_monitor.domain.performance_told import LEADS_H, Foreseen, PlanTold, Told

__all__ = ["Measured", "count_plans", "count_slots", "series_of"]

_HOURS = SLOT / timedelta(hours=1)
_PLAN_TRUSTED = timedelta(hours=2)  # house time, as the controller counts it
_FOLLOWED_SLOTS, _FOLLOWED_SHARE = 1.0, 0.1
_PLANT = (
    "pv_power_w",
    "load_power_w",
    "grid_power_w",
    "battery_power_w",
    "battery_soc_pct",
    "outdoor_temperature_c",
    "ev.power_w",
    "water.power_w",
    "weather.ghi_w_m2",
    "weather.temperature_c",
    "price.buy_czk_kwh",
    "price.sell_czk_kwh",
)


def series_of(home: Home) -> tuple[str, ...]:
    """Names of the series of the history that are counted."""
    rooms = [f"room.{name}.{what}" for name in home.rooms for what in ("temperature_c", "relay_on")]
    return (*_PLANT, *rooms)


@dataclass(frozen=True)
class Measured:
    """Slot means by series on one grid; None where nothing was measured.

    Attributes:
        start: Start of the first slot, UTC.
    """

    start: datetime
    series: Mapping[str, Sequence[float | None]]

    def at(self, name: str, slot: datetime) -> float | None:
        """Mean of the slot that begins at `slot`; None outside or unknown."""
        values = self.series.get(name, ())
        index = int((slot - self.start) / SLOT)
        value = values[index] if 0 <= index < len(values) else None
        return value if value is not None and isfinite(value) else None

    def uncontrolled_load_w(self, home: Home, slot: datetime) -> float | None:
        """Load without heating, EV and water heater, as forecasts mean it [W]; None where a part is unknown."""
        load_w = self.at("load_power_w", slot)
        parts = [self.at(f"room.{name}.relay_on", slot) for name in home.rooms]
        drawn = [None if on is None else on * room.heat_w for on, room in zip(parts, home.rooms.values(), strict=True)]
        drawn += [self.at("ev.power_w", slot)] if home.ev is not None else []
        drawn += [self.at("water.power_w", slot)] if home.water is not None else []
        known = [part for part in drawn if part is not None]
        return None if load_w is None or len(known) < len(drawn) else max(0.0, load_w - sum(known))


def count_slots(
    home: Home,
    slots: Sequence[datetime],
    measured: Measured,
    forecasts: Told[Foreseen],
    plans: Told[PlanTold],
    begun: datetime,
) -> Tally:
    """Count slots.

    Args:
        home: The site.
        slots: Starts of the slots to count.
        measured: Their means; of a day before them too, for what was heated since a plan was made.
        forecasts: What was foreseen, back to a day and three hours before the first slot.
        plans: What was planned, as long.
        begun: Since when there is any history: earlier slots are unknown, but no gaps.
    """
    counter = Counter()
    for slot in slots:
        counter.add("slots", 1.0)
        counter.add("recorded_slots", float(any(measured.at(name, slot) is not None for name in measured.series)))
        counter.add("before_slots", float(slot + SLOT <= begun))
        _count_energy(counter, home, slot, measured)
        _count_rooms(counter, home, slot, measured)
        limited = _count_pv(counter, home, slot, measured, forecasts)
        actual = {"pv": None if limited else measured.at("pv_power_w", slot)}
        actual["load"] = measured.uncontrolled_load_w(home, slot)
        for lead_h in LEADS_H:
            _count_errors(counter, lead_h, actual, forecasts.before(slot, lead_h), slot)
            _count_thermal(counter, lead_h, home, slot, measured, plans.before(slot, lead_h))
    return counter.done()


def count_plans(slots: Sequence[datetime], plans: Told[PlanTold], begun: datetime) -> Tally:
    """Count the plans that were issued in the slots, and the slots without a plan of the optimizer to follow.

    A plan is followed until it is two hours old. One in which the rules stand in for the optimizer is none of its;
    slots before `begun`, since when there is any history, are not counted.
    """
    counter = Counter()
    end = slots[-1] + SLOT
    for plan in plans.items:
        if slots[0] <= plan.at < end:
            counter.add("plans", 1.0)
            counter.add("solve_s", plan.solve_s)
            counter.peak("solve_s", plan.solve_s)
            counter.add("plans_fallback", float(plan.fallback))
            if plan.saving_czk_day is not None:
                counter.add("foreseen_n", 1.0)
                counter.add("foreseen_saving_czk_day", plan.saving_czk_day)
    for slot in (slot for slot in slots if slot + SLOT > begun):
        counter.add("plan_slots", 1.0)
        fresh = any(slot - _PLAN_TRUSTED < plan.at < slot + SLOT for plan in plans.items if not plan.fallback)
        counter.add("planless_slots", float(not fresh))
    return counter.done()


def _count_energy(counter: Counter, home: Home, slot: datetime, measured: Measured) -> None:
    pv_w, load_w = measured.at("pv_power_w", slot), measured.at("load_power_w", slot)
    grid_w, battery_w = measured.at("grid_power_w", slot), measured.at("battery_power_w", slot)
    buy, sell = measured.at("price.buy_czk_kwh", slot), measured.at("price.sell_czk_kwh", slot)
    counter.add("known_slots", float(pv_w is not None and load_w is not None and grid_w is not None))
    for name, power_w in (("pv", pv_w), ("load", load_w)):
        counter.add(f"{name}_wh", None if power_w is None else power_w * _HOURS)
    if battery_w is not None and home.battery is not None:
        counter.add("discharge_wh", max(0.0, battery_w) * _HOURS)
        counter.add("charge_wh", max(0.0, -battery_w) * _HOURS)
    for name, value in (("buy", buy), ("sell", sell)):
        if value is not None:
            counter.add(f"{name}_n", 1.0)
            counter.add(f"{name}_czk_kwh", value)
    outdoor_c = measured.at("outdoor_temperature_c", slot)
    outdoor_c = measured.at("weather.temperature_c", slot) if outdoor_c is None else outdoor_c
    if outdoor_c is not None:
        counter.add("outdoor_n", 1.0)
        counter.add("outdoor_c", outdoor_c)
    ghi_w_m2 = measured.at("weather.ghi_w_m2", slot)
    counter.add("ghi_wh_m2", None if ghi_w_m2 is None else ghi_w_m2 * _HOURS)
    if grid_w is None:
        return
    import_wh, export_wh = max(0.0, grid_w) * _HOURS, max(0.0, -grid_w) * _HOURS
    counter.add("import_wh", import_wh)
    counter.add("export_wh", export_wh)
    counter.peak("import_w", max(0.0, grid_w))
    if load_w is not None:
        counter.add("load_metered_wh", load_w * _HOURS)
        counter.add("load_imported_wh", min(import_wh, load_w * _HOURS))
    if buy is None or sell is None:
        return
    counter.add("priced_slots", 1.0)
    counter.add("priced_import_wh", import_wh)
    counter.add("priced_export_wh", export_wh)
    counter.add("bought_czk", import_wh * buy / 1000)
    counter.add("sold_czk", export_wh * sell / 1000)
    if battery_w is not None and home.battery is not None:
        without_wh = (grid_w + battery_w) * _HOURS
        without_czk = without_wh * (buy if without_wh > 0 else sell) / 1000
        counter.add("battery_gain_czk", without_czk - (import_wh * buy - export_wh * sell) / 1000)


def _count_pv(counter: Counter, home: Home, slot: datetime, measured: Measured, forecasts: Told[Foreseen]) -> bool:
    """Count used, made and possible PV; returns whether PV may have been held back."""
    pv_w, grid_w = measured.at("pv_power_w", slot), measured.at("grid_power_w", slot)
    if pv_w is None:
        return False
    limited = held_back(
        home,
        pv_w=pv_w,
        grid_w=grid_w,
        battery_w=measured.at("battery_power_w", slot),
        soc_pct=measured.at("battery_soc_pct", slot),
        sell_czk_kwh=measured.at("price.sell_czk_kwh", slot),
    )
    counter.add("held_back_slots", float(limited))
    if grid_w is None:
        return limited
    used_wh = max(0.0, pv_w - max(0.0, -grid_w)) * _HOURS
    counter.add("pv_used_wh", used_wh)
    counter.add("pv_metered_wh", pv_w * _HOURS)
    possible_w: float | None = pv_w
    if limited:
        foreseen = forecasts.before(slot, LEADS_H[-1])
        expected_w = None if foreseen is None else foreseen.bands["pv"].p50.at(slot)
        possible_w = None if expected_w is None else max(pv_w, expected_w)
    if possible_w is not None:
        counter.add("pv_possible_wh", possible_w * _HOURS)
        counter.add("pv_possible_used_wh", used_wh)
    return limited


def _count_errors(
    counter: Counter,
    lead_h: int,
    actual: Mapping[str, float | None],
    foreseen: Foreseen | None,
    slot: datetime,
) -> None:
    if foreseen is None:
        return
    for kind, value in actual.items():
        band = foreseen.bands[kind]
        low, middle, high = band.p10.at(slot), band.p50.at(slot), band.p90.at(slot)
        if value is None or middle is None:
            continue
        counter.add(f"{kind}_{lead_h}h_n", 1.0)
        counter.add(f"{kind}_{lead_h}h_abs_w", abs(middle - value))
        counter.add(f"{kind}_{lead_h}h_sq_w2", (middle - value) ** 2)
        counter.add(f"{kind}_{lead_h}h_bias_w", middle - value)
        if low is not None and high is not None and high > 1.0:
            counter.add(f"{kind}_{lead_h}h_band_n", 1.0)
            counter.add(f"{kind}_{lead_h}h_inside", float(low <= value <= high))


def _count_thermal(
    counter: Counter, lead_h: int, home: Home, slot: datetime, measured: Measured, plan: PlanTold | None
) -> None:
    """Compare temperatures with a plan where the room was heated since as that plan said."""
    here = None if plan is None else plan.slot(slot)
    if plan is None or here is None or here < 1:
        return
    for name, said_c in plan.room_c.items():
        if name not in home.rooms or here >= len(said_c):
            continue
        measured_c = measured.at(f"room.{name}.temperature_c", slot)
        if measured_c is None or not _followed(measured, name, plan, here):
            continue
        error_c = abs((said_c[here - 1] + said_c[here]) / 2 - measured_c)  # a slot's mean is between its ends
        counter.add(f"thermal_{lead_h}h_n", 1.0)
        counter.add(f"thermal_{lead_h}h_abs_c", error_c)
        counter.add(f"room.{name}.thermal_{lead_h}h_n", 1.0)
        counter.add(f"room.{name}.thermal_{lead_h}h_abs_c", error_c)


def _followed(measured: Measured, room: str, plan: PlanTold, here: int) -> bool:
    heated = 0.0
    for index in range(here + 1):
        on = measured.at(f"room.{room}.relay_on", plan.start + index * SLOT)
        if on is None:
            return False
        heated += on
    planned = float(sum(plan.relay_on[room][: here + 1]))
    return abs(heated - planned) <= max(_FOLLOWED_SLOTS, _FOLLOWED_SHARE * planned)


def _count_rooms(counter: Counter, home: Home, slot: datetime, measured: Measured) -> None:
    middle = slot + SLOT / 2
    for name, room in home.rooms.items():
        air_c, on = measured.at(f"room.{name}.temperature_c", slot), measured.at(f"room.{name}.relay_on", slot)
        counter.add(f"room.{name}.known_slots", float(air_c is not None))
        heat_wh = None if on is None else on * room.heat_w * _HOURS
        counter.add(f"room.{name}.heat_wh", heat_wh)
        counter.add("heat_wh", heat_wh)
        if air_c is None:
            continue
        low_c, high_c = comfort_band_c(home, name, middle)
        below_k_h = max(0.0, low_c - air_c) * _HOURS
        for prefix in ("", f"room.{name}."):
            counter.add(f"{prefix}comfort_n", 1.0)
            counter.add(f"{prefix}comfort_inside", float(low_c <= air_c <= high_c))
            counter.add(f"{prefix}below_n", float(air_c < low_c))
            counter.add(f"{prefix}below_k_h", below_k_h)
        if heat_wh is not None:
            counter.add("heat_judged_wh", heat_wh)
            counter.add("heat_asked_wh", heat_wh if air_c <= high_c else 0.0)
