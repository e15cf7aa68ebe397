"""Base: the sealed part of the state in one SQLite file with integer keys.

It holds the newest version of each node up to `applied_seq`, stamped in the same transaction, so it is right after
any stop: what SQLite lost, the log still has. It may be deleted at any time. Look-up keys are 32-bit checksums; every
hit is re-checked against the node itself, so a collision or a key that no longer holds costs time, never truth.

Source: docs/format.md, "Views".
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import msgspec

from stratalog.eventlog.events import (
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Link,
    Node,
    ParentContext,
    Recorded,
    RequestAnswer,
    Type,
    encode_payload,
)
from stratalog.projections.system_types import FIRST_USER_TYPE_ID
from stratalog.projections.tail import ARTIFACT, CONTEXT, EXECUTION, StoredAnswer, StoredLink, Version

BASE_FORMAT = 1
_KEYS_MAX = 512
"""So many keys are asked for in one statement."""
_ARRAY_COUNT_MIN = 10_000
"""From so many keys on, sorting them in an array pays for loading numpy."""

_SCHEMA = """
create table if not exists node(nkey integer primary key, seq integer not null, body blob not null);
create table if not exists lookup(key integer, nkey integer, primary key(key, nkey)) without rowid;
create table if not exists node_type(type_id integer, first integer, last integer, primary key(type_id, first))
    without rowid;
create table if not exists edge(execution integer, artifact integer, type integer, seq integer, body blob,
    primary key(execution, artifact, type)) without rowid;
create table if not exists edge_reverse(artifact integer, execution integer, type integer, seq integer,
    primary key(artifact, execution, type)) without rowid;
create table if not exists member(context integer, nkey integer, seq integer, primary key(context, nkey))
    without rowid;
create table if not exists member_reverse(nkey integer, context integer, seq integer, primary key(nkey, context))
    without rowid;
create table if not exists type(id integer primary key, seq integer not null, body blob not null);
create table if not exists answer(request_id text primary key, seq integer not null, body blob not null)
    without rowid;
create table if not exists meta(id integer primary key check(id = 1), body blob not null);
"""


class BaseStamp(msgspec.Struct, frozen=True, array_like=True):
    """How far Base has come, and what the next command needs: the next free ids and the time of the last commit."""

    format: int = BASE_FORMAT
    log_id: str = ""
    applied_seq: int = 0
    applied_commit: int = 0
    time_us: int = 0
    next_ids: tuple[int, int, int, int] = (1, 1, 1, FIRST_USER_TYPE_ID)
    """Next id of an artifact, an execution, a context, a type."""


_NAME, _EXTERNAL, _URI = 1 << 40, 2 << 40, 3 << 40
_node_decoders: dict[int, msgspec.msgpack.Decoder[Node]] = {
    ARTIFACT: msgspec.msgpack.Decoder(Artifact),
    EXECUTION: msgspec.msgpack.Decoder(Execution),
    CONTEXT: msgspec.msgpack.Decoder(Context),
}
_stamp_decoder = msgspec.msgpack.Decoder(BaseStamp)
_type_decoder = msgspec.msgpack.Decoder(Type)
_answer_decoder = msgspec.msgpack.Decoder(RequestAnswer)
_path_decoder: msgspec.msgpack.Decoder[tuple[list[int | str], int | None]] = msgspec.msgpack.Decoder(
    tuple[list[int | str], int | None]
)


def name_key(kind: int, type_id: int, name: str) -> int:
    """The look-up key of a node's name."""
    return _NAME | zlib.crc32(name.encode(), (type_id << 2 | kind) & 0xFFFFFFFF)


def external_key(kind: int, external_id: str) -> int:
    """The look-up key of a node's external id."""
    return _EXTERNAL | zlib.crc32(external_id.encode(), kind)


def uri_key(uri: str) -> int:
    """The look-up key of an artifact's uri."""
    return _URI | zlib.crc32(uri.encode())


