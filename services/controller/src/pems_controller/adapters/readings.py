"""Reading the JSON of the EV charger and the water heater."""

from dataclasses import dataclass

from pems_common.dialects.result import POWER_MAX_W, Rejected, number, parse_object

__all__ = ["EvMessage", "WaterMessage", "parse_ev", "parse_water"]


@dataclass(frozen=True)
class EvMessage:
    """State of the charger."""

    connected: bool
    soc_pct: float | None
    power_w: float


@dataclass(frozen=True)
class WaterMessage:
    """State of the heater."""

    temperature_c: float | None
    power_w: float


def parse_ev(payload: bytes) -> EvMessage | Rejected:
    """Read `{connected, soc_pct?, power_w, session_wh}`."""
    data = parse_object(payload)
    if isinstance(data, Rejected):
        return data
    connected = data.get("connected")
    if not isinstance(connected, bool):
        return Rejected("missing_field" if connected is None else "wrong_type", "connected")
    soc = None if data.get("soc_pct") is None else number(data, "soc_pct", 0, 100)
    power = number(data, "power_w", 0, POWER_MAX_W)
    if isinstance(soc, Rejected):
        return soc
    return power if isinstance(power, Rejected) else EvMessage(connected, soc, power)


def parse_water(payload: bytes) -> WaterMessage | Rejected:
    """Read `{temperature_c?, power_w}`."""
    data = parse_object(payload)
    if isinstance(data, Rejected):
        return data
    temperature = None if data.get("temperature_c") is None else number(data, "temperature_c", -10, 110)
    power = number(data, "power_w", 0, POWER_MAX_W)
    if isinstance(temperature, Rejected):
        return temperature
    return power if isinstance(power, Rejected) else WaterMessage(temperature, power)
