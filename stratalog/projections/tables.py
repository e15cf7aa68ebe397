"""Tables: the columns that DuckDB reads, folded from the log and kept in `views/`.

Rows live in three places: merged Parquet files (`cur` and `hist`), Parquet parts after them, and memory for everything
since. All of it is disposable: whatever is missing or doubtful is folded from the log again, without an error.

A commit only appends to a list. The first reader afterwards decodes what waits and puts it into DuckDB; `seal` writes
it as a part; `merge` makes the next merged files. Several processes may share the folder: one at a time seals or
merges, the others notice on their next refresh.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from stratalog.eventlog.commit import Header
from stratalog.eventlog.events import Recorded
from stratalog.eventlog.store import LogStore
from stratalog.projections import manifest as manifests
from stratalog.projections.manifest import Manifest
from stratalog.projections.names import PropertyNames

if TYPE_CHECKING:
    import duckdb

    from stratalog.projections.columns import Batch
    from stratalog.projections.engine import Engine, Frozen
    from stratalog.projections.log_fold import LogFold

LOCK_NAME = "tables-lock"
T = TypeVar("T")

_alive: weakref.WeakSet[Tables] = weakref.WeakSet()


class TablesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of the tables.

    `batch_event_count`: events of the log decoded at once. `part_event_count`: events that make a part when a long log
    is folded. `absorb_event_count`: parts of fewer events are taken in by later ones. `merge_row_count_min`,
    `merge_share`: parts are due to be merged when they hold so many rows, and more than this share of the merged ones.
    `merge_time_share`: but merging may take no more than this share of the time, so that a long stream of writes is
    not merged over and over, unless parts hold more than `merge_share_max` of the merged rows. `grace_s`: how long
    files out of use stay, for readers in them. `memory_limit`: of a merge, in DuckDB's words.
    """

    batch_event_count: int = 65_536
    part_event_count: int = 131_072
    absorb_event_count: int = 16_384
    merge_row_count_min: int = 1_000_000
    merge_share: float = 0.10
    merge_share_max: float = 1.0
    merge_time_share: float = 0.25
    grace_s: float = 600.0
    memory_limit: str = "1GB"


DEFAULT_SETTINGS = TablesSettings()