class Base:
    """One SQLite file; one writer at a time (the caller sees to that), any number of readers.

    Not for several threads at once: the state's lock guards the reading connection, and `absorb` opens its own.
    """

    def __init__(self, path: Path, *, log_id: str, read_only: bool = False) -> None:
        self.path = path
        self.log_id = log_id
        self._connection = _connect(path, "ro" if read_only else "rwc")
        if not read_only:
            self._connection.executescript(_SCHEMA)
        self._file = _file_number(path)
        self._execute = self._connection.execute

    @classmethod
    def open(cls, path: Path, *, log_id: str, read_only: bool = False) -> Base:
        """Open the file; one that is damaged, of another format or another log's is thrown away and begun anew.

        Raises:
            sqlite3.Error: it cannot be used and, in a read-only folder, cannot be replaced.
        """
        try:
            base = cls(path, log_id=log_id, read_only=read_only)
            stamp = base.stamp()
            if stamp.log_id in ("", log_id) and stamp.format == BASE_FORMAT:
                return base
            base.close()
        except (sqlite3.DatabaseError, msgspec.MsgspecError):
            if read_only:
                raise
        if read_only:
            raise sqlite3.DatabaseError(f"{path} belongs to another log or another release")
        delete(path)
        return cls(path, log_id=log_id)

    def is_in_place(self) -> bool:
        """False if the file was removed, or replaced by another, since it was opened."""
        return self._file is not None and self._file == _file_number(self.path)

    def close(self) -> None:
        """Close the reading connection."""
        self._connection.close()

    def stamp(self) -> BaseStamp:
        """How far this file has come; read anew at each call, since another process may have moved it."""
        return _read_stamp(self._connection)

    # ---- reading

    def get(self, nkey: int) -> Version | None:
        """The newest sealed version of a node."""
        row = self._execute("select seq, body from node where nkey = ?", (nkey,)).fetchone()
        return None if row is None else Version(row[0], _node_decoders[nkey & 3].decode(row[1]))

    def get_many(self, nkeys: Sequence[int]) -> dict[int, Version]:
        """The newest sealed versions of many nodes, those that are there."""
        rows = self._rows_of("select nkey, seq, body from node where nkey in", nkeys)
        return {nkey: Version(seq, _node_decoders[nkey & 3].decode(body)) for nkey, seq, body in rows}

    def candidates(self, key: int) -> list[tuple[int, Version]]:
        """Nodes that may have the look-up key `key`, each with its node key."""
        rows = self._execute(
            "select n.nkey, n.seq, n.body from lookup l join node n on n.nkey = l.nkey where l.key = ?", (key,)
        ).fetchall()
        return [(nkey, Version(seq, _node_decoders[nkey & 3].decode(body))) for nkey, seq, body in rows]

    def known_keys(self, keys: Sequence[int]) -> set[int]:
        """Those among many look-up keys that some node may have."""
        return {row[0] for row in self._rows_of("select key from lookup where key in", keys)}

    def _rows_of(self, sql: str, keys: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query that ends in `in`, for many keys, some hundred at a time."""
        for at in range(0, len(keys), _KEYS_MAX):
            part = keys[at : at + _KEYS_MAX]
            yield from self._execute(f"{sql} ({','.join('?' * len(part))})", part)

    def ids_by_type(self, type_id: int) -> list[int]:
        """Ids of the nodes of a type, ascending."""
        runs = self._execute("select first, last from node_type where type_id = ? order by first", (type_id,))
        return [id for first, last in runs for id in range(first, last + 1)]

    def keys_of_kind(self, kind: int) -> Iterator[int]:
        """Node keys of a kind, ascending."""
        rows = self._execute("select nkey from node where nkey & 3 = ? order by nkey", (kind,)).fetchall()
        return (row[0] for row in rows)

    def links_of_execution(self, execution_id: int) -> list[StoredLink]:
        """Links of an execution."""
        rows = self._execute(
            "select artifact, type, seq, body from edge where execution = ?", (execution_id,)
        ).fetchall()
        return [_link(seq, execution_id, artifact, type, body) for artifact, type, seq, body in rows]

    def links_of_artifact(self, artifact_id: int) -> list[StoredLink]:
        """Links of an artifact."""
        rows = self._execute(
            "select r.execution, r.type, r.seq, e.body from edge_reverse r join edge e on e.execution = r.execution"
            " and e.artifact = r.artifact and e.type = r.type where r.artifact = ?",
            (artifact_id,),
        ).fetchall()
        return [_link(seq, execution, artifact_id, type, body) for execution, type, seq, body in rows]

    def link(self, execution_id: int, artifact_id: int, type: int) -> StoredLink | None:
        """One link by its identity."""
        row = self._execute(
            "select seq, body from edge where execution = ? and artifact = ? and type = ?",
            (execution_id, artifact_id, type),
        ).fetchone()
        return None if row is None else _link(row[0], execution_id, artifact_id, type, row[1])

    def members(self, context_id: int) -> list[tuple[int, int]]:
        """(node key, seq) of what a context holds; contexts among them are its children."""
        return self._execute("select nkey, seq from member where context = ?", (context_id,)).fetchall()

    def member_page(
        self, context_id: int, kind: int, after: int, limit: int, descending: bool
    ) -> list[tuple[int, int]]:
        """(node key, seq) of the first `limit` nodes of a kind that a context holds beyond the key `after`."""
        beyond = "nkey < ? order by nkey desc" if descending else "nkey > ? order by nkey"
        sql = f"select nkey, seq from member where context = ? and nkey & 3 = ? and {beyond} limit ?"
        return self._execute(sql, (context_id, kind, after, limit)).fetchall()

    def contexts(self, nkey: int) -> list[tuple[int, int]]:
        """(context id, seq) of the contexts that hold a node; for a context its parents."""
        return self._execute("select context, seq from member_reverse where nkey = ?", (nkey,)).fetchall()

    def is_member(self, context_id: int, nkey: int) -> int | None:
        """The seq of a membership, None if there is none."""
        row = self._execute("select seq from member where context = ? and nkey = ?", (context_id, nkey)).fetchone()
        return None if row is None else int(row[0])

    def types(self) -> list[tuple[int, Type]]:
        """Every type's newest version with its seq."""
        return [(s, _type_decoder.decode(b)) for s, b in self._execute("select seq, body from type order by id")]

    def answer(self, request_id: str) -> StoredAnswer | None:
        """What was answered to a request id."""
        row = self._execute("select seq, body from answer where request_id = ?", (request_id,)).fetchone()
        return None if row is None else StoredAnswer(row[0], _answer_decoder.decode(row[1]))

    # ---- reading everything, in the order of the keys

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """All reads inside the block see the file as it is when the first one begins."""
        self._execute("begin")
        try:
            yield
        finally:
            self._execute("commit")

    def versions(self) -> Iterator[tuple[int, Version]]:
        """Every node key with its newest sealed version."""
        for nkey, seq, body in self._execute("select nkey, seq, body from node order by nkey"):
            yield nkey, Version(seq, _node_decoders[nkey & 3].decode(body))

    def links(self) -> Iterator[tuple[tuple[int, int, int], StoredLink]]:
        """Every link by (execution, artifact, type)."""
        rows = self._execute("select execution, artifact, type, seq, body from edge order by execution, artifact, type")
        for execution, artifact, type, seq, body in rows:
            yield (execution, artifact, type), _link(seq, execution, artifact, type, body)

    def memberships(self) -> Iterator[tuple[tuple[int, int], int]]:
        """The seq of every membership by (context, node key)."""
        for context, nkey, seq in self._execute("select context, nkey, seq from member order by context, nkey"):
            yield (context, nkey), seq

    def answers(self) -> Iterator[tuple[str, StoredAnswer]]:
        """Every answer by its request id."""
        for request_id, seq, body in self._execute("select request_id, seq, body from answer order by request_id"):
            yield request_id, StoredAnswer(seq, _answer_decoder.decode(body))

    # ---- writing

    def absorb(self, events: Iterable[Recorded], before: BaseStamp, after: BaseStamp) -> bool:
        """Fold events in and move the stamp, in one transaction.

        Args:
            events: what follows `before`, in order, up to `after.applied_seq`.
            before: the stamp that the caller read; if another process has moved it since, nothing is done.
            after: the new stamp.

        Returns:
            True if the file now stands at `after`.

        Raises:
            sqlite3.Error: nothing was changed; the file may be gone.
        """
        connection = _connect(self.path, "rw")
        try:
            connection.execute("begin immediate")
            if _read_stamp(connection) != before:
                return False
            _fold(connection, events)
            connection.execute("insert or replace into meta values(1, ?)", (encode_payload(after),))
            connection.execute("commit")
            return True
        finally:
            connection.close()


def delete(path: Path) -> None:
    """Remove a Base file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _read_stamp(connection: sqlite3.Connection) -> BaseStamp:
    row = connection.execute("select body from meta where id = 1").fetchone()
    return BaseStamp() if row is None else _stamp_decoder.decode(row[0])


def _file_number(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path, mode: Literal["ro", "rw", "rwc"]) -> sqlite3.Connection:
    """Open the file to read, to write, or to write and make it if it is not there."""
    uri = path.absolute().as_uri()
    if mode == "ro":
        # immutable: a folder that cannot be written has no WAL in use, and SQLite may not make its -shm file there
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None, check_same_thread=False)
    else:
        connection = sqlite3.connect(
            f"{uri}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("pragma page_size = 8192")
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma busy_timeout = 10000")
        connection.execute("pragma wal_autocheckpoint = 4000")
    connection.execute("pragma mmap_size = 4294967296")
    connection.execute("pragma cache_size = -65536")
    return connection


def _link(seq: int, execution_id: int, artifact_id: int, type: int, body: bytes) -> StoredLink:
    path, time_ms = _path_decoder.decode(body)
    return StoredLink(
        seq, Link(execution_id=execution_id, artifact_id=artifact_id, type=type, path=path, time_ms=time_ms)
    )


def _fold(connection: sqlite3.Connection, events: Iterable[Recorded]) -> None:
    by_class: dict[type, list[Recorded]] = {}
    for event in events:
        group = by_class.get(event.fact.__class__)
        if group is None:
            group = by_class[event.fact.__class__] = []
        group.append(event)
    for kind, cls in ((ARTIFACT, Artifact), (EXECUTION, Execution), (CONTEXT, Context)):
        if cls in by_class:
            _fold_nodes(connection, kind, by_class[cls])
    many = connection.executemany
    edges = [
        (link.execution_id, link.artifact_id, link.type, e.seq, encode_payload((link.path, link.time_ms)))
        for e in by_class.get(Link, ())
        if isinstance(link := e.fact, Link)
    ]
    # Sorted: neighbouring keys land on the same page of the tree, which halves the cost of a bulk load.
    many("insert or ignore into edge values(?, ?, ?, ?, ?)", sorted(edges))
    many("insert or ignore into edge_reverse values(?, ?, ?, ?)", sorted((a, e, t, s) for e, a, t, s, _ in edges))
    members = [_member(e) for cls in (Attribution, Association, ParentContext) for e in by_class.get(cls, ())]
    many("insert or ignore into member values(?, ?, ?)", sorted(members))
    many("insert or ignore into member_reverse values(?, ?, ?)", sorted((n, c, s) for c, n, s in members))
    types = [(t.id, e.seq, encode_payload(t)) for e in by_class.get(Type, ()) if isinstance(t := e.fact, Type)]
    many("insert or replace into type values(?, ?, ?)", types)
    answers = [
        (answer.request_id, e.seq, encode_payload(answer))
        for e in by_class.get(RequestAnswer, ())
        if isinstance(answer := e.fact, RequestAnswer)
    ]
    many("insert or ignore into answer values(?, ?, ?)", answers)


def _fold_nodes(connection: sqlite3.Connection, kind: int, events: list[Recorded]) -> None:
    encode = encode_payload
    nodes = [(e.seq, e.fact) for e in events if isinstance(e.fact, Node)]
    rows = [(node.id << 2 | kind, seq, encode(node)) for seq, node in nodes]
    rows.sort(key=itemgetter(0))  # stable: of several versions of a node the last one stays
    connection.executemany("insert or replace into node values(?, ?, ?)", rows)
    lookups = [(name_key(kind, n.type_id, n.name), n.id << 2 | kind) for _, n in nodes if n.name is not None]
    lookups += [(uri_key(n.uri), n.id << 2 | kind) for _, n in nodes if n.uri is not None]
    lookups += [(external_key(kind, n.external_id), n.id << 2 | kind) for _, n in nodes if n.external_id is not None]
    connection.executemany("insert or ignore into lookup values(?, ?)", _sorted_by_key(lookups))
    ids_by_type: dict[int, list[int]] = {}
    for event in events:
        if event.prev is None and isinstance(event.fact, Node):
            ids_by_type.setdefault(event.fact.type_id, []).append(event.fact.id)
    runs = ((type_id, first, last) for type_id, ids in ids_by_type.items() for first, last in _runs(sorted(ids)))
    connection.executemany("insert or ignore into node_type values(?, ?, ?)", runs)


def _sorted_by_key(lookups: list[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """The pairs in the order of their keys, so that neighbours go to the same page."""
    if len(lookups) < _ARRAY_COUNT_MIN:
        return sorted(lookups)
    import numpy as np

    keys = np.fromiter((key for key, _ in lookups), dtype=np.int64, count=len(lookups))
    order = np.argsort(keys, kind="stable").tolist()
    return map(lookups.__getitem__, order)


def _runs(ids: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of successive numbers in an ascending list."""
    first = last = ids[0]
    for id in ids[1:]:
        if id != last + 1:
            yield first, last
            first = id
        last = id
    yield first, last


def _member(event: Recorded) -> tuple[int, int, int]:
    fact = event.fact
    if isinstance(fact, Attribution):
        return fact.context_id, fact.artifact_id << 2 | ARTIFACT, event.seq
    if isinstance(fact, Association):
        return fact.context_id, fact.execution_id << 2 | EXECUTION, event.seq
    assert isinstance(fact, ParentContext)
    return fact.parent_id, fact.child_id << 2 | CONTEXT, event.seq
