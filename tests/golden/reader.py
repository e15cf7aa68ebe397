"""A second reader of a store, written from docs/format.md alone: python reader.py FOLDER prints the log as JSON."""

import hashlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

Records = list[tuple[list[Any], list[Any]]]
HEADER = ("format", "commit", "seq", "time", "writer", "writer_seq", "actor", "request_id", "reason")
EVENT = ("kind", "version", "subject_kind", "subject_id", "prev", "payload")
FRAME = struct.Struct("<IIQQII")


def read(store: Path) -> tuple[Records, bytes]:
    """All records, as (header, events), and the root of the tree over them."""
    text, check = (store / "FORMAT").read_text().split("crc32 ")
    assert text.startswith("stratalog format 1\n")
    assert zlib.crc32(text.encode()) == int(check, 16)
    names = [path.name for path in (store / "log").iterdir()]
    segments = [tuple(map(int, re.split(r"[-.]", name)[:3])) for name in names if name.endswith(".parquet")]
    journals = sorted(int(name[:20]) for name in names if name.endswith(".journal"))
    records: Records = []
    while True:
        at = len(records)
        holding = [segment for segment in segments if segment[0] <= at < segment[1]]
        if holding:
            start, stop, generation = max(holding, key=lambda s: (s[1], s[2]))
            path = store / "log" / f"{start:020d}-{stop:020d}-{generation}.parquet"
            records.extend(record for record in read_segment(path) if record[0][1] >= at)
            continue
        start = max(first for first in journals if first <= at)
        records.extend(read_journal(store / "log" / f"{start:020d}.journal", start)[at - start :])
        if start == journals[-1] or len(records) == at:
            return records, root([leaf(header, events) for header, events in records])


def read_journal(path: Path, start: int) -> Records:
    data = path.read_bytes()
    magic, first, _, _, check = struct.unpack_from("<8sQQII", data)
    assert (magic, first, check) == (b"EVLOGJ01", start, zlib.crc32(data[:28]))
    records: Records = []
    offset, previous = 32, start & 0xFFFFFFFF
    while offset + 32 <= len(data):
        length, check, commit, durable, before, kind = FRAME.unpack_from(data, offset)
        frame = FRAME.pack(length, 0, commit, durable, before, kind) + data[offset + 32 : offset + 32 + length]
        chained = commit == start + len(records) and before == previous
        if length == 0 or len(frame) < 32 + length or zlib.crc32(frame) != check or not chained or kind == 2:
            break
        header, events = msgspec.msgpack.decode(frame[32:])
        records.append((header, events))
        offset, previous = offset + 32 + length, check
    return records


def read_segment(path: Path) -> Records:
    table = pq.read_table(path, page_checksum_verification=True)
    table = table.set_column(2, "time", table["time"].cast(pa.int64()))
    records: Records = []
    for row in table.to_pylist():
        if not records or records[-1][0][1] != row["commit"]:
            records.append(([row[name] for name in HEADER], []))
        records[-1][1].append([row[name] for name in EVENT])
    found = root([leaf(header, events) for header, events in records])
    assert found.hex().encode() == pq.read_metadata(path).metadata[b"stratalog.root"]
    return records


def leaf(header: list[Any], events: list[Any]) -> bytes:
    digests = [[*event[:5], hashlib.sha256(event[5]).digest()] for event in events]
    return hashlib.sha256(b"\0" + b"".join(map(msgspec.msgpack.encode, [header, *digests]))).digest()


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:split]) + root(leaves[split:])).digest()


def shown(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


if __name__ == "__main__":
    found, top = read(Path(sys.argv[1]))
    plain = [{"header": [shown(v) for v in h], "events": [[shown(v) for v in e] for e in es]} for h, es in found]
    print(json.dumps({"root": top.hex(), "records": plain}))
