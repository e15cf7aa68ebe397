"""The committer over logs that conflict, fail and are interrupted."""

from __future__ import annotations

import errno
import fcntl
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from stratalog.eventlog.commit import Header, Record
from stratalog.eventlog.committer import Command, Committed, Committer, Decision
from stratalog.eventlog.errors import ConflictError, ErrorCode, InvalidInputError, StorageError
from stratalog.eventlog.events import Artifact, Change, Kind, Recorded, to_event
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.store import LogStore, Segment
from stratalog.eventlog.stores.local import LocalLog
from stratalog.eventlog.stores.memory import MemoryLog
from stratalog.projections.state import State


class Desk:
    """A committer with its state, and the commits that it handed on."""

    def __init__(self, log: LogStore, clock: Callable[[], int] = lambda: 1_000_000) -> None:
        self.state = State()
        self.handed_on: list[int] = []
        self.committer = Committer(log, self.state, clock_us=clock, on_durable=self._take)

    def _take(self, header: Header, events: list[Recorded]) -> None:
        self.handed_on.append(header.commit)

    def put(self, uri: str) -> tuple[Any, Committed | None]:
        """Commit an artifact with the next id; the answer is the id."""

        def decide(time_us: int) -> Decision:
            artifact = Artifact(id=self.state.next_ids[0], type_id=1, uri=uri, create_time_ms=time_us // 1000)
            return Decision([Change(artifact, to_event(artifact))], artifact.id)

        return self.committer.submit(Command(decide))

    def uris(self) -> list[str | None]:
        return [node.uri for node in self.state.get_many(Kind.ARTIFACT, self.state.ids_of_kind(Kind.ARTIFACT))]


def refuse(_: int) -> Decision:
    raise InvalidInputError("no")


def uris_in(log: LogStore) -> list[str]:
    desk = Desk(log)
    desk.committer.catch_up()
    return [uri or "" for uri in desk.uris()]


# ---- conflicts


class Unguarded(MemoryLog):
    """A log without mutual exclusion, as an object store is: whoever appends second has lost."""

    def exclusive(self) -> AbstractContextManager[object]:
        return nullcontext()


class Overtaken(Unguarded):
    """A log in which `overtake` happens right before each of the next `times` appends."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0
        self.overtake: Callable[[], object] = lambda: None

    def append(self, at: int, records: Sequence[Record]) -> None:
        if self.times:
            self.times -= 1
            self.overtake()
        super().append(at, records)


def test_a_command_that_lost_the_race_is_decided_anew() -> None:
    log = Overtaken()
    ours, theirs = Desk(log), Desk(log)
    log.overtake = lambda: Unguarded.append(log, log.head(), _next_record(theirs, log))
    ours.put("a")
    log.times = 3

    id, committed = ours.put("b")

    assert committed is not None
    assert (id, committed.commit) == (5, 4)
    assert ours.uris() == ["a", "theirs", "theirs", "theirs", "b"] == uris_in(log)
    assert ours.handed_on == [0, 1, 2, 3, 4]


def _next_record(desk: Desk, log: LogStore) -> list[Record]:
    desk.committer.catch_up()
    artifact = Artifact(id=desk.state.next_ids[0], type_id=1, uri="theirs")
    header = Header(1, log.head(), desk.state.head + 1, desk.state.time_us, b"w" * 16, 0)
    return [Record(header, [to_event(artifact)])]


def test_a_race_that_is_always_lost_ends_with_a_conflict_and_nothing_written() -> None:
    log = Overtaken()
    ours, theirs = Desk(log), Desk(log)
    log.overtake = lambda: Unguarded.append(log, log.head(), _next_record(theirs, log))
    log.times = 1000

    with pytest.raises(ConflictError, match="lost the race for the head 100 times"):
        ours.put("a")
    log.times = 0

    assert "a" not in uris_in(log)
    assert ours.put("b")[0] == 101
    assert ours.uris() == uris_in(log)


def test_two_committers_over_a_log_without_exclusion_lose_nothing() -> None:
    log = Unguarded()
    desks = [Desk(log), Desk(log)]
    answers: list[tuple[int, str]] = []

    def work(number: int) -> None:
        for i in range(40):
            uri = f"{number}-{i}"
            answers.append((desks[number % 2].put(uri)[0], uri))

    run_threads(work, 4)

    assert sorted(id for id, _ in answers) == list(range(1, 161))
    assert uris_in(log) == [uri for _, uri in sorted(answers)]
    for desk in desks:
        desk.committer.catch_up()
        assert desk.uris() == uris_in(log)
        assert desk.handed_on == list(range(log.head()))


def run_threads(work: Callable[[int], None], count: int) -> None:
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


# ---- failures


class Failing(MemoryLog):
    """A log whose calls raise what `failure` says for them."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: dict[str, BaseException] = {}

    def _fail(self, call: str) -> None:
        if call in self.failure:
            raise self.failure[call]

    def exclusive(self) -> AbstractContextManager[object]:
        self._fail("exclusive")
        return super().exclusive()

    def head(self) -> int:
        self._fail("head")
        return super().head()

    def append(self, at: int, records: Sequence[Record]) -> None:
        self._fail("before append")
        super().append(at, records)
        self._fail("append")

    def sync(self) -> None:
        self._fail("sync")

    def segments(self, start: int = 0, stop: int | None = None) -> Sequence[Segment]:
        return ()


@pytest.mark.parametrize("call", ["before append", "append", "sync"])
@pytest.mark.parametrize(
    "failure",
    [
        StorageError("the disk is full", code=ErrorCode.DISK_FULL),
        OSError(errno.EIO, "input/output error"),
        ValueError("odd"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_after_a_failed_write_or_sync_nothing_is_acknowledged_any_more(call: str, failure: Exception) -> None:
    log = Failing()
    desk = Desk(log)
    desk.put("a")
    log.failure = {call: failure}

    with pytest.raises(type(failure)):
        desk.put("b")
    log.failure = {}

    assert desk.committer.is_dead
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            desk.put("c")
        assert caught.value.code == ErrorCode.WRITER_DEAD
        assert "open it again" in (caught.value.hint or "")
    desk.committer.catch_up()
    assert desk.uris() == ["a"]
    assert desk.handed_on == [0]
    assert "c" not in uris_in(log)


def test_a_dead_writer_reads_on_when_another_has_built_on_its_last_commit() -> None:
    log = Failing()
    desk = Desk(log)
    log.failure = {"sync": StorageError("failed")}
    with pytest.raises(StorageError):
        desk.put("doubtful")
    log.failure = {}
    desk.committer.catch_up()
    assert desk.uris() == []

    other = Desk(log)
    assert other.put("b")[0] == 2
    desk.committer.catch_up()

    assert desk.uris() == ["doubtful", "b"]


@pytest.mark.parametrize("call", ["exclusive", "head"])
def test_a_failure_before_anything_is_written_is_no_end(call: str) -> None:
    log = Failing()
    desk = Desk(log)
    log.failure = {call: StorageError("not now")}

    with pytest.raises(StorageError, match="not now"):
        desk.put("a")
    log.failure = {}

    assert not desk.committer.is_dead
    assert desk.put("a")[0] == 1
    assert desk.uris() == ["a"]


def test_a_record_that_the_log_refuses_is_no_end() -> None:
    log = Failing()
    desk = Desk(log)
    log.failure = {"before append": InvalidInputError("too large")}

    with pytest.raises(InvalidInputError):
        desk.put("a")
    log.failure = {}

    assert desk.uris() == []
    assert desk.put("b") == (1, Committed(0, 1, 2, 1_000_000))
    assert desk.uris() == ["b"] == uris_in(log)


# ---- groups


class Gated(MemoryLog):
    """A log that lets nobody in until `gate` opens, and counts its syncs."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.syncs = 0
        self.on_sync: Callable[[], None] = lambda: None

    def exclusive(self) -> AbstractContextManager[object]:
        assert self.gate.wait(30)
        return super().exclusive()

    def sync(self) -> None:
        self.syncs += 1
        self.on_sync()


def _wait_for_queue(desk: Desk, count: int) -> None:
    for _ in range(3000):
        if len(desk.committer._queue) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{len(desk.committer._queue)} commands wait, {count} were expected")


def start(work: Callable[[], object], results: list[object]) -> threading.Thread:
    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_of_a_group_only_the_command_that_refuses_fails_and_one_sync_serves_all() -> None:
    log = Gated()
    desk = Desk(log)
    first: list[object] = []
    results: list[object] = []
    threads = [start(lambda: desk.put("first"), first)]
    _wait_for_queue(desk, 0)
    for i in range(6):
        threads.append(start(lambda i=i: desk.put(f"{i}"), results))  # type: ignore[misc]
        threads.append(start(lambda: desk.committer.submit(Command(refuse)), results))
    _wait_for_queue(desk, 12)

    log.gate.set()
    for thread in threads:
        thread.join()

    assert log.syncs == 2
    assert [type(r) for r in results if not isinstance(r, tuple)] == [InvalidInputError] * 6
    assert sorted(r[0] for r in results if isinstance(r, tuple)) == [2, 3, 4, 5, 6, 7]
    assert len(set(uris_in(log))) == 7
    assert desk.handed_on == list(range(7))


def test_a_failed_sync_fails_every_command_of_its_group() -> None:
    log = Gated()
    desk = Desk(log)
    results: list[object] = []
    threads = [start(lambda: desk.put("first"), results)]
    _wait_for_queue(desk, 0)
    threads += [start(lambda: desk.put("x"), results) for _ in range(3)]
    _wait_for_queue(desk, 3)

    def fail() -> None:
        raise StorageError("sync failed", code=ErrorCode.SYNC_FAILED)

    log.on_sync = fail
    log.gate.set()
    for thread in threads:
        thread.join()

    assert [r.code for r in results if isinstance(r, StorageError)].count(ErrorCode.WRITER_DEAD) == 3
    assert len(results) == 4
    assert desk.uris() == []


# ---- time


def test_time_never_goes_back_though_the_clock_does() -> None:
    ticks = iter([5_000_000, 4_000_000, 9_000_000, -1, 9_000_001, 0])
    log = MemoryLog()
    desk = Desk(log, clock=lambda: next(ticks))

    times = [committed.time_us for _, committed in (desk.put("x") for _ in range(6)) if committed is not None]

    assert times == [5_000_000, 5_000_000, 9_000_000, 9_000_000, 9_000_001, 9_000_001]
    assert [record.header.time_us for record in log.read()] == times
    later = Desk(log, clock=lambda: 1)
    assert later.put("y")[1] == Committed(6, 7, 8, 9_000_001)


# ---- interruptions


@pytest.mark.parametrize("call", ["exclusive", "head", "before append", "append", "sync"])
def test_an_interrupted_command_is_in_the_log_whole_or_not_at_all_and_the_next_one_works(call: str) -> None:
    log = Failing()
    desk = Desk(log)
    desk.put("a")
    log.failure = {call: KeyboardInterrupt()}

    with pytest.raises(KeyboardInterrupt):
        desk.put("b")
    log.failure = {}

    was_written = call in ("append", "sync")
    assert desk.put("c")[0] == (3 if was_written else 2)
    assert desk.uris() == uris_in(log) == (["a", "b", "c"] if was_written else ["a", "c"])
    assert desk.handed_on == list(range(log.head()))


def test_an_interruption_of_a_leader_does_not_reach_those_who_wait() -> None:
    log = Gated()
    desk = Desk(log)
    results: list[object] = []
    desk.committer._leading.acquire()
    threads = [start(lambda: desk.put("x"), results) for _ in range(3)]
    _wait_for_queue(desk, 3)

    def interrupt(_: int) -> Decision:
        raise KeyboardInterrupt

    # The interrupted command leads a group of four, as its last member.
    own = _submit_as_leader(desk, Command(interrupt))
    log.gate.set()
    desk.committer._leading.release()
    for thread in threads:
        thread.join()

    assert isinstance(own, KeyboardInterrupt)
    assert sorted(r[0] for r in results if isinstance(r, tuple)) == [1, 2, 3]
    assert uris_in(log) == ["x"] * 3 == desk.uris()


def _submit_as_leader(desk: Desk, command: Command) -> BaseException | None:
    from stratalog.eventlog.committer import _Waiter

    waiter = _Waiter(command)
    desk.committer._queue.append(waiter)
    log = desk.committer._log
    assert isinstance(log, Gated)
    log.gate.set()
    try:
        desk.committer._lead(waiter)
    except BaseException as error:
        return error
    return None


def test_a_command_whose_caller_was_interrupted_while_waiting_is_never_run() -> None:
    log = MemoryLog()
    desk = Desk(log)
    committer = desk.committer
    with committer.paused():
        interrupted = _Interrupting(committer._leading)
        committer._leading = interrupted  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            desk.put("never")
        committer._leading = interrupted.lock

    assert desk.put("b")[0] == 1
    assert uris_in(log) == ["b"]


class _Interrupting:
    """A lock at which the user presses Ctrl-C while waiting."""

    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock

    def __enter__(self) -> None:
        raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        pass


class Interrupt:
    """Raises KeyboardInterrupt at the n-th call in the write path, once.

    Python looks for signals when a function begins and when a call returns: there, and nowhere else, Ctrl-C strikes.
    """

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event not in ("call", "c_return") or "/stratalog/" not in code.co_filename:
            return
        self.left -= 1
        if self.left == 0:
            sys.setprofile(None)
            raise KeyboardInterrupt


def interrupted_puts(desk: Desk, step: int, first: int) -> Iterator[bool]:
    """Put again and again, interrupted `step` calls further on each time, until one gets through."""
    at = first
    while True:
        sys.setprofile(Interrupt(at))
        try:
            desk.put(f"at {at}")
            sys.setprofile(None)
            yield True
            return
        except KeyboardInterrupt:
            yield False
        finally:
            sys.setprofile(None)
        at += step


def check_free(lock: Path, log: LocalLog) -> None:
    """Neither another thread nor another process is kept out."""
    got: list[bool] = []

    def try_it() -> None:
        got.append(log._mutex.acquire(blocking=False))
        if got[0]:
            log._mutex.release()

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    assert got == [True]
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("first", range(1, 6))
def test_an_interruption_at_any_call_leaves_a_log_that_can_be_written(first: int, tmp_path: Path) -> None:
    # Every other time a new journal begins every few commits.
    log = LocalLog(tmp_path / "s", settings=LogSettings(rotate_events=5 if first % 2 else 20_000))
    desk = Desk(log)
    acknowledged: list[str] = []
    for count, _ in enumerate(interrupted_puts(desk, 5, first)):
        check_free(tmp_path / "s" / "lock", log)
        uri = f"good {count}"
        id, committed = desk.put(uri)
        acknowledged.append(uri)
        assert committed is not None
        assert desk.state.next_ids[0] == id + 1
        assert list(dict.fromkeys(desk.handed_on)) == list(range(committed.commit + 1))

    found = uris_in(log)
    assert desk.uris() == found
    assert [uri for uri in found if uri.startswith("good")] == acknowledged
    assert len(found) == len(set(found))
    assert len(acknowledged) > 10
    log.close()
    again = LocalLog(tmp_path / "s")
    assert uris_in(again) == found
    assert again.verify().ok
    again.close()
