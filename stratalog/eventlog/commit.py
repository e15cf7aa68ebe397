"""The record of one commit: its header and events, their canonical bytes, and what a proof hashes.

Source: docs/format.md, "Records" and "Leaf hashes".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from stratalog.eventlog.errors import CorruptLogError, ErrorCode
from stratalog.eventlog.events import Event, Recorded, to_fact

RECORD_FORMAT = 1
"""Version of the record's own layout, the first field of each header."""


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is said of a commit as a whole.

    `commit` counts from 0, `first_seq` is the seq of its first event (the first of all is 1), `time_us` is µs since
    1970 UTC and never goes back from one commit to the next. `writer` (16 bytes) and `writer_seq` tell a process
    its own records.
    """

    format: int
    commit: int
    first_seq: int
    time_us: int
    writer: bytes
    writer_seq: int
    actor: str = ""
    request_id: str | None = None
    reason: str | None = None


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One commit: a header and at least one event."""

    header: Header
    events: list[Event]

    @property
    def end_seq(self) -> int:
        """The seq after the last event."""
        return self.header.first_seq + len(self.events)

    def payload_bytes(self) -> int:
        """Size of all payloads together: a good guess at the size of the encoded record."""
        return sum(len(event.payload) for event in self.events)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)

encode_record = _encoder.encode
"""A record in its canonical msgpack form; the same record gives the same bytes always."""


def decode_record(data: bytes | memoryview, *, where: str) -> Record:
    """Decode one record.

    Args:
        data: the bytes of `encode_record`.
        where: file and place, for the message.

    Raises:
        CorruptLogError: `data` is not a record, or one of a newer format.
    """
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptLogError(
            f"{where}: {len(data)} bytes are no record: {error}",
            hint="the file is damaged: restore it from a copy",
        ) from error
    if record.header.format > RECORD_FORMAT:
        raise CorruptLogError(
            f"{where}: record of format {record.header.format}, this release reads up to {RECORD_FORMAT}",
            code=ErrorCode.FORMAT_TOO_NEW,
            hint="open the store with the release that wrote it, or a newer one",
        )
    return record


def recorded(record: Record) -> list[Recorded]:
    """The record's events, decoded and numbered.

    Raises:
        CorruptLogError: a payload cannot be decoded.
    """
    seq = record.header.first_seq
    try:
        return [Recorded(seq + i, to_fact(event), event.prev) for i, event in enumerate(record.events)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptLogError(
            f"commit {record.header.commit}: a payload cannot be decoded: {error}",
            hint="the file is damaged: restore it from a copy",
        ) from error


def leaf_hash(record: Record) -> bytes:
    """The 32-byte hash that stands for a commit in proofs.

    SHA-256 over 0x00, the msgpack of the header, and for each event the msgpack of
    `[kind, version, subject_kind, subject_id, prev, SHA-256 of the payload]`. It depends on no byte of a Parquet
    file, and a payload that was erased can be replaced by its digest.
    """
    sha256 = hashlib.sha256
    encode = _encoder.encode
    parts = [b"\x00", encode(record.header)]
    parts.extend(
        encode((e.kind, e.version, e.subject_kind, e.subject_id, e.prev, sha256(e.payload).digest()))
        for e in record.events
    )
    return sha256(b"".join(parts)).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The root of the RFC 9162 tree over `leaves` (32-byte hashes that `leaf_hash` made)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    # Pairing neighbours and lifting an odd last node gives the same tree as RFC 9162's split at a power of two.
    while len(level) > 1:
        paired = [hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def check_sequence(records: Iterable[Record], *, commit: int, seq: int, time_us: int = 0) -> Iterator[Record]:
    """Pass on records that follow one another without a gap, from `commit` and `seq` on.

    Raises:
        CorruptLogError: a number is missing, doubled or goes back.
    """
    for record in records:
        header = record.header
        if (header.commit, header.first_seq) != (commit, seq) or header.time_us < time_us or not record.events:
            raise CorruptLogError(
                f"commit {header.commit} with first seq {header.first_seq} at {header.time_us} µs stands where "
                f"commit {commit} with first seq {seq}, not before {time_us} µs, was expected",
                hint="a file of the log is missing or from another store: restore the whole folder",
            )
        yield record
        commit, seq, time_us = commit + 1, record.end_seq, header.time_us
