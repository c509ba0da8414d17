"""The search for what every device does: columns, dive, polish, on one market.

Rooms warm each other. While prices are found each room takes its neighbours' temperatures from the last iterate; from
the dive on a change is accepted only where the whole house, simulated with its coupling, gains.
"""

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pems_optimizer.domain.bidders.appliances import ApplianceBidder
from pems_optimizer.domain.bidders.port import Bidder
from pems_optimizer.domain.bidders.relays import RelayBidder, room_bidder, water_bidder
from pems_optimizer.domain.house_lp import Dispatch, HouseLp, Prices
from pems_optimizer.domain.market import Market
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem, Scenario
from pems_optimizer.domain.scoring import Decision, heat_money
from pems_optimizer.domain.thermal_response import RoomPath, simulate_rooms

__all__ = ["Effort", "PlanSearch", "is_coupled"]

Grid = tuple[int, int]
_NEAR_H = 4.0


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Attributes:
        rounds: Rounds of bidding on the rough grid.
        fine_rounds: Rounds on the fine one.
        rough: Points of warmth and of the fast mode.
        fine: The same.
        at_once: Devices fixed at a time in the dive.
        sweeps: Rounds of polishing.
        intent_sweeps: Rounds of polishing by the inverter's real modes, where it has them.
        course_rounds: Rounds of bidding against several courses.
        course_sweeps: Most rounds of polishing against them.
        polished: Share of the devices that are polished, the most powerful first.
        warm_rounds: Rounds on the fine grid where an earlier plan is remembered; the rough ones are left out then.
        iterates: Times that coupled rooms look at their neighbours anew within the rough rounds.
    """

    rounds: int = 12
    fine_rounds: int = 6
    rough: Grid = (40, 5)
    fine: Grid = (192, 9)
    at_once: int = 2
    sweeps: int = 1
    intent_sweeps: int = 1
    polished: float = 1.0
    warm_rounds: int = 2
    iterates: int = 3
    course_rounds: int = 2
    course_sweeps: int = 0


def is_coupled(problem: PlanningProblem) -> bool:
    """Whether rooms warm each other."""
    return bool(np.any(problem.rooms.coupling_w_k))


def steady_duty(problem: PlanningProblem) -> Floats:
    """Share of each slot that would hold each room a little above the lower edge (T, R)."""
    rooms = problem.rooms
    hold = rooms.low_c + 0.2
    mean = hold.mean(axis=0)
    loss = rooms.outward_w_k + rooms.coupling_w_k.sum(axis=1)
    need = mean * loss - rooms.air_input_w - mean @ rooms.coupling_w_k
    duty = np.clip(need.mean(axis=0) / np.maximum(rooms.heater_w, 1.0), 0.0, 1.0) * np.ones_like(rooms.low_c)
    for r in range(rooms.count):
        first = int(rooms.forced[r])
        duty[:first, r] = rooms.forced_on[:first, r]
    return np.asarray(duty, dtype=np.float64)


def neighbour_worth(problem: PlanningProblem, duty: Floats, price: Floats) -> Floats:
    """Return money per K of each room's air in each slot: minus what the heat that leaks out is worth next door (T, R).

    Heat is worth to a room about what it pays for it in the hours around: the mean price of the slots it heats in,
    weighted by how near they are.
    """
    hours = np.arange(problem.slots) * problem.dt_h
    near = np.exp(-np.abs(hours[:, None] - hours[None, :]) / _NEAR_H)
    bought = near @ duty
    worth = (near @ (duty * price[:, None])) / np.maximum(bought, 1e-9) / problem.dt_h  # CZK per Wh
    worth = np.where(bought > 0.05, worth, 0.0)
    return np.asarray(-problem.dt_h * worth @ problem.rooms.coupling_w_k, dtype=np.float64)


class PlanSearch:
    """Devices of one problem: rooms first, then water, then appliances."""

    def __init__(
        self,
        problem: PlanningProblem,
        time_left_s: Callable[[], float] | None = None,
        *,
        courses: tuple[Scenario, ...] | None = None,
        path: RoomPath | None = None,
        warmth_czk_k: Floats | None = None,
        grid: Grid = (40, 5),
    ) -> None:
        """Set up the market.

        Args:
            problem: The problem.
            time_left_s: Wall seconds left; None for as long as it takes.
            courses: Courses of the days; those of the problem where None.
            path: Temperatures that neighbours are taken from; a steady duty's where None.
            warmth_czk_k: What each room's warmth costs its neighbours (T, R); nothing where None.
            grid: Points of warmth and of the fast mode.
        """
        self.problem = problem
        self._time_left_s = time_left_s
        self.coupled = is_coupled(problem)
        rooms = problem.rooms
        self.path = path or simulate_rooms(rooms, steady_duty(problem))
        self.grid = grid
        self.warmth_czk_k = np.zeros_like(rooms.low_c) if warmth_czk_k is None else warmth_czk_k
        bidders: list[Bidder] = [self._room(r) for r in range(rooms.count)]
        if problem.water is not None:
            bidders.append(water_bidder(problem, grid=grid))
        bidders += [ApplianceBidder(spec, problem.slots) for spec in problem.appliances]
        lp = HouseLp(problem, len(bidders), courses=courses, time_left_s=time_left_s)
        me = weakref.proxy(self)  # in a circle the program's memory would wait for the garbage collector
        self.market = Market(
            bidders,
            lp,
            lambda: time_left_s is not None and time_left_s() <= 0.0,
            correct=(lambda market: me.correction(market)) if self.coupled else None,
            refresh=(lambda device: me.refresh(device)) if self.coupled else None,
        )
        power = [float(w) for w in rooms.heater_w] + [b.power_w for b in bidders if b.name == "water"]  # type: ignore[attr-defined]
        power += [spec.power_w for spec in problem.appliances]
        self.order: list[int] = np.argsort(-np.array(power), kind="stable").tolist()

    def _room(self, room: int) -> RelayBidder:
        forced = self.problem.rooms.forced_on
        return room_bidder(
            self.problem, self.path, room, forced, grid=self.grid, warmth_czk_k=self.warmth_czk_k[:, room]
        )

    @property
    def one_state(self) -> bool:
        """Whether heat has no fast mode in any room: there is no second mass, or it takes no part."""
        rooms = self.market.bidders[: self.problem.rooms.count]
        return all(room.device.one_mode for room in rooms if isinstance(room, RelayBidder))

    def out_of_time(self) -> bool:
        """Whether the search has to end."""
        return self.market.out_of_time()

    def first_prices(self) -> Prices:
        """Prices to begin with: import."""
        price = self.problem.buy * self.problem.kwh
        return Prices(price, np.zeros_like(price), price, np.zeros(len(self.market.bidders)))

    def offer(self, decision: Decision) -> None:
        """Put a whole decision on the market."""
        for device, on in enumerate(self.schedules(decision)):
            self.market.offer(device, self.market.bidders[device].column(on))

    def fix(self, decision: Decision) -> None:
        """Let every device do what a decision says."""
        self.offer(decision)
        for device, on in enumerate(self.schedules(decision)):
            self.market.fix(device, self.market.find(device, on))

    def on_courses(self, courses: tuple[Scenario, ...], done: Dispatch, *, most: int) -> "PlanSearch":
        """Return a search over other courses that begins with the best offers of this one."""
        other = PlanSearch(
            self.problem, self._time_left_s, courses=courses, path=self.path, warmth_czk_k=self.warmth_czk_k,
            grid=self.grid,
        )  # fmt: skip
        for device in range(len(self.market.bidders)):
            mine = self.market.of(device)
            mine.sort(key=lambda k: self.market.price_offer(self.market.offers[k], done.prices))
            for number in mine[:most]:
                other.market.offer(device, self.market.offers[number].column)
        return other

    def recall(self, memory: Mapping[str, np.ndarray]) -> Prices | None:
        """Put remembered schedules on the market, and return the remembered prices; None where they do not fit."""
        slots, devices = self.problem.slots, len(self.market.bidders)
        if memory["on"].shape[1:] != (slots,) or memory["price"].shape != (slots,):
            return None
        here = {bidder.name: device for device, bidder in enumerate(self.market.bidders)}
        names = memory["names"].tolist()
        for old, on in zip(memory["device"].tolist(), memory["on"], strict=True):
            device = here.get(names[old])
            if device is not None and self.market.bidders[device].allows(on):
                self.market.offer(device, self.market.bidders[device].column(on))
        return Prices(memory["price"], memory["heat_price"], memory["car_price"], np.zeros(devices))

    def schedules(self, decision: Decision) -> list[Bools]:
        """Schedules of a decision, in the order of the devices."""
        schedules = [decision.relay_on[:, r] for r in range(self.problem.rooms.count)]
        if self.problem.water is not None:
            schedules.append(decision.water_on)
        return schedules + list(decision.appliances)

    def find_prices(self, effort: Effort, prices: Prices | None = None) -> Dispatch | None:
        """Trade on the rough grid, then on the fine one."""
        done = None
        parts = effort.iterates if self.coupled and effort.rounds else min(1, effort.rounds)
        for _ in range(parts):
            found = self.market.trade(prices or self.first_prices(), -(-effort.rounds // parts))
            if found is None:
                return done
            done, prices = found, found.prices
            if self.coupled:
                self._follow(done)
                self.use_grid(effort.rough)
        if self.coupled and not parts and (mixed := self.market.lp.solve()) is not None:
            done = mixed  # what is remembered was priced elsewhere: neighbours are as these schedules make them
            self._follow(done)
        self.use_grid(effort.fine)
        done = self.market.trade(prices or self.first_prices(), effort.fine_rounds) or done
        return done

    def use_grid(self, grid: Grid) -> None:
        """Make the bidders anew on another grid, and with the neighbours of the present path."""
        self.grid = grid
        rooms = self.problem.rooms.count
        for device in range(rooms):
            self.market.bidders[device] = self._room(device)
            if self.coupled:
                self.market.account_anew(device)
        if self.problem.water is not None:
            self.market.bidders[rooms] = water_bidder(self.problem, grid=grid)

    def _follow(self, done: Dispatch) -> None:
        """Take the temperatures of the mixed schedules."""
        duty = np.zeros_like(self.problem.rooms.low_c)
        for number, offer in enumerate(self.market.offers[: len(done.weights)]):
            if offer.device < duty.shape[1] and done.weights[number] > 1e-9:
                duty[:, offer.device] += done.weights[number] * (offer.column.power_w > 0.0)
        self.path = simulate_rooms(self.problem.rooms, duty)
        self.warmth_czk_k = neighbour_worth(self.problem, duty, done.prices.load + done.prices.heat)

    def polish(self, done: Dispatch, effort: Effort) -> Dispatch:
        """Let each chosen schedule be changed, the most powerful devices first."""
        for _ in range(effort.sweeps):
            before = self.market.worth(done)
            done = self.market.polish(done, self.polished(effort))
            if self.out_of_time() or before - self.market.worth(done) < 2e-4 * abs(before):
                break
        return done

    def polished(self, effort: Effort) -> list[int]:
        """Devices that are polished, the most powerful first."""
        return self.order[: max(1, round(effort.polished * len(self.order)))]

    # --- coupling -----------------------------------------------------------------------------

    def relay_on(self) -> Bools:
        """Relays of the fixed schedules (T, R)."""
        rooms = self.problem.rooms
        on = rooms.forced_on.copy()
        for device, number in self.market.fixed.items():
            if device < rooms.count:
                on[:, device] = self.market.offers[number].column.power_w > 0.0
        return on

    def correction(self, market: Market) -> float:
        """What the rooms' own accounts, with their neighbours of some time ago, are away from the truth [CZK]."""
        relay_on = self.relay_on()
        count = self.problem.rooms.count
        told = sum(market.offers[number].column.own_czk for device, number in market.fixed.items() if device < count)
        return heat_money(self.problem, relay_on, simulate_rooms(self.problem.rooms, relay_on)).total - told

    def refresh(self, device: int) -> None:
        """Let a room see its neighbours as they are now, before it bids again."""
        if device < self.problem.rooms.count and len(self.market.fixed) == len(self.market.bidders):
            self.path = simulate_rooms(self.problem.rooms, self.relay_on())
            self.market.bidders[device] = self._room(device)
            self.market.account_anew(device)

    def decision(self, ev_w: Floats) -> Decision:
        """The fixed schedules as a decision."""
        market, count = self.market, self.problem.rooms.count
        at = count
        water = np.zeros(self.problem.slots, dtype=np.bool_)
        if self.problem.water is not None:
            water, at = market.schedule(count), count + 1
        appliances = tuple(market.schedule(at + k) for k in range(len(self.problem.appliances)))
        return Decision(self.relay_on(), water, ev_w, appliances)

    def memory(self, done: Dispatch, *, most: int = 24) -> Mapping[str, np.ndarray]:
        """What a bound or a question needs later: prices, the path, and each device's best schedules."""
        kept: list[int] = []
        for device in range(len(self.market.bidders)):
            mine = self.market.of(device)
            mine.sort(key=lambda k: self.market.price_offer(self.market.offers[k], done.prices))
            kept += mine[:most]
        offers = [self.market.offers[k] for k in sorted(kept)]
        slots = self.problem.slots
        on = np.array([o.column.power_w > 0.0 for o in offers], dtype=np.bool_).reshape(len(offers), slots)
        return {
            "price": done.prices.load,
            "heat_price": done.prices.heat,
            "car_price": done.prices.car,
            "device": np.array([o.device for o in offers], dtype=np.int64),
            "on": on,
            "air_c": self.path.air_c,
            "mass_c": self.path.mass_c,
            "warmth_czk_k": self.warmth_czk_k,
            "names": np.array([bidder.name for bidder in self.market.bidders]),
        }
