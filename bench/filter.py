"""What does a filter over artifacts cost, now and as of the middle of the history?

At 1,000,000 artifacts (a fourth of them put anew once, the middle lies after half of that): one artifact in ten, and
one in ten thousand, against a plain DuckDB scan of the same Parquet files that gives the same ids into Arrow. At
100,000, against ml-metadata: the whole result with every property, and a first page of 100.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench import data, filling, harness, kept
from bench.harness import Options, Report

SCAN_BAR, AS_OF_BAR = 3.0, 1.5
WHOLE_BAR, PAGE_BAR = 50.0, 5.0
FILTERS = {"10 %": (data.FILTER_TENTH, data.tenth), "0.01 %": (data.FILTER_RARE, data.rare)}


class Ours:
    """Our side, and the plain scan: both in one process, on one DuckDB."""

    def open(self, path: str, rows: int) -> None:
        """Open the store, and a DuckDB of its own for the scans."""
        import duckdb

        import stratalog

        self.store = stratalog.open(path)
        self.rows = rows
        self.plain = duckdb.connect()
        # What any program would set that scans the same files again and again.
        self.plain.execute("SET parquet_metadata_cache = true")
        sealed = json.loads((Path(path) / "views" / "manifest.json").read_bytes())
        manifest = sealed["manifest"]
        assert not manifest["parts"], "the store is not merged; the scan would read less than the filter"
        self.files = {
            (file["table"], file["role"]): str(Path(path) / "views" / file["name"]) for file in manifest["merged"]
        }
        names = self.plain.sql(f"SELECT name, nid FROM '{self.files['prop_name', 'cur']}'").fetchall()
        self.names = dict(names)

    def find(self, where: str, at_middle: bool) -> dict[str, Any]:
        """The keys of all hits by `find`, in Arrow; seconds, how many, and the sum of the ids."""
        start = time.perf_counter()
        asked = self.store.as_of(filling.middle(self.rows)) if at_middle else self.store
        keys = asked.find("artifact", where).nkeys
        return self._answer(start, keys)

    def listed(self, where: str) -> float:
        """Seconds of the ids of all hits as a list of Python."""
        start = time.perf_counter()
        self.store.find("artifact", where).ids()
        return time.perf_counter() - start

    def scan(self, which: str, at_middle: bool) -> dict[str, Any]:
        """The same by plain SQL over the Parquet files; of the middle, over current and past versions."""
        start = time.perf_counter()
        files = [self.files["prop", "cur"]]
        visible = ""
        if at_middle:
            as_of = filling.middle(self.rows)
            past = self.files["prop", "hist"]
            visible = f" AND seq <= {as_of}"
            source = (
                f"(SELECT nid, nkey, seq, d, s FROM read_parquet({files}) WHERE TRUE{visible} UNION ALL "
                f"SELECT nid, nkey, seq, d, s FROM read_parquet(['{past}']) WHERE seq <= {as_of} AND seq_to > {as_of})"
            )
        else:
            source = f"read_parquet({files})"
        text = f"SELECT nkey FROM {source} WHERE nid = {self.names['accuracy']} AND d > 0.9"
        if which == "0.01 %":
            text += f" AND nkey IN (SELECT nkey FROM {source} WHERE nid = {self.names['dataset']} AND s = 'dataset-17')"
        keys = self.plain.sql(f"{text} ORDER BY nkey").to_arrow_table()["nkey"]
        return self._answer(start, keys)

    def _answer(self, start: float, keys: Any) -> dict[str, Any]:
        import pyarrow.compute as pc

        seconds = time.perf_counter() - start
        ids = pc.shift_right(keys, 2)  # a key is id << 2 | kind
        return {"seconds": seconds, "count": len(ids), "sum": pc.sum(ids).as_py() or 0}

    def whole(self, where: str, form: str) -> dict[str, Any]:
        """All hits with every property, as structs or as an Arrow table."""
        start = time.perf_counter()
        if form == "nodes":
            nodes = self.store.find("artifact", where).nodes()
            seconds = time.perf_counter() - start
            return {"seconds": seconds, "count": len(nodes), "sum": sum(node.properties["epochs"] for node in nodes)}
        columns = [f"properties.{name}" for name in data.ARTIFACT_PROPERTIES]
        table = self.store.find("artifact", where, columns=columns).arrow()
        seconds = time.perf_counter() - start
        epochs = sum(table["properties.epochs"].to_pylist())
        return {"seconds": seconds, "count": table.num_rows, "sum": epochs, "columns": table.column_names}

    def page(self, where: str) -> dict[str, Any]:
        """The first hundred hits, whole."""
        start = time.perf_counter()
        nodes = self.store.find("artifact", where, limit=100).nodes()
        return {"seconds": time.perf_counter() - start, "count": len(nodes), "sum": sum(node.id for node in nodes)}


class Peer:
    """ml-metadata's side."""

    def open(self, path: str) -> None:
        """Open the file."""
        from bench.peer import mlmd

        self.store = mlmd.connect(path)

    def whole(self, where: str) -> dict[str, Any]:
        """All hits; the client asks for pages of a hundred by itself."""
        from ml_metadata.metadata_store import ListOptions

        start = time.perf_counter()
        nodes = self.store.get_artifacts(ListOptions(filter_query=where))
        seconds = time.perf_counter() - start
        epochs = sum(node.properties["epochs"].int_value for node in nodes)
        return {"seconds": seconds, "count": len(nodes), "sum": epochs}

    def page(self, where: str) -> dict[str, Any]:
        """The first hundred hits, by ascending id."""
        from ml_metadata.metadata_store import ListOptions, OrderByField

        start = time.perf_counter()
        options = ListOptions(filter_query=where, limit=100, order_by=OrderByField.ID)
        nodes = self.store.get_artifacts(options)
        return {"seconds": time.perf_counter() - start, "count": len(nodes), "sum": sum(node.id for node in nodes)}


