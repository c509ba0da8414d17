"""Rule mode: what each device does without a plan. Plain rules that a person can follow by hand.

They need no forecast. Prices and room models make them better when known, nothing depends on them. The same
functions are the counterfactual that plans are compared with (`rule_wishes`).

What a room's model is used for depends on its tier: `observe` for nothing (a fixed lead before a warmer time);
`prior` for the lead; `suggest` and `control` also for stopping early, when the slab is already warm enough to carry
the air to the target. However wrong a model is, the thermostat at the lower edge of the comfort band is asked first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import ceil

from pems_common.comfort import comfort_target_c
from pems_common.home import Battery, Ev, Home, WaterHeater
from pems_common.home.tariff import minutes_of
from pems_common.messages import Thermal
from pems_common.timegrid import SLOT, local_midnight, slot_start
from pems_controller.domain.prices import PriceView
from pems_controller.domain.room_foresight import LONGEST_LEAD, RoomAhead, foresee
from pems_controller.domain.state import (
    BatteryState,
    BatteryWish,
    EvState,
    EvWish,
    HouseState,
    RoomWish,
    WaterState,
    WaterWish,
    Wish,
)

__all__ = ["RuleInputs", "rule_wish", "rule_wishes", "thermostat"]

HYSTERESIS_K = 0.3
CHEAP_BOOST_K = 0.5
FIXED_LEAD = timedelta(hours=2)
LEAST_LEAD = timedelta(hours=1)  # whatever a model says: it may lie
KEEPS_ON = timedelta(minutes=45)
CHEAPER_CZK_KWH = 0.05
EARLIEST_K = 1.0
COASTS_FOR = timedelta(hours=3)  # a slab gives its heat to the air within about one hour, a thick one within three
CHARGE_SLOTS = 8
HEATING_MONTHS = frozenset({10, 11, 12, 1, 2, 3})
_EV_UNKNOWN_SOC_PCT = 40.0
_WATER_STEP_K = 5.0


@dataclass(frozen=True)
class RuleInputs:
    """What the rules look at: measured state, known prices, and room models where there are any."""

    state: HouseState
    prices: PriceView
    thermal: Mapping[str, Thermal] = field(default_factory=dict)


def thermostat(temperature_c: float | None, target_c: float, on: bool | None) -> bool:
    """On below the target, off above it, as before within +- half the hysteresis. Unknown is off."""
    if temperature_c is None:
        return False
    if temperature_c < target_c - HYSTERESIS_K / 2:
        return True
    if temperature_c > target_c + HYSTERESIS_K / 2:
        return False
    return bool(on)


def _next_time(home: Home, time_of_day: str, now: datetime) -> datetime:
    """The next instant after now at a local time of day (HH:MM)."""
    zone = home.site.zone
    today = now.astimezone(zone).date()
    hour, minute = divmod(minutes_of(time_of_day), 60)

    def on(day: date) -> datetime:  # by the clock on the wall: some days have 23 or 25 hours
        midnight = local_midnight(day + timedelta(days=hour // 24), zone).astimezone(zone)
        return midnight.replace(hour=hour % 24, minute=minute).astimezone(UTC)

    at = on(today)
    return at if at > now else on(today + timedelta(days=1))


def _rise_ahead(home: Home, room: str, now: datetime) -> tuple[datetime, float] | None:
    """When a higher target comes within the longest lead, and what it is."""
    target = comfort_target_c(home, room, now)
    for change in (home.comfort.day_start, home.comfort.night_start):
        at = _next_time(home, change, now)
        if at <= now + LONGEST_LEAD and (coming := comfort_target_c(home, room, at)) > target:
            return at, coming
    return None


@dataclass(frozen=True)
class _Aim:
    """What a room's thermostat aims at.

    Attributes:
        comfort_c: What the schedule asks for now.
        target_c: That, or more while heat is cheap or a warmer time comes.
        by: When the warmer time comes, while the room is heated for it.
    """

    comfort_c: float
    target_c: float
    by: datetime | None = None


def _room_aim(home: Home, name: str, ahead: RoomAhead | None, inputs: RuleInputs) -> _Aim:
    """Comfort target; more in cheap hours; the coming target in its lead time, and before that in cheap slots.

    A room that is being heated keeps to it though the lead shrinks with its warming: relays are not to chatter.
    """
    now, prices = inputs.state.at, inputs.prices
    comfort = comfort_target_c(home, name, now)
    target = comfort + (CHEAP_BOOST_K if prices.cheap_now else 0.0)
    rise = _rise_ahead(home, name, now)
    if rise is None or rise[1] <= target:
        return _Aim(comfort, target)
    at, coming = rise
    lead = FIXED_LEAD if ahead is None else max(ahead.lead_time(coming), LEAST_LEAD)
    if inputs.state.rooms[name].relay.on:
        lead += KEEPS_ON
    mean = prices.mean_until(at)
    cheap = prices.now is not None and mean is not None and prices.now < mean - CHEAPER_CZK_KWH
    if now >= at - lead or (cheap and now >= at - 2 * lead):
        return _Aim(comfort, coming, at)
    return _Aim(comfort, target)


def _room(home: Home, name: str, inputs: RuleInputs) -> RoomWish:
    """The thermostat; with a model that is trusted it looks at the air as warm as the slab will still make it.

    That only ever stops heating earlier, and for no longer than the air stays above the lower edge of the comfort
    band, and less than 1 K below what it aims at: a room whose model lies is cool, not cold.
    """
    room, thermal = inputs.state.rooms[name], inputs.thermal.get(name)
    ahead = foresee(home, name, inputs.state, thermal)
    aim, on = _room_aim(home, name, ahead, inputs), room.relay.on
    if ahead is None or not ahead.slab_known or thermal is None or thermal.tier == "prior":
        return RoomWish(thermostat(room.temperature_c, aim.target_c, on))
    half = HYSTERESIS_K / 2
    least_c = max(
        aim.comfort_c - max(0.0, home.comfort.band_below_k - half),
        aim.target_c - (EARLIEST_K - half),
    )
    peak_c = ahead.peak_c(COASTS_FOR if aim.by is None else max(aim.by - inputs.state.at, KEEPS_ON))
    return RoomWish(thermostat(ahead.air_c, least_c, on) or thermostat(peak_c, aim.target_c, on))


def _battery(home: Home, battery: Battery, state: BatteryState, inputs: RuleInputs) -> BatteryWish:
    """Self-consumption; in the heating season a charge in the 8 cheapest slots, if the spread pays for it."""
    prices = inputs.prices
    month = inputs.state.at.astimezone(home.site.zone).month
    dear = prices.dearest_later(CHARGE_SLOTS)
    if month not in HEATING_MONTHS or prices.now is None or dear is None:
        return BatteryWish("self_consume")
    pays = prices.now / battery.round_trip_efficiency + battery.wear_czk_kwh < dear
    full = state.soc_pct is not None and state.soc_pct >= battery.soc_max_pct - 1
    chosen = prices.cheapest_today(CHARGE_SLOTS)
    if full or not pays or prices.slot not in chosen:
        return BatteryWish("self_consume")
    end = prices.slot
    while end in chosen:
        end += SLOT
    power_w = min(battery.power_max_w, home.control.limits.battery_max_w)
    return BatteryWish("charge_from_grid", power_w, battery.soc_max_pct, end)


def _ev(home: Home, ev: Ev, state: EvState, inputs: RuleInputs) -> EvWish:
    """Ready by the deadline: in the cheapest slots before it when they are known, else as late as is safe."""
    soc = _EV_UNKNOWN_SOC_PCT if state.soc_pct is None else state.soc_pct
    need_wh = (ev.target_soc_pct - soc) / 100 * ev.capacity_wh / ev.efficiency
    if not state.connected or need_wh <= 0:
        return EvWish(0.0)
    now, deadline = inputs.state.at, _next_time(home, ev.ready_by, inputs.state.at)
    slot_wh = ev.power_max_w * SLOT.total_seconds() / 3600
    needed = ceil(need_wh / slot_wh) + 1  # one slot to spare
    left = (deadline - slot_start(now)) // SLOT
    ahead = [(price, slot) for slot, price in inputs.prices.ahead if slot < deadline]
    if left <= needed:
        return EvWish(ev.power_max_w)
    if len(ahead) < left:  # not all prices are known yet: wait, there is time
        return EvWish(0.0)
    chosen = {slot for _, slot in sorted(ahead)[:needed]}
    return EvWish(ev.power_max_w if inputs.prices.slot in chosen else 0.0)


def _water(water: WaterHeater, state: WaterState, prices: PriceView) -> WaterWish:
    """Never below the minimum; up to the target in cheap hours, or by hysteresis where prices are unknown."""
    temperature, on = state.temperature_c, bool(state.relay.on)
    if temperature is None:  # the heater's own thermostat has to know
        return WaterWish(prices.cheap_now or not prices.known)
    if temperature >= water.target_c:
        return WaterWish(False)
    if temperature < water.min_c or (on and temperature < water.min_c + _WATER_STEP_K):
        return WaterWish(True)
    if prices.known:
        return WaterWish(prices.cheap_now and (on or temperature < water.target_c - 1))
    return WaterWish(on or temperature < water.target_c - _WATER_STEP_K)


def rule_wish(home: Home, device: str, inputs: RuleInputs) -> Wish:
    """Return what the rules want of a device.

    Raises:
        KeyError: No such device in this house.
    """
    kind, _, name = device.partition(":")
    if kind == "room":
        return _room(home, name, inputs)
    if kind == "battery" and home.battery is not None:
        return _battery(home, home.battery, inputs.state.battery, inputs)
    if kind == "ev" and home.ev is not None:
        return _ev(home, home.ev, inputs.state.ev, inputs)
    if kind == "water" and home.water is not None:
        return _water(home.water, inputs.state.water, inputs.prices)
    raise KeyError(device)


def rule_wishes(home: Home, inputs: RuleInputs) -> dict[str, Wish]:
    """Return what the rules want of every device: the whole house without a planner."""
    return {device: rule_wish(home, device, inputs) for device in home.device_names}
