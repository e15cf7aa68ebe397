"""Random lives of a log on the simulated file system: writers, readers, upkeep, kills, failures and power losses.

After each power loss the log is opened as anybody would, and what it shows is compared with what was acknowledged
and with what was ever written. Whatever recovery shows is history from then on: it may never change, and what it did
not show may never come back.
"""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Callable

from stratalog.eventlog.commit import Record, check_sequence
from stratalog.eventlog.errors import CorruptLogError, ErrorCode, StorageError, StoreError
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.stores.local import LocalLog
from stratalog.testing.simulated_files import PowerLoss, SimulatedFiles, Stopped
from tests.eventlog.records import random_record

PATH = "/store"


class ViolationError(AssertionError):
    """The log broke a promise."""


class Writer:
    """One process: its log, and what it wrote but did not yet acknowledge."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.kill_in: int | None = None
        self.is_dead = False
        self.waiting: dict[int, Record] = {}
        self.known = max(simulation.acknowledged, default=0)
        self.next_seq = 0
        self.has_failed = False
        with self.running():
            self.log = simulation.make_log()

    @contextlib.contextmanager
    def running(self):  # type: ignore[no-untyped-def]
        """Everything inside is done by this process, which may be killed in the middle."""
        files = self.simulation.files
        files.owner = self
        try:
            yield
        except Stopped:
            self.is_dead = True
            files.kill(self)
            self.simulation.counts["kills"] += 1
        finally:
            files.owner = None


class Simulation:
    """One life of a log; every choice is drawn from the seed."""

    def __init__(
        self, seed: int, *, make_files: Callable[..., SimulatedFiles] = SimulatedFiles, rounds: int = 3
    ) -> None:
        self.rng = random.Random(seed)
        self.files = make_files(self.rng, any_subset=self.rng.random() < 0.5)
        self.rounds = rounds
        self.acknowledged: dict[int, Record] = {}
        self.written: dict[int, dict[int, Record]] = {}
        self.number = 0
        self.writers: list[Writer | None] = []
        self.is_watching = False
        self.meddle_rate = self.rng.choice((0.0, 0.0, 0.02, 0.2))
        self.kill_rate = 0.03
        self.watch_rate = self.rng.choice((0.0, 0.0, 0.02, 0.2))
        self.counts = dict.fromkeys(("commits", "losses", "kills", "failures", "torn", "seals", "merges", "reads"), 0)

    def settings(self) -> LogSettings:
        """Small sizes, others for each process."""
        choice = self.rng.choice
        return LogSettings(
            grow_bytes=choice((0, 512, 4096)),
            rotate_bytes=choice((1500, 6000, 40_000)),
            rotate_events=choice((4, 30, 1000)),
            direct_segment_bytes=choice((2000, 10_000, 1 << 20, 1 << 20)),
            probe_bytes=choice((1, 31, 32, 33, 100, 257, 1000, 4096)),
            row_group_rows=choice((3, 1000, 1000, 1000)),
            row_group_bytes=choice((5000, 1 << 20)),
            page_bytes=choice((100, 1 << 20)),
            merge_count=choice((2, 3)),
            merge_level_bytes=choice((4096, 1 << 20)),
            grace_s=choice((0.0, 5.0)),
        )

    def make_log(self, *, read_only: bool = False) -> LocalLog:
        """Open the store as a process would."""
        return LocalLog(PATH, files=self.files, settings=self.settings(), read_only=read_only)

    # --- one life --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live; raises `ViolationError` (or whatever the log raises where it may not)."""
        for _ in range(self.rounds):
            self.plan_faults()
            self.files.on_change, self.files.on_open = self.on_change, self.on_open
            try:
                self.live()
            except PowerLoss:
                pass
            self.counts["losses"] += 1
            self.files.restart()
            self.recover()

    def plan_faults(self) -> None:
        rng = self.rng
        if rng.random() < 0.85:
            self.files.stop_in = rng.randint(1, 160)
        if rng.random() < 0.3:
            call = rng.choice(("sync_data", "sync_data", "sync_all", "sync_directory", "pwrite", "rename", "truncate"))
            self.files.failing[call] = (rng.randint(1, 20), rng.choice((errno.EIO, errno.EIO, errno.ENOSPC)))
        if rng.random() < 0.15:
            self.files.capacity = rng.randint(1000, 60_000)

    def live(self) -> None:
        rng = self.rng
        writers: list[Writer | None] = []
        self.writers = writers
        writers.extend(self.begin() for _ in range(rng.randint(1, 3)))
        for _ in range(rng.randint(1, 50)):
            self.files.now_s += rng.choice((0.0, 0.1, 10.0))
            place = rng.randrange(len(writers))
            writer = writers[place]
            if writer is None or writer.is_dead:
                writers[place] = self.begin()
                continue
            if rng.random() < self.kill_rate:
                writer.kill_in = rng.randint(0, 12)
            if rng.random() < 0.02:
                self.files.evict()
            if not self.step(writer):
                writers[place] = None

    def begin(self) -> Writer | None:
        """A new process; None if it could not open the store just now."""
        try:
            return Writer(self)
        except (StoreError, AttributeError):
            self.counts["failures"] += 1
            return None

    def step(self, writer: Writer) -> bool:
        """One thing that the process does; False when it ended."""
        draw = self.rng.random()
        with writer.running():
            try:
                if draw < 0.55:
                    self.commit(writer)
                elif draw < 0.75:
                    self.sync(writer)
                elif draw < 0.85:
                    self.upkeep(writer)
                elif draw < 0.95:
                    self.check_read(writer.log)
                else:
                    self.sync(writer)
                    writer.log.close()
                    self.files.kill(writer)
                    return False
            except StorageError as error:
                self.after_failure(writer, error)
                return not writer.has_failed
        return not writer.is_dead

    def after_failure(self, writer: Writer, error: StorageError) -> None:
        """A process whose write or sync failed must acknowledge nothing more; it ends, and another may come."""
        self.counts["failures"] += 1
        if error.code is ErrorCode.SYNC_FAILED or writer.has_failed:
            writer.has_failed = True
            try:
                with writer.log.exclusive():
                    pass
            except StorageError as again:
                if again.code is not ErrorCode.WRITER_DEAD:
                    raise ViolationError(f"after a failed sync: {again!r}") from again
            else:
                raise ViolationError("a writer went on after a failed sync")
        writer.has_failed = True
        self.files.kill(writer)

    # --- what a process does ---------------------------------------------------------------------------------

    def commit(self, writer: Writer) -> None:
        rng = self.rng
        log = writer.log
        with log.exclusive():
            at = log.head()
            for commit, record in enumerate(log.read(writer.known), writer.known):
                self.check_shown(commit, record)
            if self.acknowledged and at <= max(self.acknowledged):
                raise ViolationError(f"head {at}, but commit {max(self.acknowledged)} was acknowledged")
            seq = self.next_seq(writer, at)
            records = []
            for commit in range(at, at + rng.choice((1, 1, 1, 2, 5))):
                record = random_record(rng, commit, seq, self.number)
                self.written.setdefault(commit, {})[self.number] = record
                self.number += 1
                seq = record.end_seq
                records.append(record)
            log.append(at, records)
            writer.known, writer.next_seq = at + len(records), seq
        writer.waiting.update(enumerate(records, at))
        if rng.random() < 0.6:
            self.sync(writer)

    def next_seq(self, writer: Writer, at: int) -> int:
        if at == 0 or (writer.known == at and writer.next_seq):
            return writer.next_seq or 1
        last = next(iter(writer.log.read(at - 1)), None)
        if last is None:
            raise ViolationError(f"head {at}, but commit {at - 1} cannot be read")
        return last.end_seq

    def sync(self, writer: Writer) -> None:
        writer.log.sync()
        for commit, record in writer.waiting.items():
            if commit in self.acknowledged and self.acknowledged[commit] != record:
                raise ViolationError(f"two acknowledgements for commit {commit}")
            self.acknowledged[commit] = record
            self.counts["commits"] += 1
        writer.waiting = {}

    def upkeep(self, writer: Writer, *, rotate: bool | None = None) -> None:
        draw = self.rng.random()
        if draw < 0.5:
            self.counts["seals"] += writer.log.seal(rotate=self.rng.random() < 0.5 if rotate is None else rotate)
        elif draw < 0.8:
            self.counts["merges"] += writer.log.merge()
        else:
            writer.log.sweep()

    # --- what must hold --------------------------------------------------------------------------------------

    def on_change(self, call: str) -> None:
        """Before each change: now and then a kill, now and then a reader that must see nothing odd."""
        writer = self.files.owner
        if isinstance(writer, Writer):
            if writer.is_dead:
                raise Stopped
            if writer.kill_in is not None:
                writer.kill_in -= 1
                if writer.kill_in < 0:
                    writer.is_dead = True
                    raise Stopped
            if not self.is_watching and self.rng.random() < self.watch_rate and hasattr(writer, "log"):
                self.watch()

    def on_open(self) -> None:
        """Before a file is opened: now and then another process seals, merges or sweeps it away."""
        others = [w for w in self.writers if w is not None and not w.is_dead and w is not self.files.owner]
        if self.is_watching or not others or self.rng.random() >= self.meddle_rate:
            return
        owner, self.is_watching = self.files.owner, True
        other = self.rng.choice(others)
        try:
            with other.running():
                self.upkeep(other, rotate=False)
        except StorageError as error:
            if error.code is not ErrorCode.WRITER_DEAD:
                self.counts["failures"] += 1
        finally:
            self.files.owner, self.is_watching = owner, False

    def watch(self) -> None:
        owner, self.is_watching, stop_in = self.files.owner, True, self.files.stop_in
        self.files.owner, self.files.stop_in = self, None
        try:
            log = self.make_log(read_only=True)
            self.check_read(log)
            log.close()
        finally:
            self.files.kill(self)
            self.files.owner, self.is_watching, self.files.stop_in = owner, False, stop_in

    def check_read(self, log: LocalLog) -> None:
        """A reader without the lock sees every acknowledged commit, each once, in order, whole."""
        self.counts["reads"] += 1
        reach = max(self.acknowledged, default=-1) + 1
        start = self.rng.choice((0, max(0, reach - 1), self.rng.randint(0, reach)))
        stop = start
        for stop, record in enumerate(log.read(start), start + 1):
            self.check_shown(stop - 1, record)
        if stop < reach:
            raise ViolationError(f"read from {start} on shows commits below {stop}, {reach - 1} was acknowledged")

    def check_shown(self, commit: int, record: Record) -> None:
        if self.written.get(commit, {}).get(record.header.writer_seq) != record:
            raise ViolationError(f"commit {commit} was never written like this: {record.header}")
        if commit in self.acknowledged and self.acknowledged[commit] != record:
            raise ViolationError(f"commit {commit} was acknowledged with other content")

    def recover(self) -> None:
        """Open the log after the power came back: first only reading, then as a writer."""
        try:
            log = self.make_log()
        except StoreError as error:
            if self.acknowledged:
                raise ViolationError(f"an acknowledged store cannot be opened: {error!r}") from error
            raise
        before = list(check_sequence(log.read(), commit=0, seq=1))
        with log.exclusive():
            head = log.head()
        tail = max(0, len(before) - 5)
        after = list(log.read(tail))
        if before[tail:] != after or head != len(before) or log.durable() != head:
            raise ViolationError(f"{len(before)} commits shown before recovery, {tail + len(after)} after, head {head}")
        if any(commit >= head for commit in self.acknowledged):
            raise ViolationError(f"{head} commits after recovery, {max(self.acknowledged)} was acknowledged")
        for commit, record in enumerate(before):
            self.check_shown(commit, record)
        self.acknowledged = dict(enumerate(before))
        self.written = {commit: {record.header.writer_seq: record} for commit, record in self.acknowledged.items()}
        if self.rng.random() < 0.2:
            report = log.verify()
            if not report.ok or report.commits != head:
                raise ViolationError(f"verify after recovery: {report}")
        log.close()


