"""Bodies of what is expected: forecasts and room models."""

from typing import Literal

from pydantic import AwareDatetime

from pems_common.messages.series import Band, Body, Series

__all__ = ["Evidence", "Forecast", "RoomModel", "RoomState", "Thermal"]


class Forecast(Body):
    """Bands on one 15-min grid over the horizon.

    Attributes:
        load_power_w: Without controlled loads (rooms, EV, water heater).
        solar_w_m2: P50 irradiance on each facade (north, east, south, west).
        correlation: Lag-1 correlation of the errors of pv, load, price.
        models: Version per kind.
        coverage: Per kind and lead day, share [%] of truth inside P10..P90 lately.
        inputs: Ids of the messages this forecast was made from.
        degraded: Reasons why this is worse than usual; empty when all is well.
    """

    issued_at: AwareDatetime
    available_at: AwareDatetime
    horizon_s: int
    pv_power_w: Band
    load_power_w: Band
    buy_czk_kwh: Band
    sell_czk_kwh: Band
    outdoor_temperature_c: Band
    solar_w_m2: dict[str, Series] = {}
    correlation: dict[str, float] = {}
    models: dict[str, str] = {}
    coverage: dict[str, dict[str, float]] = {}
    inputs: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


class RoomModel(Body):
    """2R2C model of a room: air node (ci, to outdoor by ria.. in series) and mass node (slab).

    Air:  ci dTi/dt = (Tm - Ti)/ria + (To - Ti)/rea + sum_k neighbours_k (Tk - Ti) + (1 - heat_to_mass) P
                      + solar + gains + disturbance
    Mass: cm dTm/dt = (Ti - Tm)/ria + heat_to_mass P

    Attributes:
        ria_k_w: Resistance between air and mass [K/W].
        rea_k_w: Resistance between air and outdoors [K/W].
        ci_j_k: Heat capacity of air and furniture [J/K].
        cm_j_k: Heat capacity of the mass (slab) [J/K].
        neighbours: Conductance to neighbour rooms [W/K].
        solar_m2: Effective aperture per facade [m2].
        gains_w: Internal gains by local hour ("0".."23") [W].
        heater_w: Electric power while the relay is on [W].
        heat_to_mass: Share of the heat that goes into the mass first.
    """

    ria_k_w: float
    rea_k_w: float
    ci_j_k: float
    cm_j_k: float
    neighbours: dict[str, float] = {}
    solar_m2: dict[str, float] = {}
    gains_w: dict[str, float] = {}
    heater_w: float
    heat_to_mass: float = 1.0


class Evidence(Body):
    """Why a model is trusted: 24-h error against the simple method, days of data, excitation 0..1."""

    mae_24h_c: float | None = None
    simple_mae_24h_c: float | None = None
    days: float = 0.0
    excitation: float = 0.0


class RoomState(Body):
    """Estimated state of a room."""

    air_c: float
    mass_c: float
    disturbance_w: float = 0.0
    at: AwareDatetime


class Thermal(Body):
    """A room's model, how far to trust it, and its present state."""

    room: str
    model: RoomModel
    interval: dict[str, tuple[float, float]] = {}
    tier: Literal["prior", "observe", "suggest", "control"]
    evidence: Evidence = Evidence()
    state: RoomState | None = None
    version: str
