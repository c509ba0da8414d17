"""What makes a new plan worth asking for before the hour: pure comparisons of what is with what was planned."""

from datetime import datetime, timedelta

from pems_common.messages import Band, Forecast, Plan, Prices, Telemetry
from pems_common.timegrid import SLOT, slot_start
from pems_optimizer.domain.running import RunningPlan

__all__ = ["forecast_moved", "off_plan", "prices_moved"]

SOC_OFF_PCT = 10.0
ROOM_OFF_C = 1.0
_LOOK_AHEAD_SLOTS = 48
_LEAST_COMPARED = 8
_OUTSIDE_SHARE = 0.25
_ENERGY_OFF_WH = 2_000.0
_ENERGY_SLOTS = 24
_PRICE_SLOTS = 96
_PRICE_OFF_CZK_KWH = 0.1
# A band narrower than this [W, CZK/kWh, C] is as good as known: leaving it means nothing.
_NARROW_W, _NARROW_CZK_KWH, _NARROW_K = 1.0, 0.02, 0.2


def _outside_share(old: Band, new: Band, start: datetime, narrow: float) -> float:
    """Share of the next slots in which the new median lies outside the old band."""
    outside = counted = 0
    for k in range(_LOOK_AHEAD_SLOTS):
        at = start + k * SLOT
        low, high, value = old.p10.at(at), old.p90.at(at), new.p50.at(at)
        if low is None or high is None or value is None or high - low < narrow:
            continue
        counted += 1
        outside += value < low or value > high
    return outside / counted if counted >= _LEAST_COMPARED else 0.0


def forecast_moved(old: Forecast, new: Forecast, now: datetime) -> str:
    """Say how a forecast moved beyond what was allowed for; empty where it did not.

    It did when in the next 12 h a quarter of the slots of PV, load, price or outdoor temperature lie outside the old
    P10..P90, or when the net energy of the next 6 h differs by 2 kWh.
    """
    start = slot_start(now)
    for name, before, after, narrow in (
        ("pv", old.pv_power_w, new.pv_power_w, _NARROW_W),
        ("load", old.load_power_w, new.load_power_w, _NARROW_W),
        ("price", old.buy_czk_kwh, new.buy_czk_kwh, _NARROW_CZK_KWH),
        ("outdoor temperature", old.outdoor_temperature_c, new.outdoor_temperature_c, _NARROW_K),
    ):
        share = _outside_share(before, after, start, narrow)
        if share > _OUTSIDE_SHARE:
            return f"{name} left its band in {share:.0%} of the next slots"
    moved_wh = 0.0
    for k in range(_ENERGY_SLOTS):
        at = start + k * SLOT
        values = [band.p50.at(at) for band in (old.load_power_w, old.pv_power_w, new.load_power_w, new.pv_power_w)]
        if any(v is None for v in values):
            continue
        a, b, c, d = (v for v in values if v is not None)
        moved_wh += ((c - d) - (a - b)) * 0.25
    if abs(moved_wh) > _ENERGY_OFF_WH:
        return f"net energy of the next 6 h moved by {moved_wh:.0f} Wh"
    return ""


def prices_moved(old: Prices | None, new: Prices, now: datetime) -> str:
    """Say what is new in published prices; empty where nothing is.

    They are known for longer, or were corrected (a currency rate that came late): over the next 24 h the price of
    import or export differs by 0.1 CZK/kWh on average.
    """
    if old is None or new.known_until > old.known_until + timedelta(minutes=1):
        return f"prices are known until {new.known_until.isoformat()}"
    start = slot_start(now)
    for name, before, after in (
        ("import", old.buy_czk_kwh, new.buy_czk_kwh),
        ("export", old.sell_czk_kwh, new.sell_czk_kwh),
    ):
        pairs = [(before.at(start + k * SLOT), after.at(start + k * SLOT)) for k in range(_PRICE_SLOTS)]
        off = [abs(b - a) for a, b in pairs if a is not None and b is not None]
        if off and sum(off) / len(off) > _PRICE_OFF_CZK_KWH:
            return f"prices of {name} were corrected by {sum(off) / len(off):.2f} CZK/kWh"
    return ""


def off_plan(plan: Plan, telemetry: Telemetry, now: datetime) -> str:
    """Say what has left the plan: SoC by more than 10 points, or a room by more than 1 C; empty where nothing has."""
    running = RunningPlan(plan)
    share = ((now - plan.start) % SLOT) / SLOT

    def expected(before: float | None, after: float | None) -> float | None:
        if before is None or after is None:
            return None
        return before + share * (after - before)

    later = now + SLOT
    soc, measured = expected(running.soc_pct(now), running.soc_pct(later)), telemetry.battery_soc_pct
    if soc is not None and measured is not None and abs(soc - measured) > SOC_OFF_PCT:
        return f"SoC {measured:.0f} % instead of {soc:.0f} %"
    for name in plan.rooms:
        reading = telemetry.rooms.get(name)
        air = None if reading is None else reading.temperature_c
        planned = expected(running.room_c(name, now), running.room_c(name, later))
        if air is not None and planned is not None and abs(air - planned) > ROOM_OFF_C:
            return f"{name} {air:.1f} C instead of {planned:.1f} C"
    return ""
