"""The file calls that the log is made of, so that a test can stand in for the disk and break each of them.

Every method raises `OSError` as the operating system gives it; `storage_error` makes one into the log's own error at
the border. A descriptor is a plain int, a path is text.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import sys
import time
from typing import NamedTuple, Protocol

from stratalog.eventlog.errors import ErrorCode, StorageError

READ = os.O_RDONLY
READ_WRITE = os.O_RDWR
CREATE = os.O_RDWR | os.O_CREAT
CREATE_EMPTY = os.O_RDWR | os.O_CREAT | os.O_TRUNC

Bytes = bytes | bytearray | memoryview


class FileStat(NamedTuple):
    """What the log asks about a file: size in bytes, seconds since its last change, whether it is a folder."""

    size: int
    age_s: float
    is_folder: bool


class Files(Protocol):
    """A file system, as far as the log needs one."""

    def open(self, path: str, flags: int) -> int:
        """Open `path` with one of the flags above; the descriptor is closed on exec."""
        ...

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        ...

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes at `offset`; fewer only at the end of the file."""
        ...

    def pwrite(self, descriptor: int, data: Bytes, offset: int) -> int:
        """Write some of `data` at `offset` and tell how much; `write_all` writes all of it."""
        ...

    def size(self, descriptor: int) -> int:
        """The file's size in bytes."""
        ...

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def sync_data(self, descriptor: int) -> None:
        """Return once the file's bytes, and the size they need, are on the disk."""
        ...

    def sync_all(self, descriptor: int) -> None:
        """Return once the file's bytes and all that is known of it are on the disk."""
        ...

    def sync_directory(self, path: str) -> None:
        """Return once the names in a folder are on the disk."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, taking it from a file that had it."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a name."""
        ...

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        ...

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, in any order."""
        ...

    def stat(self, path: str) -> FileStat:
        """Size, age and kind of what has this name."""
        ...

    def lock(self, descriptor: int) -> None:
        """Wait until no other descriptor has the file locked, then lock it."""
        ...

    def try_lock(self, descriptor: int) -> bool:
        """Lock the file unless another descriptor has; tell which."""
        ...

    def unlock(self, descriptor: int) -> None:
        """Give the lock back."""
        ...


class LocalFiles:
    """The real file system.

    On macOS a sync is `F_FULLFSYNC`, because `fsync` there leaves the bytes in the drive's cache.
    """

    def open(self, path: str, flags: int) -> int:
        """Open `path`; new files may be read by all, written by their owner, within the umask."""
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        """Read; one system call gives at most 2 GiB, so large reads take several."""
        data = os.pread(descriptor, size, offset)
        if len(data) == size or size < _ONE_READ:
            return data
        parts = [data]
        while data and size > len(data):
            size -= len(data)
            offset += len(data)
            data = os.pread(descriptor, size, offset)
            parts.append(data)
        return b"".join(parts)

    def pwrite(self, descriptor: int, data: Bytes, offset: int) -> int:
        """Write some of `data`."""
        return os.pwrite(descriptor, data, offset)

    def size(self, descriptor: int) -> int:
        """The file's size in bytes."""
        return os.fstat(descriptor).st_size

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file."""
        os.ftruncate(descriptor, size)

    if sys.platform == "darwin":

        def sync_data(self, descriptor: int) -> None:
            """Flush the file through the drive's cache."""
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)

        def sync_all(self, descriptor: int) -> None:
            """Flush the file through the drive's cache."""
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)

    else:

        def sync_data(self, descriptor: int) -> None:
            """`fdatasync`."""
            os.fdatasync(descriptor)

        def sync_all(self, descriptor: int) -> None:
            """`fsync`."""
            os.fsync(descriptor)

    def sync_directory(self, path: str) -> None:
        """Flush a folder's names."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: str, target: str) -> None:
        """Rename, atomically."""
        os.rename(source, target)

    def unlink(self, path: str) -> None:
        """Remove a name."""
        os.unlink(path)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        os.mkdir(path)

    def listdir(self, path: str) -> list[str]:
        """The names in a folder."""
        return os.listdir(path)

    def stat(self, path: str) -> FileStat:
        """Size, age and kind."""
        found = os.stat(path)
        return FileStat(found.st_size, time.time() - found.st_mtime, (found.st_mode & 0o170000) == 0o040000)

    def lock(self, descriptor: int) -> None:
        """`flock`."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def try_lock(self, descriptor: int) -> bool:
        """`flock` without waiting."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self, descriptor: int) -> None:
        """`flock` again."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_ONE_READ = 1 << 30

LOCAL_FILES = LocalFiles()


def write_all(files: Files, descriptor: int, data: Bytes, offset: int) -> None:
    """Write all of `data`; a call that wrote only a part is followed by another.

    Raises:
        OSError: the disk is full or failed; a beginning of `data` may be there.
    """
    written = files.pwrite(descriptor, data, offset)
    if written == len(data):
        return
    view = memoryview(data)
    while written < len(data):
        more = files.pwrite(descriptor, view[written:], offset + written)
        if more <= 0:
            raise OSError(errno.EIO, "a write made no progress")
        written += more


