"""The owner's old rules for the battery, as a service of its own that speaks to the inverter over MQTT.

Nothing of PEMS takes part. In the heating season the battery is charged from the grid in the cheapest quarters of an
hour of each local day, else it serves the house; surplus PV flows to the grid only above a price. Rooms are heated by
`owner_thermostats`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count

from pems_common.clock import Clock
from pems_common.dialects import growatt_oig as oig
from pems_common.home import Home
from pems_common.messages import Envelope
from pems_common.mqtt import Mqtt
from pems_common.timegrid import SLOT, local_day_slots, slot_start
from pems_house.domain.prices import SpotMarket, true_prices

__all__ = ["OldHabits", "OwnerRules", "cheapest_slots"]


@dataclass(frozen=True)
class OldHabits:
    """How the owner had set his rules.

    Attributes:
        cheap_quarters: Quarters of an hour of a local day in which the battery is charged from the grid.
        heating_months: Months in which it is.
        export_above_czk_kwh: What export must earn before any may flow.
        full_pct: Up to which the battery is charged.
        night_share: By how much of the way from the night to the day target rooms are kept warmer at night, 0..1.
        boosted: Rooms heated above the day target at night.
        boost_k: By how much.

    The night targets are calibrated to what was seen in the first house (docs/laboratory.md); everything else is as
    the owner told it.
    """

    cheap_quarters: int = 8
    heating_months: frozenset[int] = frozenset({1, 2, 3, 4, 10, 11, 12})
    export_above_czk_kwh: float = 0.0
    full_pct: float = 100.0
    night_share: float = 0.5
    boosted: tuple[str, ...] = ("obyvak", "kuchyne", "hosti", "chodba_dole")
    boost_k: float = 0.7


def cheapest_slots(prices: dict[datetime, float], most: int) -> frozenset[datetime]:
    """Return the `most` slots of the lowest prices; of equal ones the earlier."""
    return frozenset(sorted(prices, key=lambda slot: (prices[slot], slot))[:most])


class OwnerRules:
    """Implements `Service`."""

    name = "owner"
    tick_every = timedelta(minutes=1)
    watches: Collection[str] = ()

    def __init__(self, home: Home, clock: Clock, mqtt: Mqtt, market: SpotMarket, habits: OldHabits) -> None:
        """Set up the rules.

        Args:
            home: The site.
            clock: House time.
            mqtt: The broker.
            market: Spot prices; of a local day all are public before it begins.
            habits: How the rules are set.
        """
        self._home, self._clock, self._mqtt, self._habits = home, clock, mqtt, habits
        self._prices = true_prices(home, market)
        self._slot: datetime | None = None
        self._cheap: tuple[date, frozenset[datetime]] | None = None
        self._charging_until: datetime | None = None
        self._exports: bool | None = None
        self._numbers = count(1)

    async def start(self) -> None:
        """Set what never changes: rate and stop of charging."""
        battery = self._home.battery
        if battery is not None:
            power_w = min(battery.power_max_w, self._home.control.limits.battery_max_w)
            rate_pct = 100.0 * power_w / battery.device_scale_w
            await self._send(oig.power_rate("batteryfirst", rate_pct))
            await self._send(oig.stop_soc("batteryfirst", self._habits.full_pct))

    async def on_state(self, poke: Envelope) -> None:
        """Nothing: the rules know no bus."""

    async def tick(self) -> None:
        """Act once in each quarter of an hour."""
        slot = slot_start(self._clock.now())
        if slot == self._slot:
            return
        self._slot = slot
        exports = self._prices(slot)[1] > self._habits.export_above_czk_kwh
        if exports != self._exports:
            self._exports = exports
            await self._send(oig.Command(f"export/{'enable' if exports else 'disable'}"))
        if self._home.battery is not None:
            await self._mind_charging(slot)

    async def stop(self) -> None:
        """Leave the inverter as it is: its timeslot ends by its own clock."""

    def cheap(self, day: date) -> frozenset[datetime]:
        """Return the quarters of an hour of a local day in which the battery is charged; none out of season."""
        if self._cheap is None or self._cheap[0] != day:
            slots = local_day_slots(day, self._home.site.zone) if day.month in self._habits.heating_months else []
            prices = {slot: self._prices(slot)[0] for slot in slots}
            self._cheap = day, cheapest_slots(prices, self._habits.cheap_quarters)
        return self._cheap[1]

    async def _mind_charging(self, slot: datetime) -> None:
        """Begin a charge for as many cheap slots as follow, and end it after them."""
        zone = self._home.site.zone
        local = slot.astimezone(zone)
        cheap = self.cheap(local.date())
        if slot in cheap and (self._charging_until is None or slot >= self._charging_until):
            end = slot
            while end in cheap:
                end += SLOT
            stop = end.astimezone(zone)
            shown = "23:59" if stop.date() != local.date() else f"{stop:%H:%M}"  # must not cross midnight
            self._charging_until = end
            await self._send(oig.ac_charge(enabled=True))
            await self._send(oig.timeslot("batteryfirst", f"{local:%H:%M}", shown, enabled=True))
        elif self._charging_until is not None and slot >= self._charging_until:
            self._charging_until = None
            await self._send(oig.timeslot("batteryfirst", "00:00", "00:01", enabled=False))
            await self._send(oig.ac_charge(enabled=False))

    async def _send(self, command: oig.Command) -> None:
        topic = command.topic(self._home.devices.inverter.command_topic)
        await self._mqtt.publish(topic, command.payload(f"owner-{next(self._numbers)}"))
