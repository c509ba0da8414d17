"""Nested frozen dataclasses with numpy arrays as bytes and back, exactly: every float, type and shape as it was.

The bytes are a header in JSON (the tree of fields, and what each array is) followed by the arrays as they lie in
memory. What comes back is built by the annotations of the class that is asked for and by nothing in the bytes, so
foreign bytes can give an error but never run anything.
"""

import json
import math
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "StoreError", "from_bytes", "to_bytes"]

T = TypeVar("T")
Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_MAGIC = b"PEMSdc1\n"
_LENGTH_BYTES = 8
_ALIGN = 16
_DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"})
_TEXTS = re.compile(r"<U[1-9]\d{0,3}")  # texts of one length, as numpy keeps names
_LAST_CHARACTER = 0x10FFFF


class StoreError(ValueError):
    """These bytes are not what was asked for, or this value cannot be stored."""


# --- writing ---------------------------------------------------------------------------------------------------


def to_bytes(value: Any) -> bytes:
    """Return a dataclass as bytes.

    Args:
        value: A dataclass of numbers, texts, instants, durations, arrays, and tuples, mappings and dataclasses of
            those.

    Raises:
        StoreError: There is something else in it.
    """
    arrays: list[NDArray[Any]] = []
    tree = _plain(value, arrays, type(value).__name__)
    described = [[array.dtype.str, list(array.shape), _order(array)] for array in arrays]
    header = json.dumps({"tree": tree, "arrays": described}, separators=(",", ":")).encode()
    header += b" " * (-(len(_MAGIC) + _LENGTH_BYTES + len(header)) % _ALIGN)
    parts = [_MAGIC, len(header).to_bytes(_LENGTH_BYTES, "little"), header]
    for array in arrays:
        parts.append(array.tobytes(order="A"))  # as it lies there: "A" keeps Fortran's order
    return b"".join(parts)


def _is_kept(dtype: str) -> bool:
    return dtype in _DTYPES or _TEXTS.fullmatch(dtype) is not None


def _order(array: NDArray[Any]) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _plain(value: Any, arrays: list[NDArray[Any]], where: str) -> Any:
    if isinstance(value, np.ndarray):
        if not _is_kept(value.dtype.str):
            raise StoreError(f"{where}: arrays of type {value.dtype} are not stored")
        arrays.append(value if value.flags.forc else np.ascontiguousarray(value))
        return len(arrays) - 1
    if isinstance(value, np.generic):
        return _plain(value.item(), arrays, where)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return [value.days, value.seconds, value.microseconds]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_plain(item, arrays, f"{where}[{k}]") for k, item in enumerate(value)]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise StoreError(f"{where}: keys must be texts")
        return {key: _plain(item, arrays, f"{where}[{key}]") for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), arrays, f"{where}.{f.name}") for f in fields(value)}
    raise StoreError(f"{where}: a {type(value).__name__} is not stored")


# --- reading ---------------------------------------------------------------------------------------------------


def from_bytes(cls: type[T], data: bytes) -> T:
    """Return the dataclass that `to_bytes` was given.

    Args:
        cls: Its class.
        data: The bytes.

    Raises:
        StoreError: They are damaged, of another class, or of another version of it.
    """
    try:
        tree, arrays = _opened(data)
        return _typed(cls, tree, arrays, cls.__name__)  # type: ignore[no-any-return]
    except StoreError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, RecursionError) as error:
        raise StoreError(f"no stored {cls.__name__}: {error}") from error


def _opened(data: bytes) -> tuple[Any, list[NDArray[Any]]]:
    start = len(_MAGIC) + _LENGTH_BYTES
    if data[: len(_MAGIC)] != _MAGIC:
        raise StoreError("these bytes were not written by this store")
    end = start + int.from_bytes(data[len(_MAGIC) : start], "little")
    header = json.loads(data[start:end])
    arrays = []
    for name, shape, order in header["arrays"]:
        if not _is_kept(name) or not all(type(n) is int and n >= 0 for n in shape) or order not in ("C", "F"):
            raise StoreError(f"an array of type {name} and shape {shape} is not read")
        array = _array(data, end, np.dtype(name), math.prod(shape))
        arrays.append(array.reshape(shape, order=order))
        end += array.nbytes
    if end != len(data):
        raise StoreError("there is something behind the last array")
    return header["tree"], arrays


