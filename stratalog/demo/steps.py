"""How the demo records its steps: the types, and one commit for each of ingest, split, train and evaluate."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from stratalog.commands.executions import Pair, StepOptions
from stratalog.demo.data import Parts, Sample
from stratalog.demo.models import Recipe, Scores, Trained
from stratalog.eventlog.events import (
    Artifact,
    ArtifactState,
    Context,
    Execution,
    ExecutionState,
    Kind,
    Link,
    LinkType,
    MetricPoints,
    ParentContext,
    PropertyType,
    Type,
)

if TYPE_CHECKING:
    from stratalog.store.store import Store

PROJECT = "stratalog-demo"

_INT, _DOUBLE, _STRING = PropertyType.INT, PropertyType.DOUBLE, PropertyType.STRING


def _type(kind: Kind, name: str, base_type: str | None = None, **properties: PropertyType) -> Type:
    return Type(kind=kind, name=name, base_type=base_type, properties={key: int(t) for key, t in properties.items()})


TYPES = (
    _type(Kind.ARTIFACT, "DataSet", "mlmd.Dataset", rows=_INT, columns=_INT, classes=_INT, sha256=_STRING),
    _type(Kind.ARTIFACT, "Split", "mlmd.Dataset", part=_STRING, rows=_INT, seed=_INT, sha256=_STRING),
    _type(
        Kind.ARTIFACT,
        "Model",
        "mlmd.Model",
        family=_STRING,
        stage=_STRING,
        accuracy=_DOUBLE,
        size_bytes=_INT,
        sha256=_STRING,
    ),
    _type(Kind.ARTIFACT, "Report", "mlmd.Metrics", accuracy=_DOUBLE, f1=_DOUBLE, errors=_INT),
    _type(Kind.EXECUTION, "Ingest", source=_STRING),
    _type(Kind.EXECUTION, "Divide", "mlmd.Transform", test_share=_DOUBLE, seed=_INT),
    _type(
        Kind.EXECUTION,
        "Train",
        "mlmd.Train",
        family=_STRING,
        seed=_INT,
        C=_DOUBLE,
        depth=_INT,
        epochs=_INT,
        gamma=_DOUBLE,
        hidden=_INT,
        learning_rate=_DOUBLE,
        neighbours=_INT,
        trees=_INT,
        seconds=_DOUBLE,
    ),
    _type(Kind.EXECUTION, "Evaluate", "mlmd.Evaluate", seconds=_DOUBLE),
    _type(Kind.CONTEXT, "Project"),
    _type(Kind.CONTEXT, "Experiment", data_set=_STRING),
)
"""Everything that the demo keeps, with the types of its properties."""

_REUSE = StepOptions(reuse_context=True, reuse_artifact_by_external_id=True)


def _input(artifact_id: int, key: str) -> Pair:
    return Pair(link=Link(artifact_id=artifact_id, type=LinkType.INPUT, path=[key]))


def _output(artifact: Artifact, key: str) -> Pair:
    return Pair(artifact=artifact, link=Link(type=LinkType.OUTPUT, path=[key]))


class Run(NamedTuple):
    """A recipe, and who runs it."""

    recipe: Recipe
    actor: str

    @property
    def name(self) -> str:
        """What the run's model is called, without the round."""
        hidden = self.recipe.parameters.get("hidden")
        return f"{self.recipe.data_set}-{self.recipe.family}" + (f"-{hidden}" if hidden else "")


