"""The log with one of its precautions removed: each must make the simulation find a violation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stratalog.eventlog import files as files_module
from stratalog.eventlog import journal as journal_module
from stratalog.eventlog import merge as merge_module
from stratalog.eventlog import reader as reader_module
from stratalog.eventlog import sealing as sealing_module
from stratalog.eventlog.files import Bytes, Files
from stratalog.eventlog.folder import list_log
from stratalog.eventlog.journal import Journal, JournalFile, Scan
from stratalog.eventlog.segment import SegmentWriter
from stratalog.eventlog.stores.local import LocalLog

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


class Without:
    """A file system in which one kind of call does nothing."""

    def __init__(self, inner: Files, call: str) -> None:
        self._inner = inner
        self._call = call

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            return lambda *_: None
        return getattr(self._inner, name)


def no_commit_sync(patch: Patch) -> None:
    patch.setattr(Journal, "sync", lambda journal: None)


def no_sync_of_the_end_frame(patch: Patch) -> None:
    end = Journal.end

    def forgetful(journal: Journal, durable: int) -> None:
        files, journal.files = journal.files, Without(journal.files, "sync_data")
        try:
            end(journal, durable)
        finally:
            journal.files = files

    patch.setattr(Journal, "end", forgetful)


def no_sync_of_the_folder_for_a_new_journal(patch: Patch) -> None:
    replace = files_module.replace_file

    def forgetful(files: Files, folder: str, temporary: str, name: str, data: Bytes) -> None:
        replace(Without(files, "sync_directory"), folder, temporary, name, data)

    patch.setattr(journal_module, "replace_file", forgetful)


def no_sync_of_the_folder_on_first_use(patch: Patch) -> None:
    recover = Journal.recover

    def forgetful(journal: Journal) -> Scan:
        files, journal.files = journal.files, Without(journal.files, "sync_directory")
        try:
            return recover(journal)
        finally:
            journal.files = files

    patch.setattr(Journal, "recover", forgetful)


def no_sync_of_a_segment(patch: Patch) -> None:
    _finish_without(patch, "sync_all")


def no_sync_of_the_folder_before_the_journal_goes(patch: Patch) -> None:
    _finish_without(patch, "sync_directory")


def _finish_without(patch: Patch, call: str) -> None:
    finish = SegmentWriter.finish

    def forgetful(writer: SegmentWriter, *args: Any) -> Any:
        files, writer._files = writer._files, Without(writer._files, call)
        try:
            return finish(writer, *args)
        finally:
            writer._files = files

    patch.setattr(SegmentWriter, "finish", forgetful)


def checksums_are_not_compared(patch: Patch) -> None:
    patch.setattr(journal_module, "_is_whole", lambda *_: True)


def the_doubtful_end_is_not_written_again(patch: Patch) -> None:
    recover = Journal.recover

    def trusting(journal: Journal) -> Scan:
        with pytest.MonkeyPatch.context() as inside:
            inside.setattr(journal_module, "write_all", lambda *_: None)
            return recover(journal)

    patch.setattr(Journal, "recover", trusting)


def tears_stay_and_frames_are_not_chained(patch: Patch) -> None:
    patch.setattr(journal_module, "is_torn", lambda *_: False)
    _unchain(patch)


def _unchain(patch: Patch) -> None:
    patch.setattr(journal_module, "first_check", lambda start: 0)
    frame = journal_module.frame
    patch.setattr(
        journal_module,
        "frame",
        lambda body, commit, durable, previous, kind=1: (frame(body, commit, durable, 0, kind)[0], 0),
    )
    scan = journal_module.scan

    def unchained(data: bytes, offset: int, commit: int, check: int, where: str) -> Scan:
        found = scan(data, offset, commit, 0, where)
        while not found.is_ended:
            more = scan(data, found.end, commit + len(found.bodies), 0, where)
            if more.end == found.end:
                break
            found = Scan(
                found.bodies + more.bodies,
                found.ends + more.ends,
                found.checks + more.checks,
                max(found.durable, more.durable),
                more.end,
                0,
                more.is_ended,
            )
        return found._replace(check=0, checks=[0] * len(found.checks))

    patch.setattr(journal_module, "scan", unchained)
    patch.setattr(reader_module, "scan", unchained)


def a_short_write_is_not_completed(patch: Patch) -> None:
    def careless(files: Files, descriptor: int, data: Bytes, offset: int) -> None:
        files.pwrite(descriptor, data, offset)

    patch.setattr(journal_module, "write_all", careless)


def a_failed_writer_goes_on(patch: Patch) -> None:
    patch.setattr(LocalLog, "_check_alive", lambda log: None)


def others_are_not_caught_up_with(patch: Patch) -> None:
    catch_up = LocalLog._catch_up

    def stale(log: LocalLog) -> None:
        if log._journal is None:
            catch_up(log)
        log._is_fresh = True

    patch.setattr(LocalLog, "_catch_up", stale)


def a_read_that_ends_between_two_frames_ends_the_log(patch: Patch) -> None:
    def hasty(journal: JournalFile, probe_bytes: int) -> list[Scan]:
        data = journal.files.pread(journal.descriptor, max(probe_bytes, 64), journal.offset)
        base = journal.offset
        found = journal_module.scan(data, 0, journal.commit, journal.check, journal.path)
        if not found.end and any(data):
            size = journal.files.size(journal.descriptor)
            data = journal.files.pread(journal.descriptor, size, base)
            found = journal_module.scan(data, 0, journal.commit, journal.check, journal.path)
            journal.is_torn = not found.end
        journal._take(found, base)
        return [found._replace(ends=[base + end for end in found.ends], end=base + found.end)]

    patch.setattr(JournalFile, "follow", hasty)


def a_journal_goes_before_its_segment_is_there(patch: Patch) -> None:
    write = sealing_module._write

    def hasty(files: Files, folder: str, start: int, log_id: Any, bodies: Any, settings: Any, path: str) -> None:
        files.unlink(path)
        write(files, folder, start, log_id, bodies, settings, path)

    patch.setattr(sealing_module, "_write", hasty)


def parts_go_before_the_merged_segment_is_durable(patch: Patch) -> None:
    _finish_without(patch, "sync_directory")
    merge_once = merge_module.merge_once

    def hasty(files: Files, folder: str, log_id: Any, settings: Any) -> Any:
        made = merge_once(files, folder, log_id, settings)
        if made is not None:
            for part in list_log(files, folder).segments:
                if made.covers(part):
                    files.unlink(f"{folder}/{part.file}")
        return made

    patch.setattr(merge_module, "merge_once", hasty)


def readers_do_not_list_again(patch: Patch) -> None:
    patch.setattr(reader_module, "_TRIES", 0)


MUTANTS: list[Mutant] = [
    no_commit_sync,
    no_sync_of_the_end_frame,
    no_sync_of_the_folder_for_a_new_journal,
    no_sync_of_the_folder_on_first_use,
    no_sync_of_a_segment,
    no_sync_of_the_folder_before_the_journal_goes,
    checksums_are_not_compared,
    the_doubtful_end_is_not_written_again,
    tears_stay_and_frames_are_not_chained,
    a_short_write_is_not_completed,
    a_failed_writer_goes_on,
    others_are_not_caught_up_with,
    a_read_that_ends_between_two_frames_ends_the_log,
    a_journal_goes_before_its_segment_is_there,
    parts_go_before_the_merged_segment_is_durable,
    readers_do_not_list_again,
]
