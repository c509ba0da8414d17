"""Whatever a problem holds, its bytes give it back exactly; whatever is not a problem gives an error, never more."""

from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from pems_optimizer.domain.problem import Floats
from pems_optimizer.domain.problem_store import StoreError, from_bytes, to_bytes

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
ARRAYS = st.one_of(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5), elements=ANY_FLOAT),
    hnp.arrays(np.bool_, hnp.array_shapes(min_side=0, max_side=6)),
    hnp.arrays(np.int64, hnp.array_shapes(max_side=6)),
    hnp.arrays(np.float32, 4),
    hnp.arrays(np.int8, (3, 2)),
    st.lists(st.text(alphabet="aěЖ😀", max_size=6), min_size=1, max_size=3).map(np.array),
)


@dataclass(frozen=True)
class Inner:
    kind: Literal["a", "b"]
    values: Floats
    texts: tuple[str, ...] = ()
    params: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outer:
    at: datetime
    step: timedelta
    number: float
    count: int
    yes: bool
    inner: Inner
    maybe: Inner | None
    many: tuple[Inner, ...]
    pair: dict[str, tuple[Floats, Floats]]
    memory: dict[str, NDArray[Any]]


INNERS = st.builds(
    Inner,
    kind=st.sampled_from(["a", "b"]),
    values=hnp.arrays(np.float64, st.integers(0, 5), elements=ANY_FLOAT),
    texts=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    params=st.dictionaries(st.text(max_size=4), st.one_of(ANY_FLOAT, st.text(max_size=4)), max_size=3),
)
OUTERS = st.builds(
    Outer,
    at=st.datetimes(timezones=st.just(UTC)),
    step=st.timedeltas(),
    number=st.one_of(ANY_FLOAT, st.integers(-(10**6), 10**6)),
    count=st.integers(-(10**18), 10**18),
    yes=st.booleans(),
    inner=INNERS,
    maybe=st.none() | INNERS,
    many=st.lists(INNERS, max_size=3).map(tuple),
    pair=st.dictionaries(
        st.text(max_size=3), st.tuples(*[hnp.arrays(np.float64, 2, elements=ANY_FLOAT)] * 2), max_size=2
    ),
    memory=st.dictionaries(st.text(max_size=3), ARRAYS, max_size=3),
)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, type by type."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes("A") == b.tobytes("A")
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return type(b) is float and np.float64(a).tobytes() == np.float64(b).tobytes()
    return type(a) is type(b) and a == b


def one_nan(value: float) -> float:
    """JSON knows one NaN only."""
    return float("nan") if value != value else value


@given(OUTERS)
@settings(max_examples=150, deadline=None)
def test_everything_comes_back_to_the_last_bit(outer):
    object.__setattr__(outer, "number", one_nan(outer.number))
    for inner in (outer.inner, *outer.many, *([] if outer.maybe is None else [outer.maybe])):
        for key, value in inner.params.items():
            inner.params[key] = one_nan(value) if isinstance(value, float) else value
    again = from_bytes(Outer, to_bytes(outer))
    assert same(outer, again)
    assert to_bytes(again) == to_bytes(outer)


@given(OUTERS, st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_bytes_are_an_error_or_an_outer_but_nothing_else(outer, data):
    raw = bytearray(to_bytes(outer))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for damaged in (bytes(raw), bytes(raw[:cut])):
        with suppress(StoreError):
            assert type(from_bytes(Outer, damaged)) is Outer


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=4)))
def test_slices_and_both_memory_orders_keep_their_values(array):
    for view in (array.T, array[::-1], array[:, ::2], np.asfortranarray(array)):
        back = from_bytes(Inner, to_bytes(Inner("a", view))).values
        assert np.array_equal(back, view, equal_nan=True)
        assert back.flags.writeable
        assert back.flags.aligned


def test_what_cannot_be_stored_or_is_of_another_version_is_named():
    with pytest.raises(StoreError, match=r"Inner\.values: arrays of type object"):
        to_bytes(Inner("a", np.array([object()])))
    with pytest.raises(StoreError, match="set is not stored"):
        to_bytes(Inner("a", np.empty(0), params={"x": {1}}))

    @dataclass(frozen=True)
    class Later:
        kind: str
        values: Floats
        new: float

    with pytest.raises(StoreError, match="another version"):
        from_bytes(Later, to_bytes(Inner("a", np.empty(0))))
    with pytest.raises(StoreError, match="not written by this store"):
        from_bytes(Inner, b"\x80\x04cos\nsystem\n")
