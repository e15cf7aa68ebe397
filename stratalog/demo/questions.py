"""The questions that the demo asks of its store, each as a command line that the reader can type himself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stratalog.demo.models import last_runs
from stratalog.demo.story import Round

if TYPE_CHECKING:
    from stratalog.store.store import Store

DATA_SET = "wine"
"""Whose models are listed first."""

CONTEST = "digits"
"""Whose leaderboard the last runs change."""

_LEADERBOARD = ("name", "properties.accuracy", "properties.family", "properties.stage")


class Question(NamedTuple):
    """A question in words, and the arguments of `stratalog` that answer it."""

    text: str
    arguments: tuple[str, ...]


def questions(store: Store, played: Round) -> list[Question]:
    """What to ask after a round.

    Args:
        store: the demo's store, open for reading.
        played: what `play` returned.
    """
    experiment = store.get_context(type="Experiment", name=CONTEST)
    models = store.get_artifacts(type="Model", context=experiment.id)
    champion = next(model for model in models if model.properties.get("stage") == "champion")
    retired = [model for model in models if model.properties.get("stage") == "retired"]
    # The one with the most to tell: it has been trained, scored, promoted and replaced.
    storied = max(retired, key=lambda model: (model.update_time_ms, model.id), default=champion)
    moment = str(played.moment)
    leaderboard = (
        *("find", "artifacts", "--type", "Model", "--context", f"Experiment:{CONTEST}"),
        *("--order-by", "properties.accuracy", "--desc", "--limit", "5", "--columns", ",".join(_LEADERBOARD)),
    )
    runs = f"type = 'Train' AND contexts_a.name = '{CONTEST}' AND properties.seed = {played.number}"
    return [
        Question(
            f"Which models were trained on the {DATA_SET} data?",
            ("lineage", "artifact", f"DataSet:{DATA_SET}", "--direction", "down", "--types", "Model", "--list"),
        ),
        Question(
            f"How do this round's runs on the {CONTEST} differ?",
            ("compare", "executions", "--where", runs, "--only-different"),
        ),
        Question(
            f"Where does the champion, {champion.name}, come from?",
            ("lineage", "artifact", f"Model:{champion.name}", "--direction", "up"),
        ),
        Question(f"Which models are best on the {CONTEST} now?", leaderboard),
        Question(
            f"And which were, before the last {len(last_runs(played.number))} runs?", (*leaderboard, "--as-of", moment)
        ),
        Question("What has changed since then?", ("diff", moment)),
        Question(
            f"What happened to {storied.name}: who did what, when and why?",
            ("history", "artifact", f"Model:{storied.name}"),
        ),
        Question("Is every byte as it was written, and every table what the log adds up to?", ("verify",)),
    ]


__all__ = ["Question", "questions"]
