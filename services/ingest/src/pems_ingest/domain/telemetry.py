"""Assembling what single devices said into the house's telemetry: ranges, outliers, freshness, balance, quality.

Signs are fixed by the dialects before values come here: grid + = import, battery + = discharge [W].
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from pems_common.dialects.growatt_oig import InverterReading
from pems_common.dialects.result import Rejected, shorten
from pems_common.messages import EvReading, Quality, RoomReading, Telemetry, WaterReading
from pems_ingest.domain.fields import FieldKind, kind_of

__all__ = ["Accepted", "TelemetryAssembler", "inverter_values"]

_POWERS = ("pv_power_w", "load_power_w", "grid_power_w", "battery_power_w")
_STATUS = {0: "waiting", 1: "normal", 3: "fault", 5: "pv_and_battery", 6: "battery"}
_FROZEN_S = 1_800.0  # all powers identical for so long while the inverter keeps talking: a frozen gateway
_BALANCE_W, _BALANCE_SHARE = 300.0, 0.2  # conversion losses and readings that are not quite simultaneous
_RETAINED_SCORE = 0.2


@dataclass(frozen=True)
class Accepted:
    """A reading that was taken. `fresh` is false for a retained one, whose age nobody knows."""

    field: str
    value: float
    fresh: bool


@dataclass
class _Signal:
    value: float
    received_at: datetime
    fresh_at: datetime | None
    changed_at: datetime
    candidate: float | None = None


def inverter_values(reading: InverterReading) -> dict[str, float]:
    """Return the telemetry fields that an inverter's reading fills."""
    pairs = {
        "pv_power_w": reading.pv_power_w,
        "load_power_w": reading.load_power_w,
        "grid_power_w": reading.grid_power_w,
        "battery_power_w": reading.battery_power_w,
        "battery_soc_pct": reading.soc_pct,
        "battery_temperature_c": reading.battery_temperature_c,
    }
    return {field: value for field, value in pairs.items() if value is not None}


