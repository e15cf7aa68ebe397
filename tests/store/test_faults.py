"""Disks that fail, folders that are something else, bytes that changed: each with its own error, and nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stratalog.eventlog.errors import CODES, ErrorCode, StoreError
from stratalog.eventlog.events import Artifact
from stratalog.eventlog.files import Bytes, LocalFiles
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.stores.local import LocalLog
from stratalog.store.opening import clock_us, open_store
from stratalog.store.store import Store
from stratalog.store.upkeep import UpkeepSettings

NO_SEAL = UpkeepSettings(seal_at_close=False)


class BrokenFiles(LocalFiles):
    """The real file system, until `failing` names a call and what it shall say."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise OSError(self.failing[call], os.strerror(self.failing[call]))

    def pwrite(self, descriptor: int, data: Bytes, offset: int) -> int:
        self._fail("pwrite")
        return super().pwrite(descriptor, data, offset)

    def sync_data(self, descriptor: int) -> None:
        self._fail("sync_data")
        super().sync_data(descriptor)

    def sync_all(self, descriptor: int) -> None:
        self._fail("sync_all")
        super().sync_all(descriptor)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        self._fail("pread")
        return super().pread(descriptor, size, offset)

    def rename(self, source: str, target: str) -> None:
        self._fail("rename")
        super().rename(source, target)


def open_broken(path: Path, files: BrokenFiles, settings: LogSettings | None = None) -> Store:
    return Store(
        lambda: LocalLog(path, files=files, settings=settings),
        path / "views",
        actor="tester",
        read_only=False,
        clock_us=clock_us,
        upkeep=NO_SEAL,
    )


def refused(call: Callable[[], object], code: ErrorCode, *parts: str) -> StoreError:
    """The error of a call that must fail."""
    with pytest.raises(StoreError) as caught:
        call()
    error = caught.value
    assert error.code == code, error
    assert type(error) is CODES[code].error_class
    assert error.hint, error.message
    for part in parts:
        assert part in error.message, error.message
    return error


def put(store: Store, name: str) -> int:
    return store.put_artifacts([Artifact(type_id=1, name=name)]).id


def names(store: Store) -> list[str | None]:
    return [node.name for node in store.get_artifacts()]


# ---- disks


@pytest.mark.parametrize(
    ("call", "number", "code", "settings"),
    [
        ("pwrite", errno.ENOSPC, ErrorCode.DISK_FULL, None),
        ("pwrite", errno.EDQUOT, ErrorCode.DISK_FULL, None),
        ("pwrite", errno.EIO, ErrorCode.STORAGE_FAILED, None),
        ("sync_data", errno.EIO, ErrorCode.SYNC_FAILED, None),
        ("sync_data", errno.ENOSPC, ErrorCode.DISK_FULL, None),
        ("rename", errno.EIO, ErrorCode.STORAGE_FAILED, LogSettings(rotate_events=1)),
        ("sync_all", errno.EIO, ErrorCode.STORAGE_FAILED, LogSettings(direct_segment_bytes=1)),
    ],
)
def test_a_disk_that_fails_under_a_write_ends_the_writer_and_loses_nothing(
    tmp_path: Path, call: str, number: int, code: ErrorCode, settings: LogSettings | None
) -> None:
    files = BrokenFiles()
    store = open_broken(tmp_path / "s", files, settings)
    put(store, "acknowledged")
    files.failing = {call: number}

    refused(lambda: put(store, "refused"), code)
    files.failing = {}

    dead = refused(lambda: put(store, "later"), ErrorCode.WRITER_DEAD)
    assert "open it again" in (dead.hint or "")
    assert names(store) == ["acknowledged"]
    assert store.find("artifact").ids() == [1]
    store.close()
    with open_store(tmp_path / "s") as again:
        assert names(again) in (["acknowledged"], ["acknowledged", "refused"])
        assert put(again, "after") == len(names(again))
        assert again.verify().ok


