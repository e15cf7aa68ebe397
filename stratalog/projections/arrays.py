"""Python values to Arrow arrays, by numpy and buffers.

`pyarrow.array` does this too, but it imports pandas where that is installed, which costs a process more than all
the rest of opening the tables; and text is faster this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

Mask = np.ndarray[Any, np.dtype[np.bool_]]
OFFSET_MAX = 2**31 - 1
"""Bytes that an array of text can hold with offsets of 32 bits."""


def numbers(values: np.ndarray[Any, Any], mask: Mask | None = None) -> pa.Array:
    """An array over a numpy array of integers or floats, not copied; null where `mask` is false."""
    kind = pa.from_numpy_dtype(values.dtype)
    if mask is None:
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)], 0)
    null_count = len(mask) - int(np.count_nonzero(mask))
    return pa.Array.from_buffers(kind, len(values), [_bits(mask), pa.py_buffer(values)], null_count)


def integers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The values of a column of 64-bit integers without nulls."""
    chunks = [
        np.frombuffer(chunk.buffers()[1], np.int64, len(chunk), offset=8 * chunk.offset)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int64)


def booleans(values: Sequence[bool]) -> pa.Array:
    """An array of booleans."""
    bits = _bits(np.fromiter(values, np.bool_, len(values)))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits], 0)


def optional_numbers(values: Sequence[int | None], dtype: type[np.generic]) -> pa.Array:
    """An array of numbers, null for None."""
    none_count = values.count(None)
    if not none_count:
        return numbers(np.fromiter(values, dtype, len(values)))
    if none_count == len(values):
        return pa.nulls(len(values), pa.from_numpy_dtype(np.dtype(dtype)))
    mask = _is_given(values)
    filled = np.fromiter((0 if value is None else value for value in values), dtype, len(values))
    return numbers(filled, mask)


def optional_texts(values: Sequence[str | None]) -> pa.Array | pa.ChunkedArray:
    """An array of text, null for None."""
    return _optional(values, pa.string())


def optional_blobs(values: Sequence[bytes | None]) -> pa.Array | pa.ChunkedArray:
    """An array of bytes, null for None."""
    return _optional(values, pa.binary())


def spread(values: Sequence[Any], mask: Mask, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """An array of text or bytes with `values`, in order, where `mask` is true and null elsewhere.

    More bytes than fit into one array give a chunked one.
    """
    count = len(mask)
    sizes, data = _joined(values, kind)
    if len(data) > OFFSET_MAX:
        half = count // 2
        before = int(np.count_nonzero(mask[:half]))
        halves = (spread(values[:before], mask[:half], kind), spread(values[before:], mask[half:], kind))
        chunks = [chunk for part in halves for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
        return pa.chunked_array(chunks, kind)
    offsets = np.zeros(count + 1, np.int32)
    if len(values) == count:
        np.cumsum(sizes, out=offsets[1:])
        return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(offsets), pa.py_buffer(data)], 0)
    spread_sizes = np.zeros(count, np.int32)
    spread_sizes[mask] = sizes
    np.cumsum(spread_sizes, out=offsets[1:])
    buffers = [_bits(mask), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, count, buffers, count - len(values))


def _optional(values: Sequence[Any], kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    none_count = values.count(None)
    if none_count == len(values):
        return pa.nulls(len(values), kind)
    if not none_count:
        return spread(values, np.ones(len(values), np.bool_), kind)
    return spread([value for value in values if value is not None], _is_given(values), kind)


def _joined(values: Sequence[Any], kind: pa.DataType) -> tuple[np.ndarray[Any, Any], bytes]:
    """The sizes of some texts or bytes in UTF-8, and all of them end to end."""
    if kind == pa.string():
        text = "".join(values)
        data = text.encode()
        if len(data) != len(text):  # signs of several bytes: sizes are those of the encoded values
            values = list(map(str.encode, values))
    else:
        data = b"".join(values)
    return np.fromiter(map(len, values), np.int64, len(values)), data


def _is_given(values: Sequence[Any]) -> Mask:
    return np.fromiter((value is not None for value in values), np.bool_, len(values))


def _bits(mask: Mask) -> pa.Buffer:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))
