"""Finding a store in a folder, or making a new one there.

A new store is made in an order that lets every stop be seen: the log and its first journal, then FORMAT. A folder
with FORMAT holds a whole store; one without is new, half-made, or something else.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from stratalog.eventlog.errors import CorruptLogError, ErrorCode, StorageError
from stratalog.eventlog.files import CREATE, Files, replace_file, storage_error
from stratalog.eventlog.folder import (
    FORMAT_FILE,
    LOCK_FILE,
    LOG_FOLDER,
    format_text,
    journal_file,
    list_log,
    no_store,
    read_format,
    refuse_foreign,
    temporary_file,
)
from stratalog.eventlog.journal import HEADER_BYTES, create_journal

NO_LOCK = -1
"""In place of the lock's descriptor: the folder may only be read."""


def open_folder(files: Files, path: str, *, create: bool) -> uuid.UUID:
    """The id of the log in the store at `path`.

    Args:
        files: the file system.
        path: an absolute path.
        create: make a store if there is none.

    Raises:
        NotFoundError: there is no store, and none is to be made (STORE_NOT_FOUND).
        StorageError: the folder is something else (NOT_A_STORE) or of a newer format (FORMAT_TOO_NEW).
        CorruptLogError: the log folder is missing (MISSING_FILE).
        OSError: something cannot be read or made.
    """
    try:
        names = files.listdir(path)
    except NotADirectoryError as error:
        raise StorageError(
            f"{path}: not a store: it is a file",
            code=ErrorCode.NOT_A_STORE,
            hint="give the path of a store, or of an empty folder for a new one",
        ) from error
    except FileNotFoundError:
        if not create:
            raise no_store(path) from None
        _make_folders(files, path)
        names = []
    if FORMAT_FILE in names:
        log_id = read_format(files, path)
        if LOG_FOLDER not in names:
            raise CorruptLogError(
                f"{path}/{LOG_FOLDER}: the folder with the log is missing",
                code=ErrorCode.MISSING_FILE,
                hint="restore it from a copy of the store",
            )
        return log_id
    _refuse_unless_new(files, path, names)
    if not create:
        raise no_store(path)
    return _create(files, path)


def open_lock(files: Files, path: str) -> int:
    """The descriptor to lock, or `NO_LOCK` if the folder may not be written.

    Raises:
        OSError: it cannot be opened for another reason.
    """
    try:
        return files.open(f"{path}/{LOCK_FILE}", CREATE)
    except OSError as error:
        if storage_error(error, path, "open").code is not ErrorCode.PERMISSION_DENIED:
            raise
        return NO_LOCK


def _make_folders(files: Files, path: str) -> None:
    missing = []
    folder = Path(path)
    while not _is_there(files, str(folder)):
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        try:
            files.mkdir(str(folder))
        except FileExistsError:
            continue


def _sync_above(files: Files, path: str) -> None:
    for folder in Path(path).parents:
        try:
            files.sync_directory(str(folder))
        except PermissionError:
            # It was there before: whoever may not read it cannot have made anything in it.
            continue


def _is_there(files: Files, path: str) -> bool:
    try:
        files.stat(path)
    except FileNotFoundError:
        return False
    return True


def _refuse_unless_new(files: Files, path: str, names: Sequence[str]) -> None:
    """Refuse a folder without FORMAT, unless it is empty or a new store was left half-made in it."""
    if any(name not in (LOCK_FILE, LOG_FOLDER) and not name.startswith(f".{FORMAT_FILE}.") for name in names):
        raise refuse_foreign(path, names)
    if LOG_FOLDER not in names:
        return
    folder = f"{path}/{LOG_FOLDER}"
    listing = list_log(files, folder)
    if listing.segments or listing.journals not in ([], [0]):
        raise refuse_foreign(path, names)
    if listing.journals and files.stat(f"{folder}/{journal_file(0)}").size > HEADER_BYTES:
        raise refuse_foreign(path, names)


def _create(files: Files, path: str) -> uuid.UUID:
    descriptor = files.open(f"{path}/{LOCK_FILE}", CREATE)
    try:
        files.lock(descriptor)
        try:
            names = files.listdir(path)
            if FORMAT_FILE in names:
                # Somebody else was faster.
                return read_format(files, path)
            _refuse_unless_new(files, path, names)
            log_id = uuid.uuid4()
            if LOG_FOLDER not in names:
                files.mkdir(f"{path}/{LOG_FOLDER}")
            create_journal(files, f"{path}/{LOG_FOLDER}", 0, log_id)
            # All names above before FORMAT's: a folder may keep any of the changes that it was not synced for, and
            # those above may have been made by somebody who was stopped before syncing them.
            files.sync_directory(path)
            _sync_above(files, path)
            replace_file(files, path, temporary_file(FORMAT_FILE), FORMAT_FILE, format_text(log_id))
            return log_id
        finally:
            files.unlock(descriptor)
    finally:
        files.close(descriptor)
