"""The words that HTML and Markdown reports share."""

import math
from collections.abc import Mapping
from typing import Any

from hpsearch.diagnosis import Cure, Diagnosis
from hpsearch.records import Best, Evidence, Stage, StageKind, StageState, Study
from hpsearch.space import Params, ParamValue

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


def how_sure(found: Diagnosis) -> str:
    if found.passive:
        return "by its curves alone"
    if found.probe:
        return "proved by probes"
    return "with probes" if found.cost.get("probe_steps") else "no probe was needed"


def worth_trying(remedy: Cure) -> list[str]:
    """`learning_rate 0.1, then 0.32`: each knob with the values that are worth a try, the first one first."""
    found = []
    for name, value in remedy.changes.items():
        others = [_short(other) for other in remedy.grid.get(name, ()) if other != value]
        also = f", then {', '.join(others)}" if others else ""
        found.append(f"{name} {_short(value)}{also}")
    return found


def proof(probe: Mapping[str, Any]) -> tuple[str, str, str]:
    """Of a probe: (the figure that it is judged by, what was changed, when both were looked at)."""
    changed = params_text(probe.get("changes") or {str(probe.get("knob")): "changed"})
    epoch = value_text(probe.get("epochs"))
    if probe.get("continues"):
        return str(probe.get("metric", "")), changed, f"the run trained on, to epoch {epoch}"
    when = f"by epoch {epoch}, from the same start in the same order of data"
    return str(probe.get("metric", "")), changed, when


def _short(value: ParamValue) -> str:
    return number(value) if isinstance(value, float) else value_text(value)


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
