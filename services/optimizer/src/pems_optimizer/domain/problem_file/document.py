"""The whole problem file. The models know ranges and units; `checks` knows what fields mean to each other."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, StringConstraints

from pems_optimizer.domain.problem_file.devices import Appliance, Battery, Car, Grid, Water
from pems_optimizer.domain.problem_file.fields import (
    Instant,
    Minutes,
    Money,
    Name,
    Part,
    PowerSeries,
    PriceSeries,
    Share,
    Sun,
    TemperatureSeries,
    TimeZone,
)
from pems_optimizer.domain.problem_file.rooms import Room

__all__ = ["FORMAT", "SLOTS_LEAST", "SLOTS_MOST", "PowerBand", "PriceBand", "ProblemDocument", "document_schema"]

FORMAT = "pems-problem/1"
SLOTS_LEAST, SLOTS_MOST = 2, 4000
_ROOMS_MOST = 64


class PowerBand(Part):
    """P10 and P90 of a power [W]."""

    p10: PowerSeries
    p90: PowerSeries


class PriceBand(Part):
    """P10 and P90 of a price; for money paid and received alike, P90 is the high price."""

    p10: PriceSeries
    p90: PriceSeries


class Bands(Part):
    """What is known about the uncertainty of the series, which are themselves the expected course."""

    pv_w: PowerBand | None = None
    load_w: PowerBand | None = None
    buy_per_kwh: PriceBand | None = None
    sell_per_kwh: PriceBand | None = None


class Weights(Part):
    """What counts how much, in money. What is not given comes from the profile."""

    profile: Literal["plain", "economic", "balanced", "comfort", "green"] = Field(
        default="plain", description="plain: the bill and comfort alone; the others are PEMS's own (docs/solve.md)"
    )
    export_per_kwh: Money | None = Field(default=None, description="per kWh exported or curtailed")
    peak_per_kw: Money | None = Field(default=None, description="for the highest mean import of a slot")
    below_per_k_h: Money | None = Field(default=None, description="per K h below a room's band; plain: 8 CZK")
    above_per_k_h: Money | None = Field(default=None, description="per K h above it; plain: 3 CZK")
    start: Money | None = Field(default=None, description="per relay start; plain: 0.05 CZK")
    intent_change: Money | None = Field(default=None, description="per change of a battery's intent; plain: 0.25 CZK")
    overload_per_kwh: Money | None = Field(default=None, description="per kWh above import_max_w; plain: 50 CZK")


class ScenarioPart(Part):
    """One possible course; what is not given is as expected."""

    name: Name
    probability: Share
    pv_w: PowerSeries | None = None
    load_w: PowerSeries | None = None
    buy_per_kwh: PriceSeries | None = None
    sell_per_kwh: PriceSeries | None = None


class UncertaintyPart(Part):
    """How the plan deals with what is not known."""

    strategy: Literal["point", "robust", "scenarios"] = Field(
        default="point",
        description="point: the expected course; robust: the worst of base, PV less, load more, price more by "
        "spread; scenarios: the expectation over the list, or over three days made from the bands",
    )
    spread: Annotated[float, Strict(), Field(ge=0.0, le=1.0)] = 0.1
    scenarios: tuple[ScenarioPart, ...] = Field(default=(), max_length=50)
    shared_slots: Annotated[int, Strict(), Field(ge=0, le=SLOTS_MOST)] = Field(
        default=4, description="first slots in which battery and grid do the same in all scenarios"
    )
    cvar_share: Share = Field(default=0.0, description="weight of the bad tail against the expectation")
    cvar_tail: Annotated[float, Strict(), Field(gt=0.0, le=1.0)] = Field(default=0.1, description="size of the tail")


class SolverPart(Part):
    """How hard to try."""

    time_limit_s: Annotated[float, Strict(), Field(ge=0.5, le=600.0)] = Field(
        default=10.0, description="wall seconds; what is found by then is the answer"
    )
    certificate_limit_s: Annotated[float, Strict(), Field(ge=0.0, le=600.0)] = Field(
        default=0.0, description="wall seconds more for a bound that no plan can be below; 0: none is looked for"
    )


class ProblemDocument(Part):
    """One house (or none: prices and a battery will do), one horizon.

    The horizon is as long as `buy_per_kwh`; every other series has the same length or is one number.
    """

    format: Literal["pems-problem/1"]
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    start: Instant = Field(description="start of the first slot, with its offset")
    step_minutes: Annotated[int, Strict(), Field(ge=1, le=60)]
    timezone: TimeZone = Field(default="UTC", validate_default=True, description="for schedules and hours of the day")
    slot_starts: tuple[Instant, ...] = Field(
        default=(), description="optional check: the instants your series came from, one per slot"
    )
    currency: Annotated[str, StringConstraints(min_length=1, max_length=8)] = "CZK"
    czk_per_currency: Annotated[float, Strict(), Field(gt=0.0, le=1e6)] | None = Field(
        default=None, description="scales PEMS's default prices, which are made for CZK; needed for other currencies"
    )
    buy_per_kwh: PriceSeries = Field(description="price of import, a series: it makes the horizon")
    sell_per_kwh: PriceSeries = Field(default=0.0, description="money for export")
    pv_w: PowerSeries = Field(default=0.0, description="expected PV, mean of each slot [W]")
    load_w: PowerSeries = Field(default=0.0, description="expected load without the devices below [W]")
    outdoor_c: TemperatureSeries = Field(default=15.0, description="[C]")
    solar_w_m2: dict[str, Sun] = Field(default={}, max_length=16, description="irradiance on each facade [W/m2]")
    bands: Bands = Bands()
    rooms: tuple[Room, ...] = Field(default=(), max_length=_ROOMS_MOST)
    min_on_minutes: Minutes = Field(default=30, description="of the relays of rooms")
    min_off_minutes: Minutes = 30
    battery: Battery | None = None
    ev: Car | None = None
    water: Water | None = None
    appliances: tuple[Appliance, ...] = Field(default=(), max_length=32)
    grid: Grid = Grid()
    weights: Weights = Weights()
    uncertainty: UncertaintyPart = UncertaintyPart()
    solver: SolverPart = SolverPart()

    @property
    def slots(self) -> int:
        """Number of slots, 0 where `buy_per_kwh` is no series."""
        return len(self.buy_per_kwh) if isinstance(self.buy_per_kwh, tuple) else 0

    @property
    def step(self) -> timedelta:
        """Length of a slot."""
        return timedelta(minutes=self.step_minutes)

    @property
    def money(self) -> float:
        """CZK per unit of the file's currency."""
        return 1.0 if self.czk_per_currency is None else self.czk_per_currency

    def first_slot(self, opens_at: datetime | None) -> int:
        """Return the first whole slot of a window; the first of all where none is named."""
        return 0 if opens_at is None else max(0, -((self.start - opens_at) // self.step))

    def end_slot(self, closes_at: datetime | None) -> int:
        """Return the slot that begins when a window's last whole slot has ended."""
        return self.slots if closes_at is None else min(self.slots, (closes_at - self.start) // self.step)


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file (draft 2020-12)."""
    schema = ProblemDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "PEMS planning problem"}