def test_a_disk_that_cannot_be_read_is_said_to_be_so_and_may_recover(tmp_path: Path) -> None:
    files = BrokenFiles()
    store = open_broken(tmp_path / "s", files)
    put(store, "a")
    files.failing = {"pread": errno.EIO}

    refused(store.get_artifacts, ErrorCode.STORAGE_FAILED)
    files.failing = {}

    assert names(store) == ["a"]
    store.close()


def test_upkeep_that_fails_is_told_of_and_costs_nothing(tmp_path: Path) -> None:
    files = BrokenFiles()
    store = open_broken(tmp_path / "s", files)
    put(store, "a")
    files.failing = {"sync_all": errno.EIO}

    refused(store.seal, ErrorCode.STORAGE_FAILED)
    assert store._upkeep is not None
    store._upkeep.run_quietly()
    assert isinstance(store.last_upkeep_error, StoreError)
    files.failing = {}

    assert names(store) == ["a"]
    store.close()
    with open_store(tmp_path / "s") as again:
        assert names(again) == ["a"]
        again.seal()
        assert again.verify().ok


# ---- folders


def filled(path: Path, *, seal: bool) -> None:
    with open_store(path, upkeep=UpkeepSettings(seal_at_close=seal)) as store:
        put(store, "a")
        put(store, "b")


def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    refused(lambda: open_store(tmp_path), ErrorCode.NOT_A_STORE, str(tmp_path))
    refused(lambda: open_store(tmp_path / "notes.txt"), ErrorCode.NOT_A_STORE)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_store_that_is_not_there_is_made_only_if_it_may_be(tmp_path: Path) -> None:
    for options in ({"create": False}, {"read_only": True}):
        refused(lambda o=options: open_store(tmp_path / "s", **o), ErrorCode.STORE_NOT_FOUND, str(tmp_path))  # type: ignore[misc]
    assert not (tmp_path / "s").exists()
    with open_store(tmp_path / "deep" / "er" / "s") as store:
        assert store.head == 0


def test_a_store_of_a_newer_format_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(path, seal=False)
    text = (path / "FORMAT").read_text()
    (path / "FORMAT").write_text(text.replace("1", "9", 1))

    error = refused(lambda: open_store(path), ErrorCode.FORMAT_TOO_NEW)
    assert "release" in (error.hint or "")


