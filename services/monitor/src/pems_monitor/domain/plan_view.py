"""The plan as arrays on one grid: the past hours as measured, the coming ones as forecast and decided.

Every array has one value per 15-min slot of `[start, start + count * 15 min)`; None where there is nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pems_common.home import Home
from pems_common.messages import Intent, Plan, Series
from pems_common.timegrid import SLOT, slot_index, slot_range, slot_start
from pems_monitor.domain.state import HouseState

__all__ = [
    "AHEAD",
    "PAST",
    "IntentSpan",
    "PlanSummary",
    "PlanView",
    "plan_summary",
    "plan_view",
    "slot_labels",
]

PAST = timedelta(hours=12)
AHEAD = timedelta(hours=48)

Values = tuple[float | None, ...]


@dataclass(frozen=True)
class IntentSpan:
    """Consecutive slots `[first, last]` with one battery intent."""

    intent: Intent
    first: int
    last: int


@dataclass(frozen=True)
class PlanView:
    """What the plan chart shows. Powers W, prices CZK/kWh, SoC %.

    Attributes:
        now_index: Slot that holds now.
        outlook_index: First slot at or after `control_until`, None when beyond the grid or without a plan.
        known_index: First slot without published price, None when beyond the grid or without prices.
        buy_p10, buy_p90: Price band where prices are not published yet.
        heating_w: Sum of relays by plan; `heating_past_w` as measured.
        load_p10_w: Load without heating, car and water, as forecast.
    """

    start: datetime
    slots: tuple[datetime, ...]
    now_index: int
    outlook_index: int | None
    known_index: int | None
    has_plan: bool
    has_prices: bool
    has_forecast: bool
    buy: Values
    sell: Values
    buy_p10: Values
    buy_p50: Values
    buy_p90: Values
    pv_p10_w: Values
    pv_p50_w: Values
    pv_p90_w: Values
    pv_past_w: Values
    load_p10_w: Values
    load_p50_w: Values
    load_p90_w: Values
    load_past_w: Values
    grid_w: Values
    grid_past_w: Values
    heating_w: Values
    heating_past_w: Values
    ev_w: Values
    battery_w: Values
    battery_past_w: Values
    soc_pct: Values
    soc_past_pct: Values
    intents: tuple[IntentSpan, ...]

    @property
    def count(self) -> int:
        """Number of slots."""
        return len(self.slots)


@dataclass(frozen=True)
class PlanSummary:
    """Figures of the plan as a whole; money CZK over the plan's horizon.

    Attributes:
        savings: Baseline less expected total; None where the plan has no baseline.
    """

    issued_at: datetime
    horizon: timedelta
    expected: float
    baseline: float | None
    savings: float | None
    energy: float
    peak_import_w: float
    self_consumption_rate: float | None
    status: str
    solver: str
    solve_s: float
    gap_czk: float | None
    bound_kind: str | None
    fallback: bool
    profile: str
    violations: int


def _planned(
    plan: Plan | None, slots: Sequence[datetime], now: datetime, value: Callable[[Plan, int], float | None]
) -> Values:
    """One value per slot from the running slot on, where the plan has it."""
    if plan is None:
        return (None,) * len(slots)
    first = slot_start(now)
    step = timedelta(seconds=plan.step_s)
    result: list[float | None] = []
    for at in slots:
        i = slot_index(plan.start, at, step)
        result.append(value(plan, i) if at >= first and 0 <= i < plan.slots else None)
    return tuple(result)


def _pick(values: Sequence[float], i: int) -> float | None:
    return values[i] if i < len(values) else None


def _heating_at(plan: Plan, i: int, home: Home) -> float | None:
    if not plan.rooms:
        return None
    return sum(
        home.rooms[name].heat_w
        for name, room in plan.rooms.items()
        if name in home.rooms and i < len(room.relay_on) and room.relay_on[i]
    )


def _window(series: Series | None, slots: Sequence[datetime], keep: Callable[[datetime], bool]) -> Values:
    if series is None:
        return (None,) * len(slots)
    return tuple(series.at(at) if keep(at) else None for at in slots)


def _intents(plan: Plan | None, slots: Sequence[datetime], now: datetime) -> tuple[IntentSpan, ...]:
    if plan is None or plan.battery is None:
        return ()
    step, first = timedelta(seconds=plan.step_s), slot_start(now)
    spans: list[IntentSpan] = []
    for index, at in enumerate(slots):
        i = slot_index(plan.start, at, step)
        if at < first or not 0 <= i < len(plan.battery.intent):
            continue
        intent = plan.battery.intent[i]
        if spans and spans[-1].intent == intent and spans[-1].last == index - 1:
            spans[-1] = IntentSpan(intent, spans[-1].first, index)
        else:
            spans.append(IntentSpan(intent, index, index))
    return tuple(spans)


def _first_at_or_after(slots: Sequence[datetime], instant: datetime | None) -> int | None:
    if instant is None:
        return None
    return next((i for i, at in enumerate(slots) if at >= instant), None)


def plan_view(state: HouseState, home: Home, now: datetime) -> PlanView:
    """Lay everything on one grid of 15-min slots from 12 h ago to 48 h ahead."""
    here = slot_start(now)
    start = here - PAST
    slots = tuple(slot_range(start, int((PAST + AHEAD) / SLOT)))
    plan, prices, forecast = state.plan, state.prices, state.forecast

    def ahead(at: datetime) -> bool:
        return at >= here

    known_until = prices.known_until if prices else None

    def published(at: datetime) -> bool:
        return known_until is None or at < known_until

    def unpublished(at: datetime) -> bool:
        return at >= here and (known_until is None or at >= known_until)

    def past(name: str) -> Values:
        if state.past is None:
            return (None,) * len(slots)
        return tuple(state.past.at(name, at) if at < here else None for at in slots)

    def band(name: str, keep: Callable[[datetime], bool]) -> tuple[Values, Values, Values]:
        source = getattr(forecast, name) if forecast else None
        if source is None:
            empty: Values = (None,) * len(slots)
            return empty, empty, empty
        return (
            _window(source.p10, slots, keep),
            _window(source.p50, slots, keep),
            _window(source.p90, slots, keep),
        )

    pv, load, buy = band("pv_power_w", ahead), band("load_power_w", ahead), band("buy_czk_kwh", unpublished)
    battery = plan.battery if plan else None
    return PlanView(
        start=start,
        slots=slots,
        now_index=slot_index(start, now),
        outlook_index=_first_at_or_after(slots, plan.control_until if plan else None),
        known_index=_first_at_or_after(slots, known_until),
        has_plan=plan is not None,
        has_prices=prices is not None,
        has_forecast=forecast is not None,
        buy=_window(prices.buy_czk_kwh if prices else None, slots, published),
        sell=_window(prices.sell_czk_kwh if prices else None, slots, published),
        buy_p10=buy[0],
        buy_p50=buy[1],
        buy_p90=buy[2],
        pv_p10_w=pv[0],
        pv_p50_w=pv[1],
        pv_p90_w=pv[2],
        pv_past_w=past("pv_power_w"),
        load_p10_w=load[0],
        load_p50_w=load[1],
        load_p90_w=load[2],
        load_past_w=past("base_load_w"),
        grid_w=_planned(plan, slots, now, lambda p, i: _pick(p.grid_power_w, i)),
        grid_past_w=past("grid_power_w"),
        heating_w=_planned(plan, slots, now, lambda p, i: _heating_at(p, i, home)),
        heating_past_w=past("heating_power_w"),
        ev_w=_planned(plan, slots, now, lambda p, i: _pick(p.ev_power_w, i)),
        battery_w=_planned(plan, slots, now, lambda p, i: _pick(battery.power_w, i) if battery else None),
        battery_past_w=past("battery_power_w"),
        soc_pct=_planned(plan, slots, now, lambda p, i: _pick(battery.soc_pct, i) if battery else None),
        soc_past_pct=past("battery_soc_pct"),
        intents=_intents(plan, slots, now),
    )


def plan_summary(state: HouseState) -> PlanSummary | None:
    """Figures of the latest plan; None without one. A later certificate's gap replaces the plan's own."""
    plan = state.plan
    if plan is None:
        return None
    certificate = state.certificate
    matching = certificate if certificate is not None and certificate.plan_id == plan.plan_id else None
    baseline = plan.baseline_total_czk
    return PlanSummary(
        issued_at=plan.issued_at,
        horizon=timedelta(seconds=plan.step_s) * plan.slots,
        expected=plan.cost.total,
        baseline=baseline,
        savings=None if baseline is None else baseline - plan.cost.total,
        energy=plan.net_cost_czk,
        peak_import_w=plan.peak_import_w,
        self_consumption_rate=plan.self_consumption_rate,
        status=plan.solver.status,
        solver=plan.solver.name,
        solve_s=plan.solver.solve_s + plan.solver.build_s,
        gap_czk=matching.gap_czk if matching else plan.solver.gap_czk,
        bound_kind=matching.kind if matching else plan.solver.bound_kind,
        fallback=plan.fallback_mode or plan.solver.status == "fallback",
        profile=plan.profile,
        violations=len(plan.violations),
    )


def slot_labels(slots: Sequence[datetime], zone: ZoneInfo) -> list[str]:
    """Local ISO times with offset: each is unique on the day the clock goes back, and none is missing."""
    return [at.astimezone(zone).isoformat(timespec="minutes") for at in slots]
