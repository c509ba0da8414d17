"""Switched thermal devices as bidders: a room on its relay, and the hot water tank."""

from collections.abc import Callable

import numpy as np

from pems_optimizer.domain.bidders.port import Column, Wish
from pems_optimizer.domain.house_lp import Prices
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem
from pems_optimizer.domain.relay_dp import RelayBid, RelayDevice, RelayDp, follow
from pems_optimizer.domain.relay_floor import relay_floor
from pems_optimizer.domain.scoring import start_count, water_money
from pems_optimizer.domain.thermal_response import RoomPath, room_device, simulate_water, water_device

__all__ = ["RelayBidder", "room_bidder", "water_bidder"]

_FLOOR_CELLS = 64  # of the fast mode


class RelayBidder:
    """Answers by dynamic programming; the first slots may be forced."""

    def __init__(
        self,
        name: str,
        device: RelayDevice,
        *,
        power_w: float,
        prefix: Bools,
        before_czk: float,
        start_czk: float,
        starts_max: int | None,
        heats: bool,
        grid: tuple[int, int],
        account: Callable[[Bools], float] | None = None,
    ) -> None:
        """Wire a device.

        Args:
            name: Of the bidder.
            device: From the first free slot on.
            power_w: Electricity while on.
            prefix: What is forced before it.
            before_czk: Own cost of the forced slots, starts included.
            start_czk: Money per start.
            starts_max: Starts allowed in the free slots.
            heats: Whether it counts towards the limit of all heating.
            grid: Points of warmth and fast mode.
            account: Own cost of a whole schedule (T,), where the device's own account is not the true one.
        """
        self.name, self.device, self.power_w, self.heats = name, device, power_w, heats
        self._prefix, self._before_czk = prefix, before_czk
        self._start_czk, self._starts_max = start_czk, starts_max
        self._account = account
        self._dp = RelayDp(device, warmth_points=grid[0], fast_points=grid[1])

    def price(self, prices: Prices) -> Floats:
        """Load's price, and that of all heating for what heats."""
        return prices.load + prices.heat if self.heats else prices.load

    def column(self, on: Bools) -> Column:
        """Return a whole schedule (T,) with its own cost."""
        if self._account is not None:
            return Column(self._power(on), self._account(on))
        bid = follow(self.device, on[len(self._prefix) :])
        return Column(self._power(on), self._own(bid))

    def allows(self, on: Bools) -> bool:
        """Whether a schedule keeps what is forced, the minimum times and the limit of starts."""
        first = len(self._prefix)
        if not np.array_equal(on[:first], self._prefix):
            return False
        state, held, starts = self.device.on_now, self.device.slots_in_state, 0
        for now in on[first:].tolist():
            if now == state:
                held += 1
                continue
            if held < (self.device.min_on if state else self.device.min_off):
                return False
            state, held, starts = now, 1, starts + int(now)
        return self._starts_max is None or starts <= self._starts_max

    def bid(self, price: Floats, wish: Wish | None = None) -> Column:
        """Return the best schedule at a price of one W (T,)."""
        first = len(self._prefix)
        if first >= len(price):
            return self.column(self._prefix)
        forced = None if wish is None else (wish.slot - first, wish.on)
        bid, _ = self._dp.best(
            price[first:] * self.power_w, start_czk=self._start_czk, starts_max=self._starts_max, forced=forced
        )
        on = np.concatenate([self._prefix, bid.on])
        own = self._own(bid) if self._account is None else self._account(on)
        return Column(self._power(on), own)

    def floor_czk(self, price: Floats, fineness: int) -> float:
        """Return what no schedule at this price can be below (`relay_floor`)."""
        first = len(self._prefix)
        run = price[first:] * self.power_w
        per_start, allowed = self._per_start(run)
        floor = relay_floor(self.device, run, start_czk=per_start, fineness=fineness, fast_cells=_FLOOR_CELLS)
        return floor - allowed + self._before_czk + float(price[:first] @ self._prefix) * self.power_w

    def estimate_czk(self, price: Floats) -> float:
        """Return what the dynamic program thinks its best answer costs: an estimate, not a bound."""
        first = len(self._prefix)
        run = price[first:] * self.power_w
        per_start, allowed = self._per_start(run)
        value = self._dp.value(run, per_start) - allowed
        return value + self._before_czk + float(price[:first] @ self._prefix) * self.power_w

    def _per_start(self, run: Floats) -> tuple[float, float]:
        """Return a price per start that makes the limit of starts worth keeping, and what keeping it gives back."""
        if self._starts_max is None:
            return self._start_czk, 0.0
        _, per_start = self._dp.best(run, start_czk=self._start_czk, starts_max=self._starts_max, thorough=True)
        return per_start, (per_start - self._start_czk) * self._starts_max

    def _power(self, on: Bools) -> Floats:
        return np.asarray(on * self.power_w, dtype=np.float64)

    def _own(self, bid: RelayBid) -> float:
        return self._before_czk + bid.comfort + self._start_czk * bid.starts


