"""How long does it take to find everything above a model, and everything below a source that all came from?

At 10,000 executions against ml-metadata: all nodes and links above a model; all models, and all nodes and links, below
a source, from which a tenth of the graph came, or all of it. At 1,000,000 executions ours alone, warm: a source with
more than 100,000 executions below it.
"""

from __future__ import annotations

import statistics
import sys
import time
from functools import partial
from typing import Any

from bench import data, harness, kept
from bench.harness import Options, Report

BAR = 10.0
HUB_BAR_S = 0.100
HOPS = 100


class Ours:
    """Our side."""

    def open(self, path: str) -> None:
        """Open the store."""
        import stratalog

        self.store = stratalog.open(path)

    def first(self) -> float:
        """Seconds of a first question, which builds what the later ones stand on."""
        start = time.perf_counter()
        hub = self.store.get_artifact(type="Source", name="g0-raw").id
        self.store.lineage("artifact", hub, direction="down")
        return time.perf_counter() - start

    def above(self, names: list[str]) -> dict[str, Any]:
        """Everything above each model; seconds a model, and artifacts and executions of each."""
        ids = [self.store.get_artifact(type="Fitted", name=name).id for name in names]
        start = time.perf_counter()
        found = [self.store.lineage("artifact", id, direction="up") for id in ids]
        seconds = (time.perf_counter() - start) / len(ids)
        return {"seconds": seconds, "counts": [_counts(graph) for graph in found]}

    def below(self, name: str) -> dict[str, Any]:
        """All nodes and links below a source."""
        hub = self.store.get_artifact(type="Source", name=name).id
        start = time.perf_counter()
        graph = self.store.lineage("artifact", hub, direction="down")
        walked = time.perf_counter() - start
        links = graph.links
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "walked": walked, "counts": _counts(graph), "links": links.num_rows}

    def models_below(self, name: str) -> dict[str, Any]:
        """All models below a source."""
        hub = self.store.get_artifact(type="Source", name=name).id
        start = time.perf_counter()
        graph = self.store.lineage("artifact", hub, direction="down", types=["Fitted"])
        nodes = graph.nodes
        seconds = time.perf_counter() - start
        kept_types = [row for row in nodes.column("type").to_pylist() if row == "Fitted"]
        return {"seconds": seconds, "models": len(kept_types)}


def _counts(graph: Any) -> list[int]:
    kinds = graph.nodes.column("kind").to_pylist()
    artifacts = sum(kind in ("artifact", 1) for kind in kinds)
    return [artifacts, len(kinds) - artifacts]


class Peer:
    """ml-metadata's side."""

    def open(self, path: str) -> None:
        """Open the file."""
        from bench.peer import mlmd

        self.store = mlmd.connect(path)

    def _ask(self, name: str, kind: str, is_down: bool) -> Any:
        from ml_metadata.proto import metadata_store_pb2 as pb

        options = pb.LineageSubgraphQueryOptions(max_num_hops=HOPS)
        options.starting_artifacts.filter_query = f"type = '{kind}' AND name = '{name}'"
        downstream, upstream = pb.LineageSubgraphQueryOptions.DOWNSTREAM, pb.LineageSubgraphQueryOptions.UPSTREAM
        options.direction = downstream if is_down else upstream
        # What our answer holds too; without contexts, which take a fifth of its time.
        parts = ["artifacts", "executions", "events", "artifact_types", "execution_types"]
        return self.store.get_lineage_subgraph(options, parts)

    def above(self, names: list[str]) -> dict[str, Any]:
        """Everything above each model; seconds a model, and artifacts and executions of each."""
        start = time.perf_counter()
        found = [self._ask(name, "Fitted", False) for name in names]
        seconds = (time.perf_counter() - start) / len(names)
        return {"seconds": seconds, "counts": [[len(graph.artifacts), len(graph.executions)] for graph in found]}

    def below(self, name: str) -> dict[str, Any]:
        """All nodes and links below a source."""
        start = time.perf_counter()
        graph = self._ask(name, "Source", True)
        seconds = time.perf_counter() - start
        counts = [len(graph.artifacts), len(graph.executions)]
        return {"seconds": seconds, "counts": counts, "links": len(graph.events)}

    def models_below(self, name: str) -> dict[str, Any]:
        """All models below a source: the graph's artifacts of that type."""
        type_id = self.store.get_artifact_type("Fitted").id
        start = time.perf_counter()
        graph = self._ask(name, "Source", True)
        models = [node for node in graph.artifacts if node.type_id == type_id]
        return {"seconds": time.perf_counter() - start, "models": len(models)}


