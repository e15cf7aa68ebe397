"""Rows of a log segment to decoded facts, in bulk: one call of the decoder for each kind of event.

The payloads of a column lie end to end in memory, and each is one msgpack value; with the header of an array in front
they are one msgpack array of facts.

Source: docs/format.md, "Segments".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stratalog.eventlog.errors import CorruptLogError
from stratalog.eventlog.events import KINDS, Event, Fact, UnknownFact, to_fact
from stratalog.projections.arrays import integers, numbers

SEGMENT_COLUMNS = (
    "seq",
    "commit",
    "time",
    "kind",
    "version",
    "subject_kind",
    "subject_id",
    "prev",
    "actor",
    "request_id",
    "reason",
    "payload",
)
"""What the fold reads of a segment."""

_decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(list[cls])  # type: ignore[valid-type]
    for kind, (cls, _) in KINDS.items()
}


class Rows(msgspec.Struct):
    """Events of one class: parallel lists, by rising seq."""

    seqs: Sequence[int]
    facts: Sequence[Any]
    prevs: Sequence[int | None]


def decode_rows(table: pa.Table) -> dict[type, Rows]:
    """Decode all events of some rows of a segment, grouped by the class of their facts.

    Raises:
        CorruptLogError: a payload is not what its kind says.
    """
    kinds = pc.cast(table["kind"], pa.string())
    rows: dict[type, Rows] = {}
    try:
        for kind in pc.unique(kinds).to_pylist():
            chosen = table.filter(pc.equal(kinds, kind))
            cls, version = KINDS.get(kind, (UnknownFact, 0))
            if cls is not UnknownFact and pc.all(pc.equal(chosen["version"], version)).as_py():
                _add(rows, cls, chosen, _decode_column(kind, chosen["payload"]))
            else:
                _add_singly(rows, kind, chosen)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptLogError(
            f"events {table['seq'][0]} to {table['seq'][-1]}: a payload cannot be decoded: {error}",
            hint="the file is damaged: restore it from a copy",
        ) from error
    return rows


def _decode_column(kind: str, column: pa.ChunkedArray) -> list[Any]:
    facts: list[Any] = []
    for chunk in column.chunks:
        wide = chunk.cast(pa.large_binary())
        _, offsets, data = wide.buffers()
        ends = np.frombuffer(offsets, np.int64, len(wide) + 1, offset=8 * wide.offset)
        body = memoryview(data)[ends[0] : ends[-1]] if data is not None else b""
        # 0xdd: an array whose length follows in four bytes.
        found = _decoders[kind].decode(b"".join((b"\xdd", struct.pack(">I", len(wide)), body)))
        facts.extend(found)
    return facts


def _add(rows: dict[type, Rows], cls: type, chosen: pa.Table, facts: list[Any]) -> None:
    rows[cls] = Rows(chosen["seq"].to_pylist(), facts, chosen["prev"].to_pylist())


def _add_singly(rows: dict[type, Rows], kind: str, chosen: pa.Table) -> None:
    """Events of an older version, or unknown ones: each is brought to today's form by itself."""
    columns = ("version", "subject_kind", "subject_id", "prev", "payload")
    events = zip(*(chosen[name].to_pylist() for name in columns), strict=True)
    facts: list[Fact] = [to_fact(Event(kind, *event)) for event in events]
    seqs, prevs = chosen["seq"].to_pylist(), chosen["prev"].to_pylist()
    for cls in set(map(type, facts)):
        places = [place for place, fact in enumerate(facts) if type(fact) is cls]
        found = list(zip(*((seqs[i], facts[i], prevs[i]) for i in places), strict=True))
        if cls in rows:
            merged = sorted(
                [*zip(rows[cls].seqs, rows[cls].facts, rows[cls].prevs, strict=True), *zip(*found, strict=True)],
                key=lambda row: row[0],
            )
            found = list(zip(*merged, strict=True))
        rows[cls] = Rows(*map(list, found))


def commit_rows(table: pa.Table) -> list[tuple[int, int, int, int, str, str | None, str | None]]:
    """The commits of some rows of a segment: number, first and last seq, time, actor, request id, reason."""
    commits = integers(table["commit"])
    starts = np.flatnonzero(np.diff(commits, prepend=commits[0] - 1))
    last = np.append(starts[1:], len(commits)) - 1
    seqs = integers(table["seq"])
    heads = table.take(numbers(starts))
    return list(
        zip(
            commits[starts].tolist(),
            seqs[starts].tolist(),
            seqs[last].tolist(),
            pc.cast(heads["time"], pa.int64()).to_pylist(),
            heads["actor"].to_pylist(),
            heads["request_id"].to_pylist(),
            heads["reason"].to_pylist(),
            strict=True,
        )
    )
