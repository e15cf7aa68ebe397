"""State: what a point read and the rules of writing need, as of the head: Tail over Base.

Reads look in the Tail first and in Base after. Base may be ahead of this process, when another one sealed newer
commits into it: a read that meets a row newer than the head raises `BehindError`; the caller catches up and reads
again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from stratalog.eventlog.commit import Header
from stratalog.eventlog.events import INT64_MAX, Kind, Link, Node, Recorded, RequestAnswer, Type
from stratalog.projections.base import Base, BaseStamp, external_key, name_key, uri_key
from stratalog.projections.system_types import FIRST_USER_TYPE_ID, SYSTEM_TYPES
from stratalog.projections.tail import CONTEXT, StoredLink, Tail, Version, next_ids_after

T = TypeVar("T")
K = TypeVar("K", int, str, tuple[int, int], tuple[int, int, int])
_KEY_MAX = 1 << 63
_KEPT_COUNT_MAX = 20_000
"""So many nodes of Base are kept in memory."""


class BehindError(Exception):
    """Base holds commits that this process has not folded yet: catch up and read again. Never leaves the store."""


class Types:
    """Every type's newest version, with look-ups by identity and external id; the system types are always there."""

    def __init__(self, types: Iterable[tuple[int, Type]] = ()) -> None:
        self.by_id: dict[int, tuple[int | None, Type]] = {}
        self.by_name: dict[tuple[int, str, str], int] = {}
        self.by_external: dict[tuple[int, str], int] = {}
        for type in SYSTEM_TYPES:
            self.put(None, type)
        for seq, type in types:
            self.put(seq, type)

    def put(self, seq: int | None, type: Type) -> None:
        """Make `type` the newest version; seq None stands for a system type that no event changed."""
        old = self.by_id.get(type.id)
        if old is not None and old[1].external_id is not None:
            self.by_external.pop((type.kind, old[1].external_id), None)
        self.by_id[type.id] = (seq, type)
        self.by_name[type.kind, type.name, type.version or ""] = type.id
        if type.external_id is not None:
            self.by_external[type.kind, type.external_id] = type.id

    def copy(self) -> Types:
        """A copy that can be added to."""
        return Types((seq, type) for seq, type in self.by_id.values() if seq is not None)

    def get(self, type_id: int) -> Type | None:
        """A type by id, of any kind."""
        found = self.by_id.get(type_id)
        return None if found is None else found[1]

    def seq(self, type_id: int) -> int | None:
        """The seq of a type's newest version; None where no event made it."""
        return self.by_id[type_id][0]

    def find(self, kind: int, name: str, version: str | None = None) -> Type | None:
        """A type by its identity; an empty version is no version."""
        type_id = self.by_name.get((kind, name, version or ""))
        return None if type_id is None else self.by_id[type_id][1]

    def of_kind(self, kind: int, *, with_system: bool = False) -> list[Type]:
        """The types of a kind, by ascending id."""
        first = 0 if with_system else FIRST_USER_TYPE_ID
        return [self.by_id[i][1] for i in sorted(self.by_id) if i >= first and self.by_id[i][1].kind == kind]


