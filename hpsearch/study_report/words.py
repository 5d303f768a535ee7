"""The words that HTML and Markdown reports share."""

import math

from hpsearch.records import Best, Evidence, Stage, StageKind, StageState, Study
from hpsearch.space import Params

STEP_TITLES = {
    StageKind.INITIAL_LOSS: ("1", "Check the initial loss"),
    StageKind.OVERFIT: ("2", "Overfit a small sample"),
    StageKind.FIND_LR: ("3", "Find the learning rate"),
    StageKind.COARSE: ("4", "Coarse grid"),
    StageKind.REFINE: ("5", "Refine"),
    StageKind.CURVES: ("6", "Look at the loss curves"),
    StageKind.FINAL: ("★", "Final runs on fresh seeds"),
    StageKind.SEARCH: ("·", "Search"),
}
MARKS = {
    StageState.PASSED: "✓",
    StageState.WARNED: "!",
    StageState.FAILED: "✗",
    StageState.SKIPPED: "–",
    StageState.RUNNING: "…",
}


def title(stage: Stage) -> tuple[str, str]:
    """(number, words) of a stage."""
    number, words = STEP_TITLES[stage.kind]
    return number, words + (f", round {stage.round}" if stage.round > 1 else "")


def number(value: float | str | None) -> str:
    """Four significant digits; a dash where there is no number."""
    if isinstance(value, str):
        # Evidence holds numbers or words, and JSON has words only for those that are not finite.
        value = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value, value)
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.4g}" if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def error_text(value: float | None) -> str:
    """` ± 0.0012`: an uncertainty has two digits; empty where it isn't known."""
    return "" if value is None or not math.isfinite(value) else f" ± {value:.2g}"


def value_text(value: object) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def params_text(params: Params) -> str:
    return ", ".join(f"{name} {value_text(value)}" for name, value in params.items())


def headline(study: Study, best: Best) -> str:
    """`val_accuracy 0.9756 ± 0.0012`."""
    return f"{study.objective_metric} {number(best.value)}{error_text(best.standard_error)}"


def mark(evidence: Evidence) -> str:
    return {True: "✓", False: "✗", None: ""}[evidence.ok]


def trial_counts(study: Study) -> str:
    return (
        ", ".join(f"{count} {state}" for state, count in study.trial_counts.items() if count) or "no trials"
    )


def task_text(study: Study) -> str:
    """What was trained: `mlp on digits`, or the task file's class."""
    task = study.spec.get("task", {})
    if not isinstance(task, dict):
        return ""
    if task.get("kind") == "file":
        return f"{task.get('file')}:{task.get('class_name')}"
    return f"{task.get('model')} on {task.get('dataset')}"
