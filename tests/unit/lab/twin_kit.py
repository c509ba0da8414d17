"""Small days for twins: a few rooms and a battery, a generated winter day that comes as forecast, or otherwise."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from tests.unit.optimizer.optimizer_cases import small_home, winter_case

from pems_common.home import Home
from pems_common.timegrid import SLOT, local_day_slots, local_midnight
from pems_lab.shadow.days import ShadowDay
from pems_lab.shadow.twin import Replan
from pems_lab.shadow.twin_day import CarDay, DayTruth, TankDay
from pems_optimizer.domain.plan_search import Effort

__all__ = ["DAY", "QUICK", "TICK", "made_day", "tiny_home"]

DAY = date(2025, 1, 14)
QUICK = Effort(rounds=2, fine_rounds=1, rough=(12, 2), fine=(24, 3), sweeps=0, intent_sweeps=0, warm_rounds=1)
TICK = timedelta(minutes=5)


def tiny_home(*rooms: str, **update) -> Home:
    """One heated room and the battery; no car, no tank unless asked for."""
    home = small_home(*(rooms or ("pokoj_1",)), **{"ev": None, "water": None, **update})
    optimization = home.optimization.model_copy(update={"horizon_h": 12})
    return home.model_copy(update={"optimization": optimization})


def made_day(
    home: Home, *, seed: int = 1, day: date = DAY, every_h: int = 2, load_share: float = 1.0, **case
) -> ShadowDay:
    """A day of which PV and prices come as forecast, and `load_share` of the load."""
    start, slots = local_midnight(day, home.site.zone), len(local_day_slots(day, home.site.zone))
    known = winter_case(home, seed, start=start, hours=50, **case)
    forecast, telemetry = known.forecast, known.telemetry
    assert forecast is not None
    assert telemetry is not None

    def came(series) -> np.ndarray:
        return np.array(series.window(start, slots), dtype=np.float64)

    driven = np.zeros(slots)
    away = np.ones(slots, dtype=np.bool_)
    away[28:68] = False  # 07 to 17 h
    driven[68] = 8_000.0
    truth = DayTruth(
        day=day,
        start=start,
        pv_w=came(forecast.pv_power_w.p50),
        load_w=load_share * came(forecast.load_power_w.p50),
        buy=came(forecast.buy_czk_kwh.p50),
        sell=came(forecast.sell_czk_kwh.p50),
        outdoor_c=came(forecast.outdoor_temperature_c.p50),
        solar_w_m2={facade: came(series) for facade, series in forecast.solar_w_m2.items()},
        thermals=known.thermals,
        soc_pct=telemetry.battery_soc_pct or 50.0,
        relay_on={name: bool(reading.relay_on) for name, reading in telemetry.rooms.items()},
        car=None if telemetry.ev is None else CarDay(away, driven, telemetry.ev.soc_pct),
        tank=None
        if telemetry.water is None or telemetry.water.temperature_c is None
        else TankDay(np.full(slots, 300.0), telemetry.water.temperature_c),
    )
    times = [start + k * timedelta(hours=every_h) for k in range(0, 24 // every_h)]
    replans = [Replan(at, at if k == 0 else at + SLOT, replace(known, last=None)) for k, at in enumerate(times)]
    return ShadowDay(truth, tuple(replans))