def main() -> int:
    chosen = harness.options(__doc__)
    report = Report(__doc__, "lineage", chosen)
    _against_peer(report, chosen, min(chosen.rows or 10_000, 500 if chosen.quick else 10_000))
    _hub(report, chosen, chosen.rows or (2000 if chosen.quick else 1_000_000))
    return report.finish()


def _against_peer(report: Report, chosen: Options, executions: int) -> None:
    per_group = data.trainings(executions)
    trainings = [data.mix(i, 61) % per_group for i in range(20)]
    names = [f"g{i % data.GROUPS}-model-{training}" for i, training in enumerate(trainings)]
    title = f"{executions:,} executions"
    with _Pair("lineage", executions, chosen) as sides:
        expected = [list(data.upstream_of_model(training)) for training in trainings]
        _report(report, f"{title}, above a model", sides.ask("above", names=names), "counts", expected)
    for what, groups, name in (("lineage", data.GROUPS, "g3-raw"), ("hub", 1, "g0-raw")):
        models = data.trainings(executions, groups)
        whole = list(data.downstream_of_raw(executions, groups))
        with _Pair(what, executions, chosen) as sides:
            found = sides.ask("models_below", name=name)
            _report(report, f"{title}, all {models:,} models below a source", found, "models", models)
            found = sides.ask("below", name=name)
            _report(report, f"{title}, all {sum(whole):,} nodes and their links below a source", found, "counts", whole)
            if found[1]:
                harness.agree("links below a source", found[0][0]["links"], found[1][0]["links"])


class _Pair:
    """Both sides, open on the same graph."""

    def __init__(self, what: str, executions: int, chosen: Options) -> None:
        self._repeats = chosen.repeats
        path, peer_path = kept.store(what, executions, chosen), kept.peer_file(what, executions, chosen)
        self._ours, self._peer = harness.ours("bench.lineage:Ours"), harness.peer("bench.lineage:Peer", chosen)
        self._ours.call("open", path=path)
        self._ours.call("first")
        if self._peer is not None:
            self._peer.call("open", path=peer_path)

    def ask(self, method: str, **arguments: Any) -> list[list[Any]]:
        """The answers of both sides in turn, one round more than is measured."""
        peer = partial(self._peer.call, method, **arguments) if self._peer is not None else None
        return harness.alternate(self._repeats + 1, partial(self._ours.call, method, **arguments), peer)

    def __enter__(self) -> _Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        if self._peer is not None:
            self._peer.close()


def _report(report: Report, what: str, found: list[list[Any]], key: str, expected: Any) -> None:
    for side in found:
        for answer in side:
            harness.agree(what, answer[key], expected)
    ours, peer = ([answer["seconds"] for answer in side[1:]] for side in found)
    busy = ([answer["busy"] for answer in found[0][1:]], [answer["busy"] for answer in found[1][1:]])
    report.faster(what, ours, peer, bar=BAR, busy=busy)


def _hub(report: Report, chosen: Options, executions: int) -> None:
    path = kept.store("lineage", executions, chosen)
    with harness.ours("bench.lineage:Ours") as ours:
        ours.call("open", path=path)
        first = ours.call("first")
        models, whole = harness.alternate(
            chosen.repeats + 1,
            lambda: ours.call("models_below", name="g3-raw"),
            lambda: ours.call("below", name="g5-raw"),
        )
        above = harness.alternate(chosen.repeats, lambda: ours.call("above", names=["g1-model-4", "g2-model-9"]))[0]
    expected = data.downstream_of_raw(executions)
    for answer in whole:
        harness.agree("nodes below a source", answer["counts"], list(expected))
    for answer in models:
        harness.agree("models below a source", answer["models"], data.trainings(executions))
    title = f"{executions:,} executions, warm"
    report.at_most(
        f"{title}, all nodes below a source ({expected[1]:,} executions, {expected[0]:,} artifacts)",
        [answer["walked"] for answer in whole[1:]],
        bar=HUB_BAR_S,
    )
    report.at_most(
        f"{title}, the same and their {whole[0]['links']:,} links",
        [answer["seconds"] for answer in whole[1:]],
        bar=None,
    )
    report.at_most(
        f"{title}, all {data.trainings(executions):,} models below a source",
        [answer["seconds"] for answer in models[1:]],
        bar=HUB_BAR_S,
    )
    report.show(f"{title}, above a model", harness.seconds(statistics.median(answer["seconds"] for answer in above)))
    report.show(f"{executions:,} executions, the first question", harness.seconds(first))


if __name__ == "__main__":
    sys.exit(main())