class TelemetryAssembler:
    """Keeps the last good reading of each field and tells the state of the house at any instant."""

    def __init__(self, rooms: Collection[str], *, has_ev: bool, has_water: bool) -> None:
        """Start knowing nothing about these rooms."""
        self._rooms = tuple(rooms)
        self._has_ev, self._has_water = has_ev, has_water
        self._signals: dict[str, _Signal] = {}
        self._online = False
        self._status: int | None = None
        self._inverter_at: datetime | None = None
        self._powers: tuple[float, ...] = ()
        self._powers_changed_at: datetime | None = None

    def offer(self, field: str, value: float, now: datetime, *, retained: bool = False) -> Accepted | Rejected:
        """Take a reading, or say why not. An unbelievable jump is taken once a second reading confirms it."""
        kind = kind_of(field)
        if kind is None or (field.startswith("room.") and field.split(".")[1] not in self._rooms):
            return Rejected("unknown_field", shorten(field))
        if not kind.low <= value <= kind.high:  # NaN fails too
            return Rejected("impossible_value", f"{field} = {value:g}, possible {kind.low:g}..{kind.high:g}")
        if kind.boolean and value not in (0.0, 1.0):
            return Rejected("impossible_value", f"{field} = {value:g}, possible 0 or 1")
        signal = self._signals.get(field)
        if signal is None:
            self._signals[field] = _Signal(value, now, None if retained else now, now)
            return Accepted(field, value, fresh=not retained)
        if retained:
            if signal.fresh_at is None:
                signal.value, signal.received_at = value, now
            return Accepted(field, value, fresh=False)
        if self._is_jump(signal, kind, value, now):
            confirmed = signal.candidate is not None and abs(signal.candidate - value) <= (kind.jump or 0.0) / 2
            if not confirmed:
                signal.candidate = value
                return Rejected("outlier", f"{field}: {signal.value:g} -> {value:g}")
        signal.candidate = None
        if value != signal.value or signal.fresh_at is None:
            signal.changed_at = now
        signal.value, signal.received_at, signal.fresh_at = value, now, now
        return Accepted(field, value, fresh=True)

    @staticmethod
    def _is_jump(signal: _Signal, kind: FieldKind, value: float, now: datetime) -> bool:
        if kind.jump is None or signal.fresh_at is None:
            return False
        return now - signal.fresh_at <= timedelta(seconds=kind.jump_s) and abs(value - signal.value) > kind.jump

    def inverter(self, reading: InverterReading, now: datetime, *, retained: bool = False) -> list[Accepted | Rejected]:
        """Take a whole reading of the inverter. Going offline ends its powers at once."""
        if not reading.online:
            self._online, self._status, self._inverter_at = False, reading.status, now
            for field in _POWERS:
                self._signals.pop(field, None)
            return []
        results = [self.offer(f, v, now, retained=retained) for f, v in inverter_values(reading).items()]
        if retained:
            return results
        self._online, self._status, self._inverter_at = True, reading.status, now
        powers = tuple(
            -1.0 if v is None else v
            for v in (reading.pv_power_w, reading.load_power_w, reading.grid_power_w, reading.battery_power_w)
        )
        if powers != self._powers or not any(powers):
            self._powers, self._powers_changed_at = powers, now
        for counter, kwh in reading.counters_kwh.items():
            results.append(self.offer(f"counter.{counter}_kwh", kwh, now))
        return results

    def measures(self, field: str) -> bool:
        """Tell whether some device has given this field (it need not be fresh)."""
        return field in self._signals

    def telemetry(self, now: datetime) -> Telemetry:
        """Return the state of the house at an instant of house time."""
        quality: dict[str, Quality] = {}

        def read(field: str) -> float | None:
            value, quality[field] = self._judge(field, now)
            return value

        def read_bit(field: str) -> bool | None:
            value = read(field) if field in self._signals else None
            return None if value is None else value >= 0.5

        def read_if_known(field: str) -> float | None:
            return read(field) if field in self._signals else None

        values = {field: read(field) for field in (*_POWERS, "battery_soc_pct")}
        self._check_balance(values, quality)
        rooms = {
            name: RoomReading(
                temperature_c=read(f"room.{name}.temperature_c"),
                humidity_pct=read_if_known(f"room.{name}.humidity_pct"),
                target_c=read_if_known(f"room.{name}.target_c"),
                relay_on=read_bit(f"room.{name}.relay_on"),
                window_open=read_bit(f"room.{name}.window_open"),
            )
            for name in self._rooms
        }
        ev = water = None
        if self._has_ev and "ev.connected" in self._signals:
            ev = EvReading(
                connected=bool(read_bit("ev.connected")),
                soc_pct=read_if_known("ev.soc_pct"),
                power_w=read_if_known("ev.power_w") or 0.0,
                session_wh=read_if_known("ev.session_wh") or 0.0,
            )
        if self._has_water and "water.power_w" in self._signals:
            water = WaterReading(
                temperature_c=read_if_known("water.temperature_c"), power_w=read_if_known("water.power_w") or 0.0
            )
        online = self._online and self._inverter_at is not None and now - self._inverter_at <= timedelta(seconds=120)
        return Telemetry(
            **{name: None if value is None else round(value, 2) for name, value in values.items()},
            battery_temperature_c=read_if_known("battery_temperature_c"),
            battery_soh_pct=read_if_known("battery_soh_pct"),
            inverter_mode=None if self._status is None else _STATUS.get(self._status, f"status_{self._status}"),
            inverter_online=online,
            ev=ev,
            water=water,
            outdoor_temperature_c=read_if_known("outdoor_temperature_c"),
            rooms=rooms,
            quality=quality,
        )

    def _judge(self, field: str, now: datetime) -> tuple[float | None, Quality]:
        """Return the value that may still be told, and how good it is."""
        signal, kind = self._signals.get(field), kind_of(field)
        if signal is None or kind is None:
            return None, Quality(age_s=0.0, score=0.0, flag="missing")
        if signal.fresh_at is None:
            age_s = max((now - signal.received_at).total_seconds(), kind.fresh_s + 1.0)
            return signal.value, Quality(age_s=age_s, score=_RETAINED_SCORE, flag="stale")
        age_s = max(0.0, (now - signal.fresh_at).total_seconds())
        if age_s > 3 * kind.fresh_s:
            return None, Quality(age_s=round(age_s, 1), score=0.0, flag="missing")
        score = 1.0 if age_s <= kind.fresh_s else 1.0 - (age_s - kind.fresh_s) / (2 * kind.fresh_s)
        if age_s > kind.fresh_s:
            return signal.value, Quality(age_s=round(age_s, 1), score=round(score, 3), flag="stale")
        if signal.candidate is not None:
            return signal.value, Quality(age_s=round(age_s, 1), score=round(0.5 * score, 3), flag="outlier")
        if self._is_stuck(field, signal, kind, now):
            return signal.value, Quality(age_s=round(age_s, 1), score=round(0.3 * score, 3), flag="stuck")
        return signal.value, Quality(age_s=round(age_s, 1), score=round(score, 3))

    def _is_stuck(self, field: str, signal: _Signal, kind: FieldKind, now: datetime) -> bool:
        if field in _POWERS and self._powers_changed_at is not None:
            return now - self._powers_changed_at > timedelta(seconds=_FROZEN_S)
        return kind.stuck_s > 0 and now - signal.changed_at > timedelta(seconds=kind.stuck_s)

    @staticmethod
    def _check_balance(values: dict[str, float | None], quality: dict[str, Quality]) -> None:
        """Compute the load where nobody measures it, and doubt a measured one that breaks the balance.

        Load = PV + grid + battery, all on the AC side but for conversion losses.
        """
        parts = [values["pv_power_w"], values["grid_power_w"], values["battery_power_w"]]
        known = [p for p in parts if p is not None]
        load = values["load_power_w"]
        if values["grid_power_w"] is None or values["pv_power_w"] is None:
            return
        balance = sum(known)
        if load is None:
            sources = [quality[f] for f in ("pv_power_w", "grid_power_w", "battery_power_w") if values[f] is not None]
            values["load_power_w"] = max(0.0, balance)
            worst = min(sources, key=lambda q: q.score)
            quality["load_power_w"] = worst.model_copy(update={"age_s": max(q.age_s for q in sources)})
            return
        tolerance = _BALANCE_W + _BALANCE_SHARE * sum(abs(p) for p in known)
        if abs(load - balance) > tolerance and quality["load_power_w"].flag == "ok":
            quality["load_power_w"] = quality["load_power_w"].model_copy(update={"flag": "outlier", "score": 0.5})
