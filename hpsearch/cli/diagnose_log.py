"""The log of a run made elsewhere, judged by its curves alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from hpsearch import passive
from hpsearch.cli.judged import Judged
from hpsearch.diagnosis import Diagnosis
from hpsearch.errors import InvalidInput, unknown
from hpsearch.paramsfile import load_params, parse_settings
from hpsearch.records import Points, Verdict
from hpsearch.runlog import RunLog, read_run_log
from hpsearch.space import Params
from hpsearch.vocabulary import HYPERPARAMETERS, hyperparameters

# What a run is judged by unless the user says: the first of these that was logged.
OBJECTIVES = ("val_accuracy", "val_balanced_accuracy", "val_loss")
MAXIMIZED = ("accuracy", "acc", "auc", "f1", "precision", "recall", "bleu", "iou", "dice", "r2", "score")


def judged(
    path: Path,
    params: Path | None,
    settings: Sequence[str],
    *,
    metric: str | None,
    columns: Sequence[str],
    classes: int | None,
) -> Judged:
    """`params` and `settings` are the run's hyperparameters, as far as they are known. Raises InvalidInput."""
    log = read_run_log(path, metric=metric, names=_names(columns))
    known = {
        **(load_params(params, HYPERPARAMETERS) if params else {}),
        **parse_settings(settings, HYPERPARAMETERS),
    }
    objective = _objective(log, metric)
    learned = passive.has_learned(log.curves)
    run = passive.Observed(
        curve=log.curves,
        objective=objective,
        direction=direction_of(objective),
        values=_values(log, known),
        facts=passive.facts_from(log.curves, classes, learned=learned),
    )
    verdict = passive.judged(run)
    diagnosis = Diagnosis.passively(verdict, _note(verdict, log)).model_copy(
        update={"warnings": log.warnings, "columns": log.columns}
    )
    curves = {
        name: Points.model_construct(steps=tuple(steps), values=tuple(values))
        for name, (steps, values) in log.curves.items()
    }
    return Judged(str(path), diagnosis.model_dump(mode="json"), curves)


def direction_of(metric: str) -> Literal["minimize", "maximize"]:
    """By the metric's name: accuracies and scores are maximized, all else is a loss or an error."""
    words = metric.split("_")
    return "maximize" if any(word in MAXIMIZED for word in words) else "minimize"


def _names(words: Sequence[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for word in words:
        column, equals, name = word.rpartition("=")
        if not equals or not column or not name:
            raise InvalidInput(f"--map {word!r} must read like COLUMN=val_loss")
        if name in names.values():
            raise InvalidInput(f"--map gives two columns the name {name!r}")
        names[column] = name
    return names


def _objective(log: RunLog, metric: str | None) -> str:
    if metric is not None:
        if metric not in log.curves:
            raise InvalidInput(f"--metric: {unknown('metric', metric, log.curves)}")
        return metric
    return next((name for name in OBJECTIVES if name in log.curves), "val_loss")


def _values(log: RunLog, known: Mapping[str, object]) -> Params:
    """All hyperparameters: what is known, what the log's learning rate shows, else the defaults."""
    rates = log.curves.get("learning_rate", ([], []))[1]
    seen: Params = {}
    if rates:
        seen["learning_rate"] = max(rates)
        if max(rates) > min(rates):
            seen["schedule"] = "step" if len(set(rates)) <= max(3, len(rates) // 4) else "cosine"
        if rates[0] < max(rates):
            seen["warmup_epochs"] = 1.0
    return hyperparameters({}, seen, known)  # type: ignore[arg-type]


def _note(verdict: Verdict, log: RunLog) -> str:
    return (
        f"{passive.note_on(verdict.code)}; a probe needs the task itself: hpsearch diagnose task.py:MyModel"
        f" (steps are counted by {log.axis})"
    )
