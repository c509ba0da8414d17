"""A made-up house of two rooms whose history is known by formula: what it did, what was foreseen, what was planned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import pi, sin
from pathlib import Path

from pems_common.errors import UnavailableError
from pems_common.home import Home, load_home
from pems_common.messages import (
    Band,
    Body,
    DeviceMode,
    Envelope,
    Forecast,
    Mode,
    Plan,
    PlanCost,
    RoomPlan,
    Series,
    Solver,
    Status,
)
from pems_common.timegrid import SLOT, slot_range

ROOT = Path(__file__).parents[3]
PV_ERROR_W, LOAD_ERROR_W, ROOM_ERROR_C = 120.0, -60.0, 0.3
BUY, SELL = 5.0, 1.0


def two_rooms() -> Home:
    """The first house with two of its rooms, without car and water heater."""
    home = load_home(ROOT / "config" / "home.yaml")
    rooms = {name: home.rooms[name] for name in ("kuchyne", "loznice")}
    return home.model_copy(update={"rooms": rooms, "ev": None, "water": None})


@dataclass
class MadeHouse:
    """Formulas of the house; a test replaces what it is about.

    Attributes:
        begun: Since when there is a history.
        cost_more_w: Import beyond load, by local day.
        gone: Series without readings.
        away: Whether ingest is away.
    """

    home: Home
    begun: datetime
    colder_c: Callable[[date], float] = lambda day: 0.0
    more_w: Callable[[date], float] = lambda day: 0.0
    gone: set[str] = field(default_factory=set)
    fixed: dict[str, float] = field(default_factory=dict)
    away: bool = False
    asked: list[str] = field(default_factory=list)

    def day(self, at: datetime) -> date:
        return at.astimezone(self.home.site.zone).date()

    def pv_w(self, at: datetime) -> float:
        local = at.astimezone(self.home.site.zone)
        return max(0.0, 4000 * sin((local.hour + local.minute / 60 - 7) / 10 * pi)) if 7 <= local.hour < 17 else 0.0

    def value(self, name: str, at: datetime) -> float | None:
        if at < self.begun or name in self.gone:
            return None
        if name in self.fixed:
            return self.fixed[name]
        heat_w = sum(room.heat_w for room in self.home.rooms.values()) * self.relay(at)
        base_w = 400.0 + self.more_w(self.day(at))
        known: dict[str, float] = {
            "pv_power_w": self.pv_w(at),
            "load_power_w": base_w + heat_w,
            "grid_power_w": base_w + heat_w - self.pv_w(at),
            "battery_power_w": 0.0,
            "battery_soc_pct": 60.0,
            "outdoor_temperature_c": 2.0 - self.colder_c(self.day(at)),
            "weather.ghi_w_m2": self.pv_w(at) / 10,
            "price.buy_czk_kwh": BUY,
            "price.sell_czk_kwh": SELL,
        }
        if name.endswith(".temperature_c") and name.startswith("room."):
            return self.home.rooms[name.split(".")[1]].day_c
        return self.relay(at) if name.endswith(".relay_on") else known.get(name)

    def relay(self, at: datetime) -> float:
        return float(at.hour % 6 == 0)

    # --- the port

    async def first_at(self) -> datetime | None:
        self._ask("first_at")
        return self.begun

    async def slots(
        self, series: Sequence[str], start: datetime, end: datetime, *, step_s: int = 900
    ) -> Mapping[str, list[float | None]]:
        self._ask("slots")
        grid = slot_range(start, round((end - start) / SLOT))
        return {name: [self.value(name, at) for at in grid] for name in series}

    async def messages(
        self, type: str, start: datetime, end: datetime, *, subject: str | None = None, limit: int = 1000
    ) -> list[Envelope]:
        self._ask(type)
        first = start.replace(minute=0, second=0, microsecond=0)
        hours = [first + timedelta(hours=n) for n in range(int((end - first) / timedelta(hours=1)) + 1)]
        told = [at for at in hours if max(start, self.begun) <= at < end][-limit:]
        make = {"forecast": self.forecast, "plan": self.plan}[type]
        return [envelope(type, make(at), at) for at in told]

    def _ask(self, what: str) -> None:
        if self.away:
            raise UnavailableError("ingest is away")
        self.asked.append(what)

    # --- what was told

    def forecast(self, at: datetime) -> Forecast:
        grid = slot_range(at, 192)

        def band(values: list[float], half: float) -> Band:
            low, middle, high = ([value + by for value in values] for by in (-half, 0.0, half))
            return Band(p10=Series.of(at, 900, low), p50=Series.of(at, 900, middle), p90=Series.of(at, 900, high))

        flat = band([0.0] * 192, 0.0)
        return Forecast(
            issued_at=at,
            available_at=at,
            horizon_s=172_800,
            pv_power_w=band([self.pv_w(slot) + PV_ERROR_W for slot in grid], 150.0),
            load_power_w=band([400.0 + self.more_w(self.day(slot)) + LOAD_ERROR_W for slot in grid], 30.0),
            buy_czk_kwh=flat,
            sell_czk_kwh=flat,
            outdoor_temperature_c=flat,
        )

    def plan(self, at: datetime) -> Plan:
        grid = slot_range(at, 192)
        rooms = {
            name: RoomPlan(
                relay_on=tuple(self.relay(slot) > 0 for slot in grid),
                temperature_c=(room.day_c + ROOM_ERROR_C,) * 192,
                comfort_low_c=(20.0,) * 192,
                comfort_high_c=(24.0,) * 192,
            )
            for name, room in self.home.rooms.items()
        }
        return Plan(
            plan_id=at.isoformat(),
            plan_no=int(at.timestamp()),
            config_hash="",
            issued_at=at,
            valid_until=at + timedelta(hours=2),
            control_until=at + timedelta(hours=24),
            start=at,
            step_s=900,
            slots=192,
            rooms=rooms,
            cost=PlanCost(energy=100, wear=0, peak=0, comfort=0, switching=0, total=100.0),
            net_cost_czk=100.0,
            peak_import_w=3000.0,
            baseline_total_czk=130.0,
            solver=Solver(name="x", status="optimal", objective=100.0, solve_s=1.5, build_s=0.1),
            profile="balanced",
        )


def envelope(type: str, body: Body, at: datetime) -> Envelope:
    return Envelope(
        type=type,
        v=1,
        id=f"{type}-{at.isoformat()}",
        site="home",
        seq=int(at.timestamp() * 1000),
        at=at,
        wall_at=at,
        source="test@1",
        body=body.model_dump(mode="json"),
    )


def status(at: datetime, modes: Mapping[str, Mode], violations: tuple[str, ...] = ()) -> Status:
    return Status(
        house_mode="mpc",
        devices={name: DeviceMode(mode=mode, since=at, why="plan") for name, mode in modes.items()},
        violations=violations,
        armed=True,
        shadow=False,
        tick_ms=1.0,
        uptime_s=1.0,
    )


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
