"""A generated winter day of the house of config/home.yaml: everything a plan needs, as messages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pems_common.home import Home
from pems_common.messages import (
    Band,
    EvReading,
    Forecast,
    RoomReading,
    RoomState,
    Series,
    Telemetry,
    Thermal,
    WaterReading,
)
from pems_forecaster.domain.rooms import prior_models
from pems_optimizer.domain.assemble import Known

__all__ = ["HOME", "START", "winter_case"]

HOME = Path(__file__).resolve().parents[1] / "config" / "home.yaml"
START = datetime(2025, 1, 14, 13, 0, tzinfo=UTC)


def _spot_czk_kwh(hour: np.ndarray, day_level: np.ndarray, noise: np.ndarray, midday_dip: float) -> np.ndarray:
    shape = (
        2.2
        + 1.5 * np.exp(-(((hour - 8) / 1.8) ** 2))
        + 2.0 * np.exp(-(((hour - 18.5) / 2.2) ** 2))
        - (0.9 + midday_dip) * np.exp(-(((hour - 13) / 2.0) ** 2))
        - 0.8 * np.exp(-(((hour - 3) / 2.5) ** 2))
    )
    return np.asarray(shape * day_level + noise)


def winter_case(
    home: Home,
    seed: int,
    *,
    start: datetime = START,
    hours: int = 48,
    outdoor_c: float = 0.0,
    sun: float = 1.0,
    midday_dip: float = 0.0,
    ev_missing_wh: float | None = 8_000.0,
) -> Known:
    """Return everything a plan needs on a generated day: prices, weather, load, telemetry, room models."""
    rng = np.random.default_rng(seed)
    slots = hours * 4
    at = [start + timedelta(minutes=15 * k) for k in range(slots)]
    local = [a.astimezone(home.site.zone) for a in at]
    hour = np.array([a.hour + a.minute / 60 for a in local]) + 0.125
    day = np.array([a.toordinal() for a in local]) - local[0].toordinal()
    level = (1 + 0.15 * rng.normal(size=day.max() + 1))[day]
    spot = _spot_czk_kwh(hour, level, 0.15 * rng.normal(size=slots), midday_dip)
    prices = [home.tariff.prices(float(s), a, home.site.zone) for s, a in zip(spot, at, strict=True)]
    outdoor = outdoor_c + rng.normal(0, 2) + 4 * np.sin((hour - 9) / 24 * 2 * np.pi)
    cloud = np.clip(rng.uniform(0.2, 0.9, day.max() + 1)[day] + 0.1 * rng.normal(size=slots), 0.05, 1.0)
    light = np.clip(np.sin((hour - 7.5) / 9 * np.pi), 0, None) * ((hour > 7.5) & (hour < 16.5)) * sun
    ghi = 400 * light * cloud
    pv = home.pv.peak_w * 0.55 * light * cloud
    load = 350 + 500 * np.exp(-(((hour - 7) / 1.2) ** 2)) + 1300 * np.exp(-(((hour - 18.5) / 2.0) ** 2))
    load = load * rng.lognormal(0, 0.2, slots)

    def band(values: Any, spread: float) -> Band:
        values = np.asarray(values, dtype=float)
        width = np.abs(values) * spread
        return Band(
            p10=Series.of(start, 900, (values - width).tolist()),
            p50=Series.of(start, 900, values.tolist()),
            p90=Series.of(start, 900, (values + width).tolist()),
        )

    facade = {"south": 1.2, "east": 0.6, "west": 0.6, "north": 0.25}
    forecast = Forecast(
        issued_at=start,
        available_at=start,
        horizon_s=hours * 3600,
        pv_power_w=band(pv, 0.4),
        load_power_w=band(load, 0.25),
        buy_czk_kwh=band([p[0] for p in prices], 0.1),
        sell_czk_kwh=band([p[1] for p in prices], 0.1),
        outdoor_temperature_c=band(outdoor, 0.2),
        solar_w_m2={name: Series.of(start, 900, (ghi * f).tolist()) for name, f in facade.items()},
    )
    models = prior_models(home)
    rooms, thermals = {}, {}
    for name, room in home.rooms.items():
        air = room.day_c + float(rng.uniform(-0.4, 0.6))
        thermals[name] = Thermal(
            room=name,
            model=models[name],
            tier="prior",
            state=RoomState(air_c=air, mass_c=air + float(rng.uniform(0.3, 2.0)), at=start),
            version="prior-1",
        )
        rooms[name] = RoomReading(temperature_c=round(air, 1), relay_on=bool(rng.random() < 0.3))
    ev = None
    if home.ev is not None and ev_missing_wh is not None:
        missing_pct = ev_missing_wh * home.ev.efficiency / home.ev.capacity_wh * 100
        ev = EvReading(connected=True, soc_pct=home.ev.target_soc_pct - missing_pct)
    telemetry = Telemetry(
        battery_soc_pct=float(rng.uniform(25, 80)),
        inverter_online=True,
        ev=ev,
        water=WaterReading(temperature_c=float(rng.uniform(44, 51))) if home.water else None,
        outdoor_temperature_c=float(outdoor[0]),
        rooms=rooms,
    )
    return Known(forecast=forecast, telemetry=telemetry, thermals=thermals)
