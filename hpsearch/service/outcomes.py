"""What a run's end means for its trial: results, and the separate accounts of failures.

| a run ends                          | its trial                                              |
|-------------------------------------|--------------------------------------------------------|
| completed, pruned, diverged         | the same; a non-finite objective is `diverged`         |
| failed: error                       | waits again `max_failures` times, then failed          |
| failed: crashed, stalled; lost      | waits again; the third time failed (poison)            |
| failed: oom, timeout, not allowed   | failed                                                 |
| lost, but had not begun; released   | waits again, nothing charged but a preemption          |

Callers hold the lock on the study's row. A result is stored also where this version can't read the study's spec.
"""

import math
from datetime import datetime
from typing import Any, assert_never

from hpsearch.records import FailureReason, Outcome, Trial, TrialState
from hpsearch.service import moves
from hpsearch.service.packs import pace_after
from hpsearch.store import trials
from hpsearch.store.batch import Batch
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import StudyRow

MAX_CRASHES = 3


def apply(
    tx: Transaction,
    batch: Batch,
    study: StudyRow,
    trial: Trial,
    outcome: Outcome,
    *,
    stopped: bool,
    now: datetime,
) -> StudyRow:
    """Record a run's outcome on its running trial; returns the study as it is with the batch written.

    `stopped`: the user asked for this run's end.
    """
    match outcome.state:
        case "completed" | "diverged" | "pruned":
            return _apply_result(batch, study, trial, outcome, now=now)
        case "failed":
            _apply_failure(tx, batch, study, trial, outcome, stopped=stopped, now=now)
        case "released":
            trials.charge(tx, trial.id, preemptions=1)
            moves.give_back_trial(tx, study, trial, "released", stopped=stopped, now=now)
        case _:
            assert_never(outcome.state)
    return study


def lose(
    tx: Transaction, study: StudyRow, trial: Trial, *, charged: bool, stopped: bool, why: str, now: datetime
) -> None:
    """A run ended without a word. `charged`: it may have been the trial's own doing."""
    if charged:
        _crash(tx, study, trial, why, stopped=stopped, now=now)
        return
    trials.charge(tx, trial.id, preemptions=1)
    moves.give_back_trial(tx, study, trial, why, stopped=stopped, now=now)


def _apply_result(
    batch: Batch, study: StudyRow, trial: Trial, outcome: Outcome, *, now: datetime
) -> StudyRow:
    state = TrialState(outcome.state)
    if state is TrialState.COMPLETED and outcome.value is not None and not math.isfinite(outcome.value):
        state = TrialState.DIVERGED
    trains = trial.program.kind == "train"
    if state is TrialState.COMPLETED and outcome.value is None and trains and study.study.method != "recipe":
        metric = study.study.objective_metric
        known = ", ".join(sorted(outcome.metrics)) or "nothing"
        message = f"the objective {metric!r} was never measured; the run reported {known}"
        failed = outcome.model_copy(update={"reason": FailureReason.ERROR, "message": message})
        moves.finish_trial(batch, study, trial, TrialState.FAILED, failed, now=now)
        return study
    changed = _summary(study, trial, state, outcome)
    moves.finish_trial(batch, study, trial, state, outcome, also=changed, now=now)
    return study.changed(changed)


def _summary(study: StudyRow, trial: Trial, state: TrialState, outcome: Outcome) -> dict[str, Any]:
    """Columns of the study that this result changes: its best value and its pace."""
    changed: dict[str, Any] = {}
    seconds = outcome.measurements.get("seconds")
    if isinstance(seconds, int | float):
        changed["pace"] = pace_after(study.pace, trial.program, trial.budget, float(seconds))
    # A value on a subset of the data, or after the hundred steps of a learning rate's trial, compares with none.
    whole = trial.program.kind == "train" and trial.program.subset_batches is None
    if study.study.examines is not None:  # a probe's value answers no question of the search's
        whole = False
    elif study.study.method == "recipe":
        whole = whole and trial.budget is not None and trial.budget.epochs is not None
    if state is TrialState.COMPLETED and outcome.value is not None and whole:
        best = study.study.best_value
        sign = 1 if study.study.objective_direction == "maximize" else -1
        if best is None or sign * outcome.value > sign * best:
            changed["best_value"] = outcome.value
    return changed


def _apply_failure(
    tx: Transaction,
    batch: Batch,
    study: StudyRow,
    trial: Trial,
    outcome: Outcome,
    *,
    stopped: bool,
    now: datetime,
) -> None:
    reason = outcome.reason
    assert reason is not None
    match reason:
        case FailureReason.CRASHED | FailureReason.STALLED:
            _crash(tx, study, trial, f"{reason}: {outcome.message}", stopped=stopped, now=now)
        case FailureReason.ERROR if trial.failures < study.max_failures:
            trials.charge(tx, trial.id, failures=1)
            moves.give_back_trial(tx, study, trial, "error", stopped=stopped, now=now)
        case FailureReason.ERROR:
            trials.charge(tx, trial.id, failures=1)
            moves.finish_trial(batch, study, trial, TrialState.FAILED, outcome, now=now)
        case (
            FailureReason.OOM | FailureReason.TIMEOUT | FailureReason.POISON | FailureReason.TASK_NOT_ALLOWED
        ):
            moves.finish_trial(batch, study, trial, TrialState.FAILED, outcome, now=now)
        case _:
            assert_never(reason)


def _crash(tx: Transaction, study: StudyRow, trial: Trial, why: str, *, stopped: bool, now: datetime) -> None:
    trials.charge(tx, trial.id, rescues=1)
    if trial.rescues + 1 < MAX_CRASHES or stopped:
        moves.give_back_trial(tx, study, trial, why, stopped=stopped, now=now)
        return
    message = f"took its worker's process down {MAX_CRASHES} times; last: {why}"
    moves.fail_trial(tx, study, trial, FailureReason.POISON, message, now=now)
