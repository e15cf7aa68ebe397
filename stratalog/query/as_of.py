"""From a moment, as people write it, to a seq: the last one that was committed at or before it.

A moment is

- a seq (an integer, or a text of digits): 0 is the empty store, and it cannot lie after the head;
- `"head"` or `"now"`: the head;
- a `datetime`, or ISO text with a time: that instant; without a time zone it is UTC;
- a `date`, or ISO text without a time: the *end* of that day in UTC: what was known on 1 November is all of that day's;
- a time back from now: `"-90s"`, `"-30m"`, `"-2h"`, `"-7d"`, `"-1w"`, or several, `"-1d12h"`.

A time after the last commit means the head, one before the first commit means 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from stratalog.eventlog.errors import ErrorCode, InvalidInputError

When = int | str | date | datetime
"""A moment; see above."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BACK = re.compile(r"-((?:\d+[smhdw])+)", re.ASCII)
_PIECE = re.compile(r"(\d+)([smhdw])", re.ASCII)
_UNIT_US = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6, "w": 7 * 86_400 * 10**6}
_DIGITS = re.compile(r"\d+", re.ASCII)
_HINT = 'give a seq, "now", a date such as "2026-11-01" (its end, UTC), a time such as "2026-11-01T14:00Z", or "-2h"'


class Clock(Protocol):
    """What turns times into seqs: the tables of a store."""

    @property
    def head(self) -> int:
        """The newest seq."""
        ...

    def seq_at(self, time_us: int) -> int:
        """The last seq committed at or before a time in µs since 1970 UTC; 0 before the first commit."""
        ...


def seq_as_of(when: When, clock: Clock, *, now_us: int) -> int:
    """The seq of a moment.

    Args:
        when: the moment; see the top of this module.
        clock: the store's tables, refreshed.
        now_us: the time now in µs since 1970 UTC, from which times back are counted.

    Raises:
        InvalidInputError: `when` is no moment, or a seq below 0 or after the head (code `invalid_time`).
    """
    return parse_as_of(when, head=clock.head, seq_at=clock.seq_at, now_us=now_us)


def parse_as_of(when: When, *, head: int, seq_at: Callable[[int], int], now_us: int) -> int:
    """The same as `seq_as_of`, with the head and the look-up of times passed in."""
    if isinstance(when, bool) or not isinstance(when, int | str | date):
        raise _invalid(f"as of {when!r}: a {type(when).__name__} is no moment")
    if isinstance(when, int):
        return _checked_seq(when, head)
    if isinstance(when, datetime):
        return seq_at(_instant_us(when))
    if isinstance(when, date):
        return seq_at(_end_of_day_us(when))
    text = when.strip()
    if text.lower() in ("head", "now"):
        return head
    if _DIGITS.fullmatch(text):
        return _checked_seq(int(text) if len(text) < 20 else head + 1, head, text)
    if back := _BACK.fullmatch(text):
        return seq_at(now_us - sum(int(count) * _UNIT_US[unit] for count, unit in _PIECE.findall(back[1])))
    return seq_at(_iso_us(when, text))


def _checked_seq(seq: int, head: int, text: str | None = None) -> int:
    if 0 <= seq <= head:
        return seq
    raise _invalid(
        f"as of seq {text or seq}: the store has seqs 0 to {head}", hint='give one of these, or "now" for the newest'
    )


def _iso_us(when: str, text: str) -> int:
    try:
        return _end_of_day_us(date.fromisoformat(text))
    except ValueError:
        pass
    try:
        return _instant_us(datetime.fromisoformat(text))
    except ValueError as error:
        raise _invalid(f"as of {when!r}: this is no moment") from error


def _end_of_day_us(day: date) -> int:
    """The last microsecond of a day, UTC."""
    return _instant_us(datetime.combine(day, time.max))


def _instant_us(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def _invalid(message: str, *, hint: str = _HINT) -> InvalidInputError:
    return InvalidInputError(message, code=ErrorCode.INVALID_TIME, hint=hint)
