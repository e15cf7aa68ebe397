"""The log in a folder: opening, errors, several writers, upkeep, verification."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stratalog.eventlog.commit import Record, check_sequence
from stratalog.eventlog.errors import (
    CorruptLogError,
    ErrorCode,
    InvalidInputError,
    NotFoundError,
    StorageError,
    StoreError,
)
from stratalog.eventlog.files import LocalFiles
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.stores.local import LocalLog
from stratalog.testing.log_contract import append_all
from stratalog.testing.simulated_files import CrashFiles, SimulatedFiles, Stopped
from tests.eventlog.records import history, make_record, random_record

SMALL = LogSettings(
    grow_bytes=512,
    rotate_bytes=3000,
    rotate_events=8,
    direct_segment_bytes=5000,
    row_group_rows=10,
    merge_count=3,
    grace_s=0.0,
)


def raised_code(path: Path | str, **options: Any) -> ErrorCode:
    with pytest.raises(StoreError) as raised:
        LocalLog(path, **options)
    assert str(path) in raised.value.message
    assert raised.value.hint
    return raised.value.code


def read_code(path: Path) -> ErrorCode:
    log = LocalLog(path)
    try:
        with pytest.raises(CorruptLogError) as raised:
            list(log.read())
        return raised.value.code
    finally:
        log.close()


def make_store(path: Path, records: list[Record], *, seal_every: int = 0) -> None:
    log = LocalLog(path, settings=SMALL)
    for number, record in enumerate(records, 1):
        append_all(log, [record])
        if seal_every and number % seal_every == 0:
            log.seal()
    log.close()


def files_of(path: Path, ending: str) -> list[Path]:
    return sorted((path / "log").glob(f"*{ending}"))


# --- opening -------------------------------------------------------------------------------------------------------


def test_a_new_store_has_an_identity_that_lasts(tmp_path: Path) -> None:
    first = LocalLog(tmp_path / "a" / "b")
    first.close()

    again = LocalLog(tmp_path / "a" / "b", create=False)

    assert again.log_id == first.log_id
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["FORMAT", "lock", "log"]
    again.close()


def test_where_no_store_is_none_is_found(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert raised_code(tmp_path / "nothing", create=False) is ErrorCode.STORE_NOT_FOUND
    assert raised_code(tmp_path / "empty", create=False) is ErrorCode.STORE_NOT_FOUND
    assert raised_code(tmp_path / "empty", read_only=True) is ErrorCode.STORE_NOT_FOUND
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(NotFoundError):
        LocalLog(tmp_path / "nothing", create=False)


def test_a_folder_with_other_things_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("important")

    with pytest.raises(StorageError, match=r"thesis\.tex") as raised:
        LocalLog(tmp_path)

    assert raised.value.code is ErrorCode.NOT_A_STORE
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")

    assert raised_code(tmp_path / "file") is ErrorCode.NOT_A_STORE


def test_a_store_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    make_store(tmp_path, history(1))
    (tmp_path / "FORMAT").write_text("stratalog format 2\nwhatever comes\n")

    assert raised_code(tmp_path) is ErrorCode.FORMAT_TOO_NEW


@pytest.mark.parametrize("byte", range(0, 78, 7))
def test_a_damaged_format_file_is_noticed(tmp_path: Path, byte: int) -> None:
    make_store(tmp_path, history(1))
    data = bytearray((tmp_path / "FORMAT").read_bytes())
    data[byte] ^= 1
    (tmp_path / "FORMAT").write_bytes(data)

    assert raised_code(tmp_path) in (ErrorCode.NOT_A_STORE, ErrorCode.FORMAT_TOO_NEW)


def test_a_log_without_its_format_file_is_not_taken_for_a_new_store(tmp_path: Path) -> None:
    make_store(tmp_path, history(3))
    (tmp_path / "FORMAT").unlink()

    assert raised_code(tmp_path) is ErrorCode.NOT_A_STORE


def test_missing_files_are_named(tmp_path: Path) -> None:
    make_store(tmp_path, history(12), seal_every=4)
    files_of(tmp_path, ".parquet")[1].unlink()

    with pytest.raises(CorruptLogError, match="no file holds commits 4 to 7") as raised:
        list(LocalLog(tmp_path).read())

    assert raised.value.code is ErrorCode.MISSING_FILE
    assert list(LocalLog(tmp_path).read(8)) == history(12)[8:]


def test_a_missing_journal_is_an_error_for_readers_and_writers(tmp_path: Path) -> None:
    make_store(tmp_path, history(4), seal_every=4)
    files_of(tmp_path, ".journal")[0].unlink()

    assert read_code(tmp_path) is ErrorCode.MISSING_FILE
    log = LocalLog(tmp_path)
    with log.exclusive(), pytest.raises(CorruptLogError) as raised:
        log.head()
    assert raised.value.code is ErrorCode.MISSING_FILE
    with pytest.raises(CorruptLogError):
        log.head()


def test_a_missing_log_folder_is_an_error(tmp_path: Path) -> None:
    make_store(tmp_path, [])
    files_of(tmp_path, ".journal")[0].unlink()
    (tmp_path / "log").rmdir()

    assert raised_code(tmp_path) is ErrorCode.MISSING_FILE


def test_a_damaged_end_frame_keeps_a_journal_from_being_sealed(tmp_path: Path) -> None:
    make_store(tmp_path, history(20))
    path = files_of(tmp_path, ".journal")[0]
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[:-1] + b"\xc1")

    log = LocalLog(tmp_path)
    assert list(log.read()) == history(20)
    assert {problem.file for problem in log.verify().problems} == {path.name}
    with pytest.raises(CorruptLogError, match="without an END frame"):
        log.seal()
    assert path.exists()
    log.close()


def test_a_frozen_journal_that_lost_its_end_is_an_error(tmp_path: Path) -> None:
    make_store(tmp_path, history(20))
    path = files_of(tmp_path, ".journal")[0]
    data = path.read_bytes()
    path.write_bytes(data[:500])

    assert read_code(tmp_path) is ErrorCode.CORRUPT_LOG


@pytest.mark.parametrize("stop_at", range(14))
def test_a_store_that_was_left_half_made_is_finished_by_the_next(tmp_path: Path, stop_at: int) -> None:
    try:
        LocalLog(tmp_path / "store", files=CrashFiles(LocalFiles(), stop_at)).close()
    except Stopped:
        assert stop_at < 16

    log = LocalLog(tmp_path / "store")

    append_all(log, history(3))
    assert list(log.read()) == history(3)
    log.close()


# --- stops before each change --------------------------------------------------------------------------------------


def scripted_life(path: Path, files: CrashFiles, acknowledged: list[Record]) -> None:
    """Commits, rotations, a direct segment, seals, a merge and a sweep."""
    log = LocalLog(path, files=files, settings=SMALL)
    seq = 1
    for number in range(8):
        record = make_record(number, seq, number=number, events=30 if number == 5 else 5, size=200)
        seq = record.end_seq
        append_all(log, [record])
        acknowledged.append(record)
        if number % 3 == 2:
            log.seal()
    log.merge()
    log.sweep()
    log.close()


def test_a_stop_before_any_change_loses_nothing(tmp_path: Path) -> None:
    counting = CrashFiles(LocalFiles())
    everything: list[Record] = []
    scripted_life(tmp_path / "whole", counting, everything)

    for stop_at in range(counting.changes):
        acknowledged: list[Record] = []
        path = tmp_path / f"stopped-{stop_at}"
        with pytest.raises(Stopped):
            scripted_life(path, CrashFiles(LocalFiles(), stop_at), acknowledged)

        log = LocalLog(path, settings=SMALL)
        shown = list(log.read())
        assert shown in (acknowledged, everything[: len(acknowledged) + 1])
        append_all(log, everything[len(shown) : len(shown) + 1])
        log.seal()
        assert list(log.read()) == everything[: len(shown) + 1]
        log.close()


# --- writing -------------------------------------------------------------------------------------------------------


def test_two_writers_see_one_another(tmp_path: Path) -> None:
    one, two = LocalLog(tmp_path, settings=SMALL), LocalLog(tmp_path, settings=SMALL)
    records = history(40)

    for number, record in enumerate(records):
        log = (one, two)[number % 3 == 0]
        with log.exclusive():
            assert log.head() == number
            log.append(number, [record])
        log.sync()
        if number % 15 == 14:
            two.seal()

    assert list(one.read()) == list(two.read()) == records
    one.close()
    two.close()


class CountingFiles(LocalFiles):
    def __init__(self) -> None:
        self.reads = 0
        self.syncs = 0

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        self.reads += 1
        return super().pread(descriptor, size, offset)

    def sync_data(self, descriptor: int) -> None:
        self.syncs += 1
        super().sync_data(descriptor)


def test_catching_up_costs_one_read_and_is_not_repeated(tmp_path: Path) -> None:
    files = CountingFiles()
    log, other = LocalLog(tmp_path, files=files), LocalLog(tmp_path)
    append_all(log, history(1))
    files.reads = 0

    with log.exclusive():
        log.head()
        log.head()
    assert files.reads == 1

    append_all(other, history(3)[1:])
    files.reads = 0
    with log.exclusive():
        assert log.head() == 3
        assert list(log.read(1)) == history(3)[1:]
        assert list(log.read(2)) == history(3)[2:]
        assert list(log.read(1, 2)) == history(3)[1:2]
    assert files.reads == 2

    append_all(other, history(4)[3:])
    with log.exclusive():
        assert log.head() == 4
        assert list(log.read(0)) == history(4)
    log.close()
    other.close()


def test_one_sync_makes_everything_before_it_durable(tmp_path: Path) -> None:
    files = CountingFiles()
    log = LocalLog(tmp_path, files=files)
    with log.exclusive():
        log.append(0, history(5))
    assert log.durable() == 0
    files.syncs = 0

    log.sync()
    log.sync()

    assert log.durable() == 5
    assert files.syncs == 1
    log.close()


class FailingReads(CountingFiles):
    def __init__(self) -> None:
        super().__init__()
        self.is_failing = False

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        if self.is_failing:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().pread(descriptor, size, offset)


def test_a_failure_to_catch_up_does_not_forget_what_waits_for_its_sync(tmp_path: Path) -> None:
    files = FailingReads()
    log = LocalLog(tmp_path, files=files)
    append_all(log, history(1))
    with log.exclusive():
        log.append(1, history(2)[1:])
    files.is_failing, files.syncs = True, 0
    with log.exclusive(), pytest.raises(StorageError, match="Too many open files"):
        log.head()
    assert log.durable() == 1

    log.sync()

    assert files.syncs == 1
    assert log.durable() == 2
    files.is_failing = False
    append_all(log, history(3)[2:])
    assert list(log.read()) == history(3)
    log.close()


def test_in_group_durability_a_sync_comes_soon_and_not_at_once(tmp_path: Path) -> None:
    files = CountingFiles()
    log = LocalLog(tmp_path, files=files, durability="group", group_ms=50)
    append_all(log, history(1))
    files.syncs = 0

    for record in history(30)[1:]:
        append_all(log, [record])
    assert files.syncs < 15
    deadline = time.monotonic() + 10
    while log.durable() < 30 and time.monotonic() < deadline:
        time.sleep(0.005)

    assert log.durable() == 30
    with log.exclusive():
        log.append(30, history(31)[30:])
    log.sync()
    log.close()
    assert log.durable() == 31


def test_only_known_durabilities_are_taken(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="'later'"):
        LocalLog(tmp_path, durability="later")  # type: ignore[arg-type]


def test_a_large_record_becomes_a_segment_at_once(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, settings=SMALL)
    records = [make_record(0, 1), make_record(1, 2, events=60, size=100), make_record(2, 62)]

    for record in records:
        with log.exclusive():
            log.append(log.head(), [record])
        assert log.durable() >= record.header.commit

    assert [(s.start, s.stop) for s in log.segments(1)] == [(1, 2)]
    assert list(log.read()) == records
    assert list(LocalLog(tmp_path).read()) == records
    log.close()


def test_an_append_outside_the_lock_or_with_wrong_numbers_is_refused(tmp_path: Path) -> None:
    log = LocalLog(tmp_path)
    append_all(log, history(2))

    with pytest.raises(InvalidInputError, match="exclusive"):
        log.append(2, history(3)[2:])
    for wrong in (make_record(3, 3), make_record(2, 4), make_record(2, 3, events=0)):
        with log.exclusive(), pytest.raises(InvalidInputError, match="expected commit 2, first seq 3"):
            log.append(2, [wrong])

    append_all(log, history(3)[2:])
    assert list(log.read()) == history(3)
    log.close()


def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = LocalLog(tmp_path)
    append_all(log, history(1))
    log.close()
    log.close()

    for call in (log.head, log.read, log.segments, log.sync, log.seal, log.merge, log.sweep, log.verify, log.stats):
        with pytest.raises(InvalidInputError) as raised:
            call()
        assert raised.value.code is ErrorCode.STORE_CLOSED
    with pytest.raises(InvalidInputError), log.exclusive():
        pass


def test_a_forked_child_writes_beside_its_parent(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, settings=SMALL)
    append_all(log, history(3))
    assert log.head() == 3

    with log.exclusive():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                # Waits until the parent has left its block: the lock is not shared.
                append_all(log, history(5)[4:])
                status = 0 if list(log.read()) == history(5) else 2
                log.close()
            finally:
                os._exit(status)
        time.sleep(0.1)
        assert log.head() == 3
        log.append(3, history(4)[3:])
    log.sync()
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert list(log.read()) == history(5)
    with log.exclusive():
        assert log.head() == 5
    log.close()


def test_appending_and_reading_a_journal_needs_no_pyarrow(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from stratalog.eventlog.stores.local import LocalLog\n"
        "from stratalog.testing.log_contract import contract_records, append_all\n"
        "log = LocalLog(sys.argv[1])\n"
        "append_all(log, contract_records([1, 2, 3]))\n"
        "assert len(list(log.read())) == log.head() == 3\n"
        "log.close()\n"
        "assert 'pyarrow' not in sys.modules and 'numpy' not in sys.modules\n"
    )

    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )


# --- reading only --------------------------------------------------------------------------------------------------


def test_a_log_that_is_open_for_reading_follows_but_never_writes(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, settings=SMALL)
    reader = LocalLog(tmp_path, read_only=True)
    assert reader.is_read_only

    for stop in (1, 3, 9, 10, 30):
        append_all(log, history(stop)[log.head() :])
        assert reader.head() == stop
        assert list(reader.read(stop - 1)) == history(stop)[stop - 1 :]
    log.seal()
    assert list(reader.read()) == history(30)

    reader.sync()
    for call in (lambda: reader.exclusive().__enter__(), reader.seal, reader.merge, reader.sweep):
        with pytest.raises(InvalidInputError) as raised:
            call()
        assert raised.value.code is ErrorCode.READ_ONLY
    reader.close()
    log.close()


class ReadOnlyDisk(LocalFiles):
    def open(self, path: str, flags: int) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return super().open(path, flags)


def test_a_folder_that_cannot_be_written_is_opened_for_reading(tmp_path: Path) -> None:
    make_store(tmp_path / "store", history(3))

    log = LocalLog(tmp_path / "store", files=ReadOnlyDisk())

    assert log.is_read_only
    assert list(log.read()) == history(3)
    assert log.verify().ok
    log.close()
    (tmp_path / "new").mkdir()
    assert raised_code(tmp_path / "new", files=ReadOnlyDisk()) is ErrorCode.PERMISSION_DENIED


# --- a failing disk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("sync_data", errno.EIO, ErrorCode.SYNC_FAILED),
        ("pwrite", errno.EIO, ErrorCode.STORAGE_FAILED),
        ("pwrite", errno.ENOSPC, ErrorCode.DISK_FULL),
        ("pwrite", errno.EDQUOT, ErrorCode.DISK_FULL),
        ("pwrite", errno.EROFS, ErrorCode.PERMISSION_DENIED),
    ],
)
def test_after_a_failed_write_or_sync_nothing_more_is_acknowledged(call: str, number: int, code: ErrorCode) -> None:
    files = SimulatedFiles(random.Random(3))
    log = LocalLog("/store", files=files, settings=SMALL)
    append_all(log, history(3))
    files.failing[call] = (1, number)

    with pytest.raises(StorageError) as raised:
        append_all(log, history(4)[3:])
    assert raised.value.code is code

    for _ in range(2):
        with pytest.raises(StorageError) as again, log.exclusive():
            pass
        assert again.value.code is ErrorCode.WRITER_DEAD
        assert raised.value.message in again.value.message
        with pytest.raises(StorageError):
            log.sync()
    assert list(log.read())[:3] == history(3)
    log.close()
    reopened = LocalLog("/store", files=files, settings=SMALL)
    append_all(reopened, history(6)[reopened.head() :])
    assert list(reopened.read()) == history(6)


def test_a_full_disk_stops_the_writer_and_another_goes_on_when_there_is_room() -> None:
    files = SimulatedFiles(random.Random(5))
    log = LocalLog("/store", files=files, settings=SMALL)
    files.capacity = 6000

    with pytest.raises(StorageError) as raised:
        append_all(log, history(200, size=100))

    acknowledged = log.head()
    assert raised.value.code is ErrorCode.DISK_FULL
    assert 5 < acknowledged < 100
    assert list(log.read()) == history(acknowledged, size=100)
    files.capacity = None
    reopened = LocalLog("/store", files=files, settings=SMALL)
    append_all(reopened, history(200, size=100)[acknowledged:])
    assert list(reopened.read()) == history(200, size=100)


def test_a_seal_that_fails_leaves_the_log_as_it_was() -> None:
    files = SimulatedFiles(random.Random(5))
    log = LocalLog("/store", files=files, settings=SMALL)
    append_all(log, history(30))

    for call in ("sync_all", "rename", "sync_directory", "pwrite"):
        files.failing[call] = (1, errno.EIO)
        with pytest.raises(StorageError):
            log.seal(rotate=False)
        assert list(log.read()) == history(30)
    log.seal()

    assert list(log.read()) == history(30)
    assert log.verify().ok


# --- upkeep --------------------------------------------------------------------------------------------------------


def test_sealing_twice_changes_nothing(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, settings=SMALL)
    append_all(log, history(30))

    assert log.seal(rotate=False) == 3
    assert log.seal() == 1
    names = sorted(os.listdir(tmp_path / "log"))
    assert log.seal() == 0

    assert sorted(os.listdir(tmp_path / "log")) == names
    assert list(log.read()) == history(30)
    stats = log.stats()
    assert (stats.commits, stats.sealed_commits, stats.segments, stats.journals) == (30, 30, 4, 1)
    log.close()


def test_merging_and_sweeping_keep_every_record(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, settings=SMALL)
    append_all(log, history(100))
    log.seal()
    before = log.verify()

    assert log.merge() > 0
    assert log.stats().covered_segments > 0
    assert list(log.read()) == history(100)
    assert log.sweep() > 0

    after = log.verify()
    assert after.ok
    assert after.root == before.root
    assert after.segments < before.segments
    assert list(log.read()) == history(100)
    assert log.merge() == log.sweep() == 0
    log.close()


def test_readers_see_each_commit_once_while_files_are_sealed_merged_and_swept(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, settings=SMALL)
    records = history(150)
    append_all(log, records[:10])
    is_done = threading.Event()
    failures: list[BaseException] = []

    def keep_up() -> None:
        # The sweep must not be quicker than a writer between making a file and giving it its name.
        upkeep = LocalLog(tmp_path, settings=msgspec.structs.replace(SMALL, grace_s=1.0))
        try:
            while not is_done.is_set():
                upkeep.seal()
                upkeep.merge()
                upkeep.sweep()
        except BaseException as error:
            failures.append(error)
        upkeep.close()

    thread = threading.Thread(target=keep_up)
    thread.start()
    reader = LocalLog(tmp_path, read_only=True)
    for record in records[10:]:
        append_all(log, [record])
        shown = list(check_sequence(reader.read(), commit=0, seq=1))
        assert shown == records[: record.header.commit + 1]
    is_done.set()
    thread.join()

    assert failures == []
    reader.close()
    log.close()


# --- verification --------------------------------------------------------------------------------------------------


def mixed_store(path: Path, seed: int) -> list[Record]:
    rng = random.Random(seed)
    log = LocalLog(path, settings=SMALL)
    records: list[Record] = []
    for number in range(30):
        records.append(random_record(rng, number, records[-1].end_seq if records else 1, number))
        append_all(log, records[-1:])
        if number == 15:
            log.seal()
    log.close()
    return records


def test_verify_counts_what_is_there(tmp_path: Path) -> None:
    records = mixed_store(tmp_path, 1)
    log = LocalLog(tmp_path)
    seen: list[int] = []

    report = log.verify(seen.append)

    events = [event for record in records for event in record.events]
    assert report.ok
    assert (report.commits, report.events) == (30, len(events))
    assert report.unknown_kinds == {"novelty_seen": sum(event.kind == "novelty_seen" for event in events)}
    assert sum(report.kinds.values()) == len(events)
    assert report.last_time_us == records[-1].header.time_us
    log.close()


def test_verify_finds_a_flipped_bit_anywhere_and_names_the_file(tmp_path: Path) -> None:
    mixed_store(tmp_path, 2)
    rng = random.Random(2)
    paths = sorted((tmp_path / "log").iterdir())
    assert {path.suffix for path in paths} == {".parquet", ".journal"}

    for path in paths:
        whole = path.read_bytes()
        for place in rng.sample(range(len(whole)), 12):
            data = bytearray(whole)
            data[place] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            log = LocalLog(tmp_path)
            report = log.verify()
            log.close()
            assert path.name in {problem.file for problem in report.problems}, (path.name, place)
        path.write_bytes(whole)


def test_verify_names_a_missing_range_and_goes_on(tmp_path: Path) -> None:
    make_store(tmp_path, history(12), seal_every=4)
    files_of(tmp_path, ".parquet")[1].unlink()
    log = LocalLog(tmp_path)

    report = log.verify()

    assert [(problem.commit, problem.code) for problem in report.problems] == [(4, ErrorCode.MISSING_FILE)]
    assert report.commits == 8
    log.close()


def test_verify_notices_time_that_goes_back_and_links_to_the_future(tmp_path: Path) -> None:
    import msgspec

    log = LocalLog(tmp_path)
    first, second = history(2)
    backwards = msgspec.structs.replace(second.header, time_us=first.header.time_us - 1)
    ahead = msgspec.structs.replace(second.events[0], prev=2)
    append_all(log, [first, Record(backwards, [ahead])])

    report = log.verify()

    assert [problem.commit for problem in report.problems] == [1, 1]
    assert "µs" in report.problems[0].message
    assert "replaces seq 2" in report.problems[1].message
    log.close()
