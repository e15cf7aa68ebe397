"""A file system in memory that loses power, fails, fills up and writes short: for tests of what must survive.

`SimulatedFiles` keeps, for each file, what programs see and what is on the disk. A power loss lets any subset of the
512-byte sectors that were not synced survive, and of the changes to a folder a beginning or any subset. A failed sync
behaves as on Linux: some of the bytes are lost, the pages count as clean, and each descriptor that was open is told
once. A folder's failed sync leaves its changes waiting.

`CrashFiles` stands before any other `Files`, also the real one, and stops before the n-th change.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from typing import NamedTuple

from stratalog.eventlog.files import Bytes, Files, FileStat

SECTOR = 512


class PowerLoss(BaseException):
    """The power went: nothing runs any more until `restart`."""


class Stopped(BaseException):
    """The process was killed: what it wrote stays with the system, its locks are free."""


class _Write(NamedTuple):
    offset: int
    data: bytes


class _File:
    """What programs see, what is on the disk, and the changes between the two (an int cuts the file)."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.disk = bytearray()
        self.waiting: list[_Write | int] = []
        self.failures = 0
        self.changed_s = 0.0


class _Folder:
    """The same for names; a change is (name that goes or None, name that comes or None, what it names)."""

    def __init__(self) -> None:
        self.seen: dict[str, _File | _Folder] = {}
        self.disk: dict[str, _File | _Folder] = {}
        self.waiting: list[tuple[str | None, str | None, _File | _Folder | None]] = []


class _Open(NamedTuple):
    node: _File | _Folder
    owner: object


