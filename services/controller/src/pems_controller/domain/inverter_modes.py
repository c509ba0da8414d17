"""What the battery shall do, as registers of the Growatt inverter, and the fewest writes that bring them about.

Dead man: a mode other than load_first lives in a timeslot that ends at the wish's next change, at most 2 h ahead,
and never crosses local midnight: with PEMS silent the inverter falls back to load_first by its own clock.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import floor
from typing import Any, Self
from zoneinfo import ZoneInfo

from pems_common.dialects import growatt_oig as oig
from pems_common.home import Battery
from pems_controller.domain.state import BatteryWish

__all__ = [
    "LONGEST_SLOT",
    "InverterTarget",
    "Registers",
    "after",
    "before",
    "read_back",
    "refused",
    "target_of",
    "writes",
]

LONGEST_SLOT = timedelta(hours=2)
_RENEW_BEFORE_MIN = 20
_START_EARLIER = timedelta(minutes=5)
_QUARTER = timedelta(minutes=15)
_LAST_MINUTE = "23:59"
_SAME_PCT = 2  # so much below what is wanted is not worth a write; above is never accepted
_ABOVE_LOW_PCT = 2  # a hold near the lower limit is pinned above it: the inverter lets 1 % go before it recharges
_OFF = oig.SlotSettings("00:00", "00:00", False)


@dataclass(frozen=True)
class InverterTarget:
    """Mode of the inverter: `kind` None is load_first; `slot` is local HH:MM (start, stop).

    `ac_charge` is None where it makes no difference. `exact_stop`: no tolerance for the stop. `rate_is_top`: any
    lower rate serves as well.
    """

    kind: oig.SlotKind | None = None
    stop_soc_pct: int = 100
    rate_pct: int = 1
    rate_is_top: bool = False
    ac_charge: bool | None = None
    slot: tuple[str, str] = ("00:00", "00:00")
    exact_stop: bool = False
    inverter_on: bool = True
    export: bool = True


@dataclass(frozen=True)
class Registers:
    """What the inverter is known to hold.

    None was never told. Names in `in_doubt` had a command without an answer: their register may be either.
    """

    batteryfirst_slot: oig.SlotSettings | None = None
    gridfirst_slot: oig.SlotSettings | None = None
    batteryfirst_stop_pct: int | None = None
    gridfirst_stop_pct: int | None = None
    batteryfirst_rate_pct: int | None = None
    gridfirst_rate_pct: int | None = None
    ac_charge: bool | None = None
    inverter_on: bool | None = None
    export: bool | None = None
    in_doubt: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; unknown keys are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        for name in ("batteryfirst_slot", "gridfirst_slot"):
            if known.get(name) is not None:
                known[name] = oig.SlotSettings(**known[name])
        known["in_doubt"] = tuple(known.get("in_doubt", ()))
        return cls(**known)

    def sure(self, name: str) -> Any:
        """Value of a register, None when unknown or in doubt."""
        return None if name in self.in_doubt else getattr(self, name)


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%H:%M")


def _slot(now: datetime, until: datetime | None, zone: ZoneInfo) -> tuple[str, str]:
    """Start and stop of a timeslot that holds now, in local wall-clock digits."""
    local = now.astimezone(zone)
    early = local - _START_EARLIER
    start = early.strftime("%H:%M") if early.date() == local.date() else "00:00"
    end = now + LONGEST_SLOT
    end -= timedelta(seconds=end.timestamp() % _QUARTER.total_seconds())
    if until is not None:
        end = min(end, until)
    local_end = end.astimezone(zone)
    stop = local_end.strftime("%H:%M") if local_end.date() == local.date() else _LAST_MINUTE
    if stop <= local.strftime("%H:%M"):  # the hour that comes twice, or a wish that ends within this minute
        later = local.replace(tzinfo=None) + _QUARTER
        stop = later.strftime("%H:%M") if later.date() == local.date() else _LAST_MINUTE
    return start, stop


def target_of(
    battery: Battery, wish: BatteryWish, soc_pct: float, now: datetime, zone: ZoneInfo, *, top_w: float
) -> InverterTarget:
    """Map a limited wish to the inverter's modes; `top_w` is the hard limit of the battery's power.

    self_consume: load_first. charge_from_grid: battery_first with AC charge. hold: battery_first with the stop
    pinned to the live SoC, rounded down. discharge_to_grid: grid_first. export_pv: grid_first at 100. off: register 0.
    """
    rate = max(1, min(100, floor(100 * wish.power_w / battery.device_scale_w)))
    top = max(1, min(100, floor(100 * min(top_w, battery.power_max_w) / battery.device_scale_w)))
    low, high = floor(battery.soc_min_pct), floor(battery.soc_max_pct)
    slot = _slot(now, wish.until, zone)
    match wish.intent:
        case "self_consume":
            return InverterTarget(export=wish.export)
        case "off":
            return InverterTarget(inverter_on=False, export=wish.export)
        case "charge_from_grid":
            stop = high if wish.stop_soc_pct is None else round(wish.stop_soc_pct)
            return InverterTarget("batteryfirst", stop, rate, ac_charge=True, slot=slot, export=wish.export)
        case "hold":
            stop = max(low + _ABOVE_LOW_PCT, min(high, floor(soc_pct)))
            return InverterTarget("batteryfirst", stop, top, rate_is_top=True, slot=slot, export=wish.export)
        case "discharge_to_grid":
            stop = low if wish.stop_soc_pct is None else round(wish.stop_soc_pct)
            return InverterTarget("gridfirst", stop, rate, slot=slot, exact_stop=True, export=wish.export)
        case "export_pv":
            return InverterTarget(
                "gridfirst", 100, top, rate_is_top=True, slot=slot, exact_stop=True, export=wish.export
            )


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:5])


def _slot_serves(held: oig.SlotSettings | None, wanted: tuple[str, str], now_local: str) -> bool:
    """Whether an enabled timeslot can stay: it holds now, ends no later than wanted, and not too soon."""
    if held is None or not held.enabled or not held.start <= now_local < held.stop or held.stop > wanted[1]:
        return False
    return held.stop == wanted[1] or _minutes(held.stop) - _minutes(now_local) > _RENEW_BEFORE_MIN


def writes(known: Registers, target: InverterTarget, now: datetime, zone: ZoneInfo) -> list[oig.Command]:
    """Return the commands that are needed, in order: the other slot off, parameters, then the slot on.

    A sequence that breaks off therefore never leaves a mode running on another's parameters.
    """
    commands: list[oig.Command] = []
    kinds: tuple[oig.SlotKind, ...] = ("batteryfirst", "gridfirst")
    for kind in kinds:
        held = known.sure(f"{kind}_slot")
        if kind != target.kind and (held is None or held.enabled):
            commands.append(oig.timeslot(kind, _OFF.start, _OFF.stop, enabled=False))
    # Power and export are as they were found until PEMS itself has changed them.
    if _to_switch(known, "inverter_on", target.inverter_on):
        commands.append(oig.inverter_power(on=target.inverter_on))
    if _to_switch(known, "export", target.export):
        commands.append(oig.Command("export/enable" if target.export else "export/disable"))
    now_local = _local(now, zone)
    if target.kind is None or now_local >= _LAST_MINUTE:  # no slot can hold the day's last minute
        return commands
    commands += _parameters(known, target, target.kind)
    if not _slot_serves(known.sure(f"{target.kind}_slot"), target.slot, now_local):
        commands.append(oig.timeslot(target.kind, *target.slot, enabled=True))
    return commands


def _to_switch(known: Registers, name: str, wanted: bool) -> bool:
    if name in known.in_doubt:
        return True
    held = getattr(known, name)
    return held is False if wanted else held is not False


def _near(held: int | None, wanted: int, tolerance: int) -> bool:
    return held is not None and wanted - tolerance <= held <= wanted


def _parameters(known: Registers, target: InverterTarget, kind: oig.SlotKind) -> list[oig.Command]:
    commands: list[oig.Command] = []
    tolerance = 0 if target.exact_stop else _SAME_PCT
    if not _near(known.sure(f"{kind}_stop_pct"), target.stop_soc_pct, tolerance):
        commands.append(oig.stop_soc(kind, target.stop_soc_pct))
    lower = target.rate_pct if target.rate_is_top else _SAME_PCT
    if not _near(known.sure(f"{kind}_rate_pct"), target.rate_pct, lower):
        commands.append(oig.power_rate(kind, target.rate_pct))
    if target.ac_charge is not None and known.sure("ac_charge") is not target.ac_charge:
        commands.append(oig.ac_charge(enabled=target.ac_charge))
    return commands


def _field_of(command: oig.Command) -> str:
    kind, _, rest = command.name.partition("/")
    return {
        "set/timeslot": f"{kind}_slot",
        "set/stopsoc": f"{kind}_stop_pct",
        "set/powerrate": f"{kind}_rate_pct",
        "set/acchargeenabled": "ac_charge",
        "set": "inverter_on",
        "enable": "export",
        "disable": "export",
    }[rest]


def before(known: Registers, command: oig.Command) -> Registers:
    """Return what is known while a command is under way: its register is in doubt."""
    return replace(known, in_doubt=tuple(sorted({*known.in_doubt, _field_of(command)})))


def refused(known: Registers, command: oig.Command) -> Registers:
    """Return what is known after a NAK: the register is as it was."""
    return replace(known, in_doubt=tuple(n for n in known.in_doubt if n != _field_of(command)))


def after(known: Registers, command: oig.Command) -> Registers:
    """Return what is known once a command was acknowledged."""
    name, params = _field_of(command), command.params
    value: Any
    if name.endswith("_slot"):
        value = oig.SlotSettings(str(params["start"]), str(params["stop"]), bool(params["enabled"]))
    elif name == "export":
        value = command.name == "export/enable"
    elif name in {"ac_charge", "inverter_on"}:
        value = bool(params["value"])
    else:
        value = int(params["value"])
    return replace(refused(known, command), **{name: value})


def read_back(known: Registers, kind: oig.SlotKind, told: oig.ModeSettings) -> Registers:
    """Return the registers with what a mode's settings really are (only the first timeslot is ours)."""
    changes: dict[str, Any] = {}
    if told.stop_soc_pct is not None:
        changes[f"{kind}_stop_pct"] = int(told.stop_soc_pct)
    if told.power_rate_pct is not None:
        changes[f"{kind}_rate_pct"] = int(told.power_rate_pct)
    if kind == "batteryfirst" and told.ac_charge is not None:
        changes["ac_charge"] = told.ac_charge
    if told.slots:
        changes[f"{kind}_slot"] = told.slots[0]
    sure = tuple(n for n in known.in_doubt if n not in changes)
    return replace(known, **changes, in_doubt=sure)
