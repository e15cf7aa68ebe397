"""Turning a frozen journal into a segment."""

from __future__ import annotations

import uuid

from stratalog.eventlog.commit import decode_record
from stratalog.eventlog.errors import CorruptLogError
from stratalog.eventlog.files import Files
from stratalog.eventlog.folder import list_log
from stratalog.eventlog.journal import read_journal
from stratalog.eventlog.settings import LogSettings


def seal_journal(files: Files, folder: str, start: int, log_id: uuid.UUID, settings: LogSettings) -> int:
    """Make the frozen journal at `start` a segment, then remove it; needs no lock, may be done twice at once.

    The journal goes only when the segment was read back, compared, and has its name on the disk.

    Returns:
        1 if the journal was removed here, 0 if it had gone.

    Raises:
        CorruptLogError: the journal is damaged; it stays as it is.
        OSError: the segment could not be written; the journal stays.
    """
    try:
        journal, _, found = read_journal(files, folder, start, log_id)
    except FileNotFoundError:
        return 0
    if not journal.is_ended:
        raise CorruptLogError(
            f"{journal.path}: it ends at commit {journal.commit} without an END frame, but another journal follows",
            hint="the file is damaged: restore it from a copy",
        )
    if found.bodies:
        segment = list_log(files, folder).segment_at(start)
        if segment is not None and segment.stop >= journal.commit:
            # Somebody was stopped here before: the segment is whole, but its name may not be on the disk yet.
            files.sync_directory(folder)
        else:
            _write(files, folder, start, log_id, found.bodies, settings, journal.path)
    try:
        files.unlink(journal.path)
    except FileNotFoundError:
        return 0
    return 1


def _write(
    files: Files,
    folder: str,
    start: int,
    log_id: uuid.UUID,
    bodies: list[memoryview],
    settings: LogSettings,
    path: str,
) -> None:
    from stratalog.eventlog.segment import check_records, write_segment

    records = [decode_record(body, where=f"{path}, commit {commit}") for commit, body in enumerate(bodies, start)]
    write_segment(files, folder, log_id, records, settings, check_records(files, records))
