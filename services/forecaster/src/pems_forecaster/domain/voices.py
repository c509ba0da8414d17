"""What each provider expects of PV power and outdoor temperature, and what comes of it together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pems_common.home import Home
from pems_common.messages import Weather
from pems_forecaster.domain.consensus import Consensus, weighted
from pems_forecaster.domain.fine_weather import FineWeather, fine_weather, on_slots
from pems_forecaster.domain.grid import Floats, Grid
from pems_forecaster.domain.pv import PvPower, pv_power
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["Voices", "listen_to"]

_MEANT_H = 18.0  # a run that became known longer ago has been silent: it is not asked any more


@dataclass(frozen=True)
class Voices:
    """Expectations by provider, NaN where one is silent, and the consensus.

    Attributes:
        pv_w: AC power of the plant on the grid, by provider.
        temperature_c: Outdoor temperature, by provider.
        weather: The leading provider's, with the temperature of all.
        power: The power of all.
    """

    pv_w: Mapping[str, Floats]
    temperature_c: Mapping[str, Floats]
    weather: FineWeather
    power: PvPower


def listen_to(
    home: Home,
    grid: Grid,
    leading: Weather | None,
    others: tuple[Weather, ...],
    history: SlotHistory,
    fine: FineWeather,
    consensus: Consensus,
) -> Voices:
    """Ask all providers.

    Args:
        home: The site.
        grid: Slots wanted.
        leading: The forecast that `fine` was made of; it also carries what outside services say of PV power.
        others: Of other providers; old ones are passed over.
        history: For what a forecast does not reach.
        fine: The leading forecast on the grid.
        consensus: Errors of all so far.
    """
    power = pv_power(home.pv, fine)
    name = "none" if leading is None else leading.provider
    pv = {name: np.where(fine.guessed, np.nan, power.expected_w)}
    air = {name: np.where(fine.temperature_guessed, np.nan, fine.temperature_c)}
    site = home.site
    for other in others:
        age_h = (grid.issued_at - other.available_at).total_seconds() / 3600.0
        if not 0.0 <= age_h <= _MEANT_H:
            continue
        theirs = fine_weather(
            grid, other, history, latitude=site.latitude, longitude=site.longitude, altitude_m=site.altitude_m
        )
        if theirs.snow is None:  # it lies on the roof, whoever does not tell of it
            theirs = replace(theirs, snow=fine.snow)
        pv[other.provider] = np.where(theirs.guessed, np.nan, pv_power(home.pv, theirs).expected_w)
        air[other.provider] = np.where(theirs.temperature_guessed, np.nan, theirs.temperature_c)
    for service, said in ({} if leading is None else leading.pv_power_w).items():
        if said.available_at <= grid.issued_at:
            values = on_slots(said.p50, grid.slots, power.clear_w) * power.bare
            pv[service] = np.clip(values, 0.0, home.pv.inverter_ac_limit_w)
    expected = weighted(pv, consensus.pv.weights(list(pv)))
    temperature = weighted(air, consensus.temperature.weights(list(air)))
    return Voices(
        pv_w=pv,
        temperature_c=air,
        weather=replace(fine, temperature_c=np.where(np.isfinite(temperature), temperature, fine.temperature_c)),
        power=replace(power, expected_w=np.where(np.isfinite(expected), expected, power.expected_w)),
    )
