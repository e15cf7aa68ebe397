"""The journal: the growing, synced end of the log. Frames, the torn-tail rule, growth; the only caller of `sync_data`.

A frame is whole if its length, number, link to the frame before it and checksum all fit. The log ends before the
first frame that is not. What stands behind is a tear, left by a stop in the middle of a write, unless a whole frame
further on says that the bad place was on the disk already: then it is damage, and nothing is touched.

Source: docs/format.md, "Journals".
"""

from __future__ import annotations

import re
import struct
import uuid
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from stratalog.eventlog.errors import CorruptLogError, ErrorCode, InvalidInputError
from stratalog.eventlog.files import READ, READ_WRITE, Files, replace_file, write_all
from stratalog.eventlog.folder import journal_file, temporary_file

MAGIC = b"EVLOGJ01"
FILE_HEADER = struct.Struct("<8sQQII")
"""Magic, first commit, first 8 bytes of the log id, reserved (0), CRC-32 of the 28 bytes before."""

FRAME_HEADER = struct.Struct("<IIQQII")
"""Length of the body, CRC-32, commit, commits known durable, CRC-32 of the frame before, kind."""

HEADER_BYTES = 32
COMMIT_FRAME, END_FRAME = 1, 2
BODY_BYTES_MAX = 1 << 30

_END_BODY = b"\xc0"
_NOTHING = bytes(HEADER_BYTES)
_DAMAGED = "the file is damaged: restore it from a copy; nothing was changed"


def first_check(start: int) -> int:
    """What the first frame of a journal carries in place of the checksum of a frame before it."""
    return start & 0xFFFFFFFF


def file_header(start: int, log_id: uuid.UUID) -> bytes:
    """The first 32 bytes of a journal."""
    data = FILE_HEADER.pack(MAGIC, start, int.from_bytes(log_id.bytes[:8], "little"), 0, 0)[:28]
    return data + struct.pack("<I", zlib.crc32(data))


def frame(body: bytes, commit: int, durable: int, previous: int, kind: int = COMMIT_FRAME) -> tuple[bytes, int]:
    """One frame and its checksum, which the next frame carries as `previous`."""
    length = len(body)
    check = zlib.crc32(body, zlib.crc32(FRAME_HEADER.pack(length, 0, commit, durable, previous, kind)))
    return FRAME_HEADER.pack(length, check, commit, durable, previous, kind) + body, check


class Scan(NamedTuple):
    """Whole frames that follow one another.

    `bodies[i]` is of commit `first + i`, `ends[i]` the offset behind it, `checks[i]` its checksum; `durable` is the
    highest durable mark among them; `end` is the offset behind the last frame, which was an END frame if `is_ended`.
    """

    bodies: list[memoryview]
    ends: list[int]
    checks: list[int]
    durable: int
    end: int
    check: int
    is_ended: bool


def scan(data: bytes, offset: int, commit: int, check: int, where: str) -> Scan:
    """The whole frames in `data` from `offset` on, the first of which must be `commit` and follow `check`.

    Raises:
        CorruptLogError: a whole frame is of a kind that this release does not know (FORMAT_TOO_NEW).
    """
    view = memoryview(data)
    size = len(data)
    bodies: list[memoryview] = []
    ends: list[int] = []
    checks: list[int] = []
    durable = 0
    is_ended = False
    while offset + HEADER_BYTES <= size:
        length, stored, number, known, previous, kind = FRAME_HEADER.unpack_from(data, offset)
        end = offset + HEADER_BYTES + length
        if length == 0 or end > size or number != commit or previous != check:
            break
        body = view[offset + HEADER_BYTES : end]
        if not _is_whole(body, length, stored, number, known, previous, kind):
            break
        offset, check = end, stored
        if known > durable:
            durable = known
        if kind == END_FRAME:
            is_ended = True
            break
        if kind != COMMIT_FRAME:
            raise CorruptLogError(
                f"{where}: frame {number} is of kind {kind}, this release knows 1 and 2",
                code=ErrorCode.FORMAT_TOO_NEW,
                hint="open the store with the release that wrote it, or a newer one",
            )
        bodies.append(body)
        ends.append(end)
        checks.append(stored)
        commit += 1
    return Scan(bodies, ends, checks, durable, offset, check, is_ended)


def _is_whole(body: memoryview, length: int, stored: int, number: int, known: int, previous: int, kind: int) -> bool:
    return zlib.crc32(body, zlib.crc32(FRAME_HEADER.pack(length, 0, number, known, previous, kind))) == stored