class SimulatedFiles:
    """`Files` in memory, for one thread. All faults are drawn from `rng`, so a seed repeats a run.

    Attributes:
        stop_in: the power goes at the so-many-th change from now; None: never.
        capacity: bytes that all files together may have; None: no limit.
        any_subset: folders keep any subset of their unsynced changes, not only a beginning.
        now_s: the clock that file ages are told by.
        on_change: called before each change with its name.
        on_open: called before a file is opened that is there already.
        failing: errno to raise for the so-many-th call of a kind from now, as {"sync_data": (3, errno.EIO)}.
    """

    def __init__(self, rng: random.Random, *, any_subset: bool = False) -> None:
        self.rng = rng
        self.any_subset = any_subset
        self.stop_in: int | None = None
        self.capacity: int | None = None
        self.now_s = 0.0
        self.on_change: Callable[[str], None] | None = None
        self.on_open: Callable[[], None] | None = None
        self.failing: dict[str, tuple[int, int]] = {}
        self.changes = 0
        self._root = _Folder()
        self._open: dict[int, _Open] = {}
        self._told: dict[int, int] = {}
        self._locks: dict[int, int] = {}
        self._next_descriptor = 1000
        self.owner: object = None

    # --- faults ----------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Give power back: only what was on the disk, and what survived by chance, is there."""
        self._survive(self._root, {})
        self._open, self._told, self._locks = {}, {}, {}
        self.stop_in, self.capacity, self.on_change, self.on_open = None, None, None, None
        self.failing = {}

    def kill(self, owner: object) -> None:
        """Close every descriptor that was opened while `owner` was set, and free its locks."""
        for descriptor in [number for number, entry in self._open.items() if entry.owner is owner]:
            self.close(descriptor)

    def evict(self) -> None:
        """Drop clean pages from memory: what a failed sync lost becomes visible."""
        for node in self._files(self._root):
            if not node.waiting:
                node.seen = bytearray(node.disk)

    def flip(self, path: str, offset: int, bit: int) -> None:
        """Flip one bit of a file, on the disk and in memory."""
        node = self._file(path)
        node.seen[offset] ^= 1 << bit
        node.disk = bytearray(node.seen)

    def copy(self) -> dict[str, bytes]:
        """All files, as programs see them."""
        found: dict[str, bytes] = {}
        self._collect(self._root, "", found)
        return found

    def _collect(self, folder: _Folder, path: str, found: dict[str, bytes]) -> None:
        for name, node in folder.seen.items():
            if isinstance(node, _Folder):
                self._collect(node, f"{path}/{name}", found)
            else:
                found[f"{path}/{name}"] = bytes(node.seen)

    def _files(self, folder: _Folder) -> list[_File]:
        found: list[_File] = []
        for node in folder.seen.values():
            found.extend(self._files(node) if isinstance(node, _Folder) else [node])
        return found

    def _survive(self, folder: _Folder, done: dict[int, bool]) -> None:
        kept = folder.waiting
        if self.any_subset:
            kept = [change for change in kept if self.rng.random() < 0.6]
        else:
            kept = kept[: self.rng.randint(0, len(kept))]
        names = dict(folder.disk)
        for gone, came, node in kept:
            if gone is not None:
                names.pop(gone, None)
            if came is not None and node is not None:
                names[came] = node
        folder.seen, folder.disk, folder.waiting = dict(names), dict(names), []
        for node in names.values():
            if id(node) in done:
                continue
            done[id(node)] = True
            if isinstance(node, _Folder):
                self._survive(node, done)
            else:
                node.disk = self._surviving(node)
                node.seen, node.waiting, node.failures = bytearray(node.disk), [], 0

    def _surviving(self, node: _File) -> bytearray:
        rng = self.rng
        mode = rng.choice(("all", "none", "prefix", "subset", "subset"))
        disk = bytearray(node.disk)
        if mode == "none":
            return disk
        # "all" is what waits, not what is seen: what a failed sync lost before stays lost.
        changes = node.waiting[: rng.randint(0, len(node.waiting))] if mode == "prefix" else node.waiting
        for change in changes:
            if mode == "subset" and rng.random() < 0.3:
                continue
            if isinstance(change, int):
                del disk[change:]
                continue
            end = change.offset + len(change.data)
            disk.extend(bytes(max(0, end - len(disk))))
            begin = change.offset
            while begin < end:
                stop = min((begin // SECTOR + 1) * SECTOR, end)
                if mode != "subset" or rng.random() < 0.6:
                    disk[begin:stop] = change.data[begin - change.offset : stop - change.offset]
                begin = stop
        return disk

    def _change(self, call: str) -> None:
        if self.on_change is not None:
            self.on_change(call)
        self._fail(call)
        self.changes += 1
        if self.stop_in is not None:
            self.stop_in -= 1
            if self.stop_in < 0:
                raise PowerLoss

    def _fail(self, call: str) -> None:
        if call in self.failing:
            left, number = self.failing[call]
            if left <= 1:
                del self.failing[call]
                raise OSError(number, os.strerror(number))
            self.failing[call] = (left - 1, number)

    # --- names -----------------------------------------------------------------------------------------------

    def _find(self, path: str) -> _File | _Folder:
        node: _File | _Folder = self._root
        for name in path.strip("/").split("/"):
            if not name:
                continue
            if not isinstance(node, _Folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            if name not in node.seen:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            node = node.seen[name]
        return node

    def _file(self, path: str) -> _File:
        node = self._find(path)
        if isinstance(node, _Folder):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return node

    def _folder_of(self, path: str) -> tuple[_Folder, str]:
        parent, _, name = path.rstrip("/").rpartition("/")
        node = self._find(parent)
        if not isinstance(node, _Folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return node, name

    def open(self, path: str, flags: int) -> int:
        """Open a file, or a folder for locking."""
        if self.on_open is not None and not flags & os.O_CREAT:
            self.on_open()
        folder, name = self._folder_of(path)
        if name not in folder.seen:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            self._change("open")
            made = _File()
            made.changed_s = self.now_s
            folder.seen[name] = made
            folder.waiting.append((None, name, made))
        node = folder.seen[name]
        if flags & os.O_TRUNC and isinstance(node, _File) and node.seen:
            node.seen = bytearray()
            node.waiting.append(0)
        self._next_descriptor += 1
        self._open[self._next_descriptor] = _Open(node, self.owner)
        if isinstance(node, _File):
            self._told[self._next_descriptor] = node.failures
        return self._next_descriptor

    def close(self, descriptor: int) -> None:
        """Close, and free the lock that hangs on the descriptor."""
        node = self._open.pop(descriptor).node
        self._told.pop(descriptor, None)
        if self._locks.get(id(node)) == descriptor:
            del self._locks[id(node)]

    def rename(self, source: str, target: str) -> None:
        """Rename, atomically."""
        self._change("rename")
        folder, old = self._folder_of(source)
        other, new = self._folder_of(target)
        assert folder is other, "the log renames within one folder only"
        node = folder.seen.pop(old, None)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
        folder.seen[new] = node
        folder.waiting.append((old, new, node))

    def unlink(self, path: str) -> None:
        """Remove a name."""
        self._change("unlink")
        folder, name = self._folder_of(path)
        if name not in folder.seen:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        del folder.seen[name]
        folder.waiting.append((name, None, None))

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        self._change("mkdir")
        folder, name = self._folder_of(path)
        if name in folder.seen:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        made = _Folder()
        folder.seen[name] = made
        folder.waiting.append((None, name, made))

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, in a random order."""
        node = self._find(path)
        if not isinstance(node, _Folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        names = list(node.seen)
        self.rng.shuffle(names)
        return names

    def stat(self, path: str) -> FileStat:
        """Size, age and kind."""
        node = self._find(path)
        if isinstance(node, _Folder):
            return FileStat(0, 0.0, True)
        return FileStat(len(node.seen), self.now_s - node.changed_s, False)

    def sync_directory(self, path: str) -> None:
        """Bring a folder's names to the disk."""
        node = self._find(path)
        assert isinstance(node, _Folder)
        try:
            self._change("sync_directory")
        except PowerLoss:
            if self.rng.random() < 0.5:
                node.disk, node.waiting = dict(node.seen), []
            raise
        node.disk, node.waiting = dict(node.seen), []

    # --- bytes -----------------------------------------------------------------------------------------------

    def _node(self, descriptor: int) -> _File:
        if descriptor not in self._open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        node = self._open[descriptor].node
        assert isinstance(node, _File)
        return node

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        """Read what programs see."""
        return bytes(self._node(descriptor).seen[offset : offset + size])

    def size(self, descriptor: int) -> int:
        """The size that programs see."""
        return len(self._node(descriptor).seen)

    def pwrite(self, descriptor: int, data: Bytes, offset: int) -> int:
        """Write all, or now and then only some."""
        node = self._node(descriptor)
        size = len(data)
        count = self.rng.choice((size, size, size, self.rng.randint(1, size))) if size else 0
        try:
            self._change("pwrite")
        except (PowerLoss, Stopped):
            self._write(node, bytes(data[: self.rng.randint(0, count)]), offset)
            raise
        if self.capacity is not None:
            used = sum(len(file.seen) for file in self._files(self._root))
            room = self.capacity - used + max(0, len(node.seen) - offset)
            if room <= 0 and count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            count = min(count, room)
        self._write(node, bytes(data[:count]), offset)
        return count

    def _write(self, node: _File, data: bytes, offset: int) -> None:
        node.seen.extend(bytes(max(0, offset - len(node.seen))))
        node.seen[offset : offset + len(data)] = data
        node.waiting.append(_Write(offset, data))
        node.changed_s = self.now_s

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file."""
        self._change("truncate")
        node = self._node(descriptor)
        del node.seen[size:]
        node.waiting.append(size)
        node.changed_s = self.now_s

    def sync_data(self, descriptor: int) -> None:
        """Bring the file to the disk, or fail as Linux does."""
        self._sync(descriptor, "sync_data")

    def sync_all(self, descriptor: int) -> None:
        """The same."""
        self._sync(descriptor, "sync_all")

    def _sync(self, descriptor: int, call: str) -> None:
        node = self._node(descriptor)
        try:
            self._change(call)
        except PowerLoss:
            if self.rng.random() < 0.5:
                self._bring(node)
            raise
        except OSError:
            node.disk, node.waiting = self._surviving(node), []
            node.failures += 1
        if self._told[descriptor] != node.failures:
            self._told[descriptor] = node.failures
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._bring(node)

    def _bring(self, node: _File) -> None:
        """Bring what waits to the disk; what an earlier, failed sync lost does not wait any more."""
        for change in node.waiting:
            if isinstance(change, int):
                del node.disk[change:]
                continue
            node.disk.extend(bytes(max(0, change.offset + len(change.data) - len(node.disk))))
            node.disk[change.offset : change.offset + len(change.data)] = change.data
        node.waiting = []

    # --- locks -----------------------------------------------------------------------------------------------

    def lock(self, descriptor: int) -> None:
        """Lock; one thread cannot wait for itself, so a lock that is taken is a bug of the test or the log."""
        assert self.try_lock(descriptor), "deadlock"

    def try_lock(self, descriptor: int) -> bool:
        """Lock unless another descriptor has."""
        key = id(self._open[descriptor].node)
        if self._locks.get(key, descriptor) != descriptor:
            return False
        self._locks[key] = descriptor
        return True

    def unlock(self, descriptor: int) -> None:
        """Give the lock back."""
        self._locks.pop(id(self._open[descriptor].node), None)


class CrashFiles:
    """Another `Files`, with a stop before one of its changes: every change from there on raises `Stopped`.

    Args:
        inner: the file system to change.
        stop_at: the number of changes that still happen; None: all of them.
    """

    def __init__(self, inner: Files, stop_at: int | None = None) -> None:
        self.inner = inner
        self.stop_at = stop_at
        self.changes = 0

    def _change(self) -> None:
        if self.stop_at is not None and self.changes >= self.stop_at:
            raise Stopped
        self.changes += 1

    def open(self, path: str, flags: int) -> int:
        """Open; counts as a change if it may make a file."""
        if flags & os.O_CREAT:
            self._change()
        return self.inner.open(path, flags)

    def close(self, descriptor: int) -> None:
        """Close."""
        self.inner.close(descriptor)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        """Read."""
        return self.inner.pread(descriptor, size, offset)

    def pwrite(self, descriptor: int, data: Bytes, offset: int) -> int:
        """Write; the write that is stopped leaves its first half behind."""
        try:
            self._change()
        except Stopped:
            if self.changes == self.stop_at and len(data) > 1:
                self.inner.pwrite(descriptor, data[: len(data) // 2], offset)
                self.stop_at = -1
            raise
        return self.inner.pwrite(descriptor, data, offset)

    def size(self, descriptor: int) -> int:
        """Size."""
        return self.inner.size(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut."""
        self._change()
        self.inner.truncate(descriptor, size)

    def sync_data(self, descriptor: int) -> None:
        """Sync."""
        self._change()
        self.inner.sync_data(descriptor)

    def sync_all(self, descriptor: int) -> None:
        """Sync."""
        self._change()
        self.inner.sync_all(descriptor)

    def sync_directory(self, path: str) -> None:
        """Sync."""
        self._change()
        self.inner.sync_directory(path)

    def rename(self, source: str, target: str) -> None:
        """Rename."""
        self._change()
        self.inner.rename(source, target)

    def unlink(self, path: str) -> None:
        """Remove."""
        self._change()
        self.inner.unlink(path)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        self._change()
        self.inner.mkdir(path)

    def listdir(self, path: str) -> list[str]:
        """List."""
        return self.inner.listdir(path)

    def stat(self, path: str) -> FileStat:
        """Ask."""
        return self.inner.stat(path)

    def lock(self, descriptor: int) -> None:
        """Lock."""
        self.inner.lock(descriptor)

    def try_lock(self, descriptor: int) -> bool:
        """Lock."""
        return self.inner.try_lock(descriptor)

    def unlock(self, descriptor: int) -> None:
        """Unlock."""
        self.inner.unlock(descriptor)
