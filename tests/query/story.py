"""One small history that the tests of questions share: a few runs with parameters, metrics, links and later changes."""

from __future__ import annotations

import math

from stratalog.eventlog.events import (
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Link,
    MetricPoints,
    ParentContext,
    Proto,
    Type,
)
from tests.query.graph import History

STRUCT = {"a": [1, 2.5, None, True, {"b": "é"}], "n": 2**60}


def story() -> tuple[History, dict[str, int]]:
    """The history, and the seqs at which its chapters end."""
    history = History()
    chapters = {"start": 0}
    history.commit(
        Type(kind=1, id=10, name="Model"),
        Type(kind=1, id=11, name="Model", version="2"),
        Type(kind=2, id=12, name="Train"),
        Type(kind=3, id=13, name="Experiment"),
    )
    history.commit(
        Execution(id=1, type_id=12, name="run-1", state=2, create_time_ms=1_000, update_time_ms=1_000,
                  properties={"lr": 0.1, "layers": 2, "name": "x"}, custom_properties={"lr": "high", "note": 1}),
        Execution(id=2, type_id=12, name="run-2", state=3, create_time_ms=2_000, update_time_ms=2_000,
                  properties={"lr": 1, "layers": 2, "flag": True}, custom_properties={"note": "two"}),
        Execution(id=3, type_id=12, state=3, create_time_ms=2_000, update_time_ms=2_000,
                  properties={"layers": 2, "lr": math.nan, "struct": STRUCT, "any": Proto("t/x", b"\x00\xff")}),
        actor="ada",
    )  # fmt: skip
    history.commit(
        MetricPoints(execution_id=1, key="acc", steps=[0, 1], times_us=[5, 6], values=[0.5, 0.7]),
        MetricPoints(execution_id=2, key="acc", steps=[1, 0], times_us=[5, 6], values=[0.9, 0.1]),
        MetricPoints(execution_id=3, key="acc", steps=[1], times_us=[5], values=[math.nan]),
        MetricPoints(execution_id=1, key="layers", steps=[0], times_us=[5], values=[3.0]),
    )
    chapters["runs"] = history.commit(
        Context(id=1, type_id=13, name="exp"),
        Context(id=2, type_id=13, name="sub"),
        Artifact(id=1, type_id=10, name="m", uri="s3://m", state=2, create_time_ms=9, update_time_ms=9,
                 properties={"text": "a\x00b", "big": 2**53 + 1}),
        Artifact(id=2, type_id=11, name="m2"),
        Association(1, 1),
        Association(1, 2),
        Attribution(1, 1),
        ParentContext(2, 1),
        Link(execution_id=1, artifact_id=1, type=4, path=["model", 0], time_ms=77),
        actor="bob",
    )  # fmt: skip
    chapters["changed"] = history.commit(
        Execution(id=1, type_id=12, name="run-1", state=3, create_time_ms=1_000, update_time_ms=3_000,
                  properties={"lr": 0.2, "layers": 2, "name": "x"}, custom_properties={"note": 1}),
        actor="eve", reason="typo",
    )  # fmt: skip
    history.commit(
        Execution(id=1, type_id=12, name="run-1", state=3, create_time_ms=1_000, update_time_ms=4_000,
                  properties={"lr": 0.2, "layers": 2, "name": "x", "new": True}, custom_properties={"note": 1}),
        Artifact(id=2, type_id=11, name="m2", update_time_ms=5),
        actor="ada",
    )  # fmt: skip
    chapters["head"] = history.commit(
        Artifact(id=3, type_id=10, name="m3"),
        Link(execution_id=2, artifact_id=1, type=3, time_ms=78),
        MetricPoints(execution_id=1, key="acc", steps=[2], times_us=[9], values=[0.8]),
    )
    return history, chapters
