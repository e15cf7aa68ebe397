"""Frames, tears and damage in a journal."""

from __future__ import annotations

import random
import uuid

import pytest

from stratalog.eventlog.errors import CorruptLogError, ErrorCode
from stratalog.eventlog.journal import (
    END_FRAME,
    FRAME_HEADER,
    HEADER_BYTES,
    Journal,
    create_journal,
    file_header,
    first_check,
    frame,
    read_journal,
    scan,
)
from stratalog.testing.simulated_files import SimulatedFiles

LOG_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
BODIES = [b"a" * 10, b"b" * 300, b"c", b"d" * 70]


@pytest.fixture
def files() -> SimulatedFiles:
    files = SimulatedFiles(random.Random(1))
    files.mkdir("/log")
    return files


def make_journal(files: SimulatedFiles, start: int = 5, grow_bytes: int = 1024) -> Journal:
    create_journal(files, "/log", start, LOG_ID)
    return Journal(files, "/log", start, LOG_ID, grow_bytes)


def path_of(start: int = 5) -> str:
    return f"/log/{start:020d}.journal"


def test_frames_are_chained_and_read_back() -> None:
    first, check = frame(b"one", 7, 7, first_check(7))
    second, _ = frame(b"two", 8, 7, check)

    found = scan(first + second + bytes(100), 0, 7, first_check(7), "here")

    assert [bytes(body) for body in found.bodies] == [b"one", b"two"]
    assert found.ends == [len(first), len(first) + len(second)]
    assert not found.is_ended


