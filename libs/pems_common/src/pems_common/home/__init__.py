"""The site description `home.yaml`: typed models and a loader whose errors name line, field, value and remedy."""

from pems_common.home.devices import Devices
from pems_common.home.loading import HomeError, HomeProblem, load_home, parse_home
from pems_common.home.models import (
    Appliance,
    Battery,
    Comfort,
    Control,
    Ev,
    Grid,
    Home,
    Limits,
    Optimization,
    Pv,
    Roof,
    Room,
    Site,
    WaterHeater,
)
from pems_common.home.tariff import Tariff, TariffVersion, TimeWindow

__all__ = [
    "Appliance",
    "Battery",
    "Comfort",
    "Control",
    "Devices",
    "Ev",
    "Grid",
    "Home",
    "HomeError",
    "HomeProblem",
    "Limits",
    "Optimization",
    "Pv",
    "Roof",
    "Room",
    "Site",
    "Tariff",
    "TariffVersion",
    "TimeWindow",
    "WaterHeater",
    "load_home",
    "parse_home",
]