def main() -> int:
    chosen = harness.options(__doc__)
    report = Report(__doc__, "filter", chosen)
    _scans(report, chosen, chosen.rows or (4000 if chosen.quick else 1_000_000))
    _against_peer(report, chosen, min(chosen.rows or 100_000, 2000 if chosen.quick else 100_000))
    return report.finish()


def _scans(report: Report, chosen: Options, rows: int) -> None:
    path = kept.store("history", rows, chosen)
    repeats = max(chosen.repeats, 2 if chosen.quick else 9)
    with harness.ours("bench.filter:Ours") as ours:
        ours.call("open", path=path, rows=rows)
        for name, (where, holds) in FILTERS.items():
            medians: dict[bool, list[float]] = {}
            for at_middle in (False, True):
                expected = _expected(rows, holds, at_middle)
                # One round to warm up: files in the page cache, names and plans known.
                answers = harness.alternate(
                    repeats + 1,
                    partial(ours.call, "find", where=where, at_middle=at_middle),
                    partial(ours.call, "scan", which=name, at_middle=at_middle),
                )
                for side in answers:
                    for answer in side:
                        harness.agree(f"{where}: count and sum", [answer["count"], answer["sum"]], expected)
                found, scans = ([answer["seconds"] for answer in side[1:]] for side in answers)
                when = "as of the middle" if at_middle else "current"
                report.within(
                    f"{name} of {rows:,}, {when}, ids ({expected[0]:,})",
                    found,
                    scans,
                    bar=SCAN_BAR,
                    of="plain scan",
                )
                medians[at_middle] = found
            report.within(
                f"{name} of {rows:,}, as of the middle beside current",
                medians[True],
                medians[False],
                bar=AS_OF_BAR,
                of="current",
            )
        whole = harness.alternate(
            min(3, repeats), lambda: ours.call("whole", where=data.FILTER_TENTH, form="arrow")["seconds"]
        )
        report.show(
            f"10 % of {rows:,}, all fields and properties as Arrow", harness.seconds(statistics.median(whole[0]))
        )
        listed = harness.alternate(min(3, repeats), partial(ours.call, "listed", where=data.FILTER_TENTH))
        report.show(f"10 % of {rows:,}, ids as a list", harness.seconds(statistics.median(listed[0])))


def _expected(rows: int, holds: Any, at_middle: bool) -> list[int]:
    ids = [i + 1 for i in range(rows) if holds(filling.newest(i, rows, at_middle=at_middle))]
    return [len(ids), sum(ids)]


def _against_peer(report: Report, chosen: Options, rows: int) -> None:
    path, peer_path = kept.store("artifacts", rows, chosen), kept.peer_file("artifacts", rows, chosen)
    ours, peer = harness.ours("bench.filter:Ours"), harness.peer("bench.filter:Peer", chosen)
    where = data.FILTER_TENTH
    with ours:
        ours.call("open", path=path, rows=rows)
        if peer is not None:
            peer.call("open", path=peer_path)
        nodes, tables, peers = harness.alternate(
            chosen.repeats + 1,
            lambda: ours.call("whole", where=where, form="nodes"),
            lambda: ours.call("whole", where=where, form="arrow"),
            (lambda: peer.call("whole", where=where)) if peer else None,
        )
        expected = [int(row.properties["epochs"]) for row in data.artifacts(0, rows) if data.tenth(row)]
        for answer in nodes + tables + peers:
            harness.agree(f"{where}: count, sum", [answer["count"], answer["sum"]], [len(expected), sum(expected)])
        slow = [answer["seconds"] for answer in peers[1:]]
        title = f"10 % of {rows:,}, whole result ({len(expected):,})"
        slow_busy = [answer["busy"] for answer in peers[1:]]
        for form, answers, bar in (("structs", nodes, WHOLE_BAR), ("Arrow", tables, None)):
            busy = ([answer["busy"] for answer in answers[1:]], slow_busy)
            report.faster(
                f"{title}, as {form}", [answer["seconds"] for answer in answers[1:]], slow, bar=bar, busy=busy
            )
        report.note(f"columns of that table: {', '.join(tables[0]['columns'])}")
        pages, peer_pages = harness.alternate(
            2 * chosen.repeats + 1,
            lambda: ours.call("page", where=where),
            (lambda: peer.call("page", where=where)) if peer else None,
        )
        for answer in peer_pages:
            harness.agree("first page", [answer["count"], answer["sum"]], [pages[0]["count"], pages[0]["sum"]])
        report.faster(
            f"10 % of {rows:,}, first page of 100",
            [answer["seconds"] for answer in pages[1:]],
            [answer["seconds"] for answer in peer_pages[1:]],
            bar=PAGE_BAR,
            busy=([answer["busy"] for answer in pages[1:]], [answer["busy"] for answer in peer_pages[1:]]),
        )
        if peer is not None:
            peer.close()


if __name__ == "__main__":
    sys.exit(main())
