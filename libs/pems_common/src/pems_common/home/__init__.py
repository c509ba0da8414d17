"""The site description `home.yaml`: typed models and a loader whose errors name line, field, value and remedy."""

from pems_common.home.devices import Devices
from pems_common.home.loading import HomeError, HomeProblem, load_home, parse_home
from pems_common.home.models import (
    Appliance,
    Battery,
    Cold,
    Comfort,
    Control,
    Ev,
    Grid,
    Home,
    Hygiene,
    Limits,
    Optimization,
    Pv,
    Roof,
    Room,
    Site,
    Taper,
    Uncertainty,
    WaterHeater,
)
from pems_common.home.tariff import Tariff, TariffVersion, TimeWindow

__all__ = [
    "Appliance",
    "Battery",
    "Cold",
    "Comfort",
    "Control",
    "Devices",
    "Ev",
    "Grid",
    "Home",
    "HomeError",
    "HomeProblem",
    "Hygiene",
    "Limits",
    "Optimization",
    "Pv",
    "Roof",
    "Room",
    "Site",
    "Taper",
    "Tariff",
    "TariffVersion",
    "TimeWindow",
    "Uncertainty",
    "WaterHeater",
    "load_home",
    "parse_home",
]