@pytest.mark.parametrize("bit", range(0, (32 + 3) * 8, 3))
def test_no_bit_of_a_frame_may_differ(bit: int) -> None:
    data = bytearray(frame(b"one", 7, 7, first_check(7))[0])
    data[bit // 8] ^= 1 << (bit % 8)

    assert scan(bytes(data), 0, 7, first_check(7), "here").bodies == []


def test_a_frame_that_does_not_follow_is_no_frame() -> None:
    data, _ = frame(b"one", 7, 7, 99)

    assert scan(data, 0, 7, first_check(7), "here").bodies == []
    assert scan(data, 0, 6, 99, "here").bodies == []
    assert len(scan(data, 0, 7, 99, "here").bodies) == 1


def test_a_frame_of_a_newer_kind_is_refused_not_cut() -> None:
    data, _ = frame(b"one", 7, 7, first_check(7), kind=3)

    with pytest.raises(CorruptLogError) as raised:
        scan(data, 0, 7, first_check(7), "here")

    assert raised.value.code is ErrorCode.FORMAT_TOO_NEW


def test_a_journal_is_written_in_zeroed_steps(files: SimulatedFiles) -> None:
    journal = make_journal(files)

    journal.append(BODIES, 5)

    data = files.copy()[path_of()]
    assert len(data) == 1024
    assert data[:HEADER_BYTES] == file_header(5, LOG_ID)
    assert not any(data[journal.offset :])
    read, _, found = read_journal(files, "/log", 5, LOG_ID)
    assert [bytes(body) for body in found.bodies] == BODIES
    assert read.commit == 9


def test_an_ended_journal_says_so(files: SimulatedFiles) -> None:
    journal = make_journal(files)
    journal.append(BODIES, 5)

    journal.end(9)

    read, _, found = read_journal(files, "/log", 5, LOG_ID)
    assert read.is_ended
    assert (read.commit, found.durable) == (9, 9)


def test_an_empty_journal_can_be_ended(files: SimulatedFiles) -> None:
    make_journal(files).end(5)

    read, _, _ = read_journal(files, "/log", 5, LOG_ID)

    assert read.is_ended
    assert read.commit == 5


@pytest.mark.parametrize("cut", [1, 31, 32, 33, 60, 101])
def test_a_torn_tail_is_cut_by_a_writer_and_left_by_a_reader(files: SimulatedFiles, cut: int) -> None:
    journal = make_journal(files, grow_bytes=0)
    journal.append(BODIES, 5)
    before = journal.offset
    journal.append([b"t" * 70], 5)
    files.truncate(journal.descriptor, before + cut)
    torn = files.copy()

    read, _, found = read_journal(files, "/log", 5, LOG_ID)
    assert (len(found.bodies), read.is_torn) == (4, True)
    assert files.copy() == torn

    writer = Journal(files, "/log", 5, LOG_ID, 0)
    assert len(writer.recover().bodies) == 4
    assert len(files.copy()[path_of()]) == before


def test_damage_below_a_durable_mark_is_an_error_and_nothing_is_touched(files: SimulatedFiles) -> None:
    journal = make_journal(files)
    for commit, body in enumerate(BODIES, 5):
        journal.append([body], commit)
    files.flip(path_of(), HEADER_BYTES + 2 * 32 + 10 + 40, 3)
    damaged = files.copy()

    for open_it in (
        lambda: read_journal(files, "/log", 5, LOG_ID),
        lambda: Journal(files, "/log", 5, LOG_ID, 0).recover(),
    ):
        with pytest.raises(CorruptLogError, match="commit 6 cannot be read"):
            open_it()

    assert files.copy() == damaged


def test_zeros_below_a_durable_mark_are_an_error(files: SimulatedFiles) -> None:
    journal = make_journal(files)
    for commit, body in enumerate(BODIES, 5):
        journal.append([body], commit)
    files.pwrite(journal.descriptor, bytes(10), HEADER_BYTES)
    files.pwrite(journal.descriptor, bytes(42), HEADER_BYTES)

    with pytest.raises(CorruptLogError, match="commit 5 cannot be read"):
        read_journal(files, "/log", 5, LOG_ID)


def test_whole_frames_behind_a_tear_that_nobody_knew_durable_are_cut(files: SimulatedFiles) -> None:
    journal = make_journal(files)
    journal.append(BODIES, 5)
    files.flip(path_of(), HEADER_BYTES + 33, 0)

    writer = Journal(files, "/log", 5, LOG_ID, 0)

    assert writer.recover().bodies == []
    assert len(files.copy()[path_of()]) == HEADER_BYTES


@pytest.mark.parametrize("byte", range(HEADER_BYTES))
def test_no_bit_of_the_file_header_may_differ(files: SimulatedFiles, byte: int) -> None:
    make_journal(files).append(BODIES, 5)
    files.flip(path_of(), byte, byte % 8)

    with pytest.raises(CorruptLogError, match="header of journal 5"):
        read_journal(files, "/log", 5, LOG_ID)


def test_a_journal_of_another_log_is_refused(files: SimulatedFiles) -> None:
    make_journal(files)

    with pytest.raises(CorruptLogError, match="header of journal 5"):
        read_journal(files, "/log", 5, uuid.UUID(int=1))


@pytest.mark.parametrize("probe_bytes", [1, 31, 32, 33, 42, 74, 100, 5000])
def test_following_finds_all_frames_whatever_the_size_of_a_read(files: SimulatedFiles, probe_bytes: int) -> None:
    writer = make_journal(files)
    follower = Journal(files, "/log", 5, LOG_ID, 0)
    follower.load()

    for body in BODIES:
        writer.append([body, body], 5)
        found = [bytes(b) for part in follower.follow(probe_bytes) for b in part.bodies]
        assert found == [body, body]
        assert follower.follow(probe_bytes) == []
    writer.end(5)

    assert [part.is_ended for part in follower.follow(probe_bytes)] == [True]
    assert follower.offset == writer.offset


def test_a_write_that_fails_leaves_no_frame(files: SimulatedFiles) -> None:
    journal = make_journal(files, grow_bytes=0)
    journal.append([b"kept"], 5)
    files.capacity = len(files.copy()[path_of()]) + 40

    with pytest.raises(OSError, match="No space"):
        journal.append([b"x" * 200], 5)

    files.capacity = None
    read, _, found = read_journal(files, "/log", 5, LOG_ID)
    assert [bytes(body) for body in found.bodies] == [b"kept"]
    assert not read.is_torn


def test_the_layout_is_as_documented() -> None:
    data, check = frame(b"body", 3, 2, 0xAABBCCDD)

    assert FRAME_HEADER.size == HEADER_BYTES == len(file_header(0, LOG_ID))
    assert data == (
        (4).to_bytes(4, "little")
        + check.to_bytes(4, "little")
        + (3).to_bytes(8, "little")
        + (2).to_bytes(8, "little")
        + bytes.fromhex("ddccbbaa")
        + (1).to_bytes(4, "little")
        + b"body"
    )
    assert END_FRAME == 2