class Tables:
    """The analytic read model of one log; any number of threads may use it. Opening costs nothing until first use.

    Args:
        log: where missing rows come from.
        folder: `views/` of the store, made when first written to; None: memory only.
        settings: see `TablesSettings`.
        read_only: read the files of `folder`, write none.
    """

    def __init__(
        self,
        log: LogStore,
        folder: Path | None,
        *,
        settings: TablesSettings = DEFAULT_SETTINGS,
        read_only: bool = False,
    ) -> None:
        self._log = log
        self._folder = None if folder is None else Path(folder).absolute()
        self._settings = settings
        self._read_only = read_only
        self._make_locks()
        self._is_rebuilding = False  # nothing is published then before all is done
        self._pending: deque[tuple[Header, Sequence[Recorded]]] = deque()
        self._first_seen = 0
        self._last_seen = 0
        self._fold: LogFold | None = None
        self._engine: Engine | None = None
        self._manifest: Manifest | None = None
        self._stamp: manifests.Stamp | None = None
        self._unsealed: list[Batch] = []
        self._head = 0
        self._next_merge = 0.0
        self._times: tuple[int, Any, Any] | None = None
        _alive.add(self)

    def _make_locks(self) -> None:
        self._lock = threading.RLock()  # held while anything below changes
        self._writing = threading.RLock()  # one thread seals or merges; waited for only by those without `_lock`
        self._is_writing = False

    def after_fork(self) -> None:
        """In a forked child: start anew from the files and the log; other threads' locks and DuckDB stay behind."""
        leave_to_parent(self._engine)
        self._make_locks()
        self._is_rebuilding = False
        self._forget()

    # ---- for writers

    def append(self, header: Header, events: Sequence[Recorded]) -> None:
        """Take note of a commit, in the order of the log; nothing is decoded.

        Commits that the tables hold already are skipped; commits missing in between are read from the log.
        """
        if not self._last_seen:
            self._first_seen = header.first_seq
        self._last_seen = header.first_seq + len(events) - 1
        self._pending.append((header, events))

    @property
    def recent_count(self) -> int:
        """Events that are in memory only: when there are many, it is time to `seal`."""
        if self._manifest is None:
            return self._last_seen - self._first_seen + 1 if self._last_seen else 0
        sealed = self._head if self._folder is None else self._manifest.seq
        return max(0, max(self._last_seen, self._head) - sealed)

    # ---- for readers

    @property
    def folder(self) -> Path | None:
        """Where the files are, None if there are none."""
        return self._folder

    @property
    def head(self) -> int:
        """The seq that the last refresh reached."""
        return self._head

    def refresh(self) -> int:
        """Fold everything that waits, and return the seq reached.

        The first call opens the tables, and folds what the log has beyond them.

        Raises:
            CorruptLogError: the log is damaged where it has to be read.
        """
        with self._lock:
            self._advance()
            if self._engine is None:
                self._open_engine()
            return self._head

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for one query or one thread, on which the relations of `source` can be read."""
        return self._opened().cursor()

    def source(self, table: str, seq: int) -> str:
        """The SQL relation with a logical table (a name in `schema.TABLES`) as of `seq`; an alias may follow.

        The text stays right for ever, whatever is sealed or merged before it runs.
        """
        return f"{table}_at({int(seq)})"

    def names(self) -> PropertyNames:
        """The property names with their numbers, as of the last refresh."""
        with self._lock:
            if self._fold is None:
                self._advance()
            return self._folding().names

    def seq_at(self, time_us: int) -> int:
        """The last seq that was committed at or before a time in µs since 1970 UTC; 0 before the first commit."""
        return self.retrying(lambda: self._seq_at(time_us))

    def _seq_at(self, time_us: int) -> int:
        import numpy as np

        from stratalog.projections.arrays import integers

        with self._lock:
            head = self.refresh()
            if self._times is None or self._times[0] != head:
                query = f"SELECT time_us, last_seq FROM {self.source('commits', head)} ORDER BY commit"
                found = self.cursor().sql(query).to_arrow_table()
                self._times = (head, integers(found["time_us"]), integers(found["last_seq"]))
            _, times, seqs = self._times
        place = int(np.searchsorted(times, time_us, side="right"))
        return int(seqs[place - 1]) if place else 0

    def unknown_kinds(self) -> dict[str, int]:
        """How many events there are of each kind that this release does not know."""
        with self._lock:
            self._advance()
            return dict(Counter(self._known_manifest().unknown) + _unknown_in(self._unsealed))

    def digests(self) -> dict[str, str]:
        """A digest of the full history of each logical table, as of the last seq.

        Equal rows give equal digests, however they were folded, sealed, merged or copied.
        """

        def work() -> dict[str, str]:
            self.refresh()
            return self._opened().digests()

        return self.retrying(work)

    def frozen(self, tables: frozenset[str]) -> Frozen:
        """Some tables as of the last seq, for another engine to read."""
        with self._lock:
            self.refresh()
            return self._opened().frozen(self._head, tables)

    def retrying(self, work: Callable[[], T]) -> T:
        """Do `work`; if it fails because files of `views/` are gone or damaged, fold them anew and do it again."""
        import duckdb

        try:
            return work()
        except (duckdb.Error, OSError):
            if not self._recover():
                raise
        return work()

    # ---- upkeep

    def seal(self, stop: int | None = None) -> None:
        """Write commits up to `stop` (exclusive; None: all) that are in memory only as a part. Needs no DuckDB.

        Does nothing, without an error, where another thread or process is at it, or the folder cannot be written:
        nothing is lost, the rows can be folded from the log.
        """
        if self._folder is None:
            with self._lock:
                self._advance()
            return
        with self._exclusive() as is_held:
            if is_held:
                self._seal_held(stop)

    def adopt(self) -> None:
        """Let go of commits that another process has sealed meanwhile."""
        with self._lock:
            if self._fold is not None:
                self._advance()
                return
            manifest = None if self._folder is None else manifests.load(self._folder, self._log)
            if manifest is not None:
                while self._pending and self._pending[0][0].commit < manifest.commit:
                    self._pending.popleft()
                self._first_seen = self._pending[0][0].first_seq if self._pending else 0
                self._last_seen = self._last_seen if self._pending else 0

    def merge(self, *, force: bool = False) -> bool:
        """Make the next merged files of the parts, if they are due by the settings or by `force`.

        Returns whether it was done: not when another thread or process is at it, nor where files cannot be written.
        Readers go on meanwhile, in the old files.
        """
        if self._folder is None:
            return self._merge_in_memory(force)
        with self._exclusive() as is_held:
            if not is_held:
                return False
            if force:
                self._seal_held()
            with self._lock:
                self._advance()
                manifest = self._known_manifest()
            if not manifest.parts or not (force or self._is_merge_due(manifest)):
                return False
            return self._merge_held(manifest)

    def rebuild(self) -> None:
        """Throw the tables away and fold the whole log again, in bulk; waits for others that seal or merge.

        Raises:
            CorruptLogError: the log is damaged.
        """
        with self._exclusive(wait=True) as is_held, self._lock:
            before = None if self._folder is None else manifests.load(self._folder, self._log)
            self._forget()
            self._is_rebuilding = is_held
            try:
                self._open(None, use_files=False)
                self._drain()
                if is_held:
                    self._write_part()
                    self._merge_held(self._known_manifest())
            finally:
                self._is_rebuilding = False
            if is_held:
                with suppress(OSError):
                    self._publish(self._known_manifest())
                if self._folder is not None and before is not None:
                    manifests.retire(self._folder, list(before.files()))

    def close(self) -> None:
        """Let go of memory and of files. What was not sealed is in the log."""
        with self._lock:
            self._forget()
            self._pending.clear()

    # ---- the state, under `_lock`

    def _folding(self) -> LogFold:
        assert self._fold is not None, "_advance opens the fold"
        return self._fold

    def _known_manifest(self) -> Manifest:
        assert self._manifest is not None, "_advance loads the manifest"
        return self._manifest

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self.refresh()
            assert self._engine is not None, "refresh opens the engine"
            return self._engine

    def _forget(self) -> None:
        self._fold = None
        self._engine = None
        self._manifest = None
        self._stamp = None
        self._unsealed = []

    def _advance(self) -> None:
        """Bring the fold to everything that was appended, and take over what other processes published."""
        if self._fold is None:
            self._open(self._pending[0][0].commit if self._pending else None)
        else:
            self._watch()
        self._drain()

    def _open(self, stop: int | None, *, use_files: bool = True) -> None:
        """Load the manifest (or start from nothing) and fold the log from there up to commit `stop`."""
        from stratalog.projections.log_fold import LogFold

        manifest, names = manifests.empty_manifest(), PropertyNames()
        if self._folder is not None:
            self._stamp = manifests.stamp(self._folder)
            loaded = self._load() if use_files else None
            if loaded is not None:
                manifest, names = loaded
        self._manifest = manifest
        self._unsealed = []
        self._fold = LogFold(
            self._log,
            names,
            next_commit=manifest.commit,
            head=manifest.seq,
            batch_event_count=self._settings.batch_event_count,
        )
        self._catch_up(stop)
        self._head = self._fold.head

    def _load(self) -> tuple[Manifest, PropertyNames] | None:
        import pyarrow as pa

        from stratalog.projections.parts import read_names

        assert self._folder is not None, "only called with a folder"
        if self._stamp is None:
            return None
        manifest = manifests.load(self._folder, self._log)
        if manifest is None:
            return None
        try:
            return manifest, PropertyNames(read_names(self._folder, manifest))
        except (OSError, pa.ArrowException):
            return None

    def _catch_up(self, stop: int | None) -> None:
        """Fold the log up to commit `stop`. A long stretch goes to disk as it comes, so memory stays flat."""
        is_long = False
        for batch in self._folding().log(stop):
            self._keep(batch)
            unsealed = sum(batch.event_count for batch in self._unsealed)
            if unsealed >= self._settings.part_event_count and self._engine is None and self._folder is not None:
                with self._exclusive() as is_held:
                    is_long = (is_held and self._write_part()) or is_long
        if is_long and self._is_merge_due(self._known_manifest()):
            with self._exclusive() as is_held:
                if is_held:
                    self._merge_held(self._known_manifest())

    def _keep(self, batch: Batch) -> None:
        if self._engine is not None:
            self._engine.add([batch.tables])
        self._unsealed.append(batch)
        self._head = self._folding().head
        self._drop_if_in_memory()

    def _drain(self) -> None:
        waiting = []
        while self._pending:
            waiting.append(self._pending.popleft())
        fold = self._folding()
        run: list[tuple[Header, Sequence[Recorded]]] = []
        for header, events in waiting:
            expected = run[-1][0].commit + 1 if run else fold.next_commit
            if header.commit < expected:
                continue  # folded already, or handed on twice after an interruption
            if header.commit > expected:
                if run:
                    self._keep(fold.commits(run))
                    run = []
                self._catch_up(header.commit)
            run.append((header, events))
        if run:
            self._keep(fold.commits(run))

    def _open_engine(self) -> None:
        import duckdb

        try:
            self._engine = self._new_engine()
        except (duckdb.Error, OSError):
            # Whole when the manifest was loaded, unreadable now: the files are not to be trusted.
            stop = self._folding().next_commit
            self._forget()
            self._open(stop, use_files=False)
            self._engine = self._new_engine()
        self._drop_if_in_memory()

    def _drop_if_in_memory(self) -> None:
        """Without a folder, rows that DuckDB has are not needed for a part."""
        if self._folder is None and self._engine is not None:
            counts = Counter(self._known_manifest().unknown) + _unknown_in(self._unsealed)
            self._manifest = msgspec.structs.replace(self._known_manifest(), unknown=dict(counts))
            self._unsealed = []

    def _new_engine(self) -> Engine:
        from stratalog.projections.engine import Engine, merged_of
        from stratalog.projections.visibility import Merged

        manifest = self._known_manifest()
        if self._folder is None:
            engine = Engine(Merged(), is_shared=False)
        else:
            engine = Engine(merged_of(self._folder, manifest))
            engine.load_parts(self._folder, manifest)
        engine.add([batch.tables for batch in self._unsealed])
        return engine

    # ---- other processes, and files that vanish

    def _watch(self) -> None:
        if self._folder is None or self._is_rebuilding:
            return
        if manifests.stamp(self._folder) != self._stamp:
            self._adopt()

    def _adopt(self) -> None:
        """Take over the manifest that another process published; start anew if ours is not its ancestor."""
        from stratalog.projections.log_fold import split

        assert self._folder is not None, "only called with a folder"
        fold, known = self._folding(), self._known_manifest()
        stamp = manifests.stamp(self._folder)
        manifest = manifests.load(self._folder, self._log)
        if manifest is None or manifest.seq < known.seq or manifest.merged_seq < known.merged_seq:
            self._reopen(use_files=manifest is not None)
            return
        if manifest.commit > fold.next_commit:
            self._catch_up(manifest.commit)
        if self._engine is not None and manifest.merged != known.merged:
            from stratalog.projections.engine import merged_of

            self._engine.adopt(merged_of(self._folder, manifest))
        trimmed = (split(batch, manifest.seq)[1] for batch in self._unsealed)
        self._unsealed = [batch for batch in trimmed if batch is not None]
        self._manifest, self._stamp = manifest, stamp

    def _reopen(self, *, use_files: bool) -> None:
        stop = self._folding().next_commit
        had_engine = self._engine is not None
        self._forget()
        self._open(stop, use_files=use_files)
        if had_engine:
            self._open_engine()

    def _recover(self) -> bool:
        """After a failed read: whether the files were to blame; then they have been folded anew."""
        if self._folder is None:
            return False
        with self._lock:
            if self._fold is None:
                return False
            known = self._known_manifest()
            self._watch()
            if self._known_manifest() is not known:
                return True
            if manifests.are_whole(self._folder, known):
                return False
            self._reopen(use_files=False)
            return True

    # ---- writing, under `_writing` and the lock file

    @contextmanager
    def _exclusive(self, *, wait: bool = False) -> Iterator[bool]:
        """Hold the right to write into the folder; gives False where somebody else has it, or nobody can have it."""
        if self._folder is None or self._read_only:
            yield False
            return
        if not self._writing.acquire(blocking=wait):
            yield False
            return
        try:
            if self._is_writing:  # by this very thread, further up
                yield True
                return
            with manifests.locked(self._folder / LOCK_NAME, wait=wait) as is_held:
                self._is_writing = is_held
                try:
                    yield is_held
                finally:
                    self._is_writing = False
        finally:
            self._writing.release()

    def _seal_held(self, stop: int | None = None) -> None:
        with self._lock:
            self._advance()
        self._write_part(stop)

    def _write_part(self, stop: int | None = None) -> bool:
        """Write the unsealed batches as one part and publish it; False where the disk does not let us."""
        import pyarrow as pa

        from stratalog.projections.log_fold import split_at_commit
        from stratalog.projections.parts import absorbable, write_part

        assert self._folder is not None, "only called with a folder"
        with self._lock:
            manifest = self._known_manifest()
            batches, later = split_at_commit(self._unsealed, stop)
            known_count = len(self._unsealed)
        if not batches:
            return False
        assert batches[0].first_seq == manifest.seq + 1, "parts follow one another without a gap"
        events = sum(batch.event_count for batch in batches)
        taken = absorbable(manifest.parts, events, event_count_max=self._settings.absorb_event_count)
        kept, absorbed = manifest.parts[: len(manifest.parts) - taken], manifest.parts[len(manifest.parts) - taken :]
        try:
            part = write_part(self._folder, batches, absorbed)
            following = msgspec.structs.replace(
                manifest,
                boot=manifests.boot_id(),
                commit=batches[-1].commit,
                seq=batches[-1].last_seq,
                log_id=manifests.id_of(self._log),
                mark=manifests.mark_of(self._log, batches[-1].commit - 1) or "",
                parts=[*kept, part],
                unknown=dict(Counter(manifest.unknown) + _unknown_in(batches)),
            )
            with self._lock:
                if self._manifest is not manifest:  # the files vanished meanwhile and were folded anew
                    return False
                self._publish(following)
                self._unsealed = [*later, *self._unsealed[known_count:]]
        except (OSError, pa.ArrowException):
            return False
        manifests.retire(self._folder, [file for part in absorbed for file in part.files])
        return True

    def _publish(self, manifest: Manifest) -> None:
        assert self._folder is not None, "only called with a folder"
        self._manifest = manifest
        if self._is_rebuilding:
            return
        self._stamp = manifests.publish(self._folder, manifest)
        grace_ns = int(self._settings.grace_s * 1e9)
        manifests.sweep(self._folder, manifest, older_than_ns=time.time_ns() - grace_ns)

    def _is_merge_due(self, manifest: Manifest) -> bool:
        recent = sum(part.row_count for part in manifest.parts)
        merged = sum(file.row_count for file in manifest.merged)
        settings = self._settings
        if recent < settings.merge_row_count_min or recent <= merged * settings.merge_share:
            return False
        return recent > merged * settings.merge_share_max or time.monotonic() >= self._next_merge

    def _merge_held(self, manifest: Manifest) -> bool:
        started = time.monotonic()
        try:
            return self._write_merged(manifest)
        finally:
            ended = time.monotonic()
            self._next_merge = ended + (ended - started) * (1 / self._settings.merge_time_share - 1)

    def _write_merged(self, manifest: Manifest) -> bool:
        import duckdb

        from stratalog.projections.engine import merged_of
        from stratalog.projections.merge import merge_files

        assert self._folder is not None, "only called with a folder"
        try:
            merged = merge_files(self._folder, manifest, memory_limit=self._settings.memory_limit)
            with self._lock:
                if self._manifest is not manifest:  # the files vanished meanwhile and were folded anew
                    return False
                self._publish(msgspec.structs.replace(manifest, merged_seq=manifest.seq, merged=merged, parts=[]))
                if self._engine is not None:
                    self._engine.adopt(merged_of(self._folder, self._known_manifest()))
        except (duckdb.Error, OSError):
            return False
        still_used = {file.name for file in merged}
        manifests.retire(self._folder, [file for file in manifest.files() if file.name not in still_used])
        return True

    def _merge_in_memory(self, force: bool) -> bool:
        with self._lock:
            self.refresh()
            engine = self._opened()
            recent = engine.recent_row_count()
            if not recent or not (force or recent >= self._settings.merge_row_count_min):
                return False
            engine.merge_in_memory(self._head)
            return True


def leave_to_parent(instance: object) -> None:
    """In a forked child, see to it that a DuckDB instance is never taken down: its threads are not there."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(instance))


def _unknown_in(batches: Sequence[Batch]) -> Counter[str]:
    return Counter(kind for batch in batches for _, kind in batch.unknown)


def _after_fork() -> None:
    for tables in list(_alive):
        tables.after_fork()


os.register_at_fork(after_in_child=_after_fork)
