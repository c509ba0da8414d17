"""Time-ordered unique ids (UUID version 7, RFC 9562 section 5.7)."""

import os
from datetime import datetime
from uuid import UUID

__all__ = ["new_id", "uuid7"]


def uuid7(at: datetime) -> UUID:
    """Build a UUIDv7 from an instant and 74 random bits.

    Args:
        at: Aware instant; its milliseconds since the epoch become the leading 48 bits.

    Returns:
        A UUID that sorts by `at`.
    """
    milliseconds = int(at.timestamp() * 1000) & 0xFFFFFFFFFFFF
    random_bits = int.from_bytes(os.urandom(10), "big")
    rand_a = random_bits >> 68
    rand_b = random_bits & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)


def new_id(at: datetime) -> str:
    """Return a new UUIDv7 as text."""
    return str(uuid7(at))
