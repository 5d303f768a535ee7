"""Studies and trials change state: checked against the table of moves, counted, and told as events.

Callers hold the lock on the study's row.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from hpsearch.records import (
    STAGE_MOVES,
    STUDY_MOVES,
    FailureReason,
    Outcome,
    StageState,
    StudyState,
    Trial,
    TrialId,
    TrialState,
    check_move,
)
from hpsearch.store import events, stages, studies, trials
from hpsearch.store.batch import Batch
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import StudyRow


def move_study(
    tx: Transaction, study: StudyRow, state: StudyState, *, reason: str = "", now: datetime
) -> None:
    """Raises IllegalMove for a state that the study's can't become."""
    check_move(f"study {study.study.name!r}", STUDY_MOVES, study.state, state)
    studies.set_state(tx, study.id, state, reason=reason, now=now)
    events.add(tx, study.id, "study_changed", {"state": state, "reason": reason}, now=now)


def end_running_stage(tx: Transaction, study: StudyRow, state: StageState, *, now: datetime) -> None:
    """Close the stage under way, if one is, without a verdict of its own."""
    for stage in stages.of_study(tx, study.id):
        if stage.state is StageState.RUNNING:
            stages.close(tx, stage.id, state, verdict=None, carried=stage.carried, now=now)
            data = {"stage_id": stage.id, "kind": stage.kind, "round": stage.round, "state": state}
            events.add(tx, study.id, "stage_closed", data, now=now)


def reopen_last_stage(tx: Transaction, study: StudyRow, *, has_trials: bool, now: datetime) -> None:
    """The stage that ended last runs again if it failed, or if trials are back (`has_trials`)."""
    known = stages.of_study(tx, study.id)
    if not known or StageState.RUNNING not in STAGE_MOVES[known[-1].state]:
        return
    if known[-1].state is not StageState.FAILED and not has_trials:
        return
    last = known[-1]
    stages.reopen(tx, last.id)
    data = {"stage_id": last.id, "kind": last.kind, "round": last.round}
    events.add(tx, study.id, "stage_opened", data, now=now)


def cancel_waiting(
    tx: Transaction,
    study: StudyRow,
    message: str,
    *,
    resumable: bool,
    unstarted: bool = False,
    now: datetime,
) -> int:
    """Every waiting trial, or those alone that have never run; returns how many."""
    count = trials.cancel_waiting(tx, study.id, message, resumable=resumable, unstarted=unstarted, now=now)
    studies.count_trials(tx, study.id, {TrialState.WAITING: -count, TrialState.CANCELLED: count})
    return count


def cancel_waiting_trial(
    tx: Transaction, study: StudyRow, trial: Trial, message: str, *, now: datetime
) -> None:
    trials.cancel(tx, trial.id, message, now=now)
    studies.count_trials(tx, study.id, {TrialState.WAITING: -1, TrialState.CANCELLED: 1})
    _tell_finished(tx, trial, TrialState.CANCELLED, None, None, now)


def wait_again(
    tx: Transaction, study: StudyRow, ids: Collection[TrialId], old: TrialState, *, forgive: bool = False
) -> None:
    """Ended trials of one state wait again."""
    trials.wait_again(tx, ids, forgive=forgive)
    studies.count_trials(tx, study.id, {old: -len(ids), TrialState.WAITING: len(ids)})


def finish_trial(
    batch: Batch,
    study: StudyRow,
    trial: Trial,
    state: TrialState,
    outcome: Outcome,
    *,
    also: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """A running trial ends with what its run found; `also` are columns of its study to set."""
    batch.finish_trial(trial.id, state, outcome, now=now)
    batch.count(study.id, {TrialState.RUNNING: -1, state: 1}, also)
    batch.event(study.id, "trial_finished", _end_of(trial, state, outcome.value, outcome.reason), now=now)


def fail_trial(
    tx: Transaction, study: StudyRow, trial: Trial, reason: FailureReason, message: str, *, now: datetime
) -> None:
    """A running trial ends without a result."""
    trials.fail(tx, trial.id, reason, message, now=now)
    studies.count_trials(tx, study.id, {TrialState.RUNNING: -1, TrialState.FAILED: 1})
    _tell_finished(tx, trial, TrialState.FAILED, None, reason, now)


def give_back_trial(
    tx: Transaction, study: StudyRow, trial: Trial, why: str, *, stopped: bool, now: datetime
) -> None:
    """A running trial whose run brought no result waits again, or is cancelled where nobody wants it:
    its study has ended or is ending, or the user stopped it."""
    wanted = study.state in (StudyState.RUNNING, StudyState.PAUSED) and not stopped
    if wanted:
        trials.wait_again(tx, [trial.id])
        studies.count_trials(tx, study.id, {TrialState.RUNNING: -1, TrialState.WAITING: 1})
        data = {"trial_id": trial.id, "number": trial.number, "why": why}
        events.add(tx, study.id, "trial_requeued", data, now=now)
        return
    resumable = study.state in (StudyState.STOPPING, StudyState.STOPPED) and not stopped
    message = "stopped by the user" if stopped else f"the study is {study.state}"
    trials.cancel(tx, trial.id, message, resumable=resumable, now=now)
    studies.count_trials(tx, study.id, {TrialState.RUNNING: -1, TrialState.CANCELLED: 1})
    _tell_finished(tx, trial, TrialState.CANCELLED, None, None, now)


def _tell_finished(
    tx: Transaction,
    trial: Trial,
    state: TrialState,
    value: float | None,
    reason: FailureReason | None,
    now: datetime,
) -> None:
    events.add(tx, trial.study_id, "trial_finished", _end_of(trial, state, value, reason), now=now)


def _end_of(
    trial: Trial, state: TrialState, value: float | None, reason: FailureReason | None
) -> dict[str, Any]:
    return {
        "trial_id": trial.id,
        "number": trial.number,
        "stage_id": trial.stage_id,
        "state": state,
        "value": value,
        "reason": reason,
    }
