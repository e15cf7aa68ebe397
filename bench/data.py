"""The data of the benchmarks: the same for every side, from a seed, and any row of it without the rows before.

Nothing but the standard library is imported here, for this module also runs in the peers' interpreters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

SEED = 20_261_125
_MASK = (1 << 64) - 1

Properties = dict[str, Any]
"""Names of properties -> int, float or str."""

ARTIFACT_TYPE = "Model"
ARTIFACT_PROPERTIES = {"accuracy": 2, "learning_rate": 2, "epochs": 1, "dataset": 3, "framework": 3}
"""Names of the five properties of an artifact -> the number of their `PropertyType`."""

RUN_TYPE = "Train"
RUN_PROPERTIES = (
    {f"metric_{i}": 2 for i in range(8)}
    | {f"rate_{i}": 2 for i in range(4)}
    | {f"count_{i}": 1 for i in range(4)}
    | {f"choice_{i}": 3 for i in range(4)}
)
"""The twenty properties of a run that is compared."""

STEP_PROPERTIES = {"seed": 1, "rows": 1, "rate": 2, "loss": 2, "code": 3}

FILTER_TENTH = "properties.accuracy.double_value > 0.9"
"""One artifact in ten."""
FILTER_RARE = "properties.accuracy.double_value > 0.9 AND properties.dataset.string_value = 'dataset-17'"
"""One artifact in ten thousand."""

DATASETS = 1000
_RATES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
_FRAMEWORKS = ("sklearn", "torch", "jax", "xgboost")


class Row(NamedTuple):
    """What is put of an artifact or an execution."""

    name: str
    uri: str
    properties: Properties


def mix(index: int, salt: int) -> int:
    """64 bits that look random and depend on the two numbers and the seed alone (SplitMix64)."""
    bits = (SEED + (index * 64 + salt + 1) * 0x9E3779B97F4A7C15) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def unit(index: int, salt: int) -> float:
    """A number in [0, 1) with 53 random bits, so that no encoding can shorten it."""
    return (mix(index, salt) >> 11) / (1 << 53)


def artifact(index: int, version: int = 0) -> Row:
    """Artifact `index` with five properties; another `version` has another accuracy and data set, nothing else."""
    bits = mix(index, 1)
    dataset = f"dataset-{mix(index, 8 + 2 * version) % DATASETS}"
    return Row(
        f"model-{index}",
        f"s3://bucket/models/{index}/model.bin",
        {
            "accuracy": unit(index, 9 + 2 * version),
            "learning_rate": _RATES[bits % 6],
            "epochs": (bits >> 8) % 100 + 1,
            "dataset": dataset,
            "framework": _FRAMEWORKS[(bits >> 16) % 4],
        },
    )


def artifacts(start: int, stop: int) -> Iterator[Row]:
    """Artifacts `[start, stop)`."""
    return map(artifact, range(start, stop))


def tenth(row: Row) -> bool:
    """What `FILTER_TENTH` says."""
    return float(row.properties["accuracy"]) > 0.9


def rare(row: Row) -> bool:
    """What `FILTER_RARE` says."""
    return tenth(row) and row.properties["dataset"] == "dataset-17"


def run(index: int) -> Row:
    """Run `index` with its twenty values."""
    bits = mix(index, 2)
    properties: Properties = {f"metric_{i}": unit(index, 20 + i) for i in range(8)}
    properties |= {f"rate_{i}": _RATES[(bits >> i) % 6] for i in range(4)}
    properties |= {f"count_{i}": (bits >> (8 + i)) % 1000 for i in range(4)}
    properties |= {f"choice_{i}": f"choice-{(bits >> (20 + i)) % 12}" for i in range(4)}
    return Row(f"run-{index}", "", properties)


def step_properties(index: int, salt: int) -> Properties:
    """The five properties of an execution or an output of a recorded step."""
    bits = mix(index, 40 + salt)
    return {
        "seed": bits % 1_000_000,
        "rows": (bits >> 20) % 1_000_000,
        "rate": _RATES[bits % 6],
        "loss": unit(index, 41 + salt),
        "code": f"{bits:016x}",
    }


# ---- lineage

GROUPS = 10
"""A graph has ten groups of equal size, unless said: one raw source each, and everything that was made from it."""
CHAIN = 5
"""Every model but each fifth starts from the one before, so that a model has up to five models above it."""

RAW, DATASET, SPLIT_TRAIN, SPLIT_TEST = range(4)


class Batch(NamedTuple):
    """A piece of the graph: names and types of new executions and artifacts, and links.

    A link is (execution's place in the batch, artifact's number in the whole graph, is it an input). Artifacts are
    numbered from 0 in the order in which they come to be; the batch's first one is `first_artifact`.
    """

    first_artifact: int
    executions: list[tuple[str, str]]
    artifacts: list[tuple[str, str]]
    links: list[tuple[int, int, bool]]


EXECUTION_TYPES = ("Ingest", "Split", "Fit", "Evaluate")
LINEAGE_ARTIFACT_TYPES = ("Source", "Data", "Fitted", "Report")


def trainings(executions: int, groups: int = GROUPS) -> int:
    """How many models a group of a graph with so many executions has."""
    return (executions // groups - 2) // 2


def lineage(executions: int, batch: int, groups: int = GROUPS) -> Iterator[Batch]:
    """The graph, in batches of at most `batch` trainings; a training is followed by its evaluation.

    Each group: raw -> ingest -> data set -> split -> train part, test part; train part (and the model before)
    -> fit -> model; model and test part -> evaluate -> report.
    """
    per_group = trainings(executions, groups)
    next_artifact = 0
    for group in range(groups):
        prefix = f"g{group}"
        base = next_artifact
        yield Batch(
            base,
            [("Ingest", f"{prefix}-ingest"), ("Split", f"{prefix}-split")],
            [("Source", f"{prefix}-raw"), *(("Data", f"{prefix}-{word}") for word in ("all", "train", "test"))],
            [
                (0, base + RAW, True),
                (0, base + DATASET, False),
                (1, base + DATASET, True),
                (1, base + SPLIT_TRAIN, False),
                (1, base + SPLIT_TEST, False),
            ],
        )
        next_artifact += 4
        for start in range(0, per_group, batch):
            piece = Batch(next_artifact, [], [], [])
            for j in range(start, min(start + batch, per_group)):
                model = next_artifact
                place = len(piece.executions)
                piece.executions.extend([("Fit", f"{prefix}-fit-{j}"), ("Evaluate", f"{prefix}-evaluate-{j}")])
                piece.artifacts.extend([("Fitted", f"{prefix}-model-{j}"), ("Report", f"{prefix}-report-{j}")])
                piece.links.append((place, base + SPLIT_TRAIN, True))
                if j % CHAIN:
                    piece.links.append((place, model - 2, True))
                piece.links.extend(
                    [
                        (place, model, False),
                        (place + 1, model, True),
                        (place + 1, base + SPLIT_TEST, True),
                        (place + 1, model + 1, False),
                    ]
                )
                next_artifact += 2
            yield piece


def upstream_of_model(training: int) -> tuple[int, int]:
    """How many (artifacts, executions) the closure above a model holds, the model among them."""
    models = training % CHAIN + 1
    # Each model has its fit; above all stand the train part, the data set, the raw source, the ingest and the split.
    return models + 3, models + 2


def downstream_of_raw(executions: int, groups: int = GROUPS) -> tuple[int, int]:
    """How many (artifacts, executions) the closure below a raw source holds, the source among them."""
    per_group = trainings(executions, groups)
    return 4 + 2 * per_group, 2 + 2 * per_group
