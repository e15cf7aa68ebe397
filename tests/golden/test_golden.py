"""Stores that earlier releases wrote are read as they were meant, here and by a reader that shares no code."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stratalog.eventlog.commit import Record, encode_record, recorded
from stratalog.eventlog.events import SPECS, UnknownFact
from stratalog.eventlog.stores.local import LocalLog
from tests.golden.make_store_1 import FACTS, plain, records

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((HERE / "store-1.json").read_text())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / "store-1", tmp_path / "store-1"))


def test_the_golden_store_has_every_kind_of_event_and_of_file() -> None:
    kinds = {event[0] for record in EXPECTED["records"] for event in record["events"]}
    names = [path.suffix for path in (HERE / "store-1" / "log").iterdir()]

    assert kinds == {spec.kind for spec in SPECS.values()} | {"seen_in_a_dream"}
    assert sorted(names) == [".journal", ".parquet", ".parquet"]


def test_this_code_reads_the_golden_store(store: Path) -> None:
    log = LocalLog(store, read_only=True)

    found: list[Record] = list(log.read())

    assert [plain(record) for record in found] == EXPECTED["records"]
    assert [encode_record(record) for record in found] == [encode_record(record) for record in records()]
    report = log.verify()
    assert report.ok
    assert report.root == EXPECTED["root"]
    assert report.unknown_kinds == {"seen_in_a_dream": 1}
    log.close()


def test_the_golden_events_decode_to_the_facts_they_were_made_from(store: Path) -> None:
    log = LocalLog(store, read_only=True)

    found = [[(event.fact, event.prev) for event in recorded(record)] for record in log.read()]

    assert repr(found) == repr(FACTS)
    assert isinstance(found[4][0][0], UnknownFact)
    log.close()


def test_an_independent_reader_agrees(store: Path) -> None:
    done = subprocess.run([sys.executable, HERE / "reader.py", store], capture_output=True, check=True, text=True)

    found = json.loads(done.stdout)

    assert found["root"] == EXPECTED["root"]
    expected = [{**record, "events": [event[:6] for event in record["events"]]} for record in EXPECTED["records"]]
    assert found["records"] == expected


def test_the_independent_reader_is_short_and_shares_no_code() -> None:
    text = (HERE / "reader.py").read_text()
    imports = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name) or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }

    assert len(text.splitlines()) < 100
    assert {name.split(".")[0] for name in imports} <= sys.stdlib_module_names | {"pyarrow", "msgspec"}


def test_the_golden_store_can_be_written_on(store: Path) -> None:
    log = LocalLog(store)
    last = records()[-1]

    header = msgspec.structs.replace(last.header, commit=last.header.commit + 1, first_seq=last.end_seq)
    with log.exclusive():
        log.append(log.head(), [Record(header, [msgspec.structs.replace(last.events[0], prev=None)])])
    log.seal()

    assert list(log.read())[:-1] == records()
    assert log.verify().ok
    log.close()