def lives(seeds: range, make: Callable[[int], Simulation] = Simulation) -> dict[str, int]:
    """Run a life for each seed and add up what happened in them.

    Raises:
        ViolationError: with the seed in its message.
    """
    total: dict[str, int] = {}
    for seed in seeds:
        simulation = make(seed)
        try:
            simulation.run()
        except (ViolationError, CorruptLogError, StoreError, AssertionError, OSError) as error:
            raise ViolationError(f"seed {seed}: {error!r}") from error
        for key, count in simulation.counts.items():
            total[key] = total.get(key, 0) + count
    return total


class FailingSyncs(Simulation):
    """Lives in which the journal's sync fails soon, and other processes go on after the one that was told."""

    def plan_faults(self) -> None:
        self.files.stop_in = self.rng.randint(20, 80)
        self.files.failing["sync_data"] = (self.rng.randint(1, 8), errno.EIO)
        self.meddle_rate = self.watch_rate = 0.0


class ManyKills(Simulation):
    """Lives in which processes are killed all the time, and the power goes soon."""

    def plan_faults(self) -> None:
        self.files.stop_in = self.rng.randint(20, 120)
        self.meddle_rate = self.watch_rate = 0.0
        self.kill_rate = 0.3


class Meddling(Simulation):
    """Lives in which files are sealed, merged and swept while others are about to open them."""

    def plan_faults(self) -> None:
        self.files.stop_in = self.rng.randint(60, 300)
        self.meddle_rate = 0.5
