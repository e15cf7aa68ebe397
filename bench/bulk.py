"""How fast do 100,000 and 1,000,000 artifacts with five properties become durable and foldable into every read model?

A timed run puts the artifacts in batches of 100,000 (10,000 for ml-metadata, which is slower with more) and then seals:
the log, Base and Tables hold every row. The structs and messages are made before the clock starts, on both sides. The
second peer is a bare SQLite table, filled in one transaction a batch with WAL and synchronous FULL.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import data, harness, kept
from bench.harness import Options, Report

if TYPE_CHECKING:
    from stratalog import Store

BAR, TABLE_BAR = 15.0, 1.0
ROW_BYTES_BAR = 60.0
MEMORY_BAR = 1000.0
FLAT_BAR = 50.0
"""Growth of the peak after the third batch, in bytes a row: what indexes and page caches take, not the rows."""


class Ours:
    """Our side."""

    def put(self, path: str, rows: int, batch: int) -> dict[str, Any]:
        """Put and seal; seconds of the puts, of the seal, and processor seconds of both."""
        import time

        import stratalog
        from bench import filling

        seconds = busy = 0.0
        store = stratalog.open(path)
        type_id = _warm(store)
        for start in range(0, rows, batch):
            made = [filling.artifact(type_id, row) for row in data.artifacts(start, min(start + batch, rows))]
            begin, busy_begin = time.perf_counter(), time.process_time()
            store.put_artifacts(made)
            seconds += time.perf_counter() - begin
            busy += time.process_time() - busy_begin
            del made
        begin, busy_begin = time.perf_counter(), time.process_time()
        store.seal()
        sealing = time.perf_counter() - begin
        busy += time.process_time() - busy_begin
        # Folded everywhere: both read models answer without reading the log.
        assert store.get_artifact(type=data.ARTIFACT_TYPE, name=f"model-{rows - 1}").id == rows + 1
        count = int(store.sql("SELECT count(*) AS n FROM artifacts").arrow()["n"][0].as_py()) - 1
        store.close()
        return {"put": seconds, "seal": sealing, "busy": busy, "count": count}

    def memory(self, path: str, rows: int, batch: int) -> dict[str, Any]:
        """Peak memory beyond the artifacts themselves: of each batch of a stream, in bytes."""
        import stratalog
        from bench import filling

        store = stratalog.open(path)
        type_id = _warm(store)
        empty = harness.rss_bytes()
        peaks, highest = [], 0
        for start in range(0, rows, batch):
            made = [filling.artifact(type_id, row) for row in data.artifacts(start, min(start + batch, rows))]
            before = harness.rss_bytes()
            harness.reset_peak_rss()
            store.put_artifacts(made)
            peaks.append(harness.peak_rss_bytes() - before)
            del made
            gc.collect()
            highest = max(highest, harness.peak_rss_bytes())
        harness.reset_peak_rss()
        before = harness.rss_bytes()
        store.seal()
        sealing = harness.peak_rss_bytes() - before
        settled = harness.rss_bytes()
        store.close()
        return {"empty": empty, "peaks": peaks, "sealing": sealing, "settled": settled, "highest": highest}

    def stream(self, path: str, rows: int, batch: int) -> list[int]:
        """The process's peak during each batch of a stream, in bytes."""
        import stratalog
        from bench import filling

        store = stratalog.open(path)
        type_id = _warm(store)
        peaks = []
        for start in range(0, rows, batch):
            harness.reset_peak_rss()
            store.put_artifacts(filling.artifact(type_id, row) for row in data.artifacts(start, start + batch))
            peaks.append(harness.peak_rss_bytes())
        store.close()
        return peaks


def _warm(store: Store) -> int:
    """Put the type and one artifact and seal, so that every library is loaded; return the type's id."""
    from bench import filling

    type_id = store.put_type("artifact", data.ARTIFACT_TYPE, data.ARTIFACT_PROPERTIES)
    store.put_artifacts([filling.artifact(type_id, data.Row("warm", "", {}))])
    store.seal()
    return type_id


class Peer:
    """ml-metadata's side."""

    def put(self, path: str, rows: int, batch: int) -> dict[str, Any]:
        """Put; seconds and processor seconds of the puts."""
        import time

        from bench.peer import mlmd

        store = mlmd.connect(path)
        type_id = mlmd.put_artifact_type(store, data.ARTIFACT_TYPE, data.ARTIFACT_PROPERTIES)
        store.put_artifacts([mlmd.artifact(type_id, data.Row("warm", "", {}))])
        seconds = busy = 0.0
        for start in range(0, rows, batch):
            made = [mlmd.artifact(type_id, row) for row in data.artifacts(start, min(start + batch, rows))]
            begin, busy_begin = time.perf_counter(), time.process_time()
            ids = store.put_artifacts(made)
            seconds += time.perf_counter() - begin
            busy += time.process_time() - busy_begin
        return {"put": seconds, "seal": 0.0, "busy": busy, "count": int(ids[-1]) - 1}