def find_proof(tail: bytes, commit: int) -> int | None:
    """The number of a whole frame in `tail`, at any offset, whose writer knew `commit` to be on the disk.

    Frames up to 65,536 commits further on are found; a journal with a bad frame has its next one right behind.
    """
    tail = tail.rstrip(b"\0")
    high = b"|".join(re.escape(number.to_bytes(8, "little")[2:]) for number in (commit, commit + 0x10000))
    # A frame's number and durable mark agree in their high bytes with the number that is looked for.
    pattern = re.compile(rb"(?=..(?:%b)..(?:%b)....[\x01\x02]\0\0\0)" % (high, high), re.DOTALL)
    for match in pattern.finditer(tail, 8):
        begin = match.start() - 8
        length, stored, number, known, previous, kind = FRAME_HEADER.unpack_from(tail, begin)
        end = begin + HEADER_BYTES + length
        if known <= commit or length == 0 or end > len(tail):
            continue
        body = memoryview(tail)[begin + HEADER_BYTES : end]
        if _is_whole(body, length, stored, number, known, previous, kind):
            return int(number)
    return None


def is_torn(data: bytes, offset: int, commit: int, where: str) -> bool:
    """True if anything but zeros stands from `offset` on, where commit `commit` was expected.

    Raises:
        CorruptLogError: a frame further on proves that `commit` was on the disk.
    """
    tail = data[offset:]
    if tail == bytes(len(tail)):
        return False
    proof = find_proof(tail, commit)
    if proof is not None:
        raise CorruptLogError(
            f"{where}, offset {offset}: commit {commit} cannot be read, but frame {proof} behind it says that it was "
            "on the disk",
            hint=_DAMAGED,
        )
    return True


