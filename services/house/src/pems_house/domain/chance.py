"""Random numbers that depend only on the seed and on what they are for, never on the order of asking."""

from zlib import crc32

import numpy as np

__all__ = ["generator"]


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a generator for one purpose.

    Args:
        seed: Seed of the run.
        purpose: What the numbers are for, such as `"household", 738000`.
    """
    words = [crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    return np.random.default_rng([seed & 0xFFFFFFFF, *words])