def _array(data: bytes, at: int, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    if at + count * dtype.itemsize > len(data):
        raise StoreError("the bytes end before their arrays")
    # Copied: views of the bytes would be read-only and unaligned, which compiled code treats as another type.
    array = np.frombuffer(data, dtype, count, at).copy()
    if dtype.kind == "U" and array.view("<u4").max(initial=0) > _LAST_CHARACTER:
        raise StoreError("an array of texts holds what is no character")
    return array


@cache
def _plan_of(cls: type) -> tuple[tuple[Field[Any], Any], ...]:
    """Fields of a dataclass with their resolved types."""
    hints = get_type_hints(cls)
    return tuple((f, hints[f.name]) for f in fields(cls))


def _typed(kind: Any, tree: Any, arrays: list[NDArray[Any]], where: str) -> Any:
    """Build the value of an annotated type from its part of the tree."""
    origin = get_origin(kind)
    if origin is np.ndarray or kind is np.ndarray:
        if type(tree) is not int or not 0 <= tree < len(arrays):
            raise StoreError(f"{where}: no array")
        return arrays[tree]
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), tree, arrays, where)
    if origin is Literal:
        if tree not in get_args(kind):
            raise StoreError(f"{where}: {tree!r} is none of {get_args(kind)}")
        return tree
    if origin is tuple:
        return _tuple(get_args(kind), tree, arrays, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = get_args(kind)[1]
        return {key: _typed(item, value, arrays, f"{where}[{key}]") for key, value in dict(tree).items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, tree, arrays, where)
    return _single(kind, tree, where)


def _single(kind: Any, tree: Any, where: str) -> Any:
    if kind is datetime and isinstance(tree, str):
        return datetime.fromisoformat(tree)
    if kind is timedelta and isinstance(tree, list):
        return timedelta(*tree)
    # An int where a float is meant stays an int, as it was given.
    if kind is float and type(tree) in (int, float):
        return tree
    if kind in (bool, int, str, type(None)) and type(tree) is kind:
        return tree
    raise StoreError(f"{where}: {tree!r:.40} is no {getattr(kind, '__name__', kind)}")


def _one_of(kinds: tuple[Any, ...], tree: Any, arrays: list[NDArray[Any]], where: str) -> Any:
    for kind in kinds:
        try:
            return _typed(kind, tree, arrays, where)
        except (StoreError, TypeError, ValueError):
            continue
    raise StoreError(f"{where}: {tree!r:.40} fits none of {kinds}")


def _tuple(kinds: tuple[Any, ...], tree: Any, arrays: list[NDArray[Any]], where: str) -> tuple[Any, ...]:
    if not isinstance(tree, list):
        raise StoreError(f"{where}: no tuple")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(tree)
    if len(kinds) != len(tree):
        raise StoreError(f"{where}: {len(tree)} instead of {len(kinds)} entries")
    pairs = enumerate(zip(kinds, tree, strict=True))
    return tuple(_typed(kind, item, arrays, f"{where}[{k}]") for k, (kind, item) in pairs)


def _dataclass(cls: type, tree: Any, arrays: list[NDArray[Any]], where: str) -> Any:
    if not isinstance(tree, dict):
        raise StoreError(f"{where}: no {cls.__name__}")
    known = _plan_of(cls)
    if strange := set(tree) - {f.name for f, _ in known}:
        raise StoreError(f"{where}: {cls.__name__} has no {sorted(strange)}, it was written by another version")
    values = {}
    for field, kind in known:
        if field.name in tree:
            values[field.name] = _typed(kind, tree[field.name], arrays, f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise StoreError(f"{where}.{field.name} is missing, it was written by another version")
    return cls(**values)