class JournalFile:
    """A journal that is open for reading, and the place up to which it was read.

    `commit` is the number of the next commit, `offset` where its frame will stand, `check` what it must follow.
    """

    def __init__(self, files: Files, folder: str, start: int, log_id: uuid.UUID, flags: int = READ) -> None:
        self.files = files
        self.folder = folder
        self.log_id = log_id
        self.path = f"{folder}/{journal_file(start)}"
        self.start = start
        self.commit = start
        self.offset = HEADER_BYTES
        self.check = first_check(start)
        self.is_ended = False
        self.is_torn = False
        self.torn_bytes = b""
        self.descriptor = files.open(self.path, flags)

    def close(self) -> None:
        """Close the file, once."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            self.files.close(descriptor)

    def load(self) -> tuple[bytes, Scan]:
        """Read the file from its beginning: all its bytes and the frames in them.

        Raises:
            CorruptLogError: the header is not this journal's, or a bad place was on the disk.
        """
        data = self.files.pread(self.descriptor, self.files.size(self.descriptor), 0)
        if data[:HEADER_BYTES] != file_header(self.start, self.log_id):
            raise CorruptLogError(
                f"{self.path}: its first {HEADER_BYTES} bytes are not the header of journal {self.start} of log "
                f"{self.log_id}",
                hint="the file is damaged or from another store: restore it from a copy",
            )
        found = scan(data, HEADER_BYTES, self.start, first_check(self.start), self.path)
        self.commit, self.offset, self.check = self.start, HEADER_BYTES, first_check(self.start)
        self.is_torn = not found.is_ended and is_torn(data, found.end, self.start + len(found.bodies), self.path)
        self.torn_bytes = data[found.end : found.end + HEADER_BYTES] if self.is_torn else b""
        self._take(found, 0)
        return data, found

    def _take(self, found: Scan, base: int) -> None:
        self.commit += len(found.bodies)
        self.offset = base + found.end
        self.check = found.check
        self.is_ended = found.is_ended

    def follow(self, probe_bytes: int) -> list[Scan]:
        """Read the frames that were added since, with one small read if there are none.

        The offsets in the scans count from the file's beginning. `is_torn` tells whether there is something behind
        them that is no frame; it may be one that another process is just writing.
        """
        found: list[Scan] = []
        want = probe_bytes
        while not self.is_ended:
            data = self.files.pread(self.descriptor, want, self.offset)
            if data[:HEADER_BYTES] == _NOTHING or not data:
                self.is_torn, self.torn_bytes = False, b""
                break
            base = self.offset
            part = scan(data, 0, self.commit, self.check, self.path)
            if part.end:
                self._take(part, base)
                found.append(part._replace(ends=[base + end for end in part.ends], end=base + part.end))
                continue
            length = int.from_bytes(data[:4], "little") if len(data) >= HEADER_BYTES else 0
            if (
                len(data) < want
                or 0 < length <= len(data) - HEADER_BYTES
                or (length == 0 and len(data) >= HEADER_BYTES)
            ):
                # The frame is here in full and bad, or the file ends inside it.
                self.is_torn = data != bytes(len(data))
                self.torn_bytes = data[:HEADER_BYTES]
                break
            rest = self.files.size(self.descriptor) - self.offset
            want = max(min(max(2 * want, HEADER_BYTES + length), rest + 1), want + 1)
        else:
            self.is_torn = False
        return found


class Journal(JournalFile):
    """The journal that is written to. Every method but `sync` needs the log's lock."""

    def __init__(self, files: Files, folder: str, start: int, log_id: uuid.UUID, grow_bytes: int) -> None:
        super().__init__(files, folder, start, log_id, READ_WRITE)
        self.grow_bytes = grow_bytes
        self.allocated = HEADER_BYTES

    def recover(self) -> Scan:
        """Read the file, cut what is torn, and make certain that all the rest is on the disk.

        A frame that no later one proves durable may be in the page cache alone: after a failed sync the system
        forgets that its pages were never written. So these frames are written again.

        Raises:
            CorruptLogError: see `load`; nothing was changed.
            OSError: a write or sync failed; the journal must not be used.
        """
        data, found = self.load()
        must_sync = False
        if self.is_torn:
            self.files.truncate(self.descriptor, self.offset)
            self.is_torn = False
            must_sync = True
        proven = max(0, max(found.durable, self.start) - self.start)
        doubtful = HEADER_BYTES if proven == 0 else found.ends[proven - 1]
        if doubtful < found.end:
            write_all(self.files, self.descriptor, memoryview(data)[doubtful : found.end], doubtful)
            must_sync = True
        if must_sync:
            self.files.sync_data(self.descriptor)
        # Its own name may be younger than the last sync of the folder, if the one who made it was killed.
        self.files.sync_directory(self.folder)
        self.allocated = self.files.size(self.descriptor)
        return found

    def catch_up(self, probe_bytes: int) -> list[Scan]:
        """Read what other processes appended, and cut what one of them left torn.

        Raises:
            CorruptLogError: see `is_torn`; nothing was changed.
        """
        found = self.follow(probe_bytes)
        if self.is_torn:
            rest = self.files.pread(self.descriptor, self.files.size(self.descriptor) - self.offset, self.offset)
            if is_torn(rest, 0, self.commit, self.path):
                self.files.truncate(self.descriptor, self.offset)
                self.files.sync_data(self.descriptor)
                self.allocated = self.offset
            self.is_torn = False
        return found

    def append(self, bodies: Sequence[bytes], durable: int) -> None:
        """Write the frames of `bodies` as the next commits, with one call.

        Raises:
            OSError: the write failed. It was undone as far as the disk allows; the journal must not be used.
        """
        commit, check = self.commit, self.check
        frames = []
        for body in bodies:
            if len(body) > BODY_BYTES_MAX:
                raise InvalidInputError(f"commit {commit} has {len(body)} bytes, a journal takes {BODY_BYTES_MAX}")
            data, check = frame(body, commit, durable, check)
            frames.append(data)
            commit += 1
        self._write(frames[0] if len(frames) == 1 else b"".join(frames))
        self.commit, self.check = commit, check

    def end(self, durable: int) -> None:
        """Write the END frame and sync: this journal is frozen, and all of it is on the disk.

        Raises:
            OSError: the journal must not be used.
        """
        data, check = frame(_END_BODY, self.commit, durable, self.check, END_FRAME)
        self._write(data)
        self.sync()
        self.check, self.is_ended = check, True

    def sync(self) -> None:
        """Return once all that was written is on the disk.

        Raises:
            OSError: it may never get there; the journal must not be used.
        """
        self.files.sync_data(self.descriptor)

    def _write(self, data: bytes) -> None:
        end = self.offset + len(data)
        try:
            if end > self.allocated:
                self._grow(end)
            write_all(self.files, self.descriptor, data, self.offset)
        except OSError:
            self._undo()
            raise
        self.offset = end

    def _grow(self, end: int) -> None:
        """Let the file reach `end` and beyond, so that a full disk is found before a frame is written."""
        size = self.files.size(self.descriptor)
        if size < end and self.grow_bytes:
            target = -(-end // self.grow_bytes) * self.grow_bytes
            write_all(self.files, self.descriptor, bytes(target - size), size)
            size = target
        self.allocated = max(size, end)

    def _undo(self) -> None:
        try:
            self.files.truncate(self.descriptor, self.offset)
        except OSError:
            return


def create_journal(files: Files, folder: str, start: int, log_id: uuid.UUID) -> None:
    """Make the journal whose first commit is `start`, durably; an ended, empty one of this name is replaced.

    Raises:
        OSError: it may or may not be there.
    """
    name = journal_file(start)
    replace_file(files, folder, temporary_file(name), name, file_header(start, log_id))


def read_journal(files: Files, folder: str, start: int, log_id: uuid.UUID) -> tuple[JournalFile, bytes, Scan]:
    """Read a whole journal; the file is closed again.

    Raises:
        FileNotFoundError: it is not there (any more).
        CorruptLogError: see `JournalFile.load`.
    """
    journal = JournalFile(files, folder, start, log_id)
    try:
        data, found = journal.load()
    finally:
        journal.close()
    return journal, data, found
