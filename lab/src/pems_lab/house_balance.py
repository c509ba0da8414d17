"""Whether the simulated house loses or invents energy: each store and each bus bar against what flowed."""

from dataclasses import dataclass
from typing import Self

from pems_house.domain.plant import Plant

__all__ = ["HouseBalance", "Stores", "balance"]


@dataclass(frozen=True)
class Stores:
    """Energy in the stores of a house [Wh]: of rooms above 20 C, of water above 0 C."""

    rooms: float
    battery: float
    water: float

    @classmethod
    def of(cls, plant: Plant) -> Self:
        """Read a house at this moment."""
        battery, tank = plant.inverter.battery, plant.tank
        return cls(
            float(plant.rooms.stored_wh().sum()),
            0.0 if battery is None else battery.energy_wh,
            0.0 if tank is None else tank.temperature_c * tank.capacity_wh_k,
        )


@dataclass(frozen=True)
class HouseBalance:
    """What is missing on each side [Wh], positive where energy was lost, and what flowed through the house.

    Attributes:
        bus_bar: Grid, PV and battery against the load.
        loads: The load against heating, household, car and water.
        rooms: Heat given and lost against what the building stores.
        battery: Charge, discharge and losses against what the cells store.
        water: Heat given, drawn and lost against what the tank stores.
        throughput_wh: Import and PV.
    """

    bus_bar: float
    loads: float
    rooms: float
    battery: float
    water: float
    throughput_wh: float

    @property
    def worst(self) -> float:
        """Largest gap as a share of what flowed through the house."""
        gaps = (self.bus_bar, self.loads, self.rooms, self.battery, self.water)
        return max(abs(gap) for gap in gaps) / max(self.throughput_wh, 1.0)


def balance(plant: Plant, begun: Stores) -> HouseBalance:
    """Return the balance of a house from its first moment, when it stored `begun`, until now."""
    now, wh = Stores.of(plant), plant.truth.wh
    battery, tank = plant.inverter.battery, plant.tank
    heat_wh = wh["heating"] + wh["gains"] + wh["sun"]
    charged = 0.0 if battery is None else battery.charged_wh - battery.discharged_wh - battery.lost_wh
    warmed = 0.0 if tank is None else tank.heat_wh - tank.drawn_wh - tank.lost_wh
    return HouseBalance(
        bus_bar=wh["import"] + wh["pv"] + wh["battery_out"] - wh["export"] - wh["battery_in"] - wh["load"],
        loads=wh["load"] - wh["heating"] - wh["household"] - wh["ev"] - wh["water"],
        rooms=heat_wh - plant.rooms.lost_wh - (now.rooms - begun.rooms),
        battery=charged - (now.battery - begun.battery),
        water=warmed - (now.water - begun.water),
        throughput_wh=wh["import"] + wh["pv"],
    )
