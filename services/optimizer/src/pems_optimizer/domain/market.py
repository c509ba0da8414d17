"""Column generation: the program prices, the devices bid, until no bid is worth taking.

Prices are smoothed, or bids would swing between extremes (Wentges 1997, doi:10.1016/S0969-6016(97)00001-4).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pems_optimizer.domain.bidders.port import Bidder, Column
from pems_optimizer.domain.house_lp import Dispatch, HouseLp, Prices
from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["Market", "Offer"]

_SMOOTH = 0.5
_WORTHWHILE = 3e-5  # of the objective: what a change of mind could gain at best, for it to be tried


@dataclass(frozen=True)
class Offer:
    """A column on the market: whose it is, and what."""

    device: int
    column: Column


@dataclass
class Market:
    """Devices, their offers, and the program that mixes them.

    Attributes:
        bidders: Devices, in the order of their rows in the program.
        lp: The program.
        out_of_time: Asked before anything long.
        correct: What the fixed devices' own costs are away from the truth [CZK], where they depend on each other.
        refresh: Called before a fixed device bids again.
        offers: Every column so far.
        fixed: The chosen offer of each device that has one.
    """

    bidders: list[Bidder]
    lp: HouseLp
    out_of_time: Callable[[], bool] = lambda: False
    correct: Callable[["Market"], float] | None = None
    refresh: Callable[[int], None] | None = None
    offers: list[Offer] = field(default_factory=list)
    fixed: dict[int, int] = field(default_factory=dict)
    _seen: set[tuple[int, bytes]] = field(default_factory=set)
    _mine: dict[int, list[int]] = field(default_factory=dict)

    def offer(self, device: int, column: Column) -> bool:
        """Put a schedule on the market; False where it is there already."""
        key = (device, (column.power_w > 0.0).tobytes())
        if key in self._seen:
            return False
        self._seen.add(key)
        self.lp.add_column(device, column.power_w, column.own_czk, heats=self.bidders[device].heats)
        self._mine.setdefault(device, []).append(len(self.offers))
        self.offers.append(Offer(device, column))
        return True

    def ask(self, prices: Prices, devices: Iterable[int]) -> int:
        """Let devices bid; returns how many new offers came."""
        new = 0
        for device in devices:
            if self.out_of_time():
                break
            bidder = self.bidders[device]
            new += self.offer(device, bidder.bid(bidder.price(prices)))
        return new

    def trade(self, prices: Prices, rounds: int, *, tolerance: float = 2e-4) -> Dispatch | None:
        """Bid and price in rounds, beginning at `prices`, until bids gain less than `tolerance` of the objective.

        Returns:
            The last solution; None where there was no time for one.
        """
        done: Dispatch | None = None
        everyone = range(len(self.bidders))
        self.lp.expect_columns(True)
        for number in range(rounds):
            self.ask(prices, everyone)
            if self.out_of_time():
                return done
            solved = self.lp.solve()
            if solved is None:
                return done
            done = solved
            if number > 3 and self.gain(done) < tolerance * abs(done.objective):
                break
            prices = _between(prices, done.prices)
        return done

    def gain(self, done: Dispatch) -> float:
        """Return what the offers at the smoothed prices still promise at the true ones: new bids against the duals."""
        total = 0.0
        for device, bidder in enumerate(self.bidders):
            if self.out_of_time():
                return 0.0
            price = bidder.price(done.prices)
            column = bidder.bid(price)
            self.offer(device, column)
            total += max(0.0, float(done.prices.device[device]) - column.own_czk - float(price @ column.power_w))
        return total

    # --- choosing one offer per device --------------------------------------------------------

    def of(self, device: int) -> list[int]:
        """Numbers of a device's offers."""
        return list(self._mine.get(device, ()))

    def find(self, device: int, on: Bools) -> int:
        """Number of a device's offer with a given schedule (T,).

        Raises:
            KeyError: It is not on the market.
        """
        for number in self.of(device):
            if np.array_equal(self.offers[number].column.power_w > 0.0, on):
                return number
        raise KeyError(f"device {device} has not offered this schedule")

    def fix(self, device: int, number: int) -> None:
        """Let a device do one of its offers."""
        mine = np.array(self.of(device))
        self.lp.limit_columns(mine, np.where(mine == number, np.inf, 0.0))
        self.fixed[device] = number

    def fix_all(self, choices: Mapping[int, int]) -> None:
        """Let every device do one of its offers (device: number)."""
        for device, number in choices.items():
            self.fix(device, number)

    def free(self, device: int) -> None:
        """Let a device's offers be mixed again."""
        self.lp.limit_columns(np.array(self.of(device)), np.inf)
        self.fixed.pop(device, None)

    def schedule(self, device: int) -> Bools:
        """What a fixed device does (T,)."""
        return np.asarray(self.offers[self.fixed[device]].column.power_w > 0.0)

    def worth(self, done: Dispatch) -> float:
        """Return the objective of a solution with all devices fixed, by the true account [CZK]."""
        return done.objective + (0.0 if self.correct is None else self.correct(self))

    def account_anew(self, device: int) -> None:
        """Ask a device again what its offers cost it."""
        bidder = self.bidders[device]
        for number in self.of(device):
            column = bidder.column(self.offers[number].column.power_w > 0.0)
            self.offers[number] = Offer(device, column)
            self.lp.change_column_cost(number, column.own_czk)

    def price_offer(self, offer: Offer, prices: Prices) -> float:
        """Own cost plus energy of an offer."""
        return offer.column.own_czk + float(self.bidders[offer.device].price(prices) @ offer.column.power_w)

    def promising(self, device: int, mixed: Dispatch, old: int, *, by_weight: int, by_price: int = 0) -> list[int]:
        """Offers of a device but its old one: what a solution mixes, the heaviest first, then the cheapest by it."""
        mine = [number for number in self.of(device) if number < len(mixed.weights) and number != old]
        heavy = sorted((k for k in mine if mixed.weights[k] > 1e-6), key=lambda k: -float(mixed.weights[k]))
        cheap = sorted(mine, key=lambda k: self.price_offer(self.offers[k], mixed.prices))
        return list(dict.fromkeys(heavy[:by_weight] + cheap[:by_price]))

    def dive(self, done: Dispatch, *, at_once: int) -> Dispatch | None:
        """Fix devices some at a time, the clearest first, and let the others bid again in between."""
        self.lp.expect_columns(False)
        while len(self.fixed) < len(self.bidders):
            near: dict[int, tuple[float, int]] = {}
            worth: dict[int, list[tuple[float, float, int]]] = {}
            for number, offer in enumerate(self.offers):
                if offer.device not in self.fixed:
                    weight = float(done.weights[number]) if number < len(done.weights) else 0.0
                    worth.setdefault(offer.device, []).append((self.price_offer(offer, done.prices), weight, number))
            slack = 0.002 * abs(done.objective)
            for device, offers in worth.items():
                least = min(cost for cost, _, _ in offers)
                weight, _, number = max((w, -c, n) for c, w, n in offers if c <= least + slack)
                near[device] = (weight, number)
            for device, (_, number) in sorted(near.items(), key=lambda item: -item[1][0])[:at_once]:
                self.fix(device, number)
            solved = self.lp.solve()
            if solved is None:
                return None
            done = solved
            open_devices = [d for d in range(len(self.bidders)) if d not in self.fixed]
            if open_devices and not self.out_of_time():
                self.ask(done.prices, open_devices)
                done = self.lp.solve() or done
        return done

    def mix(self, device: int, *, tries: int) -> Dispatch | None:
        """Free a device, let it bid `tries` times against the others as they are, and mix its offers."""
        self.free(device)
        mixed = self.lp.solve()
        for _ in range(tries):
            if mixed is None or self.out_of_time() or not self.ask(mixed.prices, [device]):
                break
            mixed = self.lp.solve()
        return mixed

    def polish(self, done: Dispatch, order: Sequence[int], *, tries: int = 3) -> Dispatch:
        """Let each device in turn change its mind where the whole house gains."""
        for device in order:
            if self.out_of_time():
                break
            if self.refresh is not None:
                self.refresh(device)
                done = self.lp.solve() or done
            old, best, least = self.fixed[device], done, self.worth(done)
            mixed = self.mix(device, tries=tries)
            candidates: list[int] = []
            if mixed is not None and mixed.objective < done.objective - _WORTHWHILE * abs(done.objective):
                candidates = self.promising(device, mixed, old, by_weight=3)
            chosen = old
            for number in candidates:
                self.fix(device, number)
                solved = self.lp.solve()
                if solved is not None and (worth := self.worth(solved)) < least - 1e-9:
                    best, least, chosen = solved, worth, number
            self.fix(device, chosen)
            done = best
        return self.lp.solve() or done


def _between(old: Prices, new: Prices) -> Prices:
    def mix(a: Floats, b: Floats) -> Floats:
        return np.asarray(_SMOOTH * a + (1.0 - _SMOOTH) * b)

    return Prices(mix(old.load, new.load), mix(old.heat, new.heat), mix(old.car, new.car), new.device)
