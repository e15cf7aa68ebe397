from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
import zlib
from pathlib import Path

import pytest

from stratalog.eventlog.events import Artifact, Link, MetricPoints
from stratalog.eventlog.stores.local import LocalLog
from stratalog.eventlog.stores.memory import MemoryLog
from stratalog.projections import manifest as manifests
from stratalog.projections.tables import LOCK_NAME, Tables, TablesSettings
from tests.projections.table_model import History, actual, model

NO_GRACE = TablesSettings(grace_s=0.0)


@pytest.fixture
def views(tmp_path: Path) -> Path:
    return tmp_path / "store" / "views"


def written(history: History, commits: int = 6) -> History:
    """Each commit puts a new artifact and, from the third on, a new version of an old one."""
    start = len(history.headers)
    for number in range(start + 1, start + commits + 1):
        facts = [Artifact(id=number, type_id=10, name=f"a{number}", properties={"x": number, "w": f"text {number}"})]
        if number > 2:
            facts.append(Artifact(id=number - 2, type_id=10, name=f"a{number - 2}", properties={"x": -number}))
        history.commit(facts)
    return history


def is_merged(tables: Tables, folder: Path) -> bool:
    manifest = manifests.load(folder, tables._log)
    return manifest is not None and not manifest.parts and manifest.seq > 0


def test_nothing_is_touched_before_the_first_question(views: Path) -> None:
    tables = Tables(MemoryLog(), views)

    assert tables.head == 0
    assert tables.recent_count == 0
    assert not views.exists()


def test_an_empty_log_has_empty_tables_and_the_system_types(views: Path) -> None:
    history = History()
    tables = Tables(history.log, views)

    assert tables.refresh() == 0
    tables.seal()
    assert not tables.merge(force=True)
    assert actual(tables, 0) == model(history, 0)


def test_a_question_keeps_its_text_and_answer_through_seals_and_merges(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views, settings=NO_GRACE)
    history.followers.append(tables)
    tables.refresh()
    question = f"SELECT count(*), sum(i) FROM {tables.source('prop', 5)}"
    before = tables.cursor().execute(question).fetchall()

    tables.seal()
    after_seal = tables.cursor().execute(question).fetchall()
    assert tables.merge(force=True)
    after_merge = tables.cursor().execute(question).fetchall()
    written(history)
    assert tables.merge(force=True)
    after_second = tables.cursor().execute(question).fetchall()

    assert before == after_seal == after_merge == after_second


def test_a_version_without_properties_takes_the_earlier_ones_away_through_merges(views: Path) -> None:
    history = History()
    tables = Tables(history.log, views)
    history.followers.append(tables)
    history.commit([Artifact(id=1, properties={"x": 1}), Artifact(id=2, properties={"x": 2})])
    tables.merge(force=True)
    history.commit([Artifact(id=1)])
    tables.merge(force=True)

    for seq in range(history.head + 1):
        assert actual(tables, seq) == model(history, seq)


