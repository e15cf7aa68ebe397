"""Segments: what they hold, how they are read, merged and swept, and that no bit of them may differ."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stratalog.eventlog.commit import Record, encode_record, leaf_hash, tree_root
from stratalog.eventlog.errors import CorruptLogError
from stratalog.eventlog.files import LOCAL_FILES
from stratalog.eventlog.folder import Listing, SegmentName, cover, list_log
from stratalog.eventlog.merge import choose, merge_once, merge_segments, sweep
from stratalog.eventlog.segment import (
    SCHEMA,
    OpenSegment,
    SegmentWriter,
    read_records,
    read_table,
    verify_segment,
    write_segment,
)
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.tree import TreeRoot
from tests.eventlog.records import history, make_record, random_record

LOG_ID = uuid.UUID(int=77)
SMALL = LogSettings(row_group_rows=7, row_group_bytes=4000, page_bytes=200, merge_count=3, grace_s=0.0)


def random_history(seed: int, count: int = 60) -> list[Record]:
    rng = random.Random(seed)
    records: list[Record] = []
    for number in range(count):
        records.append(random_record(rng, number, records[-1].end_seq if records else 1, number))
    return records


def write(folder: Path, records: list[Record], settings: LogSettings = SMALL) -> SegmentName:
    return write_segment(LOCAL_FILES, str(folder), LOG_ID, records, settings)


@pytest.mark.parametrize("settings", [SMALL, LogSettings()])
@pytest.mark.parametrize("seed", range(4))
def test_records_come_back_byte_for_byte(tmp_path: Path, seed: int, settings: LogSettings) -> None:
    records = random_history(seed)

    name = write(tmp_path, records, settings)

    path = str(tmp_path / name.file)
    assert name.file == "00000000000000000000-00000000000000000060-0.parquet"
    assert [encode_record(r) for r in read_records(path)] == [encode_record(r) for r in records]
    assert list(read_records(path, 10, 30)) == records[10:30]
    assert list(read_records(path, 59)) == records[59:]
    assert list(read_records(path, 60)) == []


def test_a_record_may_span_row_groups(tmp_path: Path) -> None:
    records = [make_record(0, 1), make_record(1, 2, events=50), make_record(2, 52, events=3)]

    path = str(tmp_path / write(tmp_path, records).file)

    assert pq.ParquetFile(path).metadata.num_row_groups > 5
    assert list(read_records(path)) == records
    assert list(read_records(path, 1, 2)) == records[1:2]


def test_the_table_has_one_row_an_event(tmp_path: Path) -> None:
    records = random_history(9)
    path = str(tmp_path / write(tmp_path, records).file)

    table = read_table(path)

    assert table.schema.equals(SCHEMA, check_metadata=False)
    assert table.column("seq").to_pylist() == list(range(1, records[-1].end_seq))
    events = [event for record in records for event in record.events]
    for name in ("kind", "version", "subject_kind", "subject_id", "prev", "payload"):
        assert table.column(name).to_pylist() == [getattr(event, name) for event in events]
    assert read_table(path, ["seq", "actor"]).column_names == ["seq", "actor"]


def test_a_segment_tells_its_range_root_and_log(tmp_path: Path) -> None:
    records = random_history(3)[20:]
    path = str(tmp_path / write(tmp_path, records).file)

    info = verify_segment(path)

    assert (info.log_id, info.start, info.stop) == (LOG_ID, 20, 60)
    assert (info.first_seq, info.end_seq) == (records[0].header.first_seq, records[-1].end_seq)
    assert info.root == tree_root([leaf_hash(record) for record in records])
    assert info.last_time_us == records[-1].header.time_us


def test_pages_are_compressed_and_small(tmp_path: Path) -> None:
    records = history(5000)

    path = tmp_path / write(tmp_path, records, LogSettings()).file

    assert path.stat().st_size / 5000 < 40


@pytest.mark.parametrize("seed", range(3))
def test_every_flipped_bit_is_found(tmp_path: Path, seed: int) -> None:
    path = tmp_path / write(tmp_path, random_history(seed, 12)).file
    whole = path.read_bytes()
    rng = random.Random(seed)

    for place in sorted({*rng.sample(range(len(whole)), 150), 0, len(whole) - 1, len(whole) - 6}):
        data = bytearray(whole)
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises(CorruptLogError):
            verify_segment(str(path))
    path.write_bytes(whole)
    verify_segment(str(path))


def test_a_flipped_bit_in_a_page_is_an_error_on_reading(tmp_path: Path) -> None:
    name = write(tmp_path, history(400, size=100), LogSettings())
    path = tmp_path / name.file
    whole = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(0).column(SCHEMA.get_field_index("payload"))
    data = bytearray(whole)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 16
    path.write_bytes(data)

    with pytest.raises(CorruptLogError, match=name.file):
        list(read_records(str(path)))


def test_a_cut_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / write(tmp_path, history(20)).file
    whole = path.read_bytes()

    for size in (0, 3, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptLogError):
            list(read_records(str(path)))


def test_a_segment_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter(LOCAL_FILES, str(tmp_path), SMALL)

    writer.close()

    assert list(tmp_path.iterdir()) == []


def test_of_the_segments_at_a_position_the_longest_is_read() -> None:
    parts = [
        SegmentName(0, 4, 0),
        SegmentName(4, 8, 0),
        SegmentName(0, 8, 0),
        SegmentName(8, 9, 0),
        SegmentName(8, 9, 1),
    ]
    listing = Listing(parts, [9], [])

    assert listing.segment_at(0) == SegmentName(0, 8, 0)
    assert listing.segment_at(5) == SegmentName(0, 8, 0)
    assert listing.segment_at(8) == SegmentName(8, 9, 1)
    assert cover(parts, 9) is None
    assert listing.journal_at(12) == 9


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([], None),
        ([1, 1], None),
        ([1, 1, 1], (0, 3)),
        ([9000, 1, 1, 1], (1, 4)),
        ([9000, 1, 9000, 1, 1], None),
        ([9000, 1, 9000, 1, 9000], (0, 5)),
        ([1, 1, 9000, 1, 1], None),
        ([300_000, 300_000, 300_000], (0, 3)),
        ([600_000, 600_000, 600_000], None),
        ([450_000, 450_000, 450_000], (0, 2)),
    ],
)
def test_neighbours_of_one_level_are_merged(sizes: list[int], chosen: tuple[int, int] | None) -> None:
    settings = LogSettings(merge_count=3, merge_bytes=1_000_000, merge_level_bytes=1000)

    assert choose(sizes, settings) == chosen


def test_a_merged_segment_holds_all_records_and_their_root(tmp_path: Path) -> None:
    records = random_history(5)
    names = [write(tmp_path, records[a:b]) for a, b in ((0, 10), (10, 11), (11, 40), (40, 60))]

    merged = merge_segments(LOCAL_FILES, str(tmp_path), LOG_ID, names, SMALL)

    path = str(tmp_path / merged.file)
    assert list(read_records(path)) == records
    assert verify_segment(path).root == tree_root([leaf_hash(record) for record in records])
    with OpenSegment(LOCAL_FILES, path) as segment:
        assert all(group.num_rows <= 7 for group in segment.row_groups())


def test_merging_segments_with_a_gap_between_is_refused(tmp_path: Path) -> None:
    records = random_history(5)
    names = [write(tmp_path, records[a:b]) for a, b in ((0, 10), (11, 40))]

    with pytest.raises(CorruptLogError, match="does not follow commit 9"):
        merge_segments(LOCAL_FILES, str(tmp_path), LOG_ID, names, SMALL)

    assert len(list(tmp_path.iterdir())) == 2


def test_covered_segments_and_half_made_files_are_swept_after_the_grace(tmp_path: Path) -> None:
    records = random_history(5)
    for first in (0, 20, 40):
        write(tmp_path, records[first : first + 20])
    assert merge_once(LOCAL_FILES, str(tmp_path), LOG_ID, SMALL) == SegmentName(0, 60, 0)
    (tmp_path / ".segment.parquet.1.2.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")

    assert sweep(LOCAL_FILES, str(tmp_path), LogSettings(grace_s=1000)) == 0
    assert sweep(LOCAL_FILES, str(tmp_path), SMALL) == 4

    assert list_log(LOCAL_FILES, str(tmp_path)) == Listing([SegmentName(0, 60, 0)], [], [])
    assert (tmp_path / "notes.txt").exists()


def test_a_file_that_is_being_made_is_never_swept(tmp_path: Path) -> None:
    writer = SegmentWriter(LOCAL_FILES, str(tmp_path), SMALL)

    assert sweep(LOCAL_FILES, str(tmp_path), SMALL) == 0

    assert len(list(tmp_path.iterdir())) == 1
    writer.close()


def test_the_root_grows_leaf_by_leaf() -> None:
    leaves = [bytes([number]) * 32 for number in range(40)]
    tree = TreeRoot()

    for count, leaf in enumerate(leaves):
        assert tree.root() == tree_root(leaves[:count])
        tree.add(leaf)
