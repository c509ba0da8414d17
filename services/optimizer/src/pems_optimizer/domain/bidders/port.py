"""What a bidder is: it answers a price per slot with its best schedule, and says what no schedule can beat."""

from dataclasses import dataclass
from typing import Protocol

from pems_optimizer.domain.house_lp import Prices
from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["Bidder", "Column", "Wish"]


@dataclass(frozen=True)
class Wish:
    """A state that a device must have in a slot, for questions such as "why not on at 14:00?"."""

    slot: int
    on: bool


@dataclass(frozen=True)
class Column:
    """A schedule on offer.

    Attributes:
        power_w: What the device draws in each slot (T,).
        own_czk: What the schedule costs the device itself: comfort, starts, end state.
    """

    power_w: Floats
    own_czk: float


class Bidder(Protocol):
    """A flexible device.

    Attributes:
        name: `room:<name>`, `water`, `appliance:<name>`.
        heats: Whether its power counts towards the limit of all heating together.
    """

    name: str
    heats: bool

    def price(self, prices: Prices) -> Floats:
        """Return what one W over each slot costs this device [CZK] (T,)."""

    def bid(self, price: Floats, wish: Wish | None = None) -> Column:
        """Return the best schedule at a price (T,), kept minimum times and limits; with a wish as far as possible."""

    def column(self, on: Bools) -> Column:
        """Return a given schedule (T,) as a column."""

    def allows(self, on: Bools) -> bool:
        """Whether a schedule (T,) keeps minimum times, limits, and what is forced."""

    def floor_czk(self, price: Floats, fineness: int) -> float:
        """Return a bound that own cost plus energy of no schedule at this price can be below.

        Args:
            price: Of one W over each slot (T,).
            fineness: Of the grid where there is one; more is tighter.
        """