def read_file(files: Files, path: str) -> bytes:
    """All bytes of a file."""
    descriptor = files.open(path, READ)
    try:
        return files.pread(descriptor, files.size(descriptor), 0)
    finally:
        files.close(descriptor)


def create_temporary(files: Files, path: str) -> int:
    """Open a new, half-made file, locked for as long as it is open: no sweep takes it from a living process."""
    descriptor = files.open(path, CREATE_EMPTY)
    files.lock(descriptor)
    return descriptor


def is_abandoned(files: Files, path: str) -> bool:
    """True if no process has a half-made file open any more.

    Raises:
        FileNotFoundError: it is not there (any more).
    """
    descriptor = files.open(path, READ)
    try:
        return files.try_lock(descriptor)
    finally:
        files.close(descriptor)


def replace_file(files: Files, folder: str, temporary: str, name: str, data: Bytes) -> None:
    """Give `data` the name `name` in `folder`, durably: readers see the old file or the whole new one.

    Raises:
        OSError: nothing has changed, or (when only the folder's sync failed) the name may not last.
    """
    path = f"{folder}/{temporary}"
    descriptor = create_temporary(files, path)
    try:
        write_all(files, descriptor, data, 0)
        # Bytes before the name: a named file is whole.
        files.sync_all(descriptor)
        files.rename(path, f"{folder}/{name}")
    except OSError:
        discard(files, path)
        raise
    finally:
        files.close(descriptor)
    files.sync_directory(folder)


def discard(files: Files, path: str) -> None:
    """Remove a file that nobody needs; what cannot be removed now is swept later."""
    try:
        files.unlink(path)
    except OSError:
        return


_CODES = {
    errno.ENOSPC: ErrorCode.DISK_FULL,
    errno.EDQUOT: ErrorCode.DISK_FULL,
    errno.EACCES: ErrorCode.PERMISSION_DENIED,
    errno.EPERM: ErrorCode.PERMISSION_DENIED,
    errno.EROFS: ErrorCode.PERMISSION_DENIED,
}

_HINTS = {
    ErrorCode.DISK_FULL: "free some space, then open the store again; what was acknowledged is safe",
    ErrorCode.PERMISSION_DENIED: "check the owner and the mode of the folder, or open the store read-only",
    ErrorCode.SYNC_FAILED: "check the disk, then open the store again; what was acknowledged is safe",
    ErrorCode.STORAGE_FAILED: "check the disk and the folder, then open the store again",
}


def storage_error(error: OSError, where: str, doing: str, code: ErrorCode | None = None) -> StorageError:
    """The log's error for one of the operating system.

    Args:
        error: what a file call raised.
        where: the file or folder.
        doing: what was tried, as in "cannot <doing>".
        code: for everything that is neither a full disk nor a matter of permission.
    """
    found = _CODES.get(error.errno or 0, code or ErrorCode.STORAGE_FAILED)
    reason = error.strerror or str(error) or type(error).__name__
    return StorageError(f"{where}: cannot {doing}: {reason}", code=found, hint=_HINTS[found])


class FileReader(io.RawIOBase):
    """A file as Python's readers want it, over `Files`; pyarrow reads segments through this."""

    def __init__(self, files: Files, path: str) -> None:
        super().__init__()
        self._files = files
        self._descriptor = files.open(path, READ)
        self.size = files.size(self._descriptor)
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the position on, all that follow if negative."""
        data = self.read_at(self.size - self._position if size < 0 else size, self._position)
        self._position += len(data)
        return data

    def read_at(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes at `offset`."""
        return self._files.pread(self._descriptor, size, offset)

    def close(self) -> None:
        """Close the file, once."""
        if not self.closed:
            self._files.close(self._descriptor)
        super().close()


class FileWriter(io.RawIOBase):
    """A new, half-made file that grows by `write`, in steps of 1 MiB; pyarrow writes segments through this.

    After a failed write every other one is refused, so that no caller's clean-up can write on.
    """

    STEP = 1 << 20

    def __init__(self, files: Files, path: str) -> None:
        super().__init__()
        self._files = files
        self.descriptor = create_temporary(files, path)
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._written = 0
        self.failure: BaseException | None = None

    def writable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The number of bytes written so far."""
        return self._written + self._waiting_size

    def write(self, data: Bytes) -> int:  # type: ignore[override]
        """Take all of `data`."""
        part = bytes(data)
        self._waiting.append(part)
        self._waiting_size += len(part)
        if self._waiting_size >= self.STEP:
            self.push()
        return len(part)

    def push(self) -> None:
        """Hand everything that waits to the file."""
        if self.failure is not None:
            raise self.failure
        data = b"".join(self._waiting)
        self._waiting, self._waiting_size = [], 0
        try:
            if data:
                write_all(self._files, self.descriptor, data, self._written)
        except BaseException as error:
            self.failure = error
            raise
        self._written += len(data)

    def close(self) -> None:
        """Close the file, once, without writing what still waits."""
        if not self.closed:
            self._files.close(self.descriptor)
        super().close()
