"""What a day that has been brought to a house, whatever it decided: the sun, the household, prices, the car's trips."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from pems_common.errors import PermanentError
from pems_common.messages import Thermal
from pems_common.timegrid import SLOT

__all__ = ["CarDay", "DayTruth", "TankDay"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class CarDay:
    """The car's day.

    Attributes:
        connected: Whether it is at the charger (T,).
        driven_wh: What was taken out of its battery until it came back in this slot (T,).
        soc_pct: At the beginning; None where it tells none.
    """

    connected: Bools
    driven_wh: Floats
    soc_pct: float | None


@dataclass(frozen=True)
class TankDay:
    """The tank's day: heat that use and losses take [W] (T,), and its temperature at the beginning."""

    drain_w: Floats
    temperature_c: float


@dataclass(frozen=True)
class DayTruth:
    """What a local day really brought. Arrays are (T,): one value per slot of 15 minutes.

    Attributes:
        day: The local date.
        start: Its first instant, UTC.
        pv_w: PV that could be made.
        load_w: Of the household, without rooms, car and water heater.
        buy: Price of import [CZK/kWh].
        sell: Price of export.
        outdoor_c: Outdoor temperature.
        solar_w_m2: Irradiance by facade.
        thermals: Each room's model, and its state at the beginning.
        soc_pct: Of the battery at the beginning.
        relay_on: Relays at the beginning.
        peak_so_far_w: The month's highest 15-min import before the day.
        car: None where there is none.
        tank: None where there is none.
    """

    day: date
    start: datetime
    pv_w: Floats
    load_w: Floats
    buy: Floats
    sell: Floats
    outdoor_c: Floats
    solar_w_m2: Mapping[str, Floats]
    thermals: Mapping[str, Thermal]
    soc_pct: float = 50.0
    relay_on: Mapping[str, bool] = field(default_factory=dict)
    peak_so_far_w: float = 0.0
    car: CarDay | None = None
    tank: TankDay | None = None

    def __post_init__(self) -> None:
        """Check.

        Raises:
            PermanentError: A series has a gap or another length, so that the day cannot be lived again.
        """
        series = {"PV": self.pv_w, "load": self.load_w, "import price": self.buy, "export price": self.sell}
        series |= {"outdoor temperature": self.outdoor_c, **{f"sun, {f}": s for f, s in self.solar_w_m2.items()}}
        for name, values in series.items():
            if len(values) != self.slots or not np.isfinite(values).all():
                raise PermanentError(
                    f"{self.day}: {name} is not known for the whole day",
                    remedy="leave the day out, or mend the history",
                )

    @property
    def slots(self) -> int:
        """Number of slots: 92, 96 or 100."""
        return len(self.pv_w)

    @property
    def end(self) -> datetime:
        """The instant after its last slot."""
        return self.start + self.slots * SLOT