class Table:
    """A bare SQLite table with one column a field."""

    def put(self, path: str, rows: int, batch: int) -> dict[str, Any]:
        """Insert; seconds of the inserts."""
        import sqlite3
        import time

        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        names = list(data.ARTIFACT_PROPERTIES)
        connection.execute(
            f"CREATE TABLE artifact (id INTEGER PRIMARY KEY, name TEXT UNIQUE, uri TEXT, {', '.join(names)})"
        )
        marks = ", ".join("?" for _ in range(2 + len(names)))
        insert = f"INSERT INTO artifact (name, uri, {', '.join(names)}) VALUES ({marks})"
        seconds = busy = 0.0
        for start in range(0, rows, batch):
            found = data.artifacts(start, min(start + batch, rows))
            made = [(row.name, row.uri, *(row.properties[name] for name in names)) for row in found]
            begin, busy_begin = time.perf_counter(), time.process_time()
            connection.execute("BEGIN")
            connection.executemany(insert, made)
            connection.execute("COMMIT")
            seconds += time.perf_counter() - begin
            busy += time.process_time() - busy_begin
        count = int(connection.execute("SELECT count(*) FROM artifact").fetchone()[0])
        connection.close()
        return {"put": seconds, "seal": 0.0, "busy": busy, "count": count}


def main() -> int:
    chosen = harness.options(__doc__)
    report = Report(__doc__, "bulk", chosen)
    sizes = [chosen.rows] if chosen.rows else ([2000] if chosen.quick else [100_000, 1_000_000])
    for rows in sizes:
        _speed(report, chosen, rows)
    _memory(report, sizes[-1])
    return report.finish()


def _speed(report: Report, chosen: Options, rows: int) -> None:
    # ml-metadata's rate does not depend on the size, so at a million it puts 50,000: otherwise a run takes an hour.
    peer_rows = min(rows, 50_000)
    repeats = chosen.repeats if rows <= 100_000 else max(2, chosen.repeats - 2)
    sizes: dict[str, float] = {}
    found = harness.alternate(
        repeats,
        lambda: _one("bench.bulk:Ours", None, rows, 100_000, sizes),
        (lambda: _one("bench.bulk:Peer", chosen.peer, peer_rows, 10_000, sizes)) if chosen.peer else None,
        lambda: _one("bench.bulk:Table", None, rows, 100_000, sizes),
    )
    title = f"{rows:,} artifacts"
    rates = [
        [size / (part["put"] + part["seal"]) for part in side]
        for side, size in zip(found, (rows, peer_rows, rows), strict=True)
    ]
    report.faster(
        f"{title}, durable and folded, rows/s", rates[0], rates[1], bar=BAR, show=harness.rate, more_is_better=True
    )
    report.faster(
        f"{title}, the same",
        rates[0],
        rates[2],
        bar=TABLE_BAR,
        show=harness.rate,
        more_is_better=True,
        of="a bare SQLite table",
    )
    report.faster(
        f"{title}, durable only, rows/s",
        [rows / part["put"] for part in found[0]],
        rates[1],
        bar=None,
        show=harness.rate,
        more_is_better=True,
    )
    busy = [[part["busy"] / size for part in side] for side, size in zip(found, (rows, peer_rows, rows), strict=True)]
    report.faster(f"{title}, durable and folded, processor time a row", busy[0], busy[1], bar=None)
    report.faster(f"{title}, the same", busy[0], busy[2], bar=None, of="a bare SQLite table")
    show = harness.plain("B")
    report.at_most(f"{title}, log on disk, a row", [sizes["bench.bulk:Ours log"] / rows], bar=ROW_BYTES_BAR, show=show)
    report.at_most(f"{title}, read models on disk, a row", [sizes["bench.bulk:Ours views"] / rows], bar=None, show=show)
    if chosen.peer:
        report.show(f"{title}, MLMD on disk, a row", show(sizes["bench.bulk:Peer"] / peer_rows))


def _one(side: str, python: str | None, rows: int, batch: int, sizes: dict[str, float]) -> dict[str, Any]:
    path = kept.scratch("bulk")
    with harness.ours(side, python=python) as process:
        answer: dict[str, Any] = process.call("put", path=path, rows=rows, batch=batch)
    harness.agree(f"{side}: rows", answer["count"], rows)
    sizes[side] = _size(Path(path).parent)
    for part in ("log", "views"):
        sizes[f"{side} {part}"] = _size(Path(path) / part)
    kept.remove(path)
    return answer


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _memory(report: Report, rows: int) -> None:
    batch = rows // 10
    path = kept.scratch("memory")
    with harness.ours("bench.bulk:Ours") as process:
        found = process.call("memory", path=path, rows=rows, batch=batch)
    kept.remove(path)
    show = harness.plain("B")
    report.at_most(
        f"peak memory of a put of {batch:,} beyond the artifacts given, a row",
        [value / batch for value in found["peaks"]],
        bar=MEMORY_BAR,
        show=show,
    )
    report.at_most(
        f"peak memory of sealing at the end of {rows:,}, a row of a batch",
        [found["sealing"] / batch],
        bar=None,
        show=show,
    )
    path = kept.scratch("stream")
    with harness.ours("bench.bulk:Ours") as process:
        peaks = process.call("stream", path=path, rows=rows, batch=batch)
    kept.remove(path)
    later = peaks[3:]
    growth = (max(later) - peaks[2]) / (batch * len(later))
    what = f"growth of the peak over a stream of {rows:,} after the third batch, a row"
    report.at_most(what, [growth], bar=FLAT_BAR, show=show)
    report.show("peaks of the ten batches, MB", " ".join(f"{peak / 1e6:.0f}" for peak in peaks))


if __name__ == "__main__":
    sys.exit(main())
