"""The meaning of lineage, word for word: one node after another, one link after another."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from hypothesis import strategies as st

from stratalog.eventlog.events import Kind, Link, LinkType

Key = tuple[Kind, int]

INPUT_LIKE = ["DECLARED_INPUT", "INPUT", "INTERNAL_INPUT"]
OUTPUT_LIKE = ["DECLARED_OUTPUT", "OUTPUT", "INTERNAL_OUTPUT", "PENDING_OUTPUT"]


class Found(NamedTuple):
    hops: dict[Key, int]
    seqs: set[int]


def naive_walk(
    links: list[tuple[int, Link]],
    starts: Collection[Key],
    direction: str,
    *,
    seq: int,
    max_hops: int | None = None,
    ending: Collection[Key] = (),
    included_kinds: Collection[Kind] = (Kind.ARTIFACT, Kind.EXECUTION),
) -> Found:
    hops: dict[Key, int] = {}
    seqs: set[int] = set()
    waiting: list[tuple[Key, int]] = []
    for key in starts:
        if key not in ending or key[0] in included_kinds:
            hops[key] = 0
            waiting.append((key, 0))
    while waiting:
        key, distance = waiting.pop(0)
        if key in ending or distance == max_hops:
            continue
        for s, link in links:
            other = _other_end(key, link, direction)
            if other is None or s > seq or (other in ending and other[0] not in included_kinds):
                continue
            seqs.add(s)
            if other not in hops:
                hops[other] = distance + 1
                waiting.append((other, distance + 1))
    return Found(hops, seqs)


def _other_end(key: Key, link: Link, direction: str) -> Key | None:
    artifact, execution = (Kind.ARTIFACT, link.artifact_id), (Kind.EXECUTION, link.execution_id)
    if key not in (artifact, execution):
        return None
    word = LinkType(link.type).name
    follows = {
        "both": INPUT_LIKE + OUTPUT_LIKE,
        "down": INPUT_LIKE if key == artifact else OUTPUT_LIKE,
        "up": OUTPUT_LIKE if key == artifact else INPUT_LIKE,
    }[direction]
    return None if word not in follows else execution if key == artifact else artifact


def links(*, id_max: int = 6, count_max: int = 24) -> st.SearchStrategy[list[Link]]:
    """Links with identities of their own, in the order in which they are put."""
    ids = st.integers(1, id_max)
    identity = st.tuples(ids, ids, st.sampled_from(list(LinkType)))
    return st.lists(identity, max_size=count_max, unique=True).map(
        lambda found: [
            Link(execution_id=e, artifact_id=a, type=int(t), path=["p", e], time_ms=a * 1000) for e, a, t in found
        ]
    )


def keys(*, id_max: int = 6) -> st.SearchStrategy[Key]:
    return st.tuples(st.sampled_from([Kind.ARTIFACT, Kind.EXECUTION]), st.integers(1, id_max))


directions = st.sampled_from(["up", "down", "both"])
