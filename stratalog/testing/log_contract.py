"""What every `LogStore` must do, as tests: make a subclass with a fixture `log` and let pytest find it.

class TestMyLog(LogContract):
    @pytest.fixture
    def log(self, tmp_path):
        log = MyLog(tmp_path)
        yield log
        log.close()
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from stratalog.eventlog.commit import RECORD_FORMAT, Header, Record, check_sequence
from stratalog.eventlog.errors import ConflictError
from stratalog.eventlog.events import Artifact, Event, Link, MetricPoints, UnknownFact, to_event
from stratalog.eventlog.store import LogStore


def contract_record(commit: int, first_seq: int, *, events: int = 1, size: int = 10, writer: int = 0) -> Record:
    """A record that can be told from others, with every optional field now and then empty."""
    header = Header(
        format=RECORD_FORMAT,
        commit=commit,
        first_seq=first_seq,
        time_us=1_700_000_000_000_000 + commit,
        writer=writer.to_bytes(16, "little"),
        writer_seq=commit,
        actor="" if commit % 3 == 0 else f"actor {commit % 4}",
        request_id=None if commit % 2 else f"request {commit}",
        reason=None if commit % 5 else "",
    )
    return Record(header, [_event(first_seq + i, size) for i in range(events)])


def _event(seq: int, size: int) -> Event:
    prev = None if seq % 2 else seq - 1
    match seq % 4:
        case 0:
            return to_event(Link(execution_id=seq, artifact_id=-(2**63), type=3, path=["x" * size, 0]))
        case 1:
            return to_event(Artifact(id=seq, name="n" * size, properties={"a": 1, "b": 0.5, "c": "text"}), prev)
        case 2:
            points = MetricPoints(execution_id=seq, key="loss", steps=[1, 2], times_us=[3, 4], values=[0.5, 0.25])
            return to_event(points)
        case _:
            return to_event(UnknownFact("from_the_future", 32_767, 127, 2**63 - 1, b"\xff" * size), prev)


def append_all(log: LogStore, records: Sequence[Record]) -> None:
    """Append records one by one, each synced, as a committer does."""
    for record in records:
        with log.exclusive():
            log.append(log.head(), [record])
        log.sync()


def contract_records(counts: Sequence[int], *, size: int = 10) -> list[Record]:
    """Records that follow one another, with the given numbers of events."""
    records, seq = [], 1
    for commit, count in enumerate(counts):
        records.append(contract_record(commit, seq, events=count, size=size))
        seq += count
    return records


class LogContract:
    """The tests; `log` is an empty store."""

    def test_an_empty_log_has_nothing_to_read(self, log: LogStore) -> None:
        """No commits, head 0."""
        assert log.head() == 0
        assert list(log.read()) == []
        assert list(log.segments()) == []

    def test_what_was_appended_is_read_back_equal_and_in_order(self, log: LogStore) -> None:
        """Byte for byte, event for event."""
        records = contract_records([1, 3, 1, 40, 2])

        append_all(log, records)

        assert list(log.read()) == records
        assert log.head() == 5

    @pytest.mark.parametrize(("start", "stop"), [(0, None), (2, None), (0, 0), (1, 3), (4, 99), (5, None), (9, None)])
    def test_a_range_is_read(self, log: LogStore, start: int, stop: int | None) -> None:
        """Like a slice of all records."""
        records = contract_records([1] * 5)
        append_all(log, records)

        assert list(log.read(start, stop)) == records[start:stop]

    def test_a_group_is_appended_at_once(self, log: LogStore) -> None:
        """Several records in one call have the numbers that follow."""
        records = contract_records([2, 1, 5])

        with log.exclusive():
            log.append(0, records)
        log.sync()

        assert list(log.read()) == records

    def test_appending_nothing_changes_nothing(self, log: LogStore) -> None:
        """An empty group is fine."""
        with log.exclusive():
            log.append(0, [])
        log.sync()

        assert log.head() == 0

    def test_an_append_that_is_not_at_the_head_is_refused_and_changes_nothing(self, log: LogStore) -> None:
        """Too early, too late: a conflict, and the next append at the head works."""
        records = contract_records([1, 1, 1])
        append_all(log, records[:2])

        for at in (0, 1, 3):
            with log.exclusive(), pytest.raises(ConflictError):
                log.append(at, [records[2]])

        assert list(log.read()) == records[:2]
        append_all(log, records[2:])
        assert list(log.read()) == records

    def test_what_is_appended_is_visible_before_it_is_synced(self, log: LogStore) -> None:
        """Inside and outside the lock."""
        records = contract_records([1, 1])

        with log.exclusive():
            log.append(0, records)
            assert log.head() == 2
            assert list(log.read()) == records
        assert log.head() == 2
        assert list(log.read(1)) == records[1:]

    def test_a_reader_that_is_half_through_is_not_disturbed(self, log: LogStore) -> None:
        """Appending while somebody reads."""
        records = contract_records([1] * 6)
        append_all(log, records[:3])
        reading = iter(log.read())
        first = next(reading)

        append_all(log, records[3:])

        assert [first, *reading][:3] == records[:3]
        assert list(log.read()) == records

    def test_many_threads_make_one_history(self, log: LogStore) -> None:
        """The lock keeps writers apart; no commit is lost, doubled or out of order."""

        def write() -> None:
            for _ in range(15):
                with log.exclusive():
                    head = log.head()
                    last = list(log.read(head - 1)) if head else []
                    log.append(head, [contract_record(head, last[0].end_seq if last else 1)])
                log.sync()

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(list(check_sequence(log.read(), commit=0, seq=1))) == 60

    def test_a_large_record_is_kept_whole(self, log: LogStore) -> None:
        """Ten thousand events in one commit, between small ones."""
        records = contract_records([1, 10_000, 1])

        append_all(log, records)

        assert list(log.read()) == records
        assert list(log.read(1, 2)) == records[1:2]

    def test_segments_cover_without_a_gap(self, log: LogStore) -> None:
        """What they hold equals what is read."""
        records = contract_records([3] * 10)
        append_all(log, records)

        segments = log.segments(2)

        position = 2
        for segment in segments:
            assert segment.start <= position < segment.stop
            commits = segment.table(["commit"]).column("commit").to_pylist()
            wanted = [record.header.commit for record in records[segment.start : segment.stop] for _ in record.events]
            assert commits == wanted
            position = segment.stop
