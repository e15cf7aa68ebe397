"""Records for the tests of the log: every one different, each easy to tell from all others."""

from __future__ import annotations

import random

from stratalog.eventlog.commit import RECORD_FORMAT, Header, Record
from stratalog.eventlog.events import Artifact, Event, Link, UnknownFact, to_event

WRITER = bytes(range(16))


def make_record(
    commit: int,
    first_seq: int,
    *,
    number: int = 0,
    events: int = 1,
    size: int = 20,
    reason: str | None = None,
    request_id: str | None = None,
    actor: str = "alice",
) -> Record:
    """A record of `events` artifacts, each with a name of about `size` letters; `number` tells it from others."""
    header = Header(
        format=RECORD_FORMAT,
        commit=commit,
        first_seq=first_seq,
        time_us=1_700_000_000_000_000 + 7 * commit,
        writer=WRITER,
        writer_seq=number,
        actor=actor,
        request_id=request_id,
        reason=reason,
    )
    return Record(header, [_artifact(first_seq + i, number, size) for i in range(events)])


def _artifact(seq: int, number: int, size: int) -> Event:
    name = f"{number}-" + "x" * size
    return to_event(Artifact(id=seq, type_id=1, name=name, state=2, uri=f"s3://bucket/{number}"))


def random_record(rng: random.Random, commit: int, first_seq: int, number: int) -> Record:
    """A record of a random size and with random fields."""
    events = rng.choice((1, 1, 1, 2, 3, 9))
    record = make_record(
        commit,
        first_seq,
        number=number,
        events=events,
        size=rng.choice((0, 5, 40, 300, 700, 1500)),
        reason=rng.choice((None, "", "because")),
        request_id=rng.choice((None, f"request-{number}")),
        actor=rng.choice(("", "alice", "bob")),
    )
    if rng.random() < 0.3:
        record.events[0] = to_event(Link(execution_id=1, artifact_id=number, type=4, path=["a", 1]))
    if rng.random() < 0.2:
        record.events[-1] = to_event(UnknownFact("novelty_seen", 7, 0, number, b"\xc0"), prev=None)
    if first_seq > 1 and rng.random() < 0.3:
        first = record.events[0]
        prev = rng.randint(1, first_seq - 1)
        record.events[0] = Event(first.kind, first.version, first.subject_kind, first.subject_id, prev, first.payload)
    return record


def history(count: int, *, size: int = 20, events: int = 1) -> list[Record]:
    """`count` records that follow one another."""
    return [
        make_record(commit, 1 + commit * events, number=commit, size=size, events=events) for commit in range(count)
    ]
