"""Smooth random functions of time that every process computes alike, without any state.

Value noise: independent standard normal values on a regular lattice, interpolated by a cosine.
"""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from math import cos, log, pi, sqrt

__all__ = ["normal", "smooth", "uniform"]

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=65_536)
def uniform(key: str) -> float:
    """Return a number in (0, 1) that depends on the key only."""
    digest = blake2b(key.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64


@lru_cache(maxsize=65_536)
def normal(key: str) -> float:
    """Return a standard normal number that depends on the key only (Box-Muller)."""
    return sqrt(-2.0 * log(uniform(key + "/r"))) * cos(2.0 * pi * uniform(key + "/a"))


def smooth(key: str, at: datetime, period_h: float) -> float:
    """Return a smooth function of time with unit variance on its lattice of `period_h` hours."""
    position = (at - _EPOCH).total_seconds() / 3600.0 / period_h
    index = int(position // 1)
    share = (1.0 - cos(pi * (position - index))) / 2.0
    left, right = normal(f"{key}:{index}"), normal(f"{key}:{index + 1}")
    # divided so that the variance stays near one between the lattice points too
    return ((1.0 - share) * left + share * right) / sqrt((1.0 - share) ** 2 + share**2)
