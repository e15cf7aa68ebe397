"""Every size at which the local log changes its course; tests make them small."""

from __future__ import annotations

import msgspec


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, rows and events; times in seconds.

    None of them is stored: a folder may be used with other settings at any time.
    """

    grow_bytes: int = 1 << 20
    """A journal grows in zero-filled steps of this size, so that most syncs change no file size; 0 grows by need."""
    rotate_bytes: int = 16 << 20
    """A journal of this size is ended and a new one begun."""
    rotate_events: int = 20_000
    """The same, by the number of events."""
    direct_segment_bytes: int = 8 << 20
    """A record with more bytes than this becomes a segment of its own at once."""
    probe_bytes: int = 4096
    """How much a look for other writers' records reads at first."""
    row_group_rows: int = 65_536
    """Rows in a row group of a segment."""
    row_group_bytes: int = 32 << 20
    """Payload bytes after which a row group ends early."""
    page_bytes: int = 1 << 20
    """Size of a page in a segment."""
    merge_count: int = 8
    """So many neighbours of one level are merged into one segment."""
    merge_bytes: int = 256 << 20
    """No merge makes a segment larger than this."""
    merge_level_bytes: int = 4096
    """Segments up to this size are of level 0; each further level is `merge_count` times larger."""
    grace_s: float = 600.0
    """For so long a file that is covered by another, or was left half-made, stays for those who still read it."""
