"""How often an address may try the password: five wrong tries, then waits that double."""

from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["LoginLimit"]

_FREE_TRIES = 5
_FIRST_WAIT_S = 30.0
_LONGEST_WAIT_S = 900.0
_FORGET_S = 3600.0
_MAX_ADDRESSES = 1000


@dataclass
class _Tries:
    failures: int = 0
    last_s: float = 0.0
    locked_until_s: float = 0.0


class LoginLimit:
    """Counts wrong tries by address. Times are wall seconds of a monotonic clock."""

    def __init__(self) -> None:
        """Start with a clean record."""
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> int:
        """Seconds until the address may try again; 0 when it may now."""
        tries = self._tries.get(address)
        if tries is None:
            return 0
        if now_s - tries.last_s > _FORGET_S:
            del self._tries[address]
            return 0
        return max(0, int(tries.locked_until_s - now_s + 0.999))

    def failed(self, address: str, now_s: float) -> None:
        """Count a wrong try."""
        tries = self._tries.setdefault(address, _Tries())
        self._tries.move_to_end(address)
        tries.failures += 1
        tries.last_s = now_s
        if tries.failures >= _FREE_TRIES:
            wait_s = _FIRST_WAIT_S * 2 ** (tries.failures - _FREE_TRIES)
            tries.locked_until_s = now_s + min(_LONGEST_WAIT_S, wait_s)
        while len(self._tries) > _MAX_ADDRESSES:
            self._tries.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget an address's failures."""
        self._tries.pop(address, None)
