"""The Loxone side: room relays, PEMS's requests behind a watchdog, and Loxone's own thermostats without them.

A request counts only while PEMS pulses (off-delay) and the room's own enable is 1: a silent PEMS leaves a warm house.
The owner's own rules: each room's thermostat at its comfort target, load management below the main breaker, and no
heating in summer.
"""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_common.home.tariff import minutes_of

__all__ = ["Loxone", "is_day"]

_HYSTERESIS_K = 0.3
_STAGGER_MIN = 5  # each thermostat looks every five minutes, not all in the same one
_SHARE_MIN = 15
_OWN_SHARE_OF_BREAKER = 0.74  # 12.7 kW of 17: the highest heating peak that the first house has shown
_SUMMER_FROM_C, _OUTDOOR_MEMORY_H = 15.0, 48.0


def is_day(home: Home, local: datetime) -> bool:
    """Tell whether day targets hold."""
    minute = local.hour * 60 + local.minute
    start, night = minutes_of(home.comfort.day_start), minutes_of(home.comfort.night_start)
    return start <= minute < night if start < night else not night <= minute < start


class Loxone:
    """Relays of all rooms. Times are house time [s of any epoch]."""

    def __init__(self, home: Home) -> None:
        """All relays off, no requests."""
        n = len(home.rooms)
        self._home = home
        self._index = {name: i for i, name in enumerate(home.rooms)}
        self._day_c = np.array([room.day_c for room in home.rooms.values()])
        self._night_c = np.array([room.night_c for room in home.rooms.values()])
        self.requested = np.zeros(n, dtype=np.bool_)
        self.enabled = np.zeros(n, dtype=np.bool_)
        self.relay_on = np.zeros(n, dtype=np.bool_)
        self.stuck: dict[int, bool] = {}
        self.switchings = np.zeros(n, dtype=np.int64)
        self.alive_until_s = -np.inf
        self._wants = np.zeros(n, dtype=np.bool_)
        self._granted = np.zeros(n, dtype=np.bool_)
        self._breaker_w = home.grid.import_max_w
        self._relay_w = np.array([room.heat_w for room in home.rooms.values()])
        self._own_max_w = _OWN_SHARE_OF_BREAKER * home.grid.import_max_w
        self._mean_outdoor_c: float | None = None
        self._last_minute = -1

    def pulse(self, now_s: float, off_delay_s: float) -> None:
        """PEMS has pulsed: its requests count for `off_delay_s` more seconds of house time."""
        self.alive_until_s = now_s + off_delay_s

    def request(self, room: str, on: bool) -> None:
        """PEMS asks for a relay; unknown rooms are ignored."""
        if room in self._index:
            self.requested[self._index[room]] = on

    def enable(self, room: str, on: bool) -> None:
        """PEMS takes or gives back a room; unknown rooms are ignored."""
        if room in self._index:
            self.enabled[self._index[room]] = on

    def by_pems(self, now_s: float) -> NDArray[np.bool_]:
        """Which rooms PEMS has now (n)."""
        return self.enabled & (now_s < self.alive_until_s)

    def targets_c(self, local: datetime) -> NDArray[np.float64]:
        """Comfort targets at a local time (n)."""
        return self._day_c if is_day(self._home, local) else self._night_c

    def step(
        self,
        now_s: float,
        local: datetime,
        measured_c: NDArray[np.float64],
        outdoor_c: float,
        other_load_w: float,
    ) -> NDArray[np.bool_]:
        """Decide all relays at an instant (n); call at least once a minute.

        Args:
            now_s: House time [Unix s].
            local: The same as local time.
            measured_c: Readings of the rooms (n).
            outdoor_c: Outdoor air.
            other_load_w: What the house draws beside the heating.
        """
        by_pems = self.by_pems(now_s)
        minute = int(now_s // 60)
        if minute != self._last_minute:
            self._remember(outdoor_c, 1.0 if self._last_minute < 0 else (minute - self._last_minute) / 60.0)
            self._last_minute = minute
            error_k = self.targets_c(local) - measured_c
            self._thermostats(minute, error_k)
            budget_w = min(self._own_max_w, self._breaker_w - other_load_w)
            budget_w -= float(self._relay_w @ (by_pems & self.requested))
            self._share_out(minute, error_k, by_pems, budget_w)
        relay_on = np.where(by_pems, self.requested, self._granted)
        for index, value in self.stuck.items():
            relay_on[index] = value
        self.switchings += relay_on != self.relay_on
        self.relay_on = relay_on
        return relay_on

    def _remember(self, outdoor_c: float, hours: float) -> None:
        if self._mean_outdoor_c is None:
            self._mean_outdoor_c = outdoor_c
        self._mean_outdoor_c += (outdoor_c - self._mean_outdoor_c) * min(1.0, hours / _OUTDOOR_MEMORY_H)

    def _thermostats(self, minute: int, error_k: NDArray[np.float64]) -> None:
        """Update what each thermostat wants whose turn it is."""
        turn = np.arange(len(error_k)) % _STAGGER_MIN == minute % _STAGGER_MIN
        half = _HYSTERESIS_K / 2.0
        summer = self._mean_outdoor_c is not None and self._mean_outdoor_c > _SUMMER_FROM_C
        wants = np.where(error_k > half, not summer, np.where(error_k < -half, False, self._wants))
        self._wants = np.where(turn, wants, self._wants)

    def _share_out(
        self, minute: int, error_k: NDArray[np.float64], by_pems: NDArray[np.bool_], budget_w: float
    ) -> None:
        """Grant what is wanted within the budget: the coldest rooms first, anew every quarter of an hour."""
        self._granted &= self._wants & ~by_pems
        claims = self._wants & ~by_pems
        drawn_w = float(self._relay_w @ self._granted)
        if minute % _SHARE_MIN and drawn_w <= budget_w:  # in between only what still fits is added
            for index in np.flatnonzero(claims & ~self._granted):
                if drawn_w + self._relay_w[index] <= budget_w:
                    self._granted[index] = True
                    drawn_w += float(self._relay_w[index])
            return
        if float(self._relay_w @ claims) <= budget_w:
            self._granted = claims
            return
        self._granted = np.zeros_like(claims)
        drawn_w = 0.0
        for index in np.flatnonzero(claims)[np.argsort(-error_k[claims], kind="stable")]:
            if drawn_w + self._relay_w[index] <= budget_w:
                self._granted[index] = True
                drawn_w += float(self._relay_w[index])
