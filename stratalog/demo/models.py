"""The demo's models: families with their hyper-parameters, how each is trained, and which runs a round has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from stratalog.demo.data import Parts

Parameters = dict[str, int | float]
Curves = dict[str, list[float]]


class Recipe(NamedTuple):
    """One run: which data, which family, with which hyper-parameters."""

    data_set: str
    family: str
    parameters: Parameters


class Trained(NamedTuple):
    """A fitted model, and what was measured at each step of its training: one list a metric, step 0 first."""

    model: Any
    curves: Curves


class Scores(NamedTuple):
    """How a model does on rows that it has not seen."""

    accuracy: float
    f1: float
    errors: int


def _logistic(parts: Parts, seed: int, *, C: float) -> Trained:  # noqa: N803  # scikit-learn's name
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000, random_state=seed))
    return Trained(model.fit(*parts.train), {})


def _neighbours(parts: Parts, _: int, *, neighbours: int) -> Trained:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=neighbours))
    return Trained(model.fit(*parts.train), {})


def _tree(parts: Parts, seed: int, *, depth: int) -> Trained:
    from sklearn.tree import DecisionTreeClassifier

    return Trained(DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(*parts.train), {})


def _forest(parts: Parts, seed: int, *, trees: int, depth: int) -> Trained:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=seed)
    return Trained(model.fit(*parts.train), {})


def _boosting(parts: Parts, seed: int, *, trees: int, depth: int, learning_rate: float) -> Trained:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        n_estimators=trees, max_depth=depth, learning_rate=learning_rate, random_state=seed
    ).fit(*parts.train)
    staged = [float((predicted == parts.test.labels).mean()) for predicted in model.staged_predict(parts.test.features)]
    return Trained(model, {"loss": [float(loss) for loss in model.train_score_], "validation_accuracy": staged})


def _network(parts: Parts, seed: int, *, hidden: int, learning_rate: float, epochs: int) -> Trained:
    import numpy as np
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(parts.train.features)
    train, test = (scaler.transform(part.features) for part in parts)
    network = MLPClassifier(hidden_layer_sizes=(hidden,), learning_rate_init=learning_rate, random_state=seed)
    curves: Curves = {"loss": [], "validation_accuracy": []}
    for _ in range(epochs):
        network.partial_fit(train, parts.train.labels, classes=np.unique(parts.train.labels))
        curves["loss"].append(float(network.loss_))
        curves["validation_accuracy"].append(float(network.score(test, parts.test.labels)))
    return Trained(make_pipeline(scaler, network), curves)


def _machine(parts: Parts, _: int, *, C: float, gamma: float) -> Trained:  # noqa: N803  # scikit-learn's name
    from sklearn.svm import SVC

    model = SVC(C=C).set_params(gamma=gamma)  # a number is as good as a word here, which its types do not say
    return Trained(model.fit(*parts.train), {})


FAMILIES: dict[str, Callable[..., Trained]] = {
    "logistic": _logistic,
    "neighbours": _neighbours,
    "tree": _tree,
    "forest": _forest,
    "boosting": _boosting,
    "network": _network,
    "svm": _machine,
}
"""How each family is trained: (parts, seed, **hyper-parameters)."""


def train(recipe: Recipe, parts: Parts, *, seed: int) -> Trained:
    """Train one model, on one thread: the matrices are so small that more of them only wait for one another."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return FAMILIES[recipe.family](parts, seed, **recipe.parameters)


def evaluate(model: Any, parts: Parts) -> Scores:
    """Score a model on the test part."""
    from sklearn.metrics import accuracy_score, f1_score

    predicted = model.predict(parts.test.features)
    labels = parts.test.labels
    return Scores(
        accuracy=float(accuracy_score(labels, predicted)),
        f1=float(f1_score(labels, predicted, average="macro")),
        errors=int((predicted != labels).sum()),
    )


def first_runs(number: int) -> list[Recipe]:
    """The runs that round `number` (1, 2 ...) begins with; their hyper-parameters differ from round to round."""
    grow = number - 1
    return [
        Recipe("wine", "logistic", {"C": round(1.0 / number, 4)}),
        Recipe("wine", "neighbours", {"neighbours": 3 + 2 * grow}),
        Recipe("wine", "forest", {"trees": 40 + 10 * grow, "depth": 4}),
        Recipe("iris", "logistic", {"C": round(1.0 / number, 4)}),
        Recipe("iris", "tree", {"depth": 2 + grow}),
        Recipe("iris", "boosting", {"trees": 20 + 5 * grow, "depth": 2, "learning_rate": 0.1}),
        Recipe("breast_cancer", "logistic", {"C": round(0.5 / number, 4)}),
        Recipe("breast_cancer", "forest", {"trees": 60, "depth": 4 + grow}),
        Recipe("breast_cancer", "boosting", {"trees": 40, "depth": 2, "learning_rate": round(0.2 / number, 4)}),
        Recipe("digits", "tree", {"depth": 8 + grow}),
        Recipe("digits", "logistic", {"C": round(0.1 / number, 4)}),
        Recipe("digits", "network", {"hidden": 24 + 4 * grow, "learning_rate": 0.005, "epochs": 12}),
    ]


def last_runs(number: int) -> list[Recipe]:
    """The runs that round `number` ends with, a while later: second thoughts on the digits."""
    grow = number - 1
    return [
        Recipe("digits", "network", {"hidden": 96, "learning_rate": round(0.002 / number, 6), "epochs": 20 + 2 * grow}),
        Recipe("digits", "svm", {"C": 10.0 * number, "gamma": 0.001}),
    ]


__all__ = ["Curves", "Parameters", "Recipe", "Scores", "Trained", "evaluate", "first_runs", "last_runs", "train"]