def test_readers_of_a_pinned_seq_see_one_answer_while_others_write_and_merge(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    history.followers.append(tables)
    head = tables.refresh()
    expected = model(history, head)
    failures: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                if actual(tables, head) != expected:
                    failures.append("another answer")
            except Exception as error:
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(5):
        written(history, 2)
        tables.seal()
        tables.merge(force=True)
    stop.set()
    for reader in readers:
        reader.join()

    assert failures == []


def test_commits_that_the_tables_have_are_skipped_and_missing_ones_are_read_from_the_log(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    tables.refresh()
    history.followers.append(tables)
    header, count = history.headers[1]
    tables.append(header, history.events[header.first_seq - 1 : header.first_seq - 1 + count])
    history.followers.clear()
    written(history, 2)
    history.followers.append(tables)
    written(history, 1)

    assert tables.refresh() == history.head
    assert actual(tables, history.head) == model(history, history.head)


def test_many_small_seals_leave_few_files(views: Path) -> None:
    history = History()
    tables = Tables(history.log, views, settings=NO_GRACE)
    history.followers.append(tables)
    for _ in range(40):
        written(history, 1)
        tables.seal()

    manifest = manifests.load(views, history.log)
    assert manifest is not None
    assert manifest.seq == history.head
    assert len(manifest.parts) <= 7
    assert len(list(views.glob("*.parquet"))) <= len(list(manifest.files())) + 5
    assert actual(Tables(history.log, views), 30) == model(history, 30)


def test_files_out_of_use_go_after_the_grace(views: Path) -> None:
    history = written(History())
    patient, hasty = Tables(history.log, views), Tables(history.log, views, settings=NO_GRACE)
    history.followers += [patient, hasty]
    patient.merge(force=True)
    first = {path.name for path in views.glob("*.parquet")}
    written(history)
    patient.merge(force=True)
    assert first <= {path.name for path in views.glob("*.parquet")}

    time.sleep(0.02)
    written(history)
    hasty.merge(force=True)

    manifest = manifests.load(views, history.log)
    assert manifest is not None
    in_use = {file.name for file in manifest.files()}
    assert not (first - in_use) & {path.name for path in views.glob("*.parquet")}
    assert actual(patient, 7) == model(history, 7)
    for _ in range(2):  # until those that the patient one read are gone, too
        time.sleep(0.02)
        written(history, 1)
        hasty.merge(force=True)
    assert actual(patient, 7) == model(history, 7)
    assert actual(patient, history.head) == model(history, history.head)


def test_a_log_that_lost_its_end_gets_new_tables(views: Path) -> None:
    longer = written(History(), 6)
    Tables(longer.log, views).merge(force=True)
    shorter = written(History(), 4)
    written(shorter, 1)

    tables = Tables(shorter.log, views)

    assert tables.refresh() == shorter.head
    assert actual(tables, shorter.head) == model(shorter, shorter.head)


def test_tables_of_another_log_are_not_used(views: Path) -> None:
    one = History()
    one.commit([Artifact(id=1, name="one")])
    Tables(one.log, views).merge(force=True)
    other = History()
    other.commit([Artifact(id=1, name="other"), Artifact(id=2)])

    assert actual(Tables(other.log, views), 2) == model(other, 2)


@pytest.mark.parametrize("field", ["format", "tables_format"])
def test_tables_of_a_newer_format_are_folded_anew(views: Path, field: str) -> None:
    history = written(History())
    Tables(history.log, views).merge(force=True)
    path = views / manifests.MANIFEST_NAME
    sealed = json.loads(path.read_bytes())
    sealed["manifest"][field] += 1
    body = json.dumps(sealed["manifest"], separators=(",", ":")).encode()
    sealed["checksum"] = zlib.crc32(body)
    path.write_bytes(json.dumps(sealed, separators=(",", ":")).encode())
    assert manifests.load(views, history.log) is None

    tables = Tables(history.log, views)

    assert actual(tables, 4) == model(history, 4)
    tables.seal()
    assert manifests.load(views, history.log) is not None


def test_a_flipped_bit_in_a_file_is_noticed_on_opening(views: Path) -> None:
    history = written(History())
    Tables(history.log, views).merge(force=True)
    path = next(views.glob("table-node-cur-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)

    assert manifests.load(views, history.log) is None
    assert actual(Tables(history.log, views), 5) == model(history, 5)


def test_files_that_vanish_under_an_open_store_are_made_again(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    tables.merge(force=True)
    tables.refresh()
    for path in views.glob("*.parquet"):
        path.unlink()

    assert actual(tables, 6) == model(history, 6)
    shutil.rmtree(views)
    assert actual(tables, 6) == model(history, 6)
    assert tables.merge(force=True)
    assert is_merged(tables, views)


def test_a_copy_of_the_folder_is_used_as_it_is(views: Path, tmp_path: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    tables.merge(force=True)
    copy = tmp_path / "copy"
    shutil.copytree(views, copy, copy_function=shutil.copyfile)

    assert manifests.load(copy, history.log) == manifests.load(views, history.log)
    assert Tables(history.log, copy).digests() == tables.digests()


def test_while_another_process_holds_the_lock_sealing_and_merging_do_nothing(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    views.mkdir(parents=True)
    handle = os.open(views / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)

    tables.seal()
    merged = tables.merge(force=True)

    assert not merged
    assert not list(views.glob("*.parquet"))
    assert actual(tables, 5) == model(history, 5)
    os.close(handle)
    assert tables.merge(force=True)


def test_a_folder_that_cannot_be_made_costs_nothing_but_speed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    history = written(History())
    tables = Tables(history.log, tmp_path / "file" / "views")

    tables.seal()

    assert not tables.merge(force=True)
    tables.rebuild()
    assert actual(tables, 5) == model(history, 5)


def test_read_only_tables_write_nothing(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views, read_only=True)
    tables.refresh()
    tables.seal()
    tables.merge(force=True)
    tables.rebuild()

    assert not views.exists()
    assert actual(tables, 5) == model(history, 5)


def test_only_commits_before_the_stop_are_sealed(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    history.followers.append(tables)
    tables.refresh()

    tables.seal(4)

    manifest = manifests.load(views, history.log)
    assert manifest is not None
    assert (manifest.commit, manifest.seq) == (4, 6)
    assert tables.recent_count == history.head - 6
    written(history, 1)
    tables.seal()
    assert tables.recent_count == 0
    assert actual(Tables(history.log, views), history.head) == model(history, history.head)


def test_what_is_newer_than_a_merge_still_hides_what_was_merged(views: Path) -> None:
    history = History()
    tables = Tables(history.log, views, settings=TablesSettings(merge_row_count_min=1))
    history.followers.append(tables)
    history.commit([Artifact(id=1, properties={"x": 1}), Artifact(id=2, properties={"x": 2})])
    history.commit([Artifact(id=1, properties={"x": 3})])
    tables.refresh()
    tables.seal(1)

    assert tables.merge()

    assert tables.recent_count == 1
    for seq in range(history.head + 1):
        assert actual(tables, seq) == model(history, seq)


def test_a_folder_name_may_have_any_signs(tmp_path: Path) -> None:
    history = written(History())
    tables = Tables(history.log, tmp_path / "o'b[1]*? {x}" / "views")
    assert tables.merge(force=True)

    assert actual(tables, 5) == model(history, 5)
    assert actual(Tables(history.log, tmp_path / "o'b[1]*? {x}" / "views"), 5) == model(history, 5)


def test_a_time_becomes_the_last_seq_committed_by_then(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    first_us = history.headers[0][0].time_us

    assert tables.seq_at(first_us - 1) == 0
    assert tables.seq_at(first_us) == 1
    assert tables.seq_at(first_us + 2500) == 4
    assert tables.seq_at(first_us + 10**9) == history.head


def test_a_long_log_is_folded_to_disk_as_it_is_read(views: Path) -> None:
    history = written(History(), 40)
    tables = Tables(
        history.log, views, settings=TablesSettings(batch_event_count=10, part_event_count=20, merge_row_count_min=50)
    )

    tables.refresh()

    assert tables.recent_count < 20
    assert actual(tables, 33) == model(history, 33)


def test_one_huge_commit_is_one_part(views: Path) -> None:
    history = History()
    history.commit([Artifact(id=i, properties={"x": i}) for i in range(1, 40_001)])
    tables = Tables(history.log, views)
    tables.rebuild()

    rows = tables.cursor().sql(f"SELECT count(*), sum(i) FROM {tables.source('prop', 20_000)}").fetchall()

    assert rows == [(20_000, 20_000 * 20_001 // 2)]


def test_a_log_of_segments_and_journals_is_folded_like_one_in_memory(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "store")

    class Exclusive:
        """A log for one writer: the lock is taken for each append."""

        def append(self, at: int, records: list[object]) -> None:
            with log.exclusive():
                log.append(at, records)  # type: ignore[arg-type]
            log.sync()

    history = History(Exclusive())
    written(history, 10)
    history.commit([MetricPoints(execution_id=1, key="loss", steps=[1, 2], times_us=[3, 4], values=[0.5, 0.25])])
    log.seal()
    written(history, 10)
    history.commit([Link(execution_id=1, artifact_id=2, type=3)])
    log.seal()
    written(history, 3)
    assert len(log.segments()) == 2

    tables = Tables(log, tmp_path / "store" / "views")
    assert actual(tables, history.head) == model(history, history.head)
    assert actual(tables, 9) == model(history, 9)
    before = tables.digests()
    tables.merge(force=True)
    reopened = Tables(log, tmp_path / "store" / "views")
    assert reopened.digests() == before
    assert reopened.recent_count == 0
    tables.rebuild()
    assert tables.digests() == before
    log.close()


def test_a_forked_child_reads_and_leaves_the_parent_alone(views: Path) -> None:
    history = written(History())
    tables = Tables(history.log, views)
    history.followers.append(tables)
    tables.merge(force=True)
    expected = tables.digests()

    child = os.fork()
    if child == 0:
        is_right = tables.digests() == expected and actual(tables, 5) == model(history, 5)
        os._exit(0 if is_right else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert tables.digests() == expected
