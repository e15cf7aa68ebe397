"""Write the golden store `store-1`, and what a reader must find in it: run once for a format, then keep the files.

    python -m tests.golden.make_store_1 FOLDER

writes FOLDER/store-1 and FOLDER/store-1.json. The bytes of Parquet depend on the release of pyarrow, and the log's id
is drawn anew, so a second run gives other files with the same records.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import msgspec

from stratalog.eventlog.commit import RECORD_FORMAT, Header, Record, leaf_hash, tree_root
from stratalog.eventlog.events import (
    Artifact,
    Association,
    Attribution,
    Context,
    Event,
    Execution,
    Fact,
    Link,
    MetricPoints,
    ParentContext,
    Proto,
    RequestAnswer,
    Type,
    UnknownFact,
    Value,
    to_event,
)
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.stores.local import LocalLog

TIME_US = 1_790_000_000_000_000
VALUES: dict[str, Value] = {
    "int": -(2**63),
    "double": 0.125,
    "text": "grün",
    "yes": True,
    "struct": {"list": [1, None, "a", {"b": 0.5}]},
    "proto": Proto("type.googleapis.com/a.B", b"\x08\x01"),
}

FACTS: list[list[tuple[Fact, int | None]]] = [
    [
        (Type(kind=1, id=1, name="Dataset", properties={"rows": 1, "split": 3}, description="a table"), None),
        (Type(kind=2, id=2, name="Train", version="2", input_type=b"\x01", output_type=b"\x02"), None),
        (Type(kind=3, id=3, name="Project", external_id="p", base_type="EXPERIMENT"), None),
    ],
    [
        (Artifact(id=1, type_id=1, name="iris", uri="s3://data/iris", properties={"rows": 150}, state=2), None),
        (Execution(id=1, type_id=2, name="run 1", custom_properties=VALUES, state=2), None),
        (Context(id=1, type_id=3, name="flowers", external_id="f", create_time_ms=5, update_time_ms=6), None),
        (Context(id=2, type_id=3, name="plants"), None),
    ],
    [
        (Link(execution_id=1, artifact_id=1, type=3, path=["data", 0], time_ms=1_790_000_000_001), None),
        (Attribution(1, 1), None),
        (Association(1, 1), None),
        (ParentContext(1, 2), None),
        (MetricPoints(execution_id=1, key="loss", steps=[0, 1], times_us=[7, 9], values=[0.5, 0.25]), None),
        (RequestAnswer(request_id="r-1", command="put", digest=bytes(32), answer=b"\x90"), None),
    ],
    [(Artifact(id=1, type_id=1, name="iris", uri="s3://data/iris/2", properties={"rows": 149}, state=4), 4)],
    [(UnknownFact("seen_in_a_dream", 3, 0, 0, b"\x92\x01\xa1x"), None)],
    [(Artifact(id=index, type_id=1, name=f"part {index}", state=2), None) for index in range(2, 42)],
    [(Execution(id=1, type_id=2, name="run 1", custom_properties=VALUES, state=3), 5)],
]


def records() -> list[Record]:
    """The records of the store."""
    found: list[Record] = []
    seq = 1
    for commit, facts in enumerate(FACTS):
        header = Header(
            format=RECORD_FORMAT,
            commit=commit,
            first_seq=seq,
            time_us=TIME_US + 1000 * (commit // 2),
            writer=bytes(range(16)),
            writer_seq=commit,
            actor=("", "alice", "bob")[commit % 3],
            request_id=None if commit != 2 else "r-1",
            reason=(None, "", "why not")[commit % 3],
        )
        found.append(Record(header, [to_event(fact, prev) for fact, prev in facts]))
        seq = found[-1].end_seq
    return found


def plain(record: Record) -> dict[str, object]:
    """A record as JSON has it: bytes in hex, events as arrays."""
    return {
        "header": [
            value.hex() if isinstance(value, bytes) else value for value in msgspec.structs.astuple(record.header)
        ],
        "events": [_plain_event(event) for event in record.events],
    }


def _plain_event(event: Event) -> list[object]:
    payload = msgspec.msgpack.decode(event.payload)
    shown = json.loads(msgspec.json.encode(payload))
    return [event.kind, event.version, event.subject_kind, event.subject_id, event.prev, event.payload.hex(), shown]


def main(folder: Path) -> None:
    """Write both."""
    path = folder / "store-1"
    shutil.rmtree(path, ignore_errors=True)
    log = LocalLog(path, settings=LogSettings(grow_bytes=512, row_group_rows=16))
    for record in records():
        with log.exclusive():
            log.append(log.head(), [record])
        log.sync()
        if record.header.commit in (1, 4):
            log.seal()
    log.close()
    expected = {
        "root": tree_root([leaf_hash(record) for record in records()]).hex(),
        "records": [plain(record) for record in records()],
    }
    (folder / "store-1.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
