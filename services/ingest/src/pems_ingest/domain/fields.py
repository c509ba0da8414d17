"""Every field that ingest knows: its possible range, how long it stays fresh, and how it is kept in the history.

All durations here are house time.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["CARRY_MAX_S", "FieldKind", "kind_of"]


@dataclass(frozen=True)
class FieldKind:
    """How one kind of field behaves.

    Attributes:
        low: Least possible value.
        high: Greatest possible value.
        fresh_s: A reading older than this is stale; three times older it is not told any more.
        jump: Greatest believable change within `jump_s`; a larger one must be confirmed by a second reading.
        jump_s: See `jump`.
        stuck_s: Unchanged for this long (though readings keep coming) means a stuck sensor; 0 = never.
        heartbeat_s: An unchanged value is stored again after this long.
        carry_s: How long a stored value holds until the next one: the end of a gap's first edge.
        boolean: 0 or 1.
    """

    low: float
    high: float
    fresh_s: float
    jump: float | None = None
    jump_s: float = 600.0
    stuck_s: float = 0.0
    heartbeat_s: float = 240.0
    carry_s: float = 900.0
    boolean: bool = False


_MINUTE, _HOUR = 60.0, 3600.0
CARRY_MAX_S = 900.0


def _power(low: float, high: float) -> FieldKind:
    return FieldKind(low, high, 2 * _MINUTE, heartbeat_s=50.0, carry_s=300.0)


_SWITCH = FieldKind(0, 1, 15 * _MINUTE, boolean=True)
_KINDS: tuple[tuple[str, FieldKind], ...] = (
    (r"pv_power_w", _power(0, 50_000)),
    (r"load_power_w", _power(0, 60_000)),
    (r"grid_power_w", _power(-60_000, 60_000)),
    (r"battery_power_w", _power(-50_000, 50_000)),
    (r"battery_soc_pct", FieldKind(0, 100, 2 * _MINUTE, jump=25, jump_s=300, heartbeat_s=50, carry_s=300)),
    (r"battery_temperature_c", FieldKind(-40, 90, 15 * _MINUTE)),
    (r"battery_soh_pct", FieldKind(0, 100, 24 * _HOUR)),
    (r"outdoor_temperature_c", FieldKind(-45, 55, 30 * _MINUTE, jump=10, stuck_s=12 * _HOUR)),
    (r"room\.\w+\.temperature_c", FieldKind(-10, 60, 15 * _MINUTE, jump=5, stuck_s=24 * _HOUR)),
    (r"room\.\w+\.humidity_pct", FieldKind(0, 100, 30 * _MINUTE)),
    (r"room\.\w+\.target_c", FieldKind(0, 40, 24 * _HOUR)),
    (r"room\.\w+\.(relay_on|window_open)", _SWITCH),
    (r"ev\.connected", _SWITCH),
    (r"ev\.soc_pct", FieldKind(0, 100, 15 * _MINUTE)),
    (r"ev\.power_w", FieldKind(0, 50_000, 15 * _MINUTE)),
    (r"ev\.session_wh", FieldKind(0, 500_000, 15 * _MINUTE)),
    (r"water\.temperature_c", FieldKind(-5, 110, 15 * _MINUTE)),
    (r"water\.power_w", FieldKind(0, 30_000, 15 * _MINUTE)),
    (r"counter\.\w+_kwh", FieldKind(0, 1_200, 15 * _MINUTE, heartbeat_s=600)),
    (r"weather\.\w+", FieldKind(-1e4, 1e4, _HOUR)),
    (r"price\.\w+", FieldKind(-1e5, 1e5, _HOUR)),
)
_PATTERNS = tuple((re.compile(pattern), kind) for pattern, kind in _KINDS)


@lru_cache(maxsize=4096)
def kind_of(field: str) -> FieldKind | None:
    """Return the kind of a field or series, None for one that is not known."""
    return next((kind for pattern, kind in _PATTERNS if pattern.fullmatch(field)), None)
