from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.query.as_of import parse_as_of

HOUR_US = 3600 * 10**6
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
NOON_US = int(NOON.timestamp()) * 10**6
# Seqs 1-10 at noon on 1 November, 11-20 at 23:59:59.999999, 21-30 at midnight after it.
LATE_US = NOON_US + 12 * HOUR_US - 1
MIDNIGHT_US = NOON_US + 12 * HOUR_US
NOW_US = NOON_US + 30 * HOUR_US


def seq_at(time_us: int) -> int:
    return sum(10 for commit_us in (NOON_US, LATE_US, MIDNIGHT_US) if commit_us <= time_us)


def ask(when: Any) -> int:
    return parse_as_of(when, head=30, seq_at=seq_at, now_us=NOW_US)


@pytest.mark.parametrize(
    ("when", "seq"),
    [
        (0, 0),
        (17, 17),
        (30, 30),
        ("17", 17),
        ("head", 30),
        ("now", 30),
        (" NOW ", 30),
        ("2026-11-01", 20),
        (date(2026, 11, 1), 20),
        ("2026-10-31", 0),
        ("2026-11-02", 30),
        ("2026-11-01T12:00", 10),
        ("2026-11-01 11:59:59.999999", 0),
        ("2026-11-01T12:00Z", 10),
        ("2026-11-01T13:00+01:00", 10),
        ("2026-11-01T12:59:59.999999+01:00", 0),
        (NOON, 10),
        (NOON.replace(tzinfo=None), 10),
        (NOON.astimezone(timezone(timedelta(hours=5))), 10),
        (NOON - timedelta(microseconds=1), 0),
        ("2030-01-01", 30),
        ("1969-01-01", 0),
        ("-18h", 30),
        ("-1d", 10),
        ("-1d6h", 10),
        ("-30h", 10),
        ("-108001s", 0),
        ("-1w", 0),
        ("-0s", 30),
        ("-9999999999999w", 0),
    ],
)
def test_moments_become_the_last_seq_at_or_before_them(when: Any, seq: int) -> None:
    assert ask(when) == seq


NO_MOMENTS: list[Any] = ["", "yesterday", "2026-13-01", "2026-11-01T25:00", "-2", "-2y", "- 2h", "2h", "1.5", "31"]


@pytest.mark.parametrize("when", [*NO_MOMENTS, "9" * 5000, "\u0663", -1, 31, True, 1.5, None])
def test_what_is_no_moment_is_refused_with_a_hint(when: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        ask(when)

    assert caught.value.code == ErrorCode.INVALID_TIME
    assert caught.value.hint


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)))
def test_a_datetime_and_its_iso_text_are_the_same_instant_to_the_microsecond(moment: datetime) -> None:
    seen: list[int] = []

    def look_up(time_us: int) -> int:
        seen.append(time_us)
        return 0

    parse_as_of(moment, head=30, seq_at=look_up, now_us=NOW_US)
    parse_as_of(moment.isoformat(sep=" ", timespec="microseconds"), head=30, seq_at=look_up, now_us=NOW_US)

    assert seen[0] == seen[1]
    assert EPOCH + timedelta(microseconds=seen[0]) == moment.replace(tzinfo=UTC)