class State:
    """The newest version of everything, up to `head`.

    Hold `lock` around a group of calls that must see one moment. Without a Base this is the whole in-memory store.
    """

    def __init__(self, base: Base | None = None) -> None:
        self.lock = threading.RLock()
        self.restart(base)

    def restart(self, base: Base | None) -> None:
        """Forget everything and begin with `base`, as if newly made."""
        with self.lock:
            self._base = base
            self._sealed = BaseStamp()
            self._sealed_types: list[tuple[int, Type]] = []
            self._recent: list[tuple[Header, list[Recorded]]] = []
            if base is not None:
                stamp = base.stamp()
                if stamp.applied_commit:
                    self._sealed = stamp
                    self._sealed_types = base.types()
            self._reset()

    def _reset(self) -> None:
        """Make the Tail anew from Base's stamp and `_recent`.

        Everything is made aside and put in place at the end: others look at `head` and `next_commit` without the lock.
        """
        sealed, recent = self._sealed, self._recent
        tail, types = Tail(sealed.next_ids), Types(self._sealed_types)
        for _, events in recent:
            tail.fold(events)
        for seq, type in tail.types:
            types.put(seq, type)
        self._lower = self._base if sealed.applied_commit else None  # else the Tail holds everything
        self._kept: dict[int, Version] = {}
        self._kept_names: dict[tuple[int, int, str], int] = {}
        self._tail, self.types, self.next_ids = tail, types, tail.next_ids
        self.recent_event_count = sum(len(events) for _, events in recent)
        if recent:
            header, events = recent[-1]
            self.head = header.first_seq + len(events) - 1
            self.next_commit = header.commit + 1
            self.time_us = header.time_us
        else:
            self.head, self.next_commit, self.time_us = sealed.applied_seq, sealed.applied_commit, sealed.time_us

    # ---- folding

    def fold(self, header: Header, events: list[Recorded]) -> None:
        """Fold one commit, the next one."""
        with self.lock:
            assert header.commit == self.next_commit, (header.commit, self.next_commit)
            assert header.first_seq == self.head + 1, (header.first_seq, self.head)
            try:
                self._fold(header, events)
                self._recent.append((header, events))
            except BaseException:
                # Interrupted (say, by Ctrl-C): half a commit must not be seen.
                self._reset()
                raise

    def _fold(self, header: Header, events: list[Recorded]) -> None:
        tail = self._tail
        known = len(tail.types)
        tail.fold(events)
        for seq, type in tail.types[known:]:
            self.types.put(seq, type)
        self.head = header.first_seq + len(events) - 1
        self.next_commit = header.commit + 1
        self.time_us = header.time_us
        self.recent_event_count += len(events)

    def rewind(self, commit: int) -> None:
        """Forget commits from `commit` on, which were folded, but of which nobody knows whether they will stay.

        Those that Base holds stay: only durable commits are absorbed.
        """
        with self.lock:
            self._recent = [entry for entry in self._recent if entry[0].commit < commit]
            self._reset()

    def absorb(self, stop: int) -> bool:
        """Move commits below `stop`, which are durable, from the Tail into Base; False if there is nothing to move.

        Args:
            stop: a commit number; the caller holds the lock of the views against other processes.

        Raises:
            sqlite3.Error: Base is as it was, and so is the Tail.
        """
        assert self._base is not None
        with self.lock:
            stamp = self._base.stamp()
            stop = min(stop, self.next_commit)
            moving = [entry for entry in self._recent if stamp.applied_commit <= entry[0].commit < stop]
        if moving:
            after = self._stamp_after(stamp, moving)
            if self._base.absorb((event for _, events in moving for event in events), stamp, after):
                return self._adopt(after)
        return self.adopt()

    def adopt(self) -> bool:
        """Drop from the Tail what another process has absorbed into Base meanwhile."""
        if self._base is None:
            return False
        with self.lock:
            return self._adopt(self._base.stamp())

    def _adopt(self, stamp: BaseStamp) -> bool:
        with self.lock:
            return stamp.applied_commit <= self.next_commit and self._drop(stamp)

    def _stamp_after(self, stamp: BaseStamp, moving: Sequence[tuple[Header, list[Recorded]]]) -> BaseStamp:
        next_ids: Sequence[int] = stamp.next_ids
        for _, events in moving:
            next_ids = next_ids_after(next_ids, events)
        header, events = moving[-1]
        assert self._base is not None
        return msgspec.structs.replace(
            stamp,
            log_id=self._base.log_id,
            applied_seq=header.first_seq + len(events) - 1,
            applied_commit=header.commit + 1,
            time_us=header.time_us,
            next_ids=tuple(next_ids),
        )

    def _drop(self, stamp: BaseStamp) -> bool:
        if stamp.applied_commit <= self._sealed.applied_commit:
            return False
        assert self._base is not None
        self._sealed = stamp
        self._sealed_types = self._base.types()
        self._recent = [entry for entry in self._recent if entry[0].commit >= stamp.applied_commit]
        self._reset()
        return True

    # ---- reading nodes

    def get(self, kind: int, id: int) -> Version | None:
        """The newest version of a node."""
        key = id << 2 | kind
        version = self._tail.nodes.get(key) or self._kept.get(key)
        if version is None and self._lower is not None and -_KEY_MAX < key < _KEY_MAX:
            version = self._lower.get(key)
            if version is not None:
                self._keep(key, version)
        return version

    def _keep(self, key: int, version: Version) -> None:
        """Remember what Base said, until Base moves or there is too much of it."""
        if version.seq > self.head:
            raise BehindError
        if len(self._kept) >= _KEPT_COUNT_MAX:
            self._kept.clear()
            self._kept_names.clear()
        self._kept[key] = version

    def get_many(self, kind: int, ids: Iterable[int]) -> list[Node]:
        """The nodes among `ids` that are there, each once, by ascending id."""
        found: dict[int, Node] = {}
        missing: list[int] = []
        nodes = self._tail.nodes
        for id in dict.fromkeys(ids):
            version = nodes.get(id << 2 | kind)
            if version is not None:
                found[id] = version.node
            else:
                missing.append(id << 2 | kind)
        if self._lower is not None and missing:
            in_range = [key for key in missing if 0 < key < 1 << 63]
            for key, version in self._lower.get_many(in_range).items():
                if version.seq > self.head:
                    raise BehindError
                found[key >> 2] = version.node
        return [found[id] for id in sorted(found)]

    def by_name(self, kind: int, type_id: int, name: str) -> Version | None:
        """The node of a type that has `name` now."""
        triple = (kind, type_id, name)
        key = self._tail.names.get(triple) or self._kept_names.get(triple)
        if key is not None:
            version = self._tail.nodes.get(key) or self._kept.get(key)
            if version is not None and version.node.name == name:
                return version
        version = self._look_up(name_key, triple, lambda node: node.name == name and node.type_id == type_id)
        if version is not None:
            self._kept_names[triple] = version.node.id << 2 | kind
        return version

    def by_external(self, kind: int, external_id: str) -> Version | None:
        """The node of a kind that has `external_id` now."""
        key = self._tail.externals.get((kind, external_id))
        if key is not None:
            version = self._tail.nodes[key]
            if version.node.external_id == external_id:
                return version
        return self._look_up(external_key, (kind, external_id), lambda node: node.external_id == external_id)

    def are_names_free(self, kind: int, type_id: int, names: Sequence[str]) -> bool:
        """True if no node of the type has one of the names, False if one may have."""
        known = self._tail.names
        if any((kind, type_id, name) in known for name in names):
            return False
        return self._are_free(
            names, lambda name: name_key(kind, type_id, name), lambda name: self.by_name(kind, type_id, name)
        )

    def are_externals_free(self, kind: int, external_ids: Sequence[str]) -> bool:
        """True if no node of the kind has one of the external ids, False if one may have."""
        known = self._tail.externals
        if any((kind, external_id) in known for external_id in external_ids):
            return False
        return self._are_free(
            external_ids,
            lambda external_id: external_key(kind, external_id),
            lambda external_id: self.by_external(kind, external_id),
        )

    def _are_free(
        self, texts: Sequence[str], make_key: Callable[[str], int], find: Callable[[str], Version | None]
    ) -> bool:
        base = self._lower
        if base is None or not texts:
            return True
        keys = list(map(make_key, texts))
        # Most keys are of no node; the few that a stored text has, by chance or not, are looked up one by one.
        known = base.known_keys(sorted(set(keys)))
        return not known or all(find(text) is None for text, key in zip(texts, keys, strict=True) if key in known)

    def _look_up(
        self, make_key: Callable[..., int], arguments: tuple[int | str, ...], holds: Callable[[Node], bool]
    ) -> Version | None:
        """The node in Base, of the kind that `arguments` begin with, whose newest version `holds`."""
        if self._lower is None:
            return None
        for key, sealed in self._lower.candidates(make_key(*arguments)):
            if key & 3 == arguments[0]:
                version = self._newest(key, sealed)
                if holds(version.node):
                    return version
        return None

    def _newest(self, key: int, sealed: Version) -> Version:
        newer = self._tail.nodes.get(key)
        if newer is not None:
            return newer
        self._keep(key, sealed)
        return sealed

    def by_uri(self, uri: str) -> list[Node]:
        """Artifacts that have `uri` now, by ascending id."""
        found = {key: self._tail.nodes[key] for key in self._tail.keys_of_uri(uri)}
        if self._lower is not None:
            for key, sealed in self._lower.candidates(uri_key(uri)):
                if key & 3 == Kind.ARTIFACT:
                    found[key] = self._newest(key, sealed)
        return [found[key].node for key in sorted(found) if found[key].node.uri == uri]

    def ids_by_type(self, kind: int, type_id: int) -> list[int]:
        """Ids of the nodes of a type, ascending."""
        ids = set(self._tail.by_type.get(type_id, ()))
        if self._lower is not None:
            ids.update(self._lower.ids_by_type(type_id))
        return self._known(kind, ids)

    def ids_of_kind(self, kind: int) -> list[int]:
        """Ids of all nodes of a kind, ascending."""
        ids = {key >> 2 for key in list(self._tail.nodes) if key & 3 == kind}
        if self._lower is not None:
            ids.update(key >> 2 for key in self._lower.keys_of_kind(kind))
        return self._known(kind, ids)

    def _known(self, kind: int, ids: set[int]) -> list[int]:
        result = sorted(ids)
        if result and result[-1] >= self.next_ids[kind - 1]:
            raise BehindError
        return result

    # ---- reading links

    def link(self, execution_id: int, artifact_id: int, type: int) -> StoredLink | None:
        """A link by its identity."""
        found = self._tail.inputs.get(execution_id, {}).get((artifact_id, type))
        if found is None and self._lower is not None:
            found = self._lower.link(execution_id, artifact_id, type)
            if found is not None and found.seq > self.head:
                raise BehindError
        return found

    def links_of_execution(self, execution_id: int) -> list[Link]:
        """The links of an execution, in the order in which they were put."""
        stored = list(self._tail.inputs.get(execution_id, {}).values())
        return self._in_order(stored, lambda base: base.links_of_execution(execution_id))

    def links_of_artifact(self, artifact_id: int) -> list[Link]:
        """The links of an artifact, in the order in which they were put."""
        stored = list(self._tail.uses.get(artifact_id, {}).values())
        return self._in_order(stored, lambda base: base.links_of_artifact(artifact_id))

    def _in_order(self, stored: list[StoredLink], sealed: Callable[[Base], list[StoredLink]]) -> list[Link]:
        by_seq = {s.seq: s.link for s in stored}
        if self._lower is not None:
            by_seq.update((s.seq, s.link) for s in sealed(self._lower))
        if by_seq and max(by_seq) > self.head:
            raise BehindError
        return [by_seq[seq] for seq in sorted(by_seq)]

    def is_member(self, context_id: int, kind: int, id: int) -> bool:
        """True if the context holds the node (for a context: is its parent)."""
        key = id << 2 | kind
        seq = self._tail.members.get(context_id, {}).get(key)
        if seq is None and self._lower is not None:
            seq = self._lower.is_member(context_id, key)
            if seq is not None and seq > self.head:
                raise BehindError
        return seq is not None

    def members(self, context_id: int, kind: int) -> list[int]:
        """Ids of the nodes of a kind that a context holds, ascending; contexts among them are its children."""
        pairs = dict(self._tail.members.get(context_id, {}))
        if self._lower is not None:
            pairs.update(self._lower.members(context_id))
        self._check(pairs.values())
        return sorted(key >> 2 for key in pairs if key & 3 == kind)

    def member_page(self, context_id: int, kind: int, after: int | None, limit: int, descending: bool) -> list[int]:
        """The first `limit` of `members` that come after the id `after` (None: from the start); descending if asked."""
        if after is None:
            after = INT64_MAX >> 2 if descending else 0
        bound = after << 2 | kind
        found = self._tail.members.get(context_id, {})
        pairs = {k: s for k, s in found.items() if k & 3 == kind and (k < bound if descending else k > bound)}
        if self._lower is not None:
            pairs.update(self._lower.member_page(context_id, kind, bound, limit, descending))
        self._check(pairs.values())
        return [key >> 2 for key in sorted(pairs, reverse=descending)[:limit]]

    def contexts(self, kind: int, id: int) -> list[int]:
        """Ids of the contexts that hold a node, ascending; for a context these are its parents."""
        key = id << 2 | kind
        pairs = dict(self._tail.contexts.get(key, {}))
        if self._lower is not None:
            pairs.update(self._lower.contexts(key))
        self._check(pairs.values())
        return sorted(pairs)

    def parents(self, context_id: int) -> list[int]:
        """Ids of a context's parents, ascending."""
        return self.contexts(CONTEXT, context_id)

    def _check(self, seqs: Iterable[int]) -> None:
        if max(seqs, default=0) > self.head:
            raise BehindError

    # ---- answers, digests

    def answer(self, request_id: str) -> RequestAnswer | None:
        """What was answered to a request id."""
        stored = self._tail.answers.get(request_id)
        if stored is None and self._lower is not None:
            stored = self._lower.answer(request_id)
            if stored is not None and stored.seq > self.head:
                raise BehindError
        return None if stored is None else stored.answer

    def everything(self) -> Iterator[tuple[object, ...]]:
        """All that the state holds, as plain rows in a fixed order, to make a digest over. Hold the lock meanwhile.

        Raises:
            BehindError: Base holds newer commits.
        """
        if self._lower is None:
            yield from self._rows(None)
            return
        with self._lower.one_moment():
            if self._lower.stamp().applied_seq > self.head:
                raise BehindError
            yield from self._rows(self._lower)

    def _rows(self, base: Base | None) -> Iterator[tuple[object, ...]]:
        tail = self._tail
        for type_id in sorted(self.types.by_id):
            yield "type", self.types.by_id[type_id]
        for key, version in _merged(None if base is None else base.versions, tail.nodes.items()):
            yield "node", key, version.seq, version.node
        links = [((e, a, t), stored) for e, inputs in tail.inputs.items() for (a, t), stored in inputs.items()]
        for identity, stored in _merged(None if base is None else base.links, links):
            yield "link", identity, stored.seq, stored.link
        members = [((c, key), seq) for c, held in tail.members.items() for key, seq in held.items()]
        for place, seq in _merged(None if base is None else base.memberships, members):
            yield "member", place, seq
        for request_id, answer in _merged(None if base is None else base.answers, tail.answers.items()):
            yield "answer", request_id, answer.seq, answer.answer


def _merged(sealed: Callable[[], Iterator[tuple[K, T]]] | None, recent: Iterable[tuple[K, T]]) -> Iterator[tuple[K, T]]:
    """The items of both by ascending key; of two with one key the recent one."""
    newer = sorted(recent, key=_key)
    if sealed is None:
        yield from newer
        return
    at = 0
    for key, value in sealed():
        while at < len(newer) and newer[at][0] < key:
            yield newer[at]
            at += 1
        if at < len(newer) and newer[at][0] == key:
            yield newer[at]
            at += 1
        else:
            yield key, value
    yield from newer[at:]


def _key(item: tuple[K, object]) -> K:
    return item[0]