class Recorder:
    """Records the steps of one round in a store; files go under `folder`.

    Args:
        store: where to record.
        folder: where data and models are written.
        number: the round, 1 for the first; also the seed of everything random.
    """

    def __init__(self, store: Store, folder: Path, number: int) -> None:
        self.store = store
        self.folder = folder
        self.number = number
        store.put_types(TYPES, reason="declare what the demo keeps")
        self._type_ids = {(t.kind, t.name): t.id for t in store.get_types()}

    def _type_id(self, kind: Kind, name: str) -> int:
        return self._type_ids[kind, name]

    def _execution(self, type_name: str, name: str, **properties: Any) -> Execution:
        return Execution(
            type_id=self._type_id(Kind.EXECUTION, type_name),
            name=f"{name}-r{self.number}",
            state=ExecutionState.COMPLETE,
            properties=properties,
        )

    def _contexts(self, data_set: str) -> list[Context]:
        project = Context(type_id=self._type_id(Kind.CONTEXT, "Project"), name=PROJECT)
        experiment = Context(
            type_id=self._type_id(Kind.CONTEXT, "Experiment"), name=data_set, properties={"data_set": data_set}
        )
        return [project, experiment]

    def _part(self, data_set: str, part: str) -> int:
        """The id of one part of a data set, as this round divided it."""
        return self.store.get_artifact(type="Split", name=f"{data_set}-{part}-r{self.number}").id

    def ingest(self, data_set: str, sample: Sample) -> None:
        """Record where a data set came from; content that is known already is the same artifact."""
        fingerprint = sample.fingerprint
        artifact = Artifact(
            type_id=self._type_id(Kind.ARTIFACT, "DataSet"),
            name=data_set,
            external_id=f"sha256:{fingerprint}",
            uri=sample.save(self.folder / "data" / f"{data_set}.npz"),
            state=ArtifactState.LIVE,
            properties={
                "rows": len(sample.labels),
                "columns": int(sample.features.shape[1]),
                "classes": len(set(sample.labels.tolist())),
                "sha256": fingerprint,
            },
        )
        step = self.store.put_execution(
            self._execution("Ingest", f"ingest-{data_set}", source=f"sklearn.datasets.load_{data_set}"),
            [_output(artifact, "data")],
            self._contexts(data_set),
            options=_REUSE,
            reason=f"round {self.number}: bring in {data_set}",
        )
        project, experiment = step.context_ids
        if not self.store.get_parent_contexts(experiment):
            self.store.put_parent_contexts(
                [ParentContext(experiment, project)], reason=f"{data_set} is an experiment of the project"
            )

    def divide(self, data_set: str, parts: Parts, *, test_share: float) -> None:
        """Write the train and the test part of a data set and record how it was divided."""
        data = self.store.get_artifact(type="DataSet", name=data_set)
        outputs = []
        for word, sample in zip(("train", "test"), parts, strict=True):
            name, fingerprint = f"{data_set}-{word}-r{self.number}", sample.fingerprint
            part = Artifact(
                type_id=self._type_id(Kind.ARTIFACT, "Split"),
                name=name,
                external_id=f"sha256:{fingerprint}",
                uri=sample.save(self.folder / "splits" / f"{name}.npz"),
                state=ArtifactState.LIVE,
                properties={
                    "part": word,
                    "rows": len(sample.labels),
                    "seed": self.number,
                    "sha256": fingerprint,
                },
            )
            outputs.append(_output(part, word))
        self.store.put_execution(
            self._execution("Divide", f"divide-{data_set}", test_share=test_share, seed=self.number),
            [_input(data.id, "data"), *outputs],
            self._contexts(data_set),
            options=_REUSE,
            reason=f"round {self.number}: divide {data_set}",
        )

    def train(self, run: Run, trained: Trained, *, seconds: float) -> tuple[int, int]:
        """Write a model's file and record its training; return the ids of the execution and the model."""
        recipe = run.recipe
        name = f"{run.name}-r{self.number}"
        data = pickle.dumps(trained.model)
        path = self.folder / "models" / f"{name}.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        model = Artifact(
            type_id=self._type_id(Kind.ARTIFACT, "Model"),
            name=name,
            uri=path.resolve().as_uri(),
            state=ArtifactState.PENDING,
            properties={
                "family": recipe.family,
                "size_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            },
        )
        properties: dict[str, Any] = {"family": recipe.family, "seed": self.number, "seconds": round(seconds, 3)}
        step = self.store.put_execution(
            self._execution("Train", run.name, **properties, **recipe.parameters),
            [_input(self._part(recipe.data_set, "train"), "train"), _output(model, "model")],
            self._contexts(recipe.data_set),
            options=_REUSE,
            actor=run.actor,
            reason=f"round {self.number}: train {run.name}",
        )
        self._log_curves(step.execution_id, trained, run.actor)
        return step.execution_id, step.artifact_ids[1]

    def _log_curves(self, execution_id: int, trained: Trained, actor: str) -> None:
        now_us = time.time_ns() // 1000
        points = [
            MetricPoints(
                execution_id=execution_id,
                key=key,
                steps=list(range(len(values))),
                times_us=[now_us] * len(values),
                values=values,
            )
            for key, values in trained.curves.items()
        ]
        if points:
            self.store.log_points(points, actor=actor, reason="the curves of the training")

    def evaluate(self, run: Run, ids: tuple[int, int], scores: Scores, *, seconds: float) -> None:
        """Record a model's scores: a report, the model itself (live from now on), and metrics of its training.

        Args:
            run: what was trained.
            ids: those that `train` returned.
            scores: on the test part.
            seconds: how long the scoring took.
        """
        train_execution_id, model_id = ids
        model = self.store.get_artifact(model_id)
        scored = msgspec.structs.replace(
            model,
            state=int(ArtifactState.LIVE),
            properties={**model.properties, "accuracy": scores.accuracy, "stage": "candidate"},
        )
        report = Artifact(
            type_id=self._type_id(Kind.ARTIFACT, "Report"),
            name=f"report-{run.name}-r{self.number}",
            state=ArtifactState.LIVE,
            properties=scores._asdict(),
        )
        self.store.put_execution(
            self._execution("Evaluate", f"evaluate-{run.name}", seconds=round(seconds, 3)),
            [
                Pair(artifact=scored, link=Link(type=LinkType.INPUT, path=["model"])),
                _input(self._part(run.recipe.data_set, "test"), "test"),
                _output(report, "report"),
            ],
            self._contexts(run.recipe.data_set),
            options=_REUSE,
            actor=run.actor,
            reason=f"round {self.number}: evaluate {run.name}",
        )
        self.store.log_metrics(
            train_execution_id,
            {"accuracy": scores.accuracy, "f1": scores.f1},
            actor=run.actor,
            reason="the scores on the test part",
        )

    def promote_best(self, data_set: str, *, actor: str) -> None:
        """Make the best model on a data set its champion, and retire the one before, in one commit."""
        experiment = self.store.get_context(type="Experiment", name=data_set)
        models = self.store.get_artifacts(type="Model", context=experiment.id)
        best = max(models, key=lambda model: (model.properties.get("accuracy", 0.0), -model.id))
        if best.properties.get("stage") == "champion":
            return
        champions = [model for model in models if model.properties.get("stage") == "champion"]
        changes: list[Artifact] = [_staged(model, "retired", ArtifactState.MARKED_FOR_DELETION) for model in champions]
        changes.append(_staged(best, "champion", ArtifactState.LIVE))
        self.store.put_artifacts(changes, actor=actor, reason=_why(best, champions, data_set))


def _staged(model: Artifact, stage: str, state: ArtifactState) -> Artifact:
    return msgspec.structs.replace(model, state=int(state), properties={**model.properties, "stage": stage})


def _why(best: Artifact, champions: Sequence[Artifact], data_set: str) -> str:
    accuracy = f"{best.properties['accuracy']:.3f}"
    if not champions:
        return f"best on {data_set}: accuracy {accuracy}"
    beaten = champions[0]
    return f"{best.name} beats {beaten.name} on {data_set}: {accuracy} > {beaten.properties['accuracy']:.3f}"


__all__ = ["PROJECT", "TYPES", "Recorder", "Run"]
