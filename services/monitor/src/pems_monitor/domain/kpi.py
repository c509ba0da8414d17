"""Key figures of the running local day, added up from the telemetry that the monitor saw.

What was not seen is not invented: `covered` says which share of the day so far the figures stand for.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self

from pems_common.comfort import comfort_band_c
from pems_common.home import Home
from pems_common.messages import Prices, Telemetry
from pems_common.timegrid import local_midnight, slot_start
from pems_monitor.domain.now import heating_power_w

__all__ = ["DayLedger", "Kpi"]

_LONGEST = timedelta(minutes=5)  # house time; a longer silence is a gap, not a reading
_PV_WORTH_A_RATE_WH = 200.0


@dataclass(frozen=True)
class Kpi:
    """Figures of one local day so far.

    Attributes:
        covered: Share of the day so far with telemetry, 0..1.
        cost_czk: Import at the buying price less export at the selling price, where a price was known.
        priced: Share of the imported and exported energy whose price was known, 0..1; None without any.
        self_consumption: Share of PV energy that was not exported; None below 0.2 kWh of PV.
        self_sufficiency: Share of the load that was not imported; None without load.
        peak_import_w: Highest 15-min mean of import.
        comfort_k_h: Degree hours below the comfort band, summed over rooms [K h].
        comfort_inside: Share of room time inside the band, 0..1; None without room readings.
        battery_cycles: Energy taken out over capacity.
    """

    day: date
    covered: float
    pv_wh: float
    load_wh: float
    heating_wh: float
    import_wh: float
    export_wh: float
    discharge_wh: float
    charge_wh: float
    cost_czk: float
    priced: float | None
    self_consumption: float | None
    self_sufficiency: float | None
    peak_import_w: float
    comfort_k_h: float
    comfort_inside: float | None
    battery_cycles: float | None


@dataclass
class DayLedger:
    """Sums of one local day. Feed it every telemetry; it turns its own page at local midnight."""

    day: str = ""
    last_at: str = ""
    seen_s: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    peak_import_w: float = 0.0
    slot: str = ""
    slot_import_wh: float = 0.0

    def add(self, at: datetime, telemetry: Telemetry, prices: Prices | None, home: Home) -> None:
        """Count the time since the last telemetry with the powers of this one.

        Args:
            at: House time of the telemetry, aware; an older one than the last is ignored.
            telemetry: Readings; unknown ones count nothing.
            prices: For the cost; energy without a price is counted but not costed.
            home: For zone, comfort band and rated powers.
        """
        day = at.astimezone(home.site.zone).date().isoformat()
        last = datetime.fromisoformat(self.last_at) if self.last_at else None
        if last is not None and at <= last:
            return
        if day != self.day:
            self.day, self.seen_s, self.sums, self.peak_import_w = day, 0.0, {}, 0.0
            self.slot, self.slot_import_wh = "", 0.0
            last = None if last is None else max(last, local_midnight(date.fromisoformat(day), home.site.zone))
        self.last_at = at.isoformat()
        if last is None or at - last > _LONGEST:
            return
        self._count((at - last).total_seconds(), at, telemetry, prices, home)

    def _count(self, seconds: float, at: datetime, telemetry: Telemetry, prices: Prices | None, home: Home) -> None:
        hours = seconds / 3600
        self.seen_s += seconds
        self._sum("pv_wh", telemetry.pv_power_w, hours)
        self._sum("load_wh", telemetry.load_power_w, hours)
        self._sum("heating_wh", heating_power_w(telemetry, home), hours)
        if telemetry.battery_power_w is not None:
            self._sum("discharge_wh", max(0.0, telemetry.battery_power_w), hours)
            self._sum("charge_wh", max(0.0, -telemetry.battery_power_w), hours)
        if telemetry.grid_power_w is not None:
            self._grid(telemetry.grid_power_w, hours, at, prices)
        for name, reading in telemetry.rooms.items():
            if reading.temperature_c is None or name not in home.rooms:
                continue
            low_c, high_c = comfort_band_c(home, name, at)
            self._sum("comfort_k_h", max(0.0, low_c - reading.temperature_c), hours)
            self._sum("room_h", 1.0, hours)
            self._sum("room_inside_h", float(low_c <= reading.temperature_c <= high_c), hours)

    def _grid(self, grid_w: float, hours: float, at: datetime, prices: Prices | None) -> None:
        import_wh, export_wh = max(0.0, grid_w) * hours, max(0.0, -grid_w) * hours
        self._sum("import_wh", import_wh, 1.0)
        self._sum("export_wh", export_wh, 1.0)
        buy = prices.buy_czk_kwh.at(at) if prices else None
        sell = prices.sell_czk_kwh.at(at) if prices else None
        if buy is not None and sell is not None:
            self._sum("cost_czk", (import_wh * buy - export_wh * sell) / 1000, 1.0)
            self._sum("priced_wh", import_wh + export_wh, 1.0)
        slot = slot_start(at).isoformat()
        if slot != self.slot:
            self.slot, self.slot_import_wh = slot, 0.0
        self.slot_import_wh += import_wh
        self.peak_import_w = max(self.peak_import_w, self.slot_import_wh * 4)

    def _sum(self, name: str, value: float | None, hours: float) -> None:
        if value is not None:
            self.sums[name] = self.sums.get(name, 0.0) + value * hours

    def kpi(self, now: datetime, home: Home) -> Kpi | None:
        """The figures so far; None when nothing of the local day of `now` was seen."""
        local_day = now.astimezone(home.site.zone).date()
        if self.day != local_day.isoformat():
            return None
        get = self.sums.get
        since_s = (now - local_midnight(local_day, home.site.zone)).total_seconds()
        pv_wh, load_wh = get("pv_wh", 0.0), get("load_wh", 0.0)
        import_wh, export_wh = get("import_wh", 0.0), get("export_wh", 0.0)
        moved_wh, room_h = import_wh + export_wh, get("room_h", 0.0)
        discharge_wh = get("discharge_wh", 0.0)
        return Kpi(
            day=local_day,
            covered=min(1.0, self.seen_s / since_s) if since_s > 0 else 0.0,
            pv_wh=pv_wh,
            load_wh=load_wh,
            heating_wh=get("heating_wh", 0.0),
            import_wh=import_wh,
            export_wh=export_wh,
            discharge_wh=discharge_wh,
            charge_wh=get("charge_wh", 0.0),
            cost_czk=get("cost_czk", 0.0),
            priced=get("priced_wh", 0.0) / moved_wh if moved_wh > 0 else None,
            self_consumption=_share(pv_wh - export_wh, pv_wh) if pv_wh >= _PV_WORTH_A_RATE_WH else None,
            self_sufficiency=_share(load_wh - import_wh, load_wh),
            peak_import_w=self.peak_import_w,
            comfort_k_h=get("comfort_k_h", 0.0),
            comfort_inside=get("room_inside_h", 0.0) / room_h if room_h > 0 else None,
            battery_cycles=discharge_wh / home.battery.capacity_wh if home.battery else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data to keep over a restart."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave; anything malformed gives an empty ledger."""
        try:
            ledger = cls(
                day=str(data["day"]),
                last_at=str(data["last_at"]),
                seen_s=float(data["seen_s"]),
                sums={str(k): float(v) for k, v in dict(data["sums"]).items()},
                peak_import_w=float(data["peak_import_w"]),
                slot=str(data["slot"]),
                slot_import_wh=float(data["slot_import_wh"]),
            )
            if ledger.last_at:
                datetime.fromisoformat(ledger.last_at)
        except (KeyError, TypeError, ValueError):
            return cls()
        return ledger


def _share(part: float, whole: float) -> float | None:
    return max(0.0, min(1.0, part / whole)) if whole > 0 else None
