"""Made-up histories of one PV plant: bell-shaped days under skies that change from day to day."""

from dataclasses import replace

import numpy as np

from pems_forecaster.domain.pv_quality import PvRows

DAY_S = 86_400
START_S = 1_714_521_600  # 2024-05-01 00:00 UTC


def rows(days: int, *, step_s: int = 3600, error: float = 0.1, seed: int = 1) -> PvRows:
    """Rows on the Greenwich meridian, light from 6 to 18 h; physics is off by `error` of the clear sky."""
    rng = np.random.default_rng(seed)
    start_s = START_S + step_s * np.arange(days * DAY_S // step_s)
    hour = (start_s % DAY_S + step_s / 2) / 3600.0
    clear = 0.9 * np.maximum(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0)
    clear[clear < 1e-9] = 0.0
    sky = np.repeat(rng.uniform(0.45, 1.0, days), DAY_S // step_s)
    told = np.clip(sky + rng.normal(0.0, error, len(sky)), 0.05, 1.1)
    return PvRows(
        start_s=start_s,
        step_s=step_s,
        day=PvRows.solar_day(start_s, step_s, 0.0),
        measured=sky * clear,
        physics=told * clear,
        clear=clear,
        limited=np.zeros(len(start_s), dtype=np.bool_),
    )


def on_days(made: PvRows, first: int, last: int) -> np.ndarray:
    """Rows of the days `first` to `last` - 1, counted from the first one."""
    day = made.day - made.day[0]
    return (day >= first) & (day < last)


def with_power(made: PvRows, where: np.ndarray, power: np.ndarray | float) -> PvRows:
    """Other power in some rows."""
    return replace(made, measured=np.where(where, power, made.measured))