def room_bidder(
    problem: PlanningProblem,
    path: RoomPath,
    room: int,
    relay_on: Bools,
    *,
    grid: tuple[int, int],
    warmth_czk_k: Floats | None = None,
) -> RelayBidder:
    """Make the bidder of a room, its neighbours' temperatures taken from `path`.

    `warmth_czk_k` (T,) is what each K of its air costs (negative: is worth) elsewhere; it is counted from `path`, so a
    room that does what `path` says owes and gets nothing.
    """
    rooms, w, dt = problem.rooms, problem.weights, problem.dt_h
    first = min(int(rooms.forced[room]), problem.slots)
    prefix = rooms.forced_on[:first, room]
    air = path.air_c[1 : first + 1, room]
    below = float(np.maximum(rooms.low_c[:first, room] - air, 0.0).sum())
    above = float(np.maximum(air - rooms.high_c[:first, room], 0.0).sum())
    starts = start_count(prefix, rooms.relay_on[room])
    before = float(rooms.priority[room]) * dt * (w.below_czk_k_h * below + w.above_czk_k_h * above)
    if warmth_czk_k is not None:
        before -= float(warmth_czk_k[first:] @ path.air_c[first + 1 :, room])
    return RelayBidder(
        f"room:{rooms.names[room]}",
        room_device(problem, path, room, relay_on, warmth_czk_k),
        power_w=float(rooms.heater_w[room]),
        prefix=prefix,
        before_czk=before + starts * w.start_czk,
        start_czk=w.start_czk,
        starts_max=max(0, int(rooms.starts_max[room]) - starts),
        heats=True,
        grid=grid,
    )


def water_bidder(problem: PlanningProblem, *, grid: tuple[int, int]) -> RelayBidder:
    """Make the bidder of the water heater; the problem has one."""
    water = problem.water
    assert water is not None  # noqa: S101  (told apart by the caller)
    dt, start_czk = problem.dt_h, problem.weights.start_czk
    prefix = np.array(water.forced_on[: water.forced], dtype=np.bool_)[: problem.slots]

    def account(on: Bools) -> float:
        cold, cooler = water_money(water, simulate_water(water, on, dt), dt)
        return cold + cooler + start_count(on, water.on_now) * start_czk

    before_c = simulate_water(water, prefix, dt)
    cold = float(np.maximum(water.low_c[: len(prefix)] - before_c[1:], 0.0).sum()) * water.below_czk_k_h * dt
    device = water_device(water, dt)
    return RelayBidder(
        "water",
        device,
        power_w=water.electric_w,
        prefix=prefix,
        before_czk=cold + start_count(prefix, water.on_now) * start_czk,
        start_czk=start_czk,
        starts_max=None,
        heats=False,
        grid=grid,
        account=account,
    )
