"""docs/format.md says what the code does: every name on disk stands there, in its order."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from stratalog.eventlog import journal
from stratalog.eventlog.commit import Header
from stratalog.eventlog.events import SPECS, ArtifactState, Event, ExecutionState, LinkType, PropertyType
from stratalog.eventlog.folder import FORMAT
from stratalog.eventlog.segment import SCHEMA, SEAL_BYTES, SEAL_MAGIC, SegmentInfo

TEXT = (Path(__file__).parents[2] / "docs" / "format.md").read_text()


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def numbered(text: str) -> list[str]:
    return re.findall(r"^\| \d+ \| `(\w+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize("fact", SPECS, ids=lambda fact: fact.__name__)
def test_each_kind_stands_there_with_its_fields_in_order(fact: type[msgspec.Struct]) -> None:
    spec = SPECS[fact]
    (row,) = re.findall(rf"^\| `{spec.kind}`, {spec.version} \| (.*) \| (.*) \|$", section("Events"), re.MULTILINE)

    assert re.findall(r"`(\w+)`", row[1]) == list(fact.__struct_fields__)


def test_headers_and_events_stand_there_with_their_fields_in_order() -> None:
    assert numbered(section("Records")) == [*Header.__struct_fields__, *Event.__struct_fields__]


def test_the_columns_of_a_segment_and_its_metadata_stand_there() -> None:
    text = section("Segments")
    metadata = SegmentInfo.metadata(SegmentInfo(None, 0, 0, 0, 0, 0, b"", ""))  # type: ignore[arg-type]

    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == SCHEMA.names
    assert set(re.findall(r"`(stratalog\.\w+)`", text)) == set(metadata)
    assert f"`{SEAL_MAGIC.decode()}`" in text
    assert f"stand {SEAL_BYTES} bytes" in text


def test_the_numbers_of_states_and_types_stand_there() -> None:
    text = " ".join(section("Events").split())

    for words in (ArtifactState, ExecutionState, LinkType, PropertyType):
        assert ", ".join(f"{word.value} {word.name}" for word in words) in text


def test_magic_numbers_stand_there() -> None:
    assert f"stratalog format {FORMAT}\n" in section("The folder")
    assert f"`{journal.MAGIC.decode()}`" in section("Journals")
    assert f"kind: {journal.COMMIT_FRAME} a commit, {journal.END_FRAME} END" in section("Journals")
    assert journal.BODY_BYTES_MAX == 2**30
