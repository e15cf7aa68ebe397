"""Merging neighbours among the segments into larger ones, and sweeping away what nobody needs any more.

A merge writes one more file; nothing else changes. What it covers goes later, in a sweep, so that a reader which
has listed the folder still finds the files that it is about to open.

Source: docs/format.md, "Which file to read".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise

import pyarrow as pa

from stratalog.eventlog.commit import leaf_hash
from stratalog.eventlog.errors import CorruptLogError
from stratalog.eventlog.files import Files, is_abandoned
from stratalog.eventlog.folder import Listing, SegmentName, list_log
from stratalog.eventlog.segment import SCHEMA, OpenSegment, SegmentInfo, SegmentWriter, written_by
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.tree import TreeRoot

_DAMAGED = "one of the files is damaged: restore it from a copy"


def level(size: int, settings: LogSettings) -> int:
    """The level of a segment of `size` bytes."""
    found, limit = 0, settings.merge_level_bytes
    while size > limit:
        found += 1
        limit *= settings.merge_count
    return found


def choose(sizes: Sequence[int], settings: LogSettings) -> tuple[int, int] | None:
    """Which neighbours to merge: `[first, end)` in the list of sizes, or None.

    Of the lowest level that has them, `merge_count` segments with none of a higher level between them, together with
    the smaller ones between them; as many of these as fit into `merge_bytes`. So each byte is written again
    once a level, and the number of segments grows with the logarithm of the log's size.
    """
    levels = [level(size, settings) for size in sizes]
    for wanted in sorted(set(levels)):
        of_level: list[int] = []
        for index, found in enumerate(levels):
            if found > wanted:
                of_level = []
            elif found == wanted:
                of_level.append(index)
            if len(of_level) == settings.merge_count:
                end = of_level[0] + 1
                while end <= index and sum(sizes[of_level[0] : end + 1]) <= settings.merge_bytes:
                    end += 1
                if end - of_level[0] > 1:
                    return of_level[0], end
                of_level = of_level[1:]
    return None


def cover_list(listing: Listing) -> list[SegmentName]:
    """The segments that readers use, from the first one on, as far as they follow one another."""
    found: list[SegmentName] = []
    position = listing.segments[0].start if listing.segments else 0
    while (segment := listing.segment_at(position)) is not None and segment.start == position:
        found.append(segment)
        position = segment.stop
    return found


def merge_once(files: Files, folder: str, log_id: uuid.UUID, settings: LogSettings) -> SegmentName | None:
    """Merge one group of segments, if there is one to merge.

    Raises:
        CorruptLogError: one of the segments is damaged; nothing was changed.
        OSError: nothing was changed.
    """
    segments = cover_list(list_log(files, folder))
    sizes = [files.stat(f"{folder}/{segment.file}").size for segment in segments]
    chosen = choose(sizes, settings)
    if chosen is None:
        return None
    return merge_segments(files, folder, log_id, segments[chosen[0] : chosen[1]], settings)


def merge_segments(
    files: Files, folder: str, log_id: uuid.UUID, segments: Sequence[SegmentName], settings: LogSettings
) -> SegmentName:
    """Write one segment with the rows of several neighbours, durably; memory holds some row groups."""
    with ExitStack() as stack:
        parts = [stack.enter_context(OpenSegment(files, f"{folder}/{segment.file}")) for segment in segments]
        info = _merged_info(parts, log_id)
        writer = SegmentWriter(files, folder, settings)
        stack.callback(writer.close)
        for table in _regrouped(parts, settings):
            writer.write(table)
        return writer.finish(info, lambda path: _check_equal(files, path, parts))


def _merged_info(parts: Sequence[OpenSegment], log_id: uuid.UUID) -> SegmentInfo:
    """What the merged segment says of itself, with every record and root of the parts checked on the way."""
    whole = TreeRoot()
    infos = [part.info for part in parts]
    for before, after in pairwise(infos):
        if (before.stop, before.end_seq) != (after.start, after.first_seq):
            raise CorruptLogError(
                f"segment of commits {after.start} to {after.stop - 1} does not follow commit {before.stop - 1}, "
                f"seq {before.end_seq - 1}",
                hint=_DAMAGED,
            )
    for part in parts:
        root = TreeRoot()
        for record in part.records():
            leaf = leaf_hash(record)
            root.add(leaf)
            whole.add(leaf)
        if root.root() != part.info.root:
            raise CorruptLogError(f"{part.path}: its commits do not have the root in its metadata", hint=_DAMAGED)
    return SegmentInfo(
        log_id,
        infos[0].start,
        infos[-1].stop,
        infos[0].first_seq,
        infos[-1].end_seq,
        infos[-1].last_time_us,
        whole.root(),
        written_by(),
    )


def _regrouped(parts: Sequence[OpenSegment], settings: LogSettings) -> Iterator[pa.Table]:
    """The rows of all parts in row groups as large as the settings allow."""
    waiting: list[pa.Table] = []
    rows, size = 0, 0
    for part in parts:
        for group in part.row_groups():
            while group.num_rows:
                piece = group.slice(0, settings.row_group_rows - rows)
                waiting.append(piece)
                rows += piece.num_rows
                size += piece.column("payload").nbytes
                group = group.slice(piece.num_rows)
                if rows >= settings.row_group_rows or size >= settings.row_group_bytes:
                    yield _joined(waiting)
                    waiting, rows, size = [], 0, 0
    if waiting:
        yield _joined(waiting)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([table.cast(SCHEMA) for table in tables]).unify_dictionaries()


def _check_equal(files: Files, path: str, parts: Sequence[OpenSegment]) -> None:
    """Compare a finished file with what it was made from, row by row."""
    with OpenSegment(files, path) as merged:
        merged.check_pages()
        rest: pa.Table | None = None
        groups = merged.row_groups()
        for part in parts:
            for expected in part.row_groups():
                while rest is None or rest.num_rows < expected.num_rows:
                    following = next(groups, None)
                    if following is None:
                        raise CorruptLogError(f"{path}: rows are missing after a merge", hint=_DAMAGED)
                    rest = following if rest is None else pa.concat_tables([rest, following])
                if not _plain(rest.slice(0, expected.num_rows)).equals(_plain(expected)):
                    raise CorruptLogError(f"{path}: rows differ from those of {part.path}", hint=_DAMAGED)
                rest = rest.slice(expected.num_rows)


def _plain(table: pa.Table) -> pa.Table:
    """The table with its dictionaries written out: equal values are equal then, whatever their codes."""
    return pa.table(
        {
            name: table.column(name).cast(pa.string())
            if pa.types.is_dictionary(table.schema.field(name).type)
            else table.column(name)
            for name in table.column_names
        }
    )


def sweep(files: Files, folder: str, settings: LogSettings) -> int:
    """Remove segments that a longer one covers, and half-made files that their maker left, once the grace is over.

    It runs from when the covering segment was made, for a reader may still be about to open what that covers, and from
    the last change of a half-made file.

    Returns:
        The number of files removed.
    """
    listing = list_log(files, folder)
    covered = []
    for segment in listing.segments:
        ages = [_age_s(files, f"{folder}/{o.file}") for o in listing.segments if o.covers(segment)]
        if any(age is not None and age >= settings.grace_s for age in ages):
            covered.append(segment.file)
    stale = [name for name in listing.temporaries if _is_stale(files, f"{folder}/{name}", settings.grace_s)]
    if covered:
        # The names of the covering files must last before those that they cover go.
        files.sync_directory(folder)
    removed = 0
    for name in covered + stale:
        try:
            files.unlink(f"{folder}/{name}")
            removed += 1
        except FileNotFoundError:
            continue
    return removed


def _is_stale(files: Files, path: str, grace_s: float) -> bool:
    try:
        return files.stat(path).age_s >= grace_s and is_abandoned(files, path)
    except FileNotFoundError:
        return False


def _age_s(files: Files, path: str) -> float | None:
    try:
        return files.stat(path).age_s
    except FileNotFoundError:
        return None