@pytest.mark.parametrize("seal", [False, True])
def test_a_read_only_store_answers_everything_and_writes_nothing(tmp_path: Path, seal: bool) -> None:
    path = tmp_path / "s"
    filled(path, seal=seal)
    before = {file: file.stat().st_mtime_ns for file in sorted(path.rglob("*"))}

    with open_store(path, read_only=True) as store:
        assert names(store) == ["a", "b"]
        assert store.find("artifact", "name = 'b'").ids() == [2]
        assert [node.name for node in store.as_of(1).get_artifacts()] == ["a"]
        assert store.verify().ok
        refused(lambda: put(store, "c"), ErrorCode.READ_ONLY)
        refused(lambda: store.put_type("artifact", "T"), ErrorCode.READ_ONLY)
        with pytest.raises(StoreError) as caught:
            store.rebuild()
        assert caught.value.code == ErrorCode.READ_ONLY
        store.seal()
    assert {file: file.stat().st_mtime_ns for file in sorted(path.rglob("*"))} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_leave_to_write_is_opened_to_read(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(path, seal=True)
    for folder in (path, path / "log", path / "views"):
        folder.chmod(0o555)
    for file in path.rglob("*"):
        if file.is_file():
            file.chmod(0o444)
    try:
        with open_store(path) as store:
            assert names(store) == ["a", "b"]
            assert store.find("artifact").ids() == [1, 2]
            refused(lambda: put(store, "c"), ErrorCode.READ_ONLY)
    finally:
        for folder in (path, path / "log", path / "views"):
            folder.chmod(0o755)


# ---- bytes


def segment_of(path: Path) -> Path:
    (segment,) = (path / "log").glob("*.parquet")
    return segment


@pytest.mark.parametrize("what", ["missing", "flipped", "cut", "empty"])
def test_a_damaged_segment_is_found_by_whoever_reads_it(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s"
    filled(path, seal=True)
    segment = segment_of(path)
    content = segment.read_bytes()
    if what == "missing":
        segment.unlink()
    elif what == "flipped":
        segment.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    else:
        segment.write_bytes(content[: len(content) // 2] if what == "cut" else b"")
    shutil.rmtree(path / "views")

    def read() -> None:
        with open_store(path, read_only=True) as store:
            assert not store.verify().ok
            raise StoreError("verify saw it", code=ErrorCode.CORRUPT_LOG)

    with pytest.raises(StoreError) as caught:
        read()
    assert caught.value.code in (ErrorCode.CORRUPT_LOG, ErrorCode.MISSING_FILE)
    segment.write_bytes(content)
    with open_store(path) as store:
        assert names(store) == ["a", "b"]
        assert store.verify().ok


def test_a_torn_end_of_the_journal_is_cut_and_a_damaged_middle_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(path, seal=False)
    (journal,) = (path / "log").glob("*.journal")
    content = journal.read_bytes()
    end = len(content.rstrip(b"\0"))

    journal.write_bytes(content[: end - 1] + b"\xff" + content[end:])
    with open_store(path, upkeep=NO_SEAL) as store:
        assert names(store) == ["a"]
        assert put(store, "c") == 2
    content = journal.read_bytes()
    journal.write_bytes(content[:70] + bytes([content[70] ^ 1]) + content[71:])
    refused(lambda: open_store(path), ErrorCode.CORRUPT_LOG, "journal")


def test_verify_finds_a_view_that_is_not_what_the_log_says(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "s"
    filled(path, seal=True)
    with sqlite3.connect(path / "views" / "base.sqlite") as connection:
        connection.execute("delete from node where nkey = 5")
    connection.close()

    with open_store(path) as store:
        report = store.verify()
        assert [problem.file for problem in report.problems] == ["views, state"]
        assert not report.ok
        store.rebuild()
        assert store.verify().ok
        assert names(store) == ["a", "b"]


@pytest.mark.parametrize("what", ["removed", "emptied", "filled with noise"])
def test_views_may_be_lost_or_damaged_at_any_time(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s"
    filled(path, seal=True)
    with open_store(path) as store:
        digests = store.digests()
    if what == "removed":
        shutil.rmtree(path / "views")
    else:
        for file in (path / "views").rglob("*"):
            file.write_bytes(b"" if what == "emptied" else b"noise" * 100)

    with open_store(path) as store:
        assert names(store) == ["a", "b"]
        assert store.find("artifact").ids() == [1, 2]
        assert store.digests() == digests


# ---- URIs


@pytest.mark.parametrize("uri", ["s3://bucket/x", "postgresql://h/d", "file://host/x", "file:", "", "file:/x?y=1"])
def test_a_uri_of_an_unknown_kind_is_refused(uri: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(uri)
    assert caught.value.code == ErrorCode.INVALID_URI


def test_a_store_can_be_named_in_several_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / "s t") as store:
        store.put_type("artifact", "T")
    spaced = str(tmp_path / "s t").replace(" ", "%20")
    for uri in (str(tmp_path / "s t"), f"file:{spaced}", f"file://{spaced}", "./s t", "file:s%20t"):
        with open_store(uri, create=False) as store:
            assert store.head == 1
    monkeypatch.setenv("STRATALOG_URI", str(tmp_path / "s t"))
    with open_store() as store:
        assert store.head == 1
    monkeypatch.delenv("STRATALOG_URI")
    with open_store() as store:
        assert store.head == 0
    assert (tmp_path / ".stratalog" / "FORMAT").exists()


def test_a_durability_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "s", durability="never")  # type: ignore[arg-type]
    assert caught.value.code == ErrorCode.INVALID_VALUE
    assert not (tmp_path / "s").exists()


def test_a_group_writer_loses_nothing_at_close(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", durability="group", upkeep=NO_SEAL) as store:
        for i in range(20):
            put(store, str(i))
    with open_store(tmp_path / "s") as store:
        assert len(names(store)) == 20
