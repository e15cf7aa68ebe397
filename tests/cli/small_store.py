"""A small store that the tests of the command line read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from click.testing import Result

import stratalog
from stratalog import Artifact, Context, Execution, Link, LinkType, Pair
from stratalog.eventlog.events import Proto

PROJECT = Path(__file__).parents[2]
LONG_NAME = "a model with a long name " * 12
ODD_NAME = "tab\there [bold]line\nbreak \x1b[31mred"


class SmallStore(NamedTuple):
    """A store with three runs on one data set. `moment` is the seq before the last change."""

    path: Path
    moment: int


def build(path: Path) -> SmallStore:
    with stratalog.open(path, actor="ada") as store:
        data_type = store.put_type("artifact", "DataSet", {"rows": "int"})
        model_type = store.put_type("artifact", "Model", {"accuracy": "double", "stage": "string", "card": "struct"})
        train_type = store.put_type("execution", "Train", {"learning_rate": "double", "depth": "int"})
        context_type = store.put_type("context", "Experiment")
        store.put_type("artifact", "Model", {"accuracy": "double"}, version="2", description="the next one")
        data = store.put_artifact(type=data_type, name="wine", uri="file:///wine.csv", properties={"rows": 178})
        for number, name in enumerate(["first", LONG_NAME, ODD_NAME], start=1):
            step = store.put_execution(
                Execution(
                    type_id=train_type,
                    name=f"run {number}",
                    state=stratalog.ExecutionState.COMPLETE,
                    properties={"learning_rate": 0.1 / number, "depth": 4},
                ),
                [
                    Pair(link=Link(artifact_id=data, type=LinkType.INPUT, path=["data"])),
                    Pair(
                        artifact=Artifact(
                            type_id=model_type,
                            name=name,
                            state=stratalog.ArtifactState.LIVE,
                            properties={"accuracy": 0.9 + number / 100, "stage": "candidate"},
                        ),
                        link=Link(type=LinkType.OUTPUT, path=["models", number]),
                    ),
                ],
                [Context(type_id=context_type, name="reds")],
                options=stratalog.StepOptions(reuse_context=True),
                reason=f"try {number}",
            )
            for at, loss in enumerate([1.0, 0.5, 0.25]):
                store.log_metrics(step.execution_id, {"loss": loss / number}, step=at)
        moment = store.head
        first = store.get_artifact(type="Model", name="first")
        store.put_artifact(
            id=first.id,
            properties={"stage": "champion", "card": {"by": "ada", "scores": [1, None]}},
            custom_properties={"seen": True, "raw": Proto("example.Message", b"\x00\x01")},
            mask=["properties.stage", "properties.card", "custom_properties.seen", "custom_properties.raw"],
            actor="judge",
            reason="the best so far",
        )
    return SmallStore(path, moment)


class Run(Protocol):
    """Run a command line in this process."""

    def __call__(self, *arguments: object, input: str | None = None, store: Path | str | None = None) -> Result: ...


class Done(NamedTuple):
    """How a process ended."""

    exit_code: int
    stdout: str
    stderr: str


class Spawn(Protocol):
    """Run a command line as a process."""

    def __call__(self, *arguments: object, env: dict[str, str] | None = None, input: str = "") -> Done: ...
