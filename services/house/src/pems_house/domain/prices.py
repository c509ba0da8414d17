"""What the meter's energy really costs: the world's spot price through the tariff of home.yaml."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from pems_common.home import Home

__all__ = ["SpotMarket", "true_prices"]

_FALLBACK_EUR_MWH = 90.0


class SpotMarket(Protocol):
    """The part of `pems_common.world.World` that prices come from."""

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        """Day-ahead price of a slot."""

    def eur_czk(self, at: datetime) -> float | None:
        """Exchange rate of the day."""


def true_prices(home: Home, market: SpotMarket) -> Callable[[datetime], tuple[float, float]]:
    """Return a function from the start of a slot to (buy, sell) [CZK/kWh].

    Where the market has no price, that of the same slot on the last day that has one counts, up to a week back.
    """

    def prices(slot: datetime) -> tuple[float, float]:
        spot: float | None = None
        for days in range(8):
            spot = market.spot_eur_mwh(slot - timedelta(days=days))
            if spot is not None:
                break
        rate = market.eur_czk(slot) or home.tariff.fallback_eur_czk
        return home.tariff.prices((_FALLBACK_EUR_MWH if spot is None else spot) * rate / 1000.0, slot, home.site.zone)

    return prices
